package advice

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

func cacheOrder() Rule {
	return Rule{
		ID: "cache-order", Title: "dependencies are installed behind the sources, and so again on every change", Safety: footprint.NeedsTests, Apart: true,
		check: func(_ context.Context, s *subject) ([]footprint.Suggestion, error) { return s.cacheOrders(), nil },
	}
}

// fetcher is a command that needs only a few files of a project.
type fetcher struct {
	// name is the command, and verbs are its subcommands that install.
	name  string
	verbs []string
	// needs are the files without which it does nothing, takes those that it
	// reads if they are there.
	needs, takes []string
	// makes is the folder of the project that it fills: one that the sources
	// bring along, too, would be written over them.
	makes string
}

var fetchers = []*fetcher{
	{"npm", []string{"ci", "install", "i"}, []string{"package.json"}, []string{"package-lock.json", "npm-shrinkwrap.json", ".npmrc"}, "node_modules"},
	{"yarn", []string{"", "install"}, []string{"package.json"}, []string{"yarn.lock", ".yarnrc", ".yarnrc.yml", ".npmrc"}, "node_modules"},
	{"pnpm", []string{"install", "i"}, []string{"package.json"}, []string{"pnpm-lock.yaml", ".npmrc", "pnpm-workspace.yaml"}, "node_modules"},
	{"bun", []string{"install", "i"}, []string{"package.json"}, []string{"bun.lockb", "bun.lock"}, "node_modules"},
	{"pip", []string{"install"}, nil, nil, ""},
	{"pip3", []string{"install"}, nil, nil, ""},
	{"go", []string{"mod"}, []string{"go.mod"}, []string{"go.sum"}, "vendor"},
	{"bundle", []string{"install"}, []string{"Gemfile"}, []string{"Gemfile.lock", ".ruby-version"}, "vendor"},
	{"poetry", []string{"install"}, []string{"pyproject.toml"}, []string{"poetry.lock", "poetry.toml"}, ""},
	{"composer", []string{"install"}, []string{"composer.json"}, []string{"composer.lock"}, "vendor"},
	{"apt-get", []string{"install", "update", "upgrade", "clean", "autoremove"}, nil, nil, ""},
	{"apk", []string{"add", "update", "upgrade"}, nil, nil, ""},
	{"dnf", []string{"install", "clean"}, nil, nil, ""},
	{"yum", []string{"install", "clean"}, nil, nil, ""},
}

// fetches reads a command that only installs: files are those of the project
// that it reads. ok is false for all others.
func fetches(c dockerfile.Call) (in *fetcher, files []string, ok bool) {
	words := texts(c)
	if len(words) == 0 {
		return nil, nil, false
	}
	at := slices.IndexFunc(fetchers, func(i *fetcher) bool { return i.name == words[0] })
	if at < 0 {
		return nil, nil, false
	}
	in = fetchers[at]
	words = words[1:]
	sub := ""
	for _, w := range words {
		if !strings.HasPrefix(w, "-") {
			sub = w
			break
		}
	}
	if !slices.Contains(in.verbs, sub) {
		return nil, nil, false
	}
	has := func(word string) bool { return slices.Contains(words, word) }
	switch in.name {
	case "npm":
		// A package that is named is no dependency of the project.
		if has("-g") || has("--global") {
			return in, nil, false
		}
	case "pip", "pip3":
		for i, w := range words {
			file := strings.TrimPrefix(w, "--requirement=")
			if w == "-r" || w == "--requirement" {
				if i+1 >= len(words) {
					return in, nil, false
				}
				file = words[i+1]
			} else if file == w {
				continue
			}
			if !inContext(file) {
				return in, nil, false
			}
			files = append(files, file)
		}
		return in, files, len(files) > 0
	case "go":
		return in, slices.Concat(in.needs, in.takes), has("download")
	case "poetry":
		return in, slices.Concat(in.needs, in.takes), has("--no-root")
	case "composer":
		return in, slices.Concat(in.needs, in.takes), has("--no-scripts") && has("--no-autoloader")
	}
	return in, slices.Concat(in.needs, in.takes), true
}

// inContext tells whether a word is a plain relative path.
func inContext(p string) bool {
	return p != "" && !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "-") && path.Clean(p) == p && !strings.HasPrefix(p, "..") && scriptPath("/"+p)
}

// cacheOrders finds installations behind a COPY of the whole context: what they
// brought is built and pulled again whenever a source changes. The bytes are of
// every such update and not of the image.
func (s *subject) cacheOrders() []footprint.Suggestion {
	copyAt := -1
	var out []footprint.Suggestion
	for i := range s.steps {
		st := &s.steps[i]
		if f, ok := st.Files(); ok {
			if copyAt < 0 && f.From < 0 && f.FromImage == "" && slices.ContainsFunc(f.Sources, func(p string) bool { return path.Clean(p) == "." || path.Clean(p) == "/" }) {
				copyAt = i
			}
			continue
		}
		sc := s.script(st)
		if copyAt < 0 || sc == nil || st.Keyword != "RUN" || s.mountsContext(st) {
			continue
		}
		var files []string
		only, some := len(sc.Calls) > 0, false
		fills := ""
		for _, c := range sc.Calls {
			in, reads, ok := fetches(c)
			if c.Name() == "rm" || c.Name() == "set" || in != nil && in.name == "npm" && c.Has("cache") {
				continue
			}
			only = only && ok && c.Certain
			some = some || ok && c.Certain
			files = append(files, reads...)
			if in != nil && in.makes != "" {
				fills = in.makes
			}
		}
		if !some {
			continue
		}
		var p pile
		for _, layer := range s.layersOf(st) {
			if s.mine(layer) {
				p.add("/", s.Image.Layers[layer].Unpacked, layer)
			}
		}
		if s.Image != nil && p.bytes < Floor {
			continue
		}
		out = append(out, s.cacheOrderOf(copyAt, i, p, only, files, fills))
	}
	return out
}

