package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/org/image-budget/footprint"
)

// flagSet is the standard flag package with three habits people expect:
// flags may follow arguments, an unknown one gets a suggestion, and in a
// workflow the inputs of the action are the defaults.
type flagSet struct {
	*flag.FlagSet
	command *Command
	synopsis,
	help string
}

func (c *Command) flags(name, synopsis, help string) *flagSet {
	fs := &flagSet{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), command: c, synopsis: synopsis, help: help}
	fs.SetOutput(&bytes.Buffer{}) // messages are ours
	fs.Usage = func() {}
	return fs
}

// errHelp ends a command after its help was printed.
var errHelp = &verdictError{code: ExitOK}

// parse returns the arguments that are no flags.
func (fs *flagSet) parse(args []string) ([]string, error) {
	var rest []string
	for {
		err := fs.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			fs.printHelp()
			return nil, errHelp
		}
		if err != nil {
			return nil, fs.mistake(err)
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		done := len(args) - fs.NArg()
		if done > 0 && args[done-1] == "--" {
			return append(rest, fs.Args()...), nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

func (fs *flagSet) mistake(err error) error {
	const unknown = "flag provided but not defined: -"
	if name, ok := strings.CutPrefix(err.Error(), unknown); ok {
		return usagef(fs.Name(), "%s has no flag --%s%s", fs.Name(), name, didYouMean(name, fs.names()))
	}
	return usagef(fs.Name(), "%w", err)
}

func (fs *flagSet) names() []string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func (fs *flagSet) printHelp() {
	out := fs.command.Stdout
	fmt.Fprintf(out, "Usage: image-budget %s\n", strings.TrimSpace(fs.Name()+" "+fs.synopsis))
	for paragraph := range strings.SplitSeq(fs.help, "\n\n") {
		fmt.Fprintln(out)
		printWrapped(out, paragraph, "")
	}
	if len(fs.names()) == 0 {
		return
	}
	fmt.Fprint(out, "\nFlags:\n")
	fs.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		if text == "" {
			return
		}
		if value != "" {
			value = " " + value
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(out, "  --%s%s\n", f.Name, value)
		printWrapped(out, text, "      ")
	})
}

// printWrapped breaks a text into lines of at most 80 columns.
func printWrapped(w io.Writer, text, indent string) {
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > 80 {
			fmt.Fprintln(w, line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, line)
}

// inputs takes the inputs of the action as defaults. Flags that the user
// gives on a command line win. An input that is empty is not given.
func (fs *flagSet) inputs(skip ...string) error {
	if !fs.command.runner.Actions {
		return nil
	}
	var errs []error
	fs.VisitAll(func(f *flag.Flag) {
		if slices.Contains(skip, f.Name) {
			return
		}
		value, ok := fs.command.input(f.Name)
		if !ok {
			return
		}
		values := []string{value}
		if _, list := f.Value.(*listFlag); list {
			values = splitLines(value)
		}
		for _, v := range values {
			if err := f.Value.Set(v); err != nil {
				errs = append(errs, usagef("", "the input %s: %q: %w", f.Name, v, err))
			}
		}
	})
	return errors.Join(errs...)
}

func splitLines(s string) []string {
	var out []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// listFlag may be given several times.
type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, ", ") }
func (l *listFlag) Set(s string) error { *l = append(*l, s); return nil }

// choiceFlag is one word out of a few.
type choiceFlag struct {
	value   string
	choices []string
}

func (f *choiceFlag) String() string { return f.value }

func (f *choiceFlag) Set(s string) error {
	if !slices.Contains(f.choices, s) {
		return fmt.Errorf("must be one of %s%s", strings.Join(f.choices, ", "), didYouMean(s, f.choices))
	}
	f.value = s
	return nil
}

func (fs *flagSet) choice(name, usage, value string, choices ...string) *choiceFlag {
	f := &choiceFlag{value, choices}
	fs.Var(f, name, usage)
	return f
}

// sizeFlag is a size with a unit.
type sizeFlag struct{ bytes footprint.Bytes }

func (f *sizeFlag) String() string {
	if f.bytes == 0 {
		return ""
	}
	return strings.ReplaceAll(f.bytes.String(), " ", "")
}

func (f *sizeFlag) Set(s string) error { return f.bytes.UnmarshalText([]byte(s)) }

func (fs *flagSet) list(name, usage string) *listFlag {
	f := &listFlag{}
	fs.Var(f, name, usage)
	return f
}

func (fs *flagSet) size(name, usage string) *sizeFlag {
	f := &sizeFlag{}
	fs.Var(f, name, usage)
	return f
}
