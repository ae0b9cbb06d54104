package ghcomment

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/internal/github"
)

var (
	shaA = strings.Repeat("a", 40)
	shaB = strings.Repeat("b", 40)
	shaC = strings.Repeat("c", 40)
)

// say returns a comment of run 100 about shaA.
func say(body string) Comment {
	return Comment{Key: "web", Head: shaA, RunID: 100, RunAttempt: 1, At: start, Body: body, CreateIfMissing: true}
}

// whole returns a comment as it stands on GitHub.
func whole(c Comment) string { return c.marker().String() + "\n" + c.Body }

func upsertOK(t *testing.T, c *github.Client, comment Comment) Result {
	t.Helper()
	got, err := Upsert(context.Background(), c, 7, comment)
	if err != nil {
		t.Fatalf("Upsert: %v", err)
	}
	return got
}

func wantOne(t *testing.T, f *fakeGitHub, who account, body string) {
	t.Helper()
	var got []string
	for _, c := range f.by(who) {
		got = append(got, c.Body)
	}
	if diff := cmp.Diff([]string{body}, got); diff != "" {
		t.Errorf("comments of %s (-want +got):\n%s", who.Login, diff)
	}
}

func TestUpsertCreatesUpdatesAndLeavesAlone(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/api/v3"} {
		f := newFake(t, prefix)
		c, _ := f.client()
		f.add(octocat, "first!")

		got := upsertOK(t, c, say("one"))
		id := f.by(actionsBot)[0].ID
		want := Result{Outcome: Created, ID: id, URL: fmt.Sprintf("https://example.com/o/r/pull/7#issuecomment-%d", id)}
		if got != want {
			t.Errorf("first run: %+v, want %+v", got, want)
		}
		wantOne(t, f, actionsBot, "<!-- image-budget v1 key=web head="+shaA+" run=100.1 at=2026-11-23T09:30:00Z -->\none")

		next := say("two")
		next.RunID, next.Head = 101, shaB
		want.Outcome = Updated
		if got := upsertOK(t, c, next); got != want {
			t.Errorf("second run: %+v, want %+v", got, want)
		}
		wantOne(t, f, actionsBot, whole(next))

		before := f.writes()
		next.RunID, next.Head = 102, shaC
		want.Outcome = Unchanged
		if got := upsertOK(t, c, next); got != want {
			t.Errorf("third run: %+v, want %+v", got, want)
		}
		if f.writes() != before {
			t.Error("an unchanged body was sent")
		}
	}
}

func TestUpsertLooksAtAllPages(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, _ := f.client()
	for i := range 120 {
		f.add(octocat, fmt.Sprintf("comment %d", i))
	}
	id := f.add(actionsBot, whole(say("old")))
	for i := range 130 {
		f.add(mallory, fmt.Sprintf("comment %d", i))
	}
	id2 := f.add(actionsBot, "a comment of another tool")
	got := upsertOK(t, c, say("new"))
	if got.Outcome != Updated || got.ID != id {
		t.Errorf("%+v, want comment %d updated", got, id)
	}
	if n := len(f.by(actionsBot)); n != 2 || f.by(actionsBot)[1].ID != id2 {
		t.Errorf("%d comments of ours, want 2", n)
	}
	if n := f.count("GET /repos/o/r/issues/7/comments"); n != 3 {
		t.Errorf("%d list requests for 252 comments, want 3", n)
	}
}

func TestUpsertRefusesEndlessPages(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, _ := f.client()
	for i := range 2501 {
		f.add(octocat, fmt.Sprintf("comment %d", i))
	}
	_, err := Upsert(context.Background(), c, 7, say("new"))
	if err == nil || !strings.Contains(err.Error(), "more than 2500") {
		t.Errorf("error %v, want one about 2500 comments", err)
	}
	if f.writes() != 0 {
		t.Error("something was written without having seen all comments")
	}
}

