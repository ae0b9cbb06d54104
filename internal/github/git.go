package github

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/google/go-github/v62/github"
)

// maxBlob bounds one file; the API sends no more than 100 MB.
const maxBlob = 40 << 20

// What callers tell apart of the errors about Git objects, refs and commits.
var (
	// ErrConflict is in the error of a MoveBranch that came too late: the branch is not where it was.
	ErrConflict = errors.New("the branch has moved meanwhile")
	// ErrProtected is in the error of a MoveBranch that the repository's rules do not allow.
	ErrProtected = errors.New("rules of the repository protect the branch")
	// ErrEmpty is in the error of a request for Git objects of a repository without any.
	ErrEmpty = errors.New("the repository has no commit yet")
	// ErrUnknown is in the error about a commit, object or release that GitHub does not have.
	ErrUnknown = errors.New("GitHub does not know it")
)

// Commit is what is asked of a commit.
type Commit struct {
	SHA, Tree string
	Parents   []string
}

// TreeEntry is a file or directory in a listing.
type TreeEntry struct {
	// Path is relative to the tree that was listed, with slashes. It may hold any bytes.
	Path string
	SHA  string
	// Dir says that it is a directory; what is neither that nor a regular file is left out of listings.
	Dir  bool
	Size int64 // of a file
}

// Change is one path of a new tree: a file with Content, a file whose blob is there already, or, with neither, its removal.
type Change struct {
	Path string
	// Blob is the id of a blob.
	Blob string
	// Content is UTF-8.
	Content string
}

// Head returns the commit that a branch points to, "" if there is no such branch. The error is [ErrEmpty] in a repository
// without a commit.
func (c *Client) Head(ctx context.Context, branch string) (string, error) {
	return c.ref(ctx, "heads/"+branch, "commit")
}

func (c *Client) ref(ctx context.Context, name, kind string) (string, error) {
	var ref *github.Reference
	err := c.Try().Repeat(ctx, "reading the ref "+c.clean(name), func() (resp *github.Response, err error) {
		ref, resp, err = c.API().Git.GetRef(ctx, c.owner, c.repo, "refs/"+name)
		return resp, err
	})
	if r := Refusal(err); r != nil && r.Status == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", readRefused(err)
	}
	if ref.GetObject().GetType() != kind {
		return "", fmt.Errorf("reading the ref %s: it names a %s, not a %s", c.clean(name), c.clean(ref.GetObject().GetType()), kind)
	}
	return objectID(ref.GetObject().GetSHA())
}

// Commit reads one commit, without what it changed. The error is [ErrUnknown] where there is none.
func (c *Client) Commit(ctx context.Context, sha string) (Commit, error) {
	if !IsCommit(sha) {
		return Commit{}, fmt.Errorf("%.80q is not a full commit id", sha)
	}
	var commit *github.Commit
	// Unlike commits/{sha}, the Git Data API sends neither patches nor people along.
	err := c.Try().Repeat(ctx, "reading commit "+sha, func() (resp *github.Response, err error) {
		commit, resp, err = c.API().Git.GetCommit(ctx, c.owner, c.repo, sha)
		return resp, err
	})
	if err != nil {
		return Commit{}, readRefused(err)
	}
	out := Commit{SHA: sha}
	if out.Tree, err = objectID(commit.GetTree().GetSHA()); err != nil {
		return Commit{}, err
	}
	for _, p := range commit.Parents {
		id, err := objectID(p.GetSHA())
		if err != nil {
			return Commit{}, err
		}
		out.Parents = append(out.Parents, id)
	}
	return out, nil
}

// Tree lists a tree, with all below it or only what is directly in it. whole is false where GitHub left entries out, as it does
// in large recursive listings. An error says that it cannot be read, or that an entry has no proper id.
func (c *Client) Tree(ctx context.Context, sha string, recursive bool) (entries []TreeEntry, whole bool, err error) {
	var tree *github.Tree
	err = c.Try().Repeat(ctx, "listing tree "+sha, func() (resp *github.Response, err error) {
		tree, resp, err = c.API().Git.GetTree(ctx, c.owner, c.repo, sha, recursive)
		return resp, err
	})
	if err != nil {
		return nil, false, readRefused(err)
	}
	for _, e := range tree.Entries {
		kind, mode := e.GetType(), e.GetMode()
		if kind != "tree" && (kind != "blob" || mode == "120000") {
			continue // links and submodules
		}
		id, err := objectID(e.GetSHA())
		if err != nil {
			return nil, false, fmt.Errorf("listing tree %s: %w", sha, err)
		}
		entries = append(entries, TreeEntry{Path: e.GetPath(), SHA: id, Dir: kind == "tree", Size: int64(e.GetSize())})
	}
	return entries, !tree.GetTruncated(), nil
}

