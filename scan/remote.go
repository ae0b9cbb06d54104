package scan

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/org/image-budget/footprint"
)

// Bounds of what a remote may cost. Each is far above what images need.
const (
	// remoteWorkers is how many indexes are asked for at once.
	remoteWorkers = 8
	// remoteTime is how long the indexes of one image may take.
	remoteTime = time.Minute
	// maxRemoteAsked bounds the indexes asked for in one run.
	maxRemoteAsked = 10_000
	// maxRemoteStored and maxRemoteIndex bound one index, as it comes and
	// unpacked, and maxRemoteTotal all of a run, unpacked.
	maxRemoteStored = 64 << 20
	maxRemoteIndex  = 256 << 20
	maxRemoteTotal  = 1 << 30
	// maxRemoteFailed is after how many failures a remote is asked no more, and
	// maxRemoteUseless after how many indexes that could not be used.
	maxRemoteFailed  = 3
	maxRemoteUseless = 8
)

// Remote is a place for indexes beyond this machine: that of a baseline, where
// the run that saved it left what it had learnt.
type Remote interface {
	// LoadLayer returns the stored index of a layer, as [Cache.Export] gives
	// it.
	LoadLayer(ctx context.Context, diffID string) ([]byte, error)
}

// remote is the last tier of a cache.
type remote struct {
	from    Remote
	missing error // what LoadLayer's error wraps where there is no index

	decoding sync.Mutex // one at a time: each may need much memory

	mu      sync.Mutex
	asked   map[string]chan struct{} // by diffID; closed when the answer is there
	total   uint64                   // unpacked bytes of what was taken
	failed  int
	useless int
	first   error // the first failure
	stopped bool
}

// UseRemote makes r the place to look for indexes that neither the memory nor
// the directory has. That one is not there is an error that wraps missing.
//
// An index cannot be checked against its layer without reading the layer, which
// it is there to spare. That it was made for the layer's diffID, is whole and
// makes sense is checked; whether it is true is not. So r is trusted as the
// figures of the baseline itself are that lie beside it: whoever can write the
// one can write the other. What comes from it stays in memory, and the directory
// holds only what was read from layers by this machine.
//
// No failure of r is one of the run: the layer is read instead, and
// [Cache.Notes] tells. After a few failures r is asked no more.
func (c *Cache) UseRemote(r Remote, missing error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remote = &remote{from: r, missing: missing, asked: map[string]chan struct{}{}}
}

// Export returns the stored form of what is known of layers, by diffID, to be
// put where [Remote.LoadLayer] finds it. It leaves out layers of which nothing is
// known.
func (c *Cache) Export(diffIDs []string) map[string][]byte {
	out := map[string][]byte{}
	for _, diffID := range diffIDs {
		x := c.load(diffID)
		if x == nil || out[diffID] != nil {
			continue
		}
		// What cannot be stored is read again by whoever wants it.
		if data, err := x.marshal(diffID); err == nil {
			out[diffID] = data
		}
	}
	return out
}

