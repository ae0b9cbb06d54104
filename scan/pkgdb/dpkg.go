package pkgdb

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

const (
	dpkgStatus  = "var/lib/dpkg/status"
	dpkgStanzas = "var/lib/dpkg/status.d/"
	dpkgInfo    = "var/lib/dpkg/info/"
	dpkgDiverts = "var/lib/dpkg/diversions"
	aptStates   = "var/lib/apt/extended_states"
)

// dpkgReaders read the database of dpkg, and what apt adds to it.
//
// The name of a package has no architecture here. Several architectures of one
// name can be installed at a time only if they are of one version, dpkg sees to
// that, and then they are one package whose files are those of all its lists.
func dpkgReaders() []reader {
	return []reader{
		{
			name:  "dpkg status",
			wants: func(f File, _ []byte) bool { return f.Path == dpkgStatus },
			max:   64 << 20,
			read: func(_ File, c Content) (Facts, error) {
				return dpkgPackages(string(c.Whole), false)
			},
		},
		{
			name: "dpkg file list",
			adds: true,
			wants: func(f File, _ []byte) bool {
				_, ok := between(f.Path, dpkgInfo, ".list")
				return ok
			},
			max:  16 << 20,
			read: readDpkgList,
		},
		{
			name: "dpkg checksums",
			adds: true,
			wants: func(f File, _ []byte) bool {
				_, ok := between(f.Path, dpkgStanzas, ".md5sums")
				return ok
			},
			max:  16 << 20,
			read: readDpkgSums,
		},
		{
			// Images without a package manager, such as distroless, have one file
			// for each package instead of a status.
			name: "dpkg stanza",
			wants: func(f File, _ []byte) bool {
				_, ok := between(f.Path, dpkgStanzas, "")
				return ok
			},
			max: 1 << 20,
			read: func(_ File, c Content) (Facts, error) {
				return dpkgPackages(string(c.Whole), true)
			},
		},
		{
			name:  "dpkg diversions",
			adds:  true,
			wants: func(f File, _ []byte) bool { return f.Path == dpkgDiverts },
			max:   1 << 20,
			read:  readDpkgDiversions,
		},
		{
			name:  "apt extended states",
			adds:  true,
			wants: func(f File, _ []byte) bool { return f.Path == aptStates },
			max:   64 << 20,
			read:  readAptStates,
		},
	}
}

// between returns what stands between a directory and a suffix, if that is the
// name of a file in that very directory.
func between(path, dir, suffix string) (string, bool) {
	name, in := strings.CutPrefix(path, dir)
	name, is := strings.CutSuffix(name, suffix)
	return name, in && is && name != "" && !strings.Contains(name, "/")
}

// dpkgPackages reads stanzas. One that says nothing of its state is installed
// only where the file itself means that.
func dpkgPackages(text string, installed bool) (facts Facts, err error) {
	for fields := range stanzas(text) {
		name := fields["package"]
		if name == "" {
			continue
		}
		if len(facts.Packages) == maxPackages {
			return facts, errManyPackages
		}
		state := fields["status"]
		facts.Packages = append(facts.Packages, Package{
			Ecosystem: Dpkg,
			Name:      strings.Clone(name),
			Version:   strings.Clone(fields["version"]),
			Installed: dpkgOnDisk(state) || installed && state == "",
			// What is recommended is installed by itself as well, and apt notes
			// both as automatic.
			Requires: dpkgNames(fields["pre-depends"], fields["depends"], fields["recommends"]),
			Provides: dpkgNames(fields["provides"]),
		})
	}
	return facts, nil
}

// stanzas yields the fields of each paragraph, by name in lower case; of a
// field that goes on over several lines the first only, which is all that the
// fields read here ever have. The map is the same each time.
func stanzas(text string) func(yield func(map[string]string) bool) {
	return func(yield func(map[string]string) bool) {
		fields := map[string]string{}
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) == "" {
				if len(fields) > 0 && !yield(fields) {
					return
				}
				clear(fields)
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if !ok || line[0] == ' ' || line[0] == '\t' {
				continue
			}
			// The last of two fields of one name counts, as with dpkg.
			fields[strings.ToLower(name)] = strings.TrimSpace(value)
		}
		if len(fields) > 0 {
			yield(fields)
		}
	}
}

