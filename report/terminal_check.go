package report

import (
	"fmt"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// metrics writes one line for every figure, with the first check on it behind
// and further ones below. Where the width does not allow it the percentage loses
// its decimals, then goes; at last the checks move to lines of their own.
func (s *sheet) metrics(figures []figure) {
	for _, decimals := range []int{1, 0, -1} {
		rows := metricRows(figures, decimals)
		if widths := (&sheet{width: 1 << 20}).fit(2, metricColumns, rows); 2+total(metricColumns, widths) <= s.width {
			s.table(2, metricColumns, rows)
			return
		}
	}
	var rows [][]cell
	for _, f := range figures {
		rows = append(rows, figureRow(f, -1))
	}
	widths := s.fit(2, metricColumns, rows)
	for i, f := range figures {
		s.line(2, metricColumns, widths, rows[i])
		for _, c := range f.checks {
			s.row(4, cell{sign(c.Status) + " " + state(c), tintOf(c.Status)}, cell{", " + rule(c, plainName), plain})
		}
	}
}

// The columns: label, before, arrow, now, change, percent, limit, state.
var metricColumns = []column{{}, {right: true, tight: true}, {tight: true}, {right: true}, {right: true, tight: true}, {right: true}, {}, {}}

func metricRows(figures []figure, decimals int) [][]cell {
	var rows [][]cell
	for _, f := range figures {
		row := figureRow(f, decimals)
		for i, c := range f.checks {
			if i > 0 {
				rows = append(rows, row)
				row = make([]cell, len(metricColumns))
			}
			row[6], row[7] = cell{rule(c, plainName), plain}, cell{sign(c.Status) + " " + state(c), tintOf(c.Status)}
		}
		rows = append(rows, row)
	}
	return rows
}

// figureRow lays out a figure without its checks.
func figureRow(f figure, decimals int) []cell {
	was, now, change := f.texts()
	row := make([]cell, len(metricColumns))
	row[0].text = f.label()
	row[3] = cell{"–", faint}
	if f.known {
		row[3] = cell{now, bold}
	}
	if f.compared {
		row[1], row[2] = cell{was, faint}, cell{"→", faint}
		row[4] = cell{change, changeTint(f.now - f.was)}
		row[5] = cell{f.percent(decimals), faint}
	}
	return row
}

func changeTint(change int64) tint {
	switch {
	case change > 0:
		return yellow
	case change < 0:
		return green
	}
	return faint
}

// otherChecks writes the checks on paths, packages and forbidden paths, with
// what was found where it is forbidden.
func (s *sheet) otherChecks(img *Image) {
	groups := []struct {
		scope budget.Scope
		title string
	}{
		{budget.ScopePath, "paths (unpacked)"}, {budget.ScopePackage, "packages"}, {budget.ScopeForbid, "forbidden paths"},
	}
	columns := []column{{flex: true, long: true}, {right: true}, {}, {}}
	for _, g := range groups {
		checks := img.scoped(g.scope)
		if len(checks) == 0 {
			continue
		}
		s.heading(g.title)
		var rows [][]cell
		for _, c := range checks {
			actual := ""
			if c.Kind != budget.KindForbid && c.Status != budget.NotMeasured {
				actual = amount(c, c.Actual)
			}
			rows = append(rows, []cell{{plainName(subjectOf(c)), plain}, {actual, bold}, {rule(c, plainName), plain}, {sign(c.Status) + " " + state(c), tintOf(c.Status)}})
		}
		widths := s.fit(2, columns, rows)
		for i, c := range checks {
			s.line(2, columns, widths, rows[i])
			if c.Status == budget.Pass {
				continue
			}
			for _, example := range c.Examples {
				s.pathRow(4, cell{plainName(example), faint})
			}
		}
	}
}

// remarks writes what a line of a table cannot hold: why something is waived or
// could not be judged.
func (s *sheet) remarks(img *Image) {
	s.blank()
	for _, c := range img.Verdict.Checks {
		if text := remark(c, plainName); text != "" {
			s.prose(2, tintOf(c.Status), sign(c.Status)+" "+text)
		}
	}
	for _, note := range img.Verdict.Notes {
		s.prose(2, plain, plainName(note))
	}
}

// accept writes how to keep to the budget by changing it.
func (s *sheet) accept(img *Image) {
	changes := img.acceptances(plainName)
	if len(changes) == 0 {
		return
	}
	s.heading("bring it back, or accept it in " + plainName(changes[0].pos.File))
	var rows [][]cell
	for _, a := range changes {
		rows = append(rows, []cell{{fmt.Sprintf("line %d", a.pos.Line), faint}, {a.verb + " " + a.key, plain}, {a.to, plain}})
	}
	s.table(2, []column{{right: true}, {flex: true, long: true}, {}}, rows)
	if words := waiverWords(changes); words != "" {
		s.prose(2, faint, words)
	}
}

// causes writes what grew, heaviest first, with what brought it.
func (s *sheet) causes(img *Image) {
	if img.Delta == nil {
		return
	}
	compressed, unpacked := causesByKind(img.causes())
	s.causeList(img, "what grew (compressed)", compressed)
	s.causeList(img, "what grew (unpacked)", unpacked)
}

func (s *sheet) causeList(img *Image, title string, causes []footprint.Cause) {
	if len(causes) == 0 {
		return
	}
	s.heading(title)
	rest := causeRemainders(img.Delta.Causes)
	causes = withBase(causes, maxCauses)
	var rows [][]cell
	for _, c := range causes[:min(len(causes), maxCauses)] {
		rows = append(rows, []cell{{c.Bytes.Signed(), yellow}, {img.causeWhat(c, plainName, rest), plain}, {broughtBy(img, c), faint}})
	}
	if bytes, words := img.elsewhere(causes); words != "" && len(causes) <= maxCauses {
		rows = append(rows, []cell{{bytes.Signed(), faint}, {words, faint}, {}})
	}
	s.causeRows(rows)
	s.rest(causes)
}

// causeRows writes what grew beside what brought it, and above it where that would cut
// what grew: it is why anybody reads on.
func (s *sheet) causeRows(rows [][]cell) {
	columns := []column{{right: true}, {flex: true, long: true}, {flex: true, led: true}}
	if s.endless {
		s.table(2, columns, rows)
		return
	}
	sizes, lead := 0, 0
	for _, row := range rows {
		sizes = max(sizes, width(row[0].text))
		at, _ := columns[2].split(row[2].text)
		lead = max(lead, width(at))
	}
	if lead == 0 {
		lead = 2 * narrowest
	}
	room := s.width - 2 - sizes - 2*gap - min(lead, s.width/3)
	tall := func(row []cell) bool { return width(row[1].text) > room }
	var beside [][]cell
	for _, row := range rows {
		if tall(row) {
			row = []cell{row[0], {}, {}}
		}
		beside = append(beside, row)
	}
	// Between the two the instruction gives way.
	widths := []int{sizes, 0, 0}
	for _, row := range beside {
		widths[1] = max(widths[1], width(row[1].text))
	}
	widths[2] = s.width - 2 - total(columns, []int{sizes, widths[1], 1}) + 1
	indent := 2 + sizes + gap
	for i, row := range rows {
		if !tall(row) {
			s.line(2, columns, widths, beside[i])
			continue
		}
		s.beside(row[0], sizes, row[1])
		if row[2].text != "" {
			s.row(indent, cell{columns[2].cut(row[2].text, s.width-indent), row[2].tint})
		}
	}
}

// beside writes text over as many lines as it needs, to the right of a size in a
// column of that width.
func (s *sheet) beside(size cell, sizes int, text cell) {
	first := len(s.lines)
	s.prose(2+sizes+gap, text.tint, text.text)
	if first < len(s.lines) {
		lead := strings.Repeat(" ", 2+sizes-width(size.text)) + s.paint(size) + strings.Repeat(" ", gap)
		s.lines[first] = lead + strings.TrimLeft(s.lines[first], " ")
	}
}

// rest sums the causes that are not listed one by one.
func (s *sheet) rest(causes []footprint.Cause) {
	if len(causes) <= maxCauses {
		return
	}
	var sum footprint.Bytes
	for _, c := range causes[maxCauses:] {
		sum += c.Bytes
	}
	s.row(2, cell{fmt.Sprintf("and %d more, together %s", len(causes)-maxCauses, sum.Signed()), faint})
}

// where says what made a layer: its place in a Dockerfile, if that is known, and its
// instruction.
func where(img *Image, index int) string { return whereMade(img.layer(index)) }

func whereMade(l *footprint.Layer) string {
	if l == nil {
		return ""
	}
	if at := place(l.Origin); at != "" {
		return plainName(at) + "  " + plainName(made(l))
	}
	return plainName(made(l))
}

// broughtBy says what made the layer behind a growth, and where it is not alone.
func broughtBy(img *Image, c footprint.Cause) string {
	by := whereMade(img.broughtCause(c))
	if c.Mostly && by != "" {
		by = "mostly " + by
	}
	return by
}

// shrunk writes what became smaller.
func (s *sheet) shrunk(img *Image) {
	var rows [][]cell
	for _, c := range img.shrunk() {
		rows = append(rows, []cell{{c.bytes.Signed(), green}, {c.what(plainName), plain}})
	}
	if len(rows) > 0 {
		s.heading("what shrank (unpacked)")
		s.table(2, []column{{right: true}, {flex: true, long: true}}, rows)
	}
}
