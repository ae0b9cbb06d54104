package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/org/image-budget/advice"
	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/source"
	"github.com/org/image-budget/verify"
)

// verifyFlags bound the proof of a suggestion.
type verifyFlags struct {
	timeout *time.Duration
	memory  *sizeFlag
	network *bool
}

// leftFor is after how long what a run has in the engine is taken for that of a run
// that was killed. It is far more than a proof takes by default.
const leftFor = time.Hour

// verifyMemory is the default of --verify-memory.
const verifyMemory = 1 << 30

func (fs *flagSet) verifying() *verifyFlags {
	return &verifyFlags{
		timeout: fs.Duration("verify-timeout", 10*time.Minute, "give up on proving the suggestions for an image after `TIME`"),
		memory:  fs.size("verify-memory", "let each container that is compared use at most `SIZE` of memory (default 1GiB)"),
		network: fs.Bool("verify-network", false, "let the containers that are compared reach the outside network"),
	}
}

// prove builds the candidates, runs them beside the original, and says what
// became of the smallest that behaves as the original does, and its index; -1
// where none does. It never fails: what went wrong is in the verification.
func (c *Command) prove(ctx context.Context, m *measurer, w want, original *source.Image, head *footprint.Image, cfg *footprint.Config, smoke *budget.Smoke, candidates []advice.Candidate, f *verifyFlags) (footprint.Verification, int) {
	size, metric, ok := weighed(head)
	out := footprint.Verification{Status: footprint.VerifyNotRun, Before: size, Metric: metric, Evidence: []footprint.Evidence{}}
	notRun := func(format string, args ...any) (footprint.Verification, int) {
		out.Reason = fmt.Sprintf(format, args...)
		return out, -1
	}
	switch {
	case *f.timeout <= 0:
		return notRun("--verify-timeout leaves no time for it")
	case !ok:
		return notRun("the size of the original is not known")
	case w.build == nil:
		return notRun("it is not known how to build the image; name the folder with --context, or build: in the budget file")
	case source.Fetched(w.build.Context):
		return notRun("the context of the image is fetched by the builder, which builds no other Dockerfile with it; clone it, and name the folder")
	}
	file, target, args, err := c.dockerfileOf(w)
	if err != nil {
		return notRun("%s", err)
	}
	if file == nil {
		return notRun("its Dockerfile is not known")
	}
	containers, err := m.opener.Containers(ctx, source.ContainerOptions{
		Run: strings.ToLower(rand.Text()), Memory: int64(f.bytes()), Network: *f.network, Prober: c.prober(),
	})
	if err != nil {
		return notRun("an engine is needed to run the image: %s", err)
	}
	defer containers.Close()
	if err := containers.Sweep(ctx, c.Now().Add(-leftFor)); err != nil {
		m.note("%s", err)
	}
	run := &proofRunner{containers, c}
	p := &proofBuilds{command: c, m: m, w: w, metric: metric, platform: original.Platform}
	first := verify.Built{Reference: original.EngineID(), Config: configOf(original), Size: size, Metric: metric}
	if cfg != nil {
		first.Config = *cfg
	}
	if first.Reference == "" {
		loaded, err := p.load(ctx, nil, "the original")
		if err != nil {
			return notRun("the original is not in the engine: %s", err)
		}
		defer p.close(loaded)
		first.Reference = loaded.EngineID()
	}
	proof := verify.Proof{
		Original: first, Build: p.build, Run: run, Smoke: smokeOf(smoke), Timeout: *f.timeout,
		Now: c.Now, Sleep: sleep, Own: ownSettings(file, target, args, w.build, first.Config),
	}
	for _, one := range candidates {
		next := verify.Candidate{Name: one.Name, Dockerfile: one.Dockerfile}
		if metric == footprint.Unpacked && one.Bytes > 0 {
			next.Expected = size - one.Bytes
		}
		proof.Candidates = append(proof.Candidates, next)
	}
	return verify.Prove(ctx, proof)
}

func (f *verifyFlags) bytes() footprint.Bytes {
	if f.memory.bytes == 0 {
		return verifyMemory
	}
	return f.memory.bytes
}

// weighed is the size by which an original and its candidates are compared.
func weighed(img *footprint.Image) (footprint.Bytes, footprint.Metric, bool) {
	switch m := img.Metrics; {
	case m.Has&footprint.HasFiles != 0:
		return m.Unpacked, footprint.Unpacked, true
	case m.Has&footprint.HasCompressed != 0:
		return m.Compressed, footprint.Compressed, true
	}
	return 0, footprint.Unpacked, false
}

// ownSettings are the labels and variables that lines of a Dockerfile set on the
// way to a target, and those that the build adds.
func ownSettings(file *dockerfile.File, target string, args map[string]string, b *source.Build, cfg footprint.Config) verify.Own {
	var labels, env strings.Builder
	for _, s := range file.Steps(target, args) {
		switch s.Keyword {
		case "LABEL":
			labels.WriteString(s.Text + "\n")
		case "ENV":
			env.WriteString(s.Text + "\n")
		}
	}
	own := verify.Own{Labels: map[string]bool{}, Env: map[string]bool{}}
	for name := range cfg.Labels {
		_, added := b.Labels[name]
		own.Labels[name] = added || namesKey(labels.String(), name)
	}
	for _, pair := range cfg.Env {
		name, _, _ := strings.Cut(pair, "=")
		own.Env[name] = namesKey(env.String(), name)
	}
	return own
}

