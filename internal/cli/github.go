package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/rs/zerolog"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/ghcomment"
	"github.com/org/image-budget/internal/actions"
	"github.com/org/image-budget/internal/escape"
	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/report"
)

type keychain = authn.Keychain

// input is an input of the action, and whether it was given.
func (c *Command) input(name string) (string, bool) {
	if !c.runner.Actions {
		return "", false
	}
	v := actions.NewInputs(c.Getenv).String(name)
	return v, v != ""
}

// protect hides what must not be seen in the log, before anything is written.
func (c *Command) protect(f *checkFlags) error {
	if *f.verbose {
		c.log = c.log.Level(zerolog.DebugLevel)
	}
	// Standard output may be a report that somebody keeps. The runner reads
	// commands on standard error as well, and masks GITHUB_TOKEN by itself.
	commands := actions.NewCommands(c.Stderr, c.runner)
	return errors.Join(
		commands.AddMask(*f.token),
		commands.MaskLogin(*f.username, *f.passwd),
		commands.MaskLogin(*f.username, c.Getenv("IMAGE_BUDGET_REGISTRY_PASSWORD")),
	)
}

// run describes the workflow run for the report.
func (c *Command) run(set *budgetSet) report.Run {
	r := report.Run{BudgetFile: set.name}
	if !c.runner.Actions {
		return r
	}
	r.Repository, r.ServerURL = c.runner.Repository, c.runner.ServerURL
	r.ID, r.Attempt, r.Head = c.runner.RunID, c.runner.RunAttempt, c.runner.SHA
	if rel, ok := actions.Rel(c.runner.Workspace, set.name); ok && set.name != "" {
		r.BudgetFile = rel
	}
	if e, err := c.event(); err == nil {
		r.PullRequest, r.Base = e.Number, e.BaseSHA
		if e.HeadSHA != "" {
			r.Head = e.HeadSHA
		}
	} else {
		c.log.Warn().Msgf("%v", err)
	}
	return r
}

func (c *Command) event() (ghcomment.Event, error) {
	if c.runner.EventPath == "" {
		return ghcomment.Event{Name: c.runner.EventName}, nil
	}
	payload, err := readBounded(c.runner.EventPath, ghcomment.MaxEvent)
	if err != nil {
		return ghcomment.Event{}, fmt.Errorf("reading the event of this run: %w", err)
	}
	return ghcomment.ParseEvent(c.runner.EventName, payload)
}

// deliver brings a report to everyone who waits for it. What is local goes
// first: files, log, outputs, summary, annotations. Only then is anything
// posted, and whether that works changes nothing about the verdict.
func (c *Command) deliver(ctx context.Context, r *report.Report, f *checkFlags, set *budgetSet) error {
	err := c.emit(r, f.outputFlags)
	if !c.runner.Actions {
		return err
	}
	c.delivered = true
	err = errors.Join(err, c.setOutputs(r, f))
	if *f.summary {
		err = errors.Join(err, c.writeSummary(r))
	}
	if *f.annotations {
		_, aerr := actions.NewCommands(c.Stderr, c.runner).Annotate(annotationsOf(r))
		err = errors.Join(err, aerr)
	}
	c.post(ctx, r, f, set)
	return err
}

func (c *Command) writeSummary(r *report.Report) error {
	var buf strings.Builder
	if err := report.Markdown(&buf, r, report.MarkdownOptions{MaxBytes: actions.SummaryLimit - c.summarySize() - 2, Rest: "the JSON report", Full: true}); err != nil {
		return err
	}
	_, err := c.runner.AppendSummary(buf.String())
	return err
}

