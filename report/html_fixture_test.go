package report_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// filesystem is an image that grows file by file.
type filesystem struct {
	files    []footprint.File
	packages []footprint.Package
	index    map[string]int
}

func (fs *filesystem) owner(ecosystem, name, version, through string, layer int) footprint.Owner {
	key := ecosystem + ":" + name
	i, known := fs.index[key]
	if !known {
		i = len(fs.packages)
		fs.index[key] = i
		fs.packages = append(fs.packages, footprint.Package{Ecosystem: ecosystem, Name: name, Version: version, Through: through, Layer: layer})
	}
	return footprint.OwnedBy(i)
}

func (fs *filesystem) add(path string, size footprint.Bytes, layer int, owner footprint.Owner) {
	fs.files = append(fs.files, footprint.File{Path: path, Kind: footprint.Regular, Size: size, Hash: uint64(size)*31 + uint64(len(path)), Layer: layer, Owner: owner})
}

// webServer is a Node.js server on Debian with about n files of its own; more of
// everything, and another version of something, with grown.
func webServer(n int, grown bool) *footprint.Image {
	fs := &filesystem{index: map[string]int{}}
	pick := func(i, of int) int { return (i*7919 + i*i*31) % of }
	for i, name := range []string{"libc6", "libssl3", "perl-base", "coreutils", "bash", "dpkg", "apt", "libstdc++6", "tar", "zlib1g"} {
		o := fs.owner("dpkg", name, fmt.Sprintf("%d.%d-1+deb12u%d", i+1, i*3, i%4), "", 0)
		for k := range 12 {
			fs.add(fmt.Sprintf("/usr/lib/x86_64-linux-gnu/%s.so.%d", name, k), footprint.Bytes(40_000+pick(i*12+k, 90)*(18_000-i*900)), 0, o)
		}
		fs.add("/usr/share/doc/"+name+"/copyright", footprint.Bytes(4_000+i*900), 0, o)
		fs.add("/usr/share/doc/"+name+"/changelog.Debian.gz", footprint.Bytes(9_000+i*1900), 0, o)
	}
	node := fs.owner("npm", "npm", "10.8.2", "", 1)
	fs.add("/usr/local/bin/node", 98_000_000, 1, footprint.OfBase)
	for i := range 140 {
		fs.add(fmt.Sprintf("/usr/local/lib/node_modules/npm/lib/commands/command-%03d.js", i), footprint.Bytes(900+pick(i, 41)*700), 1, node)
	}
	for i := range 60 {
		fs.add(fmt.Sprintf("/etc/conf.d/%02d-default.conf", i), footprint.Bytes(200+pick(i, 40)*70), 0, footprint.OfBase)
	}
	names := []string{"typescript", "esbuild", "react", "react-dom", "lodash", "express", "next", "date-fns", "rxjs", "webpack", "@babel/core", "@types/node"}
	for i := range n {
		at := pick(i, max(n/100, 12))
		name, version := fmt.Sprintf("package-%03d", at), "1.0.0"
		if at < len(names) {
			name, version = names[at], fmt.Sprintf("%d.%d.0", at+1, at*2)
		}
		if at == 2 && grown {
			version = "19.0.1"
		}
		through := ""
		if at%3 == 1 {
			through = "next"
		}
		if at%17 == 5 && !grown {
			continue
		}
		size := footprint.Bytes(120 + pick(i, 997)*pick(i, 89)/3)
		if at < 4 {
			size = size*5 + 3_000
		}
		if at == 2 && grown {
			size += 2_000
		}
		fs.add(fmt.Sprintf("/app/node_modules/%s/lib/part-%02d/module-%05d.js", name, i%7, i), size, 3, fs.owner("npm", name, version, through, 3))
	}
	for i := range 80 {
		fs.add(fmt.Sprintf("/app/src/pages/page-%02d.tsx", i), footprint.Bytes(2_000+pick(i, 37)*400), 4, footprint.OfApplication)
	}
	for i := range 8 {
		fs.add(fmt.Sprintf("/app/public/images/photo-%d.jpg", i), footprint.Bytes(900_000+i*310_000), 4, footprint.OfApplication)
	}
	python := fs.owner("python", "numpy", "1.26.4", "", 2)
	for i := range 120 {
		fs.add(fmt.Sprintf("/usr/lib/python3/dist-packages/numpy/core/mod_%03d.py", i), footprint.Bytes(3_000+pick(i, 53)*2_900), 2, python)
	}
	if grown {
		for i := range 90 {
			fs.add(fmt.Sprintf("/root/.npm/_cacache/content-v2/sha512/%02x/%08x", i, i*2654435), footprint.Bytes(30_000+pick(i, 71)*6_100), 3, footprint.Unowned)
		}
		fs.add("/app/models/weights.bin", 14_000_000, 4, footprint.OfApplication)
		fs.add(`/app/odd/</script><script>alert(1)</script>`, 51_000, 4, footprint.OfApplication)
		fs.add("/app/odd/<!-- \u2028 \u202e", 52_000, 4, footprint.OfApplication)
		fs.add("/app/odd/not utf-8 \xff\xfe\n::error::", 53_000, 4, footprint.OfApplication)
	} else {
		fs.add("/opt/old-agent/agent", 9_000_000, 2, footprint.Unowned)
	}
	return fs.image(grown)
}

