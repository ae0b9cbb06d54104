// A program of four modules, generic code and types that the compiler writes
// functions for. Tests build it and compare what they find in it with what the
// tools of Go say.
package main

import (
	"fmt"
	"os"

	"github.com/cespare/xxhash/v2"
	"github.com/goccy/go-yaml"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/semver"
)

type pair[K comparable, V any] struct {
	Key   K
	Value V
}

func (p pair[K, V]) String() string { return fmt.Sprint(p.Key, p.Value) }

func sorted[T fmt.Stringer](of ...T) (all []string) {
	for _, t := range of {
		func() { all = append(all, t.String()) }()
	}
	semver.Sort(all)
	return all
}

func main() {
	text, err := yaml.Marshal(map[string]any{"args": os.Args})
	if err != nil {
		panic(err)
	}
	w, err := zstd.NewWriter(os.Stdout)
	if err != nil {
		panic(err)
	}
	defer w.Close()
	seen := map[pair[string, [2]any]]uint64{{Key: "a"}: xxhash.Sum64(text)}
	fmt.Fprintln(w, seen, sorted(pair[string, int]{"v1.0.0", 1}))
}
