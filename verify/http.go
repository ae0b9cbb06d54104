package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxQuestions bounds the requests to one container, maxLinks those among
	// them that an answer led to.
	maxQuestions, maxLinks = 20, 8
	// maxBody is how much of an answer is kept, maxRead how much is read.
	maxBody, maxRead = 1 << 20, 32 << 20
	// askTime bounds one request, bannerTime the wait for a server that speaks
	// first.
	askTime, bannerTime = 10 * time.Second, 2 * time.Second
)

// question is something to ask of a container: a path of a port, or with "" the
// port itself.
type question struct {
	port int
	path string
	// order is that in which they are asked; it is no part of what is asked.
	order int
}

func (q question) String() string {
	if q.path == "" {
		return "port " + strconv.Itoa(q.port)
	}
	return fmt.Sprintf("GET :%d%s", q.port, oneLine(q.path))
}

// answer is what came of a question.
type answer struct {
	// kind is "http", "https", or "tcp" for what is neither, and "" for no
	// answer; failure says why.
	kind, failure string
	status        int
	mediaType     string
	location      string
	// size and sum are those of the whole body, body the beginning of it. With
	// cut, it did not end in time or was too large.
	size int64
	sum  [sha256.Size]byte
	body []byte
	cut  bool
}

// asker asks one container over HTTP. What a server leaves open is used again:
// each connection costs the start of a program.
type asker struct {
	r          Running
	transports map[string]*http.Transport
}

func newAsker(r Running) *asker { return &asker{r, map[string]*http.Transport{}} }

func (k *asker) transport(scheme string, port int) *http.Transport {
	key := fmt.Sprint(scheme, port)
	t := k.transports[key]
	if t == nil {
		t = &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return k.r.Dial(ctx, port) },
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, // whoever it is, it is in our container
			DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		}
		k.transports[key] = t
	}
	return t
}

func (k *asker) close() {
	for _, t := range k.transports {
		t.CloseIdleConnections()
	}
}

// question asks the container what the plan says; the first one, what its ports
// and answers lead to.
func (v *prover) question(ctx context.Context, r Running, of Built, s *seen, p *plan) {
	k := newAsker(r)
	defer k.close()
	if p != nil {
		kinds := map[int]string{}
		for _, q := range p.questions {
			if q.path == "" {
				s.answers[q] = greet(ctx, r, q.port)
				continue
			}
			kind, known := kinds[q.port]
			if !known {
				kind = k.speaks(ctx, q.port)
				kinds[q.port] = kind
			}
			if kind == "tcp" {
				s.answers[q] = greet(ctx, r, q.port)
				continue
			}
			s.answers[q] = k.ask(ctx, kind, q)
		}
		return
	}
	ports := exposed(of.Config)
	for _, name := range s.ports {
		if n := portOf(name); n > 0 && !slices.Contains(ports, n) {
			ports = append(ports, n)
		}
	}
	var asked int
	for _, port := range ports {
		if !slices.ContainsFunc(s.ports, func(name string) bool { return portOf(name) == port }) {
			continue // it says it would, and does not
		}
		if asked >= maxQuestions {
			return
		}
		kind := k.speaks(ctx, port)
		if kind == "tcp" {
			s.answers[question{port: port}] = greet(ctx, r, port)
			asked++
			continue
		}
		paths := []string{"/"}
		for i := 0; i < len(paths) && asked < maxQuestions; i++ {
			q := question{port: port, path: paths[i], order: i}
			a := k.ask(ctx, kind, q)
			s.answers[q] = a
			asked++
			if i == 0 {
				paths = append(paths, links(a, port)...)
				for _, usual := range []string{"/health", "/healthz", "/favicon.ico", "/robots.txt"} {
					if !slices.Contains(paths, usual) {
						paths = append(paths, usual)
					}
				}
			}
		}
	}
}

// speaks finds out which protocol a port has.
func (k *asker) speaks(ctx context.Context, port int) string {
	plain := k.ask(ctx, "http", question{port: port, path: "/"})
	if plain.kind != "" && plain.status != http.StatusBadRequest {
		return "http"
	}
	if plain.failure == tooLate {
		return "tcp"
	}
	// A server of TLS closes the connection, or answers 400 in plain text.
	if secure := k.ask(ctx, "https", question{port: port, path: "/"}); secure.kind != "" {
		return "https"
	}
	if plain.kind != "" {
		return "http"
	}
	return "tcp"
}

// ask sends one request, as if to localhost. Redirections are not followed.
func (k *asker) ask(ctx context.Context, scheme string, q question) answer {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	at, err := url.Parse(fmt.Sprintf("%s://localhost:%d%s", scheme, q.port, q.path))
	if err != nil {
		return answer{failure: "it is no address"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return answer{failure: "it is no address"}
	}
	req.Header.Set("User-Agent", "image-budget")
	req.Header.Set("Accept", "*/*")
	resp, err := k.transport(scheme, q.port).RoundTrip(req)
	if err != nil {
		return answer{failure: failure(ctx, err)}
	}
	defer resp.Body.Close()
	a := answer{kind: scheme, status: resp.StatusCode, location: clip(resp.Header.Get("Location"), maxQuote)}
	a.mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	sum := sha256.New()
	kept := &bytes.Buffer{}
	body := io.TeeReader(io.LimitReader(resp.Body, maxRead+1), sum)
	n, err := io.Copy(kept, io.LimitReader(body, maxBody))
	if err == nil {
		var more int64
		more, err = io.Copy(io.Discard, body)
		n += more
	}
	a.cut = err != nil || n > maxRead
	a.size, a.body = n, kept.Bytes()
	copy(a.sum[:], sum.Sum(nil))
	return a
}

const tooLate = "it did not answer in time"

// failure says in a few words why there was no answer.
func failure(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return tooLate
	case strings.Contains(err.Error(), "connection refused"):
		return "connection refused"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection"
	}
	return oneLine(err.Error())
}

// greet connects and waits for a server that speaks first.
func greet(ctx context.Context, r Running, port int) answer {
	conn, err := r.Dial(ctx, port)
	if err != nil {
		return answer{failure: failure(ctx, err)}
	}
	defer conn.Close()
	stop := time.AfterFunc(bannerTime, func() { _ = conn.Close() }) // so that Read ends
	defer stop.Stop()
	buffer := make([]byte, 512)
	n, err := conn.Read(buffer)
	if n > 0 {
		return answer{kind: "tcp", body: buffer[:n], size: int64(n)}
	}
	if err != nil && strings.Contains(err.Error(), "refused") {
		return answer{failure: "connection refused"}
	}
	return answer{kind: "tcp"}
}

var hyperlinks = regexp.MustCompile(`(?i)\b(?:href|src)\s*=\s*["']?([^"'\s>#]{1,200})`)

// links are the paths of the same server that an answer leads to.
func links(a answer, port int) []string {
	base := &url.URL{Scheme: a.kind, Host: fmt.Sprintf("localhost:%d", port), Path: "/"}
	var found []string
	add := func(text string) {
		u, err := base.Parse(strings.ReplaceAll(text, "&amp;", "&"))
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || len(found) >= maxLinks {
			return
		}
		if p := u.RequestURI(); p != "/" && strings.HasPrefix(p, "/") && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	if a.location != "" {
		add(a.location)
	}
	if a.mediaType == "text/html" {
		for _, m := range hyperlinks.FindAllSubmatch(a.body, 200) {
			add(string(m[1]))
		}
	}
	return found
}
