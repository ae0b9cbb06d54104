package report

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// quote makes a foreign name harmless, and visibly a name, in one format.
type quote func(string) string

// fateWords says what made bytes invisible.
func fateWords(f footprint.Fate) string {
	switch f {
	case footprint.Deleted:
		return "deleted"
	case footprint.Replaced:
		return "replaced"
	case footprint.Rewritten:
		return "rewritten with the same content"
	}
	return "hidden"
}

// causeWhat says what grew, without its bytes and its place. rest are the
// directories that others in the list are taken out of.
func (img *Image) causeWhat(c footprint.Cause, q quote, rest map[string]bool) string {
	return img.causeWords(c, q, rest, func(layer int) string { return img.layerPlace(layer, "") })
}

// causeWords is causeWhat with a form of its own for the place of a layer.
func (img *Image) causeWords(c footprint.Cause, q quote, rest map[string]bool, at func(layer int) string) string {
	if c.Base {
		return "base image " + baseNames(img.Delta.Base, q)
	}
	if len(c.Packages) > 0 && c.Fate == "" {
		return img.packagesWhat(c, q)
	}
	name := q(c.Path)
	if c.Fate == "" && c.Label == "" && rest[c.Path] {
		name = "rest of " + name
	}
	if c.Label != "" {
		name = c.Label + " " + name
	}
	switch {
	case c.Path == "" && c.Change == footprint.Added:
		return "a new layer"
	case c.Path == "" && c.Change == footprint.Same:
		return "a layer of the same content, compressed differently"
	case c.Path == "":
		return "a layer that grew"
	case c.Fate == footprint.Rewritten:
		return "waste: " + name + " shipped again, unchanged"
	case c.Fate != "":
		return "waste: " + name + img.shippedBy(c, at) + " " + fateWords(c.Fate) + " but still shipped"
	}
	if c.Change == footprint.Added {
		name += ", new"
	}
	if c.CopyOf != "" {
		name += ", the same as " + q(c.CopyOf)
	}
	name += strippableWords(c)
	return name
}

// shippedBy says which layer holds what another one deleted or replaced, with a space
// before it: that is the line to change. It is "" where there are several.
func (img *Image) shippedBy(c footprint.Cause, at func(layer int) string) string {
	in := -1
	for _, d := range img.Head.Dead {
		if d.By != c.Layer || d.Fate != c.Fate || d.In == d.By || !alike(d.Under, c.Path) {
			continue
		}
		if in >= 0 && in != d.In {
			return ""
		}
		in = d.In
	}
	if place := at(in); place != "" {
		return " (of " + place + ")"
	}
	return ""
}

// causesByKind splits causes by the kind of bytes they count, so that each list
// can say which.
func causesByKind(causes []footprint.Cause) (compressed, unpacked []footprint.Cause) {
	for _, c := range causes {
		if kindOf(c.Metric) == "compressed" {
			compressed = append(compressed, c)
		} else {
			unpacked = append(unpacked, c)
		}
	}
	return compressed, unpacked
}

// over says in a sentence how a check is exceeded, with the image's name first.
func over(name string, c budget.Check, q quote) string {
	actual, allowed := apart(c)
	switch c.Kind {
	case budget.KindForbid:
		what := "a path"
		if c.Scope == budget.ScopePackage {
			what = "a package"
		}
		return fmt.Sprintf("%s holds %s that its budget forbids: %s", name, what, q(subjectOf(c)))
	case budget.KindGrowth, budget.KindSinceRelease:
		return fmt.Sprintf("%s grew by %s%s%s, %s allowed", name, actual, unitWords(c, q), sinceWords(c, q), allowed)
	}
	if c.Unit == budget.UnitCount {
		return fmt.Sprintf("%s has %s%s, %s allowed", name, actual, unitWords(c, q), allowed)
	}
	limit := "its budget"
	if c.Kind == budget.KindWarn {
		limit = "its soft limit"
	}
	return fmt.Sprintf("%s is %s over %s: %s%s, %s allowed", name, amount(c, -c.Headroom), limit, actual, unitWords(c, q), allowed)
}

// apart prints actual and allowed so that they read differently if they differ.
func apart(c budget.Check) (actual, allowed string) {
	if c.Unit == budget.UnitCount {
		return count(c.Actual), count(c.Allowed)
	}
	a, b := footprint.Bytes(c.Actual), footprint.Bytes(c.Allowed)
	if a != b && a.String() == b.String() {
		return a.Exact(), b.Exact()
	}
	return a.String(), b.Short()
}

// sinceWords says since when a check of growth counts, where that is not the
// baseline.
func sinceWords(c budget.Check, q quote) string {
	switch {
	case c.Kind != budget.KindSinceRelease:
		return ""
	case c.Release == "":
		return " since the last release"
	}
	return " since " + q(c.Release)
}

