package pkgdb

import "strings"

// apkReaders read the database of apk, and the list of what was asked for.
func apkReaders() []reader {
	return []reader{
		{
			name: "apk database",
			wants: func(f File, _ []byte) bool {
				return f.Path == "lib/apk/db/installed" || f.Path == "usr/lib/apk/db/installed"
			},
			max:  128 << 20,
			read: readApkInstalled,
		},
		{
			name:  "apk world",
			adds:  true,
			wants: func(f File, _ []byte) bool { return f.Path == "etc/apk/world" },
			max:   1 << 20,
			read:  readApkWorld,
		},
	}
}

// readApkInstalled reads lines of one letter, a colon and a value. A blank line
// ends a package. Each is there for others, unless the world names it.
func readApkInstalled(_ File, c Content) (facts Facts, err error) {
	var p Package
	var dir string
	var room pathRoom
	add := func() error {
		if p.Name != "" {
			if len(facts.Packages) == maxPackages {
				return errManyPackages
			}
			p.Ecosystem, p.Installed, p.Asked = Apk, true, AsDependency
			facts.Packages = append(facts.Packages, p)
		}
		p, dir = Package{}, "/"
		return nil
	}
	if err := add(); err != nil {
		return facts, err
	}
	for line := range strings.Lines(string(c.Whole)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if err := add(); err != nil {
				return facts, err
			}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		switch field {
		case "P":
			p.Name = strings.Clone(value)
		case "V":
			p.Version = strings.Clone(value)
		case "D":
			p.Requires = apkNames(value)
		case "p":
			p.Provides = apkNames(value)
		case "F": // a directory, without slashes around it
			if dir = "/"; value != "" {
				dir = "/" + value + "/"
			}
		case "R": // a file in it
			if value == "" || len(dir)+len(value) > maxPath {
				continue
			}
			if !room.take(len(dir) + len(value)) {
				return facts, errManyFiles
			}
			p.Files = append(p.Files, dir+value)
		}
	}
	return facts, add()
}

// apkNames returns the names in a list such as "so:libc.musl-x86_64.so.1
// zlib>=1.2 !conflict", each once, without what the version has to be.
func apkNames(list string) []string {
	var names []string
	seen := map[string]bool{}
	for one := range strings.FieldsSeq(list) {
		if end := strings.IndexAny(one, "<>=~@"); end >= 0 {
			one = one[:end]
		}
		if one != "" && one[0] != '!' && !seen[one] {
			seen[one] = true
			names = append(names, strings.Clone(one))
		}
	}
	return names
}

func readApkWorld(_ File, c Content) (facts Facts, err error) {
	for _, name := range apkNames(string(c.Whole)) {
		facts.Packages = append(facts.Packages, Package{Ecosystem: Apk, Name: name, Asked: ByName})
	}
	return facts, nil
}
