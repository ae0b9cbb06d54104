package pkgdb

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"

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
