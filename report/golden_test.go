package report_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

var update = flag.Bool("update", false, "write the golden files again")

// cases are the reports whose look is kept in testdata.
func cases(t testing.TB) map[string]*report.Report {
	inspect, diff := rich(t), rich(t)
	inspect.Kind, diff.Kind = report.Inspect, report.Diff
	for _, r := range []*report.Report{inspect, diff} {
		r.Images[0].Verdict, r.Status, r.Run = budget.Verdict{Status: budget.Pass}, budget.Pass, report.Run{}
	}
	inspect.Images[0].Base, inspect.Images[0].Delta, inspect.Images[0].Baseline = nil, nil, report.Baseline{Status: "none"}
	return map[string]*report.Report{
		"over": rich(t), "inspect": inspect, "diff": diff, "fine": fine(t), "shrunk": shrunk(t), "no-baseline": noBaseline(t), "manifest-only": manifestOnly(t),
		"not-comparable": notComparable(t), "waived": waived(t), "estimated": estimated(t), "no-budget": noBudget(t), "many-images": fleet(t, 200), "all-over": allOver(t, 200), "platforms": platforms(t),
		"unmeasured": unmeasured(fine(t), refused), "only-unmeasured": unmeasured(wrap(), refused),
		"diff-same": same(0), "diff-recompressed": same(3), "diff-base-unknown": baseUnknown(t), "creep": creep(t), "base-bump": bump(t), "base-shrunk": baseShrunk(t), "diff-base-bump": diffBump(t),
		"advised": advised(t, report.Check), "suggest": advised(t, report.Suggest), "suggest-hint": hinted(), "suggest-nothing": nothing(t),
		"regressions": regressions(t, report.Check), "diff-regressions": regressions(t, report.Diff),
	}
}

const simpleBudget = `version: 1
baseline: file:size.json
images:
  web:
    image: ghcr.io/acme/web:edge
    limits:
      compressed: {max: 120MB, growth: 5%}
`

func found() report.Baseline {
	return report.Baseline{Status: "found", From: "file:size.json", Commit: "1a2b3c4d5e6f71a2b3c4d5e6f71a2b3c4d5e6f7a"}
}

// near is an image that differs little from oldImage.
func near(more footprint.Bytes) *footprint.Image {
	img := oldImage()
	img.Reference = "ghcr.io/acme/web:edge"
	img.Layers[5].Compressed += more
	split(img, 2)
	return img
}

func fine(t testing.TB) *report.Report {
	head, base := near(104_200), oldImage()
	img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
	r := wrap(judged(&img, parseBudget(t, simpleBudget)))
	r.BlobBytesRead, r.LayersRead, r.LayersKnown = 0, 0, 6
	return r
}

func shrunk(t testing.TB) *report.Report {
	base, head := newImage(), oldImage()
	d := delta(base, head)
	d.Paths = []footprint.PathChange{
		{Path: "/root/.npm/_cacache", Change: footprint.Removed, Dir: true, Old: 8_400_000, Bytes: -8_400_000, Files: 518, Layer: -1},
		{Path: "/app/.git", Change: footprint.Removed, Dir: true, Old: 7_300_000, Bytes: -7_300_000, Files: 300, Layer: -1},
	}
	img := report.Image{Head: head, Base: base, Delta: d, Baseline: found()}
	return wrap(judged(&img, parseBudget(t, simpleBudget)))
}

func noBaseline(t testing.TB) *report.Report {
	img := report.Image{Head: oldImage(), Baseline: report.Baseline{Status: "none", From: "file:size.json"}}
	return wrap(judged(&img, parseBudget(t, simpleBudget)))
}

// withoutFiles forgets everything that only reading layers tells.
func withoutFiles(img *footprint.Image) *footprint.Image {
	img.Dead, img.DeadFiles, img.Dirs, img.Paths = nil, nil, nil, nil
	img.Packages, img.Rest, img.Contents, img.Duplicates, img.Skipped, img.Surface = nil, nil, nil, nil, nil, nil
	img.DuplicateBytes, img.DuplicateOwn = 0, 0
	for i := range img.Layers {
		l := &img.Layers[i]
		l.Unpacked, l.Wasted, l.Files, l.Has = 0, 0, 0, compressed
	}
	for _, m := range []*footprint.Metrics{&img.Metrics, &img.Base.Metrics, img.Own} {
		m.Unpacked, m.Final, m.Wasted, m.Files, m.Executables, m.Setuid, m.Has = 0, 0, 0, 0, 0, 0, compressed
	}
	return img
}

