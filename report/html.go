package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

//go:embed html/style.css
var htmlStyle string

//go:embed html/script.js
var htmlScript string

// maxHTMLImages is how many images a page explains; all of them are in its
// overview.
const maxHTMLImages = 100

// HTML writes a report as one page for a browser that loads nothing and sends
// nothing: styles, script and data are in it, and its policy forbids the rest. All
// tables can be read without a script; the map of the filesystem is drawn by one.
// It returns an error of w.
func HTML(w io.Writer, r *Report) error {
	view := htmlReport{
		Title: "Image size report", Tool: plainName(r.Tool),
		StyleHash: integrity(htmlStyle), ScriptHash: integrity(htmlScript),
		Run: runWords(r.Run), Read: readWords(r),
	}
	if r.total() == 1 {
		for i := range r.Images {
			view.Title = plainName(r.Images[i].title()) + ": image size"
		}
	}
	if r.total() > 1 && r.Kind == Check {
		view.Summary = summary(r, plainName)
	}
	for _, note := range r.notes() {
		view.Notes = append(view.Notes, plainName(note))
	}
	for _, u := range r.Unmeasured {
		view.Unmeasured = append(view.Unmeasured, sentence(u.title(plainName)+" "+couldNot, said(u.Reason, plainName)))
	}
	images := r.ranked()
	if len(images) > 1 {
		view.Overview = overviewTable(images).cap()
	}
	if more := len(images) - maxHTMLImages; more > 0 {
		images = images[:maxHTMLImages]
		view.Notes = append(view.Notes, plural(more, "more image")+" in the overview only")
	}
	for i, img := range images {
		shown := img.htmlView(i, r.Kind)
		data := img.htmlData(&shown, maxHTMLFiles/len(images))
		if shown.Treemap {
			encoded, err := json.Marshal(data)
			if err != nil {
				return fmt.Errorf("writing the page: %w", err)
			}
			// encoding/json spells <, > and &, and so nothing ends the element;
			// printable spells what would hide or move others.
			view.Data = append(view.Data, htmlDataBlock{i, string(printable(encoded))})
		}
		view.Images = append(view.Images, shown)
	}
	var m markup
	m.page(&view)
	_, err := w.Write(m.b)
	return err
}

