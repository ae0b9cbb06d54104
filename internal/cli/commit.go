package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/ghcomment"
	"github.com/org/image-budget/internal/github"
)

// comparison says which commits a run is about; "" is one that is not known.
type comparison struct {
	// base is the commit whose baseline is wanted, or the nearest before it.
	base string
	// head is the commit that is measured.
	head string
}

// compared chooses the commit to compare with, by what started the run.
//
// A pull request is tested merged: what it is compared with is the commit that
// it was merged onto, the first parent of the merge, unless its own tip was
// checked out; then it is the merge base. A push is compared with what it
// replaced, where that is still part of the history. All others are compared
// with their own commit, which a run of the same commit may have saved.
func (c *Command) compared(ctx context.Context, api func() (*github.Client, error)) (comparison, error) {
	if !c.runner.Actions {
		head := headCommit(".")
		return comparison{base: head, head: head}, nil
	}
	e, err := c.event()
	if err != nil {
		return comparison{}, err
	}
	out := comparison{base: c.runner.SHA, head: c.runner.SHA}
	switch e.Name {
	case "pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment":
		out.head = e.HeadSHA
		gh, err := api()
		if err != nil {
			return comparison{}, err
		}
		out.base, err = c.mergedOnto(ctx, gh, e)
		return out, err
	case "merge_group":
		out.base = e.BaseSHA
	case "push":
		if e.Before != "" && !e.Forced {
			out.base = e.Before
			break
		}
		// The commit itself may have been saved by a first attempt of this run.
		gh, err := api()
		if err != nil {
			return comparison{}, err
		}
		commit, err := gh.Commit(ctx, c.runner.SHA)
		if err != nil {
			return comparison{}, fmt.Errorf("looking for the commit before this push: %w", err)
		}
		if len(commit.Parents) > 0 {
			out.base = commit.Parents[0]
		}
	}
	return out, nil
}

// mergedOnto is the commit that a pull request's changes are measured against.
func (c *Command) mergedOnto(ctx context.Context, gh *github.Client, e ghcomment.Event) (string, error) {
	// On pull_request_target the commit of the run is that of the base branch;
	// whoever measures the pull request there has checked out its tip.
	tip := e.Name == "pull_request_target" || headCommit(c.runner.Workspace) == e.HeadSHA
	if !tip && github.IsCommit(c.runner.SHA) {
		commit, err := gh.Commit(ctx, c.runner.SHA)
		switch {
		case errors.Is(err, github.ErrUnknown):
			// GitHub makes the merge anew with every push, and forgets the old one.
		case err != nil:
			return "", fmt.Errorf("looking for the commit that the pull request is merged onto: %w", err)
		case len(commit.Parents) > 1:
			return commit.Parents[0], nil
		}
	}
	found, err := gh.Compare(ctx, e.BaseSHA, e.HeadSHA)
	switch {
	case err != nil && !errors.Is(err, github.ErrUnknown):
		return "", fmt.Errorf("looking for the merge base of the pull request: %w", err)
	case err != nil || found.MergeBase == "":
		return e.BaseSHA, nil
	}
	return found.MergeBase, nil
}

// headCommit reads which commit is checked out in dir or a folder above it,
// without Git; "" where that is not plain to see.
func headCommit(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		git := filepath.Join(dir, ".git")
		if info, err := os.Stat(git); err == nil {
			if !info.IsDir() {
				// A worktree, or a submodule.
				text, _ := readBounded(git, 4096)
				git = strings.TrimSpace(strings.TrimPrefix(string(text), "gitdir:"))
				if !filepath.IsAbs(git) {
					git = filepath.Join(dir, git)
				}
			}
			return refCommit(git, "HEAD", 3)
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
			continue
		}
		return ""
	}
}

// refCommit follows a ref in a Git directory.
func refCommit(git, name string, most int) string {
	dirs := []string{git}
	if common, err := readBounded(filepath.Join(git, "commondir"), 4096); err == nil {
		shared := strings.TrimSpace(string(common))
		if !filepath.IsAbs(shared) {
			shared = filepath.Join(git, shared)
		}
		dirs = append(dirs, shared)
	}
	for _, dir := range dirs {
		if text, err := readBounded(filepath.Join(dir, filepath.FromSlash(name)), 4096); err == nil {
			line := strings.TrimSpace(string(text))
			next, symbolic := strings.CutPrefix(line, "ref: ")
			switch {
			case symbolic && most > 0 && filepath.IsLocal(filepath.FromSlash(next)):
				return refCommit(git, next, most-1)
			case github.IsCommit(line):
				return line
			}
			return ""
		}
		packed, _ := readBounded(filepath.Join(dir, "packed-refs"), 64<<20)
		for line := range strings.Lines(string(packed)) {
			if sha, ref, ok := strings.Cut(strings.TrimSpace(line), " "); ok && ref == name && github.IsCommit(sha) {
				return sha
			}
		}
	}
	return ""
}

// asked is what a run has asked GitHub, each thing once.
type asked struct {
	mu     sync.Mutex
	client *github.Client

	comparing sync.Mutex
	compared  bool
	with      comparison
	err       error

	releasing  sync.Mutex
	released   bool
	release    github.Release
	releaseErr error
}

