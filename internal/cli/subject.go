package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/scan"
	"github.com/org/image-budget/source"
)

// The bounds of what is looked at for advice. A context with more files has one
// list too few, and everything else is said all the same.
const (
	maxIgnore       = 1 << 20
	maxContextFiles = 200_000
	// maxIgnoreWork bounds the steps of trying patterns, for all files together,
	// and contextWait the time that it takes.
	maxIgnoreWork = 1_000_000_000
	contextWait   = 30 * time.Second
	// maxRead bounds what is read of one image.
	maxRead = 32 << 20
)

// subject says what there is to advise on: the image, nil without one, which is
// out after it was measured; how it is built, nil if that is not known; and the
// Dockerfile with what was built of it, nil without one. What cannot be had of
// the context is left out, and a note says so.
//
// Read of the result needs the image open, and one use of it at a time.
func (c *Command) subject(ctx context.Context, m *measurer, w want, img *source.Image, out *footprint.Image, b *source.Build, file *dockerfile.File, target string, args map[string]string) (*advice.Subject, error) {
	s := &advice.Subject{File: file, Target: target, Args: args, Image: out}
	platform := w.platform
	if img != nil {
		platform = cmp.Or(platform, img.Platform)
		config := configOf(img)
		s.Config = &config
		if out != nil && out.Files != nil {
			s.Read = (&imageFiles{m: m, img: img, all: out.Files}).read
		}
	}
	s.Weigh = func(ctx context.Context, ref string) (footprint.Bytes, error) { return m.weigh(ctx, platform, ref) }
	if b != nil && !source.Fetched(b.Context) {
		if err := c.contextOf(ctx, b, s); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			m.note("what the build context %s holds is not known: %s", b.Context, err)
		}
	}
	return s, nil
}

// dockerfileOf reads the Dockerfile that an image is built from, with the stage
// and the arguments: nil where there is none on this machine. It is the one that
// --dockerfile names, or else that of the build.
func (c *Command) dockerfileOf(w want) (file *dockerfile.File, target string, args map[string]string, err error) {
	b := w.build
	switch {
	case b == nil && w.from != nil && w.from.file != nil:
		return w.from.file, *w.from.target, nil, nil
	case b == nil || source.Fetched(b.Context):
		return nil, "", nil, nil
	}
	path := dockerfilePath(b)
	src, err := readWithin(filepath.Dir(path), filepath.Base(path), dockerfile.MaxSize)
	if err != nil {
		return nil, "", nil, fmt.Errorf("reading the Dockerfile: %w", err)
	}
	file, err = dockerfile.Parse(cmp.Or(w.file, c.dockerfileName(b)), src)
	return file, b.Target, b.Args, err
}

// dockerfilePath is where the Dockerfile of a build is on this machine.
func dockerfilePath(b *source.Build) string {
	return cmp.Or(b.Dockerfile, filepath.Join(b.Context, "Dockerfile"))
}

// imageFiles reads files of an image, each once.
type imageFiles struct {
	m   *measurer
	img *source.Image
	all func(func(footprint.File) bool)

	mu    sync.Mutex
	asked map[string]bool
	got   map[string][]byte
	bytes footprint.Bytes
}

func (f *imageFiles) read(ctx context.Context, paths ...string) (map[string][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked, f.got = map[string]bool{}, map[string][]byte{}
	}
	fresh := map[string]bool{}
	for _, p := range paths {
		if !f.asked[p] {
			fresh[p] = true
		}
	}
	if len(fresh) > 0 && f.bytes < maxRead {
		var files []footprint.File
		f.all(func(one footprint.File) bool {
			if fresh[one.Path] {
				files = append(files, one)
			}
			return len(files) < len(fresh)
		})
		before := f.img.BlobBytesRead()
		got, err := scan.Extract(ctx, f.img, files, scan.ExtractLimits{MaxTotal: min(16<<20, maxRead-f.bytes)})
		f.m.mu.Lock()
		f.m.blobBytes += f.img.BlobBytesRead() - before
		f.m.mu.Unlock()
		if err != nil {
			return nil, err
		}
		for path, content := range got {
			f.got[path] = content
			f.bytes += footprint.Bytes(len(content))
		}
		for path := range fresh {
			f.asked[path] = true
		}
	}
	out := map[string][]byte{}
	for _, p := range paths {
		if content, ok := f.got[p]; ok {
			out[p] = content
		}
	}
	return out, nil
}

// weigh asks a registry for the manifest of an image, once in a run. The name is
// one in a Dockerfile or of ours, and never a file.
func (m *measurer) weigh(ctx context.Context, platform, ref string) (footprint.Bytes, error) {
	opener := m.opener
	if platform != "" {
		opener = opener.On(platform)
	}
	ctx, cancel := context.WithTimeout(ctx, baseWait)
	defer cancel()
	layers, err := m.bases.layers(ctx, opener, platform, "docker://"+strings.TrimPrefix(ref, "docker://"))
	if err != nil {
		return 0, err
	}
	var sum footprint.Bytes
	for _, l := range layers {
		if l.Size < 0 {
			return 0, fmt.Errorf("weighing %s: its manifest does not say how large its layers are", ref)
		}
		sum += footprint.Bytes(l.Size)
	}
	return sum, nil
}

