package advice

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// program is what a container of the image runs.
type program struct {
	// argv is the command in the end, without the shells, wrappers and scripts
	// that lead to it: argv[0] is as the last of them names it.
	argv []string
	// exec is the file of argv[0], links followed; zero if it is not known.
	exec footprint.File
	// entry is the file that an interpreter runs, "" for a program or where it
	// is not known; module is that of python -m.
	entry, module string
	// files are the paths of all that is run on the way, in order, interpreters
	// and links included: /usr/local/bin/docker-entrypoint.sh, /bin/sh, ….
	files []string
	// calls are commands that scripts on the way and the health check call
	// besides, by path.
	calls []string
	// shell tells that a shell stays in between, npm that npm or its kin does.
	shell, npm bool
	// unknown says in sentences what could not be followed; the program is
	// known where there is none.
	unknown []string
}

const (
	// maxHops bounds the way from the entrypoint to the program.
	maxHops = 24
	// maxText is how much of a script or a package.json is read.
	maxText = 1 << 20
)

// resolver follows a command.
type resolver struct {
	*project
	*program
	env map[string]string
	// dir is where the command runs, bins what npm puts before PATH.
	dir  string
	bins []string
}

// resolve follows entrypoint and command to what they run in the end.
func (p *project) resolve(ctx context.Context) (*program, error) {
	r := &resolver{project: p, program: &program{}, dir: p.dir, env: map[string]string{}}
	for _, e := range p.Config.Env {
		if name, value, ok := strings.Cut(e, "="); ok {
			r.env[name] = value
		}
	}
	argv := slices.Concat(p.Config.Entrypoint, p.Config.Cmd)
	if len(argv) == 0 {
		r.lost("The image names no command, so it is not known what it runs.")
		return r.program, nil
	}
	for range maxHops {
		next, err := r.hop(ctx, argv)
		if err != nil {
			return nil, err
		}
		if next == nil || len(r.unknown) > 0 {
			break
		}
		argv = next
	}
	if r.argv == nil && len(r.unknown) == 0 {
		r.lost("The command goes through too many scripts to be followed.")
	}
	return r.program, r.health(ctx)
}

// lost says that the command cannot be followed.
func (r *resolver) lost(sentence string) { r.unknown = append(r.unknown, sentence) }

// health adds what the health check calls.
func (r *resolver) health(ctx context.Context) error {
	h := r.Config.Healthcheck
	if h == nil || len(h.Test) < 2 {
		return nil
	}
	switch h.Test[0] {
	case "CMD":
		r.call(h.Test[1])
	case "CMD-SHELL":
		script, err := dockerfile.ReadShell(h.Test[1], r.env)
		if err != nil {
			r.lost("The text of the health check cannot be read.")
			return nil
		}
		r.call("sh")
		for _, c := range slices.Concat(script.Calls, script.Within) {
			if len(c.Words) > 0 && c.Words[0].Known {
				r.call(c.Words[0].Text)
			}
		}
	}
	return nil
}

// call notes a command that is called besides.
func (r *resolver) call(name string) {
	if p := r.lookup(name); p != "" && !slices.Contains(r.calls, p) {
		r.calls = append(r.calls, p)
	}
}

