package pkgdb

import (
	"path"
	"strings"
)

// pnpmLock reads node_modules/.pnpm/lock.yaml for what the project, and the
// parts of a workspace, ask for: the links that pnpm makes for it are no files.
// The part of it that matters is keys by indentation, and nothing else of YAML.
func pnpmLock(f File, c Content) (Facts, error) {
	store := langParent(f.Path)
	var facts Facts
	var keys []string // from the outermost on
	var indents []int
	for line := range strings.Lines(string(c.Whole)) {
		text := strings.TrimRight(line, " \r\n")
		trimmed := strings.TrimLeft(text, " ")
		indent := len(text) - len(trimmed)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if indent == 0 && strings.HasPrefix(trimmed, "packages:") {
			break
		}
		key, value := yamlPair(trimmed)
		for len(indents) > 0 && indents[len(indents)-1] >= indent {
			keys, indents = keys[:len(keys)-1], indents[:len(indents)-1]
		}
		if len(keys) > 8 {
			break // as deep as nothing that is meant
		}
		keys, indents = append(keys, key), append(indents, indent)
		at := keys
		if at[0] == "importers" {
			at = at[min(2, len(at)):]
		}
		// GROUP NAME version, or in older ones GROUP NAME alone.
		if value == "" || len(at) < 2 || len(at) > 3 || len(at) == 3 && key != "version" {
			continue
		}
		group, name := at[0], at[1]
		if group != "dependencies" && group != "devDependencies" && group != "optionalDependencies" {
			continue
		}
		if own, dir, ok := pnpmPlace(name, value); ok {
			if len(facts.Packages) >= langPackages {
				facts.Skipped = langTooMany(langPackages, "packages")
				break
			}
			w := npmWish{name: own, dev: group == "devDependencies"}
			facts.Packages = append(facts.Packages, w.in(path.Join("/", store, dir, "node_modules", own)))
		}
	}
	return facts, nil
}

// yamlPair takes "key: value" apart, without quotes.
func yamlPair(text string) (key, value string) {
	if quote := text[:1]; quote == "'" || quote == `"` {
		key, value, _ = strings.Cut(text[1:], quote+":")
	} else {
		key, value, _ = strings.Cut(text, ":")
	}
	return key, strings.Trim(value, ` '"`)
}

// pnpmPlace is the directory in the store for the version that a lockfile
// resolved a name to: 7.0.0(react@18.2.0), or for an alias string-width@4.2.3.
// Older ones write /string-width/4.2.3.
func pnpmPlace(name, version string) (own, dir string, ok bool) {
	id := version
	if '0' <= version[0] && version[0] <= '9' {
		id = name + "@" + version
	}
	id = strings.TrimPrefix(id, "/")
	own, _, ok = strings.Cut(id[min(1, len(id)):], "@")
	if own = id[:min(1, len(id))] + own; !ok {
		i := strings.LastIndexByte(id, '/')
		if i < 0 {
			return "", "", false
		}
		own, id = id[:i], id[:i]+"@"+id[i+1:]
	}
	// Longer ones, and those with upper case letters, end in a hash.
	if !npmName(own) || strings.HasPrefix(version, "link:") || strings.HasPrefix(version, "file:") {
		return "", "", false
	}
	dir = pnpmEscaped.Replace(strings.TrimSuffix(id, ")"))
	return own, dir, !strings.Contains(dir, "..")
}

// pnpmEscaped is how pnpm makes the name of a directory.
var pnpmEscaped = strings.NewReplacer(")(", "_", "(", "_", ")", "_", "/", "+", `\`, "+", ":", "+", "*", "+", "?", "+", `"`, "+", "<", "+", ">", "+", "|", "+", "#", "+")
