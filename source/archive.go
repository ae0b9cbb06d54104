package source

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	// maxKept bounds the documents of a compressed archive or engine stream
	// that are held because any of them may turn out to be needed.
	maxKept = 64 << 20
	// maxLinks bounds how many links lead from a name to a file.
	maxLinks = 10
)

// archive is an index over the entries of an image archive.
type archive struct {
	path    string
	file    *os.File
	format  format // of the whole file; plain can be read at any offset
	limits  Limits
	entries map[string]*entry
	kept    int64
}

// entry is one file of an archive.
type entry struct {
	size   int64
	offset int64  // of its data, in a plain archive
	link   string // where a link leads; "" for a regular file
	bad    string // why it cannot be used; "" if it can
	head   []byte // first bytes, in a compressed archive
	doc    []byte // whole content, if it may be JSON, in a compressed archive
}

func (o *Opener) openArchive(ctx context.Context, ref reference, want platform) (*Image, error) {
	a, err := indexArchive(ctx, ref.path, o.cfg.Limits)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref.path, err)
	}
	img, err := o.imageOf(ctx, a, ref, want)
	if err != nil {
		a.file.Close()
		return nil, err
	}
	img.closer = a.file.Close
	return img, nil
}

func (o *Opener) imageOf(ctx context.Context, a *archive, ref reference, want platform) (*Image, error) {
	k := ref.kind
	if k == kindArchive {
		// Current engines write both kinds at once; the OCI one says more.
		switch {
		case a.entries["index.json"] != nil && a.entries["oci-layout"] != nil:
			k = kindOCIArchive
		case a.entries["manifest.json"] != nil:
			k = kindDockerArchive
		default:
			return nil, fmt.Errorf("opening %s: it is a tar but no image archive: it has neither manifest.json nor index.json; name what docker save or skopeo wrote", ref.path)
		}
	}
	var img *Image
	var err error
	if k == kindOCIArchive {
		if a.entries["index.json"] == nil {
			return nil, fmt.Errorf("opening %s: it has no index.json, so it is not an OCI archive; what docker save wrote is written docker-archive:FILE", ref.path)
		}
		img, err = o.openOCI(ctx, a, k, ref, want)
	} else {
		img, err = o.openDocker(a, ref, want)
	}
	if err == nil && a.format != formatPlain {
		a.streamLayers(img)
	}
	return img, err
}

// indexArchive reads the headers of a tar, seeking over the data. Of an archive
// that is compressed as a whole it reads everything and keeps the documents.
func indexArchive(ctx context.Context, name string, limits Limits) (*archive, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file; an OCI layout directory is written oci:DIR")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a := &archive{path: name, file: f, limits: limits, entries: map[string]*entry{}}
	if a.format, err = peekAt(f); err == nil {
		if a.format == formatPlain {
			err = a.indexPlain(ctx)
		} else {
			err = a.walk(ctx, a.keep)
		}
	}
	if err != nil {
		f.Close()
		return nil, archiveCause(err)
	}
	return a, nil
}

// archiveCause words what is wrong with a tar.
func archiveCause(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the archive is cut off; save the image again (%w)", err)
	case errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("it is not a tar archive, or a damaged one; save the image again (%w)", err)
	}
	return err
}

func (a *archive) indexPlain(ctx context.Context) error {
	tr := tar.NewReader(a.file)
	for n := 0; ; n++ {
		h, err := a.nextEntry(ctx, tr, n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		at, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if e := a.add(h); e != nil {
			e.offset = at
		}
	}
}

// nextEntry returns the next header within the bound on their number.
func (a *archive) nextEntry(ctx context.Context, tr *tar.Reader, n int) (*tar.Header, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := tr.Next()
	if err == io.EOF && n == 0 {
		return nil, errors.New("the archive is empty; save the image again")
	}
	if err == nil && n >= a.limits.MaxEntries {
		return nil, fmt.Errorf("the archive has more than %d entries, which no image has; name an image archive", a.limits.MaxEntries)
	}
	return h, err
}

// add notes an entry; nil for those that hold nothing to read.
func (a *archive) add(h *tar.Header) *entry {
	name, ok := cleanName(h.Name)
	if !ok {
		// A name outside the archive cannot be asked for; counting it keeps
		// the number of entries bounded.
		name = "/" + h.Name
	}
	e := &entry{size: h.Size}
	switch h.Typeflag {
	case tar.TypeReg:
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				e.bad = "is stored as a sparse file"
			}
		}
	case tar.TypeSymlink:
		e.link, ok = cleanName(path.Join(path.Dir(name), h.Linkname))
		if !ok || path.IsAbs(h.Linkname) {
			e.bad = "is a link that leads out of the archive"
		}
	case tar.TypeLink:
		if e.link, ok = cleanName(h.Linkname); !ok {
			e.bad = "is a link that leads out of the archive"
		}
	default:
		e.bad = "is not a regular file"
	}
	if old := a.entries[name]; old != nil && h.Typeflag != tar.TypeDir {
		e.bad = "is in the archive twice"
	}
	a.entries[name] = e
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	return e
}

