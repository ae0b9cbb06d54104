package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// document is a markdown report in pieces that can be left out one by one, so
// that it fits a limit without ever being cut inside a row, a fence or a tag.
type document struct {
	// headings are forms of the first line, the best first and the shortest
	// last; footers likewise. One of each is always there.
	headings, footers []string
	// sections are in the order in which they are shown.
	sections []section
	// rest names the place where everything is, such as "the job summary".
	rest string
}

// section is a block of a document. Its parts are shown from the first on, as
// many rows of them as there is room for.
type section struct {
	// name says what is missing if it is left out, noun what its rows are.
	name, noun string
	// rank decides which section gets room first; 0 is the first.
	rank       int
	head, tail string
	parts      []part
}

// part is a piece of a section: a table or a list with what stands before it.
// Its rows end with a line feed.
type part struct {
	head string
	rows []string
}

// moreRoom is held free in a section that does not fit whole, for the line that
// says how many rows are missing, and for the place where they are.
const moreRoom = 64

// full writes a whole section.
func (s section) full() string {
	var b strings.Builder
	b.WriteString(s.head)
	for i, p := range s.parts {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.head)
		for _, row := range p.rows {
			b.WriteString(row)
		}
	}
	b.WriteString(s.tail)
	return b.String()
}

// within writes as much of a section as fits into room bytes, "" if that is not
// a single row.
func (s section) within(room int, rest string) string {
	if all := s.full(); len(all) <= room {
		return all
	}
	room -= len(s.head) + len(s.tail) + moreRoom + len(rest)
	var b strings.Builder
	missing, shown := 0, 0
	for i, p := range s.parts {
		head := p.head
		if i > 0 {
			head = "\n" + head
		}
		if missing > 0 || len(p.rows) == 0 || len(head)+len(p.rows[0]) > room {
			missing += max(1, len(p.rows))
			continue
		}
		b.WriteString(head)
		room -= len(head)
		for j, row := range p.rows {
			if len(row) > room {
				missing += len(p.rows) - j
				break
			}
			b.WriteString(row)
			room -= len(row)
			shown++
		}
	}
	if shown == 0 {
		return ""
	}
	// A line right below a table would become a row of it.
	return s.head + b.String() + "\n" + plural(missing, "more "+s.noun) + see(rest) + "\n" + s.tail
}

func see(rest string) string {
	if rest == "" {
		return ""
	}
	return ", see " + rest
}

// fit writes the document in at most limit bytes; 0 is no limit. It is an error
// if not even the shortest heading and footer fit.
func (d document) fit(limit int) (string, error) {
	texts := make([]string, len(d.sections))
	for i, s := range d.sections {
		texts[i] = s.full()
	}
	if whole := d.join(d.headings[0], texts, "", d.footers[0]); limit <= 0 || len(whole) <= limit {
		return whole, nil
	}
	var names []string
	for _, s := range d.sections {
		names = append(names, s.name)
	}
	reserve := len(d.join("", make([]string, len(d.sections)), d.leftOut(names), ""))
	heading, footer, room := "", "", -1
	// A short footer is given up before the heading is.
	for _, h := range d.headings {
		for _, f := range d.footers {
			if room < 0 {
				heading, footer, room = h, f, limit-reserve-len(h)-len(f)-4
			}
		}
	}
	if room < 0 {
		return "", fmt.Errorf("a report does not fit into %d bytes", limit)
	}
	order := make([]int, len(d.sections))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.sections[a].rank, d.sections[b].rank) })
	names = nil
	for _, i := range order {
		texts[i] = d.sections[i].within(room, d.rest)
		if texts[i] == "" {
			names = append(names, d.sections[i].name)
			continue
		}
		room -= len(texts[i]) + 1
	}
	return d.join(heading, texts, d.leftOut(names), footer), nil
}

// leftOut says which sections are missing, "" if none is.
func (d document) leftOut(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "Left out to keep this short: " + strings.Join(names, ", ") + see(d.rest) + ".\n"
}

// join puts a blank line between all blocks that are not empty.
func (d document) join(heading string, sections []string, leftOut, footer string) string {
	var blocks []string
	for _, b := range append(append([]string{heading}, sections...), leftOut, footer) {
		if b != "" {
			blocks = append(blocks, strings.TrimRight(b, "\n")+"\n")
		}
	}
	return strings.Join(blocks, "\n")
}