func manifestOnly(t testing.TB) *report.Report {
	base, head := withoutFiles(oldImage()), withoutFiles(newImage())
	head.Metrics.Update, head.Metrics.Has = 85_300_000, compressed|footprint.HasUpdate
	d := delta(base, head)
	d.Unpacked, d.Final, d.Parts, d.Has = 0, 0, footprint.Parts{}, compressed
	d.Causes = []footprint.Cause{
		{Bytes: 25_000_000, Metric: footprint.Compressed, Change: footprint.Added, Layer: 6},
		{Bytes: 7_100_000, Metric: footprint.Compressed, Change: footprint.Changed, Layer: 5},
		{Bytes: 6_300_000, Metric: footprint.Compressed, Change: footprint.Changed, Layer: 4},
	}
	img := report.Image{Head: head, Base: base, Delta: d, Baseline: found()}
	r := wrap(judged(&img, parseBudget(t, richBudget)))
	r.BlobBytesRead, r.LayersRead, r.LayersKnown = 0, 0, 0
	return r
}

func notComparable(t testing.TB) *report.Report {
	img := report.Image{Head: newImage(), Base: oldImage(), Baseline: report.Baseline{Status: "not-comparable", From: "file:size.json", Reason: "it is of linux/arm64, this is linux/amd64"}}
	return wrap(judged(&img, parseBudget(t, simpleBudget)))
}

func waived(t testing.TB) *report.Report {
	src := simpleBudget + `    waivers:
      - {limit: limits.compressed.growth, until: 2026-12-31, reason: "one-off: new model weights"}
`
	head, base := near(8_000_000), oldImage()
	img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
	return wrap(judged(&img, parseBudget(t, src)))
}

func estimated(t testing.TB) *report.Report {
	head := oldImage()
	head.Reference, head.Source, head.EstimatedBy = "docker-daemon:web:edge", "docker-daemon", "gzip level 6"
	for i := range head.Layers {
		head.Layers[i].CompressedEstimated, head.Layers[i].Digest = true, ""
	}
	for _, m := range []*footprint.Metrics{&head.Metrics, &head.Base.Metrics, head.Own} {
		m.CompressedEstimated = true
	}
	img := report.Image{Head: head, Baseline: report.Baseline{Status: "none", From: "none"}}
	return wrap(judged(&img, parseBudget(t, simpleBudget)))
}

// creep is an image that is within every limit of a single change, and over the
// one of all changes since the last release.
func creep(t testing.TB) *report.Report {
	src := strings.Replace(simpleBudget, "growth: 5%", "growth: {percent: 5%, since-release: 20%}", 1) + `    own:
      compressed: {growth: {since-release: 50MB}}
`
	head, base, release := near(2_400_000), oldImage(), oldImage()
	release.Layers[4].Compressed -= 16_000_000
	split(release, 2)
	img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
	img.Delta.Causes = []footprint.Cause{{Bytes: 2_400_000, Metric: footprint.Unpacked, Path: "/app/static", Change: footprint.Changed, Layer: 5}}
	img.Verdict = parseBudget(t, src).Evaluate(budget.Input{Head: head, Base: base, Release: release, ReleaseTag: "v1.2.0", Now: today})
	return wrap(img)
}

const ownBudget = simpleBudget + `    own:
      unpacked: {growth: 0B}
      compressed: {growth: 0B}
`

