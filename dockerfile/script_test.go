package dockerfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

// scriptOf writes the commands of the last instruction, one in a line: how it
// joins, ! if it may not run, $ if it is the last, its folder and its words, with
// ? behind those that are not known.
func scriptOf(t *testing.T, src string) string {
	t.Helper()
	f, err := Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	steps := f.Steps("", nil)
	script, err := steps[len(steps)-1].Script()
	if err != nil {
		return "error: " + err.Error()
	}
	var out strings.Builder
	for _, c := range script.Calls {
		fmt.Fprintf(&out, "%s", c.Join)
		if !c.Certain {
			out.WriteString("!")
		}
		if c.Last {
			out.WriteString("$")
		}
		fmt.Fprintf(&out, " %s:", c.Dir)
		for _, set := range c.Set {
			fmt.Fprintf(&out, " %s=%s", set.Name, set.Value.Text)
		}
		for _, w := range c.Words {
			out.WriteString(" [" + w.Text + "]")
			if !w.Known {
				out.WriteString("?")
			}
			if got := string(f.Src[w.Start:w.End]); !strings.Contains(got, w.Text) && !strings.ContainsAny(got, "$'\"\\") {
				t.Errorf("the word %q stands where %q is written", w.Text, got)
			}
		}
		for _, to := range c.To {
			out.WriteString(" > " + to.Text)
		}
		out.WriteString("\n")
	}
	return out.String()
}

