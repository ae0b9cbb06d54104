package verify

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxLines and maxLine bound what is compared of an output.
	maxLines, maxLine = 1000, 2000
	// maxQuote bounds what is quoted of it.
	maxQuote = 160
)

var (
	escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07`)
	// What differs from run to run of most programs. The order matters: a time
	// has a date in it.
	dates     = regexp.MustCompile(`\d{4}[-/]\d\d[-/]\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?\s?(Z|UTC|GMT|[+-]\d\d:?\d\d)?|\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d( [+-]\d{4})?|([A-Z][a-z]{2},? )?(\d{1,2} )?[A-Z][a-z]{2} +(\d{1,2} )?(\d{4} )?\d\d:\d\d:\d\d( (GMT|UTC|[+-]\d{4}))?( \d{4})?`)
	times     = regexp.MustCompile(`\b\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\s?([AaPp][Mm])?\b`)
	epochs    = regexp.MustCompile(`\b1[6-9]\d{8}(\d{3}|\d{6}|\d{9}|\.\d+)?\b`)
	uuids     = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	addresses = regexp.MustCompile(`\b0x[0-9a-fA-F]+\b`)
	hashes    = regexp.MustCompile(`\b[0-9a-f]*[0-9][0-9a-f]*[a-f][0-9a-f]*\b|\b[0-9a-f]*[a-f][0-9a-f]*[0-9][0-9a-f]*\b`)
	durations = regexp.MustCompile(`\b\d+(\.\d+)?\s?(ns|µs|us|ms|s|sec|secs|seconds?|m|min|minutes?|milliseconds?)\b`)
	clients   = regexp.MustCompile(`\b(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:]+\]|::1|localhost):(3[2-9]|[4-6]\d)\d{3}\b`)
	pids      = regexp.MustCompile(`(?i)(\bpid[ =:#]*|\bprocess[ =:#]*|\bworker[ =:#]*)\d+|\[\d+\]|\(\d+\)|#\d+`)
	temporary = regexp.MustCompile(`(/tmp|/var/tmp|/dev/shm)/[^\s"':,)]+`)
	digits    = regexp.MustCompile(`\d+`)
)

// light takes out of a text what is different in each run of most programs.
func light(s string) string {
	s = escapes.ReplaceAllString(s, "")
	s = uuids.ReplaceAllString(s, "<id>")
	s = dates.ReplaceAllString(s, "<time>")
	s = times.ReplaceAllString(s, "<time>")
	s = epochs.ReplaceAllString(s, "<time>")
	s = temporary.ReplaceAllString(s, "<temporary>")
	s = addresses.ReplaceAllString(s, "<address>")
	s = clients.ReplaceAllString(s, "<client>")
	s = durations.ReplaceAllString(s, "<duration>")
	s = hashes.ReplaceAllStringFunc(s, func(h string) string {
		if len(h) < 8 {
			return h
		}
		return "<id>"
	})
	return pids.ReplaceAllString(s, "${1}<pid>")
}

// heavy takes out all numbers as well, for what differs between two runs of the
// original.
func heavy(s string) string { return digits.ReplaceAllString(light(s), "#") }

// linesOf are the lines of an output that say something, bounded.
func linesOf(outputs ...[]byte) []string {
	var out []string
	for _, o := range outputs {
		for line := range strings.Lines(string(o)) {
			// A line that is overwritten counts with what it ended as.
			line = strings.TrimRight(line, "\r\n")
			if i := strings.LastIndexByte(line, '\r'); i >= 0 {
				line = line[i+1:]
			}
			line = strings.TrimSpace(escapes.ReplaceAllString(line, ""))
			if len(line) > maxLine {
				line = line[:maxLine]
			}
			if line = strings.ToValidUTF8(line, "?"); line != "" && len(out) < maxLines {
				out = append(out, line)
			}
		}
	}
	return out
}

// wrong finds lines that say that something is missing or broken.
var wrong = regexp.MustCompile(`(?i)\bE(NOENT|ACCES|PERM|ROFS|NOTDIR)\b|no such file|not found|(cannot|can't|could ?n[o']t|unable to|failed to) (open|find|load|locate|read|write|access|import|resolve|start|execute|create|exec)|error while loading|undefined symbol|symbol lookup|\w*exception\b|traceback|\bpanic(ked)?\b|segmentation fault|permission denied|\w*error\b|\bfatal\b|unhandled|uncaught|missing|cannot locate`)

// oneLine makes a text fit for a sentence.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)), " ")
	return clip(s, 2*maxQuote)
}

// quoted quotes foreign text in a sentence.
func quoted(s string) string { return `"` + clip(oneLine(s), maxQuote) + `"` }

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
