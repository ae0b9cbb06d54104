package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// figure is one row of a table of metrics: a figure of the whole image or of its
// own layers, with every check on it.
type figure struct {
	own    bool
	metric footprint.Metric
	// now and was are the values; known and compared say which of them mean
	// something.
	now, was        int64
	known, compared bool
	// estimated and wasEstimated mark compressed bytes that nobody read.
	estimated, wasEstimated bool
	checks                  []budget.Check
}

// figures lists what the table of metrics shows: every figure that has a check,
// those of the whole image that changed, and its size in any case. With all,
// every measured figure of the whole image.
func (img *Image) figures(all bool) []figure {
	var out []figure
	for _, own := range []bool{false, true} {
		for _, metric := range footprint.AllMetrics() {
			f := img.figure(own, metric)
			// The attack surface has a line of its own.
			surface := metric == footprint.Executables || metric == footprint.Setuid
			changed := f.compared && f.now != f.was
			if surface && len(f.checks) == 0 {
				continue
			}
			if len(f.checks) > 0 || !own && (changed || all && f.known || metric == img.sizeMetric()) {
				out = append(out, f)
			}
		}
	}
	return out
}

func (img *Image) figure(own bool, metric footprint.Metric) figure {
	f := figure{own: own, metric: metric}
	scope := budget.ScopeImage
	if own {
		scope = budget.ScopeOwn
	}
	if m := metricsOf(img.Head, own); m != nil {
		f.now, f.known = m.Value(metric)
		f.estimated = metric == footprint.Compressed && m.CompressedEstimated
	}
	if _, was, ok := img.compare(own, metric); ok {
		f.was, f.compared = was, true
		f.wasEstimated = metric == footprint.Compressed && metricsOf(img.Base, own).CompressedEstimated
	}
	for _, c := range img.Verdict.Checks {
		if c.Scope == scope && c.Metric == metric {
			f.checks = append(f.checks, c)
		}
	}
	return f
}

// sizeMetric is the figure that stands for the size of the image: what a pull
// transfers if that is known.
func (img *Image) sizeMetric() footprint.Metric {
	if img.Head.Metrics.Has&footprint.HasCompressed != 0 {
		return footprint.Compressed
	}
	return footprint.Unpacked
}

func metricsOf(img *footprint.Image, own bool) *footprint.Metrics {
	switch {
	case img == nil:
		return nil
	case own:
		return img.Own
	}
	return &img.Metrics
}

// compare returns a figure of both images, and whether they were measured the
// same way. What must still be pulled has no counterpart in the baseline.
func (img *Image) compare(own bool, metric footprint.Metric) (now, was int64, ok bool) {
	if img.Delta == nil || metric == footprint.Update {
		return 0, 0, false
	}
	need := footprint.HasFiles
	switch metric {
	case footprint.Compressed:
		need = footprint.HasCompressed
	case footprint.LayerCount:
		need = 0
	}
	head, base := metricsOf(img.Head, own), metricsOf(img.Base, own)
	same := img.Delta.Has&need == need
	if own && metric == footprint.Compressed && head != nil && base != nil {
		// Those above the base may compare where the base does not.
		same = footprint.SameMethod(img.Base, img.Head, true)
	}
	if head == nil || base == nil || !same {
		return 0, 0, false
	}
	now, known := head.Value(metric)
	was, knownToo := base.Value(metric)
	return now, was, known && knownToo
}

// label names a figure in a narrow column. The own size is plainly "own".
func (f figure) label() string {
	switch {
	case !f.own:
		return string(f.metric)
	case f.metric == footprint.Compressed:
		return "own"
	}
	return "own " + string(f.metric)
}

// texts returns both values so that they read differently if they differ, and
// the change. Empty texts are unknown.
func (f figure) texts() (was, now, change string) {
	switch {
	case !f.known:
		return "", "", ""
	case f.metric.IsCount():
		now = count(f.now)
		if f.compared {
			was, change = count(f.was), signedCount(f.now-f.was)
		}
	default:
		now = marked(footprint.Bytes(f.now).String(), f.estimated)
		if f.compared {
			was, now = pair(footprint.Bytes(f.was), footprint.Bytes(f.now), f.wasEstimated, f.estimated)
			change = footprint.Bytes(f.now - f.was).Signed()
		}
	}
	return was, now, change
}

// marked marks a size that is an estimate.
func marked(text string, estimated bool) string {
	if !estimated || text == "" {
		return text
	}
	return "≈ " + text
}

// pair prints two sizes so that they read differently if they differ. An estimate
// is not printed to the byte: the change beside it tells what it can.
func pair(was, now footprint.Bytes, wasEstimated, estimated bool) (string, string) {
	a, b := was.String(), now.String()
	if !wasEstimated && !estimated {
		a, b = footprint.Apart(was, now)
	}
	return marked(a, wasEstimated), marked(b, estimated)
}

