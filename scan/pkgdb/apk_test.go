package pkgdb

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const apkInstalled = `C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=
P:alpine-baselayout
V:3.4.3-r1
A:x86_64
S:8911
I:331776
T:Alpine base dir structure and init scripts
o:alpine-baselayout
D:alpine-baselayout-data=3.4.3-r1 /bin/sh
r:old-layout
F:
M:0:0:1777
R:.marker
F:etc
R:motd
Z:Q1SLkS9hBidUbPwwrw+XR0Whv3ww8=
F:etc/crontabs
R:root
a:0:0:600
Z:Q1vfk1apUWI4yLJGhhNRd0kJixfvY=

P:busybox
V:1.36.1-r2
D:so:libc.musl-x86_64.so.1 !other<2 zlib>=1.2 zlib~1
p:/bin/sh cmd:busybox=1.36.1-r2
F:bin
R:busybox

P:.build-deps
V:20260101.000000
D:gcc
R:.of-the-root
`

func TestApk(t *testing.T) {
	t.Parallel()
	want := []Package{
		{
			Ecosystem: Apk, Name: "alpine-baselayout", Version: "3.4.3-r1", Installed: true, Asked: AsDependency,
			Requires: []string{"alpine-baselayout-data", "/bin/sh"},
			Files:    []string{"/.marker", "/etc/motd", "/etc/crontabs/root"},
		},
		{
			Ecosystem: Apk, Name: "busybox", Version: "1.36.1-r2", Installed: true, Asked: AsDependency,
			Requires: []string{"so:libc.musl-x86_64.so.1", "zlib"}, Provides: []string{"/bin/sh", "cmd:busybox"},
			Files: []string{"/bin/busybox"},
		},
		{
			Ecosystem: Apk, Name: ".build-deps", Version: "20260101.000000", Installed: true, Asked: AsDependency,
			Requires: []string{"gcc"}, Files: []string{"/.of-the-root"},
		},
	}
	for _, path := range []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} {
		if diff := cmp.Diff(want, mustReadSystem(t, path, []byte(apkInstalled))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestApkWorld(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range mustReadSystem(t, "etc/apk/world", []byte("alpine-base\nbusybox@edge\n!mta\nnode>=18\npython3~3.11 cmd:git\n.deps=1\n")) {
		if p.Asked != ByName || p.Installed || p.Ecosystem != Apk {
			t.Errorf("%+v", p)
		}
		names = append(names, p.Name)
	}
	if want := []string{"alpine-base", "busybox", "node", "python3", "cmd:git", ".deps"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

func TestApkBounds(t *testing.T) {
	t.Parallel()
	long := "P:p\nF:" + strings.Repeat("x", maxPath) + "\nR:a\nF:y\nR:b\n"
	if p := mustReadSystem(t, "lib/apk/db/installed", []byte(long)); len(p) != 1 || !slices.Equal(p[0].Files, []string{"/y/b"}) {
		t.Errorf("%d packages", len(p))
	}
	facts, err := readSystem(t, "lib/apk/db/installed", bytes.Repeat([]byte("P:a\n\n"), maxPackages+1))
	if err != errManyPackages || len(facts.Packages) != maxPackages {
		t.Errorf("%d packages, %v", len(facts.Packages), err)
	}
}

func FuzzApk(f *testing.F) {
	f.Add(false, []byte(apkInstalled))
	f.Add(true, []byte("a\n!b\nc>1\n"))
	f.Fuzz(func(t *testing.T, world bool, text []byte) {
		path := "lib/apk/db/installed"
		if world {
			path = "etc/apk/world"
		}
		facts, _ := readSystem(t, path, text)
		checkSystemFacts(t, facts)
	})
}
