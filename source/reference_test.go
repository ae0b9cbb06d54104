package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestReferences(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, d := range []string{"layout", "alpine", "a:b"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"layout/index.json", "a.tar", "a:b/index.json"} {
		if err := os.WriteFile(f, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	abs := filepath.Join(dir, "a.tar")
	digest := "sha256:" + strings.Repeat("0", 64)
	for ref, want := range map[string]reference{
		"alpine":                         {kind: kindRegistry, name: "alpine", bare: true}, // a folder of that name is no layout
		"alpine:3.20":                    {kind: kindRegistry, name: "alpine:3.20", bare: true},
		"reg.example:5000/a/b@" + digest: {kind: kindRegistry, name: "reg.example:5000/a/b@" + digest, bare: true},
		"docker://alpine":                {kind: kindRegistry, name: "alpine"},
		"docker-daemon:app:1":            {kind: kindEngine, name: "app:1"},
		"docker-daemon:" + digest:        {kind: kindEngine, name: digest},
		"oci:layout":                     {kind: kindLayout, path: "layout"},
		"oci:layout:web:1":               {kind: kindLayout, path: "layout", name: "web:1"},
		"oci:a:b":                        {kind: kindLayout, path: "a:b"},
		"oci:a:b:1":                      {kind: kindLayout, path: "a:b", name: "1"},
		"oci-archive:a.tar:1":            {kind: kindOCIArchive, path: "a.tar", name: "1"},
		"docker-archive:a.tar":           {kind: kindDockerArchive, path: "a.tar"},
		"docker-archive:" + abs + ":a:1": {kind: kindDockerArchive, path: abs, name: "a:1"},
		"layout":                         {kind: kindLayout, path: "layout"},
		"./layout":                       {kind: kindLayout, path: "./layout"},
		"./layout:web":                   {kind: kindLayout, path: "./layout", name: "web"},
		"a.tar":                          {kind: kindArchive, path: "a.tar"},
		abs:                              {kind: kindArchive, path: abs},
		abs + ":a:1":                     {kind: kindArchive, path: abs, name: "a:1"},
		".":                              {kind: kindLayout, path: "."},
	} {
		got, err := parseReference(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(reference{})); diff != "" {
			t.Errorf("%s: %s", ref, diff)
		}
	}
	for ref, want := range map[string]string{
		"":                      "it is empty",
		"Alpine":                "lower case",
		"docker-archive:b.tar":  "no such file or directory",
		"docker-archive:":       "it has no path; write docker-archive:PATH",
		"./b.tar":               "no such file or directory",
		"/no/where":             "no such file or directory",
		"a\nb":                  "control character",
		"docker-daemon:A":       "after docker-daemon: comes",
		"oci:nowhere:1":         "opening oci:nowhere: there is no such",
		"https://reg.example/a": "it is not NAME[:TAG|@DIGEST]",
	} {
		if _, err := parseReference(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", ref, err, want)
		}
	}
	for ref, want := range map[string]string{
		"alpine": name.DefaultRegistry, "reg.example:5000/a:1": "reg.example:5000", "docker://reg.example/a": "reg.example",
		"docker-daemon:app": "", "oci:layout": "", "a.tar": "", "": "",
	} {
		if got := RegistryHost(ref); got != want {
			t.Errorf("RegistryHost(%q) is %q, want %q", ref, got, want)
		}
	}
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"alpine", "docker://a@sha256:", "oci:x:y", "u:p@h/x", "https://u:p@h/x", "./a:b", "docker-daemon:0123456789ab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseReference(s)
		if err != nil && strings.ContainsAny(err.Error(), "\x00\x1b\r\n") {
			t.Errorf("%q passes control characters on", err)
		}
		if err == nil && r.kind != kindRegistry && r.kind != kindEngine && r.path == "" {
			t.Errorf("%q has no path", s)
		}
		RegistryHost(s)
	})
}

func TestKeychain(t *testing.T) {
	t.Parallel()
	docker := logins{{"docker.io", "docker", "d"}, {"ghcr.example", "docker", "d"}}
	k := Keychain(KeychainOptions{
		Explicit: []Login{{"reg.example:5000", "explicit", "e"}, {"docker.example", "nobody", ""}},
		Docker:   docker,
		Fallback: []Login{{"ghcr.example", "fallback", "f"}, {"reg.example:5000", "fallback", "f"}, {"own.example", "fallback", "f"}, {"", "all", "a"}},
	})
	for ref, want := range map[string]string{
		"reg.example:5000/a": "explicit", "reg.example/a": "", "ghcr.example/a": "docker", "own.example/a/b:1": "fallback",
		"alpine": "docker", "docker.example/a": "", "other.example/a": "",
	} {
		n, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		a, err := authn.Resolve(t.Context(), k, n.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := authn.Authorization(t.Context(), a)
		if err != nil || c.Username != want {
			t.Errorf("%s gets the login of %q, want %q (%v)", ref, c.Username, want, err)
		}
	}
}

// TestKeychainThatFails says which registry it was for, and nothing of what the
// helper said.
func TestKeychainThatFails(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Keychain: failingKeychain{}}).Open(t.Context(), "reg.example/app:1")
	if err == nil || strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), "docker login reg.example") {
		t.Error(err)
	}
}

type failingKeychain struct{}

func (failingKeychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return nil, os.NewSyscallError("CANARY", os.ErrInvalid)
}
