package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ErrTooLarge is wrapped by errors that say that a registry takes no blob of
// such a size.
var ErrTooLarge = errors.New("the registry takes no blob of this size")

const (
	// maxTags bounds the tags of one repository, and so what listing them costs.
	maxTags = 20_000
	// tagPage is how many are asked for at once: more than 1000 are refused by
	// some registries.
	tagPage = 1000
	// uploadRate is the slowest upload that is waited for, in bytes per second.
	uploadRate = 16 << 10
)

// emptyConfig is the config of an artifact, which has none.
const emptyConfig = "{}"

var tagForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// Artifacts is a repository of a registry as a place for documents that are no
// images. Reading asks for no more than leave to read. It may be used by several
// goroutines.
type Artifacts struct {
	registries *registries
	repo       name.Repository
	limits     Limits
	wait       waiter

	mu        sync.Mutex
	hasConfig map[string]bool // by type of artifact
}

// Artifact is a manifest that names blobs. Its type is its artifactType and the
// media type of its config, which is an empty object: registries that know only
// the one or the other keep it.
type Artifact struct {
	Type        string
	Annotations map[string]string
	Blobs       []Blob
	// Digest is that of the manifest. Fetch fills it in.
	Digest string
}

// Blob describes content of a repository.
type Blob struct {
	MediaType   string
	Digest      string
	Size        int64
	Annotations map[string]string
}

// Artifacts returns the repository that is named HOST/PATH, reached with the
// logins and connections of o. It asks nobody yet; a name that is none is an
// error that wraps ErrUsage.
func (o *Opener) Artifacts(repository string) (*Artifacts, error) {
	repo, err := name.NewRepository(strings.TrimPrefix(repository, "docker://"))
	if err != nil {
		return nil, usageError("parsing repository %q: it is not HOST/PATH in lower case", show(withoutUserinfo(repository)))
	}
	return &Artifacts{registries: o.registries, repo: repo, limits: o.cfg.Limits, wait: o.cfg.Wait, hasConfig: map[string]bool{}}, nil
}

// Tags lists all tags of the repository. It is ErrNotFound if there is no such
// repository, or an error that says why the registry cannot be asked, or that
// there are too many.
func (a *Artifacts) Tags(ctx context.Context) ([]string, error) {
	repo, err := a.login(ctx, transport.PullScope)
	if err != nil {
		return nil, err
	}
	var tags []string
	seen := map[string]bool{}
	next := fmt.Sprintf("/tags/list?n=%d", tagPage)
	for next != "" {
		raw, header, err := a.read(ctx, repo, next, nil, a.limits.MaxManifest, "its list of tags")
		if err != nil {
			return nil, err
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, fmt.Errorf("listing the tags of %s: the answer is not a registry's; check the registry's address", a)
		}
		fresh := 0
		for _, tag := range page.Tags {
			if tagForm.MatchString(tag) && !seen[tag] {
				seen[tag] = true
				tags = append(tags, tag)
				fresh++
			}
		}
		if len(tags) > maxTags {
			return nil, fmt.Errorf("listing the tags of %s: there are more than %d; remove old ones, or use another repository", a, maxTags)
		}
		if next, err = a.nextPage(header, page.Tags); err != nil {
			return nil, err
		}
		if fresh == 0 {
			break // a registry that begins again does not end
		}
	}
	slices.Sort(tags)
	return tags, nil
}

// nextPage is the path of the page that follows, "" after the last one. A full
// page without a link may be the last one, or a registry's that knows no links.
func (a *Artifacts) nextPage(header http.Header, tags []string) (string, error) {
	link := header.Get("Link")
	if link == "" {
		if len(tags) != tagPage {
			return "", nil
		}
		return fmt.Sprintf("/tags/list?n=%d&last=%s", tagPage, url.QueryEscape(tags[len(tags)-1])), nil
	}
	target, _, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	u, err := url.Parse(target)
	if !ok || err != nil || u.Host != "" && u.Host != a.repo.RegistryStr() || u.RawQuery == "" {
		return "", fmt.Errorf("listing the tags of %s: the registry leads to a next page that is not its own", a)
	}
	// Only the query is taken over: the page is of this repository.
	return "/tags/list?" + u.RawQuery, nil
}

