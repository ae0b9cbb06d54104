package github

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestNewRefusesBadConfigs(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{
			BaseURL: "https://api.github.com", Token: "t", Owner: "o", Repo: "r",
			Wait: func(context.Context, time.Duration) error { return nil }, Now: func() time.Time { return start },
		}
	}
	tests := map[string]struct {
		change func(*Config)
		want   string
	}{
		"no URL":           {func(c *Config) { c.BaseURL = "" }, "GITHUB_API_URL"},
		"no scheme":        {func(c *Config) { c.BaseURL = "api.github.com" }, "GITHUB_API_URL"},
		"other scheme":     {func(c *Config) { c.BaseURL = "file:///etc" }, "GITHUB_API_URL"},
		"user in the URL":  {func(c *Config) { c.BaseURL = "https://u:p@ghes.example/api/v3" }, "user name"},
		"query in the URL": {func(c *Config) { c.BaseURL = "https://ghes.example/?x=1" }, "query"},
		"no owner":         {func(c *Config) { c.Owner = "" }, "repository"},
		"path in the repo": {func(c *Config) { c.Repo = "r/../../user" }, "repository"},
		"dots":             {func(c *Config) { c.Repo = ".." }, "repository"},
		"no token":         {func(c *Config) { c.Token = " \n" }, "no GitHub token"},
		"broken token":     {func(c *Config) { c.Token = "a\nb" }, "control characters"},
		"no Wait":          {func(c *Config) { c.Wait = nil }, "Wait"},
		"no Now":           {func(c *Config) { c.Now = nil }, "Now"},
	}
	for name, tt := range tests {
		cfg := good()
		tt.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://api.github.com":              "https://api.github.com/",
		"https://api.github.com/":             "https://api.github.com/",
		"https://ghes.example/api/v3":         "https://ghes.example/api/v3/",
		"http://ghes.example:8080/api/v3//":   "http://ghes.example:8080/api/v3/",
		"https://api.acme.ghe.com":            "https://api.acme.ghe.com/",
		"https://proxy.example/gh/a b/api/v3": "https://proxy.example/gh/a%20b/api/v3/",
	} {
		got, err := parseBaseURL(in)
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v; want %s", in, got, err, want)
		}
	}
}

// The header every request carries is the configured one.
func TestUserAgent(t *testing.T) {
	t.Parallel()
	if got := testClient(t).API().UserAgent; got != "image-budget/1.2.3" {
		t.Errorf("user agent is %q", got)
	}
}
