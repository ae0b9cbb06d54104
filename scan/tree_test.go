package scan

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan/pkgdb"
)

// tarOf writes entries given as "name", "name=content", "name/", "name->target"
// (symlink), "name=>target" (hard link) or "name|" (FIFO).
func tarOf(t testing.TB, entries ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e, Typeflag: tar.TypeReg, Mode: 0o644}
		var content string
		if name, target, ok := strings.Cut(e, "=>"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeLink
		} else if name, target, ok := strings.Cut(e, "->"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeSymlink
		} else if name, text, ok := strings.Cut(e, "="); ok {
			h.Name, content = name, text
		} else if strings.HasSuffix(e, "/") {
			h.Typeflag = tar.TypeDir
		} else if name, ok := strings.CutSuffix(e, "|"); ok {
			h.Name, h.Typeflag = name, tar.TypeFifo
		}
		h.Size = int64(len(content))
		if h.Typeflag == tar.TypeReg {
			// Files with content are of all kinds.
			h.Mode = []int64{0o644, 0o755, 0o4755, 0o2711, 0o600}[len(content)%5]
		}
		must(t, tw.WriteHeader(h))
		_, err := tw.Write([]byte(content))
		must(t, err)
	}
	must(t, tw.Close())
	return buf.Bytes()
}

// measure scans layers given as tars, without a source.
func measure(t testing.TB, layers [][]byte) *footprint.Image {
	t.Helper()
	img, err := tryMeasure(layers, Options{})
	must(t, err)
	return img
}

func tryMeasure(layers [][]byte, opt Options) (*footprint.Image, error) {
	opt.Limits = opt.Limits.withDefaults()
	var indexes []*Index
	img := &footprint.Image{}
	for i, layer := range layers {
		lr := layerReader{limits: opt.Limits, buf: make([]byte, 1000), packages: pkgdb.NewCollector()}
		x, err := lr.read(bytes.NewReader(layer))
		if err != nil {
			return nil, err
		}
		// Every test also goes through the stored form.
		data, err := x.marshal("sha256:x")
		if err != nil {
			return nil, err
		}
		if x, err = unmarshalIndex("sha256:x", data, indexBounds{}); err != nil {
			return nil, err
		}
		indexes = append(indexes, x)
		img.Layers = append(img.Layers, footprint.Layer{Index: i, Unpacked: x.unpacked, Files: x.files, Has: footprint.HasFiles})
	}
	if err := merge(context.Background(), img, indexes, opt); err != nil {
		return nil, err
	}
	total(img, opt)
	return img, img.Verify()
}

func against(t testing.TB, layers [][]byte) *footprint.Image {
	t.Helper()
	got, want := measure(t, layers), unpack(t, layers)
	var unpacked int64
	for i, n := range want.Unpacked {
		unpacked += n
		if int64(got.Layers[i].Unpacked) != n {
			t.Errorf("layer %d holds %d bytes, want %d", i, got.Layers[i].Unpacked, n)
		}
	}
	m := footprint.Metrics{
		Unpacked: footprint.Bytes(unpacked), Final: footprint.Bytes(want.Final), Wasted: footprint.Bytes(unpacked - want.Final),
		Files: want.Files, Layers: len(layers), Executables: want.Executables, Setuid: want.Setuid,
		Has: footprint.HasFiles | footprint.HasModes,
	}
	if diff := cmp.Diff(m, got.Metrics); diff != "" {
		t.Errorf("metrics (-unpacked on disk +measured):\n%s", diff)
	}
	return got
}

