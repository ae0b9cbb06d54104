package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rs/zerolog"

	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/internal/githubtest"
)

// history is a GitHub with a repository:
//
//	c0 – c1 – c2 – c3 – c4 – c5   main
//	           \– p0 – p1         the pull request
//	                    merge     of c5 and p1
type history struct {
	*githubtest.Server
	url           string
	c             []string
	p0, p1, merge string
}

func newHistory(t testing.TB) *history {
	h := &history{Server: githubtest.New("acme", "web")}
	h.Complain = t.Errorf
	var parents []string
	for range 6 {
		h.c = append(h.c, h.Commit(parents...))
		parents = []string{h.c[len(h.c)-1]}
	}
	h.SetBranch("main", h.c[5])
	h.p0 = h.Commit(h.c[2])
	h.p1 = h.Commit(h.p0)
	h.merge = h.Commit(h.c[5], h.p1)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// event is the payload of a kind, with head and base in the place of its own.
func event(t testing.TB, name, head, base string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../ghcomment/testdata/events/" + name + ".json")
	must(t, err)
	r := strings.NewReplacer(append([]string{strings.Repeat("a", 40), head, strings.Repeat("b", 40), base}, replace...)...)
	return write(t, filepath.Join(t.TempDir(), "event.json"), r.Replace(string(text)))
}

// step is the environment of a step of a workflow.
func (h *history) step(t testing.TB, name, sha, payload string) map[string]string {
	return map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_REPOSITORY": "acme/web", "GITHUB_EVENT_PATH": payload,
		"GITHUB_SHA": sha, "GITHUB_REF_NAME": "7/merge", "GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_SERVER_URL": "https://github.test",
		"GITHUB_API_URL": h.url, "GITHUB_WORKSPACE": t.TempDir(),
		"GITHUB_OUTPUT":       write(t, filepath.Join(t.TempDir(), "output"), ""),
		"GITHUB_STEP_SUMMARY": write(t, filepath.Join(t.TempDir(), "summary"), ""),
		"INPUT_GITHUB-TOKEN":  "ghs_canary0123456789", "INPUT_COMMENT": "never",
	}
}

func TestTheCommitToCompareWith(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	gone := strings.Repeat("e", 40)
	tests := map[string]struct {
		event, payload string
		sha            string
		checkedOut     string // "" for the commit of the run
		want           string
	}{
		// The base of the event is what main was when the pull request changed: older than what it is merged onto.
		"pull request":                      {"pull_request", event(t, "pull_request", h.p1, h.c[4]), h.merge, "", h.c[5]},
		"pull request of a fork":            {"pull_request", event(t, "pull_request.fork", h.p1, h.c[4]), h.merge, "", h.c[5]},
		"pull request, tip checked out":     {"pull_request", event(t, "pull_request", h.p1, h.c[4]), h.merge, h.p1, h.c[2]},
		"pull request, nothing checked out": {"pull_request", event(t, "pull_request", h.p1, h.c[4]), h.merge, "none", h.c[5]},
		"pull request, merge made anew":     {"pull_request", event(t, "pull_request", h.p1, h.c[4]), gone, "", h.c[2]},
		"pull request, base gone":           {"pull_request", event(t, "pull_request", h.p1, gone), h.p1, "", gone},
		"pull_request_target":               {"pull_request_target", event(t, "pull_request_target", h.p1, h.c[4]), h.c[5], "", h.c[2]},
		"merge group":                       {"merge_group", event(t, "merge_group", h.merge, h.c[5]), h.merge, "", h.c[5]},
		"push":                              {"push", event(t, "push", h.c[5], h.c[2]), h.c[5], "", h.c[2]},
		"push of a new branch":              {"push", event(t, "push.new-branch", h.c[5], ""), h.c[5], "", h.c[4]},
		"force push":                        {"push", event(t, "push", h.c[5], h.p1, `"forced": false`, `"forced": true`), h.c[5], "", h.c[4]},
		"first commit of all":               {"push", event(t, "push.new-branch", h.c[0], ""), h.c[0], "", h.c[0]},
		"schedule":                          {"schedule", event(t, "schedule", "", ""), h.c[5], "", h.c[5]},
		"by hand":                           {"workflow_dispatch", event(t, "workflow_dispatch", "", ""), h.c[3], "", h.c[3]},
		"release":                           {"release", event(t, "release", "", ""), h.c[3], "", h.c[3]},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := h.step(t, tt.event, tt.sha, tt.payload)
			if tt.checkedOut == "" {
				tt.checkedOut = tt.sha
			}
			if tt.checkedOut != "none" {
				must(t, os.Mkdir(filepath.Join(env["GITHUB_WORKSPACE"], ".git"), 0o755))
				write(t, filepath.Join(env["GITHUB_WORKSPACE"], ".git", "HEAD"), tt.checkedOut+"\n")
			}
			got, err := command(env).comparison(t.Context(), "")
			if err != nil || got.base != tt.want {
				t.Errorf("compared with %.7s, %v; want %.7s (c0 to c5 are %.7s)", got.base, err, tt.want, h.c)
			}
		})
	}
}

