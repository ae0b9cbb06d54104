package report_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// hostile is what an image, a Dockerfile or a branch could be called.
var hostile = []string{
	"", " ", "\n", "a\nb", "a\r\n::set-output name=x::y", "::set-output name=x::y", "  ::error::x", "\u00a0::add-mask::x", "x\u2003::stop-commands::t", "##[add-mask]secret", "x##[command]y",
	"`", "``", "a`b``c", "|", "a|b|c", "\\|", "\\", "<script>alert(1)</script>", "</details>", "</summary></details>", "<details open>", "<!--", "--> @x", "<img src=https://evil.example/x.png>",
	"@admin", "@org/team", "#1", "GH-1", "https://evil.example", "www.evil.example", "a@evil.example", "![x](https://evil.example/x.png)", "[x](https://evil.example)", "[x]: https://evil.example",
	"\u202egnp.exe", "\u200fabc", "a\u2066b", "\u061c", "\ufeff", "a\u200db", "\u200b", "\u2028", "\u0085", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x00", "\x7f", "\u009b31m", "\xff\xfe", "a\xc3", "\xed\xa0\x80",
	"```\ncode\n```", "~~~", "# heading", "- item", "1. item", "> quote", "---", "===", "$x$", "&lt;b&gt;", "&#64;admin", ":tada:", "*a*", "_a_", "~~a~~", "[ ] x", "%0A", "${{ secrets.X }}", "日本語の名前", "e\u0301\u0301\u0301\u0301\u0301\u0301", "👍🏽👨‍👩‍👧", "⚠️", "..", "../../etc/passwd", "/abs", "a b",
	strings.Repeat("x", 10_000), strings.Repeat("日", 200), strings.Repeat("`", 200), strings.Repeat("\u202e", 200), strings.Repeat("|", 300), strings.Repeat("\xff", 200), strings.Repeat("long/path/", 60), strings.Repeat("a\n", 300),
}

