package source

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	bk "github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/moby/client"
	"github.com/tonistiigi/fsutil"
)

// Build says what to build, in the words of docker buildx build. The zero value
// of a field is that command's default, but for Context.
type Build struct {
	// Context is the folder to build, or the URL of a git repository or a tar
	// file that the builder fetches.
	Context string
	// Dockerfile is its path; "" is the file Dockerfile in the context. Of a
	// context that the builder fetches, it is a path in it.
	Dockerfile string
	// Content is the text to build instead of that of the file Dockerfile; nil
	// reads that. The file need not be there then, but its name still says which
	// NAME.dockerignore counts. A context that the builder fetches has none.
	Content []byte
	// Target is the stage to stop at.
	Target string
	// Args are the build arguments, Labels the labels to add.
	Args, Labels map[string]string
	// Contexts are further contexts by name: a folder, docker-image://REF, or
	// a URL.
	Contexts map[string]string
	// Platforms to build for, as OS/ARCH[/VARIANT]; none is the builder's own.
	Platforms []string
	// Secrets are the values that RUN --mount=type=secret sees, by id.
	Secrets map[string][]byte
	// SSH are the agents that RUN --mount=type=ssh reaches: paths of sockets
	// or keys, by id.
	SSH map[string][]string
	// CacheFrom and CacheTo are places of the build cache. A relative folder
	// in one is relative to the current one.
	CacheFrom, CacheTo []CachePlace
	// Network is that of RUN: default, none or host.
	Network string
	// NoCache builds every step anew, Pull asks the registry for base images
	// that the builder has.
	NoCache, Pull bool
	// Tags are names that the image gets in the engine, where it then stays.
	// A remote builder keeps no images, so there they are an error.
	Tags []string

	// Builder is where to build; the zero value is the engine of Config.
	Builder Builder
	// Progress shows what is done; nil shows nothing. It ends before Build
	// returns.
	Progress io.Writer
	// Live draws on Progress, which is a terminal then, instead of writing
	// line by line.
	Live bool
}

// CachePlace is where a build cache is, as in type=registry,ref=NAME.
type CachePlace struct {
	Type  string
	Attrs map[string]string
}

// temporaryName names an image in an engine while it is measured.
const temporaryName = "image-budget-build"

// Build builds an image and opens it, once for each platform, in their order;
// or once for the builder's own platform if none is asked for. No layer is
// read yet, and nothing is pushed. The caller closes the images; an engine then
// forgets an image without Tags, and keeps what it cached.
//
// An error is a *BuildError where a step of the Dockerfile failed. It wraps
// ErrUsage for what cannot be asked of this builder, or of any; the context's
// error where that ended the build; all others say that the builder or the
// context cannot be reached, or what they answered. On an error nothing is
// left open.
func (o *Opener) Build(ctx context.Context, b Build) (images []*Image, err error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	dialled, err := o.dialBuilder(ctx, b.Builder)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeAll(images)
			images = nil
		}
		// Each image holds the connection as well.
		err = errors.Join(err, dialled.release())
	}()
	platforms := b.Platforms
	if len(platforms) == 0 {
		platforms = []string{""}
	}
	if len(b.Tags) > 0 && len(platforms) > 1 {
		return nil, usageError("building: %s cannot name images of several platforms in an engine; build for one, or leave out the tags", show(b.Tags[0]))
	}
	if dialled.engine == nil {
		return o.buildStored(ctx, b, dialled, platforms)
	}
	// An engine with graph drivers holds images of one platform alone.
	for _, p := range platforms {
		img, err := o.buildInEngine(ctx, b, dialled, p)
		if err != nil {
			return images, err
		}
		images = append(images, img)
	}
	return images, nil
}

func closeAll(images []*Image) {
	for _, img := range images {
		_ = img.Close() // the error that led here is the one that counts
	}
}

