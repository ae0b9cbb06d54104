package report

import (
	"fmt"
	"strings"

	"github.com/org/image-budget/footprint"
)

// What a comment shows of one suggestion.
const (
	maxEvidenceRows = 12
	maxFence        = 60 // GitHub reads longer ones otherwise
)

// suggested are the suggestions that are always visible: a line each.
func (m *markdown) suggested() section {
	s := section{name: "what would help", noun: "suggestion", rank: 1}
	for _, img := range m.explained {
		all, _ := img.suggestions()
		var p part
		for i, one := range all[:min(len(all), topSuggestions)] {
			p.rows = append(p.rows, fmt.Sprintf("%d. **%s** %s\n", i+1, weight(one), m.suggestionWords(one)))
		}
		if len(p.rows) == 0 {
			continue
		}
		in := ""
		if m.several() {
			in = " in " + m.label(img)
		}
		p.head = "**What would help" + in + "** (unpacked)\n\n"
		s.parts = append(s.parts, p)
	}
	if m.Kind == Suggest && len(s.parts) == 0 && len(m.Images) > 0 {
		s.parts = []part{{rows: []string{capital(nothingFound(&m.Images[0])) + ".\n"}}}
	}
	return s
}

// suggestionWords is a suggestion in a line.
func (m *markdown) suggestionWords(s *footprint.Suggestion) string {
	words := prose(s.Advice)
	if at := m.suggestionPlace(s); at != "" {
		words += " " + at
	}
	if text := proof(s, prose); text != "" {
		words += " (" + text + ")"
	}
	return words
}

// suggestionPlace links the lines of a suggestion.
func (m *markdown) suggestionPlace(s *footprint.Suggestion) string {
	if s.File == "" {
		return ""
	}
	return link(inText(spot(s)), m.Run.lineURL(m.Run.Head, s.File, s.Start, s.End))
}

// suggestions lists all of them with what they are about, the patch and the proof.
// A rewrite has a section for its patch.
func (m *markdown) suggestions() section {
	s := section{name: "suggestions", noun: "suggestion", rank: 4}
	n := 0
	for _, img := range m.explained {
		all, within := img.suggestions()
		p := part{head: m.about(img)}
		for i, one := range all[:min(len(all), shownSuggestions)] {
			text := m.suggestion(img, one)
			if i == 0 {
				text = text[1:] // the blank line is there
			}
			p.rows = append(p.rows, text)
		}
		if more := len(all) - shownSuggestions; more > 0 {
			p.rows = append(p.rows, fmt.Sprintf("\nand %d more\n", more))
		}
		if len(within) > 0 {
			p.rows = append(p.rows, m.within(within))
		}
		all = append(all, within...)
		if commands := m.commands(img, all); commands != "" {
			p.rows = append(p.rows, commands)
		}
		if len(all) > 0 {
			n += len(all)
			s.parts = append(s.parts, p)
		}
	}
	return details(m.inFleet(fmt.Sprintf("Suggestions: %d", n), s), s)
}

// within lists what goes with heavier suggestions, a line each.
func (m *markdown) within(within []*footprint.Suggestion) string {
	var b strings.Builder
	b.WriteString("\nAlso, within the bytes of those above:\n\n")
	for _, s := range within[:min(len(within), shownSuggestions)] {
		fmt.Fprintf(&b, "- **%s** `%s`", weight(s), s.Rule)
		if at := m.suggestionPlace(s); at != "" {
			b.WriteString(" " + at)
		}
		b.WriteString(", within `" + s.Within + "`\n")
	}
	if more := len(within) - shownSuggestions; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	return b.String()
}

func (m *markdown) inFleet(words string, s section) string {
	if m.several() {
		return words + ", in " + plural(len(s.parts), "image")
	}
	return words
}

