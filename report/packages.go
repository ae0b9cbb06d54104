package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// tool is what a developer calls an ecosystem: mostly the tool that installs from
// it. Of an ecosystem that only a later release knows it is its name.
func tool(ecosystem string, q quote) string {
	switch ecosystem {
	case footprint.Dpkg:
		return "apt"
	case footprint.Python:
		return "pip"
	case footprint.Golang:
		return "Go"
	case footprint.Cargo:
		return "crate"
	case footprint.Apk, footprint.Rpm, footprint.Npm, footprint.Conda, footprint.Gem, footprint.Composer, footprint.Dotnet, footprint.Java:
		return ecosystem
	}
	return q(ecosystem)
}

// packagesOf is what all packages of an ecosystem are together.
func packagesOf(ecosystem string) string {
	switch ecosystem {
	case footprint.Golang:
		return "Go modules"
	case footprint.Cargo:
		return "Rust crates"
	}
	return tool(ecosystem, plainName) + " packages"
}

// lostFiles takes the packages apart that only lost files, as all do whose manuals
// somebody deletes, if they are many: they say nothing one by one.
func lostFiles(changes []footprint.PackageChange) (rest, lost []footprint.PackageChange) {
	for _, p := range changes {
		if p.Change == footprint.Changed && p.Bytes < 0 && alike(p.From, p.To) {
			lost = append(lost, p)
		} else {
			rest = append(rest, p)
		}
	}
	if len(lost) < 4 {
		return changes, nil
	}
	return rest, lost
}

// alike tells whether two names read the same.
func alike(a, b string) bool { return legible(a) == legible(b) }

// packagesWhat says which packages are a cause: "apt: libllvm15 (new, through clang)".
func (img *Image) packagesWhat(c footprint.Cause, q quote) string {
	first := c.Packages[0]
	words := tool(first.Ecosystem, q) + ": "
	if len(c.Packages) == 1 && c.More == 0 {
		words += packageWords(first, q)
	} else {
		var names []string
		for _, p := range c.Packages {
			name := q(p.Name)
			if c.Change == footprint.Changed && p.Change == footprint.Changed && !alike(p.From, p.To) {
				name = packageWords(p, q)
			}
			names = append(names, name)
		}
		words += strings.Join(names, ", ")
		if c.More > 0 {
			words += fmt.Sprintf(" and %s more", count(int64(c.More)))
		}
	}
	return words + img.packagesBecame(c, q) + strippableWords(c)
}

// strippableWords says how much of a cause strip would take back.
func strippableWords(c footprint.Cause) string {
	if c.Strippable == 0 {
		return ""
	}
	return ", " + c.Strippable.String() + " of it debug symbols"
}

// packageWords names one package with the version that says most: one that who made
// the distribution chose says little to who added the package.
func packageWords(p footprint.PackageChange, q quote) string {
	switch {
	case p.Change == footprint.Changed && p.From != "" && p.To != "" && !alike(p.From, p.To):
		return q(p.Name) + " " + versions(p, q)
	case p.To == "" || footprint.OfSystem(p.Ecosystem):
		return q(p.Name)
	}
	return q(legible(p.Name) + " " + legible(p.To))
}

// packagesBecame ends the words of a cause with what is true of all its packages.
func (img *Image) packagesBecame(c footprint.Cause, q quote) string {
	all, exact := img.packagesOf(c)
	added, dev, some := true, true, false
	for _, p := range all {
		added = added && p.Change == footprint.Added
		some = some || exact && p.Change == footprint.Added
		dev = dev && p.Dev
	}
	dev = dev || c.Dev
	words := ""
	switch {
	case dev && len(c.Packages)+c.More == 1:
		words = ", a dev dependency"
	case dev:
		words = ", dev dependencies"
	}
	through := commonThrough(all, c.Packages)
	if c.Through != "" && !slices.ContainsFunc(c.Packages, func(p footprint.PackageChange) bool { return alike(p.Name, c.Through) }) {
		through = c.Through
	}
	added = added || c.Change == footprint.Added && (c.Through != "" || c.Dev)
	switch {
	case added && through != "":
		return words + " (new, through " + q(through) + ")"
	case added || c.More > 0 && c.Change == footprint.Added:
		return words + ", new"
	case some:
		return words + ", new and larger"
	}
	return words
}

// packagesOf returns the packages that a cause is about, and not only those few that
// it names; or, where it is not exactly known which they are, all that they may be.
func (img *Image) packagesOf(c footprint.Cause) (all []footprint.PackageChange, exact bool) {
	if c.More == 0 {
		return c.Packages, true
	}
	first := c.Packages[0]
	var grown, added, through []footprint.PackageChange
	for _, p := range img.Delta.Packages {
		if !alike(p.Ecosystem, first.Ecosystem) || p.Layer != first.Layer || p.Bytes <= 0 {
			continue
		}
		grown = append(grown, p)
		if p.Change != footprint.Added {
			continue
		}
		added = append(added, p)
		if name := cmp.Or(first.Through, first.Name); alike(p.Through, name) || alike(p.Name, name) {
			through = append(through, p)
		}
	}
	for _, set := range [][]footprint.PackageChange{grown, added, through} {
		if len(set) == len(c.Packages)+c.More {
			return set, true
		}
	}
	return append(grown, c.Packages...), false
}

// commonThrough is the package for the sake of which all of these came, "" where
// there are several, or where it is among those that are named anyway.
func commonThrough(all, named []footprint.PackageChange) string {
	through := ""
	for _, p := range all {
		through = cmp.Or(through, p.Through)
	}
	isIt := func(p footprint.PackageChange) bool { return alike(p.Name, through) }
	for _, p := range all {
		if !alike(p.Through, through) && !isIt(p) {
			return ""
		}
	}
	if slices.ContainsFunc(named, isIt) {
		return ""
	}
	return through
}

