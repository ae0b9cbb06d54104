package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/githubtest"
)

var update = flag.Bool("update", false, "rewrite the parts of the README that are made")

// exitNote in a command of the README names an exit code other than 0.
const exitNote = "# exits with "

func TestEveryCommandInTheREADMEDoesWhatItSays(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	// The images of the README are those of the demo, in a registry of its own.
	host := demoRegistry(t)
	dir, bin := t.TempDir(), t.TempDir()
	hub := githubtest.New("acme", "web")
	hub.SetBranch("main", hub.Commit())
	api := httptest.NewServer(hub)
	t.Cleanup(api.Close)
	commands := 0
	for _, block := range fenced(t, "sh") {
		for line := range strings.Lines(block) {
			command, note, _ := strings.Cut(strings.TrimSpace(line), exitNote)
			command, want := strings.TrimSpace(command), 0
			if note != "" {
				if want, err = strconv.Atoi(note); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
			commands++
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "ghcr.io/acme", host+"/acme"))
			cmd.Dir = dir
			cmd.Env = append(atATerminal(), "GOBIN="+bin, "GITHUB_API_URL="+api.URL, "GITHUB_REPOSITORY=acme/web", "GITHUB_TOKEN=ghs_secret")
			switch {
			case command == "go test ./...":
				continue // is what runs this
			case strings.HasPrefix(command, "go "):
				cmd.Dir = root
			}
			out, err := cmd.CombinedOutput()
			if got := exitCode(t, err); got != want {
				t.Errorf("%s: exit code %d, want %d\n%s", command, got, want, out)
			}
			if len(out) == 0 && command != "go install ." {
				t.Errorf("%s printed nothing", command)
			}
		}
	}
	if commands < 5 {
		t.Errorf("found %d commands in the README; the test looks for the wrong thing", commands)
	}
}

func TestTheREADMEShowsTheDemoAsItIs(t *testing.T) {
	t.Parallel()
	readTree(t, demoDir)
	cmd := exec.Command("image-budget", "check", "--config", demoDir+"/image-budget.yml", "--format", "markdown")
	cmd.Env = atATerminal()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if code := exitCode(t, err); code != 1 {
		t.Fatalf("the demo exits with %d, want 1\n%s%s", code, out, stderr.String())
	}
	section(t, "demo", string(out))
}

func TestTheBudgetFilesInTheREADMEAreValid(t *testing.T) {
	t.Parallel()
	found := 0
	for _, block := range fenced(t, "yaml") {
		if !strings.HasPrefix(block, "version:") {
			continue
		}
		found++
		if _, err := budget.Parse("README.md", []byte(block)); err != nil {
			t.Error(err)
		}
	}
	if found < 2 {
		t.Errorf("found %d budget files in the README, want 2", found)
	}
}

func TestTheWorkflowInTheREADMEIsTenLinesAndUsesRealInputs(t *testing.T) {
	t.Parallel()
	inputs := readAction(t).inputs
	found := 0
	for _, block := range fenced(t, "yaml") {
		var workflow struct {
			Jobs map[string]struct {
				Steps []struct {
					Uses string            `yaml:"uses"`
					With map[string]string `yaml:"with"`
				} `yaml:"steps"`
			} `yaml:"jobs"`
		}
		if err := yaml.Unmarshal([]byte(block), &workflow); err != nil {
			t.Errorf("%v\n%s", err, block)
		}
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				if !strings.HasPrefix(step.Uses, "org/image-budget@") {
					continue
				}
				found++
				if lines := strings.Count(block, "\n"); lines > 10 {
					t.Errorf("the workflow has %d lines, want ten", lines)
				}
				for name := range step.With {
					if !slices.ContainsFunc(inputs, func(i described) bool { return i.name == name }) {
						t.Errorf("the workflow uses the input %s, which action.yml does not have", name)
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("no workflow in the README uses the action")
	}
}

func TestTheREADMEListsTheInputsAndOutputsOfTheAction(t *testing.T) {
	t.Parallel()
	action := readAction(t)
	var inputs, outputs strings.Builder
	inputs.WriteString("| input | default | |\n| :-- | :-- | :-- |\n")
	for _, i := range action.inputs {
		fmt.Fprintf(&inputs, "| `%s` | %s | %s |\n", i.name, code(i.value), cell(i.text))
	}
	outputs.WriteString("| output | |\n| :-- | :-- |\n")
	for _, o := range action.outputs {
		fmt.Fprintf(&outputs, "| `%s` | %s |\n", o.name, cell(o.text))
	}
	section(t, "inputs", inputs.String())
	section(t, "outputs", outputs.String())
}

func TestTheREADMEListsTheRules(t *testing.T) {
	t.Parallel()
	var rules strings.Builder
	rules.WriteString("| rule | what it finds | what it proposes |\n| :-- | :-- | :-- |\n")
	for _, r := range advice.Rules() {
		does := map[footprint.Safety]string{footprint.SafePatch: "a safe patch", footprint.NeedsTests: "a patch for your tests to confirm", footprint.AdviceOnly: "advice"}[r.Safety]
		fmt.Fprintf(&rules, "| [`%s`](advice/docs/%s.md) | %s | %s |\n", r.ID, r.ID, cell(r.Title), does)
	}
	section(t, "rules", rules.String())
}

// code shows a default, which is empty where an input has none.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// section compares the part of the README between two marks with what it
// should be, or writes it there.
func section(t *testing.T, name, want string) {
	t.Helper()
	readme := readREADME(t)
	_, after, ok := strings.Cut(readme, "<!-- begin "+name+": written by `go test . -update` -->\n")
	got, _, closed := strings.Cut(after, "<!-- end "+name+" -->\n")
	if !ok || !closed {
		t.Fatalf("the README has no part %s", name)
	}
	if *update {
		readmeLock <- struct{}{}
		defer func() { <-readmeLock }()
		readme = strings.Replace(readREADME(t), name+": written by `go test . -update` -->\n"+got, name+": written by `go test . -update` -->\n"+want, 1)
		if err := os.WriteFile("README.md", []byte(readme), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the part %s of the README is out of date; run: go test . -update\n%s", name, diff)
	}
}

// readmeLock keeps two tests from rewriting the README at once.
var readmeLock = make(chan struct{}, 1)

func readREADME(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fenced returns the code blocks of the README in one language.
func fenced(t *testing.T, language string) []string {
	t.Helper()
	var blocks []string
	for rest := readREADME(t); ; {
		_, after, found := strings.Cut(rest, "\n```"+language+"\n")
		if !found {
			return blocks
		}
		block, next, closed := strings.Cut(after, "```\n")
		if !closed {
			t.Fatalf("a %s block of the README does not end", language)
		}
		blocks, rest = append(blocks, block), next
	}
}

// demoRegistry is a registry in memory that has the images of the demo under
// the names that the README uses. It returns its host and port.
func demoRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for tag, dir := range map[string]string{"main": "main", "edge": "pr"} {
		ref, err := name.ParseReference(host + "/acme/web:" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, demoImage(t, dir)); err != nil {
			t.Fatal(err)
		}
	}
	return host
}

func demoImage(t *testing.T, dir string) v1.Image {
	t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(demoDir, "images", dir))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// atATerminal is the environment without that of a workflow's job, in which
// these tests may run as well.
func atATerminal() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		for _, prefix := range []string{"GITHUB_", "INPUT_", "RUNNER_", "IMAGE_BUDGET_"} {
			if strings.HasPrefix(v, prefix) {
				return true
			}
		}
		return false
	})
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}
