package advice

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

var update = flag.Bool("update", false, "write what is there as what is wanted")

// A case of the corpus is testdata/RULE/NAME.txtar. Its files are
//
//	Dockerfile      what was built; without it there is only the image
//	image           what came out, see readImage; without it there is only the Dockerfile
//	config          what containers are started with, as JSON
//	subject         one in a line: target NAME, arg NAME=VALUE, crlf (line breaks
//	                of the Dockerfile)
//	.dockerignore   what the build leaves out
//	context         the files of the build context, SIZE PATH in a line
//	contents/PATH   what is in the file /PATH of the image
//	weigh           what a registry says of images, SIZE REFERENCE in a line
//	want            what the rule says, "none" for nothing; -update writes it
//
// A case whose want is "none" is a negative one.
type corpusCase struct {
	rule, name string
	files      map[string][]byte
	archive    *txtar.Archive
	path       string

	crlf   bool
	target string
	args   map[string]string
}

func corpus(t testing.TB) []*corpusCase {
	paths, err := filepath.Glob(filepath.Join("testdata", "*", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*corpusCase
	for _, p := range paths {
		rule := filepath.Base(filepath.Dir(p))
		if !slices.ContainsFunc(Rules(), func(r Rule) bool { return r.ID == rule }) {
			continue // of a test of its own
		}
		archive, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, newCase(t, rule, p, archive))
	}
	return out
}

func newCase(t testing.TB, rule, p string, archive *txtar.Archive) *corpusCase {
	t.Helper()
	c := &corpusCase{rule: rule, name: strings.TrimSuffix(filepath.Base(p), ".txtar"), archive: archive, path: p, files: map[string][]byte{}, args: map[string]string{}}
	for _, f := range archive.Files {
		c.files[f.Name] = f.Data
	}
	for line := range strings.Lines(string(c.files["subject"])) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "crlf":
			c.crlf = true
			c.files["Dockerfile"] = bytes.ReplaceAll(c.files["Dockerfile"], []byte("\n"), []byte("\r\n"))
		case "target":
			c.target = rest
		case "arg":
			name, value, _ := strings.Cut(rest, "=")
			c.args[name] = value
		default:
			t.Fatalf("%s: a subject has no %q", p, word)
		}
	}
	return c
}

// subject is what the rule looks at.
func (c *corpusCase) subject(t testing.TB) *Subject {
	t.Helper()
	s := &Subject{Target: c.target, Args: c.args, IgnoreName: ".dockerignore"}
	if src, ok := c.files["Dockerfile"]; ok {
		f, err := dockerfile.Parse("Dockerfile", src)
		if err != nil {
			t.Fatal(err)
		}
		s.File = f
	}
	if text, ok := c.files["image"]; ok {
		img, err := readImage(string(text), s.File, c.target, c.args)
		if err != nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		s.Image, s.Config = img, &footprint.Config{}
	}
	if text, ok := c.files["config"]; ok {
		if err := json.Unmarshal(text, &s.Config); err != nil {
			t.Fatal(err)
		}
	}
	s.Ignore, s.HasIgnore = c.files[".dockerignore"], c.files[".dockerignore"] != nil
	if text, ok := c.files["context"]; ok {
		s.Context = []ContextFile{}
		for line := range strings.Lines(string(text)) {
			size, path, _ := strings.Cut(strings.TrimSpace(line), " ")
			n, err := footprint.ParseBytes(size)
			if err != nil {
				t.Fatal(err)
			}
			s.Context = append(s.Context, ContextFile{Path: path, Bytes: n})
		}
	}
	s.Read = func(_ context.Context, paths ...string) (map[string][]byte, error) {
		out := map[string][]byte{}
		for _, p := range paths {
			if data, ok := c.files["contents"+p]; ok {
				out[p] = data
			}
		}
		return out, nil
	}
	if text, ok := c.files["weigh"]; ok {
		weights := map[string]footprint.Bytes{}
		for line := range strings.Lines(string(text)) {
			size, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
			n, err := footprint.ParseBytes(size)
			if err != nil {
				t.Fatal(err)
			}
			weights[ref] = n
		}
		s.Weigh = func(_ context.Context, ref string) (footprint.Bytes, error) {
			if n, ok := weights[ref]; ok {
				return n, nil
			}
			return 0, fmt.Errorf("reading %s: not found", ref)
		}
	}
	return s
}

