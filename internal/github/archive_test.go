package github_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/internal/githubtest"
)

// TestArchive: the fake complains about a token at the other host.
func TestArchive(t *testing.T) {
	t.Parallel()
	s, c := server(t, "")
	commit := s.Commit()
	s.SetArchive(commit, []byte("sources"))
	r, err := c.Archive(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); err != nil || string(data) != "sources" {
		t.Errorf("%q, %v", data, err)
	}
	// An outage of either host is survived.
	s.Answer(githubtest.Reply{Method: http.MethodGet, Path: "/tarball/", Status: 502, Body: "{}"})
	if r, err := c.Archive(t.Context(), commit); err != nil {
		t.Error(err)
	} else {
		r.Close()
	}
	if _, err := c.Archive(t.Context(), strings.Repeat("0", 40)); !errors.Is(err, github.ErrUnknown) {
		t.Errorf("no such commit: %v", err)
	}
	if _, err := c.Archive(t.Context(), "main"); err == nil {
		t.Error("a branch is no commit")
	}
	s.Answer(githubtest.Reply{Method: http.MethodGet, Path: "/tarball/", Status: 302, Header: map[string]string{"Location": "http://codeload.github.test/archives/x?token=archive"}})
	if _, err := c.Archive(t.Context(), commit); err == nil || strings.Contains(err.Error(), "token=") || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("an address without TLS: %v", err)
	}
}
