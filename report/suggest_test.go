package report_test

import (
	"strings"
	"testing"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

const rewriteDiff = `--- a/Dockerfile
+++ b/Dockerfile
@@ -1,4 +1,4 @@
-FROM node:20-bookworm-slim
+FROM node:20-bookworm-slim AS builder
 WORKDIR /app
 COPY package*.json ./
 RUN npm ci
@@ -5,2 +5,7 @@
 COPY . .
-CMD ["node", "server.js"]
+RUN npm prune --omit=dev
+
+FROM node:20-alpine
+WORKDIR /app
+COPY --from=builder /app /app
+USER node
+CMD ["node", "server.js"]
`

const aptDiff = `--- a/Dockerfile
+++ b/Dockerfile
@@ -9,2 +9,3 @@
 RUN apt-get update \
-	&& apt-get install -y build-essential
+	&& apt-get install -y build-essential \
+	&& rm -rf /var/lib/apt/lists/*
`

// advised is the rich report with suggestions of every kind.
func advised(t testing.TB, kind report.Kind) *report.Report {
	r := rich(t)
	r.Kind = kind
	img := &r.Images[0]
	img.Suggestions = []footprint.Suggestion{
		{
			Rule: "build-tools-in-final-stage", File: "Dockerfile", Stage: "0", Start: 9, End: 10, Bytes: 62_400_000, Metric: footprint.Unpacked,
			Paths: []footprint.WeighedPath{{Path: "/usr/lib/gcc", Bytes: 41_000_000, Layer: 4}, {Path: "/usr/bin/x86_64-linux-gnu-g++-12", Bytes: 1_300_000, Layer: 4}}, More: 31,
			Safety:  footprint.AdviceOnly,
			Message: "62.4 MB of the image are a compiler and its headers, which nothing in it runs.", Advice: "Install build-essential in a builder stage and copy what it builds.",
			Unknown: []string{"whether server.js compiles a native module when it starts"},
		},
		{
			Rule: "single-stage-build", File: "Dockerfile", Stage: "0", Start: 1, End: 14, Bytes: 374_000_000, Metric: footprint.Unpacked,
			Paths:  []footprint.WeighedPath{{Path: "/usr/lib/gcc", Bytes: 41_000_000, Layer: 4}},
			Safety: footprint.NeedsTests, Message: "374.0 MB of the image are there for building it only.", Advice: "Build in two stages.",
			Edits: []footprint.Edit{{File: "Dockerfile", Start: 0, End: 240, Text: "FROM node:20-bookworm-slim AS builder\n"}}, Diff: rewriteDiff,
			Verified: &footprint.Verification{
				Status: footprint.Verified, Before: 412_000_000, After: 38_000_000, Metric: footprint.Unpacked, Same: "same answers on :3000/",
				Evidence: []footprint.Evidence{{What: "listening ports", Original: "3000/tcp", Candidate: "3000/tcp", Same: true}, {What: "GET :3000/", Original: "200, 17 bytes", Candidate: "200, 17 bytes", Same: true}},
				Tried:    []footprint.Attempt{{Name: "on scratch", After: 21_000_000, Reason: "it ends at once with status 127"}},
			},
		},
		{
			Rule: "package-cache-left", File: "Dockerfile", Stage: "0", Start: 9, End: 10, Bytes: 19_100_000, Metric: footprint.Unpacked,
			Paths:  []footprint.WeighedPath{{Path: "/var/lib/apt/lists", Bytes: 19_100_000, Layer: 4}},
			Safety: footprint.SafePatch, Message: "19.1 MB are lists that apt-get update left.", Advice: "Remove them in the same RUN.",
			Edits: []footprint.Edit{{File: "Dockerfile", Start: 120, End: 120, Text: " \\\n\t&& rm -rf /var/lib/apt/lists/*"}}, Diff: aptDiff,
			Verified: &footprint.Verification{Status: footprint.VerifyNotRun, Reason: "the time was up"},
		},
		{
			Rule: "fat-base-image", File: "Dockerfile", Start: 1, End: 1, Bytes: 31_000_000, Metric: footprint.Compressed, Estimated: true, Safety: footprint.NeedsTests,
			Message: "node:20-alpine is 31.0 MB smaller than node:20-bookworm-slim.", Advice: "Build on node:20-alpine.",
			Verified: &footprint.Verification{Status: footprint.VerifyFailed, Reason: "the answer of GET :3000/ is another", Evidence: []footprint.Evidence{{What: "GET :3000/", Original: "200", Candidate: "no answer"}}},
		},
	}
	if kind == report.Suggest {
		img.Verdict, r.Status, r.Run = budget.Verdict{Status: budget.Pass}, budget.Pass, report.Run{}
		img.Base, img.Delta, img.Baseline, r.Notes = nil, nil, report.Baseline{Status: "none"}, nil
	}
	return r
}

// hinted is advice on a Dockerfile without an image.
func hinted() *report.Report {
	return &report.Report{Kind: report.Suggest, Tool: "image-budget 1.2.3", Status: budget.Pass, Images: []report.Image{{
		Head: &footprint.Image{Name: "Dockerfile"}, Verdict: budget.Verdict{Status: budget.Pass}, Baseline: report.Baseline{Status: "none"},
		Suggestions: []footprint.Suggestion{{
			Rule: "package-cache-left", File: "Dockerfile", Stage: "0", Start: 2, End: 2, Hint: true, Safety: footprint.SafePatch,
			Message: "apt-get update leaves its lists in the layer.", Advice: "Remove them in the same RUN.",
			Edits: []footprint.Edit{{File: "Dockerfile", Start: 60, End: 60, Text: " && rm -rf /var/lib/apt/lists/*"}},
		}},
	}}}
}

func nothing(t testing.TB) *report.Report {
	r := advised(t, report.Suggest)
	r.Images[0].Suggestions = []footprint.Suggestion{}
	return r
}

// A comment that has no room for everything keeps what would help, and never half
// of a patch.
func TestSuggestionsFit(t *testing.T) {
	t.Parallel()
	r := advised(t, report.Check)
	for limit := 900; limit < 16_000; limit += 100 {
		out := markdown(t, r, report.MarkdownOptions{MaxBytes: limit})
		checkMarkdown(t, out)
		if strings.Count(out, "```")%2 != 0 {
			t.Fatalf("%d bytes: a patch is cut:\n%s", limit, out)
		}
	}
}

// No sum of suggestions is shown: they may be about the same bytes.
func TestSuggestionsAreNotSummed(t *testing.T) {
	t.Parallel()
	r := advised(t, report.Check)
	for name, text := range map[string]string{"terminal": terminal(t, r, report.TerminalOptions{}), "markdown": markdown(t, r, comment)} {
		if strings.Contains(text, "together 2") || strings.Contains(text, "261.5 MB") || strings.Contains(text, "455") {
			t.Errorf("%s: a sum of bytes that overlap", name)
		}
		wants(t, name, text, []string{"−374.0 MB", "verified: 412.0 MB → 38.0 MB (−90.8 %), same", "not built: the time was up"}, nil)
	}
}

// What was built and is no good is not offered: no patch, no command, no fix.
func TestRefutedIsNotOffered(t *testing.T) {
	t.Parallel()
	for _, kind := range []report.Kind{report.Check, report.Suggest} {
		r := advised(t, kind)
		r.Images[0].Suggestions[1].Verified = &footprint.Verification{Status: footprint.VerifyFailed, Reason: "another answer"}
		var html strings.Builder
		if err := report.HTML(&html, r); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"terminal": terminal(t, r, report.TerminalOptions{}), "markdown": markdown(t, r, comment), "html": html.String(), "sarif": toSARIF(t, r)} {
			not := []string{"AS builder", "--write=multi-stage"}
			if name == "sarif" {
				not = not[:1] // the page about the rule names the flag
			}
			wants(t, name, text, []string{"not verified: another answer"}, not)
		}
	}
	r := advised(t, report.Suggest)
	r.Images[0].Suggestions[1].Verified = &footprint.Verification{Status: footprint.VerifyNotRun, Reason: "the time was up"}
	wants(t, "not built", terminal(t, r, report.TerminalOptions{}), []string{"AS builder", "--write=multi-stage  without --verify, writes"}, nil)
}

