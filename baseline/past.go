package baseline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"

	"github.com/org/image-budget/footprint"
)

// Historian is a [Store] that knows what an image weighed at older commits
// without reading their snapshots.
type Historian interface {
	Store
	// History returns the figures of the key's commit and of those before it
	// that it has a baseline of, oldest first, at most most. It looks no
	// further back than [MaxAncestors]. That there are none is no error.
	History(ctx context.Context, key Key, most int) ([]footprint.Past, error)
}

// figuresForm is how figures stand in the name of a file and in an annotation:
// c88100000-u205000000-f190000000, with an e for compressed bytes that are an
// estimate, and without those that are not known. No image has 10^18 bytes.
const figuresForm = `(?:([ce])(\d{1,18}))?(?:-?u(\d{1,18})-f(\d{1,18}))?`

var figuresOnly = regexp.MustCompile(`^` + figuresForm + `$`)

// figures writes what [readFigures] reads, "" where nothing is known.
func figures(p footprint.Past) string {
	text := ""
	if p.Has&footprint.HasCompressed != 0 {
		text = "c"
		if p.Estimated {
			text = "e"
		}
		text += strconv.FormatInt(int64(p.Compressed), 10)
	}
	if p.Has&footprint.HasFiles != 0 {
		if text != "" {
			text += "-"
		}
		text += fmt.Sprintf("u%d-f%d", int64(p.Unpacked), int64(p.Final))
	}
	return text
}

// maxFigure is what reports and snapshots hold at most: a petabyte.
const maxFigure = 1 << 50

// readFigures reads figures; those that are none, or absurd, are not known.
func readFigures(text string) footprint.Past {
	var p footprint.Past
	m := figuresOnly.FindStringSubmatch(text)
	if m == nil {
		return p
	}
	size := func(digits string) footprint.Bytes {
		n, _ := strconv.ParseInt(digits, 10, 64) // the form holds no more than an int64
		return footprint.Bytes(n)
	}
	if m[1] != "" {
		p.Compressed, p.Estimated, p.Has = size(m[2]), m[1] == "e", footprint.HasCompressed
	}
	if m[3] != "" {
		p.Unpacked, p.Final, p.Has = size(m[3]), size(m[4]), p.Has|footprint.HasFiles
	}
	if max(p.Compressed, p.Unpacked, p.Final) > maxFigure {
		return footprint.Past{}
	}
	return p
}

// History reads the names of files, which a listing has: where the baseline was
// loaded from this branch, only the commits before it are asked for.
func (b *branch) History(ctx context.Context, key Key, most int) ([]footprint.Past, error) {
	if err := key.check(true); err != nil {
		return nil, err
	}
	tree, err := b.recent(ctx)
	if err != nil {
		return nil, b.failed("reading", err)
	}
	h, err := tree.history(ctx, keyDir(key))
	if err != nil {
		return nil, b.failed("reading", err)
	}
	var out []footprint.Past
	err = walk(ctx, b.ancestors, key.Commit, func(commit string) bool {
		if f, ok := h.of(commit); ok && f.figures.Has != 0 {
			out = append(out, f.figures)
		}
		return len(out) < most && len(h.saved) > 1
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(out)
	return out, nil
}

// History reads the manifests of the commits' baselines, several at once; their
// tags are listed already where the baseline was loaded from this registry.
func (r *registry) History(ctx context.Context, key Key, most int) ([]footprint.Past, error) {
	if err := key.check(true); err != nil {
		return nil, err
	}
	l, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	candidates, platform, err := r.candidates(l, key)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrPlatform) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	byCommit := map[string]tagged{}
	for _, t := range candidates {
		byCommit[t.commit] = t
	}
	delete(byCommit, "")
	var tags []tagged
	err = walk(ctx, r.ancestors, key.Commit, func(commit string) bool {
		if t, ok := byCommit[r.tags.commit(commit)]; ok {
			tags = append(tags, t)
		}
		return len(tags) < min(most, len(byCommit))
	})
	if err != nil {
		return nil, err
	}
	arts, err := r.fetchAll(ctx, tags, errForeign)
	if err != nil {
		return nil, err
	}
	var out []footprint.Past
	for _, a := range slices.Backward(arts) {
		if a.figures.Has != 0 && a.isOf(Key{Image: key.Image, Platform: key.Platform, Commit: a.key.Commit}, platform) == nil {
			p := a.figures
			p.Commit = a.key.Commit
			out = append(out, p)
		}
	}
	return out, nil
}

// walk hands a commit and those before it to see, until that returns false.
func walk(ctx context.Context, ancestors func(context.Context, string) iter.Seq2[string, error], from string, see func(commit string) bool) error {
	if from == "" || !see(from) || ancestors == nil {
		return nil
	}
	n := 0
	for commit, err := range ancestors(ctx, from) {
		if err != nil {
			return fmt.Errorf("looking for earlier baselines: %w", err)
		}
		if commit == from {
			continue
		}
		if n++; n > MaxAncestors || !see(commit) {
			return nil
		}
	}
	return nil
}

// savedName is the name of the file of a baseline: what it is of, and its
// figures, so that a listing tells how the sizes went.
var savedName = regexp.MustCompile(`^(\d{8}T\d{6}Z)-([0-9a-f]{40}|[0-9a-f]{64}|` + uncommitted + `)(?:-(` + figuresForm + `))?\.json$`)

// checkFigures tells whether a file holds what its name says.
func checkFigures(f saved, img *footprint.Image) error {
	want := footprint.PastOf(f.commit, img)
	if f.figures.Has != 0 && f.figures != want {
		return fmt.Errorf("it holds other figures (%s) than its name says: delete it there", figures(want))
	}
	return nil
}
