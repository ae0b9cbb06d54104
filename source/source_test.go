package source

import (
	"bytes"
	"testing"
)

// TestEverySourceGivesTheSameLayers holds the promise that one image is the same
// bytes wherever it is read from.
func TestEverySourceGivesTheSameLayers(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	host := serve(t, nil)
	f.push(t, host, "app", "1")
	oci := archiveOf(t, itemsOf(f.ociFiles(t, "1"))...)
	old := archiveOf(t, f.oldDockerItems(t, "app:1")...)
	plain := archiveOf(t, f.newDockerItems(t, "app:1", true)...)
	stored := archiveOf(t, f.newDockerItems(t, "app:1", false)...)
	dir := writeDir(t, f.ociFiles(t, "1"))
	for name, tc := range map[string]struct{ ref, source string }{
		"registry":              {host + "/app:1", "registry"},
		"registry by digest":    {"docker://" + host + "/app@" + sum(f.manifest), "registry"},
		"layout":                {"oci:" + dir, "oci"},
		"layout tag":            {"oci:" + dir + ":1", "oci"},
		"layout path":           {dir, "oci"},
		"layout path tag":       {dir + ":1", "oci"},
		"oci archive":           {"oci-archive:" + writeFile(t, "a.tar", oci), "oci-archive"},
		"oci archive path":      {writeFile(t, "a.tar", oci), "oci-archive"},
		"oci archive gzip":      {writeFile(t, "a.tgz", gz(t, oci)), "oci-archive"},
		"oci archive zstd":      {writeFile(t, "a.tzst", zst(t, oci)), "oci-archive"},
		"docker archive":        {"docker-archive:" + writeFile(t, "a.tar", old), "docker-archive"},
		"docker archive name":   {"docker-archive:" + writeFile(t, "a.tar", old) + ":app:1", "docker-archive"},
		"docker archive path":   {writeFile(t, "a.tar", old), "docker-archive"},
		"docker archive gzip":   {writeFile(t, "a.tgz", gz(t, old)), "docker-archive"},
		"docker archive zstd":   {writeFile(t, "a.tzst", zst(t, old)), "docker-archive"},
		"docker 25 overlay2":    {"docker-archive:" + writeFile(t, "a.tar", plain), "docker-archive"},
		"docker 25 containerd":  {"docker-archive:" + writeFile(t, "a.tar", stored), "docker-archive"},
		"docker 25 path":        {writeFile(t, "a.tar", plain), "oci-archive"},
		"docker 25 path, store": {writeFile(t, "a.tar", stored), "oci-archive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img, err := New(Config{}).Open(t.Context(), tc.ref)
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			if img.Source != tc.source || img.Platform != "linux/amd64" || img.Reference != tc.ref {
				t.Errorf("source %q, platform %q, reference %q", img.Source, img.Platform, img.Reference)
			}
			if n := img.BlobBytesRead(); n != 0 {
				t.Errorf("Open read %d bytes of blobs", n)
			}
			got, err := readAll(t.Context(), img, ReadOptions{VerifyDiffID: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(f.layers) {
				t.Fatalf("%d layers", len(got))
			}
			var stored int64
			for i, l := range f.layers {
				if !bytes.Equal(got[i], l.plain) {
					t.Errorf("layer %d differs", i)
				}
				if img.Layers[i].DiffID != sum(l.plain) {
					t.Errorf("layer %d has diffID %s", i, img.Layers[i].DiffID)
				}
				if i < 3 { // the last is the first one again
					n := img.Layers[i].Size
					if n < 0 {
						n = int64(len(l.plain))
					}
					stored += n
				}
			}
			if n := img.BlobBytesRead(); n != stored {
				t.Errorf("read %d bytes of blobs, want %d", n, stored)
			}
			if len(img.Config.History) != 4 || img.Config.Config.Env[0] != "A=b" {
				t.Errorf("config %+v", img.Config)
			}
			if err := img.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