// repository is the API of the repository that baselines are for.
func (c *Command) repository(token string) (*github.Client, error) {
	c.asked.mu.Lock()
	defer c.asked.mu.Unlock()
	if c.asked.client != nil {
		return c.asked.client, nil
	}
	if token = cmp.Or(token, c.Getenv("GITHUB_TOKEN"), c.Getenv("GH_TOKEN")); token == "" {
		token, _ = c.input("github-token")
	}
	if c.runner.Repository == "" {
		return nil, errors.New("GITHUB_REPOSITORY is not set: outside a workflow, set it to OWNER/NAME, and GITHUB_TOKEN to a token that may read it")
	}
	if token == "" {
		return nil, fmt.Errorf("there is no GitHub token to read the commits and baselines of %s with: set GITHUB_TOKEN, in a workflow github-token: ${{ github.token }}", c.runner.Repository)
	}
	client, err := c.gitHub(token)
	if err != nil {
		return nil, err
	}
	c.asked.client = client
	return client, nil
}

// comparison is compared, once for all images of a run.
func (c *Command) comparison(ctx context.Context, token string) (comparison, error) {
	c.asked.comparing.Lock()
	defer c.asked.comparing.Unlock()
	if !c.asked.compared {
		c.asked.with, c.asked.err = c.compared(ctx, func() (*github.Client, error) { return c.repository(token) })
		c.asked.compared = true
	}
	return c.asked.with, c.asked.err
}

// byCommit tells whether a store keeps a baseline for each commit.
func byCommit(spec string) bool {
	return strings.HasPrefix(spec, "branch:") || strings.HasPrefix(spec, "registry:")
}

// withCommits adds what a store that keeps baselines by commit needs.
func (c *Command) withCommits(token string, opt baseline.Options) baseline.Options {
	opt.GitHub = func() (*github.Client, error) { return c.repository(token) }
	opt.Ancestors = func(ctx context.Context, commit string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			gh, err := c.repository(token)
			if err != nil && !c.runner.Actions {
				return // nothing says which repository the commit is in
			}
			if err != nil {
				yield("", err)
				return
			}
			for parent, err := range gh.Ancestors(ctx, commit, baseline.MaxAncestors) {
				// A commit that was never pushed has no ancestors there.
				if errors.Is(err, github.ErrUnknown) || !yield(parent, err) {
					return
				}
			}
		}
	}
	opt.Tracked = c.codeBranch()
	return opt
}

// codeBranch is the branch of the code that a run measures, "" outside a
// workflow. Of a pull request that is no branch at all: whatever it saves, it
// is not the latest of the branch it goes into. Of a workflow_run it is not the
// other run's, which a fork may have given any name.
func (c *Command) codeBranch() string {
	e, err := c.event()
	if !c.runner.Actions || err != nil {
		return ""
	}
	switch {
	case e.Name == "push" || e.Name == "workflow_dispatch":
		return cmp.Or(e.HeadRef, e.DefaultBranch)
	case c.ofPullRequest():
		return c.runner.RefName
	}
	return e.DefaultBranch
}

// loadFor loads the baseline of a key for the commit that this run is compared
// with. At a terminal that may be what was saved there since, without a commit.
func (c *Command) loadFor(ctx context.Context, store baseline.Store, spec, token string, key baseline.Key) (*baseline.Found, error) {
	if !byCommit(spec) {
		return store.Load(ctx, key)
	}
	with, err := c.comparison(ctx, token)
	if err != nil {
		return nil, err
	}
	key.Commit, key.Uncommitted = with.base, !c.runner.Actions
	found, err := store.Load(ctx, key)
	if errors.Is(err, baseline.ErrNotFound) && !c.runner.Actions && key.Commit != "" {
		// What is checked out here may not have been pushed.
		key.Commit = ""
		return store.Load(ctx, key)
	}
	return found, err
}

// releaseCommit is the commit of the latest release before this run's commit,
// and its tag. It is [github.ErrUnknown] where nothing was released.
func (c *Command) releaseCommit(ctx context.Context, token string) (github.Release, error) {
	gh, err := c.repository(token)
	if err != nil {
		return github.Release{}, err
	}
	with, err := c.comparison(ctx, token)
	if err != nil {
		return github.Release{}, err
	}
	// Where two commits are compared, the older one has had its releases.
	return gh.LatestRelease(ctx, cmp.Or(with.base, with.head))
}

// saves tells whether a run saves what it measured as the baseline, or why not.
// Only a push to a branch that pull requests go into does: what they are
// compared with is no pull request's to choose.
func (c *Command) saves(spec, when string, tracked []string) (ok bool, why string, err error) {
	for _, pattern := range tracked {
		if _, err := path.Match(pattern, ""); err != nil {
			return false, "", usagef("", "--tracked %q is no name of a branch and no pattern of one", pattern)
		}
	}
	switch {
	case when == "never":
		return false, "--save-baseline is never", nil
	case !byCommit(spec):
		return false, "it is not kept by commit", nil
	case !c.runner.Actions:
		return false, "this is no workflow", nil
	case c.runner.EventName != "push":
		return false, "this run is not of a push", nil
	}
	e, err := c.event()
	if err != nil {
		return false, err.Error(), nil
	}
	if len(tracked) == 0 {
		tracked = []string{literal(e.DefaultBranch)}
	}
	switch {
	case e.Deleted || e.HeadRef == "" || c.runner.SHA == "":
		return false, "the push is of no branch", nil
	case !slices.ContainsFunc(tracked, func(pattern string) bool { ok, _ := path.Match(pattern, e.HeadRef); return ok }):
		return false, "the branch " + e.HeadRef + " is not tracked", nil
	}
	return true, "", nil
}

// literal is the pattern that matches a name alone.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// ofPullRequest tells whether a run measures what is not merged yet.
func (c *Command) ofPullRequest() bool {
	event := c.runner.EventName
	if e, err := c.event(); event == "workflow_run" && err == nil {
		event = e.RunEvent
	}
	return strings.HasPrefix(event, "pull_request") || event == "merge_group" || event == "issue_comment"
}
