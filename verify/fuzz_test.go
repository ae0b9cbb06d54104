package verify

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzForeign passes what a container may say through all that reads it: what
// comes out is bounded, and fit for a line.
func FuzzForeign(f *testing.F) {
	for _, seed := range []string{"", "listening on 3000\n", "\x1b[31mError:\x1b[0m no such file\r\n", "a\rb\rc", "<a href='/x?a&amp;b'><img src=//evil/x>", "2026-11-24T10:00:00Z \xff\xfe", "A /x\nC /", "tcp/0.0.0.0:80 udp/[::]:53 x"} {
		f.Add(seed, 3000)
	}
	f.Fuzz(func(t *testing.T, s string, port int) {
		for _, line := range linesOf([]byte(s)) {
			if len(line) > 3*maxLine || !utf8.ValidString(line) || strings.ContainsAny(line, "\n") {
				t.Fatalf("%q", line)
			}
		}
		if q := quoted(s); len(q) > 2*maxQuote || strings.ContainsAny(q, "\n\r\x1b\x00") {
			t.Fatalf("%q", q)
		}
		if light(s) != light(s) || len(heavy(s)) > 16*len(s)+16 {
			t.Fatalf("%q", heavy(s))
		}
		a := answer{kind: "http", mediaType: "text/html", body: []byte(s), location: s, status: port}
		for _, path := range links(a, port) {
			if !strings.HasPrefix(path, "/") {
				t.Fatalf("%q", path)
			}
		}
		if got := a.String(); strings.ContainsAny(got, "\n\r\x1b") || len(got) > 3*maxQuote {
			t.Fatalf("%q", got)
		}
		listening(strings.Fields(s), []string{s})
		sockets([]byte(s), "0A")
		written(strings.Split(s, "\n"))
		in := comparison{a: &seen{lines: linesOf([]byte(s))}, b: &seen{lines: linesOf([]byte(s))}, c: &seen{lines: []string{"x"}}}
		if got := compare(in); len(got.reason) > 900 || strings.ContainsAny(got.reason, "\n\r\x1b") {
			t.Fatalf("%q", got.reason)
		}
	})
}

// TestLargeBody normalises as much as is ever compared.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("2026-11-24T10:00:00Z 12 ms deadbeef01 /tmp/x pid 7 ", maxCleaned/52)
	a := answer{kind: "http", body: []byte(text), size: int64(len(text)), sum: [32]byte{1}}
	b, c := a, a
	b.sum, c.sum = [32]byte{2}, [32]byte{3}
	if got := bodies(a, b, c); got != "same body but for times and ids" {
		t.Error(got)
	}
}
