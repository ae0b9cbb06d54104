package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// maxHTMLRows is how many rows a table of a page has. The page says what is left
// out; the heaviest come first.
const maxHTMLRows = 2000

// maxHTMLLines is how many limits that are exceeded have a sentence at the top.
const maxHTMLLines = 3

// htmlTable is a table as the page shows it without a script, which adds sorting,
// searching and filtering.
type htmlTable struct {
	ID, Title, Words string
	Columns          []htmlColumn
	Rows             [][]htmlCell
	// More says what is left out, "" if nothing is.
	More string
	// Search offers a field to search in, Filter a choice among the values of the
	// first column.
	Search, Filter bool
}

// htmlColumn is one column of a table.
type htmlColumn struct {
	Name string
	// Number aligns it to the right and sorts it by Value, Minor leaves it out
	// where there is little room.
	Number, Minor, Bar bool
}

// htmlCell is a cell of a table.
type htmlCell struct {
	// Text is what it says, Sub what stands below in small letters.
	Text, Sub string
	// Value is what a column of numbers is sorted by.
	Value int64
	// Class is the class of what it says: pass, warn, fail, grown, shrunk, path or
	// faint.
	Class string
	// Bar and Mark are percentages: how long a bar is, and how much of it, from
	// its start, is marked.
	Bar, Mark string
}

// htmlFigure is one of the large numbers at the top.
type htmlFigure struct{ Label, Now, Was, Change, Percent, Class, Meaning string }

// htmlImage is what the page says of an image.
type htmlImage struct {
	Index                                int
	Name, Platform, Badge, Class, Source string
	// Lines are sentences that sum it up, Facts those that say how it was measured.
	Lines    []string
	Facts    []string
	Figures  []htmlFigure
	Judgment []htmlTable
	// Advice are the suggestions, and MoreAdvice says how many are left out.
	Advice     []htmlAdvice
	MoreAdvice string
	Details    []htmlTable
	// Course is how the size went over the last commits, nil if that is not known.
	Course *htmlCourse
	// Treemap says that there is one, and TreeWords what is in it.
	Treemap   bool
	TreeWords []string
}

func textCell(s string) htmlCell { return htmlCell{Text: s} }

func pathCell(s string) htmlCell { return htmlCell{Text: plainName(s), Class: "path"} }

func sizeCell(b footprint.Bytes) htmlCell { return htmlCell{Text: b.String(), Value: int64(b)} }

func numberCell(n int) htmlCell { return htmlCell{Text: count(int64(n)), Value: int64(n)} }

// noneCell is a number that is not known, or a change that there is none of.
func noneCell() htmlCell { return htmlCell{Text: "–", Class: "faint", Value: -1 << 62} }

func changeCell(b footprint.Bytes) htmlCell {
	c := htmlCell{Text: b.Signed(), Value: int64(b), Class: "faint"}
	switch {
	case b > 0:
		c.Class = "grown"
	case b < 0:
		c.Class = "shrunk"
	}
	return c
}

// percentBar is a part of a whole for a bar.
func percentBar(part, whole footprint.Bytes) string {
	if whole <= 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64)
}

// cap takes the rows of a table above the limit away, and says how many.
func (t htmlTable) cap() htmlTable {
	if n := len(t.Rows) - maxHTMLRows; n > 0 {
		t.Rows = t.Rows[:maxHTMLRows]
		t.More = plural(n, "more row") + " not shown: the page holds the first " + count(maxHTMLRows)
	}
	return t
}

// statusClass is the class of a status, which the stylesheet colours.
func statusClass(s budget.Status) string {
	switch s {
	case budget.Fail:
		return "fail"
	case budget.Warn, budget.Waived:
		return "warn"
	case budget.NotMeasured:
		return "faint"
	}
	return "pass"
}

