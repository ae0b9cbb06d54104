package budget

import "strings"

// maxID is the length of the longest id.
const maxID = 64

// ValidID tells whether an id may name an image: lower-case letters, digits,
// dots, dashes and underscores, at most 64, a letter or digit first.
func ValidID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// ID makes a valid id from a reference: the last part of its name, without
// tag and digest. "ghcr.io/acme/Web:edge" is "web".
func ID(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	name = strings.TrimRight(name, "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	if scheme, rest, ok := strings.Cut(name, ":"); ok {
		switch scheme {
		case "docker", "docker-daemon", "oci", "oci-archive", "docker-archive":
			name, _, _ = strings.Cut(rest, ":")
		default:
			name = scheme
		}
	}
	var out strings.Builder
	for _, r := range strings.ToLower(name) {
		valid := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
		if !valid {
			r = '-'
		}
		if out.Len() == maxID {
			break
		}
		out.WriteRune(r)
	}
	id := strings.TrimLeft(out.String(), ".-_")
	if id == "" {
		return "image"
	}
	return id
}
