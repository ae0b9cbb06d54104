package footprint

// Past is what an image weighed at an older commit.
type Past struct {
	// Commit is the commit that was measured.
	Commit string
	// Compressed, Unpacked and Final are the bytes of the metrics of these
	// names; see Has, in which HasFiles stands for the last two.
	Compressed, Unpacked, Final Bytes
	// Estimated says that Compressed is an estimate, at least in part.
	Estimated bool
	// Has says which of the figures are known.
	Has Has
}

// PastOf is what will be said of an image that was measured at a commit.
func PastOf(commit string, img *Image) Past {
	m := img.Metrics
	out := Past{Commit: commit, Has: m.Has & (HasCompressed | HasFiles)}
	if m.Has&HasCompressed != 0 {
		out.Compressed, out.Estimated = m.Compressed, m.CompressedEstimated
	}
	if m.Has&HasFiles != 0 {
		out.Unpacked, out.Final = m.Unpacked, m.Final
	}
	return out
}
