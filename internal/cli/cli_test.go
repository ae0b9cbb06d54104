package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// result is what one run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

// invoke runs the program as a process would be, with an environment.
func invoke(t testing.TB, env map[string]string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := &Command{
		Stdout: &stdout, Stderr: &stderr,
		Getenv:   func(name string) string { return env[name] },
		Now:      func() time.Time { return time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC) },
		Terminal: func(io.Writer) (int, bool) { return 0, false },
	}
	code := c.Main(t.Context(), args)
	return result{code, stdout.String(), stderr.String()}
}

func (r result) want(t testing.TB, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, p := range parts {
		if !strings.Contains(r.stdout+r.stderr, p) {
			t.Errorf("the output lacks %q:\n%s%s", p, r.stdout, r.stderr)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// layer is one layer of an image made for a test: the files in it, by name,
// and the history line.
type layer struct {
	by    string
	files map[string]string
}

func tarOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, name := range sortedKeys(files) {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name])), Format: tar.FormatPAX}
		must(t, tw.WriteHeader(h))
		_, err := io.WriteString(tw, files[name])
		must(t, err)
	}
	must(t, tw.Close())
	return buf.Bytes()
}

// image builds an image in memory.
func image(t testing.TB, layers ...layer) v1.Image {
	t.Helper()
	var adds []mutate.Addendum
	for _, l := range layers {
		content := tarOf(t, l.files)
		lay, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		must(t, err)
		adds = append(adds, mutate.Addendum{Layer: lay, History: v1.History{CreatedBy: l.by}})
	}
	img, err := mutate.Append(empty.Image, adds...)
	must(t, err)
	cfg, err := img.ConfigFile()
	must(t, err)
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", "amd64"
	img, err = mutate.ConfigFile(img, cfg)
	must(t, err)
	return img
}

// inLayout stores an image as an OCI layout and returns its reference.
func inLayout(t testing.TB, img v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, p.AppendImage(img))
	return "oci:" + dir
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	must(t, os.WriteFile(name, []byte(content), 0o644))
	return name
}

func TestCheckJudgesByTheBudgetFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}))
	head := inLayout(t, image(t,
		layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}},
		layer{"RUN npm ci", map[string]string{"root/.npm/_cacache/b": strings.Repeat("y", 5000)}}))
	config := write(t, filepath.Join(dir, "budget.yml"), `version: 1
baseline: image:`+old+`
images:
  web:
    image: `+head+`
    base: `+old+`
    limits:
      unpacked: {max: 3kB, growth: 10%}
      layers: {max: 5}
    own:
      final: {max: 6kB}
`)
	invoke(t, nil, "check", "--config", config).want(t, ExitOver, "over budget", "5.0 kB", "npm cache", "RUN npm ci")
	invoke(t, nil, "check", "--config", config, "--fail-on", "never").want(t, ExitOK, "over budget")
	invoke(t, nil, "check", "--config", config, old).want(t, ExitOK, "within budget")
	invoke(t, nil, "check", "--config", config, "web="+old).want(t, ExitOK)
	invoke(t, nil, "check", "--config", config, "wep="+old).want(t, ExitUsage, `did you mean "web"?`)
}

