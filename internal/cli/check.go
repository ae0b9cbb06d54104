package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
	"github.com/org/image-budget/source"
)

// checkFlags are those of check. Each of them is an input of the action too.
type checkFlags struct {
	*measureFlags
	*attributeFlags
	*buildFlags
	*outputFlags
	*verifyFlags
	verify           *choiceFlag
	ignoreRules      *listFlag
	config, baseline *string
	saveBaseline     *choiceFlag
	tracked          *listFlag
	failOn           *choiceFlag
	comment          *choiceFlag
	commentKey       *string
	summary          *bool
	annotations      *bool
	token            *string
	prNumber         *int
	images           *listFlag
	jobs             *int
	verbose          *bool
}

func (c *Command) checkFlags() (*flagSet, *checkFlags) {
	fs := c.flags("check", "[IMAGE...]", `Measure images, compare them with their baseline and judge them by their budget.

IMAGE is a reference, or NAME=REFERENCE for one image of the budget file. Without
one, every image of the budget file is checked; those with build: are built
first. With --context, IMAGE is the name of the image to build. Without a budget
file, growth by more than 5% and 1 MB over the baseline is a warning.`)
	return fs, &checkFlags{
		measureFlags:   fs.measuring(),
		attributeFlags: fs.attributing(),
		buildFlags:     fs.building(),
		outputFlags:    fs.reporting(),
		verifyFlags:    fs.verifying(),
		verify:         fs.choice("verify", "build and run what is suggested, and compare it with the original, `WHEN` never, on-failure (the image is over its budget) or always (default the budget file's, else on-failure)", "", budget.VerifyWords()...),
		ignoreRules:    fs.list("ignore-rule", "a `RULE` of suggestions that is not to speak; may be repeated"),
		config:         fs.String("config", budget.DefaultName, "the budget `FILE`"),
		baseline:       fs.String("baseline", "", "what to compare with: `STORE` is file:PATH, branch:NAME, registry:REF, image:REF, build, build:FOLDER or none (default the budget file's, else none)"),
		saveBaseline:   fs.savingBaseline(),
		tracked:        fs.list("tracked", "a `BRANCH` whose pushes save the baseline, or a pattern such as release/*; may be repeated (default the default branch)"),
		failOn:         fs.choice("fail-on", "exit with 1 on this `STATUS` or a worse one: error, warn, or never", "error", "error", "warn", "never"),
		comment:        fs.choice("comment", "in a pull request's workflow, comment `WHEN` changed (something is worth saying), always or never", "changed", "changed", "always", "never"),
		commentKey:     fs.String("comment-key", "", "the `KEY` that tells this job's comment from those of other jobs (default the image's name)"),
		summary:        fs.Bool("summary", true, "in a workflow, write the job summary"),
		annotations:    fs.Bool("annotations", true, "in a workflow, annotate the budget file with what fails"),
		token:          fs.String("github-token", "", "the `TOKEN` to comment with; better set GITHUB_TOKEN, which no process list shows"),
		prNumber:       fs.Int("pr-number", 0, "the `NUMBER` of the pull request to comment on (default the event's)"),
		images:         fs.list("image", "an `IMAGE` to check, like an argument; may be repeated"),
		jobs:           fs.Int("jobs", 4, "build and measure `N` images at once"),
		verbose:        fs.Bool("verbose", false, "say more on standard error"),
	}
}

func (c *Command) check(ctx context.Context, args []string) error {
	err := c.runCheck(ctx, args)
	var said *verdictError
	if err != nil && !errors.As(err, &said) {
		c.failedOutputs(err)
	}
	return err
}

