package verify

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/image-budget/footprint"
)

// whatToAdd tells the user how to make it possible.
const whatToAdd = `say how to see that it works with smoke: in the budget file`

// unusable says why nothing can be proven against an original that was seen
// like this, "" if something can.
func unusable(s *seen, smoke *Smoke) string {
	switch {
	case s.unstarted != "":
		return "the original does not start: " + s.unstarted
	case s.smoke != nil && !s.smoke.ok:
		return "the original itself fails the smoke test (" + s.smoke.said + "), so nothing can be compared with it"
	case s.state.OutOfMemory:
		return "the original ran out of memory; give it more with --verify-memory"
	case s.state.Health == "unhealthy":
		return "the original is unhealthy when it runs alone" + because(s.state.HealthOutput) + "; it may need something that is not here: " + whatToAdd + reachOut(s.state.HealthOutput, s)
	case !s.state.Running && s.state.ExitCode != 0 && s.smoke == nil:
		return fmt.Sprintf("the original ends with exit status %d when it runs alone%s; it may need arguments or another service: %s", s.state.ExitCode, because(decisive(s, nil)), whatToAdd) + reachOut("", s)
	}
	return ""
}

// outside finds lines that say that a network cannot be reached: without one, no
// name is known and no host is there.
var outside = regexp.MustCompile(`(?i)\b(EAI_AGAIN|ENOTFOUND|ENETUNREACH|EHOSTUNREACH)\b|(network|host) is unreachable|no route to host|name resolution|name or service not known|(could ?n[o']t|cannot|can't|unable to|failed to) resolve( host| hostname| name|: )|no such host|bad address|getaddrinfo|nodename nor servname|dial (tcp|udp) .*: (lookup|connect)|connection (refused|timed out)`)

// What the container itself refuses, no network gives it.
var refused = regexp.MustCompile(`(?i)connection (refused|timed out)`)
var inside = regexp.MustCompile(`\b(127\.\d+\.\d+\.\d+|localhost)\b|\[?::1\b`)

// reachOut is a way out, where what was printed looks as if the network is what
// is missing.
func reachOut(line string, s *seen) string {
	for _, l := range append(linesOf([]byte(line)), s.lines...) {
		if outside.MatchString(l) && !(refused.MatchString(l) && inside.MatchString(l)) {
			return "; or let it reach the network with --verify-network"
		}
	}
	return ""
}

// unlike says why two runs of the original are so different that nothing can be
// asked of a candidate, "" if they are not.
func unlike(a, b *seen) string {
	switch {
	case b.unstarted != "":
		return "the original started once and not a second time: " + b.unstarted
	case a.smoke != nil && !b.smoke.ok:
		return "the original passed the smoke test once and failed it a second time (" + b.smoke.said + ")"
	case a.state.Running != b.state.Running, a.state.ExitCode != b.state.ExitCode:
		return fmt.Sprintf("two runs of the original ended differently (%s, %s); %s", ending(a), ending(b), whatToAdd)
	}
	return ""
}

func because(line string) string {
	if line == "" {
		return ""
	}
	return " (" + quoted(line) + ")"
}

// comparison is what was seen of the original twice and of a candidate once.
type comparison struct {
	a, b, c   *seen
	questions []question
	smoke     *Smoke
	grace     time.Duration
	// sameCommand says that both start the same program in the same words.
	sameCommand bool
}

// result says what came of it.
type result struct {
	evidence []footprint.Evidence
	// reason says in a sentence why it is not the same, "" if it is.
	reason string
	// same is the headline of what is the same.
	same string
	// nothing says that there was nothing to compare.
	nothing bool
}

func (r *result) add(what, original, candidate string, same bool) {
	r.evidence = append(r.evidence, footprint.Evidence{What: what, Original: original, Candidate: candidate, Same: same})
}

// fail keeps the first reason.
func (r *result) fail(format string, args ...any) {
	if r.reason == "" {
		r.reason = fmt.Sprintf(format, args...)
	}
}

// compare decides whether a candidate behaves as the original does.
func compare(in comparison) result {
	r := result{evidence: []footprint.Evidence{}}
	c := in.c
	if c.unstarted != "" {
		r.add("start", "starts", "does not start", false)
		r.fail("it does not start: %s", c.unstarted)
		return r
	}
	in.endings(&r)
	if r.reason != "" {
		// What does not run answers nothing: all that follows would say so.
		return r
	}
	told := in.health(&r)
	told = in.listens(&r) || told
	told = in.answered(&r) || told
	told = in.smoked(&r) || told
	told = in.printed(&r) || told
	told = in.wrote(&r) || told
	in.stops(&r)
	r.add("settings", "user, working directory, environment, ports, volumes, labels, stop signal, health check", "the same", true)
	switch {
	case r.reason != "":
	case in.a.blind != "" && in.smoke == nil && in.a.state.Health == "":
		// What a server prints when it starts says too little of it.
		r.nothing = true
		r.reason = "the ports of the containers cannot be seen: " + in.a.blind + "; " + whatToAdd
	case !told:
		r.nothing = true
		r.reason = "nothing of the original can be seen from outside: no port, no output, no health check; " + whatToAdd
	case in.onlyErrors():
		r.nothing = true
		r.reason = "the original answers every request with an error of the server; it may need something that is not here: " + whatToAdd
	default:
		r.same = in.headline()
	}
	return r
}

