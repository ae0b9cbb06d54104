package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// overview is the table that is always there.
func (m *markdown) overview() section {
	if m.Kind == Inspect {
		return m.inspected()
	}
	g := grid{columns: []string{"image", "platform", ">" + m.baseColumn(), ">" + m.headColumn(), ">change", "budget", "status"}}
	if m.Kind == Diff {
		g.columns = []string{"figure", "platform", ">old", ">new", ">change", "budget", "status"}
	}
	m.unmeasuredRows(&g)
	images, others := m.shown()
	for _, img := range images {
		if m.fleet() {
			g.add(m.fleetRow(img)...)
			continue
		}
		m.figureRows(&g, img)
	}
	s := section{name: "the table", noun: "row"}
	if len(g.rows) > 0 {
		s.parts = []part{g.part("")}
	}
	if len(others) > 0 {
		s.tail = "\n" + otherWords(others) + "\n"
		if len(g.rows) == 0 {
			s.parts, s.tail = []part{{rows: []string{otherWords(others) + "\n"}}}, ""
		}
	}
	return s
}

// baseColumn names the baseline's commit if all images have the same one. Only in
// a pull request is that the "base", as everyone calls it there: elsewhere the
// word is for the base image.
func (m *markdown) baseColumn() string {
	commit := ""
	for i := range m.Images {
		c := m.Images[i].Baseline.Commit
		if i > 0 && c != commit {
			return "baseline"
		}
		commit = c
	}
	switch {
	case commit == "":
		return "baseline"
	case m.Run.PullRequest > 0:
		return "base " + inCell(short(commit))
	}
	return "baseline " + inCell(short(commit))
}

func (m *markdown) headColumn() string {
	words := "now"
	if m.Run.PullRequest > 0 {
		words = "this PR"
	}
	if m.Run.Head != "" {
		words += " " + inCell(short(m.Run.Head))
	}
	return words
}

// figureRows are the rows of one image: its size, and whatever else is not
// within its limit.
func (m *markdown) figureRows(g *grid, img *Image) {
	for _, f := range img.figures(m.Kind == Diff) {
		size := !f.own && f.metric == img.sizeMetric()
		limits := f.checks
		if !size {
			limits = slices.DeleteFunc(slices.Clone(limits), func(c budget.Check) bool {
				return c.Status == budget.Pass || c.Status == budget.NotMeasured && !c.Blind
			})
		}
		if size || len(limits) > 0 || m.Kind == Diff {
			g.add(m.figureRow(img, f, limits)...)
		}
	}
	for _, c := range img.Verdict.Checks {
		if c.Scope == budget.ScopeImage || c.Scope == budget.ScopeOwn || c.Status == budget.Pass || c.Status == budget.NotMeasured && !c.Blind {
			continue
		}
		now := "–"
		if c.Kind != budget.KindForbid && c.Status != budget.NotMeasured {
			now = amount(c, c.Actual)
		}
		g.add(inCell(img.title())+" "+inCell(subjectOf(c)), m.platformCell(img), "–", whole(now), "–", whole(rule(c, prose)), whole(emoji(c.Status)+" "+state(c)))
	}
}

func (m *markdown) figureRow(img *Image, f figure, limits []budget.Check) []string {
	was, now, change := f.texts()
	if share := f.percent(1); share != "" {
		change = whole(change) + " (" + whole(strings.ReplaceAll(share, "<", "&lt;")) + ")"
	}
	if !f.compared {
		was, change = "–", "–"
	}
	if !f.known {
		now = "–"
	}
	var rules, states []string
	for _, c := range limits {
		rules, states = append(rules, rule(c, prose)), append(states, emoji(c.Status)+" "+state(c))
	}
	if c := binding(limits); c != nil && c.Status == budget.Fail {
		now = "**" + now + "**"
	}
	if len(states) == 0 && m.Kind == Check {
		rules, states = []string{"–"}, []string{"no limit"}
	}
	name := inCell(img.title()) + " " + figureWords(f)
	if m.Kind == Diff {
		name = figureWords(f)
	}
	return []string{name, m.platformCell(img), whole(was), whole(now), change, whole(strings.Join(rules, "<br>")), whole(strings.Join(states, "<br>"))}
}

