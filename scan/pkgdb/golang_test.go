package pkgdb

import (
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

// buildGo builds a program of this module and returns its file.
func buildGo(t testing.TB, env []string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", append([]string{"build", "-o", out}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %v: %v\n%s", args, err, text)
	}
	return out
}

// nmBytes asks go tool nm for the machine code of each module of a program, in
// which there is one function after the other.
func nmBytes(t *testing.T, file string, pkgs []Package) map[string]footprint.Bytes {
	t.Helper()
	type symbol struct {
		addr uint64
		name string
	}
	var symbols []symbol
	for line := range strings.Lines(tool(t, "go", "tool", "nm", "-size", file)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[2] != "T" && fields[2] != "t" {
			continue
		}
		addr, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		symbols = append(symbols, symbol{addr, strings.Join(fields[3:], " ")})
	}
	slices.SortFunc(symbols, func(a, b symbol) int { return cmp.Compare(a.addr, b.addr) })
	first := slices.IndexFunc(symbols, func(s symbol) bool { return s.name == "runtime.text" })
	end := slices.IndexFunc(symbols, func(s symbol) bool { return s.name == "runtime.etext" })
	if first < 0 || end < 0 {
		t.Fatal("nm does not say where the text is")
	}
	sums := map[string]footprint.Bytes{}
	for i, s := range symbols[first:end] {
		if s.name == "runtime.text" { // a mark, and room up to the first function
			continue
		}
		n := footprint.Bytes(symbols[first+i+1].addr - s.addr)
		owner := "stdlib"
		for _, p := range pkgs[2:] {
			// The last element has its dots escaped.
			if rest, ok := strings.CutPrefix(strings.ReplaceAll(s.name, "%2e", "."), p.Name); ok && (rest[0] == '.' || rest[0] == '/') {
				owner = p.Name
			}
		}
		if s.name == "main" || strings.HasPrefix(s.name, "main.") || strings.HasPrefix(s.name, pkgs[0].Name) || strings.HasPrefix(s.name, "type:") || strings.HasPrefix(s.name, "go:") || strings.HasPrefix(s.name, "struct ") || strings.HasPrefix(s.name, "go.(*") {
			owner = pkgs[0].Name
		}
		sums[owner] += n
	}
	delete(sums, pkgs[0].Name)
	return sums
}

// textOf sums the machine code of each module, and tells how large the tables of
// functions are.
func textOf(t *testing.T, content []byte, pkgs []Package) (sums map[string]footprint.Bytes, tables footprint.Bytes) {
	t.Helper()
	e, err := parseELF(Content{Size: int64(len(content)), Whole: content})
	if err != nil {
		t.Fatal(err)
	}
	table, ok := findGoTable(e)
	if !ok {
		t.Fatal("no table of functions")
	}
	of := goModules{index: map[string]int{}}
	for i, p := range pkgs {
		of.index[p.Name] = i
	}
	sums = map[string]footprint.Bytes{}
	for fn := range table.functions() {
		sums[pkgs[of.module(fn.name)].Name] += footprint.Bytes(fn.size)
	}
	delete(sums, pkgs[0].Name)
	return sums, footprint.Bytes(len(table.funcs)) + footprint.Bytes(table.linesSize)
}

func TestGoProgramAgainstTheToolsOfGo(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		args []string
	}{
		{"static", []string{"CGO_ENABLED=0"}, nil},
		{"stripped", []string{"CGO_ENABLED=0"}, []string{"-ldflags=-s -w"}},
		{"pie", []string{"CGO_ENABLED=0"}, []string{"-buildmode=pie"}},
		{"external", []string{"CGO_ENABLED=1"}, []string{"-ldflags=-linkmode=external"}},
		{"external pie", []string{"CGO_ENABLED=1"}, []string{"-buildmode=pie", "-ldflags=-linkmode=external"}},
		{"386", []string{"CGO_ENABLED=0", "GOARCH=386"}, nil},
		{"s390x", []string{"CGO_ENABLED=0", "GOARCH=s390x"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := buildGo(t, tt.env, append(tt.args, "./testdata/goprogram")...)
			content := read(t, file)
			facts := factsOf(t, "usr/bin/program", content)
			checkFacts(t, facts, len(content))
			if facts.Skipped != "" || len(facts.Packages) != 6 {
				t.Fatalf("%d packages, %s", len(facts.Packages), facts.Skipped)
			}
			main := facts.Packages[0]
			if main.Name != "github.com/org/image-budget" || !main.Main || main.Root != "/usr/bin/program" || !main.Installed {
				t.Errorf("main package: %+v", main)
			}
			var got, want []string
			for _, p := range facts.Packages[2:] {
				got = append(got, p.Name+" "+p.Version)
			}
			for line := range strings.Lines(tool(t, "go", "version", "-m", file)) {
				if f := strings.Fields(line); f[0] == "dep" {
					want = append(want, f[1]+" "+f[2])
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("modules (-go version, +got):\n%s", diff)
			}
			if tt.name == "stripped" {
				return
			}
			nm := nmBytes(t, file, facts.Packages)
			text, lines := textOf(t, content, facts.Packages)
			if diff := gocmp.Diff(nm, text); diff != "" {
				t.Errorf("machine code (-nm, +got):\n%s", diff)
			}
			var tables footprint.Bytes
			for _, p := range facts.Packages[1:] {
				if p.Inside < text[p.Name] {
					t.Errorf("%s: %d bytes, and %d of machine code", p.Name, p.Inside, text[p.Name])
				}
				tables += p.Inside - text[p.Name]
			}
			if tables > lines || tables < lines/2 {
				t.Errorf("%d bytes of the tables of %d are for one of the modules", tables, lines)
			}
		})
	}
}

