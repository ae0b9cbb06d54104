package pkgdb

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

func someFacts() Facts {
	return Facts{
		Debug: 5, Symbols: 7, Skipped: "half of it", Unread: Npm,
		Packages: []Package{
			{Ecosystem: Dpkg, Name: "a", Instance: "a:amd64", Version: "1", Installed: true, Files: []string{"/usr/bin/a", "/usr/bin/ab", "/etc/a"}, Requires: []string{"b", "c"}, Provides: []string{"x"}, Asked: ByName},
			{Ecosystem: Npm, Root: "/app/node_modules/b", Name: "b", Trees: []string{"/app/node_modules/b"}, Inside: 12, Main: true, Dev: true, Asked: AsDependency},
		},
		Diverted: []Diversion{{From: "/bin/sh", To: "/bin/sh.distrib", By: "dash"}},
		Program: &footprint.Program{
			ELF: true, Interpreter: "/lib64/ld-linux-x86-64.so.2", Args: "-x", Needed: []string{"libc.so.6", "libm.so.6"},
			Soname: "liba.so.1", Runpath: []string{"$ORIGIN/../lib"}, Library: true, Dlopen: true, Machine: 62, Class: 0x0201,
		},
	}
}

func TestFactsComeBack(t *testing.T) {
	t.Parallel()
	want := someFacts()
	got, err := DecodeFacts(want.Append(nil))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// What the bound lets through must be readable, and what it does not must not.
func TestFactsAtTheBound(t *testing.T) {
	t.Parallel()
	path := "/" + strings.Repeat("x", 4000)
	for _, n := range []int{16_000, 17_000} {
		var p Package
		for i := range n {
			p.Files = append(p.Files, fmt.Sprintf("%s%d", path, i))
		}
		f := Facts{Packages: []Package{p}}
		stored, small := f.Append(nil), f.Size() <= MaxFacts
		if _, err := DecodeFacts(stored); (err == nil) != small {
			t.Errorf("%d paths in %d bytes: %v", n, len(stored), err)
		}
		if f.Bound(); (f.Skipped == "") != small {
			t.Errorf("%d paths: skipped %q", n, f.Skipped)
		}
	}
}

func FuzzFacts(f *testing.F) {
	some := someFacts()
	f.Add(some.Append(nil))
	f.Add((&Facts{}).Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := DecodeFacts(data)
		if err != nil {
			return
		}
		again, err := DecodeFacts(facts.Append(nil))
		if diff := cmp.Diff(facts, again); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// FuzzCombine draws packages with few names out of the data. Whatever they say,
// packages are listed once, in the same order however the files came.
func FuzzCombine(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"))
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func(n int) int {
			if len(data) == 0 {
				return 0
			}
			b := int(data[0])
			data = data[1:]
			return b % n
		}
		names := []string{"a", "b", "c", "d", ""}
		some := func() (out []string) {
			for range next(4) {
				out = append(out, names[next(len(names))])
			}
			return out
		}
		var found []Found
		for i := 0; len(data) > 0 && i < 200; i++ {
			one := Found{Path: fmt.Sprintf("/%d", i)}
			for range 1 + next(3) {
				one.Facts.Packages = append(one.Facts.Packages, Package{
					Ecosystem: []string{Dpkg, Npm, Golang}[next(3)], Root: names[next(5)], Name: names[next(5)], Version: names[next(5)],
					Installed: next(2) == 0, Main: next(4) == 0, Dev: next(3) == 0, Asked: Asked(next(3)),
					Requires: some(), Provides: some(), Files: some(), Trees: some(),
				})
			}
			if next(5) == 0 {
				one.Facts.Diverted = []Diversion{{names[next(5)], names[next(5)], names[next(5)]}}
			}
			found = append(found, one)
		}
		got := Combine(found)
		seen := map[[3]string]bool{}
		for _, p := range got {
			if key := [3]string{p.Ecosystem, p.Root, p.Name}; seen[key] {
				t.Errorf("%v is there twice", key)
			} else {
				seen[key] = true
			}
		}
		slices.Reverse(found)
		if diff := cmp.Diff(got, Combine(found)); diff != "" {
			t.Errorf("another order of files:\n%s", diff)
		}
	})
}
