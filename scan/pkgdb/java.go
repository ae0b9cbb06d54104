package pkgdb

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// The bounds of looking into an archive, and into those in it.
const (
	maxJar         = 128_000_000
	maxNested      = 5000      // archives that are opened
	maxNestedDepth = 3         // an ear has a war has a jar
	maxInflated    = 32 << 20  // of one archive in another
	maxInflatedAll = 256 << 20 // of all of them, and of the notes in them
	maxNotes       = 1000      // notes of Maven in one archive
	minInflated    = 4 << 10   // what an entry counts for at least: opening it has a price
	maxDirectory   = 64 << 20  // of the directories of all archives together
	maxJarPackages = 20_000
	jarTail        = partsMax
)

func javaReaders() []reader {
	return []reader{{
		name: "Java archive",
		wants: func(f File, head []byte) bool {
			// One that can be executed begins with a script.
			return isJar(f.Path) && (bytes.HasPrefix(head, []byte("PK")) || bytes.HasPrefix(head, []byte("#!")))
		},
		max: maxJar,
		// The directory of an archive is its end.
		parts: func(size int64, _ []byte) []span { return []span{{size - jarTail, size}} },
		read:  readJar,
	}}
}

func isJar(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jar", ".war", ".ear", ".hpi", ".nar":
		return true
	}
	return false
}

// readJar says what an archive is, and which libraries are in it. An archive in
// it is as heavy as its compressed bytes are; of a library that was merged into
// the rest, the bytes are not known.
func readJar(f File, c Content) (Facts, error) {
	j := jarReader{
		root: "/" + f.Path, index: map[[2]string]int{}, left: footprint.Bytes(c.Size),
		nested: maxNested, inflated: maxInflatedAll, directory: maxDirectory,
	}
	z, err := j.open(c.ReaderAt, c.Size)
	if err != nil {
		return Facts{}, err
	}
	self, merged := j.identify(z, path.Base(f.Path))
	j.pkgs = []Package{{
		Ecosystem: Java, Root: j.root, Installed: true, Main: true, Name: self.name, Version: self.version,
	}}
	for _, id := range merged {
		j.add(id, 0)
	}
	j.into(z, share{1, 1}, 1)
	if len(j.pkgs) > 1 {
		j.pkgs[0].Asked = ByName
		for _, p := range j.pkgs[1:] {
			j.pkgs[0].Requires = append(j.pkgs[0].Requires, p.Name)
		}
	}
	return Facts{Packages: j.pkgs, Skipped: j.skipped}, nil
}

// jarReader reads one archive, and has what is left of its bounds.
type jarReader struct {
	root    string
	pkgs    []Package
	index   map[[2]string]int // by name and version
	skipped string

	nested              int
	inflated, directory int64
	left                footprint.Bytes // of the file, that no library has
}

func (j *jarReader) skip(why string) {
	if j.skipped == "" {
		j.skipped = why
	}
}

// add makes an archive known, and returns what it was counted with.
func (j *jarReader) add(id javaID, bytes footprint.Bytes) footprint.Bytes {
	bytes = max(0, min(bytes, j.left))
	i, ok := j.index[[2]string{id.name, id.version}]
	if !ok {
		if len(j.pkgs) >= maxJarPackages {
			j.skip("more than 20000 packages")
			return 0
		}
		i = len(j.pkgs)
		j.index[[2]string{id.name, id.version}] = i
		j.pkgs = append(j.pkgs, Package{
			Ecosystem: Java, Root: j.root, Installed: true, Asked: AsDependency, Name: id.name, Version: id.version,
		})
	}
	j.pkgs[i].Inside += bytes
	j.left -= bytes
	return bytes
}

// share is which part of a byte of an archive is a byte of the file: less than
// one where the archive is compressed again.
type share struct{ num, den float64 }

func (s share) of(n uint64) footprint.Bytes {
	return footprint.Bytes(min(float64(n)*s.num/s.den, math.MaxInt64/2))
}

