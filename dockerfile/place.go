package dockerfile

import (
	"bytes"

	"mvdan.cc/sh/v3/syntax"
)

// Stop is the place in Src where the statement of a command ends, its
// redirections included. It is false where a here-document belongs to it, or
// the script has no such command.
func (s Step) Stop(c Call) (int, bool) {
	shell, err := s.shellText()
	if err != nil {
		return 0, false
	}
	at := shell.at
	file, err := parseShell(shell.text, syntax.LangBash)
	if err != nil {
		return 0, false
	}
	place := func(offset uint) int { return at[min(int(offset), len(at)-1)] }
	stop, ok := 0, false
	syntax.Walk(file, func(n syntax.Node) bool {
		stmt, is := n.(*syntax.Stmt)
		if !is || ok {
			return !ok
		}
		call, is := stmt.Cmd.(*syntax.CallExpr)
		if !is || len(call.Args) == 0 || place(call.Pos().Offset()) != c.Start {
			return true
		}
		stop, ok = max(c.End, end(place, call)), true
		for _, r := range stmt.Redirs {
			if r.Hdoc != nil {
				stop, ok = 0, false
				return false
			}
			stop = max(stop, end(place, r))
		}
		return false
	})
	return stop, ok
}

// end is the place behind the last byte of a part of a script: a continuation
// that follows it is no part of it.
func end(place func(uint) int, n syntax.Node) int {
	if to := n.End().Offset(); to > n.Pos().Offset() {
		return place(to-1) + 1
	}
	return place(n.End().Offset())
}

// Continued is what ends a line that goes on with the next: the escape character
// and the line break of the file.
func (f *File) Continued() string {
	line := "\n"
	if i := bytes.IndexByte(f.Src, '\n'); i > 0 && f.Src[i-1] == '\r' {
		line = "\r\n"
	}
	return string(f.escape) + line
}

// Source is the instruction as it is written.
func (s Step) Source() string {
	start, end := s.Bytes()
	return string(s.file.Src[start:end])
}
