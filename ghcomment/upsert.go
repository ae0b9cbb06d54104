// Package ghcomment is the pull request on GitHub: the one sticky comment, and the event a workflow run was started by.
//
// It knows nothing of images or budgets: bodies come in as finished Markdown and leave as they are, behind one marker line.
// It does not render, log, read the environment or look at the clock; it asks through a client that is passed in.
//
// What always holds: only a comment that carries our marker and was written by our own account is ever edited or deleted; an
// older run never writes over a newer one; a request that may have created something is never repeated without looking first;
// every page count is bounded.
package ghcomment

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/org/image-budget/internal/github"
)

// MaxBody is the largest comment Upsert sends, in bytes, the marker included. GitHub refuses more than 65,536 characters.
const MaxBody = 64000

const (
	commentsPerPage = 100
	// maxPages covers the 2,500 comments GitHub allows on one pull request.
	maxPages = 25
	// maxRemovals bounds how many duplicates one Upsert deletes, a second each; the next run goes on.
	maxRemovals = 50
	maxKey      = 256
)

// Comment is what a run has to say about a pull request.
type Comment struct {
	// Key tells apart several comments of one account on one pull request; at most 256 bytes of any kind.
	Key string
	// Head is the commit the body speaks of: 40 or 64 lower-case hex digits.
	Head string
	// RunID and RunAttempt are those of the workflow run; 0 outside GitHub Actions, where At decides which run is older.
	RunID, RunAttempt int64
	// At is when the run started, in any zone; only its whole seconds are kept.
	At time.Time
	// Body is the Markdown, without the marker; see Overhead for how long it may be.
	Body string
	// CreateIfMissing allows a new comment; without it only an existing one is updated.
	CreateIfMissing bool
}

// Outcome says what Upsert did with the comment. The zero value means that it did nothing, because of an error.
type Outcome string

// The outcomes of Upsert. An unchanged comment keeps the marker of the run that wrote it; a body that names its commit is
// never unchanged for another one.
const (
	Created   Outcome = "created"   // there was none, now there is
	Updated   Outcome = "updated"   // the existing one has a new body
	Unchanged Outcome = "unchanged" // the existing one said the same; it was left alone, its marker included
	Stale     Outcome = "stale"     // the existing one is of a newer run; it was left alone
	Skipped   Outcome = "skipped"   // there was none, and none was to be created
)

// Result is the state Upsert left behind.
type Result struct {
	Outcome Outcome // "" when an error came first
	ID      int64   // of the comment that stands; 0 when there is none
	URL     string  // of the same, for people; from GitHub
	Removed int     // duplicates of ours that were deleted
}

// Overhead is how many bytes of MaxBody the marker of c takes, the newline after it included. It does not depend on c.Body.
func (c Comment) Overhead() int { return len(c.marker().String()) + 1 }

func (c Comment) marker() marker {
	return marker{key: encodeKey(c.Key), head: c.Head, run: c.RunID, attempt: c.RunAttempt, at: c.At}
}

// check reports why c cannot be posted, nil when it can.
func (c Comment) check() error {
	switch size := c.Overhead() + len(c.Body); {
	case c.Key == "" || len(c.Key) > maxKey:
		return fmt.Errorf("the comment key has %d bytes: want 1 to %d", len(c.Key), maxKey)
	case !github.IsCommit(c.Head):
		return fmt.Errorf("the comment's head %.80q is not a full commit id", c.Head)
	case c.RunID < 0 || c.RunAttempt < 0:
		return fmt.Errorf("the comment's run %d.%d is negative", c.RunID, c.RunAttempt)
	case strings.TrimSpace(c.Body) == "":
		return errors.New("the comment has no text")
	case !utf8.ValidString(c.Body):
		return errors.New("the comment is not valid UTF-8")
	case size > MaxBody:
		return fmt.Errorf("the comment has %d bytes with its marker, more than %d: render it shorter", size, MaxBody)
	}
	return nil
}

// Upsert makes comment the one of its key on pull request number.
//
// The comment is ours when its first line is our marker with the same key and our account wrote it; a copied marker changes
// nothing. A comment of a newer run is left alone; run ids say which is newer, or the times where there are none. Of several
// of ours, which two jobs can create at once, the oldest stays and the others are deleted. Rate limits and outages are waited
// for at most 3 minutes and 4 tries; before a write is tried again, the comments are listed again.
//
// When permissions are missing the error is a *github.ForbiddenError. Others say what of number or comment cannot be posted, before anything
// is sent; that ctx ended; or that GitHub could not be reached, or refused, for longer than is waited for. The Result is also meaningful with an error: if it has an
// Outcome, that was reached before something after it went wrong.
func Upsert(ctx context.Context, gh *github.Client, number int, comment Comment) (Result, error) {
	if number <= 0 {
		return Result{}, fmt.Errorf("%d is not a pull request number", number)
	}
	if err := comment.check(); err != nil {
		return Result{}, err
	}
	owner, repo := gh.Repository()
	u := &upsert{
		gh: gh, tries: gh.Try(), owner: owner, repo: repo,
		number: number, create: comment.CreateIfMissing,
		marker: comment.marker(), text: comment.Body,
	}
	for {
		done, err := u.round(ctx)
		if done || err != nil {
			return u.result, err
		}
	}
}

