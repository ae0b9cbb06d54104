// Package verify proves a suggestion: it builds the changed Dockerfile, starts
// containers of the original and of the candidate the same way, and compares
// what can be seen without knowing the program.
//
// It decides what "the same" means and knows no engine: building, measuring and
// running are handed in. Every container is removed, whatever happens, and all
// of it ends in the time that it is given.
package verify

import (
	"context"
	"time"

	"github.com/org/image-budget/footprint"
)

// Candidate is a change to prove.
type Candidate struct {
	// Name says in a few words what it is: "on scratch".
	Name string
	// Dockerfile is its whole text.
	Dockerfile []byte
}

// Proof is what is to be proven, and with what.
type Proof struct {
	// Original is an image that a Runner can start, with the config and size of it.
	Original Built
	// Candidates are tried in the order of their sizes, smallest first, among
	// those that build.
	Candidates []Candidate
	// Build builds a candidate with the cache and measures it. The image stays
	// until Remove of Built is called.
	Build func(ctx context.Context, c Candidate) (Built, error)
	// Run starts containers.
	Run Runner
	// Smoke is the user's own test, nil without one.
	Smoke *Smoke
	// Timeout bounds all of it, Start how long a container may take to answer.
	Timeout, Start time.Duration
	// Memory bounds each container in bytes.
	Memory int64
	// Network lets containers reach the outside.
	Network bool
	// Now and Sleep are the clock; Sleep returns early with the context's error.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Built is an image that was built and measured.
type Built struct {
	// Reference is what the Runner starts it by.
	Reference string
	Config    footprint.Config
	// Size is its size in Metric.
	Size   footprint.Bytes
	Metric footprint.Metric
	// Remove forgets the image; nil if it is to stay.
	Remove func(ctx context.Context) error
}

// Smoke is how the user sees that an image works: either Port is set, or
// Command.
type Smoke struct {
	Port    int
	Path    string
	Body    string
	Status  int
	Command []string
	Timeout time.Duration
}

// Runner starts containers.
type Runner interface {
	// Start starts a container. It is removed with its Close.
	Start(ctx context.Context, spec Container) (Running, error)
}

// Container says how to start one.
type Container struct {
	// Reference is the image.
	Reference string
}

// Running is a container that was started.
type Running interface {
	// Close removes it, whatever it does.
	Close() error
}

// Prove builds the candidates, and returns what became of the smallest one that
// behaves as the original does, and its index; -1 where none does. It never
// fails: what went wrong is in the verification.
func Prove(ctx context.Context, p Proof) (footprint.Verification, int) {
	return footprint.Verification{Status: footprint.VerifyNotRun}, -1
}
