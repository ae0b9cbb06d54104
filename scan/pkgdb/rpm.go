package pkgdb

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// rpmReaders read the database of rpm in all its forms, and what dnf adds to
// it. All are read from memory: a library for any of them wants a file on disk,
// and the one for SQLite is larger than the rest of this program.
func rpmReaders() []reader {
	return []reader{
		rpmReader("rpm database (sqlite)", "rpmdb.sqlite", sqliteBlobs),
		rpmReader("rpm database (ndb)", "Packages.db", ndbBlobs),
		rpmReader("rpm database (Berkeley DB)", "Packages", berkeleyBlobs),
		{
			// rpm empties this file when it is done. What is left in it would
			// have to be laid over the database, which is another file.
			name: "rpm write-ahead log",
			wants: func(f File, _ []byte) bool {
				return f.Size > 0 && inRpmDirectory(f.Path, "rpmdb.sqlite-wal")
			},
			max:   1 << 20,
			parts: headOnly,
			read: func(File, Content) (Facts, error) {
				return Facts{Skipped: "changes that did not get from it into the database"}, nil
			},
		},
		{
			name:  "dnf reasons",
			adds:  true,
			wants: func(f File, _ []byte) bool { return f.Path == "usr/lib/sysimage/libdnf5/packages.toml" },
			max:   64 << 20,
			read:  readDnfReasons,
		},
		{
			name:  "dnf history",
			adds:  true,
			wants: func(f File, _ []byte) bool { return f.Path == "var/lib/dnf/history.sqlite" },
			max:   maxRpm,
			read:  readDnfHistory,
		},
	}
}

// maxRpm is in bytes. The database of 2,000 packages has about 50 MB.
const maxRpm = 128 << 20

// inRpmDirectory tells whether it is that file of the database of rpm, which
// has moved over the years.
func inRpmDirectory(path, name string) bool {
	dir, ok := strings.CutSuffix(path, "/"+name)
	return ok && (dir == "var/lib/rpm" || dir == "usr/lib/sysimage/rpm" || dir == "usr/share/rpm")
}

// blobs calls f for the header of each package in a database. The bytes are the
// database's own where they can be. It calls for no more bytes than the
// database has.
type blobs func(db []byte, f func(header []byte) error) error

func rpmReader(name, file string, each blobs) reader {
	return reader{
		name:  name,
		wants: func(f File, _ []byte) bool { return inRpmDirectory(f.Path, file) },
		max:   maxRpm,
		read: func(_ File, c Content) (Facts, error) {
			if len(c.Whole) == 0 { // it was made, and nothing installed
				return Facts{}, nil
			}
			var all rpmPackages
			err := each(c.Whole, all.add)
			return Facts{Packages: all.finish()}, err
		},
	}
}

// The tags of a header that are read, from rpmtag.h.
const (
	rpmName         = 1000
	rpmVersion      = 1001
	rpmRelease      = 1002
	rpmEpoch        = 1003
	rpmOldFilenames = 1027
	rpmFileStates   = 1029
	rpmFileFlags    = 1037
	rpmProvideName  = 1047
	rpmRequireName  = 1049
	rpmDirIndexes   = 1116
	rpmBasenames    = 1117
	rpmDirNames     = 1118
	rpmRecommend    = 5046
)

// rpmGhost is the flag of a file that a package owns but does not bring.
const rpmGhost = 1 << 6

// rpmPackages collects the packages of a database.
type rpmPackages struct {
	packages []Package
	// ghosts are the files that are not in a package but may be there all the
	// same, of the package with the same index.
	ghosts [][]string
	files  pathRoom
	// names is the room for what packages require and provide.
	names pathRoom
}

