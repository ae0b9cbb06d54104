package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"
)

type kind string

const (
	kindRegistry kind = "registry"
	// kindBuildKit is no reference: it is what Build makes.
	kindBuildKit      kind = "buildkit"
	kindEngine        kind = "docker-daemon"
	kindLayout        kind = "oci"
	kindOCIArchive    kind = "oci-archive"
	kindDockerArchive kind = "docker-archive"
	// kindArchive is a file whose content says which archive it is.
	kindArchive kind = "archive"
	// kindBare is a word that names a file, if there is one, or else a
	// registry's image.
	kindBare kind = "bare"
)

// reference is a parsed image reference.
type reference struct {
	kind kind
	name string // registry or engine name; for files the NAME or TAG behind the path
	path string // of files
	bare bool   // written without a prefix, so that hints may name one
}

// parseReference reads the forms that Open lists. It looks at the file system,
// because a path may hold colons and a bare word may be a path.
func parseReference(ref string) (reference, error) {
	k, rest, err := splitReference(ref)
	if err != nil {
		return reference{}, err
	}
	switch k {
	case kindRegistry:
		return registryReference(rest, false)
	case kindEngine:
		return engineReference(rest)
	case kindLayout, kindOCIArchive, kindDockerArchive:
		return fileReference(k, rest)
	case kindArchive:
		return pathReference(rest)
	}
	if mayBePath(rest) && isImagePath(rest) {
		return pathReference(rest)
	}
	return registryReference(rest, true)
}

// CheckReference returns an error that wraps ErrUsage if ref is misspelled. It
// looks at the spelling alone and does no I/O, so a bare word that is no
// registry's name passes: it may be a file's, and only Open finds out.
func CheckReference(ref string) error {
	k, rest, err := splitReference(ref)
	switch {
	case err != nil:
	case k == kindEngine:
		_, err = engineReference(rest)
	case k == kindRegistry, k == kindBare && !mayBePath(rest):
		_, err = registryReference(rest, false)
	}
	return err
}

// splitReference tells the form that ref has, by its spelling, and what follows
// the form's prefix.
func splitReference(ref string) (kind, string, error) {
	if strings.ContainsFunc(ref, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", usageError("parsing image reference: it holds a control character")
	}
	prefix, rest, found := strings.Cut(ref, ":")
	if found {
		switch k := kind(prefix); k {
		case "docker":
			if after, ok := strings.CutPrefix(rest, "//"); ok {
				return kindRegistry, after, nil
			}
		case kindEngine:
			return k, rest, nil
		case kindLayout, kindOCIArchive, kindDockerArchive:
			if rest == "" {
				return "", "", usageError("parsing image reference: it has no path; write %s:PATH", k)
			}
			return k, rest, nil
		}
	}
	switch {
	case ref == "":
		return "", "", usageError("parsing image reference: it is empty; give a name such as alpine:3.20, or docker-daemon:NAME, oci:DIR or docker-archive:FILE")
	case strings.HasPrefix(ref, "/"), strings.HasPrefix(ref, "./"), strings.HasPrefix(ref, "../"), ref == ".", ref == "..":
		return kindArchive, ref, nil
	}
	return kindBare, ref, nil
}

// mayBePath reports whether a bare word can be a file's name. A URL is one that
// was pasted where an image's name belongs.
func mayBePath(s string) bool { return !strings.Contains(s, "://") }

// isImagePath reports whether a name that could also be a registry's is a file,
// or a directory that holds an OCI layout: a folder that happens to be called
// alpine does not hide the image of that name.
func isImagePath(s string) bool {
	st, err := os.Stat(s)
	if err != nil {
		return false
	}
	if !st.IsDir() {
		return true
	}
	_, err = os.Stat(filepath.Join(s, "index.json"))
	return err == nil
}

func registryReference(s string, bare bool) (reference, error) {
	n, err := name.ParseReference(s)
	if err != nil {
		return reference{}, usageError("parsing image reference %q: it is not NAME[:TAG|@DIGEST] in lower case; local images are written docker-daemon:NAME, oci:DIR, oci-archive:FILE or docker-archive:FILE", withoutUserinfo(s))
	}
	if d, ok := n.(name.Digest); ok {
		if _, err := digestHex(d.DigestStr()); err != nil {
			return reference{}, usageError("parsing image reference: %v", err)
		}
	}
	return reference{kind: kindRegistry, name: s, bare: bare}, nil
}

