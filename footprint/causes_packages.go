package footprint

import (
	"cmp"
	"regexp"
	"slices"
)

// packageChanges are the packages that may be causes. On another base those
// count by what is above it.
func (c *causeFinder) packageChanges() []changedPackage {
	if c.old.Packages == nil || c.new.Packages == nil {
		return nil
	}
	size := Package.bytes
	if c.delta.replaced() {
		size = Package.own
	}
	return renamed(changedPackages(c.old.Packages, c.new.Packages, size))
}

var digits = regexp.MustCompile(`[0-9]+(?:[.][0-9]+)*`)

// renamed puts a package that has its version in its name, as libllvm15 has,
// beside the one that it came instead of: only the difference is a cause.
func renamed(changes []changedPackage) []changedPackage {
	type stem struct{ ecosystem, name string }
	gone := map[stem][]int{}
	for i, p := range changes {
		if p.Change == Removed {
			s := stem{p.Ecosystem, digits.ReplaceAllString(p.Name, "")}
			gone[s] = append(gone[s], i)
		}
	}
	for i := range changes {
		p := &changes[i]
		s := stem{p.Ecosystem, digits.ReplaceAllString(p.Name, "")}
		if p.Change != Added || len(gone[s]) == 0 {
			continue
		}
		was := &changes[gone[s][0]]
		gone[s] = gone[s][1:]
		p.Change, p.From, p.gone = Changed, was.Name+" "+was.From, true
		p.Bytes, p.Strippable = p.Bytes+was.Bytes, p.Strippable+was.Strippable
		was.Bytes, was.Strippable = 0, 0
	}
	return changes
}

// linked tells whether the packages of an ecosystem are parts of a program, whose
// tables tell how much of it they are but for what is nobody's.
func linked(ecosystem string) bool { return ecosystem == Golang || ecosystem == Cargo }

// packages adds the packages that grew: those that one layer brought from one
// ecosystem are one cause, since one line asked for them.
func (c *causeFinder) packages(changes []changedPackage) {
	type group struct {
		ecosystem string
		layer     int
		upgraded  bool
		dev       bool
	}
	at := map[group]int{}
	var found []Cause
	var copies []changedPackage
	add := func(i int, p changedPackage) {
		cause := &found[i]
		cause.Bytes += p.Bytes
		cause.Strippable += max(p.Strippable, 0)
		if p.Through != cause.Through && p.Name != cause.Through {
			cause.Through = ""
		}
		if len(cause.Packages) < MaxCausePackages {
			cause.Packages = append(cause.Packages, p.PackageChange)
		} else {
			cause.More++
		}
	}
	slices.SortStableFunc(changes, func(a, b changedPackage) int { return cmp.Compare(b.Bytes, a.Bytes) })
	places, same := c.places(), c.sameLayers()
	for _, p := range changes {
		if p.Bytes <= 0 {
			continue
		}
		if c.delta.replaced() && p.Layer < c.base {
			p.Layer = -1
		}
		switch {
		case linked(p.Ecosystem) && p.Change == Changed && p.From == p.To:
			copies = append(copies, p)
			continue
		case p.Change != Changed || places[packageName{p.Ecosystem, p.Name}] == "" || p.Strippable != 0:
		case same[p.Layer]:
			p.Layer = -1 // more of it stands elsewhere
			copies = append(copies, p)
			continue
		case p.From == p.To:
			copies = append(copies, p)
			continue
		}
		g := group{p.Ecosystem, p.Layer, p.upgraded(), p.Dev}
		i, ok := at[g]
		if !ok {
			i = len(found)
			at[g] = i
			found = append(found, Cause{Metric: Unpacked, Change: Added, Layer: p.Layer, Dev: p.Dev, Through: cmp.Or(p.Through, p.Name)})
			if g.upgraded {
				found[i].Change, found[i].Through = Changed, ""
			}
		}
		add(i, p)
	}
	// Another copy of what was there came along with what is new, and a program
	// grew by what no table tells of the libraries that are new in it.
	known := len(found)
	for _, p := range copies {
		best := -1
		for i := range found[:known] {
			o := &found[i]
			if (o.Change == Added || linked(p.Ecosystem)) && (o.Layer == p.Layer || p.Layer < 0) && o.Packages[0].Ecosystem == p.Ecosystem && (best < 0 || o.Bytes > found[best].Bytes) {
				best = i
			}
		}
		if best >= 0 && linked(p.Ecosystem) {
			found[best].Bytes += p.Bytes
			continue
		}
		for i := known; i < len(found) && best < 0; i++ {
			if o := &found[i]; o.Layer == p.Layer && o.Packages[0].Ecosystem == p.Ecosystem && o.Dev == p.Dev {
				best = i
			}
		}
		if best < 0 {
			best = len(found)
			found = append(found, Cause{Metric: Unpacked, Change: Changed, Layer: p.Layer, Dev: p.Dev})
		}
		if c := &found[best]; c.Change == Changed {
			add(best, p)
		} else {
			c.Bytes += p.Bytes
			c.More++
		}
	}
	for _, cause := range found {
		if len(cause.Packages) == 1 && cause.More == 0 {
			cause.Path = places[packageName{cause.Packages[0].Ecosystem, cause.Packages[0].Name}]
		}
		if cause.Strippable < cause.Bytes/2 {
			cause.Strippable = 0
		}
		cause.Strippable = min(cause.Strippable, cause.Bytes)
		if cause.Bytes >= c.threshold {
			c.found = append(c.found, cause)
		}
	}
}

