package escape_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/org/image-budget/internal/escape"
)

// settings are the places in a report where foreign text lands. %s is the text; want is
// how often it appears.
var settings = []struct {
	name, format string
	table        bool
}{
	{"paragraph", "before %s after\n", false},
	{"line", "%s\n", false},
	{"after a line", "para\n%s\n", false},
	{"bold", "**%s** is over\n", false},
	{"list item", "1. first\n2. %s\n", false},
	{"quote", "> %s\n", false},
	{"cell", "| a | b |\n| --- | --- |\n| %s | end |\n", true},
	{"header cell", "| %s | end |\n| --- | --- |\n| x | end |\n", true},
}

// page is what a parser made of a document.
type page struct {
	text  string   // all text outside code spans
	codes []string // code spans
	bad   []string // nodes that must not be there
	rows  [][]string
}

func parse(src string) page {
	source := []byte(src)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList)).
		Parser().Parse(text.NewReader(source))
	var p page
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.CodeSpan:
			p.codes = append(p.codes, rawText(n, source))
			p.text += "\x00"
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			p.text += decode(string(n.Segment.Value(source)))
			if n.SoftLineBreak() || n.HardLineBreak() {
				p.text += "\n"
			}
		case *ast.String:
			p.text += decode(string(n.Value))
		case *ast.Document, *ast.Paragraph, *ast.TextBlock, *ast.List, *ast.ListItem, *ast.Blockquote, *ast.Emphasis,
			*extast.Table:
		case *extast.TableRow, *extast.TableHeader:
			var row []string
			for c := n.FirstChild(); c != nil; c = c.NextSibling() {
				row = append(row, rawText(c, source))
			}
			p.rows = append(p.rows, row)
		case *extast.TableCell:
			p.text += "\n"
		default:
			p.bad = append(p.bad, n.Kind().String())
		}
		return ast.WalkContinue, nil
	})
	return p
}

