package dockerfile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

// builtImages has layouts that BuildKit wrote, without their layers.
const builtImages = "../testdata/provenance"

// readBuilt returns the attestation and the layers of the one image, or of the
// one for an architecture, in a layout.
func readBuilt(t testing.TB, folder, arch string) (attestation []byte, layers []footprint.Layer) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(builtImages, folder, "layout/blobs/sha256/*"))
	if err != nil || len(names) < 5 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			PredicateType string
			Layers        []struct{ MediaType, Digest string }
			Annotations   map[string]string
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		switch {
		case d.PredicateType != "" && (arch == "" || strings.Contains(string(text), "%2F"+arch)):
			attestation = text
		case len(d.Layers) > 0 && d.Layers[0].MediaType != "application/vnd.in-toto+json" && arch == "":
			for i, l := range d.Layers {
				layers = append(layers, footprint.Layer{Index: i, Digest: l.Digest})
			}
		}
	}
	return attestation, layers
}

// TestProvenanceFrom reads what BuildKit says of the base.
func TestProvenanceFrom(t *testing.T) {
	t.Parallel()
	alpine := "alpine:3.22@sha256:dab241f587e99147be5fa632f1639fce1acc5d67f39a15febb02626ad1024afa"
	for folder, want := range map[string][]From{
		"stages":      {{alpine, 1, true}},
		"stages-v0.2": {{alpine, 1, true}},
		"stages-min":  {{alpine, -1, false}},
		"onbuild":     {{"acme/onbuild:1@sha256:", 2, true}},
		"scratch":     {{"scratch", 0, true}},
		"siblings":    {{alpine, 1, true}},
	} {
		attestation, layers := readBuilt(t, folder, "")
		got, err := ProvenanceFrom(attestation, layers)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %v, %v", folder, got, err)
		}
		for i := range got {
			if !strings.HasPrefix(got[i].Reference, want[i].Reference) || got[i].Layers != want[i].Layers || got[i].Certain != want[i].Certain {
				t.Errorf("%s: %v, want %v", folder, got, want)
			}
		}
		if want[0].Layers <= 0 {
			continue
		}
		// An engine tells the digests of layers later.
		unknown := make([]footprint.Layer, len(layers))
		if again, err := ProvenanceFrom(attestation, unknown); err != nil || !cmp.Equal(got, again) {
			t.Errorf("%s without digests: %v, %v", folder, again, err)
		}
		// What has other blobs was not built like this, or packed anew: the
		// base is still the one to look at.
		layers[0].Digest = "sha256:0000"
		got[0].Layers = -1
		for name, other := range map[string][]footprint.Layer{"other layers": layers, "no layers": nil} {
			if again, err := ProvenanceFrom(attestation, other); err != nil || !cmp.Equal(got, again) {
				t.Errorf("%s of %s: %v, %v", name, folder, again, err)
			}
		}
	}
	for folder, want := range map[string]string{
		"stages-v1": "alpine:3.22@sha256:4ba004b1f0d039ed9328f116dd850e292f4fbf5cb1436b025309e26f5b71fbec 1",
		"shared-v1": "alpine:3.22@sha256:4ba004b1f0d039ed9328f116dd850e292f4fbf5cb1436b025309e26f5b71fbec 1", "scratch-v1": "scratch 0",
	} {
		attestation, layers := readProvenance(t, folder)
		got, err := ProvenanceFrom(attestation, layers)
		if err != nil || len(got) != 1 || fmt.Sprint(got[0].Reference, " ", got[0].Layers) != want {
			t.Errorf("%s: %v, %v", folder, got, err)
		}
	}
}

// builtBy is a statement with these steps and layers of the given outputs.
func builtBy(steps string, layers string) []byte {
	return fmt.Appendf(nil, `{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {
		"buildDefinition": {"internalParameters": {"buildConfig": {"llbDefinition": [%s]}}},
		"runDetails": {"metadata": {"buildkit_metadata": {"layers": {%s}}}}}}`, steps, layers)
}

const (
	sourceStep = `{"id": "s", "op": {"Op": {"source": {"identifier": "docker-image://docker.io/library/x:1@sha256:ab"}}}}`
	lastStep   = `{"id": "z", "inputs": ["a:0"], "op": {"Op": {}}}`
)

