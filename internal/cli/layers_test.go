package cli

import (
	"encoding/json"
	"github.com/org/image-budget/internal/bench"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shelf is a registry that notes which blobs it hands out, by repository.
type shelf struct {
	host string

	mu     sync.Mutex
	blobs  map[string][]string
	lists  int
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func newShelf(t testing.TB) *shelf {
	s := &shelf{blobs: map[string][]string{}}
	next := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repository, digest, blob := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/blobs/")
		s.mu.Lock()
		if blob && r.Method == http.MethodGet {
			s.blobs[repository] = append(s.blobs[repository], digest)
		}
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			s.lists++
		}
		answer := s.answer
		s.mu.Unlock()
		if answer == nil || !answer(w, r) {
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	s.host = strings.TrimPrefix(srv.URL, "http://")
	return s
}

// handedOut are the blobs of a repository that were asked for since the last
// call.
func (s *shelf) handedOut(repository string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.blobs[repository]
	s.blobs = map[string][]string{}
	return got
}

func (s *shelf) answers(answer func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// cost is what a JSON report says of the cost of a run, and of its figures.
type cost struct {
	BlobBytesRead int64    `json:"blob_bytes_read"`
	LayersRead    int      `json:"layers_read"`
	LayersKnown   int      `json:"layers_known"`
	Notes         []string `json:"notes"`
	Images        []struct {
		Metrics  struct{ Unpacked, Final, Wasted int64 }
		Baseline struct {
			Status, Commit string
		}
		Delta struct{ Unpacked, Final int64 }
	}
}

func checked(t testing.TB, args ...string) (c cost) {
	t.Helper()
	r := invoke(t, nil, append([]string{"check", "--format", "json"}, args...)...)
	r.want(t, ExitOK)
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		t.Fatalf("%v: %s%s", err, r.stdout, r.stderr)
	}
	return c
}

const commitOfMain = "8843d7f92416211de9ebb963ff4ce28125932878"

// TestOnlyTheChangedLayerIsRead is the promise about cost: the main branch saves
// its baseline, and a pull request on a fresh runner reads the one layer that it
// changed, with waste across old and new layers exact to the byte.
func TestOnlyTheChangedLayerIsRead(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	onlyTheChangedLayer(t, s.host, "app", func(want ...string) {
		if got := s.handedOut("app"); len(got) != len(want) {
			t.Errorf("the registry handed out %q, want %q", got, want)
		}
	})
}

func TestOnlyTheChangedLayerIsReadFromARealRegistry(t *testing.T) {
	t.Parallel()
	onlyTheChangedLayer(t, bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY"), newRepository(), func(...string) {})
}

func newRepository() string {
	return "ib/layers/" + time.Now().UTC().Format("20060102t150405.000000000")
}

// An engine that holds the image of the baseline is not asked for its stream:
// neither for the layers nor for what made them.
func TestUnchangedImageOfAnEngineIsNotRead(t *testing.T) {
	t.Parallel()
	registry := bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY")
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		env := map[string]string{"DOCKER_HOST": host}
		args := []string{"--baseline", "registry:" + registry + "/" + newRepository(), "mixed=docker-daemon:ib/mixed:1"}
		invoke(t, env, append([]string{"baseline", "save"}, args...)...).want(t, ExitOK, "saved mixed")
		r := invoke(t, env, append([]string{"check", "--format", "json"}, args...)...)
		r.want(t, ExitOK, `"created_by": "RUN /bin/sh -c rm /m/gone/1001`)
		var c cost
		must(t, json.Unmarshal([]byte(r.stdout), &c))
		if c.BlobBytesRead != 0 || c.LayersRead != 0 || c.LayersKnown < 20 || c.Images[0].Metrics.Wasted == 0 || c.Images[0].Delta.Unpacked != 0 {
			t.Errorf("%s: read %d bytes in %d layers, knew %d: %+v", host, c.BlobBytesRead, c.LayersRead, c.LayersKnown, c.Images[0])
		}
	}
}

func onlyTheChangedLayer(t *testing.T, host, repository string, handedOut func(want ...string)) {
	t.Helper()
	base := layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000), "b": strings.Repeat("y", 500)}}
	middle := layer{"RUN middle", map[string]string{"a": strings.Repeat("z", 300), "c": strings.Repeat("c", 70)}}
	old := image(t, base, middle, layer{"COPY app", map[string]string{"app": strings.Repeat("1", 10)}})
	changed := image(t, base, middle, layer{"COPY app", map[string]string{"app": strings.Repeat("2", 20), ".wh.b": "", "c": "c"}})
	main, _ := pushed(t, host+"/"+repository+":main", old)
	pr, _ := pushed(t, host+"/"+repository+":pr", changed)
	store := "registry:" + host + "/" + repository + "-size"
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nbaseline: "+store+"\nimages:\n  web:\n    image: "+pr+"\n    limits: {wasted: {max: 10MB, growth: 10MB}}\n")

	invoke(t, nil, "baseline", "save", "--config", config, "--commit", commitOfMain, "web="+main).want(t, ExitOK, "saved web (linux/amd64) to "+store)
	handedOut("config", "base", "middle", "app")
	c := checked(t, "--config", config)
	handedOut("config", "app")
	last, err := changed.Layers()
	must(t, err)
	size, err := last[2].Size()
	must(t, err)
	if c.BlobBytesRead != size || c.LayersRead != 1 || c.LayersKnown != 2 {
		t.Errorf("read %d bytes in %d layers and knew %d; the layer that changed has %d", c.BlobBytesRead, c.LayersRead, c.LayersKnown, size)
	}
	// By hand: a of 1000 and c of 70 are overwritten and b of 500 is removed.
	img := c.Images[0]
	if img.Metrics.Unpacked != 1500+370+21 || img.Metrics.Wasted != 1570 || img.Metrics.Final != 321 {
		t.Errorf("measured %+v", img.Metrics)
	}
	if img.Baseline.Status != "found" || img.Baseline.Commit != commitOfMain || img.Delta.Unpacked != 11 || img.Delta.Final != 321-880 {
		t.Errorf("compared with %+v: %+v", img.Baseline, img.Delta)
	}
	if len(c.Notes) != 0 {
		t.Errorf("notes %q", c.Notes)
	}
	// The image of the baseline itself costs no layer at all.
	c = checked(t, "--config", config, "web="+main)
	handedOut("config")
	if c.BlobBytesRead != 0 || c.LayersRead != 0 || c.LayersKnown != 3 || c.Images[0].Metrics.Wasted != 1000 {
		t.Errorf("the same image: %+v", c)
	}
	invoke(t, nil, "baseline", "show", "--config", config).want(t, ExitOK, "web", commitOfMain)
}

