// Package budget is the budget file of a project: how it is read, what it
// limits, and whether an image keeps to it.
//
// It is pure. Bytes and values come in, values go out: it opens no file, reads
// no clock and knows no output format. [Parse] accepts a file only if every
// key in it is understood, and names the place of every mistake;
// [Image.Evaluate] returns a [Check] for every limit, kept or not, so that
// nothing is dropped in silence. A limit that could not be judged says why.
//
// All arithmetic is on whole bytes; a value equal to its limit is within it.
package budget

import (
	"fmt"
	"time"

	"github.com/org/image-budget/footprint"
)

// DefaultName is the name of the budget file in the root of a repository.
const DefaultName = ".image-budget.yml"

// File is a budget file.
type File struct {
	// Name is the name it was parsed under.
	Name string
	// Version is the version of the format, always 1.
	Version int
	// Baseline is where snapshots are kept: file:PATH, branch:NAME,
	// registry:REF, image:REF, build or none. "" if the file does not say.
	Baseline string
	// Images are in the order of the file.
	Images []Image
}

// Image is the budget of one image.
type Image struct {
	// ID is stable: the key of baselines, comments and outputs.
	ID string
	// Ref is the image to measure, "" where Build is set.
	Ref string
	// Base names the image in FROM, "" if the file does not say.
	Base string
	// Build says how to build the image, nil where Ref is set.
	Build *Build
	// Limits are those of the whole image, Own those of the layers above its
	// base; both in the order of [footprint.AllMetrics].
	Limits, Own []Limit
	// Paths limits what patterns match. It, Packages, Forbid and Waivers are
	// in the order of the file.
	Paths []PathLimit
	// Packages and Forbid name what must not be in the image.
	Packages []PackageLimit
	Forbid   []Pattern
	// Waivers excuse limits for a time.
	Waivers []Waiver
	// Cost is what pulling it is reckoned with: its own, and what the file says
	// for all images where it has none.
	Cost Cost
	// Smoke tells how to see that the image works, nil if not given.
	Smoke *Smoke
	// Verify says when suggestions for the image are built and run: one of
	// [VerifyWords], its own or that for all images; "" if the file does not say.
	Verify string
	// Implied tells that no limit was written and Limits are those of
	// [Default]: of them, the first that can be compared is judged.
	Implied bool
	// Pos is the place of the id in the file, zero without a file.
	Pos Pos
}

// Pos is a place in a budget file. Lines and columns count from 1, columns in
// characters. The zero Pos is no place.
type Pos struct {
	// File is the name given to [Parse].
	File string
	// Line and Col count from 1; they are 0 for no place.
	Line, Col int
}

