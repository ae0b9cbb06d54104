package dockerfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// prelude makes a shell write down what it would run: the commands c0 to c99,
// and the folder that they run in. cd goes nowhere, for its folders are not
// there.
const prelude = `IB_DIR=/w
ib() {
	ib_name=$1
	printf '%s\0' "$IB_DIR" "$@" "$(printf '\001')" >>"$IB_LOG"
	case " $IB_FAIL " in *" $ib_name "*) return 1 ;; esac
}
cd() {
	case ${1-} in -L | -P | --) shift ;; esac
	case ${1-} in '' | -*) IB_DIR='?' ;; /*) IB_DIR=$1 ;; *) IB_DIR=$IB_DIR/$1 ;; esac
}
`

// ran is one command that a shell has run.
type ran struct {
	dir   string
	words []string
}

// runScript has a shell run a script, with the commands of fail failing.
func runScript(t *testing.T, shell, script string, fail []string) []ran {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"x.c", "y.c", "a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var text strings.Builder
	text.WriteString(prelude)
	for i := range 100 {
		if name := fmt.Sprintf("c%d", i); strings.Contains(script, name) {
			fmt.Fprintf(&text, "%s() { ib %s \"$@\"; }\n", name, name)
		}
	}
	text.WriteString(script)
	log := filepath.Join(dir, ".log")
	cmd := exec.Command(shell, "-c", text.String())
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/home", "IB_LOG=" + log, "IB_FAIL=" + strings.Join(fail, " "), "V=one", "W=two words", "E=", "OPTS=-a  -b"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// That it fails is part of some scripts.
	if err := cmd.Run(); err != nil && strings.Contains(stderr.String(), "yntax error") {
		t.Skipf("%s cannot read this: %s", shell, stderr.String())
	}
	got, err := os.ReadFile(log)
	if err != nil {
		return nil
	}
	var out []ran
	for record := range strings.SplitSeq(string(got), "\x00\x01\x00") {
		if record != "" {
			words := strings.Split(record, "\x00")
			out = append(out, ran{words[0], words[1:]})
		}
	}
	return out
}

// compareWithShell checks what is read of a script against what a shell does.
func compareWithShell(t *testing.T, shell, script string, fail []string) {
	t.Helper()
	head := "FROM a\nSHELL [\"/bin/" + shell + "\",\"-c\"]\nWORKDIR /w\nENV V=one W=\"two words\" E=\"\" OPTS=\"-a  -b\"\nRUN <<'END'\n"
	f, err := Parse("Dockerfile", []byte(head+script+"\nEND\n"))
	if err != nil {
		t.Fatal(err)
	}
	steps := f.Steps("", nil)
	got, err := steps[len(steps)-1].Script()
	if err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
	records := runScript(t, shell, script, fail)
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s, with %v failing: %s\n%s\nran: %q", shell, fail, fmt.Sprintf(format, args...), script, records)
	}
	of := map[string][]int{}
	for i, r := range records {
		of[r.words[0]] = append(of[r.words[0]], i)
	}
	before := -1
	seen := map[string]bool{}
	for _, c := range append(slices.Clone(got.Calls), got.Within...) {
		name := c.Name()
		if len(name) < 2 || name[0] != 'c' || name == "cd" || !isNumber(name[1:]) {
			continue
		}
		seen[name] = true
		if c.Certain {
			if len(of[name]) != 1 {
				wrong("%s is certain, and ran %d times", name, len(of[name]))
				continue
			}
			if of[name][0] < before {
				wrong("%s is certain, and ran before one that stands before it", name)
			}
			before = of[name][0]
			if c.Last && before != len(records)-1 {
				wrong("%s is the last, and is not", name)
			}
		} else if c.Last {
			wrong("%s is the last, and not certain", name)
		}
		for _, i := range of[name] {
			r := records[i]
			if c.Dir != "" && c.Dir != path.Clean(r.dir) {
				wrong("%s runs in %s, not %s", name, r.dir, c.Dir)
			}
			if !fits(c.Words, r.words) {
				wrong("%s has the words %q, not %+v", name, r.words, c.Words)
			}
		}
	}
	for name := range of {
		if !seen[name] && !strings.Contains(script, "eval") && !strings.Contains(script, "trap") {
			wrong("%s ran, and is not seen", name)
		}
	}
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// fits compares the words before the first and behind the last that is not
// known, which may be any number of words.
func fits(words []Word, real []string) bool {
	unknown := func(w Word) bool { return !w.Known }
	first := slices.IndexFunc(words, unknown)
	if first < 0 {
		return slices.EqualFunc(words, real, func(w Word, r string) bool { return w.Text == r })
	}
	for i, w := range words[:first] {
		if i >= len(real) || real[i] != w.Text {
			return false
		}
	}
	for i := 1; words[len(words)-i].Known; i++ {
		if i > len(real) || real[len(real)-i] != words[len(words)-i].Text {
			return false
		}
	}
	return true
}

