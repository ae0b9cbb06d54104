package verify_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
	"github.com/org/image-budget/verify"
)

// lab builds and runs in an engine of the bench.
type lab struct {
	opener     *source.Opener
	containers *source.Containers
	run        string
}

// onEngine opens the engine of the bench whose name has a word in it.
func onEngine(t *testing.T, word string) *lab {
	t.Helper()
	engines := strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	i := slices.IndexFunc(engines, func(host string) bool { return strings.Contains(host, word) })
	if i < 0 {
		t.Fatalf("the bench has no engine %s: %v", word, engines)
	}
	l := &lab{opener: source.New(source.Config{Engine: source.Engine{Host: engines[i]}}), run: strings.ReplaceAll(t.Name(), "/", "-")}
	var err error
	l.containers, err = l.opener.Containers(t.Context(), source.ContainerOptions{
		Run: l.run, Memory: 512 << 20, Prober: []string{buildProber(t), "probe"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.containers.Blind(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := l.containers.Left(context.Background(), l.run); err != nil || len(left) > 0 {
			t.Errorf("containers are left: %v, %v", left, err)
		}
		_ = l.containers.Close()
	})
	return l
}

// buildProber builds the program that looks at ports, as static as a release.
func buildProber(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func (l *lab) Start(ctx context.Context, spec verify.Container) (verify.Running, error) {
	started, err := l.containers.Start(ctx, source.ContainerSpec{Image: spec.Reference, Command: spec.Command, HealthInterval: spec.HealthInterval})
	if err != nil {
		return nil, err
	}
	return running{started}, nil
}

type running struct{ *source.Container }

func (r running) State(ctx context.Context) (verify.State, error) {
	s, err := r.Container.State(ctx)
	return verify.State(s), err
}

// build builds a folder with a file of it as its Dockerfile.
func (l *lab) build(ctx context.Context, dir string, dockerfile []byte, size footprint.Bytes) (verify.Built, error) {
	// Whatever is wrong with a candidate is none of the context's files.
	images, err := l.opener.Build(ctx, source.Build{Context: dir, Content: dockerfile, Network: "none"})
	if err != nil {
		return verify.Built{}, err
	}
	img := images[0]
	from := img.Config.Config
	cfg := footprint.Config{
		Entrypoint: from.Entrypoint, Cmd: from.Cmd, Env: from.Env, User: from.User, WorkingDir: from.WorkingDir, Labels: from.Labels, StopSignal: from.StopSignal,
		Ports: slices.Sorted(maps.Keys(from.ExposedPorts)), Volumes: slices.Sorted(maps.Keys(from.Volumes)),
	}
	if h := from.Healthcheck; h != nil {
		cfg.Healthcheck = &footprint.Healthcheck{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
	}
	return verify.Built{
		Reference: img.EngineID(), Config: cfg, Size: size, Metric: footprint.Unpacked,
		Remove: func(context.Context) error { return img.Close() },
	}, nil
}

// proof is one of candidates by name, the first of which counts as the smallest.
func (l *lab) proof(t *testing.T, dir string, names ...string) verify.Proof {
	t.Helper()
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	original, err := l.build(t.Context(), dir, read("Dockerfile"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = original.Remove(context.Background()) })
	p := verify.Proof{
		// The bases of the bench say what they are, which is nothing of the case's.
		Own:      verify.Own{Labels: map[string]bool{}},
		Original: original, Run: l, Timeout: 5 * time.Minute, Grace: 2 * time.Second, Now: time.Now, Sleep: sleep,
		Build: func(ctx context.Context, c verify.Candidate) (verify.Built, error) {
			return l.build(ctx, dir, c.Dockerfile, footprint.Bytes(1+slices.Index(names, c.Name)))
		},
	}
	for _, name := range names {
		p.Candidates = append(p.Candidates, verify.Candidate{Name: name, Dockerfile: read(name)})
	}
	return p
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// TestOnContainerdStore proves on an engine that has no network at all.
func TestOnContainerdStore(t *testing.T) {
	t.Parallel()
	l := onEngine(t, "engine29")
	got, index := verify.Prove(t.Context(), l.proof(t, "testdata/broken/config-dir", "Candidate.broken", "Candidate.good"))
	if got.Status != footprint.Verified || index != 1 || len(got.Tried) != 1 || got.Same != "same answers on :8080/" {
		t.Errorf("%d %+v", index, got)
	}
}

// TestInterrupted cancels while containers run: none is left.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	l := onEngine(t, "engine20")
	p := l.proof(t, "testdata/broken/config-dir", "Candidate.good")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looks := 0
	p.Sleep = func(ctx context.Context, d time.Duration) error {
		if looks++; looks == 3 {
			cancel()
		}
		return sleep(ctx, d)
	}
	if got, index := verify.Prove(ctx, p); index != -1 || got.Status != footprint.VerifyNotRun || !strings.Contains(got.Reason, "interrupted") {
		t.Errorf("%d %+v", index, got)
	}
}

// TestBrokenIsNeverVerified builds and runs pairs of folders: of what is
// smaller and broken nothing is verified, and what is right then is.
func TestBrokenIsNeverVerified(t *testing.T) {
	t.Parallel()
	l := onEngine(t, "engine20")
	dirs, err := filepath.Glob("testdata/broken/*")
	if err != nil || len(dirs) < 12 {
		t.Fatal(dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			broken, err := filepath.Glob(filepath.Join(dir, "Candidate.broken*"))
			if err != nil || len(broken) == 0 {
				t.Fatal(broken, err)
			}
			var names []string
			for _, b := range broken {
				names = append(names, filepath.Base(b))
			}
			p := l.proof(t, dir, append(names, "Candidate.good")...)
			got, index := verify.Prove(t.Context(), p)
			for _, tried := range got.Tried {
				t.Logf("%s: %s", tried.Name, tried.Reason)
			}
			for _, e := range got.Evidence {
				t.Logf("%-30s %v  %s | %s", e.What, e.Same, e.Original, e.Candidate)
			}
			if got.Status != footprint.Verified || index != len(names) || len(got.Tried) != len(names) {
				t.Fatalf("%s, %d of %d, %d tried: %s", got.Status, index, len(names), len(got.Tried), got.Reason)
			}
			t.Logf("same: %s", got.Same)
		})
	}
}
