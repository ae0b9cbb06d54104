package ghcomment

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestMergeParent(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/api/v3"} {
		f := newFake(t, prefix)
		f.commits[shaA] = []string{shaB, shaC}
		f.commits[shaB] = []string{shaC}
		f.commits[shaC] = nil
		f.commits[strings.Repeat("d", 40)] = []string{"--upload-pack=x", shaA}
		c, _ := f.client()
		for sha, want := range map[string]string{shaA: shaB, shaB: "", shaC: ""} {
			if got, err := c.MergeParent(context.Background(), sha); err != nil || got != want {
				t.Errorf("MergeParent(%.4s) = %q, %v; want %q", sha, got, err, want)
			}
		}
		for _, sha := range []string{"", "main", "../../../user", strings.Repeat("A", 40), strings.Repeat("d", 40), strings.Repeat("e", 40)} {
			if got, err := c.MergeParent(context.Background(), sha); err == nil || got != "" {
				t.Errorf("MergeParent(%q) = %q without an error", sha, got)
			}
		}
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	f.bases[shaA+"..."+shaB] = shaC
	f.bases[shaB+"..."+shaC] = ""
	f.script = []reply{{method: "GET", path: "/compare", status: 502}}
	c, clk := f.client()
	if got, err := c.MergeBase(context.Background(), shaA, shaB); err != nil || got != shaC {
		t.Errorf("MergeBase = %q, %v; want %s", got, err, shaC)
	}
	if len(clk.waits) != 1 {
		t.Errorf("waits %v after one 502", clk.waits)
	}
	for _, pair := range [][2]string{{"main", shaB}, {shaA, "x...y"}, {shaB, shaA}, {shaB, shaC}} {
		if got, err := c.MergeBase(context.Background(), pair[0], pair[1]); err == nil || got != "" {
			t.Errorf("MergeBase(%q, %q) = %q without an error", pair[0], pair[1], got)
		}
	}
}

func TestBaseCommitWithoutPermission(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	no := reply{method: "GET", status: 403, body: `{"message":"Resource not accessible by integration"}`,
		header: map[string]string{"X-Accepted-GitHub-Permissions": "contents=read"}}
	f.script = []reply{no, no}
	c, _ := f.client()
	_, err1 := c.MergeParent(context.Background(), shaA)
	_, err2 := c.MergeBase(context.Background(), shaA, shaB)
	for _, err := range []error{err1, err2} {
		var forbidden *ForbiddenError
		if !errors.As(err, &forbidden) || forbidden.YAML() != "permissions:\n  contents: read\n" {
			t.Errorf("error %v, want one that names contents: read", err)
		}
	}
}
