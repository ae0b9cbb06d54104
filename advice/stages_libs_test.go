package advice

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
)

// elfProgram is one for x86-64.
func elfProgram(interpreter string, needed ...string) *footprint.Program {
	return &footprint.Program{ELF: true, Interpreter: interpreter, Needed: needed, Library: interpreter == "", Machine: uint16(elf.EM_X86_64), Class: elf64LE}
}

const gnuLoader, muslLoader = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"

// libsSubject is an image with these files and the directories above them.
// Contents can be read, unless they are nil.
func libsSubject(files []footprint.File, contents map[string]string, env ...string) (*subject, *tree) {
	all := map[string]footprint.File{}
	for _, f := range files {
		if f.Kind == 0 {
			f.Kind = footprint.Regular
		}
		all[f.Path] = f
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = footprint.File{Path: dir, Kind: footprint.Directory}
			}
		}
	}
	var sorted []footprint.File
	for _, f := range all {
		sorted = append(sorted, f)
	}
	slices.SortFunc(sorted, func(a, b footprint.File) int {
		return slices.Compare(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"))
	})
	img := &footprint.Image{Files: iter.Seq[footprint.File](slices.Values(sorted))}
	from := &Subject{Image: img, Config: &footprint.Config{Env: env, WorkingDir: "/srv"}}
	if contents != nil {
		from.Read = func(_ context.Context, paths ...string) (map[string][]byte, error) {
			out := map[string][]byte{}
			for _, p := range paths {
				if text, ok := contents[p]; ok {
					out[p] = []byte(text)
				}
			}
			return out, nil
		}
	}
	return newSubject(from), newTree(img)
}

