package advice

import (
	"context"
	"path"
	"strings"

	"github.com/org/image-budget/footprint"
)

// planPHP plans the runtime of an application that Composer installed.
func planPHP(ctx context.Context, p *project) (*proposal, error) {
	repo, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(p.baseName(), "docker.io/"), "library/"), ":")
	if repo != "php" {
		return nil, nil
	}
	// The base has one image for each server and no smaller sibling.
	return p.scripted(ctx, "/usr/local/lib/php/extensions", "/usr/local/etc/php/conf.d", func(name string) bool {
		return path.Base(name) == "composer" || path.Base(name) == "composer.phar" || within(name, "/root/.composer")
	}, "", "")
}

// planRuby plans the runtime of an application that Bundler installed.
func planRuby(ctx context.Context, p *project) (*proposal, error) {
	ref := strings.TrimPrefix(strings.TrimPrefix(p.baseName(), "docker.io/"), "library/")
	repo, tag, _ := strings.Cut(ref, ":")
	if repo != "ruby" {
		return nil, nil
	}
	slim := ""
	if tag != "" && !strings.Contains(tag, "slim") && !strings.Contains(tag, "alpine") && !strings.Contains(tag, "@") {
		slim = repo + ":" + tag + "-slim"
	}
	const bundle = "/usr/local/bundle"
	prepare := ""
	if _, ok := p.tree.get(bundle + "/cache"); ok {
		prepare = "RUN rm -rf " + bundle + "/cache"
	}
	return p.scripted(ctx, bundle, "", func(name string) bool {
		return within(name, bundle+"/cache") || strings.Contains(name, "/tmp/cache/") || within(name, "/root/.bundle")
	}, slim, prepare)
}

// scripted plans the runtime of an application in a language whose packages
// stand in one directory of the system, with libraries that C compilers made
// and that need others: what is in installed, and in settings if not "", and
// what COPY brought and commands made beside it, without what drop tells of.
func (p *project) scripted(ctx context.Context, installed, settings string, drop func(name string) bool, slim, prepare string) (*proposal, error) {
	c, refusal, err := p.interpreted(ctx)
	if c == nil {
		return refusal, err
	}
	var roots []string
	var beside []copied
	for _, dir := range []string{installed, settings} {
		own := false
		for _, f := range p.tree.below(dir) {
			if dir == "" || f.Kind != footprint.Regular || !p.isOwn(f) {
				continue
			}
			own = true
			if f.Program != nil && f.Program.ELF && !drop(f.Path) {
				roots = append(roots, f.Path)
			}
		}
		if own {
			beside = append(beside, copied{from: []string{dir}, to: dir})
		}
	}
	c.drop = func(name string) bool {
		return drop(name) || within(name, installed) || settings != "" && within(name, settings)
	}
	c.keepSources = true
	c.collect()
	for _, f := range p.tree.files {
		if f.Kind == footprint.Regular && p.isOwn(f) && f.Program != nil && f.Program.ELF && within(f.Path, p.dir) {
			roots = append(roots, f.Path)
		}
	}
	if c.libs, err = p.closure(ctx, p.tree, roots...); err != nil {
		return nil, err
	}
	if c.libs.Cut {
		return unsure("The packages load more libraries than can be followed."), nil
	}
	for _, lib := range c.libs.Missing {
		return unsure(lib.By + " needs " + lib.Name + ", which is not in the image."), nil
	}
	c.assets = append(beside, c.assets...)
	out := &proposal{}
	for _, r := range []runtimeBase{{ref: slim, sibling: true}, p.sameBase()} {
		if r.ref == "" || !r.same && !p.exists(ctx, r.ref) {
			continue
		}
		on := c.onRuntime(r, false, nil)
		if on == nil {
			continue
		}
		if !r.same {
			on.inherits = true
			c.rebase(on, func(f footprint.File) bool { return r.has(c, f) })
		}
		on.why = "Compilers and headers stay above. What the application needs to run is here."
		if prepare != "" {
			if c.rootless() {
				on.prepare = append(on.prepare, "USER 0")
			}
			on.prepare = append(on.prepare, prepare)
			on.pruned = func(f footprint.File) bool { return drop(f.Path) }
		}
		out.plans = append(out.plans, *on)
	}
	if len(out.plans) == 0 {
		return unsure("No image is known that has what the application needs to run: " + c.needs() + "."), nil
	}
	for i := range out.plans {
		out.plans[i].notes = append(out.plans[i].notes, c.notes...)
	}
	return out, nil
}
