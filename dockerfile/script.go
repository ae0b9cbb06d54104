package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"mvdan.cc/sh/v3/syntax"
)

// maxCalls bounds the commands of one script, maxScriptDepth how deep they nest.
const (
	maxCalls       = 10_000
	maxScriptDepth = 200
)

// Script is the shell text of a RUN, CMD or ENTRYPOINT, read as the shell reads
// it and not run.
type Script struct {
	// Calls are the simple commands, in the order of the text.
	Calls []Call
	// Start and End are the bytes of Src that hold the text.
	Start, End int
	// Heredoc tells that the text is a here-document, whose lines are joined by
	// line breaks and not by continuations.
	Heredoc bool
	// ErrExit tells that set -e or a shell option ends it at the first failure.
	ErrExit bool
}

// Call is one simple command of a script.
type Call struct {
	// Words are the command and its arguments. A variable whose value has
	// several words makes several of them, with the same range.
	Words []Word
	// Start and End are the bytes of Src from its first word, assignments
	// included, to its last, redirections not included.
	Start, End int
	// Join is the operator that stands before it: "&&", "||", "|", or ";" for
	// all else; "" on the first.
	Join string
	// Certain tells that it runs whenever the script comes that far without an
	// error: it stands in no condition, loop, function, subshell, pipe or
	// background, and not behind ||.
	Certain bool
	// Last tells that nothing that the script does comes after it, and that it
	// is Certain.
	Last bool
	// Dir is where it runs, absolute, "" if unknown.
	Dir string
	// Set are the variables that are set for it alone, in order.
	Set []Assignment
	// To are the files that its output is written to, one for each > and >>.
	To []Word
}

// Assignment is NAME=VALUE in front of a command.
type Assignment struct {
	Name  string
	Value Word
}

// Word is one word of a command.
type Word struct {
	// Text is its value, with quotes removed and known variables put in; what is
	// not known stays as it is written.
	Text string
	// Known tells that Text is the value; a pattern of files is not.
	Known bool
	// Start and End are its bytes in Src.
	Start, End int
}

// Name is the command without its folder, "" where it is not known.
func (c Call) Name() string {
	if len(c.Words) == 0 || !c.Words[0].Known {
		return ""
	}
	return path.Base(c.Words[0].Text)
}

// Args are the words after the command.
func (c Call) Args() []string {
	if len(c.Words) == 0 {
		return nil
	}
	out := make([]string, 0, len(c.Words)-1)
	for _, w := range c.Words[1:] {
		out = append(out, w.Text)
	}
	return out
}

// Has tells whether one of the arguments is one of these.
func (c Call) Has(args ...string) bool {
	for _, a := range c.Args() {
		for _, want := range args {
			if a == want {
				return true
			}
		}
	}
	return false
}

// ErrNoShell says that an instruction runs no shell of a kind that is read.
var ErrNoShell = errors.New("it runs no POSIX shell")

// Script reads the shell text of RUN, CMD or ENTRYPOINT. Here-documents of RUN
// are read too, unless they name another interpreter. It is ErrNoShell in the
// exec form, and with another shell than sh, ash, dash, ksh or bash; other errors say
// what is not valid.
func (s Step) Script() (*Script, error) {
	text, at, heredoc, err := s.shellText()
	if err != nil {
		return nil, err
	}
	lang := syntax.LangBash // a superset: dash would refuse what only bash knows
	file, err := parseShell(text, lang)
	if err != nil {
		return nil, err
	}
	out := &Script{Heredoc: heredoc}
	if len(at) > 0 {
		out.Start, out.End = at[0], at[len(at)-1]
	}
	for _, word := range s.Shell[1:] {
		if strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && strings.Contains(word, "e") {
			out.ErrExit = true
		}
	}
	r := &shellReader{step: s, text: text, at: at, out: out, vars: map[string]string{}, dir: s.Dir}
	r.stmts(file.Stmts, true)
	if n := len(out.Calls); n > 0 && out.Calls[n-1].Certain && !r.open {
		out.Calls[n-1].Last = true
	}
	if r.tooMany {
		return nil, fmt.Errorf("the script has more than %d commands", maxCalls)
	}
	return out, nil
}

func parseShell(text string, lang syntax.LangVariant) (file *syntax.File, err error) {
	if strings.Count(text, "(")+strings.Count(text, "{")+strings.Count(text, "`") > 20*maxScriptDepth {
		return nil, errors.New("the script nests too deep to be read")
	}
	guarded := guard(func() error {
		file, err = syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(text), "")
		return err
	})
	return file, guarded
}

// shells are those whose text is read.
var shells = []string{"sh", "ash", "dash", "bash", "ksh"}