// check finds mistakes that need no builder.
func (b *Build) check() error {
	if b.Context == "" {
		return usageError("building: no context is named; name a folder, such as .")
	}
	for _, context := range append(slices.Collect(maps.Values(b.Contexts)), b.Context) {
		if shown := withoutUserinfo(context); strings.HasPrefix(context, "http") && shown != context {
			// It would be in logs and reports.
			return usageError("building: the context %s holds a login; leave it out, and give the token as the secret GIT_AUTH_TOKEN", show(shown))
		}
	}
	for _, p := range b.Platforms {
		if err := CheckPlatform(p); err != nil {
			return err
		}
	}
	switch b.Network {
	case "", "default", "none", "host":
	default:
		return usageError("building: the network %.60q is none of default, none and host", b.Network)
	}
	for name, where := range b.Contexts {
		if Fetched(where) {
			continue
		}
		if err := isFolder(where); err != nil {
			return usageError("building: the context %.60q: %v", name, err)
		}
	}
	if Fetched(b.Context) {
		if b.Content != nil {
			return usageError("building: a Dockerfile that is not in %s cannot be built with it; clone it, and name the folder", show(withoutUserinfo(b.Context)))
		}
		return nil
	}
	if err := isFolder(b.Context); err != nil {
		return usageError("building: the context: %v", err)
	}
	if b.Content != nil {
		return nil
	}
	info, err := os.Stat(b.dockerfile())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return usageError("building: there is no file %s; name the Dockerfile of %s", b.dockerfile(), b.Context)
	case err != nil:
		return usageError("building: the Dockerfile: %v", err)
	case info.IsDir():
		return usageError("building: the Dockerfile %s is a folder", b.dockerfile())
	}
	return nil
}

func isFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no folder %s", path)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", path)
	}
	return nil
}

// Fetched tells whether a builder gets a context by itself, because it is a URL
// or an address of git, and no folder.
func Fetched(context string) bool {
	return strings.Contains(context, "://") || strings.HasPrefix(context, "git@") || strings.HasPrefix(context, "github.com/")
}

// dockerfile is the path of the file on this machine.
func (b *Build) dockerfile() string {
	if b.Dockerfile == "" {
		return filepath.Join(b.Context, "Dockerfile")
	}
	return b.Dockerfile
}

// name is what reports call the image.
func (b *Build) name() string {
	if len(b.Tags) > 0 {
		return b.Tags[0]
	}
	if Fetched(b.Context) {
		return "build:" + withoutUserinfo(b.Context)
	}
	return "build:" + filepath.ToSlash(b.dockerfile())
}

// solveOpt translates the request, all but the exporter and the platforms.
func (b *Build) solveOpt(auth session.Attachable) (bk.SolveOpt, error) {
	attrs := map[string]string{}
	mounts := map[string]fsutil.FS{}
	mount := func(name, dir string) error {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return err
		}
		mounts[name], err = fsutil.NewFS(dir)
		return err
	}
	if Fetched(b.Context) {
		attrs["context"] = b.Context
		if b.Dockerfile != "" {
			attrs["filename"] = b.Dockerfile
		}
	} else {
		file := b.dockerfile()
		if err := errors.Join(mount("context", b.Context), mount("dockerfile", filepath.Dir(file))); err != nil {
			return bk.SolveOpt{}, fmt.Errorf("opening the context: %w", err)
		}
		if b.Content != nil {
			mounts["dockerfile"] = &dockerfileFS{FS: mounts["dockerfile"], name: filepath.Base(file), content: b.Content}
		}
		attrs["filename"] = filepath.Base(file)
	}
	for name, where := range b.Contexts {
		if !Fetched(where) {
			local := "context-" + name
			if err := mount(local, where); err != nil {
				return bk.SolveOpt{}, fmt.Errorf("opening the context %s: %w", show(name), err)
			}
			where = "local:" + local
		}
		attrs["context:"+name] = where
	}
	for k, v := range b.Args {
		attrs["build-arg:"+k] = v
	}
	for k, v := range b.Labels {
		attrs["label:"+k] = v
	}
	if b.Target != "" {
		attrs["target"] = b.Target
	}
	if b.NoCache {
		attrs["no-cache"] = ""
	}
	if b.Pull {
		attrs["image-resolve-mode"] = "pull"
	}
	opt := bk.SolveOpt{
		FrontendAttrs: attrs, LocalMounts: mounts,
		CacheImports: cacheEntries(b.CacheFrom), CacheExports: cacheEntries(b.CacheTo),
		// The same folder is sent again as a difference to what the builder
		// got from it before.
		SharedKey: sharedKey(b.Context),
	}
	if b.Network != "" && b.Network != "default" {
		attrs["force-network-mode"] = b.Network
		if b.Network == "host" {
			opt.AllowedEntitlements = []string{"network.host"}
		}
	}
	var err error
	opt.Session, err = b.attachables(auth)
	return opt, err
}

