package scan

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan/pkgdb"
	"github.com/org/image-budget/source"
)

func TestLongNames(t *testing.T) {
	t.Parallel()
	for _, format := range []tar.Format{tar.FormatPAX, tar.FormatGNU} {
		name := strings.Repeat("d", 150) + "/" + strings.Repeat("n", 200)
		var buf bytes.Buffer
		tw := tar.NewWriter(&buf)
		must(t, tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 3, Format: format}))
		_, err := tw.Write([]byte("abc"))
		must(t, err)
		must(t, tw.WriteHeader(&tar.Header{Name: name + "2", Linkname: name, Typeflag: tar.TypeLink, Format: format}))
		must(t, tw.Close())
		img := against(t, [][]byte{buf.Bytes()})
		var paths []string
		for f := range img.Files {
			paths = append(paths, f.Path)
		}
		if len(paths) != 3 || paths[1] != "/"+name || paths[2] != "/"+name+"2" {
			t.Errorf("%v: got %q", format, paths)
		}
	}
}

// rawHeader is a header block that archive/tar would not write.
func rawHeader(name string, kind byte, size int64) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func padded(s string) []byte {
	return append([]byte(s), make([]byte, (512-len(s)%512)%512)...)
}

func paxRecord(key, value string) string {
	n := len(key) + len(value) + 3
	size := n + len(fmt.Sprint(n))
	size = n + len(fmt.Sprint(size))
	return fmt.Sprintf("%d %s=%s\n", size, key, value)
}

// A sparse file counts with what it measures in the filesystem, holes
// included: that is what `docker history` and du --apparent-size say, and what
// fills a disk that knows no holes.
func TestSparseFileCountsItsHoles(t *testing.T) {
	t.Parallel()
	records := paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") +
		paxRecord("GNU.sparse.name", "sparse") + paxRecord("GNU.sparse.realsize", "1000000")
	data := append(padded("1\n999995\n5\n"), padded("hello")...)
	var b []byte
	b = append(b, rawHeader("pax", 'x', int64(len(records)))...)
	b = append(b, padded(records)...)
	b = append(b, rawHeader("ignored", '0', 512+5)...)
	b = append(b, data...)
	b = append(b, make([]byte, 1024)...)
	img := against(t, [][]byte{b})
	if img.Metrics.Final != 1000000 {
		t.Errorf("got %+v", img.Metrics)
	}
}

// A claim of exabytes is refused before a byte of it is read.
func TestSparseFileBeyondTheBound(t *testing.T) {
	t.Parallel()
	records := paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") +
		paxRecord("GNU.sparse.name", "sparse") + paxRecord("GNU.sparse.realsize", "4000000000000000000")
	var b []byte
	b = append(b, rawHeader("pax", 'x', int64(len(records)))...)
	b = append(b, padded(records)...)
	b = append(b, rawHeader("ignored", '0', 512)...)
	b = append(b, padded("1\n4000000000000000000\n0\n")...)
	_, err := tryMeasure([][]byte{b}, Options{})
	if err == nil || !strings.Contains(err.Error(), "--max-unpacked") {
		t.Errorf("got %v", err)
	}
}

func TestDeviceNodesWeighNothing(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for i, kind := range []byte{tar.TypeChar, tar.TypeBlock, tar.TypeFifo} {
		must(t, tw.WriteHeader(&tar.Header{Name: fmt.Sprint("dev", i), Typeflag: kind, Devmajor: 1, Devminor: 3}))
	}
	must(t, tw.Close())
	if m := against(t, [][]byte{tarOf(t, "dev0=123"), buf.Bytes()}).Metrics; m.Wasted != 3 || m.Files != 0 {
		t.Errorf("got %+v", m)
	}
}

// AUFS kept the payload of hard links below .wh..wh.plnk: it is shipped, and
// seen only through the links.
func TestAUFSBookkeeping(t *testing.T) {
	t.Parallel()
	img := measure(t, [][]byte{tarOf(t, ".wh..wh.plnk/1=12345", ".wh..wh.plnk/2=123", "a=>.wh..wh.plnk/1", ".wh..wh.aufs=1")})
	if m := img.Metrics; m.Final != 5 || m.Wasted != 4 || m.Files != 1 {
		t.Errorf("got %+v", m)
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"../../etc/passwd=x":               "leads out of the image",
		"a/../../b=x":                      "leads out of the image",
		"a/.wh...":                         "leads out of the image",
		"a=>../../etc/passwd":              "leads out of the image",
		strings.Repeat("a/", 2000) + "f=x": "no Linux host can unpack",
		strings.Repeat("a", 5000) + "=x":   "no Linux host can unpack",
	} {
		_, err := tryMeasure([][]byte{tarOf(t, name)}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", name, err, want)
		}
	}
}

