package scan

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
)

// The tests here hold the promise that the bytes of a package are those of the
// files that its package manager names, as they lie on disk. The file systems
// are whole ones, made from real packages.

// told is what a package manager says of one package: the paths that it has
// files at, as it has them.
type told struct {
	name, version string
	paths         []string
}

// figure is what must agree.
type figure struct {
	Bytes footprint.Bytes
	Files int
}

// onDisk looks up what lies at the paths below a root: regular files, each once
// whatever names it has, for the first package by name that has it.
func onDisk(t *testing.T, root string, packages []told) map[string]figure {
	t.Helper()
	packages = slices.Clone(packages)
	slices.SortStableFunc(packages, func(a, b told) int { return strings.Compare(a.name, b.name) })
	out := map[string]figure{}
	seen := map[uint64]bool{}
	for _, p := range packages {
		key := p.name + " " + p.version
		sum := out[key]
		for _, path := range p.paths {
			info, err := os.Lstat(inside(root, path))
			if err != nil || !info.Mode().IsRegular() {
				continue // a directory, a link, or not there
			}
			if ino := info.Sys().(*syscall.Stat_t).Ino; !seen[ino] {
				seen[ino] = true
				sum.Bytes += footprint.Bytes(info.Size())
				sum.Files++
			}
		}
		out[key] = sum
	}
	return out
}

// inside returns where a path is below a root, if the links in its parents stay
// there.
func inside(root, path string) string {
	dir := root
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	for links := 0; len(parts) > 1 && links < 40; {
		next := filepath.Join(dir, parts[0])
		if parts[0] == ".." && dir == root {
			next = root
		}
		to, err := os.Readlink(next)
		if err != nil {
			dir, parts = next, parts[1:]
			continue
		}
		if links++; strings.HasPrefix(to, "/") {
			dir = root
		}
		parts = append(strings.FieldsFunc(to, func(r rune) bool { return r == '/' }), parts[1:]...)
	}
	return filepath.Join(dir, strings.Join(parts, "/"))
}

// agree compares the packages of an image with what is on disk, and checks that
// all adds up.
func agree(t *testing.T, img *footprint.Image, ecosystem string, want map[string]figure) map[string]string {
	t.Helper()
	got := map[string]figure{}
	for _, p := range img.Packages {
		if p.Ecosystem == ecosystem {
			got[p.Name+" "+p.Version] = figure{p.Bytes, p.Files}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-on disk +measured):\n%s", diff)
	}
	return checkOwners(t, img)
}

// run runs a program and returns what it wrote to stdout.
func run(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(bench.Command(t, args[0]), args[1:]...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "LC_ALL=C"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", args, err, out, stderr.String())
	}
	return string(out)
}

// debianFiles asks dpkg what it has on disk. A package of which only the
// configuration is left is none.
func debianFiles(t *testing.T, root string) []told {
	t.Helper()
	query := []string{"dpkg-query", "--admindir=" + filepath.Join(root, "var/lib/dpkg")}
	var out []told
	for line := range strings.Lines(run(t, "", nil, append(query, "-W", "-f", "${db:Status-Status} ${binary:Package} ${Package} ${Version}\n")...)) {
		words := strings.Fields(line)
		if words[0] == "config-files" || words[0] == "not-installed" {
			continue
		}
		p := told{name: words[2], version: words[3]}
		for line := range strings.Lines(run(t, "", nil, append(query, "-L", words[1])...)) {
			line = strings.TrimSuffix(line, "\n")
			_, to, moved := strings.Cut(line, " to: ")
			switch {
			case strings.HasPrefix(line, "/"):
				p.paths = append(p.paths, line)
			case moved && !strings.HasPrefix(line, "package diverts others"):
				p.paths[len(p.paths)-1] = to
			}
		}
		out = append(out, p)
	}
	return out
}

