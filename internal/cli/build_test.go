package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/source"
)

// buildOf is what check would build with this environment, budget file and
// command line.
func buildOf(t *testing.T, env map[string]string, dir string, spec *budget.Build, args ...string) (*source.Build, string, error) {
	t.Helper()
	var stderr bytes.Buffer
	c := &Command{
		Stdout: io.Discard, Stderr: &stderr, Getenv: func(name string) string { return env[name] },
		Now: time.Now, Terminal: func(io.Writer) (int, bool) { return 0, false },
	}
	c.runner = actions.FromEnv(c.Getenv)
	fs, f := c.checkFlags()
	if _, err := fs.parse(args); err != nil {
		t.Fatal(err)
	}
	b, err := c.build(f.buildFlags, f.attributeFlags, dir, spec)
	return b, stderr.String(), err
}

func TestBuildOfTheBudgetFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"app/Dockerfile", "docker/web.Dockerfile", "token"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("from "+name), 0o644))
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	spec := &budget.Build{
		Context: "app", Dockerfile: "docker/web.Dockerfile", Target: "runtime", Args: map[string]string{"A": "file", "B": "file"},
		Labels: map[string]string{"team": "web"}, Platforms: []string{"linux/amd64"},
		Contexts:  map[string]string{"deps": "docker", "base": "docker-image://alpine:3.22"},
		Secrets:   []budget.Secret{{ID: "file", Src: "token"}, {ID: "env", Env: "TOKEN"}, {ID: "NAMED"}},
		SSH:       []string{"default", "deploy=keys/id"},
		CacheFrom: []string{"ghcr.io/acme/cache:web", "type=local,src=cache"}, CacheTo: []string{"type=registry,ref=ghcr.io/acme/cache:web,mode=max"},
		Network: "none", NoCache: true, Tags: []string{"acme/web:pr"},
	}
	env := map[string]string{"TOKEN": "t0ken", "NAMED": "named", "SSH_AUTH_SOCK": "/run/agent", "FROM_ENV": "env"}
	want := &source.Build{
		// Beside the budget file, since the context has no such file.
		Context: in("app"), Dockerfile: in("docker/web.Dockerfile"), Target: "runtime",
		Args:   map[string]string{"A": "flag", "B": "file", "FROM_ENV": "env", "UNSET": ""},
		Labels: map[string]string{"team": "web", "a": "b=c"}, Platforms: []string{"linux/amd64"},
		Contexts:  map[string]string{"deps": in("docker"), "base": "docker-image://alpine:3.22"},
		Secrets:   map[string][]byte{"file": []byte("from token"), "env": []byte("t0ken"), "NAMED": []byte("named")},
		SSH:       map[string][]string{"default": {"/run/agent"}, "deploy": {in("keys/id")}},
		CacheFrom: []source.CachePlace{{Type: "registry", Attrs: map[string]string{"ref": "ghcr.io/acme/cache:web"}}, {Type: "local", Attrs: map[string]string{"src": in("cache")}}},
		CacheTo:   []source.CachePlace{{Type: "registry", Attrs: map[string]string{"ref": "ghcr.io/acme/cache:web", "mode": "max"}}},
		Network:   "none", NoCache: true, Tags: []string{"acme/web:pr"},
	}
	got, _, err := buildOf(t, env, dir, spec, "--build-arg", "A=flag", "--build-arg", "FROM_ENV", "--build-arg", "UNSET", "--label", "a=b=c")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// As in a compose file, the context comes first.
	got, _, err = buildOf(t, nil, dir, &budget.Build{Context: "app", Dockerfile: "Dockerfile"})
	must(t, err)
	if got.Dockerfile != in("app/Dockerfile") {
		t.Errorf("the Dockerfile is %s", got.Dockerfile)
	}
	// Another context than the file's, at a URL, has its Dockerfile in it.
	got, _, err = buildOf(t, nil, dir, &budget.Build{Context: "app", Dockerfile: "web.Dockerfile"}, "--context", "github.com/acme/web.git")
	must(t, err)
	if got.Context != "github.com/acme/web.git" || got.Dockerfile != "web.Dockerfile" {
		t.Errorf("%s, %s", got.Context, got.Dockerfile)
	}
	// A URL is the builder's to read.
	got, _, err = buildOf(t, nil, dir, &budget.Build{Context: "https://github.com/acme/web.git#main", Dockerfile: "docker/Dockerfile"})
	must(t, err)
	if got.Context != "https://github.com/acme/web.git#main" || got.Dockerfile != "docker/Dockerfile" {
		t.Errorf("%s, %s", got.Context, got.Dockerfile)
	}
}

func TestBuildOfTheCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := write(t, filepath.Join(dir, "key"), "-----BEGIN KEY-----\n0123456789\n}\n")
	got, stderr, err := buildOf(t, map[string]string{
		"GITHUB_ACTIONS": "true", "ACTIONS_RUNTIME_TOKEN": "runtime-token", "ACTIONS_RESULTS_URL": "https://results.example/",
		"BUILDKIT_HOST": "tcp://builder.example:1234",
	}, "", nil,
		"--context", "app", "--dockerfile", "app/web.Dockerfile", "--target", "runtime", "--secret", "id=key,src="+key,
		"--cache-from", "type=gha", "--cache-to", "type=gha,mode=max,scope=web", "--network", "host", "--pull", "--builder-tls", "certs")
	must(t, err)
	v2 := func(more map[string]string) source.CachePlace {
		attrs := map[string]string{"token": "runtime-token", "url_v2": "https://results.example/", "version": "2"}
		for k, v := range more {
			attrs[k] = v
		}
		return source.CachePlace{Type: "gha", Attrs: attrs}
	}
	want := &source.Build{
		Context: "app", Dockerfile: "app/web.Dockerfile", Target: "runtime",
		Args: map[string]string{}, Labels: map[string]string{}, Contexts: map[string]string{}, SSH: map[string][]string{},
		Secrets:   map[string][]byte{"key": []byte("-----BEGIN KEY-----\n0123456789\n}\n")},
		CacheFrom: []source.CachePlace{v2(nil)}, CacheTo: []source.CachePlace{v2(map[string]string{"mode": "max", "scope": "web"})},
		Network: "host", Pull: true, Builder: source.Builder{Address: "tcp://builder.example:1234", TLSDir: "certs"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The runner hides the lines of a key, and nothing so short that it would
	// blank out the log.
	if !strings.Contains(stderr, "::add-mask::0123456789\n") || strings.Contains(stderr, "::add-mask::}\n") {
		t.Errorf("%s", stderr)
	}
	// Elsewhere there is no such cache, and that is no failure.
	got, _, err = buildOf(t, nil, "", nil, "--context", ".", "--cache-from", "type=gha")
	must(t, err)
	if len(got.CacheFrom) != 0 {
		t.Errorf("%v", got.CacheFrom)
	}
}

// TestWhoseLogin: the password is for the registry of what is built, never for
// that of a base.
func TestWhoseLogin(t *testing.T) {
	t.Parallel()
	built := func(b source.Build) *budgetSet {
		return &budgetSet{
			images: []budget.Image{{ID: "web", Base: "private.example/base:1"}}, baseline: "branch:x",
			builds: map[string]*source.Build{"web": &b},
		}
	}
	cache := source.CachePlace{Type: "registry", Attrs: map[string]string{"ref": "cache.example/web"}}
	withBaseline := built(source.Build{})
	withBaseline.baseline = "registry:sizes.example/web"
	for want, c := range map[string]struct {
		set  *budgetSet
		flag string
	}{
		"tags.example":    {built(source.Build{Tags: []string{"tags.example/web:1"}, CacheFrom: []source.CachePlace{cache}}), ""},
		"cache.example":   {built(source.Build{CacheFrom: []source.CachePlace{{Type: "gha"}, cache}}), ""},
		"sizes.example":   {withBaseline, ""},
		"":                {built(source.Build{}), ""},
		"given.example":   {built(source.Build{Tags: []string{"tags.example/web:1"}}), "given.example"},
		"private.example": {&budgetSet{images: []budget.Image{{ID: "web", Ref: "docker-daemon:web", Base: "private.example/base:1"}}}, ""},
	} {
		empty, password := "", "canary"
		c2 := &Command{Getenv: func(string) string { return "" }}
		keys := c2.keychain(&measureFlags{registry: &c.flag, username: &empty, passwd: &password}, c.set.refs())
		for _, host := range []string{"tags.example", "cache.example", "sizes.example", "given.example", "private.example", "index.docker.io"} {
			reg, err := name.NewRegistry(host)
			must(t, err)
			auth, err := keys.Resolve(reg)
			must(t, err)
			cfg, err := auth.Authorization()
			must(t, err)
			if got := cfg.Password == "canary"; got != (host == want) {
				t.Errorf("want the login for %q: %s gets it: %v", want, host, got)
			}
		}
	}
}

func TestBuildMistakes(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"the environment has no variable NONE":           {"--secret", "id=a,env=NONE"},
		"there is neither a variable nor a file":         {"--secret", "id=none"},
		"no such file":                                   {"--secret", "id=a,src=/no/such/file"},
		"--secret: ":                                     {"--secret", "hunter2hunter2"},
		"no agent runs here":                             {"--ssh", "default"},
		"names no ssh agent":                             {"--ssh", "a b"},
		`--build-arg "=x"`:                               {"--build-arg", "=x"},
		`--label "=x"`:                                   {"--label", "=x"},
		"want NAME=FOLDER":                               {"--build-context", "x"},
		"--cache-from: the cache type \"regstry\" is":    {"--cache-from", "type=regstry,ref=x"},
		"--cache-to: ":                                   {"--cache-to", "type="},
		"--builder: the builder ftp://x is":              {"--builder", "ftp://x"},
		"tags are names in an engine":                    {"--builder", "tcp://x:1", "--tag", "x"},
		"TLS files are given for a builder, but no buil": {"--builder-tls", "certs"},
	} {
		_, _, err := buildOf(t, nil, "", nil, append([]string{"--context", "."}, args...)...)
		var mistake *usageError
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", args, err, want)
		} else if !asUsage(err, &mistake) {
			t.Errorf("%q: %v is no mistake of the user's", args, err)
		}
	}
}