func ending(s *seen) string {
	switch {
	case s.state.Running:
		return "runs"
	case s.state.OutOfMemory:
		return fmt.Sprintf("out of memory, exit status %d", s.state.ExitCode)
	}
	return fmt.Sprintf("exit status %d", s.state.ExitCode)
}

// endings compares whether they run, or how they ended.
func (in *comparison) endings(r *result) {
	a, c := in.a, in.c
	same := a.state.Running == c.state.Running && (a.state.Running || a.state.ExitCode == c.state.ExitCode)
	what := "exit status"
	if a.state.Running {
		what = "still runs"
	}
	r.add(what, ending(a), ending(c), same)
	switch line := because(decisive(c, in)); {
	case same:
	case c.state.OutOfMemory:
		r.fail("it ran out of memory, and the original did not")
	case a.state.Running:
		r.fail("it ends with exit status %d, the original keeps running%s", c.state.ExitCode, line)
	case c.state.Running:
		r.fail("it keeps running, the original ends with exit status %d", a.state.ExitCode)
	default:
		r.fail("it ends with exit status %d, the original with %d%s", c.state.ExitCode, a.state.ExitCode, line)
	}
}

func (in *comparison) health(r *result) bool {
	a, c := in.a.state, in.c.state
	if a.Health != "healthy" || in.b.state.Health != "healthy" {
		return false
	}
	r.add("health check", a.Health, c.Health, c.Health == "healthy")
	if c.Health != "healthy" {
		r.fail("its health check does not pass, that of the original does%s", because(c.HealthOutput))
	}
	return true
}

func (in *comparison) listens(r *result) bool {
	a, b, c := in.a.ports, in.b.ports, in.c.ports
	if in.a.blind != "" || in.c.blind != "" {
		return false
	}
	var both []string
	for _, port := range a {
		if slices.Contains(b, port) {
			both = append(both, port)
		}
	}
	if len(a) == 0 && len(b) == 0 && len(c) == 0 {
		return false
	}
	var missing, more []string
	for _, port := range both {
		if !slices.Contains(c, port) {
			missing = append(missing, port)
		}
	}
	if slices.Equal(a, b) { // else some are random
		for _, port := range c {
			if !slices.Contains(a, port) {
				more = append(more, port)
			}
		}
	}
	r.add("listening ports", list(both), list(c), len(missing)+len(more) == 0)
	switch {
	case len(missing) > 0:
		r.fail("it does not listen on %s%s", list(missing), because(decisive(in.c, in)))
	case len(more) > 0:
		r.fail("it listens on %s, the original does not", list(more))
	}
	return len(both) > 0
}

func list(ports []string) string {
	if len(ports) == 0 {
		return "none"
	}
	const most = 10
	if len(ports) > most {
		return strings.Join(ports[:most], ", ") + fmt.Sprintf(" and %d more", len(ports)-most)
	}
	return strings.Join(ports, ", ")
}

// answered compares the answers that are the same of both originals.
func (in *comparison) answered(r *result) bool {
	told := false
	for _, q := range in.questions {
		a, b, c := in.a.answers[q], in.b.answers[q], in.c.answers[q]
		if a.kind == "" || a.kind != b.kind || a.status != b.status {
			continue // it is not asked of the candidate what is not certain
		}
		told = true
		how := bodies(a, b, c)
		why := ""
		switch {
		case c.kind == "":
			why = fmt.Sprintf("%s has no answer: %s", q, c.failure)
		case a.kind != c.kind:
			why = fmt.Sprintf("%s is answered by %s, not by %s", q, c.kind, a.kind)
		case a.status != c.status:
			why = fmt.Sprintf("%s has status %d, not %d", q, c.status, a.status)
		case a.mediaType == b.mediaType && a.mediaType != c.mediaType:
			why = fmt.Sprintf("%s has the type %s, not %s", q, quoted(c.mediaType), quoted(a.mediaType))
		case light(a.location) == light(b.location) && light(a.location) != light(c.location):
			why = fmt.Sprintf("%s leads to %s, not to %s", q, quoted(c.location), quoted(a.location))
		case how == "another body" && a.kind == "tcp":
			why = fmt.Sprintf("%s greets with %s, not with %s", q, quoted(string(c.body)), quoted(string(a.body)))
		case how == "another body":
			why = fmt.Sprintf("%s has another body%s", q, differing(a.body, c.body))
		}
		r.add(q.String(), a.String(), c.String()+also(how, c), why == "")
		if why != "" {
			r.fail("%s%s", why, because(decisive(in.c, in)))
		}
	}
	return told
}

