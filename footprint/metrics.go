package footprint

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Metric names one of the figures that a budget can limit.
type Metric string

// The metrics. All are bytes but the last four, which are counts.
const (
	// Compressed is what a cold pull transfers.
	Compressed Metric = "compressed"
	// Unpacked is the payload of all regular files in all layers.
	Unpacked Metric = "unpacked"
	// Final is what the merged filesystem holds.
	Final Metric = "final"
	// Wasted is Unpacked less Final: shipped, and seen by no container.
	Wasted Metric = "wasted"
	// Update is what a host that holds the baseline must still pull.
	Update Metric = "update"
	// LayerCount counts layers with content.
	LayerCount Metric = "layers"
	// FileCount counts the names of regular files in the final filesystem,
	// every hard link being a name.
	FileCount Metric = "files"
	// Executables counts those of them that anyone may execute.
	Executables Metric = "executables"
	// Setuid counts those of them with the setuid or setgid bit.
	Setuid Metric = "setuid"
)

// AllMetrics lists the metrics in the order in which reports show them.
func AllMetrics() []Metric {
	return []Metric{Compressed, Unpacked, Final, Wasted, Update, LayerCount, FileCount, Executables, Setuid}
}

// IsCount tells whether the metric counts things and is not a size.
func (m Metric) IsCount() bool {
	return m == LayerCount || m == FileCount || m == Executables || m == Setuid
}

// Has is the set of figures that were measured.
type Has uint8

const (
	// HasCompressed says that Compressed is known or estimated.
	HasCompressed Has = 1 << iota
	// HasFiles says that layers were read: Unpacked, Final, Wasted and Files
	// are known.
	HasFiles
	// HasUpdate says that Update is known.
	HasUpdate
	// HasModes says that Executables and Setuid are known.
	HasModes
)

// Metrics are the figures of a set of layers. A figure that is not in Has was
// not measured and means nothing; it is null in JSON.
type Metrics struct {
	// Compressed is in bytes the sum of the layers' blobs, HasCompressed.
	Compressed Bytes
	// CompressedEstimated says that the size of at least one of the blobs is
	// an estimate; see [Layer.CompressedEstimated] and [SameMethod].
	CompressedEstimated bool
	// Unpacked, Final and Wasted are the bytes of the metrics of these names,
	// HasFiles.
	Unpacked Bytes
	Final    Bytes
	Wasted   Bytes
	// Update is the bytes of that metric against one baseline, HasUpdate; see
	// [SetUpdate].
	Update Bytes
	// Layers counts layers with content; it is always known.
	Layers int
	// Files counts the names of regular files in the final filesystem,
	// HasFiles.
	Files int
	// Executables and Setuid count those of the names that have such
	// permissions, HasModes.
	Executables, Setuid int
	// Has says which of the figures were measured.
	Has Has
}

// Value returns one figure, and whether it was measured.
func (m Metrics) Value(name Metric) (int64, bool) {
	files := m.Has&HasFiles != 0
	switch name {
	case Compressed:
		return int64(m.Compressed), m.Has&HasCompressed != 0
	case Unpacked:
		return int64(m.Unpacked), files
	case Final:
		return int64(m.Final), files
	case Wasted:
		return int64(m.Wasted), files
	case Update:
		return int64(m.Update), m.Has&HasUpdate != 0
	case LayerCount:
		return int64(m.Layers), true
	case FileCount:
		return int64(m.Files), files
	case Executables:
		return int64(m.Executables), m.Has&HasModes != 0
	case Setuid:
		return int64(m.Setuid), m.Has&HasModes != 0
	}
	return 0, false
}

func (m Metrics) add(o Metrics) Metrics {
	return Metrics{
		Compressed:  m.Compressed + o.Compressed,
		Unpacked:    m.Unpacked + o.Unpacked,
		Final:       m.Final + o.Final,
		Wasted:      m.Wasted + o.Wasted,
		Update:      m.Update + o.Update,
		Layers:      m.Layers + o.Layers,
		Files:       m.Files + o.Files,
		Executables: m.Executables + o.Executables,
		Setuid:      m.Setuid + o.Setuid,
		Has:         m.Has & o.Has,
	}
}

// sameSizes compares the figures that both have.
func (m Metrics) sameSizes(o Metrics) bool {
	for _, name := range AllMetrics() {
		a, known := m.Value(name)
		b, alsoKnown := o.Value(name)
		if known && alsoKnown && a != b {
			return false
		}
	}
	return true
}

type metricsJSON struct {
	Compressed          *Bytes `json:"compressed"`
	CompressedEstimated bool   `json:"compressed_estimated"`
	Unpacked            *Bytes `json:"unpacked"`
	Final               *Bytes `json:"final"`
	Wasted              *Bytes `json:"wasted"`
	Update              *Bytes `json:"update"`
	Layers              int    `json:"layers"`
	Files               *int   `json:"files"`
	Executables         *int   `json:"executables"`
	Setuid              *int   `json:"setuid"`
}

// MarshalJSON writes every figure by its metric name; null is "not measured".
// The error is always nil.
func (m Metrics) MarshalJSON() ([]byte, error) {
	out := metricsJSON{Layers: m.Layers}
	if m.Has&HasCompressed != 0 {
		out.Compressed, out.CompressedEstimated = &m.Compressed, m.CompressedEstimated
	}
	if m.Has&HasFiles != 0 {
		out.Unpacked, out.Final, out.Wasted, out.Files = &m.Unpacked, &m.Final, &m.Wasted, &m.Files
	}
	if m.Has&HasUpdate != 0 {
		out.Update = &m.Update
	}
	if m.Has&HasModes != 0 {
		out.Executables, out.Setuid = &m.Executables, &m.Setuid
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes. Negative figures, unknown keys
// and a half-measured set of files are errors.
func (m *Metrics) UnmarshalJSON(data []byte) error {
	var in metricsJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*m = Metrics{Layers: in.Layers}
	for _, p := range []*Bytes{in.Compressed, in.Unpacked, in.Final, in.Wasted, in.Update} {
		if p != nil && *p < 0 {
			return fmt.Errorf("a size of %d bytes", *p)
		}
	}
	for _, n := range []*int{&in.Layers, in.Files, in.Executables, in.Setuid} {
		if n != nil && *n < 0 {
			return fmt.Errorf("a negative count")
		}
	}
	if in.Executables != nil && in.Setuid != nil {
		m.Executables, m.Setuid, m.Has = *in.Executables, *in.Setuid, m.Has|HasModes
	}
	if in.Compressed != nil {
		m.Compressed, m.CompressedEstimated, m.Has = *in.Compressed, in.CompressedEstimated, m.Has|HasCompressed
	}
	if in.Update != nil {
		m.Update, m.Has = *in.Update, m.Has|HasUpdate
	}
	switch {
	case in.Unpacked != nil && in.Final != nil && in.Wasted != nil && in.Files != nil:
		m.Unpacked, m.Final, m.Wasted, m.Files = *in.Unpacked, *in.Final, *in.Wasted, *in.Files
		m.Has |= HasFiles
	case in.Unpacked != nil || in.Final != nil || in.Wasted != nil || in.Files != nil:
		return fmt.Errorf("unpacked, final, wasted and files are measured together or not at all")
	}
	return nil
}
