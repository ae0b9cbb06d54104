package footprint

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// pathsText writes paths as "+bytes path (old→new, files) change layer".
func pathsText(paths []PathChange) []string {
	var out []string
	for _, p := range paths {
		dir := ""
		if p.Dir && p.Path != "/" {
			dir = "/"
		}
		out = append(out, fmt.Sprintf("%+d %s%s (%d→%d, %d files) %s %d", int64(p.Bytes), p.Path, dir, int64(p.Old), int64(p.New), p.Files, p.Change, p.Layer))
	}
	return out
}

// snapshotOf is what a snapshot knows of the image, with so many directories.
func snapshotOf(t *testing.T, img *Image, maxDirs int) *Image {
	t.Helper()
	copied := *img
	copied.Dirs, copied.DirFloor = RollUp(img.Files, maxDirs)
	return stored(t, &copied)
}

func TestPaths(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("RUN", 1), layer("COPY", 1)}
	same := file("/usr/bin/sh", 500, 0)
	for name, c := range map[string]struct {
		old, new []File
		want     []string
		// coarse and both are the same with a snapshot as the old image, and
		// with two; nil is the same as want.
		coarse, both []string
	}{
		"nothing": {},
		"one file": {
			new:    []File{file("/app/x", 100, 2)},
			want:   []string{"+100 /app/x (0→100, 1 files) added 2"},
			coarse: []string{"+100 /app/x (0→100, 1 files) added 2"},
			both:   []string{"+100 /app/ (0→100, 1 files) added -1"},
		},
		"a file that is gone": {
			old:    []File{file("/app/x", 100, 2), file("/app/y", 1, 2)},
			new:    []File{file("/app/y", 1, 2)},
			want:   []string{"-100 /app/x (100→0, 1 files) removed -1"},
			coarse: []string{"-100 /app/ (101→1, 1 files) changed -1"},
			both:   []string{"-100 /app/ (101→1, 1 files) changed -1"},
		},
		"a directory that is gone": {
			old:    []File{file("/opt/a/x", 100, 2), file("/opt/a/y", 1, 2)},
			want:   []string{"-100 /opt/a/x (100→0, 1 files) removed -1", "-1 /opt/a/y (1→0, 1 files) removed -1"},
			coarse: []string{"-101 /opt/a/ (101→0, 2 files) removed -1"},
			both:   []string{"-101 /opt/a/ (101→0, 2 files) removed -1"},
		},
		"same size, other content": {
			old: []File{{Path: "/x", Kind: Regular, Size: 9, Hash: 1}},
			new: []File{{Path: "/x", Kind: Regular, Size: 9, Hash: 2, Layer: 1}},
		},
		"a link instead of a file": {
			old:    []File{file("/x", 9, 1)},
			new:    []File{{Path: "/x", Kind: Symlink}},
			want:   []string{"-9 /x (9→0, 1 files) changed -1"},
			coarse: []string{"-9 / (509→500, 1 files) changed -1"},
			both:   []string{"-9 / (509→500, 1 files) changed -1"},
		},
		"a directory instead of a file": {
			old:    []File{file("/x", 9, 1)},
			new:    []File{file("/x/y", 20, 1)},
			want:   []string{"+20 /x/y (0→20, 1 files) added 1", "-9 /x/ (9→0, 1 files) changed -1"},
			coarse: []string{"+20 /x/y (0→20, 1 files) added 1", "-9 / (509→500, 1 files) changed 0"},
			both:   []string{"+20 /x/ (0→20, 1 files) added -1", "-9 / (509→500, 1 files) changed -1"},
		},
		"many small ones": {
			new:  spread("/app/lib", 400, 10, 2),
			want: []string{"+4000 /app/lib/ (0→4000, 400 files) added 2"},
			both: []string{"+4000 /app/lib/ (0→4000, 400 files) added -1"},
		},
		"a heavy one among many": {
			old: spread("/app/lib", 100, 10, 1),
			new: append(spread("/app/lib", 150, 10, 1), file("/app/lib/core", 7000, 2)),
			want: []string{
				"+7000 /app/lib/core (0→7000, 1 files) added 2", "+500 /app/lib/ (1000→1500, 50 files) changed 1",
			},
			coarse: []string{"+7500 /app/lib/ (1000→8500, 51 files) changed 2"},
			both:   []string{"+7500 /app/lib/ (1000→8500, 51 files) changed -1"},
		},
	} {
		old, new := built(layers, append(c.old, same)), built(layers, append(c.new, same))
		if diff := gocmp.Diff(c.want, pathsText(compared(t, old, new).Paths)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		coarse, both := c.coarse, c.both
		if coarse == nil {
			coarse = c.want
		}
		if diff := gocmp.Diff(coarse, pathsText(compared(t, stored(t, old), new).Paths)); diff != "" {
			t.Errorf("%s, against a snapshot: %s", name, diff)
		}
		if diff := gocmp.Diff(both, pathsText(compared(t, stored(t, old), stored(t, new)).Paths)); diff != "" {
			t.Errorf("%s, two snapshots: %s", name, diff)
		}
	}
}

