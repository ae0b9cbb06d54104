package scan

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/gzip"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan/pkgdb"
)

const (
	// maxPath is PATH_MAX of Linux: an image with a longer path cannot be
	// unpacked there.
	maxPath = 4096
	// maxDepth bounds the directories of one path, and so the work per entry.
	maxDepth = 1024

	whiteoutPrefix = ".wh."
	// metaPrefix marks what AUFS keeps for itself in a layer.
	metaPrefix = ".wh..wh."
	opaqueName = ".wh..wh..opq"
)

// EstimateMethod names how the compressed size is estimated where a source
// has no compressed blobs. Figures of two methods do not compare.
const EstimateMethod = "gzip level 6 (klauspost/compress 1.20)"

const estimateLevel = 6

// layerReader turns the tar of one layer into an [Index].
type layerReader struct {
	limits   Limits
	estimate bool
	buf      []byte
	hash     xxhash.Digest
	packages *pkgdb.Collector
}

// read indexes the layer. It reads r once and keeps no content.
func (lr *layerReader) read(r io.Reader) (*Index, error) {
	if !lr.estimate {
		return lr.index(r)
	}
	var size counter
	zw, err := gzip.NewWriterLevel(&size, estimateLevel)
	if err != nil {
		return nil, fmt.Errorf("estimating the compressed size: %w", err)
	}
	tee := io.TeeReader(r, zw)
	x, err := lr.index(tee)
	if err != nil {
		return nil, err
	}
	// What follows the end of the tar is part of the blob as well.
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{tee}, lr.buf); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("estimating the compressed size: %w", err)
	}
	x.estimate = footprint.Bytes(size)
	return x, nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func (lr *layerReader) index(r io.Reader) (*Index, error) {
	x := newIndex()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			x.told = nil
			return x, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the tar: %w", err)
		}
		if x.entries >= lr.limits.MaxFiles {
			return nil, tooManyFiles(lr.limits.MaxFiles)
		}
		e, ok, err := classify(h)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if e.size > int64(lr.limits.MaxUnpacked)-int64(x.unpacked) {
			return nil, fmt.Errorf("its files hold more than %s; raise --max-unpacked if this is meant", lr.limits.MaxUnpacked)
		}
		facts, err := lr.content(tr, &e)
		if err != nil {
			return nil, fmt.Errorf("reading the content of %q: %w", clipPath(e.path), err)
		}
		x.add(e)
		x.tell(facts)
	}
}

// content reads what a file holds, hashes it, and asks whether it tells of
// packages or is a program.
func (lr *layerReader) content(r io.Reader, e *entry) (pkgdb.Facts, error) {
	if e.size == 0 && e.kind != addRegular {
		return pkgdb.Facts{}, nil
	}
	// As much as the buffer takes, so that the readers see how a file begins.
	head := lr.buf[:min(int64(len(lr.buf)), e.size)]
	if _, err := io.ReadFull(r, head); err != nil {
		return pkgdb.Facts{}, unexpected(err)
	}
	wanted := e.kind == addRegular && lr.packages.Begin(pkgdb.File{Path: string(e.path), Mode: e.mode, Size: e.size}, head)
	lr.hash.Reset()
	for chunk, left := head, e.size-int64(len(head)); ; {
		_, _ = lr.hash.Write(chunk) // never fails
		if wanted {
			_, _ = lr.packages.Write(chunk)
		}
		if left == 0 {
			break
		}
		n, err := r.Read(lr.buf[:min(int64(len(lr.buf)), left)])
		if err != nil && (err != io.EOF || int64(n) < left) {
			return pkgdb.Facts{}, unexpected(err)
		}
		chunk, left = lr.buf[:n], left-int64(n)
	}
	if e.size > 0 {
		e.hash = lr.hash.Sum64()
	}
	if e.kind != addRegular {
		return pkgdb.Facts{}, nil
	}
	return lr.packages.End(), nil
}