// shellText is the text that the shell gets, and the place in Src of each of its
// bytes and of its end.
func (s Step) shellText() (text string, at []int, heredoc bool, err error) {
	line, shellForm := s.commandLine()
	if !shellForm || len(s.Shell) == 0 || !isShell(s.Shell[0]) || len(line) == 0 {
		return "", nil, false, ErrNoShell
	}
	joined, places := s.joined()
	if c, ok := s.command.(*instructions.RunCommand); ok && len(c.Files) > 0 {
		if parser.MustParseHeredoc(line[0]) == nil {
			return "", nil, false, errors.New("a here-document within a command is not read")
		}
		data := c.Files[0].Data
		if strings.HasPrefix(strings.TrimLeft(data, "\t"), "#!") && !isShell(strings.Fields(interpreterOf(data) + " ?")[0]) {
			return "", nil, false, ErrNoShell
		}
		if c.Files[0].Chomp {
			return "", nil, false, errors.New("a here-document whose tabs are cut is not read")
		}
		start, end := s.Bytes()
		from := bytes.IndexByte(s.file.Src[start:end], '\n')
		// The first line may be continued: the document begins where its text is.
		for from >= 0 && !bytes.HasPrefix(s.file.Src[start+from+1:end], []byte(data)) {
			next := bytes.IndexByte(s.file.Src[start+from+1:end], '\n')
			if next < 0 {
				from = -1
				break
			}
			from += next + 1
		}
		if from < 0 {
			return "", nil, false, errors.New("the here-document is not found in the file")
		}
		at = make([]int, len(data)+1)
		for i := range at {
			at[i] = start + from + 1 + i
		}
		return data, at, true, nil
	}
	text = line[0]
	trimmed := strings.TrimRightFunc(joined, unicode.IsSpace)
	if !strings.HasSuffix(trimmed, text) {
		return "", nil, false, errors.New("the command is not found in the file")
	}
	from := len(trimmed) - len(text)
	return text, places[from : from+len(text)+1], false, nil
}

// interpreterOf is the interpreter of a first line.
func interpreterOf(data string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(data, "\t"), "\n")
	return strings.TrimPrefix(line, "#!")
}

func isShell(name string) bool {
	base := path.Base(name)
	for _, s := range shells {
		if base == s {
			return true
		}
	}
	return false
}

// joined is the instruction in one line, as the parser joins it: without
// comments and empty lines between the continued ones, and without the
// characters that continue them. places has the place in Src of each byte, and
// one more: that of the end.
func (s Step) joined() (string, []int) {
	start, end := s.Bytes()
	src := s.file.Src
	var out []byte
	var places []int
	last := start
	for at := start; at < end || at == start; {
		stop := bytes.IndexByte(src[at:end], '\n')
		next := at + stop + 1
		if stop < 0 {
			stop, next = end-at, end
		}
		line := bytes.TrimRight(src[at:at+stop], "\r\n")
		blank := bytes.TrimLeftFunc(line, unicode.IsSpace)
		if len(blank) > 0 && blank[0] != '#' {
			line, more := s.file.continued(line)
			for i, c := range line {
				out, places = append(out, c), append(places, at+i)
			}
			last = at + len(line)
			if !more {
				break
			}
		}
		if next >= end {
			break
		}
		at = next
	}
	return string(out), append(places, last)
}

// continued cuts the escape character from the end of a line that goes on.
func (f *File) continued(line []byte) ([]byte, bool) {
	cut := bytes.TrimRight(line, " \t")
	if n := len(cut); n == 0 || rune(cut[n-1]) != f.escape || n > 1 && rune(cut[n-2]) == f.escape {
		return line, false
	}
	return cut[:len(cut)-1], true
}

// shellReader collects the commands of a script.
type shellReader struct {
	step Step
	text string
	at   []int
	out  *Script
	// vars are the variables that the script has set so far, for certain, to a
	// known value; "" as a key's absence leaves it to the environment.
	vars  map[string]string
	lost  map[string]bool
	dir   string
	join  string
	depth int
	// open is set where the script ends in something that is no simple command.
	open, tooMany bool
}

func (r *shellReader) place(offset uint) int {
	return r.at[min(int(offset), len(r.at)-1)]
}

func (r *shellReader) stmts(list []*syntax.Stmt, certain bool) {
	for _, s := range list {
		r.stmt(s, certain)
		r.join = ";"
	}
}

