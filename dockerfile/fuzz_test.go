package dockerfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
)

func dockerfiles(f *testing.F) []string {
	f.Helper()
	paths, err := filepath.Glob("testdata/attribute/*/Dockerfile")
	if err != nil || len(paths) < 20 {
		f.Fatal(len(paths), err)
	}
	out := []string{everything}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, string(src))
	}
	return out
}

func FuzzParse(f *testing.F) {
	for _, src := range dockerfiles(f) {
		f.Add([]byte(src))
	}
	f.Add([]byte("FROM a\nONBUILD COPY <<E /\nx\nE\nENV A=${B/#x/y} C=${D%%*}\nRUN [\"a\", \"b\"]\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse("Dockerfile", src)
		if err != nil {
			if text := err.Error(); !strings.HasPrefix(text, "Dockerfile:") || strings.Contains(text, "\n") {
				t.Fatalf("%q", text)
			}
			return
		}
		lines := strings.Count(string(src), "\n") + 1
		at := 0
		for i, s := range file.Stages {
			if s.Index != i || s.Parent >= i || s.Start <= at || s.End < s.Start {
				t.Fatalf("stage %d: %+v", i, s)
			}
			at = s.Start
			for _, in := range s.Instructions {
				if in.Start <= at || in.End < in.Start || in.End > s.End || in.From >= i || in.From >= 0 && in.FromImage != "" || strings.ContainsAny(in.Text, "\r\n") {
					t.Fatalf("stage %d: %+v", i, in)
				}
				at = in.End
			}
			at = max(at, s.End)
		}
		if at > lines || len(file.Stages) == 0 {
			t.Fatalf("%d stages, the last ends in line %d of %d", len(file.Stages), at, lines)
		}
	})
}

func FuzzAttribute(f *testing.F) {
	for _, src := range dockerfiles(f) {
		f.Add([]byte(src), "RUN |1 A=b /bin/sh -c echo # buildkit\n/bin/sh -c #(nop) COPY file:0123456789abcdef0123 in /a \nWORKDIR /app", uint8(1), "2.0")
	}
	f.Fuzz(func(t *testing.T, src []byte, history string, base uint8, arg string) {
		file, err := Parse("Dockerfile", src)
		if err != nil {
			return
		}
		var layers []footprint.Layer
		for _, line := range strings.Split(history, "\n") {
			if len(layers) < 64 {
				layers = append(layers, footprint.Layer{CreatedBy: line})
			}
		}
		// The history that the file itself would leave makes deeper paths.
		stage, _ := file.Target("")
		for _, e := range file.expectations(stage, nil).found {
			if len(layers) < 127 {
				layers = append(layers, footprint.Layer{CreatedBy: e.keyword + " " + e.full + e.literal})
			}
		}
		got := file.Attribute("", layers, int(base), map[string]string{"VERSION": arg, "A": arg})
		if len(got) != len(layers) {
			t.Fatalf("%d origins for %d layers", len(got), len(layers))
		}
		last := 0
		for j, o := range got {
			switch {
			case o == nil:
			case j < int(base):
				t.Fatalf("layer %d of the base has the origin %+v", j, o)
			case o.Start < last || o.End < o.Start || o.Exact || o.File != "Dockerfile":
				t.Fatalf("after line %d comes %+v", last, o)
			case stageOf(file, o) < 0:
				t.Fatalf("no such stage: %+v", o)
			default:
				last = o.Start
			}
		}
	})
}

func stageOf(f *File, o *footprint.Origin) int {
	for i, s := range f.Stages {
		if s.label() == o.Stage && o.Start >= s.Start && o.End <= s.End {
			return i
		}
	}
	return -1
}
