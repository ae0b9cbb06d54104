package scan

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan/pkgdb"
)

// inventory finds the packages of the merged filesystem and gives every file
// its one owner. It fills in out.Packages, out.Rest and out.Skipped, and what
// [tree.files] tells of owners.
func (t *tree) inventory(out *footprint.Image, base int, baseKnown bool) {
	o := ownership{tree: t, layers: out.Layers, base: base}
	if !baseKnown {
		o.base = -1
	}
	t.owners = make([]footprint.Owner, len(t.inodes))
	t.strips, t.programs = map[int32]strip{}, map[int32]*footprint.Program{}
	found := o.findings()
	o.installed = pkgdb.Combine(found)
	o.claimed = make([]claimed, len(o.installed))
	o.claimFiles(true)
	o.dropDescribed()
	o.claimFiles(false)
	o.claimTrees()
	o.claimPortions()
	o.dropDescribed()
	o.weigh()
	out.Skipped = o.skipped()
	out.Packages = o.packages()
	out.Rest = o.rest()
}

// ownership decides which file belongs to which package. While it does, an
// owner in the tree is the number of the installed package, from 1.
type ownership struct {
	*tree
	layers    []footprint.Layer
	base      int // how many layers FROM brought, -1 if unknown
	installed []pkgdb.Installed
	claimed   []claimed
	// inside is what libraries hold of the files that they are linked into.
	inside map[int32]footprint.Bytes
	// closed marks the files that could not be looked into, by inode; nil if
	// there is none.
	closed marks
}

// claimed is what became of the claims of one installed package.
type claimed struct {
	dropped bool
	// linked is set where a file that is its own has the package in it.
	linked bool
	files  int
	// bytes are by the layer that brought them, own is the part of them that is
	// in layers above the base: all of it where the base is not known.
	bytes layerBytes
	own   footprint.Bytes
	// strip is what strip would remove of its files.
	strip footprint.Bytes
}

// layerBytes are bytes by layer, few and in no order.
type layerBytes []struct {
	layer uint16
	bytes footprint.Bytes
}

func (l *layerBytes) add(layer uint16, bytes footprint.Bytes) {
	for i := range *l {
		if (*l)[i].layer == layer {
			(*l)[i].bytes += bytes
			return
		}
	}
	*l = append(*l, struct {
		layer uint16
		bytes footprint.Bytes
	}{layer, bytes})
}

// findings are the facts of all files that a container sees.
func (o *ownership) findings() []pkgdb.Found {
	var found []pkgdb.Found
	if len(o.facts) == 0 {
		return nil
	}
	size := 0
	shared := map[string]*footprint.Program{}
	for n, inode := range o.described() {
		if program, ok := shared[string(o.facts[inode])]; ok {
			o.programs[inode] = program // and they tell nothing else
			continue
		}
		facts := o.factsOf(inode)
		if program := facts.Program; program != nil {
			alone := pkgdb.Facts{Program: program}
			same := string(alone.Append(nil))
			if shared[same] == nil && size+alone.Size() <= maxFacts {
				size += alone.Size()
				shared[same] = program
			}
			if o.programs[inode], facts.Program = shared[same], nil; shared[same] == nil {
				facts.Skipped, facts.Unread = tooManyFacts, "*"
			}
		}
		if size += facts.Size(); size > maxFacts && len(facts.Packages)+len(facts.Diverted) > 0 {
			size -= facts.Size()
			facts.Packages, facts.Diverted, facts.Skipped, facts.Unread = nil, nil, tooManyFacts, "*"
		}
		if facts.Skipped != "" {
			if o.closed == nil {
				o.closed = newMarks(len(o.inodes))
			}
			o.closed.set(inode)
		}
		if facts.Debug > 0 || facts.Symbols > 0 {
			size := footprint.Bytes(o.inodes[inode].size)
			debug := min(facts.Debug, size)
			o.strips[inode] = strip{debug: debug, symbols: min(facts.Symbols, size-debug)}
		}
		if len(facts.Packages) > 0 || len(facts.Diverted) > 0 {
			found = append(found, pkgdb.Found{Path: o.path(n), Facts: facts})
		}
	}
	return found
}