func (c *Command) runCheck(ctx context.Context, args []string) error {
	fs, f := c.checkFlags()
	if err := fs.inputs(); err != nil {
		return err
	}
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if err := c.protect(f); err != nil {
		return err
	}
	f.measureFlags.token = *f.token
	if _, err := f.files(); err != nil {
		return err
	}
	set, err := c.loadBudget(f, append(args, *f.images...))
	if err != nil {
		return err
	}
	m, err := c.measurer(f.measureFlags, set.refs(), len(set.images) > 1 || strings.HasPrefix(set.baseline, "image:") || strings.HasPrefix(set.baseline, "build"))
	if err != nil {
		return err
	}
	defer m.close()
	if *f.jobs < 1 {
		return usagef("check", "--jobs must be at least 1")
	}
	m.build, m.several = f.buildFlags, len(set.images) > 1
	if set.baseline != "" && set.baseline != "none" {
		// A mistake in it is found before anything is measured.
		if _, err := c.openStore(m, set.baseline, want{}); err != nil {
			return err
		}
	}
	if err := c.willSave(set, f); err != nil {
		return err
	}
	ignore, err := ignoredRules(*f.ignoreRules)
	if err != nil {
		return err
	}
	set.advice = &adviceWanted{ignore: ignore, verify: f.verifyFlags}
	set.verify = f.verify.value
	rep := &report.Report{Kind: report.Check, Tool: Tool(), Run: c.run(set), Notes: set.notes}
	results := make([]judged, len(set.images))
	inParallel(*f.jobs, len(results), func(i int) {
		if ctx.Err() == nil {
			results[i] = c.checkImage(ctx, m, set, set.images[i], f.attributeFlags)
		}
	})
	if ctx.Err() != nil {
		// An interrupted run has nothing to say about any image.
		return ctx.Err()
	}
	var failures []error
	for _, r := range results {
		rep.Images = append(rep.Images, r.images...)
		for _, img := range r.images {
			rep.Status = rep.Status.Worse(img.Verdict.Status)
		}
		rep.Unmeasured = append(rep.Unmeasured, r.unmeasured...)
		failures = append(failures, r.failures...)
	}
	m.finish(rep)
	if err := c.deliver(ctx, rep, f, set); err != nil {
		failures = append(failures, err)
	}
	c.saveMeasured(ctx, m, set, rep)
	// A 1 is a verdict on everything that was asked for; without one of the
	// figures there is none, whatever the others say.
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return verdict(rep.Status, f.failOn.value)
}

// verdict turns a status into the end of the run.
func verdict(s budget.Status, failOn string) error {
	if failOn == "never" {
		return nil
	}
	if s == budget.Fail || s == budget.Warn && failOn == "warn" {
		return &verdictError{code: ExitOver}
	}
	return nil
}

// budgetSet is the budget file with what the command line adds to it.
type budgetSet struct {
	// name is the budget file, "" without one; dir is the folder that paths
	// in it are relative to.
	name, dir string
	baseline  string
	images    []budget.Image
	// builds says how to build those of the images that are built, by id.
	builds map[string]*source.Build
	// platforms are those to measure each image for; none is one that the
	// image or the builder chooses.
	platforms []string
	notes     []string
	// save says that what is measured becomes the baseline.
	save bool
	// advice says how it is given, nil where none is; verify is when what it
	// proposes is proven, "" as the budget file says.
	advice *adviceWanted
	verify string
}

// refs lists what an explicit login may be for: the images to check, the tags
// and caches of those that are built, and then the baseline. The bases come
// last, and only of images that are read where they are: a builder pulls what
// it builds on from wherever that is.
func (s *budgetSet) refs() []string {
	var refs, bases []string
	for _, img := range s.images {
		b := s.builds[img.ID]
		if b == nil {
			refs, bases = append(refs, img.Ref), append(bases, img.Base)
			continue
		}
		for _, tag := range b.Tags {
			refs = append(refs, "docker://"+tag)
		}
		for _, place := range slices.Concat(b.CacheTo, b.CacheFrom) {
			if ref := place.Attrs["ref"]; place.Type == "registry" && ref != "" {
				refs = append(refs, "docker://"+ref)
			}
		}
	}
	refs = append(refs, baselineRef(s.baseline))
	return append(refs, bases...)
}

func (c *Command) loadBudget(f *checkFlags, images []string) (*budgetSet, error) {
	set, err := c.chosen(f, images)
	if err != nil {
		return nil, err
	}
	return set, c.prepareBuilds(f, set)
}

