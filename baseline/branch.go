package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
)

const (
	// MaxAncestors is how far back from the commit asked for a baseline is looked for.
	MaxAncestors = 50
	// DefaultKeep is how many baselines of an image and platform a branch keeps, unless it is told otherwise.
	DefaultKeep = 500
)

// branch keeps baselines on a branch of the repository on GitHub, which has no
// other files and no common history with them. It is read and written through
// the API, never cloned:
//
//	v1/IMAGE/PLATFORM/TIME-COMMIT-FIGURES.json  a baseline file of one snapshot
//	v1/IMAGE/PLATFORM/latest-BRANCH.json  the same bytes as the newest of BRANCH
//	layers/HEX                          what was learnt about the layer sha256:HEX
//	layers/index.json                   which snapshots name it, for forgetting it
//
// The time in a name makes a listing tell what is newest without reading a
// file, and the figures how the sizes went. What Git holds of files that were removed stays in its history.
type branch struct {
	name string
	opt  Options

	// writing holds the one save that is under way: those of one store would
	// only be in each other's way.
	writing chan struct{}

	mu   sync.Mutex
	api  *github.Client
	tree *gitTree // as it was last seen, nil at first
	seen time.Time
	// asked counts the questions where the branch is, and known is the number
	// of the newest whose answer counts: answers may overtake each other.
	asked, known int
	// down is why the branch could not be read, at downAt.
	down   error
	downAt time.Time
}

// outage is how long a branch that could not be read is not asked for again by
// those who load from it. Asking takes minutes, and there may be hundreds of
// images.
const outage = 10 * time.Minute

// recent is how old what was seen of the branch may be to load from it: one
// run loads for all its images at once.
const recent = 30 * time.Second

// openBranch checks the name of a branch; nothing is asked yet.
func openBranch(name string, opt Options) (*branch, error) {
	if err := checkBranch(name); err != nil {
		return nil, err
	}
	if opt.GitHub == nil {
		return nil, errors.New("internal error: there is no GitHub to keep branch:NAME on")
	}
	return &branch{name: name, opt: opt, writing: make(chan struct{}, 1)}, nil
}

// checkBranch refuses what git check-ref-format refuses.
func checkBranch(name string) error {
	bad := len(name) > 200 || name == "@" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, " ~^:?*[\\\x7f") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") ||
		strings.ToValidUTF8(name, "") != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' })
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if rest, ok := strings.CutPrefix(name, "refs/heads/"); ok && !bad {
		return fmt.Errorf("branch:%s has too much in its name; write branch:%s", clip(name), clip(rest))
	}
	if bad {
		return fmt.Errorf("%q cannot be the name of a branch; write one such as branch:image-budget", clip(name))
	}
	return nil
}

