package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

func onPlatform(t testing.TB, img v1.Image, arch string) v1.Image {
	t.Helper()
	cfg, err := img.ConfigFile()
	must(t, err)
	cfg = cfg.DeepCopy()
	cfg.Architecture = arch
	img, err = mutate.ConfigFile(img, cfg)
	must(t, err)
	return img
}

func TestImageThatCannotBeMeasuredIsNoPass(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 5000)}}))
	env, dir := job(t, g, map[string]string{"comment": "always"})
	text := func(worker string, max string) string {
		return "version: 1\nimages:\n  web:\n    image: " + ref + "\n    limits: {unpacked: {max: " + max + "}}\n  worker:\n    image: " + worker + "\n    limits: {layers: {max: 9}}\n"
	}
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), text("oci:/nonexistent", "1MB"))
	r := invoke(t, env, "check", "--output", "json="+filepath.Join(dir, "r.json"))
	r.want(t, ExitUnmeasured, "/nonexistent")
	if out := outputs(t, env); out["status"] != "error" {
		t.Errorf("outputs %v", out)
	}
	summary, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
	must(t, err)
	for what, text := range map[string]string{"summary": string(summary), "comment": g.comments[0], "log": r.stdout} {
		if !strings.Contains(text, "worker") || strings.Contains(strings.SplitN(text, "\n", 3)[1], "✅") {
			t.Errorf("the %s hides the image without figures:\n%s", what, text)
		}
	}
	invoke(t, nil, "report", filepath.Join(dir, "r.json")).want(t, ExitUnmeasured, "worker")
	// The next run measures both, and brings the same comment up to date.
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), text(ref, "1MB"))
	invoke(t, env, "check").want(t, ExitOK)
	if len(g.comments) != 1 {
		t.Errorf("%d comments", len(g.comments))
	}
	// A 1 is a verdict on all of them.
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), text("oci:/nonexistent", "1kB"))
	invoke(t, env, "check").want(t, ExitUnmeasured, "/nonexistent", "✗ over budget")
}

func TestImageWithoutLayers(t *testing.T) {
	t.Parallel()
	ref := inLayout(t, image(t))
	invoke(t, nil, "inspect", ref).want(t, ExitOK, "0 B")
	invoke(t, nil, "check", ref, "--baseline", "image:"+ref).want(t, ExitOK)
}

func TestJSONInAJobStaysJSON(t *testing.T) {
	t.Parallel()
	env, _ := job(t, newGitHub(t), nil)
	ref := inLayout(t, image(t, layer{"RUN <<EOF ##[add-mask]a\n::error::" + strings.Repeat("echo long ", 5000), map[string]string{"a": "1"}}))
	r := invoke(t, env, "inspect", ref, "--format", "json")
	r.want(t, ExitOK)
	if !json.Valid([]byte(r.stdout)) || strings.Contains(r.stdout, "##[") {
		t.Errorf("%.300s", r.stdout)
	}
}

func TestNoCommentOutsidePullRequests(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"push", "merge_group", "schedule", "workflow_dispatch"} {
		g := newGitHub(t)
		env, dir := job(t, g, map[string]string{"comment": "always"})
		env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), grown(t))
		env["GITHUB_EVENT_NAME"] = event
		invoke(t, env, "check").want(t, ExitOver)
		if g.writes != 0 {
			t.Errorf("%s: commented", event)
		}
	}
}

func TestEverythingLocalIsWrittenBeforeThePost(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	env, dir := job(t, g, nil)
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), grown(t))
	file := filepath.Join(dir, "report.json")
	posted := false
	g.onWrite = func() {
		posted = true
		for _, name := range []string{env["GITHUB_OUTPUT"], env["GITHUB_STEP_SUMMARY"], file} {
			if info, err := os.Stat(name); err != nil || info.Size() == 0 {
				t.Errorf("%s is not there when the comment is posted", name)
			}
		}
	}
	invoke(t, env, "check", "--output", "json="+file).want(t, ExitOver)
	if !posted {
		t.Error("nothing was posted")
	}
}

func TestBrokenBudgetFileIsToldToTheJob(t *testing.T) {
	t.Parallel()
	env, dir := job(t, newGitHub(t), nil)
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), "version: 1\nimages: {web: {image: x, limts: {}}}\n")
	invoke(t, env, "check").want(t, ExitUsage)
	summary, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
	must(t, err)
	if out := outputs(t, env); out["status"] != "error" || !strings.Contains(string(summary), "limts") {
		t.Errorf("outputs %v, summary %q", out, summary)
	}
}