// Fetch reads the manifest under a tag or a digest. It is ErrNotFound if there is
// none; an error also says that it is no artifact, or is not what its digest
// says.
func (a *Artifacts) Fetch(ctx context.Context, tag string) (*Artifact, error) {
	repo, err := a.login(ctx, transport.PullScope)
	if err != nil {
		return nil, err
	}
	raw, _, err := a.read(ctx, repo, "/manifests/"+tag, http.Header{"Accept": {manifestAccept}}, a.limits.MaxManifest, "the manifest of "+show(tag))
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(tag, "sha256:") {
		if err := checkDigest(raw, tag); err != nil {
			return nil, fmt.Errorf("reading the manifest of %s in %s: %w", show(tag), a, err)
		}
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of %s in %s: it is not a JSON manifest", show(tag), a)
	}
	art := &Artifact{Type: m.ArtifactType, Annotations: m.Annotations, Digest: sum(raw)}
	if art.Type == "" {
		art.Type = string(m.Config.MediaType)
	}
	for _, d := range m.Layers {
		b := Blob{string(d.MediaType), d.Digest.String(), d.Size, d.Annotations}
		if _, err := digestHex(b.Digest); err != nil || b.Size < 0 {
			return nil, fmt.Errorf("reading the manifest of %s in %s: it names a blob of %d bytes with the digest %q", show(tag), a, b.Size, show(b.Digest))
		}
		art.Blobs = append(art.Blobs, b)
	}
	return art, nil
}

// Blob reads a blob whole and checks it against its digest; the caller bounds
// b.Size. It is ErrNotFound if there is none; an error also says that the
// registry sent something else.
func (a *Artifacts) Blob(ctx context.Context, b Blob) ([]byte, error) {
	repo, err := a.login(ctx, transport.PullScope)
	if err != nil {
		return nil, err
	}
	// Asked for as it is, or the transport would unpack what comes compressed.
	raw, _, err := a.read(ctx, repo, "/blobs/"+b.Digest, http.Header{"Accept-Encoding": {"identity"}}, b.Size, "the blob "+b.Digest)
	if err != nil {
		return nil, err
	}
	if err := checkDigest(raw, b.Digest); err != nil {
		return nil, fmt.Errorf("reading a blob of %s: %w", a, err)
	}
	return raw, nil
}

// Upload puts content into the repository, unless it is there, and returns its
// description. It is ErrTooLarge where that is what the registry says; other
// errors say why it could not be written.
func (a *Artifacts) Upload(ctx context.Context, mediaType string, data []byte) (Blob, error) {
	b := Blob{MediaType: mediaType, Digest: sum(data), Size: int64(len(data))}
	err := a.write(ctx, len(data), func(ctx context.Context, p *remote.Pusher) error {
		return p.Upload(ctx, a.repo, static.NewLayer(data, types.MediaType(mediaType)))
	})
	return b, err
}

