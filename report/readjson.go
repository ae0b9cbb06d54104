package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// What a stored report may hold. Reports travel as artifacts of workflow runs
// that anyone can start: the bounds keep a forged one from costing more memory
// than its bytes justify, and keep every sum far from overflowing.
const (
	maxImages   = 1_000          // those that could not be measured: as many again
	maxLayers   = math.MaxUint16 // what package scan reads, and more than a manifest can list
	maxPackages = 100_000        // a longer inventory is not written
	maxEntries  = 100_000
	// maxObjects bounds all of a document's objects together.
	maxObjects = 1_000_000
	maxSize    = footprint.Bytes(1) << 50
	maxTotal   = footprint.Bytes(1) << 60
)

// ReadJSON reads a report that [JSON] wrote, of at most maxBytes. Names it does
// not know are ignored, as they may be added within a version; a newer version,
// a missing or absurd figure and sums that do not hold are errors that say what
// is wrong. The walk over the files of an image is not stored, and neither are
// the packages, paths and directories of the baseline's image: its packages are
// empty where they were known, and nil where not.
func ReadJSON(r io.Reader, maxBytes int64) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if int64(len(data)) > maxBytes {
		return nil, fmt.Errorf("reading the report: it is larger than %s", footprint.Bytes(maxBytes))
	}
	if err := checkVersion(data); err != nil {
		return nil, err
	}
	var doc documentJSON
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	out, err := doc.report()
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	return out, nil
}

// checkVersion looks at nothing but the version, since everything else may look
// different in another one.
func checkVersion(data []byte) error {
	if bytes.Count(data, []byte("{")) > maxObjects {
		return fmt.Errorf("reading the report: it has more than %s entries", count(maxObjects))
	}
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("reading the report: it is not a whole JSON document: %w (at byte %d)", err, syntax.Offset)
		}
		return fmt.Errorf("reading the report: %w", err)
	}
	switch {
	case head.Version == nil:
		return errors.New("reading the report: it has no version; only a report written with --format json can be read")
	case *head.Version > Version:
		return fmt.Errorf("reading the report: it has version %d and was made by a newer image-budget; update image-budget to read it", *head.Version)
	case *head.Version < Version:
		return fmt.Errorf("reading the report: there is no version %d of it", *head.Version)
	}
	return nil
}

func (doc documentJSON) report() (*Report, error) {
	if len(doc.Images) > maxImages {
		return nil, fmt.Errorf("%d images are more than %d", len(doc.Images), maxImages)
	}
	if len(doc.Unmeasured) > maxImages {
		return nil, fmt.Errorf("%d images that could not be measured are more than %d", len(doc.Unmeasured), maxImages)
	}
	if doc.BlobBytesRead < 0 || doc.BlobBytesRead > maxTotal || doc.LayersRead < 0 || doc.LayersKnown < 0 {
		return nil, errors.New("a negative or absurd number of bytes or layers read")
	}
	if err := words(doc.Kind, Check, Inspect, Diff, Suggest); err != nil {
		return nil, err
	}
	out := &Report{
		Kind: doc.Kind, Tool: doc.Tool, Status: doc.Status,
		BlobBytesRead: doc.BlobBytesRead, LayersRead: doc.LayersRead, LayersKnown: doc.LayersKnown,
		Run: Run(doc.Run), Notes: doc.Notes,
	}
	var statuses []budget.Status
	for i := range doc.Images {
		img, err := doc.Images[i].image()
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i+1, err)
		}
		out.Images = append(out.Images, img)
		statuses = append(statuses, img.Verdict.Status)
	}
	for _, u := range doc.Unmeasured {
		out.Unmeasured = append(out.Unmeasured, Unmeasured(u))
		statuses = append(statuses, budget.Fail)
	}
	if worst := budget.Worst(statuses...); worst != out.Status {
		return nil, fmt.Errorf("its status is %q, that of its images %q", clipped(string(out.Status)), worst)
	}
	return out, nil
}

