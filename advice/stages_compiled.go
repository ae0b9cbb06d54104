package advice

import (
	"cmp"
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

// maxCopies is how many COPY lines of files that a program may read are still
// read by people. Beyond it, whole directories are copied.
const maxCopies = 24

// compiled is what a runtime stage has to hold of an image whose program was
// compiled.
type compiled struct {
	*project
	distro distro
	// libs is what the programs load; static tells that they load nothing.
	libs   *closure
	static bool
	// shell tells that a shell has to be there, tools are the other commands
	// that have to be, by path: those of the base or of packages.
	shell bool
	tools []footprint.File
	// programs are the files of own layers that are run, assets those that may
	// be read; links have to be made again, and directories are not just there.
	programs []footprint.File
	assets   []copied
	links    []footprint.File
	dirs     []footprint.File
	notes    []string
	// asked are packages of the system that the author's lines ask for and that
	// the program may call or read.
	asked []string
	// names has the files outside of sources by their last name, nil until twin
	// asks.
	names map[string][]footprint.File
	// drop tells of more that is not read; nil is nothing. keepSources keeps what
	// looks like the source of a compiler.
	drop        func(name string) bool
	keepSources bool
}

// builtHere tells whether the program is an ELF file that no package of the
// system and no base brought.
func (p *project) builtHere() bool {
	e := p.program.exec
	return e.Path != "" && e.Program != nil && e.Program.ELF && e.Layer >= p.base && !p.ofSystem(e.Owner)
}

// ofSystem tells whether a file belongs to a package of the system.
func (p *project) ofSystem(o footprint.Owner) bool {
	i, ok := o.Package()
	return ok && i < len(p.Image.Packages) && footprint.OfSystem(p.Image.Packages[i].Ecosystem)
}

// ecosystemOf is the ecosystem of the package that owns a file, "" if none does.
func (p *project) ecosystemOf(o footprint.Owner) string {
	if i, ok := o.Package(); ok && i < len(p.Image.Packages) {
		return p.Image.Packages[i].Ecosystem
	}
	return ""
}

// packageOf is the package of the system that owns a file, "" if none does.
func (p *project) packageOf(o footprint.Owner) string {
	if !p.ofSystem(o) {
		return ""
	}
	i, _ := o.Package()
	return p.Image.Packages[i].Name
}

// baseName is the image that the stage goes back to.
func (p *project) baseName() string { return p.file.Root(p.stage).Base }

// runs tells whether a RUN of the build calls one of these commands.
func (p *project) runs(names ...string) bool {
	for i := range p.steps {
		if p.steps[i].Keyword != "RUN" {
			continue
		}
		if script, err := p.steps[i].Script(); err == nil {
			for _, c := range script.Calls {
				if slices.Contains(names, c.Name()) {
					return true
				}
			}
		} else if exec := p.steps[i].Exec(); len(exec) > 0 && slices.Contains(names, path.Base(exec[0])) {
			return true
		}
	}
	return false
}

// interpreted gathers what the runtime stage of any program has to hold, without
// the files that it reads and the libraries that it loads. The proposal says why
// there is none; it is nil where there is.
func (p *project) interpreted(ctx context.Context) (*compiled, *proposal, error) {
	if len(p.program.unknown) > 0 {
		return nil, unsure(p.program.unknown...), nil
	}
	if p.Image.Base == nil {
		return nil, unsure("It is not known which layers the base image brought. Name it with --base."), nil
	}
	if len(p.Config.OnBuild) > 0 {
		return nil, unsure("The image has ONBUILD triggers, which the images that are built on it need."), nil
	}
	c := &compiled{project: p, libs: &closure{}, shell: p.program.shell || p.program.npm}
	plain := plainCommand(p.Config.Entrypoint)
	if plain == nil && len(p.Config.Entrypoint) == 0 {
		plain = plainCommand(p.Config.Cmd)
	}
	if slices.Equal(plain, p.program.argv) && len(plain) > 0 {
		c.shell = false
	}
	var err error
	if c.distro, err = p.distro(ctx, p.tree); err != nil {
		return nil, nil, err
	}
	c.need(p.program.exec.Path)
	for _, name := range p.program.files {
		f, _, ok := p.tree.follow(name)
		if ok && p.isOwn(f) && f.Program != nil && !f.Program.ELF {
			c.shell = true // a script
		}
		c.need(name)
	}
	for _, name := range p.program.calls {
		c.need(name)
	}
	if h := p.Config.Healthcheck; h != nil && len(h.Test) > 0 && h.Test[0] == "CMD-SHELL" {
		c.shell = true
	}
	if sentence := c.ask(); sentence != "" {
		return nil, unsure(sentence), nil
	}
	if !c.shell {
		// What a shell was needed for to get there is needed no more.
		c.tools = slices.DeleteFunc(c.tools, func(f footprint.File) bool { return c.isShell(f) })
	}
	return c, nil, nil
}

// ask finds the packages that somebody asked for and that are not for building.
// What is left behind is in a note. The sentence says what could not be read, ""
// for nothing.
func (c *compiled) ask() string {
	requests, sentence := c.requests()
	var left []string
	for _, r := range requests {
		called := slices.ContainsFunc(c.tools, func(f footprint.File) bool { return c.packageOf(f.Owner) == r.name })
		// Nothing tells whether a program starts others. What no line of the
		// build calls is there for the program, then.
		callers, twofold := twofoldTools()[r.name]
		switch {
		case called: // and installed for that
		case twofold && c.buildCalls(callers), !twofold && buildTool(r.name):
			if !headers.MatchString(r.name) {
				left = append(left, r.name)
			}
		case !twofold && (strings.HasPrefix(r.name, "lib") || // what is loaded of these is found in another way
			slices.Contains([]string{"ca-certificates", "tzdata", "apt-transport-https", "software-properties-common", "apt-utils", "lsb-release", "gnupg", "gnupg2", "dirmngr",
				"protobuf-compiler", "protoc", "protobuf", "musl-dev", "gcompat", "maven", "gradle", "composer"}, r.name) ||
			strings.Contains(r.name, "-jdk") || strings.Contains(r.name, "-jre") || strings.HasPrefix(r.name, "openjdk")):
		default:
			c.asked = append(c.asked, r.name)
			c.recommends = c.recommends || r.recommends
		}
	}
	if len(left) > 0 {
		it := "it"
		if len(left) > 1 {
			it = "one of them"
		}
		c.notes = append(c.notes, "The runtime stage does not install "+sentenceList(left)+", which the build needs. If the program itself starts "+it+", add it there.")
	}
	return sentence
}

// headers are packages without commands.
var headers = regexp.MustCompile(`-(dev|devel|headers|doc)$`)

// twofoldTools are packages of commands that builds call, and programs too, with
// the commands that show that a build does.
func twofoldTools() map[string][]string {
	unpack := []string{"tar", "unxz", "xz", "gunzip", "gzip", "bunzip2", "bzip2"}
	return map[string][]string{
		"git": {"git", "composer", "bundle"}, "git-lfs": {"git"}, "mercurial": {"hg"}, "subversion": {"svn"},
		"curl": {"curl"}, "wget": {"wget"}, "rsync": {"rsync"}, "jq": {"jq"}, "bash": {"bash"}, "file": {"file"}, "patch": {"patch", "git"},
		"zip": {"zip"}, "unzip": {"unzip", "composer"}, "tar": unpack, "gzip": unpack, "xz": unpack, "xz-utils": unpack, "bzip2": unpack,
		"openssh": {"ssh", "scp", "sftp", "ssh-keyscan", "git"}, "openssh-client": {"ssh", "scp", "sftp", "ssh-keyscan", "git"},
		"locales": {"locale-gen", "localedef"}, // what they made is copied
		"gettext": {"msgfmt", "envsubst", "xgettext"}, "gettext-base": {"envsubst"},
	}
}

// buildCalls tells whether a RUN calls one of these commands, git by itself where
// a manager of packages is told to fetch from repositories that are not public.
func (c *compiled) buildCalls(names []string) bool {
	if c.runs(names...) {
		return true
	}
	return slices.Contains(names, "git") && slices.ContainsFunc(c.steps, func(s dockerfile.Step) bool {
		return s.Keyword != "COPY" && slices.ContainsFunc([]string{"GOPRIVATE", "GONOPROXY", "GOPROXY=direct", "CARGO_NET_GIT_FETCH_WITH_CLI", "type=ssh"}, func(w string) bool { return strings.Contains(s.Text, w) })
	})
}

// compile gathers what the runtime stage of a program has to hold that loads
// nothing but libraries.
func (p *project) compile(ctx context.Context) (*compiled, *proposal, error) {
	c, refusal, err := p.interpreted(ctx)
	if c == nil {
		return nil, refusal, err
	}
	c.collect()
	var roots []string
	for _, f := range c.programs {
		roots = append(roots, f.Path)
	}
	if c.libs, err = p.closure(ctx, p.tree, roots...); err != nil {
		return nil, nil, err
	}
	if c.libs.Cut {
		return nil, unsure("The program loads more libraries than can be followed."), nil
	}
	for _, lib := range c.libs.Missing {
		return nil, unsure(fmt.Sprintf("%s needs %s, which is not in the image.", lib.By, lib.Name)), nil
	}
	opens, plugins := c.opens()
	if opens != "" && len(plugins) == 0 {
		return nil, unsure(opens + " loads libraries by names that only running it tells (dlopen), and none was found that nobody else loads."), nil
	}
	if opens != "" {
		c.notes = append(c.notes, opens+" loads libraries by name (dlopen). All libraries that no package owns are kept; try what loads them.")
		for _, f := range plugins {
			c.programs = append(c.programs, f)
			roots = append(roots, f.Path)
		}
		if c.libs, err = p.closure(ctx, p.tree, roots...); err != nil {
			return nil, nil, err
		}
	}
	c.static = c.libs.Libc == "" && len(c.libs.Libraries) == 0
	return c, nil, nil
}

// isOwn tells whether a layer above the base holds a file.
func (p *project) isOwn(f footprint.File) bool { return f.Layer >= p.base }

// isShell tells a POSIX shell, which is a file of many commands in some systems.
func (c *compiled) isShell(f footprint.File) bool {
	return slices.Contains([]string{"sh", "dash", "ash", "bash", "busybox"}, path.Base(f.Path))
}

// need takes a file that is run: with the runtime stage's own files, or with
// those that the base and packages have.
func (c *compiled) need(name string) {
	f, links, ok := c.tree.follow(name)
	if !ok || f.Kind != footprint.Regular {
		return
	}
	list := &c.programs
	if !c.isOwn(f) || c.ofSystem(f.Owner) {
		list = &c.tools
	} else {
		for _, l := range links {
			if c.isOwn(l) && !slices.ContainsFunc(c.links, func(o footprint.File) bool { return o.Path == l.Path }) {
				c.links = append(c.links, l)
			}
		}
	}
	if !slices.ContainsFunc(*list, func(o footprint.File) bool { return o.Path == f.Path }) {
		*list = append(*list, f)
	}
}

// opens is the first file of own layers that loads others by name, "" if none
// does, and the libraries of own layers that no package owns and nobody loads.
func (c *compiled) opens() (string, []footprint.File) {
	opens := ""
	for _, name := range c.libs.Dlopen {
		if f, ok := c.tree.get(name); ok && c.isOwn(f) && !c.ofSystem(f.Owner) && opens == "" {
			opens = name
		}
	}
	if opens == "" {
		return "", nil
	}
	var plugins []footprint.File
	sources := c.sources()
	for _, f := range c.tree.files {
		if f.Kind == footprint.Regular && c.isOwn(f) && f.Program != nil && f.Program.Library && c.ecosystemOf(f.Owner) == "" &&
			!toolchain(f.Path) && !slices.ContainsFunc(c.libs.Libraries, func(l library) bool { return l.Real == f.Path }) {
			if _, installed := c.twin(f, sources); !installed {
				plugins = append(plugins, f)
			}
		}
	}
	return opens, plugins
}

// toolchain tells the places of compilers, caches and build trees, of which
// nothing is read at run time.
func toolchain(name string) bool {
	for _, dir := range []string{"/usr/local/go", "/go/pkg", "/go/bin", "/usr/local/cargo", "/usr/local/rustup", "/tmp", "/var/tmp", "/var/cache", "/var/lib/apt", "/var/log",
		"/usr/share/maven", "/opt/gradle", "/usr/share/dotnet/sdk", "/root/.m2", "/root/.gradle", "/root/.nuget", "/root/.local/share/NuGet", "/home/gradle/.gradle", "/usr/local/share/.cache"} {
		if within(name, dir) {
			return true
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case ".git", ".github", ".gitlab", ".svn", ".hg", ".vscode", ".idea", ".cache", ".cargo", ".rustup", ".npm", ".ccache",
			"node_modules", "CMakeFiles", "testdata", "__pycache__":
			return true
		}
	}
	return false
}

// buildInput tells files that only a build reads, or leaves behind.
func buildInput(name string) bool {
	base := path.Base(name)
	switch strings.ToLower(path.Ext(base)) {
	case ".go", ".rs", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inl", ".s", ".asm", ".o", ".a", ".d", ".lo", ".la", ".obj", ".gch", ".rlib", ".rmeta",
		".java", ".kt", ".kts", ".scala", ".groovy", ".cs", ".fs", ".vb", ".csproj", ".fsproj", ".vbproj", ".sln", ".slnx", ".pdb", ".gradle", ".proto", ".cmake", ".mk", ".am", ".m4", ".pc":
		return true
	}
	switch base {
	case "go.mod", "go.sum", "go.work", "go.work.sum", "Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml", "rustfmt.toml", "clippy.toml",
		"Makefile", "makefile", "GNUmakefile", "CMakeLists.txt", "CMakeCache.txt", "cmake_install.cmake", "CMakePresets.json", "compile_commands.json", "build.ninja", ".ninja_log", ".ninja_deps",
		"meson.build", "meson_options.txt", "configure", "configure.ac", "config.log", "config.status", "libtool", "Taskfile.yml", "justfile", "Justfile", "Jenkinsfile", "Procfile",
		"pom.xml", "mvnw", "mvnw.cmd", "gradlew", "gradlew.bat", "gradle.properties", "Directory.Build.props", "global.json", "nuget.config", "NuGet.Config",
		"Dockerfile", "Containerfile", ".dockerignore", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml",
		".gitignore", ".gitattributes", ".gitmodules", ".gitlab-ci.yml", ".editorconfig", ".golangci.yml", ".golangci.yaml", ".goreleaser.yml", ".goreleaser.yaml", ".air.toml", ".clang-format", ".clang-tidy", ".pre-commit-config.yaml",
		"README", "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "CODEOWNERS":
		return true
	}
	return strings.HasPrefix(base, "Dockerfile.") || strings.HasSuffix(base, ".Dockerfile")
}

// collect finds the assets: what COPY brought, and what commands left in the
// directories that it brought things to and that the program is started in, but
// for what only a build reads.
func (c *compiled) collect() {
	places := []string{}
	if c.dir != "/" {
		places = append(places, c.dir)
	}
	for i := range c.steps {
		if files, ok := c.steps[i].Files(); ok && files.To != "" && files.To != "/" {
			places = append(places, files.To)
		}
	}
	inPlace := func(name string) bool {
		return slices.ContainsFunc(places, func(dir string) bool { return within(name, dir) })
	}
	own := map[string]bool{}
	for _, f := range c.programs {
		own[f.Path] = true
	}
	for _, l := range c.links {
		own[l.Path] = true
	}
	left := map[string]bool{} // directories of Cargo and of vendored modules
	for _, f := range c.tree.files {
		if base := path.Base(f.Path); base == "CACHEDIR.TAG" || base == "modules.txt" && path.Base(path.Dir(f.Path)) == "vendor" {
			left[path.Dir(f.Path)] = true
		}
	}
	leftover := func(name string) bool {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			if left[dir] {
				return true
			}
		}
		return left[name]
	}
	installs := c.installLayers()
	keep := map[string]bool{}
	var linked []footprint.File
	for _, f := range c.tree.files {
		switch {
		case f.Kind == footprint.Directory, !c.isOwn(f), own[f.Path], c.ofSystem(f.Owner), toolchain(f.Path), leftover(f.Path),
			!c.keepSources && buildInput(f.Path), c.drop != nil && c.drop(f.Path):
		case f.Kind == footprint.Symlink:
			linked = append(linked, f)
		case f.Owner == footprint.Unowned && within(f.Path, "/etc") && installs[f.Layer] && !c.namedInRun(f):
			// What the scripts of packages make, they make again.
		case f.Owner == footprint.OfApplication, inPlace(f.Path), installPlace(f.Path):
			// Other programs that a build left are not read; one that COPY brought
			// may be called.
			keep[f.Path] = f.Owner == footprint.OfApplication || f.Program == nil || !f.Program.ELF
		}
	}
	c.dropTwins(keep)
	holding := map[string]bool{} // directories
	for name, kept := range keep {
		for dir := path.Dir(name); kept && !holding[dir]; dir = path.Dir(dir) {
			holding[dir] = true
		}
	}
	for _, l := range linked {
		to, _, ok := c.tree.follow(l.Path)
		if ok && (inPlace(l.Path) || installPlace(l.Path)) && (keep[to.Path] || own[to.Path] || !c.isOwn(to) && to.Kind == footprint.Regular ||
			to.Kind == footprint.Directory && holding[to.Path]) {
			keep[l.Path] = true
		}
	}
	c.group(keep)
	for _, f := range c.tree.files {
		if f.Kind != footprint.Directory || !c.isOwn(f) || toolchain(f.Path) || leftover(f.Path) {
			continue
		}
		below := c.tree.below(f.Path)
		empty := !slices.ContainsFunc(below, func(f footprint.File) bool { return f.Kind != footprint.Directory })
		holds := slices.ContainsFunc(below, func(f footprint.File) bool { return keep[f.Path] || own[f.Path] })
		volume := slices.Contains(c.Config.Volumes, f.Path)
		special := f.UID != 0 || f.GID != 0 || f.Mode != 0o755
		if f.Path == c.dir && !special && !volume {
			continue // WORKDIR makes it
		}
		if volume || f.Path == c.dir && special || special && holds && !shared(f.Path) || empty && (inPlace(f.Path) || f.UID != 0) {
			c.dirs = append(c.dirs, f)
		}
	}
}

