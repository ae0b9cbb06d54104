package report

import (
	"html"
	"strconv"
	"strings"
)

// markup writes HTML. It is no template: the one of the standard library calls
// methods by their names, so that a linker has to keep every method of every
// library, a quarter of the program.
type markup struct{ b []byte }

// raw writes what is markup, text everything else: it is escaped for an element
// and for a quoted attribute alike.
func (m *markup) raw(parts ...string) {
	for _, s := range parts {
		m.b = append(m.b, s...)
	}
}

func (m *markup) text(s string) {
	m.b = append(m.b, html.EscapeString(strings.ReplaceAll(s, "\x00", "\ufffd"))...)
}

// element writes one with text in it, or nothing where there is no text.
func (m *markup) element(open, text, end string) {
	if text != "" {
		m.raw(open)
		m.text(text)
		m.raw(end)
	}
}

func (m *markup) elements(open string, texts []string, end string) {
	for _, s := range texts {
		m.element(open, s, end)
	}
}

// page writes the whole of it.
func (m *markup) page(r *htmlReport) {
	m.raw(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '`, r.StyleHash, `'; script-src '`, r.ScriptHash,
		`'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="`)
	m.text(r.Tool)
	m.raw(`">
<link rel="icon" href="data:,">
<title>`)
	m.text(r.Title)
	m.raw("</title>\n<style>", htmlStyle, `</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header class="top">
<div><h1>`)
	m.text(r.Title)
	m.raw("</h1>")
	m.element("<p>", r.Run, "</p>")
	m.raw("</div>\n<div class=\"tools\" id=\"tools\"></div>\n</header>\n<main id=\"main\">\n")
	m.element(`<p class="summary">`, r.Summary, "</p>\n")
	m.elements(`<p class="unmeasured">`, r.Unmeasured, "</p>\n")
	if len(r.Overview.Rows) > 0 {
		m.table(&r.Overview)
	}
	for i := range r.Images {
		m.image(&r.Images[i])
	}
	m.raw("</main>\n<footer>")
	m.elements("<p>", r.Notes, "</p>")
	m.element("<p>", r.Read, "</p>")
	m.element("<p>made by ", r.Tool, "; this page loads nothing and sends nothing</p></footer>\n")
	for _, d := range r.Data {
		m.raw(`<script type="application/json" id="data-`, strconv.Itoa(d.Index), `">`, d.JSON, "</script>\n")
	}
	m.raw("<script>", htmlScript, "</script>\n</body>\n</html>\n")
}

func (m *markup) image(img *htmlImage) {
	n := strconv.Itoa(img.Index)
	m.raw(`<article class="image" id="image-`, n, `" data-name="`)
	m.text(img.Name)
	m.raw(`" data-platform="`)
	m.text(img.Platform)
	m.raw(`" data-class="`)
	m.text(img.Class)
	m.raw(`" aria-labelledby="title-`, n, "\">\n<div class=\"title\"><h2 id=\"title-", n, `">`)
	m.text(img.Name)
	m.element(` <span class="platform">`, img.Platform, "</span>")
	m.raw("</h2>")
	if img.Badge != "" {
		m.raw(`<span class="badge `)
		m.text(img.Class)
		m.element(`">`, img.Badge, "</span>")
	}
	m.raw("</div>\n<ul class=\"lines\">")
	m.elements("<li>", img.Lines, "</li>")
	m.raw("</ul>\n<dl class=\"figures\">")
	for i := range img.Figures {
		m.figure(&img.Figures[i])
	}
	m.raw("</dl>\n<nav class=\"jump\" aria-label=\"Sections\">")
	m.jumps(img.Judgment)
	if len(img.Advice) > 0 {
		m.raw(`<a href="#advice-title-`, n, `">What would help</a>`)
	}
	if img.Treemap {
		m.raw(`<a href="#map-title-`, n, `">Where the bytes are</a>`)
	}
	m.jumps(img.Details)
	m.raw("</nav>\n")
	if len(img.Judgment) > 0 {
		m.raw("<div class=\"judgment\">\n")
		for i := range img.Judgment {
			m.table(&img.Judgment[i])
		}
		m.raw("</div>\n")
	}
	m.advice(img)
	if c := img.Course; c != nil {
		m.raw(`<section class="block course" aria-labelledby="course-title-`, n, "\">\n<div class=\"head\"><h3 id=\"course-title-", n, `">Size over the last commits</h3>`)
		m.element(`<p class="words">`, c.Words, "</p>")
		m.raw("</div>\n<svg viewBox=\"0 0 600 80\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><polyline points=\"")
		m.text(c.Points)
		m.raw("\" vector-effect=\"non-scaling-stroke\"/></svg>\n</section>\n")
	}
	if img.Treemap {
		m.raw(`<section class="block map" data-index="`, n, `" aria-labelledby="map-title-`, n, "\">\n<div class=\"head\"><h3 id=\"map-title-", n, `">Where the bytes are</h3>`)
		m.elements(`<p class="words">`, img.TreeWords, "</p>")
		m.raw("</div>\n<noscript><p class=\"words\">The map of the filesystem is drawn by a script, which is switched off. All tables are below.</p></noscript>\n</section>\n")
	}
	for i := range img.Details {
		m.table(&img.Details[i])
	}
	m.raw(`<ul class="facts"><li>measured `)
	m.text(img.Source)
	m.raw("</li>")
	m.elements("<li>", img.Facts, "</li>")
	m.raw("</ul>\n</article>\n")
}

