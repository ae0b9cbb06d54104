package report

import (
	"cmp"
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

// growTree hangs every directory below the nearest one above it that is listed,
// and sums what is below. It is linear in the length of the paths, which may be
// as deep as their author likes.
func growTree(dirs []footprint.Dir) *branch {
	sorted := slices.SortedStableFunc(slices.Values(dirs), func(a, b footprint.Dir) int { return comparePaths(a.Path, b.Path) })
	root := &branch{path: "/"}
	var nodes, parents []*branch
	above := []*branch{root}
	for _, d := range sorted {
		if d.Path == "/" {
			root.bytes, root.files = root.bytes+d.Bytes, root.files+d.Files
			continue
		}
		for len(above) > 1 && !strings.HasPrefix(d.Path, above[len(above)-1].path+"/") {
			above = above[:len(above)-1]
		}
		b := &branch{path: d.Path, bytes: d.Bytes, files: d.Files}
		nodes, parents = append(nodes, b), append(parents, above[len(above)-1])
		above = append(above, b)
	}
	// Parents come before their children, so that sums go up from the end.
	for i := len(nodes) - 1; i >= 0; i-- {
		parents[i].bytes += nodes[i].bytes
		parents[i].files += nodes[i].files
		parents[i].below = append(parents[i].below, nodes[i])
	}
	for _, b := range append(nodes, root) {
		slices.SortFunc(b.below, func(x, y *branch) int {
			return cmp.Or(cmp.Compare(y.bytes, x.bytes), cmp.Compare(x.path, y.path))
		})
	}
	collapseAll(root)
	return root
}

// comparePaths orders paths so that everything below a directory follows it.
func comparePaths(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	a, b = a[n:], b[n:]
	rank := func(s string) int {
		switch {
		case s == "":
			return -1
		case s[0] == '/':
			return 0
		}
		return 1 + int(s[0])
	}
	return cmp.Compare(rank(a), rank(b))
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