// add reads the header of one package.
func (all *rpmPackages) add(blob []byte) error {
	h, err := parseRpmHeader(blob)
	if err != nil {
		return err
	}
	name, version := h.text(rpmName), h.text(rpmVersion)
	if name == "" {
		return errors.New("a package without a name")
	}
	// The keys that packages are signed with are kept as packages.
	if name == "gpg-pubkey" {
		return nil
	}
	if len(all.packages) == maxPackages {
		return errManyPackages
	}
	if release := h.text(rpmRelease); release != "" {
		version += "-" + release
	}
	if epoch := h.numbers(rpmEpoch); epoch.len() > 0 {
		version = fmt.Sprintf("%d:%s", epoch.at(0), version)
	}
	p := Package{Ecosystem: Rpm, Name: name, Version: version, Installed: true}
	p.Provides = rpmCapabilities(h.texts(rpmProvideName))
	own := map[string]bool{name: true}
	for _, one := range p.Provides {
		own[one] = true
	}
	for _, one := range rpmCapabilities(h.texts(rpmRequireName), h.texts(rpmRecommend)) {
		if !own[one] {
			p.Requires = append(p.Requires, one)
		}
	}
	for _, one := range slices.Concat(p.Requires, p.Provides) {
		if !all.names.take(len(one)) {
			return errors.New("more dependencies than any system has")
		}
	}
	var ghosts []string
	p.Files, ghosts, err = h.paths(&all.files)
	all.packages, all.ghosts = append(all.packages, p), append(all.ghosts, ghosts)
	return err
}

// rpmCapabilities returns what is named, each once. A condition such as
// "(a if b)" names all that is in it.
func rpmCapabilities(lists ...[]string) []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, list := range lists {
		for _, name := range list {
			if !strings.HasPrefix(name, "(") {
				add(name)
				continue
			}
			for word := range strings.FieldsSeq(name) {
				word = strings.TrimLeft(word, "(")
				for strings.HasSuffix(word, ")") && strings.Count(word, "(") < strings.Count(word, ")") {
					word = word[:len(word)-1]
				}
				add(word)
			}
		}
	}
	return names
}

// finish returns the packages. As all that can be required is in this very
// database, what nobody requires and what nobody provides is left out of them:
// it is most of what they say.
func (all *rpmPackages) finish() []Package {
	versions := map[string]string{} // of the first of a name
	required := map[string]bool{}
	for _, p := range all.packages {
		for _, name := range p.Requires {
			required[name] = true
		}
	}
	provided := map[string]bool{}
	for i := range all.packages {
		p := &all.packages[i]
		if first, again := versions[p.Name]; !again {
			versions[p.Name] = p.Version
		} else if first != p.Version {
			p.Instance = p.Version
		}
		provided[p.Name] = true
		var provides []string
		for _, name := range p.Provides {
			if required[name] && name != p.Name {
				provides = append(provides, name)
			}
		}
		// A file can be required by its path.
		for _, path := range p.Files {
			if required[path] {
				provides = append(provides, path)
			}
		}
		for _, name := range provides {
			provided[name] = true
		}
		p.Provides = provides
	}
	for i := range all.packages {
		p := &all.packages[i]
		var requires []string
		for _, name := range p.Requires {
			if provided[name] {
				requires = append(requires, name)
			}
		}
		p.Requires = requires
	}
	all.settleGhosts()
	return all.packages
}

// settleGhosts gives each package its ghosts, but for those that another one
// brings.
func (all *rpmPackages) settleGhosts() {
	brought := map[string]bool{}
	for _, ghosts := range all.ghosts {
		for _, path := range ghosts {
			brought[path] = false
		}
	}
	if len(brought) == 0 {
		return
	}
	for _, p := range all.packages {
		for _, path := range p.Files {
			if _, is := brought[path]; is {
				brought[path] = true
			}
		}
	}
	for i, ghosts := range all.ghosts {
		for _, path := range ghosts {
			if !brought[path] {
				all.packages[i].Files = append(all.packages[i].Files, path)
			}
		}
	}
}

// rpmHeader is a header as the database has it: an index of tags, and a store
// that their values are in.
type rpmHeader struct {
	index map[int]rpmEntry
	store []byte
}

type rpmEntry struct{ kind, offset, count int }

// The types of values, from rpmtag.h.
const (
	rpmChar   = 1
	rpmInt32  = 4
	rpmString = 6
	rpmArray  = 8
	rpmI18n   = 9
)

func parseRpmHeader(blob []byte) (rpmHeader, error) {
	const fixed, entry = 8, 16
	malformed := errors.New("a malformed header")
	if len(blob) < fixed {
		return rpmHeader{}, malformed
	}
	entries, size := uint64(bigEndian(blob)), uint64(bigEndian(blob[4:]))
	if fixed+entries*entry+size > uint64(len(blob)) {
		return rpmHeader{}, malformed
	}
	h := rpmHeader{index: map[int]rpmEntry{}}
	rest := blob[fixed:]
	for range entries {
		tag := int(bigEndian(rest))
		e := rpmEntry{kind: int(bigEndian(rest[4:])), offset: int(bigEndian(rest[8:])), count: int(bigEndian(rest[12:]))}
		if _, again := h.index[tag]; !again && readTag(tag) {
			h.index[tag] = e
		}
		rest = rest[entry:]
	}
	h.store = rest[:size]
	return h, nil
}

