package scan

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// TestProgramsOfRealImages compares every program of two images with what
// readelf and debug/elf say of it.
func TestProgramsOfRealImages(t *testing.T) {
	t.Parallel()
	host, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	readelf := bench.Command(t, "readelf")
	for _, name := range []string{"debian:bookworm-slim", "node:20-alpine"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			programs := map[string]*footprint.Program{}
			for f := range measureReference(t, "docker-daemon:"+name, host).Files {
				if f.Kind == footprint.Regular {
					programs[f.Path] = f.Program
				}
			}
			img, err := source.New(source.Config{Engine: source.Engine{Host: host}}).Open(t.Context(), "docker-daemon:"+name)
			must(t, err)
			defer img.Close()
			layers, err := source.Read(t.Context(), img, source.ReadOptions{}, func(_ context.Context, r io.Reader) (map[string][]byte, error) {
				return contentsThat(r, func(head []byte) bool { return string(head[:4]) == elf.ELFMAG || string(head[:2]) == "#!" })
			})
			must(t, err)
			contents := map[string][]byte{}
			for _, l := range layers {
				for path, b := range l {
					contents[path] = b
				}
			}
			scripts := 0
			var elfs []string
			for path, b := range contents {
				p, there := programs[path]
				switch {
				case !there: // a layer above removed it
				case string(b[:4]) == elf.ELFMAG:
					elfs = append(elfs, path)
				default:
					scripts++
					line, _, _ := strings.Cut(string(b[2:]), "\n")
					if line = strings.TrimSpace(line); line[0] != '/' {
						continue // "#!perl -w": a hint for perl itself
					}
					if p == nil || p.ELF || strings.Join(strings.Fields(line), " ") != strings.Join(strings.Fields(p.Interpreter+" "+p.Args), " ") {
						t.Errorf("%s begins with %q: %+v", path, line, p)
					}
				}
			}
			for path, p := range programs {
				if p != nil && contents[path] == nil {
					t.Errorf("%s is no program: %+v", path, p)
				}
			}
			slices.Sort(elfs)
			if len(elfs) < 200 || scripts < 30 {
				t.Errorf("%d ELF files and %d scripts", len(elfs), scripts)
			}
			told := tellReadelf(t, readelf, elfs, contents)
			for i, path := range elfs {
				want := tellLibrary(t, contents[path])
				if got := tell(programs[path]); got != want || got != told[i] {
					t.Errorf("%s:\n     got %s\ndebug/elf %s\n  readelf %s", path, got, want, told[i])
				}
			}
			t.Logf("%d ELF files, %d scripts", len(elfs), scripts)
		})
	}
}

// contentsThat reads the regular files of a layer that begin as asked, and the
// hard links to them.
func contentsThat(r io.Reader, want func(head []byte) bool) (map[string][]byte, error) {
	files := map[string][]byte{}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		path := filepath.Join("/", h.Name)
		if h.Typeflag == tar.TypeLink {
			if b := files[filepath.Join("/", h.Linkname)]; b != nil {
				files[path] = b
			}
			continue
		}
		head := make([]byte, min(h.Size, 64))
		if _, err := io.ReadFull(tr, head); err != nil {
			return nil, err
		}
		if len(head) < 4 || !want(head) {
			continue
		}
		rest, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		files[path] = append(head, rest...)
	}
}

// tell is all of a program but what only one of the others tells.
func tell(p *footprint.Program) string {
	if p == nil {
		return "none"
	}
	return fmt.Sprintf("interpreter %s, needs %v, is %s, in %s, dlopen %v", p.Interpreter, p.Needed, p.Soname, strings.Join(p.Runpath, ":"), p.Dlopen)
}