func TestCheckWithoutABudgetFileWarns(t *testing.T) {
	t.Parallel()
	old := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}))
	big := make([]byte, 3_000_000)
	for i := range big {
		big[i] = byte(i * i >> 7 * i)
	}
	head := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": string(big)}}))
	t.Run("growth", func(t *testing.T) {
		t.Parallel()
		invoke(t, nil, "check", head, "--baseline", "image:"+old).want(t, ExitOK, "no .image-budget.yml", "warn")
		invoke(t, nil, "check", head, "--baseline", "image:"+old, "--fail-on", "warn").want(t, ExitOver)
	})
	t.Run("no baseline", func(t *testing.T) {
		t.Parallel()
		invoke(t, nil, "check", head).want(t, ExitOK)
		invoke(t, nil, "check", head, "--baseline", "image:oci:"+t.TempDir()+"/none").want(t, ExitOK, "no baseline")
	})
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "Usage:"},
		{[]string{"chek"}, `did you mean "check"?`},
		{[]string{"check", "--confg", "x"}, `did you mean "config"?`},
		{[]string{"check", "--fail-on", "errror"}, `did you mean "error"?`},
		{[]string{"check"}, "there is no image"},
		{[]string{"check", "--config", "/nonexistent/budget.yml"}, "there is no budget file"},
		{[]string{"check", "x", "--output", "jsno=x"}, `did you mean "json"?`},
		{[]string{"check", "x", "--output", "x"}, "FORMAT=FILE"},
		{[]string{"check", "x", "--max-files", "0"}, "more than 0"},
		{[]string{"check", "x", "--max-unpacked", "12 parsecs"}, "unit"},
		{[]string{"check", "x", "--baseline", "fiel:x"}, "file:"},
		{[]string{"inspect"}, "one image"},
		{[]string{"diff", "a"}, "two images"},
		{[]string{"report"}, "JSON"},
		{[]string{"baseline"}, "baseline save"},
		{[]string{"baseline", "sav"}, `did you mean "save"?`},
		{[]string{"init"}, "init takes"},
	} {
		invoke(t, nil, tt.args...).want(t, ExitUsage, tt.want)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	invoke(t, nil, "help").want(t, ExitOK, "Usage:", "Exit codes")
	for _, c := range (&Command{}).commands() {
		if c.name == "version" {
			continue
		}
		r := invoke(t, nil, c.name, "--help")
		r.want(t, ExitOK, "Usage: image-budget "+c.name)
	}
}

func TestFlagsMayFollowArguments(t *testing.T) {
	t.Parallel()
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	r := invoke(t, nil, "inspect", ref, "--format", "json")
	r.want(t, ExitOK)
	if !json.Valid([]byte(r.stdout)) {
		t.Errorf("not JSON: %s", r.stdout)
	}
}

func TestSeveralOutputsInOneRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	in := func(name string) string { return filepath.Join(dir, name) }
	first := invoke(t, nil, "inspect", ref, "--output", "json="+in("r.json"), "--output", "markdown="+in("r.md"), "--output", "terminal="+in("r.txt"))
	first.want(t, ExitOK)
	list, err := os.ReadDir(dir)
	must(t, err)
	if len(list) != 3 {
		t.Errorf("the directory holds %v", list)
	}
	again := invoke(t, nil, "report", in("r.json"))
	if first.stdout != again.stdout {
		t.Errorf("rendered again it reads\n%s\nat first it was\n%s", again.stdout, first.stdout)
	}
	invoke(t, nil, "inspect", ref, "--output", "json="+in("no/such/dir")).want(t, ExitUsage, "create it first")
}

func TestBaselineSaveAndShow(t *testing.T) {
	t.Parallel()
	store := "file:" + filepath.Join(t.TempDir(), "baseline.json")
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 2000)}}))
	invoke(t, nil, "check", ref, "--baseline", store).want(t, ExitOK, "no baseline")
	invoke(t, nil, "baseline", "show", ref, "--baseline", store).want(t, ExitUnmeasured, "baseline save")
	invoke(t, nil, "baseline", "save", "web="+ref, "--baseline", store, "--commit", strings.Repeat("a", 40)).want(t, ExitOK, "saved web")
	invoke(t, nil, "baseline", "show", "web="+ref, "--baseline", store).want(t, ExitOK, "RUN x", strings.Repeat("a", 40))
	invoke(t, nil, "check", "web="+ref, "--baseline", store).want(t, ExitOK)
}

