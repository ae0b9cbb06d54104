package budget

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
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
	// Release is the image of the last release, for the limits that
	// [Image.NeedsRelease] is about; ReleaseState and ReleaseReason say of it
	// what State and Reason say of the baseline, and a reason may also say why
	// there is none. It wants to be aligned with Head as Base is.
	Release       *footprint.Image
	ReleaseState  BaselineState
	ReleaseReason string
	// ReleaseTag is what the release is called, "" if unknown.
	ReleaseTag string
	// Now decides which waivers have expired.
	Now time.Time
}

// Evaluate judges an image. Every limit gives a check.
func (img Image) Evaluate(in Input) Verdict {
	if in.Head == nil {
		in.Head = &footprint.Image{}
	}
	e := &evaluation{img: img, in: in}
	e.baseline = comparison{
		noun: "the baseline", none: "there is no baseline yet", img: in.Base, state: in.State, reason: in.Reason,
	}.settled()
	e.release = comparison{
		noun: "the last release", none: "there is no release to compare with", img: in.Release, state: in.ReleaseState, reason: in.ReleaseReason,
	}.settled()
	if e.tag = clip(in.ReleaseTag); e.tag != "" {
		e.release.noun = "the release " + e.tag
	}
	if e.release.reason != "" && e.release.state == BaselineNone {
		e.release.none += ": " + e.release.reason
	}
	e.metrics()
	e.paths()
	e.packages()
	e.forbidden()
	e.waive()
	e.advise()
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
	img               Image
	in                Input
	baseline, release comparison
	tag               string // of the release
	checks            []Check
	notes             []string
}

// comparison is an older image that growth is judged against, with what is
// said where it cannot be.
type comparison struct {
	noun, none string
	img        *footprint.Image // nil unless state is BaselineFound
	state      BaselineState
	reason     string
}

func (c comparison) settled() comparison {
	if c.state == "" {
		c.state = BaselineNone
		if c.img != nil {
			c.state = BaselineFound
		}
	}
	if c.state != BaselineFound {
		c.img = nil
	}
	return c
}

// missing says why there is nothing to compare with, "" if there is, and
// whether the user can change that.
func (c comparison) missing() (reason string, blind bool) {
	switch {
	case c.img != nil:
		return "", false
	case c.state == BaselineNotComparable:
		return c.notComparable(), true
	}
	return c.none, false
}

func (c comparison) notComparable() string {
	if c.reason == "" {
		return c.noun + " cannot be compared with this image"
	}
	return c.noun + " cannot be compared with this image: " + c.reason
}

// metrics are those of the image or of its own layers, nil where not known.
func (c comparison) metrics(scope Scope) *footprint.Metrics {
	switch {
	case c.img == nil:
		return nil
	case scope == ScopeOwn:
		return c.img.Own
	}
	return &c.img.Metrics
}

// sinceRelease ends the name of a limit on the growth since the last release.
const sinceRelease = "growth.since-release"

// past is a figure of an older image, or why there is none.
type past struct {
	value *int64
	// missing says why there is nothing to compare with; blind whether the
	// user can change that.
	missing string
	blind   bool
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

	base, release past
}

func (e *evaluation) metrics() {
	limits := e.img.Limits
	if e.img.Implied {
		limits = e.impliedLimit()
	}
	for _, l := range limits {
		f := figure{name: "limits." + string(l.Metric), subject: string(l.Metric), scope: ScopeImage, metric: l.Metric}
		e.bounds(e.measured(f, &e.in.Head.Metrics), l.Bounds)
	}
	for _, l := range e.img.Own {
		f := figure{name: "own." + string(l.Metric), subject: "own " + string(l.Metric), scope: ScopeOwn, metric: l.Metric}
		e.bounds(e.measured(f, e.in.Head.Own), l.Bounds)
	}
}

// impliedLimit picks, from the default, the first limit that both sides can
// be compared by, else the first that the image has a figure for.
func (e *evaluation) impliedLimit() []Limit {
	limits := e.img.Limits
	for i, l := range limits {
		f := e.measured(figure{metric: l.Metric}, &e.in.Head.Metrics)
		if f.missing == "" && f.base.value != nil {
			return limits[i : i+1]
		}
	}
	for i, l := range limits {
		if _, ok := e.in.Head.Metrics.Value(l.Metric); ok {
			return limits[i : i+1]
		}
	}
	return limits[:1]
}

// measured fills in the figure and those that it is compared with. The metrics
// of own layers are nil where the base is not known.
func (e *evaluation) measured(f figure, head *footprint.Metrics) figure {
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
	f.base, f.release = e.pastOf(f, e.baseline), e.pastOf(f, e.release)
	return f
}

