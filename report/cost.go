package report

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// cost says in a line what pulls of an image take, "" where its transfer size is
// not known.
func (img *Image) cost() string {
	size, known := img.Head.Metrics.Value(footprint.Compressed)
	if !known {
		return ""
	}
	at := "an assumed " + budget.DefaultBandwidth.String()
	if img.Cost.Bandwidth > 0 {
		at = img.Cost.Bandwidth.String()
	}
	bandwidth := cmp.Or(img.Cost.Bandwidth, budget.DefaultBandwidth)
	about := ""
	if img.Head.Metrics.CompressedEstimated {
		about = "about "
	}
	takes := duration(bandwidth.Seconds(footprint.Bytes(size)))
	words := "a cold pull takes " + about + takes + " at " + at
	if _, was, ok := img.compare(false, footprint.Compressed); ok {
		if took := duration(bandwidth.Seconds(footprint.Bytes(was))); took != takes {
			words += " (was " + took + ")"
		}
	}
	if month := img.month(about); month != "" {
		words += "; " + month
	}
	return words
}

// month says what the deploys of a month move, "" where it is not known how many
// there are.
func (img *Image) month(about string) string {
	size, update := img.deployed()
	moved, known := img.Cost.Month(size)
	if !known {
		return ""
	}
	words := fmt.Sprintf("%s × %s a day", plural(int(img.Cost.Hosts), "host"), deploys(img.Cost.Deploys))
	switch {
	case update && size == 0:
		return words + " move nothing: a host with the baseline has all layers"
	case update:
		return fmt.Sprintf("%s move %s%s a month (%d days), each what a host with the baseline lacks", words, about, moved, budget.DaysOfMonth)
	}
	return fmt.Sprintf("%s move %s%s a month (%d days), each a cold pull", words, about, moved, budget.DaysOfMonth)
}

func deploys(r budget.Rate) string {
	if r == 1000 {
		return "1 deploy"
	}
	return r.String() + " deploys"
}

// deployed is how many bytes a deploy moves to a host: those that one with the
// baseline lacks where a baseline is known, else all.
func (img *Image) deployed() (size footprint.Bytes, update bool) {
	if pull, known := img.Head.Metrics.Value(footprint.Update); known && img.Delta != nil {
		return footprint.Bytes(pull), true
	}
	return img.Head.Metrics.Compressed, false
}

// duration prints seconds as people say them.
func duration(seconds float64) string {
	switch tenths := math.Round(seconds * 10); {
	case seconds <= 0:
		return "no time"
	case seconds < 0.005:
		return "less than 0.01 s"
	case seconds < 0.995:
		return strconv.FormatFloat(seconds, 'f', 2, 64) + " s"
	case tenths < 600:
		return strconv.FormatFloat(tenths/10, 'f', 1, 64) + " s"
	}
	whole := math.Round(seconds)
	minutes, rest := math.Floor(whole/60), math.Mod(whole, 60)
	if minutes < 60 {
		return fmt.Sprintf("%.0f min %.0f s", minutes, rest)
	}
	minutes = math.Round(seconds / 60)
	return fmt.Sprintf("%.0f h %.0f min", math.Floor(minutes/60), math.Mod(minutes, 60))
}

// cost is the line about pulls: of one image, or of each of a few. A comment
// says it where something changed, or where somebody wants to know.
func (m *markdown) cost() string {
	const few = 4
	var words []string
	for _, img := range m.shownCosts() {
		line := img.cost()
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

func (m *markdown) shownCosts() []*Image {
	var out []*Image
	for i := range m.Images {
		img := &m.Images[i]
		line := img.cost()
		if line != "" && (m.full || img.Cost.Hosts > 0 || img.changed() && (img.Cost != budget.Cost{} || strings.Contains(line, "(was "))) {
			out = append(out, img)
		}
	}
	return out
}

// costJSON is what pulls of an image take.
type costJSON struct {
	Bandwidth budget.Bandwidth `json:"bandwidth_bits_per_second"`
	// Assumed is set where nobody said a bandwidth.
	Assumed bool `json:"bandwidth_assumed"`
	// Pull is null where the transfer size is not known.
	Pull *float64 `json:"pull_seconds"`
	// Hosts and Deploys are null where the budget file does not say.
	Hosts   *int64       `json:"hosts"`
	Deploys *budget.Rate `json:"deploys_per_day"`
	// Month is what the deploys of 30 days move, and Deploy which metric each of
	// them moves: update or compressed. Both are null where it is not known.
	Month  *footprint.Bytes  `json:"month_bytes"`
	Deploy *footprint.Metric `json:"deploy_metric"`
}

func newCostJSON(img *Image) *costJSON {
	out := &costJSON{Bandwidth: cmp.Or(img.Cost.Bandwidth, budget.DefaultBandwidth), Assumed: img.Cost.Bandwidth == 0}
	if img.Cost.Hosts > 0 {
		out.Hosts = &img.Cost.Hosts
	}
	if img.Cost.Deploys > 0 {
		out.Deploys = &img.Cost.Deploys
	}
	size, known := img.Head.Metrics.Value(footprint.Compressed)
	if !known {
		return out
	}
	seconds := math.Round(out.Bandwidth.Seconds(footprint.Bytes(size))*1000) / 1000
	out.Pull = &seconds
	deployed, update := img.deployed()
	if moved, known := img.Cost.Month(deployed); known {
		metric := footprint.Compressed
		if update {
			metric = footprint.Update
		}
		out.Month, out.Deploy = &moved, &metric
	}
	return out
}

// cost reads what a report was reckoned with; what follows from it is reckoned
// again. A report without it is from before there was one.
func (j *costJSON) cost() (budget.Cost, error) {
	var out budget.Cost
	if j == nil {
		return out, nil
	}
	if !j.Assumed {
		out.Bandwidth = j.Bandwidth
	}
	if j.Hosts != nil {
		out.Hosts = *j.Hosts
	}
	if j.Deploys != nil {
		out.Deploys = *j.Deploys
	}
	if !out.Valid() {
		return budget.Cost{}, errors.New("an absurd bandwidth, or number of hosts or deploys")
	}
	return out, nil
}
