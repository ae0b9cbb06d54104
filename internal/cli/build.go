package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/internal/escape"
	"github.com/org/image-budget/scan"
	"github.com/org/image-budget/source"
)

// buildFlags say how to build an image. The Dockerfile and the stage are those
// of attributeFlags, the platforms those of measureFlags.
type buildFlags struct {
	context          *string
	args, labels     *listFlag
	secrets, ssh     *listFlag
	cacheFrom        *listFlag
	cacheTo          *listFlag
	contexts, tags   *listFlag
	network          *choiceFlag
	noCache, pull    *bool
	builder          *string
	builderTLS       *string
	builderTLSServer *string
	progress         *choiceFlag
}

func (fs *flagSet) building() *buildFlags {
	return &buildFlags{
		context:          fs.String("context", "", "build the image from `FOLDER`, or from the URL of a git repository, with --dockerfile and --target, and check that"),
		args:             fs.list("build-arg", "a build argument, `NAME=VALUE`, or NAME for that of the environment; may be repeated"),
		labels:           fs.list("label", "a label for the built image, `NAME=VALUE`; may be repeated"),
		contexts:         fs.list("build-context", "a further context, `NAME=FOLDER`, NAME=docker-image://REF or NAME=URL; may be repeated"),
		secrets:          fs.list("secret", "a `SECRET` for RUN --mount=type=secret: id=ID,src=FILE or id=ID,env=NAME; may be repeated"),
		ssh:              fs.list("ssh", "an `AGENT` for RUN --mount=type=ssh: default, or ID=SOCKET or ID=KEY; may be repeated"),
		cacheFrom:        fs.list("cache-from", "a `PLACE` to read build caches from: type=gha, type=registry,ref=REF, type=local,src=DIR; may be repeated"),
		cacheTo:          fs.list("cache-to", "a `PLACE` to write the build cache to: type=gha,mode=max, type=registry,ref=REF, type=local,dest=DIR; may be repeated"),
		tags:             fs.list("tag", "a `NAME` that the built image keeps in the engine; may be repeated (default it is removed after measuring; what the build cached stays)"),
		network:          fs.choice("network", "the `NETWORK` of RUN: default, none or host", "default", "default", "none", "host"),
		noCache:          fs.Bool("no-cache", false, "build every step again"),
		pull:             fs.Bool("pull", false, "ask registries for newer base images"),
		builder:          fs.String("builder", "", "the `ADDRESS` of the BuildKit to build with: tcp://HOST:PORT, unix:///PATH or docker-container://NAME (default BUILDKIT_HOST, else the engine)"),
		builderTLS:       fs.String("builder-tls", "", "the `DIR` with ca.pem, cert.pem and key.pem for a builder of tcp://"),
		builderTLSServer: fs.String("builder-tls-server-name", "", "the `NAME` in the certificate of that builder (default its host)"),
		progress:         fs.choice("progress", "how to show a build: auto, plain, tty or quiet (`MODE`)", "auto", "auto", "plain", "tty", "quiet"),
	}
}

// given tells whether the flags ask for a build of an image that the budget
// file does not say how to build.
func (f *buildFlags) given() bool { return *f.context != "" }

// where is the builder that the flags and the environment name.
func (c *Command) builder(f *buildFlags) (source.Builder, error) {
	b := source.Builder{Address: *f.builder, TLSDir: *f.builderTLS, TLSServerName: *f.builderTLSServer}
	if b.Address == "" {
		b.Address = c.Getenv("BUILDKIT_HOST")
	}
	if err := b.Check(); err != nil {
		return b, usagef("", "--builder: %w", err)
	}
	return b, nil
}

// build translates what the budget file and the flags say about building an
// image; dir is the folder that paths of the file are relative to.
func (c *Command) build(f *buildFlags, lines *attributeFlags, dir string, spec *budget.Build) (*source.Build, error) {
	b := &source.Build{
		Args: map[string]string{}, Labels: map[string]string{}, Contexts: map[string]string{},
		Secrets: map[string][]byte{}, SSH: map[string][]string{}, Network: f.network.value,
	}
	var err error
	if b.Builder, err = c.builder(f); err != nil {
		return nil, err
	}
	r := &buildReader{command: c, into: b, spec: spec}
	if spec != nil {
		r.file(dir, spec)
	}
	r.flags(f, lines)
	if r.err != nil {
		return nil, r.err
	}
	if b.Builder.Address != "" && len(b.Tags) > 0 {
		return nil, usagef("", "tags are names in an engine, and %s keeps no images; leave them out", b.Builder.Address)
	}
	return b, c.maskSecrets(b)
}

