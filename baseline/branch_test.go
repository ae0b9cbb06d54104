package baseline_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/baseline/baselinetest"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/internal/githubtest"
)

// repository is a fake GitHub with commits, each the first parent of the next,
// on main.
type repository struct {
	*githubtest.Server
	commits []string
	jobs    atomic.Int64
}

// clock is one job's: it goes on by what the job waits, and by a moment
// whenever it is looked at.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.at = c.at.Add(d)
	c.mu.Unlock()
	// The others get on.
	time.Sleep(d / 1000)
	return ctx.Err()
}

// later is the clock of a job that begins a second after the one before.
func (r *repository) later() *clock {
	n := r.jobs.Add(1)
	return &clock{at: time.Date(2026, 11, 24, 9, 0, int(n), 0, time.UTC)}
}

func newRepository(t testing.TB, commits int) *repository {
	r := &repository{Server: githubtest.New("acme", "web")}
	r.Complain = t.Errorf
	var parents []string
	for range commits {
		id := r.Commit(parents...)
		r.commits = append(r.commits, id)
		parents = []string{id}
	}
	if commits > 0 {
		r.SetBranch("main", r.commits[commits-1])
	}
	return r
}

func (r *repository) client(t testing.TB, clk *clock) *github.Client {
	c, err := github.New(github.Config{
		BaseURL: "https://api.github.test" + r.Prefix, Token: "ghs_canary", Owner: r.Owner, Repo: r.Repo,
		Transport: r.Transport(nil), Wait: clk.wait, Now: clk.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *repository) options(t testing.TB) baseline.Options {
	return r.optionsAt(t, r.later())
}

func (r *repository) optionsAt(t testing.TB, clk *clock) baseline.Options {
	client := r.client(t, clk)
	return baseline.Options{
		GitHub: func() (*github.Client, error) { return client, nil },
		Ancestors: func(ctx context.Context, commit string) iter.Seq2[string, error] {
			return client.Ancestors(ctx, commit, 10*baseline.MaxAncestors)
		},
		Tracked: "main",
	}
}

func (r *repository) open(t testing.TB) baseline.Store {
	s, err := baseline.Open("branch:image-budget", r.options(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *repository) save(t testing.TB, key baseline.Key, size footprint.Bytes) {
	t.Helper()
	if err := r.open(t).Save(t.Context(), []baseline.Entry{entry(key, size)}); err != nil {
		t.Fatal(err)
	}
}

func entry(key baseline.Key, size footprint.Bytes) baseline.Entry {
	return baseline.Entry{Key: key, Image: baselinetest.Image(key.Image, key.Platform, size), Meta: footprint.Meta{Tool: "image-budget test"}}
}

func webAt(commit string) baseline.Key {
	return baseline.Key{Image: "web", Platform: "linux/amd64", Commit: commit}
}

func TestBranch(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*repository){
		"as it is":               func(*repository) {},
		"truncated listings":     func(r *repository) { r.Truncate = 3 },
		"an Enterprise Server":   func(r *repository) { r.Prefix = "/api/v3" },
		"a branch without files": func(r *repository) { r.Write("image-budget", map[string]string{"README.md": "x"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, 1)
			change(r)
			baselinetest.Test(t, func() baseline.Store { return r.open(t) })
			r = newRepository(t, 0)
			var parents []string
			for i := range 10 {
				r.Know(baselinetest.Commit(i), parents...)
				parents = []string{baselinetest.Commit(i)}
			}
			r.SetBranch("main", parents[0])
			change(r)
			baselinetest.Commits(t, func(change func(*baseline.Options)) baseline.Store {
				opt := r.options(t)
				opt.Ancestors = nil
				change(&opt)
				return opened(t, "branch:image-budget", opt)
			})
			r = newRepository(t, 65)
			change(r)
			baselinetest.History{Commits: r.commits, Open: func() baseline.Store { return r.open(t) }, Monotone: true}.Test(t)
		})
	}
}

// Writers of many jobs at once, each with requests that take a while, on a
// clock of their own: nothing is lost, and nobody waits for ever.
func TestBranchManyWriters(t *testing.T) {
	t.Parallel()
	for _, writers := range []int{2, 20, 40} {
		synctest.Test(t, func(t *testing.T) {
			r := newRepository(t, 1)
			began := time.Now()
			errs := make([]error, writers)
			var wg sync.WaitGroup
			for i := range writers {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				client, err := github.New(github.Config{
					BaseURL: "https://api.github.test", Token: "ghs_canary", Owner: "acme", Repo: "web",
					Transport: r.Transport(func() { time.Sleep(time.Duration(50+random.IntN(100)) * time.Millisecond) }),
					Now:       time.Now,
					Wait: func(ctx context.Context, d time.Duration) error {
						time.Sleep(d)
						return ctx.Err()
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				s, err := baseline.Open("branch:image-budget", baseline.Options{
					GitHub: func() (*github.Client, error) { return client, nil }, Rand: random.Float64, Tracked: "main",
				})
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					key := webAt(r.commits[0])
					key.Image = fmt.Sprint("web", i)
					errs[i] = s.Save(t.Context(), []baseline.Entry{entry(key, footprint.Bytes(i))})
				})
			}
			wg.Wait()
			took := time.Since(began)
			if err := errors.Join(errs...); err != nil {
				t.Fatalf("%d writers: %v", writers, err)
			}
			list, err := r.open(t).(baseline.Lister).List(t.Context())
			if err != nil || len(list) != writers {
				t.Errorf("%d writers left %d baselines, %v", writers, len(list), err)
			}
			t.Logf("%d writers took %s", writers, took)
			// go-github leaves the timers of failed requests to run out.
			time.Sleep(2 * time.Minute)
			if took > 4*time.Minute {
				t.Errorf("%d writers took %s", writers, took)
			}
		})
	}
}

func TestBranchFiles(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 3)
	key := baseline.Key{Image: "Acme/web #1 @you", Platform: "linux/arm64/v8", Commit: r.commits[1]}
	e := entry(key, 1000)
	e.Image.Layers[0].DiffID = "sha256:" + strings.Repeat("a", 64)
	e.Layers = map[string][]byte{e.Image.Layers[0].DiffID: []byte("index")}
	if err := r.open(t).Save(t.Context(), []baseline.Entry{e, entry(webAt(r.commits[2]), 5)}); err != nil {
		t.Fatal(err)
	}
	files := r.Files("image-budget")
	image := "v1/%41cme+web%20%231%20%40you/linux+arm64+v8/"
	want := []string{
		"README.md", "layers/" + strings.Repeat("a", 64), "layers/index.json",
		image + "20261124T090001Z-" + r.commits[1] + "-c500-u1007-f1000.json", image + "latest-main.json",
		"v1/web/linux+amd64/20261124T090001Z-" + r.commits[2] + "-c2-u12-f5.json", "v1/web/linux+amd64/latest-main.json",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if files[want[3]] != files[want[4]] {
		t.Error("the latest file is not the same as the newest")
	}
	// One commit, without a parent; and none for the same again.
	if n := r.History("image-budget"); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	if err := r.open(t).Save(t.Context(), []baseline.Entry{e}); err != nil {
		t.Fatal(err)
	}
	if n := r.History("image-budget"); n != 1 {
		t.Errorf("saving the same again made %d commits", n-1)
	}
	// A file of the branch is a baseline file like any other.
	path := t.TempDir() + "/size.json"
	write(t, path, []byte(files[want[3]]))
	if _, err := opened(t, "file:"+path, baseline.Options{}).Load(t.Context(), baseline.Key{Image: key.Image}); err != nil {
		t.Error(err)
	}
}

// TestBranchRequests holds down what a pull request's job asks for.
func TestBranchRequests(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 65)
	r.save(t, webAt(r.commits[3]), 3)
	api := webAt(r.commits[9])
	api.Image = "api"
	r.save(t, api, 9)
	clk := r.later()
	s := opened(t, "branch:image-budget", r.optionsAt(t, clk))
	r.Requests()
	load := func(key baseline.Key) []string {
		t.Helper()
		if _, err := s.Load(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, req := range r.Requests() {
			parts := strings.SplitN(strings.TrimPrefix(req, "GET /"), "/", 3)
			kinds = append(kinds, strings.Join(parts[:min(len(parts), 2)], "/"))
		}
		return kinds
	}
	if diff := cmp.Diff([]string{"git/ref", "git/commits", "git/trees", "git/blobs"}, load(webAt(r.commits[3]))); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"git/blobs"}, load(api)); diff != "" {
		t.Errorf("another image (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"commits", "git/blobs"}, load(webAt(r.commits[40]))); diff != "" {
		t.Errorf("37 commits away (-want +got):\n%s", diff)
	}
	api.Commit = r.commits[40]
	if diff := cmp.Diff([]string{"git/blobs"}, load(api)); diff != "" {
		t.Errorf("another image from there (-want +got):\n%s", diff)
	}
	_ = clk.wait(t.Context(), time.Minute)
	if diff := cmp.Diff([]string{"git/ref", "git/blobs"}, load(api)); diff != "" {
		t.Errorf("a minute later (-want +got):\n%s", diff)
	}
	// What this store saved itself, it finds at once.
	if err := s.Save(t.Context(), []baseline.Entry{entry(webAt(r.commits[41]), 4)}); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Load(t.Context(), webAt(r.commits[41])); err != nil || found.Distance != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestBranchKeepsSoMany(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 8)
	clk := r.later()
	opt := r.optionsAt(t, clk)
	opt.Keep = 3
	s, err := baseline.Open("branch:image-budget", opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, commit := range r.commits {
		e := entry(webAt(commit), footprint.Bytes(i))
		e.Image.Layers[1].DiffID = fmt.Sprintf("sha256:%064x", i)
		e.Layers = map[string][]byte{e.Image.Layers[1].DiffID: []byte("x")}
		_ = clk.wait(t.Context(), time.Second)
		if err := s.Save(t.Context(), []baseline.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.(baseline.Lister).List(t.Context())
	if err != nil || len(list) != 3 || list[0].Key.Commit != r.commits[7] || list[0].At.IsZero() {
		t.Errorf("%v, %v", list, err)
	}
	layers := 0
	for path := range r.Files("image-budget") {
		if strings.HasPrefix(path, "layers/0") {
			layers++
		}
	}
	if layers != 3 {
		t.Errorf("%d layers are left, want those of the 3 that are kept", layers)
	}
}

// The latest of a branch is kept, however much is saved for another.
func TestBranchKeepsTheLatestOfEachBranch(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 8)
	r.save(t, webAt(r.commits[0]), 1)
	clk := r.later()
	opt := r.optionsAt(t, clk)
	opt.Tracked, opt.Keep = "dev", 2
	s, err := baseline.Open("branch:image-budget", opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, commit := range r.commits[1:] {
		_ = clk.wait(t.Context(), time.Second)
		if err := s.Save(t.Context(), []baseline.Entry{entry(webAt(commit), footprint.Bytes(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for s, want := range map[baseline.Store]string{r.open(t): r.commits[0], s: r.commits[7]} {
		found, err := s.Load(t.Context(), webAt(""))
		if err != nil || found.Meta.Commit != want {
			t.Errorf("%+v, %v; want %s", found, err, want)
		}
	}
	if list, err := s.(baseline.Lister).List(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("%v, %v; want the newest 2 and the latest of main", list, err)
	}
}

// After a force push, the latest baseline is one of the new history, and a run
// of the old one does not take it back.
func TestBranchLatestAfterARewrite(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 5)
	latest := func() string {
		t.Helper()
		found, err := r.open(t).Load(t.Context(), baseline.Key{Image: "web"})
		if err != nil {
			t.Fatal(err)
		}
		return found.Meta.Commit
	}
	r.save(t, webAt(r.commits[3]), 3)
	rewritten := r.Commit(r.commits[1])
	r.SetBranch("main", rewritten)
	r.save(t, webAt(rewritten), 1)
	if got := latest(); got != rewritten {
		t.Errorf("the latest is of %s, want the rewritten %s", got, rewritten)
	}
	r.save(t, webAt(r.commits[4]), 4)
	if got := latest(); got != rewritten {
		t.Errorf("a run from before the rewrite took the latest back to %s", got)
	}
	// A commit of another branch does not become the latest of main either.
	side := r.Commit(r.commits[0])
	r.save(t, webAt(side), 9)
	if got := latest(); got != rewritten {
		t.Errorf("a commit that main does not have became its latest: %s", got)
	}
	// Nor does one that was merged into it, and is no descendant.
	r.SetBranch("main", r.Commit(rewritten, side))
	r.save(t, webAt(side), 8)
	if got := latest(); got != rewritten {
		t.Errorf("a merged commit became the latest: %s", got)
	}
}

const (
	notForward   = `{"message":"Update is not a fast forward","documentation_url":"https://docs.github.com/rest/git/refs#update-a-reference","status":"422"}`
	noLock       = `{"message":"Reference update failed","documentation_url":"https://docs.github.com/rest/git/refs#update-a-reference","status":"422"}`
	noReference  = `{"message":"Reference does not exist","documentation_url":"https://docs.github.com/rest/git/refs#update-a-reference","status":"422"}`
	secondary    = `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	expectedLock = `{"message":"is at 6e330a5c7c239124c9ffb7fd8c0803085815aa26 but expected 1d2f1f5b0a5f3a3e0b3b6a3b1a8c4a6f5f0a1b2c","status":"409"}`
)

// Whatever comes in between, both baselines are there at the end.
func TestBranchFaults(t *testing.T) {
	t.Parallel()
	once := func(method, path string, status int, body string, acted bool) func(*repository) {
		return func(r *repository) {
			r.Answer(githubtest.Reply{Method: method, Path: path, Status: status, Body: body, Acted: acted})
		}
	}
	tests := map[string]func(*repository){
		"not a fast forward":                   once("PATCH", "/git/refs/", 422, notForward, false),
		"a lock":                               once("PATCH", "/git/refs/", 422, noLock, false),
		"a lock, as 409":                       once("PATCH", "/git/refs/", 409, expectedLock, false),
		"no reference, only for now":           once("PATCH", "/git/refs/", 422, noReference, false),
		"an outage of the ref":                 once("PATCH", "/git/refs/", 502, "<html>", false),
		"the answer of the ref is lost":        once("PATCH", "/git/refs/", 502, "<html>", true),
		"an outage of the tree":                once("POST", "/git/trees", 500, "", false),
		"the answer of the tree is lost":       once("POST", "/git/trees", 504, "", true),
		"an outage of the commit":              once("POST", "/git/commits", 503, "", true),
		"an outage of the head":                once("GET", "/git/ref/", 502, "", false),
		"an outage of the listing":             once("GET", "/git/trees/", 500, "", false),
		"a secondary limit":                    once("POST", "/git/trees", 403, secondary, false),
		"a limit of the ref":                   once("PATCH", "/git/refs/", 429, secondary, false),
		"half an answer":                       once("POST", "/git/commits", 201, `{"sha":"`, true),
		"an object that is not everywhere yet": once("POST", "/git/trees", 422, `{"message":"base_tree is not a valid tree oid"}`, false),
		"a commit that is not everywhere yet":  once("PATCH", "/git/refs/", 422, `{"message":"Object does not exist"}`, false),
		"somebody is faster": func(r *repository) {
			r.faster("PATCH", func() { r.Write("image-budget", map[string]string{"v1/other/linux+amd64/note.json": "{}"}) })
		},
		"the branch is deleted": func(r *repository) {
			// What it held is lost then, and saving begins anew.
			r.faster("PATCH", func() { r.SetBranch("image-budget", "") })
		},
		"the branch is made anew by another": func(r *repository) {
			r.SetBranch("image-budget", "")
			r.faster("POST /git/refs", func() { r.Write("image-budget", map[string]string{"README.md": "x"}) })
		},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, 2)
			first := webAt(r.commits[0])
			r.save(t, first, 1)
			fault(r)
			s := r.open(t)
			second := webAt(r.commits[1])
			if err := s.Save(t.Context(), []baseline.Entry{entry(second, 2)}); err != nil {
				t.Fatal(err)
			}
			found, err := r.open(t).Load(t.Context(), second)
			if err != nil || found.Image.Metrics.Final != 2 || found.Distance != 0 {
				t.Errorf("the second: %+v, %v", found, err)
			}
			if strings.Contains(name, "the branch is") {
				return
			}
			if found, err = r.open(t).Load(t.Context(), first); err != nil || found.Image.Metrics.Final != 1 {
				t.Errorf("the first: %+v, %v", found, err)
			}
			if n := r.History("image-budget"); n > 3 {
				t.Errorf("%d commits", n)
			}
		})
	}
}

// faster does something once, right before the first request of a kind.
func (r *repository) faster(kind string, do func()) {
	var once sync.Once
	r.Before = func(req *http.Request) {
		if strings.HasPrefix(req.Method+" "+strings.TrimPrefix(req.URL.Path, "/repos/acme/web"), kind) {
			once.Do(do)
		}
	}
}

// What cannot be mended says what to do.
func TestBranchRefuses(t *testing.T) {
	t.Parallel()
	protected := func(status int, body string) func(*repository) {
		return func(r *repository) { r.Protected["image-budget"] = githubtest.Reply{Status: status, Body: body} }
	}
	const exempt = "exempt the branch image-budget from the branch protection or ruleset"
	tests := map[string]struct {
		change func(*repository)
		want   string
		is     error
	}{
		"a ruleset":               {protected(422, `{"message":"Repository rule violations found\n\nChanges must be made through a pull request.\n\n","documentation_url":"https://docs.github.com/rest/git/refs#update-a-reference","status":"422"}`), exempt, github.ErrProtected},
		"protection":              {protected(422, `{"message":"Changes must be made through a pull request.","documentation_url":"https://docs.github.com/articles/about-protected-branches"}`), exempt, github.ErrProtected},
		"status checks":           {protected(422, `{"message":"6 of 6 required status checks are expected.","documentation_url":"https://docs.github.com/articles/about-protected-branches"}`), exempt, github.ErrProtected},
		"restricted pushes":       {protected(403, `{"message":"You're not authorized to push to this branch. Visit https://docs.github.com/articles/about-protected-branches/ for more information."}`), exempt, github.ErrProtected},
		"a lock for ever":         {protected(422, noLock), "gave up after 50 tries", github.ErrConflict},
		"a token that only reads": {func(r *repository) { r.ReadOnly = true }, "the token needs contents: write", nil},
		"a branch of code":        {func(r *repository) { r.SetBranch("image-budget", r.commits[0]) }, `it holds other files, "code" for one: name a branch that is for baselines alone`, nil},
		"an outage without end": {func(r *repository) {
			for range 8 {
				r.Answer(githubtest.Reply{Method: "POST", Path: "/git/trees", Status: 502})
			}
		}, "gave up after 4 tries", nil},
		"no such repository": {func(r *repository) { r.Repo = "gone" }, "the token needs contents: write", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, 1)
			s := r.open(t)
			tt.change(r)
			err := s.Save(t.Context(), []baseline.Entry{entry(webAt(r.commits[0]), 1)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "ghs_canary") || strings.ContainsAny(err.Error(), "\n\r")) {
				t.Errorf("the token or a line break is in %q", err)
			}
			var forbidden *github.ForbiddenError
			if errors.As(err, &forbidden) && forbidden.YAML() != "permissions:\n  contents: write\n" {
				t.Errorf("permissions are\n%s", forbidden.YAML())
			}
		})
	}
	empty := newRepository(t, 0)
	err := empty.open(t).Save(t.Context(), []baseline.Entry{entry(webAt(strings.Repeat("a", 40)), 1)})
	if err == nil || !strings.Contains(err.Error(), "push a first commit") {
		t.Errorf("an empty repository: %v", err)
	}
	if _, err := empty.open(t).Load(t.Context(), webAt("")); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("loading from an empty repository: %v", err)
	}
	r := newRepository(t, 1)
	for _, key := range []baseline.Key{webAt("abc"), {Image: strings.Repeat("é", 60), Platform: "linux/amd64"}, {Platform: "linux/amd64"}} {
		if err := r.open(t).Save(t.Context(), []baseline.Entry{entry(key, 1)}); err == nil {
			t.Errorf("%+v was saved", key)
		}
	}
}

// Others can write to a branch: nothing there is trusted.
func TestBranchDamagedFiles(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 3)
	r.save(t, webAt(r.commits[1]), 1)
	api := webAt(r.commits[1])
	api.Image = "api"
	r.save(t, api, 1)
	var file, other string
	for path := range r.Files("image-budget") {
		if strings.HasPrefix(path, "v1/web/linux+amd64/2") {
			file = path
		}
		if strings.HasPrefix(path, "v1/api/linux+amd64/2") {
			other = path
		}
	}
	good := r.Files("image-budget")[file]
	for name, tt := range map[string]struct{ content, want string }{
		"half":           {good[:len(good)/2], "save it again with"},
		"conflict":       {"<<<<<<< HEAD\n" + good, "merge conflict"},
		"another image":  {r.Files("image-budget")[other], "holds another baseline than its name says"},
		"another commit": {strings.ReplaceAll(good, r.commits[1], r.commits[2]), "not that of its name"},
		"newer":          {strings.Replace(good, `"schema": 1`, `"schema": 2`, 1), "newer image-budget"},
		"edited":         {strings.Replace(good, `"final": 1`, `"final": 2`, 1), "does not add up"},
	} {
		r.Write("image-budget", map[string]string{file: tt.content})
		_, err := r.open(t).Load(t.Context(), webAt(r.commits[1]))
		if err == nil || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want %q and the file", name, err, tt.want)
		}
	}
	// Saving the commit again mends it.
	r.save(t, webAt(r.commits[1]), 5)
	if found, err := r.open(t).Load(t.Context(), webAt(r.commits[2])); err != nil || found.Image.Metrics.Final != 5 {
		t.Errorf("saved again: %+v, %v", found, err)
	}
	// Names that are none of ours are in nobody's way, and stay.
	foreign := map[string]string{
		"v1/web/linux+amd64/notes.txt": "x", "v1/web/linux+amd64/20261324T000000Z-" + r.commits[0] + ".json": "x",
		"v1/%zz/linux+amd64/x.json": "x", "v1/WEB/linux+amd64/x.json": "x", "v1/file": "x", "layers/index.json": "{", "layers/x": "x",
		"v1/web/linux+amd64/latest-%zz.json": "x", "v1/web/linux+amd64/latest-dev.json": "x",
	}
	r.Write("image-budget", foreign)
	r.save(t, webAt(r.commits[2]), 6)
	if _, err := r.open(t).(baseline.Pruner).Prune(t.Context(), 1); err != nil {
		t.Error(err)
	}
	list, err := r.open(t).(baseline.Lister).List(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
	if r.Files("image-budget")["v1/web/linux+amd64/notes.txt"] != "x" {
		t.Error("somebody's notes are gone")
	}
}

func TestBranchLayersOfANewerVersionStay(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 2)
	hex := strings.Repeat("b", 64)
	r.Write("image-budget", map[string]string{"layers/index.json": `{"schema": 2}`, "layers/" + hex: "x"})
	r.save(t, webAt(r.commits[0]), 1)
	if files := r.Files("image-budget"); files["layers/"+hex] != "x" || files["layers/index.json"] != `{"schema": 2}` {
		t.Errorf("layers of a newer version were touched: %v", slices.Sorted(maps.Keys(files)))
	}
}

// A fork's token reads, whatever it cannot do.
func TestBranchIsReadByForks(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 2)
	r.save(t, webAt(r.commits[0]), 1)
	r.ReadOnly = true
	if found, err := r.open(t).Load(t.Context(), webAt(r.commits[1])); err != nil || found.Distance != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

// At a terminal nobody knows a branch: the latest is that of the default one.
func TestBranchLatestOfTheDefaultBranch(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 4)
	r.DefaultBranch = "trunk"
	for i, tracked := range []string{"trunk", "release/1", ""} {
		opt := r.options(t)
		opt.Tracked = tracked
		s := opened(t, "branch:image-budget", opt)
		if err := s.Save(t.Context(), []baseline.Entry{entry(webAt(r.commits[i]), footprint.Bytes(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for tracked, want := range map[string]int{"": 0, "gone": 0, "release/1": 1} {
		opt := r.options(t)
		opt.Tracked = tracked
		found, err := opened(t, "branch:image-budget", opt).Load(t.Context(), webAt(""))
		if err != nil || found.Meta.Commit != r.commits[want] {
			t.Errorf("%q: %+v, %v; want the baseline of commit %d", tracked, found, err, want)
		}
	}
}

// One store serves several goroutines.
func TestBranchIsShared(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 21)
	s := r.open(t)
	errs := make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			e := entry(webAt(r.commits[i]), footprint.Bytes(i))
			e.Image.Layers[0].DiffID = fmt.Sprintf("sha256:%064x", i)
			e.Layers = map[string][]byte{e.Image.Layers[0].DiffID: []byte(fmt.Sprint("index ", i))}
			errs[i] = s.Save(t.Context(), []baseline.Entry{e})
			if _, err := s.Load(t.Context(), e.Key); err != nil {
				t.Error(err)
			}
			if data, err := s.(baseline.LayerStore).LoadLayer(t.Context(), e.Image.Layers[0].DiffID); err != nil || string(data) != fmt.Sprint("index ", i) {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	found, err := s.Load(t.Context(), webAt(""))
	if err != nil || found.Meta.Commit != r.commits[19] {
		t.Errorf("whatever the order, the latest is the newest commit: %+v, %v", found, err)
	}
}

// heldUp keeps back the first answer about the branch that it is asked for.
type heldUp struct {
	http.RoundTripper
	asked, goOn chan struct{}
	first       atomic.Bool
}

func (h *heldUp) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(r)
	if strings.Contains(r.URL.Path, "/git/ref/") && h.first.CompareAndSwap(false, true) {
		close(h.asked)
		<-h.goOn
	}
	return resp, err
}

// An answer that comes late says where the branch was: what a save has put
// there since stays known.
func TestBranchIsNotTakenBackByALateAnswer(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 2)
	r.save(t, webAt(r.commits[0]), 1)
	late := &heldUp{RoundTripper: r.Transport(nil), asked: make(chan struct{}), goOn: make(chan struct{})}
	clk := r.later()
	client, err := github.New(github.Config{
		BaseURL: "https://api.github.test", Token: "ghs_canary", Owner: r.Owner, Repo: r.Repo, Transport: late, Wait: clk.wait, Now: clk.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	opt := r.optionsAt(t, clk)
	opt.GitHub = func() (*github.Client, error) { return client, nil }
	opt.Ancestors = nil
	s := opened(t, "branch:image-budget", opt)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Load(t.Context(), webAt(r.commits[0])); err != nil {
			t.Error(err)
		}
	})
	<-late.asked
	if err := s.Save(t.Context(), []baseline.Entry{entry(webAt(r.commits[1]), 2)}); err != nil {
		t.Fatal(err)
	}
	close(late.goOn)
	wg.Wait()
	if _, err := s.Load(t.Context(), webAt(r.commits[1])); err != nil {
		t.Errorf("what was saved is gone: %v", err)
	}
}

// What is too large is left out, and what is too much comes with the next save.
func TestBranchLayersAreBounded(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 3)
	e := entry(webAt(r.commits[0]), 1)
	e.Layers = map[string][]byte{}
	last := e.Image.Layers[1]
	e.Image.Layers = e.Image.Layers[:1]
	for i := range 60 {
		l := footprint.Layer{Index: i + 1, DiffID: fmt.Sprintf("sha256:%064x", i), Has: last.Has}
		if i == 0 {
			l = last
			l.DiffID = fmt.Sprintf("sha256:%064x", i)
		}
		e.Image.Layers = append(e.Image.Layers, l)
		e.Layers[l.DiffID] = []byte("index")
	}
	e.Image.Metrics.Layers = len(e.Image.Layers)
	e.Layers[fmt.Sprintf("sha256:%064x", 5)] = make([]byte, 9<<20)
	layers := func() int {
		n := 0
		for path := range r.Files("image-budget") {
			if strings.HasPrefix(path, "layers/0") {
				n++
			}
		}
		return n
	}
	for i, want := range []int{40, 59, 59} {
		e.Key.Commit, e.Meta.Commit = r.commits[i], ""
		if err := r.open(t).Save(t.Context(), []baseline.Entry{e}); err != nil {
			t.Fatal(err)
		}
		if got := layers(); got != want {
			t.Errorf("after %d saves there are %d layers, want %d", i+1, got, want)
		}
	}
}

// TestBranchThatIsDown is asked for again after a while, and not for each image
// of a run.
func TestBranchThatIsDown(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 1)
	r.save(t, webAt(r.commits[0]), 1)
	clk := r.later()
	s, err := baseline.Open("branch:image-budget", r.optionsAt(t, clk))
	if err != nil {
		t.Fatal(err)
	}
	r.Answer(githubtest.Reply{Method: http.MethodGet, Path: "/git/ref/", Status: 401, Body: `{"message":"Bad credentials"}`})
	_, first := s.Load(t.Context(), webAt(r.commits[0]))
	r.Requests() // begins anew
	if _, err := s.Load(t.Context(), webAt(r.commits[0])); first == nil || err == nil || err.Error() != first.Error() {
		t.Errorf("%v, then %v", first, err)
	}
	if more := r.Requests(); len(more) != 0 {
		t.Errorf("asked again: %q", more)
	}
	if err := clk.wait(t.Context(), 11*time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), webAt(r.commits[0])); err != nil {
		t.Errorf("it is there again: %v", err)
	}
}
