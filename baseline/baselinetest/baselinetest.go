// Package baselinetest holds the tests that every [baseline.Store] passes that
// can save. It knows no store; what is peculiar to one is tested beside it.
package baselinetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/footprint"
)

// Test checks a kind of store. Every call of open opens the same place, which
// is empty when the test starts, as another process would.
func Test(t *testing.T, open func() baseline.Store) {
	t.Run("missing", func(t *testing.T) { missing(t, open()) })
	t.Run("save and load", func(t *testing.T) { saveAndLoad(t, open) })
	t.Run("other keys", func(t *testing.T) { otherKeys(t, open) })
	t.Run("hostile keys", func(t *testing.T) { hostileKeys(t, open) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, open()) })
	t.Run("concurrent", func(t *testing.T) { concurrent(t, open) })
}

// Image is a small image that adds up; size makes it differ from others.
func Image(name, platform string, size footprint.Bytes) *footprint.Image {
	return &footprint.Image{
		Name: name, Platform: platform, Reference: "docker://example.com/" + name, Source: "registry",
		Metrics: footprint.Metrics{
			Compressed: size / 2, Unpacked: size + 7, Final: size, Wasted: 7, Layers: 2, Files: 1,
			Has: footprint.HasCompressed | footprint.HasFiles,
		},
		Layers: []footprint.Layer{
			{Index: 0, DiffID: "sha256:0", Unpacked: 7, Wasted: 7, Files: 1, Has: footprint.HasCompressed | footprint.HasFiles},
			{Index: 1, DiffID: "sha256:1", Compressed: size / 2, Unpacked: size, Files: 1, Has: footprint.HasCompressed | footprint.HasFiles},
		},
		Dirs: []footprint.Dir{{Path: "/", Bytes: 0}, {Path: "/caf\xe9", Bytes: size, Files: 1}},
		Dead: []footprint.Dead{{In: 0, By: 1, Fate: footprint.Deleted, Bytes: 7, Files: 1, Under: "/"}},
	}
}

func missing(t *testing.T, s baseline.Store) {
	for _, platform := range []string{"linux/amd64", ""} {
		found, err := s.Load(t.Context(), baseline.Key{Image: "missing", Platform: platform})
		if !errors.Is(err, baseline.ErrNotFound) || found != nil {
			t.Errorf("got %v and %v, want ErrNotFound", found, err)
		}
	}
}

func save(t *testing.T, s baseline.Store, key baseline.Key, size footprint.Bytes) {
	t.Helper()
	meta := footprint.Meta{Tool: "image-budget test", Commit: key.Commit}
	if err := s.Save(t.Context(), []baseline.Entry{{Key: key, Image: Image(key.Image, key.Platform, size), Meta: meta}}); err != nil {
		t.Fatalf("saving %+v: %v", key, err)
	}
}

func check(t *testing.T, s baseline.Store, key baseline.Key, size footprint.Bytes) {
	t.Helper()
	found, err := s.Load(t.Context(), key)
	if err != nil {
		t.Errorf("loading %+v: %v", key, err)
		return
	}
	if key.Platform == "" {
		key.Platform = found.Image.Platform
	}
	if diff := cmp.Diff(Image(key.Image, key.Platform, size), found.Image); diff != "" {
		t.Errorf("loading %+v: %s", key, diff)
	}
	if found.Meta.Tool != "image-budget test" {
		t.Errorf("loading %+v: the tool is %q", key, found.Meta.Tool)
	}
}

func saveAndLoad(t *testing.T, open func() baseline.Store) {
	key := baseline.Key{Image: "web", Platform: "linux/amd64", Commit: "0123456789012345678901234567890123456789"}
	save(t, open(), key, 1000)
	check(t, open(), key, 1000)
	check(t, open(), baseline.Key{Image: "web", Commit: key.Commit}, 1000)
	save(t, open(), key, 2000)
	check(t, open(), key, 2000)
}

func otherKeys(t *testing.T, open func() baseline.Store) {
	keys := []baseline.Key{
		{Image: "api", Platform: "linux/amd64"}, {Image: "api", Platform: "linux/arm64"},
		{Image: "api", Platform: "linux/arm64/v8"}, {Image: "api2", Platform: "linux/amd64"}, {Image: "API", Platform: "linux/amd64"},
	}
	for i, key := range keys {
		save(t, open(), key, footprint.Bytes(1000+i))
	}
	save(t, open(), keys[1], 5)
	for i, key := range keys {
		size := footprint.Bytes(1000 + i)
		if i == 1 {
			size = 5
		}
		check(t, open(), key, size)
	}
	_, err := open().Load(t.Context(), baseline.Key{Image: "api", Platform: "windows/amd64"})
	if !errors.Is(err, baseline.ErrPlatform) || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "linux/arm64/v8") {
		t.Errorf("another platform: %v, want ErrPlatform alone and the platforms that there are", err)
	}
	_, err = open().Load(t.Context(), baseline.Key{Image: "api2", Platform: "linux/arm64"})
	if !errors.Is(err, baseline.ErrPlatform) || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("another platform than the one there is: %v, want ErrPlatform alone", err)
	}
	_, err = open().Load(t.Context(), baseline.Key{Image: "ap", Platform: "linux/amd64"})
	if !errors.Is(err, baseline.ErrNotFound) || errors.Is(err, baseline.ErrPlatform) {
		t.Errorf("another image: %v, want ErrNotFound alone", err)
	}
	found, err := open().Load(t.Context(), baseline.Key{Image: "api"})
	if err == nil || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "linux/arm64/v8") {
		t.Errorf("of several platforms, none asked for: %v and %v, want an error that is not ErrNotFound and lists them", found, err)
	}
}

