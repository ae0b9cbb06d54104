package dockerfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"

	"github.com/org/image-budget/footprint"
)

const (
	// maxDefinition bounds a build's definition: the most that a builder sends
	// in one message.
	maxDefinition = 16 << 20
	// maxChain bounds the steps that make layers of one image. No runtime
	// mounts more than a few hundred.
	maxChain = 10_000
)

// Built is what a build's own steps say of the image that it made.
type Built struct {
	// File is the Dockerfile as the builder read it.
	File *File
	// Origins has an entry for each layer, nil for those of the base.
	Origins []*footprint.Origin
	// Base is the number of layers that FROM brought, -1 where the steps do
	// not tell; 0 is FROM scratch.
	Base int
	// BaseReference is the image in FROM of the stage that all others build
	// on, as the builder resolved it, and BaseDigest its digest; "" is scratch
	// or unknown.
	BaseReference, BaseDigest string
}

// DefinitionOrigins says which lines made each layer of an image, from the
// steps of the build that made it: a marshalled pb.Definition of BuildKit, with
// the lines of the Dockerfile beside each step. name is what the file is called
// in the origins, target the stage that was built, args the build arguments.
//
// The steps tell how many layers each line made. Where the image has other
// layers than that, as with a builder that leaves out empty ones, and where its
// history says something else, the lines come from history and are not exact.
//
// A definition that cannot be read, or without a Dockerfile in it, is an error.
func DefinitionOrigins(name string, definition []byte, target string, args map[string]string, layers []footprint.Layer) (*Built, error) {
	g, err := readGraph(definition)
	if err != nil {
		return nil, err
	}
	f, err := Parse(name, g.file)
	if err != nil {
		return nil, fmt.Errorf("reading the Dockerfile of the build: %w", err)
	}
	f = f.Resolve(args)
	stage, err := f.Target(target)
	if err != nil {
		return nil, fmt.Errorf("reading the steps of the build: %w", err)
	}
	out := &Built{File: f, Base: -1}
	byHistory := f.Attribute(target, layers, 0, args)
	own, root, err := g.layers(g.root)
	if err != nil {
		// A kind of step that is not known yet.
		out.Origins = byHistory
		return out, nil
	}
	out.BaseReference, out.BaseDigest = splitSource(root)
	if exact := g.origins(f, stage, own, root, len(layers)); exact != nil && g.fits(own, layers) && !contradicted(exact, byHistory) {
		out.Origins, out.Base = exact, len(layers)-len(own)
		return out, nil
	}
	out.Origins = byHistory
	out.Base = firstOf(byHistory, root)
	return out, nil
}

// firstOf is the number of layers before the first one that has an origin,
// which is the base where every later one has one as well.
func firstOf(origins []*footprint.Origin, root string) int {
	first := slices.IndexFunc(origins, func(o *footprint.Origin) bool { return o != nil })
	if first < 0 || slices.Contains(origins[first:], nil) || (root == "") != (first == 0) {
		return -1
	}
	return first
}

// fits tells whether the history of the last layers can be that of the steps,
// where there is any. Builders write a line for each step; a step without one
// is a layer of the base, which shows that a layer is missing.
func (g *graph) fits(own []digest.Digest, layers []footprint.Layer) bool {
	layers = layers[len(layers)-len(own):]
	if !slices.ContainsFunc(layers, func(l footprint.Layer) bool { return l.CreatedBy != "" }) {
		return true
	}
	for i, id := range own {
		words := oneLine(layers[i].CreatedBy)
		if !slices.ContainsFunc(g.keywords(id), func(k string) bool { return strings.HasPrefix(words, k+" ") }) {
			return false
		}
		if exec := g.ops[id].GetExec(); exec != nil && !strings.Contains(words, oneLine(strings.Join(exec.GetMeta().GetArgs(), " "))) {
			return false
		}
	}
	return true
}

// contradicted tells whether history knows better where a layer comes from.
func contradicted(exact, byHistory []*footprint.Origin) bool {
	for i, h := range byHistory {
		switch e := exact[i]; {
		case h == nil:
		case e == nil, e.Start != h.Start, e.Stage != h.Stage:
			return true
		}
	}
	return false
}

// splitSource takes a resolved image apart: docker-image://NAME@DIGEST.
func splitSource(source string) (reference, hash string) {
	name, ok := strings.CutPrefix(source, "docker-image://")
	if !ok {
		return "", ""
	}
	name, hash, _ = strings.Cut(name, "@")
	name = strings.TrimPrefix(name, "docker.io/")
	return strings.TrimPrefix(name, "library/"), hash
}

