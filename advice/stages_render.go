package advice

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// render writes a plan out: the author's lines as the build stage, and the
// runtime stage after them, or before those that only say how the image is run. It is false where that does not make a Dockerfile.
func (p *project) render(plan plan) (Candidate, bool) {
	w := &writer{eol: "\n"}
	if bytes.Contains(p.file.Src, []byte("\r\n")) {
		w.eol = "\r\n"
	}
	at, tail := p.ending()
	if at > 0 && p.file.Src[at-1] != '\n' {
		w.line("")
	}
	if prepare := p.prepared(plan); len(prepare) > 0 {
		w.block("", prepare...)
	}
	w.line("")
	w.comment(plan.why)
	from := "FROM " + plan.base
	if p.runtime != "" {
		from += " AS " + p.runtime
	}
	w.line(from)

	p.environment(w, plan, tail)
	if len(plan.packages) > 0 {
		w.block("Packages that the program needs to run.", p.install(plan.packages))
	}
	for i, line := range p.userLines(plan.repeat) {
		if i == 0 {
			w.line("")
		}
		w.line(line)
	}
	if dir := p.workdir(); dir != "" {
		w.line("")
		w.line(dir)
	}
	for i, line := range plan.run {
		if i == 0 {
			w.line("")
		}
		w.line(line)
	}
	for i, c := range distinct(plan.copies) {
		if i == 0 || c.why != "" {
			w.line("")
		}
		w.comment(c.why)
		w.line(c.line(p.build))
	}
	for i, line := range plan.after {
		if i == 0 {
			w.line("")
		}
		w.line(line)
	}
	said := p.metadata(w, plan, tail)
	if rest := p.file.Src[at:]; len(tail) > 0 && !bytes.HasPrefix(rest, []byte(w.eol)) && (!said || rest[0] == '#') {
		w.line("")
	}

	edits := append(p.named(), footprint.Edit{Start: at, End: at, Text: w.out.String()})
	edits = append(edits, p.overridden(plan, tail)...)
	text, err := dockerfile.Apply(p.file.Src, edits)
	if err != nil {
		return Candidate{}, false
	}
	out := Candidate{Name: plan.name, Dockerfile: text, Notes: slices.Clone(plan.notes), edits: edits}
	read, err := dockerfile.Parse(p.file.Name, out.Dockerfile)
	if err != nil || len(read.Stages) != len(p.file.Stages)+1 {
		return Candidate{}, false
	}
	out.Leaves, out.left, out.Bytes = p.leaves(plan)
	return out, true
}

// writer writes lines.
type writer struct {
	out bytes.Buffer
	eol string
}

func (w *writer) line(text string) {
	w.out.WriteString(text)
	w.out.WriteString(w.eol)
}

func (w *writer) comment(text string) {
	if text != "" {
		w.line("# " + text)
	}
}

func (w *writer) block(comment string, lines ...string) {
	w.line("")
	w.comment(comment)
	for _, l := range lines {
		w.line(l)
	}
}

// plainPath are paths that COPY takes as they are.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./@+,=:%-]+$`)

// line is the COPY itself.
func (c copied) line(build string) string {
	flags := "--from=" + build
	if c.chown != "" {
		flags += " --chown=" + c.chown
	}
	words := append(slices.Clone(c.from), c.to)
	if slices.ContainsFunc(words, func(w string) bool { return !plainPath.MatchString(w) }) {
		// What Go takes for a pattern is written so that it stands for itself.
		for i, w := range words[:len(words)-1] {
			words[i] = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "$", `\$`).Replace(w)
		}
		text, _ := json.Marshal(words)
		return "COPY " + flags + " " + string(text)
	}
	return "COPY " + flags + " " + strings.Join(words, " ")
}

// distinct leaves out the copies that say again what one before them said. The
// next of the group takes over the comment.
func distinct(copies []copied) []copied {
	var out []copied
	why := ""
	for _, c := range copies {
		if c.why != "" {
			why = c.why
		}
		if slices.ContainsFunc(out, func(o copied) bool {
			return o.to == c.to && o.chown == c.chown && slices.Equal(o.from, c.from)
		}) {
			continue
		}
		c.why, why = why, ""
		out = append(out, c)
	}
	return out
}

