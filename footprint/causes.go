package footprint

import (
	"cmp"
	"slices"
)

// maxCauses bounds [Delta.Causes]: nobody reads on.
const maxCauses = 20

// causes explains a growth by paths and by waste, heaviest first. It uses the
// tree up.
func causes(root *node, d *Delta, old, new *Image) []Cause {
	c := causeFinder{delta: d, old: old, new: new, gains: map[int]Bytes{}, copied: map[string]bool{}, coarse: old.Files == nil || new.Files == nil}
	if d.replaced() {
		c.base = baseLayers(new)
	}
	for _, twice := range new.Duplicates {
		for _, p := range twice.Paths {
			c.copied[p] = twice.Dir
		}
	}
	for _, l := range d.Layers {
		if gain, _ := l.Unpacked(); l.New != nil && l.New.Index >= c.base && gain > 0 {
			c.gains[l.New.Index] = gain
		}
	}
	if d.replaced() {
		if bytes, known := d.Base.Unpacked(); known {
			c.otherBase(bytes, Unpacked)
		}
	}
	changes := c.packageChanges()
	gross := root.gross
	for _, p := range changes {
		gross += max(p.Bytes, -p.Bytes)
	}
	c.threshold = max(gross/200, 1)
	c.packages(changes)
	for _, n := range c.carve(root) {
		c.addPath(*n, label(n.path))
	}
	c.find(root, 0)
	c.waste()
	out := heaviestCauses(c.found, c.records)
	for i := range out {
		out[i].CopyOf = copyOf(&out[i], new.Duplicates)
	}
	return out
}

// heavierLayers explains a growth by whole layers, where none was read.
func heavierLayers(d *Delta) []Cause {
	if d.Has&HasCompressed == 0 {
		return nil
	}
	c := causeFinder{delta: d}
	if d.replaced() {
		if bytes, known := d.Base.Compressed(); known {
			c.base = d.Base.New.Metrics.Layers
			c.otherBase(bytes, Compressed)
		}
	}
	for _, l := range d.Layers {
		bytes, ok := l.Compressed()
		if !ok || l.New == nil || l.New.Index < c.base || bytes <= 0 {
			continue
		}
		c.found = append(c.found, Cause{Bytes: bytes, Metric: Compressed, Change: l.Change, Layer: l.New.Index})
	}
	return heaviestCauses(c.found, func(Cause) bool { return false })
}

// heaviestCauses sorts and cuts the list. Another base image is always told. What
// grew in no place in particular comes after what did in one, or not at all if it is
// little, and what a package manager writes down as it works comes last: it is not why.
func heaviestCauses(out []Cause, records func(Cause) bool) []Cause {
	var sum Bytes
	for _, c := range out {
		sum += c.Bytes
	}
	if len(out) > 1 {
		out = slices.DeleteFunc(out, func(c Cause) bool { return nowhere(c) && c.Bytes < sum/20 })
	}
	rank := func(c Cause) int {
		switch {
		case records(c):
			return 2
		case nowhere(c):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Bytes, a.Bytes), comparePaths(a.Path, b.Path), cmp.Compare(a.Fate, b.Fate), cmp.Compare(a.Layer, b.Layer))
	})
	if base := slices.IndexFunc(out, func(c Cause) bool { return c.Base }); base >= maxCauses {
		out[maxCauses-1] = out[base]
	}
	return out[:min(len(out), maxCauses)]
}

// nowhere tells whether a cause is the rest of the root: what grew in many places, or
// where the baseline does not list the directory.
func nowhere(c Cause) bool {
	return c.Path == "/" && c.Fate == ""
}

// records tells whether a cause is what package managers write down: the path is
// theirs, or most of what is known of the waste below it.
func (c *causeFinder) records(cause Cause) bool {
	if isRecord(cause.Path) || cause.Fate == "" {
		return isRecord(cause.Path)
	}
	var known, theirs Bytes
	for _, f := range c.new.DeadFiles {
		if f.By != cause.Layer || f.Fate != cause.Fate || !holds(cause.Path, f.Path) {
			continue
		}
		known += f.Bytes
		if isRecord(f.Path) {
			theirs += f.Bytes
		}
	}
	return theirs > known/2
}