// words refuses a word that is none of those a report consists of: they are
// shown without being quoted.
func words[T ~string](got T, known ...T) error {
	if !slices.Contains(known, got) {
		return fmt.Errorf("an unknown word %q", clipped(string(got)))
	}
	return nil
}

// clipped shortens a foreign word for an error message.
func clipped(s string) string {
	if s = legible(s); len(s) > 40 {
		return cutRune(s, 40) + "…"
	}
	return s
}

func (j *imageJSON) image() (Image, error) {
	head, err := j.footprintJSON.image()
	if err != nil {
		return Image{}, err
	}
	head.Name, head.Source, head.ConfigDigest = j.Name, j.Source, j.ConfigDigest
	head.DeadFiles, head.Paths = j.DeadFiles, j.Paths
	if j.Rest != nil {
		head.Packages, head.Rest = filled(j.Packages), j.Rest
	}
	head.Contents, head.Skipped = j.Contents, j.Skipped
	head.Duplicates, head.DuplicateBytes, head.DuplicateOwn = j.Duplicates, j.DuplicateBytes, j.DuplicateOwn
	head.Dirs, head.DirFloor = j.Directories, j.DirectoryFloor
	if err := j.check(len(head.Layers)); err != nil {
		return Image{}, err
	}
	if err := head.Verify(); err != nil {
		return Image{}, fmt.Errorf("it does not add up: %w", err)
	}
	out := Image{Head: head}
	for _, f := range j.LargestFiles {
		out.LargestFiles = append(out.LargestFiles, footprint.File{Path: f.Path, Kind: footprint.Regular, Size: f.Bytes, Layer: f.Layer})
	}
	if out.Cost, err = j.Cost.cost(); err != nil {
		return Image{}, err
	}
	if out.History, err = readHistory(j.History); err != nil {
		return Image{}, err
	}
	if err := j.readVerdict(&out); err != nil {
		return Image{}, err
	}
	if out.Suggestions, err = readSuggestions(j.Suggestions, len(head.Layers)); err != nil {
		return Image{}, err
	}
	return out, j.readBaseline(&out)
}

// check bounds the lists of an image that are copied as they are.
func (j *imageJSON) check(layers int) error {
	if len(j.Packages) > maxPackages {
		return fmt.Errorf("%d packages are more than %d", len(j.Packages), maxPackages)
	}
	if j.Rest == nil && len(j.Packages) > 0 {
		return errors.New("packages without the rest of the image")
	}
	if max(len(j.DeadFiles), len(j.Paths), len(j.Directories), len(j.LargestFiles), len(j.Checks), len(j.Notes), len(j.Skipped)) > maxEntries {
		return fmt.Errorf("a list of more than %d entries", maxEntries)
	}
	var sizes []footprint.Bytes
	var indexes []int
	for _, f := range j.DeadFiles {
		sizes, indexes = append(sizes, f.Bytes), append(indexes, f.In, f.By)
		if err := checkFate(f.Fate); err != nil {
			return err
		}
	}
	for _, p := range j.Packages {
		sizes, indexes = append(sizes, p.Bytes, p.Own, p.Bytes-p.Own, p.Strippable, footprint.Bytes(p.Files)), append(indexes, p.Layer)
	}
	if r := j.Rest; r != nil {
		sizes = append(sizes, r.Base, r.Application, r.Unowned)
	}
	if err := errors.Join(checkContents(j.Contents), checkDuplicates(j.Duplicates, j.DuplicateBytes, j.DuplicateOwn, layers)); err != nil {
		return err
	}
	for _, f := range j.LargestFiles {
		sizes, indexes = append(sizes, f.Bytes), append(indexes, f.Layer)
	}
	for _, p := range j.Paths {
		sizes = append(sizes, p.Bytes, footprint.Bytes(p.Files))
	}
	for _, d := range j.Directories {
		sizes = append(sizes, d.Bytes, footprint.Bytes(d.Files))
	}
	if err := plausible(append(sizes, j.DirectoryFloor)...); err != nil {
		return err
	}
	return inRange(layers, indexes...)
}

