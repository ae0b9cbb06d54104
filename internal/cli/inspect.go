package cli

import (
	"context"
	"errors"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/source"
)

func (c *Command) inspect(ctx context.Context, args []string) error {
	fs := c.flags("inspect", "IMAGE", `Show the layers of an image, what made them, what they waste, and the largest paths.

With --context, the image is built first.`)
	mf, lines, bf, of := fs.measuring(), fs.attributing(), fs.building(), fs.reporting()
	fs.Lookup("base").Usage = "the `IMAGE` named in FROM, to tell base and own bytes apart (default what the image and its Dockerfile say)"
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	w := want{files: true, own: true, from: lines, lines: true}
	switch {
	case bf.given() && len(args) > 0:
		return usagef("inspect", "inspect shows one image: the one that --context builds, or %s", args[0])
	case bf.given():
		if w.build, err = c.build(bf, lines, "", nil); err != nil {
			return err
		}
	case len(args) != 1:
		return usagef("inspect", "inspect takes one image, not %d", len(args))
	default:
		w.ref = args[0]
		if err := lines.read(c); err != nil {
			return err
		}
	}
	return c.show(ctx, mf, of, args, func(m *measurer) (*report.Report, error) {
		m.build = bf
		platforms, err := mf.platforms()
		if err != nil {
			return nil, err
		}
		if w.build != nil {
			w.build.Platforms = platforms
		}
		rep := &report.Report{Kind: report.Inspect}
		var errs []error
		err = m.openAll(ctx, w, platforms, func(w want, opened *source.Image, err error) {
			var head *footprint.Image
			if err == nil {
				head, err = m.scan(ctx, opened, w)
			}
			if err != nil {
				errs = append(errs, err)
				return
			}
			rep.Images = append(rep.Images, imageOf(head))
		})
		return rep, errors.Join(append(errs, err)...)
	})
}

func (c *Command) diff(ctx context.Context, args []string) error {
	fs := c.flags("diff", "OLD NEW", "Explain the difference between any two images: what was added, removed and grown.")
	mf, lines, of := fs.measuring(), fs.attributing(), fs.reporting()
	fs.Lookup("base").Usage = "the `IMAGE` named in FROM, to tell base and own bytes apart (default what the image and its Dockerfile say)"
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if len(args) != 2 {
		return usagef("diff", "diff takes two images, OLD and NEW, not %d", len(args))
	}
	if err := lines.read(c); err != nil {
		return err
	}
	platforms, err := mf.platforms()
	if err != nil {
		return err
	}
	if len(platforms) > 1 {
		return usagef("diff", "diff compares on one platform, not on %s", *mf.platform)
	}
	return c.show(ctx, mf, of, args, func(m *measurer) (*report.Report, error) {
		old, err := m.measure(ctx, want{ref: args[0], files: true, own: true, from: lines})
		if err != nil {
			return nil, err
		}
		head, err := m.measure(ctx, want{ref: args[1], files: true, own: true, blobs: knownBlobs(old), from: lines, lines: true, against: old})
		if err != nil {
			return nil, err
		}
		img := imageOf(head)
		img.Base = old
		img.Baseline = report.Baseline{Status: string(budget.BaselineFound), From: "image:" + args[0]}
		footprint.SetUpdate(old, head)
		if img.Delta, err = footprint.Compare(old, head); err != nil {
			return nil, err
		}
		rep := &report.Report{Kind: report.Diff, Images: []report.Image{img}}
		if reason := footprint.Comparable(old, head); reason != "" {
			rep.Notes = append(rep.Notes, reason)
		}
		return rep, nil
	})
}

func imageOf(head *footprint.Image) report.Image {
	return report.Image{
		Head: head, Verdict: budget.Verdict{Status: budget.Pass}, LargestFiles: report.Largest(head.Files, report.MaxLargest),
		Baseline: report.Baseline{Status: string(budget.BaselineNone)},
	}
}

// show measures, renders and prints what has no verdict.
func (c *Command) show(ctx context.Context, mf *measureFlags, of *outputFlags, refs []string, measure func(*measurer) (*report.Report, error)) error {
	if _, err := of.files(); err != nil {
		return err
	}
	m, err := c.measurer(mf, refs, len(refs) > 1)
	if err != nil {
		return err
	}
	defer m.close()
	rep, err := measure(m)
	if err != nil {
		return err
	}
	rep.Tool, rep.Status = Tool(), budget.Pass
	m.finish(rep)
	return c.emit(rep, of)
}
