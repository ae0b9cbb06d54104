package advice

import (
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// interpreted plans the runtime stage of a program whose interpreter the base
// brings: all that own layers hold is kept, but for what surely does not run.
type interpreted struct {
	*project
	// roots are the directories of the program, drop tells what of their entries
	// is left out, and skip what is outside them.
	roots []string
	drop  func(entry footprint.File) bool
	skip  func(footprint.File) bool
	// prepare are lines at the end of the build stage, pruned what they remove.
	prepare []string
	pruned  func(footprint.File) bool
	// built tells that the program was made of other files in its directory.
	built bool
	// copies are those that the stack makes itself.
	copies []copied
	// buildOnly are packages that are for building where compilers are asked for
	// too.
	buildOnly []string
	notes     []string
}

// proposal plans on a slim sibling of the base, if a registry has one, and on the
// base itself.
func (in *interpreted) proposal(ctx context.Context) (*proposal, error) {
	p := in.project
	reqs, why := p.requests()
	if why != "" {
		return unsure(why), nil
	}
	out := plan{name: "on the same base", inherits: true, why: "What runs. All that was needed to build it stays above.", prepare: in.prepare, pruned: in.pruned, notes: in.notes}
	out.base = p.file.FromText(p.file.Root(p.stage))
	if strings.Contains(out.base, "$BUILDPLATFORM") || strings.Contains(out.base, "${BUILDPLATFORM") {
		return unsure("The base is for the platform that builds, and that which runs may be another."), nil
	}

	// Users, as the author's lines make them.
	if users := p.userSteps(); len(users) > 0 {
		if !slices.ContainsFunc(users, func(s dockerfile.Step) bool { return !repeatable(s) }) {
			out.repeat = users
		} else {
			out.copies = append(out.copies, copied{from: []string{"/etc/group", "/etc/passwd", "/etc/shadow"}, to: "/etc/", why: "The users."})
		}
	}

	skip := func(f footprint.File) bool {
		return in.skip != nil && in.skip(f) || len(out.repeat) > 0 && isSkel(f)
	}
	outside := p.outside(in.roots, skip)
	out.run = append(out.run, outside.run...)
	rest := append(slices.Clone(in.copies), outside.copies...)
	for i, c := range rest {
		if i == 0 {
			c.why = "What the build brought to other places."
		}
		out.copies = append(out.copies, c)
	}
	for _, root := range in.roots {
		a := p.app(root, in.drop, in.built)
		out.prepare = append(out.prepare, a.remove...)
		out.run = append(out.run, a.run...)
		if len(a.copies) > 0 && len(rest) > 0 {
			a.copies[0].why = "The program."
		}
		out.copies = append(out.copies, a.copies...)
		if len(a.remove) > 0 {
			before := out.pruned
			out.pruned = func(f footprint.File) bool { return before != nil && before(f) || in.dropped(f) }
		}
	}
	if len(out.prepare) > len(in.prepare) && p.buildUser() != "" && !slices.Contains(out.prepare, "USER root") {
		out.prepare = append([]string{"USER root"}, out.prepare...)
	}
	if len(out.copies) == 0 {
		return unsure("Nothing was found that the image adds to its base for the program to run."), nil
	}

	// Packages of the system.
	ships := p.shipped(out)
	libs, loads, why, err := in.libraries(ctx, ships)
	if err != nil || why != "" {
		return unsure(why), err
	}
	left := in.packages(&out, reqs, libs)
	if len(out.packages) > 0 && p.baseUser() {
		return unsure("The base image sets a user who cannot install packages, and the program needs some."), nil
	}
	if len(left) > 0 {
		out.notes = append(out.notes, "The runtime stage does not install "+sentenceList(left)+". If the program starts one of them, add it there.")
	}
	out.brought = p.broughtBy(out.packages)

	plans := []plan{}
	if s := in.sibling(ctx, out, loads); s != nil {
		plans = append(plans, *s)
	}
	return &proposal{plans: append(plans, out)}, nil
}

// dropped tells whether a file is below an entry that is left out.
func (in *interpreted) dropped(f footprint.File) bool {
	for _, root := range in.roots {
		if !under(f.Path, root) {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(f.Path, root+"/"), "/")
		e, ok := in.tree.get(path.Join(root, first))
		return ok && in.drop(e)
	}
	return false
}

// isSkel tells the files that useradd puts into a new home.
func isSkel(f footprint.File) bool {
	return within(f.Path, "/home") && slices.Contains([]string{".bashrc", ".profile", ".bash_logout", ".cshrc"}, path.Base(f.Path))
}

// baseUser tells whether the base sets a user who is not root.
func (p *project) baseUser() bool {
	return p.lastUser() != "" && !slices.ContainsFunc(p.steps, func(s dockerfile.Step) bool { return s.Keyword == "USER" })
}

// shipped are the regular files of own layers that a plan copies.
func (p *project) shipped(out plan) []footprint.File {
	var files []footprint.File
	for _, c := range out.copies {
		for _, from := range c.from {
			f, ok := p.tree.get(from)
			if !ok {
				continue
			}
			list := []footprint.File{f}
			if f.Kind == footprint.Directory {
				list = p.tree.below(from)
			}
			for _, f := range list {
				if f.Kind == footprint.Regular && (out.pruned == nil || !out.pruned(f)) {
					files = append(files, f)
				}
			}
		}
	}
	return files
}

// maxNative bounds the native modules that are looked at.
const maxNative = 20_000

// libraries are the packages of the system that hold what the programs and
// native modules load, those of own layers first, then all.
func (in *interpreted) libraries(ctx context.Context, ships []footprint.File) (own, all []string, why string, err error) {
	var roots []string
	for _, f := range ships {
		if f.Program != nil && f.Program.ELF && len(roots) < maxNative {
			roots = append(roots, f.Path)
		}
	}
	loads, err := in.closure(ctx, in.tree, roots...)
	if err != nil {
		return nil, nil, "", err
	}
	if loads == nil {
		return nil, nil, "", nil
	}
	for _, l := range loads.Libraries {
		f, ok := in.tree.get(l.Real)
		if name := in.packageOf(f.Owner); ok && name != "" {
			all = append(all, name)
			if in.isOwn(f) {
				own = append(own, name)
			}
		}
	}
	return own, all, "", nil
}

// packages sorts what the author's lines ask for, and adds the libraries. The
// answer is what is left out.
func (in *interpreted) packages(out *plan, reqs []request, libs []string) (left []string) {
	recommends := slices.ContainsFunc(reqs, func(r request) bool { return r.recommends })
	called := map[string]bool{}
	for _, name := range slices.Concat(in.program.files, in.program.calls) {
		if f, _, ok := in.tree.follow(name); ok && in.isOwn(f) {
			called[in.packageOf(f.Owner)] = true
		}
	}
	compiles := slices.ContainsFunc(reqs, func(r request) bool {
		return slices.Contains([]string{"make", "gcc", "g++", "build-essential", "build-base", "gcc-c++", "alpine-sdk"}, r.name)
	})
	for _, r := range reqs {
		switch {
		case called[r.name] || slices.Contains(libs, r.name):
		case buildTool(r.name) || compiles && slices.Contains(in.buildOnly, r.name):
			left = append(left, r.name)
			continue
		}
		out.packages = append(out.packages, r.name)
	}
	// What those need comes with them.
	through := map[string]string{}
	for _, k := range in.Image.Packages {
		if footprint.OfSystem(k.Ecosystem) {
			through[k.Name] = k.Through
		}
	}
	for _, name := range slices.Concat(libs, slices.Sorted(maps.Keys(called))) {
		if minimalPython.MatchString(name) {
			name = "python3" // without it, half of the modules are missing
		}
		if name != "" && !slices.Contains(out.packages, through[name]) {
			out.packages = append(out.packages, name)
		}
	}
	if recommends && len(out.packages) > 0 {
		// What programs recommend and need most often is what TLS trusts.
		if slices.ContainsFunc(in.Image.Packages, func(k footprint.Package) bool {
			return footprint.OfSystem(k.Ecosystem) && k.Name == "ca-certificates" && k.Own > 0
		}) {
			out.packages = append(out.packages, "ca-certificates")
		}
		out.notes = append(out.notes, "The runtime stage installs packages without those that they recommend. If the program needs one of them, name it there.")
	}
	slices.Sort(out.packages)
	out.packages = slices.Compact(out.packages)
	return left
}

// minimalPython is the package that Python's program is in.
var minimalPython = regexp.MustCompile(`^python3(\.[0-9]+)?-minimal$`)

// sentenceList joins names for a sentence.
func sentenceList(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// broughtBy tells of the files of packages that are installed again, and of those
// that they need.
func (p *project) broughtBy(names []string) func(footprint.File) bool {
	if len(names) == 0 {
		return nil
	}
	through := map[string]bool{}
	for _, n := range names {
		through[n] = true
	}
	return func(f footprint.File) bool {
		if !p.ofSystem(f.Owner) {
			return false
		}
		i, _ := f.Owner.Package()
		k := p.Image.Packages[i]
		// A package that another one needs may be one that a kept one needs too.
		return through[k.Name] || k.Through != "" && through[k.Through]
	}
}

// sibling is the plan on the slim image by the same maker, nil where there is
// none, or where nobody can be asked.
func (in *interpreted) sibling(ctx context.Context, from plan, loads []string) *plan {
	ref := slimSibling(in.file.Root(in.stage).Base)
	if ref == "" || in.Weigh == nil || strings.Contains(from.base, "$") || strings.HasPrefix(from.base, "--") {
		return nil
	}
	slim, err := in.Weigh(ctx, ref)
	if err != nil {
		return nil
	}
	full, err := in.Weigh(ctx, from.base)
	if err != nil || slim >= full {
		return nil
	}
	out := from
	out.name, out.base = "on "+ref, ref
	out.notes = append(slices.Clone(out.notes), fmt.Sprintf("%s weighs %s less than %s, compressed.", ref, full-slim, from.base))
	// What the full image has and the slim one may not.
	need := slices.Clone(loads)
	for _, name := range slices.Concat(in.program.files, in.program.calls) {
		if f, _, ok := in.tree.follow(name); ok {
			need = append(need, in.packageOf(f.Owner))
		}
	}
	d, err := in.distro(ctx, in.tree)
	if err != nil {
		return nil
	}
	for _, name := range need {
		if name != "" && !d.inSlim(name) && packageName.MatchString(name) {
			out.packages = append(out.packages, name)
		}
	}
	out.packages = slices.Clone(out.packages)
	slices.Sort(out.packages)
	out.packages = slices.Compact(out.packages)
	return &out
}

// slimSibling is the tag of the slim image of the same version and system, "" if
// none is known.
func slimSibling(ref string) string {
	name, tag, tagged := strings.Cut(ref, ":")
	if strings.Contains(ref, "@") || strings.Contains(tag, "/") || strings.Contains(tag, "slim") || strings.Contains(tag, "alpine") || strings.Contains(tag, "windows") || strings.Contains(tag, "distroless") {
		return ""
	}
	repo := strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/")
	if !slices.Contains([]string{"node", "python", "ruby"}, repo) {
		return ""
	}
	if !tagged || tag == "latest" {
		return name + ":slim"
	}
	version, codename, has := strings.Cut(tag, "-")
	switch {
	case strings.Contains(codename, "-"):
		return ""
	case has && repo == "node":
		return name + ":" + tag + "-slim"
	case has:
		return name + ":" + version + "-slim-" + codename
	}
	return name + ":" + tag + "-slim"
}
