package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
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

// causeWhat says what grew, without its bytes and its place.
func causeWhat(c footprint.Cause, q quote) string {
	name := q(c.Path)
	if c.Label != "" {
		name = c.Label + " " + name
	}
	switch {
	case c.Path == "" && c.Change == footprint.Added:
		return "a new layer"
	case c.Path == "":
		return "a layer that grew"
	case c.Fate == footprint.Rewritten:
		return "waste: " + name + " shipped again, unchanged"
	case c.Fate != "":
		return "waste: " + name + " " + fateWords(c.Fate) + " but still shipped"
	case c.Change == footprint.Added:
		return name + ", new"
	}
	return name
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
	case budget.KindGrowth:
		return fmt.Sprintf("%s grew by %s%s, %s allowed", name, actual, unitWords(c, q), allowed)
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
	return a.String(), round(b)
}

// unitWords says what a figure of a check counts, with a space before it.
func unitWords(c budget.Check, q quote) string {
	words := " " + string(c.Metric)
	switch c.Metric {
	case footprint.Final:
		words = " in the final filesystem"
	case footprint.Update:
		words = " to pull for an update"
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
	// "" if it has to go; pos is the place in the budget file.
	verb, key, to string
	pos           budget.Pos
}

// acceptances lists the changes for everything that fails or warns. Without a
// budget file there is nothing to change.
func (img *Image) acceptances(q quote) []acceptance {
	var out []acceptance
	for _, status := range []budget.Status{budget.Fail, budget.Warn} {
		for _, c := range img.Verdict.Checks {
			if c.Status != status || c.Pos.Line == 0 {
				continue
			}
			a := acceptance{verb: "raise", key: q("images." + legible(img.title()) + "." + legible(c.Limit)), pos: c.Pos}
			switch {
			case c.Kind == budget.KindForbid:
				a.verb = "remove"
			case c.Unit == budget.UnitCount:
				a.to = "to " + strconv.FormatInt(c.Actual, 10)
			default:
				a.to = "to " + enough(footprint.Bytes(c.Actual))
			}
			out = append(out, a)
		}
	}
	return out
}

// enough prints a size rounded up, so that a limit of it would not fail again.
func enough(b footprint.Bytes) string {
	switch {
	case b >= 1e9:
		// A tenth of a gigabyte would give away too much.
		return fmt.Sprintf("%d MB", (b+1e6-1)/1e6)
	case b >= 1e6:
		return round((b + 1e5 - 1) / 1e5 * 1e5)
	case b >= 1e3:
		return round((b + 1e2 - 1) / 1e2 * 1e2)
	}
	return b.String()
}

// baselineWords says in a sentence what an image was compared with.
func baselineWords(b Baseline, q quote) string {
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
			words += fmt.Sprintf(", %s before the one to compare with", plural(b.Distance, "commit"))
		}
		return words
	case string(budget.BaselineNotComparable):
		return sentence("the baseline does not compare", q(b.Reason))
	}
	switch {
	case b.From == "none":
		return "compared with nothing: the baseline is switched off"
	case b.Reason != "":
		return sentence("no baseline yet", q(b.Reason))
	}
	return "no baseline yet: save one with " + q("image-budget baseline save") + "; limits on growth apply from then on"
}

// sentence joins a statement and its reason, which may be empty.
func sentence(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// method says how compressed bytes were found out.
func method(m footprint.Metrics) string {
	switch {
	case m.Has&footprint.HasCompressed == 0:
		return "compressed bytes were not measured"
	case m.CompressedEstimated:
		return "compressed bytes are estimated (≈), because the source holds no compressed layers"
	}
	return "compressed bytes are read from the manifest"
}

// readWords says what measuring cost.
func readWords(r *Report) string {
	all := r.LayersRead + r.LayersKnown
	switch {
	case r.LayersRead == 0 && r.LayersKnown == 0:
		return "read no layer"
	case r.LayersRead == 0:
		return fmt.Sprintf("read no layer: all %d were known", r.LayersKnown)
	case r.LayersKnown == 0:
		return fmt.Sprintf("read %s of layers, all %d of them", r.BlobBytesRead, all)
	}
	return fmt.Sprintf("read %s of layers, %d of %d known", r.BlobBytesRead, r.LayersKnown, all)
}

// subject names an image as it was asked for, with the digest that was found.
func subject(img *footprint.Image, q quote) string {
	words := q(reference(img))
	if img.Digest != "" {
		words += " " + q(short(img.Digest))
	}
	return words
}

// shrinkage is something that became smaller: a path, or the waste as a whole.
type shrinkage struct {
	bytes footprint.Bytes
	path  *footprint.PathChange
}

func (c shrinkage) what(q quote) string {
	if c.path == nil {
		return "less waste"
	}
	return pathName(*c.path, q)
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
	for i, p := range d.Paths {
		if p.Bytes < 0 {
			out = append(out, shrinkage{p.Bytes, &d.Paths[i]})
		}
	}
	slices.SortStableFunc(out, func(a, b shrinkage) int { return cmp.Compare(a.bytes, b.bytes) })
	return out[:min(len(out), maxCauses)]
}

// pathName marks directories with a slash at the end.
func pathName(p footprint.PathChange, q quote) string {
	if p.Dir && p.Path != "/" {
		return q(legible(p.Path) + "/")
	}
	return q(p.Path)
}
