package source

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// openAndRead opens ref and reads every layer.
func openAndRead(t testing.TB, ref string, limits Limits) ([][]byte, error) {
	t.Helper()
	img, err := New(Config{Limits: limits}).Open(t.Context(), ref)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	return readAll(t.Context(), img, ReadOptions{})
}

// replaced returns items with the named one changed.
func replaced(items []item, name string, change func(item) []item) []item {
	var out []item
	for _, it := range items {
		if it.name == name {
			out = append(out, change(it)...)
			continue
		}
		out = append(out, it)
	}
	return out
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	old := func() []item { return f.oldDockerItems(t, "app:1") }
	layer := old()[3].name
	config := strings.TrimPrefix(sum(f.config), "sha256:") + ".json"
	body := f.layers[0].plain
	link := func(to string) func(item) []item {
		return func(it item) []item { return []item{{name: it.name, typeflag: tar.TypeSymlink, link: to}} }
	}
	outside := writeFile(t, "outside", body)
	other := bytes.Clone(body)
	other[600] ^= 1
	whole := archiveOf(t, old()...)
	for name, tc := range map[string]struct {
		data   []byte
		limits Limits
		want   string
	}{
		"link to a path outside":  {archiveOf(t, replaced(old(), layer, link(outside))...), Limits{}, "leads out of the archive"},
		"link up and out":         {archiveOf(t, replaced(old(), layer, link("../../../../../../../.."+outside))...), Limits{}, "leads out of the archive"},
		"link to itself":          {archiveOf(t, replaced(old(), layer, link("layer.tar"))...), Limits{}, "leads nowhere"},
		"hard link outside":       {archiveOf(t, replaced(old(), layer, func(it item) []item { return []item{{name: it.name, typeflag: tar.TypeLink, link: "../x"}} })...), Limits{}, "leads out of the archive"},
		"a device":                {archiveOf(t, replaced(old(), layer, func(it item) []item { return []item{{name: it.name, typeflag: tar.TypeChar}} })...), Limits{}, "not a regular file"},
		"layer missing":           {archiveOf(t, replaced(old(), layer, func(it item) []item { return nil })...), Limits{}, "is missing, so the image is incomplete"},
		"layer twice":             {archiveOf(t, replaced(old(), layer, func(it item) []item { return []item{it, {name: "./" + it.name, body: other}} })...), Limits{}, "in the archive twice"},
		"layer changed":           {archiveOf(t, replaced(old(), layer, func(it item) []item { return []item{{name: it.name, body: other}} })...), Limits{}, "the unpacked layer has the digest"},
		"config changed":          {archiveOf(t, replaced(old(), config, func(it item) []item { return []item{{name: it.name, body: append(it.body, ' ')}} })...), Limits{}, "reading config: the content has the digest"},
		"config too large":        {whole, Limits{MaxConfig: 100}, "is larger than 100 bytes"},
		"manifest too large":      {whole, Limits{MaxManifest: 10}, "manifest.json is larger than 10 bytes"},
		"too many entries":        {whole, Limits{MaxEntries: 5}, "more than 5 entries"},
		"unpacks to too much":     {whole, Limits{MaxUnpacked: 64 << 10}, "unpacks to more than 64 KiB; raise --max-unpacked"},
		"cut in a layer":          {whole[:100_000], Limits{}, "cut off"},
		"cut in a header":         {whole[:700], Limits{}, "cut off"},
		"empty file":              {nil, Limits{}, "empty"},
		"only zeros":              {make([]byte, 10240), Limits{}, "empty"},
		"no archive":              {[]byte(strings.Repeat("hello world ", 1000)), Limits{}, "not a tar archive"},
		"another tar":             {tarOf(t, "hello", "world"), Limits{}, "no manifest.json"},
		"manifest of no images":   {tarOf(t, "manifest.json", "[]"), Limits{}, "holds no image"},
		"manifest is no manifest": {tarOf(t, "manifest.json", "{"), Limits{}, "not that of docker save"},
		"config outside":          {tarOf(t, "manifest.json", `[{"Config":"../../etc/passwd","Layers":[]}]`), Limits{}, "outside the archive"},
		"config absolute":         {tarOf(t, "manifest.json", `[{"Config":"/etc/passwd","Layers":[]}]`, "etc/passwd", "{}"), Limits{}, "outside the archive"},
		"layers do not match":     {tarOf(t, "manifest.json", `[{"Config":"c","Layers":["a"]}]`, "c", `{"rootfs":{"diff_ids":[]}}`), Limits{}, "1 layers but the config has 0"},
		"odd diff_id":             {tarOf(t, "manifest.json", `[{"Config":"c","Layers":["a"]}]`, "c", `{"rootfs":{"diff_ids":["sha512:`+strings.Repeat("0", 128)+`"]}}`), Limits{}, "not sha256"},
	} {
		for kind, data := range map[string][]byte{"": tc.data, " in gzip": gz(t, tc.data)} {
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				got, err := openAndRead(t, "docker-archive:"+writeFile(t, "a.tar", data), tc.limits)
				if err == nil || (!strings.Contains(err.Error(), tc.want) && !(kind != "" && strings.Contains(err.Error(), "is missing, so"))) {
					t.Errorf("got %d layers and %v, want %q", len(got), err, tc.want)
				}
			})
		}
	}
}

