// The service shows a page whose template and style it reads when it runs.
package main

import (
	"log"
	"net/http"

	"example.com/service/internal/page"
)

func main() {
	show, err := page.Handler("templates/index.html")
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/static/", http.StripPrefix("/static/", http.FileServer(http.Dir("static"))))
	http.Handle("/", show)
	log.Print("listening on :8080")
	log.Fatal(http.ListenAndServe(":8080", nil))
}
