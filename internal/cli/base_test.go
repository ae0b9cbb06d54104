package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/image-budget/source"
)

// pushed stores an image in a registry and returns its reference and digest.
func pushed(t testing.TB, ref string, img v1.Image) (string, string) {
	t.Helper()
	tag, err := name.ParseReference(ref)
	must(t, err)
	must(t, remote.Write(tag, img))
	digest, err := img.Digest()
	must(t, err)
	return ref, digest.String()
}

func TestBaseIsFoundByAnnotation(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(registry.New())
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	base := layer{"RUN base", map[string]string{"etc/os-release": strings.Repeat("x", 700)}}
	baseRef, digest := pushed(t, host+"/base:1", image(t, base))
	app := layer{"RUN app", map[string]string{"app": strings.Repeat("y", 300)}}
	annotated := mutate.Annotations(image(t, base, app), map[string]string{
		"org.opencontainers.image.base.name": baseRef, "org.opencontainers.image.base.digest": digest,
	}).(v1.Image)
	ref, _ := pushed(t, host+"/app:1", annotated)
	type shown struct {
		Images []struct {
			Base *struct {
				FoundBy string `json:"found_by"`
				Metrics struct{ Unpacked int64 }
			}
			Own *struct{ Metrics struct{ Unpacked int64 } }
		}
		Notes []string
	}
	inspect := func(args ...string) (s shown) {
		r := invoke(t, nil, append([]string{"inspect", "--format", "json"}, args...)...)
		r.want(t, ExitOK)
		must(t, json.Unmarshal([]byte(r.stdout), &s))
		return s
	}
	s := inspect(ref)
	if img := s.Images[0]; img.Base == nil || img.Base.FoundBy != "annotation" || img.Base.Metrics.Unpacked != 700 || img.Own.Metrics.Unpacked != 300 {
		t.Errorf("%+v", s)
	}
	// What the user says goes first, and a wrong base is no base.
	other, _ := pushed(t, host+"/other:1", image(t, app))
	s = inspect(ref, "--base", other)
	if s.Images[0].Base != nil || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "was not built from") {
		t.Errorf("%+v", s)
	}
	s = inspect(ref, "--base", host+"/missing:1")
	if s.Images[0].Base != nil || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "not told apart") {
		t.Errorf("%+v", s)
	}
}

// An image and its baseline have one base: the registry is asked for it once.
func TestBaseIsAskedForOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	handler := registry.New()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/base/manifests/") {
			asked.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	base := layer{"RUN base", map[string]string{"a": "1"}}
	baseRef, _ := pushed(t, host+"/base:1", image(t, base))
	old, _ := pushed(t, host+"/app:1", image(t, base, layer{"RUN app", map[string]string{"b": "1"}}))
	head, _ := pushed(t, host+"/app:2", image(t, base, layer{"RUN app", map[string]string{"b": "22"}}))
	asked.Store(0)
	invoke(t, nil, "diff", old, head, "--base", baseRef).want(t, ExitOK)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestBaseIsFoundInThisOrder gives an image one hint after the other, from the