func TestTooManyFiles(t *testing.T) {
	t.Parallel()
	opt := Options{Limits: Limits{MaxFiles: 100, MaxUnpacked: 1 << 20}}
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprint("f", i))
	}
	for what, layers := range map[string][][]byte{
		"one layer":           {tarOf(t, many...)},
		"all layers together": {tarOf(t, many[:60]...), tarOf(t, many[:60]...)},
		"implied directories": {tarOf(t, strings.Repeat("a/", 60)+"f", strings.Repeat("b/", 60)+"f")},
	} {
		opt := opt
		if _, err := tryMeasure(layers, opt); !errors.Is(err, errTooManyFiles) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestTruncatedTar(t *testing.T) {
	t.Parallel()
	whole := tarOf(t, "a="+strings.Repeat("x", 2000), "b=y")
	for _, cut := range []int{100, 512, 700, 2100, 2600} {
		if _, err := tryMeasure([][]byte{whole[:cut]}, Options{}); cut%512 != 0 && err == nil {
			t.Errorf("cut at %d: no error", cut)
		}
	}
}

// layoutOf writes tars as an OCI layout and returns its reference.
func layoutOf(t testing.TB, layers ...[]byte) string {
	t.Helper()
	img := empty.Image
	for _, l := range layers {
		lay, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l)), nil })
		must(t, err)
		img, err = mutate.AppendLayers(img, lay)
		must(t, err)
	}
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, p.AppendImage(img))
	return "oci:" + dir
}

func scanLayout(t testing.TB, ref string, opt Options) (*Result, int64) {
	t.Helper()
	img, err := source.New(source.Config{}).Open(t.Context(), ref)
	must(t, err)
	defer img.Close()
	res, err := Image(t.Context(), img, opt)
	must(t, err)
	return res, img.BlobBytesRead()
}

func TestManifestAloneFetchesNoLayer(t *testing.T) {
	t.Parallel()
	res, read := scanLayout(t, layoutOf(t, tarOf(t, "a=1"), tarOf(t, "b=2")), Options{Base: 1})
	m := res.Image.Metrics
	if read != 0 || res.LayersRead != 0 || m.Has != footprint.HasCompressed || m.Compressed == 0 || m.Layers != 2 {
		t.Errorf("read %d bytes, got %+v", read, m)
	}
	if res.Image.Base.Metrics.Compressed+res.Image.Own.Compressed != m.Compressed {
		t.Error("base and own do not add up")
	}
}

// An image without a base has one of nothing, if somebody knows that.
func TestNoBaseIsABoundaryToo(t *testing.T) {
	t.Parallel()
	for _, files := range []bool{false, true} {
		ref := layoutOf(t, tarOf(t, "a=1"), tarOf(t, "b=22", "a=333"))
		res, _ := scanLayout(t, ref, Options{Files: files, BaseFoundBy: "provenance", BaseReference: "scratch"})
		base, own := res.Image.Base, res.Image.Own
		if base == nil || own == nil {
			t.Fatal("no boundary")
		}
		want := footprint.Base{FoundBy: "provenance", Reference: "scratch", Metrics: footprint.Metrics{Has: footprint.HasCompressed | footprint.HasFiles | footprint.HasModes}}
		if diff := cmp.Diff(&want, base); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(res.Image.Metrics, *own); diff != "" {
			t.Error(diff)
		}
		if res, _ := scanLayout(t, ref, Options{Files: files}); res.Image.Base != nil || res.Image.Own != nil {
			t.Error("a boundary that nobody found")
		}
	}
}

