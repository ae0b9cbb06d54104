// Command report starts git, as a tool that reads repositories does.
package main

import (
	"fmt"
	"log"
	"os/exec"
)

func main() {
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"status", "--short", "--branch"}} {
		out, err := exec.Command("git", args...).Output()
		if err != nil {
			log.Fatalf("git %s: %v", args[0], err)
		}
		fmt.Print(string(out))
	}
}