// into adds the archives in one, and those in them.
func (j *jarReader) into(z *zip.Reader, of share, depth int) (taken footprint.Bytes) {
	for _, entry := range z.File {
		if !isJar(entry.Name) {
			continue
		}
		name := path.Base(entry.Name)
		bytes := of.of(entry.CompressedSize64)
		if bytes > j.left { // entries that overlap
			j.skip("malformed archive")
			j.add(javaIDOfFile(name), 0)
			continue
		}
		inner, ok := j.inner(entry, depth)
		if !ok {
			taken += j.add(javaIDOfFile(name), bytes)
			continue
		}
		self, merged := j.identify(inner, name)
		for _, id := range merged {
			j.add(id, 0)
		}
		// What is in the inner archive is no longer its own.
		inside := of
		if entry.UncompressedSize64 > 0 {
			inside.num *= float64(entry.CompressedSize64)
			inside.den *= float64(entry.UncompressedSize64)
		}
		before := j.left
		j.left = bytes
		deeper := j.into(inner, inside, depth+1)
		j.left = before - deeper
		taken += deeper + j.add(self, bytes-deeper)
	}
	return taken
}

// inner opens an archive in an archive: where it stands if it is only stored,
// else in memory.
func (j *jarReader) inner(entry *zip.File, depth int) (*zip.Reader, bool) {
	switch {
	case depth >= maxNestedDepth:
		j.skip("archives nested too deep")
		return nil, false
	case j.nested == 0:
		j.skip("more than 5000 nested archives")
		return nil, false
	}
	j.nested--
	if entry.Method == zip.Store {
		raw, err := entry.OpenRaw()
		if err != nil {
			return nil, false
		}
		in, ok := raw.(io.ReaderAt)
		if !ok {
			return nil, false
		}
		z, err := j.open(in, int64(entry.CompressedSize64))
		return z, err == nil
	}
	limit := min(maxInflated, j.inflated)
	if entry.UncompressedSize64 > uint64(limit) {
		j.skip("nested archives larger than " + footprint.Bytes(limit).String())
		return nil, false
	}
	b, err := j.inflate(entry, limit)
	if err != nil {
		return nil, false
	}
	z, err := j.open(bytes.NewReader(b), int64(len(b)))
	return z, err == nil
}

// note inflates a short entry. Of an archive whose directory names one entry
// very often, that is not done for ever.
func (j *jarReader) note(entry *zip.File, limit int64) ([]byte, error) {
	if j.inflated <= 0 {
		err := errors.New("inflates to more than " + footprint.Bytes(maxInflatedAll).Short())
		j.skip(err.Error())
		return nil, err
	}
	return j.inflate(entry, min(limit, j.inflated))
}

// inflate is readEntry, and takes what it cost from what is left.
func (j *jarReader) inflate(entry *zip.File, limit int64) ([]byte, error) {
	b, err := readEntry(entry, limit)
	j.inflated -= max(minInflated, int64(len(b)))
	return b, err
}

// readEntry inflates an entry that is no longer than limit.
func readEntry(entry *zip.File, limit int64) ([]byte, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = errMalformedZip
	}
	return b.Bytes(), err
}

var errMalformedZip = errors.New("malformed archive")

// open reads the directory of an archive, of which there may be so much.
func (j *jarReader) open(r io.ReaderAt, size int64) (*zip.Reader, error) {
	limited := &limitedReaderAt{r, &j.directory}
	z, err := zip.NewReader(limited, size)
	limited.left = nil
	if j.directory <= 0 {
		err := errors.New("more files in archives than can be listed")
		j.skip(err.Error())
		return nil, err
	}
	if err != nil {
		return nil, errMalformedZip
	}
	return z, nil
}

// limitedReaderAt reads only so much, while there is a limit.
type limitedReaderAt struct {
	io.ReaderAt
	left *int64
}

func (l *limitedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if l.left != nil {
		if *l.left -= int64(len(p)); *l.left <= 0 {
			return 0, errMalformedZip
		}
	}
	return l.ReaderAt.ReadAt(p, off)
}

// javaID names an archive.
type javaID struct{ name, version string }

