package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
)

// regression is a change for the worse that was made on purpose.
type regression struct {
	// folder is that in testdata/regressions: with before.Dockerfile and
	// after.Dockerfile, or one Dockerfile where only the context changes.
	folder string
	// context makes the rest of the context, as it was before or is after.
	context func(t *testing.T, dir string, after bool)
	// by is how the line to blame begins, in the Dockerfile of afterwards.
	by string
	// cause is what the first cause must have; of its packages the first.
	cause wantedCause
	// says must stand in the comment's first cause.
	says []string
}

type wantedCause struct {
	label, path string
	fate        footprint.Fate
	base        bool
	ecosystem   string
	packages    string
	through     string
	dev         bool
	copyOf      string
	strippable  bool
	// most is the part of the growth in percent that it must at least be.
	most int
}

const someApp = "exec sleep 600\n"

func regressions() []regression {
	app := func(t *testing.T, dir string, _ bool) {
		write(t, dir, "app/run", someApp)
	}
	// The lock files are what npm install --package-lock-only makes of the same.
	node := func(dev bool) func(t *testing.T, dir string, after bool) {
		return func(t *testing.T, dir string, after bool) {
			lock, more := "before.json", ""
			if after && dev {
				lock, more = "after.json", `, "devDependencies": {"nodemon": "3.1.4"}`
			}
			locked, err := os.ReadFile(filepath.Join("testdata", "regressions", "node", lock))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "package-lock.json", string(locked))
			write(t, dir, "package.json", `{"name": "app", "version": "1.0.0", "private": true, "dependencies": {"express": "4.19.2"}`+more+"}\n")
			write(t, dir, "src/server.js", "require('express')().listen(3000)\n")
		}
	}
	return []regression{
		{
			folder: "apt-package", context: app, by: "RUN apt-get update",
			cause: wantedCause{ecosystem: "dpkg", through: "curl", most: 75},
			says:  []string{"apt: ", "curl"},
		},
		{
			folder: "dev-dependency", by: "RUN npm ci", context: node(true),
			cause: wantedCause{ecosystem: "npm", through: "nodemon", dev: true, most: 80},
			says:  []string{"npm: ", "nodemon", "dev"},
		},
		{
			folder: "chown", context: node(false), by: "RUN chown -R",
			cause: wantedCause{path: "/app", fate: footprint.Rewritten, most: 95},
			says:  []string{"waste: `/app", "shipped again, unchanged"},
		},
		{
			folder: "forgotten-cache", context: app, by: "RUN apt-get update",
			cause: wantedCause{label: "apt lists", path: "/var/lib/apt/lists", most: 95},
			says:  []string{"apt lists `/var/lib/apt/lists`"},
		},
		{
			folder: "forgotten-npm-cache", context: node(false), by: "RUN npm ci",
			cause: wantedCause{label: "npm cache", path: "/root/.npm/_cacache", most: 95},
			says:  []string{"npm cache `/root/.npm/_cacache`"},
		},
		{
			folder: "base-bump", context: app, by: "FROM node",
			cause: wantedCause{base: true, most: 100},
			says:  []string{"base image", "node:20-alpine", "debian:bookworm-slim"},
		},
		{
			folder: "git-history", context: gitContext, by: "COPY . .",
			cause: wantedCause{label: "git history", path: "/app/.git", most: 95},
			says:  []string{"git history `/app/.git`"},
		},
		{
			folder: "debug-symbols", context: goContext, by: "COPY --from=build /out/server",
			cause: wantedCause{ecosystem: "golang", through: "example.com/server", path: "/usr/local/bin/server", strippable: true, most: 95},
			says:  []string{"Go: `example.com/server`", "debug symbols"},
		},
		{
			folder: "copied-build-directory", context: app, by: "COPY --from=build /src ./build",
			cause: wantedCause{path: "/app/build/dist", copyOf: "/app/dist", most: 95},
			says:  []string{"`/app/build/dist`", "`/app/dist`"},
		},
		{
			folder: "model-file", by: "COPY . .",
			context: func(t *testing.T, dir string, after bool) {
				app(t, dir, after)
				write(t, dir, "requirements.txt", "fastapi==0.115.0\n")
				write(t, dir, "models/labels.txt", "cat\ndog\n")
				if after {
					noise(t, dir, "models/classifier.onnx", 20_000_000, 1)
				}
			},
			cause: wantedCause{path: "/app/models/classifier.onnx", most: 99},
			says:  []string{"`/app/models/classifier.onnx`"},
		},
		{
			folder: "second-jdk", by: "COPY jdk-21",
			context: func(t *testing.T, dir string, after bool) {
				app(t, dir, after)
				jdk(t, dir, "jdk-17", 1)
				jdk(t, dir, "jdk-21", 2)
			},
			cause: wantedCause{path: "/opt/jdk-21", most: 99},
			says:  []string{"`/opt/jdk-21`"},
		},
		{
			folder: "second-jdk-by-apt", by: "RUN apt-get update",
			context: func(t *testing.T, dir string, after bool) {
				app(t, dir, after)
				jdk(t, dir, "jdk-21", 2)
			},
			cause: wantedCause{ecosystem: "dpkg", packages: "openjdk-17-jre-headless", through: "ant", most: 80},
			says:  []string{"apt: ", "openjdk-17-jre-headless", "ant"},
		},
	}
}

