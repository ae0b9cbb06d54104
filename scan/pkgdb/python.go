package pkgdb

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A distribution of Python is a directory NAME-VERSION.dist-info beside its
// code, or in older times NAME-VERSION.egg-info. Each file in there describes
// the same package, so the name is always that of the directory: normalised, as
// package URLs want it. The directory is the root.

func pythonReaders() []reader {
	inside := func(name string) func(File, []byte) bool {
		return func(f File, _ []byte) bool {
			dir, ok := strings.CutSuffix(f.Path, "/"+name)
			return ok && strings.HasSuffix(dir, ".dist-info") && pythonSite(langParent(dir))
		}
	}
	// An egg-info elsewhere is the application's own, under development.
	inEgg := func(name string) func(File, []byte) bool {
		return func(f File, _ []byte) bool {
			dir, ok := strings.CutSuffix(f.Path, "/"+name)
			return ok && strings.HasSuffix(dir, ".egg-info") && pythonLibrary(langParent(dir))
		}
	}
	return []reader{
		{name: "Python metadata", max: langManifest, read: pythonMetadata, wants: inside("METADATA")},
		{name: "Python record", max: langList, read: pythonRecord, wants: inside("RECORD")},
		{name: "Python request", max: langManifest, read: pythonRequested, wants: inside("REQUESTED")},
		{name: "Python metadata", max: langManifest, read: pythonMetadata, wants: inEgg("PKG-INFO")},
		{name: "Python file list", max: langList, read: pythonInstalled, wants: inEgg("installed-files.txt")},
		{name: "Python module list", max: langManifest, read: pythonTopLevel, wants: inEgg("top_level.txt")},
		{name: "Python requirements", max: langManifest, read: pythonRequires, wants: inEgg("requires.txt")},
		{name: "Python metadata", max: langManifest, read: pythonMetadata, wants: func(f File, _ []byte) bool {
			return strings.HasSuffix(f.Path, ".egg-info") && pythonLibrary(langParent(f.Path))
		}},
		{name: "Python egg", max: langManifest, read: pythonEgg, wants: func(f File, _ []byte) bool {
			dir, ok := strings.CutSuffix(f.Path, "/EGG-INFO/PKG-INFO")
			return ok && strings.HasSuffix(dir, ".egg")
		}},
		{name: "conda package", of: Conda, max: langList, read: condaPackage, wants: func(f File, _ []byte) bool {
			return strings.HasSuffix(f.Path, ".json") && path.Base(langParent(f.Path)) == "conda-meta"
		}},
	}
}

// pythonLibrary tells whether a directory is one that Python installs into.
func pythonLibrary(dir string) bool {
	base := path.Base(dir)
	return base == "site-packages" || base == "dist-packages"
}

// pythonSite tells whether distributions in a directory are installed. Those
// deep inside a library are copies that a distribution ships for itself; pip
// does not see them either.
func pythonSite(dir string) bool {
	return pythonLibrary(dir) || !langWithin(dir, "site-packages") && !langWithin(dir, "dist-packages")
}

// pythonName is a name in the form in which names are compared: PEP 503.
func pythonName(name string) string {
	return strings.ToLower(pythonSeparator.ReplaceAllString(name, "-"))
}

var (
	pythonSeparator = regexp.MustCompile(`[-_.]+`)
	pythonPlatform  = regexp.MustCompile(`-py[0-9][0-9.]*(-[a-z].*)?$`)
	// pythonNameIn finds the name that a requirement begins with.
	pythonNameIn = regexp.MustCompile(`^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)`)
	// pythonExtra finds the marker of what is needed for an extra only.
	pythonExtra = regexp.MustCompile(`\bextra\s*==`)
)

// pythonAt is the package that a dist-info, egg-info or egg describes, by the
// path of that.
func pythonAt(dir string) Package {
	base := path.Base(dir)
	full := strings.TrimSuffix(base, path.Ext(base))
	full = pythonPlatform.ReplaceAllString(full, "")
	name, version := full, ""
	// The version begins with a digit; a name of old may have a hyphen.
	for i := range len(full) - 1 {
		if full[i] == '-' && '0' <= full[i+1] && full[i+1] <= '9' {
			name, version = full[:i], full[i+1:]
			break
		}
	}
	return Package{Ecosystem: Python, Root: "/" + dir, Name: pythonName(name), Version: version}
}

