package pkgdb

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// recordedGoldens is the method that the golden files were made with, and a hash
// of what is in them.
const recordedGoldens = "packages 2: 0fad9eee648b3e49"

// TestAnotherReadingIsAnotherMethod holds Method: facts that are stored with
// layers under its name must be those that the readers of today would find.
func TestAnotherReadingIsAnotherMethod(t *testing.T) {
	t.Parallel()
	h := sha256.New()
	files := os.DirFS("testdata")
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".want") && !strings.HasSuffix(path, ".want.gz") {
			return err
		}
		content, err := fs.ReadFile(files, path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(content), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s: %.8x", Method, h.Sum(nil)); got != recordedGoldens {
		t.Errorf("golden files or Method changed, the record is %q: if a reader now tells something else of the same bytes, "+
			"raise the number in Method, so that layers read before are read anew; then record %q here", recordedGoldens, got)
	}
}