func TestColour(t *testing.T) {
	t.Parallel()
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	for _, tt := range []struct {
		env      map[string]string
		terminal bool
		want     bool
	}{
		{nil, true, true},
		{nil, false, false},
		{map[string]string{"NO_COLOR": "1"}, true, false},
		{map[string]string{"TERM": "dumb"}, true, false},
	} {
		var stdout bytes.Buffer
		c := &Command{
			Stdout: &stdout, Stderr: io.Discard, Getenv: func(name string) string { return tt.env[name] }, Now: time.Now,
			Terminal: func(w io.Writer) (int, bool) { return 80, tt.terminal && w == io.Writer(&stdout) },
		}
		if code := c.Main(t.Context(), []string{"check", ref}); code != ExitOK {
			t.Fatal(code)
		}
		if got := strings.Contains(stdout.String(), "\x1b["); got != tt.want {
			t.Errorf("%+v: coloured is %v", tt, got)
		}
	}
}

// A report is replaced in one step: whoever has the old one open keeps it whole.
func TestOutputReplacesTheFileInOneStep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	file := write(t, filepath.Join(dir, "r.json"), "old")
	must(t, os.Link(file, filepath.Join(dir, "held")))
	invoke(t, nil, "inspect", ref, "--output", "json="+file).want(t, ExitOK)
	held, err := os.ReadFile(filepath.Join(dir, "held"))
	must(t, err)
	now, err := os.ReadFile(file)
	must(t, err)
	if string(held) != "old" || !json.Valid(now) {
		t.Errorf("the old report reads %.40q, the new one %.40q", held, now)
	}
}

func TestJobTokenIsForGHCR(t *testing.T) {
	t.Parallel()
	c := &Command{Getenv: func(name string) string {
		return map[string]string{"GITHUB_TOKEN": "job-token", "GITHUB_ACTOR": "octo"}[name]
	}}
	empty := ""
	keys := c.keychain(&measureFlags{registry: &empty, username: &empty, passwd: &empty}, nil)
	for host, want := range map[string]string{"ghcr.io": "job-token", "registry.test": ""} {
		reg, err := name.NewRegistry(host)
		must(t, err)
		auth, err := keys.Resolve(reg)
		must(t, err)
		cfg, err := auth.Authorization()
		must(t, err)
		if cfg.Password != want {
			t.Errorf("%s is shown %q", host, cfg.Password)
		}
	}
}

func TestEngineFromTheEnvironment(t *testing.T) {
	t.Parallel()
	c := &Command{Getenv: func(name string) string {
		return map[string]string{"DOCKER_HOST": "tcp://engine:2376", "DOCKER_TLS_VERIFY": "1", "HOME": "/home/me", "DOCKER_API_VERSION": "1.45"}[name]
	}}
	e := c.engine()
	if e.Host != "tcp://engine:2376" || !e.TLSVerify || e.CertPath != filepath.Join("/home/me", ".docker") || e.APIVersion != "1.45" {
		t.Errorf("%+v", e)
	}
}

func TestBadSpellingIsAUsageError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"inspect", "BAD NAME"}, {"inspect", "oci:"}, {"inspect", ""}, {"check", "BAD NAME"},
		{"inspect", "x", "--platform", "foo"}, {"diff", "a", "docker-daemon:"},
	} {
		invoke(t, nil, args...).want(t, ExitUsage, "image-budget: ")
	}
}

func TestPathsInABudgetFileAreRelativeToIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Rename(strings.TrimPrefix(inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}})), "oci:"), filepath.Join(dir, "v1")))
	for _, ref := range []string{"oci:v1", "./v1", "v1", "oci:" + filepath.Join(dir, "v1")} {
		config := write(t, filepath.Join(dir, "budget.yml"), "version: 1\nbaseline: image:"+ref+"\nimages:\n  web:\n    image: "+ref+"\n    base: "+ref+"\n    limits: {layers: {max: 3}}\n")
		invoke(t, nil, "check", "--config", config).want(t, ExitOK, "within budget")
	}
}

func TestInitAndCheckAgreeOnPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	work, err := os.Getwd()
	must(t, err)
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 3000)}}))
	rel, err := filepath.Rel(work, strings.TrimPrefix(ref, "oci:"))
	must(t, err)
	config := filepath.Join(dir, "sub", "budget.yml")
	rconfig, err := filepath.Rel(work, config)
	must(t, err)
	invoke(t, nil, "init", "web=oci:"+rel, "--config", rconfig).want(t, ExitOK, "--config "+rconfig)
	invoke(t, nil, "check", "--config", rconfig).want(t, ExitOK, "within budget")
}

func TestBaselineIsThatOfThePlatform(t *testing.T) {
	t.Parallel()
	store := "file:" + filepath.Join(t.TempDir(), "baseline.json")
	small := image(t, layer{"RUN x", map[string]string{"a": "1"}})
	amd64, arm64 := inLayout(t, onPlatform(t, small, "amd64")), inLayout(t, onPlatform(t, small, "arm64"))
	for _, ref := range []string{amd64, arm64} {
		invoke(t, nil, "baseline", "save", "web="+ref, "--baseline", store).want(t, ExitOK)
	}
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages:\n  web:\n    image: x\n    limits: {unpacked: {growth: 1kB}}\n")
	big := inLayout(t, onPlatform(t, image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 9000)}}), "arm64"))
	invoke(t, nil, "check", "web="+big, "--config", config, "--baseline", store).want(t, ExitOver)
	invoke(t, nil, "check", "web="+arm64, "--config", config, "--baseline", store).want(t, ExitOK)
}

// Without a budget file an image of an engine, whose files are known, meets a
// baseline in a registry, of which the manifest is enough: one of them is
// measured further, so that the default can be judged.
func TestDefaultJudgesEngineAgainstRegistry(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(registry.New())
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	ref, _ := pushed(t, host+"/web:main", image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	head := unpackedArchive(t, image(t, layer{"RUN y", map[string]string{"a": strings.Repeat("x", 3_000_000)}}))
	invoke(t, nil, "check", head, "--baseline", "image:"+ref, "--fail-on", "warn").want(t, ExitOver, "unpacked")
}

// What the base's registry holds compressed is not estimated.
func TestKnownSizesOfTheBaseAreUsed(t *testing.T) {
	t.Parallel()
	base := layer{"RUN base", map[string]string{"a": strings.Repeat("x", 100_000)}}
	baseImage := image(t, base)
	head := unpackedArchive(t, image(t, base, layer{"RUN app", map[string]string{"b": "1"}}))
	r := invoke(t, nil, "inspect", head, "--base", inLayout(t, baseImage), "--estimate", "--format", "json")
	r.want(t, ExitOK)
	var rep struct {
		Images []struct {
			Layers []struct{ Compressed int64 }
		}
	}
	must(t, json.Unmarshal([]byte(r.stdout), &rep))
	m, err := baseImage.Manifest()
	must(t, err)
	if got := rep.Images[0].Layers[0].Compressed; got != m.Layers[0].Size {
		t.Errorf("the base layer weighs %d, its blob %d", got, m.Layers[0].Size)
	}
}

func TestVerboseSaysWhatWasOpenedAndRead(t *testing.T) {
	t.Parallel()
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	if r := invoke(t, nil, "check", ref); r.stderr != "" {
		t.Errorf("without it: %s", r.stderr)
	}
	invoke(t, nil, "check", ref, "--verbose").want(t, ExitOK, "opened "+ref, "read 1 layers")
}

func TestHelpFitsATerminal(t *testing.T) {
	t.Parallel()
	pages := []string{invoke(t, nil, "help").stdout}
	for _, c := range (&Command{}).commands() {
		pages = append(pages, invoke(t, nil, c.name, "--help").stdout)
	}
	for _, page := range pages {
		for line := range strings.Lines(page) {
			if len([]rune(line)) > 81 {
				t.Errorf("wider than 80 columns: %s", line)
			}
		}
	}
}

func TestNetworkErrorNamesTheImage(t *testing.T) {
	t.Parallel()
	invoke(t, nil, "inspect", "registry.invalid/app:1").want(t, ExitUnmeasured, "registry.invalid/app:1")
}

func TestPanicIsNoVerdict(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	c := &Command{Stdout: panicking{}, Stderr: &stderr, Getenv: func(string) string { return "" }, Now: time.Now, Terminal: func(io.Writer) (int, bool) { return 0, false }}
	if code := c.Main(t.Context(), []string{"version"}); code != ExitUnmeasured || !strings.Contains(stderr.String(), "internal error") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("broken") }
