package pkgdb

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// A published application of .NET has NAME.deps.json beside it, which lists the
// packages and the files that came from each. So has a shared framework.

func dotnetReaders() []reader {
	return []reader{
		{name: ".NET dependencies", max: langList, read: dotnetDependencies, wants: func(f File, _ []byte) bool {
			return strings.HasSuffix(f.Path, ".deps.json")
		}},
	}
}

// dotnetTarget is what one library brings for one target.
type dotnetTarget struct {
	Dependencies map[string]string `json:"dependencies"`
	// The files are by their paths in the package.
	Runtime        map[string]struct{} `json:"runtime"`
	Native         map[string]struct{} `json:"native"`
	RuntimeTargets map[string]struct{} `json:"runtimeTargets"`
	Resources      map[string]struct {
		Locale string `json:"locale"`
	} `json:"resources"`
}

// dotnetRuntime begins the name of the runtime in an application that brings it
// along.
const dotnetRuntime = "runtimepack."

// dotnetShared finds the directory of a shared framework.
var dotnetShared = regexp.MustCompile(`(?:^|/)shared/([^/]+)/([0-9][^/]*)/([^/]+)\.deps\.json$`)

func dotnetDependencies(f File, c Content) (Facts, error) {
	dir := langParent(f.Path)
	root := path.Join("/", dir)
	if m := dotnetShared.FindStringSubmatch(f.Path); m != nil && m[1] == m[3] {
		return Facts{Packages: []Package{{
			Ecosystem: Dotnet, Root: root, Name: m[1], Version: m[2], Installed: true, Trees: []string{root},
		}}}, nil
	}
	var deps struct {
		RuntimeTarget struct {
			Name string `json:"name"`
		} `json:"runtimeTarget"`
		Targets   map[string]map[string]dotnetTarget `json:"targets"`
		Libraries map[string]struct {
			Type string `json:"type"`
		} `json:"libraries"`
	}
	err := langJSON(c.Whole, &deps)
	var facts Facts
	add := func(p Package) {
		if len(facts.Packages) >= langPackages {
			facts.Skipped = langTooMany(langPackages, "packages")
			return
		}
		facts.Packages = append(facts.Packages, p)
	}
	for _, target := range langKeys(deps.Targets, langNames) {
		// The others are for compiling.
		if running := deps.RuntimeTarget.Name; running != "" && target != running {
			continue
		}
		libraries := deps.Targets[target]
		keys := langKeys(libraries, langPackages)
		// Case does not matter in names, and those who need a package may write it
		// in another one.
		names := make(map[string]string, len(keys))
		for _, key := range keys {
			name, _, _ := strings.Cut(key, "/")
			names[strings.ToLower(name)] = name
		}
		for _, key := range keys {
			name, version, ok := strings.Cut(key, "/")
			kind := deps.Libraries[key].Type
			if !ok || name == "" {
				continue
			}
			lib := libraries[key]
			needs := langKeys(lib.Dependencies, langNames)
			for i, need := range needs {
				if as, ok := names[strings.ToLower(need)]; ok {
					need = as
				}
				needs[i] = strings.TrimPrefix(need, dotnetRuntime)
			}
			if kind == "project" {
				for _, need := range needs {
					add(Package{Ecosystem: Dotnet, Root: root, Name: need, Asked: ByName})
				}
				continue
			}
			p := Package{
				Ecosystem: Dotnet, Root: root, Version: version, Installed: true,
				Name: strings.TrimPrefix(name, dotnetRuntime),
			}
			p.Requires = langSet(needs)
			if !dotnetFiles(&p, dir, lib) {
				facts.Skipped = langTooMany(langFiles, "files")
			}
			add(p)
		}
	}
	return facts, err
}

// dotnetFiles adds the files of a library as they are published: flat, by locale,
// or, where the application is for any platform, as in the package.
func dotnetFiles(p *Package, dir string, lib dotnetTarget) (all bool) {
	all = true
	for _, assets := range []map[string]struct{}{lib.Runtime, lib.Native, lib.RuntimeTargets} {
		for _, asset := range langKeys(assets, langFiles) {
			// An empty directory has this name.
			if base := path.Base(asset); base != "_._" {
				all = langOwn(&p.Files, langBelow(dir, base), langBelow(dir, asset)) && all
			}
		}
	}
	for _, asset := range langKeys(lib.Resources, langFiles) {
		locale := lib.Resources[asset].Locale
		if locale == "" {
			locale = path.Base(path.Dir(asset))
		}
		all = langOwn(&p.Files, langBelow(dir, path.Join(locale, path.Base(asset)))) && all
	}
	slices.Sort(p.Files)
	p.Files = slices.Compact(p.Files)
	return all
}
