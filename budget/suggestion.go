package budget

import (
	"fmt"
	"strings"
	"unicode"
)

func didYouMean(s string) string { return fmt.Sprintf("did you mean %s?", quote(s)) }

// quote puts a text from outside into a message: printable, and not long.
func quote(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		s = string(runes[:79]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// clip shortens a name from outside to what a table can show.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	return s
}

func printable(s string) bool {
	return strings.IndexFunc(s, unicode.IsControl) < 0
}
