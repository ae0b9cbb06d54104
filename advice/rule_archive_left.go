package advice

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// archiveEnds are how the names of archives end. A jar is run as it is, and is
// none.
var archiveEnds = []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4", ".zip", ".7z", ".rar", ".deb", ".rpm", ".whl", ".cpio", ".run"}

func archiveName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(archiveEnds, func(end string) bool { return strings.HasSuffix(name, end) && len(name) > len(end) })
}

// unpackers are the commands that make files out of an archive.
var unpackers = []string{"tar", "bsdtar", "unzip", "7z", "7za", "7zr", "unrar", "dpkg", "dpkg-deb", "rpm", "apt-get", "apt", "gdebi", "dnf", "yum", "microdnf", "zypper", "pip", "pip3", "uv", "cpio", "sh", "bash"}

func archiveLeft() Rule {
	return Rule{
		ID: "archive-left", Title: "an archive stayed beside what was unpacked from it", Safety: footprint.SafePatch,
		check: func(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
			if s.Image == nil {
				return s.archiveHints(), nil
			}
			return s.archivesLeft(), nil
		},
	}
}

func (s *subject) archivesLeft() []footprint.Suggestion {
	var archives []footprint.File
	c := s.caches()
	s.own(func(f footprint.File) {
		if f.Kind != footprint.Regular || f.Size == 0 || !archiveName(path.Base(f.Path)) || !s.mine(f.Made) {
			return
		}
		if _, cached := c.of(f.Path); !cached {
			archives = append(archives, f)
		}
	})
	// What one command unpacks of what one layer brought is one suggestion.
	type key struct{ made, by, call int }
	piles := map[key]*pile{}
	paths := map[key][]string{}
	var order []key
	for _, f := range archives {
		by, call := s.unpacks(f)
		if by < 0 {
			continue
		}
		k := key{f.Made, by, call}
		if piles[k] == nil {
			piles[k] = &pile{}
			order = append(order, k)
		}
		piles[k].add(f.Path, f.Size, f.Made)
		paths[k] = append(paths[k], f.Path)
	}
	var out []footprint.Suggestion
	for _, k := range order {
		if piles[k].bytes < Floor {
			continue
		}
		out = append(out, s.archive(k.made, k.by, k.call, *piles[k], paths[k]))
	}
	return out
}

// unpacks finds the layer that unpacks an archive and the command in its script:
// -1 and -1 without one, and only -1 for the command where the history tells it.
// An archive that the text deletes is none.
func (s *subject) unpacks(f footprint.File) (layer, call int) {
	for layer := f.Made; layer < len(s.Image.Layers); layer++ {
		if !s.mine(layer) || s.copied(layer) {
			continue
		}
		step := s.stepOf(layer)
		if step == nil {
			if by := s.Image.Layers[layer].CreatedBy; s.file == nil && strings.Contains(by, path.Base(f.Path)) && unpackText.MatchString(by) {
				return layer, -1
			}
			continue
		}
		sc := s.script(step)
		if sc == nil || step.Mounted(f.Path) {
			continue
		}
		if found := sc.unpacks(f.Path); found >= 0 {
			if layer == f.Made && sc.removesAfter(found, f.Path) {
				return -1, -1
			}
			return layer, found
		}
	}
	return -1, -1
}

var unpackText = regexp.MustCompile(`\b(tar|bsdtar|unzip|7za?|dpkg|rpm|apt-get|dnf|yum|pip3?)\b`)

// unpacks is the index of the last command that unpacks an archive, -1 without
// one.
func (sc *script) unpacks(p string) int {
	found := -1
	for i, c := range sc.Calls {
		words, _ := plainly(c)
		if len(words) == 0 || !words[0].Known || !slices.Contains(unpackers, path.Base(words[0].Text)) {
			continue
		}
		text := texts(c)
		switch text[0] {
		case "tar", "bsdtar":
			if !tarExtracts(text[1:]) {
				continue
			}
		case "sh", "bash":
			if !strings.HasSuffix(p, ".run") {
				continue
			}
		}
		if slices.ContainsFunc(words[1:], func(w dockerfile.Word) bool { return namesFile(c.Dir, w, p) }) {
			found = i
		}
	}
	return found
}

// tarExtracts tells whether arguments of tar ask for extraction.
func tarExtracts(args []string) bool {
	for i, a := range args {
		if a == "--extract" || a == "--get" {
			return true
		}
		if strings.HasPrefix(a, "--") {
			continue
		}
		if (i == 0 || strings.HasPrefix(a, "-")) && strings.Contains(a, "x") {
			return true
		}
	}
	return false
}

var shellVariable = regexp.MustCompile(`\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|["']`)

// namesFile tells whether a word is the path of a file. Of variables that are not
// known it can be any value.
func namesFile(dir string, w dockerfile.Word, p string) bool {
	text := w.Text
	if !w.Known {
		text = shellVariable.ReplaceAllStringFunc(text, func(v string) string {
			if strings.HasPrefix(v, "$") {
				return "*"
			}
			return ""
		})
	}
	if strings.Trim(text, "*./") == "" {
		return false
	}
	if !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "*") {
		if dir == "" {
			text = path.Base(text)
			p = path.Base(p)
		} else {
			text = path.Join(dir, text)
		}
	} else if strings.HasPrefix(text, "*") {
		text, p = path.Base(text), path.Base(p)
	}
	if strings.Trim(text, "*") == "" {
		return false
	}
	ok, err := path.Match(text, p)
	return err == nil && ok
}

