package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/internal/bench"
)

// fakeEngine speaks the engine's API over a socket: ping with a version,
// inspect, and save.
type fakeEngine struct {
	api     string         // "1.41"
	inspect map[string]any // by name or ID
	other   map[string]any // answer to inspect without a platform, if it differs
	one     map[string]any // answer to inspect with a platform, if it differs
	stream  []byte         // of any image
	status  int            // of save; 0 is 200
	hold    chan struct{}  // if set, save stops halfway until it is closed
	attest  []byte         // answer to attestations; nil is 501, as without the containerd store

	mu    sync.Mutex
	seen  []string        // path and query of every request but pings
	agent map[string]bool // user agents seen
}

func (e *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", e.api)
	e.mu.Lock()
	if e.agent == nil {
		e.agent = map[string]bool{}
	}
	e.agent[r.UserAgent()] = true
	e.mu.Unlock()
	if r.URL.Path == "/_ping" {
		return
	}
	e.mu.Lock()
	e.seen = append(e.seen, strings.TrimPrefix(r.URL.Path, "/v"+e.api)+"?"+r.URL.RawQuery)
	e.mu.Unlock()
	fail := func(status int, msg string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"message": msg})
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v"+e.api)
	if !ok {
		fail(400, "client version is too new. Maximum supported API version is "+e.api)
		return
	}
	if path == "/images/get" {
		if e.status != 0 {
			fail(e.status, "no space left on device")
			return
		}
		known := e.other != nil && e.other["Id"] == r.URL.Query().Get("names")
		for name, answer := range e.inspect {
			known = known || name == r.URL.Query().Get("names") || answer.(map[string]any)["Id"] == r.URL.Query().Get("names")
		}
		if !known {
			fail(404, "No such image: "+r.URL.Query().Get("names"))
			return
		}
		w.Write(e.stream[:len(e.stream)/2])
		if e.hold != nil {
			w.(http.Flusher).Flush()
			<-e.hold
		}
		w.Write(e.stream[len(e.stream)/2:])
		return
	}
	if strings.HasSuffix(path, "/attestations") {
		if e.attest == nil {
			fail(501, "not implemented")
			return
		}
		w.Write(e.attest)
		return
	}
	name := strings.TrimSuffix(strings.TrimPrefix(path, "/images/"), "/json")
	if e.other != nil && r.URL.Query().Get("platform") == "" {
		json.NewEncoder(w).Encode(e.other)
		return
	}
	answer, ok := e.inspect[name]
	if e.one != nil && r.URL.Query().Get("platform") != "" {
		answer = e.one
	}
	if !ok {
		fail(404, "No such image: "+name)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

func (e *fakeEngine) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.seen...)
}

// listen starts the engine on a socket and returns its address.
func (e *fakeEngine) listen(t testing.TB) string {
	t.Helper()
	// Socket paths are short, so not in the test's own directory.
	dir, err := os.MkdirTemp("", "ib")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: e}}
	srv.Start()
	t.Cleanup(srv.Close)
	return "unix://" + filepath.Join(dir, "s")
}

// inspected is what an engine says of f: the ID is the config's digest, or with
// a containerd store the manifest's.
func (f *fixture) inspected(t testing.TB, id string) map[string]any {
	var ids []string
	for _, l := range f.layers {
		ids = append(ids, sum(l.plain))
	}
	var cfg struct{ Architecture string }
	if err := json.Unmarshal(f.config, &cfg); err != nil {
		t.Fatal(err)
	}
	a := map[string]any{
		"Id": id, "Os": "linux", "Architecture": cfg.Architecture, "RepoDigests": []string{"app@" + sum([]byte("x"))},
		"Size": 123, "RootFS": map[string]any{"Type": "layers", "Layers": ids}, "Config": map[string]any{"Env": []string{"A=b"}, "Cmd": []string{"run"}},
	}
	if id == sum(f.manifest) {
		a["Descriptor"] = f.descriptor()
	}
	return a
}

// withForeignBlobs adds what a containerd store's stream may hold besides the
// image: an attestation, another platform's config and layer, odd files.
func withForeignBlobs(t testing.TB, items []item) []item {
	arm := newFixture(t, "arm64", []string{gzipLayer}, tarOf(t, "arm", noise(5, 5000)))
	junk := gz(t, []byte("compressed, but no tar"))
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicate":{}}`)
	extra := []item{{name: "VERSION", body: []byte("1.0")}, {name: "odd", body: []byte{0x1f, 0x8b, 1, 2, 3}}}
	for _, b := range [][]byte{arm.config, arm.manifest, arm.layers[0].stored, junk, statement} {
		extra = append(extra, item{name: blobPath(b), body: b})
	}
	return append(extra, items...)
}