// rawText joins the source text below n.
func rawText(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

var entity = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#124;", "|", "&#8203;", "\u200b", "&amp;", "&")

var escapedPunct = regexp.MustCompile("\\\\([!-/:-@\\[-`{-~])")

// decode does what a renderer does with a text node: backslashes and entities go.
func decode(s string) string {
	var b strings.Builder
	for s != "" {
		if m := escapedPunct.FindStringSubmatchIndex(s); m != nil && m[0] == 0 {
			b.WriteString(s[m[2]:m[3]])
			s = s[m[1]:]
			continue
		}
		next := strings.IndexByte(s[1:], '\\') + 1
		if next == 0 {
			next = len(s)
		}
		b.WriteString(entity.Replace(s[:next]))
		s = s[next:]
	}
	return b.String()
}

// live are the things GitHub finds in the text of the finished page.
var live = map[string]*regexp.Regexp{
	"mention":   regexp.MustCompile(`@[A-Za-z0-9]`),
	"reference": regexp.MustCompile(`#[0-9A-Za-z]`),
	"GH-1":      regexp.MustCompile(`(?i)\b(GH|CVE|GHSA)-[0-9a-z]`),
	"commit":    regexp.MustCompile(`(?i)\b[0-9a-f]{7,40}\b`),
	"emoji":     regexp.MustCompile(`:[A-Za-z0-9_+-]+:`),
	"formula":   regexp.MustCompile(`\$`),
	"www":       regexp.MustCompile(`(?i)www\.`),
	"scheme":    regexp.MustCompile(`://`),
	"e-mail":    regexp.MustCompile(`[A-Za-z0-9.]@[A-Za-z0-9-]+\.`),
}

func checkPage(t *testing.T, p page, src string, table bool) {
	t.Helper()
	if len(p.bad) > 0 {
		t.Errorf("nodes %v in %q", p.bad, src)
	}
	if !table {
		if len(p.rows) > 0 {
			t.Errorf("a table in %q", src)
		}
		return
	}
	if len(p.rows) != 2 {
		t.Fatalf("%d rows in %q", len(p.rows), src)
	}
	ends := 0
	for _, row := range p.rows {
		if len(row) != 2 {
			t.Errorf("%d columns in %q", len(row), src)
		} else if row[1] == "end" {
			ends++
		}
	}
	if ends == 0 {
		t.Errorf("the next cell moved in %q", src)
	}
}

func checkShown(t *testing.T, out string) {
	t.Helper()
	for i, r := range out {
		if r == '\ufe0e' || r == '\ufe0f' {
			continue
		}
		if !unicode.IsGraphic(r) || r == '\u2028' {
			t.Errorf("%U at %d in %q", r, i, out)
		}
	}
}

func checkText(t *testing.T, s string) {
	t.Helper()
	out := escape.Text(s)
	checkShown(t, out)
	for _, set := range settings {
		src := fmt.Sprintf(set.format, out)
		p := parse(src)
		checkPage(t, p, src, set.table)
		if len(p.codes) > 0 {
			t.Errorf("%s: code span in %q", set.name, src)
		}
		for what, re := range live {
			if hit := re.FindString(p.text); hit != "" {
				t.Errorf("%s: %s %q in %q from %q", set.name, what, hit, p.text, s)
			}
		}
		// Still the same words for a reader.
		want := strings.ReplaceAll(strings.TrimSpace(escape.Line(s)), "$", "＄")
		if got := strings.ReplaceAll(p.text, "\u200b", ""); !strings.Contains(got, want) {
			t.Errorf("%s: %q reads %q", set.name, want, got)
		}
	}
}

func checkCode(t *testing.T, s string, width int) {
	t.Helper()
	out := escape.CodeN(s, width)
	checkShown(t, out)
	for _, set := range settings {
		in := out
		if !set.table {
			in = escape.CodeProse(s, width)
		}
		src := fmt.Sprintf(set.format, in)
		p := parse(src)
		checkPage(t, p, src, set.table)
		if s == "" {
			if !strings.Contains(p.text, "(empty)") {
				t.Errorf("empty: %q", p.text)
			}
			continue
		}
		if len(p.codes) != 1 {
			t.Fatalf("%s: %d code spans in %q", set.name, len(p.codes), src)
		}
		shown := p.codes[0]
		if n := len([]rune(shown)); n > width {
			t.Errorf("%s: %d runes of %d: %q", set.name, n, width, shown)
		}
		if full := escape.Line(s); len([]rune(full)) <= width && shown != full {
			t.Errorf("%s: %q reads %q", set.name, full, shown)
		}
		for what, re := range live {
			if hit := re.FindString(p.text); hit != "" {
				t.Errorf("%s: %s %q outside the code span in %q", set.name, what, hit, src)
			}
		}
	}
}

// hostile is the seed corpus: everything an image could say to a reviewer.
var hostile = []string{
	"", " ", "  ", "a", "/app/node_modules/é/日本語", "RUN npm ci && rm -rf /root/.npm | tee x || true",
	"@user", "@org/team", "a@b.example", "#123", "o/r#1", "GH-123", "gh-1", "GHSA-aaaa-bbbb-cccc", "deadbeefcafe0123",
	"1234567", "1234567. x", "123456789.", "1. x", "1) x", "12345678901. x", "- x", "+ x", "* x", "= x", "===", "---", "***", "___", "# h", "> q", ":x:", ":+1:",
	"https://evil.example/x", "http://a", "ftp://a", "www.evil.example", "WWW.a.b", "mailto:a@b.example", "<https://e.example>", "<a@b.example>", "<script>alert(1)</script>",
	"<!-- image-budget v1 -->", "<details>", "&lt;b&gt;", "&#64;user", "&amp;", "&", "![x](https://e.example/a.png)", "[x](https://e.example)", "[x]: https://e.example", "[^1]", "[^1]: x",
	"`", "``", "` `", "`x`", "a`b``c```d", " `", "` ", "\\`", "\\", "\\\\", "a\\|b", "a\\\\|b", "|", "||", "\\|", "| a | b |", "a|b`c|d`", "a\\", "*a*", "_a_", "__a__", "**a**", "~~a~~", "~a~", "$x$", "$$x$$", "$`x`$", "- [ ] x", "[ ] x", "[x] y",
	"a\nb", "a\r\nb", "\n\n# h", "a\tb", "    code", "\tcode", "a  ", "a\x00b", "\x1b[31mred", "\u202egnp.exe", "a\u200bb", "a\u2066b\u2069", "a\u2028b", "\u061c", "\ufeff", "a\u00adb", "\xff\xfe", "\xed\xa0\x80", "\U000e0041", "a\ufe0f", "⚠\ufe0f", "👍🏽",
	"e" + strings.Repeat("\u0301", 9), "::error::x", "##[add-mask]a", "```\ncode\n```", "~~~", ": x", ":--", ":-:|:-:", "term\n: def", "(/evil)", "x!", "www.www.www.", "a_b_c", "www_a_", "\"q\" 'q'", "{{x}}", "%0A", "a:b:c d:", "￾",
	strings.Repeat("`", 80), strings.Repeat("`", 200), strings.Repeat("` ", 100), strings.Repeat("ab/", 100), strings.Repeat("\u202e", 50), strings.Repeat("é", 121), strings.Repeat("|", 130), strings.Repeat("\xff", 200),
}

func TestTextIsInert(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		checkText(t, s)
	}
}

func TestCodeIsInert(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		for _, width := range []int{1, 2, 3, 20, codeWidth, 2000} {
			checkCode(t, s, width)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(checkText)
}

func FuzzCode(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, uint8(len(s)))
	}
	f.Fuzz(func(t *testing.T, s string, width uint8) { checkCode(t, s, int(width)+1) })
}
