package dockerfile

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shellReader collects the commands of a script. It walks the text once, in its
// order, and keeps what holds at each place: the folder and the variables. What
// it reads between a mark and isolate or unsure is undone, or no longer known,
// behind it.
type shellReader struct {
	step Step
	text string
	at   []int
	out  *Script

	// vars are the variables that the script has set, lost those that it has set
	// to nobody knows what. The environment has the others.
	vars map[string]string
	lost map[string]bool
	// dir is the folder, "" if unknown.
	dir string
	// undo is what each change of vars, lost and dir has replaced.
	undo []change

	// inFuncs is what the functions of the script do: they run nobody knows when.
	inFuncs effects
	funcs   map[string]bool
	// everything is what the whole script does, for the bodies of its functions.
	everything effects
	// blind is set in a function, where no variable of the script is known, loop
	// in a loop, where none that is set is, apart in a subshell.
	blind, loop, apart int

	join  string
	depth int
	// unknown is set where a text was run that nobody knows: eval, or another file.
	unknown bool
	// ended is set behind an exit or exec: what follows may not run, though
	// nothing failed.
	ended bool
	// last is the index of the command that the script ends in, -1 if it ends in
	// something else. trap keeps commands for later.
	last int
	trap bool
	// count is how many words there are.
	count int
	// tooMany and tooDeep tell that the script was not read to its end.
	tooMany, tooDeep bool
}

// change is a variable before it changed, or the folder if the name is "".
type change struct {
	name, value string
	set, lost   bool
}

// findFunctions reads ahead what the functions of a script do.
func (r *shellReader) findFunctions(file *syntax.File) {
	read := uint(0)
	syntax.Walk(file, func(n syntax.Node) bool {
		f, ok := n.(*syntax.FuncDecl)
		if !ok {
			return true
		}
		if r.funcs == nil {
			r.funcs = map[string]bool{}
			r.everything = effectsOf(file)
			r.unknown = r.everything.unknown
		}
		if f.Name != nil {
			r.funcs[f.Name.Value] = true
		}
		if f.Pos().Offset() < read {
			return true // in another function
		}
		read = f.End().Offset()
		e := effectsOf(f.Body)
		r.inFuncs.names = append(r.inFuncs.names, e.names...)
		r.inFuncs.dir = r.inFuncs.dir || e.dir
		r.inFuncs.exits = r.inFuncs.exits || e.exits
		return true
	})
	slices.Sort(r.inFuncs.names)
	slices.Sort(r.everything.names)
	if r.inFuncs.dir {
		r.dir = ""
	}
}

func (r *shellReader) mark() int { return len(r.undo) }

// isolate undoes all since a mark: a subshell has ended.
func (r *shellReader) isolate(mark int) {
	for i := len(r.undo) - 1; i >= mark; i-- {
		c := r.undo[i]
		if c.name == "" {
			r.dir = c.value
			continue
		}
		delete(r.vars, c.name)
		delete(r.lost, c.name)
		if c.set {
			r.vars[c.name] = c.value
		}
		if c.lost {
			r.lost[c.name] = true
		}
	}
	r.undo = r.undo[:mark]
}

// unsure forgets all that has changed since a mark: it may have been so or not.
func (r *shellReader) unsure(mark int) {
	for _, c := range r.undo[mark:] {
		if c.name == "" {
			r.dir = ""
			continue
		}
		delete(r.vars, c.name)
		r.lost[c.name] = true
	}
}

// set gives a variable a value.
func (r *shellReader) set(name string, value Word) {
	old, was := r.vars[name]
	r.undo = append(r.undo, change{name: name, value: old, set: was, lost: r.lost[name]})
	delete(r.vars, name)
	delete(r.lost, name)
	if value.Known && len(value.Text) <= maxValue && r.loop == 0 {
		r.vars[name] = value.Text
		return
	}
	r.lost[name] = true
}

func (r *shellReader) lose(names []string) {
	for _, name := range names {
		r.set(name, Word{})
	}
}

func (r *shellReader) goTo(dir string) {
	r.undo = append(r.undo, change{value: r.dir})
	if r.dir = dir; len(dir) > maxPath || r.inFuncs.dir {
		r.dir = ""
	}
}

// place is the place in Src of a byte of the text.
func (r *shellReader) place(offset uint) int {
	return r.at[min(int(offset), len(r.at)-1)]
}

