package report_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// "Base" is the base image; what was compared with is the baseline, or in a pull
// request the base commit.
func TestBaseAndBaseline(t *testing.T) {
	t.Parallel()
	r := manifestOnly(t)
	text := markdown(t, r, comment)
	wants(t, "markdown", text,
		[]string{"| base `1a2b3c4` |", "a host that has the baseline pulls 85.3 MB of 132.4 MB", "own compressed, without the base image", "| baseline | now |"}, []string{"| base |", "has the base pulls", "without the base |"})
	r.Run.PullRequest = 0
	wants(t, "markdown", markdown(t, r, comment), []string{"| baseline `1a2b3c4` |"}, []string{"| base `"})
	r.Images[0].Baseline.Commit = ""
	wants(t, "markdown", markdown(t, r, comment), []string{"| baseline |"}, []string{"| base |", "| base `"})
}

// Why there is no baseline is said once, with what to do about it.
func TestNoBaselineIsSaidOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, reason, want string }{
		{"", "no baseline is named", "no baseline is named"},
		{"", "", "no baseline yet: save one with image-budget baseline save; limits on growth apply from then on"},
		{"file:a.json", "", "no baseline yet: save one with image-budget baseline save; limits on growth apply from then on"},
		{"file:a.json", "no baseline: a.json does not exist yet", "no baseline: a.json does not exist yet; save one with image-budget baseline save"},
		{"file:a.json", `no baseline: a.json has no "web", only "api"`, `no baseline: a.json has no "web", only "api"; save one with image-budget baseline save`},
		{"file:a.json", "no baseline: a.json holds no baseline", "a.json holds no baseline; save one with image-budget baseline save"},
		{"file:a.json", "no baseline: ", "no baseline; save one with image-budget baseline save"},
		{"branch:sizes", "no baseline: the branch sizes does not exist yet", "no baseline: the branch sizes does not exist yet; a push to a tracked branch saves one, and so does image-budget baseline save"},
		{"image:web:main", "no baseline: no baseline: web:main is not there", "no baseline: web:main is not there"},
		{"image:web:main", `measuring the baseline "web:main": no baseline: opening web:main: image not found`, "no baseline: opening web:main: image not found"},
		{"image:web:main", "", "no baseline yet"},
		{"", "no baseline: the baseline is set to none", "the baseline is set to none"},
		{"none", "", "compared with nothing: the baseline is switched off"},
	} {
		r := noBaseline(t)
		r.Images[0].Baseline = report.Baseline{Status: "none", From: c.from, Reason: c.reason}
		for format, text := range both(t, r) {
			_, after, _ := strings.Cut(text, "111111111111\n")
			if format == "markdown" {
				_, after, _ = strings.Cut(text, "from the manifest · ")
			}
			after, _, _ = strings.Cut(after, "\ncompressed bytes")
			after, _, _ = strings.Cut(after, " · ")
			after = strings.ReplaceAll(strings.ReplaceAll(after, "`", ""), "\u200b", "")
			after = strings.ReplaceAll(strings.ReplaceAll(after, "&#8203;", ""), `\"`, `"`)
			if diff := cmp.Diff(c.want, strings.Join(strings.Fields(after), " ")); diff != "" {
				t.Errorf("%s of %q, %q:\n%s", format, c.from, c.reason, diff)
			}
		}
	}
}

// An image of an engine may have no digest, but it has an ID.
func TestImageWithoutDigest(t *testing.T) {
	t.Parallel()
	r := cases(t)["inspect"]
	head := r.Images[0].Head
	head.Digest, head.ConfigDigest = "", "sha256:3333333333333333333333333333333333333333333333333333333333333333"
	if line := firstLine(terminal(t, r, report.TerminalOptions{})); !strings.HasSuffix(line, "  id sha256:333333333333") {
		t.Error(line)
	}
	head.ConfigDigest = ""
	if line := firstLine(terminal(t, r, report.TerminalOptions{})); line != "web  linux/amd64" {
		t.Error(line)
	}
	r.Kind = report.Check
	head.ConfigDigest = "sha256:3333333333333333333333333333333333333333333333333333333333333333"
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"measured ghcr.io/acme/web:edge id sha256:333333333333\n"}, nil)
}

