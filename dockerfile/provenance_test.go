package dockerfile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

func readProvenance(t testing.TB, folder string) (attestation []byte, layers []footprint.Layer) {
	t.Helper()
	attestation, err := os.ReadFile(filepath.Join("testdata/provenance", folder, "attestation.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata/provenance", folder, "layers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var blobs []struct {
		Digest    string `json:"digest"`
		CreatedBy string `json:"created_by"`
	}
	if err := json.Unmarshal(text, &blobs); err != nil {
		t.Fatal(err)
	}
	for i, b := range blobs {
		layers = append(layers, footprint.Layer{Index: i, Digest: b.Digest, CreatedBy: b.CreatedBy})
	}
	return attestation, layers
}

// TestProvenanceOrigins reads what BuildKit 0.34 attached to real builds, and
// holds matching by history to the same answers.
func TestProvenanceOrigins(t *testing.T) {
	t.Parallel()
	stages := "- 2-2base 3-3base 14-14runtime 15-17runtime 18-18runtime 19-19runtime 20-20runtime 21-21runtime"
	for folder, c := range map[string]struct {
		want, target string
		base         int
		args         map[string]string
	}{
		"stages-v1":   {want: stages, base: 1},
		"stages-v0.2": {want: stages, base: 1},
		"scratch-v1":  {want: "2-40 5-50"},
		"shared-v1": {want: "- 14-14large 15-15large 16-16large 17-17large 20-20runtime 21-21runtime",
			target: "runtime", base: 1, args: map[string]string{"FLAVOUR": "large"}},
	} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			attestation, layers := readProvenance(t, folder)
			f, origins, err := ProvenanceOrigins("build/Dockerfile", attestation, layers)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range origins {
				if o == nil {
					got = append(got, "-")
					continue
				}
				got = append(got, fmt.Sprintf("%d-%d%s", o.Start, o.End, o.Stage))
				if !o.Exact || o.File != "build/Dockerfile" {
					t.Errorf("%+v", o)
				}
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			matched := f.Attribute(c.target, layers, c.base, c.args)
			for _, o := range matched {
				if o != nil {
					o.Exact = true
				}
			}
			if diff := cmp.Diff(origins, matched); diff != "" {
				t.Errorf("history says otherwise (-provenance +history)\n%s", diff)
			}
		})
	}
}

func TestProvenanceOfOtherLayers(t *testing.T) {
	t.Parallel()
	attestation, layers := readProvenance(t, "stages-v1")
	layers[4].Digest = "sha256:0000"
	layers = append(layers, footprint.Layer{Digest: ""})
	f, origins, err := ProvenanceOrigins("", attestation, layers)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range origins {
		if known := i > 0 && i < 4; (o != nil) != known {
			t.Errorf("layer %d: %+v", i, o)
		}
	}
	if len(origins) != len(layers) || f.Name != "Dockerfile" || !strings.HasPrefix(string(f.Src), "FROM alpine:3.22 AS base\n") {
		t.Errorf("%d origins of %q: %q", len(origins), f.Name, f.Src)
	}
}

// TestProvenanceThatContradictsItself gives one layer to two steps, and one
// step two places.
func TestProvenanceThatContradictsItself(t *testing.T) {
	t.Parallel()
	attestation, layers := readProvenance(t, "scratch-v1")
	for name, lie := range map[string]func(layers, locations map[string]any){
		"two steps": func(layers, locations map[string]any) { layers["step1:1"] = layers["step3:0"] },
		"two places": func(layers, locations map[string]any) {
			step := locations["step3"].(map[string]any)
			step["locations"] = append(step["locations"].([]any), locations["step1"].(map[string]any)["locations"].([]any)...)
		},
		"no place": func(layers, locations map[string]any) { delete(locations, "step3") },
	} {
		var s map[string]any
		if err := json.Unmarshal(attestation, &s); err != nil {
			t.Fatal(err)
		}
		at := s
		for _, key := range []string{"predicate", "runDetails", "metadata", "buildkit_metadata"} {
			at = at[key].(map[string]any)
		}
		lie(at["layers"].(map[string]any), at["source"].(map[string]any)["locations"].(map[string]any))
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		_, origins, err := ProvenanceOrigins("", text, layers)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if origins[0] == nil || origins[1] != nil {
			t.Errorf("%s: %v", name, origins)
		}
	}
}

func TestProvenanceSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	full, _ := readProvenance(t, "stages-v1")
	for text, want := range map[string]string{
		"":   "reading the provenance: unexpected end of JSON input",
		"[]": "reading the provenance: json: cannot unmarshal array",
		"{}": `the attestation is no provenance but ""`,
		`{"predicateType": "https://spdx.dev/Document"}`:                                "the attestation is no provenance but \"https://spdx.dev/Document\"",
		`{"predicateType": "https://slsa.dev/provenance/v1"}`:                           "the provenance says nothing of lines and layers; BuildKit writes them with mode=max",
		`{"predicateType": "https://slsa.dev/provenance/v0.2"}`:                         "the provenance says nothing of lines and layers; BuildKit writes them with mode=max",
		strings.Replace(string(full), "RlJPTSBhbHBpbmU6", "WFhYWCBhbHBpbmU6", 1):        "reading the Dockerfile in the provenance: d:1: unknown instruction: XXXX",
		strings.Replace(string(full), `"args": {`, `"args": {"target": "nowhere", `, 1): `reading the provenance: d has no stage "nowhere"; it has base, build, runtime`,
		`{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildDefinition": {"resolvedDependencies": [` + strings.Repeat("{},", maxList) + `{}]}}}`: "reading the provenance: it has a list of more than 50000 entries",
		`{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildDefinition": {"resolvedDependencies": [5]}}}`:                                        "reading the provenance: json: cannot unmarshal number",
		`{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildDefinition": {"resolvedDependencies": 5}}}`:                                          "reading the provenance: json: cannot unmarshal number",
		`{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildDefinition": {"resolvedDependencies": null}}}`:                                       "the provenance says nothing of lines and layers",
		strings.Repeat(" ", maxAttestation+1): "the provenance has 16777217 bytes, more than the 16777216 that are read",
	} {
		if _, _, err := ProvenanceOrigins("d", []byte(text), nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80q: %v", text, err)
		}
	}
}

func FuzzProvenanceOrigins(f *testing.F) {
	var layers []footprint.Layer
	for _, folder := range []string{"stages-v1", "stages-v0.2", "scratch-v1", "shared-v1"} {
		attestation, own := readProvenance(f, folder)
		f.Add(attestation)
		layers = append(layers, own...)
	}
	f.Fuzz(func(t *testing.T, attestation []byte) {
		file, origins, err := ProvenanceOrigins("", attestation, layers)
		if err != nil {
			return
		}
		for _, o := range origins {
			if o != nil && (stageOf(file, o) < 0 || !o.Exact) {
				t.Fatalf("%+v", o)
			}
		}
	})
}

// TestProvenanceMadeToBeSlow has as many stages, places and outputs as fit: the
// work must not be their product.
func TestProvenanceMadeToBeSlow(t *testing.T) {
	t.Parallel()
	stages := strings.Builder{}
	stages.WriteString("FROM x AS a0\n")
	for i := 1; i < 8_000; i++ {
		fmt.Fprintf(&stages, "FROM a%d AS a%d\n", i-1, i)
	}
	place := `{"ranges": [{"start": {"line": 7990}, "end": {"line": 7990}}]}`
	var outputs strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&outputs, `"s:%d": [[{"digest": "x"}]], `, i)
	}
	text := fmt.Sprintf(`{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"runDetails": {"metadata": {"buildkit_metadata": {
		"source": {"infos": [{"data": %q}], "locations": {"s": {"locations": [%s]}}}, "layers": {%s"q:0": []}}}}}}`,
		base64.StdEncoding.EncodeToString([]byte(stages.String())), strings.Repeat(place+",", 60_000)+place, outputs.String())
	done := make(chan error)
	go func() {
		_, origins, err := ProvenanceOrigins("", []byte(text), []footprint.Layer{{Digest: "x"}})
		if err == nil && (origins[0] == nil || origins[0].Stage != "a7989") {
			err = fmt.Errorf("%+v", origins[0])
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("a minute was not enough")
	}
}
