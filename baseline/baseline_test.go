package baseline_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/baseline/baselinetest"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/source"
)

var update = flag.Bool("update", false, "write what is expected anew")

func opened(t *testing.T, spec string, opt baseline.Options) baseline.Store {
	t.Helper()
	s, err := baseline.Open(spec, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var web = baseline.Key{Image: "web", Platform: "linux/amd64"}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inside := filepath.Join(dir, "deep", "er")
	baselinetest.Test(t, func() baseline.Store {
		return opened(t, "file:deep/er/size.json", baseline.Options{Dir: dir})
	})
	// Neither a temporary file nor anything a key named is left.
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(inside, "size.json")}, names); diff != "" {
		t.Error(diff)
	}
}

func TestFileLeavesOtherEntriesAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "size.json")
	s := opened(t, "file:"+path, baseline.Options{})
	for _, name := range []string{"web", "api"} {
		if err := s.Save(t.Context(), []baseline.Entry{{Key: baseline.Key{Image: name, Platform: "linux/amd64"}, Image: baselinetest.Image(name, "linux/amd64", 1000), Meta: footprint.Meta{}}}); err != nil {
			t.Fatal(err)
		}
	}
	before := read(t, path)
	// Someone's formatter went over it.
	formatted := bytes.ReplaceAll(before, []byte(`"reference": "docker://example.com/api"`), []byte(`"reference":     "docker://example.com/api"`))
	write(t, path, formatted)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), []baseline.Entry{{Key: web, Image: baselinetest.Image("web", "linux/amd64", 1000), Meta: footprint.Meta{}}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(formatted), string(read(t, path))); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

// TestFileText holds the text of a baseline file, which people review.
func TestFileText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "size.json")
	s := opened(t, "file:"+path, baseline.Options{})
	if err := s.Save(t.Context(), []baseline.Entry{{Key: web, Image: baselinetest.Image("web", "linux/amd64", 1000), Meta: footprint.Meta{Tool: "image-budget 1.0.0", Commit: "abc"}}}); err != nil {
		t.Fatal(err)
	}
	if *update {
		write(t, "testdata/size.json", read(t, path))
	}
	want := string(read(t, "testdata/size.json"))
	if diff := cmp.Diff(want, string(read(t, path))); diff != "" {
		t.Error(diff)
	}
}

func TestFileRefuses(t *testing.T) {
	t.Parallel()
	good := string(read(t, "testdata/size.json"))
	for name, c := range map[string]struct{ content, want string }{
		"empty":          {" \n", "is empty"},
		"half":           {good[:len(good)/2], "in the middle"},
		"no end":         {strings.TrimSuffix(good, "}\n"), "in the middle"},
		"garbage":        {"\x00\x01\x7fELF", "not the JSON of a baseline"},
		"conflict":       {"<<<<<<< HEAD\n" + good, "merge conflict"},
		"conflict below": {"{\n<<<<<<< HEAD\n" + good, "merge conflict"},
		"lfs":            {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
		"newer":          {strings.Replace(good, `"schema": 1`, `"schema": 2`, 1), "newer image-budget"},
		"newer, changed": {`{"schema": 2, "data": []}`, "newer image-budget"},
		"newer inside":   {good[:40] + strings.Replace(good[40:], `"schema": 1`, `"schema": 2`, 1), "newer image-budget"},
		"schema 0":       {`{"schema": 0, "images": {}}`, "never in use"},
		"schema -1":      {`{"schema": -1, "images": {}}`, "never in use"},
		"no schema":      {`{"images": {}}`, "does not belong there"},
		"no images":      {`{"schema": 1}`, "no schema or no images"},
		"a list":         {`[]`, "no object"},
		"a bare one":     {`{"schema": 1, "tool": "x"}`, `"tool" does not belong`},
		"twice":          {strings.Replace(good, `"images": {`, `"images": {"web linux/amd64": {},`, 1), "twice"},
		"images twice":   {`{"schema": 1, "images": {}, "images": {}}`, "does not belong there"},
		"no platform":    {`{"schema": 1, "images": {"web": {}}}`, "no image and platform"},
		"trailing":       {good + "{}", "follows its end"},
		"edited":         {strings.Replace(good, `"final": 1000`, `"final": 1001`, 1), "does not add up"},
		"deep":           {`{"schema": 1, "images": {"web linux/amd64": ` + strings.Repeat("[", 100_000), "not the JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "size.json")
			write(t, path, []byte(c.content))
			s := opened(t, "file:"+path, baseline.Options{})
			_, err := s.Load(t.Context(), web)
			if err == nil || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("loading: %v, want %q", err, c.want)
			}
			if strings.Contains(name, "inside") || name == "edited" {
				return
			}
			// A file that is not understood is not overwritten either.
			if err := s.Save(t.Context(), []baseline.Entry{{Key: web, Image: baselinetest.Image("web", "linux/amd64", 1), Meta: footprint.Meta{}}}); err == nil {
				t.Error("it was overwritten")
			}
			if got := string(read(t, path)); got != c.content {
				t.Errorf("it has changed to %q", got)
			}
		})
	}
}

func TestFileThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for spec, want := range map[string]string{"file:" + dir: "is a directory", "file:/dev/zero": "no regular file"} {
		_, err := opened(t, spec, baseline.Options{}).Load(t.Context(), web)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
	large := filepath.Join(dir, "large.json")
	write(t, large, nil)
	if err := os.Truncate(large, 65<<20); err != nil {
		t.Fatal(err)
	}
	_, err := opened(t, "file:"+large, baseline.Options{}).Load(t.Context(), web)
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("large: %v", err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	opt := baseline.Options{
		Measure:    func(context.Context, string, baseline.Key) (*footprint.Image, error) { return nil, nil },
		Registries: source.New(source.Config{}),
		Now:        time.Now,
	}
	for spec, want := range map[string]string{
		"":                                 "write file:PATH, branch:NAME, registry:REF, image:REF, build or none",
		" ":                                "write file:PATH, branch:NAME, registry:REF, image:REF, build or none",
		"file:":                            "nothing after the colon",
		"image: ":                          "nothing after the colon",
		"branch:":                          "nothing after the colon",
		"branch":                           "none that I know; write",
		"barnch:sizes":                     `did you mean "branch:sizes"?`,
		"branch:a..b":                      "cannot be the name of a branch",
		"branch:refs/heads/x":              "write branch:x",
		"registry:":                        "nothing after the colon",
		"registry:ghcr.io/A":               "not HOST/PATH in lower case",
		"registry:me:secret@ghcr.io/a/b@c": "names a digest",
		"registry:ghcr.io/a/b:Size":        "at most 20 letters",
		"registy:ghcr.io/a/b":              `did you mean "registry:ghcr.io/a/b"?`,
		"fiel:size.json":                   `did you mean "file:size.json"?`,
		"File:size":                        `did you mean "file:size"?`,
		"imgae:web:latest":                 `did you mean "image:web:latest"?`,
		"size.json":                        `did you mean "file:size.json"?`,
		"file//size.json":                  `did you mean "file:file//size.json"?`,
		"ghcr.io/acme/web:1":               `did you mean "image:ghcr.io/acme/web:1"?`,
		"docker://acme/web:1":              `did you mean "image:acme/web:1"?`,
		"nnoe":                             `did you mean "none"?`,
		"whatever":                         "none that I know; write",
		"x\ny":                             `"x\ny"`,
		"file:a\x00b":                      "zero byte",
	} {
		_, err := baseline.Open(spec, opt)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", spec, err, want)
		}
	}
	for _, spec := range []string{"image:web", "registry:example.com/a"} {
		if _, err := baseline.Open(spec, baseline.Options{}); err == nil {
			t.Errorf("%s was opened without what it needs", spec)
		}
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	gone := errors.New("MANIFEST_UNKNOWN")
	var asked []string
	s := opened(t, "image:ghcr.io/acme/web:edge", baseline.Options{
		Measure: func(_ context.Context, ref string, key baseline.Key) (*footprint.Image, error) {
			asked = append(asked, ref+" "+key.Platform)
			if len(asked) > 1 {
				return nil, gone
			}
			return baselinetest.Image("web", key.Platform, 1000), nil
		},
	})
	found, err := s.Load(t.Context(), web)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(baselinetest.Image("web", "linux/amd64", 1000), found.Image); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Load(t.Context(), web); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"ghcr.io/acme/web:edge linux/amd64", "ghcr.io/acme/web:edge linux/amd64"}, asked); diff != "" {
		t.Error(diff)
	}
	if err := s.Save(t.Context(), []baseline.Entry{{Key: web, Image: found.Image, Meta: footprint.Meta{}}}); !errors.Is(err, baseline.ErrReadOnly) {
		t.Errorf("saving: %v", err)
	}
}

func TestNone(t *testing.T) {
	t.Parallel()
	s := opened(t, "none", baseline.Options{})
	if _, err := s.Load(t.Context(), web); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("loading: %v", err)
	}
	if err := s.Save(t.Context(), []baseline.Entry{{Key: web, Image: baselinetest.Image("web", "linux/amd64", 1), Meta: footprint.Meta{}}}); !errors.Is(err, baseline.ErrReadOnly) {
		t.Errorf("saving: %v", err)
	}
}

func TestSaveRefusesWhatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "size.json")
	img := baselinetest.Image("web", "linux/amd64", 1000)
	img.Metrics.Final++
	if err := opened(t, "file:"+path, baseline.Options{}).Save(t.Context(), []baseline.Entry{{Key: web, Image: img, Meta: footprint.Meta{}}}); err == nil {
		t.Error("it was saved")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	good, err := os.ReadFile("testdata/size.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"schema": 1, "images": {"web linux/amd64": {"schema": 1}}}`))
	f.Add([]byte("<<<<<<< HEAD"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "size.json")
		write(t, path, data)
		s := opened(t, "file:"+path, baseline.Options{})
		found, err := s.Load(t.Context(), web)
		if (err == nil) != (found != nil) {
			t.Fatalf("%v and %v", found, err)
		}
		if found != nil {
			if err := found.Image.Verify(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
