package budget

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/org/image-budget/footprint"
)

// Input is what an image is judged by.
type Input struct {
	// Head is the image. Base is its baseline, nil unless State is
	// BaselineFound. [footprint.Align] gives the layers of both one size;
	// without it, fewer compressed sizes compare.
	Head, Base *footprint.Image
	// State says what is known of the baseline; "" means none, or found if
	// there is a Base.
	State BaselineState
	// Reason says in words why a baseline is not comparable, such as "it is
	// of linux/arm64"; it may be "".
	Reason string
	// Now decides which waivers have expired.
	Now time.Time
}

// Evaluate judges an image. Every limit gives a check.
func (img Image) Evaluate(in Input) Verdict {
	if in.Head == nil {
		in.Head = &footprint.Image{}
	}
	if in.State == "" {
		in.State = BaselineNone
		if in.Base != nil {
			in.State = BaselineFound
		}
	}
	if in.State != BaselineFound {
		in.Base = nil
	}
	e := &evaluation{img: img, in: in}
	e.metrics()
	e.paths()
	e.packages()
	e.forbidden()
	e.waive()
	v := Verdict{Checks: e.checks, Notes: e.notes}
	v.Status = Pass
	for i := range e.checks {
		c := &e.checks[i]
		c.Blind = c.Blind && !img.Implied // nobody asked for those
		v.Status = v.Status.Worse(c.Status)
		if c.Blind {
			v.Status = v.Status.Worse(Warn)
		}
	}
	return v
}

type evaluation struct {
	img    Image
	in     Input
	checks []Check
	notes  []string
}

// figure is one number that limits are put on, with its baseline.
type figure struct {
	name    string // of the limit, without its kind
	subject string
	scope   Scope
	metric  footprint.Metric
	unit    Unit

	value   int64
	missing string // why there is no value, and what to do

	base *int64
	// noBase says why there is nothing to compare with; blind whether the
	// user can change that.
	noBase string
	blind  bool
}

func (e *evaluation) metrics() {
	limits := e.img.Limits
	if e.img.Implied {
		limits = e.impliedLimit()
	}
	var base *footprint.Metrics
	if e.in.Base != nil {
		base = &e.in.Base.Metrics
	}
	for _, l := range limits {
		f := figure{name: "limits." + string(l.Metric), subject: string(l.Metric), scope: ScopeImage, metric: l.Metric}
		e.bounds(e.measured(f, &e.in.Head.Metrics, base), l.Bounds)
	}
	if e.in.Base != nil {
		base = e.in.Base.Own
	}
	for _, l := range e.img.Own {
		f := figure{name: "own." + string(l.Metric), subject: "own " + string(l.Metric), scope: ScopeOwn, metric: l.Metric}
		e.bounds(e.measured(f, e.in.Head.Own, base), l.Bounds)
	}
}

// impliedLimit picks, from the default, the first limit that both sides can
// be compared by, else the first that the image has a figure for.
func (e *evaluation) impliedLimit() []Limit {
	limits := e.img.Limits
	if e.in.Base != nil {
		for i, l := range limits {
			f := e.measured(figure{metric: l.Metric}, &e.in.Head.Metrics, &e.in.Base.Metrics)
			if f.missing == "" && f.base != nil {
				return limits[i : i+1]
			}
		}
	}
	for i, l := range limits {
		if _, ok := e.in.Head.Metrics.Value(l.Metric); ok {
			return limits[i : i+1]
		}
	}
	return limits[:1]
}

// measured fills in the figure and its baseline. The metrics of own layers are
// nil where the base is not known.
func (e *evaluation) measured(f figure, head, base *footprint.Metrics) figure {
	f.unit = UnitBytes
	if f.metric.IsCount() {
		f.unit = UnitCount
	}
	if head == nil {
		f.missing = "it is not known what the base image brought; name it with `base:` in the budget file"
	} else if v, ok := head.Value(f.metric); ok {
		f.value = v
	} else {
		f.missing = e.whyMissing(f.metric)
	}
	f.noBase, f.blind = e.whyNoBase()
	if f.noBase != "" || head == nil {
		return f
	}
	if base == nil {
		f.noBase, f.blind = "the baseline does not know its base image; store it again", true
		return f
	}
	v, ok := base.Value(f.metric)
	switch {
	case !ok:
		f.noBase, f.blind = fmt.Sprintf("the baseline holds no %s; store it again", f.metric), true
	case f.metric == footprint.Compressed && f.missing == "" && !footprint.SameMethod(e.in.Base, e.in.Head, f.scope == ScopeOwn):
		f.noBase, f.blind = e.otherMethod(f.scope), true
	default:
		f.base = &v
	}
	return f
}