// A marker is public; whoever copies it must neither have a comment edited or deleted nor keep ours away.
func TestUpsertIgnoresSpoofedMarkers(t *testing.T) {
	t.Parallel()
	newer := say("spoofed")
	newer.RunID = 1 << 40
	tests := map[string]struct {
		me      account
		noREST  bool
		graphQL bool
		spoofer account
	}{
		"GITHUB_TOKEN, by a user":        {actionsBot, true, true, mallory},
		"GITHUB_TOKEN, by a bot":         {actionsBot, true, true, otherBot},
		"GITHUB_TOKEN without GraphQL":   {actionsBot, true, false, otherBot},
		"App token, by a user":           {appBot, true, true, mallory},
		"App token, by a bot":            {appBot, true, true, otherBot},
		"personal token, by a user":      {octocat, false, true, mallory},
		"personal token, by Actions":     {octocat, false, true, actionsBot},
		"a user named like the bot":      {actionsBot, true, true, account{667, "github-actions", "User"}},
		"a user with the bot's own name": {actionsBot, true, false, account{668, "github-actions[bot]", "User"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			f.me, f.noREST, f.graphQL = tt.me, tt.noREST, tt.graphQL
			c, _ := f.client()
			f.add(tt.spoofer, whole(newer))
			if got := upsertOK(t, c, say("ours")); got.Outcome != Created || got.Removed != 0 {
				t.Errorf("first run: %+v, want created", got)
			}
			next := say("ours again")
			next.RunID++
			if got := upsertOK(t, c, next); got.Outcome != Updated {
				t.Errorf("second run: %+v, want updated", got)
			}
			wantOne(t, f, tt.spoofer, whole(newer))
			wantOne(t, f, tt.me, whole(next))
		})
	}
}

// Our marker quoted, or below something else, is somebody talking about the comment.
func TestUpsertWantsTheMarkerFirst(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, _ := f.client()
	for _, body := range []string{"> " + whole(say("x")), "see\n" + whole(say("x")), " " + whole(say("x")), "<!-- image-budget v1 key=web"} {
		f.add(actionsBot, body)
	}
	other := say("x")
	other.Key = "web2"
	f.add(actionsBot, whole(other))
	if got := upsertOK(t, c, say("ours")); got.Outcome != Created {
		t.Errorf("%+v, want created", got)
	}
	if n := len(f.by(actionsBot)); n != 6 {
		t.Errorf("%d comments, want 6", n)
	}
}

// An App's token has no GET /user. Where GraphQL does not answer either, the App's comment is found by creating one: still one is left.
func TestUpsertOfAnAppWithoutGraphQL(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	f.me = appBot
	c, _ := f.client()
	first := f.add(appBot, whole(say("old")))
	got := upsertOK(t, c, say("new"))
	if got.ID != first || got.Outcome != Updated || got.Removed != 1 {
		t.Errorf("%+v, want comment %d updated and 1 removed", got, first)
	}
	wantOne(t, f, appBot, whole(say("new")))
}

func TestUpsertAsksGraphQLOnEnterpriseServer(t *testing.T) {
	t.Parallel()
	f := newFake(t, "/api/v3")
	f.me, f.graphQL = appBot, true
	c, _ := f.client()
	id := f.add(appBot, whole(say("old")))
	if got := upsertOK(t, c, say("new")); got.ID != id || got.Outcome != Updated {
		t.Errorf("%+v, want comment %d updated", got, id)
	}
	if f.count("POST /api/graphql") != 1 {
		t.Error("GraphQL was not asked at /api/graphql")
	}
}

func TestUpsertSkipsWhereNothingIsToBeCreated(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, _ := f.client()
	quiet := say("all fine")
	quiet.CreateIfMissing = false
	if got := upsertOK(t, c, quiet); got != (Result{Outcome: Skipped}) {
		t.Errorf("%+v, want skipped", got)
	}
	id := f.add(actionsBot, whole(say("over budget")))
	if got := upsertOK(t, c, quiet); got.Outcome != Updated || got.ID != id {
		t.Errorf("%+v, want comment %d updated", got, id)
	}
}

