package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// TerminalOptions say what the terminal can do.
type TerminalOptions struct {
	// Color paints verdicts and headings with ANSI colours.
	Color bool
	// Width is the number of columns; below 60 is 60, since numbers are never
	// cut. 0 is no terminal, such as a log or a file: tables are laid out for 80
	// columns, but a path is written in full and makes its line as long as that
	// takes, up to 300 columns.
	Width int
}

const (
	defaultWidth = 80
	minWidth     = 60
	maxCauses    = 8
)

// Terminal writes a report for a person at a terminal. No line is wider than
// the width: long names lose their middle. The output holds no control
// characters but line feeds and, with Color, its own colours. An error is that of w.
func Terminal(w io.Writer, r *Report, opt TerminalOptions) error {
	s := &sheet{width: max(opt.Width, minWidth), color: opt.Color, endless: opt.Width == 0}
	if s.endless {
		s.width = defaultWidth
	}
	for _, u := range r.Unmeasured {
		s.blank()
		s.unmeasured(u)
	}
	images := make([]*Image, len(r.Images))
	for i := range r.Images {
		images[i] = &r.Images[i]
	}
	more := 0
	if r.fleet() {
		images, more = r.detailed(maxDetailedOnTerminal)
	}
	for _, img := range images {
		s.blank()
		switch r.Kind {
		case Inspect:
			s.inspect(img)
		case Diff:
			s.diff(img)
		case Suggest:
			s.suggest(img)
		default:
			s.check(img, r.nameAmong(img))
		}
	}
	s.blank()
	if r.fleet() {
		if more > 0 {
			s.prose(0, faint, plural(more, "more image")+" changed or not within budget, below in one line each")
			s.blank()
		}
		s.overview(r)
		s.blank()
		s.prose(0, tintOf(r.overall()), summary(r, plainName))
		s.unmeasuredNames(r.Unmeasured)
	} else if r.total() > 1 && r.Kind == Check {
		s.prose(0, tintOf(r.overall()), summary(r, plainName))
		s.names(r.with(budget.Fail), budget.Fail)
		s.unmeasuredNames(r.Unmeasured)
		s.names(r.with(budget.Warn), budget.Warn)
	}
	for _, note := range r.notes() {
		s.prose(0, faint, plainName(note))
	}
	if words := readWords(r); words != "" {
		s.prose(0, faint, words)
	}
	return s.writeTo(w)
}

// maxNames is how many images are named once more below all of them.
const maxNames = 20

// names lists the images with a status, since their own lines are far above.
func (s *sheet) names(images []*Image, status budget.Status) {
	for i, img := range images {
		if i == maxNames {
			s.row(2, cell{fmt.Sprintf("and %d more", len(images)-i), faint})
			return
		}
		s.row(2, cell{sign(status) + " ", tintOf(status)}, cell{plainName(img.title()), plain}, cell{"  " + plainName(img.Head.Platform), faint})
	}
}

// with returns the images with a status, in the order of their rank.
func (r *Report) with(status budget.Status) []*Image {
	return slices.DeleteFunc(r.ranked(), func(img *Image) bool { return img.Verdict.Status != status })
}

// summary says how many images keep to their budget. Without a quote it names none.
func summary(r *Report, q quote) string {
	if len(r.Unmeasured) > 0 {
		return unmeasuredSummary(r, q)
	}
	var fail, warn int
	for _, img := range r.Images {
		switch img.Verdict.Status {
		case budget.Fail:
			fail++
		case budget.Warn:
			warn++
		}
	}
	switch {
	case fail > 0:
		return fmt.Sprintf("%d of %s over budget", fail, r.counted(q))
	case warn > 0:
		return fmt.Sprintf("%d of %s within budget with a warning", warn, r.counted(q))
	}
	return r.together(q) + " within budget"
}

// oneName is the name of the images of a report if all are of one name, each
// for another platform, and "" if they are not.
func (r *Report) oneName() string {
	name, platforms := "", map[string]bool{}
	add := func(of, platform string) bool {
		twice := platforms[platform]
		ok := !twice && platform != "" && (len(platforms) == 0 || of == name)
		name, platforms[platform] = of, true
		return ok
	}
	for i := range r.Images {
		if !add(r.Images[i].title(), r.Images[i].Head.Platform) {
			return ""
		}
	}
	for _, u := range r.Unmeasured {
		if !add(u.Name, u.Platform) {
			return ""
		}
	}
	if len(platforms) < 2 {
		return ""
	}
	return name
}