// htmlView puts an image into words and tables.
func (img *Image) htmlView(index int, kind Kind) htmlImage {
	head := img.Head
	out := htmlImage{Index: index, Name: plainName(img.title()), Platform: head.Platform, Source: subject(head, plainName)}
	if out.Platform != "" {
		out.Platform = plainName(out.Platform)
	}
	if kind == Check {
		out.Badge, out.Class = sign(img.Verdict.Status)+" "+verdict(img), statusClass(img.Verdict.Status)
	}
	out.Lines = img.htmlLines(kind)
	for _, f := range img.figures(true) {
		if f.own && len(f.checks) == 0 {
			continue
		}
		was, now, change := f.texts()
		figure := htmlFigure{Label: f.label(), Now: now, Was: was, Change: change, Percent: together(f.percent(1)), Meaning: meaning(f.metric)}
		if f.own {
			figure.Meaning = "without the base image"
		}
		if !f.known {
			figure.Now = "–"
		}
		switch {
		case f.compared && f.now == f.was:
			figure.Was, figure.Meaning = "", "unchanged"
		case f.compared && f.now > f.was:
			figure.Class = "grown"
		case f.compared && f.now < f.was:
			figure.Class = "shrunk"
		}
		out.Figures = append(out.Figures, figure)
	}
	for _, t := range []htmlTable{img.checksTable(), img.causesTable(), img.shrunkTable(), img.partsTable()} {
		if len(t.Rows) > 0 {
			t.ID += "-" + strconv.Itoa(index)
			out.Judgment = append(out.Judgment, t.cap())
		}
	}
	for _, t := range []htmlTable{
		img.layersTable(), img.packagesTable(), img.pathsTable(), img.movesTable(), img.wasteTable(), img.deadFilesTable(),
		img.duplicatesTable(), img.contentsTable(), img.surfaceTable(), img.largestTable(), img.skippedTable(), img.historyTable(),
	} {
		if len(t.Rows) > 0 {
			t.ID += "-" + strconv.Itoa(index)
			out.Details = append(out.Details, t.cap())
		}
	}
	out.Advice, out.MoreAdvice = img.advice(index)
	out.Course = img.course()
	if cost := img.cost(); cost != "" {
		out.Facts = append(out.Facts, cost)
	}
	if kind != Inspect {
		out.Facts = append(out.Facts, baselineWords(img.Baseline, plainName, plainName))
	}
	if head.Base != nil {
		out.Facts = append(out.Facts, baseWords(head.Base, plainName))
	}
	out.Facts = append(out.Facts, method(head))
	return out
}

// htmlLines are the sentences at the top.
func (img *Image) htmlLines(kind Kind) []string {
	var lines []string
	name := plainName(img.title())
	for _, status := range []budget.Status{budget.Fail, budget.Warn} {
		for _, c := range img.Verdict.Checks {
			if c.Status == status {
				lines = append(lines, over(name, c, plainName))
			}
		}
	}
	if more := len(lines) - maxHTMLLines; more > 1 {
		lines = append(lines[:maxHTMLLines], fmt.Sprintf("and %s, below", plural(more, "more limit")))
	}
	if kind == Check && len(lines) == 0 {
		lines = append(lines, sentence(name, verdict(img)))
	}
	if kind == Diff && img.Base != nil {
		lines = append(lines, plainName(reference(img.Base))+" → "+plainName(reference(img.Head)))
	}
	if img.sameContent() {
		lines = append(lines, sameWords(img))
	} else if f := img.figure(false, img.sizeMetric()); f.compared {
		was, now, change := f.texts()
		words := string(f.metric) + " " + was + " → " + now
		if f.now != f.was {
			words += ", " + change
		}
		lines = append(lines, words)
	} else {
		lines = append(lines, sizeWords(img))
	}
	if aside := img.baseAside(plainName); aside != "" {
		lines = append(lines, aside)
	}
	if pull := img.update(); pull != "" {
		lines = append(lines, "a host that has the baseline pulls "+pull)
	}
	for _, note := range img.Verdict.Notes {
		lines = append(lines, plainName(note))
	}
	return lines
}

