package advice

import (
	"context"

	"github.com/org/image-budget/footprint"
)

// program is what a container of the image runs.
type program struct {
	// argv is the command in the end, without the shells, wrappers and scripts
	// that lead to it: argv[0] is as the last of them names it.
	argv []string
	// exec is the file of argv[0], links followed; zero if it is not known.
	exec footprint.File
	// entry is the file that an interpreter runs, "" for a program or where it
	// is not known; module is that of python -m.
	entry, module string
	// files are the paths of all that is run on the way, in order, interpreters
	// and links included: /usr/local/bin/docker-entrypoint.sh, /bin/sh, ….
	files []string
	// calls are commands that scripts on the way and the health check call
	// besides, by path.
	calls []string
	// shell tells that a shell stays in between, npm that npm or its kin does.
	shell, npm bool
	// unknown says in sentences what could not be followed; the program is
	// known where there is none.
	unknown []string
}

// resolve follows entrypoint and command to what they run in the end.
func (p *project) resolve(ctx context.Context) (*program, error) {
	return &program{}, nil
}
