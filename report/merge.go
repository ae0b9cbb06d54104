package report

import (
	"slices"

	"github.com/org/image-budget/budget"
)

// Merge puts several reports, such as those of the jobs of a matrix, into one:
// the images in the order given, the worst status, the sums of what was read,
// every note once. nil reports are skipped.
//
// An image that is in several of them, by name and platform, is kept once: that
// of the later run (by id, then attempt), since a job that was run again replaces
// what it said before; within one run, that of the later argument. The run shown
// is the latest. Reports of different kinds become the one that says most:
// a check before a diff before an inspect before a suggest.
//
// An image that could not be measured stays, and makes the status fail, unless a
// newer run says something of that name, and of that platform if one is known. A
// later argument of the same run is not enough: it may be about another platform.
func Merge(reports ...*Report) *Report {
	reports = slices.DeleteFunc(slices.Clone(reports), func(r *Report) bool { return r == nil })
	out := &Report{}
	type key struct{ name, platform string }
	place := map[key]int{}
	var runs []Run
	for i, r := range reports {
		out.Tool = r.Tool
		if i == 0 || kindRank(r.Kind) > kindRank(out.Kind) {
			out.Kind = r.Kind
		}
		if i == 0 || !r.Run.before(out.Run) {
			out.Run = r.Run
		}
		out.BlobBytesRead += r.BlobBytesRead
		out.LayersRead += r.LayersRead
		out.LayersKnown += r.LayersKnown
		for _, note := range r.Notes {
			if !slices.Contains(out.Notes, note) {
				out.Notes = append(out.Notes, note)
			}
		}
		for _, img := range r.Images {
			k := key{img.title(), img.Head.Platform}
			at, twice := place[k]
			switch {
			case !twice:
				place[k] = len(out.Images)
				out.Images, runs = append(out.Images, img), append(runs, r.Run)
			case !r.Run.before(runs[at]):
				out.Images[at], runs[at] = img, r.Run
			}
		}
	}
	out.Unmeasured = unmeasuredStill(reports)
	out.Status = budget.Pass
	for _, img := range out.Images {
		out.Status = out.Status.Worse(img.Verdict.Status)
	}
	out.Status = out.overall()
	return out
}

// unmeasuredStill lists the images without figures of which no newer run says
// anything, each once for every reason. Without a platform, one is about all of its
// name.
func unmeasuredStill(reports []*Report) []Unmeasured {
	type key struct{ name, platform string }
	latest, any := map[key]Run{}, map[string]Run{}
	said := func(name, platform string, run Run) {
		if last, ok := latest[key{name, platform}]; !ok || last.before(run) {
			latest[key{name, platform}] = run
		}
		if last, ok := any[name]; !ok || last.before(run) {
			any[name] = run
		}
	}
	for _, r := range reports {
		for i := range r.Images {
			said(r.Images[i].title(), r.Images[i].Head.Platform, r.Run)
		}
		for _, u := range r.Unmeasured {
			said(u.Name, u.Platform, r.Run)
		}
	}
	var out []Unmeasured
	seen := map[Unmeasured]bool{}
	for _, r := range reports {
		for _, u := range r.Unmeasured {
			outdated := r.Run.before(any[u.Name])
			if u.Platform != "" {
				whole, told := latest[key{u.Name, ""}]
				outdated = r.Run.before(latest[key{u.Name, u.Platform}]) || told && r.Run.before(whole)
			}
			if !seen[u] && !outdated {
				seen[u], out = true, append(out, u)
			}
		}
	}
	return out
}

// before tells whether a run is older than another. Attempts count within a run.
func (r Run) before(other Run) bool {
	if r.ID != other.ID {
		return r.ID < other.ID
	}
	return r.Attempt < other.Attempt
}

func kindRank(k Kind) int { return slices.Index([]Kind{Suggest, Inspect, Diff, Check}, k) }