// pastOf finds what a figure was in an older image.
func (e *evaluation) pastOf(f figure, c comparison) past {
	if reason, blind := c.missing(); reason != "" {
		return past{missing: reason, blind: blind}
	}
	old := c.metrics(f.scope)
	if old == nil {
		return past{missing: fmt.Sprintf("%s does not know its base image; store it again", c.noun), blind: true}
	}
	v, ok := old.Value(f.metric)
	switch {
	case !ok:
		return past{missing: fmt.Sprintf("%s holds no %s; store it again", c.noun, f.metric), blind: true}
	case f.metric == footprint.Compressed && f.missing == "" && !footprint.SameMethod(c.img, e.in.Head, f.scope == ScopeOwn):
		return past{missing: e.otherMethod(c, f.scope), blind: true}
	}
	return past{value: &v}
}

// otherMethod says why the compressed bytes do not compare.
func (e *evaluation) otherMethod(c comparison, scope Scope) string {
	now, then := method(e.in.Head, scope), method(c.img, scope)
	if now == then {
		return fmt.Sprintf("the layers that differ from %s were not all measured by one method: compressed bytes are %s, here and in %s; %s", c.noun, now, c.noun, e.remeasure(c, scope))
	}
	return fmt.Sprintf("%s was measured by another method: its compressed bytes are %s, these are %s; %s", c.noun, then, now, e.remeasure(c, scope))
}

// remeasure says how to come by compressed bytes that compare.
func (e *evaluation) remeasure(c comparison, scope Scope) string {
	head := e.in.Head
	switch {
	case head.EstimatedBy != "" && c.img.EstimatedBy != "" && head.EstimatedBy != c.img.EstimatedBy:
		return "store it again with this version"
	case head.Source == "" || head.Source != c.img.Source || head.Source == "registry":
		return "store it from the same kind of source"
	}
	// The source is the same, but it holds the blobs of some layers only.
	words := "measure both where all blobs are, in a registry or an OCI layout"
	if scope == ScopeImage {
		words += ", or limit own.compressed, which leaves the base image out"
	}
	return words
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
	}
	if reason, _ := e.baseline.missing(); reason != "" {
		return reason
	}
	return "the compressed bytes of some layers are not known"
}

func (e *evaluation) paths() {
	for _, p := range e.img.Paths {
		f := figure{name: "paths." + p.Pattern, subject: p.Pattern, scope: ScopePath, metric: footprint.Final, unit: UnitBytes}
		if sum := pathSize(e.in.Head, p.Pattern); sum != nil {
			f.value = int64(sum.Bytes)
		} else {
			f.missing = "no layer was read"
		}
		f.base, f.release = pastPath(p.Pattern, e.baseline), pastPath(p.Pattern, e.release)
		e.bounds(f, p.Bounds)
	}
}

// pastPath finds what a pattern weighed in an older image.
func pastPath(pattern string, c comparison) past {
	if reason, blind := c.missing(); reason != "" {
		return past{missing: reason, blind: blind}
	}
	sum := pathSize(c.img, pattern)
	switch {
	case sum != nil:
		value := int64(sum.Bytes)
		return past{value: &value}
	case c.img.Metrics.Has&footprint.HasFiles == 0:
		return past{missing: fmt.Sprintf("no layer of %s was read; store it again", c.noun), blind: true}
	}
	return past{missing: c.noun + " was stored before this path was in the budget file; the next one will have it"}
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
		e.checks = append(e.checks, e.growth(f, KindGrowth, *b.Growth, f.base))
	}
	if b.SinceRelease != nil {
		e.checks = append(e.checks, e.growth(f, KindSinceRelease, *b.SinceRelease, f.release))
	}
}

func (f figure) check(kind Kind, pos Pos) Check {
	return Check{
		Limit: f.name + "." + string(kind), Subject: f.subject, Kind: kind, Metric: f.metric, Scope: f.scope,
		Unit: f.unit, Base: f.base.value, Status: Pass, Pos: pos,
	}
}

func (e *evaluation) bound(f figure, kind Kind, b Bound) Check {
	c := f.check(kind, b.Pos)
	c.Allowed = b.Value
	c.Rule = string(kind) + " " + amount(f.unit, b.Value)
	if f.missing != "" {
		c.Status = NotMeasured
		// Before the first baseline there is nothing that a host could hold.
		c.Blind = f.metric != footprint.Update || e.baseline.state != BaselineNone
		c.Message = fmt.Sprintf("%s was not measured: %s", f.subject, f.missing)
		return c
	}
	c.Actual, c.Headroom = f.value, difference(b.Value, f.value)
	actual, allowed := against(f.unit, f.value, b.Value)
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
		c.Message = fmt.Sprintf("%s is %s, %s over %s", f.subject, actual, amount(f.unit, difference(f.value, b.Value)), limit)
		c = e.nameSetuid(c, nil)
	}
	return c
}

