package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/escape"
)

// terminalWidth tells whether w is a terminal, and how wide.
func terminalWidth(w io.Writer) (int, bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

// progressBar draws on a terminal, one line, at most ten times a second. On
// anything else it draws nothing: a log is no place for it.
type progressBar struct {
	mu    sync.Mutex
	out   io.Writer
	now   func() time.Time
	label string
	width int
	last  time.Time
	drawn bool
}

func (c *Command) progress(label string) *progressBar {
	bar := &progressBar{now: c.Now}
	if width, ok := c.Terminal(c.Stderr); ok && !c.runner.Actions {
		bar.out, bar.width, bar.label = c.Stderr, width, escape.Line(label)
		bar.last = c.Now() // what is over in a moment needs no bar
	}
	return bar
}

func (b *progressBar) update(read, total int64) {
	if b.out == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if now.Sub(b.last) < 100*time.Millisecond {
		return
	}
	b.last, b.drawn = now, true
	text := footprint.Bytes(read).String()
	if total > 0 {
		const cells = 20
		full := int(min(read, total) * cells / total)
		text = fmt.Sprintf("[%s%s] %s of %s", strings.Repeat("=", full), strings.Repeat(" ", cells-full), text, footprint.Bytes(total))
	}
	label := []rune(b.label)
	if room := max(b.width-len(text)-12, 0); len(label) > room {
		label = label[:room]
	}
	fmt.Fprintf(b.out, "\r\x1b[Kreading %s  %s", string(label), text)
}

func (b *progressBar) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.drawn = false
	}
}
