package pkgdb

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCombine(t *testing.T) {
	t.Parallel()
	status := func(name string, requires ...string) Package {
		return Package{Ecosystem: Dpkg, Name: name, Version: "1", Installed: true, Requires: requires}
	}
	found := []Found{
		{Path: "/var/lib/dpkg/status", Facts: Facts{Packages: []Package{
			status("clang", "libllvm | x", "libc"), status("libllvm", "libz"), status("libz", "libllvm"), status("libc"), status("alone"),
		}}},
		{Path: "/var/lib/dpkg/info/clang.list", Facts: Facts{Packages: []Package{{Ecosystem: Dpkg, Name: "clang", Files: []string{"/usr/bin/clang", "/usr/bin/cc"}}}}},
		{Path: "/var/lib/dpkg/info/gone.list", Facts: Facts{Packages: []Package{{Ecosystem: Dpkg, Name: "gone", Files: []string{"/etc/gone"}}}}},
		{Path: "/var/lib/dpkg/diversions", Facts: Facts{Diverted: []Diversion{{From: "/usr/bin/cc", To: "/usr/bin/cc.real", By: "alone"}}}},
		{Path: "/var/lib/apt/extended_states", Facts: Facts{Packages: []Package{
			{Ecosystem: Dpkg, Name: "libllvm", Asked: AsDependency}, {Ecosystem: Dpkg, Name: "libz", Asked: AsDependency},
		}}},
		{Path: "/app/node_modules/a/package.json", Facts: Facts{Packages: []Package{{Ecosystem: Npm, Root: "/app/node_modules/a", Name: "a", Version: "1", Installed: true, Requires: []string{"b"}, Trees: []string{"/app/node_modules/a"}}}}},
		{Path: "/app/node_modules/b/package.json", Facts: Facts{Packages: []Package{{Ecosystem: Npm, Root: "/app/node_modules/b", Name: "b", Version: "2", Installed: true, Requires: []string{"a"}}}}},
		{Path: "/app/package.json", Facts: Facts{Packages: []Package{
			{Ecosystem: Npm, Root: "/app/node_modules/a", Name: "a", Asked: ByName, Dev: true},
			{Ecosystem: Npm, Root: "/app/node_modules/missing", Name: "missing", Asked: ByName},
		}}},
		{Path: "/srv/app", Facts: Facts{Packages: []Package{
			{Ecosystem: Golang, Root: "/srv/app", Name: "example.com/app", Installed: true, Main: true},
			{Ecosystem: Golang, Root: "/srv/app", Name: "stdlib", Version: "1.26", Installed: true, Inside: 70},
		}}},
	}
	type line struct{ Name, Through, Files, Portions string }
	var got []line
	for _, p := range Combine(found) {
		l := line{Name: p.Ecosystem + ":" + p.Name, Through: p.Through}
		if p.Dev {
			l.Name += " dev"
		}
		if p.Files != nil {
			l.Files = fmt.Sprint(p.Files)
		}
		for _, portion := range p.Portions {
			l.Portions += fmt.Sprint(portion)
		}
		got = append(got, l)
	}
	want := []line{
		{"dpkg:alone", "", "", ""}, {"dpkg:clang", "", "[/usr/bin/clang /usr/bin/cc.real]", ""}, {"dpkg:libc", "", "", ""},
		{"dpkg:libllvm", "", "", ""}, {"dpkg:libz", "", "", ""},
		{"golang:example.com/app", "", "", "{/srv/app 0 B true}"}, {"golang:stdlib", "", "", "{/srv/app 70 B false}"},
		{"npm:a dev", "", "", ""}, {"npm:b dev", "a", "", ""},
	}
	// "libllvm | x" is one name here: readers take alternatives apart.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	found[0].Facts.Packages[0].Requires[0] = "libllvm"
	for _, p := range Combine(found) {
		if through := map[string]string{"libllvm": "clang", "libz": "clang", "b": "a"}[p.Name]; p.Through != through {
			t.Errorf("%s came through %q, want %q", p.Name, p.Through, through)
		}
	}
}