// bumped is the new image of two that differ in their base by so many bytes, and
// by one line of the project's own. What Compare makes of two such images is
// tested where it is.
func bumped(t testing.TB, by footprint.Bytes, own footprint.Bytes) report.Image {
	head, base := near(own), oldImage()
	base.Base.Reference = "node:20.11-bookworm-slim"
	for i, l := range []*footprint.Layer{&head.Layers[0], &head.Layers[1]} {
		l.DiffID += "2"
		l.Unpacked += by / footprint.Bytes(i+1)
		l.Compressed += by / 3
	}
	head.Layers[5].Unpacked += own
	split(head, 2)
	head.Base.Reference = "node:20.19-bookworm-slim"
	d := delta(base, head)
	for i := range 2 {
		d.Layers[i].Change = footprint.Changed
	}
	d.Base.Change = footprint.Changed
	change := func(path string, from, bytes footprint.Bytes, layer int) {
		if bytes != 0 {
			d.Paths = append(d.Paths, footprint.PathChange{Path: path, Change: footprint.Changed, Dir: true, Old: from, New: from + bytes, Bytes: bytes, Files: 3, Layer: layer})
		}
	}
	change("/usr/lib", 60_000_000, d.Parts.Base, 0)
	change("/app/static", 1_000_000, own, 5)
	if d.Parts.Base > 0 {
		d.Causes = append(d.Causes, footprint.Cause{Bytes: d.Parts.Base, Base: true, Metric: footprint.Unpacked, Change: footprint.Changed, Layer: -1})
	}
	if own > 0 {
		d.Causes = append(d.Causes, footprint.Cause{Bytes: own, Metric: footprint.Unpacked, Path: "/app/static", Change: footprint.Changed, Layer: 5})
	}
	if err := d.Verify(); err != nil {
		t.Fatal(err)
	}
	return report.Image{Head: head, Base: base, Delta: d, Baseline: found()}
}

func bump(t testing.TB) *report.Report {
	img := bumped(t, 8_000_000, 0)
	return wrap(judged(&img, parseBudget(t, ownBudget)))
}

// baseShrunk is an image that grew although its base became smaller.
func baseShrunk(t testing.TB) *report.Report {
	img := bumped(t, -8_000_000, 14_000_000)
	return wrap(judged(&img, parseBudget(t, ownBudget)))
}

// diffBump is the difference of two images on two bases of one name.
func diffBump(t testing.TB) *report.Report {
	img := bumped(t, 8_000_000, 2_000_000)
	img.Head.Base.Reference = img.Base.Base.Reference
	img.Base.Base.Digest, img.Head.Base.Digest = "sha256:"+strings.Repeat("a1", 32), "sha256:"+strings.Repeat("b2", 32)
	img.Baseline = report.Baseline{Status: "found"}
	r := wrap(img)
	r.Kind, r.Run = report.Diff, report.Run{}
	return r
}

func noBudget(t testing.TB) *report.Report {
	head, base := newImage(), oldImage()
	head.Name = ""
	img := report.Image{Head: head, Base: base, Delta: richDelta(base, head), Baseline: found()}
	r := wrap(judged(&img, budget.Default("", head.Reference)))
	r.Run, r.Notes = report.Run{}, []string{"no budget file .image-budget.yml: the defaults apply; `image-budget init` writes one"}
	return r
}

func many(t testing.TB, n int) *report.Report {
	b := parseBudget(t, simpleBudget)
	var images []report.Image
	for i := range n {
		head, base := near(footprint.Bytes(i%7)*3_000), oldImage()
		if i%40 == 3 {
			head = newImage()
		}
		head.Name = fmt.Sprintf("service-%03d", i)
		img := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
		if i%40 == 3 {
			img.Delta = richDelta(base, head)
		}
		images = append(images, judged(&img, b))
	}
	return wrap(images...)
}

// fleet is what a platform team sees: of many images, few are over budget, some
// changed, and most did not.
func fleet(t testing.TB, n int) *report.Report {
	b := parseBudget(t, strings.Replace(simpleBudget, "max: 120MB", "max: 120MB, warn: 100MB", 1))
	var images []report.Image
	for i := range n {
		head, base := near(0), oldImage()
		var img report.Image
		switch i % 40 {
		case 3:
			head = newImage()
			head.Layers[4].Origin = &footprint.Origin{File: "services/web/Dockerfile", Stage: "runtime", Start: 14, End: 15, Exact: true}
			img = report.Image{Head: head, Base: base, Delta: richDelta(base, head), Baseline: found()}
		case 11:
			img = bumped(t, 8_000_000, 4_000_000)
		case 5, 6, 7, 8, 9:
			head, base = near(footprint.Bytes(200_000*(i%7+1))), oldImage()
			img = report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
			img.Delta.Causes = []footprint.Cause{{Bytes: 3_000_000, Metric: footprint.Unpacked, Path: "/app/static", Change: footprint.Changed, Layer: 5}}
		case 20:
			img = report.Image{Head: head, Baseline: report.Baseline{Status: "none", From: "file:size.json"}}
		default:
			img = report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: found()}
		}
		img.Head.Name = fmt.Sprintf("service-%03d", i)
		images = append(images, judged(&img, b))
	}
	return unmeasured(wrap(images...), report.Unmeasured{Name: "worker", Reason: refused.Reason})
}

