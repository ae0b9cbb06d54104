package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"
)

// TestRealEngines reads the images of running engines. The variable lists their
// addresses, so that the choice of engines is the caller's.
func TestRealEngines(t *testing.T) {
	t.Parallel()
	hosts := os.Getenv("IMAGE_BUDGET_TEST_ENGINES")
	if hosts == "" {
		t.Skip("no engine: set IMAGE_BUDGET_TEST_ENGINES to their addresses, as in unix:///a.sock,unix:///b.sock, each holding ib/mixed:1")
	}
	for _, host := range strings.Split(hosts, ",") {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			img, err := New(Config{Engine: Engine{Host: host}}).Open(t.Context(), "docker-daemon:ib/mixed:1")
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			got, err := Read(t.Context(), img, ReadOptions{}, func(_ context.Context, r io.Reader) (string, error) {
				h := sha256.New()
				_, err := io.Copy(h, r)
				return "sha256:" + hex.EncodeToString(h.Sum(nil)), err
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range img.Layers {
				if got[i] != l.DiffID {
					t.Errorf("layer %d read as %s, its diffID is %s", i, got[i], l.DiffID)
				}
			}
			if len(img.Config.History) == 0 || img.ConfigDigest == "" {
				t.Errorf("config %q has %d history entries", img.ConfigDigest, len(img.Config.History))
			}
			t.Logf("%s: %d layers, %d bytes, digest %q", img.Platform, len(img.Layers), img.BlobBytesRead(), img.Digest)
		})
	}
}