// upgraded tells whether a version of the package is gone, or whether it is another
// build of the same.
func (p changedPackage) upgraded() bool {
	return p.Change != Added && (p.gone || p.From == p.To)
}

// sameLayers are the layers of the new image that both images have.
func (c *causeFinder) sameLayers() map[int]bool {
	out := map[int]bool{}
	for _, l := range c.delta.Layers {
		if l.New != nil && l.Change == Same {
			out[l.New.Index] = true
		}
	}
	return out
}

// places are where the heaviest copy of each package is, "" for one of the system.
func (c *causeFinder) places() map[packageName]string {
	out := make(map[packageName]string, len(c.new.Packages))
	for _, p := range c.new.Packages { // heaviest first
		name := packageName{p.Ecosystem, p.Name}
		if _, ok := out[name]; !ok {
			out[name] = p.Path
		}
	}
	return out
}

// strippable is how much of the growth of a path strip would take back, 0 where
// that is not what grew.
func (c *causeFinder) strippable(n node, bytes Bytes) Bytes {
	strip := n.strip
	if c.coarse {
		// What the files held before is known for the whole image alone.
		strip = min(strip, symbols(c.new)-symbols(c.old))
	}
	if strip < bytes/2 || strip <= 0 {
		return 0
	}
	return min(strip, bytes)
}

// symbols sums debug sections and symbol tables.
func symbols(img *Image) Bytes {
	var sum Bytes
	for _, c := range img.Contents {
		if c.Kind == DebugInfo || c.Kind == SymbolTables {
			sum += c.Bytes
		}
	}
	return sum
}

// copyOf finds where else the content of a cause stands: in a lower layer, or
// in the same one further up in path order.
func copyOf(c *Cause, duplicates []Duplicate) string {
	if c.Path == "" || c.Fate != "" || c.Layer < 0 {
		return ""
	}
	for _, d := range duplicates {
		if d.Copies < 2 {
			continue
		}
		one := d.Bytes / Bytes(d.Copies-1)
		if one < c.Bytes-c.Bytes/5 {
			continue
		}
		here := slices.IndexFunc(d.Paths, func(p string) bool {
			// What is below a directory that was there may have been there, too.
			return p == c.Path || c.Change == Added && one <= c.Bytes && holds(c.Path, p)
		})
		if here < 0 || here >= len(d.Layers) {
			continue
		}
		for i, p := range d.Paths {
			if i == here || i >= len(d.Layers) || p == c.Path || holds(c.Path, p) {
				continue
			}
			if d.Layers[i] < d.Layers[here] || d.Layers[i] == d.Layers[here] && i < here {
				return p
			}
		}
	}
	return ""
}
