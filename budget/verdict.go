package budget

import "github.com/org/image-budget/footprint"

// Status is the outcome of one check, or of all of them.
type Status string

// The statuses.
const (
	Pass Status = "pass"
	Warn Status = "warn"
	Fail Status = "fail"
	// Waived is a failure that a waiver excuses. It counts as a pass.
	Waived Status = "waived"
	// NotMeasured means that the limit could not be judged; see
	// [Check.Blind] for how it counts.
	NotMeasured Status = "not-measured"
)

// Worse returns the worse of two statuses: fail, then warn, then the others,
// which all come out as pass.
func (s Status) Worse(other Status) Status {
	switch {
	case s == Fail || other == Fail:
		return Fail
	case s == Warn || other == Warn:
		return Warn
	}
	return Pass
}

// Worst is the worst of all, pass if there are none.
func Worst(all ...Status) Status {
	worst := Pass
	for _, s := range all {
		worst = worst.Worse(s)
	}
	return worst
}

// Verdict is the judgement of one image.
type Verdict struct {
	// Status is pass, warn or fail: the worst of the checks, and at least
	// warn if one of them is blind.
	Status Status
	// Checks has one entry for every limit, in the order limits, own, paths,
	// packages, forbid.
	Checks []Check
	// Notes are sentences worth saying that change nothing, such as a waiver
	// that is not needed any more.
	Notes []string
}

// Scope says what a check looked at.
type Scope string

// The scopes.
const (
	ScopeImage   Scope = "image"
	ScopeOwn     Scope = "own"
	ScopePath    Scope = "path"
	ScopePackage Scope = "package"
	ScopeForbid  Scope = "forbid"
)

// Kind says how a check judges.
type Kind string

// The kinds.
const (
	KindMax    Kind = "max"
	KindWarn   Kind = "warn"
	KindGrowth Kind = "growth"
	// KindSinceRelease judges the growth since the last release.
	KindSinceRelease Kind = "since-release"
	// KindForbid allows none.
	KindForbid Kind = "forbid"
)

// IsGrowth tells whether a check judges the gain over an older image.
func (k Kind) IsGrowth() bool { return k == KindGrowth || k == KindSinceRelease }

// Unit is that of the figures of a check.
type Unit string

// The units.
const (
	UnitBytes Unit = "bytes"
	UnitCount Unit = "count"
)

// Check is the judgement of one limit.
type Check struct {
	// Limit names it inside the image, such as limits.compressed.max,
	// own.wasted.max, limits.compressed.growth,
	// limits.compressed.growth.since-release, "paths./app/**.max",
	// packages.npm:typescript and forbid./usr/bin/gcc.
	Limit string
	// Subject is the figure in words: "compressed", "own layers",
	// "/app/**", "npm:typescript".
	Subject string
	// Rule is the limit as a person would say it: "max 120 MB", "growth 5%
	// and 2 MB", "20% since v1.2.0", "forbidden".
	Rule string
	// Kind is how it judges, Scope what it looks at.
	Kind Kind
	// Metric is "" for packages and forbidden paths, and final for paths.
	Metric footprint.Metric
	Scope  Scope
	// Status is the outcome.
	Status Status
	// Actual is the figure, for growth the gain over Base; Allowed the most
	// that it may be. Actual means nothing if the status is not-measured, nor
	// does Allowed for growth.
	Actual, Allowed int64
	// Unit is that of Actual, Allowed, Base and Headroom.
	Unit Unit
	// Base is the baseline's figure, or that of the last release if the check
	// is of the growth since then; nil where there is none to compare with.
	Base *int64
	// Release is the tag of that release, "" for all other checks and where
	// none is known.
	Release string
	// Headroom is Allowed less Actual, negative if it is exceeded.
	Headroom int64
	// Blind is set where something that was asked for could not be judged
	// and the user can change that. A growth limit is not blind as long as
	// there is no baseline, or no release, at all.
	Blind bool
	// Message is a sentence; of a failure, it says what to do next.
	Message string
	// Pos is the place of the limit in the budget file, zero without one.
	Pos Pos
	// Waiver is the one that names this limit, expired or not; nil if none
	// does.
	Waiver *Waiver
	// Examples are a few of the paths or packages that are forbidden, or of the
	// setuid files that are too many.
	Examples []string
}

// BaselineState says what is known of the baseline, or of the last release.
type BaselineState string

// The states.
const (
	BaselineFound         BaselineState = "found"
	BaselineNone          BaselineState = "none"
	BaselineNotComparable BaselineState = "not-comparable"
)
