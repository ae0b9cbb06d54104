package advice

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// anyImage is an image that gives most rules something to say, with an origin
// for as many layers as a Dockerfile has steps.
func anyImage(s *Subject) *footprint.Image {
	var text strings.Builder
	text.WriteString("layer base\nfile /etc/passwd 1kB\n")
	layer := 0
	for i, step := range s.File.Steps("", nil) {
		if !step.MakesLayer || i > 20 {
			continue
		}
		layer++
		fmt.Fprintf(&text, "layer %d\nfile /var/lib/apt/lists/%d 1MB\nfile /root/.cache/pip/%d 1MB\nfile /tmp/x%d.tar.gz 1MB\nfile /var/log/lastlog 1MB\nfile /go/pkg/mod/%d 1MB\n", step.Start, i, i, i, i)
		if layer > 1 {
			fmt.Fprintf(&text, "dead /app/%d 1MB by=%d fate=rewritten\ndead /tmp/y%d 1MB by=%d fate=deleted\n", i, layer, i, layer)
		}
	}
	img, err := readImage(text.String(), s.File, "", nil)
	if err != nil {
		return nil
	}
	// What hides files is a layer above them.
	for i := range img.Dead {
		img.Dead[i].In = img.Dead[i].By - 1
	}
	for i := range img.DeadFiles {
		img.DeadFiles[i].In = img.DeadFiles[i].By - 1
	}
	return img
}

func FuzzRules(f *testing.F) {
	for _, c := range corpus(f) {
		if src := c.files["Dockerfile"]; src != nil {
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := dockerfile.Parse("Dockerfile", src)
		if err != nil || len(src) > 20_000 {
			return
		}
		for _, img := range []*footprint.Image{nil, anyImage(&Subject{File: file})} {
			s := &Subject{File: file, Image: img, Config: &footprint.Config{}, Context: []ContextFile{{"package.json", 1}}, IgnoreName: ".dockerignore"}
			found, err := Suggest(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range found {
				var own []footprint.Edit
				for _, e := range one.Edits {
					if e.File == "Dockerfile" {
						own = append(own, e)
					}
				}
				changed, err := dockerfile.Apply(src, own)
				if err != nil {
					t.Fatalf("%s: %v", one.Rule, err)
				}
				if _, err := dockerfile.Parse("Dockerfile", changed); err != nil {
					t.Fatalf("%s: %v\n%s", one.Rule, err, changed)
				}
			}
		}
	})
}

// A file that somebody made to be slow is looked at in the time that a test has.
// chainOf is a file of stages that are each built on the one before.
func chainOf(n int) []byte {
	src := []byte("FROM a AS s0\nRUN apt-get update\n")
	for i := 1; i < n; i++ {
		src = fmt.Appendf(src, "FROM s%d AS s%d\nCOPY a%d /b\n", i-1, i, i)
	}
	return src
}

func TestRulesEndOnLargeFiles(t *testing.T) {
	t.Parallel()
	for name, src := range map[string][]byte{
		"stages":    append(bytes.Repeat([]byte("FROM a\nRUN apt-get update\n"), 5000), "FROM b\nRUN apt-get update && apt-get install x\n"...),
		"runs":      append([]byte("FROM a\n"), bytes.Repeat([]byte("RUN apt-get update && rm x\n"), 3000)...),
		"one line":  append([]byte("FROM a\nRUN true"), bytes.Repeat([]byte(" && apt-get update"), 3000)...),
		"chain":     chainOf(1500),
		"copies":    append([]byte("FROM a\nCOPY . .\n"), bytes.Repeat([]byte("COPY a.deb /b.deb\nRUN rm /x\n"), 300)...),
		"arguments": append([]byte("FROM a\nRUN pip install"), bytes.Repeat([]byte(" x"), 30_000)...),
	} {
		file, err := dockerfile.Parse("Dockerfile", src)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, img := range []*footprint.Image{nil, anyImage(&Subject{File: file})} {
			s := newSubject(&Subject{File: file, Image: img, Config: &footprint.Config{}})
			for _, r := range Rules() {
				if _, err := r.check(context.Background(), s); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