// poisoned puts foreign names in every place that takes one.
func poisoned(t testing.TB, name func() string) *report.Report {
	r := rich(t)
	r.Notes = []string{name()}
	img := &r.Images[0]
	head, base := img.Head, img.Base
	for _, i := range []*footprint.Image{head, base} {
		i.Reference, i.Digest, i.Platform = name(), name(), name()
		i.Base.FoundBy, i.Base.Reference, i.Base.Digest = name(), name(), name()
		for k := range i.Layers {
			l := &i.Layers[k]
			l.CreatedBy, l.Digest, l.DiffID = name(), name(), name()
			if k%2 == 1 {
				l.CreatedBy = "RUN /bin/sh -c " + l.CreatedBy + " # buildkit"
				l.Origin = &footprint.Origin{File: name(), Stage: name(), Start: 3, End: 4}
			}
		}
		for k := range i.Dead {
			i.Dead[k].Under = name()
		}
	}
	head.Name = name()
	for k := range head.DeadFiles {
		head.DeadFiles[k].Path = name()
	}
	for k := range head.Dirs {
		head.Dirs[k].Path = "/" + name()
	}
	for k := range head.Paths {
		head.Paths[k].Pattern, head.Paths[k].Examples = name(), []string{name(), name()}
	}
	for k := range img.LargestFiles {
		img.LargestFiles[k].Path = name()
	}
	for k := range head.Packages {
		p := &head.Packages[k]
		if p.Name, p.Version, p.Path = name(), name(), name(); k%3 != 0 {
			p.Ecosystem, p.Through = name(), name()
		}
	}
	for k := range head.Contents {
		head.Contents[k].Heaviest = name()
	}
	for k := range head.Duplicates {
		for i := range head.Duplicates[k].Paths {
			head.Duplicates[k].Paths[i] = name()
		}
	}
	for _, i := range []*footprint.Image{head, base} {
		i.Surface = &footprint.Surface{Setuid: []string{name(), name()}, Shells: []string{name(), "/bin/" + name()}, PackageManagers: []string{name()}, Compilers: []string{name()}}
	}
	head.Skipped = []footprint.Skipped{{Path: name(), Why: name()}, {Path: name(), Why: name()}}
	d := img.Delta
	for k := range d.Packages {
		p := &d.Packages[k]
		if p.Name, p.From, p.To, p.Through = name(), name(), name(), name(); k > 0 {
			p.Ecosystem = name()
		}
	}
	for k := range d.Moves {
		d.Moves[k].From, d.Moves[k].To = name(), name()
	}
	d.Causes = append(d.Causes,
		footprint.Cause{Bytes: 90_000_000, Metric: footprint.Unpacked, Change: footprint.Added, Layer: 4, Packages: d.Packages[:1]},
		footprint.Cause{Bytes: 80_000_000, Metric: footprint.Unpacked, Change: footprint.Added, Layer: 4, Packages: d.Packages[:2], More: 3},
		footprint.Cause{Bytes: 85_000_000, Metric: footprint.Unpacked, Change: footprint.Added, Layer: 4, Path: name(), CopyOf: name()})
	slices.SortStableFunc(d.Causes, func(a, b footprint.Cause) int { return cmp.Compare(b.Bytes, a.Bytes) })
	for k := range d.Paths {
		d.Paths[k].Path = name()
	}
	for k := range d.Causes {
		d.Causes[k].Path = name()
	}
	if len(head.Reference)%2 == 0 {
		d.Base.Change = footprint.Changed
		d.Causes = append(d.Causes, footprint.Cause{Bytes: 20_000, Base: true, Metric: footprint.Unpacked, Change: footprint.Changed, Layer: -1})
	}
	for k := range img.Verdict.Checks {
		c := &img.Verdict.Checks[k]
		if c.Kind == budget.KindGrowth {
			c.Kind, c.Release = budget.KindSinceRelease, name()
		}
		c.Limit, c.Subject, c.Message = name(), name(), name()
		if k%2 == 0 {
			c.Rule = name()
		}
		c.Pos.File = name()
		if len(c.Examples) > 0 {
			c.Examples = []string{name(), name(), name()}
		}
		if c.Waiver != nil {
			w := *c.Waiver
			w.Limit, w.Reason = name(), name()
			c.Waiver = &w
		}
	}
	img.Verdict.Notes = []string{name()}
	img.Suggestions = advised(t, report.Check).Images[0].Suggestions
	for k := range img.Suggestions {
		s := &img.Suggestions[k]
		s.File, s.Stage, s.Message, s.Advice, s.Diff = name(), name(), name(), name(), name()
		if k%2 == 1 {
			s.Diff = "--- a/Dockerfile\n+++ b/Dockerfile\n@@ -1 +1 @@\n-" + name() + "\n+" + name() + "\n " + name()
		}
		s.Unknown = append(s.Unknown, name())
		for i := range s.Paths {
			s.Paths[i].Path = name()
		}
		for i := range s.Edits {
			s.Edits[i].File, s.Edits[i].Text = name(), name()
		}
		if v := s.Verified; v != nil {
			v.Same, v.Reason = name(), name()
			for i := range v.Evidence {
				v.Evidence[i] = footprint.Evidence{What: name(), Original: name(), Candidate: name(), Same: i%2 == 0}
			}
			for i := range v.Tried {
				v.Tried[i].Name, v.Tried[i].Reason = name(), name()
			}
		}
	}
	img.Baseline.From, img.Baseline.Reason, img.Baseline.Commit = name(), name(), name()
	r.Run.BudgetFile, r.Run.Head, r.Run.Base = name(), name(), name()
	return r
}

// picker returns names of the corpus in an order that the seed decides.
func picker(seed uint64) func() string {
	rng := rand.New(rand.NewPCG(seed, 7))
	return func() string { return hostile[rng.IntN(len(hostile))] }
}

func kinds() []report.Kind {
	return []report.Kind{report.Check, report.Inspect, report.Diff, report.Suggest}
}