// readTag tells whether a tag is one of those above.
func readTag(tag int) bool {
	switch tag {
	case rpmName, rpmVersion, rpmRelease, rpmEpoch, rpmOldFilenames, rpmFileStates, rpmFileFlags,
		rpmProvideName, rpmRequireName, rpmDirIndexes, rpmBasenames, rpmDirNames, rpmRecommend:
		return true
	}
	return false
}

// value returns the store from where the value of a tag begins.
func (h rpmHeader) value(tag int, kinds ...int) (value []byte, count int) {
	e, ok := h.index[tag]
	if !ok || e.offset >= len(h.store) {
		return nil, 0
	}
	for _, kind := range kinds {
		if e.kind == kind {
			return h.store[e.offset:], e.count
		}
	}
	return nil, 0
}

// text returns the text of a tag, "" if there is none.
func (h rpmHeader) text(tag int) string {
	value, _ := h.value(tag, rpmString, rpmI18n)
	end := bytes.IndexByte(value, 0)
	if end < 0 {
		return ""
	}
	return string(value[:end])
}

// maxTexts is how many texts one tag may have: far more than there are files in
// any package.
const maxTexts = 1 << 20

// texts returns as many texts of a tag as the store has.
func (h rpmHeader) texts(tag int) []string {
	value, count := h.value(tag, rpmArray, rpmI18n)
	count = min(count, maxTexts)
	// All share one copy.
	all := string(value[:endOfTexts(value, count)])
	var texts []string
	for len(texts) < count {
		one, rest, ok := strings.Cut(all, "\x00")
		if !ok {
			break
		}
		texts, all = append(texts, one), rest
	}
	return texts
}

// endOfTexts returns where so many texts end that end in a zero each.
func endOfTexts(value []byte, count int) int {
	end := 0
	for range count {
		zero := bytes.IndexByte(value[end:], 0)
		if zero < 0 {
			break
		}
		end += zero + 1
	}
	return end
}

// numbers returns the numbers of a tag.
func (h rpmHeader) numbers(tag int) rpmNumbers {
	value, count := h.value(tag, rpmInt32)
	return rpmNumbers(value[:4*min(count, len(value)/4)])
}

// rpmNumbers are numbers of four bytes each.
type rpmNumbers []byte

func (n rpmNumbers) len() int        { return len(n) / 4 }
func (n rpmNumbers) at(i int) uint32 { return bigEndian(n[4*i:]) }

// paths returns the files that the header has, and apart from them the ghosts.
// Those that were not installed are left out: they were of another
// architecture, documentation nobody wanted, or another package has replaced
// them since.
func (h rpmHeader) paths(room *pathRoom) (files, ghosts []string, err error) {
	names := h.texts(rpmBasenames)
	dirs, indexes := h.texts(rpmDirNames), h.numbers(rpmDirIndexes)
	whole := len(names) == 0
	if whole { // before rpm 4.0
		names = h.texts(rpmOldFilenames)
	} else if indexes.len() < len(names) {
		return nil, nil, errors.New("a file without its directory")
	}
	states, count := h.value(rpmFileStates, rpmChar)
	states = states[:min(count, len(states))]
	flags := h.numbers(rpmFileFlags)
	for i, name := range names {
		if i < len(states) && states[i] != 0 {
			continue
		}
		dir := ""
		if !whole {
			at := indexes.at(i)
			if uint64(at) >= uint64(len(dirs)) {
				return files, ghosts, errors.New("a file without its directory")
			}
			dir = dirs[at]
		}
		if len(dir)+len(name) > maxPath {
			continue
		}
		if !room.take(len(dir) + len(name)) {
			return files, ghosts, errManyFiles
		}
		path := dir + name
		if !strings.HasPrefix(path, "/") || path == "/" {
			continue
		}
		if i < flags.len() && flags.at(i)&rpmGhost != 0 {
			ghosts = append(ghosts, path)
		} else {
			files = append(files, path)
		}
	}
	return files, ghosts, nil
}
