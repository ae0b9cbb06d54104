package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	bk "github.com/moby/buildkit/client"
	bkerrors "github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
)

// A BuildError is a step that failed.
type BuildError struct {
	// Dockerfile, Start and End are the lines of the step, 0 if unknown.
	Dockerfile string
	Start, End int
	// Step is the step as BuildKit names it, Reason how it failed, both in one
	// line.
	Step, Reason string
	// Log are the last lines that the step printed, as they were.
	Log []string
}

// Error is one line without the log: a log may hold what no report should.
func (e *BuildError) Error() string {
	at := ""
	if e.Start > 0 {
		at = fmt.Sprintf("%s:%d: ", e.Dockerfile, e.Start)
	}
	return "building: " + at + e.Step + ": " + e.Reason
}

const (
	// maxLog and maxLogLine bound what is kept of a step's output.
	maxLog, maxLogLine = 15, 400
	// maxVertexes bounds the steps that are watched.
	maxVertexes = 20_000
)

// watcher remembers the end of each step's output, in case it fails.
type watcher struct {
	mu    sync.Mutex
	steps map[digest.Digest]*step
	// failed is the first step that ended in an error of its own.
	failed digest.Digest
	// warnings are those that bear on what is measured.
	warnings []string
}

type step struct {
	name, err string
	log       []string
	partial   []byte
}

func (w *watcher) see(s *bk.SolveStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range s.Vertexes {
		st := w.step(v.Digest)
		if st == nil {
			continue
		}
		st.name = v.Name
		if v.Error != "" && st.err == "" {
			st.err = v.Error
			if w.failed == "" && !strings.HasSuffix(v.Error, context.Canceled.Error()) {
				w.failed = v.Digest
			}
		}
	}
	for _, warning := range s.Warnings {
		// Others are about how a Dockerfile is written.
		if text := show(string(warning.Short)); strings.HasPrefix(text, "InvalidBaseImagePlatform") && !slices.Contains(w.warnings, text) && len(w.warnings) < 20 {
			w.warnings = append(w.warnings, text)
		}
	}
	for _, l := range s.Logs {
		if st := w.step(l.Vertex); st != nil {
			st.add(l.Data)
		}
	}
}

func (w *watcher) step(d digest.Digest) *step {
	st := w.steps[d]
	if st == nil && len(w.steps) < maxVertexes {
		st = &step{}
		w.steps[d] = st
	}
	return st
}

// add keeps the last lines. A line that is overwritten with carriage returns,
// as progress bars do, counts with what it ended as.
func (s *step) add(data []byte) {
	for _, c := range data {
		switch c {
		case '\n':
			s.flush()
		case '\r':
			if len(s.partial) < maxLogLine {
				s.partial = append(s.partial, c)
			}
		default:
			if n := len(s.partial); n > 0 && s.partial[n-1] == '\r' {
				s.partial = s.partial[:0]
			}
			if len(s.partial) < maxLogLine {
				s.partial = append(s.partial, c)
			}
		}
	}
}

func (s *step) flush() {
	if line := strings.TrimRight(string(s.partial), "\r \t"); line != "" {
		if len(s.log) == maxLog {
			s.log = append(s.log[:0], s.log[1:]...)
		}
		s.log = append(s.log, line)
	}
	s.partial = s.partial[:0]
}

// watch returns what shows the progress of one solve until its channel is
// closed, and what remembers the steps.
func (b *Build) watch() (func(chan *bk.SolveStatus), *watcher, error) {
	w := &watcher{steps: map[digest.Digest]*step{}}
	out, mode := b.Progress, progressui.PlainMode
	switch {
	case out == nil:
		out, mode = io.Discard, progressui.QuietMode
	case b.Live:
		mode = progressui.TtyMode
	}
	display, err := progressui.NewDisplay(out, mode)
	if err != nil {
		// No terminal after all.
		if display, err = progressui.NewDisplay(out, progressui.PlainMode); err != nil {
			return nil, nil, err
		}
	}
	return func(status chan *bk.SolveStatus) {
		shown := make(chan *bk.SolveStatus)
		done := make(chan struct{})
		go func() {
			defer close(done)
			// Its own context: the end of a build that was cancelled is shown.
			_, _ = display.UpdateFrom(context.Background(), shown)
		}()
		for s := range status {
			w.see(s)
			shown <- s
		}
		close(shown)
		<-done
	}, w, nil
}

