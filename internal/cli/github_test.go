package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/org/image-budget/report"
)

// github is as much of GitHub as one pull request without other people needs.
type gitHubFake struct {
	*httptest.Server
	mu       sync.Mutex
	comments []string
	writes   int
	readOnly bool
	// onWrite is called before a write is answered.
	onWrite func()
}

func newGitHub(t testing.TB) *gitHubFake {
	g := &gitHubFake{}
	mux := http.NewServeMux()
	comment := func(id int) map[string]any {
		return map[string]any{
			"id": id, "body": g.comments[id-1], "html_url": fmt.Sprintf("https://github.test/c/%d", id),
			"user": map[string]any{"login": "github-actions[bot]", "type": "Bot"},
		}
	}
	reply := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusForbidden, map[string]string{"message": "Resource not accessible by integration"})
	})
	mux.HandleFunc("GET /repos/acme/web/issues/7/comments", func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		list := []any{}
		for i := range g.comments {
			list = append(list, comment(i+1))
		}
		reply(w, http.StatusOK, list)
	})
	write := func(store func(body string) int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.readOnly {
				w.Header().Set("X-Accepted-GitHub-Permissions", "pull_requests=write")
				reply(w, http.StatusForbidden, map[string]string{"message": "Resource not accessible by integration"})
				return
			}
			if g.onWrite != nil {
				g.onWrite()
			}
			var in struct{ Body string }
			must(t, json.NewDecoder(r.Body).Decode(&in))
			g.writes++
			reply(w, http.StatusCreated, comment(store(in.Body)))
		}
	}
	mux.HandleFunc("POST /repos/acme/web/issues/7/comments", write(func(body string) int {
		g.comments = append(g.comments, body)
		return len(g.comments)
	}))
	mux.HandleFunc("PATCH /repos/acme/web/issues/comments/1", write(func(body string) int {
		g.comments[0] = body
		return 1
	}))
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

// job is the environment of a step in a pull request's workflow.
func job(t testing.TB, g *gitHubFake, inputs map[string]string) (env map[string]string, dir string) {
	t.Helper()
	dir = t.TempDir()
	head, base := strings.Repeat("9f", 20), strings.Repeat("1a", 20)
	event := fmt.Sprintf(`{"action":"synchronize","number":7,"repository":{"id":1,"full_name":"acme/web","default_branch":"main"},
		"pull_request":{"number":7,"head":{"sha":%q,"ref":"x","repo":{"id":1,"full_name":"acme/web"}},"base":{"sha":%q,"ref":"main","repo":{"id":1,"full_name":"acme/web"}}}}`, head, base)
	env = map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REPOSITORY": "acme/web",
		"GITHUB_EVENT_PATH": write(t, filepath.Join(dir, "event.json"), event),
		"GITHUB_SHA":        strings.Repeat("ab", 20), "GITHUB_RUN_ID": "123", "GITHUB_RUN_ATTEMPT": "1",
		"GITHUB_SERVER_URL": "https://github.test", "GITHUB_API_URL": g.URL, "GITHUB_WORKSPACE": dir,
		"GITHUB_OUTPUT":       write(t, filepath.Join(dir, "output"), ""),
		"GITHUB_STEP_SUMMARY": write(t, filepath.Join(dir, "summary"), ""),
		"INPUT_GITHUB-TOKEN":  "ghs_canary0123456789",
	}
	for name, value := range inputs {
		env["INPUT_"+strings.ToUpper(name)] = value
	}
	return env, dir
}

// outputs reads the file as the runner does.
func outputs(t testing.TB, env map[string]string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(env["GITHUB_OUTPUT"])
	must(t, err)
	out := map[string]string{}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok || lines[i+2] != delimiter {
			t.Fatalf("malformed output file:\n%s", data)
		}
		out[name] = lines[i+1]
	}
	return out
}

func grown(t testing.TB) (budgetText string) {
	t.Helper()
	old := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}))
	head := inLayout(t, image(t,
		layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}},
		layer{"RUN npm ci", map[string]string{"root/.npm/_cacache/b": strings.Repeat("y", 50_000)}}))
	return "version: 1\nbaseline: image:" + old + "\nimages:\n  web:\n    image: " + head + "\n    limits:\n      unpacked: {max: 3kB}\n      layers: {max: 5}\n"
}

