// The service says how much of the system it finds: those whose certificates
// it trusts, and the time in another zone.
package main

import (
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		trusted := 0
		if pool, err := x509.SystemCertPool(); err == nil {
			trusted = len(pool.Subjects())
		}
		zone, err := time.LoadLocation("Asia/Kathmandu")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, offset := time.Unix(1_700_000_000, 0).In(zone).Zone()
		f, err := os.CreateTemp("", "trust")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		f.Close()
		os.Remove(f.Name())
		fmt.Fprintf(w, "%d authorities, %d seconds east\n", trusted, offset)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
