package dockerfile

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/org/image-budget/footprint"
)

// Step is an instruction with what holds where it stands, as far as it is known:
// what the base image brings along is not.
type Step struct {
	Instruction
	// Stage is the index of its stage.
	Stage int
	// Dir is the working directory, absolute and clean, "" if unknown. User is
	// what USER says, "" if nothing does, and Shell what the shell form runs.
	Dir, User string
	Shell     []string

	file *File
	vars *variables
	// files is what Files reads, which many ask for.
	files *filesRead
}

type filesRead struct {
	once  sync.Once
	files Files
	ok    bool
}

// Steps lists the instructions that the target stage runs, those of its parents
// included, in the order in which they run, after Resolve(args). ONBUILD
// triggers of a parent are left out. An unknown target has none.
func (f *File) Steps(target string, args map[string]string) []Step {
	s, err := f.Target(target)
	if err != nil {
		return nil
	}
	var out []Step
	global := f.globals(args)
	now := &variables{args: map[string]string{}, env: map[string]string{}, escape: f.escape}
	past := &timeline{changes: map[string][]moment{}}
	at := Step{file: f, Shell: []string{"/bin/sh", "-c"}}
	for _, stage := range f.chain(s) {
		if stage.Parent < 0 && stage.Base == "scratch" {
			at.Dir = "/"
		}
		at.Stage = stage.Index
		// A stage inherits the build arguments of its parent, but its environment
		// comes before them.
		for _, name := range past.declared {
			if _, ok := now.env[name]; ok {
				delete(now.args, name)
				past.record(name, now)
			}
		}
		past.declared = nil
		at.vars = past.variables(f.escape)
		for _, in := range stage.Instructions {
			at.Instruction, at.files = in, &filesRead{}
			out = append(out, at)
			at = at.next(in)
			if past.follow(in, now, args, global) {
				at.vars = past.variables(f.escape)
			}
		}
	}
	return out
}

// next is what holds after an instruction, but for the variables.
func (s Step) next(in Instruction) Step {
	switch c := in.command.(type) {
	case *instructions.ShellCommand:
		s.Shell = c.Shell
	case *instructions.WorkdirCommand:
		if s.Dir = s.Path(c.Path); len(s.Dir) > maxPath {
			s.Dir = ""
		}
	case *instructions.UserCommand:
		s.User, _ = s.Expand(c.User)
	}
	return s
}

// timeline has the values of all variables at all times: a copy of them for each
// step would take the square of the steps.
type timeline struct {
	now     int
	changes map[string][]moment
	// declared are the build arguments of the stage, as far as it is read.
	declared []string
}

// moment is a variable from a time on.
type moment struct {
	from  int
	value string
	set   bool
}

// record notes the value of a variable.
func (t *timeline) record(name string, now *variables) {
	value, ok := now.get(name)
	t.changes[name] = append(t.changes[name], moment{t.now, value, ok})
}

// follow does what ARG and ENV do, and tells whether it was one.
func (t *timeline) follow(in Instruction, now *variables, args map[string]string, global *variables) bool {
	switch c := in.command.(type) {
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			now.declare(arg, args, global)
			t.record(arg.Key, now)
			t.declared = append(t.declared, arg.Key)
		}
	case *instructions.EnvCommand:
		names, values := make([]string, len(c.Env)), make([]string, len(c.Env))
		for i, e := range c.Env {
			names[i], values[i] = now.literal(e.Key), now.literal(e.Value)
		}
		for i, name := range names {
			now.setEnv(name, values[i])
			t.record(name, now)
		}
	default:
		return false
	}
	return true
}

// variables are those of now. What is recorded from here on changes nothing in
// them.
func (t *timeline) variables(escape rune) *variables {
	t.now++
	return &variables{past: t, at: t.now, escape: escape}
}

