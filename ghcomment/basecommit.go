package ghcomment

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/go-github/v62/github"
)

// MergeParent returns the first parent of the merge commit sha: for the commit that GitHub tests a pull request on
// (GITHUB_SHA), the tip of the base branch it was merged onto. It returns "" when sha is not a merge commit.
// sha is a full commit id; missing permissions are a *ForbiddenError.
func (c *Client) MergeParent(ctx context.Context, sha string) (string, error) {
	if !isCommit(sha) {
		return "", fmt.Errorf("%.80q is not a full commit id", sha)
	}
	var commit *github.RepositoryCommit
	p := patience{c: c}
	err := p.read(ctx, "reading commit "+sha, func() (resp *github.Response, err error) {
		// One file a page: the list of changed files, with their patches, comes along unasked.
		commit, resp, err = c.api().Repositories.GetCommit(ctx, c.owner, c.repo, sha, &github.ListOptions{PerPage: 1})
		return resp, err
	})
	if err != nil {
		return "", readRefused(err)
	}
	if len(commit.Parents) < 2 {
		return "", nil
	}
	return commitID(commit.Parents[0].GetSHA())
}

// MergeBase returns the newest commit that both base and head descend from. Both are full commit ids known to the repository,
// which those of a pull request from a fork are. Missing permissions are a *ForbiddenError.
func (c *Client) MergeBase(ctx context.Context, base, head string) (string, error) {
	for _, sha := range []string{base, head} {
		if !isCommit(sha) {
			return "", fmt.Errorf("%.80q is not a full commit id", sha)
		}
	}
	var comparison *github.CommitsComparison
	p := patience{c: c}
	err := p.read(ctx, fmt.Sprintf("comparing %s with %s", base, head), func() (resp *github.Response, err error) {
		comparison, resp, err = c.api().Repositories.CompareCommits(ctx, c.owner, c.repo, base, head, &github.ListOptions{PerPage: 1})
		return resp, err
	})
	if err != nil {
		return "", readRefused(err)
	}
	return commitID(comparison.GetMergeBaseCommit().GetSHA())
}

// commitID passes on a commit id that GitHub answered; it goes into URLs and paths later.
func commitID(sha string) (string, error) {
	if !isCommit(sha) {
		return "", fmt.Errorf("GitHub answered %.80q where a commit id was expected", sha)
	}
	return sha, nil
}

// readRefused names the permission when reading was forbidden. A 404 stays one: the commit may really not be there.
func readRefused(err error) error {
	if r := refusal(err); r != nil && r.status == http.StatusForbidden {
		return forbidden(r, mayRead)
	}
	return err
}
