package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// layoutDir reads the files of an OCI layout directory. What a symbolic link
// would lead out of the directory to is not opened.
type layoutDir struct{ root *os.Root }

func (o *Opener) openLayout(ctx context.Context, ref reference, want platform) (*Image, error) {
	root, err := os.OpenRoot(ref.path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: it is not a directory that can be read; an archive is written oci-archive:FILE or docker-archive:FILE (%w)", ref.path, err)
	}
	if _, err := root.Stat("index.json"); errors.Is(err, fs.ErrNotExist) {
		root.Close()
		return nil, fmt.Errorf("opening %s: it has no index.json, so it is not an OCI layout; name the directory that has one", ref.path)
	}
	img, err := o.openOCI(ctx, &layoutDir{root}, kindLayout, ref, want)
	if err != nil {
		root.Close()
		return nil, err
	}
	img.closer = root.Close
	return img, nil
}

func (l *layoutDir) open(name string) (io.ReadCloser, error) { return l.file(name) }

func (l *layoutDir) file(name string) (*os.File, error) {
	// Looking before opening keeps a named pipe from blocking.
	st, err := l.root.Stat(name)
	if err != nil {
		return nil, layoutCause(name, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; save the image again", name)
	}
	f, err := l.root.Open(name)
	if err != nil {
		return nil, layoutCause(name, err)
	}
	return f, nil
}

// layoutCause words why a file cannot be opened. What os.Root says of a link
// that it does not follow has no name to compare with.
func layoutCause(name string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && p.Err.Error() == "path escapes from parent" {
		return fmt.Errorf("%s is a link that leads out of the layout; save the image again", name)
	}
	return err
}

func (l *layoutDir) document(name string, limit int64) ([]byte, error) {
	f, err := l.file(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAtMost(f, limit, name)
}

func (l *layoutDir) peek(name string) (int64, format, error) {
	f, err := l.file(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	head, err := peekAt(f)
	return st.Size(), head, err
}

// peekAt tells the format of what r holds from its start.
func peekAt(r io.ReaderAt) (format, error) {
	head := make([]byte, 4)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	return sniff(head[:n]), nil
}
