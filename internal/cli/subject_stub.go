package cli

import (
	"context"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/source"
)

// subject is what advice looks at.
func (c *Command) subject(_ context.Context, _ *measurer, _ want, img *source.Image, out *footprint.Image, _ *source.Build, file *dockerfile.File, target string, args map[string]string) (*advice.Subject, error) {
	cfg := configOf(img)
	return &advice.Subject{File: file, Target: target, Args: args, Image: out, Config: &cfg}, nil
}
