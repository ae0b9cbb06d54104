package pkgdb

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

func TestScripts(t *testing.T) {
	t.Parallel()
	const run, data = 0o755, 0o644
	for _, tt := range []struct {
		content string
		mode    uint16
		want    *footprint.Program
	}{
		{"#!/bin/sh\nexec \"$@\"\n", run, &footprint.Program{Interpreter: "/bin/sh"}},
		{"#!/bin/sh\n", data, &footprint.Program{Interpreter: "/bin/sh"}},
		{"#!/bin/sh", run, &footprint.Program{Interpreter: "/bin/sh"}},
		{"#! \t/usr/bin/env  node --a  b \t\n", run, &footprint.Program{Interpreter: "/usr/bin/env", Args: "node --a  b"}},
		{"#!/bin/sh\r\necho\r\n", run, &footprint.Program{Interpreter: "/bin/sh\r"}},
		{"#!/usr/bin/env node\r\n", run, &footprint.Program{Interpreter: "/usr/bin/env", Args: "node\r"}},
		{"#!/bin/sh\x00-x\n", run, &footprint.Program{Interpreter: "/bin/sh"}},
		{"#!node\n", run, &footprint.Program{Interpreter: "node"}},
		{"#![allow(dead_code)]\n", data, nil},
		{"#!\n/bin/sh\n", run, nil},
		{"#!  \n", run, nil},
		{"#!", run, nil},
		{" #!/bin/sh\n", run, nil},
		{"", run, nil},
		{"#!/" + strings.Repeat("x", 500) + "\n", run, &footprint.Program{Interpreter: "/" + strings.Repeat("x", 253)}},
	} {
		facts, _ := collect(NewCollector(), File{Path: "app/run", Mode: tt.mode, Size: int64(len(tt.content))}, []byte(tt.content), 1000)
		if diff := cmp.Diff(tt.want, facts.Program); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", tt.content, diff)
		}
	}
}

// A jar may begin with the script that starts it; what the reader of jars says
// does not hide that, and the next file knows nothing of it.
func TestScriptThatAReaderWants(t *testing.T) {
	t.Parallel()
	c := NewCollector()
	script := []byte("#!/bin/bash\nexec java -jar \"$0\"\n")
	facts, wanted := collect(c, File{Path: "srv/app.jar", Mode: 0o755, Size: int64(len(script))}, script, 1000)
	if !wanted || facts.Program == nil || facts.Program.Interpreter != "/bin/bash" {
		t.Errorf("wanted %v, %+v", wanted, facts)
	}
	if facts, _ := collect(c, File{Path: "srv/app.txt"}, nil, 1000); !facts.Empty() {
		t.Errorf("an empty file: %+v", facts)
	}
}

// TestProgramsAsLinkersMakeThem compares with debug/elf, which goes by the
// sections; a file without any still says the same.
func TestProgramsAsLinkersMakeThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	hello := write("hello.c", helloC)
	loads := write("loads.c", `#include <dlfcn.h>
int main(int n, char **a) { return dlopen(a[1], RTLD_NOW) == 0; }`)
	defines := write("defines.c", `void *dlopen(const char *n, int f) { return 0; } void *mine(void) { return dlopen("x", 1); }`)
	for _, tt := range []struct {
		name    string
		args    []string
		library bool
		dlopen  bool
	}{
		{"pie", []string{hello}, false, false},
		{"no-pie", []string{"-no-pie", hello}, false, false},
		{"static", []string{"-static", hello}, false, false},
		{"static-pie", []string{"-static-pie", hello}, false, false},
		{"library", []string{"-shared", "-fPIC", "-Wl,-soname,libhello.so.1", hello}, true, false},
		{"library without a name", []string{"-shared", "-fPIC", hello}, true, false},
		{"rpath", []string{"-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib:/opt/a", hello}, false, false},
		{"runpath", []string{"-Wl,--enable-new-dtags,-rpath,/opt/b:$LIB", hello}, false, false},
		{"more libraries", []string{hello, "-Wl,--no-as-needed", "-lm", "-lrt"}, false, false},
		{"dlopen", []string{loads}, false, true},
		{"dlopen, old hash", []string{"-Wl,--hash-style=sysv", loads}, false, true},
		{"defines dlopen", []string{"-shared", "-fPIC", "-Wl,-Bsymbolic", defines}, true, false},
		{"defines dlopen, old hash", []string{"-shared", "-fPIC", "-Wl,-Bsymbolic,--hash-style=sysv", defines}, true, false},
		{"object", []string{"-c", hello}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(dir, tt.name+".out")
			tool(t, "gcc", append([]string{"-o", out}, tt.args...)...)
			content := read(t, out)
			want := programByLibrary(t, content)
			if want != nil {
				want.Library, want.Dlopen = tt.library, tt.dlopen
			}
			if diff := cmp.Diff(want, factsOf(t, "bin/x", content).Program); diff != "" {
				t.Errorf("(-debug/elf +got):\n%s", diff)
			}
			bare := bytes.Clone(content)
			clear(bare[40:48])
			clear(bare[58:64])
			if diff := cmp.Diff(want, factsOf(t, "bin/x", bare).Program); diff != "" {
				t.Errorf("without sections (-debug/elf +got):\n%s", diff)
			}
			if tt.name == "object" {
				return
			}
			tool(t, "objcopy", "--only-keep-debug", out, out+".debug")
			if p := factsOf(t, "usr/lib/debug/x", read(t, out+".debug")).Program; p != nil {
				t.Errorf("the debug data alone: %+v", p)
			}
		})
	}
}

