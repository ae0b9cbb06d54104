package baseline

import (
	"testing"

	"github.com/org/image-budget/footprint"
)

// FuzzFigures reads names that anybody may have given a file.
func FuzzFigures(f *testing.F) {
	for _, s := range []string{"", "c1", "e0-u2-f1", "u2-f1", "c1-u2", "c999999999999999999-u1-f1", "c9999999999999999999", "c-1", "c1e9", "c1u2-f3", "C1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := readFigures(text)
		if p.Compressed < 0 || p.Unpacked < 0 || p.Final < 0 || p.Has&^(footprint.HasCompressed|footprint.HasFiles) != 0 {
			t.Errorf("%q is read as %+v", text, p)
		}
		if again := readFigures(figures(p)); again != p {
			t.Errorf("%q is read as %+v, and then as %+v", text, p, again)
		}
	})
}
