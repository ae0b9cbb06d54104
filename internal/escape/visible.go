package escape

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may follow one another. No script needs
// more; longer stacks are drawn over the neighbouring rows of a table.
const maxMarks = 4

// Line returns s as one line for a terminal or a log: control bytes (ESC, CR, LF,
// tab, C1), bidirectional and invisible characters and bytes that are not UTF-8 are
// spelled out. Its length is not bounded: it is at most ten times that of s.
//
// Line knows nothing of runner commands; a log read by a runner also passes through
// a writer that does.
func Line(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for v := (visibleReader{rest: s}); ; {
		unit, ok := v.next()
		if !ok {
			return b.String()
		}
		b.WriteString(unit)
	}
}

// isPlain is the shortcut for the usual case: nothing but printable ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// visibleReader takes a string apart into units: a character that can be shown, or
// the spelling of one that cannot. A spelling is never split by a reader that cuts.
type visibleReader struct {
	rest  string
	prev  rune
	marks int
}

// next returns the next unit, and false at the end.
func (v *visibleReader) next() (string, bool) {
	if v.rest == "" {
		return "", false
	}
	r, size := utf8.DecodeRuneInString(v.rest)
	char := v.rest[:size]
	v.rest = v.rest[size:]
	prev := v.prev
	v.prev = r
	if unicode.In(r, unicode.Mn, unicode.Me) {
		v.marks++
	} else {
		v.marks = 0
	}
	switch {
	case r == utf8.RuneError && size == 1:
		v.prev = 0 // U+FFFD would count as a symbol
		return fmt.Sprintf(`\x%02x`, char[0]), true
	case isEmojiStyle(r) && unicode.Is(unicode.So, prev):
		// It only picks the coloured form of the symbol before it.
		return char, true
	case isHidden(r) || v.marks > maxMarks:
		return spell(r), true
	}
	return char, true
}

// isHidden reports whether r draws nothing of its own, moves what is around it, or
// ends the line.
func isHidden(r rune) bool {
	if r >= ' ' && r <= '~' {
		return false
	}
	return !unicode.IsGraphic(r) || // Cc, Cf, Co, Cs, unassigned, line and paragraph separators
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isEmojiStyle reports whether r is one of the selectors for text or emoji style.
func isEmojiStyle(r rune) bool { return r == '\ufe0e' || r == '\ufe0f' }

// spell writes r as Go would in a string literal.
func spell(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}

// cut returns the units of s, at most limit runes of them in the shown form. A longer
// s loses its middle to "…": both ends of a path or a command tell more than one.
// It reads only as much of s as it can show.
func cut(s string, limit int) string {
	var units []string
	total := 0
	v := visibleReader{rest: s}
	for total <= limit {
		unit, ok := v.next()
		if !ok {
			return strings.Join(units, "")
		}
		units = append(units, unit)
		total += utf8.RuneCountInString(unit)
	}
	room := limit - 1 // for the "…"
	head := takeHead(units, (room+1)/2)
	tail := takeTail(s, room/2)
	return head + "…" + tail
}

// takeHead joins the first units that fit into limit runes.
func takeHead(units []string, limit int) string {
	var b strings.Builder
	for _, unit := range units {
		if limit -= utf8.RuneCountInString(unit); limit < 0 {
			break
		}
		b.WriteString(unit)
	}
	return b.String()
}

// takeTail joins the last units of s that fit into limit runes. Every unit stands for
// at least one byte, and a rune is at most utf8.UTFMax of them, so a suffix is enough.
func takeTail(s string, limit int) string {
	if from := len(s) - limit*utf8.UTFMax; from > 0 {
		for range utf8.UTFMax - 1 {
			if from < len(s) && !utf8.RuneStart(s[from]) {
				from++
			}
		}
		s = s[from:]
	}
	var units []string
	v := visibleReader{rest: s}
	for {
		unit, ok := v.next()
		if !ok {
			break
		}
		units = append(units, unit)
	}
	first := len(units)
	for first > 0 {
		if limit -= utf8.RuneCountInString(units[first-1]); limit < 0 {
			break
		}
		first--
	}
	return strings.Join(units[first:], "")
}
