package pkgdb

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

var errMalformedELF = errors.New("malformed ELF")

// maxSections is far beyond what compilers make with a section per function.
const maxSections = 1 << 18

// elfFile is the part of an ELF file that is about sections. It is not that of
// debug/elf, which reads the head of every compressed section: of a large file
// those are not kept.
type elfFile struct {
	Content
	words    words
	kind     elf.Type
	sections []elfSection
}

// elfSection has its place in the file clipped to the file; one that has no
// bytes there has no size.
type elfSection struct {
	name      []byte
	kind      elf.SectionType
	flags     elf.SectionFlag
	addr      uint64
	off, size int64
	link      uint32
}

// words are those of the machine: its byte order and their size in bytes.
type words struct {
	binary.ByteOrder
	size int
}

func (w words) word(b []byte) uint64 {
	if w.size == 4 {
		return uint64(w.Uint32(b))
	}
	return w.Uint64(b)
}

// pick is where a field is with 32 and with 64 bit.
func (w words) pick(at32, at64 int) int {
	if w.size == 4 {
		return at32
	}
	return at64
}

// elfHead is the header of the file, as far as it is needed.
type elfHead struct {
	words               words
	kind                elf.Type
	programs, sections  uint64 // offsets of the tables
	programN, sectionN  int
	programSz, sectionS int // of an entry
	names               int // the section with the names
}

