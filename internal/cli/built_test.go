package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/org/image-budget/footprint"
)

// builtImages are layouts that BuildKit wrote, without their layers.
const builtImages = "../../testdata/provenance"

func built(folder string) string { return "oci:" + filepath.Join(builtImages, folder, "layout") }

// told is what a report says of the boundary and of lines.
type told struct {
	Images []struct {
		Base *struct {
			FoundBy   string `json:"found_by"`
			Reference string
			Metrics   struct {
				Layers               int
				Compressed, Unpacked *int64
			}
		}
		Own    *struct{ Metrics struct{ Layers int } }
		Layers []struct {
			InBase bool `json:"in_base"`
			Origin *footprint.Origin
		}
	}
	Notes []string
}

// String has the boundary, and for each layer its line.
func (s told) String() string {
	img := s.Images[0]
	out := "no base:"
	if b := img.Base; b != nil {
		out = fmt.Sprintf("%s by %s, %d of %d:", cutDigest(b.Reference), b.FoundBy, b.Metrics.Layers, b.Metrics.Layers+img.Own.Metrics.Layers)
	}
	for _, l := range img.Layers {
		o := l.Origin
		switch {
		case o == nil && l.InBase:
			out += " base"
		case o == nil:
			out += " -"
		case l.InBase:
			out += " WRONG"
		default:
			out += fmt.Sprintf(" %s:%d-%d/%s", o.File, o.Start, o.End, o.Stage)
			if !o.Exact {
				out += "?"
			}
		}
	}
	return out
}

func cutDigest(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	return name
}

func tell(t testing.TB, env map[string]string, args ...string) told {
	t.Helper()
	r := invoke(t, env, append([]string{"inspect", "--format", "json", "--detail", "manifest"}, args...)...)
	r.want(t, ExitOK)
	var s told
	must(t, json.Unmarshal([]byte(r.stdout), &s))
	return s
}

// TestImagesBuiltElsewhere gives every layer of what BuildKit built an owner.
func TestImagesBuiltElsewhere(t *testing.T) {
	t.Parallel()
	p := builtFile + "Dockerfile"
	d := builtFile + "deploy/Dockerfile"
	for _, tc := range []struct{ folder, platform, want string }{
		{"stages", "", "alpine:3.22 by provenance, 1 of 4: base " + d + ":17-17/runtime " + d + ":18-21/runtime " + d + ":22-24/runtime"},
		{"stages-v0.2", "", "alpine:3.22 by provenance, 1 of 4: base " + p + ":17-17/runtime " + p + ":18-21/runtime " + p + ":22-24/runtime"},
		{"onbuild", "", "acme/onbuild:1 by provenance, 2 of 5: base base " + p + ":2-2/0 " + p + ":2-2/0 " + p + ":3-3/0"},
		{"platforms", "linux/amd64", "acme/multi:1 by provenance, 2 of 3: base base " + p + ":3-4/0"},
		{"platforms", "linux/arm64", "acme/multi:1 by provenance, 2 of 3: base base " + p + ":3-4/0"},
		{"scratch", "", "scratch by provenance, 0 of 2: " + p + ":2-2/0 " + p + ":3-3/0"},
		{"siblings", "", "alpine:3.22 by provenance, 1 of 3: base " + p + ":6-6/1 " + p + ":7-7/1"},
	} {
		s := tell(t, nil, built(tc.folder), "--platform", tc.platform)
		if diff := cmp.Diff(tc.want, s.String()); diff != "" || len(s.Notes) != 0 {
			t.Errorf("%s %s: %s\n%s", tc.folder, tc.platform, s.Notes, diff)
		}
	}
}

