package baseline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
)

const (
	// maxConflicts and maxSaving bound how often and how long a save gives way
	// to others. Every try that fails is one that another job won, so that as
	// many jobs can save at once without a loss.
	maxConflicts = 50
	maxSaving    = 10 * time.Minute
	// maxLost is how often a save begins anew because GitHub has lost sight of
	// what it was just given.
	maxLost = 4
	// firstDelay is the most that is waited after the first conflict; it
	// doubles up to lastDelay.
	firstDelay = time.Second
	lastDelay  = 16 * time.Second

	// maxInline is what a file may have to be sent with the tree, and
	// maxInlineTotal all of them; others are uploaded before.
	maxInline      = 256 << 10
	maxInlineTotal = 4 << 20
	// maxRemovals bounds what one commit of a prune removes.
	maxRemovals = 5000
	// maxLatest bounds the branches that an image has a latest baseline of.
	maxLatest = 20

	// maxLayer bounds the index of one layer, maxLayers and maxLayerBytes those
	// of a branch, and maxNewLayers those that one save adds: GitHub asks for a
	// second between two uploads. The next save adds what is left.
	maxLayer      = 8 << 20
	maxLayers     = 2000
	maxLayerBytes = 512 << 20
	maxNewLayers  = 40
	usageFile     = "index.json"
	maxUsage      = 16 << 20
)

const readmeText = `# Baselines of image-budget

image-budget writes this branch and reads it; nothing else belongs here. It has no history in common with the code.
'image-budget baseline list' shows what it holds, 'image-budget baseline prune --keep N' makes it smaller, and deleting the
branch starts anew.
`

// Save puts all entries on the branch in one commit. It is done only where the
// branch did not move meanwhile, else again on top of what came in between.
func (b *branch) Save(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	s, err := b.saving(entries)
	if err != nil {
		return err
	}
	api, err := b.client()
	if err != nil {
		return err
	}
	s.api, s.at = api, api.Now()
	if b.opt.Now != nil {
		s.at = b.opt.Now()
	}
	if err := b.write(ctx, s.message(), s.plan); err != nil {
		return b.failed("saving", err)
	}
	return nil
}

// Prune forgets all but the newest baselines.
func (b *branch) Prune(ctx context.Context, keep int) (removed int, err error) {
	if keep < 1 {
		return 0, fmt.Errorf("keeping %d baselines would leave nothing to compare with: keep 1 or more", keep)
	}
	for {
		var p pruning
		err := b.write(ctx, fmt.Sprintf("keep the newest %d baselines", keep), func(ctx context.Context, tree *gitTree) (*changes, error) {
			p = pruning{keep: keep}
			return p.plan(ctx, tree)
		})
		if err != nil {
			return removed, b.failed("pruning", err)
		}
		removed += p.removed
		if !p.more {
			return removed, nil
		}
	}
}

// changes are files to write, and nil for those to remove.
type changes struct {
	files map[string][]byte
	// there tells what is on the branch, of the directories that were looked at.
	there map[string]bool
}

func newChanges() *changes {
	return &changes{files: map[string][]byte{}, there: map[string]bool{}}
}

func (c *changes) put(path string, data []byte) { c.files[path] = data }

func (c *changes) remove(path string) {
	if c.there[path] {
		c.files[path] = nil
	} else {
		delete(c.files, path)
	}
}

// look lists a directory and notes what is there.
func (c *changes) look(ctx context.Context, tree *gitTree, dir string) (map[string]github.TreeEntry, error) {
	files, err := tree.files(ctx, dir)
	for name := range files {
		c.there[path.Join(dir, name)] = true
	}
	return files, err
}

