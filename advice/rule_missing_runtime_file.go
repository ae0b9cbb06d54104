package advice

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

var missingRuntimeFile = Rule{
	ID:     "missing-runtime-file",
	Title:  "the container needs a file that is not in the image",
	Safety: footprint.NeedsTests,
	check:  checkMissingRuntimeFile,
}

// maxBroken bounds what is told of one image, maxModules the modules whose
// libraries are looked for.
const (
	maxBroken  = 8
	maxModules = 2000
)

// broken collects what is missing.
type broken struct {
	*project
	out  []footprint.Suggestion
	told map[string]bool
}

func checkMissingRuntimeFile(ctx context.Context, s *subject) ([]footprint.Suggestion, error) {
	if s.Image == nil {
		return s.missingInText(), nil
	}
	if os, _, _ := strings.Cut(s.Image.Platform, "/"); !s.walked() || s.Config == nil || os != "" && os != "linux" {
		return nil, nil
	}
	argv := slices.Concat(s.Config.Entrypoint, s.Config.Cmd)
	if len(argv) == 0 {
		return nil, nil
	}
	b := &broken{told: map[string]bool{}, project: &project{subject: s, tree: newTree(s.Image), dir: path.Clean("/" + s.Config.WorkingDir)}}
	p, err := b.resolve(ctx)
	if err != nil {
		return nil, err
	}
	b.program = p
	r := &resolver{project: b.project, program: &program{}, dir: b.dir, env: map[string]string{}}
	for _, e := range s.Config.Env {
		if name, value, ok := strings.Cut(e, "="); ok {
			r.env[name] = value
		}
	}
	first := r.lookup(argv[0])
	if first == "" {
		b.noCommand(argv[0])
	} else if f, _, ok := b.tree.follow(first); ok {
		b.executable(f)
	}
	if p.exec.Path != "" && len(p.argv) > 0 && r.lookup(p.argv[0]) != "" && !slices.Contains(argv[:1], p.argv[0]) {
		b.executable(p.exec)
	}
	b.lostOnTheWay(argv)
	roots := p.files
	if p.exec.Path != "" {
		roots = append(slices.Clone(roots), p.exec.Path)
	}
	seen := map[string]bool{}
	for _, at := range roots {
		f, _, ok := b.tree.follow(at)
		if !ok || f.Program == nil || seen[f.Path] {
			continue
		}
		seen[f.Path] = true
		if f.Program.ELF {
			if err := b.loads(ctx, f); err != nil {
				return nil, err
			}
			continue
		}
		// A script that a shell is given by name runs without its first line.
		if f.Mode&0o111 != 0 {
			b.interpreted(r, f)
		}
	}
	if err := b.modules(ctx); err != nil {
		return nil, err
	}
	return b.out, nil
}

// tell adds a suggestion about a file, and about the instruction that brought it,
// or else the one that names it.
func (b *broken) tell(f footprint.File, message, advice string) *footprint.Suggestion {
	if b.told[message] || len(b.out) == maxBroken {
		return &footprint.Suggestion{}
	}
	b.told[message] = true
	step := b.stepOf(f.Made)
	if f.Path == "" || step == nil {
		for i := range b.steps {
			if k := b.steps[i].Keyword; k == "ENTRYPOINT" || k == "CMD" && (step == nil || step.Keyword != "ENTRYPOINT") {
				step = &b.steps[i]
			}
		}
	}
	sg := b.suggest(step, pile{})
	sg.Message, sg.Advice = message, advice
	b.out = append(b.out, sg)
	return &b.out[len(b.out)-1]
}

// noCommand says that the first word of the command is not there.
func (b *broken) noCommand(name string) {
	if !plainWord(name) || b.mounted(name) {
		return
	}
	if f, _, ok := b.tree.follow(path.Join("/", b.dir, name)); strings.Contains(name, "/") && ok && f.Kind == footprint.Directory {
		b.tell(footprint.File{}, fmt.Sprintf("The container runs %s, which is a folder.", quoted(name)), "Name the program in it.")
		return
	}
	if path.Base(name) == "sh" {
		b.tell(footprint.File{}, fmt.Sprintf("The container runs %s, and there is no shell in the image.", quoted(name)),
			`Write ENTRYPOINT or CMD as a list, such as CMD ["/app"], which needs no shell.`)
		return
	}
	where := ""
	if !strings.Contains(name, "/") {
		where = " in any folder of PATH"
	}
	b.tell(footprint.File{}, fmt.Sprintf("The container runs %s, which is not in the image%s.", quoted(name), where), "Copy it into the stage that ships, or change ENTRYPOINT or CMD."+b.near(name))
}

