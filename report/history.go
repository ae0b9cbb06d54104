package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// MaxHistory is how many older commits a report holds the figures of.
const MaxHistory = 30

// series is how one figure of an image went, the last value being what it is now.
type series struct {
	metric footprint.Metric
	sizes  []footprint.Bytes
	// estimated says that they all are estimates.
	estimated bool
}

// series returns how the size of the image went, as far as it was measured in
// the same way; nil where less than two older commits can be compared.
func (img *Image) series() *series {
	head := &img.Head.Metrics
	if head.Has&footprint.HasCompressed != 0 {
		s := &series{metric: footprint.Compressed, estimated: head.CompressedEstimated}
		for _, p := range img.History {
			if p.Has&footprint.HasCompressed != 0 && p.Estimated == head.CompressedEstimated {
				s.sizes = append(s.sizes, p.Compressed)
			}
		}
		if len(s.sizes) > 1 {
			s.sizes = append(s.sizes, head.Compressed)
			return s
		}
	}
	if head.Has&footprint.HasFiles != 0 {
		s := &series{metric: footprint.Unpacked}
		for _, p := range img.History {
			if p.Has&footprint.HasFiles != 0 {
				s.sizes = append(s.sizes, p.Unpacked)
			}
		}
		if len(s.sizes) > 1 {
			s.sizes = append(s.sizes, head.Unpacked)
			return s
		}
	}
	return nil
}

// history says in a line how the size of an image went, "" where that is not
// known.
func (img *Image) history() string {
	s := img.series()
	if s == nil {
		return ""
	}
	was, now := pair(s.sizes[0], s.sizes[len(s.sizes)-1], s.estimated, s.estimated)
	return fmt.Sprintf("%s over %d commits %s %s → %s", s.metric, len(s.sizes), sparkline(s.sizes), was, now)
}

// sparkline draws sizes as bars. What differs by less than a fiftieth of them all
// is not blown up to the whole height.
func sparkline(sizes []footprint.Bytes) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	low, high := slices.Min(sizes), slices.Max(sizes)
	span := max(high-low, high/50, 1)
	var b strings.Builder
	for _, s := range sizes {
		b.WriteRune(bars[int(float64(s-low)/float64(span)*float64(len(bars)-1)+0.5)])
	}
	return b.String()
}

// history is the line about each of a few images: in a comment of those that
// changed.
func (m *markdown) history() string {
	const few = 4
	var words []string
	for i := range m.Images {
		img := &m.Images[i]
		line := img.history()
		if line == "" || !m.full && !img.changed() {
			continue
		}
		if m.several() {
			line = m.label(img) + ": " + line
		}
		words = append(words, line)
	}
	if len(words) > few {
		return ""
	}
	return strings.Join(words, " · ")
}

// courses draws how the sizes went, on a page that somebody opens.
func (m *markdown) courses() section {
	s := section{name: "the size over the last commits", noun: "picture", rank: 8}
	if !m.full || m.fleet() {
		return s
	}
	for _, img := range m.explained {
		c := img.series()
		if c == nil {
			continue
		}
		if chart := line(fmt.Sprintf("%s, the last %d commits", c.metric, len(c.sizes)), c.sizes); chart != "" {
			s.parts = append(s.parts, part{head: m.about(img), rows: []string{chart}})
		}
	}
	return s
}

// pastJSON is what an image weighed at an older commit; what is not known is
// null.
type pastJSON struct {
	Commit     string           `json:"commit"`
	Compressed *footprint.Bytes `json:"compressed"`
	Estimated  bool             `json:"compressed_estimated"`
	Unpacked   *footprint.Bytes `json:"unpacked"`
	Final      *footprint.Bytes `json:"final"`
}

func newHistoryJSON(history []footprint.Past) []pastJSON {
	out := []pastJSON{}
	for _, p := range history {
		j := pastJSON{Commit: p.Commit, Estimated: p.Estimated}
		if p.Has&footprint.HasCompressed != 0 {
			j.Compressed = &p.Compressed
		}
		if p.Has&footprint.HasFiles != 0 {
			j.Unpacked, j.Final = &p.Unpacked, &p.Final
		}
		out = append(out, j)
	}
	return out
}

func readHistory(list []pastJSON) ([]footprint.Past, error) {
	if len(list) > MaxHistory {
		return nil, fmt.Errorf("a history of %d commits", len(list))
	}
	var out []footprint.Past
	for _, j := range list {
		p := footprint.Past{Commit: j.Commit, Estimated: j.Estimated}
		if j.Compressed != nil {
			p.Compressed, p.Has = *j.Compressed, footprint.HasCompressed
		}
		if j.Unpacked != nil && j.Final != nil {
			p.Unpacked, p.Final, p.Has = *j.Unpacked, *j.Final, p.Has|footprint.HasFiles
		}
		if err := plausible(p.Compressed, p.Unpacked, p.Final); err != nil {
			return nil, fmt.Errorf("the history: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}
