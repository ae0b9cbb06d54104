package advice

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestACopyIsSaidOnce(t *testing.T) {
	t.Parallel()
	zones := copied{from: []string{"/z"}, to: "/z"}
	first, again := zones, zones
	first.why, again.why = "Time zones.", "The program."
	program := copied{from: []string{"/app"}, to: "/app"}
	owned := zones
	owned.chown = "1:1"
	named := program
	named.why = "The program."
	got := distinct([]copied{first, again, program, owned, zones})
	if d := gocmp.Diff([]copied{first, named, owned}, got, gocmp.AllowUnexported(copied{})); d != "" {
		t.Error(d)
	}
}