// span is the range in Src of a node. It ends right behind its last byte,
// though the text may go on in another line.
func (r *shellReader) span(n syntax.Node) (start, end int) {
	from, to := n.Pos().Offset(), n.End().Offset()
	start = r.place(from)
	if to <= from {
		return start, start
	}
	return start, max(r.place(to-1)+1, start)
}

// written is the text of a node.
func (r *shellReader) written(n syntax.Node) string {
	from, to := min(int(n.Pos().Offset()), len(r.text)), min(int(n.End().Offset()), len(r.text))
	return r.text[from:max(from, to)]
}

func (r *shellReader) full() bool { return r.tooMany || r.tooDeep }

func (r *shellReader) stmts(list []*syntax.Stmt, certain bool) {
	for _, s := range list {
		if r.full() {
			return
		}
		r.stmt(s, certain)
		r.join = ";"
	}
}

func (r *shellReader) stmt(s *syntax.Stmt, certain bool) {
	if s == nil || s.Cmd == nil && len(s.Redirs) == 0 || r.full() {
		return
	}
	if r.depth++; r.depth > maxScriptDepth {
		r.tooDeep = true
	}
	defer func() { r.depth-- }()
	mark := r.mark()
	if s.Background || s.Coprocess {
		r.isolated(func() { r.command(s, false) })
		r.last = -1
	} else if s.Negated {
		r.command(s, false)
		r.unsure(mark)
		r.last = -1
	} else {
		r.command(s, certain)
	}
}

// isolated reads what runs in a shell of its own.
func (r *shellReader) isolated(read func()) {
	mark, ended := r.mark(), r.ended
	r.apart++
	read()
	r.apart--
	r.isolate(mark)
	r.ended = ended
}

func (r *shellReader) command(s *syntax.Stmt, certain bool) {
	mark := r.mark()
	if _, ok := s.Cmd.(*syntax.CallExpr); !ok {
		// What is no call ends in no call, but for lists and blocks.
		last := -1
		defer func() { r.last = last }()
		switch c := s.Cmd.(type) {
		case *syntax.BinaryCmd:
			if c.Op == syntax.AndStmt || c.Op == syntax.OrStmt {
				r.chain(s, certain)
				last = r.last
				return
			}
		case *syntax.Block:
			if len(s.Redirs) == 0 {
				r.last, r.join = -1, ""
				r.stmts(c.Stmts, certain)
				last = r.last
				return
			}
		}
		for _, redirect := range s.Redirs {
			r.within(redirect.Word, redirect.Hdoc)
		}
	}
	switch s.Cmd.(type) {
	case nil:
		return
	case *syntax.CallExpr, *syntax.BinaryCmd:
	default:
		r.join = ""
	}
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		r.call(s, c, certain)
	case *syntax.BinaryCmd:
		for _, part := range flatten(s, func(op syntax.BinCmdOperator) bool { return op == syntax.Pipe || op == syntax.PipeAll }) {
			if part.op != 0 {
				r.join = "|"
			}
			r.isolated(func() { r.stmt(part.stmt, false) })
		}
	case *syntax.Block:
		r.stmts(c.Stmts, false)
	case *syntax.Subshell:
		r.isolated(func() { r.stmts(c.Stmts, false) })
	case *syntax.DeclClause:
		r.declare(c)
	case *syntax.TimeClause:
		// In dash it is a program, which may not be there.
		r.stmt(c.Stmt, false)
		r.unsure(mark)
	case *syntax.CoprocClause:
		r.isolated(func() { r.stmt(c.Stmt, false) })
	case *syntax.IfClause:
		for c := c; c != nil; c = c.Else {
			r.join = ""
			r.stmts(c.Cond, false)
			r.join = ""
			r.stmts(c.Then, false)
			r.unsure(mark)
		}
	case *syntax.CaseClause:
		r.within(c.Word)
		for _, item := range c.Items {
			r.within(item.Patterns...)
			r.join = ""
			r.stmts(item.Stmts, false)
			r.unsure(mark)
		}
	case *syntax.WhileClause:
		r.looped(c, func() {
			r.stmts(c.Cond, false)
			r.join = ""
			r.stmts(c.Do, false)
		})
	case *syntax.ForClause:
		if words, ok := c.Loop.(*syntax.WordIter); ok {
			r.within(words.Items...)
		}
		r.looped(c, func() { r.stmts(c.Do, false) })
	case *syntax.FuncDecl:
		r.isolated(func() {
			if r.everything.dir {
				r.goTo("")
			}
			r.blind++
			r.stmt(c.Body, false)
			r.blind--
		})
	default: // [[ … ]], (( … )), let: no command
		r.lose(effectsOf(s.Cmd).names)
		r.substitutions(s.Cmd)
	}
}

