package cli

import (
	"context"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// maxHistories is how many images may be checked for their histories to be read.
// A registry takes a request for each commit, and the report of so many images
// has no room for them.
const maxHistories = 10

// loadHistory returns what an image weighed at the commit of its baseline and at
// those before it, oldest first. It is a picture in the report: nothing is judged
// by it, and a store that cannot tell costs no more than a note.
func (c *Command) loadHistory(ctx context.Context, m *measurer, set *budgetSet, w want, commit string) []footprint.Past {
	if commit == "" || len(set.images) > maxHistories {
		return nil
	}
	store, err := c.openStore(m, set.baseline, w)
	if err != nil {
		return nil // the baseline was loaded from it
	}
	historian, ok := store.(baseline.Historian)
	if !ok {
		return nil
	}
	past, err := historian.History(ctx, baseline.Key{Image: w.name, Platform: w.platform, Commit: commit}, report.MaxHistory)
	if err != nil && ctx.Err() == nil {
		m.note("the sizes of earlier commits are not shown: %s", err)
	}
	return past
}