// fileSystem lays out the file system of an image of an engine in a directory.
func fileSystem(t *testing.T, host, ref string) string {
	t.Helper()
	root := t.TempDir()
	env := []string{"DOCKER_HOST=" + host}
	id := strings.TrimSpace(run(t, "", env, "docker", "create", ref, "true"))
	defer run(t, "", env, "docker", "rm", id)
	archive := filepath.Join(t.TempDir(), "export.tar")
	run(t, "", env, "docker", "export", "--output", archive, id)
	run(t, root, nil, "tar", "--extract", "--file", archive, "--exclude", "dev/*")
	must(t, os.Remove(archive))
	return root
}

func TestDebianAgreesWithDpkg(t *testing.T) {
	t.Parallel()
	host, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	for _, ref := range []string{"debian:bookworm-slim", "node:20-alpine"} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			root := fileSystem(t, host, ref)
			if _, err := os.Stat(filepath.Join(root, "var/lib/dpkg/status")); err != nil && strings.HasSuffix(ref, "alpine") {
				t.Skip("this is the published image; the stand-in for it is a Debian with packages of npm")
			}
			img := measureReference(t, "docker-daemon:"+ref, host)
			want := onDisk(t, root, debianFiles(t, root))
			agree(t, img, "dpkg", want)
			if len(want) < 50 {
				t.Errorf("only %d packages", len(want))
			}
		})
	}
}

// deb is a package of Debian. Files are by path: content, "->" and the target of
// a symbolic link, or "=>" and the path of a file that it is another name of.
type deb struct {
	name, version, arch string
	fields              []string // of its control file, beside the usual ones
	files               map[string]string
	conffiles           []string
	preinst             string
}

// build has dpkg-deb make the package, and returns its path.
func (d deb) build(t *testing.T, dir string) string {
	t.Helper()
	tree := t.TempDir()
	must(t, os.Chmod(tree, 0o755)) // it becomes the root of the package
	layOut(t, tree, d.files)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: nobody <nobody@example.org>\nDescription: made for a test\n", d.name, d.version, d.arch)
	for _, field := range d.fields {
		control += field + "\n"
	}
	var sums strings.Builder // as debhelper writes them: without what is configuration
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		if content := d.files[path]; !strings.HasPrefix(content, "->") && !slices.Contains(d.conffiles, path) {
			if first, is := strings.CutPrefix(content, "=>"); is {
				content = d.files[first]
			}
			fmt.Fprintf(&sums, "%x  %s\n", md5.Sum([]byte(content)), strings.TrimPrefix(path, "/"))
		}
	}
	meta := map[string]string{"/DEBIAN/control": control, "/DEBIAN/md5sums": sums.String()}
	if len(d.conffiles) > 0 {
		meta["/DEBIAN/conffiles"] = strings.Join(d.conffiles, "\n") + "\n"
	}
	if d.preinst != "" {
		meta["/DEBIAN/preinst"] = "#!/bin/sh\nset -e\n" + d.preinst + "\n"
	}
	layOut(t, tree, meta)
	path := filepath.Join(dir, d.name+"_"+d.version+"_"+d.arch+".deb")
	run(t, "", nil, "dpkg-deb", "--root-owner-group", "--build", tree, path)
	return path
}

// layOut writes files below a root.
func layOut(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for _, link := range []bool{false, true} { // what links are to comes first
		for path, content := range files {
			at := filepath.Join(root, path)
			must(t, os.MkdirAll(filepath.Dir(at), 0o755))
			first, is := strings.CutPrefix(content, "=>")
			to, symbolic := strings.CutPrefix(content, "->")
			switch {
			case is != link:
			case is:
				must(t, os.Link(filepath.Join(root, first), at))
			case symbolic:
				must(t, os.Symlink(to, at))
			default:
				must(t, os.WriteFile(at, []byte(content), 0o755))
			}
		}
	}
}

