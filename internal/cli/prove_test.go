package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// staticProber builds the part of this program that looks into containers.
func staticProber(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-o", path, "../../verify/testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

const provenOriginal = `FROM node:20-alpine
WORKDIR /app
COPY . .
RUN head -c 3000000 /dev/zero > /tools
LABEL team=web
EXPOSE 3000
CMD node server.js
`

const provenStage = `FROM node:20-alpine
WORKDIR /app
COPY --from=build /app/server.js ./
LABEL team=web
EXPOSE 3000
`

// TestProve builds and runs on an engine what was built there and what another
// builder built.
func TestProve(t *testing.T) {
	t.Parallel()
	engine, _, _ := strings.Cut(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	builders := map[string]string{"engine": "", "buildkitd": bench.Setting(t, "IMAGE_BUDGET_TEST_BUILDKIT")}
	for name, builder := range builders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range map[string]string{
				"Dockerfile": provenOriginal,
				"server.js":  `require('http').createServer((q, r) => r.end('Hello at ' + Date.now())).listen(3000, () => console.log('ready'))`,
			} {
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
			}
			var stderr bytes.Buffer
			c := &Command{
				Stdout: io.Discard, Stderr: &stderr, Now: time.Now, Executable: staticProber(t),
				Getenv:   func(name string) string { return map[string]string{"DOCKER_HOST": engine}[name] },
				Terminal: func(io.Writer) (int, bool) { return 0, false },
				notes:    actions.NewLogWriter(&stderr), log: zerolog.Nop(),
			}
			fs := c.flags("test", "", "")
			f, mf, bf := fs.verifying(), fs.measuring(), fs.building()
			if _, err := fs.parse([]string{"--progress", "quiet"}); err != nil {
				t.Fatal(err)
			}
			m, err := c.measurer(mf, nil, false)
			must(t, err)
			defer m.close()
			m.build = bf
			w := want{name: "web", files: true, build: &source.Build{Context: dir, Network: "none", Builder: source.Builder{Address: builder}}}
			images, err := m.buildImages(t.Context(), w)
			must(t, err)
			defer images[0].Close()
			head, err := m.scan(t.Context(), images[0], w)
			must(t, err)
			build := strings.Replace(provenOriginal, "node:20-alpine", "node:20-alpine AS build", 1)
			got, index := c.prove(t.Context(), m, w, images[0], head, nil, nil, []advice.Candidate{
				{Name: "as it was", Dockerfile: []byte(provenOriginal + "RUN head -c 10 /dev/zero > /more\n")},
				{Name: "without the server", Dockerfile: []byte(build + strings.Replace(provenStage, "server.js ./", "server.js ./other.js", 1) + "CMD node server.js\n")},
				{Name: "in two stages", Dockerfile: []byte(build + provenStage + "CMD [\"node\", \"server.js\"]\n")},
			}, f)
			t.Logf("%s %d: %s, %s → %s %s", got.Status, index, got.Same, got.Before, got.After, got.Reason)
			tried := ""
			for _, a := range got.Tried {
				tried += fmt.Sprintf("%s: %s\n", a.Name, a.Reason)
			}
			t.Log(tried)
			if got.Status != footprint.Verified || index != 2 || got.Same != "same answers on :3000/" || got.Before-got.After < 3_000_000 ||
				!strings.Contains(tried, "as it was: it is not smaller") || !strings.Contains(tried, "without the server: it ends with exit status 1") {
				t.Errorf("%+v\n%s", got, stderr.String())
			}
		})
	}
}

// TestOwnSettings tells what the author set from what the base says of itself.
func TestOwnSettings(t *testing.T) {
	t.Parallel()
	file, err := dockerfile.Parse("Dockerfile", []byte("FROM a AS other\nLABEL other=1\nFROM b AS base\nENV A=1 \"B\"=2\nLABEL one=1 \"two.three\"=\"base x\"\nFROM base\nENV C 3\nLABEL maintainer me\n"))
	must(t, err)
	got := ownSettings(file, "", nil, &source.Build{Labels: map[string]string{"added": "x"}}, footprint.Config{
		Labels: map[string]string{"one": "", "two.three": "", "two": "", "base": "", "maintainer": "", "other": "", "added": "", "": ""},
		Env:    []string{"A=1", "B=2", "C=3", "D=1", "PATH=/bin"},
	})
	labels, env := "", ""
	for _, name := range slices.Sorted(maps.Keys(got.Labels)) {
		if got.Labels[name] {
			labels += name + " "
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got.Env)) {
		if got.Env[name] {
			env += name + " "
		}
	}
	// A word in a value, as "base" could be, counts as well where a key could
	// be: one label is asked for too many then.
	if labels != "added base maintainer one two.three " || env != "A B C " {
		t.Errorf("labels %s, env %s", labels, env)
	}
}
