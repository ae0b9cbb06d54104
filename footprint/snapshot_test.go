package footprint

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write what is expected anew")

func encoded(t testing.TB, img *Image, meta Meta) string {
	t.Helper()
	var b bytes.Buffer
	if err := EncodeSnapshot(&b, img, meta); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// full has something in every field that a snapshot stores.
func full() *Image {
	img := built([]Layer{layer("ADD file in /", 30e6), layer("RUN npm ci", 9e6), layer("COPY . .", 40e3)}, []File{
		file("/etc/passwd", 1000, 0), file("/app/a.js", 40_000, 2), file("/app/caf\xe9/\u202egpj", 7, 2), file("/app/x\ny/`<b>", 1, 1),
	}, Dead{In: 1, By: 2, Fate: Rewritten, Bytes: 12, Files: 2, Under: "/app"}, Dead{In: 0, By: 2, Fate: Deleted, Bytes: 5, Files: 1, Under: "/\xff"})
	img.Name, img.Reference, img.Source = "web", "ghcr.io/acme/web:edge", "registry"
	img.Digest, img.ConfigDigest = "sha256:d", "sha256:c"
	img.Metrics.CompressedEstimated, img.EstimatedBy = true, "gzip level 6"
	img.Layers[1].CompressedEstimated = true
	img.Layers[0].Digest, img.Layers[0].InBase = "sha256:0", true
	img.Layers[2].Origin = &Origin{File: "Dockerfile", Stage: "runtime", Start: 7, End: 9, Exact: true}
	base := Metrics{Compressed: 30e6, Unpacked: 1005, Final: 1000, Wasted: 5, Layers: 1, Files: 1, Has: HasCompressed | HasFiles}
	own := Metrics{
		Compressed: img.Metrics.Compressed - base.Compressed, CompressedEstimated: true, Unpacked: img.Metrics.Unpacked - base.Unpacked,
		Final: img.Metrics.Final - base.Final, Wasted: 12, Layers: 2, Files: 3, Has: base.Has,
	}
	img.Base, img.Own = &Base{FoundBy: "annotation", Reference: "node:20", Digest: "sha256:b", Metrics: base}, &own
	img.Packages = []Package{
		{Ecosystem: "npm", Name: "express", Version: "4.19.2", Bytes: 39_000, Layer: 1}, {Ecosystem: "dpkg", Name: "l\x00", Version: "1:2~\u202e", Bytes: 1},
	}
	img.Rest = &Rest{Base: 1000, Unowned: 1007}
	img.Paths = []PathSize{{Pattern: "/app/**", Bytes: 40_008, Files: 3, Examples: []string{"/app/a.js", "/app/caf\xe9/\u202egpj"}}}
	return img
}

var notStored = cmpopts.IgnoreFields(Image{}, "Files", "DeadFiles")

func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	meta := Meta{Tool: "image-budget 1.2.3", Commit: "0123abc", Ref: "main"}
	text := encoded(t, full(), meta)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/snapshot.json", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/snapshot.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), text); diff != "" {
		t.Error(diff)
	}
	back, gotMeta, err := DecodeSnapshot(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(full(), back, notStored); diff != "" || gotMeta != meta {
		t.Errorf("%+v %s", gotMeta, diff)
	}
	if again := encoded(t, back, meta); again != text {
		t.Error("written again it reads differently")
	}
}

