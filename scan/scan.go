// Package scan measures an image: it reads every layer once, as a stream, and
// merges what it learnt into the figures of package footprint.
//
// Reading and merging are apart. A layer becomes an [Index], whatever order
// and however many at a time layers arrive in; the indexes are then applied to
// each other, base first. So the engine's save stream, a registry and a cache
// of indexes all end in the same numbers. Nothing is unpacked to disk and no
// content is kept; memory grows with the number of names.
//
// It decides nothing: no budget, no opinion about what is too much.
package scan

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan/pkgdb"
	"github.com/org/image-budget/source"
)

// Limits bound what a hostile image can cost. Zero means the default.
type Limits struct {
	// MaxFiles bounds the entries of all layers together: 5,000,000.
	MaxFiles int
	// MaxUnpacked bounds the payload of one layer: 64 GiB.
	MaxUnpacked footprint.Bytes
}

func (l Limits) withDefaults() Limits {
	if l.MaxFiles <= 0 {
		l.MaxFiles = 5_000_000
	}
	if l.MaxUnpacked <= 0 {
		l.MaxUnpacked = 64 << 30
	}
	return l
}

// Options say how much to measure.
type Options struct {
	Limits Limits
	// Files asks for the figures that need layers to be read. Without it only
	// what the manifest says is measured, and no layer is fetched.
	Files bool
	// Estimate asks for the compressed size by [EstimateMethod] of layers
	// that no source has compressed. It costs more than everything else.
	Estimate bool
	// Blobs are the compressed sizes of layers known from elsewhere, by
	// diffID; they stand in where the source has no blob.
	Blobs map[string]footprint.Bytes
	// EstimateAll estimates layers although the source has their blobs, except
	// those in Blobs. It puts an image of a registry beside one of an engine:
	// layers that both have count the same on both sides, and what differs is
	// measured by one method.
	EstimateAll bool
	// Base is the number of layers that FROM brought, 0 if unknown, or if there
	// is no base and BaseFoundBy says how that is known: then all layers are the
	// image's own. BaseFoundBy, BaseReference and BaseDigest go into the result.
	Base                                   int
	BaseFoundBy, BaseReference, BaseDigest string
	// Cache holds the indexes of layers read before; nil is none.
	Cache *Cache
	// Workers is how many layers are read at once; 0 is one per processor.
	Workers int
	// Progress is told how many of how many stored bytes of layers have been
	// read; total is 0 if unknown. It is called from several goroutines.
	Progress func(read, total int64)
}

// Result is a measured image, and what measuring it cost.
type Result struct {
	Image *footprint.Image
	// LayersRead counts distinct layers that were read, LayersKnown those that
	// the cache described.
	LayersRead, LayersKnown int
}

// Image measures an image. Without [Options.Files] it reads no layer, unless one
// is to be estimated. An error is a layer that could not be read to its end and
// checked, one that no host could unpack, a limit that was reached, or figures
// that do not add up; there is no partial result.
func Image(ctx context.Context, img *source.Image, opt Options) (*Result, error) {
	opt.Limits = opt.Limits.withDefaults()
	res := &Result{}
	out := &footprint.Image{
		Reference: img.Reference,
		Source:    img.Source,
		Platform:  img.Platform,
	}
	res.Image = out
	var indexes []*Index
	var created []string
	opt.Estimate = opt.Estimate || opt.EstimateAll
	if opt.Files || opt.Estimate && !opt.sizesKnown(img) {
		var err error
		if indexes, created, err = readLayers(ctx, img, opt, res); err != nil {
			return nil, err
		}
	}
	// Only now: an engine names its blobs and its history in the stream.
	out.Digest, out.ConfigDigest = img.Digest, img.ConfigDigest
	if created == nil {
		created = History(img)
	}
	out.Layers = describe(img, indexes, created, opt)
	if indexes != nil {
		if err := merge(ctx, out, indexes, opt); err != nil {
			return nil, err
		}
	}
	total(out, opt)
	if err := out.Verify(); err != nil {
		return nil, err
	}
	return res, nil
}

// baseKnown tells whether it is known where the base ends.
func (opt *Options) baseKnown() bool { return opt.Base > 0 || opt.Base == 0 && opt.BaseFoundBy != "" }

