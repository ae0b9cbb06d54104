package pkgdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rpmFixtures are databases with the same packages, by the paths they have in a
// system.
var rpmFixtures = []struct{ fixture, path string }{
	{"rpmdb.sqlite.gz", "var/lib/rpm/rpmdb.sqlite"},
	{"rpmdb-512.sqlite.gz", "usr/lib/sysimage/rpm/rpmdb.sqlite"},
	{"rpmdb-65536.sqlite.gz", "usr/share/rpm/rpmdb.sqlite"},
	{"Packages.db.gz", "usr/lib/sysimage/rpm/Packages.db"},
	{"Packages.gz", "var/lib/rpm/Packages"},
	{"Packages-big-endian.gz", "var/lib/rpm/Packages"},
}

// rpmTold reads what rpm said: "NAME VERSION", and below it for each file
// "\tSTATE\tFLAGS\tPATH".
func rpmTold(t *testing.T) map[string][]string {
	t.Helper()
	brought := map[string]bool{}
	each := func(f func(name, state, flags, path string)) {
		name := ""
		for line := range strings.Lines(string(fixture(t, "rpm.want"))) {
			line = strings.TrimSuffix(line, "\n")
			if file, ok := strings.CutPrefix(line, "\t"); ok {
				parts := strings.SplitN(file, "\t", 3)
				f(name, parts[0], parts[1], parts[2])
			} else {
				name = line
				f(name, "", "", "")
			}
		}
	}
	each(func(_, state, flags, path string) {
		if state == "normal" && !strings.Contains(flags, "g") {
			brought[path] = true
		}
	})
	told := map[string][]string{}
	each(func(name, state, flags, path string) {
		if strings.HasPrefix(name, "gpg-pubkey ") {
			return
		}
		files := told[name]
		if state == "normal" && !(strings.Contains(flags, "g") && brought[path]) {
			files = append(files, path)
		}
		told[name] = files
	})
	return told
}