// Raising a limit on growth would leave it open for every later change.
func TestGrowthIsAcceptedByAWaiver(t *testing.T) {
	t.Parallel()
	snippet := `{limit: limits.compressed.growth, until: YYYY-MM-DD, reason: "…"}`
	for format, text := range both(t, rich(t)) {
		wants(t, format, text, []string{"moves with the baseline after the merge", snippet, "waive "}, []string{"to 38.4 MB"})
		if waive, raise := strings.Index(text, "waive "), strings.Index(text, "raise "); waive < 0 || raise < waive {
			t.Errorf("%s: the waiver at %d, raising at %d", format, waive, raise)
		}
	}
	// A limit on a size has no end: it is raised, or excused.
	only := notComparable(t)
	for format, text := range both(t, only) {
		wants(t, format, text, []string{"raise ", "to 132.5 MB"}, []string{"waive ", "after the merge"})
	}
	wants(t, "markdown", markdown(t, only, comment), []string{"- or excuse it for a time, below the image in the budget file:", "{limit: limits.compressed.max, until"}, nil)
	// One that ran out is renewed.
	late := waived(t)
	img := &late.Images[0]
	for i := range img.Verdict.Checks {
		if c := &img.Verdict.Checks[i]; c.Waiver != nil {
			c.Status, img.Verdict.Status, late.Status = "fail", "fail", "fail"
		}
	}
	for format, text := range both(t, late) {
		wants(t, format, text, []string{"renew the waiver of", "expired on 2026-12-31"}, []string{"raise "})
	}
	// A limit that YAML would need quotes for has no snippet.
	quoted := rich(t)
	for i := range quoted.Images[0].Verdict.Checks {
		quoted.Images[0].Verdict.Checks[i].Limit = "paths./a: b.growth"
	}
	for format, text := range both(t, quoted) {
		wants(t, format, text, []string{"after the merge"}, []string{"until: YYYY"})
	}
}

// A layer that stands twice in an image is read once.
func TestReadCountsDistinctLayers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		read, known int
		want        string
	}{
		{0, 0, "read no layer"}, {0, 6, "read no layer: all were known"}, {1, 0, "read 39.1 MB: 1 distinct layer"}, {28, 0, "read 39.1 MB: 28 distinct layers"}, {3, 4, "read 39.1 MB: 3 distinct layers, 4 more known"},
	} {
		r := rich(t)
		r.LayersRead, r.LayersKnown, r.Notes = c.read, c.known, nil
		wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"\n" + c.want + "\n"}, nil)
		wants(t, "markdown", markdown(t, r, comment), []string{" · " + c.want + " · "}, nil)
	}
}

// Compressing a layer again costs some bytes and explains nothing.
func TestNoiseIsNoCause(t *testing.T) {
	t.Parallel()
	again := footprint.Cause{Bytes: 3, Metric: footprint.Compressed, Change: footprint.Same, Layer: 4}
	little := footprint.Cause{Bytes: 9_000, Metric: footprint.Compressed, Change: footprint.Changed, Layer: 5}
	r := manifestOnly(t)
	causes := &r.Images[0].Delta.Causes
	*causes = append(*causes, little, again)
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"+25.0 MB", "+6.3 MB"}, []string{"+9.0 kB", "+3 B"})
	}
	// Over its budget, with nothing heavier to show, even little is shown.
	*causes = []footprint.Cause{little, again}
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"+9.0 kB"}, []string{"+3 B"})
	}
	r.Images[0].Verdict.Status = "pass"
	for format, text := range both(t, r) {
		wants(t, format, text, nil, []string{"+9.0 kB", "grew (", "What grew"})
	}
	// What adds up is shown.
	*causes = []footprint.Cause{little, little}
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"+9.0 kB"}, nil)
	}
	*causes = []footprint.Cause{{Bytes: 2_000_000, Metric: footprint.Compressed, Change: footprint.Same, Layer: 4}}
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"a layer of the same content, compressed differently"}, []string{"a layer that grew"})
	}
}

// Two sizes that read alike say less than what lies between them.
func TestPullOfNearlyAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pull, whole footprint.Bytes
		want        string
	}{
		{0, 108_604_781, "nothing"}, {108_604_781, 108_604_781, "all 108.6 MB"}, {108_600_497, 108_604_781, "all but 4.3 kB of 108.6 MB"},
		{107_518_734, 108_604_781, "107.5 MB of 108.6 MB"}, {107_518_735, 108_604_781, "all but 1.1 MB of 108.6 MB"}, {4_284, 108_604_781, "4.3 kB of 108.6 MB"}, {99, 100, "99 B of 100 B"},
	} {
		r := fine(t)
		m := &r.Images[0].Head.Metrics
		m.Update, m.Compressed, m.Has = c.pull, c.whole, m.Has|footprint.HasUpdate
		for format, text := range both(t, r) {
			wants(t, format, text, []string{"a host that has the baseline pulls " + c.want}, nil)
		}
	}
}

