package advice

import (
	"bytes"
	"cmp"
	"context"
	"debug/elf"
	"encoding/binary"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// The bounds of what is followed. No image that works comes near them.
const (
	maxLibraries = 4096
	maxFolders   = 512
	maxIncludes  = 64
	maxLdCache   = 8 << 20
	maxPattern   = 4 << 10
	maxLookups   = 500_000 // paths that one set of programs has looked at
)

// glob lists the files that a pattern names whose last part alone has stars, in
// order.
func (t *tree) glob(pattern string) []string {
	folder, _, ok := t.follow(path.Dir(pattern))
	if !ok {
		return nil
	}
	var out []string
	for _, f := range t.children(folder.Path) {
		if ok, err := path.Match(path.Base(pattern), path.Base(f.Path)); ok && err == nil {
			out = append(out, f.Path)
		}
	}
	return out
}

// contents reads a file of the image behind its links, nil where it cannot be
// had.
func (s *subject) contents(ctx context.Context, t *tree, name string) ([]byte, error) {
	f, _, ok := t.follow(name)
	if !ok || f.Kind != footprint.Regular || s.Read == nil {
		return nil, nil
	}
	found, err := s.Read(ctx, f.Path)
	return found[f.Path], err
}

// distro is what an image calls its system.
type distro struct {
	// ID, Version and Codename are as in os-release, "" if it does not say:
	// "debian", "12", "bookworm".
	ID, Version, Codename string
}

// distro reads os-release; it is zero where there is none.
func (s *subject) distro(ctx context.Context, t *tree) (distro, error) {
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		text, err := s.contents(ctx, t, name)
		if err != nil {
			return distro{}, err
		}
		if text == nil {
			continue
		}
		var d distro
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			value = strings.Trim(value, `"'`)
			switch key {
			case "ID":
				d.ID = value
			case "VERSION_ID":
				d.Version = value
			case "VERSION_CODENAME":
				d.Codename = value
			}
		}
		return d, nil
	}
	return distro{}, nil
}

// The flavours of libc that are known.
const (
	glibc = "glibc"
	musl  = "musl"
)

// libcOf tells the flavour of libc from the loader that a program names, "" if
// it is another.
func libcOf(interpreter string) string {
	base := path.Base(interpreter)
	switch {
	case strings.HasPrefix(base, "ld-musl-"):
		return musl
	case strings.HasPrefix(base, "ld-linux"), base == "ld64.so.1", base == "ld64.so.2", base == "ld.so.1":
		return glibc
	}
	return ""
}

// library is a file that a program does not start without.
type library struct {
	// Name is what asks for it: "libz.so.1", or the path of a loader; By is the
	// path of the file that does.
	Name, By string
	// Path is where the loader opens it, Real the file behind the links, which
	// are in Links. They are "" and nil where it is missing.
	Path, Real string
	Links      []string
	// Owner is whom the file belongs to, Layer the layer that holds it.
	Owner footprint.Owner
	Layer int
	Size  footprint.Bytes
	// Uncached is set where the loader would find it only after ldconfig.
	Uncached bool
	// Loader is set on a loader, ByName on what libc loads without saying so.
	Loader, ByName bool
}

// closure is what a set of programs loads.
type closure struct {
	// Libraries are in order of path, Missing in order of who asks and name.
	Libraries, Missing []library
	// Libc is glibc or musl, "" where none is loaded, or both.
	Libc string
	// Dlopen are the files that load others by a name that nobody knows.
	Dlopen []string
	// Cut tells that there was too much to look at: Libraries are not all, and
	// nothing is known to be missing.
	Cut bool
}

// dynamic tells whether a file is a program or a library that a loader loads.
func dynamic(p *footprint.Program) bool {
	return p != nil && p.ELF && (p.Interpreter != "" || p.Library || len(p.Needed) > 0)
}