// looped reads what runs any number of times: what it sets may be set before it
// begins.
func (r *shellReader) looped(n syntax.Node, read func()) {
	mark := r.mark()
	if r.loop == 0 || r.dir != "" {
		e := effectsOf(n)
		r.lose(e.names)
		if e.dir {
			r.goTo("")
		}
		if e.unknown {
			r.unknown = true
		}
	}
	r.loop++
	read()
	r.loop--
	r.unsure(mark)
}

// listed is an element of a list of commands, with the operator before it.
type listed struct {
	op   syntax.BinCmdOperator
	stmt *syntax.Stmt
}

// flatten lists the elements of a && b || c, which the parser nests to the left.
func flatten(s *syntax.Stmt, joins func(syntax.BinCmdOperator) bool) []listed {
	var out []listed
	for first := true; ; first = false {
		b, ok := s.Cmd.(*syntax.BinaryCmd)
		if !ok || !joins(b.Op) || !first && (s.Background || s.Coprocess || s.Negated || len(s.Redirs) > 0) {
			break
		}
		out = append(out, listed{b.Op, b.Y})
		s = b.X
	}
	out = append(out, listed{0, s})
	slices.Reverse(out)
	return out
}

// chain reads commands joined by && and ||.
func (r *shellReader) chain(s *syntax.Stmt, certain bool) {
	list := flatten(s, func(op syntax.BinCmdOperator) bool { return op == syntax.AndStmt || op == syntax.OrStmt })
	// forgives[i] is the element behind the next || after i.
	forgives := make([]*syntax.Stmt, len(list))
	for i := len(list) - 2; i >= 0; i-- {
		if forgives[i] = forgives[i+1]; list[i+1].op == syntax.OrStmt {
			forgives[i] = list[i+1].stmt
		}
	}
	// From the mark on it is not sure what has run.
	mark, soft := r.mark(), -1
	runs := certain
	for i, e := range list {
		switch {
		case i == 0:
			r.stmt(e.stmt, certain && (forgives[i] == nil || plainFallback(forgives[i])))
		case e.op == syntax.AndStmt:
			r.join = "&&"
			if fallible(list[i-1].stmt) {
				if runs = false; soft < 0 {
					soft = r.mark()
				}
			}
			r.stmt(e.stmt, runs && (forgives[i] == nil || plainFallback(forgives[i])))
		default:
			r.join = "||"
			if stops(e.stmt) {
				// What stands before it has succeeded where the script goes on.
				inner := r.mark()
				ended := r.ended
				if i > 1 || !simple(list[0].stmt) || r.dir != "" && inner > mark {
					r.goTo("")
				}
				r.blind++
				r.stmt(e.stmt, false)
				r.blind--
				r.isolate(inner)
				r.ended = ended
			} else {
				r.unsure(mark)
				r.stmt(e.stmt, false)
				r.unsure(mark)
				mark = r.mark()
			}
			runs = certain
			r.last = -1
		}
		if i < len(list)-1 && list[i+1].op == syntax.OrStmt {
			r.last = -1
		}
	}
	if soft >= 0 {
		r.unsure(min(soft, r.mark()))
	}
}

func simple(s *syntax.Stmt) bool {
	_, ok := s.Cmd.(*syntax.CallExpr)
	return ok
}

// stops tells whether a statement behind || ends the script with an error.
func stops(s *syntax.Stmt) bool {
	if s.Background || s.Negated || s.Coprocess {
		return false
	}
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		return len(c.Args) > 0 && (c.Args[0].Lit() == "exit" || c.Args[0].Lit() == "return") && (len(c.Args) == 1 || failure(c.Args[1].Lit()))
	case *syntax.Block:
		// Without a number it has the status of what ran before it.
		if n := len(c.Stmts); n > 0 {
			last, ok := c.Stmts[n-1].Cmd.(*syntax.CallExpr)
			return ok && (len(last.Args) > 1 || n == 1) && stops(c.Stmts[n-1])
		}
	}
	return false
}

// failure tells whether an exit status is a number and not 0.
func failure(status string) bool {
	return status != "" && strings.Trim(status, "0123456789") == "" && strings.Trim(status, "0") != "" && status != "256"
}

