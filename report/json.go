package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// Version is the version of the JSON report. Its names do not change within one.
const Version = 1

// JSON writes a report for machines; the names are an interface. Sizes are
// integers of bytes, a figure that was not measured is null, and so is a list of what
// nobody looked for; an empty list is []. [ReadJSON] reads it back, and every format
// then renders the same text.
//
// The text holds no character that hides or moves others and no runner command,
// so that it may be printed in a log: such characters are written as \uXXXX. It returns an error of w, and one for a
// comparison without the image that was compared.
func JSON(w io.Writer, r *Report) error {
	doc, err := newDocument(r)
	if err != nil {
		return err
	}
	makeLegible(reflect.ValueOf(&doc).Elem())
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("writing the JSON report: %w", err)
	}
	_, err = w.Write(printable(buf.Bytes()))
	return err
}

// printable escapes what encoding/json leaves as it is, all of which can only
// stand inside a string.
func printable(data []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(data))
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '#' && bytes.HasPrefix(rest, []byte("##[")):
			out.WriteString(`#\u0023[`)
			size = len("##[")
		case r == '\n' || r >= ' ' && r <= '~':
			out.WriteByte(byte(r))
		case !unicode.IsGraphic(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
			for _, unit := range utf16Units(r) {
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
		default:
			out.Write(rest[:size])
		}
		rest = rest[size:]
	}
	return out.Bytes()
}

type documentJSON struct {
	Version       int             `json:"version"`
	Tool          string          `json:"tool"`
	Kind          Kind            `json:"kind"`
	Status        budget.Status   `json:"status"`
	BlobBytesRead footprint.Bytes `json:"blob_bytes_read"`
	LayersRead    int             `json:"layers_read"`
	LayersKnown   int             `json:"layers_known"`
	Run           runJSON         `json:"run"`
	Notes         []string        `json:"notes"`
	// Unmeasured are the images that are missing below. With one of them the
	// status is fail.
	Unmeasured []unmeasuredJSON `json:"unmeasured"`
	Images     []imageJSON      `json:"images"`
}

type unmeasuredJSON struct {
	Name     string `json:"name"`
	Reason   string `json:"reason"`
	Platform string `json:"platform"`
	File     string `json:"file"`
	Line     int    `json:"line"`
}

type runJSON struct {
	Repository  string `json:"repository"`
	ServerURL   string `json:"server_url"`
	PullRequest int    `json:"pull_request"`
	Head        string `json:"head"`
	Base        string `json:"base"`
	ID          int64  `json:"id"`
	Attempt     int64  `json:"attempt"`
	BudgetFile  string `json:"budget_file"`
}

// footprintJSON is what a report says of either image.
type footprintJSON struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Platform  string `json:"platform"`
	// EstimatedBy names the method behind compressed sizes that are estimates.
	EstimatedBy string            `json:"estimated_by"`
	Metrics     footprint.Metrics `json:"metrics"`
	Base        *baseJSON         `json:"base"`
	Own         *ownJSON          `json:"own"`
	Layers      []layerJSON       `json:"layers"`
	Dead        []footprint.Dead  `json:"dead"`
	// Surface is null where no layer was read.
	Surface *footprint.Surface `json:"surface"`
}

type imageJSON struct {
	Name         string        `json:"name"`
	Status       budget.Status `json:"status"`
	Source       string        `json:"source"`
	ConfigDigest string        `json:"config_digest"`
	footprintJSON
	DeadFiles []footprint.DeadFile `json:"dead_files"`
	// Packages and Rest are null where nobody looked for packages; else they add
	// up to metrics.final.
	Packages       []footprint.Package   `json:"packages"`
	Rest           *footprint.Rest       `json:"rest"`
	Contents       []footprint.Content   `json:"contents"`
	Duplicates     []footprint.Duplicate `json:"duplicates"`
	DuplicateBytes footprint.Bytes       `json:"duplicate_bytes"`
	DuplicateOwn   footprint.Bytes       `json:"duplicate_own"`
	Skipped        []footprint.Skipped   `json:"skipped"`
	Paths          []footprint.PathSize  `json:"paths"`
	Directories    []footprint.Dir       `json:"directories"`
	DirectoryFloor footprint.Bytes       `json:"directory_floor"`
	LargestFiles   []largeFileJSON       `json:"largest_files"`
	Baseline       baselineJSON          `json:"baseline"`
	Delta          *deltaJSON            `json:"delta"`
	Checks         []checkJSON           `json:"checks"`
	Notes          []string              `json:"notes"`
	Cost           *costJSON             `json:"cost"`
	History        []pastJSON            `json:"history"`
	// Suggestions is null where nobody looked for any.
	Suggestions []footprint.Suggestion `json:"suggestions"`
}

