package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// TestLoginReachesOneRegistry: a base image, or anything else that a budget
// file names, must not be shown the password for the image's registry.
func TestLoginReachesOneRegistry(t *testing.T) {
	t.Parallel()
	img := image(t, layer{"RUN x", map[string]string{"a": "1"}})
	serve := func(logins *atomic.Int32, push func(host string)) string {
		handler := registry.New()
		var open atomic.Bool
		open.Store(true)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); ok {
				logins.Add(1)
			} else if !open.Load() {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			handler.ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		host := strings.TrimPrefix(srv.URL, "http://")
		push(host)
		open.Store(false)
		return host + "/demo:1"
	}
	var own, foreign atomic.Int32
	base := serve(&foreign, func(host string) { pushed(t, host+"/demo:1", img) })
	ref := serve(&own, func(host string) {
		pushed(t, host+"/demo:1", img)
		withProvenance(t, host+"/demo:2", img, minProvenance(strings.Replace(base, ":1", "@1", 1)))
		pushed(t, host+"/demo:3", mutate.Annotations(img, map[string]string{"org.opencontainers.image.base.name": base}).(v1.Image))
	})
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages:\n  web:\n    image: "+ref+"\n    base: "+base+"\n    limits: {layers: {max: 3}}\n")
	args := []string{"check", "--config", config, "--registry-username", "robot"}
	invoke(t, nil, args...).want(t, ExitUnmeasured, "user name and password")
	env := map[string]string{"IMAGE_BUDGET_REGISTRY_PASSWORD": "canary-password"}
	r := invoke(t, env, args...)
	r.want(t, ExitOK, "not told apart")
	// Nor what the image itself or a Dockerfile says was its base.
	file := write(t, filepath.Join(t.TempDir(), "Dockerfile"), "FROM "+base+"\nRUN y\n")
	for tag, more := range map[string][]string{"1": {"--dockerfile", file, "--verbose"}, "2": nil, "3": nil} {
		one := strings.TrimSuffix(ref, "1") + tag
		config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages:\n  web:\n    image: "+one+"\n    own: {layers: {max: 3}}\n")
		r := invoke(t, env, append([]string{"check", "--config", config, "--registry-username", "robot"}, more...)...)
		r.want(t, ExitOK, "be read (401)")
		if strings.Contains(r.stdout+r.stderr, "canary") {
			t.Error("the password is shown")
		}
	}
	if own.Load() == 0 || foreign.Load() != 0 {
		t.Errorf("%d logins at the image's registry, %d at the base's", own.Load(), foreign.Load())
	}
	if strings.Contains(r.stdout+r.stderr, "canary") {
		t.Error("the password is shown")
	}
}
