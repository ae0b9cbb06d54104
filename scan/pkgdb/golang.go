package pkgdb

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"iter"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

const (
	goInfoSection = ".go.buildinfo"
	// maxGoInfo bounds the list of modules, of which 100 are 10 kB.
	maxGoInfo = 1 << 20
	// maxGoFuncs bounds the functions that are looked at; Kubernetes has a
	// tenth of it.
	maxGoFuncs = 1_000_000
	// maxGoElements bounds the elements of a path that are looked at.
	maxGoElements = 20
)

// readGolang says which modules a program is made of, and how many bytes each of
// them is: the machine code, and the tables that tell lines and live pointers of
// it. Data and types have no such owner: they stay with the program.
func readGolang(f File, e *elfFile) (Facts, error) {
	version, text, err := goBuildInfo(e)
	if err != nil {
		return Facts{}, err
	}
	info, err := debug.ParseBuildInfo(text)
	if err != nil {
		return Facts{}, errors.New("malformed Go build information")
	}
	root := "/" + f.Path
	main := Package{
		Ecosystem: Golang, Root: root, Installed: true, Main: true, Asked: ByName,
		Name: firstOf(info.Main.Path, info.Path, path.Base(f.Path)), Version: released(info.Main.Version),
	}
	pkgs := []Package{main, {
		Ecosystem: Golang, Root: root, Installed: true, Asked: AsDependency,
		Name: "stdlib", Version: strings.TrimPrefix(version, "go"),
	}}
	of := goModules{index: map[string]int{info.Main.Path: 0}}
	named := map[string]int{main.Name: 0, "stdlib": 1}
	for _, dep := range info.Deps {
		name, version := dep.Path, dep.Version
		if r := dep.Replace; r != nil {
			version = released(r.Version)
			if version != "" { // else it is a directory
				name = r.Path
			}
		}
		i, known := named[name]
		if !known {
			i = len(pkgs)
			named[name] = i
			pkgs = append(pkgs, Package{
				Ecosystem: Golang, Root: root, Installed: true, Asked: AsDependency, Name: name, Version: released(version),
			})
		}
		of.index[dep.Path] = i
	}
	for _, p := range pkgs[1:] {
		pkgs[0].Requires = append(pkgs[0].Requires, p.Name)
	}
	facts := Facts{Packages: pkgs}
	table, ok := findGoTable(e)
	if !ok {
		facts.Skipped = "unknown table of Go functions"
		if e.Whole == nil {
			facts.Skipped = "larger than " + footprint.Bytes(maxWholeELF).Short() + ": bytes of its modules are not known"
		}
		return facts, nil
	}
	inside := make([]footprint.Bytes, len(pkgs))
	var sum footprint.Bytes
	// A line table that several functions have stands with the first.
	lines, linesOf := uint32(0), 0
	add := func(module int, n uint32) {
		inside[module] += footprint.Bytes(n)
		sum += footprint.Bytes(n)
	}
	for fn := range table.functions() {
		module := of.module(fn.name)
		add(module, fn.size)
		add(module, fn.record)
		if fn.lines > lines {
			add(linesOf, fn.lines-lines)
			lines, linesOf = fn.lines, module
		}
	}
	if sum > footprint.Bytes(e.Size) {
		facts.Skipped = "malformed table of Go functions"
		return facts, nil
	}
	for i := range pkgs[1:] {
		pkgs[i+1].Inside = inside[i+1]
	}
	return facts, nil
}

// released is empty for what was never given a version.
func released(version string) string {
	if version == "(devel)" {
		return ""
	}
	return version
}

