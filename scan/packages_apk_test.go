package scan

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
)

// apk is a package of Alpine. Files are as those of deb.
type apk struct {
	name, version string
	depends       string
	files         map[string]string
}

// build writes the package: a signature, what is said of it and its files, each
// a tar, gzipped for itself. Only the last of them has an end.
func (a apk) build(t *testing.T) []byte {
	t.Helper()
	stream := func(end bool, write func(tw *tar.Writer)) []byte {
		var out bytes.Buffer
		zw := gzip.NewWriter(&out)
		tw := tar.NewWriter(zw)
		write(tw)
		if must(t, tw.Flush()); end {
			must(t, tw.Close())
		}
		must(t, zw.Close())
		return out.Bytes()
	}
	file := func(tw *tar.Writer, name, content string) {
		must(t, tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}))
		_, err := io.WriteString(tw, content)
		must(t, err)
	}
	size := 0
	data := stream(true, func(tw *tar.Writer) {
		dirs := map[string]bool{}
		for path := range a.files {
			for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
				dirs[dir] = true
			}
		}
		for _, dir := range slices.Sorted(maps.Keys(dirs)) {
			must(t, tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755}))
		}
		for _, links := range []bool{false, true} { // a second name comes after the first
			for _, path := range slices.Sorted(maps.Keys(a.files)) {
				content := a.files[path]
				h := &tar.Header{Typeflag: tar.TypeReg, Name: path[1:], Mode: 0o755, Format: tar.FormatPAX}
				first, link := strings.CutPrefix(content, "=>")
				if to, symbolic := strings.CutPrefix(content, "->"); symbolic {
					h.Typeflag, h.Linkname, h.Mode, content = tar.TypeSymlink, to, 0o777, to
				} else if link {
					h.Typeflag, h.Linkname, content = tar.TypeLink, first[1:], a.files[first]
				} else {
					h.Size = int64(len(content))
				}
				if link != links {
					continue
				}
				h.PAXRecords = map[string]string{"APK-TOOLS.checksum.SHA1": fmt.Sprintf("%x", sha1.Sum([]byte(content)))}
				must(t, tw.WriteHeader(h))
				if h.Typeflag == tar.TypeReg {
					_, err := io.WriteString(tw, content)
					must(t, err)
					size += len(content)
				}
			}
		}
	})
	info := fmt.Sprintf("# made for a test\npkgname = %s\npkgver = %s\npkgdesc = made for a test\nurl = https://example.org\nsize = %d\narch = x86_64\nlicense = none\n", a.name, a.version, size)
	for depend := range strings.FieldsSeq(a.depends) {
		info += "depend = " + depend + "\n"
	}
	info += fmt.Sprintf("datahash = %x\n", sha256.Sum256(data))
	control := stream(false, func(tw *tar.Writer) { file(tw, ".PKGINFO", info) })
	signature := stream(false, func(tw *tar.Writer) { file(tw, ".SIGN.RSA.test.rsa.pub", "no signature") })
	return slices.Concat(signature, control, data)
}

// apkStreams takes a package apart.
func apkStreams(t *testing.T, file []byte) (info map[string][]string, control []byte, data []oracleEntry) {
	t.Helper()
	r := bytes.NewReader(file)
	var streams, packed [][]byte
	for r.Len() > 0 {
		from := len(file) - r.Len()
		zr, err := gzip.NewReader(r) // a bytes.Reader is not read ahead of
		must(t, err)
		zr.Multistream(false)
		content, err := io.ReadAll(zr)
		must(t, err)
		streams, packed = append(streams, content), append(packed, file[from:len(file)-r.Len()])
	}
	if len(streams) != 3 {
		t.Fatalf("%d streams", len(streams))
	}
	entries, _ := readAll(t, streams[1])
	info = map[string][]string{}
	for line := range strings.Lines(string(entries[0].content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			info[name] = append(info[name], value)
		}
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(packed[2])); info["datahash"][0] != got {
		t.Fatalf("the data has the sum %s, not %s", got, info["datahash"])
	}
	data, _ = readAll(t, streams[2])
	return info, packed[1], data
}

// apkRoot is a file system that packages are installed in.
type apkRoot struct {
	root, db string
	packages map[string]*apkInstalled
}

type apkInstalled struct {
	head string // the lines of the database before those of files
	// files are the sums and modes by path without a leading slash; a directory
	// ends in one.
	files map[string]apkFile
}

type apkFile struct {
	sum  string
	mode int64
}

