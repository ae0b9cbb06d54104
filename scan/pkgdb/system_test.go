package pkgdb

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/org/image-budget/footprint"
)

// readSystem gives a file to the first reader that wants it, as a scan does.
func readSystem(t testing.TB, path string, data []byte) (Facts, error) {
	t.Helper()
	f := File{Path: path, Mode: 0o644, Size: int64(len(data))}
	for _, r := range readers() {
		if !r.wants(f, data[:min(len(data), 512)]) {
			continue
		}
		if f.Size > r.max && r.parts == nil {
			t.Fatalf("%s has %d bytes, more than %s takes", path, f.Size, r.name)
		}
		return r.read(f, Content{ReaderAt: bytes.NewReader(data), Size: f.Size, Whole: data})
	}
	t.Fatalf("nobody wants %s", path)
	return Facts{}, nil
}

// mustReadSystem is readSystem for a file that is as it should be.
func mustReadSystem(t testing.TB, path string, data []byte) []Package {
	t.Helper()
	facts, err := readSystem(t, path, data)
	if err != nil || facts.Skipped != "" {
		t.Fatalf("%s: %v %s", path, err, facts.Skipped)
	}
	return facts.Packages
}

// fixture returns a file of testdata; see generate-os.sh.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(name) != ".gz" {
		return data
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	data, err = io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mutilate calls f for data cut short everywhere, and with each byte changed to
// some others, at about so many places. f may not keep the data.
func mutilate(data []byte, times int, f func([]byte)) {
	step := max(1, len(data)/times)
	bad := slices.Clone(data)
	for i := 0; i < len(data); i += step {
		f(bad[:i:i])
		for _, b := range []byte{0, 1, 0x7f, 0x80, 0xff} {
			bad[i] = b
			f(bad)
		}
		bad[i] = data[i]
	}
}

// checkSystemFacts holds what is true of facts, however bad the file was.
func checkSystemFacts(t *testing.T, facts Facts) {
	t.Helper()
	if len(facts.Packages) > maxPackages {
		t.Errorf("%d packages", len(facts.Packages))
	}
	for _, p := range facts.Packages {
		if p.Name == "" || !footprint.OfSystem(p.Ecosystem) || p.Root != "" {
			t.Errorf("%+v", p)
		}
		for _, file := range p.Files {
			if file == "" || file[0] != '/' {
				t.Errorf("%s has the file %q", p.Name, file)
			}
		}
	}
}