// TestProvenanceFromSteps follows steps of every kind, and gives up on those
// that no builder writes.
func TestProvenanceFromSteps(t *testing.T) {
	t.Parallel()
	x := []From{{"x:1@sha256:ab", -1, true}}
	scratch := []From{{"scratch", 0, true}}
	for name, tc := range map[string]struct {
		steps string
		want  []From
	}{
		"a command":              {`{"id": "a", "inputs": ["o:0", "s:0"], "op": {"Op": {"exec": {"mounts": [{"input": 1, "dest": "/"}, {"output": -1, "dest": "/m"}]}}}}`, x},
		"what a mount holds":     {`{"id": "a", "inputs": ["b:1"], "op": {"Op": {"exec": {"mounts": [{"dest": "/"}]}}}}, {"id": "b", "inputs": ["o:0", "s:0"], "op": {"Op": {"exec": {"mounts": [{"dest": "/"}, {"dest": "/m", "input": 1, "output": 1}]}}}}`, x},
		"on nothing":             {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"file": {"actions": [{"input": -1}]}}}}`, scratch},
		"several actions":        {`{"id": "a", "inputs": ["s:0", "o:0"], "op": {"Op": {"file": {"actions": [{"output": -1}, {"input": 2, "output": -1}, {"input": 3}]}}}}`, x},
		"a merge":                {`{"id": "a", "inputs": ["o:0", "s:0"], "op": {"Op": {"merge": {"inputs": [{"input": 1}, {}]}}}}`, x},
		"nothing at all":         {`{"id": "a", "op": {"Op": {}}}`, nil},
		"no such step":           {`{"id": "a", "inputs": ["q:0"], "op": {"Op": {"merge": {"inputs": [{}]}}}}`, nil},
		"no such output":         {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"exec": {"mounts": [{"output": 7}]}}}}`, nil},
		"no such input":          {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"exec": {"mounts": [{"input": 7}]}}}}`, nil},
		"no number":              {`{"id": "a", "inputs": ["s"], "op": {"Op": {"merge": {"inputs": [{}]}}}}`, nil},
		"a circle":               {`{"id": "a", "inputs": ["b:0"], "op": {"Op": {"merge": {"inputs": [{}]}}}}, {"id": "b", "inputs": ["a:0"], "op": {"Op": {"merge": {"inputs": [{}]}}}}`, nil},
		"a circle of actions":    {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"file": {"actions": [{"input": 2, "output": -1}, {"input": 1}]}}}}`, nil},
		"an action on itself":    {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"file": {"actions": [{"input": 1}]}}}}`, nil},
		"no actions":             {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"file": {}}}}`, nil},
		"not an exec":            {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"exec": 5}}}`, nil},
		"not a file":             {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"file": []}}}`, nil},
		"not a merge":            {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"merge": "x"}}}`, nil},
		"a difference":           {`{"id": "a", "inputs": ["s:0"], "op": {"Op": {"diff": {"lower": {}, "upper": {}}}}}`, nil},
		"a folder":               {`{"id": "a", "op": {"Op": {"source": {"identifier": "local://context"}}}}`, nil},
		"no source":              {`{"id": "a", "op": {"Op": {"source": 5}}}`, nil},
		"a layout that was here": {`{"id": "a", "op": {"Op": {"source": {"identifier": "oci-layout://x@sha256:ab"}}}}`, []From{{"", -1, true}}},
	} {
		got, err := ProvenanceFrom(builtBy(sourceStep+", "+`{"id": "o", "op": {"Op": {"source": {"identifier": "docker-image://other"}}}}`+", "+tc.steps+", "+lastStep, ""), nil)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// TestProvenanceFromLayers counts what the source brought, where that is told
// without contradiction.
func TestProvenanceFromLayers(t *testing.T) {
	t.Parallel()
	step := `{"id": "a", "inputs": ["s:0"], "op": {"Op": {"merge": {"inputs": [{}]}}}}`
	image := []footprint.Layer{{Digest: "sha256:1"}, {Digest: "sha256:2"}, {Digest: "sha256:3"}}
	for layers, want := range map[string]int{
		``: -1,
		`"s:0": [[{"digest": "sha256:1"}, {"digest": "sha256:2"}]]`:                                                   2,
		`"s:0": [[{"digest": "sha256:9"}, {"digest": "sha256:8"}], [{"digest": "sha256:1"}, {"digest": "sha256:2"}]]`: 2,
		`"s:0": [[{"digest": "sha256:1"}], [{"digest": "sha256:1"}, {"digest": "sha256:2"}]]`:                         -1,
		`"s:0": [[{"digest": "sha256:2"}]]`:                                                                           -1,
		`"s:0": [[]]`:                                                                                                 -1,
		`"s:0": [[{"digest": "sha256:1"}, {"digest": "sha256:2"}, {"digest": "sha256:3"}, {"digest": "sha256:4"}]]`:   -1,
		`"s:1": [[{"digest": "sha256:1"}]]`:                                                                           -1,
		`"o:0": [[{"digest": "sha256:1"}]]`:                                                                           -1,
	} {
		got, err := ProvenanceFrom(builtBy(sourceStep+", "+step+", "+lastStep, layers), image)
		if err != nil || len(got) != 1 || got[0].Layers != want {
			t.Errorf("%s: %v, %v", layers, got, err)
		}
	}
}

func TestImagesAmongMaterials(t *testing.T) {
	t.Parallel()
	materials := `[{"uri": "https://github.com/acme/web.git", "digest": {"sha1": "ab"}},
		{"uri": "pkg:docker/docker/dockerfile@1", "digest": {"sha256": "11"}},
		{"uri": "pkg:docker/alpine@3.22?platform=linux%2Famd64", "digest": {"sha256": "22"}},
		{"uri": "pkg:docker/ghcr.io/acme/base%2Bx@1?digest=sha256:33&platform=linux%2Famd64", "digest": {"sha256": "44"}},
		{"uri": "pkg:docker/ghcr.io/acme/bare?digest=sha256:55"}, {"uri": "pkg:docker/"}, {"uri": "pkg:docker/%zz@1"}, {"uri": "pkg:docker/x@%zz"}, {"uri": "pkg:oci/x"}`
	for _, text := range []string{
		`{"predicateType": "https://slsa.dev/provenance/v0.2", "predicate": {"invocation": {"parameters": {"args": {"cmdline": "docker/dockerfile:1 --x"}}}, "materials": ` + materials,
		`{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildDefinition": {"externalParameters": {"request": {"args": {"cmdline": "docker/dockerfile:1"}}}, "resolvedDependencies": ` + materials,
	} {
		end := strings.Repeat("}", strings.Count(text[:strings.Index(text, materials)], "{")-strings.Count(text[:strings.Index(text, materials)], "}"))
		got, err := ProvenanceFrom([]byte(text+"]"+end), nil)
		want := []From{}
		for _, name := range []string{"alpine:3.22@sha256:22", "ghcr.io/acme/base+x:1@sha256:33", "ghcr.io/acme/bare@sha256:55"} {
			want = append(want, From{name, -1, false})
		}
		// The name of the frontend has its digest behind it.
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		many := strings.Repeat(`{"uri": "pkg:docker/alpine@3.22"},`, 100) + `{"uri": "pkg:docker/alpine@3.22"}`
		if got, err := ProvenanceFrom([]byte(strings.Replace(text+"]"+end, materials[1:], many, 1)), nil); err != nil || len(got) != maxFroms {
			t.Errorf("%d images, %v", len(got), err)
		}
	}
	for text, want := range map[string]string{
		"[]":                                  "reading the provenance: json",
		"{}":                                  "the attestation is no provenance",
		strings.Repeat(" ", maxAttestation+1): "the provenance has 16777217 bytes",
	} {
		if _, err := ProvenanceFrom([]byte(text), nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestProvenanceNamesTheFile puts together what the builder was told of where
// the Dockerfile stands, and believes no path that leads elsewhere.
func TestProvenanceNamesTheFile(t *testing.T) {
	t.Parallel()
	attestation, layers := readBuilt(t, "stages", "")
	for dir, tc := range map[string][2]string{
		"deploy":          {"Dockerfile", "deploy/Dockerfile"},
		".":               {"sub/web.Dockerfile", "sub/web.Dockerfile"},
		"a/../b":          {"Dockerfile", "b/Dockerfile"},
		"..":              {"Dockerfile", "Dockerfile"},
		"/etc":            {"passwd", "Dockerfile"},
		"x":               {"../../../etc/passwd", "Dockerfile"},
		"evil\\n::error":  {"Dockerfile", "Dockerfile"},
		"evil\\u202e":     {"Dockerfile", "Dockerfile"},
		"C:\\\\x":         {"Dockerfile", "Dockerfile"},
		"y":               {"", "Dockerfile"},
		"[x](http://y) @": {"<b>", "[x](http:/y) @/<b>"}, // whoever shows it has to escape it
		"z":               {strings.Repeat("x", maxPath), "Dockerfile"},
	} {
		text := strings.Replace(string(attestation), `"localdir:dockerfile":"deploy"`, `"localdir:dockerfile":"`+dir+`"`, 1)
		text = strings.Replace(text, `"filename":"Dockerfile"`, `"filename":"`+tc[0]+`"`, 1)
		f, origins, err := ProvenanceOrigins("", []byte(text), layers)
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		if f.Name != tc[1] || origins[1] == nil || origins[1].File != tc[1] {
			t.Errorf("%s and %s are %q, want %q", dir, tc[0], f.Name, tc[1])
		}
	}
}

// TestOwnFromIsNeverWrong asks of every history, with its own base and with
// another one, where the base ends.
func TestOwnFromIsNeverWrong(t *testing.T) {
	t.Parallel()
	found, asked := 0, 0
	for _, history := range histories(t) {
		f, c := readCase(t, history)
		if strings.Contains(history, "/onbuild/") {
			continue // triggers are for the caller
		}
		layers := c.layers(t)
		other := append([]footprint.Layer{
			{CreatedBy: "/bin/sh -c #(nop) ADD file:0123456789abcdef0123456789abcdef in / "},
			{CreatedBy: "RUN /bin/sh -c apt-get update # buildkit"},
			{CreatedBy: "COPY . . # buildkit"},
			{CreatedBy: "WORKDIR /app"},
		}, layers[c.BaseLayers:]...)
		stage, err := f.Resolve(c.Args).Target(c.Target)
		if err != nil {
			t.Fatal(err)
		}
		scratch := f.Resolve(c.Args).Root(stage).Base == "scratch"
		asked++
		if n, ok := f.OwnFrom(c.Target, layers, c.Args); ok {
			found++
			if n != c.BaseLayers || scratch != (n == 0) {
				t.Errorf("%s: the base has %d layers, not %d", history, c.BaseLayers, n)
			}
		}
		if n, ok := f.OwnFrom(c.Target, other, c.Args); ok && n != 4 {
			t.Errorf("%s on another base: the base has 4 layers, not %d", history, n)
		}
		// Without its last layer, or one of the middle, nothing is certain.
		for drop := c.BaseLayers; drop < len(layers); drop++ {
			less := append(append([]footprint.Layer{}, layers[:drop]...), layers[drop+1:]...)
			n, ok := f.OwnFrom(c.Target, less, c.Args)
			if ok && (n != c.BaseLayers || !strings.Contains(layers[drop].CreatedBy, "WORKDIR")) {
				t.Errorf("%s without %q: the base has %d layers, not %d", history, layers[drop].CreatedBy, c.BaseLayers, n)
			}
		}
		for i, stranger := range histories(t) {
			if i%3 != 0 {
				continue // most files have three
			}
			g, o := readCase(t, stranger)
			if filepath.Dir(stranger) == filepath.Dir(history) || strings.Contains(history, "/args") && strings.Contains(stranger, "/args") {
				continue
			}
			if n, ok := g.OwnFrom(o.Target, layers, o.Args); ok && n != c.BaseLayers {
				t.Errorf("%s by the file of %s: %d", history, stranger, n)
			}
		}
	}
	if 2*found < asked {
		t.Errorf("%d of %d boundaries are found", found, asked)
	}
	t.Logf("%d of %d", found, asked)
}

func FuzzProvenanceFrom(f *testing.F) {
	for _, folder := range []string{"stages", "stages-min", "onbuild", "scratch", "siblings"} {
		attestation, _ := readBuilt(f, folder, "")
		f.Add(attestation)
	}
	layers := make([]footprint.Layer, 3)
	f.Fuzz(func(t *testing.T, attestation []byte) {
		got, err := ProvenanceFrom(attestation, layers)
		if err != nil {
			return
		}
		for _, from := range got {
			if from.Layers > len(layers) || from.Layers == 0 && from.Reference != "scratch" || len(got) > maxFroms {
				t.Fatalf("%+v", got)
			}
		}
	})
}

func TestLineOfFrom(t *testing.T) {
	t.Parallel()
	f, err := Parse("Dockerfile", []byte("ARG V=3\nFROM alpine:${V} \\\n  AS base\nRUN a\nFROM scratch AS bare\nCOPY a /\nFROM base\nRUN b\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := &footprint.Origin{File: "Dockerfile", Stage: "base", Start: 2, End: 3, Exact: true}
	for target, want := range map[string]*footprint.Origin{"": want, "base": want, "2": want, "bare": nil, "missing": nil} {
		if diff := cmp.Diff(want, f.FromOrigin(target)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", target, diff)
		}
	}
}
