package cli

import (
	"errors"
	"io/fs"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
)

// attributeFlags name the Dockerfile that an image was built from.
type attributeFlags struct {
	dockerfile, target *string
	// file is what they name, nil without one.
	file *dockerfile.File
}

func (fs *flagSet) attributing() *attributeFlags {
	return &attributeFlags{
		dockerfile: fs.String("dockerfile", "", "the Dockerfile, `FILE`, to build, or that the image was built from, to name lines of it (default: what the image's history says is shown)"),
		target:     fs.String("target", "", "the `STAGE` of the Dockerfile to build, or that was built (default the last)"),
	}
}

// read parses the Dockerfile, before anything is measured.
func (f *attributeFlags) read(c *Command) error {
	if *f.dockerfile == "" {
		if *f.target != "" {
			return usagef("", "--target names a stage of a Dockerfile: give --dockerfile as well")
		}
		return nil
	}
	src, err := readBounded(*f.dockerfile, dockerfile.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("", "there is no Dockerfile %s; --dockerfile names the one that the image was built from", *f.dockerfile)
	}
	if err != nil {
		return usagef("", "reading the Dockerfile: %w", err)
	}
	// Reports link to it in the repository.
	name := *f.dockerfile
	if rel, ok := actions.Rel(c.runner.Workspace, name); ok && c.runner.Actions {
		name = rel
	}
	if f.file, err = dockerfile.Parse(name, src); err != nil {
		return &usageError{"", err}
	}
	if _, err := f.file.Target(*f.target); err != nil {
		return &usageError{"", err}
	}
	return nil
}

// attribute finds the lines that made the layers above the base. A layer whose
// line is not certain gets none.
func (f *attributeFlags) attribute(img *footprint.Image) {
	if f.file == nil {
		return
	}
	base := 0
	if img.Base != nil {
		base = img.Base.Metrics.Layers
	}
	for i, origin := range f.file.Attribute(*f.target, img.Layers, base, nil) {
		img.Layers[i].Origin = origin
	}
}
