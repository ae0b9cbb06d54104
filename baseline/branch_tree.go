package baseline

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
)

const (
	root      = "v1"
	layersDir = "layers"
	readme    = "README.md"
	// uncommitted stands for the commit of a baseline that was saved without one.
	uncommitted = "uncommitted"
	timeFormat  = "20060102T150405Z"
	// maxListings bounds the directories of one branch that are listed one by one.
	maxListings = 10_000
	// maxName bounds a path component; Git clients write no longer one.
	maxName = 250
	// maxBranchFile bounds one snapshot with what is around it.
	maxBranchFile = footprint.MaxSnapshot + 1<<20
)

// gitTree is the tree of one commit of the branch, read as far as it was asked
// for: all of it at once where GitHub lists it whole, else one directory after
// the other.
type gitTree struct {
	api  *github.Client
	head string // "" where there is no branch

	mu       sync.Mutex
	base     string // id of the tree, once something was read
	listed   map[string]map[string]github.TreeEntry
	listings int
	whole    bool
}

// files lists a directory by name; one that is not there has none.
func (t *gitTree) files(ctx context.Context, dir string) (map[string]github.TreeEntry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.list(ctx, dir)
}

func (t *gitTree) list(ctx context.Context, dir string) (map[string]github.TreeEntry, error) {
	if t.head == "" {
		return nil, nil
	}
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	known, ok := t.listed[dir]
	if ok || t.whole {
		return known, nil
	}
	sha := t.base
	if dir != "." {
		above, err := t.list(ctx, path.Dir(dir))
		if err != nil {
			return nil, err
		}
		e, ok := above[path.Base(dir)]
		if !ok || !e.Dir {
			return nil, nil
		}
		sha = e.SHA
	}
	if t.listings++; t.listings > maxListings {
		return nil, fmt.Errorf("there are more than %d directories: prune it, or use a branch per image", maxListings)
	}
	entries, whole, err := t.api.Tree(ctx, sha, false)
	if err != nil {
		return nil, err
	}
	if !whole {
		return nil, fmt.Errorf("GitHub does not list all of %s: 'image-budget baseline prune' makes it smaller", dir)
	}
	t.listed[dir] = map[string]github.TreeEntry{}
	for _, e := range entries {
		t.listed[dir][e.Path] = e
	}
	return t.listed[dir], nil
}

// start reads the whole tree if it can be had with one request.
func (t *gitTree) start(ctx context.Context) error {
	if t.listed != nil {
		return nil
	}
	commit, err := t.api.Commit(ctx, t.head)
	if err != nil {
		return err
	}
	entries, whole, err := t.api.Tree(ctx, commit.Tree, true)
	if err != nil {
		return err
	}
	t.base, t.whole, t.listed = commit.Tree, whole, map[string]map[string]github.TreeEntry{}
	if !whole {
		return nil
	}
	for _, e := range entries {
		dir := path.Dir(e.Path)
		if t.listed[dir] == nil {
			t.listed[dir] = map[string]github.TreeEntry{}
		}
		t.listed[dir][path.Base(e.Path)] = e
	}
	return nil
}