// TestDebianLayersAgreeWithDpkg installs, upgrades, diverts, overwrites and
// removes packages in layers above a Debian, with the dpkg that is in it.
func TestDebianLayersAgreeWithDpkg(t *testing.T) {
	t.Parallel()
	host, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	dir := t.TempDir()
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, d := range []deb{
		{name: "ib-plain", version: "1-1", arch: "all", conffiles: []string{"/etc/ib/plain.conf", "/etc/ib/kept.conf"}, files: map[string]string{
			"/usr/bin/ib-plain": x(1001), "/usr/bin/ib-again": "=>/usr/bin/ib-plain", "/usr/bin/ib-link": "->ib-plain", "/lib/ib/merged": x(1003),
			"/etc/ib/plain.conf": x(1007), "/etc/ib/kept.conf": x(3), "/usr/share/ib/gone": x(1009), "/usr/share/ib/with space and \u00fc": x(1013), "/usr/share/ib/moves": x(1019),
		}},
		{name: "ib-plain", version: "1:2-1", arch: "all", conffiles: []string{"/etc/ib/plain.conf", "/etc/ib/kept.conf"}, files: map[string]string{
			"/usr/bin/ib-plain": x(2003), "/usr/bin/ib-again": "=>/usr/bin/ib-plain", "/bin/ib-new": x(2011), "/lib/ib/merged": x(1003),
			"/etc/ib/plain.conf": x(2017), "/etc/ib/kept.conf": x(4), "/usr/share/ib/with space and \u00fc": x(1013), "/usr/share/ib/moves": x(2027),
		}},
		{name: "ib-takes", version: "1", arch: "all", fields: []string{"Replaces: ib-plain"}, files: map[string]string{"/usr/share/ib/moves": x(3001)}},
		{name: "ib-victim", version: "1", arch: "all", files: map[string]string{"/usr/bin/ib-tool": x(4001), "/usr/bin/ib-local": x(4003), "/sbin/ib-merged": x(4007)}},
		{name: "ib-diverts", version: "1", arch: "all", files: map[string]string{"/usr/bin/ib-tool": x(5003), "/sbin/ib-merged": x(5009)},
			preinst: "for f in /usr/bin/ib-tool /sbin/ib-merged; do dpkg-divert --package ib-diverts --divert $f.real --rename $f; done"},
		{name: "ib-removed", version: "1", arch: "all", conffiles: []string{"/etc/ib/removed.conf"}, files: map[string]string{"/etc/ib/removed.conf": x(6007), "/usr/share/ib/removed": x(6011)}},
		{name: "ib-purged", version: "1", arch: "all", files: map[string]string{"/usr/share/ib/purged": x(7001)}},
		{name: "ib-both", version: "1", arch: "amd64", fields: []string{"Multi-Arch: same"}, files: map[string]string{"/usr/lib/x86_64-linux-gnu/ib": x(8009), "/usr/share/ib/both": x(8011)}},
		{name: "ib-both", version: "1", arch: "i386", fields: []string{"Multi-Arch: same"}, files: map[string]string{"/usr/lib/i386-linux-gnu/ib": x(8017), "/usr/share/ib/both": x(8011)}},
		{name: "ib-nothing", version: "1", arch: "all"},
	} {
		d.build(t, dir)
	}
	must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(`FROM debian:bookworm-slim
COPY *.deb /debs/
RUN dpkg --add-architecture amd64 && dpkg --add-architecture i386 && cd /debs && \
    dpkg --force-architecture -i ib-plain_1-1_all.deb ib-victim_*.deb ib-removed_*.deb ib-purged_*.deb ib-both_*.deb ib-nothing_*.deb && \
    echo changed by hand > /etc/ib/plain.conf
RUN cd /debs && dpkg --force-confold -i ib-plain_1:2-1_all.deb && dpkg -i ib-takes_*.deb ib-diverts_*.deb && \
    dpkg-divert --local --rename --divert /opt/ib-local --add /usr/bin/ib-local && dpkg -r ib-removed && dpkg -P ib-purged && \
    rm -r /debs /usr/bin/ib-again
`), 0o644))
	env := []string{"DOCKER_HOST=" + host, "DOCKER_BUILDKIT=0"}
	ref := fmt.Sprintf("ib/packages:%d", time.Now().UnixNano())
	run(t, dir, env, "docker", "build", "--quiet", "--network", "none", "--tag", ref, ".")
	t.Cleanup(func() { run(t, "", env, "docker", "rmi", ref) })
	root := fileSystem(t, host, ref)
	want := onDisk(t, root, debianFiles(t, root))
	owners := agree(t, measureReference(t, "docker-daemon:"+ref, host), "dpkg", want)
	// What dpkg says is what was meant to be tested.
	for key, bytes := range map[string]footprint.Bytes{
		"ib-plain 1:2-1": 2003 + 2011 + 1003 + 16 + 4 + 1013, "ib-takes 1": 3001, "ib-victim 1": 4001 + 4003 + 4007, "ib-diverts 1": 5003 + 5009,
		"ib-both 1": 8009 + 8011 + 8017, "ib-nothing 1": 0,
	} {
		if want[key].Bytes != bytes {
			t.Errorf("%s has %d bytes on disk, not %d", key, want[key].Bytes, bytes)
		}
	}
	for path, owner := range map[string]string{
		"/usr/bin/ib-tool": "dpkg:ib-diverts", "/usr/bin/ib-tool.real": "dpkg:ib-victim", "/usr/sbin/ib-merged.real": "dpkg:ib-victim", "/opt/ib-local": "dpkg:ib-victim",
		"/etc/ib/removed.conf": "unowned", "/etc/ib/plain.conf.dpkg-dist": "unowned", "/usr/share/ib/removed": "", "/usr/share/ib/purged": "",
	} {
		if owners[path] != owner {
			t.Errorf("%s: %q, want %q", path, owners[path], owner)
		}
	}
}

