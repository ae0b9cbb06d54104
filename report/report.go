// Package report turns one [Report] value into text: for a terminal, for a
// pull-request comment and a job summary (markdown), for a browser (HTML), and for
// machines (JSON).
//
// It measures nothing and judges nothing; it reads no clock and no
// environment. The same value always gives the same bytes. Every name that
// came out of an image, a Dockerfile or a branch passes through package
// escape on its way into a document.
package report

import (
	"cmp"
	"iter"
	"slices"

	"github.com/org/image-budget/budget"
	"github.com/org/image-budget/footprint"
)

// Kind says which command made a report, and so which parts it shows.
type Kind string

// The kinds of report.
const (
	// Check judges images by their budget.
	Check Kind = "check"
	// Inspect shows what is in one image.
	Inspect Kind = "inspect"
	// Diff explains the difference of two images.
	Diff Kind = "diff"
	// Suggest gives advice on an image, with all details.
	Suggest Kind = "suggest"
)

// Report is everything that one run found out.
type Report struct {
	Kind Kind
	// Tool is "image-budget VERSION".
	Tool string
	// Status is the worst of its images. [JSON] writes fail if one of them could
	// not be measured, and a merged report or one read back has it here.
	Status budget.Status
	// BlobBytesRead counts the bytes of layer blobs that were read, and
	// LayersRead and LayersKnown the layers behind them and those that a
	// cache or the baseline described already.
	BlobBytesRead           footprint.Bytes
	LayersRead, LayersKnown int
	Images                  []Image
	// Unmeasured are the images that should be in Images and are not, because
	// they or their baseline could not be measured. With one of them the
	// report passes no verdict on the whole, whatever Status says of the rest.
	Unmeasured []Unmeasured
	// Run says where this was measured; its zero value is a terminal.
	Run Run
	// Notes are remarks about the run that are no verdict, such as "no
	// budget file: the defaults apply".
	Notes []string
}

// Unmeasured is an image without figures.
type Unmeasured struct {
	// Name is its id in the budget file, Reason a sentence.
	Name, Reason string
	// Platform is os/arch[/variant], "" where it is not about one of several.
	Platform string
	// File and Line are where the reason stands, such as the step of a
	// Dockerfile that failed; "" and 0 if it stands nowhere.
	File string
	Line int
}

// Image is one measured image with everything said about it.
type Image struct {
	Head *footprint.Image
	// Base is the baseline's image, nil without one. In a Diff it is OLD.
	Base     *footprint.Image
	Baseline Baseline
	// Delta is nil without a comparable baseline.
	Delta   *footprint.Delta
	Verdict budget.Verdict
	// Cost is what pulls are reckoned with.
	Cost budget.Cost
	// History is what it weighed at the commit of its baseline and before, oldest
	// first, at most [MaxHistory]; empty where nobody keeps that.
	History []footprint.Past
	// LargestFiles are the heaviest files of Head, as [Largest] returns them.
	// They are here because Head.Files does not survive being stored.
	LargestFiles []footprint.File
	// Suggestions are advice on Head, what weighs most first, as package advice
	// gives them; empty if there is nothing to say, and nil if nobody looked.
	Suggestions []footprint.Suggestion
}

// MaxLargest is how many of the heaviest files a report holds.
const MaxLargest = 10

// Largest returns the n heaviest regular files, heaviest first, those of one
// size in path order. It walks files once and keeps at most n of them.
func Largest(files iter.Seq[footprint.File], n int) []footprint.File {
	var top []footprint.File
	if files == nil || n <= 0 {
		return nil
	}
	for f := range files {
		if f.Kind != footprint.Regular || f.Size == 0 {
			continue
		}
		if len(top) == n && heavier(f, top[n-1]) >= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, f, heavier)
		top = slices.Insert(top, at, f)
		top = top[:min(len(top), n)]
	}
	return top
}

// heavier orders files: larger ones first, then by path.
func heavier(a, b footprint.File) int {
	return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Path, b.Path))
}

// Baseline says what an image was compared with.
type Baseline struct {
	// Status is "found", "none" or "not-comparable".
	Status string
	// From is the store as the user wrote it: "file:size.json".
	From string
	// Reason says in a sentence why there is none, or why it does not compare.
	Reason string
	// Commit is the commit that was measured, "" if unknown, and Distance how
	// many commits it is older than the one that should have been.
	Commit   string
	Distance int
}

// Run describes the workflow run that a report comes from. Empty fields are
// unknown and are left out of what is shown.
type Run struct {
	// Repository is owner/name, ServerURL the web address of its host.
	Repository, ServerURL string
	// PullRequest is the number of the pull request, 0 outside one.
	PullRequest int
	// Head and Base are the full commit hashes that are compared.
	Head, Base string
	// ID and Attempt name the workflow run.
	ID, Attempt int64
	// BudgetFile is the path of the budget file inside the repository.
	BudgetFile string
}
