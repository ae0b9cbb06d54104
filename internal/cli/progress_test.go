package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/internal/actions"
)

func TestProgressIsForTerminalsOnly(t *testing.T) {
	t.Parallel()
	draw := func(terminal, workflow bool) string {
		var stderr bytes.Buffer
		now := time.Unix(0, 0)
		c := &Command{
			Stderr: &stderr, Now: func() time.Time { now = now.Add(time.Second); return now },
			Terminal: func(io.Writer) (int, bool) { return 60, terminal },
			runner:   actions.Runner{Actions: workflow},
		}
		bar := c.progress("demo\x1b[31m" + strings.Repeat("x", 200))
		bar.update(5_000_000, 10_000_000)
		bar.update(7_000_000, 0)
		bar.done()
		return stderr.String()
	}
	if got := draw(false, false) + draw(true, true); got != "" {
		t.Errorf("drawn where nobody sees it: %q", got)
	}
	got := draw(true, false)
	for _, want := range []string{"[==========          ] 5.0 MB of 10.0 MB", "7.0 MB"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if !strings.HasSuffix(got, "\r\x1b[K") || strings.Contains(got, "\x1b[31m") {
		t.Errorf("not cleaned up: %q", got)
	}
	for _, line := range strings.Split(got, "\r\x1b[K") {
		if len(line) > 60 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
}
