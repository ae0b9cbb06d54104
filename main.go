// Image-budget keeps a container image within a size budget.
//
// See the README for what it does, and package internal/cli for how.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/org/image-budget/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cli.Exec(ctx)
}