func TestCacheReadsNoLayerTwice(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return time.Unix(1e9, 0) }
	dir := t.TempDir()
	cache, err := OpenCache(dir, 1<<20, clock)
	must(t, err)
	ref := layoutOf(t, tarOf(t, "a=1", "b=22"), tarOf(t, ".wh.a", "b=333"))
	first, read := scanLayout(t, ref, Options{Files: true, Cache: cache})
	if first.LayersRead != 2 || read == 0 {
		t.Fatalf("first: %+v, %d bytes", first, read)
	}
	if cache, err = OpenCache(dir, 1<<20, clock); err != nil { // as another run would
		t.Fatal(err)
	}
	again, read := scanLayout(t, ref, Options{Files: true, Cache: cache})
	if again.LayersRead != 0 || again.LayersKnown != 2 || read != 0 {
		t.Errorf("again: %d layers and %d bytes read, %d known", again.LayersRead, read, again.LayersKnown)
	}
	if first.Image.Metrics != again.Image.Metrics {
		t.Errorf("%+v is not %+v", again.Image.Metrics, first.Image.Metrics)
	}
	// A new layer on top of known ones: the waste across them is still exact.
	third, _ := scanLayout(t, layoutOf(t, tarOf(t, "a=1", "b=22"), tarOf(t, ".wh.a", "b=333"), tarOf(t, "b=4444")), Options{Files: true, Cache: cache})
	if third.LayersRead != 1 || third.Image.Metrics.Wasted != 6 {
		t.Errorf("third: %d layers read, %+v", third.LayersRead, third.Image.Metrics)
	}
	must(t, cache.Close())

	t.Run("damaged or foreign", func(t *testing.T) {
		cache, err := OpenCache(dir, 1<<20, clock)
		must(t, err)
		files, err := filepath.Glob(filepath.Join(dir, "layers", "*"))
		must(t, err)
		if len(files) != 3 {
			t.Fatalf("the cache holds %v", files)
		}
		for i, f := range files {
			data, err := os.ReadFile(f)
			must(t, err)
			switch i {
			case 0:
				data = data[:len(data)-3]
			case 1:
				data[len(data)-1] ^= 1
			case 2:
				data, err = os.ReadFile(files[0]) // another layer's, and damaged
				must(t, err)
			}
			must(t, os.WriteFile(f, data, 0o644))
		}
		res, _ := scanLayout(t, ref, Options{Files: true, Cache: cache})
		if res.LayersKnown != 0 || res.Image.Metrics != first.Image.Metrics {
			t.Errorf("%d known, %+v", res.LayersKnown, res.Image.Metrics)
		}
	})
}

func TestCacheIsPruned(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), int64(0)
	cache, err := OpenCache(dir, 330, func() time.Time { now++; return time.Unix(now, 0) })
	must(t, err)
	id := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	for _, c := range []string{"1", "2", "3"} {
		cache.store(id(c), newIndex())
	}
	if cache.loadFile(id("1")) == nil {
		t.Fatal("not stored")
	}
	must(t, cache.Close())
	if cache, err = OpenCache(dir, 330, cache.now); err != nil {
		t.Fatal(err)
	}
	if cache.load(id("1")) == nil || cache.load(id("2")) != nil {
		t.Error("the least recently used index should have gone, and only that")
	}
}

func TestEstimateIsPinned(t *testing.T) {
	t.Parallel()
	layer := tarOf(t, "a="+strings.Repeat("estimate ", 1000))
	x, err := (&layerReader{limits: Limits{}.withDefaults(), estimate: true, buf: make([]byte, 4096), packages: pkgdb.NewCollector()}).read(bytes.NewReader(layer))
	must(t, err)
	// If this changes with a library, so must EstimateMethod: stored baselines
	// would otherwise be compared with figures of another making.
	if x.estimate != 128 {
		t.Errorf("estimated %d bytes", x.estimate)
	}
}

func FuzzLayer(f *testing.F) {
	f.Add(tarOf(f, "a=1", "b/", "c=>a", "d->a", ".wh.x", "e/.wh..wh..opq", "g|"))
	f.Add(randomBytes(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := tryMeasure([][]byte{data, data}, Options{Limits: Limits{MaxFiles: 1000, MaxUnpacked: 1 << 20}})
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Fatal(err)
		}
		if err == nil {
			for range img.Files {
			}
		}
	})
}

func randomBytes(f *testing.F) []byte { return bytes.Repeat([]byte("\x00\xff./wh"), 200) }

func FuzzStoredIndex(f *testing.F) {
	x := newIndex()
	x.add(entry{kind: addRegular, path: []byte("a/b"), size: 5, hash: 7})
	x.add(entry{kind: addHardLink, path: []byte("a/c"), link: []byte("a/b")})
	data, err := x.marshal("sha256:x")
	must(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if x, err := unmarshalIndex("sha256:x", data, indexBounds{}); err == nil {
			tr := newTree(1000, 0, 0)
			_ = tr.apply(0, x)
		}
	})
}
