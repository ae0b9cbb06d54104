package cli

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/org/image-budget/internal/githubtest"
)

// TestCreep: each step is within its growth, and all of them together are not.
func TestCreep(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	srv := httptest.NewServer(registry.New())
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	sized := func(tag string, n int) string {
		ref, _ := pushed(t, host+"/acme/web:"+tag, image(t, layer{"COPY app", map[string]string{"app": strings.Repeat("x", n)}}))
		return ref
	}
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"),
		"version: 1\nbaseline: branch:sizes\nimages:\n  web:\n    image: "+sized("pr", 115_000)+"\n    limits: {unpacked: {growth: {percent: 5%, since-release: 10%}}}\n")
	push := h.step(t, "push", h.c[5], event(t, "push", h.c[5], h.c[4]))
	pr := h.step(t, "pull_request", h.merge, event(t, "pull_request", h.p1, h.c[4]))
	save := func(commit, ref string) {
		invoke(t, push, "baseline", "save", "--config", config, "--commit", commit, "web="+ref).want(t, ExitOK)
	}
	save(h.c[5], sized("main", 110_000))
	// Nothing was released yet: that is no failure.
	invoke(t, pr, "check", "--config", config).want(t, ExitOK, "within budget", "there is no release yet")

	h.SetTag("v1.0.0", h.c[2])
	invoke(t, pr, "check", "--config", config).want(t, ExitOK, "nothing was measured at")

	// What an older commit measured would count growth that was released.
	save(h.c[0], sized("v0", 90_000))
	invoke(t, pr, "check", "--config", config).want(t, ExitOK, "release v1.0.0; the nearest baseline is 2 commits older")

	save(h.c[2], sized("v1", 100_000))
	r := invoke(t, pr, "check", "--config", config)
	r.want(t, ExitOver, "v1.0.0", "since")
	// What is allowed since the release is 10 000 bytes; it is 15 000.
	if !strings.Contains(r.stdout, "5 kB over") {
		t.Errorf("%s", r.stdout)
	}

	h.Answer(githubtest.Reply{Method: "GET", Path: "/releases/latest", Status: 401, Body: `{"message":"Bad credentials"}`})
	invoke(t, pr, "check", "--config", config).want(t, ExitUnmeasured, "looking for the last release", "Bad credentials", "web")

	// A baseline that knows no commits says what would.
	invoke(t, pr, "check", "--config", config, "--baseline", "none").want(t, ExitOK, "since the last release")
}