// contextOf fills in what .dockerignore says, and which files it lets through. As
// for BuildKit, one beside the Dockerfile and named after it counts before that
// of the context.
func (c *Command) contextOf(ctx context.Context, b *source.Build, s *advice.Subject) error {
	path := dockerfilePath(b)
	name, general := path+".dockerignore", filepath.Join(b.Context, ".dockerignore")
	text, err := readWithin(filepath.Dir(name), filepath.Base(name), maxIgnore)
	if errors.Is(err, fs.ErrNotExist) {
		name = general
		text, err = readWithin(b.Context, ".dockerignore", maxIgnore)
	}
	has := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	files, err := contextFiles(ctx, b.Context, text)
	if err != nil {
		return err
	}
	s.Ignore, s.IgnoreName, s.HasIgnore, s.Context = text, c.pathName(name), has, files
	return nil
}

// pathName is what reports call a file: in a workflow, its path in the repository,
// else that from the current folder if it is below it.
func (c *Command) pathName(path string) string {
	if rel, ok := actions.Rel(c.runner.Workspace, path); ok && c.runner.Actions {
		return rel
	}
	if here, err := os.Getwd(); err == nil && filepath.IsAbs(path) {
		if rel, ok := actions.Rel(here, path); ok {
			return rel
		}
	}
	return filepath.ToSlash(path)
}

// contextFiles lists what a folder sends to a builder, as BuildKit does: files
// and links, in the order of their paths as texts. No link is followed.
func contextFiles(ctx context.Context, dir string, ignore []byte) ([]advice.ContextFile, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(ignore))
	if err != nil {
		return nil, fmt.Errorf("reading .dockerignore: %w", err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("reading .dockerignore: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	ctx, cancel := context.WithTimeout(ctx, contextWait)
	defer cancel()
	l := &contextList{ctx: ctx, matcher: matcher, cost: len(ignore) + 50*len(patterns), files: []advice.ContextFile{}}
	if err := fs.WalkDir(root.FS(), ".", l.visit); err != nil {
		return nil, err
	}
	slices.SortFunc(l.files, func(a, b advice.ContextFile) int { return cmp.Compare(a.Path, b.Path) })
	return l.files, nil
}

// contextList is what a walk over a context found so far.
type contextList struct {
	ctx     context.Context
	matcher *patternmatcher.PatternMatcher
	cost    int // of trying its patterns, in steps
	// folders are those above the current path, with what matched them.
	folders []matchedFolder
	visited int
	files   []advice.ContextFile
}

type matchedFolder struct {
	prefix string
	info   patternmatcher.MatchInfo
}

func (l *contextList) visit(path string, entry fs.DirEntry, err error) error {
	if path == "." {
		return err
	}
	if l.visited++; l.visited%256 == 0 && l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	if l.visited*max(l.cost, 500) > maxIgnoreWork {
		return errors.New("it holds too many files, or .dockerignore too many patterns, to look through")
	}
	for len(l.folders) > 0 && !strings.HasPrefix(path, l.folders[len(l.folders)-1].prefix) {
		l.folders = l.folders[:len(l.folders)-1]
	}
	var above patternmatcher.MatchInfo
	if n := len(l.folders); n > 0 {
		above = l.folders[n-1].info
	}
	ignored, info, matchErr := l.matcher.MatchesUsingParentResults(path, above)
	switch {
	case matchErr != nil:
		return fmt.Errorf("reading .dockerignore: %w", matchErr)
	case ignored && entry != nil && entry.IsDir() && !l.mayExcept(path+"/"):
		return fs.SkipDir
	case err != nil && ignored:
		return nil
	case err != nil:
		return err
	case entry.IsDir():
		l.folders = append(l.folders, matchedFolder{path + "/", info})
		return nil
	case ignored || !entry.Type().IsRegular() && entry.Type() != fs.ModeSymlink:
		return nil
	}
	one := advice.ContextFile{Path: path}
	if entry.Type().IsRegular() {
		st, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since
		}
		if err != nil {
			return err
		}
		one.Bytes = footprint.Bytes(st.Size())
	}
	if l.files = append(l.files, one); len(l.files) > maxContextFiles {
		return fmt.Errorf("it holds more than %d files; exclude what the build does not need in .dockerignore", maxContextFiles)
	}
	return nil
}

// mayExcept tells whether a pattern that begins with ! may match below an ignored
// folder.
func (l *contextList) mayExcept(folder string) bool {
	for _, p := range l.matcher.Patterns() {
		if !p.Exclusion() {
			continue
		}
		literal := p.String()
		if i := strings.IndexAny(literal, `*?[\^`); i < 0 && strings.HasPrefix(literal+"/", folder) ||
			i >= 0 && (strings.HasPrefix(literal[:i], folder) || strings.HasPrefix(folder, literal[:i])) {
			return true
		}
	}
	return false
}
