package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

func page(t testing.TB, r *report.Report) string {
	t.Helper()
	var buf bytes.Buffer
	if err := report.HTML(&buf, r); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// columns are a tree as the page holds it.
type columns struct {
	Names   string  `json:"names"`
	Counts  []int   `json:"counts"`
	Dirs    []int   `json:"dirs"`
	Sizes   []int64 `json:"sizes"`
	Old     []int64 `json:"old"`
	Owners  []int   `json:"owners"`
	Layers  []int   `json:"layers"`
	Changes []int   `json:"changes"`
}

type group struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Kind  string `json:"kind"`
}

type mapData struct {
	Final       int64    `json:"final"`
	Files       bool     `json:"files"`
	Tree        columns  `json:"tree"`
	Changes     *columns `json:"changes"`
	Packages    []string `json:"packages"`
	Groups      []int    `json:"groups"`
	Owners      []group  `json:"owners"`
	OwnerGroups []int    `json:"owner_groups"`
	Layers      []group  `json:"layers"`
	Kinds       []group  `json:"kinds"`
}

var dataBlock = regexp.MustCompile(`(?s)<script type="application/json" id="data-\d+">(.*?)</script>`)

func dataOf(t testing.TB, text string) []mapData {
	t.Helper()
	var out []mapData
	for _, m := range dataBlock.FindAllStringSubmatch(text, -1) {
		var d mapData
		dec := json.NewDecoder(strings.NewReader(m[1]))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&d); err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// node is a leaf of a decoded tree.
type node struct {
	path                 string
	size, old            int64
	files                int
	owner, layer, change int
}

func unrun(runs []int) func() int {
	at, left := -2, 0
	return func() int {
		if runs == nil {
			return 0
		}
		if left == 0 {
			at += 2
			left = runs[at+1]
		}
		left--
		return runs[at]
	}
}

// leaves decodes the columns the way the script does.
func (c columns) leaves(t testing.TB) []node {
	t.Helper()
	type open struct {
		path string
		left int
	}
	names := strings.Split(c.Names, "/")
	stack := []open{{"", c.Dirs[1]}}
	dirs, next := c.Dirs[2:], -1
	at := 0
	if len(dirs) > 0 {
		next = dirs[0]
	}
	owner, layer, change := unrun(c.Owners), unrun(c.Layers), unrun(c.Changes)
	var out []node
	for i := 1; len(stack) > 0; i++ {
		for len(stack) > 0 && stack[len(stack)-1].left == 0 {
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 {
			if i-1 != len(names) && c.Names != "" {
				t.Fatalf("%d names for %d nodes", len(names), i-1)
			}
			break
		}
		top := &stack[len(stack)-1]
		top.left--
		path := top.path + "/" + names[i-1]
		if i == next {
			stack = append(stack, open{path, dirs[1]})
			if dirs = dirs[2:]; len(dirs) > 0 {
				next = i + dirs[0]
			}
			continue
		}
		n := node{path: path, size: c.Sizes[at], files: 1, owner: owner(), layer: layer(), change: change()}
		if c.Old != nil {
			n.old = c.Old[at]
		}
		if names[i-1] == "" {
			n.files, c.Counts = c.Counts[0], c.Counts[1:]
		}
		at++
		out = append(out, n)
	}
	if at != len(c.Sizes) || len(c.Counts) > 0 {
		t.Fatalf("%d leaves, %d sizes, %d counts left", at, len(c.Sizes), len(c.Counts))
	}
	return out
}

func sums(nodes []node) (size, old int64, files int) {
	for _, n := range nodes {
		size, old, files = size+n.size, old+n.old, files+n.files
	}
	return size, old, files
}

func TestHTMLAddsUp(t *testing.T) {
	t.Parallel()
	r := filled(t, 2_000)
	head, d := r.Images[0].Head, r.Images[0].Delta
	text := page(t, r)
	data := dataOf(t, text)[0]
	leaves := data.Tree.leaves(t)
	if size, _, files := sums(leaves); size != int64(head.Metrics.Final) || files != head.Metrics.Files || data.Final != size {
		t.Errorf("the map holds %d bytes in %d files, want %d in %d", size, files, head.Metrics.Final, head.Metrics.Files)
	}
	if size, old, _ := sums(data.Changes.leaves(t)); size-old != int64(d.Final) {
		t.Errorf("the changes sum to %d, want %d", size-old, d.Final)
	}
	var byGroup, byLayer, byChange []int64
	byGroup, byLayer, byChange = make([]int64, len(data.Owners)), make([]int64, len(data.Layers)), make([]int64, len(data.Kinds))
	for _, n := range leaves {
		if n.owner > 0 {
			byGroup[data.Groups[n.owner-1]] += n.size
		} else {
			byGroup[data.OwnerGroups[-n.owner]] += n.size
		}
		byLayer[n.layer] += n.size
		byChange[n.change] += n.size
	}
	for what, pair := range map[string][2][]int64{"owners": {byGroup, bytesOf(data.Owners)}, "layers": {byLayer, bytesOf(data.Layers)}, "changes": {byChange, bytesOf(data.Kinds)}} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("the legend of %s (-leaves +legend):\n%s", what, diff)
		}
	}
	if data.Owners[data.OwnerGroups[2]].Kind != "base" || data.Owners[data.OwnerGroups[1]].Kind != "application" || data.Owners[data.OwnerGroups[0]].Kind != "unowned" {
		t.Errorf("owners %v, %v", data.Owners, data.OwnerGroups)
	}
	for _, want := range []string{"web", "over budget", "react", "3.4.0 → 19.0.1", "old-agent", "/srv/assets", "debug info", "date-fns", "/usr/bin/sudo", "rpmdb.sqlite", "Dockerfile:9", "npm ci", "over 13 commits", "a cold pull takes", "0000001"} {
		if !strings.Contains(html.UnescapeString(text), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if again := page(t, filled(t, 2_000)); again != text {
		t.Error("the same report gives another page")
	}
}

func bytesOf(groups []group) []int64 {
	var out []int64
	for _, g := range groups {
		out = append(out, g.Bytes)
	}
	return out
}

// What changed is known from the files of the baseline, and without them from
// the paths of the comparison.
func TestHTMLTellsWhatChanged(t *testing.T) {
	t.Parallel()
	for _, files := range []bool{true, false} {
		r := filled(t, 500)
		if !files {
			r.Images[0].Base.Files = nil
		}
		got := map[string]int{}
		for _, n := range dataOf(t, page(t, r))[0].Tree.leaves(t) {
			got[n.path] = n.change
		}
		want := map[string]int{"/usr/local/bin/node": 0, "/app/models/weights.bin": 1, "/usr/share/doc/tar/copyright": 0, "/root/.npm/_cacache/content-v2/sha512/02/005101c6": 1}
		for path, change := range want {
			if got[path] != change {
				t.Errorf("with files of the baseline %v: %s has %d, want %d", files, path, got[path], change)
			}
		}
		grown := 0
		for path, change := range got {
			if strings.HasPrefix(path, "/app/node_modules/react/") && change > 0 {
				grown++
			}
		}
		if grown == 0 {
			t.Errorf("with files of the baseline %v: nothing in react changed", files)
		}
	}
}

// A stored report holds directories only, and says so.
func TestHTMLOfAStoredReport(t *testing.T) {
	t.Parallel()
	again, err := report.ReadJSON(strings.NewReader(toJSON(t, rich(t))), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	text := page(t, again)
	data := dataOf(t, text)[0]
	if size, _, files := sums(data.Tree.leaves(t)); size != int64(again.Images[0].Head.Metrics.Final) || data.Files || files == 0 {
		t.Errorf("%d bytes in %d files, want %d", size, files, again.Images[0].Head.Metrics.Final)
	}
	if !strings.Contains(text, "a stored report holds no files") {
		t.Error("it does not say that these are directories")
	}
}

// manyFiles makes an image of n files in directories of ten.
func manyFiles(n int) *footprint.Image {
	img := &footprint.Image{Name: "many", Layers: []footprint.Layer{layer(0, "COPY . .", 0, 0, 0, n, false)}}
	sum := footprint.Bytes(0)
	for i := range n {
		sum += footprint.Bytes(i % 5000)
	}
	img.Layers[0].Unpacked = sum
	img.Metrics = total(img.Layers, 0)
	img.Files = func(yield func(footprint.File) bool) {
		for i := range n {
			if !yield(footprint.File{Path: fmt.Sprintf("/d%03d/e%05d/f%07d", i/10_000, i/10, i), Kind: footprint.Regular, Size: footprint.Bytes(i % 5000)}) {
				return
			}
		}
	}
	return img
}

func TestHTMLSumsSmallFiles(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 200_000, 700_000} {
		img := manyFiles(n)
		text := page(t, &report.Report{Kind: report.Inspect, Tool: "image-budget 1.2.3", Images: []report.Image{{Head: img}}})
		data := dataOf(t, text)[0]
		var leaves []node
		if n > 0 {
			leaves = data.Tree.leaves(t)
		}
		size, _, files := sums(leaves)
		if size != int64(img.Metrics.Final) || files != n {
			t.Errorf("%d files: the map holds %d bytes in %d files, want %d", n, size, files, img.Metrics.Final)
		}
		folded := strings.Contains(text, "are summed in their directory")
		if folded != (n > 300_000) || len(leaves) > 300_000 {
			t.Errorf("%d files: %d leaves, summed %v", n, len(leaves), folded)
		}
		t.Logf("%d files: %d leaves, %d bytes", n, len(leaves), len(text))
	}
}

// Nothing in a name ends an element, starts one, or reaches the script as markup.
func TestHTMLIsInert(t *testing.T) {
	t.Parallel()
	everyPoison(t, func(t *testing.T, r *report.Report) {
		for i := range r.Images {
			head := r.Images[i].Head
			var files []footprint.File
			for _, l := range head.Layers {
				files = append(files, footprint.File{Path: "/" + l.CreatedBy, Kind: footprint.Regular, Size: 7}, footprint.File{Path: "/a/" + l.CreatedBy + "/b", Kind: footprint.Regular, Size: 7})
			}
			head.Files = slices.Values(files)
			head.Rest = &footprint.Rest{}
		}
		text := page(t, r)
		checkPage(t, text)
		for _, d := range dataOf(t, text) {
			checkNames(t, d)
		}
	})
	checkPage(t, page(t, filled(t, 300)))
}

// checkNames fails where a name of the map would hide or move others on the page.
func checkNames(t *testing.T, d mapData) {
	t.Helper()
	names := d.Packages
	for _, n := range d.Tree.leaves(t) {
		names = append(names, n.path)
	}
	for _, groups := range [][]group{d.Owners, d.Layers, d.Kinds} {
		for _, g := range groups {
			names = append(names, g.Name)
		}
	}
	for _, name := range names {
		checkCharacters(t, name)
		if strings.Contains(name, "\n") {
			t.Errorf("%q has more than one line", name)
		}
	}
}

var (
	markup  = regexp.MustCompile(`</?([a-zA-Z!][^\s>/]*)`)
	inside  = regexp.MustCompile(`(?s)<(style|script)( [^>]*)?>.*?</(style|script)>`)
	between = regexp.MustCompile(`>[^<]*<`)
	quoted  = regexp.MustCompile(`"[^"]*"`)
	active  = regexp.MustCompile(`(?i)\s(on\w+|style|src)\s*=`)
)

// elements are all that the page consists of.
var elements = strings.Fields("!doctype html head meta link title style body a nav header div h1 h2 h3 p main section table thead tbody tr th td svg rect polyline small article span ul li dl dt dd noscript footer script details summary pre ins del")

func checkPage(t *testing.T, text string) {
	t.Helper()
	outside := inside.ReplaceAllString(text, "")
	for _, m := range markup.FindAllStringSubmatch(outside, -1) {
		if !slices.Contains(elements, m[1]) {
			t.Errorf("there is a %q", m[0])
		}
	}
	if n := strings.Count(text, "<script"); n != strings.Count(text, "</script") || n != strings.Count(text, `<script type="application/json"`)+1 {
		t.Errorf("%d scripts", n)
	}
	if active.MatchString(quoted.ReplaceAllString(between.ReplaceAllString(outside, "><"), `""`)) {
		t.Error("an element has an attribute that runs or loads something")
	}
	for _, m := range dataBlock.FindAllStringSubmatch(text, -1) {
		if strings.ContainsAny(m[1], "<>&\u2028\u2029") {
			t.Error("the data holds what could end it")
		}
	}
	checkCharacters(t, patch.ReplaceAllStringFunc(text, func(s string) string { return strings.ReplaceAll(s, "\t", "") }))
	checkRunner(t, text)
}

// patch is the place where a tab is meant.
var patch = regexp.MustCompile(`(?s)<pre class="diff".*?</pre>`)

func TestHTMLOfManyImages(t *testing.T) {
	t.Parallel()
	r := filled(t, 200)
	arm := filled(t, 200).Images[0]
	arm.Head.Platform = "linux/arm64"
	r.Images = append(r.Images, arm)
	unmeasured(r, refused)
	text := page(t, r)
	if n := len(dataOf(t, text)); n != 2 {
		t.Errorf("%d maps", n)
	}
	for _, want := range []string{"linux/arm64", "worker could not be measured", "over budget, 1 could not be measured"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for id, n := range idsOf(text) {
		if n > 1 {
			t.Errorf("%d elements are called %s", n, id)
		}
	}
	for range 400 {
		r.Images = append(r.Images, arm)
	}
	if text := page(t, r); len(dataOf(t, text)) != 100 || !strings.Contains(text, "in the overview only") {
		t.Error("a page of 402 images explains another number than 100 of them")
	}
}

func idsOf(text string) map[string]int {
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		ids[m[1]]++
	}
	return ids
}

func FuzzHTML(f *testing.F) {
	f.Add("/a/b", "</script>", int64(5), int64(7))
	f.Add("//", "\x00\xff", int64(1)<<62, int64(0))
	f.Fuzz(func(t *testing.T, one, two string, a, b int64) {
		files := []footprint.File{{Path: one, Kind: footprint.Regular, Size: footprint.Bytes(max(a, 0) / 2)}, {Path: "/" + two, Kind: footprint.Regular, Size: footprint.Bytes(max(b, 0) / 2)}}
		head := &footprint.Image{Name: two, Files: slices.Values(files), Rest: &footprint.Rest{}}
		text := page(t, &report.Report{Kind: report.Inspect, Images: []report.Image{{Head: head}}})
		data := dataOf(t, text)[0]
		if leaves := data.Tree.leaves(t); len(leaves) != 2 {
			t.Errorf("%d leaves", len(leaves))
		}
		checkNames(t, data)
		checkPage(t, text)
	})
}
