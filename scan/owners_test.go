package scan

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/scan/pkgdb"
)

// made is a layer: the instruction that made it, and entries as for tarOf.
type made struct {
	by      string
	entries []string
}

// inventoried measures layers, the first base of which FROM brought (-1 is not
// known), and tells each regular file's owner by path. Every image goes through
// checkOwners, and once more through stored indexes.
func inventoried(t testing.TB, base int, layers ...made) (*footprint.Image, map[string]string) {
	t.Helper()
	var tars [][]byte
	for _, l := range layers {
		tars = append(tars, tarOf(t, l.entries...))
	}
	opt := Options{Files: true, Base: max(base, 0)}.of(base)
	opt.Limits = opt.Limits.withDefaults()
	var fresh, stored []*Index
	for _, layer := range tars {
		lr := layerReader{limits: opt.Limits, buf: make([]byte, 1000), packages: pkgdb.NewCollector()}
		x, err := lr.read(bytes.NewReader(layer))
		must(t, err)
		data, err := x.marshal("sha256:x")
		must(t, err)
		again, err := unmarshalIndex("sha256:x", data, indexBounds{})
		must(t, err)
		fresh, stored = append(fresh, x), append(stored, again)
	}
	measured := func(indexes []*Index) (*footprint.Image, map[string]string) {
		img := &footprint.Image{}
		for i, x := range indexes {
			img.Layers = append(img.Layers, footprint.Layer{Index: i, CreatedBy: layers[i].by, Unpacked: x.unpacked, Files: x.files, Has: footprint.HasFiles})
		}
		must(t, merge(context.Background(), img, indexes, opt))
		total(img, opt)
		must(t, img.Verify())
		return img, checkOwners(t, img)
	}
	img, owners := measured(fresh)
	again, ownersAgain := measured(stored)
	of := func(owners map[string]string, img *footprint.Image) []any {
		return []any{owners, img.Packages, img.Rest, img.Duplicates, img.DuplicateBytes, img.DuplicateOwn, img.Contents, img.Surface, img.Skipped}
	}
	if diff := cmp.Diff(of(owners, img), of(ownersAgain, again)); diff != "" {
		t.Errorf("stored indexes tell something else:\n%s", diff)
	}
	for _, d := range img.Duplicates {
		if d.Bytes <= 0 || d.Bytes > img.DuplicateBytes || d.Own < 0 || d.Own > min(d.Bytes, img.DuplicateOwn) || d.Copies < len(d.Paths) || len(d.Paths) != len(d.Layers) {
			t.Errorf("impossible figures: %+v of %d and %d own", d, img.DuplicateBytes, img.DuplicateOwn)
		}
	}
	return img, owners
}

func (opt Options) of(base int) Options {
	if base >= 0 {
		opt.BaseFoundBy = "the test"
	}
	return opt
}

// checkOwners checks that the packages and the rest are what a container sees,
// and that each is what its files hold, but for what is linked into others.
func checkOwners(t testing.TB, img *footprint.Image) map[string]string {
	t.Helper()
	out := map[string]string{}
	var all, rest footprint.Bytes
	files := map[int]int{}
	for _, p := range img.Packages {
		all += p.Bytes
		if p.Bytes < 0 || p.Own < 0 || p.Own > p.Bytes || p.Files < 0 {
			t.Errorf("impossible figures: %+v", p)
		}
	}
	if all+img.Rest.Sum() != img.Metrics.Final || img.Metrics.Final+img.Metrics.Wasted != img.Metrics.Unpacked {
		t.Errorf("packages %d + rest %d + wasted %d are not the %d unpacked", all, img.Rest.Sum(), img.Metrics.Wasted, img.Metrics.Unpacked)
	}
	for f := range img.Files {
		if f.Kind != footprint.Regular {
			continue
		}
		i, ok := f.Owner.Package()
		switch {
		case ok && i < len(img.Packages):
			p := &img.Packages[i]
			out[f.Path] = p.Ecosystem + ":" + p.Name
			files[i]++
			continue
		case ok:
			t.Errorf("%s belongs to package %d of %d", f.Path, i, len(img.Packages))
		case f.Owner == footprint.OfBase:
			out[f.Path] = "base"
		case f.Owner == footprint.OfApplication:
			out[f.Path] = "application"
		case f.Owner == footprint.Unowned:
			out[f.Path] = "unowned"
		default:
			t.Errorf("%s has the owner %d", f.Path, f.Owner)
		}
		rest += f.Size
	}
	if rest != img.Rest.Sum() {
		t.Errorf("the rest is %d, but files of no package hold %d", img.Rest.Sum(), rest)
	}
	for i, p := range img.Packages {
		if p.Files > files[i] { // a second name of one file counts once
			t.Errorf("%s has %d files, but %d are its", p.Name, p.Files, files[i])
		}
	}
	return out
}

