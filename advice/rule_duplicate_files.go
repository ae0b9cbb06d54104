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

var duplicateFiles = Rule{
	ID:     "duplicate-files",
	Title:  "the same bytes are at several paths",
	Safety: footprint.AdviceOnly,
	check:  checkDuplicateFiles,
}

// maxDuplicateAdvice is how many groups are worth a line each.
const maxDuplicateAdvice = 3

func checkDuplicateFiles(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
	if s.Image == nil {
		return s.copiedTwice(), nil
	}
	var out []footprint.Suggestion
	var told []string
	packaged := s.packaged()
	at := map[int]int{} // the suggestion of a step, by its line
	for _, d := range s.Image.Duplicates {
		if d.Own < Floor || len(d.Paths) < 2 || len(d.Paths) != len(d.Layers) || slices.ContainsFunc(d.Paths, isCache) {
			continue
		}
		// Groups may overlap: what was told of a folder is not told again of a file in
		// it.
		if slices.ContainsFunc(d.Paths, func(p string) bool {
			return slices.ContainsFunc(told, func(t string) bool { return overlap(p, t) })
		}) {
			continue
		}
		// What a distribution ships twice, nobody can change here.
		if !slices.ContainsFunc(d.Paths, func(p string) bool { return !packaged[p] }) {
			continue
		}
		told = append(told, d.Paths...)
		// The copy to keep is the one in the base, or else the first that was brought.
		keep := 0
		for i, l := range d.Layers {
			if l < d.Layers[keep] {
				keep = i
			}
		}
		var p pile
		var step *dockerfile.Step
		each := d.Bytes / footprint.Bytes(max(d.Copies-1, 1))
		for i, at := range d.Paths {
			if i == keep || d.Layers[i] < s.base {
				continue
			}
			p.add(at, each, d.Layers[i])
			if step == nil {
				step = s.stepOf(d.Layers[i])
			}
		}
		if len(p.paths) == 0 {
			continue
		}
		p.bytes = d.Own
		sg := s.suggest(step, p)
		sg.More = max(d.Copies-1-len(sg.Paths), 0)
		what := "file"
		if d.Dir && d.Files == 1 {
			what = "folder of 1 file"
		} else if d.Dir {
			what = fmt.Sprintf("folder of %d files", d.Files)
		}
		sg.Message = fmt.Sprintf("%s are stored again: the %s %s is also at %s.", d.Own, what, quoted(d.Paths[keep]), quoted(p.paths[0].Path))
		if n := d.Copies - 2; n > 0 {
			sg.Message = strings.TrimSuffix(sg.Message, ".") + fmt.Sprintf(" and %d more.", n)
		}
		first := s.stepOf(d.Layers[keep])
		switch {
		case step != nil && first != nil && step.Start != first.Start:
			sg.Advice = fmt.Sprintf("Lines %d and %d bring the same: bring it once and make a link with ln -s, or let the program use the first.", first.Start, step.Start)
		case step != nil && d.Layers[keep] < s.base:
			sg.Advice = fmt.Sprintf("The base image has it already: leave it out of line %d, or make a link with ln -s.", step.Start)
		default:
			sg.Advice = "Keep one, and make links of the others in the same step with ln or ln -s."
		}
		if step != nil {
			if n, ok := at[step.Start]; ok {
				s.mergeDuplicates(&out[n], p)
				continue
			}
		}
		if len(out) == maxDuplicateAdvice {
			continue
		}
		if step != nil {
			at[step.Start] = len(out)
		}
		out = append(out, sg)
	}
	return out, nil
}

// mergeDuplicates adds another group of files to the suggestion of their step.
func (s *subject) mergeDuplicates(sg *footprint.Suggestion, p pile) {
	also := s.suggest(nil, pile{bytes: p.bytes, paths: append(slices.Clone(sg.Paths), p.paths...)})
	sg.Paths, sg.More = also.Paths, sg.More+also.More
	sg.Bytes += p.bytes
	sg.Message = strings.TrimSuffix(sg.Message, ".") + fmt.Sprintf("; %s more are, of %s.", p.bytes, quoted(p.paths[0].Path))
}

// packaged has the files that packages of the system own, and the folders that
// hold nothing else.
func (s *subject) packaged() map[string]bool {
	out := map[string]bool{}
	if !s.walked() {
		return out
	}
	for f := range s.Image.Files {
		if f.Kind != footprint.Regular {
			continue
		}
		owned := s.ofSystem(f)
		out[f.Path] = owned
		for dir := path.Dir(f.Path); dir != "/" && dir != "."; dir = path.Dir(dir) {
			known, seen := out[dir]
			if seen && (!known || owned) {
				break // those above are as it says
			}
			out[dir] = owned
		}
	}
	return out
}

// overlap tells whether one path is the other or in it.
func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// isCache tells whether a path is in what a package manager keeps of its
// downloads, or in a history: other rules weigh those.
func isCache(p string) bool {
	return vcsRoot(p+"/") != "" || slices.ContainsFunc([]string{"/.cache/", "/.npm/", "/.pnpm-store/", "/go/pkg/mod/", "/.cargo/registry/", "/.m2/repository/", "/.gradle/caches/", "/var/cache/"}, func(c string) bool {
		return strings.Contains(p+"/", c)
	})
}

// copiedTwice is what the text alone says: two COPY of the same source.
func (s *subject) copiedTwice() []footprint.Suggestion {
	seen := map[string]int{}
	for i := range s.steps {
		f, ok := s.steps[i].Files()
		if !ok || f.Add || len(f.Sources) != 1 || f.To == "" || f.Heredocs > 0 || wild(f.Sources[0]) {
			continue
		}
		key := fmt.Sprint(f.From, "\x00", f.FromImage, "\x00", clean(f.Sources[0]), "\x00", f.Exclude)
		first, again := seen[key]
		if !again {
			seen[key] = i
			continue
		}
		if before, _ := s.steps[first].Files(); before.To == f.To {
			continue
		}
		sg := s.suggest(&s.steps[i], pile{})
		sg.Hint = true
		sg.Message = fmt.Sprintf("Lines %d and %d copy %s to two places.", s.steps[first].Start, s.steps[i].Start, quoted(f.Sources[0]))
		sg.Advice = "Copy it once, and make a link with ln -s if both paths are needed."
		return []footprint.Suggestion{sg}
	}
	return nil
}
