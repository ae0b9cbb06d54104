package advice

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// logsByUser have one record for each user id from 0 on: an id of a million
// makes them hundreds of megabytes of nothing.
var logsByUser = []string{"/var/log/lastlog", "/var/log/faillog", "/var/log/tallylog"}

func sparseLastlog() Rule {
	return Rule{
		ID: "sparse-lastlog", Title: "a user with a high id made the login records large", Safety: footprint.SafePatch,
		check: func(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
			if s.Image == nil {
				return nil, nil // not every system keeps the records
			}
			return s.lastlogs(), nil
		},
	}
}

func (s *subject) lastlogs() []footprint.Suggestion {
	piles := map[int]*pile{}
	add := func(p string, bytes footprint.Bytes, layer int) {
		if bytes == 0 || !s.mine(layer) || s.copied(layer) || !slices.Contains(logsByUser, p) {
			return
		}
		if piles[layer] == nil {
			piles[layer] = &pile{}
		}
		piles[layer].add(p, bytes, layer)
	}
	s.own(func(f footprint.File) {
		if f.Kind == footprint.Regular {
			add(f.Path, f.Size, f.Layer)
		}
	})
	for _, d := range s.Image.DeadFiles {
		if d.Fate != footprint.Deleted {
			add(d.Path, d.Bytes, d.In)
		}
	}
	var out []footprint.Suggestion
	for layer := range s.Image.Layers {
		p := piles[layer]
		if p == nil || p.bytes < Floor {
			continue
		}
		step := s.stepOf(layer)
		sc := s.script(step)
		if step != nil && !sc.logsUsers(step) {
			continue
		}
		one := s.suggest(step, *p)
		one.Message = fmt.Sprintf("%s of login records are in %s: they have room for every user id up to the highest.", p.bytes, one.Paths[0].Path)
		one.Advice = "Give useradd the flag --no-log-init; Debian's adduser has none, there useradd does the same."
		if step == nil {
			one.Advice = fmt.Sprintf("Give useradd in the command that made layer %d the flag --no-log-init.", layer)
		}
		if edits := sc.noLogInit(); len(edits) > 0 {
			one.Advice = "Give useradd the flag --no-log-init."
			s.edit(&one, footprint.SafePatch, edits...)
		}
		out = append(out, one)
	}
	return out
}

// addsUser tells whether a command is useradd, and whether it leaves the login
// records alone.
func addsUser(c dockerfile.Call) (useradd, quiet bool) {
	words := texts(c)
	if len(words) == 0 || words[0] != "useradd" {
		return false, false
	}
	for i, w := range words[1:] {
		if w == "--no-log-init" {
			return true, true
		}
		// -l among other letters, but not in the value of one before it.
		if strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && !(i > 0 && takesValue(words[i])) {
			for _, letter := range w[1:] {
				if letter == 'l' {
					return true, true
				}
				if strings.ContainsRune("bcdefgGkKpRsuZ", letter) {
					break // the rest is its value
				}
			}
		}
	}
	return true, false
}

func takesValue(flag string) bool {
	return len(flag) > 1 && flag[0] == '-' && flag[1] != '-' && strings.ContainsRune("bcdefgGkKpRsuZ", rune(flag[len(flag)-1]))
}

// logsUsers tells whether a script as it is written can still make the records
// large; also where it is not read.
func (sc *script) logsUsers(step *dockerfile.Step) bool {
	if sc == nil {
		return !strings.Contains(step.Source(), "--no-log-init") && !strings.Contains(step.Source(), "/lastlog")
	}
	quiet := false
	for i, c := range sc.Calls {
		useradd, is := addsUser(c)
		quiet = quiet || is
		if words := texts(c); useradd && !is || len(words) > 0 && (words[0] == "adduser" || words[0] == "usermod") {
			return !slices.ContainsFunc(sc.Calls[i:], func(c dockerfile.Call) bool { return c.Certain && empties(c, "/var/log/lastlog") })
		}
	}
	return !quiet
}

// empties tells whether a command deletes a file or makes it empty.
func empties(c dockerfile.Call, p string) bool {
	words := texts(c)
	return removes(c, p) || len(words) > 0 && (words[0] == "truncate" || words[0] == ":" || words[0] == "cp") && strings.Contains(strings.Join(words, " "), p) ||
		slices.ContainsFunc(c.To, func(w dockerfile.Word) bool { return w.Text == p })
}

// noLogInit puts the flag behind every useradd without it, if all of them are
// certain to run.
func (sc *script) noLogInit() []footprint.Edit {
	if sc == nil {
		return nil
	}
	var edits []footprint.Edit
	for _, c := range sc.Calls {
		words, _ := plainly(c)
		useradd, quiet := addsUser(c)
		if name := texts(c); len(name) > 0 && (name[0] == "adduser" || name[0] == "usermod") {
			return nil
		}
		if !useradd || quiet {
			continue
		}
		if !c.Certain || !sc.literal(words[0]) {
			return nil
		}
		edits = append(edits, footprint.Edit{Start: words[0].End, End: words[0].End, Text: " --no-log-init"})
	}
	return edits
}