func status(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nVersion: 1\n\n", n)
	}
	return "var/lib/dpkg/status=" + b.String()
}

func list(name string, paths ...string) string {
	return "var/lib/dpkg/info/" + name + ".list=" + strings.Join(paths, "\n") + "\n"
}

func npm(dir, name string) string {
	return dir + `/package.json={"name": "` + name + `", "version": "1.0.0"}`
}

// composer writes a database of packages that claim to be in directories,
// relative to its own.
func composer(dirs ...string) string {
	var list []string
	for i, dir := range dirs {
		list = append(list, fmt.Sprintf(`{"name": "v/p%d", "version": "1", "install-path": %q}`, i, dir))
	}
	return `vendor/composer/installed.json={"packages": [` + strings.Join(list, ", ") + "]}"
}

func dist(site, name string, record ...string) []string {
	info := site + "/" + name + "-1.0.dist-info"
	return []string{info + "/METADATA=Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n\n", info + "/RECORD=" + strings.Join(record, ",,\n") + ",,\n"}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	site := "usr/lib/python3/dist-packages"
	tests := []struct {
		name   string
		base   int
		layers []made
		want   map[string]string // of some files
	}{
		{"dpkg, the list through usrmerge", -1, []made{{"", []string{
			"usr/lib/", "lib->usr/lib", "usr/lib/libx.so=12345", status("libx"), list("libx", "/.", "/lib", "/lib/libx.so"),
		}}}, map[string]string{"/usr/lib/libx.so": "dpkg:libx"}},
		{"absolute link to a directory", -1, []made{{"", []string{
			"usr/bin/", "bin->/usr/bin", "usr/bin/x=1", status("x"), list("x", "/bin/x"),
		}}}, map[string]string{"/usr/bin/x": "dpkg:x"}},
		{"diverted", -1, []made{{"", []string{
			"bin/sh=dash", "bin/sh.distrib=bash", status("bash", "dash"), list("bash", "/bin/sh"), list("dash", "/bin/sh"),
			"var/lib/dpkg/diversions=/bin/sh\n/bin/sh.distrib\ndash\n",
		}}}, map[string]string{"/bin/sh": "dpkg:dash", "/bin/sh.distrib": "dpkg:bash"}},
		{"hard links", -1, []made{{"", []string{
			"usr/bin/perl=12345", "usr/bin/perl5=>usr/bin/perl", status("perl"), list("perl", "/usr/bin/perl", "/usr/bin/perl5"),
		}}}, map[string]string{"/usr/bin/perl": "dpkg:perl", "/usr/bin/perl5": "dpkg:perl"}},
		{"links in circles", -1, []made{{"", []string{
			"a->b", "b->a", "d/self->.", "d/f=1", "e->e/e", status("x"), list("x", "/a/f", "/b", "/d/self/self/self/f", "/e/e/e"),
		}}}, map[string]string{"/d/f": "dpkg:x"}},
		{"distroless", -1, []made{{"", []string{
			"usr/lib/libssl.so=123", "var/lib/dpkg/status.d/libssl=Package: libssl\nVersion: 3\n\n",
			"var/lib/dpkg/status.d/libssl.md5sums=d41d8cd98f00b204e9800998ecf8427e  usr/lib/libssl.so\n",
		}}}, map[string]string{"/usr/lib/libssl.so": "dpkg:libssl"}},
		{"COPY, RUN and FROM", 1, []made{
			{"ADD file:x in /", []string{"base/a=1"}},
			{"COPY . /app # buildkit", []string{"app/b=22"}},
			{"RUN /bin/sh -c make # buildkit", []string{"out/c=333"}},
		}, map[string]string{"/base/a": "base", "/app/b": "application", "/out/c": "unowned"}},
		{"all of one COPY", -1, []made{{"COPY app / # buildkit", []string{"app=1"}}}, map[string]string{"/app": "application"}},
		{"a rootfs", -1, []made{{"ADD rootfs.tar / # buildkit", []string{"a=1"}}, {"ADD b / # buildkit", []string{"b=1"}}}, map[string]string{"/a": "unowned", "/b": "application"}},
		{"a rootfs from scratch", 0, []made{{"ADD rootfs.tar / # buildkit", []string{"a=1"}}}, map[string]string{"/a": "application"}},
		{"a file of the base that COPY replaces", 1, []made{
			{"", []string{"etc/x=1", "etc/y=1"}}, {"COPY x /etc # buildkit", []string{"etc/x=22"}},
		}, map[string]string{"/etc/x": "application", "/etc/y": "base"}},
		{"packages of the system before those of languages", -1, []made{{"", append(dist(site, "six", "six.py", "extra.py"),
			site+"/six.py=123", site+"/extra.py=4567", status("python3-six"), list("python3-six", "/"+site+"/six.py", "/"+site+"/six-1.0.dist-info/METADATA", "/"+site+"/six-1.0.dist-info/RECORD"),
		)}}, map[string]string{"/" + site + "/six.py": "dpkg:python3-six", "/" + site + "/extra.py": "unowned"}},
		{"the deepest npm package", -1, []made{{"", []string{
			npm("app/node_modules/a", "a"), "app/node_modules/a/index.js=1", npm("app/node_modules/a/node_modules/b", "b"),
			"app/node_modules/a/node_modules/b/index.js=22", "app/node_modules/a/z/index.js=1", "app/server.js=3",
		}}}, map[string]string{"/app/node_modules/a/index.js": "npm:a", "/app/node_modules/a/node_modules/b/index.js": "npm:b",
			"/app/node_modules/a/z/index.js": "npm:a", "/app/server.js": "unowned"}},
		{"a package of the system that is gone from the status", -1, []made{
			{"", []string{"usr/bin/x=1", status("x", "y"), list("x", "/usr/bin/x")}}, {"", []string{status("y")}},
		}, map[string]string{"/usr/bin/x": "unowned"}},
		{"two claim one file", -1, []made{{"", []string{
			"f=1", status("b", "a"), list("a", "/f"), list("b", "/f"),
		}}}, map[string]string{"/f": "dpkg:a"}},
		{"no tree is the root", -1, []made{{"", []string{composer("../.."), "x=1", "opt/y=1"}}},
			map[string]string{"/x": "unowned", "/opt/y": "unowned"}},
		{"no tree is what all share", -1, []made{{"", []string{
			composer("../../usr", "../../usr/lib", "../../var/lib/dpkg", "../../usr/local/bin", "../../etc", "../x/own"),
			"usr/x=1", "usr/lib/x/y=1", "usr/local/bin/x=1", "var/lib/dpkg/z=1", "etc/y=1", "vendor/x/own/f=1",
		}}}, map[string]string{"/usr/x": "unowned", "/usr/lib/x/y": "unowned", "/usr/local/bin/x": "unowned", "/var/lib/dpkg/z": "unowned", "/etc/y": "unowned",
			"/vendor/x/own/f": "composer:v/p5"}},
		{"no tree is where a link leads", -1, []made{{"", []string{
			"srv/site-packages/e.egg-info/PKG-INFO=Name: e\nVersion: 1\n\n", "srv/site-packages/e.egg-info/top_level.txt=e\n", "srv/site-packages/e->../../opt/all", "opt/all/x/y=1",
		}}}, map[string]string{"/opt/all/x/y": "unowned", "/srv/site-packages/e.egg-info/PKG-INFO": "python:e"}},
		{"a RECORD that claims all of it", -1, []made{{"", append(dist("srv/site", "all", "../../etc/passwd", "/etc/shadow", "../../../../../../../etc/group", "..", "/", ""),
			"etc/passwd=1", "etc/shadow=22", "etc/group=333", "bin/sh=1", status("sh"), list("sh", "/bin/sh"))}},
			map[string]string{"/bin/sh": "dpkg:sh"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, owners := inventoried(t, tt.base, tt.layers...)
			for path, want := range tt.want {
				if owners[path] != want {
					t.Errorf("%s: %q, want %q", path, owners[path], want)
				}
			}
		})
	}
}

