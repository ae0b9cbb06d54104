package report

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/escape"
)

// What a stored suggestion may hold. A rewritten Dockerfile is a single edit.
const (
	maxSuggestions = 1_000
	maxEdits       = 1_000
	maxEvidence    = 100
	maxEditOffset  = 1 << 30
)

// MaxSuggestions is how many suggestions for an image a stored report holds.
const MaxSuggestions = maxSuggestions

// shownSuggestions is how many of an image a report for people explains.
const shownSuggestions = 20

// rewriteRule is the rule whose edit is a whole new Dockerfile.
const rewriteRule = "single-stage-build"

// hasEdits tells whether there is something to apply: edits that a stored report
// cannot hold are none.
func hasEdits(s *footprint.Suggestion) bool { return len(s.Edits) > 0 && storable(s.Edits) }

// isRewrite tells whether a suggestion is a whole new Dockerfile.
func isRewrite(s *footprint.Suggestion) bool { return s.Rule == rewriteRule && hasEdits(s) }

// isSafe tells whether 'suggest --write' makes its edits without being asked for
// this one.
func isSafe(s *footprint.Suggestion) bool {
	return s.Safety == footprint.SafePatch && hasEdits(s) && !isRewrite(s)
}

func isVerified(s *footprint.Suggestion) bool {
	return s.Verified != nil && s.Verified.Status == footprint.Verified
}

// isRefuted tells whether a suggestion was built and run, and is no good.
func isRefuted(s *footprint.Suggestion) bool {
	return s.Verified != nil && s.Verified.Status == footprint.VerifyFailed
}

// patch is the diff to show of a suggestion: none of one that is no good.
func patch(s *footprint.Suggestion) string {
	if isRefuted(s) {
		return ""
	}
	return s.Diff
}

// suggestions lists what was proven first, and keeps the order otherwise. Those
// whose bytes go with a heavier one come apart, unless that one is no good.
func (img *Image) suggestions() (whole, within []*footprint.Suggestion) {
	var others []*footprint.Suggestion
	for i := range img.Suggestions {
		switch s := &img.Suggestions[i]; {
		case img.isWithin(s):
			within = append(within, s)
		case isVerified(s):
			whole = append(whole, s)
		default:
			others = append(others, s)
		}
	}
	return append(whole, others...), within
}

func (img *Image) isWithin(s *footprint.Suggestion) bool {
	return s.Within != "" && slices.ContainsFunc(img.Suggestions, func(other footprint.Suggestion) bool {
		return other.Rule == s.Within && other.Within == "" && !isRefuted(&other)
	})
}

// withinWords names a suggestion that goes with another: what it weighs, its rule
// and its place.
func withinWords(s *footprint.Suggestion, say quote) string {
	words := weight(s) + " " + s.Rule
	if at := spot(s); at != "" {
		words += " " + say(at)
	}
	return words
}

// notMeasured says why a hint has no bytes, "" where there was an image and what
// is worth knowing says it.
func (img *Image) notMeasured(s *footprint.Suggestion) string {
	if s.Hint && len(img.Head.Layers) == 0 {
		return "not measured: there was no image"
	}
	return ""
}

// weight is what a suggestion is about in bytes. Only one that was built and
// measured takes bytes away; all others weigh what is there. The kind of bytes
// is named where it is not unpacked.
func weight(s *footprint.Suggestion) string {
	bytes, metric := s.Bytes, s.Metric
	text := bytes.String()
	switch {
	case isVerified(s):
		bytes, metric = s.Verified.After-s.Verified.Before, s.Verified.Metric
		text = bytes.Signed()
	case s.Hint:
		return "not measured"
	case bytes == 0:
		return "broken" // a program that does not start weighs nothing
	case s.Estimated:
		text = "up to " + text
	}
	if metric == footprint.Compressed {
		text += " compressed"
	}
	return text
}

// proof says what became of building and running a suggestion, "" where nobody
// asked.
func proof(s *footprint.Suggestion, say quote) string {
	v := s.Verified
	if v == nil {
		return ""
	}
	switch v.Status {
	case footprint.Verified:
		was, now := pair(v.Before, v.After, false, false)
		words := "verified: " + was + " → " + now
		if share := percentOf(int64(v.After-v.Before), int64(v.Before), 1); share != "" {
			words += " (" + share + ")"
		}
		if v.Same != "" {
			words += ", " + say(v.Same)
		}
		return words
	case footprint.VerifyFailed:
		return sentence("not verified", said(v.Reason, say))
	}
	return sentence("not built", said(v.Reason, say))
}

