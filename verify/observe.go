package verify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/image-budget/footprint"
)

const (
	tick = 200 * time.Millisecond
	// steady is how long the ports of a container stay the same before it is
	// taken for started; quiet how long one without ports prints nothing.
	steady, quiet = 1500 * time.Millisecond, 8 * time.Second
	// healthInterval is how often the health check is asked.
	healthInterval = 2 * time.Second
	// smokeTime is how long the user's test may take unless it says.
	smokeTime = 30 * time.Second
	// maxFiles bounds the files that are asked after in a candidate.
	maxFiles = 200
)

// seen is what was seen of one container.
type seen struct {
	// unstarted says why it could not be started, "" if it was.
	unstarted string
	// state is the last one before it was asked to end.
	state State
	// took is how long it took to start, as far as can be told.
	took time.Duration
	// ports are what it listens on: "3000", "127.0.0.1:9000" for what only it
	// can reach, "53/udp". blind says why that cannot be seen.
	ports []string
	blind string
	// answers are those of the questions that were asked.
	answers map[question]answer
	// lines are what it printed.
	lines []string
	// changes are the files it wrote; has are those of the plan that are there.
	changes []string
	has     map[string]bool
	// smoke is what became of the user's test, nil without one.
	smoke *smokeSeen
	// stopped says whether it ended when it was asked to; asked whether it was.
	asked, stopped bool
}

type smokeSeen struct {
	ok bool
	// said is what came of it, in one line.
	said string
}

// plan is what to ask of the containers that are compared with the first.
type plan struct {
	first     *seen
	questions []question
	files     []string
}

// planFrom asks others for what was seen of the first.
func planFrom(first *seen) *plan {
	p := &plan{first: first, files: written(first.changes)}
	if len(p.files) > maxFiles {
		p.files = p.files[:maxFiles]
	}
	for q := range first.answers {
		p.questions = append(p.questions, q)
	}
	slices.SortFunc(p.questions, func(a, b question) int {
		return cmp.Or(cmp.Compare(a.port, b.port), cmp.Compare(a.order, b.order), cmp.Compare(a.path, b.path))
	})
	return p
}

// observe starts a container and looks at it. The first one comes without a
// plan. An error is one of the engine or the context; that an image cannot be
// started is something that was seen.
func (v *prover) observe(ctx context.Context, of Built, p *plan) (s *seen, err error) {
	s = &seen{answers: map[question]answer{}, has: map[string]bool{}}
	spec := Container{Reference: of.Reference}
	if checks(of.Config) {
		spec.HealthInterval = healthInterval
	}
	r, err := v.Run.Start(ctx, spec)
	if ctx.Err() != nil {
		if err == nil {
			err = r.Close()
		}
		return nil, cmp.Or(ctx.Err(), err)
	}
	if err != nil {
		s.unstarted = oneLine(strings.TrimPrefix(err.Error(), "starting: "))
		return s, nil
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := v.settle(ctx, r, of, s, p); err != nil {
		return nil, err
	}
	if s.state.Running && s.blind == "" {
		v.question(ctx, r, of, s, p)
	}
	if v.Smoke != nil {
		if s.smoke, err = v.smoke(ctx, r, of, s); err != nil {
			return nil, err
		}
	}
	if err := v.finish(ctx, r, s, p); err != nil {
		return nil, err
	}
	return s, v.stop(ctx, r, s, p)
}

// settle waits until the container has ended, or has started as far as can be
// seen.
func (v *prover) settle(ctx context.Context, r Running, of Built, s *seen, p *plan) error {
	begun := v.Now()
	var changed, printed time.Time // since when ports and output are the same
	changed, printed = begun, begun
	var output int
	for {
		var err error
		if s.state, err = r.State(ctx); err != nil {
			return err
		}
		now := v.Now()
		s.took = now.Sub(begun)
		if !s.state.Running {
			return nil
		}
		if s.blind == "" {
			ports, err := r.Listening(ctx)
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				// It may just have ended.
				if s.state, err = v.stateAfter(ctx, r, err, s); err != nil || !s.state.Running {
					return err
				}
			}
			if ports := listening(ports, of.Config.Ports); !slices.Equal(ports, s.ports) {
				s.ports, changed = ports, v.Now()
			}
		}
		stdout, stderr, err := r.Logs(ctx)
		if err != nil {
			return err
		}
		if n := len(stdout) + len(stderr); n != output {
			output, printed = n, v.Now()
		}
		now = v.Now()
		if started(s, of.Config, p, now.Sub(begun), now.Sub(changed), now.Sub(printed)) || now.Sub(begun) >= v.patience(p) {
			return nil
		}
		if err := v.Sleep(ctx, tick); err != nil {
			return err
		}
	}
}