// TestCompressedArchiveThatGrows has a file that no layer needs and that unpacks
// to more than any layer may.
func TestCompressedArchiveThatGrows(t *testing.T) {
	t.Parallel()
	items := append(mixedFixture(t).oldDockerItems(t, "app:1"), item{name: "zeros", body: make([]byte, 4<<20)})
	_, err := openAndRead(t, writeFile(t, "a.tgz", gz(t, archiveOf(t, items...))), Limits{MaxUnpacked: 2 << 20})
	if err == nil || !strings.Contains(err.Error(), "unpacks to more than 2 MiB") {
		t.Error(err)
	}
}

// TestEscapingNamesAreNotReached has entries whose names lead out next to the
// real ones; they change nothing.
func TestEscapingNamesAreNotReached(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	items := append([]item{
		{name: "../manifest.json", body: []byte("{")}, {name: "/manifest.json", body: []byte("{")},
		{name: "a/../../manifest.json", body: []byte("{")}, {name: "../../x", typeflag: tar.TypeSymlink, link: "/etc"},
	}, f.oldDockerItems(t, "app:1")...)
	got, err := openAndRead(t, "docker-archive:"+writeFile(t, "a.tar", archiveOf(t, items...)), Limits{})
	if err != nil || !bytes.Equal(got[0], f.layers[0].plain) {
		t.Error(err)
	}
}

