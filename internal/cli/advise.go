package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/source"
)

// rewriteRule is the rule that a Dockerfile in stages stands for.
const rewriteRule = "single-stage-build"

// adviceWanted says how advice is given.
type adviceWanted struct {
	// ignore are rules that are not to speak.
	ignore []string
	// prove builds and runs what is proposed, in the bounds of verify.
	prove  bool
	verify *verifyFlags
	smoke  *budget.Smoke
	// quick asks nobody else: no layer is read again, and no registry is asked.
	quick bool
	// forFile gives no advice where the Dockerfile is not known.
	forFile bool
}

// advised is advice on an image.
type advised struct {
	suggestions []footprint.Suggestion
	// sources are the files that edits change as they were read, by the name
	// that edits have for them; nil is one that is to be made.
	sources map[string][]byte
}

// advise runs the rules on an image that is open, and turns its Dockerfile into
// one in stages. Advice on an image whose Dockerfile is not known says what the
// image alone shows.
func (c *Command) advise(ctx context.Context, m *measurer, w want, opened *source.Image, head *footprint.Image, o adviceWanted) (*advised, error) {
	file, target, args, err := c.dockerfileOf(w)
	if err != nil {
		return nil, fmt.Errorf("looking for suggestions: %w", err)
	}
	if file == nil && w.build == nil && w.from != nil {
		file = w.from.provenFile(ctx, m, opened, head, w)
	}
	if file == nil && o.forFile {
		return &advised{}, nil
	}
	s, err := c.subject(ctx, m, w, opened, head, w.build, file, target, args)
	if err != nil {
		return nil, fmt.Errorf("looking for suggestions: %w", err)
	}
	if o.quick {
		s.Read, s.Weigh = nil, nil
	}
	out, err := c.adviseOn(ctx, s, o)
	if err != nil || o.quick {
		return out, err
	}
	if !slices.Contains(o.ignore, rewriteRule) && file != nil {
		err = c.inStages(ctx, m, w, opened, head, s, o, out)
	}
	return out, err
}

// adviseChecked adds advice to an image that was judged and read: if it is not within
// its budget, or grew. Of one within it, what was read anyway has to do, unless
// everything is to be verified. Whatever goes wrong is a note: advice is no verdict.
func (c *Command) adviseChecked(ctx context.Context, m *measurer, set *budgetSet, img budget.Image, w want, opened *source.Image, out *report.Image) {
	if set.advice == nil || out.Head.Files == nil {
		return
	}
	when := cmp.Or(set.verify, img.Verify, budget.VerifyOnFailure)
	status := out.Verdict.Status
	d := out.Delta
	grew := d != nil && (d.Has&footprint.HasFiles != 0 && d.Unpacked >= advice.Floor || d.Has&footprint.HasCompressed != 0 && d.Compressed >= advice.Floor)
	passed := status != budget.Fail && status != budget.Warn
	if passed && !grew && when != budget.VerifyAlways {
		return
	}
	o := *set.advice
	o.forFile, o.smoke = true, img.Smoke
	o.quick = passed && when != budget.VerifyAlways
	o.prove = when == budget.VerifyAlways || when == budget.VerifyOnFailure && status == budget.Fail
	defer func() {
		if r := recover(); r != nil {
			m.note("there are no suggestions for %s: internal error: %v; please report it", img.ID, r)
		}
	}()
	found, err := c.advise(ctx, m, w, opened, out.Head, o)
	if err != nil {
		m.note("there are no suggestions for %s: %s", img.ID, err)
		return
	}
	out.Suggestions = found.suggestions
}

// adviseOn runs the rules.
func (c *Command) adviseOn(ctx context.Context, s *advice.Subject, o adviceWanted) (*advised, error) {
	found, err := advice.Suggest(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("looking for suggestions: %w", err)
	}
	out := &advised{suggestions: []footprint.Suggestion{}, sources: map[string][]byte{}}
	if s.File != nil {
		out.sources[s.File.Name] = s.File.Src
	}
	if s.IgnoreName != "" {
		out.sources[s.IgnoreName] = nil
		if s.HasIgnore {
			out.sources[s.IgnoreName] = s.Ignore
		}
	}
	for _, one := range found {
		if !slices.Contains(o.ignore, one.Rule) {
			out.suggestions = append(out.suggestions, one)
		}
	}
	return out, nil
}

