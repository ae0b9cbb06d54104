package footprint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// SnapshotSchema is the version of the format that [EncodeSnapshot] writes.
const SnapshotSchema = 1

// MaxSnapshot bounds a snapshot in bytes. A usual one has some 50 kB.
const MaxSnapshot = 16 << 20

const (
	// maxSize is a petabyte: no image is that large, and sums of such sizes
	// are still far from an overflow.
	maxSize = 1 << 50
	// maxCount bounds every count of things.
	maxCount = 1 << 40
)

// Meta says how a snapshot came to be.
type Meta struct {
	// Tool is "image-budget VERSION".
	Tool string
	// Commit is the commit that was measured, and Ref the branch or tag that
	// it was on; both are "" if unknown.
	Commit, Ref string
}

// snapshot is the stored form of an image, in the order in which it is written.
// What is long is written one entry per line, so that a diff names what changed.
type snapshot struct {
	Schema       int            `json:"schema"`
	Tool         text           `json:"tool"`
	Commit       text           `json:"commit"`
	Ref          text           `json:"ref"`
	Name         text           `json:"name"`
	Reference    text           `json:"reference"`
	Source       text           `json:"source"`
	Digest       text           `json:"digest"`
	ConfigDigest text           `json:"config_digest"`
	Platform     text           `json:"platform"`
	CompressedBy text           `json:"compressed_by"`
	Metrics      Metrics        `json:"metrics"`
	Base         *snapshotBase  `json:"base"`
	Own          *Metrics       `json:"own"`
	Layers       []snapshotLay  `json:"layers"`
	Packages     []snapshotPkg  `json:"packages"`
	Rest         *Rest          `json:"rest"`
	Contents     []snapshotKind `json:"contents"`
	Surface      *snapshotSurf  `json:"surface"`
	DirFloor     Bytes          `json:"dir_floor"`
	Dirs         []snapshotDir  `json:"dirs"`
	Paths        []snapshotPath `json:"paths"`
	Dead         []snapshotDead `json:"dead"`
}

type snapshotBase struct {
	FoundBy   text    `json:"found_by"`
	Reference text    `json:"reference"`
	Digest    text    `json:"digest,omitempty"`
	Metrics   Metrics `json:"metrics"`
}

type snapshotLay struct {
	Index     int             `json:"index"`
	Digest    text            `json:"digest"`
	DiffID    text            `json:"diff_id"`
	CreatedBy text            `json:"created_by"`
	InBase    bool            `json:"in_base"`
	Origin    *snapshotOrigin `json:"origin,omitempty"`

	Compressed          *Bytes `json:"compressed"`
	CompressedEstimated bool   `json:"compressed_estimated"`
	Unpacked            *Bytes `json:"unpacked"`
	Wasted              *Bytes `json:"wasted"`
	Files               *int   `json:"files"`
}

type snapshotOrigin struct {
	File  text `json:"file"`
	Stage text `json:"stage"`
	Start int  `json:"start"`
	End   int  `json:"end"`
	Exact bool `json:"exact"`
}

type snapshotPkg struct {
	Ecosystem text  `json:"ecosystem"`
	Name      text  `json:"name"`
	Version   text  `json:"version"`
	Bytes     Bytes `json:"bytes"`
	Own       Bytes `json:"own"`
	Files     int   `json:"files"`
	Strip     Bytes `json:"strippable,omitempty"`
	Layer     int   `json:"layer"`
	Path      text  `json:"path,omitempty"`
	Through   text  `json:"through,omitempty"`
	Dev       bool  `json:"dev,omitempty"`
}

type snapshotKind struct {
	Kind     ContentKind `json:"kind"`
	Bytes    Bytes       `json:"bytes"`
	Own      Bytes       `json:"own"`
	Files    int         `json:"files"`
	Heaviest text        `json:"heaviest"`
}

type snapshotSurf struct {
	Setuid          []text `json:"setuid"`
	Shells          []text `json:"shells"`
	PackageManagers []text `json:"package_managers"`
	Compilers       []text `json:"compilers"`
}

// These bound the inventory of a snapshot; a larger one is left out as a whole,
// as if nobody had looked.
const (
	maxStoredPackages = 20_000
	maxInventory      = 8 << 20
)

// StoresPackages tells whether a snapshot of the image holds its packages, if they
// are known: not more than 20,000, in no more than 8 MiB.
func StoresPackages(img *Image) bool {
	return img.Packages == nil || storedPackages(img) != nil
}