// lookup finds a command as exec does, "" if it is not there.
func (r *resolver) lookup(name string) string {
	if strings.Contains(name, "/") {
		if !strings.HasPrefix(name, "/") {
			name = r.dir + "/" + name
		}
		if f, _, ok := r.tree.follow(name); ok && f.Kind == footprint.Regular {
			return path.Clean(name)
		}
		return ""
	}
	dirs := r.env["PATH"]
	if dirs == "" {
		dirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	for _, dir := range slices.Concat(r.bins, strings.Split(dirs, ":")) {
		if !strings.HasPrefix(dir, "/") {
			dir = path.Join(r.dir, dir)
		}
		if f, _, ok := r.tree.follow(dir + "/" + name); ok && f.Kind == footprint.Regular {
			return path.Join(dir, name)
		}
	}
	return ""
}

// see notes a file that is run.
func (r *resolver) see(name string) {
	if !slices.Contains(r.files, name) {
		r.files = append(r.files, name)
	}
}

// ends says that the command is the program.
func (r *resolver) ends(argv []string, f footprint.File) []string {
	r.argv, r.exec = argv, f
	return nil
}

// hop goes one step: it returns the command that this one runs, nil at the end.
func (r *resolver) hop(ctx context.Context, argv []string) ([]string, error) {
	name := argv[0]
	if name == "" {
		r.lost("The command is empty.")
		return nil, nil
	}
	at := r.lookup(name)
	if at == "" {
		r.lost(fmt.Sprintf("%q, which the container runs, is not in the image.", name))
		return nil, nil
	}
	f, links, _ := r.tree.follow(at)
	for _, l := range links {
		r.see(l.Path)
	}
	r.see(f.Path)
	args := argv[1:]
	switch base := path.Base(name); {
	case slices.Contains([]string{"sh", "bash", "ash", "dash", "ksh"}, base):
		return r.shellCommand(ctx, args)
	case base == "env":
		return r.envCommand(args), nil
	case slices.Contains([]string{"tini", "tini-static", "dumb-init", "catatonit", "nice", "ionice", "nohup", "stdbuf", "gosu", "su-exec", "setpriv", "exec", "docker-init", "timeout", "chpst", "setuidgid"}, base):
		return r.unwrap(base, args), nil
	case base == "npm" || base == "yarn" || base == "pnpm" || base == "npx" || base == "yarnpkg":
		return r.npmCommand(ctx, base, args)
	case base == "node" || base == "nodejs" || base == "bun":
		return r.nodeCommand(ctx, argv, f)
	case strings.HasPrefix(base, "python") || base == "pypy" || base == "pypy3":
		return r.pythonCommand(argv, f), nil
	case slices.Contains([]string{"ruby", "php", "perl", "deno", "lua"}, base):
		r.entryOf(args, "-r", "-I", "-d", "-c", "-S", "-C", "-E")
		return r.ends(argv, f), nil
	case base == "java":
		for i, a := range args {
			if a == "-jar" && i+1 < len(args) {
				r.entry = r.abs(args[i+1])
				break
			}
		}
		return r.ends(argv, f), nil
	}
	p := f.Program
	if p == nil || p.ELF {
		if p == nil && f.Size > 0 && f.Mode&0o111 == 0 {
			r.lost(f.Path + ", which the container runs, is no program.")
			return nil, nil
		}
		return r.ends(argv, f), nil
	}
	return r.script(ctx, argv, f)
}

// script runs a file with its interpreter.
func (r *resolver) script(ctx context.Context, argv []string, f footprint.File) ([]string, error) {
	interpreter := f.Program.Interpreter
	if interpreter == "" {
		interpreter = "/bin/sh"
	}
	command := append([]string{interpreter}, strings.Fields(f.Program.Args)...)
	name := argv[0]
	if strings.Contains(name, "/") {
		name = r.abs(name)
	} else {
		name = r.lookup(name)
	}
	return append(append(command, name), argv[1:]...), nil
}

// abs is a path as the command sees it.
func (r *resolver) abs(name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Join(r.dir, name)
}

// text reads a script of the image; ok is false where it cannot be had.
func (r *resolver) text(ctx context.Context, name string) (string, bool, error) {
	data, err := r.contents(ctx, r.tree, name)
	if err != nil || data == nil || len(data) > maxText {
		return "", false, err
	}
	return string(data), true, nil
}

// shellCommand follows sh -c TEXT and sh FILE.
func (r *resolver) shellCommand(ctx context.Context, args []string) ([]string, error) {
	command := false
	for len(args) > 0 && (strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[0], "+")) {
		flag := args[0]
		args = args[1:]
		if flag == "--" {
			break
		}
		if !strings.HasPrefix(flag, "--") && strings.Contains(flag, "c") {
			command = true
		}
		if strings.HasSuffix(flag, "o") && !strings.HasPrefix(flag, "--") && len(args) > 0 {
			args = args[1:]
		}
	}
	if len(args) == 0 {
		r.lost("The container starts a shell, so it is not known what it runs.")
		return nil, nil
	}
	if command {
		// Behind the text come $0 and the arguments.
		return r.shellText("The command", args[0], args[min(2, len(args)):]), nil
	}
	name := r.abs(args[0])
	r.see(name)
	text, ok, err := r.text(ctx, name)
	if err != nil {
		return nil, err
	}
	if !ok {
		r.lost(fmt.Sprintf("The script %s could not be read.", name))
		return nil, nil
	}
	if strings.HasPrefix(text, "#!") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return r.shellText(name, text, args[1:]), nil
}

