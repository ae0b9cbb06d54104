package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxIndexes bounds the indexes and manifests read to find one image, so that
// an index that nests without end does.
const maxIndexes = 32

// documents reads the small blobs of one image: indexes, manifests, configs,
// attestations.
// What it returns is checked against the descriptor's digest by its caller.
type documents interface {
	manifest(context.Context, v1.Descriptor) ([]byte, error)
	config(context.Context, v1.Descriptor) ([]byte, error)
	attestation(context.Context, v1.Descriptor) ([]byte, error)
}

// resolved is an image found behind an index or manifest.
type resolved struct {
	digest      string
	manifest    *v1.Manifest
	config      *v1.ConfigFile
	annotations map[string]string
	// attestations are the manifests that say something about the image.
	attestations []v1.Descriptor
}

// resolver walks from an index or manifest down to one platform's image.
type resolver struct {
	docs documents
	want platform
	left int
	// fromIndex is whether the platform was chosen from several, which makes
	// a manifest of another platform a candidate that did not fit.
	fromIndex bool
}

func resolve(ctx context.Context, docs documents, want platform, desc v1.Descriptor, raw []byte) (*resolved, error) {
	r := &resolver{docs: docs, want: want, left: maxIndexes}
	return r.document(ctx, desc, raw)
}

// resolveAmong chooses among descriptors as an index would; beside are all that
// stand in the same place.
func resolveAmong(ctx context.Context, docs documents, want platform, descs, beside []v1.Descriptor) (*resolved, error) {
	r := &resolver{docs: docs, want: want, left: maxIndexes}
	return r.among(ctx, descs, beside)
}

// shape tells an index from a manifest by its members. Media types are no
// guide: registries set them wrongly, and a document that is both would mean
// different images to different readers.
type shape struct {
	SchemaVersion int               `json:"schemaVersion"`
	Manifests     []json.RawMessage `json:"manifests"`
	Layers        json.RawMessage   `json:"layers"`
	Config        json.RawMessage   `json:"config"`
	FSLayers      json.RawMessage   `json:"fsLayers"`
}

func (r *resolver) document(ctx context.Context, desc v1.Descriptor, raw []byte) (*resolved, error) {
	var s shape
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("reading manifest %s: it is not a JSON manifest (%w)", desc.Digest, err)
	}
	switch {
	case s.SchemaVersion == 1 || s.FSLayers != nil:
		return nil, errors.New("reading manifest: it has the old schema 1, which says no sizes; push the image again with a current docker or skopeo")
	case s.Manifests != nil && (s.Layers != nil || s.Config != nil):
		return nil, fmt.Errorf("reading manifest %s: it is an index and a manifest at once; push the image again", desc.Digest)
	case s.Manifests != nil:
		index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("reading index %s: %w", desc.Digest, err)
		}
		return r.among(ctx, index.Manifests, index.Manifests)
	}
	return r.image(ctx, desc, raw)
}

func (r *resolver) among(ctx context.Context, all, beside []v1.Descriptor) (*resolved, error) {
	var images []v1.Descriptor
	for _, d := range all {
		if !attests(d) {
			images = append(images, d)
			if p := d.Platform; p != nil {
				if err := checkPlatform(p.OS, p.Architecture, p.Variant); err != nil {
					return nil, fmt.Errorf("reading index: manifest %s: %w", d.Digest, err)
				}
			}
		}
	}
	if len(images) == 0 {
		return nil, errors.New("reading index: it lists no image; check that the build pushed one")
	}
	candidates, err := choose(images, r.want)
	if err != nil {
		return nil, err
	}
	r.fromIndex = r.fromIndex || len(images) > 1
	var mismatch error
	for _, d := range candidates {
		if r.left--; r.left < 0 {
			return nil, fmt.Errorf("reading index: no image found in the first %d manifests it leads to; name one by digest", maxIndexes)
		}
		raw, err := r.docs.manifest(ctx, d)
		if err != nil {
			return nil, err
		}
		if err := checkDigest(raw, d.Digest.String()); err != nil {
			return nil, fmt.Errorf("reading manifest: %w", err)
		}
		found, err := r.document(ctx, d, raw)
		var wrong *wrongPlatformError
		if errors.As(err, &wrong) && len(candidates) > 1 {
			mismatch = err
			continue
		}
		if found != nil {
			found.attestations = append(found.attestations, attestationsOf(d.Digest, beside)...)
		}
		return found, err
	}
	return nil, mismatch
}