// readBudget reads the budget file, for all its images.
func (c *Command) readBudget(f *checkFlags) (*budgetSet, error) {
	set := &budgetSet{dir: filepath.Dir(*f.config)}
	src, err := readBounded(*f.config, 1<<20+1)
	switch {
	case err == nil:
		file, err := budget.Parse(*f.config, src)
		if err != nil {
			return nil, &usageError{"", err}
		}
		set.name, set.baseline, set.images = *f.config, file.Baseline, file.Images
		if ref, ok := strings.CutPrefix(file.Baseline, "image:"); ok {
			set.baseline = "image:" + within(set.dir, ref)
		} else if strings.HasPrefix(file.Baseline, "file:") || strings.HasPrefix(file.Baseline, "build:") {
			set.baseline = within(set.dir, file.Baseline)
		}
		for i := range set.images {
			set.images[i].Ref = within(set.dir, set.images[i].Ref)
			set.images[i].Base = within(set.dir, set.images[i].Base)
		}
	case errors.Is(err, fs.ErrNotExist) && *f.config == budget.DefaultName:
		set.notes = append(set.notes, "no "+budget.DefaultName+": growth by more than 5 % and 1 MB is a warning; 'image-budget init IMAGE' writes a budget")
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("", "there is no budget file %s; 'image-budget init' writes one", *f.config)
	default:
		return nil, usagef("", "reading the budget file: %w", err)
	}
	if *f.baseline != "" {
		set.baseline = *f.baseline
	}
	return set, nil
}

// chosen is loadBudget for what builds nothing: no secret of a build is read.
func (c *Command) chosen(f *checkFlags, images []string) (*budgetSet, error) {
	set, err := c.readBudget(f)
	if err != nil {
		return nil, err
	}
	if f.buildFlags != nil && f.given() {
		err = set.chooseBuilt(*f.context, images)
	} else {
		err = set.choose(images)
	}
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"dockerfile": *f.dockerfile, "target": *f.target} {
		if len(set.images) > 1 && value != "" {
			return nil, usagef("", "--%s is that of one image, and %d are meant; name the one", name, len(set.images))
		}
	}
	if set.platforms, err = f.platforms(); err != nil {
		return nil, err
	}
	return set, nil
}

// prepareBuilds finds out which images are to be built, and how; the others
// may have a Dockerfile that names what made their layers.
func (c *Command) prepareBuilds(f *checkFlags, set *budgetSet) error {
	set.builds = map[string]*source.Build{}
	for _, img := range set.images {
		if img.Ref != "" {
			continue
		}
		if f.buildFlags == nil {
			return usagef("", "%s is built by 'image-budget check'; give the built image as %s=REFERENCE", img.ID, img.ID)
		}
		b, err := c.build(f.buildFlags, f.attributeFlags, set.dir, img.Build)
		if err != nil {
			return err
		}
		if len(set.platforms) > 0 {
			b.Platforms = set.platforms
		}
		set.builds[img.ID] = b
	}
	if f.buildFlags != nil && len(*f.tags) > 0 && len(set.builds) > 1 {
		return usagef("", "--tag names one image, and %d are built; give each its tags in the budget file", len(set.builds))
	}
	if len(set.builds) == len(set.images) {
		return nil
	}
	return f.attributeFlags.read(c)
}

// chooseBuilt is choose for an image that the command line says how to build.
func (s *budgetSet) chooseBuilt(context string, names []string) error {
	var img budget.Image
	switch {
	case len(names) > 1:
		return usagef("check", "--context builds one image, and %d are named", len(names))
	case len(names) == 1:
		i := slices.IndexFunc(s.images, func(img budget.Image) bool { return img.ID == names[0] })
		switch {
		case i >= 0:
			img = s.images[i]
		case !budget.ValidID(names[0]):
			return usagef("check", "with --context, %q is to be the name of the image that is built; write %q", names[0], budget.ID(names[0]))
		case len(s.images) > 0:
			var known []string
			for _, img := range s.images {
				known = append(known, img.ID)
			}
			return usagef("check", "%s has no image %q%s; it has %s", s.name, names[0], didYouMean(names[0], known), strings.Join(known, ", "))
		default:
			img = budget.Default(names[0], "")
		}
	case len(s.images) == 1:
		img = s.images[0]
	case len(s.images) > 1:
		return usagef("check", "%s has several images; name the one that --context builds", s.name)
	default:
		folder := strings.TrimSuffix(context, "/")
		if !source.Fetched(context) {
			if abs, err := filepath.Abs(context); err == nil {
				folder = abs
			}
		}
		img = budget.Default(budget.ID(filepath.Base(folder)), "")
	}
	img.Ref = ""
	s.images = []budget.Image{img}
	return nil
}