func TestOwnIsWhatIsAboveTheBase(t *testing.T) {
	t.Parallel()
	img, _ := inventoried(t, 1,
		made{"", []string{"usr/a=1234567", "usr/b=12", status("x"), list("x", "/usr/a", "/usr/b", "/usr/c")}},
		made{"RUN apt-get upgrade", []string{"usr/b=123", "usr/c=1234"}})
	if p := img.Packages[0]; p.Name != "x" || p.Bytes != 14 || p.Own != 7 || p.Files != 3 || p.Layer != 1 {
		t.Errorf("got %+v, want 14 bytes of which 7 are own, the later of two layers of 7", p)
	}
}

func TestWhatDebianShipsOfPythonIsDebians(t *testing.T) {
	t.Parallel()
	site := "usr/lib/python3/dist-packages"
	img, _ := inventoried(t, -1, made{"", append(dist(site, "six", "six.py"),
		site+"/six.py=123", status("python3-six"), list("python3-six", "/"+site+"/six.py", "/"+site+"/six-1.0.dist-info/METADATA", "/"+site+"/six-1.0.dist-info/RECORD"))})
	if len(img.Packages) != 1 || img.Packages[0].Ecosystem != "dpkg" {
		t.Errorf("got %+v", img.Packages)
	}
}

