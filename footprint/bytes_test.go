package footprint

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestParseBytes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Bytes{
		"0": 0, "1": 1, "007": 7, "4096": 4096, "5B": 5, "5 b": 5, " 5 B ": 5,
		"1k": 1000, "1kB": 1000, "1 KB": 1000, "120MB": 120e6, "120 mb": 120e6, "1.5GB": 1.5e9, "2t": 2e12, "1TB": 1e12,
		"1KiB": 1024, "64MiB": 64 << 20, "1.5 GiB": 3 << 29, "1tib": 1 << 40,
		"0.001kB": 1, "0.5KiB": 512, "1.000000000MB": 1e6,
		"9223372036854775807": math.MaxInt64, "8388607TiB": 8388607 << 40,
	} {
		got, err := ParseBytes(in)
		if err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"": "is missing", "  ": "is missing", "MB": "not a size", ".5MB": "not a size", "5.MB": "not a size", "1.2.3MB": "not a size",
		"-5MB": "not a size", "+5MB": "not a size", "−5": "not a size", "1e3": "no unit of size I know", "5Mo": "no unit of size I know",
		"5 M B": "no unit of size I know", "0x10": "no unit of size I know", "1_000": "no unit of size I know", "1,5MB": "no unit of size I know",
		"5%": "no unit of size I know", "٣MB": "not a size", "0.5": "not a whole number", "0.0001kB": "not a whole number",
		"9223372036854775808": "more than", "8388608TiB": "more than", "99999999999999999999TB": "more than",
		"1" + strings.Repeat("0", 40): "not a size", "5" + strings.Repeat("M", 100): "…",
	} {
		got, err := ParseBytes(in)
		if err == nil || !strings.Contains(err.Error(), want) || got != 0 {
			t.Errorf("%q: got %d, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestBytesText(t *testing.T) {
	t.Parallel()
	for in, want := range map[Bytes][3]string{
		0:             {"0 B", "0 B", "0 B"},
		1:             {"1 B", "+1 B", "1 B"},
		-1:            {"−1 B", "−1 B", "−1 B"},
		999:           {"999 B", "+999 B", "999 B"},
		1000:          {"1.0 kB", "+1.0 kB", "1 000 B"},
		-12_345:       {"−12.3 kB", "−12.3 kB", "−12 345 B"},
		999_949:       {"999.9 kB", "+999.9 kB", "999 949 B"},
		999_950:       {"1.0 MB", "+1.0 MB", "999 950 B"},
		94_112_384:    {"94.1 MB", "+94.1 MB", "94 112 384 B"},
		1_500_000_000: {"1.5 GB", "+1.5 GB", "1 500 000 000 B"},
		math.MaxInt64: {"9.2 EB", "+9.2 EB", "9 223 372 036 854 775 807 B"},
		math.MinInt64: {"−9.2 EB", "−9.2 EB", "−9 223 372 036 854 775 808 B"},
	} {
		exact := strings.Map(func(r rune) rune {
			if r != ' ' && strings.ContainsRune("\u00a0\u2009\u202f", r) {
				return ' '
			}
			return r
		}, in.Exact())
		if got := [3]string{in.String(), in.Signed(), exact}; got != want {
			t.Errorf("%d: got %q, want %q", int64(in), got, want)
		}
	}
}

func TestApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b Bytes }{
		{94_112_384, 94_112_385}, {1000, 1001}, {999_949, 999_900}, {1, 2}, {94_000_000, 120_000_000}, {-1000, -1001}, {math.MaxInt64, math.MaxInt64 - 1},
	} {
		if a, b := Apart(c.a, c.b); a == b {
			t.Errorf("%d and %d both read %q", int64(c.a), int64(c.b), a)
		}
	}
	if a, b := Apart(94_112_384, 94_112_384); a != "94.1 MB" || b != a {
		t.Errorf("the same size reads %q and %q", a, b)
	}
	if a, b := Apart(94_112_384, 120_000_000); a != "94.1 MB" || b != "120.0 MB" {
		t.Errorf("sizes that differ anyway read %q and %q", a, b)
	}
}

func TestBytesJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Bytes{`5`: 5, `-5`: -5, `"5 kB"`: 5000, `9223372036854775807`: math.MaxInt64} {
		var b Bytes
		if err := json.Unmarshal([]byte(in), &b); err != nil || b != want {
			t.Errorf("%s: got %d, %v", in, int64(b), err)
		}
		out, err := json.Marshal(want)
		var back Bytes
		if err != nil || json.Unmarshal(out, &back) != nil || back != want {
			t.Errorf("%d is written as %s, %v", int64(want), out, err)
		}
	}
	for _, in := range []string{`1.5`, `1e3`, `"-5"`, `"x"`, `""`, `true`, `[]`, `9223372036854775808`} {
		var b Bytes
		if err := json.Unmarshal([]byte(in), &b); err == nil {
			t.Errorf("%s was read as %d", in, int64(b))
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"1.5 GiB", "120MB", "0.001k", "", "-1", "9223372036854775807", "1e9", "5%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBytes(s)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if b < 0 {
			t.Fatalf("%q is %d", s, int64(b))
		}
		// To the byte it reads the same again.
		plain := strings.Map(func(r rune) rune {
			if strings.ContainsRune("0123456789", r) {
				return r
			}
			return -1
		}, b.Exact())
		if again, err := ParseBytes(plain); err != nil || again != b {
			t.Fatalf("%q reads %d, %q reads %d, %v", s, int64(b), plain, int64(again), err)
		}
		if b < 1000 {
			return
		}
		// Rounded, it is at most half of its last digit off.
		again, err := ParseBytes(strings.NewReplacer("PB", "TB", "EB", "TB").Replace(b.String()))
		if err == nil && b < 1e15 && max(again-b, b-again) > b/19 {
			t.Fatalf("%d reads %s, which is %d", int64(b), b, int64(again))
		}
	})
}

func TestShort(t *testing.T) {
	t.Parallel()
	for b, want := range map[Bytes]string{
		120_000_000: "120 MB", 120_000_001: "120.0 MB", 1_500_000: "1.5 MB", 500_000: "500 kB", 0: "0 B", -2_000: "−2.0 kB", 1 << 20: "1.0 MB", 4_000_000_000: "4 GB",
	} {
		if got := b.Short(); got != want {
			t.Errorf("%d: %q, want %q", int64(b), got, want)
		}
	}
}