// get finds a variable at a time.
func (t *timeline) get(name string, at int) (string, bool) {
	all := t.changes[name]
	i, _ := slices.BinarySearchFunc(all, at, func(m moment, at int) int { return cmp.Compare(m.from, at) })
	if i == 0 {
		return "", false
	}
	return all[i-1].value, all[i-1].set
}

// Expand puts in the values of variables that are known, and tells whether all
// were. Without quotes around it, as builders do.
func (s Step) Expand(word string) (string, bool) {
	out := s.vars.literal(word)
	if strings.Contains(out, hole) {
		return s.vars.known(word), false
	}
	// A variable that nothing sets is empty for a build, but the base image may
	// set it.
	unset := false
	if _, ok := s.vars.expand(word, func(name string) (string, bool) {
		value, ok := s.vars.get(name)
		unset = unset || !ok
		return value, ok
	}, false); !ok || unset {
		return s.vars.known(word), false
	}
	return out, true
}

// Env is the value of a variable that ENV or ARG sets, and whether it is known.
func (s Step) Env(name string) (string, bool) {
	value, ok := s.vars.get(name)
	return value, ok && !strings.Contains(value, hole)
}

// Path is the absolute, clean form of a path of the image, "" if it is not
// known.
func (s Step) Path(p string) string {
	p, ok := s.Expand(p)
	switch {
	case !ok:
		return ""
	case strings.HasPrefix(p, "/"):
		return path.Clean(p)
	case s.Dir == "":
		return ""
	}
	return path.Join(s.Dir, p)
}

// Bytes is the range of the instruction in Src: from the first byte of its
// first line to the end of its last, without the line break.
func (s Step) Bytes() (start, end int) { return s.file.lineRange(s.Start, s.End) }

// Files is a COPY or ADD.
type Files struct {
	// Sources are the paths or URLs, with what is known of variables put in;
	// To is the destination as an absolute path, "" if unknown, and Dir tells
	// that it is a folder to put the sources into by how it is written.
	Sources []string
	To      string
	Dir     bool
	// Heredocs are files whose content stands in the Dockerfile.
	Heredocs int
	// From is the index of a stage, -1 for none; FromImage an image or named
	// context. Neither means the build context.
	From      int
	FromImage string
	// Chown and Chmod are as written.
	Chown, Chmod string
	Exclude      []string
	Parents      bool
	// Add is set on ADD, which unpacks local archives and fetches URLs.
	Add bool
}

// Files reads COPY and ADD, and is false for all others. Its slices are not to be
// changed.
func (s Step) Files() (Files, bool) {
	if s.files == nil {
		return s.readFiles()
	}
	s.files.once.Do(func() { s.files.files, s.files.ok = s.readFiles() })
	return s.files.files, s.files.ok
}

func (s Step) readFiles() (Files, bool) {
	switch c := s.command.(type) {
	case *instructions.CopyCommand:
		f := s.filesOf(c.SourcesAndDest)
		f.From, f.FromImage = s.From, s.FromImage
		f.Chown, f.Chmod, f.Exclude, f.Parents = c.Chown, c.Chmod, c.ExcludePatterns, c.Parents
		return f, true
	case *instructions.AddCommand:
		f := s.filesOf(c.SourcesAndDest)
		f.Chown, f.Chmod, f.Exclude, f.Add = c.Chown, c.Chmod, c.ExcludePatterns, true
		return f, true
	}
	return Files{}, false
}

func (s Step) filesOf(from instructions.SourcesAndDest) Files {
	f := Files{From: -1, To: s.Path(from.DestPath), Heredocs: len(from.SourceContents)}
	dest, _ := s.Expand(from.DestPath)
	f.Dir = strings.HasSuffix(dest, "/") || dest == "." || strings.HasSuffix(dest, "/.") || len(from.SourcePaths)+len(from.SourceContents) > 1
	for _, p := range from.SourcePaths {
		p, _ = s.Expand(p)
		f.Sources = append(f.Sources, p)
	}
	return f
}

