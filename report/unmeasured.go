package report

import "github.com/org/image-budget/budget"

// overall is the status of the report as a whole: that of its images, but fail if
// one could not be measured, since a machine must not read its absence as a pass.
func (r *Report) overall() budget.Status {
	if len(r.Unmeasured) > 0 {
		return budget.Fail
	}
	return passIfNone(r.Status)
}
