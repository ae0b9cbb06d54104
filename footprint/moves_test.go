package footprint

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestMoves(t *testing.T) {
	t.Parallel()
	at := func(path string, content int) File {
		f := file(path, Bytes(content), 1)
		f.Hash = uint64(content)
		return f
	}
	layers := []Layer{layer("FROM", 1), layer("COPY . .", 1)}
	for name, c := range map[string]struct {
		old, new []File
		want     []Move
		paths    []string
	}{
		"a file": {
			[]File{at("/a/x", 100)}, []File{at("/b/y", 100)},
			[]Move{{From: "/a/x", To: "/b/y", Bytes: 100, Files: 1}}, nil,
		},
		"a directory": {
			[]File{at("/old/lib/a/x", 100), at("/old/lib/b/y", 50)}, []File{at("/srv/new/lib/a/x", 100), at("/srv/new/lib/b/y", 50)},
			[]Move{{From: "/old", To: "/srv/new", Dir: true, Bytes: 150, Files: 2}}, nil,
		},
		"a directory with a change in it": {
			[]File{at("/old/x", 100), at("/old/y", 50)}, []File{at("/new/x", 100), at("/new/y", 70)},
			[]Move{{From: "/old/x", To: "/new/x", Bytes: 100, Files: 1}},
			[]string{"+70 /new/y (0→70, 1 files) added 1", "-50 /old/y (50→0, 1 files) removed -1"},
		},
		"one of two copies": {
			[]File{at("/a/x", 100), at("/b/x", 100)}, []File{at("/a/x", 100)}, nil,
			[]string{"-100 /b/x (100→0, 1 files) removed -1"},
		},
		"a copy more": {
			[]File{at("/a/x", 100)}, []File{at("/b/x", 100), at("/c/x", 100)},
			[]Move{{From: "/a/x", To: "/b/x", Bytes: 100, Files: 1}},
			[]string{"+100 /c/x (0→100, 1 files) added 1"},
		},
		"the same name before the first": {
			[]File{at("/a/x", 100), at("/a/y", 100)}, []File{at("/b/y", 100), at("/c/x", 100)},
			[]Move{{From: "/a/x", To: "/c/x", Bytes: 100, Files: 1}, {From: "/a/y", To: "/b/y", Bytes: 100, Files: 1}}, nil,
		},
		"files between directories that stay": {
			[]File{at("/usr/bin/a", 10), at("/usr/bin/b", 11), at("/usr/lib/big", 1000)}, []File{at("/opt/bin/a", 10), at("/opt/bin/b", 11), at("/usr/lib/big", 1000)},
			[]Move{{From: "/usr/bin", To: "/opt/bin", Dir: true, Bytes: 21, Files: 2}}, nil,
		},
		"some files of a directory": {
			[]File{at("/usr/bin/a", 10), at("/usr/bin/b", 11), at("/usr/bin/c", 1000)}, []File{at("/opt/bin/a", 10), at("/opt/bin/b", 11), at("/usr/bin/c", 1000)},
			[]Move{{From: "/usr/bin", To: "/opt/bin", Bytes: 21, Files: 2}}, nil,
		},
		"into a directory that was there": {
			[]File{at("/opt/bin/a", 9), at("/x/bin/b", 10), at("/x/bin/c/c", 11), at("/x/bin/c/d", 12)}, []File{at("/opt/bin/a", 9), at("/opt/bin/b", 10), at("/opt/bin/c/c", 11), at("/opt/bin/c/d", 12)},
			[]Move{{From: "/x/bin/c", To: "/opt/bin/c", Dir: true, Bytes: 23, Files: 2}, {From: "/x/bin/b", To: "/opt/bin/b", Bytes: 10, Files: 1}}, nil,
		},
		"out of the root": {
			[]File{at("/a", 10), at("/b", 11)}, []File{at("/opt/a", 10), at("/opt/b", 11)},
			[]Move{{From: "/", To: "/opt", Bytes: 21, Files: 2}}, nil,
		},
		"empty files do not move": {[]File{at("/a/x", 0)}, []File{at("/b/x", 0)}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sort := func(files []File) []File {
				return slices.SortedFunc(slices.Values(files), func(a, b File) int { return comparePaths(a.Path, b.Path) })
			}
			d := compared(t, built(layers, sort(c.old)), built(layers, sort(c.new)))
			if diff := gocmp.Diff(c.want, d.Moves); diff != "" {
				t.Error(diff)
			}
			if diff := gocmp.Diff(c.paths, pathsText(d.Paths)); diff != "" {
				t.Error(diff)
			}
			for _, cause := range d.Causes {
				if slices.ContainsFunc(d.Moves, func(m Move) bool { return m.To == cause.Path }) {
					t.Errorf("what moved is a cause: %+v", cause)
				}
			}
		})
	}
}

