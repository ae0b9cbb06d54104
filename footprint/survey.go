package footprint

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Survey walks Files once and fills in Dirs and DirFloor, Contents and Surface.
// base is the number of layers that FROM brought, 0 if it is unknown.
func (img *Image) Survey(base int) {
	r := roller{limit: MaxDirs}
	c := contentWalk{base: base, sums: map[ContentKind]*Content{}, heaviest: map[ContentKind]Bytes{}}
	s := Surface{}
	for f := range img.Files {
		if f.Kind == Regular {
			r.add(f)
		}
		c.add(f)
		s.add(f)
	}
	img.Dirs, img.DirFloor = r.finish()
	img.Contents = c.finish()
	img.Surface = &s
}

// contentWalk tells kinds of content apart on a walk in path order.
type contentWalk struct {
	base     int
	open     []contentDir
	sums     map[ContentKind]*Content
	heaviest map[ContentKind]Bytes
}

// contentDir is a directory above the current path.
type contentDir struct {
	path string
	// kind is that of everything in it, "" if it is not of one kind.
	kind ContentKind
	// sources are the names of Python sources in it without their suffix, and
	// compiled what was compiled from such.
	sources  []string
	compiled []compiled
}

type compiled struct {
	source string
	file   File
}

func (c *contentWalk) add(f File) {
	for len(c.open) > 0 && !holds(c.open[len(c.open)-1].path, f.Path) {
		c.close()
	}
	var above *contentDir
	if len(c.open) > 0 {
		above = &c.open[len(c.open)-1]
	}
	switch f.Kind {
	case Directory:
		d := contentDir{path: f.Path}
		if above != nil {
			d.kind = above.kind
		}
		if d.kind == "" {
			d.kind = cmp.Or(kindOf(f.Path), testKind(f.Path))
		}
		c.open = append(c.open, d)
		return
	case Regular:
	default:
		return
	}
	kind := ContentKind("")
	if above != nil {
		kind = above.kind
	}
	if kind == "" {
		kind = kindOfName(f.Path)
	}
	switch {
	case kind != "":
		c.count(kind, f, f.Size)
	case c.python(f):
	default:
		if f.Debug > 0 {
			c.count(DebugInfo, f, f.Debug)
		}
		if f.Symbols > 0 {
			c.count(SymbolTables, f, f.Symbols)
		}
	}
}

// python puts sources and what was compiled from them aside until it is known
// whether both are there: bytecode without its source is a program.
func (c *contentWalk) python(f File) bool {
	if !strings.HasSuffix(f.Path, ".py") && !strings.HasSuffix(f.Path, ".pyc") || len(c.open) == 0 {
		return false
	}
	dir := len(c.open) - 1
	name := path.Base(f.Path)
	if source, ok := strings.CutSuffix(name, ".py"); ok {
		c.open[dir].sources = append(c.open[dir].sources, source)
		return true
	}
	source := strings.TrimSuffix(name, ".pyc")
	if path.Base(c.open[dir].path) == "__pycache__" && dir > 0 {
		// name.cpython-311.pyc, name.cpython-311.opt-1.pyc
		if at := strings.LastIndex(source, ".cpython-"); at > 0 {
			source = source[:at]
		}
		dir--
	}
	c.open[dir].compiled = append(c.open[dir].compiled, compiled{source, f})
	return true
}

func (c *contentWalk) close() {
	last := len(c.open) - 1
	d := &c.open[last]
	c.open = c.open[:last]
	if len(d.compiled) == 0 || len(d.sources) == 0 {
		return
	}
	slices.Sort(d.sources)
	for _, p := range d.compiled {
		if _, found := slices.BinarySearch(d.sources, p.source); found {
			c.count(Bytecode, p.file, p.file.Size)
		}
	}
}

func (c *contentWalk) count(kind ContentKind, f File, bytes Bytes) {
	if bytes == 0 {
		return // an empty file, or a further name of one
	}
	s := c.sums[kind]
	if s == nil {
		s = &Content{Kind: kind}
		c.sums[kind] = s
	}
	s.Bytes += bytes
	s.Files++
	if f.Layer >= c.base {
		s.Own += bytes
	}
	if bytes > c.heaviest[kind] {
		c.heaviest[kind], s.Heaviest = bytes, f.Path
	}
}

func (c *contentWalk) finish() []Content {
	for len(c.open) > 0 {
		c.close()
	}
	var out []Content
	for _, s := range c.sums {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Content) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Kind, b.Kind)) })
	return out
}

// kindOfName is the kind that a file's name tells, "" for most.
func kindOfName(p string) ContentKind {
	switch ext := path.Ext(p); ext {
	case ".map":
		switch path.Ext(strings.TrimSuffix(p, ext)) {
		case ".js", ".mjs", ".cjs", ".css", ".ts":
			return SourceMaps
		}
	case ".a":
		return StaticArchives
	case ".mo":
		return Locales
	case ".debug":
		return DebugInfo
	}
	return ""
}

// testKind tells whether a directory holds the tests of an installed package.
// A package may be called so itself.
func testKind(dir string) ContentKind {
	name, above := lastName(dir)
	switch name {
	case "test", "tests", "__tests__":
	default:
		return ""
	}
	parent, further := lastName(above)
	if parent == "node_modules" || strings.HasPrefix(parent, "@") && path.Base(further) == "node_modules" {
		return ""
	}
	for _, in := range []string{"/node_modules/", "/site-packages/", "/dist-packages/", "/gems/"} {
		if strings.Contains(above+"/", in) {
			return Tests
		}
	}
	if strings.HasPrefix(parent, "python3") && name == "test" {
		return Tests
	}
	return ""
}
