package report_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// grewBy is a report of one cause, and the packages that changed besides.
func grewBy(t testing.TB, c footprint.Cause, others ...footprint.PackageChange) *report.Report {
	r := rich(t)
	c.Bytes, c.Metric = 38_200_000, footprint.Unpacked
	img := &r.Images[0]
	img.Head.Layers[4].Origin = &footprint.Origin{File: "Dockerfile", Start: 12, End: 12}
	img.Delta.Causes, img.Delta.Unpacked, img.Delta.Packages = []footprint.Cause{c}, c.Bytes, append(others, c.Packages...)
	return r
}

func added(ecosystem, name, version, through string) footprint.PackageChange {
	return footprint.PackageChange{Ecosystem: ecosystem, Name: name, Change: footprint.Added, To: version, Bytes: 1_000_000, Layer: 4, Through: through}
}

func TestPackagesThatGrewInWords(t *testing.T) {
	t.Parallel()
	upgraded := footprint.PackageChange{Ecosystem: "dpkg", Name: "openssl", Change: footprint.Changed, From: "3.0.11", To: "3.0.15", Bytes: 9_000, Layer: 4}
	larger := footprint.PackageChange{Ecosystem: "python", Name: "numpy", Change: footprint.Changed, From: "1.26.4", To: "1.26.4", Bytes: 9_000, Layer: 4}
	dev := added("npm", "typescript", "5.4.5", "")
	dev.Dev = true
	devToo := added("npm", "vite", "5.0.0", "")
	devToo.Dev = true
	three := []footprint.PackageChange{added("dpkg", "gcc-12", "12.2", "build-essential"), added("dpkg", "cpp-12", "12.2", "build-essential"), added("dpkg", "libgcc-12-dev", "12.2", "build-essential")}
	rest := []footprint.PackageChange{added("dpkg", "make", "4.3", "build-essential"), added("dpkg", "build-essential", "12.9", "")}
	of := func(change footprint.Change, more int, packages ...footprint.PackageChange) footprint.Cause {
		return footprint.Cause{Change: change, Layer: 4, Packages: packages, More: more}
	}
	for name, c := range map[string]struct {
		cause  footprint.Cause
		others []footprint.PackageChange
		want   string
	}{
		"through another":      {of(footprint.Added, 0, added("dpkg", "libllvm15", "15.0.6", "clang")), nil, "apt: libllvm15 (new, through clang)"},
		"asked for":            {of(footprint.Added, 0, added("apk", "curl", "8.5.0-r0", "")), nil, "apk: curl, new"},
		"dev dependency":       {of(footprint.Added, 0, dev), nil, "npm: typescript 5.4.5, a dev dependency, new"},
		"dev dependencies":     {of(footprint.Added, 0, dev, devToo), nil, "npm: typescript, vite, dev dependencies, new"},
		"upgraded":             {of(footprint.Changed, 0, upgraded), nil, "apt: openssl 3.0.11 → 3.0.15"},
		"larger":               {of(footprint.Changed, 0, larger), nil, "pip: numpy 1.26.4"},
		"several versions":     {of(footprint.Changed, 0, upgraded, upgraded), nil, "apt: openssl 3.0.11 → 3.0.15, openssl 3.0.11 → 3.0.15"},
		"mixed":                {of(footprint.Changed, 0, added("dpkg", "gcc-12", "12.2", ""), upgraded), nil, "apt: gcc-12, openssl 3.0.11 → 3.0.15, new and larger"},
		"all through one":      {of(footprint.Added, 2, three...), rest, "apt: gcc-12, cpp-12, libgcc-12-dev and 2 more (new, through build-essential)"},
		"beside an upgrade":    {of(footprint.Added, 2, three...), append([]footprint.PackageChange{upgraded}, rest...), "apt: gcc-12, cpp-12, libgcc-12-dev and 2 more (new, through build-essential)"},
		"who asked is named":   {of(footprint.Added, 2, rest[1], three[0], three[1]), []footprint.PackageChange{rest[0], three[2]}, "apt: build-essential, gcc-12, cpp-12 and 2 more, new"},
		"through several":      {of(footprint.Added, 1, three...), []footprint.PackageChange{added("dpkg", "curl", "7", "git")}, "apt: gcc-12, cpp-12, libgcc-12-dev and 1 more, new"},
		"the others not known": {of(footprint.Added, 11, three...), []footprint.PackageChange{added("dpkg", "curl", "7", "git")}, "apt: gcc-12, cpp-12, libgcc-12-dev and 11 more, new"},
		"one and some more":    {of(footprint.Added, 1100, added("golang", "a.example/b", "v1.2.3", "")), nil, "Go: a.example/b and 1 100 more, new"},
		"a crate":              {of(footprint.Added, 0, added("cargo", "serde", "1.0.1", "")), nil, "crate: serde 1.0.1, new"},
		"a later ecosystem":    {of(footprint.Added, 0, added("brew", "jq", "1.7", "")), nil, "brew: jq 1.7, new"},
		"told of all": {footprint.Cause{Change: footprint.Added, Layer: 4, Packages: three[:1], More: 40, Through: "build-essential", Dev: true}, []footprint.PackageChange{upgraded},
			"apt: gcc-12 and 40 more, dev dependencies (new, through build-essential)"},
		"debug symbols": {footprint.Cause{Change: footprint.Changed, Layer: 4, Path: "/srv/app", Strippable: 30_000_000}, nil, "/srv/app, 30.0 MB of it debug symbols"},
		"a copy":        {footprint.Cause{Change: footprint.Added, Layer: 4, Path: "/srv/build", CopyOf: "/app/build"}, nil, "/srv/build, new, the same as /app/build"},
		"a larger copy": {footprint.Cause{Change: footprint.Changed, Layer: 4, Path: "/srv/build", CopyOf: "/app/build"}, nil, "/srv/build, the same as /app/build"},
	} {
		r := grewBy(t, c.cause, c.others...)
		text := terminal(t, r, report.TerminalOptions{Width: 140})
		if line := "+38.2 MB  " + c.want + "  Dockerfile:12  RUN npm ci\n"; !strings.Contains(text, line) {
			t.Errorf("%s: no %q in\n%s", name, line, text)
		}
		text = strings.ReplaceAll(markdown(t, r, comment), "`", "")
		if line := "1. **+38.2 MB** " + c.want + ", by [Dockerfile:12]("; !strings.Contains(text, line) {
			t.Errorf("%s: no %q in\n%s", name, line, text)
		}
	}
}

