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
	from, to string
	size     Bytes
}

// findMoves pairs files that are at a path of one image alone, by content.
func findMoves(old, new iter.Seq[File]) moves {
	var gone, came []File
	sideBySide(old, new, func(_ string, before, after File) {
		switch {
		case after.Kind == 0 && before.Kind == Regular && before.Size > 0 && len(gone) < maxMovers:
			gone = append(gone, before)
		case before.Kind == 0 && after.Kind == Regular && after.Size > 0 && len(came) < maxMovers:
			came = append(came, after)
		}
	})
	m := moves{from: map[string]bool{}, to: map[string]bool{}}
	if len(gone) == 0 || len(came) == 0 {
		return m
	}
	// The same content under the same name first, then in path order.
	for _, list := range [][]File{gone, came} {
		slices.SortStableFunc(list, func(a, b File) int {
			return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Hash, b.Hash), cmp.Compare(path.Base(a.Path), path.Base(b.Path)))
		})
	}
	pair := func(key func(a, b File) int) {
		var goneLeft, cameLeft []File
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
	content := func(a, b File) int { return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Hash, b.Hash)) }
	pair(func(a, b File) int {
		return cmp.Or(content(a, b), cmp.Compare(path.Base(a.Path), path.Base(b.Path)))
	})
	pair(content)
	return m
}

func (m *moves) add(from, to File) {
	m.from[from.Path], m.to[to.Path] = true, true
	m.bytes += from.Size
	m.pairs = append(m.pairs, movedFile{from.Path, to.Path, from.Size})
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

// list sums up the files that moved from one directory to another, whatever is
// the same in the paths below it.
func (m *moves) list() []Move {
	type place struct{ from, to string }
	sums := map[place]*Move{}
	for _, p := range m.pairs {
		at := place{p.from, p.to}
		for path.Base(at.from) == path.Base(at.to) && strings.Count(at.from, "/") > 1 && strings.Count(at.to, "/") > 1 {
			at = place{path.Dir(at.from), path.Dir(at.to)}
		}
		if sums[at] == nil {
			sums[at] = &Move{From: p.from, To: p.to}
		} else {
			*sums[at] = Move{From: at.from, To: at.to, Dir: true, Bytes: sums[at].Bytes, Files: sums[at].Files}
		}
		sums[at].Bytes += p.size
		sums[at].Files++
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
