package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	documentSchema = 1
	// maxEntries bounds the baselines of one file.
	maxEntries = 10_000
	saveAgain  = "save it again with 'image-budget baseline save'"
)

// document is the content of a baseline file: snapshots by image and platform.
type document struct{ entries []documentEntry }

// documentEntry keeps the bytes of a snapshot as they stood in the file, so
// that saving one image does not show up as a change of all.
type documentEntry struct {
	name     string
	snapshot []byte
}

// entryName joins image and platform. A platform has no space, so two keys
// never share a name.
func entryName(key Key) string { return key.Image + " " + key.Platform }

func splitName(name string) (image, platform string) {
	space := strings.LastIndexByte(name, ' ')
	if space < 0 {
		return name, ""
	}
	return name[:space], name[space+1:]
}

// find returns the snapshot of a key in the file at path, which errors name.
// An error says what there is instead: it wraps [ErrNotFound] where the image
// is missing and [ErrPlatform] where only the platform is.
func (d *document) find(path string, key Key) ([]byte, error) {
	var platforms, others []string
	var only []byte
	for _, e := range d.entries {
		if key.Platform != "" && e.name == entryName(key) {
			return e.snapshot, nil
		}
		image, platform := splitName(e.name)
		if image != key.Image {
			others = append(others, fmt.Sprintf("%q (%s)", image, platform))
			continue
		}
		platforms = append(platforms, platform)
		only = e.snapshot
	}
	switch {
	case key.Platform == "" && len(platforms) == 1:
		return only, nil
	case key.Platform == "" && len(platforms) > 1:
		return nil, fmt.Errorf("%s has %q for %s; say which with --platform", path, key.Image, list(platforms))
	case len(platforms) > 0:
		return nil, fmt.Errorf("%w: %s has %q for %s, not for %s", ErrPlatform, path, key.Image, list(platforms), key.Platform)
	case len(others) > 0:
		return nil, fmt.Errorf("%w: %s has no %q, only %s", ErrNotFound, path, key.Image, list(others))
	}
	return nil, fmt.Errorf("%w: %s holds no baseline", ErrNotFound, path)
}

func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// put adds or replaces a snapshot, keeping the entries sorted.
func (d *document) put(key Key, snapshot []byte) {
	name := entryName(key)
	indented := bytes.ReplaceAll(bytes.TrimSpace(snapshot), []byte("\n"), []byte("\n    "))
	i, found := slices.BinarySearchFunc(d.entries, name, func(e documentEntry, name string) int { return strings.Compare(e.name, name) })
	if !found {
		d.entries = slices.Insert(d.entries, i, documentEntry{name: name})
	}
	d.entries[i].snapshot = indented
}

func (d *document) bytes() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n  \"schema\": %d,\n  \"images\": {", documentSchema)
	for i, e := range d.entries {
		if i > 0 {
			out.WriteByte(',')
		}
		// A string always encodes.
		name, _ := json.Marshal(e.name)
		fmt.Fprintf(&out, "\n    %s: ", name)
		out.Write(e.snapshot)
	}
	out.WriteString("\n  }\n}\n")
	return out.Bytes()
}

// parseDocument reads a baseline file, not yet what is in its snapshots.
func parseDocument(data []byte) (*document, error) {
	if err := notBaseline(data); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	p := documentParser{dec: dec}
	doc := p.document()
	if p.err == nil {
		if _, err := dec.Token(); err != io.EOF {
			p.fail("something follows its end")
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	slices.SortFunc(doc.entries, func(a, b documentEntry) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(doc.entries); i++ {
		if doc.entries[i].name == doc.entries[i-1].name {
			return nil, fmt.Errorf("it holds %q twice, as after a merge; delete one of the two, or %s", doc.entries[i].name, saveAgain)
		}
	}
	return doc, nil
}

// notBaseline recognises what people find in the place of a baseline.
func notBaseline(data []byte) error {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("it is empty: " + saveAgain)
	case bytes.HasPrefix(data, []byte("<<<<<<< ")) || bytes.Contains(data, []byte("\n<<<<<<< ")):
		return errors.New("it holds a merge conflict: resolve it, or delete the file and " + saveAgain)
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return errors.New("it is a Git LFS pointer: fetch the file itself (git lfs pull) first")
	}
	return nil
}

// documentParser walks the outer objects by hand: a map would lose the bytes
// of an entry, and the one of two entries with the same name.
type documentParser struct {
	dec *json.Decoder
	err error
}

func (p *documentParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s: it was edited or damaged: %s", fmt.Sprintf(format, args...), saveAgain)
	}
}

// token reads the next token, and decode a whole value; both note errors.
func (p *documentParser) token() json.Token {
	if p.err != nil {
		return nil
	}
	t, err := p.dec.Token()
	p.note(err)
	return t
}

func (p *documentParser) decode(v any) {
	if p.err == nil {
		p.note(p.dec.Decode(v))
	}
}

func (p *documentParser) note(err error) {
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		p.err = errors.New("it ends in the middle, as if it had been written only half: delete it and " + saveAgain)
	default:
		p.err = fmt.Errorf("it is not the JSON of a baseline (%w): delete it and %s", err, saveAgain)
	}
}

// keys calls value for each key of the object that comes next.
func (p *documentParser) keys(value func(key string)) {
	if t := p.token(); t != json.Delim('{') {
		p.fail("it holds no object where one belongs")
	}
	for p.err == nil && p.dec.More() {
		key, _ := p.token().(string)
		if p.err == nil {
			value(key)
		}
	}
	p.token() // the closing brace; More is false at the end of input too
}

func (p *documentParser) document() *document {
	doc := &document{}
	schema, images := 0, false
	p.keys(func(key string) {
		switch {
		case key == "schema" && schema == 0:
			p.decode(&schema)
			p.checkSchema(schema)
		case key == "images" && !images && schema != 0:
			images = true
			p.keys(func(name string) {
				var raw json.RawMessage
				p.decode(&raw)
				if _, platform := splitName(name); platform == "" || len(doc.entries) == maxEntries {
					p.fail("the entry %q names no image and platform, or is one too many", clip(name))
				}
				doc.entries = append(doc.entries, documentEntry{name, raw})
			})
		default:
			p.fail("the key %q does not belong there", clip(key))
		}
	})
	if schema == 0 || !images {
		p.fail("it names no schema or no images")
	}
	return doc
}

func (p *documentParser) checkSchema(schema int) {
	switch {
	case p.err != nil:
	case schema > documentSchema:
		p.err = fmt.Errorf("it was made by a newer image-budget (schema %d, this one reads %d): update image-budget, or delete the file and %s", schema, documentSchema, saveAgain)
	case schema < 1:
		p.fail("schema %d was never in use", schema)
	}
}