// blob returns the compressed size of a layer if it is not to be estimated.
func (opt *Options) blob(l source.Layer) (footprint.Bytes, bool) {
	known, ok := opt.Blobs[l.DiffID]
	switch {
	case l.Size >= 0 && !opt.EstimateAll:
		return footprint.Bytes(l.Size), true
	case ok:
		return known, true
	}
	return 0, false
}

func (opt *Options) sizesKnown(img *source.Image) bool {
	for _, l := range img.Layers {
		if _, ok := opt.blob(l); !ok {
			return false
		}
	}
	return true
}

// readLayers returns an index for each layer, from the cache or from the
// source, and the lines that made the layers where only the cache knows them.
func readLayers(ctx context.Context, img *source.Image, opt Options, res *Result) ([]*Index, []string, error) {
	known := knownLayers(ctx, img, opt)
	var created []string
	engine := img.Source == "docker-daemon" && opt.Cache != nil
	// The stores of engines name an image by its config or by its manifest;
	// the other digest is known after the stream only.
	id := cmp.Or(img.ConfigDigest, img.Digest)
	if engine && allKnown(img, known) {
		if created = opt.Cache.loadHistory(id); len(created) != len(img.Layers) {
			// One layer wanted, and the stream tells the history.
			created = nil
			delete(known, img.Layers[len(img.Layers)-1].DiffID)
		}
	}
	out, fresh, err := readUnknown(ctx, img, opt, known)
	if err != nil {
		return nil, nil, err
	}
	res.LayersRead, res.LayersKnown = fresh, len(known)-fresh
	if engine && fresh > 0 {
		opt.Cache.storeHistory(id, History(img))
	}
	return out, created, nil
}

func allKnown(img *source.Image, known map[string]*Index) bool {
	for _, l := range img.Layers {
		if known[l.DiffID] == nil {
			return false
		}
	}
	return len(img.Layers) > 0
}

// knownLayers loads from the cache what it has, and has well enough. Its remote
// is asked for the others alone, so the cost is that of what changed.
func knownLayers(ctx context.Context, img *source.Image, opt Options) map[string]*Index {
	if opt.Cache == nil {
		return map[string]*Index{}
	}
	var missing []string
	seen := map[string]bool{}
	for _, l := range img.Layers {
		if !seen[l.DiffID] && opt.Cache.load(l.DiffID) == nil {
			missing = append(missing, l.DiffID)
		}
		seen[l.DiffID] = true
	}
	opt.Cache.loadRemote(ctx, missing, opt.Limits)
	return readyLayers(img, opt)
}

// readyLayers is what the cache has at hand, and has well enough.
func readyLayers(img *source.Image, opt Options) map[string]*Index {
	known := map[string]*Index{}
	for _, l := range img.Layers {
		if _, done := known[l.DiffID]; done {
			continue
		}
		x := opt.Cache.load(l.DiffID)
		if x != nil && x.unpacked > opt.Limits.MaxUnpacked {
			x = nil // reading it says what is wrong
		}
		_, blobKnown := opt.blob(l)
		if x != nil && (x.estimate >= 0 || !opt.Estimate || blobKnown) {
			known[l.DiffID] = x
		}
	}
	return known
}

// readUnknown reads the layers that are not known, and counts them. Those that
// another image's measuring is reading are awaited instead; what did not come
// of that is read after all.
func readUnknown(ctx context.Context, img *source.Image, opt Options, known map[string]*Index) (out []*Index, fresh int, err error) {
	if opt.Cache == nil {
		fresh, err = readWanted(ctx, img, opt, known, func(id string) bool { return known[id] == nil })
		return collect(img, known), fresh, err
	}
	for {
		var wanted []string
		for _, l := range img.Layers {
			if known[l.DiffID] == nil {
				wanted = append(wanted, l.DiffID)
			}
		}
		if len(wanted) == 0 {
			return collect(img, known), fresh, nil
		}
		n, err := readClaimed(ctx, img, opt, known, wanted)
		if err != nil {
			return nil, 0, err
		}
		fresh += n
	}
}