// namesKey tells whether a name stands in the text of instructions where a key
// can.
func namesKey(text, name string) bool {
	for at := 0; name != ""; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			break
		}
		begin, end := at+i, at+i+len(name)
		if begin > 0 && strings.ContainsRune(" \t\"'", rune(text[begin-1])) && end < len(text) && strings.ContainsRune("= \t\"'", rune(text[end])) {
			return true
		}
		at = end
	}
	return false
}

// proofBuilds builds and measures what is compared.
type proofBuilds struct {
	command  *Command
	m        *measurer
	w        want
	metric   footprint.Metric
	platform string
}

// build builds a candidate into the engine and measures it there.
func (p *proofBuilds) build(ctx context.Context, c verify.Candidate) (verify.Built, error) {
	img, err := p.load(ctx, c.Dockerfile, c.Name)
	if err != nil {
		return verify.Built{}, err
	}
	w := p.w
	w.build, w.own, w.lines, w.from, w.patterns = nil, false, false, nil, nil
	w.ref, w.files = img.Reference, true
	head, err := p.m.scan(ctx, img, w)
	if err != nil {
		p.close(img)
		return verify.Built{}, err
	}
	size, metric, ok := weighed(head)
	if !ok || metric != p.metric {
		p.close(img)
		return verify.Built{}, errors.New("its size could not be measured like that of the original")
	}
	return verify.Built{
		Reference: img.EngineID(), Config: configOf(img), Size: size, Metric: metric,
		Remove: func(context.Context) error { p.close(img); return nil },
	}, nil
}

// load builds an image into the engine: with content as its Dockerfile, or as
// it was built. The caches that the user keeps are read and not written.
func (p *proofBuilds) load(ctx context.Context, content []byte, title string) (*source.Image, error) {
	b := *p.w.build
	b.Content, b.Tags, b.CacheTo = content, nil, nil
	if len(b.Platforms) > 0 {
		b.Platforms = []string{p.platform}
	}
	b.Args, b.Labels = maps.Clone(b.Args), maps.Clone(b.Labels)
	w := p.w
	w.build = &b
	w.title = strings.TrimSpace(p.w.name + " (" + title + ")")
	images, err := p.m.buildWith(ctx, w, p.m.opener.BuildLoaded)
	if err != nil {
		return nil, err
	}
	return images[0], nil
}

func (p *proofBuilds) close(img *source.Image) {
	if err := img.Close(); err != nil {
		p.m.note("%s", err)
	}
}

// proofRunner starts containers in the engine.
type proofRunner struct {
	containers *source.Containers
	command    *Command
}

// Start starts one; an error says why it cannot be started.
func (r *proofRunner) Start(ctx context.Context, spec verify.Container) (verify.Running, error) {
	started, err := r.containers.Start(ctx, source.ContainerSpec{Image: spec.Reference, Command: spec.Command, HealthInterval: spec.HealthInterval})
	if err != nil {
		return nil, err
	}
	return proofContainer{started}, nil
}

type proofContainer struct{ *source.Container }

// State is the engine's answer in the words of package verify.
func (p proofContainer) State(ctx context.Context) (verify.State, error) {
	s, err := p.Container.State(ctx)
	return verify.State(s), err
}

func smokeOf(s *budget.Smoke) *verify.Smoke {
	if s == nil {
		return nil
	}
	out := &verify.Smoke{Command: s.Command, Timeout: s.Timeout}
	if s.HTTP != nil {
		out.Port, out.Path, out.Body = s.HTTP.Port, s.HTTP.Path, s.HTTP.Body
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// probeCommand is this program when it looks at the network of a container. It
// is for nobody to type, so no help names it.
const probeCommand = "probe"

// prober is this program as it is copied into containers.
func (c *Command) prober() []string {
	if c.Executable == "" {
		return nil
	}
	return []string{c.Executable, probeCommand}
}

// probe looks at a network from inside it.
func (c *Command) probe(ctx context.Context, args []string) error {
	return verify.Probe(ctx, args, os.Stdin, c.Stdout)
}

// configOf is what containers of an image are started with.
func configOf(img *source.Image) footprint.Config {
	from := img.Config.Config
	out := footprint.Config{
		Entrypoint: from.Entrypoint, Cmd: from.Cmd, Env: from.Env, User: from.User, WorkingDir: from.WorkingDir,
		Ports: slices.Sorted(maps.Keys(from.ExposedPorts)), Volumes: slices.Sorted(maps.Keys(from.Volumes)),
		Labels: from.Labels, StopSignal: from.StopSignal, Shell: from.Shell, OnBuild: from.OnBuild,
	}
	if h := from.Healthcheck; h != nil {
		out.Healthcheck = &footprint.Healthcheck{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
	}
	return out
}
