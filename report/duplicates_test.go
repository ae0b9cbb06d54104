package report_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	images "github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/scan"
	"github.com/org/image-budget/source"
)

// TestDuplicatesAreReadBack measures images whose duplicates overlap, and share
// files, and reads their reports back: what scan tells is never refused.
func TestDuplicatesAreReadBack(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]string{
		"two files":                             {"a=1234", "b/c=1234", "d=1235"},
		"three copies":                          {"a=1234", "b=1234", "c=1234"},
		"none":                                  {"a=1234", "b=>a"},
		"directories":                           {"x/a=12", "x/s/b=345", "x/s/c=6", "y/a=12", "y/s/b=345", "y/s/c=6"},
		"another name":                          {"x/a=12", "x/b=3", "y/a=12", "y/c=3"},
		"directories, and a file that is third": {"x/a=12", "x/b=3", "y/a=12", "y/b=3", "a=12"},
		"directories in more directories":       {"x/s/a=12", "x/s/b=3", "x/c=4", "y/s/a=12", "y/s/b=3", "y/c=4", "z/a=12", "z/b=3"},
		"hard links in both copies":             {"x/a=1234", "x/b=>x/a", "x/c=5", "y/a=1234", "y/b=>y/a", "y/c=5"},
		"one file of two names":                 {"x/a=1234", "x/b=>x/a", "y/a=1234", "y/b=>y/a"},
		"links of each other":                   {"x/a=1234", "x/b=567", "y/a=>x/a", "y/b=>x/b", "z1=1234", "z2=567"},
		"links in one, copies in the other":     {"x/a=1234", "x/b=>x/a", "x/c=5", "y/a=1234", "y/b=1234", "y/c=5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := measured(t, entries)
			var doc bytes.Buffer
			if err := report.JSON(&doc, wrap(report.Image{Head: head})); err != nil {
				t.Fatal(err)
			}
			r, err := report.ReadJSON(&doc, 1<<20)
			if err != nil {
				t.Fatalf("%v: %+v of %d", err, head.Duplicates, head.DuplicateBytes)
			}
			got := r.Images[0].Head
			sums := []footprint.Bytes{got.DuplicateBytes, got.DuplicateOwn}
			if diff := cmp.Diff([]footprint.Bytes{head.DuplicateBytes, head.DuplicateOwn}, sums) + cmp.Diff(append([]footprint.Duplicate{}, head.Duplicates...), got.Duplicates); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// measured is an image of one layer of files, "NAME=CONTENT", and of hard links,
// "NAME=>FILE".
func measured(t *testing.T, entries []string) *footprint.Image {
	t.Helper()
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	for _, e := range entries {
		name, content, _ := strings.Cut(e, "=")
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}
		if target, link := strings.CutPrefix(content, ">"); link {
			h.Typeflag, h.Linkname, h.Size, content = tar.TypeLink, target, 0, ""
		}
		must(t, tw.WriteHeader(h))
		_, err := io.WriteString(tw, content)
		must(t, err)
	}
	must(t, tw.Close())
	lay, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	must(t, err)
	made, err := images.AppendLayers(empty.Image, lay)
	must(t, err)
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, p.AppendImage(made))
	img, err := source.New(source.Config{}).Open(t.Context(), "oci:"+dir)
	must(t, err)
	defer img.Close()
	res, err := scan.Image(t.Context(), img, scan.Options{Files: true})
	must(t, err)
	return res.Image
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
