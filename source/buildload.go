package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	bk "github.com/moby/buildkit/client"
	"github.com/moby/moby/client"
)

// BuildLoaded builds an image, as Build does, so that it can be run: wherever it
// is built, it is loaded into the engine of Config, which forgets it when it is
// closed. It is built for one platform, and without Tags. Errors are those of
// Build and of the engine.
func (o *Opener) BuildLoaded(ctx context.Context, b Build) (images []*Image, err error) {
	if b.Builder.Address == "" {
		return o.Build(ctx, b)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	if len(b.Tags) > 0 || len(b.Platforms) > 1 {
		return nil, usageError("building: an image that is to be run is built for one platform, and without names")
	}
	api, host, err := o.reachEngine(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, api.Close())
		}
	}()
	d, err := o.dialBuilder(ctx, b.Builder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.release()) }()
	temporary := newTemporaryName(o.now())
	forget := sync.OnceValue(func() error { return removeImage(ctx, api, temporary) })
	res, err := b.solveInto(ctx, d, api, temporary)
	if err != nil {
		// It may have been cancelled with the image already there.
		_ = forget()
		return nil, err
	}
	platform := strings.Join(b.Platforms, "")
	want, err := parsePlatform(platform)
	if err != nil {
		return nil, errors.Join(err, forget())
	}
	img, err := o.openEngine(ctx, reference{kind: kindEngine, name: temporary}, want)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("loading the image into the engine at %s: %w", withoutUserinfo(host), err), forget())
	}
	closer := img.closer
	img.closer = func() error { return errors.Join(closer(), forget(), api.Close()) }
	o.finish(img, b, res, platform)
	return []*Image{img}, nil
}

// solveInto builds with a builder and passes the image on to an engine, as it
// comes.
func (b *Build) solveInto(ctx context.Context, d *builder, api *client.Client, name string) (*solved, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, in := io.Pipe()
	loaded := make(chan error, 1)
	go func() {
		answer, err := api.ImageLoad(ctx, out, client.ImageLoadWithQuiet(true))
		if err == nil {
			_, err = io.Copy(io.Discard, answer)
			err = errors.Join(err, answer.Close())
		}
		_ = out.CloseWithError(cmp.Or(err, io.ErrClosedPipe)) // it never fails
		loaded <- err
	}()
	res, err := b.solve(ctx, d, strings.Join(b.Platforms, ","), bk.ExportEntry{
		Type: bk.ExporterDocker, Attrs: map[string]string{"name": name},
		Output: func(map[string]string) (io.WriteCloser, error) { return in, nil },
	})
	_ = in.CloseWithError(cmp.Or(err, io.EOF)) // it never fails
	if err != nil {
		cancel()
		<-loaded
		return nil, err
	}
	if err := <-loaded; err != nil {
		return nil, fmt.Errorf("loading the built image into the engine: %s", show(err.Error()))
	}
	return res, nil
}