// programByLibrary is what debug/elf says, but for what it does not know of.
func programByLibrary(t testing.TB, content []byte) *footprint.Program {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN && f.Type != elf.ET_EXEC {
		return nil
	}
	p := &footprint.Program{ELF: true, Machine: uint16(f.Machine), Class: uint16(f.Class)<<8 | uint16(f.Data)}
	if s := f.Section(".interp"); s != nil {
		b, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		p.Interpreter = strings.TrimRight(string(b), "\x00")
	}
	texts := func(tag elf.DynTag) []string {
		list, err := f.DynString(tag)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	p.Needed = texts(elf.DT_NEEDED)
	if names := texts(elf.DT_SONAME); names != nil {
		p.Soname = names[0]
	}
	for _, path := range append(texts(elf.DT_RUNPATH), texts(elf.DT_RPATH)...) {
		p.Runpath = append(p.Runpath, strings.Split(path, ":")...)
		break
	}
	return p
}

// programCase is a small program, of any kind of machine.
type programCase struct {
	name                   string
	interpreter            string
	needed                 []string
	soname, rpath, runpath string
	imports                string
	damage                 func(b []byte, w words)
	want                   string
}

var programCases = []programCase{
	{name: "program", interpreter: "/lib/ld.so.1", needed: []string{"libc.so.6"}, want: "/lib/ld.so.1 [libc.so.6]  []"},
	{name: "library", needed: []string{"a", "b"}, soname: "c", runpath: "/x::/y", want: " [a b] c [/x /y] library"},
	{name: "the newer path wins", soname: "c", rpath: "/old", runpath: "/new", want: " [] c [/new] library"},
	{name: "dlopen", soname: "c", imports: "dlmopen", want: " [] c [] library dlopen"},
	{name: "another function", soname: "c", imports: "xdlopen", want: " [] c [] library"},
	{name: "most libraries", needed: slices.Repeat([]string{"l"}, maxNeeded), want: " [" + strings.Repeat("l ", maxNeeded-1) + "l]  [] library"},
	{name: "too many libraries", needed: slices.Repeat([]string{"l"}, maxNeeded+1)},
	{name: "a long text", soname: strings.Repeat("x", maxProgramText-1), want: " [] " + strings.Repeat("x", maxProgramText-1) + " [] library"},
	{name: "too long a text", soname: strings.Repeat("x", maxProgramText)},
	{name: "a table without an end", soname: "c", damage: func(b []byte, w words) {
		i := bytes.LastIndex(b, make([]byte, 2*w.size))
		b[i] = 99
	}},
	{name: "segments outside", soname: "c", damage: func(b []byte, w words) { b[w.pick(44, 56)] = 99 }},
	{name: "loaded from nowhere", soname: "c", damage: func(b []byte, w words) {
		for i := range w.size {
			b[w.pick(52, 64)+w.pick(4, 8)+i] = 0xff
		}
	}},
}

// build lays out: header, segments, texts, symbols, hash, table.
func (p programCase) build(order binary.ByteOrder, size int) []byte {
	w := words{order, size}
	put := func(b []byte, v uint64) []byte {
		if size == 4 {
			return order.(binary.AppendByteOrder).AppendUint32(b, uint32(v))
		}
		return order.(binary.AppendByteOrder).AppendUint64(b, v)
	}
	const base = 0x10000
	head, entry := w.pick(52, 64), w.pick(32, 56)
	b := make([]byte, head+3*entry)
	copy(b, "\x7fELF\x02\x01\x01")
	b[4], b[5] = byte(size/4), 1
	if order == binary.BigEndian {
		b[5] = 2
	}
	order.PutUint16(b[16:], uint16(elf.ET_DYN))
	order.PutUint16(b[18:], uint16(elf.EM_MIPS))
	copy(b[w.pick(28, 32):], put(nil, uint64(head)))
	order.PutUint16(b[w.pick(42, 54):], uint16(entry))
	order.PutUint16(b[w.pick(44, 56):], 3)
	strings := len(b)
	b = append(b, 0)
	text := func(s string) uint64 {
		at := len(b) - strings
		b = append(b, s+"\x00"...)
		return uint64(at)
	}
	var table []byte
	add := func(tag elf.DynTag, v uint64) { table = put(put(table, uint64(tag)), v) }
	for _, n := range p.needed {
		add(elf.DT_NEEDED, text(n))
	}
	for _, s := range []struct {
		tag  elf.DynTag
		text string
	}{{elf.DT_SONAME, p.soname}, {elf.DT_RPATH, p.rpath}, {elf.DT_RUNPATH, p.runpath}} {
		if s.text != "" {
			add(s.tag, text(s.text))
		}
	}
	imported, interpreter := text(p.imports), len(b)
	b = append(b, p.interpreter+"\x00"...)
	add(elf.DT_STRTAB, base+uint64(strings))
	add(elf.DT_STRSZ, uint64(len(b)-strings))
	add(elf.DT_SYMTAB, base+uint64(len(b)))
	symbols := make([]byte, 2*w.pick(16, 24))
	order.PutUint32(symbols[w.pick(16, 24):], uint32(imported))
	b = append(b, symbols...)
	add(elf.DT_HASH, base+uint64(len(b)))
	b = order.(binary.AppendByteOrder).AppendUint32(append(b, 0, 0, 0, 0), 2)
	add(elf.DT_NULL, 0)
	dynamic := len(b)
	b = append(b, table...)
	segment := func(i int, kind elf.ProgType, off, n int) {
		h := b[head+i*entry:]
		order.PutUint32(h, uint32(kind))
		copy(h[w.pick(4, 8):], put(nil, uint64(off)))
		copy(h[w.pick(8, 16):], put(nil, base+uint64(off)))
		copy(h[w.pick(16, 32):], put(nil, uint64(n)))
	}
	segment(0, elf.PT_LOAD, 0, len(b))
	segment(1, elf.PT_DYNAMIC, dynamic, len(table))
	if p.interpreter != "" {
		segment(2, elf.PT_INTERP, interpreter, len(p.interpreter)+1)
	}
	if p.damage != nil {
		p.damage(b, w)
	}
	return b
}

func TestProgramsOfAnyMachine(t *testing.T) {
	t.Parallel()
	for _, tt := range programCases {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, size := range []int{4, 8} {
				got := ""
				if p := factsOf(t, "bin/x", tt.build(order, size)).Program; p != nil {
					got = fmt.Sprintf("%s %s %s %s", p.Interpreter, p.Needed, p.Soname, p.Runpath)
					if p.Library {
						got += " library"
					}
					if p.Dlopen {
						got += " dlopen"
					}
					if class := uint16(size/4)<<8 | 1; p.Class != class && p.Class != class+1 || p.Machine != uint16(elf.EM_MIPS) {
						t.Errorf("%s: class %#x, machine %d", tt.name, p.Class, p.Machine)
					}
				}
				if got != tt.want {
					t.Errorf("%s, %d bit, %v: %.200q, want %.200q", tt.name, 8*size, order, got, tt.want)
				}
			}
		}
	}
}

func FuzzScript(f *testing.F) {
	f.Add([]byte("#! /usr/bin/env  node \r\n"), uint16(0o755))
	f.Fuzz(func(t *testing.T, head []byte, mode uint16) {
		p := readScript(File{Mode: mode}, head)
		if p != nil && (p.Interpreter == "" || strings.ContainsAny(p.Interpreter, " \t\n\x00") || strings.ContainsAny(p.Args, "\n\x00") || len(p.Interpreter+p.Args) > maxScriptLine) {
			t.Errorf("%q: %+v", head, p)
		}
	})
}
