package report

import (
	"strings"

	"github.com/org/image-budget/budget"
)

// setuidWords names setuid files of a check that has too many.
func setuidWords(c budget.Check, q quote) string {
	var names []string
	for _, path := range c.Examples {
		names = append(names, q(path))
	}
	words := "setuid files"
	if c.Kind.IsGrowth() {
		words = "new setuid files"
	}
	if c.Scope == budget.ScopeOwn {
		words = "own " + words
	}
	if more := c.Actual - int64(len(names)); more > 0 {
		return words + ", among them: " + strings.Join(names, ", ")
	}
	return words + ": " + strings.Join(names, ", ")
}