// write commits what plan wants to change, and has it plan again whenever
// somebody else was faster.
func (b *branch) write(ctx context.Context, message string, plan func(context.Context, *gitTree) (*changes, error)) error {
	select {
	case b.writing <- struct{}{}:
		defer func() { <-b.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var start time.Time
	uploaded := map[string]bool{}
	for try := 1; ; try++ {
		tree, err := b.refresh(ctx)
		if err != nil {
			return err
		}
		if try == 1 {
			start = tree.api.Now()
		}
		if err := b.ours(ctx, tree); err != nil {
			return err
		}
		want, err := plan(ctx, tree)
		if err != nil || len(want.files) == 0 {
			return err
		}
		err = b.commit(ctx, tree, message, want, uploaded)
		b.forget()
		lost := errors.Is(err, github.ErrUnknown) && try < maxLost
		if !lost && !errors.Is(err, github.ErrConflict) {
			return b.advise(err)
		}
		if lost {
			clear(uploaded)
		}
		if waited := tree.api.Now().Sub(start); try == maxConflicts || waited > maxSaving {
			return fmt.Errorf("%w; gave up after %d tries in %s: other jobs write to it all the time, or a rule forbids it; run the job again later", err, try, waited.Round(time.Second))
		}
		if err := tree.api.Wait(ctx, b.jitter(try)); err != nil {
			return err
		}
	}
}

// forget has the next load look at the branch anew. Answers to what was asked
// before count no more: they may be from before the save.
func (b *branch) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen, b.known = time.Time{}, b.asked
}

// jitter is a random wait, of up to a second at first and longer with every
// conflict: jobs that collided must not do so again.
func (b *branch) jitter(try int) time.Duration {
	random := b.opt.Rand
	if random == nil {
		random = rand.Float64
	}
	most := min(firstDelay<<min(try-1, 10), lastDelay)
	return time.Duration(random() * float64(most))
}

// ours refuses a branch that is for something else.
func (b *branch) ours(ctx context.Context, tree *gitTree) error {
	files, err := tree.files(ctx, ".")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != root && name != layersDir && name != readme {
			return fmt.Errorf("it holds other files, %q for one: name a branch that is for baselines alone, and image-budget creates it", clip(name))
		}
	}
	return nil
}

func (b *branch) advise(err error) error {
	switch {
	case errors.Is(err, github.ErrEmpty):
		return fmt.Errorf("%w: push a first commit to its default branch, and save again", err)
	case errors.Is(err, github.ErrUnknown):
		return fmt.Errorf("%w; is it the right repository, and may the token read it?", err)
	}
	return err
}

// commit makes one commit on top of tree. The requests that race with those of
// others follow each other at once: a pause among them would be paid for in
// conflicts.
func (b *branch) commit(ctx context.Context, tree *gitTree, message string, want *changes, uploaded map[string]bool) error {
	paths := slices.Sorted(maps.Keys(want.files))
	list := make([]github.Change, 0, len(paths)+1)
	inline := 0
	for _, p := range paths {
		data := want.files[p]
		ch := github.Change{Path: p}
		switch inline += len(data); {
		case data == nil:
		case len(data) > 0 && len(data) <= maxInline && inline <= maxInlineTotal && isText(p):
			ch.Content = string(data)
		default:
			inline -= len(data)
			ch.Blob = github.BlobID(data)
			if !uploaded[ch.Blob] {
				id, err := tree.api.CreateBlob(ctx, data)
				if err != nil {
					return err
				}
				ch.Blob, uploaded[id] = id, true
			}
		}
		list = append(list, ch)
	}
	if tree.head == "" {
		list = append(list, github.Change{Path: readme, Content: readmeText})
	}
	if err := tree.api.Pace(ctx); err != nil {
		return err
	}
	sha, err := tree.api.CreateTree(ctx, tree.base, list)
	if err != nil {
		return err
	}
	commit, err := tree.api.CreateCommit(ctx, message, sha, tree.head)
	if err != nil {
		return err
	}
	return tree.api.MoveBranch(ctx, b.name, tree.head, commit)
}

func isText(p string) bool { return strings.HasSuffix(p, ".json") }

// saving is one Save on its way.
type saving struct {
	b       *branch
	api     *github.Client
	entries []Entry
	docs    [][]byte
	at      time.Time
	// moved remembers what was found out about pairs of commits.
	moved map[[2]string]bool
}

