package budget

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSecret(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Secret{
		"id=a,src=b": {"a", "b", ""}, "src=b,id=a": {"a", "b", ""}, "ID=a,Source=b": {"a", "b", ""}, "id=a,env=B": {"a", "", "B"},
		"type=env,id=a,src=B": {"a", "", "B"}, "type=env,id=a": {"a", "", ""}, "type=file,id=a": {"a", "", ""},
		`id=a,"src=b,c=d"`: {"a", "b,c=d", ""}, "id=a,src=x=y": {"a", "x=y", ""},
	} {
		got, err := ParseSecret(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// TestMistakesRepeatNoSecret: flags are printed in public logs, and the text
// in the wrong place may be the secret.
func TestMistakesRepeatNoSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"hunter2", "id=a,hunter2", "id=a,hunter2=b", "id=a,src=b,src=hunter2", "id=a,type=hunter2", `id=a,src="hunter2`, "id=a,env=A=hunter2",
		"env=hunter2", "id=a,\nsrc=hunter2", "id=,src=hunter2", "id=a,src=hunter2,env=hunter2",
	} {
		if s, err := ParseSecret(text); err == nil || strings.Contains(err.Error(), "hunter2") || s != (Secret{}) {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
	for _, text := range []string{"type=s3,hunter2", "type=gha,token=hunter2,token=hunter2", "token=hunter2", `token="hunter2`, "ghtoken=hunter2,type=x"} {
		if err := CheckCacheTo(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := CheckContext("a", "https://me:hunter2@example.com/a.git"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestParseSSH(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{"default": {"default"}, "a=/x": {"a", "/x"}, "a=/x,~/y=z": {"a", "/x", "~/y=z"}} {
		id, paths, err := ParseSSH(text)
		if err != nil || !slices.Equal(append([]string{id}, paths...), want) {
			t.Errorf("%s: %s %q, %v", text, id, paths, err)
		}
	}
	for _, text := range []string{"", "=x", "a=", "a=x,", "a b", "/run/agent.sock", "a,b", "a=\x1b"} {
		if _, _, err := ParseSSH(text); err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestFlagsGetTheHint: what the budget file prints in a line of its own is
// part of the error elsewhere.
func TestFlagsGetTheHint(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		`"hots" is no network of a build; did you mean "host"?`:                  CheckNetwork("hots"),
		`the cache type "regstry" is none I know; did you mean "type=registry"?`: CheckCacheFrom("type=regstry,ref=x"),
		`a build context cannot begin with "http://"; did you mean "https://"?`:  CheckContext("a", "http://a/b"),
		`"a b" cannot be the name of a build context; write NAME: VALUE`:         CheckContext("a b", "."),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, err := range []error{CheckNetwork("none"), CheckCacheFrom("a/b:c"), CheckCacheTo("type=inline"), CheckContext("alpine", "docker-image://alpine")} {
		if err != nil {
			t.Error(err)
		}
	}
}
