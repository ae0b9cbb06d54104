package ghcomment

import (
	"context"
	"errors"
	"net/http"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/org/image-budget/internal/github"
)

// actionsLogin is the account behind every GITHUB_TOKEN, on github.com and on Enterprise Server.
const actionsLogin = "github-actions[bot]"

// author is the account our comments are written by: a known id, or else a bot's login.
type author struct {
	id    int64
	login string
}

// wrote reports whether the account wrote a comment of user. A login is compared only between bots: theirs end in "[bot]",
// which no person can register.
func (a author) wrote(user *gogithub.User) bool {
	if a.id != 0 {
		return user.GetID() == a.id
	}
	return user.GetType() == "Bot" && botName(user.GetLogin()) == botName(a.login)
}

// botName is a bot's login in the one spelling REST and GraphQL can be compared in.
func botName(login string) string {
	return strings.ToLower(strings.TrimSuffix(login, "[bot]"))
}

// whoami finds out whose token this is, given the comments that carry our marker, whoever wrote them.
//
// A marker proves nothing, since anyone can copy it, and a token that may comment may also edit everyone's comments; so the
// author has to be known before one is touched. GET /user tells it for a personal token. It is 403 for an installation's
// token, and of those nearly all are the GITHUB_TOKEN, which is github-actions[bot]; only when another bot's comment is in
// question, GraphQL is asked, which answers for every token. performed_via_github_app would be no help: it names the app of a
// comment, not the app of our token. Should GraphQL not answer, only github-actions[bot] is taken for ours: then an App's
// comment is found after the new one is created, by the author that GitHub puts on it.
func (u *upsert) whoami(ctx context.Context, marked []found) (author, error) {
	const doing = "asking GitHub whose token this is"
	var user *gogithub.User
	err := u.tries.Repeat(ctx, doing, func() (resp *gogithub.Response, err error) {
		user, resp, err = u.gh.API().Users.Get(ctx, "")
		return resp, err
	})
	if err == nil {
		if user.GetID() == 0 {
			return author{}, errors.New(doing + ": the answer has no user id")
		}
		return author{id: user.GetID()}, nil
	}
	if r := github.Refusal(err); r == nil || r.Status != http.StatusForbidden && r.Status != http.StatusNotFound {
		return author{}, err
	}
	actions := author{login: actionsLogin}
	for _, f := range marked {
		if f.user.GetType() == "Bot" && !actions.wrote(f.user) {
			return u.viewer(ctx, doing, actions)
		}
	}
	return actions, nil
}

// viewer asks GraphQL for the login of the token, and returns otherwise where GraphQL is not to be had.
func (u *upsert) viewer(ctx context.Context, doing string, otherwise author) (author, error) {
	var answer struct {
		Data struct {
			Viewer struct {
				Login string `json:"login"`
			} `json:"viewer"`
		} `json:"data"`
	}
	err := u.tries.Repeat(ctx, doing, func() (*gogithub.Response, error) {
		gh := u.gh.API()
		req, err := gh.NewRequest(http.MethodPost, u.gh.GraphQL(), map[string]string{"query": "query{viewer{login}}"})
		if err != nil {
			return nil, err
		}
		return gh.Do(ctx, req, &answer)
	})
	if err != nil && github.Refusal(err) == nil {
		return author{}, err
	}
	if err != nil || answer.Data.Viewer.Login == "" {
		return otherwise, nil
	}
	return author{login: answer.Data.Viewer.Login}, nil
}