// unexpected is what it means if a file ends before its size.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// classify says what an entry does when its layer is applied. It is false for
// entries that do nothing.
func classify(h *tar.Header) (entry, bool, error) {
	path, err := cleanPath(h.Name)
	if err != nil {
		return entry{}, false, err
	}
	e := entry{path: path, mode: uint16(h.Mode & 0o7777), uid: numericID(h.Uid), gid: numericID(h.Gid)}
	dir, base := splitPath(path)
	switch {
	case len(path) == 0:
		return e, false, nil // the root itself
	case string(base) == opaqueName:
		e.kind, e.path = opaque, dir
		return e, true, nil
	case bytes.HasPrefix(base, []byte(metaPrefix)) || underMeta(dir):
		// Only the bytes matter: hard links may still lead here.
		if h.Typeflag != tar.TypeReg {
			return e, false, nil
		}
		e.kind, e.size = addHidden, h.Size
		return e, true, nil
	case bytes.HasPrefix(base, []byte(whiteoutPrefix)):
		return classifyWhiteout(e, dir, base)
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.kind, e.size = addRegular, h.Size
	case tar.TypeDir:
		e.kind = addDirectory
	case tar.TypeSymlink:
		// The target is followed inside the image alone, so it may lead
		// anywhere.
		e.kind = addSymlink
		if len(h.Linkname) <= maxPath {
			e.link = []byte(h.Linkname)
		}
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		e.kind = addOther
	case tar.TypeLink:
		e.kind = addHardLink
		if e.link, err = cleanPath(h.Linkname); err != nil {
			return e, false, err
		}
	default:
		return e, false, nil
	}
	return e, true, nil
}

// numericID is a user or group of a tar; the kernel knows no larger ones.
func numericID(id int) uint32 { return uint32(min(max(int64(id), 0), math.MaxUint32)) }

func classifyWhiteout(e entry, dir, base []byte) (entry, bool, error) {
	name := base[len(whiteoutPrefix):]
	switch string(name) {
	case "", ".":
		return e, false, nil
	case "..":
		return e, false, leadsOut(string(e.path))
	}
	e.kind = whiteout
	e.path = append(append([]byte{}, dir...), '/')
	if len(dir) == 0 {
		e.path = e.path[:0]
	}
	e.path = append(e.path, name...)
	return e, true, nil
}

func underMeta(dir []byte) bool {
	return bytes.HasPrefix(dir, []byte(metaPrefix)) || bytes.Contains(dir, []byte("/"+metaPrefix))
}

// cleanPath makes a name relative to the root of the image, without "." and
// empty components. A name that leads out of the image is an error: no runtime
// unpacks it where it says, so every figure would be a guess.
func cleanPath(name string) ([]byte, error) {
	out := make([]byte, 0, len(name))
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
			continue
		case "..":
			return nil, leadsOut(name)
		}
		if len(out) > 0 {
			out = append(out, '/')
		}
		out = append(out, part...)
		depth++
	}
	if len(out) > maxPath || depth > maxDepth {
		return nil, fmt.Errorf("a path of %d bytes and %d directories, which no Linux host can unpack (%q)", len(out), depth, clipPath(out))
	}
	return out, nil
}

// validPath tells whether a stored path is one that cleanPath gives.
func validPath(path []byte) bool {
	clean, err := cleanPath(string(path))
	return err == nil && bytes.Equal(clean, path)
}

func leadsOut(name string) error {
	return fmt.Errorf("the path %q leads out of the image; it was built by a broken or hostile tool, rebuild it", clipPath([]byte(name)))
}

var errTooManyFiles = errors.New("too many files")

func tooManyFiles(max int) error {
	return fmt.Errorf("%w: more than %d entries; raise --max-files if this is meant (about 300 bytes of memory each)", errTooManyFiles, max)
}

func clipPath(path []byte) string {
	if len(path) > 120 {
		return string(path[:60]) + "…" + string(path[len(path)-59:])
	}
	return string(path)
}

func splitPath(path []byte) (dir, base []byte) {
	i := bytes.LastIndexByte(path, '/')
	if i < 0 {
		return nil, path
	}
	return path[:i], path[i+1:]
}
