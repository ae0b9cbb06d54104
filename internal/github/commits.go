package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-github/v62/github"
	"golang.org/x/mod/semver"
)

const (
	commitsPerPage = 100
	// maxCommitPages bounds the requests of one walk; a page of a history without merges has 100 commits.
	maxCommitPages = 10
	tagsPerPage    = 100
	maxTagPages    = 5
	// maxTagsCompared bounds how many tags are asked for whether they lead to a commit.
	maxTagsCompared = 10
	// maxParents bounds the commits that a Client remembers the first parent of.
	maxParents = 20_000
)

// Ancestors yields the first parents of a commit, the nearest first and the commit itself not, as they are asked for: at most
// most of them. An error ends it; it is [ErrUnknown] for a commit that GitHub does not have.
func (c *Client) Ancestors(ctx context.Context, commit string, most int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		// The list is of all commits that can be reached, by date, but each of them names its parents: the first parents are
		// followed through the page, and the page is asked for anew from where they leave it. A history of squashed commits
		// takes one request instead of one a commit, and one of merges no more than that. The parents of a commit never change:
		// what was asked once serves the next walk.
		at := commit
		for pages := 0; most > 0; most-- {
			parent, known := c.firstParent(at)
			if !known {
				if pages++; pages > maxCommitPages {
					return
				}
				var err error
				if parent, err = c.askFirstParents(ctx, at); err != nil {
					yield("", err)
					return
				}
			}
			if parent == "" {
				return
			}
			if !yield(parent, nil) {
				return
			}
			at = parent
		}
	}
}

// firstParent is the first parent of a commit that was listed before; a root has "".
func (c *Client) firstParent(commit string) (parent string, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	parent, known = c.parents[commit]
	return parent, known
}

