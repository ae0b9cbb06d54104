package source

import (
	"context"
	"strings"
	"testing"

	"github.com/org/image-budget/internal/bench"
)

// TestCopyFiles reads files of an image that has no command, and leaves no
// container.
func TestCopyFiles(t *testing.T) {
	t.Parallel()
	for host := range strings.SplitSeq(bench.Setting(t, "IMAGE_BUDGET_TEST_ENGINES"), ",") {
		o := New(Config{Engine: Engine{Host: host}})
		images, err := o.Build(t.Context(), Build{Network: "none", Context: folder(t, map[string]string{
			"Dockerfile": "FROM alpine:3.22 AS from\nRUN mkdir /x && echo hello >/x/a && ln -s a /x/link && head -c 5000 /dev/zero >/x/large && : >/x/empty\nFROM scratch\nCOPY --from=from /x /x\nVOLUME /x\n",
		})})
		if err != nil {
			t.Fatal(err)
		}
		img := images[0]
		got, ok, err := img.CopyFiles(t.Context(), []string{"/x/a", "/x/link", "/x/large", "/x/empty", "/x", "/nowhere", "/../x/a", "/x/a/b", "/x/\x00"}, 4999)
		if err != nil || !ok || len(got) != 3 || string(got["/x/a"]) != "hello\n" || got["/x/empty"] == nil || string(got["/../x/a"]) != "hello\n" {
			t.Errorf("%s: %q %v %v", host, got, ok, err)
		}
		id := img.copier.id
		if err := img.Close(); err != nil || id == "" {
			t.Error(id, err)
		}
		c, err := o.Containers(t.Context(), ContainerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := (&Container{of: c, id: id}).Exists(context.Background(), "/"); ok || err != nil {
			t.Errorf("the container is left: %v %v", ok, err)
		}
		_ = c.Close() // it was only asked
	}
	if _, ok, err := (&Image{}).CopyFiles(t.Context(), []string{"/a"}, 10); ok || err != nil {
		t.Error(ok, err)
	}
}