// choose narrows the set down to the images that the command line names.
func (s *budgetSet) choose(names []string) error {
	if len(names) == 0 {
		if len(s.images) == 0 {
			return usagef("", "there is no image: name one, or write a %s (in a workflow, actions/checkout must run first)", budget.DefaultName)
		}
		return nil
	}
	known := map[string]budget.Image{}
	for _, img := range s.images {
		known[img.ID] = img
	}
	var chosen []budget.Image
	used := map[string]bool{}
	for _, arg := range names {
		img, err := s.pick(arg, known)
		if err != nil {
			return err
		}
		if used[img.ID] {
			return usagef("check", "the image %s is given twice; name them apart as NAME=REFERENCE", img.ID)
		}
		used[img.ID] = true
		chosen = append(chosen, img)
	}
	s.images = chosen
	return nil
}

func (s *budgetSet) pick(arg string, known map[string]budget.Image) (budget.Image, error) {
	if img, ok := known[arg]; ok {
		return img, nil
	}
	if id, ref, ok := strings.Cut(arg, "="); ok && budget.ValidID(id) && ref != "" {
		img, ok := known[id]
		if !ok && len(known) > 0 {
			return img, usagef("check", "%s has no image %q%s; it has %s", s.name, id, didYouMean(id, sortedKeys(known)), strings.Join(sortedKeys(known), ", "))
		}
		if !ok {
			return budget.Default(id, ref), nil
		}
		img.Ref = ref
		return img, nil
	}
	if near := didYouMean(arg, sortedKeys(known)); near != "" && !strings.ContainsAny(arg, "/:@") {
		// A word so close to a name is no image of a registry.
		return budget.Image{}, usagef("check", "%s has no image %q%s", s.name, arg, near)
	}
	switch len(known) {
	case 0:
		return budget.Default(budget.ID(arg), arg), nil
	case 1:
		img := s.images[0]
		img.Ref = arg
		return img, nil
	}
	return budget.Image{}, usagef("check", "%s has several images; say which of them %q is: NAME=%s with NAME one of %s", s.name, arg, arg, strings.Join(sortedKeys(known), ", "))
}

// judged is what became of one image of the budget file.
type judged struct {
	// images are those that were judged, one for each platform.
	images []report.Image
	// unmeasured are the platforms that were not.
	unmeasured []report.Unmeasured
	// failures has an error for each of them, and for each image that was
	// judged without its baseline.
	failures []error
}

func (j *judged) fail(id string, err error) {
	u := report.Unmeasured{Name: id, Reason: err.Error()}
	var failed *source.BuildError
	if errors.As(err, &failed) {
		u.File, u.Line = failed.Dockerfile, failed.Start
	}
	j.unmeasured = append(j.unmeasured, u)
	j.failures = append(j.failures, fmt.Errorf("%s: %w", id, err))
}

