package report_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// A chart as the reports write them; testdata/browser/mermaid has mermaid itself
// read those of the tests.
var (
	pieForm  = regexp.MustCompile(`^%%\{init: \{"themeVariables": \{("pie[A-Za-z0-9]+": "#?[0-9a-f]+"(, )?)+\}\}\}%%\npie showData\n    title [kMGT]?B unpacked\n(    "[A-Za-z0-9 ._/+:,-]+" : [0-9]+(\.[0-9])?\n){2,8}$`)
	lineForm = regexp.MustCompile(`^%%\{init: \{"themeVariables": \{"xyChart": \{"plotColorPalette": "#2f81f7"\}\}\}\}%%\nxychart-beta\n    title "[a-z0-9 ,]+"\n    x-axis "[a-z ,]+" (1 --> [0-9]+|\[[0-9, ]+\])\n    y-axis "[kMGT]?B" [0-9.]+ --> [0-9.]+\n    line \[[0-9., ]+\]\n$`)
)

// drawn is a chart without its colours.
func drawn(chart string) string {
	_, rest, _ := strings.Cut(chart, "%%\n")
	return rest
}

func checkChart(t testing.TB, chart string) {
	t.Helper()
	if !pieForm.MatchString(chart) && !lineForm.MatchString(chart) {
		t.Errorf("not the chart that it should be:\n%s", chart)
	}
}

// owned is an image whose files all have an owner.
func owned() *footprint.Image {
	img := newImage()
	img.Packages = []footprint.Package{
		{Ecosystem: "dpkg", Name: "libllvm15", Bytes: 60_000_000}, {Ecosystem: "npm", Name: "typescript", Bytes: 31_000_000},
		{Ecosystem: "dpkg", Name: "libc6", Bytes: 13_000_000}, {Ecosystem: "golang", Name: "tiny", Bytes: 100_000},
	}
	rest := footprint.Rest{Application: 10_200_000, Unowned: 8_400_000}
	rest.Base = img.Metrics.Final - rest.Sum() - 104_100_000
	img.Rest = &rest
	return img
}

func charts(text string) []string {
	var out []string
	for {
		_, after, ok := strings.Cut(text, "```mermaid\n")
		if !ok {
			return out
		}
		chart, rest, _ := strings.Cut(after, "```\n")
		out, text = append(out, chart), rest
	}
}

func TestWhereTheBytesAre(t *testing.T) {
	t.Parallel()
	r := rich(t)
	r.Images[0].Head = owned()
	const want = `pie showData
    title MB unpacked
    "rest of the base image" : 94.5
    "wasted" : 74.5
    "apt packages" : 73
    "npm packages" : 31
    "application files" : 10.2
    "files of no package" : 8.4
`
	if got := charts(markdown(t, r, report.MarkdownOptions{Full: true})); len(got) != 1 || drawn(got[0]) != want {
		t.Errorf("%q", got)
	}
	text := markdown(t, r, comment)
	if before, _, ok := strings.Cut(text, "```mermaid"); !ok || !strings.HasSuffix(before, "<details><summary>Where the bytes are</summary>\n\n") {
		t.Errorf("the chart of a comment is not folded away:\n%s", text)
	}
	r.Images[0].Head.Packages = nil
	if got := charts(markdown(t, r, comment)); len(got) != 1 || !strings.Contains(got[0], `"/app/node_modules" : `) || !strings.Contains(got[0], `"rest of /usr" : 20`) {
		t.Errorf("%q", got)
	}
	r.Images[0].Head.Metrics.Has &^= files
	if got := charts(markdown(t, r, comment)); got != nil {
		t.Errorf("a chart of what was not read: %q", got)
	}
}

