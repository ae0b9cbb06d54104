package advice

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

var buildToolsInFinalStage = Rule{
	ID:     "build-tools-in-final-stage",
	Title:  "compilers and headers are in the image that ships",
	Safety: footprint.AdviceOnly,
	check:  checkBuildTools,
}

// toolNames are packages of systems that only a build needs; a * stands for any
// rest of the name.
var toolNames = []string{
	"gcc", "gcc-*", "g++", "g++-*", "cpp", "cpp-*", "clang", "clang-*", "llvm", "llvm-*", "lld", "binutils", "binutils-*", "libbinutils", "libctf*",
	"make", "cmake", "cmake-data", "ninja-build", "ninja", "samurai", "meson", "autoconf", "automake", "libtool", "libtool-bin", "pkg-config", "pkgconf", "pkgconf-bin",
	"bison", "flex", "m4", "patch", "fakeroot", "libfakeroot", "build-essential", "build-base", "dpkg-dev", "libdpkg-perl",
	"libasan*", "liblsan*", "libtsan*", "libubsan*", "libhwasan*", "libcc1-*", "libisl*", "libmpc3", "libmpfr6", "libquadmath*", "libitm*", "isl*", "mpc1", "mpfr4",
	"golang", "golang-*", "go", "rustc", "cargo", "rust", "libstd-rust-*", "maven", "gradle", "ant", "dotnet-sdk-*", "kotlin",
	"libc-dev-bin", "libc6-dev", "linux-libc-dev", "linux-headers", "linux-headers-*", "musl-dev", "fortify-headers", "gcc-c++", "kernel-headers", "glibc-devel", "glibc-headers", "libstdc++-devel",
	"openjdk-*-jdk*", "openjdk*-jdk", "default-jdk*", "java-*-openjdk-devel", "node-gyp",
}

// isTool tells whether a package of a system is one that only a build needs.
func isTool(name string) bool {
	if strings.HasSuffix(name, "-dev") || strings.HasSuffix(name, "-devel") {
		return true
	}
	return slices.ContainsFunc(toolNames, func(t string) bool {
		head, tail, star := strings.Cut(t, "*")
		return name == t || star && strings.HasPrefix(name, head) && strings.Contains(name[len(head):], strings.TrimSuffix(tail, "*"))
	})
}

// toolFolders are where toolchains are unpacked to that no package owns.
var toolFolders = []string{
	"/usr/local/go", "/usr/local/rustup", "/usr/local/cargo", "/root/.rustup", "/root/.cargo", "/opt/maven", "/opt/gradle", "/usr/share/maven", "/opt/apache-maven",
	"/usr/share/dotnet/sdk", "/usr/lib/dotnet/sdk", "/usr/local/sbt",
}

func checkBuildTools(_ context.Context, s *subject) ([]footprint.Suggestion, error) {
	use := s.toolUse()
	if s.Image == nil {
		return s.toolHint(use), nil
	}
	if s.file != nil && (use.build == nil || use.runs) {
		return nil, nil
	}
	var p pile
	var list []string
	steps := map[*dockerfile.Step]footprint.Bytes{}
	add := func(name, at string, bytes footprint.Bytes, layer int) {
		step := s.stepOf(layer)
		if use.drops(step, name) {
			return
		}
		p.bytes += bytes
		p.paths = append(p.paths, footprint.WeighedPath{Path: at, Bytes: bytes, Layer: layer})
		list = append(list, name)
		if step != nil {
			steps[step] += bytes
		}
	}
	for _, k := range s.Image.Packages {
		if footprint.OfSystem(k.Ecosystem) && k.Own > 0 && k.Layer >= s.base && isTool(k.Name) {
			at := k.Path
			if at == "" {
				at = k.Name
			}
			add(k.Name, at, k.Own, k.Layer)
		}
	}
	folders := map[string]footprint.Bytes{}
	layers := map[string]int{}
	s.own(func(f footprint.File) {
		if s.ofSystem(f) {
			return // it is counted with its package
		}
		for _, folder := range toolFolders {
			if strings.HasPrefix(f.Path, folder+"/") {
				if _, ok := layers[folder]; !ok {
					layers[folder] = f.Made
				}
				folders[folder] += f.Size
			}
		}
	})
	for _, folder := range toolFolders {
		if folders[folder] > 0 {
			add(folder, folder, folders[folder], layers[folder])
		}
	}
	if p.bytes < Floor {
		return nil, nil
	}
	s.tools = map[string]bool{}
	for _, w := range p.paths {
		s.tools[w.Path] = true
	}
	step := heaviestStep(steps)
	sg := s.suggest(step, p)
	byBytes := make([]string, 0, 3)
	for _, w := range sg.Paths[:min(3, len(sg.Paths))] {
		byBytes = append(byBytes, w.Path)
	}
	what := listed(byBytes)
	if n := len(list) - 3; n > 0 {
		what = strings.Join(byBytes, ", ") + fmt.Sprintf(" and %d more", n)
	}
	sg.Message = fmt.Sprintf("%s of tools that only a build needs are in the image: %s.", p.bytes, what)
	switch {
	case s.file == nil:
		sg.Advice = "Build in a stage of its own, and copy what runs into one without them."
	case step != nil && use.only != nil && use.only.Start == step.Start:
		sg.Advice = fmt.Sprintf("Only line %d uses them: remove them at its end, or build in a stage of its own and copy what runs.", step.Start)
	default:
		sg.Advice = fmt.Sprintf("Line %d builds with them: let that be a stage of its own, and copy what runs into one without them.", use.build.Start)
	}
	return []footprint.Suggestion{sg}, nil
}

