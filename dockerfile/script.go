package dockerfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
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
	// maxWords bounds the words of one script, of which a variable makes many.
	maxWords = 100_000
	// maxOperators bounds the characters that are operators in arithmetic.
	maxOperators = 40_000
)

// Script is the shell text of a RUN, CMD or ENTRYPOINT, read as the shell reads
// it and not run.
type Script struct {
	// Calls are the simple commands, in the order of the text.
	Calls []Call
	// Within are the commands of $(…), `…` and <(…), in the order of the text.
	// None of them is Certain, and their Join begins anew in each.
	Within []Call
	// Start and End are the bytes of Src that hold the text, without the lines of
	// here-documents that a command reads.
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
	// Join is the operator that stands directly before it: "&&", "||", "|", or
	// ";" for ; and line breaks; "" on the first of the script and on the first in
	// a block, subshell, condition or body.
	Join string
	// Certain tells that it runs whenever the script comes that far without an
	// error: it stands in no condition, loop, function, subshell, pipe or
	// background, not beside an || that does more than forgive its failure, and
	// not behind a test or what may end the script.
	Certain bool
	// Last tells that nothing that the script does comes after it, and that it
	// is Certain.
	Last bool
	// Dir is where it runs if nothing before it failed, absolute and clean, ""
	// if unknown.
	Dir string
	// Set are the variables that are set for it alone, in order.
	Set []Assignment
	// To are the files that its output is written to, one for each > and >>.
	To []Word

	// stop is where its statement ends, 0 where a here-document belongs to it.
	stop int
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
	t, err := s.shellText()
	if err != nil {
		return nil, err
	}
	return s.script(t)
}

// ShellExec reads the text of an exec form that runs a shell, as in
// ["sh", "-c", "…"], and is ErrNoShell for all others. Its places are those of
// the whole instruction, and good for no edit.
func (s Step) ShellExec() (*Script, error) {
	command := s.Exec()
	if len(command) < 3 || !isShell(command[0]) {
		return nil, ErrNoShell
	}
	text := -1
	for i, word := range command[1:] {
		if !strings.HasPrefix(word, "-") {
			break
		}
		if !strings.HasPrefix(word, "--") && strings.HasSuffix(word, "c") {
			text = i + 2
		}
	}
	if text < 0 || text >= len(command) {
		return nil, ErrNoShell
	}
	t := shellText{text: command[text], at: make([]int, len(command[text])+1), options: command[1:text]}
	start, end := s.Bytes()
	for i := range t.at {
		t.at[i] = i // until it is read
	}
	out, err := s.script(t)
	if err != nil {
		return nil, err
	}
	out.Start, out.End = start, end
	for _, calls := range [][]Call{out.Calls, out.Within} {
		for i := range calls {
			calls[i].Start, calls[i].End = start, end
			for _, words := range [][]Word{calls[i].Words, calls[i].To} {
				for j := range words {
					words[j].Start, words[j].End = start, end
				}
			}
			for j := range calls[i].Set {
				calls[i].Set[j].Value.Start, calls[i].Set[j].Value.End = start, end
			}
		}
	}
	return out, nil
}