// near names a file that is called the same elsewhere.
func (b *broken) near(name string) string {
	for _, f := range b.tree.files {
		if f.Kind == footprint.Regular && path.Base(f.Path) == path.Base(name) && f.Layer >= b.base {
			return " A file of that name is " + quoted(f.Path) + "."
		}
	}
	return ""
}

// plainWord tells whether a word is a name and no pattern or variable.
func plainWord(name string) bool { return name != "" && !strings.ContainsAny(name, "$*?[]{}~`\"'\\") }

// mounted tells whether a path may come from a volume.
func (b *broken) mounted(name string) bool {
	at := path.Join("/", b.dir, name)
	if strings.HasPrefix(name, "/") {
		at = path.Clean(name)
	}
	return slices.ContainsFunc(b.Config.Volumes, func(v string) bool { return within(at, path.Clean("/"+v)) })
}

// executable says that the file that is run has no permission to.
func (b *broken) executable(f footprint.File) {
	if f.Kind != footprint.Regular || f.Mode&0o111 != 0 {
		return
	}
	step := b.stepOf(f.Made)
	if step != nil {
		if files, ok := step.Files(); ok && files.Chmod != "" {
			return // the image is older than that
		}
	}
	sg := b.tell(f, fmt.Sprintf("The container runs %s, which is not executable.", quoted(f.Path)), "Make it executable where it is kept, or copy it with --chmod=0755.")
	if files, ok := fromContext(step); ok && len(files.Sources) == 1 && !wild(files.Sources[0]) && contextPath(files, f.Path) == clean(files.Sources[0]) {
		start, end := step.Bytes()
		if word := len(step.Keyword); start+word < end && strings.EqualFold(string(b.file.Src[start:start+word]), step.Keyword) {
			b.edit(sg, footprint.NeedsTests, footprint.Edit{Start: start + word, End: start + word, Text: " --chmod=0755"})
		}
	}
}

// notThere are the sentences of the resolver that say that a file is missing.
var notThere = regexp.MustCompile(`^"?([^"]+?)"?, which (the container|node|Python) runs, is not in the image\.$`)

// lostOnTheWay says what the command leads to and is not there. What scripts do
// before they end in a command is not known, so of them only files count.
func (b *broken) lostOnTheWay(argv []string) {
	script := b.scripted()
	for _, sentence := range b.program.unknown {
		m := notThere.FindStringSubmatch(sentence)
		if m == nil || !plainWord(m[1]) || m[1] == argv[0] || b.mounted(m[1]) {
			continue
		}
		name := m[1]
		switch {
		case m[2] == "the container" && script && !(strings.HasPrefix(name, "/") && slices.Contains(b.Config.Cmd, name)),
			slices.Contains(shellWords, name):
			continue
		case m[2] != "the container" && script && !slices.ContainsFunc(b.Config.Cmd, func(w string) bool { return path.Base(w) == path.Base(name) }):
			continue
		}
		by := ""
		if m[2] != "the container" {
			by = m[2] + " is to run "
		} else {
			by = "The container runs "
		}
		by = strings.ToUpper(by[:1]) + by[1:]
		b.tell(footprint.File{}, fmt.Sprintf("%s%s, which is not in the image.", by, quoted(name)), "Copy it into the stage that ships, or change the command."+b.near(name))
	}
	// What the resolver does not look at itself.
	p := b.program
	if p.entry == "" || len(p.argv) < 2 || !plainWord(p.entry) || b.mounted(p.entry) || script {
		return
	}
	base := path.Base(p.argv[0])
	named := base == "java" || slices.Contains([]string{"ruby", "php", "perl", "lua"}, base) && path.Join("/", b.dir, p.argv[1]) == p.entry || p.argv[1] == p.entry
	if _, _, ok := b.tree.follow(p.entry); !ok && named && base != "node" && !strings.HasPrefix(base, "python") && base != "bun" && base != "deno" {
		b.tell(footprint.File{}, fmt.Sprintf("%s is to run %s, which is not in the image.", quoted(base), quoted(p.entry)), "Copy it into the stage that ships, or change the command."+b.near(p.entry))
	}
}