func TestAgainstUnpackedFilesystem(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long/", 60) + "name"
	tests := []struct {
		name   string
		layers [][]string
	}{
		{"plain", [][]string{{"a=1", "b/", "b/c=22"}}},
		{"whiteout", [][]string{{"a=1", "b=22"}, {".wh.a"}}},
		{"whiteout of a directory", [][]string{{"d/", "d/a=1", "d/e/f=22", "b=333"}, {".wh.d"}}},
		{"dangling whiteout", [][]string{{"a=1"}, {".wh.nothing", "d/.wh.nothing", "b=22"}}},
		{"whiteout leaves its own layer alone", [][]string{{"a=1"}, {"a=22", ".wh.a"}}},
		{"whiteout after the file of its layer", [][]string{{"a=1"}, {".wh.a", "a=22"}}},
		{"opaque directory", [][]string{{"d/a=1", "d/e/b=22"}, {"d/", "d/.wh..wh..opq", "d/c=333"}}},
		{"opaque after the files of its layer", [][]string{{"d/a=1"}, {"d/a=22", "d/.wh..wh..opq"}}},
		{"opaque root", [][]string{{"a=1", "d/b=22"}, {".wh..wh..opq", "c=333"}}},
		{"opaque over a file", [][]string{{"d=1"}, {"d/.wh..wh..opq", "d/c=333"}}},
		{"hard link", [][]string{{"a=12345", "b=>a"}}},
		{"hard link, one name deleted", [][]string{{"a=12345", "b=>a"}, {".wh.a"}}},
		{"hard link, both names deleted", [][]string{{"a=12345", "b=>a"}, {".wh.a"}, {".wh.b"}}},
		{"hard link into a lower layer", [][]string{{"a=12345"}, {"b=>a"}, {".wh.a"}}},
		{"hard link to nothing", [][]string{{"b=>a", "c=1"}}},
		{"hard link to itself", [][]string{{"a=12345", "a=>a"}}},
		{"hard link to a symlink", [][]string{{"a->x", "b=>a"}}},
		{"hard link to a directory", [][]string{{"d/a=1", "b=>d"}}},
		{"hard link over another file", [][]string{{"a=12345", "b=1"}, {"b=>a"}}},
		{"hard link over the directory of its target", [][]string{{"d/a=12345"}, {"d=>d/a"}}},
		{"hard link with an absolute target", [][]string{{"a=12345", "b=>/a"}}},
		{"symlink out of the image", [][]string{{"a->/etc/passwd", "b->../../../x"}}},
		{"file over symlink", [][]string{{"a->b", "b=1"}, {"a=333"}}},
		{"file over directory", [][]string{{"d/a=1", "d/e/b=22"}, {"d=333"}}},
		{"directory over file", [][]string{{"d=1"}, {"d/", "d/a=22"}}},
		{"directory over directory", [][]string{{"d/a=1"}, {"d/"}}},
		{"implied directory over file", [][]string{{"d=1"}, {"d/a=22"}}},
		{"implied directory over symlink", [][]string{{"usr/lib/a=1", "lib->usr/lib"}, {"lib/a=22"}}},
		{"symlink over directory", [][]string{{"d/a=1"}, {"d->x"}}},
		{"FIFO over file", [][]string{{"a=1"}, {"a|"}}},
		{"the same path twice", [][]string{{"a=1", "a=22", "a=333"}}},
		{"the same path twice, another type", [][]string{{"a=1", "a/b=22", "a->c"}}},
		{"revived after deletion", [][]string{{"d/a=1"}, {".wh.d"}, {"d/a=22"}, {"d/.wh.a"}, {"d/a=333", "d/b=1"}}},
		{"deep", [][]string{{long + "=1"}, {long + "=22"}, {"long/.wh.long"}}},
		{"dots and slashes", [][]string{{"./a=1", "/b=22", "c//d=333"}, {"./.wh.a", "/c/.wh.d"}}},
		{"not UTF-8", [][]string{{"\xff\xfe=1", "d\x80/a=22"}, {".wh.\xff\xfe"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var layers [][]byte
			for _, l := range tt.layers {
				layers = append(layers, tarOf(t, l...))
			}
			against(t, layers)
		})
	}
}

// https://github.com/wagoodman/dive/issues/684: every copy of a path counted
// as waste, the one in use too.
func TestDive684LiveCopyIsNotWaste(t *testing.T) {
	t.Parallel()
	img := measure(t, [][]byte{tarOf(t, "app=0123456789"), tarOf(t, "app=0123456789")})
	if img.Metrics.Wasted != 10 || img.Metrics.Final != 10 || img.Metrics.Unpacked != 20 {
		t.Errorf("got %+v, want 10 bytes wasted of 20", img.Metrics)
	}
	want := []footprint.Dead{{In: 0, By: 1, Fate: footprint.Rewritten, Bytes: 10, Files: 1, Under: "/"}}
	if diff := cmp.Diff(want, img.Dead); diff != "" {
		t.Error(diff)
	}
}

// https://github.com/wagoodman/dive/issues/715: a whiteout of a path that does
// not exist ended the layer, and what followed it was not seen.
func TestDive715DanglingWhiteoutHidesNothing(t *testing.T) {
	t.Parallel()
	img := measure(t, [][]byte{tarOf(t, "a=12345", "b=123"), tarOf(t, "gone/.wh.never", ".wh.never", "a=54321", ".wh.b")})
	if img.Metrics.Wasted != 8 || img.Metrics.Final != 5 {
		t.Errorf("got %+v, want 8 bytes wasted and 5 visible", img.Metrics)
	}
}

func TestFates(t *testing.T) {
	t.Parallel()
	img := measure(t, [][]byte{
		tarOf(t, "app/a=1", "app/sub/b=22", "app/c=333", "tmp/x=4444", "keep/k=55555", "dup=1", "dup=1"),
		tarOf(t, "app/a=1", "app/sub/b=22"), // chown
		tarOf(t, "app/c=XYZ"),
		tarOf(t, ".wh.tmp"),
		tarOf(t, "keep/.wh..wh..opq", "keep/k=55555"), // rm -r, and copied anew
	})
	want := []footprint.Dead{
		{In: 0, By: 4, Fate: footprint.Rewritten, Bytes: 5, Files: 1, Under: "/keep"},
		{In: 0, By: 3, Fate: footprint.Deleted, Bytes: 4, Files: 1, Under: "/tmp"},
		{In: 0, By: 1, Fate: footprint.Rewritten, Bytes: 3, Files: 2, Under: "/app"},
		{In: 0, By: 2, Fate: footprint.Replaced, Bytes: 3, Files: 1, Under: "/app"},
		{In: 0, By: 0, Fate: footprint.Replaced, Bytes: 1, Files: 1, Under: "/"},
	}
	if diff := cmp.Diff(want, img.Dead); diff != "" {
		t.Errorf("dead (-want +got):\n%s", diff)
	}
	if len(img.DeadFiles) != 6 || img.DeadFiles[0].Path != "/keep/k" || img.DeadFiles[1].Path != "/tmp/x" {
		t.Errorf("dead files: %+v", img.DeadFiles)
	}
}

func TestRandomLayersAgainstUnpackedFilesystem(t *testing.T) {
	t.Parallel()
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	for seed := range rounds {
		layers := randomLayers(t, rand.New(rand.NewPCG(uint64(seed), 7)))
		if against(t, layers); t.Failed() {
			t.Fatalf("seed %d: %v", seed, listing(t, layers))
		}
	}
}

// randomLayers draws from few names, so that layers collide in every way.
func randomLayers(t testing.TB, r *rand.Rand) [][]byte {
	names := []string{"a", "b", "c", "a-b", "\xff"}
	path := func() string {
		parts := []string{}
		for range 1 + r.IntN(3) {
			parts = append(parts, names[r.IntN(len(names))])
		}
		return strings.Join(parts, "/")
	}
	var layers [][]byte
	for range 1 + r.IntN(5) {
		var entries []string
		for range r.IntN(12) {
			p := path()
			dir, base := "", p
			if i := strings.LastIndexByte(p, '/'); i >= 0 {
				dir, base = p[:i+1], p[i+1:]
			}
			switch r.IntN(10) {
			case 0, 1, 2, 3:
				p += "=" + strings.Repeat("x", r.IntN(30))
			case 4:
				p += "/"
			case 5:
				p += "->" + path()
			case 6:
				p += "=>" + path()
			case 7:
				p += "|"
			case 8:
				p = dir + ".wh." + base
			case 9:
				p = dir + ".wh..wh..opq"
			}
			entries = append(entries, p)
		}
		layers = append(layers, tarOf(t, entries...))
	}
	return layers
}

func listing(t testing.TB, layers [][]byte) string {
	var out strings.Builder
	for i, l := range layers {
		entries, _ := readAll(t, l)
		for _, e := range entries {
			fmt.Fprintf(&out, "\n%d %c %q %q %d", i, e.header.Typeflag, e.header.Name, e.header.Linkname, e.header.Size)
		}
	}
	return out.String()
}

func TestNoLayers(t *testing.T) {
	t.Parallel()
	if m := measure(t, nil).Metrics; m.Unpacked != 0 || m.Layers != 0 || m.Has&footprint.HasFiles == 0 {
		t.Errorf("got %+v", m)
	}
}

func TestOwnersOfFiles(t *testing.T) {
	var layers [][]byte
	for _, headers := range [][]tar.Header{
		{
			{Name: "app/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: 1000, Gid: 1001},
			{Name: "app/a", Typeflag: tar.TypeReg, Uid: 7, Gid: 8},
			{Name: "app/hard", Typeflag: tar.TypeLink, Linkname: "app/a"},
			{Name: "app/soft", Typeflag: tar.TypeSymlink, Linkname: "a", Uid: 9, Gid: 9},
			{Name: "b", Typeflag: tar.TypeReg, Uid: 1 << 40, Gid: 1},
			{Name: "c/d", Typeflag: tar.TypeReg, Uid: 5},
		},
		// A directory that is there takes the owner of the layer above.
		{{Name: "app/", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 33}},
	} {
		var buf bytes.Buffer
		tw := tar.NewWriter(&buf)
		for _, h := range headers {
			must(t, tw.WriteHeader(&h))
		}
		must(t, tw.Close())
		layers = append(layers, buf.Bytes())
	}
	var got []string
	for f := range measure(t, layers).Files {
		got = append(got, fmt.Sprintf("%s %d:%d", f.Path, f.UID, f.GID))
	}
	want := []string{"/app 33:0", "/app/a 7:8", "/app/hard 7:8", "/app/soft 9:9", "/b 4294967295:1", "/c 0:0", "/c/d 5:0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