// whole keeps a figure and its unit on one line of a narrow table.
func whole(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") }

// figureWords names a figure, and which bytes it counts.
func figureWords(f figure) string {
	words := string(f.metric)
	if !f.metric.IsCount() && words != "compressed" && words != "unpacked" {
		words += " (" + kindOf(f.metric) + ")"
	}
	if f.own {
		words = "own " + words + ", without the base image"
	}
	return words
}

// inspected is the table of an inspection.
func (m *markdown) inspected() section {
	g := grid{columns: []string{"image", "platform", ">compressed", ">unpacked", ">final (unpacked)", ">wasted (unpacked)", ">layers", ">files"}}
	m.unmeasuredRows(&g)
	for i := range m.Images {
		img := &m.Images[i]
		if m.Kind == Suggest && len(img.Head.Layers) == 0 {
			continue // there was no image
		}
		row := func(name string, metrics *footprint.Metrics) {
			cells := []string{name, m.platformCell(img)}
			for _, metric := range footprint.AllMetrics() {
				switch metric {
				case footprint.Update, footprint.Executables, footprint.Setuid: // no size, and a line of their own
				default:
					cells = append(cells, cmp.Or(metricText(metrics, metric), "–"))
				}
			}
			g.add(cells...)
		}
		row(inCell(img.title()), &img.Head.Metrics)
		if b := img.Head.Base; b != nil && img.Head.Own != nil {
			row(baseWords(b, inCell), &b.Metrics)
			row("on top of it", img.Head.Own)
		}
	}
	if len(g.rows) == 0 {
		return section{}
	}
	return section{name: "the table", noun: "row", parts: []part{g.part("")}}
}

// How many causes are listed of one image, and of each of several.
const (
	topCauses     = 5
	topCausesEach = 3
)

// grown is a list of what grew or shrank, with the images that have this list: a new
// base image comes to a whole fleet at once.
type grown struct {
	// title is that of the list, "" for a sentence, and kind which bytes it counts.
	title, kind string
	rows        []string
	images      []*Image
}

// grown lists what changed in the images that are worth it.
func (m *markdown) grown() []*grown {
	if m.Kind == Inspect || m.Kind == Suggest {
		return nil
	}
	var out []*grown
	at := map[string]*grown{}
	add := func(img *Image, title, kind string, rows ...string) {
		if title != "" && img.Head.Platform != "" {
			kind += ", " + prose(img.Head.Platform)
		}
		key := title + kind + strings.Join(rows, "")
		if at[key] == nil {
			at[key] = &grown{title: title, kind: kind, rows: rows}
			out = append(out, at[key])
		}
		at[key].images = append(at[key].images, img)
	}
	for _, img := range m.ranked() {
		if img.Delta == nil || img.urgency() > 2 && m.Kind == Check {
			continue
		}
		compressed, unpacked := causesByKind(img.causes())
		for _, list := range [][]footprint.Cause{compressed, unpacked} {
			if len(list) > 0 {
				add(img, "What grew", kindOf(list[0].Metric), m.causeRows(img, list)...)
			}
		}
		var rows []string
		for i, c := range img.shrunk() {
			if i == m.top() {
				break
			}
			rows = append(rows, fmt.Sprintf("%d. **%s** %s\n", i+1, c.bytes.Signed(), c.what(inText)))
		}
		if len(rows) > 0 {
			add(img, "What shrank", "unpacked", rows...)
		}
		if text := img.baseAside(inText); text != "" {
			add(img, "", "", text+"\n")
		}
	}
	return out
}

// grownPart writes a list with the names of its images.
func (m *markdown) grownPart(g *grown) part {
	names := ""
	if m.several() {
		var labels []string
		for _, img := range g.images {
			label := inText(img.title())
			if g.title == "" {
				label = m.label(img) // nothing else names its platform
			}
			labels = append(labels, label)
		}
		names = listed(labels, topCausesEach)
	}
	switch {
	case g.title == "" && names == "":
		return part{rows: g.rows}
	case g.title == "":
		return part{rows: []string{names + ": " + g.rows[0]}}
	case names != "":
		names = " in " + names
	}
	return part{head: "**" + g.title + names + "** (" + g.kind + ")\n\n", rows: g.rows}
}

// causes says what grew or shrank in the images that are worth it. Of a fleet, the
// first lists are there to be seen, further ones are folded away, and of the rest
// the images are counted.
func (m *markdown) causes() []section {
	groups := m.grown()
	first, limit := len(groups), len(groups)
	if m.fleet() {
		first, limit = min(first, topCauses), min(limit, m.limit)
	}
	seen := section{name: "what grew", noun: "cause", rank: 1}
	for _, g := range groups[:first] {
		seen.parts = append(seen.parts, m.grownPart(g))
	}
	more := ""
	if left := imagesOf(groups[limit:], groups[:limit]); left > 0 {
		more = "\n" + plural(left, "more image") + " changed" + see(m.rest) + "\n"
	}
	if first == limit {
		seen.tail = more
		return []section{seen}
	}
	folded := section{name: "what grew in further images", noun: "cause", rank: 2}
	for _, g := range groups[first:limit] {
		folded.parts = append(folded.parts, m.grownPart(g))
	}
	folded = details("What grew or shrank in "+plural(imagesOf(groups[first:limit], groups[:first]), "further image"), folded)
	folded.tail = more + folded.tail
	return []section{seen, folded}
}

// imagesOf counts the images of some lists that none of the others is about.
func imagesOf(lists, others []*grown) int {
	seen := map[*Image]bool{}
	for _, g := range others {
		for _, img := range g.images {
			seen[img] = true
		}
	}
	n := 0
	for _, g := range lists {
		for _, img := range g.images {
			if !seen[img] {
				seen[img] = true
				n++
			}
		}
	}
	return n
}

func (m *markdown) top() int {
	if m.several() {
		return topCausesEach
	}
	return topCauses
}

// causeRows lists what grew, the last row being the sum of what is not listed.
func (m *markdown) causeRows(img *Image, causes []footprint.Cause) []string {
	var rows []string
	rest := causeRemainders(img.Delta.Causes)
	causes = withBase(causes, m.top())
	for i, c := range causes {
		if i == m.top() {
			var sum footprint.Bytes
			for _, c := range causes[i:] {
				sum += c.Bytes
			}
			rows = append(rows, fmt.Sprintf("%d. %s: %d more\n", i+1, sum.Signed(), len(causes)-i))
			break
		}
		by := m.from(img.broughtCause(c), inText)
		if by != "" {
			if by = ", by " + by; c.Mostly {
				by = ", mostly" + by[1:]
			}
		}
		rows = append(rows, fmt.Sprintf("%d. **%s** %s%s\n", i+1, c.Bytes.Signed(), img.causeWords(c, inText, rest, func(layer int) string { return m.layerPlace(img, layer, inText) }), by))
	}
	if bytes, words := img.elsewhere(causes); words != "" {
		rows = append(rows, fmt.Sprintf("%d. %s: %s\n", len(rows)+1, bytes.Signed(), words))
	}
	return rows
}

// elsewhere says what the causes leave of the change of unpacked, where that is
// enough to wonder about: they are what grew, and small things are in none of them.
func (img *Image) elsewhere(causes []footprint.Cause) (bytes footprint.Bytes, words string) {
	d := img.Delta
	if len(causes) == 0 || causes[0].Metric != footprint.Unpacked || d.Has&footprint.HasFiles == 0 {
		return 0, ""
	}
	bytes = d.Unpacked
	for _, c := range causes {
		bytes -= c.Bytes
	}
	enough := max(max(d.Unpacked, -d.Unpacked)/100, 1000)
	switch {
	case bytes >= enough:
		return bytes, "many small things"
	case bytes <= -enough:
		return bytes, "what shrank"
	}
	return 0, ""
}

// remarks says what no table can: waivers, what could not be judged, and what to
// do about a missing baseline.
func (m *markdown) remarks() section {
	s := section{name: "remarks", noun: "remark", rank: 2}
	if m.Kind == Inspect {
		return s
	}
	// What is said of several images in the same words is said once.
	var texts []string
	of := map[string][]string{}
	say := func(img *Image, text string) {
		if len(of[text]) == 0 {
			texts = append(texts, text)
		}
		if label := m.label(img); !slices.Contains(of[text], label) {
			of[text] = append(of[text], label)
		}
	}
	for _, img := range m.ranked() {
		blind := false
		for _, c := range img.Verdict.Checks {
			if text := remark(c, prose); text != "" {
				say(img, text)
			}
			blind = blind || c.Blind
		}
		for _, note := range img.Verdict.Notes {
			say(img, prose(note))
		}
		if img.Baseline.Status == string(budget.BaselineNotComparable) && !blind {
			say(img, baselineWords(img.Baseline, inText, prose))
		}
	}
	var p part
	for _, text := range texts {
		names := ""
		if m.several() {
			names = listed(of[text], topCausesEach) + ": "
		}
		p.rows = append(p.rows, "- "+names+text+"\n")
	}
	if len(p.rows) > 0 {
		s.parts = []part{p}
	}
	return s
}

// listed joins the first n names, and counts the others.
func listed(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

// parts is the table whose rows add up to the change.
func (m *markdown) parts() section {
	s := section{name: "the parts of the change", noun: "part", rank: 2}
	if m.Kind != Diff {
		return s
	}
	for i := range m.Images {
		img := &m.Images[i]
		if img.Delta == nil || img.Delta.Has&footprint.HasFiles == 0 {
			continue
		}
		p := part{head: m.about(img) + tableHead("part (unpacked)", ">change", "")}
		for _, part := range img.partList(inCell) {
			p.rows = append(p.rows, tableRow(part.name, part.bytes.Signed(), part.meaning))
		}
		p.rows = append(p.rows, tableRow("**sum**", "**"+img.Delta.Parts.Sum().Signed()+"**", "the change of unpacked"))
		s.parts = append(s.parts, p)
	}
	return s
}

// layers lists the layers that changed, or all where there is no comparison.
func (m *markdown) layers() section {
	s := section{name: "layers", noun: "layer", rank: 4}
	all, changed, removed, compared := 0, 0, 0, false
	for _, img := range m.explained {
		if m.Kind == Check && img.urgency() > 2 && (!m.full || m.fleet()) {
			continue
		}
		all += len(img.Head.Layers)
		if img.Delta == nil || m.Kind == Inspect {
			if len(img.Head.Layers) > 0 {
				s.parts = append(s.parts, m.allLayers(img))
			}
			continue
		}
		compared = true
		p, n, gone := m.changedLayers(img)
		changed, removed = changed+n, removed+gone
		s.parts = append(s.parts, p)
	}
	summary := fmt.Sprintf("Layers: %d", all)
	if m.fleet() {
		summary = fmt.Sprintf("Layers of %s: %d", plural(len(s.parts), "image"), all)
	}
	if compared {
		summary += fmt.Sprintf(", of which %d changed", changed)
		if removed > 0 {
			summary += fmt.Sprintf("; %d removed", removed)
		}
	}
	return details(summary, s)
}

func (m *markdown) allLayers(img *Image) part {
	p := part{head: m.about(img) + tableHead(">#", "made by", ">compressed", ">unpacked", ">wasted (unpacked)", ">files")}
	layers := img.Head.Layers
	if b := img.Head.Base; b != nil && m.Kind != Inspect && b.Metrics.Layers > 0 && b.Metrics.Layers <= len(layers) {
		// What a reviewer can change is above it.
		row := []string{span(0, b.Metrics.Layers-1), "base image"}
		if b.Reference != "" {
			row[1] += " " + inCell(b.Reference)
		}
		for _, metric := range []footprint.Metric{footprint.Compressed, footprint.Unpacked, footprint.Wasted, footprint.FileCount} {
			row = append(row, cmp.Or(metricText(&b.Metrics, metric), "–"))
		}
		p.rows = append(p.rows, tableRow(row...))
		layers = layers[b.Metrics.Layers:]
	}
	for i := range layers {
		l := &layers[i]
		by := m.from(l, inCell)
		if l.InBase {
			by = "base: " + by
		}
		compressed, unpacked, wasted, files := layerTexts(l)
		p.rows = append(p.rows, tableRow(strconv.Itoa(l.Index), by, compressed, unpacked, wasted, files))
	}
	return p
}

// changedLayers lists the layers in order, those that stayed the same in one row
// for each run of them. It counts those of the new image that changed, and those
// that were removed; what another base does not bring any more is none of them.
func (m *markdown) changedLayers(img *Image) (p part, changed, removed int) {
	unit, size := layerUnit(img.Delta)
	was, now := "baseline", "now"
	if m.Kind == Diff {
		was, now = "old", "new"
	}
	p = part{head: m.about(img) + tableHead(">#", "made by ("+unit+" bytes)", ">"+was, ">"+now, ">change")}
	if base, known := newBaseRow(img.Delta, unit); known {
		what := "replaced"
		if base.same {
			what = "unchanged"
		}
		p.rows = append(p.rows, tableRow(base.index, "base image "+baseNames(img.Delta.Base, inCell)+", "+what, base.was, base.now, base.change))
	}
	var same []footprint.LayerChange
	flush := func() {
		if len(same) > 0 {
			p.rows = append(p.rows, sameLayers(same, unit))
		}
		same = nil
	}
	for _, c := range img.Delta.Layers {
		if c.New != nil && c.Change != footprint.Same {
			changed++
		}
	}
	for _, c := range ownChanges(img.Delta) {
		if c.Change == footprint.Removed {
			removed++
		}
		if c.Change == footprint.Same && !c.Moved {
			same = append(same, c)
			continue
		}
		flush()
		was, now := layerPair(c, unit)
		change := "–"
		if v, known := size(c); known {
			change = v.Signed()
		}
		// The lines of what is gone are those of the baseline's Dockerfile.
		index, what := "", m.madeAt(img.Baseline.Commit, c.Old, inCell)
		if c.New != nil {
			index, what = strconv.Itoa(c.New.Index), m.from(c.New, inCell)
		}
		switch {
		case c.Moved:
			what += fmt.Sprintf(", moved from %d", c.Old.Index)
		case c.Change != footprint.Changed:
			what += ", " + string(c.Change)
		}
		p.rows = append(p.rows, tableRow(index, what, was, now, change))
	}
	flush()
	return p, changed, removed
}

// sameLayers sums a run of unchanged layers in one row.
func sameLayers(same []footprint.LayerChange, unit string) string {
	var sum footprint.Bytes
	base, estimated := true, false
	for _, c := range same {
		v, known := layerSize(c.New, unit)
		if !known {
			sum = -1
			break
		}
		sum += v
		estimated = estimated || unit == "compressed" && c.New.CompressedEstimated
	}
	for _, c := range same {
		base = base && c.New != nil && c.New.InBase
	}
	what := fmt.Sprintf("%d unchanged", len(same))
	if base {
		what = fmt.Sprintf("base image, %d unchanged", len(same))
	}
	size := "–"
	if sum >= 0 {
		size = marked(sum.String(), estimated)
	}
	index := ""
	if first, last := same[0].New, same[len(same)-1].New; first != nil && last != nil {
		index = span(first.Index, last.Index)
	}
	return tableRow(index, what, size, size, "–")
}

func layerSize(l *footprint.Layer, unit string) (footprint.Bytes, bool) {
	switch {
	case l == nil:
		return 0, false
	case unit == "compressed":
		return l.Compressed, l.Has&footprint.HasCompressed != 0
	}
	return l.Unpacked, l.Has&footprint.HasFiles != 0
}

// layerPair prints the sizes of a pair of layers so that they read differently.
func layerPair(c footprint.LayerChange, unit string) (was, now string) {
	a, aKnown := layerSize(c.Old, unit)
	b, bKnown := layerSize(c.New, unit)
	estimated := func(l *footprint.Layer) bool { return unit == "compressed" && l != nil && l.CompressedEstimated }
	if aKnown && bKnown {
		return pair(a, b, estimated(c.Old), estimated(c.New))
	}
	was, now = "–", "–"
	if aKnown {
		was = marked(a.String(), estimated(c.Old))
	}
	if bKnown {
		now = marked(b.String(), estimated(c.New))
	}
	return was, now
}

// checks lists every check, those that passed too.
func (m *markdown) checks() section {
	s := section{name: "checks", noun: "check", rank: 3}
	if m.several() {
		// The table has the verdicts; what explains the bad ones comes first.
		s.rank = 9
	}
	total, passed := 0, 0
	for _, img := range m.explained {
		if len(img.Verdict.Checks) == 0 {
			continue
		}
		p := part{head: m.about(img) + tableHead("limit", "allowed", ">measured", ">headroom", "status")}
		for _, c := range img.Verdict.Checks {
			total++
			if c.Status == budget.Pass {
				passed++
			}
			p.rows = append(p.rows, checkRow(c))
		}
		s.parts = append(s.parts, p)
	}
	summary := "Checks"
	if m.fleet() {
		summary += " of " + plural(len(s.parts), "image")
	}
	if passed == total {
		return details(fmt.Sprintf("%s: %d, all passed", summary, total), s)
	}
	return details(fmt.Sprintf("%s: %d, of which %d passed", summary, total, passed), s)
}

func checkRow(c budget.Check) string {
	actual, headroom := "–", "–"
	if c.Status != budget.NotMeasured {
		actual, headroom = amount(c, c.Actual), amount(c, c.Headroom)
		if c.Unit == budget.UnitBytes && c.Actual != c.Allowed && amount(c, c.Actual) == amount(c, c.Allowed) {
			actual = footprint.Bytes(c.Actual).Exact()
		}
		if c.Kind.IsGrowth() {
			actual = footprint.Bytes(c.Actual).Signed()
			if c.Unit == budget.UnitCount {
				actual = signedCount(c.Actual)
			}
		}
		if c.Kind == budget.KindForbid {
			headroom = "–"
		}
	}
	status := emoji(c.Status) + " " + string(c.Status)
	if len(c.Examples) > 0 && c.Status != budget.Pass {
		var names []string
		for _, e := range c.Examples {
			names = append(names, inCell(e))
		}
		status += ": " + strings.Join(names[:min(3, len(names))], ", ")
	}
	return tableRow(inCell(c.Limit), rule(c, prose), actual, headroom, status)
}

// maxPackageRows is how many changed packages a table holds.
const maxPackageRows = 60

// packages lists packages that came, went or changed.
func (m *markdown) packages() section {
	s := section{name: "packages", noun: "package", rank: 6}
	n := 0
	for _, img := range m.explained {
		if img.Delta == nil || len(img.Delta.Packages) == 0 || m.Kind == Inspect {
			continue
		}
		n += len(img.Delta.Packages)
		changes, lost := lostFiles(img.Delta.Packages)
		g := grid{columns: []string{"package", "", "version", ">change (unpacked)", "brought by"}}
		for i, c := range changes {
			if i == maxPackageRows {
				more := changes[i:]
				g.add(plural(len(more), "more package"), "changed", "–", sumOfPackages(more).Signed(), "–")
				break
			}
			g.add(inCell(packageName(c.Ecosystem, c.Name)), packageChangeWord(c), orDash(withReason(versions(c, inCell), c.Through, c.Dev, inCell)), c.Bytes.Signed(), orDash(m.layerPlace(img, c.Layer, inCell)))
		}
		if len(lost) > 0 {
			g.add(plural(len(lost), "package"), "lost files", "the same", sumOfPackages(lost).Signed(), "–")
		}
		s.parts = append(s.parts, g.part(m.about(img)))
	}
	return details(fmt.Sprintf("Packages: %s changed", count(int64(n))), s)
}

// paths lists what was added, grown, shrunk and removed.
func (m *markdown) paths() section {
	s := section{name: "paths", noun: "path", rank: 7}
	var sum footprint.Bytes
	for _, img := range m.explained {
		if img.Delta == nil || img.Delta.Has&footprint.HasFiles == 0 || m.Kind == Inspect || m.Kind == Check && img.urgency() > 2 {
			continue
		}
		p := part{head: m.about(img) + tableHead("path", "", ">files", ">change (unpacked)")}
		rest := pathRemainders(img.Delta.Paths)
		for _, g := range pathGroups(img.Delta.Paths) {
			for i, c := range g.paths {
				if i == maxPaths {
					p.rows = append(p.rows, tableRow(fmt.Sprintf("%d more", len(g.paths)-i), g.title, "", sumOf(g.paths[i:]).Signed()))
					break
				}
				p.rows = append(p.rows, tableRow(pathName(c, inCell, rest), g.title, count(int64(c.Files)), c.Bytes.Signed()))
			}
		}
		for i, move := range img.Delta.Moves {
			if i == maxPaths {
				p.rows = append(p.rows, tableRow(fmt.Sprintf("%d more", len(img.Delta.Moves)-i), "moved", "", "0 B"))
				break
			}
			from, to := moveNames(move, inCell)
			p.rows = append(p.rows, tableRow(from+" → "+to+", "+move.Bytes.String(), "moved", count(int64(move.Files)), "0 B"))
		}
		if len(p.rows) > 0 {
			sum += img.Delta.Final
			s.parts = append(s.parts, p)
		}
	}
	return details(m.inAll("Paths that changed", sum.Signed()+" unpacked", s), s)
}

// inAll ends the summary of a section with what its bytes are together; of several
// images, only how many they are: a host has one platform, and layers in common.
func (m *markdown) inAll(words, sum string, s section) string {
	if m.several() {
		return words + ": in " + plural(len(s.parts), "image")
	}
	return words + ": " + sum
}

// sameWaste tells whether both images hide the same bytes, which then explain no
// difference.
func (img *Image) sameWaste() bool {
	return img.Base != nil && slices.Equal(img.Head.Dead, img.Base.Dead)
}

// wasteful tells whether the waste of an image is worth a table: where something
// is wrong, or from one byte in a hundred on.
func (img *Image) wasteful() bool {
	return img.urgency() < 2 || img.changed() && img.Head.Metrics.Wasted > img.Head.Metrics.Unpacked/100
}

// waste says which layers ship what no container can see.
func (m *markdown) waste() section {
	s := section{name: "wasted bytes", noun: "place", rank: 5}
	var sum footprint.Bytes
	for _, img := range m.explained {
		head := img.Head
		if head.Metrics.Has&footprint.HasFiles == 0 || m.Kind == Check && !img.wasteful() || m.Kind == Diff && img.sameWaste() {
			continue
		}
		p := part{head: m.about(img) + tableHead(">wasted (unpacked)", "under", "what happened", "shipped by", "hidden by")}
		for i, d := range deadByWeight(head.Dead) {
			if i == maxPaths {
				break
			}
			p.rows = append(p.rows, tableRow(d.Bytes.String(), inCell(d.Under), plural(d.Files, "file")+" "+fateWords(d.Fate), m.from(img.layer(d.In), inCell), m.from(img.layer(d.By), inCell)))
		}
		if len(p.rows) > 0 {
			sum += head.Metrics.Wasted
			s.parts = append(s.parts, p)
		}
	}
	return details(m.inAll("Wasted", fmt.Sprintf("%s unpacked that no container can see", sum), s), s)
}

// largest lists the heaviest directories and files of an inspection.
func (m *markdown) largest() section {
	s := section{name: "largest paths", noun: "path", rank: 8}
	if m.Kind != Inspect {
		return s
	}
	for i := range m.Images {
		img := &m.Images[i]
		p := part{head: m.about(img) + tableHead("directory or file", ">files", ">size (unpacked)")}
		for _, d := range heaviestDirs(img.Head.Dirs, maxTree) {
			p.rows = append(p.rows, tableRow(inCell(strings.TrimSuffix(legible(d.path), "/")+"/"), count(int64(d.files)), d.bytes.String()))
		}
		for _, f := range img.LargestFiles {
			p.rows = append(p.rows, tableRow(inCell(f.Path), "", f.Size.String()))
		}
		if len(p.rows) > 0 {
			s.parts = append(s.parts, p)
		}
	}
	return details("Largest directories and files", s)
}

// budgetLine links a place in the budget file, by its path in the repository
// where that is known.
func (m *markdown) budgetLine(pos budget.Pos) string {
	file := cmp.Or(m.Run.BudgetFile, pos.File)
	return link(inText(fmt.Sprintf("%s:%d", legible(file), pos.Line)), m.Run.lineURL(m.Run.Head, file, pos.Line, 0))
}

// acceptances lists the changes for all images. Platforms of one image share their
// limits: the one that needs most decides.
func (m *markdown) acceptances() []acceptance {
	var out []acceptance
	at := map[string]int{}
	for _, img := range m.explained {
		for _, a := range img.acceptances(inText) {
			key := a.verb + " " + a.key + " " + a.pos.String()
			i, twice := at[key]
			switch {
			case !twice:
				at[key] = len(out)
				out = append(out, a)
			case a.need > out[i].need:
				out[i] = a
			}
		}
	}
	return out
}

// accept says how to keep to the budget by changing it: by a waiver where the limit
// is one on growth, else by raising it.
func (m *markdown) accept() section {
	s := section{name: "how to accept it", noun: "change", rank: 2}
	var p part
	var limits []string
	fallback, growth := "", false
	for _, a := range m.acceptances() {
		words, why := a.verb+" "+a.key, ""
		if a.to != "" {
			words += " " + a.to
		}
		if a.limit != "" {
			growth, why = true, ": "+a.why
			if plainKey.MatchString(a.limit) && !slices.Contains(limits, a.limit) {
				limits = append(limits, a.limit)
			}
		}
		p.rows = append(p.rows, fmt.Sprintf("- %s in %s%s\n", words, m.budgetLine(a.pos), why))
	}
	for _, img := range m.ranked() {
		for _, c := range img.Verdict.Checks {
			if fallback == "" && c.Status == budget.Fail && c.Waiver == nil && c.Pos.Line > 0 && plainKey.MatchString(c.Limit) {
				fallback = c.Limit
			}
		}
	}
	if len(p.rows) == 0 {
		return s
	}
	lead := "waivers stand below the image in the budget file"
	if !growth && fallback != "" {
		lead, limits = "or excuse it for a time, below the image in the budget file", []string{fallback}
	}
	if len(limits) > 0 {
		snippet := "- " + lead + ":\n\n  ```yaml\n  waivers:\n"
		for _, limit := range limits[:min(len(limits), topCauses)] {
			snippet += "    - " + waiver(limit) + "\n"
		}
		p.rows = append(p.rows, snippet+"  ```\n")
	}
	s.parts = []part{p}
	return details("Accept this change", s)
}