// TestLinesOfWhatWasBuilt names the Dockerfile as the checkout has it, if it is
// the one that was built; only then a line can be linked.
func TestLinesOfWhatWasBuilt(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile(filepath.Join(builtImages, "stages/Dockerfile"))
	must(t, err)
	other := "# changed since\n" + string(src)
	differs := []string{"deploy/Dockerfile is not the Dockerfile that " + built("stages") + " was built from, as the provenance of the image has it: lines are those of the latter, without links"}
	for what, tc := range map[string]struct {
		here, named string // the Dockerfile in the workspace, and the one of --dockerfile
		linked      bool
		first       string
		notes       []string
	}{
		"in the workspace":        {here: string(src), first: "deploy/Dockerfile:17-17/runtime", linked: true},
		"changed since":           {here: other, first: builtFile + "deploy/Dockerfile:17-17/runtime", notes: differs},
		"elsewhere":               {first: builtFile + "deploy/Dockerfile:17-17/runtime"},
		"named":                   {here: other, named: string(src), first: "Named:17-17/runtime", linked: true},
		"named, but another one":  {here: string(src), named: "FROM x\nRUN y\n", first: builtFile + "deploy/Dockerfile:17-17/runtime", notes: []string{strings.Replace(differs[0], "deploy/Dockerfile", "Named", 1)}},
		"a folder of that name":   {here: "/", first: builtFile + "deploy/Dockerfile:17-17/runtime"},
		"a link out of workspace": {here: "->", first: builtFile + "deploy/Dockerfile:17-17/runtime"},
	} {
		env, dir := job(t, newGitHub(t), nil)
		must(t, os.Mkdir(filepath.Join(dir, "deploy"), 0o755))
		at := filepath.Join(dir, "deploy/Dockerfile")
		switch tc.here {
		case "":
		case "/":
			must(t, os.Mkdir(at, 0o755))
		case "->":
			must(t, os.Symlink(write(t, filepath.Join(t.TempDir(), "outside"), string(src)), at))
		default:
			write(t, at, tc.here)
		}
		args := []string{built("stages")}
		if tc.named != "" {
			args = append(args, "--dockerfile", write(t, filepath.Join(dir, "Named"), tc.named))
		}
		s := tell(t, env, args...)
		if got := strings.Fields(s.String()); got[7] != tc.first {
			t.Errorf("%s: %s", what, s)
		}
		if diff := cmp.Diff(tc.notes, s.Notes); diff != "" && len(tc.notes)+len(s.Notes) > 0 {
			t.Errorf("%s: %s", what, diff)
		}
		budget := write(t, filepath.Join(dir, "budget.yml"), "version: 1\nimages: {web: {image: x, limits: {layers: {max: 2}}}}\n")
		check := append([]string{"check", "web=" + built("stages"), "--config", budget, "--format", "markdown", "--comment", "never", "--detail", "manifest"}, args[1:]...)
		r := invoke(t, env, check...)
		r.want(t, ExitOver)
		if strings.Contains(r.stdout, "Dockerfile#L17)") != tc.linked && tc.named == "" || strings.Contains(r.stdout, "Named#L17)") != (tc.named != "" && tc.linked) {
			t.Errorf("%s: linked is not %v:\n%s", what, tc.linked, r.stdout)
		}
	}
}

// withProvenance pushes an image with an attestation beside it, as BuildKit
// does.
func withProvenance(t testing.TB, ref string, img v1.Image, statement string) string {
	t.Helper()
	digest, err := img.Digest()
	must(t, err)
	said, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:       static.NewLayer([]byte(statement), "application/vnd.in-toto+json"),
		Annotations: map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"},
	})
	must(t, err)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: said, Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest.String()},
		}})
	tag, err := name.ParseReference(ref)
	must(t, err)
	must(t, remote.WriteIndex(tag, index))
	return ref
}

// counted is a registry that notes what it is asked for.
type counted struct {
	host string
	mu   sync.Mutex
	seen []string
}

func newCounted(t testing.TB) *counted {
	c := &counted{}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.seen = append(c.seen, r.Method+" "+r.URL.Path)
		c.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	c.host = strings.TrimPrefix(srv.URL, "http://")
	return c
}