// askFirstParents lists a page of commits, beginning with from, and returns its first parent.
func (c *Client) askFirstParents(ctx context.Context, from string) (string, error) {
	if !IsCommit(from) {
		return "", fmt.Errorf("%.80q is not a full commit id", from)
	}
	doing := "listing the commits before " + from
	var list []*github.RepositoryCommit
	err := c.Try().Repeat(ctx, doing, func() (resp *github.Response, err error) {
		list, resp, err = c.API().Repositories.ListCommits(ctx, c.owner, c.repo, &github.CommitsListOptions{
			SHA: from, ListOptions: github.ListOptions{PerPage: commitsPerPage},
		})
		return resp, err
	})
	if err != nil {
		return "", readRefused(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parents == nil || len(c.parents) > maxParents {
		c.parents = map[string]string{}
	}
	for _, commit := range list {
		parent := ""
		if len(commit.Parents) > 0 {
			if parent, err = objectID(commit.Parents[0].GetSHA()); err != nil {
				return "", fmt.Errorf("%s: %w", doing, err)
			}
		}
		c.parents[commit.GetSHA()] = parent
	}
	parent, ok := c.parents[from]
	if !ok {
		return "", fmt.Errorf("%s: the list does not begin with it", doing)
	}
	return parent, nil
}

// Relation says where one commit stands to another.
type Relation string

// The relations of a head to a base. Commits without a common ancestor have diverged.
const (
	Ahead     Relation = "ahead"     // it descends from the base
	Behind    Relation = "behind"    // the base descends from it
	Identical Relation = "identical" // they are the same
	Diverged  Relation = "diverged"  // neither
)

// Comparison is what GitHub says about two commits.
type Comparison struct {
	Relation Relation
	// MergeBase is the newest commit that both descend from, "" if there is none.
	MergeBase string
	// Ahead is how many commits the head has and the base has not; Behind the other way round.
	Ahead, Behind int
}

// Compare tells where head stands to base: both full commit ids known to the repository, which those of a pull request from a
// fork are. The error is [ErrUnknown] where one is not.
func (c *Client) Compare(ctx context.Context, base, head string) (Comparison, error) {
	for _, sha := range []string{base, head} {
		if !IsCommit(sha) {
			return Comparison{}, fmt.Errorf("%.80q is not a full commit id", sha)
		}
	}
	if base == head {
		return Comparison{Relation: Identical, MergeBase: base}, nil
	}
	doing := fmt.Sprintf("comparing %s with %s", base, head)
	var answer *github.CommitsComparison
	err := c.Try().Repeat(ctx, doing, func() (resp *github.Response, err error) {
		answer, resp, err = c.API().Repositories.CompareCommits(ctx, c.owner, c.repo, base, head, &github.ListOptions{PerPage: 1})
		return resp, err
	})
	if r := Refusal(err); r != nil && r.Status == http.StatusNotFound && says(r, "no common ancestor") {
		return Comparison{Relation: Diverged}, nil
	}
	if err != nil {
		return Comparison{}, readRefused(err)
	}
	out := Comparison{Relation: Relation(answer.GetStatus()), Ahead: answer.GetAheadBy(), Behind: answer.GetBehindBy()}
	if !slices.Contains([]Relation{Ahead, Behind, Identical, Diverged}, out.Relation) {
		return Comparison{}, fmt.Errorf("%s: GitHub answered %.80q", doing, answer.GetStatus())
	}
	out.MergeBase, err = objectID(answer.GetMergeBaseCommit().GetSHA())
	return out, err
}

// DefaultBranch asks for the name of the default branch. An error says that it could not be read.
func (c *Client) DefaultBranch(ctx context.Context) (string, error) {
	var repo *github.Repository
	err := c.Try().Repeat(ctx, "reading the repository", func() (resp *github.Response, err error) {
		repo, resp, err = c.API().Repositories.Get(ctx, c.owner, c.repo)
		return resp, err
	})
	if err != nil {
		return "", readRefused(err)
	}
	if repo.GetDefaultBranch() == "" {
		return "", errors.New("reading the repository: the answer names no default branch")
	}
	return repo.GetDefaultBranch(), nil
}

// Release is a version that was tagged.
type Release struct{ Tag, Commit string }

// LatestRelease returns the release that GitHub calls the latest and, in a repository that makes none, the tag with the highest
// semantic version, no pre-release, that the commit descends from. The error is [ErrUnknown] where there is neither.
func (c *Client) LatestRelease(ctx context.Context, commit string) (Release, error) {
	var latest *github.RepositoryRelease
	err := c.Try().Repeat(ctx, "reading the latest release", func() (resp *github.Response, err error) {
		latest, resp, err = c.API().Repositories.GetLatestRelease(ctx, c.owner, c.repo)
		return resp, err
	})
	switch r := Refusal(err); {
	case r != nil && r.Status == http.StatusNotFound:
		return c.latestTag(ctx, commit)
	case err != nil:
		return Release{}, readRefused(err)
	}
	tag := latest.GetTagName()
	var sha string
	// This resolves annotated tags too.
	err = c.Try().Repeat(ctx, "reading the commit of tag "+c.clean(tag), func() (resp *github.Response, err error) {
		sha, resp, err = c.API().Repositories.GetCommitSHA1(ctx, c.owner, c.repo, "tags/"+tag, "")
		return resp, err
	})
	if err != nil {
		return Release{}, readRefused(err)
	}
	sha, err = objectID(strings.TrimSpace(sha))
	return Release{Tag: tag, Commit: sha}, err
}

func (c *Client) latestTag(ctx context.Context, commit string) (Release, error) {
	var tags []Release
	for page, next := 1, 1; next != 0 && page <= maxTagPages; page++ {
		var some []*github.RepositoryTag
		err := c.Try().Repeat(ctx, "listing tags", func() (resp *github.Response, err error) {
			some, resp, err = c.API().Repositories.ListTags(ctx, c.owner, c.repo, &github.ListOptions{Page: next, PerPage: tagsPerPage})
			if err == nil {
				next = resp.NextPage
			}
			return resp, err
		})
		if err != nil {
			return Release{}, readRefused(err)
		}
		for _, t := range some {
			v := version(t.GetName())
			if semver.IsValid(v) && semver.Prerelease(v) == "" && IsCommit(t.GetCommit().GetSHA()) {
				tags = append(tags, Release{Tag: t.GetName(), Commit: t.GetCommit().GetSHA()})
			}
		}
	}
	slices.SortFunc(tags, func(a, b Release) int {
		return cmp.Or(semver.Compare(version(b.Tag), version(a.Tag)), strings.Compare(a.Tag, b.Tag))
	})
	for _, t := range tags[:min(len(tags), maxTagsCompared)] {
		found, err := c.Compare(ctx, t.Commit, commit)
		if err != nil {
			return Release{}, err
		}
		if found.Relation == Ahead || found.Relation == Identical {
			return t, nil
		}
	}
	return Release{}, fmt.Errorf("%w: there is no release and no tag of a version before %s", ErrUnknown, commit)
}

// version is a tag as a semantic version, which package semver wants with a v.
func version(tag string) string { return "v" + strings.TrimPrefix(tag, "v") }