// integrity is the hash by which a policy allows a style or script.
func integrity(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// htmlReport is what the page is made of.
type htmlReport struct {
	Title, Tool, Run, Read, Summary string
	StyleHash, ScriptHash           string
	Notes, Unmeasured               []string
	Overview                        htmlTable
	Images                          []htmlImage
	Data                            []htmlDataBlock
}

type htmlDataBlock struct {
	Index int
	JSON  string
}

// runWords says where a report comes from.
func runWords(run Run) string {
	var words []string
	if run.Repository != "" {
		words = append(words, plainName(run.Repository))
	}
	if run.PullRequest > 0 {
		words = append(words, fmt.Sprintf("pull request %d", run.PullRequest))
	}
	if run.Head != "" {
		words = append(words, "commit "+plainName(short(run.Head)))
	}
	return strings.Join(words, " · ")
}

func overviewTable(images []*Image) htmlTable {
	t := htmlTable{ID: "overview", Title: "Images", Words: "compressed, unless it says otherwise", Search: len(images) > 10, Columns: []htmlColumn{
		{Name: "image"}, {Name: "platform", Minor: true}, {Name: "size", Number: true}, {Name: "change", Number: true}, {Name: "status"},
	}}
	for _, img := range images {
		f := img.figure(false, img.sizeMetric())
		now, changed := noneCell(), noneCell()
		if f.known {
			_, text, _ := f.texts()
			now = htmlCell{Text: text, Value: f.now}
			if f.metric != footprint.Compressed {
				now.Sub = string(f.metric)
			}
		}
		if f.compared {
			changed = changeCell(footprint.Bytes(f.now - f.was))
		}
		t.Rows = append(t.Rows, []htmlCell{
			{Text: plainName(img.title()), Class: "path"}, textCell(plainName(cmp.Or(img.Head.Platform, "–"))), now, changed,
			{Text: sign(img.Verdict.Status) + " " + verdict(img), Class: statusClass(img.Verdict.Status)},
		})
	}
	return t
}

// htmlGroup is an entry of a legend: what has one colour in the map.
type htmlGroup struct {
	Name  string          `json:"name"`
	Bytes footprint.Bytes `json:"bytes"`
	// Kind is package, application, base or unowned; base or own for a layer;
	// and a change.
	Kind string `json:"kind"`
}

// htmlData is what the script draws of an image.
type htmlData struct {
	Final footprint.Bytes `json:"final"`
	// Files tells that the tree is one of files and not of directories.
	Files   bool      `json:"files"`
	Tree    *htmlTree `json:"tree"`
	Changes *htmlTree `json:"changes,omitempty"`
	// Packages are the names of packages with their version, and Groups says of
	// each which of Owners it belongs to. The owners that are no package are 0 for
	// nobody, -1 for the application and -2 for the base: OwnerGroups has them in
	// this order.
	Packages    []string    `json:"packages"`
	Groups      []int       `json:"groups"`
	Owners      []htmlGroup `json:"owners"`
	OwnerGroups [3]int      `json:"owner_groups"`
	Layers      []htmlGroup `json:"layers"`
	// Kinds are the changes by their number.
	Kinds []htmlGroup `json:"kinds"`
}

// htmlData collects what the map needs, and says in the view what is in it.
func (img *Image) htmlData(view *htmlImage, limit int) *htmlData {
	head := img.Head
	if head.Files == nil && len(head.Dirs) == 0 {
		return nil
	}
	d := &htmlData{Final: head.Metrics.Final, Packages: []string{}, Groups: []int{}}
	d.Changes = img.changeTree(limit)
	d.Tree, d.Files = img.fileTree(limit)
	view.Treemap = true
	if !d.Files {
		words := "These are directories: a stored report holds no files."
		if head.DirFloor > 0 {
			words += " Those below " + head.DirFloor.String() + " are counted in the one above them."
		}
		view.TreeWords = append(view.TreeWords, words)
	}
	if d.Tree.summed > 0 {
		view.TreeWords = append(view.TreeWords, fmt.Sprintf("%s smaller than %s are summed in their directory, to keep this page small.", plural(d.Tree.summed, "file"), d.Tree.threshold))
	}
	if head.Rest != nil {
		d.owners(head)
	}
	for i := range head.Layers {
		l := &head.Layers[i]
		g := htmlGroup{Name: fmt.Sprintf("%d  %s", l.Index, cutRune(plainName(made(l)), 200)), Bytes: d.Tree.byLayer[i], Kind: "own"}
		if at := place(l.Origin); at != "" {
			g.Name = fmt.Sprintf("%d  %s  %s", l.Index, plainName(at), cutRune(plainName(made(l)), 200))
		}
		if l.InBase {
			g.Kind = "base"
		}
		d.Layers = append(d.Layers, g)
	}
	if d.Tree.Changes != nil {
		for kind, name := range [...]string{htmlSame: "same", htmlNew: "new", htmlGrown: "grown", htmlShrunk: "shrunk", htmlRewritten: "other content, same size", htmlMixed: "in a directory that changed"} {
			d.Kinds = append(d.Kinds, htmlGroup{name, d.Tree.byChange[kind], name})
		}
	}
	return d
}

// owners groups the packages by ecosystem, heaviest first; what belongs to none
// comes last.
func (d *htmlData) owners(head *footprint.Image) {
	sums := map[string]footprint.Bytes{}
	for _, p := range head.Packages {
		sums[p.Ecosystem] += p.Bytes
	}
	var ecosystems []string
	for name := range sums {
		ecosystems = append(ecosystems, name)
	}
	slices.SortFunc(ecosystems, func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b))
	})
	group := map[string]int{}
	for i, name := range ecosystems {
		group[name] = i
		d.Owners = append(d.Owners, htmlGroup{packagesOf(name), sums[name], "package"})
	}
	for _, p := range head.Packages {
		d.Packages = append(d.Packages, strings.TrimSpace(htmlName(p.Name)+" "+htmlName(p.Version)))
		d.Groups = append(d.Groups, group[p.Ecosystem])
	}
	n := len(d.Owners)
	d.OwnerGroups = [3]int{n + 2, n, n + 1}
	d.Owners = append(d.Owners,
		htmlGroup{"application", head.Rest.Application, "application"},
		htmlGroup{"base image, no package", head.Rest.Base, "base"},
		htmlGroup{"files of no package", head.Rest.Unowned, "unowned"})
}