// dpkgOnDisk tells of a status, such as "install ok installed", whether files
// of the package are there.
func dpkgOnDisk(status string) bool {
	words := strings.Fields(status)
	if len(words) != 3 {
		return false
	}
	switch words[2] {
	case "installed", "half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending":
		return true
	}
	return false // not-installed, config-files
}

// dpkgNames returns the names in relations such as "libc6 (>= 2.36), a:any | b",
// each once.
func dpkgNames(relations ...string) []string {
	var names []string
	seen := map[string]bool{}
	for _, relation := range relations {
		for one := range strings.FieldsFuncSeq(relation, func(r rune) bool { return r == ',' || r == '|' }) {
			one = strings.TrimSpace(one)
			if end := strings.IndexAny(one, " \t:([<"); end >= 0 {
				one = one[:end]
			}
			if one != "" && !seen[one] {
				seen[one] = true
				names = append(names, strings.Clone(one))
			}
		}
	}
	return names
}

// readDpkgList reads the files of one package, whose name is that of the list.
func readDpkgList(f File, c Content) (Facts, error) {
	name, _ := between(f.Path, dpkgInfo, ".list")
	name, _, _ = strings.Cut(name, ":")
	p := Package{Ecosystem: Dpkg, Name: name}
	var room pathRoom
	for line := range strings.Lines(string(c.Whole)) {
		// The root itself stands there as "/.". What unpacks packages without dpkg
		// may leave out the first slash.
		path := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "./"), "/")
		if path == "" || path == "." {
			continue
		}
		if !room.take(len(path) + 1) {
			return Facts{Packages: []Package{p}}, errManyFiles
		}
		p.Files = append(p.Files, "/"+path)
	}
	return Facts{Packages: []Package{p}}, nil
}

// readDpkgSums reads the files of one package where no list is. Its
// configuration files are not among them.
func readDpkgSums(f File, c Content) (Facts, error) {
	name, _ := between(f.Path, dpkgStanzas, ".md5sums")
	p := Package{Ecosystem: Dpkg, Name: name}
	var room pathRoom
	for line := range strings.Lines(string(c.Whole)) {
		_, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if path = strings.TrimPrefix(strings.TrimPrefix(path, "."), "/"); ok && path != "" {
			if !room.take(len(path)) {
				return Facts{Packages: []Package{p}}, errManyFiles
			}
			p.Files = append(p.Files, "/"+path)
		}
	}
	return Facts{Packages: []Package{p}}, nil
}

// readDpkgDiversions reads three lines for each: from, to, and by whom, ":" if
// that is the administrator.
func readDpkgDiversions(_ File, c Content) (facts Facts, err error) {
	lines := strings.Split(strings.TrimSuffix(string(c.Whole), "\n"), "\n")
	for ; len(lines) >= 3; lines = lines[3:] {
		d := Diversion{From: lines[0], To: lines[1], By: lines[2]}
		if d.By == ":" {
			d.By = ""
		}
		if !strings.HasPrefix(d.From, "/") || !strings.HasPrefix(d.To, "/") {
			return facts, errors.New("a diversion of no file")
		}
		facts.Diverted = append(facts.Diverted, d)
	}
	return facts, nil
}

// readAptStates reads what apt installed for the sake of others. What it says
// nothing of was asked for, so nothing is said of what it names as asked for: a
// name is automatic if all its architectures are.
func readAptStates(_ File, c Content) (facts Facts, err error) {
	automatic := map[string]bool{}
	for fields := range stanzas(string(c.Whole)) {
		name := fields["package"]
		if name == "" {
			continue
		}
		so, again := automatic[name]
		if !again && len(automatic) == maxPackages {
			err = errManyPackages
			break
		}
		automatic[strings.Clone(name)] = fields["auto-installed"] == "1" && (so || !again)
	}
	for _, name := range slices.Sorted(maps.Keys(automatic)) {
		if automatic[name] {
			facts.Packages = append(facts.Packages, Package{Ecosystem: Dpkg, Name: name, Asked: AsDependency})
		}
	}
	return facts, err
}