// weakest on. Each of them says something else, and the strongest is believed.
func TestBaseIsFoundInThisOrder(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	var layers []layer
	var bases []string
	for i := range 6 {
		layers = append(layers, layer{fmt.Sprintf("RUN step %d # buildkit", i), map[string]string{fmt.Sprint("f", i): "1"}})
		ref, _ := pushed(t, fmt.Sprintf("%s/base%d:1", reg.host, i+1), image(t, layers...))
		bases = append(bases, ref)
	}
	file := func(from string, first int) string {
		text := "FROM " + from + "\n"
		for i := first; i < len(layers); i++ {
			text += fmt.Sprintf("RUN step %d\n", i)
		}
		return write(t, filepath.Join(t.TempDir(), "Dockerfile"), text)
	}
	plain := image(t, layers...)
	ref, _ := pushed(t, reg.host+"/web:plain", plain)
	annotated := mutate.Annotations(plain, map[string]string{"org.opencontainers.image.base.name": bases[2]}).(v1.Image)
	withAnnotation, _ := pushed(t, reg.host+"/web:annotated", annotated)
	proven := withProvenance(t, reg.host+"/web:proven", annotated, maxProvenance(t, bases[3], annotated, 4))
	budget := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages: {web: {image: x, base: \""+bases[4]+"\", limits: {layers: {max: 9}}}}\n")
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"no base", []string{ref}},
		{"no base", []string{ref, "--dockerfile", file("$UNKNOWN", 7)}},
		{":1 by history, 1 of 6", []string{ref, "--dockerfile", file(reg.host+"/gone:1", 1)}},
		{" by history, 1 of 6", []string{ref, "--dockerfile", file("$UNKNOWN", 1)}},
		{":1 by FROM, 2 of 6", []string{ref, "--dockerfile", file(bases[1], 1)}},
		{":1 by annotation, 3 of 6", []string{withAnnotation, "--dockerfile", file(bases[1], 1)}},
		{":1 by provenance, 4 of 6", []string{proven, "--dockerfile", file(bases[1], 1)}},
		{":1 by --base, 6 of 6", []string{proven, "--dockerfile", file(bases[1], 1), "--base", bases[5]}},
		{"scratch by --base, 0 of 6", []string{proven, "--base", "scratch"}},
	} {
		s := tell(t, nil, tc.args...)
		if !strings.Contains(s.String(), tc.want) || len(s.Notes) > 0 && !strings.Contains(s.Notes[0], "lines are") {
			t.Errorf("%q: %s, %s", tc.args, s, s.Notes)
		}
	}
	check := func(args ...string) (s told) {
		r := invoke(t, nil, append([]string{"check", "web=" + proven, "--config", budget, "--format", "json", "--detail", "manifest"}, args...)...)
		r.want(t, ExitOK)
		must(t, json.Unmarshal([]byte(r.stdout), &s))
		return s
	}
	if s := check().String(); !strings.Contains(s, "by budget file, 5 of 6") {
		t.Error(s)
	}
	if s := check("--base", bases[5]).String(); !strings.Contains(s, "by --base, 6 of 6") {
		t.Error(s)
	}
}

// TestBaseThatProvenanceOnlyNames is opened and compared. Of several images the
// one counts that most layers come from.
func TestBaseThatProvenanceOnlyNames(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	a, b, c := layer{"RUN a", map[string]string{"a": "1"}}, layer{"RUN b", map[string]string{"b": "1"}}, layer{"RUN c", map[string]string{"c": "1"}}
	pushed(t, reg.host+"/a:1", image(t, a))
	pushed(t, reg.host+"/ab:1", image(t, a, b))
	pushed(t, reg.host+"/other:1", image(t, b))
	pushed(t, reg.host+"/ac:1", image(t, a, c))
	app := image(t, a, b, c)
	for _, tc := range []struct {
		images     []string
		want, note string
	}{
		{[]string{"other@1", "a@1", "ab@1"}, "/ab:1 by provenance, 2 of 3", ""},
		{[]string{"ab@1", "a@1"}, "/ab:1 by provenance, 2 of 3", ""},
		{[]string{"a@1", "other@1"}, "/a:1 by provenance, 1 of 3", ""},
		// Somebody who should know was not right: that is worth a word.
		{[]string{"other@1"}, "no base", "it begins with the layers of none; name its base, which may be scratch"},
		{[]string{"ac@1"}, "no base", "it begins with the layers of none"},
		{[]string{"gone@1", "ac@1"}, "no base", "opening " + reg.host + "/gone:1 (named by provenance): "},
		{[]string{"gone@1"}, "no base", "opening " + reg.host + "/gone:1 (named by provenance): "},
		{nil, "no base", ""},
	} {
		var refs []string
		for _, name := range tc.images {
			refs = append(refs, reg.host+"/"+name)
		}
		s := tell(t, nil, withProvenance(t, reg.host+"/web:1", app, minProvenance(refs...)))
		if notes := strings.Join(s.Notes, "\n"); !strings.Contains(s.String(), tc.want) || (tc.note == "") != (notes == "") || !strings.Contains(notes, tc.note) {
			t.Errorf("%s: %s, %s", tc.images, s, notes)
		}
	}
}

