package baseline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/baseline/baselinetest"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// shelf is a registry in memory that counts what it is asked for and lets a test
// answer in its place.
type shelf struct {
	host string
	next http.Handler

	mu     sync.Mutex
	asked  []string
	answer func(w http.ResponseWriter, r *http.Request, n int) bool
}

func newShelf(t testing.TB) *shelf {
	s := &shelf{next: ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))}
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	s.host = strings.TrimPrefix(srv.URL, "http://")
	return s
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Every upload has a path of its own, which is nothing to count by.
	path, _, _ := strings.Cut(r.URL.Path, "/blobs/uploads/")
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+path)
	n := 0
	for _, a := range s.asked {
		if a == r.Method+" "+path {
			n++
		}
	}
	answer := s.answer
	s.mu.Unlock()
	if answer != nil && answer(w, r, n) {
		return
	}
	s.next.ServeHTTP(w, r)
}

// answers sets what a test answers in the place of the registry, and forgets
// what was asked.
func (s *shelf) answers(answer func(w http.ResponseWriter, r *http.Request, n int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.answer = nil, answer
}

func (s *shelf) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// in opens a store in the registry at host, which is asked again at once.
func in(t testing.TB, host, repository string, more ...func(*baseline.Options)) baseline.Store {
	t.Helper()
	opt := baseline.Options{
		Registries: source.New(source.Config{Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}),
		Now:        time.Now,
	}
	for _, change := range more {
		change(&opt)
	}
	s, err := baseline.Open("registry:"+host+"/"+repository, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	baselinetest.Test(t, func() baseline.Store { return in(t, s.host, "acme/size") })
	// A prefix makes another place of the same repository.
	baselinetest.Test(t, func() baseline.Store { return in(t, s.host, "acme/size:on-pr") })
}

// realRegistry is that of the test bench, and a repository that is empty.
func realRegistry(t *testing.T) (host, repository string) {
	t.Helper()
	host = bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY")
	return host, fmt.Sprintf("ib/baseline/%s-%d", strings.ToLower(strings.Trim(regexp.MustCompile(`[^A-Za-z]+`).ReplaceAllString(t.Name(), "-"), "-")), time.Now().UnixNano())
}

func TestRealRegistry(t *testing.T) {
	t.Parallel()
	host, repository := realRegistry(t)
	// With real waits: what a registry on a disk cannot do this moment, it can do
	// the next.
	patient := func(o *baseline.Options) { o.Registries = source.New(source.Config{}) }
	baselinetest.Test(t, func() baseline.Store { return in(t, host, repository, patient) })
	commits(t, host, repository+"-commits", patient)
}

func TestRegistryCommits(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	commits(t, s.host, "acme/size")
	commits(t, s.host, "acme/size:on-pr")
}

func commits(t *testing.T, host, repository string, more ...func(*baseline.Options)) {
	baselinetest.Commits(t, func(change func(*baseline.Options)) baseline.Store {
		return in(t, host, repository, append(slices.Clone(more), change)...)
	})
}

// What a pull request costs: the ping, the tags, one manifest, one snapshot, and
// each index that is there; nothing for a layer that has none.
func TestRegistryRequests(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for _, e := range []baseline.Entry{baselinetest.Entry("web", baselinetest.Commit(1), 1000, "base", "app"), baselinetest.Entry("api", baselinetest.Commit(1), 1000, "other")} {
		if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	s.answers(nil)
	store := in(t, s.host, "a").(baseline.LayerStore)
	if _, err := store.Load(t.Context(), baselinetest.Entry("web", baselinetest.Commit(1), 1).Key); err != nil {
		t.Fatal(err)
	}
	if got := s.requests(); len(got) != 4 || got[0] != "GET /v2/" || got[1] != "GET /v2/a/tags/list" || got[2] != "GET /v2/a/manifests/web.linux-amd64."+baselinetest.Commit(1) {
		t.Errorf("loading took %q", got)
	}
	for layer, want := range map[string]int{"base": 1, "none": 0, "other": 2} {
		s.answers(nil)
		_, err := store.LoadLayer(t.Context(), baselinetest.Digest(layer))
		if got := s.requests(); len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("layer %s took %q, %v", layer, got, err)
		}
	}
}

// A tag that holds something else, whoever put it there, is never compared with.
func TestRegistryBelievesNothing(t *testing.T) {
	t.Parallel()
	key := baselinetest.Entry("web", baselinetest.Commit(1), 1).Key
	tag := "/v2/a/manifests/web.linux-amd64." + baselinetest.Commit(1)
	manifest := func(artifactType, image, commit, mediaType string, size int64, content string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":%q,
			"config":{"mediaType":%q,"digest":%q,"size":2},"annotations":{"image-budget.image":%q,"image-budget.platform":"linux/amd64","image-budget.commit":%q},
			"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`, artifactType, artifactType, baselinetest.Digest("{}"), image, commit, mediaType, baselinetest.Digest(content), size)
	}
	const ours, snapshot = "application/vnd.image-budget.baseline.v1", "application/vnd.image-budget.snapshot.v1+json"
	var other strings.Builder
	if err := footprint.EncodeSnapshot(&other, baselinetest.Image("api", "linux/amd64", 1), footprint.Meta{}); err != nil {
		t.Fatal(err)
	}
	var aged strings.Builder
	if err := footprint.EncodeSnapshot(&aged, baselinetest.Image("web", "linux/amd64", 1), footprint.Meta{Commit: baselinetest.Commit(2)}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ manifest, blob, want string }{
		"an image":               {manifest("application/vnd.oci.image.config.v1+json", "web", baselinetest.Commit(1), snapshot, 1, "x"), "x", "no baseline of image-budget"},
		"not JSON":               {"<html>", "", "not a JSON manifest"},
		"an index":               {`{"schemaVersion":2,"manifests":[]}`, "", "no baseline of image-budget"},
		"no snapshot":            {manifest(ours, "web", baselinetest.Commit(1), "text/plain", 1, "x"), "x", "names no snapshot"},
		"another image":          {manifest(ours, "api", baselinetest.Commit(1), snapshot, 1, "x"), "x", "belongs under another tag"},
		"another commit":         {manifest(ours, "web", baselinetest.Commit(2), snapshot, 1, "x"), "x", "belongs under another tag"},
		"huge":                   {manifest(ours, "web", baselinetest.Commit(1), snapshot, 1<<40, "x"), "x", "more than any image's"},
		"negative":               {manifest(ours, "web", baselinetest.Commit(1), snapshot, -1, "x"), "x", "-1 bytes"},
		"longer than said":       {manifest(ours, "web", baselinetest.Commit(1), snapshot, 1, "xyz"), "xyz", "larger than the 1 bytes"},
		"shorter than said":      {manifest(ours, "web", baselinetest.Commit(1), snapshot, 9, "xyz"), "xyz", "not the JSON|is not JSON"},
		"changed":                {manifest(ours, "web", baselinetest.Commit(1), snapshot, 3, "abc"), "xyz", "was changed or damaged"},
		"huge manifest":          {strings.Repeat(" ", 9<<20), "", "larger than"},
		"snapshot of an image":   {manifest(ours, "web", baselinetest.Commit(1), snapshot, int64(other.Len()), other.String()), other.String(), `that of image "api"`},
		"snapshot of a commit":   {manifest(ours, "web", baselinetest.Commit(1), snapshot, int64(aged.Len()), aged.String()), aged.String(), `that of commit "` + baselinetest.Commit(2)},
		"bad digest in manifest": {strings.Replace(manifest(ours, "web", baselinetest.Commit(1), snapshot, 1, "x"), baselinetest.Digest("x"), "sha512:"+strings.Repeat("0", 128), 1), "x", "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{baselinetest.Entry("web", baselinetest.Commit(1), 1000)}); err != nil {
				t.Fatal(err)
			}
			s.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.URL.Path == tag {
					io.WriteString(w, c.manifest)
					return true
				}
				if strings.Contains(r.URL.Path, "/blobs/") {
					io.WriteString(w, c.blob)
					return true
				}
				return false
			})
			for _, key := range []baseline.Key{key, web} {
				found, err := in(t, s.host, "a").Load(t.Context(), key)
				if err == nil || found != nil || errors.Is(err, baseline.ErrNotFound) || !regexp.MustCompile(c.want).MatchString(err.Error()) || len(err.Error()) > 600 {
					t.Errorf("%v, want %q", err, c.want)
				}
			}
		})
	}
}