// pythonAbout is pythonAt for a file in the directory.
func pythonAbout(f File) Package { return pythonAt(langParent(f.Path)) }

func pythonMetadata(f File, c Content) (Facts, error) {
	var p Package
	if strings.HasSuffix(f.Path, ".egg-info") {
		p = pythonAt(f.Path)
		p.Files = []string{p.Root}
	} else {
		p = pythonAbout(f)
		p.Trees = []string{p.Root}
	}
	pythonHeaders(&p, c.Whole)
	return Facts{Packages: []Package{p}}, nil
}

// pythonHeaders adds what the metadata say. Their version is the exact one; that
// of the directory is escaped.
func pythonHeaders(p *Package, metadata []byte) {
	p.Installed = true
	for line := range bytes.Lines(metadata) {
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break // a description follows
		}
		key, value, _ := strings.Cut(text, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "version":
			p.Version = value
		case "provides-dist":
			p.Provides = append(p.Provides, pythonRequirement(value))
		case "requires-dist":
			p.Requires = append(p.Requires, pythonRequirement(value))
		}
	}
	p.Requires, p.Provides = langSet(p.Requires), langSet(p.Provides)
}

// pythonRequirement is the name in a requirement such as
// requests[security]>=2; python_version<"3", "" if only an extra needs it.
func pythonRequirement(text string) string {
	_, marker, _ := strings.Cut(text, ";")
	m := pythonNameIn.FindStringSubmatch(text)
	if m == nil || pythonExtra.MatchString(marker) {
		return ""
	}
	return pythonName(m[1])
}

// pythonRecord reads the list of files: CSV of path, hash and size, the paths
// relative to the directory of the dist-info.
func pythonRecord(f File, c Content) (Facts, error) {
	p := pythonAbout(f)
	site := langParent(langParent(f.Path))
	rows := csv.NewReader(bytes.NewReader(c.Whole))
	rows.FieldsPerRecord, rows.LazyQuotes, rows.ReuseRecord = -1, true, true
	var facts Facts
	var code pythonCode
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			facts.Skipped = "malformed"
			break
		}
		file := langPath(site, row[0])
		if !langOwn(&p.Files, file) {
			facts.Skipped = langTooMany(langFiles, "files")
			break
		}
		code.add(site, file)
	}
	code.own(&p)
	facts.Packages = []Package{p}
	return facts, nil
}

// pythonCode finds the compiled files of modules, which not every installer
// lists, and which Python writes itself at the first run.
type pythonCode struct {
	caches  []string // directories that hold nothing but the package's own
	modules []string // compiled files
}

// add takes one file of a distribution.
func (code *pythonCode) add(site, file string) {
	module, ok := strings.CutSuffix(file, ".py")
	if !ok || len(code.modules) > langFiles {
		return
	}
	dir, name := path.Split(module)
	dir = path.Clean(dir)
	switch {
	case dir == path.Join("/", site):
		// Many distributions have a single module here, and share the cache.
		if m := pythonVersion.FindStringSubmatch("/" + site); m != nil {
			for _, optimised := range []string{"", ".opt-1", ".opt-2"} {
				code.modules = append(code.modules, dir+"/__pycache__/"+name+".cpython-"+m[1]+m[2]+optimised+".pyc")
			}
		}
	case strings.HasPrefix(dir, path.Join("/", site)+"/"):
		cache := dir + "/__pycache__"
		if n := len(code.caches); n == 0 || code.caches[n-1] != cache {
			code.caches = append(code.caches, cache)
		}
	}
}

// own gives the package what was found.
func (code *pythonCode) own(p *Package) {
	langOwn(&p.Files, code.modules...)
	slices.Sort(code.caches)
	caches := slices.Compact(code.caches)
	p.Trees = append(p.Trees, caches[:min(len(caches), langFiles)]...)
}

