package advice

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// Rewrite is a Dockerfile that was turned into one of several stages.
type Rewrite struct {
	// Stack names what was recognised: "node", "go", "python", …; "" if nothing.
	Stack string
	// Candidates are the ways to do it, the one expected to be smallest first.
	// The last is the most careful. There is none where it is not sure.
	Candidates []Candidate
	// Unknown is what would have to be known to propose one, in sentences; it
	// is empty where nothing is to be gained.
	Unknown []string
}

// Candidate is one way to write a Dockerfile in several stages.
type Candidate struct {
	// Name says in a few words what sets it apart: "on scratch", "on the same base".
	Name string
	// Dockerfile is its whole text.
	Dockerfile []byte
	// Leaves are the heaviest of what it does not ship, and Bytes their unpacked
	// size in the image that was measured: at most what it saves.
	Leaves []footprint.WeighedPath
	Bytes  footprint.Bytes
	// Notes are what a maintainer should know of it, in sentences.
	Notes []string

	// edits turn the author's file into it.
	edits []footprint.Edit
	// left is all that it does not ship.
	left *leftOut
}

// stack recognises what an image runs and plans its runtime stage.
type stack struct {
	name string
	// plan returns nil for an image of another stack. Its plans come smallest
	// first, the most careful one last.
	plan func(ctx context.Context, p *project) (*proposal, error)
}

// stacks are asked in this order; the first that answers has it.
func stacks() []stack {
	return []stack{
		{"go", planGo},
		{"rust", planRust},
		{"java", planJava},
		{"dotnet", planDotnet},
		{"node", planNode},
		{"python", planPython},
		{"php", planPHP},
		{"ruby", planRuby},
		{"native", planNative},
	}
}

// proposal is the answer of a stack: plans, or what it would have to know.
type proposal struct {
	plans   []plan
	unknown []string
}

// unsure is a proposal of nothing.
func unsure(sentences ...string) *proposal { return &proposal{unknown: sentences} }

// plan is a runtime stage before it is written out.
type plan struct {
	// name sets the candidate apart: "on scratch"; base is what FROM says.
	name, base string
	// inherits tells that base brings the environment, user and command that the
	// author's base brings: it is the same image, or a sibling by the same
	// maker. Where it is false, they are written out from the image's config.
	inherits bool
	// rebased tells that base is another image all the same, so that what the
	// author's base brings counts as left, but for what brought tells.
	rebased bool
	// why is the comment above FROM, a sentence or two.
	why string
	// prepare are lines that the build stage ends in, comments included:
	// "RUN npm prune --omit=dev".
	prepare []string
	// packages are those of the distribution to install in the runtime stage,
	// with the manager that the author's lines use.
	packages []string
	// repeat are lines of the author's to run in the runtime stage as well, such
	// as those that make users.
	repeat []dockerfile.Step
	// run are more RUN lines of the runtime stage, after its WORKDIR and before
	// the copies.
	run []string
	// copies come in this order.
	copies []copied
	// after are RUN lines that come after the copies.
	after []string
	// entrypoint and cmd, where not nil, stand in for the author's, in the exec
	// form; an empty one leaves it out. user does for USER, where it is not "".
	entrypoint, cmd []string
	user            string
	// notes are what a maintainer should know, in sentences.
	notes []string

	// pruned tells of a file below a copied path that prepare removes, and
	// brought of one that packages bring to the runtime stage. Both may be nil.
	pruned, brought func(f footprint.File) bool
}

// copied is a COPY --from of the build stage.
type copied struct {
	// from are absolute paths of the image. A directory comes alone, and its
	// contents go to the directory to; several files go into to, which then
	// ends in a slash.
	from []string
	to   string
	// chown is USER:GROUP, in numbers as a rule, "" to keep the owners.
	chown string
	// why is a comment above the line, "" for none.
	why string
}

// project is a subject with what all stacks ask of it.
type project struct {
	*subject
	// tree is the final filesystem, program what the image runs.
	tree    *tree
	program *program
	// dir is the directory that the program is started in, "/" if nothing says.
	dir string
	// build is how copies name the build stage, and runtime the name that the
	// runtime stage has to have, "" for none.
	build, runtime string
	// recommends tells that what packages recommend is installed with them.
	recommends bool
}

// tree is a filesystem in memory.
type tree struct {
	files []footprint.File
	at    map[string]int32
}

func newTree(img *footprint.Image) *tree {
	t := &tree{at: map[string]int32{}}
	for f := range img.Files {
		t.at[f.Path] = int32(len(t.files))
		t.files = append(t.files, f)
	}
	return t
}

// get is the file of that very name; it follows no link.
func (t *tree) get(name string) (footprint.File, bool) {
	if name == "/" {
		return footprint.File{Path: "/", Kind: footprint.Directory, Mode: 0o755}, true
	}
	i, ok := t.at[name]
	if !ok {
		return footprint.File{}, false
	}
	return t.files[i], true
}

// maxLinks bounds a chain of symbolic links, as kernels do.
const maxLinks = 40