// Push puts an artifact, whose blobs are uploaded, under a tag: in the place of
// what was there. An error says why it could not be written.
func (a *Artifacts) Push(ctx context.Context, tag string, art Artifact) error {
	if !tagForm.MatchString(tag) {
		return fmt.Errorf("internal error: %q is no tag", tag)
	}
	config, err := a.config(ctx, art.Type)
	if err != nil {
		return err
	}
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: art.Type,
		Layers: []v1.Descriptor{}, Annotations: art.Annotations,
	}
	for i, b := range append([]Blob{config}, art.Blobs...) {
		h, err := v1.NewHash(b.Digest)
		if err != nil {
			return fmt.Errorf("internal error: %w", err)
		}
		d := v1.Descriptor{MediaType: types.MediaType(b.MediaType), Digest: h, Size: b.Size, Annotations: b.Annotations}
		if i == 0 {
			m.Config = d
			continue
		}
		m.Layers = append(m.Layers, d)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing a manifest: %w", err)
	}
	if int64(len(raw)) > a.limits.MaxManifest {
		return fmt.Errorf("writing a manifest to %s: it has %d bytes, at most %d can be read again", a, len(raw), a.limits.MaxManifest)
	}
	return a.write(ctx, len(raw), func(ctx context.Context, p *remote.Pusher) error {
		return p.Put(ctx, a.repo.Tag(tag), manifestBytes(raw))
	})
}

