package source

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// fixture is an image whose every byte the tests know.
type fixture struct {
	layers   []fixtureLayer
	config   []byte
	manifest []byte
}

type fixtureLayer struct {
	plain, stored []byte
	mediaType     string
}

const (
	gzipLayer  = "application/vnd.oci.image.layer.v1.tar+gzip"
	zstdLayer  = "application/vnd.oci.image.layer.v1.tar+zstd"
	plainLayer = "application/vnd.oci.image.layer.v1.tar"
)

// tarOf makes a tar from names and contents.
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise is text that does not compress to nothing, the same for each seed.
func noise(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnop"[r.IntN(16)]
	}
	return string(b)
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func toJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type object map[string]any

// newFixture makes an image of the layers given as tars, stored as the media
// types say.
func newFixture(t testing.TB, arch string, mediaTypes []string, plain ...[]byte) *fixture {
	t.Helper()
	f := &fixture{}
	var ids, history, layers []any
	for i, p := range plain {
		l := fixtureLayer{plain: p, stored: p, mediaType: mediaTypes[i]}
		switch l.mediaType {
		case gzipLayer:
			l.stored = gz(t, p)
		case zstdLayer:
			l.stored = zst(t, p)
		}
		f.layers = append(f.layers, l)
		ids = append(ids, sum(p))
		history = append(history, object{"created_by": fmt.Sprintf("RUN step %d", i)})
		layers = append(layers, descriptor(l.mediaType, l.stored))
	}
	f.config = toJSON(t, object{
		"os": "linux", "architecture": arch, "config": object{"Env": []string{"A=b"}},
		"rootfs": object{"type": "layers", "diff_ids": ids}, "history": history,
	})
	f.manifest = toJSON(t, object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", f.config), "layers": layers,
		"annotations": object{"org.opencontainers.image.base.name": "base:1"},
	})
	return f
}

func descriptor(mediaType string, b []byte) object {
	return object{"mediaType": mediaType, "digest": sum(b), "size": len(b)}
}

// mixedFixture has a layer of each compression, and the first one twice.
func mixedFixture(t testing.TB) *fixture {
	a := tarOf(t, "etc/a", noise(1, 60_000))
	b := tarOf(t, "etc/b", noise(2, 300_000), "etc/b2", "x")
	c := tarOf(t, "etc/c", noise(3, 20_000))
	return newFixture(t, "amd64", []string{gzipLayer, zstdLayer, plainLayer, gzipLayer}, a, b, c, a)
}

func (f *fixture) descriptor() object {
	return descriptor("application/vnd.oci.image.manifest.v1+json", f.manifest)
}

// ociFiles are the files of an OCI layout of f under the tag.
func (f *fixture) ociFiles(t testing.TB, tag string) map[string][]byte {
	d := f.descriptor()
	d["annotations"] = object{"org.opencontainers.image.ref.name": tag}
	return ociFilesOf(t, []any{d}, f)
}

func ociFilesOf(t testing.TB, index []any, images ...*fixture) map[string][]byte {
	files := map[string][]byte{
		"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`),
		"index.json": toJSON(t, object{"schemaVersion": 2, "manifests": index}),
	}
	for _, f := range images {
		for _, l := range f.layers {
			files[blobPath(l.stored)] = l.stored
		}
		files[blobPath(f.config)] = f.config
		files[blobPath(f.manifest)] = f.manifest
	}
	return files
}

func blobPath(b []byte) string { return "blobs/sha256/" + strings.TrimPrefix(sum(b), "sha256:") }

func writeDir(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// item is an entry of a hand-made archive.
type item struct {
	name, link string
	body       []byte
	typeflag   byte
}

func archiveOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, it := range items {
		h := &tar.Header{Name: it.name, Linkname: it.link, Typeflag: it.typeflag, Mode: 0o644, Size: int64(len(it.body))}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(it.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func itemsOf(files map[string][]byte) []item {
	var items []item
	for name, b := range files {
		items = append(items, item{name: name, body: b})
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	return items
}

// oldDockerItems is what docker save of an engine before 25 writes: a folder for
// each layer, a repeated layer as a link, manifest.json at the end.
func (f *fixture) oldDockerItems(t testing.TB, tag string) []item {
	var items []item
	var names []string
	first := map[string]string{}
	for i, l := range f.layers {
		dir := fmt.Sprintf("%064d", i)
		name := dir + "/layer.tar"
		names = append(names, name)
		items = append(items, item{name: dir + "/", typeflag: tar.TypeDir},
			item{name: dir + "/VERSION", body: []byte("1.0")},
			item{name: dir + "/json", body: toJSON(t, object{"id": dir, "os": "linux"})})
		if to, dup := first[sum(l.plain)]; dup {
			items = append(items, item{name: name, typeflag: tar.TypeSymlink, link: "../" + to})
			continue
		}
		first[sum(l.plain)] = name
		items = append(items, item{name: name, body: l.plain})
	}
	config := strings.TrimPrefix(sum(f.config), "sha256:") + ".json"
	return append(items,
		item{name: config, body: f.config},
		item{name: "manifest.json", body: toJSON(t, []object{{"Config": config, "RepoTags": []string{tag}, "Layers": names}})},
		item{name: "repositories", body: []byte("{}")})
}

// newDockerItems is what docker save of an engine from 25 on writes. Plain is
// overlay2; otherwise the blobs are as the containerd store keeps them.
func (f *fixture) newDockerItems(t testing.TB, tag string, plain bool) []item {
	g := f
	if plain {
		var layers [][]byte
		var types []string
		for _, l := range f.layers {
			layers = append(layers, l.plain)
			types = append(types, plainLayer)
		}
		g = newFixture(t, "amd64", types, layers...)
	}
	d := g.descriptor()
	d["annotations"] = object{"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag[strings.LastIndex(tag, ":")+1:]}
	files := ociFilesOf(t, []any{d}, g)
	var names []string
	for _, l := range g.layers {
		names = append(names, blobPath(l.stored))
	}
	files["manifest.json"] = toJSON(t, []object{{"Config": blobPath(g.config), "RepoTags": []string{tag}, "Layers": names}})
	items := []item{{name: "blobs/", typeflag: tar.TypeDir}, {name: "blobs/sha256/", typeflag: tar.TypeDir}}
	return append(items, itemsOf(files)...)
}

func writeFile(t testing.TB, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// serve starts an in-memory registry that holds files' documents, and returns
// its host.
func serve(t testing.TB, wrap func(httpHandler) httpHandler) string {
	t.Helper()
	h := httpHandler(registry.New(registry.Logger(quiet())))
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// noWait is a Wait for tests: it notes how long it should have slept.
type noWait struct {
	mu    sync.Mutex
	waits []time.Duration
}

func (w *noWait) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = append(w.waits, d)
	return ctx.Err()
}

// readAll reads every layer whole.
func readAll(ctx context.Context, img *Image, opt ReadOptions) ([][]byte, error) {
	return Read(ctx, img, opt, func(_ context.Context, r io.Reader) ([]byte, error) { return io.ReadAll(r) })
}

func newTarReader(b []byte) *tar.Reader { return tar.NewReader(bytes.NewReader(b)) }