// Those that a package owns are left out before the first are taken.
func TestSkippedAreThoseThatNobodyOwns(t *testing.T) {
	t.Parallel()
	var entries, owned []string
	var want []footprint.Skipped
	for i := range 900 {
		path := fmt.Sprintf("bin/%03d/conda-meta/x.json", i)
		entries, owned = append(entries, path+"={"), append(owned, "/"+path)
	}
	entries = append(entries, status("x"), list("x", owned...))
	for i := range footprint.MaxSkipped + 20 {
		path := fmt.Sprintf("srv/%03d/conda-meta/x.json", i)
		entries = append(entries, path+"={")
		if i < footprint.MaxSkipped {
			want = append(want, footprint.Skipped{Path: "/" + path, Why: "reading a conda package: decoding JSON: unexpected end of JSON input", Ecosystem: "conda"})
		}
	}
	img, _ := inventoried(t, -1, made{"", entries})
	if diff := cmp.Diff(want, img.Skipped); diff != "" {
		t.Error(diff)
	}
}

// Claims that are followed no more leave files without their owners: it is told,
// whatever else is.
func TestLinksThatAreFollowedNoMoreAreTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ followed, told int }{{0, 0}, {maxFollowed, 1}} {
		entries := []string{"usr/lib/", "lib->usr/lib", "usr/lib/a=1", "usr/lib/b=1", status("x"), list("x", "/lib/a", "/lib/b")}
		for i := range footprint.MaxSkipped {
			entries = append(entries, fmt.Sprintf("%03d/conda-meta/x.json={", i))
		}
		lr := layerReader{limits: Limits{}.withDefaults(), buf: make([]byte, 1000), packages: pkgdb.NewCollector()}
		x, err := lr.read(bytes.NewReader(tarOf(t, entries...)))
		must(t, err)
		tr := newTree(1000, x.entries, x.files)
		must(t, tr.apply(0, x))
		tr.followed = tt.followed
		img := &footprint.Image{Layers: make([]footprint.Layer, 1)}
		tr.inventory(img, 0, false)
		told := 0
		for _, s := range img.Skipped {
			if s == (footprint.Skipped{Path: "/lib", Why: linksTooFar, Ecosystem: "*"}) {
				told++
			}
		}
		if told != tt.told || len(img.Skipped) != footprint.MaxSkipped || img.Packages[0].Files != 2*(1-told) {
			t.Errorf("followed %d: told %d times among %d, %+v", tt.followed, told, len(img.Skipped), img.Packages)
		}
	}
}

