package advice

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// request is a package of the system that a line of the author's asks for.
type request struct {
	name string
	// recommends tells that what it recommends was installed with it.
	recommends bool
}

// packageName is what managers call packages, without version and architecture.
var packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]*$`)

// requests lists the packages that the author's lines ask for and that the image
// has, in their order. The sentence says what could not be read, "" for nothing.
func (p *project) requests() ([]request, string) {
	installed := map[string]bool{}
	for _, k := range p.Image.Packages {
		if footprint.OfSystem(k.Ecosystem) {
			installed[k.Name] = true
		}
	}
	var out []request
	for _, s := range p.steps {
		if s.Keyword != "RUN" {
			continue
		}
		script, err := s.Script()
		if err != nil {
			if exec := s.Exec(); len(exec) > 0 && isManager(path.Base(exec[0])) {
				return nil, fmt.Sprintf("Line %d installs packages without a shell, which is not read.", s.Start)
			}
			continue
		}
		for _, c := range script.Calls {
			if !isManager(c.Name()) {
				continue
			}
			args := c.Args()
			verb := slices.IndexFunc(args, func(a string) bool { return a == "install" || a == "add" || a == "reinstall" })
			if verb < 0 {
				continue
			}
			recommends := c.Name() != "apk" && !c.Has("--no-install-recommends", "--setopt=install_weak_deps=False", "--setopt=install_weak_deps=0") &&
				!strings.Contains(strings.Join(args, " "), "Install-Recommends=")
			for i, word := range args {
				name := word
				if i == verb || strings.HasPrefix(name, "-") || name == "install" {
					continue
				}
				if i > 0 && slices.Contains([]string{"-t", "--virtual", "-o", "--target-release", "--repository", "-X", "--default-release"}, args[i-1]) {
					continue
				}
				name = strings.TrimPrefix(name, "--")
				name, _, _ = strings.Cut(name, "=")
				name, _, _ = strings.Cut(name, "~")
				name, _, _ = strings.Cut(name, "@")
				name, _, _ = strings.Cut(name, "/")
				if c.Name() != "rpm" {
					name, _, _ = strings.Cut(name, ":")
				}
				if !c.Words[i+1].Known && !packageName.MatchString(name) {
					return nil, fmt.Sprintf("Line %d installs %s, whose name is not known.", s.Start, word)
				}
				if installed[name] && !slices.ContainsFunc(out, func(r request) bool { return r.name == name }) {
					out = append(out, request{name, recommends})
				}
			}
		}
	}
	return out, ""
}

// isManager tells the package managers of systems.
func isManager(name string) bool {
	return slices.Contains([]string{"apt-get", "apt", "apk", "yum", "dnf", "microdnf", "tdnf", "zypper"}, name)
}

// buildTool tells packages that compile, fetch or test, and are not run by a
// program that was built.
func buildTool(name string) bool {
	if strings.HasSuffix(name, "-dev") || strings.HasSuffix(name, "-devel") || strings.HasSuffix(name, "-headers") || strings.HasSuffix(name, "-doc") {
		return true
	}
	for _, prefix := range []string{"gcc-", "g++-", "clang-", "llvm-", "linux-headers", "cpp-", "binutils"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"gcc", "g++", "cpp", "clang", "llvm", "lld", "make", "cmake", "ninja-build", "ninja", "meson", "autoconf", "automake", "libtool", "libtool-bin", "m4", "bison", "flex", "nasm", "yasm",
		"build-essential", "build-base", "alpine-sdk", "base-devel", "gcc-c++", "glibc-devel", "pkg-config", "pkgconf", "pkgconfig", "patch", "git", "git-lfs", "mercurial", "subversion",
		"cargo", "rustc", "rust", "golang", "golang-go", "go", "gfortran", "swig", "dpkg-dev", "fakeroot", "devscripts", "node-gyp", "python3-pip", "py3-pip", "python3-setuptools", "python3-wheel", "python3-venv",
		"vim", "vim-tiny", "nano", "less", "man-db", "strace", "gdb", "valgrind", "upx", "upx-ucl", "file", "gettext"}, name)
}

// install is the line that installs packages in the runtime stage.
func (p *project) install(packages []string) string {
	names := slices.Clone(packages)
	slices.Sort(names)
	list := strings.Join(slices.Compact(names), " ")
	switch p.manager() {
	case footprint.Apk:
		return "RUN apk add --no-cache " + list
	case footprint.Rpm:
		manager := "dnf"
		for _, name := range []string{"microdnf", "dnf", "yum"} {
			if _, _, ok := p.tree.follow("/usr/bin/" + name); ok {
				manager = name
				break
			}
		}
		return fmt.Sprintf("RUN %s install -y %s && %s clean all", manager, list, manager)
	}
	flag := " --no-install-recommends"
	if p.recommends {
		flag = ""
	}
	return "RUN apt-get update && apt-get install -y" + flag + " " + list + " && apt-get clean && rm -rf /var/lib/apt/lists/*"
}

// manager is the ecosystem of the system.
func (p *project) manager() string {
	for _, k := range p.Image.Packages {
		if footprint.OfSystem(k.Ecosystem) {
			return k.Ecosystem
		}
	}
	if _, ok := p.tree.get("/lib/apk"); ok {
		return footprint.Apk
	}
	return footprint.Dpkg
}

// makesUsers tells commands that make users and groups.
func makesUsers(name string) bool {
	return slices.Contains([]string{"useradd", "adduser", "groupadd", "addgroup", "usermod", "groupmod"}, name)
}

// userSteps are the author's lines that make users and groups.
func (p *project) userSteps() []dockerfile.Step {
	var out []dockerfile.Step
	for _, s := range p.steps {
		if script, err := s.Script(); err == nil && s.Keyword == "RUN" &&
			slices.ContainsFunc(script.Calls, func(c dockerfile.Call) bool { return makesUsers(c.Name()) }) {
			out = append(out, s)
		}
	}
	return out
}

// repeatable tells whether the commands of a line that make users can be run
// without the others.
func repeatable(s dockerfile.Step) bool {
	script, err := s.Script()
	return err == nil && !slices.ContainsFunc(script.Calls, func(c dockerfile.Call) bool {
		return makesUsers(c.Name()) && (!c.Certain || slices.ContainsFunc(c.Words, func(w dockerfile.Word) bool { return !w.Known }))
	})
}

// userLines are RUN lines with the commands of these steps that make users.
func (p *project) userLines(steps []dockerfile.Step) []string {
	var out []string
	for _, s := range steps {
		script, err := s.Script()
		if err != nil {
			continue
		}
		var calls []string
		for _, c := range script.Calls {
			if makesUsers(c.Name()) {
				var words []string
				for _, w := range c.Words {
					words = append(words, quote(w.Text))
				}
				calls = append(calls, strings.Join(words, " "))
			}
		}
		if len(calls) > 0 {
			out = append(out, "RUN "+strings.Join(calls, " && "))
		}
	}
	return out
}

// residue tells what builds and package managers leave behind outside the
// directories of a program, and nothing reads at run time.
func residue(name string) bool {
	// Homes are like that of root.
	if parts := strings.SplitN(name, "/", 4); len(parts) == 4 && parts[1] == "home" {
		return residue("/root/" + parts[3])
	}
	for _, dir := range []string{"/tmp", "/var/tmp", "/var/cache", "/var/log/apt", "/var/log/dpkg.log", "/var/log/alternatives.log", "/var/log/lastlog", "/var/log/faillog", "/var/lib/apt", "/usr/local/go", "/go", "/usr/local/cargo", "/usr/local/rustup", "/root/.cargo", "/root/.rustup",
		"/root/.m2", "/root/.gradle", "/root/.nuget", "/root/.ccache", "/root/.gem", "/root/.bundle/cache", "/root/.composer/cache", "/root/.npm-global/_cacache", "/usr/local/share/.cache",
		"/var/lib/dpkg", "/var/lib/apk", "/var/lib/rpm", "/var/lib/systemd", "/var/lib/ucf", "/var/backups", "/var/mail", "/run", "/dev", "/proc", "/sys", "/lib/apk",
		"/usr/include", "/usr/local/include", "/usr/share/man", "/usr/share/doc", "/usr/share/info", "/usr/share/bash-completion", "/usr/local/share/man", "/usr/share/mime",
		"/usr/lib/python3/dist-packages", "/usr/share/python3", "/etc/alternatives", "/etc/apk", "/etc/apt", "/etc/systemd", "/etc/ssl/certs", "/etc/ca-certificates", "/etc/rc0.d", "/etc/rc1.d", "/etc/rc2.d",
		"/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d", "/etc/rc6.d", "/etc/rcS.d", "/etc/pam.d", "/etc/perl", "/usr/share/info", "/usr/lib/node_modules/npm",
		"/root/.npm", "/root/.yarn", "/root/.node-gyp", "/root/.electron-gyp", "/root/.local/share/pnpm", "/root/.local/share/uv", "/root/.config/yarn", "/root/.config/configstore", "/home/node/.npm",
		"/root/.cache/pip", "/root/.cache/uv", "/root/.cache/pypoetry", "/root/.cache/node-gyp", "/root/.cache/yarn", "/root/.cache/pnpm", "/root/.cache/go-build", "/root/.cache/composer", "/root/.cache/fontconfig", "/root/.cache/prisma",
		"/home/node/.cache/node-gyp", "/home/node/.cache/yarn", "/usr/local/share/.config"} {
		if within(name, dir) {
			return true
		}
	}
	switch name {
	case "/etc/ld.so.cache", "/etc/mailcap", "/etc/shells", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-",
		"/etc/subuid", "/etc/subgid", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/etc/ca-certificates.conf", "/etc/nsswitch.conf", "/etc/machine-id",
		"/root/.wget-hsts", "/root/.bash_history", "/root/.node_repl_history", "/root/.gitconfig", "/root/.python_history", "/.dockerenv":
		return true
	}
	base := path.Base(name)
	return strings.HasSuffix(base, ".a") || strings.HasSuffix(base, ".la") || strings.HasSuffix(base, ".pc") || strings.HasSuffix(base, ".pyc") && !strings.Contains(name, "/site-packages/") ||
		strings.HasSuffix(base, ".dpkg-old") || strings.HasSuffix(base, ".dpkg-dist")
}

// needless tells entries of a project's directory that surely do not run.
func needless(name string, dir bool) bool {
	lower := strings.ToLower(name)
	if dir {
		return slices.Contains([]string{".git", ".github", ".gitlab", ".svn", ".hg", ".circleci", ".vscode", ".idea", ".husky", ".devcontainer", ".cache", ".nyc_output", ".pytest_cache", ".mypy_cache", ".ruff_cache",
			".tox", ".nox", ".eggs", ".parcel-cache", ".turbo", ".npm", ".yarn-cache", ".pnpm-store", "__pycache__", "coverage", "htmlcov", "test", "tests", "__tests__", "spec", "specs", "e2e", "cypress", "__mocks__", "__snapshots__", "docs", "doc", ".storybook", ".changeset", ".settings"}, lower)
	}
	for _, prefix := range []string{"dockerfile", "docker-compose", "compose.y", "containerfile", "readme", "changelog", "contributing", "code_of_conduct", "security.md", ".eslint", ".prettier", ".stylelint", ".babelrc.bak", ".editorconfig", ".gitignore", ".gitattributes", ".gitmodules", ".gitlab-ci", ".travis", ".dockerignore", ".npmignore", ".nvmrc", ".node-version", ".huskyrc", ".lintstaged", ".commitlint", "commitlint.config", "jest.config", "vitest.config", "cypress.config", "playwright.config", "karma.conf", "eslint.config", "prettier.config", "tslint", ".coveragerc", ".flake8", ".pylintrc", ".pre-commit-config", "tox.ini", "noxfile", "conftest.py", "pytest.ini", "mypy.ini", "requirements-dev", "requirements-test", "jenkinsfile", "makefile", "azure-pipelines", "appveyor", "codecov", ".codecov", "renovate.json", "dependabot", ".ds_store", "npm-debug.log", "yarn-error.log", ".mocharc", ".nycrc", "nodemon.json"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return strings.HasSuffix(lower, ".test.js") || strings.HasSuffix(lower, ".spec.js") || strings.HasSuffix(lower, ".test.ts") || strings.HasSuffix(lower, ".spec.ts") || strings.HasSuffix(lower, ".swp") || strings.HasSuffix(lower, ".orig")
}

// parts are what the runtime stage of an interpreted program takes from the
// build stage.
type parts struct {
	copies []copied
	run    []string
	notes  []string
	remove []string // to be removed in the build stage before it is copied
}

// appRoots are the directories that hold the program: that it is started in,
// and those that COPY brought things to, outermost ones only.
func (p *project) appRoots() []string {
	var roots []string
	add := func(dir string) {
		if f, ok := p.tree.get(dir); dir == "" || shared(dir) || residue(dir) || !ok || f.Kind != footprint.Directory || !p.wholly(dir) {
			return
		}
		roots = append(roots, dir)
	}
	add(p.dir)
	for _, s := range p.steps {
		if files, ok := s.Files(); ok && files.To != "" {
			add(files.To)
		}
	}
	slices.Sort(roots)
	roots = slices.Compact(roots)
	return slices.DeleteFunc(roots, func(r string) bool {
		return slices.ContainsFunc(roots, func(o string) bool { return under(r, o) })
	})
}

// wholly tells whether all files below a directory are of own layers and of no
// package of the system.
func (p *project) wholly(dir string) bool {
	return !slices.ContainsFunc(p.tree.below(dir), func(f footprint.File) bool {
		return f.Kind != footprint.Directory && (!p.isOwn(f) || p.ofSystem(f.Owner))
	})
}

// app plans the copies of an application directory. What is not surely needless
// is kept; if little is left out, the directory is copied whole, unless it is
// built, so that sources are left behind anyway.
func (p *project) app(dir string, drop func(entry footprint.File) bool, built bool) parts {
	var out parts
	var dropped footprint.Bytes
	var leave []footprint.File
	odd := false
	entries := p.tree.children(dir)
	for _, e := range entries {
		odd = odd || e.Kind == footprint.Symlink || e.Kind == footprint.Other
		if drop(e) {
			leave = append(leave, e)
			dropped += p.weight(e)
		}
	}
	top, _ := p.tree.get(dir)
	if dropped < Floor && !built || len(leave) == 0 || odd || len(entries)-len(leave) > 2*maxCopies || !p.rootly(top) && p.oneOwner(dir) == "" {
		if dropped >= Floor {
			var names []string
			for _, e := range leave {
				names = append(names, quote(e.Path))
			}
			out.remove = append(out.remove, "RUN rm -rf "+strings.Join(names, " "))
		}
		c, run := p.whole(dir)
		out.copies, out.run = append(out.copies, c), run
		return out
	}
	out.run = p.own0(top)
	chown := ""
	if !p.rootly(top) {
		chown = p.oneOwner(dir)
	}
	var files []string
	var dirs []copied
	for _, e := range entries {
		switch {
		case drop(e):
		case e.Kind == footprint.Directory:
			c, run := p.whole(e.Path)
			out.run = append(out.run, run...)
			dirs = append(dirs, c)
		default:
			files = append(files, e.Path)
		}
	}
	// Dependencies change least, the program most: that keeps layers cached.
	slices.SortStableFunc(dirs, func(a, b copied) int { return cmp.Compare(rank(a.to), rank(b.to)) })
	n := 0
	for n < len(dirs) && rank(dirs[n].to) == 0 {
		n++
	}
	out.copies = append(out.copies, dirs[:n]...)
	if len(files) > 0 {
		out.copies = append(out.copies, copied{from: files, to: strings.TrimSuffix(dir, "/") + "/", chown: chown})
	}
	out.copies = append(out.copies, dirs[n:]...)
	return out
}

// rank orders what is copied by how seldom it changes.
func rank(dir string) int {
	if base := path.Base(dir); base == "node_modules" || base == ".venv" || base == "venv" || base == "vendor" {
		return 0
	}
	return 1
}

// weight is what an entry holds with all below it.
func (p *project) weight(e footprint.File) footprint.Bytes {
	sum := e.Size
	if e.Kind == footprint.Directory {
		for _, f := range p.tree.below(e.Path) {
			sum += f.Size
		}
	}
	return sum
}

// rootly tells what COPY makes of a directory by itself.
func (p *project) rootly(f footprint.File) bool {
	return f.UID == 0 && f.GID == 0 && f.Mode == 0o755
}

// oneOwner is the owner of all of a directory, "" if there are several.
func (p *project) oneOwner(dir string) string {
	f, _ := p.tree.get(dir)
	for _, b := range p.tree.below(dir) {
		if b.UID != f.UID || b.GID != f.GID {
			return ""
		}
	}
	return fmt.Sprintf("%d:%d", f.UID, f.GID)
}

// whole copies a directory with the owners and modes that it has.
func (p *project) whole(dir string) (copied, []string) {
	c := copied{from: []string{dir}, to: dir}
	f, _ := p.tree.get(dir)
	if p.rootly(f) {
		return c, nil
	}
	if one := p.oneOwner(dir); one != "" && f.Mode == 0o755 && dir != p.dir {
		c.chown = one
		return c, nil
	}
	return c, p.own0(f)
}

// own0 are lines that make a directory with its owner and mode: a copy into it
// leaves them as they are.
func (p *project) own0(f footprint.File) []string {
	if p.rootly(f) || f.Path == "/" {
		return nil
	}
	var words []string
	if f.Path != p.dir || p.workdir() == "" {
		words = append(words, "mkdir -p "+quote(f.Path))
	}
	if f.UID != 0 || f.GID != 0 {
		words = append(words, fmt.Sprintf("chown %d:%d %s", f.UID, f.GID, quote(f.Path)))
	}
	if f.Mode != 0o755 {
		words = append(words, fmt.Sprintf("chmod %o %s", f.Mode, quote(f.Path)))
	}
	return []string{"RUN " + strings.Join(words, " && ")}
}

// outside plans the copies of what own layers hold outside the application's
// directories, without what skip tells.
func (p *project) outside(roots []string, skip func(footprint.File) bool) parts {
	var out parts
	installs := p.installLayers()
	seen := "" // the directory that was taken or passed over as a whole
	files := map[string][]string{}
	var order []string
	var links []string
	for _, f := range p.tree.files {
		if seen != "" && within(f.Path, seen) {
			continue
		}
		seen = ""
		if slices.ContainsFunc(roots, func(r string) bool { return within(f.Path, r) }) || residue(f.Path) || skip(f) || !p.isOwn(f) || p.ofSystem(f.Owner) {
			continue
		}
		if f.Kind == footprint.Directory {
			below := p.tree.below(f.Path)
			holds := slices.ContainsFunc(below, func(b footprint.File) bool { return b.Kind != footprint.Directory })
			switch {
			case shared(f.Path) || !p.wholly(f.Path) || slices.ContainsFunc(roots, func(r string) bool { return under(r, f.Path) }):
			case holds && slices.ContainsFunc(below, func(b footprint.File) bool { return residue(b.Path) || skip(b) }):
			case holds && installs[f.Layer] && !p.copiedIn(f.Path):
			case holds:
				c, run := p.whole(f.Path)
				out.copies, out.run = append(out.copies, c), append(out.run, run...)
				seen = f.Path
			case !installs[f.Layer] || f.UID != 0 || p.namedInRun(f):
				// Empty directories are there to be written to. Scripts of packages
				// make some of group staff, which nobody asked for.
				c, run := p.whole(f.Path)
				out.copies, out.run = append(out.copies, c), append(out.run, run...)
				seen = f.Path
			}
			continue
		}
		if installs[f.Layer] && f.Owner == footprint.Unowned && !p.namedInRun(f) && !within(f.Path, "/usr/local") && !within(f.Path, "/opt") && !within(f.Path, "/srv") && !within(f.Path, "/usr/lib/locale") && !within(f.Path, "/usr/share/fonts") {
			continue // what the scripts of packages make, they make again
		}
		switch f.Kind {
		case footprint.Symlink:
			// The directory may have come with a package that is left out.
			if dir, _ := p.tree.get(path.Dir(f.Path)); !shared(dir.Path) && p.isOwn(dir) {
				links = append(links, "mkdir -p "+quote(dir.Path))
			}
			links = append(links, fmt.Sprintf("ln -sfn %s %s", quote(f.Link), quote(f.Path)))
		case footprint.Regular:
			dir := path.Dir(f.Path)
			if files[dir] == nil {
				order = append(order, dir)
			}
			files[dir] = append(files[dir], f.Path)
		}
	}
	if len(links) > 0 {
		out.run = append(out.run, "RUN "+strings.Join(links, " && "))
	}
	for _, dir := range order {
		out.copies = append(out.copies, copied{from: files[dir], to: strings.TrimSuffix(dir, "/") + "/"})
	}
	return out
}

// installLayers are the layers whose RUN installs packages of the system.
func (p *project) installLayers() map[int]bool {
	out := map[int]bool{}
	for i := range p.steps {
		script, err := p.steps[i].Script()
		if err != nil || p.steps[i].Keyword != "RUN" {
			continue
		}
		if slices.ContainsFunc(script.Calls, func(c dockerfile.Call) bool { return isManager(c.Name()) && c.Has("install", "add", "reinstall") }) {
			for _, l := range p.layersOf(&p.steps[i]) {
				out[l] = true
			}
		}
	}
	return out
}

// copiedIn tells whether COPY brought something below a directory.
func (p *project) copiedIn(dir string) bool {
	return slices.ContainsFunc(p.tree.below(dir), func(f footprint.File) bool { return f.Owner == footprint.OfApplication })
}

// namedInRun tells whether the line that made a file names it.
func (p *project) namedInRun(f footprint.File) bool {
	s := p.stepOf(f.Layer)
	return s != nil && strings.Contains(p.written(*s), f.Path)
}
