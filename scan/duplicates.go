package scan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sort"

	"github.com/org/image-budget/footprint"
)

// duplicates finds the content that stands at several paths, whole directories
// before single files, and fills in what all of it holds beyond the first
// copies. base is the number of layers that FROM brought, 0 if it is unknown.
func (t *tree) duplicates(out *footprint.Image, base int) {
	d := duplicateFinder{tree: t, base: base, sums: map[int32]dirSum{}}
	out.DuplicateBytes, out.DuplicateOwn = d.files()
	if out.DuplicateBytes == 0 {
		return
	}
	d.sum(root)
	groups := append(d.dirGroups(), d.fileGroups...)
	slices.SortFunc(groups, func(a, b duplicateGroup) int {
		return cmp.Or(cmp.Compare(b.extra(), a.extra()), cmp.Compare(b.files, a.files), cmp.Compare(a.nodes[0], b.nodes[0]))
	})
	covered := newMarks(len(t.nodes))
	for _, g := range groups {
		if len(out.Duplicates) == footprint.MaxDuplicates {
			break
		}
		// What a listed directory holds is not listed again.
		if !slices.ContainsFunc(g.nodes, func(n int32) bool { return !d.isCovered(n, covered) }) {
			continue
		}
		if g.dir {
			for _, n := range g.nodes {
				covered.set(n)
			}
		}
		out.Duplicates = append(out.Duplicates, d.public(g))
	}
}

// marks is a set of nodes or inodes, one bit for each.
type marks []uint64

func newMarks(n int) marks { return make(marks, (n+63)/64) }

func (m marks) set(i int32)      { m[i/64] |= 1 << (i % 64) }
func (m marks) has(i int32) bool { return m[i/64]&(1<<(i%64)) != 0 }

const maxPathsOfDuplicate = 10

type duplicateFinder struct {
	*tree
	base int
	// sums are those of directories that may be copies.
	sums map[int32]dirSum
	// twice marks the inodes whose content exists more than once.
	twice      marks
	fileGroups []duplicateGroup
	// other are live names of inodes that lost the name they were given last; nil
	// until one is asked for.
	other map[int32]int32
	// open are the directories that are being summed, from the root down; clock
	// counts the names that were met, and met tells when the last one of an
	// inode with several was: nil until there is one.
	open  []openDir
	clock int32
	met   []int32
}

type openDir struct {
	// entered is the clock's when nothing in it was met.
	entered int32
	sum     dirSum
}

// dirSum is what is in a directory, hard links counted once.
type dirSum struct {
	// hash is over names, kinds and content of all below it, 0 where no copies
	// are looked for.
	hash       uint64
	bytes, own footprint.Bytes
	files      int32
	// layer is that of the heaviest file.
	layer    uint16
	heaviest int64
	// twice is set where every file with bytes exists elsewhere, too: other
	// directories cannot be copies.
	twice bool
	// names are how many of its files' names are in it, of those that have
	// several, and links how many there are. Where more are elsewhere, another
	// directory with the same content may be the same files.
	names, links int64
}

// add adds what is in a directory below.
func (s *dirSum) add(below *dirSum) {
	s.bytes += below.bytes
	s.own += below.own
	s.files += below.files
	s.names += below.names
	s.links += below.links
	s.twice = s.twice && below.twice
	if below.heaviest > s.heaviest {
		s.heaviest, s.layer = below.heaviest, below.layer
	}
}

type duplicateGroup struct {
	dir   bool
	files int32           // in one
	bytes footprint.Bytes // of one
	own   footprint.Bytes // of those beyond the first
	nodes []int32
}

func (g *duplicateGroup) extra() footprint.Bytes { return g.bytes * footprint.Bytes(len(g.nodes)-1) }

