package pkgdb

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// Found is what one file that a container sees tells.
type Found struct {
	// Path is absolute.
	Path  string
	Facts Facts
}

// Installed is one copy of a package in a filesystem, with what it claims.
type Installed struct {
	// Ecosystem to Trees are those of [Package], of all files that describe it.
	Ecosystem, Root, Name, Version string
	Files, Trees                   []string
	// Portions are the parts of files that it is.
	Portions []Portion
	// Through and Dev are those of [footprint.Package].
	Through string
	Dev     bool
	// Described are the files that make it exist, absolute.
	Described []string
}

// Portion is a part of a file, or what the other parts leave over of it.
type Portion struct {
	// Path is absolute.
	Path  string
	Bytes footprint.Bytes
	// Main is set on the one that is the rest.
	Main bool
}

// Combine puts together what all files of a filesystem tell. The result is in
// the order in which packages claim files: those of a system first, and always
// the same for the same facts.
func Combine(found []Found) []Installed {
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(a, b Found) int { return cmp.Compare(a.Path, b.Path) })
	c := combiner{at: map[packageKey]int{}, moved: map[string]Diversion{}}
	for _, f := range found {
		for _, d := range f.Facts.Diverted {
			c.moved[d.From] = d
		}
	}
	stanzas := map[string]string{}
	for _, f := range found {
		if strings.HasPrefix(f.Path, "/"+dpkgStanzas) && len(f.Facts.Packages) == 1 && f.Facts.Packages[0].Installed {
			stanzas[f.Path] = f.Facts.Packages[0].Name
		}
	}
	for _, f := range found {
		for _, p := range f.Facts.Packages {
			// Whatever a stanza is called, the sums beside it are of its package.
			if stanza, is := strings.CutSuffix(f.Path, ".md5sums"); is && stanzas[stanza] != "" {
				p.Name = stanzas[stanza]
			}
			c.add(f.Path, &p)
		}
	}
	return c.installed()
}

type packageKey struct{ ecosystem, root, name, instance string }

func keyOf(p *Package) packageKey {
	key := packageKey{p.Ecosystem, p.Root, p.Name, p.Instance}
	if p.Ecosystem == Java || p.Ecosystem == Cargo {
		key.instance = p.Version // one archive or program may hold two versions of a library
	}
	return key
}

// combined is a package while its facts come in.
type combined struct {
	out                Installed
	exists             bool
	asked              Asked
	requires, provides []string
	// wished and wishedDev are set where a project asks for it, to run and for
	// development. The latter does not make it one for development only: what
	// runs may need it too.
	wished, wishedDev bool
}

type combiner struct {
	all []combined
	at  map[packageKey]int
	// moved are the diversions, by where the file would be.
	moved map[string]Diversion
}

func (c *combiner) add(path string, p *Package) {
	key := keyOf(p)
	i, ok := c.at[key]
	if !ok {
		i = len(c.all)
		c.at[key] = i
		c.all = append(c.all, combined{out: Installed{Ecosystem: p.Ecosystem, Root: p.Root, Name: p.Name}})
	}
	m := &c.all[i]
	m.out.Version = cmp.Or(m.out.Version, p.Version)
	if asks := p.Asked == ByName && !p.Installed; asks && p.Dev {
		m.wishedDev = true
	} else {
		m.out.Dev = m.out.Dev || p.Dev
		m.wished = m.wished || asks
	}
	m.out.Trees = append(m.out.Trees, p.Trees...)
	m.requires = append(m.requires, p.Requires...)
	m.provides = append(m.provides, p.Provides...)
	if p.Asked == ByName || m.asked == Unknown {
		m.asked = p.Asked // whoever knows that it was asked for is right
	}
	for _, f := range p.Files {
		if d, ok := c.moved[f]; ok && p.Ecosystem == Dpkg && d.By != p.Name {
			f = d.To
		}
		m.out.Files = append(m.out.Files, f)
	}
	if p.Inside > 0 || p.Main || p.Installed && p.Root == path {
		m.out.Portions = append(m.out.Portions, Portion{Path: path, Bytes: max(0, p.Inside), Main: p.Main})
	}
	if p.Installed {
		m.exists = true
		m.out.Described = append(m.out.Described, path)
	}
}

