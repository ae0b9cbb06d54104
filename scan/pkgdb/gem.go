package pkgdb

import (
	"bytes"
	"path"
	"regexp"
	"strings"
)

// A gem is a directory gems/NAME-VERSION[-PLATFORM] of a gem home, with a
// description of that name in specifications. Those that come with Ruby have it
// in specifications/default, and their code in Ruby's own library.

func gemReaders() []reader {
	return []reader{
		{name: "gem specification", max: langManifest, read: gemSpecification, wants: func(f File, head []byte) bool {
			if !strings.HasSuffix(f.Path, ".gemspec") {
				return false
			}
			dir := path.Base(strings.TrimSuffix(langParent(f.Path), "/default"))
			return dir == "specifications" && (bytes.Contains(head, []byte("# stub: ")) || bytes.Contains(head, []byte("Gem::Specification.new")))
		}},
		{name: "gem from git", parts: headOnly, read: gemCheckout, wants: func(f File, _ []byte) bool {
			return strings.HasSuffix(f.Path, ".gemspec") && gemGit.MatchString(f.Path)
		}},
		{name: "gem extension", parts: headOnly, read: gemExtension, wants: func(f File, _ []byte) bool {
			return strings.HasSuffix(f.Path, "/gem.build_complete") && gemBuilt.MatchString(f.Path)
		}},
	}
}

var (
	// gemStub is what RubyGems itself reads of a specification: name, version,
	// platform and more.
	gemStub = regexp.MustCompile(`(?m)^# stub: (\S+) (\S+) (\S+)`)
	// gemNeeds finds what is needed, as RubyGems writes it and as people do.
	gemNeeds = regexp.MustCompile(`(?m)^\s*s\.add_(runtime_|development_|)dependency\(?\s*(?:%q<([^>\n]+)>|["']([^"'\n]+)["'])`)
	// gemLists finds the lists of files and of programs.
	gemLists  = regexp.MustCompile(`(?m)^\s*s\.(files|executables) = \[(.*)\]`)
	gemString = regexp.MustCompile(`"([^"\\]+)"`)
	gemGit    = regexp.MustCompile(`(?:^|/)bundler/gems/([^/]+)-([0-9a-f]{7,40})/([^/]+)\.gemspec$`)
	gemBuilt  = regexp.MustCompile(`^((?:.*/)?)extensions/[^/]+/[^/]+/([^/]+)-([^/-]+)/gem\.build_complete$`)
	// gemOfRuby takes the home of Ruby's own gems apart.
	gemOfRuby = regexp.MustCompile(`^((?:.*/)?)(lib/ruby)/gems/([^/]+)$`)
)

// gemPlatforms are the directories that Ruby's own extensions stand in.
var gemPlatforms = []string{
	"x86_64-linux", "x86_64-linux-gnu", "x86_64-linux-musl", "aarch64-linux", "aarch64-linux-gnu", "aarch64-linux-musl",
}

// gemAt is the package that a gem home has under its full name. That is all
// that the files of one gem have in common.
func gemAt(home, full, name, version string) Package {
	return Package{Ecosystem: Gem, Root: path.Join("/", home, "gems", full), Name: name, Version: version}
}

func gemSpecification(f File, c Content) (Facts, error) {
	full := strings.TrimSuffix(path.Base(f.Path), ".gemspec")
	dir := langParent(f.Path)
	// Without a line for RubyGems, the name of the file tells as much.
	name, version := full, ""
	if i := strings.LastIndexByte(full, '-'); i > 0 {
		name, version = full[:i], full[i+1:]
	}
	if m := gemStub.FindSubmatch(c.Whole); m != nil && strings.HasPrefix(full+"-", string(m[1])+"-"+string(m[2])+"-") {
		name, version = string(m[1]), string(m[2])
	}
	home := langParent(dir)
	ofRuby := path.Base(dir) == "default"
	if ofRuby {
		home = langParent(home)
	}
	p := gemAt(home, full, name, version)
	p.Installed = true
	p.Files = []string{"/" + f.Path, path.Join("/", home, "build_info", full+".info")}
	p.Trees = []string{p.Root, path.Join("/", home, "doc", full)}
	p.Requires = gemRequires(c.Whole)

	ruby := gemOfRuby.FindStringSubmatch(home)
	var facts Facts
	for _, list := range gemLists.FindAllSubmatch(c.Whole, 2) {
		for _, s := range gemString.FindAllSubmatch(list[2], langFiles) {
			var own []string
			if item := string(s[1]); string(list[1]) == "executables" {
				own = append(own, langBelow(path.Join(home, "bin"), item))
				if ruby != nil {
					own = append(own, langBelow(path.Join(ruby[1], "bin"), item))
				}
			} else if ofRuby && ruby != nil {
				// Some versions of Ruby leave the directory out.
				item = strings.TrimPrefix(item, "lib/")
				library := path.Join(ruby[1], ruby[2], ruby[3])
				own = append(own, langBelow(library, item))
				if strings.HasSuffix(item, ".so") {
					for _, platform := range gemPlatforms {
						own = append(own, langBelow(path.Join(library, platform), item))
					}
				}
			}
			if !langOwn(&p.Files, own...) {
				facts.Skipped = langTooMany(langFiles, "files")
			}
		}
	}
	facts.Packages = []Package{p}
	return facts, nil
}

// gemRequires are the gems that one needs at run time. Old versions of RubyGems
// write all a second time for still older ones, which did not tell them from
// those for development.
func gemRequires(specification []byte) []string {
	var names, either []string
	development := map[string]bool{}
	for _, m := range gemNeeds.FindAllSubmatch(specification, langNames) {
		name := string(m[2]) + string(m[3])
		switch string(m[1]) {
		case "runtime_":
			names = append(names, name)
		case "development_":
			development[name] = true
		default:
			either = append(either, name)
		}
	}
	for _, name := range either {
		if !development[name] {
			names = append(names, name)
		}
	}
	return langSet(names)
}

// gemCheckout is a gem that Bundler took from a repository: its version is the
// commit.
func gemCheckout(f File, _ Content) (Facts, error) {
	m := gemGit.FindStringSubmatch(f.Path)
	if m == nil {
		return Facts{}, nil
	}
	dir := "/" + langParent(f.Path)
	return Facts{Packages: []Package{{
		Ecosystem: Gem, Root: dir, Name: m[3], Version: m[2], Installed: true, Trees: []string{dir}, Asked: ByName,
	}}}, nil
}

// gemExtension is where what a gem compiled stands. Gems that compile have no
// platform in their names.
func gemExtension(f File, _ Content) (Facts, error) {
	m := gemBuilt.FindStringSubmatch(f.Path)
	if m == nil {
		return Facts{}, nil
	}
	p := gemAt(m[1], m[2]+"-"+m[3], m[2], m[3])
	p.Trees = []string{"/" + langParent(f.Path)}
	return Facts{Packages: []Package{p}}, nil
}
