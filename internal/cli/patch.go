package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
)

// patches collects the edits of several suggestions. What two of them want of the
// same bytes is done once; the rest is left, and said.
type patches struct {
	sources map[string][]byte
	edits   map[string][]footprint.Edit
	rules   map[string][]string
	names   []string // in the order in which they came
	left    []string
}

func newPatches(sources map[string][]byte) *patches {
	return &patches{sources: sources, edits: map[string][]footprint.Edit{}, rules: map[string][]string{}}
}

// add takes the edits of a suggestion, all or none.
func (p *patches) add(s *footprint.Suggestion) {
	var fresh []footprint.Edit
	for _, e := range s.Edits {
		had := p.edits[e.File]
		if isIgnore(e) {
			e.Text = withoutLines(e.Text, had)
		}
		switch {
		case slices.Contains(had, e) || e.Text == "" && e.Start == e.End:
		case slices.ContainsFunc(had, func(other footprint.Edit) bool { return collide(other, e) }):
			p.left = append(p.left, fmt.Sprintf("left for the next time: %s at %s:%d, where another change was made", s.Rule, s.File, s.Start))
			return
		default:
			fresh = append(fresh, e)
		}
	}
	for _, e := range fresh {
		if _, known := p.edits[e.File]; !known {
			p.names = append(p.names, e.File)
		}
		p.edits[e.File] = append(p.edits[e.File], e)
		if !slices.Contains(p.rules[e.File], s.Rule) {
			p.rules[e.File] = append(p.rules[e.File], s.Rule)
		}
	}
}

// isIgnore tells whether an edit adds lines to a .dockerignore, and removes none:
// two of them go together in either order.
func isIgnore(e footprint.Edit) bool {
	return path.Base(e.File) == ".dockerignore" && e.Start == e.End && strings.HasSuffix(e.Text, "\n")
}

// withoutLines leaves out the lines that other edits add.
func withoutLines(text string, others []footprint.Edit) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(others, func(e footprint.Edit) bool { return strings.Contains("\n"+e.Text, "\n"+line) }) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// collide tells whether two edits of a file cannot both be made, or not in an
// order that is certain.
func collide(a, b footprint.Edit) bool {
	if isIgnore(a) && isIgnore(b) {
		return false
	}
	if a.Create || b.Create || a.Start == b.Start {
		return true
	}
	return a.Start < b.End && b.Start < a.End
}

// change is a file as it was and as it is to be.
type change struct {
	// name is what suggestions call it, path where it is.
	name, path string
	old, text  []byte
	// create says that there is no such file yet.
	create bool
	rules  []string
}

// changes applies the edits.
func (p *patches) changes() ([]change, error) {
	var out []change
	for _, name := range p.names {
		src, known := p.sources[name]
		if !known {
			return nil, fmt.Errorf("nothing was written: %s was not read, so its bytes are not known", name)
		}
		edits := p.edits[name]
		slices.SortStableFunc(edits, func(a, b footprint.Edit) int { return cmp.Compare(a.Start, b.Start) })
		text, err := dockerfile.Apply(src, edits)
		if err != nil {
			return nil, fmt.Errorf("nothing was written: %s: %w", name, err)
		}
		out = append(out, change{name: name, old: src, text: text, create: src == nil, rules: p.rules[name]})
	}
	return out, nil
}

// writeAll replaces the files, all of them or none: what goes wrong before the
// first is replaced leaves nothing behind, and what goes wrong after it puts back
// what was there.
func (c *Command) writeAll(files []change) (err error) {
	var done []change
	prepared := make([]string, len(files))
	defer func() {
		for _, name := range prepared {
			if name != "" {
				_ = os.Remove(name) // gone after its rename
			}
		}
		if err == nil {
			return
		}
		for _, f := range done {
			err = errors.Join(err, c.putBack(f))
		}
		err = fmt.Errorf("nothing was written: %w", err)
	}()
	for i, f := range files {
		if prepared[i], err = c.prepareFile(f); err != nil {
			return err
		}
	}
	for i, f := range files {
		if err = unchanged(f); err != nil {
			return err
		}
		if err = os.Rename(prepared[i], f.path); err != nil {
			return err
		}
		done = append(done, f)
	}
	return nil
}

// prepareFile writes the new text beside a file, with its mode.
func (c *Command) prepareFile(f change) (string, error) {
	if err := unchanged(f); err != nil {
		return "", err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(f.path); err == nil {
		mode = info.Mode().Perm()
	}
	return c.textBeside(f.path, f.text, mode)
}

func (c *Command) textBeside(path string, text []byte, mode fs.FileMode) (string, error) {
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = out.Write(text)
	if err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close()); err != nil {
		return "", errors.Join(err, os.Remove(out.Name()))
	}
	if c.runner.Actions && c.runner.Workspace != "" {
		if err := actions.OwnLike(out.Name(), c.runner.Workspace); err != nil {
			c.log.Debug().Msgf("%v", err)
		}
	}
	return out.Name(), nil
}

// unchanged is an error where a file is not as it was when the suggestions were
// made.
func unchanged(f change) error {
	now, err := readBounded(f.path, dockerfile.MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.create:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is gone", f.path)
	case err != nil:
		return err
	case f.create:
		return fmt.Errorf("%s was made in the meantime; run this again", f.path)
	case !bytes.Equal(now, f.old):
		return fmt.Errorf("%s is another file than the one the image was built from, or changed in the meantime; run this again", f.path)
	}
	return nil
}

// putBack undoes a change.
func (c *Command) putBack(f change) error {
	if f.create {
		return os.Remove(f.path)
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	name, err := c.textBeside(f.path, f.old, info.Mode().Perm())
	if err != nil {
		return err
	}
	return os.Rename(name, f.path)
}