// fallible tells whether a statement is a test, so that what follows && may not
// run.
func fallible(s *syntax.Stmt) bool {
	if s.Negated {
		return true
	}
	switch c := s.Cmd.(type) {
	case *syntax.TestClause, *syntax.ArithmCmd, *syntax.LetClause:
		return true
	case *syntax.CallExpr:
		if len(c.Args) > 0 {
			switch path.Base(c.Args[0].Lit()) {
			case "[", "test", "command", "which", "type", "hash", "grep", "egrep", "fgrep", "false", "cmp", "diff", "getent", "id", "pgrep":
				return true
			}
		}
	case *syntax.BinaryCmd:
		return fallible(c.Y) || (c.Op == syntax.AndStmt || c.Op == syntax.OrStmt) && fallible(c.X)
	case *syntax.Subshell:
		return len(c.Stmts) > 0 && fallible(c.Stmts[len(c.Stmts)-1])
	case *syntax.Block:
		return len(c.Stmts) > 0 && fallible(c.Stmts[len(c.Stmts)-1])
	}
	return false
}

// plainFallback tells whether what stands behind || only forgives a failure.
func plainFallback(s *syntax.Stmt) bool {
	if stops(s) {
		return true
	}
	c, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(c.Args) == 0 {
		return false
	}
	name := c.Args[0].Lit()
	return name == "true" || name == ":" || name == "exit" || name == "echo"
}

func (r *shellReader) call(s *syntax.Stmt, c *syntax.CallExpr, certain bool) {
	if len(c.Args) == 0 {
		r.last = -1
		for _, a := range c.Assigns {
			r.assign(a)
		}
		return
	}
	if len(r.out.Calls)+len(r.out.Within) >= maxCalls {
		r.tooMany = true
		return
	}
	call := Call{Join: r.join, Certain: certain && !r.ended, Dir: r.dir}
	call.Start, call.End = r.span(c)
	call.stop = call.End
	for _, redirect := range s.Redirs {
		if redirect.Hdoc != nil {
			call.stop = 0
			break
		}
		_, end := r.span(redirect)
		call.stop = max(call.stop, end)
	}
	for _, w := range c.Args {
		words := r.words(w)
		if r.count += len(words); r.count > maxWords {
			r.tooMany = true
			return
		}
		call.Words = append(call.Words, words...)
	}
	// What is set for it alone is known to what is set after it, and gone then.
	mark := r.mark()
	for _, a := range c.Assigns {
		if a.Name != nil {
			call.Set = append(call.Set, Assignment{Name: a.Name.Value, Value: r.assign(a)})
		}
	}
	r.isolate(mark)
	for _, redirect := range s.Redirs {
		switch redirect.Op {
		case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll, syntax.RdrInOut:
			call.To = append(call.To, r.single(redirect.Word, false))
		}
	}
	if len(call.Words) > 0 && r.funcs[call.Words[0].Text] {
		call.Words[0].Known = false // it is no program, but a function
	}
	// Commands in its words stand behind it, though they run before it.
	at := len(r.out.Calls)
	r.out.Calls = append(r.out.Calls, call)
	r.last = at
	for _, a := range c.Assigns {
		r.within(a.Value)
	}
	r.within(c.Args...)
	for _, redirect := range s.Redirs {
		r.within(redirect.Word, redirect.Hdoc)
	}
	r.follow(call)
}

// within reads the commands that are substituted in words.
func (r *shellReader) within(words ...*syntax.Word) {
	for _, w := range words {
		if w != nil && !plain(w) {
			r.substitutions(w)
		}
	}
}

func plain(w *syntax.Word) bool {
	for _, part := range w.Parts {
		switch part.(type) {
		case *syntax.Lit, *syntax.SglQuoted:
		default:
			return false
		}
	}
	return true
}

// substitutions reads the commands of $(…), `…` and <(…) in a node, and forgets
// the variables that it sets by itself, as ${NAME:=value} does.
func (r *shellReader) substitutions(n syntax.Node) {
	// They are no part of the list of commands: what they change is theirs.
	outer, last, join := r.out.Calls, r.last, r.join
	r.out.Calls = nil
	syntax.Walk(n, func(n syntax.Node) bool {
		var stmts []*syntax.Stmt
		switch c := n.(type) {
		case *syntax.CmdSubst:
			stmts = c.Stmts
		case *syntax.ProcSubst:
			stmts = c.Stmts
			last = -1 // it may go on
		case *syntax.ParamExp:
			r.lose(assignedBy(c))
			return true
		case *syntax.ArithmExp:
			r.lose(arithmeticNames(r.text, c))
			return true
		default:
			return true
		}
		r.isolated(func() {
			r.join = ""
			r.stmts(stmts, false)
		})
		return false
	})
	r.out.Within = append(r.out.Within, r.out.Calls...)
	r.out.Calls, r.last, r.join = outer, last, join
}

