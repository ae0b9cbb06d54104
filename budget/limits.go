package budget

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/nearest"
)

// decodeLimits reads the limits of metrics, in the order of AllMetrics.
func (d *decoder) decodeLimits(n *node, what string) []Limit {
	var out []Limit
	known := metricNames()
	fields := d.fieldsOf(n, what, known)
	for _, name := range known {
		e, ok := fields[name]
		if !ok {
			continue
		}
		metric := footprint.Metric(name)
		l := Limit{Metric: metric, Pos: d.pos(e.key)}
		l.Bounds = d.decodeBounds(e.value, what+"."+name, metric)
		out = append(out, l)
	}
	return out
}

func (d *decoder) decodePaths(n *node) []PathLimit {
	var out []PathLimit
	for _, e := range d.entriesOf(n, "paths") {
		if e.key.text == "" {
			d.fail(e.key, "", "a pattern is empty")
			continue
		}
		d.checkPattern(e.key, e.key.text)
		p := PathLimit{Pattern: e.key.text, Pos: d.pos(e.key)}
		p.Bounds = d.decodeBounds(e.value, "the limit of "+quote(e.key.text), footprint.Final)
		out = append(out, p)
	}
	return out
}

func (d *decoder) decodeBounds(n *node, what string, metric footprint.Metric) Bounds {
	var b Bounds
	if n.kind != mapNode && n.kind != nullNode {
		d.fail(n, "write {max: …}", "%s must be a mapping with max, warn or growth", what)
		return b
	}
	keys := boundKeys
	if metric == footprint.Update {
		keys = updateKeys
	}
	fields := d.fieldsOf(n, what, keys)
	if v, ok := fields["max"]; ok {
		b.Max = d.decodeBound(v, metric)
	}
	if v, ok := fields["warn"]; ok {
		b.Warn = d.decodeBound(v, metric)
	}
	if v, ok := fields["growth"]; ok {
		b.Growth, b.SinceRelease = d.decodeGrowth(v, metric)
	}
	if b.Max != nil && b.Warn != nil && b.Warn.Value > b.Max.Value {
		d.fail(fields["warn"].value, "warn is the lower of the two", "warn %s is more than max %s", quote(fields["warn"].value.text), quote(fields["max"].value.text))
	}
	return b
}

func (d *decoder) decodeBound(e entry, metric footprint.Metric) *Bound {
	d.countLimit(e.key)
	value, ok := d.amountOf(e.value, e.key.text, metric)
	if !ok {
		return nil
	}
	return &Bound{Value: value, Pos: d.pos(e.key)}
}

// amountOf reads a size, or a whole number for a metric that is a count.
func (d *decoder) amountOf(n *node, what string, metric footprint.Metric) (int64, bool) {
	if metric.IsCount() {
		return d.countOf(n, what, metric)
	}
	if n.kind != stringNode && n.kind != intNode {
		hint := "write a number with a unit, such as 120MB or 64MiB"
		if n.kind == otherScalar && isFraction(n.text) {
			hint = didYouMean(n.text + "MB")
		}
		d.fail(n, hint, "%s must be a size", what)
		return 0, false
	}
	value, err := footprint.ParseBytes(n.text)
	if err == nil && !plainSize(n.text) {
		err = fmt.Errorf("%s is not a size", quote(n.text))
	}
	if err != nil {
		d.fail(n, sizeHint(n.text), "%s: %s", what, firstClause(err))
		return 0, false
	}
	if value > 0 && value < 1000 && isDecimal(strings.TrimSpace(n.text)) {
		d.fail(n, didYouMean(fmt.Sprintf("%dMB", int64(value))), "%s has no unit; if bytes are meant, write %dB", what, int64(value))
		return 0, false
	}
	return int64(value), true
}

func (d *decoder) countOf(n *node, what string, metric footprint.Metric) (int64, bool) {
	value, err := strconv.ParseInt(n.text, 10, 64)
	if n.kind != intNode || err != nil {
		d.fail(n, "write a whole number, such as 20", "%s: %s is counted, not weighed", what, metric)
		return 0, false
	}
	return value, true
}

// decodeGrowth reads the limits on growth: one against the baseline, one
// against the last release, or both in a mapping.
func (d *decoder) decodeGrowth(e entry, metric footprint.Metric) (growth, sinceRelease *Growth) {
	if e.value.kind != mapNode {
		return d.decodeGain(e, metric), nil
	}
	keys := growthKeys
	if metric.IsCount() {
		keys = countKeys
	}
	pair := keys[:2]
	fields := d.fieldsOf(e.value, "growth", keys)
	release, hasRelease := fields["since-release"]
	switch {
	case hasRelease && release.value.kind == mapNode:
		sinceRelease = d.decodePair(release, d.fieldsOf(release.value, "since-release", pair), pair, metric)
	case hasRelease:
		sinceRelease = d.decodeGain(release, metric)
	}
	_, hasPercent := fields[pair[0]]
	_, hasAmount := fields[pair[1]]
	if hasPercent || hasAmount || !hasRelease {
		if hasRelease {
			pair = nil // one of the two could not have been written without a mapping
		}
		growth = d.decodePair(e, fields, pair, metric)
	}
	return growth, sinceRelease
}