// TestScratchIsKnown judges own bytes of images that have no base.
func TestScratchIsKnown(t *testing.T) {
	t.Parallel()
	img := image(t, layer{"COPY a /a # buildkit", map[string]string{"a": strings.Repeat("x", 700)}}, layer{"COPY b /b # buildkit", map[string]string{"b": strings.Repeat("x", 300)}})
	ref := inLayout(t, img)
	file := func(text string) string { return write(t, filepath.Join(t.TempDir(), "Dockerfile"), text) }
	budget := func(max string) string {
		return write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages: {web: {image: x, own: {unpacked: {max: "+max+"}}}}\n")
	}
	whole := file("FROM scratch\nCOPY a /a\nCOPY b /b\n")
	invoke(t, nil, "check", "web="+ref, "--config", budget("1kB"), "--dockerfile", whole).want(t, ExitOK, "own unpacked", "1.0 kB")
	invoke(t, nil, "check", "web="+ref, "--config", budget("999B"), "--dockerfile", whole).want(t, ExitOver, "own unpacked")
	invoke(t, nil, "check", "web="+ref, "--config", budget("1kB"), "--base", "scratch").want(t, ExitOK)
	invoke(t, nil, "inspect", ref, "--dockerfile", whole).want(t, ExitOK, "base scratch, found by FROM")
	// A file that did not make all of it says nothing.
	for _, other := range []string{"FROM scratch\nCOPY b /b\n", "FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY c /c\n", "FROM scratch\nCOPY c /c\n"} {
		invoke(t, nil, "check", "web="+ref, "--config", budget("1kB"), "--dockerfile", file(other)).want(t, ExitOK, "it is not known what the base image brought")
	}
	// The snapshot of it is a baseline like any other.
	store := "file:" + filepath.Join(t.TempDir(), "baseline.json")
	invoke(t, nil, "baseline", "save", "web="+ref, "--config", budget("1kB"), "--dockerfile", whole, "--baseline", store).want(t, ExitOK)
	grown := inLayout(t, image(t, layer{"COPY a /a # buildkit", map[string]string{"a": strings.Repeat("x", 900)}}, layer{"COPY b /b # buildkit", map[string]string{"b": strings.Repeat("x", 300)}}))
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages: {web: {image: x, own: {unpacked: {growth: 150B}}}}\n")
	invoke(t, nil, "check", "web="+grown, "--config", config, "--dockerfile", whole, "--baseline", store).want(t, ExitOver, "own unpacked", "+200 B")
	invoke(t, nil, "check", "web="+ref, "--config", config, "--baseline", store).want(t, ExitOK, "own unpacked")
}

// TestTriggersOfABaseAreNotTakenForIt: history cannot tell them apart.
func TestTriggersOfABaseAreNotTakenForIt(t *testing.T) {
	t.Parallel()
	img := image(t, layer{"RUN base", map[string]string{"a": "1"}}, layer{"RUN trigger # buildkit", map[string]string{"b": "1"}}, layer{"RUN own # buildkit", map[string]string{"c": "1"}})
	file := write(t, filepath.Join(t.TempDir(), "Dockerfile"), "FROM $UNKNOWN\nRUN own\n")
	if s := tell(t, nil, inLayout(t, img), "--dockerfile", file); !strings.Contains(s.String(), "by history, 2 of 3") {
		t.Error(s)
	}
	cfg, err := img.ConfigFile()
	must(t, err)
	cfg = cfg.DeepCopy()
	cfg.History = append(cfg.History, v1.History{CreatedBy: "ONBUILD RUN trigger", EmptyLayer: true})
	img, err = mutate.ConfigFile(img, cfg)
	must(t, err)
	if s := tell(t, nil, inLayout(t, img), "--dockerfile", file); !strings.Contains(s.String(), "no base") {
		t.Error(s)
	}
}