// readImage reads the image of a case. Its lines, where [] may be missing and
// NAME=VALUE may stand in any order:
//
//	layer base [HISTORY]         the next layer; those of the base come first
//	layer LINE [HISTORY]         made by the instruction that begins there
//	layer from [HISTORY]         made by a trigger of the base
//	layer - [HISTORY]            made by nobody knows what
//	file PATH SIZE [NAME=VALUE]  in the layer above; made=, owner=, hash=, mode=,
//	                             debug=, symbols= and, of programs, interp=,
//	                             args=, needed=, soname=, runpath=, machine=,
//	                             class=, library=1, dlopen=1, script=1; pkg= names
//	                             the package that owns it, uid= and gid= the user
//	dir PATH [NAME=VALUE]        a directory; those above files are made; mode=,
//	                             uid=, gid=
//	link PATH TARGET             a symbolic link
//	dead PATH SIZE by=LAYER fate=FATE
//	                             in the layer above, hidden by that layer
//	package ECOSYSTEM NAME SIZE [NAME=VALUE]
//	                             in the layer above; version=, own=, through=,
//	                             files=, path=, dev=1
//	duplicate OWN PATH=LAYER …   the same bytes at these paths; a last word dir=N
//	                             is a folder of N files
//	from REFERENCE SIZE          what the base is called, and its compressed bytes
//	unknown base                 the base is not told apart
//
// Sizes are as in "18MB". A layer has its index as number, from 0.
func readImage(text string, file *dockerfile.File, target string, args map[string]string) (*footprint.Image, error) {
	img := &footprint.Image{Reference: "case:latest", Platform: "linux/amd64", Packages: []footprint.Package{}, Rest: &footprint.Rest{}}
	files := map[string]footprint.File{}
	dead := map[footprint.Dead]footprint.Dead{}
	base, unknown := 0, false
	from := footprint.Base{FoundBy: "FROM"}
	owned := map[string]string{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		fail := func(err error) (*footprint.Image, error) { return nil, fmt.Errorf("image:%d: %w", number, err) }
		layer := len(img.Layers) - 1
		if layer < 0 && words[0] != "layer" && words[0] != "unknown" && words[0] != "from" {
			return fail(fmt.Errorf("it is in no layer"))
		}
		at := 2
		if words[0] == "package" {
			at = 3
		}
		var size footprint.Bytes
		values := map[string]string{}
		if words[0] == "file" || words[0] == "dead" || words[0] == "package" {
			var err error
			if len(words) <= at {
				return fail(fmt.Errorf("%s without a size", words[0]))
			}
			if size, err = footprint.ParseBytes(words[at]); err != nil {
				return fail(err)
			}
			for _, w := range words[at+1:] {
				name, value, _ := strings.Cut(w, "=")
				values[name] = value
			}
		}
		if words[0] == "dir" {
			for _, w := range words[2:] {
				name, value, _ := strings.Cut(w, "=")
				values[name] = value
			}
		}
		count := func(name string, or int) int {
			if n, err := strconv.Atoi(values[name]); err == nil {
				return n
			}
			return or
		}
		switch words[0] {
		case "unknown":
			unknown = true
		case "from":
			from.Reference = words[1]
			if len(words) > 2 {
				n, err := footprint.ParseBytes(words[2])
				if err != nil {
					return fail(err)
				}
				from.Metrics.Compressed, from.Metrics.Has = n, footprint.HasCompressed
			}
		case "duplicate":
			own, err := footprint.ParseBytes(words[1])
			if err != nil {
				return fail(err)
			}
			d := footprint.Duplicate{Own: own, Bytes: own, Files: 1}
			for _, w := range words[2:] {
				name, value, _ := strings.Cut(w, "=")
				n, err := strconv.Atoi(value)
				if err != nil {
					return fail(err)
				}
				if name == "dir" {
					d.Dir, d.Files = true, n
					continue
				}
				d.Paths, d.Layers = append(d.Paths, name), append(d.Layers, n)
			}
			d.Copies = len(d.Paths)
			img.Duplicates = append(img.Duplicates, d)
			img.DuplicateBytes += own
			img.DuplicateOwn += own
		case "layer":
			l := footprint.Layer{Index: len(img.Layers), Has: footprint.HasFiles}
			if len(words) > 2 {
				l.CreatedBy = strings.Join(words[2:], " ")
			}
			switch words[1] {
			case "base":
				base++
				l.InBase = true
			case "-":
			case "from":
				l.Origin = file.Resolve(args).FromOrigin(target)
			default:
				line, err := strconv.Atoi(words[1])
				if err != nil {
					return fail(err)
				}
				if l.Origin = originAt(file, target, args, line); l.Origin == nil {
					return fail(fmt.Errorf("no instruction begins in line %d", line))
				}
			}
			img.Layers = append(img.Layers, l)
		case "file":
			f := footprint.File{Path: words[1], Kind: footprint.Regular, Size: size, Layer: layer, Made: count("made", layer), Mode: 0o644}
			f.Hash = uint64(count("hash", int(hashOf(words[1]))))
			f.Owner = footprint.Owner(count("owner", 0))
			if mode, err := strconv.ParseUint(values["mode"], 8, 16); err == nil {
				f.Mode = uint16(mode)
			}
			f.Debug, _ = footprint.ParseBytes(cmp.Or(values["debug"], "0"))
			f.Symbols, _ = footprint.ParseBytes(cmp.Or(values["symbols"], "0"))
			f.Program = programOf(values)
			f.UID, f.GID = uint32(count("uid", 0)), uint32(count("gid", 0))
			if values["pkg"] != "" {
				owned[f.Path] = values["pkg"]
			}
			files[f.Path] = f
			img.Layers[layer].Unpacked += size
			img.Layers[layer].Files++
			img.Metrics.Final += size
			img.Rest.Unowned += size
		case "dir":
			f := footprint.File{Path: words[1], Kind: footprint.Directory, Layer: layer, Made: layer, Mode: 0o755, UID: uint32(count("uid", 0)), GID: uint32(count("gid", 0))}
			if mode, err := strconv.ParseUint(values["mode"], 8, 16); err == nil {
				f.Mode = uint16(mode)
			}
			files[f.Path] = f
		case "link":
			files[words[1]] = footprint.File{Path: words[1], Kind: footprint.Symlink, Link: words[2], Layer: layer, Made: layer, Mode: 0o777}
		case "dead":
			d := footprint.DeadFile{Path: words[1], Bytes: size, In: layer, By: count("by", layer), Fate: footprint.Fate(values["fate"])}
			img.DeadFiles = append(img.DeadFiles, d)
			key := footprint.Dead{In: d.In, By: d.By, Fate: d.Fate}
			sum, ok := dead[key]
			if !ok {
				sum = key
				sum.Under = filepath.Dir(d.Path)
			}
			for !strings.HasPrefix(d.Path, strings.TrimSuffix(sum.Under, "/")+"/") {
				sum.Under = filepath.Dir(sum.Under)
			}
			sum.Bytes += size
			sum.Files++
			dead[key] = sum
			img.Layers[layer].Unpacked += size
			img.Layers[layer].Wasted += size
			img.Metrics.Wasted += size
		case "package":
			p := footprint.Package{Ecosystem: words[1], Name: words[2], Bytes: size, Own: size, Layer: layer, Version: cmp.Or(values["version"], "1"), Through: values["through"], Files: count("files", 1), Path: values["path"], Dev: values["dev"] != ""}
			if own, ok := values["own"]; ok {
				n, err := footprint.ParseBytes(own)
				if err != nil {
					return fail(err)
				}
				p.Own = n
			} else if layer < base {
				p.Own = 0
			}
			img.Packages = append(img.Packages, p)
		default:
			return fail(fmt.Errorf("%q is nothing", words[0]))
		}
	}
	for d := range maps.Values(dead) {
		img.Dead = append(img.Dead, d)
	}
	slices.SortFunc(img.Dead, func(a, b footprint.Dead) int { return cmp.Compare(b.Bytes, a.Bytes) })
	slices.SortStableFunc(img.DeadFiles, func(a, b footprint.DeadFile) int { return cmp.Compare(b.Bytes, a.Bytes) })
	slices.SortStableFunc(img.Packages, func(a, b footprint.Package) int { return cmp.Compare(b.Bytes, a.Bytes) })
	for path, name := range owned {
		f := files[path]
		at := slices.IndexFunc(img.Packages, func(p footprint.Package) bool { return p.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("image: %s belongs to %s, which is no package", path, name)
		}
		f.Owner = footprint.OwnedBy(at)
		files[path] = f
	}
	img.Metrics.Unpacked = img.Metrics.Final + img.Metrics.Wasted
	img.Metrics.Layers = len(img.Layers)
	img.Metrics.Has = footprint.HasFiles
	if base > 0 && !unknown {
		from.Metrics.Layers = base
		img.Base = &from
		img.Own = &footprint.Metrics{Layers: len(img.Layers) - base}
	}
	img.Files = walk(files)
	return img, nil
}

func hashOf(s string) uint32 {
	h := uint32(2166136261)
	for _, c := range []byte(s) {
		h = (h ^ uint32(c)) * 16777619
	}
	return h >> 1
}

func programOf(values map[string]string) *footprint.Program {
	list := func(name string) []string {
		if values[name] == "" {
			return nil
		}
		return strings.Split(values[name], ",")
	}
	p := &footprint.Program{ELF: values["script"] == "", Interpreter: values["interp"], Args: values["args"], Needed: list("needed"), Soname: values["soname"], Runpath: list("runpath"), Library: values["library"] != "", Dlopen: values["dlopen"] != ""}
	machine, hasMachine := values["machine"]
	n, _ := strconv.Atoi(machine)
	p.Machine = uint16(n)
	n, _ = strconv.Atoi(values["class"])
	p.Class = uint16(n)
	if p.Interpreter == "" && p.Needed == nil && p.Soname == "" && !p.Library && !hasMachine {
		return nil
	}
	return p
}

// originAt is the instruction of the target or its parents that begins in a line.
func originAt(file *dockerfile.File, target string, args map[string]string, line int) *footprint.Origin {
	if file == nil {
		return nil
	}
	for _, step := range file.Resolve(args).Steps(target, args) {
		if step.Start == line {
			o := step.Origin()
			return &o
		}
	}
	return nil
}

// walk lists the files as an image does, with the directories above them.
func walk(files map[string]footprint.File) iter.Seq[footprint.File] {
	for p, f := range maps.Clone(files) {
		for dir := filepath.Dir(p); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
			if above, ok := files[dir]; !ok || above.Kind == footprint.Directory && above.Layer > f.Layer {
				files[dir] = footprint.File{Path: dir, Kind: footprint.Directory, Layer: f.Layer, Made: f.Layer, Mode: 0o755}
			}
		}
	}
	paths := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
	return func(yield func(footprint.File) bool) {
		for _, p := range paths {
			if !yield(files[p]) {
				return
			}
		}
	}
}

