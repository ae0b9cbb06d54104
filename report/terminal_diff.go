package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

// maxPaths is how many paths of each kind a difference lists one by one.
const maxPaths = 15

// diff explains the difference of two images.
func (s *sheet) diff(img *Image) {
	if img.Base != nil {
		s.row(0, cell{"old  ", faint}, cell{middle(plainName(reference(img.Base)), 50), bold}, cell{"  " + plainName(img.Base.Platform), plain})
	}
	s.row(0, cell{"new  ", faint}, cell{middle(plainName(reference(img.Head)), 50), bold}, cell{"  " + plainName(img.Head.Platform), plain})
	s.blank()
	if img.sameContent() {
		s.prose(0, bold, sameWords(img))
		s.prose(0, plain, contentWords(img))
		s.blank()
		s.prose(0, faint, method(img.Head))
		return
	}
	s.metrics(img.figures(true))
	if img.Delta == nil {
		s.blank()
		s.prose(0, yellow, baselineWords(img.Baseline, plainName, plainName))
		return
	}
	s.causes(img)
	s.parts(img)
	s.changedLayers(img.Delta)
	s.paths(img.Delta)
	s.moves(img.Delta.Moves)
	s.packages(img)
	if !img.sameWaste() {
		s.waste(img)
	}
	s.surface(img)
	s.blank()
	s.prose(0, faint, method(img.Head))
}

// reference is an image as the user wrote it.
func reference(img *footprint.Image) string { return cmp.Or(img.Reference, "image") }

// parts writes where the change of the unpacked size comes from, and the sum.
func (s *sheet) parts(img *Image) {
	d := img.Delta
	if d.Has&footprint.HasFiles == 0 {
		return
	}
	s.heading("where the change comes from (unpacked)")
	rows := [][]cell{}
	for _, p := range img.partList(plainName) {
		rows = append(rows, []cell{{p.name, plain}, {p.bytes.Signed(), changeTint(int64(p.bytes))}, {p.meaning, faint}})
	}
	rows = append(rows, []cell{{"sum", bold}, {d.Parts.Sum().Signed(), bold}, {"the change of unpacked", faint}})
	s.table(2, []column{{}, {right: true}, {flex: true}}, rows)
}

// share is one summand of the change.
type share struct {
	name, meaning string
	bytes         footprint.Bytes
}

// partList returns the summands that are known: where the base of an image or its
// packages were not looked at, their bytes are among the files, and a zero beside
// them would be a claim. Where no package changed there is nothing to say of them.
func (img *Image) partList(q quote) []share {
	p := img.Delta.Parts
	base := hasFiles(img.Base.Base) && hasFiles(img.Head.Base) || p.Base != 0
	packages := len(img.Delta.Packages) > 0 || p.Packages != 0
	var out []share
	above := " above the base"
	if base {
		out = append(out, share{"base", "what FROM brought", p.Base})
		if c := img.otherBase(); c != nil {
			out[0].meaning = baseNames(c, q)
		}
	} else {
		above = ""
	}
	files := share{"files", "what a container sees", p.Files}
	if base {
		files.meaning = "files above the base"
	}
	if packages {
		out = append(out, share{"packages", "packages" + above, p.Packages})
		files.meaning = "other files" + above
	}
	if !base {
		files.name += " (base not known)"
	}
	return append(out, files, share{"wasted", "shipped" + above + ", but hidden", p.Wasted})
}

func hasFiles(b *footprint.Base) bool { return b != nil && b.Metrics.Has&footprint.HasFiles != 0 }

