package dockerfile

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

// maxFroms bounds the images that a provenance without steps may lead to.
const maxFroms = 8

// From is an image that another one may have been built on.
type From struct {
	// Reference is the image as NAME[:TAG][@DIGEST], "scratch" for none, and
	// "" where it is known but has no name that can be looked up. It is as
	// foreign as its source is.
	Reference string
	// Layers is how many layers it brought, -1 where that is not told.
	Layers int
	// Certain says that the image was built on it. Others are inputs of the
	// build, of which one may be the base.
	Certain bool
}

// ProvenanceFrom says on which image the target stage was built, from the
// provenance that BuildKit attaches to it.
//
// With mode=max it follows the steps of the build from the image down to what
// they began with, and the answer has one entry: with the number of layers, if
// the provenance names their blobs, and none of layers, which are those of the
// image, is another blob. Layers without a digest contradict nothing.
//
// With mode=min it is told which images the build used, but not for what. The
// answer has all of them, at most 8, without a number of layers: if one of them is
// the base, the image begins with its layers. The answer is empty where the provenance
// says nothing of it. An error is an attestation that is no provenance, or longer
// than 16 MiB.
func ProvenanceFrom(attestation []byte, layers []footprint.Layer) ([]From, error) {
	s, err := readStatement(attestation)
	if err != nil {
		return nil, err
	}
	b, materials := s.build()
	if len(b.config.Steps) == 0 {
		return b.fromMaterials(materials), nil
	}
	root, ok := b.root()
	if !ok {
		return nil, nil
	}
	if root == nil {
		return []From{{Reference: "scratch", Certain: true}}, nil
	}
	from := From{Layers: b.brought(root.ID+":0", layers), Certain: true}
	var source struct {
		Identifier string `json:"identifier"`
	}
	if err := json.Unmarshal(root.Op.Kind["source"], &source); err != nil {
		return nil, nil
	}
	if name, ok := strings.CutPrefix(source.Identifier, "docker-image://"); ok {
		from.Reference = familiar(name)
	} else if !strings.HasPrefix(source.Identifier, "oci-layout://") {
		// Of a folder or an archive nothing is told apart.
		return nil, nil
	}
	return []From{from}, nil
}

// familiar is how people write the name of an image.
func familiar(name string) string {
	for _, host := range []string{"docker.io/library/", "docker.io/"} {
		if rest, ok := strings.CutPrefix(name, host); ok {
			return rest
		}
	}
	return name
}

// material is an input of the build.
type material struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// fromMaterials lists the images among the inputs, without that of the
// frontend.
func (b *provenance) fromMaterials(materials []material) []From {
	frontend, _, _ := strings.Cut(b.request["cmdline"], " ")
	var found []From
	for _, m := range materials {
		name, ok := imageOfPURL(m.URI)
		if !ok || len(found) == maxFroms || frontend != "" && name == familiar(frontend) {
			continue
		}
		if digest := m.Digest["sha256"]; digest != "" && !strings.Contains(name, "@") {
			name += "@sha256:" + digest
		}
		found = append(found, From{name, -1, false})
	}
	return found
}

// imageOfPURL reads the form of a package URL that BuildKit writes for images:
// "pkg:docker/NAME@TAG?digest=…&platform=…", percent-encoded.
func imageOfPURL(purl string) (string, bool) {
	rest, ok := strings.CutPrefix(purl, "pkg:docker/")
	if !ok {
		return "", false
	}
	rest, query, _ := strings.Cut(rest, "?")
	name, tag, _ := strings.Cut(rest, "@")
	name, err := url.PathUnescape(name)
	if err != nil || name == "" {
		return "", false
	}
	tag, err = url.PathUnescape(tag)
	if err != nil {
		return "", false
	}
	if tag != "" {
		name += ":" + tag
	}
	if values, err := url.ParseQuery(query); err == nil && values.Get("digest") != "" {
		name += "@" + values.Get("digest")
	}
	return name, true
}

// brought counts the layers up to an output, -1 where nothing is told or the
// image has others.
func (b *provenance) brought(output string, layers []footprint.Layer) int {
	n := -1
	for _, digests := range b.metadata.Layers[output] {
		if len(digests) > len(layers) || len(digests) == 0 {
			return -1
		}
		fits := true
		for i, d := range digests {
			fits = fits && (layers[i].Digest == "" || layers[i].Digest == d.Digest)
		}
		if !fits {
			continue // another kind of compression
		}
		if n >= 0 && n != len(digests) {
			return -1
		}
		n = len(digests)
	}
	return n
}

