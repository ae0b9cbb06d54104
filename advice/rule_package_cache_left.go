package advice

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// cacheDir is a folder that a package manager fills for itself. A path without
// a leading slash is that of a folder below any other; * is any one name.
type cacheDir struct {
	path string
	// ext is how names in it end that count, "" for all.
	ext string
	// variable moves it: path is then sub below the variable's value.
	variable, sub string
	// clean is the command that empties it, with NAME for the manager as the
	// author calls it and DIR for the folder.
	clean string
}

// manager is a package manager.
type manager struct {
	name string
	// what it leaves, in the plural.
	what string
	dirs []cacheDir
	// commands are those that fill the folders; * ends a name that goes on.
	commands []string
	// off are the variables, and flag is the flag, that keep it from doing so.
	off  []string
	flag string
	// verbs are the subcommands behind which the flag is put.
	verbs []string
	// lists are what it has to know before it can install: a later instruction
	// that installs without refresh needs them.
	refresh []string
	// proven are the subcommands that fill the folders on every base image.
	proven []string
	// kept tells that builds and programs may read what it downloaded.
	kept bool
}

// managers are those whose folders are known. A folder of a project, as Yarn's
// .yarn/cache is, is not among them: programs run from it.
var managers = []*manager{
	{
		name: "apt", what: "apt's package lists and downloads",
		dirs: []cacheDir{
			{path: "/var/cache/apt", clean: "apt-get clean"},
			{path: "/var/lib/apt/lists", clean: "rm -rf /var/lib/apt/lists/*"},
		},
		commands: []string{"apt-get", "apt", "aptitude", "apt-cache", "apt-file", "add-apt-repository"},
		refresh:  []string{"update"},
		proven:   []string{"update"},
	},
	{
		name: "apk", what: "apk's index and downloads",
		dirs:     []cacheDir{{path: "/var/cache/apk", clean: "rm -rf DIR/*"}, {path: "/etc/apk/cache", clean: "rm -rf DIR/*"}},
		commands: []string{"apk"},
		flag:     "--no-cache", verbs: []string{"add", "upgrade"},
		refresh: []string{"update", "-U", "--update", "--update-cache", "--no-cache"},
		proven:  []string{"update"},
	},
	{
		name: "dnf", what: "dnf's metadata and downloads",
		dirs:     []cacheDir{{path: "/var/cache/dnf", clean: "NAME clean all"}, {path: "/var/cache/libdnf5", clean: "NAME clean all"}, {path: "/var/cache/yum", clean: "NAME clean all"}, {path: "/var/cache/tdnf", clean: "NAME clean all"}},
		commands: []string{"dnf", "dnf5", "microdnf", "yum", "tdnf"},
		proven:   []string{"install", "update", "upgrade", "makecache"},
	},
	{
		name: "zypper", what: "zypper's metadata and downloads",
		dirs:     []cacheDir{{path: "/var/cache/zypp", clean: "zypper clean --all"}},
		commands: []string{"zypper"},
		proven:   []string{"install", "in", "refresh", "ref", "update", "up"},
	},
	{
		name: "pip", what: "pip's downloads and wheels",
		dirs:     []cacheDir{{path: ".cache/pip", variable: "PIP_CACHE_DIR", clean: "rm -rf DIR"}},
		commands: []string{"pip", "pip2", "pip3", "pip3.*", "pipenv", "poetry", "pipx", "pdm", "hatch", "tox"},
		off:      []string{"PIP_NO_CACHE_DIR"}, flag: "--no-cache-dir", verbs: []string{"install", "wheel", "download"},
	},
	{
		name: "uv", what: "uv's downloads and wheels",
		dirs:     []cacheDir{{path: ".cache/uv", variable: "UV_CACHE_DIR", clean: "rm -rf DIR"}},
		commands: []string{"uv", "uvx"},
		off:      []string{"UV_NO_CACHE"}, flag: "--no-cache", verbs: []string{"install", "sync", "add"},
	},
	{
		// Poetry's virtual environments stand beside its cache.
		name: "poetry", what: "Poetry's downloads",
		dirs:     []cacheDir{{path: ".cache/pypoetry/cache", clean: "rm -rf DIR"}, {path: ".cache/pypoetry/artifacts", clean: "rm -rf DIR"}},
		commands: []string{"poetry"},
	},
	{
		name: "pipenv", what: "Pipenv's downloads",
		dirs:     []cacheDir{{path: ".cache/pipenv", clean: "rm -rf DIR"}},
		commands: []string{"pipenv"},
	},
	{
		name: "npm", what: "npm's downloads",
		dirs:     []cacheDir{{path: ".npm/_cacache", variable: "npm_config_cache", sub: "_cacache", clean: "npm cache clean --force"}},
		commands: []string{"npm", "npx"},
	},
	{
		name: "yarn", what: "Yarn's downloads",
		dirs: []cacheDir{
			{path: ".cache/yarn", variable: "YARN_CACHE_FOLDER", clean: "NAME cache clean"},
			{path: ".yarn/berry/cache", clean: "NAME cache clean --all"},
		},
		commands: []string{"yarn", "yarnpkg"},
	},
	{
		name: "pnpm", what: "packages in pnpm's store that nothing is linked to",
		dirs:     []cacheDir{{path: ".local/share/pnpm/store", clean: "NAME store prune"}, {path: ".pnpm-store", clean: "NAME store prune"}, {path: ".cache/pnpm", clean: "rm -rf DIR"}},
		commands: []string{"pnpm", "pnpx"},
	},
	{
		name: "bun", what: "Bun's downloads",
		dirs:     []cacheDir{{path: ".bun/install/cache", clean: "rm -rf DIR"}},
		commands: []string{"bun", "bunx"},
	},
	{
		name: "go", what: "Go's build cache",
		dirs:     []cacheDir{{path: ".cache/go-build", variable: "GOCACHE", clean: "NAME clean -cache"}},
		commands: []string{"go"},
	},
	{
		name: "go modules", what: "Go's downloaded modules",
		dirs:     []cacheDir{{path: "go/pkg/mod", variable: "GOMODCACHE", clean: "NAME clean -modcache"}},
		commands: []string{"go"}, kept: true,
	},
	{
		name: "cargo", what: "Cargo's registry and checkouts",
		dirs: []cacheDir{
			{path: ".cargo/registry", variable: "CARGO_HOME", sub: "registry", clean: "rm -rf DIR"}, {path: "cargo/registry", clean: "rm -rf DIR"},
			{path: ".cargo/git", variable: "CARGO_HOME", sub: "git", clean: "rm -rf DIR"}, {path: "cargo/git", clean: "rm -rf DIR"},
		},
		commands: []string{"cargo"}, kept: true,
	},
	{
		name: "maven", what: "Maven's downloads",
		dirs:     []cacheDir{{path: ".m2/repository", clean: "rm -rf DIR"}},
		commands: []string{"mvn", "mvnw", "mvnd"}, kept: true,
	},
	{
		name: "gradle", what: "Gradle's downloads and caches",
		dirs:     []cacheDir{{path: ".gradle/caches", variable: "GRADLE_USER_HOME", sub: "caches", clean: "rm -rf DIR"}},
		commands: []string{"gradle", "gradlew"}, kept: true,
	},
	{
		name: "composer", what: "Composer's downloads",
		dirs:     []cacheDir{{path: ".composer/cache", clean: "NAME clear-cache"}, {path: ".cache/composer", variable: "COMPOSER_CACHE_DIR", clean: "NAME clear-cache"}},
		commands: []string{"composer", "composer.phar"},
	},
	{
		name: "gem", what: "the archives of installed gems",
		dirs: []cacheDir{
			{path: "gems/*/cache", ext: ".gem", clean: "rm -rf DIR"},
			{path: "bundle/cache", ext: ".gem", clean: "rm -rf DIR"}, {path: "bundle/ruby/*/cache", ext: ".gem", clean: "rm -rf DIR"},
		},
		commands: []string{"gem", "bundle", "bundler"},
	},
	{
		name: "nuget", what: "NuGet's packages and downloads",
		dirs:     []cacheDir{{path: ".nuget/packages", variable: "NUGET_PACKAGES", clean: "dotnet nuget locals all --clear"}, {path: ".local/share/NuGet", clean: "dotnet nuget locals all --clear"}},
		commands: []string{"dotnet", "nuget", "msbuild"}, kept: true,
	},
	{
		name: "conda", what: "conda's downloads",
		dirs:     []cacheDir{{path: "conda/pkgs", clean: "NAME clean --all --yes"}, {path: "*conda3/pkgs", clean: "NAME clean --all --yes"}, {path: "*forge/pkgs", clean: "NAME clean --all --yes"}, {path: "*forge3/pkgs", clean: "NAME clean --all --yes"}, {path: "micromamba/pkgs", clean: "NAME clean --all --yes"}},
		commands: []string{"conda", "mamba", "micromamba"},
	},
}