// described walks the files that have facts, each by one of its names.
func (o *ownership) described() iter.Seq2[int32, int32] {
	return func(yield func(node, inode int32) bool) {
		seen := newMarks(len(o.inodes))
		for n := range o.nodes {
			nd := &o.nodes[n]
			if nd.kind != footprint.Regular || seen.has(nd.inode) {
				continue
			}
			if _, ok := o.facts[nd.inode]; !ok {
				continue
			}
			seen.set(nd.inode)
			if !yield(int32(n), nd.inode) {
				return
			}
		}
	}
}

func (o *ownership) factsOf(inode int32) pkgdb.Facts {
	facts, err := pkgdb.DecodeFacts(o.facts[inode])
	if err != nil { // they were checked when they were read or made
		return pkgdb.Facts{Skipped: "malformed", Unread: "*"}
	}
	return facts
}

// skipped are the first files by path that could not be looked into. Where a
// package owns one it is known whose bytes these are. That claims could not be
// followed is always told.
func (o *ownership) skipped() []footprint.Skipped {
	most := footprint.MaxSkipped
	var out []footprint.Skipped
	if o.tooFar > 0 {
		most--
	}
	first := func() {
		slices.SortFunc(out, func(a, b footprint.Skipped) int { return cmp.Compare(a.Path, b.Path) })
		out = out[:min(len(out), most)]
	}
	if o.closed != nil {
		for n, inode := range o.described() {
			if _, owned := o.owners[inode].Package(); owned || !o.closed.has(inode) {
				continue
			}
			if len(out) >= 8*footprint.MaxSkipped {
				first()
			}
			skipped := footprint.Skipped{Path: o.path(n), Why: tooManyFacts, Ecosystem: "*"}
			if facts := o.factsOf(inode); facts.Skipped != "" {
				skipped.Why, skipped.Ecosystem = facts.Skipped, facts.Unread
			}
			out = append(out, skipped)
		}
	}
	first()
	if o.tooFar > 0 {
		most++
		out = append(out, footprint.Skipped{Path: o.path(o.tooFar), Why: linksTooFar, Ecosystem: "*"})
		first()
	}
	return out
}

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// maxFollowed bounds the components of symbolic links that are walked for all
// claims together. A usual claim leads through two of them, at /lib for example;
// links made of dots and slashes lead each through thousands.
const maxFollowed = 100_000_000

const linksTooFar = "too many paths of packages lead through links"

// resolve returns the live node that a path leads to, or -1. Symbolic links are
// followed inside the image, the last one too if last is set.
func (t *tree) resolve(path []byte, last bool) int32 {
	links := 0
	n := int32(root)
	for len(path) > 0 {
		var part []byte
		part, path, _ = bytes.Cut(path, []byte("/"))
		switch {
		case len(part) == 0 || len(part) == 1 && part[0] == '.':
			continue
		case len(part) == 2 && part[0] == '.' && part[1] == '.':
			n = max(t.nodes[n].parent, root)
			continue
		}
		next := t.find(n, part)
		if next < 0 || t.nodes[next].kind == 0 {
			return -1
		}
		if t.nodes[next].kind != footprint.Symlink || len(path) == 0 && !last {
			n = next
			continue
		}
		link := t.links[t.nodes[next].link]
		target := t.targets[link.from:link.to]
		t.followed += 1 + bytes.Count(target, []byte("/"))
		if t.followed > maxFollowed {
			t.tooFar = cmp.Or(t.tooFar, next)
			return -1
		}
		if links++; links > maxLinks || len(target)+len(path) > 2*maxPath {
			return -1
		}
		if len(target) > 0 && target[0] == '/' {
			n = root
		}
		path = append(append(append(make([]byte, 0, len(target)+1+len(path)), target...), '/'), path...)
	}
	return n
}

// file returns the inode of the regular file at the path, as its package
// manager put it there, or 0.
func (t *tree) file(path string) int32 {
	if n := t.resolve([]byte(path), false); n > root && t.nodes[n].kind == footprint.Regular {
		return t.nodes[n].inode
	}
	return 0
}