// wrongPlatformError lets an index without platforms be searched on.
type wrongPlatformError struct{ want, have platform }

func (e *wrongPlatformError) Error() string {
	return fmt.Sprintf("choosing a platform: %s was asked for, but the image is %s; choose that with --platform, or build the image for %s",
		e.want, show(e.have.String()), e.want)
}

func (r *resolver) image(ctx context.Context, desc v1.Descriptor, raw []byte) (*resolved, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", desc.Digest, err)
	}
	if mt := m.Config.MediaType; mt != "" && !mt.IsConfig() && mt != "application/octet-stream" {
		return nil, fmt.Errorf("reading manifest %s: it is not a container image, its config is %s; name an image", desc.Digest, show(string(mt)))
	}
	cfgRaw, err := r.docs.config(ctx, m.Config)
	if err != nil {
		return nil, err
	}
	if err := checkDigest(cfgRaw, m.Config.Digest.String()); err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	cfg, err := parseConfig(cfgRaw)
	if err != nil {
		return nil, err
	}
	if have := configPlatform(cfg); !r.want.zero() && !r.want.matches(have) {
		return nil, &wrongPlatformError{r.want, have}
	}
	if len(m.Layers) != len(cfg.RootFS.DiffIDs) {
		return nil, fmt.Errorf("reading image: the manifest has %d layers but the config has %d diff_ids; push the image again", len(m.Layers), len(cfg.RootFS.DiffIDs))
	}
	found := &resolved{digest: sum(raw), manifest: m, config: cfg, annotations: maps.Clone(desc.Annotations)}
	if found.annotations == nil {
		found.annotations = map[string]string{}
	}
	maps.Copy(found.annotations, m.Annotations)
	return found, nil
}

func parseConfig(raw []byte) (*v1.ConfigFile, error) {
	cfg, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading config: it is not a JSON image config (%w)", err)
	}
	if err := checkPlatform(cfg.OS, cfg.Architecture, cfg.Variant); err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	for i, id := range cfg.RootFS.DiffIDs {
		if _, err := digestHex(id.String()); err != nil {
			return nil, fmt.Errorf("reading config: diff_id %d: %w", i, err)
		}
	}
	return cfg, nil
}

// image turns what was resolved into an Image whose layers are described by the
// manifest; the source adds how to open them.
func (f *resolved) image(source kind) (*Image, error) {
	img := &Image{
		Source:       string(source),
		Platform:     configPlatform(f.config).String(),
		Digest:       f.digest,
		ConfigDigest: f.manifest.Config.Digest.String(),
		Config:       f.config,
		Annotations:  f.annotations,
		Layers:       make([]Layer, len(f.manifest.Layers)),
		blobs:        make([]blob, len(f.manifest.Layers)),
	}
	for i, d := range f.manifest.Layers {
		if _, err := digestHex(d.Digest.String()); err != nil {
			return nil, fmt.Errorf("reading manifest: layer %d: %w", i, err)
		}
		if d.Size < 0 {
			return nil, fmt.Errorf("reading manifest: layer %d has the size %d; push the image again", i, d.Size)
		}
		img.Layers[i] = Layer{
			DiffID:    f.config.RootFS.DiffIDs[i].String(),
			Digest:    d.Digest.String(),
			Size:      d.Size,
			MediaType: string(d.MediaType),
			Foreign:   foreign(d),
		}
		img.blobs[i] = blob{key: d.Digest.String(), size: d.Size, digest: d.Digest.String()}
	}
	return img, nil
}

func foreign(d v1.Descriptor) bool {
	return !d.MediaType.IsDistributable() ||
		d.MediaType == types.MediaType("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd")
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

func checkDigest(b []byte, want string) error {
	if _, err := digestHex(want); err != nil {
		return err
	}
	if got := sum(b); got != want {
		return fmt.Errorf("the content has the digest %s where %s was expected, so it was changed or damaged; push or save the image again", got, want)
	}
	return nil
}
