package budget

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

// InitImage is an image to write a first budget for.
type InitImage struct {
	// ID must be valid, see [ValidID] and [ID].
	ID string
	// Ref is the image, Base its base image or "".
	Ref, Base string
	// Build is written in the place of Ref, if it is not nil: its context,
	// Dockerfile, target, arguments and platforms.
	Build *Build
	// Metrics are what was measured; figures without a Has get no limit.
	Metrics footprint.Metrics
}

// Init writes a budget file that the measured images keep with at least 10 %
// to spare: with 15 % at most, or with the least that is worth a limit. [Parse] accepts it.
func Init(images []InitImage) []byte {
	var out strings.Builder
	out.WriteString(`# What the images of this repository may weigh. The limits below are what was
# measured, with at least 10 % to spare; tighten them at leisure.
version: 1

# Where the sizes of the main branch are kept, for the growth limits: on a branch
# that pushes save to, in a file (file:.image-budget.json), in a registry. As in:
# baseline: branch:image-budget

images:
`)
	for _, img := range images {
		initImage(&out, img)
	}
	return []byte(out.String())
}

func initImage(out *strings.Builder, img InitImage) {
	m := img.Metrics
	fmt.Fprintf(out, "  %s:\n", yamlKey(img.ID))
	if img.Build != nil {
		initBuild(out, img.Build)
	} else {
		fmt.Fprintf(out, "    image: %s\n", yamlText(img.Ref))
	}
	if img.Base != "" {
		fmt.Fprintf(out, "    base: %s\n", yamlText(img.Base))
	}
	out.WriteString("    limits:\n")
	const growth = "growth: {percent: 5%, bytes: 1MB}"
	// An estimate is no promise of what a registry will hold.
	known := m.Has&footprint.HasCompressed != 0 && !m.CompressedEstimated
	switch {
	case known:
		fmt.Fprintf(out, "      # what a pull transfers, now %s\n", m.Compressed)
		fmt.Fprintf(out, "      compressed: {max: %s, %s}\n", sizeText(roomy(int64(m.Compressed), 1_000_000)), growth)
	case m.Has&footprint.HasFiles != 0:
		fmt.Fprintf(out, "      # all files in all layers, now %s\n", m.Unpacked)
		fmt.Fprintf(out, "      unpacked: {max: %s, %s}\n", sizeText(roomy(int64(m.Unpacked), 1_000_000)), growth)
	default:
		fmt.Fprintf(out, "      compressed: {%s}\n", growth)
	}
	if m.Has&footprint.HasFiles != 0 {
		fmt.Fprintf(out, "      # shipped, but deleted or replaced by a later layer, now %s\n", m.Wasted)
		fmt.Fprintf(out, "      wasted: {max: %s}\n", sizeText(roomy(int64(m.Wasted), 1_000_000)))
	}
	fmt.Fprintf(out, "      # now %d\n", m.Layers)
	fmt.Fprintf(out, "      layers: {max: %d}\n", m.Layers+max(2, (m.Layers+9)/10))
}

func initBuild(out *strings.Builder, b *Build) {
	fmt.Fprintf(out, "    build:\n      context: %s\n", yamlText(b.Context))
	for _, f := range []struct{ key, value string }{{"dockerfile", b.Dockerfile}, {"target", b.Target}} {
		if f.value != "" {
			fmt.Fprintf(out, "      %s: %s\n", f.key, yamlText(f.value))
		}
	}
	if len(b.Args) > 0 {
		out.WriteString("      args:\n")
		for _, name := range slices.Sorted(maps.Keys(b.Args)) {
			fmt.Fprintf(out, "        %s: %s\n", yamlText(name), yamlText(b.Args[name]))
		}
	}
	if len(b.Platforms) > 0 {
		fmt.Fprintf(out, "      platforms: [%s]\n", strings.Join(b.Platforms, ", "))
	}
}

// roomy adds 10 to 15 % and ends on a number that reads well, at least floor.
func roomy(v, floor int64) int64 {
	if v > math.MaxInt64/2 {
		return math.MaxInt64
	}
	want := max(v+v/10+1, floor)
	step := int64(1)
	for step <= want/1000 {
		step *= 10
	}
	// step has want at three digits; a leading 1 goes in 5s of them, 2 to 4 in
	// tens, the rest in twenties, so nothing is rounded up by over 5 %.
	switch lead := want / step; {
	case lead < 100:
	case lead < 200:
		step *= 5
	case lead < 500:
		step *= 10
	default:
		step *= 20
	}
	return (want + step - 1) / step * step
}

// sizeText prints a size exactly, with the largest unit that is exact to two
// decimals.
func sizeText(v int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if v >= u.size && v%(u.size/100) == 0 {
			return strconv.FormatFloat(float64(v/(u.size/100))/100, 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatInt(v, 10) + "B"
}

func yamlKey(id string) string {
	if id[0] >= 'a' && id[0] <= 'z' {
		switch id {
		case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		default:
			return id
		}
	}
	return yamlText(id)
}

// yamlText quotes a text for YAML; a character that cannot be written in a
// budget file is written as a question mark.
func yamlText(s string) string {
	var out strings.Builder
	for _, r := range s {
		if !printable(string(r)) || r == '\ufffd' {
			r = '?'
		}
		if r == '"' || r == '\\' {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	if plainRef(s) {
		return s
	}
	return `"` + out.String() + `"`
}

// plainRef tells whether a reference reads as text in YAML without quotes.
func plainRef(s string) bool {
	if s == "" || !(s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z') || strings.HasSuffix(s, ":") || !strings.ContainsAny(s, "/:") {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("./:@_-", r)
	}) < 0
}
