package budget

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// ParseError is one mistake in a budget file.
type ParseError struct {
	// File is the name given to [Parse].
	File string
	// Line and Col count from 1; Col counts characters.
	Line, Col int
	// Msg says what is wrong, Hint what to do about it ("" if unknown).
	Msg, Hint string
	// Source is the line, made safe to print and cut around the column, and
	// Caret points into it. Both are "" where there is no such line.
	Source, Caret string
}

// Error prints "file:line:col: message", the line, a caret below the column,
// and the hint.
func (e *ParseError) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
	if e.Source != "" {
		fmt.Fprintf(&out, "\n    %s\n    %s", e.Source, e.Caret)
	}
	if e.Hint != "" {
		fmt.Fprintf(&out, "\n%s", e.Hint)
	}
	return out.String()
}

// Errors are all the mistakes of a budget file, in the order of their places.
// It is what [Parse] returns, and never empty then.
type Errors []*ParseError

// Error prints one mistake after the other.
func (e Errors) Error() string {
	parts := make([]string, len(e))
	for i, p := range e {
		parts[i] = p.Error()
	}
	return strings.Join(parts, "\n")
}

// Unwrap gives the mistakes to errors.As.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, p := range e {
		out[i] = p
	}
	return out
}

// excerptWidth is how much of a line is shown, in columns of a terminal.
const excerptWidth = 96

// excerpt cuts a line around a column and returns it with the caret below.
// Tabs and characters that steer a terminal become a blank or a "?".
func excerpt(line string, col int) (source, caret string) {
	runes := []rune(line)
	at := min(max(col-1, 0), len(runes))
	start := 0
	if at > excerptWidth*2/3 {
		start = at - excerptWidth/2
	}
	end := min(len(runes), start+excerptWidth)
	width := runewidth.Condition{}
	var out, pad strings.Builder
	if start > 0 {
		out.WriteString("… ")
		pad.WriteString("  ")
	}
	for i, r := range runes[start:end] {
		switch {
		case r == '\t':
			r = ' '
		case !unicode.IsPrint(r):
			r = '?'
		}
		out.WriteRune(r)
		if start+i < at {
			pad.WriteString(strings.Repeat(" ", width.RuneWidth(r)))
		}
	}
	if end < len(runes) {
		out.WriteString(" …")
	}
	if strings.TrimSpace(out.String()) == "" {
		return "", ""
	}
	return out.String(), pad.String() + "^"
}
