package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/org/image-budget/budget"
)

func (c *Command) initialise(ctx context.Context, args []string) error {
	fs := c.flags("init", "IMAGE...", `Measure images and write a budget file that they keep to, with some headroom.

IMAGE is a reference, or NAME=REFERENCE to choose its name in the file.`)
	mf := fs.measuring()
	config := fs.String("config", budget.DefaultName, "the budget `FILE` to write, or - for standard output")
	force := fs.Bool("force", false, "overwrite a file that is there")
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("init", "init takes the images to write a budget for")
	}
	if _, err := os.Lstat(*config); err == nil && *config != "-" && !*force {
		return usagef("init", "%s is there already; --force overwrites it", *config)
	}
	set := &budgetSet{}
	if err := set.choose(args); err != nil {
		return err
	}
	m, err := c.measurer(mf, set.refs())
	if err != nil {
		return err
	}
	defer m.close()
	var images []budget.InitImage
	for _, img := range set.images {
		head, err := m.measure(ctx, want{name: img.ID, ref: img.Ref, files: true, own: true})
		if err != nil {
			return err
		}
		images = append(images, budget.InitImage{ID: img.ID, Ref: img.Ref, Base: *mf.base, Metrics: head.Metrics})
	}
	text := budget.Init(images)
	if *config == "-" {
		_, err := c.Stdout.Write(text)
		return err
	}
	if err := c.writeFile(*config, text); err != nil {
		return fmt.Errorf("writing the budget file: %w", err)
	}
	_, err = fmt.Fprintf(c.Stdout, "wrote %s: review its limits, then run 'image-budget check'\n", *config)
	return err
}