// maskSecrets keeps the values of secrets out of the log, whatever a build
// prints.
func (c *Command) maskSecrets(b *source.Build) error {
	commands := actions.NewCommands(c.Stderr, c.runner)
	for _, id := range sortedKeys(b.Secrets) {
		// A mask is a line; a key of several is masked line by line.
		for line := range strings.Lines(string(b.Secrets[id])) {
			if line = strings.TrimSpace(line); len(line) >= minMask {
				if err := commands.AddMask(line); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// minMask is the shortest line that is masked: a brace or a digit of a key
// file would blank out the log.
const minMask = 4

// buildReader collects a build, and the first mistake in it.
type buildReader struct {
	command *Command
	into    *source.Build
	spec    *budget.Build // of the budget file, nil without one
	err     error
}

func (r *buildReader) fail(err error) {
	if r.err == nil && err != nil {
		r.err = &usageError{"", err}
	}
}

// file takes over what the budget file says. As in compose files, its
// Dockerfile is looked for in the context; one beside the budget file will do
// as well.
func (r *buildReader) file(dir string, spec *budget.Build) {
	b := r.into
	b.Context = inFolder(dir, spec.Context)
	if b.Context == "" {
		b.Context = inFolder(dir, ".")
	}
	b.Dockerfile = spec.Dockerfile
	if !source.Fetched(b.Context) && spec.Dockerfile != "" {
		b.Dockerfile = inFolder(b.Context, spec.Dockerfile)
		if beside := inFolder(dir, spec.Dockerfile); missing(b.Dockerfile) && !missing(beside) {
			b.Dockerfile = beside
		}
	}
	b.Target, b.Platforms, b.Tags = spec.Target, slices.Clone(spec.Platforms), slices.Clone(spec.Tags)
	maps.Copy(b.Args, spec.Args)
	maps.Copy(b.Labels, spec.Labels)
	for name, where := range spec.Contexts {
		b.Contexts[name] = inFolder(dir, where)
	}
	for _, s := range spec.Secrets {
		r.secret(dir, s)
	}
	for _, s := range spec.SSH {
		r.ssh(dir, s)
	}
	for _, s := range spec.CacheFrom {
		r.cache(&b.CacheFrom, dir, s)
	}
	for _, s := range spec.CacheTo {
		r.cache(&b.CacheTo, dir, s)
	}
	if spec.Network != "" && b.Network == "default" {
		b.Network = spec.Network
	}
	b.NoCache, b.Pull = spec.NoCache, spec.Pull
}

// flags puts the command line on top.
func (r *buildReader) flags(f *buildFlags, lines *attributeFlags) {
	b := r.into
	if *f.context != "" {
		b.Context = *f.context
		if source.Fetched(b.Context) && r.spec != nil {
			b.Dockerfile = r.spec.Dockerfile // a path in there
		}
	}
	if *lines.dockerfile != "" {
		b.Dockerfile = *lines.dockerfile
	}
	if *lines.target != "" {
		b.Target = *lines.target
	}
	for _, arg := range *f.args {
		name, value, ok := strings.Cut(arg, "=")
		if name == "" {
			r.fail(fmt.Errorf("--build-arg %q: want NAME=VALUE", arg))
			continue
		}
		if !ok {
			value = r.command.Getenv(name)
		}
		b.Args[name] = value
	}
	for _, label := range *f.labels {
		name, value, _ := strings.Cut(label, "=")
		if name == "" {
			r.fail(fmt.Errorf("--label %q: want NAME=VALUE", label))
			continue
		}
		b.Labels[name] = value
	}
	for _, c := range *f.contexts {
		name, where, ok := strings.Cut(c, "=")
		if !ok {
			r.fail(fmt.Errorf("--build-context %q: want NAME=FOLDER", c))
			continue
		}
		if err := budget.CheckContext(name, where); err != nil {
			r.fail(fmt.Errorf("--build-context: %w", err))
			continue
		}
		b.Contexts[name] = where
	}
	for _, s := range *f.secrets {
		secret, err := budget.ParseSecret(s)
		if err != nil {
			r.fail(fmt.Errorf("--secret: %w", err))
			continue
		}
		r.secret("", secret)
	}
	for _, s := range *f.ssh {
		r.ssh("", s)
	}
	for _, s := range *f.cacheFrom {
		if err := budget.CheckCacheFrom(s); err != nil {
			r.fail(fmt.Errorf("--cache-from: %w", err))
			continue
		}
		r.cache(&b.CacheFrom, "", s)
	}
	for _, s := range *f.cacheTo {
		if err := budget.CheckCacheTo(s); err != nil {
			r.fail(fmt.Errorf("--cache-to: %w", err))
			continue
		}
		r.cache(&b.CacheTo, "", s)
	}
	b.Tags = append(b.Tags, *f.tags...)
	b.NoCache, b.Pull = b.NoCache || *f.noCache, b.Pull || *f.pull
	if f.network.value != "default" {
		b.Network = f.network.value
	}
}

// secret reads a value, the first of: a variable, a file.
func (r *buildReader) secret(dir string, s budget.Secret) {
	env := s.Env
	if s.Env == "" && s.Src == "" {
		env = s.ID
	}
	if value := r.command.Getenv(env); env != "" && value != "" {
		r.into.Secrets[s.ID] = []byte(value)
		return
	}
	if s.Env != "" {
		r.fail(fmt.Errorf("the secret %q: the environment has no variable %s", s.ID, s.Env))
		return
	}
	path := s.Src
	if path == "" {
		path = s.ID
	}
	// The bound is BuildKit's own.
	value, err := readBounded(inFolder(dir, path), 500<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.Src == "":
		r.fail(fmt.Errorf("the secret %q: there is neither a variable nor a file of that name", s.ID))
	case err != nil:
		r.fail(fmt.Errorf("the secret %q: %w", s.ID, err))
	default:
		r.into.Secrets[s.ID] = value
	}
}

func (r *buildReader) ssh(dir, text string) {
	id, paths, err := budget.ParseSSH(text)
	if err != nil {
		r.fail(fmt.Errorf("ssh: %w", err))
		return
	}
	for i := range paths {
		paths[i] = inFolder(dir, paths[i])
	}
	if len(paths) == 0 {
		agent := r.command.Getenv("SSH_AUTH_SOCK")
		if agent == "" {
			r.fail(fmt.Errorf("ssh %s: no agent runs here (SSH_AUTH_SOCK is not set); start one, or write %s=PATH", id, id))
			return
		}
		paths = []string{agent}
	}
	r.into.SSH[id] = paths
}

// cache reads a place of a cache. For that of GitHub Actions, the runner says
// where it is and how to log in to it.
func (r *buildReader) cache(to *[]source.CachePlace, dir, text string) {
	kind, attrs, err := budget.ParseCache(text)
	if err != nil {
		r.fail(fmt.Errorf("the build cache: %w", err))
		return
	}
	switch kind {
	case "local":
		for _, key := range []string{"src", "dest"} {
			if attrs[key] != "" {
				attrs[key] = inFolder(dir, attrs[key])
			}
		}
	case "gha":
		if !r.actionsCache(attrs) {
			// A run elsewhere goes on without it, as with docker buildx.
			r.command.log.Warn().Msg("type=gha: this is no workflow run, so there is no such cache; going on without it")
			return
		}
	}
	*to = append(*to, source.CachePlace{Type: kind, Attrs: attrs})
}

func (r *buildReader) actionsCache(attrs map[string]string) bool {
	getenv := r.command.Getenv
	set := func(key, value string) {
		if attrs[key] == "" && value != "" {
			attrs[key] = value
		}
	}
	set("token", getenv("ACTIONS_RUNTIME_TOKEN"))
	set("url", getenv("ACTIONS_CACHE_URL"))
	set("url_v2", getenv("ACTIONS_RESULTS_URL"))
	if getenv("ACTIONS_CACHE_SERVICE_V2") != "" || attrs["url"] == "" {
		set("version", "2")
	}
	return attrs["token"] != "" && (attrs["url"] != "" || attrs["url_v2"] != "")
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// inFolder makes a path relative to dir, and leaves URLs alone.
func inFolder(dir, path string) string {
	if path == "" || dir == "" || source.Fetched(path) || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// progressOf opens the place where a build is shown, and returns what ends it.
// In a workflow that is a group of the log. Of several builds at once, each is
// shown when it is over.
func (m *measurer) progressOf(name string, b *source.Build) (done func()) {
	c := m.command
	mode := m.build.progress.value
	_, terminal := c.Terminal(c.Stderr)
	if mode == "quiet" {
		return func() {}
	}
	// Drawing bypasses the filter that makes lines harmless to a runner.
	if mode != "plain" && terminal && !c.runner.Actions && !m.several {
		b.Progress, b.Live = c.Stderr, true
		return func() {}
	}
	title := "building " + escape.Line(name)
	if !m.several {
		end := c.group(title)
		b.Progress = c.notes
		return end
	}
	held := &heldText{}
	b.Progress = held
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		end := c.group(title)
		_, _ = held.WriteTo(c.notes) // standard error: there is nobody to tell
		end()
	}
}

// maxHeld bounds each of the two ends of a log that is held.
const maxHeld = 1 << 20

// heldText keeps the beginning and the end of what is written to it.
type heldText struct {
	head, tail []byte
	dropped    int64
}

func (h *heldText) Write(p []byte) (int, error) {
	n := min(len(p), maxHeld-len(h.head))
	h.head = append(h.head, p[:n]...)
	h.tail = append(h.tail, p[n:]...)
	if over := len(h.tail) - 2*maxHeld; over > 0 {
		// Half of it goes at once, so that little is moved.
		over += maxHeld
		h.dropped += int64(over)
		h.tail = append(h.tail[:0], h.tail[over:]...)
	}
	return len(p), nil
}

// WriteTo writes what is held, and what is not.
func (h *heldText) WriteTo(w io.Writer) (int64, error) {
	text := h.head
	if h.dropped > 0 {
		text = fmt.Appendf(text, "\n[%d bytes of the log are left out]\n", h.dropped)
	}
	n, err := w.Write(append(text, h.tail...))
	return int64(n), err
}

// group begins a part of the log that readers can fold, where it is one.
func (c *Command) group(title string) (end func()) {
	commands := actions.NewCommands(c.Stderr, c.runner)
	if !c.runner.Actions {
		return func() {}
	}
	commands.Group(title)
	return commands.EndGroup
}

// buildImages builds an image for each of its platforms.
func (m *measurer) buildImages(ctx context.Context, w want) ([]*source.Image, error) {
	return m.buildWith(ctx, w, m.opener.Build)
}

// buildWith shows a build and its end.
func (m *measurer) buildWith(ctx context.Context, w want, build func(context.Context, source.Build) ([]*source.Image, error)) ([]*source.Image, error) {
	b := *w.build
	done := m.progressOf(cmp.Or(w.title, w.name), &b)
	images, err := build(ctx, b)
	done()
	var failed *source.BuildError
	if errors.As(err, &failed) && failed.Start > 0 {
		failed.Dockerfile = cmp.Or(w.file, m.command.dockerfileName(&b))
	}
	if failed != nil && len(failed.Log) > 0 && (m.command.runner.Actions || m.build.progress.value == "quiet") {
		// The report says which step failed; what it printed is for the log. On
		// a terminal it stands there already, and in a workflow's log it is
		// folded away.
		fmt.Fprintf(m.command.notes, "the last lines of %s\n", escape.Line(failed.Step))
		for _, line := range failed.Log {
			fmt.Fprintf(m.command.notes, "  | %s\n", escape.Line(line))
		}
	}
	if err != nil {
		return nil, usage(err)
	}
	for _, img := range images {
		for _, text := range img.Warnings() {
			m.note("%s: %s", w.name, text)
		}
	}
	return images, nil
}

// steps reads what the build's own steps say of an image, nil where they say
// nothing: its layers are then attributed like those of any image.
func (m *measurer) steps(w want, img *source.Image, layers []footprint.Layer) *dockerfile.Built {
	if w.build == nil || img.Definition() == nil {
		return nil
	}
	built, err := dockerfile.DefinitionOrigins(cmp.Or(w.file, m.command.dockerfileName(w.build)), img.Definition(), w.build.Target, w.build.Args, layers)
	if err != nil {
		m.note("the lines that made the layers of %s are not known: %s", w.name, err)
		return nil
	}
	return built
}

// dockerfileName is what reports call a Dockerfile: in a workflow, its path in
// the repository, which can be linked to.
func (c *Command) dockerfileName(b *source.Build) string {
	name := cmp.Or(b.Dockerfile, "Dockerfile")
	switch {
	case source.Fetched(b.Context):
		// It is a file of another repository: nothing links to it.
		return strings.TrimSuffix(b.Context, "/") + "//" + name
	case b.Dockerfile == "":
		name = filepath.Join(b.Context, name)
	}
	return c.pathName(name)
}

// builtBoundary is where the base of an image ends that was built here.
func (m *measurer) builtBoundary(w want, img *source.Image) *boundary {
	layers := make([]footprint.Layer, len(img.Layers))
	for i, by := range scan.History(img) {
		layers[i].CreatedBy = by // an engine tells it later
	}
	built := m.steps(w, img, layers)
	switch {
	case built == nil || built.Base < 0:
		return nil
	case built.Base == 0:
		return &boundary{foundBy: "build", reference: scratch}
	}
	return &boundary{foundBy: "build", reference: built.BaseReference, layers: built.Base, digest: built.BaseDigest}
}

// attributeBuilt names the lines that made the layers of an image that was
// built here. It is false where the build does not say.
func (m *measurer) attributeBuilt(w want, img *source.Image, head *footprint.Image) bool {
	built := m.steps(w, img, head.Layers)
	if built == nil {
		return false
	}
	for i, origin := range built.Origins {
		if !head.Layers[i].InBase {
			head.Layers[i].Origin = origin
		}
	}
	nameFrom(built.File, head)
	return true
}