// scripts are read and run. In those that begin with "# fail: …" these commands
// fail in any combination: it is no error there.
var scripts = []string{
	"c1 && c2; c3\nc4",
	"c1 $V \"$V\" '$V' ${V}x $W \"$W\" x$W $E \"$E\" ${E} ''",
	"c1 $OPTS z$OPTS \"$OPTS\"z",
	"cd /x && c1; cd y; c2; cd ../z; c3; cd; c4; cd /q; c5; cd -; c6; cd -P /r; c7; cd -- s; c8",
	"(cd /x && c1); c2; { cd /y; c3; }; c4",
	"cd /x | c1; c2; cd /y & c3; wait",
	"# fail: c1\nc1 || c2; c3",
	"# fail: c1\nc1 || true; c2",
	"# fail: c1\nc1 && c2 || c3; c4",
	"# fail: c1\nc1 || cd /x; c2",
	"# fail: c1\nc1 && cd /x || true; c2",
	"# fail: c1\nc1 && V=3 || true; c2 $V",
	"# fail: c1\nc1 || V=3; c2 $V",
	"# fail: c1\nif c1; then cd /x; V=2; c2 $V; else c3 $V; fi; c4 $V",
	"# fail: c1\nif ! c1; then c2; elif c3; then c4; else c5; fi; c6",
	"# fail: c1\n! c1; c2",
	"# fail: c1\nc1 & c2; wait",
	"# fail: c1\n[ -f none ] && c1; [ -f x.c ] && c2 && c3 && cd /x; c4",
	"# fail: c1 c2\nc1 || c2 || c3; c4",
	"# fail: c1\n{ c1 || c2; } && c3; c4",
	"# fail: c1\nc1 | c2; c3",
	"set -e; cd /x || exit 1; c1; cd /y || { echo no; exit 1; }; c2",
	"cd /x && cd y || exit 1; c1",
	"[ -d x.c ] && cd /x || { c2; }; c1",
	"[ -d none ] && cd /x || V=7; c1 $V",
	"if [ -f none ]; then exit 0; fi; c1; if [ -f x.c ]; then exit 0; fi; c2",
	"[ -f x.c ] && exit; c1",
	"[ -f x.c ] || exit 0; c1; [ -f none ] || exit 0; c2",
	"(exit 0); c1; (exec c2); c3",
	"c1; exit; c2",
	"exec >out; c1; exec true; c2",
	"for x in a b; do c1 $x $V; V=2; done; c2 $x $V",
	"for x in a b; do cd d; c1; done; c2",
	"for x in $(c1); do c2; done; c3",
	"for V in; do c1; done; c2 $V",
	"i=0; while [ $i = 0 ]; do c1 $i; i=1; done; c2 $i",
	"i=0; until c1 $i; do i=1; done; c2 $i",
	"case $V in one) c1; V=2 ;; two) c2 ;; *) c3 ;; esac; c4 $V",
	"f() { c1 $V; V=2; cd /x; }; c2 $V; f; c3 $V; f",
	"f() { c1 $V $1; }; V=3; f q; c2 $V; V=4; f r",
	"f() { exit 0; }; c1; f; c2",
	"f() { g; }; g() { c1; }; f",
	"f() ( cd /x; c1 ); f; c2",
	"x=$(c1 a); c2 \"$x\"; c3 `c4 b` $(c5 $(c6))",
	"V=2; c1 $V; V=$V$V; c2 $V; V='a  b'; c3 $V \"$V\"; V=*.c; c4 \"$V\"; c5 $V; V=; c6 $V",
	"V=5 c1 $V; c2 $V",
	"export V=6; c1 $V; export U='a b'; c2 $U; unset V; c3 x${V}y; readonly R=1; c4 $R; export V; c5",
	"export A=$W; c1 $A",
	"echo x y >f; read V <f; c1 $V; read -r A B <f; c2 $A",
	"eval 'V=9'; c1 $V; eval 'cd /x'; c2",
	"echo V=8 >f; . ./f; c1 $V",
	"IFS=,; V=a,b; c1 $V; c2 \"$V\"",
	"c1 *.c '*.c' \\*.c [xy].c \"[xy].c\" ? {p,q} {} {x} \\{p,q\\} a{1..2}",
	"c1 ~ ~/x \\~ a~ \"~\" x=~ x:~",
	"c1 \\; \\$V \"\\$V\" \"\\\\\" \"a\\b\" a\\ b '\\n' \"it's\" 'say \"x\"' \"\\`\" \\\\",
	"c1 a\\\nb 'c\\\nd' \"e\\\nf\" \\\n  g # no \\\nc2",
	"c1 a#b # c c\n#d\nc2 '#' \"#\" \\#",
	"c1 $'x' $\"y\" z",
	"c1 ${V:-d} ${U:-d} ${U-d} ${V:+w} ${E:+w} ${E:-w} ${E-w} ${V#o} ${#V} ${V%e}",
	": ${U:=d} ${V:=e}; c1 $U $V; : ${E:=f}; c2 $E",
	"c1 $((1+2)) $((n=3)) $n; n=1; c2 $((n+=1)); c3 $n",
	"c1 $@ \"$@\" $* $# x; set -- p q; c2 $1 \"$@\" y",
	"c1 <<A && c2\nc9 $V\nA\nc3 <<'B'\nx\nB\nc4",
	"c1 <<A\n$(c2)\nA\nc3",
	"c1 >f1 2>&1; c2 2>/dev/null >>f1; >f2 c3; c4 </dev/null",
	"{ c1; c2; } >f1; c3; (c4) >f1",
	"c1 &&\nc2 ||\nc3\nc4 |\nc5",
	"c1 $PWD $PPID $LINENO $HOME x; PWD=/q; c2 $PWD",
	"set -eu -o errexit; c1; set +e; c2",
	"trap 'c1' EXIT; c2",
	"if c1; then :; fi && c2; c3",
	"c1 \"$(cd /x; c2; V=3)\" $V; c3 $V",
	"c1 \"${W}\"'x'$V\"$E\"$W",
	"X=\"$V-1\" Y=$X; c1 $X $Y; X=a Y=$X c2",
	"c1 -- '' \"\" a''b; c2 \"\"$E'' ",
	"x='a\nb'; c1 $x \"$x\"",
	"while read l; do c1 $l; cd /x; done <x.c; c2",
	"command cd /w; command c1; builtin cd",
	"V=2 : ; c1 $V; V=3 export X; c2 $V",
	"c1 &&! c2; c3",
	"time c1; c2",
	"[ a ] && { c1; cd /x; c2; } ; c3",
	"((1)) && c1; [[ a ]] && c2; c3",
	"V+=x; c1 $V; a=(1 2); c2 $a; declare -u V=q; c3 $V; local=1; c4 $local; let V=2; c5 $V; printf -v V z; c6 $V",
	"function f { c1; }; f; c2 <(c3)",
	"for ((i=0;i<2;i++)); do c1 $i; done; c2 $i; c3 &> /dev/null; c4",
	"V=3; x=1; while [ $x = 1 ]; do while [ $x = 1 ]; do c1 $V; V=4; x=2; done; done; c2 $V",
	"if cd /x; then c1; cd /y; fi; c2",
	"if V=2; c1; then c2 $V; fi; c3 $V",
	"return 0; c1",
	"f() { IFS=:; }; f; V=a:b; c1 $V",
	"c1 # x \\\nc2 '# y \\\n'",
}