// sharedKey tells the builder which transfers of a context to compare.
func sharedKey(context string) string {
	if abs, err := filepath.Abs(context); err == nil && !Fetched(context) {
		return "image-budget:" + abs
	}
	return ""
}

func cacheEntries(places []CachePlace) []bk.CacheOptionsEntry {
	var out []bk.CacheOptionsEntry
	for _, p := range places {
		out = append(out, bk.CacheOptionsEntry{Type: p.Type, Attrs: maps.Clone(p.Attrs)})
	}
	return out
}

// solved is what a builder answered.
type solved struct {
	response map[string]string
	// warnings are the builder's, in its words.
	warnings []string
	// definitions are the steps of the build, by platform, "" where one alone
	// was built; see Image.Definition.
	definitions map[string][]byte
}

// solve runs the build with one exporter.
func (b *Build) solve(ctx context.Context, d *builder, platforms string, export bk.ExportEntry) (*solved, error) {
	opt, err := b.solveOpt(d.auth)
	if err != nil {
		return nil, err
	}
	opt.Exports = []bk.ExportEntry{export}
	if platforms != "" {
		opt.FrontendAttrs["platform"] = platforms
	}
	if err := d.supports(ctx, b); err != nil {
		return nil, err
	}
	show, watch, err := b.watch()
	if err != nil {
		return nil, err
	}
	out := &solved{definitions: map[string][]byte{}}
	status := make(chan *bk.SolveStatus)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		show(status)
	}()
	res, err := d.api.Build(ctx, opt, "image-budget", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		res, err := c.Solve(ctx, gateway.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: c.BuildOpts().Opts})
		if err != nil {
			return nil, err
		}
		out.definitions = definitions(ctx, res)
		return res, nil
	}, status)
	<-watched
	if err != nil {
		return nil, b.explain(ctx, d, err, watch, out.definitions)
	}
	out.response, out.warnings = res.ExporterResponse, watch.warnings
	return out, nil
}

// definitions are the steps behind each result. A result without one is no
// failure: its layers are then attributed by history.
func definitions(ctx context.Context, res *gateway.Result) map[string][]byte {
	out := map[string][]byte{}
	add := func(platform string, ref gateway.Reference) {
		if ref == nil {
			return
		}
		state, err := ref.ToState()
		if err != nil {
			return
		}
		def, err := state.Marshal(ctx)
		if err != nil {
			return
		}
		if raw, err := def.ToPB().MarshalVT(); err == nil {
			out[platform] = raw
		}
	}
	add("", res.Ref)
	for platform, ref := range res.Refs {
		add(platform, ref)
	}
	return out
}

// buildInEngine builds for one platform and leaves the image in the engine,
// from where it is read like any other.
func (o *Opener) buildInEngine(ctx context.Context, b Build, d *builder, platform string) (*Image, error) {
	names := b.Tags
	var temporary string
	if len(names) == 0 {
		temporary = newTemporaryName(o.now())
		names = []string{temporary}
	}
	forget := func() error { return nil }
	if temporary != "" {
		forget = sync.OnceValue(func() error { return d.remove(ctx, temporary) })
	}
	res, err := b.solve(ctx, d, platform, bk.ExportEntry{Type: "moby", Attrs: map[string]string{"name": strings.Join(names, ",")}})
	if err != nil {
		// It may have been cancelled with the image already named.
		_ = forget()
		return nil, err
	}
	id := res.response["containerimage.digest"]
	if _, err := digestHex(id); err != nil {
		return nil, errors.Join(fmt.Errorf("building: the engine did not say which image it built (%s)", show(id)), forget())
	}
	want, err := parsePlatform(platform)
	if err != nil {
		return nil, err
	}
	img, err := o.openEngine(ctx, reference{kind: kindEngine, name: id}, want)
	if err != nil {
		return nil, errors.Join(err, forget())
	}
	closer := img.closer
	img.closer = func() error { return errors.Join(closer(), forget()) }
	o.finish(img, b, res, platform)
	return img, nil
}

