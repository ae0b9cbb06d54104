package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan"
	"github.com/org/image-budget/source"
)

// baseWait bounds the search for a base that nobody named: a registry that is
// out of reach must not hold up a run that can do without it.
const baseWait = 20 * time.Second

// boundary is where the base of an image ends, and who says so.
type boundary struct {
	foundBy, reference string
	layers             int
	// digest is that of the base, where reference does not hold it.
	digest string
	// opened are the layers as the base's own source has them, nil if it was
	// not asked.
	opened []source.Layer
}

// scratch is what FROM names for nothing at all. No image has that name.
const scratch = "scratch"

// findBase looks for the layers that FROM brought: those of the image that the
// user names, else what the image's provenance, its annotations, its Dockerfile
// or its history say, in this order. Not finding them is no failure of the run:
// limits on own bytes then say that they could not be judged.
func (m *measurer) findBase(ctx context.Context, img *source.Image, w want, opt *scan.Options) {
	found, err := m.boundary(ctx, img, w)
	switch {
	case err != nil:
		m.note("base and own bytes of %s are not told apart: %s", w.ref, err)
		return
	case found == nil:
		return
	}
	opt.Base, opt.BaseFoundBy = found.layers, found.foundBy
	// A digest is not part of the name: the one changes while the other stays.
	opt.BaseReference, opt.BaseDigest, _ = strings.Cut(found.reference, "@")
	opt.BaseDigest = cmp.Or(opt.BaseDigest, found.digest)
	// What the base's own source holds compressed need not be estimated.
	blobs := maps.Clone(opt.Blobs)
	for _, l := range found.opened {
		if _, known := blobs[l.DiffID]; l.Size >= 0 && !known {
			if blobs == nil {
				blobs = map[string]footprint.Bytes{}
			}
			blobs[l.DiffID] = footprint.Bytes(l.Size)
		}
	}
	opt.Blobs = blobs
}

// boundary returns nil where nothing tells it. An error says why somebody who
// does was not believed.
func (m *measurer) boundary(ctx context.Context, img *source.Image, w want) (*boundary, error) {
	ref, foundBy := *m.flags.base, "--base"
	if ref == "" {
		ref, foundBy = w.base, "budget file"
	}
	switch ref {
	case "":
	case scratch:
		return &boundary{foundBy: foundBy, reference: scratch}, nil
	default:
		named, err := m.baseNamed(ctx, img, ref, foundBy)
		if built := m.builtBoundary(w, img); err != nil && built != nil {
			m.note("the base of %s is that of its build: %s", w.ref, err)
			return built, nil
		}
		return named, err
	}
	if found := m.builtBoundary(w, img); found != nil {
		return found, nil
	}
	if known := w.against; known != nil && known.Base != nil && alreadySeen(img, known) {
		return &boundary{foundBy: known.Base.FoundBy, reference: known.Base.Reference, layers: known.Base.Metrics.Layers, digest: known.Base.Digest}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, baseWait)
	defer cancel()
	found, err := m.baseByProvenance(ctx, img)
	if found != nil {
		return found, nil
	}
	found, aerr := m.baseByAnnotation(ctx, img)
	if found != nil {
		return found, nil
	}
	if found := m.baseByDockerfile(ctx, img, w.from); found != nil {
		return found, nil
	}
	if err == nil {
		err = aerr
	}
	return nil, err
}

// alreadySeen tells whether an image has the layers of one that was measured
// before, and nothing but them. What was found out about that holds for it too,
// without asking anybody.
func alreadySeen(img *source.Image, known *footprint.Image) bool {
	return slices.EqualFunc(img.Layers, known.Layers, func(a source.Layer, b footprint.Layer) bool { return a.DiffID == b.DiffID })
}

// baseNamed opens the image that is said to be the base. It is one if its layers
// are where those of the image begin.
func (m *measurer) baseNamed(ctx context.Context, img *source.Image, ref, foundBy string) (*boundary, error) {
	name := strings.TrimPrefix(ref, "docker://")
	base, err := m.bases.layers(ctx, m.opener.On(img.Platform), img.Platform, ref)
	if err != nil {
		return nil, fmt.Errorf("opening %s (named by %s): %w", name, foundBy, err)
	}
	n := 0
	for n < len(base) && n < len(img.Layers) && base[n].DiffID == img.Layers[n].DiffID {
		n++
	}
	if n == 0 || n < len(base) {
		return nil, &otherBaseError{name, n, len(base)}
	}
	return &boundary{foundBy: foundBy, reference: name, layers: n, opened: base}, nil
}

// otherBaseError says that an image does not begin with the layers of another.
type otherBaseError struct {
	name      string
	there, of int
}

func (e *otherBaseError) Error() string {
	return fmt.Sprintf("it was not built from %s as that is now (%d of its %d layers are there); rebuild it, or name the base by digest", e.name, e.there, e.of)
}