// closure finds what the files at these paths load, as the loader of their libc
// looks for it. What is no ELF file is passed over.
func (s *subject) closure(ctx context.Context, t *tree, roots ...string) (*closure, error) {
	c := &closure{}
	linkers := map[string]*linker{}
	seen := map[string]bool{}
	opens := map[string]bool{}
	flavours := map[string]bool{}
	for _, root := range roots {
		f, _, ok := t.follow(root)
		if !ok || f.Kind != footprint.Regular || !dynamic(f.Program) {
			continue
		}
		flavour := t.flavour(f.Program)
		l := linkers[linkerKey(flavour, f.Program)]
		if l == nil {
			var err error
			if l, err = s.linker(ctx, t, flavour, f.Program); err != nil {
				return nil, err
			}
			linkers[linkerKey(flavour, f.Program)] = l
		}
		libraries, missing := l.load(f, opens)
		c.Cut = c.Cut || l.lookups >= maxLookups || len(libraries) >= maxLibraries
		for _, lib := range libraries {
			if !seen[lib.Path] && len(c.Libraries) < maxLibraries {
				seen[lib.Path] = true
				c.Libraries = append(c.Libraries, lib)
			}
		}
		for _, lib := range missing {
			if !slices.ContainsFunc(c.Missing, func(m library) bool { return m.Name == lib.Name && m.By == lib.By }) && len(c.Missing) < maxLibraries {
				c.Missing = append(c.Missing, lib)
			}
		}
		flavours[flavour] = true
	}
	slices.SortFunc(c.Libraries, func(a, b library) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(c.Missing, func(a, b library) int {
		return cmp.Or(cmp.Compare(a.By, b.By), cmp.Compare(a.Name, b.Name))
	})
	for name := range opens {
		c.Dlopen = append(c.Dlopen, name)
	}
	slices.Sort(c.Dlopen)
	if c.Cut = c.Cut || len(c.Libraries) >= maxLibraries; c.Cut {
		c.Missing = nil
	}
	if len(flavours) == 1 {
		c.Libc = flavourOf(flavours)
	}
	return c, nil
}

func flavourOf(one map[string]bool) string {
	for f := range one {
		return f
	}
	return ""
}

func linkerKey(flavour string, p *footprint.Program) string {
	return string(binary.BigEndian.AppendUint32([]byte(flavour), uint32(p.Machine)<<16|uint32(p.Class)))
}

// flavour is the libc that a file is loaded with. Behind the name of glibc's
// loader may be musl, which gcompat does. A library has that of the image.
func (t *tree) flavour(p *footprint.Program) string {
	if p.Interpreter == "" {
		for _, a := range archsOf(p) {
			for _, name := range []string{"/lib/ld-musl-" + a.musl + ".so.1", a.loader} {
				if _, _, ok := t.follow(name); ok {
					return t.flavour(&footprint.Program{Interpreter: name})
				}
			}
		}
		return ""
	}
	f, links, ok := t.follow(p.Interpreter)
	if ok && (libcOf(f.Path) == musl || strings.Contains(path.Base(f.Path), "gcompat") ||
		slices.ContainsFunc(links, func(l footprint.File) bool { return libcOf(l.Path) == musl })) {
		return musl
	}
	return libcOf(p.Interpreter)
}

// arch is how systems name a machine in paths.
type arch struct {
	machine elf.Machine
	class   uint16 // of footprint.Program
	// triplet is the folder of Debian, musl the name of musl, loader the path
	// of glibc's.
	triplet, musl, loader string
	// lib is the folder beside /lib that libraries of 64 bits have elsewhere.
	lib string
}

const (
	elf32LE, elf32BE = 0x0101, 0x0102
	elf64LE, elf64BE = 0x0201, 0x0202
)

// archsOf are the names for the machine of a file; several ABIs share one.
func archsOf(p *footprint.Program) []arch {
	all := []arch{
		{elf.EM_X86_64, elf64LE, "x86_64-linux-gnu", "x86_64", "/lib64/ld-linux-x86-64.so.2", "lib64"},
		{elf.EM_X86_64, elf32LE, "x86_64-linux-gnux32", "x32", "/libx32/ld-linux-x32.so.2", "libx32"},
		{elf.EM_AARCH64, elf64LE, "aarch64-linux-gnu", "aarch64", "/lib/ld-linux-aarch64.so.1", "lib64"},
		{elf.EM_386, elf32LE, "i386-linux-gnu", "i386", "/lib/ld-linux.so.2", "lib"},
		{elf.EM_ARM, elf32LE, "arm-linux-gnueabihf", "armhf", "/lib/ld-linux-armhf.so.3", "lib"},
		{elf.EM_ARM, elf32LE, "arm-linux-gnueabi", "arm", "/lib/ld-linux.so.3", "lib"},
		{elf.EM_RISCV, elf64LE, "riscv64-linux-gnu", "riscv64", "/lib/ld-linux-riscv64-lp64d.so.1", "lib64"},
		{elf.EM_PPC64, elf64LE, "powerpc64le-linux-gnu", "powerpc64le", "/lib64/ld64.so.2", "lib64"},
		{elf.EM_S390, elf64BE, "s390x-linux-gnu", "s390x", "/lib/ld64.so.1", "lib64"},
		{elf.EM_LOONGARCH, elf64LE, "loongarch64-linux-gnu", "loongarch64", "/lib64/ld-linux-loongarch-lp64d.so.1", "lib64"},
		{elf.EM_MIPS, elf64LE, "mips64el-linux-gnuabi64", "mips64el", "/lib64/ld.so.1", "lib64"},
		{elf.EM_MIPS, elf32LE, "mipsel-linux-gnu", "mipsel", "/lib/ld.so.1", "lib"},
	}
	return slices.DeleteFunc(all, func(a arch) bool { return a.machine != elf.Machine(p.Machine) || a.class != p.Class })
}

// linker looks for libraries as the loader of one libc does for one machine.
type linker struct {
	*tree
	musl    bool
	machine uint16
	class   uint16
	// env are the folders of LD_LIBRARY_PATH, cached what ldconfig wrote down by
	// name, nil if that is not known, conf the folders that it is told to look
	// at, and usual those that need no telling.
	env    []string
	cached map[string][]string
	conf   []string
	usual  []string
	// libs are what $LIB may stand for.
	libs []string
	// lookups counts paths that were looked at.
	lookups int
}

func (s *subject) linker(ctx context.Context, t *tree, flavour string, p *footprint.Program) (*linker, error) {
	l := &linker{tree: t, musl: flavour == musl, machine: p.Machine, class: p.Class}
	if s.Config != nil {
		for _, e := range s.Config.Env {
			if list, ok := strings.CutPrefix(e, "LD_LIBRARY_PATH="); ok {
				l.env = l.env[:0]
				for _, folder := range strings.FieldsFunc(list, func(c rune) bool { return c == ':' || c == ';' }) {
					l.env = append(l.env, folder)
				}
			}
		}
		for i, folder := range l.env {
			if !strings.HasPrefix(folder, "/") && !strings.HasPrefix(folder, "$") {
				l.env[i] = path.Join("/", s.Config.WorkingDir, folder)
			}
		}
	}
	l.env = l.env[:min(len(l.env), maxFolders)]
	archs := archsOf(p)
	if l.musl {
		for _, a := range archs {
			text, err := s.contents(ctx, t, "/etc/ld-musl-"+a.musl+".path")
			if err != nil {
				return nil, err
			}
			if text != nil {
				l.usual = strings.FieldsFunc(string(text), func(c rune) bool { return c == ':' || c == '\n' })
				l.usual = l.usual[:min(len(l.usual), maxFolders)]
				return l, nil
			}
		}
		l.usual = []string{"/lib", "/usr/local/lib", "/usr/lib"}
		return l, nil
	}
	for _, a := range archs {
		l.libs = append(l.libs, "lib/"+a.triplet, a.lib)
		l.usual = append(l.usual, "/lib/"+a.triplet, "/usr/lib/"+a.triplet, "/"+a.lib, "/usr/"+a.lib)
	}
	l.libs = append(l.libs, "lib")
	l.usual = append(l.usual, "/lib", "/usr/lib")
	if s.Read == nil {
		// That is what the systems with apt have in it.
		l.conf = []string{"/usr/local/lib"}
		for _, a := range archs {
			l.conf = append(l.conf, "/usr/local/lib/"+a.triplet)
		}
		return l, nil
	}
	cache, err := s.contents(ctx, t, "/etc/ld.so.cache")
	if err != nil {
		return nil, err
	}
	l.cached = readLdCache(cache)
	l.conf, err = s.ldConf(ctx, t)
	return l, err
}

// ldConf lists the folders of /etc/ld.so.conf and of what it includes.
func (s *subject) ldConf(ctx context.Context, t *tree) ([]string, error) {
	var folders []string
	files, read, patterns := []string{"/etc/ld.so.conf"}, map[string]bool{}, 0
	for len(files) > 0 && len(read) < maxIncludes {
		name := files[0]
		files = files[1:]
		if read[name] {
			continue
		}
		read[name] = true
		text, err := s.contents(ctx, t, name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(" \t\r\n:,", c) })
			switch {
			case len(words) == 0 || words[0] == "hwcap":
			case words[0] == "include":
				for _, pattern := range words[1:] {
					if patterns++; patterns > maxIncludes || len(pattern) > maxPattern {
						break
					}
					if !strings.HasPrefix(pattern, "/") {
						pattern = path.Join(path.Dir(name), pattern)
					}
					if found := t.glob(pattern); len(files)+len(found) <= maxIncludes {
						files = append(files, found...)
					}
				}
			default:
				for _, folder := range words {
					// A folder may be followed by the kind of its libraries.
					folder, _, _ = strings.Cut(folder, "=")
					if strings.HasPrefix(folder, "/") && len(folders) < maxFolders {
						folders = append(folders, folder)
					}
				}
			}
		}
	}
	return folders, nil
}