func TestScript(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, src, want string }{
		{"and", "FROM a\nWORKDIR /w\nRUN apt-get update && apt-get install -y  gcc\n", " /w: [apt-get] [update]\n&&$ /w: [apt-get] [install] [-y] [gcc]\n"},
		{"continued with comments and CRLF", "FROM scratch\r\nRUN --mount=type=cache,target=/c a \\\r\n  # no\r\n\r\n  b && \\ \r\n c d\r\n", " /: [a] [b]\n&&$ /: [c] [d]\n"},
		{"variables", "FROM scratch\nARG P=\"gcc make\"\nENV V=1.2\nRUN x='a b' && apk add $P foo=$V $x \"$x\" ${UNKNOWN} *.c\n", "&&$ /: [apk] [add] [gcc] [make] [foo=1.2] [a] [b] [a b] [${UNKNOWN}]? [*.c]?\n"},
		{"conditions", "FROM scratch\nRUN set -eux; if [ -f x ]; then a; fi; b || true; (cd /t && c); d | e >/dev/null; f\n", " /: [set] [-eux]\n! /: [[] [-f] [x] []]\n! /: [a]\n; /: [b]\n||! /: [true]\n! /: [cd] [/t]\n&&! /t: [c]\n;! /: [d]\n|! /: [e] > /dev/null\n;$ /: [f]\n"},
		{"folders", "FROM a\nRUN cd /usr/src && cd x/.. && make; cd $D; y\n", " : [cd] [/usr/src]\n&& /usr/src: [cd] [x/..]\n&& /usr/src: [make]\n; /usr/src: [cd] [$D]?\n;$ : [y]\n"},
		{"heredoc", "FROM scratch\nRUN <<EOF\nset -e\npip install x\nEOF\n", " /: [set] [-e]\n;$ /: [pip] [install] [x]\n"},
		{"heredoc of another interpreter", "FROM scratch\nRUN <<EOF\n#!/usr/bin/python3\nimport x\nEOF\n", "error: it runs no POSIX shell\n"},
		{"exec form", "FROM scratch\nRUN [\"a\",\"b\"]\n", "error: it runs no POSIX shell\n"},
		{"powershell", "FROM scratch\nSHELL [\"powershell\",\"-c\"]\nRUN a\n", "error: it runs no POSIX shell\n"},
		{"escape", "# escape=`\nFROM scratch\nRUN a `\n  b\n", "$ /: [a] [b]\n"},
		{"assignment in front", "FROM scratch\nRUN DEBIAN_FRONTEND=noninteractive apt-get install x\n", "$ /: DEBIAN_FRONTEND=noninteractive [apt-get] [install] [x]\n"},
		{"cmd", "FROM scratch\nCMD exec node $X \"server.js\"\n", "$ /: [exec] [node] [$X]? [server.js]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := scriptOf(t, c.src)
			if d := cmp.Diff(strings.TrimSpace(c.want), strings.TrimSpace(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStepsKnowWhatHoldsThere(t *testing.T) {
	t.Parallel()
	src := "ARG B=debian\nFROM $B AS one\nWORKDIR app\nFROM scratch\nENV D=/srv\nWORKDIR $D\nWORKDIR sub\nUSER 10\nCOPY --from=one --chown=1:2 a b c/\nADD x.tar.gz .\nRUN --mount=type=cache,target=/root/.cache --mount=type=bind,target=. true\n"
	f, err := Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	steps := f.Steps("", nil)
	files, ok := steps[4].Files()
	if want := (Files{Sources: []string{"a", "b"}, To: "/srv/sub/c", Dir: true, From: 0, Chown: "1:2"}); !ok || !cmp.Equal(files, want) {
		t.Errorf("got %+v, want %+v", files, want)
	}
	files, ok = steps[5].Files()
	if want := (Files{Sources: []string{"x.tar.gz"}, To: "/srv/sub", Dir: true, From: -1, Add: true}); !ok || !cmp.Equal(files, want) {
		t.Errorf("got %+v, want %+v", files, want)
	}
	run := steps[6]
	if run.User != "10" || run.Dir != "/srv/sub" {
		t.Errorf("user %q in %q", run.User, run.Dir)
	}
	for p, want := range map[string]bool{"/root/.cache/pip": true, "/root/.cachex": false, "/srv/sub/x": true, "/srv": false} {
		if run.Mounted(p) != want {
			t.Errorf("%s mounted: %v", p, !want)
		}
	}
	start, end := run.Bytes()
	if got := src[start:end]; got != "RUN --mount=type=cache,target=/root/.cache --mount=type=bind,target=. true" {
		t.Errorf("the step is %q", got)
	}
	if _, err := run.Script(); err != nil || errors.Is(err, ErrNoShell) {
		t.Error(err)
	}
}

func TestEditsChangeTheirBytesAndNoOthers(t *testing.T) {
	t.Parallel()
	got, err := Apply([]byte("abcdef"), []footprint.Edit{{Start: 1, End: 2, Text: "XY"}, {Start: 4, End: 4, Text: "!"}})
	if err != nil || string(got) != "aXYcd!ef" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, edits := range [][]footprint.Edit{{{Start: 3, End: 2}}, {{Start: 0, End: 7}}, {{Start: 2, End: 4}, {Start: 3, End: 5}}} {
		if _, err := Apply([]byte("abcdef"), edits); err == nil {
			t.Errorf("%v was applied", edits)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	old := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"
	changed := "1\nX\n3\n4\n5\n6\n7\n8\n9\n10\n12\n13"
	want := "--- a/f\n+++ b/f\n@@ -1,5 +1,5 @@\n 1\n-2\n+X\n 3\n 4\n 5\n@@ -8,5 +8,5 @@\n 8\n 9\n 10\n-11\n 12\n+13\n\\ No newline at end of file\n"
	if d := cmp.Diff(want, Diff("f", []byte(old), []byte(changed))); d != "" {
		t.Error(d)
	}
	if got := Diff("f", []byte("a\n"), []byte("a\n")); got != "" {
		t.Errorf("no difference is %q", got)
	}
	if got, want := Diff("f", nil, []byte("a\n")), "--- a/f\n+++ b/f\n@@ -0,0 +1 @@\n+a\n"; got != want {
		t.Errorf("a new file is %q", got)
	}
}