// causeFinder looks for the paths and the waste that grew.
type causeFinder struct {
	delta    *Delta
	old, new *Image
	// threshold is the growth that is worth a line.
	threshold Bytes
	found     []Cause
	// base counts the layers that another base image brought, 0 if it is the
	// same one or unknown, and gains are by how much layers above it grew: on
	// another base all of them are built anew, with the same files mostly.
	base  int
	gains map[int]Bytes
	// copied are the directories of the new image that are there twice.
	copied map[string]bool
	// coarse is set where the files of an image are not known one by one.
	coarse bool
}

// otherBase adds the base image as a cause.
func (c *causeFinder) otherBase(bytes Bytes, metric Metric) {
	if bytes > 0 {
		c.found = append(c.found, Cause{Bytes: bytes, Base: true, Metric: metric, Change: Changed, Layer: -1})
	}
}

// carve cuts the outermost well-known directories that grew out of the tree, and
// new ones that are copies, however deep they are, so that nothing above counts
// them again.
func (c *causeFinder) carve(n *node) []*node {
	if n.dir && n.growth() >= c.threshold && (label(n.path) != "" || !n.inOld && c.copied[n.path]) {
		return []*node{n}
	}
	var cut []*node
	var kids []*node
	for _, k := range n.kids {
		below := c.carve(k)
		cut = append(cut, below...)
		if len(below) == 0 || below[0] != k {
			kids = append(kids, k)
		}
	}
	if len(cut) > 0 {
		*n = n.rest(cut)
		n.kids = kids
	}
	return cut
}

// anywhere is the depth down to which a directory is a place and no thing:
// what shrank in /opt says nothing about what grew in /usr.
const anywhere = 2

// find descends to the deepest paths that still explain the growth: as long as
// a few children make up most of it.
func (c *causeFinder) find(n *node, depth int) {
	var grown Bytes
	var heavy []*node
	for _, k := range n.kids {
		if k.growth() <= 0 {
			continue
		}
		grown += k.growth()
		if k.growth() >= c.threshold && (depth < anywhere || k.growth() >= n.growth()/16) {
			heavy = append(heavy, k)
		}
	}
	if depth >= anywhere {
		slices.SortStableFunc(heavy, func(a, b *node) int { return cmp.Compare(b.growth(), a.growth()) })
		heavy = heavy[:min(len(heavy), 6)]
		var sum Bytes
		for _, k := range heavy {
			sum += k.growth()
		}
		// Where about as much went as came, python3.11 became python3.12, and
		// only the difference is a cause.
		swapped := grown > n.growth()+n.growth()/2
		// A directory is one line unless a few things in it are nearly all, and
		// one that an instruction brought is the thing itself unless one of
		// them is all but all: a second JDK is no lib and jmods.
		switch {
		case swapped:
			heavy = c.apart(n, heavy)
		case sum < n.growth()-n.growth()/5 || len(heavy) > 0 && brought(n) && heavy[0].growth() < n.growth()-n.growth()/16:
			heavy = nil
		}
	}
	if rest := n.rest(heavy); rest.growth() >= c.threshold {
		c.addPath(rest, "")
	}
	for _, k := range heavy {
		c.find(k, depth+1)
	}
}

// apart are the new directories among others that shrank: no directory went that
// one of them may have come instead of.
func (c *causeFinder) apart(n *node, heavy []*node) []*node {
	if c.coarse || slices.ContainsFunc(n.kids, func(k *node) bool { return k.dir && !k.inNew }) {
		return nil
	}
	return slices.DeleteFunc(heavy, func(k *node) bool { return !k.dir || k.inOld })
}

// brought tells whether a directory is new, and of one layer.
func brought(n *node) bool { return !n.inOld && !n.layers.several() }

func (c *causeFinder) addPath(n node, name string) {
	change := Changed
	if !n.inOld {
		change = Added
	}
	bytes := n.growth()
	shares, sum := c.shares(n)
	if c.delta.replaced() && c.coarse {
		// The base may have brought the rest.
		if bytes = min(bytes, sum); bytes < c.threshold {
			return
		}
	}
	heaviest := shares.most()
	add := func(bytes Bytes, layer int, mostly bool) {
		c.found = append(c.found, Cause{
			Bytes: bytes, Metric: Unpacked, Label: name, Path: n.path,
			Change: change, Layer: layer, Mostly: mostly && layer >= 0, Strippable: c.strippable(n, bytes),
		})
	}
	switch {
	case len(shares) > 1 && sum == bytes:
		for _, l := range shares {
			if l.bytes >= c.threshold {
				add(l.bytes, l.layer, false)
			}
		}
	case heaviest >= 0 && shares.of(heaviest) > max(bytes, sum)/2:
		add(bytes, heaviest, len(shares) > 1)
	case !n.layers.several():
		add(bytes, n.layers.most(), false)
	case c.coarse || n.layers.of(n.layers.most()) <= n.layers.sum()/2:
		add(bytes, -1, false) // it may have been any of them
	default:
		add(bytes, n.layers.most(), true)
	}
}