func (img *Image) checksTable() htmlTable {
	t := htmlTable{ID: "checks", Title: "Budget", Columns: []htmlColumn{{Name: "limit"}, {Name: "status"}, {Name: "actual", Number: true}, {Name: "allowed", Number: true, Minor: true}, {Name: "rule", Minor: true}}}
	for _, c := range img.Verdict.Checks {
		actual, allowed := noneCell(), noneCell()
		if c.Status != budget.NotMeasured {
			actual = htmlCell{Text: amount(c, c.Actual), Value: c.Actual}
		}
		if c.Kind != budget.KindForbid && (c.Status != budget.NotMeasured || !c.Kind.IsGrowth()) {
			allowed = htmlCell{Text: amount(c, c.Allowed), Value: c.Allowed}
		}
		why := remark(c, plainName)
		if c.Status != budget.Pass && why == "" {
			var examples []string
			for _, e := range c.Examples {
				examples = append(examples, plainName(e))
			}
			why = strings.Join(examples, ", ")
		}
		t.Rows = append(t.Rows, []htmlCell{
			{Text: plainName(c.Limit), Sub: why, Class: "path"},
			{Text: sign(c.Status) + " " + state(c), Class: statusClass(c.Status)},
			actual, allowed, textCell(together(rule(c, plainName))),
		})
	}
	return t
}

// together keeps a few words on one line.
func together(s string) string {
	if len(s) > 24 {
		return s
	}
	return strings.ReplaceAll(s, " ", "\u00a0")
}

// layerCell names a layer: its place in the Dockerfile, its instruction below.
func (img *Image) layerCell(index int) htmlCell {
	l := img.layer(index)
	if l == nil {
		return noneCell()
	}
	by := plainName(made(l))
	at := place(l.Origin)
	if at == "" {
		return htmlCell{Text: fmt.Sprintf("layer %d", l.Index), Sub: by, Value: int64(index)}
	}
	return htmlCell{Text: plainName(at), Sub: by, Value: int64(index)}
}

func (img *Image) causesTable() htmlTable {
	t := htmlTable{ID: "causes", Title: "What grew", Columns: []htmlColumn{{Name: "bytes", Number: true}, {Name: "what"}, {Name: "brought by"}}}
	if img.Delta == nil {
		return t
	}
	rest := causeRemainders(img.Delta.Causes)
	for _, c := range img.causes() {
		by := img.layerCell(c.Layer)
		if c.Mostly && c.Layer >= 0 {
			by.Text = "mostly " + by.Text
		}
		grown := changeCell(c.Bytes)
		grown.Sub = kindOf(c.Metric)
		t.Rows = append(t.Rows, []htmlCell{grown, {Text: img.causeWhat(c, plainName, rest), Class: "path"}, by})
	}
	return t
}

func (img *Image) shrunkTable() htmlTable {
	t := htmlTable{ID: "shrunk", Title: "What shrank", Columns: []htmlColumn{{Name: "unpacked", Number: true}, {Name: "what"}}}
	for _, c := range img.shrunk() {
		t.Rows = append(t.Rows, []htmlCell{changeCell(c.bytes), {Text: c.what(plainName), Class: "path"}})
	}
	return t
}

func (img *Image) partsTable() htmlTable {
	t := htmlTable{ID: "parts", Title: "Where the change comes from", Columns: []htmlColumn{{Name: "part"}, {Name: "unpacked", Number: true}, {Name: "what it is", Minor: true}}}
	if img.Delta == nil || img.Delta.Has&footprint.HasFiles == 0 || img.sameContent() {
		return t
	}
	for _, p := range img.partList(plainName) {
		t.Rows = append(t.Rows, []htmlCell{textCell(p.name), changeCell(p.bytes), {Text: p.meaning, Class: "faint"}})
	}
	t.Rows = append(t.Rows, []htmlCell{{Text: "sum", Class: "strong"}, changeCell(img.Delta.Parts.Sum()), {Text: "the change of unpacked", Class: "faint"}})
	return t
}

