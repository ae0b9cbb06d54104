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
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/org/image-budget/internal/bench"
)

// TestManyImages checks 200 images that share two layers, several at once: one
// report in the order of the budget file, and every blob is fetched once.
func TestManyImages(t *testing.T) {
	t.Parallel()
	const count = 200
	var mu sync.Mutex
	fetched := map[string]int{}
	var now, most atomic.Int64
	next := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, digest, ok := strings.Cut(r.URL.Path, "/blobs/sha256:"); ok && r.Method == http.MethodGet {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			mu.Lock()
			fetched[digest]++
			mu.Unlock()
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	base := layer{"RUN base", map[string]string{"base": strings.Repeat("x", 200_000)}}
	shared := layer{"RUN shared", map[string]string{"shared": strings.Repeat("y", 100_000)}}
	var config strings.Builder
	config.WriteString("version: 1\nimages:\n")
	blobs := map[string]bool{}
	for i := range count {
		img := image(t, base, shared, layer{"COPY app", map[string]string{"app": fmt.Sprint(i)}})
		ref, _ := pushed(t, fmt.Sprintf("%s/service:%d", host, i), img)
		layers, err := img.Layers()
		must(t, err)
		for _, l := range layers {
			d, err := l.Digest()
			must(t, err)
			blobs[d.Hex] = true
		}
		most := "10MB"
		if i == 150 {
			most = "1kB"
		}
		fmt.Fprintf(&config, "  service-%d:\n    image: %s\n    limits: {unpacked: {max: %s}}\n", i, ref, most)
	}
	file := write(t, filepath.Join(t.TempDir(), "budget.yml"), config.String())
	mu.Lock()
	clear(fetched)
	mu.Unlock()
	r := invoke(t, nil, "check", "--config", file, "--format", "json", "--jobs", "8")
	r.want(t, ExitOver)
	var rep struct {
		LayersRead  int `json:"layers_read"`
		LayersKnown int `json:"layers_known"`
		Images      []struct {
			Name, Status string
			Metrics      struct{ Unpacked int }
		}
	}
	must(t, json.Unmarshal([]byte(r.stdout), &rep))
	if len(rep.Images) != count {
		t.Fatalf("%d images", len(rep.Images))
	}
	for i, img := range rep.Images {
		status := "pass"
		if i == 150 {
			status = "fail"
		}
		if img.Name != fmt.Sprint("service-", i) || img.Status != status || img.Metrics.Unpacked != 300_000+len(fmt.Sprint(i)) {
			t.Errorf("image %d: %+v", i, img)
		}
	}
	for digest, n := range fetched {
		if blobs[digest] && n != 1 {
			t.Errorf("the layer %s was fetched %d times", digest[:12], n)
		}
	}
	if rep.LayersRead != count+2 || rep.LayersKnown != 2*count-2 {
		t.Errorf("%d layers read, %d known", rep.LayersRead, rep.LayersKnown)
	}
	if most.Load() > 8*8 {
		t.Errorf("%d blobs at once", most.Load())
	}
}

// TestManyBuilds builds 200 images, several at once, on a real builder.
func TestManyBuilds(t *testing.T) {
	t.Parallel()
	const count = 200
	dir := t.TempDir()
	var config strings.Builder
	config.WriteString("version: 1\nimages:\n")
	for i := range count {
		service := fmt.Sprintf("service-%d", i)
		must(t, os.MkdirAll(filepath.Join(dir, service), 0o755))
		write(t, filepath.Join(dir, service, "Dockerfile"), "FROM alpine:3.22\nCOPY app /app\n")
		write(t, filepath.Join(dir, service, "app"), strings.Repeat("x", i))
		fmt.Fprintf(&config, "  %s:\n    build: {context: %s}\n    limits: {unpacked: {max: 100MB}, layers: {max: 2}}\n", service, service)
	}
	file := write(t, filepath.Join(dir, "budget.yml"), config.String())
	r := invoke(t, nil, "check", "--config", file, "--format", "json", "--jobs", "8", "--progress", "quiet", "--builder", bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT"))
	r.want(t, ExitOK)
	var rep struct {
		LayersRead int `json:"layers_read"`
		Images     []struct {
			Name string
			Own  struct{ Metrics struct{ Unpacked int } }
		}
	}
	must(t, json.Unmarshal([]byte(r.stdout), &rep))
	if len(rep.Images) != count || rep.LayersRead != count+1 {
		t.Fatalf("%d images, %d layers read", len(rep.Images), rep.LayersRead)
	}
	for i, img := range rep.Images {
		if img.Name != fmt.Sprint("service-", i) || img.Own.Metrics.Unpacked != i {
			t.Errorf("image %d: %+v", i, img)
		}
	}
}
