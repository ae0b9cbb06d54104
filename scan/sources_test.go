package scan

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
	"github.com/org/image-budget/source"
)

// TestOneImageFromEverySource is the first promise of the design: the same
// image gives the same numbers from wherever it is read, and they are those of
// the filesystem that the engine itself lays out.
func TestOneImageFromEverySource(t *testing.T) {
	t.Parallel()
	forms := bench.Setting(t, "IMAGE_BUDGET_TEST_FORMS")
	registry := bench.Setting(t, "IMAGE_BUDGET_TEST_REGISTRY")
	engines := strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",")
	in := func(name string) string { return filepath.Join(forms, name) }
	type form struct{ name, ref, host string }
	all := []form{
		{"docker-archive", "docker-archive:" + in("mixed-docker-archive.tar"), ""},
		{"docker-archive by skopeo", in("mixed-docker-archive-skopeo.tar"), ""},
		{"docker-archive with two images", "docker-archive:" + in("mixed-docker-archive-two.tar") + ":ib/mixed:1", ""},
		{"docker-archive, gzipped", in("mixed-docker-archive.tar.gz"), ""},
		{"OCI layout", "oci:" + in("mixed-oci") + ":1", ""},
		{"OCI layout, zstd", "oci:" + in("mixed-oci-zstd") + ":1", ""},
		{"OCI archive", "oci-archive:" + in("mixed-oci-archive.tar"), ""},
		{"OCI archive, zstd", in("mixed-oci-archive-zstd.tar"), ""},
		{"saved by the containerd store", in("mixed-engine29.tar"), ""},
		{"saved by the containerd store, gzip", in("mixed-engine29-gzip.tar"), ""},
		{"saved by the containerd store, zstd", in("mixed-engine29-zstd.tar"), ""},
		{"registry", registry + "/ib/mixed:1", ""},
		{"registry, OCI", registry + "/ib/mixed:oci", ""},
		{"registry, zstd", registry + "/ib/mixed:zstd", ""},
	}
	for _, host := range engines {
		all = append(all, form{"engine " + host, "docker-daemon:ib/mixed:1", host})
		if strings.Contains(host, "29") {
			all = append(all, form{"engine, gzip", "docker-daemon:ib/mixed:gzip", host}, form{"engine, zstd", "docker-daemon:ib/mixed:zstd", host})
		}
	}
	want := unpackedOracle(t, in("mixed-docker-archive.tar"))
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			img := measureReference(t, f.ref, f.host)
			got := oracle{Final: int64(img.Metrics.Final), Files: img.Metrics.Files, Executables: img.Metrics.Executables, Setuid: img.Metrics.Setuid}
			for _, l := range img.Layers {
				got.Unpacked = append(got.Unpacked, int64(l.Unpacked))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-unpacked on disk +measured):\n%s", diff)
			}
			if img.Metrics.Wasted != img.Metrics.Unpacked-img.Metrics.Final || img.Metrics.Wasted == 0 {
				t.Errorf("wasted is %d of %d", img.Metrics.Wasted, img.Metrics.Unpacked)
			}
			if len(img.Layers) < 30 || !strings.Contains(img.Layers[2].CreatedBy, "rm /m/gone/1001") {
				t.Errorf("the history does not belong to the layers: %q", img.Layers[2].CreatedBy)
			}
		})
	}
}

func measureReference(t *testing.T, ref, host string) *footprint.Image {
	t.Helper()
	img, err := source.New(source.Config{Engine: source.Engine{Host: host}}).Open(t.Context(), ref)
	must(t, err)
	defer img.Close()
	res, err := Image(t.Context(), img, Options{Files: true})
	must(t, err)
	return res.Image
}