func reversed(items []item) []item {
	var out []item
	for i := range items {
		out = append(out, items[len(items)-1-i])
	}
	return out
}

func TestEngineStreams(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	allPlain := newFixture(t, "amd64", []string{plainLayer, plainLayer, plainLayer, plainLayer}, f.layers[0].plain, f.layers[1].plain, f.layers[2].plain, f.layers[3].plain)
	old := &fakeEngine{api: "1.41", inspect: map[string]any{"app:1": f.inspected(t, sum(f.config))}, stream: archiveOf(t, f.oldDockerItems(t, "app:1")...)}
	overlay := func(items []item) *fakeEngine {
		return &fakeEngine{api: "1.47", inspect: map[string]any{"app:1": f.inspected(t, sum(allPlain.config))}, stream: archiveOf(t, items...)}
	}
	store := func(items []item) *fakeEngine {
		return &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": f.inspected(t, sum(f.manifest))}, stream: archiveOf(t, items...)}
	}
	for name, tc := range map[string]struct {
		engine *fakeEngine
		stored bool
	}{
		"20.10":                      {old, false},
		"25 overlay2":                {overlay(f.newDockerItems(t, "app:1", true)), false},
		"25 overlay2, reversed":      {overlay(reversed(f.newDockerItems(t, "app:1", true))), false},
		"29 containerd":              {store(f.newDockerItems(t, "app:1", false)), true},
		"29 containerd, reversed":    {store(reversed(f.newDockerItems(t, "app:1", false))), true},
		"29 containerd, other blobs": {store(withForeignBlobs(t, f.newDockerItems(t, "app:1", false))), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img, err := New(Config{Engine: Engine{Host: tc.engine.listen(t)}, UserAgent: "ib/1"}).Open(t.Context(), "docker-daemon:app:1")
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			if img.Source != "docker-daemon" || img.Platform != "linux/amd64" || len(img.RepoDigests) != 1 || img.Config.Config.Cmd[0] != "run" {
				t.Errorf("after Open: %+v", img)
			}
			if (img.Digest == sum(f.manifest)) != tc.stored || (img.ConfigDigest != "") == tc.stored {
				t.Errorf("after Open: digest %q, config %q", img.Digest, img.ConfigDigest)
			}
			got, err := readAll(t.Context(), img, ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range f.layers {
				if !bytes.Equal(got[i], l.plain) {
					t.Errorf("layer %d differs", i)
				}
				want := Layer{DiffID: sum(l.plain), Size: -1}
				if tc.stored && l.mediaType != plainLayer {
					want.Digest, want.Size = sum(l.stored), int64(len(l.stored))
				}
				if have := img.Layers[i]; have.DiffID != want.DiffID || have.Digest != want.Digest || have.Size != want.Size {
					t.Errorf("layer %d is %+v, want %+v", i, have, want)
				}
			}
			if len(img.Config.History) != 4 || img.Config.History[3].CreatedBy != "RUN step 3" {
				t.Errorf("history %v", img.Config.History)
			}
			if tc.stored && (img.Digest != sum(f.manifest) || img.ConfigDigest != sum(f.config) || img.Annotations["org.opencontainers.image.base.name"] != "base:1") {
				t.Errorf("digest %s, config %s, annotations %v", img.Digest, img.ConfigDigest, img.Annotations)
			}
			for _, s := range tc.engine.requests() {
				if strings.HasPrefix(s, "/images/get?") {
					q, _ := url.ParseQuery(strings.TrimPrefix(s, "/images/get?"))
					if id := img.Config; id == nil || q.Get("names") != tc.engine.inspect["app:1"].(map[string]any)["Id"] {
						t.Errorf("save asked for %s", q.Get("names"))
					}
					if has := q.Get("platform") != ""; has != (tc.engine.api == "1.52") {
						t.Errorf("API %s: platform %q", tc.engine.api, q.Get("platform"))
					}
				}
			}
			if diff := cmp.Diff(map[string]bool{"ib/1": true}, tc.engine.agent); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEngineWantedLayers(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	e := &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": f.inspected(t, sum(f.manifest))}, stream: archiveOf(t, reversed(f.newDockerItems(t, "app:1", false))...)}
	img, err := New(Config{Engine: Engine{Host: e.listen(t)}}).Open(t.Context(), "docker-daemon:app:1")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := readAll(t.Context(), img, ReadOptions{Want: func(string) bool { return false }}); err != nil {
		t.Fatal(err)
	}
	if got := e.requests(); len(got) != 1 {
		t.Errorf("requests %v: a stream was opened for nothing", got)
	}
	got, err := readAll(t.Context(), img, ReadOptions{Want: func(id string) bool { return id == sum(f.layers[1].plain) }})
	if err != nil {
		t.Fatal(err)
	}
	if got[0] != nil || got[2] != nil || !bytes.Equal(got[1], f.layers[1].plain) {
		t.Error("other layers came")
	}
	if len(img.Config.History) != 4 || img.Layers[0].Size != int64(len(f.layers[0].stored)) {
		t.Errorf("config and sizes are not complete: %+v", img.Layers)
	}
}

// TestEngineLayersToldByName visits only what is wanted where the stream's names
// are diffIDs.
func TestEngineLayersToldByName(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	e := &fakeEngine{api: "1.47", inspect: map[string]any{"app:1": f.inspected(t, sum(f.config))}, stream: archiveOf(t, f.newDockerItems(t, "app:1", true)...)}
	img, err := New(Config{Engine: Engine{Host: e.listen(t)}}).Open(t.Context(), "docker-daemon:app:1")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	visits := 0
	_, err = Read(t.Context(), img, ReadOptions{Want: func(id string) bool { return id == sum(f.layers[2].plain) }}, func(context.Context, io.Reader) (int, error) {
		visits++
		return 0, nil
	})
	if err != nil || visits != 1 {
		t.Errorf("%d visits, %v", visits, err)
	}
}

func TestEngineVisitorErrors(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	e := &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": f.inspected(t, sum(f.manifest))}, stream: archiveOf(t, withForeignBlobs(t, f.newDockerItems(t, "app:1", false))...)}
	host := e.listen(t)
	mine := errors.New("mine")
	fail := func(bad func(b []byte) bool) error {
		img, err := New(Config{Engine: Engine{Host: host}}).Open(t.Context(), "docker-daemon:app:1")
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		_, err = Read(t.Context(), img, ReadOptions{}, func(_ context.Context, r io.Reader) (int, error) {
			b, err := io.ReadAll(r)
			if err == nil && bad(b) {
				err = mine
			}
			return 0, err
		})
		return err
	}
	if err := fail(func(b []byte) bool { return bytes.Equal(b, f.layers[1].plain) }); !errors.Is(err, mine) || !strings.Contains(err.Error(), "layer 1") {
		t.Errorf("a layer of the image: %v", err)
	}
	// What is not the image's may be anything, and fail.
	if err := fail(func(b []byte) bool { return !isTar(b) }); err != nil {
		t.Errorf("another blob: %v", err)
	}
}

// TestEnginePlatformOfAnIndex asks for one platform of several: the engine then
// answers with the ID of that platform's manifest, which save does not find.
func TestEnginePlatformOfAnIndex(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	index := f.inspected(t, sum([]byte("the index")))
	e := &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": index}, one: f.inspected(t, sum(f.manifest)), stream: archiveOf(t, f.newDockerItems(t, "app:1", false)...)}
	img, err := New(Config{Engine: Engine{Host: e.listen(t)}, Platform: "linux/amd64"}).Open(t.Context(), "docker-daemon:app:1")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := readAll(t.Context(), img, ReadOptions{}); err != nil || img.Digest != sum(f.manifest) {
		t.Errorf("digest %s, %v", img.Digest, err)
	}
}

// TestEngineConfigOfTheRightPlatform has two images of the same layers, as data
// images have, in one stream.
func TestEngineConfigOfTheRightPlatform(t *testing.T) {
	t.Parallel()
	layer := tarOf(t, "data", "1")
	amd, arm := newFixture(t, "amd64", []string{gzipLayer}, layer), newFixture(t, "arm64", []string{gzipLayer}, layer)
	for _, f := range []*fixture{amd, arm} {
		e := &fakeEngine{api: "1.52", inspect: map[string]any{"app": f.inspected(t, sum(f.manifest))}, stream: archiveOf(t, itemsOf(ociFilesOf(t, nil, amd, arm))...)}
		img, err := New(Config{Engine: Engine{Host: e.listen(t)}}).Open(t.Context(), "docker-daemon:app")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(t.Context(), img, ReadOptions{}); err != nil || img.ConfigDigest != sum(f.config) || img.Digest != sum(f.manifest) {
			t.Errorf("%s: config %s, manifest %s, %v", img.Platform, img.ConfigDigest, img.Digest, err)
		}
		img.Close()
	}
}

func TestEngineStreamsThatAreBroken(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	items := f.newDockerItems(t, "app:1", false)
	gzipBlob := blobPath(f.layers[0].stored)
	plainBlob := blobPath(f.layers[2].stored)
	flip := func(it item) []item {
		it.body = bytes.Clone(it.body)
		it.body[len(it.body)/2] ^= 1
		return []item{it}
	}
	drop := func(item) []item { return nil }
	whole := archiveOf(t, items...)
	for name, tc := range map[string]struct {
		stream []byte
		limits Limits
		want   string
	}{
		"cut":              {whole[:len(whole)/3], Limits{}, "broke off; see the engine's log"},
		"empty":            {nil, Limits{}, "does not hold its blob"},
		"no tar":           {[]byte(strings.Repeat("error from daemon ", 100)), Limits{}, "broke off"},
		"gzip changed":     {archiveOf(t, replaced(items, gzipBlob, flip)...), Limits{}, "was changed or damaged"},
		"plain changed":    {archiveOf(t, replaced(items, plainBlob, flip)...), Limits{}, "was changed or damaged"},
		"manifest changed": {archiveOf(t, replaced(items, blobPath(f.manifest), flip)...), Limits{}, "was changed or damaged"},
		"blob missing":     {archiveOf(t, replaced(items, gzipBlob, drop)...), Limits{}, "reading layer 0: the engine does not hold its blob"},
		"config missing":   {archiveOf(t, replaced(items, blobPath(f.config), drop)...), Limits{}, "has none for this image"},
		"too many entries": {whole, Limits{MaxEntries: 3}, "more than 3 entries"},
		"too much":         {whole, Limits{MaxUnpacked: 100 << 10}, "unpacks to more than 100 KiB; raise --max-unpacked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": f.inspected(t, sum(f.manifest))}, stream: tc.stream}
			img, err := New(Config{Engine: Engine{Host: e.listen(t)}, Limits: tc.limits}).Open(t.Context(), "docker-daemon:app:1")
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			got, err := readAll(t.Context(), img, ReadOptions{})
			if err == nil || got != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%d layers and %v, want %q", len(got), err, tc.want)
			}
		})
	}
}

func TestEngineErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	open := func(host, platform, ref string) (*Image, error) {
		return New(Config{Engine: Engine{Host: host}, Platform: platform}).Open(t.Context(), ref)
	}
	check := func(err error, notFound bool, want ...string) {
		t.Helper()
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%v lacks %q", err, w)
			}
		}
		if errors.Is(err, ErrNotFound) != notFound {
			t.Errorf("ErrNotFound is %v for %v", !notFound, err)
		}
	}
	gone := "unix://" + filepath.Join(t.TempDir(), "none.sock")
	_, err := open(gone, "", "docker-daemon:app:1")
	check(err, false, "no engine answers at "+gone, "no such socket", "DOCKER_HOST", "docker://app:1")
	_, err = open("ssh://host", "", "docker-daemon:app:1")
	check(err, false, "ssh:// is not supported")
	_, err = open("nonsense", "", "docker-daemon:app:1")
	check(err, false, "write unix:///path or tcp://host:port")
	_, err = open("tcp://127.0.0.1:1", "", "docker-daemon:app:1")
	check(err, false, "no engine answers at tcp://127.0.0.1:1")

	old := (&fakeEngine{api: "1.41", inspect: map[string]any{"app:1": f.inspected(t, sum(f.config))}}).listen(t)
	_, err = open(old, "", "docker-daemon:other")
	check(err, true, "has no image other", "docker://other")
	_, err = open(old, "linux/arm64", "docker-daemon:app:1")
	check(err, false, "linux/arm64 was asked for, but the image is linux/amd64")
	current := (&fakeEngine{api: "1.52", other: f.inspected(t, sum(f.manifest))}).listen(t)
	_, err = open(current, "linux/arm64", "docker-daemon:app:1")
	check(err, false, "linux/arm64 was asked for, but the image is linux/amd64")

	listed := &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": f.inspected(t, sum(f.manifest))}, one: map[string]any{"Id": sum(f.manifest)}}
	_, err = open(listed.listen(t), "linux/arm64", "docker-daemon:app:1")
	check(err, false, "holds no layers of it for linux/arm64; pull or build it for that platform")

	full := &fakeEngine{api: "1.41", inspect: map[string]any{"app:1": f.inspected(t, sum(f.config))}, status: 500}
	img, err := open(full.listen(t), "linux/amd64", "docker-daemon:app:1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = readAll(t.Context(), img, ReadOptions{})
	check(err, false, "refused docker-daemon:app:1", "no space left on device")

	huge := &fakeEngine{api: "1.41", inspect: map[string]any{"app:1": map[string]any{"Comment": strings.Repeat("x", maxInspect)}}}
	_, err = open(huge.listen(t), "", "docker-daemon:app:1")
	check(err, false, "the engine's answer is larger than 16 MiB")
}