// Tags of images that stand in the same repository are neither listed nor pruned.
func TestRegistryLeavesOtherTagsAlone(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for _, tag := range []string{"latest", "1.27-alpine", "v1.2.3", "web.linux-arm64", "layer." + strings.Repeat("0", 64)} {
		send(t, s.host, "/v2/a/manifests/"+tag, "application/vnd.oci.image.manifest.v1+json", `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json"}}`)
	}
	for i := range 3 {
		for _, repository := range []string{"a", "a:size"} {
			if err := in(t, s.host, repository).Save(t.Context(), []baseline.Entry{baselinetest.Entry("web", baselinetest.Commit(i), 1000, "base")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if _, err := in(t, s.host, "a").(baseline.Pruner).Prune(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	for repository, want := range map[string]int{"a": 1, "a:size": 3} {
		listed, err := in(t, s.host, repository).(baseline.Lister).List(t.Context())
		if err != nil || len(listed) != want {
			t.Errorf("%s: %v, %v; want %d", repository, listed, err, want)
		}
	}
	a, err := source.New(source.Config{}).Artifacts(s.host + "/a")
	if err != nil {
		t.Fatal(err)
	}
	tags, err := a.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"latest", "1.27-alpine", "v1.2.3", "web.linux-arm64", "layer." + strings.Repeat("0", 64), "size.web.linux-amd64." + baselinetest.Commit(0)} {
		if !slices.Contains(tags, tag) {
			t.Errorf("%s is gone from %q", tag, tags)
		}
	}
}

func send(t testing.TB, host, path, mediaType, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatal(resp.Status)
	}
}

// Whatever goes wrong, the answer is the right baseline or an error that says
// what to do.
func TestRegistryFaults(t *testing.T) {
	t.Parallel()
	fails := func(status, times int, where string) func(w http.ResponseWriter, r *http.Request, n int) bool {
		return func(w http.ResponseWriter, r *http.Request, n int) bool {
			if !strings.Contains(r.Method+" "+r.URL.Path, where) || n > times {
				return false
			}
			w.WriteHeader(status)
			io.WriteString(w, `{"errors":[{"code":"DENIED","message":"CANARY"}]}`)
			return true
		}
	}
	aborts := func(where string, times int, after int) func(w http.ResponseWriter, r *http.Request, n int) bool {
		return func(w http.ResponseWriter, r *http.Request, n int) bool {
			if !strings.Contains(r.Method+" "+r.URL.Path, where) || n > times {
				return false
			}
			if r.Method == http.MethodGet {
				w.Header().Set("Content-Length", "4000")
				io.WriteString(w, strings.Repeat("{", after))
				w.(http.Flusher).Flush()
			} else {
				_, _ = io.CopyN(io.Discard, r.Body, int64(after))
			}
			panic(http.ErrAbortHandler)
		}
	}
	for name, c := range map[string]struct {
		answer     func(w http.ResponseWriter, r *http.Request, n int) bool
		save, load string // what the error says, "" for none
	}{
		"500 once at every step": {fails(500, 1, "/"), "", ""},
		"429 once at every step": {fails(429, 1, "/"), "", ""},
		"503 for ever":           {fails(503, 1000, "/a/"), "answered 503", "answered 503"},
		"429 for ever":           {fails(429, 1000, "/a/"), "limits how much", "limits how much"},
		"reading is denied":      {fails(403, 1000, "GET /v2/a/"), "", "docker login"},
		"login is wanted":        {fails(401, 1000, "GET /v2/a/"), "", "does not let"},
		"pushing is denied":      {fails(403, 1000, "POST /v2/a/"), "packages: write", ""},
		"pushing wants a login":  {fails(401, 1000, "POST /v2/a/"), "docker login", ""},
		"tags are denied":        {fails(403, 1000, "PUT /v2/a/manifests"), "does not let", ""},
		"blobs are too large":    {fails(413, 1000, "PATCH /v2/a/"), "takes no blob of that size", ""},
		"an upload is cut":       {aborts("PATCH /v2/a/", 2, 10), "", ""},
		"every upload is cut":    {aborts("PATCH /v2/a/", 1000, 10), "the connection", ""},
		"a manifest is cut":      {aborts("PUT /v2/a/manifests", 1, 10), "", ""},
		"a blob is not seen at once": {func(w http.ResponseWriter, r *http.Request, n int) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") || n > 2 {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			return write200(w, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}`)
		}, "", ""},
		"a list is cut":            {aborts("GET /v2/a/tags", 1, 10), "", ""},
		"a snapshot is cut":        {aborts("GET /v2/a/blobs", 2, 10), "", ""},
		"snapshots are always cut": {aborts("GET /v2/a/blobs", 1000, 10), "", "the connection was closed early"},
		"lists are no lists": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return strings.Contains(r.URL.Path, "/tags/") && write200(w, "<html>")
		}, "", "not a registry's"},
		"an upload leads elsewhere": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return leadsTo(w, r, "http://169.254.169.254/x")
		}, "writing to", ""},
		"a page leads elsewhere": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return nextPage(w, r, "http://example.com/v2/a/tags/list?last=x")
		}, "", "not its own"},
		"the same page comes for ever": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return nextPage(w, r, "/v2/a/tags/list?last=x")
		}, "", "no baseline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			e := baselinetest.Entry("web", baselinetest.Commit(1), 1000)
			if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{e}); err != nil {
				t.Fatal(err)
			}
			changed := baselinetest.Entry("web", baselinetest.Commit(2), 2000)
			s.answers(c.answer)
			err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{changed})
			says(t, "saving", err, c.save)
			s.answers(c.answer)
			found, err := in(t, s.host, "a").Load(t.Context(), e.Key)
			says(t, "loading", err, c.load)
			if err == nil && found.Image.Metrics.Final != 1000 {
				t.Errorf("the wrong figure: %d", found.Image.Metrics.Final)
			}
			s.answers(nil)
			found, err = in(t, s.host, "a").Load(t.Context(), changed.Key)
			if (err == nil) != (c.save == "") || err == nil && found.Image.Metrics.Final != 2000 {
				t.Errorf("what was saved reads %+v, %v", found, err)
			}
		})
	}
}

