package cli

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// repositoryArchive is what GitHub makes of a commit, with the modes that it
// gives to files.
func repositoryArchive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	entries := []tar.Header{{Name: "acme-web-0123abc/", Typeflag: tar.TypeDir, Mode: 0o775}}
	for _, name := range sortedKeys(files) {
		entries = append(entries, tar.Header{Name: "acme-web-0123abc/" + name, Typeflag: tar.TypeReg, Mode: 0o664, Uname: files[name]})
	}
	return treeArchive(t, entries...).Bytes()
}

// TestTheBaselineIsBuilt: a pull request is compared with what the commit that it
// is merged onto makes, built in the same run and from the same cache.
func TestTheBaselineIsBuilt(t *testing.T) {
	t.Parallel()
	builders := map[string][]string{"buildkitd": {"INPUT_BUILDER", bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}}
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		builders[filepath.Base(host)] = []string{"DOCKER_HOST", host}
	}
	for name, setting := range builders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			// The slow step is the same in both: what it prints tells whether it
			// ran again.
			mark := fmt.Sprint(time.Now().UnixNano())
			dockerfile := "FROM alpine:3.22\nCOPY packages /packages\nRUN date +%N > /" + mark + "\nCOPY app /app\n"
			h.SetArchive(h.c[5], repositoryArchive(t, map[string]string{
				"deploy/web.Dockerfile": dockerfile, "web/packages": "express", "web/app": "small",
				".image-budget.yml": "not read: the budget is that of the pull request",
			}))
			env := h.step(t, "pull_request", h.merge, event(t, "pull_request", h.p1, h.c[2]))
			env[setting[0]] = setting[1]
			env["INPUT_NETWORK"], env["INPUT_FORMAT"], env["RUNNER_TEMP"] = "none", "json", t.TempDir()
			dir := env["GITHUB_WORKSPACE"]
			for name, content := range map[string]string{
				"deploy/web.Dockerfile": dockerfile, "web/packages": "express", "web/app": strings.Repeat("grown", 1000),
				".image-budget.yml": "version: 1\nbaseline: build\nimages:\n  web:\n    build: {context: web, dockerfile: deploy/web.Dockerfile}\n    limits: {unpacked: {growth: 1kB}}\n",
			} {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
				write(t, filepath.Join(dir, name), content)
			}
			env["INPUT_CONFIG"] = filepath.Join(dir, ".image-budget.yml")
			r := invoke(t, env, "check")
			r.want(t, ExitOver)
			var rep struct {
				Images []struct {
					Baseline struct{ Status, Commit string }
					Delta    struct {
						Unpacked int64
						Layers   []struct{ Change string }
					}
					Layers []struct {
						Origin *struct {
							File  string
							Start int
							Exact bool
						}
					}
				}
			}
			must(t, json.Unmarshal([]byte(r.stdout), &rep))
			img := rep.Images[0]
			if img.Baseline.Status != "found" || img.Baseline.Commit != h.c[5] || img.Delta.Unpacked != 5000-5 {
				t.Errorf("%+v", img)
			}
			// One layer differs, so the slow step was not run for both.
			changed := 0
			for _, l := range img.Delta.Layers {
				if l.Change != "same" {
					changed++
				}
			}
			last := img.Layers[len(img.Layers)-1].Origin
			if changed != 1 || last == nil || last.File != "deploy/web.Dockerfile" || last.Start != 4 || !last.Exact {
				t.Errorf("%d layers differ: %+v, %+v", changed, img.Delta.Layers, last)
			}
			if left, err := os.ReadDir(env["RUNNER_TEMP"]); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			for _, title := range []string{"::group::building web\n", "::group::building web at " + h.c[5][:7] + "\n"} {
				if !strings.Contains(r.stderr, title) {
					t.Errorf("no %q in\n%s", title, r.stderr)
				}
			}
		})
	}
}

// TestTheBaselineThatCannotBeBuilt needs no builder: it is given up before.
func TestTheBaselineThatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "Dockerfile"), "FROM scratch\n")
	plain := write(t, filepath.Join(dir, "plain.yml"), "version: 1\nbaseline: build\nimages:\n  web: {image: docker-daemon:web}\n")
	invoke(t, nil, "baseline", "show", "--config", plain).want(t, ExitUsage, "web is not built here")
	for name, c := range map[string]struct{ spec, want string }{
		"no folder":   {"build", "git worktree add"},
		"empty":       {"build: ", "nothing after the colon"},
		"misspelt":    {"biuld", `did you mean "build"?`},
		"misspelt in": {"biuld:../x", `did you mean "build:../x"?`},
	} {
		r := invoke(t, map[string]string{"DOCKER_HOST": "unix:///nonexistent.sock"}, "baseline", "show", "--context", dir, "--baseline", c.spec)
		if r.code != ExitUsage || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: exit code %d: %s", name, r.code, r.stderr)
		}
	}
}

