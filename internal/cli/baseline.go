package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/source"
)

// baselineVerbs are what 'baseline' does, in the order of its help.
var baselineVerbs = []string{"save", "show", "list", "prune"}

// baselineFlags are those of all verbs; each verb takes some of them.
type baselineFlags struct {
	*checkFlags
	commit *string
	keep   *int
	force  *bool
}

// baselineFlags returns the flags that a verb has.
func (c *Command) baselineFlags(verb string) (*flagSet, *baselineFlags) {
	all := c.flags("", "", "")
	f := &baselineFlags{
		checkFlags: &checkFlags{
			measureFlags: all.measuring(), attributeFlags: all.attributing(), buildFlags: all.building(), outputFlags: all.reporting(),
			config:   all.String("config", budget.DefaultName, "the budget `FILE`"),
			baseline: all.String("baseline", "", "the `STORE`: file:PATH, branch:NAME or registry:REF (default the budget file's)"),
			images:   &listFlag{},
		},
		keep:  all.Int("keep", baseline.DefaultKeep, "how many baselines of each image and platform to leave: the newest `N`"),
		force: all.Bool("force", false, "save from a pull request's workflow all the same"),
	}
	all.StringVar(&f.measureFlags.token, "github-token", "", "the `TOKEN` for a store on GitHub; better set GITHUB_TOKEN, which no process list shows")
	usage := "the full `HASH` of the commit that is measured, to be stored with it (default GITHUB_SHA, at a terminal none)"
	if verb == "show" {
		usage = "show the baseline of the commit `HASH`, of which the beginning will do (default the latest)"
	}
	f.commit = all.String("commit", "", usage)
	common := []string{"config", "baseline", "github-token", "registry-username", "registry-password"}
	var fs *flagSet
	switch verb {
	case "save":
		fs = c.flags("baseline save", "[IMAGE...]", `Save what images measure now as the baseline: all of the budget file without an IMAGE.`)
		for _, name := range all.names() {
			if name != "keep" && name != "format" && name != "output" {
				fs.take(all, name)
			}
		}
	case "show":
		fs = c.flags("baseline show", "[IMAGE...]", `Show the stored baselines of images: of all of the budget file without an IMAGE.

What the baselines build and image:REFERENCE stand for is made now, with the
flags of 'baseline save', which are taken here too.`)
		fs.take(all, append(common, "commit", "platform", "format", "output")...)
		shown := fs.names()
		for _, name := range all.names() {
			if !slices.Contains(append(shown, "keep", "force"), name) {
				fs.take(all, name)
				fs.Lookup(name).Usage = "" // --help lists it with 'baseline save'
			}
		}
	case "list":
		fs = c.flags("baseline list", "", `List all baselines that are stored.`)
		fs.take(all, append(common, "format")...)
	case "prune":
		fs = c.flags("baseline prune", "", `Forget all but the newest baselines of each image and platform.`)
		fs.take(all, append(common, "keep")...)
	}
	return fs, f
}

// take has flags of another set in this one too.
func (fs *flagSet) take(from *flagSet, names ...string) {
	for _, name := range names {
		f := from.Lookup(name)
		fs.Var(f.Value, f.Name, f.Usage)
	}
}

func (c *Command) baseline(ctx context.Context, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fs := c.flags("baseline", "save|show|list|prune [IMAGE...]", `Save what images measure now as the baseline, show what is stored, list all that is stored,
or forget what is old.

'image-budget baseline save --help' shows the flags of one of them.`)
		if len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help"}, args[0]) {
			_, err := fs.parse(args[:1])
			return err
		}
		return usagef("baseline", "say first what to do: baseline save, show, list or prune")
	}
	verb := args[0]
	if !slices.Contains(baselineVerbs, verb) {
		return usagef("baseline", "there is no 'baseline %s'%s", verb, didYouMean(verb, baselineVerbs))
	}
	fs, f := c.baselineFlags(verb)
	args, err := fs.parse(args[1:])
	if err != nil {
		return err
	}
	switch verb {
	case "list", "prune":
		err = c.keepBaselines(ctx, verb, f, args)
	case "save":
		err = c.baselineSave(ctx, f, args)
	case "show":
		err = c.baselineShow(ctx, f, args)
	}
	var wrong *usageError
	if errors.As(err, &wrong) && wrong.command == "check" {
		// What is said about images is said for check.
		return &usageError{fs.Name(), err}
	}
	return err
}

