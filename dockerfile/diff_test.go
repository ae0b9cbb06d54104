package dockerfile

import (
	"strings"
	"testing"
)

// A diff names its file so that it can be applied.
func TestDiffNamesTheFile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Dockerfile":                             "Dockerfile",
		"./web/Dockerfile":                       "web/Dockerfile",
		"/home/me/web/Dockerfile":                "Dockerfile",
		"../web/a.Dockerfile":                    "a.Dockerfile",
		"https://example.org/a.git//Dockerfile":  "Dockerfile",
		"provenance://deploy/web/Dockerfile.web": "Dockerfile.web",
		"C:/web/Dockerfile":                      "Dockerfile",
	} {
		if diff := Diff(name, []byte("a\n"), []byte("b\n")); !strings.HasPrefix(diff, "--- a/"+want+"\n+++ b/"+want+"\n") {
			t.Errorf("%s: %q", name, diff)
		}
	}
}
