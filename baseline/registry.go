package baseline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/source"
)

// What an artifact is, and what is in it.
const (
	artifactBaseline = "application/vnd.image-budget.baseline.v1"
	artifactLayer    = "application/vnd.image-budget.layer.v1"
	mediaSnapshot    = "application/vnd.image-budget.snapshot.v1+json"
	mediaLayerIndex  = "application/vnd.image-budget.layer-index.v1"

	annotationImage    = "image-budget.image"
	annotationPlatform = "image-budget.platform"
	annotationCommit   = "image-budget.commit"
	annotationFigures  = "image-budget.figures"
	annotationDiffID   = "image-budget.diff-id"
	annotationLayers   = "image-budget.layers" // diffIDs, with spaces between
	annotationCreated  = "org.opencontainers.image.created"
)

const (
	// maxLayerIndex bounds a stored index: that of a layer with half a million
	// files has some 10 MB.
	maxLayerIndex = 32 << 20
	// maxLayerIndexes bounds the indexes of one baseline; engines run images of
	// a few hundred layers.
	maxLayerIndexes = 1000
	// maxNewest bounds the manifests that are read to find the newest baseline.
	maxNewest = 1000
	// maxAncestors bounds how far back a baseline may be, whatever the history
	// offers.
	maxAncestors = 50
	// parallel is how many requests run at once.
	parallel = 8
)

// registry keeps baselines as artifacts in a repository of a registry, one tag
// for each; see the package comment for why.
//
// A manifest of [artifactBaseline] names the snapshot, first, and the indexes of
// the image's layers. For layers that another image shares, each index has a tag
// of its own too, with a manifest of [artifactLayer]: a layer of a baseline that
// was loaded is found with one request, any other with two, and that there is
// none with no request at all, for the tags are listed anyway.
type registry struct {
	repo      *source.Artifacts
	name      string // as in the spec, for errors
	tags      tagNames
	now       func() time.Time
	ancestors func(ctx context.Context, commit string) iter.Seq2[string, error]

	mu sync.Mutex
	// listed are the tags as they were when they were first needed: one run
	// compares with one state of the repository. A Save forgets them.
	listed *listing
	// unlisted is why they could not be listed.
	unlisted error
	// layers are the blobs that manifests read so far name, by diffID.
	layers map[string]source.Blob
}

func openRegistry(spec string, opt Options) (Store, error) {
	if opt.Registries == nil || opt.Now == nil {
		return nil, errors.New("internal error: there is nothing to reach registries with")
	}
	repository, prefix := strings.TrimPrefix(strings.TrimSpace(spec), "docker://"), ""
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') && strings.Contains(repository, "/") {
		repository, prefix = repository[:colon], repository[colon+1:]
		if !prefixForm.MatchString(prefix) {
			return nil, fmt.Errorf("baseline %q: the tags' prefix after the repository must have at most 20 letters a-z, digits, _ and -", clip("registry:"+spec))
		}
	}
	if strings.Contains(repository, "@") {
		return nil, fmt.Errorf("baseline %q names a digest; write registry:HOST/REPOSITORY, or registry:HOST/REPOSITORY:PREFIX for tags that begin with PREFIX", clip("registry:"+spec))
	}
	repo, err := opt.Registries.Artifacts(repository)
	if err != nil {
		return nil, fmt.Errorf("baseline %q: %w", clip("registry:"+spec), err)
	}
	return &registry{
		repo: repo, name: "registry:" + spec, tags: tagNames{prefix}, now: opt.Now, ancestors: opt.Ancestors,
		layers: map[string]source.Blob{},
	}, nil
}

// listing is what the tags of the repository say.
type listing struct {
	baselines []tagged
	layers    map[string]bool // tags
}