func also(how string, c answer) string {
	if how == "" || c.kind == "" {
		return ""
	}
	return ", " + how
}

// String is an answer in one line.
func (a answer) String() string {
	switch a.kind {
	case "":
		return "no answer: " + a.failure
	case "tcp":
		if len(a.body) == 0 {
			return "accepts connections"
		}
		return "accepts connections, greets with " + quoted(string(a.body))
	}
	out := fmt.Sprintf("%d", a.status)
	if a.kind == "https" {
		out = "TLS, " + out
	}
	if a.mediaType != "" {
		out += " " + oneLine(a.mediaType)
	}
	if a.location != "" {
		out += " to " + oneLine(a.location)
	}
	return out + fmt.Sprintf(" %d bytes", a.size)
}

// maxCleaned is the largest body in which times and numbers are looked for; of
// larger ones only the same bytes are the same.
const maxCleaned = 256 << 10

// bodies says how the body of a candidate compares, as far as the two of the
// original let it be said.
func bodies(a, b, c answer) string {
	switch {
	case a.cut || b.cut:
		return "a body without end, not compared"
	case c.cut:
		return "another body"
	case a.sum == b.sum && a.sum == c.sum && a.size == c.size:
		if a.kind == "tcp" && a.size == 0 {
			return ""
		}
		return "same body"
	case a.size > maxCleaned && a.sum == b.sum:
		return "another body"
	case a.size > maxCleaned || b.size > maxCleaned:
		return "a body that differs each time, not compared"
	}
	for _, n := range []struct {
		clean func(string) string
		same  string
	}{{light, "same body but for times and ids"}, {heavy, "same body but for numbers"}} {
		x := n.clean(string(a.body))
		switch {
		case x != n.clean(string(b.body)):
		case c.size <= maxCleaned && x == n.clean(string(c.body)):
			return n.same
		default:
			return "another body"
		}
	}
	return "a body that differs each time, not compared"
}

// differing quotes the first line of a body that the original does not have.
func differing(a, c []byte) string {
	if bytes.IndexByte(c, 0) >= 0 {
		return ""
	}
	have := map[string]bool{}
	for _, line := range linesOf(a) {
		have[line] = true
	}
	for _, line := range linesOf(c) {
		if !have[line] {
			return " (" + quoted(line) + ")"
		}
	}
	return ""
}

func (in *comparison) smoked(r *result) bool {
	if in.smoke == nil || in.a.smoke == nil {
		return false
	}
	what := "smoke test"
	if in.smoke.Port != 0 {
		what += fmt.Sprintf(" GET :%d%s", in.smoke.Port, oneLine(in.smoke.Path))
	}
	r.add(what, in.a.smoke.said, in.c.smoke.said, in.c.smoke.ok)
	if !in.c.smoke.ok {
		r.fail("it fails the smoke test: %s", in.c.smoke.said)
	}
	return true
}

