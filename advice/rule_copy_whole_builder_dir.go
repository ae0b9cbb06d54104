package advice

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

var copyWholeBuilderDir = Rule{
	ID:     "copy-whole-builder-dir",
	Title:  "COPY --from brings more of a builder than what runs",
	Safety: footprint.AdviceOnly,
	check:  checkCopyWholeBuilderDir,
}

// unrun says what of a build a file is, "" if it may run; rel is its path below
// the destination of a COPY. compiled is set where sources of a script language were built, too.
func unrun(at, rel string, compiled bool) string {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(at, p) })
	}
	switch {
	case has("/node_modules/.cache/", "/.next/cache/", "/.turbo/", "/.parcel-cache/", "/.angular/cache/", "/.gradle/", "/.mypy_cache/", "/.pytest_cache/"):
		return "caches of the build"
	case has("/node_modules/", "/site-packages/", "/dist-packages/", "/include/"):
		return "" // what a package manager put there may be read
	case has("/target/debug/", "/target/release/deps/", "/target/release/build/", "/target/release/incremental/", "/target/release/.fingerprint/", "/CMakeFiles/", "/target/classes/", "/target/test-classes/", "/target/maven-status/"):
		return "objects of the build"
	}
	switch path.Ext(at) {
	case ".o", ".obj", ".lo", ".a", ".rlib", ".rmeta", ".d":
		return "objects of the build"
	case ".go", ".rs", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".java", ".kt", ".scala", ".cs", ".swift":
		return "sources"
	case ".ts", ".tsx", ".scss", ".vue", ".svelte":
		if compiled {
			return "sources"
		}
	}
	if first, _, below := strings.Cut(rel, "/"); below && slices.Contains([]string{"test", "tests", "__tests__", "spec", "e2e", "cypress", "coverage"}, first) {
		return "tests"
	}
	return ""
}

func checkCopyWholeBuilderDir(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
	if s.Image == nil {
		return s.wholeStageHint(), nil
	}
	if s.interprets() {
		return nil, nil
	}
	var out []footprint.Suggestion
	for i := range s.steps {
		st := &s.steps[i]
		files, ok := st.Files()
		if !ok || files.From < 0 || files.To == "" {
			continue
		}
		layers := s.layersOf(st)
		root := strings.TrimSuffix(files.To, "/") + "/"
		of := func(f footprint.File) (string, bool) {
			rel, ok := strings.CutPrefix(f.Path, root)
			return rel, ok && f.Kind == footprint.Regular && slices.Contains(layers, f.Made)
		}
		compiled := false
		s.own(func(f footprint.File) {
			if rel, ok := of(f); ok {
				first, _, below := strings.Cut(rel, "/")
				compiled = compiled || below && slices.Contains([]string{"dist", "build", "out", ".next", ".output", "lib"}, first)
			}
		})
		var p pile
		kinds := map[string]footprint.Bytes{}
		kept := map[string]footprint.Bytes{}
		whole := files.To == "/" && len(files.Sources) == 1 && clean(files.Sources[0]) == "."
		s.own(func(f footprint.File) {
			rel, ok := of(f)
			if !ok || f.Size == 0 {
				return
			}
			kind := unrun(f.Path, rel, compiled)
			if whole && kind == "" {
				kind = s.toolchain(f)
			}
			first, _, _ := strings.Cut(rel, "/")
			if vcsRoot(f.Path) != "" || kind == "" && isCache(f.Path) {
				return // other rules weigh them
			}
			if kind == "" {
				kept[first] += f.Size
				return
			}
			kinds[kind] += f.Size
			at := root + first
			if dir := path.Dir(f.Path); strings.HasPrefix(dir, at) {
				// The second folder says more than the first.
				second, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(f.Path, at), "/"), "/")
				if dir != at {
					at += "/" + second
				}
			}
			p.add(at, f.Size, f.Layer)
		})
		if p.bytes < Floor {
			continue
		}
		sg := s.suggest(st, p)
		stage := s.file.Stages[files.From]
		name := cmp.Or(stage.Name, fmt.Sprint(stage.Index))
		sg.Message = fmt.Sprintf("COPY --from=%s brings %s that do not run: %s.", name, p.bytes, weighed(kinds))
		if whole {
			sg.Message = fmt.Sprintf("COPY --from=%s brings the whole filesystem of that stage, with %s that do not run: %s.", name, p.bytes, weighed(kinds))
		}
		sg.Advice = "Copy only the folders and files that run."
		if names := heaviestNames(kept, 4); len(names) > 0 && !whole {
			sg.Advice = "Copy only what runs, which may be " + listed(quotedAll(names)) + "."
		}
		out = append(out, sg)
	}
	return out, nil
}

// toolchain says that a file is of what only a build needs.
func (s *subject) toolchain(f footprint.File) string {
	if index, owned := f.Owner.Package(); owned && index < len(s.Image.Packages) {
		if k := s.Image.Packages[index]; footprint.OfSystem(k.Ecosystem) && isTool(k.Name) {
			return "compilers and headers"
		}
	}
	if slices.ContainsFunc(toolFolders, func(folder string) bool { return strings.HasPrefix(f.Path, folder+"/") }) {
		return "compilers and headers"
	}
	return ""
}

// weighed lists kinds with their bytes, heaviest first.
func weighed(kinds map[string]footprint.Bytes) string {
	var out []string
	for _, name := range heaviestNames(kinds, len(kinds)) {
		out = append(out, fmt.Sprintf("%s (%s)", name, kinds[name]))
	}
	return listed(out)
}

// heaviestNames are the names that weigh most, heaviest first.
func heaviestNames(weights map[string]footprint.Bytes, n int) []string {
	var out []string
	for name := range weights {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(weights[b], weights[a]), cmp.Compare(a, b))
	})
	return out[:min(n, len(out))]
}

// interprets tells whether the container runs sources as they are.
func (s *subject) interprets() bool {
	runs := []string{"ts-node", "ts-node-dev", "tsx", "bun", "deno", "vite", "nodemon", "cargo", "make", "mvn", "gradle", "gcc"}
	texts := []string{}
	if s.Config != nil {
		texts = append(texts, strings.Join(slices.Concat(s.Config.Entrypoint, s.Config.Cmd), " "))
	}
	for _, st := range s.steps {
		if st.Keyword == "CMD" || st.Keyword == "ENTRYPOINT" {
			texts = append(texts, st.Text)
		}
	}
	return slices.ContainsFunc(texts, func(text string) bool {
		return strings.Contains(text, "go run") || strings.Contains(text, "go test") || strings.Contains(text, "dotnet run") ||
			slices.ContainsFunc(runs, func(r string) bool { return names(text, r) })
	})
}

// wholeStageHint says that the text copies all of a stage.
func (s *subject) wholeStageHint() []footprint.Suggestion {
	for i := range s.steps {
		files, ok := s.steps[i].Files()
		if !ok || files.From < 0 || files.To != "/" || len(files.Sources) != 1 || clean(files.Sources[0]) != "." {
			continue
		}
		// A stage that begins with nothing was made to be copied.
		if s.file.Root(s.file.Stages[files.From]).Base == "scratch" {
			continue
		}
		sg := s.suggest(&s.steps[i], pile{})
		sg.Hint = true
		sg.Message = "COPY brings the whole filesystem of another stage, with the base of it and all that it was built with."
		sg.Advice = "Copy only the folders and files that run."
		return []footprint.Suggestion{sg}
	}
	return nil
}