// changedLayers lists the layers that are not the same in both images.
func (s *sheet) changedLayers(d *footprint.Delta) {
	unit, size := layerUnit(d)
	var rows [][]cell
	same := 0
	if base, known := newBaseRow(d, unit); known && base.same {
		same = d.Base.New.Metrics.Layers
	} else if known {
		rows = append(rows, []cell{{changeSign(footprint.Changed), plain}, {base.index, faint}, {base.change, changeTint(int64(base.bytes))}, {"base image " + baseNames(d.Base, plainName), plain}})
	}
	changes := ownChanges(d)
	var listed []footprint.Layer
	for _, c := range changes {
		if c.Change != footprint.Same || c.Moved {
			listed = append(listed, *either(c))
		}
	}
	file, words := originFile(listed)
	for _, c := range changes {
		if c.Change == footprint.Same && !c.Moved {
			same++
			continue
		}
		change := "–"
		t := plain
		if v, known := size(c); known {
			change, t = v.Signed(), changeTint(int64(v))
		}
		l := either(c)
		by := layerBy(l, file)
		if c.Moved {
			by += fmt.Sprintf(", moved from %d", c.Old.Index)
		}
		rows = append(rows, []cell{{changeSign(c.Change), plain}, {strconv.Itoa(l.Index), faint}, {change, t}, {by, plain}})
	}
	s.heading(fmt.Sprintf("layers (%s): %s, %d unchanged", unit, plural(len(rows), "change"), same) + words)
	s.table(2, []column{{}, {right: true}, {right: true}, {flex: true, led: true}}, rows)
}

// layerUnit chooses which bytes a comparison of layers shows.
func layerUnit(d *footprint.Delta) (string, func(footprint.LayerChange) (footprint.Bytes, bool)) {
	if d.Has&footprint.HasCompressed != 0 {
		return "compressed", footprint.LayerChange.Compressed
	}
	return "unpacked", footprint.LayerChange.Unpacked
}

// either is the new layer of a pair, or the old one of what is gone.
func either(c footprint.LayerChange) *footprint.Layer {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

// layerBy says what made a layer, with its place where that is known: by the line
// alone in the file that [originFile] named for the whole list.
func layerBy(l *footprint.Layer, file string) string {
	switch at := place(l.Origin); {
	case at == "":
		return plainName(made(l))
	case l.Origin.File == file:
		return ":" + strconv.Itoa(l.Origin.Start) + "  " + plainName(made(l))
	default:
		return plainName(at) + "  " + plainName(made(l))
	}
}

// originFile is the Dockerfile that the first of the layers with a known place came
// from, and ends a heading over them with what its lines are called below.
func originFile(layers []footprint.Layer) (file, words string) {
	for i := range layers {
		if o := layers[i].Origin; place(o) != "" {
			return o.File, " (:N is a line of " + plainName(o.File) + ")"
		}
	}
	return "", ""
}

func changeSign(c footprint.Change) string {
	switch c {
	case footprint.Added:
		return "+"
	case footprint.Removed:
		return "−"
	case footprint.Changed:
		return "~"
	}
	return "="
}

// pathGroup are the changed paths of one kind.
type pathGroup struct {
	title string
	paths []footprint.PathChange
}

// pathGroups sorts changed paths by what happened to them, heaviest first.
func pathGroups(paths []footprint.PathChange) []pathGroup {
	groups := []pathGroup{{title: "added"}, {title: "grown"}, {title: "shrunk"}, {title: "removed"}}
	for _, p := range paths {
		i := 1
		switch {
		case p.Change == footprint.Added:
			i = 0
		case p.Change == footprint.Removed:
			i = 3
		case p.Bytes < 0:
			i = 2
		case p.Bytes == 0:
			continue
		}
		groups[i].paths = append(groups[i].paths, p)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.paths, func(a, b footprint.PathChange) int {
			return cmp.Or(cmp.Compare(abs(b.Bytes), abs(a.Bytes)), cmp.Compare(a.Path, b.Path))
		})
	}
	return slices.DeleteFunc(groups, func(g pathGroup) bool { return len(g.paths) == 0 })
}

func abs(b footprint.Bytes) footprint.Bytes { return max(b, -b) }

// sumOf adds up the bytes of changed paths.
func sumOf(paths []footprint.PathChange) footprint.Bytes {
	var sum footprint.Bytes
	for _, p := range paths {
		sum += p.Bytes
	}
	return sum
}

// paths lists what was added, grown, shrunk and removed.
func (s *sheet) paths(d *footprint.Delta) {
	if d.Has&footprint.HasFiles == 0 {
		return
	}
	rest := pathRemainders(d.Paths)
	for _, g := range pathGroups(d.Paths) {
		s.heading(fmt.Sprintf("%s (unpacked): %s", g.title, sumOf(g.paths).Signed()))
		var rows [][]cell
		for i, p := range g.paths {
			if i == maxPaths {
				more := g.paths[maxPaths:]
				rows = append(rows, []cell{{sumOf(more).Signed(), faint}, {fmt.Sprintf("in %d more places", len(more)), faint}, {}})
				break
			}
			rows = append(rows, []cell{{p.Bytes.Signed(), changeTint(int64(p.Bytes))}, {pathName(p, plainName, rest), plain}, {filesOf(p), faint}})
		}
		s.table(2, []column{{right: true}, {flex: true, long: true}, {right: true}}, rows)
	}
}