// root follows the steps from the image down to what they began with: a source,
// or nil for nothing. It is false where that cannot be told.
func (b *provenance) root() (*step, bool) {
	byID := make(map[string]*step, len(b.config.Steps))
	var last *step
	for i := range b.config.Steps {
		s := &b.config.Steps[i]
		byID[s.ID] = s
		if len(s.Op.Kind) == 0 && len(s.Inputs) == 1 {
			last = s
		}
	}
	if last == nil {
		return nil, false
	}
	at := last.Inputs[0]
	// A build has no circles: no step stands on itself.
	seen := map[*step]bool{}
	for {
		id, output, _ := strings.Cut(at, ":")
		s := byID[id]
		index, err := strconv.Atoi(output)
		if s == nil || err != nil || seen[s] {
			return nil, false
		}
		seen[s] = true
		if _, ok := s.Op.Kind["source"]; ok {
			return s, true
		}
		input, ok := s.below(index)
		switch {
		case !ok || input >= len(s.Inputs):
			return nil, false
		case input < 0:
			return nil, true
		}
		at = s.Inputs[input]
	}
}

// step is one step of a build.
type step struct {
	ID     string   `json:"id"`
	Inputs []string `json:"inputs"`
	Op     struct {
		// Kind has one key: source, exec, file, merge, …; none for the last
		// step of all.
		Kind map[string]json.RawMessage `json:"Op"`
	} `json:"op"`
}

// below is the input of a step that one of its outputs lies on, negative for
// nothing.
func (s *step) below(output int) (input int, ok bool) {
	switch kind := s.Op.Kind; {
	case kind["exec"] != nil:
		return belowExec(kind["exec"], output)
	case kind["file"] != nil:
		return belowFile(kind["file"], len(s.Inputs), output)
	case kind["merge"] != nil:
		var merge struct {
			Inputs []struct {
				Input int `json:"input"`
			} `json:"inputs"`
		}
		if err := json.Unmarshal(kind["merge"], &merge); err != nil || len(merge.Inputs) == 0 {
			return 0, false
		}
		return merge.Inputs[0].Input, true
	}
	return 0, false
}

func belowExec(raw json.RawMessage, output int) (int, bool) {
	var exec struct {
		Mounts []struct {
			Input  int `json:"input"`
			Output int `json:"output"`
		} `json:"mounts"`
	}
	if err := json.Unmarshal(raw, &exec); err != nil {
		return 0, false
	}
	for _, m := range exec.Mounts {
		if m.Output == output {
			return m.Input, true
		}
	}
	return 0, false
}

// belowFile goes back from action to action: beyond the inputs of the step
// stand the results of those before.
func belowFile(raw json.RawMessage, inputs, output int) (int, bool) {
	var file struct {
		Actions []struct {
			Input  int `json:"input"`
			Output int `json:"output"`
		} `json:"actions"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return 0, false
	}
	for i := len(file.Actions) - 1; i >= 0; i-- {
		if file.Actions[i].Output != output {
			continue
		}
		for {
			input := file.Actions[i].Input
			if input < inputs {
				return input, true
			}
			// Each action can only stand on an earlier one.
			if input -= inputs; input >= i {
				return 0, false
			}
			i = input
		}
	}
	return 0, false
}

// OwnFrom says with which layer those begin that the target stage and its parents
// made themselves, where the history of the image leaves no doubt, and is false
// otherwise. It is for images of which nothing else tells what their base
// brought: every layer from there on must have an instruction, every instruction
// that always makes a layer must have one, and none may fit a layer below. Of a file
// that begins with scratch that means all layers, and the answer is 0.
//
// What the triggers of a base made (ONBUILD) looks like the base; whoever asks
// rules them out. A WORKDIR for which the builder made no layer, because the base
// has just made the same, is taken for the image's own: it holds no file.
func (f *File) OwnFrom(target string, layers []footprint.Layer, args map[string]string) (int, bool) {
	f = f.Resolve(args)
	stage, err := f.Target(target)
	if err != nil {
		return 0, false
	}
	origins := f.Attribute(target, layers, 0, args)
	first := slices.IndexFunc(origins, func(o *footprint.Origin) bool { return o != nil })
	if first < 0 || slices.Contains(origins[first:], nil) {
		return 0, false
	}
	if scratch := f.Root(stage).Base == "scratch"; scratch != (first == 0) {
		return 0, false
	}
	made := map[footprint.Origin]int{}
	for _, o := range origins[first:] {
		made[*o]++
	}
	w := f.expectations(stage, args)
	for i := range w.found {
		want := &w.found[i]
		// The triggers of a stage share a line.
		made[want.origin]--
		switch {
		case made[want.origin] >= 0:
			continue
		case want.always:
			return 0, false
		}
		// A WORKDIR may have made none, or one of those that look like the
		// base.
		for _, l := range layers[:first] {
			if m := readHistory(l.CreatedBy, w.shells); want.weight(&m) > 0 {
				return 0, false
			}
		}
	}
	return first, true
}

// FromOrigin is the line of FROM that names the image which a stage is built on
// in the end: nil if that is scratch, or if there is no such stage.
func (f *File) FromOrigin(target string) *footprint.Origin {
	stage, err := f.Target(target)
	if err != nil {
		return nil
	}
	root := f.Root(stage)
	if root.Base == "scratch" {
		return nil
	}
	return &footprint.Origin{File: f.Name, Stage: root.label(), Start: root.Start, End: root.fromEnd, Exact: true}
}

// Root is the stage that a stage of f goes back to: its Base is no stage.
func (f *File) Root(s Stage) Stage { return f.chain(s)[0] }
