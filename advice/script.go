package advice

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// script is the shell text of a step with the step, nil where it is not read.
type script struct {
	*dockerfile.Script
	step *dockerfile.Step
	file *dockerfile.File
}

func (s *subject) script(step *dockerfile.Step) *script {
	if step == nil {
		return nil
	}
	if sc, ok := s.scripts[step.Start]; ok {
		return sc
	}
	var sc *script
	if read, err := step.Script(); err == nil {
		sc = &script{read, step, s.file}
	}
	s.scripts[step.Start] = sc
	return sc
}

// text is the script as it is written.
func (s *script) text() string { return string(s.file.Src[s.Start:s.End]) }

// plainly are the words of a command without what only runs it: sudo, env, exec.
// before is what to write in front of another command that has to run like it.
func plainly(c dockerfile.Call) (words []dockerfile.Word, before string) {
	words = c.Words
	for len(words) > 1 && words[0].Known {
		switch path.Base(words[0].Text) {
		case "sudo":
			before = "sudo "
		case "env", "exec", "command", "time", "nice", "ionice", "eatmydata":
		default:
			return words, before
		}
		words = words[1:]
		for len(words) > 1 && (strings.HasPrefix(words[0].Text, "-") || strings.Contains(words[0].Text, "=")) {
			words = words[1:]
		}
	}
	return words, before
}

// texts are the words of a command as plainly has them, the first without its
// folder; nil where that is not known.
func texts(c dockerfile.Call) []string {
	words, _ := plainly(c)
	if len(words) == 0 || !words[0].Known {
		return nil
	}
	out := []string{path.Base(words[0].Text)}
	for _, w := range words[1:] {
		out = append(out, w.Text)
	}
	return out
}

// literal tells whether a word stands in the file as it is read, so that it is
// no variable's.
func (s *script) literal(w dockerfile.Word) bool {
	return w.Known && string(s.file.Src[w.Start:w.End]) == w.Text
}

// then puts commands behind another one, so that they run when the script would
// have gone on, and it fails where it would have failed. They are written as the
// author joins commands. It is false where that is not certain.
func (s *script) then(i int, commands ...string) (footprint.Edit, bool) {
	call := s.Calls[i]
	stop, ok := call.Stop()
	if !ok || !call.Certain {
		return footprint.Edit{}, false
	}
	next, after, ok := s.operator(stop)
	if !ok {
		return footprint.Edit{}, false
	}
	join := ";"
	switch {
	case next == "&&" || next == "||":
		join = "&&"
	case call.Last:
		// Its status is that of the script.
		if call.Join == "&&" || !s.ErrExit {
			join = "&&"
		}
	case next == "":
		return footprint.Edit{}, false
	case !s.ErrExit && call.Join == "&&":
		join = "&&"
	}
	src := s.file.Src
	multi := bytes.IndexByte(src[call.Start:stop], '\n') >= 0
	between := ""
	if i > 0 && s.Calls[i-1].End <= call.Start {
		if last, ok := s.Calls[i-1].Stop(); ok && last <= call.Start {
			between = s.separator(string(src[last:call.Start]), join)
		}
	}
	if between == "" && next == join {
		between = s.separator(string(src[stop:after]), join)
	}
	if between == "" || multi && !strings.Contains(between, "\n") {
		between = s.usual(join, multi, call.Start, stop)
	}
	return footprint.Edit{Start: stop, End: stop, Text: between + strings.Join(commands, between)}, true
}

// usual joins commands where the author has given no example.
func (s *script) usual(join string, multi bool, start, stop int) string {
	line := s.file.Continued()
	if s.Heredoc && join == ";" {
		return line[len(line)-1:] + s.indent(start)
	}
	if !multi || s.Heredoc {
		if join == ";" {
			return "; "
		}
		return " " + join + " "
	}
	if join == ";" {
		return "; " + line + s.indent(stop)
	}
	return " " + line + s.indent(stop) + join + " "
}

// indent is the space that the line of a place begins with.
func (s *script) indent(at int) string {
	line := s.file.Src[bytes.LastIndexByte(s.file.Src[:at], '\n')+1 : at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// separator is what the author has written between two commands, if it is
// nothing but the operator, in one line or on a new one; else "".
func (s *script) separator(text, operator string) string {
	if s.Heredoc && operator == ";" {
		return ""
	}
	line := s.file.Continued()
	plain := strings.TrimSpace(strings.ReplaceAll(text, line, " "))
	if plain != operator || strings.Count(text, "\n") > 1 || len(text) > 100 {
		return ""
	}
	return text
}

// operator reads what follows a statement, "" at the end of the script, and
// where the next command begins.
func (s *script) operator(stop int) (operator string, after int, ok bool) {
	src, at := s.file.Src, s.skip(stop)
	if at >= s.End {
		return "", at, true
	}
	for _, op := range []string{"&&", "||", ";"} {
		if bytes.HasPrefix(src[at:s.End], []byte(op)) {
			return op, s.skip(at + len(op)), !bytes.HasPrefix(src[at:s.End], []byte(";;"))
		}
	}
	if s.Heredoc && (src[at] == '\n' || src[at] == '\r') {
		return ";", at + 1, true
	}
	return "", at, false
}

// skip goes over spaces, continuations, and the comments and empty lines that
// may stand between continued lines.
func (s *script) skip(at int) int {
	src := s.file.Src
	escape := s.file.Continued()[0]
	for at < s.End {
		switch c := src[at]; {
		case c == ' ' || c == '\t':
			at++
		case c == escape && len(bytes.TrimLeft(lineOf(src[at+1:s.End]), " \t\r")) == 0:
			at += 1 + len(lineOf(src[at+1:s.End]))
			for at < s.End && src[at] == '\n' {
				at++
				if s.Heredoc {
					break
				}
				if next := bytes.TrimSpace(lineOf(src[at:s.End])); len(next) == 0 || next[0] == '#' {
					at += len(lineOf(src[at:s.End]))
				}
			}
		default:
			return at
		}
	}
	return at
}

func lineOf(text []byte) []byte {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i]
	}
	return text
}

// removes tells whether a command deletes a path and, if it is a folder, what is
// in it. Patterns are read as the shell reads them.
func removes(c dockerfile.Call, p string) bool {
	words := texts(c)
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "rm":
		recursive := false
		for _, w := range words[1:] {
			recursive = recursive || w == "--recursive" || strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.ContainsAny(w, "rR")
		}
		return slices.ContainsFunc(words[1:], func(w string) bool { return covers(c.Dir, w, p, recursive) })
	case "find":
		deletes := slices.Contains(words, "-delete") || slices.Contains(words, "rm")
		return deletes && len(words) > 1 && covers(c.Dir, words[1], p, true)
	}
	return false
}

// covers tells whether a pattern of rm that stands in a folder names a path, or
// a folder above it.
func covers(dir, pattern, p string, recursive bool) bool {
	for _, home := range []string{"~/", "$HOME/", "${HOME}/"} {
		if rest, ok := strings.CutPrefix(pattern, home); ok {
			for _, at := range homes(p) {
				if covers(dir, at+"/"+rest, p, recursive) {
					return true
				}
			}
			return false
		}
	}
	if strings.ContainsAny(pattern, "$`{") || strings.HasPrefix(pattern, "-") || pattern == "" {
		return false
	}
	if !strings.HasPrefix(pattern, "/") {
		if dir == "" {
			return false
		}
		pattern = dir + "/" + pattern
	}
	want := strings.Split(path.Clean(pattern), "/")
	have := strings.Split(p, "/")
	if len(want) > len(have) || !recursive && len(want) < len(have) {
		return false
	}
	for i, w := range want {
		if strings.ContainsAny(w, "*?[") && strings.HasPrefix(have[i], ".") && !strings.HasPrefix(w, ".") {
			return false
		}
		if ok, err := path.Match(w, have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// homes are the folders above a path that may be somebody's home.
func homes(p string) []string {
	parts := strings.Split(p, "/")
	switch {
	case len(parts) > 2 && parts[1] == "root":
		return []string{"/root"}
	case len(parts) > 3 && (parts[1] == "home" || parts[1] == "var" || parts[1] == "opt"):
		return []string{strings.Join(parts[:3], "/")}
	}
	return nil
}

// scriptPath tells whether a path of the image can be written into a script as it
// is.
func scriptPath(p string) bool {
	for _, c := range []byte(p) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/._+-@", rune(c)) {
			return false
		}
	}
	return strings.HasPrefix(p, "/") && len(p) < 200 && !strings.Contains(p, "/-")
}

// maxLater bounds the stages that are looked through for what runs later.
const maxLater = 200

// later are the steps that run on what a step left behind: in its stage and in
// those that are built on it, whether they reach the target or not. It is false
// where there are too many stages to tell.
func (s *subject) later(step *dockerfile.Step) ([]dockerfile.Step, bool) {
	if len(s.file.Stages) > maxLater {
		return nil, false
	}
	var out []dockerfile.Step
	seen := map[int]bool{}
	for i := range s.file.Stages {
		found := false
		for _, st := range s.file.Steps(strconv.Itoa(i), s.Args) {
			if st.Stage == step.Stage && st.Start == step.Start {
				found = true
				continue
			}
			if found && !seen[st.Start] {
				seen[st.Start] = true
				out = append(out, st)
			}
		}
	}
	return out, true
}

// mine tells whether a layer is none of the base. Where the base is not told
// apart, only layers whose instruction is known are.
func (s *subject) mine(layer int) bool {
	if s.Image == nil || layer < s.base || layer >= len(s.Image.Layers) {
		return false
	}
	return s.file == nil || s.Image.Base != nil || s.Image.Layers[layer].Origin != nil
}

// copied tells whether COPY or ADD made a layer, as far as it is known.
func (s *subject) copied(layer int) bool {
	if step := s.stepOf(layer); step != nil {
		return step.Keyword != "RUN"
	}
	by := s.Image.Layers[layer].CreatedBy
	by = strings.TrimSpace(strings.TrimPrefix(by, "/bin/sh -c #(nop)"))
	return strings.HasPrefix(by, "COPY ") || strings.HasPrefix(by, "ADD ")
}

// command is the history line of a layer in a few words, for sentences.
func (s *subject) command(layer int) string {
	by := strings.Join(strings.Fields(s.Image.Layers[layer].CreatedBy), " ")
	by = strings.TrimSuffix(strings.TrimPrefix(by, "RUN "), " # buildkit")
	by = strings.TrimPrefix(strings.TrimPrefix(by, "/bin/sh -c "), "#(nop) ")
	if runes := []rune(by); len(runes) > 80 {
		by = string(runes[:79]) + "…"
	}
	return by
}
