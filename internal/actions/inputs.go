package actions

import (
	"strings"

	"github.com/sethvargo/go-githubactions"
)

// Inputs reads the inputs of the action from the environment.
type Inputs struct {
	action *githubactions.Action
}

// NewInputs returns the inputs found with getenv, which returns "" for what is not set.
func NewInputs(getenv func(string) string) Inputs {
	return Inputs{githubactions.New(githubactions.WithGetenv(getenv))}
}

// String returns the input called name, as in action.yml ("fail-on"), without white space
// around it, or "" if it is not set; the runner sets inputs nobody gave to "", so the two are
// the same. The runner keeps hyphens in the variable (INPUT_FAIL-ON), which most shells
// cannot write, so INPUT_FAIL_ON is read as well, after it.
func (in Inputs) String(name string) string {
	if v := in.action.GetInput(name); v != "" {
		return v
	}
	return in.action.GetInput(strings.ReplaceAll(name, "-", "_"))
}
