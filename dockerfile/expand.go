package dockerfile

import (
	"maps"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// hole stands in a text for what is not known. A Dockerfile cannot hold it to
// any use: the system knows no argument and no path with it.
const hole = "\x00"

const (
	// maxValue bounds a value that is put in for a variable, and maxWord a
	// word with variables: "ENV A=$A$A" doubles with every line.
	maxValue = 1 << 10
	maxWord  = 8 << 10
)

// variables are the build arguments and the environment at one place of a
// Dockerfile, as far as the Dockerfile says.
type variables struct {
	values map[string]string
	// env are those of them that ENV set, which the next stage inherits.
	env    map[string]string
	escape rune
}

func newVariables(escape rune) *variables {
	return &variables{values: map[string]string{}, env: map[string]string{}, escape: escape}
}

// globals are the variables that FROM sees.
func (f *File) globals(args map[string]string) *variables {
	v := newVariables(f.escape)
	for _, arg := range f.global {
		v.declare(arg, args, nil)
	}
	return v
}

// nextStage keeps the environment and forgets the build arguments.
func (v *variables) nextStage() *variables {
	return &variables{values: maps.Clone(v.env), env: maps.Clone(v.env), escape: v.escape}
}

// declare does what ARG does.
func (v *variables) declare(arg instructions.KeyValuePairOptional, args map[string]string, global *variables) {
	if value, ok := args[arg.Key]; ok {
		v.set(arg.Key, value)
	} else if arg.Value != nil {
		v.set(arg.Key, v.literal(*arg.Value))
	} else if global != nil {
		if value, ok := global.values[arg.Key]; ok {
			v.set(arg.Key, value)
		}
	}
}

func (v *variables) set(key, value string) {
	if len(value) > maxValue {
		value = hole
	}
	v.values[key] = value
}

// setEnv does what ENV does with an expanded value.
func (v *variables) setEnv(key, value string) {
	v.set(key, value)
	v.env[key] = v.values[key]
}

// known puts in what is known and leaves the rest as it is written.
func (v *variables) known(word string) string {
	out, ok := v.expand(word, getter(func(name string) (string, bool) {
		value, ok := v.values[name]
		return value, ok && value != hole
	}), true)
	if !ok {
		return word
	}
	return out
}

// literal expands a word as a build would whose base image sets nothing.
func (v *variables) literal(word string) string {
	out, ok := v.expand(word, getter(func(name string) (string, bool) {
		value, ok := v.values[name]
		return value, ok
	}), false)
	if !ok {
		return hole
	}
	return out
}

// open expands a word with a hole for every variable: it also fits a build
// with other arguments or on a base image that sets them.
func (v *variables) open(word string) string {
	out, ok := v.expand(word, getter(func(string) (string, bool) { return hole, true }), false)
	if !ok {
		return hole
	}
	return out
}

func (v *variables) expand(word string, env getter, keep bool) (string, bool) {
	if n := strings.Count(word, "$"); n > 0 && len(word)+n*maxValue > maxWord*maxNesting || n > 0 && len(word) > maxWord {
		return "", false
	}
	lex := shell.NewLex(v.escape)
	lex.SkipUnsetEnv = keep
	out, _, err := lex.ProcessWord(word, env)
	return out, err == nil
}

// getter is an environment for BuildKit's expansion.
type getter func(name string) (string, bool)

// Get returns the value of a variable.
func (g getter) Get(name string) (string, bool) { return g(name) }

// Keys lists none; only names that are asked for matter.
func (g getter) Keys() []string { return nil }
