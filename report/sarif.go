package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// maxSARIFResults is how many results code scanning keeps of a run.
const maxSARIFResults = 5_000

// The rules of results that are no suggestions.
const (
	overBudgetRule = "over-budget"
	grewRule       = "image-grew"
)

// SARIF writes what a report finds fault with for code scanning, in SARIF 2.1.0:
// a result for each limit that is not kept, for each cause of growth whose line is
// known, and for each suggestion. Every result has a place in the repository; what
// has none is a notification, as is an image that could not be measured.
//
// Fingerprints hold no line numbers: lines that are added above leave a result what
// it was. It returns an error of w.
func SARIF(w io.Writer, r *Report) error {
	s := &sarif{report: r, rules: map[string]int{}, seen: map[string]int{}}
	s.run.Invocations = []sarifInvocation{{Successful: len(r.Unmeasured) == 0, Notifications: []sarifNotification{}}}
	for _, u := range r.Unmeasured {
		s.notify("error", sentence(u.title(plainName)+" "+couldNot, said(u.Reason, plainName)))
	}
	s.run.Results, s.run.Driver.Rules = []sarifResult{}, []sarifRule{}
	for _, img := range r.ranked() {
		s.image(img)
	}
	if n := len(s.run.Results) - maxSARIFResults; n > 0 {
		s.run.Results = s.run.Results[:maxSARIFResults]
		s.notify("warning", plural(n, "more result")+" left out")
	}
	name, version, _ := strings.Cut(r.Tool, " ")
	s.run.Driver.Name = cmp.Or(plainWord(name), "image-budget")
	s.run.Driver.Version, s.run.Driver.Info = plainWord(version), "https://github.com/org/image-budget"
	s.run.Automation.ID = "image-budget/"
	s.run.Columns = "utf16CodeUnits"
	doc := sarifDocument{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{s.run}}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("writing the SARIF report: %w", err)
	}
	_, err := w.Write(printable(buf.Bytes()))
	return err
}

// plainWord is a name or version as it is, "" where it is no word.
func plainWord(s string) string {
	if s = plainName(s); s == "(empty)" {
		return ""
	}
	return s
}

type sarifDocument struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	sarifTool   `json:"tool"`
	Automation  sarifAutomation   `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	Columns     string            `json:"columnKind"`
	Results     []sarifResult     `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	Info    string      `json:"informationUri"`
	Rules   []sarifRule `json:"rules"`
}