func packageCacheLeft() Rule {
	return Rule{
		ID: "package-cache-left", Title: "a package manager's downloads were left in the image", Safety: footprint.SafePatch,
		check: func(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
			if s.Image == nil {
				return s.cacheHints(), nil
			}
			return s.cachesLeft(), nil
		},
	}
}

// cacheAt is a folder of the image that is a cache.
type cacheAt struct {
	manager *manager
	dir     cacheDir
	// at is the folder's path.
	at string
}

// caches finds out what folders are caches; it remembers the last answer, since
// files come folder by folder.
type caches struct {
	// named has the folders by their last component, moved by their path.
	named map[string][]cacheAt
	moved map[string]cacheAt
	dir   string
	last  []cacheAt
}

func (s *subject) caches() *caches {
	c := &caches{named: map[string][]cacheAt{}, moved: map[string]cacheAt{}}
	value := func(name string) string {
		if len(s.steps) > 0 {
			if v, ok := s.steps[len(s.steps)-1].Env(name); ok {
				return v
			}
		}
		if s.Config != nil {
			for _, e := range s.Config.Env {
				if v, ok := strings.CutPrefix(e, name+"="); ok {
					return v
				}
			}
		}
		return ""
	}
	for _, m := range managers {
		for _, d := range m.dirs {
			name := path.Base(d.path)
			c.named[name] = append(c.named[name], cacheAt{m, d, ""})
			if d.variable == "" {
				continue
			}
			// A cache in a folder of the system is more than a cache.
			if v := value(d.variable); strings.Count(path.Clean(v), "/") > 1 && strings.HasPrefix(v, "/") {
				at := path.Join(v, d.sub)
				c.moved[at] = cacheAt{m, d, at}
			}
		}
	}
	return c
}