// readLdCache reads /etc/ld.so.cache: the paths by name, those that are tried
// first in front. It is nil where it cannot be read.
//
// The format is that of glibc since 2.2, which may stand behind an older one:
// magic, number of entries, entries of 24 bytes with the places of name and path
// counted from the magic.
func readLdCache(b []byte) map[string][]string {
	if len(b) > maxLdCache {
		return nil
	}
	magic := []byte("glibc-ld.so.cache1.1")
	at := bytes.Index(b, magic)
	if at < 0 || len(b)-at < 48 {
		return nil
	}
	b = b[at:]
	var order binary.ByteOrder = binary.LittleEndian
	if n := order.Uint32(b[20:]); uint64(n)*24 > uint64(len(b)) {
		order = binary.BigEndian
	}
	n := uint64(order.Uint32(b[20:]))
	if 48+n*24 > uint64(len(b)) {
		return nil
	}
	text := func(at uint32) string {
		if uint64(at) >= uint64(len(b)) {
			return ""
		}
		end := bytes.IndexByte(b[at:min(int(at)+4096, len(b))], 0)
		return string(b[at : int(at)+max(end, 0)])
	}
	out := map[string][]string{}
	for i := range n {
		e := b[48+24*i:]
		// What wants more of the machine than any has counts as an extra.
		name, file, hwcap := text(order.Uint32(e[4:])), text(order.Uint32(e[8:])), order.Uint64(e[16:])
		if name != "" && strings.HasPrefix(file, "/") && hwcap == 0 && len(out[name]) < maxFolders {
			out[name] = append(out[name], file)
		}
	}
	return out
}

