package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tests in this file hold the house up: who may import whom, who may touch
// the process, and what has to be documented. They read the sources in this
// process, so that a cached result is forgotten when a source changes.

const modulePath = "github.com/org/image-budget"

// levels has every package, by its directory. Imports go down only.
var levels = map[string]int{
	".":                5,
	"internal/cli":     4,
	"report":           3,
	"verify":           3,
	"scan":             2,
	"advice":           2,
	"budget":           1,
	"dockerfile":       1,
	"baseline":         1,
	"scan/pkgdb":       1,
	"footprint":        0,
	"source":           0,
	"ghcomment":        1,
	"internal/actions": 0,
	"internal/escape":  0,
	"internal/github":  0,
	"internal/nearest": 0,
}

// sideways are the imports within one level that are meant.
var sideways = map[string]string{
	"internal/actions -> internal/escape": "annotations and the log carry foreign text",
}

// testHelpers are packages for tests: only _test.go files import them, and
// they may import anything below the command line.
var testHelpers = map[string]bool{
	"baseline/baselinetest": true,
	"internal/bench":        true,
	"internal/githubtest":   true,
	"internal/imagetest":    true,
}

// doors says which packages may import a dependency outside their tests; none
// means that it is for tests alone. A key covers everything below it, the
// longest one decides.
var doors = map[string][]string{
	"github.com/bmatcuk/doublestar/v4":                 {"budget"},
	"github.com/cespare/xxhash/v2":                     {"scan"},
	"github.com/containerd/containerd/v2":              {"source"}, // content stores, as BuildKit passes layers
	"github.com/containerd/errdefs":                    {"source"},
	"github.com/distribution/reference":                {"budget"},
	"github.com/goccy/go-yaml":                         {"budget"},
	"github.com/google/go-cmp":                         {},
	"github.com/google/go-containerregistry":           {"source"},
	"github.com/google/go-containerregistry/pkg/authn": {"source", "internal/cli"},         // credentials come from inputs
	"github.com/google/go-github/v62":                  {"internal/github", "ghcomment"},   // comments have requests of their own
	"github.com/klauspost/compress":                    {"source", "scan", "internal/cli"}, // layers; layer indexes and estimates; the sources of a commit
	"github.com/mattn/go-runewidth":                    {"report", "budget"},
	"github.com/moby/buildkit":                         {"dockerfile", "source"}, // the parser; the client
	"github.com/moby/buildkit/client":                  {"source"},
	"github.com/moby/patternmatcher":                   {"internal/cli", "advice"}, // what .dockerignore leaves out
	"github.com/moby/moby":                             {"source"},
	"github.com/opencontainers/go-digest":              {"dockerfile", "source"},
	"github.com/opencontainers/image-spec":             {"source"},
	"github.com/rogpeppe/go-internal":                  {},
	"github.com/rs/zerolog":                            {"internal/cli"},
	"github.com/santhosh-tekuri/jsonschema/v6":         {},
	"github.com/sethvargo/go-githubactions":            {"internal/actions"},
	"github.com/sirupsen/logrus":                       {"internal/cli"}, // to silence it
	"github.com/tonistiigi/fsutil":                     {"source"},
	"github.com/yuin/goldmark":                         {},
	"mvdan.cc/sh/v3":                                   {"dockerfile"},      // shell text in RUN
	"golang.org/x/mod":                                 {"internal/github"}, // tags as versions
	"golang.org/x/term":                                {"internal/cli"},
	"google.golang.org/grpc":                           {"source"},
}

