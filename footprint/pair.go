package footprint

import (
	"regexp"
	"strings"
)

// Command is the instruction that made the layer, cleaned of what differs
// between two builds of the same Dockerfile and between the builders that
// recorded it: "RUN npm ci", "COPY . .", "ADD file in /". It is "" where the
// image does not say. It may hold any text but line breaks.
func (l Layer) Command() string {
	text := strings.Join(strings.Fields(l.CreatedBy), " ")
	text = strings.TrimSpace(strings.TrimSuffix(text, "# buildkit"))
	if rest, ok := cutNop(text); ok {
		return hashes.ReplaceAllString(rest, "$1 in")
	}
	// BuildKit records "RUN /bin/sh -c npm ci", the classic builder the same
	// without RUN.
	body, isRun := strings.CutPrefix(text, "RUN ")
	if rest, ok := cutShell(body); ok {
		return strings.TrimSpace("RUN " + rest)
	}
	if isRun || strings.HasPrefix(body, "|") {
		return strings.TrimSpace("RUN " + cutArgs(body))
	}
	return hashes.ReplaceAllString(text, "$1 in")
}

var (
	// hashes are the checksums of the classic builder: "COPY dir:4f1… in /app".
	hashes = regexp.MustCompile(`\b(file|dir|multi):[0-9a-f]{16,} in\b`)
	// shell is the shell that runs a command, after the build arguments
	// "|2 A=1 B=two words", whose values may hold anything.
	shell = regexp.MustCompile(`^(?:\|[0-9]+ .*? )?(?:/(?:usr/)?bin/(?:ba|da|a|z)?sh (?:-[a-z]+ (?:pipefail )?)*?-[a-z]*c|cmd /S /C)(?: |$)`)
	nop   = regexp.MustCompile(`^(?:\|[0-9]+ .*? )?/bin/sh -c #\(nop\) ?`)
	args  = regexp.MustCompile(`^\|[0-9]+ (?:[A-Za-z_][A-Za-z0-9_]*=\S* )*`)
)

func cutNop(text string) (string, bool) {
	if at := nop.FindStringIndex(text); at != nil {
		return strings.TrimSpace(text[at[1]:]), true
	}
	return text, false
}

func cutShell(text string) (string, bool) {
	if at := shell.FindStringIndex(text); at != nil {
		return text[at[1]:], true
	}
	return text, false
}

func cutArgs(text string) string {
	if at := args.FindStringIndex(text + " "); at != nil {
		return text[min(at[1], len(text)):]
	}
	return text
}

// pairLayers finds out which layer of the new image is which of the old one.
// Equal layers come first: they are facts, and hold the rest in place. What
// lies between two of them is paired by what made it. An index says nothing:
// one new line in a Dockerfile moves all that follow.
func pairLayers(old, new []Layer) []LayerChange {
	p := pairing{old: old, new: new, ofOld: unpaired(len(old)), ofNew: unpaired(len(new))}
	p.pairEqual()
	anchors := p.anchors()
	p.pairMoved()
	i, j := 0, 0
	for _, a := range append(anchors, [2]int{len(old), len(new)}) {
		p.pairMade(i, a[0], j, a[1])
		i, j = a[0]+1, a[1]+1
	}
	return p.changes()
}

// pairing maps the layers of both images to each other; -1 is none.
type pairing struct {
	old, new     []Layer
	ofOld, ofNew []int
	// moved marks the new layers whose pair does not keep the order.
	moved map[int]bool
}

func unpaired(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = -1
	}
	return out
}

func (p *pairing) join(i, j int) { p.ofOld[i], p.ofNew[j] = j, i }

func (p *pairing) same(i, j int) bool {
	return p.old[i].DiffID != "" && p.old[i].DiffID == p.new[j].DiffID
}

// pairEqual pairs a longest common subsequence of equal layers.
func (p *pairing) pairEqual() {
	start, oldEnd, newEnd := 0, len(p.old), len(p.new)
	for start < oldEnd && start < newEnd && p.same(start, start) {
		p.join(start, start)
		start++
	}
	for oldEnd > start && newEnd > start && p.same(oldEnd-1, newEnd-1) {
		oldEnd, newEnd = oldEnd-1, newEnd-1
		p.join(oldEnd, newEnd)
	}
	for _, m := range align(oldEnd-start, newEnd-start, func(i, j int) int {
		if p.same(start+i, start+j) {
			return 1
		}
		return 0
	}) {
		p.join(start+m[0], start+m[1])
	}
}

// anchors lists the pairs so far, which are in order in both images.
func (p *pairing) anchors() [][2]int {
	var out [][2]int
	for j, i := range p.ofNew {
		if i >= 0 {
			out = append(out, [2]int{i, j})
		}
	}
	return out
}

