package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/org/image-budget/internal/bench"
)

const builtImages = "../testdata/provenance"

// builtFiles are the files of a layout that BuildKit wrote.
func builtFiles(t testing.TB, name string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	dir := os.DirFS(filepath.Join(builtImages, name, "layout"))
	err := fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = fs.ReadFile(dir, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// documentsIn tells the documents of a layout apart by what they are.
func documentsIn(t testing.TB, files map[string][]byte) (index, statement []byte, manifests map[string][]byte) {
	t.Helper()
	manifests = map[string][]byte{}
	for name, b := range files {
		var d struct{ Manifests, Layers, Predicate any }
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatal(err)
		}
		switch {
		case d.Manifests != nil && name != "index.json":
			index = b
		case d.Layers != nil:
			manifests[sum(b)] = b
		case d.Predicate != nil:
			statement = b
		}
	}
	return index, statement, manifests
}

// pushBuilt puts what BuildKit wrote where a registry has it.
func pushBuilt(t testing.TB, host string, files map[string][]byte) {
	t.Helper()
	index, _, manifests := documentsIn(t, files)
	for name, b := range files {
		if strings.HasPrefix(name, "blobs/") && manifests[sum(b)] == nil && string(b) != string(index) {
			putBlob(t, host, "app", b)
		}
	}
	for digest, b := range manifests {
		putManifest(t, host, "app", digest, "application/vnd.oci.image.manifest.v1+json", b)
	}
	putManifest(t, host, "app", "1", "application/vnd.oci.image.index.v1+json", index)
}

// predicate is what a statement says it is, and for which platform.
func predicate(t testing.TB, raw []byte) (kind, platform string) {
	t.Helper()
	var s struct{ PredicateType string }
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		if strings.Contains(string(raw), `"Architecture":"`+arch+`"`) || strings.Contains(string(raw), "platform=linux%2F"+arch) {
			platform += arch
		}
	}
	return s.PredicateType, platform
}

// TestProvenanceIsFound reads what BuildKit attached, from every kind of place.
func TestProvenanceIsFound(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ platform, kind, of string }{
		"stages":      {"", "https://slsa.dev/provenance/v1", "amd64"},
		"stages-v0.2": {"", "https://slsa.dev/provenance/v0.2", "amd64"},
		"stages-min":  {"linux/amd64", "https://slsa.dev/provenance/v1", "amd64"},
		"platforms":   {"linux/arm64", "https://slsa.dev/provenance/v1", "arm64"},
	} {
		files := builtFiles(t, name)
		host := serve(t, nil)
		pushBuilt(t, host, files)
		tarred := archiveOf(t, itemsOf(files)...)
		for _, ref := range []string{
			"oci:" + filepath.Join(builtImages, name, "layout"),
			"oci-archive:" + writeFile(t, "a.tar", tarred),
			"oci-archive:" + writeFile(t, "a.tar.gz", gz(t, tarred)),
			host + "/app:1",
		} {
			img, err := New(Config{Platform: want.platform}).Open(t.Context(), ref)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, ref, err)
			}
			raw, err := img.Provenance(t.Context())
			if err != nil || raw == nil || !img.HasProvenance() {
				t.Fatalf("%s: %s: %v", name, ref, err)
			}
			if kind, of := predicate(t, raw); kind != want.kind || of != want.of {
				t.Errorf("%s: %s: %s of %s", name, ref, kind, of)
			}
			if files[blobPath(raw)] == nil {
				t.Errorf("%s: %s: other bytes than were written", name, ref)
			}
			if err := img.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestProvenanceCostsTwoRequests and only when it is asked for, once.
