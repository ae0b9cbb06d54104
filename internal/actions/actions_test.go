package actions_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-githubactions"

	"github.com/org/image-budget/internal/actions"
)

func env(pairs map[string]string) func(string) string {
	return func(key string) string { return pairs[key] }
}

func TestInputs(t *testing.T) {
	t.Parallel()
	in := actions.NewInputs(env(map[string]string{
		"INPUT_FAIL-ON":     " never\n",
		"INPUT_FAIL_ON":     "warn",
		"INPUT_COMMENT-KEY": "",
		"INPUT_COMMENT_KEY": "api",
	}))
	if got := in.String("fail-on"); got != "never" {
		t.Errorf("fail-on = %q; the runner's own spelling comes first", got)
	}
	if got := in.String("comment-key"); got != "api" {
		t.Errorf("comment-key = %q; an empty input is one nobody gave", got)
	}
	if got := in.String("token"); got != "" {
		t.Errorf("token = %q", got)
	}
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	got := actions.FromEnv(env(map[string]string{
		"GITHUB_ACTIONS": "true", "RUNNER_DEBUG": "1", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": "/github/workflow/event.json",
		"GITHUB_REPOSITORY": "acme/web", "GITHUB_SHA": "9f8e", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_REF_NAME": "7/merge", "GITHUB_HEAD_REF": "feature",
		"GITHUB_BASE_REF": "main", "GITHUB_RUN_ID": "17000000000", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_WORKFLOW": "CI", "GITHUB_JOB": "budget",
		"GITHUB_SERVER_URL": "https://ghe.example/", "GITHUB_API_URL": "https://ghe.example/api/v3/", "GITHUB_WORKSPACE": "/github/workspace",
		"RUNNER_TEMP": "/github/runner_temp", "GITHUB_OUTPUT": "/o", "GITHUB_STEP_SUMMARY": "/s",
	}))
	want := actions.Runner{
		Actions: true, Debug: true, EventName: "pull_request", EventPath: "/github/workflow/event.json", Repository: "acme/web", SHA: "9f8e",
		Ref: "refs/pull/7/merge", RefName: "7/merge", HeadRef: "feature", BaseRef: "main", RunID: 17000000000, RunAttempt: 2, Workflow: "CI", Job: "budget",
		ServerURL: "https://ghe.example", APIURL: "https://ghe.example/api/v3", Workspace: "/github/workspace", Temp: "/github/runner_temp",
		OutputPath: "/o", SummaryPath: "/s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(actions.Runner{}, actions.FromEnv(env(map[string]string{"GITHUB_RUN_ID": "-1", "RUNNER_DEBUG": "0"}))); diff != "" {
		t.Error(diff)
	}
}

func TestRel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		workspace, path, want string
		ok                    bool
	}{
		{"/github/workspace", "/github/workspace/out/report.json", "out/report.json", true},
		{"/github/workspace", "report.json", "report.json", true},
		{"/github/workspace/", "./a/../report.json", "report.json", true},
		{"/github/workspace", "/github/workspace", ".", true},
		{"/github/workspace", "../x", "", false},
		{"/github/workspace", "/github/workspace2/x", "", false},
		{"/github/workspace", "/tmp/report.json", "", false},
		{"/github/workspace", "..x/y", "..x/y", true},
		{"", "report.json", "", false},
		{"/github/workspace", "", "", false},
	} {
		if got, ok := actions.Rel(c.workspace, c.path); got != c.want || ok != c.ok {
			t.Errorf("Rel(%q, %q) = %q, %v", c.workspace, c.path, got, ok)
		}
	}
}

func TestSetOutput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "output")
	r := actions.Runner{OutputPath: file}
	want := map[string]string{"status": "fail", "delta-bytes": "-12", "report_json": "out/ré port.json", "empty": "", "tricky": "a<<b=c"}
	for name, value := range want {
		if written, err := r.SetOutput(name, value); !written || err != nil {
			t.Errorf("%s: %v, %v", name, written, err)
		}
	}
	data, _ := os.ReadFile(file)
	got, ok := readOutputs(string(data))
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%s\n%s", diff, data)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if _, delimiter, ok := strings.Cut(line, "<<image_budget_"); ok {
			if seen[delimiter] || len(strings.TrimSpace(delimiter)) < 26 {
				t.Errorf("delimiter %q is used twice or can be guessed", delimiter)
			}
			seen[delimiter] = true
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d delimiters for %d values", len(seen), len(want))
	}
}

func TestSetOutputRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "output")
	for _, r := range []actions.Runner{{OutputPath: file}, {}} { // also where nobody reads it: bugs show at a desk
		for _, c := range []struct{ name, value, want string }{
			{"", "x", "a name has letters, digits, - and _ only"},
			{"a b", "x", "a name has"},
			{"a=b", "x", "a name has"},
			{"a<<b", "x", "a name has"},
			{"a\nb", "x", "a name has"},
			{"á", "x", "a name has"},
			{"a", "x\nstatus=pass", "control or invisible character"},
			{"a", "x\r", "control or invisible character"},
			{"a", "\x1b[1m", "control or invisible character"},
			{"a", "\u202e", "control or invisible character"},
			{"a", "\xff", "control or invisible character"},
			{"a", strings.Repeat("x", 4097), "4097 bytes, at most 4096"},
		} {
			if written, err := r.SetOutput(c.name, c.value); written || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q=%q: %v, %v", c.name, c.value, written, err)
			} else if strings.ContainsAny(err.Error(), "\n\r\x1b\u202e") {
				t.Errorf("%q in an error", err)
			}
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	if written, err := (actions.Runner{}).SetOutput("a", "b"); written || err != nil {
		t.Errorf("without a runner: %v, %v", written, err)
	}
	if written, err := (actions.Runner{OutputPath: filepath.Join(file, "x")}).SetOutput("a", "b"); written || err == nil {
		t.Errorf("without a directory: %v, %v", written, err)
	}
}

// TestConstantDelimiterIsAnInjection shows why SetOutput of the library is not used. If it
// fails the library was repaired and files.go can go.
func TestConstantDelimiterIsAnInjection(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "output")
	value := "v1\n_GitHubActionsFileCommandDelimeter_\nstatus<<x\npass\nx\nrest<<_GitHubActionsFileCommandDelimeter_\n"
	githubactions.New(githubactions.WithGetenv(env(map[string]string{"GITHUB_OUTPUT": file}))).SetOutput("tag", value)
	data, _ := os.ReadFile(file)
	if got, ok := readOutputs(string(data)); !ok || got["status"] != "pass" {
		t.Errorf("%v, %v", got, ok)
	}
	if _, err := (actions.Runner{OutputPath: file}).SetOutput("tag", value); err == nil {
		t.Error("ours took it as well")
	}
}

func TestAppendSummary(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "summary")
	r := actions.Runner{SummaryPath: file}
	for _, part := range []string{"# one", "two\n"} {
		if written, err := r.AppendSummary(part); !written || err != nil {
			t.Fatal(written, err)
		}
	}
	room := actions.SummaryLimit - len("# one\ntwo\n")
	if written, err := r.AppendSummary(strings.Repeat("x", room)); written || err == nil || !strings.Contains(err.Error(), "at most 921600") {
		t.Errorf("a byte too many: %v, %v", written, err)
	}
	if data, _ := os.ReadFile(file); string(data) != "# one\ntwo\n" {
		t.Errorf("summary is %q", data)
	}
	if written, err := r.AppendSummary(strings.Repeat("x", room-1)); !written || err != nil {
		t.Errorf("just fits: %v, %v", written, err)
	}
	if written, err := (actions.Runner{}).AppendSummary("x"); written || err != nil {
		t.Errorf("without a runner: %v, %v", written, err)
	}
}

func TestAnnotate(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := actions.NewCommands(&out, actions.Runner{Actions: true})
	n, err := c.Annotate([]actions.Annotation{
		{Level: actions.Notice, Message: "50% done, a: b"},
		{Level: actions.Warning, Title: "a,b:c=d%e\r\n::error::x", Message: "one\r\ntwo %0A\n##[add-mask]a\x1b[2J", File: "a,b:c%d\n.txt", Line: 3, EndLine: 4},
		{Level: actions.Error, Title: "%d %s", Message: "%d %s\n::error::x", Line: -1},
	})
	if n != 3 || err != nil {
		t.Fatal(n, err)
	}
	got, plain := readCommands(out.String())
	want := []command{
		{"error", map[string]string{"title": "%d %s"}, "%d %s\n::error::x"},
		{"warning", map[string]string{"title": `a,b:c=d%e\r\n::error::x`, "file": `a,b:c%d\n.txt`, "line": "3", "endLine": "4"}, "one\ntwo %0A\n##[add-mask]a\\x1b[2J"},
		{"notice", map[string]string{}, "50% done, a: b"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(command{})); diff != "" || len(plain) > 0 {
		t.Errorf("%s%q\n%s", diff, plain, out.String())
	}
}

func TestAnnotateCountsTheRest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := actions.NewCommands(&out, actions.Runner{Actions: true})
	var list []actions.Annotation
	for range 7 {
		list = append(list, actions.Annotation{Level: actions.Warning, Message: "w"})
	}
	if n, _ := c.Annotate(list); n != 7 {
		t.Errorf("%d of 7", n)
	}
	list = append(list, actions.Annotation{Level: actions.Error, Message: "e"})
	if n, _ := c.Annotate(list); n != 2 {
		t.Errorf("%d of 2", n)
	}
	got, plain := readCommands(out.String())
	if len(got) != actions.MaxAnnotations || got[7].name != "error" {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]string{"6 more not shown as annotations; the job summary and the report have them all."}, plain); diff != "" {
		t.Error(diff)
	}
}