// processNames read or change the process: its environment, arguments, streams,
// clock or life.
var processNames = map[string][]string{
	"os": {
		"Args", "Chdir", "Clearenv", "Environ", "Exit", "ExpandEnv", "Getenv", "LookupEnv", "Setenv", "Stderr", "Stdin",
		"Stdout", "TempDir", "Unsetenv", "UserCacheDir", "UserConfigDir", "UserHomeDir",
	},
	"syscall":                    {"Clearenv", "Environ", "Exit", "Getenv", "Setenv", "Stderr", "Stdin", "Stdout", "Unsetenv"},
	"time":                       {"Now", "Since", "Until", "Local"},
	"fmt":                        {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"net/http":                   {"DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm", "ProxyFromEnvironment"},
	"flag":                       {"Args", "CommandLine", "Parse"},
	"log":                        nil, // nothing of it
	"log/slog":                   nil,
	"plugin":                     nil,
	modulePath + "/internal/cli": nil,
	"github.com/google/go-containerregistry/pkg/authn": {"DefaultKeychain"},
	"github.com/rs/zerolog/log":                        nil,
}

// processExcuses are the places outside internal/cli that may do it all the
// same. Each has its reason; one that is no longer needed fails the test.
var processExcuses = map[string]string{
	". uses internal/cli.Exec":                   "main does nothing else",
	"source uses authn.DefaultKeychain":          "the files that docker login writes are found by it alone; what is read from the environment by hand comes through source.Config",
	"source uses http.ProxyFromEnvironment":      "the transport of a nil source.Config.Transport honours the proxies of the machine",
	"internal/bench uses os.Getenv":              "tests learn from it what the bench has started",
	"internal/github uses http.DefaultTransport": "a nil transport is the usual one, with the proxies of the machine",
}

// pure packages take values and return values.
var pure = []string{"footprint", "budget", "dockerfile", "advice", "report", "internal/escape"}

// worldly packages open files, connections or processes.
var worldly = []string{"os", "os/exec", "os/signal", "net", "net/http", "syscall", "io/ioutil", "path/filepath"}

func TestImportsGoDownOnly(t *testing.T) {
	t.Parallel()
	for _, p := range readHouse(t) {
		level, known := levels[p.dir]
		if !known && !testHelpers[p.dir] {
			t.Errorf("%s is a new package: give it a level in house_test.go", p.dir)
			continue
		}
		for _, f := range p.files {
			for _, imported := range f.imports(t) {
				to, ours := inHouse(imported)
				if !ours || to == p.dir {
					continue
				}
				arrow := p.dir + " -> " + to
				toLevel, knownTo := levels[to]
				switch {
				case testHelpers[to] && !f.test && !testHelpers[p.dir]:
					t.Errorf("%s: %s: %s is for tests only", f.name, arrow, to)
				case testHelpers[to], testHelpers[p.dir] && toLevel < levels["internal/cli"] && knownTo:
				case !knownTo:
					t.Errorf("%s: %s: that package has no level in house_test.go", f.name, arrow)
				case toLevel > level:
					t.Errorf("%s: %s runs up, from level %d to level %d", f.name, arrow, level, toLevel)
				case toLevel == level && sideways[arrow] == "":
					t.Errorf("%s: %s stays on level %d; what both need belongs below them", f.name, arrow, level)
				}
			}
		}
	}
}

func TestOnlyTheCommandLineTouchesTheProcess(t *testing.T) {
	t.Parallel()
	excused := map[string]bool{}
	for _, p := range readHouse(t) {
		if p.dir == "internal/cli" {
			continue
		}
		for _, use := range p.uses() {
			names, watched := processNames[use.path]
			if !watched || names != nil && !slices.Contains(names, use.name) {
				continue
			}
			short := use.path[strings.LastIndexByte(use.path, '/')+1:]
			if rel, ours := inHouse(use.path); ours {
				short = rel
			}
			what := fmt.Sprintf("%s uses %s.%s", p.dir, short, use.name)
			if processExcuses[what] == "" {
				t.Errorf("%s: %s: let internal/cli do it and pass in what is needed", use.at, what)
			}
			excused[what] = true
		}
		for _, f := range p.files {
			for _, d := range f.syntax.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && !f.test && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: func init runs behind everyone's back: make it a literal or a constructor", p.at(fn))
				}
			}
		}
	}
	for what := range processExcuses {
		if !excused[what] {
			t.Errorf("%q is excused in house_test.go, but nothing does it: take it out", what)
		}
	}
}

