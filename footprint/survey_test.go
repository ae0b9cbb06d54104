package footprint

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// walked puts files in path order and the directories above them between.
func walked(files ...File) []File {
	seen := map[string]bool{}
	var out []File
	for _, f := range files {
		for d := parentDir(f.Path); d != "/" && !seen[d]; d = parentDir(d) {
			seen[d] = true
			out = append(out, File{Path: d, Kind: Directory, Mode: 0o755})
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b File) int { return comparePaths(a.Path, b.Path) })
	return out
}

func TestContents(t *testing.T) {
	t.Parallel()
	elf := file("/usr/bin/app", 100, 1)
	elf.Debug, elf.Symbols = 60, 7
	inDebug := file("/usr/lib/debug/.build-id/ab/cd.debug", 50, 0)
	inDebug.Debug = 49
	img := Image{Files: slices.Values(walked(
		elf, inDebug,
		file("/app/.git/objects/pack/p.pack", 1000, 1), file("/app/.git/test/x.a", 5, 1),
		file("/app/.gitignore", 3, 1),
		file("/app/a.js.map", 11, 1), file("/app/sub/b.css.map", 12, 0), file("/app/city.map", 900, 1),
		file("/root/.npm/_cacache/content-v2/x", 400, 1), file("/var/lib/apt/lists/deb_Packages", 40, 0),
		file("/usr/lib/libc.a", 70, 0), file("/usr/lib/liba-other-name.a", 0, 0), file("/usr/share/man/empty", 0, 1),
		// Bytecode beside its source, bytecode that is the program, and others.
		file("/py/m.py", 1, 1), file("/py/__pycache__/m.cpython-311.pyc", 21, 1), file("/py/__pycache__/m.cpython-311.opt-1.pyc", 22, 1),
		file("/py/__pycache__/gone.cpython-311.pyc", 500, 1), file("/py/old.py", 1, 1), file("/py/old.pyc", 23, 1), file("/py/only.pyc", 500, 1),
		file("/app/node_modules/test/index.js", 600, 1), file("/app/node_modules/@a/tests/index.js", 600, 1),
		file("/app/node_modules/x/test/index.js", 31, 1), file("/app/test/index.js", 600, 1),
		file("/usr/lib/python3/dist-packages/x/tests/t.py", 32, 0), file("/usr/lib/python3.11/test/t.py", 33, 0),
		file("/usr/share/doc/x/copyright", 80, 0), file("/usr/share/man/man1/x.1.gz", 81, 1),
		file("/usr/share/locale/de/LC_MESSAGES/x.mo", 90, 0), file("/opt/x/de.mo", 91, 1),
	))}
	img.Survey(1)
	want := []Content{
		{VersionControl, 1005, 1005, 2, "/app/.git/objects/pack/p.pack"},
		{PackageCaches, 440, 400, 2, "/root/.npm/_cacache/content-v2/x"},
		{Locales, 181, 91, 2, "/opt/x/de.mo"},
		{Documentation, 161, 81, 2, "/usr/share/man/man1/x.1.gz"},
		{DebugInfo, 110, 60, 2, "/usr/bin/app"},
		{Tests, 96, 31, 3, "/usr/lib/python3.11/test/t.py"},
		{StaticArchives, 70, 0, 1, "/usr/lib/libc.a"},
		{Bytecode, 66, 66, 3, "/py/old.pyc"},
		{SourceMaps, 23, 11, 2, "/app/sub/b.css.map"},
		{SymbolTables, 7, 7, 1, "/usr/bin/app"},
	}
	if diff := gocmp.Diff(want, img.Contents); diff != "" {
		t.Error(diff)
	}
}

func TestSurface(t *testing.T) {
	t.Parallel()
	program := func(path string, mode uint16) File {
		f := file(path, 1, 0)
		f.Mode = mode
		return f
	}
	link := File{Path: "/bin/sh", Kind: Symlink, Link: "/bin/busybox"}
	applet := File{Path: "/bin/rpm", Kind: Symlink, Link: "busybox"}
	img := Image{Files: slices.Values(walked(
		program("/bin/bash", 0o755), link, applet, program("/bin/dash", 0o644), program("/usr/share/bash", 0o755),
		program("/usr/bin/apt-get", 0o755), program("/usr/local/bin/pip3.11", 0o755), program("/usr/local/bin/pipeline", 0o755),
		program("/usr/bin/gcc-12", 0o755), program("/usr/bin/x86_64-linux-gnu-g++-12", 0o755), program("/usr/bin/7", 0o755),
		program("/usr/bin/passwd", 0o4755), program("/usr/bin/wall", 0o2755), program("/data/odd", 0o4644),
	))}
	img.Survey(0)
	want := &Surface{
		Setuid: []string{"/data/odd", "/usr/bin/passwd", "/usr/bin/wall"}, Shells: []string{"/bin/bash", "/bin/sh"},
		PackageManagers: []string{"/usr/bin/apt-get", "/usr/local/bin/pip3.11"},
		Compilers:       []string{"/usr/bin/gcc-12", "/usr/bin/x86_64-linux-gnu-g++-12"},
	}
	if diff := gocmp.Diff(want, img.Surface); diff != "" {
		t.Error(diff)
	}
}
