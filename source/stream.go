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
	proofs map[string]proof  // by stored digest, of blobs that were looked into
	// unproven has the layer of each blob that shares its wanted diffID with
	// another blob and has not been found to unpack to it.
	unproven map[string]int
	found    map[string]*unpacking
	config   string // digest of the image's config, once seen
	image    *v1.Manifest
	digest   string // of image
	odd      error  // why something that looked like a layer was none
}

// proof is the diffID that came out of a blob, or why none did.
type proof struct {
	diffID string
	err    error
}

func newSaveStream(p *pass, id, target string) *saveStream {
	s := &saveStream{
		p: p, id: id, target: target, left: maps.Clone(p.want), ours: map[string]bool{},
		docs: map[string][]byte{}, blobs: map[string]string{}, found: map[string]*unpacking{},
		proofs: map[string]proof{}, unproven: map[string]int{},
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
	return len(s.left) == 0 && s.config != "" && s.image != nil && len(s.unproven) == 0
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
		_, wanted := s.left[diffID]
		if _, doubted := s.unproven[digest]; !wanted && !doubted {
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
	s.prove(digest, proof{err: errors.New("it is neither a tar nor compressed")})
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
		s.prove(digest, proof{err: err})
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.nameOf(u, h), err)
	}
	s.prove(u.storedDigest, proof{diffID: u.foundDiffID})
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

// prove notes what a stored blob is.
func (s *saveStream) prove(digest string, p proof) {
	s.proofs[digest] = p
	if p.err == nil && p.diffID == s.blobs[digest] {
		delete(s.unproven, digest)
	}
}

// doubt fills unproven from the image's manifest.
func (s *saveStream) doubt() {
	first, shared := map[string]string{}, map[string]bool{}
	for i, l := range s.p.img.Layers {
		digest := s.image.Layers[i].Digest.String()
		if d, claimed := first[l.DiffID]; claimed && d != digest {
			shared[l.DiffID] = true
		}
		first[l.DiffID] = digest
	}
	clear(s.unproven)
	for i, l := range s.p.img.Layers {
		digest := s.image.Layers[i].Digest.String()
		if _, wanted := s.p.want[l.DiffID]; wanted && shared[l.DiffID] && s.proofs[digest].diffID != l.DiffID {
			s.unproven[digest] = i
		}
	}
}

// disproved returns an error for the first layer whose blob is another one than
// its diffID says. A blob that is not in the stream proves nothing: an engine
// that keeps layers unpacked has them by their diffIDs alone.
func (s *saveStream) disproved() error {
	var worst error
	least := len(s.p.img.Layers)
	for digest, i := range s.unproven {
		p, seen := s.proofs[digest]
		switch {
		case !seen || i > least:
			continue
		case p.err != nil:
			worst = fmt.Errorf("reading layer %d: %w", i, p.err)
		default:
			worst = fmt.Errorf("reading layer %d: %w", i, &diffIDError{p.diffID, s.p.img.Layers[i].DiffID})
		}
		least = i
	}
	return worst
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
	s.doubt()
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
	if err := s.disproved(); err != nil {
		return err
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