func TestPullRequestGetsCommentSummaryOutputsAndAnnotations(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	env, dir := job(t, g, map[string]string{"output": "json=report.json\nmarkdown=" + filepath.Join(t.TempDir(), "r.md")})
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), grown(t))
	env["INPUT_OUTPUT"] = "json=" + filepath.Join(dir, "report.json")
	r := invoke(t, env, "check")
	r.want(t, ExitOver, "::error", "budget.yml", "::add-mask::ghs_canary0123456789")
	if len(g.comments) != 1 {
		t.Fatalf("%d comments", len(g.comments))
	}
	first := g.comments[0]
	for _, want := range []string{"<!-- image-budget v1 key=web head=" + strings.Repeat("9f", 20), "over", "npm cache"} {
		if !strings.Contains(first, want) {
			t.Errorf("the comment lacks %q:\n%s", want, first)
		}
	}
	out := outputs(t, env)
	want := map[string]string{"status": "fail", "over-budget": "true", "unpacked": "51000", "report-json": "report.json", "comment-id": "1", "comment-url": "https://github.test/c/1"}
	for name, value := range want {
		if out[name] != value {
			t.Errorf("output %s is %q, want %q", name, out[name], value)
		}
	}
	summary, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
	must(t, err)
	if !strings.Contains(string(summary), "npm cache") {
		t.Errorf("the summary lacks the cause:\n%s", summary)
	}
	// The same again: nothing is sent.
	invoke(t, env, "check").want(t, ExitOver)
	if g.writes != 1 {
		t.Errorf("%d writes, want 1", g.writes)
	}
}

func TestTokenIsInNothingButTheMask(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	env, dir := job(t, g, map[string]string{"registry-username": "robot", "registry-password": "canary-password", "verbose": "true"})
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), grown(t))
	env["RUNNER_DEBUG"] = "1"
	r := invoke(t, env, "check", "--output", "json="+filepath.Join(dir, "r.json"))
	r.want(t, ExitOver)
	if strings.Contains(r.stdout, "::") {
		t.Errorf("commands in the report that somebody may keep:\n%s", r.stdout)
	}
	everything := ""
	for line := range strings.Lines(r.stdout + r.stderr) {
		if !strings.HasPrefix(line, "::add-mask::") {
			everything += line
		}
	}
	for _, name := range []string{"r.json", "output", "summary"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		everything += string(data)
	}
	everything += strings.Join(g.comments, "\n")
	for _, secret := range []string{"ghs_canary", "canary-password"} {
		if strings.Contains(everything, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
}

func TestForbiddenCommentDegrades(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	g.readOnly = true
	env, dir := job(t, g, nil)
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), grown(t))
	r := invoke(t, env, "check")
	r.want(t, ExitOver, "permissions:", "pull-requests: write", "::error")
	if out := outputs(t, env); out["status"] != "fail" || out["comment-id"] != "" {
		t.Errorf("outputs %v", out)
	}
}

func TestGitHubOutOfReachChangesNoVerdict(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	g.Close()
	env, dir := job(t, g, nil)
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), grown(t))
	env["INPUT_FAIL-ON"] = "never"
	invoke(t, env, "check").want(t, ExitOK, "not posted")
}

func TestNothingWorthSayingIsNotPosted(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": "1"}}))
	env, _ := job(t, g, map[string]string{"image": ref, "baseline": "image:" + ref})
	invoke(t, env, "check").want(t, ExitOK)
	if len(g.comments) != 0 {
		t.Errorf("posted:\n%s", g.comments[0])
	}
	env["INPUT_COMMENT"] = "always"
	invoke(t, env, "check").want(t, ExitOK)
	if len(g.comments) != 1 {
		t.Error("comment: always posted nothing")
	}
}

func TestUnmeasurableImageSetsStatusError(t *testing.T) {
	t.Parallel()
	env, _ := job(t, newGitHub(t), map[string]string{"image": "oci:/nonexistent"})
	invoke(t, env, "check").want(t, ExitUnmeasured)
	if out := outputs(t, env); out["status"] != "error" {
		t.Errorf("outputs %v", out)
	}
}

// hostile are names that would do something if they were taken literally.
func hostile() []string {
	return []string{
		"\n::set-output name=status::pass", "\r\n::error::x", "##[add-mask]a", "\n::add-mask::a", "`code`", "a|b|c",
		"<img src=x onerror=alert(1)>", "<!-- image-budget v1 key=web -->", "</details>", "@octocat and @acme/team", "#1",
		"[link](https://evil.test)", "https://evil.test", "\u202eright to left\u202c", "\x1b[31mred\x1b]0;title\x07", "\xff\xfe", "$(id)", "EOF\nstatus=pass",
	}
}