// String prints "file:line:col", or "" for no place.
func (p Pos) String() string {
	if p.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Bound is a limit in bytes, or in pieces for the metrics that are counts.
type Bound struct {
	// Value is the most that is allowed, not negative.
	Value int64
	// Pos is the place of the key.
	Pos Pos
}

// Growth limits what an image may gain over an older one, its baseline or the
// last release: the larger of a share and of a number is allowed. At least one
// of them is set.
type Growth struct {
	// Percent is the share of the older figure, nil if not limited.
	Percent *Percent
	// Amount is in bytes, or in pieces for a count; nil if not limited.
	Amount *int64
	// Warn makes too much growth a warning and not a failure.
	Warn bool
	// Pos is the place of the key.
	Pos Pos
}

// Percent is a share in thousandths of a percent: 5% is 5000.
type Percent int64

// Bounds are the limits of one figure; nil is no limit.
type Bounds struct {
	// Max fails, Warn warns, when it is exceeded.
	Max, Warn *Bound
	// Growth is against the baseline, SinceRelease against the last release:
	// many small gains, each within the first, add up in the second.
	Growth, SinceRelease *Growth
}

// Limit limits one metric.
type Limit struct {
	// Metric is what is limited.
	Metric footprint.Metric
	Bounds
	// Pos is the place of the key.
	Pos Pos
}

// PathLimit limits the bytes of all files that a pattern matches.
type PathLimit struct {
	// Pattern is a glob of absolute paths; see [Measure].
	Pattern string
	Bounds
	// Pos is the place of the key.
	Pos Pos
}

// PackageLimit forbids packages.
type PackageLimit struct {
	// Pattern is ECOSYSTEM:NAME as it was written, in which * and ? match any
	// characters. "apt:x" means "dpkg:x", as the names do that reports use.
	Pattern string
	// Pos is the place of the key.
	Pos Pos
}

// Pattern is a glob of absolute paths; see [Measure].
type Pattern struct {
	// Text is the glob as it was written.
	Text string
	// Pos is the place of the text.
	Pos Pos
}

// Waiver excuses one limit for a time.
type Waiver struct {
	// Limit is the name of a limit of the image, as in [Check.Limit].
	Limit string
	// Until is the last day on which it holds, at midnight UTC.
	Until time.Time
	// Reason is in the words of whoever wrote it, never "".
	Reason string
	// Pos is the place of the waiver.
	Pos Pos
}

// Expired tells whether the last day of the waiver is over, in UTC.
func (w Waiver) Expired(now time.Time) bool {
	return !now.Before(w.Until.AddDate(0, 0, 1))
}

// When suggestions are built, run and compared with the original.
const (
	VerifyNever     = "never"
	VerifyOnFailure = "on-failure"
	VerifyAlways    = "always"
)

// VerifyWords are the words of verify, the most careful first.
func VerifyWords() []string { return []string{VerifyNever, VerifyOnFailure, VerifyAlways} }

// Smoke tells how to see that an image works. Either HTTP or Command is set.
type Smoke struct {
	// HTTP is a question to ask, nil where Command is set.
	HTTP *SmokeHTTP
	// Command is run in the container and must exit with 0.
	Command []string
	// Timeout is 0 if the file does not say.
	Timeout time.Duration
}

// SmokeHTTP asks a container a question over HTTP.
type SmokeHTTP struct {
	// Port is the container's, 1 to 65535.
	Port int
	// Path begins with a slash.
	Path string
	// Body must be a part of the answer; "" accepts any.
	Body string
}

// Default is the budget of an image that nobody wrote one for: a warning when
// it grows by more than 5 % and more than 1 MB against its baseline. Compressed
// bytes are compared if both sides know them in the same way, else unpacked.
func Default(id, ref string) Image {
	return Image{ID: id, Ref: ref, Limits: defaultLimits(), Implied: true}
}

func defaultLimits() []Limit {
	limits := make([]Limit, 0, 2)
	for _, metric := range []footprint.Metric{footprint.Compressed, footprint.Unpacked} {
		percent, amount := Percent(5_000), int64(1_000_000)
		limits = append(limits, Limit{
			Metric: metric,
			Bounds: Bounds{Growth: &Growth{Percent: &percent, Amount: &amount, Warn: true}},
		})
	}
	return limits
}

// NeedsFiles tells whether a limit cannot be judged without reading layers.
// Compressed, update and layers can: the manifest is enough.
func (img Image) NeedsFiles() bool {
	if img.Implied {
		return false
	}
	if len(img.Paths)+len(img.Packages)+len(img.Forbid) > 0 {
		return true
	}
	for _, l := range img.metricLimits() {
		switch l.Metric {
		case footprint.Unpacked, footprint.Final, footprint.Wasted, footprint.FileCount, footprint.Executables, footprint.Setuid:
			return true
		}
	}
	return false
}

// NeedsCompressed tells whether a limit is about compressed bytes, so that
// they must be estimated where the source holds no blobs.
func (img Image) NeedsCompressed() bool {
	if img.Implied {
		return false
	}
	for _, l := range img.metricLimits() {
		if l.Metric == footprint.Compressed || l.Metric == footprint.Update {
			return true
		}
	}
	return false
}

// NeedsRelease tells whether a limit is on the growth since the last release,
// so that [Input.Release] is needed to judge it.
func (img Image) NeedsRelease() bool {
	for _, l := range img.metricLimits() {
		if l.SinceRelease != nil {
			return true
		}
	}
	for _, p := range img.Paths {
		if p.SinceRelease != nil {
			return true
		}
	}
	return false
}

func (img Image) metricLimits() []Limit {
	return append(append([]Limit(nil), img.Limits...), img.Own...)
}

// Patterns lists the path patterns to hand to [Measure]: those of paths, then
// those of forbid, each once.
func (img Image) Patterns() []string {
	var out []string
	seen := map[string]bool{}
	add := func(p string) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, p := range img.Paths {
		add(p.Pattern)
	}
	for _, p := range img.Forbid {
		add(p.Text)
	}
	return out
}