// everyPoison calls f with reports in which each name of the corpus is
// everywhere, and with reports that mix them.
func everyPoison(t *testing.T, f func(t *testing.T, r *report.Report)) {
	for i, s := range hostile {
		t.Run(fmt.Sprintf("name %d", i), func(t *testing.T) {
			t.Parallel()
			r := poisoned(t, func() string { return s })
			r.Kind = kinds()[i%4]
			f(t, r)
		})
		t.Run(fmt.Sprintf("unmeasured %d", i), func(t *testing.T) {
			t.Parallel()
			r := fine(t)
			r.Kind = kinds()[i%4]
			if r.Images[0].Head.Name = s; i%2 == 0 {
				r.Images = nil
			}
			f(t, unmeasured(r, report.Unmeasured{Name: s, Reason: s}, report.Unmeasured{Name: s, Reason: "why: " + s, Platform: s}))
		})
	}
	for seed := range uint64(16) {
		t.Run(fmt.Sprintf("mix %d", seed), func(t *testing.T) {
			t.Parallel()
			r := poisoned(t, picker(seed))
			r.Kind = kinds()[seed%4]
			if seed%4 == 0 {
				r.Images = append(r.Images, poisoned(t, picker(seed+1000)).Images...)
			}
			if seed%4 == 2 { // a fleet
				for i := range uint64(30) {
					img := poisoned(t, picker(seed+1000*i)).Images[0]
					if i%3 == 0 {
						img.Verdict = budget.Verdict{Status: budget.Pass}
					}
					r.Images = append(r.Images, img)
				}
				r.Kind = report.Check
			}
			if name := picker(seed + 2000); seed%4 == 1 {
				for range 25 {
					r.Unmeasured = append(r.Unmeasured, report.Unmeasured{Name: name(), Reason: name(), Platform: name()})
				}
			}
			f(t, r)
		})
	}
}

func TestTerminalIsInert(t *testing.T) {
	t.Parallel()
	everyPoison(t, func(t *testing.T, r *report.Report) {
		for _, w := range []int{60, 80, 133} {
			checkTerminal(t, terminal(t, r, report.TerminalOptions{Width: w}), w)
		}
		colored := terminal(t, r, report.TerminalOptions{Color: true})
		checkTerminal(t, sgr.ReplaceAllString(colored, ""), logWidth)
	})
}

// logWidth is how long a line may be where there is no terminal.
const logWidth = 300

var sgr = regexp.MustCompile("\x1b\\[[0-9]+m")

func checkTerminal(t *testing.T, out string, width int) {
	t.Helper()
	measure := &runewidth.Condition{StrictEmojiNeutral: true}
	for _, line := range strings.Split(out, "\n") {
		if w := measure.StringWidth(line); w > width {
			t.Errorf("%d columns of %d: %q", w, width, line)
		}
	}
	checkCharacters(t, out)
	checkRunner(t, out)
}

// checkCharacters fails for anything that hides, moves or steers.
func checkCharacters(t *testing.T, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Error("the output is not UTF-8")
	}
	for i, r := range out {
		if r != '\n' && (!unicode.IsGraphic(r) || r == '\u2028') {
			t.Errorf("%U at %d: %q", r, i, out[max(0, i-30):min(len(out), i+30)])
			return
		}
	}
}

// checkRunner fails where a workflow runner would find a command.
func checkRunner(t *testing.T, out string) {
	t.Helper()
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") {
			t.Errorf("a runner command: %q", line)
		}
	}
}

func TestMarkdownIsInert(t *testing.T) {
	t.Parallel()
	everyPoison(t, func(t *testing.T, r *report.Report) {
		checkMarkdown(t, markdown(t, r, report.MarkdownOptions{}))
		out := markdown(t, r, comment)
		if len(out) > comment.MaxBytes {
			t.Errorf("%d bytes", len(out))
		}
		checkMarkdown(t, out)
	})
}

var ourTags = regexp.MustCompile(`</?(details|summary|sub)>|<br>`)

