package source

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// now is the time, or the beginning of time where nobody tells it.
func (o *Opener) now() time.Time {
	if o.cfg.Now == nil {
		return time.Unix(0, 0)
	}
	return o.cfg.Now()
}

// newTemporaryName is a name that no other image has, with the time in it: not
// every engine knows when an image was named, and one that comes from the cache
// was created long ago.
func newTemporaryName(now time.Time) string {
	return temporaryName + ":" + strconv.FormatInt(now.Unix(), 10) + "-" + strings.ToLower(rand.Text())
}

var temporaryImage = regexp.MustCompile(`^` + temporaryName + `:(\d{10})-[a-z2-7]{26}$`)

// Sweep removes what runs left in the engine that were killed: containers with
// [ContainerLabel], and images under a name of ours, that are there since before
// a time. Others may be those of a run that goes on. It tries all of them; an
// error says what is left.
func (c *Containers) Sweep(ctx context.Context, before time.Time) error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	got, err := c.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", ContainerLabel)})
	if err != nil {
		return c.explain(ctx, "listing containers", err)
	}
	for _, one := range got.Items {
		if time.Unix(one.Created, 0).Before(before) {
			keep(c.remove(ctx, one.ID))
		}
	}
	images, err := c.api.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", temporaryName)})
	if err != nil {
		return c.explain(ctx, "listing images", err)
	}
	for _, one := range images.Items {
		for _, name := range one.RepoTags {
			found := temporaryImage.FindStringSubmatch(name)
			if found == nil {
				continue
			}
			if named, err := strconv.ParseInt(found[1], 10, 64); err == nil && time.Unix(named, 0).Before(before) {
				keep(removeImage(ctx, c.api, name))
			}
		}
	}
	if first != nil {
		return fmt.Errorf("removing what killed runs left: %w", first)
	}
	return nil
}
