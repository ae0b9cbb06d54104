package dockerfile

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
)

// folded breaks the lines that are longer than the parser takes.
func folded(src string) string {
	var out strings.Builder
	for line := range strings.Lines(src) {
		for ; len(line) > 60_000; line = line[60_000:] {
			out.WriteString(line[:60_000] + "\\\n")
		}
		out.WriteString(line)
	}
	return out.String()
}

// TestHostileSizes reads what is as large or as deep as may be. Each ends in an
// answer in no time that matters, and on a stack that is far from its end.
func TestHostileSizes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	stack := debug.SetMaxStack(256 << 20)
	t.Cleanup(func() { debug.SetMaxStack(stack) })
	many := strings.Repeat
	numbered := func(n int, format string) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, format, i, i+1)
		}
		return out.String()
	}
	for _, c := range []struct {
		name, src string
		// steps and calls are how many there are; calls is -1 where the script is
		// refused, or there is none.
		steps, calls int
	}{
		{"50,000 variables", "FROM a\n" + numbered(50_000, "ENV A%[2]d=$A%[1]d\n") + "RUN a\n", 50_001, 1},
		{"100,000 instructions", "FROM a\n" + many("RUN a\n", 100_000), 100_000, 1},
		{"5,000 stages", "FROM a AS s0\n" + numbered(5_000, "FROM s%[1]d AS s%[2]d\nARG X=1\nCOPY --from=s%[1]d a b\n"), 10_000, -1},
		{"arguments for 5,000 stages", "FROM a AS s0\n" + numbered(30_000, "ARG A%[2]d=x\n") + numbered(5_000, "FROM s%[1]d AS s%[2]d\n") + "RUN a\n", 30_001, 1},
		{"all from 5,000 stages", "FROM a AS s0\n" + numbered(5_000, "FROM s%[1]d AS s%[2]d\n") + numbered(30_000, "COPY --from=%[1]d a b\n"), 30_000, -1},
		{"deep folders", "FROM scratch\n" + many("WORKDIR abcdefghijklmnopqrstuvwxyz\n", 28_000), 28_000, -1},
		{"one RUN", "FROM a\nRUN a" + many(" \\\n && b", 9_000) + "\n", 1, 9_001},
		{"one RUN of too many", "FROM a\nRUN a" + many(" && bb cc", 99_000) + "\n", 1, -1},
		{"many words", "FROM a\nRUN a" + many(" bb", 90_000) + "\n", 1, 1},
		{"words that make words", "FROM a\nENV A=\"" + many("x ", 120) + "\"\nRUN b " + many(" $A", 200_000) + "\n", 2, -1},
		{"subshells", "FROM a\nRUN " + many("(", 400_000) + "\n", 1, -1},
		{"conditions", "FROM a\nRUN " + many("if ", 300_000) + "\n", 1, -1},
		{"a loop around it all", "FROM a\nRUN " + many("for i in ; do ", 150) + many("a=1;", 30_000) + " a" + many("; done", 150) + "\n", 1, 1},
		{"functions in functions", "FROM a\nRUN " + many("f() { ", 90) + many("a=1;", 30_000) + " a" + many("; }", 90) + "\n", 1, 1},
		{"assignments", "FROM a\nRUN " + many("a=$a$a;", 30_000) + " a\n", 1, 1},
		{"substitutions", "FROM a\nRUN b " + many("$(a ", 190) + many("a ", 90_000) + many(")", 190) + "\n", 1, 1},
		{"arithmetic", "FROM a\nRUN b $((" + many("a=", 300_000) + "1))\n", 1, -1},
		{"less arithmetic", "FROM a\nRUN b $((" + many("a=", 39_000) + "1))\n", 1, 1},
		{"tests", "FROM a\nRUN [[ " + many("! ", 39_000) + "a ]]\n", 1, 0},
		{"variables in a word", "FROM a\nRUN b \"" + many("$a", 300_000) + "\"\n", 1, 1},
		{"here-documents", "FROM a\nRUN " + many("<<A ", 15_000) + "\n" + many("x\nA\n", 15_000), 1, 0},
		{"a long here-document", "FROM a\nRUN <<A\n" + many("\n", 900_000) + "A\n", 1, 0},
		{"comments with backslashes", "FROM a\nRUN <<A\n" + many("# \\\n", 200_000) + "a\nA\n", 1, 1},
		{"comments above", "FROM a\n" + many("# image-budget ignore=y\n", 30_000) + "RUN a\n", 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := folded(c.src)
			f, err := Parse("Dockerfile", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			steps := f.Steps("", nil)
			if c.steps >= 0 && len(steps) != c.steps {
				t.Errorf("%d steps, want %d", len(steps), c.steps)
			}
			calls := -1
			for _, s := range steps {
				s.Bytes()
				s.Files()
				s.Ignores("x")
				if script, err := s.Script(); err == nil {
					calls = len(script.Calls)
				}
			}
			if calls != c.calls {
				_, err := steps[len(steps)-1].Script()
				t.Errorf("%d commands, want %d: %v", calls, c.calls, err)
			}
			target, _ := f.Target("")
			f.Copied(target)
		})
	}
}
