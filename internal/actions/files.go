package actions

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"

	"github.com/org/image-budget/internal/escape"
)

// maxOutput bounds one output, in bytes. Outputs are numbers, words and paths.
const maxOutput = 4096

// SummaryLimit is the largest job summary, in bytes, that a step writes. GitHub drops
// the whole summary of a step above 1 MiB; the rest is left to steps of our users that
// append to it.
const SummaryLimit = 900 << 10

// SetOutput sets the output called name of this step. It reports false, and does nothing,
// where there is no runner to read it. The value is a number, a word or a path: one line
// of at most 4,096 bytes without control or invisible characters, since what reads it is
// a shell script more often than not. Anything else is an error and nothing is written;
// so is a file that cannot be appended to.
func (r Runner) SetOutput(name, value string) (bool, error) {
	if name == "" || strings.Trim(name, nameChars) != "" {
		return false, fmt.Errorf("setting output %s: a name has letters, digits, - and _ only", escape.CodeProse(name, 40))
	}
	if len(value) > maxOutput {
		return false, fmt.Errorf("setting output %s: %d bytes, at most %d are allowed", name, len(value), maxOutput)
	}
	if escape.Line(value) != value {
		return false, fmt.Errorf("setting output %s: the value %s has a control or invisible character", name, escape.CodeProse(value, 80))
	}
	if r.OutputPath == "" {
		return false, nil
	}
	// A new delimiter for every value: one that cannot be known cannot be closed.
	delimiter := "image_budget_" + rand.Text()
	entry := name + "<<" + delimiter + "\n" + value + "\n" + delimiter + "\n"
	if err := appendTo(r.OutputPath, entry); err != nil {
		return false, fmt.Errorf("setting output %s: %w", name, err)
	}
	return true, nil
}

const nameChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// AppendSummary appends markdown to the job summary of this step. It reports false, and
// does nothing, where there is no runner to read it. If the summary would grow beyond
// SummaryLimit it is an error and nothing is written: cutting is for whoever knows where
// a table ends. A file that cannot be appended to is an error too.
func (r Runner) AppendSummary(markdown string) (bool, error) {
	if r.SummaryPath == "" {
		return false, nil
	}
	if !strings.HasSuffix(markdown, "\n") {
		markdown += "\n"
	}
	size := int64(len(markdown))
	if info, err := os.Stat(r.SummaryPath); err == nil {
		size += info.Size()
	}
	if size > SummaryLimit {
		return false, fmt.Errorf("writing the job summary: %d bytes, at most %d are allowed", size, SummaryLimit)
	}
	if err := appendTo(r.SummaryPath, markdown); err != nil {
		return false, fmt.Errorf("writing the job summary: %w", err)
	}
	return true, nil
}

// appendTo adds text to the end of a file with one write, so that an entry is whole or
// not there.
func appendTo(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	_, err = f.WriteString(text)
	return err
}
