package ghcomment

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/org/image-budget/internal/github"
)

const canary = "ghs_canaryCANARYcanary0123456789abcdef"

// account is a user of the fake.
type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

var (
	actionsBot = account{41898282, "github-actions[bot]", "Bot"}
	appBot     = account{900001, "size-police[bot]", "Bot"}
	otherBot   = account{900002, "chatty[bot]", "Bot"}
	octocat    = account{583231, "octocat", "User"}
	mallory    = account{666, "mallory", "User"}
)

type fakeComment struct {
	ID      int64   `json:"id"`
	Body    string  `json:"body"`
	User    account `json:"user"`
	HTMLURL string  `json:"html_url"`
}

// reply is a scripted answer to the first request that matches.
type reply struct {
	method, path string // path is a substring
	status       int    // 0 drops the connection
	header       map[string]string
	body         string
	acted        bool // the request takes effect before it is answered
}

// fakeGitHub is a GitHub with one repository, o/r, and one pull request, 7. It keeps state, pages through Link headers, knows
// who may do what, and complains about requests that GitHub would refuse.
type fakeGitHub struct {
	t      *testing.T
	server *httptest.Server
	prefix string // path before /repos, "" or "/api/v3"

	mu       sync.Mutex
	comments []fakeComment
	nextID   int64
	me       account
	noREST   bool // GET /user is 403, as for every installation token
	graphQL  bool
	newest   bool // lists have the newest comment first
	denied   int  // status every write is answered with, 0 for none
	accepted string
	script   []reply
	requests []string
	before   func(r *http.Request)
}

