package source

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxInspect bounds an engine's answers other than an image's save stream.
const maxInspect = 16 << 20

// engine is one image's way to its engine.
type engine struct {
	api    *client.Client
	host   string
	name   string // as asked for
	id     string // as the engine calls it, so that a moved tag changes nothing
	target string // digest of what the containerd store calls the image; ""
	plat   ocispec.Platform
	limits Limits
	// building tells that no image is looked for.
	building bool
}

func (o *Opener) openEngine(ctx context.Context, ref reference, want platform) (*Image, error) {
	e := &engine{name: ref.name, host: o.cfg.Engine.Host, limits: o.cfg.Limits}
	if e.host == "" {
		e.host = client.DefaultDockerHost
	}
	var err error
	if e.api, err = dialEngine(o.cfg.Engine, e.host, o.cfg.UserAgent); err != nil {
		return nil, err
	}
	img, err := e.inspect(ctx, want)
	if err != nil {
		e.api.Close()
		return nil, err
	}
	img.stream = e.readLayers
	if e.target != "" && e.atLeast(55) {
		img.attestations = &attestations{read: e.provenance}
	}
	img.copier = &copier{e: e}
	img.closer = img.copier.close
	img.engineID = e.id
	return img, nil
}

func dialEngine(cfg Engine, host, userAgent string) (*client.Client, error) {
	if strings.HasPrefix(host, "ssh://") {
		return nil, errors.New("reaching the engine: ssh:// is not supported; forward its socket with ssh -L and name that as unix:///path")
	}
	tlsConfig, err := engineTLS(cfg)
	if err != nil {
		return nil, fmt.Errorf("reaching the engine at %s: %w", withoutUserinfo(host), err)
	}
	// Left to itself the client takes any transport for one that speaks TLS,
	// because preparing it for HTTP/2 gives it a TLS config. A map of no
	// protocols keeps it from that, which connections that are taken over for
	// builds and commands need.
	scheme := "http"
	if tlsConfig != nil {
		scheme = "https"
	}
	opts := []client.Opt{
		client.WithHTTPClient(&http.Client{
			// A save stream is large; the default buffer would read it in 4 KiB.
			Transport: &http.Transport{
				TLSClientConfig: tlsConfig, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
				ReadBufferSize: chunkSize, MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second,
			},
			CheckRedirect: client.CheckRedirect,
		}),
		client.WithHost(host),
		client.WithScheme(scheme),
		client.WithAPIVersion(cfg.APIVersion),
		client.WithResponseHook(boundAnswer),
	}
	if userAgent != "" {
		opts = append(opts, client.WithUserAgent(userAgent))
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("reaching the engine at %s: the address or the API version cannot be used; write unix:///path or tcp://host:port, and a version such as 1.41", withoutUserinfo(host))
	}
	return api, nil
}

// boundAnswer keeps an engine from answering without end where the client
// would hold the whole answer.
func boundAnswer(resp *http.Response) {
	if !strings.HasSuffix(resp.Request.URL.Path, "/images/get") || resp.StatusCode != http.StatusOK {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxInspect}
	}
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &tooLargeError{"the engine's answer", maxInspect}
	}
	return n, err
}

func engineTLS(cfg Engine) (*tls.Config, error) {
	if cfg.CertPath == "" && !cfg.TLSVerify {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !cfg.TLSVerify}
	if cfg.CertPath == "" {
		return t, nil
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(cfg.CertPath, "cert.pem"), filepath.Join(cfg.CertPath, "key.pem"))
	if err != nil {
		return nil, fmt.Errorf("its client certificate cannot be used; check cert.pem and key.pem in %s", cfg.CertPath)
	}
	t.Certificates = []tls.Certificate{pair}
	ca, err := os.ReadFile(filepath.Join(cfg.CertPath, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("its authority's certificate cannot be read; check ca.pem in %s", cfg.CertPath)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("its authority's certificate cannot be used; check ca.pem in %s", cfg.CertPath)
	}
	return t, nil
}

// inspect asks the engine what it has under the name.
func (e *engine) inspect(ctx context.Context, want platform) (*Image, error) {
	if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, e.explain(ctx, err)
	}
	var opts []client.ImageInspectOption
	if !want.zero() && e.atLeast(49) {
		opts = append(opts, client.ImageInspectWithPlatform(&ocispec.Platform{OS: want.os, Architecture: want.arch, Variant: want.variant}))
	}
	got, err := e.api.ImageInspect(ctx, e.name, opts...)
	if errdefs.IsNotFound(err) && len(opts) > 0 {
		// The image may be there for another platform.
		if other, err := e.api.ImageInspect(ctx, e.name); err == nil {
			return nil, fmt.Errorf("opening docker-daemon:%s: %w", e.name, &wrongPlatformError{want, newPlatform(other.Os, other.Architecture, other.Variant)})
		}
	}
	if err != nil {
		return nil, e.explain(ctx, err)
	}
	if err := checkPlatform(got.Os, got.Architecture, got.Variant); err != nil {
		return nil, fmt.Errorf("opening docker-daemon:%s: %w", e.name, err)
	}
	have := newPlatform(got.Os, got.Architecture, got.Variant)
	if !want.zero() && !want.matches(have) {
		return nil, fmt.Errorf("opening docker-daemon:%s: %w", e.name, &wrongPlatformError{want, have})
	}
	e.id = got.ID
	if len(opts) > 0 {
		// The answer for one platform carries an ID that save does not know.
		whole, err := e.api.ImageInspect(ctx, e.name)
		if err != nil {
			return nil, e.explain(ctx, err)
		}
		e.id = whole.ID
	}
	if got.Descriptor != nil {
		e.target = got.Descriptor.Digest.String()
	}
	e.plat = ocispec.Platform{OS: got.Os, Architecture: got.Architecture, Variant: got.Variant, OSVersion: got.OsVersion}
	if len(got.RootFS.Layers) == 0 {
		if have.os == "" {
			have = want
		}
		return nil, fmt.Errorf("opening docker-daemon:%s: the engine holds no layers of it for %s; pull or build it for that platform, or choose another with --platform", e.name, show(have.String()))
	}
	return e.image(got, have)
}

