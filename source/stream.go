package source

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// saveStream reads an engine's save stream. Nothing is known of its order: the
// manifest may come last, layers may be plain, gzip or zstd, blobs of other
// platforms may be there or not. So whatever may be a layer is unpacked as it
// passes, and the digest of what came out says which layer it was.
type saveStream struct {
	p      *pass
	id     string         // what the engine calls the image
	target string         // what its store calls it; ""
	left   map[string]int // wanted diffIDs not seen yet
	ours   map[string]bool
	docs   map[string][]byte // by digest
	kept   int64
	blobs  map[string]string // stored digest to diffID, once a manifest told
	found  map[string]*unpacking
	config string // digest of the image's config, once seen
	image  *v1.Manifest
	digest string // of image
	odd    error  // why something that looked like a layer was none
}

func newSaveStream(p *pass, id, target string) *saveStream {
	s := &saveStream{
		p: p, id: id, target: target, left: maps.Clone(p.want), ours: map[string]bool{},
		docs: map[string][]byte{}, blobs: map[string]string{}, found: map[string]*unpacking{},
	}
	for _, l := range p.img.Layers {
		s.ours[l.DiffID] = true
	}
	return s
}

func (s *saveStream) read(ctx context.Context, tr *tar.Reader) error {
	for n := 0; !s.done(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if n >= s.p.img.limits.MaxEntries {
			return fmt.Errorf("its stream has more than %d entries, which no image has", s.p.img.limits.MaxEntries)
		}
		if h.Typeflag != tar.TypeReg {
			continue // a repeated layer is a link to one that is here
		}
		if err := s.entry(ctx, h, tr); err != nil {
			return err
		}
	}
	return s.finish()
}

// done reports whether nothing more is needed of the stream. Without a manifest
// the end has to be seen, as it may still bring one.
func (s *saveStream) done() bool {
	return len(s.left) == 0 && s.config != "" && s.image != nil
}

// entry looks at one file: by its name, where that is a digest that tells which
// layer it is, else by its first bytes.
func (s *saveStream) entry(ctx context.Context, h *tar.Header, r io.Reader) error {
	digest := ""
	if hex, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok && len(hex) == 64 && isHex(hex) {
		digest = "sha256:" + hex
	}
	diffID := s.blobs[digest]
	if s.ours[digest] {
		diffID = digest
	}
	if diffID != "" {
		if _, wanted := s.left[diffID]; !wanted {
			// It is transferred all the same.
			return s.skip(r)
		}
		return s.layer(ctx, h, r, digest)
	}
	head := make([]byte, min(h.Size, sniffSize))
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	r = io.MultiReader(bytes.NewReader(head), r)
	switch {
	case sniff(head) != formatPlain, isTar(head):
		return s.layer(ctx, h, r, digest)
	case mayBeJSON(head):
		return s.document(h, r, digest)
	}
	return nil
}