// unpackedOracle reads a docker-archive without package source and unpacks it.
func unpackedOracle(t *testing.T, archive string) oracle {
	t.Helper()
	files := map[string][]byte{}
	links := map[string]string{}
	f, err := os.Open(archive)
	must(t, err)
	defer f.Close()
	tr := tar.NewReader(f)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		if h.Typeflag == tar.TypeSymlink {
			links[h.Name] = filepath.Join(filepath.Dir(h.Name), h.Linkname)
			continue
		}
		files[h.Name], err = io.ReadAll(tr)
		must(t, err)
	}
	var manifest []struct{ Layers []string }
	must(t, json.Unmarshal(files["manifest.json"], &manifest))
	var layers [][]byte
	for _, name := range manifest[0].Layers {
		if to, ok := links[name]; ok {
			name = to
		}
		layers = append(layers, files[name])
	}
	if os.Geteuid() != 0 {
		t.Log("not root: device nodes are unpacked as FIFOs")
	}
	return unpack(t, layers)
}

// TestUnpackedLayersMatchDockerHistory holds the second figure that people can
// check for themselves. For a layer that the engine took from a tar, overlay2
// counts the lengths of symlink targets as well; for one that its BuildKit
// made, it does not.
func TestUnpackedLayersMatchDockerHistory(t *testing.T) {
	t.Parallel()
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		if driver := engineJSON[struct{ Driver string }](t, host, "/info").Driver; driver != "overlay2" {
			continue
		}
		history := engineJSON[[]struct{ Size int64 }](t, host, "/images/"+url.PathEscape("ib/mixed:1")+"/history")
		img, err := source.New(source.Config{Engine: source.Engine{Host: host}}).Open(t.Context(), "docker-daemon:ib/mixed:1")
		must(t, err)
		defer img.Close()
		targets, err := source.Read(t.Context(), img, source.ReadOptions{}, symlinkTargets)
		must(t, err)
		res, err := Image(t.Context(), img, Options{Files: true})
		must(t, err)
		if len(history) != len(img.Config.History) {
			t.Fatalf("the engine tells %d lines of history, the config %d", len(history), len(img.Config.History))
		}
		i := 0
		for n, line := range img.Config.History {
			if line.EmptyLayer {
				continue
			}
			// The engine tells the newest first.
			size, unpacked := history[len(history)-1-n].Size, int64(res.Image.Layers[i].Unpacked)
			if size != unpacked && size != unpacked+targets[i] {
				t.Errorf("docker history says %d for layer %d; measured %d, and %d bytes of symlink targets", size, i, unpacked, targets[i])
			}
			i++
		}
		return
	}
	t.Fatal("none of the engines uses overlay2")
}

// symlinkTargets sums the lengths of the symlink targets of a layer.
func symlinkTargets(_ context.Context, r io.Reader) (int64, error) {
	var sum int64
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return 0, err
		}
		if h.Typeflag == tar.TypeSymlink {
			sum += int64(len(h.Linkname))
		}
	}
}

func engineJSON[T any](t *testing.T, host, path string) (v T) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(host, "unix://"))
	}}}
	res, err := client.Get("http://engine" + path)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&v); err != nil {
		t.Fatalf("%s: %s", path, body)
	}
	return v
}

// With a cache an engine is not asked for its stream again: what made the
// layers, which only the stream tells, is kept as well.
func TestCacheSparesTheSaveStream(t *testing.T) {
	t.Parallel()
	for _, host := range strings.Split(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			cache, err := OpenCache(t.TempDir(), 1<<30, time.Now)
			must(t, err)
			var first *Result
			for range 2 {
				img, err := source.New(source.Config{Engine: source.Engine{Host: host}}).Open(t.Context(), "docker-daemon:ib/mixed:1")
				must(t, err)
				res, err := Image(t.Context(), img, Options{Files: true, Cache: cache})
				must(t, err)
				must(t, img.Close())
				if first == nil {
					first = res
					continue
				}
				if n := img.BlobBytesRead(); n != 0 || res.LayersRead != 0 {
					t.Errorf("read %d bytes in %d layers again", n, res.LayersRead)
				}
				if res.Image.Metrics != first.Image.Metrics || res.Image.Layers[2].CreatedBy != first.Image.Layers[2].CreatedBy {
					t.Errorf("%+v is not %+v", res.Image, first.Image)
				}
			}
		})
	}
}
