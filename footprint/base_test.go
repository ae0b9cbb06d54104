package footprint

import (
	"bytes"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

const mb = 1_000_000

// onDebian is an image whose base holds so many bytes, in two layers or more.
func onDebian(reference string, bytes Bytes, layers int, own ...File) *Image {
	var all []Layer
	files := []File{file("/usr/lib/libc.so", bytes, 0), file("/usr/share/doc/README", 3*mb, 0), file("/etc/passwd", 1000, layers-1)}
	for i := range layers {
		l := layer("FROM "+reference+" "+string(rune('a'+i)), bytes/4)
		all = append(all, l)
	}
	all = append(all, layer("RUN apt-get install", 2*mb), layer("COPY . .", mb))
	files = append(files, file("/usr/bin/tool", 6*mb, layers), file("/app/server.js", 2*mb, layers+1))
	for _, f := range own {
		f.Layer += layers
		f.Made = f.Layer
		all[f.Layer].DiffID += " with " + f.Path
		files = append(files, f)
	}
	// Own layers delete documentation that the base ships, as they always did.
	img := built(all, files, Dead{In: 0, By: layers, Fate: Deleted, Bytes: bytes / 10, Files: 9, Under: "/usr/share/man"})
	splitAt(img, layers)
	img.Base.Reference, img.Base.FoundBy = reference, "FROM"
	return img
}

// TestBaseBump: another base is one cause, with all of its bytes, and nothing
// of it is said to be the project's own doing.
func TestBaseBump(t *testing.T) {
	t.Parallel()
	old := onDebian("debian:12.1", 40*mb, 2)
	for name, c := range map[string]struct {
		new  *Image
		want []string
	}{
		"only the base":       {onDebian("debian:12.5", 51*mb, 2), []string{"12100000 base"}},
		"of more layers":      {onDebian("debian:12.5", 51*mb, 3), []string{"12100000 base"}},
		"and a file above it": {onDebian("debian:12.5", 51*mb, 3, file("/usr/lib/own.so", mb, 0)), []string{"12100000 base", "1000000 /usr/lib/own.so added 3"}},
		"a smaller base":      {onDebian("debian:12.5", 30*mb, 2, file("/usr/lib/own.so", mb, 1)), []string{"1000000 /usr/lib/own.so added 3"}},
	} {
		for _, side := range []struct {
			name     string
			old, new *Image
		}{{"files", old, c.new}, {"a stored baseline", stored(t, old), c.new}} {
			d := compared(t, side.old, side.new)
			var got []string
			for i, text := range causesText(d.Causes) {
				if d.Causes[i].Base {
					text, _, _ = strings.Cut(text, " ")
					text += " base"
				}
				got = append(got, text)
			}
			want := c.want
			if side.name != "files" && name == "and a file above it" {
				// Of the directory, no more is known than that it is in it.
				want = []string{want[0], "1000000 /usr/lib changed 3"}
			}
			if side.name != "files" && name == "a smaller base" {
				want = nil
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, side.name, diff)
			}
			if unpacked, known := d.Base.Unpacked(); d.Base.Change != Changed || !known || unpacked != d.Parts.Base {
				t.Errorf("%s: %+v, parts %+v", name, d.Base, d.Parts)
			}
			if d.Parts.Wasted != 0 {
				t.Errorf("%s: the base's bytes are own waste: %+v", name, d.Parts)
			}
		}
		if own := compared(t, old, c.new); c.new.Own.Unpacked == old.Own.Unpacked && (own.Parts.Files != 0 || own.Parts.Packages != 0) {
			t.Errorf("%s: %+v", name, own.Parts)
		}
	}
}