func (b *branch) saving(entries []Entry) (*saving, error) {
	entries = slices.Clone(entries)
	for i, e := range entries {
		if c := e.Key.Commit; c != "" && !github.IsCommit(c) {
			return nil, fmt.Errorf("%q is no full commit id; a branch keeps baselines by commit: give all 40 digits of it", clip(c))
		}
		if e.Meta.Commit != "" && e.Meta.Commit != e.Key.Commit {
			return nil, fmt.Errorf("internal error: a baseline of commit %q is saved for %q", e.Meta.Commit, e.Key.Commit)
		}
		entries[i].Meta.Commit = e.Key.Commit
		for _, name := range []string{e.Key.Image, e.Key.Platform} {
			if err := e.Key.check(true); err == nil && (name == "" || len(escapeName(name)) > maxName) {
				return nil, fmt.Errorf("the name %q is empty or too long for a file on a branch", clip(name))
			}
		}
	}
	snapshots, err := encode(entries)
	if err != nil {
		return nil, err
	}
	s := &saving{b: b, entries: entries, moved: map[[2]string]bool{}}
	for i, e := range entries {
		var doc document
		doc.put(e.Key, snapshots[i])
		data := doc.bytes()
		if len(data) > maxBranchFile {
			return nil, fmt.Errorf("%s has %d bytes, more than %d", e.Key.describe(), len(data), maxBranchFile)
		}
		s.docs = append(s.docs, data)
	}
	return s, nil
}

// message names what is saved with nothing that GitHub would make a link or a
// mention of.
func (s *saving) message() string {
	e := s.entries[0]
	what := fmt.Sprintf("%s %s", escapeName(e.Key.Image), escapeName(e.Key.Platform))
	if len(s.entries) > 1 {
		what = fmt.Sprintf("%d baselines", len(s.entries))
	}
	if e.Key.Commit == "" {
		return "save " + what
	}
	return "save " + what + " of " + e.Key.Commit
}

func (s *saving) plan(ctx context.Context, tree *gitTree) (*changes, error) {
	out := newChanges()
	histories := map[string]*history{}
	keys := map[string]Key{}
	saved := make([]time.Time, len(s.entries))
	for i, e := range s.entries {
		dir := keyDir(e.Key)
		h := histories[dir]
		if h == nil {
			if _, err := out.look(ctx, tree, dir); err != nil {
				return nil, err
			}
			var err error
			if h, err = tree.history(ctx, dir); err != nil {
				return nil, err
			}
			histories[dir], keys[dir] = h, e.Key
		}
		at, err := s.put(ctx, out, h, dir, i)
		if err != nil {
			return nil, err
		}
		saved[i] = at
	}
	keep := cmp.Or(s.b.opt.Keep, DefaultKeep)
	for _, dir := range slices.Sorted(maps.Keys(histories)) {
		h := histories[dir]
		for _, f := range h.prune(keep, maxRemovals) {
			out.remove(path.Join(dir, f.name))
		}
		for _, name := range h.pruneLatest(s.b.opt.Tracked) {
			out.remove(path.Join(dir, name))
		}
	}
	u, err := usage(ctx, tree, out)
	if err != nil || u == nil {
		return out, err
	}
	for i, e := range s.entries {
		u.add(out, e, saved[i])
	}
	for dir, h := range histories {
		u.forget(entryName(keys[dir]), h)
	}
	return out, u.finish(out)
}

// put adds one entry to the changes and the history, and returns its time.
func (s *saving) put(ctx context.Context, out *changes, h *history, dir string, i int) (time.Time, error) {
	e, doc := s.entries[i], s.docs[i]
	f, there := h.of(e.Key.Commit)
	// The same again needs no commit; the job of a commit may run twice.
	if id := github.BlobID(doc); !there || f.blob != id {
		for there {
			out.remove(path.Join(dir, f.name))
			h.saved = slices.DeleteFunc(h.saved, func(o saved) bool { return o.name == f.name })
			f, there = h.of(e.Key.Commit)
		}
		of := footprint.PastOf(e.Key.Commit, e.Image)
		f = saved{name: savedFile(s.at, of), figures: of, at: s.at.UTC().Truncate(time.Second), commit: e.Key.Commit, blob: id, size: int64(len(doc))}
		out.put(path.Join(dir, f.name), doc)
		h.saved = append(h.saved, f)
		h.sort()
	}
	tracked := s.b.opt.Tracked
	if h.latest[tracked] == f.blob || len(latestFile(tracked)) > maxName {
		return f.at, nil
	}
	old, known := h.pointed(tracked)
	move := true
	if known {
		var err error
		if move, err = s.moves(ctx, old.commit, e.Key.Commit); err != nil {
			return f.at, err
		}
	}
	if move {
		h.latest[tracked] = f.blob
		out.put(path.Join(dir, latestFile(tracked)), doc)
	}
	return f.at, nil
}