// maxSetuid is how many setuid files a check names.
const maxSetuid = 3

// nameSetuid adds to a check that setuid files exceed which ones they are; of
// a growth, those that old did not have.
func (e *evaluation) nameSetuid(c Check, old *footprint.Image) Check {
	head := e.in.Head
	if c.Metric != footprint.Setuid || head.Surface == nil {
		return c
	}
	paths := slices.Clone(head.Surface.Setuid)
	whole := len(paths) < footprint.MaxSurface
	if c.Scope == ScopeOwn {
		if head.Files == nil || head.Base == nil {
			return c
		}
		own := map[string]bool{}
		for _, p := range paths {
			own[p] = false
		}
		for f := range head.Files {
			if _, asked := own[f.Path]; asked {
				own[f.Path] = f.Layer >= head.Base.Metrics.Layers
			}
		}
		paths = slices.DeleteFunc(paths, func(p string) bool { return !own[p] })
	}
	if c.Kind.IsGrowth() {
		if old == nil || old.Surface == nil || len(old.Surface.Setuid) >= footprint.MaxSurface {
			return c
		}
		paths = slices.DeleteFunc(paths, func(p string) bool { return slices.Contains(old.Surface.Setuid, p) })
	}
	if len(paths) == 0 {
		return c
	}
	c.Examples = paths[:min(len(paths), maxSetuid)]
	c.Message += ": " + strings.Join(c.Examples, ", ")
	if more := len(paths) - len(c.Examples); more > 0 && whole {
		c.Message += fmt.Sprintf(" and %d more", more)
	}
	return c
}

