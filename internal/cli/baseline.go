package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/source"
)

func (c *Command) baseline(ctx context.Context, args []string) error {
	fs := c.flags("baseline", "save|show [IMAGE...]", `Save what images measure now as the baseline, or show what is stored.

Without an IMAGE, every image of the budget file is meant.`)
	f := &checkFlags{
		measureFlags: fs.measuring(), attributeFlags: fs.attributing(), buildFlags: fs.building(),
		outputFlags: fs.reporting(),
		config:      fs.String("config", budget.DefaultName, "the budget `FILE`"),
		baseline:    fs.String("baseline", "", "the `STORE`: file:PATH or registry:REF (default the budget file's)"),
		images:      &listFlag{},
	}
	commit := fs.String("commit", "", "the `HASH` of the commit that is measured, to be stored with it (default GITHUB_SHA)")
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("baseline", "say what to do: baseline save or baseline show")
	}
	verb := args[0]
	if verb != "save" && verb != "show" {
		return usagef("baseline", "there is no 'baseline %s'%s", verb, didYouMean(verb, []string{"save", "show"}))
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
	if *commit == "" {
		*commit = c.runner.SHA
	}
	if verb == "save" {
		return c.saveBaselines(ctx, m, set, f.attributeFlags, *commit)
	}
	return c.showBaselines(ctx, m, set, f)
}

func (c *Command) saveBaselines(ctx context.Context, m *measurer, set *budgetSet, lines *attributeFlags, commit string) error {
	for _, img := range set.images {
		store, err := c.openStore(m, set.baseline, want{name: img.ID})
		if err != nil {
			return err
		}
		w := want{
			name: img.ID, ref: img.Ref, base: img.Base, own: true, patterns: img.Patterns(),
			estimate: img.NeedsCompressed(),
			// A baseline without files could explain nothing later.
			files: true, from: lines, lines: true,
		}
		w.build = set.builds[img.ID]
		var errs []error
		err = m.openAll(ctx, w, set.platforms, func(w want, opened *source.Image, err error) {
			if err == nil {
				err = c.saveBaseline(ctx, m, store, set, w, opened, commit)
			}
			errs = append(errs, err)
		})
		if err := errors.Join(append(errs, err)...); err != nil {
			return fmt.Errorf("%s: %w", img.ID, err)
		}
	}
	m.noteLayers()
	for _, note := range m.notes {
		c.log.Warn().Msg(note)
	}
	return nil
}

func (c *Command) saveBaseline(ctx context.Context, m *measurer, store baseline.Store, set *budgetSet, w want, opened *source.Image, commit string) error {
	head, err := m.scan(ctx, opened, w)
	if err != nil {
		return err
	}
	key := baseline.Key{Image: w.name, Platform: head.Platform, Commit: commit}
	err = store.Save(ctx, []baseline.Entry{{
		Key: key, Image: head, Meta: footprint.Meta{Tool: Tool(), Commit: commit}, Layers: m.layersOf(store, head),
	}})
	if errors.Is(err, baseline.ErrReadOnly) {
		return usagef("baseline", "nothing is saved to %s: it is measured whenever it is needed; name a file:PATH or registry:REF", set.baseline)
	}
	if err != nil {
		return fmt.Errorf("saving the baseline: %w", err)
	}
	figure, size := "compressed", head.Metrics.Compressed
	if head.Metrics.Has&footprint.HasCompressed == 0 {
		figure, size = "unpacked", head.Metrics.Unpacked
	}
	return c.say("saved %s (%s) to %s: %s %s in %d layers", w.name, head.Platform, set.baseline, size, figure, len(head.Layers))
}

func (c *Command) showBaselines(ctx context.Context, m *measurer, set *budgetSet, f *checkFlags) error {
	rep := &report.Report{Kind: report.Inspect, Tool: Tool(), Status: budget.Pass}
	for _, img := range set.images {
		store, err := c.openStore(m, set.baseline, want{name: img.ID, base: img.Base, files: true, own: true, patterns: img.Patterns()})
		if err != nil {
			return err
		}
		found, err := store.Load(ctx, baseline.Key{Image: img.ID, Platform: *m.flags.platform})
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
