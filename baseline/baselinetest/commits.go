package baselinetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/footprint"
)

// Commits checks a kind of store that keeps the baselines of many commits, and
// layer indexes: a [baseline.LayerStore], [baseline.Lister] and
// [baseline.Pruner]. Every call of open opens the same place, which is empty when
// the test starts, as another process would, with options that change sets.
func Commits(t *testing.T, open func(change func(*baseline.Options)) baseline.Store) {
	h := &kept{open: open, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	t.Run("save at once", h.saveAtOnce)
	t.Run("list", h.list)
	t.Run("newest", h.newest)
	t.Run("ancestors", h.ancestors)
	t.Run("layers", func(t *testing.T) { h.layers(t, "base", "web0", "api9") })
	t.Run("prune", h.prune)
	t.Run("layers after pruning", func(t *testing.T) { h.layers(t, "base", "web7", "api9") })
}

// perImage is how many commits each image has, an hour apart.
const perImage = 10

type kept struct {
	open  func(change func(*baseline.Options)) baseline.Store
	clock time.Time
}

// Digest is the diffID of a layer that a test calls by a name.
func Digest(layer string) string {
	sum := sha256.Sum256([]byte(layer))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Commit is the hash of the i-th commit.
func Commit(i int) string { return fmt.Sprintf("%040x", i+1) }

// Entry is a baseline with indexes of layers, which say what they are of.
func Entry(image, commit string, size footprint.Bytes, layers ...string) baseline.Entry {
	e := baseline.Entry{
		Key:   baseline.Key{Image: image, Platform: "linux/amd64", Commit: commit},
		Image: Image(image, "linux/amd64", size),
		Meta:  footprint.Meta{Tool: "image-budget test", Commit: commit},
	}
	for _, l := range layers {
		if e.Layers == nil {
			e.Layers = map[string][]byte{}
		}
		e.Layers[Digest(l)] = []byte("index of " + l)
	}
	return e
}

func (h *kept) at(i int) func(*baseline.Options) {
	return func(o *baseline.Options) {
		o.Now = func() time.Time { return h.clock.Add(time.Duration(i) * time.Hour) }
	}
}

func (h *kept) now() baseline.Store { return h.open(h.at(perImage)) }

// saveAtOnce lets twenty writers save at once, two images of ten commits, and
// misses none of them.
func (h *kept) saveAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	errs := make([]error, 2*perImage)
	for i := range errs {
		wg.Go(func() {
			image := []string{"web", "api"}[i%2]
			e := Entry(image, Commit(i/2), footprint.Bytes(1000+i), "base", fmt.Sprint(image, i/2))
			errs[i] = h.open(h.at(i/2)).Save(t.Context(), []baseline.Entry{e})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range errs {
		key := Entry([]string{"web", "api"}[i%2], Commit(i/2), 0).Key
		found, err := h.now().Load(t.Context(), key)
		if err != nil || found.Image.Metrics.Final != footprint.Bytes(1000+i) || found.Distance != 0 || found.Meta.Commit != key.Commit {
			t.Errorf("%+v: %+v, %v", key, found, err)
		}
	}
}

func (h *kept) list(t *testing.T) {
	listed, err := h.now().(baseline.Lister).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []baseline.Listed
	for _, image := range []string{"api", "web"} {
		for i := perImage - 1; i >= 0; i-- {
			want = append(want, baseline.Listed{Key: Entry(image, Commit(i), 0).Key, At: h.clock.Add(time.Duration(i) * time.Hour)})
		}
	}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Error(diff)
	}
}

func (h *kept) newest(t *testing.T) {
	found, err := h.now().Load(t.Context(), baseline.Key{Image: "web", Platform: "linux/amd64"})
	if err != nil || found.Meta.Commit != Commit(perImage-1) {
		t.Errorf("got %+v, %v", found, err)
	}
}

func (h *kept) ancestors(t *testing.T) {
	for name, c := range map[string]struct {
		commit  string
		history []string // "" is an error
		want    string   // "" is none, "error" an error
		far     int
		asked   bool
	}{
		"itself":          {Commit(5), []string{Commit(4)}, Commit(5), 0, false},
		"parent":          {Commit(20), []string{Commit(5), Commit(4)}, Commit(5), 1, true},
		"further":         {Commit(20), []string{Commit(19), Commit(18), Commit(3), ""}, Commit(3), 3, true},
		"none":            {Commit(20), []string{Commit(19), Commit(18)}, "", 0, true},
		"unknown history": {Commit(20), []string{Commit(19), ""}, "error", 0, true},
	} {
		asked := ""
		found, err := h.open(func(o *baseline.Options) {
			h.at(perImage)(o)
			o.Ancestors = func(_ context.Context, commit string) iter.Seq2[string, error] {
				asked = commit
				return func(yield func(string, error) bool) {
					for _, a := range c.history {
						var err error
						if a == "" {
							err = errors.New("the history ends here")
						}
						if !yield(a, err) {
							return
						}
					}
				}
			}
		}).Load(t.Context(), Entry("web", c.commit, 0).Key)
		switch {
		case (asked != "") != c.asked || c.asked && asked != c.commit:
			t.Errorf("%s: asked for the ancestors of %q", name, asked)
		case c.want == "":
			if !errors.Is(err, baseline.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		case c.want == "error":
			if err == nil || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "the history ends here") {
				t.Errorf("%s: %v, want what was wrong with the history", name, err)
			}
		case err != nil || found.Meta.Commit != c.want || found.Distance != c.far:
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if _, err := h.now().Load(t.Context(), Entry("web", Commit(20), 0).Key); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("without a history: %v, want ErrNotFound", err)
	}
}

func (h *kept) layers(t *testing.T, names ...string) {
	store := h.now().(baseline.LayerStore)
	for _, l := range names {
		if data, err := store.LoadLayer(t.Context(), Digest(l)); string(data) != "index of "+l {
			t.Errorf("layer %s: %q, %v", l, data, err)
		}
	}
	if data, err := store.LoadLayer(t.Context(), Digest("none")); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("a layer that nobody has read: %q, %v, want ErrNotFound", data, err)
	}
}

func (h *kept) prune(t *testing.T) {
	if n, err := h.now().(baseline.Pruner).Prune(t.Context(), 0); n != 0 || err == nil {
		t.Errorf("keeping none: removed %d, %v, want an error", n, err)
	}
	for _, want := range []int{2 * (perImage - 3), 0} {
		n, err := h.now().(baseline.Pruner).Prune(t.Context(), 3)
		if err != nil || n != want {
			t.Errorf("removed %d, %v, want %d", n, err, want)
		}
	}
	// One that came without indexes uses those of its layers all the same.
	later := Entry("later", Commit(0), 1)
	later.Image.Layers[0].DiffID = Digest("web7")
	if err := h.now().Save(t.Context(), []baseline.Entry{later}); err != nil {
		t.Fatal(err)
	}
	if n, err := h.now().(baseline.Pruner).Prune(t.Context(), 1); err != nil || n != 4 {
		t.Errorf("removed %d, %v, want 4", n, err)
	}
	listed, err := h.now().(baseline.Lister).List(t.Context())
	if err != nil || len(listed) != 3 || listed[0].Key != Entry("api", Commit(perImage-1), 0).Key || listed[1].Key != later.Key {
		t.Errorf("left are %+v, %v", listed, err)
	}
	if _, err := h.now().Load(t.Context(), Entry("web", Commit(0), 0).Key); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("what was pruned: %v, want ErrNotFound", err)
	}
	if data, err := h.now().(baseline.LayerStore).LoadLayer(t.Context(), Digest("web0")); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("a layer that nothing uses any more: %q, %v, want ErrNotFound", data, err)
	}
}
