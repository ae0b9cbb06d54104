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

// scriptSeed has other scripts written.
var scriptSeed = flag.Uint64("script-seed", 1, "where TestRandomScriptsAgreeWithTheShell begins")

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

// TestAttributeKnowsStrangers compares every image with every other file. That
// it is none of its own must be noticed.
func TestAttributeKnowsStrangers(t *testing.T) {
	t.Parallel()
	type captive struct {
		name string
		file *File
		c    *captured
	}
	var all []captive
	for _, history := range histories(t) {
		f, c := readCase(t, history)
		all = append(all, captive{filepath.Base(filepath.Dir(history)), f, c})
	}
	for i, mine := range all {
		if i > 0 && all[i-1].name == mine.name {
			continue // the same file
		}
		for _, other := range all {
			if mine.name == other.name || strings.HasPrefix(mine.name, "args") && strings.HasPrefix(other.name, "args") {
				continue // these are nearly the same file
			}
			layers := other.c.layers(t)
			for j, o := range mine.file.Attribute(other.c.Target, layers, other.c.BaseLayers, other.c.Args) {
				if o != nil {
					t.Errorf("%s: line %d of %s made %q?", other.name, o.Start, mine.name, layers[j].CreatedBy)
				}
			}
		}
	}
}

// TestAttributeIsNeverWrong takes layers away, as a builder does with empty
// ones. Those that are left may lose their origin but not change it.
func TestAttributeIsNeverWrong(t *testing.T) {
	t.Parallel()
	for _, history := range histories(t) {
		f, c := readCase(t, history)
		layers := c.layers(t)
		own := len(layers) - c.BaseLayers
		truth := f.Attribute(c.Target, layers, c.BaseLayers, c.Args)
		for mask := range 1 << own {
			if filepath.Base(filepath.Dir(history)) == "workdir" && mask&1 == 0 {
				// Of two equal WORKDIR the first makes the directory.
				continue
			}
			var left []footprint.Layer
			var want []*footprint.Origin
			for j, l := range layers {
				if j < c.BaseLayers || mask>>(j-c.BaseLayers)&1 == 1 {
					left, want = append(left, l), append(want, truth[j])
				}
			}
			for j, o := range f.Attribute(c.Target, left, c.BaseLayers, c.Args) {
				if o != nil && (want[j] == nil || *o != *want[j]) {
					t.Errorf("%s without some layers (%b): %q is of line %d, not %v", history, mask, left[j].CreatedBy, o.Start, want[j])
				}
			}
		}
	}
}

// TestAttributeWithAnotherBase gives the images a base that was rebuilt with
// more layers, whose end may not be known.
func TestAttributeWithAnotherBase(t *testing.T) {
	t.Parallel()
	base := []footprint.Layer{
		{CreatedBy: "/bin/sh -c #(nop) ADD file:0123456789abcdef0123456789abcdef in / "},
		{CreatedBy: "RUN /bin/sh -c apt-get update # buildkit"},
		{CreatedBy: "COPY . . # buildkit"},
		{},
		{CreatedBy: "WORKDIR /somewhere"},
	}
	for _, history := range histories(t) {
		f, c := readCase(t, history)
		layers := c.layers(t)
		truth := f.Attribute(c.Target, layers, c.BaseLayers, c.Args)[c.BaseLayers:]
		rebased := append(append([]footprint.Layer{}, base...), layers[c.BaseLayers:]...)
		if diff := cmp.Diff(truth, f.Attribute(c.Target, rebased, len(base), c.Args)[len(base):]); diff != "" {
			t.Errorf("%s on another base:\n%s", history, diff)
		}
		for j, o := range f.Attribute(c.Target, rebased, 0, c.Args) {
			switch {
			case j < len(base) && o != nil:
				t.Errorf("%s: the base's %q is of line %d?", history, rebased[j].CreatedBy, o.Start)
			case j >= len(base) && o != nil && (truth[j-len(base)] == nil || *o != *truth[j-len(base)]):
				t.Errorf("%s without a known base: %q is of line %d, not %v", history, rebased[j].CreatedBy, o.Start, truth[j-len(base)])
			}
		}
	}
}
