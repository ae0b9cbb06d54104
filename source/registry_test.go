package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
)

// gate stands before a registry: it notes requests, except the test's own, and
// lets a test answer in the registry's place.
type gate struct {
	next   http.Handler
	answer func(w http.ResponseWriter, r *http.Request, n int) bool

	mu   sync.Mutex
	seen []string
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Setup") == "" {
		g.mu.Lock()
		g.seen = append(g.seen, r.Method+" "+r.URL.Path)
		n := 0
		for _, s := range g.seen {
			if s == r.Method+" "+r.URL.Path {
				n++
			}
		}
		g.mu.Unlock()
		if g.answer != nil && g.answer(w, r, n) {
			return
		}
	}
	g.next.ServeHTTP(w, r)
}

func (g *gate) requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.seen...)
}

// gated starts a registry behind a gate.
func gated(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int) bool) (string, *gate) {
	g := &gate{answer: answer}
	return serve(t, func(h http.Handler) http.Handler { g.next = h; return g }), g
}

// bearer asks for a token as a registry with a token server does.
func bearer(w http.ResponseWriter, r *http.Request, user, password, token string) bool {
	switch {
	case r.URL.Path == "/token":
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		fmt.Fprintf(w, `{"token":%q}`, token)
		return true
	case r.Header.Get("Authorization") != "Bearer "+token:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`)
		return true
	}
	return false
}

// TestOpenNeedsFiveRequests counts what opening costs: ping, token, index,
// manifest, config.
func TestOpenNeedsFiveRequests(t *testing.T) {
	t.Parallel()
	host, g := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool { return bearer(w, r, "me", "pass", "tok") })
	f := mixedFixture(t)
	pushIndex(t, host, f)
	o := New(Config{Keychain: Keychain(KeychainOptions{Explicit: []Login{{host, "me", "pass"}}, Docker: authn.NewMultiKeychain()})})
	img, err := o.Open(t.Context(), host+"/app:index")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"GET /v2/", "GET /token", "GET /v2/app/manifests/index", "GET /v2/app/manifests/" + sum(f.manifest), "GET /v2/app/blobs/" + sum(f.config)}
	if diff := cmp.Diff(want, g.requests()); diff != "" {
		t.Error(diff)
	}
	if img.BlobBytesRead() != 0 {
		t.Error("a layer was read")
	}
	// A second image of the repository costs no ping and no token.
	if _, err := o.Open(t.Context(), host+"/app@"+sum(f.manifest)); err != nil {
		t.Fatal(err)
	}
	if n := len(g.requests()); n != 7 {
		t.Errorf("two images took %d requests", n)
	}
}

// pushIndex pushes f for amd64 and another image for arm64, with an attestation.
func pushIndex(t testing.TB, host string, f *fixture) (arm *fixture) {
	t.Helper()
	arm = newFixture(t, "arm64", []string{gzipLayer}, tarOf(t, "arm", "64"))
	f.push(t, host, "app", "amd64")
	arm.push(t, host, "app", "arm64")
	a, b, att, marked := f.descriptor(), arm.descriptor(), arm.descriptor(), arm.descriptor()
	a["platform"] = object{"os": "linux", "architecture": "amd64"}
	a["annotations"] = object{"from": "index", "org.opencontainers.image.base.name": "overridden"}
	b["platform"] = object{"os": "linux", "architecture": "arm64", "variant": "v8"}
	att["platform"] = object{"os": "unknown", "architecture": "unknown"}
	marked["platform"] = object{"os": "linux", "architecture": "amd64"}
	marked["annotations"] = object{"vnd.docker.reference.type": "attestation-manifest"}
	index := toJSON(t, object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{att, marked, b, a}})
	putManifest(t, host, "app", "index", "application/vnd.oci.image.index.v1+json", index)
	nested := toJSON(t, object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []any{descriptor("application/vnd.oci.image.index.v1+json", index)}})
	putManifest(t, host, "app", "nested", "application/vnd.oci.image.index.v1+json", nested)
	return arm
}

func TestPlatformChoice(t *testing.T) {
	t.Parallel()
	host, _ := gated(t, nil)
	f := mixedFixture(t)
	arm := pushIndex(t, host, f)
	byDefault := map[string]*fixture{"amd64": f, "arm64": arm}[runtime.GOARCH]
	for _, tc := range []struct {
		tag, platform string
		want          *fixture
		err           string
	}{
		{"index", "linux/amd64", f, ""},
		{"index", "linux/arm64", arm, ""},
		{"index", "linux/arm64/v8", arm, ""},
		{"index", "", byDefault, ""},
		{"nested", "linux/arm64", arm, ""},
		{"arm64", "", arm, ""},
		{"index", "linux/s390x", nil, "linux/s390x was asked for, but there is only linux/amd64, linux/arm64; choose one with --platform"},
		{"index", "linux/amd64/v3", nil, "there is only linux/amd64, linux/arm64"},
		{"arm64", "linux/amd64", nil, "linux/amd64 was asked for, but the image is linux/arm64"},
		{"index", "linux", nil, "OS/ARCH"},
		{"index", "Linux/AMD64", nil, "OS/ARCH"},
	} {
		if tc.want == nil && tc.err == "" {
			continue // this architecture is not in the index
		}
		img, err := New(Config{Platform: tc.platform}).Open(t.Context(), host+"/app:"+tc.tag)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s for %q: %v, want %q", tc.tag, tc.platform, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s for %q: %v", tc.tag, tc.platform, err)
			continue
		}
		if img.Digest != sum(tc.want.manifest) || img.ConfigDigest != sum(tc.want.config) {
			t.Errorf("%s for %q: got %s", tc.tag, tc.platform, img.Platform)
		}
		if tc.want == f && (img.Annotations["from"] != "index" || img.Annotations["org.opencontainers.image.base.name"] != "base:1") {
			t.Errorf("annotations %v", img.Annotations)
		}
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	change := func(change func(map[string]any)) []byte {
		var c map[string]any
		if err := json.Unmarshal(f.manifest, &c); err != nil {
			t.Fatal(err)
		}
		change(c)
		return toJSON(t, c)
	}
	self := object{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": sum(f.config), "size": 1}
	for name, tc := range map[string]struct {
		body []byte
		want string
	}{
		"schema 1":       {[]byte(`{"schemaVersion":1,"fsLayers":[{"blobSum":"sha256:00"}]}`), "schema 1"},
		"both":           {change(func(m map[string]any) { m["manifests"] = []any{} }), "an index and a manifest at once"},
		"layers missing": {change(func(m map[string]any) { m["layers"] = m["layers"].([]any)[:2] }), "2 layers but the config has 4 diff_ids"},
		"no image": {change(func(m map[string]any) {
			m["config"].(map[string]any)["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
		}), "not a container image"},
		"not JSON":          {[]byte("<html>"), "not a JSON manifest"},
		"empty index":       {[]byte(`{"schemaVersion":2,"manifests":[]}`), "lists no image"},
		"index of a config": {toJSON(t, object{"schemaVersion": 2, "manifests": []any{self}}), "has no image"},
		"negative size":     {change(func(m map[string]any) { m["layers"].([]any)[0].(map[string]any)["size"] = -1 }), "size -1"},
		"sha512 layer": {change(func(m map[string]any) {
			m["layers"].([]any)[0].(map[string]any)["digest"] = "sha512:" + strings.Repeat("0", 128)
		}), "not sha256"},
		"config not in repo": {change(func(m map[string]any) { m["config"].(map[string]any)["digest"] = sum(nil) }), "does not hold a blob"},
	} {
		t.Run(name, func(t *testing.T) {
			// The in-memory registry refuses some of these itself.
			broken, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if strings.HasSuffix(r.URL.Path, "/manifests/bad") {
					w.Write(tc.body)
					return true
				}
				return false
			})
			f.push(t, broken, "app", "1")
			_, err := New(Config{}).Open(t.Context(), broken+"/app:bad")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestManifestThatIsNotTheDigestAskedFor(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	arm := newFixture(t, "arm64", []string{gzipLayer}, tarOf(t, "arm", "64"))
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if strings.HasSuffix(r.URL.Path, sum(f.manifest)) {
			w.Write(arm.manifest)
			return true
		}
		return false
	})
	f.push(t, host, "app", "1")
	arm.push(t, host, "app", "2")
	if _, err := New(Config{}).Open(t.Context(), host+"/app@"+sum(f.manifest)); err == nil || !strings.Contains(err.Error(), "was changed or damaged") {
		t.Errorf("error %v", err)
	}
}

func TestRegistryErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status   int
		ref      string
		want     []string
		notFound bool
	}{
		"not found":    {404, "app:1", []string{"has no image", "docker-daemon:"}, true},
		"not hinted":   {404, "docker://app:1", []string{"has no image"}, true},
		"unauthorized": {401, "app:1", []string{"does not let", "docker login", "docker-daemon:"}, false},
		"forbidden":    {403, "app:1", []string{"does not let"}, false},
		"limited":      {429, "app:1", []string{"limits how much may be pulled"}, false},
		"down":         {503, "app:1", []string{"answered 503", "try again later"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if strings.Contains(r.URL.Path, "/manifests/") {
					w.WriteHeader(tc.status)
					fmt.Fprint(w, `{"errors":[{"code":"DENIED","message":"CANARY"},{"code":"CANARY"}]}`)
					return true
				}
				return false
			})
			ref := host + "/" + tc.ref
			if rest, ok := strings.CutPrefix(tc.ref, "docker://"); ok {
				ref = "docker://" + host + "/" + rest
			}
			_, err := New(Config{Wait: new(noWait).wait}).Open(t.Context(), ref)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
			if strings.HasPrefix(ref, "docker://") && strings.Contains(err.Error(), "docker-daemon") {
				t.Errorf("%q hints at the engine", err)
			}
			if strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%q repeats the server's text", err)
			}
			if errors.Is(err, ErrNotFound) != tc.notFound {
				t.Errorf("ErrNotFound is %v", !tc.notFound)
			}
		})
	}
}

func TestRetriesHonourRetryAfter(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	for name, tc := range map[string]struct {
		fails int
		head  map[string]string
		want  []time.Duration
		ok    bool
	}{
		"twice":        {2, nil, []time.Duration{time.Second, 2 * time.Second}, true},
		"four times":   {4, nil, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}, true},
		"five times":   {5, nil, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}, false},
		"seconds":      {1, map[string]string{"Retry-After": "7"}, []time.Duration{7 * time.Second}, true},
		"a date":       {1, map[string]string{"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:29 GMT"}, []time.Duration{30 * time.Second}, true},
		"too long":     {1, map[string]string{"Retry-After": "3600"}, nil, false},
		"long in all":  {3, map[string]string{"Retry-After": "60"}, []time.Duration{time.Minute, time.Minute}, false},
		"nonsense":     {1, map[string]string{"Retry-After": "soon"}, []time.Duration{time.Second}, true},
		"negative":     {1, map[string]string{"Retry-After": "-5"}, []time.Duration{time.Second}, true},
		"out of range": {1, map[string]string{"Retry-After": "9223372036854775807"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
				if strings.HasSuffix(r.URL.Path, "/manifests/1") && n <= tc.fails {
					for k, v := range tc.head {
						w.Header().Set(k, v)
					}
					w.WriteHeader([]int{429, 503, 500, 502, 504}[n-1])
					return true
				}
				return false
			})
			f.push(t, host, "app", "1")
			var w noWait
			_, err := New(Config{Wait: w.wait}).Open(t.Context(), host+"/app:1")
			if (err == nil) != tc.ok {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, w.waits); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// cut sends half of a blob and closes the connection.
func cut(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.Write(b[:len(b)/2])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func TestCutBlobIsReadAgain(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		if strings.HasSuffix(r.URL.Path, sum(f.layers[1].stored)) && n <= 2 {
			cut(w, f.layers[1].stored)
		}
		return false
	})
	f.push(t, host, "app", "1")
	var w noWait
	img, err := New(Config{Wait: w.wait}).Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t.Context(), img, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var whole int64
	for i, l := range f.layers {
		if !bytes.Equal(got[i], l.plain) {
			t.Errorf("layer %d differs", i)
		}
		if i < 3 {
			whole += int64(len(l.stored))
		}
	}
	if n, want := img.BlobBytesRead(), whole+2*int64(len(f.layers[1].stored)/2); n != want {
		t.Errorf("read %d bytes, want %d: cut transfers count", n, want)
	}
	if diff := cmp.Diff([]time.Duration{time.Second, 2 * time.Second}, w.waits); diff != "" {
		t.Error(diff)
	}
}

func TestBlobThatIsAlwaysCut(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	host, g := gated(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		if strings.HasSuffix(r.URL.Path, sum(f.layers[1].stored)) {
			cut(w, f.layers[1].stored)
		}
		return false
	})
	f.push(t, host, "app", "1")
	img, err := New(Config{Wait: new(noWait).wait}).Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t.Context(), img, ReadOptions{})
	if err == nil || !strings.Contains(err.Error(), "reading layer 1") || !strings.Contains(err.Error(), "closed early") {
		t.Errorf("error %v", err)
	}
	if got != nil {
		t.Error("there is a result")
	}
	n := 0
	for _, s := range g.requests() {
		if strings.HasSuffix(s, sum(f.layers[1].stored)) {
			n++
		}
	}
	if n != maxTries {
		t.Errorf("%d tries", n)
	}
}

// TestStalledTransfer ends a transfer of which nothing comes, and starts it again.
func TestStalledTransfer(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		if strings.HasSuffix(r.URL.Path, sum(f.layers[1].stored)) && n == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(f.layers[1].stored)))
			w.Write(f.layers[1].stored[:1000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		}
		return false
	})
	f.push(t, host, "app", "1")
	o := New(Config{Wait: new(noWait).wait})
	o.registries.stall = time.Second
	img, err := o.Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t.Context(), img, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[1], f.layers[1].plain) {
		t.Error("layer 1 differs")
	}
}

func TestChangedBlobIsAnError(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	for name, change := range map[string]func([]byte) []byte{
		"one bit":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"longer":   func(b []byte) []byte { return append(b, 0) },
		"shorter":  func(b []byte) []byte { return b[:len(b)-1] },
		"empty":    func([]byte) []byte { return nil },
		"the tail": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		for layer := range 3 {
			t.Run(fmt.Sprint(name, " of layer ", layer), func(t *testing.T) {
				t.Parallel()
				host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
					if strings.HasSuffix(r.URL.Path, sum(f.layers[layer].stored)) {
						w.Write(change(bytes.Clone(f.layers[layer].stored)))
						return true
					}
					return false
				})
				f.push(t, host, "app", "1")
				img, err := New(Config{Wait: new(noWait).wait}).Open(t.Context(), host+"/app:1")
				if err != nil {
					t.Fatal(err)
				}
				// A visitor that does not look is told all the same.
				_, err = Read(t.Context(), img, ReadOptions{}, func(context.Context, io.Reader) (int, error) { return 1, nil })
				want := fmt.Sprintf("reading layer %d: the stored layer", layer)
				if name == "longer" {
					want += " is longer than"
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// TestManifestWithoutEnd feeds a manifest that never ends; Open must stop at the
// limit and not hold it.
func TestManifestWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"announced": "104857600", "not announced": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			sent := 0
			host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				line := bytes.Repeat([]byte(" "), 64<<10)
				for range 1600 {
					n, err := w.Write(line)
					mu.Lock()
					sent += n
					mu.Unlock()
					if err != nil {
						break
					}
				}
				return true
			})
			_, err := New(Config{Limits: Limits{MaxManifest: 1 << 20}}).Open(t.Context(), host+"/app:1")
			if err == nil || !strings.Contains(err.Error(), "the manifest is larger than 1 MiB") {
				t.Errorf("error %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if sent > 32<<20 {
				t.Errorf("%d bytes were taken", sent)
			}
		})
	}
}

// TestNoSecretsInErrors plants secrets wherever one can come from, has the
// registry repeat them in every way it can, and looks for them in the errors.
func TestNoSecretsInErrors(t *testing.T) {
	t.Parallel()
	const canary = "CANARYs3cr3t"
	f := mixedFixture(t)
	echo := func(w http.ResponseWriter, r *http.Request, status int) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":"DENIED %s","message":"%s","detail":%q}]} %v`, canary, canary, r.Header.Get("Authorization"), r.Header)
	}
	manifests := func(status int) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if bearer(w, r, "me", canary, "tok"+canary) {
				return true
			}
			if strings.Contains(r.URL.Path, "/manifests/") {
				echo(w, r, status)
				return true
			}
			return false
		}
	}
	cases := map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"401 for manifest": manifests(401), "403 for manifest": manifests(403), "404 for manifest": manifests(404), "500 for manifest": manifests(500), "418 for manifest": manifests(418),
		"ping": func(w http.ResponseWriter, r *http.Request, _ int) bool { echo(w, r, 403); return true },
		"token refused": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return bearer(w, r, "other", "other", "x")
		},
		"token echoed": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.URL.Path == "/token" {
				fmt.Fprintf(w, `{"refresh_token":%q}`, r.Header.Get("Authorization")+canary)
				return true
			}
			return bearer(w, r, "me", canary, "tok")
		},
		"token broken": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.URL.Path == "/token" {
				fmt.Fprintf(w, "<%s", canary)
				return true
			}
			return bearer(w, r, "me", canary, "tok")
		},
		"realm with a password": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="ftp://user:`+canary+`@host/?t=`+canary+`"`)
			w.WriteHeader(401)
			return true
		},
		"no realm": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("WWW-Authenticate", `Bearer token="`+canary+`"`)
			w.WriteHeader(401)
			return true
		},
		"redirect to a signed address": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, "http://user:"+canary+"@127.0.0.1:1/x?X-Signature="+canary, http.StatusTemporaryRedirect)
				return true
			}
			return false
		},
		"redirect to nowhere": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, "http://no-such-host.invalid/"+canary+"?X-Signature="+canary, http.StatusTemporaryRedirect)
				return true
			}
			return false
		},
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, _ := gated(t, answer)
			f.push(t, host, "app", "1")
			o := New(Config{Wait: new(noWait).wait, Keychain: Keychain(KeychainOptions{Explicit: []Login{{host, "me", canary}}, Docker: authn.NewMultiKeychain()})})
			_, err := o.Open(t.Context(), host+"/app:1")
			if err == nil {
				t.Fatal("no error")
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, text := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
					if strings.Contains(text, canary) || strings.Contains(text, "bWU6Q0FOQVJZ") {
						t.Errorf("%q tells a secret", text)
					}
				}
			}
			t.Log(err)
		})
	}
	for _, ref := range []string{"https://me:" + canary + "@host/app", "me:" + canary + "@host/app:1", "docker://me:" + canary + "@host/app@sha256:" + strings.Repeat("0", 64), "docker-daemon:me:" + canary + "@Host"} {
		if _, err := New(Config{}).Open(t.Context(), ref); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("opening a reference with a password: %v", err)
		}
	}
}

// TestBlobsAreAskedForAsTheyAre holds that the transport does not ask for gzip on
// its own: it would unpack what a server then compresses, and the bytes counted
// would not be those transferred.
func TestBlobsAreAskedForAsTheyAre(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if strings.Contains(r.URL.Path, "/blobs/") && !strings.HasSuffix(r.URL.Path, sum(f.config)) && r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("%s accepts %q", r.URL.Path, r.Header.Get("Accept-Encoding"))
		}
		return false
	})
	f.push(t, host, "app", "1")
	img, err := New(Config{}).Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(t.Context(), img, ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	if n, want := img.BlobBytesRead(), int64(len(f.layers[0].stored)+len(f.layers[1].stored)+len(f.layers[2].stored)); n != want {
		t.Errorf("read %d bytes, want %d", n, want)
	}
}

// TestRedirectsAreFollowedWithCare follows a registry to its storage without
// the registry's credentials, and not into this machine.
func TestRedirectsAreFollowedWithCare(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	leaked := make(chan string, 16)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked <- a
		}
		for _, l := range f.layers {
			if strings.HasSuffix(r.URL.Path, sum(l.stored)) {
				w.Write(l.stored)
				return
			}
		}
	}))
	t.Cleanup(store.Close)
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if bearer(w, r, "", "", "tok") {
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") && !strings.HasSuffix(r.URL.Path, sum(f.config)) {
			http.Redirect(w, r, strings.Replace(store.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	f.push(t, host, "app", "1")
	img, err := New(Config{}).Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(t.Context(), img, ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-leaked:
		t.Errorf("the store was sent %q", a)
	default:
	}
	from, _ := http.NewRequest(http.MethodGet, "https://registry.example/v2/", nil)
	for to, refused := range map[string]bool{
		"https://storage.example/x": false, "https://10.1.2.3/x": false, "http://storage.example/x": true,
		"https://127.0.0.1/x": true, "https://169.254.169.254/latest": true, "https://[::1]/x": true, "https://localhost/x": true,
	} {
		req, _ := http.NewRequest(http.MethodGet, to, nil)
		if err := checkRedirect(req, []*http.Request{from}); (err != nil) != refused {
			t.Errorf("redirect to %s: %v", to, err)
		}
	}
}

func TestForeignLayerThatIsElsewhere(t *testing.T) {
	t.Parallel()
	plain := tarOf(t, "win", "dows")
	f := newFixture(t, "amd64", []string{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", gzipLayer}, plain, tarOf(t, "own", "1"))
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if strings.HasSuffix(r.URL.Path, sum(plain)) {
			w.WriteHeader(404)
			return true
		}
		return false
	})
	f.push(t, host, "app", "1")
	img, err := New(Config{}).Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if !img.Layers[0].Foreign || img.Layers[1].Foreign {
		t.Errorf("layers %+v", img.Layers)
	}
	if _, err := readAll(t.Context(), img, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "foreign") {
		t.Errorf("error %v", err)
	}
	got, err := readAll(t.Context(), img, ReadOptions{Want: func(id string) bool { return id != sum(plain) }})
	if err != nil || got[0] != nil || !bytes.Equal(got[1], f.layers[1].plain) {
		t.Errorf("without it: %v", err)
	}
}

func TestRegistryThatCannotBeReached(t *testing.T) {
	t.Parallel()
	var w noWait
	_, err := New(Config{Wait: w.wait}).Open(t.Context(), "127.0.0.1:1/app:1")
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "check the registry's address") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(Config{}).Open(ctx, "127.0.0.1:1/app:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
}