// files groups the live inodes by content, and sums up what is beyond the first
// of each group. Where one is in the base, that is the first.
func (d *duplicateFinder) files() (total, own footprint.Bytes) {
	d.twice = newMarks(len(d.inodes))
	var live []int32
	for i := 1; i < len(d.inodes); i++ {
		if in := &d.inodes[i]; in.links > 0 && in.size > 0 {
			live = append(live, int32(i))
		}
	}
	slices.SortFunc(live, func(a, b int32) int {
		x, y := &d.inodes[a], &d.inodes[b]
		return cmp.Or(cmp.Compare(y.size, x.size), cmp.Compare(x.hash, y.hash), cmp.Compare(a, b))
	})
	for len(live) > 0 {
		first := &d.inodes[live[0]]
		n := 1
		for n < len(live) && d.inodes[live[n]].size == first.size && d.inodes[live[n]].hash == first.hash {
			n++
		}
		if n > 1 {
			g := duplicateGroup{files: 1, bytes: footprint.Bytes(first.size)}
			mine := 0
			for _, i := range live[:n] {
				d.twice.set(i)
				if int(d.inodes[i].layer) >= d.base {
					mine++
				}
			}
			g.own = g.bytes * footprint.Bytes(min(mine, n-1))
			total += g.bytes * footprint.Bytes(n-1)
			own += g.own
			// The heaviest come first by size, not by copies: keep enough.
			if len(d.fileGroups) < 50*footprint.MaxDuplicates || n > 100 {
				for _, i := range live[:n] {
					g.nodes = append(g.nodes, d.liveName(i))
				}
				slices.Sort(g.nodes)
				d.fileGroups = append(d.fileGroups, g)
			}
		}
		live = live[n:]
	}
	return total, own
}

// liveName is a live name of an inode.
func (d *duplicateFinder) liveName(inode int32) int32 {
	n := d.inodes[inode].node
	if nd := &d.nodes[n]; nd.kind == footprint.Regular && nd.inode == inode {
		return n
	}
	if d.other == nil { // the name that was given last is gone: rare
		d.other = map[int32]int32{}
		for i := len(d.nodes) - 1; i > root; i-- {
			nd := &d.nodes[i]
			if nd.kind != footprint.Regular {
				continue
			}
			if last := &d.nodes[d.inodes[nd.inode].node]; last.kind != footprint.Regular || last.inode != nd.inode {
				d.other[nd.inode] = int32(i)
			}
		}
	}
	return d.other[inode]
}

// sum sums up a directory and everything below it.
func (d *duplicateFinder) sum(dir int32) dirSum {
	d.open = append(d.open, openDir{d.clock, dirSum{twice: true, heaviest: -1}})
	level := len(d.open) - 1
	var children []hashedChild
	for c := d.nodes[dir].child; c != 0; c = d.nodes[c].sibling {
		child := hashedChild{node: c}
		switch d.nodes[c].kind {
		case footprint.Directory:
			below := d.sum(c)
			child.hash = below.hash
			d.open[level].sum.add(&below)
		case footprint.Regular:
			d.count(d.nodes[c].inode)
		}
		if d.open[level].sum.twice {
			children = append(children, child)
		}
	}
	out := d.open[level].sum
	d.open = d.open[:level]
	if out.twice {
		out.hash = d.hash(children)
		if out.bytes > 0 && out.files > 1 && out.names == out.links {
			d.sums[dir] = out
		}
	}
	return out
}

// count adds a name of a file to the directory that is being summed.
func (d *duplicateFinder) count(inode int32) {
	in := &d.inodes[inode]
	one := dirSum{
		bytes: footprint.Bytes(in.size), files: 1, heaviest: in.size, layer: in.made,
		twice: in.size == 0 || d.twice.has(inode),
	}
	if int(in.layer) >= d.base {
		one.own = one.bytes
	}
	d.clock++
	if in.links > 1 {
		one.names, one.links = 1, int64(in.links)
		if d.met == nil {
			d.met = make([]int32, len(d.inodes))
		}
		if last := d.met[inode]; last > 0 {
			// The deepest open directory that was entered before the last name was
			// met has both in it, and so have those above: the file is once in them.
			level := sort.Search(len(d.open), func(i int) bool { return d.open[i].entered >= last }) - 1
			both := &d.open[level].sum
			both.bytes -= one.bytes
			both.own -= one.own
			both.files--
			both.links -= one.links
		}
		d.met[inode] = d.clock
	}
	d.open[len(d.open)-1].sum.add(&one)
}

// hashedChild is what is in a directory, with its hash if it is one itself.
type hashedChild struct {
	node int32
	hash uint64
}

