package ghcomment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/internal/github"
)

const abuse422 = `{"message":"Validation Failed","errors":[{"resource":"IssueComment","code":"abuse","field":"body","message":"was submitted too quickly"}]}`

// Each is met by the create and passes; the run then goes on as if nothing had been.
func TestUpsertWaitsForRateLimits(t *testing.T) {
	t.Parallel()
	header := func(kv ...string) map[string]string {
		h := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			h[kv[i]] = kv[i+1]
		}
		return h
	}
	date := start.Add(42 * time.Second).Format(http.TimeFormat)
	reset := strconv.FormatInt(start.Add(90*time.Second).Unix(), 10)
	tests := map[string]struct {
		status int
		header map[string]string
		body   string
		want   time.Duration
	}{
		"429 with seconds":             {429, header("Retry-After", "17"), `{"message":"slow down"}`, 17 * time.Second},
		"429 with a date":              {429, header("Retry-After", date), ``, 42 * time.Second},
		"429 with a date in the past":  {429, header("Retry-After", start.Add(-time.Hour).Format(http.TimeFormat)), ``, time.Second},
		"429 without anything":         {429, nil, `not JSON`, time.Minute},
		"429 with nonsense":            {429, header("Retry-After", "soon"), ``, time.Minute},
		"403 primary":                  {403, header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset), `{"message":"API rate limit exceeded for installation ID 1."}`, 91 * time.Second},
		"403 primary, bad reset":       {403, header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "x"), `{}`, time.Minute},
		"403 secondary by its words":   {403, nil, `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`, time.Minute},
		"403 secondary by its link":    {403, nil, `{"message":"no","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`, time.Minute},
		"403 secondary by Retry-After": {403, header("Retry-After", "5"), `{"message":"no"}`, 5 * time.Second},
		"403 abuse":                    {403, nil, `{"message":"You have triggered an abuse detection mechanism."}`, time.Minute},
		"422 abuse by its code alone":  {422, nil, `{"message":"Validation Failed","errors":[{"code":"abuse"}]}`, time.Minute},
		"422 abuse by its words alone": {422, nil, `{"message":"Validation Failed","errors":["was submitted too quickly"]}`, time.Minute},
		"422 abuse":                    {422, nil, abuse422, time.Minute},
		"502":                          {502, nil, `<html>`, time.Second},
		"503 with Retry-After":         {503, header("Retry-After", "3"), ``, 3 * time.Second},
		"a dropped connection":         {0, nil, ``, time.Second},
	}
	for name, tt := range tests {
		for _, method := range []string{"GET", "POST", "PATCH"} {
			t.Run(name+" to "+method, func(t *testing.T) {
				t.Parallel()
				f := newFake(t, "")
				if method == "PATCH" {
					f.add(actionsBot, whole(say("old")))
				}
				f.script = []reply{{method: method, path: "/comments", status: tt.status, header: tt.header, body: tt.body}}
				c, clk := f.client()
				got := upsertOK(t, c, say("new"))
				if want := map[bool]Outcome{true: Updated, false: Created}[method == "PATCH"]; got.Outcome != want {
					t.Errorf("%+v, want %s", got, want)
				}
				wantOne(t, f, actionsBot, whole(say("new")))
				if len(clk.waits) == 0 || clk.waits[0] != tt.want {
					// net/http itself repeats a GET on a connection that was dropped before an answer.
					if !(tt.status == 0 && method == "GET") {
						t.Errorf("waited %v, want %s first", clk.waits, tt.want)
					}
				}
			})
		}
	}
}

// A create that took effect before its answer was lost must not be made twice.
func TestUpsertLooksBeforeCreatingAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 500, 502, 504} {
		f := newFake(t, "")
		f.script = []reply{{method: "POST", path: "/comments", status: status, acted: true}}
		c, _ := f.client()
		if got := upsertOK(t, c, say("new")); got.Outcome != Created || got.Removed != 0 {
			t.Errorf("%d: %+v, want created", status, got)
		}
		if n := f.count("POST /repos"); n != 1 {
			t.Errorf("%d: %d creates sent, want 1", status, n)
		}
		wantOne(t, f, actionsBot, whole(say("new")))
	}
}