// stateAfter tells a container that ended from one whose ports cannot be seen.
func (v *prover) stateAfter(ctx context.Context, r Running, why error, s *seen) (State, error) {
	if err := v.Sleep(ctx, tick); err != nil {
		return State{}, err
	}
	state, err := r.State(ctx)
	if err == nil && state.Running {
		s.blind = oneLine(why.Error())
	}
	return state, err
}

// patience is how long to wait for a container: the others get more time than
// the first took.
func (v *prover) patience(p *plan) time.Duration {
	if p == nil {
		return v.Start
	}
	return max(v.Start, 3*p.first.took+10*time.Second)
}

// started tells whether a container that runs is ready to be looked at, after
// it ran for so long, with the same ports and output for so long.
func started(s *seen, cfg footprint.Config, p *plan, ran, samePorts, sameOutput time.Duration) bool {
	if s.state.Health == "starting" {
		return false
	}
	if p != nil {
		f := p.first
		switch {
		case !f.state.Running:
			return false // the first one ended
		case f.state.Health != "" && s.state.Health == "":
			return false
		case len(f.ports) > 0:
			missing := slices.ContainsFunc(f.ports, func(port string) bool { return !slices.Contains(s.ports, port) })
			// Ports may be random: then they never are the same.
			return !missing && samePorts >= steady || len(s.ports) >= len(f.ports) && samePorts >= quiet
		}
		return ran >= f.took && sameOutput >= steady
	}
	missing := false
	for _, port := range exposed(cfg) {
		missing = missing || !slices.Contains(s.ports, strconv.Itoa(port))
	}
	switch {
	case len(s.ports) > 0 && !missing:
		return samePorts >= steady
	case len(s.ports) > 0:
		return samePorts >= quiet
	case missing && s.blind == "":
		return false
	}
	return ran >= quiet && sameOutput >= quiet
}

// exposed are the TCP ports that an image says it listens on.
func exposed(cfg footprint.Config) []int {
	var out []int
	for _, p := range cfg.Ports {
		number, proto, _ := strings.Cut(p, "/")
		if n, err := strconv.Atoi(number); err == nil && n > 0 && n < 1<<16 && (proto == "" || proto == "tcp") {
			out = append(out, n)
		}
	}
	return out
}

// listening makes of addresses what is compared. Of UDP, a socket that is not
// exposed may be one that asks.
func listening(addresses, exposed []string) []string {
	var out []string
	for _, a := range addresses {
		proto, address, _ := strings.Cut(a, "/")
		host, port, err := net.SplitHostPort(address)
		ip := net.ParseIP(host)
		if err != nil || ip == nil {
			continue
		}
		name := port
		if proto == "udp" {
			if name += "/udp"; !slices.Contains(exposed, name) {
				continue
			}
		} else if ip.IsLoopback() {
			name = "127.0.0.1:" + port
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	// One that is reached from everywhere is reached from inside as well.
	out = slices.DeleteFunc(out, func(name string) bool {
		port, inside := strings.CutPrefix(name, "127.0.0.1:")
		return inside && slices.Contains(out, port)
	})
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	return slices.Clip(out)
}

// portOf is the number of a TCP port that is listened on, 0 for another.
func portOf(name string) int {
	n, _ := strconv.Atoi(name[strings.LastIndexByte(name, ':')+1:])
	return n
}

// smoke runs the user's own test.
func (v *prover) smoke(ctx context.Context, r Running, of Built, s *seen) (*smokeSeen, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(v.Smoke.Timeout, smokeTime), errSmoke)
	defer cancel()
	out, err := v.smokeOnce(ctx, r, of, s)
	if err != nil && errors.Is(context.Cause(ctx), errSmoke) {
		return &smokeSeen{said: "it did not end in its time"}, nil
	}
	return out, err
}

var errSmoke = errors.New("the time for the smoke test passed")

func (v *prover) smokeOnce(ctx context.Context, r Running, of Built, s *seen) (*smokeSeen, error) {
	if len(v.Smoke.Command) > 0 {
		return v.smokeCommand(ctx, r, of, s)
	}
	if !s.state.Running {
		return &smokeSeen{said: "the container had ended"}, nil
	}
	if s.blind != "" {
		return nil, fmt.Errorf("the smoke test cannot ask port %d: %s", v.Smoke.Port, s.blind)
	}
	k := newAsker(r)
	defer k.close()
	var out *smokeSeen
	for {
		a := k.ask(ctx, "http", question{port: v.Smoke.Port, path: v.Smoke.Path})
		if a.kind == "" {
			a = k.ask(ctx, "https", question{port: v.Smoke.Port, path: v.Smoke.Path})
		}
		// A question that the end of the time cut off says less than the one before.
		if out == nil || ctx.Err() == nil {
			out = judgeSmoke(v.Smoke, a)
		}
		if out.ok {
			return out, nil
		}
		// It may still be starting.
		if err := v.Sleep(ctx, 5*tick); err != nil {
			if errors.Is(context.Cause(ctx), errSmoke) {
				return out, nil
			}
			return nil, err
		}
	}
}

// judgeSmoke tells whether an answer is the one the user wants.
func judgeSmoke(want *Smoke, a answer) *smokeSeen {
	switch {
	case a.kind == "":
		return &smokeSeen{said: "no answer: " + a.failure}
	case want.Status != 0 && a.status != want.Status, want.Status == 0 && a.status >= 400:
		return &smokeSeen{said: fmt.Sprintf("status %d", a.status)}
	case !bytes.Contains(a.body, []byte(want.Body)):
		return &smokeSeen{said: fmt.Sprintf("status %d, without %s", a.status, quoted(want.Body))}
	}
	return &smokeSeen{ok: true, said: fmt.Sprintf("status %d", a.status)}
}

func (v *prover) smokeCommand(ctx context.Context, r Running, of Built, s *seen) (*smokeSeen, error) {
	if s.state.Running {
		code, output, err := r.Exec(ctx, v.Smoke.Command)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return &smokeSeen{said: oneLine(err.Error())}, nil
		}
		return commandSeen(code, output), nil
	}
	own, err := v.Run.Start(ctx, Container{Reference: of.Reference, Command: v.Smoke.Command})
	if ctx.Err() != nil {
		if err == nil {
			err = own.Close()
		}
		return nil, cmp.Or(ctx.Err(), err)
	}
	if err != nil {
		return &smokeSeen{said: oneLine(err.Error())}, nil
	}
	out, err := v.runToEnd(ctx, own)
	return out, errors.Join(err, own.Close())
}

