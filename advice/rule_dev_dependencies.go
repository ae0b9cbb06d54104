package advice

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

var devDependencies = Rule{
	ID:     "dev-dependencies",
	Title:  "packages that only development needs are in the image",
	Safety: footprint.NeedsTests,
	check:  checkDevDependencies,
}

// installer is a command that installs what a project asks for, those packages
// for development among it.
type installer struct {
	ecosystem, name string
	verbs           []string
	// omits are the flags that leave those for development out, add the one to
	// add; before is a command to put in front instead. prune is a command that
	// removes them afterwards, "" if there is none.
	omits       []string
	add, before string
	prune       string
	// env are variables that leave them out if they are set to one of the values
	// behind the =, or to any where there is none.
	env []string
}

var installers = []installer{
	{ecosystem: footprint.Npm, name: "npm", verbs: []string{"ci", "install", "i", "clean-install"}, omits: []string{"--omit=dev", "--production", "--production=true", "--prod", "--only=prod", "--only=production"},
		add: "--omit=dev", prune: "npm prune --omit=dev", env: []string{"NODE_ENV=production", "NPM_CONFIG_OMIT=dev", "NPM_CONFIG_PRODUCTION=true", "npm_config_production=true"}},
	{ecosystem: footprint.Npm, name: "yarn", verbs: []string{"", "install"}, omits: []string{"--production", "--prod", "--production=true"},
		add: "--production", env: []string{"NODE_ENV=production"}},
	{ecosystem: footprint.Npm, name: "pnpm", verbs: []string{"install", "i"}, omits: []string{"--prod", "-P", "--production"},
		add: "--prod", prune: "pnpm prune --prod", env: []string{"NODE_ENV=production"}},
	{ecosystem: footprint.Composer, name: "composer", verbs: []string{"install", "i", "update"}, omits: []string{"--no-dev"},
		add: "--no-dev", env: []string{"COMPOSER_NO_DEV=1"}},
	{ecosystem: footprint.Python, name: "poetry", verbs: []string{"install", "sync"}, omits: []string{"--only", "--only=main", "--without", "--without=dev", "--no-dev"},
		add: "--only main", env: []string{"POETRY_WITHOUT"}},
	{ecosystem: footprint.Python, name: "uv", verbs: []string{"sync"}, omits: []string{"--no-dev", "--no-default-groups", "--only-group"},
		add: "--no-dev", env: []string{"UV_NO_DEV=1", "UV_NO_DEV=true"}},
	{ecosystem: footprint.Python, name: "pdm", verbs: []string{"install", "sync"}, omits: []string{"--prod", "--production"}, add: "--prod"},
	{ecosystem: footprint.Gem, name: "bundle", verbs: []string{"install"}, omits: []string{"--without"},
		before: "bundle config set --local without 'development test' && ", env: []string{"BUNDLE_WITHOUT"}},
}

// installed is where packages for development came from.
type installed struct {
	// step brought them into the image; made is the RUN that installed them, how
	// with what and call the command; how is nil where that is not certain.
	step, made *dockerfile.Step
	how        *installer
	call       dockerfile.Call
	// needs names what runs after it and may need them, "" for nothing; runs what
	// the container runs of them.
	needs, runs string
	// last is the step of the builder to prune behind, nil in the final stage.
	last *dockerfile.Step
}

