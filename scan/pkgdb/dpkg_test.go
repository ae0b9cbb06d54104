package pkgdb

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dpkgSystem gives all files of dpkg.tar.gz to their readers, and puts together
// by name what they tell.
func dpkgSystem(t *testing.T) (packages map[string]Package, diverted []Diversion) {
	t.Helper()
	packages = map[string]Package{}
	archive := tar.NewReader(bytes.NewReader(fixture(t, "dpkg.tar.gz")))
	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return packages, diverted
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := readSystem(t, head.Name, data)
		if err != nil {
			t.Errorf("%s: %v", head.Name, err)
		}
		diverted = append(diverted, facts.Diverted...)
		for _, p := range facts.Packages {
			all := packages[p.Name]
			all.Files = append(all.Files, p.Files...)
			if p.Version != "" {
				all.Version, all.Installed, all.Requires, all.Provides = p.Version, p.Installed, p.Requires, p.Provides
			}
			if p.Asked != Unknown {
				all.Asked = p.Asked
			}
			packages[p.Name] = all
		}
	}
}

func TestDpkgAgreesWithDpkg(t *testing.T) {
	t.Parallel()
	// "NAME VERSION STATUS", and below it for each file "\tPATH", with a line
	// more for one that is diverted.
	want, files := map[string]string{}, map[string][]string{}
	name := ""
	for line := range strings.Lines(string(fixture(t, "dpkg.want.gz"))) {
		line = strings.TrimSuffix(line, "\n")
		path, below := strings.CutPrefix(line, "\t")
		_, to, isTo := strings.Cut(path, "iverted to: ")
		if !isTo && strings.Contains(path, "diverted by ") {
			_, to, isTo = strings.Cut(path, " to: ")
		}
		switch {
		case !below:
			words := strings.Fields(line)
			name = words[0]
			want[name] = words[1] + " " + words[2]
		case isTo:
			files[name][len(files[name])-1] = to
		case strings.HasPrefix(path, "/") && path != "/.":
			files[name] = append(files[name], path)
		}
	}
	got, gotFiles := map[string]string{}, map[string][]string{}
	packages, diverted := dpkgSystem(t)
	for name, p := range packages {
		status := "config-files"
		if p.Installed {
			status = "installed"
		}
		got[name] = p.Version + " " + status
		for _, file := range p.Files {
			for _, d := range diverted {
				if d.From == file && d.By != name {
					file = d.To
				}
			}
			gotFiles[name] = append(gotFiles[name], file)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, files := range []map[string][]string{files, gotFiles} {
		for _, paths := range files {
			slices.Sort(paths)
		}
	}
	if diff := cmp.Diff(files, gotFiles); diff != "" {
		t.Error(diff)
	}
	if len(want) < 80 || len(files["libzstd1"]) < 10 || len(diverted) != 4 {
		t.Errorf("%d packages, %q, %v", len(want), files["libzstd1"], diverted)
	}
}

func TestDpkgTellsWhoNeedsWhom(t *testing.T) {
	t.Parallel()
	packages, _ := dpkgSystem(t)
	if jq := packages["jq"]; !slices.Equal(jq.Requires, []string{"libjq1", "libc6"}) || jq.Asked != Unknown {
		t.Errorf("%+v", jq)
	}
	if mawk := packages["mawk"]; !slices.Equal(mawk.Provides, []string{"awk"}) {
		t.Errorf("%+v", mawk)
	}
	var automatic []string
	for name, p := range packages {
		if p.Asked == AsDependency {
			automatic = append(automatic, name)
		}
	}
	slices.Sort(automatic)
	if !slices.Contains(automatic, "libjq1") || slices.Contains(automatic, "libonig5") || slices.Contains(automatic, "jq") {
		t.Errorf("%q", automatic)
	}
}

func TestDpkgStatus(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for _, p := range mustReadSystem(t, "var/lib/dpkg/status", []byte(`
Package: a
Status: install ok installed
Version: 1:2~rc-3
Description: words
 Package: of-the-description
 .
 Status: install ok config-files

package:b
status: deinstall ok config-files
version: 1


Package: c
Status: install reinstreq half-installed
Version: 1
Pre-Depends: x (>= 2) | y [amd64], z:any
Depends: x , v<!nocheck>
Recommends: w
Provides: c-api (= 1), c-abi

Status: install ok installed
Version: 1

Package: d
Version: 1
Status: install ok triggers-pending

Package: e
Status: purge ok not-installed
Package: f
Version: 2`)) {
		got[p.Name+" "+p.Version] = p.Installed
		if p.Name == "c" && (!slices.Equal(p.Requires, []string{"x", "y", "z", "v", "w"}) || !slices.Equal(p.Provides, []string{"c-api", "c-abi"})) {
			t.Errorf("%+v", p)
		}
	}
	want := map[string]bool{"a 1:2~rc-3": true, "b 1": false, "c 1": true, "d 1": true, "f 2": false}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestDpkgWithoutAPackageManager(t *testing.T) {
	t.Parallel()
	got := slices.Concat(
		mustReadSystem(t, "var/lib/dpkg/status.d/libssl3", []byte("Package: libssl3\nVersion: 3.0.1-1\nArchitecture: amd64\nDepends: libc6 (>= 2.34)\n")),
		mustReadSystem(t, "var/lib/dpkg/status.d/libssl3.md5sums", []byte(
			"f9f6a4c1b9a3d2a0e9f1b2c3d4e5f607  usr/lib/x86_64-linux-gnu/libssl.so.3\n"+
				"00000000000000000000000000000000  ./usr/share/doc/libssl3/a  b\nrubbish\n")),
	)
	want := []Package{
		{Ecosystem: Dpkg, Name: "libssl3", Version: "3.0.1-1", Installed: true, Requires: []string{"libc6"}},
		{Ecosystem: Dpkg, Name: "libssl3", Files: []string{"/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/share/doc/libssl3/a  b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDpkgListOfAnotherTool(t *testing.T) {
	t.Parallel()
	got := mustReadSystem(t, "var/lib/dpkg/info/a:amd64.list", []byte("/.\n/usr\nusr/a\n./usr/b\n.c\n\n.\n./\n/usr/d e"))
	want := []Package{{Ecosystem: Dpkg, Name: "a", Files: []string{"/usr", "/usr/a", "/usr/b", "/.c", "/usr/d e"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDpkgDiversions(t *testing.T) {
	t.Parallel()
	facts, err := readSystem(t, "var/lib/dpkg/diversions", []byte("/a\n/b\n:\n/c\n/d\np\n/cut\n"))
	if want := []Diversion{{From: "/a", To: "/b"}, {From: "/c", To: "/d", By: "p"}}; err != nil || !slices.Equal(facts.Diverted, want) {
		t.Errorf("%v %v", facts, err)
	}
	if _, err := readSystem(t, "var/lib/dpkg/diversions", []byte("a\n/b\n:\n")); err == nil {
		t.Error("a relative diversion is no error")
	}
}

func TestAptStates(t *testing.T) {
	t.Parallel()
	var automatic []string
	for _, p := range mustReadSystem(t, "var/lib/apt/extended_states", []byte(`Package: a
Architecture: amd64
Auto-Installed: 1

Package: b
Architecture: amd64
Auto-Installed: 1

Package: b
Architecture: i386
Auto-Installed: 0

Package: c
Architecture: amd64
Auto-Installed: 0

Package: c
Architecture: i386
Auto-Installed: 1
`)) {
		if p.Asked != AsDependency || p.Installed {
			t.Errorf("%+v", p)
		}
		automatic = append(automatic, p.Name)
	}
	if !slices.Equal(automatic, []string{"a"}) {
		t.Errorf("%q", automatic)
	}
}

func TestDpkgReadsNothingElse(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"var/lib/dpkg/status-old", "var/lib/dpkg/info/bash.md5sums", "var/lib/dpkg/info/.list", "var/lib/dpkg/info/a/b.list",
		"backup/var/lib/dpkg/status", "var/lib/dpkg/status.d/", "var/lib/rpm/Name", "var/lib/rpm/sub/Packages", "lib/apk/db/scripts.tar",
	} {
		for _, r := range slices.Concat(dpkgReaders(), apkReaders(), rpmReaders()) {
			if r.wants(File{Path: path, Size: 1}, []byte("x")) {
				t.Errorf("%s wants %s", r.name, path)
			}
		}
	}
}

func FuzzDpkg(f *testing.F) {
	paths := []string{
		"var/lib/dpkg/status", "var/lib/dpkg/status.d/p", "var/lib/dpkg/status.d/p.md5sums", "var/lib/dpkg/info/p:amd64.list",
		"var/lib/dpkg/diversions", "var/lib/apt/extended_states",
	}
	f.Add(byte(0), []byte("Package: a\nStatus: install ok installed\nDepends: b (>= 1) | c:any, d\nDescription: x\n y\n\nPackage: e\n"))
	f.Add(byte(1), []byte("Package: a\nVersion: 1\n"))
	f.Add(byte(2), []byte("0123  usr/a\n"))
	f.Add(byte(3), []byte("/.\n/usr\n"))
	f.Add(byte(4), []byte("/a\n/b\n:\n"))
	f.Add(byte(5), []byte("Package: a\nAuto-Installed: 1\n"))
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		facts, _ := readSystem(t, paths[int(which)%len(paths)], text)
		checkSystemFacts(t, facts)
	})
}
