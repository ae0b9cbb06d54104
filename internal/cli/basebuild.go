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
	"strings"
	"sync"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/source"
)

// baseTree is the sources of the commit that a run is compared with, for the
// time of the run.
type baseTree struct {
	once   sync.Once
	dir    string
	commit string
	err    error
}

// buildBase builds what an image was at the commit that this run is compared
// with, with the same builder and so with the same cache. dir has its sources;
// "" fetches those of the commit, which needs no history in the checkout.
func (c *Command) buildBase(m *measurer, w want) func(context.Context, string, baseline.Key) (*baseline.Found, error) {
	return func(ctx context.Context, dir string, key baseline.Key) (*baseline.Found, error) {
		if w.build == nil {
			return nil, usagef("", "%s is not built here, so what it was before cannot be built either: write build: for it, or choose another baseline", w.name)
		}
		commit := ""
		if dir == "" {
			if !c.runner.Actions {
				return nil, usagef("", "outside a workflow, build needs a folder with the sources to compare with: git worktree add ../before main, and then build:../before")
			}
			m.tree.once.Do(func() { m.tree.dir, m.tree.commit, m.tree.err = c.fetchTree(ctx, m.flags.token) })
			if m.tree.err != nil {
				return nil, m.tree.err
			}
			dir, commit = m.tree.dir, m.tree.commit
		} else if missing(dir) {
			return nil, usagef("", "the baseline is to be built from %s: there is no such folder", dir)
		}
		root := checkoutRoot(w.build.Context)
		if root == "" {
			root = cmp.Or(c.runner.Workspace, ".")
		}
		b, err := moved(w.build, root, dir)
		if err != nil {
			return nil, err
		}
		if commit != "" {
			m.noteGit(w.build, root)
		}
		if key.Platform != "" {
			b.Platforms = []string{key.Platform}
		}
		of := w
		of.build, of.against, of.lines = b, nil, true
		of.file = c.dockerfileName(w.build)
		if of.title = w.name + " as it was"; commit != "" {
			of.title = w.name + " at " + short(commit)
		}
		var found *footprint.Image
		var failed error
		err = m.openAll(ctx, of, nil, func(of want, opened *source.Image, err error) {
			if err == nil {
				found, err = m.scan(ctx, opened, of)
			}
			failed = errors.Join(failed, err)
		})
		var mistake *usageError
		switch err = errors.Join(err, failed); {
		case errors.As(err, &mistake):
			// Of the older sources, it is nobody's mistake now.
			return nil, fmt.Errorf("%v", err)
		case err != nil:
			return nil, err
		}
		return &baseline.Found{Image: found, Meta: footprint.Meta{Commit: commit}}, nil
	}
}

// short is how people write a commit.
func short(commit string) string { return commit[:min(len(commit), 7)] }