// printed compares the outputs: what both originals printed has to be there,
// and nothing may be there that looks like a failure and that neither printed.
func (in *comparison) printed(r *result) bool {
	a, c := forms(in.a.lines), forms(in.c.lines)
	b := forms(in.b.lines)
	var stable, missing []string
	for _, line := range in.a.lines {
		l, h := light(line), heavy(line)
		if !in.sameCommand && launcher.MatchString(line) {
			continue
		}
		switch {
		case b.light[l]:
			stable = append(stable, line)
			if !c.light[l] {
				missing = append(missing, line)
			}
		case b.heavy[h]:
			stable = append(stable, line)
			if !c.heavy[h] {
				missing = append(missing, line)
			}
		}
	}
	complaint := ""
	for _, line := range in.c.lines {
		if h := heavy(line); !a.heavy[h] && !b.heavy[h] && wrong.MatchString(line) {
			complaint = line
			break
		}
	}
	// A program that ends by itself prints the same, no more.
	more := ""
	if !in.a.state.Running && len(stable) == len(in.a.lines) && len(in.a.lines) == len(in.b.lines) {
		for _, line := range in.c.lines {
			if h := heavy(line); !a.heavy[h] && !b.heavy[h] {
				more = line
				break
			}
		}
	}
	if len(in.a.lines) == 0 && complaint == "" && more == "" {
		return false
	}
	same := len(missing) == 0 && complaint == "" && more == ""
	seen := fmt.Sprintf("%d of them", len(stable)-len(missing))
	if same {
		seen = "the same"
	}
	if complaint != "" {
		seen += ", and " + quoted(complaint)
	}
	r.add("output", fmt.Sprintf("%s, the same in two runs", count(len(stable), "line")), seen, same)
	switch {
	case complaint != "":
		r.fail("it prints %s, the original does not", quoted(complaint))
	case len(missing) > 0:
		r.fail("it does not print %s, the original does", quoted(missing[0]))
	case more != "":
		r.fail("it prints %s, the original does not", quoted(more))
	}
	return len(stable) > 0
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// launcher matches what npm and its like print before the program starts.
var launcher = regexp.MustCompile(`^(> |npm |yarn |\$ |Done in |info |> ?$|\d+ (info|verbose|silly) )`)

type lineForms struct{ light, heavy map[string]bool }

func forms(lines []string) lineForms {
	f := lineForms{map[string]bool{}, map[string]bool{}}
	for _, line := range lines {
		f.light[light(line)], f.heavy[heavy(line)] = true, true
	}
	return f
}

// decisive is the line of an output that says best what went wrong, "" without
// one: the first that looks like it and that the original did not print, else
// the last.
func decisive(s *seen, in *comparison) string {
	known := map[string]bool{}
	if in != nil {
		for _, line := range append(slices.Clone(in.a.lines), in.b.lines...) {
			known[heavy(line)] = true
		}
	}
	last := ""
	for _, line := range s.lines {
		if known[heavy(line)] {
			continue
		}
		if wrong.MatchString(line) {
			return line
		}
		last = line
	}
	if s.state.Running {
		return ""
	}
	return last
}

// wrote compares the files that both originals wrote.
func (in *comparison) wrote(r *result) bool {
	b, c := map[string]bool{}, map[string]bool{}
	for _, file := range written(in.b.changes) {
		b[light(file)] = true
	}
	for _, change := range in.c.changes {
		_, file, _ := strings.Cut(change, " ")
		c[light(file)] = true
	}
	var both, missing []string
	for _, file := range written(in.a.changes) {
		if len(both) == maxFiles {
			break
		}
		if l := light(file); b[l] {
			both = append(both, file)
			if !c[l] && !in.c.has[file] {
				missing = append(missing, file)
			}
		}
	}
	if len(both) == 0 {
		return false
	}
	r.add("files written", count(len(both), "file"), count(len(both)-len(missing), "file"), len(missing) == 0)
	if len(missing) > 0 {
		r.fail("it does not write %s, the original does%s", quoted(missing[0]), because(decisive(in.c, in)))
	}
	return true
}

func (in *comparison) stops(r *result) {
	if !in.a.stopped || !in.b.stopped || !in.c.asked {
		return
	}
	said := map[bool]string{true: "ends", false: "does not end"}
	r.add("when asked to stop", said[true], said[in.c.stopped], in.c.stopped)
	if !in.c.stopped {
		r.fail("it does not end within %s when it is asked to stop, the original does", in.grace)
	}
}

// onlyErrors tells whether everything that the original answers is that it
// failed, and there is nothing else that it can do.
func (in *comparison) onlyErrors() bool {
	if in.smoke != nil || in.a.state.Health == "healthy" {
		return false
	}
	answers := 0
	for _, a := range in.a.answers {
		if a.kind == "tcp" || a.kind != "" && a.status < 500 && a.status != 0 && !missingUsual(a) {
			return false
		}
		if a.kind != "" && a.status >= 500 {
			answers++
		}
	}
	return answers > 0
}

// missingUsual tells an answer that says no more than that there is no page.
func missingUsual(a answer) bool { return a.status == 404 }

// headline says in a few words what is the same, the most telling first.
func (in *comparison) headline() string {
	var answers []question
	for _, q := range in.questions {
		if a, b := in.a.answers[q], in.b.answers[q]; q.path != "" && a.kind != "" && a.kind != "tcp" && a.status == b.status {
			answers = append(answers, q)
		}
	}
	switch {
	case len(answers) > 0:
		// One that is no failure says more than one that is.
		first := answers[0]
		for _, q := range answers {
			if in.a.answers[q].status < 400 {
				first = q
				break
			}
		}
		out := fmt.Sprintf("same answers on :%d%s", first.port, oneLine(first.path))
		if in.a.answers[first].status >= 400 {
			out += fmt.Sprintf(" (status %d)", in.a.answers[first].status)
		}
		return out
	case in.smoke != nil:
		return "passes the same smoke test"
	case !in.a.state.Running:
		return fmt.Sprintf("same output and exit status %d, with the default command only", in.a.state.ExitCode)
	case in.a.state.Health == "healthy":
		return "healthy as well"
	case len(in.a.ports) > 0:
		return "listens on the same ports, " + list(in.a.ports)
	}
	return "same output"
}