// of lists what a file is in, which is one cache at most but for gems.
func (c *caches) of(p string) (cacheAt, bool) {
	dir := path.Dir(p)
	if dir != c.dir || c.last == nil {
		c.dir, c.last = dir, c.find(dir)
	}
	for _, at := range c.last {
		if strings.HasSuffix(p, at.dir.ext) {
			return at, true
		}
	}
	return cacheAt{}, false
}

func (c *caches) find(dir string) []cacheAt {
	out := []cacheAt{}
	for at := dir; len(at) > 1; at = at[:max(strings.LastIndexByte(at, '/'), 0)] {
		if moved, ok := c.moved[at]; ok {
			return append(out, moved)
		}
		for _, row := range c.named[at[strings.LastIndexByte(at, '/')+1:]] {
			if inFolder(at, row.dir.path) {
				out = append(out, cacheAt{row.manager, row.dir, at})
			}
		}
	}
	return out
}

// inFolder tells whether the last components of a path are those of a pattern,
// or all of them if the pattern begins with a slash.
func inFolder(p, pattern string) bool {
	if strings.HasPrefix(pattern, "/") {
		return p == pattern
	}
	have, want := strings.Split(p, "/"), strings.Split(pattern, "/")
	if len(want) > len(have) {
		return false
	}
	have = have[len(have)-len(want):]
	for i, w := range want {
		if ok, err := path.Match(w, have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// leftover is what one manager left in one layer.
type leftover struct {
	layer   int
	manager *manager
	piles   map[string]*cachePile
}

// cachePile is the part of it in one folder; paths are some of the files.
type cachePile struct {
	cacheAt
	bytes footprint.Bytes
	files []cacheFile
}

type cacheFile struct {
	path  string
	bytes footprint.Bytes
}

// cachesLeft weighs what caches hold by the layer that brought it: the files
// that are there, and those that a later run of the same manager wrote over,
// which no layer would have.
func (s *subject) cachesLeft() []footprint.Suggestion {
	type key struct {
		layer   int
		manager *manager
	}
	found := map[key]*leftover{}
	c := s.caches()
	add := func(p string, bytes footprint.Bytes, layer int) {
		if bytes == 0 || !s.mine(layer) || s.copied(layer) {
			return
		}
		at, ok := c.of(p)
		if !ok {
			return
		}
		k := key{layer, at.manager}
		l := found[k]
		if l == nil {
			l = &leftover{layer: layer, manager: at.manager, piles: map[string]*cachePile{}}
			found[k] = l
		}
		pile := l.piles[at.at]
		if pile == nil {
			pile = &cachePile{cacheAt: at}
			l.piles[at.at] = pile
		}
		pile.bytes += bytes
		pile.files = append(pile.files, cacheFile{p, bytes})
	}
	used := s.linkedOutside(c)
	pnp := false
	s.own(func(f footprint.File) {
		pnp = pnp || strings.HasPrefix(path.Base(f.Path), ".pnp.")
		if f.Kind == footprint.Regular && !used[f.Hash] {
			add(f.Path, f.Size, f.Made)
		}
	})
	for _, d := range s.Image.DeadFiles {
		if d.Fate == footprint.Replaced {
			add(d.Path, d.Bytes, d.In)
		}
	}
	var out []footprint.Suggestion
	order := slices.SortedFunc(maps.Keys(found), func(a, b key) int {
		if a.layer != b.layer {
			return a.layer - b.layer
		}
		return managerIndex(a.manager) - managerIndex(b.manager)
	})
	for _, k := range order {
		if pnp && k.manager.name == "yarn" {
			continue // programs are run from it
		}
		if one, ok := s.cacheLeft(found[k]); ok {
			out = append(out, one)
		}
	}
	return out
}

func managerIndex(m *manager) int {
	return slices.IndexFunc(managers, func(o *manager) bool { return o.name == m.name })
}

// linkedOutside are the hashes of files in caches that have another name that is
// in none: deleting the cache frees nothing of them.
func (s *subject) linkedOutside(c *caches) map[uint64]bool {
	in := map[uint64]bool{}
	s.own(func(f footprint.File) {
		if f.Kind == footprint.Regular && f.Size > 0 {
			if _, ok := c.of(f.Path); ok {
				in[f.Hash] = true
			}
		}
	})
	out := map[uint64]bool{}
	if len(in) == 0 {
		return out
	}
	s.own(func(f footprint.File) {
		if f.Kind == footprint.Regular && f.Size == 0 && in[f.Hash] {
			if _, ok := c.of(f.Path); !ok {
				out[f.Hash] = true
			}
		}
	})
	return out
}

func (s *subject) cacheLeft(l *leftover) (footprint.Suggestion, bool) {
	m, step := l.manager, s.stepOf(l.layer)
	sc := s.script(step)
	var p pile
	var piles []*cachePile
	for _, at := range slices.Sorted(maps.Keys(l.piles)) {
		c := l.piles[at]
		if step != nil {
			c.bytes = 0
			for _, f := range c.files {
				if leaves(step, sc, m, f.path) {
					c.bytes += f.bytes
				}
			}
		}
		if c.bytes > 0 {
			p.add(at, c.bytes, l.layer)
			piles = append(piles, c)
		}
	}
	if p.bytes < Floor {
		return footprint.Suggestion{}, false
	}
	out := s.suggest(step, p)
	where := out.Paths[0].Path
	if n := len(out.Paths) + out.More - 1; n > 0 {
		where += " and " + count(n, "other folder")
	}
	out.Message = fmt.Sprintf("%s are left in %s: %s.", p.bytes, where, m.what)
	how := "end with " + strings.Join(m.cleaning(piles, m.commands[0]), " && ")
	if m.flag != "" {
		how = fmt.Sprintf("give %s the flag %s", m.name, m.flag)
	}
	switch {
	case step == nil:
		out.Advice = fmt.Sprintf("In the command that made layer %d, %s.", l.layer, how)
		if by := s.command(l.layer); by != "" {
			out.Advice = fmt.Sprintf("In the command that made layer %d, %s: %s.", l.layer, how, strings.TrimSuffix(by, "."))
		}
		return out, true
	case s.needsLater(step, m) && len(m.refresh) > 0:
		out.Advice = "A later instruction installs from them: put both into one RUN that ends with deleting them."
		return out, true
	case s.needsLater(step, m):
		out.Advice = "Later instructions need them: put those into this RUN and delete them there, give them a cache mount, or build in a stage of its own."
		return out, true
	}
	safety := footprint.SafePatch
	if m.kept {
		safety = footprint.NeedsTests
	}
	edits, commands := sc.clean(m, piles)
	if len(commands) > 0 {
		how = "end with " + strings.Join(commands, " && ")
	}
	out.Advice = fmt.Sprintf("In the same RUN, %s; in a later one it would not make the image smaller.", how)
	if len(edits) > 0 {
		s.edit(&out, safety, edits...)
	}
	return out, true
}

// count is "1 other folder" or "3 other folders".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// cleaning are the commands that empty the folders. as is how the author calls
// the manager, "" where no script says.
func (m *manager) cleaning(piles []*cachePile, as string) []string {
	var out, folders []string
	for _, c := range piles {
		if c.dir.clean == "rm -rf DIR" || as == "" && m.name != "apt" && m.name != "apk" {
			folders = append(folders, c.at)
			continue
		}
		command := strings.NewReplacer("NAME", as, "DIR", c.at).Replace(c.dir.clean)
		if !slices.Contains(out, command) {
			out = append(out, command)
		}
	}
	if len(folders) > 0 {
		out = append(out, "rm -rf "+strings.Join(folders, " "))
	}
	return out
}

// uses tells whether a command is one of the manager, and which words follow.
func (m *manager) uses(c dockerfile.Call) ([]string, bool) {
	words := texts(c)
	if len(words) == 0 {
		return nil, false
	}
	name := words[0]
	if m.name == "pip" && strings.HasPrefix(name, "python") && len(words) > 2 && words[1] == "-m" {
		name, words = words[2], words[2:]
	}
	if m.name == "composer" && name == "php" && len(words) > 1 {
		name, words = path.Base(words[1]), words[1:]
	}
	for _, c := range m.commands {
		if prefix, ok := strings.CutSuffix(c, "*"); c == name || ok && strings.HasPrefix(name, prefix) {
			return words[1:], true
		}
	}
	return nil, false
}

// idle are subcommands that bring nothing into a cache.
var idle = []string{
	"clean", "autoclean", "distclean", "dist-clean", "remove", "purge", "autoremove", "del", "cache", "config", "store", "locals", "clear-cache",
	"clearcache", "cc", "list", "show", "search", "info", "version", "--version", "-v", "help", "env",
}

// busy tells whether a command of the manager may fill its cache.
func busy(args []string) bool {
	for _, a := range args {
		if slices.Contains(idle, a) {
			return false
		}
		if !strings.HasPrefix(a, "-") {
			return true
		}
	}
	return true
}

// cleans tells whether a command empties the folder that a path is in.
func (m *manager) cleans(c dockerfile.Call, p string) bool {
	if removes(c, p) {
		return true
	}
	args, ok := m.uses(c)
	if !ok {
		return false
	}
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(args, w) })
	}
	switch m.name {
	case "apt":
		switch {
		case has("clean"):
			return strings.HasPrefix(p, "/var/cache/apt/archives/") || path.Dir(p) == "/var/cache/apt"
		case has("distclean", "dist-clean"):
			return true
		}
	case "apk":
		return has("cache") && has("clean", "purge")
	case "dnf":
		return has("clean") && has("all")
	case "zypper":
		return has("clean", "cc") && has("--all", "-a")
	case "pip":
		return has("cache") && has("purge")
	case "uv", "npm", "yarn":
		return has("cache") && has("clean")
	case "pnpm":
		return has("store") && has("prune")
	case "bun":
		return has("cache") && has("rm")
	case "go":
		return has("clean") && has("-cache")
	case "go modules":
		return has("clean") && has("-modcache")
	case "composer":
		return has("clear-cache", "clearcache", "cc")
	case "nuget":
		return has("locals") && has("--clear", "-c")
	case "conda":
		return has("clean") && slices.ContainsFunc(args, func(a string) bool {
			return a == "--all" || strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "a")
		})
	}
	return false
}

