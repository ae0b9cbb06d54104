package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// fails runs a command that must end in a clear message and leave no report.
func fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	report := filepath.Join(dir, "report.json")
	if args[0] != "baseline" {
		args = append(args, "--output", "json="+report)
	}
	r := invoke(t, nil, args...)
	r.want(t, code, want)
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("left behind: %v %v", list, err)
	}
	if strings.Contains(r.stderr, "panic") || strings.Contains(r.stderr, "internal error") || strings.Count(r.stderr, "\n") > 8 {
		t.Errorf("not a clear message:\n%s", r.stderr)
	}
}

// dockerArchive writes an image as docker save does, and returns its path.
func dockerArchive(t testing.TB, img v1.Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	tag, err := name.NewTag("demo:1")
	must(t, err)
	must(t, tarball.WriteToFile(path, tag, img))
	return path
}

func TestTruncatedArchive(t *testing.T) {
	t.Parallel()
	path := dockerArchive(t, image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 100_000)}}))
	whole, err := os.ReadFile(path)
	must(t, err)
	for _, cut := range []int{0, 10, 512, 2000, len(whole) / 2, len(whole) - 2000} {
		write(t, path, string(whole[:cut]))
		fails(t, ExitUnmeasured, map[bool]string{true: "archive", false: "cut off"}[cut < 10_000], "inspect", path)
	}
}

// generated is an OCI layout with one gzip layer whose tar is written by fill.
func generated(t testing.TB, fill func(*tar.Writer)) string {
	t.Helper()
	pr, pw := io.Pipe()
	go func() {
		tw := tar.NewWriter(pw)
		fill(tw)
		pw.CloseWithError(tw.Close())
	}()
	img, err := mutate.AppendLayers(empty.Image, stream.NewLayer(pr, stream.WithCompressionLevel(gzip.BestSpeed)))
	must(t, err)
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, p.AppendImage(img))
	return "oci:" + dir
}

func TestGzipBomb(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 1<<20)
	ref := generated(t, func(tw *tar.Writer) {
		_ = tw.WriteHeader(&tar.Header{Name: "bomb", Size: 200 << 20, Typeflag: tar.TypeReg})
		for range 200 {
			_, _ = tw.Write(zeros)
		}
	})
	fails(t, ExitUnmeasured, "--max-unpacked", "inspect", ref, "--max-unpacked", "100MiB")
	invoke(t, nil, "inspect", ref).want(t, ExitOK)
}

// Ten million entries are five gigabytes of tar, and some fifty megabytes of
// gzip; the reader stops at the bound, so only that much is made here.
func TestLayerOfTooManyEntries(t *testing.T) {
	t.Parallel()
	ref := generated(t, func(tw *tar.Writer) {
		h := &tar.Header{Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		for i := range 120_000 {
			h.Name = fmt.Sprintf("%d/%d", i/1000, i)
			if tw.WriteHeader(h) != nil {
				return
			}
		}
	})
	fails(t, ExitUnmeasured, "--max-files", "inspect", ref, "--max-files", "100000")
	invoke(t, nil, "inspect", ref, "--max-files", "200000").want(t, ExitOK)
}

func TestPathsThatLeadOut(t *testing.T) {
	t.Parallel()
	fails(t, ExitUnmeasured, "leads out of the image", "inspect", inLayout(t, image(t, layer{"x", map[string]string{"../../etc/passwd": "x"}})))
}

// An absolute symlink inside an image is normal. In an archive it would lead
// to a file of the host.
func TestAbsoluteLinkInAnArchive(t *testing.T) {
	t.Parallel()
	img := image(t, layer{"RUN x", map[string]string{"a": "1"}})
	whole, err := os.ReadFile(dockerArchive(t, img))
	must(t, err)
	path := filepath.Join(t.TempDir(), "linked.tar")
	f, err := os.Create(path)
	must(t, err)
	tr, tw := tar.NewReader(bytes.NewReader(whole)), tar.NewWriter(f)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		if strings.HasSuffix(h.Name, ".tar.gz") {
			must(t, tw.WriteHeader(&tar.Header{Name: h.Name, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}))
			continue
		}
		must(t, tw.WriteHeader(h))
		_, err = io.Copy(tw, tr)
		must(t, err)
	}
	must(t, tw.Close())
	must(t, f.Close())
	fails(t, ExitUnmeasured, "leads out of the archive", "inspect", path)
	if r := invoke(t, nil, "inspect", path); strings.Contains(r.stdout+r.stderr, "root:") {
		t.Error("the host's file was read")
	}
}

