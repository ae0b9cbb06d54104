package pkgdb

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// yarnIntegrity reads node_modules/.yarn-integrity, in which yarn 1 keeps what
// all parts of a workspace ask for. What a single project asks for stands in its
// package.json, which also tells what for.
func yarnIntegrity(f File, c Content) (Facts, error) {
	var state struct {
		TopLevelPatterns []string `json:"topLevelPatterns"`
		ModulesFolders   []string `json:"modulesFolders"`
	}
	err := langJSON(c.Whole, &state)
	if !slices.ContainsFunc(state.ModulesFolders, func(of string) bool { return of != "node_modules" }) {
		return Facts{}, err
	}
	var facts Facts
	for _, pattern := range state.TopLevelPatterns {
		if pattern == "" {
			continue
		}
		name, version, _ := strings.Cut(pattern[1:], "@")
		if name = pattern[:1] + name; !npmName(name) {
			continue
		}
		if len(facts.Packages) >= langPackages {
			facts.Skipped = langTooMany(langPackages, "packages")
			break
		}
		facts.Packages = append(facts.Packages, npmWish{found: name, name: npmAlias(name, version)}.in(path.Join("/", langParent(f.Path), name)))
	}
	return facts, err
}

// yarnZip takes the name of an archive apart that yarn keeps a package in, and
// Plug'n'Play runs from: @babel-core-npm-7.0.0-0123456789-10c0.zip.
var yarnZip = regexp.MustCompile(`(?:^|/)\.yarn/(?:berry/)?cache/(@?[a-z0-9._~-]+)-npm-([0-9]+\.[0-9A-Za-z.+-]+?)-[0-9a-f]{10}(?:-[0-9a-z]+)?\.zip$`)

func yarnArchive(f File, c Content) (Facts, error) {
	m := yarnZip.FindStringSubmatch(f.Path)
	if m == nil {
		return Facts{}, nil
	}
	name := yarnName(c)
	if name == "" {
		// Of a scope with a hyphen the name of the file does not tell the end.
		name = m[1]
		if name[0] == '@' {
			name = strings.Replace(name, "-", "/", 1)
		}
	}
	at := "/" + f.Path
	return Facts{Packages: []Package{{
		Ecosystem: Npm, Root: at, Name: name, Version: m[2], Installed: true, Files: []string{at},
	}}}, nil
}

// yarnName is the package of an archive by its first entries, which are the
// directories node_modules, node_modules/@SCOPE and so on; "" if they are not.
func yarnName(c Content) string {
	var at int64
	for range 4 {
		var header [30]byte
		if _, err := c.ReadAt(header[:], at); err != nil || string(header[:4]) != "PK\x03\x04" {
			break
		}
		size := int64(binary.LittleEndian.Uint32(header[18:]))
		length, extra := int64(binary.LittleEndian.Uint16(header[26:])), int64(binary.LittleEndian.Uint16(header[28:]))
		entry := make([]byte, length)
		if _, err := c.ReadAt(entry, at+30); err != nil {
			break
		}
		dir := strings.TrimSuffix(string(entry), "/")
		if !strings.HasSuffix(string(entry), "/") {
			dir = langParent(dir)
		}
		if name, ok := npmPlace(dir); ok && name != "" {
			return name
		}
		at += 30 + length + extra + size
	}
	return ""
}

// With Plug'n'Play, yarn has no node_modules. A program, .pnp.cjs, holds the map
// of which package finds which others, and where: mostly inside archives.

// pnpPackage is one version of a package in the map.
type pnpPackage struct {
	Location string `json:"packageLocation"`
	// Dependencies are pairs: a name, and what it stands for. That is a
	// reference such as "npm:4.6.0", or for an alias a pair of name and reference.
	Dependencies [][2]json.RawMessage `json:"packageDependencies"`
	// LinkType is SOFT for what is part of the project.
	LinkType string `json:"linkType"`

	name, reference string
	root            string
}

// pnpMap reads what the project asks for, and what needs what.
func pnpMap(f File, c Content) (Facts, error) {
	data := c.Whole
	if path.Base(f.Path) != ".pnp.data.json" {
		data = pnpState(data)
		if data == nil {
			return Facts{}, nil // of another kind, with the map in a file beside it
		}
	}
	var state struct {
		Registry [][2]json.RawMessage `json:"packageRegistryData"`
	}
	if err := langJSON(data, &state); err != nil {
		return Facts{}, err
	}
	var all []pnpPackage
	type id struct{ name, reference string }
	roots := map[id]string{}
	for _, entry := range state.Registry {
		name := pnpText(entry[0])
		var versions [][2]json.RawMessage
		if langJSON(entry[1], &versions) != nil {
			continue
		}
		for _, version := range versions {
			p := pnpPackage{name: name, reference: pnpText(version[0])}
			if len(all) >= langPackages || langJSON(version[1], &p) != nil {
				continue
			}
			p.root = pnpRoot(langParent(f.Path), p.Location)
			all = append(all, p)
			roots[id{p.name, p.reference}] = p.root
		}
	}
	var facts Facts
	for _, p := range all {
		known := Package{Ecosystem: Npm, Root: p.root, Name: p.name}
		for _, pair := range p.Dependencies {
			name, reference := pnpText(pair[0]), pnpText(pair[1])
			if reference == "" {
				var alias [2]string
				if langJSON(pair[1], &alias) == nil {
					name, reference = alias[0], alias[1]
				}
			}
			if !npmName(name) || name == p.name {
				continue
			}
			known.Requires = append(known.Requires, name)
			if root := roots[id{name, reference}]; p.LinkType == "SOFT" && root != "" && len(facts.Packages) < langPackages {
				facts.Packages = append(facts.Packages, npmWish{name: name}.in(root))
			}
		}
		known.Requires = langSet(known.Requires)
		if p.LinkType != "SOFT" && npmName(p.name) && p.root != "" && len(facts.Packages) < langPackages {
			facts.Packages = append(facts.Packages, known)
		}
	}
	if len(all) >= langPackages || len(facts.Packages) >= langPackages {
		facts.Skipped = langTooMany(langPackages, "packages")
	}
	return facts, nil
}

// pnpState takes the map out of the program, where it is a string literal over
// many lines; nil if there is none.
func pnpState(program []byte) []byte {
	_, literal, found := bytes.Cut(program, []byte("RAW_RUNTIME_STATE"))
	_, literal, opened := bytes.Cut(literal, []byte("'"))
	if !found || !opened {
		return nil
	}
	state := make([]byte, 0, len(literal))
	for i := 0; i < len(literal) && literal[i] != '\''; i++ {
		if literal[i] == '\\' && i+1 < len(literal) {
			if i++; literal[i] == '\n' {
				continue
			}
		}
		state = append(state, literal[i])
	}
	return state
}

// pnpText is a string of JSON, "" for anything else.
func pnpText(raw json.RawMessage) (text string) {
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// pnpVirtual finds the path of a package that has several sets of neighbours,
// each by a path that is not there: __virtual__/HASH/LEVELS-UP/REST.
var pnpVirtual = regexp.MustCompile(`^(.*?)(?:__virtual__|\$\$virtual)/[^/]+/([0-9])/(.*)$`)

// pnpRoot is the archive or the directory that holds a package.
func pnpRoot(dir, location string) string {
	if m := pnpVirtual.FindStringSubmatch(location); m != nil {
		up, _ := strconv.Atoi(m[2])
		location = m[1] + strings.Repeat("../", up) + m[3]
	}
	if archive, _, inside := strings.Cut(location, ".zip/"); inside {
		location = archive + ".zip"
	}
	return langPath(dir, location)
}