// command is one with an environment, as Main makes it.
func command(env map[string]string) *Command {
	getenv := func(name string) string { return env[name] }
	return &Command{
		Stdout: io.Discard, Stderr: io.Discard, Getenv: getenv, Now: time.Now,
		runner: actions.FromEnv(getenv), log: zerolog.Nop(),
	}
}

func TestHeadCommit(t *testing.T) {
	t.Parallel()
	sha, other := strings.Repeat("1a", 20), strings.Repeat("2b", 20)
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"detached":    {map[string]string{".git/HEAD": sha + "\n"}, sha},
		"a branch":    {map[string]string{".git/HEAD": "ref: refs/heads/a/b\n", ".git/refs/heads/a/b": sha + "\n"}, sha},
		"packed":      {map[string]string{".git/HEAD": "ref: refs/heads/x\n", ".git/packed-refs": "# pack-refs\n" + other + " refs/heads/xx\n" + sha + " refs/heads/x\n^" + other + "\n"}, sha},
		"a worktree":  {map[string]string{".git": "gitdir: main/worktrees/w\n", "main/worktrees/w/HEAD": "ref: refs/heads/w\n", "main/worktrees/w/commondir": "../..\n", "main/refs/heads/w": sha}, sha},
		"no commit":   {map[string]string{".git/HEAD": "ref: refs/heads/main\n"}, ""},
		"no git":      {nil, ""},
		"outside":     {map[string]string{".git/HEAD": "ref: ../secret\n", "secret": sha}, ""},
		"in a circle": {map[string]string{".git/HEAD": "ref: HEAD\n"}, ""},
		"no id":       {map[string]string{".git/HEAD": "main\n"}, ""},
		"reftable":    {map[string]string{".git/HEAD": "ref: refs/heads/.invalid\n", ".git/reftable/tables.list": "x"}, ""},
	} {
		dir := t.TempDir()
		for path, text := range tt.files {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
			write(t, filepath.Join(dir, path), text)
		}
		below := filepath.Join(dir, "deep", "er")
		must(t, os.MkdirAll(below, 0o755))
		if got := headCommit(below); got != tt.want && !(tt.files == nil && got != sha) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// baselineOf is what a JSON report says of the first image's baseline.
func baselineOf(t testing.TB, r result) (status, commit string, distance int) {
	t.Helper()
	var doc struct {
		Images []struct {
			Baseline struct {
				Status, Commit string
				Distance       int
			}
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || len(doc.Images) == 0 {
		t.Fatalf("%v\n%s%s", err, r.stdout, r.stderr)
	}
	b := doc.Images[0].Baseline
	return b.Status, b.Commit, b.Distance
}

// A push saves, a pull request is compared with the nearest commit that was
// saved, and saves nothing.
func TestBaselinesOnABranch(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	old := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}))
	big := inLayout(t, image(t,
		layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}},
		layer{"RUN npm ci", map[string]string{"b": strings.Repeat("y", 50_000)}}))
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"),
		"version: 1\nbaseline: branch:sizes\nimages:\n  web:\n    image: "+old+"\n    limits:\n      unpacked: {max: 9kB, growth: 1kB}\n")
	check := func(env map[string]string, ref string, args ...string) result {
		return invoke(t, env, append([]string{"check", "--config", config, "--format", "json", "web=" + ref}, args...)...)
	}
	saved := func() []string {
		t.Helper()
		var commits []string
		for path := range h.Files("sizes") {
			if _, name, ok := strings.Cut(path, "v1/web/linux+amd64/2"); ok {
				commits = append(commits, strings.Split(name, "-")[1])
			}
		}
		slices.Sort(commits)
		return commits
	}
	wantSaved := func(want ...string) {
		t.Helper()
		slices.Sort(want)
		if got := saved(); !slices.Equal(got, want) {
			t.Errorf("saved are %.7s, want %.7s", got, want)
		}
	}

	pr := h.step(t, "pull_request", h.merge, event(t, "pull_request", h.p1, h.c[5]))
	r := check(pr, old)
	r.want(t, ExitOK)
	if status, _, _ := baselineOf(t, r); status != "none" {
		t.Errorf("before the first push, the baseline is %q", status)
	}
	wantSaved()

	push := func(i int) map[string]string {
		return h.step(t, "push", h.c[i], event(t, "push", h.c[i], h.c[i-1]))
	}
	check(push(3), old).want(t, ExitOK, "saved the baseline of 1 image to branch:sizes")
	wantSaved(h.c[3])

	// Two commits later, for a pull request, even with a token that may only read.
	h.ReadOnly = true
	r = check(pr, big)
	r.want(t, ExitOver)
	if status, commit, distance := baselineOf(t, r); status != "found" || commit != h.c[3] || distance != 2 {
		t.Errorf("the baseline is %s, %.7s, %d commits away; want the one of c3, 2 away", status, commit, distance)
	}
	text := invoke(t, pr, "check", "--config", config, "web="+big)
	text.want(t, ExitOver)
	if want := "measured at commit " + h.c[3][:7] + ", 2 commits before the base commit"; !strings.Contains(strings.Join(strings.Fields(text.stdout), " "), want) {
		t.Errorf("the report lacks %q:\n%s", want, text.stdout)
	}

	// A push that may not write keeps its verdict, and says what it needs.
	check(push(4), old).want(t, ExitOK, "the baseline was not saved", "permissions:\n  contents: write")
	h.ReadOnly = false
	wantSaved(h.c[3])

	// What is over its budget is on the branch all the same.
	check(push(5), big).want(t, ExitOver, "saved the baseline")
	wantSaved(h.c[3], h.c[5])
	r = check(pr, big, "--fail-on", "never")
	if _, commit, distance := baselineOf(t, r); commit != h.c[5] || distance != 0 {
		t.Errorf("the baseline is of %.7s, %d away, want that of c5 itself", commit, distance)
	}

	// Not from other branches, other events, or when told not to.
	release := h.step(t, "push", h.c[1], event(t, "push.new-branch", h.c[1], ""))
	check(release, old).want(t, ExitOK)
	check(push(4), old, "--save-baseline", "never").want(t, ExitOK)
	check(h.step(t, "schedule", h.c[4], event(t, "schedule", "", "")), old).want(t, ExitOK)
	check(h.step(t, "workflow_dispatch", h.c[4], event(t, "workflow_dispatch", "", "")), old).want(t, ExitOK)
	check(h.step(t, "push", h.c[4], event(t, "push.deleted-tag", "", h.c[4])), old).want(t, ExitOK)
	wantSaved(h.c[3], h.c[5])
	check(release, old, "--tracked", "main", "--tracked", "release/*").want(t, ExitOK)
	wantSaved(h.c[1], h.c[3], h.c[5])
	check(release, old, "--tracked", "[").want(t, ExitUsage, "--tracked")

	// By hand: a pull request is refused unless it insists.
	save := []string{"baseline", "save", "--config", config, "web=" + old}
	invoke(t, pr, save...).want(t, ExitUsage, "this workflow runs for a pull request", "--force")
	invoke(t, h.step(t, "merge_group", h.merge, event(t, "merge_group", h.merge, h.c[5])), save...).want(t, ExitUsage, "--force")
	invoke(t, h.step(t, "workflow_run", h.c[5], event(t, "workflow_run.fork", h.p1, "")), save...).want(t, ExitUsage, "--force")
	wantSaved(h.c[1], h.c[3], h.c[5])
	// A file is reviewed with the pull request that changes it.
	invoke(t, pr, append(save, "--baseline", "file:"+filepath.Join(t.TempDir(), "sizes.json"))...).want(t, ExitOK, "saved web")
	invoke(t, pr, append(save, "--force")...).want(t, ExitOK, "saved web")
	wantSaved(h.c[1], h.c[3], h.c[5], h.merge)
	invoke(t, h.step(t, "workflow_dispatch", h.c[2], event(t, "workflow_dispatch", "", "")), save...).want(t, ExitOK, "saved web")
	wantSaved(h.c[1], h.c[2], h.c[3], h.c[5], h.merge)

	// At a terminal: the commit that is checked out here is unknown there, so
	// the latest is shown and compared with.
	local := map[string]string{"GITHUB_REPOSITORY": "acme/web", "GITHUB_TOKEN": "ghs_canary0123456789", "GITHUB_API_URL": h.url}
	invoke(t, local, "baseline", "show", "--config", config).want(t, ExitOK, h.c[5])
	invoke(t, local, "baseline", "show", "--config", config, "--commit", h.c[4]).want(t, ExitOK, h.c[3])
	r = check(local, big)
	if _, commit, _ := baselineOf(t, r); commit != h.c[5] {
		t.Errorf("at a terminal the baseline is of %.7s, want the latest, of c5", commit)
	}
	wantSaved(h.c[1], h.c[2], h.c[3], h.c[5], h.merge)
	invoke(t, local, "baseline", "list", "--baseline", "branch:sizes").want(t, ExitOK, "web    linux/amd64  "+h.c[3]+"  2026-11-23T09:30:00Z")
	invoke(t, local, "baseline", "prune", "--keep", "2", "--config", config).want(t, ExitOK, "removed 2 baselines from branch:sizes")
	if n := len(saved()); n != 3 {
		t.Errorf("%d are left, want the newest 2 and the latest of main", n)
	}
	for _, bad := range [][]string{{"prune", "--keep", "0"}, {"prune", "web"}, {"list", "--baseline", "file:x"}, {"prune", "--baseline", "file:x"}, {"lsit"}} {
		invoke(t, local, append(append([]string{"baseline"}, bad...), "--config", config)...).want(t, ExitUsage)
	}

	// Out of reach is a 3, after the report of what needs no baseline.
	h.Answer(slices.Repeat([]githubtest.Reply{{Method: "GET", Path: "/git/commits/", Status: 404, Body: `{"message":"Not Found"}`}}, 1)...)
	h.Answer(slices.Repeat([]githubtest.Reply{{Method: "GET", Path: "/git/ref/", Status: 401, Body: `{"message":"Bad credentials"}`}}, 1)...)
	check(pr, old).want(t, ExitUnmeasured, "Bad credentials", "not-comparable")
	invoke(t, map[string]string{}, "check", "--config", config).want(t, ExitUnmeasured, "loading the baseline branch:sizes: it is on GitHub, and GITHUB_REPOSITORY is not set")
	invoke(t, map[string]string{"GITHUB_REPOSITORY": "acme/web"}, "check", "--config", config).want(t, ExitUnmeasured, "there is no GitHub token to read the commits and baselines of acme/web with")
}

