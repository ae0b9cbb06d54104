package report_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// What is measured can be read again, however much it is.
func TestReadJSONAtTheBounds(t *testing.T) {
	t.Parallel()
	const layers, packages = math.MaxUint16, 100_000
	big := func(layers, packages int) *report.Report {
		img := &footprint.Image{
			Name: "web", Reference: "web:1", Platform: "linux/amd64", Packages: []footprint.Package{},
			Metrics: footprint.Metrics{Layers: layers, Unpacked: footprint.Bytes(packages), Final: footprint.Bytes(packages), Files: packages, Has: footprint.HasFiles},
			Rest:    &footprint.Rest{},
		}
		for i := range layers {
			img.Layers = append(img.Layers, footprint.Layer{Index: i, Has: footprint.HasFiles})
		}
		img.Layers[0].Unpacked, img.Layers[0].Files = footprint.Bytes(packages), packages
		for i := range packages {
			img.Packages = append(img.Packages, footprint.Package{Ecosystem: "npm", Name: strconv.Itoa(i), Version: "1", Bytes: 1, Own: 1, Files: 1})
		}
		// Nothing of the baseline is in the image.
		base := *img
		base.Packages = slices.Clone(img.Packages)
		for i := range base.Packages {
			base.Packages[i].Name += "-old"
		}
		base.Layers = slices.Clone(img.Layers)
		for i := range layers {
			img.Layers[i].DiffID, base.Layers[i].DiffID = "new"+strconv.Itoa(i), "old"+strconv.Itoa(i)
		}
		d := &footprint.Delta{Has: footprint.HasFiles}
		for i := range layers {
			d.Layers = append(d.Layers, footprint.LayerChange{Change: footprint.Removed, Old: &base.Layers[i]}, footprint.LayerChange{Change: footprint.Added, New: &img.Layers[i]})
		}
		for i := range packages {
			d.Packages = append(d.Packages,
				footprint.PackageChange{Ecosystem: "npm", Name: base.Packages[i].Name, Change: footprint.Removed, From: "1", Bytes: -1},
				footprint.PackageChange{Ecosystem: "npm", Name: img.Packages[i].Name, Change: footprint.Added, To: "1", Bytes: 1})
		}
		return wrap(judged(&report.Image{Head: img, Base: &base, Delta: d, Baseline: report.Baseline{Status: "found"}}, budget.Image{}))
	}
	for _, tt := range []struct{ layers, packages, kept int }{{layers, 1, 1}, {1, packages, packages}, {1, packages + 1, -1}} {
		r := big(tt.layers, tt.packages)
		again, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 128<<20)
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		img := again.Images[0]
		if len(img.Head.Layers) != tt.layers || len(img.Delta.Layers) != len(r.Images[0].Delta.Layers) {
			t.Errorf("%+v: %d layers, %d changed", tt, len(img.Head.Layers), len(img.Delta.Layers))
		}
		notes := strings.Join(img.Verdict.Notes, "\n")
		switch {
		case tt.kept < 0 && (img.Head.Packages != nil || img.Delta.Packages != nil || !strings.Contains(notes, "are more than")):
			t.Errorf("%+v: %d packages, %d changed, %q", tt, len(img.Head.Packages), len(img.Delta.Packages), notes)
		case tt.kept >= 0 && (len(img.Head.Packages) != tt.kept || len(img.Delta.Packages) != 2*tt.kept || notes != ""):
			t.Errorf("%+v: %d packages, %d changed, %q", tt, len(img.Head.Packages), len(img.Delta.Packages), notes)
		}
		began := time.Now()
		markdown(t, again, comment)
		t.Logf("%+v: a comment in %v", tt, time.Since(began))
	}
}