// checkContents bounds the sums by kind: each kind is there once.
func checkContents(all []footprint.Content) error {
	var seen []footprint.ContentKind
	for _, c := range all {
		if err := errors.Join(words(c.Kind, contentKinds()...), plausible(c.Bytes, c.Own, c.Bytes-c.Own, footprint.Bytes(c.Files))); err != nil {
			return err
		}
		if slices.Contains(seen, c.Kind) {
			return fmt.Errorf("two sums of %s", c.Kind)
		}
		seen = append(seen, c.Kind)
	}
	return nil
}

// checkDuplicates bounds what stands at several paths, and holds each entry against
// the sums. Entries may overlap, so their own sum says nothing.
func checkDuplicates(all []footprint.Duplicate, sum, own footprint.Bytes, layers int) error {
	if len(all) > footprint.MaxDuplicates {
		return fmt.Errorf("%d duplicates are more than %d", len(all), footprint.MaxDuplicates)
	}
	for _, d := range all {
		if err := errors.Join(plausible(d.Bytes, d.Own, d.Bytes-d.Own, footprint.Bytes(d.Files), footprint.Bytes(d.Copies)), inRange(layers, d.Layers...)); err != nil {
			return err
		}
		if d.Copies < 2 || len(d.Paths) > d.Copies || len(d.Layers) != len(d.Paths) {
			return fmt.Errorf("a duplicate of %d copies at %d paths in %d layers", d.Copies, len(d.Paths), len(d.Layers))
		}
		if d.Bytes > sum || d.Own > own {
			return fmt.Errorf("a duplicate of %d bytes, %d of them own, where all are %d and %d", d.Bytes, d.Own, sum, own)
		}
	}
	return plausible(sum, own, sum-own)
}

// checkSurface bounds the lists of what an intruder would find.
func checkSurface(s *footprint.Surface) error {
	if s != nil && max(len(s.Setuid), len(s.Shells), len(s.PackageManagers), len(s.Compilers)) > footprint.MaxSurface {
		return fmt.Errorf("an attack surface with a list of more than %d entries", footprint.MaxSurface)
	}
	return nil
}

// plausible refuses sizes and counts that no image has.
func plausible(sizes ...footprint.Bytes) error {
	for _, size := range sizes {
		if size < 0 || size > maxSize {
			return fmt.Errorf("a size or count of %d", size)
		}
	}
	return nil
}

// inRange refuses indexes of layers that do not exist; -1 is an unknown layer.
func inRange(layers int, indexes ...int) error {
	for _, i := range indexes {
		if i < -1 || i >= layers {
			return fmt.Errorf("layer %d of %d", i, layers)
		}
	}
	return nil
}

func (j *footprintJSON) image() (*footprint.Image, error) {
	if len(j.Layers) > maxLayers {
		return nil, fmt.Errorf("%d layers are more than %d", len(j.Layers), maxLayers)
	}
	if len(j.Dead) > maxEntries {
		return nil, fmt.Errorf("a list of more than %d entries", maxEntries)
	}
	img := &footprint.Image{Reference: j.Reference, Digest: j.Digest, Platform: j.Platform, EstimatedBy: j.EstimatedBy, Metrics: j.Metrics, Dead: j.Dead, Surface: j.Surface}
	if err := errors.Join(checkMetrics(j.Metrics), checkSurface(j.Surface)); err != nil {
		return nil, err
	}
	if b := j.Base; b != nil {
		img.Base = &footprint.Base{FoundBy: b.FoundBy, Reference: b.Reference, Digest: b.Digest, Origin: b.Origin, Metrics: b.Metrics}
		if err := checkMetrics(b.Metrics); err != nil {
			return nil, err
		}
		if o := b.Origin; o != nil && (o.Start < 0 || o.End < o.Start) {
			return nil, fmt.Errorf("the base comes from lines %d to %d", o.Start, o.End)
		}
	}
	if j.Own != nil {
		img.Own = &j.Own.Metrics
		if err := checkMetrics(*img.Own); err != nil {
			return nil, err
		}
	}
	for i, l := range j.Layers {
		layer, err := l.layer(i)
		if err != nil {
			return nil, err
		}
		img.Layers = append(img.Layers, layer)
	}
	for _, d := range j.Dead {
		if err := errors.Join(plausible(d.Bytes, footprint.Bytes(d.Files)), inRange(len(img.Layers), d.In, d.By), checkFate(d.Fate)); err != nil {
			return nil, err
		}
	}
	return img, nil
}