func TestSnapshotRoundTripOfRandomImages(t *testing.T) {
	t.Parallel()
	for seed := range uint64(80) {
		img := random(rand.New(rand.NewPCG(seed, 3)))
		if diff := gocmp.Diff(img, stored(t, img), notStored, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

func TestSnapshotOfAManifest(t *testing.T) {
	t.Parallel()
	img := &Image{Platform: "linux/amd64", Layers: []Layer{{DiffID: "sha256:0", Compressed: 5, Has: HasCompressed}}}
	img.Metrics = Metrics{Compressed: 5, Layers: 1, Update: 4, Has: HasCompressed | HasUpdate}
	want := &Image{Platform: "linux/amd64", Layers: img.Layers, Metrics: Metrics{Compressed: 5, Layers: 1, Has: HasCompressed}}
	if diff := gocmp.Diff(want, stored(t, img)); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshotRefuses(t *testing.T) {
	t.Parallel()
	good := encoded(t, full(), Meta{})
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the snapshot has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	const edited = "it was edited or damaged: save it again"
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {"", "is empty"},
		"half":               {good[:len(good)/2], "written only half"},
		"a quarter":          {good[:len(good)/4], "written only half"},
		"no end":             {good[:len(good)-2], "written only half"},
		"garbage":            {"\x7fELF\x02\x01", "not JSON"},
		"conflict":           {"<<<<<<< HEAD\n", "merge conflict"},
		"lfs":                {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
		"newer":              {swap(`"schema": 1`, `"schema": 2`), "made by a newer image-budget (schema 2, this one reads 1): update image-budget"},
		"newer and changed":  {`{"schema": 99, "layers": {}}`, "made by a newer"},
		"older":              {swap(`"schema": 1`, `"schema": 0`), "no schema that was ever in use"},
		"no schema":          {`{}`, "no schema that was ever in use"},
		"another schema":     {`{"schema": "1"}`, edited},
		"a list":             {`[1]`, edited},
		"unknown key":        {swap(`"name"`, `"nom"`), edited},
		"unknown inner key":  {swap(`"in_base"`, `"inbase"`), edited},
		"trailing":           {good + "{}", "not JSON"},
		"negative size":      {swap(`"bytes": 40000`, `"bytes": -40000`), "-40000"},
		"absurd size":        {swap(`"bytes": 40000`, `"bytes": 9000000000000000000`), "a size of 9000000000000000000 bytes"},
		"huge number":        {swap(`"bytes": 40000`, `"bytes": 1e999`), edited},
		"negative files":     {swap(`"layers": 1,`, `"layers": -1,`), "negative count"},
		"negative dir files": {swap(`"bytes": 40000, "files": 1`, `"bytes": 40000, "files": -1`), "count -1 files"},
		"negative metric":    {swap(`"wasted": 17`, `"wasted": -17`), edited},
		"final edited":       {swap(`"final": 41008`, `"final": 41009`), "does not add up"},
		"dirs edited":        {swap(`"bytes": 40000`, `"bytes": 40001`), "does not add up"},
		"dead edited":        {swap(`"bytes": 12,`, `"bytes": 13,`), "does not add up"},
		"layer edited":       {swap(`"compressed": 40000`, `"compressed": 40001`), "does not add up"},
		"own edited":         {swap(`"own": {"compressed": 9040000`, `"own": {"compressed": 9040001`), "does not add up"},
		"no own":             {swap(`"base": {`, `"base": null, "own": {`), edited},
		"layers swapped":     {swap(`"index": 1`, `"index": 2`), "layer 1 is called 2"},
		"layer half":         {swap(`"unpacked": 13`, `"unpacked": null`), "half measured"},
		"layer without size": {swap(`"compressed": 40000, "compressed_estimated": false`, `"compressed": null, "compressed_estimated": false`), "lacks a size"},
		"dead in no layer":   {swap(`"in": 1`, `"in": 3`), "layer 3 of 3"},
		"dead by no layer":   {swap(`"by": 2`, `"by": -1`), "layer -1 of 3"},
		"package in none":    {swap(`"layer": 1`, `"layer": 7`), "layer 7 of 3"},
		"packages alone":     {swap(`"rest": {"base": 1000, "application": 0, "unowned": 1007}`, `"rest": null`), "come together"},
		"packages edited":    {swap(`"bytes": 39000`, `"bytes": 39001`), "does not add up"},
		"strippable":         {swap(`"bytes": 39000, "own": 0, "files": 0,`, `"bytes": 39000, "own": 0, "files": 0, "strippable": 39001,`), "39001 strippable"},
		"unknown fate":       {swap(`"fate": "deleted"`, `"fate": "lost"`), "lost"},
		"dirs out of order":  {swap(`"path": "/etc"`, `"path": "/a"`), "not in order"},
		"dirs twice":         {swap(`"path": "/etc"`, `"path": "/app"`), "not in order"},
		"relative dir":       {swap(`"path": "/etc"`, `"path": "etc"`), "not in order"},
		"dir with ..":        {swap(`"path": "/etc"`, `"path": "/etc/../etd"`), "not in order"},
		"method":             {swap(`"estimate by gzip level 6"`, `"manifest"`), "compressed_by"},
		"estimate unmarked":  {swap(`"compressed": 9000000, "compressed_estimated": true`, `"compressed": 9000000, "compressed_estimated": false`), "not estimates alike"},
		"estimate marked":    {strings.Replace(strings.Replace(good, `"estimate by gzip level 6"`, `"manifest"`, 1), `"compressed": 39040000, "compressed_estimated": true`, `"compressed": 39040000, "compressed_estimated": false`, 1), "not estimates alike"},
		"line numbers":       {swap(`"start": 7`, `"start": 70`), "lines 70 to 9"},
		"bad quoting":        {swap(`{"quoted": "/app/caf\\xe9"}`, `{"quoted": "/app/caf\\q"}`), edited},
		"too large":          {good + strings.Repeat(" ", MaxSnapshot), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img, _, err := DecodeSnapshot(strings.NewReader(c.text))
			if err == nil || img != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "internal error") {
				t.Errorf("the user's file is called an internal error: %v", err)
			}
		})
	}
}

// An empty inventory without the rest is of a time when nobody looked for packages.
func TestSnapshotsOfBeforePackages(t *testing.T) {
	t.Parallel()
	img := full()
	img.Packages, img.Rest = []Package{}, &Rest{Base: 1000, Unowned: 40_008}
	text := encoded(t, img, Meta{})
	if back := stored(t, img); back.Packages == nil || back.Rest == nil {
		t.Error("an image without packages is one whose packages are not known")
	}
	const rest = `"rest": {"base": 1000, "application": 0, "unowned": 40008}`
	if !strings.Contains(text, rest) {
		t.Fatal(text)
	}
	old, _, err := DecodeSnapshot(strings.NewReader(strings.Replace(text, rest, `"rest": null`, 1)))
	if err != nil || old.Packages != nil || old.Rest != nil {
		t.Fatalf("got %v and %v, %v", old.Packages, old.Rest, err)
	}
	if d := compared(t, old, full()); len(d.Packages) != 0 || d.Parts.Packages != 0 {
		t.Errorf("packages came from nowhere: %+v %+v", d.Parts, d.Packages)
	}
	none := strings.Replace(text, `"packages": []`, `"packages": null`, 1)
	if _, _, err := DecodeSnapshot(strings.NewReader(none)); err == nil || !strings.Contains(err.Error(), "come together") {
		t.Errorf("a rest without packages: got %v", err)
	}
}

// An inventory is stored as a whole or not at all, and whatever its names are, the
// image can be stored.
func TestSnapshotsOfManyPackages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		packages int
		name     string
		kept     bool
	}{
		"many":      {20_000, "a", true},
		"too many":  {20_001, "a", false},
		"long":      {8_000, strings.Repeat("x", 700), true},
		"too long":  {19_000, strings.Repeat("x", 900), false},
		"unprinted": {19_000, strings.Repeat("\u202e", 300), false},
	} {
		var packages []Package
		for i := range c.packages {
			packages = append(packages, Package{Ecosystem: "npm", Name: c.name, Version: strconv.Itoa(i), Bytes: 5, Own: 5, Files: 1, Layer: 1})
		}
		img := owned([]Layer{layer("FROM", 1), layer("COPY . .", 1)}, nil, packages...)
		if back := stored(t, img); len(back.Packages) > 0 != c.kept || (back.Rest != nil) != c.kept || StoresPackages(img) != c.kept {
			t.Errorf("%s: %d packages, StoresPackages says %v", name, len(back.Packages), StoresPackages(img))
		}
	}
}