func says(t *testing.T, doing string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", doing, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", doing, err, want)
	case err != nil && strings.Contains(err.Error(), "CANARY"):
		t.Errorf("%s: %v repeats the server's text", doing, err)
	}
}

func write200(w io.Writer, body string) bool {
	io.WriteString(w, body)
	return true
}

func leadsTo(w http.ResponseWriter, r *http.Request, location string) bool {
	if r.Method != http.MethodPost {
		return false
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusAccepted)
	return true
}

func nextPage(w http.ResponseWriter, r *http.Request, link string) bool {
	if !strings.Contains(r.URL.Path, "/tags/") {
		return false
	}
	w.Header().Set("Link", "<"+link+`>; rel="next"`)
	return write200(w, `{"tags":["x"]}`)
}

// A slow registry is waited for, a byte at a time; one that says nothing at all
// holds nobody longer than they want to wait.
func TestRegistrySlow(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	e := baselinetest.Entry("web", baselinetest.Commit(1), 1000, "base")
	s.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		time.Sleep(5 * time.Millisecond)
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		rec := httptest.NewRecorder()
		s.next.ServeHTTP(rec, r)
		for _, b := range rec.Body.Bytes() {
			w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
		return true
	})
	if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{e}); err != nil {
		t.Fatal(err)
	}
	if found, err := in(t, s.host, "a").Load(t.Context(), e.Key); err != nil || found.Image.Metrics.Final != 1000 {
		t.Errorf("%+v, %v", found, err)
	}
	s.answers(func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if strings.HasPrefix(r.URL.Path, "/v2/a/") {
			<-r.Context().Done()
		}
		return false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := in(t, s.host, "a").Load(ctx, e.Key); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("loading from one that hangs: %v", err)
	}
	if err := in(t, s.host, "a").Save(ctx, []baseline.Entry{e}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("saving to one that hangs: %v", err)
	}
}

