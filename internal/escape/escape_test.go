package escape_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/org/image-budget/internal/escape"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":           "",
		"RUN npm ci": "RUN npm ci",
		"Größe 日本語 👍 n\u0303 x\u00a0y": "Größe 日本語 👍 n\u0303 x\u00a0y",
		"a\nb\r\nc\td":         `a\nb\r\nc\td`,
		"\x00\x07\x1b[31m\x7f": `\x00\x07\x1b[31m\x7f`,
		"\u0085\u009b":         `\u0085\u009b`,
		"\u2028\u2029":         `\u2028\u2029`,
		"\u202agnp\u202e\u2066\u2069\u200e\u200f\u061c": `\u202agnp\u202e\u2066\u2069\u200e\u200f\u061c`,
		"\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e":    `\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e`,
		"\u034f\u115f\u3164\uffa0":                      `\u034f\u115f\u3164\uffa0`,
		"a\ufe0f#\ufe0f":                                `a\ufe0f#\ufe0f`,
		"⚠\ufe0f ❤\ufe0e":                               "⚠\ufe0f ❤\ufe0e",
		"\U000e0041\U000e0100":                          `\U000e0041\U000e0100`,
		"\ue000\ufffe\U0010ffff":                        `\ue000\ufffe\U0010ffff`,
		"\xff\xc3(\xed\xa0\x80\xc0\x80":                 `\xff\xc3(\xed\xa0\x80\xc0\x80`,
		"\ufffd":                                        "\ufffd",
		"e\u0301\u0301\u0301\u0301\u0301\u0301":         "e\u0301\u0301\u0301\u0301" + `\u0301\u0301`,
		`C:\new\x1b`:                                    `C:\new\x1b`,
	} {
		if got := escape.Line(in); got != want {
			t.Errorf("%q = %q, want %q", in, got, want)
		}
	}
}

// codeWidth is a width as reports use it.
const codeWidth = 120

