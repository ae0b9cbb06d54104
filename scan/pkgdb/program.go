package pkgdb

import (
	"bytes"
	"debug/elf"
	"strings"

	"github.com/org/image-budget/footprint"
)

// The bounds of what is kept of one program. No linker makes as much, and of a
// program that says more nothing is kept: half a list would be a wrong one.
const (
	maxNeeded      = 512
	maxProgramText = 4 << 10
	maxSegments    = 1 << 10
	maxDynamic     = 4 << 10 // entries
	maxSymbols     = 1 << 20
)

// maxScriptLine is how much of a script Linux looks at, BINPRM_BUF_SIZE.
const maxScriptLine = 256

// readScript reads the first line of a script as Linux does: a carriage return
// at its end is part of a name that will not be found. It returns nil for what
// is no script.
func readScript(f File, head []byte) *footprint.Program {
	line, ok := bytes.CutPrefix(head[:min(len(head), maxScriptLine)], []byte("#!"))
	if !ok {
		return nil
	}
	if i := bytes.IndexAny(line, "\n\x00"); i >= 0 {
		line = line[:i]
	}
	name, args := bytes.Trim(line, " \t"), []byte(nil)
	if i := bytes.IndexAny(name, " \t"); i >= 0 {
		name, args = name[:i], bytes.TrimLeft(name[i:], " \t")
	}
	// Attributes of Rust begin like this too, and nobody runs them.
	if len(name) == 0 || name[0] != '/' && f.Mode&0o111 == 0 {
		return nil
	}
	return &footprint.Program{Interpreter: string(name), Args: string(args)}
}

// readProgram reads an ELF file as its loader does: by its segments, whatever
// the sections say. It returns nil for what cannot be run or loaded, and for
// what leads outside of the file, or of what was kept of it.
func readProgram(c Content) *footprint.Program {
	e := &elfFile{Content: c}
	head := e.upTo(0, 64)
	h, err := parseELFHead(head)
	if err != nil || h.kind != elf.ET_EXEC && h.kind != elf.ET_DYN {
		return nil
	}
	e.words = h.words
	p := &footprint.Program{
		ELF: true, Machine: h.words.Uint16(head[18:]),
		Class: uint16(head[elf.EI_CLASS])<<8 | uint16(head[elf.EI_DATA]),
	}
	l := &loading{elfFile: e}
	dynamic, ok := l.load(h, p)
	if !ok {
		return nil
	}
	if dynamic == nil {
		// It begins in what is loaded, or is the debug data of one that does.
		if len(l.atMemory(h.words.word(head[24:]), 1)) == 0 {
			return nil
		}
		return p
	}
	flags, ok := l.link(*dynamic, p)
	if !ok {
		return nil
	}
	p.Library = h.kind == elf.ET_DYN && p.Interpreter == "" && flags&elf.DF_1_PIE == 0
	return p
}

// loading is an ELF file as its loader sees it.
type loading struct {
	*elfFile
	segments []segment
}

// segment is a piece of the file, and the address that it is loaded at.
type segment struct{ off, addr, size uint64 }

// load finds the segments and the interpreter. It is false where nothing of the
// file is loaded, as where it holds the debug data of another.
func (l *loading) load(h elfHead, p *footprint.Program) (dynamic *segment, ok bool) {
	w, entry := l.words, l.words.pick(32, 56)
	if h.programSz != entry || h.programN > maxSegments {
		return nil, false
	}
	table := l.upTo(h.programs, uint64(h.programN*entry))
	if len(table) < h.programN*entry {
		return nil, false
	}
	for ; len(table) > 0; table = table[entry:] {
		s := segment{off: w.word(table[w.pick(4, 8):]), addr: w.word(table[w.pick(8, 16):]), size: w.word(table[w.pick(16, 32):])}
		switch elf.ProgType(w.Uint32(table)) {
		case elf.PT_LOAD:
			if s.size > 0 && s.off < uint64(l.Size) {
				l.segments = append(l.segments, s)
			}
		case elf.PT_INTERP:
			if p.Interpreter, ok = text(l.upTo(s.off, min(s.size, maxProgramText))); !ok {
				return nil, false
			}
		case elf.PT_DYNAMIC:
			dynamic = &s
		}
	}
	return dynamic, len(l.segments) > 0
}