// What is saved at a terminal has no commit: the tree may differ from any. It is
// compared with there until a commit of the history is saved after it.
func TestBaselinesSavedAtATerminal(t *testing.T) {
	h := newHistory(t)
	srv := httptest.NewServer(registry.New())
	t.Cleanup(srv.Close)
	sized := func(n int) string {
		return inLayout(t, image(t, layer{"RUN base", map[string]string{"a": strings.Repeat("x", n)}}))
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, ".git"), 0o755))
	write(t, filepath.Join(dir, ".git", "HEAD"), h.c[5]+"\n")
	t.Chdir(dir)
	for _, store := range []string{"branch:sizes", "registry:" + strings.TrimPrefix(srv.URL, "http://") + "/acme/sizes"} {
		minute := 0
		run := func(code int, args ...string) result {
			t.Helper()
			var out, errs strings.Builder
			minute++
			env := map[string]string{"GITHUB_REPOSITORY": "acme/web", "GITHUB_TOKEN": "ghs_canary0123456789", "GITHUB_API_URL": h.url}
			c := &Command{
				Stdout: &out, Stderr: &errs, Getenv: func(name string) string { return env[name] },
				Now:      func() time.Time { return time.Date(2026, 11, 24, 9, minute, 0, 0, time.UTC) },
				Terminal: func(io.Writer) (int, bool) { return 0, false },
			}
			r := result{code: c.Main(t.Context(), append(args, "--baseline", store)), stdout: out.String(), stderr: errs.String()}
			r.want(t, code)
			return r
		}
		check := func(want string, distance int) {
			t.Helper()
			status, commit, away := baselineOf(t, run(ExitOK, "check", "--format", "json", "web="+sized(1000)))
			if status != "found" || commit != want || away != distance {
				t.Errorf("%s: compared with %s %.7s, %d away; want %.7s, %d away", store, status, commit, away, want, distance)
			}
		}
		run(ExitOK, "baseline", "save", "web="+sized(1000), "--commit", h.c[3])
		check(h.c[3], 2)
		run(ExitOK, "baseline", "save", "web="+sized(2000))
		check("", 0)
		if r := run(ExitOK, "baseline", "show", "web"); strings.Contains(r.stdout, h.c[3]) {
			t.Errorf("%s: show shows another than check compares with:\n%s", store, r.stdout)
		}
		run(ExitOK, "baseline", "show", "web", "--commit", h.c[3][:9]).want(t, ExitOK, h.c[3])
		run(ExitUnmeasured, "baseline", "show", "web", "--commit", "00000000").want(t, ExitUnmeasured, "begins with 00000000")
		run(ExitUsage, "baseline", "show", "web", "--commit", "HEAD").want(t, ExitUsage, "no commit id", "baseline show --help")
		run(ExitUsage, "baseline", "save", "web="+sized(1), "--commit", "HEAD").want(t, ExitUsage, "git rev-parse HEAD", "baseline save --help")
		run(ExitUsage, "baseline", "show", "web", "--platform", "linux/amd64,linux/arm64").want(t, ExitUsage, "names 2 platforms")
		run(ExitOK, "baseline", "save", "web="+sized(1000), "--commit", h.c[4])
		check(h.c[4], 1)

		var doc struct {
			Baseline  string
			Baselines []struct{ Image, Platform, Commit, At string }
		}
		if err := json.Unmarshal([]byte(run(ExitOK, "baseline", "list", "--format", "json").stdout), &doc); err != nil {
			t.Fatal(err)
		}
		if l := doc.Baselines; doc.Baseline != store || len(l) != 3 || l[0].Commit != h.c[4] || l[1].Commit != "" || l[2].Image != "web" || l[2].Platform != "linux/amd64" || !strings.HasPrefix(l[2].At, "2026-11-24T09:") {
			t.Errorf("%s: %+v", store, doc)
		}
		run(ExitOK, "baseline", "list", "--format", "markdown").want(t, ExitOK, "| `web` | `linux/amd64` | `"+h.c[3]+"` | 2026-11-24T09:")
	}
}

