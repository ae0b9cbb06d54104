package advice

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

var fatBaseImage = Rule{
	ID:     "fat-base-image",
	Title:  "a smaller variant of the base image exists",
	Safety: footprint.NeedsTests,
	check:  checkFatBaseImage,
}

// maxWeighed bounds what is asked of registries for one image.
const maxWeighed = 4

// variant is a smaller image that may stand in for a base.
type variant struct {
	// ref is its name; without says in words what it has not.
	ref, without string
	// lacks are the commands that the full image has and it has not.
	lacks []string
	// near is set where it has the same system and C library, so that it is worth
	// a try; of others a person has to decide, and why says what differs.
	near bool
	why  string
}

// slimLacks are commands of full images of Debian that slim ones come without.
var slimLacks = []string{"gcc", "g++", "cc", "c++", "make", "git", "hg", "svn", "curl", "wget", "unzip", "patch", "autoconf", "automake", "pkg-config", "file", "ssh", "scp", "convert", "mysql_config", "pg_config", "xz"}

// codenames are those of Debian and Ubuntu as tags have them.
var codenames = []string{"trixie", "bookworm", "bullseye", "buster", "stretch", "jessie", "sid", "noble", "jammy", "focal", "bionic"}

// officialNames are what registries put in front of Docker's official images.
var officialNames = []string{"docker.io/library/", "index.docker.io/library/", "public.ecr.aws/docker/library/", "mirror.gcr.io/library/", "docker.io/", "library/"}

// splitReference is the repository without what leads to Docker's official
// images, what that was, and the tag; pinned tells that a digest follows.
func splitReference(ref string) (lead, name, tag string, pinned bool) {
	ref, _, pinned = strings.Cut(ref, "@")
	for _, l := range officialNames {
		if rest, ok := strings.CutPrefix(ref, l); ok && !strings.Contains(rest, "/") {
			lead, ref = l, rest
			break
		}
	}
	name = ref
	if at := strings.LastIndexByte(ref, ':'); at > strings.LastIndexByte(ref, '/') {
		name, tag = ref[:at], ref[at+1:]
	}
	return lead, name, tag, pinned
}

const (
	muslWhy       = "it has another C library, musl, which native modules and programs have to be built for"
	distrolessWhy = "it has no shell and no package manager"
)