// LearnHistory takes over what made the layers of an image, such as a baseline.
// An engine that has the very same image then need not be asked for its stream,
// which alone tells that. Like what comes from a [Remote] it stays in memory.
func (c *Cache) LearnHistory(img *footprint.Image) {
	lines := make([]string, len(img.Layers))
	for i, l := range img.Layers {
		lines[i] = l.CreatedBy
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range []string{img.ConfigDigest, img.Digest} {
		if _, known := c.history[id]; !known && id != "" {
			c.history[id] = lines
		}
	}
}

// Notes says what was wrong with the remote, for the report.
func (c *Cache) Notes() []string {
	c.mu.Lock()
	r := c.remote
	c.mu.Unlock()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var notes []string
	if r.first != nil {
		notes = append(notes, fmt.Sprintf("what the baseline's store knows of layers could not be read, so layers were read instead: %v", r.first))
	}
	if r.useless > 0 {
		notes = append(notes, fmt.Sprintf("%d layer indexes in the baseline's store are damaged, too large or another version's, so the layers were read instead; the next baseline that is saved has them anew", r.useless))
	}
	return notes
}

// loadRemote asks the remote for indexes and keeps those that can be used.
func (c *Cache) loadRemote(ctx context.Context, diffIDs []string, limits Limits) {
	c.mu.Lock()
	r := c.remote
	c.mu.Unlock()
	if r == nil || len(diffIDs) == 0 {
		return
	}
	inTime, cancel := context.WithTimeout(ctx, remoteTime)
	defer cancel()
	// What all of them may hold is what the image may hold.
	left := &entriesLeft{n: limits.MaxFiles}
	next := make(chan string)
	var wg sync.WaitGroup
	for range min(remoteWorkers, len(diffIDs)) {
		wg.Go(func() {
			for diffID := range next {
				mine, answered := r.ask(inTime, diffID)
				if mine {
					if x := r.load(inTime, diffID, limits, left); x != nil {
						c.keep(diffID, x)
					}
					close(answered)
				} else if answered != nil {
					// Another image that is measured now has asked.
					select {
					case <-answered:
					case <-inTime.Done():
					}
				}
			}
		})
	}
	for _, diffID := range diffIDs {
		next <- diffID
	}
	close(next)
	wg.Wait()
	if inTime.Err() != nil && ctx.Err() == nil {
		r.mu.Lock()
		r.stopped = true
		r.mu.Unlock()
	}
}

// keep holds an index in memory, unless the layer was read meanwhile.
func (c *Cache) keep(diffID string, x *Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.indexes[diffID] == nil {
		c.indexes[diffID] = x
	}
}

// entriesLeft counts down what the indexes of one image may still hold.
type entriesLeft struct {
	mu sync.Mutex
	n  int
}

// load returns the index of a layer, nil for one that is not there or of no use.
func (r *remote) load(ctx context.Context, diffID string, limits Limits, left *entriesLeft) *Index {
	data, err := r.from.LoadLayer(ctx, diffID)
	if errors.Is(err, r.missing) {
		return nil
	}
	if err != nil {
		r.fail(ctx, err)
		return nil
	}
	x, err := r.decode(ctx, diffID, data, limits, left)
	switch {
	case ctx.Err() != nil:
		r.fail(ctx, ctx.Err())
		return nil
	case err != nil:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.useless++
		return nil
	}
	return x
}

// ask tells whether the caller is to ask for a layer, and closes answered then;
// otherwise answered is closed by whoever has asked, and nil if nobody does.
func (r *remote) ask(ctx context.Context, diffID string) (mine bool, answered chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked := r.asked[diffID]; asked != nil {
		return false, asked
	}
	if ctx.Err() != nil || r.stopped || r.failed >= maxRemoteFailed || r.useless >= maxRemoteUseless || len(r.asked) >= maxRemoteAsked {
		return false, nil
	}
	answered = make(chan struct{})
	r.asked[diffID] = answered
	return true, answered
}

// fail notes a failure; that the run was interrupted is none.
func (r *remote) fail(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("it took more than %s", remoteTime)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	if r.first == nil {
		r.first = err
	}
}

// decode checks what came, within what may still be taken.
func (r *remote) decode(ctx context.Context, diffID string, data []byte, limits Limits, left *entriesLeft) (*Index, error) {
	r.decoding.Lock()
	defer r.decoding.Unlock()
	left.mu.Lock()
	defer left.mu.Unlock()
	r.mu.Lock()
	free := maxRemoteTotal - r.total
	r.mu.Unlock()
	if len(data) > maxRemoteStored || free == 0 || left.n <= 0 {
		return nil, errIndex
	}
	x, err := unmarshalIndex(diffID, data, indexBounds{
		records: min(maxRemoteIndex, free), entries: left.n, unpacked: limits.MaxUnpacked,
		stop: func() bool { return ctx.Err() != nil },
	})
	if err != nil {
		return nil, err
	}
	left.n -= x.entries
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += x.held()
	return x, nil
}

// indexBounds are what a stored index may hold. Zero is the most that any has.
type indexBounds struct {
	records  uint64 // bytes of them
	entries  int
	unpacked footprint.Bytes
	stop     func() bool // asked now and then
}

func (b indexBounds) withDefaults() indexBounds {
	if b.records == 0 {
		b.records = maxIndex
	}
	if b.entries == 0 {
		b.entries = maxIndex
	}
	if b.unpacked == 0 {
		b.unpacked = maxBytes
	}
	if b.stop == nil {
		b.stop = func() bool { return false }
	}
	return b
}
