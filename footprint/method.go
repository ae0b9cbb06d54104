package footprint

import "slices"

// Align gives layers that both images have one size: where the blob of one was
// read and the other's size is an estimate, both take what was read. The sums
// of the images, their bases and own layers follow, and so do the marks of an
// estimate: the same image, pushed or not, comes out the same. It changes both
// images, but nothing that a copy of them shares. Call it before [SetUpdate],
// [Compare] and before a budget is judged.
func Align(old, new *Image) {
	ofOld, ofNew := readSizes(old.Layers), readSizes(new.Layers)
	takeRead(old, ofNew)
	takeRead(new, ofOld)
}

// readSizes are the compressed sizes that were read, by diffID.
func readSizes(layers []Layer) map[string]Bytes {
	sizes := map[string]Bytes{}
	for _, l := range layers {
		if _, twice := sizes[l.DiffID]; !twice && l.DiffID != "" && l.Has&HasCompressed != 0 && !l.CompressedEstimated {
			sizes[l.DiffID] = l.Compressed
		}
	}
	return sizes
}

// takeRead puts sizes that were read in the place of estimates.
func takeRead(img *Image, read map[string]Bytes) {
	layers := slices.Clone(img.Layers)
	changed := false
	for i := range layers {
		l := &layers[i]
		size, ok := read[l.DiffID]
		if ok && l.Has&HasCompressed != 0 && l.CompressedEstimated {
			l.Compressed, l.CompressedEstimated, changed = size, false, true
		}
	}
	if !changed {
		return
	}
	img.Layers = layers
	img.Metrics.sumCompressed(layers)
	if !img.Metrics.CompressedEstimated {
		img.EstimatedBy = ""
	}
	if img.Base == nil || img.Own == nil {
		return
	}
	base, own := *img.Base, *img.Own
	n := len(layers) - len(ownLayers(img))
	base.Metrics.sumCompressed(layers[:n])
	own.sumCompressed(layers[n:])
	img.Base, img.Own = &base, &own
}

// sumCompressed adds the compressed sizes of the layers up, if all are known.
func (m *Metrics) sumCompressed(layers []Layer) {
	if m.Has&HasCompressed == 0 {
		return
	}
	m.Compressed, m.CompressedEstimated = 0, false
	for _, l := range layers {
		m.Compressed += l.Compressed
		m.CompressedEstimated = m.CompressedEstimated || l.CompressedEstimated
	}
}

// ownLayers are those above the base, none where that is not known.
func ownLayers(img *Image) []Layer {
	if img.Own == nil {
		return nil
	}
	return img.Layers[max(0, len(img.Layers)-img.Own.Layers):]
}

// SameMethod tells whether the compressed sizes of two images, or of their own
// layers, can be taken from each other. A layer of one size in both makes no
// difference, however it was measured; all the others, of both images, must
// have been read, or all been estimated by the same method. It is enough if that
// holds below and above the boundary to the base: what FROM brought was pushed,
// and what a build put on it was not. It is false where
// one of the two was not measured, and where an image does not list the layers
// that it counts. [Align] first makes it true for more images.
func SameMethod(old, new *Image, own bool) bool {
	a, ok := compressedLayers(old, own)
	b, alsoOK := compressedLayers(new, own)
	if !ok || !alsoOK {
		return false
	}
	if oneMethod(a, b, old.EstimatedBy, new.EstimatedBy) {
		return true
	}
	if own || changedBase(old, new) == nil {
		return false
	}
	n, m := baseLayers(old), baseLayers(new)
	return oneMethod(a[:n], b[:m], old.EstimatedBy, new.EstimatedBy) && oneMethod(a[n:], b[m:], old.EstimatedBy, new.EstimatedBy)
}

// oneMethod tells whether the layers that differ were all measured alike.
func oneMethod(a, b []Layer, aBy, bBy string) bool {
	type content struct {
		diffID string
		size   Bytes
	}
	balance := map[content]int{}
	for _, l := range a {
		balance[content{l.DiffID, l.Compressed}]++
	}
	for _, l := range b {
		balance[content{l.DiffID, l.Compressed}]--
	}
	type method struct {
		estimated bool
		by        string
	}
	methods := map[method]bool{}
	for _, side := range []struct {
		layers []Layer
		by     string
	}{{a, aBy}, {b, bBy}} {
		for _, l := range side.layers {
			// A layer without a diffID may be any other one.
			if l.DiffID != "" && balance[content{l.DiffID, l.Compressed}] == 0 {
				continue
			}
			m := method{estimated: l.CompressedEstimated}
			if m.estimated {
				m.by = side.by
			}
			methods[m] = true
		}
	}
	return len(methods) <= 1
}

// compressedLayers are the layers behind a compressed figure, and whether it
// was measured and all of them are there.
func compressedLayers(img *Image, own bool) ([]Layer, bool) {
	m, layers := &img.Metrics, img.Layers
	if own {
		m, layers = img.Own, ownLayers(img)
	}
	if m == nil || m.Has&HasCompressed == 0 || m.Layers != len(layers) {
		return nil, false
	}
	return layers, !slices.ContainsFunc(layers, func(l Layer) bool { return l.Has&HasCompressed == 0 })
}