// unitWords says what a figure of a check counts, with a space before it.
func unitWords(c budget.Check, q quote) string {
	words := " " + string(c.Metric)
	switch c.Metric {
	case footprint.Final:
		words = " in the final filesystem"
	case footprint.Update:
		words = " to pull for an update"
	case footprint.Setuid:
		words = " setuid files"
	}
	switch c.Scope {
	case budget.ScopePath:
		return " unpacked in " + q(subjectOf(c))
	case budget.ScopeOwn:
		return words + ", base image not counted"
	}
	return words
}

// subjectOf is the pattern or name that a check is about.
func subjectOf(c budget.Check) string {
	if c.Subject != "" {
		return c.Subject
	}
	return c.Limit
}

// remark says why a check counts as it does where its figures do not tell.
func remark(c budget.Check, q quote) string {
	switch {
	case c.Status == budget.Waived && c.Waiver != nil:
		return fmt.Sprintf("%s is waived until %s: %s", q(c.Limit), c.Waiver.Until.UTC().Format(time.DateOnly), q(c.Waiver.Reason))
	case (c.Status == budget.Fail || c.Status == budget.Warn) && c.Waiver == nil && c.Metric == footprint.Setuid && len(c.Examples) > 0:
		return setuidWords(c, q)
	case c.Status == budget.NotMeasured && c.Blind:
		return q(c.Message)
	case (c.Status == budget.Fail || c.Status == budget.Warn) && c.Waiver != nil:
		return fmt.Sprintf("the waiver of %s expired on %s: %s", q(c.Limit), c.Waiver.Until.UTC().Format(time.DateOnly), q(c.Waiver.Reason))
	}
	return ""
}

// acceptance is a change to the budget file under which a check would pass.
type acceptance struct {
	// verb and key say what to do with which key, to the value that it needs,
	// "" if it needs none; pos is the place in the budget file.
	verb, key, to string
	need          int64
	pos           budget.Pos
	// limit is set, to its name inside the image, where a waiver is what to
	// write, and why says why it is.
	limit, why string
}

// A limit on growth is waived and not raised, because what it compares with
// moves on: what is raised for one change stays open for every later one.
const (
	movesWithBaseline = "a growth limit moves with the baseline after the merge"
	movesWithRelease  = "this limit moves with the next release"
)

