package dockerfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"github.com/org/image-budget/footprint"
)

// maxAttestation bounds an attestation, which holds every step of a build with
// the layers up to it. BuildKit's own limit for one is far above any build.
const maxAttestation = 16 << 20

// maxList bounds its lists of steps, inputs and files.
const maxList = 50_000

// ErrNoLines says that a provenance is one, but names no lines.
var ErrNoLines = errors.New("the provenance says nothing of lines and layers; BuildKit writes them with mode=max")

// ProvenanceOrigins says which lines made each layer of an image, from the
// provenance that BuildKit attaches to it with mode=max: an in-toto statement
// in JSON, of SLSA version 0.2 or 1. These origins are exact. Layers of the
// base, and those whose blobs the attestation does not name, have none.
//
// It also returns the Dockerfile that was built, as the attestation holds it;
// the lines are those of its Src, which may not be what a checkout has. name is
// what the file is called in the origins; for "" it is the path that the builder
// was told, in the folder of the repository if it was told that too. A path that
// leads out of the repository, or is none, becomes "Dockerfile".
//
// An attestation without lines (mode=min, another builder) is an [ErrNoLines],
// and one that is no provenance, holds no Dockerfile that can be read, or is
// longer than 16 MiB another error.
func ProvenanceOrigins(name string, attestation []byte, layers []footprint.Layer) (*File, []*footprint.Origin, error) {
	s, err := readStatement(attestation)
	if err != nil {
		return nil, nil, err
	}
	b, _ := s.build()
	if len(b.metadata.Source.Infos) == 0 || len(b.metadata.Layers) == 0 {
		return nil, nil, ErrNoLines
	}
	source := b.metadata.Source.Infos[0]
	if name == "" {
		name = b.path(source.Filename)
	}
	f, err := Parse(name, source.Data)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the Dockerfile in the provenance: %w", err)
	}
	f = f.Resolve(b.args())
	target, err := f.Target(b.request["target"])
	if err != nil {
		return nil, nil, fmt.Errorf("reading the provenance: %w", err)
	}
	return f, b.origins(f, f.chain(target), layers), nil
}