// An image without a baseline finds the layers that it shares with another's.
func TestLayersOfAnotherImageAreKnown(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	base := layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}
	web, _ := pushed(t, s.host+"/web:1", image(t, base, layer{"RUN web", map[string]string{"web": "1"}}))
	api, _ := pushed(t, s.host+"/api:1", image(t, base, layer{"RUN api", map[string]string{"api": "22"}}))
	store := "registry:" + s.host + "/images:size"
	invoke(t, nil, "baseline", "save", "--baseline", store, "web="+web).want(t, ExitOK)
	c := checked(t, "--baseline", store, "--detail", "files", "api="+api)
	if c.LayersRead != 1 || c.LayersKnown != 1 || c.Images[0].Metrics.Unpacked != 1002 || c.Images[0].Baseline.Status != "none" {
		t.Errorf("%+v", c)
	}
	// Both at once: the repository is listed once.
	s.mu.Lock()
	s.lists = 0
	s.mu.Unlock()
	c = checked(t, "--baseline", store, "--detail", "files", "api="+api, "web="+web)
	if c.LayersRead != 1 || s.lists != 1 {
		t.Errorf("%d layers read, %d lists: %+v", c.LayersRead, s.lists, c)
	}
}

// Nothing that is wrong with an index changes a figure or fails a run.
func TestLayerIndexesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	images := func() []v1.Image {
		base := layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}
		return []v1.Image{image(t, base), image(t, base, layer{"RUN web", map[string]string{"a": "1"}})}
	}()
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, body []byte)
		note   string
	}{
		"damaged": {func(w http.ResponseWriter, _ *http.Request, body []byte) {
			body[len(body)-1] ^= 1
			_, _ = w.Write(body)
		}, "was changed or damaged"},
		"denied": {func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusForbidden) }, "could not be read"},
		"gone":   {func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusNotFound) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			var refs []string
			for i, img := range images {
				ref, _ := pushed(t, s.host+"/web:"+string(rune('1'+i)), img)
				refs = append(refs, ref)
			}
			store := "registry:" + s.host + "/size"
			invoke(t, nil, "baseline", "save", "--baseline", store, "web="+refs[0]).want(t, ExitOK)
			get := func(url string) []byte {
				resp, err := http.Get(url)
				must(t, err)
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				must(t, err)
				return body
			}
			var m v1.Manifest
			must(t, json.Unmarshal(get("http://"+s.host+"/v2/size/manifests/web.linux-amd64"), &m))
			path := "/v2/size/blobs/" + m.Layers[1].Digest.String()
			index := get("http://" + s.host + path)
			s.answers(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path {
					return false
				}
				tt.answer(w, r, append([]byte{}, index...))
				return true
			})
			c := checked(t, "--baseline", store, "--detail", "files", "web="+refs[1])
			if c.LayersRead != 2 || c.LayersKnown != 0 || c.Images[0].Metrics.Wasted != 1000 {
				t.Errorf("%+v", c)
			}
			if notes := strings.Join(c.Notes, "\n"); strings.Count(notes, "layers") == 0 != (tt.note == "") || !strings.Contains(notes, tt.note) {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
		})
	}
}

// A registry that takes no baseline is told with what to do, and is no verdict.
func TestSavingWhereOneMayNot(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	s.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	store := "registry:" + s.host + "/size"
	invoke(t, nil, "baseline", "save", "--baseline", store, "web="+ref).want(t, ExitUnmeasured, "web: saving the baseline: ", "packages: write")
	invoke(t, nil, "check", "--baseline", store, "web="+ref).want(t, ExitOK, "no baseline")
	invoke(t, nil, "baseline", "show", "--baseline", store, "web="+ref).want(t, ExitUnmeasured, "holds no baseline")
	invoke(t, nil, "check", "--baseline", "registry:BAD/name", "web="+ref).want(t, ExitUsage, "not HOST/PATH")
}

// The explicit login is that of the baseline's registry where no image is in one.
func TestLoginForTheBaseline(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user == "robot" && password == "canary-password" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	args := []string{"--baseline", "registry:" + s.host + "/size:on-main", "--registry-username", "robot", "web=" + ref}
	env := map[string]string{"IMAGE_BUDGET_REGISTRY_PASSWORD": "canary-password"}
	for _, command := range [][]string{{"baseline", "save"}, {"check"}} {
		r := invoke(t, nil, append(command, args...)...)
		r.want(t, ExitUnmeasured, "user name and password")
		r = invoke(t, env, append(command, args...)...)
		r.want(t, ExitOK)
		if strings.Contains(r.stdout+r.stderr, "canary") {
			t.Error("the password is shown")
		}
	}
}
