package scan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan/pkgdb"
)

// Index is everything learnt from one layer, in the order of its tar, packed
// into some 40 bytes per entry. With it the layer need not be read again.
type Index struct {
	// records are front-coded: each stores how many leading bytes its path
	// shares with the one before. The common case of a tar, siblings in one
	// directory, then costs little more than the file's own name.
	records []byte
	entries int
	// files counts the names of regular files, unpacked their payload.
	files    int
	unpacked footprint.Bytes
	// estimate is the size after the pinned compression, -1 if it was not
	// asked for when the layer was read.
	estimate footprint.Bytes
	last     []byte
	// facts are what the contents of some files tell, in the order of the
	// records; factBytes is what they take together when they are looked at.
	facts     []fileFacts
	factBytes int
	// told are facts that many files share, as scripts of one interpreter do,
	// while the layer is read.
	told map[string][]byte
}

// fileFacts are the [pkgdb.Facts] of one record, in stored form.
type fileFacts struct {
	record int
	facts  []byte
}

// maxFacts bounds the facts of one layer, and those of an image, in the bytes
// that they take in memory. What is stored says nothing of that: a list of long
// paths that differ in their last letter is stored in three bytes each. More
// than that is a hundred times the packages of the largest images known.
const maxFacts = 256 << 20

const tooManyFacts = "the layers describe too many packages"

// entryKind is what an entry of a layer does when the layer is applied.
type entryKind uint8

const (
	addRegular entryKind = iota + 1
	addDirectory
	addSymlink
	addOther
	addHardLink
	// addHidden is a regular file that is shipped but that no container can
	// ever see: AUFS bookkeeping.
	addHidden
	whiteout
	opaque
	lastKind = opaque
)

// entry is one decoded record. path has no leading slash, and neither has the
// link of a hard link; that of a symbolic link is as the tar has it.
type entry struct {
	kind entryKind
	path []byte
	size int64
	hash uint64
	mode uint16
	// uid and gid are whom it belongs to; a hard link has those of its target.
	uid, gid uint32
	link     []byte
	// record counts from 0 in the layer.
	record int
	// shared is how many leading bytes path has in common with the entry
	// before it.
	shared int
}

func newIndex() *Index { return &Index{estimate: -1} }

func (x *Index) add(e entry) {
	shared := 0
	for shared < len(x.last) && shared < len(e.path) && x.last[shared] == e.path[shared] {
		shared++
	}
	b := x.records
	b = append(b, byte(e.kind))
	b = binary.AppendUvarint(b, uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(e.path)-shared))
	b = append(b, e.path[shared:]...)
	switch e.kind {
	case addRegular, addHidden:
		b = appendOwner(binary.AppendUvarint(b, uint64(e.mode)), e)
		b = binary.AppendUvarint(b, uint64(e.size))
		if e.size > 0 {
			b = binary.LittleEndian.AppendUint64(b, e.hash)
		}
		x.unpacked += footprint.Bytes(e.size)
	case addDirectory, addOther:
		b = appendOwner(binary.AppendUvarint(b, uint64(e.mode)), e)
	case addHardLink, addSymlink:
		b = appendOwner(b, e)
		b = binary.AppendUvarint(b, uint64(len(e.link)))
		b = append(b, e.link...)
	}
	if e.kind == addRegular || e.kind == addHardLink {
		x.files++
	}
	x.records = b
	x.last = append(x.last[:0], e.path...)
	x.entries++
}

func appendOwner(b []byte, e entry) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.uid)), uint64(e.gid))
}

// tell stores what the content of the last added file tells.
func (x *Index) tell(f pkgdb.Facts) {
	f.Bound()
	if f.Empty() {
		return
	}
	stored := f.Append(nil)
	if same, ok := x.told[string(stored)]; ok {
		x.facts = append(x.facts, fileFacts{x.entries - 1, same})
		return
	}
	switch {
	case x.factBytes+f.Size() > maxFacts:
		f = pkgdb.Facts{Skipped: tooManyFacts, Unread: "*"}
		stored = f.Append(nil)
	case f.Program != nil && !f.Program.ELF:
		if x.told == nil {
			x.told = map[string][]byte{}
		}
		x.told[string(stored)] = stored
	}
	x.facts = append(x.facts, fileFacts{x.entries - 1, stored})
	x.factBytes += f.Size()
}

// errIndex says that stored records are not ours, or damaged.
var errIndex = errors.New("malformed layer index")