// The platforms of one image are not called images.
func TestPlatformsOfOneImage(t *testing.T) {
	t.Parallel()
	of := func(over bool, names ...string) *report.Report {
		var images []report.Image
		for i, name := range names {
			img := fine(t).Images[0]
			if over && i == 0 {
				img = rich(t).Images[0]
			}
			img.Head.Name, img.Head.Platform = name, "linux/"+string(rune('a'+i))
			images = append(images, img)
		}
		return wrap(images...)
	}
	for _, c := range []struct {
		r                  *report.Report
		terminal, markdown string
	}{
		{of(false, "web", "web"), "\nboth platforms of web within budget\n", "✅ Both platforms of `web` are within budget\n"},
		{of(false, "web", "web", "web"), "\nall 3 platforms of web within budget\n", "✅ All 3 platforms of `web` are within budget\n"},
		{of(false, "web", "api"), "\nboth images within budget\n", "✅ Both images are within budget\n"},
		{of(false, "web", "web", "api"), "\nall 3 images within budget\n", "✅ All 3 images are within budget\n"},
		{of(true, "web", "web"), "\n1 of 2 platforms of web over budget\n", ""},
		{unmeasured(of(false, "web"), report.Unmeasured{Name: "web", Platform: "linux/arm64", Reason: "no"}), "\n1 of 2 platforms of web could not be measured, the rest within budget\n", ""},
		{unmeasured(of(false, "web"), report.Unmeasured{Name: "web", Reason: "no"}), "\n1 of 2 images could not be measured, the rest within budget\n", ""},
	} {
		wants(t, "terminal", terminal(t, c.r, report.TerminalOptions{}), []string{c.terminal}, nil)
		wants(t, "markdown", markdown(t, c.r, comment), []string{c.markdown}, nil)
	}
}

// What an inspection does not know it lists as such: one layer without a size is
// not an image that nobody measured.
func TestLayersWithoutCompressedBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		without []int
		want    string
	}{
		{[]int{0}, "compressed bytes of layer 0 are not known; --estimate estimates them"},
		{[]int{1, 4}, "compressed bytes of 2 of 6 layers are not known; --estimate estimates them"},
		{[]int{0, 1, 2, 3, 4, 5}, "compressed bytes were not measured"},
	} {
		head := oldImage()
		head.Metrics.Has = files
		for _, i := range c.without {
			head.Layers[i].Has = files
		}
		r := wrap(report.Image{Head: head})
		r.Kind = report.Inspect
		for format, text := range both(t, r) {
			wants(t, format, text, []string{c.want}, nil)
		}
	}
}

// Where no image was measured nobody asks by which limits, or what was read.
func TestNothingMeasuredIsSaidOnce(t *testing.T) {
	t.Parallel()
	const note, other = "no .image-budget.yml: growth by more than 5 % and 1 MB is a warning", "the cache could not be asked"
	r := unmeasured(wrap(), refused)
	r.Notes = []string{note, other}
	for format, text := range both(t, r) {
		wants(t, format, text, []string{other}, []string{"no .image-budget.yml", "read no layer"})
	}
	r.Run, r.Notes = report.Run{}, nil
	wants(t, "no footer", markdown(t, r, comment), nil, []string{"<sub>"})
	r = unmeasured(fine(t), refused)
	r.Notes = []string{note}
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"no .image-budget.yml", "read no layer"}, nil)
	}
}

// A line that brought most of a growth is not named for all of it.
func TestMostly(t *testing.T) {
	t.Parallel()
	r := rich(t)
	r.Images[0].Delta.Causes[1].Mostly = true
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"  mostly Dockerfile:14\n"}, nil)
	wants(t, "markdown", markdown(t, r, comment), []string{", new, mostly by [`Dockerfile:14`]"}, nil)
	wants(t, "JSON", toJSON(t, r), []string{`"mostly": true`}, nil)
	checkRoundTrip(t, r)
}

// Where some of the files of a directory moved, it is not said that all did.
func TestMovedFilesOfADirectory(t *testing.T) {
	t.Parallel()
	base, img := oldImage(), newImage()
	d := delta(base, img)
	d.Moves = []footprint.Move{{From: "/usr/bin", To: "/opt/bin", Bytes: 21, Files: 2}, {From: "/srv/a", To: "/srv/b", Dir: true, Bytes: 20, Files: 3}}
	r := wrap(judged(&report.Image{Head: img, Base: base, Delta: d, Baseline: report.Baseline{Status: "found"}}, budget.Image{}))
	r.Kind = report.Diff
	text := terminal(t, r, report.TerminalOptions{Width: 100})
	for _, want := range []string{"from /usr/bin/ → /opt/bin/  2 files", "  /srv/a/ → /srv/b/  "} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}