// pairMoved pairs equal layers that changed their place.
func (p *pairing) pairMoved() {
	p.moved = map[int]bool{}
	free := map[string][]int{}
	for i, l := range p.old {
		if p.ofOld[i] < 0 && l.DiffID != "" {
			free[l.DiffID] = append(free[l.DiffID], i)
		}
	}
	for j, l := range p.new {
		if same := free[l.DiffID]; p.ofNew[j] < 0 && len(same) > 0 {
			p.join(same[0], j)
			p.moved[j] = true
			free[l.DiffID] = same[1:]
		}
	}
}

// pairMade pairs the layers of one gap by what made them.
func (p *pairing) pairMade(i, oldEnd, j, newEnd int) {
	var olds, news []int
	for ; i < oldEnd; i++ {
		if p.ofOld[i] < 0 {
			olds = append(olds, i)
		}
	}
	for ; j < newEnd; j++ {
		if p.ofNew[j] < 0 {
			news = append(news, j)
		}
	}
	oldMade, newMade := makers(p.old, olds), makers(p.new, news)
	for _, m := range align(len(olds), len(news), func(a, b int) int { return oldMade[a].like(newMade[b]) }) {
		p.join(olds[m[0]], news[m[1]])
	}
}

// maker is what is known about how a layer came to be.
type maker struct {
	command string
	origin  *Origin
}

func makers(layers []Layer, which []int) []maker {
	out := make([]maker, len(which))
	for n, i := range which {
		out[n] = maker{layers[i].Command(), layers[i].Origin}
	}
	return out
}

// like weighs how surely two layers were made by the same instruction; 0 is
// not at all. The command is the better witness: a line above moves the place.
func (m maker) like(o maker) int {
	weight := 0
	if m.command != "" && m.command == o.command {
		weight += 3
	}
	if m.origin != nil && o.origin != nil {
		if m.origin.File != o.origin.File || m.origin.Stage != o.origin.Stage {
			return 0
		}
		if m.origin.Start == o.origin.Start {
			weight += 2
		}
	}
	return weight
}

// maxAlign bounds the work of one exact alignment: 2,000 layers on each side.
const maxAlign = 4 << 20

// align pairs 0…n-1 with 0…m-1, in order on both sides, so that the weights
// add up to the most. Pairs of weight 0 are never made.
func align(n, m int, weight func(i, j int) int) [][2]int {
	if n == 0 || m == 0 {
		return nil
	}
	if n > maxAlign/m {
		return alignGreedily(n, m, weight)
	}
	best := make([]int32, (n+1)*(m+1))
	at := func(i, j int) int { return i*(m+1) + j }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			v := max(best[at(i+1, j)], best[at(i, j+1)])
			if w := weight(i, j); w > 0 {
				v = max(v, best[at(i+1, j+1)]+int32(w))
			}
			best[at(i, j)] = v
		}
	}
	var pairs [][2]int
	for i, j := 0, 0; i < n && j < m; {
		w := weight(i, j)
		switch {
		case w > 0 && best[at(i, j)] == best[at(i+1, j+1)]+int32(w):
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case best[at(i+1, j)] >= best[at(i, j+1)]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// alignGreedily is for images of thousands of layers, which no builder makes:
// each takes the next that fits, a few steps ahead.
func alignGreedily(n, m int, weight func(i, j int) int) [][2]int {
	const ahead = 256
	var pairs [][2]int
	i := 0
	for j := range m {
		for k := i; k < n && k < i+ahead; k++ {
			if weight(k, j) > 0 {
				pairs = append(pairs, [2]int{k, j})
				i = k + 1
				break
			}
		}
	}
	return pairs
}

// changes lists the pairs in order of the new image; a removed layer comes
// before what stands in its place now.
func (p *pairing) changes() []LayerChange {
	var out []LayerChange
	i := 0
	removed := func(end int) {
		for ; i < end; i++ {
			if p.ofOld[i] < 0 {
				out = append(out, LayerChange{Change: Removed, Old: &p.old[i]})
			}
		}
	}
	for j := range p.new {
		k := p.ofNew[j]
		switch {
		case k < 0:
			// The removed layers of this gap come first.
			removed(p.nextAnchor(j))
			out = append(out, LayerChange{Change: Added, New: &p.new[j]})
			continue
		case !p.moved[j]:
			removed(k)
			i = max(i, k+1)
		}
		change := Changed
		if p.same(k, j) {
			change = Same
		}
		out = append(out, LayerChange{Change: change, Moved: p.moved[j], Old: &p.old[k], New: &p.new[j]})
	}
	removed(len(p.old))
	return out
}

// nextAnchor is the old index of the next pair at or after j that keeps the
// order, or the end.
func (p *pairing) nextAnchor(j int) int {
	for ; j < len(p.new); j++ {
		if p.ofNew[j] >= 0 && !p.moved[j] {
			return p.ofNew[j]
		}
	}
	return len(p.old)
}
