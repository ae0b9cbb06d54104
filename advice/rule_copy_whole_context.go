package advice

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

var copyWholeContext = Rule{
	ID:     "copy-whole-context",
	Title:  "COPY brings files that the image does not need",
	Safety: footprint.SafePatch,
	check:  checkCopyWholeContext,
}

// clutter is what lies in build contexts and is seldom meant for the image.
type clutter struct {
	// name is a file or folder, or a pattern of file names. anywhere tells that
	// it is looked for in all folders and not only at the top.
	name     string
	folder   bool
	anywhere bool
	// made is what makes it anew in the build: without a command that does, the
	// one of the context is what runs. "" is clutter whatever runs.
	made string
	// safe is set where no program reads it.
	safe bool
}

// clutters are in the order in which they are looked for.
var clutters = []clutter{
	{name: "node_modules", folder: true, anywhere: true, made: "npm"},
	{name: ".venv", folder: true, anywhere: true, made: "python"},
	{name: "venv", folder: true, made: "python"},
	{name: "__pycache__", folder: true, anywhere: true, safe: true},
	{name: ".pytest_cache", folder: true, anywhere: true, safe: true},
	{name: ".mypy_cache", folder: true, anywhere: true, safe: true},
	{name: ".ruff_cache", folder: true, anywhere: true, safe: true},
	{name: ".tox", folder: true, safe: true},
	{name: ".nox", folder: true, safe: true},
	{name: ".nyc_output", folder: true, safe: true},
	{name: ".idea", folder: true, anywhere: true, safe: true},
	{name: ".vscode", folder: true, anywhere: true, safe: true},
	{name: ".github", folder: true, safe: true},
	{name: ".circleci", folder: true, safe: true},
	{name: ".DS_Store", anywhere: true, safe: true},
	{name: "Thumbs.db", anywhere: true, safe: true},
	{name: "npm-debug.log*", safe: true},
	{name: "yarn-error.log", safe: true},
	{name: "Dockerfile*", safe: true},
	{name: ".dockerignore", safe: true},
	{name: "docker-compose*", safe: true},
	{name: "target", folder: true, made: "target"},
	{name: "dist", folder: true, made: "build"},
	{name: "build", folder: true, made: "build"},
	{name: ".next", folder: true, made: "build"},
	{name: ".nuxt", folder: true, made: "build"},
	{name: "obj", folder: true, anywhere: true, made: "dotnet"},
	{name: "coverage", folder: true},
	{name: "tests", folder: true},
	{name: "test", folder: true},
	{name: "__tests__", folder: true, anywhere: true},
	{name: "e2e", folder: true},
	{name: "cypress", folder: true},
	{name: "docs", folder: true},
	{name: "*.md"},
	{name: ".env*"},
}

// under is the part of a path of the context up to and with what it is, "" if it
// is none.
func (c clutter) under(p string) string {
	if !c.folder {
		base := path.Base(p)
		if ok, _ := path.Match(c.name, base); ok && (c.anywhere || base == p) {
			return p
		}
		return ""
	}
	if strings.HasPrefix(p, c.name+"/") {
		return c.name
	}
	if at := strings.Index(p, "/"+c.name+"/"); c.anywhere && at >= 0 {
		return p[:at+1+len(c.name)]
	}
	return ""
}

// find is the clutter that a path of the context is part of, -1 for none.
func find(kinds []clutter, p string) int {
	return slices.IndexFunc(kinds, func(c clutter) bool { return c.under(p) != "" })
}