// follow is the file that a path leads to through symbolic links, those in its
// directories included, and the links that were followed, in order.
func (t *tree) follow(name string) (f footprint.File, links []footprint.File, ok bool) {
	rest := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	at := "/"
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		f, ok := t.get(next)
		if !ok {
			return footprint.File{}, links, false
		}
		if f.Kind != footprint.Symlink {
			at = next
			continue
		}
		links = append(links, f)
		if len(links) > maxLinks || len(f.Link) > 4096 {
			return footprint.File{}, links, false
		}
		to := f.Link
		if !strings.HasPrefix(to, "/") {
			to = at + "/" + to
		}
		to = path.Clean(to)
		rest = append(strings.FieldsFunc(to, func(c rune) bool { return c == '/' }), rest...)
		at = "/"
	}
	f, ok = t.get(at)
	return f, links, ok
}

// below are all files under a directory, without itself, in path order.
func (t *tree) below(dir string) []footprint.File {
	if dir == "/" {
		return t.files
	}
	i, ok := t.at[dir]
	if !ok {
		return nil
	}
	first := int(i) + 1
	n := sort.Search(len(t.files)-first, func(k int) bool { return !under(t.files[first+k].Path, dir) })
	return t.files[first : first+n]
}

// children are the entries of a directory, in path order.
func (t *tree) children(dir string) []footprint.File {
	var out []footprint.File
	for _, f := range t.below(dir) {
		if path.Dir(f.Path) == dir {
			out = append(out, f)
		}
	}
	return out
}

// under tells whether a path is below a directory.
func under(name, dir string) bool {
	return dir == "/" && name != "/" || len(name) > len(dir) && name[len(dir)] == '/' && name[:len(dir)] == dir
}

// within tells whether a path is a directory or below it.
func within(name, dir string) bool { return name == dir || under(name, dir) }

// Stages turns the Dockerfile into one that ships another stage than it builds
// in, from what the image shows. An error is one of Read.
func Stages(ctx context.Context, from *Subject) (*Rewrite, error) {
	return newSubject(from).rewrite(ctx)
}

// smallPart is the share of what the own layers hold that a rewrite saves at
// least.
const smallPart = 20

// rewrite is planned once for a Subject: the rule asks for it, and whoever proves
// the candidates.
func (s *subject) rewrite(ctx context.Context) (*Rewrite, error) {
	if s.planned == nil {
		out, err := s.plan(ctx)
		if err != nil {
			return nil, err
		}
		s.planned = out
	}
	return s.planned, nil
}

func (s *subject) plan(ctx context.Context) (*Rewrite, error) {
	if s.file == nil || len(s.steps) == 0 || s.Config == nil || !s.walked() {
		return &Rewrite{Unknown: []string{"A rewrite needs both the Dockerfile and the image that was built from it."}}, nil
	}
	p := &project{subject: s, tree: newTree(s.Image), dir: path.Clean("/" + s.Config.WorkingDir)}
	if why := p.unfit(); why != "" {
		return &Rewrite{Unknown: []string{why}}, nil
	}
	var err error
	if p.program, err = p.resolve(ctx); err != nil {
		return nil, err
	}
	for _, k := range stacks() {
		proposal, err := k.plan(ctx, p)
		if err != nil {
			return nil, err
		}
		if proposal != nil {
			return p.answer(k.name, proposal), nil
		}
	}
	if len(p.program.unknown) == 0 {
		return &Rewrite{Unknown: []string{fmt.Sprintf("What the container runs, %s, is of no kind that can be taken apart.", p.program.argv[0])}}, nil
	}
	return &Rewrite{Unknown: slices.Clone(p.program.unknown)}, nil
}

// unfit says why a file is not rewritten at all, "" if it can be.
func (p *project) unfit() string {
	if p.Image.Base == nil {
		return "It is not known which layers the base image brought. Name it with --base."
	}
	if os, _, _ := strings.Cut(p.Image.Platform, "/"); os != "" && os != "linux" {
		return "Images of " + os + " are not taken apart."
	}
	for _, step := range p.steps {
		switch step.Keyword {
		case "SHELL":
			if len(step.Shell) > 0 && strings.Contains(strings.ToLower(step.Text), "powershell") {
				return "The lines run in PowerShell, which is not read."
			}
		case "ONBUILD":
			return "The image has ONBUILD triggers, which the images that are built on it need."
		}
	}
	// Triggers of the base make layers that have the line of FROM as their origin.
	root := p.file.Root(p.stage)
	for i, l := range p.Image.Layers {
		if i >= p.base && l.Origin != nil && l.Origin.Start == root.Start {
			return "The base image runs lines of its own in every build on it (ONBUILD), and would run them in the runtime stage too."
		}
	}
	if len(p.Config.OnBuild) > 0 {
		return "The image has ONBUILD triggers, which the images that are built on it need."
	}
	return p.stageNames()
}

// answer renders the plans that are worth it.
func (p *project) answer(stack string, from *proposal) *Rewrite {
	out := &Rewrite{Stack: stack, Unknown: from.unknown}
	own := p.Image.Metrics.Unpacked
	if p.Image.Own != nil {
		own = p.Image.Own.Unpacked
	}
	for _, plan := range from.plans {
		c, ok := p.render(plan)
		switch {
		case !ok:
			out.Unknown = []string{"The lines of this Dockerfile cannot be carried over to another stage."}
		case c.Bytes >= Floor && c.Bytes >= own/smallPart:
			out.Candidates = append(out.Candidates, c)
		}
	}
	if len(out.Candidates) > 0 {
		out.Unknown = nil
	}
	return out
}