// Waste is told by its path, whoever owns it: what to change is the line that wrote
// it again.
func TestWasteOfPackages(t *testing.T) {
	t.Parallel()
	c := footprint.Cause{Change: footprint.Added, Layer: 6, Path: "/app", Fate: footprint.Rewritten, Packages: []footprint.PackageChange{added("npm", "vite", "5", "")}}
	for format, text := range both(t, grewBy(t, c)) {
		wants(t, format, text, []string{"waste: ", "shipped again, unchanged"}, []string{"npm: `vite"})
	}
}

func TestAttackSurfaceInOneLine(t *testing.T) {
	t.Parallel()
	line := func(r *report.Report) string {
		t.Helper()
		for l := range strings.Lines(terminal(t, r, report.TerminalOptions{Width: 300})) {
			if strings.HasPrefix(l, "attack surface") {
				return strings.TrimSpace(l)
			}
		}
		return ""
	}
	change := func(f func(head, base *footprint.Image)) *report.Report {
		r := fine(t)
		f(r.Images[0].Head, r.Images[0].Base)
		return r
	}
	for name, c := range map[string]struct {
		r    *report.Report
		want string
	}{
		"as before": {fine(t), "attack surface unchanged: 290 executables, 8 setuid"},
		"more executables": {change(func(head, _ *footprint.Image) { modes(head, 294, 8) }),
			"attack surface: 294 executables (+4), 8 setuid, shells bash sh, package managers apt dpkg npm"},
		"a setuid file": {change(func(head, _ *footprint.Image) {
			modes(head, 290, 9)
			head.Surface.Setuid = append(head.Surface.Setuid, "/usr/bin/newgrp")
		}), "attack surface: 290 executables, 9 setuid (+1: /usr/bin/newgrp), shells bash sh, package managers apt dpkg npm"},
		"another setuid file": {change(func(head, _ *footprint.Image) { head.Surface.Setuid[0] = "/usr/bin/newgrp" }),
			"attack surface: 290 executables, 8 setuid (+1: /usr/bin/newgrp; −1: /usr/bin/chsh), shells bash sh, package managers apt dpkg npm"},
		"programs": {change(func(head, base *footprint.Image) {
			head.Surface.Shells, head.Surface.Compilers, head.Surface.PackageManagers = []string{"/bin/ash", "/bin/sh"}, []string{"/usr/bin/gcc"}, nil
		}), "attack surface: 290 executables, 8 setuid, shells sh (+ash −bash), no package manager (−apt, −dpkg, −npm), compiler (+gcc)"},
		"names not known before": {change(func(head, base *footprint.Image) { modes(head, 294, 9); base.Surface = nil }),
			"attack surface: 294 executables (+4), 9 setuid (+1), shells bash sh, package managers apt dpkg npm"},
		"nothing known before": {change(func(_, base *footprint.Image) {
			base.Surface = nil
			base.Metrics.Has &^= footprint.HasModes
		}), "attack surface: 290 executables, 8 setuid"},
		"without a baseline": {noBaseline(t), "attack surface: 290 executables, 8 setuid"},
		"not measured":       {manifestOnly(t), ""},
		"too many to name": {change(func(head, base *footprint.Image) {
			for range footprint.MaxSurface {
				head.Surface.Setuid = append(head.Surface.Setuid, "/bin/x")
			}
			head.Surface.Setuid = head.Surface.Setuid[:footprint.MaxSurface]
			modes := head.Surface.Setuid
			head.Metrics.Setuid, head.Own.Setuid = 500, 492
			head.Surface.Setuid = modes
		}), "attack surface: 290 executables, 500 setuid (+492), shells bash sh, package managers apt dpkg npm"},
		"too many programs to name": {change(func(head, base *footprint.Image) {
			base.Surface.Shells, head.Surface.Shells = slices.Repeat([]string{"/a/bash"}, footprint.MaxSurface), []string{"/bin/ash", "/bin/bash"}
			head.Surface.Compilers = slices.Repeat([]string{"/a/gcc"}, footprint.MaxSurface)
		}), "attack surface unchanged: 290 executables, 8 setuid"},
	} {
		if got := line(c.r); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// A fine image takes one line more than it did without an attack surface.
func TestFineStaysShort(t *testing.T) {
	t.Parallel()
	long, short := fine(t), fine(t)
	short.Images[0].Head.Surface = nil
	lines := func(s string) int { return strings.Count(s, "\n") }
	if a, b := lines(terminal(t, long, report.TerminalOptions{})), lines(terminal(t, short, report.TerminalOptions{})); a != b+1 {
		t.Errorf("%d lines on a terminal, %d without", a, b)
	}
	if a, b := lines(markdown(t, long, comment)), lines(markdown(t, short, comment)); a != b {
		t.Errorf("%d lines of markdown, %d without", a, b)
	}
}

// What an intruder could use is worth a comment, even where no size changed.
func TestAttackSurfaceIsWorthAComment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(head *footprint.Image)
		want   bool
	}{
		"as before":    {func(*footprint.Image) {}, false},
		"executables":  {func(head *footprint.Image) { modes(head, 300, 8) }, false},
		"setuid":       {func(head *footprint.Image) { modes(head, 290, 9) }, true},
		"a compiler":   {func(head *footprint.Image) { head.Surface.Compilers = []string{"/usr/bin/gcc"} }, true},
		"a shell less": {func(head *footprint.Image) { head.Surface.Shells = nil }, false},
		"unknown":      {func(head *footprint.Image) { head.Surface = nil }, false},
	} {
		head, base := near(0), oldImage()
		c.change(head)
		img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
		if got := report.Worth(wrap(judged(&img, parseBudget(t, simpleBudget)))); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A layer that only stands elsewhere is told apart from those that are where they were.
func TestMovedLayers(t *testing.T) {
	t.Parallel()
	r := rich(t)
	r.Kind = report.Diff
	d := r.Images[0].Delta
	base := r.Images[0].Base.Layers
	// 5 came to stand before 3: 3 and 4 follow it in their order.
	for i, old := range map[int]int{3: 5, 4: 3, 5: 4} {
		d.Layers[i].Old, d.Layers[i].Change = &base[old], footprint.Same
	}
	d.Layers[3].Moved = true
	again, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Images[0].Delta.Layers[3].Moved || again.Images[0].Delta.Layers[4].Moved {
		t.Error("which layer moved is not read back")
	}
	for format, text := range both(t, again) {
		wants(t, format, text, []string{", moved from 5"}, []string{"moved from 3", "moved from 4"})
	}
}

// What nobody looked for is null, and stays so; what was looked for and not found is
// an empty list.
func TestPackagesNobodyLookedFor(t *testing.T) {
	t.Parallel()
	read := func(src string) *footprint.Image {
		t.Helper()
		again, err := report.ReadJSON(strings.NewReader(src), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return again.Images[0].Head
	}
	none := noBaseline(t)
	src := toJSON(t, none)
	if head := read(src); !strings.Contains(src, `"packages": null`) || !strings.Contains(src, `"rest": null`) || head.Packages != nil || head.Rest != nil {
		t.Errorf("%v, %v", head.Packages, head.Rest)
	}
	none.Images[0].Head.Packages, none.Images[0].Head.Rest = []footprint.Package{}, &footprint.Rest{Base: 127_200_000, Application: none.Images[0].Head.Metrics.Final - 127_200_000}
	src = toJSON(t, none)
	if head := read(src); !strings.Contains(src, `"packages": []`) || head.Packages == nil || *head.Rest != *none.Images[0].Head.Rest {
		t.Errorf("%v, %v", head.Packages, head.Rest)
	}
	// Reports of before packages were looked for hold an empty list, and no more.
	var doc map[string]any
	if err := json.Unmarshal([]byte(toJSON(t, noBaseline(t))), &doc); err != nil {
		t.Fatal(err)
	}
	img := doc["images"].([]any)[0].(map[string]any)
	img["packages"] = []any{}
	for _, name := range []string{"rest", "contents", "duplicates", "duplicate_bytes", "surface", "skipped"} {
		if _, ok := img[name]; !ok {
			t.Errorf("no %s in the report", name)
		}
		delete(img, name)
	}
	old, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if head := read(string(old)); head.Packages != nil || head.Surface != nil {
		t.Errorf("%v, %v", head.Packages, head.Surface)
	}
}

// Nothing of an image is told twice: whose bytes they are adds up to what a container
// sees, and packages that are not listed are counted.
func TestWhoseBytes(t *testing.T) {
	t.Parallel()
	r := rich(t)
	r.Kind = report.Inspect
	for format, text := range both(t, r) {
		text = strings.NewReplacer("`", "", "**", "").Replace(text)
		wants(t, format, text, []string{"and 4 of apt (98.4 MB), 10 of npm (14.3 MB)", "brought by COPY or ADD", "left by a command", "debug sections that strip removes", "2 directories with the same 50 files", "5 copies of the same file", "and 2 more", "larger than 64 MB"}, []string{"translations"})
	}
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"  sum          217.2 MB  90.0 MB  what a container sees"}, nil)
	wants(t, "markdown", markdown(t, r, comment), []string{"| **sum** | 217.2 MB | 90.0 MB |"}, nil)
	// Without a base there is nothing to set apart.
	head := r.Images[0].Head
	head.Base, head.Own = nil, nil
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"  sum          217.2 MB  what a container sees"}, []string{" own\n"})
	wants(t, "markdown", markdown(t, r, comment), []string{"| **sum** | 217.2 MB | what"}, []string{"not from the base"})
}

