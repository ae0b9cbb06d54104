package advice

import (
	"context"
	"fmt"
	"slices"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

const singleStageID = "single-stage-build"

// singleStageBuild finds images that ship what only their build needs, where the
// Dockerfile can be written in two stages.
func singleStageBuild() Rule {
	return Rule{
		ID:     singleStageID,
		Title:  "the image ships what only its build needs",
		Safety: footprint.NeedsTests,
		check:  checkSingleStage,
	}
}

func checkSingleStage(ctx context.Context, s *subject) ([]footprint.Suggestion, error) {
	if s.file == nil || slices.ContainsFunc(s.steps, func(step dockerfile.Step) bool { return step.From >= 0 }) {
		return nil, nil // built in stages already
	}
	rewrite, err := s.rewrite(ctx)
	if err != nil || len(rewrite.Candidates) == 0 {
		return nil, err
	}
	c := rewrite.Candidates[len(rewrite.Candidates)-1]
	s.left = c.left
	return []footprint.Suggestion{s.staged(c)}, nil
}

// Staged is the suggestion to build as a candidate of [Stages] says, for the same
// subject.
func Staged(from *Subject, c Candidate) footprint.Suggestion {
	out := newSubject(from).staged(c)
	out.Rule = singleStageBuild().ID
	return out
}

func (s *subject) staged(c Candidate) footprint.Suggestion {
	p := pile{bytes: c.Bytes}
	for _, l := range c.Leaves {
		p.paths = append(p.paths, l)
	}
	out := s.suggest(nil, p)
	root := s.file.Root(s.stage)
	out.File, out.Stage, out.Start, out.End = s.file.Name, s.file.FromOrigin(s.Target).Stage, root.Start, s.stage.End
	out.Estimated = true
	out.Message = fmt.Sprintf("Up to %s of the image are there for building it, and nothing in it needs them to run.", c.Bytes)
	out.Advice = "Build in stages, and ship the last " + c.Name + "."
	out.Unknown = slices.Clone(c.Notes)
	s.edit(&out, footprint.NeedsTests, c.edits...)
	return out
}