// variants are the smaller images of the families that are known, the nearest
// first.
func variants(ref string) []variant {
	lead, name, tag, _ := splitReference(ref)
	if strings.ContainsAny(ref, "$ ") {
		return nil
	}
	parts := strings.Split(tag, "-")
	small := func(p string) bool {
		return p == "slim" || p == "jre" || p == "headless" || strings.HasPrefix(p, "alpine") || strings.HasPrefix(p, "nanoserver") || strings.HasPrefix(p, "windowsservercore") || strings.HasPrefix(p, "distroless") || strings.HasPrefix(p, "chiseled")
	}
	if slices.ContainsFunc(parts, small) && !(name == "maven" || name == "gradle" || name == "eclipse-temurin" || name == "golang" || strings.HasPrefix(name, "mcr.")) {
		return nil
	}
	version, codename := "", ""
	for _, p := range parts {
		switch {
		case slices.Contains(codenames, p):
			codename = p
		case p != "" && (version == "" || p[0] >= '0' && p[0] <= '9'):
			version = cmp.Or(version, p)
		}
	}
	of := func(repository string, tags ...string) string {
		return lead + repository + ":" + strings.Join(slices.DeleteFunc(tags, func(t string) bool { return t == "" || t == "latest" }), "-")
	}
	slim := variant{without: "compilers and tools", lacks: slimLacks, near: true}
	alpine := variant{ref: of(name, version, "alpine"), why: muslWhy}
	major, _, _ := strings.Cut(version, ".")
	switch name {
	case "node":
		if len(parts) > 2 || codename == "" && len(parts) > 1 {
			return nil
		}
		slim.ref = of(name, tag, "slim")
		out := []variant{slim, alpine}
		if slices.Contains([]string{"18", "20", "22", "24"}, major) {
			out = append(out, variant{ref: "gcr.io/distroless/nodejs" + major + "-debian12", why: distrolessWhy})
		}
		return out
	case "python", "ruby", "rust", "perl", "pypy", "elixir", "erlang":
		if len(parts) > 2 || codename == "" && len(parts) > 1 && name != "python" && name != "rust" || slices.Contains(parts, "windows") {
			return nil
		}
		if codename != "" && version == codename {
			version = ""
		}
		slim.ref = of(name, version, "slim", codename)
		if name == "python" || name == "ruby" {
			return []variant{slim, alpine}
		}
		return []variant{slim}
	case "php":
		if slices.Contains(parts, "apache") || codename != "" {
			return nil
		}
		return []variant{{ref: of(name, tag, "alpine"), why: muslWhy}}
	case "debian":
		if len(parts) > 1 {
			return nil
		}
		slim.ref, slim.without, slim.lacks = of(name, cmp.Or(strings.TrimSuffix(tag, "latest"), "stable"), "slim"), "documents and translations", nil
		return []variant{slim}
	case "golang":
		if slices.ContainsFunc(parts, func(p string) bool {
			return strings.HasPrefix(p, "nanoserver") || strings.HasPrefix(p, "windowsservercore")
		}) {
			return nil
		}
		why := "it has no Go, which a program that is built does not need"
		if slices.ContainsFunc(parts, small) {
			return nil // small beside its Go, which a stage of its own leaves behind
		}
		return []variant{{ref: of("debian", cmp.Or(codename, "stable"), "slim"), why: why, lacks: []string{"go"}}, {ref: "gcr.io/distroless/base-debian12", why: why + ", and no shell", lacks: []string{"go"}}}
	case "eclipse-temurin":
		if slices.ContainsFunc(parts, func(p string) bool {
			return p == "jre" || strings.HasPrefix(p, "nanoserver") || strings.HasPrefix(p, "windows")
		}) || major == "" {
			return nil
		}
		return []variant{{ref: of(name, jreTag(parts)), without: "the compiler and the tools of the JDK", near: true, lacks: jdkTools}}
	case "openjdk", "amazoncorretto", "ibm-semeru-runtimes", "sapmachine":
		if digits(major) == "" {
			return nil
		}
		return []variant{{ref: of("eclipse-temurin", digits(major), "jre"), why: "it comes from another vendor, on another system, and without the JDK", lacks: jdkTools}}
	case "maven", "gradle":
		jdk := ""
		for i, p := range parts {
			switch {
			case i > 0 && strings.HasPrefix(p, "jdk"):
				jdk = digits(p[3:])
			case i > 0 && digits(p) == p && p != "":
				jdk = p
			}
		}
		if jdk == "" {
			return nil
		}
		last := ""
		if slices.Contains(parts, "alpine") {
			last = "alpine"
		}
		return []variant{{ref: of("eclipse-temurin", jdk, "jre", last), why: "it has neither " + name + " nor a compiler, so build in a stage of its own", lacks: append([]string{"mvn", "gradle"}, jdkTools...)}}
	case "mcr.microsoft.com/dotnet/sdk":
		return []variant{
			{ref: "mcr.microsoft.com/dotnet/aspnet:" + cmp.Or(tag, "latest"), without: "the SDK", near: true, lacks: []string{"dotnet build", "dotnet publish", "dotnet restore", "dotnet run", "dotnet test", "dotnet tool", "dotnet pack", "dotnet watch", "dotnet ef"}},
			{ref: "mcr.microsoft.com/dotnet/runtime:" + cmp.Or(tag, "latest"), why: "it runs programs that do not use ASP.NET"},
		}
	case "nvidia/cuda", "docker.io/nvidia/cuda":
		if at := slices.Index(parts, "devel"); at >= 0 {
			runtime := slices.Clone(parts)
			runtime[at] = "runtime"
			return []variant{{ref: name + ":" + strings.Join(runtime, "-"), without: "the compiler and headers of CUDA", near: true, lacks: []string{"nvcc", "gcc", "g++", "make", "cmake"}}}
		}
	}
	return nil
}