func TestUpsertKeepsNewerRuns(t *testing.T) {
	t.Parallel()
	at := func(run, attempt int64, head string, minutes int) Comment {
		return Comment{Key: "web", Head: head, RunID: run, RunAttempt: attempt, At: start.Add(time.Duration(minutes) * time.Minute),
			Body: fmt.Sprintf("run %d.%d %s %d", run, attempt, head, minutes), CreateIfMissing: true}
	}
	half := func(c Comment, tenths int) Comment {
		c.At = c.At.Add(time.Duration(tenths) * 100 * time.Millisecond)
		return c
	}
	tests := map[string]struct {
		there, late Comment
		want        Outcome
	}{
		"older run finishes last":          {at(101, 1, shaB, 5), at(100, 1, shaA, 0), Stale},
		"older run waited for a runner":    {at(101, 1, shaB, 5), at(100, 1, shaA, 9), Stale},
		"old commit run again":             {at(101, 1, shaB, 5), at(100, 2, shaA, 60), Stale},
		"newer run, clock behind":          {at(100, 1, shaA, 5), at(101, 1, shaB, 0), Updated},
		"newer run of the same commit":     {at(100, 1, shaA, 0), at(101, 1, shaA, 0), Updated},
		"same attempt again":               {at(100, 1, shaA, 5), at(100, 1, shaA, 0), Updated},
		"second attempt":                   {at(100, 1, shaA, 0), at(100, 2, shaA, 5), Updated},
		"first attempt after the second":   {at(100, 2, shaA, 5), at(100, 1, shaA, 6), Stale},
		"no run ids, older":                {at(0, 0, shaB, 5), at(0, 0, shaA, 4), Stale},
		"no run ids, newer":                {at(0, 0, shaA, 4), at(0, 0, shaB, 5), Updated},
		"no run id there, older by time":   {at(0, 0, shaA, 4), at(100, 1, shaB, 3), Stale},
		"less than a second is no measure": {half(at(0, 0, shaA, 0), 9), half(at(0, 0, shaB, 0), 5), Updated},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			c, _ := f.client()
			id := f.add(actionsBot, whole(tt.there))
			tt.late.Body += " late"
			got := upsertOK(t, c, tt.late)
			if got.Outcome != tt.want || got.ID != id {
				t.Errorf("%+v, want comment %d %s", got, id, tt.want)
			}
			want := whole(tt.late)
			if tt.want == Stale {
				want = whole(tt.there)
			}
			wantOne(t, f, actionsBot, want)
		})
	}
}

// Someone edits our comment on the site: it is still ours, and its text is put right.
func TestUpsertTakesBackADamagedMarker(t *testing.T) {
	t.Parallel()
	for _, first := range []string{
		"<!-- image-budget v1 key=web -->", "<!-- image-budget v1 key=web head=xyz run=a.b at=never -->",
		"<!-- image-budget v2 key=web head=" + shaA + " more=1 -->", "<!-- image-budget v1 run=-5.1 key=web -->  \r",
	} {
		f := newFake(t, "")
		c, _ := f.client()
		f.add(actionsBot, first+"\nsomething")
		if got := upsertOK(t, c, say("ours")); got.Outcome != Updated {
			t.Errorf("%q: %+v, want updated", first, got)
		}
		wantOne(t, f, actionsBot, whole(say("ours")))
	}
}

func TestUpsertComparesTextAsStored(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, _ := f.client()
	f.add(actionsBot, strings.ReplaceAll(whole(say("### one\n\ntwo")), "\n", "\r\n"))
	if got := upsertOK(t, c, say("### one\n\ntwo\n")); got.Outcome != Unchanged {
		t.Errorf("%+v, want unchanged", got)
	}
}

func TestUpsertHealsDuplicates(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, clk := f.client()
	spoof := f.add(mallory, whole(say("mine")))
	first := f.add(actionsBot, whole(say("one")))
	f.add(actionsBot, whole(say("two")))
	f.add(octocat, "between")
	f.add(actionsBot, whole(say("three")))
	got := upsertOK(t, c, say("now"))
	want := Result{Outcome: Updated, ID: first, URL: got.URL, Removed: 2}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	wantOne(t, f, actionsBot, whole(say("now")))
	if f.by(mallory)[0].ID != spoof {
		t.Error("someone else's comment was touched")
	}
	if n := len(clk.waits); n != 2 || clk.waited() != 2*time.Second {
		t.Errorf("3 writes were spaced by %v, want 1s twice", clk.waits)
	}
}

// The oldest stays in whatever order the list comes, and a comment that slid onto the next page meanwhile is not its own duplicate.
func TestUpsertTrustsNoOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	f.newest = true
	first := f.add(actionsBot, whole(say("one")))
	for i := range 99 {
		f.add(octocat, fmt.Sprintf("comment %d", i))
	}
	f.add(actionsBot, whole(say("two")))
	c, _ := f.client()
	if got := upsertOK(t, c, say("now")); got.ID != first || got.Outcome != Updated {
		t.Errorf("%+v, want comment %d updated", got, first)
	}
	wantOne(t, f, actionsBot, whole(say("now")))

	// Comments 100 to 1 are on the first page; a new one pushes the oldest of them, ours, onto the second.
	g := newFake(t, "")
	g.newest = true
	g.add(octocat, "the oldest")
	id := g.add(actionsBot, whole(say("old")))
	for i := range 99 {
		g.add(octocat, fmt.Sprintf("comment %d", i))
	}
	var slide sync.Once
	g.before = func(r *http.Request) {
		if r.FormValue("page") == "2" {
			slide.Do(func() { g.add(octocat, "meanwhile") })
		}
	}
	c, _ = g.client()
	if got := upsertOK(t, c, say("now")); got.ID != id || got.Removed != 0 {
		t.Errorf("%+v, want comment %d alone", got, id)
	}
	wantOne(t, g, actionsBot, whole(say("now")))
}

