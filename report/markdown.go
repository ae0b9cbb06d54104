package report

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/escape"
)

// MarkdownOptions say where a report goes.
type MarkdownOptions struct {
	// MaxBytes is never exceeded; 0 is no limit. Below about 400 it may be an
	// error.
	MaxBytes int
	// Rest names the place where what had to be left out can be read, such as
	// "the job summary"; "" if there is none.
	Rest string
	// Full lists the layers of images too that are as their baseline was, for
	// a page that somebody opens and is not sent.
	Full bool
}

// Markdown writes a report for GitHub: a pull-request comment or a job summary.
// The verdict comes first with what could not be measured, then the table and
// what grew, then details that are folded away. What does not fit into MaxBytes
// is left out by whole rows and sections, the least important first, and is named.
//
// Its only links lead to the repository and the workflow run, its only tags are
// details, summary, sub and br. It is an error if not even the verdict fits, or if
// w returns one; nothing is written in the first case.
func Markdown(w io.Writer, r *Report, opt MarkdownOptions) error {
	m := newMarkdown(r, opt)
	text, err := m.document().fit(opt.MaxBytes)
	if err != nil {
		return fmt.Errorf("writing markdown: %w", err)
	}
	_, err = io.WriteString(w, text)
	return err
}

type markdown struct {
	*Report
	rest string
	full bool
	// explained are the images with details: of a fleet, at most limit.
	explained []*Image
	limit     int
	// one is the platform of all images, and single says whether it is one.
	one    string
	single bool
	// variants counts the platforms that a name occurs with.
	variants map[string]int
}

func newMarkdown(r *Report, opt MarkdownOptions) *markdown {
	m := &markdown{Report: r, rest: opt.Rest, full: opt.Full, limit: maxDetailed, single: true, variants: map[string]int{}}
	if opt.MaxBytes <= 0 || opt.MaxBytes > commentBytes {
		m.limit = maxDetailedAtLength
	}
	m.explained, _ = r.detailed(m.limit)
	type variant struct{ name, platform string }
	seen := map[variant]bool{}
	add := func(name, platform string) {
		if v := (variant{name, platform}); !seen[v] {
			seen[v] = true
			m.variants[name]++
		}
	}
	for i := range r.Images {
		platform := r.Images[i].Head.Platform
		m.single = m.single && (i == 0 || platform == m.one)
		m.one = platform
		add(r.Images[i].title(), platform)
	}
	for _, u := range r.Unmeasured {
		if u.Platform != "" {
			m.single = m.single && (m.one == "" || u.Platform == m.one)
			m.one = u.Platform
			add(u.Name, u.Platform)
		}
	}
	if !m.single {
		m.one = ""
	}
	return m
}

// How many characters of a name are shown.
const (
	nameWidth    = 60
	headingWidth = 40
	proseBytes   = 400
)

// inCell quotes a name in a table, inText one anywhere else.
func inCell(s string) string { return escape.CodeN(inert(s), nameWidth) }
func inText(s string) string { return escape.CodeProse(inert(s), nameWidth) }
func inHead(s string) string { return escape.CodeProse(inert(s), headingWidth) }

// prose writes a sentence that may hold foreign names.
func prose(s string) string {
	s = inert(s)
	if len(s) > proseBytes {
		s = cutRune(s, proseBytes) + "…"
	}
	return escape.Text(s)
}

// emoji is never the only carrier of a status: words stand beside it.
func emoji(s budget.Status) string {
	switch s {
	case budget.Fail:
		return "❌"
	case budget.Warn:
		return "⚠️"
	case budget.Waived:
		return "☑️"
	case budget.NotMeasured:
		return "➖"
	}
	return "✅"
}

func (m *markdown) document() document {
	d := document{headings: m.headings(), footers: m.footers(), rest: m.rest}
	if m.alike() {
		return m.withSections(d, []section{m.same()})
	}
	if m.Kind == Suggest {
		return m.withSections(d, []section{m.inspected(), m.suggested(), m.suggestions(), m.rewrites(), m.others()})
	}
	sections := append([]section{m.overview()}, m.causes()...)
	sections = append(sections, m.suggested(), m.surface(), m.remarks(), m.parts(), m.pictures(), m.courses(), m.layers(), m.checks(), m.packages(), m.paths(), m.waste())
	sections = append(sections, m.inventory(), m.contents(), m.duplicates(), m.largest(), m.skipped(), m.suggestions(), m.rewrites(), m.accept(), m.others())
	return m.withSections(d, sections)
}

// withSections adds those sections that say something.
func (m *markdown) withSections(d document, sections []section) document {
	for _, s := range sections {
		if len(s.parts) > 0 {
			d.sections = append(d.sections, s)
		}
	}
	return d
}