func parseELFHead(b []byte) (elfHead, error) {
	if len(b) < 64 || string(b[:4]) != elf.ELFMAG {
		return elfHead{}, errMalformedELF
	}
	w := words{binary.LittleEndian, 8}
	switch elf.Data(b[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
	case elf.ELFDATA2MSB:
		w.ByteOrder = binary.BigEndian
	default:
		return elfHead{}, errMalformedELF
	}
	switch elf.Class(b[elf.EI_CLASS]) {
	case elf.ELFCLASS32:
		w.size = 4
	case elf.ELFCLASS64:
	default:
		return elfHead{}, errMalformedELF
	}
	u16 := func(at32, at64 int) int { return int(w.Uint16(b[w.pick(at32, at64):])) }
	return elfHead{
		words:     w,
		kind:      elf.Type(w.Uint16(b[16:])),
		programs:  w.word(b[w.pick(28, 32):]),
		sections:  w.word(b[w.pick(32, 40):]),
		programSz: u16(42, 54), programN: u16(44, 56),
		sectionS: u16(46, 58), sectionN: u16(48, 60),
		names: u16(50, 62),
	}, nil
}

// partsOfELF keeps the table of the sections and what stands before it, which
// is where most linkers have their names; that of Go has the table at the begin,
// and the names are looked up in it. It also keeps the begin of the first
// writable segment, where Go has its build information, and what a loader reads:
// the dynamic table and, where linkers put it, the begin of the file with the
// names and symbols that the table leads to.
func partsOfELF(size int64, head []byte) []span {
	h, err := parseELFHead(head)
	if err != nil {
		return nil
	}
	keep := []span{{0, 2 << 20}}
	w := h.words
	// Both tables may be said to be anywhere.
	inHead := func(at int64, n int) ([]byte, bool) {
		if at < 0 || at > int64(len(head)-n) {
			return nil, false
		}
		return head[at:], true
	}
	// add keeps a range that may be said to be anywhere.
	add := func(from, n uint64) {
		if from < uint64(size) {
			keep = append(keep, span{int64(from), int64(from + n)})
		}
	}
	if at := int64(h.sections); h.sections < uint64(size) {
		n := int64(h.sectionN * h.sectionS)
		if n == 0 {
			n = 2 << 20
		}
		keep = append(keep, span{at - 4<<20, at + n})
		if b, ok := inHead(at+int64(h.names*h.sectionS), w.pick(40, 64)); ok {
			add(w.word(b[w.pick(16, 24):]), min(w.word(b[w.pick(20, 32):]), 1<<20))
		}
	}
	writable := false
	for i := range h.programN {
		program, ok := inHead(int64(h.programs)+int64(i*h.programSz), w.pick(32, 56))
		if !ok {
			break
		}
		from, n := w.word(program[w.pick(4, 8):]), w.word(program[w.pick(16, 32):])
		switch flags := elf.ProgFlag(w.Uint32(program[w.pick(24, 4):])); elf.ProgType(w.Uint32(program)) {
		case elf.PT_LOAD:
			if flags&elf.PF_W != 0 && !writable {
				writable = true
				add(from, 256<<10)
			}
		case elf.PT_DYNAMIC, elf.PT_INTERP:
			add(from, min(n, 64<<10))
		}
	}
	return keep
}

// parseELF reads the sections. A file without any, as one that was packed, is
// not an error.
func parseELF(c Content) (*elfFile, error) {
	e := &elfFile{Content: c}
	head, ok := e.at(0, 64)
	if !ok {
		return nil, errMalformedELF
	}
	h, err := parseELFHead(head)
	if err != nil {
		return nil, err
	}
	e.words, e.kind = h.words, h.kind
	if h.sections == 0 {
		return e, nil
	}
	w := e.words
	entry := w.pick(40, 64)
	if h.sectionS != entry || h.sections >= uint64(c.Size) {
		return nil, errMalformedELF
	}
	first, ok := e.at(int64(h.sections), int64(entry))
	if !ok {
		return nil, errMalformedELF
	}
	n := uint64(h.sectionN)
	if n == 0 { // too many for 16 bits
		n = w.word(first[w.pick(20, 32):])
	}
	if n > maxSections {
		return nil, fmt.Errorf("more than %d sections", maxSections)
	}
	if elf.SectionIndex(h.names) == elf.SHN_XINDEX {
		h.names = int(w.Uint32(first[w.pick(24, 40):]))
	}
	table, ok := e.at(int64(h.sections), int64(n)*int64(entry))
	if !ok {
		return nil, errMalformedELF
	}
	e.sections = make([]elfSection, n)
	for i := range e.sections {
		b := table[i*entry:]
		s := elfSection{
			kind:  elf.SectionType(w.Uint32(b[4:])),
			flags: elf.SectionFlag(w.word(b[8:])),
			addr:  w.word(b[w.pick(12, 16):]),
			link:  w.Uint32(b[w.pick(24, 40):]),
		}
		off, size := w.word(b[w.pick(16, 24):]), w.word(b[w.pick(20, 32):])
		if s.kind != elf.SHT_NOBITS && s.kind != elf.SHT_NULL && off < uint64(c.Size) {
			s.off, s.size = int64(off), int64(min(size, uint64(c.Size)-off))
		}
		e.sections[i] = s
	}
	if h.names >= len(e.sections) {
		return nil, errMalformedELF
	}
	names, ok := e.bytes(e.sections[h.names])
	if !ok {
		return nil, errMalformedELF
	}
	for i := range e.sections {
		at := w.Uint32(table[i*entry:])
		if uint64(at) < uint64(len(names)) {
			e.sections[i].name = cString(names[at:], 64)
		}
	}
	return e, nil
}

// maxCopied bounds what is copied of a file that was not kept whole.
const maxCopied = partsMax

// at returns a range of the file, if it is there and was kept.
func (e *elfFile) at(off, n int64) ([]byte, bool) {
	if off < 0 || n < 0 || off > e.Size || n > e.Size-off {
		return nil, false
	}
	if e.Whole != nil {
		return e.Whole[off : off+n : off+n], true
	}
	if n > maxCopied {
		return nil, false
	}
	b := make([]byte, n)
	got, _ := e.ReadAt(b, off)
	return b, int64(got) == n
}

func (e *elfFile) bytes(s elfSection) ([]byte, bool) { return e.at(s.off, s.size) }

// section returns the first section of that name, with its bytes.
func (e *elfFile) section(name string) (elfSection, bool) {
	for _, s := range e.sections {
		if string(s.name) == name && s.size > 0 {
			return s, true
		}
	}
	return elfSection{}, false
}

// atAddress returns up to n bytes that will be at that address of memory.
func (e *elfFile) atAddress(addr uint64, n int64) ([]byte, bool) {
	for _, s := range e.sections {
		if s.flags&elf.SHF_ALLOC != 0 && addr >= s.addr && addr-s.addr < uint64(s.size) {
			skip := int64(addr - s.addr)
			return e.at(s.off+skip, min(n, s.size-skip))
		}
	}
	return nil, false
}

// cString ends b before its first zero, or after limit bytes.
func cString(b []byte, limit int) []byte {
	b = b[:min(len(b), limit)]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
