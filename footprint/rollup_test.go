package footprint

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// rolledUp is RollUp, done by keeping everything in memory.
func rolledUp(files []File, maxDirs int) ([]Dir, Bytes) {
	sums := map[string]*Dir{}
	for _, f := range files {
		if f.Kind != Regular {
			continue
		}
		for d := parentDir(f.Path); d != ""; d = parentDir(d) {
			if sums[d] == nil {
				sums[d] = &Dir{Path: d}
			}
			sums[d].Bytes += f.Size
			sums[d].Files++
		}
	}
	var all []Dir
	for _, d := range sums {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b Dir) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), comparePaths(a.Path, b.Path)) })
	var floor Bytes
	if len(all) > maxDirs {
		floor = all[maxDirs].Bytes + 1
		all = all[:maxDirs]
	}
	out := map[string]*Dir{}
	for i := range all {
		all[i].Bytes, all[i].Files = 0, 0
		out[all[i].Path] = &all[i]
	}
	for _, f := range files {
		if f.Kind != Regular {
			continue
		}
		d := parentDir(f.Path)
		for out[d] == nil {
			d = parentDir(d)
		}
		out[d].Bytes += f.Size
		out[d].Files++
		if _, owned := f.Owner.Package(); owned {
			out[d].Owned += f.Size
		}
	}
	slices.SortFunc(all, func(a, b Dir) int { return comparePaths(a.Path, b.Path) })
	return all, floor
}

func TestRollUpAgainstAnOracle(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		img := random(r)
		for _, maxDirs := range []int{1, 2, 3, 7, 20, MaxDirs} {
			dirs, floor := RollUp(img.Files, maxDirs)
			want, wantFloor := rolledUp(slices.Collect(img.Files), maxDirs)
			if diff := gocmp.Diff(want, dirs); diff != "" || floor != wantFloor {
				t.Fatalf("seed %d, %d directories: floor %d, want %d: %s", seed, maxDirs, floor, wantFloor, diff)
			}
		}
	}
}

func TestRollUp(t *testing.T) {
	t.Parallel()
	if dirs, floor := RollUp(slices.Values([]File{{Path: "/a", Kind: Directory}}), MaxDirs); len(dirs) != 0 || floor != 0 {
		t.Errorf("without a file: %v, floor %d", dirs, floor)
	}
	// "/a-b" sorts before "/a/x" as a string, but not by component.
	files := slices.Values([]File{
		{Path: "/a", Kind: Directory}, file("/a/x", 5, 0), {Path: "/a-b", Kind: Directory}, file("/a-b/y", 3, 0), file("/b", 1, 0),
	})
	dirs, floor := RollUp(files, MaxDirs)
	want := []Dir{{Path: "/", Bytes: 1, Files: 1}, {Path: "/a", Bytes: 5, Files: 1}, {Path: "/a-b", Bytes: 3, Files: 1}}
	if diff := gocmp.Diff(want, dirs); diff != "" || floor != 0 {
		t.Errorf("floor %d: %s", floor, diff)
	}
	dirs, floor = RollUp(files, 2)
	want = []Dir{{Path: "/", Bytes: 4, Files: 2}, {Path: "/a", Bytes: 5, Files: 1}}
	if diff := gocmp.Diff(want, dirs); diff != "" || floor != 4 {
		t.Errorf("floor %d: %s", floor, diff)
	}
	// No directory at all is no roll-up: the root stays.
	if dirs, _ := RollUp(files, 0); len(dirs) != 1 || dirs[0].Path != "/" {
		t.Errorf("of 0 directories there are %v", dirs)
	}
}

func TestComparePaths(t *testing.T) {
	t.Parallel()
	sorted := []string{"/", "/a", "/a/b", "/a/b/c", "/a/b-c", "/a\x01", "/a b", "/a-b", "/a.b", "/a.b/c", "/ab", "/b"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := comparePaths(a, b); got != cmp.Compare(i, j) {
				t.Errorf("%q against %q is %d", a, b, got)
			}
		}
	}
}

// many makes a tree of n files, ten to a directory, as large images have.
func many(n, version int) []File {
	files := make([]File, 0, n+n/10+n/1000)
	for i := range n {
		if i%1000 == 0 {
			files = append(files, File{Path: fmt.Sprintf("/usr/lib/node_modules/p%06d", i/1000), Kind: Directory})
		}
		if i%10 == 0 {
			files = append(files, File{Path: fmt.Sprintf("/usr/lib/node_modules/p%06d/d%03d", i/1000, i/10%100), Kind: Directory})
		}
		f := file(fmt.Sprintf("/usr/lib/node_modules/p%06d/d%03d/file-%d.js", i/1000, i/10%100, i%10), Bytes(i%5000), 0)
		if i%7 == 0 {
			f.Size += Bytes(version * 10)
		}
		files = append(files, f)
	}
	return files
}

func BenchmarkRollUpMillion(b *testing.B) {
	files := many(1_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		RollUp(slices.Values(files), MaxDirs)
	}
}

func BenchmarkDiffTreeMillion(b *testing.B) {
	old, new := many(1_000_000, 0), many(1_000_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		diffTree(slices.Values(old), slices.Values(new), nil)
	}
}