// Load returns the baseline of the commit or of the nearest ancestor that has
// one; of a key without a commit, the latest.
func (b *branch) Load(ctx context.Context, key Key) (*Found, error) {
	if err := key.check(false); err != nil {
		return nil, err
	}
	tree, err := b.recent(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := b.find(ctx, tree, &key)
	if err != nil {
		return nil, err
	}
	h, err := tree.history(ctx, dir)
	if err != nil {
		return nil, err
	}
	f, distance, err := b.pick(ctx, h, key)
	if err != nil {
		return nil, err
	}
	if u, ok := h.of(""); ok && key.Uncommitted && !u.at.Before(f.at) {
		f, distance = u, 0
	}
	found, err := b.read(ctx, path.Join(dir, f.name), f, key)
	if err != nil {
		return nil, err
	}
	found.Distance = distance
	return found, nil
}

// find returns the directory of a key, and completes its platform.
func (b *branch) find(ctx context.Context, tree *gitTree, key *Key) (string, error) {
	if tree.head == "" {
		return "", fmt.Errorf("%w: the branch %s does not exist yet", ErrNotFound, b.name)
	}
	images, err := tree.dirs(ctx, root)
	if err != nil {
		return "", err
	}
	if !slices.Contains(images, key.Image) {
		if len(images) == 0 {
			return "", fmt.Errorf("%w: the branch %s holds none", ErrNotFound, b.name)
		}
		for i, image := range images {
			images[i] = strconv.Quote(image)
		}
		return "", fmt.Errorf("%w: the branch %s has no %q, only %s", ErrNotFound, b.name, key.Image, list(images))
	}
	platforms, err := tree.dirs(ctx, path.Join(root, escapeName(key.Image)))
	switch {
	case err != nil:
		return "", err
	case slices.Contains(platforms, key.Platform):
	case key.Platform == "" && len(platforms) == 1:
		key.Platform = platforms[0]
	case len(platforms) == 0:
		return "", fmt.Errorf("%w: the branch %s holds none of %q", ErrNotFound, b.name, key.Image)
	case key.Platform == "":
		return "", fmt.Errorf("the branch %s has %q for %s; say which with --platform", b.name, key.Image, list(platforms))
	default:
		return "", fmt.Errorf("%w: the branch %s has %q for %s, not for %s", ErrPlatform, b.name, key.Image, list(platforms), key.Platform)
	}
	return keyDir(*key), nil
}

// pick chooses a snapshot, and says how many commits it is away.
func (b *branch) pick(ctx context.Context, h *history, key Key) (saved, int, error) {
	if len(h.saved) == 0 {
		return saved{}, 0, fmt.Errorf("%w: the branch %s holds none of %q for %s", ErrNotFound, b.name, key.Image, key.Platform)
	}
	if key.Commit == "" {
		f, err := b.latest(ctx, h)
		return f, 0, err
	}
	if f, ok := h.of(key.Commit); ok {
		return f, 0, nil
	}
	distance := 0
	for commit, err := range b.ancestors(ctx, key.Commit) {
		if err != nil {
			return saved{}, 0, fmt.Errorf("looking for the baseline of an ancestor: %w", err)
		}
		if distance == MaxAncestors {
			break
		}
		distance++
		if f, ok := h.of(commit); ok {
			return f, distance, nil
		}
	}
	where := "neither of commit " + short(key.Commit) + " nor of the " + fmt.Sprint(distance) + " before it"
	if distance == 0 {
		where = "none of commit " + short(key.Commit) + ", and no commit before it is known"
	}
	return saved{}, 0, fmt.Errorf("%w: of %q for %s, the branch %s has %s; the newest it has is of %s, saved %s",
		ErrNotFound, key.Image, key.Platform, b.name, where, short(h.saved[0].commit), h.saved[0].at.Format(time.DateOnly))
}

// latest returns the latest baseline of the branch of the code that the run
// belongs to, else of the default branch, else of the one saved last.
func (b *branch) latest(ctx context.Context, h *history) (saved, error) {
	if f, ok := h.pointed(b.opt.Tracked); ok && (b.opt.Tracked != "" || len(h.latest) == 1) {
		return f, nil
	}
	if len(h.latest) > 1 {
		api, err := b.client()
		if err != nil {
			return saved{}, err
		}
		name, err := api.DefaultBranch(ctx)
		if err != nil {
			return saved{}, b.failed("reading", err)
		}
		if f, ok := h.pointed(name); ok {
			return f, nil
		}
	}
	return h.newest(), nil
}

func (b *branch) ancestors(ctx context.Context, commit string) iter.Seq2[string, error] {
	if b.opt.Ancestors == nil {
		return func(func(string, error) bool) {}
	}
	return b.opt.Ancestors(ctx, commit)
}

// read decodes a snapshot.
func (b *branch) read(ctx context.Context, where string, f saved, key Key) (*Found, error) {
	if f.size > maxBranchFile {
		return nil, fmt.Errorf("%s on the branch %s is larger than %s: it holds no baseline; delete it there", where, b.name, footprint.Bytes(maxBranchFile))
	}
	api, err := b.client()
	if err != nil {
		return nil, err
	}
	data, err := api.Blob(ctx, f.blob)
	if err != nil {
		return nil, b.failed("reading", err)
	}
	doc, err := parseDocument(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s on the branch %s: %w", where, b.name, err)
	}
	snapshot, err := doc.find(where, key)
	if err != nil {
		// It is there by name: what it holds is not what it should.
		return nil, fmt.Errorf("reading %s on the branch %s: it holds another baseline than its name says (%s): delete it there", where, b.name, err)
	}
	img, meta, err := footprint.DecodeSnapshot(bytes.NewReader(snapshot))
	if err != nil {
		return nil, fmt.Errorf("reading %s on the branch %s: %w", where, b.name, err)
	}
	if meta.Commit != f.commit {
		return nil, fmt.Errorf("reading %s on the branch %s: it holds the baseline of commit %s, not that of its name: delete it there", where, b.name, short(clip(meta.Commit)))
	}
	if err := checkFigures(f, img); err != nil {
		return nil, fmt.Errorf("reading %s on the branch %s: %w", where, b.name, err)
	}
	return &Found{Image: img, Meta: meta}, nil
}

// LoadLayer returns the index of a layer.
func (b *branch) LoadLayer(ctx context.Context, diffID string) ([]byte, error) {
	hex, ok := layerName(diffID)
	if !ok {
		return nil, fmt.Errorf("%w: %q is no diffID that a branch keeps a layer of", ErrNotFound, clip(diffID))
	}
	tree, err := b.recent(ctx)
	if err != nil {
		return nil, b.failed("reading", err)
	}
	files, err := tree.files(ctx, layersDir)
	if err != nil {
		return nil, b.failed("reading", err)
	}
	f, ok := files[hex]
	if !ok || f.Dir || f.Size > maxLayer {
		return nil, fmt.Errorf("%w: the branch %s knows no layer %s", ErrNotFound, b.name, clip(diffID))
	}
	data, err := tree.api.Blob(ctx, f.SHA)
	if err != nil {
		return nil, b.failed("reading", err)
	}
	return data, nil
}

// List returns what the branch holds.
func (b *branch) List(ctx context.Context) ([]Listed, error) {
	tree, err := b.refresh(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := tree.keys(ctx)
	if err != nil {
		return nil, err
	}
	var all []Listed
	for _, key := range keys {
		h, err := tree.history(ctx, keyDir(key))
		if err != nil {
			return nil, err
		}
		for _, f := range h.saved {
			key.Commit = f.commit
			all = append(all, Listed{Key: key, At: f.at})
		}
	}
	return all, nil
}

func (b *branch) client() (*github.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.api == nil {
		api, err := b.opt.GitHub()
		if err != nil {
			return nil, &noGitHubError{err}
		}
		b.api = api
	}
	return b.api, nil
}

// recent is the branch as it was seen a moment ago, or as it is now.
func (b *branch) recent(ctx context.Context) (*gitTree, error) {
	api, err := b.client()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	tree, seen, down, downAt := b.tree, b.seen, b.down, b.downAt
	b.mu.Unlock()
	switch {
	case tree != nil && api.Now().Sub(seen) < recent:
		return tree, nil
	case down != nil && api.Now().Sub(downAt) < outage:
		return nil, down
	}
	tree, err = b.refresh(ctx)
	if ctx.Err() == nil {
		b.mu.Lock()
		b.down, b.downAt = err, api.Now()
		b.mu.Unlock()
	}
	return tree, err
}

// refresh asks where the branch is now. What is known of its files stays known
// as long as it has not moved.
func (b *branch) refresh(ctx context.Context) (*gitTree, error) {
	api, err := b.client()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.asked++
	question := b.asked
	b.mu.Unlock()
	head, err := api.Head(ctx, b.name)
	if errors.Is(err, github.ErrEmpty) {
		head, err = "", nil
	}
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	tree := b.tree
	if tree == nil || tree.head != head {
		tree = &gitTree{api: api, head: head}
	}
	if question > b.known {
		b.tree, b.seen, b.known = tree, api.Now(), question
	}
	return tree, nil
}

// noGitHubError says what is missing to ask GitHub. Whoever asked names the
// baseline, and there was no request that could have failed.
type noGitHubError struct{ err error }

func (e *noGitHubError) Error() string { return "it is on GitHub, and " + e.err.Error() }
func (e *noGitHubError) Unwrap() error { return e.err }

func (b *branch) failed(doing string, err error) error {
	if missing := (*noGitHubError)(nil); errors.As(err, &missing) {
		return err
	}
	return fmt.Errorf("%s the baselines on the branch %s: %w", doing, b.name, err)
}

// short is a commit id as people write it.
func short(commit string) string {
	switch {
	case commit == "":
		return "an unknown commit"
	case len(commit) > 7:
		return commit[:7]
	}
	return commit
}