// add does what apk does: it puts the files of a package in place of those of
// its last version, leaves what was changed in etc, takes over what others had,
// and writes the database again.
func (r *apkRoot) add(t *testing.T, file []byte) {
	t.Helper()
	info, control, data := apkStreams(t, file)
	name := info["pkgname"][0]
	q1 := func(sum []byte) string { return "Q1" + base64.StdEncoding.EncodeToString(sum) }
	sum := sha1.Sum(control)
	p := &apkInstalled{files: map[string]apkFile{}}
	p.head = fmt.Sprintf("C:%s\nP:%s\nV:%s\nA:%s\nS:%d\nI:%s\nT:%s\nU:%s\nL:%s\n", q1(sum[:]), name, info["pkgver"][0], info["arch"][0],
		len(file), info["size"][0], info["pkgdesc"][0], info["url"][0], info["license"][0])
	if depends := info["depend"]; len(depends) > 0 {
		p.head += "D:" + strings.Join(depends, " ") + "\n"
	}
	old := r.packages[name]
	if old == nil {
		old = &apkInstalled{}
	}
	for _, e := range data {
		path := e.header.Name
		at := inside(r.root, path)
		if e.header.Typeflag == tar.TypeDir {
			p.files[path] = apkFile{mode: e.header.Mode}
			must(t, os.MkdirAll(filepath.Dir(inside(r.root, path+"in it")), 0o755))
			continue
		}
		var digest []byte
		if _, err := fmt.Sscanf(e.header.PAXRecords["APK-TOOLS.checksum.SHA1"], "%x", &digest); err != nil {
			t.Fatal(err)
		}
		p.files[path] = apkFile{q1(digest), e.header.Mode}
		if was, ok := old.files[path]; ok && strings.HasPrefix(path, "etc/") {
			content, err := os.ReadFile(at)
			must(t, err)
			if now := sha1.Sum(content); q1(now[:]) != was.sum {
				at += ".apk-new"
			}
		}
		must(t, os.RemoveAll(at))
		switch e.header.Typeflag {
		case tar.TypeReg:
			must(t, os.WriteFile(at, e.content, 0o755))
		case tar.TypeLink:
			must(t, os.Link(inside(r.root, e.header.Linkname), at))
		case tar.TypeSymlink:
			must(t, os.Symlink(e.header.Linkname, at))
		}
		for other, q := range r.packages {
			if other != name {
				delete(q.files, path)
			}
		}
	}
	r.packages[name] = p
	r.clear(t, old, p)
	r.write(t)
}

// remove removes a package and its files.
func (r *apkRoot) remove(t *testing.T, name string) {
	t.Helper()
	p := r.packages[name]
	delete(r.packages, name)
	r.clear(t, p, &apkInstalled{})
	r.write(t)
}

// clear removes the files of a package that it has no more.
func (r *apkRoot) clear(t *testing.T, old, now *apkInstalled) {
	t.Helper()
	for path := range old.files {
		if _, still := now.files[path]; !still && !strings.HasSuffix(path, "/") {
			must(t, os.Remove(inside(r.root, path)))
		}
	}
}

func (r *apkRoot) write(t *testing.T) {
	t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		p := r.packages[name]
		b.WriteString(p.head)
		byDir := map[string][]string{}
		for path := range p.files {
			if dir, is := strings.CutSuffix(path, "/"); is {
				byDir[dir] = append(byDir[dir], "")
			} else {
				dir, base := splitPath([]byte(path))
				byDir[string(dir)] = append(byDir[string(dir)], string(base))
			}
		}
		for _, dir := range slices.Sorted(maps.Keys(byDir)) {
			fmt.Fprintf(&b, "F:%s\n", dir)
			if dir == "tmp" {
				b.WriteString("M:0:0:1777\n")
			}
			slices.Sort(byDir[dir])
			for _, base := range byDir[dir] {
				if base != "" {
					f := p.files[strings.TrimPrefix(dir+"/"+base, "/")]
					fmt.Fprintf(&b, "R:%s\na:0:0:%o\nZ:%s\n", base, f.mode, f.sum)
				}
			}
		}
		b.WriteString("\n")
	}
	at := inside(r.root, filepath.Join(r.db, "installed"))
	must(t, os.MkdirAll(filepath.Dir(at), 0o755))
	must(t, os.WriteFile(at, []byte(b.String()), 0o644))
}

// apkWant sums what the packages themselves have, installed in that order: of
// two that bring one file the later has it.
func apkWant(t *testing.T, files ...[]byte) map[string]figure {
	t.Helper()
	want := map[string]figure{}
	taken := map[string]bool{}
	for _, file := range slices.Backward(files) {
		info, _, data := apkStreams(t, file)
		var sum figure
		for _, e := range data {
			if e.header.Typeflag == tar.TypeReg && !taken[e.header.Name] {
				sum.Bytes += footprint.Bytes(e.header.Size)
				sum.Files++
			}
			taken[e.header.Name] = true
		}
		want[info["pkgname"][0]+" "+info["pkgver"][0]] = sum
	}
	return want
}