// checkImage measures an image and its baseline, and judges it, on all of its
// platforms.
func (c *Command) checkImage(ctx context.Context, m *measurer, set *budgetSet, img budget.Image, lines *attributeFlags) judged {
	var out judged
	w := want{
		name: img.ID, ref: img.Ref, base: img.Base, files: img.NeedsFiles() || set.save, own: img.Base != "" || len(img.Own) > 0 || set.save,
		estimate: img.NeedsCompressed(), patterns: img.Patterns(), build: set.builds[img.ID], from: lines,
	}
	err := m.openAll(ctx, w, set.platforms, func(w want, opened *source.Image, err error) {
		var one *report.Image
		if err == nil {
			one, err = c.checkOpened(ctx, m, set, img, w, opened)
		}
		switch {
		case one != nil && err != nil:
			out.images, out.failures = append(out.images, *one), append(out.failures, fmt.Errorf("%s: %w", img.ID, err))
		case one != nil:
			out.images = append(out.images, *one)
		case len(set.platforms) > 1 || w.build != nil && len(w.build.Platforms) > 1:
			out.unmeasured = append(out.unmeasured, report.Unmeasured{Name: img.ID, Platform: w.platform, Reason: err.Error()})
			out.failures = append(out.failures, fmt.Errorf("%s: %s: %w", img.ID, w.platform, err))
		default:
			out.fail(img.ID, err)
		}
	})
	if err != nil {
		out.fail(img.ID, err)
	}
	return out
}

// checkOpened measures one image and its baseline, and judges it. It returns
// both an image and an error where the image was judged and the baseline could
// not take part.
func (c *Command) checkOpened(ctx context.Context, m *measurer, set *budgetSet, img budget.Image, w want, opened *source.Image) (*report.Image, error) {
	// The baseline is that of the platform that was chosen.
	w.platform = opened.Platform
	base, info, err := c.loadBaseline(ctx, m, set, w)
	var trouble error
	var wrong *usageError
	switch {
	case errors.As(err, &wrong) || ctx.Err() != nil:
		return nil, err
	case err != nil:
		// The image is measured and reported all the same; what needs no
		// baseline is judged.
		trouble = err
		if errors.Is(err, baseline.ErrPlatform) {
			trouble = fmt.Errorf("%w; save one for %s, or check another platform", err, opened.Platform)
		}
		info.Status, info.Reason = string(budget.BaselineNotComparable), trouble.Error()
	case base != nil:
		w.blobs = knownBlobs(base)
		m.learn(base)
	}
	history := c.loadHistory(ctx, m, set, w, info.Commit)
	var rel released
	if img.NeedsRelease() {
		var err error
		if rel, err = c.loadRelease(ctx, m, set, w); errors.As(err, &wrong) || ctx.Err() != nil {
			return nil, err
		}
		trouble = errors.Join(trouble, err)
		w.blobs = rel.blobs(w.blobs)
	}
	w.lines, w.against = true, base
	head, err := m.scan(ctx, opened, w)
	if err != nil {
		return nil, err
	}
	if base != nil {
		if base, head, err = m.alike(ctx, set, w, opened, base, head); err != nil {
			return nil, err
		}
	}
	out := &report.Image{Head: head, Base: base, Baseline: info, Cost: img.Cost, History: history, LargestFiles: report.Largest(head.Files, report.MaxLargest)}
	in := budget.Input{Head: head, State: budget.BaselineState(info.Status), Reason: info.Reason, Now: c.Now()}
	rel.judge(&in, head, base)
	if base != nil {
		if reason := footprint.Comparable(base, head); reason != "" {
			out.Baseline.Status, out.Baseline.Reason = string(budget.BaselineNotComparable), reason
			in.State, in.Reason = budget.BaselineNotComparable, reason
		} else {
			footprint.SetUpdate(base, head)
			if out.Delta, err = footprint.Compare(base, head); err != nil {
				return nil, err
			}
			in.Base = base
		}
	}
	out.Verdict = img.Evaluate(in)
	c.adviseChecked(ctx, m, set, img, w, opened, out)
	return out, trouble
}

