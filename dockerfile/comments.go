package dockerfile

import (
	"bytes"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Syntax is the frontend that "# syntax=" names, as it is written, and "" for
// BuildKit's own. Of a frontend that is no docker/dockerfile nobody knows here what
// its instructions mean.
func (f *File) Syntax() string {
	reference, _, _, _ := parser.DetectSyntax(f.Src)
	return reference
}

// Ignores tells whether the comment lines directly above a line say
// "# image-budget ignore=RULE[,RULE]" for this rule. Lines count from 1.
func (f *File) Ignores(line int, rule string) bool {
	for line--; line > 0; line-- {
		start, end := f.lineRange(line, line)
		text, ok := bytes.CutPrefix(bytes.TrimSpace(f.Src[start:end]), []byte("#"))
		if !ok {
			return false
		}
		words := strings.Fields(string(text))
		if len(words) == 0 || words[0] != "image-budget" {
			continue
		}
		for _, word := range words[1:] {
			if rules, ok := strings.CutPrefix(word, "ignore="); ok && slices.Contains(strings.Split(rules, ","), rule) {
				return true
			}
		}
	}
	return false
}

// Ignores tells whether the comment directly above the instruction says
// "# image-budget ignore=RULE[,RULE]" for this rule.
func (s Step) Ignores(rule string) bool { return s.file.Ignores(s.Start, rule) }
