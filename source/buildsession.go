package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc"
)

// attachables are what the builder may ask this side for during a build.
func (b *Build) attachables(auth session.Attachable) ([]session.Attachable, error) {
	out := []session.Attachable{auth}
	if len(b.Secrets) > 0 {
		out = append(out, secretsprovider.FromMap(b.Secrets))
	}
	if len(b.SSH) > 0 {
		var agents []sshprovider.AgentConfig
		for _, id := range slices.Sorted(maps.Keys(b.SSH)) {
			agents = append(agents, sshprovider.AgentConfig{ID: id, Paths: b.SSH[id]})
		}
		p, err := sshprovider.NewSSHAgentProvider(agents)
		if err != nil {
			return nil, usageError("building: the ssh agent: %s", show(err.Error()))
		}
		out = append(out, p)
	}
	return out, nil
}

// sessionLogins answers a builder that needs a login to pull a base image or to read
// or write a cache.
type sessionLogins struct {
	auth.UnimplementedAuthServer
	keychain authn.Keychain
}

// Register adds it to a session.
func (l *sessionLogins) Register(s *grpc.Server) { auth.RegisterAuthServer(s, l) }

// Credentials returns the login for a registry, empty for none.
func (l *sessionLogins) Credentials(ctx context.Context, req *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	host := req.Host
	if host == "registry-1.docker.io" {
		host = name.DefaultRegistry
	}
	reg, err := name.NewRegistry(host)
	if err != nil {
		return &auth.CredentialsResponse{}, nil
	}
	found, err := authn.Resolve(ctx, l.keychain, reg)
	if err != nil {
		// Its words may hold what it was asked for.
		return nil, fmt.Errorf("reading credentials for %s failed; run docker login %s", reg.RegistryStr(), reg.RegistryStr())
	}
	cfg, err := authn.Authorization(ctx, found)
	if err != nil {
		return nil, fmt.Errorf("reading credentials for %s failed; run docker login %s", reg.RegistryStr(), reg.RegistryStr())
	}
	if cfg.IdentityToken != "" {
		return &auth.CredentialsResponse{Secret: cfg.IdentityToken}, nil
	}
	return &auth.CredentialsResponse{Username: cfg.Username, Secret: cfg.Password}, nil
}

// inbox takes the small documents of a built image, and turns down its layers
// as if it had them: they are read from the builder when they are wanted.
type inbox struct {
	content.Store // nil: a builder only writes
	limits        Limits

	mu   sync.Mutex
	docs map[string][]byte
	held int64
}

// maxInbox bounds all documents of one build together.
const maxInbox = 64 << 20

// Info says what is there.
func (in *inbox) Info(_ context.Context, dgst digest.Digest) (content.Info, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	raw, ok := in.docs[dgst.String()]
	if !ok {
		return content.Info{}, errdefs.ErrNotFound
	}
	return content.Info{Digest: dgst, Size: int64(len(raw))}, nil
}

// Status knows no transfer that could go on.
func (in *inbox) Status(context.Context, string) (content.Status, error) {
	return content.Status{}, errdefs.ErrNotFound
}

// ListStatuses likewise.
func (in *inbox) ListStatuses(context.Context, ...string) ([]content.Status, error) { return nil, nil }

// Abort has nothing to undo.
func (in *inbox) Abort(context.Context, string) error { return nil }

// Update keeps no labels.
func (in *inbox) Update(_ context.Context, info content.Info, _ ...string) (content.Info, error) {
	return info, nil
}

// Writer takes a document. What it is comes from the name that BuildKit gives
// to each transfer.
func (in *inbox) Writer(_ context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	var o content.WriterOpts
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(o.Ref, "layer-") {
		return nil, errdefs.ErrAlreadyExists
	}
	limit := max(in.limits.MaxManifest, in.limits.MaxConfig)
	if o.Desc.Size > limit {
		return nil, &tooLargeError{"a document of the built image", limit}
	}
	return &letter{in: in, ref: o.Ref, limit: limit}, nil
}

// letter is one document on its way in.
type letter struct {
	in    *inbox
	ref   string
	limit int64
	data  bytes.Buffer
}

func (l *letter) Write(p []byte) (int, error) {
	if int64(l.data.Len()+len(p)) > l.limit {
		return 0, &tooLargeError{"a document of the built image", l.limit}
	}
	return l.data.Write(p)
}

func (l *letter) Close() error { return nil }

func (l *letter) Digest() digest.Digest { return digest.FromBytes(l.data.Bytes()) }

func (l *letter) Commit(_ context.Context, _ int64, expected digest.Digest, _ ...content.Opt) error {
	got := l.Digest()
	if expected != "" && expected != got {
		return fmt.Errorf("the builder sent %s as %s", got, expected)
	}
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	if l.in.held += int64(l.data.Len()); l.in.held > maxInbox {
		return &tooLargeError{"the documents of the built image", maxInbox}
	}
	l.in.docs[got.String()] = l.data.Bytes()
	return nil
}

func (l *letter) Status() (content.Status, error) {
	return content.Status{Ref: l.ref, Offset: int64(l.data.Len())}, nil
}

func (l *letter) Truncate(size int64) error {
	if size < 0 || size > int64(l.data.Len()) {
		return errdefs.ErrInvalidArgument
	}
	l.data.Truncate(int(size))
	return nil
}

func (in *inbox) manifest(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return in.document(d, "manifest")
}

func (in *inbox) config(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return in.document(d, "config")
}

// attestation is one of an image that was just built: the build itself is known.
func (in *inbox) attestation(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return in.document(d, "attestation")
}

func (in *inbox) document(d v1.Descriptor, what string) ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	raw, ok := in.docs[d.Digest.String()]
	if !ok {
		return nil, fmt.Errorf("reading %s: the builder did not send %s", what, d.Digest)
	}
	return raw, nil
}

var _ io.Writer = (*letter)(nil)