func hostileKeys(t *testing.T, open func() baseline.Store) {
	names := []string{
		"../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\nb", "a\r\nb", "a\x00b", "web linux/amd64", " ", "a ",
		"\"}", "{{", "%2e%2e%2f", "refs/heads/main", "con", "-rf", "\u202egpj", strings.Repeat("x", 300), "schema", "images",
	}
	saved := map[baseline.Key]footprint.Bytes{}
	for i, name := range names {
		key := baseline.Key{Image: name, Platform: "linux/amd64"}
		size := footprint.Bytes(2000 + i)
		// A store may refuse a name, but not half.
		if err := open().Save(t.Context(), []baseline.Entry{{Key: key, Image: Image(name, "linux/amd64", size), Meta: footprint.Meta{Tool: "image-budget test"}}}); err == nil {
			saved[key] = size
		}
	}
	for key, size := range saved {
		check(t, open(), key, size)
	}
	for _, key := range []baseline.Key{
		{Image: "bytes\xff", Platform: "linux/amd64"}, {Image: "bytes\xfe", Platform: "linux/amd64"},
		{Image: "web", Platform: "x linux/amd64"}, {Image: "web", Platform: ""},
	} {
		if err := open().Save(t.Context(), []baseline.Entry{{Key: key, Image: Image("", "linux/amd64", 1), Meta: footprint.Meta{}}}); err == nil {
			t.Errorf("%+v was saved, but could be mistaken for another key", key)
		}
	}
}

