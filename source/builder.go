package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/containerd/errdefs"
	bk "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Builder says where to build, in the words of buildctl's --addr and --tls
// flags. The zero value is the engine of Config.
type Builder struct {
	// Address is tcp://HOST:PORT, unix:///PATH, or docker-container://NAME, a
	// buildkitd in a container of the engine of Config.
	Address string
	// TLSDir holds ca.pem, cert.pem and key.pem for a tcp builder; "" is no TLS.
	// A folder with ca.pem alone checks the builder and shows no certificate.
	TLSDir string
	// TLSServerName is the name in the builder's certificate; "" is the host.
	TLSServerName string
}

// Check returns an error that wraps ErrUsage if no builder can be meant.
func (b Builder) Check() error {
	if b.Address == "" {
		if b.TLSDir != "" || b.TLSServerName != "" {
			return usageError("TLS files are given for a builder, but no builder: name it, as tcp://HOST:PORT")
		}
		return nil
	}
	u, err := url.Parse(b.Address)
	switch {
	case err != nil, u.User != nil, u.RawQuery != "":
	case u.Scheme == "tcp" && u.Port() != "" && u.Path == "":
		return nil
	case b.TLSDir != "" || b.TLSServerName != "":
		return usageError("TLS files go with a builder of tcp://HOST:PORT, not with %s", show(withoutUserinfo(b.Address)))
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		return nil
	case u.Scheme == "docker-container" && u.Host != "" && u.Path == "":
		return nil
	}
	return usageError("the builder %s is none that I know; write tcp://HOST:PORT, unix:///PATH or docker-container://NAME", show(withoutUserinfo(b.Address)))
}

// builder is a connection to one BuildKit. Whoever holds it releases it once;
// the last one closes it.
type builder struct {
	api     *bk.Client
	address string // for messages
	tls     bool
	// engine is the engine whose BuildKit this is, nil for a buildkitd.
	engine *client.Client
	// through is the engine that leads to a buildkitd in a container.
	through *client.Client
	auth    session.Attachable
	blobs   content.Provider
	holders atomic.Int32
}

func (d *builder) hold() { d.holders.Add(1) }

func (d *builder) release() error {
	if d.holders.Add(-1) > 0 {
		return nil
	}
	err := d.api.Close()
	for _, e := range []*client.Client{d.engine, d.through} {
		if e != nil {
			err = errors.Join(err, e.Close())
		}
	}
	return err
}

// dialBuilder connects and waits until the builder answers.
func (o *Opener) dialBuilder(ctx context.Context, b Builder) (*builder, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	d := &builder{address: b.Address, tls: b.TLSDir != "", auth: &sessionLogins{keychain: o.registries.keychain}}
	d.hold()
	var err error
	switch {
	case b.Address == "":
		err = d.dialEngine(ctx, o)
	case strings.HasPrefix(b.Address, "docker-container://"):
		err = d.dialContainer(ctx, o, strings.TrimPrefix(b.Address, "docker-container://"))
	default:
		var opts []bk.ClientOpt
		if opts, err = b.tls(); err == nil {
			d.api, err = bk.New(ctx, b.Address, opts...)
		}
	}
	if err != nil {
		return nil, err
	}
	d.blobs = proxy.NewContentStore(d.api.ContentClient())
	if _, err := d.api.ListWorkers(ctx); err != nil {
		err = d.unreachable(ctx, err)
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

// tls reads the certificates, so that a mistake is told apart from a builder
// that does not answer.
func (b Builder) tls() ([]bk.ClientOpt, error) {
	if b.TLSDir == "" {
		return nil, nil
	}
	u, err := url.Parse(b.Address)
	if err != nil {
		return nil, err
	}
	server := b.TLSServerName
	if server == "" {
		server = u.Hostname()
	}
	if err := isFolder(b.TLSDir); err != nil {
		return nil, usageError("reaching the builder: its certificates: %v", err)
	}
	ca, cert, key := filepath.Join(b.TLSDir, "ca.pem"), filepath.Join(b.TLSDir, "cert.pem"), filepath.Join(b.TLSDir, "key.pem")
	if _, err := os.Stat(ca); err != nil {
		return nil, usageError("reaching the builder: the authority's certificate cannot be read; check ca.pem in %s", b.TLSDir)
	}
	opts := []bk.ClientOpt{bk.WithServerConfig(server, ca)}
	if _, err := os.Stat(cert); err == nil {
		opts = append(opts, bk.WithCredentials(cert, key))
	}
	return opts, nil
}

// reachEngine connects to the engine of Config, for its BuildKit or for a
// container in it.
func (o *Opener) reachEngine(ctx context.Context) (api *client.Client, host string, err error) {
	if host = o.cfg.Engine.Host; host == "" {
		host = client.DefaultDockerHost
	}
	if api, err = dialEngine(o.cfg.Engine, host, o.cfg.UserAgent); err != nil {
		return nil, "", err
	}
	e := &engine{api: api, host: host, building: true}
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, "", errors.Join(e.explain(ctx, err), api.Close())
	}
	return api, host, nil
}

// dialEngine connects to the BuildKit inside the engine.
func (d *builder) dialEngine(ctx context.Context, o *Opener) error {
	api, host, err := o.reachEngine(ctx)
	if err != nil {
		return err
	}
	d.engine, d.address = api, "the engine at "+withoutUserinfo(host)
	d.api, err = bk.New(ctx, "",
		bk.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return api.DialHijack(ctx, "/grpc", "h2c", nil)
		}),
		bk.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return api.DialHijack(ctx, "/session", proto, meta)
		}))
	if err != nil {
		return errors.Join(d.unreachable(ctx, err), api.Close())
	}
	return nil
}

