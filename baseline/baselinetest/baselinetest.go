// Package baselinetest holds the tests that every [baseline.Store] passes that
// can save. It knows no store; what is peculiar to one is tested beside it.
package baselinetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/footprint"
)

// Test checks a kind of store. Every call of open opens the same place, which
// is empty when the test starts, as another process would.
func Test(t *testing.T, open func() baseline.Store) {
	t.Run("missing", func(t *testing.T) { missing(t, open()) })
	t.Run("save and load", func(t *testing.T) { saveAndLoad(t, open) })
	t.Run("other keys", func(t *testing.T) { otherKeys(t, open) })
	t.Run("hostile keys", func(t *testing.T) { hostileKeys(t, open) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, open()) })
	t.Run("concurrent", func(t *testing.T) { concurrent(t, open) })
}

// Image is a small image that adds up; size makes it differ from others.
func Image(name, platform string, size footprint.Bytes) *footprint.Image {
	return &footprint.Image{
		Name: name, Platform: platform, Reference: "docker://example.com/" + name, Source: "registry",
		Metrics: footprint.Metrics{
			Compressed: size / 2, Unpacked: size + 7, Final: size, Wasted: 7, Layers: 2, Files: 1,
			Has: footprint.HasCompressed | footprint.HasFiles,
		},
		Layers: []footprint.Layer{
			{Index: 0, DiffID: "sha256:0", Unpacked: 7, Wasted: 7, Files: 1, Has: footprint.HasCompressed | footprint.HasFiles},
			{Index: 1, DiffID: "sha256:1", Compressed: size / 2, Unpacked: size, Files: 1, Has: footprint.HasCompressed | footprint.HasFiles},
		},
		Dirs: []footprint.Dir{{Path: "/", Bytes: 0}, {Path: "/caf\xe9", Bytes: size, Files: 1}},
		Dead: []footprint.Dead{{In: 0, By: 1, Fate: footprint.Deleted, Bytes: 7, Files: 1, Under: "/"}},
	}
}

func missing(t *testing.T, s baseline.Store) {
	for _, platform := range []string{"linux/amd64", ""} {
		found, err := s.Load(t.Context(), baseline.Key{Image: "missing", Platform: platform})
		if !errors.Is(err, baseline.ErrNotFound) || found != nil {
			t.Errorf("got %v and %v, want ErrNotFound", found, err)
		}
	}
}

func save(t *testing.T, s baseline.Store, key baseline.Key, size footprint.Bytes) {
	t.Helper()
	meta := footprint.Meta{Tool: "image-budget test", Commit: key.Commit}
	if err := s.Save(t.Context(), []baseline.Entry{{Key: key, Image: Image(key.Image, key.Platform, size), Meta: meta}}); err != nil {
		t.Fatalf("saving %q: %v", key, err)
	}
}

func check(t *testing.T, s baseline.Store, key baseline.Key, size footprint.Bytes) {
	t.Helper()
	found, err := s.Load(t.Context(), key)
	if err != nil {
		t.Errorf("loading %q: %v", key, err)
		return
	}
	if key.Platform == "" {
		key.Platform = found.Image.Platform
	}
	if diff := cmp.Diff(Image(key.Image, key.Platform, size), found.Image); diff != "" {
		t.Errorf("loading %q: %s", key, diff)
	}
	if found.Meta.Tool != "image-budget test" {
		t.Errorf("loading %q: the tool is %q", key, found.Meta.Tool)
	}
}

func saveAndLoad(t *testing.T, open func() baseline.Store) {
	key := baseline.Key{Image: "web", Platform: "linux/amd64", Commit: "0123456789012345678901234567890123456789"}
	save(t, open(), key, 1000)
	check(t, open(), key, 1000)
	check(t, open(), baseline.Key{Image: "web", Commit: key.Commit}, 1000)
	save(t, open(), key, 2000)
	check(t, open(), key, 2000)
}

