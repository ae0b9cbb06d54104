package dockerfile

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/org/image-budget/footprint"
)

// hardTexts are Dockerfiles whose places are not simple.
var hardTexts = []string{
	"\xef\xbb\xbf# syntax=docker/dockerfile:1\r\n# escape=`\r\nFROM scratch\r\nWORKDIR C:\\x\r\nRUN a `\r\n  b && `\r\n# c\r\n c d\r\n",
	"FROM a\nRUN --mount=type=cache,target=/c \\\n  --network=none \\\n\n --security=insecure \ta\\\nb 'c \\\n d' && $(e `f \\`g\\``)\nCMD [\"sh\",\"-c\",\"x && y\"]\n",
	"FROM a\nRUN <<-EOF\n\ta \\\n\t\tb\n\tcat <<X\n\tx\n\tX\n\tEOF\nRUN cat <<A >/x && sh <<-'B'\na\nA\n\tb $(c)\n\tB\n",
	"FROM a\nRUN <<EOF\n#!/usr/bin/env -S bash -e\nf() { cd /x; }; for i in 1 2; do f; done | cat\nEOF\nRUN if a; then b; fi; x=1 y=$x c >$x <(d) || exit 1; [[ a ]] && ((x++))\n",
	"FROM a\nRUN >a <<A\nx $(b)\nA\nRUN <<-A <<B c | d\n\tx\n\tA\ny\nB\nCMD [\"bash\",\"-lc\",\"$(a) >b\"]\n",
	"FROM a AS b\n# image-budget ignore=x,y\nENV A=1 B=$A\nARG C=${A:-2}\nFROM b\nRUN echo $A $C ${D:=e} $((E=1)); case $A in 1) cd /;; esac; ! time { f & } 2>&1\n",
}

func FuzzScript(f *testing.F) {
	for _, src := range append(dockerfiles(f), hardTexts...) {
		f.Add([]byte(src))
	}
	for _, script := range scripts {
		f.Add([]byte("FROM a\nRUN <<'END'\n" + script + "\nEND\n"))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse("Dockerfile", src)
		if err != nil {
			return
		}
		_ = file.Syntax()
		last := 0
		for _, s := range file.Steps("", nil) {
			start, end := s.Bytes()
			if start < 0 || end < start || end > len(src) {
				t.Fatalf("the step has the bytes %d to %d of %d", start, end, len(src))
			}
			if s.Stage == len(file.Stages)-1 && start < last {
				t.Fatalf("the step begins at %d, the one before ends at %d", start, last)
			}
			last = max(last, end)
			s.Files()
			s.Mounts()
			s.Mounted("/x")
			s.Ignores("x")
			if s.Dir != "" && (!path.IsAbs(s.Dir) || path.Clean(s.Dir) != s.Dir) {
				t.Fatalf("the folder is %q", s.Dir)
			}
			if script, err := s.ShellExec(); err == nil {
				checkScript(t, src, script, start, end, false)
			}
			if script, err := s.Script(); err == nil {
				checkScript(t, src, script, start, end, true)
			}
		}
	})
}

// checkScript checks that all places are in the instruction and in order.
func checkScript(t *testing.T, src []byte, script *Script, start, end int, exact bool) {
	t.Helper()
	in := func(what string, from, to, a, b int) {
		t.Helper()
		if from < a || to < from || to > b {
			t.Fatalf("%s has the bytes %d to %d, not in %d to %d of %q", what, from, to, a, b, src)
		}
	}
	in("the script", script.Start, script.End, start, end)
	if len(script.Calls)+len(script.Within) > maxCalls {
		t.Fatalf("%d commands", len(script.Calls))
	}
	at := start
	lasts := 0
	for _, c := range script.Calls {
		in("a command", c.Start, c.End, at, end)
		at = c.Start
		if c.Last {
			lasts++
		}
		if c.Last && !c.Certain || lasts > 1 {
			t.Fatalf("%+v", c)
		}
	}
	for i, c := range append(script.Calls[:len(script.Calls):len(script.Calls)], script.Within...) {
		in("a command", c.Start, c.End, start, end)
		if c.Dir != "" && (!path.IsAbs(c.Dir) || path.Clean(c.Dir) != c.Dir) || i >= len(script.Calls) && c.Certain {
			t.Fatalf("%+v", c)
		}
		from := c.Start
		for _, w := range c.Words {
			in("a word", w.Start, w.End, from, c.End)
			from = w.Start
			// Where nothing is quoted or put in, the value stands there.
			if text := string(src[w.Start:w.End]); exact && !strings.ContainsAny(text, "$'\"\\`\n{<") && w.Text != text {
				t.Fatalf("the word %q is written %q", w.Text, text)
			}
		}
		for _, w := range c.To {
			in("a file", w.Start, w.End, start, end)
		}
		for _, a := range c.Set {
			in("a value", a.Value.Start, a.Value.End, 0, end)
		}
		c.Name()
		c.Unwrapped().Args()
	}
}

