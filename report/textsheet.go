package report

import (
	"io"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"

	"github.com/org/image-budget/internal/escape"
)

// displayWidth measures text as a terminal shows it. It is a value of its own
// because the library's default looks at the environment.
var displayWidth = &runewidth.Condition{StrictEmojiNeutral: true}

func width(s string) int { return displayWidth.StringWidth(s) }

// tint is a colour of the terminal, "" for none.
type tint string

const (
	plain  tint = ""
	bold   tint = "1"
	faint  tint = "2"
	red    tint = "31"
	green  tint = "32"
	yellow tint = "33"
)

// cell is a piece of text in a table.
type cell struct {
	text string
	tint tint
}

// column says how the cells of a column are laid out. The columns that flex
// give way, in the middle of their text, when a table is too wide; a tight one
// stands closer to the next. A long one holds paths: where no edge is, a cell of
// it pushes what follows to the right instead of being cut. In a led one, what
// stands before two spaces is cut last: the place before an instruction. It keeps
// its place: what a long cell would push to the right goes to the next line.
type column struct {
	right, flex, tight, long, led bool
}

// cut shortens the text of a cell of the column.
func (c column) cut(text string, limit int) string {
	lead, rest := c.split(text)
	room := limit - width(lead) - gap
	if lead == "" || width(text) <= limit {
		return middle(text, limit)
	}
	if room < narrowest-2 { // a stump of an instruction tells nothing
		return middle(lead, limit)
	}
	return lead + strings.Repeat(" ", gap) + middle(rest, room)
}

// split takes a text of a led column apart.
func (c column) split(text string) (lead, rest string) {
	if c.led {
		if lead, rest, ok := strings.Cut(text, strings.Repeat(" ", gap)); ok {
			return lead, rest
		}
	}
	return "", text
}

// gapAfter is the space behind a column: none behind an empty one, the full one
// if what a tight column leans on is empty.
func gapAfter(columns []column, widths []int, i int) int {
	switch {
	case widths[i] == 0 || i == len(widths)-1:
		return 0
	case columns[i].tight && widths[i+1] > 0:
		return 1
	}
	return gap
}

// sheet collects lines no wider than its width.
type sheet struct {
	lines []string
	width int
	color bool
	// endless is set where the text has no edge to keep to, as in a log: paths
	// are then cut at logWidth only.
	endless bool
}

// logWidth bounds a line where there is no edge: a name may be as long as its
// author likes.
const logWidth = 300

// edge is the last column for a line with a path in it.
func (s *sheet) edge() int {
	if s.endless {
		return max(s.width, logWidth)
	}
	return s.width
}

func (s *sheet) paint(c cell) string {
	if !s.color || c.tint == plain || c.text == "" {
		return c.text
	}
	return "\x1b[" + string(c.tint) + "m" + c.text + "\x1b[0m"
}

func (s *sheet) blank() {
	if len(s.lines) > 0 && s.lines[len(s.lines)-1] != "" {
		s.lines = append(s.lines, "")
	}
}

// row writes cells side by side, cutting what does not fit.
func (s *sheet) row(indent int, cells ...cell) { s.rowWithin(s.width, indent, cells) }

// pathRow is row for cells with a path among them.
func (s *sheet) pathRow(indent int, cells ...cell) { s.rowWithin(s.edge(), indent, cells) }

func (s *sheet) rowWithin(edge, indent int, cells []cell) {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", indent))
	room := edge - indent
	for i, c := range cells {
		if i == len(cells)-1 {
			c.text = strings.TrimRight(c.text, " ")
		}
		c.text = middle(c.text, room)
		room -= width(c.text)
		b.WriteString(s.paint(c))
	}
	s.lines = append(s.lines, strings.TrimRight(b.String(), " "))
}

// prose writes a sentence over as many lines as it needs, each indented.
func (s *sheet) prose(indent int, t tint, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		word = middle(word, s.width-indent)
		if line != "" && indent+width(line)+1+width(word) > s.width {
			s.row(indent, cell{line, t})
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		s.row(indent, cell{line, t})
	}
}

// gap is the space between two columns.
const gap = 2

// table writes rows under one another. Columns are as wide as their widest cell;
// if that is too wide the widest of the flexible ones shrink first.
func (s *sheet) table(indent int, columns []column, rows [][]cell) {
	widths := s.fit(indent, columns, rows)
	for _, row := range rows {
		s.line(indent, columns, widths, row)
	}
}

