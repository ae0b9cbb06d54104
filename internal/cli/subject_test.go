package cli

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// measuring is a measurer as inspect has it, with a DOCKER_HOST.
func measuring(t testing.TB, host string) (*Command, *measurer) {
	t.Helper()
	c := &Command{
		Stdout: io.Discard, Stderr: io.Discard, Now: time.Now,
		Getenv:   func(name string) string { return map[string]string{"DOCKER_HOST": host}[name] },
		Terminal: func(io.Writer) (int, bool) { return 0, false },
	}
	c.runner = actions.FromEnv(c.Getenv)
	c.notes = actions.NewLogWriter(c.Stderr)
	fs := c.flags("inspect", "IMAGE", "")
	mf, bf := fs.measuring(), fs.building()
	if _, err := fs.parse(nil); err != nil {
		t.Fatal(err)
	}
	m, err := c.measurer(mf, nil, false)
	must(t, err)
	m.build = bf
	t.Cleanup(m.close)
	return c, m
}

// layOut writes files below a folder: "name=content", "name->target" or "dir/".
func layOut(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		link, target, linked := strings.Cut(f, "->")
		switch {
		case linked:
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o755))
			must(t, os.Symlink(target, filepath.Join(dir, link)))
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		default:
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
		}
	}
	return dir
}

const subjectDockerfile = `FROM alpine:3.22 AS build
ARG GREETING
RUN mkdir /app && echo "$GREETING" > /app/greeting && ln /app/greeting /app/again && ln -s greeting /app/link
FROM build
WORKDIR /app
COPY package.json ./
ENV PORT=3000 NODE_ENV=production
EXPOSE 3000 53/udp
VOLUME /data
LABEL team=web
USER 1000:1000
STOPSIGNAL SIGQUIT
SHELL ["/bin/ash", "-c"]
ONBUILD RUN echo built
HEALTHCHECK --interval=5s --timeout=2s --retries=4 CMD test -e /app/greeting
ENTRYPOINT ["/bin/cat"]
CMD ["/app/greeting"]
`

// TestSubjectOfABuild builds an image on both engines, and looks at all that
// advice gets of it. Config is complete before a layer was read, and after.
func TestSubjectOfABuild(t *testing.T) {
	t.Parallel()
	registry := bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY")
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			c, m := measuring(t, host)
			dir := layOut(t, "Dockerfile="+subjectDockerfile, ".dockerignore=*.log\n", `package.json={"name": "web"}`, "debug.log=x", "src/a.js=12345")
			w := want{name: "web", files: true, own: true, build: &source.Build{Context: dir, Args: map[string]string{"GREETING": "hello"}}}
			seen := 0
			err := m.openAll(t.Context(), w, nil, func(w want, img *source.Image, err error) {
				seen++
				must(t, err)
				file, target, args, err := c.dockerfileOf(w)
				must(t, err)
				before, err := c.subject(t.Context(), m, w, img, nil, w.build, file, target, args)
				must(t, err)
				if before.Read != nil {
					t.Error("contents of an image that was not measured")
				}
				head, err := m.scan(t.Context(), img, w)
				must(t, err)
				s, err := c.subject(t.Context(), m, w, img, head, w.build, file, target, args)
				must(t, err)
				if diff := cmp.Diff(before.Config, s.Config); diff != "" {
					t.Errorf("config (-before reading +after):\n%s", diff)
				}
				s.Config.Env = slices.DeleteFunc(s.Config.Env, func(e string) bool { return strings.HasPrefix(e, "PATH=") })
				delete(s.Config.Labels, "image-budget.stand-in")
				if diff := cmp.Diff(&footprint.Config{
					Entrypoint: []string{"/bin/cat"}, Cmd: []string{"/app/greeting"}, Env: []string{"PORT=3000", "NODE_ENV=production"},
					User: "1000:1000", WorkingDir: "/app", Ports: []string{"3000/tcp", "53/udp"}, Volumes: []string{"/data"},
					Labels: map[string]string{"team": "web"}, StopSignal: "SIGQUIT", Shell: []string{"/bin/ash", "-c"},
					OnBuild:     []string{"RUN echo built"},
					Healthcheck: &footprint.Healthcheck{Test: []string{"CMD-SHELL", "test -e /app/greeting"}, Interval: 5 * time.Second, Timeout: 2 * time.Second, Retries: 4},
				}, s.Config); diff != "" {
					t.Errorf("config (-want +got):\n%s", diff)
				}
				if s.Image != head || s.File != file || s.Args["GREETING"] != "hello" || string(file.Src) != subjectDockerfile || file.Name != filepath.Join(dir, "Dockerfile") {
					t.Errorf("%+v", s)
				}
				wantContext(t, s, filepath.Join(dir, ".dockerignore"), true, ".dockerignore Dockerfile package.json src/a.js")
				reads(t, m, img, s)
				weight, err := s.Weigh(t.Context(), registry+"/library/alpine:3.22")
				if err != nil || weight < 1_000_000 || weight > 3_000_000 {
					t.Errorf("alpine weighs %v, %v", weight, err)
				}
				for _, ref := range []string{registry + "/library/nothing:1", "oci:" + dir, "docker-daemon:alpine:3.22", ""} {
					if weight, err := s.Weigh(t.Context(), ref); err == nil {
						t.Errorf("%q weighs %v", ref, weight)
					}
				}
			})
			must(t, err)
			if seen != 1 {
				t.Errorf("%d images", seen)
			}
		})
	}
}

