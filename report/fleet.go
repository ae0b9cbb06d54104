package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// A check of more than maxWhole images is a fleet: nobody reads hundreds of images
// one by one. Its table has all that are not within budget and the maxChanged that
// changed most, in a row each; only the first of those are explained, and the others
// are counted.
const (
	maxWhole   = 10
	maxChanged = 20
	// How many images are explained on a terminal, in a comment, and where there
	// is room for more than a comment holds.
	maxDetailedOnTerminal = 5
	maxDetailed           = 10
	maxDetailedAtLength   = 50
	commentBytes          = 100_000
)

// fleet tells whether a report is shown as one.
func (r *Report) fleet() bool { return r.Kind == Check && r.total() > maxWhole }

// ranked lists the images with the ones to look at first: over budget, with a
// warning, changed, then the rest, each in the order of the report; in a fleet, those
// that a waiver excuses come before what changed, and that by how much it did.
func (r *Report) ranked() []*Image {
	out := make([]*Image, len(r.Images))
	urgency, change := map[*Image]int{}, map[*Image]int64{}
	for i := range r.Images {
		img := &r.Images[i]
		out[i], urgency[img] = img, img.urgency()
		if r.fleet() {
			change[img] = img.sizeChange()
			if urgency[img] > 1 && img.waived() {
				urgency[img], change[img] = 2, math.MaxInt64
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *Image) int {
		return cmp.Or(cmp.Compare(urgency[a], urgency[b]), cmp.Compare(change[b], change[a]))
	})
	return out
}

func (img *Image) urgency() int {
	switch {
	case img.Verdict.Status == budget.Fail:
		return 0
	case img.Verdict.Status == budget.Warn:
		return 1
	case img.changed():
		return 2
	}
	return 3
}

// sizeChange is by how much the size of an image differs from its baseline, in
// either direction; 0 if that is not known.
func (img *Image) sizeChange() int64 {
	now, was, _ := img.compare(false, img.sizeMetric())
	return max(now-was, was-now)
}

// waived tells whether a waiver is what keeps an image within its budget.
func (img *Image) waived() bool {
	return slices.ContainsFunc(img.Verdict.Checks, func(c budget.Check) bool { return c.Status == budget.Waived })
}

// shown splits the ranked images of a report into those that have rows in its table
// and the others.
func (r *Report) shown() (rows, others []*Image) {
	all := r.ranked()
	if !r.fleet() {
		return all, nil
	}
	changed := 0
	for _, img := range all {
		within := img.urgency() > 1 && !img.waived()
		if within && img.changed() {
			changed++
		}
		if within && (!img.changed() || changed > maxChanged) {
			others = append(others, img)
		} else {
			rows = append(rows, img)
		}
	}
	return rows, others
}

// detailed lists the images that are explained, at most limit of a fleet, and counts
// those that would be worth it too.
func (r *Report) detailed(limit int) (images []*Image, more int) {
	all := r.ranked()
	if !r.fleet() {
		return all, 0
	}
	all = slices.DeleteFunc(all, func(img *Image) bool { return img.urgency() > 2 })
	n := min(len(all), limit)
	return all[:n], len(all) - n
}

// otherWords counts the images without rows: "187 more are within budget and
// unchanged".
func otherWords(others []*Image) string {
	var unchanged, changed, unknown int
	var most int64
	for _, img := range others {
		switch _, _, compared := img.compare(false, img.sizeMetric()); {
		case img.changed():
			changed++
			most = max(most, img.sizeChange())
		case compared:
			unchanged++
		default:
			unknown++
		}
	}
	var parts []string
	if changed > 0 {
		parts = append(parts, fmt.Sprintf("%s changed by at most %s", count(int64(changed)), footprint.Bytes(most)))
	}
	if unchanged > 0 {
		parts = append(parts, count(int64(unchanged))+" unchanged")
	}
	if unknown > 0 {
		parts = append(parts, count(int64(unknown))+" without a comparison")
	}
	verb := "are"
	if len(others) == 1 {
		verb = "is"
	}
	words := fmt.Sprintf("%s more %s within budget", count(int64(len(others))), verb)
	switch {
	case len(parts) > 1:
		return words + ": " + strings.Join(parts, ", ")
	case unchanged > 0:
		return words + " and unchanged"
	case changed > 0:
		return fmt.Sprintf("%s and changed by at most %s", words, footprint.Bytes(most))
	}
	return words + ", without a comparison"
}

// worst is the check that says most about an image, nil without any, what it is
// about if that is not the size of the image, and how many more came out as badly.
func (img *Image) worst(q quote) (c *budget.Check, subject string, more int) {
	c = binding(img.Verdict.Checks)
	if c == nil {
		return nil, "", 0
	}
	switch {
	case c.Scope == budget.ScopeOwn:
		subject = "own " + string(c.Metric) + " "
	case c.Scope != budget.ScopeImage:
		subject = q(subjectOf(*c)) + " "
	case c.Metric != img.sizeMetric():
		subject = string(c.Metric) + " "
	}
	if c.Status == budget.Fail || c.Status == budget.Warn {
		for _, other := range img.Verdict.Checks {
			if other.Status == c.Status {
				more++
			}
		}
		more--
	}
	return c, subject, more
}

// worstWords puts it into one line: "12.4 MB over max 120 MB, 3 more".
func (img *Image) worstWords(q quote) string {
	c, subject, more := img.worst(q)
	if c == nil {
		return "no limit"
	}
	words := subject + rule(*c, q) + ": " + state(*c)
	switch {
	case c.Kind == budget.KindForbid || c.Status == budget.NotMeasured || c.Status == budget.Waived:
	case c.Headroom < 0:
		words = state(*c) + " " + subject + rule(*c, q)
	default:
		words = state(*c) + " of " + subject + rule(*c, q)
	}
	if more > 0 {
		words += fmt.Sprintf(", %s more", count(int64(more)))
	}
	return words
}

// fleetRow is the row of one image among very many.
func (m *markdown) fleetRow(img *Image) []string {
	f := img.figure(false, img.sizeMetric())
	c, subject, more := img.worst(prose)
	if c == nil {
		return m.figureRow(img, f, nil)
	}
	row := m.figureRow(img, f, []budget.Check{*c})
	row[5] = whole(subject) + row[5]
	if more > 0 {
		row[6] += ", " + plural(more, "more limit")
	}
	return row
}

// others is the table of the images without rows in the first one.
func (m *markdown) others() section {
	s := section{name: "the images within budget", noun: "image", rank: 10}
	_, others := m.shown()
	if len(others) == 0 {
		return s
	}
	metric := footprint.Compressed
	g := grid{columns: []string{"image", "platform", ">now", ">change", "budget"}}
	for _, img := range others {
		f := img.figure(false, img.sizeMetric())
		_, now, change := f.texts()
		if metric = f.metric; metric != footprint.Compressed {
			now += " " + string(metric)
		}
		g.add(inCell(img.title()), m.platformCell(img), whole(cmp.Or(now, "–")), whole(cmp.Or(change, "–")), img.worstWords(prose))
	}
	s.parts = []part{g.part("")}
	return details("Within budget: "+plural(len(others), "more image")+", compressed bytes", s)
}

// overview writes the last table of a fleet on a terminal: a line for each image that
// is worth one, the ones to look at first, and the number of the others. Where the
// width does not allow it, the lines lose the size of the baseline, then the limit, then the change.
func (s *sheet) overview(r *Report) {
	images, others := r.shown()
	columns := []column{{tight: true}, {flex: true}, {flex: true}, {right: true, tight: true}, {tight: true}, {right: true}, {right: true}, {flex: true}}
	var rows [][]cell
	for _, short := range []int{0, 1, 2, 3} {
		rows = fleetLines(images, short)
		if widths := (&sheet{width: 1 << 20}).fit(2, columns, rows); 2+total(columns, widths) <= s.width {
			break
		}
	}
	s.table(2, columns, rows)
	if len(others) > 0 {
		s.prose(2, faint, otherWords(others))
	}
}

// fleetLines are a line for each image, with less in it the larger short is.
func fleetLines(images []*Image, short int) [][]cell {
	platforms := slices.ContainsFunc(images, func(img *Image) bool { return img.Head.Platform != images[0].Head.Platform })
	var rows [][]cell
	for _, img := range images {
		f := img.figure(false, img.sizeMetric())
		// The change says what two sizes that round to the same text do not.
		was, arrow, platform := "", "", ""
		_, now, change := f.texts()
		if f.known {
			now = marked(footprint.Bytes(f.now).String(), f.estimated)
		}
		if f.compared && short == 0 {
			was, arrow = marked(footprint.Bytes(f.was).String(), f.wasEstimated), "→"
		}
		if platforms {
			platform = plainName(cmp.Or(img.Head.Platform, "–"))
		}
		if short == 3 {
			change = ""
		}
		words := img.worstWords(plainName)
		if c := binding(img.Verdict.Checks); c != nil && short >= 2 {
			words = state(*c)
		}
		status := img.Verdict.Status
		rows = append(rows, []cell{
			{sign(status), tintOf(status)}, {plainName(img.title()), plain}, {platform, faint}, {was, faint}, {arrow, faint}, {now, bold},
			{change, changeTint(f.now - f.was)}, {words, tintOf(status)},
		})
	}
	return rows
}
