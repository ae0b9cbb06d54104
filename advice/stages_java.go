package advice

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// planJava plans the runtime of a jar, a war or classes.
func planJava(ctx context.Context, p *project) (*proposal, error) {
	if path.Base(p.program.exec.Path) != "java" {
		return nil, nil
	}
	jar, ok := jarOf(p.program.argv)
	if !ok {
		return unsure("Only java -jar is followed: the class path of another command may be anywhere."), nil
	}
	c, refusal, err := p.interpreted(ctx)
	if c == nil {
		return refusal, err
	}
	f, links, ok := p.tree.follow(absolute(p.dir, jar))
	switch {
	case !ok || f.Kind != footprint.Regular:
		return unsure(fmt.Sprintf("%s, which java is to run, is not in the image.", absolute(p.dir, jar))), nil
	case !p.isOwn(f):
		return unsure(fmt.Sprintf("%s comes with the base image.", f.Path)), nil
	case len(links) > 0 && slices.ContainsFunc(links, p.isOwn):
		return unsure(fmt.Sprintf("%s is reached through a symbolic link, and java looks for the libraries beside it there.", jar)), nil
	}
	c.programs = append(c.programs, f)
	// A jar may name others, with paths from its own directory: Maven puts them
	// into a directory below, Quarkus into several.
	dir := path.Dir(f.Path)
	var beside []copied
	if !shared(dir) {
		for _, d := range p.tree.children(dir) {
			if d.Kind == footprint.Directory && !slices.Contains([]string{"classes", "test-classes", "tmp", "reports", "test-results", "surefire-reports"}, path.Base(d.Path)) &&
				slices.ContainsFunc(p.tree.below(d.Path), func(b footprint.File) bool { return strings.HasSuffix(b.Path, ".jar") }) {
				why := ""
				if beside == nil {
					why = "Libraries beside the jar."
				}
				beside = append(beside, copied{from: []string{d.Path}, to: d.Path, why: why})
			}
		}
	}
	c.drop = func(name string) bool {
		return javaLeftover(name, dir) || slices.ContainsFunc(beside, func(b copied) bool { return within(name, b.from[0]) })
	}
	c.collect()
	c.assets = append(c.assets, beside...)
	c.tools = slices.DeleteFunc(c.tools, func(t footprint.File) bool { return !p.isOwn(t) })

	out := &proposal{}
	if p.isOwn(p.program.exec) {
		// A package of the distribution brought it.
		name := p.packageOf(p.program.exec.Owner)
		if name == "" {
			return unsure(fmt.Sprintf("%s is of no package, so it is not known what it needs.", p.program.exec.Path)), nil
		}
		if on := c.onRuntime(c.runtimeBase(), false, nil); on != nil {
			on.packages = sortedUnique(append(on.packages, name))
			if on.name == "on the same base" {
				on.name = "on the same base with " + name
			}
			out.plans = append(out.plans, *on)
		}
	} else {
		if ref := jreOf(p.baseName()); ref != "" && !path.IsAbs(p.program.argv[0]) && p.exists(ctx, ref) {
			if on := c.onRuntime(runtimeBase{ref: ref, same: true}, false, nil); on != nil {
				c.rebase(on, func(f footprint.File) bool {
					return strings.Contains(f.Path, "/lib/") && strings.HasSuffix(f.Path, ".so")
				})
				on.name, on.why = "on a Java runtime", "The jar is built above. To run, it needs Java without the compiler."
				out.plans = append(out.plans, *on)
			}
		}
		if on := c.onRuntime(p.sameBase(), false, nil); on != nil {
			out.plans = append(out.plans, *on)
		}
	}
	if len(out.plans) == 0 {
		return unsure("No image is known that has what the jar needs to run: " + c.needs() + "."), nil
	}
	for i := range out.plans {
		out.plans[i].notes = append(out.plans[i].notes, c.notes...)
	}
	return out, nil
}

// jarOf is the jar that a command of java runs.
func jarOf(argv []string) (string, bool) {
	for i := 1; i+1 < len(argv); i++ {
		switch a := argv[i]; {
		case a == "-jar":
			return argv[i+1], true
		case a == "-cp" || a == "-classpath" || a == "--class-path" || a == "-p" || a == "--module-path" || a == "-m" || a == "--module":
			return "", false
		case !strings.HasPrefix(a, "-"):
			return "", false
		}
	}
	return "", false
}

// javaLeftover tells what Maven and Gradle leave beside a jar, and the sources
// that are in it.
func javaLeftover(name, jars string) bool {
	if strings.HasSuffix(name, ".class") || strings.HasSuffix(name, ".jar.original") || slices.Contains([]string{"manifest.txt", "manifest.mf"}, strings.ToLower(path.Base(name))) {
		return true
	}
	base := path.Base(jars)
	if base == "target" && under(name, jars) || base == "libs" && path.Base(path.Dir(jars)) == "build" && under(name, path.Dir(jars)) {
		return true
	}
	return strings.Contains(name, "/src/main/") || strings.Contains(name, "/src/test/") || strings.Contains(name, "/.mvn/") || strings.Contains(name, "/gradle/wrapper/")
}

// jreOf is the image with the runtime of the Java that an image builds with, ""
// if there is none.
func jreOf(ref string) string {
	ref = strings.TrimPrefix(ref, "docker.io/")
	ref = strings.TrimPrefix(ref, "library/")
	ref, _, _ = strings.Cut(ref, "@")
	repo, tag, _ := strings.Cut(ref, ":")
	number := regexp.MustCompile(`^[0-9]{1,2}`)
	system := func(tag string) string {
		for _, s := range []string{"alpine", "jammy", "noble", "focal"} {
			if strings.Contains(tag, s) {
				return "-" + s
			}
		}
		return ""
	}
	switch repo {
	case "eclipse-temurin":
		switch {
		case strings.Contains(tag, "-jre"):
			return ""
		case strings.Contains(tag, "-jdk"):
			return repo + ":" + strings.Replace(tag, "-jdk", "-jre", 1)
		case number.FindString(tag) == tag && tag != "":
			return repo + ":" + tag + "-jre"
		}
	case "maven", "gradle":
		mark := "-temurin-"
		if repo == "gradle" {
			mark = "-jdk"
		}
		if repo == "gradle" && strings.HasPrefix(tag, "jdk") {
			tag = "-" + tag
		}
		_, after, ok := strings.Cut(tag, mark)
		if n := number.FindString(after); ok && n != "" {
			return "eclipse-temurin:" + n + "-jre" + system(after)
		}
	case "openjdk":
		if n := number.FindString(tag); n != "" && !strings.Contains(tag, "jre") {
			if strings.Contains(tag, "alpine") {
				return "eclipse-temurin:" + n + "-jre-alpine"
			}
			return "eclipse-temurin:" + n + "-jre"
		}
	}
	return ""
}

func sortedUnique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// absolute is a path as a process in a directory names it.
func absolute(dir, name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}
