package advice

import (
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// leftOut is what a rewrite does not ship: files, and what lower layers keep of
// them, by path, and the bytes of packages by name.
type leftOut struct {
	files    []leftFile
	packages map[string]footprint.Bytes
}

type leftFile struct {
	path  string
	bytes footprint.Bytes
}

func (l *leftOut) add(img *footprint.Image, f footprint.File) {
	l.files = append(l.files, leftFile{f.Path, f.Size})
	if i, ok := f.Owner.Package(); ok && i < len(img.Packages) {
		l.packages[img.Packages[i].Name] += f.Size
	}
}

// holds tells whether at least these bytes of a path or package are left out.
func (l *leftOut) holds(w footprint.WeighedPath) bool {
	if !strings.HasPrefix(w.Path, "/") {
		return l.packages[w.Path] >= w.Bytes
	}
	var sum footprint.Bytes
	for _, f := range l.files {
		if f.path == w.Path || w.Path == "/" || strings.HasPrefix(f.path, w.Path+"/") {
			sum += f.bytes
		}
	}
	return sum >= w.Bytes
}

// within sets Within of the suggestions, heaviest first, whose paths are taken
// away by a heavier one: the rewrite in stages, or the tools of a build leaving.
func (s *subject) within(all []footprint.Suggestion) {
	rewrite := slices.IndexFunc(all, func(o footprint.Suggestion) bool {
		return o.Rule == singleStageID && len(o.Edits) > 0
	})
	tools := slices.IndexFunc(all, func(o footprint.Suggestion) bool { return o.Rule == buildToolsInFinalStage.ID })
	for i := range all {
		o := &all[i]
		if o.Rule == missingRuntimeFile.ID || o.Hint || o.Bytes == 0 || o.Metric != footprint.Unpacked || len(o.Paths) == 0 ||
			slices.ContainsFunc(Rules(), func(r Rule) bool { return r.ID == o.Rule && r.Apart }) {
			continue
		}
		all := func(holds func(footprint.WeighedPath) bool) bool {
			return !slices.ContainsFunc(o.Paths, func(w footprint.WeighedPath) bool { return !holds(w) })
		}
		switch {
		case rewrite >= 0 && rewrite < i && s.left != nil && all(s.left.holds):
			o.Within = singleStageID
		case tools >= 0 && tools < i && all(func(w footprint.WeighedPath) bool { return s.tools[w.Path] }):
			o.Within = buildToolsInFinalStage.ID
		}
	}
}
