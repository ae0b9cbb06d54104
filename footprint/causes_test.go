package footprint

import (
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// causesText writes causes as "bytes path [label] (fate) change layer".
func causesText(causes []Cause) []string {
	var out []string
	for _, c := range causes {
		line := fmt.Sprint(int64(c.Bytes), " ", c.Path)
		if c.Label != "" {
			line += " [" + c.Label + "]"
		}
		if c.Fate != "" {
			line += " (" + string(c.Fate) + ")"
		}
		if c.Mostly {
			line += " mostly"
		}
		out = append(out, fmt.Sprint(line, " ", c.Change, " ", c.Layer))
	}
	return out
}

func TestCauses(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("ADD file in /", 1), layer("RUN one", 2), layer("RUN two", 3)}
	keep := []File{file("/etc/passwd", 10, 0), file("/usr/bin/sh", 5000, 0)}
	for name, c := range map[string]struct {
		old, new         []File
		oldDead, newDead []Dead
		want             []string
	}{
		"nothing": {},
		"only shrinks": {
			old: []File{file("/opt/x", 500, 1)},
		},
		"one file deep down": {
			new:  []File{file("/opt/tool/lib/x86/lib.so", 70_000, 1), file("/opt/tool/README", 10, 1)},
			want: []string{"70000 /opt/tool/lib/x86/lib.so added 1"},
		},
		"a directory of many": {
			new:  spread("/opt/tool/lib", 50, 1000, 1),
			want: []string{"50000 /opt/tool/lib added 1"},
		},
		"a directory of one instruction": {
			new:  []File{file("/opt/jdk/jmods/base", 20_000, 1), file("/opt/jdk/lib/modules", 70_000, 1), file("/opt/jdk/lib/server/libjvm", 30_000, 1)},
			want: []string{"120000 /opt/jdk added 1"},
		},
		"a directory of two instructions": {
			new:  []File{file("/opt/jdk/lib/modules", 70_000, 1), file("/opt/jdk/plugins/x", 50_000, 2)},
			want: []string{"70000 /opt/jdk/lib/modules added 1", "50000 /opt/jdk/plugins/x added 2"},
		},
		"records of a package manager come last": {
			old:  []File{file("/var/lib/dpkg/status", 1000, 0), file("/var/log/dpkg.log", 10, 0)},
			new:  []File{file("/srv/x", 700, 2), file("/var/lib/dpkg/status", 90_000, 1), file("/var/log/dpkg.log", 8000, 1), file("/var/www/y", 1000, 2)},
			want: []string{"1000 /var/www/y added 2", "700 /srv/x added 2", "89000 /var/lib/dpkg [package database] changed 1", "7990 /var/log/dpkg.log changed 1"},
		},
		"a file that grew": {
			old:  []File{file("/app/bin/server", 40_000, 1)},
			new:  []File{file("/app/bin/server", 55_000, 2)},
			want: []string{"15000 /app/bin/server changed 2"},
		},
		"a version in a path is swapped": {
			old:  spread("/usr/lib/python3.11", 30, 1000, 1),
			new:  spread("/usr/lib/python3.12", 30, 1100, 1),
			want: []string{"3000 /usr/lib changed 1"},
		},
		"what shrank elsewhere hides nothing": {
			old:  []File{file("/opt/old", 90_000, 1)},
			new:  []File{file("/srv/new", 20_000, 2)},
			want: []string{"20000 /srv/new added 2"},
		},
		"well-known, in a directory that is named itself": {
			new: append(spread("/app/dist", 40, 1000, 2), append(
				spread("/app/dist/.git/objects", 5, 1000, 2), spread("/app/dist/node_modules/x/node_modules/y", 9, 1000, 1)...)...),
			want: []string{"40000 /app/dist added 2", "9000 /app/dist/node_modules [Node packages] added 1", "5000 /app/dist/.git [git history] added 2"},
		},
		"noise beside a large growth": {
			new:  []File{file("/opt/large", 1_000_000, 1), file("/app/small", 4000, 2)},
			want: []string{"1000000 /opt/large added 1"},
		},
		"several that are alike": {
			new: []File{file("/app/a/x", 30_000, 1), file("/app/b/x", 20_000, 2), file("/srv/c", 10_000, 2)},
			want: []string{
				"30000 /app/a/x added 1", "20000 /app/b/x added 2", "10000 /srv/c added 2",
			},
		},
		"waste is there already": {
			oldDead: []Dead{{In: 0, By: 1, Fate: Deleted, Bytes: 900, Under: "/var/lib/apt/lists"}},
			newDead: []Dead{{In: 0, By: 1, Fate: Deleted, Bytes: 900, Under: "/var/lib/apt/lists"}},
		},
		"waste grew": {
			oldDead: []Dead{{In: 0, By: 1, Fate: Deleted, Bytes: 900, Under: "/var/lib/apt/lists"}},
			newDead: []Dead{
				{In: 0, By: 1, Fate: Deleted, Bytes: 1000, Under: "/var/lib/apt/lists"}, {In: 1, By: 2, Fate: Deleted, Bytes: 70, Under: "/tmp"},
				{In: 0, By: 2, Fate: Rewritten, Bytes: 50, Under: "/app/a"}, {In: 1, By: 2, Fate: Rewritten, Bytes: 60, Under: "/app/b"},
				{In: 1, By: 2, Fate: Replaced, Bytes: 40, Under: "/etc"},
			},
			want: []string{
				"110 /app (rewritten) added 2", "100 /var/lib/apt/lists [apt lists] (deleted) changed 1",
				"70 /tmp (deleted) added 2", "40 /etc (replaced) added 2",
			},
		},
	} {
		old, new := built(layers, append(c.old, keep...), c.oldDead...), built(layers, append(c.new, keep...), c.newDead...)
		if diff := gocmp.Diff(c.want, causesText(compared(t, old, new).Causes)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// spread makes n files of a size in a directory.
func spread(dir string, n int, size Bytes, layer int) []File {
	var out []File
	for i := range n {
		out = append(out, file(fmt.Sprintf("%s/f%03d", dir, i), size, layer))
	}
	return out
}

// A new layer below moves all that follow; waste is not new for that.
func TestCausesOfWasteFollowTheirLayers(t *testing.T) {
	t.Parallel()
	files := []File{file("/a", 100, 0)}
	old := built([]Layer{layer("FROM", 1), layer("RUN a", 1), layer("RUN b", 1)}, files,
		Dead{In: 1, By: 2, Fate: Deleted, Bytes: 900, Under: "/tmp"})
	new := built([]Layer{layer("FROM", 1), layer("RUN new", 1), layer("RUN a", 1), layer("RUN b", 1)}, files,
		Dead{In: 2, By: 3, Fate: Deleted, Bytes: 950, Under: "/tmp"})
	want := []string{"50 /tmp (deleted) changed 3"}
	if diff := gocmp.Diff(want, causesText(compared(t, old, new).Causes)); diff != "" {
		t.Error(diff)
	}
}

func TestCausesWithoutFiles(t *testing.T) {
	t.Parallel()
	manifest := func(layers ...Layer) *Image {
		img := built(layers, nil)
		img.Files, img.Metrics.Has = nil, HasCompressed
		for i := range img.Layers {
			img.Layers[i].Has = HasCompressed
		}
		return img
	}
	rebuilt := layer("RUN b", 70)
	rebuilt.DiffID = "sha256:other"
	old := manifest(layer("FROM", 100), layer("RUN b", 50), layer("RUN c", 50))
	new := manifest(layer("FROM", 100), rebuilt, layer("RUN d", 30))
	d := compared(t, old, new)
	want := []Cause{
		{Bytes: 30, Metric: Compressed, Change: Added, Layer: 2},
		{Bytes: 20, Metric: Compressed, Change: Changed, Layer: 1},
	}
	if diff := gocmp.Diff(want, d.Causes); diff != "" {
		t.Error(diff)
	}
	if d.Compressed != 0 || d.Has != HasCompressed || d.Unpacked != 0 {
		t.Errorf("got %+v", d)
	}
	new.Metrics.CompressedEstimated, new.Layers[1].CompressedEstimated = true, true
	if d := compared(t, old, new); d.Has != 0 || len(d.Causes) != 0 || d.Compressed != 0 {
		t.Errorf("an estimate was compared with a known size: %+v", d)
	}
}

// What chown -R wrote again was brought by a layer below it.
func TestCausesNameTheLayerThatBroughtIt(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("COPY app", 1), layer("COPY lib", 1), layer("RUN chmod", 1), layer("RUN chown", 1)}
	old := built(layers, []File{file("/a", 1, 0)})
	for made := 1; made <= 4; made++ {
		model, lib := file("/app/model.bin", 9000, 4), file("/app/lib/x", 5, 4)
		model.Made = made
		for _, before := range []*Image{old, stored(t, old)} {
			causes := compared(t, before, built(layers, []File{file("/a", 1, 0), model, lib})).Causes
			if len(causes) != 1 || causes[0].Layer != made {
				t.Errorf("made by %d: %+v", made, causes)
			}
		}
	}
}

// Several lines of a Dockerfile put files under /app. A line is named for what
// it brought, and for what another brought it is not, however little is known.
func TestCausesOfSeveralLayers(t *testing.T) {
	t.Parallel()
	again := func(command, id string) Layer {
		l := layer(command, 1)
		l.DiffID = id
		return l
	}
	from := layer("FROM", 1)
	sh := file("/bin/sh", 100_000, 0)
	old := built([]Layer{from, again("COPY /src", "old")}, append(spread("/app/src", 50, 20_000, 1), sh))
	for name, c := range map[string]struct {
		layers []Layer
		files  []File
		dead   []Dead
		// want is with a snapshot as the old image, exact with its files.
		want, exact []string
	}{
		"a line grew and one is new": {
			layers: []Layer{from, again("COPY /src", "new"), again("RUN make", "make")},
			files:  append(append(spread("/app/src", 50, 90_000, 1), file("/app/src/out", 700_000, 2)), sh),
			want:   []string{"3500000 /app/src changed 1", "700000 /app/src changed 2"},
			exact:  []string{"3500000 /app/src changed 1", "700000 /app/src changed 2"},
		},
		"a line was built anew and one is new": {
			layers: []Layer{from, again("COPY /src", "new"), again("RUN make", "make")},
			files:  append(append(spread("/app/src", 50, 20_000, 1), file("/app/src/out", 700_000, 2)), sh),
			want:   []string{"700000 /app/src changed 2"},
			exact:  []string{"700000 /app/src/out added 2"},
		},
		"a line replaces what another ships": {
			layers: []Layer{from, again("COPY /src", "new"), again("RUN make", "make")},
			files:  append(append(spread("/app/src", 30, 90_000, 1), file("/app/src/out", 700_000, 2)), sh),
			dead:   []Dead{{In: 1, By: 2, Fate: Replaced, Bytes: 500_000, Files: 5, Under: "/app/src"}},
			want:   []string{"2400000 /app/src mostly changed 1", "500000 /app/src (replaced) added 2"},
			exact:  []string{"2400000 /app/src mostly changed 1", "500000 /app/src (replaced) added 2"},
		},
		"two of one weight": {
			layers: []Layer{from, again("COPY /src", "new"), again("RUN a", "a"), again("RUN b", "b")},
			files:  append(spread("/app/src", 5, 20_000, 1), file("/app/src/a", 1_400_000, 2), file("/app/src/b", 1_400_000, 3), sh),
			want:   []string{"1900000 /app/src changed -1"},
			exact:  []string{"1400000 /app/src/a added 2", "1400000 /app/src/b added 3"},
		},
	} {
		new := built(c.layers, c.files, c.dead...)
		if diff := gocmp.Diff(c.want, causesText(compared(t, stored(t, old), new).Causes)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := gocmp.Diff(c.exact, causesText(compared(t, old, new).Causes)); diff != "" {
			t.Errorf("%s, with the files: %s", name, diff)
		}
	}
}

// Waste whose files are in no one directory is a record if most of them are.
func TestRecordsAmongWasteComeLast(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("RUN apt-get", 1)}
	sh := file("/usr/bin/sh", 5000, 0)
	old := built(layers, []File{sh})
	new := built(layers, []File{sh, file("/srv/x", 300, 1)}, Dead{Bytes: 900, In: 0, By: 1, Fate: Replaced, Under: "/", Files: 2})
	new.DeadFiles = []DeadFile{{Path: "/var/lib/dpkg/status", Bytes: 800, In: 0, By: 1, Fate: Replaced}, {Path: "/etc/x", Bytes: 100, In: 0, By: 1, Fate: Replaced}}
	if got, want := causesText(compared(t, old, new).Causes), []string{"300 /srv/x added 1", "900 /var/lib/dpkg/status (replaced) added 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	new.DeadFiles[0].Path = "/srv/status"
	if got, want := causesText(compared(t, old, new).Causes), []string{"900 /srv/status (replaced) added 1", "300 /srv/x added 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What was shipped and seen before is no growth for being deleted now; what a
// new layer brings and another deletes is.
func TestDeletedIsGrowthOfWhatCameAlone(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("RUN rm", 1)}
	doc, sh := file("/usr/share/doc/x", 900, 0), file("/bin/sh", 5000, 0)
	old := built(layers[:1], []File{doc, sh})
	if causes := compared(t, old, built(layers, []File{sh}, Dead{Bytes: 900, In: 0, By: 1, Fate: Deleted, Under: "/usr/share/doc", Files: 1})).Causes; len(causes) != 0 {
		t.Errorf("deleting is a cause: %+v", causes)
	}
	layers = []Layer{layers[0], layer("RUN curl", 1), layers[1]}
	new := built(layers, []File{doc, sh}, Dead{Bytes: 700, In: 1, By: 2, Fate: Deleted, Under: "/tmp", Files: 1})
	if got, want := causesText(compared(t, old, new).Causes), []string{"700 /tmp (deleted) added 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What grew in no place in particular comes after what did in one, and little of it
// not at all.
func TestRestOfTheRootIsNoFirstCause(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("COPY . .", 1)}
	image := func(app, other Bytes) *Image {
		var files []File
		for i := range 300 {
			files = append(files, file(fmt.Sprintf("/d%03d/x", i), other, 1))
		}
		img := built(layers, append(files, file("/app/x", app, 1)))
		img.Dirs, img.DirFloor = RollUp(img.Files, 3)
		return img
	}
	old := stored(t, image(100_000, 10))
	for name, c := range map[string]struct {
		new  *Image
		want []string
	}{
		"much":   {image(101_000, 20), []string{"+1000 /app -1", "+3000 / -1"}},
		"little": {image(200_000, 20), []string{"+100000 /app -1"}},
		"alone":  {image(100_000, 20), []string{"+3000 / -1"}},
	} {
		if got := packageCausesText(compared(t, old, stored(t, c.new)).Causes); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A new directory is a cause with all of its bytes, though its neighbour lost as
// many, unless it may have come instead of one that is gone.
func TestCausesBesideWhatShrank(t *testing.T) {
	t.Parallel()
	layers := []Layer{layer("FROM", 1), layer("COPY go", 1)}
	old := built(layers[:1], []File{file("/usr/local/bin/node", 9000, 0), file("/usr/local/bin/x", 5, 0)})
	new := built(layers, []File{file("/usr/local/bin/x", 5, 0), file("/usr/local/go/a", 8000, 1), file("/usr/local/go/b", 7000, 1)})
	if got, want := causesText(compared(t, old, new).Causes), []string{"15000 /usr/local/go added 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	old = built(layers[:1], []File{file("/usr/local/go1.21/a", 8000, 0), file("/usr/local/go1.21/b", 6000, 0)})
	new = built(layers, []File{file("/usr/local/go1.22/a", 8001, 1), file("/usr/local/go1.22/b", 7001, 1)})
	if got, want := causesText(compared(t, old, new).Causes), []string{"1002 /usr/local changed 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