func (sc *script) removesAfter(i int, p string) bool {
	return slices.ContainsFunc(sc.Calls[i:], func(c dockerfile.Call) bool {
		if !c.Certain {
			return false
		}
		if removes(c, p) {
			return true
		}
		words := texts(c)
		return len(words) > 0 && words[0] == "rm" && slices.ContainsFunc(c.Words, func(w dockerfile.Word) bool { return !w.Known && namesFile(c.Dir, w, p) })
	})
}

func (s *subject) archive(made, by, call int, p pile, paths []string) footprint.Suggestion {
	step := s.stepOf(by)
	out := s.suggest(step, p)
	out.Message = fmt.Sprintf("%s stays in the image, %s, though %s unpacks it.", path.Base(out.Paths[0].Path), p.bytes, s.place(by))
	if n := len(paths) - 1; n > 0 {
		out.Message = fmt.Sprintf("%s and %s stay in the image, %s, though %s unpacks them.", path.Base(out.Paths[0].Path), count(n, "other archive"), p.bytes, s.place(by))
	}
	if made != by {
		out.Advice = "Fetch and unpack it in one RUN that deletes it, or lend it to the RUN with --mount=type=bind; a later layer cannot make the image smaller."
		return out
	}
	out.Advice = "Delete it in the same RUN, behind the command that unpacks it."
	if len(paths) > 1 {
		out.Advice = "Delete them in the same RUN, behind the command that unpacks them."
	}
	sc := s.script(step)
	if sc == nil || call < 0 || s.speaksOf(step, paths) {
		return out
	}
	for i, c := range sc.Calls {
		if i > call && slices.ContainsFunc(paths, func(p string) bool {
			return slices.ContainsFunc(c.Words, func(w dockerfile.Word) bool { return strings.Contains(w.Text, path.Base(p)) })
		}) {
			call = i
		}
	}
	words := make([]string, 0, len(paths))
	for _, p := range paths {
		word := sc.wordFor(call, p)
		if word == "" {
			return out
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	_, before := plainly(sc.Calls[call])
	if edit, ok := sc.then(call, before+"rm "+strings.Join(words, " ")); ok {
		safety := footprint.SafePatch
		if slices.ContainsFunc(paths, func(p string) bool { return !scratchPlace(p) }) {
			safety = footprint.NeedsTests
		}
		s.edit(&out, safety, edit)
	}
	return out
}

// wordFor is how a command may name a file: as it does, or by its path.
func (sc *script) wordFor(call int, p string) string {
	c := sc.Calls[call]
	for _, w := range c.Words {
		written := string(sc.file.Src[w.Start:w.End])
		if namesFile(c.Dir, w, p) && len(strings.Fields(written)) == 1 && !strings.HasPrefix(written, "-") && !strings.ContainsAny(written, "*?`") && !strings.Contains(written, "$(") {
			return written
		}
	}
	if scriptPath(p) {
		return p
	}
	return ""
}

// speaksOf tells whether anything that runs later names one of the files.
func (s *subject) speaksOf(step *dockerfile.Step, paths []string) bool {
	later, ok := s.later(step)
	if !ok {
		return true
	}
	for _, p := range paths {
		for _, st := range later {
			if strings.Contains(st.Source(), path.Base(p)) {
				return true
			}
		}
	}
	return false
}

// scratchPlace tells whether a path is where nobody keeps what a program needs.
func scratchPlace(p string) bool {
	return slices.ContainsFunc([]string{"/tmp/", "/var/tmp/", "/usr/src/", "/usr/local/src/", "/root/"}, func(at string) bool { return strings.HasPrefix(p, at) }) ||
		strings.Count(p, "/") == 1
}

// archiveHints are downloads that the same RUN unpacks and does not delete.
func (s *subject) archiveHints() []footprint.Suggestion {
	var out []footprint.Suggestion
	for i := range s.steps {
		step := &s.steps[i]
		sc := s.script(step)
		if sc == nil || step.Keyword != "RUN" {
			continue
		}
		for _, p := range sc.downloads() {
			call := sc.unpacks(p)
			if !archiveName(path.Base(p)) || step.Mounted(p) || call < 0 || !sc.Calls[call].Certain || slices.ContainsFunc(sc.Calls[call+1:], func(c dockerfile.Call) bool {
				return len(texts(c)) > 0 && (texts(c)[0] == "rm" || texts(c)[0] == "find" || texts(c)[0] == "mv")
			}) {
				continue
			}
			one := s.suggest(step, pile{})
			one.Hint = true
			one.Message = fmt.Sprintf("This RUN leaves %s beside what it unpacks from it.", p)
			one.Advice = "Delete it in the same RUN, behind the command that unpacks it."
			out = append(out, one)
			break
		}
	}
	return out
}

// downloads are the files that curl and wget certainly write.
func (sc *script) downloads() []string {
	var out []string
	for _, c := range sc.Calls {
		words, _ := plainly(c)
		if !c.Certain || len(words) == 0 || c.Name() != "curl" && c.Name() != "wget" {
			continue
		}
		name := ""
		for i, w := range words {
			switch {
			case i > 0 && (words[i-1].Text == "-o" && c.Name() == "curl" || words[i-1].Text == "--output" || words[i-1].Text == "-O" && c.Name() == "wget") && w.Known:
				name = w.Text
			case strings.Contains(w.Text, "://") && name == "" && w.Known && (c.Name() == "wget" || c.Has("-O", "-LO", "-fLO", "-sLO", "-fsSLO", "-sSLO", "--remote-name")):
				name = path.Base(w.Text)
			}
		}
		if len(c.To) == 1 && c.To[0].Known {
			name = c.To[0].Text
		}
		switch {
		case name == "" || name == "-":
		case strings.HasPrefix(name, "/"):
			out = append(out, path.Clean(name))
		case c.Dir != "":
			out = append(out, path.Join(c.Dir, name))
		}
	}
	return out
}
