package escape

import "strings"

// maxURL bounds a link target, in bytes before escaping; longer ones are refused rather
// than cut, since a cut link leads elsewhere.
const maxURL = 2000

// URL returns s as the target of a markdown link, "[…](HERE)", or "" if it is none that
// we would write: anything but http and https, no host, a user name or password, a port
// that is no number, an IPv6 or non-ASCII host, or more than 2,000 bytes. Every byte that
// could end the target, the cell or the attribute it lands in is percent-encoded;
// existing percent-encoding stays.
func URL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || len(s) > maxURL {
		return ""
	}
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" {
		return ""
	}
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	if !isHost(host) {
		return ""
	}
	return scheme + "://" + host + percentEncode(rest[len(host):])
}

// isHost reports whether s is a name or IPv4 address with an optional port.
func isHost(s string) bool {
	name, port, hasPort := strings.Cut(s, ":")
	if name == "" || hasPort && (port == "" || strings.Trim(port, "0123456789") != "") {
		return false
	}
	for i := range len(name) {
		if !isAlnum(name[i]) && strings.IndexByte("-._", name[i]) < 0 {
			return false
		}
	}
	return true
}

// percentEncode keeps what RFC 3986 allows after the host, less what markdown or HTML
// would read: quotes, parentheses, "*", "!", "$", "|", and ";", without which no entity is
// complete.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case isAlnum(c), strings.IndexByte("-._~/?#&=+,:@", c) >= 0,
			c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