// leaves tells whether a step as it is written can leave a file in a cache
// behind. The image may be older than the text.
func leaves(step *dockerfile.Step, sc *script, m *manager, p string) bool {
	if step.Mounted(p) {
		return false
	}
	for _, name := range m.off {
		if v, ok := step.Env(name); ok && isOn(v) {
			return false
		}
		if sc != nil && strings.Contains(sc.text(), name+"=") {
			return false
		}
	}
	if sc == nil {
		return !mentions(step, m)
	}
	last, flagged, bare := -1, 0, 0
	for i, c := range sc.Calls {
		args, ok := m.uses(c)
		if !ok || !busy(args) {
			continue
		}
		last = i
		switch {
		case m.flag != "" && slices.Contains(args, m.flag):
			flagged++
		case m.flag == "" || m.takesFlag(args) || m.fills(args):
			bare++
		}
	}
	if flagged > 0 && bare == 0 {
		return false
	}
	for _, c := range sc.Calls[last+1:] {
		if c.Certain && m.cleans(c, p) {
			return false
		}
	}
	return true
}

// mentions tells whether a text that is not read has the words that empty the
// manager's folders.
func mentions(step *dockerfile.Step, m *manager) bool {
	return slices.ContainsFunc(m.dirs, func(d cacheDir) bool {
		words := strings.TrimSuffix(strings.NewReplacer("NAME ", "", "rm -rf DIR", d.path, "rm -rf ", "").Replace(d.clean), "/*")
		return strings.Contains(step.Source(), words)
	})
}