func TestReadJSONRefuses(t *testing.T) {
	t.Parallel()
	good, without := toJSON(t, rich(t)), toJSON(t, unmeasured(fine(t), refused))
	change := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in the report", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct{ src, want string }{
		"newer":            {change(`"version": 1`, `"version": 2`), "made by a newer image-budget"},
		"older":            {change(`"version": 1`, `"version": 0`), "no version 0"},
		"no version":       {`{"images": []}`, "it has no version"},
		"empty":            {"", "not a whole JSON document"},
		"truncated":        {good[:len(good)/2], "not a whole JSON document"},
		"two documents":    {good + good, "not a whole JSON document"},
		"binary":           {"\x1f\x8b\x08\x00", "not a whole JSON document"},
		"a list":           {"[]", "reading the report"},
		"status":           {change(`"status": "fail"`, `"status": "pass"`), "its status is"},
		"image status":     {strings.Replace(change(`"status": "fail"`, `"status": "pass"`), `"status": "fail"`, `"status": "pass"`, 1), "that of its checks"},
		"unknown status":   {change(`"status": "waived"`, `"status": "great"`), `unknown word "great"`},
		"kind":             {change(`"kind": "check"`, `"kind": "party"`), `unknown word "party"`},
		"layer sum":        {change(`"unpacked": 79600000`, `"unpacked": 79600001`), "does not add up"},
		"compressed sum":   {change(`"compressed": 51900000`, `"compressed": 51900001`), "does not add up"},
		"waste":            {change(`"bytes": 71200000`, `"bytes": 71200001`), "does not add up"},
		"parts":            {change(`"files": 15700000`, `"files": 15700001`), "the comparison"},
		"negative":         {change(`"compressed": 51900000`, `"compressed": -51900000`), "a size or count of -51900000"},
		"huge":             {change(`"compressed": 51900000`, `"compressed": 9000000000000000000`), "a size or count of"},
		"fraction":         {change(`"compressed": 51900000`, `"compressed": 5.5`), "not a size in bytes"},
		"half measured":    {change(`"wasted": 71200000`, `"wasted": null`), "measured together"},
		"layer index":      {change(`"index": 4`, `"index": 40`), "layer 40 stands in place 4"},
		"dead layer":       {change(`"by": 6`, `"by": 7`), "layer 7 of 7"},
		"changed layer":    {change(`"old": 5`, `"old": 6`), "layer 6 of 6"},
		"fate":             {change(`"fate": "rewritten"`, `"fate": "![](x)"`), "unknown word"},
		"change":           {change(`"change": "added"`, `"change": "<b>"`), "unknown word"},
		"label":            {change(`"label": "npm cache"`, `"label": "[npm](x)"`), "unknown label"},
		"scope":            {change(`"scope": "own"`, `"scope": "all"`), "unknown word"},
		"metric":           {change(`"metric": "wasted"`, `"metric": "@all"`), "unknown word"},
		"baseline":         {change(`"status": "found"`, `"status": "lost"`), "state of the baseline"},
		"distance":         {change(`"distance": 2`, `"distance": -2`), "-2 commits"},
		"waiver":           {change(`"until": "2026-12-31"`, `"until": "tomorrow"`), "which is no day"},
		"origin":           {change(`"start": 14`, `"start": 15`), "lines 15 to 14"},
		"path arithmetic":  {change(`"new": 8400000`, `"new": 8400001`), "changed by 8400000 bytes"},
		"own of a package": {change(`"own": 22400000`, `"own": 22400001`), "a size or count of -1"},
		"negative package": {change(`"bytes": 22400000`, `"bytes": -22400000`), "a size or count of -22400000"},
		"package layer":    {change(`"layer": 1,`, `"layer": 7,`), "layer 7 of 7"},
		"rest":             {change(`"unowned": 8400000`, `"unowned": -1`), "a size or count of -1"},
		"no rest":          {change(`"rest": {`, `"remains": {`), "packages without the rest"},
		"content":          {change(`"kind": "debug-info"`, `"kind": "<b>"`), "unknown word"},
		"content twice":    {change(`"kind": "debug-info"`, `"kind": "source-maps"`), "two sums of source-maps"},
		"content files":    {change(`"files": 14,`, `"files": -14,`), "a size or count of -14"},
		"copies":           {change(`"copies": 2`, `"copies": 1`), "a duplicate of 1 copies at 2 paths"},
		"negative copies":  {change(`"copies": 2`, `"copies": -2`), "a size or count of -2"},
		"copy layers": {change(`"layers": [
            5,`, `"layers": [`), "in 1 layers"},
		"copy layer":       {change("            5,\n", "            50,\n"), "layer 50 of 7"},
		"duplicates":       {change(`"duplicate_bytes": 4700000`, `"duplicate_bytes": 3000000`), "where all are 3000000"},
		"own duplicates":   {change(`"duplicate_own": 4700000`, `"duplicate_own": 3000000`), "where all are 4700000 and 3000000"},
		"more own ones":    {change(`"duplicate_own": 4700000`, `"duplicate_own": 4700001`), "a size or count of -1"},
		"own of duplicate": {change(`"own": 3100000`, `"own": 3100001`), "a size or count of -1"},
		"too many copies":  {change(`"duplicates": [`, `"duplicates": [`+strings.Repeat(`{"copies":2},`, 100)), "102 duplicates are more than 100"},
		"surface":          {change(`"compilers": [`, `"compilers": [`+strings.Repeat(`"/bin/cc",`, 100)), "a list of more than 100"},
		"executables":      {change(`"executables": 312`, `"executables": -312`), "negative count"},
		"many executables": {change(`"executables": 312`, `"executables": 9000000000000000000`), "a size or count of"},
		"changed package":  {change(`"from": "4.18.0",`, `"change": "same",`), "unknown word"},
		"layer of a package": {change(`"layer": -1,
            "through": "bash"`, `"layer": -2`), "layer -2 of 7"},
		"move":                    {change(`"files": 12`, `"files": -12`), "a size or count of -12"},
		"too many moves":          {change(`"moves": [`, `"moves": [`+strings.Repeat(`{},`, 100)), "102 moves are more than 100"},
		"cause of packages":       {change(`"label": "npm cache"`, `"packages": [{},{},{},{}]`), "a cause of 4 packages"},
		"cause of a word":         {change(`"label": "npm cache"`, `"packages": [{"change": "grown"}]`), "unknown word"},
		"more of none":            {change(`"label": "npm cache"`, `"more": 3`), "a cause of 0 packages and 3 more"},
		"less than none":          {change(`"label": "npm cache"`, `"packages": [{"change":"added"}], "more": -3`), "and -3 more"},
		"strippable of a cause":   {change(`"label": "npm cache"`, `"strippable": -1`), "a size or count of -1"},
		"strippable of a change":  {change(`"from": "4.18.0",`, `"strippable": -9000000000000000000,`), "a size or count of"},
		"strippable of a package": {change(`"own": 22400000`, `"own": 22400000, "strippable": -1`), "a size or count of -1"},
		"moved from nowhere":      {change(`"old": 5`, `"moved": true, "old": null`), "a layer that moved and is in one image only"},
		"too many layers":         {change(`"layers": [`, `"layers": [`+strings.Repeat(`{},`, 65_536)), "more than 65535"},
		"missing image":           {strings.Replace(without, `"status": "fail"`, `"status": "pass"`, 1), `its status is "pass", that of its images "fail"`},
		"lost image":              {strings.Replace(without, `"unmeasured"`, `"forgotten"`, 1), `its status is "fail", that of its images "pass"`},
		"unmeasured":              {strings.Replace(without, `"unmeasured": [`, `"unmeasured": [`+strings.Repeat(`{},`, 1_000), 1), "1001 images that could not be measured are more than 1000"},
		"too many objects":        {`{"version":1,"x":[` + strings.Repeat(`{},`, 1_000_001) + `{}]}`, "more than 1 000 000 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := report.ReadJSON(strings.NewReader(c.src), 8<<20)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := report.ReadJSON(strings.NewReader(good), 1000); err == nil || !strings.Contains(err.Error(), "larger than 1.0 kB") {
		t.Errorf("too large: %v", err)
	}
}

