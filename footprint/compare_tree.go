package footprint

import (
	"cmp"
	"iter"
	"slices"
)

// keepNodes bounds the changed paths that a comparison remembers. They are the
// heaviest, so what is lost is far below anything that is printed.
const keepNodes = 2048

// node is a file or directory in two trees. Its sums hold everything below a
// directory, in kids or not.
type node struct {
	path     string
	dir      bool
	old, new Bytes
	// gross adds up the changes below without their signs: how much there is
	// to explain. It is never less than that of a kid.
	gross Bytes
	// changed counts the regular files that came, went or changed.
	changed            int
	oldFiles, newFiles int
	inOld, inNew       bool
	// listedOld and listedNew tell that a roll-up lists the directory.
	listedOld, listedNew bool
	// strip is by how much debug sections and symbol tables grew in what changed.
	strip Bytes
	// layers sums the new content by the layer that brought it.
	layers layerSums
	// kids are those that are remembered, in path order.
	kids []*node
}

func (n *node) growth() Bytes { return n.new - n.old }

func (n *node) change() Change {
	switch {
	case !n.inOld:
		return Added
	case !n.inNew:
		return Removed
	}
	return Changed
}

// rest is what of n is in none of the kids.
func (n *node) rest(kids []*node) node {
	r := *n
	r.kids, r.layers = nil, slices.Clone(n.layers)
	for _, k := range kids {
		r.old -= k.old
		r.new -= k.new
		r.gross -= k.gross
		r.changed -= k.changed
		r.strip -= k.strip
		r.oldFiles -= k.oldFiles
		r.newFiles -= k.newFiles
		for _, l := range k.layers {
			r.layers.add(l.layer, -l.bytes)
		}
	}
	return r
}

// layerSums are bytes by layer. Few layers share a directory, so a list is
// smaller than a map and as fast.
type layerSums []layerBytes

type layerBytes struct {
	layer int
	bytes Bytes
}

func (s *layerSums) add(layer int, bytes Bytes) {
	for i := range *s {
		if (*s)[i].layer == layer {
			(*s)[i].bytes += bytes
			return
		}
	}
	*s = append(*s, layerBytes{layer, bytes})
}

// of is how many bytes a layer has.
func (s layerSums) of(layer int) Bytes {
	for _, l := range s {
		if l.layer == layer {
			return l.bytes
		}
	}
	return 0
}

// sum is that of all layers.
func (s layerSums) sum() Bytes {
	var sum Bytes
	for _, l := range s {
		sum += max(0, l.bytes)
	}
	return sum
}

// several tells whether more than one layer has bytes.
func (s layerSums) several() bool {
	most := s.most()
	return slices.ContainsFunc(s, func(l layerBytes) bool { return l.bytes > 0 && l.layer != most })
}

// most is the layer with the most bytes, the uppermost of equals, or -1.
func (s layerSums) most() int {
	best := layerBytes{layer: -1}
	for _, l := range s {
		if l.bytes > best.bytes || l.bytes == best.bytes && l.bytes > 0 && l.layer > best.layer {
			best = l
		}
	}
	return best.layer
}

// diffTree walks two filesystems side by side and returns the root of what
// changed. Either may be nil, for an empty one. Directories in pinned are kept
// in the result, whatever they weigh. Memory does not grow with the trees.
func diffTree(old, new iter.Seq[File], pinned map[string]bool) *node {
	b := treeBuilder{pinned: pinned}
	b.push("/")
	sideBySide(old, new, b.add)
	return b.finish()
}

// sideBySide walks two filesystems in path order and visits every path once;
// the zero File is none. Either may be nil, for an empty one.
func sideBySide(old, new iter.Seq[File], visit func(path string, old, new File)) {
	next, stop := func() (File, bool) { return File{}, false }, func() {}
	if old != nil {
		next, stop = iter.Pull(old)
	}
	defer stop()
	before, ok := next()
	if new != nil {
		for after := range new {
			order := 1
			for ok {
				if order = comparePaths(before.Path, after.Path); order >= 0 {
					break
				}
				visit(before.Path, before, File{})
				before, ok = next()
			}
			if ok && order == 0 {
				visit(after.Path, before, after)
				before, ok = next()
				continue
			}
			visit(after.Path, File{}, after)
		}
	}
	for ; ok; before, ok = next() {
		visit(before.Path, before, File{})
	}
}