// claimFiles gives files to the packages that name them: the first one has it.
func (o *ownership) claimFiles(ofSystem bool) {
	for i := range o.installed {
		p := &o.installed[i]
		if footprint.OfSystem(p.Ecosystem) != ofSystem || o.claimed[i].dropped {
			continue
		}
		for _, path := range p.Files {
			if inode := o.file(path); inode > 0 && o.owners[inode] == 0 {
				o.owners[inode] = footprint.OwnedBy(i)
			}
		}
	}
}

// claimTrees gives each file that nobody has to the deepest tree that it is in.
// The root, and what is directly in a directory that all share, is nobody's
// tree, whatever a package says; neither is what only a link leads to.
func (o *ownership) claimTrees() {
	trees := map[int32]footprint.Owner{}
	shared := map[int32]bool{root: true}
	for _, path := range []string{"usr", "usr/local", "var", "var/lib"} {
		shared[o.lookup([]byte(path))] = true
	}
	for i := range o.installed {
		if o.claimed[i].dropped {
			continue
		}
		for _, path := range o.installed[i].Trees {
			n := o.resolve([]byte(path), false)
			if n > root && o.nodes[n].kind == footprint.Directory && trees[n] == 0 && !shared[o.nodes[n].parent] {
				trees[n] = footprint.OwnedBy(i)
			}
		}
	}
	if len(trees) == 0 {
		return
	}
	// Parents come before what is in them where nodes were made in that order,
	// but a node may be older than its tree, so this walks down.
	type place struct {
		node  int32
		owner footprint.Owner
	}
	stack := []place{{node: root}}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for c := o.nodes[at.node].child; c != 0; c = o.nodes[c].sibling {
			switch nd := &o.nodes[c]; nd.kind {
			case footprint.Directory:
				owner := at.owner
				if own, ok := trees[c]; ok {
					owner = own
				}
				stack = append(stack, place{c, owner})
			case footprint.Regular:
				if o.owners[nd.inode] == 0 {
					o.owners[nd.inode] = at.owner
				}
			}
		}
	}
}

// claimPortions gives programs and archives that nobody has to the package that
// they are, and parts of them to what is in them.
func (o *ownership) claimPortions() {
	o.inside = map[int32]footprint.Bytes{}
	for _, main := range []bool{true, false} {
		for i := range o.installed {
			if o.claimed[i].dropped {
				continue
			}
			for _, portion := range o.installed[i].Portions {
				if portion.Main != main {
					continue
				}
				inode := o.file(portion.Path)
				if inode == 0 {
					continue
				}
				if owner := &o.owners[inode]; *owner == 0 && main {
					*owner = footprint.OwnedBy(i)
					o.claimed[i].linked = true
				} else if index, ok := owner.Package(); ok && !main && o.installed[index].Root == o.installed[i].Root {
					in := &o.inodes[inode]
					bytes := min(portion.Bytes, footprint.Bytes(in.size)-o.inside[inode])
					o.inside[inode] += bytes
					o.claimed[i].linked = true
					o.count(i, in, bytes)
				}
			}
		}
	}
}

// dropDescribed drops packages that only another package tells of: what Debian
// ships of a Python library is Debian's, and a program inside an npm package is
// npm's.
func (o *ownership) dropDescribed() {
	owns := make([]bool, len(o.installed))
	for _, owner := range o.owners {
		if i, ok := owner.Package(); ok {
			owns[i] = true
		}
	}
	for i := range o.installed {
		p := &o.installed[i]
		if footprint.OfSystem(p.Ecosystem) || owns[i] || o.claimed[i].linked {
			continue
		}
		for _, path := range p.Described {
			if inode := o.file(path); inode > 0 && o.owners[inode] != 0 {
				o.claimed[i].dropped = true
			}
		}
	}
}