// scripted tells whether the command goes through a script of the image.
func (b *broken) scripted() bool {
	return slices.ContainsFunc(b.program.files, func(at string) bool {
		f, _, ok := b.tree.follow(at)
		return ok && f.Program != nil && !f.Program.ELF && f.Program.Interpreter != "" && at != b.program.entry
	})
}

// elsewhere is the path of a library of that name for any loader, "" if there is
// none.
func (b *broken) elsewhere(name string) string {
	for _, f := range b.tree.files {
		if f.Kind != footprint.Directory && path.Base(f.Path) == path.Base(name) {
			return f.Path
		}
	}
	return ""
}

// shellWords are commands of shells that are no files.
var shellWords = []string{".", ":", "break", "cd", "command", "continue", "eval", "exec", "exit", "export", "fg", "jobs", "local", "read", "return", "set", "shift", "source", "test", "times", "trap", "type", "ulimit", "umask", "unset", "wait", "true", "false", "echo", "printf", "kill"}

// interpreted says what a script lacks of its interpreter.
func (b *broken) interpreted(r *resolver, f footprint.File) {
	p := f.Program
	if strings.HasSuffix(p.Interpreter, "\r") || strings.HasSuffix(p.Args, "\r") {
		b.tell(f, fmt.Sprintf("The first line of %s ends in a carriage return, so its interpreter is not found.", quoted(f.Path)),
			"Save the script with line breaks of Unix; in git, with a line \"*.sh text eol=lf\" in .gitattributes.")
		return
	}
	if p.Interpreter == "" || !strings.HasPrefix(p.Interpreter, "/") {
		return
	}
	if _, _, ok := b.tree.follow(p.Interpreter); !ok {
		b.tell(f, fmt.Sprintf("The script %s runs with %s, which is not in the image.", quoted(f.Path), quoted(p.Interpreter)),
			"Install it in the stage that ships, or write the script for an interpreter that is there.")
		return
	}
	words := strings.Fields(p.Args)
	if path.Base(p.Interpreter) == "env" && len(words) == 1 && plainWord(words[0]) && !strings.HasPrefix(words[0], "-") && !strings.Contains(words[0], "=") && r.lookup(words[0]) == "" {
		b.tell(f, fmt.Sprintf("The script %s runs with %s, which is not in the image.", quoted(f.Path), quoted(words[0])),
			"Install it in the stage that ships, or write the script for an interpreter that is there.")
	}
}

// loads says what an ELF file does not find.
func (b *broken) loads(ctx context.Context, f footprint.File) error {
	if want := b.wrongMachine(f.Program); want != "" {
		b.tell(f, fmt.Sprintf("%s is built for another machine than %s.", quoted(f.Path), want),
			"Build it for the platform of the image, as with GOARCH=$TARGETARCH, or copy it from a stage of the same platform.")
		return nil
	}
	c, err := b.closure(ctx, b.tree, f.Path)
	if err != nil {
		return err
	}
	for _, m := range c.Missing {
		if m.Loader {
			b.noLoader(f, m.Name)
			return nil // without it nothing is loaded
		}
	}
	for _, m := range c.Missing {
		by, _, _ := b.tree.follow(m.By)
		if at := b.elsewhere(m.Name); at == "" {
			b.tell(by, fmt.Sprintf("%s needs the library %s, which is not in the image.", quoted(m.By), quoted(m.Name)), b.libraryAdvice(m.Name))
		} else if !b.scripted() { // a script may set LD_LIBRARY_PATH
			b.tell(by, fmt.Sprintf("%s needs the library %s, which is at %s, where the loader does not look.", quoted(m.By), quoted(m.Name), quoted(at)),
				"Move it to a folder that the loader looks at, or set LD_LIBRARY_PATH with ENV.")
		}
	}
	return nil
}

