package footprint

import (
	"cmp"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxMovers bounds the files that are remembered on each side to find out what
// moved. Of more, the first in path order are.
const maxMovers = 200_000

// moves are the files that have the same content at another path. They cancel
// each other out, so they explain nothing.
type moves struct {
	// from and to hold the paths in the old and in the new image.
	from, to map[string]bool
	bytes    Bytes
	pairs    []movedFile
}

type movedFile struct {
	from, to mover
}

// mover is a file that is in one image alone.
type mover struct {
	File
	// kept is the length of the deepest directory above it that the other image
	// has, too: 0 for the root.
	kept int
}

// findMoves pairs files that are at a path of one image alone, by content.
func findMoves(old, new iter.Seq[File]) moves {
	var gone, came movers
	sideBySide(old, new, func(_ string, before, after File) {
		if before.Kind != 0 {
			came.beside(before.Path)
		}
		if after.Kind != 0 {
			gone.beside(after.Path)
		}
		switch {
		case after.Kind == 0 && before.Kind == Regular && before.Size > 0:
			gone.add(before)
		case before.Kind == 0 && after.Kind == Regular && after.Size > 0:
			came.add(after)
		}
	})
	return pairMoves(gone.files, came.files)
}

// movers collects files of one image in path order.
type movers struct {
	files []mover
	// last is the path of the other image before the current one, and waiting
	// counts the files behind it, for which the next one is not known yet.
	last    string
	waiting int
}

func (m *movers) add(f File) {
	if len(m.files) < maxMovers {
		m.files = append(m.files, mover{f, keptDir(f.Path, m.last)})
		m.waiting++
	}
}

// beside tells of the next path of the other image. What is below one directory
// stands together, so the paths right before and right after a file are enough to
// tell which directories above it are there.
func (m *movers) beside(path string) {
	for i := range m.files[len(m.files)-m.waiting:] {
		f := &m.files[len(m.files)-m.waiting+i]
		f.kept = max(f.kept, keptDir(f.Path, path))
	}
	m.last, m.waiting = path, 0
}

// keptDir is the length of the deepest directory above a file that is or holds the
// other path.
func keptDir(file, other string) int {
	n := 0
	for n < len(file) && n < len(other) && file[n] == other[n] {
		n++
	}
	if n == len(other) && n < len(file) && file[n] == '/' {
		return n
	}
	return max(0, strings.LastIndexByte(file[:n], '/'))
}

func pairMoves(gone, came []mover) moves {
	m := moves{from: map[string]bool{}, to: map[string]bool{}}
	if len(gone) == 0 || len(came) == 0 {
		return m
	}
	// The same content under the same name first, then in path order.
	for _, list := range [][]mover{gone, came} {
		slices.SortStableFunc(list, func(a, b mover) int {
			return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Hash, b.Hash), cmp.Compare(path.Base(a.Path), path.Base(b.Path)))
		})
	}
	pair := func(key func(a, b mover) int) {
		var goneLeft, cameLeft []mover
		i, j := 0, 0
		for i < len(gone) && j < len(came) {
			switch order := key(gone[i], came[j]); {
			case order < 0:
				goneLeft = append(goneLeft, gone[i])
				i++
			case order > 0:
				cameLeft = append(cameLeft, came[j])
				j++
			default:
				m.add(gone[i], came[j])
				i, j = i+1, j+1
			}
		}
		gone, came = append(goneLeft, gone[i:]...), append(cameLeft, came[j:]...)
	}
	content := func(a, b mover) int { return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Hash, b.Hash)) }
	pair(func(a, b mover) int {
		return cmp.Or(content(a, b), cmp.Compare(path.Base(a.Path), path.Base(b.Path)))
	})
	pair(content)
	return m
}

func (m *moves) add(from, to mover) {
	m.from[from.Path], m.to[to.Path] = true, true
	m.bytes += from.Size
	m.pairs = append(m.pairs, movedFile{from, to})
}

// stay walks the files that did not move.
func (m *moves) stay(files iter.Seq[File], moved map[string]bool) iter.Seq[File] {
	if len(moved) == 0 {
		return files
	}
	return func(yield func(File) bool) {
		for f := range files {
			if !moved[f.Path] && !yield(f) {
				return
			}
		}
	}
}

// dirs are the outermost directories that moved with the file in them, or those that
// it stood and stands in; named is false where it has another name now.
func (p movedFile) dirs() (from, to string, whole, named bool) {
	a, b := p.from.Path, p.to.Path
	for i, j := len(a)-1, len(b)-1; i >= 0 && j >= 0 && a[i] == b[j]; i, j = i-1, j-1 {
		if a[i] != '/' {
			continue
		}
		moved := i > p.from.kept && j > p.to.kept
		if moved || !named {
			from, to, whole, named = cmp.Or(a[:i], "/"), cmp.Or(b[:j], "/"), moved, true
		}
		if !moved {
			break
		}
	}
	return from, to, whole, named
}

// list sums up the files that moved from one directory to another: as a whole one
// where the old directory is gone and the new one was not there, and else those
// that have kept their names.
func (m *moves) list() []Move {
	type place struct {
		from, to string
		dir      bool
	}
	sums := map[place]*Move{}
	for _, p := range m.pairs {
		at := place{from: p.from.Path, to: p.to.Path}
		if from, to, dir, named := p.dirs(); named {
			at = place{from, to, dir}
		}
		sum := sums[at]
		if sum == nil {
			sum = &Move{From: p.from.Path, To: p.to.Path}
			sums[at] = sum
		} else {
			*sum = Move{From: at.from, To: at.to, Dir: at.dir, Bytes: sum.Bytes, Files: sum.Files}
		}
		sum.Bytes += p.from.Size
		sum.Files++
	}
	var out []Move
	for _, s := range slices.Collect(maps.Values(sums)) {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), comparePaths(a.From, b.From), comparePaths(a.To, b.To))
	})
	return out[:min(len(out), MaxMoves)]
}
