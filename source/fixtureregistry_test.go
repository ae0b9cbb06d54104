package source

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"testing"
)

type httpHandler = http.Handler

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// push puts an image's blobs and manifest where a registry has them.
func (f *fixture) push(t testing.TB, host, repo, tag string) {
	t.Helper()
	for _, l := range f.layers {
		putBlob(t, host, repo, l.stored)
	}
	putBlob(t, host, repo, f.config)
	putManifest(t, host, repo, tag, "application/vnd.oci.image.manifest.v1+json", f.manifest)
}

func putBlob(t testing.TB, host, repo string, b []byte) {
	t.Helper()
	send(t, http.MethodPost, "http://"+host+"/v2/"+repo+"/blobs/uploads/?digest="+sum(b), "application/octet-stream", b)
}

func putManifest(t testing.TB, host, repo, tag, mediaType string, b []byte) {
	t.Helper()
	send(t, http.MethodPut, "http://"+host+"/v2/"+repo+"/manifests/"+tag, mediaType, b)
}

func send(t testing.TB, method, url, mediaType string, b []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	// The test's own requests pass wrappers that would refuse them.
	req.Header.Set("X-Setup", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s: %s: %s", method, url, resp.Status, body)
	}
}