func checkCopyWholeContext(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
	switch {
	case s.file == nil:
		return s.clutterOfImage(), nil
	case s.Image == nil:
		return s.clutterHint(), nil
	}
	kinds := s.clutters()
	left := readIgnore(s.Ignore)
	if left == nil || kinds == nil {
		return nil, nil
	}
	// One suggestion for what nothing reads, one for the rest.
	type found struct {
		pile
		kinds map[int]footprint.Bytes
		deep  map[int]bool
		step  map[*dockerfile.Step]footprint.Bytes
	}
	var safe, rest found
	for _, f := range []*found{&safe, &rest} {
		f.kinds, f.deep, f.step = map[int]footprint.Bytes{}, map[int]bool{}, map[*dockerfile.Step]footprint.Bytes{}
	}
	var seen []string
	s.own(func(f footprint.File) {
		if f.Kind != footprint.Regular || f.Layer < s.base {
			return
		}
		step := s.stepOf(f.Made)
		copied, ok := fromContext(step)
		if !ok {
			return
		}
		p := contextPath(copied, f.Path)
		if p == "" || left.out(p) {
			return
		}
		seen = append(seen, p)
		n := find(kinds, p)
		if n < 0 || f.Size == 0 {
			return
		}
		into := &rest
		if kinds[n].safe {
			into = &safe
		}
		what := kinds[n].under(p)
		into.add(strings.TrimSuffix(f.Path, strings.TrimPrefix(p, what)), f.Size, f.Layer)
		into.kinds[n] += f.Size
		into.deep[n] = into.deep[n] || what != kinds[n].name && kinds[n].anywhere
		into.step[step] += f.Size
	})
	if safe.bytes < Floor {
		rest.bytes += safe.bytes
		rest.paths = append(rest.paths, safe.paths...)
		for n, b := range safe.kinds {
			rest.kinds[n], rest.deep[n] = b, safe.deep[n]
		}
		for st, b := range safe.step {
			rest.step[st] += b
		}
		safe = found{}
	}
	var out []footprint.Suggestion
	for _, f := range []found{safe, rest} {
		if f.bytes < Floor {
			continue
		}
		step := heaviestStep(f.step)
		sg := s.suggest(step, f.pile)
		var order []int
		for n := range f.kinds {
			order = append(order, n)
		}
		slices.SortFunc(order, func(a, b int) int {
			if d := f.kinds[b] - f.kinds[a]; d != 0 {
				return int(max(min(d, 1), -1))
			}
			return a - b
		})
		var patterns, parts []string
		var chosen []clutter
		allSafe, secret := true, false
		for _, n := range order {
			k := kinds[n]
			chosen = append(chosen, k)
			allSafe = allSafe && k.safe
			secret = secret || k.name == ".env*"
			pattern := k.name
			if f.deep[n] {
				pattern = "**/" + pattern
			}
			patterns = append(patterns, pattern)
			if len(parts) < 4 {
				parts = append(parts, fmt.Sprintf("%s (%s)", k.name, f.kinds[n]))
			}
		}
		more := ""
		if n := len(order) - len(parts); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		sg.Message = fmt.Sprintf("%s brings %s from the build context that the image does not need: %s%s.", step.Keyword, f.bytes, strings.Join(parts, ", "), more)
		sg.Advice = "Add " + listed(patterns) + " to .dockerignore."
		if secret {
			sg.Advice = strings.TrimSuffix(sg.Advice, ".") + "; .env files may hold secrets, which anyone who has the image can read."
		}
		class := footprint.NeedsTests
		if allSafe {
			class = footprint.SafePatch
		}
		s.leaveOut(&sg, class, patterns, seen, func(p string) bool { return find(chosen, p) >= 0 })
		out = append(out, sg)
	}
	return out, nil
}

// heaviestStep is the one that weighs most, of equals the first.
func heaviestStep(steps map[*dockerfile.Step]footprint.Bytes) *dockerfile.Step {
	var out *dockerfile.Step
	for st, b := range steps {
		if out == nil || b > steps[out] || b == steps[out] && st.Start < out.Start {
			out = st
		}
	}
	return out
}