// pythonVersion finds the version of the Python that a directory belongs to.
var pythonVersion = regexp.MustCompile(`/python([0-9])\.([0-9]{1,2})/(?:site|dist)-packages$`)

func pythonRequested(f File, _ Content) (Facts, error) {
	p := pythonAbout(f)
	p.Asked = ByName
	return Facts{Packages: []Package{p}}, nil
}

// pythonInstalled reads the list of files beside an egg-info's metadata, which
// is relative to the egg-info.
func pythonInstalled(f File, c Content) (Facts, error) {
	p := pythonAbout(f)
	dir := langParent(f.Path)
	var facts Facts
	var code pythonCode
	for line := range bytes.Lines(c.Whole) {
		file := langPath(dir, strings.TrimRight(string(line), "\r\n"))
		if !langOwn(&p.Files, file) {
			facts.Skipped = langTooMany(langFiles, "files")
			break
		}
		code.add(langParent(dir), file)
	}
	code.own(&p)
	facts.Packages = []Package{p}
	return facts, nil
}

// pythonTopLevel reads the modules of an egg-info, which may have no better list.
func pythonTopLevel(f File, c Content) (Facts, error) {
	p := pythonAbout(f)
	site := langParent(langParent(f.Path))
	var code pythonCode
	for line := range bytes.Lines(c.Whole) {
		name := strings.TrimSpace(string(line))
		if !pythonModule.MatchString(name) || len(p.Trees) >= langNames {
			continue
		}
		file := langPath(site, name+".py")
		p.Trees, p.Files = append(p.Trees, langPath(site, name)), append(p.Files, file)
		code.add(site, file)
	}
	code.own(&p)
	return Facts{Packages: []Package{p}}, nil
}

var pythonModule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$`)

// pythonRequires reads what setuptools wrote before it was part of the metadata:
// a requirement each line, those of extras and of markers in sections.
func pythonRequires(f File, c Content) (Facts, error) {
	p := pythonAbout(f)
	skip := false
	for line := range bytes.Lines(c.Whole) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "[") {
			skip = !strings.HasPrefix(text, "[:")
		} else if !skip {
			p.Requires = append(p.Requires, pythonRequirement(text))
		}
	}
	p.Requires = langSet(p.Requires)
	return Facts{Packages: []Package{p}}, nil
}

func pythonEgg(f File, c Content) (Facts, error) {
	p := pythonAt(langParent(langParent(f.Path)))
	p.Trees = []string{p.Root}
	pythonHeaders(&p, c.Whole)
	return Facts{Packages: []Package{p}}, nil
}

// condaPackage reads PREFIX/conda-meta/NAME-VERSION-BUILD.json.
func condaPackage(f File, c Content) (Facts, error) {
	var m struct {
		Name      string   `json:"name"`
		Version   string   `json:"version"`
		Depends   []string `json:"depends"`
		Files     []string `json:"files"`
		Requested string   `json:"requested_spec"`
		// Several is what later versions of conda and mamba write.
		Several []string `json:"requested_specs"`
	}
	if err := langJSON(c.Whole, &m); err != nil {
		return Facts{}, fmt.Errorf("reading a conda package: %w", err)
	}
	if m.Name == "" {
		return Facts{}, nil
	}
	prefix := langParent(langParent(f.Path))
	p := Package{
		Ecosystem: Conda, Root: path.Join("/", prefix), Name: m.Name, Version: m.Version, Installed: true,
		Files: []string{"/" + f.Path},
	}
	// Who was not asked for has the text None there.
	if m.Requested != "" && m.Requested != "None" || len(m.Several) > 0 {
		p.Asked = ByName
	}
	for _, d := range m.Depends {
		name, _, _ := strings.Cut(d, " ")
		p.Requires = append(p.Requires, name)
	}
	p.Requires = langSet(p.Requires)
	var facts Facts
	for _, name := range m.Files {
		if !langOwn(&p.Files, langBelow(prefix, name)) {
			facts.Skipped = langTooMany(langFiles, "files")
			break
		}
	}
	facts.Packages = []Package{p}
	return facts, nil
}
