package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/scan"
	"github.com/org/image-budget/source"
)

// cacheBytes bounds what --cache keeps: indexes of some ten thousand layers.
const cacheBytes = 1 << 30

// measureFlags are the flags of every command that measures.
type measureFlags struct {
	platform         *string
	base             *string
	detail           *choiceFlag
	estimate         *bool
	cache            *string
	maxFiles         *int
	maxUnpacked      *sizeFlag
	registry         *string
	username, passwd *string
	// token is the job's, for ghcr.io, where the command has such a flag.
	token string
}

func (fs *flagSet) measuring() *measureFlags {
	return &measureFlags{
		platform:    fs.String("platform", "", "the `OS/ARCH` to measure, or to build; check takes several with commas (default the only one, else linux on this processor)"),
		base:        fs.String("base", "", "the `IMAGE` named in FROM, to tell base and own bytes apart (default the budget file's, else what the image and its Dockerfile say)"),
		detail:      fs.choice("detail", "`LEVEL` of reading: manifest reads no layer, files reads all, auto reads layers from a registry only if a limit needs them, or to explain what differs from an image that was read", "auto", "auto", "manifest", "files"),
		estimate:    fs.Bool("estimate", false, "compress layers that the source holds unpacked, to estimate their compressed size; slow (a limit on compressed bytes does this by itself)"),
		cache:       fs.String("cache", "", "keep what was learnt about layers in `DIR`, and do not read them again"),
		maxFiles:    fs.Int("max-files", 5_000_000, "give up on an image with more than `N` files and directories in its layers"),
		maxUnpacked: fs.size("max-unpacked", "give up on a layer that unpacks to more than `SIZE` (default 64GiB)"),
		registry:    fs.String("registry", "", "the `HOST` to log in to with the name and password below (default the registry of the image, else of its tags, caches or baseline)"),
		username:    fs.String("registry-username", "", "`NAME` to log in to the registry of the image with (default the docker config)"),
		passwd:      fs.String("registry-password", "", "`PASSWORD` or token for it; better set IMAGE_BUDGET_REGISTRY_PASSWORD, which no process list shows"),
	}
}

// platforms reads --platform, which check takes as a list.
func (f *measureFlags) platforms() ([]string, error) {
	var out []string
	for p := range strings.SplitSeq(*f.platform, ",") {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if err := source.CheckPlatform(p); err != nil {
			return nil, usagef("", "--platform: %w", err)
		}
		if slices.Contains(out, p) {
			return nil, usagef("", "--platform names %s twice", p)
		}
		out = append(out, p)
	}
	return out, nil
}

// measurer opens and scans images for one run, and counts what that costs.
type measurer struct {
	command *Command
	flags   *measureFlags
	opener  *source.Opener
	cache   *scan.Cache

	bases baseImages

	tree    baseTree
	opening sync.Mutex // guards stores
	stores  map[string]baseline.LayerStore

	// mu guards the figures and notes: images are measured at the same time.
	mu                      sync.Mutex
	blobBytes               int64
	layersRead, layersKnown int
	notes                   []string

	// build says how builds are shown; several that more than one image is
	// checked, so that no line of the terminal is for one of them.
	build   *buildFlags
	several bool
}

// measurer prepares for measuring the images of refs, the first of which in a
// registry says where the explicit login is for; several says that more than
// one image will be scanned.
func (c *Command) measurer(f *measureFlags, refs []string, several bool) (*measurer, error) {
	m := &measurer{command: c, flags: f, stores: map[string]baseline.LayerStore{}}
	if *f.maxFiles <= 0 {
		return nil, usagef("", "--max-files must be more than 0")
	}
	platforms, err := f.platforms()
	if err != nil {
		return nil, err
	}
	for _, ref := range append(refs, *f.base) {
		if err := source.CheckReference(ref); ref != "" && err != nil {
			return nil, usagef("", "%w", err)
		}
	}
	platform := ""
	if len(platforms) == 1 {
		platform = platforms[0]
	}
	m.opener = source.New(source.Config{
		Now:      c.Now,
		Platform: platform,
		Keychain: c.keychain(f, refs),
		Engine:   c.engine(),
		Limits:   source.Limits{MaxUnpacked: int64(f.maxUnpacked.bytes)},
		UserAgent: strings.ReplaceAll(
			Tool(), " ", "/"),
	})
	switch {
	case *f.cache == "" && several:
		// A layer that two images of this run share is read once. It is also
		// checked against its diffID then, or one could speak for another.
		m.cache = scan.NewCache()
	case *f.cache != "":
		cache, err := scan.OpenCache(*f.cache, cacheBytes, c.Now)
		if err != nil {
			return nil, err
		}
		m.cache = cache
	}
	return m, nil
}

