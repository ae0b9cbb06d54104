package baseline

import (
	"path"
	"testing"
	"unicode/utf8"
)

func FuzzBranchNames(f *testing.F) {
	for _, s := range []string{"web", "acme/web", "A+b", "..", ".git", "%41", "a.b-c_d", "\u202egpj", "linux/arm64/v8", "con ", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := escapeName(s)
		if s != "" && (name != path.Base(name) || name[0] == '.') {
			t.Errorf("%q became %q, which is no name of a file", s, name)
		}
		for i := range len(name) {
			if c := name[i]; !plainByte(c) && c != '+' && c != '%' && !('A' <= c && c <= 'F') {
				t.Errorf("%q became %q", s, name)
			}
		}
		if back, ok := unescapeName(name); utf8.ValidString(s) && s != "" && (!ok || back != s) {
			t.Errorf("%q became %q and came back as %q, %v", s, name, back, ok)
		}
		if plain, ok := unescapeName(s); ok && escapeName(plain) != s {
			t.Errorf("%q was read as %q", s, plain)
		}
	})
}