func (c *Command) baselineSave(ctx context.Context, f *baselineFlags, args []string) error {
	if *f.commit != "" && !github.IsCommit(*f.commit) {
		return usagef("baseline save", "--commit %q is no full commit id; give all 40 digits of it, as 'git rev-parse HEAD' prints them", *f.commit)
	}
	set, err := c.loadBudget(f.checkFlags, args)
	if err != nil {
		return err
	}
	if f.file != nil && len(set.images) > 1 {
		return usagef("baseline save", "--dockerfile goes with one image")
	}
	m, err := c.baselineMeasurer(f.checkFlags, set, "save")
	if err != nil {
		return err
	}
	defer m.close()
	if err := c.maySave(set.baseline, *f.force); err != nil {
		return err
	}
	return c.saveBaselines(ctx, m, set, f.attributeFlags, cmp.Or(*f.commit, c.runner.SHA))
}

func (c *Command) baselineShow(ctx context.Context, f *baselineFlags, args []string) error {
	load := c.chosen
	if spec, err := c.readBudget(f.checkFlags); err != nil {
		return err
	} else if spec.baseline == "build" || strings.HasPrefix(spec.baseline, "build:") {
		load = c.loadBudget
	}
	set, err := load(f.checkFlags, args)
	if err != nil {
		return err
	}
	if *f.dockerfile != "" && len(set.builds) == 0 {
		return usagef("baseline show", "--dockerfile goes with 'baseline save'")
	}
	if len(set.platforms) > 1 {
		return usagef("baseline show", "--platform names %d platforms; a baseline is shown for one", len(set.platforms))
	}
	m, err := c.baselineMeasurer(f.checkFlags, set, "show")
	if err != nil {
		return err
	}
	defer m.close()
	return c.showBaselines(ctx, m, set, f.checkFlags, *f.commit)
}

func (c *Command) baselineMeasurer(f *checkFlags, set *budgetSet, verb string) (*measurer, error) {
	if set.baseline == "" || set.baseline == "none" {
		return nil, usagef("baseline "+verb, "no baseline is named: give --baseline file:PATH or registry:REF, or write it into %s", *f.config)
	}
	m, err := c.measurer(f.measureFlags, set.refs(), len(set.images) > 1)
	if err != nil {
		return nil, err
	}
	m.build = f.buildFlags
	return m, nil
}

// saveBaselines measures all images and saves them at once, which is one commit
// on a branch. One that cannot be measured does not keep the others from it.
func (c *Command) saveBaselines(ctx context.Context, m *measurer, set *budgetSet, lines *attributeFlags, commit string) error {
	store, err := c.openStore(m, set.baseline, want{})
	if err != nil {
		return err
	}
	var entries []baseline.Entry
	var failures []error
	for _, img := range set.images {
		w := want{
			name: img.ID, ref: img.Ref, base: img.Base, own: true, patterns: img.Patterns(),
			estimate: img.NeedsCompressed(),
			// A baseline without files could explain nothing later.
			files: true, from: lines, lines: true,
		}
		w.build = set.builds[img.ID]
		err := m.openAll(ctx, w, set.platforms, func(w want, opened *source.Image, err error) {
			var head *footprint.Image
			if err == nil {
				head, err = m.scan(ctx, opened, w)
			}
			if err != nil {
				failures = append(failures, fmt.Errorf("%s: %w", img.ID, err))
				return
			}
			entries = append(entries, m.entry(store, head, footprint.Meta{Commit: commit}))
		})
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", img.ID, err))
		}
	}
	if len(entries) > 0 {
		err := store.Save(ctx, entries)
		if errors.Is(err, baseline.ErrReadOnly) {
			return usagef("baseline", "nothing is saved to %s: it is measured whenever it is needed; name a file:PATH, branch:NAME or registry:REF", set.baseline)
		}
		if err != nil {
			return errors.Join(append(failures, c.withPermissions(fmt.Errorf("%s: saving the baseline: %w", saidNames(entries), err)))...)
		}
	}
	for _, e := range entries {
		figure, size := "compressed", e.Image.Metrics.Compressed
		if e.Image.Metrics.Has&footprint.HasCompressed == 0 {
			figure, size = "unpacked", e.Image.Metrics.Unpacked
		}
		if err := c.say("saved %s (%s) to %s: %s %s in %s", e.Key.Image, e.Key.Platform, set.baseline, size, figure, plural(len(e.Image.Layers), "layer")); err != nil {
			return err
		}
	}
	m.noteLayers()
	for _, note := range m.notes {
		c.log.Warn().Msg(note)
	}
	return errors.Join(failures...)
}

