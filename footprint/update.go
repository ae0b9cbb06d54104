package footprint

// SetUpdate fills in the Update metric of an image, its base and its own
// layers: the compressed bytes of those layers that a host holding old does
// not have. Hosts tell layers by what they unpack to, so a layer that was only
// compressed anew is not pulled again. Without compressed sizes there is none.
func SetUpdate(old, new *Image) {
	have := make(map[string]bool, len(old.Layers))
	for _, l := range old.Layers {
		have[l.DiffID] = true
	}
	pull := func(m *Metrics, layers []Layer) {
		m.Update, m.Has = 0, m.Has&^HasUpdate
		if m.Has&HasCompressed == 0 {
			return
		}
		m.Has |= HasUpdate
		seen := map[string]bool{}
		for _, l := range layers {
			if !have[l.DiffID] && !seen[l.DiffID] {
				m.Update += l.Compressed
			}
			seen[l.DiffID] = true
		}
	}
	pull(&new.Metrics, new.Layers)
	if new.Base == nil || new.Own == nil {
		return
	}
	n := len(new.Layers) - len(ownLayers(new))
	pull(&new.Base.Metrics, new.Layers[:n])
	pull(new.Own, new.Layers[n:])
	// A layer that stands in both parts is pulled once, for the base.
	new.Own.Update = new.Metrics.Update - new.Base.Metrics.Update
}