// decodePair reads a share and a number, both of which must be exceeded. Those
// in need may not be missing: one alone takes no mapping.
func (d *decoder) decodePair(e entry, fields map[string]entry, need []string, metric footprint.Metric) *Growth {
	d.countLimit(e.key)
	g := &Growth{Pos: d.pos(e.key)}
	missing := slices.ContainsFunc(need, func(key string) bool { _, ok := fields[key]; return !ok })
	// An unknown key, which was said already, may be the one that is missing.
	if missing && len(fields) > 0 && len(fields) == len(e.value.entries) {
		name, example := e.key.text, "2MB"
		if metric.IsCount() {
			example = "2"
		}
		d.fail(e.value, fmt.Sprintf("write both, or `%s: 5%%` or `%s: %s` alone", name, name, example), "%s needs %s here", name, strings.Join(need, " and "))
	}
	if v, ok := fields["percent"]; ok {
		g.Percent = d.percentOf(v.value)
	}
	for _, key := range []string{"bytes", "count"} {
		if v, ok := fields[key]; ok {
			if amount, ok := d.amountOf(v.value, key, metric); ok {
				g.Amount = &amount
			}
		}
	}
	return g
}

// decodeGain reads a share or a number.
func (d *decoder) decodeGain(e entry, metric footprint.Metric) *Growth {
	d.countLimit(e.key)
	g := &Growth{Pos: d.pos(e.key)}
	switch n := e.value; {
	case n.kind == stringNode && strings.Contains(n.text, "%"):
		g.Percent = d.percentOf(n)
	case n.kind == intNode && !metric.IsCount() && len(n.text) <= 3 && n.text != "0":
		d.fail(n, didYouMean(n.text+"%"), "%s has no unit", e.key.text)
	default:
		if v, ok := d.amountOf(n, e.key.text, metric); ok {
			g.Amount = &v
		}
	}
	return g
}

// maxPercent is 1000 %. More than that is a typing error.
const maxPercent = Percent(1_000_000)

func (d *decoder) percentOf(n *node) *Percent {
	if n.kind == intNode || n.kind == otherScalar && isFraction(n.text) {
		d.fail(n, didYouMean(n.text+"%"), "percent has no %% sign")
		return nil
	}
	if n.kind != stringNode {
		d.fail(n, "write a number with a percent sign, such as 5%", "percent must be a percentage")
		return nil
	}
	p, err := parsePercent(n.text)
	if err != nil {
		d.fail(n, "write a number with a percent sign, such as 5% or 2.5%", "%s", err)
		return nil
	}
	return &p
}

func parsePercent(s string) (Percent, error) {
	number, ok := strings.CutSuffix(strings.Trim(s, " "), "%")
	number = strings.TrimRight(number, " ")
	if ok && strings.HasPrefix(number, "-") {
		return 0, fmt.Errorf("a growth of %s is negative; a shrinking image is never over its budget", quote(s))
	}
	whole, fraction, dot := strings.Cut(number, ".")
	if !ok || !digits(whole) || len(whole) > 9 || dot && !digits(fraction) {
		return 0, fmt.Errorf("%s is not a percentage", quote(s))
	}
	if len(fraction) > 3 {
		return 0, fmt.Errorf("%s has more than three decimals", quote(s))
	}
	value, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a percentage", quote(s))
	}
	if Percent(value) > maxPercent {
		return 0, fmt.Errorf("%s is more than 1000%%", quote(s))
	}
	return Percent(value), nil
}

// String prints the percentage as people write it: "5%", "2.5%".
func (p Percent) String() string {
	whole, rest := int64(p)/1000, int64(p)%1000
	if rest == 0 {
		return fmt.Sprintf("%d%%", whole)
	}
	return fmt.Sprintf("%d.%s%%", whole, strings.TrimRight(fmt.Sprintf("%03d", rest), "0"))
}

func digits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

func isFraction(s string) bool {
	whole, fraction, ok := strings.Cut(s, ".")
	return ok && digits(whole) && digits(fraction)
}

// plainSize keeps the schema's pattern for sizes true: digits, blanks and
// ASCII letters only.
func plainSize(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != ' ' && r != '.'
	}) < 0
}

var unitNames = []string{"MB", "kB", "GB", "TB", "MiB", "KiB", "GiB", "TiB", "B"}

// sizeHint guesses what size was meant.
func sizeHint(s string) string {
	text := strings.TrimSpace(s)
	if strings.HasPrefix(text, "-") {
		return "a size cannot be negative"
	}
	if strings.HasSuffix(text, "%") {
		return "a percentage belongs under growth"
	}
	text = strings.Replace(text, ",", ".", 1)
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	number, unit := text[:end], strings.TrimSpace(text[end:])
	if !digits(number) && !isFraction(number) || len(unit) > 12 {
		return "write a number with a unit, such as 120MB or 64MiB"
	}
	if unit == "" {
		return didYouMean(number + "MB")
	}
	best := ""
	switch lower := strings.ToLower(unit); {
	case slices.ContainsFunc(unitNames, func(u string) bool { return strings.EqualFold(u, unit) }):
		best = unit
	case strings.HasSuffix(lower, "io"): // octets
		best = unit[:1] + "iB"
	case strings.HasSuffix(lower, "o") && len(unit) == 2:
		best = unit[:1] + "B"
	default:
		near, ok := nearest.Word(unit, unitNames)
		if !ok {
			near, ok = map[byte]string{'k': "kB", 'm': "MB", 'g': "GB", 't': "TB", 'b': "B"}[lower[0]], true
		}
		if ok {
			best = near
		}
	}
	if best != "" {
		if _, err := footprint.ParseBytes(number + best); err == nil {
			return didYouMean(number + best)
		}
	}
	return "use B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024)"
}

// firstClause drops the advice that ParseBytes gives after a semicolon: the
// hint says it better.
func firstClause(err error) string {
	s, _, _ := strings.Cut(err.Error(), "; ")
	return s
}