func (r *shellReader) stmt(s *syntax.Stmt, certain bool) {
	if r.depth++; r.depth > maxScriptDepth {
		r.tooMany = true
	}
	defer func() { r.depth-- }()
	if r.tooMany || s == nil {
		return
	}
	if s.Background || s.Coprocess || s.Negated {
		certain = false
	}
	r.open = false
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		r.call(s, c, certain)
	case *syntax.BinaryCmd:
		switch c.Op {
		case syntax.AndStmt:
			r.stmt(c.X, certain)
			r.join = "&&"
			// Behind an && of something that may fail on purpose nothing is certain.
			r.stmt(c.Y, certain && !fallible(c.X))
		case syntax.OrStmt:
			r.stmt(c.X, certain && plainFallback(c.Y))
			r.join = "||"
			r.apart(func() { r.stmt(c.Y, false) })
			r.open = true
		default:
			r.apart(func() {
				r.stmt(c.X, false)
				r.join = "|"
				r.stmt(c.Y, false)
			})
			r.open = true
		}
	case *syntax.Block:
		r.stmts(c.Stmts, certain && len(s.Redirs) == 0)
	case *syntax.Subshell:
		r.apart(func() { r.stmts(c.Stmts, false) })
		r.open = true
	case *syntax.DeclClause:
		for _, a := range c.Args {
			if a.Name != nil {
				r.assign(a, certain)
			}
		}
	default:
		// Conditions, loops, functions: what is in them may run.
		r.apart(func() {
			syntax.Walk(c, func(n syntax.Node) bool {
				if inner, ok := n.(*syntax.Stmt); ok {
					r.stmt(inner, false)
					r.join = ";"
					return false
				}
				return true
			})
		})
		r.open = true
	}
}

// fallible tells whether a statement is a test, so that what follows && may not
// run.
func fallible(s *syntax.Stmt) bool {
	switch c := s.Cmd.(type) {
	case *syntax.TestClause:
		return true
	case *syntax.BinaryCmd:
		return c.Op == syntax.AndStmt && fallible(c.Y)
	case *syntax.CallExpr:
		if len(c.Args) > 0 {
			name := c.Args[0].Lit()
			return name == "[" || name == "test" || name == "command" || name == "which" || name == "grep"
		}
	}
	return s.Negated
}

// plainFallback tells whether what stands behind || only forgives a failure.
func plainFallback(s *syntax.Stmt) bool {
	c, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(c.Args) == 0 {
		return false
	}
	name := c.Args[0].Lit()
	return name == "true" || name == ":" || name == "exit" || name == "echo"
}

// apart reads what changes nothing for certain for what follows it.
func (r *shellReader) apart(read func()) {
	dir, before := r.dir, len(r.out.Calls)
	read()
	r.dir = dir
	// A cd in a condition leaves open where the script goes on.
	for _, c := range r.out.Calls[before:] {
		if c.Name() == "cd" && r.depth > 0 {
			r.dir = dir
		}
	}
}

func (r *shellReader) call(s *syntax.Stmt, c *syntax.CallExpr, certain bool) {
	if len(c.Args) == 0 {
		for _, a := range c.Assigns {
			r.assign(a, certain)
		}
		return
	}
	if len(r.out.Calls) >= maxCalls {
		r.tooMany = true
		return
	}
	call := Call{Join: r.join, Certain: certain, Dir: r.dir, Start: r.place(c.Pos().Offset()), End: r.place(c.End().Offset())}
	for _, a := range c.Assigns {
		if a.Name != nil {
			set := Assignment{Name: a.Name.Value}
			if a.Value != nil {
				set.Value = r.joinWords(r.words(a.Value))
			}
			call.Set = append(call.Set, set)
		}
	}
	for _, w := range c.Args {
		call.Words = append(call.Words, r.words(w)...)
	}
	for _, redirect := range s.Redirs {
		switch redirect.Op {
		case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
			call.To = append(call.To, r.joinWords(r.words(redirect.Word)))
		}
	}
	r.follow(call)
	r.out.Calls = append(r.out.Calls, call)
}

// follow does what cd and set do to what comes after.
func (r *shellReader) follow(call Call) {
	args := call.Args()
	switch call.Name() {
	case "cd", "pushd":
		switch {
		case len(args) == 1 && call.Words[1].Known && strings.HasPrefix(args[0], "/"):
			r.dir = path.Clean(args[0])
		case len(args) == 1 && call.Words[1].Known && r.dir != "" && args[0] != "-":
			r.dir = path.Join(r.dir, args[0])
		default:
			r.dir = ""
		}
	case "popd":
		r.dir = ""
	case "set":
		for _, a := range args {
			if strings.HasPrefix(a, "-") && strings.Contains(a, "e") || a == "errexit" {
				r.out.ErrExit = true
			}
		}
	}
}

