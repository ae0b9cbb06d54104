package cli

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/scan"
	"github.com/org/image-budget/source"
)

var update = flag.Bool("update", false, "keep what the builders of the bench answer")

// lineBuilders are the builders of the bench by the name that the corpus has
// for them.
func lineBuilders(t *testing.T) map[string]source.Build {
	t.Helper()
	out := map[string]source.Build{}
	for i, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		out[[]string{"buildkit-0.8", "engine29"}[i]] = source.Build{Builder: source.Builder{Address: host}}
	}
	out["buildkitd"] = source.Build{Builder: source.Builder{Address: bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}}
	return out
}

const corpus = "../../dockerfile/testdata/attribute"

// lineCase is a Dockerfile of the corpus, and how it is built.
type lineCase struct {
	Target string            `json:"target"`
	Args   map[string]string `json:"args"`
}

// TestLinesOfBuilds builds the corpus on every builder. Each layer above the
// base must get the line that history tells as well, where that tells one; and
// it must be exact, which needs the steps of the build.
func TestLinesOfBuilds(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob(corpus + "/*/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	ctx := lineContext(t)
	for builder, b := range lineBuilders(t) {
		for _, path := range cases {
			dir := filepath.Dir(path)
			name := filepath.Base(dir)
			if _, err := os.Stat(filepath.Join(dir, "Dockerfile.built")); err == nil {
				continue // about files that are not those that were built
			}
			if needsNewer[name] && builder == "buildkit-0.8" || name == "onbuild" && builder == "buildkitd" {
				continue // it cannot build that; a buildkitd has no image of the case
			}
			t.Run(name+"/"+builder, func(t *testing.T) {
				t.Parallel()
				testLines(t, builder, b, ctx, dir)
			})
		}
	}
}

// needsNewer are the cases that BuildKit 0.8 cannot build.
var needsNewer = map[string]bool{"heredoc": true, "link": true}

func testLines(t *testing.T, builder string, b source.Build, ctx, dir string) {
	var c lineCase
	if text, err := os.ReadFile(filepath.Join(dir, "build.json")); err == nil {
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
	}
	cfg := source.Config{}
	if builder != "buildkitd" {
		cfg.Engine.Host, b.Builder.Address = b.Builder.Address, ""
	}
	opener := source.New(cfg)
	b.Context, b.Network = ctx, "none"
	if base := filepath.Join(dir, "Dockerfile.base"); !missing(base) {
		b := b
		b.Dockerfile, b.Tags = base, []string{"attribute-onbuild:test"}
		images, err := opener.Build(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		images[0].Close()
	}
	b.Dockerfile, b.Target, b.Args = filepath.Join(dir, "Dockerfile"), c.Target, c.Args
	images, err := opener.Build(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer images[0].Close()
	res, err := scan.Image(t.Context(), images[0], scan.Options{Files: true})
	if err != nil {
		t.Fatal(err)
	}
	layers := res.Image.Layers
	built, err := dockerfile.DefinitionOrigins("Dockerfile", images[0].Definition(), c.Target, c.Args, layers)
	if err != nil {
		t.Fatal(err)
	}
	byHistory := built.File.Attribute(c.Target, layers, max(built.Base, 0), c.Args)
	for i, o := range built.Origins {
		switch h := byHistory[i]; {
		case (o == nil) != (i < built.Base), o != nil && !o.Exact:
			t.Errorf("layer %d of base %d: %+v", i, built.Base, o)
		case h != nil && (h.Start != o.Start || h.End != o.End || h.Stage != o.Stage):
			t.Errorf("layer %d: %+v, and history says %+v", i, o, h)
		}
	}
	keepLines(t, filepath.Base(dir), builder, c, images[0].Definition(), layers, built)
}

// keepLines compares with, or writes, what the tests of package dockerfile have
// without a bench.
func keepLines(t *testing.T, name, builder string, c lineCase, definition []byte, layers []footprint.Layer, built *dockerfile.Built) {
	t.Helper()
	var lines strings.Builder
	fmt.Fprintf(&lines, "base %d %s\n", built.Base, built.BaseReference)
	made := []string{}
	for i, o := range built.Origins {
		at := "-"
		if o != nil {
			at = fmt.Sprintf("%d-%d %s", o.Start, o.End, o.Stage)
		}
		fmt.Fprintf(&lines, "%-14s %q\n", at, layers[i].CreatedBy)
		made = append(made, layers[i].CreatedBy)
	}
	path := filepath.Join("../../dockerfile/testdata/definition", name+"."+builder)
	if *update {
		about, err := json.MarshalIndent(struct {
			lineCase
			Layers []string `json:"layers"`
		}{c, made}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		for ext, content := range map[string][]byte{".pb": definition, ".json": append(about, '\n'), ".txt": []byte(lines.String())} {
			if err := os.WriteFile(path+ext, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, err := os.ReadFile(path + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), lines.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// lineContext has the files that the corpus copies.
func lineContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var app bytes.Buffer
	w := tar.NewWriter(&app)
	if err := w.WriteHeader(&tar.Header{Name: "inside", Size: 3, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"package.json": "{}", "package-lock.json": "{ }", "server.js": "//", "src/1.0.txt": "1", "src/2.0.txt": "2", "app.tar": app.String(),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
