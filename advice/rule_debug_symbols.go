package advice

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

var debugSymbols = Rule{
	ID:     "debug-symbols",
	Title:  "programs have debug sections and symbol tables",
	Safety: footprint.NeedsTests,
	check:  checkDebugSymbols,
}

// builder is the command that made a program, or what is known of it.
type builder struct {
	// step is the instruction that brought the program into the image.
	step *dockerfile.Step
	// made is the instruction that built it, and call the go build in it; both
	// are nil where that is not certain. tool is "go", "cargo", "c" or "".
	made *dockerfile.Step
	call *dockerfile.Call
	tool string
}

func checkDebugSymbols(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
	if s.Image == nil {
		return nil, nil
	}
	type group struct {
		pile
		by builder
	}
	var all []*group
	s.own(func(f footprint.File) {
		weighs := f.Debug + f.Symbols
		if f.Kind != footprint.Regular || weighs == 0 || weighs > f.Size {
			return
		}
		if s.ofSystem(f) {
			return // whoever builds the package decides
		}
		by, gone := s.builderOf(s.stepOf(f.Made), f.Path)
		if gone {
			return
		}
		n := slices.IndexFunc(all, func(g *group) bool {
			return g.by.step == by.step && g.by.tool == by.tool && (g.by.call == nil) == (by.call == nil) && (by.call == nil || g.by.call.Start == by.call.Start)
		})
		if n < 0 {
			all, n = append(all, &group{by: by}), len(all)
		}
		all[n].add(f.Path, weighs, f.Layer)
	})
	var out []footprint.Suggestion
	for _, g := range all {
		if g.bytes < Floor {
			continue
		}
		sg := s.suggest(g.by.step, g.pile)
		where := quoted(sg.Paths[0].Path)
		if n := len(g.paths) - 1; n == 1 {
			where += " and 1 other file"
		} else if n > 1 {
			where += fmt.Sprintf(" and %d other files", n)
		}
		sg.Message = fmt.Sprintf("%s of debug sections and symbol tables are in %s.", g.bytes, where)
		switch g.by.tool {
		case "go":
			sg.Advice = `Build with -ldflags="-s -w", which leaves them out; stack traces of panics stay readable.`
			if g.by.call != nil {
				if edits := stripGo(s.file.Src, g.by.call); edits != nil {
					s.edit(&sg, footprint.NeedsTests, edits...)
					s.at(&sg, g.by.made)
				}
			}
		case "cargo":
			sg.Advice = `Set strip = true in [profile.release] of Cargo.toml, or CARGO_PROFILE_RELEASE_STRIP=true for cargo build.`
		case "c":
			sg.Advice = "Link with -s, or run strip on them in the RUN that builds them."
		default:
			sg.Advice = "Run strip --strip-unneeded on them in the step that makes them, if nobody debugs in this image."
		}
		out = append(out, sg)
	}
	return out, nil
}

// builderOf finds what made a program that step brought. gone tells that the
// text leaves the symbols out, so that the image is of an older one.
func (s *subject) builderOf(step *dockerfile.Step, p string) (by builder, gone bool) {
	by.step = step
	if step == nil {
		return by, false
	}
	steps := s.steps
	if step.From >= 0 {
		f, ok := step.Files()
		if !ok {
			return by, false
		}
		inside := contextPath(f, p)
		if inside == "" {
			return by, false
		}
		p = "/" + clean(inside)
		steps = s.chainSteps(step.From)
	} else if step.Keyword != "RUN" {
		return by, false
	} else {
		steps = []dockerfile.Step{*step}
	}
	var goBuilds []int // the steps of possible
	var possible []dockerfile.Call
	for i := range steps {
		if steps[i].Keyword != "RUN" {
			continue
		}
		calls, _ := s.calls(&steps[i])
		for _, c := range calls {
			switch c.Name() {
			case "strip", "sstrip", "objcopy", "upx":
				if c.Name() != "objcopy" && slices.ContainsFunc(c.Words[1:], func(w dockerfile.Word) bool {
					return path.Base(w.Text) == path.Base(p) || !w.Known
				}) {
					return by, true
				}
			case "go":
				if v := verb(c); (v == "build" || v == "install") && makesGo(c, v, p) {
					goBuilds, possible = append(goBuilds, i), append(possible, c)
				}
			case "cargo":
				if builds(c) {
					by.tool = "cargo"
				}
			case "gcc", "g++", "cc", "c++", "clang", "clang++", "make", "cmake", "ninja", "meson":
				by.tool = "c"
			}
		}
		if by.tool == "cargo" {
			if v, _ := steps[i].Env("CARGO_PROFILE_RELEASE_STRIP"); v != "" && v != "false" && v != "none" {
				return by, true
			}
		}
	}
	if len(possible) == 0 {
		return by, false
	}
	by.tool = "go"
	if len(possible) > 1 {
		// Which one it was is only certain by the name of the file it writes.
		return by, !slices.ContainsFunc(possible, func(c dockerfile.Call) bool { return !stripsGo(c) })
	}
	if stripsGo(possible[0]) {
		return by, true
	}
	made := steps[goBuilds[0]]
	if flags, set := made.Env("GOFLAGS"); set && strings.Contains(flags, "-ldflags") || slices.ContainsFunc(possible[0].Set, func(a dockerfile.Assignment) bool { return a.Name == "GOFLAGS" }) {
		return by, strings.Contains(flags, "-s") && strings.Contains(flags, "-w")
	}
	by.made, by.call = &made, &possible[0]
	return by, false
}

