package footprint

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Bytes is a size in bytes. In text it is a number with a unit: kB, MB, GB and
// TB are powers of 1000, KiB, MiB, GiB and TiB powers of 1024, B or nothing is
// bytes. It is printed in powers of 1000, like `docker images` does.
type Bytes int64

var units = []struct {
	name string
	size int64
}{
	{"", 1}, {"b", 1},
	{"k", 1e3}, {"kb", 1e3}, {"m", 1e6}, {"mb", 1e6}, {"g", 1e9}, {"gb", 1e9}, {"t", 1e12}, {"tb", 1e12},
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
}

// ParseBytes reads a size such as "120MB", "1.5 GiB" or "4096". It never
// rounds: a fraction of a byte is an error, and so are a negative size, an
// unknown unit and more bytes than an int64 holds.
func ParseBytes(s string) (Bytes, error) {
	text := strings.TrimSpace(s)
	if text == "" {
		return 0, fmt.Errorf("a size is missing; write a number with a unit, such as 120MB or 64MiB")
	}
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	number, unit := text, ""
	if end >= 0 {
		number, unit = text[:end], strings.TrimSpace(text[end:])
	}
	if number == "" || strings.Count(number, ".") > 1 || strings.HasPrefix(number, ".") || strings.HasSuffix(number, ".") || len(number) > 30 {
		return 0, fmt.Errorf("%q is not a size; write a number with a unit, such as 120MB or 64MiB", clip(s))
	}
	size, ok := unitSize(unit)
	if !ok {
		return 0, fmt.Errorf("%q has no unit of size I know; use B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024)", clip(s))
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, fmt.Errorf("%q is not a size; write a number with a unit, such as 120MB or 64MiB", clip(s))
	}
	value.Mul(value, new(big.Rat).SetInt64(size))
	if !value.IsInt() {
		return 0, fmt.Errorf("%q is not a whole number of bytes", clip(s))
	}
	if !value.Num().IsInt64() {
		return 0, fmt.Errorf("%q is more than %d bytes", clip(s), int64(math.MaxInt64))
	}
	return Bytes(value.Num().Int64()), nil
}

func unitSize(unit string) (int64, bool) {
	lower := strings.ToLower(unit)
	for _, u := range units {
		if u.name == lower {
			return u.size, true
		}
	}
	return 0, false
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// UnmarshalText reads what [ParseBytes] reads, with the same errors.
func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := ParseBytes(string(text))
	if err != nil {
		return err
	}
	*b = v
	return nil
}

// UnmarshalJSON reads an integer of bytes, which may be negative, or a string
// that [ParseBytes] reads. Anything else is an error.
func (b *Bytes) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		return b.UnmarshalText([]byte(s))
	}
	v, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a size in bytes", clip(string(data)))
	}
	*b = Bytes(v)
	return nil
}

// String prints the size in powers of 1000 with one decimal: "94.1 MB",
// "12.0 kB", "512 B".
func (b Bytes) String() string {
	n, sign := uint64(b), ""
	if b < 0 {
		n, sign = -n, "−"
	}
	if n < 1000 {
		return fmt.Sprintf("%s%d B", sign, n)
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		value /= 1000
		// 999.95 would print as 1000.0.
		if value < 999.95 {
			break
		}
	}
	return fmt.Sprintf("%s%.1f %s", sign, value, unit)
}

// Short is String without a ".0" that carries nothing, for sizes that people
// choose: "120 MB", but "120.0 MB" for 120,000,001 bytes.
func (b Bytes) Short() string {
	s := b.String()
	short := strings.Replace(s, ".0 ", " ", 1)
	if v, err := ParseBytes(short); err == nil && v == b {
		return short
	}
	return s
}

// Signed is String with a plus before a growth: "+38.4 MB", "−1.2 kB", "0 B".
func (b Bytes) Signed() string {
	if b > 0 {
		return "+" + b.String()
	}
	return b.String()
}

// Exact prints the size to the byte, with thin groups: "94 112 384 B". Use it
// where two sizes would otherwise read the same.
func (b Bytes) Exact() string {
	digits := strconv.FormatInt(int64(b), 10)
	sign := ""
	if b < 0 {
		sign, digits = "−", digits[1:]
	}
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(d)
	}
	return sign + out.String() + " B"
}

// Apart prints two sizes so that they read differently if they are different:
// rounded where that is enough, else to the byte.
func Apart(a, b Bytes) (string, string) {
	if a != b && a.String() == b.String() {
		return a.Exact(), b.Exact()
	}
	return a.String(), b.String()
}