type baseJSON struct {
	FoundBy   string `json:"found_by"`
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	// Origin is the line of FROM.
	Origin  *footprint.Origin `json:"origin,omitempty"`
	Metrics footprint.Metrics `json:"metrics"`
}

type ownJSON struct {
	Metrics footprint.Metrics `json:"metrics"`
}

type layerJSON struct {
	Index               int               `json:"index"`
	Digest              string            `json:"digest"`
	DiffID              string            `json:"diff_id"`
	CreatedBy           string            `json:"created_by"`
	Compressed          *footprint.Bytes  `json:"compressed"`
	CompressedEstimated bool              `json:"compressed_estimated"`
	Unpacked            *footprint.Bytes  `json:"unpacked"`
	Wasted              *footprint.Bytes  `json:"wasted"`
	Files               *int              `json:"files"`
	InBase              bool              `json:"in_base"`
	Origin              *footprint.Origin `json:"origin"`
}

type largeFileJSON struct {
	Path  string          `json:"path"`
	Bytes footprint.Bytes `json:"bytes"`
	Layer int             `json:"layer"`
}

type baselineJSON struct {
	Status   string `json:"status"`
	From     string `json:"from"`
	Reason   string `json:"reason"`
	Commit   string `json:"commit"`
	Distance int    `json:"distance"`
	// Image is null without a baseline.
	Image *footprintJSON `json:"image"`
}

type deltaJSON struct {
	Compressed *footprint.Bytes `json:"compressed"`
	Unpacked   *footprint.Bytes `json:"unpacked"`
	Final      *footprint.Bytes `json:"final"`
	Parts      *footprint.Parts `json:"parts"`
	// Base is null where the base of one of the images is not known.
	Base   *baseChangeJSON   `json:"base"`
	Layers []layerChangeJSON `json:"layers"`
	// Packages is null where the packages of one of the images are not known.
	Packages []footprint.PackageChange `json:"packages"`
	Moves    []footprint.Move          `json:"moves"`
	Paths    []footprint.PathChange    `json:"paths"`
	Causes   []causeJSON               `json:"causes"`
}

// baseChangeJSON says whether FROM brought other layers, and by which names.
type baseChangeJSON struct {
	Change     footprint.Change `json:"change"`
	Old        baseNameJSON     `json:"old"`
	New        baseNameJSON     `json:"new"`
	Compressed *footprint.Bytes `json:"compressed"`
	Unpacked   *footprint.Bytes `json:"unpacked"`
}

type baseNameJSON struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
}

// layerChangeJSON points into baseline.image.layers and into layers.
type layerChangeJSON struct {
	Change footprint.Change `json:"change"`
	// Moved is set on the same layer at another place among the others.
	Moved      bool             `json:"moved,omitempty"`
	Old        *int             `json:"old"`
	New        *int             `json:"new"`
	Compressed *footprint.Bytes `json:"compressed"`
	Unpacked   *footprint.Bytes `json:"unpacked"`
}

type causeJSON struct {
	Bytes footprint.Bytes `json:"bytes"`
	// Base is set on the cause that delta.base explains.
	Base   bool             `json:"base,omitempty"`
	Metric footprint.Metric `json:"metric"`
	Label  string           `json:"label"`
	Path   string           `json:"path"`
	Fate   footprint.Fate   `json:"fate"`
	Change footprint.Change `json:"change"`
	Layer  int              `json:"layer"`
	// Packages are the heaviest packages that are the cause, More counts the
	// others; Strippable is how much of the bytes strip would take back, and
	// CopyOf another path with the same content.
	Packages []footprint.PackageChange `json:"packages,omitempty"`
	More     int                       `json:"more,omitempty"`
	// Through and Dev are true of all those packages.
	Through    string          `json:"through,omitempty"`
	Dev        bool            `json:"dev,omitempty"`
	Strippable footprint.Bytes `json:"strippable,omitempty"`
	CopyOf     string          `json:"copy_of,omitempty"`
	// Mostly is set where other layers brought a smaller part of the bytes.
	Mostly bool `json:"mostly,omitempty"`
}