// What is stored is read without what builds need.
func TestBaselinesNeedNoBuild(t *testing.T) {
	t.Parallel()
	store := "file:" + filepath.Join(t.TempDir(), "sizes.json")
	invoke(t, nil, "baseline", "save", "web="+inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "b"}})), "--baseline", store).want(t, ExitOK)
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nbaseline: "+store+"\nimages:\n  web:\n    build: {context: gone, secrets: [\"id=a,env=NOT_SET\"]}\n    limits: {layers: {max: 9}}\n")
	invoke(t, nil, "baseline", "show", "--config", config).want(t, ExitOK, "web")
	invoke(t, nil, "baseline", "list", "--config", config).want(t, ExitUsage, "cannot be listed", "baseline list --help")
	two := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nbaseline: "+store+"\nimages:\n  web: {image: a}\n  api: {image: b}\n")
	invoke(t, nil, "baseline", "show", "nope", "--config", two).want(t, ExitUsage, "'image-budget baseline show --help'")
	invoke(t, nil, "baseline", "prune", "--config", config).want(t, ExitUsage, "keeps no history")
}

func TestBaselineVerbsHaveTheirOwnFlags(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]struct {
		has, lacks []string
	}{
		"save":  {[]string{"--context", "--commit", "--force"}, []string{"--keep", "--format"}},
		"show":  {[]string{"--commit", "--platform", "--format"}, []string{"--keep", "--force", "--builder"}},
		"list":  {[]string{"--format", "--registry-password"}, []string{"--keep", "--context", "--commit"}},
		"prune": {[]string{"--keep"}, []string{"--format", "--context", "--commit"}},
	} {
		r := invoke(t, nil, "baseline", verb, "--help")
		r.want(t, ExitOK, append(want.has, "image-budget baseline "+verb)...)
		for _, flag := range want.lacks {
			if strings.Contains(r.stdout, "  "+flag+" ") || strings.Contains(r.stdout, "  "+flag+"\n") {
				t.Errorf("baseline %s --help lists %s", verb, flag)
			}
		}
	}
}