// sources are the directories that COPY brought sources to.
func (c *compiled) sources() []string {
	var out []string
	for i := range c.steps {
		files, ok := c.steps[i].Files()
		if !ok || files.To == "" || shared(files.To) {
			continue
		}
		if slices.ContainsFunc(c.tree.below(files.To), func(f footprint.File) bool { return f.Owner == footprint.OfApplication && buildInput(f.Path) }) {
			out = append(out, files.To)
		}
	}
	return out
}

// twin is the file that lines put elsewhere of one that lies between sources: of
// the same name and content.
func (c *compiled) twin(f footprint.File, sources []string) (footprint.File, bool) {
	among := func(name string) bool {
		return slices.ContainsFunc(sources, func(dir string) bool { return within(name, dir) })
	}
	if f.Size == 0 || f.Hash == 0 || !among(f.Path) {
		return footprint.File{}, false
	}
	if c.names == nil {
		c.names = map[string][]footprint.File{}
		for _, o := range c.tree.files {
			if o.Kind == footprint.Regular && o.Size > 0 && c.isOwn(o) && !c.ofSystem(o.Owner) && !toolchain(o.Path) && !among(o.Path) {
				c.names[path.Base(o.Path)] = append(c.names[path.Base(o.Path)], o)
			}
		}
	}
	for _, o := range c.names[path.Base(f.Path)] {
		if o.Hash == f.Hash && o.Size == f.Size {
			return o, true
		}
	}
	return footprint.File{}, false
}

