package source

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// openLayout opens f as an OCI layout whose blobs are changed first.
func openLayout(t testing.TB, f *fixture, cfg Config) *Image {
	t.Helper()
	img, err := New(cfg).Open(t.Context(), "oci:"+writeDir(t, f.ociFiles(t, "1")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

// storedAs makes an image of one layer whose stored bytes the test chooses.
func storedAs(t testing.TB, plain, stored []byte) *fixture {
	f := newFixture(t, "amd64", []string{gzipLayer}, plain)
	f.layers[0].stored = stored
	f.manifest = toJSON(t, object{
		"schemaVersion": 2, "config": descriptor("application/vnd.oci.image.config.v1+json", f.config),
		"layers": []any{descriptor(gzipLayer, stored)},
	})
	return f
}

func TestCompressionIsToldByTheFirstBytes(t *testing.T) {
	t.Parallel()
	plain := tarOf(t, "a", noise(9, 50_000))
	half := len(plain) / 2
	skippable := append([]byte{0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0}, "meta"...)
	var wide bytes.Buffer
	w, err := zstd.NewWriter(&wide, zstd.WithWindowSize(256<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	// Written in parts, so that the frame does not know its size and takes the
	// whole window.
	for range 3 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := gz(t, plain)
	damaged[len(damaged)-5] ^= 1
	for name, tc := range map[string]struct {
		stored []byte
		want   string
	}{
		"plain under a gzip media type": {plain, ""},
		"zstd under a gzip media type":  {zst(t, plain), ""},
		"gzip":                          {gz(t, plain), ""},
		"gzip in two members":           {append(gz(t, plain[:half]), gz(t, plain[half:])...), ""},
		"gzip with an empty member":     {append(gz(t, plain), gz(t, nil)...), ""},
		"zstd in two frames":            {append(zst(t, plain[:half]), zst(t, plain[half:])...), ""},
		"zstd after a skippable frame":  {append(skippable, zst(t, plain)...), ""},
		"gzip and garbage":              {append(gz(t, plain), "garbage garbage"...), "not gzip follow"},
		"gzip and zeros":                {append(gz(t, plain), make([]byte, 512)...), "not gzip follow"},
		"gzip and one byte":             {append(gz(t, plain), 0), "unpacking gzip"},
		"gzip cut":                      {gz(t, plain)[:1000], "unpacking gzip: unexpected EOF"},
		"gzip header only":              {gz(t, plain)[:5], "unpacking gzip"},
		"gzip with a wrong checksum":    {damaged, "unpacking gzip"},
		"zstd and garbage":              {append(zst(t, plain), "garbage garbage"...), "unpacking zstd"},
		"zstd cut":                      {zst(t, plain)[:1000], "unpacking zstd"},
		"zstd of a huge window":         {wide.Bytes(), "window of more than 128 MiB"},
		"another layer":                 {gz(t, plain[:half]), "the unpacked layer has the digest"},
		"empty":                         {nil, "the unpacked layer has the digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img := openLayout(t, storedAs(t, plain, tc.stored), Config{})
			got, err := readAll(t.Context(), img, ReadOptions{VerifyDiffID: true})
			if tc.want == "" {
				if err != nil || !bytes.Equal(got[0], plain) {
					t.Errorf("got %d layers, %v", len(got), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "reading layer 0: ") {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestUnpackedLimit(t *testing.T) {
	t.Parallel()
	plain := tarOf(t, "a", strings.Repeat("0", 3<<20))
	size := int64(len(plain))
	for _, stored := range [][]byte{gz(t, plain), zst(t, plain), plain} {
		img := openLayout(t, storedAs(t, plain, stored), Config{Limits: Limits{MaxUnpacked: size}})
		if _, err := readAll(t.Context(), img, ReadOptions{}); err != nil {
			t.Errorf("at the limit: %v", err)
		}
		img = openLayout(t, storedAs(t, plain, stored), Config{Limits: Limits{MaxUnpacked: 2 << 20}})
		if _, err := readAll(t.Context(), img, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "reading layer 0: it unpacks to more than 2 MiB; raise --max-unpacked if this is meant") {
			t.Errorf("over the limit: %v", err)
		}
	}
}

func TestDiffIDIsCheckedOnRequest(t *testing.T) {
	t.Parallel()
	plain := tarOf(t, "a", "b")
	img := openLayout(t, storedAs(t, plain, gz(t, tarOf(t, "a", "c"))), Config{})
	if _, err := readAll(t.Context(), img, ReadOptions{}); err != nil {
		t.Errorf("without VerifyDiffID: %v", err)
	}
	if _, err := readAll(t.Context(), img, ReadOptions{VerifyDiffID: true}); err == nil {
		t.Error("with VerifyDiffID: no error")
	}
}

func TestWantedLayersOnly(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	old := writeFile(t, "a.tar", archiveOf(t, f.oldDockerItems(t, "a:1")...))
	packed := writeFile(t, "a.tgz", gz(t, archiveOf(t, f.oldDockerItems(t, "a:1")...)))
	for _, ref := range []string{"oci:" + writeDir(t, f.ociFiles(t, "1")), old, packed} {
		img, err := New(Config{}).Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int32
		got, err := Read(t.Context(), img, ReadOptions{Want: func(id string) bool { return id == sum(f.layers[0].plain) }},
			func(_ context.Context, r io.Reader) (int, error) {
				calls.Add(1)
				b, err := io.ReadAll(r)
				return len(b), err
			})
		if err != nil {
			t.Fatal(err)
		}
		n := len(f.layers[0].plain)
		if calls.Load() != 1 || got[0] != n || got[1] != 0 || got[2] != 0 || got[3] != n {
			t.Errorf("%s: %d visits, results %v", ref, calls.Load(), got)
		}
		if read := img.BlobBytesRead(); read != int64(len(f.layers[0].stored)) && read != int64(n) {
			t.Errorf("%s: %d bytes read", ref, read)
		}
		if _, err := Read(t.Context(), img, ReadOptions{Want: func(string) bool { return false }}, func(context.Context, io.Reader) (int, error) {
			return 0, errors.New("visited")
		}); err != nil {
			t.Error(err)
		}
		img.Close()
	}
}

func TestVisitorErrors(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	img := openLayout(t, f, Config{})
	mine := errors.New("mine")
	_, err := Read(t.Context(), img, ReadOptions{}, func(ctx context.Context, r io.Reader) (int, error) {
		b, err := io.ReadAll(r)
		if err == nil && sum(b) == sum(f.layers[1].plain) {
			err = mine
		}
		return 0, err
	})
	if !errors.Is(err, mine) || !strings.HasPrefix(err.Error(), "reading layer 1: ") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Read(ctx, img, ReadOptions{}, func(ctx context.Context, r io.Reader) (int, error) {
		cancel()
		_, err := io.Copy(io.Discard, r)
		return 0, err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
}

// TestVisitorThatReadsInItsOwnWay reads as a tar reader does, in pieces of odd
// sizes, and stops where it likes.
func TestVisitorThatReadsInItsOwnWay(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	img := openLayout(t, f, Config{})
	got, err := Read(t.Context(), img, ReadOptions{Workers: 1, VerifyDiffID: true}, func(_ context.Context, r io.Reader) (string, error) {
		tr := tar.NewReader(r)
		var names []string
		for {
			h, err := tr.Next()
			if err == io.EOF {
				return strings.Join(names, " "), nil
			}
			if err != nil {
				return "", err
			}
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{tr}, make([]byte, 777))
			if err != nil {
				return "", err
			}
			names = append(names, fmt.Sprint(h.Name, ":", n))
		}
	})
	if err != nil || fmt.Sprint(got) != "[etc/a:60000 etc/b:300000 etc/b2:1 etc/c:20000 etc/a:60000]" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	img := openLayout(t, f, Config{})
	var mu sync.Mutex
	var most, total int64
	if _, err := readAll(t.Context(), img, ReadOptions{Progress: func(r, all int64) {
		mu.Lock()
		defer mu.Unlock()
		most, total = max(most, r), all
	}}); err != nil {
		t.Fatal(err)
	}
	want := int64(len(f.layers[0].stored) + len(f.layers[1].stored) + len(f.layers[2].stored))
	if most != want || total != want {
		t.Errorf("progress %d of %d, want %d", most, total, want)
	}
}

// FuzzUnpack feeds stored layers of any content: what comes out is hashed by
// visitor and reader alike, and both must agree.
func FuzzUnpack(f *testing.F) {
	plain := tarOf(f, "a", "b")
	for _, b := range [][]byte{plain, gz(f, plain), zst(f, plain), append(gz(f, plain), gz(f, plain)...), append(zst(f, plain), 1), nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		img := &Image{limits: Limits{MaxUnpacked: 1 << 20}}
		p := &pass{img: img, bufs: &buffers{}, visit: func(_ context.Context, r io.Reader) (func(string), error) {
			b, err := io.ReadAll(r)
			return func(id string) {
				if id != sum(b) {
					t.Errorf("diffID %s of other bytes", id)
				}
			}, err
		}}
		defer p.bufs.close()
		u := &unpacking{pass: p, size: int64(len(data)), digest: sum(data), hashUnpacked: true}
		keep, err := u.run(t.Context(), bytes.NewReader(data))
		if err == nil {
			keep(u.foundDiffID)
		}
		if img.BlobBytesRead() > int64(len(data)) || (err == nil && img.BlobBytesRead() != int64(len(data))) {
			t.Errorf("read %d of %d bytes", img.BlobBytesRead(), len(data))
		}
		if strings.Contains(fmt.Sprint(err), "has the digest") {
			t.Error(err)
		}
	})
}

func TestRetryWaitsEndWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := waitOnTimer(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := waitOnTimer(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}

// TestLayersAreReadInParallel has a registry that keeps back the first layer
// until a second one is asked for.
func TestLayersAreReadInParallel(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	layers := map[string]bool{}
	for _, l := range f.layers {
		layers["/v2/app/blobs/"+sum(l.stored)] = true
	}
	for _, workers := range []int{0, 2} {
		var asked atomic.Int32
		second := make(chan struct{})
		host, _ := gated(t, func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			if !layers[r.URL.Path] {
				return false
			}
			switch asked.Add(1) {
			case 1:
				select {
				case <-second:
				case <-r.Context().Done():
				}
			case 2:
				close(second)
			}
			return false
		})
		f.push(t, host, "app", "1")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		img, err := New(Config{}).Open(ctx, host+"/app:1")
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(ctx, img, ReadOptions{Workers: workers})
		if err != nil {
			t.Fatalf("%d workers read one layer at a time: %v", workers, err)
		}
		for i, l := range f.layers {
			if !bytes.Equal(got[i], l.plain) {
				t.Errorf("layer %d differs", i)
			}
		}
	}
}

// TestDefaultLimits has the values that Limits names. README and flags repeat
// the largest of them.
func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	want := Limits{MaxManifest: 8_388_608, MaxConfig: 8_388_608, MaxProvenance: 16_777_216, MaxUnpacked: 68_719_476_736, MaxEntries: 100_000}
	if diff := cmp.Diff(want, New(Config{}).cfg.Limits); diff != "" {
		t.Error(diff)
	}
	mine := Limits{MaxManifest: 1, MaxConfig: 2, MaxProvenance: 5, MaxUnpacked: 3, MaxEntries: 4}
	if diff := cmp.Diff(mine, New(Config{Limits: mine}).cfg.Limits); diff != "" {
		t.Error(diff)
	}
	img := openLayout(t, mixedFixture(t), Config{})
	if img.limits != want {
		t.Errorf("an image is read within %+v", img.limits)
	}
}
