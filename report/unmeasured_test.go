package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/report"
)

// absent are n images without figures.
func absent(n int) []report.Unmeasured {
	var out []report.Unmeasured
	for i := range n {
		out = append(out, report.Unmeasured{Name: fmt.Sprintf("absent-%d", i), Reason: fmt.Sprintf("start-%d %s end-%d", i, strings.Repeat("é", 400), i)})
	}
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// An absent image must not read as a pass, whatever became of the others.
func TestUnmeasuredHeading(t *testing.T) {
	t.Parallel()
	img := report.Image{Head: oldImage(), Baseline: report.Baseline{Status: "none"}}
	warned := wrap(judged(&img, parseBudget(t, strings.Replace(simpleBudget, "max: 120MB", "max: 120MB, warn: 90MB", 1))))
	for name, c := range map[string]struct {
		r                *report.Report
		heading, summary string
	}{
		"alone":    {unmeasured(wrap(), refused), "### ⚠️ `worker` could not be measured", ""},
		"passing":  {unmeasured(fine(t), refused), "### ⚠️ `worker` could not be measured", "1 of 2 images could not be measured, the rest within budget"},
		"two":      {unmeasured(fine(t), absent(2)...), "### ⚠️ 2 of 3 images could not be measured: `absent-0`, `absent-1`", "2 of 3 images could not be measured, the rest within budget"},
		"many":     {unmeasured(wrap(), absent(40)...), "### ⚠️ 40 of 40 images could not be measured: `absent-0`, `absent-1` and 38 more", "40 of 40 images could not be measured"},
		"failing":  {unmeasured(rich(t), refused), "### ❌ `web` is 12.4 MB over its budget: 132.4 MB compressed, 120 MB allowed (and 3 more limits)", "1 of 2 images over budget, 1 could not be measured"},
		"fails":    {unmeasured(many(t, 50), refused), "### ❌ 2 of 51 images are over budget: `service-003`, `service-043`", "2 of 51 images over budget, 1 could not be measured"},
		"warned":   {unmeasured(warned, refused), "### ⚠️ `worker` could not be measured", "1 of 2 images could not be measured, 1 within budget with a warning"},
		"one of 4": {unmeasured(many(t, 3), refused), "### ⚠️ `worker` could not be measured", "1 of 4 images could not be measured, the rest within budget"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, screen := markdown(t, c.r, comment), terminal(t, c.r, report.TerminalOptions{})
			if diff := cmp.Diff(c.heading, firstLine(text)); diff != "" {
				t.Error(diff)
			}
			if c.summary != "" && !strings.Contains(screen, "\n"+c.summary+"\n") {
				t.Errorf("no %q in\n%s", c.summary, screen)
			}
			if header := "✗ could not be measured"; !strings.HasSuffix(firstLine(screen), header) {
				t.Errorf("it begins with %q", firstLine(screen))
			}
			for _, limit := range []int{0, 500, 700, 1_000, 4_000, 16_000} {
				for _, kind := range kinds() {
					r := *c.r
					r.Kind = kind
					if text := markdown(t, &r, report.MarkdownOptions{MaxBytes: limit}); strings.HasPrefix(text, "### ✅") || !strings.Contains(text, "could not be measured") {
						t.Errorf("%s in %d bytes:\n%s", kind, limit, text)
					}
				}
			}
			if painted := terminal(t, c.r, report.TerminalOptions{Color: true}); c.summary != "" && !strings.Contains(painted, "\x1b[31m"+c.summary+"\x1b[0m") {
				t.Errorf("the summary is not red:\n%s", painted)
			}
			if !report.Worth(c.r) {
				t.Error("it is not worth a comment")
			}
			if stored := toJSON(t, c.r); !strings.Contains(stored, `"status": "fail"`) {
				t.Errorf("the status is not fail: %.300s", stored)
			}
		})
	}
}

// Up to twenty are named in a full comment, each with both ends of its reason,
// before anything that can be left out.
func TestUnmeasuredIsNotCut(t *testing.T) {
	t.Parallel()
	text := markdown(t, unmeasured(many(t, 200), absent(23)...), comment)
	list, table, _ := strings.Cut(text, "\n| image |")
	for i, u := range absent(20) {
		if line := fmt.Sprintf("- `%s` could not be measured: start-%d é", u.Name, i); !strings.Contains(list, line) || !strings.Contains(list, fmt.Sprintf("é end-%d\n", i)) {
			t.Errorf("no %q in\n%s", line, list)
		}
		if row := "| `" + u.Name + "` | – |"; !strings.Contains(table, row) {
			t.Errorf("no row %q", row)
		}
	}
	if !strings.Contains(list, "- and 3 more images could not be measured\n") || !strings.Contains(table, "| 3 more | – |") || strings.Contains(list, "absent-20") {
		t.Errorf("the rest is not counted:\n%s", list)
	}
	if strings.Contains(list, strings.Repeat("é", 300)) || !strings.Contains(list, strings.Repeat("é", 130)+"…") {
		t.Error("reasons are not cut to 300 characters")
	}
	screen := terminal(t, unmeasured(fine(t), absent(23)...), report.TerminalOptions{Width: 60})
	for _, want := range []string{"\n  ✗ absent-19  could not be measured\n", "\n  and 3 more\n", "\n  start-22\n"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
}

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