func TestSnapshotWrittenOnlyHalf(t *testing.T) {
	t.Parallel()
	good := encoded(t, full(), Meta{})
	for n := range len(good) - 2 {
		_, _, err := DecodeSnapshot(strings.NewReader(good[:n]))
		if err == nil || !strings.Contains(err.Error(), "written only half") && !strings.Contains(err.Error(), "is empty") {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

// A sum of sizes in range must not wrap around to one that fits.
func TestSnapshotSumsDoNotWrap(t *testing.T) {
	t.Parallel()
	var dirs strings.Builder
	dirs.WriteString(`{"path": "/", "bytes": 0, "files": 0}`)
	for i := range 1 << 14 {
		dirs.WriteString(`,{"path": "/`)
		dirs.WriteString(strings.Repeat("x", i/1000+1) + string(rune('a'+i%26)))
		dirs.WriteString(`", "bytes": 1125899906842624, "files": 0}`)
	}
	text := `{"schema": 1, "compressed_by": "", "metrics": {"layers": 0}, "dirs": [` + dirs.String() + `]}`
	if _, _, err := DecodeSnapshot(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "does not add up") {
		t.Errorf("got %v", err)
	}
}

func TestSnapshotErrorsOfReaderAndWriter(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, _, err := DecodeSnapshot(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	r, w := io.Pipe()
	_ = r.CloseWithError(broken)
	if err := EncodeSnapshot(w, full(), Meta{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	img := full()
	img.Metrics.Final++
	if err := EncodeSnapshot(io.Discard, img, Meta{}); err == nil {
		t.Error("an image that does not add up was stored")
	}
	img = full()
	img.Dead[0].Fate = "lost"
	if err := EncodeSnapshot(io.Discard, img, Meta{}); err == nil || !strings.Contains(err.Error(), "could not be read again") {
		t.Errorf("what cannot be read again was stored: %v", err)
	}
}

// What is stored is reviewed by people: no name may turn a line around or
// start another one.
func TestSnapshotTextIsHarmless(t *testing.T) {
	t.Parallel()
	text := encoded(t, full(), Meta{Commit: "\u202e\u2028\x1b[31m", Tool: "\U000e0001"})
	for _, r := range text {
		if r != '\n' && (r < ' ' || r == 0x7f || r == '\u202e' || r == '\u2028' || r == '\U000e0001' || r == '\ufffd') {
			t.Errorf("%U stands in it", r)
		}
	}
	_, meta, err := DecodeSnapshot(strings.NewReader(text))
	if err != nil || meta.Commit != "\u202e\u2028\x1b[31m" || meta.Tool != "\U000e0001" {
		t.Errorf("read back as %+q, %v", meta, err)
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(encoded(f, full(), Meta{Tool: "t"}))
	f.Add(`{"schema": 1}`)
	f.Add(`{"schema": 1, "name": {"quoted": "\\xff"}, "dirs": [{"path": null}]}`)
	f.Add("<<<<<<< HEAD")
	f.Fuzz(func(t *testing.T, text string) {
		img, meta, err := DecodeSnapshot(strings.NewReader(text))
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if err := img.Verify(); err != nil {
			t.Fatal(err)
		}
		again := encoded(t, img, meta)
		back, _, err := DecodeSnapshot(strings.NewReader(again))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(img.Metrics, back.Metrics); diff != "" {
			t.Fatal(diff)
		}
		// Whatever was read can be compared.
		if _, err := Compare(img, full()); err != nil {
			t.Fatal(err)
		}
		if _, err := Compare(full(), img); err != nil {
			t.Fatal(err)
		}
	})
}
