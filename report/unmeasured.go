package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/internal/escape"
)

// couldNot is said of every image without figures, in the same words everywhere.
const couldNot = "could not be measured"

// overall is the status of the report as a whole: that of its images, but fail if
// one could not be measured, since a machine must not read its absence as a pass.
func (r *Report) overall() budget.Status {
	if len(r.Unmeasured) > 0 {
		return budget.Fail
	}
	return passIfNone(r.Status)
}

// total counts the images that the report is about, measured or not.
func (r *Report) total() int { return len(r.Images) + len(r.Unmeasured) }

// failed tells whether there is no image with figures where there should be one.
func (r *Report) failed() bool { return len(r.Images) == 0 && len(r.Unmeasured) > 0 }

// notes are the remarks that mean something: by which limits images are judged is
// of no interest where there is no image to judge.
func (r *Report) notes() []string {
	if !r.failed() {
		return r.Notes
	}
	return slices.DeleteFunc(slices.Clone(r.Notes), func(note string) bool { return strings.HasPrefix(note, "no "+budget.DefaultName+":") })
}

// title names an image without figures, with its platform if one is known.
func (u Unmeasured) title(q quote) string {
	if u.Platform == "" {
		return q(u.Name)
	}
	return q(u.Name) + " for " + q(u.Platform)
}

// unmeasuredSummary counts the images that could not be measured, and says how
// the others came out.
func unmeasuredSummary(r *Report, q quote) string {
	without := fmt.Sprintf("%d of %s %s", len(r.Unmeasured), r.counted(q), couldNot)
	fail, warn := len(r.with(budget.Fail)), len(r.with(budget.Warn))
	switch {
	case r.Kind != Check || len(r.Images) == 0:
		return without
	case fail > 0:
		return fmt.Sprintf("%d of %s over budget, %d %s", fail, r.counted(q), len(r.Unmeasured), couldNot)
	case warn > 0:
		return without + fmt.Sprintf(", %d within budget with a warning", warn)
	}
	return without + ", the rest within budget"
}

// unmeasured writes an image without figures the way one with figures begins.
func (s *sheet) unmeasured(u Unmeasured) {
	platform := ""
	if u.Platform != "" {
		platform = plainName(u.Platform)
	}
	s.header(plainName(u.Name), platform, sign(budget.Fail)+" "+couldNot, tintOf(budget.Fail))
	if u.Reason != "" {
		s.blank()
		s.prose(2, plain, plainName(u.Reason))
	}
}

// unmeasuredNames lists the images without figures once more below all others.
func (s *sheet) unmeasuredNames(all []Unmeasured) {
	for i, u := range all {
		if i == maxNames {
			s.row(2, cell{fmt.Sprintf("and %d more", len(all)-i), faint})
			return
		}
		s.row(2, cell{sign(budget.Fail) + " ", tintOf(budget.Fail)}, cell{middle(u.title(plainName), s.width/2), plain}, cell{"  " + couldNot, faint})
	}
}

// unmeasuredHeadline names a single image without figures, or counts several.
func (m *markdown) unmeasuredHeadline() string {
	first, n := m.Unmeasured[0].title(inHead), len(m.Unmeasured)
	if n == 1 {
		return first + " " + couldNot
	}
	words := first + ", " + m.Unmeasured[1].title(inHead)
	if n > 2 {
		words += fmt.Sprintf(" and %d more", n-2)
	}
	return fmt.Sprintf("%d of %s %s: %s", n, m.counted(inHead), couldNot, words)
}

// reasonWidths are how many characters of a reason are shown, the best first; 0
// shows none. All but the first are for a limit far below that of a comment.
var reasonWidths = [...]int{300, 80, 0}

// unmeasuredList has a line for every image without figures, up to maxNames. It
// belongs to the heading: nothing else may take its room.
func (m *markdown) unmeasuredList(width int) string {
	var b strings.Builder
	for i, u := range m.Unmeasured {
		if i == maxNames {
			fmt.Fprintf(&b, "- and %s %s\n", plural(len(m.Unmeasured)-i, "more image"), couldNot)
			break
		}
		fmt.Fprintf(&b, "- %s\n", sentence(u.title(inText)+" "+couldNot, reason(u.Reason, width)))
	}
	return b.String()
}

// unmeasuredRows adds the rows of the table for images without figures.
func (m *markdown) unmeasuredRows(g *grid) {
	row := func(name, platform string) {
		if platform = cmp.Or(platform, "–"); m.single {
			platform = ""
		}
		status := whole(emoji(budget.Warn) + " " + couldNot)
		if m.Kind == Inspect || m.Kind == Suggest {
			g.add(name+" "+status, platform, "–", "–", "–", "–", "–", "–")
			return
		}
		limit := "–"
		if m.Kind == Diff {
			limit = ""
		}
		g.add(name, platform, "–", "–", "–", limit, status)
	}
	for i, u := range m.Unmeasured {
		if i == maxNames {
			row(fmt.Sprintf("%d more", len(m.Unmeasured)-i), "")
			break
		}
		row(inCell(u.Name), prose(u.Platform))
	}
}

// reason writes why there are no figures. It loses its middle: what was tried
// stands at the start of an error, what went wrong at its end.
func reason(s string, width int) string {
	if width == 0 {
		return ""
	}
	runes := []rune(inert(s))
	if len(runes) > width {
		tail := (width - 1) / 2
		runes = append(append(runes[:width-1-tail:width-1-tail], '…'), runes[len(runes)-tail:]...)
	}
	return escape.Text(string(runes))
}
