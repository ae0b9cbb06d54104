package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/image-budget/footprint"
)

// program is what a fake image does when it runs.
type program struct {
	unstarted string
	exits     bool
	code      int
	oom       bool
	health    string
	output    string
	errors    string
	listens   []string
	blind     bool
	serves    http.HandlerFunc
	greets    string
	changes   []string
	files     []string
	exec      int
	ignores   bool // the signal to end
	command   *program
	hangs     bool
}

// fake runs programs in no time: its clock goes on when somebody sleeps.
type fake struct {
	mu       sync.Mutex
	now      time.Time
	programs map[string][]program // the next start takes the next; the last stays
	started  int
	closed   int
}

func (f *fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fake) Sleep(ctx context.Context, d time.Duration) error {
	f.mu.Lock()
	f.now = f.now.Add(d)
	f.mu.Unlock()
	return ctx.Err()
}

func (f *fake) Start(ctx context.Context, spec Container) (Running, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.programs[spec.Reference]
	p := all[0]
	if spec.Command != nil {
		p = *p.command
	} else if len(all) > 1 {
		f.programs[spec.Reference] = all[1:]
	}
	if p.unstarted != "" {
		return nil, errors.New(p.unstarted)
	}
	f.started++
	return &fakeContainer{fake: f, program: p}, nil
}

type fakeContainer struct {
	*fake
	program
	stopped bool
}

func (c *fakeContainer) State(ctx context.Context) (State, error) {
	return State{Running: !c.exits && !c.stopped, ExitCode: c.code, OutOfMemory: c.oom, Health: c.health}, ctx.Err()
}

func (c *fakeContainer) Logs(context.Context) (stdout, stderr []byte, err error) {
	return []byte(c.output), []byte(c.program.errors), nil
}

func (c *fakeContainer) Listening(context.Context) ([]string, error) {
	if c.blind {
		return nil, errors.New("there is no program to look with")
	}
	return c.listens, nil
}

func (c *fakeContainer) Dial(ctx context.Context, port int) (net.Conn, error) {
	near, far := net.Pipe()
	switch {
	case c.serves != nil:
		go func() { _ = http.Serve(&once{conn: far}, c.serves) }()
	case c.greets != "":
		go func() { _, _ = io.Copy(io.Discard, far) }()
		go func() { _, _ = io.WriteString(far, c.greets); far.Close() }()
	default:
		far.Close()
		return nil, errors.New("connection refused")
	}
	return near, nil
}

// once is a listener of one connection.
type once struct {
	conn net.Conn
	done bool
}

func (o *once) Accept() (net.Conn, error) {
	if o.done {
		return nil, io.EOF
	}
	o.done = true
	return o.conn, nil
}
func (o *once) Close() error   { return nil }
func (o *once) Addr() net.Addr { return &net.TCPAddr{} }

func (c *fakeContainer) Exec(ctx context.Context, _ []string) (int, []byte, error) {
	if c.hangs {
		<-ctx.Done()
		return 0, nil, ctx.Err()
	}
	return c.exec, []byte("no answer\n"), nil
}
func (c *fakeContainer) Changes(context.Context) ([]string, error) { return c.changes, nil }
func (c *fakeContainer) Exists(_ context.Context, path string) (bool, error) {
	return slices.Contains(c.files, path), nil
}
func (c *fakeContainer) Stop(context.Context) error { c.stopped = !c.ignores; return nil }
func (c *fakeContainer) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	return nil
}

func page(status int, mediaType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// differently answers with another word each time.
func differently(format string) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		word := string([]rune{'a' + rune(n/26), 'a' + rune(n%26)})
		mu.Unlock()
		page(200, "text/plain", fmt.Sprintf(format, word))(w, r)
	}
}

func server(answer http.HandlerFunc) program {
	return program{listens: []string{"tcp/0.0.0.0:3000"}, serves: answer, output: "listening on 3000\n"}
}

func once1(code int, output string) program { return program{exits: true, code: code, output: output} }