// line writes one row of a table.
func (s *sheet) line(indent int, columns []column, widths []int, row []cell) {
	cells := make([]cell, 0, 3*len(row))
	edge := s.width
	for i, c := range row {
		limit := widths[i]
		if columns[i].long && width(c.text) > limit && s.edge() > edge {
			if i+1 < len(row) && columns[i+1].led {
				s.rowWithin(s.edge(), indent, append(cells, c))
				rest := make([]cell, len(row))
				if copy(rest[i+1:], row[i+1:]); row[i+1].text != "" {
					s.line(indent, columns, widths, rest)
				}
				return
			}
			edge = s.edge()
			limit = max(limit, edge-indent-total(columns, widths)+limit)
		}
		c.text = columns[i].cut(c.text, limit)
		pad := cell{text: strings.Repeat(" ", max(0, widths[i]-width(c.text)))}
		if columns[i].right {
			cells = append(cells, pad, c)
		} else {
			cells = append(cells, c, pad)
		}
		cells = append(cells, cell{text: strings.Repeat(" ", gapAfter(columns, widths, i))})
	}
	s.rowWithin(edge, indent, cells)
}

// narrowest is how far a flexible column shrinks.
const narrowest = 12

func (s *sheet) fit(indent int, columns []column, rows [][]cell) []int {
	widths, least := make([]int, len(columns)), make([]int, len(columns))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], width(c.text))
			lead, _ := columns[i].split(c.text)
			least[i] = max(least[i], narrowest, min(width(lead), s.width/3))
		}
	}
	if s.endless {
		s.unpush(indent, columns, widths, least, rows)
	}
	for excess := total(columns, widths) + indent - s.width; excess > 0; excess-- {
		widest := -1
		for i, c := range columns {
			switch {
			case !c.flex || widths[i] <= least[i]:
			case s.endless && c.led && widths[i] > 2*narrowest:
				// A path that is cut nowhere wants the room more.
				widest = i
			case widest < 0 || widths[i] > widths[widest] && !(s.endless && columns[widest].led && widths[widest] > 2*narrowest):
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// unpush takes out of a long column's width the cells that are too long to have the
// led column beside them, however narrow that is: it stands below them.
func (s *sheet) unpush(indent int, columns []column, widths, least []int, rows [][]cell) {
	for i := range len(columns) - 1 {
		if !columns[i].long || !columns[i+1].led {
			continue
		}
		led := widths[i+1]
		widths[i+1] = min(led, max(least[i+1], 2*narrowest))
		room := s.width - indent - total(columns, widths) + widths[i]
		widths[i], widths[i+1] = 0, led
		for _, row := range rows {
			if w := width(row[i].text); w <= room {
				widths[i] = max(widths[i], w)
			}
		}
		if widths[i] == 0 {
			widths[i] = min(narrowest, room)
		}
	}
}

// total is the width of a table with these columns.
func total(columns []column, widths []int) int {
	sum, trailing := 0, 0
	for i, w := range widths {
		if w > 0 {
			trailing = gapAfter(columns, widths, i)
			sum += w + trailing
		}
	}
	return sum - trailing
}

func (s *sheet) writeTo(w io.Writer) error {
	_, err := io.WriteString(w, strings.TrimRight(strings.Join(s.lines, "\n"), "\n")+"\n")
	return err
}

// middle cuts text to a display width by taking out its middle: both ends of a
// path or a command tell more than one.
func middle(s string, limit int) string {
	if limit <= 0 {
		return ""
	}
	if len(s) <= limit || width(s) <= limit {
		return s
	}
	tail := (limit - 1) / 2
	head := displayWidth.Truncate(s, limit-1-tail, "")
	// Only the end of a long text can be shown; measuring all of it for every
	// candidate would take quadratic time.
	if from := len(s) - tail*16; from > 0 {
		s = strings.ToValidUTF8(s[from:], "")
	}
	return head + "…" + displayWidth.TruncateLeft(s, width(s)-tail, "")
}

// plainName makes a foreign name harmless on a terminal and in a log.
func plainName(s string) string {
	if s == "" {
		return "(empty)"
	}
	return escape.Line(inert(s))
}

// inert takes the life out of what a workflow runner would obey if a report is
// printed in its log: "::" where a line could begin, and "##[" anywhere. Bytes
// that are not UTF-8 are spelled out, as a stored report must spell them.
func inert(s string) string {
	s = legible(s)
	if strings.Contains(s, "##[") {
		s = strings.ReplaceAll(s, "##[", `#\x23[`)
	}
	if !strings.Contains(s, "::") {
		return s
	}
	var b strings.Builder
	start := true
	for i, r := range s {
		if start && strings.HasPrefix(s[i:], "::") {
			b.WriteString(`\x3a`)
		} else {
			b.WriteRune(r)
		}
		start = unicode.IsSpace(r)
	}
	return b.String()
}
