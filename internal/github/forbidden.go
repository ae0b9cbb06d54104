package github

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ForbiddenError says that the token may not do what was asked: GitHub answered 403, or 404 to a change of something that it
// lets be read. A workflow run of a fork or of Dependabot meets it whatever its permissions say.
type ForbiddenError struct {
	// Permissions are the entries the job's permissions block needs, sorted, each like "pull-requests: write".
	Permissions []string

	message string // of the failure, without the permissions
}

// Error is one line; it names the permissions and never holds the token.
func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("%s; the token needs %s", e.message, strings.Join(e.Permissions, ", "))
}

// YAML is the permissions block to put into the workflow's job, ending in a newline.
func (e *ForbiddenError) YAML() string {
	return "permissions:\n  " + strings.Join(e.Permissions, "\n  ") + "\n"
}

// Permissions that operations need, as a permissions block writes them.
const (
	MayComment = "pull-requests: write"
	MayRead    = "contents: read"
	MayWrite   = "contents: write"
)

// accepted is an entry of X-Accepted-GitHub-Permissions that a workflow can grant and our requests can need. The header also
// names what only Apps have (metadata); in a permissions block that would be an error.
var accepted = regexp.MustCompile(`^(contents|issues|pull_requests)=(read|write)$`)

// Forbidden turns a failure into a *ForbiddenError where permissions are the reason; need is what the whole operation takes.
// Any other error is returned as it is.
func Forbidden(e *Error, need string) error {
	text := strings.ToLower(e.Message)
	if e.limited || e.Status != http.StatusForbidden && e.Status != http.StatusNotFound ||
		strings.Contains(text, "locked") || strings.Contains(text, "archived") {
		return e
	}
	return &ForbiddenError{Permissions: neededPermissions(e.Header.Get("X-Accepted-GitHub-Permissions"), need), message: e.Error()}
}

// neededPermissions reads the header's sets, separated by ";", each a list of permissions separated by ",". Any one set is
// enough; one with pull_requests is preferred, because issues: write alone has been seen to be refused on pull requests.
// contents: read is always there: naming any permission takes away the ones not named, and a checkout needs it.
func neededPermissions(header, need string) []string {
	var chosen []string
sets:
	for set := range strings.SplitSeq(header, ";") {
		var entries []string
		for part := range strings.SplitSeq(set, ",") {
			m := accepted.FindStringSubmatch(strings.TrimSpace(part))
			if m == nil {
				continue sets
			}
			entries = append(entries, strings.ReplaceAll(m[1], "_", "-")+": "+m[2])
		}
		if chosen == nil || !names(chosen, MayComment) && names(entries, MayComment) {
			chosen = entries
		}
	}
	// The request that failed may only have read; what comes after it needs need.
	chosen = slices.DeleteFunc(chosen, func(s string) bool { return names([]string{s}, need) })
	chosen = append(chosen, need)
	if !names(chosen, MayRead) {
		chosen = append(chosen, MayRead)
	}
	slices.Sort(chosen)
	return slices.Compact(chosen)
}

// names reports whether entries has one for the scope of permission, at any level.
func names(entries []string, permission string) bool {
	scope, _, _ := strings.Cut(permission, ":")
	return slices.ContainsFunc(entries, func(s string) bool { return strings.HasPrefix(s, scope+":") })
}