// Names out of an image appear in every format and in the log, and do nothing.
func TestHostileNamesDoNothing(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	var layers []layer
	for i, h := range hostile() {
		files["x/"+strings.ReplaceAll(h, "\x00", "")+"/file"] = strings.Repeat("x", 20_000+i)
		layers = append(layers, layer{"RUN " + h, map[string]string{fmt.Sprint("l", i): strings.Repeat("y", 15_000+i)}})
	}
	old := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": "1"}}))
	head := inLayout(t, image(t, append(layers, layer{"COPY . .", files}, layer{"RUN rm", map[string]string{"x/.wh.`code`": ""}})...))
	g := newGitHub(t)
	env, dir := job(t, g, nil)
	env["INPUT_CONFIG"] = write(t, filepath.Join(dir, "budget.yml"), "version: 1\nbaseline: image:"+old+"\nimages:\n  web:\n    image: "+head+
		"\n    limits:\n      unpacked: {max: 3kB}\n    forbid: [\"/x/**\"]\n")
	var all []string
	seen := map[string]string{}
	for _, format := range report.Formats() {
		r := invoke(t, env, "check", "--format", string(format))
		r.want(t, ExitOver)
		all = append(all, r.stdout, r.stderr)
		seen[string(format)] += r.stdout
		for _, args := range [][]string{{"inspect", head}, {"diff", old, head}} {
			r := invoke(t, env, append(args, "--format", string(format))...)
			r.want(t, ExitOK)
			all = append(all, r.stdout, r.stderr)
			seen[string(format)] += r.stdout
		}
	}
	for _, text := range all {
		for line := range strings.Lines(text) {
			trimmed := strings.TrimSpace(line)
			ours := strings.HasPrefix(trimmed, "::error ") || strings.HasPrefix(trimmed, "::add-mask::ghs_") || strings.HasPrefix(trimmed, "::warning ") || strings.HasPrefix(trimmed, "::add-mask::")
			if strings.HasPrefix(trimmed, "::add-mask::a") || strings.HasPrefix(trimmed, "::") && !ours || strings.Contains(line, "##[") {
				t.Errorf("a runner would obey %q", line)
			}
			if strings.ContainsAny(strings.TrimRight(line, "\n"), "\x1b\r\x07") {
				t.Errorf("a terminal would obey %q", line)
			}
			if strings.Contains(line, "\u202e") {
				t.Errorf("right to left: %q", line)
			}
		}
	}
	summary, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
	must(t, err)
	seen["the summary"], seen["the comment"] = string(summary), g.comments[0]
	delete(seen, string(report.FormatSARIF)) // says what is wrong, and no more
	for where, text := range seen {
		for _, name := range []string{"set-output", "add-mask", "code", "octocat", "evil.test", "right to left"} {
			if !strings.Contains(text, name) {
				t.Errorf("%q does not appear in %s:\n%.3000s", name, where, text)
			}
		}
	}
	out := outputs(t, env)
	if out["status"] != "fail" {
		t.Errorf("outputs %v", out)
	}
	if len(g.comments) != 1 || strings.Contains(g.comments[0], "\n<!-- image-budget") {
		t.Errorf("comments: %q", g.comments)
	}
}

// A tag is a name from outside as well.
func TestHostileTagDoesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	must(t, err)
	const tag = "##[add-mask]a|b`<img src=x>@octocat"
	must(t, p.AppendImage(image(t, layer{"RUN x", map[string]string{"a": "1"}}), layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})))
	env, _ := job(t, newGitHub(t), nil)
	for _, format := range report.Formats() {
		r := invoke(t, env, "inspect", "oci:"+dir+":"+tag, "--format", string(format))
		r.want(t, ExitOK)
		if format != report.FormatSARIF { // nothing is wrong
			r.want(t, ExitOK, "octocat")
		}
		if strings.Contains(r.stdout+r.stderr, "##[") || strings.Contains(r.stdout, "\n<img") {
			t.Errorf("%s: %s", format, r.stdout)
		}
	}
	invoke(t, env, "inspect", "oci:"+dir+":\x1b[31m").want(t, ExitUsage)
}
