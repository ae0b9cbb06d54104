package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

// The colours of mermaid are next to black in its dark theme, and next to white
// in its light one. These can be seen in both; what is text is left to the theme.
const (
	pieColors  = `%%{init: {"themeVariables": {"pie1": "#6cb6ff", "pie2": "#f69d50", "pie3": "#8ddb8c", "pie4": "#dcbdfb", "pie5": "#eac55f", "pie6": "#ff938a", "pie7": "#76d7d0", "pie8": "#adbac7", "pieSectionTextColor": "#1c2128", "pieStrokeColor": "#768390", "pieOuterStrokeColor": "#768390", "pieOpacity": "1"}}}%%`
	lineColors = `%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}}}}%%`
)

// maxSlices is how many slices of a pie can be told apart.
const maxSlices = 8

// slice is one slice of a pie.
type slice struct {
	label string
	bytes footprint.Bytes
}

// pie writes a chart in the language of mermaid, fenced for markdown; "" for
// fewer than two slices. Slices beyond the heaviest, and those too light to have
// a figure, are one.
func pie(all []slice) string {
	var sum footprint.Bytes
	var kept []slice
	for _, s := range all {
		if s.bytes > 0 {
			kept, sum = append(kept, s), sum+s.bytes
		}
	}
	slices.SortStableFunc(kept, func(a, b slice) int { return cmp.Compare(b.bytes, a.bytes) })
	rest, folded := slice{}, 0
	for len(kept) > 0 && (len(kept) > maxSlices || len(kept) == maxSlices && rest.bytes > 0 || kept[len(kept)-1].bytes < sum/50) {
		if folded++; folded == 1 {
			rest.label = kept[len(kept)-1].label
		} else {
			rest.label = "other"
		}
		rest.bytes += kept[len(kept)-1].bytes
		kept = kept[:len(kept)-1]
	}
	if rest.bytes > sum/200 {
		kept = append(kept, rest)
	}
	if len(kept) < 2 {
		return ""
	}
	unit, size := chartUnit(kept[0].bytes)
	var b strings.Builder
	// The title is as wide as the pie: a longer one is cut off.
	fmt.Fprintf(&b, "```mermaid\n%s\npie showData\n    title %s unpacked\n", pieColors, unit)
	for _, s := range kept {
		fmt.Fprintf(&b, "    \"%s\" : %s\n", cmp.Or(chartText(s.label), "_"), chartNumber(s.bytes, size, 1))
	}
	b.WriteString("```\n")
	return b.String()
}

// line writes a chart of sizes one after the other, "" for fewer than two.
func line(title string, sizes []footprint.Bytes) string {
	if len(sizes) < 2 {
		return ""
	}
	low, high := slices.Min(sizes), slices.Max(sizes)
	unit, size := chartUnit(high)
	// A tenth of air above and below, and something to see where nothing changed.
	air := max((high-low)/10, high/100, 1)
	var numbers []string
	for _, s := range sizes {
		numbers = append(numbers, chartNumber(s, size, 3))
	}
	axis := fmt.Sprintf("1 --> %d", len(sizes))
	if len(sizes) <= maxTicks {
		var ticks []string
		for i := range sizes {
			ticks = append(ticks, strconv.Itoa(i+1))
		}
		axis = "[" + strings.Join(ticks, ", ") + "]"
	}
	return fmt.Sprintf("```mermaid\n%s\nxychart-beta\n    title \"%s\"\n    x-axis \"commits, oldest first\" %s\n    y-axis \"%s\" %s --> %s\n    line [%s]\n```\n",
		lineColors, chartText(title), axis, unit, chartNumber(max(0, low-air), size, 3), chartNumber(high+air, size, 3), strings.Join(numbers, ", "))
}

// maxTicks is how many commits each have a tick. Of a range, mermaid marks halves
// where there are few.
const maxTicks = 15

// chartUnit is the unit in which the largest of some sizes is written.
func chartUnit(largest footprint.Bytes) (string, footprint.Bytes) {
	for _, u := range []struct {
		name string
		size footprint.Bytes
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if largest >= u.size {
			return u.name, u.size
		}
	}
	return "B", 1
}

// chartNumber writes a size with at most so many decimals, never as an exponent.
func chartNumber(b, unit footprint.Bytes, decimals int) string {
	power := math.Pow10(decimals)
	return strconv.FormatFloat(math.Round(float64(b)/float64(unit)*power)/power, 'f', -1, 64)
}

// chartText leaves of a label what means nothing to mermaid or to markdown.
// Quotes, semicolons, number signs, brackets, backslashes and line feeds would
// end it or begin something else, and what hides or moves characters would fool
// a reader: everything that is not plain becomes an underscore.
func chartText(s string) string {
	const most = 40
	var b strings.Builder
	n := 0
	for _, r := range legible(s) {
		if n++; n > most {
			b.WriteString("...")
			break
		}
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(" ._/+-,:", r):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// whereSlices says where the bytes of an image are: whom its files belong to
// where that is known, else in which directories they are.
func (img *Image) whereSlices() []slice {
	head := img.Head
	if head.Metrics.Has&footprint.HasFiles == 0 {
		return nil
	}
	wasted := slice{"wasted", head.Metrics.Wasted}
	if head.Packages == nil || head.Rest == nil {
		return append(directorySlices(head), wasted)
	}
	var out []slice
	at := map[string]int{}
	for _, p := range head.Packages {
		i, known := at[p.Ecosystem]
		if !known {
			i = len(out)
			at[p.Ecosystem] = i
			out = append(out, slice{label: packagesOf(p.Ecosystem)})
		}
		out[i].bytes += p.Bytes
	}
	base := "rest of the base image"
	if len(out) == 0 {
		base = "base image"
	}
	return append(out, slice{base, head.Rest.Base}, slice{"application files", head.Rest.Application}, slice{"files of no package", head.Rest.Unowned}, wasted)
}

// directorySlices sums directories by the first two names of their paths: there
// is little to learn from what /usr has.
func directorySlices(head *footprint.Image) []slice {
	var out []slice
	at, above := map[string]int{}, map[string]bool{}
	for _, d := range head.Dirs {
		name := legible(d.Path)
		parts := strings.SplitN(name, "/", 4)
		if len(parts) > 3 {
			name = strings.Join(parts[:3], "/")
		}
		if len(parts) > 2 {
			above["/"+parts[1]] = true
		}
		if name != "/" {
			above["/"] = true
		}
		i, known := at[name]
		if !known {
			i = len(out)
			at[name] = i
			out = append(out, slice{label: name})
		}
		out[i].bytes += d.Bytes
	}
	for i, s := range out {
		if above[s.label] {
			out[i].label = "rest of " + s.label
		}
	}
	return out
}

// pictures draws where the bytes are, folded away in a comment.
func (m *markdown) pictures() section {
	s := section{name: "where the bytes are", noun: "picture", rank: 7}
	if m.Kind == Diff {
		return s
	}
	for _, img := range m.explained {
		if m.Kind == Check && img.urgency() > 2 && (!m.full || m.fleet()) {
			continue
		}
		if chart := pie(img.whereSlices()); chart != "" {
			s.parts = append(s.parts, part{head: m.about(img), rows: []string{chart}})
		}
	}
	if m.full && !m.fleet() {
		s.head = "**Where the bytes are**\n\n"
		return s
	}
	return details("Where the bytes are", s)
}
