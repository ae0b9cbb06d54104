package report

import (
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

// otherBase says what FROM brought instead of what it did, nil if it is the same
// or not known.
func (img *Image) otherBase() *footprint.BaseChange {
	if img.Delta == nil || img.Delta.Base == nil || img.Delta.Base.Change == footprint.Same {
		return nil
	}
	return img.Delta.Base
}

// baseNames names both bases: by their references, or by their digests where one
// name stands for two images.
func baseNames(c *footprint.BaseChange, q quote) string {
	if c == nil {
		return q("")
	}
	was, wasDigest := splitDigest(c.Old)
	now, nowDigest := splitDigest(c.New)
	switch {
	case was != now:
		return named(was, wasDigest, q) + " → " + named(now, nowDigest, q)
	case wasDigest != "" && nowDigest != "" && wasDigest != nowDigest:
		words := q(short(wasDigest)) + " → " + q(short(nowDigest))
		if now != "" {
			words = q(now) + " " + words
		}
		return words
	case now == "":
		return "(unnamed)"
	case c.Change == footprint.Same:
		return q(now)
	}
	return q(now) + ", another image of that name"
}

// broughtCause is the layer that brought a cause, nil if unknown. Another base comes
// with a line, too.
func (img *Image) broughtCause(c footprint.Cause) *footprint.Layer {
	if !c.Base {
		return img.layer(c.Layer)
	}
	if img.Delta.Base == nil || place(img.Delta.Base.New.Origin) == "" {
		return nil
	}
	now, _ := splitDigest(img.Delta.Base.New)
	return &footprint.Layer{Origin: img.Delta.Base.New.Origin, CreatedBy: strings.TrimSpace("FROM " + now)}
}

// withBase moves another base up to the last of the n causes that are listed one by
// one: it has a line of its own, however little it weighs.
func withBase(causes []footprint.Cause, n int) []footprint.Cause {
	at := slices.IndexFunc(causes, func(c footprint.Cause) bool { return c.Base })
	if at < n || n == 0 {
		return causes
	}
	out := slices.Delete(slices.Clone(causes), at, at+1)
	return slices.Insert(out, n-1, causes[at])
}

// named prints a reference, or what else is known of an image without one.
func named(reference, digest string, q quote) string {
	switch {
	case reference != "":
		return q(reference)
	case digest != "":
		return q(short(digest))
	}
	return "(unnamed)"
}

// splitDigest takes the digest off a reference: 64 digits tell a reader less than
// the name does.
func splitDigest(b *footprint.Base) (name, digest string) {
	name, digest = b.Reference, b.Digest
	if before, after, ok := strings.Cut(name, "@"); ok {
		name = before
		if digest == "" {
			digest = after
		}
	}
	return name, digest
}

// baseAside is a sentence about another base where no list of what grew or shrank
// names it; "" if one does, or if the base is the same.
func (img *Image) baseAside(q quote) string {
	c, d := img.otherBase(), img.Delta
	if c == nil || slices.ContainsFunc(img.causes(), func(c footprint.Cause) bool { return c.Base }) ||
		slices.ContainsFunc(img.shrunk(), func(c shrinkage) bool { return c.base != nil }) {
		return ""
	}
	bytes, known := c.Unpacked()
	unit := "unpacked"
	if !known {
		bytes, known = c.Compressed()
		unit, known = "compressed", known && d.Has&footprint.HasCompressed != 0
	}
	switch {
	case !known:
		return "the base image was replaced: " + baseNames(c, q)
	case bytes == 0:
		return "the base image was replaced by one of the same " + unit + " size: " + baseNames(c, q)
	}
	return "base image " + bytes.Signed() + " (" + unit + "): " + baseNames(c, q)
}

// ownChanges are the changes of layers above the base, and all where a base is not
// known. A layer that crossed the boundary comes or goes on each side of it, so
// that the rows of either add up.
func ownChanges(d *footprint.Delta) []footprint.LayerChange {
	if d.Base == nil {
		return d.Layers
	}
	var out []footprint.LayerChange
	for _, c := range d.Layers {
		oldOwn := c.Old != nil && c.Old.Index >= d.Base.Old.Metrics.Layers
		newOwn := c.New != nil && c.New.Index >= d.Base.New.Metrics.Layers
		switch {
		case oldOwn && c.New != nil && !newOwn:
			c = footprint.LayerChange{Change: footprint.Removed, Old: c.Old}
		case newOwn && c.Old != nil && !oldOwn:
			c = footprint.LayerChange{Change: footprint.Added, New: c.New}
		case !oldOwn && !newOwn:
			continue
		}
		out = append(out, c)
	}
	return out
}

// baseRow is what a table of changed layers says of the base in one row.
type baseRow struct {
	index, was, now, change string
	bytes                   footprint.Bytes
	same                    bool
}

// newBaseRow sums up the layers of the base, in the bytes that the table shows. It
// is false where no base is known, or where it holds no layer.
func newBaseRow(d *footprint.Delta, unit string) (baseRow, bool) {
	if d.Base == nil || d.Base.Old.Metrics.Layers+d.Base.New.Metrics.Layers == 0 {
		return baseRow{}, false
	}
	metric := footprint.Metric(unit)
	was, wasKnown := d.Base.Old.Metrics.Value(metric)
	now, nowKnown := d.Base.New.Metrics.Value(metric)
	row := baseRow{index: span(0, d.Base.New.Metrics.Layers-1), was: "–", now: "–", change: "–", same: d.Base.Change == footprint.Same}
	if !wasKnown || !nowKnown {
		return row, true
	}
	compressed := metric == footprint.Compressed
	row.was, row.now = pair(footprint.Bytes(was), footprint.Bytes(now), compressed && d.Base.Old.Metrics.CompressedEstimated, compressed && d.Base.New.Metrics.CompressedEstimated)
	row.bytes = footprint.Bytes(now - was)
	if was != now || !row.same {
		row.change = row.bytes.Signed()
	}
	return row, true
}

// span prints the indexes from first to last, "" for none.
func span(first, last int) string {
	switch {
	case last < first:
		return ""
	case last == first:
		return strconv.Itoa(first)
	}
	return strconv.Itoa(first) + "–" + strconv.Itoa(last)
}