func TestAnnotationIsCut(t *testing.T) {
	t.Parallel()
	for _, message := range []string{strings.Repeat("x", 5000), strings.Repeat("😀", 3000), strings.Repeat("\x00", 3000), strings.Repeat("é\n", 3000)} {
		var out bytes.Buffer
		c := actions.NewCommands(&out, actions.Runner{Actions: true})
		if _, err := c.Annotate([]actions.Annotation{{Message: message, Title: strings.Repeat("é", 300)}}); err != nil {
			t.Fatal(err)
		}
		got, _ := readCommands(out.String())
		if len(got) != 1 {
			t.Fatalf("%d commands", len(got))
		}
		if n := len(utf16.Encode([]rune(got[0].data))); n > 4000 || n < 3990 || !strings.HasSuffix(got[0].data, "…") {
			t.Errorf("%d units", n)
		}
		if n := len([]rune(got[0].fields["title"])); n != 255 {
			t.Errorf("title of %d runes", n)
		}
	}
}

func TestAddMask(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := actions.NewCommands(&out, actions.Runner{Actions: true})
	if err := c.AddMask("", "  ", "s3cret/+%\n::x::"); err != nil {
		t.Fatal(err)
	}
	if err := c.MaskLogin("user", "pw"); err != nil {
		t.Fatal(err)
	}
	if err := c.MaskLogin("user", ""); err != nil {
		t.Fatal(err)
	}
	got, plain := readCommands(out.String())
	masked := map[string]bool{}
	for _, m := range got {
		if m.name != "add-mask" || m.data == "" || masked[m.data] {
			t.Errorf("%+v", m)
		}
		masked[m.data] = true
	}
	for _, secret := range []string{"s3cret/+%\n::x::", "czNjcmV0LyslCjo6eDo6", "s3cret%2F%2B%25%0A%3A%3Ax%3A%3A", "pw", "cHc=", "user:pw", "dXNlcjpwdw=="} {
		if !masked[secret] {
			t.Errorf("%q is not masked", secret)
		}
	}
	if masked["user"] || len(plain) > 0 {
		t.Errorf("%v %q", masked, plain)
	}
}

// TestNoRunnerNoCommands: at a desk an add-mask would print the secret it is to hide.
func TestNoRunnerNoCommands(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := actions.NewCommands(&out, actions.Runner{})
	n, err := c.Annotate([]actions.Annotation{{Message: "x"}})
	if err = errors.Join(err, c.AddMask("secret"), c.MaskLogin("u", "secret")); n != 0 || err != nil {
		t.Error(n, err)
	}
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}

func TestCommandsReportABrokenTarget(t *testing.T) {
	t.Parallel()
	c := actions.NewCommands(&brokenPipe{}, actions.Runner{Actions: true})
	_, err := c.Annotate([]actions.Annotation{{Message: "x"}})
	for _, err := range []error{err, c.AddMask("s3cret")} {
		if !errors.Is(err, errPipe) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}

func TestCommandsConcurrently(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := actions.NewCommands(&out, actions.Runner{Actions: true})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, _ = c.Annotate([]actions.Annotation{{Message: "x"}})
			_ = c.AddMask("y")
		})
	}
	wg.Wait()
	annotations := 0
	for _, cmd := range first(readCommands(out.String())) {
		if cmd.name == "error" {
			annotations++
		}
	}
	if annotations != actions.MaxAnnotations {
		t.Errorf("%d annotations", annotations)
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestOwnLike(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "report.json")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := actions.OwnLike(file, dir); err != nil {
		t.Errorf("same owner: %v", err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 1234, 4321); err != nil {
			t.Fatal(err)
		}
		if err := actions.OwnLike(file, dir); err != nil {
			t.Error(err)
		}
		if uid, gid := owner(t, file); uid != 1234 || gid != 4321 {
			t.Errorf("owner is %d:%d", uid, gid)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := actions.OwnLike(link, dir); err == nil {
		t.Error("a symbolic link was followed")
	}
	if err := os.Link(file, filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}
	if err := actions.OwnLike(file, dir); err == nil {
		t.Error("a file with two names was given away")
	}
	if err := actions.OwnLike(filepath.Join(dir, "none"), dir); err == nil || !strings.Contains(err.Error(), "giving a file") {
		t.Errorf("a missing file: %v", err)
	}
}