// dropTwins leaves files between sources behind that a line put where they are
// read. In the directory that the program is started in, that has to be a COPY:
// a program may read them there as well.
func (c *compiled) dropTwins(keep map[string]bool) {
	sources := c.sources()
	for name, kept := range keep {
		f, _ := c.tree.get(name)
		if twin, ok := c.twin(f, sources); kept && ok && (!within(name, c.dir) || c.dir == "/" || twin.Owner == footprint.OfApplication) &&
			(keep[twin.Path] || slices.ContainsFunc(c.programs, func(p footprint.File) bool { return p.Path == twin.Path })) {
			keep[name] = false
		}
	}
}

// installPlace tells the places where commands put what programs read, and not what
// systems keep for themselves there.
func installPlace(name string) bool {
	for _, part := range []string{"/include/", "/pkgconfig/", "/cmake", "/share/man/", "/share/doc/", "/share/info/", "/share/aclocal/", "/share/bash-completion/"} {
		if strings.Contains(name, part) {
			return false
		}
	}
	if rest, ok := strings.CutPrefix(name, "/etc/"); ok {
		first, _, _ := strings.Cut(rest, "/")
		for _, of := range []string{"passwd", "group", "shadow", "gshadow", "subuid", "subgid", "ld.so.", "alternatives", "ssl", "ca-certificates", "rc", "init.d", "apt", "apk", "dpkg",
			"resolv.conf", "hosts", "hostname", "localtime", "timezone", "mtab", "mailcap", "profile", "skel", "locale.gen", "pam.d", "python", "perl", "java-", "xml", "sgml", "fonts", "emacs", ".pwd.lock", "machine-id", "systemd", "cron", "opt", "environment", "debconf", "ldap", "gss", "logrotate", "terminfo", "update-motd"} {
			if strings.HasPrefix(first, of) {
				return false
			}
		}
		return true
	}
	for _, dir := range []string{"/usr/local/etc", "/usr/local/share", "/usr/local/lib", "/usr/local/libexec", "/usr/local/var", "/usr/lib/locale", "/usr/share/fonts", "/opt", "/srv", "/var/www"} {
		if under(name, dir) {
			return true
		}
	}
	return false
}

