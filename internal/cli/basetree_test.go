package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func treeArchive(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range entries {
		content := h.Uname // a test's own use of a field that git does not fill
		h.Uname, h.Size = "", int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestUnpackTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := unpackTree(treeArchive(t,
		tar.Header{Name: "pax_global_header", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "0123"}},
		tar.Header{Name: "acme-web-0123/", Typeflag: tar.TypeDir, Mode: 0o775},
		tar.Header{Name: "acme-web-0123/Dockerfile", Typeflag: tar.TypeReg, Mode: 0o664, Uname: "FROM scratch\n"},
		tar.Header{Name: "acme-web-0123/bin/run", Typeflag: tar.TypeReg, Mode: 0o775, Uname: "#!/bin/sh\n"},
		tar.Header{Name: "acme-web-0123/link", Typeflag: tar.TypeSymlink, Linkname: "../elsewhere"},
	), dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		info, ierr := d.Info()
		if err != nil || ierr != nil || d.IsDir() {
			return err
		}
		got[rel] = info.Mode().String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// As git checks them out, whatever mask an archive was made with.
	if diff := cmp.Diff(map[string]string{"Dockerfile": "-rw-r--r--", "bin/run": "-rwxr-xr-x", "link": "Lrwxrwxrwx"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnpackTreeStaysInItsFolder(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]tar.Header{
		"a path that climbs": {{Name: "acme/../../../escaped", Typeflag: tar.TypeReg, Mode: 0o644, Uname: "x"}},
		"through a link": {
			{Name: "acme/out", Typeflag: tar.TypeSymlink, Linkname: "../.."},
			{Name: "acme/out/escaped", Typeflag: tar.TypeReg, Mode: 0o644, Uname: "x"},
		},
		"onto a link": {
			{Name: "acme/escaped", Typeflag: tar.TypeSymlink, Linkname: "../escaped"},
			{Name: "acme/escaped", Typeflag: tar.TypeReg, Mode: 0o644, Uname: "x"},
		},
	} {
		outside := t.TempDir()
		dir := filepath.Join(outside, "a", "b")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		err := unpackTree(treeArchive(t, entries...), dir)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		for _, d := range []string{outside, filepath.Join(outside, "a")} {
			if _, err := os.Lstat(filepath.Join(d, "escaped")); err == nil {
				t.Errorf("%s: something is outside", name)
			}
		}
	}
	if err := unpackTree(bytes.NewReader([]byte("<html>")), t.TempDir()); err == nil {
		t.Error("what is no archive was read")
	}
}