func (img *Image) layersTable() htmlTable {
	compared := img.Delta != nil
	t := htmlTable{ID: "layers", Title: "Layers", Words: "base first; the mark in a bar is what no container can see of it", Columns: []htmlColumn{
		{Name: "#", Number: true}, {Name: "made by"}, {Name: "compressed", Number: true}, {Name: "unpacked", Number: true},
		{Name: "wasted", Number: true}, {Name: "share", Bar: true, Minor: true}, {Name: "files", Number: true, Minor: true},
	}}
	var changes map[int]footprint.LayerChange
	if compared {
		t.Columns = append(t.Columns, htmlColumn{Name: "change", Number: true})
		changes = map[int]footprint.LayerChange{}
		for _, c := range img.Delta.Layers {
			if c.New != nil {
				changes[c.New.Index] = c
			}
		}
	}
	var most footprint.Bytes
	weigh := func(l *footprint.Layer) footprint.Bytes {
		if img.Head.Metrics.Has&footprint.HasFiles == 0 {
			return l.Compressed
		}
		return l.Unpacked
	}
	for i := range img.Head.Layers {
		most = max(most, weigh(&img.Head.Layers[i]))
	}
	for i := range img.Head.Layers {
		l := &img.Head.Layers[i]
		by := img.layerCell(i)
		if place(l.Origin) == "" {
			by.Text, by.Sub = by.Sub, ""
		}
		by.Class = "path"
		if l.InBase {
			by.Sub = strings.TrimPrefix(by.Sub+" · from the base image", " · ")
		}
		compressed, unpacked, wasted, files := layerTexts(l)
		wastedCell := htmlCell{Text: wasted, Value: int64(l.Wasted)}
		if l.Wasted > 0 {
			wastedCell.Class = "warn"
		}
		row := []htmlCell{
			numberCell(l.Index), by, {Text: compressed, Value: int64(l.Compressed)}, {Text: unpacked, Value: int64(l.Unpacked)}, wastedCell,
			{Bar: percentBar(weigh(l), most), Mark: percentBar(l.Wasted, most), Value: int64(weigh(l))}, {Text: files, Value: int64(l.Files)},
		}
		if compared {
			row = append(row, layerChangeCell(img.Delta, changes[l.Index]))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// layerChangeCell says what happened to a layer.
func layerChangeCell(d *footprint.Delta, c footprint.LayerChange) htmlCell {
	if c.Change == footprint.Same || c.New == nil {
		return htmlCell{Text: "same", Class: "faint"}
	}
	_, size := layerUnit(d)
	v, known := size(c)
	if !known {
		return htmlCell{Text: string(c.Change)}
	}
	out := changeCell(v)
	if c.Change == footprint.Added {
		out.Sub = "new"
	}
	return out
}

// htmlPackageKey is what tells packages apart, whatever their version.
type htmlPackageKey struct{ ecosystem, name string }

func (img *Image) packagesTable() htmlTable {
	t := htmlTable{ID: "packages", Title: "Packages", Words: "their files in the final filesystem, unpacked", Search: true, Filter: true, Columns: []htmlColumn{
		{Name: "ecosystem"}, {Name: "package"}, {Name: "version"}, {Name: "size", Number: true}, {Name: "share", Bar: true, Minor: true},
		{Name: "own", Number: true, Minor: true}, {Name: "files", Number: true, Minor: true}, {Name: "brought by", Minor: true},
	}}
	changes := map[htmlPackageKey]footprint.PackageChange{}
	compared := img.Delta != nil && (len(img.Delta.Packages) > 0 || img.Base != nil && img.Base.Rest != nil && img.Head.Rest != nil)
	if compared {
		t.Columns = append(t.Columns, htmlColumn{Name: "change", Number: true})
		for _, c := range img.Delta.Packages {
			changes[htmlPackageKey{c.Ecosystem, c.Name}] = c
		}
	}
	var most footprint.Bytes
	for _, p := range img.Head.Packages {
		most = max(most, p.Bytes)
	}
	for _, p := range img.Head.Packages {
		name := htmlCell{Text: plainName(p.Name), Class: "path"}
		name.Sub = htmlPackageWords(p.Through, p.Path, p.Dev)
		row := []htmlCell{
			textCell(tool(p.Ecosystem, plainName)), name, versionCell(p.Version), sizeCell(p.Bytes), {Bar: percentBar(p.Bytes, most), Mark: "0", Value: int64(p.Bytes)},
			sizeCell(p.Own), numberCell(p.Files), img.layerCell(p.Layer),
		}
		if compared {
			key := htmlPackageKey{p.Ecosystem, p.Name}
			c, changed := changes[key]
			row = append(row, htmlCell{Text: "same", Class: "faint"})
			if changed {
				// Several versions of one name change together.
				delete(changes, key)
				row[2] = versionChangeCell(c)
				row[len(row)-1] = packageChangeCell(c)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	if compared {
		for _, c := range img.Delta.Packages {
			if c.Change == footprint.Removed {
				name := htmlCell{Text: plainName(c.Name), Sub: htmlPackageWords(c.Through, "", c.Dev), Class: "path"}
				t.Rows = append(t.Rows, []htmlCell{textCell(tool(c.Ecosystem, plainName)), name, versionChangeCell(c), noneCell(), {Bar: "0", Mark: "0"}, noneCell(), noneCell(), noneCell(), packageChangeCell(c)})
			}
		}
	}
	return t
}

func versionCell(v string) htmlCell {
	if v == "" {
		return noneCell()
	}
	return htmlCell{Text: plainName(v), Class: "version"}
}

// htmlPackageWords says why a package is there, and where.
func htmlPackageWords(through, at string, dev bool) string {
	var words []string
	if through != "" {
		words = append(words, "through "+plainName(through))
	}
	if dev {
		words = append(words, "for development")
	}
	if at != "" {
		words = append(words, plainName(at))
	}
	return strings.Join(words, " · ")
}

func versionChangeCell(c footprint.PackageChange) htmlCell {
	return htmlCell{Text: versions(c, plainName), Class: "version"}
}

func packageChangeCell(c footprint.PackageChange) htmlCell {
	out := changeCell(c.Bytes)
	switch c.Change {
	case footprint.Added:
		out.Sub = "new"
	case footprint.Removed:
		out.Sub = "gone"
	}
	return out
}

func (img *Image) pathsTable() htmlTable {
	t := htmlTable{ID: "paths", Title: "Changed files and directories", Words: "unpacked, in the final filesystem", Search: true, Columns: []htmlColumn{
		{Name: "path"}, {Name: "change", Number: true}, {Name: "old", Number: true, Minor: true}, {Name: "new", Number: true}, {Name: "brought by", Minor: true},
	}}
	if img.Delta == nil || img.Delta.Has&footprint.HasFiles == 0 {
		return t
	}
	rest := pathRemainders(img.Delta.Paths)
	for _, p := range img.Delta.Paths {
		what := htmlCell{Text: pathName(p, plainName, rest), Class: "path"}
		if p.Dir {
			what.Sub = plural(p.Files, "file")
		}
		moved := changeCell(p.Bytes)
		switch p.Change {
		case footprint.Added:
			moved.Sub = "new"
		case footprint.Removed:
			moved.Sub = "gone"
		}
		t.Rows = append(t.Rows, []htmlCell{what, moved, sizeCell(p.Old), sizeCell(p.New), img.layerCell(p.Layer)})
	}
	return t
}

func (img *Image) movesTable() htmlTable {
	t := htmlTable{ID: "moves", Title: "Moved", Words: "the same content at another path than before", Columns: []htmlColumn{{Name: "from"}, {Name: "to"}, {Name: "size", Number: true}, {Name: "files", Number: true, Minor: true}}}
	if img.Delta == nil {
		return t
	}
	for _, m := range img.Delta.Moves {
		from := pathCell(m.From)
		if !m.Dir && m.Files > 1 {
			from.Sub = "some of its files"
		}
		t.Rows = append(t.Rows, []htmlCell{from, pathCell(m.To), sizeCell(m.Bytes), numberCell(m.Files)})
	}
	return t
}

func (img *Image) wasteTable() htmlTable {
	t := htmlTable{ID: "waste", Title: "Waste", Words: "shipped in a layer, and hidden by a later one", Columns: []htmlColumn{
		{Name: "wasted", Number: true}, {Name: "what"}, {Name: "shipped by"}, {Name: "hidden by"},
	}}
	for _, d := range deadByWeight(img.Head.Dead) {
		t.Rows = append(t.Rows, []htmlCell{sizeCell(d.Bytes), {Text: plainName(d.Under), Sub: plural(d.Files, "file") + ", " + fateWords(d.Fate), Class: "path"}, img.layerCell(d.In), img.layerCell(d.By)})
	}
	return t
}

func (img *Image) deadFilesTable() htmlTable {
	t := htmlTable{ID: "wasted-files", Title: "Heaviest wasted files", Search: true, Columns: []htmlColumn{{Name: "path"}, {Name: "wasted", Number: true}, {Name: "layer", Number: true, Minor: true}, {Name: "hidden", Minor: true}}}
	for _, f := range img.Head.DeadFiles {
		t.Rows = append(t.Rows, []htmlCell{pathCell(f.Path), sizeCell(f.Bytes), numberCell(f.In), textCell(fmt.Sprintf("%s by layer %d", fateShort(f.Fate), f.By))})
	}
	return t
}

func (img *Image) duplicatesTable() htmlTable {
	t := htmlTable{ID: "duplicates", Title: "Duplicates", Columns: []htmlColumn{{Name: "spare bytes", Number: true}, {Name: "own", Number: true, Minor: true}, {Name: "where"}, {Name: "copies", Number: true}, {Name: "files", Number: true, Minor: true}}}
	if img.Head.DuplicateBytes > 0 {
		t.Words = img.Head.DuplicateBytes.String() + " in copies beyond the first"
	}
	for _, d := range img.Head.Duplicates {
		var where []string
		for i, p := range d.Paths {
			if p = plainName(p); d.Dir {
				p = strings.TrimSuffix(p, "/") + "/"
			}
			if i < len(d.Layers) {
				p += fmt.Sprintf(" (layer %d)", d.Layers[i])
			}
			where = append(where, p)
		}
		cell := htmlCell{Class: "path"}
		if len(where) > 0 {
			cell.Text, cell.Sub = where[0], strings.Join(where[1:], ", ")
		}
		if more := d.Copies - len(where); more > 0 {
			cell.Sub += fmt.Sprintf(" and %s more", count(int64(more)))
		}
		t.Rows = append(t.Rows, []htmlCell{sizeCell(d.Bytes), sizeCell(d.Own), cell, numberCell(d.Copies), numberCell(d.Files)})
	}
	return t
}

func (img *Image) contentsTable() htmlTable {
	t := htmlTable{ID: "contents", Title: "Contents that a container seldom needs", Columns: []htmlColumn{{Name: "kind"}, {Name: "bytes", Number: true}, {Name: "share", Bar: true, Minor: true}, {Name: "own", Number: true, Minor: true}, {Name: "files", Number: true, Minor: true}, {Name: "heaviest file"}}}
	var most footprint.Bytes
	for _, c := range img.Head.Contents {
		most = max(most, c.Bytes)
	}
	for _, c := range img.Head.Contents {
		t.Rows = append(t.Rows, []htmlCell{
			{Text: plainName(strings.ReplaceAll(string(c.Kind), "-", " ")), Sub: contentKindWords(c.Kind)}, sizeCell(c.Bytes), {Bar: percentBar(c.Bytes, most), Mark: "0", Value: int64(c.Bytes)},
			sizeCell(c.Own), numberCell(c.Files), pathCell(c.Heaviest),
		})
	}
	return t
}

func (img *Image) surfaceTable() htmlTable {
	t := htmlTable{ID: "surface", Title: "Attack surface", Filter: true, Search: true, Columns: []htmlColumn{{Name: "kind"}, {Name: "path"}}}
	s := img.Head.Surface
	if s == nil {
		return t
	}
	var was footprint.Surface
	compared := img.Base != nil && img.Base.Surface != nil
	if compared {
		was = *img.Base.Surface
		t.Columns = append(t.Columns, htmlColumn{Name: "baseline"})
	}
	var words []string
	for _, g := range []struct {
		kind     string
		now, was []string
	}{
		{"setuid", s.Setuid, was.Setuid}, {"shell", s.Shells, was.Shells},
		{"package manager", s.PackageManagers, was.PackageManagers}, {"compiler", s.Compilers, was.Compilers},
	} {
		noun := g.kind
		if noun == "setuid" {
			noun = "setuid file"
		}
		word := plural(len(g.now), noun)
		if len(g.now) >= footprint.MaxSurface {
			word = "at least " + word
		}
		whole := wholeLists(g.now, g.was)
		if compared && whole && len(g.now) != len(g.was) {
			word += " (" + signedCount(int64(len(g.now)-len(g.was))) + ")"
		}
		words = append(words, word)
		for _, p := range g.now {
			row := []htmlCell{textCell(g.kind), pathCell(p)}
			if compared {
				row = append(row, htmlCell{Text: "there too", Class: "faint"})
				switch there := slices.Contains(g.was, p); {
				case !there && whole:
					row[2] = htmlCell{Text: "new", Class: "grown"}
				case !there:
					row[2] = htmlCell{Text: "not known", Class: "faint"}
				}
			}
			t.Rows = append(t.Rows, row)
		}
		for _, p := range g.was {
			if whole && !slices.Contains(g.now, p) {
				t.Rows = append(t.Rows, []htmlCell{textCell(g.kind), pathCell(p), {Text: "gone", Class: "shrunk"}})
			}
		}
	}
	t.Words = strings.Join(words, ", ")
	return t
}

func (img *Image) largestTable() htmlTable {
	t := htmlTable{ID: "largest", Title: "Largest files", Columns: []htmlColumn{{Name: "path"}, {Name: "unpacked", Number: true}, {Name: "brought by", Minor: true}}}
	for _, f := range img.LargestFiles {
		t.Rows = append(t.Rows, []htmlCell{pathCell(f.Path), sizeCell(f.Size), img.layerCell(f.Layer)})
	}
	return t
}

func (img *Image) skippedTable() htmlTable {
	t := htmlTable{ID: "skipped", Title: "Not looked into", Columns: []htmlColumn{{Name: "path"}, {Name: "why"}}}
	for _, s := range img.Head.Skipped {
		t.Rows = append(t.Rows, []htmlCell{pathCell(s.Path), textCell(plainName(s.Why))})
	}
	return t
}

// htmlCourse is a line that shows how a size went.
type htmlCourse struct {
	// Words say the same, and Points are those of the line in a field of 600 by 80.
	Words, Points string
}

// course draws how the size of an image went, nil where that is not known.
func (img *Image) course() *htmlCourse {
	s := img.series()
	if s == nil {
		return nil
	}
	low, high := slices.Min(s.sizes), slices.Max(s.sizes)
	span := max(high-low, high/50, 1)
	var points []string
	for i, size := range s.sizes {
		x, y := 600*float64(i)/float64(len(s.sizes)-1), 75-70*float64(size-low)/float64(span)
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
	}
	was, now := pair(s.sizes[0], s.sizes[len(s.sizes)-1], s.estimated, s.estimated)
	words := fmt.Sprintf("%s %s → %s over %d commits, between %s and %s", s.metric, was, now, len(s.sizes), marked(low.String(), s.estimated), marked(high.String(), s.estimated))
	return &htmlCourse{words, strings.Join(points, " ")}
}

func (img *Image) historyTable() htmlTable {
	t := htmlTable{ID: "history", Title: "The last commits", Words: "oldest first", Columns: []htmlColumn{{Name: "commit"}, {Name: "compressed", Number: true}, {Name: "unpacked", Number: true}, {Name: "final", Number: true}}}
	if len(img.History) == 0 {
		return t
	}
	row := func(commit string, p footprint.Past) {
		cells := []htmlCell{{Text: commit, Class: "path"}, noneCell(), noneCell(), noneCell()}
		if p.Has&footprint.HasCompressed != 0 {
			cells[1] = sizeCell(p.Compressed)
			cells[1].Text = marked(cells[1].Text, p.Estimated)
		}
		if p.Has&footprint.HasFiles != 0 {
			cells[2], cells[3] = sizeCell(p.Unpacked), sizeCell(p.Final)
		}
		t.Rows = append(t.Rows, cells)
	}
	for _, p := range img.History {
		row(plainName(short(p.Commit)), p)
	}
	row("this image", footprint.PastOf("", img.Head))
	return t
}
