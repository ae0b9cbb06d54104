package report

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// contentKindWords says what a kind of content is, and why it is seldom needed.
func contentKindWords(k footprint.ContentKind) string {
	switch k {
	case footprint.DebugInfo:
		return "debug sections that strip removes"
	case footprint.SymbolTables:
		return "symbol tables that strip removes"
	case footprint.SourceMaps:
		return "source maps, for debugging in a browser"
	case footprint.Bytecode:
		return "Python bytecode beside its source"
	case footprint.StaticArchives:
		return "static libraries, for linking only"
	case footprint.PackageCaches:
		return "downloads that a package manager kept"
	case footprint.VersionControl:
		return "version control history"
	case footprint.Tests:
		return "tests of packages"
	case footprint.Documentation:
		return "manuals and documentation"
	case footprint.Locales:
		return "translations and locales"
	}
	return "other content"
}

// contentKinds are all kinds of content.
func contentKinds() []footprint.ContentKind {
	return []footprint.ContentKind{
		footprint.DebugInfo, footprint.SymbolTables, footprint.SourceMaps, footprint.Bytecode, footprint.StaticArchives,
		footprint.PackageCaches, footprint.VersionControl, footprint.Tests, footprint.Documentation, footprint.Locales,
	}
}

// contents are the kinds of content that are worth a line.
func contents(img *footprint.Image) []footprint.Content {
	return slices.DeleteFunc(slices.Clone(img.Contents), func(c footprint.Content) bool { return c.Bytes <= noiseBytes })
}

// ownShare says how much of something is above the base, "" where that is not
// known.
func ownShare(img *footprint.Image, bytes, own footprint.Bytes) string {
	switch {
	case !split(img):
		return ""
	case own == 0:
		return "all in the base"
	case own == bytes:
		return "all own"
	}
	return own.String() + " own"
}

// duplicateWords says what is there more than once.
func duplicateWords(d footprint.Duplicate) string {
	if d.Dir {
		return fmt.Sprintf("%s with the same %s", countOf(d.Copies, "directory", "directories"), plural(d.Files, "file"))
	}
	return countOf(d.Copies, "copy", "copies") + " of the same file"
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(int64(n)) + " " + many
}

const (
	maxDuplicates = 8
	maxCopies     = 3
)

// duplicates are the heaviest, as many as are listed, and how many more there are.
func duplicates(img *footprint.Image) (listed []footprint.Duplicate, more int) {
	worth := slices.DeleteFunc(slices.Clone(img.Duplicates), func(d footprint.Duplicate) bool { return d.Bytes <= noiseBytes })
	n := min(len(worth), maxDuplicates)
	return worth[:n], len(worth) - n
}

// copies pairs the paths of a duplicate with the layers that hold them; more counts
// those that are not listed.
func copies(d footprint.Duplicate) (n, more int) {
	n = min(len(d.Paths), len(d.Layers), maxCopies)
	return n, max(d.Copies-n, 0)
}

// skippedWords says in one sentence which files could not be looked into, "" if all
// could. n is how many are named.
func skippedWords(skipped []footprint.Skipped, n int, q, say quote) string {
	if len(skipped) == 0 {
		return ""
	}
	var names []string
	for _, s := range skipped {
		names = append(names, q(s.Path)+" ("+say(s.Why)+")")
	}
	return "could not look into " + listed(names, n) + ": what is described there counts as unowned"
}

// surfaceList is one kind of programs of an attack surface: their names, and which of
// them came and went.
type surfaceList struct {
	one, many         string
	names, came, gone []string
}

// surfaceLists compares the programs of two images by name, since a shell that is
// linked to from two directories is one shell. was may be nil.
func surfaceLists(now, was *footprint.Surface) []surfaceList {
	out := []surfaceList{{one: "shell", many: "shells"}, {one: "package manager", many: "package managers"}, {one: "compiler", many: "compilers"}}
	lists := func(s *footprint.Surface) [][]string {
		return [][]string{s.Shells, s.PackageManagers, s.Compilers}
	}
	for i, paths := range lists(now) {
		out[i].names = baseNamesOf(paths)
		if was != nil && wholeLists(paths, lists(was)[i]) {
			before := baseNamesOf(lists(was)[i])
			out[i].came, out[i].gone = without(out[i].names, before), without(before, out[i].names)
		}
	}
	return out
}

// wholeLists tells whether two lists of a [footprint.Surface] can be compared: what
// is not in one that was cut may be there all the same.
func wholeLists(now, was []string) bool { return max(len(now), len(was)) < footprint.MaxSurface }

