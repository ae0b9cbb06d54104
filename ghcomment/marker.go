package ghcomment

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/org/image-budget/internal/github"
)

const (
	markerStart = "<!-- image-budget v"
	markerEnd   = " -->"
	// maxMarker bounds the line that is looked at in a foreign comment.
	maxMarker = 2048
)

// marker is the first line of a comment: whose it is and which run wrote it.
type marker struct {
	key          string // encoded
	head         string
	run, attempt int64 // 0 when unknown
	at           time.Time
}

// String renders the marker as one HTML comment, without a newline.
func (m marker) String() string {
	return fmt.Sprintf("%s1 key=%s head=%s run=%d.%d at=%s%s",
		markerStart, m.key, m.head, m.run, m.attempt, m.at.UTC().Format(time.RFC3339), markerEnd)
}

// parseMarker reads the marker at the very start of body and returns what follows it. Fields it does not know are passed over
// and a damaged field counts as unknown, so that a comment of another version, or one that somebody edited, is still found.
func parseMarker(body string) (m marker, text string, ok bool) {
	if !strings.HasPrefix(body, markerStart) {
		return marker{}, "", false
	}
	line, text, _ := strings.Cut(body, "\n")
	line = strings.TrimRight(line, " \t\r")
	if len(line) > maxMarker || !strings.HasSuffix(line, markerEnd) {
		return marker{}, "", false
	}
	fields := strings.Fields(strings.TrimSuffix(line[len(markerStart):], markerEnd))
	if len(fields) == 0 {
		return marker{}, "", false
	}
	if _, err := strconv.ParseUint(fields[0], 10, 31); err != nil {
		return marker{}, "", false
	}
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "key":
			m.key = value
		case "head":
			if github.IsCommit(value) {
				m.head = value
			}
		case "run":
			m.run, m.attempt = parseRun(value)
		case "at":
			if at, err := time.Parse(time.RFC3339, value); err == nil {
				m.at = at.UTC()
			}
		}
	}
	if m.key == "" {
		return marker{}, "", false
	}
	return m, text, true
}

func parseRun(s string) (run, attempt int64) {
	a, b, _ := strings.Cut(s, ".")
	run, err := strconv.ParseInt(a, 10, 64)
	if err != nil || run <= 0 {
		return 0, 0
	}
	attempt, err = strconv.ParseInt(b, 10, 64)
	if err != nil || attempt < 0 {
		return 0, 0
	}
	return run, attempt
}

// newerThan reports whether m was written by a later run than o.
//
// Run ids decide where both are known: GitHub gives them out in order when a run is created, so a run that waited long for a
// runner, or an old one that is run again for a commit since replaced, is still the older one, whatever the clock says. A run
// is never newer than itself; of its attempts the later one is. Only without ids, outside GitHub Actions, the times decide.
func (m marker) newerThan(o marker) bool {
	if m.run != 0 && o.run != 0 {
		if m.run != o.run {
			return m.run > o.run
		}
		return m.attempt > o.attempt
	}
	return m.at.After(o.at)
}

// sameRun reports whether both markers are of one attempt of one run.
func (m marker) sameRun(o marker) bool {
	return m.run == o.run && m.attempt == o.attempt && m.head == o.head
}

// encodeKey writes a key so that it is one word of the marker and cannot end the HTML comment: everything but letters, digits,
// dot, slash, underscore and single hyphens becomes %XX. Different keys stay different.
func encodeKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		ch := key[i]
		switch {
		case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9', ch == '.', ch == '_', ch == '/':
			b.WriteByte(ch)
		case ch == '-' && (i == 0 || key[i-1] != '-'):
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}