// dirs lists what the directories in dir stand for, sorted. Other names are
// none of ours.
func (t *gitTree) dirs(ctx context.Context, dir string) ([]string, error) {
	files, err := t.files(ctx, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, e := range files {
		if plain, ok := unescapeName(name); ok && e.Dir {
			names = append(names, plain)
		}
	}
	slices.Sort(names)
	return names, nil
}

// keys lists all images and platforms.
func (t *gitTree) keys(ctx context.Context) ([]Key, error) {
	images, err := t.dirs(ctx, root)
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, image := range images {
		platforms, err := t.dirs(ctx, path.Join(root, escapeName(image)))
		if err != nil {
			return nil, err
		}
		for _, p := range platforms {
			keys = append(keys, Key{Image: image, Platform: p})
		}
	}
	return keys, nil
}

// saved is one snapshot in a listing.
type saved struct {
	name   string
	at     time.Time
	commit string // "" for one without
	// figures are those that its name tells.
	figures footprint.Past
	blob    string
	size    int64
}

// history is what there is of one image and platform, the newest first.
type history struct {
	saved []saved
	// latest has the blobs that the latest files hold, by branch.
	latest map[string]string
}

var latestName = regexp.MustCompile(`^latest(?:-(.+))?\.json$`)

// history lists a directory. Names that are none of ours are left alone.
func (t *gitTree) history(ctx context.Context, dir string) (*history, error) {
	files, err := t.files(ctx, dir)
	if err != nil {
		return nil, err
	}
	h := &history{latest: map[string]string{}}
	for name, e := range files {
		if e.Dir {
			continue
		}
		if m := latestName.FindStringSubmatch(name); m != nil {
			if branch, ok := unescapeName(m[1]); ok || m[1] == "" {
				h.latest[branch] = e.SHA
			}
			continue
		}
		m := savedName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		at, err := time.Parse(timeFormat, m[1])
		if err != nil {
			continue
		}
		f := saved{name: name, at: at, commit: strings.TrimSuffix(m[2], uncommitted), figures: readFigures(m[3]), blob: e.SHA, size: e.Size}
		f.figures.Commit = f.commit
		h.saved = append(h.saved, f)
	}
	h.sort()
	return h, nil
}

func (h *history) sort() {
	slices.SortFunc(h.saved, func(a, b saved) int {
		return cmp.Or(b.at.Compare(a.at), strings.Compare(a.commit, b.commit))
	})
}

// of returns the snapshot of a commit.
func (h *history) of(commit string) (saved, bool) {
	i := slices.IndexFunc(h.saved, func(f saved) bool { return f.commit == commit })
	if i < 0 {
		return saved{}, false
	}
	return h.saved[i], true
}

// pointed returns the snapshot that the latest file of a branch holds.
func (h *history) pointed(branch string) (saved, bool) {
	blob, ok := h.latest[branch]
	i := slices.IndexFunc(h.saved, func(f saved) bool { return f.blob == blob })
	if !ok || i < 0 {
		return saved{}, false
	}
	return h.saved[i], true
}

// newest returns the latest of the branch that was saved last, else what was
// saved last. There must be one.
func (h *history) newest() saved {
	var best saved
	for _, branch := range slices.Sorted(maps.Keys(h.latest)) {
		if f, ok := h.pointed(branch); ok && f.at.After(best.at) {
			best = f
		}
	}
	if best.name == "" {
		best = h.saved[0]
	}
	return best
}

func keyDir(key Key) string {
	return path.Join(root, escapeName(key.Image), escapeName(key.Platform))
}

func savedFile(at time.Time, of footprint.Past) string {
	name := at.UTC().Format(timeFormat) + "-" + cmp.Or(of.Commit, uncommitted)
	if text := figures(of); text != "" {
		name += "-" + text
	}
	return name + ".json"
}

func latestFile(branch string) string {
	if branch == "" {
		return "latest.json"
	}
	return "latest-" + escapeName(branch) + ".json"
}

// plainByte tells what stands for itself in the name of a file. Capitals do
// not: two names that differ by them alone are one on some machines.
func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

// escapeName makes any text one path component: a slash is a plus sign, what is
// not plain is %XX. A dot is plain except as the first byte, where .git and ..
// would mean something.
func escapeName(s string) string {
	var out strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/':
			out.WriteByte('+')
		case plainByte(c) && (c != '.' || i > 0):
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

// unescapeName reverses escapeName; ok is false for a name it does not make.
func unescapeName(s string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			out.WriteByte('/')
		case c == '%' && i+2 < len(s):
			var b byte
			if _, err := fmt.Sscanf(s[i+1:i+3], "%02X", &b); err != nil {
				return "", false
			}
			out.WriteByte(b)
			i += 2
		default:
			out.WriteByte(c)
		}
	}
	plain := out.String()
	return plain, s != "" && utf8.ValidString(plain) && escapeName(plain) == s
}

// layerName is the name of the file for a layer.
func layerName(diffID string) (string, bool) {
	hex, ok := strings.CutPrefix(diffID, "sha256:")
	return hex, ok && isLayerName(hex)
}

func isLayerName(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
