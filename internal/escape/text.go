package escape

import "strings"

// breaker is a zero-width space. GitHub looks for mentions, references and emoji names
// in the text of the finished page, where a backslash or an entity has no effect any
// more: only another character between the parts keeps it from finding them. Written as
// an entity it is there to see in the markdown source.
const breaker = "&#8203;"

// maxHex is the longest run of hexadecimal digits that cannot be a commit id.
const maxHex = 6

// Text returns s as markdown in which nothing is active: no link, image, HTML,
// emphasis, code, heading, list, quote, table, footnote, formula, mention, issue or commit
// reference and no emoji name. White space at the ends is dropped, since markdown would
// read it as layout. Its length is not bounded.
//
// It reads like s but holds zero-width spaces, and "$" becomes its full-width form,
// because GitHub offers no escape for formulas; what a reader would copy belongs into
// CodeN.
func Text(s string) string {
	line := strings.TrimSpace(Line(s))
	mark := leadingMark(line)
	var b strings.Builder
	b.Grow(len(line) + 16)
	hex := 0
	for i := 0; i < len(line); i++ {
		if !isHex(line[i]) {
			hex = 0
		} else if hex++; hex > maxHex {
			b.WriteString(breaker)
			hex = 1
		}
		if word := breakAfter(line[i:]); word > 0 {
			b.WriteString(line[i:i+word] + breaker)
			i += word - 1
			hex = 0
			continue
		}
		if i == mark {
			b.WriteByte('\\')
		}
		b.WriteString(inert(line[i]))
		if line[i] == ':' && i+1 < len(line) && line[i+1] != ' ' {
			b.WriteString(breaker)
		}
	}
	return b.String()
}

// inert returns one byte of text so that markdown sees no syntax in it.
func inert(c byte) string {
	switch c {
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '&':
		return "&amp;"
	case '|':
		// Not \|: a row is split before escapes are read, and parsers differ on \\|.
		return "&#124;"
	case '$':
		return "＄"
	case '@':
		return "@" + breaker
	case '#':
		return `\#` + breaker
	case '\\', '`', '*', '_', '~', '[', ']', '!':
		return string([]byte{'\\', c})
	}
	return string([]byte{c}) // also one byte of a longer character
}

// leadingMark returns where in a line the character stands that would make it a list
// item, a rule, a definition or an underline, or its beginning a link target after a "]"; -1 if there is
// none. Marks that inert escapes anyway are left out.
func leadingMark(line string) int {
	if line == "" {
		return -1
	}
	if strings.IndexByte("-+=(:", line[0]) >= 0 {
		return 0
	}
	digits := 0
	for digits < len(line) && line[digits] >= '0' && line[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits <= maxListDigits && digits < len(line) && strings.IndexByte(".)", line[digits]) >= 0 {
		return digits
	}
	return -1
}

// maxListDigits is how many digits CommonMark lets an ordered list begin with.
const maxListDigits = 9

// breakAfter returns the length of the prefix of s that GitHub would read together with
// what follows it, or 0.
func breakAfter(s string) int {
	for _, word := range [...]string{"www", "GH-", "GHSA-", "CVE-"} {
		if len(s) >= len(word) && strings.EqualFold(s[:len(word)], word) {
			return len(word)
		}
	}
	return 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