// loading is a file that was loaded, with the one that asked for it.
type loading struct {
	file   footprint.File
	opened string // the path that it was opened by
	by     *loading
}

// load finds all that is loaded with a file, breadth first as loaders do: a
// name that was loaded once is not looked for again.
func (l *linker) load(root footprint.File, opens map[string]bool) (libraries, missing []library) {
	names := map[string]bool{}
	queue := []*loading{{file: root, opened: root.Path}}
	take := func(lib library, f footprint.File, by *loading) {
		libraries = append(libraries, lib)
		if p := f.Program; p != nil {
			if p.Soname != "" {
				names[p.Soname] = true
			}
			queue = append(queue, &loading{file: f, opened: lib.Path, by: by})
		}
	}
	if loader := root.Program.Interpreter; loader != "" {
		names[path.Base(loader)] = true
		if f, links, ok := l.follow(loader); ok && f.Kind == footprint.Regular {
			lib := libraryAt(loader, root.Path, loader, f, links)
			lib.Loader = true
			libraries = append(libraries, lib)
			if f.Program != nil && f.Program.Soname != "" {
				names[f.Program.Soname] = true
			}
			if l.musl && f.Program != nil && len(f.Program.Needed) > 0 { // gcompat
				queue = append(queue, &loading{file: f, opened: loader})
			}
		} else {
			missing = append(missing, library{Name: loader, By: root.Path, Layer: -1, Loader: true})
		}
	}
	for i := 0; i < len(queue) && len(libraries) < maxLibraries && l.lookups < maxLookups; i++ {
		by := queue[i]
		if by.file.Program.Dlopen && !l.ofLibc(by.file) {
			opens[by.file.Path] = true
		}
		for _, name := range by.file.Program.Needed {
			if names[name] || l.musl && ofMusl(name) {
				continue
			}
			names[name] = true
			lib, f, ok := l.find(name, by)
			if !ok {
				missing = append(missing, library{Name: name, By: by.file.Path, Layer: -1})
				continue
			}
			take(lib, f, by)
			if !l.musl && name == "libc.so.6" {
				// What libc loads by name: to look names up before glibc 2.34, and
				// to end threads.
				for _, extra := range []string{"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1"} {
					if lib, f, ok := l.at(path.Dir(lib.Path), extra, by); ok && !names[extra] {
						lib.ByName, names[extra] = true, true
						take(lib, f, by)
					}
				}
			}
		}
	}
	return libraries, missing
}