func with(p program, change func(*program)) program {
	change(&p)
	return p
}

var hello = page(200, "text/plain", "hello")

// TestCompare has what is seen of an original, twice, and of a candidate.
func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		original, again program // again is the original where it is nothing
		candidate       program
		smoke           *Smoke
		config          footprint.Config
		status          string
		says            string // in the headline or the reason
	}{
		"the same answer": {original: server(hello), candidate: server(hello), status: "verified", says: "same answers on :3000/"},
		"another body":    {original: server(hello), candidate: server(page(200, "text/plain", "help")), status: "failed", says: `GET :3000/ has another body ("help")`},
		"another status":  {original: server(hello), candidate: server(page(500, "text/plain", "hello")), status: "failed", says: "GET :3000/ has status 500, not 200"},
		"another type":    {original: server(hello), candidate: server(page(200, "application/octet-stream", "hello")), status: "failed", says: `type "application/octet-stream", not "text/plain"`},
		"a time in the body": {
			original: server(page(200, "text/plain", "at 2026-11-24T10:00:00Z")), candidate: server(page(200, "text/plain", "at 2026-11-24T10:00:07.250Z")), status: "verified",
		},
		"a body that differs each time": {original: server(differently("token %s")), candidate: server(differently("other %s")), status: "verified", says: "same answers on :3000/"},
		"no answer":                     {original: server(hello), candidate: program{listens: []string{"tcp/[::]:3000"}, output: "listening on 3000\n", greets: "x"}, status: "failed", says: "GET :3000/ is answered by tcp, not by http"},
		"only errors":                   {original: server(page(500, "text/plain", "no")), candidate: server(page(500, "text/plain", "no")), status: "not-run", says: "answers every request with an error"},
		"only errors, but healthy": {
			original: with(server(page(500, "", "no")), func(p *program) { p.health = "healthy" }), candidate: with(server(page(500, "", "no")), func(p *program) { p.health = "healthy" }), status: "verified",
		},
		"only no page": {original: server(http.NotFound), candidate: server(http.NotFound), status: "verified", says: "same answers on :3000/ (status 404)"},
		"not listening": {
			original: server(hello), candidate: program{output: "listening on 3000\n"}, status: "failed", says: "it does not listen on 3000",
		},
		"listening inside alone": {
			original: server(hello), candidate: with(server(hello), func(p *program) { p.listens = []string{"tcp/127.0.0.1:3000"} }), status: "failed", says: "it does not listen on 3000",
		},
		"one port more": {
			original: server(hello), candidate: with(server(hello), func(p *program) { p.listens = append(p.listens, "tcp/0.0.0.0:9229") }), status: "failed", says: "it listens on 9229",
		},
		"a random port": {
			original:  with(server(hello), func(p *program) { p.listens = append(p.listens, "tcp/127.0.0.1:40001") }),
			again:     with(server(hello), func(p *program) { p.listens = append(p.listens, "tcp/127.0.0.1:40002") }),
			candidate: with(server(hello), func(p *program) { p.listens = append(p.listens, "tcp/127.0.0.1:40003") }), status: "verified",
		},
		"a banner": {
			original: program{listens: []string{"tcp/0.0.0.0:25"}, greets: "220 mail ready\r\n"}, candidate: program{listens: []string{"tcp/0.0.0.0:25"}, greets: "220 mail ready\r\n"}, status: "verified", says: "listens on the same ports, 25",
		},
		"another banner": {
			original: program{listens: []string{"tcp/0.0.0.0:25"}, greets: "220 mail ready\r\n"}, candidate: program{listens: []string{"tcp/0.0.0.0:25"}, greets: "421 no\r\n"}, status: "failed", says: `greets with "421 no"`,
		},
		"ends":              {original: server(hello), candidate: once1(1, "Error: Cannot find module 'x'\n"), status: "failed", says: `ends with exit status 1, the original keeps running ("Error: Cannot find module 'x'")`},
		"does not start":    {original: server(hello), candidate: program{unstarted: "no such file"}, status: "failed", says: "it does not start: no such file"},
		"out of memory":     {original: server(hello), candidate: program{exits: true, code: 137, oom: true}, status: "failed", says: "ran out of memory"},
		"a job":             {original: once1(0, "3 rows in 12 ms\n"), candidate: once1(0, "3 rows in 9 ms\n"), status: "verified", says: "same output and exit status 0, with the default command only"},
		"a job that fails":  {original: once1(0, "done\n"), candidate: once1(2, "done\n"), status: "failed", says: "it ends with exit status 2, the original with 0"},
		"another number":    {original: once1(0, "3 rows\n"), candidate: once1(0, "0 rows\n"), status: "failed", says: `does not print "3 rows"`},
		"a random number":   {original: once1(0, "4711 drawn\n"), again: once1(0, "12 drawn\n"), candidate: once1(0, "9 drawn\n"), status: "verified"},
		"less output":       {original: once1(0, "a\nb\n"), candidate: once1(0, "a\n"), status: "failed", says: `does not print "b"`},
		"more output":       {original: once1(0, "a\n"), candidate: once1(0, "a\nc\n"), status: "failed", says: `it prints "c"`},
		"a warning too few": {original: with(server(hello), func(p *program) { p.output += "plugin x is ready\n" }), candidate: server(hello), status: "failed", says: `does not print "plugin x is ready"`},
		"an error line": {
			original: server(hello), candidate: with(server(hello), func(p *program) { p.errors = "libfoo.so: cannot open shared object file: No such file or directory\n" }), status: "failed", says: "cannot open shared object file",
		},
		"an error that the original has as well": {
			original: with(server(hello), func(p *program) { p.errors = "error: no network 12\n" }), again: with(server(hello), func(p *program) { p.errors = "error: no network 14\n" }), candidate: with(server(hello), func(p *program) { p.errors = "error: no network 13\n" }), status: "verified",
		},
		"a job without a trace":    {original: once1(0, ""), candidate: once1(0, ""), status: "not-run", says: "nothing of the original can be seen"},
		"a worker without a trace": {original: program{}, candidate: program{}, status: "not-run", says: "nothing of the original can be seen"},
		"a worker that prints":     {original: program{output: "working\n"}, candidate: program{output: "working\n"}, status: "verified", says: "same output"},
		"no way to see ports":      {original: with(server(hello), func(p *program) { p.blind = true }), candidate: with(server(hello), func(p *program) { p.blind = true }), status: "not-run", says: "there is no program to look with"},
		"an original that fails":   {original: once1(1, "no database\n"), candidate: once1(1, "no database\n"), status: "not-run", says: `the original ends with exit status 1 when it runs alone ("no database")`},
		"an original that does not start": {
			original: program{unstarted: "exec format error"}, candidate: server(hello), status: "not-run", says: "the original does not start: exec format error",
		},
		"an original that ends either way": {original: once1(0, "x\n"), again: once1(3, "x\n"), candidate: once1(0, "x\n"), status: "not-run", says: "ended differently"},
		"unhealthy": {
			original: with(server(hello), func(p *program) { p.health = "healthy" }), candidate: with(server(hello), func(p *program) { p.health = "unhealthy" }), status: "failed", says: "health check does not pass",
		},
		"an unhealthy original": {
			original: with(server(hello), func(p *program) { p.health = "unhealthy" }), candidate: with(server(hello), func(p *program) { p.health = "unhealthy" }), status: "not-run", says: "the original is unhealthy",
		},
		"does not end":         {original: server(hello), candidate: with(server(hello), func(p *program) { p.ignores = true }), status: "failed", says: "does not end within 10s"},
		"ends now, did not":    {original: with(server(hello), func(p *program) { p.ignores = true }), candidate: server(hello), status: "verified"},
		"a file not written":   {original: with(server(hello), func(p *program) { p.changes = []string{"C /app", "A /app/db"} }), candidate: server(hello), status: "failed", says: `does not write "/app/db"`},
		"a file that is there": {original: with(server(hello), func(p *program) { p.changes = []string{"A /app/db"} }), candidate: with(server(hello), func(p *program) { p.files = []string{"/app/db"} }), status: "verified"},
		"files of no interest": {original: with(server(hello), func(p *program) { p.changes = []string{"A /tmp/x", "A /root/.npm/_logs/y"} }), candidate: server(hello), status: "verified"},
		"a file by its time": {
			original:  with(server(hello), func(p *program) { p.changes = []string{"A /log/2026-11-24"} }),
			candidate: with(server(hello), func(p *program) { p.changes = []string{"A /log/2026-11-25"} }), status: "verified",
		},
		"smoke": {original: server(hello), candidate: server(hello), smoke: &Smoke{Port: 3000, Path: "/", Body: "hell"}, status: "verified", says: "same answers on :3000/"},
		"the original fails the smoke test": {
			original: server(hello), candidate: server(hello), smoke: &Smoke{Port: 3000, Path: "/", Body: "bye", Timeout: 100 * time.Millisecond}, status: "not-run", says: "the original itself fails the smoke test",
		},
		"fails the smoke test": {
			original: server(differently("token %s")), candidate: server(differently("help %s")), smoke: &Smoke{Port: 3000, Path: "/", Body: "token", Timeout: 100 * time.Millisecond}, status: "failed", says: `it fails the smoke test: status 200, without "token"`,
		},
		"a smoke command":            {original: program{}, candidate: program{}, smoke: &Smoke{Command: []string{"check"}}, status: "verified", says: "passes the same smoke test"},
		"a smoke command that fails": {original: program{}, candidate: program{exec: 1}, smoke: &Smoke{Command: []string{"check"}}, status: "failed", says: `exit status 1, "no answer"`},
		"a smoke command of its own": {
			original: with(once1(2, "usage\n"), func(p *program) { p.command = &program{exits: true} }), candidate: with(once1(2, "usage\n"), func(p *program) { p.command = &program{exits: true} }),
			smoke: &Smoke{Command: []string{"tool", "--version"}}, status: "verified", says: "passes the same smoke test",
		},
		"hostile output": {
			original: once1(0, "ok\n"), candidate: once1(1, "\x1b[31mError: \x00\xff"+strings.Repeat("x", 9000)+"\n::error::y\n"), status: "failed", says: `("Error: `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{now: time.Unix(0, 0), programs: map[string][]program{"original": {c.original, c.original}, "candidate": {c.candidate}}}
			if c.again.listens != nil || c.again.exits {
				f.programs["original"][1] = c.again
			}
			got, index := Prove(t.Context(), Proof{
				Original: Built{Reference: "original", Config: c.config, Size: 10}, Run: f, Smoke: c.smoke, Now: f.Now, Sleep: f.Sleep,
				Candidates: []Candidate{{Name: "small"}},
				Build: func(context.Context, Candidate) (Built, error) {
					return Built{Reference: "candidate", Config: c.config, Size: 5}, nil
				},
			})
			if got.Status != c.status || (index == 0) != (c.status == footprint.Verified) || !strings.Contains(got.Same+got.Reason, c.says) {
				t.Errorf("%s %d, same %q, reason %q; want %s with %q\n%+v", got.Status, index, got.Same, got.Reason, c.status, c.says, got.Evidence)
			}
			if len(got.Reason) > 700 || strings.ContainsAny(got.Reason, "\n\x1b\x00") {
				t.Errorf("the reason is no line: %q", got.Reason)
			}
			for _, e := range got.Evidence {
				if got.Status == footprint.Verified && !e.Same {
					t.Errorf("verified, and not the same: %+v", e)
				}
			}
			if f.started != f.closed {
				t.Errorf("%d started, %d removed", f.started, f.closed)
			}
		})
	}
}

