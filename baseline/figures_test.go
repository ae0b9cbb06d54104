package baseline

import (
	"testing"

	"github.com/org/image-budget/footprint"
)

// What a report refuses to hold is no figure.
func TestAbsurdFigures(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]footprint.Past{
		"c1125899906842624":                   {Compressed: 1 << 50, Has: footprint.HasCompressed},
		"c1125899906842625":                   {},
		"c1-u1125899906842625-f1":             {},
		"e1-u1-f999999999999999999":           {},
		"u1125899906842624-f1125899906842624": {Unpacked: 1 << 50, Final: 1 << 50, Has: footprint.HasFiles},
	} {
		if got := readFigures(text); got != want {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// FuzzFigures reads names that anybody may have given a file.
func FuzzFigures(f *testing.F) {
	for _, s := range []string{"", "c1", "e0-u2-f1", "u2-f1", "c1-u2", "c999999999999999999-u1-f1", "c9999999999999999999", "c-1", "c1e9", "c1u2-f3", "C1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := readFigures(text)
		if min(p.Compressed, p.Unpacked, p.Final) < 0 || max(p.Compressed, p.Unpacked, p.Final) > maxFigure || p.Has&^(footprint.HasCompressed|footprint.HasFiles) != 0 {
			t.Errorf("%q is read as %+v", text, p)
		}
		if again := readFigures(figures(p)); again != p {
			t.Errorf("%q is read as %+v, and then as %+v", text, p, again)
		}
	})
}
