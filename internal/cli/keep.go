package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/escape"
	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/report"
)

func (fs *flagSet) savingBaseline() *choiceFlag {
	return fs.choice("save-baseline", "save what was measured as the baseline `WHEN` auto (on a push to a tracked branch, where baselines are kept by commit) or never", "auto", "auto", "never")
}

// willSave decides whether this run saves what it measures, before it does:
// a baseline without files could explain nothing later.
func (c *Command) willSave(set *budgetSet, f *checkFlags) error {
	ok, why, err := c.saves(set.baseline, f.saveBaseline.value, *f.tracked)
	if err != nil {
		return err
	}
	set.save = ok
	if !ok {
		c.log.Debug().Msgf("the baseline is not saved: %s", why)
	}
	return nil
}

// saveMeasured makes what was measured the baseline, whatever the verdict is:
// the commit is on the branch, and pull requests are not to blame for it. That
// it cannot be saved changes nothing about the verdict either.
func (c *Command) saveMeasured(ctx context.Context, m *measurer, set *budgetSet, rep *report.Report) {
	if !set.save {
		return
	}
	store, err := c.openStore(m, set.baseline, want{})
	if err != nil {
		c.sayNotSaved(err)
		return
	}
	var entries []baseline.Entry
	for _, img := range rep.Images {
		entries = append(entries, m.entry(store, img.Head, footprint.Meta{Commit: c.runner.SHA, Ref: c.runner.Ref}))
	}
	if len(entries) == 0 {
		return
	}
	if err := store.Save(ctx, entries); err != nil {
		c.sayNotSaved(err)
		return
	}
	c.log.Info().Msgf("saved the baseline of %s to %s", plural(len(entries), "image"), set.baseline)
}

// entry is a measured image as a baseline, with what is known of its layers.
func (m *measurer) entry(store baseline.Store, img *footprint.Image, meta footprint.Meta) baseline.Entry {
	meta.Tool = Tool()
	if !footprint.StoresPackages(img) {
		m.command.log.Warn().Msgf("the baseline of %s is stored without its %s, which are too many: later runs cannot say which of them changed", img.Name, plural(len(img.Packages), "package"))
	}
	return baseline.Entry{
		Key:   baseline.Key{Image: img.Name, Platform: img.Platform, Commit: meta.Commit},
		Image: img, Meta: meta, Layers: m.layersOf(store, img),
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sayNotSaved explains a baseline that could not be saved.
func (c *Command) sayNotSaved(err error) {
	c.log.Warn().Msgf("the baseline was not saved, later runs are compared with an older one: %v", err)
	var forbidden *github.ForbiddenError
	if errors.As(err, &forbidden) {
		fmt.Fprintf(c.notes, "Saving the baseline needs this in the workflow, beside what it has:\n\n%s\n", forbidden.YAML())
	}
}

// maySave keeps a pull request from choosing what it is compared with. A file
// is reviewed with it; a store by commit is everybody's.
func (c *Command) maySave(spec string, force bool) error {
	if !c.ofPullRequest() || !byCommit(spec) || force {
		return nil
	}
	return usagef("baseline", "this workflow runs for a pull request (%s), and what others are compared with is not for it to save: save on a push to the branch, or say --force", c.runner.EventName)
}

// keepBaselines lists what a store holds, or forgets what is old.
func (c *Command) keepBaselines(ctx context.Context, verb string, f *baselineFlags, rest []string) error {
	name := "baseline " + verb
	if len(rest) > 0 {
		return usagef(name, "'baseline %s' is about all images; leave out %q", verb, rest[0])
	}
	if *f.keep < 1 {
		return usagef(name, "--keep must be at least 1")
	}
	set := &budgetSet{baseline: *f.baseline}
	if set.baseline == "" {
		var err error
		if set, err = c.readBudget(f.checkFlags); err != nil {
			return err
		}
	}
	if set.baseline == "" || set.baseline == "none" {
		return usagef(name, "no baseline is named: give --baseline branch:NAME, or write it into %s", *f.config)
	}
	m, err := c.measurer(f.measureFlags, []string{baselineRef(set.baseline)}, false)
	if err != nil {
		return err
	}
	defer m.close()
	store, err := c.openStore(m, set.baseline, want{})
	if err != nil {
		return err
	}
	if verb == "prune" {
		p, ok := store.(baseline.Pruner)
		if !ok {
			return usagef(name, "%s keeps no history: there is nothing to prune", set.baseline)
		}
		removed, err := p.Prune(ctx, *f.keep)
		if err != nil {
			return c.withPermissions(err)
		}
		return c.say("removed %s from %s", plural(removed, "baseline"), set.baseline)
	}
	l, ok := store.(baseline.Lister)
	if !ok {
		return usagef(name, "what %s holds cannot be listed; 'image-budget baseline show' shows the baseline of an image", set.baseline)
	}
	all, err := l.List(ctx)
	if err != nil {
		return fmt.Errorf("listing %s: %w", set.baseline, err)
	}
	text, err := listed(all, set.baseline, f.format.Format)
	if err != nil {
		return err
	}
	return c.print(text, f.format.Format)
}

// listedBaseline is a stored baseline as JSON has it.
type listedBaseline struct {
	Image    string     `json:"image"`
	Platform string     `json:"platform"`
	Commit   string     `json:"commit,omitempty"`
	At       *time.Time `json:"at,omitempty"`
}

// listed renders what a store holds.
func listed(all []baseline.Listed, spec string, format report.Format) ([]byte, error) {
	if format == report.FormatJSON {
		out := struct {
			Baseline  string           `json:"baseline"`
			Baselines []listedBaseline `json:"baselines"`
		}{spec, []listedBaseline{}}
		for _, one := range all {
			l := listedBaseline{Image: one.Key.Image, Platform: one.Key.Platform, Commit: one.Key.Commit}
			if !one.At.IsZero() {
				at := one.At.UTC()
				l.At = &at
			}
			out.Baselines = append(out.Baselines, l)
		}
		text, err := json.MarshalIndent(out, "", "  ")
		return append(text, '\n'), err
	}
	var out bytes.Buffer
	markdown := format == report.FormatMarkdown
	if len(all) == 0 {
		text := escape.Line(spec)
		if markdown {
			text = escape.CodeProse(spec, 200)
		}
		fmt.Fprintf(&out, "%s holds no baseline\n", text)
		return out.Bytes(), nil
	}
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	if markdown {
		fmt.Fprint(&out, "| Image | Platform | Commit | Saved |\n| :-- | :-- | :-- | :-- |\n")
	} else {
		fmt.Fprintln(table, "IMAGE\tPLATFORM\tCOMMIT\tSAVED")
	}
	for _, one := range all {
		at := ""
		if !one.At.IsZero() {
			at = one.At.UTC().Format(time.RFC3339)
		}
		commit := cmp.Or(one.Key.Commit, "-")
		if markdown {
			fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", escape.CodeN(one.Key.Image, 200), escape.CodeN(one.Key.Platform, 60), escape.CodeN(commit, 64), at)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", escape.Line(one.Key.Image), escape.Line(one.Key.Platform), escape.Line(commit), at)
	}
	err := table.Flush()
	return out.Bytes(), err
}

// withPermissions prints the permissions that an error asks for.
func (c *Command) withPermissions(err error) error {
	var forbidden *github.ForbiddenError
	if errors.As(err, &forbidden) {
		fmt.Fprintf(c.notes, "The job needs this in the workflow, beside what it has:\n\n%s\n", forbidden.YAML())
	}
	return err
}
