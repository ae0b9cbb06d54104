package budget

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/org/image-budget/footprint"
)

func TestBandwidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		bits  Bandwidth
		shown string
	}{
		"100Mbit/s": {100_000_000, "100 Mbit/s"}, "1 Gbit/s": {1_000_000_000, "1 Gbit/s"}, "2.5Gbit/s": {2_500_000_000, "2.5 Gbit/s"},
		"12.5MB/s": {100_000_000, "100 Mbit/s"}, "1.125GB/s": {9_000_000_000, "9 Gbit/s"}, "8kB/s": {64_000, "64 kbit/s"},
		"0.001kbit/s": {1, "1 bit/s"}, "1000000Gbit/s": {1_000_000_000_000_000, "1000000 Gbit/s"}, "125000GB/s": {1_000_000_000_000_000, "1000000 Gbit/s"},
	} {
		got, m := parseBandwidth(text)
		if m != nil || got != want.bits || got.String() != want.shown {
			t.Errorf("%s: %d, %q, %v", text, got, got, m)
		}
		if again, m := parseBandwidth(got.String()); got >= 1000 && (m != nil || again != got) {
			t.Errorf("%s is read as %d, %v", got, again, m)
		}
	}
	for _, text := range []string{"", "1", "Mbit/s", "1000001Gbit/s", "125001GB/s", "0GB/s", "1.Mbit/s", "1e3Mbit/s", "1Tbit/s", "1Mbit/s ", "9999999999999999Gbit/s"} {
		if got, m := parseBandwidth(text); m == nil && text != "1Mbit/s " {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestMonth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cost  Cost
		size  footprint.Bytes
		want  footprint.Bytes
		known bool
	}{
		{Cost{Hosts: 40, Deploys: 6000}, 100_000_000, 720_000_000_000, true},
		{Cost{Hosts: 3, Deploys: 200}, 1_000, 18_000, true},
		{Cost{Hosts: 1, Deploys: 1}, 1, 0, true},
		{Cost{Hosts: maxHosts, Deploys: maxDeploys}, 1 << 50, math.MaxInt64, true},
		{Cost{Hosts: maxHosts, Deploys: maxDeploys}, math.MaxInt64, math.MaxInt64, true},
		{Cost{Hosts: 40}, 1, 0, false}, {Cost{Deploys: 1000}, 1, 0, false}, {Cost{}, 1, 0, false},
	} {
		if got, known := c.cost.Month(c.size); got != c.want || known != c.known {
			t.Errorf("%+v of %d: %d, %v", c.cost, c.size, got, known)
		}
	}
	if got := Bandwidth(1_000_000_000).Seconds(725_000_000); got != 5.8 {
		t.Errorf("%v", got)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{"6": 6000, "0.2": 200, "0.001": 1, "10000": maxDeploys, "1.50": 1500} {
		var got Rate
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		var back Rate
		data, err := json.Marshal(got)
		if err != nil || json.Unmarshal(data, &back) != nil || back != got {
			t.Errorf("%s: written as %s", text, data)
		}
	}
	for _, text := range []string{"-1", "1e3", "0.0001", `"x"`, "null2", "9999999999"} {
		var got Rate
		if json.Unmarshal([]byte(text), &got) == nil {
			t.Errorf("%s: %d", text, got)
		}
	}
}

func TestCostIsMergedKeyByKey(t *testing.T) {
	t.Parallel()
	got := Cost{Hosts: 2}.or(Cost{Bandwidth: 3, Hosts: 4, Deploys: 5})
	if want := (Cost{3, 2, 5}); got != want {
		t.Errorf("%+v", got)
	}
}
