// Package source opens container images where they are: in a registry, in a
// local engine, in an OCI layout, or in an archive of either kind.
//
// Its job is to find an image by reference, read its manifest and config, and
// pass the layers, unpacked, to a visitor in one pass. It does not look inside
// a layer, keeps no copy of one, and writes nothing but what a caller puts into
// a registry as [Artifacts].
//
// What always holds: a document or blob whose digest is known is checked
// against it, and a mismatch is an error; a layer's compression is told by its
// first bytes, never by a media type or a file name; every length that comes
// from outside is bounded, and reaching the bound is an error; a transfer that
// broke is started again or reported, never cut short silently; no error text
// holds a password, a token or a signed address.
package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ErrNotFound is wrapped by errors that say that the source was reached and
// does not hold the image: no such tag, digest, file or engine image.
var ErrNotFound = errors.New("image not found")

// ErrUsage is wrapped by errors that say that a reference or a platform is not
// written as one: nothing was looked for, and trying again is no use.
var ErrUsage = errors.New("bad reference or platform")

// usageError is an ErrUsage with a text of its own.
func usageError(format string, args ...any) error {
	return &explained{msg: fmt.Sprintf(format, args...), is: ErrUsage}
}

// Config says how images are reached. The zero value reads anonymously, from
// the default engine socket, within the default limits.
type Config struct {
	// Now tells the time, for the names of images that are built and forgotten
	// again. Without it, Sweep cannot tell how old they are, and leaves them.
	Now func() time.Time
	// Platform is the platform wanted, as OS/ARCH or OS/ARCH/VARIANT. Empty
	// means the only one there is, else linux on the architecture this
	// program was built for.
	Platform string
	// Keychain finds registry credentials; nil is anonymous.
	Keychain authn.Keychain
	// Transport carries registry requests; nil is a transport with the usual
	// timeouts that honours the proxy environment.
	Transport http.RoundTripper
	// Engine says where the container engine listens.
	Engine Engine
	// Wait sleeps between two tries, returning early with the context's error;
	// nil waits on a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Limits bounds what is read.
	Limits Limits
	// UserAgent is sent to registries and engines; empty is the libraries' own.
	UserAgent string
}

// Engine says where a container engine listens, in the words of DOCKER_HOST,
// DOCKER_API_VERSION, DOCKER_CERT_PATH and DOCKER_TLS_VERIFY. The zero value is
// the platform's default socket with a negotiated API version.
type Engine struct {
	Host       string // unix:///path or tcp://host:port
	APIVersion string // "1.41"; empty negotiates
	CertPath   string // directory of ca.pem, cert.pem and key.pem; empty is plain
	TLSVerify  bool   // whether the engine's certificate must be valid
}

// Limits bounds what is read from outside. Zero fields take the default named
// beside them; reaching a limit is an error.
type Limits struct {
	MaxManifest   int64 // bytes of one manifest or index: 8 MiB
	MaxConfig     int64 // bytes of one image config: 8 MiB
	MaxProvenance int64 // bytes of one attestation: 16 MiB
	MaxUnpacked   int64 // unpacked bytes of one layer, or of a whole archive that is compressed: 64 GiB
	MaxEntries    int   // entries of one image archive: 100,000
}

func (l Limits) withDefaults() Limits {
	const mib = 1 << 20
	if l.MaxManifest <= 0 {
		l.MaxManifest = 8 * mib
	}
	if l.MaxConfig <= 0 {
		l.MaxConfig = 8 * mib
	}
	if l.MaxProvenance <= 0 {
		l.MaxProvenance = 16 * mib
	}
	if l.MaxUnpacked <= 0 {
		l.MaxUnpacked = 64 << 30
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = 100_000
	}
	return l
}

// Opener opens images that share one configuration, and with it registry
// tokens and connections. It is safe for concurrent use.
type Opener struct {
	cfg        Config
	registries *registries
}

// New returns an Opener for cfg. Mistakes in cfg are reported by Open.
func New(cfg Config) *Opener {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Wait == nil {
		cfg.Wait = waitOnTimer
	}
	return &Opener{cfg: cfg, registries: newRegistries(cfg)}
}

// On returns an Opener that differs from o in the platform it looks for alone,
// written as in Config; it shares o's registry tokens and connections. The
// platform may be an Image's: unknown/unknown asks for none, as "" does. A
// mistake in it is reported by Open.
func (o *Opener) On(platform string) *Opener {
	if platform == unknownPlatform {
		platform = ""
	}
	cfg := o.cfg
	cfg.Platform = platform
	return &Opener{cfg: cfg, registries: o.registries}
}

