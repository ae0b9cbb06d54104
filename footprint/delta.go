package footprint

import "fmt"

// Delta is the difference between two images, new less old.
type Delta struct {
	// Compressed is the change of the transfer size; see Has.
	Compressed Bytes
	// Unpacked and Final are the changes of those metrics; see Has.
	Unpacked, Final Bytes
	// Parts say where the change of Unpacked comes from; see Has.
	Parts Parts
	// Has says which changes are known: both images must have the figure,
	// measured the same way.
	Has Has
	// Base says whether FROM brought something else, nil where the base of one
	// of the images is not known.
	Base *BaseChange
	// Layers pairs the layers of both, in order of the new image, removed
	// ones where they were.
	Layers []LayerChange
	// Packages are those that changed, heaviest change first; empty where the
	// packages of one of the images are not known.
	Packages []PackageChange
	// Moves are files and directories that have the same content at another
	// path, heaviest first, at most [MaxMoves]. They are in no other list.
	Moves []Move
	// Paths are those that changed, heaviest change first. They add up, over
	// all of them, to the change of Final; small ones are summed in an entry
	// of their directory.
	Paths []PathChange
	// Causes explain a growth in words and bytes, heaviest first. The databases
	// and logs of package managers come after all others.
	Causes []Cause
}

// Parts split a change of unpacked bytes. Where the base of both images is
// known, the other parts are those above it; else they are of all layers.
type Parts struct {
	// Base is the change in bytes of all that FROM brought, what later layers
	// hide of it included; 0 where a boundary is not known. An unchanged base
	// is 0, whatever is built upon it.
	Base Bytes `json:"base"`
	// Packages is the change in bytes of packages.
	Packages Bytes `json:"packages"`
	// Files is the change in bytes of the rest of what a container sees.
	Files Bytes `json:"files"`
	// Wasted is the change of the bytes that no container can see.
	Wasted Bytes `json:"wasted"`
}

// Sum adds the parts up.
func (p Parts) Sum() Bytes { return p.Base + p.Packages + p.Files + p.Wasted }

// Change says what happened to a thing between two images.
type Change string

// The changes.
const (
	Same    Change = "same"
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
)

// BaseChange pairs the bases of two images.
type BaseChange struct {
	// Change is Same if FROM brought the same layers to both, whatever it calls
	// them, and else Changed.
	Change Change
	// Old and New are never nil.
	Old, New *Base
}

// Compressed returns the change of what a pull transfers of the base, and
// whether it is known. It means something only where [Delta.Has] says so.
func (c *BaseChange) Compressed() (Bytes, bool) {
	return c.New.Metrics.Compressed - c.Old.Metrics.Compressed, c.Old.Metrics.Has&c.New.Metrics.Has&HasCompressed != 0
}

// Unpacked returns the change of the payload of the base, and whether it is
// known.
func (c *BaseChange) Unpacked() (Bytes, bool) {
	return c.New.Metrics.Unpacked - c.Old.Metrics.Unpacked, c.Old.Metrics.Has&c.New.Metrics.Has&HasFiles != 0
}

// replaced tells whether FROM brought other layers; of an unknown base that
// is not known.
func (d *Delta) replaced() bool { return d.Base != nil && d.Base.Change != Same }

// LayerChange pairs a layer of the old image with one of the new.
type LayerChange struct {
	// Change is Same if both unpack to the same bytes, and Changed if the
	// same instruction made them.
	Change Change
	// Moved is set on the same layer at another place among the others.
	Moved bool
	// Old and New are nil where the layer is in one image only.
	Old, New *Layer
}

// Compressed returns the change of the blob size, and whether it is known. A
// blob that was read and one that was estimated do not compare.
func (c LayerChange) Compressed() (Bytes, bool) {
	if c.Old != nil && c.New != nil && c.Old.CompressedEstimated != c.New.CompressedEstimated {
		return 0, false
	}
	return c.difference(HasCompressed, func(l *Layer) Bytes { return l.Compressed })
}

// Unpacked returns the change of the payload, and whether it is known.
func (c LayerChange) Unpacked() (Bytes, bool) {
	return c.difference(HasFiles, func(l *Layer) Bytes { return l.Unpacked })
}

func (c LayerChange) difference(need Has, size func(*Layer) Bytes) (Bytes, bool) {
	var change Bytes
	if c.New != nil {
		if c.New.Has&need == 0 {
			return 0, false
		}
		change += size(c.New)
	}
	if c.Old != nil {
		if c.Old.Has&need == 0 {
			return 0, false
		}
		change -= size(c.Old)
	}
	return change, true
}

