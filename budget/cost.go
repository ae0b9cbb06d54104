package budget

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/nearest"
)

// Cost says what pulling an image is reckoned with. It limits nothing. A field
// that the budget file does not set is 0.
type Cost struct {
	// Bandwidth is that of a host that pulls.
	Bandwidth Bandwidth
	// Hosts is how many hosts run the image, Deploys how often a day each of
	// them gets a new one.
	Hosts   int64
	Deploys Rate
}

// Bandwidth is in bits per second.
type Bandwidth int64

// DefaultBandwidth is what is reckoned with where nobody says another.
const DefaultBandwidth Bandwidth = 100_000_000

// Rate is how often something happens, in thousandths.
type Rate int64

// DaysOfMonth is how many days a month is reckoned with.
const DaysOfMonth = 30

// The most that a cost may say; more is a typing error.
const (
	maxBandwidth Bandwidth = 1_000_000_000_000_000
	maxHosts               = 10_000_000
	maxDeploys   Rate      = 10_000_000
)

// Valid tells whether all figures are such as a budget file may hold.
func (c Cost) Valid() bool {
	return c.Bandwidth >= 0 && c.Bandwidth <= maxBandwidth && c.Hosts >= 0 && c.Hosts <= maxHosts && c.Deploys >= 0 && c.Deploys <= maxDeploys
}

// or fills in from another cost what this one does not set.
func (c Cost) or(other Cost) Cost {
	if c.Bandwidth == 0 {
		c.Bandwidth = other.Bandwidth
	}
	if c.Hosts == 0 {
		c.Hosts = other.Hosts
	}
	if c.Deploys == 0 {
		c.Deploys = other.Deploys
	}
	return c
}

// Seconds is how long the bytes are on their way.
func (b Bandwidth) Seconds(size footprint.Bytes) float64 {
	return float64(size) * 8 / float64(b)
}

// Month is how many bytes all hosts together pull in [DaysOfMonth] days if each
// deploy pulls size, at most the largest int64. It is known where both the
// hosts and the deploys are.
func (c Cost) Month(size footprint.Bytes) (moved footprint.Bytes, known bool) {
	if c.Hosts <= 0 || c.Deploys <= 0 || size < 0 {
		return 0, false
	}
	// At most 3 × 10^15 thousandths of a pull.
	hi, lo := bits.Mul64(uint64(size), uint64(c.Hosts)*uint64(c.Deploys)*DaysOfMonth)
	if hi >= 1000 {
		return math.MaxInt64, true
	}
	quotient, _ := bits.Div64(hi, lo, 1000)
	return footprint.Bytes(min(quotient, math.MaxInt64)), true
}

// String prints a bandwidth as people write it: "1 Gbit/s", "2.5 Gbit/s".
func (b Bandwidth) String() string {
	for _, u := range bandwidthUnits {
		if u.name[len(u.name)-3] == 'B' || int64(b) < u.bits {
			continue
		}
		// Three decimals at most: no line is known any better.
		text := strconv.FormatFloat(math.Round(float64(b)/float64(u.bits)*1000)/1000, 'f', -1, 64)
		return text + " " + u.name
	}
	return strconv.FormatInt(int64(b), 10) + " bit/s"
}

// String prints the rate as a number: "6", "0.5".
func (r Rate) String() string {
	whole, rest := int64(r)/1000, int64(r)%1000
	if rest == 0 {
		return strconv.FormatInt(whole, 10)
	}
	return fmt.Sprintf("%d.%s", whole, strings.TrimRight(fmt.Sprintf("%03d", rest), "0"))
}

// MarshalJSON writes a number; the error is always nil.
func (r Rate) MarshalJSON() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalJSON reads a number with at most three decimals; anything else is an
// error.
func (r *Rate) UnmarshalJSON(data []byte) error {
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil {
		return err
	}
	value, ok := parseRate(number.String())
	if !ok {
		return fmt.Errorf("%s is no rate", quote(number.String()))
	}
	*r = value
	return nil
}

func parseRate(s string) (Rate, bool) {
	whole, fraction, dot := strings.Cut(s, ".")
	if !isDecimal(whole) || len(whole) > 9 || dot && !digits(fraction) || len(fraction) > 3 {
		return 0, false
	}
	value, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
	return Rate(value), err == nil
}

