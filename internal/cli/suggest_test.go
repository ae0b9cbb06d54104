package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/footprint"
)

const listsLeft = `FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y curl
COPY app /app
CMD ["/app"]
`

const listsGone = `FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*
COPY app /app
CMD ["/app"]
`

// withLists is an image that was built from listsLeft.
func withLists(t testing.TB) string {
	t.Helper()
	return inLayout(t, image(t,
		layer{"/bin/sh -c #(nop) ADD file:1 in /", map[string]string{"etc/debian_version": "12.5\n", "usr/bin/apt-get": "x"}},
		layer{"RUN /bin/sh -c apt-get update && apt-get install -y curl # buildkit", map[string]string{"var/lib/apt/lists/deb.debian.org_main": strings.Repeat("x", 900_000), "usr/bin/curl": "y"}},
		layer{"COPY app /app # buildkit", map[string]string{"app": "z"}},
	))
}

// project is a folder with a Dockerfile.
func projectWith(t testing.TB, text string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "Dockerfile"), text)
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	return string(text)
}

func TestSuggestWeighsAndWrites(t *testing.T) {
	t.Parallel()
	img, file := withLists(t), projectWith(t, listsLeft)
	must(t, os.Chmod(file, 0o640))
	invoke(t, nil, "suggest", img, "--dockerfile", file).want(t, ExitOK, "1. package-cache-left  900.0 kB", "+RUN apt-get update", "add to the command", "  --write  makes 1 safe change", "; a safe")
	if read(t, file) != listsLeft {
		t.Error("it was written without being asked for")
	}
	invoke(t, nil, "suggest", img, "--dockerfile", file, "--write=multi-stage").want(t, ExitOK, "nothing to write: no Dockerfile in stages is proposed")
	r := invoke(t, nil, "suggest", img, "--dockerfile", file, "--write", "--format", "json")
	r.want(t, ExitOK, "wrote ", "package-cache-left", "next: ")
	if !json.Valid([]byte(r.stdout)) {
		t.Error("standard output is not the JSON report alone")
	}
	if got := read(t, file); got != listsGone {
		t.Errorf("wrote:\n%s", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	// Once more: the file says what the image does not, and nothing changes.
	invoke(t, nil, "suggest", img, "--dockerfile", file, "--write").want(t, ExitOK)
	if got := read(t, file); got != listsGone {
		t.Errorf("written twice:\n%s", got)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("files were left: %v, %v", left, err)
	}
}

func TestSuggestWithoutAnImage(t *testing.T) {
	t.Parallel()
	file := projectWith(t, listsLeft)
	invoke(t, nil, "suggest", "--dockerfile", file).want(t, ExitOK, "not measured", "these are hints")
	invoke(t, nil, "suggest", "--dockerfile", file, "--write=multi-stage").want(t, ExitUsage, "reads the image")
	invoke(t, nil, "suggest", "--dockerfile", file, "--verify").want(t, ExitUsage, "--context")
	invoke(t, nil, "suggest", "--dockerfile", file+"x").want(t, ExitUsage, "there is no Dockerfile")
	invoke(t, nil, "suggest", "--dockerfile", file, "--write=all").want(t, ExitUsage, "--write=multi-stage")
	invoke(t, nil, "suggest", "--dockerfile", file, "--ignore-rule", "package-cache").want(t, ExitUsage, `did you mean "package-cache-left"`)
}

// An image without a Dockerfile shows what it shows.
func TestSuggestWithoutADockerfile(t *testing.T) {
	t.Parallel()
	img := withLists(t)
	r := invoke(t, nil, "suggest", img)
	r.want(t, ExitOK, "package-cache-left  900.0 kB", "/var/lib/apt/lists")
	if strings.Contains(r.stdout, "--write") {
		t.Error("there is something to write, and no file")
	}
	invoke(t, nil, "suggest", "oci:"+t.TempDir()).want(t, ExitUnmeasured)
	invoke(t, nil, "suggest", img, img).want(t, ExitUsage, "one image")
}

func TestRulesAreSilenced(t *testing.T) {
	t.Parallel()
	img := withLists(t)
	file := projectWith(t, strings.Replace(listsLeft, "RUN", "# image-budget ignore=dev-dependencies,package-cache-left\n# the lists are wanted\nRUN", 1))
	for _, args := range [][]string{{"--dockerfile", file}, {"--dockerfile", projectWith(t, listsLeft), "--ignore-rule", "package-cache-left"}} {
		if r := invoke(t, nil, append([]string{"suggest", img}, args...)...); r.code != ExitOK || strings.Contains(r.stdout, "package-cache-left  ") {
			t.Errorf("%v: %d\n%s%s", args, r.code, r.stdout, r.stderr)
		}
	}
}

// What the links of a project lead to outside of it is not written.
func TestSuggestWritesNowhereElse(t *testing.T) {
	t.Parallel()
	img, outside := withLists(t), projectWith(t, listsLeft)
	dir := t.TempDir()
	link := filepath.Join(dir, "Dockerfile")
	must(t, os.Symlink(outside, link))
	invoke(t, nil, "suggest", img, "--dockerfile", link, "--write").want(t, ExitUnmeasured, "nothing was written", "leads out of")
	if read(t, outside) != listsLeft {
		t.Error("it was written through a link")
	}
	// A link to a file of the project is a way to it.
	inside := write(t, filepath.Join(dir, "Dockerfile.web"), listsLeft)
	must(t, os.Remove(link))
	must(t, os.Symlink("Dockerfile.web", link))
	invoke(t, nil, "suggest", img, "--dockerfile", link, "--write").want(t, ExitOK, "wrote")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || read(t, inside) != listsGone {
		t.Error("the link is no link any more, or its file is what it was", err)
	}
}

// All files are written, or none is.
func TestWriteAllOrNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := write(t, filepath.Join(dir, "a"), "old a"), write(t, filepath.Join(dir, "b"), "old b")
	made := filepath.Join(dir, "made")
	is := func(want string) {
		t.Helper()
		if got := read(t, a) + ", " + read(t, b); got != want {
			t.Errorf("the files are %q, want %q", got, want)
		}
		if left, err := os.ReadDir(dir); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) {
			t.Errorf("files were left: %v, %v", left, err)
		}
	}
	c := &Command{}
	fails := func(want string, files ...change) {
		t.Helper()
		if err := c.writeAll(files); err == nil || !strings.Contains(err.Error(), "nothing was written") || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		is("old a, old b")
	}
	first := change{path: a, old: []byte("old a"), text: []byte("new a")}
	fails("another file", first, change{path: b, old: []byte("other b"), text: []byte("new b")})
	fails("no such file", first, change{path: filepath.Join(dir, "none", "x"), create: true, text: []byte("x")})
	fails("is gone", first, change{path: filepath.Join(dir, "none"), old: []byte{}, text: []byte("x")})
	fails("made in the meantime", first, change{path: b, create: true, text: []byte("x")})
	// The second is as it was when all was prepared, and not any more when its
	// turn comes: the others are put back.
	fails("changed in the meantime", change{path: made, create: true, text: []byte("made")}, first, first)
	if exists(made) {
		t.Error("what was made is still there")
	}
	must(t, c.writeAll([]change{first, {path: b, old: []byte("old b"), text: []byte("new b")}, {path: made, create: true, text: []byte("made")}}))
	is("new a, new b")
}

