package footprint

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestMetricsJSON(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for has := Has(0); has < 8; has++ {
		m := Metrics{Layers: r.IntN(9), Has: has}
		if has&HasCompressed != 0 {
			m.Compressed, m.CompressedEstimated = Bytes(r.Int64N(1e12)), r.IntN(2) == 0
		}
		if has&HasFiles != 0 {
			m.Unpacked, m.Final, m.Wasted, m.Files = Bytes(r.Int64N(1e12)), Bytes(r.Int64N(1e12)), 0, r.IntN(1e6)
		}
		if has&HasUpdate != 0 {
			m.Update = Bytes(r.Int64N(1e12))
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Metrics
		if err := json.Unmarshal(data, &back); err != nil || back != m {
			t.Errorf("%s: read as %+v, %v", data, back, err)
		}
		if unknown := strings.Count(string(data), "null"); has == 0 && unknown != 8 {
			t.Errorf("%s: %d figures are null", data, unknown)
		}
	}
	for in, want := range map[string]string{
		`{"compressed": -1, "layers": 0}`:          "a size of -1",
		`{"unpacked": 1, "layers": 0}`:             "together or not at all",
		`{"unpacked": 1, "final": 1, "wasted": 0}`: "together or not at all",
		`{"files": 1}`:                             "together or not at all",
		`{"layers": -1}`:                           "negative count",
		`{"layers": 1, "size": 3}`:                 "unknown field",
		`{"layers": "x"}`:                          "layers",
		`[]`:                                       "array",
		`{"unpacked":1,"final":1,"wasted":0,"files":-1}`:   "negative count",
		`{"compressed": 9223372036854775808, "layers": 0}`: "not a size",
	} {
		var m Metrics
		if err := json.Unmarshal([]byte(in), &m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

func TestMetricsValue(t *testing.T) {
	t.Parallel()
	m := Metrics{Compressed: 1, Unpacked: 5, Final: 3, Wasted: 2, Update: 4, Layers: 6, Files: 7, Executables: 8, Setuid: 9, Has: HasCompressed | HasFiles | HasUpdate | HasModes}
	want := map[Metric]int64{Compressed: 1, Unpacked: 5, Final: 3, Wasted: 2, Update: 4, LayerCount: 6, FileCount: 7, Executables: 8, Setuid: 9}
	for _, name := range AllMetrics() {
		if got, ok := m.Value(name); !ok || got != want[name] {
			t.Errorf("%s: got %d, %v", name, got, ok)
		}
		if _, ok := (Metrics{}).Value(name); ok != (name == LayerCount) {
			t.Errorf("%s: without anything measured it is known: %v", name, ok)
		}
		if name.IsCount() != slices.Contains([]Metric{LayerCount, FileCount, Executables, Setuid}, name) {
			t.Errorf("%s: a count: %v", name, name.IsCount())
		}
	}
	if len(want) != len(AllMetrics()) {
		t.Errorf("there are %d metrics", len(AllMetrics()))
	}
	if _, ok := m.Value("size"); ok {
		t.Error("an unknown metric has a value")
	}
}
