package cli

import (
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
)

// What was to be written only if it is proven, and is not, is an error.
func TestWriteOfWhatIsNotProven(t *testing.T) {
	t.Parallel()
	verify := true
	f := &suggestFlags{verify: &verify, write: &writeFlag{writeStages}}
	one := footprint.Suggestion{Rule: rewriteRule, Edits: []footprint.Edit{{File: "Dockerfile", Text: "x"}}}
	one.Verified = &footprint.Verification{Status: footprint.VerifyFailed, Reason: "another answer"}
	err := (&Command{}).writeSuggestions(f, &advised{suggestions: []footprint.Suggestion{one}})
	if err == nil || !strings.Contains(err.Error(), "nothing was written") || !strings.Contains(err.Error(), "another answer") {
		t.Errorf("got %v", err)
	}
}
