package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/internal/bench"
)

// TestTheFleetOfTheDocumentation does what docs/fleet.md says, with a real
// buildkitd behind TLS and a real registry.
func TestTheFleetOfTheDocumentation(t *testing.T) {
	t.Parallel()
	address, certs, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT_TLS"), ",")
	registry := bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY")
	doc, err := os.ReadFile("docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// A repository of its own for each run: the registry is kept.
	mine := fmt.Sprintf("%s/fleet/%d", registry, time.Now().UnixNano())
	local := strings.NewReplacer(
		"registry.example.com/platform", mine, "tcp://buildkitd.ci.example.com:1234", address, "--builder-tls .certs", "--builder-tls "+certs)
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(".image-budget.yml", local.Replace(block(t, string(doc), "yaml")))
	// Both services build on one image, and share what they copy first.
	shared := strings.Repeat(mine, 10_000)
	for _, service := range []string{"api", "worker"} {
		put("services/"+service+"/Dockerfile", "FROM alpine:3.22\nCOPY shared /shared\nCOPY app /app\n")
		put("services/"+service+"/shared", shared)
		put("services/"+service+"/app", service+mine)
	}
	commands := strings.Split(strings.TrimSpace(local.Replace(block(t, string(doc), "sh"))), "\n")
	if len(commands) != 2 {
		t.Fatalf("commands %q", commands)
	}
	run := func(command string) (string, int) {
		t.Helper()
		cmd := exec.Command("sh", "-c", command+" --network none --progress quiet")
		// No engine is there, and none is missed.
		cmd.Dir, cmd.Env = dir, append(atATerminal(), "DOCKER_HOST=unix:///nonexistent.sock")
		out, err := cmd.Output()
		return string(out), exitCode(t, err)
	}
	if out, code := run(commands[0]); code != 0 || strings.Count(out, "saved ") != 2 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	check := func(want int) (rep struct {
		BlobBytesRead int64 `json:"blob_bytes_read"`
		LayersRead    int   `json:"layers_read"`
		Images        []struct {
			Name, Status string
			Baseline     struct{ Status string }
			Base         struct {
				FoundBy string `json:"found_by"`
			}
			Delta  struct{ Unpacked int64 }
			Layers []struct {
				Compressed int64
				Origin     *struct {
					Start int
					Exact bool
				}
			}
		}
	}) {
		t.Helper()
		out, code := run(commands[1] + " --format json")
		if code != want {
			t.Fatalf("exit code %d, want %d: %s", code, want, out)
		}
		if err := json.Unmarshal([]byte(out), &rep); err != nil {
			t.Fatal(err)
		}
		return rep
	}
	rep := check(0)
	if len(rep.Images) != 2 || rep.BlobBytesRead != 0 || rep.LayersRead != 0 {
		t.Errorf("nothing changed: %+v", rep)
	}
	noise := make([]byte, 300_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // it never fails
	put("services/worker/app", string(noise))
	rep = check(1)
	api, worker := rep.Images[0], rep.Images[1]
	last := worker.Layers[len(worker.Layers)-1]
	if rep.LayersRead != 1 || rep.BlobBytesRead != last.Compressed {
		t.Errorf("read %d bytes in %d layers, the one that changed has %d", rep.BlobBytesRead, rep.LayersRead, last.Compressed)
	}
	if api.Status != "pass" || api.Delta.Unpacked != 0 || worker.Status != "fail" || worker.Delta.Unpacked != 300_000-int64(len("worker"+mine)) {
		t.Errorf("api %s by %d, worker %s by %d", api.Status, api.Delta.Unpacked, worker.Status, worker.Delta.Unpacked)
	}
	if worker.Baseline.Status != "found" || worker.Base.FoundBy != "build" || last.Origin == nil || last.Origin.Start != 3 || !last.Origin.Exact {
		t.Errorf("%+v", worker)
	}
}

// block is the first fenced block of a language.
func block(t *testing.T, doc, language string) string {
	t.Helper()
	_, rest, ok := strings.Cut(doc, "```"+language+"\n")
	content, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("there is no block of %s", language)
	}
	return content
}
