package scan

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/org/image-budget/footprint"
)

// tree is the merged filesystem while layers are applied to it, base first.
//
// Nodes, names and inodes live in three slices and refer to each other by
// number: a million files cost some 90 MB and no pointer for the collector to
// follow. Nodes are never freed; a removed one is dead and may be revived by a
// later layer under the same name.
type tree struct {
	nodes  []node
	inodes []inode
	names  []byte
	// table finds a node by parent and name: open addressing, node numbers,
	// 0 for an empty slot (the root is in no slot).
	table []int32
	seed  maphash.Seed
	max   int
	// links are the targets of symbolic links, one after the other in targets.
	links   []span
	targets []byte
	// facts are what the contents of files tell, by inode. They are slices of
	// the layer indexes.
	facts map[int32][]byte
	// owners are whom the files belong to, by inode, and strips what strip
	// would remove of them; both are nil before [tree.inventory].
	owners []footprint.Owner
	strips map[int32]strip
	// programs are what programs need, by inode; those that need the same share
	// it. It is nil before [tree.inventory].
	programs map[int32]*footprint.Program
	// followed counts the components of symbolic links that claims led through,
	// and tooFar is the first link that was followed no more for that, 0 if all
	// were.
	followed int
	tooFar   int32
}

// span is a piece of a larger buffer.
type span struct{ from, to uint32 }

// strip is what strip would remove of a file, in bytes.
type strip struct{ debug, symbols footprint.Bytes }

type node struct {
	parent, child, sibling int32
	// prev makes unlinking from the parent's children cheap.
	prev    int32
	name    uint32
	hash    uint32
	inode   int32 // of a regular file; kept when the node dies
	link    int32 // of a symbolic link
	nameLen uint16
	layer   uint16
	mode    uint16
	kind    footprint.Kind // 0 is dead
	// uid and gid are whom it belongs to.
	uid, gid uint32
}

// inode is the payload of one regular file in one layer.
type inode struct {
	size  int64
	hash  uint64
	links int32 // live names
	node  int32 // a name it has or had; 0 if it never had one
	layer uint16
	// made is the layer that brought the content: another one than layer where
	// that only wrote it again, as chown does.
	made   uint16
	goneBy uint16
	fate   fate
}

type fate uint8

const (
	alive fate = iota
	deleted
	replaced
	rewritten
)

func (f fate) public() footprint.Fate {
	switch f {
	case deleted:
		return footprint.Deleted
	case rewritten:
		return footprint.Rewritten
	}
	return footprint.Replaced
}

const root = 0

// newTree makes room for so many entries and files, so that nothing has to be
// copied while it grows; of room that is not used no memory is taken.
func newTree(max, entries, files int) *tree {
	slots := 1 << 10
	for slots < 2*(entries+1) {
		slots *= 2
	}
	t := &tree{
		seed: maphash.MakeSeed(), max: max, table: make([]int32, slots), facts: map[int32][]byte{},
		nodes: make([]node, 0, entries+1), inodes: make([]inode, 0, files+1),
	}
	t.nodes = append(t.nodes, node{kind: footprint.Directory, parent: -1})
	t.inodes = append(t.inodes, inode{}) // number 0 is no inode
	t.links = append(t.links, span{})    // and no link
	return t
}

func (t *tree) name(n int32) []byte {
	nd := &t.nodes[n]
	return t.names[nd.name : nd.name+uint32(nd.nameLen)]
}

func (t *tree) hashOf(parent int32, name []byte) uint32 {
	return uint32(maphash.Bytes(t.seed, name)) ^ uint32(parent)*0x9e3779b1
}

// find returns the node of that name, dead or alive, or -1.
func (t *tree) find(parent int32, name []byte) int32 {
	h := t.hashOf(parent, name)
	mask := uint32(len(t.table) - 1)
	for i := h & mask; t.table[i] != 0; i = (i + 1) & mask {
		n := t.table[i]
		nd := &t.nodes[n]
		if nd.hash == h && nd.parent == parent && bytes.Equal(t.name(n), name) {
			return n
		}
	}
	return -1
}

func (t *tree) insert(n int32) {
	mask := uint32(len(t.table) - 1)
	i := t.nodes[n].hash & mask
	for t.table[i] != 0 {
		i = (i + 1) & mask
	}
	t.table[i] = n
}