// storedPackages is the inventory as it is stored, nil where it is not.
func storedPackages(img *Image) []snapshotPkg {
	if img.Packages == nil || len(img.Packages) > maxStoredPackages {
		return nil
	}
	out := []snapshotPkg{}
	size := 0
	for _, p := range img.Packages {
		stored := snapshotPkg{
			text(p.Ecosystem), text(p.Name), text(p.Version), p.Bytes, p.Own, p.Files, p.Strippable, p.Layer, text(p.Path), text(p.Through), p.Dev,
		}
		for _, t := range []text{stored.Ecosystem, stored.Name, stored.Version, stored.Path, stored.Through} {
			quoted, _ := t.MarshalJSON() // never fails for a string
			size += len(quoted)
		}
		if size += packageLine; size > maxInventory {
			return nil
		}
		out = append(out, stored)
	}
	return out
}

// packageLine is more than all of the line of a package but its texts.
const packageLine = 256

type snapshotDir struct {
	Path  text  `json:"path"`
	Bytes Bytes `json:"bytes"`
	Files int   `json:"files"`
	Owned Bytes `json:"owned,omitempty"`
}

type snapshotPath struct {
	Pattern  text   `json:"pattern"`
	Bytes    Bytes  `json:"bytes"`
	Files    int    `json:"files"`
	Examples []text `json:"examples,omitempty"`
}

type snapshotDead struct {
	In    int   `json:"in"`
	By    int   `json:"by"`
	Fate  Fate  `json:"fate"`
	Bytes Bytes `json:"bytes"`
	Files int   `json:"files"`
	Under text  `json:"under"`
}

// EncodeSnapshot writes what a baseline stores of an image: JSON made to be
// read in a diff, the same bytes for the same image. Single files are not in
// it, and Update is not: it means something only next to the baseline of its
// day. An error says that the image does not add up or that w failed.
func EncodeSnapshot(w io.Writer, img *Image, meta Meta) error {
	if err := img.Verify(); err != nil {
		return fmt.Errorf("storing a snapshot: %w", err)
	}
	data, err := encodeLines(storedForm(img, meta))
	if err != nil {
		return fmt.Errorf("storing a snapshot: %w", err)
	}
	if len(data) > MaxSnapshot {
		return fmt.Errorf("storing a snapshot: it has %d bytes, at most %d can be read again", len(data), MaxSnapshot)
	}
	// Whatever cannot be read again is better not written.
	if _, _, err := DecodeSnapshot(bytes.NewReader(data)); err != nil {
		return fmt.Errorf("storing a snapshot: it could not be read again: %w", err)
	}
	_, err = w.Write(data)
	return err
}

// DecodeSnapshot reads what EncodeSnapshot writes, at most [MaxSnapshot] bytes
// of it, and believes nothing: every figure is in range and everything adds
// up, or it is an error that says what to do.
func DecodeSnapshot(r io.Reader) (*Image, Meta, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSnapshot+1))
	if err != nil {
		return nil, Meta{}, fmt.Errorf("reading the baseline: %w", err)
	}
	if len(data) > MaxSnapshot {
		return nil, Meta{}, fmt.Errorf("the baseline is larger than %s: it is no snapshot of an image", Bytes(MaxSnapshot))
	}
	s, err := parseSnapshot(data)
	if err != nil {
		return nil, Meta{}, err
	}
	img, err := s.image()
	if err != nil {
		return nil, Meta{}, err
	}
	return img, Meta{Tool: string(s.Tool), Commit: string(s.Commit), Ref: string(s.Ref)}, nil
}

