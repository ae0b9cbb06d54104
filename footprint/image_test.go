package footprint

import (
	"bytes"
	"strings"
	"testing"
)

// Every sum that is promised is checked, and what is off by one byte is neither
// compared nor stored.
func TestVerify(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(img *Image){
		"layers counted":              func(img *Image) { img.Metrics.Layers++ },
		"compressed bytes, the image": func(img *Image) { img.Layers[2].Compressed++ },
		"is not final":                func(img *Image) { img.Metrics.Unpacked++ },
		"41024 unpacked and 17":       func(img *Image) { img.Layers[2].Unpacked-- },
		"and 18 wasted":               func(img *Image) { img.Layers[2].Wasted++ },
		"directories add up":          func(img *Image) { img.Dirs[0].Bytes++ },
		"hidden bytes add up":         func(img *Image) { img.Dead[0].Bytes++ },
		"base and own add up":         func(img *Image) { img.Own.Compressed++ },
	} {
		img := full()
		if err := img.Verify(); err != nil {
			t.Fatal(err)
		}
		spoil(img)
		if err := img.Verify(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		for _, pair := range [][2]*Image{{img, full()}, {full(), img}} {
			if d, err := Compare(pair[0], pair[1]); d != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("compared: got %v and %v, want %q", d, err, want)
			}
		}
		if err := EncodeSnapshot(&bytes.Buffer{}, img, Meta{}); err == nil {
			t.Errorf("stored in spite of %q", want)
		}
	}
	for name, spoil := range map[string]func(m *Metrics){
		"compressed": func(m *Metrics) { m.Compressed++ },
		"unpacked":   func(m *Metrics) { m.Unpacked++ },
		"final":      func(m *Metrics) { m.Final++ },
		"wasted":     func(m *Metrics) { m.Wasted++ },
		"layers":     func(m *Metrics) { m.Layers++ },
		"files":      func(m *Metrics) { m.Files++ },
	} {
		for which, part := range map[string]func(*Image) *Metrics{
			"own": func(img *Image) *Metrics { return img.Own }, "base": func(img *Image) *Metrics { return &img.Base.Metrics },
		} {
			img := full()
			spoil(part(img))
			if err := img.Verify(); err == nil || !strings.Contains(err.Error(), "base and own") {
				t.Errorf("%s of %s: got %v", name, which, err)
			}
		}
	}
}

// What was not measured is not added up.
func TestVerifyOfAManifest(t *testing.T) {
	t.Parallel()
	img := sized(t, "A=5 | B=6")
	img.Layers[0].Unpacked, img.Metrics.Final = 7, 9
	if err := img.Verify(); err != nil {
		t.Error(err)
	}
	img.Layers[0].Compressed++
	if err := img.Verify(); err == nil {
		t.Error("a wrong sum was accepted")
	}
	img.Layers[1].Has = 0
	if err := img.Verify(); err != nil {
		t.Errorf("the size of a layer is not known, and the sum is wrong: %v", err)
	}
}

func TestDeltaVerify(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(d *Delta){
		"the parts of the change": func(d *Delta) { d.Parts.Packages++ },
		"unpacked changed by":     func(d *Delta) { d.Unpacked++ },
		"the changed paths":       func(d *Delta) { d.Paths[0].Bytes++ },
		"final changed by":        func(d *Delta) { d.Final++ },
	} {
		d := compared(t, built([]Layer{layer("FROM", 1)}, []File{file("/a", 5, 0)}), full())
		if err := d.Verify(); err != nil {
			t.Fatal(err)
		}
		spoil(d)
		if err := d.Verify(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		d.Has = HasCompressed
		if err := d.Verify(); err != nil {
			t.Errorf("without files: %v", err)
		}
	}
}