func checkDevDependencies(ctx context.Context, s *subject) ([]footprint.Suggestion, error) {
	if s.Image == nil {
		return s.devHint(), nil
	}
	type group struct {
		pile
		names []string
		from  installed
		eco   string
	}
	var all []*group
	for _, p := range s.Image.Packages {
		if !p.Dev || p.Own == 0 {
			continue
		}
		step := s.stepOf(p.Layer)
		n := slices.IndexFunc(all, func(g *group) bool { return g.eco == p.Ecosystem && g.from.step == step })
		if n < 0 {
			all, n = append(all, &group{eco: p.Ecosystem, from: installed{step: step}}), len(all)
		}
		g := all[n]
		g.bytes += p.Own
		g.names = append(g.names, p.Name)
		at := p.Path
		if at == "" {
			at = p.Name
		}
		g.paths = append(g.paths, footprint.WeighedPath{Path: at, Bytes: p.Own, Layer: p.Layer})
	}
	var out []footprint.Suggestion
	for _, g := range all {
		if g.bytes < Floor {
			continue
		}
		gone, err := s.installedBy(ctx, &g.from, g.eco, g.names)
		if err != nil {
			return nil, err
		}
		if gone {
			continue
		}
		sg := s.suggest(g.from.step, g.pile)
		what := listed(quotedAll(g.names[:min(len(g.names), 3)]))
		if n := len(g.names) - 3; n > 0 {
			what = strings.Join(quotedAll(g.names[:3]), ", ") + fmt.Sprintf(" and %d more", n)
		}
		sg.Message = fmt.Sprintf("%s of packages that only development needs are in the image: %s.", g.bytes, what)
		s.leaveOutDev(&sg, g.from)
		out = append(out, sg)
	}
	return out, nil
}

func quotedAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoted(n)
	}
	return out
}

// leaveOutDev says what to do, and does it where it is safe to try.
func (s *subject) leaveOutDev(sg *footprint.Suggestion, from installed) {
	switch {
	case from.runs != "":
		sg.Advice = fmt.Sprintf("The container runs %s, which is one of them: let it run what was built, and leave them out.", from.runs)
	case from.how == nil && from.step != nil && from.step.Keyword != "RUN" && from.step.From < 0:
		sg.Advice = "They come from the build context: leave them out in .dockerignore, and install in the build without them."
	case from.how == nil:
		sg.Advice = "Install without them: npm ci --omit=dev, composer install --no-dev, poetry install --only main, or the like."
	case from.needs != "" && from.last == nil:
		sg.Advice = fmt.Sprintf("%s needs them, so build in a stage of its own and copy the result into one that installs without them.", from.needs)
	case from.needs != "":
		prune := s.flagFor(from, from.how.prune)
		if prune == "" {
			sg.Advice = fmt.Sprintf("%s needs them, so install once more without them in another stage, and copy that.", from.needs)
			return
		}
		sg.Advice = fmt.Sprintf("%s needs them, so remove them behind it with %s.", from.needs, prune)
		if from.last.Dir == "" || from.last.Dir != from.call.Dir {
			return
		}
		_, end := from.last.Bytes()
		s.edit(sg, footprint.NeedsTests, footprint.Edit{Start: end, End: end, Text: s.lineBreak() + "RUN " + prune})
		s.at(sg, from.last)
	default:
		if from.how.before != "" {
			sg.Advice = "Tell bundler to leave them out: " + strings.TrimSuffix(from.how.before, " && ") + "."
			if from.call.Start >= 0 && from.call.Certain {
				s.edit(sg, footprint.NeedsTests, footprint.Edit{Start: from.call.Start, End: from.call.Start, Text: from.how.before})
				s.at(sg, from.made)
			}
			return
		}
		flag := s.flagFor(from, from.how.add)
		sg.Advice = fmt.Sprintf("Leave them out with %s %s.", from.how.name, flag)
		word := from.call.Words[0]
		if v := verb(from.call); v != "" {
			sg.Advice = fmt.Sprintf("Leave them out with %s %s %s.", from.how.name, v, flag)
			word = from.call.Words[slices.IndexFunc(from.call.Words, func(w dockerfile.Word) bool { return w.Text == v })]
		}
		if words := includesDev(from.call); len(words) > 0 {
			asks := words[0]
			sg.Advice = fmt.Sprintf("Write %s instead of %s, which asks for them.", flag, asks.Text)
			if len(words) == 1 && from.call.Start >= 0 && string(s.file.Src[asks.Start:asks.End]) == asks.Text && !forcesDev(from.made, from.call) && (from.how.name != "yarn" || !s.modernYarn(from.call)) {
				s.edit(sg, footprint.NeedsTests, footprint.Edit{Start: asks.Start, End: asks.End, Text: flag})
				s.at(sg, from.made)
			}
			return
		}
		if forcesDev(from.made, from.call) {
			sg.Advice = "NPM_CONFIG_INCLUDE asks for them: leave it out, and install with " + flag + "."
			return
		}
		if from.call.Start < 0 || string(s.file.Src[word.Start:word.End]) != word.Text || from.how.name == "yarn" && s.modernYarn(from.call) {
			return
		}
		s.edit(sg, footprint.NeedsTests, footprint.Edit{Start: word.End, End: word.End, Text: " " + flag})
		s.at(sg, from.made)
	}
}