const goModuleList = "path\texample.com/cmd/app\nmod\texample.com/app\tv1.2.3\th1:x=\n" +
	"dep\tgopkg.in/yaml.v3\tv3.0.1\th1:x=\ndep\tgithub.com/a/b\tv1.0.0\n=>\tgithub.com/fork/b\tv1.0.1\th1:x=\n" +
	"dep\tgithub.com/a/b/v2\tv2.0.0\n=>\t./b\t(devel)\t\n"

// goSections are those of a Go program of which the table has that magic:
// functions of 16, 32, 48 … bytes.
func goSections(order binary.ByteOrder, magic uint32, functions ...string) []testSection {
	word := func(b []byte, v int) []byte { return append(b, order64(order, v)...) }
	half := func(b []byte, v int) []byte {
		return append(b, order64(order, v)[map[bool]int{true: 4}[order == binary.BigEndian]:][:4]...)
	}

	var info []byte
	modules := strings.Repeat("<", 16) + goModuleList + strings.Repeat(">", 16)
	const addr = 0x1000
	if magic == goTableMagics[2] { // as before Go 1.18, two pointers to strings
		info = append(info, "\xff Go buildinf:\x08\x00"...)
		info = word(word(info, addr+32), addr+48)
		info = word(word(info, addr+64), len("go1.17"))
		info = word(word(info, addr+70), len(modules))
		info = append(info, "go1.17"+modules...)
	} else {
		info = append(info, "\xff Go buildinf:\x08\x02"...)
		info = append(info, make([]byte, 16)...)
		for _, s := range []string{"go1.25.1", modules} {
			info = append(binary.AppendUvarint(info, uint64(len(s))), s...)
		}
	}

	var names, funcs, records []byte
	entry, field := 0x400, 4
	put := half
	if magic == goTableMagics[2] {
		put, field = word, 8
	}
	start := (2*len(functions) + 1) * field
	for i, f := range functions {
		funcs = put(put(funcs, entry), start+len(records))
		records = half(half(half(put(records, entry), len(names)), 0), 0)
		records = append(half(half(records, 1+10*i), 1), make([]byte, 24)...) // a line table of its own, and the first one
		names = append(names, f+"\x00"...)
		entry += 16 * (i + 1)
	}
	funcs = append(put(funcs, entry), records...)
	table := half(nil, int(magic))
	table = word(append(table, 0, 0, 1, 8), len(functions))
	table = word(table, 0)
	at := 8 + 8*8
	if magic != goTableMagics[2] {
		table = word(table, 0)
	} else {
		at -= 8
	}
	table = word(table, at)
	for range 3 {
		table = word(table, at+len(names))
	}
	lines := 1 + 10*len(functions)
	table = word(table, at+len(names)+lines)
	table = append(append(table, names...), make([]byte, lines)...)
	table = append(table, funcs...)
	return []testSection{
		{goInfoSection, elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_WRITE, addr, info},
		{".gopclntab", elf.SHT_PROGBITS, elf.SHF_ALLOC, 0x8000, table},
		{".text", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_EXECINSTR, 0x400, make([]byte, 4096)},
	}
}

func order64(order binary.ByteOrder, v int) []byte {
	b := make([]byte, 8)
	order.PutUint64(b, uint64(v))
	return b
}

// Every layout of the table, and of the build information, in both byte orders,
// in a section of its own and in a larger one.
func TestLayoutsOfGo(t *testing.T) {
	t.Parallel()
	functions := []string{
		"main.main", "runtime.main", "gopkg.in/yaml%2ev3.(*parser).peek", "github.com/a/b.F[...]", "github.com/a/b/v2/in.F.func1",
		"type:.eq.github.com/a/b.T", "example.com/app/in.F", "github.com/unknown/c.F", "_rt0_amd64_linux", "type..eq.[2]string",
		"go.(*struct { a/b.T }).Lock", "slices.SortFunc[go.shape.[]github.com/a/b.T,go.shape.string]", "struct { sync.Mutex }.Lock",
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, magic := range goTableMagics {
			for _, within := range []bool{false, true} {
				sections := goSections(order, magic, functions...)
				if within {
					sections[1].name = ".data.rel.ro"
					sections[1].content = append(order64(order, int(magic)<<32|int(magic)), sections[1].content...)
				}
				content := makeELF(order, sections...)
				record := 4 + 4 + 40 + 10
				if magic == goTableMagics[2] {
					record = 8 + 4 + 40 + 10
				}
				version := map[bool]string{true: "1.17", false: "1.25.1"}[magic == goTableMagics[2]]
				want := []string{
					"main example.com/app v1.2.3 0", fmt.Sprintf("stdlib %s %d", version, 16*(2+9+12)+3*record),
					fmt.Sprintf("gopkg.in/yaml.v3 v3.0.1 %d", 16*3+record), fmt.Sprintf("github.com/fork/b v1.0.1 %d", 16*4+record),
					fmt.Sprintf("github.com/a/b/v2  %d", 16*5+record),
				}
				facts := factsOf(t, "app", content)
				if diff := gocmp.Diff(want, saidOf(facts)); diff != "" || facts.Skipped != "" {
					t.Errorf("%v, magic %x, within %v: %s (-want, +got):\n%s", order, magic, within, facts.Skipped, diff)
				}
			}
		}
	}
}

