package advice

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

func cleanupInLaterLayer() Rule {
	return Rule{
		ID: "cleanup-in-later-layer", Title: "files are deleted in a later layer than the one that holds them", Safety: footprint.SafePatch,
		check: func(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
			if s.Image == nil {
				return s.cleanupHints(), nil
			}
			return s.cleanups(), nil
		},
	}
}

// The ways to get rid of what a later layer deletes.
const (
	byHand = iota
	// byMerge makes one RUN of both.
	byMerge
	// byCleaning has the RUN that filled a package manager's cache empty it.
	byCleaning
)

// deletion is what one layer deletes of others in one way.
type deletion struct {
	by, way int
	// edits are those of byCleaning.
	edits []footprint.Edit
	in    []int
	bytes footprint.Bytes
	dead  []footprint.Dead
}

func (s *subject) cleanups() []footprint.Suggestion {
	var found []*deletion
	c := s.caches()
	for _, d := range s.Image.Dead {
		if d.Fate != footprint.Deleted || !s.mine(d.In) || !s.mine(d.By) {
			continue
		}
		in, by := s.stepOf(d.In), s.stepOf(d.By)
		if in != nil && by != nil && in.Start == by.Start {
			continue // they are one by now
		}
		d.Bytes -= s.alreadyDeleted(c, d, in)
		way := byHand
		var edits []footprint.Edit
		if _, ok := s.merge(in, by); ok {
			way = byMerge
		} else if edits = s.cleanBefore(c, d, in); len(edits) > 0 {
			way = byCleaning
		}
		at := slices.IndexFunc(found, func(o *deletion) bool { return o.by == d.By && o.way == way && way != byCleaning })
		if at < 0 {
			at = len(found)
			found = append(found, &deletion{by: d.By, way: way, edits: edits})
		}
		found[at].in = append(found[at].in, d.In)
		found[at].bytes += d.Bytes
		found[at].dead = append(found[at].dead, d)
	}
	slices.SortStableFunc(found, func(a, b *deletion) int { return a.by - b.by })
	var out []footprint.Suggestion
	for _, f := range found {
		if f.bytes >= Floor {
			out = append(out, s.cleanup(f))
		}
	}
	return out
}

// alreadyDeleted is what the text of the step that brought files deletes of them
// by now.
func (s *subject) alreadyDeleted(c *caches, d footprint.Dead, step *dockerfile.Step) footprint.Bytes {
	sc := s.script(step)
	if sc == nil {
		return 0
	}
	gone := func(p string) bool {
		if at, ok := c.of(p + "/x"); ok && !leaves(step, sc, at.manager, p+"/x") {
			return true
		}
		return step.Mounted(p) || slices.ContainsFunc(sc.Calls, func(c dockerfile.Call) bool { return c.Certain && removes(c, p) })
	}
	if gone(d.Under) {
		return d.Bytes
	}
	var out footprint.Bytes
	files := 0
	for _, f := range s.Image.DeadFiles {
		if f.In == d.In && f.By == d.By && f.Fate == d.Fate && gone(f.Path) {
			out += f.Bytes
			files++
		}
	}
	if files == d.Files {
		return d.Bytes
	}
	return out
}

func (s *subject) cleanup(f *deletion) footprint.Suggestion {
	by := s.stepOf(f.by)
	out := s.suggest(by, s.deadPile(f.dead))
	out.Bytes = f.bytes
	slices.Sort(f.in)
	names := make([]string, len(f.in))
	copied := false
	for i, in := range f.in {
		names[i] = s.place(in)
		copied = copied || s.copied(in)
	}
	out.Message = fmt.Sprintf("%s that %s brought are deleted only in %s and stay in the image.", f.bytes, list(names), s.place(f.by))
	switch {
	case copied:
		out.Advice = "Lend the files to the RUN that needs them with --mount=type=bind, or use and delete them in another stage."
	default:
		out.Advice = "Delete them in the RUN that makes them, keep them in a cache mount, or make them in another stage."
	}
	switch f.way {
	case byMerge:
		edits, _ := s.merge(s.stepOf(f.in[0]), by)
		out.Advice = fmt.Sprintf("Make one RUN of lines %d to %d.", s.stepOf(f.in[0]).Start, by.End)
		s.edit(&out, footprint.SafePatch, edits...)
	case byCleaning:
		out.Advice = fmt.Sprintf("Delete them in the RUN of %s.", names[0])
		s.edit(&out, footprint.SafePatch, f.edits...)
	}
	return out
}

