package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// stallTimeout ends a transfer of which nothing has come for so long.
const stallTimeout = 2 * time.Minute

// registries keeps one authenticated client for each repository and for what
// may be done there.
type registries struct {
	keychain authn.Keychain
	base     http.RoundTripper
	stall    time.Duration

	mu    sync.Mutex
	repos map[string]*repository // by scope
}

// repository is a repository of a registry, and the client that may read it, or
// write it.
type repository struct {
	repo  name.Repository
	stall time.Duration

	mu     sync.Mutex
	client *http.Client // nil until a login succeeded
}

func newRegistries(cfg Config) *registries {
	base := cfg.Transport
	if base == nil {
		base = defaultTransport()
	}
	keychain := cfg.Keychain
	if keychain == nil {
		keychain = authn.NewMultiKeychain()
	}
	return &registries{
		keychain: keychain,
		base:     transport.NewUserAgent(&retrying{base: base, wait: cfg.Wait}, cfg.UserAgent),
		stall:    stallTimeout,
		repos:    map[string]*repository{},
	}
}

func defaultTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		ReadBufferSize:        64 << 10,
	}
}

// repository returns the one for repo, logged in for some actions: a token that
// may read is granted where one that may write is not. A login that failed is
// tried anew by the next caller.
func (r *registries) repository(ctx context.Context, repo name.Repository, actions string) (*repository, error) {
	scope := repo.Scope(actions)
	r.mu.Lock()
	p := r.repos[repo.RegistryStr()+" "+scope]
	if p == nil {
		p = &repository{repo: repo, stall: r.stall}
		r.repos[repo.RegistryStr()+" "+scope] = p
	}
	r.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		return p, nil
	}
	auth, err := authn.Resolve(ctx, r.keychain, repo)
	if err != nil {
		// The helper's own words may hold what it was asked for.
		return nil, &explained{msg: fmt.Sprintf("reading credentials for %s: the docker config or its credential helper failed; run docker login %s, or pass a user name and password", repo.RegistryStr(), repo.RegistryStr())}
	}
	tr, err := transport.NewWithContext(ctx, repo.Registry, auth, r.base, []string{scope})
	if err != nil {
		return nil, err
	}
	p.client = &http.Client{Transport: tr, CheckRedirect: checkRedirect}
	return p, nil
}

// checkRedirect refuses redirects that no registry makes and that would have
// this program ask addresses which only its own machine can reach.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return &redirectError{"more than 10 redirects"}
	}
	from, to := via[0].URL, req.URL
	if from.Scheme == "https" && to.Scheme != "https" {
		return &redirectError{"a redirect from https to " + show(to.Scheme)}
	}
	if to.Hostname() != from.Hostname() && ownAddress(to.Hostname()) && !ownAddress(from.Hostname()) {
		return &redirectError{"a redirect to the local address " + show(to.Hostname())}
	}
	return nil
}

func ownAddress(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified())
}

type redirectError struct{ what string }

func (e *redirectError) Error() string { return "refused " + e.what }

// get requests one path of the repository.
func (p *repository) get(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	return p.request(ctx, http.MethodGet, path, header, http.StatusOK)
}

// request asks for one path of the repository, with its query, and wants one of
// the answers ok.
func (p *repository) request(ctx context.Context, method, path string, header http.Header, ok ...int) (*http.Response, error) {
	path, query, _ := strings.Cut(path, "?")
	u := url.URL{Scheme: p.repo.Scheme(), Host: p.repo.RegistryStr(), Path: "/v2/" + p.repo.RepositoryStr() + path, RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := transport.CheckError(resp, ok...); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

var manifestAccept = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList),
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
	string(types.DockerManifestSchema1Signed), string(types.DockerManifestSchema1),
}, ", ")

// registryImage reads the documents of one image and opens its layers.
type registryImage struct {
	repo   *repository
	ref    reference
	limits Limits
	wait   waiter
}

