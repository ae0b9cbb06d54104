package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/org/image-budget/internal/githubtest"
)

// The sizes that a store has of earlier commits are in every report, for few
// requests, and no verdict waits for them.
func TestTheSizesOfEarlierCommits(t *testing.T) {
	t.Parallel()
	var refuses atomic.Bool
	var manifests atomic.Int64
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/web.") {
			if n := manifests.Add(1); refuses.Load() && n > 1 { // the first is that of the baseline
				w.WriteHeader(http.StatusForbidden)
				return
			}
		}
		images.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	sized := func(n int) string {
		return inLayout(t, image(t, layer{"RUN base", map[string]string{"a": strings.Repeat("x", n)}}))
	}
	for _, store := range []string{"branch:sizes", "registry:" + strings.TrimPrefix(srv.URL, "http://") + "/acme/sizes"} {
		h := newHistory(t)
		pr := h.step(t, "pull_request", h.merge, event(t, "pull_request", h.p1, h.c[5]))
		check := func(ref, format string) result {
			t.Helper()
			r := invoke(t, pr, "check", "--baseline", store, "--format", format, "web="+ref)
			r.want(t, ExitOK)
			return r
		}
		for i, n := range []int{100_000, 0, 120_000, 120_000, 0, 150_000} { // of c1 and c4 there is none
			if n == 0 {
				continue
			}
			env := h.step(t, "workflow_dispatch", h.c[i], event(t, "workflow_dispatch", "", ""))
			invoke(t, env, "baseline", "save", "--baseline", store, "--commit", h.c[i], "web="+sized(n)).want(t, ExitOK)
		}
		h.Requests()
		manifests.Store(0)
		now := sized(180_000)
		var doc struct {
			Images []struct {
				History []struct {
					Commit                      string
					Compressed, Unpacked, Final *int64
				}
			}
		}
		if r := check(now, "json"); json.Unmarshal([]byte(r.stdout), &doc) != nil || len(doc.Images) != 1 {
			t.Fatal(r.stdout)
		}
		got := ""
		for _, p := range doc.Images[0].History {
			if p.Compressed == nil || p.Unpacked == nil || p.Final == nil {
				t.Errorf("%s: a figure is missing: %+v", store, p)
				continue
			}
			got += fmt.Sprintf("%.7s %d %d\n", p.Commit, *p.Unpacked, *p.Final)
		}
		want := ""
		for _, p := range []struct{ commit, bytes int }{{0, 100_000}, {2, 120_000}, {3, 120_000}, {5, 150_000}} {
			want += fmt.Sprintf("%.7s %d %d\n", h.c[p.commit], p.bytes, p.bytes)
		}
		if got != want {
			t.Errorf("%s: the history is\n%swant\n%s", store, got, want)
		}
		lists, blobs := 0, 0
		for _, r := range h.Requests() {
			if r == "GET /commits" {
				lists++
			}
			if strings.Contains(r, "/git/blobs/") {
				blobs++
			}
		}
		// That of the baseline, and three more.
		if n := manifests.Load(); lists != 1 || blobs > 1 || n > 5 {
			t.Errorf("%s: it took %d lists of commits, %d blobs and %d manifests", store, lists, blobs, n)
		}

		text := strings.Join(strings.Fields(check(now, "terminal").stdout), " ")
		if !strings.Contains(text, " over 5 commits ▁") {
			t.Errorf("%s: no line about the history:\n%s", store, text)
		}
		if md := check(now, "markdown").stdout; !strings.Contains(md, "xychart-beta\n") || !strings.Contains(md, " over 5 commits ▁") {
			t.Errorf("%s: no chart:\n%s", store, md)
		}

		// A listing that fails costs the picture.
		if strings.HasPrefix(store, "branch:") {
			h.Before = func(r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/acme/web/commits") {
					h.Answer(githubtest.Reply{Method: "GET", Path: "/commits", Status: 403, Body: `{"message":"Resource not accessible by integration"}`})
				}
			}
		}
		refuses.Store(true)
		manifests.Store(0)
		r := check(now, "json")
		doc.Images = nil
		if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || len(doc.Images[0].History) != 0 || !strings.Contains(r.stdout, "the sizes of earlier commits are not shown: ") {
			t.Errorf("%s: %v\n%s", store, err, r.stdout)
		}
		if status, _, _ := baselineOf(t, r); status != "found" {
			t.Errorf("%s: the baseline is %s", store, status)
		}
		refuses.Store(false)
	}
}

// Where no commits are kept there is no history, and nothing is asked for one.
func TestAFileHasNoHistory(t *testing.T) {
	t.Parallel()
	ref := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": "x"}}))
	store := "file:" + filepath.Join(t.TempDir(), "sizes.json")
	invoke(t, nil, "baseline", "save", "--baseline", store, "--commit", strings.Repeat("a", 40), "web="+ref).want(t, ExitOK)
	r := invoke(t, nil, "check", "--baseline", store, "--format", "json", "web="+ref)
	r.want(t, ExitOK, `"history": []`)
	if strings.Contains(r.stdout, "not shown") {
		t.Error(r.stdout)
	}
}

func TestTheCostOfAnImageIsReckoned(t *testing.T) {
	t.Parallel()
	ref := inLayout(t, image(t, layer{"RUN base", map[string]string{"a": strings.Repeat("x", 1000)}}))
	config := filepath.Join(t.TempDir(), "budget.yml")
	for name, c := range map[string]struct{ cost, want string }{
		"by default":   {"", " s at an assumed 100 Mbit/s"},
		"for all":      {"cost: {bandwidth: 1Gbit/s, hosts: 40, deploys-per-day: 0.5}\n", " s at 1 Gbit/s; 40 hosts × 0.5 deploys a day move "},
		"of one alone": {"cost: {bandwidth: 1Gbit/s}\n", " s at 1 Gbit/s"},
	} {
		must(t, os.WriteFile(config, []byte("version: 1\n"+c.cost+"images: {web: {image: \""+ref+"\", limits: {compressed: {max: 1MB}}}}\n"), 0o644))
		r := invoke(t, nil, "check", "--config", config)
		r.want(t, ExitOK)
		if text := strings.Join(strings.Fields(r.stdout), " "); !strings.Contains(text, "a cold pull takes ") || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
