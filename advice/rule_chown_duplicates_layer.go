package advice

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

func chownDuplicatesLayer() Rule {
	return Rule{
		ID: "chown-duplicates-layer", Title: "chown or chmod wrote files a second time", Safety: footprint.SafePatch,
		check: func(ctx context.Context, s *subject) ([]footprint.Suggestion, error) {
			if s.Image == nil {
				return s.chownHints(), nil
			}
			return s.chowned(ctx)
		},
	}
}

// change is a chown, chgrp or chmod.
type change struct {
	call      dockerfile.Call
	index     int
	recursive bool
	// what is the owner or mode, with paths behind it.
	what  dockerfile.Word
	paths []dockerfile.Word
	// flag is the word that makes it recursive.
	flag dockerfile.Word
}

// changes are those of a script.
func (sc *script) changes() []change {
	var out []change
	if sc == nil {
		return nil
	}
	for i, c := range sc.Calls {
		words, _ := plainly(c)
		name := texts(c)
		if len(name) == 0 || !slices.Contains([]string{"chown", "chmod", "chgrp"}, name[0]) {
			continue
		}
		ch := change{call: c, index: i}
		for _, w := range words[1:] {
			switch {
			case w.Text == "-R" || w.Text == "--recursive":
				ch.recursive, ch.flag = true, w
			case strings.HasPrefix(w.Text, "-") && !strings.HasPrefix(w.Text, "--") && strings.Contains(w.Text, "R"):
				ch.recursive = true
			case strings.HasPrefix(w.Text, "-") && len(ch.paths) == 0:
			case len(ch.what.Text) == 0:
				ch.what = w
			default:
				ch.paths = append(ch.paths, w)
			}
		}
		out = append(out, ch)
	}
	return out
}

// on tells whether it changes a path.
func (ch change) on(p string) bool {
	return slices.ContainsFunc(ch.paths, func(w dockerfile.Word) bool { return covers(ch.call.Dir, w.Text, p, ch.recursive) })
}

// rewrites tells whether a step as it is written may write a path again without
// changing its content.
func (sc *script) rewrites(p string) bool {
	if sc == nil {
		return true
	}
	if slices.ContainsFunc(sc.changes(), func(ch change) bool {
		return ch.on(p) || slices.ContainsFunc(ch.paths, func(w dockerfile.Word) bool { return !w.Known && strings.Contains(w.Text, "$") })
	}) {
		return true
	}
	return slices.ContainsFunc(sc.Calls, func(c dockerfile.Call) bool {
		words := texts(c)
		if len(words) == 0 {
			return true
		}
		inside := slices.Contains(words, "chown") || slices.Contains(words, "chmod") || slices.Contains(words, "chgrp")
		return words[0] == "find" && inside || words[0] == "xargs" && inside || words[0] == "touch" || strings.HasSuffix(words[0], ".sh") || strings.HasPrefix(c.Words[0].Text, "./")
	})
}

