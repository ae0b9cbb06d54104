package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// files reads what a directory or an archive holds, by slash-separated name. A
// missing name is fs.ErrNotExist.
type files interface {
	// document returns a small file whole.
	document(name string, limit int64) ([]byte, error)
	// peek returns a file's size and how it is compressed.
	peek(name string) (int64, format, error)
	// open returns a file's content. Archives that are compressed as a whole
	// have no such thing; their layers come from a stream.
	open(name string) (io.ReadCloser, error)
}

// ociDocuments reads manifests and configs of an OCI layout.
type ociDocuments struct {
	files  files
	limits Limits
}

func (o *ociDocuments) manifest(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return o.read(d, o.limits.MaxManifest, "manifest")
}

func (o *ociDocuments) config(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return o.read(d, o.limits.MaxConfig, "config")
}

func (o *ociDocuments) attestation(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return o.read(d, o.limits.MaxProvenance, "attestation")
}

func (o *ociDocuments) read(d v1.Descriptor, limit int64, what string) ([]byte, error) {
	name, err := blobName(d.Digest.String())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	raw, err := o.files.document(name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %s is missing, so the image is incomplete; save it again", what, name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return raw, nil
}

func blobName(digest string) (string, error) {
	hex, err := digestHex(digest)
	return "blobs/sha256/" + hex, err
}

// openOCI finds the image in an OCI layout.
func (o *Opener) openOCI(ctx context.Context, fsys files, source kind, ref reference, want platform) (*Image, error) {
	raw, err := fsys.document("index.json", o.cfg.Limits.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("opening %s: reading index.json: %w", ref.path, err)
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("opening %s: index.json is not an OCI index (%w)", ref.path, err)
	}
	descs, err := named(index.Manifests, ref)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref.path, err)
	}
	docs := &ociDocuments{fsys, o.cfg.Limits}
	found, err := resolveAmong(ctx, docs, want, descs, index.Manifests)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref.path, err)
	}
	img, err := found.image(source)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref.path, err)
	}
	img.attestations = attested(docs, found.attestations, o.cfg.Limits)
	for i := range img.Layers {
		name, err := blobName(img.Layers[i].Digest)
		if err != nil {
			return nil, err
		}
		// What is missing here matters only when it is read.
		if _, f, err := fsys.peek(name); err == nil && f == formatPlain {
			img.Layers[i].Size = -1
		}
		img.blobs[i].name = name
		img.blobs[i].open = opening(fsys, name)
	}
	return img, nil
}

func opening(fsys files, name string) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) {
		r, err := fsys.open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is missing, so the image is incomplete; save it again with all its layers", show(name))
		}
		return r, err
	}
}

// named keeps the descriptors that carry the tag asked for. Without a tag,
// images of several names are an error that lists them.
func named(all []v1.Descriptor, ref reference) ([]v1.Descriptor, error) {
	names := map[string]bool{}
	var match []v1.Descriptor
	for _, d := range all {
		if attests(d) {
			continue
		}
		tag := d.Annotations["org.opencontainers.image.ref.name"]
		full := d.Annotations["io.containerd.image.name"]
		switch {
		case ref.name == "" || tag == ref.name || full == ref.name || sameName(full, ref.name):
			match = append(match, d)
		}
		if full != "" {
			tag = full
		}
		names[tag] = true
	}
	if len(match) == 0 {
		if ref.name == "" {
			return nil, fmt.Errorf("it holds no image: %w", ErrNotFound)
		}
		return nil, fmt.Errorf("it has no image named %s, only %s: %w", show(ref.name), nameList(names), ErrNotFound)
	}
	if ref.name == "" && len(names) > 1 && !sameDigest(match) {
		return nil, fmt.Errorf("it holds several images; name one of %s behind the path, as in %s:NAME", nameList(names), ref.path)
	}
	if sameDigest(match) {
		match = match[:1]
	}
	return match, nil
}

func sameDigest(ds []v1.Descriptor) bool {
	for _, d := range ds {
		if d.Digest != ds[0].Digest {
			return false
		}
	}
	return true
}

func nameList(names map[string]bool) string {
	var list []string
	for n := range names {
		if n != "" {
			list = append(list, show(n))
		}
	}
	sort.Strings(list)
	if len(list) == 0 {
		return "images without a name"
	}
	if len(list) > 20 {
		list = append(list[:20], fmt.Sprintf("%d more", len(list)-20))
	}
	return strings.Join(list, ", ")
}