// growth judges the gain over an older image.
func (e *evaluation) growth(f figure, kind Kind, g Growth, old past) Check {
	c := f.check(kind, g.Pos)
	c.Rule = "growth " + g.text(f.unit)
	since := ""
	if kind == KindSinceRelease {
		c.Limit, c.Base, c.Release = f.name+"."+sinceRelease, old.value, e.tag
		since = " since the last release"
		c.Rule = g.text(f.unit) + since
		if e.tag != "" {
			since = " since " + e.tag
			c.Rule = g.text(f.unit) + since
		}
	}
	if f.missing != "" || old.value == nil {
		c.Status, c.Base = NotMeasured, nil
		reason := old.missing
		c.Blind = old.blind
		if f.missing != "" {
			reason, c.Blind = f.missing, true
		}
		c.Message = fmt.Sprintf("growth of %s%s was not judged: %s", f.subject, since, reason)
		return c
	}
	c.Actual, c.Allowed = difference(f.value, *old.value), g.allowed(*old.value)
	c.Headroom = difference(c.Allowed, c.Actual)
	before, after := apart(f.unit, *old.value, f.value)
	change := ""
	switch {
	case c.Actual == 0:
		change = fmt.Sprintf("%s is unchanged%s at %s", f.subject, since, after)
	case c.Actual < 0:
		change = fmt.Sprintf("%s shrank by %s%s (%s → %s)", f.subject, weighed(f.unit, difference(0, c.Actual)), since, before, after)
	default:
		change = fmt.Sprintf("%s grew by %s%s (%s → %s)", f.subject, weighed(f.unit, c.Actual), since, before, after)
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
	grew, allowed := against(f.unit, c.Actual, c.Allowed)
	if rounded := weighed(f.unit, c.Actual); grew != rounded {
		change = strings.Replace(change, "by "+rounded, "by "+grew, 1)
	}
	c.Message = fmt.Sprintf("%s, %s more than the %s that %s allows", change, amount(f.unit, difference(c.Actual, c.Allowed)), allowed, c.Rule)
	than := e.baseline.img
	if kind == KindSinceRelease {
		than = e.release.img
	}
	return e.nameSetuid(c, than)
}

// advise says what to do about everything that no waiver excuses.
func (e *evaluation) advise() {
	for i := range e.checks {
		if c := &e.checks[i]; c.Status == Fail || c.Status == Warn {
			c.Message += "; " + e.advice(*c)
		}
	}
}

func (e *evaluation) advice(c Check) string {
	if c.Pos.Line == 0 {
		return "to set another limit, write a budget file (`image-budget init`)"
	}
	return fmt.Sprintf("bring it back, or %s images.%s.%s (%s:%d)", c.Remedy(), e.img.ID, c.Limit, c.Pos.File, c.Pos.Line)
}

// Remedy is what to do with the limit in the budget file to accept what exceeds
// it: "raise", "waive", "renew the waiver of" or "remove". A limit on growth is
// not raised, because what it compares with moves on: what is raised for one
// change stays open for every later one.
func (c Check) Remedy() string {
	switch {
	case c.Kind == KindForbid:
		return "remove"
	case !c.Kind.IsGrowth():
		return "raise"
	case c.Waiver != nil:
		return "renew the waiver of"
	}
	return "waive"
}

func (e *evaluation) packages() {
	for _, p := range e.img.Packages {
		c := Check{
			Limit: "packages." + p.Pattern, Subject: p.Pattern, Rule: "forbidden", Kind: KindForbid, Scope: ScopePackage,
			Unit: UnitCount, Status: Pass, Pos: p.Pos,
		}
		if e.in.Head.Packages == nil {
			c.Status, c.Blind = NotMeasured, true
			c.Message = fmt.Sprintf("%s was not looked for: no layer was read", p.Pattern)
			e.checks = append(e.checks, c)
			continue
		}
		var found []footprint.Package
		var sum footprint.Bytes
		pattern := canonical(p.Pattern)
		for _, pkg := range e.in.Head.Packages {
			if matchPackage(pattern, pkg.Ecosystem+":"+pkg.Name) {
				found, sum = append(found, pkg), sum+pkg.Bytes
			}
		}
		if why := unread(pattern, e.in.Head.Skipped); why != "" && len(found) == 0 {
			c.Status, c.Blind = NotMeasured, true
			c.Message = fmt.Sprintf("%s was not found, but may be there: %s", p.Pattern, why)
			e.checks = append(e.checks, c)
			continue
		}
		slices.SortStableFunc(found, func(a, b footprint.Package) int { return cmp.Compare(b.Bytes, a.Bytes) })
		c.Actual = int64(len(found))
		for _, pkg := range found[:min(len(found), maxExamples)] {
			c.Examples = append(c.Examples, packageWords(pkg))
		}
		c = e.none(c)
		if len(found) > 1 {
			c.Message += ", together " + sum.String()
		}
		e.checks = append(e.checks, c)
	}
}

// unread says which file of an ecosystem that the pattern is of could not be
// looked into, "" if all could.
func unread(pattern string, skipped []footprint.Skipped) string {
	ecosystem, _, _ := strings.Cut(pattern, ":")
	for _, s := range skipped {
		if s.Ecosystem == "*" || s.Ecosystem != "" && matchPackage(ecosystem, s.Ecosystem) {
			return fmt.Sprintf("could not look into %s (%s)", s.Path, clip(s.Why))
		}
	}
	if len(skipped) >= footprint.MaxSkipped { // the list is cut
		return fmt.Sprintf("could not look into %d files or more", len(skipped))
	}
	return ""
}

// packageWords names a package with what it weighs and who asked for it.
func packageWords(p footprint.Package) string {
	name := clip(p.Ecosystem + ":" + p.Name)
	if p.Version != "" {
		name += " " + clip(p.Version)
	}
	name += " (" + p.Bytes.String()
	if p.Through != "" {
		name += ", through " + clip(p.Through)
	}
	return name + ")"
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
	c.Message = fmt.Sprintf("%s is forbidden and was found%s", c.Subject, found)
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

// amount prints what a limit allows, and what is left of it, the way a person
// would write it: "120 MB".
func amount(unit Unit, v int64) string {
	if unit == UnitCount {
		return strconv.FormatInt(v, 10)
	}
	return footprint.Bytes(v).Short()
}

// weighed prints what was measured: "120.0 MB".
func weighed(unit Unit, v int64) string {
	if unit == UnitCount {
		return strconv.FormatInt(v, 10)
	}
	return footprint.Bytes(v).String()
}

// against prints a figure and what is allowed, so that they read differently if
// they are different.
func against(unit Unit, v, allowed int64) (string, string) {
	if a, b := weighed(unit, v), weighed(unit, allowed); v == allowed || a != b {
		return a, amount(unit, allowed)
	}
	return apart(unit, v, allowed)
}

func apart(unit Unit, a, b int64) (string, string) {
	if unit == UnitCount {
		return amount(unit, a), amount(unit, b)
	}
	return footprint.Apart(footprint.Bytes(a), footprint.Bytes(b))
}