// shared tells directories that belong to all: they are never copied whole.
func shared(dir string) bool {
	switch dir {
	case "/", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/usr/local", "/usr/local/bin", "/usr/local/sbin",
		"/usr/local/lib", "/usr/local/etc", "/usr/local/share", "/usr/src", "/opt", "/var", "/var/lib", "/var/www", "/srv", "/home", "/root", "/etc/ssl", "/etc/ssl/certs", "/mnt", "/go":
		return true
	}
	return false
}

// group turns files to keep into copies of whole directories where all of one
// is kept, and of single files where it is not.
func (c *compiled) group(keep map[string]bool) {
	var kept []string
	for name, yes := range keep {
		if yes {
			kept = append(kept, name)
		}
	}
	slices.Sort(kept)
	other := map[string]bool{} // directories that hold something that is not kept
	for _, f := range c.tree.files {
		if f.Kind == footprint.Directory || keep[f.Path] {
			continue
		}
		for dir := path.Dir(f.Path); !other[dir]; dir = path.Dir(dir) {
			other[dir] = true
		}
	}
	dirs, files := map[string]bool{}, map[string][]string{}
	for _, name := range kept {
		whole := ""
		for dir := path.Dir(name); !other[dir] && !shared(dir); dir = path.Dir(dir) {
			whole = dir
		}
		switch f, _ := c.tree.get(name); {
		case whole != "":
			dirs[whole] = true
		case f.Kind == footprint.Symlink:
			c.links = append(c.links, f)
		default:
			files[path.Dir(name)] = append(files[path.Dir(name)], name)
		}
	}
	if len(dirs)+len(files) > maxCopies {
		// Whole directories then, sources and all.
		coarse := map[string]bool{}
		for _, name := range kept {
			dir := path.Dir(name)
			for up := path.Dir(dir); !shared(up); up = path.Dir(up) {
				dir = up
			}
			if !shared(dir) {
				coarse[dir] = true
				delete(dirs, dir)
			}
		}
		for dir := range coarse {
			maps.DeleteFunc(dirs, func(d string, _ bool) bool { return within(d, dir) })
			maps.DeleteFunc(files, func(d string, _ []string) bool { return within(d, dir) })
			dirs[dir] = true
		}
		c.links = slices.DeleteFunc(c.links, func(l footprint.File) bool { return dirs[path.Dir(l.Path)] })
		c.notes = append(c.notes, "Files that the program may read lie between those of the build, so whole directories are copied. Move them to a directory of their own to leave the rest behind.")
	}
	for dir := range dirs {
		c.assets = append(c.assets, copied{from: []string{dir}, to: dir, chown: c.ownerOf(dir)})
	}
	for dir, names := range files {
		c.assets = append(c.assets, copied{from: names, to: strings.TrimSuffix(dir, "/") + "/"})
	}
	slices.SortFunc(c.assets, func(a, b copied) int { return cmp.Compare(a.from[0], b.from[0]) })
}