// cleanName returns a name as it is looked up; false if it lies outside.
func cleanName(name string) (string, bool) {
	if path.IsAbs(name) {
		return "", false
	}
	name = path.Clean(name)
	return name, name != ".." && !strings.HasPrefix(name, "../")
}

// find follows links to the file that name means, and returns its own name.
func (a *archive) find(asked string) (string, *entry, error) {
	name, ok := cleanName(asked)
	if !ok {
		return "", nil, fmt.Errorf("%s lies outside the archive", show(asked))
	}
	for range maxLinks {
		e := a.entries[name]
		switch {
		case e == nil:
			return "", nil, fmt.Errorf("%s: %w", show(asked), fs.ErrNotExist)
		case e.bad != "":
			return "", nil, fmt.Errorf("%s %s; save the image again", show(name), e.bad)
		case e.link == "":
			return name, e, nil
		}
		name = e.link
	}
	return "", nil, fmt.Errorf("%s is a link that leads nowhere", show(asked))
}

func (a *archive) document(name string, limit int64) ([]byte, error) {
	_, e, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if e.size > limit {
		return nil, &tooLargeError{show(name), limit}
	}
	if a.format == formatPlain {
		b := make([]byte, e.size)
		if _, err := a.file.ReadAt(b, e.offset); err != nil {
			return nil, archiveCause(err)
		}
		return b, nil
	}
	if e.doc == nil {
		return nil, fmt.Errorf("%s is not JSON, or the archive holds more than %s of it; save the image uncompressed", show(name), inBytes(maxKept))
	}
	return e.doc, nil
}

func (a *archive) peek(name string) (int64, format, error) {
	_, e, err := a.find(name)
	if err != nil {
		return 0, 0, err
	}
	if a.format != formatPlain {
		return e.size, sniff(e.head), nil
	}
	f, err := peekAt(io.NewSectionReader(a.file, e.offset, e.size))
	return e.size, f, err
}

func (a *archive) open(name string) (io.ReadCloser, error) {
	_, e, err := a.find(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(a.file, e.offset, e.size)), nil
}

// walk reads a compressed archive from its start and passes each regular file.
func (a *archive) walk(ctx context.Context, visit func(*tar.Header, io.Reader) error) error {
	bufs := &buffers{}
	defer bufs.close()
	in := io.NewSectionReader(a.file, 0, 1<<62)
	src, done, err := bufs.decompressor(in, a.format)
	if err != nil {
		return err
	}
	defer done()
	tr := tar.NewReader(&limitedUnpacking{src, a.limits.MaxUnpacked, a.limits.MaxUnpacked})
	for n := 0; ; n++ {
		h, err := a.nextEntry(ctx, tr, n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(h, tr); err != nil {
			return err
		}
	}
}

// limitedUnpacking fails when more than limit bytes come out.
type limitedUnpacking struct {
	r           io.Reader
	left, limit int64
}

func (l *limitedUnpacking) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, &unpackedLimitError{l.limit}
	}
	return n, err
}

// keep indexes an entry of a compressed archive and holds it if it may be a
// document.
func (a *archive) keep(h *tar.Header, r io.Reader) error {
	e := a.add(h)
	if e == nil {
		return nil
	}
	e.head = make([]byte, min(h.Size, 4))
	if _, err := io.ReadFull(r, e.head); err != nil {
		return err
	}
	if !mayBeJSON(e.head) || h.Size > max(a.limits.MaxManifest, a.limits.MaxConfig, a.limits.MaxProvenance) || a.kept+h.Size > maxKept {
		return nil
	}
	a.kept += h.Size
	doc := make([]byte, h.Size)
	if _, err := io.ReadFull(r, doc[copy(doc, e.head):]); err != nil {
		return err
	}
	e.doc = doc
	return nil
}

func mayBeJSON(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}

// streamLayers makes img read its layers in a second pass over the archive.
func (a *archive) streamLayers(img *Image) {
	place := map[string][]int{}
	for i := range img.Layers {
		if own, _, err := a.find(img.blobs[i].name); err == nil {
			place[own] = append(place[own], i)
		}
	}
	img.stream = func(ctx context.Context, p *pass) error { return a.readLayers(ctx, p, place) }
}

// readLayers passes the wanted layers to the visitor as the archive holds them.
func (a *archive) readLayers(ctx context.Context, p *pass, place map[string][]int) error {
	left := map[int]bool{}
	for _, i := range p.order {
		left[i] = true
	}
	err := a.walk(ctx, func(h *tar.Header, r io.Reader) error {
		name, ok := cleanName(h.Name)
		if !ok || h.Typeflag != tar.TypeReg {
			return nil
		}
		for _, i := range place[name] {
			if !left[i] {
				continue
			}
			delete(left, i)
			b := p.img.blobs[i]
			b.open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil }
			return p.layerOnce(ctx, i, b)
		}
		return nil
	})
	if err != nil {
		return archiveCause(err)
	}
	if len(left) > 0 {
		i := slices.Min(slices.Collect(maps.Keys(left)))
		return fmt.Errorf("reading layer %d: its blob is missing, so the image is incomplete; save it again with all its layers", i)
	}
	return nil
}