// Two thousand files a thousand directories deep take no time.
func TestMovesOfDeepFiles(t *testing.T) {
	t.Parallel()
	walk := func(top string) iter.Seq[File] {
		return func(yield func(File) bool) {
			for i := range 2000 {
				f := file(top+strings.Repeat("d/", 1000)+fmt.Sprintf("f%06d", i), Bytes(i+1), 1)
				if !yield(f) {
					return
				}
			}
		}
	}
	m := findMoves(walk("/a/"), walk("/b/"))
	want := []Move{{From: "/a", To: "/b", Dir: true, Bytes: 2_001_000, Files: 2000}}
	if diff := gocmp.Diff(want, m.list()); diff != "" {
		t.Error(diff)
	}
}

// causesText writes causes as "+bytes what layer".
func packageCausesText(causes []Cause) []string {
	var out []string
	for _, c := range causes {
		what := c.Path
		for _, p := range c.Packages {
			what += fmt.Sprintf(" %s:%s %s>%s", p.Ecosystem, p.Name, p.From, p.To)
			if p.Through != "" {
				what += " through " + p.Through
			}
			if p.Dev {
				what += " dev"
			}
		}
		if c.More > 0 {
			what += fmt.Sprintf(" and %d more", c.More)
		}
		if c.Strippable > 0 {
			what += fmt.Sprintf(" strippable %d", c.Strippable)
		}
		if c.CopyOf != "" {
			what += " copy of " + c.CopyOf
		}
		out = append(out, fmt.Sprintf("+%d%s %s %d", int64(c.Bytes), map[bool]string{true: " base"}[c.Base], what, c.Layer))
	}
	return out
}

// owned is an image with packages, each of one file.
func owned(layers []Layer, rest []File, packages ...Package) *Image {
	files := slices.Clone(rest)
	for i, p := range packages {
		f := file("/pkg/"+p.Name+p.Version, p.Bytes, p.Layer)
		f.Hash = uint64(i) + 1000
		f.Owner = OwnedBy(i)
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b File) int { return comparePaths(a.Path, b.Path) })
	img := built(layers, files)
	img.Packages, img.Rest = packages, &Rest{}
	if packages == nil {
		img.Packages = []Package{}
	}
	for _, f := range rest {
		img.Rest.Unowned += f.Size
	}
	return img
}

func TestCausesArePackages(t *testing.T) {
	t.Parallel()
	apt := func(name, version string, bytes Bytes, through string) Package {
		return Package{Ecosystem: "dpkg", Name: name, Version: version, Bytes: bytes, Own: bytes, Layer: 1, Through: through}
	}
	npm := func(name, version string, bytes Bytes, dev bool) Package {
		return Package{Ecosystem: "npm", Name: name, Version: version, Bytes: bytes, Own: bytes, Layer: 2, Dev: dev}
	}
	goModule := func(name, version string, bytes Bytes) Package {
		return Package{Ecosystem: Golang, Name: name, Version: version, Bytes: bytes, Own: bytes, Layer: 3, Path: "/srv/app"}
	}
	layers := []Layer{layer("FROM", 1), layer("RUN apt-get", 1), layer("RUN npm ci", 1), layer("COPY", 1)}
	for name, c := range map[string]struct {
		old, new *Image
		want     []string
	}{
		"a package with what it needs": {
			owned(layers, nil, apt("libc6", "2", 900, "")),
			owned(layers, nil, apt("libc6", "2", 900, ""), apt("clang", "14", 100, ""), apt("libllvm14", "14", 3000, "clang"), apt("a", "1", 5, "clang"), apt("b", "1", 4, "clang")),
			[]string{"+3109  dpkg:libllvm14 >14 through clang dpkg:clang >14 dpkg:a >1 through clang and 1 more 1"},
		},
		"development and not": {
			owned(layers, nil), owned(layers, nil, npm("typescript", "5", 700, true), npm("express", "4", 600, false)),
			[]string{"+700  npm:typescript >5 dev 2", "+600  npm:express >4 2"},
		},
		"upgraded and renamed": {
			owned(layers, nil, apt("openssl", "3.0", 300, ""), apt("libllvm14", "14.0", 2000, "")),
			owned(layers, nil, apt("openssl", "3.1", 360, ""), apt("libllvm15", "15.0", 2100, "")),
			[]string{"+160  dpkg:libllvm15 libllvm14 14.0>15.0 dpkg:openssl 3.0>3.1 1"},
		},
		"packages are in no path, and paths in no package": {
			owned(layers, []File{file("/data/x", 50, 3)}), owned(layers, []File{file("/data/x", 80, 3)}, apt("a", "1", 20, "")),
			[]string{"+30 /data/x 3", "+20  dpkg:a >1 1"},
		},
		"the app's version of what another layer has, too": {
			owned(layers, nil, Package{Ecosystem: "npm", Name: "semver", Version: "7", Path: "/npm/semver", Bytes: 900, Own: 900, Layer: 1, Through: "npm"}),
			owned([]Layer{layers[0], layers[1], layer("RUN npm install", 1), layers[3]}, nil, Package{Ecosystem: "npm", Name: "semver", Version: "7", Path: "/npm/semver", Bytes: 900, Own: 900, Layer: 1, Through: "npm"},
				Package{Ecosystem: "npm", Name: "semver", Version: "6", Path: "/app/semver", Bytes: 300, Own: 300, Layer: 2, Through: "nodemon", Dev: true}, npm("nodemon", "3", 500, true)),
			[]string{"+800  npm:nodemon >3 dev npm:semver 7>6, 7 through nodemon dev 2"},
		},
		"a program grows by what is new in it": {
			owned(layers, nil, goModule("example.com/app", "", 500)),
			owned(layers, nil, goModule("example.com/app", "", 700), goModule("golang.org/x/text", "v1", 100)),
			[]string{"+300 /srv/app golang:golang.org/x/text >v1 3"},
		},
		"a program grows by itself": {
			owned(layers, nil, goModule("example.com/app", "", 500), goModule("stdlib", "1.26", 10)), owned(layers, nil, goModule("example.com/app", "", 700), goModule("stdlib", "1.26", 30)),
			[]string{"+220  golang:example.com/app > golang:stdlib 1.26>1.26 3"},
		},
		"one that shrank explains nothing": {
			owned(layers, nil, apt("a", "1", 500, "")), owned(layers, nil, apt("a", "2", 100, ""), apt("b", "1", 70, "")),
			[]string{"+70  dpkg:b >1 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// With the old image as its baseline, too, of which less is known.
			for _, old := range []*Image{c.old, stored(t, c.old)} {
				d := compared(t, old, c.new)
				got := packageCausesText(d.Causes)
				if old.Files == nil {
					got = slices.Clone(got)
					for i := range got { // a snapshot knows directories, and no file
						got[i] = strings.ReplaceAll(got[i], "/data ", "/data/x ")
					}
				}
				if diff := gocmp.Diff(c.want, got); diff != "" {
					t.Errorf("files %v: %s", old.Files != nil, diff)
				}
			}
		})
	}
}

