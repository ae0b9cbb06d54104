package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/source"
)

// writeFlag is --write, or --write=multi-stage.
type writeFlag struct{ value string }

// The words of --write.
const (
	writeSafe   = "safe"
	writeStages = "multi-stage"
)

func (f *writeFlag) String() string   { return f.value }
func (f *writeFlag) IsBoolFlag() bool { return true }

func (f *writeFlag) Set(s string) error {
	switch s {
	case "true", writeSafe:
		f.value = writeSafe
	case "false":
		f.value = ""
	case writeStages:
		f.value = s
	default:
		return fmt.Errorf("must be --write, for the safe changes, or --write=%s%s", writeStages, didYouMean(s, []string{writeSafe, writeStages}))
	}
	return nil
}

// suggestFlags are those of suggest.
type suggestFlags struct {
	*checkFlags
	verify *bool
	write  *writeFlag
	ignore *listFlag
}

func (c *Command) suggestFlags() (*flagSet, *suggestFlags) {
	all := c.flags("suggest", "[IMAGE]", `Say what would make an image smaller, and by how many bytes of it.

IMAGE is a reference, or a name in the budget file, which says how to build it; with
--context it is built from that folder. --dockerfile names the Dockerfile of an
image that is not built here. With --dockerfile alone, nothing is measured: there
are hints only.

--verify builds the Dockerfile in stages that is proposed, runs it beside the
original, and compares what can be seen of both. --write makes the changes that
are safe, --write=multi-stage writes the Dockerfile in stages.

A comment '# image-budget ignore=RULE' right above an instruction silences a rule
there. The exit code is 3 if something could not be measured or written, as where
--verify finds no proof for what --write=multi-stage is to write; else it is 0.`)
	f := &suggestFlags{
		checkFlags: &checkFlags{
			measureFlags: all.measuring(), attributeFlags: all.attributing(), buildFlags: all.building(), outputFlags: all.reporting(),
			config: all.String("config", budget.DefaultName, "the budget `FILE`"), baseline: new(string), images: &listFlag{}, verifyFlags: all.verifying(),
		},
		verify: all.Bool("verify", false, "build and run what is proposed, and compare it with the original"),
		write:  &writeFlag{},
		ignore: all.list("ignore-rule", "a `RULE` that is not to speak; may be repeated"),
	}
	all.Var(f.write, "write", "change the files: alone, by what is safe; =multi-stage, into a Dockerfile in stages")
	return all, f
}

func (c *Command) suggest(ctx context.Context, args []string) error {
	all, f := c.suggestFlags()
	args, err := all.parse(args)
	if err != nil {
		return err
	}
	ignore, err := ignoredRules(*f.ignore)
	if err != nil {
		return err
	}
	if _, err := f.files(); err != nil {
		return err
	}
	if len(args) > 1 {
		return usagef("suggest", "suggest is about one image, not %d", len(args))
	}
	rep := &report.Report{Kind: report.Suggest, Tool: Tool(), Status: budget.Pass, Run: c.run(&budgetSet{})}
	found := &advised{sources: map[string][]byte{}}
	o := adviceWanted{ignore: ignore, prove: *f.verify, verify: f.verifyFlags}
	if len(args) == 0 && !f.given() && *f.dockerfile != "" {
		err = c.suggestText(ctx, f, o, rep, found)
	} else {
		err = c.suggestImage(ctx, f, args, o, rep, found)
	}
	if err != nil {
		return err
	}
	for _, img := range rep.Images {
		if n := len(img.Suggestions); n > report.MaxSuggestions {
			rep.Notes = append(rep.Notes, fmt.Sprintf("%s: there are %d suggestions; JSON has the first %d", cmp.Or(img.Head.Name, "the image"), n, report.MaxSuggestions))
		}
	}
	if err := c.emit(rep, f.outputFlags); err != nil {
		return err
	}
	if f.write.value == "" {
		return nil
	}
	return c.writeSuggestions(f, found)
}

// suggestText says what can be said of a Dockerfile without an image.
func (c *Command) suggestText(ctx context.Context, f *suggestFlags, o adviceWanted, rep *report.Report, found *advised) error {
	switch {
	case *f.verify:
		return usagef("suggest", "--verify builds and runs an image: name the folder to build with --context")
	case f.write.value == writeStages:
		return usagef("suggest", "--write=multi-stage reads the image to know what to copy: name it, or the folder to build with --context")
	}
	if err := f.read(c); err != nil {
		return err
	}
	s := &advice.Subject{File: f.file, Target: *f.target, Args: map[string]string{}}
	for _, arg := range *f.args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			value = c.Getenv(name)
		}
		s.Args[name] = value
	}
	hints, err := c.adviseOn(ctx, s, o)
	if err != nil {
		return err
	}
	*found = *hints
	rep.Images = []report.Image{{
		Head: &footprint.Image{Name: f.file.Name}, Verdict: budget.Verdict{Status: budget.Pass},
		Baseline: report.Baseline{Status: string(budget.BaselineNone)}, Suggestions: hints.suggestions,
	}}
	rep.Notes = append(rep.Notes, "nothing was measured: these are hints; name the image, or the folder to build with --context, to weigh them")
	return nil
}