func (s Step) script(t shellText) (*Script, error) {
	// It is a superset: where dash differs, nothing is known.
	file, err := parseShell(t.text, syntax.LangBash)
	if err != nil {
		return nil, err
	}
	out := &Script{Heredoc: t.heredoc, Start: t.at[0], End: t.at[0]}
	if n := t.command(); n > 0 {
		out.End = t.at[n-1] + 1
	}
	out.ErrExit, _ = errExit(t.options, false)
	r := &shellReader{step: s, text: t.text, at: t.at, out: out, vars: map[string]string{}, lost: map[string]bool{}, dir: s.Dir, last: -1}
	if err := guard(func() error {
		r.findFunctions(file)
		r.stmts(file.Stmts, true)
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.Within, func(a, b Call) int { return cmp.Compare(a.Start, b.Start) })
	switch {
	case r.tooMany:
		return nil, fmt.Errorf("the script has more than %d commands or %d words", maxCalls, maxWords)
	case r.tooDeep:
		return nil, fmt.Errorf("the script nests more than %d deep", maxScriptDepth)
	case r.last >= 0 && !r.trap && out.Calls[r.last].Certain:
		out.Calls[r.last].Last = true
	}
	return out, nil
}

func parseShell(text string, lang syntax.LangVariant) (file *syntax.File, err error) {
	if tooDeep(text) {
		return nil, errors.New("the script nests too deep to be read")
	}
	if strings.ContainsAny(text, "\x00\r") {
		// The shell takes them as part of a word, or not at all.
		return nil, errors.New("the script has characters that no shell text has")
	}
	parse := func() error {
		file, err = syntax.NewParser(syntax.Variant(lang), syntax.KeepComments(true)).Parse(strings.NewReader(text), "")
		return err
	}
	if guarded := guard(parse); guarded != nil || !continuedComment.MatchString(text) {
		return file, guarded
	}
	// A comment ends with its line, though a backslash stands before the end. The
	// parser reads on: it must not see it.
	for range 3 {
		plain := []byte(text)
		syntax.Walk(file, func(n syntax.Node) bool {
			if c, ok := n.(*syntax.Comment); ok {
				end := min(int(c.Hash.Offset()), len(plain))
				if line := bytes.IndexByte(plain[end:], '\n'); line > 0 && plain[end+line-1] == '\\' {
					plain[end+line-1] = ' '
				}
			}
			return true
		})
		if string(plain) == text {
			return file, nil
		}
		text = string(plain)
		if guarded := guard(parse); guarded != nil {
			return nil, guarded
		}
	}
	return nil, errors.New("its comments are not read")
}

// continuedComment may be a comment that ends in a backslash.
var continuedComment = regexp.MustCompile(`#[^\n]*\\\n`)

// opens begins something that the parser reads by calling itself.
var opens = regexp.MustCompile("[({`\\[]|\\b(?:if|elif|while|until|for|case|select|function|time|coproc)\\b")

// tooDeep tells whether a text may nest so deep that the parser, which calls
// itself, runs out of stack: no error that could be caught.
func tooDeep(text string) bool {
	const many = 20 * maxScriptDepth
	if strings.Count(text, "&")+strings.Count(text, "|") > 2*maxCalls || len(opens.FindAllStringIndex(text, many+1)) > many {
		return true
	}
	// In arithmetic each operator is a level.
	operators := 0
	for i := range len(text) {
		if strings.IndexByte("-+!~?:=*/%,<>^", text[i]) >= 0 {
			operators++
		}
	}
	return operators > maxOperators
}

// shells are those whose text is read.
var shells = []string{"sh", "ash", "dash", "bash", "ksh"}

// shellText is the text that a shell gets.
type shellText struct {
	text string
	// at is the place in Src of each of its bytes, and of its end.
	at []int
	// heredoc tells that it is a here-document. documents is where the
	// here-documents begin that its commands read, 0 for none.
	heredoc   bool
	documents int
	// options are those of the shell.
	options []string
}

// command is the length without here-documents.
func (t shellText) command() int {
	if t.documents > 0 {
		return t.documents
	}
	return len(t.text)
}

// fedToShell is a command that does nothing but read its here-document as a
// script.
var fedToShell = regexp.MustCompile(`^<<-?(?:"\w+"|'\w+'|\w+)\s+(?:/bin/|/usr/bin/)?(?:sh|ash|dash|bash)(?:\s+-[a-z]+)*$`)

func (s Step) shellText() (shellText, error) {
	line, shellForm := s.commandLine()
	if !shellForm || len(line) == 0 {
		return shellText{}, ErrNoShell
	}
	joined, places, next := s.joined()
	c, ok := s.command.(*instructions.RunCommand)
	fed := ok && len(c.Files) == 1 && fedToShell.MatchString(line[0])
	if fed && !strings.ContainsAny(line[0], `"'`) && strings.ContainsAny(c.Files[0].Data, "$`\\") {
		// The outer shell changes the text before the inner one reads it.
		return shellText{}, errors.New("a here-document that is expanded for another shell is not read")
	}
	if !fed && (!ok || len(c.Files) == 0 || parser.MustParseHeredoc(line[0]) == nil) {
		if !s.shellRuns() {
			return shellText{}, ErrNoShell
		}
		trimmed := strings.TrimRightFunc(joined, unicode.IsSpace)
		if !strings.HasSuffix(trimmed, line[0]) || line[0] == "" {
			return shellText{}, errors.New("the command is not found in the file")
		}
		from := len(trimmed) - len(line[0])
		t := shellText{text: line[0], at: slices.Clone(places[from : from+len(line[0])+1]), options: s.Shell[1:]}
		if ok && len(c.Files) > 0 {
			return t.withDocuments(c.Files, s.file.Src, next)
		}
		return t, nil
	}
	// A here-document is the whole script.
	file := c.Files[0]
	if !bytes.HasPrefix(s.file.Src[min(next, len(s.file.Src)):], []byte(file.Data)) {
		return shellText{}, errors.New("the here-document is not found in the file")
	}
	t := shellText{heredoc: true}
	if !file.Chomp {
		t.text = file.Data
		for i := range len(file.Data) + 1 {
			t.at = append(t.at, next+i)
		}
	} else {
		var text strings.Builder
		for line := range strings.Lines(file.Data) {
			cut := strings.TrimLeft(line, "\t")
			for i := range len(cut) {
				t.at = append(t.at, next+len(line)-len(cut)+i)
			}
			text.WriteString(cut)
			next += len(line)
		}
		t.text, t.at = text.String(), append(t.at, next)
	}
	interpreter, shebang := interpreterOf(t.text)
	switch {
	case fed && s.shellRuns():
		t.options = strings.Fields(line[0])[2:]
	case shebang && (len(interpreter) == 0 || !isShell(interpreter[0])), !shebang && !s.shellRuns():
		return shellText{}, ErrNoShell
	case shebang:
		t.options = interpreter[1:]
	default:
		t.options = s.Shell[1:]
	}
	return t, nil
}

// withDocuments adds the here-documents that commands read, as BuildKit gives
// them to the shell: each without its tabs before the end.
func (t shellText) withDocuments(files []instructions.ShellInlineFile, src []byte, next int) (shellText, error) {
	text := []byte(t.text)
	t.documents = len(text)
	t.at = t.at[:len(text)]
	for _, f := range files {
		if next > len(src) || !bytes.HasPrefix(src[next:], []byte(f.Data)) {
			return shellText{}, errors.New("the here-document is not found in the file")
		}
		text = append(append(text, '\n'), f.Data...)
		t.at = append(t.at, max(next-1, 0))
		for range len(f.Data) {
			t.at = append(t.at, next)
			next++
		}
		for f.Chomp && next < len(src) && src[next] == '\t' {
			next++
		}
		if !bytes.HasPrefix(src[min(next, len(src)):], []byte(f.Name)) {
			return shellText{}, errors.New("the end of the here-document is not found in the file")
		}
		text = append(text, f.Name...)
		for range len(f.Name) {
			t.at = append(t.at, next)
			next++
		}
		if stop := bytes.IndexByte(src[next:], '\n'); stop >= 0 {
			next += stop + 1
		} else {
			next = len(src)
		}
	}
	t.text, t.at = string(text), append(t.at, next)
	return t, nil
}

// shellRuns tells whether SHELL is one whose text is read.
func (s Step) shellRuns() bool {
	return len(s.Shell) > 1 && isShell(s.Shell[0]) && slices.ContainsFunc(s.Shell[1:], func(word string) bool {
		return strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && strings.Contains(word, "c")
	})
}

// interpreterOf is what the first line of a text names as its interpreter, with
// its options, and whether it names one.
func interpreterOf(text string) ([]string, bool) {
	line, _, _ := strings.Cut(text, "\n")
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return nil, false
	}
	words := strings.Fields(rest)
	if len(words) > 1 && path.Base(words[0]) == "env" {
		words = words[1:]
		if words[0] == "-S" {
			words = words[1:]
		}
	}
	return words, true
}