// packageName is a package as tables have it: "apt: gcc-12".
func packageName(ecosystem, name string) string {
	return tool(ecosystem, legible) + ": " + legible(name)
}

// packageChangeWord says what happened to a package.
func packageChangeWord(p footprint.PackageChange) string {
	switch {
	case p.Change == footprint.Changed && !alike(p.From, p.To):
		return "new version"
	case p.Change == footprint.Changed && p.Bytes > 0:
		return "grown"
	case p.Change == footprint.Changed && p.Bytes < 0:
		return "shrunk"
	}
	return string(p.Change)
}

// versions says which version came, went or replaced another.
func versions(p footprint.PackageChange, q quote) string {
	switch {
	case p.From != "" && p.To != "" && !alike(p.From, p.To):
		return q(p.From) + " → " + q(p.To)
	case p.To != "":
		return q(p.To)
	case p.From != "":
		return q(p.From)
	}
	return ""
}

// withReason adds to a version why the package is there.
func withReason(version, through string, dev bool, q quote) string {
	words := []string{version}
	if through != "" {
		words = append(words, "through "+q(through))
	}
	if dev {
		words = append(words, "dev")
	}
	return strings.TrimPrefix(strings.Join(words, ", "), ", ")
}

// sumOfPackages adds up the bytes of changed packages.
func sumOfPackages(changes []footprint.PackageChange) footprint.Bytes {
	var sum footprint.Bytes
	for _, p := range changes {
		sum += p.Bytes
	}
	return sum
}

// packageCounts says how many packages came, went and changed: "14 added, 1 removed".
func packageCounts(changes []footprint.PackageChange) string {
	var words []string
	for _, change := range []footprint.Change{footprint.Added, footprint.Changed, footprint.Removed} {
		n := 0
		for _, p := range changes {
			if p.Change == change {
				n++
			}
		}
		if n > 0 {
			words = append(words, count(int64(n))+" "+string(change))
		}
	}
	return strings.Join(words, ", ")
}

// owner is a row of the table of who owns the bytes of an image.
type owner struct {
	name, note string
	// bytes are those of the final filesystem, own the part of them above the base.
	bytes, own footprint.Bytes
	packages   int
}

// maxInventory is how many packages of an image are listed one by one.
const maxInventory = 15

// ecosystems sums packages by where they come from, heaviest first.
func ecosystems(packages []footprint.Package, q quote) []owner {
	var out []owner
	at := map[string]int{}
	for _, p := range packages {
		ecosystem := legible(p.Ecosystem)
		i, known := at[ecosystem]
		if !known {
			i = len(out)
			at[ecosystem] = i
			out = append(out, owner{name: tool(ecosystem, q)})
		}
		out[i].bytes, out[i].own, out[i].packages = out[i].bytes+p.Bytes, out[i].own+p.Own, out[i].packages+1
	}
	slices.SortStableFunc(out, func(a, b owner) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.name, b.name))
	})
	return out
}

// owners says to whom the bytes of an image belong; they add up to what a
// container sees. Where nobody looked for packages there are none.
func owners(img *footprint.Image, q quote) []owner {
	if img.Packages == nil || img.Rest == nil {
		return nil
	}
	out := ecosystems(img.Packages, q)
	for i := range out {
		out[i].note = plural(out[i].packages, "package")
	}
	rest := img.Rest
	unowned := "left by a command, of no package"
	if img.Base == nil {
		unowned = "of no package" // who brought the lowest layers is not known
	}
	for _, o := range []owner{
		{name: "application", note: "brought by COPY or ADD, of no package", bytes: rest.Application, own: rest.Application},
		{name: "base", note: "brought by FROM, of no package", bytes: rest.Base},
		{name: "unowned", note: unowned, bytes: rest.Unowned, own: rest.Unowned},
	} {
		if o.bytes > 0 {
			out = append(out, o)
		}
	}
	return out
}

func sumOfOwners(all []owner) (sum owner) {
	for _, o := range all {
		sum.bytes, sum.own, sum.packages = sum.bytes+o.bytes, sum.own+o.own, sum.packages+o.packages
	}
	return sum
}

// inventory returns the heaviest packages by what they weigh above the base, since
// that can be changed, then by what they weigh at all; and the others.
func inventory(packages []footprint.Package) (top, others []footprint.Package) {
	sorted := slices.SortedStableFunc(slices.Values(packages), func(a, b footprint.Package) int {
		return cmp.Or(cmp.Compare(b.Own, a.Own), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(legible(a.Ecosystem), legible(b.Ecosystem)), cmp.Compare(legible(a.Name), legible(b.Name)))
	})
	n := min(len(sorted), maxInventory)
	return sorted[:n], sorted[n:]
}

// otherPackages counts the packages that are not listed, by ecosystem.
func otherPackages(others []footprint.Package, q quote) string {
	const few = 6
	var words []string
	groups := ecosystems(others, q)
	for i, o := range groups {
		if i == few {
			more := sumOfOwners(groups[i:])
			words = append(words, fmt.Sprintf("%s of others (%s)", count(int64(more.packages)), more.bytes))
			break
		}
		words = append(words, fmt.Sprintf("%s of %s (%s)", count(int64(o.packages)), o.name, o.bytes))
	}
	return "and " + strings.Join(words, ", ")
}

// split tells whether an image has a base to set its own bytes against.
func split(img *footprint.Image) bool { return img.Base != nil && img.Own != nil }