// shellText follows the text of a script to the command that it ends in. what
// names the script in sentences.
func (r *resolver) shellText(what, text string, args []string) []string {
	script, err := dockerfile.ReadShell(text, r.env)
	if err != nil || len(script.Calls) == 0 {
		r.lost(what + " is a shell text that cannot be read.")
		return nil
	}
	last := script.Calls[len(script.Calls)-1]
	for _, c := range slices.Concat(script.Calls[:len(script.Calls)-1], script.Within) {
		if len(c.Words) > 0 && c.Words[0].Known {
			r.call(c.Words[0].Text)
		}
		for _, w := range c.Words[min(1, len(c.Words)):] {
			// A file that is named, as in ". /app/lib.sh", or exec gosu node "$0".
			if w.Known && strings.HasPrefix(w.Text, "/") {
				if f, _, ok := r.tree.follow(w.Text); ok && f.Program != nil {
					r.call(w.Text)
				}
			}
		}
	}
	if !last.Last {
		r.lost(what + " does not end in one command that always runs, so it is not known what the container runs.")
		return nil
	}
	if slices.Contains([]string{"wait", ":", "true", ".", "source", "cd", "export", "set", "trap", "fg", "eval"}, last.Name()) {
		r.lost(what + " ends in " + last.Name() + ", so it is not known which command the container lives by.")
		return nil
	}
	var out []string
	for i, w := range last.Words {
		switch {
		case w.Text == "$@" || w.Text == `"$@"` || w.Text == "${@}" || w.Text == `"${@}"`:
			out = append(out, args...)
		case !w.Known && i == 0:
			r.lost(fmt.Sprintf("%s runs %s, whose value is not known.", what, w.Text))
			return nil
		default:
			out = append(out, w.Text)
		}
	}
	if len(out) > 0 && out[0] == "exec" {
		out = out[1:]
		for len(out) > 1 && out[0] == "-a" {
			out = out[2:]
		}
	} else {
		r.shell = true
	}
	if len(script.Calls) > 1 {
		r.shell = true
	}
	if last.Dir != "" {
		r.dir = last.Dir
	}
	if len(out) == 0 {
		r.lost(what + " runs what it is given, and the image gives nothing.")
		return nil
	}
	return out
}

// envCommand follows env NAME=VALUE … COMMAND.
func (r *resolver) envCommand(args []string) []string {
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "-S" || a == "--split-string":
			args = append(strings.Fields(strings.Join(args[1:min(2, len(args))], "")), args[min(2, len(args)):]...)
			continue
		case a == "-u" || a == "-C":
			args = args[min(2, len(args)):]
			continue
		case strings.HasPrefix(a, "-S"):
			args = append(strings.Fields(a[2:]), args[1:]...)
			continue
		case strings.HasPrefix(a, "-"):
		case strings.Contains(a, "="):
			name, value, _ := strings.Cut(a, "=")
			r.env[name] = value
		default:
			return args
		}
		args = args[1:]
	}
	r.lost("The command of env is not known.")
	return nil
}

// unwrap is the command that a wrapper runs.
func (r *resolver) unwrap(wrapper string, args []string) []string {
	// Flags with a value of their own.
	valued := map[string][]string{
		"tini": {"-p", "-e"}, "tini-static": {"-p", "-e"}, "docker-init": {"-p", "-e"}, "dumb-init": {"-r", "--rewrite"},
		"nice": {"-n"}, "ionice": {"-c", "-n", "-p"}, "stdbuf": {"-i", "-o", "-e"}, "timeout": {"-k", "-s", "--signal", "--kill-after"},
		"setpriv": {"--reuid", "--regid", "--groups"}, "chpst": {"-u", "-U", "-e", "-n"},
	}[wrapper]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flag := args[0]
		args = args[1:]
		if flag == "--" {
			break
		}
		if slices.Contains(valued, flag) && len(args) > 0 {
			args = args[1:]
		}
	}
	switch wrapper {
	case "gosu", "su-exec", "setuidgid", "timeout": // a user, or how long
		args = args[min(1, len(args)):]
	}
	if len(args) == 0 {
		r.lost("The command of " + wrapper + " is not known.")
		return nil
	}
	return args
}