// mountsContext tells whether a RUN has the sources without COPY.
func (s *subject) mountsContext(st *dockerfile.Step) bool {
	return slices.ContainsFunc(st.Mounts(), func(m dockerfile.Mount) bool { return m.Type == "bind" })
}

func (s *subject) cacheOrderOf(copyAt, at int, p pile, only bool, files []string, fills string) footprint.Suggestion {
	sources, st := &s.steps[copyAt], &s.steps[at]
	layer := -1
	if len(p.paths) > 0 {
		layer = p.paths[0].Layer
		p.paths = s.heaviest(layer)
	}
	out := s.suggest(st, p)
	out.Bytes = p.bytes
	if s.Image == nil {
		out.Hint = true
		out.Message = fmt.Sprintf("What line %d installs is built and pulled again on every change of the sources, which line %d copies.", st.Start, sources.Start)
	} else {
		out.Estimated = true
		out.Message = fmt.Sprintf("%s that line %d installs are built and pulled again on every change of the sources, which line %d copies.", p.bytes, st.Start, sources.Start)
	}
	out.Advice = "Copy first only the files that name the dependencies, install them, and then copy the rest."
	if len(files) == 0 {
		out.Advice = fmt.Sprintf("Install before line %d: it does not need the sources.", sources.Start)
	}
	if s.Image == nil || !only || at != copyAt+1 || sources.Stage != st.Stage {
		return out
	}
	f, _ := sources.Files()
	if f.Add || len(f.Exclude) > 0 || f.Parents || len(f.Sources) != 1 || f.To != st.Dir {
		return out
	}
	var bring []string
	if len(files) > 0 {
		if s.Context == nil {
			out.Unknown = []string{"Which files the build context has is not known."}
			return out
		}
		if fills != "" && slices.ContainsFunc(s.Context, func(c ContextFile) bool { return strings.HasPrefix(c.Path, fills+"/") }) {
			out.Unknown = []string{fmt.Sprintf("The build context has a folder %s, which would be copied over what was installed.", fills)}
			return out
		}
		for _, name := range files {
			if !slices.Contains(bring, name) && slices.ContainsFunc(s.Context, func(c ContextFile) bool { return c.Path == name }) {
				bring = append(bring, name)
			}
		}
		if missing := s.missing(st); missing != "" {
			out.Unknown = []string{fmt.Sprintf("The build context has no %s.", missing)}
			return out
		}
		if slices.ContainsFunc(bring, func(n string) bool { return strings.Contains(n, "/") }) {
			return out // they have to land in folders of their own
		}
	}
	if edit, ok := s.swap(sources, st, bring); ok {
		s.edit(&out, footprint.NeedsTests, edit)
	}
	return out
}

// missing is a file that a step needs and the context does not have.
func (s *subject) missing(st *dockerfile.Step) string {
	sc := s.script(st)
	for _, c := range sc.Calls {
		in, files, ok := fetches(c)
		if !ok {
			continue
		}
		need := in.needs
		if strings.HasPrefix(in.name, "pip") {
			need = files
		}
		for _, n := range need {
			if !slices.ContainsFunc(s.Context, func(c ContextFile) bool { return c.Path == n }) {
				return n
			}
		}
	}
	return ""
}

// swap puts a step in front of the COPY that stands right before it, behind a
// COPY of a few files.
func (s *subject) swap(sources, st *dockerfile.Step, bring []string) (footprint.Edit, bool) {
	src := s.file.Src
	start, end := sources.Bytes()
	from, to := st.Bytes()
	line := s.file.Continued()[1:]
	copyText, runText, between := string(src[start:end]), string(src[from:to]), string(src[end:from])
	if strings.Contains(copyText, "\n") {
		return footprint.Edit{}, false
	}
	head := ""
	if len(bring) > 0 {
		// The same flags, and the same word for the folder.
		words := strings.Fields(copyText)
		flags := words[:1]
		for _, w := range words[1:] {
			if !strings.HasPrefix(w, "--") {
				break
			}
			flags = append(flags, w)
		}
		if len(words) != len(flags)+2 || strings.HasPrefix(words[len(flags)], "[") {
			return footprint.Edit{}, false
		}
		folder := strings.TrimSuffix(words[len(words)-1], "/") + "/"
		head = string(src[start:start+len(copyText)-len(bytes.TrimLeft([]byte(copyText), " \t"))]) + strings.Join(slices.Concat(flags, bring, []string{folder}), " ") + line
	}
	// Comments between them speak of the second.
	comments := strings.TrimPrefix(strings.TrimLeft(between, " \t"), line)
	return footprint.Edit{Start: start, End: to, Text: head + comments + runText + line + copyText}, true
}

// heaviest are the heaviest folders of a layer, two levels deep.
func (s *subject) heaviest(layer int) []footprint.WeighedPath {
	sums := map[string]footprint.Bytes{}
	s.own(func(f footprint.File) {
		if f.Made != layer || f.Kind != footprint.Regular || f.Size == 0 {
			return
		}
		parts := strings.SplitN(f.Path, "/", 4)
		sums[strings.Join(parts[:min(len(parts), 3)], "/")] += f.Size
	})
	out := make([]footprint.WeighedPath, 0, len(sums))
	for p, n := range sums {
		out = append(out, footprint.WeighedPath{Path: p, Bytes: n, Layer: layer})
	}
	return out
}
