package source

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/org/image-budget/internal/bench"
)

// place is a builder and the engine around it, if there is one.
type place struct {
	name    string
	config  Config
	builder Builder
}

// onEachBuilder runs a test with each builder.
func onEachBuilder(t *testing.T, test func(*testing.T, place)) {
	t.Helper()
	var all []place
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		all = append(all, place{name: filepath.Base(host), config: Config{Engine: Engine{Host: host}}})
	}
	all = append(all, place{name: "buildkitd", builder: Builder{Address: bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}})
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// old tells the engine that lacks what came after BuildKit 0.8.
func (p place) old() bool { return strings.Contains(p.name, "20") }

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (p place) build(t *testing.T, b Build) ([]*Image, error) {
	t.Helper()
	b.Builder = p.builder
	if b.Network == "" {
		// RUN needs none here, and not every engine of the bench has one.
		b.Network = "none"
	}
	images, err := New(p.config).Build(t.Context(), b)
	for _, img := range images {
		t.Cleanup(func() {
			if err := img.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return images, err
}

// names lists the regular files of each layer with their content.
func names(t *testing.T, img *Image) [][]string {
	t.Helper()
	all, err := Read(t.Context(), img, ReadOptions{VerifyDiffID: true}, func(_ context.Context, r io.Reader) ([]string, error) {
		out := []string{}
		tr := tar.NewReader(r)
		for {
			h, err := tr.Next()
			if err == io.EOF {
				return out, nil
			}
			if err != nil {
				return nil, err
			}
			if h.Typeflag == tar.TypeReg {
				content, err := io.ReadAll(tr)
				if err != nil {
					return nil, err
				}
				out = append(out, h.Name+"="+strings.TrimSpace(string(content)))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestBuild asks for most of what can be asked for at once.
func TestBuild(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		dir := folder(t, map[string]string{
			"app/.dockerignore": "ignored\n",
			"app/kept":          "kept",
			"app/ignored":       "ignored",
			// The Dockerfile may lie outside of its context.
			"docker/web.Dockerfile": `# a comment
ARG BASE=nothing
FROM ${BASE} AS runtime
ARG GREETING
COPY . /app/
RUN --mount=type=secret,id=token echo "$GREETING $(wc -c < /run/secrets/token)" > /greeting
FROM runtime AS more
RUN echo no > /no
`,
		})
		images, err := p.build(t, Build{
			Context: filepath.Join(dir, "app"), Dockerfile: filepath.Join(dir, "docker/web.Dockerfile"), Target: "runtime",
			Args: map[string]string{"BASE": "alpine:3.22", "GREETING": "hello"}, Labels: map[string]string{"team": "web"},
			Secrets: map[string][]byte{"token": []byte("s3cret")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(images) != 1 {
			t.Fatalf("%d images", len(images))
		}
		img := images[0]
		layers := names(t, img)
		if diff := cmp.Diff([][]string{{"app/.dockerignore=ignored", "app/kept=kept"}, {"greeting=hello 6"}}, layers[1:]); diff != "" {
			t.Error(diff)
		}
		if img.Config.Config.Labels["team"] != "web" || img.Platform != "linux/amd64" || len(img.Definition()) == 0 {
			t.Errorf("labels %v, platform %s, %d bytes of steps", img.Config.Config.Labels, img.Platform, len(img.Definition()))
		}
	})
}

// TestBuildReadsOnlyWhatIsWanted: a layer that nobody wants stays where it is.
func TestBuildReadsOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	p := place{builder: Builder{Address: bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}}
	images, err := p.build(t, Build{Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nCOPY Dockerfile /x\n"})})
	if err != nil {
		t.Fatal(err)
	}
	img := images[0]
	last := img.Layers[len(img.Layers)-1]
	if img.BlobBytesRead() != 0 || last.Size <= 0 || img.Config == nil || img.Digest == "" {
		t.Errorf("%d bytes read, the last layer has %d, digest %q", img.BlobBytesRead(), last.Size, img.Digest)
	}
	_, err = Read(t.Context(), img, ReadOptions{Want: func(id string) bool { return id == last.DiffID }}, func(_ context.Context, r io.Reader) (int, error) { return 0, nil })
	if err != nil || img.BlobBytesRead() != last.Size {
		t.Errorf("read %d of %d: %v", img.BlobBytesRead(), last.Size, err)
	}
}

func TestBuildNamesAndForgets(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /x\n"})
		tag := "image-budget-test/" + p.name + ":kept"
		images, err := p.build(t, Build{Context: dir, Tags: []string{tag}})
		if p.builder.Address != "" {
			if !errors.Is(err, ErrUsage) {
				t.Errorf("%v: a builder without images has no names for them", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		api := p.engine(t)
		t.Cleanup(func() {
			if _, err := api.ImageRemove(context.Background(), tag, client.ImageRemoveOptions{}); err != nil {
				t.Error(err)
			}
		})
		if images[0].Reference != tag {
			t.Errorf("it is called %s", images[0].Reference)
		}
		if _, err := p.build(t, Build{Context: dir, Tags: []string{tag}, Platforms: []string{"linux/amd64", "linux/arm64"}}); !errors.Is(err, ErrUsage) {
			t.Errorf("one name for two platforms: %v", err)
		}
		// The same image built once more without a name is forgotten, the
		// named one is not.
		unnamed, err := New(p.config).Build(t.Context(), Build{Context: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := unnamed[0].Close(); err != nil {
			t.Error(err)
		}
		if _, err := api.ImageInspect(t.Context(), tag); err != nil {
			t.Error(err)
		}
		if left := p.temporary(t); slices.Contains(left, unnamed[0].Reference) {
			t.Errorf("left in the engine: %v", left)
		}
	})
}

func (p place) engine(t *testing.T) *client.Client {
	t.Helper()
	api, err := dialEngine(p.config.Engine, p.config.Engine.Host, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	return api
}

// temporary lists the names of builds that the engine still has. Other tests
// may be building.
func (p place) temporary(t *testing.T) []string {
	t.Helper()
	list, err := p.engine(t).ImageList(t.Context(), client.ImageListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, img := range list.Items {
		for _, tag := range img.RepoTags {
			if strings.HasPrefix(tag, temporaryName+":") {
				out = append(out, tag)
			}
		}
	}
	return out
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		_, err := p.build(t, Build{
			Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nARG TOKEN\n\nRUN seq 1 30 \\\n    # a comment\n    && : ${TOKEN} && echo 'half | done' && printf '10%%\\r20%%' && \\\n    exit 7\n"}),
			Args:    map[string]string{"X": fmt.Sprint(time.Now().UnixNano()), "TOKEN": "argument-canary"},
		})
		var failed *BuildError
		if !errors.As(err, &failed) {
			t.Fatalf("%v is no BuildError", err)
		}
		if failed.Start != 4 || failed.End != 7 || filepath.Base(failed.Dockerfile) != "Dockerfile" {
			t.Errorf("%s:%d-%d", failed.Dockerfile, failed.Start, failed.End)
		}
		if n := len(failed.Log); n != maxLog || failed.Log[n-1] != "20%" || failed.Log[n-2] != "half | done" || failed.Log[n-3] != "30" {
			t.Errorf("log %q", failed.Log)
		}
		if text := err.Error(); !strings.Contains(text, "Dockerfile:4: ") || !strings.HasSuffix(text, "exit code: 7") || strings.Contains(text, "\n") || strings.Contains(text, "canary") {
			t.Errorf("%q", text)
		}
	})
}

func TestBuildSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		for name, c := range map[string]struct {
			dockerfile, want string
			b                Build
		}{
			"no such base":   {"FROM 127.0.0.1:5055/no/such:1\n", "no/such:1: ", Build{}},
			"no such file":   {"FROM scratch\nCOPY nothing /\n", "not found", Build{}},
			"no such stage":  {"FROM scratch\n", "target stage", Build{Target: "x"}},
			"not one":        {"FRUM scratch\n", "FRUM", Build{}},
			"no secret":      {"FROM alpine:3.22\nRUN --mount=type=secret,id=none,required=true true\n", "secret none", Build{}},
			"unreachable ca": {"FROM scratch\nCOPY Dockerfile /\n", "cache", Build{CacheTo: []CachePlace{{Type: "registry", Attrs: map[string]string{"ref": "127.0.0.1:1/no/such"}}}}},
		} {
			c.b.Context = folder(t, map[string]string{"Dockerfile": c.dockerfile})
			_, err := p.build(t, c.b)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || errors.Is(err, ErrUsage) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	})
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\n", "folder/x": ""})
	for want, b := range map[string]Build{
		"no context is named":       {},
		"there is no folder":        {Context: filepath.Join(dir, "none")},
		"is no folder":              {Context: filepath.Join(dir, "Dockerfile")},
		"there is no file":          {Context: dir, Dockerfile: filepath.Join(dir, "web.Dockerfile")},
		"is a folder":               {Context: dir, Dockerfile: filepath.Join(dir, "folder")},
		"platform \"linux\"":        {Context: dir, Platforms: []string{"linux"}},
		"none of default, none":     {Context: dir, Network: "bridge"},
		`the context "deps": there`: {Context: dir, Contexts: map[string]string{"deps": filepath.Join(dir, "none")}},
		"holds a login":             {Context: "https://me:t0ken@example.com/r.git"},
		"is none that I know":       {Context: dir, Builder: Builder{Address: "http://example.com"}},
		"but no builder":            {Context: dir, Builder: Builder{TLSDir: dir}},
		"not with unix:///run/x":    {Context: dir, Builder: Builder{Address: "unix:///run/x", TLSDir: dir}},
		"check ca.pem":              {Context: dir, Builder: Builder{Address: "tcp://127.0.0.1:1", TLSDir: dir}},
	} {
		_, err := New(Config{}).Build(t.Context(), b)
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestBuilderOutOfReach(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	for address, want := range map[string]string{
		"unix:///nonexistent.sock": "reaching the builder unix:///nonexistent.sock: there is no such socket; ",
		"tcp://127.0.0.1:1":        "connection refused",
	} {
		_, err := New(Config{}).Build(t.Context(), Build{Context: dir, Builder: Builder{Address: address}})
		if err == nil || errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	_, err := New(Config{Engine: Engine{Host: "unix:///nonexistent.sock"}}).Build(t.Context(), Build{Context: dir})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent.sock") {
		t.Errorf("%v", err)
	}
}

// TestBuildOfAHeredoc: the old engine takes its lines for instructions, and is
// told what it needs.
func TestBuildOfAHeredoc(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		_, err := p.build(t, Build{Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nRUN <<EOF\ntrue\nEOF\n"})})
		var failed *BuildError
		switch {
		case !p.old():
			if err != nil {
				t.Error(err)
			}
		case !errors.As(err, &failed) || failed.Start != 3 || !strings.Contains(err.Error(), "# syntax="):
			t.Errorf("%v", err)
		}
	})
}

// TestBuildWarnsOfAPlatform that the base does not have.
func TestBuildWarnsOfAPlatform(t *testing.T) {
	t.Parallel()
	p := place{builder: Builder{Address: bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}}
	images, err := p.build(t, Build{Context: folder(t, map[string]string{"Dockerfile": "from alpine:3.22\nCOPY Dockerfile /x\n"}), Platforms: []string{"linux/s390x"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := images[0].Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], "InvalidBaseImagePlatform") {
		t.Errorf("%q", got)
	}
}

// TestBuildPlatforms builds for a platform whose programs cannot run here.
func TestBuildPlatforms(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /x\n", "amd64": "1", "arm64": "22"})
		images, err := p.build(t, Build{Context: dir, Platforms: []string{"linux/arm64", "linux/amd64"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, img := range images {
			got = append(got, img.Platform+" "+names(t, img)[0][0])
			if len(img.Definition()) == 0 {
				t.Errorf("%s has no steps", img.Platform)
			}
		}
		if diff := cmp.Diff([]string{"linux/arm64 x=22", "linux/amd64 x=1"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBuildNamedContexts(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		dir := folder(t, map[string]string{"app/Dockerfile": "FROM scratch\nCOPY --from=deps file /\n", "deps/file": "from deps"})
		images, err := p.build(t, Build{Context: filepath.Join(dir, "app"), Contexts: map[string]string{"deps": filepath.Join(dir, "deps")}})
		if p.old() {
			if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "too old for named contexts") {
				t.Errorf("%v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]string{{"file=from deps"}}, names(t, images[0])); diff != "" {
			t.Error(diff)
		}
	})
}

// TestBuildCache keeps a cache in a folder and builds from it alone.
func TestBuildCache(t *testing.T) {
	t.Parallel()
	p := place{builder: Builder{Address: bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}}
	dir, cache := folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nARG X\nRUN echo $X > /x\n"}), t.TempDir()
	x := map[string]string{"X": fmt.Sprint(time.Now().UnixNano())}
	images, err := p.build(t, Build{Context: dir, Args: x, CacheTo: []CachePlace{{Type: "local", Attrs: map[string]string{"dest": cache, "mode": "max"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cache, "index.json")); err != nil {
		t.Fatal(err)
	}
	again, err := p.build(t, Build{Context: dir, Args: x, CacheFrom: []CachePlace{{Type: "local", Attrs: map[string]string{"src": cache}}}})
	if err != nil {
		t.Fatal(err)
	}
	if images[0].Digest != again[0].Digest {
		t.Errorf("built %s, then %s", images[0].Digest, again[0].Digest)
	}
}

func TestBuildIsCancelled(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		dir := folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nARG X\nRUN echo started; sleep 600\n"})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		started := &lookout{word: "started", seen: cancel}
		begun := time.Now()
		_, err := New(p.config).Build(ctx, Build{
			Context: dir, Builder: p.builder, Network: "none", Progress: started, Args: map[string]string{"X": fmt.Sprint(begun.UnixNano())},
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
		if took := time.Since(begun); took > 2*time.Minute {
			t.Errorf("it took %s to stop", took)
		}
	})
}

// lookout calls seen when a word is written.
type lookout struct {
	word string
	seen func()
	once sync.Once
	mu   sync.Mutex
	text strings.Builder
}

func (l *lookout) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	// The step's own name holds the word as well, behind "echo ".
	if strings.Contains(strings.ReplaceAll(l.text.String(), "echo "+l.word, ""), l.word) {
		l.once.Do(l.seen)
	}
	return len(p), nil
}

// TestBuilderGoesAway cuts the connection in the middle of a step.
func TestBuilderGoesAway(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		target := p.builder.Address
		if target == "" {
			target = p.config.Engine.Host
		}
		proxy := newWire(t, strings.TrimPrefix(target, "unix://"))
		if p.builder.Address == "" {
			p.config.Engine.Host = proxy.address
		} else {
			p.builder.Address = proxy.address
		}
		dir := folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nARG X\nRUN echo started; sleep 600\n"})
		_, err := New(p.config).Build(t.Context(), Build{
			Context: dir, Builder: p.builder, Network: "none", Progress: &lookout{word: "started", seen: proxy.cut},
			Args: map[string]string{"X": fmt.Sprint(time.Now().UnixNano())},
		})
		var failed *BuildError
		if err == nil || errors.Is(err, ErrUsage) || errors.As(err, &failed) || !strings.Contains(err.Error(), "the connection was lost") {
			t.Fatalf("%v", err)
		}
	})
}

// wire is a way to a socket that can be cut.
type wire struct {
	address string
	mu      sync.Mutex
	conns   []net.Conn
	listen  net.Listener
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	// A path of its own: that of t.TempDir is too long for a socket.
	dir, err := os.MkdirTemp("", "cut")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	c := &wire{address: "unix://" + filepath.Join(dir, "s"), listen: l}
	t.Cleanup(c.cut)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", target)
			if err != nil {
				in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			go func() { io.Copy(out, in); out.Close() }()
			go func() { io.Copy(in, out); in.Close() }()
		}
	}()
	return c
}

func (c *wire) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listen.Close()
	for _, conn := range c.conns {
		conn.Close()
	}
}

// TestBuilderTLS shows both certificates over TCP.
func TestBuilderTLS(t *testing.T) {
	t.Parallel()
	address, certs, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT_TLS"), ",")
	dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /x\n"})
	images, err := (place{builder: Builder{Address: address, TLSDir: certs}}).build(t, Build{Context: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, images[0]); len(got) != 1 {
		t.Errorf("%v", got)
	}
	// Only the authority's certificate: the builder wants to know who asks.
	ca, err := os.ReadFile(filepath.Join(certs, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]Builder{
		"no TLS":         {Address: address},
		"no certificate": {Address: address, TLSDir: folder(t, map[string]string{"ca.pem": string(ca)})},
		"another name":   {Address: address, TLSDir: certs, TLSServerName: "example.com"},
	} {
		_, err := (place{builder: b}).build(t, Build{Context: dir})
		if err == nil || errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "reaching the builder "+address) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBuilderInAContainer goes through the engine to a buildctl that passes on
// what it reads, as in a container of the image moby/buildkit.
func TestBuilderInAContainer(t *testing.T) {
	t.Parallel()
	socket := strings.TrimPrefix(bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT"), "unix://")
	buildctl := bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDCTL")
	host, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	p := place{config: Config{Engine: Engine{Host: host}}}
	api := p.engine(t)
	name := strings.ToLower("image-budget-test-" + rand.Text())
	_, err := api.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name:   name,
		Config: &container.Config{Image: "alpine:3.22", Cmd: []string{"sleep", "600"}},
		HostConfig: &container.HostConfig{
			Binds:       []string{buildctl + ":/usr/bin/buildctl:ro", socket + ":/run/buildkit/buildkitd.sock"},
			NetworkMode: "none",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := api.ContainerRemove(context.Background(), name, client.ContainerRemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	if _, err := api.ContainerStart(t.Context(), name, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /x\n"})
	p.builder.Address = "docker-container://" + name
	images, err := p.build(t, Build{Context: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, images[0]); len(got) != 1 {
		t.Errorf("%v", got)
	}
	p.builder.Address = "docker-container://no-such-container"
	if _, err := p.build(t, Build{Context: dir}); err == nil || !strings.Contains(err.Error(), "no container no-such-container") {
		t.Errorf("%v", err)
	}
}

func TestBuildSSH(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	agent, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	onEachBuilder(t, func(t *testing.T, p place) {
		b := Build{
			Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nARG X\nRUN --mount=type=ssh,required=true test -S \"$SSH_AUTH_SOCK\"\n"}),
			SSH:     map[string][]string{"default": {filepath.Join(dir, "s")}},
			Args:    map[string]string{"X": fmt.Sprint(time.Now().UnixNano())},
		}
		if _, err := p.build(t, b); err != nil {
			t.Error(err)
		}
		b.Args["X"] += "0"
		b.SSH = nil
		if _, err := p.build(t, b); err == nil {
			t.Error("there is an agent that nobody gave")
		}
		b.SSH = map[string][]string{"default": {filepath.Join(dir, "none")}}
		if _, err := p.build(t, b); !errors.Is(err, ErrUsage) {
			t.Errorf("an agent that is not there: %v", err)
		}
	})
}

// TestBuildSyntax lets a frontend in an image read the Dockerfile, which the old
// engine needs for heredocs.
func TestBuildSyntax(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		images, err := p.build(t, Build{Context: folder(t, map[string]string{"Dockerfile": "# syntax=docker/dockerfile:1\nFROM alpine:3.22\nRUN <<EOF\necho one > /one\necho two > /two\nEOF\n"})})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]string{{"one=one", "two=two"}}, names(t, images[0])[1:]); diff != "" {
			t.Error(diff)
		}
	})
}

// TestBuilderGoesAwayWhileRead loses the builder between the build and the
// reading of a layer: no figure comes of that.
func TestBuilderGoesAwayWhileRead(t *testing.T) {
	t.Parallel()
	target := strings.TrimPrefix(bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT"), "unix://")
	proxy := newWire(t, target)
	waits := 0
	p := place{builder: Builder{Address: proxy.address}, config: Config{Wait: func(ctx context.Context, _ time.Duration) error {
		waits++
		return ctx.Err()
	}}}
	images, err := p.build(t, Build{Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nCOPY Dockerfile /x\n"})})
	if err != nil {
		t.Fatal(err)
	}
	proxy.cut()
	_, err = Read(t.Context(), images[0], ReadOptions{Workers: 1}, func(_ context.Context, r io.Reader) (int64, error) { return io.Copy(io.Discard, r) })
	if err == nil || !strings.Contains(err.Error(), "reading layer ") || !strings.Contains(err.Error(), "reading from unix://") || waits == 0 {
		t.Errorf("after %d waits: %v", waits, err)
	}
}

// TestBuildCacheInARegistry keeps a cache where a fleet has it.
func TestBuildCacheInARegistry(t *testing.T) {
	t.Parallel()
	p := place{builder: Builder{Address: bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}}
	ref := map[string]string{"ref": fmt.Sprintf("%s/ib/cache:%d", bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY"), time.Now().UnixNano()), "mode": "max"}
	dir := folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nARG X\nRUN echo $X > /x\n"})
	x := map[string]string{"X": fmt.Sprint(time.Now().UnixNano())}
	images, err := p.build(t, Build{Context: dir, Args: x, CacheTo: []CachePlace{{Type: "registry", Attrs: ref}}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.build(t, Build{Context: dir, Args: x, CacheFrom: []CachePlace{{Type: "registry", Attrs: ref}}})
	if err != nil {
		t.Fatal(err)
	}
	if images[0].Digest != again[0].Digest {
		t.Errorf("built %s, then %s", images[0].Digest, again[0].Digest)
	}
}