// spot is the place of a suggestion: "Dockerfile:4", "" without one.
func spot(s *footprint.Suggestion) string {
	if s.File == "" || s.Start <= 0 {
		return legible(s.File)
	}
	return legible(s.File) + ":" + strconv.Itoa(s.Start)
}

// safetyWords explains a class.
func safetyWords(s *footprint.Suggestion) string {
	switch {
	case isRefuted(s):
		return "no patch is offered: the proof failed"
	case !hasEdits(s) || s.Safety == footprint.AdviceOnly:
		return "advice, for you to weigh"
	case isVerified(s):
		return "built and run; your tests should still confirm it"
	case s.Safety == footprint.SafePatch:
		return "a safe patch"
	}
	return "a patch that your tests have to confirm"
}

// applying are the commands that make the edits of these suggestions, each with
// what it does. For a report that suggest made they are flags to add to what was
// typed, for any other a command; name tells the image from others, "" for a
// single one.
func applying(kind Kind, name string, all []*footprint.Suggestion) [][2]string {
	command := "image-budget suggest "
	switch {
	case kind == Suggest:
		command = ""
	case plainKey.MatchString(name):
		command += name + " "
	}
	safe := 0
	var out [][2]string
	for _, s := range all {
		if isSafe(s) && !isRefuted(s) {
			safe++
		}
		if !isRewrite(s) || isRefuted(s) || len(out) > 0 {
			continue
		}
		does := "writes the Dockerfile in stages"
		switch {
		case s.Verified == nil || isVerified(s):
		case kind == Suggest:
			does = "without --verify, " + does + " all the same"
		default:
			does += ", which nobody built"
		}
		out = append(out, [2]string{command + "--write=multi-stage", does})
	}
	if safe > 0 {
		out = append(out, [2]string{command + "--write", "makes " + plural(safe, "safe change")})
	}
	return out
}

// diffLines are the lines of a diff, harmless and as they are otherwise: tabs
// stay, as tab says, and so does what only the beginning of a line would make a
// command of a runner.
func diffLines(diff, tab string) []string {
	if diff == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(legible(diff), "\n"), "\n")
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if line != "" {
			// The mark of the line stands before what may look like a command.
			mark, rest := line[:1], line[1:]
			if !strings.Contains("+-", mark) {
				mark, rest = "", line
			}
			if at := len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace)); mark == "" && strings.HasPrefix(rest[at:], "::") {
				rest = rest[:at] + `\x3a` + rest[at+1:]
			}
			line = mark + strings.ReplaceAll(rest, "##[", `#\x23[`)
		}
		parts := strings.Split(line, "\t")
		for k := range parts {
			parts[k] = escape.Line(parts[k])
		}
		lines[i] = strings.Join(parts, tab)
	}
	return lines
}

// storedSuggestions are suggestions as JSON has them. Edits that JSON cannot hold
// to the byte are left out, all of a suggestion: half of them would be another
// change.
func storedSuggestions(all []footprint.Suggestion) []footprint.Suggestion {
	if all == nil {
		return nil
	}
	all = all[:min(len(all), maxSuggestions)]
	out := make([]footprint.Suggestion, len(all))
	for i, s := range all {
		if !storable(s.Edits) {
			s.Edits = nil
		}
		s.Paths, s.Edits = filled(s.Paths), filled(s.Edits)
		if s.Verified != nil {
			v := *s.Verified
			v.Evidence = filled(v.Evidence)
			s.Verified = &v
		}
		out[i] = s
	}
	return out
}

func storable(edits []footprint.Edit) bool {
	return !slices.ContainsFunc(edits, func(e footprint.Edit) bool {
		return len(e.Text) > maxName || !utf8.ValidString(e.Text) || len(e.File) > maxName || !utf8.ValidString(e.File)
	})
}