// Blob reads a file. It is checked against its id. The error is [ErrUnknown] where there is none; there is one too for a file
// that is larger than 40 MB.
func (c *Client) Blob(ctx context.Context, sha string) ([]byte, error) {
	var data []byte
	doing := "reading blob " + sha
	err := c.Try().Repeat(ctx, doing, func() (resp *github.Response, err error) {
		data, resp, err = c.API().Git.GetBlobRaw(ctx, c.owner, c.repo, sha)
		return resp, err
	})
	if err != nil {
		return nil, readRefused(err)
	}
	if len(data) > maxBlob {
		return nil, fmt.Errorf("%s: it is larger than %d bytes", doing, maxBlob)
	}
	if len(sha) == 2*sha1.Size && BlobID(data) != sha {
		return nil, fmt.Errorf("%s: the answer is something else", doing)
	}
	return data, nil
}

// BlobID is the id that Git gives a file.
func BlobID(data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// CreateBlob stores a file of any bytes and returns its id. Creating it again changes nothing. The error is a *ForbiddenError
// where the token may not write.
func (c *Client) CreateBlob(ctx context.Context, data []byte) (string, error) {
	if len(data) > maxBlob {
		return "", fmt.Errorf("creating a blob: it has %d bytes, more than %d", len(data), maxBlob)
	}
	if err := c.Pace(ctx); err != nil {
		return "", fmt.Errorf("creating a blob: %w", err)
	}
	var blob *github.Blob
	err := c.Try().Repeat(ctx, "creating a blob", func() (resp *github.Response, err error) {
		content := base64.StdEncoding.EncodeToString(data)
		blob, resp, err = c.API().Git.CreateBlob(ctx, c.owner, c.repo, &github.Blob{Content: &content, Encoding: github.String("base64")})
		return resp, err
	})
	if err != nil {
		return "", writeRefused(err)
	}
	return objectID(blob.GetSHA())
}

// CreateTree makes a tree from base, "" for an empty one, and returns its id. Creating it again changes nothing. The error is
// [ErrUnknown] where base or a blob is not there, and a *ForbiddenError where the token may not write.
func (c *Client) CreateTree(ctx context.Context, base string, changes []Change) (string, error) {
	entries := make([]*github.TreeEntry, len(changes))
	for i, ch := range changes {
		e := &github.TreeEntry{Path: &ch.Path, Mode: github.String("100644"), Type: github.String("blob")}
		switch {
		case ch.Blob != "":
			e.SHA = &ch.Blob
		case ch.Content != "":
			if !utf8.ValidString(ch.Content) {
				return "", fmt.Errorf("creating a tree: %q is not UTF-8", ch.Path)
			}
			e.Content = &ch.Content
		}
		entries[i] = e
	}
	var tree *github.Tree
	err := c.Try().Repeat(ctx, "creating a tree", func() (resp *github.Response, err error) {
		tree, resp, err = c.API().Git.CreateTree(ctx, c.owner, c.repo, base, entries)
		return resp, err
	})
	if err != nil {
		return "", writeRefused(err)
	}
	return objectID(tree.GetSHA())
}

// CreateCommit makes a commit of a tree, with one parent or, where parent is "", none, and returns its id. Author and time are
// for GitHub to fill in. A commit that no branch leads to is harmless. The error is [ErrUnknown] where tree or parent is not
// there, and a *ForbiddenError where the token may not write.
func (c *Client) CreateCommit(ctx context.Context, message, tree, parent string) (string, error) {
	commit := &github.Commit{Message: &message, Tree: &github.Tree{SHA: &tree}}
	if parent != "" {
		commit.Parents = []*github.Commit{{SHA: &parent}}
	}
	var made *github.Commit
	err := c.Try().Repeat(ctx, "creating a commit", func() (resp *github.Response, err error) {
		made, resp, err = c.API().Git.CreateCommit(ctx, c.owner, c.repo, commit, nil)
		return resp, err
	})
	if err != nil {
		return "", writeRefused(err)
	}
	return objectID(made.GetSHA())
}

// MoveBranch moves a branch from one commit to one that descends from it; from "" creates the branch. It never forces: where
// somebody was faster, the error is [ErrConflict], and what they wrote stays. [ErrProtected] is in the error where rules are in
// the way; a *ForbiddenError says that the token may not write.
func (c *Client) MoveBranch(ctx context.Context, branch, from, to string) error {
	name, doing := "refs/heads/"+branch, "updating the branch "+c.clean(branch)
	if from == "" {
		doing = "creating the branch " + c.clean(branch)
	}
	ref := &github.Reference{Ref: &name, Object: &github.GitObject{SHA: &to}}
	// Should the answer be lost and not the move, the next try either finds the branch where it should be, or moved on by others.
	err := c.Try().Repeat(ctx, doing, func() (resp *github.Response, err error) {
		if from == "" {
			_, resp, err = c.API().Git.CreateRef(ctx, c.owner, c.repo, ref)
		} else {
			_, resp, err = c.API().Git.UpdateRef(ctx, c.owner, c.repo, ref, false)
		}
		return resp, err
	})
	r := Refusal(err)
	if r == nil {
		return err
	}
	switch {
	case isProtection(r):
		r.Hint = fmt.Sprintf("exempt the branch %s from the branch protection or ruleset (Settings, Branches or Rules), or let the token's account bypass it", c.clean(branch))
		return fmt.Errorf("%w: %w", ErrProtected, r)
	case isConflict(r):
		return fmt.Errorf("%w: %w", ErrConflict, r)
	}
	return writeRefused(err)
}

// isProtection recognises what GitHub says of a branch that may not be written to, which has no status or code of its own.
func isProtection(e *Error) bool {
	if e.Status != http.StatusUnprocessableEntity && e.Status != http.StatusForbidden && e.Status != http.StatusConflict {
		return false
	}
	return says(e, "protected", "rule violation", "through a pull request", "status check", "review is required", "not authorized to push",
		"must not contain merge commits", "verified signatures", "creations being restricted", "merge queue")
}

// isConflict recognises a branch that is not what it was: another commit, there already, or gone. "Reference update failed" is
// also what GitHub says when it could not lock the ref.
func isConflict(e *Error) bool {
	if e.Status == http.StatusConflict {
		return !says(e, "repository is empty")
	}
	return e.Status == http.StatusUnprocessableEntity &&
		says(e, "fast forward", "fast-forward", "already exists", "does not exist", "update failed", "cannot be updated", "cannot lock")
}

func says(e *Error, any ...string) bool {
	text := strings.ToLower(e.Message)
	for _, words := range any {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// objectID passes on an id that GitHub answered; it goes into URLs and paths later.
func objectID(sha string) (string, error) {
	if !IsCommit(sha) {
		return "", fmt.Errorf("GitHub answered %.80q where an object id was expected", sha)
	}
	return sha, nil
}

// readRefused tells apart why something could not be read.
func readRefused(err error) error {
	r := Refusal(err)
	switch {
	case r == nil:
		return err
	case r.Status == http.StatusConflict && says(r, "repository is empty"):
		return fmt.Errorf("%w: %w", ErrEmpty, r)
	case r.Status == http.StatusNotFound || r.Status == http.StatusUnprocessableEntity:
		// Of a private repository that the token may not read at all, GitHub says the same.
		return fmt.Errorf("%w: %w", ErrUnknown, r)
	case r.Status == http.StatusForbidden:
		return Forbidden(r, MayRead)
	}
	return err
}

func writeRefused(err error) error {
	r := Refusal(err)
	switch {
	case r == nil:
		return err
	case r.Status == http.StatusConflict && says(r, "repository is empty"):
		return fmt.Errorf("%w: %w", ErrEmpty, r)
	case r.Status == http.StatusUnprocessableEntity:
		// What is built on was made a moment ago and is not everywhere yet, or was never there.
		return fmt.Errorf("%w: %w", ErrUnknown, r)
	}
	return Forbidden(r, MayWrite)
}
