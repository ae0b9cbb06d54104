package dockerfile

import (
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// hole stands in a text for what is not known. A Dockerfile cannot hold it to
// any use: the system knows no argument and no path with it.
const hole = "\x00"

const (
	// maxValue bounds a value that is put in for a variable, in bytes:
	// "ENV A=$A$A" doubles with every line.
	maxValue = 256
	// maxWord bounds a word with variables, before and after they are put in.
	maxWord = 4 << 10
	// maxPath bounds a working directory, which relative paths make longer.
	maxPath = 1 << 10
	// maxDefaults bounds how deep defaults are resolved in FROM.
	maxDefaults = 4
)

// variables are the build arguments and the environment at one place of a
// Dockerfile, as far as the Dockerfile says.
type variables struct {
	// args are those of the stage; env is what the next stage inherits.
	args, env map[string]string
	escape    rune
	// past has them instead, where they are those of a time: at.
	past *timeline
	at   int
}

// globals are the variables that FROM sees.
func (f *File) globals(args map[string]string) *variables {
	v := &variables{args: map[string]string{}, escape: f.escape}
	for _, arg := range f.global {
		v.declare(arg, args, nil)
	}
	return v
}

// declare does what ARG does: the value comes from the command line, else from
// the instruction, else from before the first FROM.
func (v *variables) declare(arg instructions.KeyValuePairOptional, given map[string]string, global *variables) {
	if value, ok := given[arg.Key]; ok {
		set(v.args, arg.Key, value)
	} else if arg.Value != nil {
		set(v.args, arg.Key, v.literal(*arg.Value))
	} else if global != nil {
		if value, ok := global.args[arg.Key]; ok {
			set(v.args, arg.Key, value)
		}
	}
}

// set puts a hole in the place of a value that is not worth its length.
func set(to map[string]string, key, value string) {
	if len(value) > maxValue {
		value = hole
	}
	to[key] = value
}

// get finds the value that was set last, as BuildKit does. In the classic
// builder ENV wins over ARG wherever they stand; an open fit covers that.
func (v *variables) get(name string) (string, bool) {
	if v.past != nil {
		return v.past.get(name, v.at)
	}
	if value, ok := v.args[name]; ok {
		return value, true
	}
	value, ok := v.env[name]
	return value, ok
}

// setEnv does what ENV does with an expanded value.
func (v *variables) setEnv(key, value string) {
	delete(v.args, key)
	set(v.env, key, value)
}

// withDefault is a variable that says what to take if it has no value.
var withDefault = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*:?[-+][^${}]*\}`)

// builtin are the arguments that FROM sees without an ARG. Only a build knows
// them.
var builtin = regexp.MustCompile(`^\$\{(?:BUILD|TARGET)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT|STAGE)\b`)

// known puts in what is known, and defaults, and leaves the rest as it is
// written.
func (v *variables) known(word string) string {
	keep := func(name string) (string, bool) {
		value, ok := v.get(name)
		return value, ok && !strings.Contains(value, hole)
	}
	// One in another takes a round for each.
	for range maxDefaults {
		if len(word) > maxWord || !withDefault.MatchString(word) {
			break
		}
		word = withDefault.ReplaceAllStringFunc(word, func(variable string) string {
			if out, ok := v.expand(variable, keep, false); ok && !builtin.MatchString(variable) {
				return out
			}
			return variable
		})
	}
	if out, ok := v.expand(word, keep, true); ok {
		return out
	}
	return word
}

// literal expands a word as a build would whose base image sets nothing.
func (v *variables) literal(word string) string {
	out, ok := v.expand(word, v.get, false)
	if !ok {
		return hole
	}
	return out
}

// open expands a word with a hole for every variable: it also fits a build
// with other arguments or on a base image that sets them.
func (v *variables) open(word string) string {
	out, ok := v.expand(word, func(string) (string, bool) { return hole, true }, false)
	if !ok {
		return hole
	}
	return out
}

// expand reports false for what is no valid word, or not worth the time.
func (v *variables) expand(word string, env getter, keep bool) (string, bool) {
	if n := strings.Count(word, "$"); n > 0 && len(word)+n*maxValue > maxWord {
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