// reads asks for contents, and once more.
func reads(t *testing.T, m *measurer, img *source.Image, s *advice.Subject) {
	t.Helper()
	paths := []string{"/app/greeting", "/app/again", "/app/package.json", "/app/link", "/app", "/nothing", "/bin/busybox"}
	first := img.BlobBytesRead()
	for i := range 2 {
		got, err := s.Read(t.Context(), paths...)
		must(t, err)
		text := map[string]string{}
		for path, content := range got {
			text[path] = string(content)
		}
		if diff := cmp.Diff(map[string]string{"/app/greeting": "hello\n", "/app/again": "hello\n", "/app/package.json": `{"name": "web"}`}, text); diff != "" {
			t.Errorf("(-want +read):\n%s", diff)
		}
		read := img.BlobBytesRead()
		if i == 0 && read == first || i == 1 && read != first {
			t.Errorf("reading %d: %d bytes of layers", i, read-first)
		}
		first = read
	}
	if m.blobBytes != first {
		t.Errorf("the report says %d bytes, and %d were read", m.blobBytes, first)
	}
}

func wantContext(t testing.TB, s *advice.Subject, name string, has bool, files string) {
	t.Helper()
	if s.IgnoreName != name || s.HasIgnore != has {
		t.Errorf("the ignore file is %q, there: %v", s.IgnoreName, s.HasIgnore)
	}
	var list []string
	for _, f := range s.Context {
		list = append(list, f.Path)
	}
	if got := strings.Join(list, " "); got != files {
		t.Errorf("the context is %q, want %q", got, files)
	}
}

