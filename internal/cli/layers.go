package cli

import (
	"strings"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan"
	"github.com/org/image-budget/source"
)

// useLayers makes a store that keeps layer indexes the place to look for those
// that no cache has, so that a fresh runner reads only the layers that changed.
// The store is kept for the run: it lists what it holds once, for all images.
func (m *measurer) useLayers(spec string, store baseline.Store) {
	layers, ok := store.(baseline.LayerStore)
	if !ok || m.stores[spec] == layers {
		return
	}
	m.stores[spec] = layers
	if m.cache == nil {
		m.cache = scan.NewCache()
	}
	m.cache.UseRemote(layers, baseline.ErrNotFound)
}

// learn takes over from a baseline what the image to check, if it is the same,
// need not be read for.
func (m *measurer) learn(base *footprint.Image) {
	if m.cache != nil {
		m.cache.LearnHistory(base)
	}
}

// layersOf are the indexes of an image's layers, to be saved with its baseline;
// nil for a store that keeps none.
func (m *measurer) layersOf(store baseline.Store, img *footprint.Image) map[string][]byte {
	if _, ok := store.(baseline.LayerStore); !ok || m.cache == nil {
		return nil
	}
	diffIDs := make([]string, len(img.Layers))
	for i, l := range img.Layers {
		diffIDs[i] = l.DiffID
	}
	return m.cache.Export(diffIDs)
}

// noteLayers takes over what the cache has to say about the store.
func (m *measurer) noteLayers() {
	if m.cache == nil {
		return
	}
	for _, note := range m.cache.Notes() {
		m.note("%s", note)
	}
}

// baselineRef is the reference that a baseline in a registry, or of another
// image, logs in for; "" where there is none.
func baselineRef(spec string) string {
	if ref, ok := strings.CutPrefix(spec, "image:"); ok {
		return ref
	}
	ref, ok := strings.CutPrefix(spec, "registry:")
	if !ok {
		return ""
	}
	ref = "docker://" + strings.TrimPrefix(ref, "docker://")
	if source.CheckReference(ref) != nil {
		return "" // opening the store says it in words about baselines
	}
	return ref
}
