package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes image-budget a command that tests can run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"image-budget": main})
}

// The scripts have the demo in a folder called demo, its images in a registry at
// $REGISTRY, images with provenance in a folder called provenance, and one more
// command:
//
//	exits CODE COMMAND [ARGUMENT...]
func TestCommandsDoWhatTheirScriptsSay(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("REGISTRY", demoRegistry(t))
			err := os.CopyFS(filepath.Join(env.WorkDir, "demo"), os.DirFS(demoDir))
			return errors.Join(err, os.CopyFS(filepath.Join(env.WorkDir, "provenance"), os.DirFS(filepath.Join("testdata", "provenance"))))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}