// A registry that lets nothing be deleted is told apart from one that is broken.
func TestRegistryThatDeletesNothing(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{405: "turn deletion on", 403: "packages: write", 500: "answered 500"} {
		s := newShelf(t)
		for i := range 3 {
			if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{baselinetest.Entry("web", baselinetest.Commit(i), 1000)}); err != nil {
				t.Fatal(err)
			}
		}
		s.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.Method == http.MethodDelete {
				w.WriteHeader(status)
			}
			return r.Method == http.MethodDelete
		})
		removed, err := in(t, s.host, "a").(baseline.Pruner).Prune(t.Context(), 1)
		if removed != 0 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: removed %d, %v", status, removed, err)
		}
	}
}

// All pages are read, and a repository without end is not.
func TestRegistryListsAllPages(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{baselinetest.Entry("web", baselinetest.Commit(1), 1000)}); err != nil {
		t.Fatal(err)
	}
	for pages, want := range map[int]string{19: "", 30: "more than 20000"} {
		s.answers(func(w http.ResponseWriter, r *http.Request, n int) bool {
			if !strings.Contains(r.URL.Path, "/tags/") {
				return false
			}
			if n == pages {
				return write200(w, `{"tags":["web.linux-amd64.`+baselinetest.Commit(1)+`"]}`)
			}
			var tags []string
			for i := range 1000 {
				tags = append(tags, fmt.Sprintf("%q", fmt.Sprintf("t%d-%d", n, i)))
			}
			// Every other page has a link, as some registries send none.
			if n%2 == 0 {
				w.Header().Set("Link", fmt.Sprintf(`</v2/a/tags/list?n=1000&last=t%d-999>; rel="next"`, n))
			}
			return write200(w, `{"tags":[`+strings.Join(tags, ",")+`]}`)
		})
		_, err := in(t, s.host, "a").Load(t.Context(), web)
		says(t, fmt.Sprint(pages, " pages"), err, want)
	}
}

