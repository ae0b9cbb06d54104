package source

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// maxTries and maxWait bound what one request or one layer may take in
	// failures: a registry that is down for longer is worth an error.
	maxTries  = 5
	maxWait   = 2 * time.Minute
	firstWait = time.Second
)

type waiter func(context.Context, time.Duration) error

// budget counts the tries at one thing, over every request made for it.
type budget struct {
	mu     sync.Mutex
	failed int
	waited time.Duration
	asked  time.Duration // by the answer to a request that was not repeated
}

func newBudget() *budget { return &budget{} }

// again waits for the next try, and reports false when there is none: the tries
// are used up, the wait asked for is too long, or ctx has ended.
func (b *budget) again(ctx context.Context, wait waiter, asked time.Duration) bool {
	b.mu.Lock()
	b.failed++
	d := firstWait << (b.failed - 1)
	if asked = cmp.Or(asked, b.asked); asked > 0 {
		d = asked
	}
	b.asked = 0
	ok := b.failed < maxTries && b.waited+d <= maxWait
	if ok {
		b.waited += d
	}
	b.mu.Unlock()
	return ok && wait(ctx, d) == nil && ctx.Err() == nil
}

type budgetKey struct{}

// withBudget makes requests with the returned context share b.
func withBudget(ctx context.Context, b *budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

// retrying repeats requests that failed in a way that passes by itself.
type retrying struct {
	base http.RoundTripper
	wait waiter
}

func (t *retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	b, ok := ctx.Value(budgetKey{}).(*budget)
	if !ok {
		b = newBudget()
	}
	for {
		resp, err := t.base.RoundTrip(req)
		if ctx.Err() != nil || !passing(resp, err) {
			return resp, err
		}
		next, ok := rewound(req)
		if !ok {
			b.ask(retryAfter(resp))
			return resp, err
		}
		if !b.again(ctx, t.wait, retryAfter(resp)) {
			return resp, err
		}
		if resp != nil {
			// A little is read so that the connection can be used again.
			_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
			resp.Body.Close()
		}
		req = next
	}
}

// ask notes how long the next try is to wait.
func (b *budget) ask(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = d
}

// rewound returns a request that can be sent again. A part of an upload is none:
// how much of it has arrived is not known, so the upload begins anew.
func rewound(req *http.Request) (*http.Request, bool) {
	if req.Method == http.MethodPatch {
		return nil, false
	}
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	next := req.Clone(req.Context())
	next.Body = body
	return next, true
}

func passing(resp *http.Response, err error) bool {
	if err != nil {
		return passingError(err)
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// passingError reports whether a connection failed as connections do now and
// then. An unknown host or an unknown certificate stays unknown.
func passingError(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound && (dns.IsTemporary || dns.IsTimeout)
	}
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return true
	}
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// retryAfter returns how long a response asks to wait; 0 when it does not say.
// A date is taken relative to the response's own, which needs no clock here.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	s := resp.Header.Get("Retry-After")
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		// Beyond any wait that is granted the exact number does not matter.
		return time.Duration(min(max(n, 0), int64(24*time.Hour/time.Second))) * time.Second
	}
	until, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(until.Sub(now), 0)
}
