package advice

import (
	"embed"
	"io/fs"
)

//go:embed docs/*.md
var docs embed.FS

// Explain is the page about a rule in Markdown; false for an id that no rule
// has.
func Explain(id string) (string, bool) {
	for _, r := range Rules() {
		if r.ID == id {
			page, err := fs.ReadFile(docs, "docs/"+id+".md")
			return string(page), err == nil
		}
	}
	return "", false
}
