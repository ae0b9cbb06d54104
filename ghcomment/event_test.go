package ghcomment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/internal/github"
)

// The files have the shape GitHub sends, cut down; a name is EVENT.json or EVENT.CASE.json.
func TestParseEvent(t *testing.T) {
	t.Parallel()
	const repo, fork = "acme/web", "mallory/web"
	event := func(e Event) Event {
		e.Repository, e.DefaultBranch = repo, "main"
		return e
	}
	want := map[string]Event{
		"pull_request": event(Event{Name: "pull_request", Action: "synchronize", Number: 12, HeadSHA: shaA, BaseSHA: shaB,
			HeadRef: "bump/base", BaseRef: "main", HeadRepo: repo}),
		"pull_request.fork": event(Event{Name: "pull_request", Action: "opened", Number: 13, HeadSHA: shaA, BaseSHA: shaB,
			HeadRef: "x\n::warning::`@everyone`<!-- -->", BaseRef: "main", HeadRepo: fork, Fork: true, Draft: true}),
		"pull_request.fork-deleted": event(Event{Name: "pull_request", Action: "edited", Number: 14, HeadSHA: shaA, BaseSHA: shaB,
			HeadRef: "patch-1", BaseRef: "main", Fork: true}),
		"pull_request_target": event(Event{Name: "pull_request_target", Action: "opened", Number: 15, HeadSHA: shaA, BaseSHA: shaB,
			HeadRef: "patch-2", BaseRef: "main", HeadRepo: fork, Fork: true}),
		"push":             event(Event{Name: "push", HeadSHA: shaA, Before: shaB, HeadRef: "main", Ref: "refs/heads/main"}),
		"push.new-branch":  event(Event{Name: "push", HeadSHA: shaA, HeadRef: "release/2.x", Ref: "refs/heads/release/2.x"}),
		"push.deleted-tag": event(Event{Name: "push", Before: shaB, Deleted: true, Ref: "refs/tags/v1"}),
		"merge_group": event(Event{Name: "merge_group", Action: "checks_requested", HeadSHA: shaA, BaseSHA: shaB,
			HeadRef: "gh-readonly-queue/main/pr-12-" + shaB, BaseRef: "main"}),
		"workflow_run": event(Event{Name: "workflow_run", Action: "completed", Number: 12, HeadSHA: shaA, HeadRef: "bump/base",
			HeadRepo: repo, RunID: 1589141559, RunAttempt: 2, RunEvent: "pull_request"}),
		"workflow_run.fork": event(Event{Name: "workflow_run", Action: "completed", HeadSHA: shaA, HeadRef: "main", HeadRepo: fork,
			Fork: true, RunID: 1589141559, RunAttempt: 2, RunEvent: "pull_request"}),
		"workflow_dispatch":   event(Event{Name: "workflow_dispatch", HeadRef: "main", Ref: "refs/heads/main"}),
		"schedule":            event(Event{Name: "schedule"}),
		"release":             event(Event{Name: "release", Action: "published", Ref: "refs/tags/v1.2.3"}),
		"issue_comment":       event(Event{Name: "issue_comment", Action: "created", Number: 12}),
		"issue_comment.issue": event(Event{Name: "issue_comment", Action: "created"}),
		"check_suite":         event(Event{Name: "check_suite", Action: "completed"}),
	}
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d event files, want %d (%v)", len(files), len(want), err)
	}
	for _, file := range files {
		payload, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSuffix(filepath.Base(file), ".json")
		name, _, _ := strings.Cut(id, ".")
		got, err := ParseEvent(name, payload)
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if diff := cmp.Diff(want[id], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

func TestParseEventRefuses(t *testing.T) {
	t.Parallel()
	side := func(sha string) string {
		return `{"ref":"main","sha":"` + sha + `","repo":{"id":1,"full_name":"o/r"}}`
	}
	tests := []struct{ name, payload, want string }{
		{"push", "", "unexpected end"},
		{"push", "null", "want a JSON object"},
		{"schedule", "[]", "cannot unmarshal"},
		{"push", "{", "unexpected end"},
		{"nobody-knows", "{", "unexpected end"},
		{"push", "{}", `it has no "ref"`},
		{"pull_request", "{}", `it has no "pull_request"`},
		{"pull_request", `{"pull_request":null}`, `it has no "pull_request"`},
		{"pull_request", `{"pull_request":[]}`, "pull_request: json"},
		{"pull_request", `{"pull_request":{"number":0,"head":` + side(shaA) + `,"base":` + side(shaB) + `}}`, "0 is not a pull request number"},
		{"pull_request", `{"pull_request":{"number":-4,"head":` + side(shaA) + `,"base":` + side(shaB) + `}}`, "-4 is not"},
		{"pull_request", `{"pull_request":{"number":4,"head":` + side("") + `,"base":` + side(shaB) + `}}`, "pull_request.head.sha"},
		{"pull_request", `{"pull_request":{"number":4,"head":` + side(shaA) + `,"base":` + side("../../user") + `}}`, "pull_request.base.sha"},
		{"push", `{"ref":"refs/heads/x","before":"` + shaA + `","after":"--force"}`, "not a commit id"},
		{"workflow_run", `{"workflow_run":{"id":-1}}`, "negative"},
		{"issue_comment", `{"issue":{"number":-1,"pull_request":{}}}`, "-1 is not"},
		{"pull_request", `{"action":7,"pull_request":{"number":4,"head":` + side(shaA) + `,"base":` + side(shaB) + `}}`, "action: json"},
		{"push", strings.Repeat(" ", MaxEvent+1), "more than 26214400"},
		{"push", strings.Repeat("[", 20000), "exceeded max depth"},
	}
	for _, tt := range tests {
		got, err := ParseEvent(tt.name, []byte(tt.payload))
		if err == nil || !strings.Contains(err.Error(), tt.want) || got != (Event{}) {
			t.Errorf("%s %.60s: %+v, %v; want an error with %q", tt.name, tt.payload, got, err, tt.want)
		}
	}
}

// What an unknown event holds is not our concern, whatever its shape.
func TestParseEventTakesUnknownOnes(t *testing.T) {
	t.Parallel()
	got, err := ParseEvent("repository_vibe", []byte(`{"action":["x"],"repository":7,"pull_request":"no","ref":{}}`))
	if err != nil || got != (Event{Name: "repository_vibe"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A branch may be called refs/heads/main; it is not main.
func TestParseEventKeepsOddBranchNames(t *testing.T) {
	t.Parallel()
	got, err := ParseEvent("push", []byte(`{"ref":"refs/heads/refs/heads/main","before":"`+shaB+`","after":"`+shaA+`"}`))
	if err != nil || got.HeadRef != "refs/heads/main" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A workflow can be dispatched on a tag, which is not a branch of that name.
func TestParseEventOfADispatchedTag(t *testing.T) {
	t.Parallel()
	got, err := ParseEvent("workflow_dispatch", []byte(`{"ref":"refs/tags/v1"}`))
	if want := (Event{Name: "workflow_dispatch", Ref: "refs/tags/v1"}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func FuzzParseEvent(f *testing.F) {
	files, _ := filepath.Glob("testdata/events/*.json")
	for _, file := range files {
		payload, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		f.Add(name, payload)
	}
	f.Add("push", []byte(`{"ref":null,"before":0}`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		e, err := ParseEvent(name, payload)
		if err != nil {
			if e != (Event{}) {
				t.Errorf("%+v beside %v", e, err)
			}
			return
		}
		for _, sha := range []string{e.HeadSHA, e.BaseSHA, e.Before} {
			if sha != "" && !github.IsCommit(sha) {
				t.Errorf("commit id %q", sha)
			}
		}
		if e.Name != name || e.Number < 0 || e.RunID < 0 || e.RunAttempt < 0 {
			t.Errorf("%+v", e)
		}
		if strings.HasPrefix(name, "pull_request") && e.HeadSHA == "" && e.Number != 0 {
			t.Errorf("a pull request without a head: %+v", e)
		}
	})
}
