package report_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/report"
)

func TestMergeUnmeasured(t *testing.T) {
	t.Parallel()
	web := report.Unmeasured{Name: "web", Reason: "no such host"}
	attempt := func(n int64, r *report.Report) *report.Report {
		r.Run.Attempt = n
		return r
	}
	for name, c := range map[string]struct {
		reports []*report.Report
		want    []report.Unmeasured
	}{
		"both":             {[]*report.Report{unmeasured(fine(t), refused), unmeasured(wrap(), web)}, []report.Unmeasured{refused, web}},
		"once":             {[]*report.Report{unmeasured(wrap(), refused), unmeasured(wrap(), refused)}, []report.Unmeasured{refused}},
		"another platform": {[]*report.Report{unmeasured(wrap(), web), fine(t)}, []report.Unmeasured{web}},
		"measured again":   {[]*report.Report{unmeasured(wrap(), web), attempt(2, fine(t))}, nil},
		"in any order":     {[]*report.Report{attempt(2, fine(t)), unmeasured(wrap(), web)}, nil},
		"no better":        {[]*report.Report{attempt(2, unmeasured(wrap(), web)), unmeasured(wrap(), report.Unmeasured{Name: "web", Reason: "timeout"})}, []report.Unmeasured{web}},
		"worse":            {[]*report.Report{fine(t), attempt(2, unmeasured(wrap(), web))}, []report.Unmeasured{web}},
		"other names":      {[]*report.Report{unmeasured(wrap(), refused), attempt(2, fine(t))}, []report.Unmeasured{refused}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := report.Merge(c.reports...)
			if diff := cmp.Diff(c.want, got.Unmeasured); diff != "" {
				t.Error(diff)
			}
			if failed := got.Status == budget.Fail; failed != (c.want != nil) {
				t.Errorf("status %s", got.Status)
			}
			again, err := report.ReadJSON(strings.NewReader(toJSON(t, got)), 1<<20)
			if err != nil || !slices.Equal(again.Unmeasured, got.Unmeasured) || again.Status != got.Status {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}
