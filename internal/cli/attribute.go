package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/source"
)

// attributeFlags name the Dockerfile that an image was built from.
type attributeFlags struct {
	dockerfile, target *string
	// file is what they name, nil without one.
	file *dockerfile.File
}

func (fs *flagSet) attributing() *attributeFlags {
	return &attributeFlags{
		dockerfile: fs.String("dockerfile", "", "the Dockerfile, `FILE`, to build, or that the image was built from, to name lines of it (default the one in the image's provenance; without either, what its history says is shown)"),
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

// builtFile begins the name of a Dockerfile that is not the one in the checkout:
// it is no path, so that nothing links to a line that may say something else.
const builtFile = "provenance://"

// attribute finds the lines that made the layers above the base: in the
// provenance of the image, exactly, or else by matching its history with the
// Dockerfile that the user named. A layer whose line is not certain gets none.
func (f *attributeFlags) attribute(ctx context.Context, m *measurer, img *source.Image, out *footprint.Image, w want) {
	if f.exactly(ctx, m, img, out, w) || f.file == nil {
		return
	}
	base := 0
	if out.Base != nil {
		base = out.Base.Metrics.Layers
	}
	for i, origin := range f.file.Attribute(*f.target, out.Layers, base, nil) {
		out.Layers[i].Origin = origin
	}
	nameFrom(f.file, out)
}

// nameFrom tells which line of the file names the base: the one that the stage of
// the uppermost layer goes back to. It is as certain as that layer's line.
func nameFrom(file *dockerfile.File, out *footprint.Image) {
	if out.Base == nil {
		return
	}
	for _, l := range slices.Backward(out.Layers) {
		if l.Origin == nil {
			continue
		}
		if from := file.FromOrigin(l.Origin.Stage); from != nil {
			from.File, from.Exact = l.Origin.File, l.Origin.Exact
			out.Base.Origin = from
		}
		return
	}
}

// exactly takes the lines from the provenance, and is false where there are
// none.
func (f *attributeFlags) exactly(ctx context.Context, m *measurer, img *source.Image, out *footprint.Image, w want) bool {
	if !img.HasProvenance() || w.against != nil && alreadySeen(img, w.against) {
		// Where nothing changed, lines are not worth a request.
		return false
	}
	attestation, err := img.Provenance(ctx)
	if err != nil && ctx.Err() == nil {
		m.note("the lines that made %s are not exact: %s", w.ref, err)
	}
	if attestation == nil || err != nil {
		return false
	}
	built, origins, err := dockerfile.ProvenanceOrigins("", attestation, out.Layers)
	if errors.Is(err, dockerfile.ErrNoLines) {
		return false
	}
	if err != nil {
		m.note("the lines that made %s are not exact: %s", w.ref, err)
		return false
	}
	if !slices.ContainsFunc(origins, func(o *footprint.Origin) bool { return o != nil }) {
		return false
	}
	name := f.nameOf(m, built, w)
	for i, o := range origins {
		if o != nil {
			o.File = name
		}
		out.Layers[i].Origin = o
	}
	nameFrom(built, out)
	return true
}

// nameOf is what the Dockerfile that was built is called: by its path where the
// checkout has the same, and otherwise in a way that nothing links to.
func (f *attributeFlags) nameOf(m *measurer, built *dockerfile.File, w want) string {
	differs := ""
	if f.file != nil {
		if bytes.Equal(f.file.Src, built.Src) {
			return f.file.Name
		}
		differs = f.file.Name
	} else {
		workspace := cmp.Or(m.command.runner.Workspace, ".")
		src, err := readWithin(workspace, built.Name, dockerfile.MaxSize)
		switch {
		case err == nil && bytes.Equal(src, built.Src):
			return built.Name
		case err == nil:
			differs = built.Name
		}
	}
	if differs != "" {
		m.note("%s is not the Dockerfile that %s was built from, as the provenance of the image has it: lines are those of the latter, without links", differs, w.ref)
	}
	return builtFile + built.Name
}

// readWithin reads a file of at most max bytes below a folder, and none that a
// path or a link leads to outside.
func readWithin(dir, name string, max int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Looking before opening keeps a named pipe from blocking.
	st, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > max {
		return nil, fmt.Errorf("%s is no file of at most %s", name, footprint.Bytes(max))
	}
	return root.ReadFile(name)
}