// TestLost changes one setting at a time.
func TestLost(t *testing.T) {
	t.Parallel()
	full := func() footprint.Config {
		return footprint.Config{
			Env: []string{"PATH=/bin", "PORT=80", "GOLANG_VERSION=1", "APP_VERSION=2", "LANG=C.UTF-8"}, User: "app", WorkingDir: "/app", Ports: []string{"80/tcp"}, Volumes: []string{"/data"},
			Labels: map[string]string{"team": "web", "base": "x"}, StopSignal: "SIGINT", Healthcheck: &footprint.Healthcheck{Test: []string{"CMD", "x"}, Retries: 2},
			Entrypoint: []string{"npm"}, Cmd: []string{"start"},
		}
	}
	own := Own{Labels: map[string]bool{"team": true}, Env: map[string]bool{"PORT": true, "APP_VERSION": true}}
	for says, change := range map[string]func(*footprint.Config){
		"":                              func(*footprint.Config) {},
		`user "root"`:                   func(c *footprint.Config) { c.User = "" },
		`working directory is "/"`:      func(c *footprint.Config) { c.WorkingDir = "" },
		`lacks "PORT"`:                  func(c *footprint.Config) { c.Env = c.Env[:1] },
		`lacks "APP_VERSION"`:           func(c *footprint.Config) { c.Env = []string{"PORT=80", "LANG=C.UTF-8"} },
		`lacks "LANG"`:                  func(c *footprint.Config) { c.Env = []string{"PORT=80", "APP_VERSION=2"} },
		`another value for "PORT"`:      func(c *footprint.Config) { c.Env = []string{"PORT=81"} },
		`exposed port "80/tcp" is lost`: func(c *footprint.Config) { c.Ports = nil },
		`volume "/data" is lost`:        func(c *footprint.Config) { c.Volumes = []string{"/other"} },
		`label "team" is lost`:          func(c *footprint.Config) { c.Labels = nil },
		`stop signal is ""`:             func(c *footprint.Config) { c.StopSignal = "" },
		"health check is lost":          func(c *footprint.Config) { c.Healthcheck = nil },
		"times of the health check":     func(c *footprint.Config) { c.Healthcheck = &footprint.Healthcheck{Test: []string{"CMD", "x"}} },
	} {
		c := full()
		change(&c)
		if got := lost(full(), c, own); (says == "") != (got == "") || !strings.Contains(got, says) {
			t.Errorf("%q, want %q", got, says)
		}
	}
	c := full()
	c.Env, c.Labels, c.Entrypoint, c.Cmd = []string{"PORT=80", "APP_VERSION=2", "LANG=C.UTF-8"}, map[string]string{"team": "web"}, nil, []string{"node", "x"}
	if got := lost(full(), c, own); got != "" {
		t.Errorf("what is only the base's, and another command: %s", got)
	}
	if got := lost(full(), c, Own{}); !strings.Contains(got, `"GOLANG_VERSION"`) {
		t.Errorf("whose it is, nobody knows: %s", got)
	}
}