// TestApkAgreesWithItsPackages holds the bytes of packages to those in the
// packages. The program apk itself was not at hand where this was written: the
// packages are of its format, but a few lines above install them and write its
// database, as its documentation says and as it is found in images of Alpine.
func TestApkAgreesWithItsPackages(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	layout := apk{name: "alpine-baselayout", version: "3.6.8-r1", files: map[string]string{
		"/etc/motd": x(11), "/usr/share/data": "->../../srv/data", "/srv/data/keep": x(13), "/tmp/keep": "", "/usr/lib/keep": x(17), "/.root": x(19),
	}}
	first := apk{name: "busybox", version: "1.37.0-r18", depends: "so:libc.musl-x86_64.so.1 !other alpine-baselayout>=3", files: map[string]string{
		"/bin/busybox": x(1001), "/bin/sh": "->busybox", "/bin/second": "=>/bin/busybox", "/lib/busybox/gone": x(1009), "/etc/changed.conf": x(1013), "/etc/kept.conf": x(5),
		"/usr/share/moves": x(1019), "/usr/share/with space and \u00fc": x(1021),
	}}
	next := apk{name: "busybox", version: "1.37.0-r19", files: map[string]string{
		"/bin/busybox": x(2003), "/bin/sh": "->busybox", "/bin/second": "=>/bin/busybox", "/lib/busybox/new": x(2011), "/etc/changed.conf": x(2017), "/etc/kept.conf": x(6),
		"/usr/share/moves": x(2027), "/usr/share/with space and \u00fc": x(1021),
	}}
	linked := apk{name: "musl", version: "1.2.5-r10", files: map[string]string{
		"/lib/ld-musl-x86_64.so.1": x(3001), "/lib/libc.musl-x86_64.so.1": "->ld-musl-x86_64.so.1", "/usr/share/data/musl": x(3011),
	}}
	takes := apk{name: "takes", version: "1-r0", files: map[string]string{"/usr/share/moves": x(4001), "/usr/share/own": x(4003)}}
	removed := apk{name: "removed", version: "1-r0", files: map[string]string{"/usr/share/removed/r": x(5003)}}
	virtual := apk{name: ".build-deps", version: "20261124.150000", depends: "musl"}
	for name, where := range map[string]struct {
		db     string
		merged bool
	}{
		"lib/apk":                {"lib/apk/db", false},
		"lib is a link":          {"lib/apk/db", true},
		"usr/lib/apk":            {"usr/lib/apk/db", false},
		"usr/lib/apk and a link": {"usr/lib/apk/db", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := apkRoot{root: t.TempDir(), db: where.db, packages: map[string]*apkInstalled{}}
			layout, linked, removed, virtual := layout, linked.build(t), removed.build(t), virtual.build(t)
			old, next, takes := first.build(t), next.build(t), takes.build(t)
			if where.merged {
				layout.files = maps.Clone(layout.files)
				layout.files["/lib"], layout.files["/bin"] = "->usr/lib", "->usr/bin"
				must(t, os.MkdirAll(filepath.Join(r.root, "usr/bin"), 0o755))
			}
			base := layout.build(t)
			for _, file := range [][]byte{base, old, linked, removed, virtual} {
				r.add(t, file)
			}
			layOut(t, r.root, map[string]string{"/opt/by-hand": x(7)})
			lower, before := layerOf(t, r.root, nil)
			agree(t, measureReference(t, layoutOf(t, lower), ""), "apk", apkWant(t, base, old, linked, removed, virtual))

			layOut(t, r.root, map[string]string{"/etc/changed.conf": x(6007)})
			r.add(t, next)
			r.add(t, takes)
			r.remove(t, "removed")
			want := apkWant(t, base, linked, virtual, next, takes)
			changed := want["busybox 1.37.0-r19"]
			changed.Bytes += 6007 - 2017 // what was changed by hand stays
			want["busybox 1.37.0-r19"] = changed
			upper, _ := layerOf(t, r.root, before)
			whole, _ := layerOf(t, r.root, nil)
			owners := agree(t, measureReference(t, layoutOf(t, lower, upper), ""), "apk", want)
			agree(t, measureReference(t, layoutOf(t, whole), ""), "apk", want)
			if changed.Bytes != 2003+2011+6007+6+1021 || want["takes 1-r0"].Bytes != 4001+4003 {
				t.Errorf("the packages are not what was meant to be tested: %v", want)
			}
			for path, owner := range map[string]string{
				"/etc/changed.conf.apk-new": "unowned", "/opt/by-hand": "unowned", "/srv/data/musl": "apk:musl", "/.root": "apk:alpine-baselayout", "/usr/share/removed/r": "", "/usr/share/moves": "apk:takes",
			} {
				if owners[path] != owner {
					t.Errorf("%s: %q, want %q", path, owners[path], owner)
				}
			}
		})
	}
}