// A directory that the snapshot was too coarse to list may have been there. It
// is not called new for growing past the floor.
func TestPathsBelowTheFloor(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("RUN", 1)}
	old := built(layers, []File{
		file("/usr/a/x", 5000, 0), file("/usr/b/x", 4000, 0), file("/usr/c/x", 900, 0), file("/usr/d/x", 800, 0),
	})
	snapshot := snapshotOf(t, old, 4) // /, /usr, /usr/a and /usr/b; the floor is 901
	if snapshot.DirFloor != 901 {
		t.Fatalf("the floor is %d", snapshot.DirFloor)
	}
	for name, c := range map[string]struct {
		new  []File
		want []string
	}{
		// 900 of the 1700 unlisted bytes are missed elsewhere: c had them.
		"one grows": {
			[]File{file("/usr/c/x", 2000, 1), file("/usr/d/x", 800, 0)},
			[]string{"+1100 /usr/c/x (900→2000, 1 files) changed 1"},
		},
		// Nothing is missed elsewhere, so it must be new.
		"one is new": {
			[]File{file("/usr/c/x", 900, 0), file("/usr/d/x", 800, 0), file("/usr/e/x", 3000, 1)},
			[]string{"+3000 /usr/e/x (0→3000, 1 files) added 1"},
		},
		"one is new and small": {
			[]File{file("/usr/c/x", 900, 0), file("/usr/d/x", 800, 0), file("/usr/e/x", 30, 1)},
			[]string{"+30 /usr/ (10700→10730, 1 files) changed 0"},
		},
		"one is gone": {
			[]File{file("/usr/c/x", 900, 0)},
			[]string{"-800 /usr/ (10700→9900, 1 files) changed -1"},
		},
	} {
		new := built(layers, append(c.new, file("/usr/a/x", 5000, 0), file("/usr/b/x", 4000, 0)))
		if diff := gocmp.Diff(c.want, pathsText(compared(t, snapshot, new).Paths)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A directory of the base image grew by what a new layer put into it.
func TestPathsNameTheLayerThatChanged(t *testing.T) {
	t.Parallel()
	old := built([]Layer{layer("FROM", 1), layer("RUN old", 1)}, append(spread("/usr/lib", 50, 1000, 0), file("/usr/lib/y", 1, 1)))
	new := built([]Layer{layer("FROM", 1), layer("RUN new", 1)}, append(spread("/usr/lib", 50, 1000, 0), file("/usr/lib/y", 1, 1), file("/usr/lib/x", 500, 1)))
	want := []string{"+500 /usr/lib/ (50001→50501, 1 files) changed 1"}
	d := compared(t, stored(t, old), new)
	if diff := gocmp.Diff(want, pathsText(d.Paths)); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff([]string{"500 /usr/lib changed 1"}, causesText(d.Causes)); diff != "" {
		t.Error(diff)
	}
}

// However coarse the two sides are, what each directory holds in all is right
// where both list it, and everything adds up.
func TestPathsOfCoarseImages(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 4))
		old, new := random(r), random(r)
		oldDirs, newDirs := 1+r.IntN(12), 1+r.IntN(12)
		a, b := old, new
		switch r.IntN(3) {
		case 0:
			a = snapshotOf(t, old, oldDirs)
		case 1:
			b = snapshotOf(t, new, newDirs)
		case 2:
			a, b = snapshotOf(t, old, oldDirs), snapshotOf(t, new, newDirs)
		}
		d := compared(t, a, b)
		listed := func(img *Image, path string) bool {
			return img.Files != nil || slices.ContainsFunc(img.Dirs, func(d Dir) bool { return d.Path == path })
		}
		for _, p := range d.Paths {
			// The sums of a whole directory that both know are exact.
			whole := !slices.ContainsFunc(d.Paths, func(o PathChange) bool { return holds(p.Path, o.Path) })
			if !p.Dir || !whole || !listed(a, p.Path) || !listed(b, p.Path) {
				continue
			}
			if want := total(new, p.Path) - total(old, p.Path); p.Bytes != want && !expandedToNothing(d, p) {
				t.Errorf("seed %d: %s changed by %d, not %d", seed, p.Path, want, p.Bytes)
			}
		}
	}
}

// expandedToNothing tells whether entries below p may have been dropped for
// changing by nothing in sum: then p is what is left of its directory.
func expandedToNothing(d *Delta, p PathChange) bool {
	var sum Bytes
	for _, o := range d.Paths {
		if o.Path == p.Path || holds(p.Path, o.Path) {
			sum += o.Bytes
		}
	}
	return sum == p.Bytes
}

func total(img *Image, dir string) Bytes {
	var sum Bytes
	for f := range img.Files {
		if f.Kind == Regular && holds(dir, f.Path) {
			sum += f.Size
		}
	}
	return sum
}

// A directory roll-up from elsewhere may list a directory and none above it.
func TestPathsOfAnOpenRollUp(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1)}
	old := stored(t, built(layers, []File{file("/a/b/c/x", 100, 0), file("/y", 1, 0)}))
	old.Dirs = []Dir{{Path: "/a/b/c", Bytes: 101, Files: 2}}
	new := built(layers, []File{file("/a/b/c/x", 150, 0), file("/a/z", 7, 0)})
	d := compared(t, old, new)
	want := []string{"+49 /a/b/c/ (101→150, 1 files) changed 0", "+7 /a/ (0→7, 1 files) changed 0"}
	if diff := gocmp.Diff(want, pathsText(d.Paths)); diff != "" {
		t.Error(diff)
	}
}