// stageNames finds names for the build stage and, where it has to have one, for
// the runtime stage. The answer is a sentence where that cannot be.
func (p *project) stageNames() string {
	last := p.file.Stages[len(p.file.Stages)-1]
	if p.stage.Index != last.Index {
		return fmt.Sprintf("The target %q is not the last stage of the Dockerfile. Stages after it may need it as it is.", p.Target)
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(p.file.Stages, func(s dockerfile.Stage) bool {
			return s.Name == name || s.Base == name || slices.ContainsFunc(s.Instructions, func(in dockerfile.Instruction) bool { return in.FromImage == name })
		})
	}
	free := ""
	names := []string{"build", "builder", "build-stage", "image-budget-build"}
	if slices.ContainsFunc(names, taken) {
		// Beside a stage that builds, this one is all that the image was.
		names = append([]string{"full", "complete"}, names...)
	}
	for _, name := range names {
		if !taken(name) {
			free = name
			break
		}
	}
	switch {
	case p.Target != "" && !strings.EqualFold(p.Target, p.stage.Name):
		return "The target is given as a number, which would be that of another stage. Give it by its name."
	case free == "":
		return "All names that a build stage could have are taken."
	case p.Target != "":
		p.build, p.runtime = free, p.stage.Name
	case p.stage.Name != "":
		p.build = p.stage.Name
	default:
		p.build = free
	}
	return ""
}

// named gives the build stage its name.
func (p *project) named() []footprint.Edit {
	if p.stage.Name == p.build {
		return nil
	}
	start, end := p.file.FromBytes(p.stage)
	text := strings.TrimRight(string(p.file.Src[start:end]), " \t")
	at := start + len(text)
	if p.stage.Name != "" {
		// The name stands last.
		at -= len(p.stage.Name)
		return []footprint.Edit{{Start: at, End: at + len(p.stage.Name), Text: p.build}}
	}
	return []footprint.Edit{{Start: at, End: at, Text: " AS " + p.build}}
}