func otherKeys(t *testing.T, open func() baseline.Store) {
	keys := []baseline.Key{
		{Image: "api", Platform: "linux/amd64"}, {Image: "api", Platform: "linux/arm64"},
		{Image: "api", Platform: "linux/arm64/v8"}, {Image: "api2", Platform: "linux/amd64"}, {Image: "API", Platform: "linux/amd64"},
	}
	for i, key := range keys {
		save(t, open(), key, footprint.Bytes(1000+i))
	}
	save(t, open(), keys[1], 5)
	for i, key := range keys {
		size := footprint.Bytes(1000 + i)
		if i == 1 {
			size = 5
		}
		check(t, open(), key, size)
	}
	_, err := open().Load(t.Context(), baseline.Key{Image: "api", Platform: "windows/amd64"})
	if !errors.Is(err, baseline.ErrPlatform) || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "linux/arm64/v8") {
		t.Errorf("another platform: %v, want ErrPlatform alone and the platforms that there are", err)
	}
	_, err = open().Load(t.Context(), baseline.Key{Image: "api2", Platform: "linux/arm64"})
	if !errors.Is(err, baseline.ErrPlatform) || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("another platform than the one there is: %v, want ErrPlatform alone", err)
	}
	_, err = open().Load(t.Context(), baseline.Key{Image: "ap", Platform: "linux/amd64"})
	if !errors.Is(err, baseline.ErrNotFound) || errors.Is(err, baseline.ErrPlatform) {
		t.Errorf("another image: %v, want ErrNotFound alone", err)
	}
	found, err := open().Load(t.Context(), baseline.Key{Image: "api"})
	if err == nil || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "linux/arm64/v8") {
		t.Errorf("of several platforms, none asked for: %v and %v, want an error that is not ErrNotFound and lists them", found, err)
	}
}

func hostileKeys(t *testing.T, open func() baseline.Store) {
	names := []string{
		"../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\nb", "a\r\nb", "a\x00b", "web linux/amd64", " ", "a ",
		"\"}", "{{", "%2e%2e%2f", "refs/heads/main", "con", "-rf", "\u202egpj", strings.Repeat("x", 300), "schema", "images",
	}
	saved := map[baseline.Key]footprint.Bytes{}
	for i, name := range names {
		key := baseline.Key{Image: name, Platform: "linux/amd64"}
		size := footprint.Bytes(2000 + i)
		// A store may refuse a name, but not half.
		if err := open().Save(t.Context(), []baseline.Entry{{Key: key, Image: Image(name, "linux/amd64", size), Meta: footprint.Meta{Tool: "image-budget test"}}}); err == nil {
			saved[key] = size
		}
	}
	for key, size := range saved {
		check(t, open(), key, size)
	}
	for _, key := range []baseline.Key{
		{Image: "bytes\xff", Platform: "linux/amd64"}, {Image: "bytes\xfe", Platform: "linux/amd64"},
		{Image: "web", Platform: "x linux/amd64"}, {Image: "web", Platform: ""},
	} {
		if err := open().Save(t.Context(), []baseline.Entry{{Key: key, Image: Image("", "linux/amd64", 1), Meta: footprint.Meta{}}}); err == nil {
			t.Errorf("%q was saved, but could be mistaken for another key", key)
		}
	}
}

func cancelled(t *testing.T, s baseline.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := baseline.Key{Image: "cancelled", Platform: "linux/amd64"}
	if err := s.Save(ctx, []baseline.Entry{{Key: key, Image: Image("cancelled", "linux/amd64", 1), Meta: footprint.Meta{}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("saving: %v, want context.Canceled", err)
	}
	if _, err := s.Load(t.Context(), key); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("loading what was cancelled: %v, want ErrNotFound", err)
	}
}

// concurrent saves many keys at once while others read: nothing is lost, and
// nobody ever sees half a baseline.
func concurrent(t *testing.T, open func() baseline.Store) {
	const savers = 20
	first := baseline.Key{Image: "concurrent", Platform: "linux/amd64"}
	save(t, open(), first, 1)
	key := func(i int) baseline.Key {
		return baseline.Key{Image: fmt.Sprint("concurrent", i%10), Platform: fmt.Sprint("linux/", i)}
	}
	var wg sync.WaitGroup
	errs := make([]error, 2*savers)
	for i := range savers {
		wg.Go(func() {
			errs[i] = open().Save(t.Context(), []baseline.Entry{{Key: key(i), Image: Image(key(i).Image, key(i).Platform, footprint.Bytes(i)), Meta: footprint.Meta{Tool: "image-budget test"}}})
		})
		wg.Go(func() {
			_, errs[savers+i] = open().Load(t.Context(), first)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range savers {
		check(t, open(), key(i), footprint.Bytes(i))
	}
	check(t, open(), first, 1)
}
