// Package bench is how tests reach the test bench that .ci/run starts: real
// engines, a buildkitd, a registry. It is for tests alone, starts nothing
// itself, and makes sure that a run which must not skip a test does not.
package bench

import (
	"os"
	"os/exec"
	"testing"
)

// Setting returns what the bench says of itself in an environment variable. On
// a machine without a bench it skips the test, unless
// IMAGE_BUDGET_REQUIRE_ENGINES is set: then it fails.
func Setting(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		if os.Getenv("IMAGE_BUDGET_REQUIRE_ENGINES") != "" {
			t.Fatalf("%s is not set, and this run must not skip", name)
		}
		t.Skipf("needs the test bench: start it with .ci/run, which sets %s", name)
	}
	return v
}

// Command returns the path of a program that the bench installs. Where it is
// missing the test is skipped or fails, as with [Setting].
func Command(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("IMAGE_BUDGET_REQUIRE_ENGINES") != "" {
			t.Fatalf("%s is not installed, and this run must not skip", name)
		}
		t.Skipf("needs %s, which .ci/install installs", name)
	}
	return path
}
