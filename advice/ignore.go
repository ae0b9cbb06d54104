package advice

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

const (
	// maxIgnore bounds a .dockerignore in bytes, maxIgnoreLines in patterns.
	maxIgnore      = 256 << 10
	maxIgnoreLines = 300
)

// ignore is a .dockerignore as builders read it: patterns are rooted at the
// context, and the last one that matches decides.
type ignore struct {
	matcher *patternmatcher.PatternMatcher
}

// readIgnore reads the text; it is nil where builders would not take it, or it
// has too many patterns to go through.
func readIgnore(text []byte) *ignore {
	if len(text) > maxIgnore {
		return nil
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil || len(patterns) > maxIgnoreLines {
		return nil
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return nil
	}
	return &ignore{m}
}

// out tells whether a file of the context is left out.
func (i *ignore) out(name string) bool {
	if name == "" || name == "." {
		return false
	}
	left, err := i.matcher.MatchesOrParentMatches(name)
	return err == nil && left
}

// exceptions are the patterns that bring files back.
func exceptions(text []byte) []string {
	var out []string
	for line := range strings.Lines(string(text[:min(len(text), maxIgnore)])) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "!") {
			out = append(out, strings.TrimSpace(line[1:]))
		}
	}
	return out
}

// fromContext are the Files of a COPY or ADD that takes from the build context.
func fromContext(step *dockerfile.Step) (dockerfile.Files, bool) {
	if step == nil {
		return dockerfile.Files{}, false
	}
	f, ok := step.Files()
	return f, ok && f.From < 0 && f.FromImage == ""
}

// wild tells whether a source of COPY is a pattern.
func wild(source string) bool { return strings.ContainsAny(source, `*?[\$`) }

// contextPath is what a path of the image was in the folder that a COPY took it
// from: the build context, or the root of a stage. It is "" where that is not
// known.
func contextPath(f dockerfile.Files, p string) string {
	if f.To == "" || f.Parents || f.Heredocs > 0 {
		return ""
	}
	rel := ""
	if p != f.To {
		under, ok := strings.CutPrefix(p, strings.TrimSuffix(f.To, "/")+"/")
		if !ok {
			return ""
		}
		rel = under
	}
	if len(f.Sources) != 1 {
		// Which one it came from is only certain of files that keep their name.
		for _, source := range f.Sources {
			if source = clean(source); rel != "" && path.Base(source) == rel && !wild(source) {
				return source
			}
		}
		return ""
	}
	switch source := clean(f.Sources[0]); {
	case source == "*":
		// Folders are poured out by COPY *: only what lies at the top keeps its place.
		if strings.Contains(rel, "/") {
			return ""
		}
		return rel
	case wild(source):
		return ""
	case rel == "":
		return source
	case f.Dir && rel == path.Base(source):
		return source
	case source == ".":
		return rel
	default:
		return source + "/" + rel
	}
}

// clean is a source of COPY without the ways to say the root of the context.
func clean(source string) string {
	return cmp.Or(strings.TrimPrefix(path.Clean("/"+source), "/"), ".")
}

// leaveOut makes the suggestion an edit that adds patterns to .dockerignore. named
// tells which files of the context it speaks of; where the patterns would leave
// out another one of seen, or anything that a COPY names, it stays advice.
func (s *subject) leaveOut(out *footprint.Suggestion, safety footprint.Safety, patterns []string, seen []string, named func(string) bool) {
	if s.IgnoreName == "" || len(patterns) == 0 {
		return
	}
	end := "\n"
	if bytes.Contains(s.Ignore, []byte("\r\n")) {
		end = "\r\n"
	}
	text := ""
	if n := len(s.Ignore); n > 0 && s.Ignore[n-1] != '\n' {
		text = end
	}
	text += strings.Join(patterns, end) + end
	changed := append(slices.Clone(s.Ignore), text...)
	before, after := readIgnore(s.Ignore), readIgnore(changed)
	steps, ok := s.allSteps()
	if before == nil || after == nil || !ok {
		return
	}
	for _, c := range s.Context {
		seen = append(seen, c.Path)
	}
	for _, p := range seen {
		if !named(p) && after.out(p) && !before.out(p) {
			return
		}
	}
	for i := range steps {
		for _, source := range contextSources(&steps[i]) {
			if source = clean(source); !wild(source) && !before.out(source) && after.out(source) {
				return
			}
		}
	}
	out.Safety = safety
	out.Edits = []footprint.Edit{{File: s.IgnoreName, Start: len(s.Ignore), End: len(s.Ignore), Text: text, Create: !s.HasIgnore}}
	out.Diff = dockerfile.Diff(s.IgnoreName, s.Ignore, changed)
	if !s.HasIgnore {
		out.Diff = strings.Replace(out.Diff, "--- a/"+s.IgnoreName+"\n", "--- /dev/null\n", 1)
	}
}

// contextSources are the paths of the context that a step names.
func contextSources(step *dockerfile.Step) []string {
	var out []string
	if f, ok := fromContext(step); ok {
		for _, source := range f.Sources {
			if !strings.Contains(source, "://") && !strings.HasPrefix(source, "git@") {
				out = append(out, source)
			}
		}
	}
	for _, m := range step.Mounts() {
		if m.Type == "bind" && m.From == "" && m.Source != "" {
			out = append(out, m.Source)
		}
	}
	return out
}

// mentions tells whether an instruction of any stage names a file or folder, as a
// word or a part of a path.
func (s *subject) mentions(steps []dockerfile.Step, name string) bool {
	return slices.ContainsFunc(steps, func(st dockerfile.Step) bool {
		start, end := st.Bytes()
		return names(string(s.file.Src[start:end]), name)
	})
}

// names tells whether a text has a name as a whole word of paths.
func names(text, name string) bool {
	for {
		at := strings.Index(text, name)
		if at < 0 {
			return false
		}
		rest := text[at+len(name):]
		if (at == 0 || !wordByte(text[at-1])) && (rest == "" || !wordByte(rest[0])) {
			return true
		}
		text = text[at+1:]
	}
}

func wordByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