// suggestion is one with all that is known of it; blank lines keep it apart from
// what stands above and below.
func (m *markdown) suggestion(img *Image, s *footprint.Suggestion) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n**%s** `%s`", weight(s), s.Rule)
	if at := m.suggestionPlace(s); at != "" {
		b.WriteString(" " + at)
	}
	b.WriteString(": " + prose(s.Message) + " " + prose(s.Advice) + "\n")
	say := func(text string) { b.WriteString("\n" + text + "\n") }
	say(capital(safetyWords(s)) + ".")
	if text := img.notMeasured(s); text != "" {
		say(capital(text) + ".")
	}
	if len(s.Paths) > 0 {
		g := grid{columns: []string{"path", ">size (unpacked)", "by"}}
		for _, p := range s.Paths {
			g.add(inCell(p.Path), p.Bytes.String(), m.layerPlace(img, p.Layer, inCell))
		}
		if s.More > 0 {
			g.add(plural(s.More, "more path"), "–", "")
		}
		p := g.part("\n")
		b.WriteString(p.head + strings.Join(p.rows, ""))
	}
	if text := proof(s, prose); text != "" {
		say(capital(text))
	}
	if s.Verified != nil {
		b.WriteString(evidence(s.Verified))
	}
	if len(s.Unknown) > 0 {
		say("Worth knowing:\n")
	}
	for _, u := range s.Unknown {
		b.WriteString("- " + prose(u) + "\n")
	}
	if !isRewrite(s) {
		b.WriteString(fenced(patch(s)))
	}
	return b.String()
}

// evidence is the table of what was compared, and what was not taken.
func evidence(v *footprint.Verification) string {
	var b strings.Builder
	if len(v.Evidence) > 0 {
		g := grid{columns: []string{"compared", "original", "changed", "same"}}
		for i, e := range v.Evidence {
			if i == maxEvidenceRows {
				g.add(plural(len(v.Evidence)-i, "more comparison"), "–", "–", "–")
				break
			}
			same := "yes"
			if !e.Same {
				same = "**no**"
			}
			g.add(inCell(e.What), inCell(e.Original), inCell(e.Candidate), same)
		}
		p := g.part("\n")
		b.WriteString(p.head + strings.Join(p.rows, ""))
	}
	for i, a := range v.Tried {
		if i == maxEvidenceRows {
			break
		}
		b.WriteString("\n" + capital(triedWords(a, prose)) + "\n")
	}
	return b.String()
}

// fenced is a diff as a block that nothing in it can end.
func fenced(diff string) string {
	lines := diffLines(diff, "\t")
	if len(lines) == 0 {
		return ""
	}
	fence := "```"
	for i, line := range lines {
		if long := strings.Repeat("`", maxFence); strings.Contains(line, long) {
			line = strings.ReplaceAll(line, long, "…")
			lines[i] = line
		}
		for strings.Contains(line, fence) {
			fence += "`"
		}
	}
	return "\n" + fence + "diff\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
}

// rewrites are whole Dockerfiles in stages, ready to be applied.
func (m *markdown) rewrites() section {
	s := section{name: "the Dockerfile in stages", noun: "Dockerfile", rank: 5}
	for _, img := range m.explained {
		all, _ := img.suggestions()
		for _, one := range all {
			if text := fenced(patch(one)); isRewrite(one) && text != "" {
				s.parts = append(s.parts, part{rows: []string{m.about(img) + strings.TrimPrefix(text, "\n")}})
				break
			}
		}
	}
	return details(m.inFleet("The Dockerfile in stages, as a diff", s), s)
}

// commands says how to apply what can be applied.
func (m *markdown) commands(img *Image, all []*footprint.Suggestion) string {
	var b strings.Builder
	for _, c := range applying(m.Kind, m.nameAmong(img), all) {
		fmt.Fprintf(&b, "- `%s` %s\n", c[0], c[1])
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nTo apply:\n\n" + b.String()
}

// adviceHeadline counts the suggestions.
func (m *markdown) adviceHeadline() string {
	n, proven := 0, 0
	for i := range m.Images {
		for k := range m.Images[i].Suggestions {
			n++
			if isVerified(&m.Images[i].Suggestions[k]) {
				proven++
			}
		}
	}
	words := plural(len(m.Images), "image")
	if len(m.Images) == 1 {
		words = inHead(m.Images[0].title())
	}
	if words += ": " + plural(n, "suggestion"); proven > 0 {
		words += fmt.Sprintf(", %d verified", proven)
	}
	return words
}
