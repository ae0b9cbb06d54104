package actions_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/internal/actions"
)

// logged writes the chunks and returns what came out.
func logged(t *testing.T, chunks ...string) string {
	t.Helper()
	var out bytes.Buffer
	l := actions.NewLogWriter(&out)
	for _, chunk := range chunks {
		if n, err := l.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", chunk, n, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLogWriter(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               "",
		"reading layer 3: done\n":        "reading layer 3: done\n",
		"no end":                         "no end\n",
		"a::b::c\n":                      "a::b::c\n",
		"::error::x\n":                   ": :error::x\n",
		" \t ::error::x\n":               " \t : :error::x\n",
		"\u00a0\u2003::error::x\n":       "\u00a0\u2003: :error::x\n",
		":::error::x\n":                  ": ::error::x\n",
		"a\n::error::x\n::debug::y":      "a\n: :error::x\n: :debug::y\n",
		"layer ##[add-mask]a\n":          "layer ## [add-mask]a\n",
		"###[add-mask]##[group]\n":       "### [add-mask]## [group]\n",
		"# [x] ##x[ #\n":                 "# [x] ##x[ #\n",
		"50%\rdone\n":                    "50%\\rdone\n",
		"x\r::error::y\n":                "x\\r::error::y\n",
		"dos\r\nline\r\n":                "dos\nline\n",
		"\x1b[1;31mred\x1b[0m \x1b[mx\n": "\x1b[1;31mred\x1b[0m \x1b[mx\n",
		"\x1b[31m::error::x\n":           "\x1b[31m: :error::x\n",
		":\x1b[0m:error::x\n":            ":\x1b[0m :error::x\n",
		"##\x1b[0m[add-mask]a\n":         "## \x1b[0m[add-mask]a\n",
		"#\u200b#[add-mask]a\n":          "#\\u200b#[add-mask]a\n",
		"\u200b::error::x\n":             "\\u200b::error::x\n",
		"\ufeff::error::x\n":             "\\ufeff::error::x\n",
		"\x00::error::x\n":               "\\x00::error::x\n",
		"\x1b[8mhidden\n":                "\\x1b[8mhidden\n",
		"\x1b[2J\x1b]0;title\x07\n":      "\\x1b[2J\\x1b]0;title\\x07\n",
		"##\x1b[2J\n":                    "##\\x1b[2J\n",
		"\u202egnp\n":                    "\\u202egnp\n",
		"\xff é 日本\n":                    "\\xff é 日本\n",
		"a\tb\n":                         "a\tb\n",
		"\n\n":                           "\n\n",
	} {
		if diff := cmp.Diff(want, logged(t, in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
		// The same, one byte at a time.
		if diff := cmp.Diff(want, logged(t, strings.Split(in, "")...)); diff != "" && !strings.Contains(in, "\xff") {
			t.Errorf("%q in pieces (-want +got):\n%s", in, diff)
		}
	}
}

func TestLogWriterBoundsWhatItHolds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := actions.NewLogWriter(&out)
	for range 1 << 10 {
		fmt.Fprint(l, strings.Repeat("x", 1023), " ")
	}
	if held := 1<<20 - strings.Count(out.String(), "x") - strings.Count(out.String(), " "); held > 16<<10 {
		t.Errorf("%d bytes held back", held)
	}
	// What follows an artificial line end is at the beginning of a line.
	got := logged(t, strings.Repeat("y", 16<<10)+"::error::x\n")
	if want := strings.Repeat("y", 16<<10) + "\n: :error::x\n"; got != want {
		t.Errorf("got …%q", got[16<<10-5:])
	}
	// A line that just fits stays one line.
	if got, want := logged(t, strings.Repeat("y", 16<<10)+"\n"), strings.Repeat("y", 16<<10)+"\n"; got != want {
		t.Errorf("%d lines, want 1", strings.Count(got, "\n"))
	}
	// Also when its end comes later.
	if got, want := logged(t, strings.Repeat("y", 16<<10), "\n"), strings.Repeat("y", 16<<10)+"\n"; got != want {
		t.Errorf("%d lines, want 1", strings.Count(got, "\n"))
	}
	// No character is torn apart.
	if got, want := logged(t, "yy"+strings.Repeat("日", 6000)+"\n"), "yy"+strings.Repeat("日", 5460)+"\n"+strings.Repeat("日", 540)+"\n"; got != want {
		t.Errorf("…%q", got[16<<10-6:16<<10+6])
	}
}

// TestLogWritersShareATarget has two writers feed one target in small pieces: lines must not
// mix, or a command could be put together from two harmless halves.
func TestLogWritersShareATarget(t *testing.T) {
	t.Parallel()
	out := &lockedBuffer{}
	var wg sync.WaitGroup
	for _, line := range []string{"a:", ":error::b\n"} {
		l := actions.NewLogWriter(out)
		wg.Go(func() {
			for range 200 {
				for i := range len(line) {
					fmt.Fprint(l, line[i:i+1])
				}
			}
			_ = l.Close()
		})
	}
	wg.Wait()
	for _, line := range readLines(out.String()) {
		if fires(line) {
			t.Fatalf("%q", line)
		}
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// brokenPipe takes a number of bytes and then fails.
type brokenPipe struct{ room int }

var errPipe = errors.New("broken pipe")

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.room -= len(p); b.room < 0 {
		return 0, errPipe
	}
	return len(p), nil
}

func TestLogWriterReportsABrokenTarget(t *testing.T) {
	t.Parallel()
	l := actions.NewLogWriter(&brokenPipe{room: 3})
	if _, err := fmt.Fprint(l, "one\ntwo\n"); !errors.Is(err, errPipe) {
		t.Errorf("Write: %v", err)
	}
	fmt.Fprint(l, "three")
	if err := l.Close(); !errors.Is(err, errPipe) {
		t.Errorf("Close: %v", err)
	}
}

func FuzzLogWriter(f *testing.F) {
	for _, s := range []string{"::error::x\n", "##[add-mask]a", "#\x1b[0m#[group]", "a\r::x::y\r\n", "\u200b::x\n", ":\u00ad:", "\xe2\x80", "\x1b[38;5;8m", " \u3000::debug::\n", ": :", "##\ufe0f["} {
		f.Add(s, s, uint16(3))
		f.Add(strings.Repeat("y", 16<<10-2)+s, s, uint16(16<<10))
	}
	f.Fuzz(func(t *testing.T, a, b string, cut uint16) {
		whole := a + b
		at := min(int(cut), len(whole))
		out := logged(t, a, b)
		if got := logged(t, whole[:at], whole[at:]); got != out {
			t.Errorf("the result depends on the pieces: %q, %q", out, got)
		}
		for _, line := range readLines(out) {
			if fires(line) {
				t.Errorf("%q from %q", line, whole)
			}
		}
		if strings.ContainsRune(out, '\r') || strings.Contains(sgr.ReplaceAllString(out, ""), "\x1b") {
			t.Errorf("a control character in %q", out)
		}
	})
}