// graph is the steps of a build.
type graph struct {
	ops  map[digest.Digest]*pb.Op
	root *pb.Input
	// lines has the places of each step in the Dockerfile, which is file.
	lines map[digest.Digest][]lines
	file  []byte
	// visits counts steps that were looked at, one that is shared each time.
	visits int
}

type lines struct{ start, end int }

func readGraph(definition []byte) (*graph, error) {
	if len(definition) > maxDefinition {
		return nil, fmt.Errorf("the steps of the build have %d bytes, more than the %d that are read", len(definition), maxDefinition)
	}
	var def pb.Definition
	if err := def.UnmarshalVT(definition); err != nil {
		return nil, fmt.Errorf("reading the steps of the build: %w", err)
	}
	g := &graph{ops: map[digest.Digest]*pb.Op{}, lines: map[digest.Digest][]lines{}}
	var last *pb.Op
	for _, raw := range def.Def {
		op := &pb.Op{}
		if err := op.UnmarshalVT(raw); err != nil {
			return nil, fmt.Errorf("reading the steps of the build: %w", err)
		}
		g.ops[digest.FromBytes(raw)], last = op, op
	}
	if last == nil || len(last.Inputs) != 1 {
		return nil, errors.New("reading the steps of the build: they have no end")
	}
	g.root = last.Inputs[0]
	return g, g.readLines(def.Source)
}

// readLines takes over the lines of the first source, which is the Dockerfile.
func (g *graph) readLines(source *pb.Source) error {
	if source == nil || len(source.Infos) == 0 || source.Infos[0] == nil {
		return errors.New("the steps of the build name no lines of a Dockerfile")
	}
	g.file = source.Infos[0].Data
	for id, all := range source.Locations {
		for _, l := range all.GetLocations() {
			if l.GetSourceIndex() != 0 || len(l.GetRanges()) == 0 {
				continue
			}
			at := lines{start: int(l.Ranges[0].GetStart().GetLine())}
			for _, r := range l.Ranges {
				at.start, at.end = min(at.start, int(r.GetStart().GetLine())), max(at.end, int(r.GetEnd().GetLine()))
			}
			g.lines[digest.Digest(id)] = append(g.lines[digest.Digest(id)], at)
		}
	}
	return nil
}

// layers lists the steps that made the layers of a result, one step a layer,
// base first, and the source that they stand on: "" for nothing.
func (g *graph) layers(in *pb.Input) (steps []digest.Digest, root string, err error) {
	for in != nil {
		id := digest.Digest(in.Digest)
		op := g.ops[id]
		if g.visits++; op == nil || g.visits > maxChain {
			return nil, "", errors.New("the steps of the build do not hang together")
		}
		if s := op.GetSource(); s != nil {
			root = s.Identifier
			break
		}
		if m := op.GetMerge(); m != nil {
			below, root, err := g.merged(op, m)
			slices.Reverse(steps)
			return append(below, steps...), root, err
		}
		below, err := beneath(op, in.Index)
		if err != nil {
			return nil, "", err
		}
		steps = append(steps, id)
		in = below
	}
	slices.Reverse(steps)
	return steps, root, nil
}

// merged lists the steps of a merge: the layers of all of its inputs, of which
// only the first may stand on something.
func (g *graph) merged(op *pb.Op, m *pb.MergeOp) (steps []digest.Digest, root string, err error) {
	for i, in := range m.Inputs {
		if in.Input < 0 || int(in.Input) >= len(op.Inputs) {
			return nil, "", errors.New("a step of the build merges what is not there")
		}
		below, source, err := g.layers(op.Inputs[in.Input])
		if err != nil {
			return nil, "", err
		}
		switch {
		case i == 0:
			root = source
		case source != "":
			return nil, "", errors.New("a step of the build merges several images")
		}
		steps = append(steps, below...)
	}
	return steps, root, nil
}

