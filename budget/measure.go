package budget

import (
	"iter"
	"math/bits"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/org/image-budget/footprint"
)

// The bounds of path patterns; see the comment of maxSource.
const (
	maxPatterns     = 1_000 // in one image
	maxSegments     = 60    // between slashes
	maxAlternatives = 64    // that the braces of one pattern stand for
)

// maxExamples is how many matching paths are kept per pattern.
const maxExamples = 5

// Measure sums the regular files that each pattern matches, in one walk, and
// returns one entry per pattern in their order. Directories must come before
// what they hold or not at all, as in [footprint.Image.Files]; patterns that
// [Parse] would refuse match nothing.
//
// Patterns are those of doublestar on absolute paths: * ? [a-z] {a,b} within a
// name, ** for any number of directories. A pattern that matches a directory
// takes in everything below it. Examples are the topmost matching paths of any
// kind, so a link or an empty directory that matches is seen as well.
func Measure(patterns []string, files iter.Seq[footprint.File]) []footprint.PathSize {
	w := newWalk(patterns)
	if files != nil {
		for f := range files {
			w.visit(f)
		}
	}
	return w.sums
}

// walk matches paths name by name: every directory on the way down keeps how
// far each pattern has come, so a file costs one comparison per pattern that
// can still match in its directory.
type walk struct {
	sums   []footprint.PathSize
	globs  []glob
	frames []frame
	hits   []int // of the name being looked at
}

// glob is a pattern without braces, cut at its slashes.
type glob struct {
	pattern  int // index into sums
	segments []segment
}

type segment struct {
	text    string
	any     bool // **
	literal bool
	suffix  bool // text is what follows a single *
}

// frame is a directory on the way to the current file.
type frame struct {
	path    string // without a slash at the end, "" for the root
	matched []int  // patterns that match it or a directory above
	open    []progress
}

// progress is the set of segments, as bits, that the rest of a path may begin
// with.
type progress struct {
	glob int
	at   uint64
}

func newWalk(patterns []string) *walk {
	w := &walk{sums: make([]footprint.PathSize, len(patterns))}
	root := frame{}
	for i, pattern := range patterns {
		w.sums[i].Pattern = pattern
		if msg, _ := patternMistake(pattern); msg != "" {
			continue
		}
		expanded, _ := expandBraces(pattern)
		for _, text := range expanded {
			g := glob{pattern: i, segments: segmentsOf(text)}
			w.globs = append(w.globs, g)
			start := g.closure(1)
			if start&g.accept() != 0 {
				root.matched = add(root.matched, i)
			}
			root.open = append(root.open, progress{len(w.globs) - 1, start})
		}
	}
	w.frames = append(w.frames, root)
	return w
}

func (w *walk) visit(f footprint.File) {
	path := f.Path
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 || cut == len(path)-1 || path[0] != '/' {
		return // the root itself, or no path of an image
	}
	w.enter(path[:cut])
	if f.Kind == footprint.Directory {
		w.push(path)
		return
	}
	top := &w.frames[len(w.frames)-1]
	for _, p := range top.matched {
		w.count(p, f)
	}
	if len(top.open) == 0 {
		return
	}
	w.hits = w.hits[:0]
	for _, o := range top.open {
		g := &w.globs[o.glob]
		if g.step(o.at, path[cut+1:])&g.accept() != 0 && !contains(top.matched, g.pattern) {
			w.hits = add(w.hits, g.pattern)
		}
	}
	for _, p := range w.hits {
		w.count(p, f)
		w.example(p, path)
	}
}

func (w *walk) count(pattern int, f footprint.File) {
	if f.Kind == footprint.Regular {
		w.sums[pattern].Bytes += f.Size
		w.sums[pattern].Files++
	}
}

func (w *walk) example(pattern int, path string) {
	s := &w.sums[pattern]
	if len(s.Examples) == maxExamples {
		return
	}
	for _, e := range s.Examples {
		if e == path {
			return
		}
	}
	s.Examples = append(s.Examples, path)
}

// enter makes dir the directory on top of the stack.
func (w *walk) enter(dir string) {
	for {
		top := w.frames[len(w.frames)-1].path
		if top == dir {
			return
		}
		if len(dir) > len(top) && dir[:len(top)] == top && dir[len(top)] == '/' {
			break
		}
		w.frames = w.frames[:len(w.frames)-1]
	}
	for {
		top := w.frames[len(w.frames)-1].path
		if len(top) == len(dir) {
			return
		}
		end := len(dir)
		if next := strings.IndexByte(dir[len(top)+1:], '/'); next >= 0 {
			end = len(top) + 1 + next
		}
		w.push(dir[:end])
	}
}