func (o *Opener) openRegistry(ctx context.Context, ref reference, want platform) (*Image, error) {
	n, err := name.ParseReference(ref.name)
	if err != nil {
		return nil, fmt.Errorf("parsing image reference %q", withoutUserinfo(ref.name))
	}
	r := &registryImage{ref: ref, limits: o.cfg.Limits, wait: o.cfg.Wait}
	if r.repo, err = o.registries.repository(ctx, n.Context(), transport.PullScope); err != nil {
		return nil, r.explain(ctx, n.Context(), err)
	}
	raw, err := r.fetch(ctx, "/manifests/"+n.Identifier(), o.cfg.Limits.MaxManifest, "the manifest")
	if err != nil {
		return nil, err
	}
	desc := v1.Descriptor{}
	if d, ok := n.(name.Digest); ok {
		if err := checkDigest(raw, d.DigestStr()); err != nil {
			return nil, fmt.Errorf("reading manifest: %w", err)
		}
	}
	if desc.Digest, err = v1.NewHash(sum(raw)); err != nil {
		return nil, err
	}
	found, err := resolve(ctx, r, want, desc, raw)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref.name, err)
	}
	img, err := found.image(kindRegistry)
	if err != nil {
		return nil, err
	}
	img.attestations = attested(r, found.attestations, o.cfg.Limits)
	for i, l := range img.Layers {
		img.blobs[i].retry = true
		img.blobs[i].open = func(ctx context.Context) (io.ReadCloser, error) { return r.blob(ctx, l) }
	}
	img.wait = o.cfg.Wait
	return img, nil
}

func (r *registryImage) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	return r.fetch(ctx, "/manifests/"+d.Digest.String(), r.limits.MaxManifest, "the manifest")
}

func (r *registryImage) config(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	return r.fetch(ctx, "/blobs/"+d.Digest.String(), r.limits.MaxConfig, "the config")
}

func (r *registryImage) attestation(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	return r.fetch(ctx, "/blobs/"+d.Digest.String(), r.limits.MaxProvenance, "the attestation")
}

// fetch reads one document whole, again when its transfer breaks.
func (r *registryImage) fetch(ctx context.Context, path string, limit int64, what string) ([]byte, error) {
	raw, _, err := r.repo.document(ctx, path, http.Header{"Accept": {manifestAccept}}, r.wait, limit, func(ctx context.Context, err error) error {
		return r.explain(ctx, r.repo.repo, err)
	})
	if errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("reading %s: %w", r.ref.name, &tooLargeError{what, limit})
	}
	return raw, err
}

// errTooLarge is what a document beyond its limit ends in.
var errTooLarge = errors.New("the document is too large")

// document reads what is at a path of the repository whole, again when its
// transfer breaks, with the header that came with it. Explain words an error.
func (p *repository) document(ctx context.Context, path string, header http.Header, wait waiter, limit int64, explain func(context.Context, error) error) ([]byte, http.Header, error) {
	tries := newBudget()
	ctx = withBudget(ctx, tries)
	for {
		raw, got, err := p.documentOnce(ctx, path, header, limit, explain)
		var broken *brokenError
		if err == nil || !errors.As(err, &broken) || ctx.Err() != nil || !tries.again(ctx, wait, 0) {
			return raw, got, err
		}
	}
}

func (p *repository) documentOnce(ctx context.Context, path string, header http.Header, limit int64, explain func(context.Context, error) error) ([]byte, http.Header, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := p.get(ctx, path, header)
	if err != nil {
		return nil, nil, explain(ctx, err)
	}
	defer resp.Body.Close()
	raw, err := readAtMost(newStallGuard(resp.Body, p.stall, cancel), limit, "")
	var tooLarge *tooLargeError
	switch {
	case errors.As(err, &tooLarge):
		return nil, nil, errTooLarge
	case err != nil:
		return nil, nil, &brokenError{explain(ctx, err)}
	}
	return raw, resp.Header, nil
}