// follow does what a command of the shell itself does to what comes after.
func (r *shellReader) follow(call Call) {
	words := call.Words
	for len(words) > 1 && words[0].Known && (words[0].Text == "command" || words[0].Text == "builtin") && !strings.HasPrefix(words[1].Text, "-") {
		words = words[1:]
	}
	if len(words) == 0 || !words[0].Known {
		r.loseSet(call)
		r.ended = r.ended || r.inFuncs.exits && len(words) > 0 && r.funcs[words[0].Text]
		return
	}
	args := make([]string, 0, len(words)-1)
	for _, w := range words[1:] {
		args = append(args, w.Text)
	}
	switch words[0].Text {
	case "cd", "pushd":
		r.cd(words[1:])
	case "popd":
		r.goTo("")
	case "set":
		r.loseSet(call)
		if on, ok := errExit(args, r.out.ErrExit); ok && r.apart == 0 {
			r.out.ErrExit = on && (call.Certain || r.out.ErrExit)
		}
	case "read", "unset", "getopts", "mapfile", "readarray", "printf", "wait":
		for _, w := range words[1:] {
			name, _, _ := strings.Cut(w.Text, "[")
			if w.Known && syntax.ValidName(name) {
				r.set(name, Word{})
			}
			if !w.Known && words[0].Text != "printf" && words[0].Text != "wait" {
				r.unknown = true
			}
		}
		if words[0].Text == "read" || words[0].Text == "mapfile" || words[0].Text == "readarray" {
			r.lose([]string{"REPLY", "MAPFILE"})
		}
	case "eval":
		r.goTo("")
		r.unknown = true
	case ".", "source", "alias":
		// It could go to another folder, too, but files for this purpose do not.
		r.unknown = true
	case "trap":
		r.trap = true
	case "exec":
		if len(args) > 0 {
			r.ended = true
		}
		r.loseSet(call)
	case "exit", "return":
		if call.Certain || len(args) != 1 || !words[1].Known || !failure(args[0]) {
			r.ended = true
		}
	case ":", "export", "readonly", "shift", "times", "break", "continue":
		r.loseSet(call)
	}
}

// loseSet forgets what may stay set behind a command that is none of its own.
func (r *shellReader) loseSet(call Call) {
	for _, a := range call.Set {
		r.set(a.Name, Word{})
	}
}

func (r *shellReader) cd(words []Word) {
	physical := false
	for len(words) > 0 && words[0].Known && (words[0].Text == "--" || words[0].Text == "-L" || words[0].Text == "-P") {
		physical = physical || words[0].Text == "-P"
		words = words[1:]
	}
	to := ""
	if len(words) == 1 && words[0].Known {
		to = words[0].Text
	}
	switch {
	case to == "" || strings.HasPrefix(to, "-") || strings.HasPrefix(to, "+") || physical && strings.Contains(to, ".."):
		r.goTo("")
	case strings.HasPrefix(to, "/"):
		r.goTo(path.Clean(to))
	case r.dir == "" || r.touched("CDPATH"):
		r.goTo("")
	default:
		r.goTo(path.Join(r.dir, to))
	}
}

// errExit tells what set and a shell make of their options: whether -e holds
// then, and whether they say so.
func errExit(args []string, before bool) (on, said bool) {
	on = before
	for i := 0; i < len(args); i++ {
		a := args[i]
		if len(a) < 2 || a == "--" || a[0] != '-' && a[0] != '+' {
			break
		}
		if strings.HasPrefix(a, "--") {
			continue
		}
		for _, letter := range a[1:] {
			switch letter {
			case 'e':
				on, said = a[0] == '-', true
			case 'o':
				if i++; i < len(args) && args[i] == "errexit" {
					on, said = a[0] == '-', true
				}
			}
		}
	}
	return on, said
}

