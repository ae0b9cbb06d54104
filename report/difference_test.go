package report_test

import (
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// both renders a report as a terminal shows it and as markdown.
func both(t *testing.T, r *report.Report) map[string]string {
	t.Helper()
	return map[string]string{"terminal": terminal(t, r, report.TerminalOptions{Width: 80}), "markdown": markdown(t, r, comment)}
}

func wants(t *testing.T, format, text string, want, not []string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("%s: no %q in\n%s", format, s, text)
		}
	}
	for _, s := range not {
		if strings.Contains(text, s) {
			t.Errorf("%s: %q in\n%s", format, s, text)
		}
	}
}

// What was not measured is no zero.
func TestDiffPartsAreThoseKnown(t *testing.T) {
	t.Parallel()
	for format, text := range both(t, baseUnknown(t)) {
		wants(t, format, text, []string{"files (base not known)", "+15.7 MB", "+74.3 MB", "+90.0 MB"}, []string{"FROM", "packages", "above the base", " 0 B"})
	}
	half := baseUnknown(t)
	half.Images[0].Head.Base = &footprint.Base{Metrics: total(half.Images[0].Head.Layers[:2], 0)}
	half.Images[0].Delta.Packages = []footprint.PackageChange{{Ecosystem: "npm", Name: "react", Change: footprint.Changed, From: "18.0.0", To: "19.0.0"}}
	for format, text := range both(t, half) {
		wants(t, format, text, []string{"files (base not known)", "packages", "other files"}, []string{"FROM"})
	}
	// A part with bytes is never left out: the rows add up to the sum.
	half.Images[0].Delta.Parts.Base, half.Images[0].Delta.Parts.Files = 15_000_000, 699_000+1_000
	for format, text := range both(t, half) {
		wants(t, format, text, []string{"FROM", "+15.0 MB", "+700.0 kB", "+90.0 MB"}, []string{"base not known"})
	}
}

func TestDiffOfTheSameContent(t *testing.T) {
	t.Parallel()
	for format, text := range both(t, same(0)) {
		wants(t, format, text, []string{"ame content", "all 6 layers are the same", "94.0 MB compressed", "linux/amd64"}, []string{" 0 B", "differs", "wasted:", "hidden", "→ 94"})
	}
	for format, text := range both(t, same(3)) {
		wants(t, format, text, []string{"same content", "only the compression differs, +3 B"}, []string{" 0 B", "hidden", "grew"})
	}
	again := same(0)
	again.Images[0].Head.Layers[2].Digest = "sha256:another"
	unknown := same(0)
	unknown.Images[0].Delta.Has &^= compressed
	unread := same(0)
	unread.Images[0].Delta.Has &^= compressed
	unread.Images[0].Head.Metrics.Has &^= compressed
	for format, text := range both(t, unread) {
		wants(t, format, text, []string{"all 6 layers are the same"}, []string{"compare"})
	}
	one := same(0)
	one.Images[0].Head.Layers, one.Images[0].Base.Layers = one.Images[0].Head.Layers[:1], one.Images[0].Base.Layers[:1]
	none := same(0)
	none.Images[0].Head.Layers, none.Images[0].Base.Layers = nil, nil
	for want, r := range map[string]*report.Report{
		"only the compression differs, at the same size":                   again,
		"all 6 layers are the same; their compressed sizes do not compare": unknown,
		"the only layer is the same":                                       one,
		"no layer holds any":                                               none,
	} {
		for format, text := range both(t, r) {
			text = strings.Join(strings.Fields(text), " ")
			wants(t, format, text, []string{want}, []string{" 0 B"})
		}
	}
	for name, change := range map[string]func(img *report.Image){
		"another layer":     func(img *report.Image) { img.Head.Layers[3].DiffID = "sha256:q" },
		"no diffIDs":        func(img *report.Image) { img.Head.Layers[3].DiffID, img.Base.Layers[3].DiffID = "", "" },
		"bytes nonetheless": func(img *report.Image) { img.Delta.Final = 1 },
		"fewer layers":      func(img *report.Image) { img.Base.Layers = img.Base.Layers[:5] },
		"no comparison":     func(img *report.Image) { img.Delta = nil },
	} {
		r := same(0)
		change(&r.Images[0])
		for format, text := range both(t, r) {
			if strings.Contains(text, "same content") {
				t.Errorf("%s: %s reads as the same content\n%s", name, format, text)
			}
		}
	}
	// Of a check it is no news: its limits are what counts.
	check := same(0)
	check.Kind = report.Check
	for format, text := range both(t, check) {
		wants(t, format, text, []string{"94.0 MB"}, []string{"same content"})
	}
}

// Waste that neither image has more of explains no difference.
func TestDiffLeavesUnchangedWasteOut(t *testing.T) {
	t.Parallel()
	r := same(0)
	r.Images[0].Head.Layers[3].DiffID = "sha256:q"
	for format, text := range both(t, r) {
		wants(t, format, text, nil, []string{"no container can see"})
	}
}

func TestRestOfADirectory(t *testing.T) {
	t.Parallel()
	r := baseUnknown(t)
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{Width: 80}),
		[]string{"  rest of /usr/share/ ", "  /usr/share/locale/ ", "  /usr/share-old/ ", "  rest of / "}, []string{"rest of /usr/share/locale", "rest of /usr/share-old"})
	wants(t, "markdown", markdown(t, r, comment),
		[]string{"| rest of `/usr/share/` | added |", "| `/usr/share/locale/` |", "| rest of `/` | shrunk |", "** rest of `/usr/share`, new", "waste: `/usr/share` deleted"}, []string{"waste: rest"})
}
