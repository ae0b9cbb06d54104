package pkgdb

import (
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/org/image-budget/footprint"
)

// The bounds of what is kept of a file that is too large to be kept whole.
const (
	partHead = 64 << 10
	partsMax = 10 << 20
)

// largeBuffer is how much memory may wait for the next file that needs it.
const largeBuffer = 16 << 20

// span is a range of a file, from its first byte to before its end.
type span struct{ from, to int64 }

// Collector offers the files of a layer to the readers, one after the other. It
// owns one buffer, which it reuses: as large as the largest file that a reader
// wanted, and a quarter more while it grows.
type Collector struct {
	readers []reader

	file   File
	reader *reader // nil between files, and where nobody wants the content
	script *footprint.Program
	buffer []byte // what was kept, in the order of the file
	seen   int64  // how much of the file has passed
	// kept says where in the file the buffer comes from, when it is not whole:
	// the head, then the parts, in order and apart from each other.
	kept []span
	over bool // too large for the reader
}

// NewCollector returns a collector that knows all readers.
func NewCollector() *Collector { return &Collector{readers: readers()} }

// Begin offers a file and its first bytes: all of a short file, at least 512 of
// a longer one. It is false where nobody wants the content; else the content
// has to be written. End says what was found in either case.
func (c *Collector) Begin(f File, head []byte) bool {
	c.file, c.reader, c.seen, c.kept, c.over = f, nil, 0, nil, false
	c.script = readScript(f, head)
	for i := range c.readers {
		if c.readers[i].wants(f, head) {
			c.reader = &c.readers[i]
			break
		}
	}
	if c.reader == nil {
		return false
	}
	c.buffer = c.buffer[:0]
	if cap(c.buffer) > largeBuffer && f.Size < int64(cap(c.buffer)/4) {
		c.buffer = nil
	}
	if f.Size > c.reader.max {
		c.over = c.reader.parts == nil
		c.kept = []span{{0, partHead}}
	}
	return true
}

// Write takes the content in order, from its first byte. It never fails.
func (c *Collector) Write(p []byte) (int, error) {
	n := len(p)
	switch {
	case c.reader == nil || c.over:
	case c.kept != nil:
		c.keepParts(p)
	case c.seen+int64(n) > c.reader.max: // longer than it said
		c.over, c.buffer = true, nil
	default:
		c.keep(p)
	}
	c.seen += int64(n)
	return n, nil
}

// keep appends to the buffer. It grows as content arrives, to four times of what
// has come at most: a size is only claimed.
func (c *Collector) keep(p []byte) {
	if need := len(c.buffer) + len(p); need > cap(c.buffer) {
		size := max(1<<20, 4*cap(c.buffer))
		if c.file.Size >= int64(need) {
			size = int(min(int64(size), max(c.file.Size, 64<<10)))
		}
		c.buffer = append(make([]byte, 0, max(size, need)), c.buffer...)
	}
	c.buffer = append(c.buffer, p...)
}

func (c *Collector) keepParts(p []byte) {
	at := c.seen
	if at < partHead {
		n := min(int64(len(p)), partHead-at)
		c.keep(p[:n])
		at, p = at+n, p[n:]
		if at < partHead {
			return
		}
		if len(c.kept) == 1 {
			c.kept = append(c.kept, bounded(c.reader.parts(c.file.Size, c.buffer), c.file.Size)...)
		}
	}
	for _, s := range c.kept[1:] {
		from, to := max(s.from, at), min(s.to, at+int64(len(p)))
		if from < to {
			c.keep(p[from-at : to-at])
		}
	}
}

// bounded sorts spans, takes away what they share with each other and with the
// head, and ends them where there is enough.
func bounded(spans []span, size int64) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []span
	end, left := int64(partHead), int64(partsMax)
	for _, s := range spans {
		s.from = max(s.from, end)
		s.to = min(s.to, size, s.from+left)
		if s.from < s.to {
			out = append(out, s)
			end = s.to
			left -= s.to - s.from
		}
	}
	return out
}

// End runs the reader and returns what it found; facts with everything empty
// mean nothing. Why a file was not understood is in [Facts.Skipped].
func (c *Collector) End() Facts {
	facts := c.end()
	if facts.Program == nil {
		facts.Program = c.script
	}
	c.script = nil
	return facts
}

func (c *Collector) end() Facts {
	r := c.reader
	c.reader = nil
	if r == nil {
		return Facts{}
	}
	if c.over {
		return Facts{Skipped: "larger than " + footprint.Bytes(r.max).Short(), Unread: r.of}
	}
	// What has come is the file, whatever it claimed.
	c.file.Size = c.seen
	content := Content{Size: c.seen}
	if c.kept == nil {
		if c.buffer == nil {
			c.buffer = []byte{}
		}
		content.Whole = c.buffer
		c.kept = []span{{0, c.seen}}
	}
	content.ReaderAt = parts{c.buffer, c.kept, c.seen}
	facts, err := r.read(c.file, content)
	if err != nil && facts.Skipped == "" {
		facts.Skipped = err.Error()
	}
	if facts.Skipped != "" && facts.Unread == "" {
		facts.Unread = r.of
	}
	return facts
}

var errNotKept = errors.New("that part of the file was not kept")

// parts reads what was kept of a file.
type parts struct {
	buffer []byte
	kept   []span
	size   int64
}

func (p parts) ReadAt(b []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, errNotKept
	case off >= p.size:
		return 0, io.EOF
	}
	buffer := p.buffer
	for _, s := range p.kept {
		n := min(s.to-s.from, int64(len(buffer)))
		if off >= s.from && off < s.from+n {
			copied := copy(b, buffer[off-s.from:n])
			if copied == len(b) {
				return copied, nil
			}
			more, err := p.ReadAt(b[copied:], off+int64(copied))
			return copied + more, err
		}
		buffer = buffer[n:]
	}
	return 0, errNotKept
}
