// Package cli is the program: it reads the command line, the environment and
// the clock, calls the other packages in the order measure, decide, show,
// post, and turns what happened into an exit code.
//
// Everything it needs from the process is a field of [Command], so that tests
// run the same program. It is the only package that knows the environment.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"

	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/internal/escape"
	"github.com/org/image-budget/internal/nearest"
	"github.com/org/image-budget/source"
)

// The exit codes.
const (
	// ExitOK is within budget, warnings included.
	ExitOK = 0
	// ExitOver is over budget.
	ExitOver = 1
	// ExitUsage is a mistake in the command line or the budget file.
	ExitUsage = 2
	// ExitUnmeasured is an image or baseline that could not be measured, a
	// report that could not be written, or a proof that failed where only what
	// is proven was to be written. It is never used for a verdict.
	ExitUnmeasured = 3
)

// version is stamped by the linker in a release.
var version = ""

// Command is one run of the program.
type Command struct {
	Stdout, Stderr io.Writer
	// Getenv returns a variable of the environment, "" if it is not set.
	Getenv func(string) string
	// Now is the clock.
	Now func() time.Time
	// Terminal tells whether a writer is a terminal, and its width.
	Terminal func(io.Writer) (width int, ok bool)
	// Executable is the path of this program, "" if it is not known. It is
	// copied into containers, to look at their network from inside.
	Executable string

	runner actions.Runner
	// delivered says that the report of this run reached the runner's files.
	delivered bool
	asked     asked
	log       zerolog.Logger
	// notes go through the runner's log filter: nothing in them can become
	// a command of the runner.
	notes *actions.LogWriter
}

// Exec runs the program with the arguments and streams of the process, and
// ends it.
func Exec(ctx context.Context) {
	// Libraries below BuildKit's client log to standard error, past the filter
	// that makes text harmless. What matters of it comes back as errors.
	logrus.SetOutput(io.Discard)
	// What is held while images are merged is a few large slices, so collecting
	// twice as often costs next to nothing, and an image of a million files a
	// fifth of the memory less. GOGC still decides where it is set.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	executable, _ := os.Executable() // "" is one that is not known
	c := &Command{
		Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Now: time.Now, Terminal: terminalWidth, Executable: executable,
	}
	os.Exit(c.Main(ctx, os.Args[1:]))
}

// commands in the order of the help text.
func (c *Command) commands() []subcommand {
	return []subcommand{
		{"check", "[IMAGE...]", "measure, compare, judge, report: the main job", c.check},
		{"inspect", "IMAGE", "show layers, what made them, waste and the largest paths", c.inspect},
		{"diff", "OLD NEW", "explain the difference between any two images", c.diff},
		{"suggest", "[IMAGE]", "say what would make an image smaller; --verify proves it, --write does it", c.suggest},
		{"explain", "[RULE]", "say what a rule of suggest finds, and why", c.explain},
		{"baseline", "save|show|list|prune [IMAGE...]", "store what images measure now, show what is stored, list it, or forget what is old", c.baseline},
		{"report", "REPORT.json...", "render stored reports again; several become one", c.report},
		{"init", "[IMAGE...]", "measure images and write a budget file with headroom", c.initialise},
		{"schema", "", "print the JSON Schema of the budget file", c.schema},
		{"version", "", "print the version", c.version},
	}
}

type subcommand struct {
	name, args, help string
	run              func(context.Context, []string) error
}

// Main runs one command and returns its exit code.
func (c *Command) Main(ctx context.Context, args []string) int {
	c.runner = actions.FromEnv(c.Getenv)
	c.notes = actions.NewLogWriter(c.Stderr)
	defer c.notes.Close()
	level := zerolog.InfoLevel
	if c.runner.Debug {
		level = zerolog.DebugLevel
	}
	c.log = zerolog.New(zerolog.ConsoleWriter{Out: c.notes, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName}}).Level(level)
	err := c.recovered(ctx, args)
	if err == nil {
		return ExitOK
	}
	var quiet *verdictError
	if errors.As(err, &quiet) {
		return quiet.code
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	c.complain(err)
	var usage *usageError
	if errors.As(err, &usage) {
		if usage.command != "" {
			fmt.Fprintf(c.notes, "Run 'image-budget %s --help' to see what it takes.\n", usage.command)
		}
		return ExitUsage
	}
	return ExitUnmeasured
}

// recovered runs a command; a defect of this program is no verdict either.
func (c *Command) recovered(ctx context.Context, args []string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Debug().Msgf("%s", debug.Stack())
			err = fmt.Errorf("internal error: %v; please report it, with the image if you can", r)
		}
	}()
	return c.dispatch(ctx, args)
}

func (c *Command) complain(err error) {
	fmt.Fprintln(c.notes, "image-budget:", errorText(err))
}

func (c *Command) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		c.usage(c.Stderr)
		return &verdictError{code: ExitUsage}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		c.usage(c.Stdout)
		return nil
	case "-v", "-version", "--version":
		return c.version(ctx, nil)
	}
	if args[0] == probeCommand {
		return c.probe(ctx, args[1:])
	}
	var names []string
	for _, s := range c.commands() {
		if s.name == args[0] {
			return s.run(ctx, args[1:])
		}
		names = append(names, s.name)
	}
	return usagef("", "there is no command %q%s; run 'image-budget help' for the list", args[0], didYouMean(args[0], names))
}

func (c *Command) usage(w io.Writer) {
	fmt.Fprint(w, "image-budget keeps a container image within a size budget.\n\nUsage:\n")
	for _, s := range c.commands() {
		fmt.Fprintf(w, "  image-budget %s\n", strings.TrimSpace(s.name+" "+s.args))
		printWrapped(w, s.help, "      ")
	}
	fmt.Fprint(w, `
An IMAGE is NAME[:TAG|@DIGEST] in a registry, docker-daemon:NAME, oci:DIR[:TAG],
oci-archive:FILE, docker-archive:FILE, or the path of one of these.

Exit codes: 0 within budget, 1 over budget, 2 bad usage or budget file,
3 could not measure, prove or write. 'image-budget COMMAND --help' shows the
flags of one.
`)
}

// verdictError ends the run with a code, everything having been said.
type verdictError struct{ code int }

func (e *verdictError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is a mistake in the command line or the budget file.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage marks an error about how a reference or platform is written.
func usage(err error) error {
	if errors.Is(err, source.ErrUsage) {
		return &usageError{"", err}
	}
	return err
}

func usagef(command, format string, args ...any) error {
	return &usageError{command, fmt.Errorf(format, args...)}
}

// errorText keeps the lines of an error, which may show a place in a file,
// and makes everything else in it harmless.
func errorText(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		lines[i] = escape.Line(l)
	}
	return strings.Join(lines, "\n")
}

// didYouMean suggests the name that was probably meant.
func didYouMean(word string, names []string) string {
	name, ok := nearest.Word(word, names)
	if !ok {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", name)
}

func (c *Command) version(context.Context, []string) error {
	_, err := fmt.Fprintln(c.Stdout, Tool())
	return err
}

// Tool is the name and version of this program, as reports carry it.
func Tool() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); v == "" && ok {
		v = info.Main.Version
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return "image-budget " + strings.TrimPrefix(v, "v")
}

// sortedKeys is for messages that list what there is.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