func TestNothingChangesAPackageVariable(t *testing.T) {
	t.Parallel()
	for _, p := range readHouse(t) {
		for _, problem := range p.mutableVariables() {
			t.Error(problem)
		}
	}
}

func TestPurePackagesReachForNothing(t *testing.T) {
	t.Parallel()
	for _, p := range readHouse(t) {
		if !slices.Contains(pure, p.dir) {
			continue
		}
		for _, f := range p.files {
			for _, imported := range f.imports(t) {
				if !f.test && slices.Contains(worldly, imported) {
					t.Errorf("%s imports %s, but package %s takes values and returns values", f.name, imported, p.dir)
				}
			}
		}
	}
}

func TestEveryDependencyHasItsDoor(t *testing.T) {
	t.Parallel()
	for _, dependency := range directDependencies(t) {
		if door(dependency) == "" && !slices.ContainsFunc(slices.Sorted(maps.Keys(doors)), func(d string) bool { return strings.HasPrefix(dependency, d) }) {
			t.Errorf("go.mod requires %s: say in house_test.go which package imports it", dependency)
		}
	}
	used := map[string]bool{}
	for _, p := range readHouse(t) {
		for _, f := range p.files {
			for _, imported := range f.imports(t) {
				if _, ours := inHouse(imported); ours || f.test || testHelpers[p.dir] || !strings.Contains(strings.Split(imported, "/")[0], ".") {
					continue
				}
				d := door(imported)
				if d == "" {
					t.Errorf("%s imports %s: say in house_test.go which packages may", f.name, imported)
				} else if !slices.Contains(doors[d], p.dir) {
					t.Errorf("%s imports %s: its door is %s", f.name, imported, cmp.Or(strings.Join(doors[d], " and "), "in tests only"))
				}
				used[d+" "+p.dir] = true
			}
		}
	}
	for _, d := range slices.Sorted(maps.Keys(doors)) {
		for _, dir := range doors[d] {
			if !used[d+" "+dir] {
				t.Errorf("%s is named as a door for %s in house_test.go, but does not import it: take it out", dir, d)
			}
		}
	}
}