func TestClosure(t *testing.T) {
	t.Parallel()
	lib := func(name string, needed ...string) footprint.File {
		return footprint.File{Path: name, Program: elfProgram("", needed...)}
	}
	runpath := func(f footprint.File, folders ...string) footprint.File {
		p := *f.Program
		p.Runpath, f.Program = folders, &p
		return f
	}
	link := func(name, to string) footprint.File {
		return footprint.File{Path: name, Kind: footprint.Symlink, Link: to}
	}
	program := func(name, loader string, needed ...string) footprint.File {
		return footprint.File{Path: name, Program: elfProgram(loader, needed...)}
	}
	other := lib("/usr/lib/x86_64-linux-gnu/libz.so.1")
	other.Program.Machine = uint16(elf.EM_AARCH64)
	gnu := []footprint.File{
		link("/lib", "usr/lib"), link("/lib64", "usr/lib64"),
		link("/usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
		lib("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
		lib("/usr/lib/x86_64-linux-gnu/libc.so.6", "ld-linux-x86-64.so.2"),
	}
	const libc = "/lib/x86_64-linux-gnu/libc.so.6"
	cases := []struct {
		name     string
		files    []footprint.File
		contents map[string]string
		env      []string
		// want are paths in order, "name?" of what is missing, "path!" of what
		// ldconfig would have to find.
		want []string
		libc string
	}{
		{name: "a static program", files: []footprint.File{program("/app", "")}, libc: ""},
		{name: "a program on scratch", files: []footprint.File{program("/app", gnuLoader, "libc.so.6")},
			want: []string{gnuLoader + "?", "libc.so.6?"}, libc: glibc},
		{name: "libc and its loader behind merged folders", files: append([]footprint.File{program("/app", gnuLoader, "libc.so.6")}, gnu...),
			want: []string{libc, gnuLoader}, libc: glibc},
		{name: "a soname is a link", files: append([]footprint.File{program("/app", gnuLoader, "libz.so.1"),
			link("/usr/lib/x86_64-linux-gnu/libz.so.1", "libz.so.1.2.13"), lib("/usr/lib/x86_64-linux-gnu/libz.so.1.2.13", "libc.so.6")}, gnu...),
			want: []string{libc, "/lib/x86_64-linux-gnu/libz.so.1", gnuLoader}, libc: glibc},
		{name: "of another machine", files: append([]footprint.File{program("/app", gnuLoader, "libz.so.1"), other, lib("/usr/lib/libz.so.1")}, gnu...),
			want: []string{"/lib/libz.so.1", gnuLoader}, libc: glibc},
		{name: "beside the program", files: append([]footprint.File{runpath(program("/opt/app/bin/app", gnuLoader, "liba.so"), "$ORIGIN/../lib"),
			link("/app", "/opt/app/bin/app"),
			runpath(lib("/opt/app/lib/liba.so", "libb.so"), "${ORIGIN}/more"), lib("/opt/app/lib/more/libb.so")}, gnu...),
			want: []string{gnuLoader, "/opt/app/lib/liba.so", "/opt/app/lib/more/libb.so"}, libc: glibc},
		{name: "by RPATH of the one that asked", files: append([]footprint.File{runpath(program("/app", gnuLoader, "liba.so"), "/opt/lib"),
			lib("/opt/lib/liba.so", "libb.so"), lib("/opt/lib/libb.so")}, gnu...),
			want: []string{gnuLoader, "/opt/lib/liba.so", "/opt/lib/libb.so"}, libc: glibc},
		{name: "LD_LIBRARY_PATH", files: append([]footprint.File{program("/app", gnuLoader, "liba.so", "libb.so"),
			lib("/opt/lib/liba.so"), lib("/srv/here/libb.so"), lib("/usr/lib/liba.so")}, gnu...), env: []string{"LD_LIBRARY_PATH=/nothing:/opt/lib:here"},
			want: []string{gnuLoader, "/opt/lib/liba.so", "/srv/here/libb.so"}, libc: glibc},
		{name: "folders of ld.so.conf", files: append([]footprint.File{program("/app", gnuLoader, "liba.so"), lib("/usr/local/lib/liba.so"),
			{Path: "/etc/ld.so.conf"}, {Path: "/etc/ld.so.conf.d/libc.conf"}, {Path: "/etc/ld.so.conf.d/notes.txt"}}, gnu...),
			contents: map[string]string{"/etc/ld.so.conf": "include ld.so.conf.d/*.conf\ninclude /etc/ld.so.conf\n", "/etc/ld.so.conf.d/libc.conf": "# local\n/usr/local/lib\n"},
			want:     []string{gnuLoader, "/usr/local/lib/liba.so"}, libc: glibc},
		{name: "ldconfig did not run", files: append([]footprint.File{program("/app", gnuLoader, "liba.so", "libb.so"), lib("/usr/local/lib/liba.so"), lib("/opt/b/libb.so"),
			{Path: "/etc/ld.so.conf"}, {Path: "/etc/ld.so.cache"}}, gnu...),
			contents: map[string]string{"/etc/ld.so.conf": "/usr/local/lib\n", "/etc/ld.so.cache": ldCache("libb.so", "/opt/b/libb.so")},
			want:     []string{gnuLoader, "/opt/b/libb.so", "/usr/local/lib/liba.so!"}, libc: glibc},
		{name: "without contents", files: append([]footprint.File{program("/app", gnuLoader, "liba.so"), lib("/usr/local/lib/liba.so")}, gnu...),
			want: []string{gnuLoader, "/usr/local/lib/liba.so"}, libc: glibc},
		{name: "what libc loads by name", files: append([]footprint.File{program("/app", gnuLoader, "libc.so.6"),
			lib("/usr/lib/x86_64-linux-gnu/libnss_dns.so.2", "libresolv.so.2"), lib("/usr/lib/x86_64-linux-gnu/libresolv.so.2")}, gnu...),
			want: []string{libc, "/lib/x86_64-linux-gnu/libnss_dns.so.2", "/lib/x86_64-linux-gnu/libresolv.so.2", gnuLoader}, libc: glibc},
		{name: "musl", files: []footprint.File{program("/app", muslLoader, "libz.so.1", "libc.musl-x86_64.so.1", "libpthread.so.0"),
			lib(muslLoader), link("/usr/lib/libz.so.1", "libz.so.1.3"), lib("/usr/lib/libz.so.1.3", "libc.musl-x86_64.so.1")},
			want: []string{muslLoader, "/usr/lib/libz.so.1"}, libc: musl},
		{name: "musl with folders of its own", files: []footprint.File{program("/app", muslLoader, "libz.so.1"), lib(muslLoader),
			lib("/usr/lib/libz.so.1"), lib("/opt/lib/libz.so.1"), {Path: "/etc/ld-musl-x86_64.path"}},
			contents: map[string]string{"/etc/ld-musl-x86_64.path": "/lib\n/opt/lib:/usr/lib\n"},
			want:     []string{muslLoader, "/opt/lib/libz.so.1"}, libc: musl},
		{name: "glibc's program on musl", files: []footprint.File{program("/app", gnuLoader, "libc.so.6"), lib(muslLoader)},
			want: []string{gnuLoader + "?", "libc.so.6?"}, libc: glibc},
		{name: "gcompat", files: []footprint.File{program("/app", gnuLoader, "libc.so.6"), lib(muslLoader),
			link(gnuLoader, "/lib/libgcompat.so.0"), lib("/lib/libgcompat.so.0")}, want: []string{gnuLoader}, libc: musl},
		{name: "a module has the libc of the image", files: []footprint.File{lib("/app", "libz.so.1"), lib(muslLoader), lib("/usr/lib/libz.so.1")},
			want: []string{"/usr/lib/libz.so.1"}, libc: musl},
		{name: "links that lead in a circle", files: append([]footprint.File{program("/app", gnuLoader, "liba.so"),
			link("/usr/lib/liba.so", "libb.so"), link("/usr/lib/libb.so", "liba.so")}, gnu...), want: []string{gnuLoader, "liba.so?"}, libc: glibc},
		{name: "names that lead elsewhere", files: append([]footprint.File{program("/app", gnuLoader, "../liba.so", "/opt/libb.so"), lib("/opt/libb.so")}, gnu...),
			want: []string{gnuLoader, "/opt/libb.so", "../liba.so?"}, libc: glibc},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, files := libsSubject(c.files, c.contents, c.env...)
			got, err := s.closure(t.Context(), files, "/app", "/opt/app/bin/app", "/none")
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, l := range got.Libraries {
				mark := ""
				if l.Uncached {
					mark = "!"
				}
				have = append(have, l.Path+mark)
				if l.Real == "" || l.Path != l.Real && len(l.Links) == 0 {
					t.Errorf("%+v: no way leads from its path to the file", l)
				}
			}
			for _, l := range got.Missing {
				have = append(have, l.Name+"?")
			}
			if !slices.Equal(have, c.want) || got.Libc != c.libc {
				t.Errorf("got %q with %q, want %q with %q", have, got.Libc, c.want, c.libc)
			}
		})
	}
}