// percent is the change as a share, "" where it says nothing: a layer more is a
// layer more, and so is a setuid file.
func (f figure) percent(decimals int) string {
	if !f.compared || f.metric == footprint.LayerCount || f.metric == footprint.Setuid {
		return ""
	}
	return percentOf(f.now-f.was, f.was, decimals)
}

// percentOf prints a change as a share of what was there before, with at most
// one decimal; "" for no change, for more than ten times as much, and for
// decimals < 0.
func percentOf(change, was int64, decimals int) string {
	if was <= 0 || change == 0 || decimals < 0 {
		return ""
	}
	p := float64(change) / float64(was) * 100
	switch {
	case p > 999.9:
		// From next to nothing to something: the factor tells nothing.
		return ""
	case p > -0.05 && p < 0.05:
		// "+0.0 %" next to a change in bytes would look like a contradiction.
		return "<0.1 %"
	}
	return strings.Replace(fmt.Sprintf("%+.*f %%", decimals, p), "-", "−", 1)
}

// count prints a number of things in groups of three digits, like
// [footprint.Bytes.Exact] does.
func count(n int64) string {
	return strings.TrimSuffix(footprint.Bytes(n).Exact(), " B")
}

func signedCount(n int64) string {
	if n > 0 {
		return "+" + count(n)
	}
	return count(n)
}

// plural prints a number with its noun: "1 file", "3 files".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(int64(n)) + " " + noun + "s"
}

// amount prints a figure of a check in its unit.
func amount(c budget.Check, n int64) string {
	if c.Unit == budget.UnitCount {
		return count(n)
	}
	return footprint.Bytes(n).Short()
}

// update is what a host that has the baseline's image still pulls, as a part of
// what one without it pulls; "" if it is not known.
func (img *Image) update() string {
	pull, known := img.Head.Metrics.Value(footprint.Update)
	whole, _ := img.Head.Metrics.Value(footprint.Compressed)
	if !known || img.Delta == nil {
		return ""
	}
	all := footprint.Bytes(whole).String()
	switch {
	case pull == 0:
		return "nothing"
	case pull >= whole:
		return "all " + all
	case whole-pull < whole/100 || footprint.Bytes(pull).String() == all:
		// Two sizes that read alike say less than what lies between them.
		return "all but " + footprint.Bytes(whole-pull).String() + " of " + all
	}
	return footprint.Bytes(pull).String() + " of " + all
}

// state says in words how a check came out: "12.4 MB over", "25.9 MB left".
func state(c budget.Check) string {
	switch {
	case c.Status == budget.NotMeasured:
		return "not measured"
	case c.Status == budget.Waived:
		return "waived"
	case c.Kind == budget.KindForbid && c.Actual == 0:
		return "none found"
	case c.Kind == budget.KindForbid:
		return count(c.Actual) + " found"
	case c.Headroom < 0:
		return amount(c, -c.Headroom) + " over"
	}
	return amount(c, c.Headroom) + " left"
}

// rule is the limit as the budget says it: "max 120 MB", "growth 5%".
func rule(c budget.Check, q quote) string {
	switch {
	case c.Kind == budget.KindForbid:
		return "forbidden"
	case c.Kind.IsGrowth() && c.Rule != "":
		return q(c.Rule)
	}
	return string(c.Kind) + " " + amount(c, c.Allowed)
}

// title is what the image is called: its id in the budget file, or the
// reference that the user wrote.
func (img *Image) title() string {
	switch {
	case img.Head.Name != "":
		return img.Head.Name
	case img.Head.Reference != "":
		return img.Head.Reference
	}
	return "image"
}

// layer returns a layer of the new image by its index, nil if there is none.
func (img *Image) layer(index int) *footprint.Layer {
	if index < 0 || index >= len(img.Head.Layers) {
		return nil
	}
	return &img.Head.Layers[index]
}

// scoped returns the checks of one scope, in the order of the budget.
func (img *Image) scoped(scope budget.Scope) []budget.Check {
	return slices.DeleteFunc(slices.Clone(img.Verdict.Checks), func(c budget.Check) bool { return c.Scope != scope })
}

// kindOf says which bytes a metric counts.
func kindOf(metric footprint.Metric) string {
	if metric == footprint.Compressed || metric == footprint.Update {
		return "compressed"
	}
	return "unpacked"
}

// place prints where in a Dockerfile something stands, "" for nil.
func place(o *footprint.Origin) string {
	if o == nil || o.File == "" {
		return ""
	}
	return legible(o.File) + ":" + strconv.Itoa(o.Start)
}

// short is the form of a commit or digest that people recognise.
func short(hash string) string {
	hash = legible(hash)
	if algorithm, hex, ok := strings.Cut(hash, ":"); ok {
		return algorithm + ":" + cutRune(hex, 12)
	}
	return cutRune(hash, 7)
}