func (c *combiner) installed() []Installed {
	c.all = slices.DeleteFunc(c.all, func(m combined) bool { return !m.exists })
	slices.SortStableFunc(c.all, func(a, b combined) int {
		return cmp.Or(cmp.Compare(rank(a.out.Ecosystem), rank(b.out.Ecosystem)), cmp.Compare(a.out.Ecosystem, b.out.Ecosystem),
			cmp.Compare(a.out.Root, b.out.Root), cmp.Compare(a.out.Name, b.out.Name))
	})
	of := map[string][]*combined{}
	for i := range c.all {
		of[c.all[i].out.Ecosystem] = append(of[c.all[i].out.Ecosystem], &c.all[i])
	}
	for _, ecosystem := range slices.Sorted(maps.Keys(of)) {
		g := newGraph(of[ecosystem])
		g.through()
		g.development()
	}
	out := make([]Installed, len(c.all))
	for i := range c.all {
		out[i] = c.all[i].out
	}
	return out
}

// rank puts the ecosystems of a system first.
func rank(ecosystem string) int {
	if footprint.OfSystem(ecosystem) {
		return 0
	}
	return 1
}

// graph is who needs whom among the packages of one ecosystem, by name: where
// one name is installed several times, they are taken together.
type graph struct {
	members []*combined
	// named are the members that go by a name.
	named map[string][]int
	// asked are those that somebody asked for; empty where nothing tells.
	asked []int
}

func newGraph(members []*combined) *graph {
	g := &graph{members: members, named: map[string][]int{}}
	var byName, asDependency bool
	for i, m := range members {
		g.named[m.out.Name] = append(g.named[m.out.Name], i)
		byName = byName || m.asked == ByName
		asDependency = asDependency || m.asked == AsDependency
	}
	for i, m := range members {
		for _, name := range m.provides {
			if name != m.out.Name {
				g.named[name] = append(g.named[name], i)
			}
		}
		// Where only dependencies are marked, all others were asked for.
		if m.asked == ByName || m.asked == Unknown && asDependency && !byName {
			g.asked = append(g.asked, i)
		}
	}
	return g
}

// reach walks from some members to all that they need, nearest first, and
// calls visit once for each, with the one of them that it was reached from.
func (g *graph) reach(from []int, visit func(member, root int)) {
	type step struct{ member, root int }
	seen := make([]bool, len(g.members))
	// A name is followed once, however many need it.
	followed := map[string]bool{}
	var queue []step
	for _, i := range from {
		if !seen[i] {
			seen[i] = true
			queue = append(queue, step{i, i})
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		visit(s.member, s.root)
		for _, name := range g.members[s.member].requires {
			if followed[name] {
				continue
			}
			followed[name] = true
			for _, next := range g.named[name] {
				if !seen[next] {
					seen[next] = true
					queue = append(queue, step{next, s.root})
				}
			}
		}
	}
}

// through names for each package that nobody asked for the nearest one that
// somebody did ask for and that needs it.
func (g *graph) through() {
	g.reach(g.asked, func(member, root int) {
		if m := g.members[member]; member != root && m.out.Name != g.members[root].out.Name {
			m.out.Through = g.members[root].out.Name
		}
	})
}

// development marks what only packages for development need.
func (g *graph) development() {
	var dev, live []int
	for _, i := range g.asked {
		if m := g.members[i]; m.out.Dev || m.wishedDev && !m.wished {
			dev = append(dev, i)
		} else {
			live = append(live, i)
		}
	}
	if len(dev) == 0 {
		return
	}
	needed := make([]bool, len(g.members))
	g.reach(live, func(member, _ int) { needed[member] = true })
	g.reach(dev, func(member, _ int) {
		if !needed[member] {
			g.members[member].out.Dev = true
		}
	})
}
