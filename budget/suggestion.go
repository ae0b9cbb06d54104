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

func printable(s string) bool {
	return strings.IndexFunc(s, unicode.IsControl) < 0
}

// nearest finds the candidate that a word was most likely meant to be.
func nearest(word string, candidates []string) (string, bool) {
	if len(word) > 200 {
		return "", false
	}
	best, distance := "", max(1, len(word)/3)+1
	lower := strings.ToLower(word)
	for _, c := range candidates {
		if len(c) > 200 {
			continue
		}
		got := edits(lower, strings.ToLower(c))
		if got < distance {
			best, distance = c, got
		}
	}
	if best == "" && len(lower) >= 3 {
		for _, c := range candidates {
			if strings.HasPrefix(lower, c) || strings.HasPrefix(c, lower) || strings.HasSuffix(c, "."+lower) {
				return c, true
			}
		}
	}
	return best, best != ""
}

// edits counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b, in bytes.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