// TestRegressionsMadeOnPurpose builds images before and after a change for the
// worse, and holds the first causes of the comment to it: in an engine that has
// both, against a stored baseline, and against one stored elsewhere, so that
// every layer is built anew.
func TestRegressionsMadeOnPurpose(t *testing.T) {
	t.Parallel()
	engine, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	for _, r := range regressions() {
		t.Run(r.folder, func(t *testing.T) {
			t.Parallel()
			p := projectOf(t, r, engine)
			p.run("before", "baseline", "save", "--baseline", "file:../baseline.json")
			got := ""
			for _, way := range []struct {
				name string
				args []string
			}{
				{"compared with the image", []string{"--baseline", "build:../before"}},
				{"compared with a stored baseline", []string{"--baseline", "file:../baseline.json"}},
				{"compared with a stored baseline, and built without a cache", []string{"--baseline", "file:../baseline.json", "--no-cache"}},
			} {
				causes := p.check(t, way.name, r, way.args)
				got += way.name + "\n\n" + causes + "\n"
			}
			golden(t, filepath.Join("testdata", "regressions", r.folder, "want"), got)
		})
	}
}

// project is the folder of an image, as it was and as it is.
type project struct {
	t      *testing.T
	dir    string
	engine string
	// line is the one to blame.
	line int
}

func projectOf(t *testing.T, r regression, engine string) *project {
	p := &project{t: t, dir: t.TempDir(), engine: engine}
	for _, side := range []string{"before", "after"} {
		dir := filepath.Join(p.dir, side)
		file, err := os.ReadFile(filepath.Join("testdata", "regressions", r.folder, side+".Dockerfile"))
		if os.IsNotExist(err) {
			file, err = os.ReadFile(filepath.Join("testdata", "regressions", r.folder, "Dockerfile"))
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "Dockerfile", string(file))
		write(t, dir, ".image-budget.yml", "version: 1\nimages:\n  app:\n    build: {context: .}\n    limits:\n      unpacked: {growth: 1kB}\n")
		r.context(t, dir, side == "after")
		for i, line := range strings.Split(string(file), "\n") {
			if side == "after" && strings.HasPrefix(line, r.by) {
				p.line = i + 1
			}
		}
	}
	if p.line == 0 {
		t.Fatalf("no line begins with %q", r.by)
	}
	return p
}

// run runs the program in the folder of one side. It may find the image over its budget.
func (p *project) run(side string, args ...string) {
	p.t.Helper()
	cmd := exec.Command("image-budget", append(args, "--progress", "plain")...)
	cmd.Dir = filepath.Join(p.dir, side)
	cmd.Env = append(atATerminal(), "DOCKER_HOST="+p.engine)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if code := exitCode(p.t, cmd.Run()); code > 1 {
		p.t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), code, out.String())
	}
}

// checked is what the JSON report of a check says.
type checked struct {
	Images []struct {
		Layers []struct {
			Origin *struct{ Start, End int }
		}
		Base *struct {
			Origin *struct{ Start, End int }
		}
		Delta struct {
			Unpacked footprint.Bytes
			Base     *struct{ Change footprint.Change }
			Causes   []struct {
				Bytes       footprint.Bytes
				Base        bool
				Label, Path string
				Fate        footprint.Fate
				Layer       int
				Packages    []footprint.PackageChange
				More        int
				Strippable  footprint.Bytes
				CopyOf      string `json:"copy_of"`
				Mostly      bool
			}
		}
	}
}