// dialContainer connects to a buildkitd in a container of the engine, through
// a command that it brings for that.
func (d *builder) dialContainer(ctx context.Context, o *Opener, name string) error {
	api, _, err := o.reachEngine(ctx)
	if err != nil {
		return err
	}
	d.through = api
	d.api, err = bk.New(ctx, "", bk.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return dialExec(ctx, api, name, "buildctl", "dial-stdio")
	}))
	if err != nil {
		return errors.Join(d.unreachable(ctx, err), api.Close())
	}
	return nil
}

// unreachable says that the builder gave no answer.
func (d *builder) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("reaching %s: %w", d.address, ctx.Err())
	}
	cause, advice := builderCause(err), "check that BuildKit runs there and may be reached"
	switch {
	case strings.HasSuffix(cause, "no such file or directory"):
		cause = "there is no such socket"
	case strings.Contains(cause, "server preface: EOF") && !d.tls:
		cause, advice = "it closed the connection", "if it wants TLS, name the folder with ca.pem, cert.pem and key.pem"
	case strings.Contains(cause, "certificate is valid for"):
		advice = "give the name in its certificate, if that is the builder"
	}
	return &explained{msg: fmt.Sprintf("reaching the builder %s: %s; %s", show(d.address), cause, advice)}
}

// builderCause is the end of a chain of errors that a gRPC connection makes,
// which alone says what happened.
func builderCause(err error) string {
	s, ok := status.FromError(err)
	text := err.Error()
	if ok {
		text = s.Message()
	}
	if i := strings.LastIndex(text, "desc = "); i >= 0 {
		text = strings.Trim(text[i+len("desc = "):], `"`)
	}
	return show(strings.TrimPrefix(text, "Unavailable: "))
}

// supports refuses what an old builder would pass over in silence.
func (d *builder) supports(ctx context.Context, b *Build) error {
	if len(b.Contexts) == 0 {
		return nil
	}
	if _, err := d.api.Info(ctx); status.Code(err) == codes.Unimplemented {
		return usageError("building: %s is too old for named contexts; it needs BuildKit 0.11 or Docker 23", show(d.address))
	}
	return nil
}

// blob opens a layer's stored bytes in the builder.
func (d *builder) blob(ctx context.Context, l Layer) (io.ReadCloser, error) {
	r, err := d.blobs.ReaderAt(ctx, ocispec.Descriptor{Digest: digest.Digest(l.Digest), Size: l.Size, MediaType: l.MediaType})
	if err != nil {
		return nil, d.explainBlob(ctx, err)
	}
	return &builtBlob{d: d, ctx: ctx, ReaderAt: r, size: l.Size}, nil
}

type builtBlob struct {
	content.ReaderAt
	d         *builder
	ctx       context.Context
	off, size int64
}

func (b *builtBlob) Read(p []byte) (int, error) {
	if b.off >= b.size {
		return 0, io.EOF
	}
	n, err := b.ReadAt(p[:min(int64(len(p)), b.size-b.off)], b.off)
	b.off += int64(n)
	if err == io.EOF && b.off < b.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		err = b.d.explainBlob(b.ctx, err)
	}
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (d *builder) explainBlob(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("reading from %s: %w", show(d.address), ctx.Err())
	case status.Code(err) == codes.NotFound || errdefs.IsNotFound(err):
		return fmt.Errorf("%s no longer holds it; its cache was pruned between the build and the reading: try again, or give it more room", show(d.address))
	case status.Code(err) == codes.Unimplemented:
		return fmt.Errorf("%s hands out no layers; update it to BuildKit 0.11 or newer", show(d.address))
	}
	return &brokenError{&explained{msg: fmt.Sprintf("reading from %s: %s", show(d.address), builderCause(err))}}
}
