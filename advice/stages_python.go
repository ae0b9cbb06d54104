package advice

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// sitePackages is where the Python of official images keeps what pip installs.
var sitePackages = regexp.MustCompile(`^/usr/local/lib/(?:python|pypy)[0-9.]+/site-packages$`)

// planPython plans the runtime of a program that Python runs.
func planPython(ctx context.Context, p *project) (*proposal, error) {
	base := path.Base(p.program.exec.Path)
	if !strings.HasPrefix(base, "python") && !strings.HasPrefix(base, "pypy") {
		return nil, nil
	}
	if len(p.program.unknown) > 0 {
		return unsure(p.program.unknown...), nil
	}
	in := &interpreted{project: p, roots: p.appRoots()}
	venvs := p.venvs()
	in.roots = slices.DeleteFunc(in.roots, func(r string) bool { return slices.Contains(venvs, r) })
	in.drop = func(e footprint.File) bool {
		return !p.runsFrom(e) && !slices.Contains(venvs, e.Path) && needless(path.Base(e.Path), e.Kind == footprint.Directory)
	}
	site, sentence := in.sitePackages()
	if sentence != "" {
		return unsure(sentence), nil
	}
	in.skip = func(f footprint.File) bool {
		if base := path.Base(f.Path); (base == "uv" || base == "uvx") && !p.runsFrom(f) {
			return true
		}
		return site != "" && within(f.Path, site) || strings.HasSuffix(f.Path, ".pyc") && !slices.ContainsFunc(venvs, func(v string) bool { return within(f.Path, v) })
	}
	for i, v := range venvs {
		if slices.ContainsFunc(in.roots, func(r string) bool { return under(v, r) }) {
			continue
		}
		c, _ := p.whole(v)
		if i == 0 {
			c.why = "The virtual environment, at the path that is written into its scripts."
		}
		in.copies = append(in.copies, c)
		skip := in.skip
		in.skip = func(f footprint.File) bool { return within(f.Path, v) || skip(f) }
	}
	// Python itself, where a package of the system brought it above the base, is
	// installed again.
	in.buildOnly = []string{"python3-dev", "python3-full"}
	return in.proposal(ctx)
}

// venvs are the virtual environments that own layers hold.
func (p *project) venvs() []string {
	var out []string
	for _, f := range p.tree.files {
		if dir := path.Dir(f.Path); path.Base(f.Path) == "pyvenv.cfg" && p.isOwn(f) && !shared(dir) {
			out = append(out, dir)
		}
	}
	return out
}

// sitePackages copies what pip installed beside the packages of the base, if it
// did. The base's own are removed from what is copied: the runtime stage has
// them.
func (in *interpreted) sitePackages() (string, string) {
	p := in.project
	var site string
	for _, f := range p.tree.files {
		if f.Kind == footprint.Directory && sitePackages.MatchString(f.Path) {
			if site != "" {
				return "", "There are several Pythons in the image, and it is not clear which one runs."
			}
			site = f.Path
		}
	}
	if site == "" || !slices.ContainsFunc(p.tree.below(site), func(f footprint.File) bool {
		return f.Kind == footprint.Regular && p.isOwn(f) && !strings.HasSuffix(f.Path, ".pyc")
	}) {
		return "", ""
	}
	// Entries that the base brought, pip above all.
	var bytes footprint.Bytes
	var names []string
	for _, e := range p.tree.children(site) {
		if !slices.ContainsFunc(append(slices.Clone(p.tree.below(e.Path)), e), func(f footprint.File) bool {
			return f.Kind == footprint.Regular && p.isOwn(f) && !strings.HasSuffix(f.Path, ".pyc")
		}) {
			if b := p.weight(e); b > 0 {
				bytes += b
				names = append(names, e.Path)
			}
		}
	}
	if bytes >= Floor {
		line := "RUN rm -rf"
		for _, n := range names {
			line += " " + quote(n)
		}
		in.prepare = append(in.prepare, "# The runtime stage has these from its base.", line)
		if p.buildUser() != "" {
			in.prepare = append([]string{"USER root"}, in.prepare...)
		}
		in.pruned = func(f footprint.File) bool {
			return slices.ContainsFunc(names, func(n string) bool { return within(f.Path, n) })
		}
	}
	in.copies = append(in.copies, copied{from: []string{site}, to: site, why: "What pip installed, and the commands that came with it."})
	return site, ""
}