// The page that somebody opens tells what is in an image; the comment does not.
func TestOnlyThePageTellsWhatIsIn(t *testing.T) {
	t.Parallel()
	r := rich(t)
	inside := []string{"Whose bytes these are", "What a container seldom needs", "Duplicates", "Could not look into 1 file"}
	wants(t, "page", markdown(t, r, report.MarkdownOptions{Full: true}), inside, nil)
	wants(t, "comment", markdown(t, r, comment), nil, inside)
}

// What causes leave of a change is told where it is enough to wonder about.
func TestCausesAndTheRestAddUp(t *testing.T) {
	t.Parallel()
	for change, want := range map[footprint.Bytes]string{
		38_200_000: "", 38_500_000: "", 40_000_000: "+1.8 MB: many small things", 30_200_000: "−8.0 MB: what shrank",
	} {
		r := grewBy(t, footprint.Cause{Change: footprint.Added, Layer: 4, Path: "/srv/app"})
		r.Images[0].Delta.Unpacked = change
		for format, text := range both(t, r) {
			if format == "terminal" {
				text = strings.NewReplacer("MB  many", "MB: many", "MB  what", "MB: what").Replace(text)
			}
			if want == "" && (strings.Contains(text, "many small") || strings.Contains(text, "what shrank")) || !strings.Contains(text, want) {
				t.Errorf("%s, %s: no %q in\n%s", change, format, want, text)
			}
		}
	}
}