// identify says what an archive is: by what Maven leaves in it, else by its
// manifest, else by its name. Merged are the libraries whose own notes of Maven
// ended up in it.
func (j *jarReader) identify(z *zip.Reader, fileName string) (self javaID, merged []javaID) {
	var manifest map[string]string
	var poms []javaPom
	notes := 0
	for _, entry := range z.File {
		switch name := entry.Name; {
		case manifest == nil && name == "META-INF/MANIFEST.MF":
			b, err := j.note(entry, 256<<10)
			if err != nil {
				b = nil // the first one counts
			}
			manifest = parseManifest(b)
		case strings.HasPrefix(name, "META-INF/maven/") && strings.HasSuffix(name, "/pom.properties"):
			if notes++; notes > maxNotes {
				j.skip(langTooMany(maxNotes, "notes of Maven in one archive"))
				continue
			}
			b, err := j.note(entry, 64<<10)
			if err != nil {
				continue
			}
			if p := parsePom(b); p.artifact != "" {
				poms = append(poms, p)
			}
		}
	}
	named := javaIDOfFile(fileName)
	own := -1
	switch len(poms) {
	case 0:
	case 1:
		// It may be that of the one library that was merged into a jar that was
		// not built by Maven.
		known := firstOf(named.version, manifest["implementation-version"], manifest["bundle-version"])
		if p := poms[0]; p.artifact == named.name || known == "" || sameRelease(p.version, known) {
			own = 0
		}
	default:
		own = slices.IndexFunc(poms, func(p javaPom) bool {
			return p.artifact == named.name || p.artifact+"-"+p.version == strings.TrimSuffix(fileName, path.Ext(fileName))
		})
		if own < 0 {
			own = slices.IndexFunc(poms, func(p javaPom) bool {
				return p.artifact == manifest["implementation-title"] || p.artifact == manifest["bundle-symbolicname"]
			})
		}
	}
	for i, p := range poms {
		if i != own {
			merged = append(merged, p.id())
		}
	}
	if own >= 0 {
		return poms[own].id(), merged
	}
	symbolic, _, _ := strings.Cut(manifest["bundle-symbolicname"], ";")
	title := manifest["implementation-title"]
	if strings.Contains(title, " ") { // a sentence
		title = ""
	}
	self.version = firstOf(named.version, manifest["implementation-version"], manifest["bundle-version"])
	self.name = firstOf(strings.TrimSpace(symbolic), manifest["automatic-module-name"], title, named.name)
	return self, merged
}

// sameRelease compares versions without what is put to their numbers: that of a
// bundle is "31.1.0.jre" where Maven says "31.1-jre".
func sameRelease(a, b string) bool {
	a, _, _ = strings.Cut(a, "-")
	b, _, _ = strings.Cut(b, "-")
	return a == b || strings.HasPrefix(b, a+".") || strings.HasPrefix(a, b+".")
}

// parseManifest reads the main section of a manifest: names in lower case, and
// lines of 72 bytes that go on after a space.
func parseManifest(b []byte) map[string]string {
	fields := map[string]string{}
	last := ""
	for line := range bytes.Lines(b) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' {
			if last != "" && len(fields[last]) < 1000 {
				fields[last] += string(line[1:])
			}
			continue
		}
		name, value, ok := strings.Cut(string(line), ":")
		last = ""
		switch name = strings.ToLower(name); name {
		case "bundle-symbolicname", "bundle-version", "implementation-title", "implementation-version", "automatic-module-name":
			if ok {
				last = name
				fields[name] = strings.TrimPrefix(value, " ")
			}
		}
	}
	return fields
}

type javaPom struct{ group, artifact, version string }

func (p javaPom) id() javaID {
	if p.group == "" {
		return javaID{p.artifact, p.version}
	}
	return javaID{p.group + ":" + p.artifact, p.version}
}

// parsePom reads the three lines of pom.properties that matter.
func parsePom(b []byte) javaPom {
	var p javaPom
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "groupId":
			p.group = value
		case "artifactId":
			p.artifact = value
		case "version":
			p.version = value
		}
	}
	return p
}

// javaIDOfFile cuts "log4j-1.2-api-2.17.1.jar" before its version: the first
// number after a dash that no further word and number follow, save the words
// that versions end with.
func javaIDOfFile(fileName string) javaID {
	name := strings.TrimSuffix(fileName, path.Ext(fileName))
	words := strings.Split(name, "-")
	version := 0
	for i, w := range words {
		if i == 0 || w == "" {
			continue
		}
		switch isDigit := w[0] >= '0' && w[0] <= '9'; {
		case isDigit && version == 0:
			version = i
		case isDigit && !isQualifier(words[i-1]):
			version = i
		}
	}
	if version == 0 {
		return javaID{name: name}
	}
	return javaID{strings.Join(words[:version], "-"), strings.Join(words[version:], "-")}
}

// isQualifier tells whether a number may follow the word in one version.
func isQualifier(word string) bool {
	if word != "" && word[0] >= '0' && word[0] <= '9' {
		return true
	}
	switch strings.ToLower(word) {
	case "alpha", "beta", "rc", "m", "cr", "b", "build", "pre", "preview", "snapshot", "jre", "jdk", "sp", "release", "incubating":
		return true
	}
	return false
}
