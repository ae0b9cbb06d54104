package footprint

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sized makes an image of layers like "A=10", base first: A is the diffID, 10
// the compressed size, "~10" an estimate, "?" not measured, and "|" the end of
// the base. The method of estimates is gzip, or what follows "by ".
func sized(t testing.TB, text string) *Image {
	t.Helper()
	text, by, named := strings.Cut(text, " by ")
	if !named {
		by = "gzip"
	}
	img := &Image{Platform: "linux/amd64", Metrics: Metrics{Has: HasCompressed}}
	base := -1
	for _, field := range strings.Fields(text) {
		if field == "|" {
			base = len(img.Layers)
			continue
		}
		id, size, _ := strings.Cut(field, "=")
		l := Layer{Index: len(img.Layers), DiffID: id, InBase: base < 0}
		if size != "?" {
			size, l.CompressedEstimated = strings.CutPrefix(size, "~")
			l.Has = HasCompressed
			if _, err := fmt.Sscan(size, &l.Compressed); err != nil {
				t.Fatalf("%q: %v", field, err)
			}
		}
		img.Layers = append(img.Layers, l)
	}
	total := func(layers []Layer) Metrics {
		m := Metrics{Layers: len(layers), Has: HasCompressed}
		for _, l := range layers {
			m.Has &= l.Has
		}
		m.sumCompressed(layers)
		return m
	}
	img.Metrics = total(img.Layers)
	if img.Metrics.CompressedEstimated {
		img.EstimatedBy = by
	}
	if base < 0 {
		for i := range img.Layers {
			img.Layers[i].InBase = false
		}
		return img
	}
	own := total(img.Layers[base:])
	img.Base, img.Own = &Base{Metrics: total(img.Layers[:base])}, &own
	return img
}

// sizedText is what sized reads.
func sizedText(img *Image) string {
	var out []string
	for i, l := range img.Layers {
		if img.Base != nil && i == img.Base.Metrics.Layers {
			out = append(out, "|")
		}
		mark := ""
		if l.CompressedEstimated {
			mark = "~"
		}
		out = append(out, fmt.Sprintf("%s=%s%d", l.DiffID, mark, l.Compressed))
	}
	return strings.Join(out, " ")
}

func TestSameMethod(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, new   string
		image, own bool
	}{
		"all read":                                 {"A=5 | B=6", "A=5 | C=7", true, true},
		"all estimated":                            {"A=~5 | B=~6", "A=~5 | C=~7", true, true},
		"estimated by two methods":                 {"A=~5 | B=~6", "A=~4 | B=~7 by zstd", false, false},
		"two methods, of the same result":          {"A=~5 | B=~6", "A=~5 | B=~6 by zstd", true, true},
		"estimate against a blob":                  {"A=~5 | B=~6", "A=4 | B=7", false, false},
		"what both have was read":                  {"A=5 | B=~6", "A=5 | C=~7", true, true},
		"what both have is of one size":            {"A=~5 | B=6", "A=5 | C=7", true, true},
		"one layer more, an estimate":              {"A=5 | B=6", "A=5 | B=6 C=~7", true, true},
		"one layer less, an estimate":              {"A=5 | B=6 C=~7", "A=5 | B=6", true, true},
		"two layers more, one an estimate":         {"A=5 |", "A=5 | B=6 C=~7", false, false},
		"one layer each, one an estimate":          {"A=5 | B=6", "A=5 | C=~7", false, false},
		"only the bases differ":                    {"A=5 | C=6", "B=~5 | C=6", false, true},
		"pushed anew with another compression":     {"A=5 | B=6", "A=4 | B=6", true, true},
		"anew, and another layer is an estimate":   {"A=5 | B=6", "A=4 | C=~6", false, false},
		"anew, while the own one is an estimate":   {"A=5 | B=6", "A=4 | B=6 C=~6", true, true},
		"twice, then once":                         {"A=5 A=5 |", "A=5 |", true, true},
		"twice, then once with an estimated other": {"A=5 A=5 |", "A=5 | B=~6", true, true},
		"another base of blobs, own estimates":     {"A=5 | C=~6", "B=9 D=1 | E=~7", true, true},
		"the same by two methods":                  {"A=5 | C=~6", "B=9 D=1 | E=~7 by zstd", false, false},
		"another base that is not known in full":   {"A=5 | C=~6", "B=9 D=~1 | E=~7", false, true},
		"own layers of both kinds":                 {"A=5 | C=~6", "B=9 | E=~7 F=8", false, false},
		"no boundary to tell them apart by":        {"A=5 C=~6", "B=9 D=1 E=~7", false, false},
		"moved":                                    {"A=5 | B=6 C=~7", "A=5 | C=~7 B=6", true, true},
		"nothing above the base":                   {"A=5 |", "B=~5 |", false, true},
		"no boundary in the old":                   {"A=5 B=6", "A=5 | B=6", true, false},
		"no boundary in the new":                   {"A=5 | B=6", "A=5 B=6", true, false},
		"a base that is not sized":                 {"A=? | B=6", "A=5 | B=6", false, true},
		"an own one without a size":                {"A=5 | B=?", "A=5 | B=6", false, false},
		"no layers":                                {"|", "|", true, true},
	} {
		old, new := sized(t, c.old), sized(t, c.new)
		if got := SameMethod(old, new, false); got != c.image {
			t.Errorf("%s: image %v", name, got)
		}
		if got := SameMethod(old, new, true); got != c.own {
			t.Errorf("%s: own %v", name, got)
		}
		if SameMethod(new, old, false) != c.image || SameMethod(new, old, true) != c.own {
			t.Errorf("%s: another one the other way round", name)
		}
		d := compared(t, old, new)
		if d.Has&HasCompressed != 0 != c.image {
			t.Errorf("%s: compared %b", name, d.Has)
		}
		if want := new.Metrics.Compressed - old.Metrics.Compressed; c.image && d.Compressed != want || !c.image && d.Compressed != 0 {
			t.Errorf("%s: changed by %d", name, d.Compressed)
		}
	}
}