// settles tells the instructions that say how an image is run, and make nothing
// that lines after them could build on.
func settles(keyword string) bool {
	return slices.Contains([]string{"ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "USER", "VOLUME"}, keyword)
}

// ending is where the runtime stage starts: the lines after it only say how the
// image is run, and become the end of the runtime stage.
func (p *project) ending() (at int, tail []dockerfile.Step) {
	n := len(p.steps)
	for n > 0 && p.steps[n-1].Stage == p.stage.Index && settles(p.steps[n-1].Keyword) {
		n--
	}
	if n == len(p.steps) {
		return len(p.file.Src), nil
	}
	_, at = p.file.FromBytes(p.stage)
	if n > 0 && p.steps[n-1].Stage == p.stage.Index {
		_, at = p.steps[n-1].Bytes()
	}
	if i := bytes.IndexByte(p.file.Src[at:], '\n'); i >= 0 {
		at += i + 1
	}
	return at, p.steps[n:]
}

// prepared are the lines that the build stage ends in, without a change of the
// user where root runs them anyway.
func (p *project) prepared(plan plan) []string {
	if p.buildUser() != "" {
		return plan.prepare
	}
	return slices.DeleteFunc(slices.Clone(plan.prepare), func(line string) bool { return line == "USER root" || line == "USER 0" })
}

// overridden writes what a plan says in place of the author's at the end of the
// file. Of several, the last counts, and the others go.
func (p *project) overridden(plan plan, tail []dockerfile.Step) []footprint.Edit {
	instead := map[string]string{}
	if plan.user != "" {
		instead["USER"] = "USER " + plan.user
	}
	for keyword, argv := range map[string][]string{"ENTRYPOINT": plan.entrypoint, "CMD": plan.cmd} {
		if argv != nil {
			instead[keyword] = ""
		}
		if len(argv) > 0 {
			instead[keyword] = keyword + " " + execForm(argv)
		}
	}
	var out []footprint.Edit
	for i, s := range tail {
		text, ok := instead[s.Keyword]
		if !ok {
			continue
		}
		start, end := s.Bytes()
		if text == "" || slices.ContainsFunc(tail[i+1:], func(o dockerfile.Step) bool { return o.Keyword == s.Keyword }) {
			text = ""
			if i := bytes.IndexByte(p.file.Src[end:], '\n'); i >= 0 {
				end += i + 1
			}
		}
		out = append(out, footprint.Edit{Start: start, End: end, Text: text})
	}
	return out
}

// written is a step as the author wrote it.
func (p *project) written(s dockerfile.Step) string {
	start, end := s.Bytes()
	return string(p.file.Src[start:end])
}

// variable is a use of a variable.
var variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// argName are the names that an ARG declares.
var argName = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*)(?:=|\s|$)`)

// environment writes ENV, and ARG where a line that is carried over needs it.
func (p *project) environment(w *writer, plan plan, tail []dockerfile.Step) {
	used := map[string]bool{}
	for _, s := range slices.Concat(p.carried(plan, tail), plan.repeat, tail) {
		for _, m := range variable.FindAllStringSubmatch(p.written(s), -1) {
			used[m[1]] = true
		}
	}
	for _, m := range variable.FindAllStringSubmatch(p.workdir(), -1) {
		used[m[1]] = true
	}
	// An ARG may use others.
	for i := len(p.steps) - 1; i >= 0; i-- {
		if p.steps[i].Keyword == "ARG" && p.declares(p.steps[i], used) {
			for _, m := range variable.FindAllStringSubmatch(p.written(p.steps[i]), -1) {
				used[m[1]] = true
			}
		}
	}
	var lines []string
	if !plan.inherits {
		lines = p.baseEnvironment()
	}
	for _, s := range p.steps[:len(p.steps)-len(tail)] {
		if s.Keyword == "ENV" || s.Keyword == "ARG" && p.declares(s, used) {
			lines = append(lines, p.written(s))
		}
	}
	if len(lines) > 0 {
		w.line("")
	}
	for _, l := range lines {
		w.line(l)
	}
}

// declares tells whether an ARG declares one of these.
func (p *project) declares(s dockerfile.Step, used map[string]bool) bool {
	_, rest, _ := strings.Cut(s.Text, " ")
	for _, word := range strings.Fields(rest) {
		name, _, _ := strings.Cut(word, "=")
		if used[name] {
			return true
		}
	}
	return false
}

// buildEnv are variables of base images that say how something is built, or what
// was: nothing of it is there in another base.
var buildEnv = regexp.MustCompile(`^(.*_VERSION|.*_SHA256|.*_SHA512|.*_CHECKSUM|.*_DOWNLOAD_URL|.*_URL|.*_GPG_KEYS?|GPG_KEYS?|GOTOOLCHAIN|GOPATH|GOROOT|CGO_ENABLED|GOFLAGS|RUSTUP_HOME|CARGO_HOME|MAVEN_.*|GRADLE_.*|PHPIZE_DEPS|PHP_(C|CPP|LD)FLAGS|NUGET_.*|DOTNET_(SDK|USE|GENERATE|NUGET).*|DEBIAN_FRONTEND)$`)

// baseEnvironment writes out what the base of the author's sets and another one
// does not.
func (p *project) baseEnvironment() []string {
	own := map[string]bool{}
	for _, s := range p.steps {
		if s.Keyword == "ENV" {
			for _, m := range argName.FindAllStringSubmatch(s.Text, -1) {
				own[m[1]] = true
			}
		}
	}
	var out []string
	for _, e := range p.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		if own[name] || buildEnv.MatchString(name) || strings.ContainsAny(value, "\r\n") || !plainName.MatchString(name) {
			continue
		}
		if name == "PATH" {
			value = p.plainSearchPath(value)
			if value == "" {
				continue
			}
		}
		out = append(out, "ENV "+name+"="+quoteEnv(value))
	}
	return out
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// plainSearchPath is PATH without the folders of compilers, "" where it is what
// engines set anyway.
func (p *project) plainSearchPath(value string) string {
	var dirs []string
	for dir := range strings.SplitSeq(value, ":") {
		if !toolchain(dir) && !strings.HasPrefix(dir, "/go/") {
			dirs = append(dirs, dir)
		}
	}
	value = strings.Join(dirs, ":")
	if value == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" {
		return ""
	}
	return value
}

// quoteEnv writes a value for ENV.
func quoteEnv(value string) string {
	if plainPath.MatchString(value) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`).Replace(value) + `"`
}

