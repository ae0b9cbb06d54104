package advice

import (
	"testing"

	"github.com/org/image-budget/footprint"
)

func TestSuggestionsWithinTheRewrite(t *testing.T) {
	img := &footprint.Image{Packages: []footprint.Package{{Name: "gcc"}}}
	left := &leftOut{packages: map[string]footprint.Bytes{}}
	left.add(img, footprint.File{Path: "/usr/bin/gcc", Size: 700, Owner: 1})
	left.add(img, footprint.File{Path: "/var/lib/apt/lists/a", Size: 100})
	left.add(img, footprint.File{Path: "/var/lib/apt/lists/b", Size: 100})
	one := func(rule, path string, bytes footprint.Bytes) footprint.Suggestion {
		return footprint.Suggestion{Rule: rule, Bytes: bytes, Metric: footprint.Unpacked, Paths: []footprint.WeighedPath{{Path: path, Bytes: bytes}}}
	}
	all := []footprint.Suggestion{
		one(singleStageID, "/usr/bin", 900),
		one(buildToolsInFinalStage.ID, "gcc", 700),
		one("recommended-packages", "gcc", 600),
		one("archive-left", "/var/lib/apt/lists/c", 100),
		one("package-cache-left", "/var/lib/apt/lists", 200),
		one("package-cache-left", "/var/lib/apt/list", 10),
		one("cache-order", "/var/lib/apt/lists", 200),
	}
	check := func(s *subject, want ...string) {
		t.Helper()
		for i := range all {
			all[i].Within = ""
		}
		s.within(all)
		for i, o := range all {
			if o.Within != want[i] {
				t.Errorf("%s of %s is within %q, want %q", o.Rule, o.Paths[0].Path, o.Within, want[i])
			}
		}
	}
	s := &subject{left: left, tools: map[string]bool{"gcc": true}}
	// Without an edit there is nothing to do instead.
	check(s, "", "", buildToolsInFinalStage.ID, "", "", "", "")
	all[0].Edits = []footprint.Edit{{Text: "FROM scratch"}}
	check(s, "", singleStageID, singleStageID, "", singleStageID, "", "")
}