func TestRpmAgreesWithRpm(t *testing.T) {
	t.Parallel()
	want := rpmTold(t)
	for _, files := range want {
		slices.Sort(files)
	}
	for _, db := range rpmFixtures {
		t.Run(db.fixture, func(t *testing.T) {
			t.Parallel()
			got := map[string][]string{}
			for _, p := range mustReadSystem(t, db.path, fixture(t, db.fixture)) {
				if p.Ecosystem != Rpm || !p.Installed || p.Root != "" {
					t.Errorf("%+v", p)
				}
				key := p.Name + " " + p.Version
				got[key] = append(got[key], p.Files...)
			}
			for _, files := range got {
				slices.Sort(files)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if len(want) != 10 || len(want["two 1.0-1"]) != 159 {
		t.Errorf("rpm told %d packages, %d files of two", len(want), len(want["two 1.0-1"]))
	}
}

func TestRpmTellsWhoNeedsWhom(t *testing.T) {
	t.Parallel()
	for _, db := range rpmFixtures {
		instances := map[string]int{}
		for _, p := range mustReadSystem(t, db.path, fixture(t, db.fixture)) {
			var requires, provides []string
			switch p.Name {
			case "one":
				// Of the four that it also takes there is none.
				requires = []string{"two", "/usr/bin/three-tool", "weak"}
			case "two":
				provides = []string{"pair"}
			case "three":
				requires, provides = []string{"pair"}, []string{"/usr/bin/three-tool"}
			}
			slices.Sort(requires)
			slices.Sort(p.Requires)
			if !slices.Equal(p.Requires, requires) || !slices.Equal(p.Provides, provides) {
				t.Errorf("%s: %s requires %q and provides %q", db.fixture, p.Name, p.Requires, p.Provides)
			}
			instances[p.Name+" "+p.Instance]++
			if p.Instance != "" && p.Instance != p.Version {
				t.Errorf("%s: %s has the instance %q", db.fixture, p.Name, p.Instance)
			}
		}
		// Two versions are two packages, two architectures of one version are not.
		if instances["kernel "] != 1 || instances["kernel 6.1-1"]+instances["kernel 6.2-1"] != 1 || instances["multi "] != 2 {
			t.Errorf("%s: %v", db.fixture, instances)
		}
	}
}

func TestRpmEmpty(t *testing.T) {
	t.Parallel()
	for _, db := range rpmFixtures {
		if p := mustReadSystem(t, db.path, nil); len(p) != 0 {
			t.Errorf("%s: %v", db.path, p)
		}
	}
}

func TestRpmLeftLog(t *testing.T) {
	t.Parallel()
	facts, err := readSystem(t, "var/lib/rpm/rpmdb.sqlite-wal", []byte{0x37, 0x7f, 0x06, 0x82})
	if err != nil || facts.Skipped == "" {
		t.Errorf("%v %+v", err, facts)
	}
}

// rpmTag is one entry of a header that a test makes.
type rpmTag struct {
	tag, kind uint32
	texts     []string
	numbers   []uint32
	chars     []byte
}

func rpmHeaderOf(tags ...rpmTag) []byte {
	var index, store []byte
	for _, tag := range tags {
		count := len(tag.texts) + len(tag.numbers) + len(tag.chars)
		for len(store)%4 != 0 {
			store = append(store, 0)
		}
		for _, n := range []uint32{tag.tag, tag.kind, uint32(len(store)), uint32(count)} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		for _, s := range tag.texts {
			store = append(append(store, s...), 0)
		}
		for _, n := range tag.numbers {
			store = binary.BigEndian.AppendUint32(store, n)
		}
		store = append(store, tag.chars...)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	head = binary.BigEndian.AppendUint32(head, uint32(len(store)))
	return slices.Concat(head, index, store)
}

func TestRpmHeaders(t *testing.T) {
	t.Parallel()
	name := rpmTag{tag: rpmName, kind: rpmString, texts: []string{"p"}}
	bases := rpmTag{tag: rpmBasenames, kind: rpmArray, texts: []string{"a", "b", "c", "d", "e", ""}}
	dirs := rpmTag{tag: rpmDirNames, kind: rpmArray, texts: []string{"/", "/usr/", "relative/"}}
	for _, c := range []struct {
		what  string
		tags  []rpmTag
		files []string
		fails bool
	}{
		{what: "no files", tags: []rpmTag{name}},
		{what: "no name", tags: []rpmTag{bases}, fails: true},
		{what: "the file names of rpm 3", tags: []rpmTag{
			name, {tag: rpmOldFilenames, kind: rpmArray, texts: []string{"/bin/a", "/b"}},
		}, files: []string{"/bin/a", "/b"}},
		{what: "all states but normal", tags: []rpmTag{
			name, bases, dirs,
			{tag: rpmDirIndexes, kind: rpmInt32, numbers: []uint32{1, 1, 1, 0, 2, 0}},
			{tag: rpmFileStates, kind: rpmChar, chars: []byte{0, 1, 2, 0, 0, 0}},
		}, files: []string{"/usr/a", "/d"}},
		{what: "a ghost that nobody brings", tags: []rpmTag{
			name, bases, dirs,
			{tag: rpmDirIndexes, kind: rpmInt32, numbers: []uint32{1, 1, 1, 1, 1, 1}},
			{tag: rpmFileFlags, kind: rpmInt32, numbers: []uint32{rpmGhost | 1, 2}},
		}, files: []string{"/usr/b", "/usr/c", "/usr/d", "/usr/e", "/usr/", "/usr/a"}},
		{what: "too few directories", tags: []rpmTag{
			name, bases, dirs, {tag: rpmDirIndexes, kind: rpmInt32, numbers: []uint32{1, 3, 1, 1, 1, 1}},
		}, files: []string{"/usr/a"}, fails: true},
		{what: "too few indexes", tags: []rpmTag{
			name, bases, dirs, {tag: rpmDirIndexes, kind: rpmInt32, numbers: []uint32{1, 1}},
		}, fails: true},
	} {
		var all rpmPackages
		err := all.add(rpmHeaderOf(c.tags...))
		var files []string
		for _, p := range all.finish() {
			files = append(files, p.Files...)
		}
		if (err != nil) != c.fails || !slices.Equal(files, c.files) {
			t.Errorf("%s: %q, %v", c.what, files, err)
		}
	}
}

// TestRpmMultiplies has few names in a long directory, and a database in which
// the same rows lie over each other.
func TestRpmMultiplies(t *testing.T) {
	t.Parallel()
	const many = 1000
	header := rpmHeaderOf(
		rpmTag{tag: rpmName, kind: rpmString, texts: []string{"p"}},
		rpmTag{tag: rpmBasenames, kind: rpmArray, texts: make([]string, many)},
		rpmTag{tag: rpmDirIndexes, kind: rpmInt32, numbers: make([]uint32, many)},
		rpmTag{tag: rpmDirNames, kind: rpmArray, texts: []string{"/" + strings.Repeat("x", maxPath-10)}},
	)
	all := rpmPackages{files: pathRoom{bytes: maxPathBytes - many*maxPath/2}}
	if err := all.add(header); err != errManyFiles || len(all.packages) != 1 {
		t.Error(err)
	}

	// A page of 64 KiB whose 16,000 cells are all the same 32 KiB.
	db := make([]byte, 2<<16)
	copy(db, "SQLite format 3\x00")
	db[17] = 1
	schema := sqliteRecord("table", "Packages", "Packages", "\x02")
	cell := append([]byte{byte(len(schema)), 1}, schema...)
	db[100] = 0x0d
	binary.BigEndian.PutUint16(db[103:], 1)
	binary.BigEndian.PutUint16(db[108:], 1000)
	copy(db[1000:], cell)
	leaf := db[1<<16:]
	leaf[0] = 0x0d
	const cells = 16_000
	binary.BigEndian.PutUint16(leaf[3:], cells)
	for i := range cells {
		binary.BigEndian.PutUint16(leaf[8+2*i:], 8+2*cells)
	}
	// 0x81 0x80 0x00 is 16,384 bytes of payload, a record of two columns.
	copy(leaf[8+2*cells:], []byte{0x81, 0x80, 0x00, 1, 2, 0})
	rows := 0
	err := sqliteBlobs(db, func([]byte) error { rows++; return nil })
	if err == nil || rows != 8 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// sqliteRecord makes a record of texts; one of a single byte that is no letter
// is a number.
func sqliteRecord(values ...string) []byte {
	kinds, body := []byte{byte(len(values) + 1)}, []byte{}
	for _, v := range values {
		if len(v) == 1 && v[0] < ' ' {
			kinds = append(kinds, 1)
		} else {
			kinds = append(kinds, byte(13+2*len(v)))
		}
		body = append(body, v...)
	}
	return append(kinds, body...)
}

func TestSqliteNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bytes []byte
		value uint64
		n     int
	}{
		{[]byte{5}, 5, 1},
		{[]byte{0x81, 0}, 128, 2},
		{[]byte{0x81}, 0, 0},
		{nil, 0, 0},
		{bytes.Repeat([]byte{0xff}, 12), 1<<64 - 1, 9},
		{bytes.Repeat([]byte{0xff}, 8), 0, 0},
	} {
		if value, n := sqliteVarint(c.bytes); value != c.value || n != c.n {
			t.Errorf("% x is %d in %d bytes", c.bytes, value, n)
		}
	}
	row, err := parseSqliteRow(1, []byte{9, 0, 1, 2, 5, 6, 8, 9, 15, 0xff, 0x01, 0x02, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 'x'})
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int64
	for i := range 9 {
		numbers = append(numbers, row.number(i))
	}
	if want := []int64{0, -1, 258, 256, -2, 0, 1, 0, 0}; !slices.Equal(numbers, want) || string(row.blob(7)) != "x" {
		t.Errorf("%d %q", numbers, row.blob(7))
	}
}

// TestRpmSurvives cuts and changes all databases everywhere. That nothing hangs
// is the test.
func TestRpmSurvives(t *testing.T) {
	t.Parallel()
	for _, db := range rpmFixtures {
		t.Run(db.fixture, func(t *testing.T) {
			t.Parallel()
			data := fixture(t, db.fixture)
			broken := 0
			mutilate(data, 50, func(bad []byte) {
				if _, err := readSystem(t, db.path, bad); err != nil {
					broken++
				}
			})
			if broken == 0 {
				t.Error("nothing was found to be broken")
			}
			// The first page says what the others are.
			whole := slices.Clone(data)
			mutilate(data[:min(len(data), 120)], 120, func(bad []byte) {
				copy(whole, data[:120])
				copy(whole, bad)
				_, _ = readSystem(t, db.path, whole)
			})
		})
	}
}

// TestSqliteCycles has pages that lead back to themselves.
func TestSqliteCycles(t *testing.T) {
	t.Parallel()
	whole := fixture(t, "rpmdb-512.sqlite.gz")
	pages := len(whole) / 512
	interior, leaves := 0, 0
	for number := range pages {
		page := whole[number*512:][:512]
		bad := slices.Clone(whole)
		if page[0] == 0x05 && number > 0 { // the rightmost child is the page itself
			interior++
			binary.BigEndian.PutUint32(bad[number*512+8:], uint32(number+1))
		} else { // if it is one of an overflow chain, the next is the page itself
			leaves++
			binary.BigEndian.PutUint32(bad[number*512:], uint32(number+1))
		}
		if _, err := readSystem(t, "var/lib/rpm/rpmdb.sqlite", bad); err == nil && page[0] == 0x05 {
			t.Errorf("page %d is below itself", number+1)
		}
	}
	if interior == 0 || leaves < 50 {
		t.Errorf("%d interior pages, %d others", interior, leaves)
	}
}

// TestSqliteSpills has rows of all lengths about those at which a page does not
// hold them any more.
func TestSqliteSpills(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fixture     string
		first, last int
		reserved    byte
	}{
		{"rows-512.sqlite.gz", 1, 1600, 0},
		{"rows-480.sqlite.gz", 1, 1600, 32},
		{"rows-65536.sqlite.gz", 65480, 65520, 0},
	} {
		data := fixture(t, c.fixture)
		if data[20] != c.reserved {
			t.Errorf("%s: %d bytes are reserved", c.fixture, data[20])
		}
		next := c.first
		err := sqliteBlobs(data, func(blob []byte) error {
			if want := fmt.Sprintf("%0*d", next, next); string(blob) != want {
				t.Fatalf("%s: row %d has %d bytes", c.fixture, next, len(blob))
			}
			next++
			return nil
		})
		if err != nil || next != c.last+1 {
			t.Errorf("%s: it ends before %d: %v", c.fixture, next, err)
		}
	}
}

// TestSqliteTwice has a table in which one page is two of the children.
func TestSqliteTwice(t *testing.T) {
	t.Parallel()
	bad := fixture(t, "rpmdb-512.sqlite.gz")
	for number := 1; number < len(bad)/512; number++ {
		page := bad[number*512:][:512]
		if page[0] != 0x05 || binary.BigEndian.Uint16(page[3:]) < 2 {
			continue
		}
		first, second := binary.BigEndian.Uint16(page[12:]), binary.BigEndian.Uint16(page[14:])
		copy(page[second:][:4], page[first:][:4])
		if _, err := readSystem(t, "var/lib/rpm/rpmdb.sqlite", bad); err == nil {
			t.Errorf("two children of page %d are one", number+1)
		}
		return
	}
	t.Error("no page has two children")
}

// TestNdbTwice has a slot again and again.
func TestNdbTwice(t *testing.T) {
	t.Parallel()
	bad := fixture(t, "Packages.db.gz")
	var slot []byte
	slots := 0
	for at := 32; at < 4096; at += 16 {
		if slot == nil && binary.LittleEndian.Uint32(bad[at+4:]) != 0 {
			slot = slices.Clone(bad[at:][:16])
		}
		if slot != nil {
			copy(bad[at:], slot)
			slots++
		}
	}
	got := 0
	err := ndbBlobs(bad, func([]byte) error { got++; return nil })
	if err == nil || got == slots {
		t.Errorf("%d of %d, %v", got, slots, err)
	}
}

func TestBerkeleyCycles(t *testing.T) {
	t.Parallel()
	whole := fixture(t, "Packages-big-endian.gz")
	overflows := 0
	for number := 1; number < len(whole)/512; number++ {
		if whole[number*512+25] != berkeleyOverflow {
			continue
		}
		overflows++
		bad := slices.Clone(whole)
		binary.BigEndian.PutUint32(bad[number*512+16:], uint32(number))
		binary.BigEndian.PutUint16(bad[number*512+22:], 0) // and it has nothing
		if _, err := readSystem(t, "var/lib/rpm/Packages", bad); err == nil {
			t.Errorf("page %d follows itself", number)
		}
	}
	if overflows < 50 {
		t.Errorf("%d pages of overflow", overflows)
	}
}

func TestDnfHistoryAgreesWithDnf(t *testing.T) {
	t.Parallel()
	var want []string
	for line := range strings.Lines(string(fixture(t, "dnf.want"))) {
		if name, _, ok := strings.Cut(line, "-"); ok {
			want = append(want, name)
		}
	}
	asked := map[Asked][]string{}
	for _, p := range mustReadSystem(t, "var/lib/dnf/history.sqlite", fixture(t, "history.sqlite.gz")) {
		asked[p.Asked] = append(asked[p.Asked], p.Name)
		if p.Installed || p.Ecosystem != Rpm {
			t.Errorf("%+v", p)
		}
	}
	if !slices.Equal(asked[ByName], want) || !slices.Equal(asked[AsDependency], []string{"two", "weak"}) || len(asked) != 2 {
		t.Errorf("%v, and dnf says %v", asked, want)
	}
}

func TestDnfReasons(t *testing.T) {
	t.Parallel()
	got := map[string]Asked{}
	for _, p := range mustReadSystem(t, "usr/lib/sysimage/libdnf5/packages.toml", []byte(`version = "1.0"
[packages]
"bash.x86_64" = {reason="User"}
"reason.noarch" = { reason = "Weak Dependency" }
"glibc.x86_64" = {reason="Dependency"}
"glibc.i686" = {reason="Group"}
"odd.x86_64" = {reason="None"}
[packages."java-1.8.0.x86_64"]
reason = "External User"
[packages."zlib.x86_64"]
reason = "Dependency"
`)) {
		got[p.Name] = p.Asked
	}
	want := map[string]Asked{
		"bash": ByName, "reason": AsDependency, "glibc": ByName, "java-1.8.0": ByName, "zlib": AsDependency,
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// FuzzRpm changes real databases in one place.
func FuzzRpm(f *testing.F) {
	files := append(slices.Clone(rpmFixtures), struct{ fixture, path string }{"history.sqlite.gz", "var/lib/dnf/history.sqlite"})
	whole := make([][]byte, len(files))
	for i, db := range files {
		whole[i] = fixture(f, db.fixture)
		f.Add(byte(i), uint32(100), []byte{0x0d, 0, 0, 0, 1})
		f.Add(byte(i), uint32(len(whole[i])), []byte{})
	}
	f.Fuzz(func(t *testing.T, which byte, at uint32, patch []byte) {
		n := int(which) % len(files)
		bad := slices.Clone(whole[n])
		copy(bad[int(at)%(len(bad)+1):], patch)
		facts, _ := readSystem(t, files[n].path, bad)
		checkSystemFacts(t, facts)
	})
}

func FuzzRpmHeader(f *testing.F) {
	f.Add(rpmHeaderOf(
		rpmTag{tag: rpmName, kind: rpmString, texts: []string{"p"}},
		rpmTag{tag: rpmEpoch, kind: rpmInt32, numbers: []uint32{1}},
		rpmTag{tag: rpmRequireName, kind: rpmArray, texts: []string{"(a if (b or c()(64bit)))", "/d"}},
		rpmTag{tag: rpmBasenames, kind: rpmArray, texts: []string{"a", "b"}},
		rpmTag{tag: rpmDirIndexes, kind: rpmInt32, numbers: []uint32{0, 1}},
		rpmTag{tag: rpmDirNames, kind: rpmArray, texts: []string{"/", "/usr/"}},
		rpmTag{tag: rpmFileFlags, kind: rpmInt32, numbers: []uint32{rpmGhost, 0}},
		rpmTag{tag: rpmFileStates, kind: rpmChar, chars: []byte{0, 1}},
	))
	f.Fuzz(func(t *testing.T, header []byte) {
		var all rpmPackages
		_ = all.add(header)
		checkSystemFacts(t, Facts{Packages: all.finish()})
	})
}

func FuzzDnfReasons(f *testing.F) {
	f.Add([]byte("[packages]\n\"a.b\" = {reason=\"User\"}\n[packages.\"c.d\"]\nreason = \"Dependency\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		facts, _ := readSystem(t, "usr/lib/sysimage/libdnf5/packages.toml", text)
		checkSystemFacts(t, facts)
	})
}