// treeBuilder sums up open directories, which are those above the current
// path, and keeps the heaviest of everything that was closed.
type treeBuilder struct {
	pinned map[string]bool
	open   []*node
	closed []*node
	pins   []*node
}

func (b *treeBuilder) push(path string) {
	b.open = append(b.open, &node{path: path, dir: true})
}

func (b *treeBuilder) top() *node { return b.open[len(b.open)-1] }

// add takes one path; the zero File is none.
func (b *treeBuilder) add(path string, old, new File) {
	if path == "/" || path == "" {
		return
	}
	for len(b.open) > 1 && !holds(b.top().path, path) {
		b.close()
	}
	for _, dir := range missingDirs(b.top().path, path) {
		b.push(dir)
	}
	if old.Kind == Directory || new.Kind == Directory {
		// A file that became a directory is counted in the directory.
		b.push(path)
		b.top().count(old, new)
		return
	}
	before := b.top().gross
	b.top().count(old, new)
	if b.top().gross > before {
		n := &node{path: path}
		n.count(old, new)
		b.keep(n)
	}
}

// count adds one file to its own node or to that of its directory.
func (n *node) count(old, new File) {
	n.inOld = n.inOld || old.Kind != 0
	n.inNew = n.inNew || new.Kind != 0
	wasFile, isFile := old.Kind == Regular, new.Kind == Regular
	if wasFile {
		n.old += old.Size
		n.oldFiles++
	} else {
		old.Size = 0
	}
	if isFile {
		n.new += new.Size
		n.newFiles++
	} else {
		new.Size = 0
	}
	if wasFile == isFile && (!isFile || old.Size == new.Size && old.Hash == new.Hash) {
		return
	}
	n.changed++
	n.gross += max(new.Size-old.Size, old.Size-new.Size)
	n.strip += new.Debug + new.Symbols - old.Debug - old.Symbols
	if isFile && new.Size > 0 {
		n.layers.add(new.Made, new.Size)
	}
}

// take adds a closed child to the sums of its directory.
func (n *node) take(child *node) {
	n.old += child.old
	n.new += child.new
	n.gross += child.gross
	n.changed += child.changed
	n.strip += child.strip
	n.oldFiles += child.oldFiles
	n.newFiles += child.newFiles
	n.inOld = n.inOld || child.inOld
	n.inNew = n.inNew || child.inNew
	for _, l := range child.layers {
		n.layers.add(l.layer, l.bytes)
	}
}

func (b *treeBuilder) close() {
	n := b.top()
	b.open = b.open[:len(b.open)-1]
	b.top().take(n)
	switch {
	case b.pinned[n.path]:
		b.pins = append(b.pins, n)
	case n.gross > 0:
		b.keep(n)
	}
}

func (b *treeBuilder) keep(n *node) {
	b.closed = append(b.closed, n)
	if len(b.closed) >= 4*keepNodes {
		b.prune()
	}
}

// prune keeps the heaviest nodes. A directory is at least as heavy as what is
// below it and comes first among equals, so its place in the tree is kept.
func (b *treeBuilder) prune() {
	slices.SortFunc(b.closed, func(x, y *node) int {
		return cmp.Or(cmp.Compare(y.gross, x.gross), comparePaths(x.path, y.path))
	})
	if len(b.closed) > keepNodes {
		clear(b.closed[keepNodes:])
		b.closed = b.closed[:keepNodes]
	}
}

func (b *treeBuilder) finish() *node {
	for len(b.open) > 1 {
		b.close()
	}
	b.prune()
	root := b.top()
	link(root, append(b.closed, b.pins...))
	return root
}

// link hangs the nodes below root, each under the deepest directory above it.
func link(root *node, nodes []*node) {
	slices.SortFunc(nodes, func(x, y *node) int {
		// A file that became a directory without an entry of its own.
		return cmp.Or(comparePaths(x.path, y.path), boolInt(x.dir)-boolInt(y.dir))
	})
	above := []*node{root}
	for _, n := range nodes {
		for len(above) > 1 && !(above[len(above)-1].dir && holds(above[len(above)-1].path, n.path)) {
			above = above[:len(above)-1]
		}
		parent := above[len(above)-1]
		parent.kids = append(parent.kids, n)
		above = append(above, n)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
