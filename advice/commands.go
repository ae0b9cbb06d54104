package advice

import (
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/dockerfile"
)

// maxStages bounds the stages whose steps are looked at one by one.
const maxStages = 100

// stageSteps are the steps of one stage alone, in order.
func (s *subject) stageSteps(index int) []dockerfile.Step {
	if s.file == nil || index < 0 || index >= len(s.file.Stages) {
		return nil
	}
	// A stage may be called "0"; its steps carry the number that they are of.
	steps := s.file.Steps(strconv.Itoa(index), s.Args)
	return slices.DeleteFunc(steps, func(st dockerfile.Step) bool { return st.Stage != index })
}

// chainSteps are the steps of a stage and its parents, in the order in which they
// run.
func (s *subject) chainSteps(index int) []dockerfile.Step {
	if s.file == nil || index < 0 || index >= len(s.file.Stages) {
		return nil
	}
	if index == s.stage.Index {
		return s.steps
	}
	return s.file.Steps(strconv.Itoa(index), s.Args)
}

// allSteps are the steps of all stages, built or not; ok is false where there
// are too many stages to look at.
func (s *subject) allSteps() (out []dockerfile.Step, ok bool) {
	if s.file == nil || len(s.file.Stages) > maxStages {
		return nil, s.file == nil
	}
	if s.every == nil {
		for i := range s.file.Stages {
			s.every = append(s.every, s.stageSteps(i)...)
		}
	}
	return s.every, true
}

// commands are what callsOf returns.
type commands struct {
	calls []dockerfile.Call
	ok    bool
}

// calls is callsOf, which reads each step once.
func (s *subject) calls(step *dockerfile.Step) ([]dockerfile.Call, bool) {
	got, read := s.read[step.Start]
	if !read {
		got.calls, got.ok = callsOf(step)
		if s.read == nil {
			s.read = map[int]commands{}
		}
		s.read[step.Start] = got
	}
	return got.calls, got.ok
}

// callsOf are the commands of a RUN, CMD or ENTRYPOINT in either form; ok is
// false where it runs something that was not read.
func callsOf(step *dockerfile.Step) (calls []dockerfile.Call, ok bool) {
	if line := step.Exec(); len(line) > 0 {
		call := dockerfile.Call{Certain: true, Dir: step.Dir, Start: -1, End: -1}
		for _, w := range line {
			call.Words = append(call.Words, dockerfile.Word{Text: w, Known: true, Start: -1, End: -1})
		}
		return []dockerfile.Call{call}, !runsText(call)
	}
	if !step.ShellForm() {
		return nil, true
	}
	script, err := step.Script()
	if err != nil {
		return nil, false
	}
	ok = true
	for _, c := range script.Calls {
		if c.Name() == "" && len(c.Words) > 0 || runsText(c) {
			ok = false
		}
	}
	return script.Calls, ok
}

// runsText tells whether a command runs others that are in its arguments.
func runsText(c dockerfile.Call) bool {
	switch c.Name() {
	case "sh", "ash", "dash", "bash", "ksh", "zsh", "eval", "xargs", "find", "su", "sudo", "gosu", "su-exec", "source", ".", "env", "time", "nice":
		return len(c.Words) > 1
	}
	return false
}

// verb is the first argument that is no flag, "" without one.
func verb(c dockerfile.Call) string {
	for _, a := range c.Args() {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}

// nodeManagers are the package managers of Node.
var nodeManagers = []string{"npm", "yarn", "pnpm", "bun", "cnpm"}

// installsPackages tells whether a command brings the packages that a project of
// an ecosystem asks for: "npm" or "python".
func installsPackages(c dockerfile.Call, ecosystem string) bool {
	name, v := c.Name(), verb(c)
	switch ecosystem {
	case "npm":
		return slices.Contains(nodeManagers, name) && (slices.Contains([]string{"ci", "install", "i", "clean-install", "add", "workspaces"}, v) || name == "yarn" && v == "")
	case "python":
		switch name {
		case "pip", "pip3", "uv", "poetry", "pdm", "pipenv", "conda", "mamba":
			return slices.Contains([]string{"install", "sync", "pip", "env", "create"}, v)
		case "python", "python3":
			return c.Has("pip")
		}
	}
	return false
}

// builds tells whether a command makes something out of sources.
func builds(c dockerfile.Call) bool {
	name, v := c.Name(), verb(c)
	switch name {
	case "make", "gmake", "cmake", "ninja", "meson", "gcc", "g++", "cc", "c++", "clang", "clang++", "rustc", "javac", "kotlinc", "ant",
		"mvn", "mvnw", "gradle", "gradlew", "sbt", "tsc", "webpack", "vite", "esbuild", "rollup", "parcel", "ng", "next", "nuxt", "nuxi", "swc", "babel", "turbo", "nx",
		"npx", "bunx", "gulp", "grunt", "configure", "msbuild", "swift", "zig", "mix", "stack", "cabal":
		return true
	case "go":
		return v == "build" || v == "install" || v == "test" || v == "generate"
	case "cargo":
		return v == "build" || v == "install" || v == "test" || v == "b"
	case "dotnet":
		return v == "build" || v == "publish" || v == "test" || v == "pack"
	}
	if slices.Contains(nodeManagers, name) {
		switch v {
		case "run", "run-script", "exec", "dlx", "build", "rebuild", "test", "t", "compile":
			return true
		}
		return (name == "yarn" || name == "pnpm") && v != "" && !slices.Contains([]string{"install", "i", "add", "config", "cache", "set", "global", "store", "fetch", "prune", "workspaces", "policies", "import"}, v)
	}
	return false
}

// harmless tells whether a command neither reads the sources around it nor
// builds anything of them, as far as its name and arguments say.
func harmless(c dockerfile.Call) bool {
	name, v := c.Name(), verb(c)
	switch name {
	case "apt-get", "apt", "apk", "yum", "dnf", "microdnf", "chown", "chmod", "mkdir", "rm", "rmdir", "ln", "touch", "useradd", "adduser", "usermod",
		"groupadd", "addgroup", "echo", "printf", "set", "cd", "true", ":", "test", "[", "sleep", "export", "unset", "umask", "corepack", "curl", "wget", "update-ca-certificates",
		"ldconfig", "id", "chgrp", "install", "ls":
		return true
	case "npm", "pnpm", "yarn", "cnpm":
		return name == "yarn" && v == "" || slices.Contains([]string{"ci", "install", "i", "clean-install", "prune", "cache", "config", "set", "store", "fetch"}, v)
	case "bundle":
		return v == "install" || v == "config"
	case "pip", "pip3":
		// A project is built by its own rules, which may ask git.
		return v == "install" && !slices.ContainsFunc(c.Args(), func(a string) bool {
			return a == "-e" || a == "--editable" || strings.HasPrefix(a, ".") || strings.HasPrefix(a, "/")
		})
	}
	return false
}