func (s *saveStream) skip(r io.Reader) error {
	buf := s.p.bufs.chunk()
	defer give(s.p.bufs, &s.p.bufs.data, buf)
	for {
		n, err := r.Read(buf)
		s.p.count(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// layer unpacks what may be a layer, and keeps the result if it is one.
func (s *saveStream) layer(ctx context.Context, h *tar.Header, r io.Reader, digest string) error {
	u := &unpacking{pass: s.p, size: h.Size, digest: digest, hashUnpacked: true, hashStored: true, keepVisitError: true}
	keep, err := u.run(ctx, r)
	var corrupt *corruptError
	if errors.As(err, &corrupt) {
		// Its digest was right, so it is what was put there; whether that
		// was a layer of this image shows when one is missing.
		s.odd = fmt.Errorf("reading %s: %w", show(h.Name), err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.nameOf(u, h), err)
	}
	i, wanted := s.left[u.foundDiffID]
	if !wanted {
		return nil
	}
	if u.visitErr != nil {
		return fmt.Errorf("reading layer %d: %w", i, u.visitErr)
	}
	delete(s.left, u.foundDiffID)
	s.found[u.foundDiffID] = u
	keep(u.foundDiffID)
	return nil
}

// nameOf names a blob in an error: by its layer, where that is known.
func (s *saveStream) nameOf(u *unpacking, h *tar.Header) string {
	diffID := s.blobs[u.digest]
	if s.ours[u.digest] {
		diffID = u.digest
	}
	if i, ok := s.p.want[diffID]; ok {
		return fmt.Sprintf("layer %d", i)
	}
	return show(h.Name)
}

// document holds what may be a config or a manifest of the image.
func (s *saveStream) document(h *tar.Header, r io.Reader, digest string) error {
	limits := s.p.img.limits
	if h.Size > max(limits.MaxManifest, limits.MaxConfig) || s.kept+h.Size > maxKept {
		return nil // finish says so if it was needed
	}
	raw := make([]byte, h.Size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return err
	}
	if digest != "" {
		if err := checkDigest(raw, digest); err != nil {
			return fmt.Errorf("reading %s: %w", show(h.Name), err)
		}
	}
	s.kept += h.Size
	s.docs[sum(raw)] = raw
	s.link()
	return nil
}

// link looks for the image's config among the documents, and for the manifest
// that names it.
func (s *saveStream) link() {
	for _, d := range slices.Sorted(maps.Keys(s.docs)) {
		if s.isConfig(s.docs[d]) && (s.config == "" || d == s.id) {
			s.config = d
		}
	}
	for _, d := range slices.Sorted(maps.Keys(s.docs)) {
		var m v1.Manifest
		if json.Unmarshal(s.docs[d], &m) != nil || len(m.Layers) != len(s.p.img.Layers) || s.config == "" {
			continue
		}
		if m.Config.Digest.String() == s.config && (s.image == nil || d == s.target) {
			s.image, s.digest = &m, d
		}
	}
	if s.image == nil {
		return
	}
	for i, l := range s.p.img.Layers {
		s.blobs[s.image.Layers[i].Digest.String()] = l.DiffID
	}
}

// isConfig reports whether a document is a config with this image's layers and
// platform.
func (s *saveStream) isConfig(raw []byte) bool {
	if !bytes.Contains(raw, []byte("diff_ids")) {
		return false
	}
	cfg, err := parseConfig(raw)
	if err != nil || len(cfg.RootFS.DiffIDs) != len(s.p.img.Layers) || configPlatform(cfg).String() != s.p.img.Platform {
		return false
	}
	for i, id := range cfg.RootFS.DiffIDs {
		if id.String() != s.p.img.Layers[i].DiffID {
			return false
		}
	}
	return true
}

// finish checks that everything wanted was there, and fills in the image what
// only the stream tells.
func (s *saveStream) finish() error {
	if len(s.left) > 0 {
		i := slices.Min(slices.Collect(maps.Values(s.left)))
		if s.odd != nil {
			return fmt.Errorf("reading layer %d: its blob is missing or damaged: %w", i, s.odd)
		}
		return fmt.Errorf("reading layer %d: the engine does not hold its blob; pull or build the image again", i)
	}
	img := s.p.img
	if s.config == "" {
		return errors.New("reading config: the engine's stream has none for this image; pull or build the image again")
	}
	cfg, err := parseConfig(s.docs[s.config])
	if err != nil {
		return err
	}
	img.Config, img.ConfigDigest = cfg, s.config
	for i := range img.Layers {
		l := &img.Layers[i]
		if u := s.found[l.DiffID]; u != nil && u.format != formatPlain {
			l.Digest, l.Size = u.storedDigest, u.storedSize
		}
	}
	if s.image != nil {
		s.describe(img)
	}
	return nil
}

// describe takes over from the manifest what it says of the layers.
func (s *saveStream) describe(img *Image) {
	img.Digest = s.digest
	maps.Copy(img.Annotations, s.image.Annotations)
	for i, d := range s.image.Layers {
		l := &img.Layers[i]
		l.MediaType, l.Foreign = string(d.MediaType), foreign(d)
		if _, err := digestHex(d.Digest.String()); err == nil && d.Digest.String() != l.DiffID && d.Size >= 0 {
			l.Digest, l.Size = d.Digest.String(), d.Size
		}
	}
}
