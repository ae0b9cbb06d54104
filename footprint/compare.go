package footprint

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Comparable says in a sentence why two images do not compare at all, and ""
// if they do. Those of two platforms never do. Others always have the number of
// their layers in common: [Delta.Has] tells which sizes compare, and
// [SameMethod] whether the compressed ones do.
func Comparable(old, new *Image) string {
	if old.Platform != new.Platform {
		return fmt.Sprintf("the baseline was measured for %s and this image is for %s", named(old.Platform), named(new.Platform))
	}
	return ""
}

func named(platform string) string {
	if platform == "" {
		return "an unknown platform"
	}
	return platform
}

// sharedFigures are those that both images have, measured the same way.
func sharedFigures(old, new *Image) Has {
	has := old.Metrics.Has & new.Metrics.Has & HasFiles
	if SameMethod(old, new, false) {
		has |= HasCompressed
	}
	return has
}

// Compare explains what changed from the old image to the new one, after
// [Align]. It changes neither, and walks [Image.Files] of both if they have it; else it makes do
// with the directory roll-up. It does not look at the platforms: [Comparable]
// does. An error says that one of the images, or the result, does not add up.
func Compare(old, new *Image) (*Delta, error) {
	for _, img := range []*Image{old, new} {
		if err := img.Verify(); err != nil {
			return nil, err
		}
	}
	d := &Delta{Has: sharedFigures(old, new), Layers: pairLayers(old.Layers, new.Layers)}
	d.Base = changedBase(old, new)
	if old.Packages != nil && new.Packages != nil {
		for _, p := range changedPackages(old.Packages, new.Packages, Package.bytes) {
			d.Packages = append(d.Packages, p.PackageChange)
		}
	}
	if d.Has&HasCompressed != 0 {
		d.Compressed = new.Metrics.Compressed - old.Metrics.Compressed
	}
	if d.Has&HasFiles == 0 {
		d.Causes = heavierLayers(d)
		return d, nil
	}
	d.Unpacked = new.Metrics.Unpacked - old.Metrics.Unpacked
	d.Final = new.Metrics.Final - old.Metrics.Final
	d.Parts = parts(old, new)
	full := old.Files != nil && new.Files != nil
	var root *node
	moved := moves{}
	if full {
		moved = findMoves(old.Files, new.Files)
		d.Moves = moved.list()
		root = diffTree(moved.stay(old.Files, moved.from), moved.stay(new.Files, moved.to), nil)
	} else {
		root = coarseTree(old, new, d.Layers)
	}
	if err := sameFinal(root, moved.bytes, old, new); err != nil {
		return nil, err
	}
	d.Paths = changedPaths(root)
	d.Causes = causes(causeTree(root, d, old, new), d, old, new)
	if err := d.Verify(); err != nil {
		return nil, err
	}
	return d, nil
}

// causeTree is the tree of what the causes are looked for in: without the files
// of packages, which are causes as packages, and without those of the base if
// it is another one, which is one cause whichever files it is in.
func causeTree(root *node, d *Delta, old, new *Image) *node {
	packages := old.Packages != nil && new.Packages != nil && len(old.Packages)+len(new.Packages) > 0
	full := old.Files != nil && new.Files != nil
	if !packages && !d.replaced() {
		return root
	}
	if !full {
		if d.replaced() && new.Files != nil {
			own := *new
			own.Files = madeAbove(new)
			new = &own
		}
		if packages {
			old, new = unowned(old), unowned(new)
		}
		return coarseTree(old, new, d.Layers)
	}
	oldFiles, newFiles := old.Files, new.Files
	if d.replaced() {
		oldFiles, newFiles = ownFiles(old), ownFiles(new)
	}
	if packages {
		oldFiles, newFiles = unownedFiles(oldFiles), unownedFiles(newFiles)
	}
	moved := findMoves(oldFiles, newFiles)
	return diffTree(moved.stay(oldFiles, moved.from), moved.stay(newFiles, moved.to), nil)
}