func TestScriptsAgreeWithTheShell(t *testing.T) {
	t.Parallel()
	for i, script := range scripts {
		for _, shell := range shellsHere(t) {
			t.Run(fmt.Sprintf("%s/%d", shell, i), func(t *testing.T) {
				t.Parallel()
				var may []string
				if rest, ok := strings.CutPrefix(script, "# fail: "); ok {
					line, _, _ := strings.Cut(rest, "\n")
					may = strings.Fields(line)
				}
				for mask := range 1 << len(may) {
					var fail []string
					for j, name := range may {
						if mask>>j&1 == 1 {
							fail = append(fail, name)
						}
					}
					compareWithShell(t, shell, script, fail)
				}
			})
		}
	}
}

func shellsHere(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, shell := range []string{"dash", "bash"} {
		if _, err := exec.LookPath(shell); err == nil {
			out = append(out, shell)
		}
	}
	if len(out) == 0 {
		t.Skip("no shell is here to compare with")
	}
	return out
}

// TestRandomScriptsAgreeWithTheShell writes scripts of all that the reader
// knows. In them nothing fails.
func TestRandomScriptsAgreeWithTheShell(t *testing.T) {
	t.Parallel()
	n := 60
	if testing.Short() {
		n = 10
	}
	for seed := range n {
		g := &scriptWriter{rng: rand.New(rand.NewPCG(uint64(seed), *scriptSeed))}
		script := g.list(2, "\n")
		for _, shell := range shellsHere(t) {
			t.Run(fmt.Sprintf("%s/%d", shell, seed), func(t *testing.T) {
				t.Parallel()
				compareWithShell(t, shell, script, nil)
			})
		}
	}
}

