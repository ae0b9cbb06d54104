package ghcomment

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/org/image-budget/internal/github"
)

// MaxEvent is the largest event payload ParseEvent accepts, in bytes: what GitHub caps webhook payloads at.
const MaxEvent = 25 << 20

// Event is what a workflow run was started by, as far as it is of use here. Fields an event does not have are zero. Names of
// branches and repositories are plain data that anyone may have chosen; commit ids are checked to be full lower-case hex ids,
// and the all-zero id GitHub uses for "none" is "".
type Event struct {
	Name   string // as GITHUB_EVENT_NAME says: "pull_request", "push", …
	Action string // "opened", "synchronize", "completed", …; "" for events without

	// Number is the pull request's, 0 when the event belongs to none. Of a workflow_run it is only set when GitHub names
	// exactly one pull request of this repository; for one from a fork it names none.
	Number int
	// HeadSHA is the commit the event is about: the tip of the pull request, the queued merge, what was pushed, what the
	// other workflow ran for. It is not the merge commit a pull_request is tested on; that is in GITHUB_SHA.
	HeadSHA string
	// BaseSHA is the tip of the base branch when the event happened: of a pull request or a merge group.
	BaseSHA string
	// HeadRef and BaseRef are branch names without refs/heads/. HeadRef is "" for a tag.
	HeadRef, BaseRef string
	// HeadRepo is the repository, OWNER/NAME, that HeadRef is in, "" when it is gone or the event does not say.
	HeadRepo string
	// Fork says that the head is not in this repository; a deleted head repository counts as one.
	Fork bool
	// Draft says that the pull request is one.
	Draft bool

	// Before is the commit a push replaced, "" for a new branch. Deleted says that it removed the branch or tag, and Forced that
	// Before is not among the ancestors of what it is now.
	Before          string
	Deleted, Forced bool
	// Ref is the full ref of a push, a workflow_dispatch or a release's tag: refs/heads/… or refs/tags/….
	Ref string

	// RunID, RunAttempt and RunEvent are those of the run a workflow_run is about.
	RunID, RunAttempt int64
	RunEvent          string

	// Repository is OWNER/NAME of the repository the run is in, and DefaultBranch its default branch.
	Repository, DefaultBranch string
}

// ParseEvent reads the payload that GITHUB_EVENT_PATH names; name is GITHUB_EVENT_NAME. An event it does not know gives the
// fields all events have. Payloads that are too large, not a JSON object, or without the part that makes the event one, are
// errors; so are commit ids that are none.
func ParseEvent(name string, payload []byte) (Event, error) {
	if len(payload) > MaxEvent {
		return Event{}, fmt.Errorf("the %.40q event has %d bytes, more than %d", name, len(payload), MaxEvent)
	}
	e := Event{Name: name}
	if err := e.parse(payload); err != nil {
		return Event{}, fmt.Errorf("parsing the %.40q event: %w", name, err)
	}
	return e, nil
}

func (e *Event) parse(payload []byte) error {
	var doc eventDoc
	if err := json.Unmarshal(payload, &doc); err != nil {
		return err
	}
	if doc == nil {
		return errors.New("want a JSON object")
	}
	var here eventRepo
	err := errors.Join(doc.field("action", &e.Action), doc.field("repository", &here))
	e.Repository, e.DefaultBranch = here.FullName, here.DefaultBranch
	switch e.Name {
	case "pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment":
		err = errors.Join(err, e.parsePullRequest(doc, here))
	case "issue_comment":
		err = errors.Join(err, e.parseIssue(doc))
	case "push":
		err = errors.Join(err, e.parsePush(doc))
	case "merge_group":
		err = errors.Join(err, e.parseMergeGroup(doc))
	case "workflow_run":
		err = errors.Join(err, e.parseWorkflowRun(doc, here))
	case "workflow_dispatch":
		err = errors.Join(err, doc.field("ref", &e.Ref))
		e.setPushedBranch()
	case "release":
		err = errors.Join(err, e.parseRelease(doc))
	case "schedule":
	default:
		return nil // what it holds is nobody's concern, and neither is its shape
	}
	return err
}

// eventDoc is a payload whose parts are decoded when they are asked for, so that a part nobody needs cannot be wrong.
type eventDoc map[string]json.RawMessage