// inStages adds the Dockerfile in stages to what was found: to the suggestion that
// asks for it, if there is one.
func (c *Command) inStages(ctx context.Context, m *measurer, w want, opened *source.Image, head *footprint.Image, s *advice.Subject, o adviceWanted, out *advised) error {
	rewrite, err := advice.Stages(ctx, s)
	if err != nil {
		return fmt.Errorf("writing the Dockerfile in stages: %w", err)
	}
	at := slices.IndexFunc(out.suggestions, func(one footprint.Suggestion) bool { return one.Rule == rewriteRule })
	if len(rewrite.Candidates) == 0 {
		if at >= 0 {
			out.suggestions[at].Unknown = append(out.suggestions[at].Unknown, rewrite.Unknown...)
		} else if len(rewrite.Unknown) > 0 {
			m.note("no Dockerfile in stages is proposed for %s: %s", cmp.Or(w.name, w.ref), strings.Join(rewrite.Unknown, " "))
		}
		return nil
	}
	// Where nothing is proven, the most careful one is proposed.
	chosen := len(rewrite.Candidates) - 1
	if s.File.Ignores(advice.Staged(s, rewrite.Candidates[chosen]).Start, rewriteRule) {
		return nil
	}
	var proof *footprint.Verification
	if o.prove {
		cfg := configOf(opened)
		v, best := c.prove(ctx, m, w, opened, head, &cfg, o.smoke, rewrite.Candidates, o.verify)
		if proof = &v; best >= 0 {
			chosen = best
		}
	}
	one := advice.Staged(s, rewrite.Candidates[chosen])
	one.Unknown = append(slices.Clone(rewrite.Unknown), one.Unknown...)
	if one.Verified = proof; proof != nil {
		reweigh(&one)
	}
	if at >= 0 {
		old := out.suggestions[at]
		one.Stage, one.Start, one.End = old.Stage, old.Start, old.End
		one.Within = old.Within
		out.suggestions = slices.Delete(out.suggestions, at, at+1)
	}
	if one.Bytes == 0 && one.Verified == nil {
		return nil
	}
	place := slices.IndexFunc(out.suggestions, func(other footprint.Suggestion) bool { return other.Bytes > 0 && other.Bytes < one.Bytes })
	if place < 0 {
		place = len(out.suggestions)
	}
	out.suggestions = slices.Insert(out.suggestions, place, one)
	return nil
}

// reweigh says what the proof of a Dockerfile in stages measured, in place of what
// was expected of it.
func reweigh(one *footprint.Suggestion) {
	switch v := one.Verified; v.Status {
	case footprint.Verified:
		one.Bytes, one.Metric, one.Estimated = v.Before-v.After, v.Metric, false
		one.Message = fmt.Sprintf("%s of the image are there for building it: it runs the same without them.", one.Bytes)
	case footprint.VerifyFailed:
		one.Message = fmt.Sprintf("Up to %s of the image may be there for building it only.", one.Bytes)
		one.Advice = "Write the stages by hand: those that were tried failed their proof."
	}
}

// provenFile is the Dockerfile in the provenance of an image.
func (f *attributeFlags) provenFile(ctx context.Context, m *measurer, img *source.Image, head *footprint.Image, w want) *dockerfile.File {
	if !img.HasProvenance() {
		return nil
	}
	attestation, err := img.Provenance(ctx)
	if err != nil || attestation == nil {
		return nil
	}
	built, _, err := dockerfile.ProvenanceOrigins("", attestation, head.Layers)
	if err != nil {
		return nil
	}
	file, err := dockerfile.Parse(f.nameOf(m, built, w), built.Src)
	if err != nil {
		return nil
	}
	return file
}

// explain prints the page about a rule, or lists the rules.
func (c *Command) explain(_ context.Context, args []string) error {
	fs := c.flags("explain", "[RULE]", "Print what there is to know about a rule of 'image-budget suggest', or list the rules.")
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	var list strings.Builder
	var names []string
	wide := 0
	for _, r := range advice.Rules() {
		names = append(names, r.ID)
		wide = max(wide, len(r.ID))
	}
	for _, r := range advice.Rules() {
		fmt.Fprintf(&list, "%-*s  %s\n", wide, r.ID, r.Title)
	}
	switch len(args) {
	case 0:
		_, err := fmt.Fprint(c.Stdout, list.String())
		return err
	case 1:
		page, ok := advice.Explain(args[0])
		if !ok {
			return usagef("explain", "there is no rule %q%s\nthe rules are:\n%s", args[0], didYouMean(args[0], names), strings.TrimSuffix(list.String(), "\n"))
		}
		_, err := fmt.Fprintln(c.Stdout, strings.TrimSpace(page))
		return err
	}
	return usagef("explain", "explain takes one rule, not %d", len(args))
}

// ignoredRules reads --ignore-rule.
func ignoredRules(list []string) ([]string, error) {
	var names, out []string
	for _, r := range advice.Rules() {
		names = append(names, r.ID)
	}
	for _, item := range list {
		for name := range strings.SplitSeq(item, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if !slices.Contains(names, name) && name != rewriteRule {
				return nil, usagef("", "--ignore-rule: there is no rule %q%s", name, didYouMean(name, names))
			}
			out = append(out, name)
		}
	}
	return out, nil
}

// exists tells whether there is something at a path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
