package scan

import "context"

// Images that are measured at the same time share layers. Whoever comes first
// claims a layer, and the others wait for its index instead of reading it too.

// claim takes the layers that nobody is reading; release ends the claims, read
// or not, and must be called. wait returns when the claims of others that were
// met have ended, or with the context's error.
func (c *Cache) claim(diffIDs []string) (mine map[string]bool, release func(), wait func(context.Context) error) {
	mine = map[string]bool{}
	done := make(chan struct{})
	var others []chan struct{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range diffIDs {
		if busy, claimed := c.busy[id]; claimed {
			others = append(others, busy)
			continue
		}
		if c.busy == nil {
			c.busy = map[string]chan struct{}{}
		}
		c.busy[id], mine[id] = done, true
	}
	release = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for id := range mine {
			delete(c.busy, id)
		}
		close(done)
	}
	wait = func(ctx context.Context) error {
		for _, busy := range others {
			select {
			case <-busy:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	return mine, release, wait
}