// upsert is one Upsert on its way. It advances in rounds: look at the comments, make one kind of change, look again unless all
// is settled. So a write that failed halfway, a job that did the same meanwhile and a deleted comment need no cases of their own.
type upsert struct {
	gh          *github.Client
	tries       *github.Tries
	owner, repo string
	number      int
	create      bool
	marker      marker
	text        string

	self    *author // nil until known
	tried   bool    // a create was sent, with whatever success
	created int64   // the comment that was created, 0 for none
	gone    int64   // the comment whose update was answered "not found"
	result  Result
}

// found is a comment that carries our marker, whoever wrote it.
type found struct {
	id     int64
	url    string
	user   *gogithub.User
	marker marker
	text   string
}

// round looks once and changes at most one comment beside deleting duplicates; done means there is nothing left to do.
func (u *upsert) round(ctx context.Context) (done bool, err error) {
	ours, err := u.ours(ctx)
	if err != nil {
		return false, err
	}
	if len(ours) == 0 {
		return u.none(ctx)
	}
	if i := slices.IndexFunc(ours, func(f found) bool { return f.marker.newerThan(u.marker) }); i >= 0 {
		return u.stale(ctx, ours, ours[i])
	}
	keep := ours[0]
	if !sameText(keep.text, u.text) {
		if again, err := u.edit(ctx, keep); again || err != nil {
			return false, err
		}
	}
	u.settle(keep)
	return u.remove(ctx, ours[1:])
}

// settle records that keep now says what it should.
func (u *upsert) settle(keep found) {
	u.result.ID, u.result.URL = keep.id, keep.url
	switch {
	case keep.id == u.created, u.tried && u.created == 0 && keep.marker.sameRun(u.marker):
		// The second: the answer to the create was lost, but not the comment.
		u.result.Outcome = Created
	case u.result.Outcome != Updated:
		u.result.Outcome = Unchanged
	}
}

// none handles a pull request without a comment of ours.
func (u *upsert) none(ctx context.Context) (done bool, err error) {
	if u.created != 0 {
		return true, nil // deleted again, or the list lags behind; both are settled
	}
	if !u.create {
		u.result = Result{Outcome: Skipped}
		return true, nil
	}
	doing := fmt.Sprintf("creating the comment on pull request %d", u.number)
	if err := u.gh.Pace(ctx); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	u.tried = true
	made, resp, err := u.gh.API().Issues.CreateComment(ctx, u.owner, u.repo, u.number, &gogithub.IssueComment{Body: u.body()})
	if err != nil {
		return false, u.writeFailed(ctx, u.gh.Failed(ctx, doing, resp, err))
	}
	u.created = made.GetID()
	u.result = Result{Outcome: Created, ID: made.GetID(), URL: made.GetHTMLURL()}
	if id := made.GetUser().GetID(); id != 0 {
		u.self = &author{id: id}
	}
	return false, nil // another job may have created one in the same moment
}

// edit gives keep the new text. again means that the comments have to be listed anew.
func (u *upsert) edit(ctx context.Context, keep found) (again bool, err error) {
	doing := fmt.Sprintf("updating comment %d on pull request %d", keep.id, u.number)
	if err := u.gh.Pace(ctx); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	_, resp, err := u.gh.API().Issues.EditComment(ctx, u.owner, u.repo, keep.id, &gogithub.IssueComment{Body: u.body()})
	if err == nil {
		u.result.Outcome = Updated
		return false, nil
	}
	failure := u.gh.Failed(ctx, doing, resp, err)
	if notFound(failure.Status) && u.gone != keep.id {
		// Deleted meanwhile, or hidden from a token that may not write: it is still listed only in the second case.
		u.gone = keep.id
		return true, u.tries.Count(failure)
	}
	return true, u.writeFailed(ctx, failure)
}

// stale leaves the newer comment alone. If this run created one a moment too late, it takes its own away again, unless that
// is the oldest: then the newer run has seen it and makes use of it.
func (u *upsert) stale(ctx context.Context, ours []found, newer found) (done bool, err error) {
	if u.created != 0 && ours[0].id != u.created {
		if i := slices.IndexFunc(ours, func(f found) bool { return f.id == u.created }); i >= 0 {
			if done, err := u.remove(ctx, ours[i:i+1]); !done || err != nil {
				return done, err
			}
			u.result.Removed = 0 // it counts as never created
		}
	}
	u.result.Outcome, u.result.ID, u.result.URL = Stale, newer.id, newer.url
	return true, nil
}