// alike brings two images to figures that compare, and that explain.
//
// Where the baseline can be measured anew and its blobs are known while those
// of the image to check are not, as when a pull request builds in the engine
// what the main branch has pushed, layers that both have keep the size of their
// blob, and the others are estimated on both sides. Where only one side has the
// figures of files, the other is read as well: layers that both have are known
// by then, so the cost is that of what changed.
func (m *measurer) alike(ctx context.Context, set *budgetSet, w want, opened *source.Image, base, head *footprint.Image) (*footprint.Image, *footprint.Image, error) {
	ref, measurable := strings.CutPrefix(set.baseline, "image:")
	has := func(img *footprint.Image, what footprint.Has) bool { return img.Metrics.Has&what != 0 }
	again := w
	again.ref, again.build, again.blobs, again.lines = ref, nil, nil, false
	again.likeEstimate = head.Metrics.CompressedEstimated && has(base, footprint.HasCompressed) && !footprint.SameMethod(base, head, false)
	again.files = w.files || has(head, footprint.HasFiles) && !has(base, footprint.HasFiles)
	reread := again.likeEstimate || again.files && !has(base, footprint.HasFiles)
	var err error
	switch {
	case m.flags.detail.value == "manifest":
	case measurable && reread:
		if again.likeEstimate {
			again.blobs = sharedBlobs(base, head)
		}
		if base, err = m.measure(ctx, again); err != nil {
			return nil, nil, err
		}
	case has(base, footprint.HasFiles) && !has(head, footprint.HasFiles) && !has(base, head.Metrics.Has):
		w.files = true
		if head, err = m.scan(ctx, opened, w); err != nil {
			return nil, nil, err
		}
	}
	footprint.Align(base, head)
	return base, head, nil
}

// sharedBlobs are the sizes of blobs of base for layers that head has too.
func sharedBlobs(base, head *footprint.Image) map[string]footprint.Bytes {
	known, shared := knownBlobs(base), map[string]footprint.Bytes{}
	for _, l := range head.Layers {
		if size, ok := known[l.DiffID]; ok {
			shared[l.DiffID] = size
		}
	}
	return shared
}

// knownBlobs are the sizes of blobs that a baseline knows by diffID.
func knownBlobs(base *footprint.Image) map[string]footprint.Bytes {
	known := map[string]footprint.Bytes{}
	for _, l := range base.Layers {
		if l.Has&footprint.HasCompressed != 0 && !l.CompressedEstimated {
			known[l.DiffID] = l.Compressed
		}
	}
	return known
}

// loadBaseline returns the image to compare with, nil if there is none.
func (c *Command) loadBaseline(ctx context.Context, m *measurer, set *budgetSet, w want) (*footprint.Image, report.Baseline, error) {
	info := report.Baseline{Status: string(budget.BaselineNone), From: set.baseline}
	if set.baseline == "" || set.baseline == "none" {
		info.From, info.Reason = "", "no baseline is named"
		return nil, info, nil
	}
	store, err := c.openStore(m, set.baseline, w)
	if err != nil {
		return nil, info, err
	}
	found, err := c.loadFor(ctx, store, set.baseline, m.flags.token, baseline.Key{Image: w.name, Platform: w.platform})
	if errors.Is(err, baseline.ErrNotFound) {
		info.Reason = err.Error()
		return nil, info, nil
	}
	if errors.Is(err, baseline.ErrPlatform) {
		return nil, info, err
	}
	if err != nil {
		return nil, info, fmt.Errorf("loading the baseline %s: %w", set.baseline, err)
	}
	info.Status, info.Commit, info.Distance = string(budget.BaselineFound), found.Meta.Commit, found.Distance
	return found.Image, info, nil
}

func (c *Command) openStore(m *measurer, spec string, w want) (baseline.Store, error) {
	m.opening.Lock()
	defer m.opening.Unlock()
	if store, ok := m.stores[spec]; ok {
		return store, nil
	}
	store, err := baseline.Open(spec, c.withCommits(m.flags.token, baseline.Options{
		Registries: m.opener,
		Now:        c.Now,
		Build:      c.buildBase(m, w),
		Measure: func(ctx context.Context, ref string, _ baseline.Key) (*footprint.Image, error) {
			of := w
			of.ref, of.build = ref, nil
			img, err := m.measure(ctx, of)
			if errors.Is(err, source.ErrNotFound) {
				// The first run of all: nothing was pushed yet.
				err = fmt.Errorf("%w: %w", baseline.ErrNotFound, err)
			}
			return img, err
		},
	}))
	if err != nil {
		return nil, usagef("", "%w", err)
	}
	m.useLayers(spec, store)
	return store, nil
}