// otherMethod says why the compressed bytes do not compare.
func (e *evaluation) otherMethod(scope Scope) string {
	now, then := method(e.in.Head, scope), method(e.in.Base, scope)
	if now == then {
		return fmt.Sprintf("the layers that differ from the baseline were not all measured by one method: compressed bytes are %s, here and in the baseline; store it from the same kind of source", now)
	}
	return fmt.Sprintf("the baseline was measured by another method: its compressed bytes are %s, these are %s; store it from the same kind of source", then, now)
}

// method says where the compressed bytes of an image, or of its own layers,
// come from.
func method(img *footprint.Image, scope Scope) string {
	layers := img.Layers
	if scope == ScopeOwn && img.Own != nil {
		layers = layers[max(0, len(layers)-img.Own.Layers):]
	}
	estimated := 0
	for _, l := range layers {
		if l.CompressedEstimated {
			estimated++
		}
	}
	by := ""
	if img.EstimatedBy != "" {
		by = " by " + img.EstimatedBy
	}
	switch estimated {
	case 0:
		return "read from the blobs"
	case len(layers):
		return "estimated" + by
	}
	return "read from the blobs for some layers and estimated" + by + " for others"
}

func (e *evaluation) whyMissing(m footprint.Metric) string {
	switch {
	case m == footprint.Compressed:
		return "the source holds no compressed layers and no estimate was made"
	case m != footprint.Update:
		return "no layer was read"
	case e.in.State == BaselineNone:
		return "there is no baseline yet"
	case e.in.State == BaselineNotComparable:
		return e.notComparable()
	}
	return "the compressed bytes of some layers are not known"
}

func (e *evaluation) whyNoBase() (reason string, blind bool) {
	switch e.in.State {
	case BaselineFound:
		if e.in.Base != nil {
			return "", false
		}
	case BaselineNotComparable:
		return e.notComparable(), true
	}
	return "there is no baseline yet", false
}

func (e *evaluation) notComparable() string {
	if e.in.Reason == "" {
		return "the baseline cannot be compared with this image"
	}
	return "the baseline cannot be compared with this image: " + e.in.Reason
}

func (e *evaluation) paths() {
	for _, p := range e.img.Paths {
		f := figure{name: "paths." + p.Pattern, subject: p.Pattern, scope: ScopePath, metric: footprint.Final, unit: UnitBytes}
		if sum := pathSize(e.in.Head, p.Pattern); sum != nil {
			f.value = int64(sum.Bytes)
		} else {
			f.missing = "no layer was read"
		}
		f.noBase, f.blind = e.whyNoBase()
		if f.noBase == "" {
			sum := pathSize(e.in.Base, p.Pattern)
			switch {
			case sum != nil:
				value := int64(sum.Bytes)
				f.base = &value
			case e.in.Base.Metrics.Has&footprint.HasFiles == 0:
				f.noBase, f.blind = "no layer of the baseline was read; store it again", true
			default:
				f.noBase = "the baseline was stored before this path was in the budget file; the next one will have it"
			}
		}
		e.bounds(f, p.Bounds)
	}
}

func pathSize(img *footprint.Image, pattern string) *footprint.PathSize {
	for i := range img.Paths {
		if img.Paths[i].Pattern == pattern {
			return &img.Paths[i]
		}
	}
	return nil
}

// bounds adds a check for each limit on a figure.
func (e *evaluation) bounds(f figure, b Bounds) {
	if b.Max != nil {
		e.checks = append(e.checks, e.bound(f, KindMax, *b.Max))
	}
	if b.Warn != nil {
		e.checks = append(e.checks, e.bound(f, KindWarn, *b.Warn))
	}
	if b.Growth != nil {
		e.checks = append(e.checks, e.growth(f, *b.Growth))
	}
}

func (f figure) check(kind Kind, pos Pos) Check {
	return Check{
		Limit: f.name + "." + string(kind), Subject: f.subject, Kind: kind, Metric: f.metric, Scope: f.scope,
		Unit: f.unit, Base: f.base, Status: Pass, Pos: pos,
	}
}