func checkMetrics(m footprint.Metrics) error {
	return plausible(m.Compressed, m.Unpacked, m.Final, m.Wasted, m.Update, footprint.Bytes(m.Layers), footprint.Bytes(m.Files),
		footprint.Bytes(m.Executables), footprint.Bytes(m.Setuid))
}

func (j *layerJSON) layer(index int) (footprint.Layer, error) {
	if j.Index != index {
		return footprint.Layer{}, fmt.Errorf("layer %d stands in place %d", j.Index, index)
	}
	l := footprint.Layer{Index: j.Index, Digest: j.Digest, DiffID: j.DiffID, CreatedBy: j.CreatedBy, InBase: j.InBase, Origin: j.Origin}
	if j.Compressed != nil {
		l.Compressed, l.CompressedEstimated, l.Has = *j.Compressed, j.CompressedEstimated, l.Has|footprint.HasCompressed
	}
	switch {
	case j.Unpacked != nil && j.Wasted != nil && j.Files != nil:
		l.Unpacked, l.Wasted, l.Files, l.Has = *j.Unpacked, *j.Wasted, *j.Files, l.Has|footprint.HasFiles
	case j.Unpacked != nil || j.Wasted != nil || j.Files != nil:
		return footprint.Layer{}, fmt.Errorf("layer %d: unpacked, wasted and files are measured together or not at all", index)
	}
	if o := l.Origin; o != nil && (o.Start < 0 || o.End < o.Start) {
		return footprint.Layer{}, fmt.Errorf("layer %d comes from lines %d to %d", index, o.Start, o.End)
	}
	return l, plausible(l.Compressed, l.Unpacked, l.Wasted, footprint.Bytes(l.Files))
}

// readVerdict reads the checks. The status must follow from them: a forged one
// would turn a failure into a success on a pull request.
func (j *imageJSON) readVerdict(img *Image) error {
	img.Verdict = budget.Verdict{Status: j.Status, Notes: j.Notes}
	worst := budget.Pass
	for _, c := range j.Checks {
		check, err := c.check()
		if err != nil {
			return fmt.Errorf("check %q: %w", clipped(c.Limit), err)
		}
		worst = worst.Worse(check.Status)
		if check.Blind {
			worst = worst.Worse(budget.Warn)
		}
		img.Verdict.Checks = append(img.Verdict.Checks, check)
	}
	if worst != j.Status {
		return fmt.Errorf("its status is %q, that of its checks %q", clipped(string(j.Status)), worst)
	}
	return nil
}

func (j *checkJSON) check() (budget.Check, error) {
	if err := words(j.Status, budget.Pass, budget.Warn, budget.Fail, budget.Waived, budget.NotMeasured); err != nil {
		return budget.Check{}, err
	}
	if err := words(j.Unit, budget.UnitBytes, budget.UnitCount); err != nil {
		return budget.Check{}, err
	}
	if err := words(j.Kind, budget.KindMax, budget.KindWarn, budget.KindGrowth, budget.KindSinceRelease, budget.KindForbid); err != nil {
		return budget.Check{}, err
	}
	if err := words(j.Scope, budget.ScopeImage, budget.ScopeOwn, budget.ScopePath, budget.ScopePackage, budget.ScopeForbid); err != nil {
		return budget.Check{}, err
	}
	if err := words(j.Metric, append(footprint.AllMetrics(), "")...); err != nil {
		return budget.Check{}, err
	}
	if len(j.Examples) > maxEntries {
		return budget.Check{}, fmt.Errorf("a list of more than %d entries", maxEntries)
	}
	out := budget.Check{
		Limit: j.Limit, Status: j.Status, Message: j.Message, Subject: j.Subject, Rule: j.Rule, Kind: j.Kind,
		Metric: j.Metric, Scope: j.Scope, Unit: j.Unit, Base: j.Base, Release: j.Release, Blind: j.Blind, Pos: j.Pos.pos(), Examples: j.Examples,
		Actual: valueOf(j.Actual), Allowed: valueOf(j.Allowed), Headroom: valueOf(j.Headroom),
	}
	if j.Status != budget.NotMeasured && (j.Actual == nil || j.Allowed == nil || j.Headroom == nil) {
		return budget.Check{}, errors.New("it was judged without a figure")
	}
	if w := j.Waiver; w != nil {
		until, err := time.Parse(time.DateOnly, w.Until)
		if err != nil {
			return budget.Check{}, fmt.Errorf("a waiver until %q, which is no day", clipped(w.Until))
		}
		out.Waiver = &budget.Waiver{Limit: w.Limit, Until: until, Reason: w.Reason, Pos: w.Pos.pos()}
	}
	return out, nil
}