func TestMalformedGoProgram(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		damage func(info, table []byte)
		want   string
	}{
		{"good", func([]byte, []byte) {}, "stdlib 1.25.1 16"},
		{"no version", func(info, _ []byte) { info[32] = 0 }, "malformed Go build information"},
		{"a version that is too long", func(info, _ []byte) { copy(info[32:], "\xff\xff\x7f") }, "malformed Go build information"},
		{"strings elsewhere", func(info, _ []byte) { info[15] = 0; info[18] = 9 }, "malformed Go build information"},
		{"no modules", func(info, _ []byte) { info[len(info)-17] = 'x' }, "main app  0"},
		{"other magic", func(_, table []byte) { table[0] = 0 }, "unknown table of Go functions"},
		{"too many functions", func(_, table []byte) { table[9] = 255 }, "unknown table of Go functions"},
		{"a function that is too long", func(_, table []byte) { table[len(table)-50] = 1 }, "malformed table of Go functions"},
	} {
		sections := goSections(binary.LittleEndian, goTableMagics[0], "runtime.main")
		tt.damage(sections[0].content, sections[1].content)
		content := makeELF(binary.LittleEndian, sections...)
		facts := factsOf(t, "app", content)
		checkFacts(t, facts, len(content))
		said := append(saidOf(facts), facts.Skipped)
		if !slices.Contains(said, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, said, tt.want)
		}
	}
}

// Looking into a program has to be clearly cheaper than hashing it, which the
// scan does anyway.
func BenchmarkGoProgram(b *testing.B) {
	content := read(b, buildGo(b, []string{"CGO_ENABLED=0"}, "../.."))
	f := File{Path: "bin/program", Size: int64(len(content))}
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(f.Size)
		for b.Loop() {
			sha256.Sum256(content)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(f.Size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := readELF(f, Content{Size: f.Size, Whole: content}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("collect and read", func(b *testing.B) {
		b.SetBytes(f.Size)
		b.ReportAllocs()
		c := NewCollector()
		for b.Loop() {
			collect(c, f, content, 32<<10)
		}
	})
}

// Of a program that is too large to be kept, the modules are known, but not how
// large they are.
func TestLargeGoProgram(t *testing.T) {
	t.Parallel()
	content := read(t, buildGo(t, []string{"CGO_ENABLED=0"}, "./testdata/goprogram"))
	want := saidOf(factsOf(t, "program", content))
	for i := range want {
		want[i] = want[i][:strings.LastIndexByte(want[i], ' ')] + " 0"
	}
	c := &Collector{readers: elfReaders()}
	c.readers[0].max = 1 << 20
	facts, _ := collect(c, File{Path: "program", Size: int64(len(content))}, content, 32<<10)
	if diff := gocmp.Diff(want, saidOf(facts)); diff != "" || facts.Skipped != "larger than 128 MB: bytes of its modules are not known" {
		t.Errorf("%q (-want, +got):\n%s", facts.Skipped, diff)
	}
}

// As many functions as are looked at, each in a package of its own that is in a
// hundred directories.
func TestGoProgramOfTooManyPackages(t *testing.T) {
	t.Parallel()
	sections := goSections(binary.LittleEndian, goTableMagics[0], "a.F")
	names := strings.Repeat("a/b/", 1000)
	le := binary.LittleEndian
	const n = maxGoFuncs
	table := slices.Clone(sections[1].content[:72])
	le.PutUint64(table[8:], n)
	for i := range 4 {
		le.PutUint64(table[8+8*(4+i):], uint64(72+len(names)))
	}
	table = append(table, names...)
	start := (2*n + 1) * 4
	for i := range uint32(n) {
		table = le.AppendUint32(le.AppendUint32(table, 16*i), uint32(start)+8*(i%3000))
	}
	table = le.AppendUint32(table, 16*n)
	for i := range uint32(3010) {
		table = le.AppendUint32(le.AppendUint32(table, 0), i)
	}
	sections[1].content = table
	sections[2].content = make([]byte, 16*n)
	content := makeELF(le, sections...)
	began := time.Now()
	facts := factsOf(t, "app", content)
	checkFacts(t, facts, len(content))
	if facts.Packages[1].Inside == 0 {
		t.Errorf("%q %q", saidOf(facts), facts.Skipped)
	}
	t.Log(time.Since(began), saidOf(facts), facts.Skipped)
}