// noLoader says that the loader of a program is not there.
func (b *broken) noLoader(f footprint.File, loader string) {
	message := fmt.Sprintf("%s starts with the loader %s, which is not in the image.", quoted(f.Path), quoted(loader))
	other := b.tree.flavour(&footprint.Program{ELF: true, Library: true, Machine: f.Program.Machine, Class: f.Program.Class})
	switch flavour := libcOf(loader); {
	case flavour == glibc && other == musl:
		b.tell(f, message, "It was built for glibc, and this image has musl: build it on an Alpine image, or ship it on a Debian one.")
	case flavour == musl && other == glibc:
		b.tell(f, message, "It was built for musl, and this image has glibc: build it on a Debian image, or ship it on an Alpine one.")
	case flavour == musl:
		b.tell(f, message, "Link it statically, or ship it on an Alpine image.")
	default:
		b.tell(f, message, "Link it statically, as with CGO_ENABLED=0 for Go, or ship it on an image with its libraries, such as one of Debian or distroless/base.")
	}
}

func (b *broken) libraryAdvice(name string) string {
	return fmt.Sprintf("Install the package that has %s in the stage that ships, or copy it from the stage that built.", quoted(name))
}

// machines are the values of e_machine that run on an architecture.
var machines = []struct {
	arch string
	runs []uint16
}{
	{"amd64", []uint16{62, 3}}, {"386", []uint16{3}}, {"arm64", []uint16{183, 40}}, {"arm", []uint16{40}}, {"riscv64", []uint16{243}}, {"ppc64le", []uint16{21}}, {"s390x", []uint16{22}}, {"loong64", []uint16{258}},
}

// wrongMachine is the platform of the image where a file is for another one.
func (b *broken) wrongMachine(p *footprint.Program) string {
	parts := strings.Split(b.Image.Platform, "/")
	if len(parts) < 2 || p.Machine == 0 {
		return ""
	}
	for _, m := range machines {
		if m.arch == parts[1] && !slices.Contains(m.runs, p.Machine) {
			return b.Image.Platform
		}
	}
	return ""
}

// modules says which native modules of Node and Python lack a library. They
// often come for several systems, of which only one is loaded.
func (b *broken) modules(ctx context.Context) error {
	names := map[string]bool{}
	for _, f := range b.tree.files {
		names[path.Base(f.Path)] = true
	}
	var roots []string
	for _, f := range b.tree.files {
		if f.Layer < b.base || f.Program == nil || !f.Program.ELF || !isModule(f.Path) || b.wrongMachine(f.Program) != "" || len(roots) == maxModules {
			continue
		}
		if flavour := b.tree.flavour(f.Program); flavour != musl && strings.Contains(f.Path, musl) ||
			flavour == musl && (strings.Contains(f.Path, "gnu") || strings.Contains(f.Path, glibc)) {
			continue
		}
		roots = append(roots, f.Path)
	}
	c, err := b.closure(ctx, b.tree, roots...)
	if err != nil {
		return err
	}
	for _, m := range c.Missing {
		// A library that is somewhere may be loaded by its path, and a driver comes
		// from the machine.
		if names[path.Base(m.Name)] || !slices.Contains(roots, m.By) || strings.HasPrefix(m.Name, "libcuda") || strings.HasPrefix(m.Name, "libnv") {
			continue
		}
		advice := b.libraryAdvice(m.Name)
		switch flavour := libcOf(m.Name); {
		case flavour == glibc || m.Name == "libc.so.6":
			advice = "It was built for glibc: install it in a stage of the same base as the one that ships, with a compiler, and copy the result."
		case strings.HasPrefix(m.Name, "libc.musl-"):
			advice = "It was built for musl: install it in a stage of the same base as the one that ships, with a compiler, and copy the result."
		}
		f, _, _ := b.tree.follow(m.By)
		b.tell(f, fmt.Sprintf("The module %s needs the library %s, which is not in the image.", quoted(m.By), quoted(m.Name)), advice)
	}
	return nil
}

