package report

import (
	"strconv"

	"github.com/org/image-budget/footprint"
)

// maxHTMLDiff is how many lines a page shows of a patch.
const maxHTMLDiff = 2_000

// htmlAdvice is a suggestion as the page shows it.
type htmlAdvice struct {
	Title, Weight, Class string
	// Lines are sentences, Proof the one about building and running it.
	Lines       []string
	Proof       string
	Diff        []string
	Paths, Seen htmlTable
}

// advice puts the suggestions of an image into words.
func (img *Image) advice(index int) (out []htmlAdvice, more string) {
	all, within := img.suggestions()
	for i, s := range all[:min(len(all), shownSuggestions)] {
		out = append(out, img.htmlSuggestion("suggestion-"+strconv.Itoa(index)+"-"+strconv.Itoa(i), s))
	}
	if n := len(all) - shownSuggestions; n > 0 {
		more = plural(n, "more suggestion") + " not shown"
	}
	if len(within) == 0 {
		return out, more
	}
	also := htmlAdvice{Title: "within the bytes of those above", Weight: "Also", Class: "faint"}
	for _, s := range within[:min(len(within), shownSuggestions)] {
		also.Lines = append(also.Lines, withinWords(s, plainName)+", within "+s.Within)
	}
	if n := len(within) - shownSuggestions; n > 0 {
		also.Lines = append(also.Lines, "and "+strconv.Itoa(n)+" more")
	}
	return append(out, also), more
}

func (img *Image) htmlSuggestion(id string, s *footprint.Suggestion) htmlAdvice {
	out := htmlAdvice{Title: s.Rule, Weight: weight(s), Proof: proof(s, plainName), Class: "faint"}
	if isVerified(s) {
		out.Class = "pass"
	}
	if at := spot(s); at != "" {
		out.Title += ", " + plainName(at)
	}
	out.Lines = []string{plainName(s.Message) + " " + plainName(s.Advice), capital(safetyWords(s)) + "."}
	if text := img.notMeasured(s); text != "" {
		out.Lines = append(out.Lines, capital(text)+".")
	}
	if len(s.Unknown) > 0 {
		out.Lines = append(out.Lines, "Worth knowing:")
	}
	for _, u := range s.Unknown {
		out.Lines = append(out.Lines, plainName(u))
	}
	out.Paths = htmlTable{ID: id + "-paths", Title: "What weighs", Words: "unpacked", Columns: []htmlColumn{{Name: "path"}, {Name: "size", Number: true}, {Name: "brought by", Minor: true}}}
	for _, p := range s.Paths {
		out.Paths.Rows = append(out.Paths.Rows, []htmlCell{pathCell(p.Path), sizeCell(p.Bytes), img.layerCell(p.Layer)})
	}
	if s.More > 0 {
		out.Paths.More = plural(s.More, "more path")
	}
	out.Seen = htmlTable{ID: id + "-seen", Title: "What was compared", Columns: []htmlColumn{{Name: "what"}, {Name: "original"}, {Name: "changed"}, {Name: "same"}}}
	if v := s.Verified; v != nil {
		for _, e := range v.Evidence {
			same := htmlCell{Text: "yes", Class: "pass"}
			if !e.Same {
				same = htmlCell{Text: "no", Class: "fail"}
			}
			out.Seen.Rows = append(out.Seen.Rows, []htmlCell{pathCell(e.What), pathCell(e.Original), pathCell(e.Candidate), same})
		}
		for _, a := range v.Tried {
			out.Lines = append(out.Lines, capital(triedWords(a, plainName)))
		}
	}
	out.Diff = diffLines(patch(s), "\t")
	if n := len(out.Diff); n > maxHTMLDiff {
		out.Diff = append(out.Diff[:maxHTMLDiff:maxHTMLDiff], plural(n-maxHTMLDiff, "more line")+" not shown")
	}
	return out
}

// advice writes the section of an image.
func (m *markup) advice(img *htmlImage) {
	if len(img.Advice) == 0 {
		return
	}
	n := strconv.Itoa(img.Index)
	m.raw(`<section class="advice" aria-labelledby="advice-title-`, n, "\">\n<h3 id=\"advice-title-", n, "\">What would help</h3>\n")
	for i := range img.Advice {
		a := &img.Advice[i]
		m.raw(`<details class="block"`)
		if i == 0 {
			m.raw(" open")
		}
		m.raw(`><summary><span class="strong">`)
		m.text(a.Weight)
		m.raw("</span> ")
		m.text(a.Title)
		m.raw("</summary>\n")
		m.elements("<p>", a.Lines, "</p>\n")
		if a.Proof != "" {
			m.raw(`<p class="`, a.Class, `">`)
			m.element("", a.Proof, "</p>\n")
		}
		for _, t := range []*htmlTable{&a.Paths, &a.Seen} {
			if len(t.Rows) > 0 {
				m.table(t)
			}
		}
		m.diff(a.Diff)
		m.raw("</details>\n")
	}
	m.element(`<p class="words">`, img.MoreAdvice, "</p>\n")
	m.raw("</section>\n")
}

// diff writes a patch, with what goes and what comes told apart by more than
// their colours: by their marks.
func (m *markup) diff(lines []string) {
	if len(lines) == 0 {
		return
	}
	m.raw(`<pre class="diff" tabindex="0">`)
	for _, line := range lines {
		switch diffTint(line) {
		case green:
			m.raw(`<ins>`)
			m.text(line)
			m.raw("</ins>\n")
		case red:
			m.raw(`<del>`)
			m.text(line)
			m.raw("</del>\n")
		default:
			m.text(line)
			m.raw("\n")
		}
	}
	m.raw("</pre>\n")
}
