package report

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// inspect writes what is in one image.
func (s *sheet) inspect(img *Image) {
	s.header(plainName(img.title()), plainName(img.Head.Platform), identity(img.Head, plainName), faint)
	s.blank()
	s.anatomy(img)
	s.layers(img)
	s.waste(img)
	s.owners(img)
	s.inventory(img)
	s.contents(img)
	s.duplicates(img)
	s.largest(img)
	s.surfaceLists(img)
	s.skipped(img.Head.Skipped)
	s.blank()
	s.prose(0, faint, method(img.Head))
	s.prose(0, faint, img.cost())
}

// meaning explains a metric in a few words.
func meaning(m footprint.Metric) string {
	switch m {
	case footprint.Compressed:
		return "what a pull transfers"
	case footprint.Unpacked:
		return "files of all layers"
	case footprint.Final:
		return "what a container sees"
	case footprint.Wasted:
		return "shipped, but hidden"
	case footprint.Update:
		return "what an update pulls"
	case footprint.LayerCount:
		return "layers with content"
	case footprint.FileCount:
		return "regular files"
	case footprint.Executables:
		return "files that may be executed"
	case footprint.Setuid:
		return "run as their owner or group"
	}
	return ""
}

// anatomy writes the metrics, split into base and own layers where the boundary
// is known.
func (s *sheet) anatomy(img *Image) {
	head := img.Head
	split := head.Base != nil && head.Own != nil
	columns := []column{{}, {right: true}, {right: true}, {right: true}, {}}
	rows := [][]cell{}
	if split {
		rows = append(rows, []cell{{}, {"image", faint}, {"base", faint}, {"own", faint}, {}})
	}
	for _, metric := range footprint.AllMetrics() {
		value := metricText(&head.Metrics, metric)
		if value == "" {
			continue
		}
		row := []cell{{string(metric), plain}, {value, bold}, {}, {}, {meaning(metric), faint}}
		if split {
			row[2].text = metricText(&head.Base.Metrics, metric)
			row[3].text = metricText(head.Own, metric)
		}
		rows = append(rows, row)
	}
	s.table(2, columns, rows)
	if split {
		s.prose(2, faint, baseWords(head.Base, plainName))
	}
}

// baseWords says what the base is and how the boundary was found.
func baseWords(b *footprint.Base, q quote) string {
	words := "base"
	if b.Reference != "" {
		words += " " + q(b.Reference)
	}
	if b.FoundBy != "" {
		words += ", found by " + q(b.FoundBy)
	}
	return words
}

// metricText prints a figure, "" if it was not measured.
func metricText(m *footprint.Metrics, name footprint.Metric) string {
	value, known := m.Value(name)
	switch {
	case !known:
		return ""
	case name.IsCount():
		return count(value)
	}
	return marked(footprint.Bytes(value).String(), name == footprint.Compressed && m.CompressedEstimated)
}

// layers lists all layers with what made them, those of the base apart.
func (s *sheet) layers(img *Image) {
	if len(img.Head.Layers) == 0 {
		return
	}
	file, words := originFile(img.Head.Layers)
	s.heading("layers" + words)
	rows := [][]cell{{{"#", faint}, {"compressed", faint}, {"unpacked", faint}, {"wasted", faint}, {"files", faint}, {"made by", faint}}}
	for i := range img.Head.Layers {
		l := &img.Head.Layers[i]
		if l.InBase && i == 0 {
			rows = append(rows, sectionRow("the base image:"))
		}
		if !l.InBase && i > 0 && img.Head.Layers[i-1].InBase {
			rows = append(rows, sectionRow("on top of it:"))
		}
		compressed, unpacked, wasted, files := layerTexts(l)
		row := []cell{{strconv.Itoa(l.Index), faint}, {compressed, plain}, {unpacked, plain}, {wasted, plain}, {files, plain}, {layerBy(l, file), plain}}
		if l.Wasted > 0 {
			row[3].tint = yellow
		}
		rows = append(rows, row)
	}
	s.table(2, []column{{right: true}, {right: true}, {right: true}, {right: true}, {right: true}, {flex: true}}, rows)
}

func sectionRow(title string) []cell {
	row := make([]cell, 6)
	row[5] = cell{title, faint}
	return row
}

// layerTexts prints the figures of a layer, "–" for one that was not measured.
func layerTexts(l *footprint.Layer) (compressed, unpacked, wasted, files string) {
	compressed, unpacked, wasted, files = "–", "–", "–", "–"
	if l.Has&footprint.HasCompressed != 0 {
		compressed = marked(l.Compressed.String(), l.CompressedEstimated)
	}
	if l.Has&footprint.HasFiles != 0 {
		unpacked, wasted, files = l.Unpacked.String(), l.Wasted.String(), count(int64(l.Files))
	}
	return compressed, unpacked, wasted, files
}