// TestSubjectWithoutAnImage is all but the image.
func TestSubjectWithoutAnImage(t *testing.T) {
	t.Parallel()
	outside := layOut(t, "secret=*\n")
	large := strings.Repeat("#", maxIgnore)
	for _, tt := range []struct {
		name, dockerfile string
		files            []string
		ignore           string
		has              bool
		context          string
		note             string
	}{
		{"none", "", []string{"Dockerfile=FROM scratch", "a=1"}, ".dockerignore", false, "Dockerfile a", ""},
		{"that of the context", "", []string{"Dockerfile=FROM scratch", ".dockerignore=a", "a=1"}, ".dockerignore", true, ".dockerignore Dockerfile", ""},
		{"an empty one", "", []string{"Dockerfile=FROM scratch", ".dockerignore=", "a=1"}, ".dockerignore", true, ".dockerignore Dockerfile a", ""},
		{"that of the Dockerfile", "docker/web.Dockerfile", []string{"docker/web.Dockerfile=FROM scratch", "docker/web.Dockerfile.dockerignore=docker", ".dockerignore=a", "a=1"}, "docker/web.Dockerfile.dockerignore", true, ".dockerignore a", ""},
		{"one for the usual name", "", []string{"Dockerfile=FROM scratch", "Dockerfile.dockerignore=*\n!a", ".dockerignore=a", "a=1"}, "Dockerfile.dockerignore", true, "a", ""},
		{"beside another Dockerfile", "docker/Dockerfile", []string{"docker/Dockerfile=FROM scratch", "docker/.dockerignore=a", "a=1"}, ".dockerignore", false, "a docker/.dockerignore docker/Dockerfile", ""},
		{"a link inside", "", []string{"Dockerfile=FROM scratch", "ignore=a", ".dockerignore->ignore", "a=1"}, ".dockerignore", true, ".dockerignore Dockerfile ignore", ""},
		{"a link that leads out", "", []string{"Dockerfile=FROM scratch", ".dockerignore->" + outside + "/secret", "a=1"}, "", false, "", "escapes"},
		{"too large", "", []string{"Dockerfile=FROM scratch", ".dockerignore=#" + large}, "", false, "", "no file of at most"},
		{"a folder", "", []string{"Dockerfile=FROM scratch", ".dockerignore/"}, "", false, "", "no file of at most"},
		{"a mistake in it", "", []string{"Dockerfile=FROM scratch", ".dockerignore=a[\n"}, "", false, "", "reading .dockerignore: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := layOut(t, tt.files...)
			c, m := measuring(t, "unix:///nowhere")
			b := &source.Build{Context: dir}
			if tt.dockerfile != "" {
				b.Dockerfile = filepath.Join(dir, tt.dockerfile)
			}
			file, target, args, err := c.dockerfileOf(want{build: b})
			must(t, err)
			s, err := c.subject(t.Context(), m, want{build: b}, nil, nil, b, file, target, args)
			must(t, err)
			name := tt.ignore
			if name != "" {
				name = filepath.Join(dir, name)
			}
			wantContext(t, s, name, tt.has, tt.context)
			if s.Config != nil || s.Read != nil || s.Image != nil || s.File == nil {
				t.Errorf("%+v", s)
			}
			if notes := strings.Join(m.notes, "\n"); (tt.note == "") != (notes == "") || !strings.Contains(notes, tt.note) {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
		})
	}
}