func TestPackagesThatLostFilesAreOneRow(t *testing.T) {
	t.Parallel()
	r := grewBy(t, footprint.Cause{Change: footprint.Added, Layer: 4, Path: "/srv/app"}, added("dpkg", "curl", "8", ""))
	for _, name := range []string{"bash", "grep", "sed", "tar"} {
		r.Images[0].Delta.Packages = append(r.Images[0].Delta.Packages, footprint.PackageChange{
			Ecosystem: "dpkg", Name: name, Change: footprint.Changed, From: "1", To: "1", Bytes: -250_000, Layer: 0,
		})
	}
	r.Kind = report.Diff
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"apt: curl", "4 packages", "lost files", "−1.0 MB"}, []string{"apt: sed"})
	}
}

// A page says of no program that it is new, or gone, where a list was cut.
func TestCutSurfaceOnAPage(t *testing.T) {
	t.Parallel()
	marks := func(cut bool) string {
		r := fine(t)
		head, base := r.Images[0].Head.Surface, r.Images[0].Base.Surface
		base.Compilers, head.Compilers = []string{"/usr/bin/old-cc"}, []string{"/usr/bin/new-cc"}
		if cut {
			for i := range footprint.MaxSurface {
				head.Compilers = append(head.Compilers, fmt.Sprintf("/opt/%d/bin/gcc", i))
			}
			head.Compilers = head.Compilers[:footprint.MaxSurface]
		}
		return page(t, r)
	}
	wants(t, "whole", marks(false), []string{"old-cc"}, nil)
	wants(t, "cut", marks(true), []string{"not known"}, []string{"old-cc"})
}
