package footprint

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// layer and file make the parts of test images.
func layer(command string, compressed Bytes) Layer {
	return Layer{CreatedBy: command, DiffID: "sha256:" + command, Compressed: compressed, Has: HasCompressed | HasFiles}
}

func file(path string, size Bytes, layer int) File {
	return File{Path: path, Kind: Regular, Size: size, Hash: uint64(size) + 1, Layer: layer, Made: layer, Mode: 0o644}
}

// built makes an image whose sums hold. Directories above the files are
// filled in, files are sorted, and what the layers hold is the files in them
// plus the dead bytes.
func built(layers []Layer, files []File, dead ...Dead) *Image {
	img := &Image{Platform: "linux/amd64", Layers: slices.Clone(layers), Dead: dead}
	dirs := map[string]bool{}
	for _, f := range files {
		for d := parentDir(f.Path); d != "/" && d != ""; d = parentDir(d) {
			dirs[d] = true
		}
	}
	all := slices.Clone(files)
	for d := range dirs {
		all = append(all, File{Path: d, Kind: Directory, Mode: 0o755})
	}
	slices.SortFunc(all, func(a, b File) int { return comparePaths(a.Path, b.Path) })
	all = slices.CompactFunc(all, func(a, b File) bool { return a.Path == b.Path })
	m := &img.Metrics
	for _, f := range all {
		if f.Kind == Regular {
			m.Final += f.Size
			m.Files++
			img.Layers[f.Layer].Unpacked += f.Size
			img.Layers[f.Layer].Files++
		}
	}
	for _, d := range dead {
		img.Layers[d.In].Unpacked += d.Bytes
		img.Layers[d.In].Wasted += d.Bytes
		m.Wasted += d.Bytes
	}
	for i := range img.Layers {
		img.Layers[i].Index = i
		m.Compressed += img.Layers[i].Compressed
	}
	m.Unpacked, m.Layers = m.Final+m.Wasted, len(img.Layers)
	m.Has = HasCompressed | HasFiles
	img.Files = slices.Values(all)
	img.Dirs, img.DirFloor = RollUp(img.Files, MaxDirs)
	return img
}