// moves tells whether the latest baseline goes from one commit to another. It
// does where that descends from it, so that a run that took longer never takes
// the latest back. After history was rewritten the old commit may be on the
// branch no more; then any commit on the branch is newer than it.
func (s *saving) moves(ctx context.Context, from, to string) (bool, error) {
	if from == "" || to == "" || from == to {
		return true, nil
	}
	pair := [2]string{from, to}
	if known, ok := s.moved[pair]; ok {
		return known, nil
	}
	found, err := s.api.Compare(ctx, from, to)
	switch {
	case errors.Is(err, github.ErrUnknown):
		// Commits that GitHub does not have cannot be told apart by age.
		found.Relation = github.Diverged
	case err != nil:
		return false, err
	}
	move := found.Relation == github.Ahead || found.Relation == github.Identical
	if found.Relation == github.Diverged {
		if move, err = s.replaces(ctx, from, to); err != nil {
			return false, err
		}
	}
	s.moved[pair] = move
	return move, nil
}

// replaces tells whether the tracked branch has the one commit and has lost the
// other.
func (s *saving) replaces(ctx context.Context, from, to string) (bool, error) {
	if s.b.opt.Tracked == "" {
		return false, nil
	}
	tip, err := s.api.Head(ctx, s.b.opt.Tracked)
	if err != nil || tip == "" {
		return false, err
	}
	has, err := s.leads(ctx, to, tip)
	if err != nil || !has {
		return false, err
	}
	had, err := s.leads(ctx, from, tip)
	return !had, err
}

func (s *saving) leads(ctx context.Context, commit, tip string) (bool, error) {
	found, err := s.api.Compare(ctx, commit, tip)
	if errors.Is(err, github.ErrUnknown) {
		return false, nil
	}
	return found.Relation == github.Ahead || found.Relation == github.Identical, err
}

// prune takes all but the newest out of a history, at most that many, and
// returns them. What a branch has as its latest is kept beside them.
func (h *history) prune(keep, most int) []saved {
	var gone []saved
	pointed := map[string]bool{}
	for _, blob := range h.latest {
		pointed[blob] = true
	}
	for i := len(h.saved) - 1; i >= keep && len(gone) < most; i-- {
		if f := h.saved[i]; !pointed[f.blob] {
			gone = append(gone, f)
			h.saved = slices.Delete(h.saved, i, i+1)
		}
	}
	return gone
}

// pruneLatest returns the latest files of the branches that were saved longest
// ago, where there are too many; never that of the branch named.
func (h *history) pruneLatest(but string) []string {
	branches := slices.SortedFunc(maps.Keys(h.latest), func(a, b string) int {
		fa, _ := h.pointed(a)
		fb, _ := h.pointed(b)
		return cmp.Or(fb.at.Compare(fa.at), strings.Compare(a, b))
	})
	var gone []string
	for _, branch := range branches[min(len(branches), maxLatest):] {
		if branch != but {
			delete(h.latest, branch)
			gone = append(gone, latestFile(branch))
		}
	}
	return gone
}

// pruning is one commit of a Prune.
type pruning struct {
	keep, removed int
	more          bool
}

func (p *pruning) plan(ctx context.Context, tree *gitTree) (*changes, error) {
	out := newChanges()
	keys, err := tree.keys(ctx)
	if err != nil {
		return nil, err
	}
	histories := map[string]*history{}
	for _, key := range keys {
		dir := keyDir(key)
		if _, err := out.look(ctx, tree, dir); err != nil {
			return nil, err
		}
		h, err := tree.history(ctx, dir)
		if err != nil {
			return nil, err
		}
		for _, f := range h.prune(p.keep, maxRemovals-p.removed) {
			out.remove(path.Join(dir, f.name))
			p.removed++
		}
		for _, name := range h.pruneLatest("") {
			out.remove(path.Join(dir, name))
		}
		histories[entryName(key)] = h
	}
	p.more = p.removed >= maxRemovals
	u, err := usage(ctx, tree, out)
	if err != nil || u == nil {
		return out, err
	}
	for name, h := range histories {
		u.forget(name, h)
	}
	u.only(histories)
	return out, u.finish(out)
}

// layerUsage says which snapshots name a layer: by its hex, for each image and
// platform, the time of the newest. Older ones are pruned before that one, so
// it alone decides when the layer is forgotten.
type layerUsage struct {
	Schema int                          `json:"schema"`
	Layers map[string]map[string]string `json:"layers"`

	before []byte
	sizes  map[string]int64
	added  int
}

