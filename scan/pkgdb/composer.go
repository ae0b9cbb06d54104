package pkgdb

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"
)

// Composer keeps a list of what it installed in vendor/composer/installed.json,
// and the project asks for it in composer.json beside vendor.

func composerReaders() []reader {
	return []reader{
		{name: "Composer packages", max: langList, read: composerInstalled, wants: func(f File, _ []byte) bool {
			return f.Path == "composer/installed.json" || strings.HasSuffix(f.Path, "/composer/installed.json")
		}},
		{name: "Composer project", adds: true, max: langManifest, read: composerProject, wants: func(f File, _ []byte) bool {
			return path.Base(f.Path) == "composer.json" && langProject(f.Path, "vendor")
		}},
	}
}

// composerEntry is a package in the list. PHP writes an empty map as a list.
type composerEntry struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	InstallPath string            `json:"install-path"`
	Bin         []string          `json:"bin"`
	Require     map[string]string `json:"require"`
	Provide     map[string]string `json:"provide"`
	Replace     map[string]string `json:"replace"`
}

// composerName tells whether it is the name of a package, VENDOR/NAME. What has
// no slash is PHP itself, an extension of it, or a library.
func composerName(name string) bool {
	vendor, rest, ok := strings.Cut(name, "/")
	return ok && !strings.ContainsAny(rest, "/\x00") && strings.Trim(vendor, ".") != "" && strings.Trim(rest, ".") != ""
}

func composerNames(groups ...map[string]string) []string {
	var names []string
	for _, group := range groups {
		names = append(names, langKeys(group, langNames)...)
	}
	return langSet(slices.DeleteFunc(names, func(name string) bool { return !composerName(name) }))
}

func composerInstalled(f File, c Content) (Facts, error) {
	var list struct {
		Packages []composerEntry `json:"packages"`
		Dev      []string        `json:"dev-package-names"`
	}
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(c.Whole), []byte("[")) {
		err = langJSON(c.Whole, &list.Packages) // of Composer 1
	} else {
		err = langJSON(c.Whole, &list)
	}
	dev := make(map[string]bool, len(list.Dev))
	for _, name := range list.Dev {
		dev[name] = true
	}
	dir := langParent(f.Path)
	vendor := langParent(dir)
	var facts Facts
	for _, e := range list.Packages {
		if !composerName(e.Name) {
			continue
		}
		if len(facts.Packages) >= langPackages {
			facts.Skipped = langTooMany(langPackages, "packages")
			break
		}
		p := Package{
			Ecosystem: Composer, Root: path.Join("/", vendor, e.Name), Name: e.Name, Version: e.Version, Installed: true,
			Requires: composerNames(e.Require), Provides: composerNames(e.Provide, e.Replace), Dev: dev[e.Name],
		}
		// An installer may put it elsewhere in the project, but not in place of
		// all of it, or of all packages.
		if e.InstallPath != "" {
			at := langBelow(langParent(vendor), path.Join("/", dir, e.InstallPath))
			if vendorDir := path.Join("/", vendor); at == "" || strings.HasPrefix(vendorDir+"/", at+"/") {
				at = p.Root
			}
			p.Root = at
		}
		p.Trees = []string{p.Root}
		for _, program := range e.Bin {
			if !langOwn(&p.Files, langBelow(path.Join(vendor, "bin"), path.Base(program))) {
				break
			}
		}
		facts.Packages = append(facts.Packages, p)
	}
	return facts, err
}

// composerProject reads what the project itself asks for.
func composerProject(f File, c Content) (Facts, error) {
	var m struct {
		Require    map[string]string `json:"require"`
		RequireDev map[string]string `json:"require-dev"`
		Config     struct {
			VendorDir string `json:"vendor-dir"`
		} `json:"config"`
	}
	if langJSON(c.Whole, &m) != nil {
		return Facts{}, nil // a template, as those of npm
	}
	vendor := cmp.Or(m.Config.VendorDir, "vendor")
	var facts Facts
	for i, names := range [][]string{composerNames(m.Require), composerNames(m.RequireDev)} {
		for _, name := range names {
			if root := langBelow(path.Join(langParent(f.Path), vendor), name); root != "" {
				facts.Packages = append(facts.Packages, Package{Ecosystem: Composer, Root: root, Name: name, Asked: ByName, Dev: i == 1})
			}
		}
	}
	return facts, nil
}
