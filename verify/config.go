package verify

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// lost says which of the original's settings a candidate does not have, "" if
// it has all. Entrypoint and command may differ, as where a shell or npm start
// was resolved: what comes of that is seen when it runs. So may PATH. Labels of
// the base describe the base, and go with it.
func lost(a, c footprint.Config, own Own) string {
	if x, y := user(a.User), user(c.User); x != y {
		return fmt.Sprintf("it runs as user %s, the original as %s", quoted(y), quoted(x))
	}
	if x, y := folder(a.WorkingDir), folder(c.WorkingDir); x != y {
		return fmt.Sprintf("its working directory is %s, that of the original %s", quoted(y), quoted(x))
	}
	have := environment(c.Env)
	for _, pair := range a.Env {
		name, value, _ := strings.Cut(pair, "=")
		got, ok := have[name]
		switch {
		case name == "PATH" || builds(name) && own.Env != nil && !own.Env[name]:
		case !ok:
			return fmt.Sprintf("the environment lacks %s", quoted(name))
		case got != value && environment(a.Env)[name] == value:
			return fmt.Sprintf("the environment has another value for %s", quoted(name))
		}
	}
	for _, p := range a.Ports {
		if !slices.Contains(c.Ports, p) {
			return fmt.Sprintf("the exposed port %s is lost", quoted(p))
		}
	}
	for _, p := range a.Volumes {
		if !slices.Contains(c.Volumes, p) {
			return fmt.Sprintf("the volume %s is lost", quoted(p))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		if got, ok := c.Labels[k]; (!ok || got != a.Labels[k]) && (own.Labels == nil || own.Labels[k]) {
			return fmt.Sprintf("the label %s is lost", quoted(k))
		}
	}
	if a.StopSignal != c.StopSignal {
		return fmt.Sprintf("the stop signal is %s, that of the original %s", quoted(c.StopSignal), quoted(a.StopSignal))
	}
	switch x, y := a.Healthcheck, c.Healthcheck; {
	case checks(a) && !checks(c):
		return "the health check is lost"
	case checks(a) && (x.Interval != y.Interval || x.Timeout != y.Timeout || x.StartPeriod != y.StartPeriod || x.Retries != y.Retries):
		return "the times of the health check differ"
	}
	return ""
}

// checks tells whether an engine asks after the health of its containers.
func checks(c footprint.Config) bool {
	return c.Healthcheck != nil && len(c.Healthcheck.Test) > 0 && c.Healthcheck.Test[0] != "NONE"
}

func user(s string) string {
	switch s {
	case "", "root", "0", "0:0", "root:root", "root:0", "0:root":
		return "root"
	}
	return s
}

func folder(s string) string { return path.Clean("/" + s) }

func environment(pairs []string) map[string]string {
	out := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		out[name] = value // the last one counts
	}
	return out
}

// builds tells variables with which base images say what tools they hold and
// where: they are of no use where the tools are gone. What a program does
// without them is seen when it runs.
func builds(name string) bool { return tools.MatchString(name) }

var tools = regexp.MustCompile(`^(.*_VERSION|.*_SHA256|.*_SHA512|.*_CHECKSUM|.*_URL|(.*_)?GPG_KEYS?|GOTOOLCHAIN|GOPATH|GOROOT|CGO_ENABLED|GOFLAGS|RUSTUP_HOME|CARGO_HOME|JAVA_HOME|MAVEN_.*|GRADLE_.*|PHPIZE_DEPS|PHP_(C|CPP|LD)FLAGS|NUGET_.*|DOTNET_(SDK|USE|GENERATE|NUGET).*|POWERSHELL_.*|DEBIAN_FRONTEND)$`)
