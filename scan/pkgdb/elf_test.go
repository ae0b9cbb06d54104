package pkgdb

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

// tool runs a program of the system, or skips where there is none.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s", name)
	}
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const helloC = `#include <stdio.h>
int shared(int n) { return n * 3; }
static int twice(int n) { return n * 2; }
int main(int argc, char **argv) { printf("%d\n", twice(argc) + shared(argc)); return 0; }
`

// sectionsOf asks readelf for the sections that are in the file and not in
// memory, and their sizes.
func sectionsOf(t *testing.T, file string) map[string]footprint.Bytes {
	t.Helper()
	sizes := map[string]footprint.Bytes{}
	row := regexp.MustCompile(`^ +\[ *\d+\] (\S+) +(\S+) +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ +([A-Za-z]*) `)
	for line := range strings.Lines(tool(t, "readelf", "-S", "-W", file)) {
		m := row.FindStringSubmatch(line)
		if m == nil || m[2] == "NOBITS" || strings.Contains(m[4], "A") {
			continue
		}
		n, err := strconv.ParseInt(m[3], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		sizes[m[1]] += footprint.Bytes(n)
	}
	return sizes
}

// Sums are those of readelf, to the byte, and what strip takes away is that and
// the entries of the section table.
func TestStrippableIsWhatStripRemoves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "hello.c")
	if err := os.WriteFile(source, []byte(helloC), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"plain", nil},
		{"debug", []string{"-g3"}},
		{"compressed", []string{"-g", "-gz=zlib"}},
		{"dwarf64", []string{"-g", "-gdwarf64"}},
		{"static", []string{"-g", "-static"}},
		{"shared", []string{"-g", "-shared", "-fPIC"}},
		{"stripped", []string{"-s"}},
		{"object", []string{"-g", "-c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(dir, tt.name)
			tool(t, "gcc", append(tt.args, "-o", out, source)...)
			var debug, symbols footprint.Bytes
			for name, n := range sectionsOf(t, out) {
				switch {
				case strings.HasPrefix(name, ".debug_"), strings.HasPrefix(name, ".rela.debug_"):
					debug += n
				case name == ".symtab" || name == ".strtab":
					symbols += n
				}
			}
			if tt.name == "object" {
				symbols = 0
			}
			content := read(t, out)
			got := factsOf(t, "usr/bin/hello", content)
			if got.Debug != debug || got.Symbols != symbols || got.Skipped != "" || got.Packages != nil {
				t.Errorf("got debug %d and symbols %d (%q), readelf says %d and %d", got.Debug, got.Symbols, got.Skipped, debug, symbols)
			}
			if (debug > 0) != (tt.args != nil && strings.HasPrefix(tt.args[0], "-g")) {
				t.Errorf("%d bytes of debug data", debug)
			}
			if tt.name == "object" {
				return
			}
			tool(t, "strip", "-o", out+".stripped", out)
			removed := len(content) - len(read(t, out+".stripped"))
			if diff := int(debug+symbols) - removed; diff > 64 || diff < -4096 {
				t.Errorf("strip removed %d bytes, of which %d are known", removed, debug+symbols)
			}
		})
	}
}

// Rust has its scripts for the debugger in memory: strip leaves them.
func TestLoadedSectionIsNotDebugData(t *testing.T) {
	t.Parallel()
	content := makeELF(binary.LittleEndian,
		testSection{name: ".debug_gdb_scripts", kind: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, content: make([]byte, 34)},
		testSection{name: ".debug_line", kind: elf.SHT_PROGBITS, content: make([]byte, 10)})
	if facts := factsOf(t, "lib", content); facts.Debug != 10 {
		t.Errorf("%d bytes of debug data", facts.Debug)
	}
}