const (
	maxWaste     = 8
	maxDeadFiles = 8
)

// waste explains the hidden bytes: which layer ships them, and which hid them.
func (s *sheet) waste(img *Image) {
	head := img.Head
	if head.Metrics.Has&footprint.HasFiles == 0 || len(head.Dead) == 0 {
		return
	}
	s.heading(fmt.Sprintf("wasted: %s unpacked that no container can see", head.Metrics.Wasted))
	for i, d := range deadByWeight(head.Dead) {
		if i == maxWaste {
			s.row(2, cell{fmt.Sprintf("and %d more", len(head.Dead)-maxWaste), faint})
			break
		}
		s.deadPair(img, d)
	}
	if len(head.DeadFiles) == 0 {
		return
	}
	s.heading("heaviest wasted files")
	var rows [][]cell
	for i, f := range head.DeadFiles {
		if i == maxDeadFiles {
			break
		}
		rows = append(rows, []cell{{f.Bytes.String(), yellow}, {plainName(f.Path), plain}, {fmt.Sprintf("layer %d, %s by %d", f.In, fateShort(f.Fate), f.By), faint}})
	}
	s.table(2, []column{{right: true}, {flex: true, long: true}, {}}, rows)
}

// wasteOverLimit explains the heaviest of the hidden bytes where they are what a limit
// is about.
func (s *sheet) wasteOverLimit(img *Image) {
	const few = 3
	bad := slices.ContainsFunc(img.Verdict.Checks, func(c budget.Check) bool {
		return c.Metric == footprint.Wasted && (c.Status == budget.Fail || c.Status == budget.Warn)
	})
	if !bad || len(img.Head.Dead) == 0 {
		return
	}
	s.heading(fmt.Sprintf("wasted: %s unpacked that no container can see", img.Head.Metrics.Wasted))
	dead := deadByWeight(img.Head.Dead)
	for _, d := range dead[:min(len(dead), few)] {
		s.deadPair(img, d)
	}
	if more := len(dead) - few; more > 0 {
		s.row(2, cell{fmt.Sprintf("and %d more", more), faint})
	}
}

func fateShort(f footprint.Fate) string {
	if f == footprint.Rewritten {
		return "rewritten"
	}
	return fateWords(f)
}

// deadPair writes two lines: what was hidden, and by what.
func (s *sheet) deadPair(img *Image, d footprint.Dead) {
	size := d.Bytes.String()
	indent := 2 + max(8, width(size)) + gap
	under := plainName(d.Under)
	if !s.endless {
		under = middle(under, 30)
	}
	fate := ", " + fateWords(d.Fate)
	in := fmt.Sprintf("  %s in ", plural(d.Files, "file"))
	if s.edge()-2-max(8, width(size))-width(in)-width(fate) < narrowest {
		fate = ", " + fateShort(d.Fate)
	}
	s.pathRow(2, cell{fmt.Sprintf("%8s", size), yellow},
		cell{in + middle(under, s.edge()-2-max(8, width(size))-width(in)-width(fate)), plain},
		cell{fate, plain})
	s.row(indent, cell{fmt.Sprintf("shipped by layer %d  ", d.In), faint}, cell{where(img, d.In), plain})
	s.row(indent, cell{fmt.Sprintf("hidden by layer %d   ", d.By), faint}, cell{where(img, d.By), plain})
}

// largest lists the heaviest directories and files.
func (s *sheet) largest(img *Image) {
	if tree := heaviestDirs(img.Head.Dirs, maxTree); len(tree) > 0 {
		s.heading("largest directories (unpacked, in the final filesystem)")
		var rows [][]cell
		for _, d := range tree {
			rows = append(rows, []cell{{d.bytes.String(), plain}, {indentBy(d.depth) + plainName(d.path), plain}, {plural(d.files, "file"), faint}})
		}
		s.table(2, []column{{right: true}, {flex: true, long: true}, {right: true}}, rows)
	}
	if len(img.LargestFiles) > 0 {
		s.heading("largest files (unpacked)")
		var rows [][]cell
		for _, f := range img.LargestFiles {
			rows = append(rows, []cell{{f.Size.String(), plain}, {plainName(f.Path), plain}, {where(img, f.Layer), faint}})
		}
		s.table(2, []column{{right: true}, {flex: true, long: true}, {flex: true, led: true}}, rows)
	}
}