func dup(bytes, own footprint.Bytes, dir bool, files, copies int, paths []string, layers []int) footprint.Duplicate {
	return footprint.Duplicate{Bytes: bytes, Own: own, Dir: dir, Files: files, Copies: copies, Paths: paths, Layers: layers}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	pair := func(bytes footprint.Bytes, a, b string) footprint.Duplicate {
		return dup(bytes, bytes, false, 1, 2, []string{a, b}, []int{0, 0})
	}
	dirs := func(bytes footprint.Bytes, files int, a, b string) footprint.Duplicate {
		d := pair(bytes, a, b)
		d.Dir, d.Files = true, files
		return d
	}
	many, paths := []string{}, []string{}
	for i := range 30 {
		many = append(many, fmt.Sprintf("%c/%d/x=1234", 'c'-i%3, i))
	}
	for _, i := range []int{11, 14, 17, 2, 20, 23, 26, 29, 5, 8} {
		paths = append(paths, fmt.Sprintf("/a/%d/x", i))
	}
	tests := []struct {
		name    string
		entries []string
		total   footprint.Bytes
		want    []footprint.Duplicate
	}{
		{"two files", []string{"a=1234", "b/c=1234", "d=1235"}, 4, []footprint.Duplicate{pair(4, "/a", "/b/c")}},
		{"three copies", []string{"a=1234", "b=1234", "c=1234"}, 8, []footprint.Duplicate{dup(8, 8, false, 1, 3, []string{"/a", "/b", "/c"}, []int{0, 0, 0})}},
		{"the first ten of thirty", many, 29 * 4, []footprint.Duplicate{dup(29*4, 29*4, false, 1, 30, paths, make([]int, 10))}},
		{"paths in order, component by component", []string{"b=12", "a.b=12", "a/c=12"}, 4, []footprint.Duplicate{dup(4, 4, false, 1, 3, []string{"/a/c", "/a.b", "/b"}, []int{0, 0, 0})}},
		{"hard links are one file", []string{"a=1234", "b=>a", "c=>a"}, 0, nil},
		{"empty files", []string{"a", "b"}, 0, nil},
		{"directories, and those in them only once", []string{"x/a=12", "x/s/b=345", "x/s/c=6", "y/a=12", "y/s/b=345", "y/s/c=6"}, 6, []footprint.Duplicate{dirs(6, 3, "/x", "/y")}},
		{"links and empty directories belong to it", []string{"x/a=12", "x/b=3", "x/l->a", "x/e/", "y/a=12", "y/b=3", "y/l->a", "y/e/"}, 3, []footprint.Duplicate{dirs(3, 2, "/x", "/y")}},
		{"the order of a tar is nobody's", []string{"x/b=3", "x/l->a", "x/a=12", "y/a=12", "y/b=3", "y/l->a"}, 3, []footprint.Duplicate{dirs(3, 2, "/x", "/y")}},
		{"another link is another directory", []string{"x/a=12", "x/b=3", "x/l->a", "y/a=12", "y/b=3", "y/l->b"}, 3, []footprint.Duplicate{pair(2, "/x/a", "/y/a"), pair(1, "/x/b", "/y/b")}},
		{"an empty directory more is another directory", []string{"x/a=12", "x/b=3", "x/e/", "y/a=12", "y/b=3"}, 3, []footprint.Duplicate{pair(2, "/x/a", "/y/a"), pair(1, "/x/b", "/y/b")}},
		{"a third copy of what is in the directories", []string{"x/a=12", "x/b=3", "y/a=12", "y/b=3", "a=12"}, 5,
			[]footprint.Duplicate{dup(4, 4, false, 1, 3, []string{"/a", "/x/a", "/y/a"}, []int{0, 0, 0}), dirs(3, 2, "/x", "/y")}},
		{"another name", []string{"x/a=12", "x/b=3", "y/a=12", "y/c=3"}, 3, []footprint.Duplicate{pair(2, "/x/a", "/y/a"), pair(1, "/x/b", "/y/c")}},
		{"names that are swapped", []string{"x/a=12", "x/b=3", "y/a=3", "y/b=12"}, 3, []footprint.Duplicate{pair(2, "/x/a", "/y/b"), pair(1, "/x/b", "/y/a")}},
		{"the name given last is gone", []string{"a=1234", "b=>a", "c=1234", "b=9"}, 4, []footprint.Duplicate{pair(4, "/a", "/c")}},
		{"hard links in both copies count once", []string{"x/a=1234", "x/b=>x/a", "x/c=5", "y/a=1234", "y/b=>y/a", "y/c=5"}, 5, []footprint.Duplicate{dirs(5, 2, "/x", "/y")}},
		{"hard links across what is in both copies", []string{"x/s/a=1234", "x/t/a=>x/s/a", "x/c=5", "y/s/a=1234", "y/t/a=>y/s/a", "y/c=5"}, 5, []footprint.Duplicate{dirs(5, 2, "/x", "/y")}},
		{"one file of two names is no directory of files", []string{"x/a=1234", "x/b=>x/a", "y/a=1234", "y/b=>y/a"}, 4, []footprint.Duplicate{pair(4, "/x/b", "/y/b")}},
		{"links of each other are no copies", []string{"x/a=1234", "x/b=567", "y/a=>x/a", "y/b=>x/b", "z1=1234", "z2=567"}, 7, []footprint.Duplicate{pair(4, "/y/a", "/z1"), pair(3, "/y/b", "/z2")}},
		{"neither are those that share one file", []string{"x/a=1234", "x/b=567", "y/a=>x/a", "y/b=567", "z=1234"}, 7, []footprint.Duplicate{pair(4, "/y/a", "/z"), pair(3, "/x/b", "/y/b")}},
		{"links in one, copies in the other", []string{"x/a=1234", "x/b=>x/a", "x/c=5", "y/a=1234", "y/b=1234", "y/c=5"}, 9,
			[]footprint.Duplicate{dup(8, 8, false, 1, 3, []string{"/x/b", "/y/a", "/y/b"}, []int{0, 0, 0}), pair(1, "/x/c", "/y/c")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			img, _ := inventoried(t, -1, made{"", tt.entries})
			if diff := cmp.Diff(tt.want, img.Duplicates); diff != "" || img.DuplicateBytes != tt.total || img.DuplicateOwn != tt.total {
				t.Errorf("%d bytes, %d of them own, want %d (-want +got):\n%s", img.DuplicateBytes, img.DuplicateOwn, tt.total, diff)
			}
		})
	}
}