// remove deletes duplicates; those already gone are fine.
func (u *upsert) remove(ctx context.Context, extra []found) (done bool, err error) {
	for _, f := range extra {
		if u.result.Removed >= maxRemovals {
			break
		}
		doing := fmt.Sprintf("deleting duplicate comment %d on pull request %d", f.id, u.number)
		if err := u.gh.Pace(ctx); err != nil {
			return false, fmt.Errorf("%s: %w", doing, err)
		}
		resp, err := u.gh.API().Issues.DeleteComment(ctx, u.owner, u.repo, f.id)
		if err != nil {
			failure := u.gh.Failed(ctx, doing, resp, err)
			if notFound(failure.Status) {
				continue
			}
			return false, u.writeFailed(ctx, failure)
		}
		u.result.Removed++
	}
	return true, nil
}

// writeFailed waits if another round can help, and otherwise returns the error.
func (u *upsert) writeFailed(ctx context.Context, failure *github.Error) error {
	if failure.Again {
		return u.tries.Pause(ctx, failure)
	}
	return github.Forbidden(failure, github.MayComment)
}

func (u *upsert) body() *string {
	body := u.marker.String() + "\n" + u.text
	return &body
}

// ours lists the comments that are ours and have the key, oldest first.
func (u *upsert) ours(ctx context.Context) ([]found, error) {
	marked, err := u.list(ctx)
	if err != nil || len(marked) == 0 {
		return nil, err
	}
	if u.self == nil {
		self, err := u.whoami(ctx, marked)
		if err != nil {
			return nil, err
		}
		u.self = &self
	}
	ours := slices.DeleteFunc(marked, func(f found) bool { return !u.self.wrote(f.user) })
	slices.SortFunc(ours, func(a, b found) int { return cmp.Compare(a.id, b.id) })
	// A comment created while the pages are read can be on two of them.
	return slices.CompactFunc(ours, func(a, b found) bool { return a.id == b.id }), nil
}

// list reads all comments and keeps those with our marker and key, whoever wrote them. Nothing is asked of the order:
// GitHub ignores sort and direction here.
func (u *upsert) list(ctx context.Context) ([]found, error) {
	doing := fmt.Sprintf("listing the comments of pull request %d", u.number)
	var all []found
	for page, next := 1, 1; next != 0; page++ {
		if page > maxPages {
			return nil, fmt.Errorf("%s: there are more than %d, GitHub's own limit; ours cannot be told to be missing",
				doing, maxPages*commentsPerPage)
		}
		path := fmt.Sprintf("repos/%s/%s/issues/%d/comments?per_page=%d&page=%d", u.owner, u.repo, u.number, commentsPerPage, next)
		var some []found
		err := u.tries.Repeat(ctx, doing, func() (resp *gogithub.Response, err error) {
			some, resp, err = u.page(ctx, path)
			if err == nil {
				next = resp.NextPage
			}
			return resp, err
		})
		if err != nil {
			return nil, u.listFailed(err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func (u *upsert) listFailed(err error) error {
	failure := github.Refusal(err)
	if failure == nil {
		return err
	}
	if failure.Status == http.StatusNotFound {
		failure.Hint = fmt.Sprintf("is there a pull request %d in %s/%s, and may the token read it?", u.number, u.owner, u.repo)
		return failure
	}
	return github.Forbidden(failure, github.MayComment)
}

// page reads one page comment by comment, so that what is kept in memory does not grow with what others wrote.
func (u *upsert) page(ctx context.Context, path string) ([]found, *gogithub.Response, error) {
	gh := u.gh.API()
	req, err := gh.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := gh.BareDo(ctx, req)
	if err != nil {
		return nil, resp, err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	if _, err := dec.Token(); err != nil {
		return nil, resp, err
	}
	var kept []found
	for dec.More() {
		var comment gogithub.IssueComment
		if err := dec.Decode(&comment); err != nil {
			return nil, resp, err
		}
		if m, text, ok := parseMarker(comment.GetBody()); ok && m.key == u.marker.key {
			kept = append(kept, found{id: comment.GetID(), url: comment.GetHTMLURL(), user: comment.GetUser(), marker: m, text: text})
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, resp, err
	}
	return kept, resp, nil
}

// sameText compares bodies as GitHub may have stored them: with CRLF, or without the blanks at the end.
func sameText(a, b string) bool {
	normal := func(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), " \t\n") }
	return normal(a) == normal(b)
}

func notFound(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }
