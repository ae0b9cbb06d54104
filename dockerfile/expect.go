package dockerfile

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/org/image-budget/footprint"
)

// How surely a line of history was made by an instruction. The best alignment
// has the greatest sum. A text that fits word for word weighs no more than one
// that fits but for the values of variables: where both are possible, nothing
// is certain.
const (
	surely = 40
	weakly = 10 // next to nothing of it is certain
	twice  = 1  // less for a WORKDIR that an earlier one has made
)

// expected is an instruction of the chain that may have made a layer, and what
// builders record of it.
type expected struct {
	keyword string
	origin  footprint.Origin
	// always tells that it makes a layer whatever the base holds.
	always bool
	// again marks a WORKDIR that stood in the chain before.
	again bool

	// Of RUN: the command and the shell with the command; both also with
	// white space collapsed; and the instruction as it is written.
	command, full           string
	commandWords, fullWords string
	written                 string
	shellForm               bool

	// Of COPY, ADD and WORKDIR: what follows the keyword, with the values
	// that are known and with holes for all variables, without flags.
	literal, open string
	// Of COPY and ADD: the destination, the owner and the number of sources,
	// -1 where wildcards leave it open, for what the classic builder records.
	dest, openDest, chown string
	sources               int
}

// walk follows the chain of stages as a build does and collects what may have
// made a layer.
type walk struct {
	file   *File
	args   map[string]string
	global *variables

	vars  *variables
	shell []string
	// workdir is the working directory, with a hole in front while the base
	// image's is not known; openWorkdir has holes for variables too.
	workdir, openWorkdir string
	made                 map[string]bool
	triggers             []instructions.Command
	shells               []string
	found                []expected
}

// expectations lists what may have made layers in a stage, in order.
func (f *File) expectations(target Stage, args map[string]string) *walk {
	w := &walk{file: f, args: args, global: f.globals(args), shell: []string{"/bin/sh", "-c"}, workdir: hole, openWorkdir: hole, made: map[string]bool{}}
	w.vars = &variables{env: map[string]string{}, escape: f.escape}
	for _, s := range f.chain(target) {
		if s.Parent < 0 && s.Base == "scratch" {
			w.workdir, w.openWorkdir = "/", "/"
		}
		// Arguments end with their stage, the environment goes on.
		w.vars.args = map[string]string{}
		from := footprint.Origin{File: f.Name, Stage: s.label(), Start: s.Start, End: s.fromEnd}
		inherited := w.triggers
		w.triggers = nil
		for _, t := range inherited {
			w.step(t, from)
		}
		for _, in := range s.Instructions {
			w.step(in.command, footprint.Origin{File: f.Name, Stage: s.label(), Start: in.Start, End: in.End})
		}
	}
	return w
}

// step does what an instruction does to those after it, and notes what it may
// have made.
func (w *walk) step(command instructions.Command, origin footprint.Origin) {
	switch c := command.(type) {
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			w.vars.declare(arg, w.args, w.global)
		}
	case *instructions.EnvCommand:
		values := make([]string, len(c.Env))
		for i, e := range c.Env {
			values[i] = w.vars.literal(e.Value)
		}
		for i, e := range c.Env {
			w.vars.setEnv(w.vars.literal(e.Key), values[i])
		}
	case *instructions.ShellCommand:
		w.shell = c.Shell
		if text := strings.Join(c.Shell, " "); text != "" && !slices.Contains(w.shells, text) && len(w.shells) < 16 {
			w.shells = append(w.shells, text)
		}
	case *instructions.OnbuildCommand:
		if t, ok := w.file.trigger(c); ok {
			w.triggers = append(w.triggers, t)
		}
	case *instructions.WorkdirCommand:
		w.found = append(w.found, w.changeDir(c, origin))
	case *instructions.RunCommand:
		w.found = append(w.found, w.expectRun(c, origin))
	case *instructions.CopyCommand:
		w.found = append(w.found, w.expectFiles("COPY", c.SourcesAndDest, c.Chown, origin))
	case *instructions.AddCommand:
		w.found = append(w.found, w.expectFiles("ADD", c.SourcesAndDest, c.Chown, origin))
	}
}

// trigger parses what ONBUILD keeps for later.
func (f *File) trigger(c *instructions.OnbuildCommand) (command instructions.Command, ok bool) {
	err := guard(func() error {
		parsed, err := parser.Parse(strings.NewReader("# escape=" + string(f.escape) + "\n" + c.Expression))
		if err != nil {
			return err
		}
		for _, node := range parsed.AST.Children {
			if command, err = instructions.ParseCommand(node); err != nil {
				return err
			}
		}
		return nil
	})
	return command, err == nil && command != nil
}

func (w *walk) changeDir(c *instructions.WorkdirCommand, origin footprint.Origin) expected {
	w.workdir = inDir(w.workdir, w.vars.literal(c.Path))
	w.openWorkdir = inDir(w.openWorkdir, w.vars.open(c.Path))
	e := expected{keyword: "WORKDIR", origin: origin, literal: w.workdir, open: w.openWorkdir, again: w.made[w.workdir]}
	w.made[w.workdir] = true
	return e
}

// inDir is where a path leads from a directory, which may begin with a hole.
func inDir(dir, to string) string {
	if strings.HasPrefix(to, "/") {
		return path.Clean(to)
	}
	if strings.HasPrefix(to, hole) {
		// The variable may hold an absolute path, or a relative one.
		return hole + strings.TrimPrefix(path.Clean("/"+strings.TrimLeft(to, hole)), "/.")
	}
	if len(dir) > maxPath {
		return hole
	}
	if rest, ok := strings.CutPrefix(dir, hole); ok {
		return hole + path.Clean("/"+rest+"/"+to)
	}
	return path.Clean(dir + "/" + to)
}

func (w *walk) expectRun(c *instructions.RunCommand, origin footprint.Origin) expected {
	e := expected{keyword: "RUN", origin: origin, always: true, shellForm: c.PrependShell}
	e.command = strings.Join(runArgs(c), " ")
	e.full = e.command
	if c.PrependShell {
		e.full = strings.Join(append(slices.Clone(w.shell), e.command), " ")
	}
	e.commandWords, e.fullWords = oneLine(e.command), oneLine(e.full)
	_, written, _ := strings.Cut(oneLine(c.String()), " ")
	e.written = written
	return e
}

// runArgs is what RUN runs, without the shell in front. A heredoc is given to
// the shell as its content, or, if it brings its own interpreter, as a file.
func runArgs(c *instructions.RunCommand) []string {
	if len(c.Files) == 0 || len(c.CmdLine) == 0 {
		return c.CmdLine
	}
	if parser.MustParseHeredoc(c.CmdLine[0]) == nil {
		var out strings.Builder
		out.WriteString(c.CmdLine[0])
		for _, f := range c.Files {
			out.WriteString("\n" + f.Data + f.Name)
		}
		return []string{out.String()}
	}
	data := c.Files[0].Data
	if c.Files[0].Chomp {
		data = parser.ChompHeredocContent(data)
	}
	if strings.HasPrefix(data, "#!") {
		return []string{path.Join("/dev/pipes", c.Files[0].Name)}
	}
	return []string{data}
}

func (w *walk) expectFiles(keyword string, files instructions.SourcesAndDest, chown string, origin footprint.Origin) expected {
	e := expected{keyword: keyword, origin: origin, always: true, sources: len(files.SourcePaths) + len(files.SourceContents)}
	var literal, open []string
	for _, s := range files.SourcePaths {
		literal, open = append(literal, w.vars.literal(s)), append(open, w.vars.open(s))
		if strings.ContainsAny(s, "*?[$") {
			e.sources = -1
		}
	}
	for _, s := range files.SourceContents {
		literal, open = append(literal, "<<"+s.Path), append(open, "<<"+s.Path)
	}
	e.dest, e.openDest, e.chown = w.vars.literal(files.DestPath), w.vars.open(files.DestPath), w.vars.literal(chown)
	e.literal = strings.Join(append(literal, e.dest), " ")
	e.open = strings.Join(append(open, e.openDest), " ")
	return e
}

// weight tells how surely the instruction made a layer with this history, 0
// for not at all.
func (e *expected) weight(m *made) int {
	switch {
	case e.keyword == "RUN":
		if m.keyword == "RUN" || m.keyword == "" {
			return e.weightOfRun(m)
		}
	case m.keyword != e.keyword:
	case e.keyword == "WORKDIR":
		// In history a path stands clean and without white space around it.
		w := max(same(e.literal, m.line), fit(e.open, m.line))
		if w > 0 && e.again {
			w -= twice
		}
		return w
	case m.files != "":
		return e.weightOfChecksum(m)
	default:
		bare := withoutFlags(m.line)
		return max(same(e.literal, bare), fit(e.open, bare))
	}
	return 0
}

func (e *expected) weightOfRun(m *made) int {
	switch {
	case m.line == "":
		return 0
	case m.line == e.full, m.lineWords == e.fullWords, m.body == e.command, m.bodyWords == e.commandWords, m.lineWords == e.written,
		m.hasArgs && (e.after(m.line, e.full) || e.after(m.lineWords, e.fullWords)):
		return surely
	}
	return 0
}

// after tells whether the line is the command behind build arguments. Without
// a shell of its own it could be the end of another command.
func (e *expected) after(line, full string) bool {
	before, ok := strings.CutSuffix(line, " "+full)
	return ok && (e.shellForm || !shellInside.MatchString(before+" "))
}

// weightOfChecksum compares with what the classic builder records, which has
// the destination alone.
func (e *expected) weightOfChecksum(m *made) int {
	if e.sources > 1 && m.files != "multi" || e.sources == 1 && m.files == "multi" {
		return 0
	}
	if e.chown != m.chown && !strings.Contains(e.chown, hole) && e.chown != "" && m.chown != "" {
		return 0
	}
	return max(same(e.dest, m.line), fit(e.openDest, m.line))
}

func same(a, b string) int {
	if a == b && a != "" {
		return surely
	}
	return 0
}

// fit matches a text with a pattern in which a hole stands for anything.
func fit(pattern, text string) int {
	parts := strings.Split(pattern, hole)
	if len(parts) == 1 {
		if pattern == text && text != "" {
			return surely
		}
		return 0
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return 0
	}
	certain := len(strings.Trim(first, " /.")) + len(strings.Trim(last, " /."))
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, ok := strings.Cut(text, part)
		if !ok {
			return 0
		}
		text = rest
		certain += len(strings.Trim(part, " /."))
	}
	if certain < 3 {
		return weakly
	}
	return surely
}

// label names the stage in an origin: its name, or its number.
func (s Stage) label() string {
	if s.Name != "" {
		return s.Name
	}
	return strconv.Itoa(s.Index)
}