// fleetOnTwo is a fleet of two platforms.
func fleetOnTwo(t testing.TB) *report.Report {
	r := fleet(t, 50)
	for i := range r.Images {
		if i%2 == 1 {
			r.Images[i].Head.Platform = "linux/arm64/v8"
		}
	}
	r.Images[6].Head.Name = "a-team/a-rather-long-name-of-a-service"
	return r
}

// regressions are what goes wrong, all at once: packages that came for the sake of
// another, a dev dependency, a copied directory, and a layer that moved.
func regressions(t testing.TB, kind report.Kind) *report.Report {
	head, base := newImage(), oldImage()
	line := func(index, start int) {
		head.Layers[index].Origin = &footprint.Origin{File: "Dockerfile", Stage: "runtime", Start: start, End: start, Exact: true}
	}
	line(3, 9)
	line(4, 12)
	line(5, 14)
	d := delta(base, head)
	d.Layers[2].Old, d.Layers[2].Change = &base.Layers[3], footprint.Same
	d.Layers[3].Old, d.Layers[3].Change = &base.Layers[2], footprint.Same
	d.Layers[3].Moved = true
	d.Paths = []footprint.PathChange{{Path: "/srv/build", Change: footprint.Added, Dir: true, New: d.Final, Bytes: d.Final, Files: 50, Layer: 5}}
	apt := func(name, through string, bytes footprint.Bytes) footprint.PackageChange {
		return footprint.PackageChange{Ecosystem: "dpkg", Name: name, Change: footprint.Added, To: "1:12.2.0-14", Bytes: bytes, Layer: 3, Through: through}
	}
	changed := []footprint.PackageChange{
		{Ecosystem: "dpkg", Name: "libllvm15", Change: footprint.Added, To: "1:15.0.6-4+b1", Bytes: 38_200_000, Layer: 4, Through: "clang"},
		apt("gcc-12", "build-essential", 21_000_000), apt("cpp-12", "build-essential", 9_000_000), apt("libgcc-12-dev", "build-essential", 2_500_000), apt("make", "build-essential", 400_000), apt("build-essential", "", 20_000),
		{Ecosystem: "npm", Name: "typescript", Change: footprint.Added, To: "5.4.5", Bytes: 22_400_000, Layer: 4, Dev: true},
		{Ecosystem: "dpkg", Name: "openssl", Change: footprint.Changed, From: "3.0.11", To: "3.0.15", Bytes: 1_100_000, Layer: 3},
		{Ecosystem: "golang", Name: "github.com/aws/aws-sdk-go-v2/service/ec2", Change: footprint.Changed, From: "v1.148.0", To: "v1.150.0", Bytes: 900_000, Layer: 5},
		{Ecosystem: "python", Name: "numpy", Change: footprint.Changed, From: "1.26.4", To: "1.26.4", Bytes: 200_000, Layer: 5},
		{Ecosystem: "rpm", Name: "vim", Change: footprint.Removed, From: "9.0", Bytes: -3_000_000, Layer: -1},
	}
	d.Packages = changed
	d.Moves = []footprint.Move{{From: "/app/old", To: "/opt/new", Dir: true, Bytes: 3_100_000, Files: 12}}
	cause := func(bytes footprint.Bytes, layer, more int, packages ...footprint.PackageChange) footprint.Cause {
		return footprint.Cause{Bytes: bytes, Metric: footprint.Unpacked, Change: packages[0].Change, Layer: layer, Packages: packages, More: more}
	}
	d.Causes = []footprint.Cause{
		cause(38_200_000, 4, 0, changed[0]),
		cause(32_920_000, 3, 2, changed[1], changed[2], changed[3]),
		{Bytes: 30_000_000, Metric: footprint.Unpacked, Path: "/srv/build", Change: footprint.Added, Layer: 5, CopyOf: "/app/build"},
		cause(22_400_000, 4, 0, changed[6]),
		cause(1_100_000, 3, 0, changed[7]),
		cause(900_000, 5, 0, changed[8]),
		cause(200_000, 5, 0, changed[9]),
	}
	img := report.Image{Head: head, Base: base, Delta: d, Baseline: found()}
	img = judged(&img, parseBudget(t, simpleBudget))
	if kind == report.Diff {
		img.Verdict, img.Baseline = budget.Verdict{Status: budget.Pass}, report.Baseline{Status: "found"}
	}
	r := wrap(img)
	if r.Kind = kind; kind == report.Diff {
		r.Run = report.Run{}
	}
	return r
}

