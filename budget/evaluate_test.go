package budget

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// judged parses the limits of one image and judges it.
func judged(t *testing.T, limits string, in Input) Verdict {
	t.Helper()
	file, err := Parse(".image-budget.yml", []byte("version: 1\nimages:\n  web:\n    image: a/b\n    "+strings.TrimSpace(limits)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if in.Now.IsZero() {
		in.Now = now
	}
	return file.Images[0].Evaluate(in)
}

func measured(compressed, unpacked footprint.Bytes) *footprint.Image {
	const has = footprint.HasCompressed | footprint.HasFiles
	return &footprint.Image{
		Metrics: footprint.Metrics{Compressed: compressed, Unpacked: unpacked, Final: unpacked, Layers: 3, Files: 10, Has: has},
		Layers:  []footprint.Layer{{Compressed: compressed, Unpacked: unpacked, Has: has}, {Index: 1, Has: has}, {Index: 2, Has: has}},
	}
}

// from says where an image was read.
func from(source string, img *footprint.Image) *footprint.Image {
	copied := *img
	copied.Source = source
	return &copied
}

// estimated marks all compressed bytes of an image as an estimate.
func estimated(img *footprint.Image, by string) *footprint.Image {
	img.Metrics.CompressedEstimated, img.EstimatedBy = true, by
	for i := range img.Layers {
		img.Layers[i].CompressedEstimated = true
	}
	return img
}

func TestBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits  string
		head    *footprint.Image
		status  Status
		room    int64
		message string
	}{
		"below": {"limits: {compressed: {max: 120MB}}", measured(94_100_000, 0), Pass, 25_900_000,
			"compressed is 94.1 MB, 25.9 MB below the limit of 120 MB"},
		"equal": {"limits: {compressed: {max: 120MB}}", measured(120_000_000, 0), Pass, 0,
			"compressed is 120.0 MB, exactly the limit of 120 MB"},
		"one byte over": {"limits: {compressed: {max: 120MB}}", measured(120_000_001, 0), Fail, -1,
			"compressed is 120 000 001 B, 1 B over the limit of 120 000 000 B; bring it back, or raise images.web.limits.compressed.max (.image-budget.yml:5)"},
		"one byte below": {"limits: {compressed: {max: 120MB}}", measured(119_999_999, 0), Pass, 1,
			"compressed is 119 999 999 B, 1 B below the limit of 120 000 000 B"},
		"over": {"limits: {compressed: {max: 120MB}}", measured(132_400_000, 0), Fail, -12_400_000,
			"compressed is 132.4 MB, 12.4 MB over the limit of 120 MB; bring it back, or raise images.web.limits.compressed.max (.image-budget.yml:5)"},
		"warning": {"limits: {unpacked: {warn: 1MB}}", measured(0, 2_000_000), Warn, -1_000_000,
			"unpacked is 2.0 MB, 1 MB over the warning at 1 MB; bring it back, or raise images.web.limits.unpacked.warn (.image-budget.yml:5)"},
		"count":       {"limits: {layers: {max: 3}}", measured(0, 0), Pass, 0, "layers is 3, exactly the limit of 3"},
		"count over":  {"limits: {files: {max: 9}}", measured(0, 0), Fail, -1, "files is 10, 1 over the limit of 9; bring it back, or raise images.web.limits.files.max (.image-budget.yml:5)"},
		"nothing":     {"limits: {wasted: {max: 0}}", measured(0, 0), Pass, 0, "wasted is 0 B, exactly the limit of 0 B"},
		"the largest": {"limits: {unpacked: {max: 9223372036854775807B}}", measured(0, math.MaxInt64), Pass, 0, "unpacked is 9223.4 PB, exactly the limit of 9223.4 PB"},
		"largest over zero": {"limits: {unpacked: {max: 0}}", measured(0, math.MaxInt64), Fail, -math.MaxInt64,
			"unpacked is 9.2 EB, 9.2 EB over the limit of 0 B; bring it back, or raise images.web.limits.unpacked.max (.image-budget.yml:5)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := judged(t, c.limits, Input{Head: c.head})
			if len(v.Checks) != 1 {
				t.Fatalf("%d checks", len(v.Checks))
			}
			check := v.Checks[0]
			if check.Status != c.status || v.Status != c.status || check.Headroom != c.room {
				t.Errorf("status %s/%s, headroom %d; want %s, %d", check.Status, v.Status, check.Headroom, c.status, c.room)
			}
			if name != "the largest" && check.Message != c.message {
				t.Errorf("got  %s\nwant %s", check.Message, c.message)
			}
		})
	}
}

func TestGrowth(t *testing.T) {
	t.Parallel()
	const mb = 1_000_000
	for name, c := range map[string]struct {
		growth      string
		base, head  footprint.Bytes
		status      Status
		gain, allow int64
	}{
		"percent, exactly":          {"5%", 100 * mb, 105 * mb, Pass, 5 * mb, 5 * mb},
		"percent, one more":         {"5%", 100 * mb, 105*mb + 1, Fail, 5*mb + 1, 5 * mb},
		"percent is rounded down":   {"5%", 19, 20, Fail, 1, 0},
		"percent of nothing":        {"5%", 0, 1, Fail, 1, 0},
		"nothing grew from nothing": {"5%", 0, 0, Pass, 0, 0},
		"thousandths":               {"0.001%", 100_000, 100_001, Pass, 1, 1},
		"zero allows none":          {"0%", 5 * mb, 5*mb + 1, Fail, 1, 0},
		"shrinking":                 {"0%", 5 * mb, 3 * mb, Pass, -2 * mb, 0},
		"bytes, exactly":            {"2MB", mb, 3 * mb, Pass, 2 * mb, 2 * mb},
		"bytes, one more":           {"2MB", mb, 3*mb + 1, Fail, 2*mb + 1, 2 * mb},
		"both: within bytes":        {"{percent: 5%, bytes: 2MB}", 10 * mb, 12 * mb, Pass, 2 * mb, 2 * mb},
		"both: within percent":      {"{percent: 5%, bytes: 2MB}", 100 * mb, 105 * mb, Pass, 5 * mb, 5 * mb},
		"both: over both":           {"{percent: 5%, bytes: 2MB}", 100 * mb, 105*mb + 1, Fail, 5*mb + 1, 5 * mb},
		"both: over both, small":    {"{percent: 5%, bytes: 2MB}", 10 * mb, 12*mb + 1, Fail, 2*mb + 1, 2 * mb},
		"the share saturates":       {"1000%", math.MaxInt64, math.MaxInt64, Pass, 0, math.MaxInt64},
		"the largest share":         {"100%", math.MaxInt64, math.MaxInt64, Pass, 0, math.MaxInt64},
		"all at once":               {"1000%", 0, math.MaxInt64, Fail, math.MaxInt64, 0},
		"all gone":                  {"1000%", math.MaxInt64, 0, Pass, -math.MaxInt64, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := judged(t, "limits: {compressed: {growth: "+c.growth+"}}", Input{Head: measured(c.head, 0), Base: measured(c.base, 0)})
			got := v.Checks[0]
			if got.Status != c.status || v.Status != c.status || got.Actual != c.gain || got.Allowed != c.allow {
				t.Errorf("got %s, %d of %d; want %s, %d of %d", got.Status, got.Actual, got.Allowed, c.status, c.gain, c.allow)
			}
			if got.Base == nil || *got.Base != int64(c.base) {
				t.Errorf("base %v", got.Base)
			}
			if got.Headroom < 0 != (c.status == Fail) {
				t.Errorf("headroom %d", got.Headroom)
			}
		})
	}
}

func TestGrowthMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits     string
		base, head *footprint.Image
		want       string
	}{
		"grew": {"limits: {compressed: {growth: 5%}}", measured(94_000_000, 0), measured(94_100_000, 0),
			"compressed grew by 100.0 kB (94.0 MB → 94.1 MB), within growth 5% (4.6 MB left)"},
		"too much": {"limits: {compressed: {growth: 5%}}", measured(94_000_000, 0), measured(132_400_000, 0),
			"compressed grew by 38.4 MB (94.0 MB → 132.4 MB), 33.7 MB more than the 4.7 MB that growth 5% allows; bring it back, or waive images.web.limits.compressed.growth (.image-budget.yml:5)"},
		"by a byte": {"limits: {compressed: {growth: 2MB}}", measured(10_000_000, 0), measured(12_000_001, 0),
			"compressed grew by 2 000 001 B (10.0 MB → 12.0 MB), 1 B more than the 2 000 000 B that growth 2 MB allows; bring it back, or waive images.web.limits.compressed.growth (.image-budget.yml:5)"},
		"same": {"limits: {compressed: {growth: 5%}}", measured(94_000_000, 0), measured(94_000_000, 0),
			"compressed is unchanged at 94.0 MB, within growth 5%"},
		"shrank by a byte": {"limits: {compressed: {growth: 5%}}", measured(94_000_000, 0), measured(93_999_999, 0),
			"compressed shrank by 1 B (94 000 000 B → 93 999 999 B), within growth 5%"},
		"layers": {"limits: {layers: {growth: 0}}", &footprint.Image{Metrics: footprint.Metrics{Layers: 2}}, measured(0, 0),
			"layers grew by 1 (2 → 3), 1 more than the 0 that growth 0 allows; bring it back, or waive images.web.limits.layers.growth (.image-budget.yml:5)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := judged(t, c.limits, Input{Head: c.head, Base: c.base})
			if got := v.Checks[0].Message; got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatCannotBeJudged(t *testing.T) {
	t.Parallel()
	guessed, otherwise := estimated(measured(1, 1), ""), estimated(measured(1, 1), "gzip 9")
	partly := estimated(measured(1, 1), "gzip 6")
	partly.Layers[1].CompressedEstimated = false
	manifest := &footprint.Image{Metrics: footprint.Metrics{Compressed: 1, Layers: 1, Has: footprint.HasCompressed}}
	withOwn := measured(1, 1)
	withOwn.Own = &footprint.Metrics{Has: footprint.HasCompressed}
	listed := measured(1, 1)
	listed.Paths = []footprint.PathSize{{Pattern: "/x"}}
	for name, c := range map[string]struct {
		limits string
		in     Input
		status Status // of the verdict
		want   string
	}{
		"no baseline":             {"limits: {compressed: {growth: 5%}}", Input{Head: measured(1, 1)}, Pass, "growth of compressed was not judged: there is no baseline yet"},
		"no baseline for a path":  {"paths: {/x: {growth: 5%}}", Input{Head: listed}, Pass, "there is no baseline yet"},
		"no baseline, update":     {"limits: {update: {max: 5MB}}", Input{Head: measured(1, 1)}, Pass, "update was not measured: there is no baseline yet"},
		"update of another image": {"limits: {update: {max: 5MB}}", Input{Head: measured(1, 1), State: BaselineNotComparable, Reason: "it is of linux/arm64"}, Warn, "update was not measured: the baseline cannot be compared with this image: it is of linux/arm64"},
		"update, layer unknown":   {"limits: {update: {max: 5MB}}", Input{Head: measured(1, 1), Base: measured(1, 1)}, Warn, "the compressed bytes of some layers are not known"},
		"not comparable": {"limits: {compressed: {growth: 5%}}", Input{Head: measured(1, 1), Base: measured(1, 1), State: BaselineNotComparable, Reason: "it is of linux/arm64"}, Warn,
			"the baseline cannot be compared with this image: it is of linux/arm64"},
		"estimated now": {"limits: {compressed: {growth: 5%}}", Input{Head: guessed, Base: measured(1, 1)}, Warn,
			"its compressed bytes are read from the blobs, these are estimated"},
		"estimated then": {"limits: {compressed: {growth: 5%}}", Input{Head: measured(1, 1), Base: guessed}, Warn,
			"its compressed bytes are estimated, these are read from the blobs"},
		"estimated otherwise": {"limits: {compressed: {growth: 5%}}", Input{Head: guessed, Base: otherwise}, Warn,
			"its compressed bytes are estimated by gzip 9, these are estimated"},
		"estimated in part": {"limits: {compressed: {growth: 5%}}", Input{Head: partly, Base: measured(1, 1)}, Warn,
			"its compressed bytes are read from the blobs, these are read from the blobs for some layers and estimated by gzip 6 for others; store it from the same kind of source"},
		"both estimated in part": {"limits: {compressed: {growth: 5%}}", Input{Head: partly, Base: partly}, Warn,
			"the layers that differ from the baseline were not all measured by one method: compressed bytes are read from the blobs for some layers and estimated by gzip 6 for others, here and in the baseline"},
		"estimated in part, from the same engine": {"limits: {compressed: {growth: 5%}}", Input{Head: from("docker-daemon", partly), Base: from("docker-daemon", measured(1, 1))}, Warn,
			"estimated by gzip 6 for others; measure both where all blobs are, in a registry or an OCI layout, or limit own.compressed, which leaves the base image out"},
		"estimated in part, from elsewhere": {"limits: {compressed: {growth: 5%}}", Input{Head: from("docker-daemon", partly), Base: from("registry", measured(1, 1))}, Warn,
			"estimated by gzip 6 for others; store it from the same kind of source"},
		"estimated by an older version": {"limits: {compressed: {growth: 5%}}", Input{Head: from("docker-daemon", partly), Base: from("docker-daemon", otherwise)}, Warn,
			"estimated by gzip 6 for others; store it again with this version"},
		"baseline without files": {"limits: {unpacked: {growth: 5%}}", Input{Head: measured(1, 1), Base: manifest}, Warn, "the baseline holds no unpacked; store it again"},
		"no layer read":          {"limits: {final: {max: 5MB}}", Input{Head: manifest}, Warn, "final was not measured: no layer was read"},
		"no layer read, growth":  {"limits: {final: {growth: 5%}}", Input{Head: manifest, Base: measured(1, 1)}, Warn, "growth of final was not judged: no layer was read"},
		"no compressed":          {"limits: {compressed: {max: 5MB}}", Input{Head: &footprint.Image{}}, Warn, "the source holds no compressed layers and no estimate was made"},
		"base unknown":           {"own: {compressed: {max: 5MB}}", Input{Head: measured(1, 1)}, Warn, "name it with `base:` in the budget file"},
		"base unknown in baseline": {"own: {compressed: {growth: 5%}}", Input{Head: withOwn, Base: measured(1, 1)}, Warn,
			"the baseline does not know its base image; store it again"},
		"path not read":                {"paths: {/x: {max: 1MB}}", Input{Head: manifest}, Warn, "/x was not measured: no layer was read"},
		"path not in base":             {"paths: {/x: {growth: 1MB}}", Input{Head: listed, Base: measured(1, 1)}, Pass, "the baseline was stored before this path was in the budget file"},
		"path, baseline without files": {"paths: {/x: {growth: 1MB}}", Input{Head: listed, Base: manifest}, Warn, "no layer of the baseline was read; store it again"},
		"forbid not read":              {"forbid: [/x]", Input{Head: manifest}, Warn, "/x was not looked for: no layer was read"},
		"no package listing":           {"packages: {\"npm:x\": forbid}", Input{Head: measured(1, 1)}, Warn, "npm:x was not looked for: no layer was read"},
		"no image at all":              {"limits: {compressed: {max: 5MB}}", Input{}, Warn, "was not measured"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := judged(t, c.limits, c.in)
			check := v.Checks[0]
			if check.Status != NotMeasured || !strings.Contains(check.Message, c.want) {
				t.Errorf("%s: %s", check.Status, check.Message)
			}
			if v.Status != c.status || check.Blind != (c.status == Warn) {
				t.Errorf("verdict %s, blind %v; want %s", v.Status, check.Blind, c.status)
			}
		})
	}
}

func TestEstimatesCompareWithEachOther(t *testing.T) {
	t.Parallel()
	head, base := estimated(measured(3, 1), ""), estimated(measured(2, 1), "")
	if v := judged(t, "limits: {compressed: {growth: 1000B}}", Input{Head: head, Base: base}); v.Checks[0].Status != Pass {
		t.Errorf("%+v", v.Checks[0])
	}
}

// layered makes an image of three layers, the first of them its base, of which
// those that are marked are estimates.
func layered(by string, sizes [3]footprint.Bytes, estimates [3]bool) *footprint.Image {
	img := &footprint.Image{EstimatedBy: by, Base: &footprint.Base{}, Own: &footprint.Metrics{}}
	for i, size := range sizes {
		img.Layers = append(img.Layers, footprint.Layer{
			Index: i, DiffID: string(rune('a' + i)), Compressed: size, CompressedEstimated: estimates[i], InBase: i == 0, Has: footprint.HasCompressed,
		})
		part := &img.Base.Metrics
		if i > 0 {
			part = img.Own
		}
		for _, m := range []*footprint.Metrics{&img.Metrics, part} {
			m.Compressed, m.Layers, m.Has = m.Compressed+size, m.Layers+1, footprint.HasCompressed
			m.CompressedEstimated = m.CompressedEstimated || estimates[i]
		}
	}
	return img
}

// An image was once refused for having grown over itself, because the blob of
// one of its layers had become known.
func TestTheSameImageKeepsToItsBudget(t *testing.T) {
	t.Parallel()
	const mb = 1_000_000
	limits := "limits: {compressed: {growth: 0%}}\n    own: {compressed: {growth: 0%}}"
	unknown := [3]bool{true, true, true}
	for name, head := range map[string]*footprint.Image{
		"no blob":    layered("gzip 6", [3]footprint.Bytes{30 * mb, 20 * mb, 10 * mb}, unknown),
		"base known": layered("gzip 6", [3]footprint.Bytes{31 * mb, 20 * mb, 10 * mb}, [3]bool{false, true, true}),
		"own known":  layered("gzip 6", [3]footprint.Bytes{30 * mb, 21 * mb, 10 * mb}, [3]bool{true, false, true}),
		"all known":  layered("", [3]footprint.Bytes{31 * mb, 21 * mb, 11 * mb}, [3]bool{}),
	} {
		base := layered("gzip 6", [3]footprint.Bytes{30 * mb, 20 * mb, 10 * mb}, unknown)
		footprint.Align(base, head)
		v := judged(t, limits, Input{Head: head, Base: base})
		for _, c := range v.Checks {
			if c.Status != Pass || c.Actual != 0 {
				t.Errorf("%s: %s: %s", name, c.Status, c.Message)
			}
		}
	}
}

// Own layers compare although the bases below them do not.
func TestOwnBytesAreJudgedByTheirOwnLayers(t *testing.T) {
	t.Parallel()
	base := layered("gzip 6", [3]footprint.Bytes{30, 20, 10}, [3]bool{true, false, false})
	head := layered("", [3]footprint.Bytes{29, 20, 14}, [3]bool{})
	v := judged(t, "limits: {compressed: {growth: 3B}}\n    own: {compressed: {growth: 3B}}", Input{Head: head, Base: base})
	if c := v.Checks[0]; c.Status != NotMeasured || !c.Blind {
		t.Errorf("image: %+v", c)
	}
	if c := v.Checks[1]; c.Status != Fail || c.Actual != 4 {
		t.Errorf("own: %+v", c)
	}
}

// The number of layers is known of every image.
func TestLayersAreJudgedWithoutSizes(t *testing.T) {
	t.Parallel()
	bare := func(layers int) *footprint.Image {
		return &footprint.Image{Platform: "linux/amd64", Layers: make([]footprint.Layer, layers), Metrics: footprint.Metrics{Layers: layers}}
	}
	head, base := bare(5), bare(3)
	if reason := footprint.Comparable(base, head); reason != "" {
		t.Fatal(reason)
	}
	v := judged(t, "limits: {compressed: {growth: 1%}, layers: {growth: 1}}", Input{Head: head, Base: base})
	if c := v.Checks[0]; c.Status != NotMeasured || !c.Blind {
		t.Errorf("compressed: %+v", c)
	}
	if c := v.Checks[1]; c.Status != Fail || c.Actual != 2 || c.Base == nil || *c.Base != 3 {
		t.Errorf("layers: %+v", c)
	}
}

func TestMaxAndWarnAreTwoChecks(t *testing.T) {
	t.Parallel()
	v := judged(t, "limits: {compressed: {max: 20MB, warn: 10MB, growth: 1MB}, layers: {max: 9}}", Input{Head: measured(15_000_000, 0), Base: measured(15_000_000, 0)})
	got := ""
	for _, c := range v.Checks {
		got += c.Limit + " " + string(c.Status) + " " + c.Rule + " " + c.Pos.String() + "\n"
	}
	want := `limits.compressed.max pass max 20 MB .image-budget.yml:5:27
limits.compressed.warn warn warn 10 MB .image-budget.yml:5:38
limits.compressed.growth pass growth 1 MB .image-budget.yml:5:50
limits.layers.max pass max 9 .image-budget.yml:5:73
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if v.Status != Warn {
		t.Error(v.Status)
	}
}

func TestForbid(t *testing.T) {
	t.Parallel()
	head := measured(1, 1)
	head.Paths = []footprint.PathSize{
		{Pattern: "**/.git/**", Bytes: 10, Files: 7, Examples: []string{"/app/.git", "/srv/.git"}},
		{Pattern: "/usr/bin/gcc", Examples: []string{"/usr/bin/gcc"}}, // a symbolic link
		{Pattern: "/none"},
	}
	v := judged(t, `forbid: ["**/.git/**", /usr/bin/gcc, /none]`, Input{Head: head})
	for i, want := range []Check{
		{Status: Fail, Actual: 7, Headroom: -7, Examples: []string{"/app/.git", "/srv/.git"},
			Message: "**/.git/** is forbidden and was found: /app/.git, /srv/.git; bring it back, or remove images.web.forbid.**/.git/** (.image-budget.yml:5)"},
		{Status: Fail, Actual: 1, Headroom: -1, Examples: []string{"/usr/bin/gcc"}},
		{Status: Pass, Message: "/none is not in the image, as it should be"},
	} {
		got := v.Checks[i]
		if got.Status != want.Status || got.Actual != want.Actual || got.Headroom != want.Headroom || !cmp.Equal(got.Examples, want.Examples) {
			t.Errorf("%+v", got)
		}
		if want.Message != "" && got.Message != want.Message {
			t.Errorf("got  %s\nwant %s", got.Message, want.Message)
		}
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	head := measured(1, 1)
	head.Packages = []footprint.Package{
		{Ecosystem: "npm", Name: "@types/node", Version: "20.1.0", Bytes: 2_100_000},
		{Ecosystem: "npm", Name: "typescript", Version: "5.4.5", Bytes: 23_000_000, Through: "ts-node"},
		{Ecosystem: "npm", Name: "typescript", Version: "4.9.5", Bytes: 21_000_000},
		{Ecosystem: "dpkg", Name: "gcc-12"},
		{Ecosystem: "python", Name: "torch", Bytes: 7},
	}
	const (
		node, five, four = "npm:@types/node 20.1.0 (2.1 MB)", "npm:typescript 5.4.5 (23.0 MB, through ts-node)", "npm:typescript 4.9.5 (21.0 MB)"
	)
	for pattern, want := range map[string]struct {
		found   []string
		message string
	}{
		"npm:typescript": {[]string{five, four}, "npm:typescript is forbidden and was found: " + five + ", " + four + ", together 44.0 MB; bring it back, or remove images.web.packages.npm:typescript (.image-budget.yml:5)"},
		"npm:@types/*":   {[]string{node}, "npm:@types/* is forbidden and was found: " + node + "; bring it back, or remove images.web.packages.npm:@types/* (.image-budget.yml:5)"},
		"npm:*":          {[]string{five, four, node}, "npm:* is forbidden and was found: " + five + ", " + four + ", " + node + ", together 46.1 MB; bring it back, or remove images.web.packages.npm:* (.image-budget.yml:5)"},
		"*:gcc-??":       {[]string{"dpkg:gcc-12 (0 B)"}, "*:gcc-?? is forbidden and was found: dpkg:gcc-12 (0 B); bring it back, or remove images.web.packages.*:gcc-?? (.image-budget.yml:5)"},
		"npm:type":       {nil, "npm:type is not in the image, as it should be"},
		"apt:gcc-*":      {[]string{"dpkg:gcc-12 (0 B)"}, "apt:gcc-* is forbidden and was found: dpkg:gcc-12 (0 B); bring it back, or remove images.web.packages.apt:gcc-* (.image-budget.yml:5)"},
		"deb:gcc-11":     {nil, "deb:gcc-11 is not in the image, as it should be"},
		"pip:torch":      {[]string{"python:torch (7 B)"}, "pip:torch is forbidden and was found: python:torch (7 B); bring it back, or remove images.web.packages.pip:torch (.image-budget.yml:5)"},
		"pypi:torc?":     {[]string{"python:torch (7 B)"}, "pypi:torc? is forbidden and was found: python:torch (7 B); bring it back, or remove images.web.packages.pypi:torc? (.image-budget.yml:5)"},
		"go:*":           {nil, "go:* is not in the image, as it should be"},
		"crate:*":        {nil, "crate:* is not in the image, as it should be"},
		"maven:*":        {nil, "maven:* is not in the image, as it should be"},
		"apk:*":          {nil, "apk:* is not in the image, as it should be"},
	} {
		v := judged(t, "packages: {\""+pattern+"\": forbid}", Input{Head: head})
		c := v.Checks[0]
		if !cmp.Equal(c.Examples, want.found) || c.Actual != int64(len(want.found)) || (c.Status == Fail) != (len(want.found) > 0) || c.Message != want.message {
			t.Errorf("%s: %+v", pattern, c)
		}
	}
	for i := range 9 {
		head.Packages = append(head.Packages, footprint.Package{Ecosystem: "gem", Name: "g", Version: strings.Repeat("9", 50*i+1), Bytes: footprint.Bytes(i)})
	}
	if c := judged(t, `packages: {"gem:*": forbid}`, Input{Head: head}).Checks[0]; len(c.Examples) != maxExamples || !strings.Contains(c.Message, " and 4 more, together 36 B") || len(c.Message) > 600 {
		t.Errorf("%+v", c)
	}
	head.Packages = []footprint.Package{} // listed, none found
	if v := judged(t, `packages: {"npm:*": forbid}`, Input{Head: head}); v.Status != Pass || v.Checks[0].Status != Pass {
		t.Errorf("%+v", v)
	}
}

// A database that could not be read may hold what is forbidden.
func TestForbiddenPackageUnread(t *testing.T) {
	t.Parallel()
	head := measured(1, 1)
	head.Packages = []footprint.Package{{Ecosystem: "npm", Name: "typescript"}}
	rpm := footprint.Skipped{Path: "/var/lib/rpm/rpmdb.sqlite", Why: "larger than 134 MB", Ecosystem: "rpm"}
	program := footprint.Skipped{Path: "/app", Why: "unknown table of Go functions"}
	any := footprint.Skipped{Path: "/x", Why: "malformed", Ecosystem: "*"}
	const unreadRpm = ": could not look into /var/lib/rpm/rpmdb.sqlite (larger than 134 MB)"
	for _, tt := range []struct {
		pattern string
		skipped []footprint.Skipped
		status  Status
		message string
	}{
		{"rpm:gcc", []footprint.Skipped{program, rpm}, NotMeasured, "rpm:gcc was not found, but may be there" + unreadRpm},
		{"r*:gcc", []footprint.Skipped{rpm}, NotMeasured, "r*:gcc was not found, but may be there" + unreadRpm},
		{"dpkg:gcc", []footprint.Skipped{program, rpm}, Pass, "dpkg:gcc is not in the image, as it should be"},
		{"go:x", []footprint.Skipped{{Path: "/go", Why: "malformed", Ecosystem: "golang"}}, NotMeasured, "go:x was not found, but may be there: could not look into /go (malformed)"},
		{"gem:x", []footprint.Skipped{any}, NotMeasured, `gem:x was not found, but may be there: could not look into /x (malformed)`},
		{"gem:x", slices.Repeat([]footprint.Skipped{program}, footprint.MaxSkipped), NotMeasured, "gem:x was not found, but may be there: could not look into 100 files or more"},
		{"*:typescript", []footprint.Skipped{any, rpm}, Fail, ""},
	} {
		head.Skipped = tt.skipped
		v := judged(t, `packages: {"`+tt.pattern+`": forbid}`, Input{Head: head})
		c := v.Checks[0]
		if c.Status != tt.status || c.Blind != (tt.status == NotMeasured) || tt.message != "" && c.Message != tt.message || v.Status == Pass != (tt.status == Pass) {
			t.Errorf("%s: %+v", tt.pattern, c)
		}
	}
}

func TestSurface(t *testing.T) {
	t.Parallel()
	image := func(executables int, setuid ...string) *footprint.Image {
		img := measured(1, 1)
		img.Metrics.Executables, img.Metrics.Setuid, img.Metrics.Has = executables, len(setuid), img.Metrics.Has|footprint.HasModes
		img.Base = &footprint.Base{Metrics: footprint.Metrics{Layers: 1}}
		img.Own = &footprint.Metrics{Layers: 2, Executables: executables / 2, Setuid: len(setuid) / 2, Has: img.Metrics.Has}
		img.Surface = &footprint.Surface{Setuid: setuid}
		img.Files = func(yield func(footprint.File) bool) {
			for i, path := range setuid {
				if !yield(footprint.File{Path: path, Kind: footprint.Regular, Layer: i * 2 / len(setuid)}) {
					return
				}
			}
		}
		return img
	}
	bare := measured(1, 1)
	four := []string{"/bin/mount", "/bin/su", "/usr/bin/newgrp", "/usr/bin/passwd"}
	many := make([]string, footprint.MaxSurface)
	for i := range many {
		many[i] = fmt.Sprint("/s", i)
	}
	advice := func(verb, limit string) string {
		return "; bring it back, or " + verb + " images.web." + limit + " (.image-budget.yml:5)"
	}
	for name, c := range map[string]struct {
		limits  string
		in      Input
		status  Status
		actual  int64
		message string
	}{
		"within": {"limits: {setuid: {max: 4}}", Input{Head: image(9, four...)}, Pass, 4, "setuid is 4, exactly the limit of 4"},
		"over": {"limits: {setuid: {max: 2}}", Input{Head: image(9, four...)}, Fail, 4,
			"setuid is 4, 2 over the limit of 2: /bin/mount, /bin/su, /usr/bin/newgrp and 1 more" + advice("raise", "limits.setuid.max")},
		"warning": {"limits: {setuid: {warn: 3}}", Input{Head: image(9, four[:3]...)}, Pass, 3, "setuid is 3, exactly the warning at 3"},
		"more than are listed": {"limits: {setuid: {max: 2}}", Input{Head: image(9, many...)}, Fail, 100,
			"setuid is 100, 98 over the limit of 2: /s0, /s1, /s2" + advice("raise", "limits.setuid.max")},
		"own": {"own: {setuid: {max: 0}}", Input{Head: image(9, four...)}, Fail, 2,
			"own setuid is 2, 2 over the limit of 0: /usr/bin/newgrp, /usr/bin/passwd" + advice("raise", "own.setuid.max")},
		"growth": {"limits: {setuid: {growth: 0}}", Input{Head: image(9, four...), Base: image(9, four[0], four[2], "/gone")}, Fail, 1,
			"setuid grew by 1 (3 → 4), 1 more than the 0 that growth 0 allows: /bin/su, /usr/bin/passwd" + advice("waive", "limits.setuid.growth")},
		"growth over a baseline without a list": {"limits: {setuid: {growth: 0}}", Input{Head: image(9, four...), Base: func() *footprint.Image {
			img := image(9, four[0])
			img.Surface = nil
			return img
		}()}, Fail, 3, "setuid grew by 3 (1 → 4), 3 more than the 0 that growth 0 allows" + advice("waive", "limits.setuid.growth")},
		"growth within": {"limits: {executables: {growth: 10%}}", Input{Head: image(110), Base: image(100)}, Pass, 10,
			"executables grew by 10 (100 → 110), within growth 10% (0 left)"},
		"growth of own": {"own: {executables: {growth: 1}}", Input{Head: image(110), Base: image(100)}, Fail, 5,
			"own executables grew by 5 (50 → 55), 4 more than the 1 that growth 1 allows" + advice("waive", "own.executables.growth")},
		"an old baseline": {"limits: {setuid: {growth: 0}}", Input{Head: image(9, four...), Base: measured(1, 1)}, Warn, 0,
			"growth of setuid was not judged: the baseline holds no setuid; store it again"},
		"no layer read": {"limits: {executables: {max: 0}}", Input{Head: bare}, Warn, 0, "executables was not measured: no layer was read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := judged(t, c.limits, c.in)
			check := v.Checks[0]
			if v.Status != c.status || check.Actual != c.actual || check.Message != c.message || check.Unit != UnitCount {
				t.Errorf("%s %d %s\nwant %s", v.Status, check.Actual, check.Message, c.message)
			}
			if len(check.Examples) > maxSetuid {
				t.Errorf("%q", check.Examples)
			}
		})
	}
}

func TestPathGrowth(t *testing.T) {
	t.Parallel()
	head, base := measured(1, 1), measured(1, 1)
	head.Paths = []footprint.PathSize{{Pattern: "/app/**", Bytes: 110}}
	base.Paths = []footprint.PathSize{{Pattern: "/x"}, {Pattern: "/app/**", Bytes: 100}}
	v := judged(t, `paths: {"/app/**": {growth: 9%, max: 1kB}}`, Input{Head: head, Base: base})
	if v.Checks[0].Status != Pass || v.Checks[1].Status != Fail || v.Checks[1].Allowed != 9 || v.Checks[1].Limit != "paths./app/**.growth" {
		t.Errorf("%+v", v.Checks)
	}
}

// What moves with the baseline is waived, and waived again, but not raised.
func TestAnExpiredWaiverOfGrowth(t *testing.T) {
	t.Parallel()
	v := judged(t, `limits: {compressed: {growth: 500kB}}
    waivers: [{limit: limits.compressed.growth, until: 2026-11-23, reason: new model}]
`, Input{Head: measured(2_000_000, 0), Base: measured(1_000_000, 0), Now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)})
	want := "compressed grew by 1.0 MB (1.0 MB → 2.0 MB), 500 kB more than the 500 kB that growth 500 kB allows; its waiver expired on 2026-11-23 (new model); bring it back, or renew the waiver of images.web.limits.compressed.growth (.image-budget.yml:5)"
	if got := v.Checks[0].Message; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWaivers(t *testing.T) {
	t.Parallel()
	limits := `limits: {compressed: {max: 1MB, warn: 500kB}, layers: {max: 3}}
    waivers:
      - {limit: limits.compressed.max, until: 2026-11-23, reason: new model}
      - {limit: limits.compressed.warn, until: 2026-11-23, reason: same}
      - {limit: limits.layers.max, until: 2026-11-23, reason: old}
`
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		now    time.Time
		status Status
		first  Status
		want   string
		note   string
	}{
		"on its last second": {day.Add(24*time.Hour - 1), Pass, Waived, "; waived until 2026-11-23: new model", "the waiver of limits.layers.max is not needed at the moment (.image-budget.yml:9:9)"},
		"elsewhere it is still the day before": {time.Date(2026, 11, 24, 1, 0, 0, 0, time.FixedZone("", 2*3600)), Pass, Waived,
			"; waived until 2026-11-23: new model", "the waiver of limits.layers.max is not needed at the moment (.image-budget.yml:9:9)"},
		"the day after": {day.Add(24 * time.Hour), Fail, Fail, "; its waiver expired on 2026-11-23 (new model); bring it back, or raise images.web.limits.compressed.max (.image-budget.yml:5)", "the waiver of limits.layers.max expired on 2026-11-23 and is not needed; remove it (.image-budget.yml:9:9)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := judged(t, limits, Input{Head: measured(2_000_000, 0), Now: c.now})
			check := v.Checks[0]
			if v.Status != c.status || check.Status != c.first || !strings.HasSuffix(check.Message, c.want) {
				t.Errorf("%s: %+v", v.Status, check)
			}
			if check.Waiver == nil || check.Waiver.Reason != "new model" || check.Headroom != -1_000_000 {
				t.Errorf("%+v", check)
			}
			if !cmp.Equal(v.Notes, []string{c.note}) {
				t.Errorf("notes %q", v.Notes)
			}
		})
	}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	const mb = 1_000_000
	img := Default("web", "a/b")
	if img.NeedsFiles() || img.NeedsCompressed() {
		t.Error("the default must not cost anything")
	}
	noBlobs := func(unpacked footprint.Bytes) *footprint.Image {
		return &footprint.Image{Metrics: footprint.Metrics{Unpacked: unpacked, Has: footprint.HasFiles}}
	}
	guessed := estimated(measured(50*mb, 110*mb), "")
	for name, c := range map[string]struct {
		in     Input
		limit  string
		check  Status
		status Status
	}{
		"within":          {Input{Head: measured(105*mb, 0), Base: measured(100*mb, 0)}, "limits.compressed.growth", Pass, Pass},
		"over":            {Input{Head: measured(105*mb+1, 0), Base: measured(100*mb, 0)}, "limits.compressed.growth", Warn, Warn},
		"small, within":   {Input{Head: measured(2*mb, 0), Base: measured(1*mb, 0)}, "limits.compressed.growth", Pass, Pass},
		"small, over":     {Input{Head: measured(2*mb+1, 0), Base: measured(1*mb, 0)}, "limits.compressed.growth", Warn, Warn},
		"no blobs":        {Input{Head: noBlobs(110 * mb), Base: measured(1, 100*mb)}, "limits.unpacked.growth", Warn, Warn},
		"estimated":       {Input{Head: guessed, Base: measured(10*mb, 100*mb)}, "limits.unpacked.growth", Warn, Warn},
		"no baseline":     {Input{Head: measured(1, 1)}, "limits.compressed.growth", NotMeasured, Pass},
		"no baseline yet": {Input{Head: noBlobs(1)}, "limits.unpacked.growth", NotMeasured, Pass},
		"not comparable":  {Input{Head: measured(1, 1), State: BaselineNotComparable}, "limits.compressed.growth", NotMeasured, Pass},
		"nothing":         {Input{Head: &footprint.Image{}}, "limits.compressed.growth", NotMeasured, Pass},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := img.Evaluate(c.in)
			if len(v.Checks) != 1 || v.Checks[0].Limit != c.limit || v.Checks[0].Status != c.check || v.Status != c.status {
				t.Errorf("%s %+v", v.Status, v.Checks)
			}
			if v.Status == Warn && !strings.Contains(v.Checks[0].Message, "`image-budget init`") {
				t.Error(v.Checks[0].Message)
			}
		})
	}
}

func TestWorst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want Status
		all  []Status
	}{
		{Pass, nil}, {Pass, []Status{Waived, NotMeasured, Pass}}, {Warn, []Status{Waived, Warn, Pass}}, {Fail, []Status{Fail, Warn}}, {Fail, []Status{Pass, Fail}},
	} {
		if got := Worst(c.all...); got != c.want {
			t.Errorf("%v: %s", c.all, got)
		}
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base int64
		p    Percent
		want int64
	}{
		{-5, 5000, 0}, {100, 0, 0}, {math.MaxInt64, 1, math.MaxInt64 / 100_000}, {math.MaxInt64, 100_000, math.MaxInt64},
		{math.MaxInt64, 100_001, math.MaxInt64}, {math.MaxInt64, maxPercent, math.MaxInt64}, {1, 99_999, 0}, {1<<64/10 + 1, maxPercent, math.MaxInt64}, {3, 33_334, 1},
	} {
		if got := share(c.base, c.p); got != c.want {
			t.Errorf("share(%d, %d) = %d, want %d", c.base, c.p, got, c.want)
		}
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int64{
		{math.MaxInt64, math.MinInt64, math.MaxInt64}, {math.MinInt64, math.MaxInt64, math.MinInt64}, {0, math.MinInt64, math.MaxInt64},
		{5, 7, -2}, {math.MinInt64, 0, math.MinInt64}, {-1, math.MaxInt64, math.MinInt64}, {math.MinInt64, math.MinInt64, 0},
	} {
		if got := difference(c[0], c[1]); got != c[2] {
			t.Errorf("%d - %d = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	for limits, want := range map[string][2]bool{ // files, compressed
		"limits: {compressed: {max: 1MB}}":        {false, true},
		"limits: {update: {max: 1MB}}":            {false, true},
		"limits: {layers: {max: 1}}":              {false, false},
		"limits: {unpacked: {max: 1MB}}":          {true, false},
		"limits: {final: {growth: 1MB}}":          {true, false},
		"limits: {wasted: {warn: 1MB}}":           {true, false},
		"limits: {files: {max: 1}}":               {true, false},
		"own: {compressed: {max: 1MB}}":           {false, true},
		"own: {files: {max: 1}}":                  {true, false},
		"paths: {/x: {max: 1MB}}":                 {true, false},
		"forbid: [/x]":                            {true, false},
		"packages: {\"npm:x\": forbid}":           {true, false},
		"limits: {}":                              {},
		"smoke: {command: [x]} # implied default": {false, false},
	} {
		file, err := Parse("x", []byte("version: 1\nimages:\n  web:\n    image: a/b\n    "+limits+"\n"))
		if limits == "limits: {}" {
			if err == nil {
				t.Error("an empty mapping is accepted")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if img := file.Images[0]; img.NeedsFiles() != want[0] || img.NeedsCompressed() != want[1] {
			t.Errorf("%s: %v %v, want %v", limits, img.NeedsFiles(), img.NeedsCompressed(), want)
		}
	}
}

// TestSinceRelease: growth since the last release is judged apart from that
// over the baseline, by the same rules.
func TestSinceRelease(t *testing.T) {
	t.Parallel()
	const mb = 1_000_000
	const limits = "limits: {compressed: {growth: {percent: 5%, since-release: 20%}}}"
	head, base := measured(130*mb, 0), measured(128*mb, 0)
	arm := func() *footprint.Image { return estimated(measured(100*mb, 0), "gzip 6") }
	for name, c := range map[string]struct {
		limits  string
		in      Input
		status  Status
		blind   bool
		message string
	}{
		"within": {limits, Input{Release: measured(110*mb, 0), ReleaseTag: "v1.2.0"}, Pass, false,
			"compressed grew by 20.0 MB since v1.2.0 (110.0 MB → 130.0 MB), within 20% since v1.2.0 (2 MB left)"},
		"creep": {limits, Input{Release: measured(100*mb, 0), ReleaseTag: "v1.2.0"}, Fail, false,
			"compressed grew by 30.0 MB since v1.2.0 (100.0 MB → 130.0 MB), 10 MB more than the 20 MB that 20% since v1.2.0 allows; bring it back, or waive images.web.limits.compressed.growth.since-release (.image-budget.yml:5)"},
		"no tag": {limits, Input{Release: measured(130*mb, 0)}, Pass, false,
			"compressed is unchanged since the last release at 130.0 MB, within 20% since the last release"},
		"shrunk": {limits, Input{Release: measured(140*mb, 0)}, Pass, false,
			"compressed shrank by 10.0 MB since the last release (140.0 MB → 130.0 MB), within 20% since the last release"},
		"no release": {limits, Input{}, NotMeasured, false,
			"growth of compressed since the last release was not judged: there is no release to compare with"},
		"no release, and why": {limits, Input{ReleaseState: BaselineNone, ReleaseReason: "no tag is above this commit"}, NotMeasured, false,
			"growth of compressed since the last release was not judged: there is no release to compare with: no tag is above this commit"},
		"of another platform": {limits, Input{Release: measured(1, 0), ReleaseState: BaselineNotComparable, ReleaseReason: "it is of linux/arm64", ReleaseTag: "v1"}, NotMeasured, true,
			"growth of compressed since v1 was not judged: the release v1 cannot be compared with this image: it is of linux/arm64"},
		"by another method": {limits, Input{Release: arm(), ReleaseTag: "v1"}, NotMeasured, true,
			"growth of compressed since v1 was not judged: the release v1 was measured by another method: its compressed bytes are estimated by gzip 6, these are read from the blobs; store it from the same kind of source"},
		"own unknown": {"own: {compressed: {growth: {since-release: 1MB}}}", Input{Release: measured(1, 0), ReleaseTag: "v1"}, NotMeasured, true,
			"growth of own compressed since v1 was not judged: the release v1 does not know its base image; store it again"},
		"path": {"paths: {/app/**: {growth: {since-release: 1MB}}}", Input{Release: &footprint.Image{Paths: []footprint.PathSize{{Pattern: "/app/**", Bytes: mb}}}, ReleaseTag: "v1"}, Fail, false,
			"/app/** grew by 2.0 MB since v1 (1.0 MB → 3.0 MB), 1 MB more than the 1 MB that 1 MB since v1 allows; bring it back, or waive images.web.paths./app/**.growth.since-release (.image-budget.yml:5)"},
		"a new path": {"paths: {/app/**: {growth: {since-release: 1MB}}}", Input{Release: measured(1, 0), ReleaseTag: "v1"}, NotMeasured, false,
			"growth of /app/** since v1 was not judged: the release v1 was stored before this path was in the budget file; the next one will have it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.in.Head, c.in.Base = clone(head), base
			c.in.Head.Own = &footprint.Metrics{Compressed: mb, Layers: 1, Has: footprint.HasCompressed}
			c.in.Head.Paths = []footprint.PathSize{{Pattern: "/app/**", Bytes: 3 * mb}}
			v := judged(t, c.limits, c.in)
			got := v.Checks[len(v.Checks)-1]
			if got.Kind != KindSinceRelease || got.Status != c.status || got.Blind != c.blind || got.Message != c.message || got.Release != c.in.ReleaseTag {
				t.Errorf("got  %s, blind %v, %q: %s\nwant %s, blind %v: %s", got.Status, got.Blind, got.Release, got.Message, c.status, c.blind, c.message)
			}
			if !strings.HasSuffix(got.Limit, ".growth.since-release") {
				t.Errorf("limit %s", got.Limit)
			}
			if (got.Base == nil) != (c.status == NotMeasured) {
				t.Errorf("base %v", got.Base)
			}
			// What is judged against the baseline does not see the release.
			if first := v.Checks[0]; len(v.Checks) == 2 && (first.Status != Pass || first.Kind != KindGrowth || *first.Base != 128*mb || first.Release != "") {
				t.Errorf("the growth over the baseline: %+v", first)
			}
		})
	}
}

func clone(img *footprint.Image) *footprint.Image {
	out := *img
	return &out
}

// TestSinceReleaseIsBounded: a tag may be as long as git lets it.
func TestSinceReleaseIsBounded(t *testing.T) {
	t.Parallel()
	in := Input{Head: measured(1, 0), Release: measured(1, 0), ReleaseTag: strings.Repeat("ü", 500)}
	c := judged(t, "limits: {compressed: {growth: {since-release: 5%}}}", in).Checks[0]
	if n := len([]rune(c.Release)); n != 40 || len([]rune(c.Rule)) > 60 {
		t.Errorf("%d characters, %s", n, c.Rule)
	}
}

func TestSinceReleaseIsWaived(t *testing.T) {
	t.Parallel()
	v := judged(t, "limits: {compressed: {growth: {since-release: 5%}}}\n    waivers: [{limit: limits.compressed.growth.since-release, until: 2026-12-31, reason: a new model}]",
		Input{Head: measured(2, 0), Release: measured(1, 0)})
	if c := v.Checks[0]; v.Status != Pass || c.Status != Waived || c.Waiver == nil {
		t.Errorf("%s, %+v", v.Status, c)
	}
}

// onBase is an image of one base layer of so many bytes and two own layers, of
// which the upper deletes a tenth of the base.
func onBase(name string, base footprint.Bytes) *footprint.Image {
	const has = footprint.HasCompressed | footprint.HasFiles
	hidden := base / 10
	img := &footprint.Image{
		Platform: "linux/amd64",
		Layers: []footprint.Layer{
			{DiffID: "sha256:" + name, CreatedBy: "ADD " + name + " in /", Compressed: base / 3, Unpacked: base, Wasted: hidden, Files: 1000, Has: has, InBase: true},
			{Index: 1, DiffID: "sha256:npm", CreatedBy: "RUN npm ci", Compressed: 9_000_000, Unpacked: 30_000_000, Files: 400, Has: has},
			{Index: 2, DiffID: "sha256:copy", CreatedBy: "COPY . .", Compressed: 1_000_000, Unpacked: 3_000_000, Files: 40, Has: has},
		},
		Base: &footprint.Base{FoundBy: "FROM", Reference: name, Metrics: footprint.Metrics{
			Compressed: base / 3, Unpacked: base, Final: base - hidden, Wasted: hidden, Layers: 1, Files: 900, Has: has,
		}},
		Own:  &footprint.Metrics{Compressed: 10_000_000, Unpacked: 33_000_000, Final: 33_000_000, Layers: 2, Files: 440, Has: has},
		Dead: []footprint.Dead{{In: 0, By: 2, Fate: footprint.Deleted, Bytes: hidden, Files: 100, Under: "/usr/share"}},
	}
	b, o := img.Base.Metrics, *img.Own
	img.Metrics = footprint.Metrics{
		Compressed: b.Compressed + o.Compressed, Unpacked: b.Unpacked + o.Unpacked, Final: b.Final + o.Final, Wasted: b.Wasted, Layers: 3, Files: 1340, Has: has,
	}
	img.Dirs = []footprint.Dir{{Path: "/app", Bytes: o.Final, Files: 440}, {Path: "/usr", Bytes: b.Final, Files: 900}}
	return img
}

// TestBaseBumpFailsNoOwnLimit: what a new base brings is not what the project
// did, by any metric, and the comparison says the same.
func TestBaseBumpFailsNoOwnLimit(t *testing.T) {
	t.Parallel()
	old, new := onBase("debian:12.1", 90_000_000), onBase("debian:12.5", 102_100_000)
	footprint.Align(old, new)
	footprint.SetUpdate(old, new)
	delta, err := footprint.Compare(old, new)
	if err != nil {
		t.Fatal(err)
	}
	if want := (footprint.Parts{Base: 12_100_000}); delta.Parts != want || delta.Base == nil || delta.Base.Change != footprint.Changed {
		t.Errorf("parts %+v, base %+v", delta.Parts, delta.Base)
	}
	if len(delta.Causes) != 1 || !delta.Causes[0].Base || delta.Causes[0].Bytes != 12_100_000 {
		t.Errorf("causes %+v", delta.Causes)
	}
	const each = "compressed: {growth: 0B}, unpacked: {growth: 0B}, final: {growth: 0B}, wasted: {growth: 0B}, layers: {growth: 0}, files: {growth: 0}"
	v := judged(t, "limits: {"+each+"}\n    own: {"+each+", update: {max: 0}}", Input{Head: new, Base: old})
	got := map[Scope]map[Status]int{}
	for _, c := range v.Checks {
		if got[c.Scope] == nil {
			got[c.Scope] = map[Status]int{}
		}
		got[c.Scope][c.Status]++
	}
	// The base brings neither layers nor files more.
	if diff := cmp.Diff(map[Scope]map[Status]int{ScopeOwn: {Pass: 7}, ScopeImage: {Fail: 4, Pass: 2}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