// config uploads the config of artifacts, once.
func (a *Artifacts) config(ctx context.Context, mediaType string) (Blob, error) {
	a.mu.Lock()
	there := a.hasConfig[mediaType]
	a.mu.Unlock()
	b := Blob{MediaType: mediaType, Digest: sum([]byte(emptyConfig)), Size: int64(len(emptyConfig))}
	if there {
		return b, nil
	}
	if _, err := a.Upload(ctx, mediaType, []byte(emptyConfig)); err != nil {
		return b, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hasConfig[mediaType] = true
	return b, nil
}

// manifestBytes is a manifest as package remote wants it.
type manifestBytes []byte

func (m manifestBytes) RawManifest() ([]byte, error) { return m, nil }

func (m manifestBytes) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// Delete removes a manifest by its digest, or a tag. It is ErrNotFound if there
// is none, and errors.ErrUnsupported where the registry lets nothing be deleted;
// other errors say why it could not be.
func (a *Artifacts) Delete(ctx context.Context, reference string) error {
	repo, err := a.login(ctx, transport.DeleteScope)
	if err != nil {
		return err
	}
	resp, err := repo.request(withBudget(ctx, newBudget()), http.MethodDelete, "/manifests/"+reference, nil, http.StatusOK, http.StatusAccepted, http.StatusNoContent)
	if err != nil {
		return a.explain(ctx, "deleting from", err)
	}
	return resp.Body.Close()
}

// String is the name of the repository.
func (a *Artifacts) String() string { return a.repo.Name() }

func (a *Artifacts) login(ctx context.Context, actions string) (*repository, error) {
	doing := "reading from"
	if actions != transport.PullScope {
		doing = "writing to"
	}
	repo, err := a.registries.repository(ctx, a.repo, actions)
	if err != nil {
		return nil, a.explain(ctx, doing, err)
	}
	return repo, nil
}

// read reads one document of at most limit bytes; what names it in errors.
func (a *Artifacts) read(ctx context.Context, repo *repository, path string, header http.Header, limit int64, what string) ([]byte, http.Header, error) {
	raw, got, err := repo.document(ctx, path, header, a.wait, limit, func(ctx context.Context, err error) error {
		return a.explain(ctx, "reading from", err)
	})
	if errors.Is(err, errTooLarge) {
		err = fmt.Errorf("reading from %s: %s is larger than the %d bytes that it may have", a, what, limit)
	}
	return raw, got, err
}

// write runs one upload, from its beginning again when it breaks. A pusher does
// not repeat anything by itself: requests that may be repeated are so by the
// transport.
func (a *Artifacts) write(ctx context.Context, size int, upload func(context.Context, *remote.Pusher) error) error {
	repo, err := a.login(ctx, transport.PushScope)
	if err != nil {
		return err
	}
	tries := newBudget()
	for {
		err := a.writeOnce(withBudget(ctx, tries), repo, size, upload)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !mayBegin(err) || !tries.again(ctx, a.wait, 0) {
			return a.explain(ctx, "writing to", err)
		}
	}
}

func (a *Artifacts) writeOnce(ctx context.Context, repo *repository, size int, upload func(context.Context, *remote.Pusher) error) error {
	// Nothing tells how far an upload is, so it has a time to be done in.
	ctx, cancel := context.WithTimeout(ctx, repo.stall+time.Duration(size/uploadRate)*time.Second)
	defer cancel()
	never := func(error) bool { return false }
	p, err := remote.NewPusher(remote.WithTransport(repo.client.Transport), remote.WithRetryPredicate(never), remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
	if err != nil {
		return err
	}
	return upload(ctx, p)
}

// mayBegin reports whether an upload that failed is worth another one: the
// connection broke, the registry lost or mixed up what had come of it, or does
// not see a blob for the moment in which somebody else uploads the same one, as
// distribution on a file system does not.
func mayBegin(err error) bool {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return passingError(err)
	}
	for _, d := range answer.Errors {
		switch d.Code {
		case transport.BlobUploadUnknownErrorCode, transport.BlobUploadInvalidErrorCode, transport.DigestInvalidErrorCode, transport.ManifestBlobUnknownErrorCode:
			return true
		}
	}
	return passing(&http.Response{StatusCode: answer.StatusCode}, nil) || answer.StatusCode == http.StatusRequestedRangeNotSatisfiable
}

// explain says what to do about a failed request.
func (a *Artifacts) explain(ctx context.Context, doing string, err error) error {
	return explain(ctx, doing, a.repo.RegistryStr(), err, func(answer *transport.Error) error { return a.explainStatus(doing, answer) })
}

func (a *Artifacts) explainStatus(doing string, e *transport.Error) error {
	host, codes := a.repo.RegistryStr(), statusCodes(e)
	deleting := doing == "deleting from"
	unsupported := slices.ContainsFunc(e.Errors, func(d transport.Diagnostic) bool { return d.Code == transport.UnsupportedErrorCode })
	switch {
	case deleting && (e.StatusCode == http.StatusMethodNotAllowed || e.StatusCode == http.StatusNotImplemented || unsupported):
		return &explained{msg: fmt.Sprintf("%s does not let anything be deleted from %s (%s); turn deletion on in the registry, or delete old tags the way it offers itself: on ghcr.io, the package's versions", host, a, codes), is: errors.ErrUnsupported}
	case e.StatusCode == http.StatusNotFound && e.Request != nil && e.Request.URL.Path == "/v2/":
		return &explained{msg: fmt.Sprintf("%s does not answer as a registry does (%s); check the registry's address", host, codes)}
	case e.StatusCode == http.StatusNotFound && doing == "writing to":
		return &explained{msg: fmt.Sprintf("%s has no repository %s to write to (%s); create it first", host, a, codes), is: ErrNotFound}
	case e.StatusCode == http.StatusNotFound:
		return &explained{msg: fmt.Sprintf("%s does not hold that in %s (%s)", host, a, codes), is: ErrNotFound}
	case e.StatusCode == http.StatusUnauthorized, e.StatusCode == http.StatusForbidden:
		if doing == "reading from" {
			return &explained{msg: fmt.Sprintf("%s does not let %s be read (%s), or it is not there yet; run docker login %s, or pass a user name and password that may pull it", host, a, codes, host)}
		}
		return &explained{msg: fmt.Sprintf("%s does not let %s be written (%s); run docker login %s, or pass a user name and password that may push to it: on ghcr.io, a workflow's token may with 'packages: write' in its permissions, and write access in the package's settings where another repository made the package", host, a, codes, host)}
	case e.StatusCode == http.StatusRequestEntityTooLarge:
		return &explained{msg: fmt.Sprintf("%s takes no blob of that size (%s)", host, codes), is: ErrTooLarge}
	case e.StatusCode == http.StatusTooManyRequests:
		return &explained{msg: fmt.Sprintf("%s limits how much may be asked of it (%s); log in, or try again later", host, codes)}
	}
	return &explained{msg: fmt.Sprintf("%s answered %s while %s %s; try again later, or check the registry", host, codes, doing, a)}
}