type checkJSON struct {
	Limit   string           `json:"limit"`
	Status  budget.Status    `json:"status"`
	Actual  *int64           `json:"actual"`
	Allowed *int64           `json:"allowed"`
	Message string           `json:"message"`
	Subject string           `json:"subject"`
	Rule    string           `json:"rule"`
	Kind    budget.Kind      `json:"kind"`
	Metric  footprint.Metric `json:"metric"`
	Scope   budget.Scope     `json:"scope"`
	Unit    budget.Unit      `json:"unit"`
	Base    *int64           `json:"base"`
	// Release is the tag that base is of, where the check is of the growth
	// since a release.
	Release  string      `json:"release,omitempty"`
	Headroom *int64      `json:"headroom"`
	Blind    bool        `json:"blind"`
	Pos      *posJSON    `json:"pos"`
	Waiver   *waiverJSON `json:"waiver"`
	Examples []string    `json:"examples"`
}

type posJSON struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

type waiverJSON struct {
	Limit  string   `json:"limit"`
	Until  string   `json:"until"`
	Reason string   `json:"reason"`
	Pos    *posJSON `json:"pos"`
}

func newDocument(r *Report) (documentJSON, error) {
	doc := documentJSON{
		Version: Version, Tool: r.Tool, Kind: r.Kind, Status: r.overall(),
		BlobBytesRead: r.BlobBytesRead, LayersRead: r.LayersRead, LayersKnown: r.LayersKnown,
		Run:   runJSON(r.Run),
		Notes: filled(r.Notes), Unmeasured: []unmeasuredJSON{}, Images: []imageJSON{},
	}
	for _, u := range r.Unmeasured {
		doc.Unmeasured = append(doc.Unmeasured, unmeasuredJSON(u))
	}
	for i := range r.Images {
		img, err := newImageJSON(&r.Images[i])
		if err != nil {
			return documentJSON{}, err
		}
		doc.Images = append(doc.Images, img)
	}
	return doc, nil
}

// passIfNone gives a report that judges nothing the status of one that found
// nothing wrong.
func passIfNone(s budget.Status) budget.Status {
	if s == "" {
		return budget.Pass
	}
	return s
}

// filled turns nil into an empty list, so that it is [] and not null.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func newImageJSON(img *Image) (imageJSON, error) {
	head := img.Head
	out := imageJSON{
		Name: head.Name, Status: passIfNone(img.Verdict.Status), Source: head.Source, ConfigDigest: head.ConfigDigest,
		footprintJSON: newFootprintJSON(head),
		DeadFiles:     filled(head.DeadFiles), Paths: filled(head.Paths),
		Contents: filled(head.Contents), Duplicates: filled(head.Duplicates), DuplicateBytes: head.DuplicateBytes, DuplicateOwn: head.DuplicateOwn,
		Skipped:     filled(head.Skipped),
		Directories: filled(head.Dirs), DirectoryFloor: head.DirFloor,
		LargestFiles: []largeFileJSON{}, Checks: []checkJSON{}, Notes: filled(img.Verdict.Notes), Suggestions: storedSuggestions(img.Suggestions),
		Baseline: baselineJSON{
			Status: img.Baseline.Status, From: img.Baseline.From, Reason: img.Baseline.Reason,
			Commit: img.Baseline.Commit, Distance: img.Baseline.Distance,
		},
	}
	switch {
	case head.Packages == nil || head.Rest == nil:
	case len(head.Packages) > maxPackages: // half of it would not add up
		out.Notes = append(slices.Clip(out.Notes), fmt.Sprintf("the report lists no packages: %s are more than %s", count(int64(len(head.Packages))), count(maxPackages)))
	default:
		out.Packages, out.Rest = head.Packages, head.Rest
	}
	if out.Baseline.Status == "" {
		out.Baseline.Status = string(budget.BaselineNone)
	}
	out.Cost, out.History = newCostJSON(img), newHistoryJSON(img.History)
	for _, f := range img.LargestFiles {
		out.LargestFiles = append(out.LargestFiles, largeFileJSON{f.Path, f.Size, f.Layer})
	}
	for _, c := range img.Verdict.Checks {
		out.Checks = append(out.Checks, newCheckJSON(c))
	}
	if img.Base != nil {
		base := newFootprintJSON(img.Base)
		out.Baseline.Image = &base
	}
	if img.Delta != nil {
		if img.Base == nil {
			return imageJSON{}, fmt.Errorf("internal error: a comparison without the image that was compared")
		}
		out.Delta = newDeltaJSON(img.Delta)
		switch {
		case out.Packages == nil && head.Packages != nil:
			out.Delta.Packages = nil
		case out.Packages != nil && img.Base.Packages != nil:
			out.Delta.Packages = filled(img.Delta.Packages)
		}
	}
	return out, nil
}

