package report_test

import (
	"strings"
	"testing"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// Another base is told by its names, or by its digests where one name stands for
// both, in the list of what grew.
func TestBaseBumpIsNamed(t *testing.T) {
	t.Parallel()
	a, b := "sha256:"+strings.Repeat("a1", 32), "sha256:"+strings.Repeat("b2", 32)
	for _, c := range []struct {
		was, wasDigest, now, nowDigest, want string
	}{
		{"debian:12.1", "", "debian:12.5", "", "debian:12.1 → debian:12.5"},
		{"debian:12.1", a, "debian:12.5", b, "debian:12.1 → debian:12.5"},
		{"node:20", a, "node:20", b, "node:20 sha256:a1a1a1a1a1a1 → sha256:b2b2b2b2b2b2"},
		{"node:20@" + a, "", "node:20@" + b, "", "node:20 sha256:a1a1a1a1a1a1 → sha256:b2b2b2b2b2b2"},
		{"node:20", "", "node:20", b, "node:20, another image of that name"},
		{"node:20", "", "node:20", "", "node:20, another image of that name"},
		{"", a, "", b, "sha256:a1a1a1a1a1a1 → sha256:b2b2b2b2b2b2"},
		{"", a, "node:20", b, "sha256:a1a1a1a1a1a1 → node:20"},
		{"", "", "node:20", "", "(unnamed) → node:20"},
		{"", "", "", "", "(unnamed)"},
	} {
		img := bumped(t, 8_000_000, 0)
		img.Base.Base.Reference, img.Base.Base.Digest, img.Head.Base.Reference, img.Head.Base.Digest = c.was, c.wasDigest, c.now, c.nowDigest
		for format, text := range both(t, wrap(judged(&img, parseBudget(t, ownBudget)))) {
			line := ""
			for l := range strings.Lines(text) {
				if strings.Contains(l, "+12.0 MB") && strings.Contains(l, "base image ") {
					line = strings.ReplaceAll(strings.ReplaceAll(l, "`", ""), "**", "")
				}
			}
			if got := strings.TrimSpace(line); !strings.HasSuffix(got, "base image "+c.want) {
				t.Errorf("%s: got %q, want %q", format, got, c.want)
			}
		}
	}
}

// The line of FROM is the one to change, and a stored report keeps it.
func TestBaseBumpHasALine(t *testing.T) {
	t.Parallel()
	img := bumped(t, 8_000_000, 0)
	img.Head.Base.Reference = "node:22@sha256:" + strings.Repeat("b2", 32)
	img.Head.Base.Origin = &footprint.Origin{File: "Dockerfile", Start: 3, End: 4}
	r := wrap(judged(&img, parseBudget(t, ownBudget)))
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"Dockerfile:3"}, nil)
	}
	wants(t, "comment", markdown(t, r, comment), []string{"`FROM node:22`\n"}, nil)
	stored := toJSON(t, r)
	if again, err := report.ReadJSON(strings.NewReader(stored), 1<<24); err != nil || markdown(t, again, comment) != markdown(t, r, comment) {
		t.Errorf("the line is lost in a stored report: %v", err)
	}
	if _, err := report.ReadJSON(strings.NewReader(strings.Replace(stored, `"start": 3`, `"start": 5`, 1)), 1<<24); err == nil {
		t.Error("a line that ends before it begins was read")
	}
}

// A base bump alone keeps to the budget of the own layers.
func TestBaseBumpKeepsTheOwnBudget(t *testing.T) {
	t.Parallel()
	img := bumped(t, 8_000_000, 0)
	src := strings.Replace(ownBudget, "{max: 120MB, growth: 5%}", "{max: 120MB}", 1)
	r := wrap(judged(&img, parseBudget(t, src)))
	if r.Status != budget.Pass {
		t.Errorf("%+v", img.Verdict.Checks)
	}
	for format, text := range both(t, r) {
		wants(t, format, text, []string{"+12.0 MB", "node:20.11-bookworm-slim", "node:20.19-bookworm-slim"}, []string{"/usr/lib/ "})
	}
	img = bumped(t, 8_000_000, 1)
	if judged(&img, parseBudget(t, src)).Verdict.Status != budget.Fail {
		t.Error("one byte of its own is allowed")
	}
}

