package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

func toSARIF(t testing.TB, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.SARIF(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sarifSchema is the official schema.
func sarifSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("testdata/sarif/schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

type sarifLog struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct{ ID string }
			}
		}
		Results []sarifFound
	}
}

type sarifFound struct {
	RuleID              string
	RuleIndex           int
	Level               string
	PartialFingerprints map[string]string
	Locations           []struct {
		PhysicalLocation struct {
			ArtifactLocation struct{ URI string }
			Region           struct{ StartLine int }
		}
	}
}

func checkSARIF(t *testing.T, schema *jsonschema.Schema, out string) sarifLog {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range log.Runs[0].Results {
		rules := log.Runs[0].Tool.Driver.Rules
		if r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("rule %d is not %s", r.RuleIndex, r.RuleID)
		}
		// Code scanning takes no result without a place, and one alert for each fingerprint.
		if len(r.Locations) != 1 {
			t.Errorf("%s has %d places", r.RuleID, len(r.Locations))
		} else if uri := r.Locations[0].PhysicalLocation.ArtifactLocation.URI; uri == "" || strings.HasPrefix(uri, "/") || strings.Contains(uri, "..") || strings.Contains(uri, ":") {
			t.Errorf("%s is at %q", r.RuleID, uri)
		}
		for _, print := range r.PartialFingerprints {
			if seen[print] {
				t.Errorf("%s: two results have the fingerprint %s", r.RuleID, print)
			}
			seen[print] = true
		}
	}
	return log
}

// results is a document without the pages about rules, which change by themselves.
func results(t testing.TB, out string) string {
	t.Helper()
	var doc struct{ Runs []map[string]any }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc.Runs[0], "tool")
	text, err := json.MarshalIndent(doc.Runs[0], "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	schema := sarifSchema(t)
	for name, r := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkSARIF(t, schema, toSARIF(t, r))
		})
	}
}

// Lines that are added above an instruction leave its alerts what they were, and
// another instruction has others.
func TestSARIFFingerprintsFollowTheInstruction(t *testing.T) {
	t.Parallel()
	schema := sarifSchema(t)
	prints := func(shift int, command string) []string {
		r := advised(t, report.Suggest)
		img := &r.Images[0]
		img.Head.Layers[4].Origin = &footprint.Origin{File: "Dockerfile", Stage: "0", Start: 9 + shift, End: 10 + shift}
		img.Head.Layers[4].CreatedBy = command
		for i := range img.Suggestions {
			img.Suggestions[i].Start += shift
			img.Suggestions[i].End += shift
		}
		var out []string
		for _, found := range checkSARIF(t, schema, toSARIF(t, r)).Runs[0].Results {
			if found.RuleID == "package-cache-left" || found.RuleID == "build-tools-in-final-stage" {
				out = append(out, found.PartialFingerprints["imageBudgetInstruction/v1"])
			}
		}
		if len(out) != 2 {
			t.Fatalf("%d results", len(out))
		}
		return out
	}
	first := prints(0, "RUN apt-get update   && apt-get install -y build-essential")
	if !slices.Equal(first, prints(7, "RUN apt-get update && apt-get install -y build-essential")) {
		t.Error("lines above change the fingerprints")
	}
	if other := prints(0, "RUN apt-get install -y gcc"); other[0] == first[0] {
		t.Error("another instruction has the same fingerprint")
	}
}