// details folds a section away. Its summary holds no foreign text: inside raw
// HTML no markdown escape would help.
func details(summary string, s section) section {
	s.head = "<details><summary>" + summary + "</summary>\n\n"
	s.tail = "\n</details>\n"
	return s
}

// several tells whether pieces must say which image they are about.
func (m *markdown) several() bool { return m.total() > 1 }

// label tells an image from the others: by its name, and by its platform where
// several are of that name.
func (m *markdown) label(img *Image) string {
	if !m.platforms(img) {
		return inText(img.title())
	}
	return inText(img.title()) + " (" + prose(img.Head.Platform) + ")"
}

// platforms tells whether an image is one of several of its name.
func (m *markdown) platforms(img *Image) bool {
	return img.Head.Platform != "" && m.variants[img.title()] > 1
}

// about is the line above the piece of one image among several.
func (m *markdown) about(img *Image) string {
	if !m.several() {
		return ""
	}
	return "**" + inText(img.title()) + "** " + prose(img.Head.Platform) + "\n\n"
}

// grid is a table in the making.
type grid struct {
	columns []string
	rows    [][]string
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// part writes the table below a line of text, without the columns that are empty
// in every row.
func (g grid) part(lead string) part {
	full := make([]bool, len(g.columns))
	for _, row := range g.rows {
		for i, c := range row {
			full[i] = full[i] || c != ""
		}
	}
	keep := func(cells []string) []string {
		var out []string
		for i, c := range cells {
			if full[i] {
				out = append(out, c)
			}
		}
		return out
	}
	p := part{head: lead + tableHead(keep(g.columns)...)}
	for _, row := range g.rows {
		p.rows = append(p.rows, tableRow(keep(row)...))
	}
	return p
}

// platformCell is empty where all images have the same platform: on a narrow
// screen the column would push the verdict over the edge.
func (m *markdown) platformCell(img *Image) string {
	if m.single {
		return ""
	}
	return cmp.Or(prose(img.Head.Platform), "–")
}

// alike tells whether this is the difference of two images with the same content.
func (m *markdown) alike() bool {
	return m.Kind == Diff && m.total() == 1 && len(m.Images) == 1 && m.Images[0].sameContent()
}

// same is all there is to say of two images with the same content.
func (m *markdown) same() section {
	img := &m.Images[0]
	words := "S" + strings.TrimPrefix(sameWords(img), "s")
	return section{name: "what is the same", noun: "line", parts: []part{{rows: []string{words + ": " + contentWords(img) + "\n"}}}}
}

// row writes cells as a row of a table.
func tableRow(cells ...string) string {
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// tableHead writes the header; columns that begin with ">" stand to the right.
func tableHead(columns ...string) string {
	names, rule := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], rule[i] = c, ":--"
		if right, ok := strings.CutPrefix(c, ">"); ok {
			names[i], rule[i] = right, "--:"
		}
	}
	return tableRow(names...) + tableRow(rule...)
}

// link writes a link of ours, or only its text where the address is not known.
func link(text, target string) string {
	if target = escape.URL(target); target == "" {
		return text
	}
	return "[" + text + "](" + target + ")"
}

// repositoryURL is the address of the repository, "" outside one.
func (r Run) repositoryURL() string {
	owner, name, ok := strings.Cut(r.Repository, "/")
	if !ok || owner == "" || name == "" || strings.Contains(name, "/") || r.ServerURL == "" {
		return ""
	}
	return strings.TrimSuffix(r.ServerURL, "/") + "/" + url.PathEscape(owner) + "/" + url.PathEscape(name)
}

// runURL is the address of the workflow run.
func (r Run) runURL() string {
	base := r.repositoryURL()
	if base == "" || r.ID <= 0 {
		return ""
	}
	base += "/actions/runs/" + strconv.FormatInt(r.ID, 10)
	if r.Attempt > 1 {
		base += "/attempts/" + strconv.FormatInt(r.Attempt, 10)
	}
	return base
}

