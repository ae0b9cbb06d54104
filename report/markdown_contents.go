package report

import (
	"fmt"
	"strings"

	"github.com/org/image-budget/footprint"
)

// whatIsIn lists the images of which the content is told, and not only what changed:
// of an inspection, and on a page that somebody opens.
func (m *markdown) whatIsIn() []*Image {
	if m.Kind == Inspect || m.Kind == Check && m.full && !m.fleet() {
		return m.explained
	}
	return nil
}

// surface says what an intruder would find, where that is not what the baseline had;
// once of all images of which the same is said.
func (m *markdown) surface() section {
	s := section{name: "the attack surface", noun: "line", rank: 2}
	var texts []string
	of := map[string][]string{}
	for _, img := range m.explained {
		words, changed := img.surface(inText, everyProgram)
		if words == "" || !changed && m.Kind != Inspect {
			continue
		}
		if len(of[words]) == 0 {
			texts = append(texts, words)
		}
		of[words] = append(of[words], m.label(img))
	}
	var p part
	for _, text := range texts {
		if m.several() {
			p.rows = append(p.rows, "- "+listed(of[text], topCausesEach)+": "+text+"\n")
		} else {
			p.rows = append(p.rows, capital(text)+"\n")
		}
	}
	if len(p.rows) > 0 {
		s.parts = []part{p}
	}
	return s
}

// asBefore says in the footer that the attack surface of the only image is that of
// its baseline, and what could not be looked into.
func (m *markdown) asBefore() []string {
	if m.several() || len(m.Images) == 0 || m.Kind == Inspect {
		return nil
	}
	var out []string
	img := &m.Images[0]
	if words, changed := img.surface(inText, onlyWhatChanged); words != "" && !changed {
		out = append(out, words)
	}
	if words := skippedWords(img.Head.Skipped, 1, inText, prose); words != "" {
		out = append(out, words)
	}
	return out
}

// inventory says whose bytes an image holds, and which packages weigh most.
func (m *markdown) inventory() section {
	s := section{name: "the packages", noun: "line", rank: 6}
	n := 0
	for _, img := range m.whatIsIn() {
		all := owners(img.Head, inCell)
		if len(all) == 0 {
			continue
		}
		g := grid{columns: []string{"whose", ">bytes (unpacked)", ">not from the base", ""}}
		for _, o := range append(all, sumOfOwners(all)) {
			row := []string{o.name, o.bytes.String(), "", o.note}
			if split(img.Head) {
				row[2] = o.own.String()
			}
			if o.name == "" {
				row[0], row[3] = "**sum**", "what a container sees"
			}
			g.add(row...)
		}
		s.parts = append(s.parts, g.part(m.about(img)))
		if len(img.Head.Packages) > 0 {
			s.parts = append(s.parts, m.heaviestPackages(img))
		}
		n += len(img.Head.Packages)
	}
	return details(m.inAll("Whose bytes these are", plural(n, "package"), s), s)
}

func (m *markdown) heaviestPackages(img *Image) part {
	top, others := inventory(img.Head.Packages)
	g := grid{columns: []string{"package", "version", ">bytes (unpacked)", ">not from the base", "brought by"}}
	for _, p := range top {
		row := []string{inCell(packageName(p.Ecosystem, p.Name)), orDash(withReason(versionOf(p, inCell), p.Through, p.Dev, inCell)), p.Bytes.String(), "", orDash(m.layerPlace(img, p.Layer, inCell))}
		if split(img.Head) {
			row[3] = p.Own.String()
		}
		g.add(row...)
	}
	p := g.part("")
	if len(others) > 0 {
		p.rows = append(p.rows, "\n"+otherPackages(others, inText)+"\n")
	}
	return p
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// layerPlace is the place of a layer in a Dockerfile, linked, or its instruction where
// that is not known.
func (m *markdown) layerPlace(img *Image, index int, q quote) string {
	l := img.layer(index)
	if l == nil {
		return ""
	}
	at := place(l.Origin)
	switch {
	case at != "":
		return link(q(at), m.Run.lineURL(m.Run.Head, l.Origin.File, l.Origin.Start, l.Origin.End))
	case l.InBase:
		return "base image"
	}
	return q(made(l))
}

// contents lists what a container seldom needs.
func (m *markdown) contents() section {
	s := section{name: "what a container seldom needs", noun: "kind", rank: 6}
	var sum footprint.Bytes
	for _, img := range m.whatIsIn() {
		g := grid{columns: []string{">bytes (unpacked)", ">not from the base", "what", ">files", "most in"}}
		for _, c := range contents(img.Head) {
			row := []string{c.Bytes.String(), "", contentKindWords(c.Kind), count(int64(c.Files)), "–"}
			if split(img.Head) {
				row[1] = c.Own.String()
			}
			if c.Heaviest != "" {
				row[4] = inCell(c.Heaviest)
			}
			sum += c.Bytes
			g.add(row...)
		}
		if len(g.rows) > 0 {
			s.parts = append(s.parts, g.part(m.about(img)))
		}
	}
	return details(m.inAll("What a container seldom needs", sum.String()+" unpacked", s), s)
}

// duplicates lists what stands at several paths.
func (m *markdown) duplicates() section {
	s := section{name: "duplicates", noun: "duplicate", rank: 6}
	var sum footprint.Bytes
	for _, img := range m.whatIsIn() {
		list, more := duplicates(img.Head)
		g := grid{columns: []string{">beyond the first (unpacked)", ">not from the base", "what", "where", "brought by"}}
		for _, d := range list {
			n, others := copies(d)
			var paths, places []string
			for i := range n {
				name := d.Paths[i]
				if d.Dir {
					name = strings.TrimSuffix(legible(name), "/") + "/"
				}
				paths, places = append(paths, inCell(name)), append(places, orDash(m.layerPlace(img, d.Layers[i], inCell)))
			}
			if others > 0 {
				paths = append(paths, fmt.Sprintf("and %s more", count(int64(others))))
			}
			own := ""
			if split(img.Head) {
				own = d.Own.String()
			}
			g.add(d.Bytes.String(), own, duplicateWords(d), orDash(strings.Join(paths, "<br>")), orDash(strings.Join(places, "<br>")))
		}
		if more > 0 {
			g.add("–", "", fmt.Sprintf("%d more", more), "–", "–")
		}
		if len(g.rows) > 0 {
			sum += img.Head.DuplicateBytes
			s.parts = append(s.parts, g.part(m.about(img)))
		}
	}
	return details(m.inAll("Duplicates", fmt.Sprintf("%s unpacked beyond the first copies", sum), s), s)
}

// skipped lists the files that could not be looked into.
func (m *markdown) skipped() section {
	s := section{name: "what could not be looked into", noun: "file", rank: 8}
	n := 0
	for _, img := range m.whatIsIn() {
		if len(img.Head.Skipped) == 0 {
			continue
		}
		p := part{head: m.about(img) + tableHead("file", "why")}
		for _, f := range img.Head.Skipped[:min(len(img.Head.Skipped), maxPaths)] {
			p.rows = append(p.rows, tableRow(inCell(f.Path), prose(f.Why)))
		}
		if more := len(img.Head.Skipped) - maxPaths; more > 0 {
			p.rows = append(p.rows, tableRow(fmt.Sprintf("%d more", more), "–"))
		}
		n += len(img.Head.Skipped)
		s.parts = append(s.parts, p)
	}
	return details("Could not look into "+plural(n, "file")+": what is described there counts as unowned", s)
}