// TestReachOut names --verify-network only where a network is what is missing.
func TestReachOut(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"/bin/sh: wget: not found":                                  false,
		"wget: bad address 'db'":                                    true,
		"Error: getaddrinfo EAI_AGAIN db":                           true,
		"dial tcp: lookup db on 127.0.0.11:53: no such host":        true,
		"dial tcp 10.0.0.7:5432: connect: connection refused":       true,
		"dial tcp: lookup db: Temporary failure in name resolution": true,
		"connect to localhost:8080: Connection refused":             false,
		"connect ECONNREFUSED 127.0.0.1:6379":                       false,
		"curl: (6) Could not resolve host: example.com":             true,
		"ModuleNotFoundError: No module named 'x'":                  false,
		"Error: failed to resolve import \"x\"":                     false,
		"connect: Network is unreachable":                           true,
	} {
		s := &seen{state: State{ExitCode: 1}, lines: []string{line}}
		if got := strings.Contains(unusable(s, nil), "--verify-network"); got != want {
			t.Errorf("%q: %v", line, got)
		}
		s = &seen{state: State{Running: true, Health: "unhealthy", HealthOutput: line}}
		if got := strings.Contains(unusable(s, nil), "--verify-network"); got != want {
			t.Errorf("unhealthy, %q: %v", line, got)
		}
	}
}