// beneath is what a step adds its layer to, nil for nothing.
func beneath(op *pb.Op, output int64) (*pb.Input, error) {
	var index int64
	switch {
	case op.GetExec() != nil:
		i := slices.IndexFunc(op.GetExec().Mounts, func(m *pb.Mount) bool { return m.Output == output })
		if i < 0 {
			return nil, errors.New("a step of the build has no such output")
		}
		index = op.GetExec().Mounts[i].Input
	case op.GetFile() != nil:
		actions := op.GetFile().Actions
		i := slices.IndexFunc(actions, func(a *pb.FileAction) bool { return a.Output == output })
		if i < 0 {
			return nil, errors.New("a step of the build has no such output")
		}
		index = actions[i].Input
		// An action may go on where an earlier one of the same step ended.
		for n := int64(len(op.Inputs)); index >= n; {
			if index-n >= int64(i) {
				return nil, errors.New("a step of the build goes round in circles")
			}
			i = int(index - n)
			index = actions[i].Input
		}
	default:
		return nil, errors.New("a step of the build is of an unknown kind")
	}
	if index < 0 {
		return nil, nil
	}
	if int(index) >= len(op.Inputs) {
		return nil, errors.New("a step of the build starts from what is not there")
	}
	return op.Inputs[index], nil
}

// origins pairs the steps with the layers above the base, nil if they cannot
// be paired.
func (g *graph) origins(f *File, stage Stage, own []digest.Digest, root string, layers int) []*footprint.Origin {
	base := layers - len(own)
	if base < 0 || (root == "") != (base == 0) {
		return nil
	}
	chain := f.chain(stage)
	out := make([]*footprint.Origin, layers)
	var before *footprint.Origin
	for i, id := range own {
		o := g.origin(f, chain, id)
		if o != nil && before != nil && o.Start < before.Start {
			o = trigger(f, chain, before)
		}
		if out[base+i] = o; o != nil {
			before = o
		}
	}
	for i := base; i < layers; i++ {
		if out[i] != nil {
			continue
		}
		end := i
		for end < layers && out[end] == nil {
			end++
		}
		if !g.fill(f, chain, own[i-base:end-base], out, i, end) {
			return nil
		}
		i = end
	}
	return out
}

// fill gives origins to steps without one that lie between two that have one, or
// at an end: those of out from start to end. Builders up to BuildKit 0.9 keep one
// place of a step that several stages share, and it may be that of a stage that
// is not built on. The instructions of the chain in between must be as many as
// the steps, and of their kinds.
func (g *graph) fill(f *File, chain []Stage, steps []digest.Digest, out []*footprint.Origin, start, end int) bool {
	var between []*footprint.Origin
	var keywords []string
	for _, s := range chain {
		for _, in := range s.Instructions {
			switch {
			case !in.MakesLayer:
			case start > 0 && out[start-1] != nil && in.Start <= out[start-1].End:
			case end < len(out) && in.End >= out[end].Start:
			default:
				between = append(between, &footprint.Origin{File: f.Name, Stage: s.label(), Start: in.Start, End: in.End, Exact: true})
				keywords = append(keywords, in.Keyword)
			}
		}
	}
	if len(between) != len(steps) {
		return false
	}
	for i, id := range steps {
		if !slices.Contains(g.keywords(id), keywords[i]) {
			return false
		}
	}
	copy(out[start:end], between)
	return true
}

// keywords are those of the instructions that a step can come from.
func (g *graph) keywords(id digest.Digest) []string {
	op := g.ops[id]
	if op.GetExec() != nil {
		return []string{"RUN"}
	}
	if a := op.GetFile().GetActions(); len(a) > 0 && a[0].GetMkdir() != nil {
		return []string{"WORKDIR"}
	}
	return []string{"COPY", "ADD"}
}

// trigger is the origin of a step that seems to stand before the one it
// follows. Builders up to BuildKit 0.9 give what a stage's ONBUILD does the
// first line, of the instruction by itself; it is the next FROM that did it.
func trigger(f *File, chain []Stage, before *footprint.Origin) *footprint.Origin {
	for _, s := range chain {
		// Several triggers of one FROM follow each other.
		if s.Start >= before.Start {
			return &footprint.Origin{File: f.Name, Stage: s.label(), Start: s.Start, End: s.fromEnd, Exact: true}
		}
	}
	return nil
}

// origin is the one place of a step in the stages of the chain. What the
// triggers of a base image do has no line of its own, but that of FROM.
func (g *graph) origin(f *File, chain []Stage, id digest.Digest) *footprint.Origin {
	var found *footprint.Origin
	for _, at := range g.lines[id] {
		i := slices.IndexFunc(chain, func(s Stage) bool { return s.Start <= at.start && at.start <= at.end && at.end <= s.End })
		if i < 0 {
			continue
		}
		o := &footprint.Origin{File: f.Name, Stage: chain[i].label(), Start: at.start, End: at.end, Exact: true}
		if found != nil && *found != *o {
			// The same step at two places, such as the same RUN twice.
			return nil
		}
		found = o
	}
	return found
}