func TestEveryPackageSaysItsJob(t *testing.T) {
	t.Parallel()
	for _, p := range readHouse(t) {
		var docs []string
		for _, f := range p.files {
			if !f.test && f.syntax.Doc != nil {
				docs = append(docs, f.syntax.Doc.Text())
			}
		}
		if len(docs) != 1 {
			t.Errorf("package %s has %d package comments, want one", p.dir, len(docs))
			continue
		}
		want := "Package " + p.name + " "
		if p.name == "main" {
			want = "Image-budget "
		}
		if !strings.HasPrefix(docs[0], want) {
			t.Errorf("the comment of package %s must begin with %q", p.dir, want)
		}
		// A sentence says what; a paragraph also says what not, and what always holds.
		if p.name != "main" && len(strings.Fields(docs[0])) < 25 {
			t.Errorf("the comment of package %s has %d words: say its job, what it leaves to others, and what always holds", p.dir, len(strings.Fields(docs[0])))
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range readHouse(t) {
		for _, f := range p.files {
			if f.test {
				continue
			}
			for _, d := range f.syntax.Decls {
				for _, problem := range undocumented(d) {
					t.Errorf("%s: %s", p.at(problem.node), problem.text)
				}
			}
		}
	}
}

// housePackage is one directory of sources.
type housePackage struct {
	dir   string // slash-separated, "." for the root
	name  string
	fset  *token.FileSet
	files []houseFile
}

type houseFile struct {
	name   string
	test   bool
	syntax *ast.File
}

// readHouse parses every package of the module. Folders called testdata, and
// those that begin with a dot or an underscore, are not part of it.
func readHouse(t *testing.T) []*housePackage {
	t.Helper()
	byDir := map[string]*housePackage{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != "." && (name == "testdata" || name == "node_modules" || name[0] == '.' || name[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		p := byDir[dir]
		if p == nil {
			p = &housePackage{dir: dir, fset: token.NewFileSet()}
			byDir[dir] = p
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(p.fset, filepath.ToSlash(path), source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f := houseFile{filepath.ToSlash(path), strings.HasSuffix(name, "_test.go"), syntax}
		if !f.test {
			p.name = syntax.Name.Name
		}
		p.files = append(p.files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(byDir) < 5 {
		t.Fatalf("found %d packages; the test looks in the wrong place", len(byDir))
	}
	var packages []*housePackage
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		packages = append(packages, byDir[dir])
	}
	return packages
}

func (p *housePackage) at(n ast.Node) string { return p.fset.Position(n.Pos()).String() }

func (f houseFile) imports(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, spec := range f.syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// inHouse returns the directory of a package of ours.
func inHouse(path string) (string, bool) {
	if path == modulePath {
		return ".", true
	}
	return strings.CutPrefix(path, modulePath+"/")
}

// door returns the key of doors that decides over an import, "" for none.
func door(path string) string {
	best := ""
	for d := range doors {
		if (path == d || strings.HasPrefix(path, d+"/")) && len(d) > len(best) {
			best = d
		}
	}
	return best
}

func directDependencies(t *testing.T) []string {
	t.Helper()
	f, err := os.Open("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var paths []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		fields := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(fields) == 2 && strings.HasPrefix(fields[1], "v") && !strings.Contains(line, "// indirect") {
			paths = append(paths, fields[0])
		}
	}
	return paths
}

// resolve finds out what the identifiers outside the tests stand for. Imports
// are not followed: that a name belongs to a package is all we ask.
func (p *housePackage) resolve() *types.Info {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	var files []*ast.File
	for _, f := range p.files {
		if !f.test {
			files = append(files, f.syntax)
		}
	}
	config := types.Config{
		Importer: noImports{},
		Error:    func(error) {}, // of imports that were not followed
	}
	_, _ = config.Check(p.dir, p.fset, files, info)
	return info
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not followed") }

// use is a mention of another package's name.
type use struct{ path, name, at string }

func (p *housePackage) uses() []use {
	info := p.resolve()
	var found []use
	for _, f := range p.files {
		if f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok {
				if imported, ok := info.Uses[x].(*types.PkgName); ok {
					found = append(found, use{imported.Imported().Path(), s.Sel.Name, p.at(s)})
				}
			}
			return true
		})
		for _, spec := range f.syntax.Imports {
			// A dot would hide what a name belongs to.
			if spec.Name != nil && spec.Name.Name == "." {
				found = append(found, use{"log", "through a dot import", p.at(spec)})
			}
		}
	}
	return found
}

// constructors make values that nobody can change.
var constructors = []string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.Join", "strings.NewReplacer", "time.Date"}

// mutableVariables reports variables of the package that something changes, or
// that are made to be changed. A literal that is only read is as good as a
// constant. A variable without a value is the linker's or embed's.
func (p *housePackage) mutableVariables() []string {
	info := p.resolve()
	var problems []string
	variables := map[types.Object]bool{}
	for _, f := range p.files {
		if f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for _, name := range spec.Names {
					variables[info.Defs[name]] = name.Name != "_"
				}
				for _, value := range append([]ast.Expr{spec.Type}, spec.Values...) {
					if why := changeable(value); why != "" && spec.Names[0].Name != "_" {
						problems = append(problems, fmt.Sprintf("%s: the package variable %s %s", p.at(spec), spec.Names[0].Name, why))
					}
				}
			}
		}
	}
	touched := func(e ast.Expr) (string, bool) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			case *ast.Ident:
				return x.Name, variables[info.Uses[x]]
			default:
				return "", false
			}
		}
	}
	report := func(n ast.Node, e ast.Expr, does string) {
		if name, ours := touched(e); ours {
			problems = append(problems, fmt.Sprintf("%s: %s the package variable %s", p.at(n), does, name))
		}
	}
	for _, f := range p.files {
		if f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					report(n, left, "this sets")
				}
			case *ast.IncDecStmt:
				report(n, n.X, "this changes")
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					report(n, n.X, "this takes the address of")
				}
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"delete", "clear", "copy"}, fn.Name) && len(n.Args) > 0 {
					report(n, n.Args[0], "this changes")
				}
			}
			return true
		})
	}
	return problems
}

