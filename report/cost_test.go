package report_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// flat is a text on one line.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestCost(t *testing.T) {
	t.Parallel()
	gigabit := budget.Cost{Bandwidth: 1_000_000_000}
	busy := budget.Cost{Bandwidth: 1_000_000_000, Hosts: 40, Deploys: 6000}
	updated := func(r *report.Report) { footprint.SetUpdate(r.Images[0].Base, r.Images[0].Head) }
	for name, c := range map[string]struct {
		of     func(testing.TB) *report.Report
		cost   budget.Cost
		change func(*report.Report)
		want   string
		// quiet is set where a comment does not say it.
		quiet bool
	}{
		"assumed":     {rich, budget.Cost{}, nil, "a cold pull takes 10.6 s at an assumed 100 Mbit/s (was 7.5 s)", false},
		"stated":      {rich, gigabit, nil, "a cold pull takes 1.1 s at 1 Gbit/s (was 0.75 s)", false},
		"no baseline": {noBaseline, budget.Cost{}, nil, "a cold pull takes 7.5 s at an assumed 100 Mbit/s", true},
		"hardly more": {fine, budget.Cost{}, nil, "a cold pull takes 7.5 s at an assumed 100 Mbit/s", true},
		"estimated":   {estimated, gigabit, nil, "a cold pull takes about 0.75 s at 1 Gbit/s", true},
		"no baseline, busy": {noBaseline, busy, nil,
			"a cold pull takes 0.75 s at 1 Gbit/s; 40 hosts × 6 deploys a day move 676.8 GB a month (30 days), each a cold pull", false},
		"busy": {rich, busy, updated,
			"a cold pull takes 1.1 s at 1 Gbit/s (was 0.75 s); 40 hosts × 6 deploys a day move 180.0 GB a month (30 days), each what a host with the baseline lacks", false},
		"one of each": {noBaseline, budget.Cost{Hosts: 1, Deploys: 1000}, nil, "a cold pull takes 7.5 s at an assumed 100 Mbit/s; 1 host × 1 deploy a day move 2.8 GB a month (30 days), each a cold pull", false},
		"nothing new": {rich, busy, func(r *report.Report) {
			r.Images[0].Head.Metrics.Update, r.Images[0].Head.Metrics.Has = 0, r.Images[0].Head.Metrics.Has|footprint.HasUpdate
		}, "40 hosts × 6 deploys a day move nothing: a host with the baseline has all layers", false},
		"an update of what does not compare": {noBaseline, budget.Cost{Hosts: 40, Deploys: 6000}, func(r *report.Report) {
			r.Images[0].Head.Metrics.Has |= footprint.HasUpdate
		}, "40 hosts × 6 deploys a day move 676.8 GB a month (30 days), each a cold pull", false},
		"hosts alone": {rich, budget.Cost{Hosts: 40}, nil, "a cold pull takes 10.6 s at an assumed 100 Mbit/s (was 7.5 s)", false},
		"slow":        {rich, budget.Cost{Bandwidth: 56_000}, nil, "a cold pull takes 5 h 15 min at 56 kbit/s (was 3 h 44 min)", false},
		"a minute":    {rich, budget.Cost{Bandwidth: 10_000_000}, nil, "a cold pull takes 1 min 46 s at 10 Mbit/s (was 1 min 15 s)", false},
		"fast":        {rich, budget.Cost{Bandwidth: 100_000_000_000}, nil, "a cold pull takes 0.01 s at 100 Gbit/s", false},
		"not known":   {rich, busy, func(r *report.Report) { r.Images[0].Head.Metrics.Has &^= compressed }, "", true},
	} {
		r := c.of(t)
		r.Images[0].Cost = c.cost
		if c.change != nil {
			c.change(r)
		}
		full, short := markdown(t, r, report.MarkdownOptions{Full: true}), markdown(t, r, comment)
		for format, text := range map[string]string{"terminal": flat(terminal(t, r, report.TerminalOptions{})), "summary": full} {
			if !strings.Contains(text, c.want) || c.want == "" && strings.Contains(text, "cold pull") {
				t.Errorf("%s: the %s lacks %q:\n%s", name, format, c.want, text)
			}
		}
		if said := strings.Contains(short, "a cold pull takes"); said == c.quiet {
			t.Errorf("%s: the comment says it: %v", name, said)
		}
	}
}