// ofLibc tells the parts of libc, which load others for reasons of their own.
func (l *linker) ofLibc(f footprint.File) bool {
	base := path.Base(f.Path)
	for _, part := range []string{"libc.so.", "libc-", "ld-", "libdl.", "libdl-", "libpthread", "libgcc_s.", "libnss_", "libresolv"} {
		if strings.HasPrefix(base, part) {
			return true
		}
	}
	return false
}

// ofMusl tells the names that musl's loader answers itself.
func ofMusl(name string) bool {
	rest, ok := strings.CutPrefix(name, "lib")
	part, _, dot := strings.Cut(rest, ".")
	return ok && dot && slices.Contains([]string{"c", "pthread", "rt", "m", "dl", "util", "xnet"}, part)
}

func libraryAt(name, by, opened string, f footprint.File, links []footprint.File) library {
	lib := library{Name: name, By: by, Path: opened, Real: f.Path, Owner: f.Owner, Layer: f.Layer, Size: f.Size}
	for _, l := range links {
		lib.Links = append(lib.Links, l.Path)
	}
	return lib
}

// at looks for a library in one folder.
func (l *linker) at(folder, name string, by *loading) (library, footprint.File, bool) {
	if l.lookups++; l.lookups > maxLookups {
		return library{}, footprint.File{}, false
	}
	opened := path.Join(folder, name)
	f, links, ok := l.follow(opened)
	if !ok || f.Kind != footprint.Regular {
		return library{}, footprint.File{}, false
	}
	// A file of another machine is passed over; one that nobody could read is
	// taken at its name.
	if p := f.Program; p != nil && (!p.ELF || p.Machine != l.machine || p.Class != l.class) {
		return library{}, footprint.File{}, false
	}
	return libraryAt(name, by.file.Path, opened, f, links), f, true
}

// find looks for a library that a file asks for.
func (l *linker) find(name string, by *loading) (library, footprint.File, bool) {
	if strings.Contains(name, "/") {
		if !strings.HasPrefix(name, "/") {
			return library{}, footprint.File{}, false // depends on where it is started
		}
		return l.at(path.Dir(name), path.Base(name), by)
	}
	look := func(folders []string) (library, footprint.File, bool) {
		for _, folder := range folders {
			if lib, f, ok := l.at(folder, name, by); ok {
				return lib, f, ok
			}
		}
		return library{}, footprint.File{}, false
	}
	// Those that asked have folders too: with musl, and with the RPATH that came
	// before RUNPATH. Where it is not one of these, they come last and help only
	// what would not start at all.
	var inherited []string
	for up := by.by; up != nil && len(inherited) < maxFolders; up = up.by {
		inherited = append(inherited, l.folders(up)...)
	}
	own := l.folders(by)
	if l.musl {
		return look(slices.Concat(l.env, own, inherited, l.usual))
	}
	if lib, f, ok := look(slices.Concat(own, l.expand(l.env, by))); ok {
		return lib, f, ok
	}
	for _, file := range l.cached[name] {
		if lib, f, ok := l.at(path.Dir(file), path.Base(file), by); ok {
			return lib, f, ok
		}
	}
	if lib, f, ok := look(l.usual); ok {
		return lib, f, ok
	}
	if lib, f, ok := look(inherited); ok {
		return lib, f, ok
	}
	lib, f, ok := look(l.conf)
	lib.Uncached = l.cached != nil
	return lib, f, ok
}

// folders are those that a file names itself.
func (l *linker) folders(of *loading) []string {
	if of.file.Program == nil {
		return nil
	}
	return l.expand(of.file.Program.Runpath, of)
}

// expand puts in what loaders put in for $ORIGIN, $LIB and $PLATFORM.
func (l *linker) expand(folders []string, of *loading) []string {
	var out []string
	for _, folder := range folders {
		if len(out) >= maxFolders {
			break
		}
		if !strings.Contains(folder, "$") {
			out = append(out, folder)
			continue
		}
		origin := path.Dir(of.opened)
		libs := l.libs
		if !strings.Contains(folder, "LIB") || len(libs) == 0 {
			libs = []string{"lib"}
		}
		for _, lib := range libs {
			out = append(out, strings.NewReplacer("${ORIGIN}", origin, "$ORIGIN", origin, "${LIB}", lib, "$LIB", lib,
				"${PLATFORM}", "x86_64", "$PLATFORM", "x86_64").Replace(folder))
		}
	}
	return out
}
