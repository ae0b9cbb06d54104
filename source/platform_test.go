package source

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
)

// TestOpenersShareLogins opens one repository for two platforms: ping and token
// are asked for once.
func TestOpenersShareLogins(t *testing.T) {
	t.Parallel()
	host, g := gated(t, nil)
	f := mixedFixture(t)
	arm := pushIndex(t, host, f)
	pings := func() (n int) {
		for _, s := range g.requests() {
			if s == "GET /v2/" {
				n++
			}
		}
		return n
	}
	o := New(Config{Platform: "linux/amd64", Keychain: authn.NewMultiKeychain()})
	for _, tc := range []struct {
		o    *Opener
		want *fixture
	}{{o, f}, {o.On("linux/arm64"), arm}, {o.On("linux/arm64").On("linux/amd64"), f}, {o, f}} {
		img, err := tc.o.Open(t.Context(), host+"/app:index")
		if err != nil {
			t.Fatal(err)
		}
		if img.Digest != sum(tc.want.manifest) {
			t.Errorf("got %s", img.Platform)
		}
	}
	if n := pings(); n != 1 {
		t.Errorf("%d logins", n)
	}
	if _, err := o.On("linux").Open(t.Context(), host+"/app:index"); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

// withPlatform is f with other words in its config.
func (f *fixture) withPlatform(t testing.TB, os, arch, variant string) *fixture {
	t.Helper()
	var cfg object
	if err := json.Unmarshal(f.config, &cfg); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"os": os, "architecture": arch, "variant": variant} {
		if cfg[key] = value; value == "" {
			delete(cfg, key)
		}
	}
	g := &fixture{layers: f.layers, config: toJSON(t, cfg)}
	var layers []any
	for _, l := range f.layers {
		layers = append(layers, descriptor(l.mediaType, l.stored))
	}
	g.manifest = toJSON(t, object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", g.config), "layers": layers,
	})
	return g
}

// everywhere opens g from each kind of source.
func everywhere(t *testing.T, g *fixture, check func(kind string, img *Image, err error)) {
	t.Helper()
	host := serve(t, nil)
	g.push(t, host, "app", "1")
	inspected := g.inspected(t, sum(g.manifest))
	var cfg struct{ OS, Architecture, Variant string }
	if err := json.Unmarshal(g.config, &cfg); err != nil {
		t.Fatal(err)
	}
	inspected["Os"], inspected["Architecture"], inspected["Variant"] = cfg.OS, cfg.Architecture, cfg.Variant
	e := &fakeEngine{api: "1.52", inspect: map[string]any{"app:1": inspected}}
	engine := e.listen(t)
	for kind, ref := range map[string]string{
		"registry": host + "/app:1", "layout": "oci:" + writeDir(t, g.ociFiles(t, "1")),
		"archive": writeFile(t, "a.tar", archiveOf(t, g.dockerItems(t)...)), "engine": "docker-daemon:app:1",
	} {
		img, err := New(Config{Engine: Engine{Host: engine}}).Open(t.Context(), ref)
		check(kind, img, err)
		if img != nil {
			img.Close()
		}
	}
}

// TestHostilePlatforms are refused: a platform goes into reports and logs.
func TestHostilePlatforms(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "amd64", []string{gzipLayer}, tarOf(t, "a", "b"))
	arm := newFixture(t, "arm64", []string{gzipLayer}, tarOf(t, "a", "arm"))
	for _, word := range []string{"amd64##[add-mask]x", "a\x1b[31m", "a\u202eb", "a b", "a/b", "Amd64", "a\nb", strings.Repeat("a", 65), "ä"} {
		for at := range 3 {
			words := [3]string{"linux", "amd64", "v1"}
			words[at] = word
			everywhere(t, f.withPlatform(t, words[0], words[1], words[2]), func(kind string, _ *Image, err error) {
				if err == nil || !strings.Contains(err.Error(), "its platform holds ") || strings.ContainsAny(err.Error(), "\x1b\u202e\n") || errors.Is(err, ErrUsage) {
					t.Errorf("%s, %q as part %d: %v", kind, word, at, err)
				}
			})
			d := arm.descriptor()
			d["platform"] = object{"os": words[0], "architecture": words[1], "variant": words[2]}
			other := f.descriptor()
			other["platform"] = object{"os": "linux", "architecture": "amd64"}
			_, err := New(Config{}).Open(t.Context(), "oci:"+writeDir(t, ociFilesOf(t, []any{other, d}, f, arm)))
			if err == nil || !strings.Contains(err.Error(), "reading index: manifest sha256:") || !strings.Contains(err.Error(), "its platform holds ") {
				t.Errorf("index, %q as part %d: %v", word, at, err)
			}
		}
	}
}

// TestPlatformOfAnImageThatSaysNone is unknown, and asking another image for
// that is asking for none.
func TestPlatformOfAnImageThatSaysNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "amd64", []string{gzipLayer}, tarOf(t, "a", "b"))
	for words, want := range map[[3]string]string{
		{"", "", ""}: "unknown/unknown", {"linux", "", ""}: "linux/unknown", {"", "amd64", ""}: "unknown/amd64", {"linux", "arm", ""}: "linux/arm/v7",
		{"linux", "arm64", "v8"}: "linux/arm64", {"linux", "riscv64", "rva23"}: "linux/riscv64/rva23",
	} {
		everywhere(t, f.withPlatform(t, words[0], words[1], words[2]), func(kind string, img *Image, err error) {
			if err != nil || img.Platform != want {
				t.Errorf("%s, %q: %+v, %v", kind, words, img, err)
			}
		})
	}
	dir := "oci:" + writeDir(t, f.ociFiles(t, "1"))
	img, err := New(Config{Platform: "linux/s390x"}).On("unknown/unknown").Open(t.Context(), dir)
	if err != nil || img.Platform != "linux/amd64" {
		t.Error(err)
	}
}
