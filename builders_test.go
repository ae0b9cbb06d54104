package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/internal/bench"
)

// TestEveryBuilderMakesTheSameImage builds this very project, in several stages
// and with a compiler, on an old and a new engine and on buildkitds of two
// times: bytes and lines are the same.
func TestEveryBuilderMakesTheSameImage(t *testing.T) {
	t.Parallel()
	engines := strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	builders := map[string][]string{
		"buildkitd":     {"--builder", bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")},
		"old buildkitd": {"--builder", bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT_OLD")},
	}
	for _, host := range engines {
		builders[filepath.Base(host)] = nil
	}
	got := map[string]builtImage{}
	for name, args := range builders {
		cmd := exec.Command("image-budget", append([]string{"inspect", "--context", ".", "--format", "json", "--progress", "plain"}, args...)...)
		cmd.Env = atATerminal()
		for _, host := range engines {
			if filepath.Base(host) == name {
				cmd.Env = append(cmd.Env, "DOCKER_HOST="+host)
			}
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, stderr.String())
		}
		var rep struct{ Images []builtImage }
		if err := json.Unmarshal(out, &rep); err != nil {
			t.Fatal(err)
		}
		got[name] = rep.Images[0]
	}
	want := got["buildkitd"]
	last := want.Layers[len(want.Layers)-1]
	if want.Metrics.Unpacked < 10_000_000 || want.Base.FoundBy != "build" || last.Origin == nil || !last.Origin.Exact || !strings.HasPrefix(last.CreatedBy, "COPY /image-budget") {
		t.Errorf("%+v", want)
	}
	for name, img := range got {
		if diff := cmp.Diff(want, img); diff != "" {
			t.Errorf("%s (-buildkitd):\n%s", name, diff)
		}
	}
}

// builtImage is what must not depend on the builder.
type builtImage struct {
	Platform string
	Metrics  struct{ Unpacked, Final, Wasted, Files, Layers int64 }
	Base     struct {
		FoundBy   string `json:"found_by"`
		Reference string
		Metrics   struct{ Unpacked, Final int64 }
	}
	Layers []struct {
		CreatedBy               string `json:"created_by"`
		Unpacked, Wasted, Files int64
		InBase                  bool `json:"in_base"`
		Origin                  *struct {
			File, Stage string
			Start, End  int
			Exact       bool
		}
	}
}