// filesOf counts the files behind the change of a directory.
func filesOf(p footprint.PathChange) string {
	if !p.Dir {
		return ""
	}
	return plural(p.Files, "file")
}

// moves lists what has the same content at another path.
func (s *sheet) moves(moves []footprint.Move) {
	if len(moves) == 0 {
		return
	}
	s.heading("moved, the same content at another path (unpacked)")
	var rows [][]cell
	for i, m := range moves {
		if i == maxPaths {
			rows = append(rows, []cell{{}, {fmt.Sprintf("%d more", len(moves)-maxPaths), faint}, {}, {}, {}})
			break
		}
		from, to := moveNames(m, plainName)
		rows = append(rows, []cell{{m.Bytes.String(), plain}, {from, plain}, {"→", faint}, {to, plain}, {movedFiles(m), faint}})
	}
	s.table(2, []column{{right: true}, {flex: true, long: true, tight: true}, {tight: true}, {flex: true, long: true}, {right: true}}, rows)
}

// moveNames marks directories with a slash at the end, and says where only some of
// the files in one moved.
func moveNames(m footprint.Move, q quote) (from, to string) {
	switch {
	case !m.Dir && m.Files > 1:
		from, to = moveNames(footprint.Move{From: m.From, To: m.To, Dir: true}, q)
		return "from " + from, to
	case !m.Dir:
		return q(m.From), q(m.To)
	}
	return q(strings.TrimSuffix(legible(m.From), "/") + "/"), q(strings.TrimSuffix(legible(m.To), "/") + "/")
}

func movedFiles(m footprint.Move) string {
	if !m.Dir && m.Files <= 1 {
		return ""
	}
	return plural(m.Files, "file")
}

// packages lists packages that came, went or changed.
func (s *sheet) packages(img *Image) {
	changes := img.Delta.Packages
	if len(changes) == 0 {
		return
	}
	var of []int
	for _, p := range changes[:min(len(changes), maxPaths)] {
		of = append(of, p.Layer)
	}
	file, words := img.originOf(of)
	s.heading("packages (unpacked): " + packageCounts(changes) + words)
	var rows [][]cell
	changes, lost := lostFiles(changes)
	for i, p := range changes {
		if i == maxPaths {
			more := changes[maxPaths:]
			rows = append(rows, []cell{{}, {sumOfPackages(more).Signed(), faint}, {plural(len(more), "more package"), faint}, {}, {}, {}})
			break
		}
		version, reason := s.packageCells(p)
		rows = append(rows, []cell{
			{changeSign(p.Change), plain}, {p.Bytes.Signed(), changeTint(int64(p.Bytes))}, {plainName(packageName(p.Ecosystem, p.Name)), plain},
			version, reason, {img.layerPlace(p.Layer, file), faint},
		})
	}
	if len(lost) > 0 {
		rows = append(rows, []cell{{"~", plain}, {sumOfPackages(lost).Signed(), faint}, {plural(len(lost), "package") + " that lost files", faint}, {}, {}, {}})
	}
	s.table(2, []column{{}, {right: true}, {flex: true}, {flex: true}, {flex: true}, {flex: true}}, rows)
}

// layerPlace is the place in a Dockerfile that made a layer: the line alone in the
// file that the heading names, and the number of the layer where no place is known.
func (img *Image) layerPlace(index int, file string) string {
	l := img.layer(index)
	if l == nil {
		return ""
	}
	switch at := place(l.Origin); {
	case at != "" && l.Origin.File == file:
		return ":" + strconv.Itoa(l.Origin.Start)
	case at != "":
		return plainName(at)
	case l.InBase:
		return "base"
	}
	return fmt.Sprintf("layer %d", index)
}

// originOf is [originFile] for layers of the new image by their indexes.
func (img *Image) originOf(indexes []int) (file, words string) {
	var layers []footprint.Layer
	for _, i := range indexes {
		if l := img.layer(i); l != nil {
			layers = append(layers, *l)
		}
	}
	return originFile(layers)
}