func asUsage(err error, to **usageError) bool {
	e, ok := err.(*usageError)
	*to = e
	return ok
}

// TestWhichImageIsBuilt has no engine: what is wrong with the request shows
// before, and the engine is missed after that.
func TestWhichImageIsBuilt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "Dockerfile"), "FROM scratch\n")
	one := write(t, filepath.Join(dir, "one.yml"), "version: 1\nimages:\n  web: {build: {context: .}}\n")
	two := write(t, filepath.Join(dir, "two.yml"), "version: 1\nimages:\n  web: {build: {context: .}}\n  api: {build: {context: ., target: x}}\n")
	env := map[string]string{"DOCKER_HOST": "unix:///nonexistent.sock"}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--config", one}, ExitUnmeasured, "web: no engine answers"},
		{[]string{"--config", two}, ExitUnmeasured, "api: no engine answers"},
		{[]string{"--config", two, "web"}, ExitUnmeasured, "web: no engine answers"},
		{[]string{"--config", two, "--context", dir}, ExitUsage, "has several images; name the one"},
		{[]string{"--config", two, "--context", dir, "wbe"}, ExitUsage, `did you mean "web"?`},
		{[]string{"--config", two, "--context", dir, "web", "api"}, ExitUsage, "builds one image, and 2 are named"},
		{[]string{"--config", two, "--dockerfile", "x"}, ExitUsage, "--dockerfile is that of one image"},
		{[]string{"--context", dir, "a/b:c"}, ExitUsage, "is to be the name of the image"},
		{[]string{"--context", dir, "web"}, ExitUnmeasured, "web: no engine answers"},
		{[]string{"--context", filepath.Join(dir, "none"), "web"}, ExitUsage, "there is no folder"},
		{[]string{"--config", one, "--platform", "linux/amd64,linux/amd64"}, ExitUsage, "names linux/amd64 twice"},
		{[]string{"--config", one, "--jobs", "0"}, ExitUsage, "--jobs must be at least 1"},
	} {
		r := invoke(t, env, append([]string{"check"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%q: exit code %d, want %d: %s", c.args, r.code, c.code, r.stderr)
		}
	}
}
