package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"
	"testing"
)

// claiming makes an image whose config gives all its layers the diffID of the
// first, whatever they hold.
func claiming(t testing.TB, stored ...[]byte) *fixture {
	t.Helper()
	plain := tarOf(t, "etc/a", "first")
	f := &fixture{}
	var ids, history, layers []any
	for i, b := range stored {
		f.layers = append(f.layers, fixtureLayer{plain: plain, stored: b, mediaType: gzipLayer})
		ids = append(ids, sum(plain))
		history = append(history, object{"created_by": fmt.Sprintf("RUN step %d", i)})
		layers = append(layers, descriptor(gzipLayer, b))
	}
	f.config = toJSON(t, object{
		"os": "linux", "architecture": "amd64", "rootfs": object{"type": "layers", "diff_ids": ids}, "history": history,
	})
	f.manifest = toJSON(t, object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", f.config), "layers": layers,
	})
	return f
}

// dockerItems is a docker archive with a file for each layer, and links where
// two layers are one blob.
func (f *fixture) dockerItems(t testing.TB) []item {
	var items []item
	var names []string
	first := map[string]string{}
	for i, l := range f.layers {
		name := fmt.Sprintf("l%d/layer.tar", i)
		names = append(names, name)
		it := item{name: name, body: l.stored}
		if to, dup := first[sum(l.stored)]; dup {
			it = item{name: name, typeflag: '2', link: "../" + to}
		} else {
			first[sum(l.stored)] = name
		}
		items = append(items, it)
	}
	return append(items, item{name: "config.json", body: f.config},
		item{name: "manifest.json", body: toJSON(t, []object{{"Config": "config.json", "RepoTags": []string{"a:1"}, "Layers": names}})})
}

// TestLayersThatClaimOneDiffID are all read and checked: taking the first for
// the rest would report its files and bytes for theirs.
func TestLayersThatClaimOneDiffID(t *testing.T) {
	t.Parallel()
	plain, other := tarOf(t, "etc/a", "first"), tarOf(t, "etc/b", noise(4, 9000))
	for name, tc := range map[string]struct {
		image *fixture
		reads int32  // visits where a layer can be opened apart
		want  string // of the error; "" is none
	}{
		"one blob":          {claiming(t, gz(t, plain), gz(t, plain)), 1, ""},
		"two compressions":  {claiming(t, gz(t, plain), zst(t, plain), gz(t, plain)), 2, ""},
		"the second lies":   {claiming(t, gz(t, plain), gz(t, other)), 2, "reading layer 1: the unpacked layer has the digest " + sum(other)},
		"the first lies":    {claiming(t, gz(t, other), gz(t, plain)), 2, "reading layer 0: the unpacked layer has the digest " + sum(other)},
		"the third is odd":  {claiming(t, gz(t, plain), gz(t, plain), gz(t, other)), 2, "reading layer 2: the unpacked layer has the digest "},
		"the second is cut": {claiming(t, gz(t, plain), gz(t, other)[:900]), 2, "reading layer 1: unpacking gzip"},
		"the second is no layer": {claiming(t, gz(t, plain), bytes.Repeat([]byte("no tar "), 100)), 2,
			"reading layer 1: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := tc.image
			host := serve(t, nil)
			f.push(t, host, "app", "1")
			oci, docker := archiveOf(t, itemsOf(f.ociFiles(t, "1"))...), archiveOf(t, f.dockerItems(t)...)
			for kind, ref := range map[string]string{
				"registry": host + "/app:1", "layout": "oci:" + writeDir(t, f.ociFiles(t, "1")),
				"oci archive": writeFile(t, "a.tar", oci), "oci archive, gzip": writeFile(t, "a.tgz", gz(t, oci)),
				"docker archive": writeFile(t, "a.tar", docker), "docker archive, gzip": writeFile(t, "a.tgz", gz(t, docker)),
			} {
				visits, err := countVisits(t, New(Config{}), ref, plain)
				if tc.want == "" && (err != nil || visits != tc.reads) {
					t.Errorf("%s: %d visits, want %d, and %v", kind, visits, tc.reads, err)
				}
				if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("%s: %v, want %q", kind, err, tc.want)
				}
			}
			items := f.newDockerItems(t, "app:1", false)
			for order, items := range map[string][]item{"manifest among blobs": items, "reversed": reversed(items), "manifest first": manifestFirst(f, items), "manifest last": reversed(manifestFirst(f, reversed(items)))} {
				e := &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": f.inspected(t, sum(f.manifest))}, stream: archiveOf(t, items...)}
				_, err := countVisits(t, New(Config{Engine: Engine{Host: e.listen(t)}}), "docker-daemon:app:1", plain)
				if (tc.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("engine, %s: %v, want %q", order, err, tc.want)
				}
			}
		})
	}
}

// manifestFirst moves the config and the manifest of f before everything else.
func manifestFirst(f *fixture, items []item) []item {
	var first, rest []item
	for _, it := range items {
		if base := path.Base(it.name); base == path.Base(blobPath(f.manifest)) || base == path.Base(blobPath(f.config)) {
			first = append(first, it)
		} else {
			rest = append(rest, it)
		}
	}
	return append(first, rest...)
}

// countVisits reads the image, whose layers all are want, and counts visits.
func countVisits(t *testing.T, o *Opener, ref string, want []byte) (int32, error) {
	t.Helper()
	img, err := o.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	var visits atomic.Int32
	got, err := Read(t.Context(), img, ReadOptions{}, func(_ context.Context, r io.Reader) ([]byte, error) {
		visits.Add(1)
		return io.ReadAll(r)
	})
	for i, b := range got {
		if !bytes.Equal(b, want) {
			t.Errorf("%s: layer %d differs", ref, i)
		}
	}
	return visits.Load(), err
}
