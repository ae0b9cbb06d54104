package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/image-budget/footprint"
)

// maxFile bounds the file of all baselines together: some thousand images.
const maxFile = 64 << 20

// file keeps the baselines of all images in one JSON file, made to be
// committed: {"schema": 1, "images": {"web linux/amd64": SNAPSHOT, …}}.
type file struct{ path string }

// Load reads one baseline out of the file.
func (f *file) Load(ctx context.Context, key Key) (*Found, error) {
	if err := key.check(false); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	doc, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s does not exist yet", ErrNotFound, f.path)
	}
	if err != nil {
		return nil, err
	}
	entry, err := doc.find(f.path, key)
	if err != nil {
		return nil, err
	}
	img, meta, err := footprint.DecodeSnapshot(bytes.NewReader(entry))
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", key.describe(), f.path, err)
	}
	return &Found{Image: img, Meta: meta}, nil
}

// Save puts baselines into the file and leaves the bytes of all others as they
// are. Several processes may do so at once: the last of two that save the same
// key wins, and no other key is lost.
func (f *file) Save(ctx context.Context, entries []Entry) error {
	snapshots, err := encode(entries)
	if err != nil {
		return err
	}
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the baseline: %w", err)
	}
	unlock, err := lock(ctx, dir)
	if err != nil {
		return fmt.Errorf("saving the baseline: %w", err)
	}
	defer unlock()
	doc, err := f.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		doc = &document{}
	case err != nil:
		return fmt.Errorf("saving the baseline: %w", err)
	}
	for i, e := range entries {
		doc.put(e.Key, snapshots[i])
	}
	data := doc.bytes()
	if len(data) > maxFile {
		return fmt.Errorf("saving the baseline: %s would have %d bytes, at most %d can be read again; use a file per image", f.path, len(data), maxFile)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := replace(f.path, data); err != nil {
		return fmt.Errorf("saving the baseline: %w", err)
	}
	return nil
}

// encode checks what is to be saved and writes each snapshot.
func encode(entries []Entry) ([][]byte, error) {
	out := make([][]byte, len(entries))
	for i, e := range entries {
		if err := e.Key.check(true); err != nil {
			return nil, err
		}
		var snapshot bytes.Buffer
		if err := footprint.EncodeSnapshot(&snapshot, e.Image, e.Meta); err != nil {
			return nil, err
		}
		out[i] = snapshot.Bytes()
	}
	return out, nil
}

func (f *file) read() (*document, error) {
	// Opening a pipe would wait for ever.
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory; name a file in it, such as file:%s", f.path, filepath.Join(f.path, "image-budget.json"))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", f.path)
	}
	r, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading %s: it is larger than %s: it holds no baselines", f.path, footprint.Bytes(maxFile))
	}
	doc, err := parseDocument(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.path, err)
	}
	return doc, nil
}

// replace writes the file next to its place and renames it, so that no reader
// and no crash ever sees half of it.
func replace(path string, data []byte) (err error) {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// check refuses keys that could be mistaken for another.
func (k Key) check(needPlatform bool) error {
	switch {
	case needPlatform && k.Platform == "":
		return errors.New("a baseline needs the platform of its image")
	case len(k.Image) > 1000 || len(k.Platform) > 200:
		return fmt.Errorf("the name %q is too long for a baseline", clip(k.Image))
	case strings.ToValidUTF8(k.Image+k.Platform, "") != k.Image+k.Platform:
		return fmt.Errorf("the name %q is not UTF-8", k.Image)
	case strings.ContainsAny(k.Platform, " \t\r\n"):
		return fmt.Errorf("%q is no platform", k.Platform)
	}
	return nil
}

func (k Key) describe() string {
	if k.Platform == "" {
		return fmt.Sprintf("the baseline of %q", k.Image)
	}
	return fmt.Sprintf("the baseline of %q for %s", k.Image, k.Platform)
}