// TestOrder tries the smallest first, and no more than it has to.
func TestOrder(t *testing.T) {
	t.Parallel()
	f := &fake{programs: map[string][]program{"original": {server(hello)}, "large": {server(hello)}, "small": {server(page(200, "text/plain", "help"))}, "middle": {server(hello)}}}
	var removed []string
	sizes := map[string]footprint.Bytes{"large": 90, "small": 10, "middle": 50, "larger": 101}
	p := Proof{
		Original: Built{Reference: "original", Size: 100}, Run: f, Now: f.Now, Sleep: f.Sleep,
		Candidates: []Candidate{{Name: "large"}, {Name: "damaged"}, {Name: "small"}, {Name: "larger"}, {Name: "middle"}},
		Build: func(_ context.Context, c Candidate) (Built, error) {
			if c.Name == "damaged" {
				return Built{}, errors.New("step 3 failed")
			}
			return Built{Reference: c.Name, Size: sizes[c.Name], Remove: func(context.Context) error { removed = append(removed, c.Name); return nil }}, nil
		},
	}
	got, index := Prove(t.Context(), p)
	tried := ""
	for _, a := range got.Tried {
		tried += fmt.Sprintf("%s %d %s; ", a.Name, a.After, a.Reason)
	}
	if index != 4 || got.After != 50 || got.Before != 100 || f.started != 4 ||
		tried != `damaged 0 it does not build: step 3 failed; larger 101 it is not smaller: 101 B, the original has 100 B; small 10 GET :3000/ has another body ("help"); ` {
		t.Errorf("%d, %d started, %+v\n%s", index, f.started, got, tried)
	}
	if len(removed) != 4 {
		t.Errorf("removed %v", removed)
	}
	p.Candidates = []Candidate{{Name: "damaged"}, {Name: "small"}}
	got, index = Prove(t.Context(), p)
	if index != -1 || got.Status != footprint.VerifyFailed || len(got.Tried) != 1 || !strings.HasPrefix(got.Reason, "small: GET :3000/") || got.After != 10 || len(got.Evidence) == 0 {
		t.Errorf("%d %+v", index, got)
	}
	// What is expected to be larger is not built, unless what was built says
	// otherwise.
	removed = nil
	p.Candidates = []Candidate{{Name: "large", Expected: 88}, {Name: "middle", Expected: 30}, {Name: "small", Expected: 9}}
	if got, index = Prove(t.Context(), p); index != 1 || got.After != 50 || len(removed) != 2 {
		t.Errorf("%d %+v, removed %v", index, got, removed)
	}
	removed = nil
	p.Candidates = []Candidate{{Name: "large", Expected: 20}, {Name: "middle", Expected: 30}}
	if got, index = Prove(t.Context(), p); index != 1 || got.After != 50 || len(removed) != 2 {
		t.Errorf("%d %+v, removed %v", index, got, removed)
	}
	p.Candidates = nil
	if got, index = Prove(t.Context(), p); index != -1 || got.Status != footprint.VerifyNotRun || got.Reason == "" {
		t.Errorf("nothing to prove: %+v", got)
	}
}