// takesFlag tells whether the manager's flag goes with a subcommand.
func (m *manager) takesFlag(args []string) bool {
	return slices.ContainsFunc(m.verbs, func(v string) bool { return slices.Contains(args, v) })
}

// fills tells whether a subcommand that takes no flag fills the cache.
func (m *manager) fills(args []string) bool {
	return slices.ContainsFunc(m.proven, func(v string) bool { return slices.Contains(args, v) })
}

func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "", "0", "false", "off", "no", "n", "f":
		return false
	}
	return true
}

// needsLater tells whether what a step leaves in the caches of a manager is used
// by what runs later; also where that cannot be told.
func (s *subject) needsLater(step *dockerfile.Step, m *manager) bool {
	if len(m.refresh) == 0 && !m.kept {
		return false
	}
	later, ok := s.later(step)
	if !ok {
		return true
	}
	for i := range later {
		sc := s.script(&later[i])
		if sc == nil {
			if line := later[i].Exec(); len(line) > 0 {
				call := dockerfile.Call{}
				for _, w := range line {
					call.Words = append(call.Words, dockerfile.Word{Text: w, Known: true})
				}
				sc = &script{Script: &dockerfile.Script{Calls: []dockerfile.Call{call}}}
			} else if later[i].Keyword == "RUN" && m.kept {
				return true
			} else {
				continue
			}
		}
		fresh := false
		for _, c := range sc.Calls {
			args, ok := m.uses(c)
			switch {
			case !ok:
				if name := c.Name(); m.kept && (name == "make" || name == "" || strings.HasSuffix(name, ".sh")) {
					return true
				}
			case m.kept:
				return true
			case slices.ContainsFunc(m.refresh, func(w string) bool { return slices.Contains(args, w) }):
				fresh = true
			case !fresh && (slices.Contains(args, "install") || slices.Contains(args, "add") || slices.Contains(args, "upgrade") || slices.Contains(args, "build-dep") || slices.Contains(args, "source")):
				return true
			}
		}
	}
	if m.kept && s.Config != nil {
		for _, line := range [][]string{s.Config.Entrypoint, s.Config.Cmd} {
			for _, w := range line {
				for _, c := range m.commands {
					if slices.Contains(strings.FieldsFunc(w, func(r rune) bool { return strings.ContainsRune(" \t/;&|", r) }), c) {
						return true
					}
				}
				for _, d := range m.dirs {
					if strings.Contains(w, d.path) {
						return true
					}
				}
			}
		}
	}
	return false
}