func TestProvenanceCostsTwoRequests(t *testing.T) {
	t.Parallel()
	host, g := gated(t, nil)
	files := builtFiles(t, "stages")
	pushBuilt(t, host, files)
	o := New(Config{})
	img, err := o.Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	before := len(g.requests())
	for range 2 {
		if raw, err := img.Provenance(t.Context()); raw == nil || err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(2, len(g.requests())-before); before != 4 || diff != "" {
		t.Errorf("%d requests to open, then %s", before, diff)
	}
	// What stands beside an index is not known of a manifest.
	before = len(g.requests())
	alone, err := o.Open(t.Context(), host+"/app@"+img.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := alone.Provenance(t.Context()); raw != nil || err != nil || alone.HasProvenance() {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	if n := len(g.requests()) - before; n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestProvenanceIsReadAgain after answers that pass by themselves.
func TestProvenanceIsReadAgain(t *testing.T) {
	t.Parallel()
	files := builtFiles(t, "stages")
	_, statement, _ := documentsIn(t, files)
	host, g := gated(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		switch {
		case !strings.HasSuffix(r.URL.Path, sum(statement)):
		case n == 1:
			w.WriteHeader(http.StatusInternalServerError)
			return true
		case n == 2:
			cut(w, statement)
		}
		return false
	})
	pushBuilt(t, host, files)
	img, err := New(Config{Wait: new(noWait).wait}).Open(t.Context(), host+"/app:1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := img.Provenance(t.Context())
	if err != nil || sum(raw) != sum(statement) {
		t.Error(err)
	}
	if n := len(g.requests()); n != 4+1+3 {
		t.Errorf("%d requests", n)
	}
}

// attestedFixture is an image with a manifest beside it that says something
// of it, or claims to.
func attestedFixture(t testing.TB, change func(descriptor, manifest object), statement []byte) map[string][]byte {
	f := mixedFixture(t)
	layer := descriptor("application/vnd.in-toto+json", statement)
	layer["annotations"] = object{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
	bill := descriptor("application/vnd.in-toto+json", []byte("{}"))
	bill["annotations"] = object{"in-toto.io/predicate-type": "https://spdx.dev/Document"}
	manifest := object{"schemaVersion": 2, "config": descriptor("application/vnd.oci.empty.v1+json", []byte("{}")), "layers": []any{bill, layer}}
	d := object{
		"mediaType": "application/vnd.oci.image.manifest.v1+json", "platform": object{"os": "unknown", "architecture": "unknown"},
		"annotations": object{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": sum(f.manifest)},
	}
	change(d, manifest)
	raw := toJSON(t, manifest)
	if d["digest"] == nil {
		d["digest"], d["size"] = sum(raw), len(raw)
	}
	files := ociFilesOf(t, []any{f.descriptor(), d}, f)
	files[blobPath(raw)] = raw
	files[blobPath(statement)] = statement
	return files
}

func TestProvenanceThatIsNone(t *testing.T) {
	t.Parallel()
	statement := []byte(`{"predicateType": "https://slsa.dev/provenance/v1"}`)
	layerOf := func(manifest object) object { return manifest["layers"].([]any)[1].(object) }
	for name, tc := range map[string]struct {
		change func(d, manifest object)
		limits Limits
		want   string // "" is none and no error
	}{
		"of another image": {change: func(d, _ object) {
			d["annotations"].(object)["vnd.docker.reference.digest"] = sum([]byte("other"))
		}},
		"of another kind": {change: func(d, _ object) {
			d["annotations"].(object)["vnd.docker.reference.type"] = "something"
		}},
		"another predicate": {change: func(_, m object) {
			layerOf(m)["annotations"] = object{"in-toto.io/predicate-type": "https://example.com/"}
		}},
		"another media type":     {change: func(_, m object) { layerOf(m)["mediaType"] = "application/json" }},
		"no layers":              {change: func(_, m object) { m["layers"] = []any{} }},
		"not a manifest":         {change: func(_, m object) { m["layers"] = 5 }, want: "manifest sha256:"},
		"missing manifest":       {change: func(d, _ object) { d["digest"], d["size"] = sum([]byte("x")), 1 }, want: "is missing"},
		"odd digest":             {change: func(d, _ object) { d["digest"], d["size"] = "sha512:"+strings.Repeat("a", 128), 1 }, want: "digest"},
		"missing statement":      {change: func(_, m object) { layerOf(m)["digest"] = sum([]byte("x")) }, want: "is missing"},
		"too large, and says so": {change: func(_, m object) { layerOf(m)["size"] = 1 << 40 }, want: "the attestation is larger than 16 MiB"},
		"too large":              {change: func(object, object) {}, limits: Limits{MaxProvenance: 10}, want: "is larger than 10 bytes"},
		"too large in hiding":    {change: func(_, m object) { layerOf(m)["size"] = 3 }, limits: Limits{MaxProvenance: 10}, want: "is larger than 10 bytes"},
	} {
		img, err := New(Config{Limits: tc.limits}).Open(t.Context(), "oci:"+writeDir(t, attestedFixture(t, tc.change, statement)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		raw, err := img.Provenance(t.Context())
		switch {
		case raw != nil:
			t.Errorf("%s: there is one", name)
		case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "reading the provenance: ")):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		img.Close()
	}
}

func TestProvenanceThatWasChanged(t *testing.T) {
	t.Parallel()
	statement := []byte(`{"predicateType": "https://slsa.dev/provenance/v1"}`)
	files := attestedFixture(t, func(object, object) {}, statement)
	files[blobPath(statement)] = []byte(`{"predicateType": "https://slsa.dev/provenance/v2"}`)
	img, err := New(Config{}).Open(t.Context(), "oci:"+writeDir(t, files))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if raw, err := img.Provenance(t.Context()); raw != nil || err == nil || !strings.Contains(err.Error(), "changed or damaged") {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestProvenanceOfEngines(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	statement := `{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}`
	answer := []byte(`[{"Descriptor": {}, "PredicateType": "https://slsa.dev/provenance/v1", "Statement": ` + statement + `}]`)
	for name, tc := range map[string]struct {
		api    string
		attest []byte
		limits Limits
		want   string // the statement, or a part of the error
		asked  int
	}{
		"there":       {"1.55", answer, Limits{}, statement, 1},
		"none":        {"1.55", []byte("null"), Limits{}, "", 1},
		"no body":     {"1.55", []byte(`[{"PredicateType": "https://slsa.dev/provenance/v1"}]`), Limits{}, "", 1},
		"too old":     {"1.54", answer, Limits{}, "", 0},
		"refused":     {"1.55", nil, Limits{}, "reading the provenance: the engine at ", 1},
		"too large":   {"1.55", answer, Limits{MaxProvenance: 20}, "reading the provenance: the attestation is larger than 20 bytes", 1},
		"without end": {"1.55", append([]byte(`[{"PredicateType": "`), make([]byte, maxInspect)...), Limits{}, "reading the provenance: ", 1},
	} {
		inspected := f.inspected(t, "sha256:"+strings.Repeat("1", 64))
		inspected["Descriptor"] = object{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + strings.Repeat("1", 64), "size": 1}
		e := &fakeEngine{api: tc.api, inspect: map[string]any{"app:1": inspected}, attest: tc.attest}
		img, err := New(Config{Engine: Engine{Host: e.listen(t)}, Limits: tc.limits}).Open(t.Context(), "docker-daemon:app:1")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := len(e.requests())
		raw, err := img.Provenance(t.Context())
		got := string(raw)
		if err != nil {
			got = err.Error()
		}
		if strings.HasPrefix(tc.want, "reading") != (err != nil) || !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s: %.200q, want %q", name, got, tc.want)
		}
		if n := len(e.requests()) - before; n != tc.asked {
			t.Errorf("%s: %d requests", name, n)
		}
		for _, r := range e.requests()[before:] {
			for _, part := range []string{"/images/sha256:", "platform=", "statement=1", "provenance%2Fv1", "provenance%2Fv0.2"} {
				if !strings.Contains(r, part) {
					t.Errorf("%s: asked %s, without %s", name, r, part)
				}
			}
		}
		img.Close()
	}
}

// TestProvenanceOfRealEngines loads an image with an attestation into those
// engines whose store keeps one. See TestRealEngines.
func TestProvenanceOfRealEngines(t *testing.T) {
	t.Parallel()
	hosts := bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES") // each of them holds ib/mixed:1
	statement := []byte(`{"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{}}}`)
	const tag = "ib/attested:test"
	for _, host := range strings.Split(hosts, ",") {
		t.Run(host, func(t *testing.T) {
			o := New(Config{Engine: Engine{Host: host}})
			img, err := o.Open(t.Context(), "docker-daemon:ib/mixed:1")
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			if raw, err := img.Provenance(t.Context()); raw != nil || err != nil {
				t.Errorf("an image without: %d bytes, %v", len(raw), err)
			}
			if !img.HasProvenance() {
				return // no containerd store
			}
			api, err := dialEngine(Engine{}, host, "")
			if err != nil {
				t.Fatal(err)
			}
			defer api.Close()
			loaded, err := api.ImageLoad(t.Context(), bytes.NewReader(archiveOf(t, itemsOf(loadable(t, statement, tag))...)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, loaded)
			if err := errors.Join(err, loaded.Close()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if _, err := api.ImageRemove(context.Background(), tag, client.ImageRemoveOptions{}); err != nil {
					t.Error(err)
				}
			})
			for _, platform := range []string{"", "linux/amd64"} {
				one, err := New(Config{Engine: Engine{Host: host}, Platform: platform}).Open(t.Context(), "docker-daemon:"+tag)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := one.Provenance(t.Context())
				if err != nil || string(raw) != string(statement) {
					t.Errorf("platform %q: %q, %v", platform, raw, err)
				}
				if err := one.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// loadable is a layout with an image and its attestation in an index of that
// name.
func loadable(t testing.TB, statement []byte, tag string) map[string][]byte {
	files := attestedFixture(t, func(_, m object) {
		// Engines want all that a manifest names.
		m["layers"] = m["layers"].([]any)[1:]
		m["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
	}, statement)
	files[blobPath([]byte("{}"))] = []byte("{}")
	var index struct{ Manifests []map[string]any }
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	index.Manifests[0]["platform"] = object{"os": "linux", "architecture": "amd64"}
	const mediaType = "application/vnd.oci.image.index.v1+json"
	inner := toJSON(t, object{"schemaVersion": 2, "mediaType": mediaType, "manifests": index.Manifests})
	files[blobPath(inner)] = inner
	d := descriptor(mediaType, inner)
	d["annotations"] = object{"io.containerd.image.name": "docker.io/" + tag}
	files["index.json"] = toJSON(t, object{"schemaVersion": 2, "manifests": []any{d}})
	return files
}
