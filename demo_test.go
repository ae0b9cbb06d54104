package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const demoDir = "testdata/demo"

func TestTheDemoImagesAreWhatTheirGeneratorWrites(t *testing.T) {
	t.Parallel()
	// Reading the sources makes a cached result depend on them.
	readTree(t, filepath.Join(demoDir, "generate"))
	dir := t.TempDir()
	out, err := exec.Command("go", "run", "./"+demoDir+"/generate", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("running the generator: %v\n%s", err, out)
	}
	committed, made := readTree(t, filepath.Join(demoDir, "images")), readTree(t, dir)
	size := 0
	for path, want := range made {
		size += len(want)
		switch got, ok := committed[path]; {
		case !ok:
			t.Errorf("%s is not in %s/images; run: go run ./%s/generate", path, demoDir, demoDir)
		case !bytes.Equal(got, want):
			t.Errorf("%s/images/%s differs from what the generator writes; run: go run ./%s/generate", demoDir, path, demoDir)
		}
	}
	for path := range committed {
		if _, ok := made[path]; !ok {
			t.Errorf("the generator does not write %s/images/%s", demoDir, path)
		}
	}
	if size == 0 || size > 2_000_000 {
		t.Errorf("the images have %d bytes, want at most 2 MB: everybody who clones the repository gets them", size)
	}
}

// readTree returns the files below dir by their slash-separated path.
func readTree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