// checkMarkdown parses a document and fails for anything that is not ours.
func checkMarkdown(t *testing.T, src string) {
	t.Helper()
	checkCharacters(t, withoutTabs(src))
	checkRunner(t, src)
	source := []byte(src)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	open, columns := 0, 0
	var prose strings.Builder
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			if !bytes.HasPrefix(n.Destination, []byte("https://github.com/acme/web/")) {
				t.Errorf("a link to %q", n.Destination)
			}
		case *ast.RawHTML:
			checkTags(t, string(n.Segments.Value(source)))
		case *ast.HTMLBlock:
			var block string
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				block += string(line.Value(source))
			}
			checkTags(t, block)
			open += strings.Count(block, "<details>") - strings.Count(block, "</details>")
			if open < 0 || open > 1 {
				t.Errorf("%d details are open after %q", open, block)
			}
		case *extast.Table:
			columns = len(n.Alignments)
		case *extast.TableRow:
			// The parser pads and cuts rows: what was written counts.
			line := source[n.FirstChild().Lines().At(0).Start:]
			line = line[:bytes.IndexByte(line, '\n')]
			if got := len(cellEnds.FindAll(line, -1)); got != columns {
				t.Errorf("%d cells in %d columns: %q", got, columns, line)
			}
		case *ast.FencedCodeBlock:
			switch language := string(n.Language(source)); language {
			case "yaml", "diff":
			case "mermaid":
				checkChart(t, string(n.Lines().Value(source)))
			default:
				t.Errorf("a fence of %q", language)
			}
		case *ast.Heading:
			if n.Level != 3 || n.PreviousSibling() != nil {
				t.Errorf("a heading in the middle")
			}
		case *ast.CodeSpan:
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			prose.Write(n.Segment.Value(source))
		case *ast.Document, *ast.Paragraph, *ast.TextBlock, *ast.String, *ast.Emphasis, *ast.List, *ast.ListItem, *extast.TableHeader, *extast.TableCell:
		default:
			t.Errorf("a %s", n.Kind())
		}
		return ast.WalkContinue, nil
	})
	if err != nil || open != 0 {
		t.Errorf("%v, %d details left open", err, open)
	}
	if mention := regexp.MustCompile(`@[A-Za-z0-9]`).FindString(prose.String()); mention != "" {
		t.Errorf("a mention %q outside code", mention)
	}
}

// withoutTabs takes the tabs out of patches, where they are meant.
func withoutTabs(src string) string {
	lines, fence := strings.Split(src, "\n"), ""
	for i, line := range lines {
		switch lang, found := strings.CutSuffix(line, "diff"); {
		case fence == "" && found && strings.Trim(lang, "`") == "" && len(lang) > 2:
			fence = lang
		case line == fence:
			fence = ""
		case fence != "":
			lines[i] = strings.ReplaceAll(line, "\t", "")
		}
	}
	return strings.Join(lines, "\n")
}

// cellEnds are the pipes that end a cell: on GitHub, all without a backslash
// right before them, in code or not.
var cellEnds = regexp.MustCompile(`(?:[^\\]|^)\|`)

func checkTags(t *testing.T, html string) {
	t.Helper()
	rest := ourTags.ReplaceAllString(html, "")
	if strings.ContainsAny(rest, "<>") {
		t.Errorf("foreign HTML %q", html)
	}
	for _, summary := range regexp.MustCompile(`<summary>(.*?)</summary>`).FindAllStringSubmatch(html, -1) {
		if !regexp.MustCompile(`^[A-Za-z0-9:, .−+]+$`).MatchString(summary[1]) {
			t.Errorf("foreign text in the summary %q", summary[1])
		}
	}
}

// A report that was stored renders what it rendered before.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, r := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRoundTrip(t, r)
		})
	}
}

// JSON is inert as well, and a hostile name survives being stored.
func TestRoundTripHostile(t *testing.T) {
	t.Parallel()
	everyPoison(t, checkRoundTrip)
}

