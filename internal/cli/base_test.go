package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
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
