package footprint

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// MaxDirs is how many directories a roll-up holds where nobody asks for
// another number: enough to name what grew, few enough to be read in a diff.
const MaxDirs = 400

// RollUp sums the final filesystem up into at most maxDirs directories, the
// heaviest by everything below them, and returns them in path order together
// with the floor that [Image.DirFloor] explains. Every file is counted in the
// deepest listed directory above it; the root is listed as soon as there is a
// regular file, and so is every directory above a listed one. The files must
// be in path order. It keeps no more than maxDirs directories in memory.
func RollUp(files iter.Seq[File], maxDirs int) (dirs []Dir, floor Bytes) {
	r := roller{limit: max(maxDirs, 1)}
	for f := range files {
		if f.Kind == Regular {
			r.add(f)
		}
	}
	return r.finish()
}

func (r *roller) finish() (dirs []Dir, floor Bytes) {
	r.closeAbove("")
	r.prune()
	slices.SortFunc(r.dirs, func(a, b Dir) int { return comparePaths(a.Path, b.Path) })
	leaveToDeepest(r.dirs)
	return r.dirs, r.floor
}

// roller sums up open directories, which are those above the current file,
// and keeps the heaviest of the closed ones.
type roller struct {
	limit int
	open  []Dir
	dirs  []Dir
	floor Bytes
}

func (r *roller) add(f File) {
	r.closeAbove(f.Path)
	for _, dir := range missingDirs(r.top(), f.Path) {
		r.open = append(r.open, Dir{Path: dir})
	}
	top := &r.open[len(r.open)-1]
	top.Bytes += f.Size
	top.Files++
	if _, owned := f.Owner.Package(); owned {
		top.Owned += f.Size
	}
}

func (r *roller) top() string {
	if len(r.open) == 0 {
		return ""
	}
	return r.open[len(r.open)-1].Path
}

// closeAbove closes the directories that do not hold the path; "" is in none.
func (r *roller) closeAbove(path string) {
	for len(r.open) > 0 {
		last := len(r.open) - 1
		closed := r.open[last]
		if holds(closed.Path, path) {
			return
		}
		r.open = r.open[:last]
		if last > 0 {
			r.open[last-1].Bytes += closed.Bytes
			r.open[last-1].Files += closed.Files
			r.open[last-1].Owned += closed.Owned
		}
		r.dirs = append(r.dirs, closed)
		if len(r.dirs) >= 4*r.limit {
			r.prune()
		}
	}
}

// prune keeps the heaviest. A directory is at least as heavy as one below it
// and comes first among equals, so what stays is closed upwards.
func (r *roller) prune() {
	slices.SortFunc(r.dirs, func(a, b Dir) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), comparePaths(a.Path, b.Path))
	})
	if len(r.dirs) > r.limit {
		r.floor = max(r.floor, r.dirs[r.limit].Bytes+1)
		r.dirs = r.dirs[:r.limit]
	}
}

// leaveToDeepest turns the sums of whole directories, in path order, into what
// is in no listed directory below.
func leaveToDeepest(dirs []Dir) {
	var above []int
	for i := range dirs {
		for len(above) > 0 && !holds(dirs[above[len(above)-1]].Path, dirs[i].Path) {
			above = above[:len(above)-1]
		}
		if len(above) > 0 {
			// Those further up lose it to this one in their turn.
			parent := &dirs[above[len(above)-1]]
			parent.Bytes -= dirs[i].Bytes
			parent.Files -= dirs[i].Files
			parent.Owned -= dirs[i].Owned
		}
		above = append(above, i)
	}
}

// comparePaths orders paths component by component: what is below a directory
// follows it directly.
func comparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}

// holds tells whether path is below dir.
func holds(dir, path string) bool {
	if dir == "/" {
		return len(path) > 1
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// missingDirs lists the directories above path that are below top, outermost
// first; the root is one of them while top is "".
func missingDirs(top, path string) []string {
	var out []string
	if top == "" {
		top = "/"
		out = append(out, top)
	}
	from := len(top) + 1
	if top == "/" {
		from = 1
	}
	for from < len(path) {
		slash := strings.IndexByte(path[from:], '/')
		if slash < 0 {
			break
		}
		out = append(out, path[:from+slash])
		from += slash + 1
	}
	return out
}