// listed joins names in a sentence.
func listed(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// clutters are those that this Dockerfile does not ask for; nil where that
// cannot be told.
func (s *subject) clutters() []clutter {
	steps, ok := s.allSteps()
	if !ok {
		return nil
	}
	made := map[string]bool{}
	tests := false
	for i := range s.steps {
		if s.steps[i].Keyword != "RUN" {
			continue
		}
		calls, _ := s.calls(&s.steps[i])
		for _, c := range calls {
			for _, ecosystem := range []string{"npm", "python"} {
				made[ecosystem] = made[ecosystem] || installsPackages(c, ecosystem)
			}
			if builds(c) {
				made["build"] = made["build"] || slices.Contains(nodeManagers, c.Name()) || c.Name() == "npx" || c.Name() == "make"
				switch c.Name() {
				case "cargo", "mvn", "mvnw", "sbt":
					made["target"] = true
				case "gradle", "gradlew":
					made["build"] = true
				case "dotnet":
					made["dotnet"] = true
				case "tsc", "webpack", "vite", "esbuild", "rollup", "parcel", "ng", "next", "nuxt", "nuxi":
					made["build"] = true
				}
			}
			tests = tests || c.Name() == "pytest" || c.Name() == "tox" || c.Has("test", "pytest", "check", "verify")
		}
	}
	// An exception in .dockerignore asks for a file as COPY does.
	sources := exceptions(s.Ignore)
	packaged := false
	for i := range steps {
		sources = append(sources, contextSources(&steps[i])...)
		calls, _ := s.calls(&steps[i])
		for _, c := range calls {
			// The readme of a project is part of its package.
			packaged = packaged || installsPackages(c, "python") && !c.Has("-r", "--requirement") || c.Name() == "python" || c.Name() == "python3"
		}
	}
	var out []clutter
	for _, c := range clutters {
		plain := strings.Trim(c.name, "*")
		switch {
		case c.made != "" && !made[c.made],
			c.name == "*.md" && packaged,
			c.name == ".env*" && made["build"], // bundlers read them
			tests && slices.Contains([]string{"tests", "test", "__tests__", "e2e", "cypress"}, c.name),
			slices.ContainsFunc(sources, func(source string) bool { return names(source, plain) || matchesWild(source, c.name) }),
			// A program that is told of its files by name may read them.
			c.made == "" && !c.safe && s.mentions(steps, plain),
			c.made == "python" && s.mentions(steps, plain) && !s.mentions(steps, "venv") && !s.mentions(steps, "uv") && !s.mentions(steps, "poetry"):
		default:
			out = append(out, c)
		}
	}
	return out
}

// matchesWild tells whether a pattern of COPY asks for a name.
func matchesWild(source, name string) bool {
	source = clean(source)
	if !wild(source) || source == "*" {
		return false
	}
	first, _, _ := strings.Cut(source, "/")
	ok, err := path.Match(first, name)
	return err != nil || ok || first == name
}

// clutterOfImage is what an image shows without its Dockerfile: only what has one
// meaning wherever it lies.
func (s *subject) clutterOfImage() []footprint.Suggestion {
	var p pile
	s.own(func(f footprint.File) {
		if f.Kind != footprint.Regular || f.Size == 0 || !s.copiedLayer(f.Made) {
			return
		}
		for _, c := range clutters {
			if !c.safe || !c.folder || !c.anywhere {
				continue
			}
			if what := c.under(strings.TrimPrefix(f.Path, "/")); what != "" {
				p.add("/"+what, f.Size, f.Layer)
				return
			}
		}
	})
	if p.bytes < Floor {
		return nil
	}
	sg := s.suggest(nil, p)
	sg.Message = fmt.Sprintf("COPY brought %s of caches and settings of editors that the image does not need.", p.bytes)
	sg.Advice = "Add them to the .dockerignore of the build."
	return []footprint.Suggestion{sg}
}

// copiedLayer tells whether the history says that COPY or ADD made a layer.
func (s *subject) copiedLayer(layer int) bool {
	if layer < 0 || layer >= len(s.Image.Layers) {
		return false
	}
	by := strings.TrimSpace(strings.TrimPrefix(s.Image.Layers[layer].CreatedBy, "/bin/sh -c #(nop)"))
	return strings.HasPrefix(by, "COPY ") || strings.HasPrefix(by, "ADD ")
}

// clutterHint is what the text alone says: the whole context goes into the image,
// and nothing says what is left out.
func (s *subject) clutterHint() []footprint.Suggestion {
	kinds, left := s.clutters(), readIgnore(s.Ignore)
	if kinds == nil || left == nil {
		return nil
	}
	for i := range s.steps {
		f, ok := fromContext(&s.steps[i])
		if !ok || len(f.Sources) != 1 || clean(f.Sources[0]) != "." || len(f.Exclude) > 0 {
			continue
		}
		var patterns []string
		for _, k := range kinds {
			if slices.ContainsFunc(s.Context, func(c ContextFile) bool { return k.under(c.Path) != "" && !left.out(c.Path) }) && !k.safe {
				patterns = append(patterns, k.name)
			}
		}
		sg := s.suggest(&s.steps[i], pile{})
		sg.Hint = true
		switch {
		case len(patterns) > 0:
			sg.Message = fmt.Sprintf("%s brings %s from the build context, which the image may not need.", s.steps[i].Keyword, listed(patterns))
			sg.Advice = "Add to .dockerignore what the image does not need."
		case s.Context == nil && s.IgnoreName != "" && !s.HasIgnore:
			sg.Message = fmt.Sprintf("%s brings the whole build context, and no .dockerignore says what to leave out.", s.steps[i].Keyword)
			sg.Advice = "Make a .dockerignore with what the image does not need, such as tests and local dependencies."
		default:
			return nil
		}
		return []footprint.Suggestion{sg}
	}
	return nil
}