// stored is the image after a round trip through a snapshot.
func stored(t testing.TB, img *Image) *Image {
	t.Helper()
	var b bytes.Buffer
	if err := EncodeSnapshot(&b, img, Meta{}); err != nil {
		t.Fatal(err)
	}
	out, _, err := DecodeSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func compared(t testing.TB, old, new *Image) *Delta {
	t.Helper()
	for _, img := range []*Image{old, new} {
		if err := img.Verify(); err != nil {
			t.Fatalf("the test image does not add up: %v", err)
		}
	}
	d, err := Compare(old, new)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func random(r *rand.Rand) *Image {
	var layers []Layer
	commands := []string{"ADD file in /", "RUN apt-get update", "RUN npm ci", "COPY . .", "RUN chown -R node /app", "RUN make", ""}
	for range 1 + r.IntN(8) {
		l := layer(commands[r.IntN(len(commands))], Bytes(r.IntN(1000)))
		l.DiffID = fmt.Sprint("sha256:", r.IntN(12))
		layers = append(layers, l)
	}
	names := []string{"a", "b", "a-b", "a.b", "node_modules", ".git", "usr", "\xff", "x y"}
	taken := map[string]bool{}
	var files []File
	for range r.IntN(120) {
		path := ""
		for range 1 + r.IntN(5) {
			path += "/" + names[r.IntN(len(names))]
		}
		f := file(path, Bytes(r.IntN(5)*r.IntN(5)*r.IntN(100)), r.IntN(len(layers)))
		f.Hash = r.Uint64N(3)
		clash := taken[path]
		for d := parentDir(path); d != "/"; d = parentDir(d) {
			clash = clash || slices.ContainsFunc(files, func(f File) bool { return f.Path == d })
		}
		clash = clash || slices.ContainsFunc(files, func(f File) bool { return holds(path, f.Path) })
		if !clash {
			taken[path] = true
			files = append(files, f)
		}
	}
	var dead []Dead
	for by := range layers {
		for in := range by {
			if r.IntN(3) == 0 {
				dead = append(dead, Dead{In: in, By: by, Fate: []Fate{Deleted, Replaced, Rewritten}[r.IntN(3)], Bytes: Bytes(r.IntN(500)), Files: 1, Under: "/a"})
			}
		}
	}
	img := built(layers, files, dead...)
	if r.IntN(2) == 0 {
		img.Dirs, img.DirFloor = RollUp(img.Files, 1+r.IntN(8))
	}
	switch r.IntN(4) {
	case 0, 1:
		splitAt(img, r.IntN(len(layers)+1))
	case 2:
		base := img.Metrics
		base.Final, base.Wasted, base.Layers = Bytes(r.Int64N(int64(base.Final)+1)), 0, 0
		base.Unpacked = base.Final
		own := img.Metrics
		own.Final -= base.Final
		own.Unpacked -= base.Unpacked
		own.Compressed, base.Compressed = base.Compressed, 0
		own.Files, base.Files = base.Files, 0
		img.Base, img.Own = &Base{Metrics: base}, &own
	}
	if r.IntN(4) > 0 {
		own(r, img)
		img.Dirs, img.DirFloor = RollUp(img.Files, 1+r.IntN(8))
	}
	return img
}

// own gives about half of the files to packages.
func own(r *rand.Rand, img *Image) {
	var files []File
	img.Packages, img.Rest = []Package{}, &Rest{}
	for i := range r.IntN(4) {
		img.Packages = append(img.Packages, Package{Ecosystem: "npm", Name: fmt.Sprint("p", r.IntN(4)), Version: fmt.Sprint(i), Dev: r.IntN(4) == 0})
	}
	for f := range img.Files {
		if i := r.IntN(2 * (len(img.Packages) + 1)); f.Kind == Regular && i < len(img.Packages) {
			f.Owner = OwnedBy(i)
			p := &img.Packages[i]
			p.Bytes += f.Size
			p.Files++
			p.Layer = f.Layer
			if !img.Layers[f.Layer].InBase {
				p.Own += f.Size
			}
		} else {
			img.Rest.Unowned += f.Size
		}
		files = append(files, f)
	}
	img.Files = slices.Values(files)
}

// splitAt makes the first n layers the base.
func splitAt(img *Image, n int) {
	final := make([]Bytes, len(img.Layers))
	files := make([]int, len(img.Layers))
	for f := range img.Files {
		if f.Kind == Regular {
			final[f.Layer] += f.Size
			files[f.Layer]++
		}
	}
	img.Base, img.Own = &Base{}, &Metrics{}
	for i := range img.Layers {
		l := &img.Layers[i]
		l.InBase = i < n
		m := img.Own
		if l.InBase {
			m = &img.Base.Metrics
		}
		m.Compressed += l.Compressed
		m.Unpacked += l.Unpacked
		m.Wasted += l.Wasted
		m.Final += final[i]
		m.Files += files[i]
		m.Layers++
	}
	img.Base.Metrics.Has, img.Own.Has = img.Metrics.Has, img.Metrics.Has
}

func TestCompareAddsUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(250) {
		r := rand.New(rand.NewPCG(seed, 1))
		old, new := random(r), random(r)
		if r.IntN(3) == 0 {
			old = stored(t, old)
		}
		if r.IntN(3) == 0 {
			new = stored(t, new)
		}
		d := compared(t, old, new)
		back := compared(t, new, old)
		switch {
		case d.Unpacked != new.Metrics.Unpacked-old.Metrics.Unpacked || d.Final != new.Metrics.Final-old.Metrics.Final:
			t.Fatalf("seed %d: totals are %v and %v", seed, d.Unpacked, d.Final)
		case d.Unpacked != -back.Unpacked || d.Final != -back.Final || d.Compressed != -back.Compressed:
			t.Fatalf("seed %d: the way back is another one", seed)
		case d.Parts != Parts{-back.Parts.Base, -back.Parts.Packages, -back.Parts.Files, -back.Parts.Wasted}:
			t.Fatalf("seed %d: parts %+v and %+v", seed, d.Parts, back.Parts)
		case len(d.Paths) > maxPaths || len(d.Causes) > maxCauses:
			t.Fatalf("seed %d: %d paths, %d causes", seed, len(d.Paths), len(d.Causes))
		}
		if diff := gocmp.Diff(d, compared(t, old, new)); diff != "" {
			t.Fatalf("seed %d: not deterministic: %s", seed, diff)
		}
		checkPaths(t, seed, d, back)
		checkLayers(t, seed, d, old, new)
		checkCauses(t, seed, d, old, new)
	}
}

func checkPaths(t *testing.T, seed uint64, d, back *Delta) {
	t.Helper()
	if !slices.IsSortedFunc(d.Paths, func(a, b PathChange) int {
		return cmp.Compare(max(b.Bytes, -b.Bytes), max(a.Bytes, -a.Bytes))
	}) {
		t.Errorf("seed %d: paths are not sorted", seed)
	}
	for _, p := range d.Paths {
		if p.Bytes != p.New-p.Old || p.Old < 0 || p.New < 0 || p.Files < 0 {
			t.Errorf("seed %d: %+v", seed, p)
		}
		if p.Change == Added && p.Old != 0 || p.Change == Removed && p.New != 0 {
			t.Errorf("seed %d: %+v", seed, p)
		}
	}
	var paths []string
	for _, p := range d.Paths {
		paths = append(paths, fmt.Sprint(p.Path, -p.Bytes))
	}
	var returned []string
	for _, p := range back.Paths {
		returned = append(returned, fmt.Sprint(p.Path, p.Bytes))
	}
	slices.Sort(paths)
	slices.Sort(returned)
	if diff := gocmp.Diff(paths, returned); diff != "" {
		t.Errorf("seed %d: paths on the way back: %s", seed, diff)
	}
}

func checkLayers(t *testing.T, seed uint64, d *Delta, old, new *Image) {
	t.Helper()
	seen, next := map[*Layer]int{}, 0
	for _, l := range d.Layers {
		if l.Old != nil {
			seen[l.Old]++
		}
		if l.New != nil {
			seen[l.New]++
			if l.New.Index != next {
				t.Errorf("seed %d: layers out of order", seed)
			}
			next++
		}
		want := map[[2]bool]bool{{true, false}: l.Change == Removed, {false, true}: l.Change == Added, {true, true}: l.Change == Same || l.Change == Changed}
		if !want[[2]bool{l.Old != nil, l.New != nil}] {
			t.Errorf("seed %d: %+v", seed, l)
		}
		if l.Change == Same && l.Old.DiffID != l.New.DiffID {
			t.Errorf("seed %d: not the same: %+v", seed, l)
		}
	}
	for _, img := range []*Image{old, new} {
		for i := range img.Layers {
			if seen[&img.Layers[i]] != 1 {
				t.Errorf("seed %d: layer %d is listed %d times", seed, i, seen[&img.Layers[i]])
			}
		}
	}
}

func checkCauses(t *testing.T, seed uint64, d *Delta, old, new *Image) {
	t.Helper()
	exact := old.Files != nil && new.Files != nil
	for i, c := range d.Causes {
		if c.Base {
			if d.Base == nil || d.Base.Change != Changed || c.Bytes != d.Parts.Base || c.Layer >= 0 {
				t.Errorf("seed %d: %+v of %+v", seed, c, d.Base)
			}
			continue
		}
		if d.replaced() && c.Layer >= 0 && c.Layer < baseLayers(new) {
			t.Errorf("seed %d: the base is told twice: %+v", seed, c)
		}
		if c.Bytes <= 0 || c.Layer >= len(new.Layers) || c.Metric != Unpacked {
			t.Errorf("seed %d: %+v", seed, c)
		}
		if i > 0 && d.Causes[i-1].Bytes < c.Bytes && !nowhere(c) {
			t.Errorf("seed %d: causes are not sorted", seed)
		}
		if c.Fate != "" {
			continue
		}
		if !exact {
			continue
		}
		if c.Packages != nil {
			var growth Bytes
			for _, p := range changedPackages(old.Packages, new.Packages, Package.bytes) {
				growth += max(0, p.Bytes)
			}
			if c.Bytes > growth && !d.replaced() {
				t.Errorf("seed %d: %+v explains %d, packages grew by %d", seed, c, c.Bytes, growth)
			}
			continue
		}
		old, new := old, new
		if old.Packages != nil && new.Packages != nil {
			old, new = unowned(old), unowned(new)
		}
		// The files below the path that no other cause further down claims
		// grew by at least this much.
		if gain := gained(old, new, c.Path, d.Causes); c.Bytes > gain && !d.replaced() {
			t.Errorf("seed %d: %+v explains only %d", seed, c, gain)
		}
	}
}

// gained sums what grew at or below a path and that no cause further down has.
func gained(old, new *Image, path string, causes []Cause) Bytes {
	was := map[string]Bytes{}
	for f := range old.Files {
		was[f.Path] = f.Size
	}
	var sum Bytes
	for f := range new.Files {
		if f.Path != path && !holds(path, f.Path) {
			continue
		}
		claimed := slices.ContainsFunc(causes, func(o Cause) bool {
			return o.Fate == "" && holds(path, o.Path) && (f.Path == o.Path || holds(o.Path, f.Path))
		})
		if !claimed {
			sum += max(0, f.Size-was[f.Path])
		}
	}
	return sum
}

// A Node service regresses in the three ways that people know.
func TestCausesOfATypicalRegression(t *testing.T) {
	t.Parallel()
	const mb = 1_000_000
	base := []File{file("/usr/bin/node", 90*mb, 0), file("/etc/passwd", 1000, 0)}
	old := built([]Layer{
		layer("ADD file in /", 30*mb), layer("COPY package.json .", 1000), layer("RUN npm ci", 9*mb), layer("COPY src ./src", 20_000),
	}, append([]File{
		file("/app/node_modules/express/index.js", 7*mb, 2), file("/app/node_modules/pg/index.js", 3*mb, 2),
		file("/app/src/server.js", 40_000, 3),
	}, base...))

	layers := []Layer{
		layer("ADD file in /", 30*mb), layer("COPY package.json .", 1000),
		layer("RUN npm ci --ignore-scripts", 15*mb), layer("COPY . .", 3*mb), layer("RUN chown -R node:node /app", 12*mb),
	}
	layers[2].CreatedBy, layers[3].CreatedBy = "/bin/sh -c npm ci", "COPY . . # buildkit"
	// chown wrote everything below /app again, so the last layer holds it.
	chowned := func(path string, size Bytes, made int) File {
		f := file(path, size, 4)
		f.Made = made
		return f
	}
	img := built(layers, append([]File{
		chowned("/app/.git/objects/pack/pack-1.pack", 4*mb, 3), chowned("/app/.git/HEAD", 20, 3),
		chowned("/app/node_modules/express/index.js", 7*mb, 2), chowned("/app/node_modules/pg/index.js", 3*mb, 2),
		chowned("/app/src/server.js", 40_000, 3),
		file("/root/.npm/_cacache/content-v2/sha512/aa/bb", 3*mb, 2), file("/root/.npm/_cacache/content-v2/sha512/aa/cc", 3*mb+5, 2),
	}, base...),
		Dead{In: 2, By: 4, Fate: Rewritten, Bytes: 10 * mb, Files: 2, Under: "/app/node_modules"},
		Dead{In: 3, By: 4, Fate: Rewritten, Bytes: 4*mb + 20 + 40_000, Files: 3, Under: "/app"},
	)
	want := []Cause{
		{Bytes: 14*mb + 20 + 40_000, Metric: Unpacked, Path: "/app", Fate: Rewritten, Change: Added, Layer: 4},
		{Bytes: 6*mb + 5, Metric: Unpacked, Label: "npm cache", Path: "/root/.npm/_cacache", Change: Added, Layer: 2},
		{Bytes: 4*mb + 20, Metric: Unpacked, Label: "git history", Path: "/app/.git", Change: Added, Layer: 3},
	}
	for name, before := range map[string]*Image{"files": old, "snapshot": stored(t, old)} {
		if diff := gocmp.Diff(want, compared(t, before, img).Causes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestComparable(t *testing.T) {
	t.Parallel()
	image := func(platform string, has Has, estimatedBy string) *Image {
		return &Image{Platform: platform, EstimatedBy: estimatedBy, Metrics: Metrics{Has: has, CompressedEstimated: estimatedBy != ""}}
	}
	const amd = "linux/amd64"
	for name, c := range map[string]struct {
		old, new *Image
		want     string
	}{
		"same": {image(amd, HasCompressed|HasFiles, ""), image(amd, HasCompressed, ""), ""},
		"other platform": {image(amd, HasCompressed, ""), image("linux/arm64", HasCompressed, ""),
			"the baseline was measured for linux/amd64 and this image is for linux/arm64"},
		"no platform": {image("", HasCompressed, ""), image(amd, HasCompressed, ""),
			"the baseline was measured for an unknown platform and this image is for linux/amd64"},
		// The number of layers can be judged all the same.
		"other method":   {image(amd, HasCompressed, "gzip 6"), image(amd, HasCompressed, "gzip 9"), ""},
		"nothing shared": {image(amd, HasCompressed, ""), image(amd, HasFiles, ""), ""},
		"nothing at all": {image(amd, 0, ""), image(amd, 0, ""), ""},
	} {
		if got := Comparable(c.old, c.new); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	image := func(final, wasted, base, own, baseOwn Bytes) *Image {
		files := []File{file("/base", base, 0), file("/own", final-base, 1)}
		img := built([]Layer{layer("FROM", 1), layer("RUN", 1)}, files, Dead{In: 0, By: 1, Fate: Deleted, Bytes: wasted, Under: "/"})
		img.Layers[0].InBase = true
		m := Metrics{Unpacked: base + wasted, Final: base, Wasted: wasted, Layers: 1, Files: 1, Compressed: 1, Has: img.Metrics.Has}
		o := Metrics{Unpacked: final - base, Final: final - base, Layers: 1, Files: 1, Compressed: 1, Has: img.Metrics.Has}
		img.Base, img.Own = &Base{Metrics: m}, &o
		img.Packages = []Package{{Ecosystem: "dpkg", Name: "libc6", Version: "1", Bytes: baseOwn, Layer: 0}, {Ecosystem: "npm", Name: "express", Version: "4", Bytes: own, Own: own, Layer: 1}}
		img.Rest = &Rest{Unowned: final - baseOwn - own}
		return img
	}
	old, new := image(1000, 50, 700, 100, 500), image(1600, 20, 900, 250, 600)
	d := compared(t, old, new)
	if want := (Parts{Base: 170, Packages: 150, Files: 250}); d.Parts != want || d.Unpacked != 570 || d.Final != 600 {
		t.Errorf("got %+v of %d, want %+v", d.Parts, d.Unpacked, want)
	}
	// Without the boundary of one, all packages are above it.
	old.Base, old.Own = nil, nil
	if d, want := compared(t, old, new), (Parts{Packages: 250, Files: 350, Wasted: -30}); d.Parts != want {
		t.Errorf("without a base: got %+v, want %+v", d.Parts, want)
	}
	// An inventory that nobody made is none that shrank.
	old, new = image(1000, 0, 700, 100, 0), image(1000, 0, 700, 200, 0)
	old.Packages, old.Rest = nil, nil
	if d := compared(t, old, new); d.Parts != (Parts{}) || len(d.Packages) != 0 {
		t.Errorf("without an inventory: got %+v, %v", d.Parts, d.Packages)
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	old := []Package{{Ecosystem: "npm", Name: "a", Version: "1", Bytes: 100, Layer: 0}, {Ecosystem: "npm", Name: "b", Version: "1", Bytes: 50, Layer: 0}, {Ecosystem: "npm", Name: "b", Version: "2", Bytes: 60, Layer: 0}, {Ecosystem: "npm", Name: "c", Version: "1", Bytes: 70, Layer: 0}, {Ecosystem: "dpkg", Name: "a", Version: "1", Bytes: 5, Layer: 0}, {Ecosystem: "npm", Name: "same", Version: "1", Bytes: 9, Layer: 0}}
	new := []Package{{Ecosystem: "npm", Name: "a", Version: "2", Bytes: 300, Layer: 0}, {Ecosystem: "npm", Name: "b", Version: "2", Bytes: 60, Layer: 0}, {Ecosystem: "npm", Name: "d", Version: "1", Bytes: 80, Layer: 0}, {Ecosystem: "dpkg", Name: "a", Version: "2", Bytes: 5, Layer: 0}, {Ecosystem: "npm", Name: "same", Version: "1", Bytes: 9, Layer: 1}}
	want := []PackageChange{
		{Ecosystem: "npm", Name: "a", Change: Changed, From: "1", To: "2", Bytes: 200, Layer: 0}, {Ecosystem: "npm", Name: "d", Change: Added, From: "", To: "1", Bytes: 80, Layer: 0}, {Ecosystem: "npm", Name: "c", Change: Removed, From: "1", To: "", Bytes: -70, Layer: -1},
		{Ecosystem: "npm", Name: "b", Change: Changed, From: "1, 2", To: "2", Bytes: -50, Layer: 0}, {Ecosystem: "dpkg", Name: "a", Change: Changed, From: "1", To: "2", Bytes: 0, Layer: 0},
	}
	var got []PackageChange
	for _, p := range changedPackages(old, new, Package.bytes) {
		got = append(got, p.PackageChange)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPackageOfManyVersions(t *testing.T) {
	t.Parallel()
	of := func(bytes Bytes, versions ...string) []Package {
		var out []Package
		for _, v := range versions {
			out = append(out, Package{Ecosystem: "npm", Name: "a", Version: v, Bytes: bytes})
		}
		return out
	}
	for name, c := range map[string]struct {
		old, new []Package
		from, to string
		gone     bool
	}{
		"few":              {of(1, "1", "2", "3"), of(2, "1", "2", "3"), "1, 2, 3", "1, 2, 3", false},
		"the same":         {of(1, "1", "2", "3", "4", "5"), of(2, "1", "2", "3", "4", "5"), "1, 2, 3 and 2 more", "1, 2, 3 and 2 more", false},
		"another":          {of(1, "1", "2", "3", "4"), of(1, "1", "2", "3", "4", "5"), "1, 2, 3 and 1 more", "5, 1, 2 and 2 more", false},
		"one less":         {of(1, "1", "2", "3", "4"), of(1, "1", "2", "3"), "4, 1, 2 and 1 more", "1, 2, 3", true},
		"the last instead": {of(1, "1", "2", "3", "4"), of(1, "1", "2", "3", "5"), "4, 1, 2 and 1 more", "5, 1, 2 and 1 more", true},
		"all instead":      {of(1, "1", "2", "3", "4"), of(1, "5"), "1, 2, 3 and 1 more", "5", true},
	} {
		got := changedPackages(c.old, c.new, Package.bytes)
		if len(got) != 1 || got[0].From != c.from || got[0].To != c.to || got[0].gone != c.gone {
			t.Errorf("%s: got %+v, want %q to %q", name, got, c.from, c.to)
		}
	}
}

// The time that many packages take, or many versions of one, grows with their number.
func TestManyPackagesTakeNoTime(t *testing.T) {
	t.Parallel()
	many := func(n int, name, version string) *Image {
		var packages []Package
		for i := range n {
			label := func(pattern string) string { return strings.ReplaceAll(pattern, "#", fmt.Sprintf("%08d", i)) }
			packages = append(packages, Package{Ecosystem: "npm", Name: label(name), Version: label(version), Bytes: 5, Own: 5, Files: 1, Layer: 1})
		}
		return owned([]Layer{layer("FROM", 1), layer("COPY . .", 1)}, []File{file("/x", 10, 1)}, packages...)
	}
	for name, c := range map[string]struct{ old, new *Image }{
		"packages": {many(0, "", ""), many(30_000, "p#", "1")},
		"versions": {many(15_000, "p", "1.#"), many(15_001, "p", "2.#")},
	} {
		d := compared(t, c.old, c.new)
		for _, p := range d.Packages {
			if len(p.From)+len(p.To) > 100 {
				t.Errorf("%s: %d bytes of versions", name, len(p.From)+len(p.To))
			}
		}
	}
}

// Files that do not add up to their image are a defect, not a delta.
func TestCompareRefusesFilesThatDoNotAddUp(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1)}
	good, bad := built(layers, []File{file("/a", 5, 0)}), built(layers, []File{file("/a", 5, 0)})
	bad.Files = slices.Values([]File{file("/a", 6, 0)})
	for _, pair := range [][2]*Image{{good, bad}, {bad, good}} {
		if d, err := Compare(pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), "internal error") {
			t.Errorf("got %+v, %v", d, err)
		}
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("0123456789abcdef", 4)
	for in, want := range map[string]string{
		"":                                 "",
		"RUN /bin/sh -c npm ci # buildkit": "RUN npm ci",
		"RUN |2 A=1 B=two words /bin/sh -c npm ci # buildkit":      "RUN npm ci",
		"RUN /bin/bash -o pipefail -c npm ci | tee log # buildkit": "RUN npm ci | tee log",
		"RUN /bin/bash -eo pipefail -c npm ci # buildkit":          "RUN npm ci",
		"/bin/sh -c npm  ci \t && npm  test":                       "RUN npm ci && npm test",
		"|1 A=b /bin/sh -c make":                                   "RUN make",
		"/bin/sh -c #(nop) COPY dir:" + hash + " in /app ":         "COPY dir in /app",
		"/bin/sh -c #(nop) ADD file:" + hash + " in / ":            "ADD file in /",
		"/bin/sh -c #(nop) COPY multi:" + hash + " in ./ ":         "COPY multi in ./",
		"COPY . . # buildkit":                                      "COPY . .",
		"COPY --chown=node:node . /app # buildkit":                 "COPY --chown=node:node . /app",
		"RUN npm ci # buildkit":                                    "RUN npm ci",
		"RUN |1 A=b npm ci # buildkit":                             "RUN npm ci",
		"WORKDIR /app":                                             "WORKDIR /app",
		"/usr/bin/env python":                                      "/usr/bin/env python",
		"RUN /bin/sh -c":                                           "RUN",
		"bazel build ...":                                          "bazel build ...",
		"|":                                                        "RUN |",
		"RUN /bin/sh -c set -e\nnpm ci\n # buildkit":               "RUN set -e npm ci",
		"RUN /bin/sh -c echo /bin/sh -c x # buildkit":              "RUN echo /bin/sh -c x",
		"cmd /S /C echo hi":                                        "RUN echo hi",
	} {
		if got := (Layer{CreatedBy: in}).Command(); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