// baseNamesOf are the names of the files of some paths, each once, sorted.
func baseNamesOf(paths []string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, path.Base(legible(p)))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// without returns what is in list and not in other.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		return slices.ContainsFunc(other, func(o string) bool { return alike(o, s) })
	})
}

// surfaceDetail says whether programs are named where nothing is compared.
type surfaceDetail bool

const (
	onlyWhatChanged surfaceDetail = false
	everyProgram    surfaceDetail = true
)

// surface is what there is to say of an attack surface in one line: words, and
// whether it differs from that of the baseline. It is "" where it was not measured.
func (img *Image) surface(q quote, named surfaceDetail) (words string, changed bool) {
	s := img.Head.Surface
	executables, setuid := img.figure(false, footprint.Executables), img.figure(false, footprint.Setuid)
	if s == nil || !executables.known || !setuid.known {
		return "", false
	}
	var was *footprint.Surface
	if img.Base != nil && img.Delta != nil {
		was = img.Base.Surface
	}
	var came, gone []string
	if was != nil && wholeLists(s.Setuid, was.Setuid) {
		came, gone = without(s.Setuid, was.Setuid), without(was.Setuid, s.Setuid)
	}
	lists := surfaceLists(s, was)
	changed = executables.changed() || setuid.changed() || len(came)+len(gone) > 0
	for _, l := range lists {
		changed = changed || len(l.came)+len(l.gone) > 0
	}
	parts := []string{
		countOf(int(executables.now), "executable", "executables") + inBrackets(changeOf(executables)),
		count(setuid.now) + " setuid" + setuidChange(setuid, came, gone, q),
	}
	switch counts := strings.Join(parts, ", "); {
	case executables.compared && !changed:
		return "attack surface unchanged: " + counts, false
	case !executables.compared && named == onlyWhatChanged:
		return "attack surface: " + counts, false
	}
	for _, l := range lists {
		if len(l.names)+len(l.gone) > 0 {
			parts = append(parts, l.words(q))
		}
	}
	return "attack surface: " + strings.Join(parts, ", "), changed
}

// words name the programs of a kind, and those that came and went.
func (l surfaceList) words(q quote) string {
	const few = 5
	var names []string
	for _, name := range without(l.names, l.came) {
		names = append(names, q(name))
	}
	words := l.many
	if len(l.names) == 1 {
		words = l.one
	}
	if len(l.names) == 0 {
		words = "no " + l.one
	}
	if len(names) > 0 {
		words += " " + strings.Join(names[:min(len(names), few)], " ")
	}
	if more := len(names) - few; more > 0 {
		words += fmt.Sprintf(" and %d more", more)
	}
	return words + inBrackets(signedNames(l.came, "+", q), signedNames(l.gone, "−", q))
}

// changed tells whether a figure differs from that of the baseline.
func (f figure) changed() bool { return f.compared && f.now != f.was }

// changeOf is the change of a count, "" if there is none.
func changeOf(f figure) string {
	if !f.changed() {
		return ""
	}
	return signedCount(f.now - f.was)
}

// setuidChange says which setuid files came and went, or only by how many more they
// are where the baseline does not name them.
func setuidChange(f figure, came, gone []string, q quote) string {
	if len(came)+len(gone) == 0 {
		return inBrackets(changeOf(f))
	}
	var parts []string
	if len(came) > 0 {
		parts = append(parts, signedCount(int64(len(came)))+": "+signedNames(came, "", q))
	}
	if len(gone) > 0 {
		parts = append(parts, signedCount(-int64(len(gone)))+": "+signedNames(gone, "", q))
	}
	return inBrackets(strings.Join(parts, "; "))
}

// signedNames lists what came or went, "" if nothing did.
func signedNames(names []string, sign string, q quote) string {
	const few = 3
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, sign+q(name))
	}
	return listed(quoted, few)
}

// inBrackets joins what there is of some remarks, with a space before it.
func inBrackets(remarks ...string) string {
	remarks = slices.DeleteFunc(remarks, func(s string) bool { return s == "" })
	if len(remarks) == 0 {
		return ""
	}
	return " (" + strings.Join(remarks, " ") + ")"
}

// moreSurface tells whether an image holds setuid files or programs of interest to an
// intruder that its baseline did not.
func (img *Image) moreSurface() bool {
	if now, was, ok := img.compare(false, footprint.Setuid); ok && now > was {
		return true
	}
	if img.Delta == nil || img.Base == nil || img.Base.Surface == nil || img.Head.Surface == nil {
		return false
	}
	return slices.ContainsFunc(surfaceLists(img.Head.Surface, img.Base.Surface), func(l surfaceList) bool { return len(l.came) > 0 })
}
