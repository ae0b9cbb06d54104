package pkgdb

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// What the readers of the language ecosystems share.

// The bounds of what one file may tell. The largest real ones are a tenth of
// them; more is an attack on memory.
const (
	langManifest = 8 << 20   // bytes of a file that describes one package
	langList     = 64 << 20  // bytes of a file that lists many packages or files
	langNames    = 10_000    // packages that one package needs
	langPackages = 100_000   // packages in one file
	langFiles    = 250_000   // files of one package
	langValues   = 1_000_000 // values in one file of JSON
	langName     = 4096      // bytes of a path, as Linux has it
	langDir      = 1024      // bytes of a directory that packages are installed into
)

// langJSON decodes into structs. A field of another type than expected is left
// empty, as the other fields are still good; only what is no JSON is an error.
func langJSON(data []byte, into any) error {
	// Values of two bytes take a hundred when decoded.
	if bytes.Count(data, []byte(",")) >= langValues {
		return errors.New("decoding JSON: " + langTooMany(langValues, "values"))
	}
	err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), into)
	if other := (*json.UnmarshalTypeError)(nil); err == nil || errors.As(err, &other) {
		return nil
	}
	return fmt.Errorf("decoding JSON: %w", err)
}

// langPath is the absolute path that a name in a file of directory dir stands
// for. It never leaves the root; it is "" for what cannot be a name.
func langPath(dir, name string) string {
	switch {
	case name == "" || len(name) > langName || len(dir) > langDir || strings.IndexByte(name, 0) >= 0:
		return ""
	case name[0] == '/':
		return path.Clean(name)
	}
	return path.Join("/", dir, name)
}

// langBelow is langPath for what has to be inside dir, else "".
func langBelow(dir, name string) string {
	p := langPath(dir, name)
	if base := path.Join("/", dir); p == base || !strings.HasPrefix(p, strings.TrimSuffix(base, "/")+"/") {
		return ""
	}
	return p
}

// langOwn adds paths to those that a package owns, without the empty ones that
// [langPath] makes of no name. It tells whether they are within the bound.
func langOwn(files *[]string, paths ...string) bool {
	for _, p := range paths {
		if len(*files) >= langFiles {
			return false
		}
		if p != "" {
			*files = append(*files, p)
		}
	}
	return true
}

// langSet sorts names and takes out the empty ones and what is there twice.
func langSet(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 0 && names[0] == "" {
		names = names[1:]
	}
	if len(names) == 0 {
		return nil
	}
	return names[:min(len(names), langNames)]
}

// langKeys are the keys of a map in order, as many as the bound allows.
func langKeys[K cmp.Ordered, V any](m map[K]V, bound int) []K {
	keys := slices.Sorted(maps.Keys(m))
	return keys[:min(len(keys), bound)]
}

// langTooMany says what was left out.
func langTooMany(bound int, what string) string {
	return fmt.Sprintf("more than %d %s", bound, what)
}

// langParent is the directory of a path relative to the root, "" for the root.
func langParent(p string) string {
	return p[:max(strings.LastIndexByte(p, '/'), 0)]
}

// langWithin tells whether one of the directories of a path has that name.
func langWithin(p, name string) bool {
	for {
		i := strings.Index(p, name)
		if i < 0 {
			return false
		}
		end := i + len(name)
		if (i == 0 || p[i-1] == '/') && end < len(p) && p[end] == '/' {
			return true
		}
		p = p[end:]
	}
}

// langDeep is how deep the description of a project may stand for its wishes to
// be heard: deeper ones are examples and test data.
const langDeep = 8

// langProject tells whether a file can describe the project itself rather than
// something installed below a directory of that name.
func langProject(p, installed string) bool {
	return strings.Count(p, "/") <= langDeep && !langWithin(p, installed)
}
