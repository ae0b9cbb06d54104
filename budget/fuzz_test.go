package budget

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/org/image-budget/footprint"
)

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yml", "testdata/bad/*.yml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Add([]byte("\x7fELF\x02\x01\x01\x00"))
	f.Add([]byte(strings.Repeat("[", 500)))
	f.Add([]byte(strings.Repeat("- ", 500)))
	f.Add([]byte("a: &a [*a]\n<<: *a"))
	f.Add([]byte("? a\n: b\n--- \n...\n%YAML 1.2\n"))
	schema := compiledSchema(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse("f.yml", src)
		if err != nil {
			checkPositions(t, src, err)
			return
		}
		value, err := decodeAny(src)
		if err != nil {
			t.Fatalf("accepted, and yet: %v", err)
		}
		if err := schema.Validate(value); err != nil {
			t.Fatalf("accepted, but not valid by the schema: %v\n%s", err, src)
		}
		for _, img := range file.Images {
			head := &footprint.Image{Paths: Measure(img.Patterns(), nil)}
			v := img.Evaluate(Input{Head: head})
			if names := img.limitNames(); !img.Implied && len(names) != len(v.Checks) {
				t.Fatalf("%d limits, %d checks", len(names), len(v.Checks))
			}
		}
	})
}

func checkPositions(t *testing.T, src []byte, err error) {
	t.Helper()
	var all Errors
	if !errors.As(err, &all) || len(all) == 0 {
		t.Fatalf("%T is not Errors", err)
	}
	lines := bytes.Split(src, []byte("\n"))
	for _, e := range all {
		if e.Line < 1 || e.Line > len(lines) || e.Col < 1 || e.Col > utf8.RuneCount(lines[e.Line-1])+1 {
			t.Fatalf("%d:%d is outside of the file", e.Line, e.Col)
		}
		if text := e.Error(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' }) || !utf8.ValidString(text) {
			t.Fatalf("the message holds control characters: %q", text)
		}
	}
}

func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decodeAny reads YAML without any of the code under test.
func decodeAny(src []byte) (any, error) {
	var value any
	if err := yaml.Unmarshal(bytes.TrimPrefix(src, []byte("\ufeff")), &value); err != nil {
		return nil, err
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(data))
}