// clean are the edits of a script that keep the caches out of its layer: a flag
// where there is one and every command can be given it, else a command behind
// the last that fills them.
// commands are what was put there, nil where it is the flag.
func (sc *script) clean(m *manager, piles []*cachePile) (edits []footprint.Edit, commands []string) {
	if sc == nil || slices.ContainsFunc(piles, func(c *cachePile) bool { return !scriptPath(c.at) }) {
		return nil, nil
	}
	if edits, ok := sc.flag(m); ok {
		return edits, nil
	}
	last := -1
	for i, c := range sc.Calls {
		if _, ok := m.uses(c); ok {
			last = i
		}
	}
	as, before := "", ""
	switch {
	case last >= 0:
		words, sudo := plainly(sc.Calls[last])
		before = sudo
		as = m.commands[0]
		if name := texts(sc.Calls[last])[0]; slices.Contains(m.commands, name) && !strings.HasSuffix(name, "x") && scriptPath("/"+words[0].Text) {
			as = words[0].Text
		}
	case len(sc.Calls) > 0 && sc.Calls[len(sc.Calls)-1].Last:
		last = len(sc.Calls) - 1
	default:
		return nil, nil
	}
	commands = m.cleaning(piles, as)
	for i, c := range commands {
		commands[i] = before + c
	}
	edit, ok := sc.then(last, commands...)
	if !ok {
		return nil, commands
	}
	return []footprint.Edit{edit}, commands
}