type sarifAutomation struct {
	ID string `json:"id"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Notifications []sarifNotification `json:"toolExecutionNotifications"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifRule struct {
	ID    string          `json:"id"`
	Short sarifText       `json:"shortDescription"`
	Help  *sarifText      `json:"help,omitempty"`
	Level sarifLevel      `json:"defaultConfiguration"`
	Props sarifProperties `json:"properties"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifProperties struct {
	Tags []string `json:"tags"`
}

type sarifResult struct {
	Rule         string            `json:"ruleId"`
	Index        int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Fixes        []sarifFix        `json:"fixes,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI  string `json:"uri"`
	Base string `json:"uriBaseId"`
}

type sarifRegion struct {
	Start int `json:"startLine"`
	End   int `json:"endLine,omitempty"`
}

type sarifFix struct {
	Description sarifText     `json:"description"`
	Changes     []sarifChange `json:"artifactChanges"`
}

type sarifChange struct {
	Artifact     sarifArtifact      `json:"artifactLocation"`
	Replacements []sarifReplacement `json:"replacements"`
}

type sarifReplacement struct {
	Deleted  sarifBytes `json:"deletedRegion"`
	Inserted sarifText  `json:"insertedContent"`
}

// sarifBytes are a place in a file; a report does not hold its lines.
type sarifBytes struct {
	Offset int `json:"byteOffset"`
	Length int `json:"byteLength"`
}

// sarif collects a run.
type sarif struct {
	report *Report
	run    sarifRun
	// rules has the index of each rule, seen counts fingerprints.
	rules map[string]int
	seen  map[string]int
}

func (s *sarif) notify(level, text string) {
	n := &s.run.Invocations[0].Notifications
	*n = append(*n, sarifNotification{level, sarifText{Text: text}})
}

// image adds what is said of one image.
func (s *sarif) image(img *Image) {
	for _, c := range img.Verdict.Checks {
		level := ""
		switch {
		case c.Status == budget.Fail:
			level = "error"
		case c.Status == budget.Warn || c.Blind:
			level = "warning"
		default:
			continue
		}
		text := over(plainName(img.title()), c, plainName)
		if c.Status == budget.NotMeasured {
			text = sentence(plainName(img.title())+": "+plainName(c.Limit)+" could not be judged", said(c.Message, plainName))
		}
		file, line := cmp.Or(s.report.Run.BudgetFile, c.Pos.File), c.Pos.Line
		if c.Pos.File == "" || !insideRepository(legible(file)) {
			file, line = img.dockerfile()
		}
		s.add(overBudgetRule, level, text, file, line, line, nil, img.title(), c.Limit)
	}
	level := "note"
	if img.Verdict.Status == budget.Fail {
		level = "warning"
	}
	if s.report.Kind == Check || s.report.Kind == Diff {
		s.growth(img, level)
	}
	all, within := img.suggestions()
	for _, one := range append(all, within...) {
		of := level
		if one.Hint {
			of = "note"
		}
		text := plainName(one.Message) + " " + plainName(one.Advice)
		if words := proof(one, plainName); words != "" {
			text += " (" + words + ")"
		}
		about := []string{img.instruction(one.File, one.Start)}
		if about[0] == "" {
			about = []string{one.Stage}
			for _, p := range one.Paths[:min(1, len(one.Paths))] {
				about = append(about, p.Path)
			}
		}
		s.add(one.Rule, of, text, one.File, one.Start, one.End, fixesOf(one), about...)
	}
}

// growth adds the causes that have a line.
func (s *sarif) growth(img *Image, level string) {
	if img.Delta == nil {
		return
	}
	rest := causeRemainders(img.Delta.Causes)
	for _, c := range img.causes() {
		l := img.broughtCause(c)
		if l == nil || l.Origin == nil || l.Origin.Start <= 0 || c.Bytes <= 0 {
			continue
		}
		text := fmt.Sprintf("%s grew by %s %s here: %s", plainName(img.title()), c.Bytes, kindOf(c.Metric), img.causeWhat(c, plainName, rest))
		s.add(grewRule, level, text, l.Origin.File, l.Origin.Start, l.Origin.End, nil, normal(made(l)), c.Label, c.Path)
	}
}

// dockerfile is the first place in the repository that made a layer, "" without
// one.
func (img *Image) dockerfile() (file string, line int) {
	for _, l := range img.Head.Layers {
		if o := l.Origin; o != nil && insideRepository(legible(o.File)) {
			return o.File, o.Start
		}
	}
	for _, one := range img.Suggestions {
		if insideRepository(legible(one.File)) {
			return one.File, one.Start
		}
	}
	return "", 0
}

// instruction is what stands at a line, as the history of the image has it.
func (img *Image) instruction(file string, line int) string {
	for i := range img.Head.Layers {
		if l := &img.Head.Layers[i]; l.Origin != nil && l.Origin.File == file && l.Origin.Start == line {
			return normal(made(l))
		}
	}
	return ""
}

// normal is text in which only words count.
func normal(s string) string { return strings.Join(strings.Fields(s), " ") }

// add adds a result, or says why it cannot.
func (s *sarif) add(rule, level, text, file string, start, end int, fixes []sarifFix, about ...string) {
	// What looks like a link in a message is one.
	text = strings.ReplaceAll(text, "](", "] (")
	artifact, ok := artifactOf(file)
	if !ok {
		s.notify("note", rule+": "+text+" (it has no place in the repository)")
		return
	}
	index, known := s.rules[rule]
	if !known {
		index = len(s.run.Driver.Rules)
		s.rules[rule] = index
		s.run.Driver.Rules = append(s.run.Driver.Rules, describe(rule))
	}
	place := sarifPhysical{Artifact: artifact}
	if start > 0 {
		place.Region = &sarifRegion{Start: start}
		if end > start {
			place.Region.End = end
		}
	}
	sum := sha256.New()
	for _, part := range append([]string{rule, file}, about...) {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	print := hex.EncodeToString(sum.Sum(nil)[:16])
	s.seen[print]++
	s.run.Results = append(s.run.Results, sarifResult{
		Rule: rule, Index: index, Level: level, Message: sarifText{Text: text}, Locations: []sarifLocation{{place}}, Fixes: fixes,
		Fingerprints: map[string]string{"imageBudgetInstruction/v1": fmt.Sprintf("%s:%d", print, s.seen[print])},
	})
}

// artifactOf is a file of the repository.
func artifactOf(file string) (sarifArtifact, bool) {
	file = legible(file)
	if !insideRepository(file) {
		return sarifArtifact{}, false
	}
	segments := strings.Split(file, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return sarifArtifact{URI: strings.Join(segments, "/"), Base: "%SRCROOT%"}, true
}

// fixesOf are the edits of a suggestion, nil where one is outside the repository.
func fixesOf(s *footprint.Suggestion) []sarifFix {
	if !hasEdits(s) || isRefuted(s) {
		return nil
	}
	fix := sarifFix{Description: sarifText{Text: plainName(s.Advice)}}
	for _, e := range s.Edits {
		artifact, ok := artifactOf(e.File)
		if !ok {
			return nil
		}
		at := slices.IndexFunc(fix.Changes, func(c sarifChange) bool { return c.Artifact == artifact })
		if at < 0 {
			at = len(fix.Changes)
			fix.Changes = append(fix.Changes, sarifChange{Artifact: artifact})
		}
		c := &fix.Changes[at]
		c.Replacements = append(c.Replacements, sarifReplacement{sarifBytes{e.Start, e.End - e.Start}, sarifText{Text: e.Text}})
	}
	return []sarifFix{fix}
}

// describe says what a rule is about.
func describe(id string) sarifRule {
	out := sarifRule{ID: id, Level: sarifLevel{"warning"}, Props: sarifProperties{[]string{"container", "size"}}}
	switch id {
	case overBudgetRule:
		out.Short.Text, out.Level.Level = "The image does not keep to its budget", "error"
		out.Help = &sarifText{Text: "A limit in the budget file is exceeded. Bring the image back below it, or change the limit in the budget file."}
	case grewRule:
		out.Short.Text = "The image grew here"
		out.Help = &sarifText{Text: "This instruction brings more bytes than it did in the baseline."}
	default:
		out.Short.Text = id
		for _, r := range advice.Rules() {
			if r.ID == id {
				out.Short.Text = r.Title
			}
		}
		if page, ok := advice.Explain(id); ok {
			out.Help = &sarifText{Text: page, Markdown: page}
		}
	}
	return out
}
