package report_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// A comment on any number of images fits, names what is not within budget first, and
// accounts for every image.
func TestFleetsAddUp(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile(`(?m)^\| ` + "`" + `service-\d+` + "`" + ` compressed \|.*(❌|⚠️|✅)`)
	folded := regexp.MustCompile(`(?m)^(\d+) more (?:are|is) within budget`)
	for _, n := range []int{11, 40, 200, 500} {
		for name, r := range map[string]*report.Report{"fleet": fleet(t, n), "many": many(t, n), "all over": allOver(t, n)} {
			text := markdown(t, r, comment)
			if len(text) > comment.MaxBytes {
				t.Errorf("%s of %d: %d bytes", name, n, len(text))
			}
			checkMarkdown(t, text)
			table, _, _ := strings.Cut(text, "\n<details>")
			order, shown := "", 0
			for _, row := range rows.FindAllStringSubmatch(table, -1) {
				shown++
				order += map[string]string{"❌": "0", "⚠️": "1", "✅": "2"}[row[1]]
			}
			if strings.Contains(order, "10") || strings.Contains(order, "20") || strings.Contains(order, "21") {
				t.Errorf("%s of %d: the order of rows is %s", name, n, order)
			}
			rest := 0
			for _, pattern := range []*regexp.Regexp{folded, regexp.MustCompile(`(?m)^(\d+) more rows?, see the job summary$`)} {
				if m := pattern.FindStringSubmatch(table); m != nil {
					more, err := strconv.Atoi(m[1])
					if err != nil {
						t.Fatal(err)
					}
					rest += more
				}
			}
			if shown+rest != n {
				t.Errorf("%s of %d: %d rows and %d others\n%s", name, n, shown, rest, table)
			}
			if long := markdown(t, r, report.MarkdownOptions{MaxBytes: 1 << 20}); len(long) < len(text) || strings.Contains(long, "Left out") {
				t.Errorf("%s of %d: the summary has %d bytes, the comment %d", name, n, len(long), len(text))
			}

			screen := terminal(t, r, report.TerminalOptions{Width: 80})
			checkTerminal(t, screen, 80)
			lines := len(regexp.MustCompile(`(?m)^  [✗!✓] service-\d+  `).FindAllString(screen, -1))
			if m := regexp.MustCompile(`(?m)^  (\d+) more (?:are|is) within budget`).FindStringSubmatch(screen); m != nil {
				more, err := strconv.Atoi(m[1])
				if err != nil {
					t.Fatal(err)
				}
				lines += more
			}
			if lines != n {
				t.Errorf("%s of %d: the terminal accounts for %d", name, n, lines)
			}
			if blocks := strings.Count(screen, "\nmeasured "); blocks > 5 {
				t.Errorf("%s of %d: %d images in full", name, n, blocks)
			}
		}
	}
}