func TestCauseStripsAndCopies(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("COPY app", 1), layer("COPY build", 1)}
	app := func(size, debug Bytes) File {
		f := file("/srv/app", size, 1)
		f.Debug, f.Hash = debug, uint64(size)
		return f
	}
	image := func(files ...File) *Image {
		img := built(layers, files)
		img.Survey(0)
		return img
	}
	old, new := image(app(1000, 0)), image(app(1900, 800))
	for _, old := range []*Image{old, stored(t, old)} {
		if got, want := packageCausesText(compared(t, old, new).Causes), []string{"+900 /srv/app strippable 800 1"}; old.Files != nil && !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// Debug sections are no reason for what else grew.
	if got, want := packageCausesText(compared(t, old, image(app(3000, 300))).Causes), []string{"+2000 /srv/app 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// What is somewhere below a directory that was there before is not what grew.
	kept := []File{file("/npm/cp936", 90, 0), file("/srv/m/a/cp936", 90, 1), file("/srv/m/b", 10, 1)}
	old, new = image(kept...), image(append(slices.Clone(kept[:2]), file("/srv/m/b", 50, 2), file("/srv/m/c", 50, 2))...)
	new.Duplicates = []Duplicate{{Bytes: 90, Files: 1, Copies: 2, Paths: []string{"/npm/cp936", "/srv/m/a/cp936"}, Layers: []int{0, 1}}}
	if got, want := packageCausesText(compared(t, stored(t, old), new).Causes), []string{"+90 /srv/m 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	old = image(file("/app/build/a", 300, 1), file("/app/build/b", 200, 1))
	new = image(file("/app/build/a", 300, 1), file("/app/build/b", 200, 1), file("/srv/build/a", 300, 2), file("/srv/build/b", 200, 2))
	new.Duplicates = []Duplicate{{Bytes: 500, Dir: true, Files: 2, Copies: 2, Paths: []string{"/app/build", "/srv/build"}, Layers: []int{1, 2}}}
	for _, old := range []*Image{old, stored(t, old)} {
		if got, want := packageCausesText(compared(t, old, new).Causes), []string{"+500 /srv/build copy of /app/build 2"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Another copy of what was there came along with what is new, and where only another
// layer is known to have it, that one brought nothing.
func TestCopiesOfPackagesCameAlong(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("COPY npm", 1), layer("RUN npm install", 1)}
	ms := func(bytes Bytes) Package {
		return Package{Ecosystem: "npm", Name: "ms", Version: "2", Path: "/npm/ms", Bytes: bytes, Own: bytes, Layer: 1}
	}
	dev := Package{Ecosystem: "npm", Name: "nodemon", Version: "3", Path: "/app/nodemon", Bytes: 500, Own: 500, Layer: 2, Dev: true}
	changed := slices.Clone(layers)
	changed[2] = layer("RUN npm install -D", 1)
	d := compared(t, owned(layers, nil, ms(100)), owned(changed, nil, ms(140), dev))
	if got, want := packageCausesText(d.Causes), []string{"+540  npm:nodemon >3 dev and 1 more 2"}; !slices.Equal(got, want) || !d.Causes[0].Dev || d.Causes[0].Through != "nodemon" {
		t.Errorf("got %q, want %q: %+v", got, want, d.Causes)
	}
}