func checkRoundTrip(t *testing.T, r *report.Report) {
	t.Helper()
	defer func(full report.MarkdownOptions) {
		if t.Failed() {
			return
		}
		if again, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 64<<20); err != nil || markdown(t, r, full) != markdown(t, again, full) {
			t.Error("the page at full length is another", err)
		}
	}(report.MarkdownOptions{Full: true})
	r.Status = budget.Pass
	for _, img := range r.Images {
		r.Status = r.Status.Worse(img.Verdict.Status)
	}
	stored := toJSON(t, r)
	checkCharacters(t, stored)
	checkRunner(t, stored)
	again, err := report.ReadJSON(strings.NewReader(stored), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(terminal(t, r, report.TerminalOptions{}), terminal(t, again, report.TerminalOptions{})); diff != "" {
		t.Errorf("terminal (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(markdown(t, r, comment), markdown(t, again, comment)); diff != "" {
		t.Errorf("markdown (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(stored, toJSON(t, again)); diff != "" {
		t.Errorf("JSON (-before +after):\n%s", diff)
	}
	if report.Worth(r) != report.Worth(again) {
		t.Error("it is worth a comment only before or after")
	}
}

// A link to a file whose name is no text would lead elsewhere once it was stored.
func TestRoundTripOfAFileThatIsNoText(t *testing.T) {
	t.Parallel()
	r := rich(t)
	for i := range r.Images[0].Verdict.Checks {
		r.Images[0].Verdict.Checks[i].Pos.File = "\xd1"
	}
	r.Run.BudgetFile = ""
	checkRoundTrip(t, r)
	if text := markdown(t, r, comment); strings.Contains(text, "%D1") || strings.Contains(text, "%5C") {
		t.Error("there is a link to it")
	}
}

// A name longer than a stored report may hold is shown the same before and after.
func TestRoundTripEndless(t *testing.T) {
	t.Parallel()
	endless := strings.Repeat("y", 70_000) + "\xff" + strings.Repeat("z", 70_000)
	r := poisoned(t, func() string { return "x" })
	img := &r.Images[0]
	img.Head.Name, img.Head.Reference = endless, endless
	img.Head.Layers[6].CreatedBy, img.Delta.Paths[0].Path, img.Delta.Causes[0].Path = "RUN "+endless, endless, endless
	r.Unmeasured = []report.Unmeasured{{Name: endless, Reason: endless}}
	img.Head.Packages[3].Name, img.Head.Duplicates[0].Paths[0], img.Head.Contents[0].Heaviest, img.Head.Skipped[0].Why = endless, endless, endless, endless
	img.Delta.Moves[0].From, img.Delta.Packages[0].Through, img.Head.Surface.Setuid[0] = endless, endless, endless
	img.Delta.Packages[0].Name, img.Verdict.Checks[0].Limit, img.Verdict.Checks[0].Pos.File = endless, endless, endless
	for _, r.Kind = range kinds() {
		checkRoundTrip(t, r)
		checkTerminal(t, terminal(t, r, report.TerminalOptions{}), logWidth)
		checkTerminal(t, terminal(t, r, report.TerminalOptions{Width: 80}), 80)
		checkMarkdown(t, markdown(t, r, comment))
	}
}

// SARIF holds to its schema whatever the names are, and says nothing to a runner.
func TestSARIFIsInert(t *testing.T) {
	t.Parallel()
	schema := sarifSchema(t)
	everyPoison(t, func(t *testing.T, r *report.Report) {
		out := toSARIF(t, r)
		checkCharacters(t, out)
		checkRunner(t, out)
		checkSARIF(t, schema, out)
	})
}

func TestMarkdownFits(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	all := cases(t)
	all["poisoned"] = poisoned(t, picker(3))
	all["poisoned too"] = poisoned(t, picker(4))
	for i := range 1_000 {
		all["poisoned"].Unmeasured = append(all["poisoned"].Unmeasured, report.Unmeasured{Name: hostile[i%len(hostile)], Reason: hostile[i%7]})
	}
	for name, r := range all {
		for range 12 {
			limit := 500 + rng.IntN(rng.IntN(63_500)+1)
			opt := report.MarkdownOptions{MaxBytes: limit, Rest: "the job summary"}
			out := markdown(t, r, opt)
			if len(out) > limit {
				t.Errorf("%s: %d bytes of %d", name, len(out), limit)
			}
			checkMarkdown(t, out)
			if !strings.HasPrefix(out, "### ") {
				t.Errorf("%s: no verdict in %d bytes", name, limit)
			}
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for i, s := range hostile {
		if len(s) < 200 {
			f.Add(s, hostile[(i+7)%len(hostile)], uint16(i*997))
		}
	}
	f.Fuzz(func(t *testing.T, a, b string, limit uint16) {
		n := 0
		r := poisoned(t, func() string { n++; return []string{a, b}[n%2] })
		r.Kind = kinds()[int(limit)%4]
		if limit%2 == 1 {
			unmeasured(r, report.Unmeasured{Name: a, Reason: b}, report.Unmeasured{Name: b, Reason: a})
		}
		limit = max(limit, 500)
		out := markdown(t, r, report.MarkdownOptions{MaxBytes: int(limit)})
		if len(out) > int(limit) {
			t.Errorf("%d bytes of %d", len(out), limit)
		}
		checkMarkdown(t, out)
		checkTerminal(t, terminal(t, r, report.TerminalOptions{}), logWidth)
		checkTerminal(t, terminal(t, r, report.TerminalOptions{Width: 80}), 80)
		checkRoundTrip(t, r)
	})
}
