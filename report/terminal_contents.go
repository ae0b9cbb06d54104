package report

import (
	"fmt"
	"strings"

	"github.com/org/image-budget/footprint"
)

// owners writes to whom the bytes belong.
func (s *sheet) owners(img *Image) {
	all := owners(img.Head, plainName)
	if len(all) == 0 {
		return
	}
	s.heading("whose bytes these are (unpacked, in the final filesystem)")
	var rows [][]cell
	add := func(o owner, t tint) {
		row := []cell{{o.name, t}, {o.bytes.String(), bold}, {}, {o.note, faint}}
		if split(img.Head) {
			row[2].text = o.own.String()
		}
		rows = append(rows, row)
	}
	if split(img.Head) {
		rows = append(rows, []cell{{}, {"image", faint}, {"own", faint}, {}})
	}
	for _, o := range all {
		add(o, plain)
	}
	sum := sumOfOwners(all)
	sum.name, sum.note = "sum", "what a container sees"
	add(sum, bold)
	s.table(2, []column{{flex: true}, {right: true}, {right: true}, {flex: true}}, rows)
}

// inventory lists the heaviest packages, and counts the others.
func (s *sheet) inventory(img *Image) {
	if len(img.Head.Packages) == 0 {
		return
	}
	top, others := inventory(img.Head.Packages)
	var of []int
	for _, p := range top {
		of = append(of, p.Layer)
	}
	file, words := img.originOf(of)
	s.heading(fmt.Sprintf("packages (unpacked): %s", count(int64(len(img.Head.Packages)))) + words)
	var rows [][]cell
	if split(img.Head) {
		rows = append(rows, []cell{{"own", faint}, {"all", faint}, {}, {}, {}, {}})
	}
	for _, p := range top {
		version, reason := s.packageCells(footprint.PackageChange{To: p.Version, Through: p.Through, Dev: p.Dev})
		row := []cell{{}, {p.Bytes.String(), plain}, {plainName(packageName(p.Ecosystem, p.Name)), plain}, version, reason, {img.layerPlace(p.Layer, file), faint}}
		if split(img.Head) {
			row[0] = cell{p.Own.String(), bold}
		}
		rows = append(rows, row)
	}
	s.table(2, []column{{right: true}, {right: true}, {flex: true}, {flex: true}, {flex: true}, {flex: true}}, rows)
	if len(others) > 0 {
		s.prose(2, faint, otherPackages(others, plainName))
	}
}

// versionOf is the version of a package, "" where it is not known.
func versionOf(p footprint.Package, q quote) string {
	if p.Version == "" {
		return ""
	}
	return q(p.Version)
}

// packageCells are the version of a package in a table, and why it is there; where
// there is no room for both, what happened to it, or else why it is there.
func (s *sheet) packageCells(p footprint.PackageChange) (version, reason cell) {
	const roomy = 72
	version, reason = cell{versions(p, plainName), faint}, cell{withReason("", p.Through, p.Dev, plainName), faint}
	if s.width >= roomy {
		return version, reason
	}
	if p.From != "" && p.To != "" {
		return cell{}, version
	}
	return cell{}, reason
}

// contents writes what a container seldom needs, by kind.
func (s *sheet) contents(img *Image) {
	list := contents(img.Head)
	if len(list) == 0 {
		return
	}
	s.heading("what a container seldom needs (unpacked, part of the above)")
	for _, c := range list {
		words := contentKindWords(c.Kind) + ", in " + plural(c.Files, "file")
		if share := ownShare(img.Head, c.Bytes, c.Own); share != "" {
			words += ", " + share
		}
		s.weighed(c.Bytes, words)
		if c.Heaviest != "" {
			s.pathRow(weighedIndent, cell{"most in ", faint}, cell{plainName(c.Heaviest), faint})
		}
	}
}

// weighedIndent is where the text begins that stands beside a size.
const weighedIndent = 12

