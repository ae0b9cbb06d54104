package dockerfile

import (
	"regexp"
	"strings"
)

// made is a line of an image's history, taken apart.
type made struct {
	// keyword is RUN, COPY, ADD or WORKDIR, "#" for an instruction that makes
	// no layer, and "" where the line does not say.
	keyword string
	// line is the line without the keyword and the marks of the builder. That
	// of a RUN may begin with build arguments, "|2 A=1 B=two words ", whose
	// values are recorded as they are: only the command shows where they end.
	line string
	// body is line without build arguments and without a well-known shell.
	body string
	// lineWords and bodyWords are the same with white space collapsed.
	lineWords, bodyWords string
	// hasArgs tells that line begins with build arguments.
	hasArgs bool
	// files is "file", "dir" or "multi" where the classic builder recorded a
	// checksum instead of sources. line is the destination then, and chown
	// the value of --chown.
	files, chown string
}

// shellWords fits what runs a command and nothing else that takes one:
// "/bin/bash -o pipefail -c", "cmd /S /C", "powershell -Command".
const shellWords = `(?:/(?:[\w.-]+/)*(?:ba|da|a|z|k)?sh(?: -[a-z]+| pipefail)*? -[a-z]*c|cmd /S /C|(?:powershell|pwsh)(?:\.exe)?(?: -\w+)*? -[Cc]ommand)`

var (
	shellAtStart = regexp.MustCompile(`^` + shellWords + ` `)
	shellInside  = regexp.MustCompile(` ` + shellWords + ` `)
	buildArgs    = regexp.MustCompile(`^\|[0-9]+ `)
	// plainArgs are build arguments whose values have no spaces.
	plainArgs = regexp.MustCompile(`^\|[0-9]+ (?:[A-Za-z_]\w*=\S* )*`)
	// nop is how the classic builder records what runs nothing, behind any
	// shell.
	nop = regexp.MustCompile(`^(?:\S+ (?:-\S+ |pipefail |/S /C )*)?#\(nop\) +`)
	// checksum is what it records of COPY and ADD: "--chown=1:1file:4f1… in /app ".
	checksum = regexp.MustCompile(`(?s)^(?:--chown=(.*?))?(file|dir|multi):[0-9a-f]{16,} in (.*)$`)
)

// readHistory takes a line of history apart. shells are those that the
// Dockerfile sets with SHELL.
func readHistory(createdBy string, shells []string) made {
	m := readLine(createdBy, shells)
	m.lineWords, m.bodyWords = oneLine(m.line), oneLine(m.body)
	return m
}

func readLine(createdBy string, shells []string) made {
	text := strings.TrimSpace(createdBy)
	text = strings.TrimSpace(strings.TrimSuffix(text, "# buildkit"))
	if at := nop.FindStringIndex(text); at != nil {
		return readNop(text[at[1]:])
	}
	for _, s := range shells {
		if rest, ok := strings.CutPrefix(text, s+" #(nop) "); ok {
			return readNop(strings.TrimSpace(rest))
		}
	}
	for _, keyword := range []string{"COPY", "ADD", "WORKDIR"} {
		if rest, ok := strings.CutPrefix(text, keyword+" "); ok {
			return made{keyword: keyword, line: rest, body: rest}
		}
	}
	line, isRun := strings.CutPrefix(text, "RUN ")
	m := made{line: line, body: line}
	if isRun {
		m.keyword = "RUN"
	}
	if buildArgs.MatchString(line) {
		m.keyword, m.hasArgs = "RUN", true
		m.body = line[len(plainArgs.FindString(line)):]
		if at := shellInside.FindStringIndex(line); at != nil {
			m.body = line[at[0]+1:]
		}
	}
	if at := shellAtStart.FindStringIndex(m.body); at != nil {
		m.keyword, m.body = "RUN", m.body[at[1]:]
	}
	return m
}

func readNop(text string) made {
	keyword, rest, _ := strings.Cut(text, " ")
	m := made{keyword: keyword, line: rest, body: rest}
	switch keyword {
	case "COPY", "ADD":
		if parts := checksum.FindStringSubmatch(rest); parts != nil {
			m.chown, m.files, m.line = parts[1], parts[2], parts[3]
			m.body = m.line
		}
	case "WORKDIR":
	default:
		m.keyword = "#"
	}
	return m
}

// withoutFlags drops "--chown=1:1" and its like from the front of what COPY
// and ADD record. Builders differ in which of them they record.
func withoutFlags(line string) string {
	for strings.HasPrefix(line, "--") {
		_, rest, ok := strings.Cut(line, " ")
		if !ok {
			return line
		}
		line = rest
	}
	return line
}
