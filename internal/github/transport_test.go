package github

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const canary = "ghs_canaryCANARYcanary0123456789abcdef"

var start = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

func testClient(t *testing.T) *Client {
	t.Helper()
	c, err := New(Config{
		BaseURL: "https://ghes.example/api/v3", Token: canary, Owner: "o", Repo: "r", UserAgent: "image-budget/1.2.3",
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }, Now: func() time.Time { return start },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTokenGoesToOneHost(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	tr := &transport{host: c.base, token: canary, limit: maxAnswer, next: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") != "" {
			t.Error("another host was sent the token")
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})}
	req, _ := http.NewRequest("GET", "https://other.example/", nil)
	if _, err := tr.RoundTrip(req); err != nil {
		t.Error(err)
	}

	req, _ = http.NewRequest("GET", c.base.String(), nil)
	tr.next = roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})
	resp, err := tr.RoundTrip(req)
	if err != nil || resp.Request.Header.Get("Authorization") != "" {
		t.Errorf("the response hands the token back (%v)", err)
	}
}

func TestNoErrorOfNewHoldsTheToken(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{BaseURL: "https://user:" + canary + "@example.com", Token: canary, Owner: "o", Repo: "r"},
		{BaseURL: "https://example.com", Token: canary + "\n" + canary, Owner: "o", Repo: "r"},
	} {
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), canary[:8]) {
			t.Errorf("%v", err)
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{0, 9, 10, 11, 5000} {
		b := &boundedBody{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", int(size)))), left: 10}
		got, err := io.ReadAll(b)
		if size <= 10 && (err != nil || int64(len(got)) != size) || size > 10 && (!errors.Is(err, errAnswerTooLarge) || len(got) != 10) {
			t.Errorf("%d of at most 10 bytes: read %d, error %v", size, len(got), err)
		}
	}
}
