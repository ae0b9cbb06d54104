package cli

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/org/image-budget/footprint"
)

const (
	// maxTreeFiles and maxTreeBytes bound the sources of a commit.
	maxTreeFiles = 1_000_000
	maxTreeBytes = 16 << 30
)

// unpackTree writes the files of a commit, as GitHub's archive of it has them
// below one folder, into dir. They get the modes that a checkout gives them:
// the build cache tells files apart by these as well. Whatever an archive
// holds, nothing is written outside of dir.
func unpackTree(archive io.Reader, dir string) error {
	z, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("reading the archive of the commit: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := &unpacker{root: root, bytes: maxTreeBytes}
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = u.entry(h, tr)
		}
		if err != nil {
			return fmt.Errorf("reading the archive of the commit: %w", err)
		}
	}
}

type unpacker struct {
	root  *os.Root
	files int
	bytes int64
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	_, name, ok := strings.Cut(path.Clean(h.Name), "/")
	if !ok || name == "" {
		return nil // the folder around everything, or the commit's own record
	}
	if u.files++; u.files > maxTreeFiles {
		return fmt.Errorf("it has more than %d files", maxTreeFiles)
	}
	if dir := path.Dir(name); dir != "." && h.Typeflag != tar.TypeDir {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		return u.root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		return u.file(name, h, r)
	}
	return nil // git keeps nothing else
}

func (u *unpacker) file(name string, h *tar.Header, r io.Reader) error {
	if u.bytes -= h.Size; u.bytes < 0 {
		return fmt.Errorf("it has more than %s", footprint.Bytes(maxTreeBytes))
	}
	mode := fs.FileMode(0o644)
	if h.Mode&0o100 != 0 {
		mode = 0o755
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, r, h.Size)
	// The process may mask bits that a checkout sets.
	return errors.Join(err, f.Chmod(mode), f.Close())
}