// suggestImage measures an image and says what would make it smaller, on each of
// its platforms.
func (c *Command) suggestImage(ctx context.Context, f *suggestFlags, args []string, o adviceWanted, rep *report.Report, found *advised) error {
	set, err := c.loadBudget(f.checkFlags, args)
	if err != nil {
		return err
	}
	if len(set.images) > 1 {
		var names []string
		for _, img := range set.images {
			names = append(names, img.ID)
		}
		return usagef("suggest", "%s has several images; name one of %s", set.name, strings.Join(names, ", "))
	}
	img := set.images[0]
	// Candidates share layers with the original: with several images in one run,
	// none of them is measured twice.
	m, err := c.measurer(f.measureFlags, set.refs(), *f.verify)
	if err != nil {
		return err
	}
	defer m.close()
	m.build = f.buildFlags
	o.smoke = img.Smoke
	w := want{name: img.ID, ref: img.Ref, base: img.Base, files: true, own: true, build: set.builds[img.ID], from: f.attributeFlags, lines: true}
	if w.build == nil && set.name == "" {
		w.name = "" // nobody gave it one
	}
	var errs []error
	err = m.openAll(ctx, w, set.platforms, func(w want, opened *source.Image, err error) {
		var head *footprint.Image
		var one *advised
		if err == nil {
			head, err = m.scan(ctx, opened, w)
		}
		if err == nil {
			one, err = c.advise(ctx, m, w, opened, head, o)
		}
		if err == nil {
			err = ctx.Err() // a proof ends early then, and half of it is none
		}
		if err != nil {
			errs = append(errs, err)
			return
		}
		of := imageOf(head)
		of.Suggestions = one.suggestions
		rep.Images = append(rep.Images, of)
		found.suggestions = append(found.suggestions, one.suggestions...)
		for name, src := range one.sources {
			found.sources[name] = src
		}
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	m.finish(rep)
	return nil
}

// writeSuggestions makes the changes that --write asks for, and says which.
func (c *Command) writeSuggestions(f *suggestFlags, found *advised) error {
	var chosen []footprint.Suggestion
	for _, one := range found.suggestions {
		stages := one.Rule == rewriteRule
		switch {
		case len(one.Edits) == 0 || stages != (f.write.value == writeStages):
		case stages && *f.verify && (one.Verified == nil || one.Verified.Status != footprint.Verified):
			reason := "it was not built"
			if one.Verified != nil {
				reason = one.Verified.Reason
			}
			return fmt.Errorf("nothing was written: the Dockerfile in stages is not verified: %s", reason)
		case stages || one.Safety == footprint.SafePatch:
			chosen = append(chosen, one)
		}
	}
	if len(chosen) == 0 {
		what := "no suggestion has a safe change"
		if f.write.value == writeStages {
			what = "no Dockerfile in stages is proposed"
		}
		c.tell("nothing to write: %s", what)
		return nil
	}
	p := newPatches(found.sources)
	for i := range chosen {
		p.add(&chosen[i])
	}
	changes, err := p.changes()
	if err != nil {
		return err
	}
	var files []change
	for _, one := range changes {
		if one.path, err = c.editedFile(f, one.name); err != nil {
			return fmt.Errorf("nothing was written: %w", err)
		}
		files = append(files, one)
	}
	if err := c.writeAll(files); err != nil {
		return err
	}
	for _, one := range files {
		c.tell("wrote %s: %s", one.name, strings.Join(one.rules, ", "))
	}
	for _, text := range p.left {
		c.tell("%s", text)
	}
	for _, one := range chosen {
		if one.Rule == rewriteRule && (one.Verified == nil || one.Verified.Status != footprint.Verified) {
			c.tell("it was not verified: nobody built or ran it; git diff shows it, --verify proves it")
			return nil
		}
	}
	c.tell("next: look at it with git diff, build it, and run your tests")
	return nil
}

// tell writes a line to standard error, where it is in nobody's report.
func (c *Command) tell(format string, args ...any) {
	fmt.Fprintln(c.notes, errorText(fmt.Errorf(format, args...)))
}

// editedFile is where the file is that edits call by a name: in the workspace of a
// job, else as the command line named it. A file that links lead to outside of
// the folder it belongs to is not written.
func (c *Command) editedFile(f *suggestFlags, name string) (string, error) {
	if strings.Contains(name, "://") || strings.Contains(name, "//") || name == "" {
		return "", fmt.Errorf("%s is no file here: the image was built from another Dockerfile; name yours with --dockerfile", cmp.Or(name, "it"))
	}
	path := filepath.FromSlash(name)
	if c.runner.Actions && c.runner.Workspace != "" && !filepath.IsAbs(path) {
		path = filepath.Join(c.runner.Workspace, path)
	}
	home := filepath.Dir(path)
	for _, dir := range []string{c.runner.Workspace, *f.context} {
		if dir == "" || source.Fetched(dir) {
			continue
		}
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
			home = dir
			break
		}
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if exists(path) {
			return "", fmt.Errorf("%s is a link to nowhere", path)
		}
		// It is to be made; the folder has to be in its place.
		if real, err = filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			real = filepath.Join(real, filepath.Base(path))
		}
	}
	if err != nil {
		return "", err
	}
	folder, err := filepath.EvalSymlinks(home)
	if err != nil {
		return "", err
	}
	folder, err = filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	if abs, err := filepath.Abs(real); err != nil {
		return "", err
	} else if rel, err := filepath.Rel(folder, abs); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s leads out of %s, to %s", path, home, real)
	}
	if info, err := os.Stat(real); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", path)
	}
	return real, nil
}
