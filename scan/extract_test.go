package scan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// filesOf measures an image, and picks the paths of it in that order.
func filesOf(t testing.TB, img *source.Image, paths ...string) []footprint.File {
	t.Helper()
	res, err := Image(t.Context(), img, Options{Files: true})
	must(t, err)
	byPath := map[string]footprint.File{}
	for f := range res.Image.Files {
		byPath[f.Path] = f
	}
	var out []footprint.File
	for _, p := range paths {
		if f, ok := byPath[p]; ok {
			out = append(out, f)
		}
	}
	return out
}

func TestExtract(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1000)
	ref := layoutOf(t,
		tarOf(t, "a=old", "b=below", "dir/first=linked", "dir/second=>dir/first", "empty=", "link->a", "large="+large, "gone=1"),
		tarOf(t, "a=first", "a=new", "c=cc", ".wh.gone", "from-below=>b"),
		tarOf(t, "unread=1"))
	for _, tt := range []struct {
		name   string
		limits ExtractLimits
		paths  string
		want   string
		layers int
	}{
		{"one", ExtractLimits{}, "/c", "/c=cc", 1},
		{"the last of two entries", ExtractLimits{}, "/a", "/a=new", 1},
		{"all names of a hard link", ExtractLimits{}, "/dir/second /dir/first", "/dir/first=linked /dir/second=linked", 1},
		{"the payload alone is below", ExtractLimits{}, "/from-below", "/from-below=below", 1},
		{"two layers", ExtractLimits{}, "/b /c", "/b=below /c=cc", 2},
		{"empty", ExtractLimits{}, "/empty", "/empty=", 0},
		{"no contents", ExtractLimits{}, "/link /dir /nowhere /gone", "", 0},
		{"nothing", ExtractLimits{}, "", "", 0},
		{"too large", ExtractLimits{MaxFile: 999}, "/large /b", "/b=below", 1},
		{"too much", ExtractLimits{MaxTotal: 1003}, "/large /b /c", "/c=cc /large=" + large, 2},
		{"too much by a link alone", ExtractLimits{MaxTotal: 7}, "/dir/second /c", "/dir/second=linked", 2},
		{"too much by a link", ExtractLimits{MaxTotal: 10}, "/b /dir/second /c", "/b=below /c=cc", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			img, err := source.New(source.Config{}).Open(t.Context(), ref)
			must(t, err)
			defer img.Close()
			files := filesOf(t, img, strings.Fields(tt.paths)...)
			before := img.BlobBytesRead()
			got, err := Extract(t.Context(), img, files, tt.limits)
			must(t, err)
			var list []string
			for _, path := range slices.Sorted(maps.Keys(got)) {
				list = append(list, fmt.Sprintf("%s=%s", path, got[path]))
			}
			if diff := cmp.Diff(tt.want, strings.Join(list, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var sizes []int64
			for _, l := range img.Layers {
				sizes = append(sizes, l.Size)
			}
			if read := img.BlobBytesRead() - before; tt.layers == 0 && read != 0 || read >= sizes[0]+sizes[1]+sizes[2] {
				t.Errorf("read %d bytes of layers of %d", read, sizes)
			}
		})
	}
}

// A file that a hostile caller, or an image that changed, names wrongly is not
// there; what cannot be read is an error.
func TestExtractOfAnotherImage(t *testing.T) {
	t.Parallel()
	img, err := source.New(source.Config{}).Open(t.Context(), layoutOf(t, tarOf(t, "a=1")))
	must(t, err)
	defer img.Close()
	for _, f := range []footprint.File{
		{Path: "/a", Kind: footprint.Regular, Layer: 7, Hash: 1},
		{Path: "/a", Kind: footprint.Regular, Layer: -1, Hash: 1},
		{Path: "/a", Kind: footprint.Regular, Hash: 1},
	} {
		got, err := Extract(t.Context(), img, []footprint.File{f}, ExtractLimits{})
		if err != nil || len(got) != 0 {
			t.Errorf("%+v: %v, %v", f, got, err)
		}
	}
	bad, err := source.New(source.Config{}).Open(t.Context(), layoutOf(t, []byte(strings.Repeat("no tar ", 1000))))
	must(t, err)
	defer bad.Close()
	_, err = Extract(t.Context(), bad, []footprint.File{{Path: "/a", Kind: footprint.Regular, Hash: 1}}, ExtractLimits{})
	if err == nil || !strings.Contains(err.Error(), "reading files of oci:") || !strings.Contains(err.Error(), "layer 0") {
		t.Errorf("error %v", err)
	}
}

// TestExtractFromEngines reads what everybody knows of an image.
func TestExtractFromEngines(t *testing.T) {
	t.Parallel()
	refs := map[string]string{"docker://" + bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY") + "/library/debian:bookworm-slim": ""}
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		refs["docker-daemon:debian:bookworm-slim@"+host] = host
	}
	for ref, host := range refs {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			ref, _, _ := strings.Cut(ref, "@")
			img, err := source.New(source.Config{Engine: source.Engine{Host: host}}).Open(t.Context(), ref)
			must(t, err)
			defer img.Close()
			files := filesOf(t, img, "/usr/lib/os-release", "/usr/bin/perl", "/etc/passwd")
			before := img.BlobBytesRead()
			got, err := Extract(t.Context(), img, files, ExtractLimits{})
			must(t, err)
			// An engine is not asked for all of the image again.
			if read := img.BlobBytesRead() - before; host != "" && read > 10_000 {
				t.Errorf("read %d bytes", read)
			}
			if len(got) != 2 || !strings.Contains(string(got["/usr/lib/os-release"]), "VERSION_CODENAME=bookworm") || !strings.HasPrefix(string(got["/etc/passwd"]), "root:x:0:0:") {
				t.Errorf("got %d files: %q", len(got), got)
			}
		})
	}
}