// list lists the tags, once.
func (r *registry) list(ctx context.Context) (*listing, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listed != nil || r.unlisted != nil {
		return r.listed, r.unlisted
	}
	tags, err := r.repo.Tags(ctx)
	if err != nil && !errors.Is(err, source.ErrNotFound) {
		if ctx.Err() == nil {
			// It was tried for a minute. Each of hundreds of images would wait
			// for as long, one after the other.
			r.unlisted = err
		}
		return nil, err
	}
	l := &listing{layers: map[string]bool{}}
	for _, tag := range tags {
		if t, ok := r.tags.parse(tag); ok {
			l.baselines = append(l.baselines, t)
		} else if r.tags.isLayer(tag) {
			l.layers[tag] = true
		}
	}
	r.listed = l
	return l, nil
}

func (r *registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed, r.unlisted = nil, nil
}

// Load finds the baseline of the key's commit, else of its nearest ancestor that
// has one; without a commit, the newest.
func (r *registry) Load(ctx context.Context, key Key) (*Found, error) {
	found, err := r.load(ctx, key)
	if errors.Is(err, errPruned) {
		// Pruned since the tags were listed: what is there now?
		r.forget()
		found, err = r.load(ctx, key)
	}
	return found, err
}

// errPruned is in the error of a Load that came too late for its tag.
var errPruned = errors.New("it was removed just now")

func (r *registry) load(ctx context.Context, key Key) (*Found, error) {
	if err := key.check(false); err != nil {
		return nil, err
	}
	l, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	candidates, platform, err := r.candidates(l, key)
	if err != nil {
		return nil, err
	}
	var art *artifact
	distance := 0
	if key.Commit == "" {
		art, err = r.newest(ctx, key, candidates)
	} else {
		var t tagged
		if t, distance, err = r.nearest(ctx, key, candidates); err == nil {
			art, err = r.fetch(ctx, t)
		}
	}
	if err == nil && key.Uncommitted && art.commit != "" {
		art, distance, err = r.newer(ctx, art, distance, candidates)
	}
	if err != nil {
		return nil, err
	}
	if err := art.isOf(key, platform); err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", art.tag, r.name, err)
	}
	img, meta, err := r.snapshot(ctx, art)
	if err != nil {
		return nil, err
	}
	r.learn(art.layers)
	return &Found{Image: img, Meta: meta, Distance: distance}, nil
}

// candidates are the baselines of the key's image and platform, whatever their
// commit, with the platform as their tags spell it.
func (r *registry) candidates(l *listing, key Key) ([]tagged, string, error) {
	image, platform := r.tags.image(key.Image), r.tags.platform(key.Platform)
	byPlatform := map[string][]tagged{}
	others := map[string]bool{}
	for _, t := range l.baselines {
		if t.image == image {
			byPlatform[t.platform] = append(byPlatform[t.platform], t)
		} else {
			others[fmt.Sprintf("%q (%s)", t.image, t.showPlatform())] = true
		}
	}
	var platforms []string
	for _, p := range slices.Sorted(maps.Keys(byPlatform)) {
		platforms = append(platforms, byPlatform[p][0].showPlatform())
		if key.Platform == "" && len(byPlatform) == 1 {
			platform = p
		}
	}
	found := byPlatform[platform]
	switch {
	case len(found) > 0:
		return found, platform, nil
	case key.Platform == "" && len(platforms) > 1:
		return nil, "", fmt.Errorf("%s has %q for %s; say which with --platform", r.name, key.Image, list(platforms))
	case len(platforms) > 0:
		return nil, "", fmt.Errorf("%w: %s has %q for %s, not for %s", ErrPlatform, r.name, key.Image, list(platforms), key.Platform)
	case len(others) > 0:
		return nil, "", fmt.Errorf("%w: %s has no %q, only %s", ErrNotFound, r.name, key.Image, list(slices.Sorted(maps.Keys(others))))
	}
	return nil, "", fmt.Errorf("%w: %s holds no baseline", ErrNotFound, r.name)
}