// assign does NAME=VALUE, and returns the value.
func (r *shellReader) assign(a *syntax.Assign) Word {
	r.within(a.Value)
	value := Word{Known: true}
	if a.Value != nil {
		value = r.single(a.Value, true)
	}
	if a.Append || a.Index != nil || a.Array != nil || a.Naked {
		value = Word{Text: value.Text, Start: value.Start, End: value.End}
	}
	if a.Array != nil || a.Index != nil {
		r.substitutions(a)
	}
	r.set(a.Name.Value, value)
	return value
}

// declare does export, readonly, local, declare and their like.
func (r *shellReader) declare(c *syntax.DeclClause) {
	plain := c.Variant.Value == "export" || c.Variant.Value == "readonly"
	for _, a := range c.Args {
		switch {
		case a.Name == nil:
			if a.Value != nil && !strings.HasPrefix(a.Value.Lit(), "-") {
				r.unknown = true
				r.within(a.Value)
			}
			plain = plain && a.Value != nil && a.Value.Lit() == "-p"
		case a.Naked:
			// export NAME changes no value.
			if !plain {
				r.set(a.Name.Value, Word{})
			}
		default:
			value := r.assign(a)
			// An old dash splits it at spaces.
			if !plain || value.Known && a.Value != nil && strings.ContainsAny(value.Text, " \t\n*?[") && r.bare(a.Value) {
				r.set(a.Name.Value, Word{})
			}
		}
	}
}

// bare tells whether a word has a variable outside quotes.
func (r *shellReader) bare(w *syntax.Word) bool {
	return slices.ContainsFunc(w.Parts, func(p syntax.WordPart) bool {
		_, ok := p.(*syntax.ParamExp)
		return ok
	})
}

// effects is what a piece of a script may change.
type effects struct {
	names []string
	// dir tells that it may go to another folder, unknown that it runs a text
	// that is not known, exits that it may end the script without an error.
	dir, unknown, exits bool
}

// effectsOf collects from a node and all in it.
func effectsOf(n syntax.Node) effects {
	var e effects
	syntax.Walk(n, func(n syntax.Node) bool {
		switch c := n.(type) {
		case *syntax.Assign:
			if c.Name != nil {
				e.names = append(e.names, c.Name.Value)
			} else if c.Value != nil && !strings.HasPrefix(c.Value.Lit(), "-") {
				e.unknown = true
			}
		case *syntax.WordIter:
			e.names = append(e.names, c.Name.Value)
		case *syntax.ParamExp:
			e.names = append(e.names, assignedBy(c)...)
		case *syntax.BinaryArithm:
			e.names = append(e.names, arithmeticLits(c.X)...)
		case *syntax.UnaryArithm:
			e.names = append(e.names, arithmeticLits(c.X)...)
		case *syntax.CallExpr:
			if len(c.Args) > 0 {
				e.add(c)
			}
		}
		return true
	})
	return e
}

func (e *effects) add(c *syntax.CallExpr) {
	args := c.Args
	for len(args) > 1 && (args[0].Lit() == "command" || args[0].Lit() == "builtin") {
		args = args[1:]
	}
	switch name := unescape(args[0].Lit()); name {
	case "cd", "pushd", "popd":
		e.dir = true
	case "eval":
		e.dir, e.unknown = true, true
	case ".", "source", "alias":
		e.unknown = true
	case "exec":
		e.exits = e.exits || len(args) > 1
	case "exit":
		e.exits = e.exits || len(args) != 2 || !failure(args[1].Lit())
	case "read", "unset", "getopts", "mapfile", "readarray", "printf", "wait":
		e.names = append(e.names, "REPLY", "MAPFILE")
		for _, w := range args[1:] {
			name, _, _ := strings.Cut(w.Lit(), "[")
			if syntax.ValidName(name) {
				e.names = append(e.names, name)
			} else if w.Lit() == "" && name != "printf" && name != "wait" {
				e.unknown = true
			}
		}
	}
}

// assignedBy is NAME in ${NAME=value} and ${NAME:=value}.
func assignedBy(p *syntax.ParamExp) []string {
	if p.Param != nil && p.Exp != nil && (p.Exp.Op == syntax.AssignUnset || p.Exp.Op == syntax.AssignUnsetOrNull) {
		return []string{p.Param.Value}
	}
	return nil
}

// identifier is a variable in an arithmetic expression.
var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// arithmeticNames are the variables that an arithmetic expression may set.
func arithmeticNames(text string, n syntax.Node) []string {
	from, to := min(int(n.Pos().Offset()), len(text)), min(int(n.End().Offset()), len(text))
	if to < from || !strings.Contains(text[from:to], "=") && !strings.Contains(text[from:to], "++") && !strings.Contains(text[from:to], "--") {
		return nil
	}
	return identifier.FindAllString(text[from:to], -1)
}