func TestUpsertBoundsRemovals(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, _ := f.client()
	for range 60 {
		f.add(actionsBot, whole(say("again")))
	}
	if got := upsertOK(t, c, say("again")); got.Removed != 50 || got.Outcome != Unchanged {
		t.Errorf("%+v, want 50 removed", got)
	}
	if got := upsertOK(t, c, say("again")); got.Removed != 9 {
		t.Errorf("%+v, want the other 9 removed", got)
	}
}

// Two jobs see no comment and both create one; whoever looks last cleans up.
func TestUpsertOfTwoJobsAtOnce(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ a, b int64 }{
		"same run":           {100, 100},
		"older and newer":    {100, 101},
		"much older, second": {200, 100},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			var both sync.WaitGroup
			both.Add(2)
			f.before = func(r *http.Request) {
				if r.Method == http.MethodPost { // each has listed by now
					both.Done()
					both.Wait()
				}
			}
			var wg sync.WaitGroup
			for _, run := range []int64{tt.a, tt.b} {
				c, _ := f.client()
				wg.Go(func() {
					comment := say(fmt.Sprintf("run %d", run))
					comment.RunID = run
					if _, err := Upsert(context.Background(), c, 7, comment); err != nil {
						t.Errorf("run %d: %v", run, err)
					}
				})
			}
			wg.Wait()
			newest := say(fmt.Sprintf("run %d", max(tt.a, tt.b)))
			newest.RunID = max(tt.a, tt.b)
			wantOne(t, f, actionsBot, whole(newest))
		})
	}
}

// The other job's comment appears between our list and our create; the order of the two ids is what differs.
func TestUpsertRemovesItsOwnWhenTooLate(t *testing.T) {
	t.Parallel()
	newer := say("newer")
	newer.RunID = 101
	f := newFake(t, "")
	var once sync.Once
	var id int64
	f.before = func(r *http.Request) {
		if r.Method == http.MethodPost {
			once.Do(func() { id = f.add(actionsBot, whole(newer)) })
		}
	}
	c, _ := f.client()
	if got := upsertOK(t, c, say("older")); got.Outcome != Stale || got.ID != id || got.Removed != 0 {
		t.Errorf("%+v, want stale and comment %d", got, id)
	}
	wantOne(t, f, actionsBot, whole(newer))
}

func TestUpsertWhenDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, create := range []bool{true, false} {
		f := newFake(t, "")
		id := f.add(actionsBot, whole(say("old")))
		f.before = func(r *http.Request) {
			if r.Method == http.MethodPatch {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.remove(id)
			}
		}
		c, _ := f.client()
		comment := say("new")
		comment.CreateIfMissing = create
		got := upsertOK(t, c, comment)
		if create {
			if got.Outcome != Created || got.ID == id {
				t.Errorf("%+v, want a new comment", got)
			}
			wantOne(t, f, actionsBot, whole(comment))
		} else if got != (Result{Outcome: Skipped}) {
			t.Errorf("%+v, want skipped", got)
		}
	}
}

func TestUpsertWithoutPermission(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status   int
		accepted string
		existing bool
		want     []string
	}{
		"create 403":                 {403, "issues=write; pull_requests=write", false, []string{"contents: read", "pull-requests: write"}},
		"create 404":                 {404, "", false, []string{"contents: read", "pull-requests: write"}},
		"update 403":                 {403, "issues=write", true, []string{"contents: read", "issues: write", "pull-requests: write"}},
		"update 404":                 {404, "", true, []string{"contents: read", "pull-requests: write"}},
		"a set of two":               {403, "contents=write,pull_requests=write; issues=write", false, []string{"contents: write", "pull-requests: write"}},
		"what no workflow has":       {403, "metadata=read; administration=write", false, []string{"contents: read", "pull-requests: write"}},
		"a header that is no header": {403, "pull_requests=write\t; x: |\n", false, []string{"contents: read", "pull-requests: write"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			f.denied, f.accepted = tt.status, tt.accepted
			c, _ := f.client()
			if tt.existing {
				f.add(actionsBot, whole(say("old")))
			}
			got, err := Upsert(context.Background(), c, 7, say("new"))
			var forbidden *github.ForbiddenError
			if !errors.As(err, &forbidden) {
				t.Fatalf("error %v, want a ForbiddenError", err)
			}
			if diff := cmp.Diff(tt.want, forbidden.Permissions); diff != "" {
				t.Errorf("permissions (-want +got):\n%s", diff)
			}
			if want := "permissions:\n  " + strings.Join(tt.want, "\n  ") + "\n"; forbidden.YAML() != want {
				t.Errorf("YAML is %q, want %q", forbidden.YAML(), want)
			}
			if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "pull-requests: write") {
				t.Errorf("message is %q", err)
			}
			if got.Outcome != "" {
				t.Errorf("outcome %q, want none", got.Outcome)
			}
		})
	}
}

