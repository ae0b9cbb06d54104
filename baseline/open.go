package baseline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/github"
	"github.com/org/image-budget/internal/nearest"
	"github.com/org/image-budget/source"
)

// Options are what stores need from their caller.
type Options struct {
	// Dir is the directory that a relative file:PATH starts from, "" for the
	// current one.
	Dir string
	// Measure measures the image of image:REF for the platform of the key. It
	// wraps [ErrNotFound] in its error if there is no such image, and
	// [ErrPlatform] if there is one for other platforms alone.
	Measure func(ctx context.Context, ref string, key Key) (*footprint.Image, error)
	// Build builds the image of a key from the sources of the commit that a run
	// is compared with, or from those in dir if it is not "". It wraps
	// [ErrNotFound] in its error if there was no such image then.
	Build func(ctx context.Context, dir string, key Key) (*Found, error)
	// Registries reaches the registry of registry:REF, and Now tells when what
	// is saved was saved.
	Registries *source.Opener
	Now        func() time.Time
	// GitHub is the repository that branch:NAME is in. Its error says what is
	// missing to ask GitHub; it is called once something is read or saved.
	GitHub func() (*github.Client, error)
	// Ancestors lists the first-parent ancestors of a commit, nearest first, at
	// most 50, for a store that keeps several commits and not the one asked
	// for. Without it, only that one is found.
	Ancestors func(ctx context.Context, commit string) iter.Seq2[string, error]
	// Tracked is the branch of the code that commits are saved for, and whose
	// latest baseline branch:NAME loads for a key without a commit. Where it
	// is "" or has none, that of the default branch is loaded.
	Tracked string
	// Keep is how many baselines of an image and platform branch:NAME keeps, 0
	// for [DefaultKeep].
	Keep int
	// Rand returns a random number from 0 to 1, for waiting; nil is the usual one.
	Rand func() float64
}

const forms = "file:PATH, branch:NAME, registry:REF, image:REF, build or none"

// Open makes the store that a spec names: file:PATH, branch:NAME, registry:REF,
// image:REF, build, build:DIR or none. REF of a registry is HOST/REPOSITORY[:PREFIX], where all tags begin with
// PREFIX and a dot; so baselines can stand beside the images of a repository. It
// reads nothing yet. A spec that is none of them, or names nothing, is an error
// that says what can be written instead.
func Open(spec string, opt Options) (Store, error) {
	if spec == "none" {
		return none{}, nil
	}
	if strings.TrimSpace(spec) == "" {
		return nil, fmt.Errorf("the baseline is empty; write %s", forms)
	}
	scheme, rest, hasColon := strings.Cut(spec, ":")
	switch {
	case spec == "build":
		return openBuilt("", opt)
	case hasColon && slices.Contains([]string{"file", "branch", "registry", "image", "build"}, scheme) && strings.TrimSpace(rest) == "":
		return nil, fmt.Errorf("baseline %q names nothing after the colon; write %s", spec, forms)
	case hasColon && strings.ContainsRune(rest, 0):
		return nil, fmt.Errorf("baseline %q holds a zero byte", clip(spec))
	case hasColon && scheme == "file":
		return openFile(opt.Dir, rest), nil
	case hasColon && scheme == "branch":
		return openBranch(rest, opt)
	case hasColon && scheme == "registry":
		return openRegistry(rest, opt)
	case hasColon && scheme == "build":
		return openBuilt(rest, opt)
	case hasColon && scheme == "image":
		if opt.Measure == nil {
			return nil, errors.New("internal error: there is nothing to measure image:REF with")
		}
		return image{ref: rest, measure: opt.Measure}, nil
	}
	return nil, fmt.Errorf("baseline %q is none that I know%s; write %s", clip(spec), meant(spec, scheme, hasColon), forms)
}

func openFile(dir, path string) *file {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return &file{path: filepath.Clean(path)}
}

// meant guesses what a spec was meant to be.
func meant(spec, scheme string, hasColon bool) string {
	guess := ""
	switch {
	case strings.HasSuffix(spec, ".json"):
		guess = "file:" + strings.TrimPrefix(strings.TrimPrefix(spec, scheme+":"), "//")
		if !hasColon {
			guess = "file:" + spec
		}
	case hasColon && near(scheme, "file"):
		guess = "file" + strings.TrimPrefix(spec, scheme)
	case hasColon && near(scheme, "branch"):
		guess = "branch" + strings.TrimPrefix(spec, scheme)
	case hasColon && near(scheme, "registry"):
		guess = "registry" + strings.TrimPrefix(spec, scheme)
	case hasColon && near(scheme, "image"):
		guess = "image" + strings.TrimPrefix(spec, scheme)
	case hasColon && near(scheme, "build"):
		guess = "build" + strings.TrimPrefix(spec, scheme)
	case !hasColon && near(spec, "build"):
		guess = "build"
	case !hasColon && near(spec, "none"):
		guess = "none"
	case strings.Contains(spec, "/") || hasColon:
		guess = "image:" + strings.TrimPrefix(spec, "docker://")
	default:
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", clip(guess))
}

// near tells whether a was probably meant to be b.
func near(a, b string) bool {
	_, ok := nearest.Word(a, []string{b})
	return ok
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
