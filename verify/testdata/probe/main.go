// Probe is the prober alone, as small as it gets, for tests.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/org/image-budget/verify"
)

func main() {
	if err := verify.Probe(context.Background(), os.Args[2:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