// ownerOf is whom all of a directory belongs to, "" for root or several: COPY
// keeps the owners of all but the directory that is named.
func (c *compiled) ownerOf(dir string) string {
	f, _ := c.tree.get(dir)
	if f.UID == 0 && f.GID == 0 {
		return ""
	}
	for _, b := range c.tree.below(dir) {
		if b.UID != f.UID || b.GID != f.GID {
			return ""
		}
	}
	return fmt.Sprintf("%d:%d", f.UID, f.GID)
}

// own are the copies of the programs, with their directories last of all: what
// changes most often comes last.
func (c *compiled) own() []copied {
	by := map[string][]string{}
	for _, f := range c.programs {
		by[path.Dir(f.Path)] = append(by[path.Dir(f.Path)], f.Path)
	}
	var out []copied
	for _, dir := range slices.Sorted(maps.Keys(by)) {
		names := slices.DeleteFunc(by[dir], func(n string) bool {
			return slices.ContainsFunc(c.assets, func(a copied) bool { return within(n, a.from[0]) })
		})
		if len(names) == 0 {
			continue
		}
		slices.Sort(names)
		to := strings.TrimSuffix(dir, "/") + "/"
		if len(names) == 1 {
			to = names[0]
		}
		out = append(out, copied{from: names, to: to})
	}
	return out
}

