package report_test

import (
	"strings"
	"testing"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// swapped is an image whose base was swapped for another one of three layers,
// while its own three stayed what they are: as an engine has it, which knows the
// blobs of a base that it pulled and estimates the others. Without the blobs of
// the other base the images do not compare as a whole.
func swapped(t testing.TB, blobs bool) *report.Report {
	head, base := oldImage(), oldImage()
	own := head.Layers[2:]
	head.Layers = []footprint.Layer{
		layer(0, "ADD file in /", 3_000_000, 8_000_000, 0, 80, true), layer(1, "RUN apk add nodejs", 30_000_000, 90_000_000, 0, 400, true),
		layer(2, "RUN apk add yarn", 2_000_000, 7_000_000, 0, 500, true),
	}
	for i := range head.Layers {
		l := &head.Layers[i]
		l.DiffID, l.CompressedEstimated = "sha256:alpine"+string(rune('0'+i)), !blobs
	}
	for _, l := range own {
		l.Index++
		head.Layers = append(head.Layers, l)
	}
	split(base, 2)
	split(head, 3)
	head.Layers[5].Compressed += 5
	head.Layers[5].DiffID = "sha256:built again"
	for _, img := range []*footprint.Image{base, head} {
		img.Source, img.EstimatedBy = "docker-daemon", "gzip 6"
		for i := range img.Layers {
			if l := &img.Layers[i]; !l.InBase {
				l.CompressedEstimated = true
			}
		}
		n := img.Base.Metrics.Layers
		b, o := total(img.Layers[:n], 0), total(img.Layers[n:], 0)
		img.Metrics = total(img.Layers, 0)
		img.Metrics.CompressedEstimated, o.CompressedEstimated, b.CompressedEstimated = true, true, img == head && !blobs
		img.Base.Metrics, img.Own = b, &o
		img.Dirs = []footprint.Dir{{Path: "/", Bytes: img.Metrics.Final, Files: img.Metrics.Files}}
	}
	head.Base.Reference = "node:20-alpine"
	head.Dead = []footprint.Dead{{In: 6, By: 6, Fate: footprint.Replaced, Bytes: 200_000, Files: 1, Under: "/app"}}
	d, err := footprint.Compare(base, head)
	if err != nil {
		t.Fatal(err)
	}
	img := report.Image{Head: head, Base: base, Delta: d, Baseline: found()}
	return wrap(judged(&img, parseBudget(t, `version: 1
baseline: file:size.json
images:
  web:
    image: ghcr.io/acme/web:edge
    limits: {compressed: {growth: 5%}}
    own: {compressed: {growth: 50kB}}
`)))
}

// What changed in the base is told in its row, and the layers that another base
// does not bring any more are none of this image.
func TestSwappedBaseCountsLayersOnce(t *testing.T) {
	t.Parallel()
	text := markdown(t, swapped(t, true), report.MarkdownOptions{Full: true})
	wants(t, "swapped", text, []string{"Layers: 7, of which 4 changed<", "| 0–2 | base image `node:20-bookworm-slim` → `node:20-alpine`, replaced |"}, nil)
	r := rich(t)
	img := &r.Images[0]
	img.Delta.Layers = append(img.Delta.Layers, footprint.LayerChange{Change: footprint.Removed, Old: &img.Base.Layers[5]})
	wants(t, "removed", markdown(t, r, comment), []string{"Layers: 7, of which 3 changed; 1 removed<"}, nil)
}

// Both sides of a pair say that they are estimates.
func TestEstimatesAreMarkedOnBothSides(t *testing.T) {
	t.Parallel()
	r := swapped(t, true)
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"≈ 94.0 MB → ≈ 81.9 MB  −12.1 MB  growth 5%"}, nil)
	wants(t, "markdown", markdown(t, r, comment), []string{
		whole("≈ 94.0 MB") + " | " + whole("≈ 81.9 MB"), "| 47.1 MB | 35.0 MB |", "| `RUN npm ci` | ≈ 45.6 MB | ≈ 45.6 MB | +5 B |", "| ≈ 44.2 kB | ≈ 44.2 kB |",
	}, nil)
	for format, text := range both(t, r) {
		text = strings.Join(strings.Fields(text), " ")
		wants(t, format, text, []string{"compressed bytes are estimated (≈) where the source holds no compressed layer"}, nil)
	}
	r = swapped(t, false)
	wants(t, "other base", markdown(t, r, comment), []string{"| 0–2 | base image `node:20-bookworm-slim` → `node:20-alpine`, replaced |"}, []string{"| 47.1 MB | 35.0 MB |"})
}

// A limit on the own size is judged though the images as a whole do not compare,
// and the row shows what it was judged by.
func TestOwnIsShownAsItIsJudged(t *testing.T) {
	t.Parallel()
	r := swapped(t, false)
	checks := r.Images[0].Verdict.Checks
	if checks[0].Status != budget.NotMeasured || checks[1].Status != budget.Pass || checks[1].Actual != 5 {
		t.Fatalf("%+v", checks)
	}
	for line := range strings.Lines(terminal(t, r, report.TerminalOptions{})) {
		if strings.HasPrefix(line, "  own ") && !strings.Contains(line, "≈ 46.9 MB → ≈ 46.9 MB") {
			t.Error(line)
		}
	}
	checkRoundTrip(t, r)
}

// whole keeps a figure on one line, as the tables do.
func whole(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") }