func cancelled(t *testing.T, s baseline.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := baseline.Key{Image: "cancelled", Platform: "linux/amd64"}
	if err := s.Save(ctx, []baseline.Entry{{Key: key, Image: Image("cancelled", "linux/amd64", 1), Meta: footprint.Meta{}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("saving: %v, want context.Canceled", err)
	}
	if _, err := s.Load(t.Context(), key); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("loading what was cancelled: %v, want ErrNotFound", err)
	}
}

// concurrent saves many keys at once while others read: nothing is lost, and
// nobody ever sees half a baseline.
func concurrent(t *testing.T, open func() baseline.Store) {
	const savers = 20
	first := baseline.Key{Image: "concurrent", Platform: "linux/amd64"}
	save(t, open(), first, 1)
	key := func(i int) baseline.Key {
		return baseline.Key{Image: fmt.Sprint("concurrent", i%10), Platform: fmt.Sprint("linux/", i)}
	}
	var wg sync.WaitGroup
	errs := make([]error, 2*savers)
	for i := range savers {
		wg.Go(func() {
			errs[i] = open().Save(t.Context(), []baseline.Entry{{Key: key(i), Image: Image(key(i).Image, key(i).Platform, footprint.Bytes(i)), Meta: footprint.Meta{Tool: "image-budget test"}}})
		})
		wg.Go(func() {
			_, errs[savers+i] = open().Load(t.Context(), first)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range savers {
		check(t, open(), key(i), footprint.Bytes(i))
	}
	check(t, open(), first, 1)
}

// History is a store that keeps baselines of several commits.
type History struct {
	// Commits are ids of at least 60 commits, each the first parent of the
	// next, as the store knows them.
	Commits []string
	// Open opens the same place each time, which is empty at first.
	Open func() baseline.Store
	// Monotone says that the latest baseline is that of the newest commit, in
	// whatever order they are saved.
	Monotone bool
}

// Test checks what depends on commits, and lists, prunes and keeps layers
// where the store can.
func (h History) Test(t *testing.T) {
	t.Run("nearest ancestor", h.nearest)
	t.Run("latest", h.latest)
	t.Run("layers", h.layers)
	t.Run("list and prune", h.listAndPrune)
}

func (h History) key(image string, commit int) baseline.Key {
	return baseline.Key{Image: image, Platform: "linux/amd64", Commit: h.Commits[commit]}
}

func (h History) nearest(t *testing.T) {
	for _, i := range []int{3, 5, 9} {
		save(t, h.Open(), h.key("near", i), footprint.Bytes(100+i))
	}
	for asked, want := range map[int]int{3: 3, 4: 3, 5: 5, 8: 5, 9: 9, 30: 9, 59: 9} {
		key := h.key("near", asked)
		check(t, h.Open(), key, footprint.Bytes(100+want))
		found, err := h.Open().Load(t.Context(), key)
		if err != nil || found.Distance != asked-want || found.Meta.Commit != h.Commits[want] {
			t.Errorf("commit %d: %+v, %v; want the baseline of commit %d", asked, found, err, want)
		}
	}
	_, err := h.Open().Load(t.Context(), h.key("near", 2))
	if !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("the first baseline is newer: %v, want ErrNotFound", err)
	}
	if len(h.Commits) > 9+baseline.MaxAncestors+1 {
		if _, err = h.Open().Load(t.Context(), h.key("near", 9+baseline.MaxAncestors+1)); !errors.Is(err, baseline.ErrNotFound) {
			t.Errorf("the nearest is too far: %v, want ErrNotFound", err)
		}
	}
	key := h.key("near", 4)
	key.Platform = "linux/arm64"
	if _, err = h.Open().Load(t.Context(), key); !errors.Is(err, baseline.ErrPlatform) {
		t.Errorf("another platform: %v, want ErrPlatform", err)
	}
	// The job of a commit may run again.
	save(t, h.Open(), h.key("near", 5), 7)
	check(t, h.Open(), h.key("near", 6), 7)
}

func (h History) latest(t *testing.T) {
	latest := baseline.Key{Image: "latest", Platform: "linux/amd64"}
	for _, step := range []struct{ saved, want int }{{4, 4}, {6, 6}, {5, 6}, {6, 6}, {7, 7}, {0, 7}} {
		save(t, h.Open(), h.key("latest", step.saved), footprint.Bytes(step.saved))
		want := step.want
		if !h.Monotone {
			want = step.saved
		}
		check(t, h.Open(), latest, footprint.Bytes(want))
	}
}

// diffID is one that a store can keep.
func diffID(i int) string { return fmt.Sprintf("sha256:%064x", i) }

func (h History) layers(t *testing.T) {
	if _, ok := h.Open().(baseline.LayerStore); !ok {
		t.Skip("the store keeps no layers")
	}
	load := func(i int) ([]byte, error) {
		return h.Open().(baseline.LayerStore).LoadLayer(t.Context(), diffID(i))
	}
	put := func(commit int, layers map[string][]byte, ids ...int) {
		t.Helper()
		key := h.key("layers", commit)
		img := Image(key.Image, key.Platform, 1000)
		for i := range img.Layers {
			img.Layers[i].DiffID = diffID(ids[i])
		}
		if err := h.Open().Save(t.Context(), []baseline.Entry{{Key: key, Image: img, Layers: layers}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := load(1); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("a layer that nobody stored: %v, want ErrNotFound", err)
	}
	// Any bytes, and none that the image does not have.
	one, two := []byte("\x00\xff\x1f one"), []byte("two")
	put(1, map[string][]byte{diffID(1): one, diffID(2): two, "../../etc/passwd": two}, 1, 2)
	put(2, map[string][]byte{diffID(3): two}, 1, 3)
	for i, want := range map[int]string{1: string(one), 2: "two", 3: "two"} {
		if got, err := load(i); err != nil || string(got) != want {
			t.Errorf("layer %d is %q, %v; want %q", i, got, err, want)
		}
	}
	if _, err := h.Open().(baseline.LayerStore).LoadLayer(t.Context(), "../../etc/passwd"); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("no diffID at all: %v, want ErrNotFound", err)
	}
	p, ok := h.Open().(baseline.Pruner)
	if !ok {
		return
	}
	if _, err := p.Prune(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]bool{1: true, 2: false, 3: true} {
		if _, err := load(i); (err == nil) != want {
			t.Errorf("after pruning, layer %d: %v", i, err)
		}
	}
}

func (h History) listAndPrune(t *testing.T) {
	l, ok := h.Open().(baseline.Lister)
	if !ok {
		t.Skip("the store cannot be listed")
	}
	commits := func(image string) []string {
		t.Helper()
		list, err := l.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for i, one := range list {
			if one.Key.Image == image {
				out = append(out, one.Key.Commit)
			}
			if i > 0 && list[i-1].Key.Image > one.Key.Image {
				t.Errorf("the list is not sorted: %+v before %+v", list[i-1].Key, one.Key)
			}
		}
		return out
	}
	for i := range 6 {
		save(t, h.Open(), h.key("prune", i), footprint.Bytes(i))
	}
	save(t, h.Open(), h.key("prune/other", 0), 1)
	if got := commits("prune"); len(got) != 6 {
		t.Errorf("%d baselines are listed, want 6", len(got))
	}
	p, ok := h.Open().(baseline.Pruner)
	if !ok {
		return
	}
	if n, err := p.Prune(t.Context(), 0); err == nil {
		t.Errorf("everything was pruned, %d baselines", n)
	}
	if _, err := p.Prune(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{h.Commits[5], h.Commits[4]}, commits("prune")); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	check(t, h.Open(), h.key("prune", 5), 5)
	check(t, h.Open(), h.key("prune/other", 0), 1)
	if n, err := p.Prune(t.Context(), 2); err != nil || n != 0 {
		t.Errorf("pruning again removed %d, %v", n, err)
	}
}
