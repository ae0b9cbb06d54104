package advice

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/org/image-budget/dockerfile"
)

// TestStages holds the rewriter to testdata/stages: cases as those of the rules,
// whose want is all that it answers. Each candidate keeps the author's lines.
func TestStages(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("testdata", "stages", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 25 {
		t.Errorf("only %d cases", len(paths))
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c := newCase(t, "stages", path, archive)
			s := c.subject(t)
			rewrite, err := Stages(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			fmt.Fprintf(&out, "stack %q\n", rewrite.Stack)
			for _, one := range rewrite.Candidates {
				fmt.Fprintf(&out, "candidate %s, %d bytes\n", one.Name, one.Bytes)
				for _, n := range one.Notes {
					fmt.Fprintf(&out, "  ! %s\n", n)
				}
				out.WriteString(strings.ReplaceAll(string(one.Dockerfile), "\r\n", "<CR>\n"))
				checkCandidate(t, s, one)
			}
			for _, u := range rewrite.Unknown {
				fmt.Fprintf(&out, "? %s\n", u)
			}
			got, want := out.String(), string(c.files["want"])
			if *update && got != want {
				c.write(t, got)
			} else if d := gocmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// checkCandidate checks what holds for all of them: it parses, the author's
// lines are all there and in their order, and the last stage is a new one.
func checkCandidate(t *testing.T, s *Subject, c Candidate) {
	t.Helper()
	read, err := dockerfile.Parse("Dockerfile", c.Dockerfile)
	if err != nil {
		t.Errorf("%s: %v", c.Name, err)
		return
	}
	if c.Bytes < Floor {
		t.Errorf("%s leaves %d bytes, less than the floor", c.Name, c.Bytes)
	}
	if len(read.Stages) != len(s.File.Stages)+1 {
		t.Errorf("%s has %d stages, the author's has %d", c.Name, len(read.Stages), len(s.File.Stages))
		return
	}
	lines := strings.Split(string(c.Dockerfile), "\n")
	for line := range strings.SplitSeq(string(s.File.Src), "\n") {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.Contains([]string{"FROM", "CMD", "ENTRYPOINT", "USER"}, strings.ToUpper(word)) {
			continue // may be written anew
		}
		at := slices.Index(lines, line)
		if at < 0 {
			t.Errorf("%s does not keep %q where it was", c.Name, line)
			return
		}
		lines = lines[at+1:]
	}
}
