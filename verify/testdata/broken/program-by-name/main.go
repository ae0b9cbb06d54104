// Command main starts another program by its name.
package main

import (
	"fmt"
	"os"
	"os/exec"
)

func main() {
	out, err := exec.Command("git", "-c", "echo version 2 of the history").Output()
	if err != nil {
		fmt.Println("no history:", err)
		return
	}
	fmt.Print(string(out))
	_ = os.Stdout.Sync()
}
