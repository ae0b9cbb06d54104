package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-github/v62/github"
)

const (
	// maxTries and maxWait bound one operation with all its requests together.
	maxTries = 4
	maxWait  = 3 * time.Minute
	// limitedWait is what GitHub's documentation asks for when a secondary rate limit names no time.
	limitedWait = time.Minute
	// maxMessage bounds the text of a server in an error, in runes.
	maxMessage = 300
)

// Error is a request that failed. It does not wrap go-github's error, which holds the whole exchange; of what it was caused by
// only the end of the caller's own context can be asked for.
type Error struct {
	// Status is that of the answer, 0 when there was none, and Header its header.
	Status int
	Header http.Header
	// Message is what the server said, clean and short, and Hint what may be done about it; either can be "".
	Message, Hint string
	// Again says that trying again can help.
	Again bool

	doing   string
	limited bool
	cause   error
}

// Error is one line; it never holds the token.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.doing)
	b.WriteString(": ")
	if e.Status != 0 {
		fmt.Fprintf(&b, "GitHub answered %d", e.Status)
		if e.Message != "" {
			b.WriteString(" ")
		}
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Unwrap returns the error of the caller's context if that was the cause, else nil.
func (e *Error) Unwrap() error { return e.cause }

// Failed describes what went wrong with a request made for ctx; doing says in words what was being done.
func (c *Client) Failed(ctx context.Context, doing string, resp *github.Response, err error) *Error {
	e := &Error{doing: doing}
	if end := ctx.Err(); end != nil {
		e.cause, e.Message = end, end.Error()
		return e
	}
	if resp == nil || resp.Response == nil {
		e.Message, e.Again = c.clean(err.Error()), true
		return e
	}
	e.Status, e.Header = resp.StatusCode, resp.Header
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		// Cut off on the way, or not JSON. A wait may help unless it is simply too much.
		e.Message, e.Again = "but the answer cannot be read: "+c.clean(err.Error()), !errors.Is(err, errAnswerTooLarge)
		return e
	}
	said := serverSaid(err)
	e.Message = c.clean(said.Message)
	e.limited = limited(resp.StatusCode, resp.Header, said)
	e.Again = e.limited || resp.StatusCode >= 500
	switch {
	case e.limited:
		e.Hint = "the rate limit of the token or of the repository is used up"
	case resp.StatusCode == http.StatusUnauthorized:
		e.Hint = "the token is not valid here or has expired"
	}
	return e
}

// serverSaid returns the parsed body of a failed request, whichever type go-github gave it.
func serverSaid(err error) *github.ErrorResponse {
	var (
		plain     *github.ErrorResponse
		primary   *github.RateLimitError
		secondary *github.AbuseRateLimitError
		otp       *github.TwoFactorAuthError
	)
	switch {
	case errors.As(err, &plain):
		return plain
	case errors.As(err, &primary):
		return &github.ErrorResponse{Message: primary.Message}
	case errors.As(err, &secondary):
		return &github.ErrorResponse{Message: secondary.Message, DocumentationURL: "secondary-rate-limits"}
	case errors.As(err, &otp):
		return (*github.ErrorResponse)(otp)
	}
	return &github.ErrorResponse{}
}

// limited reports whether an answer is a rate limit. go-github sees only some of the 403s; GitHub also uses 429 and, for
// comments posted in a row, 422 with the code "abuse".
func limited(status int, header http.Header, said *github.ErrorResponse) bool {
	text := strings.ToLower(said.Message + " " + said.DocumentationURL)
	switch status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return header.Get("X-RateLimit-Remaining") == "0" || header.Get("Retry-After") != "" ||
			strings.Contains(text, "rate limit") || strings.Contains(text, "rate-limit") || strings.Contains(text, "abuse")
	case http.StatusUnprocessableEntity:
		for _, e := range said.Errors {
			if e.Code == "abuse" || strings.Contains(strings.ToLower(e.Message), "submitted too quickly") {
				return true
			}
		}
		return strings.Contains(text, "rate limit") || strings.Contains(text, "submitted too quickly")
	}
	return false
}

// delay is how long to wait before the next try, at least a second.
func (e *Error) delay(now time.Time, failures int) time.Duration {
	d := time.Second << failures
	if e.limited {
		d = limitedWait
	}
	if after, ok := retryAfter(e.Header.Get("Retry-After"), now); ok {
		d = after
	} else if e.limited && e.Header.Get("X-RateLimit-Remaining") == "0" {
		if reset, err := strconv.ParseInt(e.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			// The reset is a whole second; the next one is surely past it.
			d = time.Unix(reset, 0).Sub(now) + time.Second
		}
	}
	return max(d, time.Second)
}

// retryAfter reads either form of the header: seconds or an HTTP date.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now), true
	}
	return 0, false
}

// Tries counts the tries and the waiting of one operation.
type Tries struct {
	c        *Client
	failures int
	waited   time.Duration
}

// Try begins an operation, which may take several requests.
func (c *Client) Try() *Tries { return &Tries{c: c} }

// Pause waits after a failure that another try can mend and returns nil; otherwise it returns the error to report.
func (t *Tries) Pause(ctx context.Context, e *Error) error {
	if !e.Again {
		return e
	}
	if err := t.Count(e); err != nil {
		return err
	}
	d := e.delay(t.c.now(), t.failures-1)
	if d > maxWait-t.waited {
		e.Hint = joinHints(e.Hint, fmt.Sprintf("the next try is due in %s, but this tool waits %s at most: run the job again later", d, maxWait))
		return e
	}
	t.waited += d
	if err := t.c.wait(ctx, d); err != nil {
		return fmt.Errorf("waiting to try again (%s): %w", e.Error(), err)
	}
	return nil
}

// Count notes a failure and returns it as the error to report when it was the last that is put up with.
func (t *Tries) Count(e *Error) error {
	t.failures++
	if t.failures < maxTries {
		return nil
	}
	e.Hint = joinHints(e.Hint, fmt.Sprintf("gave up after %d tries", maxTries))
	return e
}

func joinHints(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// Repeat makes a request that can be made twice with the effect of once, again where that can help. The error is an *Error, or
// says that ctx ended.
func (t *Tries) Repeat(ctx context.Context, doing string, do func() (*github.Response, error)) error {
	for {
		resp, err := do()
		if err == nil {
			return nil
		}
		if err := t.Pause(ctx, t.c.Failed(ctx, doing, resp, err)); err != nil {
			return err
		}
	}
}

// Refusal returns the answer behind err if it is GitHub's last word: not a limit, not an outage, not the end of the context.
// Otherwise it returns nil.
func Refusal(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Status != 0 && !e.Again {
		return e
	}
	return nil
}

// cleanText makes text that others wrote fit for one line of a log: without the token, without control or invisible
// characters, and short. The token goes first, or cutting could leave the beginning of it.
func cleanText(s, token string) string {
	s = strings.ReplaceAll(s, token, "[token]")
	s = strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > maxMessage {
		s = string(runes[:maxMessage]) + "…"
	}
	return strings.TrimSpace(s)
}