// Libraries that look in many folders for many others come to an end.
func TestClosureOfHostileProgramsEnds(t *testing.T) {
	t.Parallel()
	var folders, names []string
	for i := range 512 {
		folders = append(folders, fmt.Sprintf("/opt/%d", i))
		names = append(names, fmt.Sprintf("lib%d.so", i))
	}
	var files []footprint.File
	for i := range 256 {
		p := elfProgram("", fmt.Sprintf("x%d.so", i+1))
		for _, n := range names {
			p.Needed = append(p.Needed, fmt.Sprintf("%d-%s", i, n))
		}
		p.Runpath = folders
		files = append(files, footprint.File{Path: fmt.Sprintf("/opt/511/x%d.so", i), Program: p})
	}
	s, all := libsSubject(files, nil)
	got, err := s.closure(t.Context(), all, "/opt/511/x0.so")
	if err != nil || !got.Cut || got.Missing != nil {
		t.Errorf("%v, cut %v, %d missing", err, got.Cut, len(got.Missing))
	}
}

// ldCache is an ld.so.cache that tells where one library is.
func ldCache(name, file string) string {
	b := []byte("glibc-ld.so.cache1.1")
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)+len(file)+2))
	b = append(b, make([]byte, 20)...)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint32(b, 72)
	b = binary.LittleEndian.AppendUint32(b, uint32(72+len(name)+1))
	b = append(b, make([]byte, 12)...)
	return string(b) + name + "\x00" + file + "\x00"
}

func FuzzReadLdCache(f *testing.F) {
	f.Add([]byte(ldCache("libz.so.1", "/lib/libz.so.1")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, files := range readLdCache(b) {
			if name == "" || len(files) == 0 {
				t.Errorf("%q: %q", name, files)
			}
		}
	})
}