// check checks the image of afterwards, and returns the first causes as the
// comment has them.
func (p *project) check(t *testing.T, name string, r regression, args []string) string {
	p.run("after", append([]string{"check", "--output", "json=../report.json", "--output", "markdown=../report.md"}, args...)...)
	var rep checked
	text, err := os.ReadFile(filepath.Join(p.dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &rep)
	}
	if err != nil {
		t.Fatal(err)
	}
	comment, err := os.ReadFile(filepath.Join(p.dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := causeRow.FindAllStringSubmatch(string(comment), -1)
	img := rep.Images[0]
	if len(img.Delta.Causes) == 0 || len(rows) == 0 {
		t.Fatalf("%s: no causes\n%s", name, comment)
	}
	c, want := img.Delta.Causes[0], r.cause
	found := ""
	for _, row := range rows {
		found += row[1] + "\n"
	}
	line := 0
	if c.Layer >= 0 && img.Layers[c.Layer].Origin != nil {
		line = img.Layers[c.Layer].Origin.Start
	} else if c.Base && img.Base.Origin != nil {
		line = img.Base.Origin.Start
	}
	got := wantedCause{label: c.Label, path: c.Path, fate: c.Fate, base: c.Base, copyOf: c.CopyOf, strippable: c.Strippable > 0, most: want.most}
	if len(c.Packages) > 0 {
		first := c.Packages[0]
		got.ecosystem, got.dev = first.Ecosystem, first.Dev
		if got.through = first.Through; got.through == "" {
			got.through = first.Name
		}
		if want.packages != "" {
			got.packages = first.Name
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(wantedCause{})); diff != "" {
		t.Errorf("%s: the first cause (-want +got):\n%s\n%s", name, diff, found)
	}
	for _, row := range rows[:min(len(rows), 3)] {
		if strings.Contains(row[0], "rest of `/`") {
			t.Errorf("%s: no place at all is among the first three causes: %s", name, row[0])
		}
	}
	if line != p.line {
		t.Errorf("%s: the first cause is of line %d, want %d\n%s", name, line, p.line, found)
	}
	if part := c.Bytes * 100 / max(img.Delta.Unpacked, 1); part < footprint.Bytes(want.most) {
		t.Errorf("%s: the first cause is %d %% of the growth, want at least %d %%\n%s", name, part, want.most, found)
	}
	for _, words := range append([]string{fmt.Sprintf("Dockerfile:%d", p.line)}, r.says...) {
		if !strings.Contains(rows[0][0], words) {
			t.Errorf("%s: the first cause does not say %q: %s", name, words, rows[0][0])
		}
	}
	first := strings.Join(strings.SplitAfter(found, "\n")[:min(len(rows), 3)], "")
	return others.ReplaceAllString(figure.ReplaceAllString(first, "N"), "and N more")
}

var (
	causeRow = regexp.MustCompile(`(?m)^([0-9]+\. (?:\*\*)?\+.*)$`)
	// What a mirror has today is not for a test to know.
	figure = regexp.MustCompile(`[0-9][0-9.]* [kMG]?B`)
	others = regexp.MustCompile(`and [0-9]+ more`)
)

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); if it is right: go test . -run %s -update\n%s", path, t.Name(), diff)
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// noise writes a file that does not compress, the same one each time.
func noise(t *testing.T, dir, name string, size int, seed byte) {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content) // never fails
	write(t, dir, name, string(content))
}

// jdk writes what makes a JDK heavy.
func jdk(t *testing.T, dir, name string, seed byte) {
	t.Helper()
	write(t, dir, name+"/release", `JAVA_VERSION="`+strings.TrimPrefix(name, "jdk-")+"\"\nIMPLEMENTOR=\"Eclipse Adoptium\"\n")
	noise(t, dir, name+"/lib/modules", 12_000_000, seed)
	noise(t, dir, name+"/lib/server/libjvm.so", 4_000_000, seed+100)
	noise(t, dir, name+"/bin/java", 12_000, seed+101)
	noise(t, dir, name+"/jmods/java.base.jmod", 2_000_000, seed+102)
}

// gitContext is a repository with some history, and without the .dockerignore
// that it had.
func gitContext(t *testing.T, dir string, after bool) {
	write(t, dir, "run", someApp)
	if !after {
		write(t, dir, ".dockerignore", ".git\n")
	}
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	git("init")
	for i := range 5 {
		noise(t, dir, "assets/logo.png", 100_000+i, byte(i))
		git("add", ".")
		git("commit", "-m", fmt.Sprint("logo ", i))
	}
}

func goContext(t *testing.T, dir string, _ bool) {
	write(t, dir, "go.mod", "module example.com/server\n\ngo 1.24\n")
	write(t, dir, "main.go", `package main

import "fmt"

func main() {
	fmt.Println("serving")
}
`)
}
