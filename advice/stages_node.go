package advice

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

// planNode plans the runtime of a program that Node runs.
func planNode(ctx context.Context, p *project) (*proposal, error) {
	base := path.Base(p.program.exec.Path)
	if !p.program.npm && base != "node" && base != "nodejs" {
		return nil, nil
	}
	if len(p.program.unknown) > 0 {
		return unsure(p.program.unknown...), nil
	}
	if slices.ContainsFunc(p.program.files, func(f string) bool { return strings.Contains(f, "/node_modules/corepack/") }) {
		return unsure("The container starts through corepack, which keeps the package manager in a cache of its own. Start the program with node."), nil
	}
	in := &interpreted{project: p, roots: p.appRoots()}
	prune, err := p.nodePrune(ctx, in)
	if err != nil {
		return nil, err
	}
	in.prepare = append(in.prepare, prune...)
	in.built = p.builtHereBy(in.roots)
	in.drop = p.nodeDrop(in.built)
	for _, root := range in.roots {
		shared, err := p.workspaces(ctx, root)
		if err != nil {
			return nil, err
		}
		if shared {
			// Links in node_modules lead to directories of any name.
			in.drop = func(e footprint.File) bool { return strings.HasPrefix(path.Base(e.Path), ".") && p.nodeDrop(false)(e) }
		}
	}
	for _, root := range in.roots {
		if cache := path.Join(root, ".next/cache"); p.weight(footprint.File{Path: cache, Kind: footprint.Directory}) >= Floor {
			in.prepare = append(in.prepare, "RUN rm -rf "+quote(cache))
			dropped := in.pruned
			in.pruned = func(f footprint.File) bool { return within(f.Path, cache) || dropped != nil && dropped(f) }
		}
	}
	in.skip = p.nodeTool
	in.buildOnly = []string{"python3", "python", "python3-minimal", "py3-setuptools"}
	return in.proposal(ctx)
}

// workspaces tells whether a directory holds several packages that share theirs.
func (p *project) workspaces(ctx context.Context, dir string) (bool, error) {
	if _, ok := p.tree.get(path.Join(dir, "pnpm-workspace.yaml")); ok {
		return true, nil
	}
	m, err := p.manifest(ctx, dir)
	return m != nil && len(m.Workspaces) > 0, err
}

// nodePrune are lines that remove the development dependencies in the build
// stage, none where there are none, or where the program runs on them.
func (p *project) nodePrune(ctx context.Context, in *interpreted) ([]string, error) {
	dev := func(f footprint.File) bool {
		i, ok := f.Owner.Package()
		return ok && i < len(p.Image.Packages) && p.Image.Packages[i].Ecosystem == footprint.Npm && p.Image.Packages[i].Dev
	}
	dirs := map[string]footprint.Bytes{}
	for _, f := range p.tree.files {
		if p.isOwn(f) && dev(f) {
			if i := strings.Index(f.Path, "/node_modules/"); i > 0 {
				dirs[f.Path[:i]] += f.Size
			}
		}
	}
	maps.DeleteFunc(dirs, func(dir string, bytes footprint.Bytes) bool { return bytes < Floor })
	if len(dirs) == 0 {
		return nil, nil
	}
	for _, name := range slices.Concat(p.program.files, p.program.calls) {
		if f, _, ok := p.tree.follow(name); ok && dev(f) {
			i, _ := f.Owner.Package()
			in.notes = append(in.notes, fmt.Sprintf("The program is run by %s, which is a development dependency, so they all are kept.", p.Image.Packages[i].Name))
			return nil, nil
		}
	}
	var lines []string
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		command, err := p.pruneCommand(ctx, dir)
		if err != nil {
			return nil, err
		}
		if command == "" {
			in.notes = append(in.notes, fmt.Sprintf("The development dependencies in %s stay: how to remove them with its package manager is not known.", dir))
			delete(dirs, dir)
			continue
		}
		if dir != p.dir {
			command = "cd " + quote(dir) + " && " + command
		}
		lines = append(lines, "RUN "+command)
	}
	if len(lines) == 0 {
		return nil, nil
	}
	in.pruned = func(f footprint.File) bool {
		if i := strings.Index(f.Path, "/node_modules/"); i > 0 && dev(f) {
			_, ok := dirs[f.Path[:i]]
			return ok
		}
		return false
	}
	if p.buildUser() != "" {
		lines = append([]string{"USER root"}, lines...)
	}
	return append([]string{"# The program runs without what only its developers need."}, lines...), nil
}

// buildUser is whom lines at the end of the build stage are run by, "" for root.
func (p *project) buildUser() string {
	_, tail := p.ending()
	user, said := "", false
	for _, s := range p.steps[:len(p.steps)-len(tail)] {
		if s.Keyword == "USER" {
			_, user, _ = strings.Cut(s.Text, " ")
			said = true
		}
	}
	if !said && p.baseUser() {
		user = p.Config.User
	}
	user, _, _ = strings.Cut(strings.TrimSpace(user), ":")
	if user == "root" || user == "0" {
		return ""
	}
	return user
}