// explain says in one line why a build failed. An old BuildKit does not say which
// lines failed, but which step, and definitions have the lines of each.
func (b *Build) explain(ctx context.Context, d *builder, err error, w *watcher, definitions map[string][]byte) error {
	if ctx.Err() != nil {
		return fmt.Errorf("building: %w", ctx.Err())
	}
	if lost(err) {
		return &explained{msg: fmt.Sprintf("building with %s: the connection was lost (%s); check whether BuildKit still runs there, and try again", show(d.address), builderCause(err))}
	}
	out := &BuildError{Reason: buildCause(err)}
	for _, s := range bkerrors.Sources(err) {
		if s.Info == nil || len(s.Ranges) == 0 {
			continue
		}
		out.at(s.Info.Filename, s.Ranges)
		break
	}
	var vertex *bkerrors.VertexError
	w.mu.Lock()
	defer w.mu.Unlock()
	failed := w.failed
	if errors.As(err, &vertex) {
		failed = digest.Digest(vertex.Digest)
	}
	if st := w.steps[failed]; st != nil {
		st.flush()
		out.Step, out.Log = show(st.name), st.log
	}
	if m := parseErrorLine.FindStringSubmatch(out.Reason); m != nil && out.Start == 0 {
		// An old BuildKit says it in words.
		out.Start, _ = strconv.Atoi(m[1])
		out.End, out.Step, out.Reason = out.Start, "the Dockerfile", m[2]
	}
	src := b.Content
	if src == nil {
		src, _ = os.ReadFile(b.dockerfile()) // what cannot be read says no more
	}
	if strings.Contains(out.Reason, "unknown instruction") && bytes.Contains(src, []byte("<<")) {
		out.Reason += "; if that is the text of a heredoc, this builder needs the line # syntax=docker/dockerfile:1 at the top"
	}
	out.hide(b.Args)
	if out.Start == 0 {
		out.find(failed, definitions)
	}
	if out.Start > 0 && !Fetched(b.Context) {
		out.Dockerfile = b.dockerfile()
	}
	switch {
	case out.Step == "" && out.Start == 0:
		return &explained{msg: "building with " + show(d.address) + ": " + out.Reason}
	case out.Step == "":
		out.Step = "the Dockerfile"
	}
	return out
}

// lost tells whether the builder went away. What a step answers carries other
// codes, or none.
func lost(err error) bool {
	return grpcerrors.Code(err) == codes.Unavailable
}

// hide puts the name of a build argument in the place of its value: BuildKit
// names a step with its arguments filled in, and some of them are tokens.
func (e *BuildError) hide(args map[string]string) {
	names := slices.SortedFunc(maps.Keys(args), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(args[b]), len(args[a])), cmp.Compare(a, b))
	})
	for _, name := range names {
		if value := args[name]; len(value) >= 4 {
			e.Step, e.Reason = strings.ReplaceAll(e.Step, value, "$"+name), strings.ReplaceAll(e.Reason, value, "$"+name)
		}
	}
}

// at notes the lines of the step.
func (e *BuildError) at(file string, ranges []*pb.Range) {
	e.Dockerfile = file
	for _, r := range ranges {
		if e.Start == 0 || int(r.GetStart().GetLine()) < e.Start {
			e.Start = int(r.GetStart().GetLine())
		}
		e.End = max(e.End, int(r.GetEnd().GetLine()))
	}
}

// find looks for the lines of a step among those of the build.
func (e *BuildError) find(step digest.Digest, definitions map[string][]byte) {
	for _, platform := range slices.Sorted(maps.Keys(definitions)) {
		var def pb.Definition
		if def.UnmarshalVT(definitions[platform]) != nil {
			continue
		}
		for _, l := range def.GetSource().GetLocations()[step.String()].GetLocations() {
			if i := int(l.GetSourceIndex()); i >= 0 && i < len(def.Source.Infos) && len(l.GetRanges()) > 0 {
				e.at(def.Source.Infos[i].GetFilename(), l.Ranges)
				return
			}
		}
	}
}

// executorFailed is how BuildKit 0.8 repeats the command in front of its end.
var executorFailed = regexp.MustCompile(`(?s)^executor failed running \[.*\]: `)

var (
	// parseErrorLine is how BuildKit 0.8 says where a Dockerfile is wrong.
	parseErrorLine = regexp.MustCompile(`^(?:failed to create LLB definition: )?dockerfile parse error (?:on )?line (\d+): (.*)$`)
	// cacheKey is what BuildKit puts in front of a file that is not there.
	cacheKey = regexp.MustCompile(`failed to (?:compute cache key|calculate checksum of ref [^ ]+): `)
	// resolving repeats the name of a base image for each layer of the search.
	resolving = regexp.MustCompile(`^(?:[^ ]+: )?failed to resolve source metadata for `)
)

// buildCause takes the layers of a transport off an error.
func buildCause(err error) string {
	text := err.Error()
	for _, prefix := range []string{"failed to run Build function: ", "failed to solve: ", "rpc error: code = Unknown desc = ", "failed to solve with frontend dockerfile.v0: ", "failed to solve: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if i := strings.Index(text, "did not complete successfully: "); i >= 0 {
		text = text[i+len("did not complete successfully: "):]
	}
	text = cacheKey.ReplaceAllString(executorFailed.ReplaceAllString(text, ""), "")
	text = resolving.ReplaceAllString(text, "")
	// What happened is at the end.
	const most = 300
	if len(text) > most {
		text = "..." + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return printable(text)
}
