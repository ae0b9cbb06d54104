package source

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/client"
)

const (
	// provenancePrefix begins the predicate types of provenance, the version
	// follows.
	provenancePrefix = "https://slsa.dev/provenance/"
	// maxAttestations bounds the attestation manifests that are looked at for
	// one image; BuildKit writes one.
	maxAttestations = 4
)

// attestations reads what was said about one image, once.
type attestations struct {
	read func(context.Context) ([]byte, error)

	mu   sync.Mutex
	done bool
	raw  []byte
	err  error
}

// Provenance returns the in-toto statement, as JSON, that says how BuildKit
// built the image; nil where there is none. A registry, an OCI layout and an OCI
// archive have it beside the image in an index, so there is none for an image
// that was named by the digest of its own manifest. An engine has it from API
// 1.55 on, in its containerd store. Referrers are not looked for: BuildKit does
// not write them.
//
// The first call reads it, in a registry with two requests, and later ones
// return the same; it must come before Close. The statement is signed by nobody.
// An error says that an attestation is there and could not be read, is damaged,
// or exceeds Limits.MaxProvenance.
func (img *Image) Provenance(ctx context.Context) ([]byte, error) {
	a := img.attestations
	if a == nil {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done {
		return a.raw, a.err
	}
	raw, err := a.read(ctx)
	if err != nil {
		err = fmt.Errorf("reading the provenance: %w", err)
	}
	if ctx.Err() == nil {
		a.done, a.raw, a.err = true, raw, err
	}
	return raw, err
}

// HasProvenance tells, without asking anyone, whether Provenance may find
// something.
func (img *Image) HasProvenance() bool { return img.attestations != nil }

// attestationsOf picks the manifests that say something about an image.
func attestationsOf(image v1.Hash, beside []v1.Descriptor) []v1.Descriptor {
	var found []v1.Descriptor
	for _, d := range beside {
		if d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" && d.Annotations["vnd.docker.reference.digest"] == image.String() && len(found) < maxAttestations {
			found = append(found, d)
		}
	}
	return found
}

// attested returns the way to what the manifests of attestations say.
func attested(docs documents, manifests []v1.Descriptor, limits Limits) *attestations {
	if len(manifests) == 0 {
		return nil
	}
	return &attestations{read: func(ctx context.Context) ([]byte, error) {
		for _, d := range manifests {
			statement, err := provenanceIn(ctx, docs, d, limits)
			if statement != nil || err != nil {
				return statement, err
			}
		}
		return nil, nil
	}}
}

func provenanceIn(ctx context.Context, docs documents, d v1.Descriptor, limits Limits) ([]byte, error) {
	raw, err := docs.manifest(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := checkDigest(raw, d.Digest.String()); err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	for _, l := range m.Layers {
		if l.MediaType != "application/vnd.in-toto+json" || !strings.HasPrefix(l.Annotations["in-toto.io/predicate-type"], provenancePrefix) {
			continue
		}
		if l.Size > limits.MaxProvenance {
			return nil, &tooLargeError{"the attestation", limits.MaxProvenance}
		}
		statement, err := docs.attestation(ctx, l)
		if err == nil {
			err = checkDigest(statement, l.Digest.String())
		}
		if err != nil {
			return nil, err
		}
		return statement, nil
	}
	return nil, nil
}

// provenance asks the engine. It knows the attestations of an image by the
// platform, and those of its containerd store alone.
func (e *engine) provenance(ctx context.Context) ([]byte, error) {
	got, err := e.api.ImageAttestations(ctx, e.id, client.ImageAttestationsWithStatement(), client.ImageAttestationsWithPlatform(e.plat),
		client.ImageAttestationsWithPredicateTypes(provenancePrefix+"v1", provenancePrefix+"v0.2"))
	if err != nil {
		return nil, e.explain(ctx, err)
	}
	for _, a := range got.Items {
		if a.Statement == nil {
			continue
		}
		if int64(len(*a.Statement)) > e.limits.MaxProvenance {
			return nil, &tooLargeError{"the attestation", e.limits.MaxProvenance}
		}
		return *a.Statement, nil
	}
	return nil, nil
}
