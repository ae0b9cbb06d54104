package dockerfile

import (
	"slices"

	"github.com/org/image-budget/footprint"
)

// maxCells bounds the work of one alignment, in pairs of an instruction and a
// layer: 127 layers, the most that engines mount, and 33,000 instructions.
const maxCells = 4 << 20

// Attribute says which lines made each layer of an image that was built from
// the target stage ("" for the last, else a name or number) with these build
// arguments. The answer has one entry for each of layers, nil for those of the
// base, which are the first baseLayers, and for those that cannot be told.
//
// It compares the history that builders write into an image with what they
// would write for each instruction, and keeps the order of both. A layer that
// two places could have made has no origin. Where the image is not likely to
// be built from this file at all, no layer has one. What the triggers of a
// base image made (ONBUILD) has the line of FROM as its origin. Exact is false
// in all of them.
//
// An image of thousands of layers from a file of thousands of instructions is
// not looked at; no engine could run it.
func (f *File) Attribute(target string, layers []footprint.Layer, baseLayers int, args map[string]string) []*footprint.Origin {
	out := make([]*footprint.Origin, len(layers))
	f = f.Resolve(args)
	stage, err := f.Target(target)
	if err != nil {
		return out
	}
	baseLayers = min(max(baseLayers, 0), len(layers))
	w := f.expectations(stage, args)
	own := layers[baseLayers:]
	if len(own) == 0 || len(w.found) == 0 || len(own) > maxCells/len(w.found) {
		return out
	}
	a := newAlignment(w, own)
	a.solve()
	if !a.plausible() {
		return out
	}
	a.accept()
	root := f.chain(stage)[0]
	// Below the first layer that is known there may be a base whose end nobody
	// has told, and whose layers are as silent.
	a.fillGaps(baseLayers > 0 || root.Base == "scratch")
	if baseLayers > 0 && root.Base != "scratch" {
		a.fillTriggers(footprint.Origin{File: f.Name, Stage: root.label(), Start: root.Start, End: root.fromEnd})
	}
	for j, o := range a.origins {
		if o != nil {
			copied := *o
			out[baseLayers+j] = &copied
		}
	}
	return out
}

// alignment pairs the instructions of a chain with layers, in the order of
// both.
type alignment struct {
	want []expected
	have []made
	// weights has a row for each instruction.
	weights [][]int8
	// head[i][j] is the best sum for the first i instructions and j layers,
	// tail[i][j] that for all from i and j on.
	head, tail [][]int32
	// origins is the answer, instruction what it comes from, -1 for none.
	origins     []*footprint.Origin
	instruction []int
}

func newAlignment(w *walk, layers []footprint.Layer) *alignment {
	a := &alignment{
		want: w.found, have: make([]made, len(layers)),
		weights: grid[int8](len(w.found), len(layers)),
		origins: make([]*footprint.Origin, len(layers)), instruction: make([]int, len(layers)),
	}
	for j, l := range layers {
		a.have[j] = readHistory(l.CreatedBy, w.shells)
		a.instruction[j] = -1
	}
	for i := range a.want {
		for j := range a.have {
			a.weights[i][j] = int8(a.want[i].weight(&a.have[j]))
		}
	}
	return a
}

func grid[T any](rows, columns int) [][]T {
	cells := make([]T, rows*columns)
	out := make([][]T, rows)
	for i := range out {
		out[i] = cells[i*columns : (i+1)*columns]
	}
	return out
}

// solve finds the sum of the best alignment of each beginning and each end.
func (a *alignment) solve() {
	n, m := len(a.want), len(a.have)
	a.head, a.tail = grid[int32](n+1, m+1), grid[int32](n+1, m+1)
	for i := range n {
		for j := range m {
			best := max(a.head[i][j+1], a.head[i+1][j])
			if w := a.weights[i][j]; w > 0 {
				best = max(best, a.head[i][j]+int32(w))
			}
			a.head[i+1][j+1] = best
		}
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			best := max(a.tail[i][j+1], a.tail[i+1][j])
			if w := a.weights[i][j]; w > 0 {
				best = max(best, a.tail[i+1][j+1]+int32(w))
			}
			a.tail[i][j] = best
		}
	}
}

// best tells whether a best alignment pairs an instruction with a layer.
func (a *alignment) best(i, j int) bool {
	w := a.weights[i][j]
	return w > 0 && a.head[i][j]+int32(w)+a.tail[i+1][j+1] == a.tail[0][0]
}

// spare tells whether a best alignment leaves a layer out.
func (a *alignment) spare(j int) bool {
	for i := range a.head {
		if a.head[i][j]+a.tail[i][j+1] == a.tail[0][0] {
			return true
		}
	}
	return false
}