// What was proven says so, and not that it has to be confirmed.
func TestProvenSaysWhatIsLeftToDo(t *testing.T) {
	t.Parallel()
	r := advised(t, report.Suggest)
	r.Images[0].Suggestions = r.Images[0].Suggestions[1:2]
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"built and run; your tests should still confirm it"}, []string{"have to confirm"})
}

// Suggestions about bytes of a heavier one are a line each and come last, unless
// that one is no good.
func TestSuggestionsWithinAnother(t *testing.T) {
	t.Parallel()
	r := advised(t, report.Suggest)
	r.Images[0].Suggestions[0].Within, r.Images[0].Suggestions[2].Within = "single-stage-build", "single-stage-build"
	text := terminal(t, r, report.TerminalOptions{})
	wants(t, "terminal", text, []string{"1. single-stage-build", "2. fat-base-image", "also, within the bytes", "19.1 MB  package-cache-left          Dockerfile:9  within single-stage-build", "makes 1 safe change"}, []string{"3. ", "by apt-get"})
	out := markdown(t, r, comment)
	checkMarkdown(t, out)
	wants(t, "markdown", out, []string{"- **19.1 MB** `package-cache-left` `Dockerfile:9`, within `single-stage-build`"}, []string{aptDiff[:10] + "\n+\t&&"})
	r.Images[0].Suggestions[1].Verified = &footprint.Verification{Status: footprint.VerifyFailed, Reason: "x"}
	wants(t, "refuted", terminal(t, r, report.TerminalOptions{}), []string{"package-cache-left  19.1 MB"}, []string{"also, within"})
	r.Images[0].Suggestions[0].Within = "</b>"
	if _, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 1<<20); err == nil {
		t.Error("a suggestion is within what is no rule")
	}
}