// valueOf reads a figure that is null where it means nothing.
func valueOf(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

func (j *posJSON) pos() budget.Pos {
	if j == nil {
		return budget.Pos{}
	}
	return budget.Pos{File: j.File, Line: j.Line, Col: j.Col}
}

func (j *imageJSON) readBaseline(img *Image) error {
	b := j.Baseline
	if err := words(budget.BaselineState(b.Status), budget.BaselineFound, budget.BaselineNone, budget.BaselineNotComparable); err != nil {
		return fmt.Errorf("the state of the baseline: %w", err)
	}
	if b.Distance < 0 {
		return fmt.Errorf("a baseline %d commits away", b.Distance)
	}
	img.Baseline = Baseline{Status: b.Status, From: b.From, Reason: b.Reason, Commit: b.Commit, Distance: b.Distance}
	if b.Image == nil {
		if j.Delta != nil {
			return errors.New("a comparison without the image that was compared")
		}
		return nil
	}
	base, err := b.Image.image()
	if err != nil {
		return fmt.Errorf("the baseline: %w", err)
	}
	if err := base.Verify(); err != nil {
		return fmt.Errorf("the baseline does not add up: %w", err)
	}
	img.Base = base
	if j.Delta == nil {
		return nil
	}
	if j.Delta.Packages != nil && img.Head.Packages != nil {
		base.Packages = []footprint.Package{} // they were known
	}
	img.Delta, err = j.Delta.delta(img)
	if err != nil {
		return fmt.Errorf("the comparison: %w", err)
	}
	return nil
}

func (j *deltaJSON) delta(img *Image) (*footprint.Delta, error) {
	// Of two images, everything may be in one of them only.
	if len(j.Layers) > 2*maxLayers || len(j.Packages) > 2*maxPackages || max(len(j.Paths), len(j.Causes)) > maxEntries {
		return nil, fmt.Errorf("a list of more than %d entries", maxEntries)
	}
	if len(j.Moves) > footprint.MaxMoves {
		return nil, fmt.Errorf("%d moves are more than %d", len(j.Moves), footprint.MaxMoves)
	}
	d := &footprint.Delta{Packages: j.Packages, Moves: j.Moves, Paths: j.Paths}
	if j.Compressed != nil {
		d.Compressed, d.Has = *j.Compressed, footprint.HasCompressed
	}
	if j.Unpacked != nil && j.Final != nil && j.Parts != nil {
		d.Unpacked, d.Final, d.Parts, d.Has = *j.Unpacked, *j.Final, *j.Parts, d.Has|footprint.HasFiles
	}
	if b := j.Base; b != nil {
		if err := words(b.Change, footprint.Same, footprint.Changed); err != nil {
			return nil, err
		}
		if img.Base.Base == nil || img.Head.Base == nil {
			return nil, errors.New("another base image of an image without one")
		}
		d.Base = &footprint.BaseChange{Change: b.Change, Old: img.Base.Base, New: img.Head.Base}
	}
	for _, c := range j.Layers {
		change, err := c.change(img)
		if err != nil {
			return nil, err
		}
		d.Layers = append(d.Layers, change)
	}
	for _, c := range j.Causes {
		d.Causes = append(d.Causes, footprint.Cause(c))
	}
	if err := checkDelta(d, len(img.Head.Layers)); err != nil {
		return nil, err
	}
	return d, d.Verify()
}

func (j *layerChangeJSON) change(img *Image) (footprint.LayerChange, error) {
	out := footprint.LayerChange{Change: j.Change, Moved: j.Moved}
	pick := func(layers []footprint.Layer, index *int) (*footprint.Layer, error) {
		if index == nil {
			return nil, nil
		}
		if *index < 0 || *index >= len(layers) {
			return nil, fmt.Errorf("layer %d of %d", *index, len(layers))
		}
		return &layers[*index], nil
	}
	if err := checkChange(j.Change); err != nil {
		return out, err
	}
	var err, err2 error
	out.Old, err = pick(img.Base.Layers, j.Old)
	out.New, err2 = pick(img.Head.Layers, j.New)
	if out.Old == nil && out.New == nil && err == nil && err2 == nil {
		err = errors.New("a changed layer that is in neither image")
	}
	if out.Moved && (out.Old == nil || out.New == nil) {
		err = errors.New("a layer that moved and is in one image only")
	}
	return out, errors.Join(err, err2)
}

func checkDelta(d *footprint.Delta, layers int) error {
	sizes := []footprint.Bytes{d.Compressed, d.Unpacked, d.Final, d.Parts.Base, d.Parts.Packages, d.Parts.Files, d.Parts.Wasted}
	for _, p := range d.Packages {
		if err := checkPackageChange(p, layers); err != nil {
			return err
		}
	}
	for _, m := range d.Moves {
		if err := plausible(m.Bytes, footprint.Bytes(m.Files)); err != nil {
			return err
		}
	}
	for _, p := range d.Paths {
		if p.Bytes != p.New-p.Old || p.Files < 0 {
			return fmt.Errorf("a path that changed by %d bytes from %d to %d", p.Bytes, p.Old, p.New)
		}
		if err := errors.Join(plausible(p.Old, p.New), inRange(layers, p.Layer), checkChange(p.Change)); err != nil {
			return err
		}
	}
	for _, c := range d.Causes {
		sizes = append(sizes, c.Bytes)
		if err := errors.Join(inRange(layers, c.Layer), checkCause(c, layers)); err != nil {
			return err
		}
	}
	for _, size := range sizes {
		if size < -maxSize || size > maxSize {
			return fmt.Errorf("a change of %d bytes", size)
		}
	}
	return nil
}

func checkChange(c footprint.Change) error {
	return words(c, footprint.Same, footprint.Added, footprint.Removed, footprint.Changed)
}

func checkFate(f footprint.Fate) error {
	return words(f, footprint.Deleted, footprint.Replaced, footprint.Rewritten)
}

// label is what a well-known directory is called.
var label = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 _/.+-]{0,60}$`)

// checkPackageChange is about a package that did change: what is the same is in no
// list.
func checkPackageChange(p footprint.PackageChange, layers int) error {
	return errors.Join(plausible(max(p.Bytes, -p.Bytes), max(p.Strippable, -p.Strippable)), inRange(layers, p.Layer), words(p.Change, footprint.Added, footprint.Removed, footprint.Changed))
}

func checkCause(c footprint.Cause, layers int) error {
	if len(c.Packages) > footprint.MaxCausePackages || c.More < 0 || c.More > 2*maxPackages || c.More > 0 && len(c.Packages) == 0 {
		return fmt.Errorf("a cause of %d packages and %d more", len(c.Packages), c.More)
	}
	for _, p := range c.Packages {
		if err := checkPackageChange(p, layers); err != nil {
			return err
		}
	}
	if c.Fate != "" {
		if err := checkFate(c.Fate); err != nil {
			return err
		}
	}
	if c.Label != "" && !label.MatchString(c.Label) {
		return fmt.Errorf("an unknown label %q", clipped(c.Label))
	}
	return errors.Join(words(c.Metric, footprint.AllMetrics()...), checkChange(c.Change), plausible(c.Strippable))
}
