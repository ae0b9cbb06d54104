package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/image-budget/internal/bench"
)

// TestASignalEndsABuild stops the program as a runner does whose job is
// cancelled: the step ends, nothing stays in the engine, and no report appears.
func TestASignalEndsABuild(t *testing.T) {
	t.Parallel()
	for _, builder := range append(strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ","), "builder="+bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")) {
		t.Run(filepath.Base(builder), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mark := fmt.Sprint("mark-", time.Now().UnixNano())
			file := "FROM alpine:3.22\nRUN echo sta''rted " + mark + "; sleep 600\n"
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(file), 0o644); err != nil {
				t.Fatal(err)
			}
			args := []string{"check", "--context", ".", "--network", "none", "--progress", "plain", "--output", "json=report.json"}
			env := atATerminal()
			if address, ok := strings.CutPrefix(builder, "builder="); ok {
				args = append(args, "--builder", address)
			} else {
				env = append(env, "DOCKER_HOST="+builder)
			}
			cmd := exec.Command("image-budget", args...)
			cmd.Dir, cmd.Env = dir, env
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			lines := bufio.NewScanner(stderr)
			for lines.Scan() {
				said.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), " started "+mark) {
					if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
				}
			}
			if code := exitCode(t, cmd.Wait()); code != 3 || !strings.Contains(said.String(), "interrupted") {
				t.Errorf("exit code %d\n%s", code, said.String())
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 1 {
				t.Errorf("it left %v, %v", left, err)
			}
			// The step itself ends with the build.
			deadline := time.Now().Add(time.Minute)
			for sleeping(t, mark) {
				if time.Now().After(deadline) {
					t.Fatal("the step still runs")
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

// sleeping tells whether the shell of a step still runs: its command has mark.
func sleeping(t *testing.T, mark string) bool {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		cmdline, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(cmdline), mark) {
			return true
		}
	}
	return false
}

// TestADiskThatIsFull writes reports to a file system without room: what was
// there stays whole, nothing half written is left, and the verdict is not lost
// with it but the run says that it could not deliver.
func TestADiskThatIsFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		bench.Setting(t, "IMAGE_BUDGET_TEST_ROOT") // only root can make such a file system
	}
	dir := t.TempDir()
	if err := syscall.Mount("image-budget-test", dir, "tmpfs", 0, "size=16k"); err != nil {
		bench.Setting(t, "IMAGE_BUDGET_TEST_MOUNTS")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	report, other := filepath.Join(dir, "report.json"), filepath.Join(t.TempDir(), "report.md")
	if err := os.WriteFile(report, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 8<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("image-budget", "check", "--config", demoDir+"/image-budget.yml", "--output", "json="+report, "--output", "markdown="+other)
	cmd.Env = atATerminal()
	out, err := cmd.CombinedOutput()
	if code := exitCode(t, err); code != 3 || !strings.Contains(string(out), "no space left on device") || !strings.Contains(string(out), "report.json") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if content, err := os.ReadFile(report); err != nil || string(content) != "old" {
		t.Errorf("the old report is %.20q, %v", content, err)
	}
	if content, err := os.ReadFile(other); err != nil || !strings.Contains(string(content), "over its budget") {
		t.Errorf("the other report is %.20q, %v", content, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
}