// finish fills in what Open fills in as well.
func (o *Opener) finish(img *Image, b Build, res *solved, platform string) {
	img.Reference = b.name()
	img.limits, img.wait = o.cfg.Limits, o.cfg.Wait
	img.warnings = res.warnings
	img.definition = res.definitions[platform]
	if len(img.definition) == 0 {
		img.definition = res.definitions[""]
	}
}

// buildStored builds on a builder that keeps blobs and no images. Manifest and
// config come with the build; layers stay where they are until they are read.
func (o *Opener) buildStored(ctx context.Context, b Build, d *builder, platforms []string) ([]*Image, error) {
	if len(b.Tags) > 0 {
		return nil, usageError("building: %s keeps no images that could be called %s; leave out tags, or build in the engine", show(d.address), show(b.Tags[0]))
	}
	inbox := &inbox{limits: o.cfg.Limits, docs: map[string][]byte{}}
	export := bk.ExportEntry{Type: bk.ExporterOCI, Attrs: map[string]string{"tar": "false"}, OutputStore: inbox}
	res, err := b.solve(ctx, d, strings.Join(platforms, ","), export)
	if err != nil {
		return nil, err
	}
	desc, err := builtDescriptor(res.response)
	if err != nil {
		return nil, err
	}
	raw, err := inbox.manifest(ctx, desc)
	if err != nil {
		return nil, err
	}
	var images []*Image
	for _, p := range platforms {
		img, err := d.open(ctx, inbox, desc, raw, p)
		if err != nil {
			return images, err
		}
		o.finish(img, b, res, p)
		images = append(images, img)
	}
	return images, nil
}

// builtDescriptor is that of the image or index that was built.
func builtDescriptor(response map[string]string) (v1.Descriptor, error) {
	var desc v1.Descriptor
	raw, err := base64.StdEncoding.DecodeString(response["containerimage.descriptor"])
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &desc)
	}
	if _, bad := digestHex(desc.Digest.String()); err != nil || bad != nil {
		return desc, errors.New("building: the builder did not say which image it built; update it to BuildKit 0.11 or newer")
	}
	return desc, nil
}

// open makes an image of what the builder sent and holds.
func (d *builder) open(ctx context.Context, docs documents, desc v1.Descriptor, raw []byte, platform string) (*Image, error) {
	want, err := parsePlatform(platform)
	if err != nil {
		return nil, err
	}
	found, err := resolve(ctx, docs, want, desc, raw)
	if err != nil {
		return nil, fmt.Errorf("opening the built image: %w", err)
	}
	img, err := found.image(kindBuildKit)
	if err != nil {
		return nil, err
	}
	for i, l := range img.Layers {
		img.blobs[i].retry = true
		img.blobs[i].open = func(ctx context.Context) (io.ReadCloser, error) { return d.blob(ctx, l) }
	}
	d.hold()
	img.closer = d.release
	return img, nil
}

// Definition is the build that made the image, as a marshalled pb.Definition of
// BuildKit: its steps and the lines of the Dockerfile that they come from. It
// is nil for an image that was not built here.
func (img *Image) Definition() []byte { return img.definition }

// Warnings are what the builder had to say about the platform of an image that
// was built here, in lines of its own words.
func (img *Image) Warnings() []string { return img.warnings }

// remove takes a temporary name away from the engine, also when the run was
// cancelled. Layers that the build cache or another image uses stay.
func (d *builder) remove(ctx context.Context, name string) error {
	return removeImage(ctx, d.engine, name)
}

func removeImage(ctx context.Context, api *client.Client, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing the image %s from the engine: docker rmi does so by hand: %s", name, show(err.Error()))
	}
	return nil
}
