package report_test

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/report"
)

// On a narrow screen a column that says the same in every row, or nothing, pushes
// the verdict over the edge.
func TestTablesHaveNoIdleColumns(t *testing.T) {
	t.Parallel()
	for name, r := range cases(t) {
		for _, kind := range kinds() {
			if r.Kind = kind; kind != report.Check {
				for i := range r.Images {
					r.Images[i].Verdict = budget.Verdict{}
				}
			}
			text := markdown(t, r, report.MarkdownOptions{})
			if name == "platforms" {
				wants(t, name, text, []string{"| platform |", "| linux/amd64 |", "| linux/arm64 |"}, nil)
				continue
			}
			wants(t, name, text, nil, []string{"| platform |", "|  |  |", "| linux/amd64 |"})
			if len(r.Images) > 0 && len(r.Images[0].Head.Layers) > 0 {
				wants(t, name, text, []string{"linux/amd64"}, nil)
			}
		}
	}
	unknown := platforms(t)
	unknown.Images[1].Head.Platform = ""
	wants(t, "one without", markdown(t, unknown, comment), []string{"| platform |", "| – |"}, nil)
	// Without causes the footer is the place.
	wants(t, "fine", markdown(t, fine(t), comment), []string{"<sub>linux/amd64 · "}, nil)
	wants(t, "rich", markdown(t, rich(t), comment), []string{"(unpacked, linux/amd64)"}, []string{"<sub>linux/amd64"})
}

// A log has no edge: a path is there to be copied.
func TestPathsAreWholeWithoutATerminal(t *testing.T) {
	t.Parallel()
	deep := "/opt/" + strings.Repeat("deep/", 30) + "end"
	endless := "/srv/" + strings.Repeat("long/", 200) + "end"
	of := func(path string) *report.Report {
		r := rich(t)
		img := &r.Images[0]
		img.Delta.Paths[0].Path, img.Delta.Causes[1].Path, img.Head.DeadFiles[0].Path, img.LargestFiles[0].Path = path+"/p", path+"/c", path+"/w", path+"/l"
		img.Head.Dead[1].Under, img.Head.Dirs[5].Path = path+"/u", path+"/d"
		for i := range img.Verdict.Checks {
			if c := &img.Verdict.Checks[i]; len(c.Examples) > 0 {
				c.Examples[0] = path + "/x"
			}
		}
		return r
	}
	for kind, ends := range map[report.Kind]string{report.Check: "cx", report.Diff: "pwu", report.Inspect: "wlud"} {
		for _, end := range ends {
			r := of(deep)
			r.Kind = kind
			if text := terminal(t, r, report.TerminalOptions{}); !strings.Contains(text, deep+"/"+string(end)) {
				t.Errorf("%s cuts %c:\n%s", kind, end, text)
			}
			if text := terminal(t, r, report.TerminalOptions{Width: 80}); strings.Contains(text, deep) {
				t.Errorf("%s does not cut at 80 columns:\n%s", kind, text)
			}
			r = of(endless)
			r.Kind = kind
			text := terminal(t, r, report.TerminalOptions{})
			checkTerminal(t, text, logWidth)
			if !strings.Contains(text, "/"+string(end)) {
				t.Errorf("%s loses the end of %c:\n%s", kind, end, text)
			}
		}
	}
	// What brought it keeps its column: beside a short path, below a long one.
	r := of(deep)
	wants(t, "deep", terminal(t, r, report.TerminalOptions{}), []string{
		" npm cache " + deep + "/c, new\n" + strings.Repeat(" ", 50) + "Dockerfile:14  RUN npm ci\n", " git history /app/.git, new" + strings.Repeat(" ", 12) + "COPY . .\n",
	}, nil)
	for line := range strings.Lines(terminal(t, r, report.TerminalOptions{})) {
		if !strings.Contains(line, deep) && runewidth.StringWidth(line) > 81 {
			t.Errorf("beyond 80 columns without need: %s", line)
		}
	}
}