// entryOf finds the script among the arguments of an interpreter; valued are the
// flags that take a value.
func (r *resolver) entryOf(args []string, valued ...string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--" && i+1 < len(args):
			r.entry = r.abs(args[i+1])
			return
		case slices.Contains(valued, a):
			i++
		case strings.HasPrefix(a, "-"):
		default:
			r.entry = r.abs(a)
			return
		}
	}
}

// manifest is what is read of a package.json.
type manifest struct {
	Name            string            `json:"name"`
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Bin             json.RawMessage   `json:"bin"`
	PackageManager  string            `json:"packageManager"`
	DevDependencies map[string]string `json:"devDependencies"`
	Workspaces      json.RawMessage   `json:"workspaces"`
}

// manifest reads the package.json of a directory, nil where there is none that
// can be read.
func (p *project) manifest(ctx context.Context, dir string) (*manifest, error) {
	data, err := p.contents(ctx, p.tree, path.Join(dir, "package.json"))
	if err != nil || data == nil || len(data) > maxText {
		return nil, err
	}
	var out manifest
	if json.Unmarshal(data, &out) != nil {
		return nil, nil
	}
	return &out, nil
}

// nameTheFile is what helps where a command cannot be followed.
const nameTheFile = `Name the file that starts, as CMD ["node", "packages/api/server.js"], to get a rewrite.`

// maxWorkspaces bounds the packages whose names are read.
const maxWorkspaces = 200

// workspace finds the directory of a workspace by its path or by the name in its
// package.json, "" where there is none, or several.
func (r *resolver) workspace(ctx context.Context, root, name string) (string, error) {
	if dir := path.Join(root, name); under(dir, root) {
		if f, ok := r.tree.get(path.Join(dir, "package.json")); ok && f.Kind == footprint.Regular {
			return dir, nil
		}
	}
	found, read := "", 0
	for _, f := range r.tree.below(root) {
		if path.Base(f.Path) != "package.json" || strings.Contains(f.Path, "/node_modules/") {
			continue
		}
		if read++; read > maxWorkspaces {
			return "", nil
		}
		dir := path.Dir(f.Path)
		m, err := r.manifest(ctx, dir)
		if err != nil {
			return "", err
		}
		if m == nil || m.Name != name {
			continue
		}
		if found != "" {
			return "", nil
		}
		found = dir
	}
	return found, nil
}