// flag puts the manager's flag behind the subcommands that take it, unless
// something else in the script fills the cache.
func (sc *script) flag(m *manager) ([]footprint.Edit, bool) {
	var edits []footprint.Edit
	for _, c := range sc.Calls {
		args, ok := m.uses(c)
		if !ok || slices.Contains(args, m.flag) {
			continue
		}
		if m.fills(args) {
			return nil, false
		}
		words, _ := plainly(c)
		words = words[len(words)-len(args):]
		at := slices.IndexFunc(words, func(w dockerfile.Word) bool { return slices.Contains(m.verbs, w.Text) })
		if at < 0 {
			if name := path.Base(texts(c)[0]); m.name == "pip" && (name == "poetry" || name == "pipenv" || name == "pipx" || name == "pdm" || name == "hatch" || name == "tox") {
				return nil, false
			}
			continue
		}
		if !c.Certain || !sc.literal(words[at]) {
			return nil, false
		}
		edits = append(edits, footprint.Edit{Start: words[at].End, End: words[at].End, Text: " " + m.flag})
	}
	return edits, len(edits) > 0
}

// cacheHints are what the text alone proves.
func (s *subject) cacheHints() []footprint.Suggestion {
	var out []footprint.Suggestion
	for i := range s.steps {
		step := &s.steps[i]
		if step.Keyword != "RUN" {
			continue
		}
		sc := s.script(step)
		if sc == nil {
			continue
		}
		for _, m := range managers {
			if !slices.ContainsFunc(sc.Calls, func(c dockerfile.Call) bool {
				args, ok := m.uses(c)
				return ok && c.Certain && m.fills(args)
			}) {
				continue
			}
			dir := m.dirs[len(m.dirs)-1]
			if m.name != "apt" {
				dir = m.dirs[0]
			}
			if at := dir.path + "/x"; !leaves(step, sc, m, at) || sc.mayRemove(m, at) {
				continue
			}
			one := s.suggest(step, pile{})
			one.Hint = true
			one.Message = fmt.Sprintf("This RUN leaves %s in %s.", m.what, dir.path)
			one.Advice = fmt.Sprintf("End it with %s.", strings.Join(m.cleaning([]*cachePile{{cacheAt: cacheAt{m, dir, dir.path}}}, m.commands[0]), " && "))
			out = append(out, one)
		}
	}
	return out
}

// mayRemove tells whether a script could delete a path in a way that is not
// understood.
func (sc *script) mayRemove(m *manager, p string) bool {
	return slices.ContainsFunc(sc.Calls, func(c dockerfile.Call) bool {
		if m.cleans(c, p) {
			return true
		}
		return len(texts(c)) > 0 && (texts(c)[0] == "rm" || texts(c)[0] == "find") && slices.ContainsFunc(c.Words, func(w dockerfile.Word) bool { return strings.Contains(w.Text, "$") })
	})
}