// link reads the dynamic table.
func (l *loading) link(table segment, p *footprint.Program) (elf.DynFlag1, bool) {
	w, entry := l.words, uint64(2*l.words.size)
	b := l.upTo(table.off, min(table.size, maxDynamic*entry))
	last := map[elf.DynTag]uint64{}
	var needed []uint64
	for ; uint64(len(b)) >= entry; b = b[entry:] {
		tag, value := elf.DynTag(w.word(b)), w.word(b[w.size:])
		if tag == elf.DT_NULL {
			break
		}
		if tag == elf.DT_NEEDED {
			needed = append(needed, value)
		}
		last[tag] = value
	}
	if uint64(len(b)) < entry || len(needed) > maxNeeded {
		return 0, false // it has no end
	}
	texts := l.atMemory(last[elf.DT_STRTAB], last[elf.DT_STRSZ])
	ok := true
	read := func(at uint64) string {
		s, found := "", false
		if at < uint64(len(texts)) {
			s, found = text(texts[at:])
		}
		ok = ok && found
		return s
	}
	for _, at := range needed {
		p.Needed = append(p.Needed, read(at))
	}
	if at, has := last[elf.DT_SONAME]; has {
		p.Soname = read(at)
	}
	at, has := last[elf.DT_RUNPATH]
	if !has { // the older kind counts alone only
		at, has = last[elf.DT_RPATH]
	}
	if has {
		for folder := range strings.SplitSeq(read(at), ":") {
			if folder != "" {
				p.Runpath = append(p.Runpath, folder)
			}
		}
	}
	p.Dlopen = ok && l.imports(last, texts, elf.Machine(p.Machine))
	return elf.DynFlag1(last[elf.DT_FLAGS_1]), ok && len(p.Runpath) <= maxNeeded
}

// imports tells whether it calls dlopen or dlmopen of another file.
func (l *loading) imports(last map[elf.DynTag]uint64, texts []byte, machine elf.Machine) bool {
	names := [][]byte{[]byte("dlopen\x00"), []byte("dlmopen\x00")}
	if !bytes.Contains(texts, names[0]) && !bytes.Contains(texts, names[1]) {
		return false
	}
	entry, at := uint64(l.words.pick(16, 24)), l.words.pick(14, 6)
	symbols := l.atMemory(last[elf.DT_SYMTAB], l.symbols(last, machine)*entry)
	for ; uint64(len(symbols)) >= entry; symbols = symbols[entry:] {
		name := l.words.Uint32(symbols)
		if elf.SectionIndex(l.words.Uint16(symbols[at:])) != elf.SHN_UNDEF || uint64(name) >= uint64(len(texts)) {
			continue
		}
		if bytes.HasPrefix(texts[name:], names[0]) || bytes.HasPrefix(texts[name:], names[1]) {
			return true
		}
	}
	return false
}

// symbols is how many symbols there are, or are before those that are not
// imported. Nothing says so directly.
func (l *loading) symbols(last map[elf.DynTag]uint64, machine elf.Machine) uint64 {
	if at, ok := last[elf.DT_GNU_HASH]; ok {
		// buckets, and the first symbol that is in one: those that are imported
		// are in none.
		if b := l.atMemory(at, 8); len(b) == 8 {
			return min(uint64(l.words.Uint32(b[4:])), maxSymbols)
		}
	}
	wide := l.words.size == 8 && (machine == elf.EM_S390 || machine == elf.EM_ALPHA)
	if at, ok := last[elf.DT_HASH]; ok && !wide {
		if b := l.atMemory(at, 8); len(b) == 8 {
			return min(uint64(l.words.Uint32(b[4:])), maxSymbols)
		}
	}
	// All linkers put the texts behind the symbols.
	if from, to := last[elf.DT_SYMTAB], last[elf.DT_STRTAB]; from < to {
		return min((to-from)/uint64(l.words.pick(16, 24)), maxSymbols)
	}
	return 0
}

// atMemory returns up to n bytes from an address.
func (l *loading) atMemory(addr, n uint64) []byte {
	for _, s := range l.segments {
		if skip := addr - s.addr; addr >= s.addr && skip < s.size && skip <= uint64(l.Size) {
			return l.upTo(s.off+skip, min(n, s.size-skip))
		}
	}
	return nil
}

// upTo returns as much of a range as there is and was kept.
func (e *elfFile) upTo(off, n uint64) []byte {
	if off >= uint64(e.Size) {
		return nil
	}
	n = min(n, uint64(e.Size)-off)
	if e.Whole != nil {
		return e.Whole[off : off+n : off+n]
	}
	b := make([]byte, min(n, maxCopied))
	got, _ := e.ReadAt(b, int64(off))
	return b[:got]
}

// text reads a text that ends in a zero.
func text(b []byte) (string, bool) {
	b = b[:min(len(b), maxProgramText)]
	i := bytes.IndexByte(b, 0)
	return string(b[:max(i, 0)]), i >= 0
}
