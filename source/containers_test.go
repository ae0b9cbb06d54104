package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/internal/bench"
)

// prober builds the program that is copied into containers.
func prober(t *testing.T, cgo string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-o", path, "../verify/testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// overTCP makes an engine's socket a port, as a remote engine has one.
func overTCP(t *testing.T, socket string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("unix", strings.TrimPrefix(socket, "unix://"))
			if err != nil {
				here.Close()
				return
			}
			go func() {
				_, _ = io.Copy(there, here)
				_ = there.(*net.UnixConn).CloseWrite()
			}()
			go func() {
				_, _ = io.Copy(here, there)
				_ = here.(*net.TCPConn).CloseWrite()
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

// TestContainers starts an image without a shell and one with much on each
// engine, and on one of them through a port.
func TestContainers(t *testing.T) {
	t.Parallel()
	static := prober(t, "0")
	engines := strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	for _, host := range append(engines, overTCP(t, engines[0])) {
		t.Run(strings.NewReplacer("unix:///run/ib/", "", "/", "", ":", "").Replace(host), func(t *testing.T) {
			t.Parallel()
			program := static
			if _, err := exec.LookPath("gcc"); err == nil && strings.HasPrefix(host, "tcp:") {
				program = prober(t, "1") // as go run builds it: with libraries
			}
			o := New(Config{Engine: Engine{Host: host}})
			images, err := o.Build(t.Context(), Build{Network: "none", Context: folder(t, map[string]string{
				// Busybox alone: no shell can be run by its name.
				"Dockerfile": `FROM alpine:3.22 AS from
FROM scratch
COPY --from=from /bin/busybox /busybox
COPY index.html /www/
VOLUME /data
CMD ["/busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/www"]
HEALTHCHECK --interval=1h CMD ["/busybox", "true"]
STOPSIGNAL SIGKILL
`, "index.html": "hello",
			})})
			if err != nil {
				t.Fatal(err)
			}
			defer images[0].Close()
			run := strings.ReplaceAll(t.Name(), "/", "-")
			c, err := o.Containers(t.Context(), ContainerOptions{Run: run, Memory: 64 << 20, Prober: []string{program, "probe"}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Blind(); err != nil {
				t.Fatal(err)
			}
			id := images[0].EngineID()
			_, err = c.Start(t.Context(), ContainerSpec{Image: id, Command: []string{"/nothing"}})
			if err == nil || !strings.Contains(err.Error(), `exec: "/nothing"`) || strings.Contains(err.Error(), "\n") {
				t.Errorf("a program that is not there: %v", err)
			}
			web, err := c.Start(t.Context(), ContainerSpec{Image: "busybox-of-nobody"})
			if err == nil {
				t.Errorf("started %v, which is no image", web)
			}
			job, err := c.Start(t.Context(), ContainerSpec{Image: "alpine:3.22", Command: []string{
				"/bin/sh", "-c", `echo out; echo err >&2; echo x > /made; hostname; cat; ls /sys/class/net | tr '\n' ' '; head -c 200000 /dev/zero | tr '\0' 'x'; echo end; exit 7`,
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer job.Close()
			state := waitFor(t, job, func(s ContainerState) bool { return !s.Running })
			stdout, stderr, err := job.Logs(t.Context())
			if err != nil || state.ExitCode != 7 || !strings.HasPrefix(string(stdout), "out\nimage-budget\nlo ") || !strings.HasSuffix(string(stdout), "xend\n") || len(stdout) != maxContainerLog || string(stderr) != "err\n" {
				t.Errorf("%+v, %d bytes from %.60q, %q, %v", state, len(stdout), stdout, stderr, err)
			}
			changes, err := job.Changes(t.Context())
			if err != nil || !slices.Contains(changes, "A /made") {
				t.Errorf("%v %v", changes, err)
			}
			for path, want := range map[string]bool{"/made": true, "/nowhere/x": false} {
				if got, err := job.Exists(t.Context(), path); err != nil || got != want {
					t.Errorf("%s: %v %v", path, got, err)
				}
			}
			if _, err := job.Listening(t.Context()); err == nil {
				t.Error("a container that ended has a network")
			}
			big, err := c.Start(t.Context(), ContainerSpec{Image: "alpine:3.22", Command: []string{"/bin/sh", "-c", "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}"}})
			if err != nil {
				t.Fatal(err)
			}
			defer big.Close()
			if state := waitFor(t, big, func(s ContainerState) bool { return !s.Running }); state.ExitCode == 0 {
				t.Errorf("it had all the memory it wanted: %+v", state)
			}
			web, err = c.Start(t.Context(), ContainerSpec{Image: id, Command: []string{"/busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/www"}, HealthInterval: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer web.Close()
			if state := waitFor(t, web, func(s ContainerState) bool { return s.Health != "starting" || !s.Running }); state.Health == "" {
				t.Errorf("%+v", state)
			}
			// What is listened on is seen a moment later.
			var ports []string
			for range 50 {
				if ports, err = web.Listening(t.Context()); err != nil || len(ports) > 0 {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			if err != nil || !slices.Equal(ports, []string{"tcp/127.0.0.1:8080"}) {
				t.Errorf("%v %v", ports, err)
			}
			conn, err := web.Dial(t.Context(), 8080)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
			answer, err2 := io.ReadAll(conn)
			if err := errors.Join(err, err2, conn.Close()); err != nil || !strings.HasSuffix(string(answer), "hello") {
				t.Errorf("%q %v", answer, err)
			}
			conn, err = web.Dial(t.Context(), 8081)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "refused") {
				t.Errorf("nobody listens there: %v", err)
			}
			conn.Close()
			code, out, err := web.Exec(t.Context(), []string{"/busybox", "cat", "/www/index.html"})
			if err != nil || code != 0 || string(out) != "hello" {
				t.Errorf("%d %q %v", code, out, err)
			}
			code, _, err = web.Exec(t.Context(), []string{"/nothing"})
			if err == nil && code == 0 {
				t.Error("a command that is not there was run")
			}
			short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			if _, _, err := web.Exec(short, []string{"/busybox", "sleep", "60"}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a command without end: %v", err)
			}
			cancel()
			if err := web.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			waitFor(t, web, func(s ContainerState) bool { return !s.Running })
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := c.Start(cancelled, ContainerSpec{Image: id}); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			if left, err := c.Left(t.Context(), run); err != nil || len(left) < 4 {
				t.Errorf("%v %v", left, err)
			}
			if err := errors.Join(job.Close(), big.Close(), web.Close(), web.Close()); err != nil {
				t.Error(err)
			}
			if left, err := c.Left(t.Context(), run); err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

func waitFor(t *testing.T, c *Container, done func(ContainerState) bool) ContainerState {
	t.Helper()
	for range 200 {
		s, err := c.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if done(s) {
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("it takes too long")
	return ContainerState{}
}

// TestBlind has programs that cannot be run in a container.
func TestBlind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	static := prober(t, "0")
	needy := filepath.Join(dir, "needy")
	program, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(needy, bytes.ReplaceAll(program, []byte("libc.so.6"), []byte("libx.so.6")), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		prober       []string
		system, arch string
		says         string
	}{
		{[]string{static}, "linux", "amd64", ""},
		{nil, "linux", "amd64", "no program"},
		{[]string{static}, "windows", "amd64", "for windows"},
		{[]string{static}, "linux", "arm64", "another processor"},
		{[]string{script}, "linux", "amd64", "none for Linux"},
		{[]string{filepath.Join(dir, "missing")}, "linux", "amd64", "none for Linux"},
		{[]string{"/bin/sh"}, "linux", "amd64", ""},
		{[]string{needy}, "linux", "amd64", "(libx.so.6 is not found); build it with CGO_ENABLED=0"},
	} {
		libs, err := checkProber(c.prober, c.system, c.arch)
		if len(c.prober) > 0 && c.prober[0] == "/bin/sh" && (len(libs) < 2 || !strings.Contains(libs[0], "/ld")) {
			t.Errorf("it needs %v", libs)
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v on %s/%s: %v, want %q", c.prober, c.system, c.arch, err, c.says)
		}
	}
}

// TestBuildContent builds texts that are no files, of the same length.
func TestBuildContent(t *testing.T) {
	t.Parallel()
	onEachBuilder(t, func(t *testing.T, p place) {
		dir := folder(t, map[string]string{"web.Dockerfile": "FROM none\n", "web.Dockerfile.dockerignore": "ignored\n", "kept": "1", "ignored": "2"})
		for _, name := range []string{"one", "two"} {
			images, err := p.build(t, Build{Context: dir, Dockerfile: filepath.Join(dir, "web.Dockerfile"), Content: []byte("FROM scratch\nCOPY *e* /" + name + "/\n")})
			if err != nil {
				t.Fatal(err)
			}
			got := names(t, images[0])
			want := []string{name + "/kept=1", name + "/web.Dockerfile=FROM none", name + "/web.Dockerfile.dockerignore=ignored"}
			if len(got) != 1 || !slices.Equal(got[0], want) {
				t.Errorf("%v, want %v", got, want)
			}
		}
		// No file of that name has to be there.
		if _, err := p.build(t, Build{Context: dir, Content: []byte("FROM scratch\nCOPY kept /\n")}); err != nil {
			t.Error(err)
		}
		var failed *BuildError
		_, err := p.build(t, Build{Context: dir, Content: []byte("FROM alpine:3.22\n\nRUN exit 9\n")})
		if !errors.As(err, &failed) || failed.Start != 3 {
			t.Errorf("%v", err)
		}
	})
	_, err := New(Config{}).Build(t.Context(), Build{Context: "https://example.com/x.git", Content: []byte("FROM scratch\n")})
	if !errors.Is(err, ErrUsage) {
		t.Errorf("a context that the builder fetches: %v", err)
	}
}

// TestBuildLoaded runs what a builder without images built.
func TestBuildLoaded(t *testing.T) {
	t.Parallel()
	builder := Builder{Address: bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		o := New(Config{Engine: Engine{Host: host}})
		images, err := o.BuildLoaded(t.Context(), Build{Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nCMD [\"echo\", \"loaded\"]\n"}), Builder: builder})
		if err != nil {
			t.Fatal(err)
		}
		img := images[0]
		c, err := o.Containers(t.Context(), ContainerOptions{Run: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Start(t.Context(), ContainerSpec{Image: img.EngineID()})
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, r, func(s ContainerState) bool { return !s.Running })
		stdout, _, err := r.Logs(t.Context())
		if err != nil || string(stdout) != "loaded\n" {
			t.Errorf("%q %v", stdout, err)
		}
		if err := errors.Join(r.Close(), c.Close(), img.Close()); err != nil {
			t.Error(err)
		}
		// What it was called there is forgotten.
		p := place{config: Config{Engine: Engine{Host: host}}}
		if left := p.temporary(t); len(left) > 5 {
			t.Errorf("left: %v", left)
		}
		var failed *BuildError
		if _, err := o.BuildLoaded(t.Context(), Build{Context: folder(t, map[string]string{"Dockerfile": "FROM alpine:3.22\nRUN exit 3\n"}), Builder: builder}); !errors.As(err, &failed) {
			t.Errorf("%v", err)
		}
	}
}
