package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/google/go-github/v62/github"
)

// maxArchive bounds the sources of one commit, as they are transferred.
const maxArchive = 4 << 30

// Archive opens the sources of a commit, as a tar with gzip in which one folder is around everything. The caller closes it. The
// error is [ErrUnknown] for a commit that GitHub does not have. The API says where the sources are, usually at another host; the
// token is not sent there.
func (c *Client) Archive(ctx context.Context, commit string) (io.ReadCloser, error) {
	if !IsCommit(commit) {
		return nil, fmt.Errorf("%.80q is not a full commit id", commit)
	}
	doing := "fetching the sources of commit " + commit
	var link *url.URL
	err := c.Try().Repeat(ctx, doing, func() (resp *github.Response, err error) {
		link, resp, err = c.API().Repositories.GetArchiveLink(ctx, c.owner, c.repo, github.Tarball, &github.RepositoryContentGetOptions{Ref: commit}, maxRedirects)
		return resp, err
	})
	if err != nil {
		return nil, readRefused(err)
	}
	if c.base.Scheme == "https" && link.Scheme != "https" {
		return nil, fmt.Errorf("%s: GitHub names an address without TLS", doing)
	}
	var body io.ReadCloser
	// The bytes may take longer than one request of the API, so the context alone bounds them.
	plain := &http.Client{Transport: c.plain, CheckRedirect: checkRedirect}
	err = c.Try().Repeat(ctx, doing, func() (*github.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, link.String(), nil)
		if err != nil {
			return nil, errors.New("the address is none")
		}
		resp, err := plain.Do(req)
		var told *url.Error
		if errors.As(err, &told) {
			return nil, told.Err // without the address, which lets everybody in
		}
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			resp.Request = nil
			return &github.Response{Response: resp}, fmt.Errorf("answered %d", resp.StatusCode)
		}
		body = &boundedBody{ReadCloser: resp.Body, left: maxArchive}
		return &github.Response{Response: resp}, nil
	})
	if err != nil {
		return nil, readRefused(err)
	}
	return body, nil
}
