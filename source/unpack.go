package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// brokenError says that stored bytes stopped coming: the one kind of failure
// that trying again may cure.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// stored reads a blob's stored bytes: it counts them, hashes them, and holds
// them to the size they should have.
type stored struct {
	r     io.Reader
	head  []byte // read for sniffing and not passed on yet
	size  int64  // expected; -1 unknown
	n     int64  // read from r
	hash  hash.Hash
	count func(int)
	err   error // the first error, other than io.EOF
	ended bool
}

func (s *stored) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		s.sum(p[:n])
		return n, nil
	}
	n, err := s.fetch(p)
	s.sum(p[:n])
	return n, err
}

func (s *stored) sum(p []byte) {
	if s.hash != nil {
		s.hash.Write(p)
	}
}

func (s *stored) fetch(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.ended {
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	s.count(n)
	switch {
	case s.size >= 0 && s.n > s.size:
		s.err = fmt.Errorf("the stored layer is longer than the %d bytes its manifest says; push or save the image again", s.size)
		return 0, s.err
	case err == io.EOF && s.size >= 0 && s.n < s.size:
		s.err = &brokenError{fmt.Errorf("the stored layer ends after %d of %d bytes: %w", s.n, s.size, io.ErrUnexpectedEOF)}
		return n, s.err
	case err == io.EOF:
		s.ended = true
	case err != nil:
		s.err = &brokenError{err}
		err = s.err
	}
	return n, err
}

// sniff reads the first bytes, which Read passes on later.
func (s *stored) sniff() ([]byte, error) {
	head := make([]byte, sniffSize)
	n := 0
	for n < len(head) {
		m, err := s.fetch(head[n:])
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	s.head = head[:n]
	return s.head, nil
}

// drain reads what is left, so that the hash covers all of it.
func (s *stored) drain(buf []byte) error {
	for {
		if _, err := s.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// unpacking takes one stored blob to a visitor and checks it on the way.
type unpacking struct {
	pass   *pass
	size   int64  // expected stored size; -1 unknown
	digest string // expected of the stored bytes; "" unknown
	diffID string // expected of the unpacked bytes; "" is found out
	// hashUnpacked asks for the diffID to be computed.
	hashUnpacked bool
	// hashStored asks for the stored digest to be computed without one to expect.
	hashStored bool
	// keepVisitError returns the visitor's error apart, for a blob that may
	// turn out not to matter.
	keepVisitError bool

	// What run found.
	format       format
	storedDigest string
	foundDiffID  string
	visitErr     error
	storedSize   int64
}

// run reads r to its end through the visitor and returns the visitor's result.
func (u *unpacking) run(ctx context.Context, r io.Reader) (func(string), error) {
	p := u.pass
	in := &stored{r: r, size: u.size, count: p.count}
	head, err := in.sniff()
	if err != nil {
		return nil, err
	}
	u.format = sniff(head)
	// Stored and unpacked bytes of a plain layer are the same: one hash does.
	if u.digest != "" || u.hashStored || (u.format == formatPlain && u.hashUnpacked) {
		in.hash = sha256.New()
	}
	var out hash.Hash
	if u.hashUnpacked && u.format != formatPlain {
		out = sha256.New()
	}
	src, done, err := p.bufs.decompressor(in, u.format)
	if err != nil {
		return nil, u.because(in, err)
	}
	a := startAhead(ctx, p.bufs, src, out, p.img.limits.MaxUnpacked)
	keep, visitErr := p.visit(ctx, a)
	readErr := a.finish()
	done()
	if readErr != nil {
		return nil, u.because(in, readErr)
	}
	if err := u.check(in, out); err != nil {
		return nil, err
	}
	if visitErr != nil && !u.keepVisitError {
		return nil, visitErr
	}
	u.visitErr = visitErr
	return keep, nil
}

// because finds the cause of a failed read: a transfer that broke first, then
// content that is not what its digest says, then content that is wrong as it is.
func (u *unpacking) because(in *stored, err error) error {
	var corrupt *corruptError
	if in.err == nil && errors.As(err, &corrupt) {
		c := u.pass.bufs.chunk()
		defer give(u.pass.bufs, &u.pass.bufs.data, c)
		if in.drain(c) == nil && in.hash != nil && u.digest != "" {
			if derr := u.checkStored(in); derr != nil {
				return derr
			}
		}
	}
	if in.err != nil {
		return in.err
	}
	return err
}

func (u *unpacking) checkStored(in *stored) error {
	u.storedDigest = "sha256:" + hex.EncodeToString(in.hash.Sum(nil))
	if u.digest != "" && u.storedDigest != u.digest {
		return fmt.Errorf("the stored layer has the digest %s where %s was expected, so it was changed or damaged; push or save the image again", u.storedDigest, u.digest)
	}
	return nil
}

func (u *unpacking) check(in *stored, out hash.Hash) error {
	u.storedSize = in.n
	if in.hash != nil {
		if err := u.checkStored(in); err != nil {
			return err
		}
	}
	switch {
	case out != nil:
		u.foundDiffID = "sha256:" + hex.EncodeToString(out.Sum(nil))
	case u.format == formatPlain && in.hash != nil:
		u.foundDiffID = u.storedDigest
	}
	if u.diffID != "" && u.foundDiffID != "" && u.foundDiffID != u.diffID {
		return &diffIDError{u.foundDiffID, u.diffID}
	}
	return nil
}

// diffIDError says that a layer unpacks to something else than the config says.
type diffIDError struct{ got, want string }

func (e *diffIDError) Error() string {
	return fmt.Sprintf("the unpacked layer has the digest %s where the config says %s, so it was changed or damaged; push or save the image again", e.got, e.want)
}

// ahead reads, unpacks and hashes in one goroutine while the visitor works in
// another, in chunks large enough that handing over costs nothing.
type ahead struct {
	bufs *buffers
	full chan []byte
	free chan []byte
	cur  []byte // what is left of held
	held []byte
	err  error // set before full is closed
	once sync.Once
}

func startAhead(ctx context.Context, bufs *buffers, src io.Reader, sum hash.Hash, limit int64) *ahead {
	a := &ahead{bufs: bufs, full: make(chan []byte, chunks), free: make(chan []byte, chunks)}
	for range chunks {
		a.free <- bufs.chunk()
	}
	go a.produce(ctx, src, sum, limit)
	return a
}

func (a *ahead) produce(ctx context.Context, src io.Reader, sum hash.Hash, limit int64) {
	defer close(a.full)
	var total int64
	for {
		if a.err = ctx.Err(); a.err != nil {
			return
		}
		buf := (<-a.free)[:chunkSize]
		n, err := fill(src, buf)
		if total += int64(n); total > limit {
			a.free <- buf
			a.err = &unpackedLimitError{limit}
			return
		}
		if sum != nil {
			sum.Write(buf[:n])
		}
		if n > 0 {
			a.full <- buf[:n]
		} else {
			a.free <- buf
		}
		if err != nil {
			a.err = err
			return
		}
	}
}

// fill is io.ReadFull that hands out the source's own error.
func fill(src io.Reader, buf []byte) (n int, err error) {
	for idle := 0; n < len(buf) && err == nil; {
		var m int
		m, err = src.Read(buf[n:])
		n += m
		if m > 0 {
			idle = 0
		} else if idle++; idle > 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(a.cur) == 0 && !a.next() {
		return 0, a.err
	}
	n := copy(p, a.cur)
	a.cur = a.cur[n:]
	return n, nil
}

// next trades the chunk that was read for a new one; false is the end.
func (a *ahead) next() bool {
	if a.held != nil {
		a.free <- a.held
		a.held, a.cur = nil, nil
	}
	c, ok := <-a.full
	a.held, a.cur = c, c
	return ok
}

// finish reads to the end and returns the error that stopped the reading, nil
// at a proper end. The visitor must be done.
func (a *ahead) finish() error {
	for a.next() {
	}
	a.once.Do(func() {
		for range chunks {
			give(a.bufs, &a.bufs.data, (<-a.free)[:chunkSize])
		}
	})
	if a.err == io.EOF {
		return nil
	}
	return a.err
}

// unpackedLimitError says that a layer is larger than is allowed.
type unpackedLimitError struct{ limit int64 }

func (e *unpackedLimitError) Error() string {
	return fmt.Sprintf("it unpacks to more than %s; raise --max-unpacked if this is meant", inBytes(e.limit))
}

// inBytes prints whole multiples of a binary unit in it, else plain bytes.
func inBytes(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