func (v *prover) runToEnd(ctx context.Context, r Running) (*smokeSeen, error) {
	for {
		state, err := r.State(ctx)
		if err != nil {
			return nil, err
		}
		if !state.Running {
			stdout, stderr, err := r.Logs(ctx)
			return commandSeen(state.ExitCode, append(stdout, stderr...)), err
		}
		if err := v.Sleep(ctx, tick); err != nil {
			return nil, err
		}
	}
}

func commandSeen(code int, output []byte) *smokeSeen {
	said := fmt.Sprintf("exit status %d", code)
	if lines := linesOf(output); code != 0 && len(lines) > 0 {
		said += ", " + quoted(lines[len(lines)-1])
	}
	return &smokeSeen{ok: code == 0, said: said}
}

// finish collects what was printed and written until here.
func (v *prover) finish(ctx context.Context, r Running, s *seen, p *plan) error {
	var last int
	for range 10 {
		stdout, stderr, err := r.Logs(ctx)
		if err != nil {
			return err
		}
		s.lines = linesOf(stdout, stderr)
		if n := len(stdout) + len(stderr); n == last || !s.state.Running {
			break
		} else {
			last = n
		}
		if err := v.Sleep(ctx, 2*tick); err != nil {
			return err
		}
	}
	state, err := r.State(ctx)
	if err != nil {
		return err
	}
	s.state = state
	if s.changes, err = r.Changes(ctx); err != nil {
		return err
	}
	if p == nil {
		return nil
	}
	for _, file := range p.files {
		if s.has[file], err = r.Exists(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// stop sees whether the container ends when it is asked to. Where the first one
// did not, nothing is asked of others.
func (v *prover) stop(ctx context.Context, r Running, s *seen, p *plan) error {
	if !s.state.Running || p != nil && !p.first.stopped {
		return nil
	}
	if err := r.Stop(ctx); err != nil {
		return err
	}
	s.asked = true
	for begun := v.Now(); v.Now().Sub(begun) < v.Grace; {
		state, err := r.State(ctx)
		if err != nil {
			return err
		}
		if !state.Running {
			s.stopped = true
			return nil
		}
		if err := v.Sleep(ctx, tick); err != nil {
			return err
		}
	}
	return nil
}

// written are the files of a list of changes that a program wrote on purpose:
// no folders that only hold others, and none of what engines and caches write.
func written(changes []string) []string {
	var paths []string
	for _, c := range changes {
		kind, file, ok := strings.Cut(c, " ")
		if ok && kind != "D" && path.IsAbs(file) && !passing(file) {
			paths = append(paths, path.Clean(file))
		}
	}
	slices.Sort(paths)
	var out []string
	for i, file := range paths {
		if i+1 < len(paths) && strings.HasPrefix(paths[i+1], file+"/") {
			continue
		}
		out = append(out, file)
	}
	return out
}

// passing tells files that say nothing about a program.
func passing(file string) bool {
	for _, dir := range []string{"/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/run", "/var/run", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv"} {
		if file == dir || strings.HasPrefix(file, dir+"/") {
			return true
		}
	}
	for part := range strings.SplitSeq(file, "/") {
		switch part {
		case "__pycache__", ".npm", ".cache", ".config", ".yarn", ".pnpm-store", ".gradle", ".m2", ".bash_history", ".ash_history":
			return true
		}
	}
	return false
}
