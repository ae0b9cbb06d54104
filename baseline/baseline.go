// Package baseline keeps what an image measured, to compare the next build
// with: in a file, on a branch of the repository, in a registry, or in another
// image that is measured when it is needed.
//
// It stores and finds; it measures nothing itself, compares nothing and
// decides nothing. What a [Store] returns has been read with bounds and adds
// up; what it saves is complete or not there at all.
//
// A registry has no compare-and-swap: whoever writes a tag last has it, and a
// document that several writers read, change and write back would lose what one
// of them added. So no two baselines share a tag. There is one for each image,
// platform and commit, web.linux-amd64.COMMIT, written by those alone who
// measured that very commit, and nothing is ever written that summarises others:
// no list, and no tag of the newest one, which a slow job would move back. What
// there is, the list of tags says; which of two is newer, their manifests say.
// The index of a layer has a tag of its own as well, and whoever writes it
// writes the same.
package baseline

import (
	"context"
	"errors"
	"time"

	"github.com/org/image-budget/footprint"
)

// Key says which baseline is meant.
type Key struct {
	// Image is the image's id in the budget file. It may hold any UTF-8.
	Image string
	// Platform is os/arch[/variant]. For Load it may be "" where the image
	// has a baseline for one platform alone.
	Platform string
	// Commit is the commit to compare with, where a store has several.
	Commit string
	// Uncommitted has Load return the one that was saved without a commit,
	// where that is newer than the one it found. It is no part of what is
	// stored.
	Uncommitted bool
}

// Found is a stored baseline.
type Found struct {
	// Image is what was measured. Meta says how it came to be; it is zero
	// where the image was measured just now.
	Image *footprint.Image
	Meta  footprint.Meta
	// Distance is how many commits it is older than the one asked for.
	Distance int
}

// Store is a place for baselines. Its methods may be called at the same time.
type Store interface {
	// Load returns the baseline of a key. That there is none is
	// [ErrNotFound], in an error that says what there is; that there is one
	// for another platform alone is [ErrPlatform]. Of several platforms none
	// is picked: without one in the key, that is an error too.
	Load(ctx context.Context, key Key) (*Found, error)
	// Save puts each baseline in the place of the one with the same key, all of
	// them or, on an error, none of those that a store keeps together. It is
	// [ErrReadOnly] where nothing can be saved.
	Save(ctx context.Context, entries []Entry) error
}

// Entry is one baseline to save.
type Entry struct {
	Key   Key
	Image *footprint.Image
	Meta  footprint.Meta
	// Layers are the indexes of its layers by diffID, as package scan writes
	// them. Only a [LayerStore] keeps them, and it may leave out any.
	Layers map[string][]byte
}

// LayerStore is a [Store] that keeps what was learnt about layers, so that a
// run elsewhere reads only those that nobody has read.
type LayerStore interface {
	Store
	// LoadLayer returns the index of a layer; that there is none is
	// [ErrNotFound]. What it returns is not checked: it is as foreign as the
	// store.
	LoadLayer(ctx context.Context, diffID string) ([]byte, error)
}

// Lister is a [Store] that can say what it holds.
type Lister interface {
	// List returns the keys of all baselines, sorted by image and platform,
	// newest first within both.
	List(ctx context.Context) ([]Listed, error)
}

// Listed is one stored baseline.
type Listed struct {
	Key Key
	// At is when it was saved; zero where the store does not know.
	At time.Time
}

// Pruner is a [Store] that keeps a history and can forget it.
type Pruner interface {
	// Prune keeps the newest baselines of each image and platform, at least 1,
	// and the layer indexes that they use. It returns how many baselines it
	// removed.
	Prune(ctx context.Context, keep int) (removed int, err error)
}

var (
	// ErrNotFound is in the error of a Load that found no baseline.
	ErrNotFound = errors.New("no baseline")
	// ErrPlatform is in the error of a Load that found the image, but not for
	// the platform asked for. The error says which platforms there are. It is
	// never ErrNotFound as well: a baseline that is there and does not compare
	// is worth a word.
	ErrPlatform = errors.New("no baseline for this platform")
	// ErrReadOnly is in the error of a Save to a store that keeps nothing.
	ErrReadOnly = errors.New("this baseline cannot be saved to")
)