// make returns the node of that name, creating a dead one if there is none.
func (t *tree) make(parent int32, name []byte) (int32, error) {
	if n := t.find(parent, name); n >= 0 {
		return n, nil
	}
	if len(t.nodes) > t.max || len(t.names)+len(name) > 1<<32-1 {
		return 0, tooManyFiles(t.max)
	}
	n := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{
		parent:  parent,
		name:    uint32(len(t.names)),
		nameLen: uint16(len(name)),
		hash:    t.hashOf(parent, name),
	})
	t.names = append(t.names, name...)
	if 2*len(t.nodes) > len(t.table) {
		t.table = make([]int32, 2*len(t.table))
		for i := 1; i < len(t.nodes); i++ {
			t.insert(int32(i))
		}
	} else {
		t.insert(n)
	}
	return n, nil
}

// revive puts a dead node among the children of its parent.
func (t *tree) revive(n int32, kind footprint.Kind, layer uint16) {
	nd := &t.nodes[n]
	p := &t.nodes[nd.parent]
	nd.kind, nd.layer, nd.child = kind, layer, 0
	nd.prev, nd.sibling = 0, p.child
	if p.child != 0 {
		t.nodes[p.child].prev = n
	}
	p.child = n
}

// kill removes a live node and everything below it.
func (t *tree) kill(n int32, f fate, by uint16) {
	nd := &t.nodes[n]
	if nd.prev != 0 {
		t.nodes[nd.prev].sibling = nd.sibling
	} else {
		t.nodes[nd.parent].child = nd.sibling
	}
	if nd.sibling != 0 {
		t.nodes[nd.sibling].prev = nd.prev
	}
	t.bury(n, f, by)
}

// bury marks a node, already out of its parent's list, and its tree as dead.
func (t *tree) bury(n int32, f fate, by uint16) {
	t.buryChildren(n, f, by)
	nd := &t.nodes[n]
	if nd.kind == footprint.Regular {
		t.unlink(n, f, by)
	}
	nd.kind = 0
}

func (t *tree) buryChildren(n int32, f fate, by uint16) {
	for c := t.nodes[n].child; c != 0; c = t.nodes[c].sibling {
		t.bury(c, f, by)
	}
	t.nodes[n].child = 0
}

// unlink takes a name away from an inode. The last one decides its fate.
func (t *tree) unlink(n int32, f fate, by uint16) {
	in := &t.inodes[t.nodes[n].inode]
	in.links--
	if in.links == 0 {
		in.fate, in.goneBy, in.node = f, by, n
	}
}

// apply puts one layer on top. Whiteouts hide what lower layers brought and
// nothing of their own layer, wherever in the tar they stand (image-spec,
// "Whiteouts"), so they go first.
func (t *tree) apply(layer uint16, x *Index) error {
	for e, err := range x.all() {
		if err != nil {
			return err
		}
		switch e.kind {
		case whiteout:
			if n := t.lookup(e.path); n > root {
				t.kill(n, deleted, layer)
			}
		case opaque:
			if n := t.lookup(e.path); n >= root {
				t.buryChildren(n, deleted, layer)
			}
		}
	}
	a := applier{tree: t, layer: layer, facts: x.facts}
	for e, err := range x.all() {
		if err != nil {
			return err
		}
		if err := a.add(e); err != nil {
			return err
		}
	}
	return nil
}

// lookup returns the live node of a path, or -1.
func (t *tree) lookup(path []byte) int32 {
	n := int32(root)
	for len(path) > 0 {
		var part []byte
		part, path, _ = bytes.Cut(path, []byte("/"))
		n = t.find(n, part)
		if n < 0 || t.nodes[n].kind == 0 {
			return -1
		}
	}
	return n
}

// applier adds the entries of one layer. It remembers the directory of the
// last entry, since the next one is usually beside it.
type applier struct {
	*tree
	layer   uint16
	dir     int32
	dirPath []byte
	// facts are those of the layer that were not reached yet.
	facts []fileFacts
	// hidden are the inodes of AUFS bookkeeping, by path, for hard links.
	hidden map[string]int32
}

