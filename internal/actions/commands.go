package actions

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/image-budget/internal/escape"
)

// MaxAnnotations is how many annotations one run makes. The runner shows ten of each
// level for a step and drops the rest in silence.
const MaxAnnotations = 9

const (
	maxMessage = 4000 // UTF-16 units; the runner cuts at 4,096
	maxTitle   = 255  // runes
)

// Level is how serious an annotation is.
type Level int

// The levels of annotations, the most serious first.
const (
	Error Level = iota
	Warning
	Notice
)

// Annotation is a remark that GitHub shows on the run and, if it names a file of the
// pull request, beside the line.
type Annotation struct {
	Level   Level  // how serious it is
	Title   string // one line; may be empty
	Message string // may have several lines
	File    string // relative to the workspace, with slashes; may be empty
	Line    int    // first line, from 1; 0 for none
	EndLine int    // last line; 0 for none
}

// Commands writes runner commands. It is safe for concurrent use.
type Commands struct {
	mu      sync.Mutex
	out     commandWriter
	action  *githubactions.Action
	enabled bool
	shown   int
}

// NewCommands returns Commands that write to w, the standard output of the process. If no
// runner reads it (r.Actions is false) nothing is ever written, masks least of all.
func NewCommands(w io.Writer, r Runner) *Commands {
	c := &Commands{out: commandWriter{w: w}, enabled: r.Actions}
	c.action = githubactions.New(githubactions.WithWriter(&c.out),
		githubactions.WithGetenv(func(string) string { return "" }))
	return c
}

// Annotate writes the annotations, errors first, until the run has MaxAnnotations of
// them. The rest is counted in one plain line. It returns how many were written; the error
// is the first that any write to the target gave.
func (c *Commands) Annotate(list []Annotation) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.enabled {
		return 0, nil
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Annotation) int { return cmp.Compare(a.Level, b.Level) })
	n := min(len(list), MaxAnnotations-c.shown)
	for _, a := range list[:n] {
		c.annotate(a)
	}
	c.shown += n
	if rest := len(list) - n; rest > 0 {
		c.out.line(fmt.Sprintf("%d more not shown as annotations; the job summary and the report have them all.", rest))
	}
	return n, c.out.failed("writing annotations")
}

func (c *Commands) annotate(a Annotation) {
	fields := map[string]string{}
	for key, value := range map[string]string{
		"file":    escape.Line(a.File),
		"title":   cutRunes(escape.Line(a.Title), maxTitle),
		"line":    lineNumber(a.Line),
		"endLine": lineNumber(a.EndLine),
	} {
		if value != "" {
			fields[key] = value
		}
	}
	action := c.action.WithFieldsMap(fields)
	message := cutMessage(a.Message)
	switch a.Level {
	case Error:
		action.Errorf("%s", message)
	case Warning:
		action.Warningf("%s", message)
	default:
		action.Noticef("%s", message)
	}
}

// AddMask has the runner replace each secret by *** in the log from here on, also in the
// forms it takes on the way: base64 and percent-encoded. Empty ones are left out; the
// runner would complain. Nothing is written where no runner reads it. The error is the first
// that any write to the target gave, and holds no secret.
func (c *Commands) AddMask(secrets ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.enabled {
		return nil
	}
	for _, secret := range secrets {
		if strings.TrimSpace(secret) == "" {
			continue
		}
		forms := []string{
			secret,
			base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)),
			url.QueryEscape(secret),
			url.PathEscape(secret),
		}
		slices.Sort(forms)
		for _, form := range slices.Compact(forms) {
			c.action.AddMask(form)
		}
	}
	return c.out.failed("masking secrets")
}

// Group begins a part of the log that readers can fold. Groups do not nest. Nothing
// is written where no runner reads it.
func (c *Commands) Group(title string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enabled {
		c.action.Group(escape.Line(title))
	}
}

// EndGroup ends the part that Group began.
func (c *Commands) EndGroup() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enabled {
		c.action.EndGroup()
	}
}

// MaskLogin masks a password and what a registry or server is sent for it: the base64 of
// "username:password". The user name itself is not a secret. It fails when AddMask does.
func (c *Commands) MaskLogin(username, password string) error {
	if password == "" {
		return nil
	}
	return c.AddMask(password, username+":"+password)
}

// commandWriter hides write errors from go-githubactions, which would panic, and keeps the
// first for the caller.
type commandWriter struct {
	w   io.Writer
	err error
}

func (w *commandWriter) Write(p []byte) (int, error) {
	if w.err == nil {
		_, w.err = w.w.Write(p)
	}
	return len(p), nil
}

// line writes a line of our own that is no command.
func (w *commandWriter) line(s string) { _, _ = w.Write([]byte(s + "\n")) }

func (w *commandWriter) failed(doing string) error {
	if w.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, w.err)
}

func lineNumber(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// cutMessage makes each line of a message harmless to look at and the whole no longer than
// the runner takes.
func cutMessage(s string) string {
	var b strings.Builder
	units := 0
	for line := range strings.Lines(s) {
		text, ended := strings.CutSuffix(line, "\n")
		text = escape.Line(strings.TrimSuffix(text, "\r"))
		if ended {
			text += "\n"
		}
		for _, r := range text {
			size := utf16.RuneLen(r)
			if units+size >= maxMessage { // one is left for the "…"
				return b.String() + "…"
			}
			units += size
			b.WriteRune(r)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// cutRunes drops what is beyond limit runes.
func cutRunes(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