// lineURL is the address of lines of a file at a commit, "" for a file outside the
// repository, and for one whose name is not plain text: a stored report holds it in
// another spelling, which would lead elsewhere. An end before the start is no end.
func (r Run) lineURL(commit, file string, start, end int) string {
	base := r.repositoryURL()
	file = legible(file)
	if base == "" || !isCommit(commit) || start <= 0 || !insideRepository(file) {
		return ""
	}
	segments := strings.Split(file, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	lines := fmt.Sprintf("#L%d", start)
	if end > start {
		lines += fmt.Sprintf("-L%d", end)
	}
	return fmt.Sprintf("%s/blob/%s/%s%s", base, commit, strings.Join(segments, "/"), lines)
}

// insideRepository tells whether a name is that of a file in the repository: a
// clean path that is relative to its root. "-" is what was read from a pipe, and a
// colon is part of the address of a remote build context.
func insideRepository(file string) bool {
	return file != "" && file != "-" && !strings.HasPrefix(file, "/") && path.Clean(file) == file && !strings.HasPrefix(file, "..") &&
		!strings.ContainsAny(file, `\:`) && strings.IndexFunc(file, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func isCommit(s string) bool {
	return len(s) >= 7 && len(s) <= 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// from says what made a layer of the new image: the place in the Dockerfile if it
// is known, linked at the measured commit, and the instruction.
func (m *markdown) from(l *footprint.Layer, q quote) string { return m.madeAt(m.Run.Head, l, q) }

// madeAt is from for a layer of a commit, "" if that is not known.
func (m *markdown) madeAt(commit string, l *footprint.Layer, q quote) string {
	if l == nil {
		return ""
	}
	if at := place(l.Origin); at != "" {
		return link(q(at), m.Run.lineURL(commit, l.Origin.File, l.Origin.Start, l.Origin.End)) + " " + q(made(l))
	}
	return q(made(l))
}

// headings are the verdict in words: with names, and short ones without. What
// could not be measured is told in each of them.
func (m *markdown) headings() []string {
	full := "### " + m.headline() + "\n"
	if len(m.Unmeasured) > 0 {
		var forms []string
		for _, width := range reasonWidths {
			forms = append(forms, full+"\n"+m.unmeasuredList(width))
		}
		mark := budget.Warn
		if m.Kind == Check && len(m.with(budget.Fail)) > 0 {
			mark = budget.Fail
		}
		return append(forms, "### "+emoji(mark)+" "+summary(m.Report, nil)+"\n")
	}
	short := "### image-budget\n"
	if m.Kind == Check {
		short = "### " + emoji(m.Status) + " " + summary(m.Report, nil) + "\n"
	}
	return []string{full, short}
}

// headline says the verdict of everything in one sentence.
func (m *markdown) headline() string {
	switch {
	case len(m.Unmeasured) > 0 && (m.Kind != Check || len(m.with(budget.Fail)) == 0):
		return emoji(budget.Warn) + " " + m.unmeasuredHeadline()
	case len(m.Images) == 0:
		return "No image was measured"
	}
	first := &m.Images[0]
	switch {
	case m.Kind == Suggest:
		return m.adviceHeadline()
	case m.Kind == Inspect && m.several():
		return plural(len(m.Images), "image")
	case m.Kind == Inspect:
		return inHead(first.title()) + ": " + sizeWords(first)
	case m.Kind == Diff:
		return differenceWords(first)
	}
	for _, status := range []budget.Status{budget.Fail, budget.Warn} {
		if bad := m.with(status); len(bad) > 0 {
			return emoji(status) + " " + m.badHeadline(bad, status)
		}
	}
	if m.several() {
		return emoji(budget.Pass) + " " + capital(m.together(inHead)) + " are within budget"
	}
	return emoji(budget.Pass) + " " + goodHeadline(first)
}

// capital begins a sentence of ours.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// badHeadline names the worst of a single image, or counts several.
func (m *markdown) badHeadline(bad []*Image, status budget.Status) string {
	var names []string // each once, however many platforms there are
	for _, img := range bad {
		if len(names) == 0 || !slices.Contains(names, img.title()) {
			names = append(names, img.title())
		}
	}
	if len(names) > 1 {
		words := inHead(names[0]) + ", " + inHead(names[1])
		if more := len(names) - 2; more > 0 {
			words += fmt.Sprintf(" and %d more", more)
		}
		if status == budget.Fail {
			return fmt.Sprintf("%d of %s are over budget: %s", len(bad), plural(m.total(), "image"), words)
		}
		return fmt.Sprintf("%d of %s are within budget with a warning: %s", len(bad), plural(len(m.Images), "image"), words)
	}
	img := bad[0]
	var words string
	var worst []budget.Check
	for _, c := range img.Verdict.Checks {
		if c.Status == status {
			worst = append(worst, c)
		}
	}
	if len(worst) == 0 {
		words = inHead(img.title()) + ": a limit could not be judged"
	} else {
		words = over(inHead(img.title()), worst[0], inHead)
	}
	if len(worst) > 1 {
		words += fmt.Sprintf(" (and %s)", plural(len(worst)-1, "more limit"))
	}
	switch {
	case len(bad) > 1:
		words += fmt.Sprintf(", on %s", plural(len(bad), "platform"))
	case m.platforms(img):
		words += ", on " + prose(img.Head.Platform)
	}
	return words
}

// sizeWords gives the size of an image in words.
func sizeWords(img *Image) string {
	m := &img.Head.Metrics
	var words []string
	for _, metric := range []footprint.Metric{footprint.Compressed, footprint.Unpacked, footprint.Wasted} {
		if text := metricText(m, metric); text != "" {
			words = append(words, text+" "+string(metric))
		}
	}
	return strings.Join(append(words, plural(m.Layers, "layer")), ", ")
}

// differenceWords gives the change from one image to the other in words.
func differenceWords(img *Image) string {
	words := inHead(reference(img.Head))
	if img.Base != nil {
		words = inHead(reference(img.Base)) + " → " + words
	}
	if img.sameContent() {
		return words + ": same content"
	}
	f := img.figure(false, img.sizeMetric())
	if !f.compared {
		return words + ": not comparable"
	}
	_, _, change := f.texts()
	return words + ": " + change + " " + string(f.metric)
}

// goodHeadline is the sentence for an image within its budget.
func goodHeadline(img *Image) string {
	f := img.figure(false, img.sizeMetric())
	_, now, change := f.texts()
	words := ": " + now + " " + string(f.metric)
	judged := false
	for _, c := range img.Verdict.Checks {
		judged = judged || c.Status != budget.NotMeasured
	}
	switch limit := binding(f.checks); {
	case !f.known:
		words = " is within budget"
	case limit != nil && limit.Kind == budget.KindMax && limit.Status == budget.Pass:
		words = fmt.Sprintf(" fits: %s %s of %s", now, f.metric, amount(*limit, limit.Allowed))
	case judged:
		words = " is within budget" + words
	default:
		words += ", nothing to judge it by"
	}
	if f.compared && f.now == f.was {
		words += ", unchanged"
	} else if f.compared {
		words += " (" + change + ")"
	} else if img.Baseline.Status != string(budget.BaselineNotComparable) && img.Baseline.From != "none" {
		words += ", no baseline yet"
	}
	for _, c := range img.Verdict.Checks {
		if c.Status == budget.Waived {
			return inHead(img.title()) + words + ", with a waiver"
		}
	}
	return inHead(img.title()) + words
}

// binding returns the check that says most about a figure: the worst, and of
// those the first in the budget.
func binding(checks []budget.Check) *budget.Check {
	for _, status := range []budget.Status{budget.Fail, budget.Warn, budget.Waived, budget.Pass, budget.NotMeasured} {
		for i := range checks {
			if checks[i].Status == status {
				return &checks[i]
			}
		}
	}
	return nil
}

// footers say how it was measured and with what it was compared.
func (m *markdown) footers() []string {
	var words []string
	if m.one != "" && (m.alike() || len(m.grown()) == 0) {
		// No other place of a document with one platform names it.
		words = append(words, prose(m.one))
	}
	if len(m.Images) > 0 && (m.Kind != Suggest || len(m.Images[0].Head.Layers) > 0) {
		words = append(words, method(m.Images[0].Head))
	}
	if m.Kind == Check && len(m.Images) > 0 {
		words = append(words, m.comparison())
		if pull := m.update(); pull != "" {
			words = append(words, pull)
		}
	}
	words = append(words, m.asBefore()...)
	if cost := m.cost(); cost != "" {
		words = append(words, cost)
	}
	if history := m.history(); history != "" {
		words = append(words, history)
	}
	if read := readWords(m.Report); read != "" {
		words = append(words, read)
	}
	for _, note := range m.notes() {
		words = append(words, prose(note))
	}
	run := ""
	if at := escape.URL(m.Run.runURL()); at != "" {
		run = "[run](" + at + ")"
		words = append(words, run)
	}
	if len(words) == 0 {
		return []string{""}
	}
	full := "<sub>" + strings.Join(words, " · ") + "</sub>\n"
	if run != "" {
		run = "<sub>" + run + "</sub>\n"
	}
	return []string{full, run, ""}
}

// comparison says with what the images were compared, once if it is the same;
// there is one at least.
func (m *markdown) comparison() string {
	words := ""
	for i := range m.Images {
		w := baselineWords(m.Images[i].Baseline, inText, prose)
		if i > 0 && w != words {
			return "compared with several baselines"
		}
		words = w
	}
	return words
}

// update says what a host must pull that holds the baseline: of one image, or of
// each of a few.
func (m *markdown) update() string {
	const few = 4
	var words []string
	for i := range m.Images {
		img := &m.Images[i]
		pull := img.update()
		if pull == "" {
			continue
		}
		if m.several() {
			pull += " of " + m.label(img)
		}
		words = append(words, pull)
	}
	if len(words) == 0 || len(words) > few {
		return ""
	}
	return "a host that has the baseline pulls " + strings.Join(words, ", ")
}