func TestMissingAndWrongBlobs(t *testing.T) {
	t.Parallel()
	img := image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 1000)}})
	blob := func(ref string) string {
		layers, err := img.Layers()
		must(t, err)
		d, err := layers[0].Digest()
		must(t, err)
		return filepath.Join(strings.TrimPrefix(ref, "oci:"), "blobs", "sha256", d.Hex)
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		ref := inLayout(t, img)
		must(t, os.Remove(blob(ref)))
		fails(t, ExitUnmeasured, "is missing, so the image is incomplete", "inspect", ref)
	})
	t.Run("wrong digest", func(t *testing.T) {
		t.Parallel()
		ref := inLayout(t, img)
		data, err := os.ReadFile(blob(ref))
		must(t, err)
		var other bytes.Buffer
		zw := gzip.NewWriter(&other)
		_, err = zw.Write(tarOf(t, map[string]string{"a": strings.Repeat("y", 1000)}))
		must(t, err)
		must(t, zw.Close())
		must(t, os.WriteFile(blob(ref), append(other.Bytes(), make([]byte, max(0, len(data)-other.Len()))...)[:max(len(data), other.Len())], 0o644))
		fails(t, ExitUnmeasured, "sha256", "inspect", ref)
	})
	t.Run("link out of the layout", func(t *testing.T) {
		t.Parallel()
		ref := inLayout(t, img)
		must(t, os.Remove(blob(ref)))
		must(t, os.Symlink("/etc/passwd", blob(ref)))
		fails(t, ExitUnmeasured, "leads out of the layout", "inspect", ref)
	})
}

func TestHugeManifest(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		chunk := bytes.Repeat([]byte(" "), 1<<20)
		for range 100 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	fails(t, ExitUnmeasured, "manifest", "inspect", strings.TrimPrefix(srv.URL, "http://")+"/demo:1")
}

func TestMissingTagAndWrongPlatform(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(registry.New())
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	ref, err := name.ParseReference(host + "/demo:1")
	must(t, err)
	must(t, remote.Write(ref, image(t, layer{"RUN x", map[string]string{"a": "1"}})))
	invoke(t, nil, "inspect", host+"/demo:1").want(t, ExitOK)
	fails(t, ExitUnmeasured, "docker-daemon:", "inspect", host+"/demo:2")
	fails(t, ExitUnmeasured, "linux/amd64", "inspect", host+"/demo:1", "--platform", "linux/arm64")
}

func TestNoEngine(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
	invoke(t, env, "inspect", "docker-daemon:demo").want(t, ExitUnmeasured, "/nonexistent/docker.sock")
}

func TestBadBudgetFiles(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct{ text, want string }{
		"unknown key":     {"version: 1\nimages:\n  web:\n    image: x\n    limts: {}\n", `did you mean "limits"?`},
		"bad unit":        {"version: 1\nimages:\n  web:\n    image: x\n    limits: {compressed: {max: 120Mo}}\n", "budget.yml:5:"},
		"duplicate image": {"version: 1\nimages:\n  web:\n    image: x\n  web:\n    image: y\n", "budget.yml:5:"},
		"warn over max":   {"version: 1\nimages:\n  web:\n    image: x\n    limits: {compressed: {max: 1MB, warn: 2MB}}\n", "warn"},
		"binary garbage":  {"\x7fELF\x02\x01\x01\x00\xff\xfe\x00\x00", "budget.yml"},
		"empty":           {"", "budget.yml"},
		"newer":           {"version: 2\nimages: {}\n", "newer"},
		"too large":       {strings.Repeat("# comment\n", 200_000), "budget"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			fails(t, ExitUsage, tt.want, "check", "--config", write(t, filepath.Join(t.TempDir(), "budget.yml"), tt.text))
		})
	}
}

func TestBadBaselines(t *testing.T) {
	t.Parallel()
	ref := inLayout(t, image(t, layer{"RUN x", map[string]string{"a": strings.Repeat("x", 1000)}}))
	file := filepath.Join(t.TempDir(), "baseline.json")
	invoke(t, nil, "baseline", "save", "web="+ref, "--baseline", "file:"+file).want(t, ExitOK)
	good, err := os.ReadFile(file)
	must(t, err)
	for what, tt := range map[string]struct{ text, want string }{
		"newer schema":   {strings.Replace(string(good), `"schema": 1`, `"schema": 99`, 1), "newer"},
		"half written":   {string(good[:len(good)/2]), "baseline"},
		"binary garbage": {"\x00\x01\x02\xff", "baseline"},
		"edited":         {strings.Replace(string(good), `"unpacked": 1000`, `"unpacked": 1001`, 1), "add up"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if tt.text == string(good) {
				t.Fatal("the case changes nothing")
			}
			bad := write(t, filepath.Join(t.TempDir(), "baseline.json"), tt.text)
			// What needs no baseline is reported all the same.
			r := invoke(t, nil, "check", "web="+ref, "--baseline", "file:"+bad, "--format", "json")
			r.want(t, ExitUnmeasured, tt.want, `"not-comparable"`)
			if strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("not one clear message:\n%s", r.stderr)
			}
		})
	}
	t.Run("another platform", func(t *testing.T) {
		t.Parallel()
		other := strings.ReplaceAll(string(good), "linux/amd64", "linux/arm64")
		bad := write(t, filepath.Join(t.TempDir(), "baseline.json"), other)
		fails := invoke(t, nil, "check", "web="+ref, "--baseline", "file:"+bad, "--format", "json")
		fails.want(t, ExitUnmeasured, "linux/arm64", "save one for linux/amd64")
		var rep struct {
			Images []struct {
				Baseline struct{ Status string }
				Delta    any
			}
		}
		must(t, json.Unmarshal([]byte(fails.stdout), &rep))
		if img := rep.Images[0]; img.Baseline.Status != "not-comparable" || img.Delta != nil {
			t.Errorf("it was compared all the same: %+v", img)
		}
	})
}