// allOver is a fleet in which every image breaks all its limits, as a new budget or a
// new base does.
func allOver(t testing.TB, n int) *report.Report {
	var images []report.Image
	one := rich(t).Images[0]
	for i := range n {
		img, head := one, *one.Head
		head.Name = fmt.Sprintf("service-%03d", i)
		img.Head = &head
		images = append(images, img)
	}
	return wrap(images...)
}

// same is the difference of two images of which only one layer is compressed
// anew, by so many bytes more, or none is.
func same(more footprint.Bytes) *report.Report {
	head, base := near(more), oldImage()
	head.Name, head.Layers[5].Digest = "", base.Layers[5].Digest
	if more != 0 {
		head.Layers[5].Digest = "sha256:Z"
	}
	d := delta(base, head)
	d.Layers[5].Change = footprint.Same
	if more > 0 {
		d.Causes = []footprint.Cause{{Bytes: more, Metric: footprint.Compressed, Change: footprint.Same, Layer: 5}}
	}
	img := report.Image{Head: head, Base: base, Delta: d, Baseline: report.Baseline{Status: "found"}}
	r := wrap(img)
	r.Kind, r.Run = report.Diff, report.Run{}
	return r
}

// baseUnknown is the difference of two images of which nobody knows the base, with
// the directories that are left after others in them were listed on their own.
func baseUnknown(t testing.TB) *report.Report {
	head, base := newImage(), oldImage()
	head.Base, head.Own, base.Base, base.Own = nil, nil, nil, nil
	d := delta(base, head)
	d.Paths = []footprint.PathChange{
		{Path: "/usr/share/locale", Change: footprint.Added, Dir: true, New: 9_600_000, Bytes: 9_600_000, Files: 40, Layer: 4},
		{Path: "/usr/share", Change: footprint.Added, Dir: true, New: 4_100_000, Bytes: 4_100_000, Files: 9, Layer: 4},
		{Path: "/usr/share-old", Change: footprint.Added, Dir: true, New: 3_000_000, Bytes: 3_000_000, Files: 2, Layer: 4},
		{Path: "/", Change: footprint.Changed, Dir: true, Old: 2_000_000, New: 1_000_000, Bytes: -1_000_000, Files: 1, Layer: 4},
	}
	d.Causes = []footprint.Cause{
		{Bytes: 9_600_000, Metric: footprint.Unpacked, Path: "/usr/share/locale", Change: footprint.Added, Layer: 4},
		{Bytes: 4_100_000, Metric: footprint.Unpacked, Path: "/usr/share", Change: footprint.Added, Layer: 4},
		{Bytes: 3_000_000, Metric: footprint.Unpacked, Path: "/usr/share", Fate: footprint.Deleted, Change: footprint.Added, Layer: 4},
	}
	img := report.Image{Head: head, Base: base, Delta: d, Baseline: report.Baseline{Status: "found"}}
	r := wrap(img)
	r.Kind, r.Run = report.Diff, report.Run{}
	return r
}