func newFootprintJSON(img *footprint.Image) footprintJSON {
	out := footprintJSON{
		Reference: img.Reference, Digest: img.Digest, Platform: img.Platform, EstimatedBy: img.EstimatedBy, Metrics: img.Metrics,
		Layers: []layerJSON{}, Dead: filled(img.Dead),
	}
	if b := img.Base; b != nil {
		out.Base = &baseJSON{b.FoundBy, b.Reference, b.Digest, b.Origin, b.Metrics}
	}
	if img.Own != nil {
		out.Own = &ownJSON{*img.Own}
	}
	if s := img.Surface; s != nil {
		out.Surface = &footprint.Surface{Setuid: filled(s.Setuid), Shells: filled(s.Shells), PackageManagers: filled(s.PackageManagers), Compilers: filled(s.Compilers)}
	}
	for _, l := range img.Layers {
		layer := layerJSON{Index: l.Index, Digest: l.Digest, DiffID: l.DiffID, CreatedBy: l.CreatedBy, InBase: l.InBase, Origin: l.Origin}
		if l.Has&footprint.HasCompressed != 0 {
			layer.Compressed, layer.CompressedEstimated = &l.Compressed, l.CompressedEstimated
		}
		if l.Has&footprint.HasFiles != 0 {
			layer.Unpacked, layer.Wasted, layer.Files = &l.Unpacked, &l.Wasted, &l.Files
		}
		out.Layers = append(out.Layers, layer)
	}
	return out
}

func newDeltaJSON(d *footprint.Delta) *deltaJSON {
	out := &deltaJSON{
		Layers: []layerChangeJSON{}, Packages: d.Packages, Moves: filled(d.Moves), Paths: filled(d.Paths), Causes: []causeJSON{},
	}
	if d.Has&footprint.HasCompressed != 0 {
		out.Compressed = &d.Compressed
	}
	if d.Has&footprint.HasFiles != 0 {
		out.Unpacked, out.Final, out.Parts = &d.Unpacked, &d.Final, &d.Parts
	}
	if b := d.Base; b != nil {
		out.Base = &baseChangeJSON{
			Change: b.Change, Old: baseNameJSON{b.Old.Reference, b.Old.Digest}, New: baseNameJSON{b.New.Reference, b.New.Digest},
		}
		if v, known := b.Compressed(); known && d.Has&footprint.HasCompressed != 0 {
			out.Base.Compressed = &v
		}
		if v, known := b.Unpacked(); known {
			out.Base.Unpacked = &v
		}
	}
	for _, c := range d.Layers {
		change := layerChangeJSON{Change: c.Change, Moved: c.Moved}
		if c.Old != nil {
			change.Old = &c.Old.Index
		}
		if c.New != nil {
			change.New = &c.New.Index
		}
		if v, known := c.Compressed(); known {
			change.Compressed = &v
		}
		if v, known := c.Unpacked(); known {
			change.Unpacked = &v
		}
		out.Layers = append(out.Layers, change)
	}
	for _, c := range d.Causes {
		out.Causes = append(out.Causes, causeJSON(c))
	}
	return out
}

func newCheckJSON(c budget.Check) checkJSON {
	out := checkJSON{
		Limit: c.Limit, Status: c.Status, Message: c.Message, Subject: c.Subject, Rule: c.Rule, Kind: c.Kind,
		Metric: c.Metric, Scope: c.Scope, Unit: c.Unit, Base: c.Base, Release: c.Release, Blind: c.Blind,
		Pos: newPosJSON(c.Pos), Examples: filled(c.Examples),
	}
	if c.Status != budget.NotMeasured {
		out.Actual, out.Headroom = &c.Actual, &c.Headroom
	}
	if c.Status != budget.NotMeasured || !c.Kind.IsGrowth() {
		out.Allowed = &c.Allowed
	}
	if w := c.Waiver; w != nil {
		out.Waiver = &waiverJSON{w.Limit, w.Until.UTC().Format(time.DateOnly), w.Reason, newPosJSON(w.Pos)}
	}
	return out
}

func newPosJSON(p budget.Pos) *posJSON {
	if p == (budget.Pos{}) {
		return nil
	}
	return &posJSON{p.File, p.Line, p.Col}
}

// utf16Units spells a character the way JSON escapes do.
func utf16Units(r rune) []uint16 {
	if r < 0x10000 {
		return []uint16{uint16(r)}
	}
	r -= 0x10000
	return []uint16{uint16(0xd800 + r>>10), uint16(0xdc00 + r&0x3ff)}
}