// plausible tells whether the image was built from this file, layer by layer:
// at least half of the instructions that always make a layer are found, and
// they made more than half of the layers. Layers before the first instruction
// do not count: there may be a base whose end nobody knows, or the work of its
// triggers. A RUN that changes nothing leaves no layer with some builders, so
// any number of them may be missing if the rest explains every layer.
//
// A single layer of several instructions is the work of all of them, whichever
// its history names.
func (a *alignment) plausible() bool {
	var s share
	for i := range a.want {
		if a.want[i].always {
			s.always++
		}
		if a.want[i].always && a.want[i].keyword != "RUN" {
			s.copies++
		}
	}
	for i, j := 0, 0; i < len(a.want) && j < len(a.have); {
		switch w := a.weights[i][j]; {
		case w > 0 && a.tail[i][j] == a.tail[i+1][j+1]+int32(w):
			s.count(a, i, j)
			i, j = i+1, j+1
		case a.tail[i][j] == a.tail[i+1][j]:
			i++
		default:
			j++
		}
	}
	switch {
	case len(a.have) == 1 && s.always > 1, s.paired == 0:
		return false
	case s.paired == len(a.have) && s.found > s.foundCopies && s.foundCopies == s.copies:
		return true
	}
	return 2*s.found >= s.always && 2*s.paired > len(a.have)-s.before
}

// share counts what one best alignment explains.
type share struct {
	// always counts the instructions that always make a layer, copies those
	// of them that are no RUN; found and foundCopies those that are paired.
	always, copies, found, foundCopies int
	// paired counts the layers that are paired, before those that come before
	// the first instruction of all.
	paired, before int
}

func (s *share) count(a *alignment, i, j int) {
	if a.weights[i][j] <= weakly {
		return
	}
	if s.paired++; s.paired == 1 && !slices.ContainsFunc(a.want[:i], func(e expected) bool { return e.always }) {
		s.before = j
	}
	if a.want[i].always {
		s.found++
		if a.want[i].keyword != "RUN" {
			s.foundCopies++
		}
	}
}

// accept takes the pairs that all best alignments have, or that differ in
// nothing that is told.
func (a *alignment) accept() {
	for j := range a.have {
		if a.spare(j) {
			continue
		}
		last, certain := -1, true
		for i := range a.want {
			if !a.best(i, j) {
				continue
			}
			if last >= 0 && a.want[i].origin != a.want[last].origin {
				certain = false
				break
			}
			last = i
		}
		if certain && last >= 0 {
			a.origins[j], a.instruction[j] = &a.want[last].origin, last
		}
	}
}

// fillGaps goes by order alone where nothing speaks against it: between two
// layers that are known there are as many unknown as instructions that make
// one, and what history says of them fits no other instruction. first tells
// whether the first layer is the first of the file.
func (a *alignment) fillGaps(first bool) {
	from, start := 0, 0
	for j := 0; j <= len(a.have); j++ {
		if j < len(a.have) && a.instruction[j] < 0 {
			continue
		}
		to := len(a.want)
		if j < len(a.have) {
			to = a.instruction[j]
		}
		if start > 0 || first {
			a.fillGap(from, to, start, j)
		}
		from, start = to+1, j+1
	}
}

func (a *alignment) fillGap(from, to, start, end int) {
	var free []int
	for i := from; i < to; i++ {
		if a.want[i].always {
			free = append(free, i)
		}
	}
	if len(free) != end-start {
		return
	}
	for n, i := range free {
		if !a.silent(i, start+n) {
			return
		}
	}
	for n, i := range free {
		a.origins[start+n], a.instruction[start+n] = &a.want[i].origin, i
	}
}

// silent tells whether the history of a layer says nothing of what made it, or
// no more than the kind of instruction, and so does not contradict.
func (a *alignment) silent(i, j int) bool {
	for k := range a.want {
		if a.weights[k][j] > 0 {
			return false
		}
	}
	for k := range a.have {
		if a.weights[i][k] > 0 {
			return false
		}
	}
	m := &a.have[j]
	return m.line == "" && (m.keyword == "" || m.keyword == a.want[i].keyword)
}

// fillTriggers gives the layers right above the base to FROM, if they come
// before all that the file itself makes: only triggers can have made them.
func (a *alignment) fillTriggers(from footprint.Origin) {
	first := 0
	for first < len(a.have) && a.instruction[first] < 0 {
		for i := range a.want {
			if a.weights[i][first] > 0 {
				return
			}
		}
		first++
	}
	if first == len(a.have) {
		return
	}
	for i := range a.instruction[first] {
		if a.want[i].always {
			return
		}
	}
	for j := range first {
		a.origins[j] = &from
	}
}
