package scan

import (
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// TestHistoryOfAnEngineWithNothingLeftToRead: all layers of an image are known or
// being read for another one, and what made them is told by the engine's stream
// alone.
func TestHistoryOfAnEngineWithNothingLeftToRead(t *testing.T) {
	t.Parallel()
	host, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	opener := source.New(source.Config{Engine: source.Engine{Host: host}})
	cache := NewCache()
	measure := func() *Result {
		t.Helper()
		img, err := opener.Open(t.Context(), "docker-daemon:ib/mixed:1")
		must(t, err)
		defer img.Close()
		res, err := Image(t.Context(), img, Options{Files: true, Cache: cache})
		must(t, err)
		return res
	}
	want := measure().Image.Layers
	first := want[0].DiffID
	x := cache.indexes[first]
	delete(cache.indexes, first)
	clear(cache.history)
	_, release, _ := cache.claim([]string{first})
	go func() {
		time.Sleep(200 * time.Millisecond)
		cache.store(first, x)
		release()
	}()
	res := measure()
	for i, l := range res.Image.Layers {
		if l.CreatedBy != want[i].CreatedBy {
			t.Errorf("layer %d was made by %q, not by %q", i, l.CreatedBy, want[i].CreatedBy)
		}
	}
	if res.LayersRead > 1 {
		t.Errorf("%d layers were read", res.LayersRead)
	}
}