var jdkTools = []string{"javac", "jar", "jlink", "jdeps", "jmap", "jstack", "jcmd", "mvn", "mvnw", "gradle", "gradlew", "ant", "sbt"}

// jreTag is the tag of the JRE beside that of a JDK.
func jreTag(parts []string) string {
	out := slices.Clone(parts)
	if at := slices.Index(out, "jdk"); at >= 0 {
		out[at] = "jre"
		return strings.Join(out, "-")
	}
	return strings.Join(slices.Insert(out, 1, "jre"), "-")
}

// digits are those that a text begins with.
func digits(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}

func checkFatBaseImage(ctx context.Context, s *subject) ([]footprint.Suggestion, error) {
	root, ref := -1, ""
	switch {
	case s.file != nil && len(s.file.Stages) > 0:
		stage := s.file.Root(s.stage)
		root, ref = stage.Index, stage.Base
	case s.Image != nil && s.Image.Base != nil:
		ref = s.Image.Base.Reference
	}
	options := variants(ref)
	named, _, pinned := strings.Cut(ref, "@")
	if len(options) == 0 {
		return nil, nil
	}
	var sg footprint.Suggestion
	sg.Metric, sg.Safety, sg.Paths = footprint.Compressed, footprint.AdviceOnly, []footprint.WeighedPath{}
	if root >= 0 {
		if from := s.file.FromOrigin(s.Target); from != nil {
			sg.File, sg.Stage, sg.Start, sg.End = from.File, from.Stage, from.Start, from.End
		}
	}
	hint := func() []footprint.Suggestion {
		sg.Hint = true
		sg.Message = fmt.Sprintf("The base image %s may have a smaller variant, %s.", shown(named), shown(options[0].ref))
		sg.Advice = "See what it weighs, and whether the program runs on it."
		if s.Image != nil && len(sg.Unknown) == 0 {
			sg.Unknown = append(sg.Unknown, fmt.Sprintf("%s was not weighed: the registry did not say how large it is.", shown(named)))
		}
		return []footprint.Suggestion{sg}
	}
	if s.Image == nil {
		return hint(), nil
	}
	asked := 0
	weigh := func(ref string) (footprint.Bytes, bool) {
		if s.Weigh == nil {
			if asked++; asked == 1 {
				sg.Unknown = append(sg.Unknown, fmt.Sprintf("%s was not weighed: no registry is asked here.", shown(ref)))
			}
			return 0, false
		}
		if asked == maxWeighed {
			return 0, false
		}
		asked++
		bytes, err := s.Weigh(ctx, ref)
		if err != nil {
			reason, _, _ := strings.Cut(strings.TrimSuffix(err.Error(), "."), "\n")
			sg.Unknown = append(sg.Unknown, fmt.Sprintf("%s was not weighed: %s.", shown(ref), reason[:min(len(reason), 200)]))
		}
		return bytes, err == nil && bytes > 0
	}
	now, known := footprint.Bytes(0), false
	if b := s.Image.Base; b != nil && b.Metrics.Has&footprint.HasCompressed != 0 && !b.Metrics.CompressedEstimated && b.Metrics.Compressed > 0 {
		now, known = b.Metrics.Compressed, true
	} else {
		now, known = weigh(named)
	}
	type weighed struct {
		variant
		bytes footprint.Bytes
	}
	var found []weighed
	if known {
		for _, v := range options {
			if bytes, ok := weigh(v.ref); ok {
				found = append(found, weighed{v, bytes})
			}
		}
	}
	if len(found) == 0 {
		return hint(), nil
	}
	best := found[0]
	if now-best.bytes < Floor {
		return nil, nil
	}
	sg.Bytes, sg.Estimated = now-best.bytes, true
	sg.Message = fmt.Sprintf("The base image %s weighs %s compressed, and %s weighs %s.", shown(named), now, shown(best.ref), best.bytes)
	missed := s.missed(root, best.lacks)
	switch {
	case missed != "":
		sg.Advice = fmt.Sprintf("%s, which %s does not have: do that in a stage of its own, or install it there.", missed, shown(best.ref))
	case best.near:
		sg.Advice = fmt.Sprintf("Use %s, which is the same without %s.", shown(best.ref), best.without)
		if pinned {
			sg.Advice = strings.TrimSuffix(sg.Advice, ".") + ", and has a digest of its own."
		}
		s.replaceBase(&sg, root, ref, best.ref)
	default:
		sg.Advice = fmt.Sprintf("See whether the program runs on %s: %s.", shown(best.ref), best.why)
	}
	for _, other := range found[1:] {
		if other.bytes < best.bytes {
			sg.Advice = strings.TrimSuffix(sg.Advice, ".") + fmt.Sprintf("; %s weighs %s, but %s.", shown(other.ref), other.bytes, other.why)
			break
		}
	}
	return []footprint.Suggestion{sg}, nil
}