// bandwidthUnits are those of a bandwidth, the larger first.
var bandwidthUnits = []struct {
	name string
	bits int64
}{
	{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}, {"GB/s", 8e9}, {"MB/s", 8e6}, {"kB/s", 8e3},
}

func bandwidthNames() []string {
	var out []string
	for _, u := range bandwidthUnits {
		out = append(out, u.name)
	}
	return out
}

const bandwidthHint = "write a number with a unit, such as 100Mbit/s or 1Gbit/s; MB/s are bytes, 8 bits each"

// parseBandwidth reads a number with one of the units. A bit or a byte is told
// by case elsewhere too, so case counts in all of it but the k.
func parseBandwidth(text string) (Bandwidth, *mistake) {
	s := strings.Trim(text, " ")
	end := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(s)
	}
	number, unit := s[:end], strings.TrimLeft(s[end:], " ")
	if !digits(number) && !isFraction(number) || len(number) > 15 {
		return 0, mistaken(bandwidthHint, "%s is not a bandwidth", quote(text))
	}
	i := slices.Index(bandwidthNames(), unit)
	if i < 0 {
		return 0, mistaken(unitMeant(number, unit), "%s has no unit of bandwidth I know", quote(text))
	}
	whole, fraction, _ := strings.Cut(number, ".")
	if len(fraction) > 3 {
		return 0, mistaken("", "%s has more than three decimals", quote(text))
	}
	// Units are multiples of 1000, so that three decimals are whole bits.
	thousandths, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
	most := int64(maxBandwidth) / bandwidthUnits[i].bits * 1000
	switch {
	case err != nil || thousandths > most:
		return 0, mistaken(bandwidthHint, "%s is faster than any network", quote(text))
	case thousandths == 0:
		return 0, mistaken(bandwidthHint, "with %s nothing is ever pulled", quote(text))
	}
	return Bandwidth(thousandths * (bandwidthUnits[i].bits / 1000)), nil
}

// unitMeant guesses which bandwidth somebody wrote in other words.
func unitMeant(number, unit string) string {
	if unit == "" {
		return didYouMean(number + "Mbit/s")
	}
	text := unit
	for _, other := range []struct{ is, means string }{{"bps", "bit/s"}, {"b/s", "bit/s"}, {"bit", "bit/s"}, {"bits/s", "bit/s"}, {"Bps", "B/s"}, {"B", "B/s"}} {
		if prefix, ok := strings.CutSuffix(unit, other.is); ok && len(prefix) == 1 {
			text = prefix + other.means
		}
	}
	for _, name := range bandwidthNames() {
		if strings.EqualFold(text, name) && (strings.Contains(name, "bit") || strings.HasSuffix(text, "B/s")) {
			return didYouMean(number + name)
		}
	}
	if near, ok := nearest.Word(text, bandwidthNames()); ok {
		return didYouMean(number + near)
	}
	return bandwidthHint
}

func (d *decoder) decodeCost(n *node) Cost {
	var c Cost
	fields := d.fieldsOf(n, "cost", costKeys)
	if v, ok := fields["bandwidth"]; ok {
		if v.value.kind == intNode {
			d.fail(v.value, didYouMean(v.value.text+"Mbit/s"), "bandwidth has no unit")
		} else if text, ok := d.textOf(v.value, "bandwidth"); ok {
			var m *mistake
			c.Bandwidth, m = parseBandwidth(text)
			d.mistake(v.value, m)
		}
	}
	if v, ok := fields["hosts"]; ok {
		hosts, err := strconv.ParseInt(v.value.text, 10, 64)
		if v.value.kind != intNode || err != nil || hosts < 1 || hosts > maxHosts {
			d.fail(v.value, "", "hosts is a whole number from 1 to %d", maxHosts)
		} else {
			c.Hosts = hosts
		}
	}
	if v, ok := fields["deploys-per-day"]; ok {
		rate, ok := parseRate(v.value.text)
		if v.value.kind != intNode && v.value.kind != otherScalar || !ok || rate < 1 || rate > maxDeploys {
			d.fail(v.value, "write 0.2 for one in five days", "deploys-per-day is a number from 0.001 to %s", maxDeploys)
		} else {
			c.Deploys = rate
		}
	}
	return c
}