// ofSystem tells whether a package of the system owns a file.
func (s *subject) ofSystem(f footprint.File) bool {
	index, owned := f.Owner.Package()
	return owned && index < len(s.Image.Packages) && footprint.OfSystem(s.Image.Packages[index].Ecosystem)
}

// toolUse is what the target does with tools.
type toolUse struct {
	// build is the first step that builds something, nil without one, and only is
	// the one that does if no other step does.
	build, only *dockerfile.Step
	// runs tells that the container itself runs a tool.
	runs bool
	// removed are the packages that a step removes again, by its line.
	removed map[int][]string
}

// drops tells whether a step removes a package again, so that an image of this
// Dockerfile cannot have it.
func (u toolUse) drops(step *dockerfile.Step, name string) bool {
	if step == nil {
		return false
	}
	return slices.ContainsFunc(u.removed[step.Start], func(r string) bool { return r == "*" || r == name })
}

func (s *subject) toolUse() toolUse {
	out := toolUse{removed: map[int][]string{}}
	several := false
	for i := range s.steps {
		st := &s.steps[i]
		switch st.Keyword {
		case "RUN":
			calls, _ := s.calls(st)
			for _, c := range calls {
				if compiles(c) {
					several = several || out.build != nil && out.build.Start != st.Start
					if out.build == nil {
						out.build = st
					}
				}
				if !slices.Contains(packageManagers, c.Name()) || !c.Certain {
					continue
				}
				switch v := verb(c); {
				case c.Name() == "apk" && v == "del", v == "purge", v == "remove", v == "autoremove", v == "erase":
					out.removed[st.Start] = append(out.removed[st.Start], c.Args()...)
					if c.Has("--auto-remove", "--autoremove", "autoremove") || c.Name() == "apk" {
						out.removed[st.Start] = append(out.removed[st.Start], "*")
					}
				}
			}
		case "CMD", "ENTRYPOINT":
			calls, _ := s.calls(st)
			out.runs = slices.ContainsFunc(calls, func(c dockerfile.Call) bool {
				switch c.Name() {
				case "make", "gcc", "g++", "go", "cargo", "mvn", "mvnw", "gradle", "gradlew", "cmake", "rustc", "javac", "sbt":
					return true
				}
				return c.Name() == "dotnet" && (verb(c) == "run" || verb(c) == "watch")
			})
		}
	}
	if !several {
		out.only = out.build
	}
	return out
}

// compiles tells whether a command builds something, or installs packages that
// may build native code.
func compiles(c dockerfile.Call) bool {
	switch c.Name() {
	case "gem", "pecl", "docker-php-ext-install", "cpan", "cpanm", "luarocks":
		return true
	case "bundle":
		return verb(c) == "install"
	}
	return builds(c) || installsPackages(c, "npm") || installsPackages(c, "python")
}

// toolHint says that the text installs tools and does not remove them.
func (s *subject) toolHint(use toolUse) []footprint.Suggestion {
	if use.build == nil || use.runs {
		return nil
	}
	for i := range s.steps {
		st := &s.steps[i]
		if st.Keyword != "RUN" {
			continue
		}
		calls, _ := s.calls(st)
		for _, c := range calls {
			if !slices.Contains(packageManagers, c.Name()) || !c.Has("install", "add") || c.Has("--virtual", "-t") {
				continue
			}
			for _, a := range c.Args() {
				name, _, _ := strings.Cut(a, "=")
				if strings.HasPrefix(a, "-") || !isTool(name) || use.drops(st, name) {
					continue
				}
				sg := s.suggest(st, pile{})
				sg.Hint = true
				sg.Message = fmt.Sprintf("%s is installed in the stage that ships, and line %d builds with it.", shown(name), use.build.Start)
				sg.Advice = "Build in a stage of its own, and copy what runs."
				return []footprint.Suggestion{sg}
			}
		}
	}
	return nil
}