// makesGo tells whether a go build or go install may write a file.
func makesGo(c dockerfile.Call, verb, p string) bool {
	if verb == "install" {
		return strings.HasSuffix(path.Dir(p), "/bin")
	}
	args := c.Args()
	for i, a := range args {
		to, ok := strings.CutPrefix(a, "-o=")
		if a == "-o" && i+1 < len(args) {
			to, ok = args[i+1], true
		}
		if !ok {
			continue
		}
		if !strings.HasPrefix(to, "/") {
			if c.Dir == "" {
				return path.Base(to) == path.Base(p)
			}
			to = c.Dir + "/" + to
		}
		to = path.Clean(to)
		return to == p || path.Dir(p) == to
	}
	return c.Dir == "" || path.Dir(p) == c.Dir
}

// ldflags finds the value of -ldflags: the word that holds it, and where in its
// text it begins.
func ldflags(c dockerfile.Call) (word dockerfile.Word, from int, ok bool) {
	for i, w := range c.Words {
		flag := strings.TrimPrefix(w.Text, "-")
		switch {
		case flag == "-ldflags" || w.Text == "-ldflags":
			if i+1 < len(c.Words) {
				return c.Words[i+1], 0, true
			}
		case strings.HasPrefix(w.Text, "-ldflags="):
			return w, len("-ldflags="), true
		case strings.HasPrefix(w.Text, "--ldflags="):
			return w, len("--ldflags="), true
		}
	}
	return dockerfile.Word{}, 0, false
}

// stripsGo tells whether a go build leaves symbols out; -s leaves out what -w
// does, too.
func stripsGo(c dockerfile.Call) bool {
	w, from, ok := ldflags(c)
	return ok && slices.Contains(strings.Fields(w.Text[min(from, len(w.Text)):]), "-s")
}

// stripGo adds -s -w to a go build; nil where its flags are not understood.
func stripGo(src []byte, c *dockerfile.Call) []footprint.Edit {
	if c.Start < 0 {
		return nil
	}
	w, from, ok := ldflags(*c)
	if !ok {
		v := verb(*c)
		for _, word := range c.Words {
			if word.Text == v && string(src[word.Start:word.End]) == v {
				return []footprint.Edit{{Start: word.End, End: word.End, Text: ` -ldflags="-s -w"`}}
			}
		}
		return nil
	}
	raw := string(src[w.Start:w.End])
	add := "-s -w "
	if slices.Contains(strings.Fields(w.Text[from:]), "-w") {
		add = "-s "
	}
	head := ""
	if from > 0 {
		head = w.Text[:from]
	}
	value, ok := strings.CutPrefix(raw, head)
	if !ok && len(raw) > 1 && (raw[0] == '"' || raw[0] == '\'') {
		// The quotes may go around the flag and its value.
		if value, ok = strings.CutPrefix(raw[1:], head); ok {
			at := w.End - len(value)
			return []footprint.Edit{{Start: at, End: at, Text: add}}
		}
	}
	at := w.End - len(value)
	switch {
	case !ok:
		return nil
	case len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0]:
		return []footprint.Edit{{Start: at + 1, End: at + 1, Text: add}}
	case value == w.Text[from:] && value != "" && !strings.ContainsAny(value, "\"'\\$ \t\r\n`"):
		return []footprint.Edit{{Start: at, End: w.End, Text: `"` + add + value + `"`}}
	}
	return nil
}
