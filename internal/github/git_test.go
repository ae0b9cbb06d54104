package github_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/internal/githubtest"
)

func server(t *testing.T, prefix string) (*githubtest.Server, *github.Client) {
	t.Helper()
	s := githubtest.New("acme", "web")
	s.Prefix, s.Complain = prefix, t.Errorf
	return another(t, s)
}

// another is one more client of a server.
func another(t *testing.T, s *githubtest.Server) (*githubtest.Server, *github.Client) {
	t.Helper()
	c, err := github.New(github.Config{
		BaseURL: "https://api.github.test" + s.Prefix, Token: "ghs_canary", Owner: "acme", Repo: "web", Transport: s.Transport(nil),
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }, Now: func() time.Time { return time.Unix(0, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestObjectsAndRefs(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/api/v3"} {
		s, c := server(t, prefix)
		ctx := t.Context()
		if _, err := c.Head(ctx, "main"); !errors.Is(err, github.ErrEmpty) {
			t.Errorf("an empty repository: %v", err)
		}
		s.SetBranch("main", s.Commit())
		if head, err := c.Head(ctx, "sizes/of #1"); head != "" || err != nil {
			t.Errorf("no branch: %q, %v", head, err)
		}
		binary := []byte("\x00\xff\n")
		blob, err := c.CreateBlob(ctx, binary)
		if err != nil || blob != github.BlobID(binary) {
			t.Fatalf("%s, %v", blob, err)
		}
		tree, err := c.CreateTree(ctx, "", []github.Change{{Path: "a/b.json", Content: "{}"}, {Path: "a/c", Blob: blob}})
		if err != nil {
			t.Fatal(err)
		}
		first, err := c.CreateCommit(ctx, "first", tree, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.MoveBranch(ctx, "sizes/of #1", "", first); err != nil {
			t.Fatal(err)
		}
		if err := c.MoveBranch(ctx, "sizes/of #1", "", first); !errors.Is(err, github.ErrConflict) {
			t.Errorf("creating it again: %v", err)
		}
		tree, err = c.CreateTree(ctx, tree, []github.Change{{Path: "a/b.json"}, {Path: "d", Content: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.CreateCommit(ctx, "second", tree, first)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.MoveBranch(ctx, "sizes/of #1", first, second); err != nil {
			t.Fatal(err)
		}
		third, err := c.CreateCommit(ctx, "third", tree, first)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.MoveBranch(ctx, "sizes/of #1", first, third); !errors.Is(err, github.ErrConflict) {
			t.Errorf("not a fast forward: %v", err)
		}
		if diff := cmp.Diff(map[string]string{"a/c": string(binary), "d": "x"}, s.Files("sizes/of #1")); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
		commit, err := c.Commit(ctx, second)
		if err != nil || commit.Tree != tree || !slices.Equal(commit.Parents, []string{first}) {
			t.Errorf("%+v, %v", commit, err)
		}
		entries, whole, err := c.Tree(ctx, tree, true)
		if err != nil || !whole || len(entries) != 3 || entries[1].Path != "a/c" || entries[1].Size != 3 || !entries[0].Dir {
			t.Errorf("%+v, %v, %v", entries, whole, err)
		}
		if data, err := c.Blob(ctx, blob); err != nil || string(data) != string(binary) {
			t.Errorf("%q, %v", data, err)
		}
		s.Answer(githubtest.Reply{Method: "GET", Path: "blobs/" + blob, Status: 200, Body: "other"})
		if data, err := c.Blob(ctx, blob); err == nil || !strings.Contains(err.Error(), "something else") {
			t.Errorf("another answer: %q, %v", data, err)
		}
		unknown := strings.Repeat("e", 40)
		_, err1 := c.Commit(ctx, unknown)
		_, err2 := c.Blob(ctx, unknown)
		_, _, err3 := c.Tree(ctx, unknown, false)
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, github.ErrUnknown) {
				t.Errorf("%v, want ErrUnknown", err)
			}
		}
		s.Answer(githubtest.Reply{Method: "GET", Path: "/git/ref/", Status: 200, Body: `{"object":{"type":"commit","sha":"../../x"}}`})
		if _, err := c.Head(ctx, "main"); err == nil || !strings.Contains(err.Error(), "where an object id was expected") {
			t.Errorf("a head that is none: %v", err)
		}
	}
}

func TestAncestors(t *testing.T) {
	t.Parallel()
	s, c := server(t, "")
	// Every commit of main merges a branch of three commits.
	main := []string{s.Commit()}
	for range 120 {
		side := main[0]
		for range 3 {
			side = s.Commit(side)
		}
		main = slices.Insert(main, 0, s.Commit(main[0], side))
	}
	walk := func(from string, most int) (got []string, err error) {
		for sha, e := range c.Ancestors(t.Context(), from, most) {
			if e != nil {
				return got, e
			}
			got = append(got, sha)
		}
		return got, nil
	}
	s.Requests()
	got, err := walk(main[0], 50)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(main[1:51], got); diff != "" {
		t.Errorf("first parents (-want +got):\n%s", diff)
	}
	if n := len(s.Requests()); n > 3 {
		t.Errorf("%d requests, want a page for every 25 merges", n)
	}
	if got, err := walk(main[110], 50); err != nil || len(got) != 10 {
		t.Errorf("up to the root: %d, %v", len(got), err)
	}
	s.Requests()
	if again, err := walk(main[3], 40); err != nil || len(again) != 40 || len(s.Requests()) != 0 {
		t.Errorf("walking again: %d, %v; want no request", len(again), err)
	}
	_, c = another(t, s)
	for sha := range c.Ancestors(t.Context(), main[0], 50) {
		if sha != main[1] {
			t.Errorf("got %s", sha)
		}
		break
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("%d requests, want no more than are needed", n)
	}
	if _, err := walk(strings.Repeat("e", 40), 5); !errors.Is(err, github.ErrUnknown) {
		t.Errorf("an unknown commit: %v", err)
	}
	for _, bad := range []string{"main", "../../user"} {
		if got, err := walk(bad, 5); err == nil || got != nil {
			t.Errorf("%q: %v without an error", bad, got)
		}
	}
	_, c = another(t, s)
	s.Answer(githubtest.Reply{Method: "GET", Path: "/commits", Status: 200, Body: `[]`})
	if got, err := walk(main[0], 5); err == nil {
		t.Errorf("an empty list: %v without an error", got)
	}
	_, c = another(t, s)
	s.Answer(githubtest.Reply{Method: "GET", Path: "/commits", Status: 200, Body: fmt.Sprintf(`[{"sha":%q,"parents":[{"sha":"--x"}]}]`, main[0])})
	if got, err := walk(main[0], 5); err == nil {
		t.Errorf("a parent that is no id: %v without an error", got)
	}
	_, c = another(t, s)
	s.Answer(githubtest.Reply{Method: "GET", Path: "/commits", Status: 502})
	if got, err := walk(main[0], 5); err != nil || len(got) != 5 {
		t.Errorf("after an outage: %d, %v", len(got), err)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	s, c := server(t, "")
	root := s.Commit()
	a, b := s.Commit(root), s.Commit(root)
	merge := s.Commit(a, b)
	other := s.Commit()
	for _, tt := range []struct {
		base, head string
		want       github.Comparison
	}{
		{root, merge, github.Comparison{Relation: github.Ahead, MergeBase: root, Ahead: 3}},
		{merge, a, github.Comparison{Relation: github.Behind, MergeBase: a, Behind: 2}},
		{a, b, github.Comparison{Relation: github.Diverged, MergeBase: root, Ahead: 1, Behind: 1}},
		{a, a, github.Comparison{Relation: github.Identical, MergeBase: a}},
		{a, other, github.Comparison{Relation: github.Diverged}},
	} {
		got, err := c.Compare(t.Context(), tt.base, tt.head)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := c.Compare(t.Context(), a, strings.Repeat("e", 40)); !errors.Is(err, github.ErrUnknown) {
		t.Errorf("an unknown commit: %v", err)
	}
	for _, body := range []string{`{}`, `{"status":"sideways"}`, `{"status":"ahead","merge_base_commit":{"sha":"x"}}`} {
		s.Answer(githubtest.Reply{Method: "GET", Path: "/compare/", Status: 200, Body: body})
		if got, err := c.Compare(t.Context(), a, b); err == nil {
			t.Errorf("%s: %+v without an error", body, got)
		}
	}
}

func TestLatestRelease(t *testing.T) {
	t.Parallel()
	s, c := server(t, "")
	at := []string{s.Commit()}
	for range 5 {
		at = append(at, s.Commit(at[len(at)-1]))
	}
	if _, err := c.LatestRelease(t.Context(), at[5]); !errors.Is(err, github.ErrUnknown) {
		t.Errorf("nothing was released: %v", err)
	}
	for i, tag := range []string{"v1.2.0", "1.10.0", "v1.9.0", "v2.0.0-rc.1", "nightly"} {
		s.SetTag(tag, at[i])
	}
	s.SetTag("v9.0.0", s.Commit(at[0])) // not of this branch
	for i := range 150 {
		s.SetTag(fmt.Sprint("zz", i), at[0])
	}
	want := github.Release{Tag: "1.10.0", Commit: at[1]}
	if got, err := c.LatestRelease(t.Context(), at[5]); err != nil || got != want {
		t.Errorf("the tag: %+v, %v; want %+v", got, err, want)
	}
	s.SetTag("web/v1.2", at[2])
	s.SetRelease("web/v1.2")
	want = github.Release{Tag: "web/v1.2", Commit: at[2]}
	if got, err := c.LatestRelease(t.Context(), at[5]); err != nil || got != want {
		t.Errorf("the release: %+v, %v; want %+v", got, err, want)
	}
	s.DefaultBranch = "trunk"
	if got, err := c.DefaultBranch(t.Context()); got != "trunk" || err != nil {
		t.Errorf("the default branch: %q, %v", got, err)
	}
}

// What may only read is told what it needs; what GitHub hides looks like nothing.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s, c := server(t, "")
	head := s.Commit()
	s.SetBranch("main", head)
	s.ReadOnly = true
	_, err1 := c.CreateBlob(t.Context(), []byte("x"))
	_, err2 := c.CreateTree(t.Context(), "", []github.Change{{Path: "a", Content: "x"}})
	_, err3 := c.CreateCommit(t.Context(), "m", head, "")
	for _, err := range []error{err1, err2, err3, c.MoveBranch(t.Context(), "main", head, head)} {
		var forbidden *github.ForbiddenError
		if !errors.As(err, &forbidden) || forbidden.YAML() != "permissions:\n  contents: write\n" {
			t.Errorf("%v, want one that names contents: write", err)
		}
	}
	no := githubtest.Reply{Method: "GET", Status: 403, Body: `{"message":"Resource not accessible by integration"}`, Header: map[string]string{"X-Accepted-GitHub-Permissions": "contents=read"}}
	s.Answer(no, no, no)
	_, err1 = c.Commit(t.Context(), head)
	_, err2 = c.Compare(t.Context(), head, strings.Repeat("e", 40))
	_, err3 = c.Head(t.Context(), "main")
	for _, err := range []error{err1, err2, err3} {
		var forbidden *github.ForbiddenError
		if !errors.As(err, &forbidden) || forbidden.YAML() != "permissions:\n  contents: read\n" {
			t.Errorf("%v, want one that names contents: read", err)
		}
	}
}
