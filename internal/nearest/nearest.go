// Package nearest guesses what somebody meant to write. It knows no language
// and no context: callers give it the words that would have been right.
package nearest

import "strings"

// Word returns the candidate that a word was most likely meant to be, if one
// is close enough: a third of its letters may be wrong, and two neighbours
// that were swapped count once. Upper and lower case are the same.
func Word(word string, candidates []string) (string, bool) {
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
