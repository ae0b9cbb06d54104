package scan

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// oracle measures layers the expensive way: it unpacks them on top of each
// other into a real directory and looks at what the filesystem then holds.
type oracle struct {
	Unpacked []int64 // per layer
	Final    int64
	Files    int
	// Executables and Setuid count names, as Files does.
	Executables, Setuid int
}

// unpack applies layers to a fresh directory. Nothing of package scan is used.
func unpack(t testing.TB, layers [][]byte) oracle {
	t.Helper()
	dir := t.TempDir()
	var o oracle
	for _, layer := range layers {
		entries, payload := readAll(t, layer)
		o.Unpacked = append(o.Unpacked, payload)
		for _, e := range entries {
			removeHidden(t, dir, e.header)
		}
		for _, e := range entries {
			place(t, dir, e)
		}
	}
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		o.Files++
		if info.Mode()&0o111 != 0 {
			o.Executables++
		}
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			o.Setuid++
		}
		if ino := info.Sys().(*syscall.Stat_t).Ino; !seen[ino] {
			seen[ino] = true
			o.Final += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

type oracleEntry struct {
	header  *tar.Header
	content []byte
}

func readAll(t testing.TB, layer []byte) (entries []oracleEntry, payload int64) {
	t.Helper()
	tr := tar.NewReader(bytes.NewReader(layer))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return entries, payload
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		payload += int64(len(content))
		entries = append(entries, oracleEntry{h, content})
	}
}

// removeHidden deletes what a whiteout hides. At this point the directory
// holds lower layers only.
func removeHidden(t testing.TB, dir string, h *tar.Header) {
	t.Helper()
	path := filepath.Join(dir, h.Name)
	base := filepath.Base(path)
	if base == ".wh..wh..opq" {
		if !realDirectory(dir, filepath.Dir(path)) {
			return
		}
		list, err := os.ReadDir(filepath.Dir(path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range list {
			must(t, os.RemoveAll(filepath.Join(filepath.Dir(path), e.Name())))
		}
		return
	}
	if name, ok := strings.CutPrefix(base, ".wh."); ok && realDirectory(dir, filepath.Dir(path)) {
		must(t, os.RemoveAll(filepath.Join(filepath.Dir(path), name)))
	}
}

// realDirectory tells whether path is a directory and no symlink leads there.
func realDirectory(root, path string) bool {
	for p := path; p != root; p = filepath.Dir(p) {
		if info, err := os.Lstat(p); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

func place(t testing.TB, dir string, e oracleEntry) {
	t.Helper()
	h := e.header
	path := filepath.Join(dir, h.Name)
	if path == dir || strings.HasPrefix(filepath.Base(path), ".wh.") {
		return
	}
	if h.Typeflag == tar.TypeLink {
		placeLink(t, dir, filepath.Join(dir, h.Linkname), path)
		return
	}
	makeParents(t, dir, filepath.Dir(path))
	old, err := os.Lstat(path)
	if err == nil && !(old.IsDir() && h.Typeflag == tar.TypeDir) {
		must(t, os.RemoveAll(path))
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		must(t, os.WriteFile(path, e.content, 0o644))
		must(t, syscall.Chmod(path, uint32(h.Mode)))
	case tar.TypeDir:
		must(t, os.MkdirAll(path, 0o755))
	case tar.TypeSymlink:
		must(t, os.Symlink(h.Linkname, path))
	case tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
		must(t, syscall.Mkfifo(path, 0o644)) // any special file will do
	default:
		t.Fatalf("the oracle knows no type %q", h.Typeflag)
	}
}

func placeLink(t testing.TB, dir, target, path string) {
	t.Helper()
	if !realDirectory(dir, filepath.Dir(target)) {
		return
	}
	from, err := os.Lstat(target)
	if err != nil || from.IsDir() || strings.HasPrefix(target, path+"/") {
		return
	}
	if realDirectory(dir, filepath.Dir(path)) {
		if to, err := os.Lstat(path); err == nil && os.SameFile(from, to) {
			return
		}
	}
	// The parents, or what has this name now, may be the target itself.
	spare := filepath.Join(filepath.Dir(dir), "spare")
	must(t, os.Link(target, spare))
	makeParents(t, dir, filepath.Dir(path))
	must(t, os.RemoveAll(path))
	must(t, os.Rename(spare, path))
}

// makeParents makes path a directory, replacing whatever is in the way.
func makeParents(t testing.TB, root, path string) {
	t.Helper()
	if path == root {
		return
	}
	makeParents(t, root, filepath.Dir(path))
	if info, err := os.Lstat(path); err == nil && !info.IsDir() {
		must(t, os.Remove(path))
	}
	must(t, os.MkdirAll(path, 0o755))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