// Mount is a --mount of RUN.
type Mount struct {
	// Type is bind, cache, tmpfs, secret or ssh.
	Type string
	// Target is an absolute path, "" if it has none or is not known.
	Target string
	// From is as written, "" for the build context.
	From, Source string
}

// Mounts are those of a RUN: what is written below their targets is in no
// layer.
func (s Step) Mounts() []Mount {
	c, ok := s.command.(*instructions.RunCommand)
	if !ok {
		return nil
	}
	var out []Mount
	for _, m := range instructions.GetMounts(c) {
		mount := Mount{Type: string(m.Type), From: m.From, Source: m.Source}
		if m.Target != "" {
			mount.Target = s.Path(m.Target)
		}
		out = append(out, mount)
	}
	return out
}

// Mounted tells whether a path is in a mount of this RUN, and so in no layer.
// A mount whose target is not known holds everything.
func (s Step) Mounted(p string) bool {
	return slices.ContainsFunc(s.Mounts(), func(m Mount) bool {
		if m.Type == string(instructions.MountTypeSSH) {
			return false
		}
		return m.Target == "" && m.Type != string(instructions.MountTypeSecret) || m.Target != "" && (p == m.Target || strings.HasPrefix(p, strings.TrimSuffix(m.Target, "/")+"/"))
	})
}

// Exec is the command of RUN, CMD, ENTRYPOINT in its exec form, nil in the shell
// form and for all others.
func (s Step) Exec() []string {
	line, shell := s.commandLine()
	if shell {
		return nil
	}
	return line
}

// ShellForm tells whether RUN, CMD or ENTRYPOINT goes through the shell.
func (s Step) ShellForm() bool {
	_, shell := s.commandLine()
	return shell
}

func (s Step) commandLine() ([]string, bool) {
	switch c := s.command.(type) {
	case *instructions.RunCommand:
		return c.CmdLine, c.PrependShell
	case *instructions.CmdCommand:
		return c.CmdLine, c.PrependShell
	case *instructions.EntrypointCommand:
		return c.CmdLine, c.PrependShell
	}
	return nil, false
}

// Copied lists the stages that a stage takes files from by COPY --from or a
// mount, itself and its parents included in whose they are: everything whose
// instructions can reach it. The answer is a set of indexes.
func (f *File) Copied(target Stage) map[int]bool {
	seen := map[int]bool{}
	todo := []Stage{target}
	for len(todo) > 0 {
		stage := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		// Whose parents are seen already needs no second look at them.
		for !seen[stage.Index] {
			seen[stage.Index] = true
			for _, in := range stage.Instructions {
				if in.From >= 0 && in.From < len(f.Stages) && !seen[in.From] {
					todo = append(todo, f.Stages[in.From])
				}
			}
			if stage.Parent < 0 || stage.Parent >= len(f.Stages) {
				break
			}
			stage = f.Stages[stage.Parent]
		}
	}
	return seen
}

// lineStarts are the places of the first byte of each line.
func lineStarts(src []byte) []int {
	out := []int{0}
	for i, c := range src {
		if c == '\n' {
			out = append(out, i+1)
		}
	}
	return out
}

// lineRange is the range in Src of lines that count from 1, without the last
// line break.
func (f *File) lineRange(first, last int) (start, end int) {
	first = max(first, 1)
	if first > len(f.lines) {
		return len(f.Src), len(f.Src)
	}
	start, end = f.lines[first-1], len(f.Src)
	if last < len(f.lines) {
		end = max(f.lines[max(last, first)]-1, start)
	}
	for end > start && (f.Src[end-1] == '\r' || f.Src[end-1] == '\n') {
		end--
	}
	return start, end
}

// Origin is the place of the step.
func (s Step) Origin() footprint.Origin {
	return footprint.Origin{File: s.file.Name, Stage: s.file.Stages[s.Stage].label(), Start: s.Start, End: s.End}
}
