package dockerfile

import (
	"strings"
	"unicode"
)

// BaseWord is the range in Src of the image that FROM of a stage names, as it is
// written; ok is false where it is not found there.
func (f *File) BaseWord(stage int) (start, end int, ok bool) {
	if stage < 0 || stage >= len(f.Stages) || f.Stages[stage].from.BaseName == "" {
		return 0, 0, false
	}
	s := f.Stages[stage]
	word := s.from.BaseName
	text, places, _ := Step{Instruction: Instruction{Start: s.Start, End: s.fromEnd}, file: f}.joined()
	space := func(at int) bool { return at >= len(text) || unicode.IsSpace(rune(text[at])) }
	for at := 1; at < len(text); at++ {
		n := strings.Index(text[at:], word)
		if n < 0 {
			break
		}
		// A flag may end in the same letters, and AS name the same word later.
		if at += n; space(at-1) && space(at+len(word)) {
			start, end = places[at], places[at+len(word)-1]+1
			return start, end, end-start == len(word)
		}
	}
	return 0, 0, false
}