// fetchTree gets the sources of the commit to compare with.
func (c *Command) fetchTree(ctx context.Context, token string) (dir, commit string, err error) {
	with, err := c.comparison(ctx, token)
	if err != nil {
		return "", "", err
	}
	if with.base == "" {
		return "", "", fmt.Errorf("%w: there is no commit before this one", baseline.ErrNotFound)
	}
	gh, err := c.repository(token)
	if err != nil {
		return "", "", err
	}
	archive, err := gh.Archive(ctx, with.base)
	if errors.Is(err, github.ErrUnknown) {
		return "", "", fmt.Errorf("%w: GitHub does not have the sources of %s", baseline.ErrNotFound, with.base)
	}
	if err != nil {
		return "", "", c.withPermissions(err)
	}
	defer archive.Close()
	// Where the runner's own temporary files are, if it says so: it clears up
	// after a job that was killed.
	dir, err = os.MkdirTemp(c.Getenv("RUNNER_TEMP"), "image-budget-base-")
	if err != nil {
		return "", "", fmt.Errorf("making a folder for the sources of %s: %w", with.base, err)
	}
	err = unpackTree(archive, dir)
	if err == nil {
		err = wholeTree(dir)
	}
	if err != nil {
		return "", "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, with.base, nil
}

// removeTree removes the sources again.
func (m *measurer) removeTree() {
	if m.tree.dir == "" {
		return
	}
	if err := os.RemoveAll(m.tree.dir); err != nil {
		m.command.log.Warn().Msgf("removing the sources of the baseline: %v", err)
	}
}

// moved is a build whose folders and files below root are those below dir. It
// leaves neither names nor caches behind: those are for the image to check.
func moved(b *source.Build, root, dir string) (*source.Build, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	move := func(path string) (string, error) {
		if source.Fetched(path) {
			return "", usagef("", "the context %s is fetched by the builder, so its older sources are not in the repository: choose another baseline than build", path)
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		rel, err := filepath.Rel(root, abs)
		if err != nil || !filepath.IsLocal(rel) {
			return "", usagef("", "%s is not in the repository, so its older sources are not either: choose another baseline than build", path)
		}
		return filepath.Join(dir, rel), nil
	}
	out := *b
	out.Tags, out.CacheTo = nil, nil
	if out.Context, err = move(b.Context); err != nil {
		return nil, err
	}
	if b.Dockerfile != "" {
		if out.Dockerfile, err = move(b.Dockerfile); err != nil {
			return nil, err
		}
	}
	out.Contexts = map[string]string{}
	for name, where := range b.Contexts {
		if !source.Fetched(where) {
			if where, err = move(where); err != nil {
				return nil, err
			}
		}
		out.Contexts[name] = where
	}
	file := out.Dockerfile
	if file == "" {
		file = filepath.Join(out.Context, "Dockerfile")
	}
	needed := []string{out.Context, file}
	for _, name := range sortedKeys(out.Contexts) {
		if !source.Fetched(out.Contexts[name]) {
			needed = append(needed, out.Contexts[name])
		}
	}
	for _, path := range needed {
		if missing(path) {
			return nil, fmt.Errorf("%w: there was no %s yet", baseline.ErrNotFound, strings.TrimPrefix(strings.TrimPrefix(path, dir), string(filepath.Separator)))
		}
	}
	if src, err := readBounded(file, dockerfile.MaxSize); err == nil && b.Target != "" {
		if f, err := dockerfile.Parse(file, src); err == nil {
			if _, err := f.Target(b.Target); err != nil {
				return nil, fmt.Errorf("%w: the Dockerfile had no stage %q yet", baseline.ErrNotFound, b.Target)
			}
		}
	}
	return &out, nil
}

// wholeTree refuses sources that differ from a checkout by more than what was
// changed since: what an archive leaves out, or has in another form, would count
// as growth.
func wholeTree(dir string) error {
	const advice = "so what they build is not what a checkout builds; keep baselines on a branch or in a registry instead of building them"
	if !missing(filepath.Join(dir, ".gitmodules")) {
		return fmt.Errorf("the archive of a commit has no submodules, %s", advice)
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != ".gitattributes" || !d.Type().IsRegular() {
			return err
		}
		text, err := readBounded(path, 1<<20)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			for _, word := range words[1:] {
				switch word {
				case "export-ignore", "export-subst", "filter=lfs":
					return fmt.Errorf("the archive of a commit is not its checkout where .gitattributes says %s, %s", word, advice)
				}
			}
		}
		return nil
	})
}

// noteGit says that a folder of git in the context counts as growth: an archive
// has none.
func (m *measurer) noteGit(b *source.Build, root string) {
	context, err := filepath.Abs(b.Context)
	if err != nil || context != root || missing(filepath.Join(root, ".git")) {
		return
	}
	text, err := readBounded(filepath.Join(root, ".dockerignore"), 1<<20)
	if err == nil {
		if patterns, err := ignorefile.ReadAll(bytes.NewReader(text)); err == nil {
			if out, err := patternmatcher.Matches(".git/config", patterns); err == nil && out {
				return
			}
		}
	}
	m.note(".git is in the context and no .dockerignore leaves it out: where it is copied it counts as growth, because the older sources come without it")
}

// checkoutRoot is the folder of the checkout that dir is in, that with .git; ""
// if there is none.
func checkoutRoot(dir string) string {
	at, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		if !missing(filepath.Join(at, ".git")) {
			return at
		}
		if at == filepath.Dir(at) {
			return ""
		}
		at = filepath.Dir(at)
	}
}