// lastUser is whom the program is run by, "" for root.
func (p *project) lastUser() string {
	user, _, _ := strings.Cut(p.Config.User, ":")
	if user == "root" || user == "0" {
		return ""
	}
	return user
}

// pruneCommand removes the development dependencies of a directory, "" where it
// is not known how.
func (p *project) pruneCommand(ctx context.Context, dir string) (string, error) {
	m, err := p.manifest(ctx, dir)
	if m == nil {
		return "", err
	}
	has := func(name string) bool { _, ok := p.tree.get(path.Join(dir, name)); return ok }
	switch {
	case has("pnpm-workspace.yaml"):
		return "", nil // it would remove what the other packages need
	case has("pnpm-lock.yaml"):
		return "CI=true pnpm prune --prod --ignore-scripts", nil
	case has("yarn.lock"):
		if has(".yarnrc.yml") || strings.HasPrefix(m.PackageManager, "yarn@") && !strings.HasPrefix(m.PackageManager, "yarn@1") {
			return "", nil
		}
		return "yarn install --production --frozen-lockfile --ignore-scripts --prefer-offline", nil
	case has("package-lock.json"), has("npm-shrinkwrap.json"), has("node_modules/.package-lock.json"):
		if p.npmMajor() > 0 && p.npmMajor() < 7 {
			return "npm prune --production", nil
		}
		return "npm prune --omit=dev --ignore-scripts --no-audit --no-fund", nil
	}
	return "", nil
}

// npmMajor is the version of npm in the image, 0 if unknown.
func (p *project) npmMajor() int {
	for _, k := range p.Image.Packages {
		if k.Ecosystem == footprint.Npm && k.Name == "npm" && strings.HasSuffix(k.Path, "/node_modules/npm") {
			major, _, _ := strings.Cut(k.Version, ".")
			n, _ := strconv.Atoi(major)
			return n
		}
	}
	return 0
}

// outputs are directories that builds write to.
var outputs = []string{"dist", "build", "out", "output", "lib", "built", "compiled", ".output"}

// builtHereBy tells whether the program is what a build made of other files of
// its directory.
func (p *project) builtHereBy(roots []string) bool {
	f, ok := p.tree.get(p.program.entry)
	if !ok || f.Owner == footprint.OfApplication || !p.isOwn(f) {
		return false
	}
	return slices.ContainsFunc(roots, func(root string) bool {
		first, _, below := strings.Cut(strings.TrimPrefix(f.Path, root+"/"), "/")
		return under(f.Path, root) && below && slices.Contains(outputs, first)
	})
}

// nodeDrop tells what of a Node project surely does not run.
func (p *project) nodeDrop(built bool) func(footprint.File) bool {
	return func(e footprint.File) bool {
		base := path.Base(e.Path)
		if p.runsFrom(e) {
			return false
		}
		if needless(base, e.Kind == footprint.Directory) {
			return true
		}
		if !built {
			return false
		}
		if e.Kind == footprint.Directory {
			return slices.Contains([]string{"src", "source", "types", "typings", "@types"}, base) && p.onlyTypeScript(e.Path)
		}
		return strings.HasPrefix(base, "tsconfig") || strings.HasPrefix(base, "webpack.config") || strings.HasPrefix(base, "rollup.config") || strings.HasPrefix(base, "vite.config") ||
			strings.HasPrefix(base, "tsup.config") || base == "nest-cli.json" || strings.HasSuffix(base, ".ts") || strings.HasSuffix(base, ".tsbuildinfo")
	}
}

// nodeTool tells the files of tools that were installed for all projects, and only
// build them.
func (p *project) nodeTool(f footprint.File) bool {
	name := f.Path
	if f.Kind == footprint.Symlink {
		name = path.Join(path.Dir(f.Path), f.Link)
	}
	_, rest, ok := strings.Cut(name, "/usr/local/lib/node_modules/")
	tool, _, _ := strings.Cut(rest, "/")
	if !ok || !slices.Contains([]string{"pnpm", "yarn", "typescript", "node-gyp", "turbo", "lerna", "nx", "webpack", "webpack-cli", "gulp", "gulp-cli", "grunt-cli", "eslint", "node-pre-gyp"}, tool) {
		return false
	}
	return !p.runsFrom(footprint.File{Path: "/usr/local/lib/node_modules/" + tool})
}

// runsFrom tells whether a file that is run is an entry or lies below it.
func (p *project) runsFrom(e footprint.File) bool {
	return slices.ContainsFunc(slices.Concat(p.program.files, p.program.calls), func(name string) bool { return within(name, e.Path) })
}

// onlyTypeScript tells whether a directory holds sources that a build turned
// into something else, and nothing that could be read at run time.
func (p *project) onlyTypeScript(dir string) bool {
	files := 0
	for _, f := range p.tree.below(dir) {
		if f.Kind == footprint.Directory {
			continue
		}
		if ext := path.Ext(f.Path); ext != ".ts" && ext != ".tsx" && ext != ".mts" && ext != ".cts" {
			return false
		}
		files++
	}
	return files > 0
}
