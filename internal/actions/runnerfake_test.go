package actions_test

import (
	"regexp"
	"strings"
	"unicode"
)

// What follows reads our output the way the runner does, from its documented and observed
// behaviour, as far as it matters here: .NET line splitting, commands of both syntaxes,
// file commands with their delimiters.

// command is a runner command as it was understood.
type command struct {
	name   string
	fields map[string]string
	data   string
}

// readLines splits like a .NET reader: LF, CRLF and CR all end a line.
func readLines(out string) []string {
	out = strings.ReplaceAll(out, "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(out, "\r", "\n"), "\n")
}

// skipped removes what a comparison by the rules of a language does not see.
func skipped(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// fires reports whether a line could be taken for a command, under any reading: as it
// is, without what comparisons skip, and without colours.
func fires(line string) bool {
	for _, view := range []string{line, skipped(line), sgr.ReplaceAllString(line, ""), skipped(sgr.ReplaceAllString(line, ""))} {
		if strings.HasPrefix(strings.TrimLeftFunc(view, unicode.IsSpace), "::") || strings.Contains(view, "##[") {
			return true
		}
	}
	return false
}

// readCommands returns the commands in out and the other lines.
func readCommands(out string) (commands []command, plain []string) {
	for _, line := range readLines(out) {
		trimmed := strings.TrimLeftFunc(line, unicode.IsSpace)
		if !strings.HasPrefix(trimmed, "::") {
			if line != "" {
				plain = append(plain, line)
			}
			continue
		}
		info, data, ok := strings.Cut(trimmed[2:], "::")
		if !ok {
			plain = append(plain, line)
			continue
		}
		c := command{fields: map[string]string{}, data: unescape(data, false)}
		name, fields, _ := strings.Cut(info, " ")
		c.name = name
		for field := range strings.SplitSeq(strings.TrimSpace(fields), ",") {
			if key, value, ok := strings.Cut(field, "="); ok {
				c.fields[key] = unescape(value, true)
			}
		}
		commands = append(commands, c)
	}
	return commands, plain
}

func unescape(s string, property bool) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "%0D", "\r"), "%0A", "\n")
	if property {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "%3A", ":"), "%2C", ",")
	}
	return strings.ReplaceAll(s, "%25", "%")
}

// readOutputs reads a GITHUB_OUTPUT file; ok is false where the runner would fail the step.
func readOutputs(file string) (outputs map[string]string, ok bool) {
	outputs = map[string]string{}
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if lines[i] == "" {
			continue
		}
		equals, heredoc := strings.Index(lines[i], "="), strings.Index(lines[i], "<<")
		switch {
		case heredoc > 0 && (equals < 0 || heredoc < equals):
			name, delimiter := lines[i][:heredoc], lines[i][heredoc+2:]
			var value []string
			for i++; ; i++ {
				if i >= len(lines) {
					return nil, false
				}
				if lines[i] == delimiter {
					break
				}
				value = append(value, lines[i])
			}
			outputs[name] = strings.Join(value, "\n")
		case equals > 0:
			outputs[lines[i][:equals]] = lines[i][equals+1:]
		default:
			return nil, false
		}
	}
	return outputs, true
}
