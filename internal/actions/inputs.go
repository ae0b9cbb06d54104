package actions

import (
	"fmt"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/image-budget/internal/escape"
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

// List returns the lines of the input called name, without white space around them and
// without empty ones.
func (in Inputs) List(name string) []string {
	var list []string
	for line := range strings.Lines(in.String(name)) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// Bool returns the input called name, or fallback if it is not set. Only the spellings of
// YAML's core schema are booleans: a "no" or "0" that silently meant true would post what
// its author wanted to keep quiet.
func (in Inputs) Bool(name string, fallback bool) (bool, error) {
	switch v := in.String(name); v {
	case "":
		return fallback, nil
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	default:
		return false, fmt.Errorf("input %s: %s is not a boolean; write true or false", name, escape.CodeProse(v, 40))
	}
}
