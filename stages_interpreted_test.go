package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/image-budget/internal/bench"
)

// TestInterpretedProgramsRunFromASecondStage has images of Node and Python
// programs rewritten, built, run beside the original and compared, as a user
// would.
func TestInterpretedProgramsRunFromASecondStage(t *testing.T) {
	t.Parallel()
	engine, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	program := staticProgram(t)
	for _, c := range []struct {
		name, same string
		// least is what it saves at least, in bytes.
		least int64
	}{
		{"node-dev", "same answers on :3000/", 70_000_000},
		{"node-typescript", "same answers on :8080/", 80_000_000},
		{"node-native", "same answers on :3000/", 570_000_000},
		{"python-venv", "same answers on :8000/", 480_000_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := proven(t, program, engine, filepath.Join("testdata", "stages", c.name))
			if v.Verified == nil || v.Verified.Status != "verified" || !strings.HasPrefix(v.Verified.Same, c.same) || v.Verified.Before-v.Verified.After < c.least {
				t.Fatalf("%+v\n%s", v.Verified, v.Diff)
			}
			t.Logf("%d -> %d bytes, %s", v.Verified.Before, v.Verified.After, v.Verified.Same)
		})
	}
}

// TestTheSeedIsBeaten has the project of the seed, with development
// dependencies and one stage, rewritten, and compares what comes out with the
// stages that the seed has written by hand.
func TestTheSeedIsBeaten(t *testing.T) {
	t.Parallel()
	engine, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	program := staticProgram(t)
	project := filepath.Join("testdata", "stages", "node-dev")
	ours := proven(t, program, engine, project)
	if ours.Verified == nil || ours.Verified.Status != "verified" {
		t.Fatalf("%+v\n%s", ours.Verified, ours.Diff)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(project)); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join("testdata", "seed", "my-web-app", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), theirs, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "inspect", "--context", dir, "--format", "json", "--progress", "plain")
	cmd.Env = append(atATerminal(), "DOCKER_HOST="+engine)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if seed := unpackedOf(t, out); ours.Verified.After >= seed {
		t.Errorf("the rewrite has %d bytes, what the seed wrote by hand %d", ours.Verified.After, seed)
	}
}

// proven is the rewrite of a project after it was built and run.
func proven(t *testing.T, program, engine, dir string) rewriting {
	t.Helper()
	cmd := exec.Command(program, "suggest", "--context", dir, "--verify", "--format", "json", "--progress", "plain")
	cmd.Env = append(atATerminal(), "DOCKER_HOST="+engine)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return rewritten(t, out)
}

// unpackedOf is the size of the one image of a report.
func unpackedOf(t *testing.T, report []byte) int64 {
	t.Helper()
	var rep struct {
		Images []struct{ Metrics struct{ Unpacked int64 } }
	}
	if err := json.Unmarshal(report, &rep); err != nil || len(rep.Images) != 1 {
		t.Fatalf("%v\n%s", err, report)
	}
	return rep.Images[0].Metrics.Unpacked
}
