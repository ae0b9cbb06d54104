package pkgdb

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// collect passes a file through the collector in pieces of that size, and
// returns what End says.
func collect(c *Collector, f File, content []byte, piece int) (Facts, bool) {
	if !c.Begin(f, content[:min(len(content), 512)]) {
		return c.End(), false
	}
	for len(content) > 0 {
		n := min(piece, len(content))
		c.Write(content[:n])
		content = content[n:]
	}
	return c.End(), true
}

// factsOf is what the readers find in a file of an image.
func factsOf(t testing.TB, path string, content []byte) Facts {
	t.Helper()
	facts, ok := collect(NewCollector(), File{Path: path, Mode: 0o755, Size: int64(len(content))}, content, 32<<10)
	if !ok {
		t.Fatalf("no reader wants %s", path)
	}
	return facts
}

// collectorFor has one reader, of files that begin with an "x" or are empty.
func collectorFor(r reader) *Collector {
	r.wants = func(_ File, head []byte) bool { return len(head) == 0 || head[0] == 'x' }
	return &Collector{readers: []reader{r}}
}

func sample(n int) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{})
	random.Read(b)
	if n > 0 {
		b[0] = 'x'
	}
	return b
}

func TestCollectorKeepsAFileWhole(t *testing.T) {
	t.Parallel()
	var got []byte
	c := collectorFor(reader{max: 1 << 20, read: func(f File, c Content) (Facts, error) {
		if f.Size != int64(len(c.Whole)) || c.Size != f.Size || c.Whole == nil {
			t.Errorf("file %d, content %d, whole %d", f.Size, c.Size, len(c.Whole))
		}
		got = bytes.Clone(c.Whole)
		again, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size))
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("ReadAt differs from Whole: %v", err)
		}
		return Facts{Skipped: "seen"}, nil
	}})
	for _, size := range []int{0, 1, 511, 512, 70_000, 1 << 20} {
		for _, claimed := range []int64{0, 1, 100, int64(size), 1 << 20} {
			for _, piece := range []int{100, 4096, 1 << 21} {
				content := sample(size)
				facts, ok := collect(c, File{Size: claimed}, content, piece)
				if !ok || facts.Skipped != "seen" || !bytes.Equal(got, content) {
					t.Fatalf("size %d claimed %d piece %d: %v %v, got %d bytes", size, claimed, piece, ok, facts, len(got))
				}
			}
		}
	}
	if _, ok := collect(c, File{Size: 1}, []byte("y"), 1); ok {
		t.Error("a file that nobody wants was taken")
	}
	if facts := c.End(); !cmp.Equal(facts, Facts{}) {
		t.Errorf("End without a file: %+v", facts)
	}
}

func TestCollectorOfTooLargeAFile(t *testing.T) {
	t.Parallel()
	c := collectorFor(reader{max: 64_000, read: func(File, Content) (Facts, error) {
		t.Error("it was read")
		return Facts{}, nil
	}})
	for _, claimed := range []int64{10, 64_000, 64_001, 1 << 40} {
		facts, ok := collect(c, File{Size: claimed}, sample(64_001), 1000)
		if !ok || facts.Skipped != "larger than 64 kB" {
			t.Errorf("claimed %d: %v %+v", claimed, ok, facts)
		}
		if cap(c.buffer) > 1<<20 {
			t.Errorf("claimed %d: %d bytes of memory", claimed, cap(c.buffer))
		}
	}
}

func TestCollectorKeepsParts(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	content := sample(size)
	for _, tt := range []struct {
		name  string
		parts []span
		kept  []span
	}{
		{"none", nil, []span{{0, partHead}}},
		{"the end", []span{{size - 1000, size + 1000}}, []span{{0, partHead}, {size - 1000, size}}},
		{"adjacent, not in order", []span{{partHead + 10, partHead + 20}, {0, partHead + 10}}, []span{{0, partHead + 20}}},
		{"overlapping", []span{{1 << 20, 3 << 20}, {2 << 20, 4 << 20}, {3 << 20, 3<<20 + 1}}, []span{{0, partHead}, {1 << 20, 4 << 20}}},
		{"too much", []span{{1 << 20, 12 << 20}}, []span{{0, partHead}, {1 << 20, 11 << 20}}},
		{"mad", []span{{-5, -1}, {size, 1 << 62}, {5 << 20, 4 << 20}}, []span{{0, partHead}}},
	} {
		for _, piece := range []int{1000, 100_000, size} {
			c := collectorFor(reader{
				max: 1 << 20,
				parts: func(n int64, head []byte) []span {
					if n != size || !bytes.Equal(head, content[:partHead]) {
						t.Errorf("%s: parts of %d bytes with a head of %d", tt.name, n, len(head))
					}
					return append([]span(nil), tt.parts...)
				},
				read: func(_ File, c Content) (Facts, error) {
					if c.Whole != nil || c.Size != size {
						t.Errorf("%s: whole %d, size %d", tt.name, len(c.Whole), c.Size)
					}
					for _, s := range tt.kept {
						b := make([]byte, s.to-s.from)
						if n, err := c.ReadAt(b, s.from); n != len(b) || err != nil || !bytes.Equal(b, content[s.from:s.to]) {
							t.Errorf("%s: reading %v: %d, %v", tt.name, s, n, err)
						}
						n, err := c.ReadAt(make([]byte, 2), s.to-1)
						if n != 1 || (err == io.EOF) != (s.to == size) || err == nil {
							t.Errorf("%s: reading over the end of %v: %d, %v", tt.name, s, n, err)
						}
						if _, err := c.ReadAt(make([]byte, 1), s.to); err == nil {
							t.Errorf("%s: reading after %v", tt.name, s)
						}
					}
					if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
						t.Errorf("%s: reading before the begin", tt.name)
					}
					return Facts{}, nil
				},
			})
			if facts, ok := collect(c, File{Size: size}, content, piece); !ok || facts.Skipped != "" {
				t.Errorf("%s: %v %+v", tt.name, ok, facts)
			}
			if cap(c.buffer) > 2*partsMax+partHead {
				t.Errorf("%s: %d bytes of memory", tt.name, cap(c.buffer))
			}
		}
	}
}

