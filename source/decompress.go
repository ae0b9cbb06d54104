package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// chunkSize is how much of a layer passes at a time from unpacking to the
	// visitor: large enough that handing over costs nothing, small enough to
	// stay in a cache.
	chunkSize = 256 << 10
	// chunks is how far unpacking may run ahead of the visitor.
	chunks = 4
	// sniffSize is one tar header, enough to tell any format by.
	sniffSize = 512
	// maxZstdWindow is what zstd's own tool accepts without being told to.
	maxZstdWindow = 128 << 20
)

type format int

const (
	formatPlain format = iota // no compression that is known here
	formatGzip
	formatZstd
)

// sniff tells the compression by the first bytes.
func sniff(head []byte) format {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return formatGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return formatZstd
	case len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		return formatZstd // a skippable frame stands first
	}
	return formatPlain
}

// isTar reports whether head begins a tar: a header whose checksum holds, or
// the zeros of an empty one.
func isTar(head []byte) bool {
	if len(head) < sniffSize {
		return false
	}
	head = head[:sniffSize]
	sum, zero := 0, true
	for i, c := range head {
		zero = zero && c == 0
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	if zero {
		return true
	}
	stored, digits := 0, 0
	for _, c := range bytes.Trim(head[148:156], " \x00") {
		if c < '0' || c > '7' {
			return false
		}
		stored = stored*8 + int(c-'0')
		digits++
	}
	return digits > 0 && stored == sum
}

// buffers keeps what unpacking needs from one layer to the next of a Read.
type buffers struct {
	mu    sync.Mutex
	gzips []*gzip.Reader
	zstds []*zstd.Decoder
	bufs  []*bufio.Reader
	data  [][]byte
}

func take[T any](b *buffers, list *[]T) (T, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var zero T
	n := len(*list)
	if n == 0 {
		return zero, false
	}
	v := (*list)[n-1]
	*list = (*list)[:n-1]
	return v, true
}

func give[T any](b *buffers, list *[]T, v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, v)
}

func (b *buffers) chunk() []byte {
	if c, ok := take(b, &b.data); ok {
		return c
	}
	return make([]byte, chunkSize)
}

func (b *buffers) close() {
	for _, d := range b.zstds {
		d.Close()
	}
}

// corruptError says that stored bytes are not what their first bytes promised.
type corruptError struct{ err error }

func (e *corruptError) Error() string { return e.err.Error() }
func (e *corruptError) Unwrap() error { return e.err }

// decompressor returns a reader of what r holds, in format f, and a function
// that gives back what it took.
func (b *buffers) decompressor(r io.Reader, f format) (io.Reader, func(), error) {
	if f == formatPlain {
		return r, func() {}, nil
	}
	buf, ok := take(b, &b.bufs)
	if !ok {
		buf = bufio.NewReaderSize(nil, chunkSize)
	}
	buf.Reset(r)
	done := func() { buf.Reset(nil); give(b, &b.bufs, buf) }
	if f == formatGzip {
		z, ok := take(b, &b.gzips)
		if !ok {
			z = new(gzip.Reader)
		}
		if err := z.Reset(buf); err != nil {
			done()
			return nil, nil, corruptGzip(err, true)
		}
		return &gzipReader{z: z}, func() { give(b, &b.gzips, z); done() }, nil
	}
	z, ok := take(b, &b.zstds)
	if !ok {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("preparing zstd: %w", err)
		}
	}
	if err := z.Reset(buf); err != nil {
		done()
		return nil, nil, &corruptError{fmt.Errorf("unpacking zstd: %w", err)}
	}
	return &zstdReader{z: z}, func() { _ = z.Reset(nil); give(b, &b.zstds, z); done() }, nil
}

// gzipReader says of every error whose it is. Members that follow each other
// are one stream; anything else behind the last member is an error.
type gzipReader struct {
	z    *gzip.Reader
	some bool
}

func (g *gzipReader) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	g.some = g.some || n > 0
	if err != nil && err != io.EOF {
		err = corruptGzip(err, !g.some)
	}
	return n, err
}

func corruptGzip(err error, first bool) error {
	if errors.Is(err, gzip.ErrHeader) && !first {
		return &corruptError{errors.New("unpacking gzip: bytes that are not gzip follow the compressed data")}
	}
	return &corruptError{fmt.Errorf("unpacking gzip: %w", err)}
}

type zstdReader struct{ z *zstd.Decoder }

func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.z.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return n, &corruptError{fmt.Errorf("unpacking zstd: it needs a window of more than %d MiB; compress the layer without --ultra or --long", maxZstdWindow>>20)}
	}
	return n, &corruptError{fmt.Errorf("unpacking zstd: %w", err)}
}
