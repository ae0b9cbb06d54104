package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/report"
)

// maxReport bounds a stored report.
const maxReport = 64 << 20

func (c *Command) report(_ context.Context, args []string) error {
	fs := c.flags("report", "REPORT.json...", "Render stored reports again, in any format. Several become one. The exit code is that of the verdict.")
	of := fs.reporting()
	failOn := fs.choice("fail-on", "exit with 1 on this `STATUS` or a worse one: error, warn, or never", "error", "error", "warn", "never")
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("report", "report takes the JSON reports to render; 'image-budget check --output json=report.json' writes one")
	}
	if _, err := of.files(); err != nil {
		return err
	}
	var all []*report.Report
	for _, name := range args {
		r, err := readReport(name)
		if err != nil {
			return fmt.Errorf("reading the report %s: %w", name, err)
		}
		all = append(all, r)
	}
	rep := all[0]
	if len(all) > 1 {
		rep = report.Merge(all...)
	}
	if err := c.emit(rep, of); err != nil {
		return err
	}
	if len(rep.Unmeasured) > 0 {
		return &verdictError{code: ExitUnmeasured}
	}
	return verdict(rep.Status, failOn.value)
}

func readReport(name string) (*report.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return report.ReadJSON(f, maxReport)
}

func (c *Command) schema(_ context.Context, args []string) error {
	fs := c.flags("schema", "", "Print the JSON Schema of the budget file, for editors and other tools.")
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return usagef("schema", "schema takes no arguments")
	}
	_, err = c.Stdout.Write(budget.Schema())
	return err
}
