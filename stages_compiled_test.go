package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
)

// TestCompiledProgramsRunFromASecondStage has images of compiled programs
// rewritten, built, run beside the original and compared, as a user would.
func TestCompiledProgramsRunFromASecondStage(t *testing.T) {
	t.Parallel()
	engine, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	program := staticProgram(t)
	cases := []struct {
		name string
		// from is the last FROM of what is proposed, same what its proof says.
		from, same string
		// most bounds the bytes of it.
		most int64
	}{
		{"go-service", "scratch", "same answers on :8080/", 14_000_000},
		{"go-trust", "scratch", "same answers on :8080/", 11_000_000},
		{"go-links", "scratch", "same answers on :8080/", 11_000_000},
		{"go-starts-git", "debian:bookworm-slim", "same output", 260_000_000},
		{"c-libs", "debian:bookworm-slim", "same output", 185_000_000},
		{"java-jar", "debian:bookworm-slim", "same answers on :8080/", 400_000_000},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(program, "suggest", "--context", filepath.Join("testdata", "stages", c.name), "--verify", "--format", "json", "--progress", "plain")
			cmd.Env = append(atATerminal(), "DOCKER_HOST="+engine)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			got := rewritten(t, out)
			v := got.Verified
			if v == nil || v.Status != "verified" || !strings.HasPrefix(v.Same, c.same) || v.After > c.most {
				t.Fatalf("%+v\n%s\n%s", v, got.Diff, stderr.String())
			}
			if from := lastFrom(got.Diff); from != c.from {
				t.Errorf("it ends on %s, want %s", from, c.from)
			}
			if saved := v.Before - v.After; saved > got.Bytes || !strings.Contains(got.Message, footprint.Bytes(got.Bytes).String()) {
				t.Errorf("it saves %d bytes, and said %d and %q", saved, got.Bytes, got.Message)
			}
			t.Logf("%d -> %d bytes, %s", v.Before, v.After, v.Same)
		})
	}
}

// staticProgram is this program as it is released: what looks into the networks
// of containers needs no libraries.
func staticProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image-budget")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// rewriting is the suggestion of a Dockerfile in several stages.
type rewriting struct {
	Rule, Diff, Message string
	Bytes               int64
	Unknown             []string
	Verified            *struct {
		Status, Same, Reason string
		Before, After        int64
		Tried                []struct {
			Name, Reason string
			After        int64
		}
	}
}

func rewritten(t *testing.T, report []byte) rewriting {
	t.Helper()
	var rep struct {
		Images []struct{ Suggestions []rewriting }
	}
	if err := json.Unmarshal(report, &rep); err != nil || len(rep.Images) != 1 {
		t.Fatalf("%v\n%s", err, report)
	}
	all := rep.Images[0].Suggestions
	i := slices.IndexFunc(all, func(s rewriting) bool { return s.Rule == "single-stage-build" })
	if i < 0 {
		t.Fatalf("no rewrite among %d suggestions", len(all))
	}
	return all[i]
}

// lastFrom is the image in the last FROM that a diff adds.
func lastFrom(diff string) string {
	from := ""
	for line := range strings.Lines(diff) {
		if rest, ok := strings.CutPrefix(line, "+FROM "); ok {
			from, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
		}
	}
	return from
}
