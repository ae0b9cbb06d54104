package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/source"
)

func (c *Command) initialise(ctx context.Context, args []string) error {
	fs := c.flags("init", "[IMAGE...]", `Measure images and write a budget file that they keep to, with some headroom.

IMAGE is a reference, or NAME=REFERENCE to choose its name in the file. With
--context, the image is built, and the file says how; IMAGE is its name then.`)
	mf, lines, bf := fs.measuring(), fs.attributing(), fs.building()
	config := fs.String("config", budget.DefaultName, "the budget `FILE` to write, or - for standard output")
	force := fs.Bool("force", false, "overwrite a file that is there")
	args, err := fs.parse(args)
	if err != nil {
		return err
	}
	if len(args) == 0 && !bf.given() {
		return usagef("init", "init takes the images to write a budget for, or --context to build one")
	}
	if _, err := os.Lstat(*config); err == nil && *config != "-" && !*force {
		return usagef("init", "%s is there already; --force overwrites it", *config)
	}
	set := &budgetSet{}
	if bf.given() {
		err = set.chooseBuilt(*bf.context, args)
	} else {
		err = set.choose(args)
	}
	if err != nil {
		return err
	}
	m, err := c.measurer(mf, set.refs(), len(set.images) > 1)
	if err != nil {
		return err
	}
	defer m.close()
	m.build = bf
	platforms, err := mf.platforms()
	if err != nil {
		return err
	}
	var images []budget.InitImage
	for _, img := range set.images {
		w := want{name: img.ID, ref: img.Ref, files: true, own: true}
		one := budget.InitImage{ID: img.ID, Base: from(*config, *mf.base)}
		if bf.given() {
			if w.build, err = c.build(bf, lines, "", nil); err != nil {
				return err
			}
			w.build.Platforms = platforms
			one.Build = written(*config, w.build)
		} else {
			one.Ref = from(*config, img.Ref)
		}
		var errs []error
		err := m.openAll(ctx, w, platforms, func(w want, opened *source.Image, err error) {
			var head *footprint.Image
			if err == nil {
				head, err = m.scan(ctx, opened, w)
			}
			if errs = append(errs, err); err == nil && head.Metrics.Unpacked >= one.Metrics.Unpacked {
				// Of several platforms, all keep to the largest.
				one.Metrics = head.Metrics
			}
		})
		if err := errors.Join(append(errs, err)...); err != nil {
			return err
		}
		images = append(images, one)
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

// written is a build as the budget file has it: paths are seen from its folder,
// that of a Dockerfile from the context.
func written(config string, b *source.Build) *budget.Build {
	rel := func(path string) string {
		if source.Fetched(path) || filepath.IsAbs(path) || config == "-" {
			return path
		}
		dir, err := filepath.Abs(filepath.Dir(config))
		abs, aerr := filepath.Abs(path)
		r, rerr := filepath.Rel(dir, abs)
		if errors.Join(err, aerr, rerr) != nil {
			return path
		}
		return filepath.ToSlash(r)
	}
	out := &budget.Build{Context: rel(b.Context), Dockerfile: b.Dockerfile, Target: b.Target, Args: b.Args, Platforms: b.Platforms}
	if b.Dockerfile == "" || source.Fetched(b.Context) {
		return out
	}
	out.Dockerfile = rel(b.Dockerfile)
	if inside, err := filepath.Rel(b.Context, b.Dockerfile); err == nil && filepath.IsLocal(inside) {
		out.Dockerfile = filepath.ToSlash(inside)
	}
	return out
}