func TestPie(t *testing.T) {
	t.Parallel()
	img := newImage()
	img.Packages, img.Rest = nil, nil
	for name, c := range map[string]struct {
		dirs []footprint.Dir
		want string
	}{
		"nothing":   {nil, ""},
		"one":       {[]footprint.Dir{{Path: "/app/a", Bytes: 5}, {Path: "/app/a/b", Bytes: 5}}, ""},
		"bytes":     {[]footprint.Dir{{Path: "/app/a", Bytes: 5}, {Path: "/app/b", Bytes: 6}}, "B unpacked\n    \"/app/b\" : 6\n    \"/app/a\" : 5\n"},
		"light":     {[]footprint.Dir{{Path: "/a/a", Bytes: 900_000}, {Path: "/b/b", Bytes: 90_000}, {Path: "/c/c", Bytes: 9_500}}, "kB unpacked\n    \"/a/a\" : 900\n    \"/b/b\" : 90\n    \"/c/c\" : 9.5\n"},
		"two":       {[]footprint.Dir{{Path: "/a/a", Bytes: 900_000}, {Path: "/b/b", Bytes: 90_000}, {Path: "/c/c", Bytes: 9_500}, {Path: "/d/d", Bytes: 1000}}, "kB unpacked\n    \"/a/a\" : 900\n    \"/b/b\" : 90\n    \"other\" : 10.5\n"},
		"lightest":  {[]footprint.Dir{{Path: "/a/a", Bytes: 900_000}, {Path: "/b/b", Bytes: 90_000}, {Path: "/c/c", Bytes: 500}}, "kB unpacked\n    \"/a/a\" : 900\n    \"/b/b\" : 90\n"},
		"terabytes": {[]footprint.Dir{{Path: "/a/a", Bytes: 1 << 50}, {Path: "/b/b", Bytes: 1 << 49}}, "TB unpacked\n    \"/a/a\" : 1125.9\n    \"/b/b\" : 562.9\n"},
	} {
		img.Dirs, img.Metrics.Wasted = c.dirs, 0
		r := &report.Report{Kind: report.Inspect, Images: []report.Image{{Head: img}}}
		got := strings.Join(charts(markdown(t, r, comment)), "")
		if _, after, _ := strings.Cut(got, "    title "); after != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHostileLabelsStayInTheChart(t *testing.T) {
	t.Parallel()
	labels := slices.Concat(hostile, []string{
		`a" : 1` + "\n" + `"b`, "```\n# out", "x\"\n%%{init: {\"securityLevel\": \"loose\"}}%%", "#quot;#35;", "a;b", "[x](y){z}", `\" : 9`, "\u2028", "---\ntitle: x\n---", "click x href",
	})
	for _, label := range labels {
		img := newImage()
		img.Dirs = []footprint.Dir{{Path: "/a/" + label, Bytes: 10}, {Path: "/" + label + "/b", Bytes: 9}, {Path: label, Bytes: 8}}
		img.Metrics.Wasted = 7
		r := &report.Report{Kind: report.Inspect, Images: []report.Image{{Head: img}}}
		all := charts(markdown(t, r, report.MarkdownOptions{}))
		if len(all) != 1 {
			t.Errorf("%q: %d charts", label, len(all))
			continue
		}
		checkChart(t, all[0])
	}
}

// TestChartsOfAllKinds writes the charts that testdata/browser/mermaid has a
// browser draw.
func TestChartsOfAllKinds(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	add := func(img *footprint.Image, sizes ...footprint.Bytes) {
		r := rich(t)
		r.Images[0].Head, r.Images[0].History = img, past(sizes...)
		for _, chart := range charts(markdown(t, r, report.MarkdownOptions{Full: true})) {
			checkChart(t, chart)
			text.WriteString("```mermaid\n" + chart + "```\n\n")
		}
	}
	add(owned(), 88_100_000, 88_400_000, 91_000_000, 90_000_000, 128_300_000)
	long := make([]footprint.Bytes, report.MaxHistory)
	for i := range long {
		long[i] = 120_000_000 + footprint.Bytes(i%7)*1_000_000
	}
	hostileDirs := newImage()
	hostileDirs.Metrics.Wasted, hostileDirs.Dirs = 0, nil
	for i, label := range []string{`a" : 1` + "\n" + `"b`, "```\n# out", "%%{init: {}}%%", "#quot;x;y", "[x](y){z}", `back\slash`, "--- : > 日本", "graph TD --> end"} {
		hostileDirs.Dirs = append(hostileDirs.Dirs, footprint.Dir{Path: "/" + label + "/" + label, Bytes: footprint.Bytes(9 - i)})
	}
	add(hostileDirs, long...)
	small := newImage()
	small.Metrics.Compressed, small.Metrics.Wasted = 500, 0
	small.Dirs = []footprint.Dir{{Path: "/", Bytes: 300}, {Path: "/app", Bytes: 700}}
	add(small, 500, 500)
	golden(t, "charts.md", text.String())
}