// image sums everything up the way a measurement does.
func (fs *filesystem) image(grown bool) *footprint.Image {
	slices.SortFunc(fs.files, func(a, b footprint.File) int {
		return cmp.Compare(strings.ReplaceAll(a.Path, "/", "\x00"), strings.ReplaceAll(b.Path, "/", "\x00"))
	})
	img := &footprint.Image{
		Name: "web", Reference: "ghcr.io/acme/web:main", Source: "registry", Platform: "linux/amd64",
		Digest: "sha256:" + strings.Repeat("1", 64), Rest: &footprint.Rest{},
		Layers: []footprint.Layer{
			layer(0, "# debian.sh --arch 'amd64' out/ 'bookworm'", 0, 0, 0, 0, true),
			layer(1, "RUN /bin/sh -c ARCH= OPENSSL_ARCH= && curl -fsSLO https://nodejs.org/dist/node.tar.xz && tar -xJf node.tar.xz", 0, 0, 0, 0, true),
			layer(2, "RUN /bin/sh -c apt-get update && apt-get install -y python3-numpy # buildkit", 0, 0, 0, 0, false),
			layer(3, "RUN /bin/sh -c npm ci # buildkit", 0, 0, 0, 0, false),
			layer(4, "COPY . . # buildkit", 0, 0, 0, 0, false),
		},
	}
	for i := range img.Layers {
		if i >= 2 {
			img.Layers[i].Origin = &footprint.Origin{File: "Dockerfile", Stage: "runtime", Start: 3 + i*2, End: 4 + i*2, Exact: true}
		}
	}
	for _, f := range fs.files {
		l := &img.Layers[f.Layer]
		l.Unpacked += f.Size
		l.Files++
		if i, ok := f.Owner.Package(); ok {
			fs.packages[i].Bytes += f.Size
			fs.packages[i].Files++
			if f.Layer >= 2 {
				fs.packages[i].Own += f.Size
			}
			continue
		}
		switch f.Owner {
		case footprint.OfApplication:
			img.Rest.Application += f.Size
		case footprint.OfBase:
			img.Rest.Base += f.Size
		default:
			img.Rest.Unowned += f.Size
		}
	}
	order := make([]int, len(fs.packages))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(fs.packages[b].Bytes, fs.packages[a].Bytes) })
	place := map[int]int{}
	for to, from := range order {
		place[from] = to
		img.Packages = append(img.Packages, fs.packages[from])
	}
	for i := range fs.files {
		if p, ok := fs.files[i].Owner.Package(); ok {
			fs.files[i].Owner = footprint.OwnedBy(place[p])
		}
	}
	if grown {
		img.Reference = "ghcr.io/acme/web:edge"
		img.Layers[3].Wasted, img.Layers[3].Unpacked = 3_100_000, img.Layers[3].Unpacked+3_100_000
		img.Dead = []footprint.Dead{{In: 3, By: 4, Fate: footprint.Rewritten, Bytes: 3_100_000, Files: 42, Under: "/app/node_modules/typescript"}}
		img.DeadFiles = []footprint.DeadFile{
			{Path: "/app/node_modules/typescript/lib/tsc.js", Bytes: 2_100_000, In: 3, By: 4, Fate: footprint.Rewritten},
			{Path: "/app/node_modules/typescript/lib/tsserver.js", Bytes: 1_000_000, In: 3, By: 4, Fate: footprint.Rewritten},
		}
		img.Contents = []footprint.Content{
			{Kind: footprint.DebugInfo, Bytes: 31_400_000, Own: 1_200_000, Files: 14, Heaviest: "/usr/local/bin/node"},
			{Kind: footprint.PackageCaches, Bytes: 12_100_000, Own: 12_100_000, Files: 90, Heaviest: "/root/.npm/_cacache/content-v2/sha512/02/005101c6"},
			{Kind: footprint.Documentation, Bytes: 325_000, Own: 0, Files: 20, Heaviest: "/usr/share/doc/zlib1g/changelog.Debian.gz"},
		}
		img.Duplicates = []footprint.Duplicate{
			{Bytes: 2_400_000, Own: 2_400_000, Dir: true, Files: 31, Copies: 3, Paths: []string{"/app/node_modules/date-fns/esm", "/app/node_modules/rxjs/node_modules/date-fns/esm"}, Layers: []int{3, 3}},
			{Bytes: 900_000, Own: 900_000, Files: 1, Copies: 2, Paths: []string{"/app/public/images/photo-0.jpg", "/app/src/photo-0.jpg"}, Layers: []int{4, 4}},
		}
		img.DuplicateBytes, img.DuplicateOwn = 3_412_000, 3_412_000
		img.Skipped = []footprint.Skipped{{Path: "/var/lib/rpm/rpmdb.sqlite", Why: "larger than 64 MB"}}
	}
	dirs := map[string]*footprint.Dir{}
	var walk []footprint.File
	for _, f := range fs.files {
		dir := f.Path[:strings.LastIndexByte(f.Path, '/')]
		var above []footprint.File
		for d := dir; d != "" && dirs[d] == nil; d = d[:strings.LastIndexByte(d, '/')] {
			dirs[d] = &footprint.Dir{Path: d}
			above = append(above, footprint.File{Path: d, Kind: footprint.Directory, Layer: f.Layer})
		}
		slices.Reverse(above)
		walk = append(append(walk, above...), f)
		dirs[dir].Bytes += f.Size
		dirs[dir].Files++
	}
	for _, p := range slices.Sorted(maps.Keys(dirs)) {
		img.Dirs = append(img.Dirs, *dirs[p])
	}
	img.Files = slices.Values(walk)
	for i := range img.Layers {
		l := &img.Layers[i]
		l.Compressed = l.Unpacked * 38 / 100
		l.DiffID = fmt.Sprintf("sha256:%d-%d", i, l.Unpacked)
	}
	split(img, 2)
	img.Base.Reference = "node:20-bookworm-slim"
	img.Surface = &footprint.Surface{
		Setuid: []string{"/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/su"}, Shells: []string{"/bin/bash", "/bin/sh"},
		PackageManagers: []string{"/usr/bin/apt", "/usr/bin/dpkg", "/usr/local/bin/npm"},
	}
	if grown {
		img.Surface.Setuid = append(img.Surface.Setuid, "/usr/bin/sudo")
		img.Surface.Compilers = []string{"/usr/bin/cc", "/usr/bin/gcc"}
	}
	return img
}