// shares are what each layer brought of the growth of a path, and their sum: no
// more than it holds there now, and no more than it grew by as a whole. Where
// they add up to the growth that is what it brought, to the byte.
func (c *causeFinder) shares(n node) (shares layerSums, sum Bytes) {
	for _, l := range n.layers {
		if bytes := min(l.bytes, c.gains[l.layer]); bytes > 0 {
			shares.add(l.layer, bytes)
			sum += bytes
		}
	}
	return shares, sum
}

// waste adds what hides more than it did. The layers of the old image are
// known by their pairs in the new one, so that a new layer further down does
// not make all waste look new.
func (c *causeFinder) waste() {
	was := c.oldWaste()
	var grown []Cause
	for _, dead := range c.new.Dead {
		if dead.In < c.base {
			continue // it is shipped by the other base
		}
		key := hiding{dead.In, dead.By, dead.Fate}
		grew := dead.Bytes - was[key]
		if dead.Fate == Deleted {
			// What was shipped before, and seen, is no more bytes for being hidden.
			grew = min(grew, c.gains[dead.In])
		}
		cause := Cause{Bytes: grew, Metric: Unpacked, Path: c.mostOf(dead), Fate: dead.Fate, Change: Added, Layer: dead.By}
		if was[key] > 0 {
			cause.Change = Changed
		}
		delete(was, key)
		grown = append(grown, cause)
	}
	for _, cause := range mergeRewrites(grown) {
		if cause.Bytes >= c.threshold {
			cause.Label = label(cause.Path)
			c.found = append(c.found, cause)
		}
	}
}

// mostOf is the file that makes up most of some waste, else the directory that
// holds all of it; one that everyone knows says more than its files.
func (c *causeFinder) mostOf(dead Dead) string {
	if label(dead.Under) != "" {
		return dead.Under
	}
	for _, f := range c.new.DeadFiles { // heaviest first
		if f.In == dead.In && f.By == dead.By && f.Fate == dead.Fate {
			if f.Bytes > dead.Bytes-dead.Bytes/4 {
				return f.Path
			}
			break
		}
	}
	return dead.Under
}

// mergeRewrites makes one cause of everything that one layer wrote again: one
// chown -R is one line to change, however many layers it copies. What was
// deleted or replaced is left apart: there the layers that shipped it differ.
func mergeRewrites(all []Cause) []Cause {
	var out []Cause
	for _, cause := range all {
		at := slices.IndexFunc(out, func(o Cause) bool {
			return cause.Fate == Rewritten && o.Fate == Rewritten && o.Layer == cause.Layer && commonDir(o.Path, cause.Path) != "/"
		})
		if at < 0 {
			out = append(out, cause)
			continue
		}
		o := &out[at]
		o.Bytes += cause.Bytes
		o.Path = commonDir(o.Path, cause.Path)
		if cause.Change == Changed {
			o.Change = Changed
		}
	}
	return out
}

// hiding is one way in which bytes of one layer are hidden by another.
type hiding struct {
	in, by int
	fate   Fate
}

// oldWaste is the waste of the old image by layers of the new one; what was
// between layers that are gone is left out.
func (c *causeFinder) oldWaste() map[hiding]Bytes {
	newIndex := map[int]int{}
	for _, l := range c.delta.Layers {
		if l.Old != nil && l.New != nil {
			newIndex[l.Old.Index] = l.New.Index
		}
	}
	was := map[hiding]Bytes{}
	for _, dead := range c.old.Dead {
		in, ok := newIndex[dead.In]
		by, alsoOK := newIndex[dead.By]
		if ok && alsoOK {
			was[hiding{in, by, dead.Fate}] += dead.Bytes
		}
	}
	return was
}

// commonDir is the deepest directory that is or holds both.
func commonDir(a, b string) string {
	for a != b && !holds(a, b) {
		if a = parentDir(a); a == "" {
			return "/"
		}
	}
	return a
}