func (e *engine) image(got client.ImageInspectResult, have platform) (*Image, error) {
	cfg := &v1.ConfigFile{
		OS: got.Os, Architecture: got.Architecture, Variant: got.Variant, OSVersion: got.OsVersion,
		RootFS: v1.RootFS{Type: got.RootFS.Type},
	}
	// The two types have the same JSON, which is the config's own.
	if raw, err := json.Marshal(got.Config); err == nil && got.Config != nil {
		if err := json.Unmarshal(raw, &cfg.Config); err != nil {
			return nil, fmt.Errorf("opening docker-daemon:%s: reading the engine's answer: %w", e.name, err)
		}
	}
	img := &Image{
		Source: string(kindEngine), Platform: have.String(), RepoDigests: got.RepoDigests, Config: cfg,
		Annotations: map[string]string{}, Layers: make([]Layer, len(got.RootFS.Layers)),
	}
	switch {
	case got.Descriptor == nil && strings.HasPrefix(got.ID, "sha256:"):
		img.ConfigDigest = got.ID // what an ID is outside the containerd store
	case got.Descriptor != nil && types.MediaType(got.Descriptor.MediaType).IsImage():
		img.Digest = e.target
	}
	for i, id := range got.RootFS.Layers {
		if _, err := digestHex(id); err != nil {
			return nil, fmt.Errorf("opening docker-daemon:%s: layer %d: %w", e.name, i, err)
		}
		h, err := v1.NewHash(id)
		if err != nil {
			return nil, fmt.Errorf("opening docker-daemon:%s: layer %d: %w", e.name, i, err)
		}
		cfg.RootFS.DiffIDs = append(cfg.RootFS.DiffIDs, h)
		img.Layers[i] = Layer{DiffID: id, Size: -1}
	}
	return img, nil
}

// atLeast reports whether the negotiated API is 1.minor or newer.
func (e *engine) atLeast(minor int) bool {
	major, rest, _ := strings.Cut(e.api.ClientVersion(), ".")
	n, err := strconv.Atoi(rest)
	return err == nil && (major != "1" || n >= minor)
}

// readLayers reads the image's save stream, once and front to back.
func (e *engine) readLayers(ctx context.Context, p *pass) error {
	var opts []client.ImageSaveOption
	if e.atLeast(48) {
		opts = append(opts, client.ImageSaveWithPlatforms(e.plat))
	}
	// An early end closes the connection, which stops the engine.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := e.api.ImageSave(ctx, []string{e.id}, opts...)
	if err != nil {
		return e.explain(ctx, err)
	}
	defer body.Close()
	s := newSaveStream(p, e.id, e.target)
	err = s.read(ctx, tar.NewReader(body))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("reading from the engine: %w", ctx.Err())
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("reading from the engine: its stream of docker-daemon:%s broke off; see the engine's log, and try again (%w)", e.name, err)
	case err != nil:
		return fmt.Errorf("reading docker-daemon:%s: %w", e.name, err)
	}
	return nil
}

// explain turns a failed call into one sentence with what to do next.
func (e *engine) explain(ctx context.Context, err error) error {
	host := withoutUserinfo(e.host)
	registry := "; an image in a registry is written docker://NAME"
	if e.building {
		registry = "; a BuildKit without an engine is named as a builder"
	} else if !strings.HasPrefix(e.name, "sha256:") {
		registry = "; an image in its registry is written docker://" + e.name
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("reading from the engine: %w", ctx.Err())
	case errdefs.IsNotFound(err):
		return &explained{msg: fmt.Sprintf("the engine at %s has no image %s; pull or build it first%s", host, e.name, registry), is: ErrNotFound}
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("no engine answers at %s (%s); start it, or name its socket in DOCKER_HOST%s", host, engineCause(err), registry)
	}
	return fmt.Errorf("the engine at %s refused docker-daemon:%s: %s", host, e.name, show(err.Error()))
}

func engineCause(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "no such socket"
	case errors.Is(err, os.ErrPermission), bytes.Contains([]byte(err.Error()), []byte("permission denied")):
		return "permission denied"
	}
	if cause := tlsCause(err); cause != "" {
		return cause
	}
	return "the connection failed"
}