func engineReference(s string) (reference, error) {
	// An engine also answers to an image ID, which is no registry name.
	id := strings.TrimPrefix(s, "sha256:")
	if isHex(id) && len(id) >= 12 && len(id) <= 64 {
		return reference{kind: kindEngine, name: s}, nil
	}
	if _, err := name.ParseReference(s); err != nil {
		return reference{}, usageError("parsing image reference %q: after docker-daemon: comes NAME[:TAG|@DIGEST] or an image ID", withoutUserinfo(s))
	}
	return reference{kind: kindEngine, name: s}, nil
}

// fileReference splits PATH[:NAME]. The first colon whose left side exists
// splits, so that a path with a colon in it can be named.
func fileReference(k kind, s string) (reference, error) {
	if exists(s) {
		return reference{kind: k, path: s}, nil
	}
	for i := range len(s) {
		if s[i] == ':' && i > 0 && exists(s[:i]) {
			return reference{kind: k, path: s[:i], name: s[i+1:]}, nil
		}
	}
	path, _, _ := strings.Cut(s, ":")
	return reference{}, fmt.Errorf("opening %s:%s: there is no such file or directory; check the path: %w", k, path, ErrNotFound)
}

func pathReference(s string) (reference, error) {
	st, err := os.Stat(s)
	if errors.Is(err, os.ErrNotExist) {
		// The path may be followed by a tag, as in ./layout:web.
		for i := len(s) - 1; i > 0; i-- {
			if s[i] == ':' && exists(s[:i]) {
				r, err := pathReference(s[:i])
				r.name = s[i+1:]
				return r, err
			}
		}
		return reference{}, fmt.Errorf("opening %s: there is no such file or directory; a registry image is written without ./ or /: %w", s, ErrNotFound)
	}
	if err != nil {
		return reference{}, fmt.Errorf("opening image: %w", err)
	}
	if st.IsDir() {
		return reference{kind: kindLayout, path: s}, nil
	}
	return reference{kind: kindArchive, path: s}, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// RegistryHost returns the host of the registry that ref names, as a Login's
// Host spells it, or "" when ref names a local image or cannot be parsed.
func RegistryHost(ref string) string {
	r, err := parseReference(ref)
	if err != nil || r.kind != kindRegistry {
		return ""
	}
	n, err := name.ParseReference(r.name)
	if err != nil {
		return ""
	}
	return n.Context().RegistryStr()
}

// withoutUserinfo replaces what stands between a scheme or the beginning and
// an @ that no digest follows: somebody pasted a password into a reference.
func withoutUserinfo(s string) string {
	at := strings.LastIndex(s, "@")
	if at < 0 {
		return s
	}
	if strings.HasPrefix(s[at+1:], "sha256:") {
		return withoutUserinfo(s[:at]) + s[at:]
	}
	start := 0
	if i := strings.Index(s[:at], "://"); i >= 0 {
		start = i + len("://")
	}
	return s[:start] + "***" + s[at:]
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

// digestHex returns the hex of a sha256 digest, or an error: other algorithms
// are not checked here, so content under them is not taken.
func digestHex(digest string) (string, error) {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hex) != 64 || !isHex(hex) {
		return "", fmt.Errorf("digest %.90q is not sha256: and 64 hex digits", digest)
	}
	return hex, nil
}

// readAtMost reads r to its end, or fails when it holds more than limit bytes.
func readAtMost(r io.Reader, limit int64, what string) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, &tooLargeError{what, limit}
	}
	return b.Bytes(), nil
}

type tooLargeError struct {
	what  string
	limit int64
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("%s is larger than %s, which no image needs", e.what, inBytes(e.limit))
}

// show makes text from outside fit for an error message: short, and without
// characters that could act on a terminal or break the line.
func show(s string) string {
	const most = 120
	s = printable(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// printable is text without anything that a terminal or a log obeys.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