// TestSourcesThatAreNoCheckout: an archive of a commit leaves out what these say,
// and growth that is none must not be reported.
func TestSourcesThatAreNoCheckout(t *testing.T) {
	t.Parallel()
	for want, files := range map[string]map[string]string{
		"":              {".gitattributes": "*.go text eol=lf\n# export-ignore\n", "sub/.gitattributes": ""},
		"no submodules": {".gitmodules": "[submodule]"},
		"export-ignore": {"sub/.gitattributes": "/tests export-ignore\n"},
		"filter=lfs":    {".gitattributes": "*.bin filter=lfs diff=lfs\n"},
	} {
		dir := t.TempDir()
		for name, content := range files {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
			write(t, filepath.Join(dir, name), content)
		}
		err := wholeTree(dir)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestMovedBuild(t *testing.T) {
	t.Parallel()
	root, dir := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "app"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "deps"), 0o755))
	write(t, filepath.Join(dir, "app", "Dockerfile"), "FROM scratch\n")
	spec, _, err := buildOf(t, nil, root, nil, "--context", filepath.Join(root, "app"), "--tag", "web", "--cache-to", "type=inline", "--build-context", "deps="+filepath.Join(root, "deps"), "--build-context", "alpine=docker-image://alpine:3.22")
	must(t, err)
	got, err := moved(spec, root, dir)
	must(t, err)
	if got.Context != filepath.Join(dir, "app") || got.Contexts["deps"] != filepath.Join(dir, "deps") || got.Contexts["alpine"] != "docker-image://alpine:3.22" || got.Tags != nil || got.CacheTo != nil {
		t.Errorf("%+v", got)
	}
	for want, args := range map[string][]string{
		"there was no other yet":     {"--context", filepath.Join(root, "other")},
		"there was no more yet":      {"--context", filepath.Join(root, "app"), "--build-context", "more=" + filepath.Join(root, "more")},
		`had no stage "runtime" yet`: {"--context", filepath.Join(root, "app"), "--target", "runtime"},
		"is not in the repository":   {"--context", t.TempDir()},
		"is fetched by the builder":  {"--context", "https://github.test/acme/web.git"},
	} {
		spec, _, err := buildOf(t, nil, root, nil, args...)
		must(t, err)
		if _, err := moved(spec, root, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestAStepThatFails ends in a 3; the log has what the step printed outside of
// the folded group, and the summary has the line and no more.
func TestAStepThatFails(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	env := h.step(t, "push", h.c[5], event(t, "push", h.c[5], h.c[4]))
	env["INPUT_BUILDER"], env["INPUT_NETWORK"] = bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT"), "none"
	dir := env["GITHUB_WORKSPACE"]
	write(t, filepath.Join(dir, "Dockerfile"), fmt.Sprintf("FROM alpine:3.22\n\nRUN echo %d; echo '::error::evil'; echo its-secret; exit 3\n", time.Now().UnixNano()))
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, ".image-budget.yml"), "version: 1\nimages:\n  web: {build: {context: .}}\n  other: {build: {context: ., target: none}}\n")
	r := invoke(t, env, "check")
	r.want(t, ExitUnmeasured)
	_, after, grouped := strings.Cut(r.stderr, "::endgroup::")
	if !grouped || !strings.Contains(after, "the last lines of") || !strings.Contains(after, "  | its-secret") || strings.Contains(r.stderr, "\n::error::evil") {
		t.Errorf("%s", r.stderr)
	}
	if !strings.Contains(r.stderr, "::error ") || !strings.Contains(r.stderr, "file=Dockerfile") || !strings.Contains(r.stderr, "line=3") {
		t.Errorf("no annotation of the line in\n%s", r.stderr)
	}
	text, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
	must(t, err)
	// Nothing in it becomes a link or a mention.
	summary := strings.ReplaceAll(string(text), "&#8203;", "")
	for _, want := range []string{"building: Dockerfile:3: ", "exit code: 3", `target stage "none" could not be found`} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary lacks %s:\n%s", want, summary)
		}
	}
	if strings.Contains(summary, "| its-secret") {
		t.Errorf("the summary has the log:\n%s", summary)
	}
}