// unowned is the image without the files of packages, as far as its files and
// directories tell.
func unowned(img *Image) *Image {
	out := *img
	if img.Files != nil {
		out.Files = unownedFiles(img.Files)
	}
	out.Dirs = slices.Clone(img.Dirs)
	for i := range out.Dirs {
		out.Dirs[i].Bytes -= out.Dirs[i].Owned
	}
	return &out
}

func unownedFiles(files iter.Seq[File]) iter.Seq[File] {
	return func(yield func(File) bool) {
		for f := range files {
			if _, owned := f.Owner.Package(); !owned && !yield(f) {
				return
			}
		}
	}
}

// sameFinal checks the walked files, and the bytes of those that only moved,
// against the figures of their images.
func sameFinal(root *node, moved Bytes, old, new *Image) error {
	for _, s := range []struct {
		which string
		walk  Bytes
		img   *Image
	}{{"old", root.old, old}, {"new", root.new, new}} {
		if s.walk+moved != s.img.Metrics.Final {
			return fmt.Errorf("internal error: the files of the %s image add up to %d bytes, final is %d", s.which, s.walk+moved, s.img.Metrics.Final)
		}
	}
	return nil
}

// changedBase pairs what FROM brought, nil where one of the two is not known.
func changedBase(old, new *Image) *BaseChange {
	if old.Base == nil || old.Own == nil || new.Base == nil || new.Own == nil {
		return nil
	}
	c := &BaseChange{Change: Changed, Old: old.Base, New: new.Base}
	if slices.EqualFunc(old.Layers[:baseLayers(old)], new.Layers[:baseLayers(new)], func(a, b Layer) bool {
		return a.DiffID == b.DiffID && (a.DiffID != "" || a.Digest == b.Digest && a.Digest != "")
	}) {
		c.Change = Same
	}
	return c
}

// baseLayers counts the layers that FROM brought, 0 where that is not known.
func baseLayers(img *Image) int {
	if img.Own == nil {
		return 0
	}
	return len(img.Layers) - len(ownLayers(img))
}

// ownFiles walks the final filesystem without the files of the base.
func ownFiles(img *Image) iter.Seq[File] {
	base := baseLayers(img)
	files := madeAbove(img)
	return func(yield func(File) bool) {
		for f := range files {
			if (f.Kind != Regular || f.Layer >= base) && !yield(f) {
				return
			}
		}
	}
}

// madeAbove walks the final filesystem; what an own layer wrote again of the base
// is that layer's doing.
func madeAbove(img *Image) iter.Seq[File] {
	base := baseLayers(img)
	return func(yield func(File) bool) {
		for f := range img.Files {
			if f.Layer >= base && f.Made < base {
				f.Made = f.Layer
			}
			if !yield(f) {
				return
			}
		}
	}
}

// parts splits the change of unpacked. All that the base ships is its part, so
// that an own layer that hides some of it does not look like another base.
func parts(old, new *Image) Parts {
	withBase := hasBase(old) && hasBase(new)
	p := Parts{Wasted: new.Metrics.Wasted - old.Metrics.Wasted}
	if withBase {
		p.Base = new.Base.Metrics.Unpacked - old.Base.Metrics.Unpacked
		p.Wasted -= new.Base.Metrics.Wasted - old.Base.Metrics.Wasted
	}
	if old.Packages != nil && new.Packages != nil {
		p.Packages = packageBytes(new, withBase) - packageBytes(old, withBase)
	}
	p.Files = new.Metrics.Unpacked - old.Metrics.Unpacked - p.Base - p.Wasted - p.Packages
	return p
}

func hasBase(img *Image) bool {
	return img.Base != nil && img.Own != nil && img.Base.Metrics.Has&HasFiles != 0
}

// packageBytes sums the packages, above the base if it is a part of its own.
func packageBytes(img *Image, withBase bool) Bytes {
	var sum Bytes
	for _, p := range img.Packages {
		if withBase {
			sum += p.Own
		} else {
			sum += p.Bytes
		}
	}
	return sum
}

func (p Package) bytes() Bytes { return p.Bytes }
func (p Package) own() Bytes   { return p.Own }

// changedPackage is a change, and whether a version of the package is gone.
type changedPackage struct {
	PackageChange
	gone bool
}