// blob opens a layer's stored bytes.
func (r *registryImage) blob(ctx context.Context, l Layer) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	// Without this header the transport would ask for gzip, unpack it, and
	// hand out bytes that the registry does not hold.
	resp, err := r.repo.get(ctx, "/blobs/"+l.Digest, http.Header{"Accept-Encoding": {"identity"}})
	if err != nil {
		cancel()
		var te *transport.Error
		if l.Foreign && errors.As(err, &te) && te.StatusCode == http.StatusNotFound {
			return nil, errors.New("its blob is a foreign one, which the registry does not hold; leave the layer out, or push the image with its foreign layers")
		}
		return nil, r.explain(ctx, r.repo.repo, err)
	}
	return &registryBlob{stallGuard: newStallGuard(resp.Body, r.repo.stall, cancel), image: r, ctx: ctx, body: resp.Body, cancel: cancel}, nil
}

type registryBlob struct {
	*stallGuard
	image  *registryImage
	ctx    context.Context
	body   io.Closer
	cancel context.CancelFunc
}

func (b *registryBlob) Read(p []byte) (int, error) {
	n, err := b.stallGuard.Read(p)
	if err != nil && err != io.EOF {
		err = b.image.explain(b.ctx, b.image.repo.repo, err)
	}
	return n, err
}

func (b *registryBlob) Close() error {
	b.stop()
	b.cancel()
	return b.body.Close()
}

// stallGuard cancels a transfer of which nothing comes any more.
type stallGuard struct {
	r       io.Reader
	after   time.Duration
	timer   *time.Timer
	stalled chan struct{}
}

func newStallGuard(r io.Reader, after time.Duration, cancel context.CancelFunc) *stallGuard {
	g := &stallGuard{r: r, after: after, stalled: make(chan struct{})}
	g.timer = time.AfterFunc(after, sync.OnceFunc(func() { close(g.stalled); cancel() }))
	return g
}

func (g *stallGuard) Read(p []byte) (int, error) {
	g.timer.Reset(g.after)
	n, err := g.r.Read(p)
	g.timer.Stop()
	if err != nil && err != io.EOF {
		select {
		case <-g.stalled:
			err = errStalled
		default:
		}
	}
	return n, err
}

func (g *stallGuard) stop() { g.timer.Stop() }

var errStalled = fmt.Errorf("the registry sent nothing for %s; try again later", stallTimeout)

// explain turns an error of a registry request into one sentence with what to
// do next.
func (r *registryImage) explain(ctx context.Context, repo name.Repository, err error) error {
	return explain(ctx, "reading from", repo.RegistryStr(), err, func(answer *transport.Error) error { return r.explainStatus(repo, answer) })
}

// explain words an error of a registry request; status words an answer that
// came. It takes over nothing that the server or a library phrased: such text
// may repeat credentials or signed addresses.
func explain(ctx context.Context, doing, host string, err error, status func(*transport.Error) error) error {
	var (
		answer  *transport.Error
		done    *explained
		refused *redirectError
	)
	switch {
	case errors.As(err, &done), errors.Is(err, errStalled):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", doing, host, ctx.Err())
	case errors.As(err, &answer):
		return status(answer)
	case errors.As(err, &refused):
		return &explained{msg: fmt.Sprintf("%s %s: %s; check the registry's address", doing, host, refused)}
	}
	return &explained{msg: fmt.Sprintf("%s %s: %s; check the registry's address and the network", doing, host, networkCause(err))}
}

// explained is an error whose text is ours.
type explained struct {
	msg string
	is  error
}

func (e *explained) Error() string { return e.msg }
func (e *explained) Unwrap() error { return e.is }

// networkCause names a connection's failure without the address asked for,
// whose query may be a signature.
func networkCause(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var n net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &n) && n.Timeout():
		return "the connection timed out"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "the connection was closed early"
	case errors.As(err, &op):
		return show(op.Op + ": " + op.Err.Error())
	}
	if cause := tlsCause(err); cause != "" {
		return cause
	}
	return "the answer was not that of a registry"
}
