package dockerfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Resolve returns the file as a build with these arguments sees it: Base,
// Platform and Parent of its stages and the From of its instructions. Names
// that no ARG before the first FROM declares change nothing.
func (f *File) Resolve(args map[string]string) *File {
	out := *f
	out.Stages = slices.Clone(f.Stages)
	global := f.globals(args)
	names := map[string]int{}
	for i := range out.Stages {
		s := &out.Stages[i]
		s.Base, s.Platform = global.known(s.from.BaseName), global.known(s.from.Platform)
		s.Parent = -1
		if parent, ok := names[strings.ToLower(s.Base)]; ok {
			s.Parent = parent
		}
		s.Instructions = slices.Clone(s.Instructions)
		for j := range s.Instructions {
			in := &s.Instructions[j]
			if c, ok := in.command.(*instructions.CopyCommand); ok && c.From != "" {
				in.From, in.FromImage = sourceOf(global.known(c.From), i, names)
			}
		}
		if s.Name != "" {
			names[s.Name] = i
		}
	}
	return &out
}

// sourceOf finds what COPY --from means in a stage: an earlier stage by its
// name or number, or else an image.
func sourceOf(from string, stage int, names map[string]int) (int, string) {
	if i, ok := names[strings.ToLower(from)]; ok {
		return i, ""
	}
	if i, err := strconv.Atoi(from); err == nil && i >= 0 && i < stage {
		return i, ""
	}
	return -1, from
}

// Target finds a stage by its name or number, as --target does; "" is the last
// one. The error of an unknown one lists those that there are.
func (f *File) Target(target string) (Stage, error) {
	if len(f.Stages) == 0 {
		return Stage{}, fmt.Errorf("%s has no stage", f.Name)
	}
	if target == "" {
		return f.Stages[len(f.Stages)-1], nil
	}
	for i := len(f.Stages) - 1; i >= 0; i-- {
		if strings.EqualFold(f.Stages[i].Name, target) {
			return f.Stages[i], nil
		}
	}
	if i, err := strconv.Atoi(target); err == nil && i >= 0 && i < len(f.Stages) {
		return f.Stages[i], nil
	}
	var names []string
	for _, s := range f.Stages {
		if s.Name != "" && len(names) < 20 {
			names = append(names, s.Name)
		}
	}
	if names == nil {
		return Stage{}, fmt.Errorf("%s has no stage %q; its stages have no names, only the numbers 0 to %d", f.Name, target, len(f.Stages)-1)
	}
	return Stage{}, fmt.Errorf("%s has no stage %q; it has %s", f.Name, target, strings.Join(names, ", "))
}

// chain lists the stages that a stage is made of, the one from outside first.
func (f *File) chain(s Stage) []Stage {
	out := []Stage{s}
	for s.Parent >= 0 && s.Parent < s.Index && s.Parent < len(f.Stages) {
		s = f.Stages[s.Parent]
		out = append(out, s)
	}
	slices.Reverse(out)
	return out
}
