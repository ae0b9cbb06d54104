package report

import (
	"iter"
	"math/bits"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/escape"
)

// maxHTMLFiles is how many files and directories a page holds, those of all its
// images together. A browser takes some hundred bytes of memory for each.
const maxHTMLFiles = 300_000

// maxHTMLName is how many bytes of the name of one file a page holds. No
// filesystem of Linux has longer ones, but an archive may.
const maxHTMLName = 255

// maxHTMLDepth is how long the path of a directory may be, in bytes, for a changed
// one above it to be found. It is the limit of Linux.
const maxHTMLDepth = 4096

// What happened to a file since the baseline, as the page has it.
const (
	htmlSame = iota
	htmlNew
	htmlGrown
	htmlShrunk
	htmlRewritten // other bytes, the same size
	htmlMixed     // somewhere in a directory that changed
)

// htmlTree is a tree of files in columns: a file in JSON objects of its own would
// take ten times the room. All lists of numbers but Sizes and Old are pairs.
type htmlTree struct {
	// Names are those of all nodes but the root, every directory followed by what
	// is in it, joined by "/", which no name holds. An empty name is a leaf that
	// stands for several files, and Counts says for how many, in the same order.
	Names  string `json:"names"`
	Counts []int  `json:"counts"`
	// Dirs are the directories, the root first: how many nodes there are between
	// it and the one before, and how many nodes are right in it.
	Dirs []int `json:"dirs"`
	// Sizes are those of the leaves in bytes, and Old those in the baseline,
	// nil in a tree that compares nothing.
	Sizes []footprint.Bytes `json:"sizes"`
	Old   []footprint.Bytes `json:"old,omitempty"`
	// Owners, Layers and Changes are runs over the leaves: a value, and for how
	// many leaves it holds. nil is not known.
	Owners  []int `json:"owners,omitempty"`
	Layers  []int `json:"layers,omitempty"`
	Changes []int `json:"changes,omitempty"`

	// summed counts the files that have no leaf of their own because they are
	// smaller than threshold.
	summed    int
	threshold footprint.Bytes
	// byLayer and byChange sum the sizes of all files.
	byLayer, byChange map[int]footprint.Bytes
}

// treeLeaf is what is known of one file, or of the heaviest of several.
type treeLeaf struct {
	size, old            footprint.Bytes
	owner, layer, change int
}

// weight orders nodes: what a change is about may be gone.
func (l treeLeaf) weight() footprint.Bytes { return max(abs(l.size), abs(l.old)) }

type treeNode struct {
	name   string
	parent int
	dir    bool
	files  int
	// best is the heaviest leaf in it, with the sizes of all of them.
	best treeLeaf
	// most is the weight of that one alone.
	most footprint.Bytes
}

// treeBuilder takes files in path order and makes the directories above them.
type treeBuilder struct {
	nodes []treeNode
	open  []int // the root and the directories that lead to the last file
}

// newTreeBuilder makes room for about n files: growing step by step would take
// twice the memory.
func newTreeBuilder(n int) *treeBuilder {
	nodes := make([]treeNode, 1, 1+max(0, min(n+n/8, 1<<22)))
	nodes[0] = treeNode{parent: -1, dir: true}
	return &treeBuilder{nodes: nodes, open: []int{0}}
}

// add puts a leaf into a directory; an empty name stands for several files.
func (b *treeBuilder) add(dir, name string, files int, l treeLeaf) {
	depth := 0
	for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if part == "" {
			continue
		}
		depth++
		if depth < len(b.open) && b.nodes[b.open[depth]].name == part {
			continue
		}
		b.open = append(b.open[:depth], len(b.nodes))
		b.nodes = append(b.nodes, treeNode{name: strings.Clone(part), parent: b.open[depth-1], dir: true})
	}
	b.open = b.open[:depth+1]
	b.nodes = append(b.nodes, treeNode{name: strings.Clone(name), parent: b.open[depth], files: files, best: l, most: l.weight()})
}