func (c *corpusCase) run(t testing.TB, s *Subject) []footprint.Suggestion {
	t.Helper()
	at := slices.IndexFunc(Rules(), func(r Rule) bool { return r.ID == c.rule })
	rule := Rules()[at]
	out, err := rule.check(context.Background(), newSubject(s))
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Safety < rule.Safety {
			t.Errorf("%s: a suggestion of class %s, the rule says %s at best", c.path, out[i].Safety, rule.Safety)
		}
		out[i].Rule = c.rule
	}
	return out
}

// wanted writes suggestions as the file want has them.
func wanted(found []footprint.Suggestion) string {
	if len(found) == 0 {
		return "none\n"
	}
	var out strings.Builder
	for _, s := range found {
		fmt.Fprintf(&out, "%s", s.Safety)
		if s.File != "" {
			fmt.Fprintf(&out, " %s:%d-%d stage %s", s.File, s.Start, s.End, s.Stage)
		}
		fmt.Fprintf(&out, " %d bytes %s", s.Bytes, s.Metric)
		for _, mark := range []struct {
			set  bool
			word string
		}{{s.Estimated, " estimated"}, {s.Hint, " hint"}} {
			if mark.set {
				out.WriteString(mark.word)
			}
		}
		fmt.Fprintf(&out, "\n  %s\n  %s\n", s.Message, s.Advice)
		for _, p := range s.Paths {
			fmt.Fprintf(&out, "  %d %s in layer %d\n", p.Bytes, p.Path, p.Layer)
		}
		if s.More > 0 {
			fmt.Fprintf(&out, "  and %d more\n", s.More)
		}
		for _, u := range s.Unknown {
			fmt.Fprintf(&out, "  ? %s\n", u)
		}
		out.WriteString(strings.ReplaceAll(s.Diff, "\r\n", "<CR>\n"))
	}
	return out.String()
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	positive, negative := map[string]int{}, map[string]int{}
	for _, c := range corpus(t) {
		want := string(c.files["want"])
		if want == "none\n" {
			negative[c.rule]++
		} else {
			positive[c.rule]++
		}
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			s := c.subject(t)
			if s.File != nil {
				same, err := dockerfile.Apply(s.File.Src, nil)
				if err != nil || !bytes.Equal(same, c.files["Dockerfile"]) {
					t.Errorf("no edit changes the file: %v", err)
				}
			}
			found := c.run(t, s)
			for _, f := range found {
				checkSuggestion(t, f)
			}
			got := wanted(found)
			if *update && got != want {
				c.write(t, got)
			} else if d := gocmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			c.checkEdits(t, s, found)
		})
	}
	for _, r := range Rules() {
		if positive[r.ID] < 6 || negative[r.ID] < 6 {
			t.Errorf("%s has %d positive and %d negative cases; it needs 6 of each", r.ID, positive[r.ID], negative[r.ID])
		}
	}
}