// field decodes the part called name into v and leaves v alone when there is none or it is null.
func (d eventDoc) field(name string, v any) error {
	raw, ok := d[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// part is field for a part the event cannot be without.
func (d eventDoc) part(name string, v any) error {
	if raw, ok := d[name]; !ok || string(raw) == "null" {
		return fmt.Errorf("it has no %q", name)
	}
	return d.field(name, v)
}

type eventRepo struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

// foreign reports whether r, nil when it was deleted, is another repository than here.
func (r *eventRepo) foreign(here eventRepo) bool {
	if r == nil {
		return true
	}
	if r.ID != 0 && here.ID != 0 {
		return r.ID != here.ID
	}
	return !strings.EqualFold(r.FullName, here.FullName)
}

func (r *eventRepo) name() string {
	if r == nil {
		return ""
	}
	return r.FullName
}

func (e *Event) parsePullRequest(doc eventDoc, here eventRepo) error {
	type side struct {
		Ref  string     `json:"ref"`
		SHA  string     `json:"sha"`
		Repo *eventRepo `json:"repo"`
	}
	var pr struct {
		Number int  `json:"number"`
		Draft  bool `json:"draft"`
		Head   side `json:"head"`
		Base   side `json:"base"`
	}
	if err := doc.part("pull_request", &pr); err != nil {
		return err
	}
	if pr.Base.Repo != nil {
		here = *pr.Base.Repo
	}
	e.Draft, e.Fork, e.HeadRepo = pr.Draft, pr.Head.Repo.foreign(here), pr.Head.Repo.name()
	e.HeadRef, e.BaseRef = pr.Head.Ref, pr.Base.Ref
	return errors.Join(
		e.setNumber(pr.Number),
		needCommit(&e.HeadSHA, "pull_request.head.sha", pr.Head.SHA),
		needCommit(&e.BaseSHA, "pull_request.base.sha", pr.Base.SHA),
	)
}

// parseIssue keeps the number only when the issue is a pull request: they share their numbers and this event.
func (e *Event) parseIssue(doc eventDoc) error {
	var issue struct {
		Number      int       `json:"number"`
		Draft       bool      `json:"draft"`
		PullRequest *struct{} `json:"pull_request"`
	}
	if err := doc.part("issue", &issue); err != nil || issue.PullRequest == nil {
		return err
	}
	e.Draft = issue.Draft
	return e.setNumber(issue.Number)
}

func (e *Event) parsePush(doc eventDoc) error {
	var before, after string
	err := errors.Join(
		doc.part("ref", &e.Ref), doc.part("before", &before), doc.part("after", &after), doc.field("deleted", &e.Deleted),
		doc.field("forced", &e.Forced),
	)
	err = errors.Join(err, setCommit(&e.Before, "before", before), setCommit(&e.HeadSHA, "after", after))
	e.setPushedBranch()
	return err
}

func (e *Event) parseMergeGroup(doc eventDoc) error {
	var group struct {
		HeadSHA string `json:"head_sha"`
		HeadRef string `json:"head_ref"`
		BaseSHA string `json:"base_sha"`
		BaseRef string `json:"base_ref"`
	}
	if err := doc.part("merge_group", &group); err != nil {
		return err
	}
	e.HeadRef, e.BaseRef = branch(group.HeadRef), branch(group.BaseRef)
	return errors.Join(
		needCommit(&e.HeadSHA, "merge_group.head_sha", group.HeadSHA),
		needCommit(&e.BaseSHA, "merge_group.base_sha", group.BaseSHA),
	)
}

func (e *Event) parseWorkflowRun(doc eventDoc, here eventRepo) error {
	var run struct {
		ID           int64      `json:"id"`
		RunAttempt   int64      `json:"run_attempt"`
		Event        string     `json:"event"`
		HeadSHA      string     `json:"head_sha"`
		HeadBranch   string     `json:"head_branch"`
		HeadRepo     *eventRepo `json:"head_repository"`
		PullRequests []struct {
			Number int `json:"number"`
			Base   struct {
				Repo *eventRepo `json:"repo"`
			} `json:"base"`
		} `json:"pull_requests"`
	}
	if err := doc.part("workflow_run", &run); err != nil {
		return err
	}
	if run.ID < 0 || run.RunAttempt < 0 {
		return errors.New("workflow_run has a negative id")
	}
	e.RunID, e.RunAttempt, e.RunEvent = run.ID, run.RunAttempt, run.Event
	e.HeadRef, e.HeadRepo, e.Fork = run.HeadBranch, run.HeadRepo.name(), run.HeadRepo.foreign(here)
	// The list also holds pull requests of the same branch into other repositories, with numbers of theirs.
	var numbers []int
	for _, pr := range run.PullRequests {
		if pr.Base.Repo != nil && pr.Base.Repo.ID == here.ID {
			numbers = append(numbers, pr.Number)
		}
	}
	err := needCommit(&e.HeadSHA, "workflow_run.head_sha", run.HeadSHA)
	if len(numbers) == 1 {
		err = errors.Join(err, e.setNumber(numbers[0]))
	}
	return err
}

func (e *Event) parseRelease(doc eventDoc) error {
	var release struct {
		TagName string `json:"tag_name"`
	}
	if err := doc.part("release", &release); err != nil {
		return err
	}
	if release.TagName != "" {
		e.Ref = "refs/tags/" + release.TagName
	}
	return nil
}

// setPushedBranch takes HeadRef from Ref, unless that is a tag.
func (e *Event) setPushedBranch() {
	if strings.HasPrefix(e.Ref, "refs/heads/") {
		e.HeadRef = branch(e.Ref)
	}
}

func (e *Event) setNumber(n int) error {
	if n <= 0 {
		return fmt.Errorf("%d is not a pull request number", n)
	}
	e.Number = n
	return nil
}

// setCommit stores a commit id. Nothing and the all-zero id both mean that there is none.
func setCommit(to *string, where, sha string) error {
	if strings.Trim(sha, "0") == "" {
		return nil
	}
	return needCommit(to, where, sha)
}

// needCommit is setCommit where there has to be one.
func needCommit(to *string, where, sha string) error {
	if !github.IsCommit(sha) {
		return fmt.Errorf("%s is %.80q, not a commit id", where, sha)
	}
	*to = sha
	return nil
}

// branch takes refs/heads/ off once; what is left may begin with it again and is then a branch of that name.
func branch(ref string) string { return strings.TrimPrefix(ref, "refs/heads/") }