// A file of a -dbg package has all sections, but only those for debuggers have
// bytes in it.
func TestFileOfDebugDataAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "hello.c"), filepath.Join(dir, "hello")
	if err := os.WriteFile(source, []byte(helloC), 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, "gcc", "-g3", "-o", out, source)
	tool(t, "objcopy", "--only-keep-debug", out, out+".debug")
	content := read(t, out+".debug")
	whole, only := factsOf(t, "usr/bin/hello", read(t, out)), factsOf(t, "usr/lib/debug/usr/bin/hello.debug", content)
	if only.Debug != whole.Debug || only.Debug+only.Symbols < footprint.Bytes(len(content)*8/10) {
		t.Errorf("debug %d of %d, in the program %d", only.Debug, len(content), whole.Debug)
	}
	tool(t, "objcopy", "--strip-debug", "--add-section", ".gnu_debugdata="+source, out, out+".mini")
	if got := factsOf(t, "usr/bin/hello", read(t, out+".mini")); got.Debug != footprint.Bytes(len(helloC)) {
		t.Errorf("debug %d of a program with small debug data of %d", got.Debug, len(helloC))
	}
}

// The sections of a program that is too large to be kept are still known.
func TestLargeELF(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, out, blob := filepath.Join(dir, "hello.c"), filepath.Join(dir, "hello"), filepath.Join(dir, "blob")
	if err := os.WriteFile(source, []byte(helloC), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, make([]byte, 12<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, "gcc", "-g3", "-o", out, source)
	tool(t, "objcopy", "--add-section", ".blob="+blob, out, out+".large")
	content := read(t, out+".large")
	want := factsOf(t, "hello", content)
	c := NewCollector()
	for i := range c.readers {
		if c.readers[i].name == "ELF" {
			c.readers[i].max = 1 << 20
		}
	}
	got, _ := collect(c, File{Path: "hello", Size: int64(len(content))}, content, 100_000)
	if diff := cmp.Diff(want.Program, got.Program); diff != "" || got.Program == nil {
		t.Errorf("program (-of the whole file +got):\n%s", diff)
	}
	if got.Debug != want.Debug || got.Symbols != want.Symbols || got.Debug == 0 || got.Symbols == 0 || got.Skipped != "" {
		t.Errorf("got %+v, of the whole file %+v", got, want)
	}
	if cap(c.buffer) > 2*partsMax {
		t.Errorf("%d bytes of memory", cap(c.buffer))
	}
}

func TestMalformedELF(t *testing.T) {
	t.Parallel()
	good := smallELF(100, 200)
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
		want   string
	}{
		{"good", func(b []byte) []byte { return b }, "debug 100, symbols 200"},
		{"too short", func(b []byte) []byte { return b[:200] }, "debug 0, symbols 0"},
		{"class", func(b []byte) []byte { b[4] = 3; return b }, "debug 0, symbols 0"},
		{"byte order", func(b []byte) []byte { b[5] = 0; return b }, "debug 0, symbols 0"},
		{"no sections", func(b []byte) []byte { clear(b[40:48]); return b }, "debug 0, symbols 0"},
		{"names", func(b []byte) []byte { b[62] = 99; return b }, "debug 0, symbols 0"},
		{"size of entries", func(b []byte) []byte { b[58] = 0; return b }, "debug 0, symbols 0"},
		{"too many", func(b []byte) []byte {
			clear(b[60:62])
			copy(b[64+32:], "\xff\xff\xff\xff")
			return b
		}, "more than 262144 sections"},
		{"sizes that lie", func(b []byte) []byte {
			for s := 64 + 64; s < 64+3*64; s += 64 {
				clear(b[s+24 : s+32])
				copy(b[s+32:], "\xff\xff\xff\xff\xff\xff\xff\x7f")
			}
			return b
		}, "all of it"},
	} {
		b := tt.damage(bytes.Clone(good))
		got := factsOf(t, "lib", b)
		text := fmt.Sprintf("debug %d, symbols %d", got.Debug, got.Symbols)
		if got.Debug+got.Symbols == footprint.Bytes(len(b)) {
			text = "all of it"
		}
		if got.Skipped != "" {
			text = got.Skipped
		}
		if text != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
}

// testSection is a section of [makeELF].
type testSection struct {
	name    string
	kind    elf.SectionType
	flags   elf.SectionFlag
	addr    uint64
	content []byte
}

// makeELF is a file of 64 bit that has these sections, then their names.
func makeELF(order binary.ByteOrder, sections ...testSection) []byte {
	names := []byte{0}
	sections = append([]testSection{{}}, append(sections, testSection{name: ".shstrtab", kind: elf.SHT_STRTAB})...)
	b := make([]byte, 64+64*len(sections))
	copy(b, "\x7fELF\x02\x01\x01")
	if order == binary.BigEndian {
		b[5] = 2
	}
	order.PutUint16(b[16:], uint16(elf.ET_DYN))
	order.PutUint64(b[40:], 64)
	order.PutUint16(b[58:], 64)
	order.PutUint16(b[60:], uint16(len(sections)))
	order.PutUint16(b[62:], uint16(len(sections)-1))
	for i, s := range sections {
		h := b[64+64*i:][:64]
		order.PutUint32(h, uint32(len(names)))
		names = append(names, s.name+"\x00"...)
		if i == len(sections)-1 {
			s.content = names
		}
		order.PutUint32(h[4:], uint32(s.kind))
		order.PutUint64(h[8:], uint64(s.flags))
		order.PutUint64(h[16:], s.addr)
		order.PutUint64(h[24:], uint64(len(b)))
		order.PutUint64(h[32:], uint64(len(s.content)))
		b = append(b, s.content...)
	}
	return b
}

func smallELF(debug, symbols int) []byte {
	return makeELF(binary.LittleEndian,
		testSection{name: ".debug_info", kind: elf.SHT_PROGBITS, content: make([]byte, debug)},
		testSection{name: ".symtab", kind: elf.SHT_SYMTAB, content: make([]byte, symbols)})
}

func FuzzELF(f *testing.F) {
	f.Add(smallELF(100, 200))
	f.Add(smallELF(0, 0)[:100])
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, magic := range goTableMagics {
			f.Add(makeELF(order, goSections(order, magic)...))
		}
	}
	f.Add(makeELF(binary.LittleEndian, testSection{name: rustDepsSection, kind: elf.SHT_PROGBITS, content: compress(f, crates)}))
	for _, p := range programCases {
		f.Add(p.build(binary.LittleEndian, 8))
		f.Add(p.build(binary.BigEndian, 4))
	}
	collector := &Collector{readers: elfReaders()}
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, _ := collect(collector, File{Path: "bin/x", Size: int64(len(b))}, b, 1<<20)
		checkFacts(t, facts, len(b))
		for _, size := range []int64{int64(len(b)), 1 << 30, math.MaxInt64} {
			end := int64(partHead)
			for _, s := range bounded(partsOfELF(size, b), size) {
				if s.from < end || s.to <= s.from || s.to > size {
					t.Errorf("of %d bytes, %v is kept", size, s)
				}
				end = s.to
			}
		}
	})
}

// checkFacts holds what must be true of the facts of any file.
func checkFacts(t *testing.T, facts Facts, size int) {
	t.Helper()
	if facts.Debug < 0 || facts.Symbols < 0 || facts.Debug+facts.Symbols > footprint.Bytes(size) {
		t.Errorf("debug %d and symbols %d of %d", facts.Debug, facts.Symbols, size)
	}
	sum, mains := footprint.Bytes(0), 0
	for _, p := range facts.Packages {
		if p.Inside < 0 {
			t.Errorf("%s is %d bytes", p.Name, p.Inside)
		}
		sum += p.Inside
		if p.Main {
			mains++
		}
	}
	if p := facts.Program; p != nil && (len(p.Needed) > maxNeeded || len(p.Runpath) > maxNeeded || facts.Size() > MaxFacts) {
		t.Errorf("%d libraries, %d folders", len(p.Needed), len(p.Runpath))
	}
	if sum > footprint.Bytes(size) || len(facts.Packages) > 0 && mains != 1 {
		t.Errorf("%d bytes inside %d, and %d are the file itself", sum, size, mains)
	}
}
