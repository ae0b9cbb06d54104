package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	t.Parallel()
	words := []string{"compressed", "unpacked", "wasted", "limits", "max", "check", "file", "limits.growth.max"}
	for word, want := range map[string]string{
		"compresed": "compressed", "UNPACKED": "unpacked", "limts": "limits", "mxa": "max", "chek": "check", "fiel": "file",
		"checks": "check", "growth.max": "limits.growth.max", "file": "file", "waste": "wasted", "x": "", "": "", "elephant": "", strings.Repeat("a", 1000): "",
	} {
		got, ok := Word(word, words)
		if got != want || ok != (want != "") {
			t.Errorf("Word(%.20q) is %q, %v; want %q", word, got, ok, want)
		}
	}
}
