package escape

import "strings"

// maxCodeWidth bounds CodeN. GitHub's parser gives up on fences of more than 80
// backticks and then reads the content as live markdown; the fence that codeSpan
// needs for so many runes stays well below.
const maxCodeWidth = 2000

// CodeN returns s as a GFM code span for a table cell, at most width runes of its
// shown form: the middle of a longer s becomes "…". The width is moved into
// 1..2,000. An empty s gives "(empty)", without a span, because there is no empty
// code span.
//
// A pipe is written \| since GFM splits a row into cells before it looks for code
// spans, and takes that backslash away again. Outside a table it would stay: use
// CodeProse there.
func CodeN(s string, width int) string {
	return strings.ReplaceAll(CodeProse(s, width), "|", `\|`)
}

// CodeProse returns s as a code span for running text, a heading or a list item,
// cut like CodeN. It must not be used in a table: a pipe in s would begin a new cell.
func CodeProse(s string, width int) string {
	if s == "" {
		return "(empty)"
	}
	return codeSpan(cut(s, min(max(width, 1), maxCodeWidth)))
}

// codeSpan puts the shortest fence around content that no run of backticks inside can
// close, and the spaces that markdown takes away again where they are needed.
func codeSpan(content string) string {
	runs := map[int]bool{}
	run := 0
	for i := range len(content) + 1 {
		if i < len(content) && content[i] == '`' {
			run++
			continue
		}
		runs[run] = true
		run = 0
	}
	fence := "`"
	for runs[len(fence)] {
		fence += "`"
	}
	edge := content[:1] + content[len(content)-1:]
	if strings.Contains(edge, "`") || edge == "  " && strings.Trim(content, " ") != "" {
		content = " " + content + " "
	}
	return fence + content + fence
}
