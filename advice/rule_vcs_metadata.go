package advice

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

var vcsMetadata = Rule{
	ID:     "vcs-metadata",
	Title:  "the history of version control is in the image",
	Safety: footprint.SafePatch,
	check:  checkVCSMetadata,
}

// vcsRoot is the part of a path up to and with the folder that holds a history,
// "" if it is in none.
func vcsRoot(p string) string {
	for _, name := range []string{".git", ".hg", ".svn", ".bzr"} {
		if at := strings.Index(p, "/"+name+"/"); at >= 0 {
			return p[:at+1+len(name)]
		}
	}
	return ""
}

// history is one folder with a history, or several that one pattern leaves out.
type history struct {
	pile
	step *dockerfile.Step
	// pattern leaves it out of the build context, "" where it came otherwise; seen
	// are its paths there. by are the steps that might read it.
	pattern string
	seen    []string
	by      []dockerfile.Step
}

func checkVCSMetadata(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
	left := readIgnore(s.Ignore)
	if s.Image == nil {
		return s.historyHint(left), nil
	}
	var all []*history
	s.own(func(f footprint.File) {
		root := vcsRoot(f.Path)
		if root == "" || f.Kind != footprint.Regular || f.Size == 0 {
			return
		}
		step := s.stepOf(f.Made)
		h := &history{step: step}
		if p, by := s.fromWhere(step, f.Path); p != "" {
			if left == nil || left.out(p) {
				return
			}
			h.by, h.seen = by, []string{p}
			h.pattern = vcsRoot("/" + p)[1:]
			if strings.Contains(h.pattern, "/") {
				h.pattern = "**/" + h.pattern[strings.LastIndexByte(h.pattern, '/')+1:]
			}
		} else if s.removed(step, root) {
			return
		}
		n := slices.IndexFunc(all, func(o *history) bool { return o.step == step && o.pattern == h.pattern })
		if n < 0 {
			all = append(all, h)
			n = len(all) - 1
		}
		all[n].add(root, f.Size, f.Layer)
		if n := len(all[n].seen); h.pattern != "" && n < 1000 {
			all[len(all)-1].seen = append(all[len(all)-1].seen, h.seen...)
		}
	})
	var out []footprint.Suggestion
	for _, h := range all {
		if h.bytes < Floor {
			continue
		}
		sg := s.suggest(h.step, h.pile)
		sg.Message = fmt.Sprintf("%s of version control history is in the image.", h.bytes)
		switch {
		case h.pattern != "":
			sg.Advice = "Add " + h.pattern + " to .dockerignore."
			class := footprint.SafePatch
			if why := s.readsHistory(h.by); why != "" {
				class = footprint.NeedsTests
				sg.Advice = "Add " + h.pattern + " to .dockerignore; " + why + " may read the history, so see that it builds the same."
			}
			s.leaveOut(&sg, class, []string{h.pattern}, h.seen, func(p string) bool { return vcsRoot("/"+p) != "" })
		case h.step != nil && h.step.Keyword == "RUN":
			sg.Advice = "Clone with --depth 1, and remove the history in the same RUN."
		case h.step != nil && h.step.From >= 0:
			sg.Advice = "Copy only the folders that run, or remove the history in the stage that it comes from."
		default:
			sg.Advice = "Leave it out with a .dockerignore, or remove it in the RUN that brings it."
		}
		out = append(out, sg)
	}
	return out, nil
}

// historyHint says that COPY would bring the history that is in the context.
func (s *subject) historyHint(left *ignore) []footprint.Suggestion {
	if left == nil || !slices.ContainsFunc(s.Context, func(c ContextFile) bool { return vcsRoot("/"+c.Path) != "" && !left.out(c.Path) }) {
		return nil
	}
	for i := range s.steps {
		if f, ok := fromContext(&s.steps[i]); ok && len(f.Sources) == 1 && clean(f.Sources[0]) == "." && len(f.Exclude) == 0 {
			sg := s.suggest(&s.steps[i], pile{})
			sg.Hint = true
			sg.Message = s.steps[i].Keyword + " brings the history of version control from the build context."
			sg.Advice = "Leave it out in .dockerignore."
			return []footprint.Suggestion{sg}
		}
	}
	return nil
}