// While this run waits out a limit, a newer one posts: after the wait its comment is left alone.
func TestUpsertLooksAgainAfterWaiting(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PATCH"} {
		f := newFake(t, "")
		if method == "PATCH" {
			f.add(actionsBot, whole(say("old")))
		}
		newer := say("newer")
		newer.RunID++
		f.script = []reply{{method: method, path: "/comments", status: 429}}
		c, clk := f.client()
		clk.onWait = func() {
			f.mu.Lock()
			f.comments = nil
			f.mu.Unlock()
			f.add(actionsBot, whole(newer))
		}
		if got := upsertOK(t, c, say("new")); got.Outcome != Stale {
			t.Errorf("%s: %+v, want stale", method, got)
		}
		wantOne(t, f, actionsBot, whole(newer))
	}
}

func TestUpsertGivesUp(t *testing.T) {
	t.Parallel()
	limited := func(method, path, after string) reply {
		return reply{method: method, path: path, status: 429, header: map[string]string{"Retry-After": after}}
	}
	tests := map[string]struct {
		script []reply
		want   string
		waits  []time.Duration
		posts  int
	}{
		"after four tries": {
			[]reply{limited("POST", "", "10"), limited("POST", "", "10"), limited("POST", "", "10"), limited("POST", "", "10")},
			"gave up after 4 tries", []time.Duration{10e9, 10e9, 10e9}, 4,
		},
		"reads and writes together": {
			[]reply{limited("GET", "", "10"), limited("GET", "", "10"), limited("POST", "", "10"), limited("POST", "", "10")},
			"gave up after 4 tries", []time.Duration{10e9, 10e9, 10e9}, 2,
		},
		"over three minutes at once":  {[]reply{limited("POST", "", "181")}, "due in 3m1s", nil, 1},
		"over three minutes in total": {[]reply{limited("POST", "", "100"), limited("POST", "", "81")}, "3m0s at most", []time.Duration{100e9}, 2},
		"a number no time can hold":   {[]reply{limited("POST", "", "2147483647")}, "run the job again later", nil, 1},
		"a reset in an hour":          {[]reply{{method: "GET", status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(start.Add(time.Hour).Unix(), 10)}}}, "due in 1h0m1s", nil, 0},
		"an outage":                   {[]reply{{method: "GET", status: 502}, {method: "GET", status: 502}, {method: "GET", status: 502}, {method: "GET", status: 502}}, "GitHub answered 502", []time.Duration{1e9, 2e9, 4e9}, 0},
		"half an answer, every time":  {[]reply{{method: "GET", status: 200, body: `[{"id":1`}, {method: "GET", status: 200, body: `[`}, {method: "GET", status: 200, body: `<html>`}, {method: "GET", status: 200}}, "cannot be read", []time.Duration{1e9, 2e9, 4e9}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			f.script = tt.script
			c, clk := f.client()
			_, err := Upsert(context.Background(), c, 7, say("new"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			var forbidden *github.ForbiddenError
			if errors.As(err, &forbidden) {
				t.Error("a limit was taken for missing permissions")
			}
			if diff := cmp.Diff(tt.waits, clk.waits); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
			if n := f.count("POST /repos"); n != tt.posts {
				t.Errorf("%d creates sent, want %d", n, tt.posts)
			}
		})
	}
}

// A limit on asking who we are must not look like "an installation's token".
func TestUpsertWaitsToLearnWhoItIs(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	f.me, f.noREST = octocat, false
	f.add(octocat, whole(say("old")))
	f.script = []reply{{method: "GET", path: "/user", status: 403, body: `{"message":"secondary rate limit"}`}}
	c, _ := f.client()
	if got := upsertOK(t, c, say("new")); got.Outcome != Updated {
		t.Errorf("%+v, want updated", got)
	}
	f.script = []reply{{method: "GET", path: "/user", status: 403, body: `{"message":"secondary rate limit"}`, header: map[string]string{"Retry-After": "999"}}}
	if _, err := Upsert(context.Background(), c, 7, say("newer")); err == nil {
		t.Error("no error")
	}
	wantOne(t, f, octocat, whole(say("new")))
}

// What went wrong after the comment was posted is an error beside a result.
func TestUpsertKeepsTheResultOfALaterFailure(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	first := f.add(actionsBot, whole(say("one")))
	f.add(actionsBot, whole(say("two")))
	f.script = []reply{{method: "DELETE", status: 403, body: `{"message":"no"}`}}
	c, _ := f.client()
	got, err := Upsert(context.Background(), c, 7, say("new"))
	if err == nil || got.Outcome != Updated || got.ID != first {
		t.Errorf("%+v, %v; want comment %d updated, and an error", got, err, first)
	}
}

func TestUpsertEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	c, clk := f.client()
	ctx, cancel := context.WithCancel(context.Background())
	f.script = []reply{{method: "POST", path: "/comments", status: 502}}
	clk.onWait = cancel
	if _, err := Upsert(ctx, c, 7, say("new")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v while waiting, want the context's", err)
	}
	before := len(clk.waits)
	if _, err := Upsert(ctx, c, 7, say("new")); !errors.Is(err, context.Canceled) || len(clk.waits) != before {
		t.Errorf("error %v before the start and waits %v, want the context's and none", err, clk.waits[before:])
	}
}

// The token is in no error, even when the server or the network says it back; nor can it be printed by accident.
func TestTokenStaysSecret(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	echo := strings.Repeat("é", 297) + canary + " Bearer " + canary + "\r\n::error::x\u202e"
	body := fmt.Sprintf(`{"message":%q,"documentation_url":%q,"errors":[{"code":"custom","message":%q}]}`, echo, canary, canary)
	var all []string
	for _, status := range []int{200, 301, 400, 401, 403, 404, 410, 422, 429, 451, 500} {
		for _, method := range []string{"GET", "POST", "PATCH"} {
			c, _ := f.client()
			f.comments, f.script = nil, nil
			if method == "PATCH" {
				f.add(actionsBot, whole(say("old")))
			}
			for range 4 {
				f.script = append(f.script, reply{method: method, path: "/comments", status: status, body: body, header: map[string]string{
					"X-Accepted-GitHub-Permissions": canary + "=write", "Location": "https://other.example/" + canary}})
			}
			_, err := Upsert(context.Background(), c, 7, say("new"))
			if err == nil && status != 200 {
				t.Errorf("%s answered %d: no error", method, status)
			}
			all = append(all, fmt.Sprintf("%v %+v", err, err))
			for e := err; e != nil; e = errors.Unwrap(e) {
				all = append(all, e.Error())
			}
			var forbidden *github.ForbiddenError
			if errors.As(err, &forbidden) {
				all = append(all, forbidden.YAML())
			}
			all = append(all, fmt.Sprintf("%v %+v", c, c), fmt.Sprintf("%#v", c))
		}
	}
	c, _ := f.through(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("proxy refused %q", r.Header.Get("Authorization"))
	}))
	_, err := Upsert(context.Background(), c, 7, say("new"))
	all = append(all, err.Error())
	for _, text := range all {
		if i := strings.Index(text, canary[:8]); i >= 0 {
			t.Fatalf("the token is in %q", text)
		}
		if strings.HasPrefix(text, "listing") && strings.ContainsAny(text, "\r\n\u202e") {
			t.Errorf("control characters in %q", text)
		}
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A renamed repository redirects on its own host; anywhere else the token must not go.
func TestTokenGoesToOneHost(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	f.script = []reply{{method: "GET", path: "/issues/7/comments", status: 301, header: map[string]string{"Location": "/repos/o/r/issues/7/comments?page=1"}}}
	c, _ := f.client()
	upsertOK(t, c, say("new"))

	other := http.NewServeMux()
	other.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { t.Errorf("the other host was asked for %s", r.URL) })
	g := newFake(t, "")
	g.server.Config.Handler = other
	f.script = []reply{{method: "GET", path: "/issues/7/comments", status: 302, header: map[string]string{"Location": g.server.URL + "/x"}}}
	if _, err := Upsert(context.Background(), c, 7, say("newer")); err == nil {
		t.Error("a redirect to another host was followed")
	}
}

func TestAnEndlessAnswerEnds(t *testing.T) {
	t.Parallel()
	c, clk := newFake(t, "").through(roundTripFunc(func(*http.Request) (*http.Response, error) {
		endless := io.MultiReader(strings.NewReader("["), endlessSpace{})
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(endless)}, nil
	}))
	if _, err := Upsert(context.Background(), c, 7, say("new")); err == nil || !strings.Contains(err.Error(), "larger than") || len(clk.waits) != 0 {
		t.Errorf("an endless answer: error %v after %v", err, clk.waits)
	}
}

type endlessSpace struct{}

func (endlessSpace) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