// Edits that want the same bytes are made once, those that do not go together are
// left and named.
func TestPatchesOfSeveralSuggestions(t *testing.T) {
	t.Parallel()
	src := "FROM a\nRUN b\nRUN c\n"
	p := newPatches(map[string][]byte{"Dockerfile": []byte(src), ".dockerignore": nil})
	suggestion := func(rule string, edits ...footprint.Edit) *footprint.Suggestion {
		return &footprint.Suggestion{Rule: rule, File: "Dockerfile", Start: 2, Edits: edits}
	}
	b := footprint.Edit{File: "Dockerfile", Start: 11, End: 12, Text: "B"}
	p.add(suggestion("one", b))
	p.add(suggestion("two", footprint.Edit{File: "Dockerfile", Start: 17, End: 18, Text: "C"}, b))
	p.add(suggestion("three", footprint.Edit{File: "Dockerfile", Start: 10, End: 12, Text: "x"}, footprint.Edit{File: ".dockerignore", Create: true, Text: "half"}))
	p.add(suggestion("four", footprint.Edit{File: ".dockerignore", Create: true, Text: ".git\n"}))
	p.add(suggestion("five", footprint.Edit{File: ".dockerignore", Create: true, Text: "dist\n.git\n"}))
	got, err := p.changes()
	must(t, err)
	if len(got) != 2 || string(got[0].text) != "FROM a\nRUN B\nRUN C\n" || string(got[1].text) != ".git\ndist\n" || !got[1].create {
		t.Errorf("%+v", got)
	}
	if len(p.left) != 1 || !strings.Contains(p.left[0], "three at Dockerfile:2") {
		t.Errorf("left: %q", p.left)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	list := invoke(t, nil, "explain")
	for _, r := range advice.Rules() {
		list.want(t, ExitOK, r.ID, r.Title)
		invoke(t, nil, "explain", r.ID).want(t, ExitOK, "# "+r.ID)
	}
	invoke(t, nil, "explain", "package-cache-lost").want(t, ExitUsage, `did you mean "package-cache-left"`, "the rules are:")
	invoke(t, nil, "explain", "a", "b").want(t, ExitUsage)
}

// Advice comes with a failure and with growth, costs a passing check nothing, and
// changes no verdict.
func TestCheckSuggests(t *testing.T) {
	t.Parallel()
	img, file := withLists(t), projectWith(t, listsLeft)
	dir := t.TempDir()
	check := func(limit string, args ...string) (result, []footprint.Suggestion) {
		t.Helper()
		config := write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nimages:\n  web:\n    image: "+img+"\n    limits: {unpacked: {max: "+limit+"}}\n")
		r := invoke(t, nil, append([]string{"check", "--config", config, "--dockerfile", file, "--format", "json"}, args...)...)
		var doc struct {
			Images []struct{ Suggestions []footprint.Suggestion }
		}
		must(t, json.Unmarshal([]byte(r.stdout), &doc))
		return r, doc.Images[0].Suggestions
	}
	r, found := check("100kB", "--output", "sarif="+filepath.Join(dir, "r.sarif"), "--output", "markdown="+filepath.Join(dir, "r.md"))
	r.want(t, ExitOver)
	if !slices.ContainsFunc(found, func(s footprint.Suggestion) bool { return s.Rule == "package-cache-left" && s.Bytes == 900_000 }) {
		t.Errorf("no suggestion: %+v", found)
	}
	if text := read(t, filepath.Join(dir, "r.md")); !strings.Contains(text, "**What would help**") {
		t.Error("the markdown lacks what would help")
	}
	if text := read(t, filepath.Join(dir, "r.sarif")); !strings.Contains(text, "package-cache-left: 900.0 kB are left") {
		t.Error("the SARIF lacks it")
	}
	if r, found = check("2MB"); r.code != ExitOK || found != nil {
		t.Errorf("a check that passes has advice: %d, %+v", r.code, found)
	}
	if r, found = check("2MB", "--verify", "always"); r.code != ExitOK || len(found) == 0 {
		t.Errorf("--verify always has no advice: %d, %+v\n%s", r.code, found, r.stderr)
	}
	if r, found = check("100kB", "--ignore-rule", "package-cache-left"); r.code != ExitOver || slices.ContainsFunc(found, func(s footprint.Suggestion) bool { return s.Rule == "package-cache-left" }) {
		t.Errorf("an ignored rule speaks: %d, %+v", r.code, found)
	}
}