func tellLibrary(t *testing.T, b []byte) string {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(b))
	must(t, err)
	if f.Type != elf.ET_DYN && f.Type != elf.ET_EXEC {
		return "none"
	}
	p := &footprint.Program{}
	if s := f.Section(".interp"); s != nil {
		text, err := s.Data()
		must(t, err)
		p.Interpreter = strings.TrimRight(string(text), "\x00")
	}
	texts := func(tag elf.DynTag) []string {
		list, err := f.DynString(tag)
		must(t, err)
		return list
	}
	p.Needed = texts(elf.DT_NEEDED)
	p.Soname = strings.Join(texts(elf.DT_SONAME), "")
	p.Runpath = texts(elf.DT_RUNPATH)
	if p.Runpath == nil {
		p.Runpath = texts(elf.DT_RPATH)
	}
	imported, _ := f.ImportedSymbols() // it may have no symbols
	p.Dlopen = slices.ContainsFunc(imported, func(s elf.ImportedSymbol) bool { return s.Name == "dlopen" || s.Name == "dlmopen" })
	return tell(p)
}

// tellReadelf asks readelf for all of the files at once.
func tellReadelf(t *testing.T, readelf string, paths []string, contents map[string][]byte) []string {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for i, path := range paths {
		names = append(names, filepath.Join(dir, fmt.Sprint(i)))
		must(t, os.WriteFile(names[i], contents[path], 0o600))
	}
	// One more, so that the output names the files even if there is one.
	args := append([]string{"-W", "-h", "-l", "-d", "--dyn-syms", readelf}, names...)
	said, err := exec.Command(readelf, args...).Output() // its warnings are no error
	if err != nil && len(said) == 0 {
		t.Fatal(err)
	}
	_, out, _ := strings.Cut(string(said), "\nFile: "+dir)
	row := regexp.MustCompile(`^ 0x[0-9a-f]+ \((NEEDED|SONAME|RUNPATH|RPATH)\) .*\[(.*)\]$`)
	imported := regexp.MustCompile(` UND (dlopen|dlmopen)(@.*)?$`)
	var told []string
	for _, of := range strings.Split(out, "\nFile: "+dir) {
		p, kind := &footprint.Program{}, ""
		rpath := ""
		for line := range strings.Lines(of) {
			line = strings.TrimRight(line, "\n")
			if _, text, ok := strings.Cut(line, "  Type:"); ok && kind == "" {
				kind = strings.Fields(text)[0]
			}
			if _, text, ok := strings.Cut(line, "[Requesting program interpreter: "); ok {
				p.Interpreter = strings.TrimSuffix(text, "]")
			}
			p.Dlopen = p.Dlopen || imported.MatchString(line)
			m := row.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			switch m[1] {
			case "NEEDED":
				p.Needed = append(p.Needed, m[2])
			case "SONAME":
				p.Soname = m[2]
			case "RUNPATH":
				p.Runpath = []string{m[2]}
			case "RPATH":
				rpath = m[2]
			}
		}
		if p.Runpath == nil && rpath != "" {
			p.Runpath = []string{rpath}
		}
		if kind != "DYN" && kind != "EXEC" {
			p = nil
		}
		told = append(told, tell(p))
	}
	if len(told) != len(paths) {
		t.Fatalf("readelf told of %d files, not %d", len(told), len(paths))
	}
	return told
}

// All names of a file are the program, whichever layer wrote it again, and what
// replaces one is none. Programs that need the same share it.
func TestProgramsOfTheMergedTree(t *testing.T) {
	t.Parallel()
	const script, other = "#!/bin/sh\necho 1\n", "#!/bin/sh\necho 22\n"
	img := measure(t, [][]byte{
		tarOf(t, "bin/a="+script, "bin/linked=>bin/a", "bin/gone="+script, "bin/data="+script, ".wh..wh.plnk/1="+script, "empty=", "link->bin/a"),
		tarOf(t, "bin/a="+script, "bin/linked=>bin/a", "bin/.wh.gone", "bin/data=1", "bin/b="+other),
	})
	got := map[string]string{}
	var shared *footprint.Program
	for f := range img.Files {
		if f.Program == nil {
			continue
		}
		got[f.Path] = f.Program.Interpreter
		if shared = cmp.Or(shared, f.Program); shared != f.Program {
			t.Errorf("%s has its own", f.Path)
		}
	}
	want := map[string]string{"/bin/a": "/bin/sh", "/bin/linked": "/bin/sh", "/bin/b": "/bin/sh"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