// Open finds the image that ref names and reads its manifest and config, and no
// layer. The caller closes the image. The forms of ref are those of skopeo, and
// bare names and paths:
//
//	NAME[:TAG|@DIGEST], docker://NAME    a registry
//	docker-daemon:NAME                   the engine
//	oci:DIR[:TAG]                        an OCI layout
//	oci-archive:FILE[:TAG]               a tar of one
//	docker-archive:FILE[:NAME]           what docker save writes
//	PATH[:NAME]                          any of the last three, told by content
//
// The archives may be compressed as a whole with gzip or zstd.
//
// An error that says the image is not there wraps ErrNotFound; one that says the
// reference or the platform is misspelled wraps ErrUsage; the context's wraps
// that. All others say that the source cannot be reached or refused, that the
// image has no such platform, or that what the source holds is no image, is
// damaged, or exceeds a limit.
func (o *Opener) Open(ctx context.Context, ref string) (*Image, error) {
	want, err := parsePlatform(o.cfg.Platform)
	if err != nil {
		return nil, err
	}
	r, err := parseReference(ref)
	if err != nil {
		return nil, err
	}
	var img *Image
	switch r.kind {
	case kindRegistry:
		img, err = o.openRegistry(ctx, r, want)
	case kindEngine:
		img, err = o.openEngine(ctx, r, want)
	case kindLayout:
		img, err = o.openLayout(ctx, r, want)
	default:
		img, err = o.openArchive(ctx, r, want)
	}
	if err != nil {
		return nil, err
	}
	img.Reference = ref
	img.limits = o.cfg.Limits
	img.wait = o.cfg.Wait
	return img, nil
}

// Image is one image of one platform. Its fields are filled by Open; those of
// an engine's image that only its save stream tells are filled by Read, as said
// beside them.
type Image struct {
	Reference    string // as given to Open
	Source       string // "registry", "docker-daemon", "oci", "oci-archive", "docker-archive" or "buildkit"
	Platform     string // OS/ARCH or OS/ARCH/VARIANT, as the config says, with "unknown" for what it does not say; in a-z 0-9 . _ - alone
	Digest       string // of the manifest; "" where the source has none; an engine may tell it only in Read
	ConfigDigest string // of the config; an engine may tell it only in Read
	// RepoDigests are the NAME@DIGEST under which an engine knows the image;
	// nil for every other source.
	RepoDigests []string
	// Config is the image's config. From an engine it holds the diffIDs, the
	// platform and the container settings after Open, and is complete, with
	// its history, after a Read that wanted at least one layer.
	Config *v1.ConfigFile
	// Annotations are the manifest's, with those of its descriptor in the
	// index for keys that the manifest does not have.
	Annotations map[string]string
	// Layers are the image's layers, base first.
	Layers []Layer

	attestations *attestations // nil where there cannot be any

	limits Limits
	wait   waiter
	read   atomic.Int64
	blobs  []blob // one for each layer, where layers can be opened apart
	stream func(context.Context, *pass) error
	closer func() error
	// definition is that of the build; see Definition.
	definition []byte
	warnings   []string
	// engineID is what EngineID returns.
	engineID string
	copier   *copier // nil where there is no engine
}

// Layer is one layer of an image.
type Layer struct {
	DiffID string // digest of the unpacked tar
	// Digest is that of the blob as stored; "" where it is not known, as for
	// a layer that an engine or archive holds unpacked.
	Digest string
	// Size is the stored, compressed size in bytes; -1 where it is not known,
	// as for a layer held unpacked. From an engine, Digest and Size are filled
	// by Read where its stream holds the layer compressed.
	Size      int64
	MediaType string // as the manifest says; "" where there is none
	Foreign   bool   // its blob need not be in the registry (Windows base layers)
}

// BlobBytesRead returns the bytes of layer blobs read so far, as stored or
// transferred: repeated transfers count again, manifests and configs do not
// count.
func (img *Image) BlobBytesRead() int64 { return img.read.Load() }

// Close releases what the image holds open, and returns the error of closing it.
// A second call does nothing and returns nil.
func (img *Image) Close() error {
	if img.closer == nil {
		return nil
	}
	c := img.closer
	img.closer = nil
	return c()
}

func waitOnTimer(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
