//go:build unix

package baseline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockWait is how long a writer waits for another one.
const lockWait = 30 * time.Second

// lock keeps other writers, in this process and others, out of a directory
// until unlock is called. The lock is on the directory itself: it leaves no
// file behind and goes with a process that dies.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	timeout, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = d.Close() }, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			// Some network filesystems lock no directories. The rename still
			// keeps the file whole.
			return func() { _ = d.Close() }, nil
		}
		select {
		case <-timeout.Done():
			_ = d.Close()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("another process has been writing to %s for %s", dir, lockWait)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
