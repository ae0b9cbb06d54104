// Package github asks GitHub about one repository, and writes to it: what the REST API needs around a request, and the Git
// objects, refs and commits that more than one caller is after.
//
// It knows nothing of images, budgets or comments, and decides nothing. It does not log, read the environment or look at the
// clock; time and patience are injected.
//
// What always holds: every wait, page count and answer is bounded; a request is repeated only where twice has the effect of
// once; no branch is ever moved but forward; the token is sent to the configured host alone and is in no error.
package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v62/github"
)

const (
	// requestTimeout bounds one request, the reading of its answer included.
	requestTimeout = 60 * time.Second
	// writeGap is the pause GitHub's best practices ask for between two requests that change something.
	writeGap = time.Second
	// maxRedirects is enough for a renamed owner and a renamed repository.
	maxRedirects = 3
)

// Config says which repository to talk to, as whom, and how to wait. Every field but Transport and UserAgent is required.
type Config struct {
	// BaseURL is the root of the REST API, what runners call GITHUB_API_URL: https://api.github.com or, on an
	// Enterprise Server, https://HOST/api/v3. A trailing slash is optional.
	BaseURL string
	// Token is the GITHUB_TOKEN, an App's installation token or a personal access token. Surrounding blanks are dropped.
	Token string
	// Owner and Repo name the repository.
	Owner, Repo string
	// UserAgent is sent with every request; empty means go-github's own.
	UserAgent string
	// Transport makes the requests; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Wait sleeps for d and returns nil, or returns the context's error once it ends.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is the current time; Retry-After dates and rate limit resets are measured against it.
	Now func() time.Time
}

// Client talks to one repository. Its methods may be called concurrently; their writes are spaced out together.
type Client struct {
	base        *url.URL
	http        *http.Client
	plain       http.RoundTripper // without the token
	owner, repo string
	agent       string
	wait        func(context.Context, time.Duration) error
	now         func() time.Time
	// clean makes text from elsewhere fit for an error. It is a function so that printing a Client shows no token.
	clean func(string) string

	mu        sync.Mutex
	nextWrite time.Time
	parents   map[string]string // the first parents of commits
}

// repoName is what GitHub allows in the name of an owner or a repository.
var repoName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// New checks cfg and returns a Client; nothing is sent. An error says which field is missing or cannot be what it is for; it
// never holds the token.
func New(cfg Config) (*Client, error) {
	base, err := parseBaseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{cfg.Owner, cfg.Repo} {
		if !repoName.MatchString(name) || name == "." || name == ".." {
			return nil, fmt.Errorf("%q is not a GitHub repository: want owner and name", cfg.Owner+"/"+cfg.Repo)
		}
	}
	token := strings.TrimSpace(cfg.Token)
	if token == "" {
		return nil, errors.New("no GitHub token: pass one, in a workflow ${{ github.token }}")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the GitHub token holds blanks or control characters: check the secret it comes from")
	}
	if cfg.Wait == nil || cfg.Now == nil {
		return nil, errors.New("github.Config needs Wait and Now")
	}
	next := cfg.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	return &Client{
		base: base,
		http: &http.Client{
			Transport:     &transport{host: base, token: token, limit: maxAnswer, next: next},
			CheckRedirect: checkRedirect,
			Timeout:       requestTimeout,
		},
		plain: next,
		owner: cfg.Owner, repo: cfg.Repo, agent: cfg.UserAgent,
		wait: cfg.Wait, now: cfg.Now,
		clean: func(s string) string { return cleanText(s, token) },
	}, nil
}

func parseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	// The text is not repeated: a URL that does not parse may hold a password.
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("the GitHub API URL is not an http or https URL: want what GITHUB_API_URL holds, like https://api.github.com")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the GitHub API URL of %s has a user name, a query or a fragment: want scheme, host and path alone", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	u.RawPath = ""
	return u, nil
}

// Repository returns the owner and the name of the repository.
func (c *Client) Repository() (owner, repo string) { return c.owner, c.repo }

// Now is the time by the clock of the Config.
func (c *Client) Now() time.Time { return c.now() }

// Wait sleeps for d, or returns the context's error once it ends.
func (c *Client) Wait(ctx context.Context, d time.Duration) error { return c.wait(ctx, d) }

// GraphQL is the path of the GraphQL endpoint for a request of API: on an Enterprise Server it is not below the root of REST.
func (c *Client) GraphQL() string {
	if prefix, ok := strings.CutSuffix(c.base.Path, "api/v3/"); ok {
		return prefix + "api/graphql"
	}
	return "graphql"
}

// IsCommit reports whether s is a full commit id in lower-case hex, of SHA-1 or SHA-256.
func IsCommit(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// API returns a fresh go-github client. A kept one would refuse to send anything until the wall clock passes the rate limit
// it saw last; here waiting is this package's job, done with the injected clock.
func (c *Client) API() *github.Client {
	gh := github.NewClient(c.http)
	gh.BaseURL = c.base
	if c.agent != "" {
		gh.UserAgent = c.agent
	}
	return gh
}

// Pace waits until a write is due. It returns the context's error once that ends.
func (c *Client) Pace(ctx context.Context) error {
	c.mu.Lock()
	now := c.now()
	at := c.nextWrite
	if at.Before(now) {
		at = now
	}
	c.nextWrite = at.Add(writeGap)
	c.mu.Unlock()
	if d := at.Sub(now); d > 0 {
		return c.wait(ctx, d)
	}
	return nil
}

// checkRedirect follows what a renamed repository answers and nothing else: another host would be shown the request, and a
// write turned into a read would look like a success.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || req.Method != first.Method || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}