func TestEngineReadEndsWithTheContext(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	e := &fakeEngine{api: "1.41", inspect: map[string]any{"app:1": f.inspected(t, sum(f.config))}, stream: archiveOf(t, f.oldDockerItems(t, "app:1")...), hold: make(chan struct{})}
	img, err := New(Config{Engine: Engine{Host: e.listen(t)}}).Open(t.Context(), "docker-daemon:app:1")
	if err != nil {
		t.Fatal(err)
	}
	defer close(e.hold)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Read(ctx, img, ReadOptions{}, func(context.Context, io.Reader) (int, error) { cancel(); return 0, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestEngineImageIDs(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	id := sum(f.config)
	e := &fakeEngine{api: "1.41", inspect: map[string]any{id: f.inspected(t, id), id[7:19]: f.inspected(t, id)}}
	host := e.listen(t)
	for _, ref := range []string{"docker-daemon:" + id, "docker-daemon:" + id[7:19]} {
		if _, err := New(Config{Engine: Engine{Host: host}}).Open(t.Context(), ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for _, ref := range []string{"docker-daemon:", "docker-daemon:../../x", "docker-daemon:A B"} {
		if _, err := New(Config{Engine: Engine{Host: host}}).Open(t.Context(), ref); err == nil {
			t.Errorf("%s: no error", ref)
		}
	}
}

// FuzzSaveStream feeds save streams of any shape.
func FuzzSaveStream(f *testing.F) {
	x := newFixture(f, "amd64", []string{gzipLayer, plainLayer}, tarOf(f, "a", "b"), tarOf(f, "c", "d"))
	f.Add(archiveOf(f, x.oldDockerItems(f, "a:1")...))
	f.Add(archiveOf(f, x.newDockerItems(f, "a:1", false)...))
	f.Add(archiveOf(f, withForeignBlobs(f, x.newDockerItems(f, "a:1", true))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		img := &Image{Platform: "linux/amd64", Annotations: map[string]string{}, limits: Limits{MaxUnpacked: 1 << 20, MaxEntries: 100, MaxManifest: 1 << 20, MaxConfig: 1 << 20}}
		for _, l := range x.layers {
			img.Layers = append(img.Layers, Layer{DiffID: sum(l.plain), Size: -1})
		}
		img.stream = func(ctx context.Context, p *pass) error {
			return newSaveStream(p, "", "").read(ctx, newTarReader(data))
		}
		got, err := readAll(t.Context(), img, ReadOptions{})
		for i := range got {
			if err == nil && !bytes.Equal(got[i], x.layers[i].plain) {
				t.Errorf("layer %d is not what its diffID says", i)
			}
		}
	})
}

// TestRealEngines reads the images of running engines. The variable lists their
// addresses, so that the choice of engines is the caller's.
func TestRealEngines(t *testing.T) {
	t.Parallel()
	hosts := bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES") // each of them holds ib/mixed:1
	const ref = "docker-daemon:ib/mixed:1"
	var mu sync.Mutex
	layers := map[string]string{}
	for _, host := range strings.Split(hosts, ",") {
		t.Run(host, func(t *testing.T) {
			img, err := New(Config{Engine: Engine{Host: host}}).Open(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			got, err := Read(t.Context(), img, ReadOptions{}, func(_ context.Context, r io.Reader) (string, error) {
				h := sha256.New()
				_, err := io.Copy(h, r)
				return "sha256:" + hex.EncodeToString(h.Sum(nil)), err
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range img.Layers {
				if got[i] != l.DiffID {
					t.Errorf("layer %d read as %s, its diffID is %s", i, got[i], l.DiffID)
				}
			}
			if len(img.Config.History) < len(img.Layers) || img.ConfigDigest == "" {
				t.Errorf("config %q has %d history entries", img.ConfigDigest, len(img.Config.History))
			}
			mu.Lock()
			layers[host] = fmt.Sprint(got)
			mu.Unlock()
			if _, err := New(Config{Engine: Engine{Host: host}}).Open(t.Context(), "docker-daemon:no/such:image"); !errors.Is(err, ErrNotFound) {
				t.Errorf("an image that is not there: %v", err)
			}
			if _, err := New(Config{Engine: Engine{Host: host}, Platform: "linux/s390x"}).Open(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "but the image is linux/") {
				t.Errorf("another platform: %v", err)
			}
		})
	}
	for _, got := range layers {
		for host, other := range layers {
			if got != other {
				t.Errorf("%s has other layers than the first engine", host)
			}
		}
	}
}