func storedForm(img *Image, meta Meta) *snapshot {
	s := &snapshot{
		Schema: SnapshotSchema, Tool: text(meta.Tool), Commit: text(meta.Commit), Ref: text(meta.Ref),
		Name: text(img.Name), Reference: text(img.Reference), Source: text(img.Source),
		Digest: text(img.Digest), ConfigDigest: text(img.ConfigDigest), Platform: text(img.Platform),
		CompressedBy: text(methodOf(img)), Metrics: img.Metrics.withoutUpdate(), DirFloor: img.DirFloor,
	}
	if img.Base != nil {
		s.Base = &snapshotBase{text(img.Base.FoundBy), text(img.Base.Reference), text(img.Base.Digest), img.Base.Metrics.withoutUpdate()}
	}
	if img.Own != nil {
		own := img.Own.withoutUpdate()
		s.Own = &own
	}
	for _, l := range img.Layers {
		s.Layers = append(s.Layers, storedLayer(l))
	}
	if s.Packages = storedPackages(img); s.Packages != nil {
		s.Rest = img.Rest
	}
	for _, c := range img.Contents {
		s.Contents = append(s.Contents, snapshotKind{c.Kind, c.Bytes, c.Own, c.Files, text(c.Heaviest)})
	}
	if u := img.Surface; u != nil {
		s.Surface = &snapshotSurf{texts(u.Setuid), texts(u.Shells), texts(u.PackageManagers), texts(u.Compilers)}
	}
	for _, d := range img.Dirs {
		s.Dirs = append(s.Dirs, snapshotDir{text(d.Path), d.Bytes, d.Files, d.Owned})
	}
	for _, p := range img.Paths {
		stored := snapshotPath{Pattern: text(p.Pattern), Bytes: p.Bytes, Files: p.Files}
		for _, e := range p.Examples {
			stored.Examples = append(stored.Examples, text(e))
		}
		s.Paths = append(s.Paths, stored)
	}
	for _, d := range img.Dead {
		s.Dead = append(s.Dead, snapshotDead{d.In, d.By, d.Fate, d.Bytes, d.Files, text(d.Under)})
	}
	return s
}

func storedLayer(l Layer) snapshotLay {
	out := snapshotLay{
		Index: l.Index, Digest: text(l.Digest), DiffID: text(l.DiffID), CreatedBy: text(l.CreatedBy), InBase: l.InBase,
	}
	if o := l.Origin; o != nil {
		out.Origin = &snapshotOrigin{text(o.File), text(o.Stage), o.Start, o.End, o.Exact}
	}
	if l.Has&HasCompressed != 0 {
		out.Compressed, out.CompressedEstimated = &l.Compressed, l.CompressedEstimated
	}
	if l.Has&HasFiles != 0 {
		out.Unpacked, out.Wasted, out.Files = &l.Unpacked, &l.Wasted, &l.Files
	}
	return out
}

func (m Metrics) withoutUpdate() Metrics {
	m.Update, m.Has = 0, m.Has&^HasUpdate
	return m
}

const (
	byManifest = "manifest"
	byEstimate = "estimate"
)

// methodOf names how the compressed size was measured: "manifest", "estimate"
// or "estimate by METHOD"; "" if it was not.
func methodOf(img *Image) string {
	switch {
	case img.Metrics.Has&HasCompressed == 0:
		return ""
	case !img.Metrics.CompressedEstimated:
		return byManifest
	case img.EstimatedBy == "":
		return byEstimate
	}
	return byEstimate + " by " + img.EstimatedBy
}

// parseSnapshot reads the JSON, and the version before anything else of it.
func parseSnapshot(data []byte) (*snapshot, error) {
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, notJSON(data, err)
	}
	if err := checkSnapshotSchema(version.Schema); err != nil {
		return nil, err
	}
	var s snapshot
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, damaged("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return &s, nil
}

// checkSnapshotSchema refuses every schema but this one; nil is none.
func checkSnapshotSchema(schema *int) error {
	switch {
	case schema == nil || *schema < 1:
		return errors.New("the baseline names no schema that was ever in use: save it again with 'image-budget baseline save'")
	case *schema > SnapshotSchema:
		return fmt.Errorf("the baseline was made by a newer image-budget (schema %d, this one reads %d): update image-budget, or save the baseline again with this one", *schema, SnapshotSchema)
	}
	return nil
}

// notJSON says in the user's words why text is no JSON.
func notJSON(data []byte, err error) error {
	var wrong *json.UnmarshalTypeError
	var rest json.RawMessage
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("the baseline is empty: save it again with 'image-budget baseline save'")
	case bytes.Contains(data, []byte("\n<<<<<<< ")) || bytes.HasPrefix(data, []byte("<<<<<<< ")):
		return errors.New("the baseline holds a merge conflict: save it again with 'image-budget baseline save'")
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return errors.New("the baseline is a Git LFS pointer: fetch the file itself (git lfs pull) first")
	case errors.As(err, &wrong):
		return damaged("%s", strings.TrimPrefix(err.Error(), "json: "))
	case errors.Is(json.NewDecoder(bytes.NewReader(data)).Decode(&rest), io.ErrUnexpectedEOF):
		return errors.New("the baseline ends in the middle, as if it had been written only half: save it again with 'image-budget baseline save'")
	}
	return fmt.Errorf("the baseline is not JSON (%w): save it again with 'image-budget baseline save'", err)
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("the baseline does not add up (%s); it was edited or damaged: save it again with 'image-budget baseline save'", fmt.Sprintf(format, args...))
}