// saidNames names what is saved.
func saidNames(entries []baseline.Entry) string {
	if len(entries) == 1 {
		return entries[0].Key.Image
	}
	return plural(len(entries), "image")
}

func (c *Command) showBaselines(ctx context.Context, m *measurer, set *budgetSet, f *checkFlags, commit string) error {
	rep := &report.Report{Kind: report.Inspect, Tool: Tool(), Status: budget.Pass}
	platform := ""
	if len(set.platforms) == 1 {
		platform = set.platforms[0]
	}
	for _, img := range set.images {
		store, err := c.openStore(m, set.baseline, want{name: img.ID, base: img.Base, build: set.builds[img.ID], files: true, own: true, patterns: img.Patterns()})
		if err != nil {
			return err
		}
		key := baseline.Key{Image: img.ID, Platform: platform, Uncommitted: commit == "" && !c.runner.Actions}
		if key.Commit, err = storedCommit(ctx, store, key, commit); err != nil {
			return err
		}
		found, err := store.Load(ctx, key)
		if errors.Is(err, baseline.ErrNotFound) {
			return fmt.Errorf("%s: %w; 'image-budget baseline save' makes one", img.ID, err)
		}
		if err != nil {
			return fmt.Errorf("%s: loading the baseline %s: %w", img.ID, set.baseline, err)
		}
		rep.Images = append(rep.Images, imageOf(found.Image))
		if found.Meta.Commit != "" {
			rep.Notes = append(rep.Notes, fmt.Sprintf("%s was measured at commit %s by %s", img.ID, found.Meta.Commit, found.Meta.Tool))
		}
	}
	m.finish(rep)
	return c.emit(rep, f.outputFlags)
}

// storedCommit is the full id of the commit that a user names by the beginning
// of it, among those that a store has for an image.
func storedCommit(ctx context.Context, store baseline.Store, key baseline.Key, commit string) (string, error) {
	commit = strings.ToLower(commit)
	lister, ok := store.(baseline.Lister)
	switch {
	case commit == "" || github.IsCommit(commit):
		return commit, nil
	case len(commit) < 4 || strings.Trim(commit, "0123456789abcdef") != "":
		return "", usagef("baseline show", "--commit %q is no commit id, nor the first 4 digits of one or more; 'git rev-parse HEAD' prints one", commit)
	case !ok:
		return "", usagef("baseline show", "--commit %q is no full commit id, and this baseline is not kept by commit", commit)
	}
	all, err := lister.List(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, one := range all {
		if one.Key.Image == key.Image && strings.HasPrefix(one.Key.Commit, commit) && !slices.Contains(found, one.Key.Commit) {
			found = append(found, one.Key.Commit)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s has no baseline of a commit that begins with %s; 'image-budget baseline list' shows what there is", key.Image, commit)
	case 1:
		return found[0], nil
	}
	return "", usagef("baseline show", "%d commits that %s has a baseline of begin with %s; give more of it", len(found), key.Image, commit)
}
