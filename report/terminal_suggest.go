package report

import (
	"fmt"
	"strings"

	"github.com/org/image-budget/footprint"
)

// topSuggestions is how many suggestions are always visible.
const topSuggestions = 3

// suggestions writes what would help, in a few lines; name is that of the image
// where there are several.
func (s *sheet) suggestions(img *Image, name string) {
	all, within := img.suggestions()
	if len(all) == 0 {
		return
	}
	s.heading("what would help (unpacked)")
	sizes := 0
	for _, one := range all[:min(len(all), topSuggestions)] {
		sizes = max(sizes, width(weight(one)))
	}
	for _, one := range all[:min(len(all), topSuggestions)] {
		size, at := cell{weight(one), green}, ""
		if one.File != "" {
			at = "  " + plainName(spot(one))
		}
		text := plainName(one.Advice)
		if room := s.width - 2 - sizes - gap; width(text)+width(at) > room {
			s.beside(size, sizes, cell{text, plain})
			s.pathRow(2+sizes+gap, cell{strings.TrimSpace(at), faint})
		} else {
			s.row(2, cell{text: strings.Repeat(" ", sizes-width(size.text))}, size, cell{text: "  "}, cell{text, plain}, cell{at, faint})
		}
		s.prose(2+sizes+gap, proofTint(one), proof(one, plainName))
	}
	if more := len(img.Suggestions) - min(len(all), topSuggestions); more > 0 {
		s.row(2, cell{fmt.Sprintf("and %d more: image-budget suggest", more), faint})
	}
	s.commands(applying(Check, name, append(all, within...)))
}

func proofTint(s *footprint.Suggestion) tint {
	if isVerified(s) {
		return green
	}
	return faint
}

// commands writes how to apply what can be applied.
func (s *sheet) commands(commands [][2]string) {
	var rows [][]cell
	for _, c := range commands {
		rows = append(rows, []cell{{c[0], plain}, {c[1], faint}})
	}
	s.table(2, []column{{}, {flex: true}}, rows)
}

// suggest writes the advice on one image with everything behind it.
func (s *sheet) suggest(img *Image) {
	right := ""
	if len(img.Head.Layers) > 0 {
		right = identity(img.Head, plainName)
	}
	platform := img.Head.Platform
	if platform != "" {
		platform = plainName(platform)
	}
	s.header(plainName(img.title()), platform, right, faint)
	if len(img.Head.Layers) > 0 {
		s.prose(0, plain, sizeWords(img))
	}
	all, within := img.suggestions()
	if len(all) == 0 {
		s.blank()
		s.prose(0, plain, nothingFound(img))
	}
	for i, one := range all[:min(len(all), shownSuggestions)] {
		s.suggestion(img, i+1, one)
	}
	if more := len(all) - shownSuggestions; more > 0 {
		s.blank()
		s.row(0, cell{fmt.Sprintf("and %d more: --format json has them", more), faint})
	}
	s.within(within)
	if commands := applying(Suggest, "", append(all, within...)); len(commands) > 0 {
		s.heading("add to the command")
		s.commands(commands)
	}
	if len(all) > 0 {
		s.blank()
		s.prose(0, faint, "'image-budget explain RULE' says more about a rule; all sizes are unpacked unless they say otherwise, and two suggestions may be about the same bytes")
	}
}

// within lists what goes with heavier suggestions, a line each.
func (s *sheet) within(within []*footprint.Suggestion) {
	if len(within) == 0 {
		return
	}
	s.heading("also, within the bytes of those above")
	var rows [][]cell
	for _, one := range within[:min(len(within), shownSuggestions)] {
		rows = append(rows, []cell{{weight(one), yellow}, {one.Rule, plain}, {plainName(spot(one)), faint}, {"within " + one.Within, faint}})
	}
	s.table(2, []column{{right: true}, {}, {flex: true, long: true}, {flex: true}}, rows)
	if more := len(within) - shownSuggestions; more > 0 {
		s.row(2, cell{fmt.Sprintf("and %d more", more), faint})
	}
}

// nothingFound is what there is to say without suggestions.
func nothingFound(img *Image) string {
	if img.Suggestions == nil {
		return "nobody looked for suggestions"
	}
	return "nothing to suggest: no rule finds bytes that could go"
}

// suggestion writes one with its evidence.
func (s *sheet) suggestion(img *Image, n int, one *footprint.Suggestion) {
	s.heading(fmt.Sprintf("%d. %s  %s", n, one.Rule, weight(one)))
	const indent = 3
	s.prose(indent, plain, plainName(one.Message))
	s.prose(indent, plain, plainName(one.Advice))
	var about []string
	if one.File != "" {
		at := plainName(spot(one))
		if one.End > one.Start {
			at += fmt.Sprintf("–%d", one.End)
		}
		if one.Stage != "" {
			at += ", stage " + plainName(one.Stage)
		}
		about = append(about, at)
	}
	about = append(about, safetyWords(one))
	if text := img.notMeasured(one); text != "" {
		about = append(about, text)
	}
	s.prose(indent, faint, strings.Join(about, "; "))
	var rows [][]cell
	for _, p := range one.Paths {
		rows = append(rows, []cell{{p.Bytes.String(), yellow}, {plainName(p.Path), plain}, {where(img, p.Layer), faint}})
	}
	if one.More > 0 {
		rows = append(rows, []cell{{}, {"and " + plural(one.More, "more path"), faint}, {}})
	}
	s.table(indent, []column{{right: true}, {flex: true, long: true}, {flex: true, led: true}}, rows)
	s.prose(indent, proofTint(one), proof(one, plainName))
	if v := one.Verified; v != nil {
		s.evidence(indent+2, v)
	}
	if len(one.Unknown) > 0 {
		s.prose(indent, faint, "worth knowing:")
	}
	for _, u := range one.Unknown {
		s.prose(indent+2, faint, plainName(u))
	}
	if lines := diffLines(patch(one), "    "); len(lines) > 0 {
		s.blank()
		for _, line := range lines {
			s.pathRow(indent, cell{line, diffTint(line)})
		}
	}
}

// evidence writes what was compared, and what was built and not taken.
func (s *sheet) evidence(indent int, v *footprint.Verification) {
	var rows [][]cell
	for _, e := range v.Evidence {
		mark, seen := cell{"✓", green}, []string{plainName(e.Original)}
		if !e.Same {
			mark = cell{"✗", red}
		}
		if e.Candidate != e.Original {
			seen = append(seen, plainName(e.Candidate))
		}
		rows = append(rows, []cell{mark, {plainName(e.What), plain}, {strings.Join(seen, " → "), faint}})
	}
	s.table(indent, []column{{}, {flex: true}, {flex: true}}, rows)
	for _, a := range v.Tried {
		s.prose(indent, faint, triedWords(a, plainName))
	}
}

// triedWords says why a change was not taken.
func triedWords(a footprint.Attempt, say quote) string {
	words := "not taken: " + say(a.Name)
	if a.After > 0 {
		words += ", " + a.After.String()
	}
	return sentence(words, said(a.Reason, say))
}

func diffTint(line string) tint {
	switch {
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	}
	return plain
}