func (e *evaluation) bound(f figure, kind Kind, b Bound) Check {
	c := f.check(kind, b.Pos)
	c.Allowed = b.Value
	c.Rule = string(kind) + " " + amount(f.unit, b.Value)
	if f.missing != "" {
		c.Status = NotMeasured
		// Before the first baseline there is nothing that a host could hold.
		c.Blind = f.metric != footprint.Update || e.in.State != BaselineNone
		c.Message = fmt.Sprintf("%s was not measured: %s", f.subject, f.missing)
		return c
	}
	c.Actual, c.Headroom = f.value, difference(b.Value, f.value)
	actual, allowed := apart(f.unit, f.value, b.Value)
	limit := "the limit of " + allowed
	if kind == KindWarn {
		limit = "the warning at " + allowed
	}
	switch {
	case c.Headroom > 0:
		c.Message = fmt.Sprintf("%s is %s, %s below %s", f.subject, actual, amount(f.unit, c.Headroom), limit)
	case c.Headroom == 0:
		c.Message = fmt.Sprintf("%s is %s, exactly %s", f.subject, actual, limit)
	default:
		c.Status = Fail
		if kind == KindWarn {
			c.Status = Warn
		}
		c.Message = fmt.Sprintf("%s is %s, %s over %s; %s", f.subject, actual, amount(f.unit, difference(f.value, b.Value)), limit, e.advice(c))
	}
	return c
}

func (e *evaluation) growth(f figure, g Growth) Check {
	c := f.check(KindGrowth, g.Pos)
	c.Rule = "growth " + g.text(f.unit)
	if f.missing != "" || f.base == nil {
		c.Status, c.Base = NotMeasured, nil
		reason := f.noBase
		c.Blind = f.blind
		if f.missing != "" {
			reason, c.Blind = f.missing, true
		}
		c.Message = fmt.Sprintf("growth of %s was not judged: %s", f.subject, reason)
		return c
	}
	c.Actual, c.Allowed = difference(f.value, *f.base), g.allowed(*f.base)
	c.Headroom = difference(c.Allowed, c.Actual)
	before, after := apart(f.unit, *f.base, f.value)
	change := ""
	switch {
	case c.Actual == 0:
		change = fmt.Sprintf("%s is unchanged at %s", f.subject, after)
	case c.Actual < 0:
		change = fmt.Sprintf("%s shrank by %s (%s → %s)", f.subject, amount(f.unit, difference(0, c.Actual)), before, after)
	default:
		change = fmt.Sprintf("%s grew by %s (%s → %s)", f.subject, amount(f.unit, c.Actual), before, after)
	}
	if c.Headroom >= 0 {
		c.Message = change + fmt.Sprintf(", within %s", c.Rule)
		if c.Actual > 0 {
			c.Message += fmt.Sprintf(" (%s left)", amount(f.unit, c.Headroom))
		}
		return c
	}
	c.Status = Fail
	if g.Warn {
		c.Status = Warn
	}
	grew, allowed := apart(f.unit, c.Actual, c.Allowed)
	if grew != amount(f.unit, c.Actual) {
		change = strings.Replace(change, "by "+amount(f.unit, c.Actual), "by "+grew, 1)
	}
	c.Message = fmt.Sprintf("%s, %s more than the %s that %s allows; %s", change, amount(f.unit, difference(c.Actual, c.Allowed)), allowed, c.Rule, e.advice(c))
	return c
}

func (e *evaluation) advice(c Check) string {
	if c.Pos.Line == 0 {
		return "to set another limit, write a budget file (`image-budget init`)"
	}
	verb := "raise"
	if c.Kind == KindForbid {
		verb = "remove"
	}
	return fmt.Sprintf("bring it back, or %s images.%s.%s (%s:%d)", verb, e.img.ID, c.Limit, c.Pos.File, c.Pos.Line)
}

func (e *evaluation) packages() {
	for _, p := range e.img.Packages {
		c := Check{
			Limit: "packages." + p.Pattern, Subject: p.Pattern, Rule: "forbidden", Kind: KindForbid, Scope: ScopePackage,
			Unit: UnitCount, Status: Pass, Pos: p.Pos,
		}
		if e.in.Head.Packages == nil {
			c.Status, c.Blind = NotMeasured, true
			c.Message = fmt.Sprintf("%s was not looked for: this version does not list the packages of an image yet, so the limit is not judged", p.Pattern)
			e.checks = append(e.checks, c)
			continue
		}
		for _, pkg := range e.in.Head.Packages {
			if !matchPackage(p.Pattern, pkg.Ecosystem+":"+pkg.Name) {
				continue
			}
			c.Actual++
			if len(c.Examples) < maxExamples {
				c.Examples = append(c.Examples, strings.TrimSpace(pkg.Ecosystem+":"+pkg.Name+" "+pkg.Version))
			}
		}
		e.checks = append(e.checks, e.none(c))
	}
}

