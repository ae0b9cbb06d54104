package report

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// maxTree is how many directories a report lists.
const maxTree = 14

// branch is one line of a tree of directories.
type branch struct {
	path  string
	depth int
	bytes footprint.Bytes
	files int
	below []*branch
}

// heaviestDirs turns a roll-up, in which every file is counted once, into a tree
// of cumulative sizes, and returns its n heaviest branches, parents before their
// children and heavy before light. A directory that holds nearly all of its
// parent takes the parent's place: "/usr" tells nothing that "/usr/lib" does not.
func heaviestDirs(dirs []footprint.Dir, n int) []branch {
	if len(dirs) == 0 {
		return nil
	}
	root := growTree(dirs)
	shown := map[*branch]bool{}
	open := slices.Clone(collapse(root).below)
	for len(shown) < n && len(open) > 0 {
		at := 0
		for i, b := range open {
			if b.bytes > open[at].bytes {
				at = i
			}
		}
		b := open[at]
		open = slices.Delete(open, at, at+1)
		// Below a fiftieth of the image a directory is detail.
		if b.bytes == 0 || b.bytes < root.bytes/50 {
			break
		}
		shown[b] = true
		open = append(open, b.below...)
	}
	var out []branch
	var walk func(b *branch, depth int)
	walk = func(b *branch, depth int) {
		for _, child := range b.below {
			if shown[child] {
				line := *child
				line.depth = depth
				out = append(out, line)
				walk(child, depth+1)
			}
		}
	}
	walk(collapse(root), 0)
	if len(out) == 0 {
		out = append(out, *root)
	}
	return out
}

// growTree sums every directory into all that are above it.
func growTree(dirs []footprint.Dir) *branch {
	nodes := map[string]*branch{"/": {path: "/"}}
	var node func(p string) *branch
	listed := map[string]bool{}
	for _, d := range dirs {
		listed[d.Path] = true
	}
	node = func(p string) *branch {
		for p != "/" && !listed[p] {
			p = parentOf(p)
		}
		if b := nodes[p]; b != nil {
			return b
		}
		b := &branch{path: p}
		nodes[p] = b
		up := node(parentOf(p))
		up.below = append(up.below, b)
		return b
	}
	for _, d := range dirs {
		node(d.Path)
		for p := d.Path; ; p = parentOf(p) {
			if b := nodes[p]; b != nil {
				b.bytes += d.Bytes
				b.files += d.Files
			}
			if p == "/" {
				break
			}
		}
	}
	for _, b := range nodes {
		slices.SortFunc(b.below, func(x, y *branch) int {
			return cmp.Or(cmp.Compare(y.bytes, x.bytes), cmp.Compare(x.path, y.path))
		})
	}
	collapseAll(nodes["/"])
	return nodes["/"]
}

// parentOf is the directory above; everything that is not below "/" is in "/".
func parentOf(p string) string {
	if up := path.Dir(p); strings.HasPrefix(up, "/") && len(up) < len(p) {
		return up
	}
	return "/"
}

// collapse skips directories of which one child holds nearly everything.
func collapse(b *branch) *branch {
	for b.path != "/" && len(b.below) > 0 && b.below[0].bytes > b.bytes-b.bytes/20 {
		b = b.below[0]
	}
	return b
}

func collapseAll(b *branch) {
	for i, child := range b.below {
		b.below[i] = collapse(child)
		collapseAll(b.below[i])
	}
}

func indentBy(depth int) string { return strings.Repeat("  ", min(depth, 6)) }

// deadByWeight orders hidden bytes, heaviest first.
func deadByWeight(dead []footprint.Dead) []footprint.Dead {
	return slices.SortedStableFunc(slices.Values(dead), func(a, b footprint.Dead) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.In, b.In), cmp.Compare(a.By, b.By), cmp.Compare(a.Fate, b.Fate))
	})
}