// summarySize is what this step's summary holds already.
func (c *Command) summarySize() int {
	info, err := os.Stat(c.runner.SummaryPath)
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// setOutputs writes numbers, words and paths, and nothing that an image or a
// branch could have chosen.
func (c *Command) setOutputs(r *report.Report, f *checkFlags) error {
	out := map[string]string{
		"status":      string(r.Status.Worse(budget.Pass)),
		"over-budget": strconv.FormatBool(r.Status == budget.Fail),
		"images":      strconv.Itoa(len(r.Images)),
	}
	if len(r.Unmeasured) > 0 {
		out["status"] = "error"
	}
	if len(r.Images) > 0 {
		img := r.Images[0]
		number := func(name string, m footprint.Metrics, metric footprint.Metric) {
			if v, ok := m.Value(metric); ok {
				out[name] = strconv.FormatInt(v, 10)
			}
		}
		number("compressed", img.Head.Metrics, footprint.Compressed)
		number("unpacked", img.Head.Metrics, footprint.Unpacked)
		number("final", img.Head.Metrics, footprint.Final)
		number("wasted", img.Head.Metrics, footprint.Wasted)
		if img.Base != nil {
			number("baseline-compressed", img.Base.Metrics, footprint.Compressed)
		}
		if img.Delta != nil && img.Delta.Has&footprint.HasCompressed != 0 {
			out["delta-compressed"] = strconv.FormatInt(int64(img.Delta.Compressed), 10)
		}
	}
	files, err := f.files()
	for _, file := range files {
		if rel, ok := actions.Rel(c.runner.Workspace, file.path); ok && file.format != report.FormatTerminal {
			out["report-"+string(file.format)] = rel
		}
	}
	for _, name := range sortedKeys(out) {
		_, oerr := c.runner.SetOutput(name, out[name])
		err = errors.Join(err, oerr)
	}
	return err
}

// failedOutputs tells later steps, and whoever looks at the summary, that
// there is no verdict, and why.
func (c *Command) failedOutputs(reason error) {
	if !c.runner.Actions || c.delivered {
		return
	}
	_, err := c.runner.SetOutput("status", "error")
	_, serr := c.runner.AppendSummary("### ⚠️ image-budget has no verdict\n\n" + escape.Text(reason.Error()) + "\n")
	note := actions.Annotation{Level: actions.Error, Title: "image-budget", Message: reason.Error()}
	var mistake *budget.ParseError
	if errors.As(reason, &mistake) {
		note.File, note.Line = mistake.File, mistake.Line
		if rel, ok := actions.Rel(c.runner.Workspace, mistake.File); ok {
			note.File = rel
		}
	}
	_, aerr := actions.NewCommands(c.Stderr, c.runner).Annotate([]actions.Annotation{note})
	if err := errors.Join(err, serr, aerr); err != nil {
		c.log.Warn().Msgf("%v", err)
	}
}

// annotationsOf are the checks that do not pass, at their lines of the budget
// file.
func annotationsOf(r *report.Report) []actions.Annotation {
	var list []actions.Annotation
	for _, u := range r.Unmeasured {
		a := actions.Annotation{Level: actions.Error, Title: "image-budget: " + u.Name, Message: "could not be measured: " + u.Reason}
		// A path elsewhere is none that the runner could show.
		if filepath.IsLocal(u.File) && u.Line > 0 {
			a.File, a.Line = u.File, u.Line
		}
		list = append(list, a)
	}
	for _, img := range r.Images {
		for _, check := range img.Verdict.Checks {
			a := actions.Annotation{Title: "image-budget: " + img.Head.Name, Message: check.Message, File: r.Run.BudgetFile, Line: check.Pos.Line}
			switch {
			case check.Status == budget.Fail:
				a.Level = actions.Error
			case check.Status == budget.Warn || check.Blind:
				a.Level = actions.Warning
			default:
				continue
			}
			if a.Line == 0 {
				a.File = ""
			}
			list = append(list, a)
		}
	}
	return list
}

// post keeps the comment of a pull request up to date.
func (c *Command) post(ctx context.Context, r *report.Report, f *checkFlags, set *budgetSet) {
	number := r.Run.PullRequest
	if *f.prNumber > 0 {
		number = *f.prNumber
	}
	switch {
	case f.comment.value == "never" || number == 0:
		return
	case *f.prNumber == 0 && c.runner.EventName != "pull_request" && c.runner.EventName != "pull_request_target":
		return
	}
	token := *f.token
	if token == "" {
		token = c.Getenv("GITHUB_TOKEN")
	}
	if token == "" {
		c.log.Warn().Msg("not commenting: there is no token; pass github-token")
		return
	}
	res, err := c.upsert(ctx, r, f, set, number, token)
	if err != nil {
		c.sayNotPosted(err)
		return
	}
	c.log.Info().Msgf("comment on #%d: %s", number, res.Outcome)
	if res.ID == 0 {
		return
	}
	_, err = c.runner.SetOutput("comment-id", strconv.FormatInt(res.ID, 10))
	if _, uerr := c.runner.SetOutput("comment-url", res.URL); err == nil {
		err = uerr
	}
	if err != nil {
		c.log.Warn().Msgf("%v", err)
	}
}

func (c *Command) upsert(ctx context.Context, r *report.Report, f *checkFlags, set *budgetSet, number int, token string) (ghcomment.Result, error) {
	client, err := c.gitHub(token)
	if err != nil {
		return ghcomment.Result{}, err
	}
	comment := ghcomment.Comment{
		Key: *f.commentKey, Head: r.Run.Head, RunID: r.Run.ID, RunAttempt: r.Run.Attempt, At: c.Now(),
		// That nothing could be measured is told by the job; it only corrects
		// a comment that says otherwise.
		CreateIfMissing: f.comment.value == "always" || len(r.Images) > 0 && report.Worth(r),
	}
	if comment.Key == "" {
		comment.Key = "image-budget"
		if len(set.images) == 1 {
			comment.Key = set.images[0].ID
		}
	}
	var body strings.Builder
	if err := report.Markdown(&body, r, report.MarkdownOptions{MaxBytes: ghcomment.MaxBody - comment.Overhead(), Rest: "the job summary"}); err != nil {
		return ghcomment.Result{}, err
	}
	comment.Body = body.String()
	return ghcomment.Upsert(ctx, client, number, comment)
}

// gitHub is the API for the repository of this run.
func (c *Command) gitHub(token string) (*github.Client, error) {
	owner, repo, _ := strings.Cut(c.runner.Repository, "/")
	url := c.runner.APIURL
	if url == "" && !c.runner.Actions {
		url = "https://api.github.com" // a terminal has no runner to name another
	}
	return github.New(github.Config{
		BaseURL: url, Token: token, Owner: owner, Repo: repo,
		Wait: wait, Now: c.Now, UserAgent: strings.ReplaceAll(Tool(), " ", "/"),
	})
}

// sayNotPosted explains a comment that could not be written. A pull request
// from a fork has a token that may only read: that is normal, the summary and
// the annotations have the report.
func (c *Command) sayNotPosted(err error) {
	var forbidden *github.ForbiddenError
	if !errors.As(err, &forbidden) {
		c.log.Warn().Msgf("the comment was not posted: %v; the job summary has the report", err)
		return
	}
	c.log.Warn().Msgf("%v", err)
	fmt.Fprintf(c.notes, "The job summary has the report. A comment needs this in the workflow (a pull request from a fork cannot have it):\n\n%s\n", forbidden.YAML())
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