func (r *shellReader) assign(a *syntax.Assign, certain bool) {
	if a.Name == nil {
		return
	}
	name := a.Name.Value
	delete(r.vars, name)
	if r.lost == nil {
		r.lost = map[string]bool{}
	}
	r.lost[name] = true
	if !certain || a.Append || a.Index != nil || a.Array != nil {
		return
	}
	value := Word{Known: true}
	if a.Value != nil {
		value = r.joinWords(r.words(a.Value))
	}
	if value.Known && len(value.Text) <= maxValue {
		r.vars[name] = value.Text
		delete(r.lost, name)
	}
}

// joinWords is for places where the shell does not split words.
func (r *shellReader) joinWords(words []Word) Word {
	if len(words) == 0 {
		return Word{Known: true}
	}
	out := words[0]
	for _, w := range words[1:] {
		out.Text += " " + w.Text
		out.Known = out.Known && w.Known
	}
	return out
}

// words expands a word as the shell does.
func (r *shellReader) words(w *syntax.Word) []Word {
	start, end := r.place(w.Pos().Offset()), r.place(w.End().Offset())
	var text strings.Builder
	known, split, glob := true, false, false
	for _, part := range w.Parts {
		p := r.part(part, false)
		if !p.known {
			known = false
		}
		if p.bare && strings.ContainsFunc(p.text, unicode.IsSpace) {
			split = true
		}
		glob = glob || p.glob
		text.WriteString(p.text)
	}
	if text.Len() > maxWord {
		return []Word{{Text: r.text[w.Pos().Offset():w.End().Offset()], Start: start, End: end}}
	}
	if !split {
		return []Word{{Text: text.String(), Known: known && !glob, Start: start, End: end}}
	}
	var out []Word
	for _, field := range strings.Fields(text.String()) {
		out = append(out, Word{Text: field, Known: known && !glob, Start: start, End: end})
	}
	return out
}

// piece is a part of a word: bare where the shell splits it at spaces.
type piece struct {
	text              string
	known, bare, glob bool
}

func (r *shellReader) part(part syntax.WordPart, quoted bool) piece {
	written := r.text[min(int(part.Pos().Offset()), len(r.text)):min(int(part.End().Offset()), len(r.text))]
	switch p := part.(type) {
	case *syntax.Lit:
		if quoted {
			return piece{text: unescape(p.Value, `$"\`+"`"), known: true}
		}
		return piece{text: unescape(p.Value, ""), known: true, glob: pattern(p.Value)}
	case *syntax.SglQuoted:
		if p.Dollar {
			return piece{text: written}
		}
		return piece{text: p.Value, known: true}
	case *syntax.DblQuoted:
		out := piece{known: true}
		for _, inner := range p.Parts {
			in := r.part(inner, true)
			out.text += in.text
			out.known = out.known && in.known
			if len(out.text) > maxWord {
				return piece{text: written}
			}
		}
		return out
	case *syntax.ParamExp:
		if p.Param == nil || p.Excl || p.Length || p.Width || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 {
			return piece{text: written}
		}
		value, ok := r.value(p.Param.Value)
		if p.Exp != nil {
			// ${NAME:-default} of what is set is its value.
			if !ok || value == "" || p.Exp.Op != syntax.DefaultUnsetOrNull && p.Exp.Op != syntax.DefaultUnset && p.Exp.Op != syntax.ErrorUnsetOrNull {
				return piece{text: written}
			}
		}
		if !ok {
			return piece{text: written}
		}
		return piece{text: value, known: true, bare: !quoted, glob: !quoted && pattern(value)}
	}
	return piece{text: written}
}

// pattern tells whether a literal stands for something else: files, a list, or
// a home folder. Where a backslash is in it, nothing is said to be known.
func pattern(lit string) bool {
	return strings.ContainsAny(lit, "*?\\") || strings.HasPrefix(lit, "~") ||
		strings.Contains(lit, "[") && strings.Contains(lit, "]") || strings.Contains(lit, "{") && strings.Contains(lit, "}")
}

// value is that of a variable: the script's own, else that of ENV and ARG.
func (r *shellReader) value(name string) (string, bool) {
	if value, ok := r.vars[name]; ok {
		return value, true
	}
	if r.lost[name] {
		return "", false
	}
	return r.step.Env(name)
}

// unescape removes backslashes: before any character, or only before some.
func unescape(lit, only string) string {
	if !strings.Contains(lit, `\`) {
		return lit
	}
	var out strings.Builder
	for i := 0; i < len(lit); i++ {
		if lit[i] == '\\' && i+1 < len(lit) {
			switch next := lit[i+1]; {
			case next == '\n':
				i++
				continue
			case only == "" || strings.IndexByte(only, next) >= 0:
				i++
			}
		}
		out.WriteByte(lit[i])
	}
	return out.String()
}