// matchPackage matches names in which a slash is a character like any other.
func matchPackage(pattern, name string) bool {
	swap := strings.NewReplacer("/", "\x01")
	return doublestar.MatchUnvalidated(swap.Replace(pattern), swap.Replace(name))
}

func (e *evaluation) forbidden() {
	for _, p := range e.img.Forbid {
		c := Check{
			Limit: "forbid." + p.Text, Subject: p.Text, Rule: "forbidden", Kind: KindForbid, Scope: ScopeForbid,
			Unit: UnitCount, Status: Pass, Pos: p.Pos,
		}
		sum := pathSize(e.in.Head, p.Text)
		if sum == nil {
			c.Status, c.Blind = NotMeasured, true
			c.Message = fmt.Sprintf("%s was not looked for: no layer was read", p.Text)
			e.checks = append(e.checks, c)
			continue
		}
		c.Actual, c.Examples = int64(max(sum.Files, len(sum.Examples))), sum.Examples
		e.checks = append(e.checks, e.none(c))
	}
}

// none judges a check that allows nothing.
func (e *evaluation) none(c Check) Check {
	c.Headroom = difference(0, c.Actual)
	if c.Actual == 0 {
		c.Message = c.Subject + " is not in the image, as it should be"
		return c
	}
	c.Status = Fail
	found := ""
	if len(c.Examples) > 0 {
		found = ": " + strings.Join(c.Examples, ", ")
		if c.Actual > int64(len(c.Examples)) && c.Scope == ScopePackage {
			found += fmt.Sprintf(" and %d more", c.Actual-int64(len(c.Examples)))
		}
	}
	c.Message = fmt.Sprintf("%s is forbidden and was found%s; %s", c.Subject, found, e.advice(c))
	return c
}

// waive excuses failures and warnings that a waiver names.
func (e *evaluation) waive() {
	for i := range e.img.Waivers {
		w := e.img.Waivers[i]
		until := w.Until.Format(time.DateOnly)
		for j := range e.checks {
			c := &e.checks[j]
			if c.Limit != w.Limit {
				continue
			}
			c.Waiver = &w
			switch bad := c.Status == Fail || c.Status == Warn; {
			case bad && w.Expired(e.in.Now):
				c.Message += fmt.Sprintf("; its waiver expired on %s (%s)", until, w.Reason)
			case bad:
				c.Status = Waived
				c.Message += fmt.Sprintf("; waived until %s: %s", until, w.Reason)
			case c.Status != Pass:
			case w.Expired(e.in.Now):
				e.notes = append(e.notes, fmt.Sprintf("the waiver of %s expired on %s and is not needed; remove it (%s)", w.Limit, until, w.Pos))
			default:
				e.notes = append(e.notes, fmt.Sprintf("the waiver of %s is not needed at the moment (%s)", w.Limit, w.Pos))
			}
		}
	}
}

// allowed is the gain that the limit allows over a baseline's figure; a share
// is rounded down.
func (g Growth) allowed(base int64) int64 {
	var allowed int64
	if g.Amount != nil {
		allowed = *g.Amount
	}
	if g.Percent != nil {
		allowed = max(allowed, share(base, *g.Percent))
	}
	return allowed
}

// share is floor(base × p), at most the largest int64.
func share(base int64, p Percent) int64 {
	const whole = 100_000 // thousandths of a percent
	if base <= 0 || p <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(base), uint64(p))
	if hi >= whole {
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(hi, lo, whole)
	return int64(min(quotient, math.MaxInt64))
}

// difference is a − b, held at the ends of int64.
func difference(a, b int64) int64 {
	d := a - b
	switch {
	case a >= 0 && b < 0 && d < 0:
		return math.MaxInt64
	case a < 0 && b > 0 && d >= 0:
		return math.MinInt64
	}
	return d
}

func (g Growth) text(unit Unit) string {
	var parts []string
	if g.Percent != nil {
		parts = append(parts, g.Percent.String())
	}
	if g.Amount != nil {
		parts = append(parts, amount(unit, *g.Amount))
	}
	return strings.Join(parts, " and ")
}

func amount(unit Unit, v int64) string {
	if unit == UnitCount {
		return strconv.FormatInt(v, 10)
	}
	return footprint.Bytes(v).String()
}

func apart(unit Unit, a, b int64) (string, string) {
	if unit == UnitCount {
		return amount(unit, a), amount(unit, b)
	}
	return footprint.Apart(footprint.Bytes(a), footprint.Bytes(b))
}