// What is not for the commit asked for is told.
func TestRegistryWithoutACommit(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for i, want := range []string{"holds no baseline", "without a commit alone", "for 1 commit, not for"} {
		if _, err := in(t, s.host, "a").Load(t.Context(), baselinetest.Entry("web", baselinetest.Commit(9), 1).Key); !errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{baselinetest.Entry("web", strings.Repeat(baselinetest.Commit(1), i), 1000)}); err != nil {
			t.Fatal(err)
		}
	}
}

// An index that another version made is replaced, where tags may be changed.
// Of two jobs that measure the same commit the later one counts, and one that
// fails half-way leaves what the other saved.
func TestRegistrySavesACommitTwice(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	save := func(size footprint.Bytes) error {
		return in(t, s.host, "a").Save(t.Context(), []baseline.Entry{baselinetest.Entry("web", baselinetest.Commit(1), size, "base")})
	}
	check := func(want footprint.Bytes) {
		t.Helper()
		found, err := in(t, s.host, "a").Load(t.Context(), baselinetest.Entry("web", baselinetest.Commit(1), 0).Key)
		if err != nil || found.Image.Metrics.Final != want {
			t.Errorf("%+v, %v; want the baseline of %d bytes", found, err, want)
		}
	}
	if err := save(1000); err != nil {
		t.Fatal(err)
	}
	check(1000)
	for _, part := range []string{"/blobs/uploads", "/manifests/web."} {
		s.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
			refused := (r.Method == http.MethodPost || r.Method == http.MethodPut) && strings.Contains(r.URL.Path, part)
			if refused {
				w.WriteHeader(http.StatusForbidden)
			}
			return refused
		})
		if err := save(2000); err == nil {
			t.Errorf("%s was refused, and the baseline saved", part)
		}
		s.answers(nil)
		check(1000)
	}
	if err := save(2000); err != nil {
		t.Fatal(err)
	}
	check(2000)
}