// readClaimed reads what nobody else does and then waits for the others.
func readClaimed(ctx context.Context, img *source.Image, opt Options, known map[string]*Index, wanted []string) (fresh int, err error) {
	mine, release, wait := opt.Cache.claim(wanted)
	if img.Source == "docker-daemon" && len(mine) == 0 {
		// An engine tells the history in the stream of the layers alone, so one
		// layer of each of its images is read whatever others know.
		last := img.Layers[len(img.Layers)-1].DiffID
		fresh, err = readWanted(ctx, img, opt, known, func(id string) bool { return id == last })
	} else {
		fresh, err = readWanted(ctx, img, opt, known, func(id string) bool { return mine[id] })
	}
	release()
	if err == nil {
		err = wait(ctx)
	}
	if err != nil {
		return 0, err
	}
	for id, x := range readyLayers(img, opt) {
		if known[id] == nil {
			known[id] = x
		}
	}
	return fresh, nil
}

func collect(img *source.Image, known map[string]*Index) []*Index {
	out := make([]*Index, len(img.Layers))
	for i, l := range img.Layers {
		out[i] = known[l.DiffID]
	}
	return out
}

// readWanted reads layers from the source, and counts them.
func readWanted(ctx context.Context, img *source.Image, opt Options, known map[string]*Index, want func(diffID string) bool) (fresh int, err error) {
	var mu sync.Mutex
	var readers []*layerReader
	read, err := source.Read(ctx, img, source.ReadOptions{
		Want:         want,
		Workers:      opt.Workers,
		VerifyDiffID: opt.Cache != nil,
		Progress:     opt.Progress,
	}, func(_ context.Context, r io.Reader) (*Index, error) {
		// A reader has large buffers, so it is used again.
		mu.Lock()
		var lr *layerReader
		if n := len(readers); n > 0 {
			lr, readers = readers[n-1], readers[:n-1]
		}
		mu.Unlock()
		if lr == nil {
			lr = &layerReader{limits: opt.Limits, estimate: opt.Estimate, buf: make([]byte, 256<<10), packages: pkgdb.NewCollector()}
		}
		defer func() {
			mu.Lock()
			readers = append(readers, lr)
			mu.Unlock()
		}()
		return lr.read(r)
	})
	if err != nil {
		return 0, err
	}
	for i, l := range img.Layers {
		if !want(l.DiffID) || known[l.DiffID] != nil {
			continue
		}
		if read[i] == nil {
			return 0, fmt.Errorf("internal error: layer %d was not read", i)
		}
		known[l.DiffID] = read[i]
		fresh++
		if opt.Cache != nil {
			opt.Cache.store(l.DiffID, read[i])
		}
	}
	return fresh, nil
}

// describe lists the layers with what the manifest, the history and the
// indexes say of each.
func describe(img *source.Image, indexes []*Index, created []string, opt Options) []footprint.Layer {
	out := make([]footprint.Layer, len(img.Layers))
	for i, l := range img.Layers {
		out[i] = footprint.Layer{
			Index: i, Digest: l.Digest, DiffID: l.DiffID, CreatedBy: created[i], InBase: i < opt.Base,
		}
		lay := &out[i]
		blob, known := opt.blob(l)
		switch {
		case known:
			lay.Compressed, lay.Has = blob, footprint.HasCompressed
		case indexes != nil && indexes[i].estimate >= 0:
			lay.Compressed, lay.Has = indexes[i].estimate, footprint.HasCompressed
			lay.CompressedEstimated = true
		}
		if indexes != nil {
			lay.Unpacked, lay.Files = indexes[i].unpacked, indexes[i].files
			lay.Has |= footprint.HasFiles
		}
	}
	return out
}

// History gives the line that made each layer of an image, as its config has it;
// "" where it has none. An engine tells its own with the layers only.
func History(img *source.Image) []string {
	out := make([]string, len(img.Layers))
	if img.Config == nil {
		return out
	}
	i := 0
	for _, h := range img.Config.History {
		if h.EmptyLayer {
			continue
		}
		if i == len(out) {
			// More lines than layers: they cannot be told apart, so none of
			// them may be believed.
			return make([]string, len(img.Layers))
		}
		out[i] = h.CreatedBy
		i++
	}
	return out
}