// TestRebuiltOnAnotherBase: layers that are built anew have other diffIDs for
// times alone. What they always put into a directory is no growth of it.
func TestRebuiltOnAnotherBase(t *testing.T) {
	t.Parallel()
	old, new := onDebian("debian:12.1", 40*mb, 2, file("/usr/lib/tool.so", 5*mb, 0)), onDebian("debian:12.5", 51*mb, 2, file("/usr/lib/tool.so", 5*mb+mb/2, 0))
	for i := 2; i < len(new.Layers); i++ {
		new.Layers[i].DiffID += " again"
	}
	for name, baseline := range map[string]*Image{"files": old, "a stored baseline": stored(t, old)} {
		d := compared(t, baseline, new)
		if len(d.Causes) != 2 || !d.Causes[0].Base || d.Causes[1].Bytes != mb/2 || d.Causes[1].Layer != 2 {
			t.Errorf("%s: %+v", name, d.Causes)
		}
	}
}

// TestBaseBumpOfAManifest: without layers it is told in compressed bytes.
func TestBaseBumpOfAManifest(t *testing.T) {
	t.Parallel()
	unread := func(img *Image) *Image {
		for _, m := range []*Metrics{&img.Metrics, &img.Base.Metrics, img.Own} {
			*m = Metrics{Compressed: m.Compressed, Layers: m.Layers, Has: HasCompressed}
		}
		for i := range img.Layers {
			img.Layers[i].Has = HasCompressed
		}
		img.Files, img.Dirs, img.Dead = nil, nil, nil
		return img
	}
	d := compared(t, unread(onDebian("debian:12.1", 40*mb, 2)), unread(onDebian("debian:12.5", 60*mb, 2)))
	if len(d.Causes) != 1 || !d.Causes[0].Base || d.Causes[0].Bytes != 10*mb || d.Causes[0].Metric != Compressed {
		t.Errorf("%+v", d.Causes)
	}
}

func TestSameBase(t *testing.T) {
	t.Parallel()
	old, renamed := onDebian("debian:12.1", 40*mb, 2), onDebian("debian:12.1", 40*mb, 2)
	renamed.Base.Reference = "debian:12"
	if d := compared(t, old, renamed); d.Base == nil || d.Base.Change != Same {
		t.Errorf("another name is no other base: %+v", d.Base)
	}
	unknown := onDebian("debian:12.1", 40*mb, 2)
	unknown.Base, unknown.Own = nil, nil
	if d := compared(t, old, unknown); d.Base != nil {
		t.Errorf("%+v", d.Base)
	}
	for _, spoil := range []func(l *Layer){func(l *Layer) { l.DiffID = "" }, func(l *Layer) { l.DiffID = "sha256:z" }} {
		other := onDebian("debian:12.1", 40*mb, 2)
		spoil(&other.Layers[1])
		if d := compared(t, old, other); d.Base.Change != Changed {
			t.Error("another layer is the same base")
		}
	}
}

// TestManyCausesKeepTheBase: it is told even if it is the smallest.
func TestManyCausesKeepTheBase(t *testing.T) {
	t.Parallel()
	var files []File
	for i := range 30 {
		files = append(files, file("/srv/"+string(rune('a'+i))+"/x", Bytes(5+i)*mb, 0))
	}
	d := compared(t, onDebian("debian:12.1", 40*mb, 2), onDebian("debian:12.5", 41*mb, 2, files...))
	if n := len(d.Causes); n != maxCauses || !d.Causes[n-1].Base {
		t.Errorf("%d causes, the last is %+v", n, d.Causes[n-1])
	}
}

// TestOldSnapshotsHaveNoDigest: a baseline of before is still one.
func TestOldSnapshotsHaveNoDigest(t *testing.T) {
	t.Parallel()
	img := full()
	img.Base.Digest = ""
	text := encoded(t, img, Meta{})
	if strings.Contains(text, `"reference": "node:20", "digest"`) {
		t.Errorf("an unknown digest is written:\n%s", text)
	}
	back, _, err := DecodeSnapshot(bytes.NewReader([]byte(text)))
	if err != nil || back.Base.Digest != "" || back.Base.Reference != "node:20" {
		t.Errorf("%+v, %v", back, err)
	}
}
