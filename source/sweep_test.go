package source

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/image-budget/internal/bench"
)

// TestSweep removes what is older than a time, and nothing else. The time is
// one before which nobody else on the bench has anything.
func TestSweep(t *testing.T) {
	t.Parallel()
	for host := range strings.SplitSeq(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		o := New(Config{Engine: Engine{Host: host}, Now: time.Now})
		c, err := o.Containers(t.Context(), ContainerOptions{Run: "sweep"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		images, err := o.Build(t.Context(), Build{Network: "none", Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nRUN echo swept > /x\n"})})
		if err != nil {
			t.Fatal(err)
		}
		defer images[0].Close()
		left, err := c.Start(t.Context(), ContainerSpec{Image: images[0].EngineID(), Command: []string{"/bin/sleep", "600"}})
		if err != nil {
			t.Fatal(err)
		}
		defer left.Close()
		if err := c.Sweep(t.Context(), time.Now().Add(-24*time.Hour)); err != nil {
			t.Error(err)
		}
		if state, err := left.State(t.Context()); err != nil || !state.Running {
			t.Errorf("%s: what is new is gone: %+v %v", host, state, err)
		}
		inspect, err := c.api.ImageInspect(t.Context(), images[0].EngineID())
		if err != nil || len(inspect.RepoTags) == 0 || !temporaryImage.MatchString(inspect.RepoTags[len(inspect.RepoTags)-1]) {
			t.Fatalf("%s: %v %v", host, inspect.RepoTags, err)
		}
	}
}

// TestSweepRemoves has an engine with nothing but old things.
func TestSweepRemoves(t *testing.T) {
	t.Parallel()
	now := time.Now()
	name, fresh := newTemporaryName(now.Add(-2*time.Hour)), newTemporaryName(now)
	var mu sync.Mutex
	var removed []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
		var answer any
		switch {
		case r.Method == http.MethodDelete:
			mu.Lock()
			removed = append(removed, path)
			mu.Unlock()
			answer = []any{}
		case r.URL.Path == "/_ping":
			w.Header().Set("Api-Version", "1.41")
		case path == "version":
			answer = map[string]any{"Os": "linux", "Arch": "amd64", "ApiVersion": "1.41"}
		case path == "containers/json":
			if !strings.Contains(r.URL.Query().Get("filters"), ContainerLabel) {
				t.Errorf("it looks for all containers: %s", r.URL)
			}
			answer = []any{map[string]any{"Id": "old", "Created": now.Add(-2 * time.Hour).Unix()}, map[string]any{"Id": "new", "Created": now.Unix()}}
		case path == "images/json":
			answer = []any{map[string]any{"Id": "sha256:1", "RepoTags": []string{name, temporaryName + ":mine"}}, map[string]any{"Id": "sha256:2", "RepoTags": []string{fresh}}}
		}
		w.Header().Set("Content-Type", "application/json")
		if answer != nil {
			_ = json.NewEncoder(w).Encode(answer) // the client says what is missing
		}
	}))
	defer srv.Close()
	c, err := New(Config{Engine: Engine{Host: "tcp://" + srv.Listener.Addr().String()}}).Containers(t.Context(), ContainerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Sweep(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(removed, " "); got != "containers/old images/"+name {
		t.Errorf("removed %s", got)
	}
}