// nearest finds the tag of the key's commit or of its nearest ancestor among the
// candidates, and how many commits lie between.
func (r *registry) nearest(ctx context.Context, key Key, candidates []tagged) (tagged, int, error) {
	byCommit := map[string]tagged{}
	for _, t := range candidates {
		if t.commit != "" {
			byCommit[t.commit] = t
		}
	}
	if t, ok := byCommit[r.tags.commit(key.Commit)]; ok {
		return t, 0, nil
	}
	distance := 0
	if r.ancestors != nil && len(byCommit) > 0 {
		for commit, err := range r.ancestors(ctx, key.Commit) {
			if err != nil {
				return tagged{}, 0, fmt.Errorf("looking for the nearest ancestor of %s with a baseline: %w", clip(key.Commit), err)
			}
			if commit == key.Commit {
				continue
			}
			if distance++; distance > maxAncestors {
				break
			}
			if t, ok := byCommit[r.tags.commit(commit)]; ok {
				return t, distance, nil
			}
		}
	}
	where := clip(key.Commit)
	if distance > 0 {
		where += fmt.Sprintf(" or the %d commits before it", distance)
	}
	if len(byCommit) == 0 {
		return tagged{}, 0, fmt.Errorf("%w: %s has %q without a commit alone, not for %s; save it with --commit", ErrNotFound, r.name, key.Image, where)
	}
	return tagged{}, 0, fmt.Errorf("%w: %s has %q for %s, not for %s", ErrNotFound, r.name, key.Image, commits(len(byCommit)), where)
}

func commits(n int) string {
	if n == 1 {
		return "1 commit"
	}
	return fmt.Sprintf("%d commits", n)
}

// newer returns what was saved without a commit, where that is newer than the
// baseline that was found.
func (r *registry) newer(ctx context.Context, found *artifact, distance int, candidates []tagged) (*artifact, int, error) {
	i := slices.IndexFunc(candidates, func(t tagged) bool { return t.commit == "" })
	if i < 0 {
		return found, distance, nil
	}
	art, err := r.fetch(ctx, candidates[i])
	switch {
	case errors.Is(err, errPruned):
	case err != nil:
		return nil, 0, err
	case !art.at.Before(found.at):
		return art, 0, nil
	}
	return found, distance, nil
}

// newest reads the manifests of all candidates and picks the one saved last.
func (r *registry) newest(ctx context.Context, key Key, candidates []tagged) (*artifact, error) {
	if len(candidates) > maxNewest {
		return nil, fmt.Errorf("%s has %s for %d commits, too many to find the newest among; name the commit, or remove old ones with 'image-budget baseline prune'", r.name, key.describe(), len(candidates))
	}
	arts, err := r.fetchAll(ctx, candidates, nil)
	if err != nil {
		return nil, err
	}
	if len(arts) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, errPruned)
	}
	return slices.MinFunc(arts, newestFirst), nil
}

// artifact is the manifest of one baseline.
type artifact struct {
	tagged
	key      Key
	at       time.Time
	digest   string
	snapshot source.Blob
	layers   map[string]source.Blob // by diffID
	uses     []string               // diffIDs of the image, whether they have an index or not
	figures  footprint.Past
}

func newestFirst(a, b *artifact) int {
	return cmp.Or(b.at.Compare(a.at), strings.Compare(b.tag, a.tag))
}

// isOf says whether a manifest that was found for a key is that key's.
func (a *artifact) isOf(key Key, platform string) error {
	names := tagNames{}
	if a.key.Image != key.Image || names.platform(a.key.Platform) != platform || names.commit(a.key.Commit) != a.commit {
		return fmt.Errorf("it says that it is %s at commit %q, which belongs under another tag; delete the tag, and %s", a.key.describe(), clip(a.key.Commit), saveAgain)
	}
	return nil
}

// errForeign is in the error about a tag that looks like a baseline's and is not.
var errForeign = errors.New("it is no baseline of image-budget")