func TestSameMethodNeedsTheLayers(t *testing.T) {
	t.Parallel()
	whole, bare := sized(t, "A=5 | B=6"), sized(t, "A=5 | B=6")
	bare.Layers = nil
	unnamed := sized(t, "A=5 | =6")
	estimated := sized(t, "A=5 | =~6")
	if SameMethod(whole, bare, false) || SameMethod(bare, whole, true) {
		t.Error("an image without layers was compared")
	}
	if !SameMethod(unnamed, unnamed, true) || SameMethod(unnamed, estimated, false) {
		t.Error("layers without a diffID were taken for the same")
	}
}

func TestAlign(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, wantOld, wantNew string }{
		"the same image, a layer of it known":  {"A=~5 | B=~6 C=~7", "A=~5 | B=8 C=~7", "A=~5 | B=8 C=~7", "A=~5 | B=8 C=~7"},
		"the same image, pushed":               {"A=~5 | B=~6", "A=4 | B=5", "A=4 | B=5", "A=4 | B=5"},
		"the same image, not pushed":           {"A=4 | B=5", "A=~5 | B=~6", "A=4 | B=5", "A=4 | B=5"},
		"each knows another one":               {"A=4 | B=~6", "A=~5 | B=5", "A=4 | B=5", "A=4 | B=5"},
		"elsewhere in the other":               {"A=~5 | B=~6", "B=5 | A=4", "A=4 | B=5", "B=5 | A=4"},
		"twice":                                {"A=~5 | A=~5", "A=4 |", "A=4 | A=4", "A=4 |"},
		"pushed anew with another compression": {"A=5 | B=~6", "A=4 | B=5", "A=5 | B=5", "A=4 | B=5"},
		"two estimates stay":                   {"A=~5 | B=~6", "A=~4 | C=~5", "A=~5 | B=~6", "A=~4 | C=~5"},
		"nothing in common":                    {"A=~5", "B=6", "A=~5", "B=6"},
		"no diffID":                            {"=~5", "=6", "=~5", "=6"},
	} {
		old, new := sized(t, c.old), sized(t, c.new)
		Align(old, new)
		for which, pair := range map[string]struct {
			got  *Image
			want string
		}{"old": {old, c.wantOld}, "new": {new, c.wantNew}} {
			if diff := gocmp.Diff(sized(t, pair.want), pair.got); diff != "" {
				t.Errorf("%s, %s: %s", name, which, diff)
			}
			if err := pair.got.Verify(); err != nil {
				t.Errorf("%s, %s: %v", name, which, err)
			}
		}
	}
}

func TestAlignLeavesUnmeasuredLayers(t *testing.T) {
	t.Parallel()
	old, new := sized(t, "A=? B=~6"), sized(t, "A=5 B=5")
	Align(old, new)
	if got, want := sizedText(old), "A=0 B=5"; got != want || old.Metrics.Has != 0 || old.Metrics.Compressed != 0 || old.EstimatedBy != "" {
		t.Errorf("got %s and %+v, want %s", got, old.Metrics, want)
	}
}

// A copy of an image that was made before stays as it was.
func TestAlignKeepsCopies(t *testing.T) {
	t.Parallel()
	old, new := sized(t, "A=~5 | B=~6"), sized(t, "A=4 | B=5")
	copied := *old
	Align(old, new)
	if diff := gocmp.Diff(sized(t, "A=~5 | B=~6"), &copied); diff != "" {
		t.Error(diff)
	}
}

// An image that is the same but for where it was measured never differs.
func TestTheSameImageNeverGrows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		a := random(r)
		blobs := map[string]Bytes{}
		for _, l := range a.Layers {
			blobs[l.DiffID] = Bytes(r.IntN(1000))
		}
		measured := func() *Image {
			img := *a
			img.Layers, img.EstimatedBy = slices.Clone(a.Layers), "gzip"
			known := map[string]bool{}
			for id := range blobs {
				known[id] = r.IntN(2) == 0
			}
			for i := range img.Layers {
				l := &img.Layers[i]
				l.Compressed, l.CompressedEstimated = blobs[l.DiffID], false
				if !known[l.DiffID] {
					l.Compressed, l.CompressedEstimated = blobs[l.DiffID]*2+7, true
				}
			}
			img.Metrics.sumCompressed(img.Layers)
			if img.Base != nil {
				base, own := *img.Base, *img.Own
				base.Metrics.sumCompressed(nil)
				own.sumCompressed(img.Layers)
				img.Base, img.Own = &base, &own
			}
			if !img.Metrics.CompressedEstimated {
				img.EstimatedBy = ""
			}
			return &img
		}
		old, new := stored(t, measured()), measured()
		Align(old, new)
		d := compared(t, old, new)
		if d.Has&HasCompressed == 0 || d.Compressed != 0 || old.Own != nil && !SameMethod(old, new, true) {
			t.Fatalf("seed %d: %s and %s: changed by %d", seed, sizedText(old), sizedText(new), d.Compressed)
		}
		if diff := gocmp.Diff(old.Metrics, new.Metrics, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}