func (a *applier) add(e entry) error {
	switch e.kind {
	case whiteout, opaque:
		return nil
	case addHidden:
		return a.addHidden(e)
	case addHardLink:
		return a.addHardLink(e)
	}
	parentPath, base := splitPath(e.path)
	parent, err := a.parent(parentPath)
	if err != nil {
		return err
	}
	n, err := a.make(parent, base)
	if err != nil {
		return err
	}
	switch e.kind {
	case addDirectory:
		a.put(n, footprint.Directory, replaced)
	case addRegular:
		a.putFile(n, e)
	case addSymlink:
		a.put(n, footprint.Symlink, replaced)
		a.nodes[n].link = a.newLink(e.link)
	case addOther:
		a.put(n, footprint.Other, replaced)
	}
	a.nodes[n].mode, a.nodes[n].uid, a.nodes[n].gid = e.mode, e.uid, e.gid
	return nil
}

// put makes n a live node of that kind, on top of whatever it was.
func (a *applier) put(n int32, kind footprint.Kind, f fate) {
	nd := &a.nodes[n]
	if nd.kind != 0 {
		if nd.kind == footprint.Directory && kind == footprint.Directory {
			nd.layer = a.layer
			return
		}
		a.kill(n, f, a.layer)
	}
	a.revive(n, kind, a.layer)
}

func (a *applier) putFile(n int32, e entry) {
	nd := &a.nodes[n]
	f := replaced
	made := a.layer
	if before := nd.inode; before != 0 && a.sameContent(before, e) {
		made = a.inodes[before].made
		if nd.kind == footprint.Regular {
			f = rewritten
		}
		// rm and a new copy in one layer come as a whiteout and a file.
		if in := &a.inodes[before]; nd.kind == 0 && in.links == 0 && in.goneBy == a.layer && in.fate == deleted && in.node == n {
			in.fate = rewritten
		}
	}
	a.put(n, footprint.Regular, f)
	inode := a.newInode(e, n, 1)
	a.inodes[inode].made = made
	a.nodes[n].inode = inode
	for len(a.facts) > 0 && a.facts[0].record <= e.record {
		if a.facts[0].record == e.record {
			a.tree.facts[inode] = a.facts[0].facts
		}
		a.facts = a.facts[1:]
	}
}

// newLink keeps where a symbolic link leads.
func (a *applier) newLink(target []byte) int32 {
	if len(a.targets)+len(target) > 1<<32-1 {
		return 0 // it leads nowhere then
	}
	from := uint32(len(a.targets))
	a.targets = append(a.targets, target...)
	a.links = append(a.links, span{from, from + uint32(len(target))})
	return int32(len(a.links) - 1)
}

func (a *applier) sameContent(before int32, e entry) bool {
	in := &a.inodes[before]
	return in.size == e.size && in.hash == e.hash && in.layer < a.layer
}

func (a *applier) newInode(e entry, n int32, links int32) int32 {
	a.inodes = append(a.inodes, inode{size: e.size, hash: e.hash, links: links, node: n, layer: a.layer, made: a.layer})
	return int32(len(a.inodes) - 1)
}

func (a *applier) addHidden(e entry) error {
	if len(a.inodes) > a.max {
		return tooManyFiles(a.max)
	}
	i := a.newInode(e, root, 0)
	a.inodes[i].fate, a.inodes[i].goneBy = deleted, a.layer
	if a.hidden == nil {
		a.hidden = map[string]int32{}
	}
	a.hidden[string(e.path)] = i
	return nil
}

