package dockerfile

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

var update = flag.Bool("update", false, "write what is there as what is wanted")

// captured is what testdata/attribute/capture.py keeps of a build.
type captured struct {
	Builder    string            `json:"builder"`
	BaseLayers int               `json:"baseLayers"`
	Target     string            `json:"target"`
	Args       map[string]string `json:"args"`
	Layers     int               `json:"layers"`
	History    []struct {
		CreatedBy  string `json:"created_by"`
		EmptyLayer bool   `json:"empty_layer"`
	} `json:"history"`
}

func (c *captured) layers(t testing.TB) []footprint.Layer {
	var out []footprint.Layer
	for _, h := range c.History {
		if !h.EmptyLayer {
			out = append(out, footprint.Layer{Index: len(out), CreatedBy: h.CreatedBy})
		}
	}
	if len(out) != c.Layers {
		t.Fatalf("the history has %d layers, the image %d", len(out), c.Layers)
	}
	return out
}

func readCase(t testing.TB, history string) (*File, *captured) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(filepath.Dir(history), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse("Dockerfile", src)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(history)
	if err != nil {
		t.Fatal(err)
	}
	var c captured
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return f, &c
}

func histories(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/attribute/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, path := range all {
		if filepath.Base(path) != "build.json" {
			out = append(out, path)
		}
	}
	if len(out) < 60 {
		t.Fatalf("only %d histories; the test looks in the wrong place", len(out))
	}
	return out
}

// TestAttribute reads histories that real builders wrote.
func TestAttribute(t *testing.T) {
	t.Parallel()
	for _, history := range histories(t) {
		t.Run(strings.TrimPrefix(strings.TrimSuffix(filepath.ToSlash(history), ".json"), "testdata/attribute/"), func(t *testing.T) {
			t.Parallel()
			f, c := readCase(t, history)
			layers := c.layers(t)
			var got strings.Builder
			for j, o := range f.Attribute(c.Target, layers, c.BaseLayers, c.Args) {
				at := "-"
				if o != nil {
					at = fmt.Sprintf("%d-%d %s", o.Start, o.End, o.Stage)
					if o.Exact || o.File != "Dockerfile" {
						t.Errorf("layer %d: %+v", j, o)
					}
				}
				fmt.Fprintf(&got, "%-14s %q\n", at, layers[j].CreatedBy)
			}
			path := strings.TrimSuffix(history, ".json") + ".txt"
			if *update {
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
