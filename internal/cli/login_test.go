package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestLoginReachesOneRegistry: a base image, or anything else that a budget
// file names, must not be shown the password for the image's registry.
func TestLoginReachesOneRegistry(t *testing.T) {
	t.Parallel()
	img := image(t, layer{"RUN x", map[string]string{"a": "1"}})
	serve := func(locked bool, logins *atomic.Int32) string {
		handler := registry.New()
		var open atomic.Bool
		open.Store(true)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); ok {
				logins.Add(1)
			} else if locked && !open.Load() {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			handler.ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		host := strings.TrimPrefix(srv.URL, "http://")
		ref, err := name.ParseReference(host + "/demo:1")
		must(t, err)
		must(t, remote.Write(ref, img))
		open.Store(false)
		return host + "/demo:1"
	}
	var own, foreign atomic.Int32
	ref, base := serve(true, &own), serve(true, &foreign)
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages:\n  web:\n    image: "+ref+"\n    base: "+base+"\n    limits: {layers: {max: 3}}\n")
	args := []string{"check", "--config", config, "--registry-username", "robot"}
	invoke(t, nil, args...).want(t, ExitUnmeasured, "user name and password")
	env := map[string]string{"IMAGE_BUDGET_REGISTRY_PASSWORD": "canary-password"}
	r := invoke(t, env, args...)
	r.want(t, ExitOK, "not told apart")
	if own.Load() == 0 || foreign.Load() != 0 {
		t.Errorf("%d logins at the image's registry, %d at the base's", own.Load(), foreign.Load())
	}
	if strings.Contains(r.stdout+r.stderr, "canary") {
		t.Error("the password is shown")
	}
}