func TestTheCommitOfTheLastRelease(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.SetTag("v1.0.0", h.c[1])
	h.SetTag("v1.1.0", h.c[3])
	h.SetTag("v2.0.0-rc.1", h.c[4])
	env := h.step(t, "pull_request", h.merge, event(t, "pull_request", h.p1, h.c[4]))
	got, err := command(env).releaseCommit(context.Background(), "")
	if want := (github.Release{Tag: "v1.1.0", Commit: h.c[3]}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// What becomes the baseline is read in full, also where the verdict needs no
// layer: it could explain nothing later. Several images are one commit.
func TestSavedBaselinesHaveFiles(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	srv := httptest.NewServer(registry.New())
	t.Cleanup(srv.Close)
	ref, _ := pushed(t, strings.TrimPrefix(srv.URL, "http://")+"/acme/web:main", image(t, layer{"RUN base", map[string]string{"app/data": strings.Repeat("x", 1000)}}))
	config := write(t, filepath.Join(t.TempDir(), "budget.yml"),
		"version: 1\nbaseline: branch:sizes\nimages:\n  web:\n    image: "+ref+"\n    limits: {layers: {max: 9}}\n  api:\n    image: "+ref+"\n    limits: {layers: {max: 9}}\n")
	env := h.step(t, "push", h.c[5], event(t, "push", h.c[5], h.c[4]))
	invoke(t, env, "check", "--config", config).want(t, ExitOK, "saved the baseline of 2 images")
	for path, text := range h.Files("sizes") {
		if strings.HasPrefix(path, "v1/") && !strings.Contains(text, "/app") {
			t.Errorf("%s names no directory:\n%s", path, text)
		}
	}
	invoke(t, env, "baseline", "save", "--config", config, "--commit", h.c[4]).want(t, ExitOK, "saved web", "saved api")
	if n := h.History("sizes"); n != 2 {
		t.Errorf("two saves of two images are %d commits, want 2", n)
	}
	// A pull request on a fresh runner reads only the layer that changed.
	changed, _ := pushed(t, strings.TrimPrefix(srv.URL, "http://")+"/acme/web:pr", image(t,
		layer{"RUN base", map[string]string{"app/data": strings.Repeat("x", 1000)}}, layer{"RUN more", map[string]string{"more": "1"}}))
	pr := h.step(t, "pull_request", h.merge, event(t, "pull_request", h.p1, h.c[5]))
	r := invoke(t, pr, "check", "--config", config, "--detail", "files", "--format", "json", "web="+changed)
	r.want(t, ExitOK, `"layers_read": 1,`, `"layers_known": 1,`)
}