// cleanBefore are the edits that keep what a package manager left out of the
// layer that a step made, nil where it left something else or it is needed later.
func (s *subject) cleanBefore(c *caches, d footprint.Dead, step *dockerfile.Step) []footprint.Edit {
	at, ok := c.of(d.Under + "/x")
	if !ok || step == nil || step.Keyword != "RUN" || at.manager.kept || s.needsLater(step, at.manager) {
		return nil
	}
	edits, _ := s.script(step).clean(at.manager, []*cachePile{{cacheAt: at}})
	return edits
}

// deadPile weighs what is dead by its files, or by the folder that holds all of
// it where there are many.
func (s *subject) deadPile(dead []footprint.Dead) pile {
	var p pile
	for _, d := range dead {
		if d.Files > footprint.MaxSuggestionPaths && strings.Count(d.Under, "/") > 1 {
			p.add(d.Under, d.Bytes, d.In)
			continue
		}
		rest := d.Bytes
		for _, f := range s.Image.DeadFiles {
			if f.In == d.In && f.By == d.By && f.Fate == d.Fate {
				p.add(f.Path, f.Bytes, f.In)
				rest -= f.Bytes
			}
		}
		if rest > 0 {
			p.add(d.Under, rest, d.In)
		}
	}
	return p
}

// place names the line that made a layer, or the layer.
func (s *subject) place(layer int) string {
	if step := s.stepOf(layer); step != nil {
		return fmt.Sprintf("line %d", step.Start)
	}
	return fmt.Sprintf("layer %d", layer)
}