// TestDistrolessAgreesWithItsPackages unpacks packages without dpkg and writes
// down what such tools write. Most write the control file and the sums of each,
// and nothing that tells whose the configuration is.
func TestDistrolessAgreesWithItsPackages(t *testing.T) {
	t.Parallel()
	bench.Command(t, "dpkg-deb")
	x := func(n int) string { return strings.Repeat("x", n) }
	packages := []deb{
		{name: "libib1.1", version: "3.0-1", arch: "amd64", fields: []string{"Multi-Arch: same"},
			files: map[string]string{"/usr/lib/libib.so.3.0": x(1001), "/usr/lib/libib.so.3": "->libib.so.3.0", "/usr/share/doc/libib3/copyright": x(1009)}},
		{name: "ib-base", version: "1:12+deb", arch: "all", conffiles: []string{"/etc/ib-base.conf"},
			files: map[string]string{"/etc/ib-base.conf": x(2003), "/etc/ib-protocols": x(2011), "/usr/share/ib/a": x(2017), "/usr/share/ib/b": "=>/usr/share/ib/a", "/usr/share/ib/\u00fcx": x(2027), "/lib/ib": x(2029)}},
	}
	// named says under which name a stanza and its sums are stored.
	sums := func(named func(d deb) string) func(d deb, control, md5sums string) map[string]string {
		return func(d deb, control, md5sums string) map[string]string {
			path := "/var/lib/dpkg/status.d/" + named(d)
			return map[string]string{path: control, path + ".md5sums": md5sums}
		}
	}
	for name, tool := range map[string]struct {
		metadata func(d deb, control, md5sums string) map[string]string
		owned    bool // the configuration
	}{
		"by name":                       {sums(func(d deb) string { return d.name }), false},
		"by name and architecture":      {sums(func(d deb) string { return d.name + ":" + d.arch }), false},
		"up to what is no word":         {sums(func(d deb) string { return d.name[:strings.IndexAny(d.name+".", "-.+")] }), false}, // rules_docker
		"in Base64, as of 2020 to 2021": {sums(func(d deb) string { return base64.StdEncoding.EncodeToString([]byte(d.name)) }), false},
		"lists without the first slash": {func(d deb, control, _ string) map[string]string { // rules_distroless
			var list strings.Builder
			for _, path := range slices.Sorted(maps.Keys(d.files)) {
				list.WriteString(path[1:] + "\n")
			}
			return map[string]string{"/var/lib/dpkg/status.d/" + d.name: control, "/var/lib/dpkg/info/" + d.name + ":" + d.arch + ".list": list.String()}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, dir := t.TempDir(), t.TempDir()
			must(t, os.MkdirAll(filepath.Join(root, "usr/lib"), 0o755))
			must(t, os.Symlink("usr/lib", filepath.Join(root, "lib")))
			want := map[string]figure{}
			configuration := "unowned"
			if tool.owned {
				configuration = "dpkg:ib-base"
			}
			for _, d := range packages {
				file := d.build(t, dir)
				// With --extract a directory would take the place of a link to one.
				archive := filepath.Join(dir, "data.tar")
				must(t, os.WriteFile(archive, []byte(run(t, "", nil, "dpkg-deb", "--fsys-tarfile", file)), 0o644))
				run(t, root, nil, "tar", "--extract", "--keep-directory-symlink", "--file", archive)
				layOut(t, root, tool.metadata(d, run(t, "", nil, "dpkg-deb", "--field", file), run(t, "", nil, "dpkg-deb", "--info", file, "md5sums")))
				var sum figure
				for line := range strings.Lines(run(t, "", nil, "dpkg-deb", "--contents", file)) {
					words := strings.Fields(line) // mode, owner, size, day, time, path
					if words[0][0] != '-' {
						continue // a directory or a link: a second name of a file has "h"
					}
					var size footprint.Bytes
					if _, err := fmt.Sscan(words[2], &size); err != nil {
						t.Fatal(line)
					}
					if tool.owned || !slices.Contains(d.conffiles, strings.TrimPrefix(words[5], ".")) {
						sum.Bytes += size
						sum.Files++
					}
				}
				want[d.name+" "+d.version] = sum
			}
			layer, _ := layerOf(t, root, nil)
			owners := agree(t, measureReference(t, layoutOf(t, layer), ""), "dpkg", want)
			if want["libib1.1 3.0-1"].Bytes != 1001+1009 || owners["/etc/ib-base.conf"] != configuration || owners["/usr/lib/ib"] != "dpkg:ib-base" {
				t.Errorf("%v: %v", want, owners)
			}
		})
	}
}

