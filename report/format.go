package report

import (
	"fmt"
	"strings"
)

// Format is a form in which a report can be written.
type Format string

// The formats.
const (
	FormatTerminal Format = "terminal"
	FormatMarkdown Format = "markdown"
	FormatJSON     Format = "json"
	FormatHTML     Format = "html"
	FormatSARIF    Format = "sarif"
)

// Formats lists them in the order in which a user reads about them.
func Formats() []Format {
	return []Format{FormatTerminal, FormatMarkdown, FormatJSON, FormatHTML, FormatSARIF}
}

// Named returns the format with a name. The error of an unknown one says which
// there are, and which was probably meant.
func Named(name string) (Format, error) {
	var names []string
	hint := ""
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
		names = append(names, string(f))
		// No two formats begin with the same letter: "md", "text", "Json".
		if name != "" && strings.EqualFold(name[:1], string(f)[:1]) {
			hint = fmt.Sprintf("; did you mean %q?", f)
		}
	}
	shown := legible(name)
	if len(shown) > 40 {
		shown = cutRune(shown, 40) + "…"
	}
	return "", fmt.Errorf("there is no report format %q: the formats are %s%s", shown, strings.Join(names, ", "), hint)
}
