package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

func TestLargest(t *testing.T) {
	t.Parallel()
	files := []footprint.File{
		{Path: "/a", Kind: footprint.Directory, Size: 99}, {Path: "/a/1", Kind: footprint.Regular, Size: 5}, {Path: "/a/2", Kind: footprint.Regular, Size: 9},
		{Path: "/a/3", Kind: footprint.Regular, Size: 5}, {Path: "/b", Kind: footprint.Regular}, {Path: "/c", Kind: footprint.Regular, Size: 7},
	}
	var got []string
	for _, f := range report.Largest(slices.Values(files), 3) {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff([]string{"/a/2", "/c", "/a/1"}, got); diff != "" {
		t.Error(diff)
	}
	if report.Largest(nil, 3) != nil || report.Largest(slices.Values(files), 0) != nil {
		t.Error("nothing has largest files")
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	for _, f := range report.Formats() {
		if got, err := report.Named(string(f)); got != f || err != nil {
			t.Errorf("%s: %v, %v", f, got, err)
		}
	}
	for name, hint := range map[string]string{"md": `"markdown"`, "JSON": `"json"`, "text": `"terminal"`, "Sarif": `"sarif"`, "": "", strings.Repeat("x", 500): "…", "\x1b[31m": `\x1b`} {
		_, err := report.Named(name)
		if err == nil || !strings.Contains(err.Error(), hint) || !strings.Contains(err.Error(), "terminal, markdown, json") || len(err.Error()) > 200 {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestWorth(t *testing.T) {
	t.Parallel()
	all := cases(t)
	for name, want := range map[string]bool{"over": true, "fine": true, "shrunk": true, "no-baseline": false, "manifest-only": true, "not-comparable": true, "waived": true, "estimated": false, "no-budget": true} {
		if got := report.Worth(all[name]); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for more, want := range map[footprint.Bytes]bool{0: false, 9_999: false, 50_000: false, 100_000: true, -100_000: true} {
		head, base := near(more), oldImage()
		img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
		if got := report.Worth(wrap(judged(&img, parseBudget(t, simpleBudget)))); got != want {
			t.Errorf("%d bytes more: %v, want %v", more, got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	a, b, again := fine(t), rich(t), fine(t)
	b.Images[0].Head.Platform = "linux/arm64"
	a.Notes, b.Notes = []string{"one"}, []string{"one", "two"}
	again.Run.Attempt = 2
	again.Images[0].Head.Reference = "again"
	got := report.Merge(a, nil, b)
	if len(got.Images) != 2 || got.Status != budget.Fail || got.BlobBytesRead != 39_100_000 || got.LayersKnown != 10 || !slices.Equal(got.Notes, []string{"one", "two"}) {
		t.Errorf("%+v", got)
	}
	for _, order := range [][]*report.Report{{a, again}, {again, a}} {
		got := report.Merge(order...)
		if len(got.Images) != 1 || got.Images[0].Head.Reference != "again" || got.Run.Attempt != 2 {
			t.Errorf("the later attempt lost: %+v", got)
		}
	}
	failed := rich(t)
	if got := report.Merge(failed, fine(t)); len(got.Images) != 1 || got.Status != budget.Pass {
		t.Error("within one run the later report replaces the earlier")
	}
	if got := report.Merge(); got.Status != budget.Pass || len(got.Images) != 0 {
		t.Errorf("%+v", got)
	}
	inspect := cases(t)["inspect"]
	if got := report.Merge(inspect, b); got.Kind != report.Check {
		t.Errorf("kind %s", got.Kind)
	}
}

// Two values that round to the same text are printed to the byte.
func TestApart(t *testing.T) {
	t.Parallel()
	head, base := near(20_000), oldImage()
	img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
	r := wrap(judged(&img, parseBudget(t, simpleBudget)))
	if text := terminal(t, r, report.TerminalOptions{}); !strings.Contains(text, "94 000 002 B → 94 020 002 B") {
		t.Error(text)
	}
	over := parseBudget(t, strings.ReplaceAll(simpleBudget, "120MB", "94020001"))
	r = wrap(judged(&img, over))
	text := markdown(t, r, comment)
	if first, _, _ := strings.Cut(text, "\n"); !strings.Contains(first, "94 020 002 B compressed, 94 020 001 B allowed") {
		t.Error(first)
	}
}

// What the report says to raise a limit to is enough, and the budget reads it.
func TestAcceptanceIsEnough(t *testing.T) {
	t.Parallel()
	for _, size := range []footprint.Bytes{120_000_001, 132_449_999, 132_450_001, 1_320_000_001, 98_765_432_109} {
		head := near(size - oldImage().Metrics.Compressed)
		img := report.Image{Head: head, Baseline: report.Baseline{Status: "none"}}
		text := terminal(t, wrap(judged(&img, parseBudget(t, simpleBudget))), report.TerminalOptions{Width: 120})
		_, after, ok := strings.Cut(text, "raise images.web.limits.compressed.max")
		if !ok {
			t.Fatalf("no advice for %d:\n%s", size, text)
		}
		value, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(after), "to "), "\n")
		limit, err := footprint.ParseBytes(value)
		if err != nil || limit < head.Metrics.Compressed || limit > head.Metrics.Compressed+head.Metrics.Compressed/100 {
			t.Errorf("%d bytes: %q is %d, %v", head.Metrics.Compressed, value, limit, err)
		}
	}
}

func TestHeaviestDirectories(t *testing.T) {
	t.Parallel()
	r := cases(t)["inspect"]
	head := r.Images[0].Head
	// "a-b" sorts between "a" and "a/c" as text, but is beside both.
	head.Dirs = []footprint.Dir{
		{Path: "/a", Bytes: 100_000_000, Files: 1}, {Path: "/a-b", Bytes: 17_181_004, Files: 2}, {Path: "/a/c", Bytes: 90_000_000, Files: 3}, {Path: "/z/y/x", Bytes: 10_000_000, Files: 4},
	}
	text := terminal(t, r, report.TerminalOptions{})
	for _, want := range []string{"190.0 MB  /a ", " 90.0 MB    /a/c ", " 17.2 MB  /a-b ", " 10.0 MB  /z/y/x "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// As deep as a path can be, as often as a roll-up can hold: no quadratic walk.
	head.Dirs = nil
	for i := range 400 {
		head.Dirs = append(head.Dirs, footprint.Dir{Path: fmt.Sprintf("/%03d", i) + strings.Repeat("/d", 16_000), Bytes: 1})
	}
	terminal(t, r, report.TerminalOptions{})
}

func TestMarkdownTooSmall(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := report.Markdown(&b, rich(t), report.MarkdownOptions{MaxBytes: 10}); err == nil || b.Len() > 0 {
		t.Errorf("%v, wrote %q", err, b.String())
	}
}

// A comment that had to be cut says what is missing and where it is.
func TestMarkdownSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	text := markdown(t, allOver(t, 60), report.MarkdownOptions{MaxBytes: 6_000, Rest: "the job summary"})
	for _, want := range []string{"more rows, see the job summary", "Left out to keep this short: ", "5 of 60 images"} {
		if want = strings.Replace(want, "5 of 60", "60 of 60", 1); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if whole := markdown(t, many(t, 60), report.MarkdownOptions{}); strings.Contains(whole, "Left out") || strings.Contains(whole, "more rows") {
		t.Error("something is missing although there is room")
	}
}

// All of 200 images have their row in one comment.
func TestManyImagesFit(t *testing.T) {
	t.Parallel()
	text := markdown(t, many(t, 200), comment)
	for i := range 200 {
		if name := fmt.Sprintf("| `service-%03d` ", i); !strings.Contains(text, name+"compressed |") && !strings.Contains(text, name+"| 94.0") && !strings.Contains(text, name+"| 94\u00a00") {
			t.Errorf("service-%03d has no row", i)
		}
	}
	if at, row := strings.Index(text, "`service-163` compressed"), strings.Index(text, "`service-000` |"); at > row {
		t.Error("a failing image stands below one that fits")
	}
	if !strings.Contains(text, "What grew in `service-003`, `service-043`, `service-083` and 2 more** (unpacked, linux/amd64)") {
		t.Error("the causes of a failing image are missing")
	}
}

// TestFull: what a page lists that somebody opens, a comment does not.
func TestFull(t *testing.T) {
	t.Parallel()
	same := oldImage()
	r := wrap(judged(&report.Image{Head: oldImage(), Base: same, Delta: delta(same, oldImage())}, parseBudget(t, simpleBudget)))
	for full, want := range map[bool]bool{false: false, true: true} {
		var b strings.Builder
		if err := report.Markdown(&b, r, report.MarkdownOptions{Full: full}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "<summary>Layers: "); got != want {
			t.Errorf("full is %v, layers are listed: %v\n%s", full, got, b.String())
		}
	}
}