// changeable says why the type or value of a package variable is made to be
// changed, "" if it is not.
func changeable(e ast.Expr) string {
	why := ""
	if e == nil {
		return why
	}
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.ArrayType, *ast.FuncType:
			return false
		case *ast.ChanType:
			why = "is a channel"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				why = "is of package " + x.Name + ", so it is there to be changed"
			}
		case *ast.CallExpr:
			name := types.ExprString(n.Fun)
			_, conversion := n.Fun.(*ast.ArrayType)
			if basic, ok := types.Universe.Lookup(name).(*types.TypeName); ok && basic != nil {
				conversion = true
			}
			if !conversion && !slices.Contains(constructors, name) {
				why = "is made by " + name + "; write a literal, or make it where it is used"
			}
		}
		return why == ""
	})
	return why
}

type undocumentedName struct {
	node ast.Node
	text string
}

// undocumented checks one declaration. The comment of a group of constants or
// variables documents those in it that need no more.
func undocumented(d ast.Decl) []undocumentedName {
	var problems []undocumentedName
	check := func(n ast.Node, name string, doc *ast.CommentGroup) {
		words := strings.Fields(doc.Text())
		for len(words) > 0 && slices.Contains([]string{"A", "An", "The"}, words[0]) {
			words = words[1:]
		}
		if len(words) < 3 || strings.TrimRight(words[0], ",:;") != name {
			problems = append(problems, undocumentedName{n, fmt.Sprintf("the comment of %s must be a sentence that begins with %s", name, name)})
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || !receiverIsExported(d) {
			break
		}
		check(d, d.Name.Name, d.Doc)
		if returnsError(d) && !saysWhenItFails.MatchString(d.Doc.Text()) && !wellKnown[d.Name.Name] {
			problems = append(problems, undocumentedName{d, fmt.Sprintf("the comment of %s must say when it returns an error", d.Name.Name)})
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					check(s, s.Name.Name, cmp.Or(s.Doc, d.Doc))
				}
			case *ast.ValueSpec:
				name := s.Names[0]
				grouped := d.Lparen.IsValid() && (d.Doc != nil || s.Doc != nil || s.Comment != nil)
				if name.IsExported() && !grouped {
					check(s, name.Name, cmp.Or(s.Doc, d.Doc))
				}
			}
		}
	}
	return problems
}

// saysWhenItFails is loose: whether a sentence is a good one, people judge.
var saysWhenItFails = regexp.MustCompile(`(?i)\berrors?\b|\bErr[A-Z]|refuse|fails?\b|must\b|strict`)

// wellKnown are methods whose errors the interface they implement explains.
var wellKnown = map[string]bool{
	"Read": true, "Write": true, "MarshalJSON": true, "UnmarshalText": true, "RoundTrip": true, "Set": true,
}

func returnsError(fn *ast.FuncDecl) bool {
	if fn.Type.Results == nil {
		return false
	}
	for _, r := range fn.Type.Results.List {
		if name, ok := r.Type.(*ast.Ident); ok && name.Name == "error" {
			return true
		}
	}
	return false
}

func receiverIsExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	receiver := fn.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && name.IsExported()
}
