package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	m, err := c.measurer(mf, set.refs(), len(set.images) > 1)
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
		images = append(images, budget.InitImage{ID: img.ID, Ref: from(*config, img.Ref), Base: from(*config, *mf.base), Metrics: head.Metrics})
	}
	text := budget.Init(images)
	if *config == "-" {
		_, err := c.Stdout.Write(text)
		return err
	}
	if err := c.writeFile(*config, text); err != nil {
		return fmt.Errorf("writing the budget file: %w", err)
	}
	command := "image-budget check"
	if *config != budget.DefaultName {
		command += " --config " + *config
	}
	return c.say("wrote %s: review its limits, then run '%s'", *config, command)
}

// from writes the path in a reference as it is seen from the folder of the
// budget file, which is where check will look for it.
func from(config, ref string) string {
	dir := filepath.Dir(config)
	scheme, path := "", ref
	for _, s := range []string{"oci:", "oci-archive:", "docker-archive:"} {
		if rest, ok := strings.CutPrefix(ref, s); ok {
			scheme, path = s, rest
		}
	}
	if _, err := os.Lstat(path); scheme == "" && err != nil || filepath.IsAbs(path) || config == "-" {
		return ref
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return ref
	}
	if scheme == "" && !strings.HasPrefix(rel, ".") {
		rel = "./" + rel
	}
	return scheme + filepath.ToSlash(rel)
}
