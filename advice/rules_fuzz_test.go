package advice

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// everything is an image in which each step left what rules look for.
func everything(f *dockerfile.File) *footprint.Image {
	img := &footprint.Image{Platform: "linux/amd64", Layers: []footprint.Layer{{InBase: true}}, Base: &footprint.Base{Reference: "node:20", Metrics: footprint.Metrics{Layers: 1}}}
	var files []footprint.File
	elf := &footprint.Program{ELF: true, Interpreter: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libc.so.6", "libz.so.1"}, Machine: 62, Class: 0x0201}
	for _, step := range f.Steps("", nil) {
		if !step.MakesLayer || len(img.Layers) > 20 {
			continue
		}
		origin := step.Origin()
		layer := len(img.Layers)
		img.Layers = append(img.Layers, footprint.Layer{Index: layer, Origin: &origin, CreatedBy: step.Text})
		to := "/app"
		if c, ok := step.Files(); ok && c.To != "" && len(c.To) < 100 {
			to = c.To
		}
		for _, name := range []string{"node_modules/jest/index.js", ".git/pack", "__pycache__/a.pyc", "tests/x", "src/main.go", "target/release/deps/a.rlib", "app", "addon.node", ""} {
			p := filepath.Join(to, name)
			if slices.ContainsFunc(files, func(f footprint.File) bool { return f.Path == p }) {
				continue
			}
			files = append(files, footprint.File{Path: p, Kind: footprint.Regular, Size: 3_000_000, Layer: layer, Made: layer, Mode: 0o644, Debug: 1_000_000, Symbols: 500_000, Program: elf})
		}
		img.Packages = append(img.Packages,
			footprint.Package{Ecosystem: footprint.Npm, Name: "jest", Bytes: 3_000_000, Own: 3_000_000, Layer: layer, Dev: true, Path: to},
			footprint.Package{Ecosystem: footprint.Composer, Name: "x/y", Bytes: 3_000_000, Own: 3_000_000, Layer: layer, Dev: true},
			footprint.Package{Ecosystem: footprint.Dpkg, Name: "gcc", Bytes: 3_000_000, Own: 3_000_000, Layer: layer})
		img.Duplicates = append(img.Duplicates, footprint.Duplicate{Bytes: 200_000, Own: 200_000, Copies: 2, Files: 1, Paths: []string{to + "/a", to + "/b"}, Layers: []int{0, layer}})
	}
	slices.SortFunc(files, func(a, b footprint.File) int { return slices.Compare([]byte(a.Path), []byte(b.Path)) })
	img.Files = slices.Values(files)
	return img
}

// FuzzSuggest asks all rules about any Dockerfile and .dockerignore: none
// panics, and each edit leaves a file that parses.
func FuzzSuggest(f *testing.F) {
	cases, err := filepath.Glob(filepath.Join("testdata", "*", "*.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		a, err := txtar.ParseFile(c)
		if err != nil {
			f.Fatal(err)
		}
		parts := map[string][]byte{}
		for _, file := range a.Files {
			parts[file.Name] = file.Data
		}
		f.Add(parts["Dockerfile"], parts[".dockerignore"])
	}
	f.Fuzz(func(t *testing.T, src, ignore []byte) {
		file, err := dockerfile.Parse("Dockerfile", src)
		if err != nil || len(src) > 20_000 {
			return
		}
		for _, img := range []*footprint.Image{nil, everything(file)} {
			s := &Subject{File: file, Image: img, Ignore: ignore, HasIgnore: len(ignore) > 0, IgnoreName: ".dockerignore",
				Context: []ContextFile{{Path: "app", Bytes: 3}, {Path: "tests/x", Bytes: 4}},
				Weigh: func(_ context.Context, ref string) (footprint.Bytes, error) {
					if len(ref)%3 == 0 {
						return 0, errors.New("no")
					}
					return footprint.Bytes(1_000_000_000 / max(len(ref), 1)), nil
				}}
			if img != nil {
				s.Config = &footprint.Config{Entrypoint: []string{string(src[:min(len(src), 9)])}, Cmd: []string{"app"}, WorkingDir: "/app"}
			}
			found, err := Suggest(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, sg := range found {
				old := src
				if len(sg.Edits) > 0 && sg.Edits[0].File == ".dockerignore" {
					old = ignore
				}
				changed, err := dockerfile.Apply(old, sg.Edits)
				if err != nil {
					t.Fatalf("%s: %v", sg.Rule, err)
				}
				if len(sg.Edits) > 0 && sg.Edits[0].File == "Dockerfile" {
					if _, err := dockerfile.Parse("Dockerfile", changed); err != nil {
						t.Fatalf("%s: after the edit: %v", sg.Rule, err)
					}
				}
			}
		}
	})
}
