package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/internal/escape"
	"github.com/org/image-budget/report"
)

// outputFlags say where a report goes.
type outputFlags struct {
	format  *formatFlag
	outputs *listFlag
}

func (fs *flagSet) reporting() *outputFlags {
	f := &outputFlags{format: &formatFlag{report.FormatTerminal}}
	fs.Var(f.format, "format", "`FORMAT` of the report on standard output: terminal, markdown, json, html or sarif")
	f.outputs = fs.list("output", "also write the report as `FORMAT=FILE`; may be repeated")
	return f
}

// formatFlag is the name of a format.
type formatFlag struct{ report.Format }

func (f *formatFlag) String() string { return string(f.Format) }

func (f *formatFlag) Set(s string) (err error) {
	f.Format, err = report.Named(s)
	return err
}

// file is one report to be written.
type file struct {
	format report.Format
	path   string
}

// files reads the --output flags.
func (f *outputFlags) files() ([]file, error) {
	var out []file
	seen := map[string]bool{}
	for _, o := range *f.outputs {
		name, path, ok := strings.Cut(o, "=")
		if !ok || path == "" {
			return nil, usagef("", "--output %q: want FORMAT=FILE, such as json=report.json", o)
		}
		format, err := report.Named(name)
		if err != nil {
			return nil, usagef("", "--output %q: %w", o, err)
		}
		if seen[filepath.Clean(path)] {
			return nil, usagef("", "--output %q: another report goes to this file", o)
		}
		if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("", "--output %q: there is no directory %s; create it first", o, filepath.Dir(path))
		}
		seen[filepath.Clean(path)] = true
		out = append(out, file{format, path})
	}
	return out, nil
}

// emit renders a report to standard output and to files. All files are written
// before an error is returned.
func (c *Command) emit(r *report.Report, f *outputFlags) error {
	files, err := f.files()
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		var buf bytes.Buffer
		err := c.render(&buf, r, file.format, report.TerminalOptions{})
		if err == nil {
			err = c.writeFile(file.path, buf.Bytes())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("writing the report: %w", err))
		}
	}
	width, terminal := c.Terminal(c.Stdout)
	opt := report.TerminalOptions{Width: width, Color: terminal && c.Getenv("NO_COLOR") == "" && c.Getenv("TERM") != "dumb"}
	var buf bytes.Buffer
	if err := c.render(&buf, r, f.format.Format, opt); err != nil {
		errs = append(errs, err)
	} else if err := c.print(buf.Bytes(), f.format.Format); err != nil {
		errs = append(errs, fmt.Errorf("printing the report: %w", err))
	}
	return errors.Join(errs...)
}

// print writes to standard output. A runner reads commands there, so nothing
// may look like one.
func (c *Command) print(text []byte, format report.Format) error {
	// JSON, HTML and SARIF come without anything that a runner obeys, and the log filter
	// would break their long lines.
	if !c.runner.Actions || slices.Contains([]report.Format{report.FormatJSON, report.FormatHTML, report.FormatSARIF}, format) {
		_, err := c.Stdout.Write(text)
		return err
	}
	w := actions.NewLogWriter(c.Stdout)
	_, err := w.Write(text)
	return errors.Join(err, w.Close())
}

// say prints one line.
func (c *Command) say(format string, args ...any) error {
	return c.print([]byte(escape.Line(fmt.Sprintf(format, args...))+"\n"), report.FormatTerminal)
}

func (c *Command) render(w io.Writer, r *report.Report, format report.Format, opt report.TerminalOptions) error {
	switch format {
	case report.FormatJSON:
		return report.JSON(w, r)
	case report.FormatHTML:
		return report.HTML(w, r)
	case report.FormatSARIF:
		return report.SARIF(w, r)
	case report.FormatMarkdown:
		return report.Markdown(w, r, report.MarkdownOptions{MaxBytes: actions.SummaryLimit, Full: true})
	default:
		return report.Terminal(w, r, opt)
	}
}

// writeFile replaces a file in one step, so that nobody sees half of it and a
// failed run leaves the old one. In a job the file belongs to whoever owns the
// workspace and not to the root that this container runs as.
func (c *Command) writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		// A device or pipe, such as /dev/stderr, cannot be replaced.
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if c.runner.Actions && c.runner.Workspace != "" {
		if err := actions.OwnLike(f.Name(), c.runner.Workspace); err != nil {
			c.log.Debug().Msgf("%v", err)
		}
	}
	return os.Rename(f.Name(), path)
}