// weighed writes a size, and words beside it over as many lines as they need.
func (s *sheet) weighed(size footprint.Bytes, words string) {
	first := len(s.lines)
	s.prose(weighedIndent, plain, words)
	if first == len(s.lines) {
		return
	}
	text := fmt.Sprintf("%10s", size)
	s.lines[first] = s.paint(cell{text, yellow}) + strings.Repeat(" ", gap) + strings.TrimLeft(s.lines[first], " ")
}

// duplicates writes what stands at several paths.
func (s *sheet) duplicates(img *Image) {
	list, more := duplicates(img.Head)
	if len(list) == 0 {
		return
	}
	s.heading(fmt.Sprintf("duplicates: %s unpacked beyond the first copy", img.Head.DuplicateBytes))
	for _, d := range list {
		words := duplicateWords(d)
		if share := ownShare(img.Head, d.Bytes, d.Own); share != "" {
			words += ", " + share
		}
		s.weighed(d.Bytes, words)
		n, others := copies(d)
		var rows [][]cell
		for i := range n {
			name := d.Paths[i]
			if d.Dir {
				name = strings.TrimSuffix(legible(name), "/") + "/"
			}
			rows = append(rows, []cell{{plainName(name), plain}, {where(img, d.Layers[i]), faint}})
		}
		s.table(weighedIndent, []column{{flex: true, long: true}, {flex: true, led: true}}, rows)
		if others > 0 {
			s.row(weighedIndent, cell{fmt.Sprintf("and %d more", others), faint})
		}
	}
	if more > 0 {
		s.row(2, cell{fmt.Sprintf("and %d more", more), faint})
	}
}

// surface writes the attack surface of a difference.
func (s *sheet) surface(img *Image) {
	words, changed := img.surface(plainName, onlyWhatChanged)
	if words == "" {
		return
	}
	t := faint
	if changed {
		t = plain
	}
	s.blank()
	s.prose(0, t, words)
}

// maxSurface is how many programs of one kind are named.
const maxSurface = 12

// surfaceLists writes what an intruder would find, by path.
func (s *sheet) surfaceLists(img *Image) {
	surface := img.Head.Surface
	if surface == nil {
		return
	}
	s.heading("attack surface")
	for _, l := range []struct {
		what  string
		paths []string
	}{
		{"setuid", surface.Setuid}, {"shells", surface.Shells}, {"package managers", surface.PackageManagers}, {"compilers", surface.Compilers},
	} {
		words := "none"
		if n := len(l.paths); n > 0 {
			var names []string
			for _, p := range l.paths[:min(n, maxSurface)] {
				names = append(names, plainName(p))
			}
			words = strings.Join(names, "  ")
			if n > maxSurface {
				words += fmt.Sprintf(" and %d more", n-maxSurface)
			}
		}
		s.labelled(fmt.Sprintf("%-16s", l.what), words)
	}
}

// labelled writes words over as many lines as they need, with a label before them.
func (s *sheet) labelled(label, words string) {
	first := len(s.lines)
	indent := 2 + width(label) + gap
	s.prose(indent, plain, words)
	if first < len(s.lines) {
		s.lines[first] = "  " + s.paint(cell{label, faint}) + strings.Repeat(" ", gap) + strings.TrimLeft(s.lines[first], " ")
	}
}

// maxSkipped is how many files are named that could not be looked into.
const maxSkipped = 8

// skipped writes which files could not be looked into.
func (s *sheet) skipped(files []footprint.Skipped) {
	if len(files) == 0 {
		return
	}
	s.heading("could not look into: what is described there counts as unowned")
	var rows [][]cell
	for _, f := range files[:min(len(files), maxSkipped)] {
		rows = append(rows, []cell{{plainName(f.Path), plain}, {plainName(f.Why), faint}})
	}
	s.table(2, []column{{flex: true, long: true}, {flex: true}}, rows)
	if more := len(files) - maxSkipped; more > 0 {
		s.row(2, cell{fmt.Sprintf("and %d more", more), faint})
	}
}
