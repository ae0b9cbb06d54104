package source

import (
	"errors"
	"strings"
	"testing"
)

// TestUsageErrors tells a misspelled reference or platform from one whose image
// is not there.
func TestUsageErrors(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	digest := "sha256:" + strings.Repeat("0", 64)
	for ref, want := range map[string]struct {
		open  bool // whether Open calls it misspelled
		check bool // whether CheckReference does
	}{
		"":                     {true, true},
		"oci:":                 {true, true},
		"oci-archive:":         {true, true},
		"docker-archive:":      {true, true},
		"docker-daemon:":       {true, true},
		"docker-daemon:Up":     {true, true},
		"docker://":            {true, true},
		"docker://Up:1":        {true, true},
		"docker://a@sha256:12": {true, true},
		"docker://a@sha512:" + strings.Repeat("0", 128): {true, true},
		"https://reg.example/app":                       {true, true},
		"./a\nb":                                        {true, true},
		"a:b:c:d":                                       {true, false}, // may be a file
		"Up":                                            {true, false},
		"./missing.tar":                                 {false, false},
		"/missing/with space":                           {false, false},
		"oci:missing":                                   {false, false},
		"docker-archive:no.tar:a:1":                     {false, false},
	} {
		_, err := New(Config{}).Open(t.Context(), ref)
		if err == nil || errors.Is(err, ErrUsage) != want.open || errors.Is(err, ErrNotFound) == want.open {
			t.Errorf("Open(%q): %v; misspelled %t, want %t", ref, err, errors.Is(err, ErrUsage), want.open)
		}
		checked := CheckReference(ref)
		if (checked != nil) != want.check || (checked != nil && (!errors.Is(checked, ErrUsage) || checked.Error() != err.Error())) {
			t.Errorf("CheckReference(%q): %v, want an error: %t", ref, checked, want.check)
		}
	}
	for _, ref := range []string{"alpine", "alpine:3.20", "reg.example:5000/a@" + digest, "docker://a", "docker-daemon:a", "docker-daemon:" + digest, "a.tar", "dir/x.tar:app:1"} {
		if err := CheckReference(ref); err != nil {
			t.Errorf("CheckReference(%q): %v", ref, err)
		}
	}
	for s, ok := range map[string]bool{
		"": true, "linux/amd64": true, "linux/arm/v7": true, "unknown/unknown": true, "wasip1/wasm": true,
		"linux": false, "linux/": false, "/amd64": false, "linux/amd64/v1/x": false, "Linux/amd64": false, "linux/amd64 ": false,
		"linux/amd64##[add-mask]x": false, "linux/" + strings.Repeat("a", 65): false,
	} {
		err := CheckPlatform(s)
		if (err == nil) != ok || (!ok && !errors.Is(err, ErrUsage)) {
			t.Errorf("CheckPlatform(%q): %v", s, err)
		}
		if _, opened := New(Config{Platform: s}).Open(t.Context(), "./missing.tar"); errors.Is(opened, ErrUsage) == ok {
			t.Errorf("Open for platform %q: %v", s, opened)
		}
	}
}

// FuzzCheckReference holds that what CheckReference refuses, Open refuses too.
func FuzzCheckReference(f *testing.F) {
	for _, s := range []string{"", "alpine", "docker://a@sha256:", "oci:", "https://u:p@h/x", "docker-daemon:A", "a:b:c:d", "./x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checked := CheckReference(s)
		_, parsed := parseReference(s)
		if checked != nil && (parsed == nil || parsed.Error() != checked.Error() || !errors.Is(checked, ErrUsage)) {
			t.Errorf("%q: checked %v, parsed %v", s, checked, parsed)
		}
	})
}
