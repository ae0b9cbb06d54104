package baseline

import (
	"context"
	"errors"
	"fmt"

	"github.com/org/image-budget/footprint"
)

// image is another image, measured whenever it is asked for.
type image struct {
	ref     string
	measure func(ctx context.Context, ref string, key Key) (*footprint.Image, error)
}

// Load measures the image. Whatever it is tagged with is the baseline, so
// there is no commit to be told.
func (s image) Load(ctx context.Context, key Key) (*Found, error) {
	img, err := s.measure(ctx, s.ref, key)
	if err != nil {
		return nil, fmt.Errorf("measuring the baseline %q: %w", clip(s.ref), err)
	}
	return &Found{Image: img}, nil
}

// Save refuses: pushing an image is not ours to do.
func (s image) Save(context.Context, []Entry) error {
	return fmt.Errorf("%w: image:%s is measured when it is needed; push the image there instead", ErrReadOnly, clip(s.ref))
}

// built is the image that the sources of an older commit make, built whenever it
// is asked for.
type built struct {
	dir   string
	build func(ctx context.Context, dir string, key Key) (*Found, error)
}

func openBuilt(dir string, opt Options) (Store, error) {
	if opt.Build == nil {
		return nil, errors.New("internal error: there is nothing to build a baseline with")
	}
	return built{dir, opt.Build}, nil
}

// Load builds the image.
func (s built) Load(ctx context.Context, key Key) (*Found, error) {
	found, err := s.build(ctx, s.dir, key)
	if err != nil {
		return nil, fmt.Errorf("building the baseline: %w", err)
	}
	return found, nil
}

// Save refuses: there is nowhere to put it.
func (built) Save(context.Context, []Entry) error {
	return fmt.Errorf("%w: it is built when it is needed; name a place such as branch:image-budget to keep it", ErrReadOnly)
}

// none is the store of those who want no baseline.
type none struct{}

// Load finds nothing.
func (none) Load(context.Context, Key) (*Found, error) {
	return nil, fmt.Errorf("%w: the baseline is set to none", ErrNotFound)
}

// Save refuses.
func (none) Save(context.Context, []Entry) error {
	return fmt.Errorf("%w: it is set to none; name a place such as file:.image-budget.json", ErrReadOnly)
}