// flagFor is a flag or command as the npm of the stage knows it: that of Node 14
// and before has no --omit.
func (s *subject) flagFor(from installed, text string) string {
	if from.how.name != "npm" {
		return text
	}
	base := s.file.Root(s.file.Stages[from.made.Stage]).Base
	_, tag, _ := strings.Cut(base, "node:")
	digits := strings.IndexFunc(tag+" ", func(r rune) bool { return r < '0' || r > '9' })
	if major, err := strconv.Atoi(tag[:digits]); err == nil && major > 0 && major < 15 {
		return strings.ReplaceAll(text, "--omit=dev", "--production")
	}
	return text
}

// modernYarn tells whether yarn may be one without --production.
func (s *subject) modernYarn(c dockerfile.Call) bool {
	steps, ok := s.allSteps()
	return !ok || c.Has("--immutable", "--immutable-cache") || s.mentions(steps, ".yarnrc.yml") || s.mentions(steps, ".yarn") || s.mentions(steps, "berry") || s.mentions(steps, "corepack")
}

// lineBreak is that of the Dockerfile.
func (s *subject) lineBreak() string {
	if strings.Contains(string(s.file.Src), "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// installedBy finds the command that installed packages for development, and
// what needs them after it. gone tells that the text leaves them out.
func (s *subject) installedBy(ctx context.Context, from *installed, ecosystem string, dev []string) (gone bool, err error) {
	runs, err := s.runsOneOf(ctx, dev)
	if err != nil {
		return false, err
	}
	from.runs = runs
	if from.step == nil {
		return false, nil
	}
	steps := s.steps
	builder := from.step.From >= 0
	if builder {
		steps = s.chainSteps(from.step.From)
	} else if from.step.Keyword != "RUN" {
		return false, nil
	}
	found := 0
	for i := range steps {
		if steps[i].Keyword != "RUN" {
			continue
		}
		calls, read := s.calls(&steps[i])
		if !read && from.how != nil && from.needs == "" {
			from.needs = fmt.Sprintf("Line %d", steps[i].Start)
		}
		for _, c := range calls {
			how := installs(c, ecosystem)
			switch {
			case how != nil && (builder || steps[i].Start == from.step.Start):
				if omitsDev(&steps[i], c, how) {
					if found == 0 {
						gone = true
					}
					continue
				}
				gone = false
				found++
				from.how, from.call, from.made, from.needs = how, c, &steps[i], ""
				if builder {
					from.last = &steps[i]
				}
			case from.how == nil:
			case builder && prunes(c, from.how):
				return true, nil
			case !harmless(c) && !(c.Name() == "composer" && strings.HasPrefix(verb(c), "dump")):
				if from.needs == "" {
					from.needs = fmt.Sprintf("%s in line %d", quoted(c.Name()), steps[i].Start)
				}
				if builder {
					from.last = &steps[i]
				}
			}
		}
	}
	if found > 1 {
		from.how = nil
	}
	if builder && from.how != nil {
		if other := s.alsoUses(from.step.From, from.made.Stage); other != "" {
			from.needs, from.last = other, nil
		}
		if from.last != nil && from.last.Stage != from.step.From {
			from.last = nil
		}
	}
	return gone && found == 0, nil
}

// alsoUses names a stage beside the target that goes on from one of these stages
// or takes from them, "" if there is none.
func (s *subject) alsoUses(stages ...int) string {
	steps, ok := s.allSteps()
	if !ok {
		return "Another stage"
	}
	of := func(index int) bool { return slices.Contains(stages, index) }
	name := func(stage dockerfile.Stage) string {
		if stage.Name != "" {
			return "The stage " + quoted(stage.Name)
		}
		return fmt.Sprintf("The stage in line %d", stage.Start)
	}
	chain := map[int]bool{}
	for _, st := range s.steps {
		chain[st.Stage] = true
	}
	for _, stage := range s.file.Stages {
		if !chain[stage.Index] && !of(stage.Index) && of(stage.Parent) {
			return name(stage)
		}
	}
	for _, st := range steps {
		stage := s.file.Stages[st.Stage]
		if chain[st.Stage] || of(st.Stage) {
			continue
		}
		if st.From >= 0 && of(st.From) {
			return name(stage)
		}
		for _, m := range st.Mounts() {
			if from, err := s.file.Target(m.From); m.From != "" && err == nil && of(from.Index) {
				return name(stage)
			}
		}
	}
	return ""
}

// installs is how a command installs the packages of a project, nil if it does
// not.
func installs(c dockerfile.Call, ecosystem string) *installer {
	for _, how := range installers {
		if how.ecosystem != ecosystem || how.name != c.Name() || !slices.Contains(how.verbs, verb(c)) || c.Has("-g", "--global", "--dev") {
			continue
		}
		// With the names of packages it installs those.
		plain := 0
		for i, a := range c.Args() {
			if !strings.HasPrefix(a, "-") && (i == 0 || !strings.HasPrefix(c.Args()[i-1], "--")) {
				plain++
			}
		}
		if plain > 1 {
			continue
		}
		return &how
	}
	return nil
}

// omitsDev tells whether an installation leaves those for development out.
func omitsDev(step *dockerfile.Step, c dockerfile.Call, how *installer) bool {
	// npm installs what it is told both to omit and to include.
	if words := includesDev(c); len(words) > 0 || forcesDev(step, c) {
		return false
	}
	if c.Has(how.omits...) {
		return true
	}
	args := c.Args()
	if n := slices.Index(args, "--omit"); n >= 0 && n+1 < len(args) && args[n+1] == "dev" {
		return true
	}
	for _, e := range how.env {
		name, want, exact := strings.Cut(e, "=")
		value, _ := step.Env(name)
		for _, set := range c.Set {
			if set.Name == name {
				value = set.Value.Text
			}
		}
		if value != "" && (!exact || value == want) {
			return true
		}
	}
	if how.name != "bundle" {
		return false
	}
	calls, _ := callsOf(step)
	return slices.ContainsFunc(calls, func(o dockerfile.Call) bool { return o.Name() == "bundle" && o.Has("without") })
}

// includesDev are the words of a command that ask for those for development.
func includesDev(c dockerfile.Call) []dockerfile.Word {
	var out []dockerfile.Word
	for i, w := range c.Words {
		switch w.Text {
		case "--include=dev", "--also=dev", "--also=development", "--production=false", "--prod=false", "--no-production", "--no-prod", "--omit=":
			out = append(out, w)
		case "--include", "--also", "--production", "--prod":
			if i+1 < len(c.Words) && slices.Contains([]string{"dev", "development", "false"}, c.Words[i+1].Text) {
				out = append(out, dockerfile.Word{Text: w.Text + " " + c.Words[i+1].Text, Known: w.Known, Start: w.Start, End: c.Words[i+1].End})
			}
		}
	}
	return out
}

// forcesDev tells whether a variable asks for those for development, which no
// flag takes back.
func forcesDev(step *dockerfile.Step, c dockerfile.Call) bool {
	dev := func(value string) bool {
		return slices.Contains(strings.Fields(strings.ReplaceAll(value, ",", " ")), "dev")
	}
	for _, name := range []string{"NPM_CONFIG_INCLUDE", "npm_config_include"} {
		value, _ := step.Env(name)
		if dev(value) || slices.ContainsFunc(c.Set, func(a dockerfile.Assignment) bool { return a.Name == name && dev(a.Value.Text) }) {
			return true
		}
	}
	return false
}

// prunes tells whether a command removes those for development.
func prunes(c dockerfile.Call, how *installer) bool {
	return c.Name() == how.name && verb(c) == "prune" && (c.Has(how.omits...) || c.Has("--omit")) ||
		c.Name() == how.name && slices.Contains(how.verbs, verb(c)) && c.Has(how.omits...)
}

// runsOneOf names the package for development that the container runs, "" if it
// is none that can be seen.
func (s *subject) runsOneOf(ctx context.Context, dev []string) (string, error) {
	if s.Config == nil {
		return "", nil
	}
	line := slices.Concat(s.Config.Entrypoint, s.Config.Cmd)
	text := strings.Join(line, " ")
	script := "start"
	fields := strings.Fields(text)
	for i, w := range fields {
		if slices.Contains(nodeManagers, path.Base(w)) && i+1 < len(fields) {
			if script = fields[i+1]; (script == "run" || script == "run-script") && i+2 < len(fields) {
				script = fields[i+2]
			}
			at := path.Join("/", s.Config.WorkingDir, "package.json")
			if s.Read == nil {
				break
			}
			got, err := s.Read(ctx, at)
			if err != nil {
				return "", fmt.Errorf("reading %s of the image: %w", at, err)
			}
			var manifest struct {
				Scripts map[string]string `json:"scripts"`
			}
			if json.Unmarshal(got[at], &manifest) == nil {
				text += " " + manifest.Scripts[script]
			}
			break
		}
	}
	for _, name := range dev {
		if names(text, name) {
			return quoted(name), nil
		}
	}
	// Their commands may have other names.
	for _, bin := range []struct{ name, of string }{{"tsc", "typescript"}, {"ng", "@angular/cli"}, {"vue-cli-service", "@vue/cli-service"}, {"nest", "@nestjs/cli"}, {"webpack", "webpack-cli"}, {"babel-node", "@babel/node"}} {
		if names(text, bin.name) && slices.Contains(dev, bin.of) {
			return quoted(bin.of), nil
		}
	}
	return "", nil
}

// devHint says that a command installs all packages, where nothing after it
// builds with them.
func (s *subject) devHint() []footprint.Suggestion {
	for i := range s.steps {
		if s.steps[i].Keyword != "RUN" {
			continue
		}
		calls, read := s.calls(&s.steps[i])
		for n, c := range calls {
			for _, ecosystem := range []string{footprint.Npm, footprint.Composer} {
				how := installs(c, ecosystem)
				if how == nil || omitsDev(&s.steps[i], c, how) || !read || slices.ContainsFunc(calls[n+1:], func(c dockerfile.Call) bool { return !harmless(c) }) {
					continue
				}
				rest := after(s.steps, &s.steps[i])
				if slices.ContainsFunc(rest, func(st dockerfile.Step) bool {
					if st.Keyword == "CMD" || st.Keyword == "ENTRYPOINT" {
						return names(st.Text, "dev") || names(st.Text, "nodemon") || names(st.Text, "start")
					}
					calls, read := s.calls(&st)
					return st.Keyword == "RUN" && (!read || slices.ContainsFunc(calls, func(c dockerfile.Call) bool { return !harmless(c) }))
				}) {
					continue
				}
				sg := s.suggest(&s.steps[i], pile{})
				sg.Hint = true
				sg.Message = fmt.Sprintf("%s installs packages for development, too, if the project has some.", how.name)
				sg.Advice = fmt.Sprintf("Leave them out with %s.", how.add)
				return []footprint.Suggestion{sg}
			}
		}
	}
	return nil
}
