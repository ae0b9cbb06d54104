package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// built is the only time in the images.
var built = time.Date(2026, time.September, 14, 8, 30, 0, 0, time.UTC)

// image is an image under construction.
type image struct {
	layers  []layer
	history []history

	cmd, entrypoint     []string
	workdir, port, user string
}

type layer struct {
	blob   []byte
	diffID string
}

type history struct {
	Created    time.Time `json:"created"`
	CreatedBy  string    `json:"created_by"`
	Comment    string    `json:"comment,omitempty"`
	EmptyLayer bool      `json:"empty_layer,omitempty"`
}

func (m *image) clone() *image {
	c := *m
	c.layers, c.history = slices.Clone(m.layers), slices.Clone(m.history)
	return &c
}

// add appends a layer.
func (m *image) add(createdBy string, t tree) {
	raw := t.tar()
	var blob bytes.Buffer
	zip, err := gzip.NewWriterLevel(&blob, 6)
	must(err)
	_, err = zip.Write(raw)
	must(err)
	must(zip.Close())
	m.layers = append(m.layers, layer{blob.Bytes(), digest(raw)})
	m.history = append(m.history, history{Created: built, CreatedBy: createdBy, Comment: "buildkit.dockerfile.v0"})
}

// note appends a line of history that brought no layer.
func (m *image) note(createdBy string) {
	m.history = append(m.history, history{Created: built, CreatedBy: createdBy, Comment: "buildkit.dockerfile.v0", EmptyLayer: true})
}

type descriptor struct {
	MediaType string            `json:"mediaType"`
	Digest    string            `json:"digest"`
	Size      int               `json:"size"`
	Platform  map[string]string `json:"platform,omitempty"`
}

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// write makes dir an OCI layout of the image.
func (m *image) write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	var failed error
	put := func(mediaType string, content []byte) descriptor {
		d := descriptor{MediaType: mediaType, Digest: digest(content), Size: len(content)}
		err := os.WriteFile(filepath.Join(blobs, strings.TrimPrefix(d.Digest, "sha256:")), content, 0o644)
		if failed == nil {
			failed = err
		}
		return d
	}
	var layers []descriptor
	var diffIDs []string
	for _, l := range m.layers {
		layers = append(layers, put(layerType, l.blob))
		diffIDs = append(diffIDs, l.diffID)
	}
	manifest := put(manifestType, encode(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        put(configType, encode(m.config(diffIDs))),
		"layers":        layers,
	}))
	manifest.Platform = map[string]string{"architecture": "amd64", "os": "linux"}
	if failed != nil {
		return failed
	}
	index := encode(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": []descriptor{manifest}})
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n"), 0o644)
}

func (m *image) config(diffIDs []string) map[string]any {
	run := map[string]any{
		"Env": []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"NODE_VERSION=20.19.5",
		},
		"Entrypoint": m.entrypoint,
		"Cmd":        m.cmd,
	}
	if m.workdir != "" {
		run["WorkingDir"] = m.workdir
	}
	if m.user != "" {
		run["User"] = m.user
	}
	if m.port != "" {
		run["ExposedPorts"] = map[string]any{m.port: map[string]any{}}
	}
	return map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"created":      built,
		"config":       run,
		"history":      m.history,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": diffIDs},
	}
}

// tree is what a layer holds: path without a leading slash to entry.
type tree map[string]entry

type entry struct {
	kind    byte // of package tar
	content []byte
	target  string // of a link
	mode    int64
	owner   int
}

// dir adds a directory, and those above it.
func (t tree) dir(names ...string) tree {
	for _, name := range names {
		for ; name != "." && name != "/"; name = path.Dir(name) {
			if _, ok := t[name]; !ok {
				t[name] = entry{kind: tar.TypeDir, mode: 0o755}
			}
		}
	}
	return t
}

func (t tree) file(name string, content []byte) tree {
	t.dir(path.Dir(name))
	t[name] = entry{kind: tar.TypeReg, content: content, mode: 0o644}
	return t
}

func (t tree) text(name, content string) tree { return t.file(name, []byte(content)) }

func (t tree) executable(name string, content []byte) tree {
	t.file(name, content)
	e := t[name]
	e.mode = 0o755
	t[name] = e
	return t
}

func (t tree) link(target string, names ...string) tree {
	for _, name := range names {
		t.dir(path.Dir(name))
		t[name] = entry{kind: tar.TypeSymlink, target: target, mode: 0o777}
	}
	return t
}

// join puts trees into one, later ones over earlier ones.
func join(trees ...tree) tree {
	all := tree{}
	for _, t := range trees {
		for name, e := range t {
			all[name] = e
		}
	}
	return all
}

// ownedBy returns a copy that belongs to a user, as chown leaves it.
func (t tree) ownedBy(user int) tree {
	c := tree{}
	for name, e := range t {
		e.owner = user
		c[name] = e
	}
	return c
}

// tar is the tree as an uncompressed layer, sorted by path.
func (t tree) tar() []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(t)) {
		e := t[name]
		if e.kind == tar.TypeDir {
			name += "/"
		}
		must(w.WriteHeader(&tar.Header{
			Typeflag: e.kind, Name: name, Linkname: e.target, Size: int64(len(e.content)),
			Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: built,
		}))
		_, err := w.Write(e.content)
		must(err)
	}
	must(w.Close())
	return buf.Bytes()
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	must(err)
	return b
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// must is for writes to memory, which fail only if this program is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