// TestBaseIsOpenedOnceByMany asks for one base from all sides at once.
func TestBaseIsOpenedOnceByMany(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	ref, _ := pushed(t, reg.host+"/base:1", image(t, layer{"RUN base", map[string]string{"a": "1"}}))
	var bases baseImages
	opener := source.New(source.Config{})
	n := reg.during(func() {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if layers, err := bases.layers(t.Context(), opener, "", ref); len(layers) != 1 || err != nil {
					t.Errorf("%d layers, %v", len(layers), err)
				}
			})
		}
		all.Wait()
	})
	if n != 3 {
		t.Errorf("%d requests", n)
	}
	// Who was interrupted has not found out anything.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bases.layers(ctx, opener, "linux/amd64", ref); err == nil {
		t.Error("no error")
	}
	if layers, err := bases.layers(t.Context(), opener, "linux/amd64", ref); len(layers) != 1 || err != nil {
		t.Errorf("%d layers, %v", len(layers), err)
	}
}

// TestBaseInTheSameEngine: what an engine built stands on what it holds, under
// the name in FROM.
func TestBaseInTheSameEngine(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	a, b := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	images := map[string][]string{"web:1": {a, b}, reg.host + "/base:1": {a}, reg.host + "/moved:1": {b}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v1.41/images/"), "/json")
		layers, ok := images[name]
		switch {
		case r.URL.Path == "/_ping":
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message": "no such image"}`)
		default:
			must(t, json.NewEncoder(w).Encode(map[string]any{
				"Id": "sha256:" + strings.Repeat("1", 64), "Os": "linux", "Architecture": "amd64", "RootFS": map[string]any{"Type": "layers", "Layers": layers},
			}))
		}
	}))
	t.Cleanup(srv.Close)
	env := map[string]string{"DOCKER_HOST": "tcp://" + strings.TrimPrefix(srv.URL, "http://")}
	for from, tc := range map[string]struct {
		want  string
		asked int
	}{
		reg.host + "/base:1":  {reg.host + "/base:1 by FROM, 1 of 2: base -", 0},
		reg.host + "/moved:1": {"no base: - -", 2},
		reg.host + "/gone:1":  {"no base: - -", 2},
	} {
		file := write(t, filepath.Join(t.TempDir(), "Dockerfile"), "ARG FROM="+from+"\nFROM $FROM AS build\nRUN x\nFROM build\n")
		n := reg.during(func() {
			if s := tell(t, env, "docker-daemon:web:1", "--dockerfile", file); s.String() != tc.want || len(s.Notes) != 0 {
				t.Errorf("%s: %s, %s", from, s, s.Notes)
			}
		})
		if n != tc.asked {
			t.Errorf("%s: %d requests", from, n)
		}
	}
}

// TestBaseThatWasMoved has a certain base whose layers nothing tells.
func TestBaseThatWasMoved(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	a, b := layer{"RUN a", map[string]string{"a": "1"}}, layer{"RUN b", map[string]string{"b": "1"}}
	app := image(t, a, b)
	base, digest := pushed(t, reg.host+"/base:1", image(t, a))
	pushed(t, base, image(t, a, layer{"RUN c", map[string]string{"c": "1"}}))
	for ref, want := range map[string]string{
		base:                "no base",
		base + "@" + digest: "/base:1 by provenance, 1 of 2",
	} {
		statement := strings.ReplaceAll(maxProvenance(t, ref, app, 1), `"step0:0"`, `"step9:0"`)
		statement = strings.Replace(statement, `"inputs":["step9:0"]`, `"inputs":["step0:0"]`, 1)
		s := tell(t, nil, withProvenance(t, reg.host+"/web:1", app, statement))
		if notes := strings.Join(s.Notes, ""); !strings.Contains(s.String(), want) || (want == "no base") != strings.Contains(notes, "(1 of its 2 layers are there)") {
			t.Errorf("%s: %s, %s", ref, s, notes)
		}
	}
}
