// Package verify proves a suggestion: it builds the changed Dockerfile, starts
// containers of the original and of the candidate the same way, and compares
// what can be seen without knowing the program.
//
// It decides what "the same" means and knows no engine: building, measuring and
// running are handed in. The original runs twice, and only what is the same both
// times is asked of a candidate. Every container is removed, whatever happens,
// and all of it ends in the time that it is given. Where nothing could be seen,
// nothing is called verified.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/org/image-budget/footprint"
)

// Candidate is a change to prove.
type Candidate struct {
	// Name says in a few words what it is: "on scratch".
	Name string
	// Dockerfile is its whole text.
	Dockerfile []byte
	// Expected is the size it has at least, as far as that can be told before it
	// is built, 0 if it cannot.
	Expected footprint.Bytes
}

// Proof is what is to be proven, and with what.
type Proof struct {
	// Original is an image that a Runner can start, with the config and size of it.
	Original Built
	// Candidates are tried in the order of their sizes, smallest first, among
	// those that build. One that is expected to be larger than one that passes
	// is not built.
	Candidates []Candidate
	// Own is what the author's file sets.
	Own Own
	// Build builds a candidate with the cache and measures it. The image stays
	// until Remove of Built is called.
	Build func(ctx context.Context, c Candidate) (Built, error)
	// Run starts containers.
	Run Runner
	// Smoke is the user's own test, nil without one.
	Smoke *Smoke
	// Timeout bounds all of it, Start how long a container may take to answer,
	// Grace how long to end when it is asked to. Their defaults are 10 minutes,
	// 30 seconds, and the 10 seconds of docker stop.
	Timeout, Start, Grace time.Duration
	// Now and Sleep are the clock; Sleep returns early with the context's error.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Built is an image that was built and measured.
type Built struct {
	// Reference is what the Runner starts it by.
	Reference string
	Config    footprint.Config
	// Size is its size in Metric.
	Size   footprint.Bytes
	Metric footprint.Metric
	// Remove forgets the image; nil if it is to stay.
	Remove func(ctx context.Context) error
}

// Own names the settings that the author's own file sets: the others are of its
// base, and describe that. A nil map is not known, and all are the author's.
type Own struct{ Labels, Env map[string]bool }

// Smoke is how the user sees that an image works: either Port is set, or
// Command.
type Smoke struct {
	Port int
	Path string
	// Body must be in the answer; "" is any. Status is that of the answer; 0 is
	// any below 400.
	Body   string
	Status int
	// Command is run in the container and must exit with 0; or as the
	// container's own command where the image's ends by itself.
	Command []string
	// Timeout is how long it may take; 0 is 30 seconds.
	Timeout time.Duration
}

// Runner starts containers.
type Runner interface {
	// Start starts a container. It is removed with its Close. An error says why
	// it cannot be started.
	Start(ctx context.Context, spec Container) (Running, error)
}

// Container says how to start one: with nothing on its standard input, and no
// terminal.
type Container struct {
	// Reference is the image.
	Reference string
	// Command is run instead of what the image says, nil for that.
	Command []string
	// HealthInterval is how often to ask the image's own health check, 0 for
	// never.
	HealthInterval time.Duration
}

// Running is a container that was started. Its methods return errors where the
// engine does not answer.
type Running interface {
	// State asks what becomes of it.
	State(ctx context.Context) (State, error)
	// Logs returns what it printed so far, bounded.
	Logs(ctx context.Context) (stdout, stderr []byte, err error)
	// Listening lists the addresses that are listened on in its network:
	// "tcp/0.0.0.0:3000".
	Listening(ctx context.Context) ([]string, error)
	// Dial connects to a port from within its network.
	Dial(ctx context.Context, port int) (net.Conn, error)
	// Exec runs a command in it, and returns what it printed, bounded.
	Exec(ctx context.Context, command []string) (code int, output []byte, err error)
	// Changes lists the files it wrote: "A /path" is new, "C /path" changed.
	Changes(ctx context.Context) ([]string, error)
	// Exists tells whether it has a file.
	Exists(ctx context.Context, path string) (bool, error)
	// Stop asks it to end, and does not wait.
	Stop(ctx context.Context) error
	// Close removes it, whatever it does.
	Close() error
}

// State is what becomes of a container.
type State struct {
	Running bool
	// ExitCode is that of its program once it is not running.
	ExitCode int
	// OutOfMemory says that it was ended at its bound.
	OutOfMemory bool
	// Health is "starting", "healthy" or "unhealthy", "" without a check, and
	// HealthOutput what the last check printed.
	Health, HealthOutput string
}

const (
	defaultTimeout = 10 * time.Minute
	defaultStart   = 30 * time.Second
	defaultGrace   = 10 * time.Second
)

// Prove builds the candidates, and returns what became of the smallest one that
// behaves as the original does, and its index; -1 where none does. It never
// fails: what went wrong is in the verification.
func Prove(ctx context.Context, p Proof) (footprint.Verification, int) {
	p.Timeout, p.Start, p.Grace = cmp.Or(p.Timeout, defaultTimeout), cmp.Or(p.Start, defaultStart), cmp.Or(p.Grace, defaultGrace)
	out := footprint.Verification{
		Status: footprint.VerifyNotRun, Before: p.Original.Size, Metric: p.Original.Metric, Evidence: []footprint.Evidence{},
	}
	within, cancel := context.WithTimeoutCause(ctx, p.Timeout, errTimeout)
	defer cancel()
	v := &prover{Proof: p, out: &out}
	index := v.prove(within)
	if index < 0 && within.Err() != nil {
		// Whatever was seen last was cut off.
		out.Status, out.Same, out.Evidence = footprint.VerifyNotRun, "", []footprint.Evidence{}
		out.Reason = "it was interrupted before it was proven"
		if errors.Is(context.Cause(within), errTimeout) {
			out.Reason = fmt.Sprintf("%s passed before it was proven; give it more time with --verify-timeout", p.Timeout)
		}
	}
	return out, index
}

var errTimeout = errors.New("the time for the proof passed")

// prover is one proof under way.
type prover struct {
	Proof
	out *footprint.Verification
}

// attempt is a candidate that was built.
type attempt struct {
	Built
	index int
}

func (v *prover) prove(ctx context.Context) int {
	var built []attempt
	defer func() {
		for _, a := range built {
			if a.Remove != nil {
				_ = a.Remove(context.WithoutCancel(ctx)) // nothing hangs on it but room in the engine
			}
		}
	}()
	waiting := make([]int, len(v.Candidates))
	for i := range waiting {
		waiting[i] = i
	}
	slices.SortStableFunc(waiting, func(a, b int) int {
		return cmp.Compare(v.Candidates[a].Expected, v.Candidates[b].Expected)
	})
	var fit []attempt // smallest first, and none was started
	var first, second *seen
	var p *plan
	for {
		for len(waiting) > 0 && (len(fit) == 0 || v.maySmaller(waiting[0], fit[0])) {
			if ctx.Err() != nil {
				return -1
			}
			if a, ok := v.build(ctx, waiting[0]); ok {
				built = append(built, a)
				if why := v.unfit(a); why != "" {
					v.tried(a, why)
				} else {
					fit = append(fit, a)
				}
			}
			waiting = waiting[1:]
			slices.SortStableFunc(fit, func(a, b attempt) int { return cmp.Compare(a.Size, b.Size) })
		}
		if len(fit) == 0 {
			v.giveUp(footprint.VerifyFailed)
			return -1
		}
		a := fit[0]
		fit = fit[1:]
		if first == nil {
			var err error
			if first, err = v.observe(ctx, v.Original, nil); err != nil {
				v.out.Reason = "the original could not be looked at: " + oneLine(err.Error())
				return -1
			}
			if why := unusable(first, v.Smoke); why != "" {
				v.out.Reason, v.out.After = why, a.Size
				return -1
			}
			p = planFrom(first)
		}
		c, again, err := v.observeBoth(ctx, a, p, second)
		if err != nil {
			v.out.Reason = "the containers could not be looked at: " + oneLine(err.Error())
			return -1
		}
		second = again
		if why := unlike(first, second); why != "" {
			v.out.Reason, v.out.After = why, a.Size
			return -1
		}
		got := compare(comparison{
			a: first, b: second, c: c, questions: p.questions, smoke: v.Smoke,
			sameCommand: sameCommand(v.Original.Config, a.Config), grace: v.Grace,
		})
		v.out.Evidence, v.out.After = got.evidence, a.Size
		if got.nothing {
			v.out.Status, v.out.Reason = footprint.VerifyNotRun, got.reason
			return -1
		}
		if got.reason == "" {
			v.out.Status, v.out.Same = footprint.Verified, got.same
			return a.index
		}
		v.tried(a, got.reason)
	}
}

// maySmaller tells whether a candidate that was not built may be smaller than
// one that was. What was expected of both is as wrong by a few bytes.
func (v *prover) maySmaller(candidate int, than attempt) bool {
	expected := v.Candidates[candidate].Expected
	return expected+expected/20 < than.Size
}

// build builds a candidate. One that does not build is tried.
func (v *prover) build(ctx context.Context, i int) (attempt, bool) {
	b, err := v.Build(ctx, v.Candidates[i])
	if err != nil {
		v.out.Tried = append(v.out.Tried, footprint.Attempt{Name: v.Candidates[i].Name, Reason: "it does not build: " + oneLine(err.Error())})
	}
	return attempt{b, i}, err == nil
}

// unfit says why a candidate need not be started, "" if it is worth it.
func (v *prover) unfit(a attempt) string {
	switch {
	case a.Metric != v.Original.Metric:
		return fmt.Sprintf("its size was measured as %s and that of the original as %s", a.Metric, v.Original.Metric)
	case a.Size >= v.Original.Size:
		size, original := footprint.Apart(a.Size, v.Original.Size)
		return fmt.Sprintf("it is not smaller: %s, the original has %s", size, original)
	}
	return lost(v.Original.Config, a.Config, v.Own)
}

func (v *prover) tried(a attempt, reason string) {
	v.out.Tried = append(v.out.Tried, footprint.Attempt{Name: v.Candidates[a.index].Name, After: a.Size, Reason: reason})
}

// giveUp makes the last one that was tried the one that is told about.
func (v *prover) giveUp(status string) {
	v.out.Status = status
	n := len(v.out.Tried) - 1
	if n < 0 {
		v.out.Status, v.out.Reason = footprint.VerifyNotRun, "there is nothing to prove"
		return
	}
	last := v.out.Tried[n]
	v.out.After, v.out.Reason, v.out.Tried = last.After, last.Reason, v.out.Tried[:n]
	if last.Name != "" {
		v.out.Reason = last.Name + ": " + last.Reason
	}
	if len(v.out.Tried) == 0 {
		v.out.Tried = nil
	}
}

// observeBoth looks at a candidate, and at the same time once more at the
// original if that was not done: so what depends on the hour shows there.
func (v *prover) observeBoth(ctx context.Context, a attempt, p *plan, again *seen) (*seen, *seen, error) {
	var c *seen
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { c, errs[0] = v.observe(ctx, a.Built, p) })
	if again == nil {
		again, errs[1] = v.observe(ctx, v.Original, p)
	}
	both.Wait()
	return c, again, errors.Join(errs[:]...)
}

// sameCommand tells whether both start the same program in the same words.
func sameCommand(a, b footprint.Config) bool {
	return slices.Equal(a.Entrypoint, b.Entrypoint) && slices.Equal(a.Cmd, b.Cmd)
}
