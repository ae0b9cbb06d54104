package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
)

// released is what an image was in the last release.
type released struct {
	image  *footprint.Image
	tag    string
	state  budget.BaselineState
	reason string
}

// loadRelease finds what the last release measured, for limits on what has
// crept in since. That there is none is no failure; an error is a store or a
// GitHub that could not be asked.
func (c *Command) loadRelease(ctx context.Context, m *measurer, set *budgetSet, w want) (out released, err error) {
	defer func() {
		if out.reason != "" && err == nil {
			m.note("limits on growth since the last release were not judged: %s", out.reason)
		}
	}()
	out.state = budget.BaselineNone
	if !byCommit(set.baseline) {
		out.reason = "growth since the last release needs a baseline that is kept by commit: branch:NAME or registry:REF"
		return out, nil
	}
	rel, err := c.release(ctx, m.flags.token)
	if errors.Is(err, github.ErrUnknown) {
		out.reason = "there is no release yet"
		return out, nil
	}
	if err == nil {
		out.tag = rel.Tag
		var store baseline.Store
		if store, err = c.openStore(m, set.baseline, w); err == nil {
			var found *baseline.Found
			found, err = store.Load(ctx, baseline.Key{Image: w.name, Platform: w.platform, Commit: rel.Commit})
			switch {
			case err == nil && found.Distance > 0:
				// What grew between the two is part of the release.
				out.reason = fmt.Sprintf("nothing was measured at release %s; the nearest baseline is %s older", out.tag, plural(found.Distance, "commit"))
				return out, nil
			case err == nil:
				out.image, out.state = found.Image, budget.BaselineFound
				return out, nil
			}
		}
	}
	if errors.Is(err, baseline.ErrNotFound) {
		out.reason = fmt.Sprintf("nothing was measured at release %s: %s", out.tag, err)
		return out, nil
	}
	err = fmt.Errorf("looking for the last release: %w", err)
	out.state, out.reason = budget.BaselineNotComparable, err.Error()
	return out, err
}

// release is releaseCommit, once for all images of a run.
func (c *Command) release(ctx context.Context, token string) (github.Release, error) {
	c.asked.releasing.Lock()
	defer c.asked.releasing.Unlock()
	if !c.asked.released {
		c.asked.release, c.asked.releaseErr = c.releaseCommit(ctx, token)
		c.asked.released = true
	}
	return c.asked.release, c.asked.releaseErr
}

// judge puts the release beside the image and its baseline, whose sizes are
// aligned with each other already, and into what is judged.
func (r *released) judge(in *budget.Input, head, base *footprint.Image) {
	in.ReleaseState, in.ReleaseReason, in.ReleaseTag = r.state, r.reason, r.tag
	if r.image == nil {
		return
	}
	footprint.Align(r.image, head)
	if base != nil {
		footprint.Align(base, head)
	}
	if reason := footprint.Comparable(r.image, head); reason != "" {
		in.ReleaseState, in.ReleaseReason = budget.BaselineNotComparable, reason
		return
	}
	in.Release = r.image
}

// blobs adds the sizes of blobs that the release knows and known does not.
func (r *released) blobs(known map[string]footprint.Bytes) map[string]footprint.Bytes {
	if r.image == nil {
		return known
	}
	out := knownBlobs(r.image)
	maps.Copy(out, known)
	return out
}