// state is what a file system holds, by path: all that makes a file another one.
type state map[string]string

// layerOf makes a layer of what was done to a file system since a state of it,
// nil for none, and returns the state it is in now.
func layerOf(t *testing.T, root string, before state) ([]byte, state) {
	t.Helper()
	after := state{}
	infos := map[string]fs.FileInfo{}
	names := map[uint64][]string{} // of a regular file
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root+"/")
		infos[name] = info
		if d.Type().IsRegular() {
			ino := info.Sys().(*syscall.Stat_t).Ino
			names[ino] = append(names[ino], name)
		}
		return nil
	}))
	for name, info := range infos {
		path := filepath.Join(root, name)
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			must(t, err)
			after[name] = fmt.Sprintf("%v %x %q", info.Mode(), sha256.Sum256(content), names[info.Sys().(*syscall.Stat_t).Ino])
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			must(t, err)
			after[name] = "->" + to
		default:
			after[name] = info.Mode().String()
		}
	}
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		dir := filepath.Dir(name)
		if _, still := infos[name]; still || dir != "." && (infos[dir] == nil || !infos[dir].IsDir()) {
			continue
		}
		must(t, tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.Join(dir, ".wh."+filepath.Base(name)), Mode: 0o644}))
	}
	for _, name := range slices.Sorted(maps.Keys(infos)) {
		if before[name] == after[name] {
			continue
		}
		info := infos[name]
		to, _ := os.Readlink(filepath.Join(root, name))
		h, err := tar.FileInfoHeader(info, to)
		must(t, err)
		if h.Name = name; info.IsDir() {
			h.Name += "/"
		}
		if !info.Mode().IsRegular() {
			must(t, tw.WriteHeader(h))
			continue
		}
		if first := slices.Min(names[info.Sys().(*syscall.Stat_t).Ino]); first != name {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			must(t, tw.WriteHeader(h))
			continue
		}
		must(t, tw.WriteHeader(h))
		content, err := os.ReadFile(filepath.Join(root, name))
		must(t, err)
		_, err = tw.Write(content)
		must(t, err)
	}
	must(t, tw.Close())
	return out.Bytes(), after
}