// What has no row is counted by what became of it.
func TestOthersInWords(t *testing.T) {
	t.Parallel()
	b := parseBudget(t, simpleBudget)
	one := func(change footprint.Bytes, baseline bool) report.Image {
		head, base := near(change), oldImage()
		img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
		if !baseline {
			img = report.Image{Head: head, Baseline: report.Baseline{Status: "none"}}
		}
		return judged(&img, b)
	}
	for want, counts := range map[string][3]int{ // unchanged, changed, without a baseline
		"12 more are within budget and unchanged":                                                          {12, 0, 0},
		"1 more is within budget and unchanged":                                                            {1, 20, 0},
		"15 more are within budget and changed by at most 1.5 MB":                                          {0, 35, 0},
		"11 more are within budget, without a comparison":                                                  {0, 0, 11},
		"9 more are within budget: 1 changed by at most 100.0 kB, 5 unchanged, 3 without a comparison":     {5, 21, 3},
		"200 more are within budget: 20 changed by at most 2.0 MB, 150 unchanged, 30 without a comparison": {150, 40, 30},
		"1 234 more are within budget: 1 134 unchanged, 100 without a comparison":                          {1134, 0, 100},
	} {
		var images []report.Image
		for kind, n := range counts {
			for i := range n {
				img := one(footprint.Bytes(100_000*(i+1)*boolInt(kind == 1)), kind != 2)
				img.Head.Name = fmt.Sprintf("%d-%d", kind, i)
				images = append(images, img)
			}
		}
		r := wrap(images...)
		wants(t, "markdown", markdown(t, r, comment), []string{"\n" + want + "\n"}, nil)
		screen := strings.Join(strings.Fields(terminal(t, r, report.TerminalOptions{Width: 80})), " ")
		wants(t, "terminal", screen, []string{want + " all "}, nil)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// One base image that came to a whole fleet is told once, also where it is the only
// news, and an image that a waiver excuses is no quiet one.
func TestNewsOfAFleetIsToldOnce(t *testing.T) {
	t.Parallel()
	b := parseBudget(t, ownBudget)
	var images []report.Image
	for i := range 60 {
		img := bumped(t, 1_000_000, 0)
		img.Head.Name = fmt.Sprintf("s%02d", i)
		images = append(images, judged(&img, b))
	}
	images[59].Verdict.Checks[0].Status = budget.Waived
	images[59].Verdict.Checks[0].Waiver = &budget.Waiver{Limit: "limits.compressed.max", Until: today, Reason: "a reason"}
	text := markdown(t, wrap(images...), comment)
	wants(t, "markdown", text, []string{
		"**What grew in `s59`, `s00`, `s01` and 57 more** (unpacked, linux/amd64)\n\n1. **+1.5 MB** base image `node:20.11-bookworm-slim` → `node:20.19-bookworm-slim`\n",
		"\n39 more are within budget and changed by at most 666.7 kB\n", ":-- |\n| `s59` compressed |",
	}, []string{"more images changed"})
	if n := strings.Count(text, "What grew"); n != 1 {
		t.Errorf("%d lists", n)
	}
}

// Where every image changed in a way of its own, some are shown, some folded away,
// and the rest counted.
func TestDifferentNewsIsCut(t *testing.T) {
	t.Parallel()
	b := parseBudget(t, simpleBudget)
	var images []report.Image
	for i := range 40 {
		img := bumped(t, 0, footprint.Bytes(200_000+1_000*i))
		img.Delta.Base.Change = footprint.Same
		img.Delta.Causes[0].Path = fmt.Sprintf("/app/s%02d", i)
		img.Head.Name = fmt.Sprintf("s%02d", i)
		images = append(images, judged(&img, b))
	}
	r := wrap(images...)
	text := markdown(t, r, comment)
	seen, _, _ := strings.Cut(text, "<details>")
	if n := strings.Count(seen, "What grew in `s"); n != 5 || !strings.Contains(seen, "/app/s39") || strings.Contains(seen, "/app/s34") {
		t.Errorf("%d lists are not folded away:\n%s", n, seen)
	}
	wants(t, "comment", text, []string{"<summary>What grew or shrank in 5 further images</summary>", "/app/s34", "\n\n30 more images changed, see the job summary\n\n</details>"}, []string{"/app/s29"})
	checkMarkdown(t, text)
	wants(t, "summary", markdown(t, r, report.MarkdownOptions{MaxBytes: 1 << 20}), []string{"<summary>What grew or shrank in 35 further images</summary>", "/app/s00"}, []string{"more images changed"})
}

// Rendering takes time that grows with the images, not with their square.
func TestFleetsTakeLinearTime(t *testing.T) {
	fastest := func(n int) time.Duration {
		r := fleet(t, n)
		best := time.Hour
		for range 5 {
			start := time.Now()
			markdown(t, r, comment)
			terminal(t, r, report.TerminalOptions{})
			best = min(best, time.Since(start))
		}
		return best
	}
	var small, large time.Duration
	for range 5 { // whatever else the machine does
		if small, large = fastest(100), fastest(1_600); large < 40*small {
			return
		}
	}
	t.Errorf("16 times as many images take %v instead of %v", large, small)
}