// TestEnds ends a proof from outside and by its own time.
func TestEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		timeout time.Duration
		cancel  bool
		says    string
	}{
		"cancelled": {time.Hour, true, "interrupted"},
		"late":      {50 * time.Millisecond, false, "50ms passed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f := &fake{programs: map[string][]program{"original": {with(server(hello), func(p *program) { p.hangs = true })}}}
			removed := false
			got, index := Prove(ctx, Proof{
				Original: Built{Reference: "original", Size: 100}, Run: f, Now: f.Now, Timeout: c.timeout, Smoke: &Smoke{Command: []string{"x"}, Timeout: time.Hour},
				Sleep: func(ctx context.Context, d time.Duration) error {
					if c.cancel && f.Now().Sub(time.Time{}) > time.Second {
						cancel()
					}
					return f.Sleep(ctx, d)
				},
				Candidates: []Candidate{{Name: "one"}},
				Build: func(context.Context, Candidate) (Built, error) {
					return Built{Reference: "one", Size: 1, Remove: func(ctx context.Context) error { removed = ctx.Err() == nil; return nil }}, nil
				},
			})
			if index != -1 || got.Status != footprint.VerifyNotRun || !strings.Contains(got.Reason, c.says) || len(got.Evidence) != 0 {
				t.Errorf("%+v", got)
			}
			if !removed || f.started != f.closed {
				t.Errorf("the image was removed: %v; %d started, %d removed", removed, f.started, f.closed)
			}
		})
	}
}