// PackageChange is a package that came, went or changed its size or version.
type PackageChange struct {
	// Ecosystem and Name are those of [Package].
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	// Change is Added, Removed or Changed.
	Change Change `json:"change"`
	// From and To are the old and the new version, a few of them separated by
	// ", " and the others counted, as in "1.0, 1.1, 1.2 and 4 more"; "" on the
	// side that has none. They are equal only where all versions are.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Bytes is the change of its size, new less old.
	Bytes Bytes `json:"bytes"`
	// Strippable is the change of [Package.Strippable].
	Strippable Bytes `json:"strippable,omitempty"`
	// Layer is the index, in the new image, of the layer that brought most of
	// it, -1 where it is gone.
	Layer int `json:"layer"`
	// Through and Dev are those of [Package], in the image that has it.
	Through string `json:"through,omitempty"`
	Dev     bool   `json:"dev,omitempty"`
}

// MaxMoves bounds [Delta.Moves].
const MaxMoves = 100

// Move is content that stands at another path than before.
type Move struct {
	// From is the path in the old image, To that in the new one: of a file if
	// Files is 1 and Dir is not set, and else of a directory.
	From string `json:"from"`
	To   string `json:"to"`
	// Dir is set where a directory moved: From is gone, and To was not there.
	// Else the files are some of those that stood and stand in them.
	Dir bool `json:"dir"`
	// Bytes and Files are those that moved.
	Bytes Bytes `json:"bytes"`
	Files int   `json:"files"`
}

// PathChange is a file or directory that came, went or changed its size.
type PathChange struct {
	// Path is absolute and clean, and may hold any bytes.
	Path string `json:"path"`
	// Change is Added, Removed or Changed.
	Change Change `json:"change"`
	// Dir tells that the change is that of everything below a directory.
	Dir bool `json:"dir"`
	// Old and New are the sizes in bytes in the two images, Bytes is New less
	// Old.
	Old   Bytes `json:"old"`
	New   Bytes `json:"new"`
	Bytes Bytes `json:"bytes"`
	// Files counts the regular files that came, went or changed. Where one
	// image is a snapshot, it is by how many more or fewer there are.
	Files int `json:"files"`
	// Layer is the index, in the new image, of the layer that brought most of
	// the new bytes; -1 if there are none or it is unknown.
	Layer int `json:"layer"`
}

// MaxCausePackages bounds [Cause.Packages].
const MaxCausePackages = 3

// Cause is one line of "what grew".
type Cause struct {
	// Bytes is the growth, more than 0.
	Bytes Bytes
	// Base is set where another base image is the cause, and [Delta.Base] says
	// which. What it brought is in no other cause then.
	Base bool
	// Metric is what kind of bytes: Unpacked, or Compressed where no layer was
	// read.
	Metric Metric
	// Label names a directory that everyone knows, such as "npm cache", and
	// is "" for others. Path is the file or directory, "" for a whole layer.
	Label, Path string
	// Fate is set where the growth is waste: what made the bytes invisible.
	Fate Fate
	// Change is Added or Changed.
	Change Change
	// Layer is the index, in the new image, of the layer to look at, -1 if
	// unknown; for waste it is the one that hid the bytes.
	Layer int
	// Packages are the changed packages that are the cause, heaviest first, at
	// most [MaxCausePackages]; of one ecosystem and layer. More counts the others
	// that are in Bytes, too. Path is where the package is if it is a single one
	// and its ecosystem tells.
	Packages []PackageChange
	More     int
	// Through is the package that all of them came with, itself among them or
	// not, "" where there are several or none is known. Dev is set where all are
	// for development only.
	Through string
	Dev     bool
	// Strippable is how much of Bytes are debug sections and symbol tables, 0
	// where they are not what grew.
	Strippable Bytes
	// CopyOf is another path that has the same content, "" if there is none.
	CopyOf string
	// Mostly is set where other layers brought a smaller part of the bytes, and
	// it is not known how much.
	Mostly bool
}

// Verify checks that the parts add up to the change of unpacked, that the part
// of the base is all of its change, and that the paths add up to the change of
// final. An error is a defect of this program.
func (d *Delta) Verify() error {
	if d.Has&HasFiles == 0 {
		return nil
	}
	if sum := d.Parts.Sum(); sum != d.Unpacked {
		return fmt.Errorf("internal error: the parts of the change add up to %d bytes, unpacked changed by %d", sum, d.Unpacked)
	}
	if d.Base != nil {
		if base, known := d.Base.Unpacked(); known && base != d.Parts.Base {
			return fmt.Errorf("internal error: the base changed by %d bytes, its part is %d", base, d.Parts.Base)
		}
	}
	var paths Bytes
	for _, p := range d.Paths {
		paths += p.Bytes
	}
	if paths != d.Final {
		return fmt.Errorf("internal error: the changed paths add up to %d bytes, final changed by %d", paths, d.Final)
	}
	return nil
}