func (m *markup) figure(f *htmlFigure) {
	m.raw(`<div class="figure"><dt>`)
	m.text(f.Label)
	m.raw(`</dt><dd class="now">`)
	m.text(f.Now)
	m.raw("</dd>")
	if f.Was == "" {
		m.raw(`<dd class="was faint"><small>`)
		m.text(f.Meaning)
	} else {
		m.raw(`<dd class="was `)
		m.text(f.Class)
		m.raw(`">`)
		m.text(f.Change)
		m.element(` <span class="percent">`, f.Percent, "</span>")
		m.raw("<small>was ")
		m.text(f.Was)
	}
	m.raw("</small></dd></div>")
}

func (m *markup) jumps(tables []htmlTable) {
	for i := range tables {
		m.raw(`<a href="#`)
		m.text(tables[i].ID)
		m.raw(`-title">`)
		m.text(tables[i].Title)
		m.raw("</a>")
	}
}

func (m *markup) table(t *htmlTable) {
	m.raw(`<section class="block" aria-labelledby="`)
	m.text(t.ID)
	m.raw("-title\">\n<div class=\"head\"><h3 id=\"")
	m.text(t.ID)
	m.raw(`-title">`)
	m.text(t.Title)
	m.raw("</h3>")
	m.element(`<p class="words">`, t.Words, "</p>")
	m.raw("</div>\n<div class=\"scroll\" role=\"region\" aria-labelledby=\"")
	m.text(t.ID)
	m.raw("-title\" tabindex=\"0\">\n<table id=\"")
	m.text(t.ID)
	m.raw(`" class="data"`)
	if t.Search {
		m.raw(" data-search")
	}
	if t.Filter {
		m.raw(" data-filter")
	}
	m.raw(">\n<thead><tr>")
	for _, c := range t.Columns {
		m.raw(`<th scope="col" class="`, c.classes(), `">`)
		m.text(c.Name)
		m.raw("</th>")
	}
	m.raw("</tr></thead>\n<tbody>\n")
	for _, row := range t.Rows {
		m.raw("<tr>")
		for i := range row {
			m.cell(&t.Columns[i], &row[i])
		}
		m.raw("</tr>\n")
	}
	m.raw("</tbody>\n</table>\n</div>\n")
	m.element(`<p class="words">`, t.More, "</p>")
	m.raw("\n</section>\n")
}

// classes are those of a column, each with a space behind it.
func (c *htmlColumn) classes() string {
	words := ""
	if c.Number {
		words += "num "
	}
	if c.Minor {
		words += "minor "
	}
	if c.Bar {
		words += "bar "
	}
	return words
}

func (m *markup) cell(column *htmlColumn, c *htmlCell) {
	m.raw(`<td class="`, column.classes())
	m.text(c.Class)
	m.raw(`"`)
	if column.Number || column.Bar {
		m.raw(` data-v="`, strconv.FormatInt(c.Value, 10), `"`)
	}
	m.raw(">")
	if column.Bar {
		m.raw(`<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="part" width="`)
		m.text(c.Bar)
		m.raw(`" height="10"/><rect class="mark" width="`)
		m.text(c.Mark)
		m.raw(`" height="10"/></svg>`)
	} else {
		m.text(c.Text)
	}
	m.element("<small>", c.Sub, "</small>")
	m.raw("</td>")
}