// TestABaseBump: another base image is a line of its own, and not charged to
// what the image itself ships.
func TestABaseBump(t *testing.T) {
	t.Parallel()
	host, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	env := map[string]string{"DOCKER_HOST": host}
	dir := t.TempDir()
	name := fmt.Sprint("image-budget-test/bump-", time.Now().UnixNano())
	opener := source.New(source.Config{Engine: source.Engine{Host: host}})
	for i, size := range []int{1000, 500_000} {
		write(t, filepath.Join(dir, "content"), strings.Repeat("x", size))
		base := write(t, filepath.Join(dir, "base.Dockerfile"), "FROM alpine:3.22\nCOPY content /base\n")
		images, err := opener.Build(t.Context(), source.Build{Context: dir, Dockerfile: base, Tags: []string{fmt.Sprintf("%s:%d", name, i+1)}})
		must(t, err)
		must(t, images[0].Close())
	}
	t.Cleanup(func() {
		for i := range 2 {
			if text, err := exec.Command("/usr/bin/docker", "--host", host, "rmi", fmt.Sprintf("%s:%d", name, i+1)).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, text)
			}
		}
	})
	must(t, os.MkdirAll(filepath.Join(dir, "app"), 0o755))
	write(t, filepath.Join(dir, "app", "main"), "the same")
	config := write(t, filepath.Join(dir, "budget.yml"),
		"version: 1\nbaseline: file:size.json\nimages:\n  web:\n    build: {context: app}\n    limits: {unpacked: {max: 100MB}}\n    own: {unpacked: {growth: 0}, files: {growth: 0}, wasted: {growth: 0}}\n")
	from := func(tag int) {
		write(t, filepath.Join(dir, "app", "Dockerfile"), fmt.Sprintf("FROM %s:%d\nRUN rm /base && echo own > /own\nCOPY main /main\n", name, tag))
	}
	from(1)
	invoke(t, env, "baseline", "save", "--config", config, "--network", "none", "--progress", "quiet").want(t, ExitOK)
	from(2)
	r := invoke(t, env, "check", "--config", config, "--network", "none", "--progress", "quiet", "--format", "json")
	r.want(t, ExitOK)
	var rep struct {
		Images []struct {
			Delta struct {
				Unpacked int64
				Parts    struct{ Base, Files, Wasted int64 }
				Base     struct {
					Old, New struct{ Reference string }
				}
			}
		}
	}
	must(t, json.Unmarshal([]byte(r.stdout), &rep))
	if d := rep.Images[0].Delta; d.Unpacked != 499_000 || d.Parts.Base != 499_000 || d.Parts.Files != 0 || d.Parts.Wasted != 0 || d.Base.Old.Reference != name+":1" || d.Base.New.Reference != name+":2" {
		t.Errorf("%+v", d)
	}
	r = invoke(t, env, "check", "--config", config, "--network", "none", "--progress", "quiet")
	r.want(t, ExitOK, "base")
	if line := "+499.0 kB"; !strings.Contains(r.stdout, line) || !strings.Contains(r.stdout, ":1 → ") {
		t.Errorf("%s", r.stdout)
	}
}

// TestInitBuilds writes a budget file that says how to build, from another
// folder, and that the image keeps to.
func TestInitBuilds(t *testing.T) {
	t.Parallel()
	builder := bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "app"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "config"), 0o755))
	write(t, filepath.Join(dir, "app", "web.Dockerfile"), "FROM alpine:3.22\nARG X\nRUN echo $X > /x\n")
	here, err := os.Getwd()
	must(t, err)
	app, err := filepath.Rel(here, filepath.Join(dir, "app"))
	must(t, err)
	config := filepath.Join(dir, "config", "budget.yml")
	invoke(t, nil, "init", "--config", config, "--context", app, "--dockerfile", filepath.Join(app, "web.Dockerfile"), "--build-arg", "X=1",
		"--builder", builder, "--network", "none", "--progress", "quiet", "web").want(t, ExitOK, "wrote")
	text, err := os.ReadFile(config)
	must(t, err)
	for _, want := range []string{"context: \"../app\"\n", "dockerfile: \"web.Dockerfile\"\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	invoke(t, nil, "check", "--config", config, "--builder", builder, "--network", "none", "--progress", "quiet").want(t, ExitOK, "web", "within budget")
}
