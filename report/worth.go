package report

import (
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// A change below either of these is noise: time stamps inside a layer move its
// compressed size by some kilobytes although nothing changed.
const (
	noiseBytes   = 10_000
	noiseDivisor = 1_000 // 0.1 %
)

// Worth tells whether a report says anything that a reviewer would miss:
// a status that is not pass, an image that could not be measured, a baseline that
// does not compare, a waived check, a changed number of layers, a setuid file, shell,
// package manager or compiler that was not there before, or a compressed, unpacked or
// wasted size that changed by more than 10 kB and by more than 0.1 %
// of the image. A comment that would say less need not be created. A missing
// baseline alone is not worth one: it would be said on every pull request until
// somebody saves the first.
func Worth(r *Report) bool {
	if r.overall() != budget.Pass {
		return true
	}
	for i := range r.Images {
		if r.Images[i].worth() {
			return true
		}
	}
	return false
}

func (img *Image) worth() bool {
	if s := img.Verdict.Status; s != budget.Pass && s != "" {
		return true
	}
	if img.Baseline.Status == string(budget.BaselineNotComparable) {
		return true
	}
	for _, c := range img.Verdict.Checks {
		if c.Status == budget.Waived {
			return true
		}
	}
	return img.changed() || img.moreSurface()
}

// changed tells whether an image differs from its baseline by more than noise.
func (img *Image) changed() bool {
	for _, metric := range []footprint.Metric{footprint.Compressed, footprint.Unpacked, footprint.Wasted, footprint.LayerCount} {
		now, was, ok := img.compare(false, metric)
		if !ok {
			continue
		}
		change := now - was
		if change < 0 {
			change = -change
		}
		if metric.IsCount() && change > 0 {
			return true
		}
		whole := was
		if metric == footprint.Wasted {
			// Waste is often nothing at all: it is weighed against the image.
			whole = int64(img.Base.Metrics.Unpacked)
		}
		if !metric.IsCount() && change > noiseBytes && change > whole/noiseDivisor {
			return true
		}
	}
	return false
}

// causes are those of what grew that are worth a line. A layer that was compressed
// again is some bytes larger and explains nothing. Where many small ones add up,
// or an image is not within its budget, even they do.
func (img *Image) causes() []footprint.Cause {
	if img.Delta == nil {
		return nil
	}
	var heavy, light []footprint.Cause
	var sum footprint.Bytes
	for _, c := range img.Delta.Causes {
		switch {
		case c.Bytes > noiseBytes || c.Base:
			heavy = append(heavy, c)
		case c.Path != "" || c.Change != footprint.Same:
			light = append(light, c)
			sum += c.Bytes
		}
	}
	if status := img.Verdict.Status; len(heavy) == 0 && (sum > noiseBytes || status == budget.Fail || status == budget.Warn) {
		return light
	}
	return heavy
}