// Without any permission even the list is refused; the block names what the whole job needs.
func TestUpsertMayNotList(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	f.script = []reply{{method: "GET", path: "/comments", status: 403, body: `{"message":"Resource not accessible by integration"}`,
		header: map[string]string{"X-Accepted-GitHub-Permissions": "issues=read; pull_requests=read"}}}
	c, _ := f.client()
	_, err := Upsert(context.Background(), c, 7, say("new"))
	var forbidden *github.ForbiddenError
	if !errors.As(err, &forbidden) || forbidden.YAML() != "permissions:\n  contents: read\n  pull-requests: write\n" {
		t.Errorf("error %v", err)
	}
}

func TestUpsertNotPermissions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script reply
		want   string
	}{
		"locked":          {reply{method: "POST", path: "/comments", status: 403, body: `{"message":"Unable to create comment because issue is locked."}`}, "locked"},
		"no such request": {reply{method: "GET", path: "/comments", status: 404, body: `{"message":"Not Found"}`}, "is there a pull request 7 in o/r"},
		"bad token":       {reply{method: "GET", path: "/comments", status: 401, body: `{"message":"Bad credentials"}`}, "not valid here or has expired"},
		"moved away":      {reply{method: "GET", path: "/comments", status: 301, header: map[string]string{"Location": "https://other.example/x"}}, "301"},
		"write to read":   {reply{method: "POST", path: "/comments", status: 302, header: map[string]string{"Location": "/user"}}, "302"},
		"validation":      {reply{method: "POST", path: "/comments", status: 422, body: `{"message":"Validation Failed","errors":[{"code":"invalid"}]}`}, "422"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			f.script = []reply{tt.script}
			c, clk := f.client()
			_, err := Upsert(context.Background(), c, 7, say("new"))
			var forbidden *github.ForbiddenError
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, &forbidden) {
				t.Errorf("error %v, want a plain one with %q", err, tt.want)
			}
			if clk.waited() != 0 || len(f.by(actionsBot)) != 0 {
				t.Errorf("waited %s, %d comments; want neither", clk.waited(), len(f.by(actionsBot)))
			}
		})
	}
}

func TestUpsertRefusesBadComments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Comment)
		want   string
	}{
		"too large":  {func(c *Comment) { c.Body = strings.Repeat("x", 70000) }, "more than 64000"},
		"one over":   {func(c *Comment) { c.Body = strings.Repeat("x", MaxBody-c.Overhead()+1) }, "64001 bytes"},
		"no text":    {func(c *Comment) { c.Body = " \n" }, "no text"},
		"not UTF-8":  {func(c *Comment) { c.Body = "a\xffb" }, "UTF-8"},
		"no key":     {func(c *Comment) { c.Key = "" }, "key"},
		"long key":   {func(c *Comment) { c.Key = strings.Repeat("k", 257) }, "key"},
		"short head": {func(c *Comment) { c.Head = "abc" }, "commit"},
		"evil head":  {func(c *Comment) { c.Head = strings.Repeat("a", 36) + " -->" }, "commit"},
		"bad run":    {func(c *Comment) { c.RunID = -1 }, "negative"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			c, _ := f.client()
			comment := say("text")
			tt.change(&comment)
			if _, err := Upsert(context.Background(), c, 7, comment); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if f.count("") != 0 {
				t.Error("something was sent")
			}
		})
	}
	f := newFake(t, "")
	c, _ := f.client()
	if _, err := Upsert(context.Background(), c, 0, say("text")); err == nil {
		t.Error("pull request 0 was accepted")
	}
	full := say("")
	full.Body = strings.Repeat("x", MaxBody-full.Overhead())
	upsertOK(t, c, full)
	if got := len(f.by(actionsBot)[0].Body); got != MaxBody {
		t.Errorf("the largest comment has %d bytes, want %d", got, MaxBody)
	}
}