// arithmeticLits is the operand of = and ++, if it is a name.
func arithmeticLits(x syntax.ArithmExpr) []string {
	switch x := x.(type) {
	case *syntax.Word:
		if name := x.Lit(); syntax.ValidName(name) {
			return []string{name}
		}
		if len(x.Parts) == 1 {
			if p, ok := x.Parts[0].(*syntax.ParamExp); ok && p.Param != nil && !p.Dollar.IsValid() {
				return []string{p.Param.Value}
			}
		}
	}
	return nil
}

// piece is a part of a word: its value, and what of it stands outside quotes.
type piece struct {
	text  string
	known bool
	// bare tells that the shell splits it at spaces.
	bare bool
	// open is the text that may be a pattern, a list or a home folder, with what is
	// quoted left out.
	open string
}

// words expands a word as the shell does: to any number of them.
func (r *shellReader) words(w *syntax.Word) []Word {
	start, end := r.span(w)
	var out []Word
	var text, open strings.Builder
	known, begun := true, false
	flush := func() {
		if begun {
			value := Word{Text: text.String(), Known: known && !pattern(open.String()), Start: start, End: end}
			if len(value.Text) > maxWord {
				value = Word{Text: clip(r.written(w)), Start: start, End: end}
			}
			out = append(out, value)
		}
		text.Reset()
		open.Reset()
		known, begun = true, false
	}
	total := 0
	for _, part := range w.Parts {
		p := r.part(part, false)
		if total += len(p.text); total > maxWord {
			return []Word{{Text: clip(r.written(w)), Start: start, End: end}}
		}
		if !p.bare {
			text.WriteString(p.text)
			open.WriteString(p.open)
			known, begun = known && p.known, true
			continue
		}
		// A value outside quotes is split, and nothing is left of an empty one.
		for i := range len(p.text) {
			if c := p.text[i]; c == ' ' || c == '\t' || c == '\n' {
				flush()
				continue
			}
			text.WriteByte(p.text[i])
			open.WriteByte(p.text[i])
			begun = true
		}
		known = known && (p.known || !begun)
	}
	flush()
	return out
}

// clip bounds a text that is not known.
func clip(text string) string { return text[:min(len(text), maxWord)] }

// single expands a word where the shell does not split it: a value, if assign is
// set, or a file.
func (r *shellReader) single(w *syntax.Word, assign bool) Word {
	if w == nil {
		return Word{}
	}
	out := Word{Known: true}
	out.Start, out.End = r.span(w)
	open := ""
	for _, part := range w.Parts {
		p := r.part(part, false)
		if len(out.Text)+len(p.text) > maxWord {
			return Word{Text: clip(r.written(w)), Start: out.Start, End: out.End}
		}
		out.Text += p.text
		out.Known = out.Known && p.known
		if !p.bare || !assign {
			open += p.open
		}
	}
	if assign {
		out.Known = out.Known && !strings.HasPrefix(open, "~") && !strings.Contains(open, ":~")
	} else {
		out.Known = out.Known && !pattern(open)
	}
	return out
}

func (r *shellReader) part(part syntax.WordPart, quoted bool) piece {
	unknown := func() piece {
		return piece{text: clip(r.written(part))}
	}
	switch p := part.(type) {
	case *syntax.Lit:
		if quoted {
			return piece{text: unquote(p.Value), known: true}
		}
		text, open := literal(p.Value)
		return piece{text: text, known: true, open: open}
	case *syntax.SglQuoted:
		if p.Dollar {
			return unknown() // bash and dash differ
		}
		return piece{text: p.Value, known: true}
	case *syntax.DblQuoted:
		if p.Dollar {
			return unknown()
		}
		out := piece{known: true}
		for _, inner := range p.Parts {
			in := r.part(inner, true)
			out.text += in.text
			out.known = out.known && in.known
			if len(out.text) > maxWord {
				return unknown()
			}
		}
		return out
	case *syntax.ParamExp:
		value, ok := r.parameter(p)
		if !ok {
			return unknown()
		}
		if quoted {
			return piece{text: value, known: true}
		}
		if r.touched("IFS") && value != "" {
			return unknown()
		}
		return piece{text: value, known: true, bare: true, open: value}
	}
	return unknown()
}