func (c *Command) engine() source.Engine {
	e := source.Engine{
		Host:       c.Getenv("DOCKER_HOST"),
		APIVersion: c.Getenv("DOCKER_API_VERSION"),
		TLSVerify:  c.Getenv("DOCKER_TLS_VERIFY") != "",
	}
	if e.TLSVerify || c.Getenv("DOCKER_CERT_PATH") != "" {
		e.CertPath = c.Getenv("DOCKER_CERT_PATH")
		if e.CertPath == "" {
			e.CertPath = filepath.Join(c.Getenv("HOME"), ".docker")
		}
	}
	return e
}

// keychain logs in to the registries of the images to measure with the
// explicit login, and to ghcr.io with the token that a job has anyway.
func (c *Command) keychain(f *measureFlags, refs []string) keychain {
	var opt source.KeychainOptions
	password := *f.passwd
	if password == "" {
		password = c.Getenv("IMAGE_BUDGET_REGISTRY_PASSWORD")
	}
	// One login is for one registry: that of the first image in one. It must not
	// reach whatever host a base or another image is from.
	host := *f.registry
	for _, ref := range refs {
		if host == "" {
			host = source.RegistryHost(ref)
		}
	}
	switch {
	case password != "" && host == "":
		c.log.Warn().Msg("a password for a registry is given, and no image says which registry that is: name it with --registry HOST")
	case password != "":
		opt.Explicit = []source.Login{{Host: host, Username: *f.username, Password: password}}
	}
	token := cmp.Or(f.token, c.Getenv("GITHUB_TOKEN"))
	if token == "" {
		token, _ = c.input("github-token")
	}
	if token != "" {
		user := c.Getenv("GITHUB_ACTOR")
		if user == "" {
			user = "github-actions"
		}
		opt.Fallback = []source.Login{{Host: "ghcr.io", Username: user, Password: token}}
	}
	return source.Keychain(opt)
}

// want says what is needed of one image.
type want struct {
	name     string // id in the budget file, "" outside one
	ref      string
	platform string        // "" is what --platform says
	base     string        // the image in FROM, "" if not named
	build    *source.Build // how to build it, nil if it is not built here
	file     string        // what reports call its Dockerfile, "" as build says
	title    string        // what the log calls its build, "" is name
	files    bool          // figures that need layers
	own      bool          // the boundary between base and own layers is worth requests
	// from is the Dockerfile of the image, nil where none can be; lines asks
	// for the lines that made the layers, against the image to compare with.
	from     *attributeFlags
	lines    bool
	against  *footprint.Image
	estimate bool
	// likeEstimate estimates every layer that is not among blobs.
	likeEstimate bool
	blobs        map[string]footprint.Bytes
	patterns     []string
}

// measure opens and scans one image.
func (m *measurer) measure(ctx context.Context, w want) (*footprint.Image, error) {
	img, err := m.open(ctx, w)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	return m.scan(ctx, img, w)
}

// openAll opens an image on each platform asked for, building it first if it is
// to be built, and passes each to use, which does not keep it; w says then
// which it is. A platform that could not be opened goes to use with its error.
// An error is one of all platforms: the build failed.
func (m *measurer) openAll(ctx context.Context, w want, platforms []string, use func(want, *source.Image, error)) error {
	if w.build != nil {
		images, err := m.buildImages(ctx, w)
		if err != nil {
			return err
		}
		for _, img := range images {
			of := w
			of.platform, of.ref = img.Platform, img.Reference
			use(of, img, nil)
			if err := img.Close(); err != nil {
				m.note("%s", err)
			}
		}
		return nil
	}
	if len(platforms) == 0 {
		platforms = []string{w.platform}
	}
	for _, p := range platforms {
		of := w
		of.platform = p
		img, err := m.open(ctx, of)
		use(of, img, err)
		if img != nil {
			_ = img.Close() // it was read: nothing is lost with it
		}
	}
	return nil
}

// inParallel calls do for each of n, at most jobs at once. A panic in one of
// them goes on in the caller, when all have ended: there it is recovered, and
// what is to be removed is removed.
func inParallel(jobs, n int, do func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, jobs)
	panics := make(chan any, n)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					panics <- r
				}
				<-slots
			}()
			do(i)
		})
	}
	wg.Wait()
	select {
	case r := <-panics:
		panic(r)
	default:
	}
}

