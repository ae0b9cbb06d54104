package budget

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

func TestInit(t *testing.T) {
	t.Parallel()
	all := footprint.HasCompressed | footprint.HasFiles
	images := []InitImage{
		{ID: "web", Ref: "ghcr.io/acme/web:edge", Base: "node:20-slim", Metrics: footprint.Metrics{
			Compressed: 94_112_384, Unpacked: 280_000_000, Final: 279_000_000, Wasted: 1_000_000, Layers: 14, Files: 9000, Has: all}},
		{ID: "local", Ref: "docker-daemon:local", Metrics: footprint.Metrics{Unpacked: 1_234_567_890, Final: 1_234_567_890, Layers: 1, Has: footprint.HasFiles}},
		{ID: "guessed", Ref: "docker-archive:a \"b\" \\ ü.tar", Metrics: footprint.Metrics{Compressed: 5, CompressedEstimated: true, Unpacked: 10, Final: 10, Has: all}},
		{ID: "null", Ref: "true", Metrics: footprint.Metrics{}},
		{ID: "12", Ref: "12", Base: "a\nb", Metrics: footprint.Metrics{Compressed: math.MaxInt64, Unpacked: math.MaxInt64, Final: math.MaxInt64, Has: all}},
	}
	src := Init(images)
	golden(t, "testdata/init.want", string(src))
	file, err := Parse(DefaultName, src)
	if err != nil {
		t.Fatal(err)
	}
	value, err := decodeAny(src)
	if err == nil {
		err = compiledSchema(t).Validate(value)
	}
	if err != nil {
		t.Errorf("not valid by the schema: %v", err)
	}
	if len(file.Images) != len(images) {
		t.Fatalf("%d images", len(file.Images))
	}
	for i, img := range file.Images {
		if img.ID != images[i].ID || img.Base != images[i].Base && img.ID != "12" || img.Ref != images[i].Ref {
			t.Errorf("got %q %q %q, want %+v", img.ID, img.Ref, img.Base, images[i])
		}
		m := images[i].Metrics
		measured := &footprint.Image{Metrics: m, Layers: make([]footprint.Layer, m.Layers)}
		for i := range measured.Layers {
			measured.Layers[i] = footprint.Layer{Index: i, Has: m.Has, CompressedEstimated: m.CompressedEstimated}
		}
		v := img.Evaluate(Input{Head: measured, Base: measured})
		for _, c := range v.Checks {
			if c.Status != Pass && img.ID != "null" {
				t.Errorf("%s: %+v", img.ID, c)
			}
		}
	}
}

func TestRoomy(t *testing.T) {
	t.Parallel()
	for v := int64(1); v < 1<<60; v += v/8 + 1 {
		got := roomy(v, 0)
		if low, high := float64(v)*1.1, float64(v)*1.16+2; float64(got) < low || float64(got) > high {
			t.Errorf("%d: %d is not within %.0f and %.0f", v, got, low, high)
		}
		if b, err := footprint.ParseBytes(sizeText(got)); err != nil || int64(b) != got {
			t.Errorf("%s is not %d: %v", sizeText(got), got, err)
		}
	}
	for v, want := range map[int64]string{94_112_384: "105MB", 132_400_000: "150MB", 0: "1MB", 1_234_567_890: "1.4GB"} {
		if got := sizeText(roomy(v, 1_000_000)); got != want {
			t.Errorf("%d: %s, want %s", v, got, want)
		}
	}
}

// The comment of the file promises a tenth to spare, whatever was measured.
func TestInitLeavesATenth(t *testing.T) {
	t.Parallel()
	for layers := range 130 {
		m := footprint.Metrics{Compressed: footprint.Bytes(layers) * 355_000, Layers: layers, Has: footprint.HasCompressed}
		file, err := Parse(DefaultName, Init([]InitImage{{ID: "web", Ref: "web:1", Metrics: m}}))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range file.Images[0].Limits {
			if v, _ := m.Value(l.Metric); l.Bounds.Max.Value*10 < v*11 {
				t.Errorf("%s: %d leaves less than a tenth above %d", l.Metric, l.Bounds.Max.Value, v)
			}
		}
	}
}

// TestInitBuild reads a build again as it was.
func TestInitBuild(t *testing.T) {
	t.Parallel()
	want := &Build{
		Context: "services/web", Dockerfile: "deploy/web \"x\".Dockerfile", Target: "runtime",
		Args: map[string]string{"NODE_ENV": "production", "ON": "yes", "N": "1"}, Platforms: []string{"linux/amd64", "linux/arm64"},
	}
	file, err := Parse("f", Init([]InitImage{{ID: "web", Build: want}}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, file.Images[0].Build); diff != "" {
		t.Error(diff)
	}
}
