package pkgdb

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

func compress(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// crates is a list as cargo-auditable documents it: sorted, dependencies are
// indexes, and "runtime" is left out.
const crates = `{"packages":[
{"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
{"name":"dep","version":"0.3.1","source":"crates.io","dependencies":[4,5]},
{"name":"prog","version":"1.2.3","source":"local","dependencies":[0,1,3],"root":true},
{"name":"serde-json","version":"1.0.99","source":"registry"},
{"name":"twice","version":"1.0.0","source":"crates.io"},
{"name":"twice","version":"2.0.0","source":"git"}]}`

// rustLike is a program with symbols as rustc makes them, in C.
const rustLike = `
__attribute__((noinline)) int a(int n) __asm__("_ZN3dep5count17h52bed8eddd7ec1a3E");
int a(int n) { return n * 3 % 7; }
__attribute__((noinline)) int b(int n) __asm__("_RNvXCsdavWBDw0Y6x_3depINtNtCslNYArtu3iFV_5alloc3vec3VechENtB2_5Speak5speak");
int b(int n) { return n * 5 % 11; }
__attribute__((noinline)) int c(int n) __asm__("_ZN74_$LT$serde_json..value..Value$u20$as$u20$core..fmt..Display$GT$3fmt17h1111111111111111E");
int c(int n) { return n * 7 % 13 + 1; }
__attribute__((noinline)) int d(int n) __asm__("_ZN5twice3run17h2222222222222222E");
int d(int n) { return n * 7 % 17 + 1; }
__attribute__((noinline)) int e(int n) __asm__("_ZN4prog4main17h3333333333333333E");
int e(int n) { return a(n) + b(n) + c(n) + d(n); }
int zeroed[1000] __asm__("_ZN3dep4ZERO17h4444444444444444E");
int table[100] __asm__("_ZN10serde_json5TABLE17h5555555555555555E") = {1, 2, 3};
int same(int n) __asm__("_ZN3dep4same17h6666666666666666E") __attribute__((alias("_ZN3dep5count17h52bed8eddd7ec1a3E")));
int main(int argc, char **argv) { return e(argc) + zeroed[argc] + table[argc]; }
`

func TestRustProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string][]byte{"prog.c": []byte(rustLike), "deps": compress(t, crates)} {
		if err := os.WriteFile(in(name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "gcc", "-O1", "-o", in("plain"), in("prog.c"))
	tool(t, "objcopy", "--add-section", ".dep-v0="+in("deps"), in("plain"), in("prog"))
	sizes := map[string]footprint.Bytes{}
	symbol := regexp.MustCompile(`^ *\d+: [0-9a-f]+ +(\d+) (?:FUNC|OBJECT) .* (\S+)$`)
	for line := range strings.Lines(tool(t, "readelf", "-s", "-W", in("prog"))) {
		if m := symbol.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			n, _ := strconv.Atoi(m[1])
			sizes[m[2]] = footprint.Bytes(n)
		}
	}
	dep := sizes["_ZN3dep5count17h52bed8eddd7ec1a3E"] + sizes["_RNvXCsdavWBDw0Y6x_3depINtNtCslNYArtu3iFV_5alloc3vec3VechENtB2_5Speak5speak"]
	json := sizes["_ZN74_$LT$serde_json..value..Value$u20$as$u20$core..fmt..Display$GT$3fmt17h1111111111111111E"] + 400
	if dep == 0 || json == 400 {
		t.Fatalf("sizes of symbols: %v", sizes)
	}
	content := read(t, in("prog"))
	facts := factsOf(t, "usr/bin/prog", content)
	checkFacts(t, facts, len(content))
	want := []string{
		fmt.Sprintf("dep 0.3.1 %d", dep), "main prog 1.2.3 0", fmt.Sprintf("serde-json 1.0.99 %d", json), "twice 1.0.0 0", "twice 2.0.0 0",
	}
	if diff := cmp.Diff(want, saidOf(facts)); diff != "" || facts.Skipped != "" {
		t.Errorf("%s (-want, +got):\n%s", facts.Skipped, diff)
	}
	if got := facts.Packages[1]; !cmp.Equal(got.Requires, []string{"dep", "serde-json"}) || got.Asked != ByName || got.Root != "/usr/bin/prog" {
		t.Errorf("the program is %+v", got)
	}
	tool(t, "strip", in("prog"))
	if got := factsOf(t, "usr/bin/prog", read(t, in("prog"))); len(got.Packages) != 5 || got.Packages[0].Inside != 0 || got.Skipped != "" {
		t.Errorf("stripped: %v %s", saidOf(got), got.Skipped)
	}
}

func TestMalformedCrates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		section []byte
		want    string
	}{
		{"good", compress(t, crates), ""},
		{"no zlib", []byte("{}"), "malformed list of crates"},
		{"cut", compress(t, crates)[:100], "malformed list of crates"},
		{"no JSON", compress(t, "x"), "malformed list of crates"},
		{"bomb", compress(t, strings.Repeat(" ", 20<<20)), "a list of crates larger than 8.4 MB"},
		{"too many", compress(t, `{"packages":[{}`+strings.Repeat(",{}", maxRustCrates)+"]}"), "more than 20000 crates"},
		{"wild indexes", compress(t, `{"packages":[{"name":"a","dependencies":[-1,7,0]}]}`), ""},
	} {
		b := makeELF(binary.LittleEndian, testSection{name: rustDepsSection, kind: elf.SHT_PROGBITS, content: tt.section})
		facts := factsOf(t, "prog", b)
		if facts.Skipped != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, facts.Skipped, tt.want)
		}
		checkFacts(t, facts, len(b))
	}
}

func TestRustCrate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ symbol, want string }{
		{"_ZN4core3fmt5write17h0123456789abcdefE", "core"},
		{"_ZN4core3fmt5writeE", ""}, // C++
		{"_ZN54_$LT$dep..Dog$u20$as$u20$dep..Speak$GT$5speak17h0123456789abcdefE", "dep"},
		{"_ZN66_$LT$alloc..vec..Vec$LT$u8$GT$$u20$as$u20$dep..Speak$GT$5speak17h0123456789abcdefE", "dep"},
		{"_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "core"},
		{"_ZN59_$LT$$RF$mut$u20$hyper..Body$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "hyper"},
		{"_RNvCsdavWBDw0Y6x_3dep5count", "dep"},
		{"_RNvXs1g_NtCsgEmfK2I1SDS_4core3fmtRINtNtCslNYArtu3iFV_5alloc3vec3VechENtB6_5Debug3fmtCsdavWBDw0Y6x_3dep", "core"},
		{"_RNvXs6_NtNtNtCsjrHSEGnQ3l9_3std11collections4hash3mapINtB5_7HashMapNtNtCslNYArtu3iFV_5alloc6string6StringmENtNtCsgEmfK2I1SDS_4core3fmt5Debug3fmtCsdavWBDw0Y6x_3dep", "std"},
		{"_RNvYNtCsdavWBDw0Y6x_3dep3DogNtB4_5Speak5twice", "dep"},
		{"_RINvNtC3std3mem8align_ofjdE", "std"},
		{"_R", ""},
		{"_RNv", ""},
		{"_RC", ""},
		{"_RCs", ""},
		{"_RC9999dep", ""},
		{"_ZN", ""},
		{"main", ""},
	} {
		if got := rustCrate(tt.symbol); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.symbol, got, tt.want)
		}
	}
}