// push goes down from the directory on top into path, which is right below.
func (w *walk) push(path string) {
	if len(w.frames) < cap(w.frames) {
		w.frames = w.frames[:len(w.frames)+1] // keeps the slices of an old frame
	} else {
		w.frames = append(w.frames, frame{})
	}
	up, down := &w.frames[len(w.frames)-2], &w.frames[len(w.frames)-1]
	down.path = path
	down.matched = append(down.matched[:0], up.matched...)
	down.open = down.open[:0]
	name := path[len(up.path)+1:]
	for _, o := range up.open {
		g := &w.globs[o.glob]
		at := g.step(o.at, name)
		if at&g.accept() != 0 && !contains(down.matched, g.pattern) {
			down.matched = append(down.matched, g.pattern)
			w.example(g.pattern, path)
		}
		if at != 0 {
			down.open = append(down.open, progress{o.glob, at})
		}
	}
	if len(down.matched) > 0 { // what matches already need not be followed
		open := down.open[:0]
		for _, o := range down.open {
			if !contains(down.matched, w.globs[o.glob].pattern) {
				open = append(open, o)
			}
		}
		down.open = open
	}
}

func contains(list []int, n int) bool {
	for _, v := range list {
		if v == n {
			return true
		}
	}
	return false
}

func add(list []int, n int) []int {
	if contains(list, n) {
		return list
	}
	return append(list, n)
}

// accept is the bit of the place behind the last segment.
func (g *glob) accept() uint64 { return 1 << len(g.segments) }

// closure adds the places that are reached without a name, over ** segments.
func (g *glob) closure(at uint64) uint64 {
	for i, s := range g.segments {
		if s.any && at&(1<<i) != 0 {
			at |= 1 << (i + 1)
		}
	}
	return at
}

// step takes one name of a path.
func (g *glob) step(at uint64, name string) uint64 {
	var next uint64
	for ; at != 0; at &= at - 1 {
		i := bits.TrailingZeros64(at)
		if i == len(g.segments) {
			break
		}
		switch s := &g.segments[i]; {
		case s.any:
			next |= 1 << i
		case s.literal:
			if s.text == name {
				next |= 1 << (i + 1)
			}
		case s.suffix:
			if strings.HasSuffix(name, s.text) {
				next |= 1 << (i + 1)
			}
		case doublestar.MatchUnvalidated(s.text, name):
			next |= 1 << (i + 1)
		}
	}
	if next == 0 {
		return 0
	}
	return g.closure(next)
}

// special are the characters of a segment that do not stand for themselves;
// braces are gone by then.
const special = `*?[\`

func segmentsOf(pattern string) []segment {
	parts := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	out := make([]segment, len(parts))
	for i, p := range parts {
		out[i] = segment{text: p, any: p == "**", literal: !strings.ContainsAny(p, special)}
		if rest, ok := strings.CutPrefix(p, "*"); ok && !strings.ContainsAny(rest, special) {
			out[i].text, out[i].suffix = rest, true
		}
	}
	return out
}

// patternMistake says what is wrong with a path pattern, and what to do; both
// are "" if nothing is.
func patternMistake(pattern string) (msg, hint string) {
	if len(pattern) > maxText {
		return "is too long", ""
	}
	if !printable(pattern) {
		return "holds a control character", ""
	}
	if !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "**/") {
		return "must begin with / or **/", didYouMean("/" + strings.TrimPrefix(pattern, "./"))
	}
	if !doublestar.ValidatePattern(pattern) {
		return "is not a valid glob", `close every [ and {, and write \ before a character that is meant itself`
	}
	expanded, msg := expandBraces(pattern)
	if msg != "" {
		return msg, "write several patterns"
	}
	for _, text := range expanded {
		parts := strings.Split(strings.TrimPrefix(text, "/"), "/")
		if len(parts) > maxSegments {
			return "has too many slashes", ""
		}
		for i, p := range parts {
			switch {
			case p == "" && i == len(parts)-1:
				return "ends with a slash", didYouMean(strings.TrimRight(pattern, "/") + "/**")
			case p == "":
				return "has two slashes in a row", ""
			case p == "." || p == "..":
				return "can never match: paths in an image hold no " + p, ""
			case !doublestar.ValidatePattern(p):
				return "has a slash inside [ ]", "* ? and [ ] match within one name"
			}
		}
	}
	return "", ""
}

// expandBraces writes out the alternatives of a valid pattern.
func expandBraces(pattern string) (all []string, msg string) {
	open, end := braces(pattern)
	if open < 0 {
		return []string{pattern}, ""
	}
	inner := pattern[open+1 : end]
	if nested, _ := braces(inner); nested >= 0 {
		return nil, "has braces inside braces"
	}
	rest, msg := expandBraces(pattern[end+1:])
	if msg != "" {
		return nil, msg
	}
	choices := splitUnescaped(inner)
	if len(choices)*len(rest) > maxAlternatives {
		return nil, "stands for too many patterns"
	}
	for _, c := range choices {
		for _, r := range rest {
			all = append(all, pattern[:open]+c+r)
		}
	}
	return all, ""
}

// braces finds the first { of a pattern and the } that closes it, -1 if there
// is none.
func braces(pattern string) (open, end int) {
	open = -1
	depth, class := 0, false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '{':
			if depth++; depth == 1 {
				open = i
			}
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				return open, i
			}
		}
	}
	return -1, -1
}

func splitUnescaped(s string) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ',':
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}