// carried are the steps of metadata that the runtime stage repeats, in order.
func (p *project) carried(plan plan, tail []dockerfile.Step) []dockerfile.Step {
	last := map[string]int{}
	for i, s := range p.steps {
		last[s.Keyword] = i
	}
	var out []dockerfile.Step
	for i, s := range p.steps[:len(p.steps)-len(tail)] {
		switch s.Keyword {
		case "LABEL", "EXPOSE", "VOLUME", "ONBUILD", "MAINTAINER", "SHELL", "ENV":
		case "STOPSIGNAL", "HEALTHCHECK":
			if last[s.Keyword] != i {
				continue
			}
		case "USER":
			if last[s.Keyword] != i || plan.user != "" {
				continue
			}
		case "ENTRYPOINT":
			if last[s.Keyword] != i || plan.entrypoint != nil {
				continue
			}
		case "CMD":
			// A base stage's command may have been forgotten by an entrypoint above it.
			if last[s.Keyword] != i || plan.cmd != nil || len(p.Config.Cmd) == 0 {
				continue
			}
		default:
			continue
		}
		out = append(out, s)
	}
	return out
}

// metadata writes the rest of what the image says of itself, and tail does not.
// It tells whether that is anything.
func (p *project) metadata(w *writer, plan plan, tail []dockerfile.Step) bool {
	var lines, ending []string
	has, follows := map[string]bool{}, map[string]bool{}
	for _, s := range tail {
		has[s.Keyword], follows[s.Keyword] = true, true
	}
	for _, s := range p.carried(plan, tail) {
		has[s.Keyword] = true
		switch s.Keyword {
		case "ENV":
		case "USER", "ENTRYPOINT", "CMD":
			ending = append(ending, p.written(s))
		default:
			lines = append(lines, p.written(s))
		}
	}
	if !plan.inherits {
		lines = append(lines, p.baseMetadata(has)...)
		if !has["USER"] && plan.user == "" && p.Config.User != "" {
			ending = append([]string{"USER " + p.Config.User}, ending...)
		}
	}
	if plan.user != "" && !follows["USER"] {
		ending = append([]string{"USER " + plan.user}, ending...)
	}
	entrypoint, cmd := plan.entrypoint, plan.cmd
	if !plan.inherits {
		// What the base of the author's says has to be said here.
		if entrypoint == nil && !has["ENTRYPOINT"] {
			entrypoint = p.Config.Entrypoint
		}
		if cmd == nil && !has["CMD"] {
			cmd = p.Config.Cmd
		}
	}
	if len(entrypoint) > 0 && !follows["ENTRYPOINT"] {
		ending = append(ending, "ENTRYPOINT "+execForm(entrypoint))
	}
	if len(cmd) > 0 && !follows["CMD"] {
		ending = append(ending, "CMD "+execForm(cmd))
	}
	if len(lines)+len(ending) > 0 {
		w.line("")
	}
	for _, l := range append(lines, ending...) {
		w.line(l)
	}
	return len(lines)+len(ending) > 0
}

