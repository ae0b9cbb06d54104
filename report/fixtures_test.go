package report_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

const (
	files      = footprint.HasFiles
	compressed = footprint.HasCompressed
	everything = files | compressed
)

const richBudget = `version: 1
baseline: file:size.json
images:
  web:
    image: ghcr.io/acme/web:edge
    base: node:20-bookworm-slim
    limits:
      compressed: {max: 120MB, warn: 100MB, growth: 5%}
      wasted: {max: 5MB}
      layers: {max: 20}
    own:
      compressed: {growth: 1MB}
    paths:
      "/app/node_modules/**": {max: 80MB}
    forbid: ["/usr/bin/gcc", "**/.git/**"]
    waivers:
      - {limit: own.compressed.growth, until: 2026-12-31, reason: "one-off: new model weights"}
`

var today = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

// parseBudget returns the first image of a budget file.
func parseBudget(t testing.TB, src string) budget.Image {
	t.Helper()
	f, err := budget.Parse(".image-budget.yml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f.Images[0]
}

func layer(index int, by string, compressedSize, unpacked, wasted footprint.Bytes, count int, inBase bool) footprint.Layer {
	return footprint.Layer{
		Index: index, DiffID: "sha256:" + string(rune('a'+index)), Digest: "sha256:" + string(rune('A'+index)), CreatedBy: by,
		Compressed: compressedSize, Unpacked: unpacked, Wasted: wasted, Files: count, Has: everything, InBase: inBase,
	}
}

// total sums the metrics of layers the way a measurement does.
func total(layers []footprint.Layer, update footprint.Bytes) footprint.Metrics {
	m := footprint.Metrics{Has: everything, Update: update, Layers: len(layers)}
	for _, l := range layers {
		m.Compressed += l.Compressed
		m.Unpacked += l.Unpacked
		m.Wasted += l.Wasted
		m.Files += l.Files
	}
	m.Final = m.Unpacked - m.Wasted
	return m
}

func split(img *footprint.Image, base int) {
	b, o := total(img.Layers[:base], 0), total(img.Layers[base:], 0)
	img.Metrics = total(img.Layers, 0)
	img.Base = &footprint.Base{FoundBy: "budget file", Reference: "node:20-bookworm-slim", Metrics: b}
	img.Own = &o
	modes(img, 290, 8)
}

// modes sets the counts of an image whose base is all that it had before, and the
// programs of one that has none.
func modes(img *footprint.Image, executables, setuid int) {
	if img.Surface == nil {
		img.Surface = &footprint.Surface{
			Setuid: []string{"/usr/bin/chsh", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/su"},
			Shells: []string{"/bin/bash", "/bin/sh", "/usr/bin/bash", "/usr/bin/sh"}, PackageManagers: []string{"/usr/bin/apt", "/usr/bin/dpkg", "/usr/local/bin/npm"},
		}
	}
	for _, m := range []*footprint.Metrics{&img.Metrics, &img.Base.Metrics, img.Own} {
		m.Has |= footprint.HasModes
	}
	img.Metrics.Executables, img.Metrics.Setuid = executables, setuid
	img.Base.Metrics.Executables, img.Base.Metrics.Setuid = 290, 8
	img.Own.Executables, img.Own.Setuid = executables-290, setuid-8
}

// inventory fills in what is known of the bytes of newImage; it adds up to what a
// container sees.
func inventory(img *footprint.Image) {
	img.Packages = []footprint.Package{
		{Ecosystem: "dpkg", Name: "nodejs", Version: "20.11.1-1nodesource1", Bytes: 78_100_000, Files: 900, Layer: 1},
		{Ecosystem: "npm", Name: "typescript", Version: "5.4.5", Bytes: 22_400_000, Own: 22_400_000, Files: 412, Layer: 4, Path: "/app/node_modules/typescript", Dev: true},
		{Ecosystem: "npm", Name: "@esbuild/linux-x64", Version: "0.20.2", Bytes: 9_600_000, Own: 9_600_000, Files: 3, Layer: 4, Path: "/app/node_modules/@esbuild/linux-x64", Through: "vite", Dev: true},
		{Ecosystem: "dpkg", Name: "perl-base", Version: "5.36.0-7+deb12u1", Bytes: 7_800_000, Files: 300, Layer: 0},
		{Ecosystem: "dpkg", Name: "bash", Version: "5.2.15-2+b2", Bytes: 6_500_000, Files: 20, Layer: 0},
		{Ecosystem: "dpkg", Name: "libssl3", Version: "3.0.11-1~deb12u2", Bytes: 6_000_000, Files: 8, Layer: 1, Through: "nodejs"},
		{Ecosystem: "npm", Name: "react-dom", Version: "18.2.0", Bytes: 4_500_000, Own: 4_500_000, Files: 60, Layer: 4, Path: "/app/node_modules/react-dom"},
		{Ecosystem: "npm", Name: "vite", Version: "5.2.8", Bytes: 3_100_000, Own: 3_100_000, Files: 50, Layer: 4, Path: "/app/node_modules/vite", Dev: true},
	}
	for i := range 20 {
		img.Packages = append(img.Packages, footprint.Package{
			Ecosystem: "npm", Name: fmt.Sprintf("lib-%02d", i), Version: "1.0.0", Bytes: 1_569_000, Own: 1_569_000, Files: 10, Layer: 4, Path: fmt.Sprintf("/app/node_modules/lib-%02d", i), Through: "express",
		})
	}
	img.Packages = append(img.Packages, footprint.Package{Ecosystem: "npm", Name: "express", Version: "4.19.2", Bytes: 220_000, Own: 220_000, Files: 16, Layer: 4, Path: "/app/node_modules/express"})
	img.Rest = &footprint.Rest{Base: 28_800_000, Application: 10_381_004, Unowned: 8_400_000}
	img.Contents = []footprint.Content{
		{Kind: footprint.DebugInfo, Bytes: 12_300_000, Own: 0, Files: 14, Heaviest: "/usr/bin/node"},
		{Kind: footprint.PackageCaches, Bytes: 8_400_000, Own: 8_400_000, Files: 518, Heaviest: "/root/.npm/_cacache/content-v2/sha512/a1/b2/c3d4"},
		{Kind: footprint.VersionControl, Bytes: 7_100_000, Own: 7_100_000, Files: 300, Heaviest: "/app/.git/objects/pack/pack-1f2e3d.pack"},
		{Kind: footprint.SourceMaps, Bytes: 3_200_000, Own: 2_900_000, Files: 88, Heaviest: "/app/node_modules/react-dom/umd/react-dom.development.js.map"},
		{Kind: footprint.Locales, Bytes: 400, Own: 0, Files: 1, Heaviest: "/usr/share/locale/de"},
	}
	img.Duplicates = []footprint.Duplicate{
		{Bytes: 3_100_000, Own: 3_100_000, Dir: true, Files: 50, Copies: 2, Paths: []string{"/app/build", "/srv/build"}, Layers: []int{5, 5}},
		{Bytes: 1_200_000, Own: 1_200_000, Files: 1, Copies: 5, Paths: []string{"/app/a.wasm", "/app/node_modules/lib-01/a.wasm", "/app/node_modules/lib-02/a.wasm"}, Layers: []int{5, 4, 4}},
	}
	img.DuplicateBytes, img.DuplicateOwn = 4_700_000, 4_700_000
	img.Skipped = []footprint.Skipped{{Path: "/app/node_modules/huge/package.json", Why: "larger than 64 MB"}}
	modes(img, 312, 9)
	img.Surface.Setuid = []string{"/usr/bin/chsh", "/usr/bin/mount", "/usr/bin/newgrp", "/usr/bin/passwd", "/usr/bin/su"}
	img.Surface.Compilers = []string{"/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/x86_64-linux-gnu-gcc-12"}
}

func oldImage() *footprint.Image {
	img := &footprint.Image{
		Name: "web", Reference: "ghcr.io/acme/web:main", Source: "registry", Platform: "linux/amd64",
		Digest: "sha256:1111111111111111111111111111111111111111111111111111111111111111",
		Layers: []footprint.Layer{
			layer(0, "/bin/sh -c #(nop) ADD file:9a4f77dfaba7fd2aa78186e4ef0e7486ad55101cefc1fabbc1b385601bb38920 in / ", 29_100_000, 74_800_000, 0, 3_211, true),
			layer(1, "RUN /bin/sh -c apt-get update && apt-get install -y nodejs # buildkit", 18_000_000, 52_400_000, 0, 1_100, true),
			layer(2, "WORKDIR /app", 102, 0, 0, 0, false),
			layer(3, "COPY package*.json ./ # buildkit", 44_102, 181_004, 0, 2, false),
			layer(4, "RUN /bin/sh -c npm ci # buildkit", 45_600_000, 71_200_000, 0, 9_412, false),
			layer(5, "COPY . . # buildkit", 1_255_798, 3_100_000, 200_000, 311, false),
		},
		Dead: []footprint.Dead{{In: 5, By: 5, Fate: footprint.Replaced, Bytes: 200_000, Files: 1, Under: "/app"}},
	}
	split(img, 2)
	return img
}

func newImage() *footprint.Image {
	img := &footprint.Image{
		Name: "web", Reference: "ghcr.io/acme/web:edge", Source: "registry", Platform: "linux/amd64",
		Digest: "sha256:2222222222222222222222222222222222222222222222222222222222222222",
		Layers: []footprint.Layer{
			layer(0, "/bin/sh -c #(nop) ADD file:9a4f77dfaba7fd2aa78186e4ef0e7486ad55101cefc1fabbc1b385601bb38920 in / ", 29_100_000, 74_800_000, 0, 3_211, true),
			layer(1, "RUN /bin/sh -c apt-get update && apt-get install -y nodejs # buildkit", 18_000_000, 52_400_000, 0, 1_100, true),
			layer(2, "WORKDIR /app", 102, 0, 0, 0, false),
			layer(3, "COPY package*.json ./ # buildkit", 44_102, 181_004, 181_004, 2, false),
			layer(4, "RUN /bin/sh -c npm ci # buildkit", 51_900_000, 79_600_000, 71_200_000, 9_930, false),
			layer(5, "COPY . . # buildkit", 8_355_798, 10_200_000, 3_100_000, 611, false),
			layer(6, "RUN |1 MODE=a b /bin/sh -c chown -R node:node /app # buildkit", 25_000_000, 74_481_004, 0, 9_725, false),
		},
		Dead: []footprint.Dead{
			{In: 3, By: 6, Fate: footprint.Rewritten, Bytes: 181_004, Files: 2, Under: "/app"},
			{In: 4, By: 6, Fate: footprint.Rewritten, Bytes: 71_200_000, Files: 9_412, Under: "/app/node_modules"},
			{In: 5, By: 6, Fate: footprint.Rewritten, Bytes: 3_100_000, Files: 311, Under: "/app"},
		},
		DeadFiles: []footprint.DeadFile{
			{Path: "/app/node_modules/typescript/lib/tsc.js", Bytes: 6_100_000, In: 4, By: 6, Fate: footprint.Rewritten},
			{Path: "/app/node_modules/esbuild/bin/esbuild", Bytes: 5_400_000, In: 4, By: 6, Fate: footprint.Rewritten},
		},
		Paths: []footprint.PathSize{
			{Pattern: "/app/node_modules/**", Bytes: 71_200_000, Files: 9_412},
			{Pattern: "/usr/bin/gcc"},
			{Pattern: "**/.git/**", Bytes: 7_100_000, Files: 300, Examples: []string{"/app/.git/HEAD", "/app/.git/config", "/app/.git/index"}},
		},
		Dirs: []footprint.Dir{
			{Path: "/", Bytes: 4_000, Files: 2}, {Path: "/app", Bytes: 3_281_004, Files: 313}, {Path: "/app/.git", Bytes: 7_100_000, Files: 300},
			{Path: "/app/node_modules", Bytes: 65_100_000, Files: 9_000}, {Path: "/app/node_modules/typescript/lib", Bytes: 6_100_000, Files: 412},
			{Path: "/root/.npm/_cacache", Bytes: 8_400_000, Files: 518}, {Path: "/usr", Bytes: 20_000_000, Files: 900},
			{Path: "/usr/bin", Bytes: 80_196_000, Files: 411}, {Path: "/usr/lib", Bytes: 27_000_000, Files: 3_000},
		},
	}
	split(img, 2)
	inventory(img)
	return img
}

// largestFiles stands for a walk over the files of newImage.
func largestFiles() []footprint.File {
	return []footprint.File{
		{Path: "/usr/bin/node", Kind: footprint.Regular, Size: 78_100_000, Layer: 1},
		{Path: "/app/node_modules/typescript/lib/tsc.js", Kind: footprint.Regular, Size: 6_100_000, Layer: 6},
		{Path: "/app/node_modules/esbuild/bin/esbuild", Kind: footprint.Regular, Size: 5_400_000, Layer: 6},
	}
}

func delta(base, head *footprint.Image) *footprint.Delta {
	d := &footprint.Delta{
		Has:        everything,
		Compressed: head.Metrics.Compressed - base.Metrics.Compressed,
		Unpacked:   head.Metrics.Unpacked - base.Metrics.Unpacked,
		Final:      head.Metrics.Final - base.Metrics.Final,
	}
	d.Parts.Wasted = head.Metrics.Wasted - base.Metrics.Wasted
	d.Parts.Files = d.Unpacked - d.Parts.Wasted
	if base.Base != nil && head.Base != nil {
		d.Base = &footprint.BaseChange{Change: footprint.Same, Old: base.Base, New: head.Base}
		d.Parts.Base, _ = d.Base.Unpacked()
		d.Parts.Files -= d.Parts.Base
	}
	for i := range head.Layers {
		c := footprint.LayerChange{Change: footprint.Added, New: &head.Layers[i]}
		if i < len(base.Layers) {
			c.Old, c.Change = &base.Layers[i], footprint.Same
			if c.Old.Compressed != c.New.Compressed {
				c.Change = footprint.Changed
			}
		}
		d.Layers = append(d.Layers, c)
	}
	return d
}

func richDelta(base, head *footprint.Image) *footprint.Delta {
	d := delta(base, head)
	d.Paths = []footprint.PathChange{
		{Path: "/root/.npm/_cacache", Change: footprint.Added, Dir: true, New: 8_400_000, Bytes: 8_400_000, Files: 518, Layer: 4},
		{Path: "/app/.git", Change: footprint.Added, Dir: true, New: 7_100_000, Bytes: 7_100_000, Files: 300, Layer: 5},
		{Path: "/app/server.js", Change: footprint.Changed, Old: 100_000, New: 299_000, Bytes: 199_000, Files: 1, Layer: 6},
		{Path: "/app/old.js", Change: footprint.Removed, Old: 2_000, Bytes: -2_000, Files: 1, Layer: -1},
		{Path: "/app/lib", Change: footprint.Changed, Dir: true, Old: 9_000, New: 12_000, Bytes: 3_000, Files: 4, Layer: 6},
	}
	d.Causes = []footprint.Cause{
		{Bytes: 74_481_004, Metric: footprint.Unpacked, Path: "/app", Fate: footprint.Rewritten, Change: footprint.Added, Layer: 6},
		{Bytes: 8_400_000, Metric: footprint.Unpacked, Label: "npm cache", Path: "/root/.npm/_cacache", Change: footprint.Added, Layer: 4},
		{Bytes: 7_100_000, Metric: footprint.Unpacked, Label: "git history", Path: "/app/.git", Change: footprint.Added, Layer: 5},
	}
	d.Packages = []footprint.PackageChange{
		{Ecosystem: "npm", Name: "typescript", Change: footprint.Added, To: "5.4.5", Bytes: 1_100_000, Layer: 4, Dev: true},
		{Ecosystem: "npm", Name: "express", Change: footprint.Changed, From: "4.18.0", To: "4.19.2", Bytes: 12_000, Layer: 4},
		{Ecosystem: "dpkg", Name: "libtinfo5", Change: footprint.Removed, From: "6.4-4", Bytes: -11_000, Layer: -1, Through: "bash"},
	}
	d.Moves = []footprint.Move{
		{From: "/app/old", To: "/opt/new", Dir: true, Bytes: 3_100_000, Files: 12},
		{From: "/app/server.crt", To: "/etc/ssl/server.crt", Bytes: 2_100, Files: 1},
	}
	return d
}

func judged(img *report.Image, b budget.Image) report.Image {
	img.Verdict = b.Evaluate(budget.Input{Head: img.Head, Base: img.Base, Reason: img.Baseline.Reason, Now: today, State: budget.BaselineState(img.Baseline.Status)})
	return *img
}

func wrap(images ...report.Image) *report.Report {
	r := &report.Report{
		Kind: report.Check, Tool: "image-budget 1.2.3", Images: images, BlobBytesRead: 39_100_000, LayersRead: 3, LayersKnown: 4,
		Run: report.Run{
			Repository: "acme/web", ServerURL: "https://github.com", PullRequest: 12, ID: 4711, Attempt: 1, BudgetFile: ".image-budget.yml",
			Head: "9f8e7d6a5b4c39f8e7d6a5b4c39f8e7d6a5b4c39", Base: "1a2b3c4d5e6f71a2b3c4d5e6f71a2b3c4d5e6f7a",
		},
	}
	for _, img := range images {
		r.Status = r.Status.Worse(img.Verdict.Status)
	}
	return r
}

var refused = report.Unmeasured{Name: "worker", Reason: "reading the manifest of registry.example.com/acme/worker:edge: 401 Unauthorized: log in with docker login, or pass registry-username and registry-password"}

// unmeasured adds images without figures to a report.
func unmeasured(r *report.Report, images ...report.Unmeasured) *report.Report {
	r.Unmeasured = append(r.Unmeasured, images...)
	if len(r.Images) == 0 {
		r.BlobBytesRead, r.LayersRead, r.LayersKnown = 0, 0, 0
	}
	return r
}

func rich(t testing.TB) *report.Report {
	head, base := newImage(), oldImage()
	d := richDelta(base, head)
	head.Layers[4].Origin = &footprint.Origin{File: "Dockerfile", Stage: "runtime", Start: 14, End: 14, Exact: true}
	img := report.Image{
		Head: head, Base: base, Delta: d, LargestFiles: largestFiles(),
		Baseline: report.Baseline{Status: "found", From: "file:size.json", Commit: "1a2b3c4d5e6f71a2b3c4d5e6f71a2b3c4d5e6f7a", Distance: 2},
	}
	r := wrap(judged(&img, parseBudget(t, richBudget)))
	r.Notes = []string{"2 attestations of this image were skipped"}
	return r
}