func newFake(t *testing.T, prefix string) *fakeGitHub {
	f := &fakeGitHub{
		t: t, prefix: prefix, nextID: 1000, me: actionsBot, noREST: true,
		accepted: "issues=write; pull_requests=write",
	}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

// add puts a comment there, as if posted on the site.
func (f *fakeGitHub) add(by account, body string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.insert(by, body).ID
}

func (f *fakeGitHub) insert(by account, body string) fakeComment {
	f.nextID++
	c := fakeComment{ID: f.nextID, Body: body, User: by, HTMLURL: fmt.Sprintf("https://example.com/o/r/pull/7#issuecomment-%d", f.nextID)}
	f.comments = append(f.comments, c)
	return c
}

func (f *fakeGitHub) remove(id int64) bool {
	n := len(f.comments)
	f.comments = slices.DeleteFunc(f.comments, func(c fakeComment) bool { return c.ID == id })
	return len(f.comments) < n
}

// by returns the comments of an account.
func (f *fakeGitHub) by(who account) []fakeComment {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []fakeComment
	for _, c := range f.comments {
		if c.User == who {
			out = append(out, c)
		}
	}
	return out
}

// count returns how many requests began with prefix, like "POST /repos".
func (f *fakeGitHub) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (f *fakeGitHub) writes() int {
	return f.count("POST /repos") + f.count("PATCH") + f.count("DELETE")
}

var (
	listPath    = regexp.MustCompile(`^/repos/o/r/issues/7/comments$`)
	commentPath = regexp.MustCompile(`^/repos/o/r/issues/comments/(\d+)$`)
)

func (f *fakeGitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.before != nil {
		f.before(r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	path, graphql := strings.TrimPrefix(r.URL.Path, f.prefix), "/graphql"
	if f.prefix != "" {
		path, graphql = r.URL.Path, "/api/graphql"
		if rest, ok := strings.CutPrefix(path, f.prefix+"/"); ok {
			path = "/" + rest
		}
	}
	f.requests = append(f.requests, r.Method+" "+path)
	f.inspect(r)
	if i := slices.IndexFunc(f.script, func(s reply) bool { return s.method == r.Method && strings.Contains(path, s.path) }); i >= 0 {
		s := f.script[i]
		f.script = slices.Delete(f.script, i, i+1)
		if s.acted {
			f.route(httptest.NewRecorder(), r, path, graphql)
		}
		f.play(w, s)
		return
	}
	f.route(w, r, path, graphql)
}

func (f *fakeGitHub) play(w http.ResponseWriter, s reply) {
	if s.status == 0 {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			f.t.Errorf("dropping the connection: %v", err)
			return
		}
		conn.Close()
		return
	}
	for k, v := range s.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(s.status)
	io.WriteString(w, s.body)
}

// inspect checks what GitHub expects of every request.
func (f *fakeGitHub) inspect(r *http.Request) {
	if got := r.Header.Get("Authorization"); got != "Bearer "+canary {
		f.t.Errorf("%s %s: Authorization is %q", r.Method, r.URL.Path, got)
	}
	if r.Header.Get("User-Agent") == "" || !strings.HasPrefix(r.Header.Get("Accept"), "application/") {
		f.t.Errorf("%s %s: no User-Agent or no Accept", r.Method, r.URL.Path)
	}
	if strings.Contains(r.URL.String(), canary) {
		f.t.Errorf("%s: the token is in the URL", r.URL)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-RateLimit-Remaining", "998")
	w.WriteHeader(status)
	if v != nil {
		json.NewEncoder(w).Encode(v)
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest"})
}

func (f *fakeGitHub) route(w http.ResponseWriter, r *http.Request, path, graphql string) {
	isWrite := r.Method != http.MethodGet && path != graphql
	switch {
	case path == "/user" && f.noREST:
		refuse(w, 403, "Resource not accessible by integration")
	case path == "/user":
		answer(w, 200, f.me)
	case r.URL.Path == graphql && f.graphQL:
		answer(w, 200, map[string]any{"data": map[string]any{"viewer": map[string]any{"login": f.me.Login}}})
	case isWrite && f.denied != 0:
		w.Header().Set("X-Accepted-GitHub-Permissions", f.accepted)
		refuse(w, f.denied, map[int]string{403: "Resource not accessible by integration", 404: "Not Found"}[f.denied])
	case listPath.MatchString(path) && r.Method == http.MethodGet:
		f.list(w, r)
	case listPath.MatchString(path) && r.Method == http.MethodPost:
		if body, ok := f.body(w, r); ok {
			answer(w, 201, f.insert(f.me, body))
		}
	case commentPath.MatchString(path):
		f.comment(w, r, path)
	default:
		refuse(w, 404, "Not Found")
	}
}

func (f *fakeGitHub) list(w http.ResponseWriter, r *http.Request) {
	per, page := 30, 1
	if n, err := strconv.Atoi(r.FormValue("per_page")); err == nil {
		per = min(n, 100)
	}
	if n, err := strconv.Atoi(r.FormValue("page")); err == nil {
		page = max(n, 1)
	}
	all := slices.Clone(f.comments)
	if f.newest {
		slices.Reverse(all)
	}
	from := min((page-1)*per, len(all))
	to := min(from+per, len(all))
	link := func(n int, rel string) string {
		return fmt.Sprintf(`<%s%s?per_page=%d&page=%d>; rel="%s"`, f.server.URL, r.URL.Path, per, n, rel)
	}
	var links []string
	if page > 1 {
		links = append(links, link(page-1, "prev"))
	}
	if to < len(all) {
		links = append(links, link(page+1, "next"), link((len(all)+per-1)/per, "last"))
	}
	if links != nil {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	answer(w, 200, append([]fakeComment{}, all[from:to]...))
}

// body reads the body of a create or an update, refusing what GitHub refuses.
func (f *fakeGitHub) body(w http.ResponseWriter, r *http.Request) (string, bool) {
	var sent map[string]string
	raw, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(raw, &sent); err != nil || len(sent) != 1 || sent["body"] == "" {
		f.t.Errorf("%s %s: the request is %.80q", r.Method, r.URL.Path, raw)
		refuse(w, 422, "Validation Failed")
		return "", false
	}
	if utf8.RuneCountInString(sent["body"]) > 65536 {
		refuse(w, 422, "Body is too long (maximum is 65536 characters)")
		return "", false
	}
	return sent["body"], true
}

func (f *fakeGitHub) comment(w http.ResponseWriter, r *http.Request, path string) {
	id, _ := strconv.ParseInt(commentPath.FindStringSubmatch(path)[1], 10, 64)
	i := slices.IndexFunc(f.comments, func(c fakeComment) bool { return c.ID == id })
	switch {
	case i < 0:
		refuse(w, 404, "Not Found")
	case r.Method == http.MethodPatch:
		if body, ok := f.body(w, r); ok {
			f.comments[i].Body = body
			answer(w, 200, f.comments[i])
		}
	case r.Method == http.MethodDelete:
		f.remove(id)
		answer(w, 204, nil)
	default:
		refuse(w, 405, "Method Not Allowed")
	}
}

// clock is a time that passes only by waiting.
type clock struct {
	mu    sync.Mutex
	at    time.Time
	waits []time.Duration
	// onWait is called before a wait.
	onWait func()
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	if c.onWait != nil {
		c.onWait()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

func (c *clock) waited() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum time.Duration
	for _, d := range c.waits {
		sum += d
	}
	return sum
}

var start = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

// client returns a client of f and the clock it goes by.
func (f *fakeGitHub) client() (*github.Client, *clock) {
	f.t.Helper()
	return f.through(f.server.Client().Transport)
}

func (f *fakeGitHub) through(transport http.RoundTripper) (*github.Client, *clock) {
	f.t.Helper()
	clk := &clock{at: start}
	c, err := github.New(github.Config{
		BaseURL: f.server.URL + f.prefix, Token: canary, Owner: "o", Repo: "r",
		Transport: transport, Wait: clk.wait, Now: clk.now,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return c, clk
}