// npmCommand follows npm start and its kin.
func (r *resolver) npmCommand(ctx context.Context, manager string, args []string) ([]string, error) {
	r.npm = true
	r.call("node")
	dir, workspace := r.dir, ""
	var words []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case (a == "--prefix" || a == "-C" || a == "--dir" || a == "--cwd") && i+1 < len(args):
			i++
			dir = r.abs(args[i])
		case strings.HasPrefix(a, "--prefix="):
			dir = r.abs(strings.TrimPrefix(a, "--prefix="))
		case (a == "-w" && manager == "npm" || a == "--workspace" || a == "-F" || a == "--filter" || a == "workspace" && len(words) == 0) && i+1 < len(args):
			i++
			workspace = args[i]
		case strings.HasPrefix(a, "--workspace=") || strings.HasPrefix(a, "--filter=") || strings.HasPrefix(a, "-w="):
			_, workspace, _ = strings.Cut(a, "=")
		case a == "--workspaces" || a == "-ws" || a == "workspaces" && len(words) == 0 || a == "-r" && manager == "pnpm" || a == "--recursive":
			r.lost("The command runs in several workspaces. " + nameTheFile)
			return nil, nil
		case a == "--":
		case strings.HasPrefix(a, "-") && len(words) < 2:
		default:
			words = append(words, a)
		}
	}
	if manager == "npx" {
		words = append([]string{"exec"}, words...)
	}
	if len(words) == 0 {
		r.lost("The command of " + manager + " is not known.")
		return nil, nil
	}
	r.bins = append([]string{path.Join(dir, "node_modules/.bin")}, r.bins...)
	if workspace != "" {
		found, err := r.workspace(ctx, dir, workspace)
		if err != nil {
			return nil, err
		}
		if found == "" {
			r.lost(fmt.Sprintf("The workspace %q, which the command runs in, was not found in %s. %s", workspace, dir, nameTheFile))
			return nil, nil
		}
		dir = found
		r.bins = append([]string{path.Join(dir, "node_modules/.bin")}, r.bins...)
	}
	name, rest := words[0], words[1:]
	switch name {
	case "exec", "x", "dlx":
		if len(rest) == 0 {
			r.lost("The command of " + manager + " is not known.")
			return nil, nil
		}
		r.dir = dir
		return rest, nil
	case "run", "run-script":
		if len(rest) == 0 {
			r.lost("The command of " + manager + " is not known.")
			return nil, nil
		}
		name, rest = rest[0], rest[1:]
	}
	m, err := r.manifest(ctx, dir)
	if err != nil {
		return nil, err
	}
	if m == nil {
		r.lost(fmt.Sprintf("%s could not be read, so it is not known what %s runs.", path.Join(dir, "package.json"), manager))
		return nil, nil
	}
	r.dir = dir
	line, ok := m.Scripts[name]
	switch {
	case !ok && name == "start":
		return append([]string{"node", "server.js"}, rest...), nil
	case !ok && manager != "npm" && r.lookup(name) != "":
		return words, nil
	case !ok:
		r.lost(fmt.Sprintf("%s has no script %q.", path.Join(dir, "package.json"), name))
		return nil, nil
	}
	for _, beside := range []string{"pre" + name, "post" + name} {
		if text, ok := m.Scripts[beside]; ok {
			if script, err := dockerfile.ReadShell(text, r.env); err == nil {
				for _, c := range script.Calls {
					if c.Name() != "" {
						r.call(c.Words[0].Text)
					}
				}
			}
			r.lost(fmt.Sprintf("%s has a script %q, which runs beside %q and is not followed.", path.Join(dir, "package.json"), beside, name))
			return nil, nil
		}
	}
	r.call("sh")
	out := r.shellText(fmt.Sprintf("The script %q", name), line, nil)
	if out == nil {
		return nil, nil
	}
	// The script may begin with NAME=VALUE.
	return append(out, rest...), nil
}

// nodeCommand finds the file that node runs.
func (r *resolver) nodeCommand(ctx context.Context, argv []string, f footprint.File) ([]string, error) {
	args := argv[1:]
	for i, a := range args {
		if a == "-e" || a == "--eval" || a == "-p" || a == "--test" {
			r.lost("The container runs a text of JavaScript, which is not read.")
			return nil, nil
		}
		if !strings.HasPrefix(a, "-") {
			_ = i
			break
		}
	}
	r.entryOf(args, "-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file", "--title", "--max-old-space-size", "run")
	if r.entry == "" {
		r.lost("Node is started without a file, so it is not known what it runs.")
		return nil, nil
	}
	entry := r.entry
	g, _, ok := r.tree.follow(entry)
	if ok && g.Kind == footprint.Directory {
		ok = false
		m, err := r.manifest(ctx, g.Path)
		if err != nil {
			return nil, err
		}
		if m != nil && m.Main != "" {
			entry = path.Join(g.Path, m.Main)
		} else {
			entry = path.Join(g.Path, "index.js")
		}
	}
	for _, ext := range []string{"", ".js", ".json", ".node", "/index.js", ".cjs", ".mjs"} {
		if g, _, ok := r.tree.follow(entry + ext); ok && g.Kind == footprint.Regular {
			r.entry = entry + ext
			r.see(r.entry)
			return r.ends(argv, f), nil
		}
	}
	r.lost(fmt.Sprintf("%s, which node runs, is not in the image.", entry))
	return nil, nil
}

// pythonCommand finds the file or module that Python runs.
func (r *resolver) pythonCommand(argv []string, f footprint.File) []string {
	args := argv[1:]
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-m" && i+1 < len(args):
			r.module = args[i+1]
			return r.ends(argv, f)
		case a == "-c":
			r.lost("The container runs a text of Python, which is not read.")
			return nil
		case a == "-W" || a == "-X":
			i++
		case strings.HasPrefix(a, "-"):
		default:
			r.entry = r.abs(a)
			if _, _, ok := r.tree.follow(r.entry); !ok {
				r.lost(fmt.Sprintf("%s, which Python runs, is not in the image.", r.entry))
				return nil
			}
			r.see(r.entry)
			return r.ends(argv, f)
		}
	}
	r.lost("Python is started without a file, so it is not known what it runs.")
	return nil
}
