package ghcomment

import (
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/internal/github"
)

func TestEncodeKey(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"web":              "web",
		"services/api_2.x": "services/api_2.x",
		"a-b":              "a-b",
		"a--b":             "a-%2Db",
		"---":              "-%2D%2D",
		"--> <b>":          "-%2D%3E%20%3Cb%3E",
		"a b\nhead=x":      "a%20b%0Ahead%3Dx",
		"100%":             "100%25",
		"é\xff":            "%C3%A9%FF",
	}
	for key, want := range tests {
		if got := encodeKey(key); got != want {
			t.Errorf("encodeKey(%q) = %q, want %q", key, got, want)
		}
	}
}

// Whatever the key, the marker is one HTML comment on one line, and is read back as what it was.
func FuzzMarkerOfAnyKey(f *testing.F) {
	for _, key := range []string{"web", "a--b", "-->", "--!>", "->", ">", "-", "%2D", "x\ny", "key=a run=1.1", "\x00", "é", "\u202e", "<!--"} {
		f.Add(key, "other")
	}
	f.Fuzz(func(t *testing.T, key, other string) {
		if key == "" || len(key) > maxKey {
			return
		}
		c := say("text")
		c.Key = key
		line := c.marker().String()
		inner := strings.TrimSuffix(strings.TrimPrefix(line, "<!--"), "-->")
		if len(inner) != len(line)-7 || strings.Contains(inner, "--") || strings.ContainsAny(inner, "<>\n\r") {
			t.Errorf("key %q gives %q", key, line)
		}
		if c.Overhead() != len(line)+1 {
			t.Errorf("Overhead is %d for %q", c.Overhead(), line)
		}
		got, text, ok := parseMarker(line + "\ntext")
		if !ok || got != c.marker() || text != "text" {
			t.Errorf("read back %+v %q %v, want %+v", got, text, ok, c.marker())
		}
		if key != other && encodeKey(key) == encodeKey(other) {
			t.Errorf("keys %q and %q are one", key, other)
		}
	})
}

// What is not ours to read may hold anything.
func FuzzParseMarker(f *testing.F) {
	line := say("").marker().String()
	for _, body := range []string{
		"", line, line + "\n", line + "\r\ntext", line + " trailing", line[:20], "<!-- image-budget v -->", "<!-- image-budget v1 -->",
		"<!-- image-budget v1 key= -->", "<!-- image-budget v0 at=0000-01-01T0:00:00Z -->", "<!-- image-budget v1 key=a run=99999999999999999999.1 at=0000-00-00T00:00:00Z -->",
		"<!-- image-budget v1 key=a run=-1.-1 head=" + strings.Repeat("A", 40) + " -->", "<!-- image-budget v99999999999 key=a -->",
		"<!-- image-budget v1 key=" + strings.Repeat("a", 3000) + " -->",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		m, text, ok := parseMarker(body)
		if !ok {
			if m != (marker{}) || text != "" {
				t.Errorf("not a marker, yet %+v %q", m, text)
			}
			return
		}
		if m.key == "" || len(m.key) > maxMarker || m.run < 0 || m.attempt < 0 || m.head != "" && !github.IsCommit(m.head) || !strings.HasSuffix(body, text) {
			t.Errorf("%q gives %+v", body, m)
		}
		if m.newerThan(m) {
			t.Errorf("%+v is newer than itself", m)
		}
		// Years of more than four digits and the like are no times to write again.
		if m.at.Year() > 0 && m.at.Year() < 10000 {
			again, _, ok := parseMarker(m.String())
			again.at, m.at = again.at.Truncate(time.Second), m.at.Truncate(time.Second)
			if !ok || again != m {
				t.Errorf("%+v written and read gives %+v", m, again)
			}
		}
	})
}
