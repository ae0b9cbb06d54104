package advice

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

const (
	dpkgStatus = "/var/lib/dpkg/status"
	aptStates  = "/var/lib/apt/extended_states"
	// maxStatus bounds the database of dpkg in bytes, maxStanzas its packages.
	maxStatus  = 64 << 20
	maxStanzas = 100_000
)

func recommendedPackages() Rule {
	return Rule{
		ID: "recommended-packages", Title: "packages are there only because others recommend them", Safety: footprint.AdviceOnly,
		check: func(ctx context.Context, s *subject) ([]footprint.Suggestion, error) {
			if s.Image == nil || s.Read == nil || !slices.ContainsFunc(s.Image.Packages, func(p footprint.Package) bool {
				return p.Ecosystem == footprint.Dpkg && p.Own > 0
			}) {
				return nil, nil
			}
			found, err := s.Read(ctx, dpkgStatus, aptStates)
			if err != nil {
				return nil, fmt.Errorf("reading the packages of the image: %w", err)
			}
			return s.recommended(found[dpkgStatus], found[aptStates]), nil
		},
	}
}

// debPackage is what dpkg writes down of a package.
type debPackage struct {
	name string
	// needs are the alternatives of each thing it depends on, and wants of each
	// that it recommends.
	needs, wants [][]string
	provides     []string
	essential    bool
}

// stanzas reads the fields of a file in the format of Debian's control files. A
// line that continues a field is of no interest here.
func stanzas(text []byte, see func(fields map[string]string)) {
	fields := map[string]string{}
	n := 0
	flush := func() {
		if len(fields) > 0 && n < maxStanzas {
			see(fields)
			n++
		}
		fields = map[string]string{}
	}
	for line := range bytes.Lines(text[:min(len(text), maxStatus)]) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			flush()
			continue
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok && line[0] != ' ' && line[0] != '\t' {
			fields[name] = strings.TrimSpace(value)
		}
	}
	flush()
}

// relations are the alternatives of a list such as "a (>= 1) | b, c:any".
func relations(list string) [][]string {
	var out [][]string
	for one := range strings.SplitSeq(list, ",") {
		var names []string
		for alternative := range strings.SplitSeq(one, "|") {
			name, _, _ := strings.Cut(strings.TrimSpace(alternative), " ")
			name, _, _ = strings.Cut(name, ":")
			name, _, _ = strings.Cut(name, "(")
			if name != "" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			out = append(out, names)
		}
	}
	return out
}

// recommended finds the packages that nobody asked for and nothing depends on
// that is asked for, but that something recommends.
func (s *subject) recommended(status, states []byte) []footprint.Suggestion {
	if len(status) == 0 || len(states) == 0 {
		return nil // nobody knows what was asked for
	}
	auto := map[string]bool{}
	stanzas(states, func(f map[string]string) {
		if f["Auto-Installed"] == "1" {
			auto[f["Package"]] = true
		}
	})
	packages := map[string]*debPackage{}
	providers := map[string][]string{}
	var order []string
	stanzas(status, func(f map[string]string) {
		if !strings.HasSuffix(f["Status"], " installed") || f["Package"] == "" {
			return
		}
		p := &debPackage{
			name: f["Package"], needs: append(relations(f["Depends"]), relations(f["Pre-Depends"])...), wants: relations(f["Recommends"]),
			essential: f["Essential"] == "yes",
		}
		packages[p.name] = p
		order = append(order, p.name)
		for _, names := range relations(f["Provides"]) {
			providers[names[0]] = append(providers[names[0]], p.name)
		}
	})
	needed, _ := reach(packages, providers, order, func(p *debPackage) bool { return p.essential || !auto[p.name] }, false)
	all, why := reach(packages, providers, order, func(p *debPackage) bool { return needed[p.name] }, true)

	type group struct {
		p     pile
		names []string
		by    []string
	}
	groups := map[int]*group{}
	for _, p := range s.Image.Packages {
		name, _, _ := strings.Cut(p.Name, ":")
		if p.Ecosystem != footprint.Dpkg || p.Own <= 0 || !s.mine(p.Layer) || needed[name] || !all[name] {
			continue
		}
		g := groups[p.Layer]
		if g == nil {
			g = &group{}
			groups[p.Layer] = g
		}
		g.p.add(name, p.Own, p.Layer)
		g.names = append(g.names, name)
		if by := why[name]; !slices.Contains(g.by, by) && needed[by] {
			g.by = append(g.by, by)
		}
	}
	var out []footprint.Suggestion
	for layer := range s.Image.Layers {
		g := groups[layer]
		step := s.stepOf(layer)
		if g == nil || g.p.bytes < Floor || step != nil && !s.recommends(step) {
			continue
		}
		one := s.suggest(step, g.p)
		one.Message = fmt.Sprintf("%s in %s are there only because %s.", g.p.bytes, count(len(g.names), "package"), because(g.by))
		one.Advice = "Install with --no-install-recommends, and name those of them that the program needs."
		if step == nil {
			one.Advice = fmt.Sprintf("Install with --no-install-recommends in the command that made layer %d, and name those of them that the program needs.", layer)
		}
		out = append(out, one)
	}
	return out
}

func because(by []string) string {
	switch {
	case len(by) == 0:
		return "others recommend them"
	case len(by) == 1:
		return by[0] + " recommends them"
	case len(by) > 3:
		return fmt.Sprintf("%s, %s and %d others recommend them", by[0], by[1], len(by)-2)
	}
	return list(by) + " recommend them"
}

// reach follows what packages depend on from those that are roots, and what they
// recommend if wants is set. why is what first led to each.
func reach(packages map[string]*debPackage, providers map[string][]string, order []string, root func(*debPackage) bool, wants bool) (seen map[string]bool, why map[string]string) {
	seen, why = map[string]bool{}, map[string]string{}
	var todo []string
	for _, name := range order {
		if root(packages[name]) {
			seen[name] = true
			todo = append(todo, name)
		}
	}
	for len(todo) > 0 {
		p := packages[todo[0]]
		todo = todo[1:]
		follow := p.needs
		if wants {
			follow = slices.Concat(p.needs, p.wants)
		}
		for _, alternatives := range follow {
			for _, name := range alternatives {
				// Every alternative that is there may be why another is not.
				for _, real := range append([]string{name}, providers[name]...) {
					if packages[real] != nil && !seen[real] {
						seen[real], why[real] = true, p.name
						todo = append(todo, real)
					}
				}
			}
		}
	}
	return seen, why
}

// recommends tells whether a step as it is written may install what others
// recommend.
func (s *subject) recommends(step *dockerfile.Step) bool {
	text := step.Source()
	if strings.Contains(text, "Install-Recommends") && !strings.Contains(text, "--install-recommends") {
		return false
	}
	sc := s.script(step)
	if sc == nil {
		return !strings.Contains(text, "--no-install-recommends")
	}
	installs, bare := 0, 0
	for _, c := range sc.Calls {
		words := texts(c)
		if len(words) == 0 || !slices.Contains([]string{"apt-get", "apt", "aptitude"}, words[0]) || !slices.Contains(words, "install") && !slices.Contains(words, "build-dep") {
			continue
		}
		installs++
		if !slices.Contains(words, "--no-install-recommends") && !slices.Contains(words, "--without-recommends") {
			bare++
		}
	}
	return installs == 0 || bare > 0
}
