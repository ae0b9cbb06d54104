package source

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// copier reads single files of an engine's image from a container that never
// starts: an engine exports an image only as a whole, however little is wanted.
type copier struct {
	e  *engine
	mu sync.Mutex
	id string
}

// CopyFiles returns the contents of regular files of an engine's image by path.
// What is not there, no regular file, larger than most bytes, or cannot be had
// is left out. ok is false where the image is from elsewhere: then its layers
// have to be read. What comes is what a container would have, which the caller
// checks where that matters. Close ends what it takes. An error is the engine's.
func (img *Image) CopyFiles(ctx context.Context, paths []string, most int64) (found map[string][]byte, ok bool, err error) {
	c := img.copier
	if c == nil {
		return nil, false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.create(ctx); err != nil {
		return nil, true, err
	}
	found = map[string][]byte{}
	for _, p := range paths {
		content, err := c.file(ctx, p, most)
		if ctx.Err() != nil {
			return nil, true, ctx.Err()
		}
		if err == nil && content != nil {
			img.read.Add(int64(len(content)))
			found[p] = content
		}
	}
	return found, true, nil
}

func (c *copier) create(ctx context.Context) error {
	if c.id != "" {
		return nil
	}
	// The name is ours, so that one can be removed whose creation was cut off.
	name := "image-budget-" + strings.ToLower(rand.Text())
	created, err := c.e.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image: c.e.id, Entrypoint: []string{"/never"}, Labels: map[string]string{ContainerLabel: "read"},
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		return errors.Join(fmt.Errorf("reading files from the engine: %s", show(err.Error())), removeContainer(ctx, c.e.api, name))
	}
	c.id = created.ID
	return nil
}

// file returns nil for what is no such file, or too large.
func (c *copier) file(ctx context.Context, name string, most int64) ([]byte, error) {
	got, err := c.e.api.CopyFromContainer(ctx, c.id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return nil, err
	}
	defer got.Content.Close()
	if !got.Stat.Mode.IsRegular() || got.Stat.Size > most {
		return nil, nil
	}
	tr := tar.NewReader(got.Content)
	h, err := tr.Next()
	if err != nil {
		return nil, err
	}
	if h.Typeflag != tar.TypeReg || h.Size > most || path.Base(h.Name) != path.Base(name) {
		return nil, nil
	}
	content := make([]byte, h.Size)
	_, err = io.ReadFull(tr, content)
	return content, err
}

// close removes the container, and then ends the connection.
func (c *copier) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.id != "" {
		err = removeContainer(context.Background(), c.e.api, c.id)
		c.id = ""
	}
	return errors.Join(err, c.e.api.Close())
}

// removeContainer removes a container with its volumes, also when the run was
// cancelled.
func removeContainer(ctx context.Context, api *client.Client, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) { // a conflict: it is being removed
		return fmt.Errorf("removing the container %s: docker rm -f -v does so by hand: %s", show(name), show(err.Error()))
	}
	return nil
}
