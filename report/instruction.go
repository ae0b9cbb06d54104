package report

import (
	"unicode/utf8"

	"github.com/org/image-budget/footprint"
)

// maxInstruction bounds how much of a history line is looked at: a here-document
// can be as long as its author likes, and no format shows more than a line.
const maxInstruction = 4096

// made says what made a layer as it stood in the Dockerfile, or that nobody
// recorded it.
func made(l *footprint.Layer) string {
	line := footprint.Layer{CreatedBy: cutRune(legible(l.CreatedBy), maxInstruction)}
	if command := line.Command(); command != "" {
		return command
	}
	if l.InBase {
		return "(base image)"
	}
	return "(no history)"
}

// cutRune returns the first bytes of s, at most limit, without splitting a
// character.
func cutRune(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