// addHardLink gives a file one more name. A link to nothing is no file: no
// runtime could make it.
func (a *applier) addHardLink(e entry) error {
	target, inode, link := a.lookup(e.link), int32(0), int32(0)
	var kind footprint.Kind
	var mode uint16
	var uid, gid uint32
	switch {
	case target > root && a.nodes[target].kind != footprint.Directory:
		kind, inode, mode = a.nodes[target].kind, a.nodes[target].inode, a.nodes[target].mode
		link, uid, gid = a.nodes[target].link, a.nodes[target].uid, a.nodes[target].gid
	case a.hidden[string(e.link)] != 0:
		kind, inode = footprint.Regular, a.hidden[string(e.link)]
	default:
		return nil
	}
	parentPath, base := splitPath(e.path)
	if n := a.lookup(e.path); n > root && (n == target || kind == footprint.Regular && a.nodes[n].kind == kind && a.nodes[n].inode == inode) {
		return nil
	}
	if target > root && isWithin(e.link, e.path) {
		return nil // the link would have to replace the directory of its target
	}
	// The target must live on while a directory of the new name replaces a
	// file, even if that file is the target.
	if kind == footprint.Regular {
		a.inodes[inode].links++
	}
	parent, err := a.parent(parentPath)
	if err != nil {
		return err
	}
	n, err := a.make(parent, base)
	if err != nil {
		return err
	}
	a.put(n, kind, replaced)
	a.nodes[n].mode, a.nodes[n].link = mode, link
	a.nodes[n].uid, a.nodes[n].gid = uid, gid
	if kind == footprint.Regular {
		a.nodes[n].inode = inode
		a.inodes[inode].fate, a.inodes[inode].node = alive, n
	}
	return nil
}

// isWithin tells whether path is below dir.
func isWithin(path, dir []byte) bool {
	return len(path) > len(dir) && path[len(dir)] == '/' && bytes.HasPrefix(path, dir)
}

// parent returns the live directory of that path, making the missing ones. A
// directory replaces whatever else had its name, as the overlay of the layer
// does on a host.
func (a *applier) parent(path []byte) (int32, error) {
	if len(path) == 0 {
		return root, nil
	}
	if a.dir > root && a.nodes[a.dir].kind == footprint.Directory && bytes.Equal(path, a.dirPath) {
		return a.dir, nil
	}
	n, rest := int32(root), path
	for len(rest) > 0 {
		var part []byte
		part, rest, _ = bytes.Cut(rest, []byte("/"))
		next, err := a.make(n, part)
		if err != nil {
			return 0, err
		}
		if a.nodes[next].kind != footprint.Directory {
			a.put(next, footprint.Directory, replaced)
			a.nodes[next].mode, a.nodes[next].uid, a.nodes[next].gid = 0o755, 0, 0
		}
		n = next
	}
	a.dir, a.dirPath = n, append(a.dirPath[:0], path...)
	return n, nil
}

// settle gives back what only a tree that still changes needs. What stays is
// what [tree.files] walks, as long as the image is in use.
func (t *tree) settle() {
	t.table, t.facts = nil, nil
}

// files walks the live nodes, component by component.
func (t *tree) files(yield func(footprint.File) bool) {
	seen := make([]uint64, (len(t.inodes)+63)/64)
	var walk func(dir int32, prefix string) bool
	walk = func(dir int32, prefix string) bool {
		var children []int32
		for c := t.nodes[dir].child; c != 0; c = t.nodes[c].sibling {
			children = append(children, c)
		}
		slices.SortFunc(children, func(a, b int32) int { return bytes.Compare(t.name(a), t.name(b)) })
		for _, c := range children {
			nd := &t.nodes[c]
			f := footprint.File{Path: prefix + string(t.name(c)), Kind: nd.kind, Layer: int(nd.layer), Made: int(nd.layer), Mode: nd.mode, UID: nd.uid, GID: nd.gid}
			if nd.kind == footprint.Symlink {
				link := t.links[nd.link]
				f.Link = string(t.targets[link.from:link.to])
			}
			if nd.kind == footprint.Regular {
				in := &t.inodes[nd.inode]
				f.Hash, f.Layer, f.Made = in.hash, int(in.layer), int(in.made)
				f.Program = t.programs[nd.inode]
				if t.owners != nil {
					f.Owner = t.owners[nd.inode]
				}
				if seen[nd.inode/64]&(1<<(nd.inode%64)) == 0 {
					seen[nd.inode/64] |= 1 << (nd.inode % 64)
					f.Size = footprint.Bytes(in.size)
					s := t.strips[nd.inode]
					f.Debug, f.Symbols = s.debug, s.symbols
				}
			}
			if !yield(f) || nd.kind == footprint.Directory && !walk(c, f.Path+"/") {
				return false
			}
		}
		return true
	}
	walk(root, "/")
}