func TestFactsRoundTrip(t *testing.T) {
	t.Parallel()
	facts := Facts{
		Debug: 5, Symbols: 1 << 40, Skipped: "why",
		Packages: []Package{
			{
				Ecosystem: Rpm, Root: "/r", Name: "n\x00\xff", Instance: "2", Version: "1:2-3", Installed: true, Main: true, Dev: true, Asked: AsDependency, Inside: 9,
				Files: []string{"/usr/lib/a", "/usr/lib/ab", "/usr"}, Trees: []string{"/t"}, Requires: []string{"a", "a"}, Provides: []string{""},
			},
			{Ecosystem: Npm},
		},
		Diverted: []Diversion{{From: "/a", To: "/b", By: "c"}},
	}
	stored := facts.Append(nil)
	got, err := DecodeFacts(stored)
	if diff := cmp.Diff(facts, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for n := range stored {
		if _, err := DecodeFacts(stored[:n]); err == nil {
			t.Errorf("%d of %d bytes are enough", n, len(stored))
		}
	}
	if _, err := DecodeFacts(append(stored, 0)); err == nil {
		t.Error("more than the facts is read")
	}
}

func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	// Each path is new by one byte and long: little to store, much to unfold.
	long := string(make([]byte, 4000))
	var files []string
	for i := range 20_000 {
		files = append(files, long+fmt.Sprint(i))
	}
	facts := Facts{Packages: []Package{{Name: "a", Files: files}}}
	if _, err := DecodeFacts(facts.Append(nil)); err == nil {
		t.Error("80 MB of names were unfolded")
	}
	if facts.Bound(); facts.Packages != nil || facts.Skipped == "" {
		t.Error("80 MB of names are kept")
	}
}

func TestSumsAreOfTheStanzaBesideThem(t *testing.T) {
	t.Parallel()
	of := func(path string, p Package) Found {
		p.Ecosystem = Dpkg
		return Found{Path: "/var/lib/dpkg/" + path, Facts: Facts{Packages: []Package{p}}}
	}
	found := []Found{
		of("status.d/libssl1", Package{Name: "libssl1.1", Installed: true}),
		of("status.d/libssl1.md5sums", Package{Name: "libssl1", Files: []string{"/usr/lib/libssl.so"}}),
		of("status.d/nobody.md5sums", Package{Name: "nobody", Files: []string{"/usr/lib/nobody"}}),
	}
	got := Combine(found)
	if len(got) != 1 || got[0].Name != "libssl1.1" || len(got[0].Files) != 1 {
		t.Errorf("%+v", got)
	}
	if found[1].Facts.Packages[0].Name != "libssl1" {
		t.Error("what was found is changed")
	}
}

// TestTwoVersions combines two versions of one library in one file: Go links
// one version of a module, the others do not.
func TestTwoVersions(t *testing.T) {
	t.Parallel()
	for ecosystem, want := range map[string][]string{
		Java: {"lib 0.7.3", "lib 0.8.5"}, Cargo: {"lib 0.7.3", "lib 0.8.5"}, Golang: {"lib 0.7.3"},
	} {
		var got []string
		for _, p := range Combine([]Found{{Path: "/app", Facts: Facts{Packages: []Package{
			{Ecosystem: ecosystem, Root: "/app", Name: "app", Version: "1", Installed: true, Main: true, Asked: ByName, Requires: []string{"lib"}},
			{Ecosystem: ecosystem, Root: "/app", Name: "lib", Version: "0.7.3", Installed: true, Asked: AsDependency},
			{Ecosystem: ecosystem, Root: "/app", Name: "lib", Version: "0.8.5", Installed: true, Asked: AsDependency},
		}}}}) {
			if p.Name == "lib" {
				got = append(got, p.Name+" "+p.Version)
				if p.Through != "app" {
					t.Errorf("%s: %s is there through %q", ecosystem, p.Version, p.Through)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", ecosystem, diff)
		}
	}
}