// A name that a later release adds within a version is no mistake.
func TestReadJSONIgnoresAdditions(t *testing.T) {
	t.Parallel()
	src := strings.Replace(toJSON(t, rich(t)), `"version": 1,`, `"version": 1, "mood": {"good": true},`, 1)
	if _, err := report.ReadJSON(strings.NewReader(src), 1<<20); err != nil {
		t.Error(err)
	}
}

// mutate changes one random leaf of a JSON document.
func mutate(v any, rng *rand.Rand) any {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 {
			return nil
		}
		key := keys[rng.IntN(len(keys))]
		if v[key] = mutate(v[key], rng); rng.IntN(40) == 0 {
			delete(v, key)
		}
		return v
	case []any:
		if len(v) == 0 || rng.IntN(20) == 0 {
			return []any{}
		}
		i := rng.IntN(len(v))
		v[i] = mutate(v[i], rng)
		return v
	case string:
		return hostile[rng.IntN(len(hostile))]
	}
	return []any{0, -1, 1, 7, 1 << 40, int64(math.MaxInt64), int64(math.MinInt64), nil, true, "x"}[rng.IntN(10)]
}

// Whatever is accepted from a changed report is as harmless as any other.
func TestReadJSONMutated(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	accepted := 0
	good := []string{toJSON(t, rich(t)), toJSON(t, unmeasured(rich(t), refused)), toJSON(t, unmeasured(wrap(), refused, refused))}
	for i := range 900 {
		var doc any
		if err := json.Unmarshal([]byte(good[i%len(good)]), &doc); err != nil {
			t.Fatal(err)
		}
		for range 1 + rng.IntN(3) {
			doc = mutate(doc, rng)
		}
		src, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		r, err := report.ReadJSON(bytes.NewReader(src), 1<<20)
		if err != nil {
			continue
		}
		accepted++
		checkTerminal(t, terminal(t, r, report.TerminalOptions{Width: 80}), 80)
		text := markdown(t, r, comment)
		if r.Run.ServerURL == "https://github.com" && r.Run.Repository == "acme/web" {
			checkMarkdown(t, text)
		}
		if t.Failed() {
			t.Fatalf("%s", src)
		}
	}
	if accepted < 100 {
		t.Errorf("only %d were accepted", accepted)
	}
}

func FuzzReadJSON(f *testing.F) {
	for name, r := range cases(f) {
		if name != "many-images" {
			f.Add(toJSON(f, r))
		}
	}
	f.Fuzz(func(t *testing.T, src string) {
		r, err := report.ReadJSON(strings.NewReader(src), 1<<20)
		if err != nil {
			return
		}
		checkTerminal(t, terminal(t, r, report.TerminalOptions{Width: 80}), 80)
		text := markdown(t, r, comment)
		if strings.HasPrefix(r.Run.ServerURL, "https://github.com") && r.Run.Repository == "acme/web" {
			checkMarkdown(t, text)
		}
		if stored := toJSON(t, r); len(stored) < 1<<20 {
			if _, err := report.ReadJSON(strings.NewReader(stored), 1<<20); err != nil {
				t.Errorf("read once, not twice: %v", err)
			}
		}
	})
}