func (t *tree) path(n int32) string {
	var parts [][]byte
	for ; n > root; n = t.nodes[n].parent {
		parts = append(parts, t.name(n))
	}
	slices.Reverse(parts)
	return "/" + string(bytes.Join(parts, []byte("/")))
}

func (t *tree) depth(n int32) int {
	d := 0
	for ; n > root; n = t.nodes[n].parent {
		d++
	}
	return d
}

// common returns the deepest node above or at both.
func (t *tree) common(a, b int32) int32 {
	da, db := t.depth(a), t.depth(b)
	for ; da > db; da-- {
		a = t.nodes[a].parent
	}
	for ; db > da; db-- {
		b = t.nodes[b].parent
	}
	for a != b {
		a, b = t.nodes[a].parent, t.nodes[b].parent
	}
	return a
}

// perLayer are the sums of the payload that each layer brought.
type perLayer struct {
	final, wasted              footprint.Bytes
	files, executables, setuid int
}

// sums adds up what is alive and what is not, by the layer that holds it. It
// walks the live names for one and the inodes for the other, so that the two
// can be checked against what was read.
func (t *tree) sums(layers int) []perLayer {
	out := make([]perLayer, layers)
	seen := make([]uint64, (len(t.inodes)+63)/64)
	for i := range t.nodes {
		nd := &t.nodes[i]
		if nd.kind != footprint.Regular {
			continue
		}
		in := &t.inodes[nd.inode]
		sum := &out[in.layer]
		sum.files++
		if nd.mode&0o111 != 0 {
			sum.executables++
		}
		if nd.mode&0o6000 != 0 {
			sum.setuid++
		}
		if seen[nd.inode/64]&(1<<(nd.inode%64)) == 0 {
			seen[nd.inode/64] |= 1 << (nd.inode % 64)
			sum.final += footprint.Bytes(in.size)
		}
	}
	for i := 1; i < len(t.inodes); i++ { // 0 is no inode
		if in := &t.inodes[i]; in.links == 0 {
			out[in.layer].wasted += footprint.Bytes(in.size)
		}
	}
	return out
}

// dead sums up the invisible bytes by who brought and who hid them, heaviest
// first, and lists the heaviest single files.
func (t *tree) dead() ([]footprint.Dead, []footprint.DeadFile) {
	type key struct {
		in, by uint16
		fate   fate
	}
	type sum struct {
		bytes footprint.Bytes
		files int
		under int32
	}
	sums := map[key]*sum{}
	var heavy []int32
	for i := range t.inodes {
		in := &t.inodes[i]
		if in.links != 0 || in.size == 0 {
			continue
		}
		k := key{in.layer, in.goneBy, in.fate}
		parent := max(t.nodes[in.node].parent, root)
		s := sums[k]
		if s == nil {
			s = &sum{under: parent}
			sums[k] = s
		}
		s.bytes += footprint.Bytes(in.size)
		s.files++
		s.under = t.common(s.under, parent)
		heavy = append(heavy, int32(i))
		if len(heavy) >= 8*footprint.MaxDeadFiles {
			heavy = t.heaviest(heavy)
		}
	}
	dead := make([]footprint.Dead, 0, len(sums))
	for k, s := range sums {
		dead = append(dead, footprint.Dead{
			In: int(k.in), By: int(k.by), Fate: k.fate.public(), Bytes: s.bytes, Files: s.files, Under: t.path(s.under),
		})
	}
	slices.SortFunc(dead, func(a, b footprint.Dead) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), a.In-b.In, a.By-b.By, cmp.Compare(a.Fate, b.Fate))
	})
	var files []footprint.DeadFile
	for _, i := range t.heaviest(heavy) {
		in := &t.inodes[i]
		files = append(files, footprint.DeadFile{
			Path: t.path(in.node), Bytes: footprint.Bytes(in.size), In: int(in.layer), By: int(in.goneBy), Fate: in.fate.public(),
		})
	}
	return dead, files
}

// heaviest keeps the MaxDeadFiles heaviest inodes, heaviest first. Inodes are
// numbered in the order of the tars, which breaks ties the same way each time.
func (t *tree) heaviest(list []int32) []int32 {
	slices.SortFunc(list, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.inodes[b].size, t.inodes[a].size), int(a-b))
	})
	return list[:min(len(list), footprint.MaxDeadFiles)]
}
