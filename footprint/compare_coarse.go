package footprint

import (
	"maps"
	"slices"
	"strings"
)

// coarseTree is the tree of what changed where one side or both are known by
// their directory roll-up alone. Sums of a directory that both sides know are
// exact. One that only one side knows stands alone if it is heavier than the
// other side's floor; how much of it the other side held is then the least
// change that fits, and never more than that floor.
func coarseTree(old, new *Image, layers []LayerChange) *node {
	listed := listedDirs(old, new)
	before, after := oneSided(old, listed), oneSided(new, listed)
	root := mergeTrees(before, after)
	c := coarse{
		old: side{full: old.Files != nil, floor: old.DirFloor},
		new: side{full: new.Files != nil, floor: new.DirFloor},
	}
	root.listedOld, root.listedNew = true, true
	c.settle(root)
	weigh(root)
	same := map[int]bool{}
	for _, l := range layers {
		if l.Change == Same {
			same[l.New.Index] = true
		}
	}
	leaveChangedLayers(root, same)
	return root
}

// leaveChangedLayers takes the layers that both images have out of the sums of
// who holds what: which files are new is not known, but they are not in there.
// They stay where nothing else could have brought a growth.
func leaveChangedLayers(n *node, same map[int]bool) {
	for _, k := range n.kids {
		leaveChangedLayers(k, same)
	}
	changed := slices.DeleteFunc(slices.Clone(n.layers), func(l layerBytes) bool { return same[l.layer] })
	if len(changed) > 0 || n.growth() <= 0 {
		n.layers = changed
	}
}

// listedDirs is every directory that a roll-up without files lists, and every
// directory above one.
func listedDirs(images ...*Image) map[string]bool {
	out := map[string]bool{}
	for _, img := range images {
		if img.Files != nil {
			continue
		}
		for _, d := range img.Dirs {
			for dir := d.Path; dir != "" && !out[dir]; dir = parentDir(dir) {
				out[dir] = true
			}
		}
	}
	return out
}

// parentDir is "" above the root.
func parentDir(path string) string {
	if path == "/" {
		return ""
	}
	if slash := strings.LastIndexByte(path, '/'); slash > 0 {
		return path[:slash]
	}
	return "/"
}

// oneSided is the tree of one image, its sums in new.
func oneSided(img *Image, listed map[string]bool) *node {
	if img.Files != nil {
		return diffTree(nil, img.Files, listed)
	}
	sums := map[string]*node{}
	for _, d := range img.Dirs {
		for dir := d.Path; dir != ""; dir = parentDir(dir) {
			n := sums[dir]
			if n == nil {
				n = &node{path: dir, dir: true, inNew: true}
				sums[dir] = n
			}
			n.new += d.Bytes
			n.newFiles += d.Files
		}
	}
	root := sums["/"]
	if root == nil {
		root = &node{path: "/", dir: true}
	}
	delete(sums, "/")
	link(root, slices.Collect(maps.Values(sums)))
	return root
}

// mergeTrees puts two one-sided trees into one. A nil tree is one that does
// not know the path.
func mergeTrees(old, new *node) *node {
	var n node
	var oldKids, newKids []*node
	if new != nil {
		n = node{path: new.path, dir: new.dir, new: new.new, newFiles: new.newFiles, inNew: true, listedNew: true, layers: new.layers, strip: new.strip}
		newKids = new.kids
	}
	if old != nil {
		n.path, n.dir = old.path, n.dir || old.dir
		n.old, n.oldFiles, n.inOld, n.listedOld = old.new, old.newFiles, true, true
		oldKids = old.kids
	}
	for len(oldKids) > 0 || len(newKids) > 0 {
		order := -1
		switch {
		case len(oldKids) == 0:
			order = 1
		case len(newKids) > 0:
			order = comparePaths(oldKids[0].path, newKids[0].path)
		}
		var a, b *node
		if order <= 0 {
			a, oldKids = oldKids[0], oldKids[1:]
		}
		if order >= 0 {
			b, newKids = newKids[0], newKids[1:]
		}
		n.kids = append(n.kids, mergeTrees(a, b))
	}
	return &n
}

// coarse knows how fine the two sides are.
type coarse struct{ old, new side }

type side struct {
	full  bool
	floor Bytes
}

// sure tells whether a path that the side does not list held nothing.
func (s side) sure() bool { return s.full || s.floor == 0 }

// settle decides, from n down, which kids stand alone, and how many bytes the
// side that does not list a kid held there.
func (c coarse) settle(n *node) {
	n.kids = slices.DeleteFunc(n.kids, func(k *node) bool { return !c.stands(n, k) })
	oldRest, newRest := n.old, n.new
	for _, k := range n.kids {
		if k.listedOld {
			oldRest -= k.old
		}
		if k.listedNew {
			newRest -= k.new
		}
	}
	// The side that has more left over holds it in what it does not list.
	oldSpare, newSpare := max(0, oldRest-newRest), max(0, newRest-oldRest)
	for _, k := range n.kids {
		if !k.listedOld && !c.old.sure() {
			k.old = max(0, min(oldSpare, c.old.floor-1, k.new))
			k.inOld = k.old > 0
			oldSpare -= k.old
		}
		if !k.listedNew && !c.new.sure() {
			k.new = max(0, min(newSpare, c.new.floor-1, k.old))
			k.inNew = k.new > 0
			newSpare -= k.new
		}
		c.settle(k)
	}
}

// stands tells whether a kid of n is an entry of its own.
func (c coarse) stands(n, k *node) bool {
	if k.listedOld && k.listedNew {
		return true
	}
	if k.listedOld {
		return c.new.resolves(n.listedNew, k, k.old)
	}
	return c.old.resolves(n.listedOld, k, k.new)
}

// resolves tells whether the side can say something of a path that it does not
// list and that holds so many bytes on the other side.
func (s side) resolves(parentListed bool, k *node, bytes Bytes) bool {
	switch {
	case s.full:
		return true
	case !k.dir && parentListed:
		return false // its size here is anyone's guess
	}
	return bytes >= max(s.floor, 1)
}

// weigh recomputes, from the leaves up, what there is to explain.
func weigh(n *node) {
	n.gross, n.changed = 0, 0
	for _, k := range n.kids {
		weigh(k)
	}
	rest := n.rest(n.kids)
	n.gross = max(rest.growth(), -rest.growth())
	n.changed = max(rest.newFiles-rest.oldFiles, rest.oldFiles-rest.newFiles)
	for _, k := range n.kids {
		n.gross += k.gross
		n.changed += k.changed
	}
}
