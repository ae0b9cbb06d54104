// Package page fills a template.
package page

import (
	"html/template"
	"net/http"
	"os/user"
)

// Handler shows the template at a path.
func Handler(path string) (http.Handler, error) {
	t, err := template.ParseFiles(path)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody that is known"
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		t.Execute(w, name)
	}), nil
}