func (s *subject) chowned(ctx context.Context) ([]footprint.Suggestion, error) {
	byLayer := map[int][]footprint.Dead{}
	for _, d := range s.Image.Dead {
		if d.Fate != footprint.Rewritten || !s.mine(d.By) || s.copied(d.By) {
			continue
		}
		step := s.stepOf(d.By)
		if step == nil && s.Image.Layers[d.By].Origin != nil {
			continue // what triggers of the base did
		}
		if step != nil {
			sc := s.script(step)
			if !sc.rewrites(strings.TrimSuffix(d.Under, "/") + "/x") {
				var rest footprint.Bytes
				for _, f := range s.Image.DeadFiles {
					if f.In == d.In && f.By == d.By && f.Fate == d.Fate && sc.rewrites(f.Path) {
						rest += f.Bytes
					}
				}
				d.Bytes = rest
			}
		}
		if d.Bytes > 0 {
			byLayer[d.By] = append(byLayer[d.By], d)
		}
	}
	var out []footprint.Suggestion
	for by := range s.Image.Layers {
		var total footprint.Bytes
		for _, d := range byLayer[by] {
			total += d.Bytes
		}
		if total < Floor {
			continue
		}
		one, err := s.chown(ctx, by, byLayer[by], total)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (s *subject) chown(ctx context.Context, by int, dead []footprint.Dead, total footprint.Bytes) (footprint.Suggestion, error) {
	step := s.stepOf(by)
	p := s.deadPile(dead)
	out := s.suggest(step, p)
	out.Bytes = total
	files, copies := 0, true
	for _, d := range dead {
		files += d.Files
		copies = copies && d.In >= s.base && s.copied(d.In)
	}
	out.Message = fmt.Sprintf("%s in %s are in the image twice: %s only changes owner or mode, and writes them again.", total, count(files, "file"), s.place(by))
	out.Advice = "Set owner and mode where the files are made: COPY --chown and --chmod, or USER before the RUN that makes them."
	if !copies || step == nil || s.file == nil {
		if step == nil {
			if text := s.command(by); text != "" {
				out.Advice = fmt.Sprintf("Set owner and mode where the files are made, not in another command: %s.", strings.TrimSuffix(text, "."))
			}
		}
		return out, nil
	}
	edits, safety, why, err := s.copyWithOwner(ctx, step, by, dead)
	if err != nil {
		return out, err
	}
	if why != "" {
		out.Unknown = []string{why}
	}
	if len(edits) > 0 {
		out.Advice = "Let COPY set them."
		s.edit(&out, safety, edits...)
	}
	return out, nil
}

// copyWithOwner are the edits that let COPY do what a chown or chmod of exactly
// what it brought does. why says what is in the way.
func (s *subject) copyWithOwner(ctx context.Context, step *dockerfile.Step, by int, dead []footprint.Dead) (edits []footprint.Edit, safety footprint.Safety, why string, err error) {
	sc := s.script(step)
	changes := sc.changes()
	if len(changes) == 0 {
		return nil, "", "", nil
	}
	layers := map[int]bool{}
	for _, d := range dead {
		layers[d.In] = true
	}
	safety = footprint.SafePatch
	flags := ""
	sole := len(sc.Calls) == len(changes) && !sc.Heredoc
	for _, ch := range changes {
		if !ch.call.Certain || !ch.what.Known || len(ch.paths) == 0 {
			return nil, "", "", nil
		}
		name := texts(ch.call)[0]
		for _, w := range ch.paths {
			if !w.Known || ch.call.Dir == "" && !strings.HasPrefix(w.Text, "/") {
				return nil, "", "", nil
			}
		}
		switch name {
		case "chown":
			owner, blocked, err := s.ownerFlag(ctx, step, ch.what.Text, layers)
			if err != nil || owner == "" {
				return nil, "", blocked, err
			}
			flags += " --chown=" + owner
		case "chmod":
			if ch.recursive && !octal(ch.what.Text) {
				return nil, "", "", nil
			}
			mode := ch.what.Text
			if !octal(mode) {
				if mode = s.modeOf(ch); mode == "" {
					return nil, "", "", nil
				}
			}
			// Not every builder knows it.
			safety = footprint.NeedsTests
			flags += " --chmod=" + mode
		default:
			return nil, "", "", nil
		}
	}
	for i := 1; i < len(changes); i++ {
		if texts(changes[i].call)[0] == texts(changes[0].call)[0] || !sameWords(changes[i].paths, changes[0].paths) {
			return nil, "", "", nil
		}
	}
	if why := s.onlyCopied(changes[0], layers, by); why != "" {
		return nil, "", why, nil
	}
	first := len(s.steps)
	for i := range s.steps {
		st := &s.steps[i]
		if st.Start >= step.Start && st.Stage == step.Stage {
			break
		}
		brings := slices.ContainsFunc(s.layersOf(st), func(l int) bool { return layers[l] })
		if !brings {
			if i > first && st.Keyword == "RUN" {
				safety = max(safety, footprint.NeedsTests) // it may mind whose the files are
			}
			continue
		}
		first = min(first, i)
		f, ok := st.Files()
		if !ok || st.Stage != step.Stage || f.Chown != "" || f.Chmod != "" {
			return nil, "", "", nil
		}
		start, _ := st.Bytes()
		src := s.file.Src
		start += len(src[start:]) - len(bytes.TrimLeft(src[start:], " \t"))
		edits = append(edits, footprint.Edit{Start: start + len(st.Keyword), End: start + len(st.Keyword), Text: flags})
	}
	if len(edits) == 0 {
		return nil, "", "", nil
	}
	if sole && s.areFiles(changes[0]) {
		start, end := step.Bytes()
		for _, lineBreak := range []string{"\r\n", "\n"} {
			if bytes.HasPrefix(s.file.Src[end:], []byte(lineBreak)) {
				end += len(lineBreak)
				break
			}
		}
		return append(edits, footprint.Edit{Start: start, End: end}), safety, "", nil
	}
	// COPY leaves the owner of a folder that is there before it, so chown stays
	// for the folder itself, which costs nothing.
	for _, ch := range changes {
		if ch.flag.End == 0 || !sc.literal(ch.flag) {
			return nil, "", "", nil
		}
		cut := footprint.Edit{Start: ch.flag.Start, End: ch.flag.End}
		for cut.End < sc.End && s.file.Src[cut.End] == ' ' {
			cut.End++
		}
		edits = append(edits, cut)
	}
	return edits, safety, "", nil
}

func sameWords(a, b []dockerfile.Word) bool {
	return slices.EqualFunc(a, b, func(a, b dockerfile.Word) bool { return a.Text == b.Text })
}

func absoluteIn(dir, p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}

func octal(mode string) bool {
	_, err := strconv.ParseUint(mode, 8, 16)
	return err == nil
}

// modeOf is the mode that a chmod of one file left, "" if it is not about one.
func (s *subject) modeOf(ch change) string {
	if len(ch.paths) != 1 || ch.recursive {
		return ""
	}
	p, mode := absoluteIn(ch.call.Dir, ch.paths[0].Text), ""
	s.own(func(f footprint.File) {
		if f.Path == p && f.Kind == footprint.Regular {
			mode = fmt.Sprintf("%o", f.Mode)
		}
	})
	return mode
}

// onlyCopied says what of the paths that are changed other instructions made, ""
// if the copies brought all of it. Folders count for what is in them.
func (s *subject) onlyCopied(ch change, layers map[int]bool, by int) string {
	if !s.walked() {
		return "The files of the image are not known."
	}
	var roots []string
	for _, w := range ch.paths {
		if globbed(w.Text) {
			return "Which files the pattern names is not known."
		}
		roots = append(roots, absoluteIn(ch.call.Dir, w.Text))
	}
	foreign := ""
	filled := map[string]bool{}
	var folders []string
	for f := range s.Image.Files {
		if !slices.ContainsFunc(roots, func(r string) bool {
			return strings.HasPrefix(f.Path, r+"/") || f.Path == r && f.Kind == footprint.Regular
		}) {
			continue
		}
		switch {
		case f.Kind == footprint.Directory:
			if f.Layer <= by {
				folders = append(folders, f.Path)
			}
		case f.Made > by:
		case layers[f.Made] || f.Kind != footprint.Regular && f.Made == by:
			for dir := path.Dir(f.Path); len(dir) > 1 && !filled[dir]; dir = path.Dir(dir) {
				filled[dir] = true
			}
		case foreign == "":
			foreign = f.Path
		}
	}
	if foreign != "" {
		return fmt.Sprintf("It also changes what COPY did not bring, such as %s.", foreign)
	}
	for _, dir := range folders {
		if !filled[dir] {
			return fmt.Sprintf("It also changes the folder %s, in which COPY brought nothing.", dir)
		}
	}
	return ""
}

// areFiles tells whether all paths that are changed are regular files.
func (s *subject) areFiles(ch change) bool {
	want := map[string]bool{}
	for _, w := range ch.paths {
		want[absoluteIn(ch.call.Dir, w.Text)] = true
	}
	s.own(func(f footprint.File) {
		if f.Kind == footprint.Regular {
			delete(want, f.Path)
		}
	})
	return len(want) == 0
}

// ownerFlag is the value of --chown that does what chown does with an owner; why
// says what is in the way. Without a group chown leaves root's, where --chown
// takes the number of the user.
func (s *subject) ownerFlag(ctx context.Context, step *dockerfile.Step, owner string, layers map[int]bool) (flag, why string, err error) {
	user, group, has := strings.Cut(owner, ":")
	if !has {
		group = "0"
	}
	if user == "" || group == "" || strings.ContainsAny(owner, " \"'\\$") || strings.Contains(group, ":") {
		return "", "", nil
	}
	for i, name := range []string{user, group} {
		if _, err := strconv.ParseUint(name, 10, 32); err == nil || name == "root" {
			continue
		}
		file, maker := "/etc/passwd", []string{"useradd", "adduser"}
		if i == 1 {
			file, maker = "/etc/group", []string{"useradd", "adduser", "groupadd", "addgroup"}
		}
		known, err := s.nameKnown(ctx, name, file, maker, layers)
		if err != nil {
			return "", "", err
		}
		if !known {
			return "", fmt.Sprintf("COPY can only use the name %s if it is known before it.", name), nil
		}
	}
	return user + ":" + group, "", nil
}

// nameKnown tells whether a user or group is there when the first of the copies
// runs.
func (s *subject) nameKnown(ctx context.Context, name, file string, makers []string, layers map[int]bool) (bool, error) {
	first := len(s.Image.Layers)
	for l := range layers {
		first = min(first, l)
	}
	for i := range s.steps {
		if slices.ContainsFunc(s.layersOf(&s.steps[i]), func(l int) bool { return layers[l] }) {
			break
		}
		sc := s.script(&s.steps[i])
		if sc == nil {
			continue
		}
		for _, c := range sc.Calls {
			if words := texts(c); c.Certain && len(words) > 1 && slices.Contains(makers, words[0]) && slices.Contains(words[1:], name) {
				return true, nil
			}
		}
	}
	made := -1
	for f := range s.Image.Files {
		if f.Path == file {
			made = f.Layer
		}
	}
	if made < 0 || made >= first || s.Read == nil {
		return false, nil
	}
	found, err := s.Read(ctx, file)
	if err != nil {
		return false, fmt.Errorf("reading %s of the image: %w", file, err)
	}
	for line := range bytes.Lines(found[file]) {
		if bytes.HasPrefix(line, []byte(name+":")) {
			return true, nil
		}
	}
	return false, nil
}

// chownHints are recursive changes of what COPY brought.
func (s *subject) chownHints() []footprint.Suggestion {
	var out []footprint.Suggestion
	for i := range s.steps {
		sc := s.script(&s.steps[i])
		if sc == nil || s.steps[i].Keyword != "RUN" {
			continue
		}
		for _, ch := range sc.changes() {
			at := slices.IndexFunc(s.steps[:i], func(st dockerfile.Step) bool {
				f, ok := st.Files()
				return ok && f.To != "" && f.To != "/" && len(f.Sources) > 0 && f.Chown == "" && ch.on(f.To+"/x")
			})
			if !ch.recursive || !ch.call.Certain || at < 0 {
				continue
			}
			one := s.suggest(&s.steps[i], pile{})
			one.Hint = true
			one.Message = fmt.Sprintf("Line %d brings files that line %d writes again, to change their owner or mode.", s.steps[at].Start, s.steps[i].Start)
			one.Advice = "Set them where the files are made, with COPY --chown and --chmod."
			out = append(out, one)
			break
		}
	}
	return out
}

// globbed tells whether the shell reads a word as a pattern.
func globbed(word string) bool { return strings.ContainsAny(word, "*?[") }