// fromWhere follows a file of the image to the build context: through COPY, or
// through one COPY --from and the COPY in that stage. It returns its path there,
// "" if it did not come from it, and the steps that ran where it was.
func (s *subject) fromWhere(step *dockerfile.Step, p string) (string, []dockerfile.Step) {
	if f, ok := fromContext(step); ok {
		return contextPath(f, p), after(s.steps, step)
	}
	if step == nil || step.From < 0 {
		return "", nil
	}
	f, ok := step.Files()
	if !ok {
		return "", nil
	}
	inside := contextPath(f, p)
	if inside == "" {
		return "", nil
	}
	inside = strings.TrimSuffix("/"+inside, "/.")
	steps := s.chainSteps(step.From)
	for i := len(steps) - 1; i >= 0; i-- {
		if f, ok := fromContext(&steps[i]); ok {
			if at := contextPath(f, inside); at != "" {
				return at, append(slices.Clone(steps[i+1:]), after(s.steps, step)...)
			}
		}
	}
	return "", nil
}

// after are the steps that follow one.
func after(steps []dockerfile.Step, step *dockerfile.Step) []dockerfile.Step {
	n := slices.IndexFunc(steps, func(o dockerfile.Step) bool { return o.Start == step.Start && o.End == step.End })
	return steps[n+1:]
}

// readsHistory names a command that might read a history of version control
// beside the sources, "" if none does.
func (s *subject) readsHistory(steps []dockerfile.Step) string {
	for i := range steps {
		switch steps[i].Keyword {
		case "RUN":
			calls, ok := s.calls(&steps[i])
			if !ok {
				return fmt.Sprintf("line %d", steps[i].Start)
			}
			for _, c := range calls {
				if !harmless(c) {
					return strings.TrimSpace(quoted(cmp.Or(c.Name(), "a command")) + fmt.Sprintf(" in line %d", steps[i].Start))
				}
			}
		case "CMD", "ENTRYPOINT", "HEALTHCHECK":
			if names(steps[i].Text, "git") || names(steps[i].Text, "hg") || names(steps[i].Text, "svn") {
				return fmt.Sprintf("line %d", steps[i].Start)
			}
		}
	}
	// Who installs git may have a program that calls it.
	for i := range s.steps {
		calls, _ := s.calls(&s.steps[i])
		for _, c := range calls {
			if slices.Contains(packageManagers, c.Name()) && c.Has("git", "mercurial", "subversion") {
				return fmt.Sprintf("git of line %d", s.steps[i].Start)
			}
		}
	}
	return ""
}

// packageManagers are those of systems.
var packageManagers = []string{"apt-get", "apt", "apk", "yum", "dnf", "microdnf", "zypper"}

// removed tells whether the RUN that brought a folder removes it again, so that
// an image of this Dockerfile cannot have it.
func (s *subject) removed(step *dockerfile.Step, folder string) bool {
	if step == nil || step.Keyword != "RUN" {
		return false
	}
	calls, _ := s.calls(step)
	return slices.ContainsFunc(calls, func(c dockerfile.Call) bool {
		if c.Name() != "rm" || !c.Certain {
			return false
		}
		return slices.ContainsFunc(c.Args(), func(a string) bool {
			if !strings.HasPrefix(a, "/") {
				a = c.Dir + "/" + a
			}
			a = "/" + clean(a)
			return a == folder || strings.HasPrefix(folder, a+"/")
		})
	})
}

// maxQuoted bounds a foreign name in a sentence.
const maxQuoted = 200

// quoted is a foreign name in a sentence.
func quoted(name string) string {
	if len(name) > maxQuoted {
		name = name[:maxQuoted] + "…"
	}
	return fmt.Sprintf("%q", name)
}