func TestSeveralImagesInOneArchive(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	g := newFixture(t, "amd64", []string{plainLayer}, tarOf(t, "g", "g"))
	docker := archiveOf(t,
		item{name: "f.json", body: f.config}, item{name: "g.json", body: g.config}, item{name: "l", body: g.layers[0].plain},
		item{name: "manifest.json", body: toJSON(t, []object{
			{"Config": "f.json", "RepoTags": []string{"f:1"}, "Layers": []string{"a", "b", "c", "d"}},
			{"Config": "g.json", "RepoTags": []string{"reg.example/g:2"}, "Layers": []string{"l"}},
		})})
	fd, gd := f.descriptor(), g.descriptor()
	fd["annotations"] = object{"org.opencontainers.image.ref.name": "f"}
	gd["annotations"] = object{"org.opencontainers.image.ref.name": "2", "io.containerd.image.name": "docker.io/library/g:2"}
	oci := writeDir(t, ociFilesOf(t, []any{fd, gd}, f, g))
	d := writeFile(t, "a.tar", docker)
	for _, tc := range []struct{ ref, want string }{
		{"docker-archive:" + d, "it holds several images; name one of f:1, reg.example/g:2"},
		{"docker-archive:" + d + ":h", "it has no image named h, only f:1, reg.example/g:2"},
		{"docker-archive:" + d + ":reg.example/g:2", ""},
		{"oci:" + oci, "it holds several images; name one of docker.io/library/g:2, f behind the path"},
		{"oci:" + oci + ":h", "it has no image named h, only docker.io/library/g:2, f"},
		{"oci:" + oci + ":2", ""},
		{"oci:" + oci + ":g:2", ""},
		{oci + ":g:2", ""},
	} {
		got, err := openAndRead(t, tc.ref, Limits{})
		if tc.want == "" {
			if err != nil || len(got) != 1 || !bytes.Equal(got[0], g.layers[0].plain) {
				t.Errorf("%s: %v", tc.ref, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.ref, err, tc.want)
		}
		if strings.Contains(tc.want, "no image") != errors.Is(err, ErrNotFound) {
			t.Errorf("%s: ErrNotFound is %v", tc.ref, errors.Is(err, ErrNotFound))
		}
	}
}

func TestHostileLayouts(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	hex := strings.TrimPrefix(sum(f.layers[0].stored), "sha256:")
	blob := filepath.Join("blobs", "sha256", hex)
	outside := writeFile(t, "outside", f.layers[0].stored)
	replace := func(how func(t *testing.T, path string)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			p := filepath.Join(dir, blob)
			if err := os.Remove(p); err != nil {
				t.Fatal(err)
			}
			how(t, p)
		}
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, string)
		want   string
	}{
		"link outside": {replace(func(t *testing.T, p string) { must(t, os.Symlink(outside, p)) }), "reading layer 0: blobs/sha256/" + hex + " is a link that leads out of the layout; save the image again"},
		"link outside, config": {func(t *testing.T, dir string) {
			p := filepath.Join(dir, blobPath(f.config))
			must(t, os.Remove(p))
			must(t, os.Symlink(outside, p))
		}, "reading config: " + blobPath(f.config) + " is a link that leads out of the layout; save the image again"},
		"index is a link": {func(t *testing.T, dir string) {
			p := filepath.Join(dir, "index.json")
			must(t, os.Remove(p))
			must(t, os.Symlink("../index.json", p))
		}, "reading index.json: index.json is a link that leads out of the layout; save the image again"},
		"folder outside": {func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "blobs")))
			must(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "blobs")))
		}, "is a link that leads out of the layout; save the image again"},
		"directory": {replace(func(t *testing.T, p string) { must(t, os.Mkdir(p, 0o755)) }), "not a regular file"},
		"missing":   {replace(func(*testing.T, string) {}), "is missing, so the image is incomplete"},
		"cut":       {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, blob), 1000)) }, "ends after 1000 of"},
		"no index":  {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "index.json"))) }, "not an OCI layout"},
		"index is no JSON": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte("x"), 0o644))
		}, "not an OCI index"},
		"config missing": {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, blobPath(f.config)))) }, "reading config: blobs/sha256/"},
		"config changed": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, blobPath(f.config)), append(bytes.Clone(f.config), ' '), 0o644))
		}, "reading config: the content has the digest"},
		"manifest changed": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, blobPath(f.manifest)), append(bytes.Clone(f.manifest), ' '), 0o644))
		}, "reading manifest: the content has the digest"},
		"manifest too large": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, blobPath(f.manifest)), make([]byte, 9<<20), 0o644))
		}, "is larger than 8 MiB"},
		"digest is a path": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[{"digest":"sha256:../../../../etc/passwd","size":1}]}`), 0o644))
		}, "not an OCI index"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := writeDir(t, f.ociFiles(t, "1"))
			tc.change(t, dir)
			_, err := openAndRead(t, "oci:"+dir, Limits{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestLayoutLinksWithin holds that a blob may be a link to another file of the
// layout, as tools that share blobs make them.
func TestLayoutLinksWithin(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	dir := writeDir(t, f.ociFiles(t, "1"))
	blob := filepath.Join(dir, blobPath(f.layers[0].stored))
	if err := os.Rename(blob, filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../elsewhere", blob); err != nil {
		t.Fatal(err)
	}
	if got, err := openAndRead(t, "oci:"+dir, Limits{}); err != nil || !bytes.Equal(got[0], f.layers[0].plain) {
		t.Error(err)
	}
}

// TestIndexWithoutPlatforms finds the platform in the configs, as tools that
// write no platform into the index need it.
func TestIndexWithoutPlatforms(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	arm := newFixture(t, "arm64", []string{gzipLayer}, tarOf(t, "arm", "64"))
	dir := writeDir(t, ociFilesOf(t, []any{arm.descriptor(), f.descriptor()}, f, arm))
	for p, want := range map[string]string{"linux/amd64": sum(f.manifest), "linux/arm64": sum(arm.manifest)} {
		img, err := New(Config{Platform: p}).Open(t.Context(), dir)
		if err != nil || img.Digest != want {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := New(Config{Platform: "linux/s390x"}).Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "linux/s390x was asked for") {
		t.Error(err)
	}
}

func TestLocalSizes(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	old := writeFile(t, "a.tar", archiveOf(t, f.oldDockerItems(t, "a:1")...))
	stored := writeFile(t, "a.tar", archiveOf(t, f.newDockerItems(t, "a:1", false)...))
	dir := writeDir(t, f.ociFiles(t, "1"))
	l := f.layers
	n := func(i int) int64 { return int64(len(l[i].stored)) }
	for ref, want := range map[string][]Layer{
		"docker-archive:" + old:    {{Size: -1}, {Size: -1}, {Size: -1}, {Size: -1}},
		"docker-archive:" + stored: {{Digest: sum(l[0].stored), Size: n(0)}, {Digest: sum(l[1].stored), Size: n(1)}, {Size: -1}, {Digest: sum(l[3].stored), Size: n(3)}},
		"oci:" + dir: {
			{Digest: sum(l[0].stored), Size: n(0), MediaType: gzipLayer}, {Digest: sum(l[1].stored), Size: n(1), MediaType: zstdLayer},
			{Digest: sum(l[2].stored), Size: -1, MediaType: plainLayer}, {Digest: sum(l[3].stored), Size: n(3), MediaType: gzipLayer},
		},
	} {
		img, err := New(Config{}).Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i].DiffID = sum(l[i].plain)
			if img.Layers[i] != want[i] {
				t.Errorf("%s: layer %d is %+v, want %+v", ref, i, img.Layers[i], want[i])
			}
		}
		img.Close()
	}
}

func TestWrongPlatformOfAFile(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	old := writeFile(t, "a.tar", archiveOf(t, f.oldDockerItems(t, "a:1")...))
	_, err := New(Config{Platform: "linux/arm64"}).Open(t.Context(), old)
	if err == nil || !strings.Contains(err.Error(), "linux/arm64 was asked for, but the image is linux/amd64") {
		t.Error(err)
	}
}

// FuzzArchive feeds archives of any shape: an error or an image, never a panic,
// and a layer only if its digest is right.
func FuzzArchive(f *testing.F) {
	x := newFixture(f, "amd64", []string{gzipLayer, plainLayer}, tarOf(f, "a", "b"), tarOf(f, "c", "d"))
	f.Add(archiveOf(f, x.oldDockerItems(f, "a:1")...))
	f.Add(archiveOf(f, x.newDockerItems(f, "a:1", true)...))
	f.Add(gz(f, archiveOf(f, x.newDockerItems(f, "a:1", false)...)))
	f.Add(zst(f, archiveOf(f, itemsOf(x.ociFiles(f, "1"))...)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"docker-archive:", "oci-archive:", ""} {
			img, err := New(Config{Limits: Limits{MaxUnpacked: 1 << 20, MaxEntries: 100}}).Open(t.Context(), kind+p)
			if err != nil {
				continue
			}
			got, err := Read(t.Context(), img, ReadOptions{VerifyDiffID: true}, func(_ context.Context, r io.Reader) ([]byte, error) { return io.ReadAll(r) })
			for i := range got {
				if err == nil && sum(got[i]) != img.Layers[i].DiffID {
					t.Errorf("layer %d is not what its diffID says", i)
				}
			}
			img.Close()
		}
	})
}