// ruleName is what a rule is called.
var ruleName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+){0,8}$`)

// readSuggestions refuses what no rule says: rules, classes and metrics are shown
// without being quoted, and edits are made.
func readSuggestions(all []footprint.Suggestion, layers int) ([]footprint.Suggestion, error) {
	if len(all) > maxSuggestions {
		return nil, fmt.Errorf("%d suggestions are more than %d", len(all), maxSuggestions)
	}
	for i := range all {
		if err := checkSuggestion(&all[i], layers); err != nil {
			return nil, fmt.Errorf("suggestion %d: %w", i+1, err)
		}
	}
	return all, nil
}

func checkSuggestion(s *footprint.Suggestion, layers int) error {
	switch {
	case len(s.Rule) > 60 || !ruleName.MatchString(s.Rule):
		return fmt.Errorf("no rule is called %q", clipped(s.Rule))
	case s.Within != "" && (len(s.Within) > 60 || !ruleName.MatchString(s.Within)):
		return fmt.Errorf("no rule is called %q", clipped(s.Within))
	case s.Start < 0 || s.End < s.Start || s.End > maxEditOffset:
		return fmt.Errorf("it is about lines %d to %d", s.Start, s.End)
	case s.Hint && s.Bytes != 0:
		return fmt.Errorf("a hint of %d bytes", s.Bytes)
	case len(s.Paths) > footprint.MaxSuggestionPaths:
		return fmt.Errorf("%d paths are more than %d", len(s.Paths), footprint.MaxSuggestionPaths)
	case max(len(s.Edits), len(s.Unknown)) > maxEdits:
		return fmt.Errorf("a list of more than %d entries", maxEdits)
	}
	if err := errors.Join(words(s.Safety, footprint.SafePatch, footprint.NeedsTests, footprint.AdviceOnly), checkWeighed(s.Metric, s.Bytes, footprint.Bytes(s.More))); err != nil {
		return err
	}
	for _, p := range s.Paths {
		if err := errors.Join(plausible(p.Bytes), inRange(layers, p.Layer)); err != nil {
			return err
		}
	}
	if err := checkEdits(s.Edits); err != nil {
		return err
	}
	if s.Verified != nil {
		return checkVerification(s.Verified)
	}
	return nil
}

// checkWeighed is about bytes of a metric; without one there are none.
func checkWeighed(m footprint.Metric, sizes ...footprint.Bytes) error {
	if m == "" && slices.Max(sizes) == 0 {
		return plausible(sizes...)
	}
	return errors.Join(words(m, footprint.Unpacked, footprint.Compressed), plausible(sizes...))
}

// checkEdits holds the edits of a file to their order.
func checkEdits(edits []footprint.Edit) error {
	for i, e := range edits {
		if e.Start < 0 || e.End < e.Start || e.End > maxEditOffset || e.Create && e.End != 0 {
			return fmt.Errorf("an edit of the bytes %d to %d", e.Start, e.End)
		}
		if i > 0 && edits[i-1].File == e.File && e.Start < edits[i-1].End {
			return errors.New("edits that overlap")
		}
	}
	return nil
}

func checkVerification(v *footprint.Verification) error {
	if max(len(v.Evidence), len(v.Tried)) > maxEvidence {
		return fmt.Errorf("a proof with more than %d entries", maxEvidence)
	}
	if err := errors.Join(words(v.Status, footprint.Verified, footprint.VerifyFailed, footprint.VerifyNotRun), checkWeighed(v.Metric, v.Before, v.After)); err != nil {
		return err
	}
	if v.Status == footprint.Verified {
		// The word means that it was built, ran, and behaved as the original did.
		if v.Before == 0 || v.After == 0 || len(v.Evidence) == 0 {
			return errors.New("verified without evidence")
		}
	}
	for _, a := range v.Tried {
		if err := plausible(a.After); err != nil {
			return err
		}
	}
	return nil
}

// imageless tells whether this is advice on Dockerfiles without an image.
func (r *Report) imageless() bool {
	return r.Kind == Suggest && !slices.ContainsFunc(r.Images, func(img Image) bool { return len(img.Head.Layers) > 0 })
}

// nameAmong is the name of an image where a report has several, else "".
func (r *Report) nameAmong(img *Image) string {
	if r.total() < 2 {
		return ""
	}
	return img.Head.Name
}