func isShell(name string) bool { return slices.Contains(shells, path.Base(name)) }

// joined is the instruction in one line, as the parser joins it: without
// comments and empty lines between the continued ones, and without the
// characters that continue them. places has the place in Src of each byte, and
// one more: that of the end. next is where the line after it begins, which may
// be a here-document.
func (s Step) joined() (line string, places []int, next int) {
	start, end := s.Bytes()
	src := s.file.Src
	var out []byte
	last := start
	for next = start; next < end; {
		at := next
		stop := bytes.IndexByte(src[at:], '\n')
		if next = at + stop + 1; stop < 0 {
			stop, next = len(src)-at, len(src)
		}
		line := bytes.TrimRight(src[at:at+stop], "\r\n")
		blank := bytes.TrimLeftFunc(line, unicode.IsSpace)
		if len(blank) > 0 && blank[0] != '#' {
			line, more := s.file.continued(line)
			for i, c := range line {
				out, places = append(out, c), append(places, at+i)
			}
			if last = at + len(line); !more {
				break
			}
		}
	}
	return string(out), append(places, last), next
}

// continued cuts the escape character from the end of a line that goes on.
func (f *File) continued(line []byte) ([]byte, bool) {
	cut := bytes.TrimRight(line, " \t")
	if n := len(cut); n == 0 || rune(cut[n-1]) != f.escape || n > 1 && rune(cut[n-2]) == f.escape {
		return line, false
	}
	return cut[:len(cut)-1], true
}