func TestOwnDuplicatesAreAboveTheBase(t *testing.T) {
	t.Parallel()
	base := made{"", []string{"a=1234", "b=1234", "s/x=55555", "s/y=1"}}
	tests := []struct {
		name       string
		base       int
		top        []string
		total, own footprint.Bytes
		want       []footprint.Duplicate
	}{
		{"all in the base", 1, nil, 4, 0, []footprint.Duplicate{dup(4, 0, false, 1, 2, []string{"/a", "/b"}, []int{0, 0})}},
		{"a third above it", 1, []string{"c=1234"}, 8, 4, []footprint.Duplicate{dup(8, 4, false, 1, 3, []string{"/a", "/b", "/c"}, []int{0, 0, 1})}},
		{"all above it", 1, []string{"c=66", "d=66"}, 6, 2, []footprint.Duplicate{dup(4, 0, false, 1, 2, []string{"/a", "/b"}, []int{0, 0}), dup(2, 2, false, 1, 2, []string{"/c", "/d"}, []int{1, 1})}},
		{"a directory of the base", 1, []string{"b=x", "t/x=55555", "t/y=1"}, 6, 6, []footprint.Duplicate{dup(6, 6, true, 2, 2, []string{"/s", "/t"}, []int{0, 1})}},
		{"two directories above it", 1, []string{"b=x", ".wh.s", "t/x=22", "t/y=3", "u/x=22", "u/y=3"}, 3, 3, []footprint.Duplicate{dup(3, 3, true, 2, 2, []string{"/t", "/u"}, []int{1, 1})}},
		{"a base that nobody knows", -1, []string{"c=1234"}, 8, 8, []footprint.Duplicate{dup(8, 8, false, 1, 3, []string{"/a", "/b", "/c"}, []int{0, 0, 1})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			img, _ := inventoried(t, tt.base, base, made{"", tt.top})
			if diff := cmp.Diff(tt.want, img.Duplicates); diff != "" || img.DuplicateBytes != tt.total || img.DuplicateOwn != tt.own {
				t.Errorf("%d bytes, %d of them own, want %d and %d (-want +got):\n%s", img.DuplicateBytes, img.DuplicateOwn, tt.total, tt.own, diff)
			}
		})
	}
}