func TestCostInJSON(t *testing.T) {
	t.Parallel()
	r := rich(t)
	cost := func() string {
		t.Helper()
		var doc struct {
			Images []struct{ Cost map[string]any }
		}
		if err := json.Unmarshal([]byte(toJSON(t, r)), &doc); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(doc.Images[0].Cost)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const unset = `{"bandwidth_assumed":true,"bandwidth_bits_per_second":100000000,"deploy_metric":null,"deploys_per_day":null,"hosts":null,"month_bytes":null,"pull_seconds":10.592}`
	if got := cost(); got != unset {
		t.Error(got)
	}
	r.Images[0].Cost = budget.Cost{Bandwidth: 1_000_000_000, Hosts: 40, Deploys: 500}
	const set = `{"bandwidth_assumed":false,"bandwidth_bits_per_second":1000000000,"deploy_metric":"compressed","deploys_per_day":0.5,"hosts":40,"month_bytes":79440001200,"pull_seconds":1.059}`
	if got := cost(); got != set {
		t.Error(got)
	}
	checkRoundTrip(t, r)
	for _, bad := range []string{`"hosts": -1`, `"hosts": 10000001`, `"hosts": 1.5`, `"hosts": "x"`} {
		if _, err := report.ReadJSON(strings.NewReader(strings.Replace(toJSON(t, r), `"hosts": 40`, bad, 1)), 1<<20); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	for _, bad := range []string{`"bandwidth_bits_per_second": -1`, `"bandwidth_bits_per_second": 9e18`} {
		if _, err := report.ReadJSON(strings.NewReader(strings.Replace(toJSON(t, r), `"bandwidth_bits_per_second": 1000000000`, bad, 1)), 1<<20); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// past is a history in which each commit weighed so many bytes.
func past(sizes ...footprint.Bytes) []footprint.Past {
	var out []footprint.Past
	for i, s := range sizes {
		out = append(out, footprint.Past{Commit: fmt.Sprintf("%040x", i), Compressed: s, Unpacked: 2 * s, Final: 2 * s, Has: everything})
	}
	return out
}

func TestHistory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		history []footprint.Past
		change  func(*report.Image)
		want    string
	}{
		"growing":        {past(88_100_000, 88_400_000, 91_000_000, 94_300_000), nil, "compressed over 5 commits ▁▁▁▂█ 88.1 MB → 132.4 MB"},
		"shrinking":      {past(200_000_000, 180_000_000), nil, "compressed over 3 commits █▆▁ 200.0 MB → 132.4 MB"},
		"hardly":         {past(132_400_000, 132_400_100), nil, "compressed over 3 commits ▁▁▁ 132 400 000 B → 132 400 002 B"},
		"one":            {past(88_100_000), nil, ""},
		"none":           {nil, nil, ""},
		"estimates":      {append(past(1, 2), estimates(past(90_000_000, 110_000_000))...), func(img *report.Image) { img.Head.Metrics.CompressedEstimated = true }, "compressed over 3 commits ▁▄█ ≈ 90.0 MB → ≈ 132.4 MB"},
		"another method": {estimates(past(90_000_000, 110_000_000)), nil, "unpacked over 3 commits ▁▄█ 180.0 MB → 291.7 MB"},
		"manifests alone": {past(1, 2), func(img *report.Image) {
			img.Head.Metrics.Has, img.Head.Metrics.CompressedEstimated = compressed, true
		}, ""},
	} {
		r := rich(t)
		img := &r.Images[0]
		img.History = c.history
		if c.change != nil {
			c.change(img)
		}
		full := markdown(t, r, report.MarkdownOptions{Full: true})
		for format, text := range map[string]string{"terminal": flat(terminal(t, r, report.TerminalOptions{})), "comment": markdown(t, r, comment), "summary": full} {
			if !strings.Contains(text, c.want) || c.want == "" && strings.Contains(text, " commits ▁") {
				t.Errorf("%s: the %s lacks %q:\n%s", name, format, c.want, text)
			}
		}
		if strings.Contains(full, "xychart-beta") != (c.want != "") || strings.Contains(markdown(t, r, comment), "xychart") {
			t.Errorf("%s: a chart where none belongs, or none:\n%s", name, full)
		}
		checkMarkdown(t, full)
	}
	r := rich(t)
	r.Images[0].History = past(88_100_000, 88_400_000, 91_000_000)
	const want = `xychart-beta
    title "compressed, the last 4 commits"
    x-axis "commits, oldest first" [1, 2, 3, 4]
    y-axis "MB" 83.67 --> 136.83
    line [88.1, 88.4, 91, 132.4]
`
	if all := charts(markdown(t, r, report.MarkdownOptions{Full: true})); len(all) != 2 || drawn(all[1]) != want {
		t.Errorf("%q", all)
	}
	checkRoundTrip(t, r)
	if text := toJSON(t, r); !strings.Contains(flat(text), `"history": [ { "commit": "0000000000000000000000000000000000000000", "compressed": 88100000, "compressed_estimated": false, "unpacked": 176200000, "final": 176200000 },`) {
		t.Error(text)
	}
	r.Images[0].History = past(make([]footprint.Bytes, report.MaxHistory+1)...)
	if _, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 1<<20); err == nil {
		t.Error("a history without end is read")
	}
	r.Images[0].History = past(-1)
	if _, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 1<<20); err == nil {
		t.Error("a negative size is read")
	}
	// An image that did not change says nothing new in a comment.
	quiet := fine(t)
	quiet.Images[0].Head, quiet.Images[0].Delta = quiet.Images[0].Base, delta(quiet.Images[0].Base, quiet.Images[0].Base)
	quiet.Images[0].History = past(1, 2, 3)
	if text := markdown(t, quiet, comment); strings.Contains(text, " commits ▁") {
		t.Error(text)
	}
}

func estimates(history []footprint.Past) []footprint.Past {
	for i := range history {
		history[i].Estimated = true
	}
	return history
}

func TestSetuidFilesAreNamed(t *testing.T) {
	t.Parallel()
	r := rich(t)
	r.Images[0].Verdict.Checks = append(r.Images[0].Verdict.Checks, budget.Check{
		Limit: "limits.setuid.max", Subject: "setuid", Kind: budget.KindMax, Metric: footprint.Setuid, Scope: budget.ScopeImage, Status: budget.Fail,
		Unit: budget.UnitCount, Actual: 4, Allowed: 2, Headroom: -2, Examples: []string{"/bin/su", "/bin/<b>", "/usr/bin/passwd"},
	})
	for format, text := range both(t, r) {
		if text = strings.NewReplacer("`", "", "&lt;", "<", "&gt;", ">").Replace(flat(text)); !strings.Contains(text, "setuid files, among them: /bin/su, /bin/<b>, /usr/bin/passwd") {
			t.Errorf("the %s does not name them:\n%s", format, text)
		}
	}
}