// counted is what a report is about: "3 images", or "2 platforms of web".
func (r *Report) counted(q quote) string { return plural(r.total(), r.noun()) + r.ofName(q) }

// together is all of it: "all 3 images", or "both platforms of web".
func (r *Report) together(q quote) string {
	if r.total() == 2 {
		return "both " + r.noun() + "s" + r.ofName(q)
	}
	return "all " + r.counted(q)
}

func (r *Report) noun() string {
	if r.oneName() != "" {
		return "platform"
	}
	return "image"
}

func (r *Report) ofName(q quote) string {
	if name := r.oneName(); name != "" && q != nil {
		return " of " + q(name)
	}
	return ""
}

// sign is a mark that also reads without colour.
func sign(s budget.Status) string {
	switch s {
	case budget.Fail:
		return "✗"
	case budget.Warn:
		return "!"
	case budget.Waived:
		return "~"
	case budget.NotMeasured:
		return "–"
	}
	return "✓"
}

func tintOf(s budget.Status) tint {
	switch s {
	case budget.Fail:
		return red
	case budget.Warn, budget.Waived:
		return yellow
	case budget.NotMeasured:
		return faint
	}
	return green
}

// verdict puts a status into words.
func verdict(img *Image) string {
	switch img.Verdict.Status {
	case budget.Fail:
		return "over budget"
	case budget.Warn:
		return "warning"
	}
	for _, c := range img.Verdict.Checks {
		if c.Status != budget.NotMeasured {
			return "within budget"
		}
	}
	return "nothing to judge"
}

// header writes the name and platform of an image with something at the right
// edge.
func (s *sheet) header(name, platform, right string, t tint) {
	room := s.width - width(right)
	if right != "" {
		room -= gap
	}
	if platform != "" {
		platform = middle(platform, 24)
		room -= width(platform) + gap
	}
	name = middle(name, max(room, narrowest))
	cells := []cell{{name, bold}}
	if platform != "" {
		cells = append(cells, cell{"  " + platform, plain})
	}
	used := 0
	for _, c := range cells {
		used += width(c.text)
	}
	if right != "" {
		cells = append(cells, cell{text: strings.Repeat(" ", max(gap, s.width-used-width(right)))}, cell{right, t})
	}
	s.row(0, cells...)
}

func (s *sheet) heading(text string) {
	s.blank()
	s.row(0, cell{text, bold})
}

// check writes the judgement of one image.
func (s *sheet) check(img *Image, name string) {
	s.header(plainName(img.title()), plainName(img.Head.Platform), sign(img.Verdict.Status)+" "+verdict(img), tintOf(img.Verdict.Status))
	s.blank()
	s.metrics(img.figures(false))
	s.otherChecks(img)
	s.remarks(img)
	s.causes(img)
	s.shrunk(img)
	s.wasteOverLimit(img)
	s.suggestions(img, name)
	if text := img.baseAside(plainName); text != "" {
		s.blank()
		s.prose(0, plain, text)
	}
	if words, changed := img.surface(plainName, onlyWhatChanged); changed {
		s.blank()
		s.prose(0, plain, words)
	}
	s.accept(img)
	s.context(img)
}

// context says what was measured, how, and with what it was compared.
func (s *sheet) context(img *Image) {
	s.blank()
	s.prose(0, faint, "measured "+subject(img.Head, plainName))
	s.prose(0, faint, baselineWords(img.Baseline, plainName, plainName))
	if pull := img.update(); pull != "" {
		s.prose(0, faint, "a host that has the baseline pulls "+pull)
	}
	words := method(img.Head)
	if img.Head.Metrics.Has&footprint.HasFiles != 0 {
		words += "; all other sizes are unpacked"
	}
	s.prose(0, faint, words)
	if words, changed := img.surface(plainName, onlyWhatChanged); words != "" && !changed {
		s.prose(0, faint, words)
	}
	if words := skippedWords(img.Head.Skipped, 1, plainName, plainName); words != "" {
		s.prose(0, faint, words)
	}
	s.prose(0, faint, img.cost())
	s.prose(0, faint, img.history())
}
