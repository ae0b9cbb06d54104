package pkgdb

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// langFile is one file as a scan sees it.
type langFile struct {
	path string
	data []byte
}

// langRead runs the reader that wants a file. It tells the reader's name, "" if
// no reader wants it.
func langRead(t testing.TB, file langFile) (string, Facts, error) {
	t.Helper()
	f := File{Path: file.path, Mode: 0o644, Size: int64(len(file.data))}
	for _, r := range readers() {
		if !r.wants(f, file.data[:min(len(file.data), 4096)]) {
			continue
		}
		c := Content{ReaderAt: bytes.NewReader(file.data), Size: f.Size, Whole: file.data}
		if f.Size > r.max {
			if r.parts == nil {
				return r.name, Facts{Skipped: "too large"}, nil
			}
			c.Whole = nil
		}
		facts, err := r.read(f, c)
		return r.name, facts, err
	}
	return "", Facts{}, nil
}

// langMerge does what the readers' facts are for, as far as tests need it: one
// package per ecosystem, root and name, of those that are installed.
func langMerge(t testing.TB, files []langFile) []Package {
	t.Helper()
	byKey := map[[3]string]*Package{}
	var order []*Package
	for _, file := range files {
		_, facts, err := langRead(t, file)
		if err != nil || facts.Skipped != "" {
			t.Errorf("%s: %v %s", file.path, err, facts.Skipped)
		}
		for _, p := range facts.Packages {
			key := [3]string{p.Ecosystem, p.Root, p.Name}
			m := byKey[key]
			if m == nil {
				m = &Package{Ecosystem: p.Ecosystem, Root: p.Root, Name: p.Name}
				byKey[key] = m
				order = append(order, m)
			}
			if p.Version != "" {
				m.Version = p.Version
			}
			m.Installed = m.Installed || p.Installed
			m.Dev = m.Dev || p.Dev
			m.Asked = max(m.Asked, p.Asked)
			m.Files = append(m.Files, p.Files...)
			m.Trees = append(m.Trees, p.Trees...)
			m.Requires = langSet(append(m.Requires, p.Requires...))
			m.Provides = langSet(append(m.Provides, p.Provides...))
		}
	}
	var all []Package
	for _, p := range order {
		if p.Installed {
			all = append(all, *p)
		}
	}
	return all
}

// langOwners tells for each file which package owns it, as NAME VERSION.
func langOwners(packages []Package, files []langFile) map[string]string {
	byFile, byTree := map[string]string{}, map[string]string{}
	claim := func(claims map[string]string, at string, p Package) {
		if _, taken := claims[at]; !taken {
			claims[at] = p.Name + " " + p.Version
		}
	}
	for _, p := range packages {
		for _, at := range p.Files {
			claim(byFile, at, p)
		}
		for _, at := range p.Trees {
			claim(byTree, at, p)
		}
	}
	owners := map[string]string{}
	for _, file := range files {
		at := "/" + file.path
		owner := byFile[at]
		for dir := path.Dir(at); owner == "" && dir != "/"; dir = path.Dir(dir) {
			owner = byTree[dir]
		}
		owners[at] = owner
	}
	return owners
}

// langTree reads the files of a directory as if it were the root of an image,
// or with a prefix, a directory in it.
func langTree(t testing.TB, root, prefix string) []langFile {
	t.Helper()
	var files []langFile
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(p)
		files = append(files, langFile{path.Join(prefix, filepath.ToSlash(rel)), data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// langFixture reads the files of a txtar archive in testdata/lang.
func langFixture(t testing.TB, name string) []langFile {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "lang", name))
	if err != nil {
		t.Fatal(err)
	}
	var files []langFile
	for _, f := range archive.Files {
		files = append(files, langFile{f.Name, f.Data})
	}
	return files
}

// langFixtures are what real package managers installed, by make.sh beside them.
var langFixtures = []string{"npm", "pnpm", "yarn", "pnp", "workspace", "python", "gem", "composer"}

// TestLangOwners compares the owner of each file with what the package manager
// itself says.
func TestLangOwners(t *testing.T) {
	t.Parallel()
	for _, name := range langFixtures {
		files := langFixture(t, name+".txtar")
		oracle := files[len(files)-1]
		if oracle.path != "oracle" {
			t.Fatalf("%s ends in %s", name, oracle.path)
		}
		files = files[:len(files)-1]
		want := map[string]string{}
		for line := range strings.Lines(string(oracle.data)) {
			at, owner, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !ok {
				t.Fatalf("%s: %q", name, line)
			}
			want["/"+at] = owner
		}
		got := langOwners(langMerge(t, files), files)
		for _, at := range slices.Sorted(maps.Keys(got)) {
			if got[at] != want[at] {
				t.Errorf("%s: %s belongs to %q, want %q", name, at, got[at], want[at])
			}
			delete(want, at)
		}
		if len(want) > 0 || len(got) < 10 {
			t.Errorf("%s has no %v", name, want)
		}
	}
}

// TestLangGraph compares what is known of each package beside its files.
func TestLangGraph(t *testing.T) {
	t.Parallel()
	for _, name := range langFixtures {
		files := langFixture(t, name+".txtar")
		var got strings.Builder
		for _, p := range langMerge(t, files) {
			fmt.Fprintf(&got, "%s %s %s %s", p.Ecosystem, p.Root, p.Name, p.Version)
			if p.Asked == ByName {
				got.WriteString(" asked")
			}
			if p.Dev {
				got.WriteString(" dev")
			}
			if len(p.Requires) > 0 {
				fmt.Fprintf(&got, " requires %s", strings.Join(p.Requires, ","))
			}
			if len(p.Provides) > 0 {
				fmt.Fprintf(&got, " provides %s", strings.Join(p.Provides, ","))
			}
			got.WriteString("\n")
		}
		golden := filepath.Join("testdata", "lang", name+".want")
		if *updateLang {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

var updateLang = flag.Bool("update-lang", false, "write testdata/lang/*.want anew")