// plainKey is a limit that needs no quotes in YAML.
var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,80}$`)

// waiver is an entry for the list of waivers of an image.
func waiver(limit string) string {
	return "{limit: " + limit + ", until: YYYY-MM-DD, reason: \"…\"}"
}

// waiverWords says where a waiver stands and what it looks like, "" if none is
// asked for.
func waiverWords(changes []acceptance) string {
	for _, a := range changes {
		switch {
		case a.limit == "":
		case plainKey.MatchString(a.limit):
			return a.why + "; below the image: waivers: [" + waiver(a.limit) + "]"
		default:
			return a.why
		}
	}
	return ""
}

// acceptances lists the changes for everything that fails or warns, waivers first.
// Without a budget file there is nothing to change.
func (img *Image) acceptances(q quote) []acceptance {
	var out []acceptance
	for _, status := range []budget.Status{budget.Fail, budget.Warn} {
		for _, c := range img.Verdict.Checks {
			if c.Status != status || c.Pos.Line == 0 {
				continue
			}
			a := acceptance{verb: c.Remedy(), key: q("images." + legible(img.title()) + "." + legible(c.Limit)), need: c.Actual, pos: c.Pos}
			switch {
			case c.Kind == budget.KindForbid:
			case c.Kind.IsGrowth():
				a.limit, a.why = legible(c.Limit), movesWithBaseline
				if c.Kind == budget.KindSinceRelease {
					a.why = movesWithRelease
				}
			case c.Unit == budget.UnitCount:
				a.to = "to " + strconv.FormatInt(c.Actual, 10)
			default:
				a.to = "to " + enough(footprint.Bytes(c.Actual))
			}
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b acceptance) int { return cmp.Compare(len(b.limit), len(a.limit)) })
	return out
}

// enough prints a size rounded up, so that a limit of it would not fail again.
func enough(b footprint.Bytes) string {
	switch {
	case b >= 1e9:
		// A tenth of a gigabyte would give away too much.
		return fmt.Sprintf("%d MB", (b+1e6-1)/1e6)
	case b >= 1e6:
		return ((b + 1e5 - 1) / 1e5 * 1e5).Short()
	case b >= 1e3:
		return ((b + 1e2 - 1) / 1e2 * 1e2).Short()
	}
	return b.String()
}

// baselineWords says in a sentence what an image was compared with, or why with
// nothing and what to do about it. q quotes names and say sentences.
func baselineWords(b Baseline, q, say quote) string {
	switch b.Status {
	case string(budget.BaselineFound):
		words := "compared with"
		if b.From != "" {
			words += " " + q(b.From)
		}
		if b.Commit != "" {
			if b.From != "" {
				words += ", measured at"
			}
			words += " commit " + q(short(b.Commit))
		}
		if b.Distance > 0 {
			words += fmt.Sprintf(", %s before the base commit", plural(b.Distance, "commit"))
		}
		return words
	case string(budget.BaselineNotComparable):
		return sentence("the baseline does not compare", said(b.Reason, say))
	}
	if b.From == "none" {
		return "compared with nothing: the baseline is switched off"
	}
	save := "save one with " + q("image-budget baseline save")
	words := "no baseline yet"
	if b.Reason != "" {
		words = missing(b.Reason, say)
	}
	switch {
	case strings.HasPrefix(b.From, "file:") && b.Reason != "":
		return words + "; " + save
	case strings.HasPrefix(b.From, "branch:") || strings.HasPrefix(b.From, "registry:"):
		return words + "; a push to a tracked branch saves one, and so does " + q("image-budget baseline save")
	case b.From == "" && b.Reason != "" || b.From != "" && !strings.HasPrefix(b.From, "file:"):
		return words
	}
	return words + ": " + save + "; limits on growth apply from then on"
}

// missing says why there is no baseline. The reason may say on its own that there
// is none, at its start or after what was tried.
func missing(reason string, say quote) string {
	const none = "no baseline"
	if _, why, ok := strings.Cut(reason, none+": "); ok {
		reason = why
	}
	for strings.HasPrefix(reason, none+": ") {
		reason = strings.TrimPrefix(reason, none+": ")
	}
	if strings.Contains(reason, none) || strings.HasPrefix(reason, "the baseline ") {
		return say(reason)
	}
	return sentence(none, said(reason, say))
}

// said quotes a sentence, which may be empty.
func said(s string, say quote) string {
	if s == "" {
		return ""
	}
	return say(s)
}

// sentence joins a statement and its reason, which may be empty.
func sentence(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// method says how compressed bytes were found out.
func method(img *footprint.Image) string {
	m := img.Metrics
	switch {
	case m.Has&footprint.HasCompressed == 0:
		return notCompressed(img)
	case m.CompressedEstimated && slices.ContainsFunc(img.Layers, func(l footprint.Layer) bool { return l.Has&footprint.HasCompressed != 0 && !l.CompressedEstimated }):
		return "compressed bytes are estimated (≈) where the source holds no compressed layer"
	case m.CompressedEstimated:
		return "compressed bytes are estimated (≈), because the source holds no compressed layers"
	}
	return "compressed bytes are read from the manifest"
}

// notCompressed says which layers are why the compressed bytes of an image are not
// known. Where none is known, nobody asked for them.
func notCompressed(img *footprint.Image) string {
	var without []int
	for _, l := range img.Layers {
		if l.Has&footprint.HasCompressed == 0 {
			without = append(without, l.Index)
		}
	}
	switch len(without) {
	case 0, len(img.Layers):
		return "compressed bytes were not measured"
	case 1:
		return fmt.Sprintf("compressed bytes of layer %d are not known; --estimate estimates them", without[0])
	}
	return fmt.Sprintf("compressed bytes of %s of %s are not known; --estimate estimates them", count(int64(len(without))), plural(len(img.Layers), "layer"))
}

// readWords says what measuring cost. An image may hold a layer twice, which is
// read once, and two images may share one, which the second then knows: the
// numbers are not those of the layers in the images. Where no image was measured
// and nothing was read it is "".
func readWords(r *Report) string {
	switch {
	case r.LayersRead == 0 && r.LayersKnown == 0 && (r.failed() || r.imageless()):
		return ""
	case r.LayersRead == 0 && r.LayersKnown == 0:
		return "read no layer"
	case r.LayersRead == 0:
		return "read no layer: all were known"
	case r.LayersKnown == 0:
		return fmt.Sprintf("read %s: %s", r.BlobBytesRead, plural(r.LayersRead, "distinct layer"))
	}
	return fmt.Sprintf("read %s: %s, %s more known", r.BlobBytesRead, plural(r.LayersRead, "distinct layer"), count(int64(r.LayersKnown)))
}

// subject names an image as it was asked for, with the digest that was found.
func subject(img *footprint.Image, q quote) string {
	words := q(reference(img))
	if id := identity(img, q); id != "" {
		words += " " + id
	}
	return words
}

// identity is the digest of an image. Where it has none, as in an engine that
// stores no manifest, it is the image ID, which is that of the configuration.
func identity(img *footprint.Image, q quote) string {
	switch {
	case img.Digest != "":
		return q(short(img.Digest))
	case img.ConfigDigest != "":
		return "id " + q(short(img.ConfigDigest))
	}
	return ""
}

// sameContent tells whether two images hold the same files in the same layers.
func (img *Image) sameContent() bool {
	d := img.Delta
	if img.Base == nil || d == nil || len(img.Base.Layers) != len(img.Head.Layers) || d.Unpacked != 0 || d.Final != 0 {
		return false
	}
	for i := range img.Head.Layers {
		if id := img.Head.Layers[i].DiffID; id == "" || id != img.Base.Layers[i].DiffID {
			return false
		}
	}
	return true
}

// sameWords says of images with the same content whether they are compressed alike.
func sameWords(img *Image) string {
	words := "same content: all " + plural(len(img.Head.Layers), "layer") + " are the same"
	switch n := len(img.Head.Layers); n {
	case 0:
		return "same content: no layer holds any"
	case 1:
		words = "same content: the only layer is the same"
	}
	if img.Delta.Has&footprint.HasCompressed == 0 {
		if img.Base.Metrics.Has&img.Head.Metrics.Has&footprint.HasCompressed == 0 {
			return words
		}
		return words + "; their compressed sizes do not compare"
	}
	again := false
	for i := range img.Head.Layers {
		was, now := &img.Base.Layers[i], &img.Head.Layers[i]
		again = again || was.Compressed != now.Compressed || was.Digest != "" && now.Digest != "" && was.Digest != now.Digest
	}
	if !again {
		return words
	}
	if img.Delta.Compressed == 0 {
		return words + "; only the compression differs, at the same size"
	}
	return words + "; only the compression differs, " + img.Delta.Compressed.Signed()
}

// contentWords gives the sizes of what two images have in common.
func contentWords(img *Image) string {
	words, _, _ := strings.Cut(sizeWords(img), ", "+plural(img.Head.Metrics.Layers, "layer"))
	return words
}

// shrinkage is something that became smaller: a path, the base, or the waste as
// a whole.
type shrinkage struct {
	bytes footprint.Bytes
	path  *footprint.PathChange
	base  *footprint.BaseChange
	rest  map[string]bool
}

func (c shrinkage) what(q quote) string {
	switch {
	case c.base != nil:
		return "base image " + baseNames(c.base, q)
	case c.path == nil:
		return "less waste"
	}
	return pathName(*c.path, q, c.rest)
}

// shrunk lists what became smaller, in an image that became smaller as a whole.
func (img *Image) shrunk() []shrinkage {
	d := img.Delta
	if d == nil || d.Has&footprint.HasFiles == 0 || d.Unpacked >= 0 {
		return nil
	}
	var out []shrinkage
	if d.Parts.Wasted < 0 {
		out = append(out, shrinkage{bytes: d.Parts.Wasted})
	}
	if b := img.otherBase(); b != nil && d.Parts.Base < 0 {
		out = append(out, shrinkage{bytes: d.Parts.Base, base: b})
	}
	rest := pathRemainders(d.Paths)
	for i, p := range d.Paths {
		if p.Bytes < 0 {
			out = append(out, shrinkage{bytes: p.Bytes, path: &d.Paths[i], rest: rest})
		}
	}
	slices.SortStableFunc(out, func(a, b shrinkage) int { return cmp.Compare(a.bytes, b.bytes) })
	return out[:min(len(out), maxCauses)]
}

// pathName marks directories with a slash at the end, and those of rest as what is
// left of them.
func pathName(p footprint.PathChange, q quote, rest map[string]bool) string {
	name := p.Path
	if p.Dir && p.Path != "/" {
		name = legible(p.Path) + "/"
	}
	if p.Dir && rest[p.Path] {
		return "rest of " + q(name)
	}
	return q(name)
}

// pathRemainders are the paths below which others are listed on their own.
func pathRemainders(paths []footprint.PathChange) map[string]bool {
	var names []string
	for _, p := range paths {
		names = append(names, p.Path)
	}
	return remainders(names)
}

// causeRemainders is pathRemainders for what grew. Waste is counted apart.
func causeRemainders(causes []footprint.Cause) map[string]bool {
	var names []string
	for _, c := range causes {
		if c.Path != "" && c.Fate == "" {
			names = append(names, c.Path)
		}
	}
	return remainders(names)
}

func remainders(names []string) map[string]bool {
	slices.SortFunc(names, comparePaths)
	names = slices.Compact(names)
	out := map[string]bool{}
	for i := 1; i < len(names); i++ {
		// In this order everything below a directory follows it.
		if above := names[i-1]; strings.HasPrefix(names[i], strings.TrimSuffix(above, "/")+"/") {
			out[above] = true
		}
	}
	return out
}
