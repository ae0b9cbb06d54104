// Package advice says what would make an image smaller, and by how much: it
// reads a Dockerfile and the image that was built from it, and where either is
// missing, the other alone.
//
// Each rule is one file, rule_NAME.go, and one page, docs/NAME.md. The rewriter,
// stages*.go, turns a Dockerfile into one that builds in one stage and ships
// another. Nothing is built, run or written here: package verify proves what
// this one proposes, and a suggestion that nobody proved claims no more than the
// bytes that were measured.
//
// Always true: a rule reports only what reaches the final stage, and nothing
// at 0 bytes; an edit changes the bytes it names and no others, leaves a file
// that parses, and silences the rule; where it is not sure, it proposes nothing.
package advice

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/org/image-budget/dockerfile"
	"github.com/org/image-budget/footprint"
)

// Floor is what a suggestion weighs at least, unless it is about a program that
// does not start.
const Floor footprint.Bytes = 100_000

// Subject is what there is to look at, by one goroutine and without changes in
// between. Each part may be missing, but not both
// File and Image.
type Subject struct {
	// File is the Dockerfile, nil without one; Target is the stage that was
	// built, "" for the last, and Args are the build arguments.
	File   *dockerfile.File
	Target string
	Args   map[string]string
	// Image is the image that was measured, nil without one. With a File, the
	// layers have the origins that are known, and the base is told apart where
	// it is known. Its Files may be nil.
	Image *footprint.Image
	// Config is what its containers are started with, nil without an image.
	Config *footprint.Config
	// Ignore is the text of the .dockerignore that the build reads, and
	// IgnoreName its path as edits name it: that of the file there is, or of
	// the one to make. HasIgnore tells them apart. IgnoreName is "" where the
	// context is no folder of ours.
	Ignore     []byte
	IgnoreName string
	HasIgnore  bool
	// Context are the files of the build context that .dockerignore lets
	// through, in path order, with paths as COPY names them, without a leading
	// slash; nil where nobody looked.
	Context []ContextFile
	// Read returns the contents of files of the image, by path: regular files
	// of the final filesystem. What is too large or not there is left out. It is
	// nil where contents cannot be had.
	Read func(ctx context.Context, paths ...string) (map[string][]byte, error)
	// Weigh asks a registry what an image weighs, without its layers: the
	// compressed bytes for the platform of Image. It is nil where nobody can be
	// asked.
	Weigh func(ctx context.Context, ref string) (footprint.Bytes, error)

	// planned is the rewrite, nil before somebody asked.
	planned *Rewrite
}

// ContextFile is a file of the build context.
type ContextFile struct {
	Path  string
	Bytes footprint.Bytes
}

// Rule is one rule.
type Rule struct {
	// ID is what reports and settings call it; it never changes.
	ID string
	// Title says in a few words what it finds.
	Title string
	// Safety is the best class that its suggestions have.
	Safety footprint.Safety
	// Apart says that its bytes are no part of the image's size, but of each
	// update: they are never added to those of other rules.
	Apart bool

	check func(ctx context.Context, s *subject) ([]footprint.Suggestion, error)
}

// Rules lists all rules in the order in which people read about them.
func Rules() []Rule {
	return []Rule{
		missingRuntimeFile,
		singleStageBuild(),
		buildToolsInFinalStage,
		fatBaseImage,
		devDependencies,
		copyWholeContext,
		copyWholeBuilderDir,
		vcsMetadata,
		packageCacheLeft(),
		recommendedPackages(),
		cleanupInLaterLayer(),
		chownDuplicatesLayer(),
		archiveLeft(),
		duplicateFiles,
		debugSymbols,
		sparseLastlog(),
		cacheOrder(),
	}
}

// Suggest runs all rules. The suggestions come heaviest first; those about a
// program that does not start before all others. An error is one of Read; what
// a registry does not answer is in the suggestions.
func Suggest(ctx context.Context, from *Subject) ([]footprint.Suggestion, error) {
	s := newSubject(from)
	var out []footprint.Suggestion
	for _, r := range Rules() {
		s.edited = 0
		found, err := r.check(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, f := range heaviest(found) {
			if s.file != nil && f.Start > 0 && f.File == s.file.Name && s.file.Ignores(f.Start, r.ID) {
				continue
			}
			f.Rule = r.ID
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b footprint.Suggestion) int {
		first := func(s footprint.Suggestion) int {
			if s.Rule == missingRuntimeFile.ID {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(b.Bytes, a.Bytes))
	})
	s.within(out)
	return out, nil
}

// maxPerRule is how many suggestions of one rule are worth reading.
const maxPerRule = 20

// heaviest are at most [maxPerRule] suggestions; the last counts the others.
func heaviest(found []footprint.Suggestion) []footprint.Suggestion {
	if len(found) <= maxPerRule {
		return found
	}
	slices.SortStableFunc(found, func(a, b footprint.Suggestion) int { return cmp.Compare(b.Bytes, a.Bytes) })
	var rest footprint.Bytes
	for _, f := range found[maxPerRule:] {
		rest += f.Bytes
	}
	more := fmt.Sprintf("%d more places are like this one.", len(found)-maxPerRule)
	if rest > 0 {
		more = fmt.Sprintf("%d more places are like this one; they hold %s.", len(found)-maxPerRule, rest)
	}
	found = found[:maxPerRule]
	last := &found[maxPerRule-1]
	last.Unknown = append(slices.Clone(last.Unknown), more)
	return found
}
