package dockerfile

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestNoEditNoChange takes every Dockerfile of the repository, also those in
// archives: read and edited with nothing it has the same bytes, and all that it
// runs in a shell is read.
func TestNoEditNoChange(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	isDockerfile := func(name string) bool {
		base := path.Base(filepath.ToSlash(name))
		return base == "Dockerfile" || strings.HasPrefix(base, "Dockerfile.") || strings.HasSuffix(base, ".Dockerfile")
	}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && d.Name() == ".git" {
				return filepath.SkipDir
			}
			return err
		}
		switch {
		case isDockerfile(name):
			src, err := os.ReadFile(name)
			files[name] = src
			return err
		case filepath.Ext(name) == ".txtar":
			archive, err := txtar.ParseFile(name)
			if err != nil {
				return err
			}
			for _, f := range archive.Files {
				if isDockerfile(f.Name) {
					files[name+":"+f.Name] = f.Data
				}
			}
		}
		return nil
	})
	if err != nil || len(files) < 30 {
		t.Fatalf("%d Dockerfiles, %v", len(files), err)
	}
	read := 0
	for name, src := range files {
		before := bytes.Clone(src)
		f, err := Parse("Dockerfile", src)
		if err != nil {
			continue // some are there because they are wrong
		}
		read++
		commands := 0
		for i := range f.Stages {
			for _, s := range f.Steps(f.Stages[i].label(), nil) {
				if script, err := s.Script(); err == nil {
					start, end := s.Bytes()
					checkScript(t, src, script, start, end, true)
					commands += len(script.Calls)
				} else if s.ShellForm() && s.Keyword == "RUN" && !bytes.Contains(src, []byte("SHELL")) && !bytes.Contains(src, []byte("#!")) {
					t.Errorf("%s:%d: %v", name, s.Start, err)
				}
			}
		}
		got, err := Apply(f.Src, nil)
		if err != nil || !bytes.Equal(got, before) || Diff(name, before, got) != "" {
			t.Errorf("%s has changed", name)
		}
	}
	if read < 30 {
		t.Errorf("only %d of %d Dockerfiles were read", read, len(files))
	}
}