// scriptWriter writes random scripts. Each command has a name of its own.
type scriptWriter struct {
	rng  *rand.Rand
	next int
}

func (g *scriptWriter) pick(of ...string) string { return of[g.rng.IntN(len(of))] }

func (g *scriptWriter) name() string {
	if g.next++; g.next > 90 {
		return "true"
	}
	return fmt.Sprintf("c%d", g.next)
}

func (g *scriptWriter) variable() string { return g.pick("V", "W", "E", "U", "OPTS") }

func (g *scriptWriter) word() string {
	v := g.variable()
	switch g.rng.IntN(16) {
	case 0:
		return g.pick("'a b'", "\"\"", "''", "\\;", "a\\ b", "\"a\\\"b\\$c\\d\"", "'#'", "x#y", "'$V'")
	case 1:
		return g.pick("*.c", "{p,q}", "~", "[xy].c", "\\*.c", "{}", "'*'", "[", "]", "x=~")
	case 2:
		return "${" + v + ":" + g.pick("-", "+", "=") + "d}"
	case 3:
		return "${" + v + g.pick("-", "+", "=", "#", "%") + "d}"
	case 4, 5:
		return "$" + v
	case 6, 7:
		return "\"$" + v + "\""
	case 8:
		return "a${" + v + "}b"
	case 9:
		return g.pick("\"x\"$", "'y z'$") + v + g.pick("\"x\"", "'y z'", "")
	case 10:
		return "$(" + g.simple() + ")"
	case 11:
		return "`" + g.name() + "`"
	case 12:
		return "$((1+1))"
	}
	return g.pick("lit", "-y", "/x", "a.c")
}

func (g *scriptWriter) simple() string {
	var out []string
	if g.rng.IntN(6) == 0 {
		out = append(out, g.variable()+"="+g.word())
	}
	out = append(out, g.name())
	for range g.rng.IntN(4) {
		out = append(out, g.word())
	}
	if g.rng.IntN(8) == 0 {
		out = append(out, ">f1")
	}
	return strings.Join(out, " ")
}

func (g *scriptWriter) list(depth int, join string) string {
	var out []string
	for range 2 + g.rng.IntN(4) {
		out = append(out, g.stmt(depth))
	}
	return strings.Join(out, join)
}

func (g *scriptWriter) stmt(depth int) string {
	if depth == 0 {
		return g.simple()
	}
	body := func() string { return g.list(depth-1, "; ") }
	switch g.rng.IntN(22) {
	case 0:
		return g.variable() + "=" + g.word()
	case 1:
		return "cd " + g.pick("/x", "y", "..", "$V", "\"$W\"", "-- z")
	case 2:
		return "export " + g.variable() + "=" + g.word()
	case 3:
		return "if " + g.stmt(depth-1) + "; then " + body() + "; else " + body() + "; fi"
	case 4:
		return "for " + g.variable() + " in a " + g.word() + "; do " + body() + "; done"
	case 5:
		return "case " + g.word() + " in one) " + body() + " ;; *) " + body() + " ;; esac"
	case 6:
		return "( " + body() + " )"
	case 7:
		return "{ " + body() + "; }"
	case 8:
		return g.name() + " | " + g.simple()
	case 9, 10:
		return g.stmt(depth-1) + " && " + g.stmt(depth-1)
	case 11:
		return g.simple() + " || " + g.stmt(depth-1)
	case 12:
		return "[ -n \"$" + g.variable() + "\" ] " + g.pick("&&", "||") + " " + g.stmt(depth-1)
	case 13:
		f := g.pick("f", "g")
		return f + "() { " + body() + "; }; " + f + " " + g.word()
	case 14:
		return "! " + g.simple()
	case 15:
		return g.pick("unset V", "set -e", "eval 'W=q'", "set -- a", ": ${U:=x}", "echo z | read V", "cd /x || exit 1", "(exit 0)", "IFS=:", "[ -f none ] && exit 0")
	case 16:
		return "x=0; while [ $x = 0 ]; do x=1; " + body() + "; done"
	}
	return g.simple()
}