func TestCode(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       "(empty)",
		"npm ci":                 "`npm ci`",
		"a | b || c":             "`a \\| b \\|\\| c`",
		"`":                      "`` ` ``",
		"``":                     "` `` `",
		"a`b":                    "``a`b``",
		"a`b``c":                 "```a`b``c```",
		" x ":                    "`  x  `",
		" x":                     "` x`",
		"  ":                     "`  `",
		"a\nb":                   "`a\\nb`",
		"@user":                  "`@user`",
		strings.Repeat("x", 120): "`" + strings.Repeat("x", 120) + "`",
		strings.Repeat("x", 121): "`" + strings.Repeat("x", 60) + "…" + strings.Repeat("x", 59) + "`",
		strings.Repeat("日", 121): "`" + strings.Repeat("日", 60) + "…" + strings.Repeat("日", 59) + "`",
	} {
		if got := escape.CodeN(in, codeWidth); got != want {
			t.Errorf("%q = %q, want %q", in, got, want)
		}
	}
	if got, want := escape.CodeProse("a | b", 120), "`a | b`"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCodeNWidth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"abcdef", 6, "`abcdef`"},
		{"abcdef", 5, "`ab…ef`"},
		{"abcdef", 4, "`ab…f`"},
		{"abcdef", 2, "`a…`"},
		{"abcdef", 1, "`…`"},
		{"abcdef", 0, "`…`"},
		{"abcdef", -7, "`…`"},
		// A spelling is kept whole or dropped.
		{"\u202eabc\u202e", 9, "`…`"},
		{"\u202eabc\u202e", 14, "`\\u202ea…\\u202e`"},
		{"a\xffb\xffc", 9, "`a…c`"},
		{"a\xffb\xffcd", 11, "`a\\xff…cd`"},
	} {
		if got := escape.CodeN(c.in, c.width); got != c.want {
			t.Errorf("CodeN(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
}

// TestCodeFenceIsShort: GitHub's parser does not match fences of more than 80 backticks and
// would take the content for markdown, mentions and all.
func TestCodeFenceIsShort(t *testing.T) {
	t.Parallel()
	if got, want := escape.CodeN(strings.Repeat("`", 100)+"@user", codeWidth), "` "+strings.Repeat("`", 60); !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
	// One run of every length, as many as fit.
	var runs strings.Builder
	for n := range 100 {
		runs.WriteString(strings.Repeat("`", n) + "x")
	}
	got := escape.CodeN(runs.String(), 1<<30)
	if fence := len(got) - len(strings.TrimLeft(got, "`")); fence > 80 {
		t.Errorf("a fence of %d", fence)
	}
	if n := utf8.RuneCountInString(got); n > 2200 {
		t.Errorf("%d runes", n)
	}
}

// TestCutReadsOnlyWhatItShows: a created-by of megabytes must not cost megabytes.
func TestCutReadsOnlyWhatItShows(t *testing.T) {
	big := strings.Repeat("\u202e日\xff", 1<<20)
	if n := testing.AllocsPerRun(5, func() { escape.CodeN(big, codeWidth) }); n > 2000 {
		t.Errorf("%v allocations", n)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	const z = "&#8203;"
	for in, want := range map[string]string{
		"":                     "",
		" over budget. ":       "over budget.",
		"120 MB (estimated)":   "120 MB (estimated)",
		"node_modules":         `node\_modules`,
		"@user":                "@" + z + "user",
		"#1":                   `\#` + z + "1",
		"o/r#1":                `o/r\#` + z + "1",
		"gh-12":                "gh-" + z + "12",
		"1234567":              "123456" + z + "7",
		"123456":               "123456",
		"https://a.b/c":        "https:" + z + "//a.b/c",
		"www.a.b":              "www" + z + ".a.b",
		"reading layer 3: EOF": "reading layer 3: EOF",
		":x:":                  `\:` + z + "x:",
		"a <b> & c|d":          "a &lt;b&gt; &amp; c&#124;d",
		"$HOME":                "＄HOME",
		"[a](b) ![c]":          `\[a\](b) \!\[c\]`,
		"- x":                  `\- x`,
		"12. x":                `12\. x`,
		"12) x":                `12\) x`,
		"1.2.3":                `1\.2.3`,
		"a\nb\x1b":             `a\\nb\\x1b`,
		"é日本":                  "é日本",
	} {
		if diff := cmp.Diff(want, escape.Text(in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://github.com/acme/web/blob/9f8e/Dockerfile#L7-L9": "https://github.com/acme/web/blob/9f8e/Dockerfile#L7-L9",
		"HTTP://ghe.example:8443/a_b~c/?q=1&r=%20x":              "http://ghe.example:8443/a_b~c/?q=1&r=%20x",
		"https://a.b": "https://a.b",
		"https://a.b/c d)[x](e) <f> \"g\" `h` |i\\": "https://a.b/c%20d%29%5Bx%5D%28e%29%20%3Cf%3E%20%22g%22%20%60h%60%20%7Ci%5C",
		"https://a.b/é\n\xff\u202e":                 "https://a.b/%C3%A9%0A%FF%E2%80%AE",
		"https://a.b/%zz%2":                         "https://a.b/%25zz%252",
		"https://a.b/?x=1&copy;&lt;":                "https://a.b/?x=1&copy%3B&lt%3B",
		"https://a.b/*$!'":                          "https://a.b/%2A%24%21%27",
		"":                                          "",
		"a.b/c":                                     "",
		"//a.b/c":                                   "",
		"javascript://a.b/%0aalert(1)":              "",
		"javascript:alert(1)":                       "",
		"data:text/html,x":                          "",
		" https://a.b":                              "",
		"https://":                                  "",
		"https:///x":                                "",
		"https://user@evil.example/":                "",
		"https://github.com:x@evil.example/":        "",
		"https://github.com\\@evil.example":         "",
		"https://a.b:/":                             "",
		"https://a.b:8o/":                           "",
		"https://[::1]/":                            "",
		"https://аpple.example/":                    "",
		"https://a b/":                              "",
		"https://a)b/":                              "",
		"https://a.b/" + strings.Repeat("x", 2000):  "",
	} {
		if got := escape.URL(in); got != want {
			t.Errorf("%q = %q, want %q", in, got, want)
		}
	}
}

// FuzzURL: in a link, in a paragraph and in a cell, the target is all of the result and
// leads to the host it names.
func FuzzURL(f *testing.F) {
	for _, s := range hostile {
		f.Add("https://a.b/" + s)
		f.Add(s)
	}
	f.Add("https://a.b:1?x#y")
	f.Fuzz(func(t *testing.T, s string) {
		out := escape.URL(s)
		if out == "" {
			return
		}
		u, err := url.Parse(out)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			t.Fatalf("%q: %v", out, err)
		}
		for _, r := range out {
			if r <= ' ' || r > '~' {
				t.Fatalf("%q", out)
			}
		}
		if again := escape.URL(out); again != out && len(out) <= 2000 {
			t.Errorf("%q becomes %q", out, again)
		}
		for _, src := range []string{"x [t](" + out + ") y\n", "| a | b |\n| - | - |\n| [t](" + out + ") | end |\n"} {
			var links []string
			doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader([]byte(src)))
			_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
				switch n := n.(type) {
				case *ast.Link:
					if entering {
						links = append(links, string(n.Destination))
					}
				case *ast.AutoLink, *ast.RawHTML, *ast.Image, *ast.CodeSpan, *ast.Emphasis:
					t.Errorf("%s in %q", n.Kind(), src)
				}
				return ast.WalkContinue, nil
			})
			if diff := cmp.Diff([]string{out}, links); diff != "" {
				t.Errorf("%q: %s", src, diff)
			}
		}
	})
}

func FuzzLine(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Add("\xff\ufe0f")
	f.Fuzz(func(t *testing.T, s string) {
		out := escape.Line(s)
		checkShown(t, out)
		if !utf8.ValidString(out) || len(out) > 10*len(s) {
			t.Errorf("%q", out)
		}
		if again := escape.Line(out); again != out {
			t.Errorf("%q becomes %q", out, again)
		}
	})
}