// changedPackages compares two inventories by ecosystem and name. Several
// versions of one package, as npm installs them, are one entry that names a few.
// size tells which of its bytes count.
func changedPackages(old, new []Package, size func(Package) Bytes) []changedPackage {
	before, after := byName(old, size), byName(new, size)
	var out []changedPackage
	for name, was := range before {
		is, ok := after[name]
		if !ok {
			out = append(out, changedPackage{gone: true, PackageChange: PackageChange{
				Ecosystem: name.ecosystem, Name: name.name, Change: Removed,
				From: was.versions().text(nil), Bytes: -was.bytes, Strippable: -was.strippable, Layer: -1, Through: was.heaviest().Through, Dev: was.heaviest().Dev,
			}})
			continue
		}
		from, to := was.versions(), is.versions()
		if was.bytes == is.bytes && slices.Equal(from, to) {
			continue
		}
		// Where npm has a semver in it and the app gets another one, the
		// change is that of the app's.
		grew := is.grown(was)
		out = append(out, changedPackage{gone: from.without(to) != nil, PackageChange: PackageChange{
			Ecosystem: name.ecosystem, Name: name.name, Change: Changed,
			From: from.text(to), To: to.text(from), Bytes: is.bytes - was.bytes, Strippable: is.strippable - was.strippable,
			Layer: grew.Layer, Through: grew.Through, Dev: grew.Dev,
		}})
	}
	for name, is := range after {
		if _, ok := before[name]; !ok {
			out = append(out, changedPackage{PackageChange: PackageChange{
				Ecosystem: name.ecosystem, Name: name.name, Change: Added,
				To: is.versions().text(nil), Bytes: is.bytes, Strippable: is.strippable, Layer: is.heaviest().Layer, Through: is.heaviest().Through, Dev: is.heaviest().Dev,
			}})
		}
	}
	slices.SortFunc(out, func(a, b changedPackage) int {
		return cmp.Or(cmp.Compare(max(b.Bytes, -b.Bytes), max(a.Bytes, -a.Bytes)),
			cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name))
	})
	return out
}

type packageName struct{ ecosystem, name string }

// installed is everything installed under one name.
type installed struct {
	of         []Package
	bytes      Bytes
	strippable Bytes
}

// versions are some of one package, in order and each once.
type versions []string

func (i installed) versions() versions {
	var out versions
	for _, p := range i.of {
		out = append(out, p.Version)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// without returns those that are not among others, nil if all are.
func (v versions) without(others versions) versions {
	var out versions
	for _, version := range v {
		if _, ok := slices.BinarySearch(others, version); !ok {
			out = append(out, version)
		}
	}
	return out
}

// maxVersions is how many versions of one package are named.
const maxVersions = 3

// text names a few, first of all those that the other image does not have, so that
// two texts are the same only where the versions are.
func (v versions) text(others versions) string {
	if len(v) <= maxVersions {
		return strings.Join(v, ", ")
	}
	own := v.without(others)
	named := append(own, v.without(own)...)[:maxVersions]
	return fmt.Sprintf("%s and %d more", strings.Join(named, ", "), len(v)-maxVersions)
}

func (i installed) heaviest() Package {
	return slices.MaxFunc(i.of, func(a, b Package) int { return cmp.Compare(a.Bytes, b.Bytes) })
}

// grown is the version that grew most since before, and of equals the heaviest.
func (i installed) grown(before installed) Package {
	had := make(map[string]Bytes, len(before.of))
	for _, was := range before.of {
		had[was.Version] = was.Bytes
	}
	growth := func(p Package) Bytes { return p.Bytes - had[p.Version] }
	return slices.MaxFunc(i.of, func(a, b Package) int {
		return cmp.Or(cmp.Compare(growth(a), growth(b)), cmp.Compare(a.Bytes, b.Bytes))
	})
}

func byName(packages []Package, size func(Package) Bytes) map[packageName]installed {
	out := make(map[packageName]installed, len(packages))
	for _, p := range packages {
		name := packageName{p.Ecosystem, p.Name}
		i := out[name]
		i.of = append(i.of, p)
		i.bytes += size(p)
		i.strippable += p.Strippable
		out[name] = i
	}
	return out
}
