package source

import (
	"context"
	"errors"
)

func (o *Opener) openEngine(ctx context.Context, ref reference, want platform) (*Image, error) {
	return nil, errors.New("not yet")
}