func (c *corpusCase) write(t *testing.T, want string) {
	t.Helper()
	a := *c.archive
	a.Files = slices.DeleteFunc(slices.Clone(a.Files), func(f txtar.File) bool { return f.Name == "want" })
	a.Files = append(a.Files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(c.path, txtar.Format(&a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkSuggestion checks what holds for all of them.
func checkSuggestion(t *testing.T, s footprint.Suggestion) {
	t.Helper()
	switch {
	case s.Hint && s.Bytes != 0:
		t.Errorf("a hint weighs %d bytes", s.Bytes)
	case !s.Hint && s.Bytes < Floor && s.Rule != "missing-runtime-file":
		t.Errorf("it weighs %d bytes, less than the floor", s.Bytes)
	}
	if (s.Safety == footprint.AdviceOnly) != (len(s.Edits) == 0) {
		t.Errorf("class %s with %d edits", s.Safety, len(s.Edits))
	}
	if (s.Diff == "") != (len(s.Edits) == 0) {
		t.Errorf("a diff %q with %d edits", s.Diff, len(s.Edits))
	}
	for _, sentence := range append([]string{s.Message, s.Advice}, s.Unknown...) {
		if !strings.HasSuffix(sentence, ".") || strings.Contains(sentence, "\n") {
			t.Errorf("%q is no sentence", sentence)
		}
	}
	if !slices.IsSortedFunc(s.Paths, func(a, b footprint.WeighedPath) int { return cmp.Compare(b.Bytes, a.Bytes) }) || len(s.Paths) > footprint.MaxSuggestionPaths {
		t.Errorf("the paths are %v", s.Paths)
	}
}

// checkEdits applies the edits of each suggestion alone, and of all of them:
// what comes out parses, and there the rule has nothing more to say, though the
// image is still the old one.
func (c *corpusCase) checkEdits(t *testing.T, s *Subject, found []footprint.Suggestion) {
	t.Helper()
	var all []footprint.Edit
	rest := map[footprint.Bytes]bool{} // sentences may name lines, which edits move
	for _, f := range found {
		if len(f.Edits) == 0 {
			rest[f.Bytes] = true
			continue
		}
		all = append(all, f.Edits...)
		for _, again := range c.run(t, c.edited(t, s, f.Edits)) {
			if again.Bytes == f.Bytes && slices.Equal(again.Paths, f.Paths) {
				t.Errorf("it says so again after its edit: %s", again.Message)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b footprint.Edit) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Start, b.Start))
	})
	all = slices.Compact(all)
	for _, again := range c.run(t, c.edited(t, s, all)) {
		if !rest[again.Bytes] || len(again.Edits) > 0 {
			t.Errorf("it says after all edits: %s", wanted([]footprint.Suggestion{again}))
		}
	}
}

// edited is the subject with edited files and the image that was built from the
// old ones: what a layer was made by is found again, unless it is gone.
func (c *corpusCase) edited(t *testing.T, s *Subject, edits []footprint.Edit) *Subject {
	t.Helper()
	out := *s
	var own, ignore []footprint.Edit
	for _, e := range edits {
		if e.File == s.IgnoreName {
			ignore = append(ignore, e)
		} else {
			own = append(own, e)
		}
	}
	if len(ignore) > 0 {
		text, err := dockerfile.Apply(s.Ignore, ignore)
		if err != nil {
			t.Fatal(err)
		}
		out.Ignore, out.HasIgnore = text, true
		out.Context = included(t, text, s.Context)
	}
	if s.File == nil {
		return &out
	}
	changed, err := dockerfile.Apply(s.File.Src, own)
	if err != nil {
		t.Fatal(err)
	}
	if out.File, err = dockerfile.Parse(s.File.Name, changed); err != nil {
		t.Fatalf("after the edit: %v\n%s", err, changed)
	}
	if s.Image != nil {
		out.Image = relined(s, &out, own)
	}
	return &out
}

func included(t *testing.T, ignore []byte, files []ContextFile) []ContextFile {
	t.Helper()
	patterns, err := ignorefile.ReadAll(bytes.NewReader(ignore))
	if err != nil {
		t.Fatal(err)
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	var out []ContextFile
	for _, f := range files {
		if left, err := m.MatchesOrParentMatches(f.Path); err == nil && !left {
			out = append(out, f)
		}
	}
	return out
}

// relined is the image with the lines of the edited Dockerfile. A layer whose
// instruction is gone hides nothing any more, and is nobody's.
func relined(old, changed *Subject, edits []footprint.Edit) *footprint.Image {
	img := *old.Image
	img.Layers = slices.Clone(img.Layers)
	steps := old.File.Resolve(old.Args).Steps(old.Target, old.Args)
	after := changed.File.Resolve(changed.Args).Steps(changed.Target, changed.Args)
	gone := map[int]bool{}
	for i := range img.Layers {
		origin := img.Layers[i].Origin
		if origin == nil {
			continue
		}
		img.Layers[i].Origin = nil
		gone[i] = true
		for _, step := range steps {
			if step.Start != origin.Start || step.End != origin.End {
				continue
			}
			_, end := step.Bytes()
			for _, now := range after {
				if start, stop := now.Bytes(); start < moved(edits, end) && moved(edits, end) <= stop {
					o := now.Origin()
					img.Layers[i].Origin = &o
					delete(gone, i)
				}
			}
		}
	}
	img.Dead = slices.DeleteFunc(slices.Clone(img.Dead), func(d footprint.Dead) bool { return gone[d.By] })
	img.DeadFiles = slices.DeleteFunc(slices.Clone(img.DeadFiles), func(d footprint.DeadFile) bool { return gone[d.By] })
	return &img
}

// moved is where a place is after edits; what was cut out is where it was cut.
func moved(edits []footprint.Edit, at int) int {
	to := at
	for _, e := range edits {
		switch {
		case e.End <= at:
			to += len(e.Text) - (e.End - e.Start)
		case e.Start < at:
			to -= at - e.Start
		}
	}
	return to
}

func TestEveryRuleHasAPageAndATitle(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.ID] || r.Title == "" || r.check == nil {
			t.Errorf("%s: twice, or without a title or a check", r.ID)
		}
		seen[r.ID] = true
		page, ok := Explain(r.ID)
		if !ok || !strings.HasPrefix(page, "# "+r.ID+"\n") {
			t.Errorf("%s has no page that begins with its name", r.ID)
		}
	}
	if _, ok := Explain("../advice"); ok {
		t.Error("a page that is none was found")
	}
}