// The base has its line, whatever grew more.
func TestSmallBaseBumpIsListed(t *testing.T) {
	t.Parallel()
	img := bumped(t, 200_000, 0)
	base := img.Delta.Causes[0]
	img.Delta.Causes = nil
	for i := range 12 {
		img.Delta.Causes = append(img.Delta.Causes, footprint.Cause{Bytes: footprint.Bytes(9_000_000 - i), Metric: footprint.Unpacked, Path: "/srv/" + string(rune('a'+i)), Change: footprint.Added, Layer: 5})
	}
	img.Delta.Causes = append(img.Delta.Causes, base)
	for format, text := range both(t, wrap(judged(&img, parseBudget(t, ownBudget)))) {
		want := []string{"1. **+9.0 MB** `/srv/a`", "5. **+300.0 kB** base image `node:20.11-bookworm-slim` → `node:20.19-bookworm-slim`\n6. +72.0 MB: 8 more"}
		if format == "terminal" {
			want = []string{"  +300.0 kB  base image node:20.11", "-bookworm-slim\n  and 5 more, together +45.0 MB"}
		}
		wants(t, format, text, want, nil)
	}
}

// What no list can name has a sentence.
func TestBaseAside(t *testing.T) {
	t.Parallel()
	same := bumped(t, 0, 2_000_000)
	unread := bumped(t, -8_000_000, 0)
	unread.Delta.Has = compressed
	unread.Delta.Causes = nil
	withoutFiles(unread.Head)
	withoutFiles(unread.Base)
	neither := bumped(t, 8_000_000, 0)
	neither.Delta.Has, neither.Delta.Causes = 0, nil
	withoutFiles(neither.Head)
	withoutFiles(neither.Base)
	for want, img := range map[string]report.Image{
		"the base image was replaced by one of the same unpacked size: node:20.11-bookworm-slim → node:20.19-bookworm-slim": same,
		"base image −5.3 MB (compressed): node:20.11-bookworm-slim → node:20.19-bookworm-slim":                              unread,
		"the base image was replaced: node:20.11-bookworm-slim → node:20.19-bookworm-slim":                                  neither,
	} {
		img.Verdict.Status = budget.Warn
		for format, text := range both(t, wrap(img)) {
			text = strings.Join(strings.Fields(strings.ReplaceAll(text, "`", "")), " ")
			wants(t, format, text, []string{want}, nil)
		}
	}
}

// Platforms of one image are told apart, and share a sentence.
func TestBaseAsideOfPlatforms(t *testing.T) {
	t.Parallel()
	amd, arm := bumped(t, -8_000_000, 14_000_000), bumped(t, -8_000_000, 14_000_000)
	arm.Head.Platform, arm.Base.Platform = "linux/arm64", "linux/arm64"
	wants(t, "markdown", markdown(t, wrap(amd, arm), comment),
		[]string{"\n`web` (linux/amd64), `web` (linux/arm64): base image −12.0 MB (unpacked): `node:20.11-bookworm-slim` → `node:20.19-bookworm-slim`\n"}, nil)
}

// Rows of the base and of what is above it add up, also where a layer crossed
// from one to the other.
func TestLayersAcrossTheBoundary(t *testing.T) {
	t.Parallel()
	base, head := oldImage(), oldImage()
	split(head, 3) // the working directory is the base's now
	d := delta(base, head)
	d.Base.Change = footprint.Changed
	img := report.Image{Head: head, Base: base, Delta: d, Baseline: found(), Verdict: budget.Verdict{Status: budget.Warn}}
	wants(t, "markdown", markdown(t, wrap(img), comment), []string{
		"| 0–2 | base image `node:20-bookworm-slim`, another image of that name, replaced | 47 100 000 B | 47 100 102 B | +102 B |",
		"|  | `WORKDIR /app`, removed | 102 B | – | −102 B |",
	}, nil)
	split(head, 1)
	d = delta(base, head)
	d.Base.Change = footprint.Changed
	img.Delta = d
	wants(t, "markdown", markdown(t, wrap(img), comment), []string{
		"| 0 | base image `node:20-bookworm-slim`, another image of that name, replaced | 47.1 MB | 29.1 MB | −18.0 MB |",
		"nodejs`, added | – | 18.0 MB | +18.0 MB |",
	}, nil)
}
