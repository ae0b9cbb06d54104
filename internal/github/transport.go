package github

import (
	"errors"
	"io"
	"net/http"
	"net/url"
)

const (
	// maxAnswer bounds one answer. A page of 100 comments, each of 65,536 characters and each of those escaped to six bytes,
	// has 40 MB; a lower bound would let anyone switch the comment off by filling a pull request with text.
	maxAnswer = 64 << 20
	// maxErrorAnswer bounds the answer of a failed request, which is held in memory whole.
	maxErrorAnswer = 1 << 20
)

var errAnswerTooLarge = errors.New("the answer is larger than this tool accepts")

// transport adds the token to requests for one host, keeps it out of everything handed back, and bounds what is read.
type transport struct {
	host  *url.URL
	token string
	limit int64 // bytes of an answer
	next  http.RoundTripper
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	authorized := req.Clone(req.Context())
	if req.URL.Scheme == t.host.Scheme && req.URL.Host == t.host.Host {
		authorized.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := t.next.RoundTrip(authorized)
	if err != nil {
		return nil, err
	}
	// go-github's errors hold the response, and that holds its request: the one without the token.
	resp.Request = req
	limit := t.limit
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		limit = min(limit, maxErrorAnswer)
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: limit}
	return resp, nil
}

// boundedBody fails at its bound instead of ending there: half an answer must not look like a whole one.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errAnswerTooLarge
	}
	// One byte more than allowed is asked for, to tell an answer of exactly the bound from a longer one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, errAnswerTooLarge
	}
	return n, err
}
