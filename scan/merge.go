package scan

import (
	"context"
	"fmt"
	"math"

	"github.com/org/image-budget/footprint"
)

// merge applies the layers to each other and fills in what the final
// filesystem shows.
func merge(ctx context.Context, out *footprint.Image, indexes []*Index, opt Options) error {
	if len(indexes) > math.MaxUint16 {
		return fmt.Errorf("the image has %d layers; no engine runs more than a few hundred", len(indexes))
	}
	entries, files := 0, 0
	for _, x := range indexes {
		entries += x.entries
		files += x.files
	}
	if entries > opt.Limits.MaxFiles {
		return tooManyFiles(opt.Limits.MaxFiles)
	}
	t := newTree(opt.Limits.MaxFiles, entries, files)
	for i, x := range indexes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.apply(uint16(i), x); err != nil {
			return fmt.Errorf("merging layer %d: %w", i, err)
		}
	}
	sums := t.sums(len(indexes))
	for i, s := range sums {
		lay := &out.Layers[i]
		lay.Wasted = s.wasted
		if s.final+s.wasted != lay.Unpacked {
			return fmt.Errorf("internal error: layer %d holds %d bytes, of which %d are visible and %d are not", i, lay.Unpacked, s.final, s.wasted)
		}
		out.Metrics.Final += s.final
		out.Metrics.Files += s.files
		out.Metrics.Executables += s.executables
		out.Metrics.Setuid += s.setuid
	}
	out.Dead, out.DeadFiles = t.dead()
	t.inventory(out, opt.Base, opt.baseKnown())
	base := 0
	if opt.baseKnown() {
		base = opt.Base
	}
	t.duplicates(out, base)
	out.Files = t.files
	t.settle()
	out.Survey(base)
	if opt.baseKnown() {
		base, own := footprint.Metrics{}, footprint.Metrics{}
		for i, s := range sums {
			part := &own
			if i < opt.Base {
				part = &base
			}
			part.Final += s.final
			part.Files += s.files
			part.Executables += s.executables
			part.Setuid += s.setuid
		}
		out.Base, out.Own = &footprint.Base{Metrics: base}, &own
	}
	return nil
}

// total adds the layers up to the metrics of the image, its base and its own.
func total(out *footprint.Image, opt Options) {
	sumLayers(&out.Metrics, out.Layers)
	if out.Metrics.CompressedEstimated {
		out.EstimatedBy = EstimateMethod
	}
	if !opt.baseKnown() || opt.Base > len(out.Layers) {
		out.Base, out.Own = nil, nil
		return
	}
	if out.Base == nil {
		out.Base, out.Own = &footprint.Base{}, &footprint.Metrics{}
	}
	out.Base.FoundBy, out.Base.Reference, out.Base.Digest = opt.BaseFoundBy, opt.BaseReference, opt.BaseDigest
	sumLayers(&out.Base.Metrics, out.Layers[:opt.Base])
	sumLayers(out.Own, out.Layers[opt.Base:])
}

// sumLayers fills in what layers add up to. A figure that one layer lacks is
// not known for their sum; of no layers, everything is known to be 0.
func sumLayers(m *footprint.Metrics, layers []footprint.Layer) {
	m.Layers = len(layers)
	m.Has = footprint.HasCompressed | footprint.HasFiles
	for _, l := range layers {
		m.Has &= l.Has
		m.Compressed += l.Compressed
		m.CompressedEstimated = m.CompressedEstimated || l.CompressedEstimated
		m.Unpacked += l.Unpacked
		m.Wasted += l.Wasted
	}
	if m.Has&footprint.HasFiles != 0 {
		m.Has |= footprint.HasModes // they are counted on the merged tree
	}
}
