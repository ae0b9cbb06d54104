// The service finds its settings beside the file that it really is, whatever
// link it was started by, and keeps what it is sent in a volume.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
)

func main() {
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(filepath.Dir(self), "..", "etc", "settings"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile("/var/lib/links/last", []byte(r.URL.Path), 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s as %s, kept %s\n", settings, filepath.Base(os.Args[0]), r.URL.Path)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
