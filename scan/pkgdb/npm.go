package pkgdb

import (
	"path"
	"regexp"
	"strings"
)

// A package of npm, yarn, pnpm or bun is a directory of node_modules with a
// package.json. It is known by the name in there, which differs from that of the
// directory where the project calls it by an alias.

func npmReaders() []reader {
	return []reader{
		{name: "npm package", max: langManifest, read: npmPackage, wants: func(f File, _ []byte) bool {
			dir, ok := strings.CutSuffix(f.Path, "/package.json")
			if !ok {
				return false
			}
			_, ok = npmPlace(dir)
			return ok
		}},
		{name: "npm project", adds: true, max: langManifest, read: npmProject, wants: func(f File, _ []byte) bool {
			return path.Base(f.Path) == "package.json" && langProject(f.Path, "node_modules")
		}},
		{name: "npm lockfile", max: langList, read: npmLock, wants: func(f File, _ []byte) bool {
			return npmState(f.Path, ".package-lock.json")
		}},
		{name: "yarn state", max: langList, read: yarnIntegrity, wants: func(f File, _ []byte) bool {
			return npmState(f.Path, ".yarn-integrity")
		}},
		{name: "pnpm lockfile", max: langList, read: pnpmLock, wants: func(f File, _ []byte) bool {
			return npmState(f.Path, ".pnpm/lock.yaml")
		}},
		{name: "yarn map", max: langList, read: pnpMap, wants: func(f File, _ []byte) bool {
			base := path.Base(f.Path)
			return base == ".pnp.cjs" || base == ".pnp.data.json"
		}},
		// The name of the archive says it all.
		{name: "yarn archive", parts: headOnly, read: yarnArchive, wants: func(f File, _ []byte) bool {
			return strings.HasSuffix(f.Path, ".zip") && yarnZip.MatchString(f.Path)
		}},
	}
}

// npmState tells whether a path is that of a file in a node_modules directory.
func npmState(p, name string) bool {
	dir, ok := strings.CutSuffix(p, "/"+name)
	return ok && path.Base(dir) == "node_modules"
}

// npmPlace tells whether a directory is the place of a package, and by which
// name others find it there, "" if by none. What a package ships deep inside
// itself, such as the node_modules of a test, is the package's own; between two
// packages stands nothing but node_modules and the stores of pnpm, bun and yarn.
func npmPlace(dir string) (name string, ok bool) {
	_, rest, found := strings.Cut("/"+dir, "/node_modules/")
	if !found {
		return "", false
	}
	parts := strings.Split(rest, "/")
	for {
		length := 1
		if strings.HasPrefix(parts[0], "@") || strings.HasPrefix(parts[0], ".") {
			length = min(2, len(parts))
		}
		name, parts = strings.Join(parts[:length], "/"), parts[length:]
		switch {
		case len(parts) == 0:
			return name, npmName(name)
		case len(parts) == 1:
			return "", parts[0] == "package" && strings.HasPrefix(name, ".store/")
		case parts[0] != "node_modules":
			return "", false
		}
		parts = parts[1:]
	}
}

// npmName tells whether a package can have that name: NAME or @SCOPE/NAME.
func npmName(name string) bool {
	scope, rest, scoped := strings.Cut(name, "/")
	if scoped {
		if len(scope) < 2 || scope[0] != '@' {
			return false
		}
		name = rest
	}
	return name != "" && len(name) <= 214 && name != "node_modules" && !strings.ContainsAny(name[:1], ".@") &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' || r == '\\' })
}

// npmManifest is what matters of a package.json, and of an entry of a lockfile.
type npmManifest struct {
	Name                 string            `json:"name"`
	Version              string            `json:"version"`
	Dependencies         map[string]string `json:"dependencies"`
	OptionalDependencies map[string]string `json:"optionalDependencies"`
	PeerDependencies     map[string]string `json:"peerDependencies"`
	DevDependencies      map[string]string `json:"devDependencies"`
	// Dev is set in lockfiles on what only development needs, Link on symbolic
	// links into a workspace.
	Dev  bool `json:"dev"`
	Link bool `json:"link"`
}

// called is the package's own name, else the one it is found by.
func (m npmManifest) called(found string) string {
	if npmName(m.Name) {
		return m.Name
	}
	return found
}

// requires are the packages that it needs, by their own names.
func (m npmManifest) requires() []string {
	var names []string
	for _, group := range []map[string]string{m.Dependencies, m.OptionalDependencies, m.PeerDependencies} {
		for _, name := range langKeys(group, langNames) {
			if npmName(name) {
				names = append(names, npmAlias(name, group[name]))
			}
		}
	}
	return langSet(names)
}

