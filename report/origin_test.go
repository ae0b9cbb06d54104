package report_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// lines is rich with a known place for every own layer of both images.
func lines(t testing.TB, file string) *report.Report {
	r := rich(t)
	img := &r.Images[0]
	for _, layers := range [][]footprint.Layer{img.Head.Layers, img.Base.Layers} {
		for i := 3; i < len(layers); i++ {
			layers[i].Origin = &footprint.Origin{File: file, Stage: "0", Start: 4 * i, End: 4*i + 2, Exact: true}
		}
	}
	return r
}

const blob = "https://github.com/acme/web/blob/"

// Wherever a layer is named, its line is: linked at the commit that was measured.
func TestLinesAreLinked(t *testing.T) {
	t.Parallel()
	r := lines(t, "deploy/web.Dockerfile")
	npm := "[`deploy/web.Dockerfile:16`](" + blob + r.Run.Head + "/deploy/web.Dockerfile#L16-L18) `RUN npm ci`"
	chown := "[`deploy/web.Dockerfile:24`](" + blob + r.Run.Head + "/deploy/web.Dockerfile#L24-L26) `RUN chown -R node:node /app`"
	wants(t, "causes, layers, waste", markdown(t, r, comment), []string{
		"new, by " + npm, "unchanged, by " + chown,
		"| 4 | " + npm + " | 45.6 MB |", "| 6 | " + chown + ", added |",
		"| " + npm + " | " + chown + " |",
	}, nil)
	r.Images[0].Delta, r.Images[0].Base, r.Images[0].Baseline = nil, nil, report.Baseline{Status: "none"}
	wants(t, "all layers", markdown(t, r, comment), []string{"| 4 | " + npm + " | 51.9 MB |"}, nil)

	one := lines(t, "Dockerfile")
	for _, l := range one.Images[0].Head.Layers {
		if l.Origin != nil {
			l.Origin.End = l.Origin.Start
		}
	}
	wants(t, "one line", markdown(t, one, comment), []string{"/Dockerfile#L16)"}, []string{"#L16-L"})
}

// What is gone stood in the Dockerfile of the baseline.
func TestLinesOfRemovedLayers(t *testing.T) {
	t.Parallel()
	r := lines(t, "Dockerfile")
	img := &r.Images[0]
	img.Delta.Layers = append(img.Delta.Layers, footprint.LayerChange{Change: footprint.Removed, Old: &img.Base.Layers[3]})
	wants(t, "known", markdown(t, r, comment), []string{"[`Dockerfile:12`](" + blob + img.Baseline.Commit + "/Dockerfile#L12-L14) `COPY package*.json ./`, removed"}, nil)
	img.Baseline.Commit = ""
	wants(t, "unknown", markdown(t, r, comment), []string{"| `Dockerfile:12` `COPY package*.json ./`, removed"}, nil)
}

// A link leads to a file of the repository or is none.
func TestNoLinksOutOfTheRepository(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\([^)]*L\d+-L\d+\)`)
	for _, file := range []string{
		"/etc/Dockerfile", "../Dockerfile", "a/../../Dockerfile", "..", "./Dockerfile", "a//b", "a/", "-", `C:\Dockerfile`, `a\b`, "https://example.com/Dockerfile",
		"git@example.com:a/b", "Docker\x00file", "Docker\nfile", "\u202eDockerfile", "caf\xe9", "\x1b[31mDockerfile", "",
	} {
		text := markdown(t, lines(t, file), comment)
		if got := link.FindString(text); got != "" {
			t.Errorf("%q is linked: %s", file, got)
		}
		checkMarkdown(t, text)
	}
	for file, want := range map[string]string{
		"a b/Dockerfile": "a%20b/Dockerfile", "a#b": "a%23b", "a?b": "a%3Fb", "x)](y": "x%29%5D%28y", "größe/Dockerfile": "gr%C3%B6%C3%9Fe/Dockerfile",
	} {
		text := markdown(t, lines(t, file), comment)
		if !strings.Contains(text, "/"+want+"#L16-L18)") {
			t.Errorf("%q has no link to %s: %q", file, want, link.FindString(text))
		}
		checkMarkdown(t, text)
	}
	r := lines(t, "Dockerfile")
	for _, head := range []string{"", "main", "9F8E7D6A5B4C", "a/../b"} {
		r.Run.Head = head
		if got := link.FindString(markdown(t, r, comment)); got != "" {
			t.Errorf("a link at the commit %q: %s", head, got)
		}
	}
}

// On a terminal, the line stands before its instruction in all lists.
func TestLinesOnATerminal(t *testing.T) {
	t.Parallel()
	for kind, want := range map[report.Kind][]string{
		report.Check:   {"/app shipped again, unchanged  Dockerfile:24  RUN chown -R node:node /app\n", "_cacache, new", "Dockerfile:16  RUN npm ci\n", "Dockerfile:20  COPY . .\n"},
		report.Diff:    {"(:N is a line of Dockerfile)", ":16  RUN npm ci\n", ":24  RUN chown", "shipped by layer 4  Dockerfile:16  RUN npm ci\n", "hidden by layer 6   Dockerfile:24  RUN chown"},
		report.Inspect: {"(:N is a line of Dockerfile)", ":16  RUN npm ci\n", "tsc.js", "Dockerfile:24  RUN chown"},
	} {
		r := lines(t, "Dockerfile")
		r.Kind = kind
		wants(t, string(kind), terminal(t, r, report.TerminalOptions{Width: 100}), want, nil)
	}
	// A narrow terminal cuts the instruction before its place.
	for _, width := range []int{60, 70, 80} {
		wants(t, "narrow", terminal(t, lines(t, "Dockerfile"), report.TerminalOptions{Width: width}), []string{"  Dockerfile:16", "  Dockerfile:20", "  Dockerfile:24"}, nil)
	}
}

// A short form is for one file: the lines of another one are those of that file.
func TestLinesOfTwoDockerfiles(t *testing.T) {
	t.Parallel()
	r := lines(t, "Dockerfile")
	r.Images[0].Head.Layers[5].Origin.File = "other/Dockerfile"
	for _, kind := range []report.Kind{report.Diff, report.Inspect} {
		r.Kind = kind
		wants(t, string(kind), terminal(t, r, report.TerminalOptions{Width: 100}), []string{" :16  RUN npm ci\n", " other/Dockerfile:20  COPY . .\n", " :24  RUN chown"}, []string{" :20  "})
	}
}