func TestRegistryReplacesStaleIndexes(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	first := baselinetest.Entry("web", baselinetest.Commit(1), 1000, "base", "app")
	if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{first}); err != nil {
		t.Fatal(err)
	}
	for i, fixed := range []bool{true, false} {
		s.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if fixed && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/layer.") {
				w.WriteHeader(http.StatusBadRequest)
				return true
			}
			return false
		})
		store := in(t, s.host, "a").(baseline.LayerStore)
		for _, l := range []string{"base", "app"} {
			if _, err := store.LoadLayer(t.Context(), baselinetest.Digest(l)); err != nil {
				t.Fatal(err)
			}
		}
		second := baselinetest.Entry("web", baselinetest.Commit(2+i), 1000, "base", "app")
		second.Layers[baselinetest.Digest("base")] = []byte("a newer index")
		if err := store.Save(t.Context(), []baseline.Entry{second}); err != nil {
			t.Fatal(err)
		}
		pushed := 0
		for _, r := range s.requests() {
			if strings.HasPrefix(r, "PUT /v2/a/manifests/layer.") {
				pushed++
			}
		}
		if pushed != 1 {
			t.Errorf("pushed %d tags of layers, want that of the newer one", pushed)
		}
		data, err := in(t, s.host, "a").(baseline.LayerStore).LoadLayer(t.Context(), baselinetest.Digest("base"))
		if err != nil || (string(data) == "a newer index") == fixed {
			t.Errorf("%q, %v", data, err)
		}
		// The baseline that has it names it in either case.
		loaded := in(t, s.host, "a").(baseline.LayerStore)
		if _, err := loaded.Load(t.Context(), second.Key); err != nil {
			t.Fatal(err)
		}
		if data, err := loaded.LoadLayer(t.Context(), baselinetest.Digest("base")); err != nil || string(data) != "a newer index" {
			t.Errorf("%q, %v", data, err)
		}
	}
}

// One save of many images, several of which are the same.
func TestRegistrySavesManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var entries []baseline.Entry
	for i := range 60 {
		entries = append(entries, baselinetest.Entry(fmt.Sprint("image", i%50), baselinetest.Commit(1), footprint.Bytes(1000+i), "base", fmt.Sprint("own", i)))
	}
	if err := in(t, s.host, "a").Save(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	store := in(t, s.host, "a").(baseline.LayerStore)
	for i := range 50 {
		want := footprint.Bytes(1000 + i)
		if i < 10 {
			want += 50
		}
		found, err := store.Load(t.Context(), baselinetest.Entry(fmt.Sprint("image", i), baselinetest.Commit(1), 1).Key)
		if err != nil || found.Image.Metrics.Final != want {
			t.Errorf("image%d: %v, %v", i, found, err)
		}
	}
	if data, err := store.LoadLayer(t.Context(), baselinetest.Digest("own49")); err != nil || string(data) != "index of own49" {
		t.Errorf("%q, %v", data, err)
	}
}

// What an index says is the scanner's to check; that it is the one asked for is
// checked here.
func TestRegistryLayersAreTheirOwn(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := in(t, s.host, "a").Save(t.Context(), []baseline.Entry{baselinetest.Entry("web", baselinetest.Commit(1), 1000, "base", "app")}); err != nil {
		t.Fatal(err)
	}
	tagOf := func(l string) string {
		return "/v2/a/manifests/layer." + strings.TrimPrefix(baselinetest.Digest(l), "sha256:")
	}
	s.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == tagOf("base") {
			r.URL.Path = tagOf("app")
		}
		return false
	})
	if data, err := in(t, s.host, "a").(baseline.LayerStore).LoadLayer(t.Context(), baselinetest.Digest("base")); err == nil || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "no index of layer") {
		t.Errorf("%q, %v", data, err)
	}
}

// TestRegistryThatIsDown is asked until it is given up, and not once more for
// each image of a run.
func TestRegistryThatIsDown(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	store := in(t, s.host, "down")
	_, first := store.Load(t.Context(), baseline.Key{Image: "web", Platform: "linux/amd64"})
	asked := len(s.requests())
	for i := range 5 {
		_, err := store.Load(t.Context(), baseline.Key{Image: fmt.Sprint("api", i), Platform: "linux/amd64"})
		if err == nil || errors.Is(err, baseline.ErrNotFound) || err.Error() != first.Error() {
			t.Errorf("%v, then %v", first, err)
		}
	}
	if more := len(s.requests()); asked == 0 || more != asked {
		t.Errorf("%d requests, then %d", asked, more)
	}
}
