package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"io/fs"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// dockerfileFS is the folder of a Dockerfile with another text in its place.
type dockerfileFS struct {
	fsutil.FS
	name    string
	content []byte
}

// Walk shows the text as a file, and the .dockerignore that goes with it; a
// builder asks for no other file of this folder.
func (d *dockerfileFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	whole := target == "" || target == "." || target == "/"
	if whole || target == d.name {
		// A builder compares time and size with what it was sent before, not the
		// bytes, so each text has a time of its own.
		sum := sha256.Sum256(d.content)
		err := fn(d.name, &fsutil.DirEntryInfo{Stat: &types.Stat{
			Path: d.name, Mode: 0o644, Size: int64(len(d.content)), ModTime: int64(binary.BigEndian.Uint64(sum[:]) >> 2),
		}}, nil)
		if err != nil || !whole {
			return err
		}
	}
	if !whole && target != d.name+".dockerignore" {
		return nil
	}
	return d.FS.Walk(ctx, d.name+".dockerignore", fn)
}

// Open opens the text, or a file of the folder.
func (d *dockerfileFS) Open(path string) (io.ReadCloser, error) {
	if path == d.name {
		return io.NopCloser(bytes.NewReader(d.content)), nil
	}
	return d.FS.Open(path)
}
