package scan

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/org/image-budget/footprint"
)

// duplicates finds the content that stands at several paths, whole directories
// before single files, and what all of it holds beyond the first copies.
func (t *tree) duplicates() ([]footprint.Duplicate, footprint.Bytes) {
	d := duplicateFinder{tree: t, sums: map[int32]dirSum{}}
	total := d.files()
	if total == 0 {
		return nil, 0
	}
	d.sum(root)
	groups := append(d.dirGroups(), d.fileGroups...)
	slices.SortFunc(groups, func(a, b duplicateGroup) int {
		return cmp.Or(cmp.Compare(b.extra(), a.extra()), cmp.Compare(a.nodes[0], b.nodes[0]))
	})
	var out []footprint.Duplicate
	covered := map[int32]bool{}
	for _, g := range groups {
		if len(out) == footprint.MaxDuplicates {
			break
		}
		// What a listed directory holds is not listed again.
		if !slices.ContainsFunc(g.nodes, func(n int32) bool { return !d.isCovered(n, covered) }) {
			continue
		}
		if g.dir {
			for _, n := range g.nodes {
				covered[n] = true
			}
		}
		out = append(out, d.public(g))
	}
	return out, total
}

const maxPathsOfDuplicate = 10

type duplicateFinder struct {
	*tree
	// sums are those of directories that hold files with bytes.
	sums map[int32]dirSum
	// twice marks the inodes whose content exists more than once.
	twice      []uint64
	fileGroups []duplicateGroup
	// other are live names of inodes that lost the name they were given last; nil
	// until one is asked for.
	other map[int32]int32
}

// dirSum is a directory's hash over names, kinds and content of all below it.
type dirSum struct {
	hash  uint64
	bytes footprint.Bytes
	files int32
	// layer is that of the heaviest file.
	layer    uint16
	heaviest int64
	// twice is set where every file with bytes exists elsewhere, too: other
	// directories cannot be copies.
	twice bool
}

type duplicateGroup struct {
	dir   bool
	bytes footprint.Bytes // of one
	nodes []int32
}

func (g *duplicateGroup) extra() footprint.Bytes { return g.bytes * footprint.Bytes(len(g.nodes)-1) }

// files groups the live inodes by content.
func (d *duplicateFinder) files() footprint.Bytes {
	d.twice = make([]uint64, (len(d.inodes)+63)/64)
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
	var total footprint.Bytes
	for len(live) > 0 {
		first := &d.inodes[live[0]]
		n := 1
		for n < len(live) && d.inodes[live[n]].size == first.size && d.inodes[live[n]].hash == first.hash {
			n++
		}
		if n > 1 {
			g := duplicateGroup{bytes: footprint.Bytes(first.size)}
			total += g.bytes * footprint.Bytes(n-1)
			for _, i := range live[:n] {
				d.twice[i/64] |= 1 << (i % 64)
			}
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
	return total
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

// sum hashes a directory and everything below it.
func (d *duplicateFinder) sum(dir int32) dirSum {
	out := dirSum{twice: true, heaviest: -1}
	var b [26]byte
	for c := d.nodes[dir].child; c != 0; c = d.nodes[c].sibling {
		nd := &d.nodes[c]
		binary.LittleEndian.PutUint64(b[:], xxhash.Sum64(d.name(c)))
		b[8] = byte(nd.kind)
		var content, size uint64
		switch nd.kind {
		case footprint.Directory:
			s := d.sum(c)
			content, size = s.hash, uint64(s.bytes)
			out.bytes += s.bytes
			out.files += s.files
			out.twice = out.twice && s.twice
			if s.heaviest > out.heaviest {
				out.heaviest, out.layer = s.heaviest, s.layer
			}
		case footprint.Regular:
			in := &d.inodes[nd.inode]
			content, size = in.hash, uint64(in.size)
			out.bytes += footprint.Bytes(in.size)
			out.files++
			if in.size > 0 && d.twice[nd.inode/64]&(1<<(nd.inode%64)) == 0 {
				out.twice = false
			}
			if in.size > out.heaviest {
				out.heaviest, out.layer = in.size, in.made
			}
		case footprint.Symlink:
			link := d.links[nd.link]
			content = xxhash.Sum64(d.targets[link.from:link.to])
		}
		binary.LittleEndian.PutUint64(b[9:], content)
		binary.LittleEndian.PutUint64(b[17:], size)
		// Children have no order, so their hashes are added.
		out.hash += xxhash.Sum64(b[:])
	}
	if out.bytes > 0 && out.twice && out.files > 1 {
		d.sums[dir] = out
	}
	return out
}

// dirGroups are the directories that are the same, without those that are so
// only because the ones above them are.
func (d *duplicateFinder) dirGroups() []duplicateGroup {
	same := map[uint64][]int32{}
	for n, s := range d.sums {
		same[s.hash] = append(same[s.hash], n)
	}
	var out []duplicateGroup
	for hash, nodes := range same {
		if len(nodes) < 2 {
			continue
		}
		slices.Sort(nodes)
		inside := !slices.ContainsFunc(nodes, func(n int32) bool {
			parent, ok := d.sums[d.nodes[n].parent]
			return !ok || len(same[parent.hash]) != len(nodes)
		})
		if !inside {
			out = append(out, duplicateGroup{dir: true, bytes: d.sums[nodes[0]].bytes, nodes: nodes})
		}
		_ = hash
	}
	return out
}

// isCovered tells whether a node is in one of the directories.
func (d *duplicateFinder) isCovered(n int32, dirs map[int32]bool) bool {
	for p := d.nodes[n].parent; p > root; p = d.nodes[p].parent {
		if dirs[p] {
			return true
		}
	}
	return false
}

func (d *duplicateFinder) public(g duplicateGroup) footprint.Duplicate {
	type copied struct {
		path  string
		layer int
	}
	var all []copied
	for _, n := range g.nodes {
		layer := 0
		if g.dir {
			layer = int(d.sums[n].layer)
		} else {
			layer = int(d.inodes[d.nodes[n].inode].made)
		}
		all = append(all, copied{d.path(n), layer})
	}
	slices.SortFunc(all, func(a, b copied) int { return cmp.Compare(a.path, b.path) })
	out := footprint.Duplicate{Bytes: g.extra(), Dir: g.dir, Files: 1, Copies: len(g.nodes)}
	if g.dir {
		out.Files = int(d.sums[g.nodes[0]].files)
	}
	for _, c := range all[:min(len(all), maxPathsOfDuplicate)] {
		out.Paths = append(out.Paths, c.path)
		out.Layers = append(out.Layers, c.layer)
	}
	return out
}
