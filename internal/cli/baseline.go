package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/source"
)

func (c *Command) baseline(ctx context.Context, args []string) error {
	fs := c.flags("baseline", "save|show|list|prune [IMAGE...]", `Save what images measure now as the baseline, show what is stored, list all that is stored,
or forget what is old.

Without an IMAGE, every image of the budget file is saved or shown.`)
	f := &checkFlags{
		measureFlags: fs.measuring(), attributeFlags: fs.attributing(), buildFlags: fs.building(),
		outputFlags: fs.reporting(),
		config:      fs.String("config", budget.DefaultName, "the budget `FILE`"),
		baseline:    fs.String("baseline", "", "the `STORE`: file:PATH, branch:NAME or registry:REF (default the budget file's)"),
		images:      &listFlag{},
	}
	commit := fs.String("commit", "", "the `HASH` of the commit that is measured, to be stored with it (default GITHUB_SHA), or whose baseline to show (default the latest)")
	keep := fs.Int("keep", baseline.DefaultKeep, "how many baselines of each image and platform 'baseline prune' leaves: the newest `N`")
	force := fs.Bool("force", false, "save from a pull request's workflow all the same")
	fs.StringVar(&f.measureFlags.token, "github-token", "", "the `TOKEN` for a store on GitHub; better set GITHUB_TOKEN, which no process list shows")
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("baseline", "say what to do: baseline save, show, list or prune")
	}
	verb := args[0]
	verbs := []string{"save", "show", "list", "prune"}
	if !slices.Contains(verbs, verb) {
		return usagef("baseline", "there is no 'baseline %s'%s", verb, didYouMean(verb, verbs))
	}
	if verb == "list" || verb == "prune" {
		return c.keepBaselines(ctx, verb, f, *keep, args[1:])
	}
	set, err := c.loadBudget(f, args[1:])
	if err != nil {
		return err
	}
	if f.file != nil && (verb == "show" || len(set.images) > 1) {
		return usagef("baseline", "--dockerfile goes with 'baseline save' and one image")
	}
	if set.baseline == "" || set.baseline == "none" {
		return usagef("baseline", "no baseline is named: give --baseline file:PATH or registry:REF, or write it into %s", *f.config)
	}
	m, err := c.measurer(f.measureFlags, set.refs(), len(set.images) > 1)
	if err != nil {
		return err
	}
	defer m.close()
	m.build = f.buildFlags
	if verb == "save" {
		if err := c.maySave(set.baseline, *force); err != nil {
			return err
		}
		if *commit == "" {
			*commit = c.runner.SHA
		}
		return c.saveBaselines(ctx, m, set, f.attributeFlags, *commit)
	}
	return c.showBaselines(ctx, m, set, f, *commit)
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
		if err := c.say("saved %s (%s) to %s: %s %s in %d layers", e.Key.Image, e.Key.Platform, set.baseline, size, figure, len(e.Image.Layers)); err != nil {
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
	for _, img := range set.images {
		store, err := c.openStore(m, set.baseline, want{name: img.ID, base: img.Base, build: set.builds[img.ID], files: true, own: true, patterns: img.Patterns()})
		if err != nil {
			return err
		}
		found, err := store.Load(ctx, baseline.Key{Image: img.ID, Platform: *m.flags.platform, Commit: commit})
		if errors.Is(err, baseline.ErrNotFound) {
			return fmt.Errorf("%s has no baseline in %s: %w; 'image-budget baseline save' makes one", img.ID, set.baseline, err)
		}
		if err != nil {
			return fmt.Errorf("loading the baseline of %s: %w", img.ID, err)
		}
		rep.Images = append(rep.Images, imageOf(found.Image))
		if found.Meta.Commit != "" {
			rep.Notes = append(rep.Notes, fmt.Sprintf("%s was measured at commit %s by %s", img.ID, found.Meta.Commit, found.Meta.Tool))
		}
	}
	m.finish(rep)
	return c.emit(rep, f.outputFlags)
}
