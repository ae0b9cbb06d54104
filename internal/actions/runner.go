package actions

import (
	"path/filepath"
	"strconv"
	"strings"
)

// Runner is what the environment says about the run. Outside GitHub Actions most of it
// is empty. All of it is as the runner gave it; names of branches are chosen by whoever
// pushed them.
type Runner struct {
	Actions bool // a runner reads our output
	Debug   bool // the run was started with debug logging

	EventName  string // "pull_request", "push", "merge_group", …
	EventPath  string // file with the webhook payload, JSON
	Repository string // "owner/name"
	SHA        string // commit that triggered the run; of a pull request, the merge commit
	Ref        string // full ref, "refs/pull/7/merge"
	RefName    string // short ref, "main" or "7/merge"
	HeadRef    string // branch of the pull request, without "refs/heads/"
	BaseRef    string // branch it goes into, without "refs/heads/"

	RunID      int64  // 0 if unknown
	RunAttempt int64  // 1 for the first; 0 if unknown
	Workflow   string // the workflow's name, or its file where it has none
	Job        string // the job's key in the workflow file

	ServerURL string // "https://github.com" or the Enterprise server, no slash at the end
	APIURL    string // "https://api.github.com" or ".../api/v3", no slash at the end

	Workspace string // the checkout, a path in this container
	Temp      string // directory that is emptied after the job

	OutputPath  string // file that SetOutput appends to
	SummaryPath string // file that AppendSummary appends to
}

// FromEnv reads a Runner with getenv, which returns "" for what is not set.
func FromEnv(getenv func(string) string) Runner {
	return Runner{
		Actions:     getenv("GITHUB_ACTIONS") == "true",
		Debug:       getenv("RUNNER_DEBUG") == "1",
		EventName:   getenv("GITHUB_EVENT_NAME"),
		EventPath:   getenv("GITHUB_EVENT_PATH"),
		Repository:  getenv("GITHUB_REPOSITORY"),
		SHA:         getenv("GITHUB_SHA"),
		Ref:         getenv("GITHUB_REF"),
		RefName:     getenv("GITHUB_REF_NAME"),
		HeadRef:     getenv("GITHUB_HEAD_REF"),
		BaseRef:     getenv("GITHUB_BASE_REF"),
		RunID:       positive(getenv("GITHUB_RUN_ID")),
		RunAttempt:  positive(getenv("GITHUB_RUN_ATTEMPT")),
		Workflow:    getenv("GITHUB_WORKFLOW"),
		Job:         getenv("GITHUB_JOB"),
		ServerURL:   strings.TrimRight(getenv("GITHUB_SERVER_URL"), "/"),
		APIURL:      strings.TrimRight(getenv("GITHUB_API_URL"), "/"),
		Workspace:   getenv("GITHUB_WORKSPACE"),
		Temp:        getenv("RUNNER_TEMP"),
		OutputPath:  getenv("GITHUB_OUTPUT"),
		SummaryPath: getenv("GITHUB_STEP_SUMMARY"),
	}
}

// positive parses a number above zero; anything else is 0, "unknown".
func positive(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Rel returns path as later steps of the job can use it: relative to the workspace, with
// slashes. A container action sees the workspace at another place than the host does, so
// an absolute path means nothing outside. A relative path is taken as relative to the
// workspace, which is where the runner starts us. ok is false if the path leads out of the
// workspace or there is none; links are not followed.
func Rel(workspace, path string) (rel string, ok bool) {
	if workspace == "" || path == "" {
		return "", false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(workspace, path)
	}
	rel, err := filepath.Rel(workspace, path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}