// open reads the manifest and config of an image, and no layer.
func (m *measurer) open(ctx context.Context, w want) (*source.Image, error) {
	opener := m.opener
	if w.platform != "" {
		opener = opener.On(w.platform)
	}
	img, err := opener.Open(ctx, w.ref)
	if err != nil {
		if name := strings.TrimPrefix(w.ref, "docker://"); !strings.Contains(err.Error(), name) {
			err = fmt.Errorf("opening %s: %w", w.ref, err)
		}
		return nil, usage(err)
	}
	m.command.log.Debug().Msgf("opened %s: %s %s, %d layers", w.ref, img.Platform, img.Digest, len(img.Layers))
	return img, nil
}

// scan measures an open image.
func (m *measurer) scan(ctx context.Context, img *source.Image, w want) (*footprint.Image, error) {
	opt := scan.Options{
		Limits: scan.Limits{MaxFiles: *m.flags.maxFiles, MaxUnpacked: m.flags.maxUnpacked.bytes},
		// Layers of a registry cost transfer; those of an archive or an
		// engine are at hand, and explain what grew.
		Files:       m.flags.detail.value == "files" || m.flags.detail.value == "auto" && (w.files || img.Source != "registry"),
		Estimate:    (w.estimate || *m.flags.estimate) && m.flags.detail.value != "manifest",
		EstimateAll: w.likeEstimate,
		Blobs:       w.blobs,
		Cache:       m.cache,
	}
	// What was built here costs no request to ask.
	if w.own || *m.flags.base != "" || w.build != nil {
		m.findBase(ctx, img, w, &opt)
	}
	bar := m.command.progress(w.ref)
	if m.several {
		bar = &progressBar{}
	}
	opt.Progress = bar.update
	before := img.BlobBytesRead()
	res, err := scan.Image(ctx, img, opt)
	bar.done()
	read := img.BlobBytesRead() - before
	m.mu.Lock()
	m.blobBytes += read
	if err == nil {
		m.layersRead += res.LayersRead
		m.layersKnown += res.LayersKnown
	}
	m.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("measuring %s: %w", w.ref, err)
	}
	m.command.log.Debug().Msgf("measured %s: read %d layers (%s), knew %d, base of %d layers", w.ref, res.LayersRead, footprint.Bytes(read), res.LayersKnown, opt.Base)
	res.Image.Name = w.name
	if res.Image.Files != nil && len(w.patterns) > 0 {
		res.Image.Paths = budget.Measure(w.patterns, res.Image.Files)
	}
	switch {
	case w.build != nil && m.attributeBuilt(w, img, res.Image):
	case w.lines && w.from != nil:
		w.from.attribute(ctx, m, img, res.Image, w)
	}
	return res.Image, nil
}

// note keeps a remark about the run, once.
func (m *measurer) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if text := fmt.Sprintf(format, args...); !slices.Contains(m.notes, text) {
		m.notes = append(m.notes, text)
	}
}

// close prunes the cache. Its failures cost nothing but time next time.
func (m *measurer) close() {
	m.removeTree()
	if m.cache == nil {
		return
	}
	err := m.cache.Close()
	if r := m.command.runner; r.Actions && r.Workspace != "" && *m.flags.cache != "" {
		err = errors.Join(err, filepath.WalkDir(*m.flags.cache, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, actions.OwnLike(path, r.Workspace))
		}))
	}
	if err != nil {
		m.command.log.Warn().Msgf("%v", err)
	}
}

// finish puts the costs of the run into its report.
func (m *measurer) finish(r *report.Report) {
	r.BlobBytesRead = footprint.Bytes(m.blobBytes)
	r.LayersRead, r.LayersKnown = m.layersRead, m.layersKnown
	m.noteLayers()
	r.Notes = append(r.Notes, m.notes...)
}

// within makes the path in a reference or store relative to dir, the folder of
// the budget file that names it.
func within(dir, ref string) string {
	if dir == "" || dir == "." || ref == "" {
		return ref
	}
	for _, scheme := range []string{"oci:", "oci-archive:", "docker-archive:", "file:", "build:"} {
		if path, ok := strings.CutPrefix(ref, scheme); ok {
			if filepath.IsAbs(path) {
				return ref
			}
			return scheme + filepath.Join(dir, path)
		}
	}
	if strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../") {
		return here(filepath.Join(dir, ref))
	}
	if !filepath.IsAbs(ref) && !strings.Contains(ref, "://") {
		path := filepath.Join(dir, ref)
		if _, err := os.Lstat(path); err == nil {
			return here(path)
		}
	}
	return ref
}

// here marks a path as one, so that no name of an image is read into it.
func here(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return "./" + path
}

// readBounded reads a file of at most max bytes.
func readBounded(name string, max int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("%s is larger than %s", name, footprint.Bytes(max))
	}
	return data, nil
}
