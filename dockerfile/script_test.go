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
	for i, c := range append(script.Calls[:len(script.Calls):len(script.Calls)], script.Within...) {
		if i >= len(script.Calls) {
			out.WriteString("within")
		}
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
			if got := string(f.Src[w.Start:w.End]); !strings.Contains(got, w.Text) && !strings.ContainsAny(got, "$'\"\\`") || strings.HasSuffix(got, "\\") {
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
		{"heredoc fed to a shell", "FROM scratch\nRUN <<EOT bash -e\ndnf install -y x\ndnf clean all\nEOT\n", " /: [dnf] [install] [-y] [x]\n;$ /: [dnf] [clean] [all]\n"},
		{"heredoc fed to a shell, expanded", "FROM scratch\nRUN <<EOT bash\necho $HOME\nEOT\n", "error: a here-document that is expanded for another shell is not read\n"},
		{"heredoc of another interpreter", "FROM scratch\nRUN <<EOF\n#!/usr/bin/python3\nimport x\nEOF\n", "error: it runs no POSIX shell\n"},
		{"exec form", "FROM scratch\nRUN [\"a\",\"b\"]\n", "error: it runs no POSIX shell\n"},
		{"powershell", "FROM scratch\nSHELL [\"powershell\",\"-c\"]\nRUN a\n", "error: it runs no POSIX shell\n"},
		{"escape", "# escape=`\nFROM scratch\nRUN a `\n  b\n", "$ /: [a] [b]\n"},
		{"assignment in front", "FROM scratch\nRUN DEBIAN_FRONTEND=noninteractive apt-get install x\n", "$ /: DEBIAN_FRONTEND=noninteractive [apt-get] [install] [x]\n"},
		{"a comment swallows what is joined to it", "FROM scratch\nRUN a # why \\\n && b\n", "$ /: [a]\n"},
		{"joined within words and quotes", "FROM scratch\nRUN a\\\nb 'c \\\n d' \"e\\\nf\"\n", "$ /: [ab] [c  d] [ef]\n"},
		{"flags in lines of their own", "FROM scratch\nRUN --mount=type=cache,target=/c \\\n\t--network=none \\\n  --security=sandbox\ta\tb\n", "$ /: [a] [b]\n"},
		{"a mark in front, and Windows paths", "\xef\xbb\xbf# escape=`\r\nFROM scratch\r\nSHELL [\"/bin/sh\",\"-c\"]\r\nRUN a 'C:\\x\\' `\r\n  b\r\n", "$ /: [a] [C:\\x\\] [b]\n"},
		{"tabs cut from a heredoc", "FROM scratch\nRUN <<-EOF\n\ta &&\n\t\tb \\\n\tc\n\tEOF\n", " /: [a]\n&&$ /: [b] [c]\n"},
		{"a heredoc of a command", "FROM scratch\nRUN cat <<EOF >/x && \\\n  sh <<-'B'\na $(b)\nEOF\n\tc\n\tB\n", " /: [cat] > /x\n&&$ /: [sh]\nwithin! /: [b]\n"},
		{"a heredoc in front of its command", "FROM scratch\nRUN <<EOF cat\na\nEOF\n", "$ /: [cat]\n"},
		{"a heredoc through env", "FROM scratch\nSHELL [\"powershell\",\"-c\"]\nRUN <<EOF\n#!/usr/bin/env bash\na\nEOF\n", "$ /: [a]\n"},
		{"SHELL without a command", "FROM scratch\nSHELL [\"/bin/sh\"]\nRUN a\n", "error: it runs no POSIX shell\n"},
		{"substitutions", "FROM scratch\nRUN a $(b \"$(c)\" | d) `e` && x=$(cd /y && f) && g <(h)\n", " /: [a] [$(b \"$(c)\" | d)]? [`e`]?\n&& /: [g] [<(h)]?\nwithin! /: [b] [$(c)]?\nwithin! /: [c]\nwithin|! /: [d]\nwithin! /: [e]\nwithin! /: [cd] [/y]\nwithin&&! /y: [f]\nwithin! /: [h]\n"},
		{"blocks", "FROM scratch\nRUN a && { b; c; } && (d; e)\n", " /: [a]\n /: [b]\n; /: [c]\n! /: [d]\n;! /: [e]\n"},
		{"defaults", "FROM b\nARG X=1\nENV E=\nRUN a ${X:-y} ${E:-y} ${E-y} ${U:-y} ${X:+z}\n", "$ : [a] [1] [y] [${U:-y}]? [z]\n"},
		{"nothing but a redirection", "FROM scratch\nRUN >a\n", ""},
		{"the place ends before a continuation", "FROM scratch\nRUN a&&b\\\n c;\\\nd\n", " /: [a]\n&& /: [b] [c]\n;$ /: [d]\n"},
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

func TestPlacesEndWhereTheTextEnds(t *testing.T) {
	t.Parallel()
	src := "FROM a\nRUN --network=none a\\\n \"b\"\\\n;c d\\\ne\\\n\n"
	script := lastScript(t, src)
	var got []string
	for _, c := range script.Calls {
		got = append(got, src[c.Start:c.End])
		for _, w := range c.Words {
			got = append(got, src[w.Start:w.End])
		}
	}
	want := []string{"a\\\n \"b\"", "a", "\"b\"", "c d\\\ne", "c", "d\\\ne"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := src[script.Start:script.End]; got != "a\\\n \"b\"\\\n;c d\\\ne" {
		t.Errorf("the script is %q", got)
	}
	// The lines that cat reads are no place to add a command.
	src = "FROM a\nRUN cat <<A\nx\nA\n"
	if script := lastScript(t, src); src[script.Start:script.End] != "cat <<A" || script.Heredoc {
		t.Errorf("%+v", script)
	}
}

func TestSetIsFollowed(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]bool{
		"a": false, "set -e; a": true, "set -eux; a": true, "set -o errexit; a": true, "set -uo pipefail -e": true, "set -o pipefail": false,
		"set -e; set +e": false, "set -- -e": false, "(set -e); a": false, "if a; then set -e; fi": false, "set +o errexit": false, "set -x -o errexit -u": true,
	} {
		if got := lastScript(t, "FROM a\nRUN "+script+"\n").ErrExit; got != want {
			t.Errorf("%s: %v", script, got)
		}
	}
	for shell, want := range map[string]bool{
		`"/bin/bash","-o","pipefail","-c"`: false, `"/bin/bash","-eo","pipefail","-c"`: true, `"/bin/sh","-exc"`: true, `"/bin/bash","--norc","-e","-c"`: true, `"sh","-o","errexit","-c"`: true,
	} {
		if got := lastScript(t, "FROM a\nSHELL ["+shell+"]\nRUN a\n").ErrExit; got != want {
			t.Errorf("%s: %v", shell, got)
		}
	}
	if !lastScript(t, "FROM a\nRUN <<E\n#!/bin/bash -e\na\nE\n").ErrExit {
		t.Error("the option of an interpreter is not seen")
	}
}

func lastScript(t *testing.T, src string) *Script {
	t.Helper()
	steps := lastSteps(t, src)
	script, err := steps[len(steps)-1].Script()
	if err != nil {
		t.Fatal(err)
	}
	return script
}

func lastSteps(t *testing.T, src string) []Step {
	t.Helper()
	f, err := Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f.Steps("", nil)
}

func TestShellExec(t *testing.T) {
	t.Parallel()
	src := "FROM a\nENV X=1\nENTRYPOINT [\"/bin/sh\", \"-ec\", \"cd /x && exec node $X\"]\n"
	steps := lastSteps(t, src)
	script, err := steps[1].ShellExec()
	if err != nil || len(script.Calls) != 2 || !script.ErrExit {
		t.Fatal(script, err)
	}
	c := script.Calls[1]
	if c.Dir != "/x" || c.Words[2].Text != "1" || src[c.Words[0].Start:c.Words[0].End]+"\n" != src[strings.Index(src, "ENTRY"):] {
		t.Errorf("%+v", c)
	}
	for _, command := range []string{`["node","-c","x"]`, `["sh","x","-c"]`, `["sh","-c"]`, `["sh","--c","x"]`, "sh -c x"} {
		if _, err := lastSteps(t, "FROM a\nCMD "+command+"\n")[0].ShellExec(); !errors.Is(err, ErrNoShell) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func TestUnwrapped(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"apt-get update":                         "apt-get update",
		"sudo -E apt-get update":                 "apt-get update",
		"sudo -u me -- A=1 x y":                  "x y",
		"env -i -u B A=1 C=$D npm ci":            "npm ci",
		"time -p nice -n 5 make":                 "make",
		"exec gosu app node x":                   "node x",
		"timeout -k 5 10 curl x":                 "curl x",
		"command -v git":                         "command -v git",
		"exec tini -g -- sudo env A=1 node a.js": "node a.js",
		"sudo":                                   "sudo",
		"sudo $X":                                "sudo $X",
		"env A=1":                                "env A=1",
		"sudo -i x":                              "sudo -i x",
	} {
		c := lastScript(t, "FROM a\nRUN "+script+"\n").Calls[0]
		got := c.Unwrapped()
		if text := strings.Join(append([]string{got.Words[0].Text}, got.Args()...), " "); text != want {
			t.Errorf("%s is %s, want %s", script, text, want)
		}
	}
}

func TestComments(t *testing.T) {
	t.Parallel()
	src := "# syntax=example.org/other:1 x\n# check=skip=all\nFROM a\n# image-budget ignore=one,two\n# because\nRUN a\n  # image-budget  ignore=three ignore=four\r\nRUN b \\\n# image-budget ignore=five\n c\n\n# image-budget ignore=six\n\nRUN d\n"
	f, err := Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Syntax(); got != "example.org/other:1" {
		t.Errorf("the syntax is %q", got)
	}
	var got []string
	for _, s := range f.Steps("", nil) {
		for _, rule := range []string{"one", "two", "three", "four", "five", "six", "because", ""} {
			if s.Ignores(rule) {
				got = append(got, fmt.Sprintf("%d %s", s.Start, rule))
			}
		}
	}
	if d := cmp.Diff([]string{"6 one", "6 two", "8 three", "8 four"}, got); d != "" {
		t.Error(d)
	}
	if f, _ := Parse("Dockerfile", []byte("\xef\xbb\xbfFROM a\n")); f.Syntax() != "" || f.Ignores(-1, "x") || f.Ignores(99, "x") {
		t.Error("a file without comments has some")
	}
}

// TestVariablesOfAParentHold wants what a build with BuildKit 0.8 and with one of
// 2026 writes: the child has the argument, and ENV before ARG.
func TestVariablesOfAParentHold(t *testing.T) {
	t.Parallel()
	src := "ARG G=global\nFROM a AS one\nENV E=1\nARG E=2 A=3 G\nRUN a\nENV A=$E-$G\nFROM one\nRUN b\nENV E=4\nRUN c\n"
	var got []string
	for _, s := range lastSteps(t, src) {
		if s.Keyword == "RUN" {
			line := s.Text
			for _, name := range []string{"E", "A", "G"} {
				value, ok := s.Expand("$" + name)
				line += fmt.Sprintf(" %s=%s %v", name, value, ok)
			}
			got = append(got, line)
		}
	}
	want := []string{"RUN a E=2 true A=3 true G=global true", "RUN b E=1 true A=2-global true G=global true", "RUN c E=4 true A=2-global true G=global true"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	s := lastSteps(t, "FROM a\nARG X=1\nRUN a\n")[1]
	for word, want := range map[string]string{"${X:-y}": "1 true", "${U:-y}": "y false", "$X$U": "1$U false", "'$X'": "$X true"} {
		value, ok := s.Expand(word)
		if got := fmt.Sprint(value, " ", ok); got != want {
			t.Errorf("%s is %s, want %s", word, got, want)
		}
	}
}
