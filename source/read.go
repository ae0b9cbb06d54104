package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
)

// ReadOptions says which layers Read passes on, and how.
type ReadOptions struct {
	// Want chooses layers by diffID; nil wants all. A layer that is not
	// wanted is not fetched. In an engine's save stream it is passed over
	// where its name tells which layer it is, and visited, the result
	// dropped, where only its content does. When none is wanted the stream
	// is not opened.
	Want func(diffID string) bool
	// Workers is how many layers are read at once; 0 is GOMAXPROCS, and at
	// least 2. A stream has one layer at a time.
	Workers int
	// VerifyDiffID also checks the unpacked bytes against the diffID where
	// the stored bytes are checked against a digest already.
	VerifyDiffID bool
	// Progress is told the stored bytes read so far and the total, which is 0
	// where it is not known. It is called from several goroutines.
	Progress func(read, total int64)
}

// blob is one layer as a source that holds layers apart stores it.
type blob struct {
	name   string // of the file, in a layout or archive
	key    string // the same for layers that are one blob: its digest, or the file behind all links
	open   func(context.Context) (io.ReadCloser, error)
	size   int64  // stored bytes; -1 unknown
	digest string // of the stored bytes; "" unknown
	retry  bool   // whether a transfer may break and be started again
}

// visitor is what Read's visit is to code that does not know its type: it
// returns how to keep the result once the layer's diffID is certain.
type visitor func(context.Context, io.Reader) (keep func(diffID string), err error)

// pass is one Read over an image.
type pass struct {
	img   *Image
	opt   ReadOptions
	want  map[string]int // diffID to the first layer that has it
	order []int          // layers to read, where they can be opened apart: one for each blob of each wanted diffID
	// doubtful has the diffIDs that the config gives to several blobs. They
	// are results under one name, so each blob has to prove the name.
	doubtful map[string]bool
	visit    visitor
	bufs     *buffers
	read     atomic.Int64
	total    int64
}

// Read passes each distinct wanted layer of img, by diffID, to visit as an
// unpacked tar, and returns the results by layer index: the zero T for a layer
// that is not wanted, the same result for layers with the same diffID.
//
// Layers that claim one diffID but are different blobs are all read, and each is
// checked against the diffID, whatever opt says.
//
// Visit reads as much as it needs, in its own goroutine; Read reads the rest so
// that digests are checked. Visit may be called again for a layer whose
// transfer broke, for another blob of the same diffID, and in an engine's
// stream for a layer that turns out not to be the image's; only the result of a
// layer that was read to its end and checked is returned. An image is for one
// Read at a time.
//
// An error is visit's own, wrapped; the context's, wrapped; or says that a blob is
// missing, could not be transferred, exceeds a limit, cannot be unpacked, or is
// not what its digest or diffID says. What went wrong in one layer names it; of
// several, the lowest is reported.
func Read[T any](ctx context.Context, img *Image, opt ReadOptions, visit func(ctx context.Context, layer io.Reader) (T, error)) ([]T, error) {
	var mu sync.Mutex
	kept := make(map[string]T)
	err := img.pass(ctx, opt, func(ctx context.Context, r io.Reader) (func(string), error) {
		v, err := visit(ctx, r)
		if err != nil {
			return nil, err
		}
		return func(diffID string) {
			mu.Lock()
			defer mu.Unlock()
			kept[diffID] = v
		}, nil
	})
	if err != nil {
		return nil, err
	}
	results := make([]T, len(img.Layers))
	for i, l := range img.Layers {
		results[i] = kept[l.DiffID]
	}
	return results, nil
}

func (img *Image) pass(ctx context.Context, opt ReadOptions, visit visitor) error {
	if opt.Workers <= 0 {
		opt.Workers = max(runtime.GOMAXPROCS(0), 2)
	}
	p := &pass{img: img, opt: opt, want: map[string]int{}, doubtful: map[string]bool{}, visit: visit, bufs: &buffers{}}
	defer p.bufs.close()
	p.plan()
	if len(p.want) == 0 {
		return nil
	}
	if img.stream != nil {
		return img.stream(ctx, p)
	}
	return p.layers(ctx)
}

// plan decides which layers to read, and how many bytes that will be.
func (p *pass) plan() {
	type stored struct{ diffID, key string }
	seen := map[stored]bool{}
	known := true
	for i, l := range p.img.Layers {
		size, id := l.Size, stored{diffID: l.DiffID}
		if p.img.blobs != nil {
			size, id.key = p.img.blobs[i].size, p.img.blobs[i].key
		}
		if seen[id] || (p.opt.Want != nil && !p.opt.Want(l.DiffID)) {
			continue
		}
		seen[id] = true
		if _, claimed := p.want[l.DiffID]; claimed {
			p.doubtful[l.DiffID] = true
		} else {
			p.want[l.DiffID] = i
		}
		p.order = append(p.order, i)
		known = known && size >= 0
		p.total += size
	}
	if !known {
		p.total = 0
	}
}

// layers reads the wanted layers, the largest first, so that the last one to
// end is a small one.
func (p *pass) layers(ctx context.Context) error {
	order := p.order
	sort.Slice(order, func(a, b int) bool {
		x, y := p.img.blobs[order[a]].size, p.img.blobs[order[b]].size
		return x > y || (x == y && order[a] < order[b])
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		next atomic.Int64
		wg   sync.WaitGroup
		errs = make([]error, len(p.img.Layers))
	)
	for range min(p.opt.Workers, len(order)) {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(order) || ctx.Err() != nil {
					return
				}
				if err := p.layer(ctx, order[n]); err != nil {
					errs[order[n]] = err
					cancel()
				}
			}
		})
	}
	wg.Wait()
	return firstCause(ctx, errs)
}

// firstCause returns the error of the lowest layer that is not just the echo of
// another layer's.
func firstCause(ctx context.Context, errs []error) error {
	var echo error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled):
			if echo == nil {
				echo = err
			}
		default:
			return err
		}
	}
	if echo == nil {
		return ctx.Err()
	}
	return echo
}

// layer reads one layer, again when its transfer breaks.
func (p *pass) layer(ctx context.Context, i int) error {
	b := p.img.blobs[i]
	tries := newBudget()
	if b.retry {
		ctx = withBudget(ctx, tries)
	}
	for {
		err := p.layerOnce(ctx, i, b)
		var broken *brokenError
		if err == nil || !b.retry || ctx.Err() != nil || !errors.As(err, &broken) {
			return err
		}
		if !tries.again(ctx, p.img.wait, 0) {
			return err
		}
	}
}

func (p *pass) layerOnce(ctx context.Context, i int, b blob) error {
	r, err := b.open(ctx)
	if err != nil {
		return fmt.Errorf("reading layer %d: %w", i, err)
	}
	defer r.Close()
	l := p.img.Layers[i]
	u := &unpacking{pass: p, size: b.size, digest: b.digest, diffID: l.DiffID}
	u.hashUnpacked = b.digest == "" || p.opt.VerifyDiffID || p.doubtful[l.DiffID]
	keep, err := u.run(ctx, r)
	if err != nil {
		return fmt.Errorf("reading layer %d: %w", i, err)
	}
	if p.want[l.DiffID] == i {
		keep(l.DiffID)
	}
	return nil
}

// count notes n more stored bytes of layers.
func (p *pass) count(n int) {
	p.img.read.Add(int64(n))
	read := p.read.Add(int64(n))
	if p.opt.Progress != nil && n > 0 {
		p.opt.Progress(read, p.total)
	}
}