func TestCollectorOfALargeFileThatEndsEarly(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 1000, partHead, partHead + 1} {
		content := sample(size)
		c := collectorFor(reader{
			max:   100_000,
			parts: func(int64, []byte) []span { return []span{{1 << 20, 2 << 20}} },
			read: func(_ File, c Content) (Facts, error) {
				b := make([]byte, size)
				n, err := c.ReadAt(b, 0)
				if want := min(size, partHead); n != want || c.Size != int64(size) || (err == nil) != (n == size) {
					t.Errorf("%d bytes: read %d of %d, %v", size, n, c.Size, err)
				}
				return Facts{}, nil
			},
		})
		collect(c, File{Size: 3 << 20}, content, 700)
	}
}

func TestCollectorSaysWhyAReaderFailed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ reader, want string }{{"", "malformed x"}, {"a part", "a part"}} {
		c := collectorFor(reader{max: 100, read: func(File, Content) (Facts, error) {
			return Facts{Debug: 7, Skipped: tt.reader}, errors.New("malformed x")
		}})
		if facts, _ := collect(c, File{Size: 1}, []byte("x"), 1); facts.Debug != 7 || facts.Skipped != tt.want {
			t.Errorf("got %+v", facts)
		}
	}
}

// A buffer is used again, but not kept for ever because one file was large.
func TestCollectorDropsALargeBuffer(t *testing.T) {
	t.Parallel()
	c := collectorFor(reader{max: 1 << 30, read: func(File, Content) (Facts, error) { return Facts{}, nil }})
	large := make([]byte, largeBuffer+1)
	large[0], large[1000] = 'x', 'x'
	collect(c, File{Size: int64(len(large))}, large, 1<<20)
	kept := cap(c.buffer)
	collect(c, File{Size: int64(len(large)) - 1000}, large[1000:], 1<<20)
	if kept > 2*len(large) || cap(c.buffer) != kept {
		t.Errorf("%d bytes, then %d for a file as large", kept, cap(c.buffer))
	}
	collect(c, File{Size: 1}, []byte("x"), 1)
	if cap(c.buffer) > 1<<20 {
		t.Errorf("%d bytes of memory for one byte", cap(c.buffer))
	}
}

// TestUnread tells which packages may be missing because of a file.
func TestUnread(t *testing.T) {
	t.Parallel()
	crates := func(list []byte) []byte {
		return makeELF(binary.LittleEndian, testSection{name: rustDepsSection, kind: elf.SHT_PROGBITS, content: list})
	}
	for _, tt := range []struct {
		path    string
		content []byte
		want    string
	}{
		{"var/lib/rpm/rpmdb.sqlite", []byte("SQLite format 3\x00 and no more"), Rpm},
		{"var/lib/rpm/rpmdb.sqlite-wal", []byte("x"), Rpm},
		{"app/node_modules/a/package.json", []byte("{"), Npm},
		{"app/package.json", make([]byte, 9<<20), ""}, // a wish
		{"opt/conda/conda-meta/a-1-0.json", []byte("{"), Conda},
		{"opt/a-1.jar", []byte("PK\x03\x04"), Java},
		{"usr/bin/a", crates([]byte("{}")), Cargo},
		{"etc/apk/world", make([]byte, 2<<20), ""},
		{"lib/apk/db/installed", make([]byte, 129<<20), Apk},
	} {
		facts := factsOf(t, tt.path, tt.content)
		if facts.Unread != tt.want || facts.Skipped == "" {
			t.Errorf("%s: %q, %q", tt.path, facts.Unread, facts.Skipped)
		}
	}
	facts := Facts{Packages: []Package{{Ecosystem: Gem, Name: strings.Repeat("x", MaxFacts)}}}
	if facts.Bound(); facts.Unread != Gem {
		t.Errorf("bounded: %q", facts.Unread)
	}
	// The sections of a large program may be where nothing was kept.
	large := smallELF(100, 200)
	c := Content{ReaderAt: parts{large[:64], []span{{0, 64}}, int64(len(large))}, Size: int64(len(large))}
	if facts, err := readELF(File{}, c); err == nil || facts.Unread != Golang {
		t.Errorf("%+v, %v", facts, err)
	}
}