// A pull request builds in the engine what the main branch has pushed: one
// side has blobs, the other has none, and growth is judged all the same.
func TestEngineImageAgainstPushedBaseline(t *testing.T) {
	t.Parallel()
	base := layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}
	old := inLayout(t, image(t, base, layer{"RUN app", map[string]string{"b": "1"}}))
	archive := func(t testing.TB, layers ...layer) string {
		// An archive without compressed blobs, as an engine has it.
		return unpackedArchive(t, image(t, layers...))
	}
	check := func(t testing.TB, head string) result {
		config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nbaseline: image:"+old+"\nimages:\n  web:\n    image: "+head+
			"\n    limits:\n      compressed: {growth: 1kB}\n")
		return invoke(t, nil, "check", "--config", config, "--format", "json")
	}
	var report struct {
		Images []struct {
			Metrics struct {
				Compressed int64
				Estimated  bool `json:"compressed_estimated"`
			}
			Delta struct{ Compressed *int64 }
		}
	}
	for what, tt := range map[string]struct {
		layers []layer
		code   int
	}{
		"unchanged":       {[]layer{base, {"RUN app", map[string]string{"b": "1"}}}, ExitOK},
		"a layer on top":  {[]layer{base, {"RUN app", map[string]string{"b": "1"}}, {"RUN more", map[string]string{"c": noise(5000)}}}, ExitOver},
		"a layer rebuilt": {[]layer{base, {"RUN app", map[string]string{"b": noise(5000)}}}, ExitOver},
	} {
		t.Run(what, func(t *testing.T) {
			r := check(t, archive(t, tt.layers...))
			r.want(t, tt.code)
			must(t, json.Unmarshal([]byte(r.stdout), &report))
			if got := report.Images[0]; got.Delta.Compressed == nil || got.Metrics.Estimated == (what == "unchanged") || (what == "unchanged") != (*got.Delta.Compressed == 0) {
				t.Errorf("%+v: %s", got, r.stdout)
			}
		})
	}
}

// noise is text that does not compress.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// unpackedArchive is what docker save writes: layers as plain tars.
func unpackedArchive(t testing.TB, img v1.Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "saved.tar")
	f, err := os.Create(path)
	must(t, err)
	tw := tar.NewWriter(f)
	put := func(name string, data []byte) {
		must(t, tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644}))
		_, err := tw.Write(data)
		must(t, err)
	}
	config, err := img.RawConfigFile()
	must(t, err)
	put("config.json", config)
	layers, err := img.Layers()
	must(t, err)
	manifest := []map[string]any{{"Config": "config.json", "RepoTags": []string{"demo:1"}, "Layers": []string{}}}
	var names []string
	for i, l := range layers {
		r, err := l.Uncompressed()
		must(t, err)
		data, err := io.ReadAll(r)
		must(t, err)
		names = append(names, fmt.Sprintf("%d/layer.tar", i))
		put(names[i], data)
	}
	manifest[0]["Layers"] = names
	data, err := json.Marshal(manifest)
	must(t, err)
	put("manifest.json", data)
	must(t, tw.Close())
	must(t, f.Close())
	return "docker-archive:" + path
}

func TestInterruptedRunSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	c := &Command{Stdout: io.Discard, Stderr: &stderr, Getenv: func(string) string { return "" }, Now: time.Now, Terminal: func(io.Writer) (int, bool) { return 0, false }}
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	if code := c.Main(ctx, []string{"inspect", ref}); code != ExitUnmeasured || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}

func TestInitWritesABudgetThatPasses(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "budget.yml")
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 2000)}}))
	invoke(t, nil, "init", "web="+ref, "--config", config).want(t, ExitOK, "wrote")
	invoke(t, nil, "init", "web="+ref, "--config", config).want(t, ExitUsage, "--force")
	invoke(t, nil, "check", "--config", config).want(t, ExitOK, "within budget")
}

func ExampleTool() {
	fmt.Println(strings.HasPrefix(Tool(), "image-budget "))
	// Output: true
}