// usage reads layers/index.json. It is nil where a newer version wrote it: then
// the layers are left as they are. A damaged one is made anew, and costs that
// layers are read again.
func usage(ctx context.Context, tree *gitTree, out *changes) (*layerUsage, error) {
	files, err := out.look(ctx, tree, layersDir)
	if err != nil {
		return nil, err
	}
	u := &layerUsage{sizes: map[string]int64{}}
	for name, e := range files {
		if isLayerName(name) && !e.Dir {
			u.sizes[name] = e.Size
		}
	}
	if f, ok := files[usageFile]; ok && f.Size <= maxUsage {
		if u.before, err = tree.api.Blob(ctx, f.SHA); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(u.before, u); err != nil {
			u.Schema, u.Layers = 0, nil
		}
		if u.Schema > documentSchema {
			return nil, nil
		}
	}
	u.Schema = documentSchema
	if u.Layers == nil {
		u.Layers = map[string]map[string]string{}
	}
	return u, nil
}

// add notes the layers of an entry, and takes in the indexes that are new.
func (u *layerUsage) add(out *changes, e Entry, at time.Time) {
	name := entryName(e.Key)
	diffIDs := map[string]bool{}
	for _, l := range e.Image.Layers {
		diffIDs[l.DiffID] = true
	}
	for diffID := range e.Layers {
		diffIDs[diffID] = true
	}
	for _, diffID := range slices.Sorted(maps.Keys(diffIDs)) {
		hex, ok := layerName(diffID)
		if !ok {
			continue
		}
		index := e.Layers[diffID]
		if _, there := u.sizes[hex]; !there {
			if len(index) == 0 || len(index) > maxLayer || u.added == maxNewLayers {
				continue
			}
			u.added++
			u.sizes[hex] = int64(len(index))
			out.put(path.Join(layersDir, hex), index)
		}
		if u.Layers[hex] == nil {
			u.Layers[hex] = map[string]string{}
		}
		u.Layers[hex][name] = max(u.Layers[hex][name], at.UTC().Format(timeFormat))
	}
}

// forget drops what only snapshots that are gone named.
func (u *layerUsage) forget(name string, h *history) {
	kept := map[string]bool{}
	oldest := ""
	for _, f := range h.saved {
		oldest = f.at.Format(timeFormat)
		kept[oldest] = true
	}
	for hex, users := range u.Layers {
		if at, ok := users[name]; ok && !kept[at] && (oldest == "" || at < oldest) {
			delete(users, name)
			if len(users) == 0 {
				delete(u.Layers, hex)
			}
		}
	}
}

// only drops images and platforms that are not there.
func (u *layerUsage) only(histories map[string]*history) {
	for hex, users := range u.Layers {
		maps.DeleteFunc(users, func(name, _ string) bool { return histories[name] == nil })
		if len(users) == 0 {
			delete(u.Layers, hex)
		}
	}
}

// finish removes what nobody names or what is too much, the longest unused
// first, and writes the index.
func (u *layerUsage) finish(out *changes) error {
	last := func(hex string) string {
		at := ""
		for _, t := range u.Layers[hex] {
			at = max(at, t)
		}
		return at
	}
	order := slices.SortedFunc(maps.Keys(u.sizes), func(a, b string) int {
		return cmp.Or(strings.Compare(last(b), last(a)), strings.Compare(a, b))
	})
	count, total := 0, int64(0)
	for _, hex := range order {
		count, total = count+1, total+u.sizes[hex]
		if len(u.Layers[hex]) == 0 || count > maxLayers || total > maxLayerBytes {
			out.remove(path.Join(layersDir, hex))
			delete(u.Layers, hex)
			delete(u.sizes, hex)
		}
	}
	for hex := range u.Layers {
		if _, there := u.sizes[hex]; !there {
			delete(u.Layers, hex)
		}
	}
	if u.before == nil && len(u.Layers) == 0 {
		return nil
	}
	after, err := json.MarshalIndent(u, "", " ")
	if err != nil {
		return err
	}
	after = append(after, '\n')
	if !bytes.Equal(after, u.before) {
		out.put(path.Join(layersDir, usageFile), after)
	}
	return nil
}