// weigh sums up what each package has, of each layer.
func (o *ownership) weigh() {
	seen := make([]uint64, (len(o.inodes)+63)/64)
	for i := range o.nodes {
		nd := &o.nodes[i]
		if nd.kind != footprint.Regular || seen[nd.inode/64]&(1<<(nd.inode%64)) != 0 {
			continue
		}
		seen[nd.inode/64] |= 1 << (nd.inode % 64)
		in := &o.inodes[nd.inode]
		index, ok := o.owners[nd.inode].Package()
		if !ok {
			continue
		}
		c := &o.claimed[index]
		c.files++
		bytes := footprint.Bytes(in.size) - o.inside[nd.inode]
		o.count(index, in, bytes)
		// Some of it may be of the libraries that are counted apart.
		s := o.strips[nd.inode]
		c.strip += min(s.debug+s.symbols, bytes)
	}
}

// count adds bytes of a file to what a package has.
func (o *ownership) count(index int, in *inode, bytes footprint.Bytes) {
	c := &o.claimed[index]
	c.bytes.add(in.made, bytes)
	if int(in.layer) >= o.base {
		c.own += bytes
	}
}

// packages lists what is installed, all copies of one version together, and
// puts their final numbers into the owners of the files.
func (o *ownership) packages() []footprint.Package {
	type key struct{ ecosystem, name, version string }
	type sum struct {
		footprint.Package
		layers   layerBytes
		heaviest footprint.Bytes
	}
	at := map[key]int{}
	sums := []sum{}
	of := make([]int, len(o.installed))
	for i := range o.installed {
		p, c := &o.installed[i], &o.claimed[i]
		if c.dropped {
			continue
		}
		k := key{p.Ecosystem, p.Name, p.Version}
		n, ok := at[k]
		if !ok {
			n = len(sums)
			at[k] = n
			sums = append(sums, sum{heaviest: -1, Package: footprint.Package{Ecosystem: p.Ecosystem, Name: p.Name, Version: p.Version, Dev: true}})
		}
		of[i] = n
		s := &sums[n]
		var bytes footprint.Bytes
		for _, l := range c.bytes {
			bytes += l.bytes
			s.layers.add(l.layer, l.bytes)
		}
		s.Own += c.own
		s.Bytes += bytes
		s.Files += c.files
		s.Strippable += c.strip
		s.Dev = s.Dev && p.Dev
		if bytes > s.heaviest {
			s.heaviest, s.Path, s.Through = bytes, p.Root, p.Through
		}
	}
	for i := range sums {
		s := &sums[i]
		slices.SortFunc(s.layers, func(a, b struct {
			layer uint16
			bytes footprint.Bytes
		}) int {
			return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(b.layer, a.layer))
		})
		if len(s.layers) > 0 {
			s.Layer = int(s.layers[0].layer)
		}
	}
	order := make([]int, len(sums))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &sums[a], &sums[b]
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(x.Ecosystem, y.Ecosystem), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Version, y.Version))
	})
	place := make([]int, len(sums))
	out := make([]footprint.Package, len(sums))
	for i, n := range order {
		place[n] = i
		out[i] = sums[n].Package
	}
	for i, owner := range o.owners {
		if index, ok := owner.Package(); ok {
			o.owners[i] = footprint.OwnedBy(place[of[index]])
		}
	}
	return out
}

// rest tells apart what belongs to no package.
func (o *ownership) rest() *footprint.Rest {
	var out footprint.Rest
	copied := make([]bool, len(o.layers))
	for i := range o.layers {
		copied[i] = brought(o.layers[i].Command(), o.base < 0 && i == 0)
	}
	for i := 1; i < len(o.inodes); i++ {
		in := &o.inodes[i]
		if in.links == 0 || o.owners[i] != footprint.Unowned {
			continue
		}
		size := footprint.Bytes(in.size)
		switch {
		case int(in.layer) < o.base:
			o.owners[i] = footprint.OfBase
			out.Base += size
		case copied[in.made] && int(in.made) >= o.base:
			o.owners[i] = footprint.OfApplication
			out.Application += size
		default:
			out.Unowned += size
		}
	}
	return &out
}

// brought tells whether an instruction copies files in and runs nothing. The
// lowest layer may be a base that nobody knows of, and these are made by ADD.
func brought(command string, lowest bool) bool {
	word, _, _ := strings.Cut(command, " ")
	switch strings.ToUpper(word) {
	case "COPY":
		return true
	case "ADD":
		return !lowest
	}
	return false
}