// baseMetadata writes out what the author's base says of the image and no line
// of the file.
func (p *project) baseMetadata(has map[string]bool) []string {
	// Its labels describe the base itself, and would be wrong of another one.
	var out []string
	if !has["EXPOSE"] {
		for _, port := range p.Config.Ports {
			out = append(out, "EXPOSE "+port)
		}
	}
	if !has["VOLUME"] && len(p.Config.Volumes) > 0 {
		out = append(out, "VOLUME "+execForm(p.Config.Volumes))
	}
	if !has["STOPSIGNAL"] && p.Config.StopSignal != "" {
		out = append(out, "STOPSIGNAL "+p.Config.StopSignal)
	}
	if h := p.Config.Healthcheck; !has["HEALTHCHECK"] && h != nil && len(h.Test) > 1 && h.Test[0] == "CMD" {
		out = append(out, "HEALTHCHECK CMD "+execForm(h.Test[1:]))
	} else if !has["HEALTHCHECK"] && h != nil && len(h.Test) == 2 && h.Test[0] == "CMD-SHELL" && !strings.ContainsAny(h.Test[1], "\r\n") {
		out = append(out, "HEALTHCHECK CMD "+h.Test[1])
	}
	return out
}

// execForm is a command as a JSON array.
func execForm(argv []string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(argv) // strings always can be
	return strings.ReplaceAll(strings.TrimSpace(out.String()), `","`, `", "`)
}

// workdir is the WORKDIR of the runtime stage, "" where there is none to set.
func (p *project) workdir() string {
	var lines []dockerfile.Step
	for _, s := range p.steps {
		if s.Keyword == "WORKDIR" {
			lines = append(lines, s)
		}
	}
	if len(lines) == 0 {
		if p.Config.WorkingDir != "" && p.Config.WorkingDir != "/" {
			return "WORKDIR " + p.Config.WorkingDir
		}
		return ""
	}
	last := lines[len(lines)-1]
	_, text, _ := strings.Cut(last.Text, " ")
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "$") && path.IsAbs(last.Path(text)) {
		return p.written(last)
	}
	return "WORKDIR " + p.dir
}

// leaves are what the runtime stage does not ship, heaviest first, and what it
// weighs.
func (p *project) leaves(plan plan) (heaviest []footprint.WeighedPath, left *leftOut, bytes footprint.Bytes) {
	var froms []string
	for _, c := range plan.copies {
		froms = append(froms, c.from...)
	}
	slices.Sort(froms)
	ships := func(name string) bool {
		for ; ; name = path.Dir(name) {
			if _, ok := slices.BinarySearch(froms, name); ok {
				return true
			}
			if name == "/" {
				return false
			}
		}
	}
	weighed := map[string]footprint.WeighedPath{}
	left = &leftOut{packages: map[string]footprint.Bytes{}}
	var sum footprint.Bytes
	stays := plan.inherits && !plan.rebased // the base
	for _, f := range p.tree.files {
		if f.Size == 0 || stays && f.Layer < p.base {
			continue
		}
		if ships(f.Path) && (plan.pruned == nil || !plan.pruned(f)) || plan.brought != nil && plan.brought(f) {
			continue
		}
		sum += f.Size
		left.add(p.Image, f)
		key := p.heap(f)
		one := weighed[key]
		one.Path, one.Layer = key, f.Layer
		one.Bytes += f.Size
		weighed[key] = one
	}
	// What layers hide from each other is not shipped either.
	for _, d := range p.Image.Dead {
		if d.In >= p.base || !stays {
			sum += d.Bytes
			left.files = append(left.files, leftFile{d.Under, d.Bytes})
			one := weighed[d.Under]
			one.Path, one.Layer = d.Under, d.In
			one.Bytes += d.Bytes
			weighed[d.Under] = one
		}
	}
	out := make([]footprint.WeighedPath, 0, len(weighed))
	for _, one := range weighed {
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b footprint.WeighedPath) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path))
	})
	return out[:min(len(out), maxLeaves)], left, sum
}

// maxLeaves bounds Candidate.Leaves.
const maxLeaves = 20

// heap is the directory that a file is summed in: that of a package in
// node_modules, else the third below the root.
func (p *project) heap(f footprint.File) string {
	parts := strings.Split(strings.Trim(path.Dir(f.Path), "/"), "/")
	for i, part := range parts {
		if part == "node_modules" && i+1 < len(parts) {
			n := i + 2
			if strings.HasPrefix(parts[i+1], "@") {
				n++
			}
			return "/" + strings.Join(parts[:min(n, len(parts))], "/")
		}
	}
	return "/" + strings.Join(parts[:min(3, len(parts))], "/")
}