// Thousands of suggestions are a page, and JSON that can be read again.
func TestManySuggestions(t *testing.T) {
	t.Parallel()
	for within, left := range map[string]string{"": "4984", "single-stage-build": "4980"} {
		r := advised(t, report.Suggest)
		img := &r.Images[0]
		for range 5_000 {
			one := img.Suggestions[2]
			one.Within = within
			img.Suggestions = append(img.Suggestions, one)
		}
		var html strings.Builder
		if err := report.HTML(&html, r); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"terminal": terminal(t, r, report.TerminalOptions{}), "markdown": markdown(t, r, report.MarkdownOptions{}), "html": html.String()} {
			if n := strings.Count(text, "package-cache-left"); n > 25 {
				t.Errorf("%s shows %d", name, n)
			}
			if !strings.Contains(strings.NewReplacer(",", "", "\u00a0", "", "\u202f", "", "\u2009", "", " ", "").Replace(text), left) {
				t.Errorf("%s: %s more are not counted", name, left)
			}
		}
		again, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 8<<20)
		if err != nil || len(again.Images[0].Suggestions) != report.MaxSuggestions {
			t.Errorf("the JSON cannot be read again: %v", err)
		}
	}
}

// A hint on an image that was measured does not say that there was none.
func TestHintsOnMeasuredImages(t *testing.T) {
	t.Parallel()
	r := advised(t, report.Suggest)
	one := &r.Images[0].Suggestions[3]
	one.Hint, one.Bytes, one.Metric, one.Unknown = true, 0, "", []string{"Could not ask the registry."}
	wants(t, "terminal", terminal(t, r, report.TerminalOptions{}), []string{"worth knowing:\n     Could not ask"}, []string{"there was no image"})
	wants(t, "markdown", markdown(t, r, comment), []string{"Worth knowing:\n\n- Could not ask"}, []string{"there was no image"})
}

// A patch is shown so that it can be applied: with its tabs, and whatever it holds
// cannot end its block.
func TestPatchesStayWhole(t *testing.T) {
	t.Parallel()
	r := advised(t, report.Check)
	r.Images[0].Suggestions[2].Diff = "--- a/Dockerfile\n+++ b/Dockerfile\n@@ -1,2 +1,3 @@\n ```\n+\tRUN echo '````' ::\n \u202e</details>@admin\n"
	out := markdown(t, r, comment)
	checkMarkdown(t, out)
	wants(t, "the fence", out, []string{"`````diff\n--- a/Dockerfile", "\n+\tRUN echo '````' ::\n", "\n \\u202e</details>@admin\n`````\n"}, nil)
}

// What a stored report must not say of suggestions.
func TestReadSuggestions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(s *footprint.Suggestion){
		"no rule is called":      func(s *footprint.Suggestion) { s.Rule = "</b>" },
		"lines 9 to 3":           func(s *footprint.Suggestion) { s.Start, s.End = 9, 3 },
		"unknown word":           func(s *footprint.Suggestion) { s.Safety = "D" },
		"unknown word \"final\"": func(s *footprint.Suggestion) { s.Metric = footprint.Final },
		"a size or count of -1":  func(s *footprint.Suggestion) { s.Bytes = -1 },
		"a size or count of -2":  func(s *footprint.Suggestion) { s.Paths[0].Bytes = -2 },
		"layer 99 of":            func(s *footprint.Suggestion) { s.Paths[0].Layer = 99 },
		"a hint of":              func(s *footprint.Suggestion) { s.Hint = true },
		"6 paths":                func(s *footprint.Suggestion) { s.Paths = make([]footprint.WeighedPath, 6) },
		"an edit of the bytes 7": func(s *footprint.Suggestion) { s.Edits = []footprint.Edit{{Start: 7, End: 3}} },
		"edits that overlap":     func(s *footprint.Suggestion) { s.Edits = []footprint.Edit{{Start: 1, End: 5}, {Start: 4, End: 6}} },
		"verified without": func(s *footprint.Suggestion) {
			s.Verified = &footprint.Verification{Status: "verified", Metric: "unpacked", Before: 2, After: 1}
		},
		"unknown word \"perhaps\"": func(s *footprint.Suggestion) { s.Verified = &footprint.Verification{Status: "perhaps"} },
	} {
		r := advised(t, report.Suggest)
		change(&r.Images[0].Suggestions[0])
		if _, err := report.ReadJSON(strings.NewReader(toJSON(t, r)), 1<<20); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// Nobody looked is another thing than nothing found.
func TestNoSuggestionsIsNull(t *testing.T) {
	t.Parallel()
	r := fine(t)
	if text := toJSON(t, r); !strings.Contains(text, `"suggestions": null`) {
		t.Error("nobody looked, and it is not null")
	}
	r.Images[0].Suggestions = []footprint.Suggestion{}
	text := toJSON(t, r)
	again, err := report.ReadJSON(strings.NewReader(text), 1<<20)
	if err != nil || again.Images[0].Suggestions == nil || !strings.Contains(text, `"suggestions": []`) {
		t.Error("nothing was found, and it is not an empty list", err)
	}
}