// image turns the stored form into an image, checking every figure on the way.
func (s *snapshot) image() (*Image, error) {
	img := &Image{
		Name: string(s.Name), Reference: string(s.Reference), Source: string(s.Source),
		Digest: string(s.Digest), ConfigDigest: string(s.ConfigDigest), Platform: string(s.Platform),
		Metrics: s.Metrics, Own: s.Own, DirFloor: s.DirFloor,
	}
	var check checker
	check.metrics("metrics", s.Metrics)
	if s.Own != nil {
		check.metrics("own", *s.Own)
	}
	if (s.Base == nil) != (s.Own == nil) {
		check.fail("base and own come together")
	}
	if s.Base != nil {
		check.metrics("base", s.Base.Metrics)
		img.Base = &Base{FoundBy: string(s.Base.FoundBy), Reference: string(s.Base.Reference), Digest: string(s.Base.Digest), Metrics: s.Base.Metrics}
	}
	check.size("dir_floor", s.DirFloor)
	img.EstimatedBy = strings.TrimPrefix(strings.TrimPrefix(string(s.CompressedBy), byEstimate), " by ")
	if string(s.CompressedBy) == byManifest {
		img.EstimatedBy = ""
	}
	if methodOf(img) != string(s.CompressedBy) {
		check.fail("compressed_by is %q, but the metrics say otherwise", clip(string(s.CompressedBy)))
	}
	s.layers(img, &check)
	s.details(img, &check)
	if check.err != nil {
		return nil, check.err
	}
	if err := img.Verify(); err != nil {
		return nil, damaged("%s", strings.TrimPrefix(err.Error(), "internal error: "))
	}
	return img, nil
}

func (s *snapshot) layers(img *Image, check *checker) {
	var sum Bytes
	estimated := false
	for i, l := range s.Layers {
		if l.Index != i {
			check.fail("layer %d is called %d", i, l.Index)
		}
		out := Layer{Index: l.Index, Digest: string(l.Digest), DiffID: string(l.DiffID), CreatedBy: string(l.CreatedBy), InBase: l.InBase}
		if o := l.Origin; o != nil {
			if o.Start < 0 || o.End < o.Start || o.End > maxCount {
				check.fail("layer %d came from lines %d to %d", i, o.Start, o.End)
			}
			out.Origin = &Origin{string(o.File), string(o.Stage), o.Start, o.End, o.Exact}
		}
		if l.Compressed != nil {
			out.Compressed, out.CompressedEstimated, out.Has = *l.Compressed, l.CompressedEstimated, HasCompressed
			sum += check.size("layers", out.Compressed)
			estimated = estimated || out.CompressedEstimated
		}
		switch {
		case l.Unpacked != nil && l.Wasted != nil && l.Files != nil:
			out.Unpacked, out.Wasted, out.Files, out.Has = *l.Unpacked, *l.Wasted, *l.Files, out.Has|HasFiles
			check.size("layers", out.Wasted)
			check.count("layers", out.Files)
			sum += check.size("layers", out.Unpacked)
		case l.Unpacked != nil || l.Wasted != nil || l.Files != nil:
			check.fail("layer %d is half measured", i)
		}
		if missing := img.Metrics.Has & (HasCompressed | HasFiles) &^ out.Has; missing != 0 {
			check.fail("layer %d lacks a size that the image has", i)
		}
		check.size("layers", sum)
		img.Layers = append(img.Layers, out)
	}
	if img.Metrics.Has&HasCompressed != 0 && img.Metrics.CompressedEstimated != estimated {
		check.fail("the compressed sizes of the layers and of the image are not estimates alike")
	}
}

