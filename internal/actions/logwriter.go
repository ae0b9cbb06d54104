package actions

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/org/image-budget/internal/escape"
)

// maxLine bounds what a LogWriter holds back, in bytes. A longer line is broken up.
const maxLine = 16 << 10

// A LogWriter passes text on to a writer that a runner may read, line by line, such that
// no line of it is a runner command: neither "::name::" at its start nor "##[name]"
// anywhere. It also spells out control, bidirectional and invisible characters, a CR that is
// not before a LF, and ANSI sequences other than plain colours. Tabs stay.
//
// It holds back the end of an unfinished line, at most 16 KiB, until more is written or
// Close is called, and writes whole lines only, so several may share one target. It is safe
// for concurrent use.
type LogWriter struct {
	mu      sync.Mutex
	w       io.Writer
	pending []byte
}

// NewLogWriter returns a LogWriter in front of w.
func NewLogWriter(w io.Writer) *LogWriter { return &LogWriter{w: w} }

// Write takes p. It returns len(p) and nil, or the target's error and how many bytes were
// taken until then.
func (l *LogWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := 0
	for taken < len(p) {
		rest := p[taken:]
		room := maxLine - len(l.pending)
		end := bytes.IndexByte(rest[:min(room+1, len(rest))], '\n')
		var err error
		switch {
		case end >= 0:
			l.pending = bytes.TrimSuffix(append(l.pending, rest[:end]...), []byte("\r"))
			taken += end + 1
			err = l.flush(len(l.pending))
		case len(rest) <= room:
			l.pending = append(l.pending, rest...)
			taken += len(rest)
		default: // too long a line: the rest becomes a line of its own
			l.pending = append(l.pending, rest[:room]...)
			taken += room
			err = l.flush(wholeRunes(l.pending))
		}
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// wholeRunes returns the length of p without a character that only begins in it.
func wholeRunes(p []byte) int {
	for i := len(p) - 1; i >= 0 && len(p)-i < utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				return i
			}
			break
		}
	}
	return len(p)
}

// Close writes what is left as a line of its own, and returns the target's error. It does
// not close the target. The LogWriter can be used on.
func (l *LogWriter) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return nil
	}
	return l.flush(len(l.pending))
}

// flush writes the first n bytes held back as a line and keeps the rest.
func (l *LogWriter) flush(n int) error {
	line := harmless(string(l.pending[:n]))
	l.pending = append(l.pending[:0], l.pending[n:]...)
	_, err := l.w.Write([]byte(line + "\n"))
	return err
}

// kept are what stays as it is: tabs, and the sixteen colours, bold, faint, italic and
// underlined. "Concealed" is not among them.
var kept = regexp.MustCompile(`\t|\x1b\[(?:(?:0|1|2|3|4|22|23|24|39|49|[34][0-7]|9[0-7]|10[0-7])(?:;(?:0|1|2|3|4|22|23|24|39|49|[34][0-7]|9[0-7]|10[0-7]))*)?m`)

// harmless returns one line without its end so that a runner takes it for text.
//
// The runner compares by the rules of a language, which skip control and invisible
// characters. Those are spelled out first, and colours are looked through, so that only
// visible characters decide, here as there.
func harmless(line string) string {
	var b strings.Builder
	var p prefixes
	from := 0
	for _, at := range kept.FindAllStringIndex(line, -1) {
		p.copy(&b, escape.Line(line[from:at[0]]))
		if line[at[0]] == '\t' {
			p.copy(&b, "\t")
		} else {
			if p.hashes >= 2 { // a colour has a "[" of its own
				b.WriteByte(' ')
				p.hashes = 0
			}
			b.WriteString(line[at[0]:at[1]])
		}
		from = at[1]
	}
	p.copy(&b, escape.Line(line[from:]))
	return b.String()
}

// prefixes finds the beginnings of commands in the visible text of one line.
type prefixes struct {
	begun  bool // something other than white space was seen
	colon  bool // and all of it was one ":"
	hashes int  // how many "#" were seen last
}

// copy writes text to b with a space in the middle of every "##[", and of a "::" that
// begins the line.
func (p *prefixes) copy(b *strings.Builder, text string) {
	for _, r := range text {
		if r == ':' && p.colon || r == '[' && p.hashes >= 2 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		p.colon = r == ':' && !p.begun
		p.begun = p.begun || !unicode.IsSpace(r)
		if r == '#' {
			p.hashes++
		} else {
			p.hashes = 0
		}
	}
}