// all walks the records. An entry is valid until the next one. Only an index
// that came from a file can end in an error.
func (x *Index) all() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		var path []byte
		d := decoder{b: x.records}
		for record := 0; len(d.b) > 0; record++ {
			e := entry{kind: entryKind(d.byte()), record: record}
			e.shared = int(d.uvarint(uint64(len(path))))
			suffix := d.bytes(d.uvarint(maxPath))
			path = append(path[:e.shared], suffix...)
			e.path = path
			switch e.kind {
			case addRegular, addHidden:
				e.mode = uint16(d.uvarint(1<<16 - 1))
				e.uid, e.gid = d.owner()
				e.size = int64(d.uvarint(1<<63 - 1))
				if e.size > 0 {
					e.hash = d.uint64()
				}
			case addDirectory, addOther:
				e.mode = uint16(d.uvarint(1<<16 - 1))
				e.uid, e.gid = d.owner()
			case addHardLink, addSymlink:
				e.uid, e.gid = d.owner()
				e.link = d.bytes(d.uvarint(maxPath))
			case whiteout, opaque:
			default:
				d.bad = true
			}
			if d.bad {
				yield(entry{}, errIndex)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// decoder reads records; after the first thing that does not fit it is bad
// and yields zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() {
	d.bad, d.b = true, nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint(max uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > max {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) owner() (uid, gid uint32) {
	uid = uint32(d.uvarint(math.MaxUint32))
	return uid, uint32(d.uvarint(math.MaxUint32))
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint64() uint64 {
	v := d.bytes(8)
	if len(v) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(v)
}

// A stored index is: magic, a checksum of what follows, the diffID it
// describes, the method of its estimate and that of its facts, the counts, and
// the records and facts, compressed. Another method makes the whole index
// foreign.
const indexMagic = "image-budget layer index 4\n"

// maxIndex bounds the unpacked records of a stored index, far above what
// MaxFiles entries need.
const maxIndex = 1 << 30

// maxBytes bounds every size in a stored index: a petabyte, whose sums are still
// far from an overflow.
const maxBytes = 1 << 50

func (x *Index) marshal(diffID string) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("storing a layer index: %w", err)
	}
	defer enc.Close()
	var body []byte
	for _, s := range []string{diffID, EstimateMethod, pkgdb.Method} {
		body = append(binary.AppendUvarint(body, uint64(len(s))), s...)
	}
	body = binary.AppendUvarint(body, uint64(x.entries))
	body = binary.AppendVarint(body, int64(x.estimate))
	body = binary.AppendUvarint(body, uint64(len(x.records)))
	body = enc.EncodeAll(x.appendFacts(slices.Clone(x.records)), body)
	out := binary.LittleEndian.AppendUint64([]byte(indexMagic), xxhash.Sum64(body))
	return append(out, body...), nil
}

// appendFacts writes the facts, each behind the distance of its record to the
// one before and its own length.
func (x *Index) appendFacts(b []byte) []byte {
	last := 0
	for _, f := range x.facts {
		b = binary.AppendUvarint(b, uint64(f.record-last))
		b = binary.AppendUvarint(b, uint64(len(f.facts)))
		b = append(b, f.facts...)
		last = f.record
	}
	return b
}

// held is how many bytes the records and the stored facts take.
func (x *Index) held() uint64 {
	n := len(x.records)
	for _, f := range x.facts {
		n += len(f.facts)
	}
	return uint64(n)
}

// readFacts reads what appendFacts wrote, and checks all of it but whether the
// records are files: facts of anything else are never looked at.
func (x *Index) readFacts(b []byte) error {
	d := decoder{b: b}
	last := 0
	for len(d.b) > 0 {
		last += int(d.uvarint(uint64(x.entries)))
		facts := d.bytes(d.uvarint(maxFacts))
		f, err := pkgdb.DecodeFacts(facts)
		if d.bad || err != nil || len(x.facts) > 0 && x.facts[len(x.facts)-1].record >= last {
			return errIndex
		}
		x.facts = append(x.facts, fileFacts{last, facts})
		if x.factBytes += f.Size(); x.factBytes > 2*maxFacts {
			return errIndex
		}
	}
	return nil
}

// unmarshalIndex reads a stored index and checks every record of it, so that
// nothing can go wrong later on.
func unmarshalIndex(diffID string, data []byte, most indexBounds) (*Index, error) {
	most = most.withDefaults()
	rest, ok := bytes.CutPrefix(data, []byte(indexMagic))
	if !ok || len(rest) < 8 || binary.LittleEndian.Uint64(rest) != xxhash.Sum64(rest[8:]) {
		return nil, errIndex
	}
	d := decoder{b: rest[8:]}
	for _, s := range []string{diffID, EstimateMethod, pkgdb.Method} {
		if string(d.bytes(d.uvarint(256))) != s {
			return nil, errIndex
		}
	}
	// The count comes first, so that it bounds the work of checking.
	entries := d.uvarint(uint64(max(most.entries, 0)))
	estimate, n := binary.Varint(d.b)
	if d.bad || n <= 0 || estimate < -1 || estimate > maxBytes {
		return nil, errIndex
	}
	d.b = d.b[n:]
	length := d.uvarint(most.records)
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(most.records))
	if err != nil {
		return nil, fmt.Errorf("reading a layer index: %w", err)
	}
	defer dec.Close()
	unpacked, err := dec.DecodeAll(d.b, nil)
	if err != nil || d.bad || length > uint64(len(unpacked)) {
		return nil, errIndex
	}
	x := &Index{records: unpacked[:length:length], estimate: footprint.Bytes(estimate)}
	for e, err := range x.all() {
		if err != nil || !validPath(e.path) || e.kind == addHardLink && !validPath(e.link) {
			return nil, errIndex
		}
		x.entries++
		if uint64(x.entries) > entries || x.entries%4096 == 0 && most.stop() {
			return nil, errIndex
		}
		switch e.kind {
		case addRegular:
			x.files++
			x.unpacked += footprint.Bytes(e.size)
		case addHidden:
			x.unpacked += footprint.Bytes(e.size)
		case addHardLink:
			x.files++
		}
		if x.unpacked < 0 || x.unpacked > most.unpacked {
			return nil, errIndex
		}
	}
	if uint64(x.entries) != entries {
		return nil, errIndex
	}
	if err := x.readFacts(unpacked[length:]); err != nil {
		return nil, err
	}
	return x, nil
}