// Copies may be very many, and their paths as long as they get.
func TestManyCopiesWithLongPaths(t *testing.T) {
	const n = 100_000
	prefix := strings.Repeat(strings.Repeat("d", 250)+"/", 15)
	x := newIndex()
	for i := range n {
		x.add(entry{kind: addRegular, path: fmt.Appendf(nil, "%s%06d", prefix, i), size: 1, hash: 7})
	}
	tr := newTree(2*n, n, n)
	must(t, tr.apply(0, x))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	img := &footprint.Image{}
	tr.duplicates(img, 0)
	runtime.ReadMemStats(&after)
	if len(img.Duplicates) != 1 || img.Duplicates[0].Copies != n || img.Duplicates[0].Paths[9] != "/"+prefix+"000009" {
		t.Errorf("got %d duplicates", len(img.Duplicates))
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 20<<20 {
		t.Errorf("allocated %d MB for copies of one byte", got>>20)
	}
}

// TestRandomOwners draws databases and files from few names, so that claims
// collide in every way; inventoried checks that all adds up, and the same from
// stored indexes.
func TestRandomOwners(t *testing.T) {
	t.Parallel()
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	names := []string{"a", "b", "c", "usr", "lib"}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		some := func() string { return names[r.IntN(len(names))] }
		path := func() string {
			parts := []string{some()}
			for range r.IntN(3) {
				parts = append(parts, some())
			}
			return strings.Join(parts, "/")
		}
		paths := func() (out []string) {
			for range r.IntN(6) {
				out = append(out, "/"+path())
			}
			return out
		}
		var layers []made
		for range 1 + r.IntN(4) {
			l := made{by: []string{"", "COPY . /", "RUN make", "ADD x /"}[r.IntN(4)]}
			for range r.IntN(15) {
				p := path()
				switch r.IntN(12) {
				case 0, 1, 2, 3:
					l.entries = append(l.entries, p+"="+strings.Repeat("x", r.IntN(30)))
				case 4:
					l.entries = append(l.entries, p+"->"+strings.Repeat("../", r.IntN(3))+path())
				case 5:
					l.entries = append(l.entries, p+"=>"+path())
				case 6:
					l.entries = append(l.entries, status(names[:r.IntN(len(names))]...))
				case 7:
					l.entries = append(l.entries, list(some(), paths()...))
				case 8:
					l.entries = append(l.entries, npm(p+"/node_modules/"+some(), some()))
				case 9:
					l.entries = append(l.entries, dist(p, some(), paths()...)...)
				case 10:
					l.entries = append(l.entries, "var/lib/dpkg/diversions=/"+path()+"\n/"+path()+"\n"+some()+"\n")
				case 11:
					dir, base := splitPath([]byte(p))
					l.entries = append(l.entries, strings.TrimPrefix(string(dir)+"/.wh."+string(base), "/"))
				}
			}
			layers = append(layers, l)
		}
		if inventoried(t, r.IntN(len(layers)+2)-1, layers...); t.Failed() {
			t.Fatalf("seed %d: %q", seed, layers)
		}
	}
}

// Strip may take more of a program than what is left of it beside its libraries, but
// not more of a package than it has.
func TestStrippableIsNoMoreThanThePackage(t *testing.T) {
	t.Parallel()
	x := newIndex()
	x.add(entry{kind: addRegular, path: []byte("app"), size: 1000, hash: 1})
	program := pkgdb.Package{Ecosystem: "golang", Root: "/app", Name: "example.com/app", Installed: true, Main: true}
	library := pkgdb.Package{Ecosystem: "golang", Root: "/app", Name: "example.com/lib", Installed: true, Inside: 900}
	x.tell(pkgdb.Facts{Packages: []pkgdb.Package{program, library}, Debug: 300, Symbols: 200})
	img := &footprint.Image{Layers: []footprint.Layer{{Unpacked: x.unpacked, Files: x.files, Has: footprint.HasFiles}}}
	opt := Options{Files: true, Limits: Limits{}.withDefaults()}
	must(t, merge(context.Background(), img, []*Index{x}, opt))
	got := map[string][2]footprint.Bytes{}
	for _, p := range img.Packages {
		got[p.Name] = [2]footprint.Bytes{p.Bytes, p.Strippable}
	}
	want := map[string][2]footprint.Bytes{"example.com/app": {100, 100}, "example.com/lib": {900, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
