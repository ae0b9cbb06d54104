package dockerfile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"

	"github.com/org/image-budget/footprint"
)

// capturedSteps is what a builder answered; the test of internal/cli that
// builds the corpus keeps it.
type capturedSteps struct {
	Target string            `json:"target"`
	Args   map[string]string `json:"args"`
	Layers []string          `json:"layers"`
	steps  []byte
}

func (c *capturedSteps) layers() []footprint.Layer {
	var out []footprint.Layer
	for i, line := range c.Layers {
		out = append(out, footprint.Layer{Index: i, CreatedBy: line})
	}
	return out
}

func readSteps(t testing.TB, path string) *capturedSteps {
	t.Helper()
	var c capturedSteps
	about, err := os.ReadFile(strings.TrimSuffix(path, ".pb") + ".json")
	if err == nil {
		err = json.Unmarshal(about, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.steps, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return &c
}

func allSteps(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/definition/*.pb")
	if err != nil || len(all) < 60 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	return all
}

func TestDefinitionOrigins(t *testing.T) {
	t.Parallel()
	for _, path := range allSteps(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".pb"), func(t *testing.T) {
			t.Parallel()
			c := readSteps(t, path)
			// What layers are called decides nothing where nothing contradicts.
			for _, layers := range [][]footprint.Layer{c.layers(), make([]footprint.Layer, len(c.Layers))} {
				built, err := DefinitionOrigins("Dockerfile", c.steps, c.Target, c.Args, layers)
				if err != nil {
					t.Fatal(err)
				}
				var got strings.Builder
				fmt.Fprintf(&got, "base %d %s\n", built.Base, built.BaseReference)
				for i, o := range built.Origins {
					at := "-"
					if o != nil {
						at = fmt.Sprintf("%d-%d %s", o.Start, o.End, o.Stage)
						if !o.Exact || o.File != "Dockerfile" {
							t.Errorf("layer %d: %+v", i, o)
						}
					}
					fmt.Fprintf(&got, "%-14s %q\n", at, c.Layers[i])
				}
				want, err := os.ReadFile(strings.TrimSuffix(path, ".pb") + ".txt")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
}

// TestDefinitionOriginsWithoutALayer takes a layer away, as a builder does that
// drops empty ones. No layer may get a line that is not its own.
func TestDefinitionOriginsWithoutALayer(t *testing.T) {
	t.Parallel()
	dropped := 0
	for _, path := range allSteps(t) {
		c := readSteps(t, path)
		layers := c.layers()
		whole, err := DefinitionOrigins("Dockerfile", c.steps, c.Target, c.Args, layers)
		if err != nil {
			t.Fatal(err)
		}
		for gone := whole.Base; gone < len(layers); gone++ {
			left := append(append([]footprint.Layer{}, layers[:gone]...), layers[gone+1:]...)
			want := append(append([]*footprint.Origin{}, whole.Origins[:gone]...), whole.Origins[gone+1:]...)
			built, err := DefinitionOrigins("Dockerfile", c.steps, c.Target, c.Args, left)
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range built.Origins {
				if o != nil && (want[i] == nil || o.Start != want[i].Start) {
					t.Errorf("%s without layer %d: %q is of line %d, not %v", path, gone, left[i].CreatedBy, o.Start, want[i])
				}
			}
			dropped++
		}
	}
	if dropped < 200 {
		t.Errorf("only %d layers were taken away", dropped)
	}
}

// TestDefinitionIsHostile: what cannot be is an error, or no line, and ends.
func TestDefinitionIsHostile(t *testing.T) {
	t.Parallel()
	dockerfile := []byte("FROM scratch\nCOPY a /\nCOPY b /\n")
	file := func(inputs []*pb.Input, actions ...*pb.FileAction) *pb.Op {
		return &pb.Op{Inputs: inputs, Op: &pb.Op_File{File: &pb.FileOp{Actions: actions}}}
	}
	add := func(def *pb.Definition, op *pb.Op) *pb.Input {
		raw, err := op.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		def.Def = append(def.Def, raw)
		return &pb.Input{Digest: digest.FromBytes(raw).String()}
	}
	finish := func(def *pb.Definition, in *pb.Input) []byte {
		add(def, &pb.Op{Inputs: []*pb.Input{in}})
		def.Source = &pb.Source{Infos: []*pb.SourceInfo{{Data: dockerfile}}}
		raw, err := def.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	cases := map[string]func(*pb.Definition) *pb.Input{
		"dangling": func(*pb.Definition) *pb.Input { return &pb.Input{Digest: "sha256:none"} },
		"action of itself": func(d *pb.Definition) *pb.Input {
			return add(d, file(nil, &pb.FileAction{Input: 0, Output: 0}))
		},
		"action of a later one": func(d *pb.Definition) *pb.Input {
			return add(d, file(nil, &pb.FileAction{Input: 1, Output: 0}, &pb.FileAction{Input: 0, Output: -1}))
		},
		"no such input": func(d *pb.Definition) *pb.Input {
			return add(d, &pb.Op{Op: &pb.Op_Exec{Exec: &pb.ExecOp{Mounts: []*pb.Mount{{Input: 7, Output: 0}}}}})
		},
		"no such merge": func(d *pb.Definition) *pb.Input {
			return add(d, &pb.Op{Op: &pb.Op_Merge{Merge: &pb.MergeOp{Inputs: []*pb.MergeInput{{Input: 3}, {Input: -1}}}}})
		},
		// 2^60 ways through 60 merges of nothing.
		"merges of merges": func(d *pb.Definition) *pb.Input {
			in := add(d, file(nil, &pb.FileAction{Input: -1, Output: 0}))
			for range 60 {
				in = add(d, &pb.Op{Inputs: []*pb.Input{in, in}, Op: &pb.Op_Merge{Merge: &pb.MergeOp{Inputs: []*pb.MergeInput{{Input: 0}, {Input: 1}}}}})
			}
			return in
		},
		"unknown": func(d *pb.Definition) *pb.Input { return add(d, &pb.Op{}) },
	}
	for name, make := range cases {
		def := &pb.Definition{}
		built, err := DefinitionOrigins("Dockerfile", finish(def, make(def)), "", nil, []footprint.Layer{{}, {}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if built.Base != -1 || built.Origins[0] != nil || built.Origins[1] != nil {
			t.Errorf("%s: base %d, %v", name, built.Base, built.Origins)
		}
	}
	for name, raw := range map[string][]byte{
		"nothing": nil, "garbage": []byte("\xff\xff"), "long": make([]byte, maxDefinition+1),
		"no lines": func() []byte {
			def := &pb.Definition{}
			add(def, &pb.Op{Inputs: []*pb.Input{add(def, &pb.Op{})}})
			raw, _ := def.MarshalVT()
			return raw
		}(),
	} {
		if _, err := DefinitionOrigins("Dockerfile", raw, "", nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzDefinitionOrigins(f *testing.F) {
	for _, path := range allSteps(f) {
		c := readSteps(f, path)
		f.Add(c.steps, len(c.Layers))
	}
	f.Fuzz(func(t *testing.T, steps []byte, n int) {
		if n < 0 || n > 200 {
			return
		}
		built, err := DefinitionOrigins("Dockerfile", steps, "", nil, make([]footprint.Layer, n))
		if err != nil {
			return
		}
		if len(built.Origins) != n || built.Base > n {
			t.Errorf("%d origins and a base of %d for %d layers", len(built.Origins), built.Base, n)
		}
	})
}

// TestDefinitionOriginsOfSharedSteps: a step that two stages share has the place
// in either, whichever a builder happens to keep.
func TestDefinitionOriginsOfSharedSteps(t *testing.T) {
	t.Parallel()
	c := readSteps(t, "testdata/definition/sharedsteps.buildkitd.pb")
	want, err := DefinitionOrigins("Dockerfile", c.steps, "", nil, c.layers())
	if err != nil {
		t.Fatal(err)
	}
	var def pb.Definition
	if err := def.UnmarshalVT(c.steps); err != nil {
		t.Fatal(err)
	}
	shared := 0
	for id, all := range def.Source.Locations {
		places := all.Locations
		if len(places) < 2 {
			continue
		}
		shared++
		for _, place := range places {
			all.Locations = []*pb.Location{place}
			raw, err := def.MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			got, err := DefinitionOrigins("Dockerfile", raw, "", nil, c.layers())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Origins, got.Origins); diff != "" || got.Base != want.Base {
				t.Errorf("%s at line %d alone: base %d %s", id, place.Ranges[0].Start.Line, got.Base, diff)
			}
		}
		all.Locations = places
	}
	if shared != 3 { // FROM is one of them
		t.Errorf("%d steps are shared", shared)
	}
}
