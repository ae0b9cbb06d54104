package advice

import (
	"cmp"
	"slices"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// subject is a Subject with what several rules ask of it.
type subject struct {
	*Subject
	// file is File as the build saw it, stage the target in it, and steps what
	// the target and its parents run; all are zero without a File.
	file  *dockerfile.File
	stage dockerfile.Stage
	steps []dockerfile.Step
	// every are the steps of all stages, nil until allSteps is asked.
	every []dockerfile.Step
	// read are the commands of steps that were read, by their first line.
	read map[int]commands
	// base is the number of layers that FROM brought, 0 if unknown.
	base int
	// scripts has what was read of the steps that begin in a line, nil where they
	// run no shell that is read.
	scripts map[int]*script
	// left is what the rewrite in stages leaves out and tools what only a build
	// needs, by path or name; nil where nothing says so.
	// edited counts the edits that a rule tried.
	edited int
	left   *leftOut
	tools  map[string]bool
}

func newSubject(from *Subject) *subject {
	s := &subject{Subject: from, scripts: map[int]*script{}}
	if from.File != nil {
		s.file = from.File.Resolve(from.Args)
		if stage, err := s.file.Target(from.Target); err == nil {
			s.stage = stage
			s.steps = s.file.Steps(from.Target, from.Args)
		}
	}
	if from.Image != nil && from.Image.Base != nil {
		s.base = from.Image.Base.Metrics.Layers
	}
	return s
}

// walked tells whether the files of the image are known.
func (s *subject) walked() bool { return s.Image != nil && s.Image.Files != nil }

// own walks the files of the final filesystem that layers above the base hold.
func (s *subject) own(see func(footprint.File)) {
	if !s.walked() {
		return
	}
	for f := range s.Image.Files {
		if f.Layer >= s.base {
			see(f)
		}
	}
}

// stepOf is the step that made a layer, nil if it is not known.
func (s *subject) stepOf(layer int) *dockerfile.Step {
	if s.file == nil || s.Image == nil || layer < 0 || layer >= len(s.Image.Layers) {
		return nil
	}
	origin := s.Image.Layers[layer].Origin
	if origin == nil {
		return nil
	}
	for i := range s.steps {
		if s.steps[i].Start == origin.Start && s.steps[i].End == origin.End {
			return &s.steps[i]
		}
	}
	return nil
}

// layersOf are the layers that a step made, of those whose line is known.
func (s *subject) layersOf(step *dockerfile.Step) []int {
	var out []int
	if s.Image == nil {
		return nil
	}
	for i, l := range s.Image.Layers {
		if l.Origin != nil && i >= s.base && l.Origin.Start == step.Start && l.Origin.End == step.End {
			out = append(out, i)
		}
	}
	return out
}

// pile is what weighs for one suggestion.
type pile struct {
	bytes footprint.Bytes
	paths []footprint.WeighedPath
}

// add puts a path on the pile; a path that is there already becomes heavier.
func (p *pile) add(path string, bytes footprint.Bytes, layer int) {
	p.bytes += bytes
	if n := len(p.paths); n > 0 && p.paths[n-1].Path == path && p.paths[n-1].Layer == layer {
		p.paths[n-1].Bytes += bytes
		return
	}
	p.paths = append(p.paths, footprint.WeighedPath{Path: path, Bytes: bytes, Layer: layer})
}

// suggest begins a suggestion about a step (nil for none) from what weighs.
func (s *subject) suggest(step *dockerfile.Step, p pile) footprint.Suggestion {
	out := footprint.Suggestion{Bytes: p.bytes, Metric: footprint.Unpacked, Safety: footprint.AdviceOnly}
	paths := slices.Clone(p.paths)
	slices.SortStableFunc(paths, func(a, b footprint.WeighedPath) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path))
	})
	if n := footprint.MaxSuggestionPaths; len(paths) > n {
		out.More = len(paths) - n
		paths = paths[:n]
	}
	out.Paths = paths
	s.at(&out, step)
	return out
}

// at says which lines a suggestion is about.
func (s *subject) at(out *footprint.Suggestion, step *dockerfile.Step) {
	if step == nil {
		return
	}
	origin := step.Origin()
	out.File, out.Stage, out.Start, out.End = origin.File, origin.Stage, origin.Start, origin.End
}

// edit puts edits of the Dockerfile into a suggestion, if they leave a file that
// parses; else it stays advice.
func (s *subject) edit(out *footprint.Suggestion, safety footprint.Safety, edits ...footprint.Edit) {
	// Each reads the whole file again.
	if s.edited++; s.edited > maxEdited {
		return
	}
	for i := range edits {
		edits[i].File = s.file.Name
	}
	changed, err := dockerfile.Apply(s.file.Src, edits)
	if err != nil {
		return
	}
	if _, err := dockerfile.Parse(s.file.Name, changed); err != nil {
		return
	}
	out.Safety, out.Edits, out.Diff = safety, edits, dockerfile.Diff(s.file.Name, s.file.Src, changed)
}

// maxEdited bounds the edits of one rule that are tried.
const maxEdited = 100