func firstOf(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

// goBuildInfo returns the version of Go and the list of modules, as
// debug/buildinfo has them, whose reader looks for them all over a file. Since
// Go 1.18 both strings follow a header of 32 bytes; before, it points to them.
func goBuildInfo(e *elfFile) (version, modules string, err error) {
	malformed := errors.New("malformed Go build information")
	s, _ := e.section(goInfoSection)
	b, ok := e.at(s.off, min(s.size, maxGoInfo))
	if !ok && e.Whole == nil {
		return "", "", errors.New("larger than " + footprint.Bytes(maxWholeELF).Short())
	}
	if len(b) < 32 || !bytes.HasPrefix(b, []byte("\xff Go buildinf:")) {
		return "", "", malformed
	}
	if b[15]&2 != 0 {
		rest := b[32:]
		for _, to := range []*string{&version, &modules} {
			n, used := binary.Uvarint(rest)
			if used <= 0 || n > uint64(len(rest)-used) {
				return "", "", malformed
			}
			*to = string(rest[used : used+int(n)])
			rest = rest[used+int(n):]
		}
	} else {
		w := e.words
		if int(b[14]) != w.size {
			return "", "", malformed
		}
		version = e.goString(w.word(b[16:]))
		modules = e.goString(w.word(b[16+w.size:]))
	}
	if version == "" {
		return "", "", malformed
	}
	// The list stands between two marks of 16 bytes.
	if len(modules) >= 33 && modules[len(modules)-17] == '\n' {
		return version, modules[16 : len(modules)-16], nil
	}
	return version, "", nil
}

// goString reads a string header and the string.
func (e *elfFile) goString(addr uint64) string {
	w := e.words
	header, ok := e.atAddress(addr, int64(2*w.size))
	if !ok || len(header) < 2*w.size {
		return ""
	}
	n := w.word(header[w.size:])
	if n > maxGoInfo {
		return ""
	}
	b, ok := e.atAddress(w.word(header), int64(n))
	if !ok || uint64(len(b)) < n {
		return ""
	}
	return string(b)
}

// goModules finds the module of a function. The main module is 0, the standard
// library is 1.
type goModules struct {
	index map[string]int // by path
	// Functions of one package stand together.
	last       []byte
	lastModule int
}

func (m *goModules) module(function []byte) int {
	pkg := goPackage(function)
	if m.last == nil || !bytes.Equal(pkg, m.last) {
		m.last, m.lastModule = pkg, m.of(string(pkg))
	}
	return m.lastModule
}

// of looks for the longest module path that the package is in. What belongs to
// none, and has no dot where a host would be, comes with Go.
func (m *goModules) of(pkg string) int {
	if pkg == "main" || pkg == "" {
		return 0
	}
	pkg = unescapeGo(pkg)
	for i, slashes := 0, 0; i < len(pkg); i++ {
		if pkg[i] == '/' {
			if slashes++; slashes == maxGoElements {
				pkg = pkg[:i]
			}
		}
	}
	for p := pkg; ; {
		if i, ok := m.index[p]; ok {
			return i
		}
		slash := strings.LastIndexByte(p, '/')
		if slash < 0 {
			break
		}
		p = p[:slash]
	}
	host, _, _ := strings.Cut(pkg, "/")
	if strings.Contains(host, ".") {
		return 0
	}
	return 1
}

// goPackage cuts the path of the package from the name of a function, such as
// "gopkg.in/yaml%2ev3.(*parser).peek"; it is empty for what the compiler makes,
// "type:.eq.T" and the like. Types in brackets may have paths of their own.
func goPackage(function []byte) []byte {
	name := function
	if i := bytes.IndexAny(name, "[({: "); i >= 0 {
		name = name[:i]
	}
	if string(name) == "go." || bytes.HasPrefix(name, []byte("type..")) { // before Go 1.20
		return nil
	}
	if len(name) < len(function) && (len(name) == 0 || function[len(name)] == ':' || function[len(name)] == ' ') {
		return nil
	}
	slash := bytes.LastIndexByte(name, '/') + 1
	if dot := bytes.IndexByte(name[slash:], '.'); dot >= 0 {
		return name[:slash+dot]
	}
	return name // assembly, as _rt0_amd64_linux
}

// unescapeGo undoes what the compiler does to dots, and to letters that are not
// ASCII, in the last element of a path.
func unescapeGo(pkg string) string {
	if !strings.Contains(pkg, "%") {
		return pkg
	}
	var b strings.Builder
	for i := 0; i < len(pkg); i++ {
		if pkg[i] == '%' && i+2 < len(pkg) {
			if c, err := strconv.ParseUint(pkg[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(pkg[i])
	}
	return b.String()
}

// goTable is the table of functions that the runtime has for its stack traces;
// strip leaves it alone. debug/gosym reads it too, with an object for every
// function.
type goTable struct {
	words words
	// names are the names of functions, each ended by a zero.
	names []byte
	// funcs has the entry of each function and where its record is in it, one
	// entry more for the end of the last.
	funcs []byte
	n     int
	// field is the size of each of both in bytes.
	field int
	// linesSize is that of all line tables.
	linesSize uint64
	// name is where in a record the offset of the name is, lines where those of
	// its line tables begin: three, how many others there are, and after a few
	// bytes more, at others, these.
	name, lines, others int
}

// goFunction is one function of a program.
type goFunction struct {
	name []byte
	// size is that of its machine code up to the next function, record that of
	// its record up to the next one, in bytes.
	size, record uint32
	// lines is the first of its line tables that no function before it has; 0 if
	// it has none.
	lines uint32
}

// findGoTable looks for the table by its section, and where the linker of the
// system put it into another one, by its first bytes.
func findGoTable(e *elfFile) (goTable, bool) {
	for _, s := range e.sections {
		if string(s.name) == ".gopclntab" || string(s.name) == ".data.rel.ro.gopclntab" {
			b, ok := e.bytes(s)
			if !ok {
				return goTable{}, false
			}
			return parseGoTable(b, e.words)
		}
	}
	if e.Whole == nil {
		return goTable{}, false
	}
	for _, s := range e.sections {
		if s.flags&elf.SHF_ALLOC == 0 || s.flags&elf.SHF_EXECINSTR != 0 {
			continue
		}
		all, _ := e.bytes(s)
		for _, magic := range goTableMagics {
			head := make([]byte, 6)
			e.words.PutUint32(head, magic)
			for b := all; ; b = b[1:] {
				i := bytes.Index(b, head)
				if i < 0 {
					break
				}
				b = b[i:]
				if t, ok := parseGoTable(b, e.words); ok {
					return t, true
				}
			}
		}
	}
	return goTable{}, false
}

// The magics of Go 1.20, 1.18 and 1.16.
var goTableMagics = []uint32{0xfffffff1, 0xfffffff0, 0xfffffffa}

// parseGoTable reads the header: the magic, two zeros, the size of an
// instruction, that of a word, and then words: how many functions, how many
// files, since 1.18 the start of the text, and where the tables begin: names,
// compilation units, files, line tables, functions.
func parseGoTable(b []byte, w words) (goTable, bool) {
	if len(b) < 8+8*w.size || int(b[7]) != w.size || b[4] != 0 || b[5] != 0 {
		return goTable{}, false
	}
	word := func(i int) uint64 { return w.word(b[8+i*w.size:]) }
	t := goTable{words: w, field: 4, name: 4}
	others := 36
	names, cus, lines, funcs := word(3), word(4), word(6), word(7)
	switch w.Uint32(b) {
	case goTableMagics[0]:
		others = 40
	case goTableMagics[1]:
	case goTableMagics[2]:
		names, cus, lines, funcs = word(2), word(3), word(5), word(6)
		t.field, t.name = w.size, w.size
	default:
		return goTable{}, false
	}
	n := word(0)
	if names > cus || cus > lines || lines > funcs || funcs > uint64(len(b)) || n == 0 || n > maxGoFuncs {
		return goTable{}, false
	}
	t.lines, t.others = t.name+12, t.name+others
	t.linesSize = funcs - lines
	t.names, t.funcs, t.n = b[names:cus], b[funcs:], int(n)
	return t, len(t.funcs) >= (2*t.n+1)*t.field
}

// functions yields all functions, in their order.
func (t goTable) functions() iter.Seq[goFunction] {
	field := words{t.words.ByteOrder, t.field}
	return func(yield func(goFunction) bool) {
		var high uint32 // the last line table that was seen
		for i := range t.n {
			pair := t.funcs[2*i*t.field:]
			entry, next := field.word(pair), field.word(pair[2*t.field:])
			at := field.word(pair[t.field:])
			if next <= entry || next-entry > 1<<30 || at > uint64(len(t.funcs)) || len(t.funcs[at:]) < t.others {
				continue
			}
			record := t.funcs[at:]
			name := t.words.Uint32(record[t.name:])
			if uint64(name) >= uint64(len(t.names)) {
				continue
			}
			fn := goFunction{name: cString(t.names[name:], 256), size: uint32(next - entry)}
			if i+1 < t.n {
				if after := field.word(pair[3*t.field:]); after > at && after-at < 4096 {
					fn.record = uint32(after - at)
				}
			}
			fn.lines, high = t.newLines(record, high)
			if !yield(fn) {
				return
			}
		}
	}
}

// newLines returns the first line table of a record that is after all that were
// seen, and the last that is seen now. The linker writes them in the order of
// the functions.
func (t goTable) newLines(record []byte, high uint32) (first, last uint32) {
	last = high
	see := func(b []byte) {
		if at := t.words.Uint32(b); at > high && uint64(at) < t.linesSize {
			if first == 0 || at < first {
				first = at
			}
			last = max(last, at)
		}
	}
	for i := range 3 {
		see(record[t.lines+4*i:])
	}
	others := record[t.others:]
	for range min(t.words.Uint32(record[t.lines+12:]), 16) {
		if len(others) < 4 {
			break
		}
		see(others)
		others = others[4:]
	}
	return first, last
}