// fetch reads the manifest of a baseline and believes nothing of it.
func (r *registry) fetch(ctx context.Context, t tagged) (*artifact, error) {
	art, err := r.repo.Fetch(ctx, t.tag)
	if errors.Is(err, source.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w: %w", ErrNotFound, errPruned, err)
	}
	if err != nil {
		return nil, err
	}
	a, err := parseArtifact(art)
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", t.tag, r.name, err)
	}
	a.tagged = t
	return a, nil
}

func parseArtifact(art *source.Artifact) (*artifact, error) {
	if art.Type != artifactBaseline {
		return nil, fmt.Errorf("%w, but has the type %q; use another repository, or a prefix as in registry:REPOSITORY:PREFIX", errForeign, clip(art.Type))
	}
	if len(art.Blobs) == 0 || art.Blobs[0].MediaType != mediaSnapshot || len(art.Blobs) > 1+maxLayerIndexes {
		return nil, fmt.Errorf("its manifest names no snapshot, or too much beside it; delete the tag, and %s", saveAgain)
	}
	if size := art.Blobs[0].Size; size > footprint.MaxSnapshot {
		return nil, fmt.Errorf("its snapshot has %d bytes, more than any image's; delete the tag, and %s", size, saveAgain)
	}
	a := &artifact{
		key:      Key{Image: art.Annotations[annotationImage], Platform: art.Annotations[annotationPlatform], Commit: art.Annotations[annotationCommit]},
		digest:   art.Digest,
		snapshot: art.Blobs[0],
		layers:   map[string]source.Blob{},
		uses:     strings.Fields(art.Annotations[annotationLayers]),
		figures:  readFigures(art.Annotations[annotationFigures]),
	}
	if err := a.key.check(true); err != nil {
		return nil, err
	}
	// Without a time it is older than all that have one.
	a.at, _ = time.Parse(time.RFC3339Nano, art.Annotations[annotationCreated])
	for _, b := range art.Blobs[1:] {
		if diffID := b.Annotations[annotationDiffID]; isLayerIndex(b) && diffID != "" {
			a.layers[diffID] = b
		}
	}
	return a, nil
}

func isLayerIndex(b source.Blob) bool {
	return b.MediaType == mediaLayerIndex && b.Size <= maxLayerIndex
}

// fetchAll reads the manifests of baselines, several at once, and leaves out
// those that are gone by then or end in the error ignored.
func (r *registry) fetchAll(ctx context.Context, tags []tagged, ignored error) ([]*artifact, error) {
	out := make([]*artifact, len(tags))
	err := each(ctx, len(tags), func(ctx context.Context, i int) error {
		a, err := r.fetch(ctx, tags[i])
		if errors.Is(err, errPruned) || ignored != nil && errors.Is(err, ignored) {
			return nil
		}
		out[i] = a
		return err
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(out, func(a *artifact) bool { return a == nil }), nil
}

// snapshot reads and checks the snapshot of a baseline.
func (r *registry) snapshot(ctx context.Context, a *artifact) (*footprint.Image, footprint.Meta, error) {
	data, err := r.repo.Blob(ctx, a.snapshot)
	if err != nil {
		return nil, footprint.Meta{}, fmt.Errorf("reading %s of %s: %w", a.tag, r.name, err)
	}
	img, meta, err := footprint.DecodeSnapshot(bytes.NewReader(data))
	if err != nil {
		return nil, meta, fmt.Errorf("reading %s of %s: %w", a.tag, r.name, err)
	}
	for _, is := range []struct{ what, got, want string }{
		{"image", img.Name, a.key.Image}, {"platform", img.Platform, a.key.Platform}, {"commit", meta.Commit, a.key.Commit},
	} {
		if is.got != "" && is.got != is.want {
			return nil, meta, fmt.Errorf("reading %s of %s: its snapshot is that of %s %q, not of %q; delete the tag, and %s", a.tag, r.name, is.what, clip(is.got), clip(is.want), saveAgain)
		}
	}
	return img, meta, nil
}

func (r *registry) learn(layers map[string]source.Blob) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.layers, layers)
}