// shown is a reference in a sentence.
func shown(ref string) string {
	if len(ref) > 120 || strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return quoted(ref)
	}
	return ref
}

// missed says which command of the stages on a base a variant of it lacks, "" if
// none is seen. What a package manager installs by that name is there.
func (s *subject) missed(root int, lacks []string) string {
	if root < 0 {
		return ""
	}
	steps, ok := s.allSteps()
	if !ok {
		return "There are too many stages to look at"
	}
	brought := map[string]bool{}
	for i := range steps {
		st := &steps[i]
		if s.file.Root(s.file.Stages[st.Stage]).Index != root {
			continue
		}
		switch st.Keyword {
		case "RUN":
			calls, _ := s.calls(st)
			for _, c := range calls {
				if slices.Contains(packageManagers, c.Name()) {
					for _, a := range c.Args() {
						brought[a] = true
						if a == "build-essential" || a == "build-base" {
							for _, tool := range []string{"gcc", "g++", "cc", "make"} {
								brought[tool] = true
							}
						}
					}
				}
				for _, l := range lacks {
					name, v, _ := strings.Cut(l, " ")
					if c.Name() == name && (v == "" || verb(c) == v) && !brought[name] {
						return fmt.Sprintf("Line %d runs %s", st.Start, l)
					}
				}
			}
		case "CMD", "ENTRYPOINT", "HEALTHCHECK":
			for _, l := range lacks {
				if _, rest, _ := strings.Cut(st.Text, " "); names(rest, l) && l != "file" && !brought[l] {
					return fmt.Sprintf("Line %d runs %s", st.Start, l)
				}
			}
		}
	}
	return ""
}

// replaceBase puts another base into FROM, where it is written out or the
// difference is only behind it.
func (s *subject) replaceBase(sg *footprint.Suggestion, root int, ref, by string) {
	if root < 0 || strings.Contains(ref, "@") {
		return
	}
	start, end, ok := s.file.BaseWord(root)
	if !ok {
		return
	}
	written := string(s.file.Src[start:end])
	switch rest, longer := strings.CutPrefix(by, ref); {
	case longer && !strings.Contains(rest, "/") && (rest[0] == '-' || rest[0] == ':') && !strings.HasSuffix(written, `"`):
		s.edit(sg, footprint.NeedsTests, footprint.Edit{Start: end, End: end, Text: rest})
	case written == ref:
		s.edit(sg, footprint.NeedsTests, footprint.Edit{Start: start, End: end, Text: by})
	}
}