// npmWish is a package that a project asks for.
type npmWish struct {
	// found is the name to find it by, name its own.
	found, name string
	dev         bool
}

// wishes are what it asks for when it is a project.
func (m npmManifest) wishes() []npmWish {
	var all []npmWish
	for i, group := range []map[string]string{m.Dependencies, m.OptionalDependencies, m.DevDependencies} {
		for _, name := range langKeys(group, langNames) {
			_, needed := m.Dependencies[name]
			_, wanted := m.OptionalDependencies[name]
			dev := i == 2
			if npmName(name) && !(dev && (needed || wanted)) {
				all = append(all, npmWish{name, npmAlias(name, group[name]), dev})
			}
		}
	}
	return all
}

// npmAlias is the own name of a package that is asked for by name and version:
// another one for "npm:string-width@^4.2.0".
func npmAlias(name, version string) string {
	spec, ok := strings.CutPrefix(version, "npm:")
	if !ok || spec == "" {
		return name
	}
	own, _, _ := strings.Cut(spec[1:], "@") // not the @ of a scope
	if own = spec[:1] + own; npmName(own) {
		return own
	}
	return name
}

func npmPackage(f File, c Content) (Facts, error) {
	dir := langParent(f.Path)
	found, _ := npmPlace(dir)
	var m npmManifest
	err := langJSON(c.Whole, &m)
	p := Package{
		Ecosystem: Npm, Root: "/" + dir, Name: m.called(found), Version: m.Version,
		Installed: true, Trees: []string{"/" + dir}, Requires: m.requires(),
	}
	if p.Name == "" {
		return Facts{}, err
	}
	// A global install has no project that would ask for it.
	if npmGlobal.MatchString(langParent(dir)) || npmGlobal.MatchString(langParent(langParent(dir))) {
		p.Asked = ByName
	}
	return Facts{Packages: []Package{p}}, err
}

// npmGlobal are the directories that npm install --global fills.
var npmGlobal = regexp.MustCompile(`^(usr/|usr/local/|(.*/)?versions/node/[^/]+/)lib/node_modules$`)

// npmProject reads what the project itself asks for. Much is called package.json
// and is no JSON, such as the templates of generators: that is no fault.
func npmProject(f File, c Content) (Facts, error) {
	var m npmManifest
	if langJSON(c.Whole, &m) != nil {
		return Facts{}, nil
	}
	var facts Facts
	for _, w := range m.wishes() {
		facts.Packages = append(facts.Packages, w.in(path.Join("/", langParent(f.Path), "node_modules", w.found)))
	}
	return facts, nil
}

// in is the wish as it is fulfilled by what stands in a directory.
func (w npmWish) in(root string) Package {
	return Package{Ecosystem: Npm, Root: root, Name: w.name, Asked: ByName, Dev: w.dev}
}

// npmLock reads node_modules/.package-lock.json. It tells of all packages what
// they are for, and what the parts of a workspace ask for; the project itself is
// not in it.
func npmLock(f File, c Content) (Facts, error) {
	var lock struct {
		Packages map[string]npmManifest `json:"packages"`
	}
	err := langJSON(c.Whole, &lock)
	project := langParent(langParent(f.Path))
	var facts Facts
	add := func(p Package) {
		if len(facts.Packages) >= langPackages {
			facts.Skipped = langTooMany(langPackages, "packages")
			return
		}
		facts.Packages = append(facts.Packages, p)
	}
	for _, key := range langKeys(lock.Packages, langPackages+1) {
		entry := lock.Packages[key]
		if key == "" || key[0] == '/' || key[0] == '.' || path.Clean(key) != key || entry.Link || len(key) > langName {
			continue
		}
		if found, ok := npmPlace(key); ok && found != "" {
			if root := langPath(project, key); root != "" {
				add(Package{
					Ecosystem: Npm, Root: root, Name: entry.called(found), Version: entry.Version,
					Requires: entry.requires(), Dev: entry.Dev,
				})
			}
			continue
		}
		if strings.Count(key, "/") > langDeep {
			continue
		}
		for _, w := range entry.wishes() {
			// As Node looks for it: here, then in each directory above.
			for dir := key; ; dir = langParent(dir) {
				place := path.Join(dir, "node_modules", w.found)
				at, ok := lock.Packages[place]
				if root := langPath(project, place); ok && !at.Link && root != "" {
					w.name = at.called(w.found)
					add(w.in(root))
				} else if !ok && dir != "" {
					continue
				}
				break
			}
		}
	}
	return facts, err
}