func (s *snapshot) details(img *Image, check *checker) {
	layer := func(what string, i int) {
		if i < 0 || i >= len(s.Layers) {
			check.fail("%s name layer %d of %d", what, i, len(s.Layers))
		}
	}
	var sum Bytes
	for i, d := range s.Dirs {
		if !cleanPath(string(d.Path)) || i > 0 && comparePaths(string(s.Dirs[i-1].Path), string(d.Path)) >= 0 {
			check.fail("the directories are not in order at %q", clip(string(d.Path)))
		}
		check.count("dirs", d.Files)
		sum += check.size("dirs", d.Bytes)
		check.size("dirs", sum)
		if check.size("dirs", d.Owned) > d.Bytes {
			check.fail("packages own %d bytes of %d in %q", d.Owned, d.Bytes, clip(string(d.Path)))
		}
		img.Dirs = append(img.Dirs, Dir{string(d.Path), d.Bytes, d.Files, d.Owned})
	}
	if len(s.Dirs) == 0 && img.Metrics.Final != 0 {
		check.fail("no directory is listed")
	}
	sum = 0
	for _, d := range s.Dead {
		layer("dead", d.In)
		layer("dead", d.By)
		if d.Fate != Deleted && d.Fate != Replaced && d.Fate != Rewritten || !cleanPath(string(d.Under)) {
			check.fail("hidden bytes are %q under %q", clip(string(d.Fate)), clip(string(d.Under)))
		}
		check.count("dead", d.Files)
		sum += check.size("dead", d.Bytes)
		check.size("dead", sum)
		img.Dead = append(img.Dead, Dead{d.In, d.By, d.Fate, d.Bytes, d.Files, string(d.Under)})
	}
	s.inventory(img, check, layer)
	for _, p := range s.Paths {
		check.count("paths", p.Files)
		out := PathSize{Pattern: string(p.Pattern), Bytes: check.size("paths", p.Bytes), Files: p.Files}
		for _, e := range p.Examples {
			out.Examples = append(out.Examples, string(e))
		}
		img.Paths = append(img.Paths, out)
	}
}

// inventory reads the packages and what goes with them.
func (s *snapshot) inventory(img *Image, check *checker, layer func(what string, i int)) {
	var sum Bytes
	switch {
	case s.Rest != nil && s.Packages != nil:
		img.Packages = []Package{}
	case s.Rest == nil && len(s.Packages) == 0:
		// An empty list without the rest is of a time when nobody looked.
	default:
		check.fail("packages and the rest of the files come together")
	}
	if s.Rest != nil && img.Metrics.Has&HasFiles == 0 {
		check.fail("packages of an image whose files are not known")
	}
	for _, p := range s.Packages {
		layer("packages", p.Layer)
		sum += check.size("packages", p.Bytes)
		check.size("packages", sum)
		check.count("packages", p.Files)
		if check.size("packages", p.Own) > p.Bytes || check.size("packages", p.Strip) > p.Bytes {
			check.fail("a package has %d bytes, %d of them above the base and %d strippable", p.Bytes, p.Own, p.Strip)
		}
		img.Packages = append(img.Packages, Package{
			Ecosystem: string(p.Ecosystem), Name: string(p.Name), Version: string(p.Version), Bytes: p.Bytes, Own: p.Own, Files: p.Files,
			Strippable: p.Strip, Layer: p.Layer, Path: string(p.Path), Through: string(p.Through), Dev: p.Dev,
		})
	}
	if r := s.Rest; r != nil {
		check.size("rest", check.size("rest", r.Base)+check.size("rest", r.Application)+check.size("rest", r.Unowned))
		img.Rest = r
	}
	for _, c := range s.Contents {
		check.size("contents", c.Bytes)
		check.count("contents", c.Files)
		if check.size("contents", c.Own) > c.Bytes {
			check.fail("contents of %d bytes, %d of them above the base", c.Bytes, c.Own)
		}
		img.Contents = append(img.Contents, Content{c.Kind, c.Bytes, c.Own, c.Files, string(c.Heaviest)})
	}
	if u := s.Surface; u != nil {
		img.Surface = &Surface{plain(u.Setuid), plain(u.Shells), plain(u.PackageManagers), plain(u.Compilers)}
	}
}

// cleanPath tells whether the path is absolute and has no "..", "." or empty
// component.
func cleanPath(p string) bool {
	return strings.HasPrefix(p, "/") && path.Clean(p) == p
}

// checker keeps the first thing that is wrong.
type checker struct{ err error }

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = damaged(format, args...)
	}
}

// size returns the size, 0 if it is out of range, so that sums stay in range.
func (c *checker) size(what string, b Bytes) Bytes {
	if b < 0 || b > maxSize {
		c.fail("%s name a size of %d bytes", what, int64(b))
		return 0
	}
	return b
}

func (c *checker) count(what string, n int) {
	if n < 0 || n > maxCount {
		c.fail("%s count %d files", what, n)
	}
}

func (c *checker) metrics(what string, m Metrics) {
	for _, b := range []Bytes{m.Compressed, m.Unpacked, m.Final, m.Wasted, m.Update} {
		c.size(what, b)
	}
	c.count(what, m.Files)
	c.count(what, m.Layers)
}