// list is "a", "a and b" or "a, b and c".
func list(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// maxMerge is how many RUNs become one at most.
const maxMerge = 10

// merge are the edits that make one RUN of two and of all between them: false
// where something else stands between them, or one means something else behind
// the other.
func (s *subject) merge(from, to *dockerfile.Step) ([]footprint.Edit, bool) {
	if from == nil || to == nil || from.Stage != to.Stage || from.Start >= to.Start {
		return nil, false
	}
	first := slices.IndexFunc(s.steps, func(st dockerfile.Step) bool { return st.Start == from.Start })
	last := slices.IndexFunc(s.steps, func(st dockerfile.Step) bool { return st.Start == to.Start })
	if first < 0 || last-first > maxMerge {
		return nil, false
	}
	var edits []footprint.Edit
	for i := first; i < last; i++ {
		edit, ok := s.join(&s.steps[i], &s.steps[i+1])
		if !ok {
			return nil, false
		}
		edits = append(edits, edit)
	}
	return edits, true
}

// join makes one RUN of two that follow each other.
func (s *subject) join(a, b *dockerfile.Step) (footprint.Edit, bool) {
	one, two := s.script(a), s.script(b)
	if one == nil || two == nil || !one.plain() || !two.plain() || one.changesShell() {
		return footprint.Edit{}, false
	}
	// && binds closer than ; and as close as ||: the second is a chain of &&.
	for i, c := range two.Calls {
		if i > 0 && c.Join != "&&" {
			return footprint.Edit{}, false
		}
	}
	stop, ok := one.Calls[len(one.Calls)-1].Stop()
	if !ok {
		return footprint.Edit{}, false
	}
	line := s.file.Continued()
	between := ""
	for _, sc := range []*script{one, two} {
		for i := 1; i < len(sc.Calls) && between == ""; i++ {
			if last, ok := sc.Calls[i-1].Stop(); ok && last < sc.Calls[i].Start {
				if text := sc.separator(string(s.file.Src[last:sc.Calls[i].Start]), "&&"); strings.Contains(text, "\n") {
					between = text
				}
			}
		}
	}
	if between == "" {
		between = " " + line + "    && "
	}
	// Comments stay where they are, and empty lines go: they may not stand in an
	// instruction.
	_, end := a.Bytes()
	start, _ := b.Bytes()
	comments := ""
	for text := range strings.Lines(string(s.file.Src[end:start])) {
		if strings.HasPrefix(strings.TrimSpace(text), "#") {
			comments += text
		}
	}
	if comments != "" {
		head, tail, _ := strings.Cut(between, "\n")
		between = head + "\n" + comments + tail
	}
	return footprint.Edit{Start: stop, End: two.Calls[0].Start, Text: between}, true
}

// plain tells whether a script is a RUN without flags, and nothing but commands
// that are certain to run.
func (s *script) plain() bool {
	if s.Heredoc || s.step.Keyword != "RUN" || len(s.Calls) == 0 || !s.Calls[len(s.Calls)-1].Last {
		return false
	}
	start, _ := s.step.Bytes()
	at := start
	for i, c := range s.Calls {
		gap := string(s.file.Src[at:c.Start])
		if i == 0 {
			gap = strings.TrimLeft(gap, " \t")
			if !strings.EqualFold(gap[:min(3, len(gap))], "RUN") {
				return false
			}
			gap = gap[3:]
		}
		stop, ok := c.Stop()
		if !ok || !c.Certain || strings.Trim(strings.ReplaceAll(gap, s.file.Continued(), ""), " \t\r\n&;") != "" || len(c.Set) > 0 && len(c.Words) == 0 {
			return false
		}
		at = stop
	}
	return len(bytes.TrimSpace(s.file.Src[at:s.End])) == 0
}

// changesShell tells whether a script leaves its shell other than it found it.
func (s *script) changesShell() bool {
	return slices.ContainsFunc(s.Calls, func(c dockerfile.Call) bool {
		switch c.Name() {
		case "cd", "pushd", "popd", "set", "export", "unset", "umask", "ulimit", "trap", "shopt", "alias", "source", ".", "exec", "exit", "return", "read", "eval", "":
			return true
		}
		return false
	})
}

// cleanupHints are files that COPY brings and a later RUN deletes by their name.
func (s *subject) cleanupHints() []footprint.Suggestion {
	var out []footprint.Suggestion
	type brought struct {
		path string
		by   int
	}
	var files []brought
	for i, left := 0, maxHintPairs; i < len(s.steps) && left > 0; i++ {
		if p := copiedFile(&s.steps[i]); p != "" {
			files = append(files, brought{p, i})
			continue
		}
		if len(files) == 0 || s.steps[i].Keyword != "RUN" {
			continue
		}
		sc := s.script(&s.steps[i])
		if sc == nil || !slices.ContainsFunc(sc.Calls, func(c dockerfile.Call) bool { return c.Name() == "rm" || c.Name() == "find" }) {
			continue
		}
		left -= len(files) * len(sc.Calls)
		for _, f := range files {
			p, j := f.path, f.by
			if s.steps[i].Mounted(p) || !slices.ContainsFunc(sc.Calls, func(c dockerfile.Call) bool { return c.Certain && removes(c, p) }) {
				continue
			}
			one := s.suggest(&s.steps[i], pile{})
			one.Hint = true
			one.Message = fmt.Sprintf("%s is deleted in line %d, but stays in the layer that line %d makes.", p, s.steps[i].Start, s.steps[j].Start)
			one.Advice = "Lend it to the RUN that needs it with --mount=type=bind, or use and delete it in another stage."
			out = append(out, one)
			break
		}
	}
	return out
}

// maxHintPairs bounds the comparisons of a file that was copied with a command
// that may delete it.
const maxHintPairs = 1_000_000

// copiedFile is the path of the one file that COPY or ADD brings, "" where that
// is not certain.
func copiedFile(step *dockerfile.Step) string {
	f, ok := step.Files()
	if !ok || len(f.Sources) != 1 || f.To == "" || f.Parents || f.Heredocs > 0 || strings.ContainsAny(f.Sources[0], "*?[$") {
		return ""
	}
	name := f.Sources[0][strings.LastIndexByte(f.Sources[0], '/')+1:]
	if f.Add && archiveName(name) && !strings.Contains(f.Sources[0], "://") {
		return "" // it is unpacked
	}
	switch {
	case !strings.Contains(strings.TrimPrefix(name, "."), "."):
		return "" // may be a folder
	case f.Dir:
		return strings.TrimSuffix(f.To, "/") + "/" + name
	case strings.HasSuffix(f.To, name):
		return f.To
	}
	return ""
}