// packageChanges compares the packages of two such images.
func packageChanges(old, head *footprint.Image) []footprint.PackageChange {
	type key struct{ ecosystem, name string }
	was := map[key]footprint.Package{}
	for _, p := range old.Packages {
		was[key{p.Ecosystem, p.Name}] = p
	}
	var out []footprint.PackageChange
	for _, p := range head.Packages {
		k := key{p.Ecosystem, p.Name}
		before, known := was[k]
		delete(was, k)
		switch {
		case !known:
			out = append(out, footprint.PackageChange{Ecosystem: p.Ecosystem, Name: p.Name, Change: footprint.Added, To: p.Version, Bytes: p.Bytes, Layer: p.Layer, Through: p.Through})
		case before.Bytes != p.Bytes || before.Version != p.Version:
			out = append(out, footprint.PackageChange{Ecosystem: p.Ecosystem, Name: p.Name, Change: footprint.Changed, From: before.Version, To: p.Version, Bytes: p.Bytes - before.Bytes, Layer: p.Layer, Through: p.Through})
		}
	}
	for _, p := range old.Packages {
		if _, gone := was[key{p.Ecosystem, p.Name}]; gone {
			out = append(out, footprint.PackageChange{Ecosystem: p.Ecosystem, Name: p.Name, Change: footprint.Removed, From: p.Version, Bytes: -p.Bytes, Layer: -1})
		}
	}
	slices.SortStableFunc(out, func(a, b footprint.PackageChange) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return out
}

// filled is a report about an image of about n files with everything in it.
func filled(t testing.TB, n int) *report.Report {
	t.Helper()
	base, head := webServer(n, false), webServer(n, true)
	d, err := footprint.Compare(base, head)
	if err != nil {
		t.Fatal(err)
	}
	d.Packages = packageChanges(base, head)
	d.Packages = append(d.Packages, footprint.PackageChange{Ecosystem: "dpkg", Name: "old-agent", Change: footprint.Removed, From: "3.1", Bytes: -9_000_000, Layer: -1})
	d.Moves = []footprint.Move{{From: "/srv/assets", To: "/app/public/assets", Dir: true, Bytes: 1_200_000, Files: 31}}
	img := report.Image{
		Head: head, Base: base, Delta: d, LargestFiles: report.Largest(head.Files, report.MaxLargest),
		Baseline: report.Baseline{Status: "found", From: "file:size.json", Commit: "1a2b3c4d5e6f71a2b3c4d5e6f71a2b3c4d5e6f7a", Distance: 2},
	}
	for i := range 12 {
		img.History = append(img.History, footprint.Past{
			Commit: fmt.Sprintf("%07d%033d", i, i), Has: everything, Compressed: footprint.Bytes(91_000_000 + i*i*50_000 - (i%3)*900_000),
			Unpacked: footprint.Bytes(240_000_000 + i*1_500_000), Final: footprint.Bytes(240_000_000 + i*1_500_000),
		})
	}
	b := parseBudget(t, strings.Replace(richBudget, "max: 120MB, warn: 100MB", "max: 75MB, warn: 60MB", 1))
	img.Verdict = b.Evaluate(budget.Input{Head: head, Base: base, Now: today, State: budget.BaselineFound})
	return wrap(img)
}