// TestLinks asks what a page leads to, and nobody else.
func TestLinks(t *testing.T) {
	t.Parallel()
	body := `<a href="/a">x</a><script src=app.js></script><a href='http://evil.example/x'><a href="//evil.example/y"><a href="javascript:alert(1)">
<a href="/a"><a HREF="?q=1&amp;r=2"><a href="mailto:x@y"><a href="#top"><a href="http://localhost:3000/abs"><a href="https://localhost:3000/tls"><a href="data:,x">`
	got := links(answer{kind: "http", mediaType: "text/html", body: []byte(body), location: "/login"}, 3000)
	if want := []string{"/login", "/a", "/app.js", "/?q=1&r=2", "/abs"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := links(answer{kind: "http", mediaType: "text/html", body: []byte(strings.Repeat(`<a href="/x`, 1) + strings.Repeat(`y" src="/z`, 500))}, 80); len(got) > maxLinks {
		t.Errorf("%d links", len(got))
	}
}

// TestNormal has lines of two runs of the same program.
func TestNormal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"2026-11-24T10:00:00.123Z INFO up", "2026-11-24T10:00:01.9Z INFO up", true},
		{"2026/11/24 10:00:00 up", "2026/11/24 10:00:09 up", true},
		{"[24/Nov/2026:10:00:00 +0000] GET /", "[24/Nov/2026:10:07:00 +0000] GET /", true},
		{"Tue Nov 24 10:00:00 UTC 2026", "Tue Nov 24 10:07:21 UTC 2026", true},
		{"Started in 1.234 seconds (process running for 1.9)", "Started in 0.9 seconds (process running for 1.9)", true},
		{"worker 17 ready", "worker 23 ready", true},
		{"master[1]: child [7] up", "master[1]: child [9] up", true},
		{"at 0x7ffd0012", "at 0x55aa", true},
		{"id 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "id 00000000-9dad-11d1-80b4-00c04fd430c8", true},
		{"commit deadbeef01", "commit cafebabe02", true},
		{"file /tmp/tmp.Xy12", "file /tmp/tmp.Za99", true},
		{"\x1b[32mok\x1b[0m", "ok", true},
		{"from 127.0.0.1:54321", "from 127.0.0.1:33444", true},
		{"listening on 3000", "listening on 3001", false},
		{"3 plugins", "0 plugins", false},
		{"facade", "decade", false},
	} {
		if got := light(c.a) == light(c.b); got != c.same {
			t.Errorf("%q and %q: %q, %q", c.a, c.b, light(c.a), light(c.b))
		}
	}
}

// TestSockets reads a table of the kernel.
func TestSockets(t *testing.T) {
	t.Parallel()
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000
   2: 0100007F:0BB8 0100007F:D431 01 00000000:00000000
   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A
   4: zz:50 x 0A
   5: 0100007F
`
	if got, want := sockets([]byte(table), "0A"), []string{"127.0.0.1:8080", "0.0.0.0:3000", "[::1]:80"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
