package budget

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the .want files of the corpus")

// TestCorpus parses every file of testdata; dropping a .yml there and running
// with -update makes a test.
func TestCorpus(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	for _, kind := range []string{"good", "bad"} {
		files, err := filepath.Glob("testdata/" + kind + "/*.yml")
		if err != nil || len(files) < 5 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, name := range files {
			t.Run(kind+"/"+filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				src, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				file, err := Parse(filepath.Base(name), src)
				if (err == nil) != (kind == "good") {
					t.Fatalf("error: %v", err)
				}
				got := ""
				if err != nil {
					checkPositions(t, src, err)
					got = err.Error() + "\n"
				} else {
					got = describe(file)
					value, err := decodeAny(src)
					if err == nil {
						err = schema.Validate(value)
					}
					if err != nil {
						t.Errorf("not valid by the schema: %v", err)
					}
				}
				golden(t, strings.TrimSuffix(name, ".yml")+".want", got)
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func describe(f *File) string {
	var out strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	p("version %d baseline %q", f.Version, f.Baseline)
	for _, img := range f.Images {
		p("image %s at %s: ref %q base %q implied %v", img.ID, img.Pos, img.Ref, img.Base, img.Implied)
		p("  needs files %v, compressed %v, patterns %q", img.NeedsFiles(), img.NeedsCompressed(), img.Patterns())
		if img.Verify != "" {
			p("  verify %s", img.Verify)
		}
		if img.Cost != (Cost{}) {
			p("  cost bandwidth %s hosts %d deploys a day %s", img.Cost.Bandwidth, img.Cost.Hosts, img.Cost.Deploys)
		}
		if img.NeedsRelease() {
			p("  needs the last release")
		}
		if b := img.Build; b != nil {
			p("  build %q %q %q %q", b.Context, b.Dockerfile, b.Target, b.Platforms)
			for _, values := range []struct {
				name string
				of   map[string]string
			}{{"arg", b.Args}, {"label", b.Labels}, {"context", b.Contexts}} {
				for _, k := range slices.Sorted(maps.Keys(values.of)) {
					p("  %s %s=%q", values.name, k, values.of[k])
				}
			}
			for _, s := range b.Secrets {
				p("  secret %q src %q env %q", s.ID, s.Src, s.Env)
			}
			for _, texts := range []struct {
				name string
				of   []string
			}{{"ssh", b.SSH}, {"cache from", b.CacheFrom}, {"cache to", b.CacheTo}, {"tag", b.Tags}} {
				for _, text := range texts.of {
					p("  %s %q", texts.name, text)
				}
			}
			if b.Network != "" || b.NoCache || b.Pull {
				p("  network %q no cache %v pull %v", b.Network, b.NoCache, b.Pull)
			}
		}
		describeBounds := func(name string, b Bounds) {
			if b.Max != nil {
				p("  %s.max %d at %s", name, b.Max.Value, b.Max.Pos)
			}
			if b.Warn != nil {
				p("  %s.warn %d at %s", name, b.Warn.Value, b.Warn.Pos)
			}
			for _, growth := range []struct {
				name string
				*Growth
			}{{".growth", b.Growth}, {".growth.since-release", b.SinceRelease}} {
				g := growth.Growth
				if g == nil {
					continue
				}
				text := ""
				if g.Percent != nil {
					text += fmt.Sprintf(" %s (%d)", *g.Percent, *g.Percent)
				}
				if g.Amount != nil {
					text += fmt.Sprintf(" %d", *g.Amount)
				}
				p("  %s%s%s at %s", name, growth.name, text, g.Pos)
			}
		}
		for _, l := range img.Limits {
			describeBounds("limits."+string(l.Metric), l.Bounds)
		}
		for _, l := range img.Own {
			describeBounds("own."+string(l.Metric), l.Bounds)
		}
		for _, l := range img.Paths {
			describeBounds("paths."+l.Pattern, l.Bounds)
		}
		for _, l := range img.Packages {
			p("  packages.%s at %s", l.Pattern, l.Pos)
		}
		for _, l := range img.Forbid {
			p("  forbid.%s at %s", l.Text, l.Pos)
		}
		for _, w := range img.Waivers {
			p("  waiver of %s until %s: %q at %s", w.Limit, w.Until.Format("2006-01-02"), w.Reason, w.Pos)
		}
		if s := img.Smoke; s != nil {
			p("  smoke http %+v command %q timeout %v", s.HTTP, s.Command, s.Timeout)
		}
	}
	return out.String()
}

// TestHostileSource feeds shapes that made YAML libraries recurse deeply or
// take time that grows with the square of the file. Each must be refused.
func TestHostileSource(t *testing.T) {
	t.Parallel()
	fill := func(head, s string) string {
		return head + strings.Repeat(s, (maxSource-len(head))/len(s))
	}
	numbered := func(format string) string {
		var out strings.Builder
		for i := range maxKeys + 1 {
			fmt.Fprintf(&out, format, i)
		}
		return out.String()
	}
	for name, c := range map[string]struct{ src, want string }{
		"flow lists":         {fill("", "["), "words and signs"},
		"some flow lists":    {strings.Repeat("[", 50_000), "levels of nesting"},
		"flow mappings":      {strings.Repeat("{a: ", 15_000), "levels of nesting"},
		"block lists":        {strings.Repeat("- ", 60_000), "levels of nesting"},
		"explicit keys":      {strings.Repeat("? a\n", 30_000), "question mark"},
		"block keys":         {numbered("k%d: 1\n"), "more than 20000 keys"},
		"flow keys":          {"{" + numbered("k%d: 1,") + "}", "more than 20000 keys"},
		"list entries":       {strings.Repeat("-\n", 50_000), "more than 20000 keys"},
		"blank lines":        {fill("a: |\n", "\n"), "blank lines"},
		"blank lines, dirty": {fill("a: |\n", "\n \n"), "blank lines"},
		"too long":           {strings.Repeat("#", maxSource+1), "1048577 bytes"},
		"a long line":        {fill("", "a"), "must be a mapping"},
		"aliases":            {"a: &a [x]\nb: [*a, *a]\n", "anchors"},
		"bomb":               {"a: &a {x: 1}\nb: {<<: *a}\n", "anchors"},
		"binary":             {"\x7fELF\x02\x01\x01\x00\x00", "U+007F"},
		"not UTF-8":          {"version: 1\nx: \xff\n", "UTF-8"},
		"NUL":                {"version: 1\x00\n", "U+0000"},
		"deep block":         {deepBlock(40), "levels of nesting"},
		"a line of controls": {"version: \x1b[31m\n", "U+001B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("hostile.yml", []byte(c.src))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %.300v, want %q", err, c.want)
			}
			checkPositions(t, []byte(c.src), err)
			if len(err.Error()) > 2000*maxErrors {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
		})
	}
}

func deepBlock(depth int) string {
	var out strings.Builder
	for i := range depth {
		out.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return out.String()
}

func TestLineEndsAndMarkAreNoMistakes(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/good/everything.yml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("x", src)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("x", []byte("\ufeff"+strings.ReplaceAll(string(src), "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-plain +windows):\n%s", diff)
	}
}

func TestImageCountIsBounded(t *testing.T) {
	t.Parallel()
	var src strings.Builder
	src.WriteString("version: 1\nimages:\n")
	for i := range maxImages {
		fmt.Fprintf(&src, "  i%d: {image: a/b}\n", i)
	}
	if _, err := Parse("x", []byte(src.String())); err != nil {
		t.Fatal(err)
	}
	src.WriteString("  more: {image: a/b}\n")
	if _, err := Parse("x", []byte(src.String())); err == nil || !strings.Contains(err.Error(), "x:1003:3: there are more than 1000 images") {
		t.Fatal(err)
	}
}

func TestLimitCountIsBounded(t *testing.T) {
	t.Parallel()
	var src strings.Builder
	src.WriteString("version: 1\nimages:\n")
	for i := range maxLimits/1000 + 1 {
		fmt.Fprintf(&src, "  i%d:\n    image: a/b\n    forbid:\n", i)
		for j := range 1000 {
			fmt.Fprintf(&src, "    - /%d\n", j)
		}
	}
	_, err := Parse("x", []byte(src.String()))
	if err == nil || !strings.Contains(err.Error(), "there are more than 10000 limits") {
		t.Fatal(err)
	}
}

func TestParsePercent(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Percent{"5%": 5000, " 2.5 % ": 2500, "0%": 0, "0.001%": 1, "1000%": 1_000_000, "010%": 10_000} {
		if got, err := parsePercent(in); got != want || err != nil {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "%", "5", "-5%", "5.%", ".5%", "1000.001%", "0.0001%", "99999999999999999999%", "5%%", "1e2%", "٥%"} {
		if got, err := parsePercent(in); err == nil {
			t.Errorf("%q: %d", in, got)
		}
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ghcr.io/acme/Web:edge": "web", "node:20": "node", "localhost:5000/a/b@sha256:abc": "b", "oci:dir:tag": "dir",
		"docker-daemon:web:latest": "web", "docker-archive:/tmp/x.tar": "x.tar", "": "image", "///": "image", "__x": "x",
		strings.Repeat("ä", 100) + "b": "image", "a\nb": "a-b", strings.Repeat("a", 100): strings.Repeat("a", 64), "oci-archive:": "image",
	} {
		if got := ID(in); got != want || !ValidID(got) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if i := slices.IndexFunc([]string{"", "A", "-a", ".a", "a b", "a/b", strings.Repeat("a", 65), "é"}, ValidID); i >= 0 {
		t.Errorf("bad id %d is valid", i)
	}
}