// FuzzSteps compares the variables with a copy of all of them for each step.
func FuzzSteps(f *testing.F) {
	for _, src := range append(dockerfiles(f), hardTexts...) {
		f.Add([]byte(src), "A", "x")
	}
	f.Fuzz(func(t *testing.T, src []byte, name, value string) {
		file, err := Parse("Dockerfile", src)
		if err != nil {
			return
		}
		given := map[string]string{name: value}
		resolved := file.Resolve(given)
		steps := resolved.Steps("", given)
		target, _ := resolved.Target("")
		global := resolved.globals(given)
		now := &variables{args: map[string]string{}, env: map[string]string{}, escape: file.escape}
		at := 0
		for _, stage := range resolved.chain(target) {
			now = &variables{args: maps.Clone(now.args), env: now.env, escape: file.escape}
			maps.DeleteFunc(now.args, func(name, _ string) bool { _, ok := now.env[name]; return ok })
			for _, in := range stage.Instructions {
				for _, name := range append([]string{name, "A", "B", "PATH"}, keys(now)...) {
					want, ok := now.get(name)
					if got, has := steps[at].vars.get(name); got != want || has != ok {
						t.Fatalf("line %d: %s is %q %v, want %q %v", in.Start, name, got, has, want, ok)
					}
				}
				at++
				switch c := in.command.(type) {
				case *instructions.ArgCommand:
					for _, arg := range c.Args {
						now.declare(arg, given, global)
					}
				case *instructions.EnvCommand:
					names, values := []string{}, []string{}
					for _, e := range c.Env {
						names, values = append(names, now.literal(e.Key)), append(values, now.literal(e.Value))
					}
					now = &variables{args: maps.Clone(now.args), env: maps.Clone(now.env), escape: file.escape}
					for i := range names {
						now.setEnv(names[i], values[i])
					}
				}
			}
		}
		if at != len(steps) {
			t.Fatalf("%d steps, want %d", len(steps), at)
		}
		resolved.Copied(target)
	})
}

func keys(v *variables) []string {
	var out []string
	for name := range v.args {
		out = append(out, name)
	}
	for name := range v.env {
		out = append(out, name)
	}
	return out[:min(len(out), 20)]
}

func FuzzApply(f *testing.F) {
	f.Add([]byte("abc"), 1, 2, "x", 2, 3, "y")
	f.Add([]byte("a\r\nb\n"), 0, 0, "\n", 5, 5, "")
	f.Fuzz(func(t *testing.T, src []byte, a, b int, first string, c, d int, second string) {
		if same, err := Apply(src, nil); err != nil || !bytes.Equal(same, src) {
			t.Fatalf("nothing made %q of %q: %v", same, src, err)
		}
		got, err := Apply(src, []footprint.Edit{{Start: a, End: b, Text: first}, {Start: c, End: d, Text: second}})
		if valid := 0 <= a && a <= b && b <= c && c <= d && d <= len(src); valid != (err == nil) {
			t.Fatalf("%v of %d-%d, %d-%d in %d bytes", err, a, b, c, d, len(src))
		}
		if err != nil {
			return
		}
		// The way back takes the same edits the other way round.
		shift := len(first) - (b - a)
		back, err := Apply(got, []footprint.Edit{
			{Start: a, End: a + len(first), Text: string(src[a:b])},
			{Start: c + shift, End: c + shift + len(second), Text: string(src[c:d])},
		})
		if err != nil || !bytes.Equal(back, src) {
			t.Fatalf("%q became %q and then %q: %v", src, got, back, err)
		}
	})
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte("1\n2\n3\n"), []byte("1\nx\n3\n"))
	f.Add([]byte("1\n2"), []byte("1\n2\n"))
	f.Add([]byte("1\r\n2\n\n\n\n\n\n\n\n\n3\n"), []byte(""))
	f.Add([]byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk"), []byte("b\nc\nd\nX\nf\ng\nh\ni\nj\nk\nl"))
	f.Fuzz(func(t *testing.T, old, changed []byte) {
		text := Diff("Dockerfile", old, changed)
		if (text == "") != bytes.Equal(old, changed) {
			t.Fatalf("%q and %q differ in %q", old, changed, text)
		}
		if text == "" {
			return
		}
		if got, err := patch(string(old), text); err != nil || got != string(changed) {
			t.Fatalf("%q and\n%s\nmake %q, not %q: %v", old, text, got, changed, err)
		}
	})
}

// patch applies a unified diff as patch does, with no fuzz.
func patch(old, diff string) (string, error) {
	from := splitLines([]byte(old))
	var out strings.Builder
	at := 0
	lines := splitLines([]byte(diff))
	if len(lines) < 3 || lines[0] != "--- a/Dockerfile\n" || lines[1] != "+++ b/Dockerfile\n" {
		return "", fmt.Errorf("it begins with %q", lines)
	}
	for i := 2; i < len(lines); {
		var ranges [4]int
		fields := strings.Fields(lines[i])
		if len(fields) != 4 || fields[0] != "@@" || fields[3] != "@@" {
			return "", fmt.Errorf("%q begins no hunk", lines[i])
		}
		for j, field := range fields[1:3] {
			start, count, ok := strings.Cut(field[1:], ",")
			ranges[2*j], _ = strconv.Atoi(start)
			if ranges[2*j+1] = 1; ok {
				ranges[2*j+1], _ = strconv.Atoi(count)
			}
		}
		begin := ranges[0] - 1
		if ranges[1] == 0 {
			begin++
		}
		if begin < at || begin > len(from) {
			return "", fmt.Errorf("%q is out of order", lines[i])
		}
		for ; at < begin; at++ {
			out.WriteString(from[at])
		}
		for i++; ranges[1] > 0 || ranges[3] > 0; i++ {
			if i >= len(lines) {
				return "", fmt.Errorf("it ends too early")
			}
			op, line := lines[i][0], lines[i][1:]
			if i+1 < len(lines) && lines[i+1] == "\\ No newline at end of file\n" {
				line = strings.TrimSuffix(line, "\n")
			}
			if op != '+' {
				if at >= len(from) || from[at] != line {
					return "", fmt.Errorf("%q is not line %d", line, at+1)
				}
				at++
				ranges[1]--
			}
			if op != '-' {
				out.WriteString(line)
				ranges[3]--
			}
			if i+1 < len(lines) && lines[i+1] == "\\ No newline at end of file\n" {
				i++
			}
		}
	}
	for ; at < len(from); at++ {
		out.WriteString(from[at])
	}
	return out.String(), nil
}