// platforms is a build for two platforms and one for a single one, of which a third
// platform failed.
func platforms(t testing.TB) *report.Report {
	amd := rich(t).Images[0]
	head, base := near(300_000), oldImage()
	head.Platform, base.Platform, head.Layers[5].DiffID = "linux/arm64", "linux/arm64", "sha256:other"
	head.Paths = []footprint.PathSize{{Pattern: "/app/node_modules/**", Bytes: 70_000_000, Files: 9_000}, {Pattern: "/usr/bin/gcc"}, {Pattern: "**/.git/**"}}
	footprint.SetUpdate(amd.Base, amd.Head)
	footprint.SetUpdate(base, head)
	arm := report.Image{Head: head, Base: base, Delta: delta(base, head), Baseline: amd.Baseline}
	arm = judged(&arm, parseBudget(t, strings.Replace(richBudget, "layers: {max: 20}", "layers: {max: 20}\n      update: {max: 1MB}", 1)))
	api := fine(t).Images[0]
	api.Head.Name = "api"
	r := wrap(amd, arm, api)
	r.Unmeasured = []report.Unmeasured{{Name: "web", Platform: "linux/arm/v7", Reason: "building web for linux/arm/v7: RUN npm ci: exit code 1"}}
	return r
}

func terminal(t testing.TB, r *report.Report, opt report.TerminalOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Terminal(&b, r, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func markdown(t testing.TB, r *report.Report, opt report.MarkdownOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Markdown(&b, r, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func toJSON(t testing.TB, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var comment = report.MarkdownOptions{MaxBytes: 64_000, Rest: "the job summary"}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, r := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".txt", terminal(t, r, report.TerminalOptions{}))
			golden(t, name+".md", markdown(t, r, comment))
			if name == "advised" || name == "suggest-hint" || name == "unmeasured" {
				golden(t, name+".sarif", results(t, toSARIF(t, r)))
			}
			if name == "over" || name == "suggest" || name == "manifest-only" || name == "only-unmeasured" {
				golden(t, name+".json", toJSON(t, r))
			}
		})
	}
}

func TestGoldenColor(t *testing.T) {
	t.Parallel()
	golden(t, "over-color.txt", terminal(t, rich(t), report.TerminalOptions{Color: true}))
	golden(t, "over-wide.txt", terminal(t, rich(t), report.TerminalOptions{Width: 120}))
	golden(t, "many-images-narrow.txt", terminal(t, fleetOnTwo(t), report.TerminalOptions{Width: 60}))
	golden(t, "regressions-80.txt", terminal(t, regressions(t, report.Check), report.TerminalOptions{Width: 80}))
	golden(t, "diff-regressions-narrow.txt", terminal(t, regressions(t, report.Diff), report.TerminalOptions{Width: 60}))
	inspect := rich(t)
	inspect.Kind = report.Inspect
	golden(t, "inspect-narrow.txt", terminal(t, inspect, report.TerminalOptions{Width: 60}))
	golden(t, "page.md", markdown(t, regressions(t, report.Check), report.MarkdownOptions{Full: true}))
	golden(t, "suggest-80.txt", terminal(t, advised(t, report.Suggest), report.TerminalOptions{Width: 80}))
	golden(t, "suggest-narrow.txt", terminal(t, advised(t, report.Suggest), report.TerminalOptions{Width: 60}))
	golden(t, "advised-narrow.txt", terminal(t, advised(t, report.Check), report.TerminalOptions{Width: 60}))
	golden(t, "over-narrow.txt", terminal(t, rich(t), report.TerminalOptions{Width: 60}))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed (-want +got), go test -update writes it:\n%s", name, diff)
	}
}

// A report must be about something: every word of a verdict that a reader looks
// for is in the text, whatever the layout.
func TestEveryCheckIsShown(t *testing.T) {
	t.Parallel()
	r := rich(t)
	text := terminal(t, r, report.TerminalOptions{})
	for _, want := range []string{"max 120 MB", "warn 100 MB", "growth 5%", "max 5 MB", "max 20", "growth 1 MB", "max 80 MB", "/usr/bin/gcc", "**/.git/**", "/app/.git/HEAD", "12.4 MB over", "13 left", "waived until 2026-12-31", "Dockerfile:14", "read 39.1 MB: 3 distinct layers, 4 more known"} {
		if !strings.Contains(text, want) {
			t.Errorf("the terminal report lacks %q", want)
		}
	}
	comment := markdown(t, r, comment)
	for _, c := range r.Images[0].Verdict.Checks {
		if !strings.Contains(comment, "`"+c.Limit+"`") {
			t.Errorf("the comment lacks %s", c.Limit)
		}
	}
}
