package pkgdb

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

// buildGo builds a program of this module and returns its file.
func buildGo(t testing.TB, env []string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", append([]string{"build", "-o", out}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %v: %v\n%s", args, err, text)
	}
	return out
}

// nmBytes asks go tool nm for the machine code of each module of a program, in
// which there is one function after the other.
func nmBytes(t *testing.T, file string, pkgs []Package) map[string]footprint.Bytes {
	t.Helper()
	type symbol struct {
		addr uint64
		name string
	}
	var symbols []symbol
	for line := range strings.Lines(tool(t, "go", "tool", "nm", "-size", file)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[2] != "T" && fields[2] != "t" {
			continue
		}
		addr, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		symbols = append(symbols, symbol{addr, strings.Join(fields[3:], " ")})
	}
	slices.SortFunc(symbols, func(a, b symbol) int { return cmp.Compare(a.addr, b.addr) })
	first := slices.IndexFunc(symbols, func(s symbol) bool { return s.name == "runtime.text" })
	end := slices.IndexFunc(symbols, func(s symbol) bool { return s.name == "runtime.etext" })
	if first < 0 || end < 0 {
		t.Fatal("nm does not say where the text is")
	}
	sums := map[string]footprint.Bytes{}
	for i, s := range symbols[first:end] {
		if s.name == "runtime.text" { // a mark, and room up to the first function
			continue
		}
		n := footprint.Bytes(symbols[first+i+1].addr - s.addr)
		owner := "stdlib"
		for _, p := range pkgs[2:] {
			// The last element has its dots escaped.
			if rest, ok := strings.CutPrefix(strings.ReplaceAll(s.name, "%2e", "."), p.Name); ok && (rest[0] == '.' || rest[0] == '/') {
				owner = p.Name
			}
		}
		if s.name == "main" || strings.HasPrefix(s.name, "main.") || strings.HasPrefix(s.name, pkgs[0].Name) || strings.HasPrefix(s.name, "type:") || strings.HasPrefix(s.name, "go:") || strings.HasPrefix(s.name, "struct ") || strings.HasPrefix(s.name, "go.(*") {
			owner = pkgs[0].Name
		}
		sums[owner] += n
	}
	return sums
}

func TestGoProgramAgainstTheToolsOfGo(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		args []string
	}{
		{"static", []string{"CGO_ENABLED=0"}, nil},
		{"stripped", []string{"CGO_ENABLED=0"}, []string{"-ldflags=-s -w"}},
		{"pie", []string{"CGO_ENABLED=0"}, []string{"-buildmode=pie"}},
		{"external", []string{"CGO_ENABLED=1"}, []string{"-ldflags=-linkmode=external"}},
		{"external pie", []string{"CGO_ENABLED=1"}, []string{"-buildmode=pie", "-ldflags=-linkmode=external"}},
		{"386", []string{"CGO_ENABLED=0", "GOARCH=386"}, nil},
		{"s390x", []string{"CGO_ENABLED=0", "GOARCH=s390x"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := buildGo(t, tt.env, append(tt.args, "./testdata/goprogram")...)
			content := read(t, file)
			facts := factsOf(t, "usr/bin/program", content)
			checkFacts(t, facts, len(content))
			if facts.Skipped != "" || len(facts.Packages) != 6 {
				t.Fatalf("%d packages, %s", len(facts.Packages), facts.Skipped)
			}
			main := facts.Packages[0]
			if main.Name != "github.com/org/image-budget" || !main.Main || main.Root != "/usr/bin/program" || !main.Installed {
				t.Errorf("main package: %+v", main)
			}
			var got, want []string
			for _, p := range facts.Packages[2:] {
				got = append(got, p.Name+" "+p.Version)
			}
			for line := range strings.Lines(tool(t, "go", "version", "-m", file)) {
				if f := strings.Fields(line); f[0] == "dep" {
					want = append(want, f[1]+" "+f[2])
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("modules (-go version, +got):\n%s", diff)
			}
			if tt.name == "stripped" {
				return
			}
			nm := nmBytes(t, file, facts.Packages)
			for _, p := range facts.Packages[1:] {
				if nm[p.Name] != p.Inside {
					t.Errorf("%s: %d bytes, nm says %d", p.Name, p.Inside, nm[p.Name])
				}
			}
		})
	}
}