// parameter is the value of $NAME and of the forms with a default.
func (r *shellReader) parameter(p *syntax.ParamExp) (string, bool) {
	if p.Param == nil || p.Excl || p.Length || p.Width || p.IsSet || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 || p.Flags != nil || p.NestedParam != nil || len(p.Modifiers) > 0 {
		return "", false
	}
	value, ok := r.value(p.Param.Value)
	if p.Exp == nil || !ok {
		return value, ok
	}
	other := func() (string, bool) {
		if p.Exp.Word == nil {
			return "", true
		}
		if len(p.Exp.Word.Parts) == 1 {
			if lit, ok := p.Exp.Word.Parts[0].(*syntax.Lit); ok && !strings.ContainsAny(lit.Value, "\\~'\"*?[ \t\n") {
				return lit.Value, true
			}
		}
		return "", false
	}
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.AssignUnset, syntax.ErrorUnset:
		return value, true
	case syntax.DefaultUnsetOrNull:
		if value == "" {
			return other()
		}
		return value, true
	case syntax.AssignUnsetOrNull, syntax.ErrorUnsetOrNull:
		return value, value != ""
	case syntax.AlternateUnset:
		return other()
	case syntax.AlternateUnsetOrNull:
		if value == "" {
			return "", true
		}
		return other()
	}
	return "", false
}

// ofShell are the variables that the shell sets itself.
var ofShell = []string{"PWD", "OLDPWD", "RANDOM", "LINENO", "PPID", "SECONDS", "UID", "EUID", "OPTIND", "HOSTNAME", "SHLVL", "_"}

// touched tells whether a variable that the shell heeds may have a value.
func (r *shellReader) touched(name string) bool {
	_, set := r.value(name)
	_, env := r.step.vars.get(name)
	return set || env || r.lost[name] || r.inFuncs.sets(name) || r.blind > 0 && r.everything.sets(name)
}

// value is that of a variable: the script's own, else that of ENV and ARG.
func (r *shellReader) value(name string) (string, bool) {
	if !syntax.ValidName(name) || r.unknown || r.lost[name] || slices.Contains(ofShell, name) || r.inFuncs.sets(name) {
		return "", false
	}
	if r.blind > 0 && r.everything.sets(name) {
		return "", false
	}
	if value, ok := r.vars[name]; ok {
		return value, true
	}
	return r.step.Env(name)
}

func (e effects) sets(name string) bool {
	_, ok := slices.BinarySearch(e.names, name)
	return ok
}

// pattern tells whether a text outside quotes stands for something else: files,
// a list, or a home folder.
func pattern(open string) bool {
	if !strings.ContainsAny(open, "*?[{~+@!") {
		return false
	}
	if strings.ContainsAny(open, "*?") || strings.HasPrefix(open, "~") || strings.Contains(open, "=~") || strings.Contains(open, ":~") {
		return true
	}
	_, class, ok := strings.Cut(open, "[")
	if ok && strings.Contains(class, "]") {
		return true
	}
	_, list, ok := strings.Cut(open, "{")
	return ok && strings.Contains(list, "}") && (strings.Contains(list, ",") || strings.Contains(list, ".."))
}

// literal removes the backslashes of a text outside quotes; open is what of it
// they do not quote.
func literal(lit string) (text, open string) {
	if !strings.Contains(lit, `\`) {
		return lit, lit
	}
	var all, free strings.Builder
	for i := 0; i < len(lit); i++ {
		if lit[i] == '\\' && i+1 < len(lit) {
			if i++; lit[i] != '\n' {
				all.WriteByte(lit[i])
			}
			// Something stands there, which is no pattern.
			free.WriteByte('.')
			continue
		}
		all.WriteByte(lit[i])
		free.WriteByte(lit[i])
	}
	return all.String(), free.String()
}

func unescape(lit string) string {
	text, _ := literal(lit)
	return text
}

// unquote removes the backslashes that mean something in double quotes.
func unquote(lit string) string {
	if !strings.Contains(lit, `\`) {
		return lit
	}
	var out strings.Builder
	for i := 0; i < len(lit); i++ {
		if lit[i] == '\\' && i+1 < len(lit) && strings.IndexByte("$\"\\`\n", lit[i+1]) >= 0 {
			if i++; lit[i] == '\n' {
				continue
			}
		}
		out.WriteByte(lit[i])
	}
	return out.String()
}