// stale tells whether another index of a layer was seen in the repository: one
// of another version, say, which would be of no use there for ever.
func (r *registry) stale(x *layerIndex) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, known := r.layers[x.diffID]
	return known && b.Digest != x.blob.Digest
}

// LoadLayer returns the index of a layer that a loaded baseline has, or that any
// other in the repository has.
func (r *registry) LoadLayer(ctx context.Context, diffID string) ([]byte, error) {
	r.mu.Lock()
	b, ok := r.layers[diffID]
	r.mu.Unlock()
	if !ok {
		l, err := r.list(ctx)
		if err != nil {
			return nil, err
		}
		tag := r.tags.layer(diffID)
		if !l.layers[tag] {
			return nil, fmt.Errorf("%w: %s has no index of layer %s", ErrNotFound, r.name, clip(diffID))
		}
		if b, err = r.layerBlob(ctx, tag, diffID); err != nil {
			return nil, err
		}
		r.learn(map[string]source.Blob{diffID: b})
	}
	data, err := r.repo.Blob(ctx, b)
	if errors.Is(err, source.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return data, err
}

func (r *registry) layerBlob(ctx context.Context, tag, diffID string) (source.Blob, error) {
	art, err := r.repo.Fetch(ctx, tag)
	switch {
	case errors.Is(err, source.ErrNotFound):
		return source.Blob{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	case err != nil:
		return source.Blob{}, err
	case art.Type != artifactLayer || len(art.Blobs) != 1 || !isLayerIndex(art.Blobs[0]) || art.Annotations[annotationDiffID] != diffID:
		return source.Blob{}, fmt.Errorf("reading %s of %s: it is no index of layer %s; delete the tag", tag, r.name, clip(diffID))
	}
	return art.Blobs[0], nil
}

// Save pushes each baseline under a tag of its own. The content goes first and
// the manifests last, so that what fails early leaves no tag behind; a tag that
// was pushed stays.
func (r *registry) Save(ctx context.Context, entries []Entry) error {
	snapshots, err := encode(entries)
	if err != nil {
		return err
	}
	if err := r.save(ctx, entries, snapshots); err != nil {
		return fmt.Errorf("saving to %s: %w", r.name, err)
	}
	return nil
}

// upload is what goes into the repository: one push of a manifest, or the upload
// of one blob that fills in where it is named.
type upload func(ctx context.Context) error

func (r *registry) save(ctx context.Context, entries []Entry, snapshots [][]byte) error {
	// Of entries with one key, the last one counts.
	last := map[string]int{}
	for i, e := range entries {
		last[r.tags.baseline(e.Key)] = i
	}
	indexes := r.indexes(entries)
	l := &listing{}
	if len(indexes) > 0 {
		r.mu.Lock()
		r.unlisted = nil // it may answer again by now
		r.mu.Unlock()
		var err error
		if l, err = r.list(ctx); err != nil {
			return err
		}
	}
	at := r.now().UTC().Format(time.RFC3339Nano)
	blobs := make([]source.Blob, len(entries))
	var content, layers, manifests []upload
	for tag, i := range last {
		content = append(content, func(ctx context.Context) (err error) {
			blobs[i], err = r.repo.Upload(ctx, mediaSnapshot, snapshots[i])
			return err
		})
		manifests = append(manifests, func(ctx context.Context) error {
			return r.repo.Push(ctx, tag, r.artifact(entries[i], blobs[i], indexes, at))
		})
	}
	for _, x := range indexes {
		content = append(content, x.upload(r.repo))
		layers = append(layers, func(ctx context.Context) error {
			tag := r.tags.layer(x.diffID)
			if !l.layers[tag] {
				return x.push(ctx, r.repo, tag)
			}
			if r.stale(x) {
				// Where tags cannot be changed, the baseline still names it.
				_ = x.push(ctx, r.repo, tag)
			}
			return nil
		})
	}
	defer r.forget()
	for _, uploads := range [][]upload{content, layers, manifests} {
		if err := each(ctx, len(uploads), func(ctx context.Context, i int) error { return uploads[i](ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// layerIndex is the index of a layer to be saved. Its blob has no digest where
// the registry did not take it.
type layerIndex struct {
	diffID string
	data   []byte
	blob   source.Blob
}

// indexes collects those of all entries that are of layers and not too large, by
// diffID.
func (r *registry) indexes(entries []Entry) map[string]*layerIndex {
	out := map[string]*layerIndex{}
	for _, e := range entries {
		for diffID, data := range e.Layers {
			if len(data) <= maxLayerIndex && r.tags.layer(diffID) != "" {
				out[diffID] = &layerIndex{diffID: diffID, data: data}
			}
		}
	}
	return out
}

func (x *layerIndex) upload(repo *source.Artifacts) upload {
	return func(ctx context.Context) error {
		b, err := repo.Upload(ctx, mediaLayerIndex, x.data)
		if errors.Is(err, source.ErrTooLarge) {
			return nil // the layer is read again, which costs time alone
		}
		b.Annotations = map[string]string{annotationDiffID: x.diffID}
		x.blob = b
		return err
	}
}

func (x *layerIndex) push(ctx context.Context, repo *source.Artifacts, tag string) error {
	if x.blob.Digest == "" {
		return nil
	}
	return repo.Push(ctx, tag, source.Artifact{
		Type: artifactLayer, Annotations: map[string]string{annotationDiffID: x.diffID}, Blobs: []source.Blob{x.blob},
	})
}

// artifact is the manifest of one entry, whose content is uploaded.
func (r *registry) artifact(e Entry, snapshot source.Blob, indexes map[string]*layerIndex, at string) source.Artifact {
	art := source.Artifact{
		Type: artifactBaseline,
		Annotations: map[string]string{
			annotationImage: e.Key.Image, annotationPlatform: e.Key.Platform, annotationCommit: e.Key.Commit, annotationCreated: at,
			annotationFigures: figures(footprint.PastOf(e.Key.Commit, e.Image)),
		},
		Blobs: []source.Blob{snapshot},
	}
	uses := slices.Collect(maps.Keys(e.Layers))
	for _, l := range e.Image.Layers {
		uses = append(uses, l.DiffID)
	}
	slices.Sort(uses)
	uses = slices.DeleteFunc(slices.Compact(uses), func(diffID string) bool { return r.tags.layer(diffID) == "" })
	uses = uses[:min(len(uses), maxLayerIndexes)]
	for _, diffID := range uses {
		if x := indexes[diffID]; x != nil && e.Layers[diffID] != nil && x.blob.Digest != "" {
			art.Blobs = append(art.Blobs, x.blob)
		}
	}
	art.Annotations[annotationLayers] = strings.Join(uses, " ")
	return art
}

// List returns the keys of all baselines, sorted by image and platform, newest
// first within both. An error says that the registry could not be read, or holds
// something else under such a tag.
func (r *registry) List(ctx context.Context) ([]Listed, error) {
	r.forget()
	l, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	arts, err := r.fetchAll(ctx, l.baselines, errForeign)
	if err != nil {
		return nil, err
	}
	sortArtifacts(arts)
	out := make([]Listed, len(arts))
	for i, a := range arts {
		out[i] = Listed{Key: a.key, At: a.at}
	}
	return out, nil
}

func sortArtifacts(arts []*artifact) {
	slices.SortFunc(arts, func(a, b *artifact) int {
		return cmp.Or(strings.Compare(a.key.Image, b.key.Image), strings.Compare(a.key.Platform, b.key.Platform), newestFirst(a, b))
	})
}

// Prune keeps the newest baselines of each image and platform, and the layer
// indexes that they name. It deletes manifests by digest, so a tag that is
// pushed anew meanwhile stays. An error says that the registry could not be
// read, or deletes nothing.
func (r *registry) Prune(ctx context.Context, keep int) (int, error) {
	if keep < 1 {
		return 0, errors.New("pruning baselines: at least 1 is to be kept")
	}
	removed, err := r.prune(ctx, keep)
	if err != nil {
		err = fmt.Errorf("pruning %s: %w", r.name, err)
	}
	return removed, err
}

func (r *registry) prune(ctx context.Context, keep int) (int, error) {
	r.forget()
	l, err := r.list(ctx)
	if err != nil {
		return 0, err
	}
	arts, err := r.fetchAll(ctx, l.baselines, errForeign)
	if err != nil {
		return 0, err
	}
	defer r.forget()
	sortArtifacts(arts)
	old := map[string]string{} // digests by tag
	used := map[string]bool{}  // tags of layers
	kept := map[string]int{}
	for _, a := range arts {
		name := entryName(a.key)
		if kept[name]++; kept[name] > keep {
			old[a.tag] = a.digest
			continue
		}
		for _, diffID := range a.uses {
			used[r.tags.layer(diffID)] = true
		}
	}
	removed, err := r.remove(ctx, old)
	if err != nil {
		return removed, err
	}
	layers, err := r.unused(ctx, l, used)
	if err != nil {
		return removed, err
	}
	if _, err := r.remove(ctx, layers); err != nil {
		return removed, err
	}
	maps.Copy(old, layers)
	return removed, r.untag(ctx, old)
}

// remove deletes manifests by digest and returns how many there were.
func (r *registry) remove(ctx context.Context, digests map[string]string) (int, error) {
	tags := slices.Sorted(maps.Keys(digests))
	var removed atomic.Int64
	err := each(ctx, len(tags), func(ctx context.Context, i int) error {
		err := r.repo.Delete(ctx, digests[tags[i]])
		if errors.Is(err, source.ErrNotFound) {
			return nil // somebody else prunes as well
		}
		if err == nil {
			removed.Add(1)
		}
		return err
	})
	return int(removed.Load()), err
}

// unused returns the manifests of layers, by tag, that no baseline names.
func (r *registry) unused(ctx context.Context, l *listing, used map[string]bool) (map[string]string, error) {
	var tags []string
	for tag := range l.layers {
		if !used[tag] {
			tags = append(tags, tag)
		}
	}
	var mu sync.Mutex
	digests := map[string]string{}
	err := each(ctx, len(tags), func(ctx context.Context, i int) error {
		art, err := r.repo.Fetch(ctx, tags[i])
		if errors.Is(err, source.ErrNotFound) {
			return nil
		}
		if err != nil || art.Type != artifactLayer {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		digests[tags[i]] = art.Digest
		return nil
	})
	return digests, err
}

// untag removes tags whose manifests are gone from a registry that keeps them
// all the same.
func (r *registry) untag(ctx context.Context, old map[string]string) error {
	if len(old) == 0 {
		return nil
	}
	tags, err := r.repo.Tags(ctx)
	if err != nil && !errors.Is(err, source.ErrNotFound) {
		return err
	}
	return each(ctx, len(tags), func(ctx context.Context, i int) error {
		digest, ok := old[tags[i]]
		if !ok {
			return nil
		}
		art, err := r.repo.Fetch(ctx, tags[i])
		if err == nil && art.Digest == digest {
			err = r.repo.Delete(ctx, tags[i])
		}
		if errors.Is(err, source.ErrNotFound) {
			return nil
		}
		return err
	})
}

// each calls f for 0 to n-1, several at once, and stops at the first error. Of
// several errors it returns one that is not the echo of another.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, parallel) {
		wg.Go(func() {
			for i := range next {
				if err := f(running, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
		case <-running.Done():
		}
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(running)
}
