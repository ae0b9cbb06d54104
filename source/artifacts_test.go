package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
)

func artifactsAt(t testing.TB, repository string, cfg Config) *Artifacts {
	t.Helper()
	if cfg.Wait == nil {
		cfg.Wait = new(noWait).wait
	}
	a, err := New(cfg).Artifacts(repository)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	host, _ := gated(t, nil)
	a := artifactsAt(t, host+"/notes", Config{})
	if _, err := a.Tags(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("no repository: %v", err)
	}
	b, err := a.Upload(t.Context(), "text/plain", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	b.Annotations = map[string]string{"of": "blob"}
	want := Artifact{Type: "application/vnd.test.note", Annotations: map[string]string{"of": "manifest"}, Blobs: []Blob{b}}
	for _, tag := range []string{"b", "a"} {
		if err := a.Push(t.Context(), tag, want); err != nil {
			t.Fatal(err)
		}
	}
	tags, err := a.Tags(t.Context())
	if diff := cmp.Diff([]string{"a", "b"}, tags); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err := a.Fetch(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	want.Digest = got.Digest
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
	if data, err := a.Blob(t.Context(), got.Blobs[0]); string(data) != "hello" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if again, err := a.Fetch(t.Context(), got.Digest); err != nil || again.Digest != got.Digest {
		t.Errorf("by digest: %v, %v", again, err)
	}
	if err := a.Delete(t.Context(), got.Digest); err != nil {
		t.Error(err)
	}
	if _, err := a.Fetch(t.Context(), got.Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	// To an image's reader it is no image.
	if _, err := New(Config{}).Open(t.Context(), host+"/notes:b"); err == nil || !strings.Contains(err.Error(), "not a container image") {
		t.Errorf("opened as an image: %v", err)
	}
	if err := a.Push(t.Context(), "no tag", want); err == nil {
		t.Error("pushed without a tag")
	}
	for _, name := range []string{"", "UPPER/case", "a b", "host/x:tag", "host/x@sha256:" + strings.Repeat("0", 64)} {
		if _, err := New(Config{}).Artifacts(name); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Whoever may only read, as in a pull request from a fork, is never asked for
// leave to write in order to read.
func TestArtifactsAskForTheLeaveTheyNeed(t *testing.T) {
	t.Parallel()
	var scopes []string
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == "/token" {
			scope := r.URL.Query().Get("scope")
			scopes = append(scopes, scope)
			if strings.Contains(scope, "push") {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"errors":[{"code":"DENIED","message":"CANARY"}]}`)
				return true
			}
		}
		return bearer(w, r, "me", "pass", "tok")
	})
	a := artifactsAt(t, host+"/notes", Config{Keychain: Keychain(KeychainOptions{Explicit: []Login{{host, "me", "pass"}}, Docker: authn.NewMultiKeychain()})})
	putManifest(t, host, "notes", "x", "application/vnd.oci.image.manifest.v1+json", []byte(`{"schemaVersion":2,"config":{"mediaType":"a/b"},"layers":[]}`))
	if _, err := a.Tags(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := a.Fetch(t.Context(), "x"); err != nil || got.Type != "a/b" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := a.Upload(t.Context(), "a/b", []byte("x"))
	if err == nil || !strings.Contains(err.Error(), "does not let "+host+"/notes be written (403 DENIED)") || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("writing: %v", err)
	}
	if err := a.Delete(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "be written") {
		t.Errorf("deleting: %v", err)
	}
	want := []string{"repository:notes:pull", "repository:notes:push,pull", "repository:notes:push,pull,delete"}
	if diff := cmp.Diff(want, scopes); diff != "" {
		t.Error(diff)
	}
}

// What has come of an upload that broke is not known, so it begins anew, when
// the registry wants it to.
func TestBrokenUploadBeginsAnew(t *testing.T) {
	t.Parallel()
	patches := 0
	host, g := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		patches++
		switch patches {
		case 1:
			_, _ = io.CopyN(io.Discard, r.Body, 100)
			panic(http.ErrAbortHandler)
		case 2:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		case 3:
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`)
			return true
		}
		return false
	})
	var w noWait
	a := artifactsAt(t, host+"/notes", Config{Wait: w.wait})
	content := strings.Repeat("x", 1<<20)
	b, err := a.Upload(t.Context(), "text/plain", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := a.Blob(t.Context(), b); string(data) != content || err != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if diff := cmp.Diff([]time.Duration{time.Second, 7 * time.Second, 4 * time.Second}, w.waits); diff != "" {
		t.Error(diff)
	}
	begun := 0
	for _, s := range g.requests() {
		if s == "POST /v2/notes/blobs/uploads/" {
			begun++
		}
	}
	if begun != 4 {
		t.Errorf("begun %d times", begun)
	}
	// What is there is not uploaded again.
	if _, err := a.Upload(t.Context(), "text/plain", []byte(content)); err != nil || patches != 4 {
		t.Errorf("%d parts, %v", patches, err)
	}
}

func TestStalledUpload(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPatch {
			<-release
			return true
		}
		return false
	})
	a := artifactsAt(t, host+"/notes", Config{})
	repo, err := a.login(t.Context(), "push,pull")
	if err != nil {
		t.Fatal(err)
	}
	repo.stall = 50 * time.Millisecond
	defer close(release)
	_, err = a.Upload(t.Context(), "text/plain", []byte("x"))
	if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "timed out") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Upload(ctx, "text/plain", []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A password in an upload's address, which registries sign, is in no error.
func TestNoSecretsInUploadErrors(t *testing.T) {
	t.Parallel()
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		switch r.Method {
		case http.MethodPost:
			w.Header().Set("Location", fmt.Sprintf("http://%s/v2/notes/blobs/uploads/1?sig=CANARY", r.Host))
			w.WriteHeader(http.StatusAccepted)
			return true
		case http.MethodPatch:
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "CANARY")
			return true
		}
		return false
	})
	_, err := artifactsAt(t, host+"/notes", Config{}).Upload(t.Context(), "text/plain", []byte("x"))
	if err == nil || strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), "answered 418") {
		t.Errorf("error %v", err)
	}
}