// tree writes the columns with at most limit nodes that stand for one file or
// directory. The smallest are summed in their directory.
func (b *treeBuilder) tree(limit int, comparing bool) *htmlTree {
	nodes := b.nodes
	for i := len(nodes) - 1; i > 0; i-- {
		n, up := &nodes[i], &nodes[nodes[i].parent]
		size, old := up.best.size+n.best.size, up.best.old+n.best.old
		if up.files == 0 || n.most > up.most {
			up.best, up.most = n.best, n.most
		}
		up.best.size, up.best.old = size, old
		up.files += n.files
	}
	t := &htmlTree{Dirs: []int{}, Sizes: []footprint.Bytes{}, Counts: []int{}, threshold: foldBelow(nodes, limit)}
	kept := func(i int) bool { return i == 0 || nodes[i].best.weight() >= t.threshold }
	children := make([]int, len(nodes))
	rest := map[int]*treeNode{}
	for i := 1; i < len(nodes); i++ {
		up := nodes[i].parent
		switch {
		case kept(i):
			children[up]++
		case kept(up):
			r := rest[up]
			if r == nil {
				r = &treeNode{}
				rest[up] = r
				children[up]++
			}
			size, old := r.best.size+nodes[i].best.size, r.best.old+nodes[i].best.old
			if r.files == 0 || nodes[i].most > r.most {
				r.best, r.most = nodes[i].best, nodes[i].most
			}
			r.best.size, r.best.old = size, old
			r.files += nodes[i].files
			t.summed += nodes[i].files
		}
	}
	var names strings.Builder
	written, last := 0, 0
	name := func(s string) {
		if written > 0 {
			names.WriteByte('/')
		}
		names.WriteString(s)
		written++
	}
	write := func(n *treeNode) {
		t.Sizes = append(t.Sizes, n.best.size)
		if comparing {
			t.Old = append(t.Old, n.best.old)
		}
		t.Owners, t.Layers, t.Changes = addRun(t.Owners, n.best.owner), addRun(t.Layers, n.best.layer), addRun(t.Changes, n.best.change)
		if n.name == "" {
			t.Counts = append(t.Counts, n.files)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		if !kept(i) {
			continue
		}
		if i > 0 {
			name(htmlName(n.name))
		}
		if !n.dir {
			write(n)
			continue
		}
		t.Dirs = append(t.Dirs, written-last, children[i])
		last = written
		if r := rest[i]; r != nil {
			name("")
			write(r)
		}
	}
	t.Names = names.String()
	return t
}

// htmlName is a name as the page shows it, without the "/" that separates names.
func htmlName(s string) string {
	s = escape.Line(strings.ReplaceAll(s, "/", ""))
	if len(s) > maxHTMLName {
		s = cutRune(s, maxHTMLName) + "…"
	}
	return s
}

// addRun adds a value to a list of runs.
func addRun(runs []int, value int) []int {
	if n := len(runs); n > 0 && runs[n-2] == value {
		runs[n-1]++
		return runs
	}
	return append(runs, value, 1)
}

// foldBelow is the smallest power of two for which no more than limit nodes weigh
// as much, 0 if all nodes fit. A directory weighs at least as much as what is in
// it, so that whatever is kept has its directory.
func foldBelow(nodes []treeNode, limit int) footprint.Bytes {
	if len(nodes) <= limit {
		return 0
	}
	var weighing [65]int
	for i := range nodes {
		weighing[bits.Len64(uint64(nodes[i].best.weight()))]++
	}
	sum, k := 0, 64
	for k > 1 && sum+weighing[k] <= limit {
		sum += weighing[k]
		k--
	}
	return footprint.Bytes(1) << min(k, 62)
}

// fileTree holds the final filesystem. Without files it is that of the listed
// directories, and false.
func (img *Image) fileTree(limit int) (*htmlTree, bool) {
	head := img.Head
	byLayer, byChange := map[int]footprint.Bytes{}, map[int]footprint.Bytes{}
	if head.Files == nil {
		b := newTreeBuilder(len(head.Dirs))
		for _, d := range slices.SortedFunc(slices.Values(head.Dirs), func(a, b footprint.Dir) int { return comparePaths(a.Path, b.Path) }) {
			b.add(d.Path, "", d.Files, treeLeaf{size: d.Bytes})
		}
		t := b.tree(limit, false)
		t.Owners, t.Layers, t.Changes = nil, nil, nil
		return t, false
	}
	b := newTreeBuilder(head.Metrics.Files)
	changes, stop := img.changeOfFiles()
	defer stop()
	for f := range head.Files {
		if f.Kind != footprint.Regular {
			continue
		}
		at := strings.LastIndexByte(f.Path, '/')
		l := treeLeaf{size: f.Size, owner: int(f.Owner), layer: f.Layer}
		if changes != nil {
			l.change = changes(&f)
		}
		byLayer[l.layer] += l.size
		byChange[l.change] += l.size
		b.add(f.Path[:max(at, 0)], f.Path[at+1:], 1, l)
	}
	t := b.tree(limit, false)
	t.byLayer, t.byChange = byLayer, byChange
	if head.Rest == nil {
		t.Owners = nil
	}
	if changes == nil {
		t.Changes = nil
	}
	return t, true
}

// changeOfFiles returns a function that says of each file, in path order, what
// happened to it, and one to call at the end; nil where nothing is known. Where the
// files of the baseline are not there, the changed paths tell.
func (img *Image) changeOfFiles() (change func(*footprint.File) int, stop func()) {
	if img.Delta == nil || img.Delta.Has&footprint.HasFiles == 0 || img.Base == nil {
		return nil, func() {}
	}
	if img.Base.Files == nil {
		return changeByPath(img.Delta.Paths), func() {}
	}
	next, stop := iter.Pull(img.Base.Files)
	before, more := next()
	return func(f *footprint.File) int {
		for more && (before.Kind != footprint.Regular || comparePaths(before.Path, f.Path) < 0) {
			before, more = next()
		}
		switch {
		case !more || before.Path != f.Path:
			return htmlNew
		case f.Size > before.Size:
			return htmlGrown
		case f.Size < before.Size:
			return htmlShrunk
		case f.Hash != before.Hash:
			return htmlRewritten
		}
		return htmlSame
	}, stop
}

// changeByPath looks a file up among changed paths, and then the directories above
// it.
func changeByPath(paths []footprint.PathChange) func(*footprint.File) int {
	changed := map[string]int{}
	for _, p := range paths {
		switch {
		case p.Change == footprint.Added:
			changed[p.Path] = htmlNew
		case p.Dir:
			changed[p.Path] = htmlMixed
		case p.Bytes > 0:
			changed[p.Path] = htmlGrown
		case p.Bytes < 0:
			changed[p.Path] = htmlShrunk
		default:
			changed[p.Path] = htmlRewritten
		}
	}
	dir, ofDir := "", htmlSame
	return func(f *footprint.File) int {
		if c, ok := changed[f.Path]; ok {
			return c
		}
		at := max(strings.LastIndexByte(f.Path, '/'), 0)
		if f.Path[:at] != dir || at == 0 {
			dir, ofDir = f.Path[:at], htmlSame
			// Nobody has deeper directories; an archive made to cost time does.
			for above := dir; above != "" && len(dir) <= maxHTMLDepth; above = above[:max(strings.LastIndexByte(above, '/'), 0)] {
				if c, ok := changed[above]; ok {
					ofDir = c
					break
				}
			}
		}
		return ofDir
	}
}

// changeTree holds the changed paths, nil where there are none.
func (img *Image) changeTree(limit int) *htmlTree {
	if img.Delta == nil || img.Delta.Has&footprint.HasFiles == 0 || len(img.Delta.Paths) == 0 {
		return nil
	}
	b := newTreeBuilder(len(img.Delta.Paths))
	for _, p := range slices.SortedStableFunc(slices.Values(img.Delta.Paths), func(a, b footprint.PathChange) int { return comparePaths(a.Path, b.Path) }) {
		l := treeLeaf{size: p.New, old: p.Old, layer: p.Layer}
		if p.Dir {
			b.add(p.Path, "", p.Files, l)
			continue
		}
		at := strings.LastIndexByte(p.Path, '/')
		b.add(p.Path[:max(at, 0)], p.Path[at+1:], 1, l)
	}
	t := b.tree(limit, true)
	t.Owners, t.Changes = nil, nil
	return t
}