// dockerManifest is an entry of manifest.json in what docker save writes.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// openDocker finds the image in what docker save wrote.
func (o *Opener) openDocker(fsys *archive, ref reference, want platform) (*Image, error) {
	fail := func(err error) (*Image, error) { return nil, fmt.Errorf("opening %s: %w", ref.path, err) }
	raw, err := fsys.document("manifest.json", o.cfg.Limits.MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(errors.New("it has no manifest.json, so docker save did not write it; an OCI archive is written oci-archive:FILE"))
	}
	if err != nil {
		return fail(fmt.Errorf("reading manifest.json: %w", err))
	}
	var all []dockerManifest
	if err := json.Unmarshal(raw, &all); err != nil {
		return fail(fmt.Errorf("manifest.json is not that of docker save (%w)", err))
	}
	m, err := namedDocker(all, ref)
	if err != nil {
		return fail(err)
	}
	cfgRaw, err := fsys.document(m.Config, o.cfg.Limits.MaxConfig)
	if err != nil {
		return fail(fmt.Errorf("reading config %s: %w", show(m.Config), err))
	}
	if hex := nameHex(m.Config); hex != "" {
		if err := checkDigest(cfgRaw, "sha256:"+hex); err != nil {
			return fail(fmt.Errorf("reading config: %w", err))
		}
	}
	cfg, err := parseConfig(cfgRaw)
	if err != nil {
		return fail(err)
	}
	if have := configPlatform(cfg); !want.zero() && !want.matches(have) {
		return fail(&wrongPlatformError{want, have})
	}
	if len(m.Layers) != len(cfg.RootFS.DiffIDs) {
		return fail(fmt.Errorf("manifest.json has %d layers but the config has %d diff_ids; save the image again", len(m.Layers), len(cfg.RootFS.DiffIDs)))
	}
	img := &Image{
		Source: string(kindDockerArchive), Platform: configPlatform(cfg).String(), ConfigDigest: sum(cfgRaw), Config: cfg,
		Annotations: map[string]string{}, Layers: make([]Layer, len(m.Layers)), blobs: make([]blob, len(m.Layers)),
	}
	for i, name := range m.Layers {
		img.Layers[i], img.blobs[i] = dockerLayer(fsys, name, cfg.RootFS.DiffIDs[i].String())
	}
	return img, nil
}

func dockerLayer(a *archive, name, diffID string) (Layer, blob) {
	l := Layer{DiffID: diffID, Size: -1}
	b := blob{name: name, key: name, size: -1, open: opening(a, name)}
	own, _, err := a.find(name)
	if err != nil {
		return l, b // an error when it is read
	}
	size, f, err := a.peek(name)
	if err != nil {
		return l, b // likewise
	}
	b.key, b.size = own, size
	if f != formatPlain {
		l.Size = size
		if hex := nameHex(name); hex != "" && strings.HasPrefix(name, "blobs/sha256/") {
			l.Digest = "sha256:" + hex
			b.digest = l.Digest
		}
	}
	return l, b
}

// namedDocker picks the image that a docker archive is asked for.
func namedDocker(all []dockerManifest, ref reference) (dockerManifest, error) {
	names := map[string]bool{}
	var match []dockerManifest
	for _, m := range all {
		hit := ref.name == ""
		for _, t := range m.RepoTags {
			names[t] = true
			hit = hit || t == ref.name || sameName(t, ref.name)
		}
		if hit {
			match = append(match, m)
		}
	}
	switch {
	case len(all) == 0:
		return dockerManifest{}, fmt.Errorf("it holds no image: %w", ErrNotFound)
	case len(match) == 0:
		return dockerManifest{}, fmt.Errorf("it has no image named %s, only %s: %w", show(ref.name), nameList(names), ErrNotFound)
	case len(match) > 1:
		return dockerManifest{}, fmt.Errorf("it holds several images; name one of %s behind the path, as in docker-archive:%s:NAME", nameList(names), ref.path)
	}
	return match[0], nil
}

// nameHex returns the digest's hex in a file name such as HEX.json or
// blobs/sha256/HEX, and "" for names that are not digests.
func nameHex(name string) string {
	base := name[strings.LastIndex(name, "/")+1:]
	base = strings.TrimPrefix(base, "sha256:") // as some writers put it
	base = strings.TrimSuffix(base, ".json")
	if len(base) == 64 && isHex(base) {
		return base
	}
	return ""
}

// sameName reports whether the name a user wrote means the one that an engine
// recorded in full.
func sameName(recorded, asked string) bool {
	if recorded == "" || asked == "" {
		return false
	}
	a, err := name.ParseReference(recorded)
	if err != nil {
		return false
	}
	b, err := name.ParseReference(asked)
	return err == nil && a.Name() == b.Name()
}