// during counts the requests that something makes.
func (c *counted) during(do func()) int {
	c.mu.Lock()
	c.seen = nil
	c.mu.Unlock()
	do()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// maxProvenance is a statement of a build whose base brought these layers and
// whose second step, of line 2, made the next one.
func maxProvenance(t testing.TB, base string, img v1.Image, n int) string {
	t.Helper()
	m, err := img.Manifest()
	must(t, err)
	digests := func(n int) (out []map[string]string) {
		for _, l := range m.Layers[:n] {
			out = append(out, map[string]string{"digest": l.Digest.String()})
		}
		return out
	}
	at := map[string]any{"locations": []any{map[string]any{"ranges": []any{map[string]any{"start": map[string]int{"line": 2}, "end": map[string]int{"line": 2}}}}}}
	raw, err := json.Marshal(map[string]any{"predicateType": "https://slsa.dev/provenance/v1", "predicate": map[string]any{
		"buildDefinition": map[string]any{"internalParameters": map[string]any{"buildConfig": map[string]any{"llbDefinition": []any{
			map[string]any{"id": "step0", "op": map[string]any{"Op": map[string]any{"source": map[string]string{"identifier": "docker-image://" + base}}}},
			map[string]any{"id": "step1", "inputs": []string{"step0:0"}, "op": map[string]any{"Op": map[string]any{"exec": map[string]any{"mounts": []any{map[string]any{"dest": "/"}}}}}},
			map[string]any{"id": "step2", "inputs": []string{"step1:0"}, "op": map[string]any{"Op": map[string]any{}}},
		}}}},
		"runDetails": map[string]any{"metadata": map[string]any{"buildkit_metadata": map[string]any{
			"source": map[string]any{
				"infos":     []any{map[string]any{"filename": "Dockerfile", "data": []byte("FROM base\nRUN app\n")}},
				"locations": map[string]any{"step1": at},
			},
			"layers": map[string]any{"step0:0": []any{digests(n)}, "step1:0": []any{digests(n + 1)}},
		}}},
	}})
	must(t, err)
	return string(raw)
}

// minProvenance is a statement that names images and says no more.
func minProvenance(images ...string) string {
	var list []string
	for _, ref := range images {
		list = append(list, fmt.Sprintf(`{"uri": "pkg:docker/%s?platform=linux%%2Famd64"}`, ref))
	}
	return `{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildDefinition": {"resolvedDependencies": [` + strings.Join(list, ",") + `]}}}`
}

// TestWhatProvenanceCosts holds requests to what somebody gets out of them.
func TestWhatProvenanceCosts(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	base, app := layer{"RUN base", map[string]string{"a": "1"}}, layer{"RUN app", map[string]string{"b": "1"}}
	img := image(t, base, app)
	ref := withProvenance(t, reg.host+"/web:1", img, maxProvenance(t, "base:1", img, 1))
	grown := image(t, base, layer{"RUN app", map[string]string{"b": strings.Repeat("x", 5_000)}})
	head := withProvenance(t, reg.host+"/web:2", grown, maxProvenance(t, "base:1", grown, 1))
	store := "file:" + filepath.Join(t.TempDir(), "baseline.json")
	budget := func(limits string) string {
		return write(t, filepath.Join(t.TempDir(), "budget.yml"), "version: 1\nbaseline: "+store+"\nimages:\n  web:\n    image: x\n"+limits)
	}
	whole, own := budget("    limits: {compressed: {max: 1MB}}\n"), budget("    own: {compressed: {max: 1MB}}\n")
	invoke(t, nil, "baseline", "save", "--config", own, "web="+ref).want(t, ExitOK)
	for what, tc := range map[string]struct {
		args []string
		want int
	}{
		// Ping, index, manifest, config.
		"nothing changed":                  {[]string{"check", "--config", whole, "web=" + ref}, 4},
		"nothing changed, own limits":      {[]string{"check", "--config", own, "web=" + ref}, 4},
		"a layer changed":                  {[]string{"check", "--config", whole, "web=" + head}, 6},
		"a layer changed, own limits":      {[]string{"check", "--config", own, "web=" + head}, 6},
		"no baseline":                      {[]string{"check", "--config", whole, "--baseline", "none", "web=" + ref}, 6},
		"inspect":                          {[]string{"inspect", "--detail", "manifest", ref}, 6},
		"inspect with another base":        {[]string{"inspect", "--detail", "manifest", "--base", reg.host + "/none:1", ref}, 6 + 2},
		"the difference":                   {[]string{"diff", "--detail", "manifest", ref, head}, 4 + 3 + 2 + 2},
		"a baseline to be measured, equal": {[]string{"check", "--config", whole, "--baseline", "image:" + ref, "web=" + ref}, 4 + 3},
	} {
		got := reg.during(func() { invoke(t, nil, tc.args...).want(t, ExitOK) })
		if got != tc.want {
			t.Errorf("%s: %d requests, want %d: %s", what, got, tc.want, strings.Join(reg.seen, ", "))
		}
	}
}

// TestProvenanceThatCannotBeRead costs lines, and never the verdict.
func TestProvenanceThatCannotBeRead(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	img := image(t, layer{"RUN base", map[string]string{"a": "1"}}, layer{"RUN app", map[string]string{"b": "1"}})
	good := maxProvenance(t, "base:1", img, 1)
	file := write(t, filepath.Join(t.TempDir(), "Dockerfile"), "FROM base\nRUN app\n")
	for what, tc := range map[string]struct{ statement, note string }{
		"no JSON":           {"x", "reading the provenance: invalid character"},
		"no provenance":     {`{"predicateType": "https://spdx.dev/Document"}`, "the attestation is no provenance"},
		"a broken file":     {strings.Replace(good, "RlJPTSBiYXNl", "WFhYWCBiYXNl", 1), "reading the Dockerfile in the provenance: Dockerfile:1: unknown instruction: XXXX"},
		"lines outside it":  {strings.ReplaceAll(good, `{"line":2}`, `{"line":2222}`), ""},
		"a negative line":   {strings.ReplaceAll(good, `{"line":2}`, `{"line":-5}`), ""},
		"a line backwards":  {strings.ReplaceAll(good, `"end":{"line":2}`, `"end":{"line":1}`), ""},
		"other layers":      {strings.ReplaceAll(good, `"digest":"sha256:`, `"digest":"sha256:0`), ""},
		"mode=min":          {minProvenance(), ""},
		"a number too many": {strings.ReplaceAll(good, `{"line":2}`, `{"line":99999999999999999999}`), "reading the provenance: json"},
	} {
		ref := withProvenance(t, reg.host+"/web:1", img, tc.statement)
		s := tell(t, nil, ref, "--base", reg.host+"/none:1")
		line := "-"
		if o := s.Images[0].Layers[1].Origin; o != nil {
			line = fmt.Sprint(o.Start)
		}
		notes := strings.Join(s.Notes, "\n")
		if line != "-" || tc.note != "" && !strings.Contains(notes, tc.note) || tc.note == "" && strings.Contains(notes, "lines") {
			t.Errorf("%s: line %s, %s", what, line, notes)
		}
		// The Dockerfile that the user names is matched with the history then.
		s = tell(t, nil, ref, "--base", reg.host+"/none:1", "--dockerfile", file)
		if o := s.Images[0].Layers[1].Origin; o == nil || o.Start != 2 || o.Exact || o.File != file {
			t.Errorf("%s: %+v", what, o)
		}
	}
}

// TestHostileProvenance puts into an attestation what a report must not hold.
func TestHostileProvenance(t *testing.T) {
	t.Parallel()
	reg := newCounted(t)
	img := image(t, layer{"RUN base", map[string]string{"a": "1"}}, layer{"RUN app", map[string]string{"b": "1"}})
	good := maxProvenance(t, "base:1", img, 1)
	const evil = `](http://evil.test) <img src=x> @everyone`
	for what, statement := range map[string]string{
		"the file's name":   strings.Replace(good, `"filename":"Dockerfile"`, `"filename":"`+evil+`"`, 1),
		"a command in it":   strings.Replace(good, `"filename":"Dockerfile"`, `"filename":"x\n::error::evil\u001b[31m"`, 1),
		"the base":          strings.Replace(good, "docker-image://base:1", `docker-image://x\n::error::evil `+evil, 1),
		"a base of options": strings.Replace(good, "docker-image://base:1", `docker-image://--help`, 1),
		"the stage":         strings.Replace(good, "RlJPTSBiYXNlClJVTiBhcHAK", "RlJPTSBiYXNlIEFTIDo6ZXJyb3I6OmV2aWwKUlVOIGFwcAo=", 1),
	} {
		ref := withProvenance(t, reg.host+"/web:1", img, statement)
		env, dir := job(t, newGitHub(t), nil)
		budget := write(t, filepath.Join(dir, "budget.yml"), "version: 1\nimages: {web: {image: \""+ref+"\", own: {layers: {max: 3}}}}\n")
		r := invoke(t, env, "check", "--config", budget, "--detail", "manifest", "--output", "markdown="+filepath.Join(dir, "out.md"))
		r.want(t, ExitOK)
		out, err := os.ReadFile(filepath.Join(dir, "out.md"))
		must(t, err)
		for _, text := range []string{string(out), r.stdout, r.stderr} {
			if strings.Contains(text, "\n::error::evil") || strings.Contains(text, "\x1b[31m") {
				t.Errorf("%s:\n%s", what, text)
			}
		}
		// In a code span, as a reader would see it, a tag is text.
		var page strings.Builder
		must(t, goldmark.New(goldmark.WithRendererOptions(html.WithUnsafe())).Convert(out, &page))
		if strings.Contains(page.String(), "<img") || strings.Contains(page.String(), `href="http://evil`) {
			t.Errorf("%s:\n%s", what, page.String())
		}
	}
}