// statement is what is read of an in-toto statement with BuildKit's provenance,
// in both of its versions.
type statement struct {
	PredicateType string `json:"predicateType"`
	Predicate     struct {
		// Version 1.
		BuildDefinition struct {
			ExternalParameters struct {
				Request parameters `json:"request"`
			} `json:"externalParameters"`
			Materials          bounded[material] `json:"resolvedDependencies"`
			InternalParameters struct {
				BuildConfig buildConfig `json:"buildConfig"`
			} `json:"internalParameters"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Metadata struct {
				BuildKit buildMetadata `json:"buildkit_metadata"`
			} `json:"metadata"`
		} `json:"runDetails"`
		// Version 0.2.
		Invocation struct {
			Parameters parameters `json:"parameters"`
		} `json:"invocation"`
		BuildConfig buildConfig       `json:"buildConfig"`
		Materials   bounded[material] `json:"materials"`
		Metadata    struct {
			BuildKit buildMetadata `json:"https://mobyproject.org/buildkit@v1#metadata"`
		} `json:"metadata"`
	} `json:"predicate"`
}

type parameters struct {
	Frontend string            `json:"frontend"`
	Args     map[string]string `json:"args"`
}

type buildConfig struct {
	Steps bounded[step] `json:"llbDefinition"`
}

type buildMetadata struct {
	Source struct {
		// Locations are by step.
		Locations map[string]struct {
			Locations []location `json:"locations"`
		} `json:"locations"`
		Infos bounded[sourceFile] `json:"infos"`
	} `json:"source"`
	// Layers are by the output of a step ("step3:0"): all layers up to it,
	// once for each kind of compression.
	Layers map[string][][]struct {
		Digest string `json:"digest"`
	} `json:"layers"`
	VCS map[string]string `json:"vcs"`
}

// sourceFile is a file that places are in.
type sourceFile struct {
	Filename string `json:"filename"`
	Data     []byte `json:"data"`
}

// bounded is a list of at most [maxList] entries. An empty one takes three
// bytes of JSON and many times that in memory.
type bounded[T any] []T

func (b *bounded[T]) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if first, err := dec.Token(); err != nil || first != json.Delim('[') {
		return json.Unmarshal(data, (*[]T)(b)) // null, or an error in its words
	}
	*b = nil
	for dec.More() {
		if len(*b) == maxList {
			return fmt.Errorf("it has a list of more than %d entries, which no build needs", maxList)
		}
		var entry T
		if err := dec.Decode(&entry); err != nil {
			return err
		}
		*b = append(*b, entry)
	}
	return nil
}

type location struct {
	SourceIndex int `json:"sourceIndex"`
	Ranges      []struct {
		Start position `json:"start"`
		End   position `json:"end"`
	} `json:"ranges"`
}

type position struct {
	Line int `json:"line"`
}

// provenance is what both versions say.
type provenance struct {
	request  map[string]string
	config   buildConfig
	metadata buildMetadata
}

func readStatement(attestation []byte) (*statement, error) {
	if len(attestation) > maxAttestation {
		return nil, fmt.Errorf("the provenance has %d bytes, more than the %d that are read", len(attestation), maxAttestation)
	}
	var s statement
	if err := json.Unmarshal(attestation, &s); err != nil {
		return nil, fmt.Errorf("reading the provenance: %w", err)
	}
	if !strings.HasPrefix(s.PredicateType, "https://slsa.dev/provenance/") {
		return nil, fmt.Errorf("the attestation is no provenance but %.100q", s.PredicateType)
	}
	return &s, nil
}

// build returns what both versions say, and the inputs of the build.
func (s *statement) build() (*provenance, []material) {
	p := &s.Predicate
	if strings.HasSuffix(s.PredicateType, "/v0.2") {
		return &provenance{p.Invocation.Parameters.Args, p.BuildConfig, p.Metadata.BuildKit}, p.Materials
	}
	d := &p.BuildDefinition
	return &provenance{d.ExternalParameters.Request.Args, d.InternalParameters.BuildConfig, p.RunDetails.Metadata.BuildKit}, d.Materials
}

// path is where in its repository the Dockerfile stood.
func (b *provenance) path(filename string) string {
	name := path.Join(b.metadata.VCS["localdir:dockerfile"], filename)
	plain := func(r rune) bool { return unicode.IsPrint(r) && r != '\\' && r != unicode.ReplacementChar }
	if filename == "" || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || len(name) > maxPath || strings.TrimFunc(name, plain) != "" {
		return "Dockerfile"
	}
	return name
}

// args are the build arguments.
func (b *provenance) args() map[string]string {
	out := map[string]string{}
	for key, value := range b.request {
		if name, ok := strings.CutPrefix(key, "build-arg:"); ok {
			out[name] = value
		}
	}
	return out
}

// origins finds the steps whose layers are a beginning of the image's layers:
// the last of them is what the step made. A step that several stages share has
// the lines of all of them, of which only the chain's count.
func (b *provenance) origins(f *File, chain []Stage, layers []footprint.Layer) []*footprint.Origin {
	out := make([]*footprint.Origin, len(layers))
	ambiguous := make([]bool, len(layers))
	sources := b.sources()
	places := map[string]*footprint.Origin{}
	for output, chains := range b.metadata.Layers {
		step, index, _ := strings.Cut(output, ":")
		if _, err := strconv.Atoi(index); err != nil || sources[step] {
			continue
		}
		// A step has many outputs only where somebody made it up.
		o, known := places[step]
		if !known {
			o = b.origin(f, chain, step)
			places[step] = o
		}
		for _, digests := range chains {
			n := len(digests)
			if n == 0 || n > len(layers) || !slices.EqualFunc(digests, layers[:n], sameBlob) {
				continue
			}
			switch {
			case o == nil:
				ambiguous[n-1] = true
			case out[n-1] != nil && *out[n-1] != *o:
				ambiguous[n-1] = true
			default:
				out[n-1] = o
			}
		}
	}
	for n := range out {
		if ambiguous[n] {
			out[n] = nil
		}
	}
	return out
}

func sameBlob(d struct {
	Digest string `json:"digest"`
}, l footprint.Layer) bool {
	return d.Digest == l.Digest && d.Digest != ""
}

// sources are the steps that bring what FROM and --from name.
func (b *provenance) sources() map[string]bool {
	out := map[string]bool{}
	for _, s := range b.config.Steps {
		if _, ok := s.Op.Kind["source"]; ok {
			out[s.ID] = true
		}
	}
	return out
}

// origin is where in the stages of the chain a step stands, nil if it stands
// nowhere or in several places.
func (b *provenance) origin(f *File, chain []Stage, step string) *footprint.Origin {
	var found *footprint.Origin
	for _, l := range b.metadata.Source.Locations[step].Locations {
		if l.SourceIndex != 0 || len(l.Ranges) == 0 {
			continue
		}
		o := &footprint.Origin{File: f.Name, Start: l.Ranges[0].Start.Line, Exact: true}
		for _, r := range l.Ranges {
			o.Start, o.End = min(o.Start, r.Start.Line), max(o.End, r.End.Line)
		}
		// The last stage that begins at or before it.
		i := sort.Search(len(chain), func(i int) bool { return chain[i].Start > o.Start }) - 1
		if i < 0 || o.End < o.Start || o.End > chain[i].End {
			continue
		}
		o.Stage = chain[i].label()
		if found != nil && *found != *o {
			return nil
		}
		found = o
	}
	return found
}