// make are shell commands that make directories and links below a root.
func (c *compiled) make(root string, dirs []footprint.File) []string {
	type kind struct {
		mode     uint16
		uid, gid uint32
	}
	var kinds []kind
	by := map[kind][]string{}
	for _, d := range dirs {
		k := kind{d.Mode, d.UID, d.GID}
		if by[k] == nil {
			kinds = append(kinds, k)
		}
		by[k] = append(by[k], quote(root+d.Path))
	}
	var out []string
	for _, k := range kinds {
		owner := ""
		if k.uid != 0 || k.gid != 0 {
			owner = fmt.Sprintf(" -o %d -g %d", k.uid, k.gid)
		}
		out = append(out, fmt.Sprintf("install -d -m %04o%s %s", k.mode, owner, strings.Join(by[k], " ")))
	}
	made := map[string]bool{}
	for _, l := range c.links {
		if dir := path.Dir(l.Path); !made[dir] {
			made[dir] = true
			out = append(out, "mkdir -p "+quote(root+dir))
		}
		out = append(out, "ln -s "+quote(l.Link)+" "+quote(root+l.Path))
	}
	return out
}

// quote writes a word for a POSIX shell.
func quote(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// command is the author's command in the exec form, where that is the same
// without a shell; both are nil where it is to stay as it is.
func (c *compiled) command() (entrypoint, cmd []string) {
	if c.shell {
		return nil, nil
	}
	if argv := plainCommand(c.Config.Entrypoint); argv != nil {
		return argv, []string{} // a shell form drops CMD
	}
	if len(c.Config.Entrypoint) == 0 {
		return nil, plainCommand(c.Config.Cmd)
	}
	return nil, nil
}

// plainCommand is the command in a shell form that a shell changes nothing of,
// nil for all else.
func plainCommand(form []string) []string {
	n := len(form)
	if n < 3 || form[n-2] != "-c" || !slices.Contains([]string{"sh", "ash", "dash", "bash"}, path.Base(form[0])) {
		return nil
	}
	text := form[n-1]
	if strings.ContainsAny(text, "<>|&;$`*?[]~(){}=\\\n") {
		return nil
	}
	script, err := dockerfile.ReadShell(text, nil)
	if err != nil || len(script.Calls) != 1 {
		return nil
	}
	var argv []string
	for _, w := range script.Calls[0].Words {
		argv = append(argv, w.Text)
	}
	if len(argv) > 1 && argv[0] == "exec" {
		argv = argv[1:]
	}
	return argv
}

// exists tells whether a registry has an image; false where it cannot be asked.
func (p *project) exists(ctx context.Context, ref string) bool {
	if p.Weigh == nil {
		return false
	}
	_, err := p.Weigh(ctx, ref)
	return err == nil
}

// slim is the smallest image of the distribution with its libc and its package
// manager, "" if it is not known.
func (d distro) slim() string {
	switch d.ID {
	case "debian":
		if d.Codename != "" {
			return "debian:" + d.Codename + "-slim"
		}
	case "ubuntu":
		if d.Version != "" {
			return "ubuntu:" + d.Version
		}
	case "alpine":
		if parts := strings.Split(d.Version, "."); len(parts) >= 2 {
			return "alpine:" + parts[0] + "." + parts[1]
		}
	}
	return ""
}

// inSlim tells packages that those images have: the ones that their package
// managers and shells need.
func (d distro) inSlim(name string) bool {
	name, _, _ = strings.Cut(name, ":")
	if d.ID == "alpine" {
		return slices.Contains([]string{"musl", "busybox", "busybox-binsh", "zlib", "libcrypto3", "libssl3", "apk-tools", "ssl_client", "scanelf", "musl-utils", "alpine-baselayout", "ca-certificates-bundle"}, name)
	}
	return slices.Contains([]string{"libc6", "libc-bin", "libgcc-s1", "libstdc++6", "zlib1g", "libbz2-1.0", "liblzma5", "libzstd1", "liblz4-1", "libcrypt1", "libselinux1", "libpcre2-8-0",
		"libtinfo6", "libacl1", "libattr1", "libudev1", "libuuid1", "libblkid1", "libmount1", "libsmartcols1", "libaudit1", "libpam0g", "libsystemd0", "libgmp10", "libgcrypt20", "libgpg-error0",
		"bash", "dash", "coreutils", "grep", "sed", "gawk", "mawk", "findutils", "tar", "gzip", "util-linux", "debianutils", "hostname", "login", "passwd", "diffutils", "apt", "dpkg", "sysvinit-utils"}, name)
}

// runtimeBase is an image to put the runtime stage on.
type runtimeBase struct {
	ref string
	// same tells that it is the author's own base, sibling that it has the same
	// language in the same places on a smaller system.
	same, sibling bool
}

// runtimeBase is the image with the same libc: the slim one of the distribution,
// or the author's own where that is it or nothing better is known.
func (c *compiled) runtimeBase() runtimeBase {
	base, slim := c.baseName(), c.distro.slim()
	if slim == "" || strings.TrimPrefix(base, "docker.io/library/") == slim || strings.HasPrefix(strings.TrimPrefix(base, "docker.io/library/"), slim+"@") ||
		strings.HasPrefix(strings.TrimPrefix(base, "docker.io/library/"), slim+"-") {
		return c.sameBase()
	}
	return runtimeBase{ref: slim}
}

// sameBase is the author's base as FROM has it, with its flags.
func (p *project) sameBase() runtimeBase {
	text := p.file.FromText(p.file.Root(p.stage))
	if strings.Contains(text, "BUILDPLATFORM") {
		text = p.baseName() // what runs may be for another platform
	}
	return runtimeBase{ref: text, same: true}
}

// has tells whether an image brings a file of a package or of the base.
func (r runtimeBase) has(c *compiled, f footprint.File) bool {
	if r.same && !c.isOwn(f) {
		return true
	}
	if r.sibling && !c.isOwn(f) && !c.ofSystem(f.Owner) {
		return true
	}
	return !r.same && c.distro.inSlim(c.packageOf(f.Owner))
}

// rebase counts the files of the author's base as left, but for those that the
// new base surely has as well: those of slim images, and what has tells.
func (c *compiled) rebase(out *plan, has func(footprint.File) bool) {
	brought := out.brought
	out.rebased = true
	out.brought = func(f footprint.File) bool {
		return brought != nil && brought(f) || !c.isOwn(f) && (c.distro.inSlim(c.packageOf(f.Owner)) || !c.ofSystem(f.Owner) && has(f))
	}
}

// onEmpty is the plan of a static program without anything else on scratch, or on
// an image with /tmp and no shell; nil where it needs more.
func (c *compiled) onEmpty(base string, brings []copied) *plan {
	if !c.static || c.shell || len(c.tools)+len(c.asked) > 0 {
		return nil
	}
	root := "/runtime"
	for _, ok := c.tree.get(root); ok; _, ok = c.tree.get(root) {
		root += "-root"
	}
	out := &plan{name: "on " + base, base: base, why: "The program needs nothing of a distribution: it runs on an empty image."}
	dirs := slices.Clone(c.dirs)
	if base == "scratch" {
		dirs = append([]footprint.File{{Path: "/tmp", Mode: 0o1777}}, dirs...)
	}
	if made := c.make(root, dirs); len(made) > 0 {
		if c.rootless() {
			out.prepare = append(out.prepare, "USER 0")
		}
		out.prepare = append(out.prepare, "RUN "+strings.Join(made, " && "))
		out.copies = append(out.copies, copied{from: []string{root}, to: "/", why: "Directories that have to be there."})
	}
	if c.named() || len(c.userSteps()) > 0 {
		out.copies = append(out.copies, c.users()...)
	}
	out.copies = slices.Concat(out.copies, brings, c.assets, c.own())
	out.entrypoint, out.cmd = c.command()
	out.run = append(out.run, c.searchPath()...)
	return out
}

// searchPath sets PATH where commands that are copied stand in folders of the
// author's base for compilers, as /go/bin, which another base does not search.
func (c *compiled) searchPath() []string {
	value := ""
	for _, e := range c.Config.Env {
		if rest, ok := strings.CutPrefix(e, "PATH="); ok {
			value = rest
		}
	}
	var dirs []string
	for dir := range strings.SplitSeq(value, ":") {
		holds := func(f footprint.File) bool { return path.Dir(f.Path) == dir }
		said := slices.ContainsFunc(c.steps, func(s dockerfile.Step) bool { return s.Keyword == "ENV" && strings.Contains(s.Text, dir) })
		if path.IsAbs(dir) && plainPath.MatchString(dir) && !said && (toolchain(dir) || within(dir, "/go")) && !slices.Contains(dirs, dir) &&
			(slices.ContainsFunc(c.programs, holds) || slices.ContainsFunc(c.links, holds)) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	return []string{"ENV PATH=" + strings.Join(dirs, ":") + ":$PATH"}
}

// rootless tells whether the container is not run by root.
func (c *compiled) rootless() bool {
	user, _, _ := strings.Cut(c.Config.User, ":")
	return user != "" && user != "0" && user != "root"
}

// named tells whether the container is run by a user or a group that only its
// name tells.
func (c *compiled) named() bool {
	user, group, _ := strings.Cut(c.Config.User, ":")
	return c.rootless() && strings.Trim(user+group, "0123456789") != ""
}

// users copies the names of users and groups.
func (c *compiled) users() []copied {
	var names []string
	for _, name := range []string{"/etc/passwd", "/etc/group"} {
		if f, ok := c.tree.get(name); ok && f.Kind == footprint.Regular {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []copied{{from: names, to: "/etc/"}}
}

// present is a copy of what is in the image of these, nil if nothing is.
func (c *compiled) present(why string, names ...string) []copied {
	var out []copied
	for _, name := range names {
		if f, _, ok := c.tree.follow(name); ok && f.Kind != footprint.Other {
			out = append(out, copied{from: []string{name}, to: name, why: why})
			why = ""
		}
	}
	return out
}

// onRuntime is the plan on an image with a libc and a shell. With copy, the
// libraries are copied instead of installed.
func (c *compiled) onRuntime(r runtimeBase, copyLibs bool, trust []copied) *plan {
	out := &plan{base: r.ref, inherits: r.same}
	out.name, out.why = "on "+r.ref, "The program is built above. What it needs to run is here."
	if r.same {
		out.name = "on the same base"
	}
	packages, libs := map[string]bool{}, map[string][]string{}
	for _, lib := range c.libs.Libraries {
		f, _ := c.tree.get(lib.Real)
		if r.has(c, f) || lib.Loader || lib.ByName {
			continue
		}
		name := c.packageOf(lib.Owner)
		switch {
		case name != "" && !copyLibs:
			// What a library of a package needs, its package brings.
			if by, _, ok := c.tree.follow(lib.By); ok && !c.ofSystem(by.Owner) {
				packages[name] = true
			}
		case slices.ContainsFunc(c.assets, func(a copied) bool { return within(lib.Path, a.from[0]) }):
		default:
			dir, _, _ := c.tree.follow(path.Dir(lib.Path)) // /lib may be a link to /usr/lib
			libs[dir.Path] = append(libs[dir.Path], path.Join(dir.Path, path.Base(lib.Path)))
		}
	}
	for _, f := range c.tools {
		if r.has(c, f) {
			continue
		}
		name := c.packageOf(f.Owner)
		if name == "" {
			return nil // of another base, and nobody knows what it needs
		}
		packages[name] = true
	}
	if c.shell && !r.same && c.distro.slim() == "" {
		return nil
	}
	for _, name := range c.asked {
		packages[name] = true
	}
	out.packages = slices.Sorted(maps.Keys(packages))
	if len(c.dirs)+len(c.links) > 0 {
		out.run = append(out.run, "RUN "+strings.Join(c.make("", c.dirs), " && "))
	}
	if c.named() {
		out.copies = append(out.copies, c.users()...)
	}
	for _, t := range trust {
		if f, _, ok := c.tree.follow(t.from[0]); !r.same || ok && c.isOwn(f) {
			out.copies = append(out.copies, t)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(libs)) {
		out.copies = append(out.copies, copied{from: libs[dir], to: dir + "/"})
	}
	if len(libs) > 0 {
		if copyLibs {
			out.name += ", with the libraries copied"
			out.notes = append(out.notes, "Libraries that are copied are not known to the package manager of the image. Build the image again to update them.")
		}
		for _, name := range c.tree.glob("/etc/ld.so.conf.d/*.conf") {
			if f, ok := c.tree.get(name); ok && (c.isOwn(f) || !r.same) && !c.ofSystem(f.Owner) {
				out.copies = append(out.copies, copied{from: []string{name}, to: name})
			}
		}
		if c.libs.Libc == glibc {
			out.after = append(out.after, "RUN ldconfig")
		}
	}
	if r.same && c.baseUser() && len(out.packages)+len(out.run)+len(out.after) > 0 {
		return nil // only root could do that
	}
	out.copies = slices.Concat(out.copies, c.assets, c.own())
	out.entrypoint, out.cmd = c.command()
	if !r.same {
		out.run = append(out.run, c.searchPath()...)
	}
	out.brought = func(f footprint.File) bool {
		name := c.packageOf(f.Owner)
		return name != "" && (slices.Contains(out.packages, name) || !r.same && c.distro.inSlim(name))
	}
	return out
}