// A context of another machine has files that nobody here knows, and so has one
// that is not said.
func TestSubjectWithoutAFolder(t *testing.T) {
	t.Parallel()
	c, m := measuring(t, "unix:///nowhere")
	for _, b := range []*source.Build{nil, {Context: "https://github.com/acme/web.git"}} {
		file, _, _, err := c.dockerfileOf(want{build: b})
		must(t, err)
		s, err := c.subject(t.Context(), m, want{build: b}, nil, nil, b, file, "", nil)
		must(t, err)
		if s.File != nil || s.IgnoreName != "" || s.Context != nil || len(m.notes) > 0 {
			t.Errorf("%+v, %q", s, m.notes)
		}
	}
	dir := layOut(t)
	if _, _, _, err := c.dockerfileOf(want{build: &source.Build{Context: dir}}); err == nil || !strings.Contains(err.Error(), "reading the Dockerfile: ") {
		t.Errorf("no Dockerfile: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	files := []string{"Dockerfile=FROM scratch"}
	for i := range 300 {
		files = append(files, fmt.Sprintf("f%d=", i))
	}
	b := &source.Build{Context: layOut(t, files...)}
	if _, err := c.subject(ctx, m, want{build: b}, nil, nil, b, nil, "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// What a folder holds is bounded, and so is the work for it.
func TestContextIsBounded(t *testing.T) {
	t.Parallel()
	dir := layOut(t, "a=1", "node_modules/x=1")
	for i := range 3000 {
		must(t, os.WriteFile(filepath.Join(dir, "node_modules", fmt.Sprint(i)), nil, 0o644))
	}
	patterns := strings.Repeat("x\n", maxIgnore/2)
	if _, err := contextFiles(t.Context(), dir, []byte(patterns)); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("many patterns: %v", err)
	}
	// What is ignored as a whole is not walked.
	if got, err := contextFiles(t.Context(), dir, []byte("node_modules\n"+patterns[:maxIgnore/2])); err != nil || len(got) != 1 {
		t.Errorf("an ignored folder: %d files, %v", len(got), err)
	}
}

// TestContextIsWhatABuilderGets compares with what COPY of everything brings.
func TestContextIsWhatABuilderGets(t *testing.T) {
	t.Parallel()
	files := []string{
		"Dockerfile=FROM scratch\nCOPY . /\n", "README.md=1", "docs/a.md=22", "docs/sub/b.md=333", "docs/sub/keep.txt=4", "src/a.go=1", "src/a_test.go=22",
		"src/deep/er/x.log=1", "node_modules/a/index.js=1", "node_modules/a/README.md=1", "link->README.md", "dir->docs", "dangling->nowhere", "empty/", ".git/HEAD=1", "a b=1", "x.log=1",
	}
	host, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	engines := map[string]string{"old": host, "new": strings.TrimPrefix(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), host+",")}
	for i, ignore := range []string{
		"", "node_modules\n.git\n", "*\n!src\n", "**/*.md\n!README.md\n", "docs\n!docs/sub/keep.txt\n", "docs\n!docs/su*/keep.txt\n", "**\n!docs/*.md\n!link\n",
		"# comment\n/x.log\n  docs/  \n\n", "node_modules\n!node_modules/a/README.md\n", "src/**/*.log\nsrc/*_test.go\n", "docs/*\n!docs/sub\ndocs/sub/b.md\n", "a b\n*.l?g\n[r-s]*\n", "./docs/../src\n", "!src\n",
	} {
		for name, host := range engines {
			t.Run(fmt.Sprintf("%d/%s", i, name), func(t *testing.T) {
				t.Parallel()
				dir := layOut(t, append([]string{".dockerignore=" + ignore}, files...)...)
				_, m := measuring(t, host)
				images, err := m.opener.Build(t.Context(), source.Build{Context: dir})
				must(t, err)
				defer images[0].Close()
				layers, err := source.Read(t.Context(), images[0], source.ReadOptions{}, func(_ context.Context, r io.Reader) ([]string, error) {
					var got []string
					tr := tar.NewReader(r)
					for {
						h, err := tr.Next()
						if err != nil {
							return got, ignoreEOF(err)
						}
						if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeSymlink {
							got = append(got, fmt.Sprintf("%s %d", h.Name, h.Size))
						}
					}
				})
				must(t, err)
				list, err := contextFiles(t.Context(), dir, []byte(ignore))
				must(t, err)
				var got []string
				for _, f := range list {
					got = append(got, fmt.Sprintf("%s %d", f.Path, f.Bytes))
				}
				want := slices.Sorted(slices.Values(layers[0]))
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf(".dockerignore %q (-built +listed):\n%s", ignore, diff)
				}
			})
		}
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func FuzzContext(f *testing.F) {
	for _, ignore := range []string{"*\n!src\n", "**/a\n!b[\n", "\xef\xbb\xbf# x\n!\n", "a\\\n!**\n/\n..\n"} {
		f.Add([]byte(ignore))
	}
	dir := layOut(f, "a=1", "src/b=1", "src/c/d=1", "link->a")
	all, err := contextFiles(f.Context(), dir, nil)
	if err != nil || len(all) != 4 {
		f.Fatal(all, err)
	}
	f.Fuzz(func(t *testing.T, ignore []byte) {
		got, err := contextFiles(t.Context(), dir, ignore)
		if err != nil {
			return
		}
		for _, one := range got {
			if !slices.Contains(all, one) {
				t.Errorf("%q is not there", one.Path)
			}
		}
	})
}