// hash hashes what is in a directory, in the order of the names. The seed is
// another one in every run, so that nobody can make directories collide.
func (d *duplicateFinder) hash(children []hashedChild) uint64 {
	slices.SortFunc(children, func(a, b hashedChild) int { return bytes.Compare(d.name(a.node), d.name(b.node)) })
	var h maphash.Hash
	h.SetSeed(d.seed)
	var b []byte
	for _, c := range children {
		nd := &d.nodes[c.node]
		name := d.name(c.node)
		b = append(binary.AppendUvarint(append(b[:0], byte(nd.kind)), uint64(len(name))), name...)
		switch nd.kind {
		case footprint.Directory:
			b = binary.LittleEndian.AppendUint64(b, c.hash)
		case footprint.Regular:
			in := &d.inodes[nd.inode]
			b = binary.AppendUvarint(binary.LittleEndian.AppendUint64(b, in.hash), uint64(in.size))
		case footprint.Symlink:
			link := d.links[nd.link]
			target := d.targets[link.from:link.to]
			b = append(binary.AppendUvarint(b, uint64(len(target))), target...)
		}
		_, _ = h.Write(b) // never fails
	}
	return h.Sum64()
}

// dirGroups are the directories that are the same, without those that are so
// only because the ones above them are.
func (d *duplicateFinder) dirGroups() []duplicateGroup {
	type content struct {
		hash  uint64
		bytes footprint.Bytes
		files int32
	}
	of := func(s dirSum) content { return content{s.hash, s.bytes, s.files} }
	same := map[content][]int32{}
	for n, s := range d.sums {
		same[of(s)] = append(same[of(s)], n)
	}
	var out []duplicateGroup
	for is, nodes := range same {
		if len(nodes) < 2 {
			continue
		}
		inside := !slices.ContainsFunc(nodes, func(n int32) bool {
			parent, ok := d.sums[d.nodes[n].parent]
			return !ok || len(same[of(parent)]) != len(nodes)
		})
		if inside {
			continue
		}
		slices.Sort(nodes)
		g := duplicateGroup{dir: true, files: is.files, bytes: is.bytes, nodes: nodes}
		least := is.bytes // the first copy is the one of which the base has most
		for _, n := range nodes {
			own := d.sums[n].own
			g.own += own
			least = min(least, own)
		}
		g.own -= least
		out = append(out, g)
	}
	return out
}

// isCovered tells whether a node is in one of the directories.
func (d *duplicateFinder) isCovered(n int32, dirs marks) bool {
	for p := d.nodes[n].parent; p > root; p = d.nodes[p].parent {
		if dirs.has(p) {
			return true
		}
	}
	return false
}

func (d *duplicateFinder) public(g duplicateGroup) footprint.Duplicate {
	out := footprint.Duplicate{Bytes: g.extra(), Own: g.own, Dir: g.dir, Files: int(g.files), Copies: len(g.nodes)}
	for _, n := range d.firstPaths(g.nodes) {
		layer := d.sums[n].layer
		if !g.dir {
			layer = d.inodes[d.nodes[n].inode].made
		}
		out.Paths = append(out.Paths, d.path(n))
		out.Layers = append(out.Layers, int(layer))
	}
	return out
}

// firstPaths are the first few nodes in path order. Copies may be very many and
// their paths long, so no path is made of any other.
func (t *tree) firstPaths(nodes []int32) []int32 {
	var out []int32
	for _, n := range nodes {
		if len(out) == maxPathsOfDuplicate {
			if t.comparePaths(n, out[len(out)-1]) > 0 {
				continue
			}
			out = out[:len(out)-1]
		}
		i, _ := slices.BinarySearchFunc(out, n, t.comparePaths)
		out = slices.Insert(out, i, n)
	}
	return out
}

// comparePaths orders two nodes by their paths, component by component.
func (t *tree) comparePaths(a, b int32) int {
	if a == b {
		return 0
	}
	if t.nodes[a].parent != t.nodes[b].parent {
		da, db := t.depth(a), t.depth(b)
		deeper := cmp.Compare(da, db)
		for ; da > db; da-- {
			a = t.nodes[a].parent
		}
		for ; db > da; db-- {
			b = t.nodes[b].parent
		}
		if a == b { // one is in the other
			return deeper
		}
		for t.nodes[a].parent != t.nodes[b].parent {
			a, b = t.nodes[a].parent, t.nodes[b].parent
		}
	}
	return bytes.Compare(t.name(a), t.name(b))
}