// isModule tells a native module of Node or an extension of Python that its
// interpreter loads.
func isModule(p string) bool {
	base := path.Base(p)
	return strings.HasSuffix(base, ".node") ||
		strings.HasSuffix(base, ".so") && (strings.Contains(base, ".cpython-") || strings.HasSuffix(base, ".abi3.so"))
}

// missingInText is what the text proves: a stage that begins with nothing has
// only what its instructions bring.
func (s *subject) missingInText() []footprint.Suggestion {
	if s.file == nil || len(s.file.Stages) > maxStages {
		return nil
	}
	var out []footprint.Suggestion
	hint := func(st *dockerfile.Step, message, advice string) {
		sg := s.suggest(st, pile{})
		sg.Hint, sg.Message, sg.Advice = true, message, advice
		out = append(out, sg)
	}
	for i := range s.steps {
		st := &s.steps[i]
		files, ok := st.Files()
		if !ok || files.From < 0 || !s.fromNothing(files.From) {
			continue
		}
		for _, source := range files.Sources {
			at := "/" + strings.TrimPrefix(clean(source), ".")
			if !wild(source) && plainWord(source) && at != "/" && !mayHave(s.chainSteps(files.From), at) {
				hint(st, fmt.Sprintf("COPY takes %s from a stage that does not have it.", quoted(source)), "Copy the path that the stage makes.")
			}
		}
	}
	if !s.fromNothing(s.stage.Index) || len(s.steps) == 0 {
		return out
	}
	// The last of each decides, and ENTRYPOINT before CMD.
	var runs *dockerfile.Step
	for _, keyword := range []string{"CMD", "ENTRYPOINT"} {
		for i := range s.steps {
			if s.steps[i].Keyword == keyword {
				if keyword == "ENTRYPOINT" || runs == nil || runs.Keyword == "CMD" {
					runs = &s.steps[i]
				}
			}
		}
	}
	if runs == nil {
		return out
	}
	line := runs.Exec()
	switch {
	case runs.ShellForm() && len(runs.Shell) > 0 && strings.HasPrefix(runs.Shell[0], "/") && !mayHave(s.steps, runs.Shell[0]):
		hint(runs, fmt.Sprintf("%s runs %s, and the stage begins with nothing and gets no shell.", runs.Keyword, quoted(runs.Shell[0])),
			fmt.Sprintf(`Write it as a list, such as %s ["/app"], which needs no shell.`, runs.Keyword))
	case len(line) > 0 && strings.HasPrefix(line[0], "/") && plainWord(line[0]) && !mayHave(s.steps, path.Clean(line[0])):
		hint(runs, fmt.Sprintf("%s runs %s, which no instruction of the stage brings.", runs.Keyword, quoted(line[0])), "Copy it there, or name the path that it is copied to.")
	}
	return out
}

// fromNothing tells whether a stage goes back to scratch.
func (s *subject) fromNothing(index int) bool {
	return index >= 0 && index < len(s.file.Stages) && s.file.Root(s.file.Stages[index]).Base == "scratch"
}

// mayHave tells whether one of the steps may bring a path.
func mayHave(steps []dockerfile.Step, at string) bool {
	return slices.ContainsFunc(steps, func(st dockerfile.Step) bool {
		switch st.Keyword {
		case "RUN", "ONBUILD":
			return true
		case "WORKDIR":
			return st.Dir == "" || within(st.Path(firstWord(st.Text)), at)
		}
		files, ok := st.Files()
		if !ok {
			return false
		}
		if files.To == "" || files.Parents || files.Add || within(files.To, at) {
			return true
		}
		if !within(at, files.To) {
			return false
		}
		// A file that keeps its name is no other file; what may be a folder may hold
		// anything.
		for _, source := range files.Sources {
			base := path.Base(clean(source))
			if wild(source) || files.To == at || path.Join(files.To, base) == at || !looksLikeFile(base) || !files.Dir {
				return true
			}
		}
		return files.Heredocs > 0
	})
}

// looksLikeFile tells a name with an extension from one that may be a folder.
func looksLikeFile(base string) bool { return path.Ext(base) != "" && path.Ext(base) != base }

// firstWord is the first argument of an instruction.
func firstWord(text string) string {
	_, rest, _ := strings.Cut(text, " ")
	return strings.TrimSpace(rest)
}