// baseByProvenance asks what the builder attached to the image. Where it names
// several images, the base is the one that most layers come from.
func (m *measurer) baseByProvenance(ctx context.Context, img *source.Image) (*boundary, error) {
	attestation, err := img.Provenance(ctx)
	if attestation == nil || err != nil {
		return nil, err
	}
	layers := make([]footprint.Layer, len(img.Layers))
	for i, l := range img.Layers {
		layers[i].Digest = l.Digest
	}
	candidates, err := dockerfile.ProvenanceFrom(attestation, layers)
	if err != nil {
		return nil, err
	}
	const foundBy = "provenance"
	var best *boundary
	var failed error
	for _, c := range candidates {
		ref := "docker://" + c.Reference
		known := source.CheckReference(ref) == nil
		switch {
		case c.Reference == scratch:
			return &boundary{foundBy: foundBy, reference: scratch}, nil
		case c.Layers >= 0 && known:
			return &boundary{foundBy: foundBy, reference: c.Reference, layers: c.Layers}, nil
		case c.Layers >= 0:
			return &boundary{foundBy: foundBy, layers: c.Layers}, nil
		case !known:
			continue
		}
		found, err := m.baseNamed(ctx, img, ref, foundBy)
		var other *otherBaseError
		switch {
		case errors.As(err, &other) && !c.Certain:
			failed = cmp.Or(failed, errNoneOfThem)
		case err != nil:
			failed = err
		case best == nil || found.layers > best.layers:
			best = found
		}
	}
	return best, failed
}

// errNoneOfThem is what is known of an image whose provenance has mode=min, if
// its base was no image, or is one that was left out.
var errNoneOfThem = errors.New("its provenance names the images that the build used, and it begins with the layers of none; name its base, which may be scratch, or build with provenance in mode=max")

// baseByAnnotation opens what the image's annotations name.
func (m *measurer) baseByAnnotation(ctx context.Context, img *source.Image) (*boundary, error) {
	name, digest := img.Annotations["org.opencontainers.image.base.name"], img.Annotations["org.opencontainers.image.base.digest"]
	switch {
	case name == "":
		return nil, nil
	case name == scratch:
		return &boundary{foundBy: "annotation", reference: scratch}, nil
	case digest != "" && !strings.Contains(name, "@"):
		name += "@" + digest
	}
	return m.baseNamed(ctx, img, "docker://"+name, "annotation")
}

// baseByDockerfile looks for the image that FROM names, and if that is not the
// one that was built on, for the first layer that the file must have made. It was
// not said that this is the image's base, so being wrong is worth no remark.
func (m *measurer) baseByDockerfile(ctx context.Context, img *source.Image, from *attributeFlags) *boundary {
	if from == nil || from.file == nil {
		return nil
	}
	stage, err := from.file.Target(*from.target)
	if err != nil {
		return nil
	}
	name := from.file.Root(stage).Base
	if name != scratch && !strings.Contains(name, "$") {
		// What was built in an engine was built from what is there.
		refs := []string{"docker://" + name}
		if img.Source == "docker-daemon" {
			refs = append([]string{"docker-daemon:" + name}, refs...)
		}
		for _, ref := range refs {
			found, err := m.baseNamed(ctx, img, ref, "FROM")
			if err == nil {
				found.reference = name
				return found
			}
			m.command.log.Debug().Msgf("%s is not the base of %s: %v", ref, img.Reference, err)
		}
	}
	return m.baseByHistory(img, from, name)
}

// baseByHistory says where the lines of the Dockerfile begin. Triggers of a base
// leave the same lines of history as the base itself.
func (m *measurer) baseByHistory(img *source.Image, from *attributeFlags, name string) *boundary {
	if img.Config == nil {
		return nil
	}
	for _, h := range img.Config.History {
		if strings.Contains(h.CreatedBy, "ONBUILD ") {
			return nil
		}
	}
	layers := make([]footprint.Layer, len(img.Layers))
	for i, by := range scan.History(img) {
		layers[i] = footprint.Layer{Index: i, CreatedBy: by}
	}
	n, ok := from.file.OwnFrom(*from.target, layers, nil)
	switch {
	case !ok:
		return nil
	case name == scratch:
		return &boundary{foundBy: "FROM", reference: scratch}
	case strings.Contains(name, "$"):
		name = ""
	}
	return &boundary{foundBy: "history", reference: name, layers: n}
}

// baseImages lists the layers of base images. An image, its baseline and others
// share one base, which is asked for once.
type baseImages struct {
	mu   sync.Mutex
	open map[string]*baseImage // by platform and reference
}

// baseImage is what opening a base image gave.
type baseImage struct {
	mu     sync.Mutex
	done   bool
	layers []source.Layer
	err    error
}

func (b *baseImages) layers(ctx context.Context, opener *source.Opener, platform, ref string) ([]source.Layer, error) {
	key := platform + " " + ref
	b.mu.Lock()
	if b.open == nil {
		b.open = map[string]*baseImage{}
	}
	one := b.open[key]
	if one == nil {
		one = &baseImage{}
		b.open[key] = one
	}
	b.mu.Unlock()

	one.mu.Lock()
	defer one.mu.Unlock()
	if one.done {
		return one.layers, one.err
	}
	base, err := opener.Open(ctx, ref)
	if err == nil {
		one.layers = base.Layers
		err = base.Close()
	}
	one.err = err
	// One that was given up is asked for again, unless it used up its time.
	one.done = !errors.Is(ctx.Err(), context.Canceled)
	return one.layers, err
}
