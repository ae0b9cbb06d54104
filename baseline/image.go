package baseline

import (
	"context"
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