// TestClosureIsWhatLddSays compares with the loaders of real images.
func TestClosureIsWhatLddSays(t *testing.T) {
	t.Parallel()
	docker := bench.Command(t, "docker")
	engine, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command(docker, append([]string{"-H", engine}, args...)...).Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				t.Fatalf("docker %v: %v\n%s", args, err, exit.Stderr)
			}
			t.Fatal(err)
		}
		return out
	}
	cases := []struct{ image, programs string }{
		{"debian:bookworm-slim", "/bin/bash /usr/bin/apt-get /usr/bin/perl /usr/bin/tar /usr/bin/ldd"},
		{"node:20-alpine", "/usr/local/bin/node /usr/bin/node /bin/bash /usr/bin/git"},
	}
	for _, c := range cases {
		t.Run(c.image, func(t *testing.T) {
			container := strings.TrimSpace(string(run("create", "--network", "none", c.image, "true")))
			defer run("rm", "-f", container)
			s, files := exportedSubject(t, run("export", container))
			for _, program := range strings.Fields(c.programs) {
				if f, _, ok := files.follow(program); !ok || f.Program == nil || f.Program.Interpreter == "" {
					continue
				}
				var want []string
				for line := range strings.Lines(string(run("run", "--rm", "--network", "none", "--entrypoint", "ldd", c.image, program))) {
					if file := pathIn(line); file != "" {
						want = append(want, file)
					}
				}
				slices.Sort(want)
				got, err := s.closure(t.Context(), files, program)
				if err != nil {
					t.Fatal(err)
				}
				var have []string
				for _, l := range got.Libraries {
					if !l.ByName {
						have = append(have, l.Path)
					}
				}
				if !slices.Equal(have, want) || len(got.Missing) > 0 || got.Libc != glibc {
					t.Errorf("%s: got %q, missing %+v; ldd says %q", program, have, got.Missing, want)
				}
				t.Logf("%s: %d libraries", program, len(have))
			}
		})
	}
}

// pathIn is the path in a line of ldd: "libc.so.6 => /lib/libc.so.6 (0x1234)".
func pathIn(line string) string {
	for word := range strings.FieldsSeq(line) {
		if strings.HasPrefix(word, "/") {
			return word
		}
	}
	return ""
}

// exportedSubject is the filesystem of a container, read by other means than
// the scanner's.
func exportedSubject(t *testing.T, archive []byte) (*subject, *tree) {
	t.Helper()
	var files []footprint.File
	contents := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		f := footprint.File{Path: path.Clean("/" + h.Name), Link: h.Linkname, Size: footprint.Bytes(h.Size)}
		switch h.Typeflag {
		case tar.TypeReg:
			f.Kind = footprint.Regular
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(f.Path, "/etc/") {
				contents[f.Path] = string(b)
			}
			f.Program = debugElf(b)
		case tar.TypeLink:
			f.Kind = footprint.Regular
			for _, first := range files {
				if first.Path == path.Clean("/"+h.Linkname) {
					f.Program = first.Program
				}
			}
		case tar.TypeSymlink:
			f.Kind = footprint.Symlink
		case tar.TypeDir:
			f.Kind = footprint.Directory
		default:
			f.Kind = footprint.Other
		}
		if f.Path != "/" {
			files = append(files, f)
		}
	}
	return libsSubject(files, contents)
}

func debugElf(b []byte) *footprint.Program {
	e, err := elf.NewFile(bytes.NewReader(b))
	if err != nil || e.Type != elf.ET_DYN && e.Type != elf.ET_EXEC {
		return nil
	}
	p := &footprint.Program{ELF: true, Machine: uint16(e.Machine), Class: uint16(e.Class)<<8 | uint16(e.Data)}
	for _, s := range e.Progs {
		if s.Type == elf.PT_INTERP {
			b, _ := io.ReadAll(s.Open())
			p.Interpreter = strings.TrimRight(string(b), "\x00")
		}
	}
	p.Needed, _ = e.ImportedLibraries()
	if names, _ := e.DynString(elf.DT_SONAME); len(names) > 0 {
		p.Soname = names[0]
	}
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		if texts, _ := e.DynString(tag); len(texts) > 0 && p.Runpath == nil {
			p.Runpath = strings.Split(texts[0], ":")
		}
	}
	p.Library = p.Interpreter == ""
	return p
}
