package report

import (
	"fmt"

	"github.com/org/image-budget/budget"
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

// unmeasuredSummary counts the images that could not be measured, and says how
// the others came out.
func unmeasuredSummary(r *Report) string {
	without := fmt.Sprintf("%d of %s %s", len(r.Unmeasured), plural(r.total(), "image"), couldNot)
	fail, warn := len(r.with(budget.Fail)), len(r.with(budget.Warn))
	switch {
	case r.Kind != Check || len(r.Images) == 0:
		return without
	case fail > 0:
		return fmt.Sprintf("%d of %s over budget, %d %s", fail, plural(r.total(), "image"), len(r.Unmeasured), couldNot)
	case warn > 0:
		return without + fmt.Sprintf(", %d within budget with a warning", warn)
	}
	return without + ", the rest within budget"
}

// unmeasured writes an image without figures the way one with figures begins.
func (s *sheet) unmeasured(u Unmeasured) {
	s.header(plainName(u.Name), "", sign(budget.Fail)+" "+couldNot, tintOf(budget.Fail))
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
		s.row(2, cell{sign(budget.Fail) + " ", tintOf(budget.Fail)}, cell{middle(plainName(u.Name), s.width/2), plain}, cell{"  " + couldNot, faint})
	}
}
