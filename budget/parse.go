package budget

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/nearest"
)

// The keys of a budget file, mapping by mapping. The JSON schema lists the
// same ones.
var (
	fileKeys   = []string{"version", "baseline", "cost", "verify", "images"}
	imageKeys  = []string{"image", "base", "build", "limits", "own", "paths", "packages", "forbid", "waivers", "smoke", "verify", "cost"}
	costKeys   = []string{"bandwidth", "hosts", "deploys-per-day"}
	buildKeys  = []string{"context", "dockerfile", "target", "args", "platforms", "labels", "contexts", "secrets", "ssh", "cache-from", "cache-to", "network", "no-cache", "pull", "tags"}
	secretKeys = []string{"id", "src", "env"}
	boundKeys  = []string{"max", "warn", "growth"}
	updateKeys = []string{"max", "warn"}
	growthKeys = []string{"percent", "bytes", "since-release"}
	countKeys  = []string{"percent", "count", "since-release"}
	waiverKeys = []string{"limit", "until", "reason"}
	smokeKeys  = []string{"http", "command", "timeout"}
	httpKeys   = []string{"port", "path", "body"}
)

// Parse reads a budget file; name is used in messages. The error is an
// [Errors] with every mistake found.
func Parse(name string, src []byte) (*File, error) {
	d := &decoder{file: name}
	file := &File{Name: name}
	if text, ok := d.clean(src); ok {
		if root := d.readYAML(text); root != nil {
			d.decodeFile(root, file)
		}
	}
	if len(d.errs) > 0 {
		slices.SortStableFunc(d.errs, func(a, b *ParseError) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Col - b.Col
		})
		return nil, d.errs
	}
	return file, nil
}

// maxErrors is how many mistakes are collected before giving up.
const maxErrors = 50

type decoder struct {
	file   string
	lines  []string
	errs   Errors
	limits int
}

// add notes a mistake. A place outside the file is moved to its nearest edge.
func (d *decoder) add(line, col int, hint, format string, args ...any) {
	if len(d.errs) >= maxErrors {
		return
	}
	line = min(max(line, 1), max(len(d.lines), 1))
	e := &ParseError{File: d.file, Line: line, Col: max(col, 1), Msg: fmt.Sprintf(format, args...), Hint: hint}
	if line <= len(d.lines) {
		text := d.lines[line-1]
		e.Col = min(e.Col, len([]rune(text))+1)
		e.Source, e.Caret = excerpt(text, e.Col)
	} else {
		e.Col = 1
	}
	d.errs = append(d.errs, e)
}

func (d *decoder) fail(n *node, hint, format string, args ...any) {
	d.add(n.line, n.col, hint, format, args...)
}

func (d *decoder) pos(n *node) Pos { return Pos{File: d.file, Line: n.line, Col: n.col} }

// entriesOf returns the entries of a mapping without duplicates. what names
// the mapping in messages.
func (d *decoder) entriesOf(n *node, what string) []entry {
	if n.kind == nullNode {
		d.fail(n, "", "%s is empty", what)
		return nil
	}
	if n.kind != mapNode {
		d.fail(n, "", "%s must be a mapping, not %s", what, n.kind)
		return nil
	}
	if len(n.entries) == 0 {
		d.fail(n, "", "%s is empty", what)
	}
	var out []entry
	first := map[string]*node{}
	for _, e := range n.entries {
		if before := first[e.key.text]; before != nil {
			d.fail(e.key, "", "%s is already set in line %d", quote(e.key.text), before.line)
			continue
		}
		first[e.key.text] = e.key
		out = append(out, e)
	}
	return out
}

// fieldsOf is entriesOf for a mapping whose keys are known.
func (d *decoder) fieldsOf(n *node, what string, known []string) map[string]entry {
	out := map[string]entry{}
	for _, e := range d.entriesOf(n, what) {
		if !slices.Contains(known, e.key.text) {
			d.fail(e.key, unknownHint(e.key.text, known), "unknown key %s in %s", quote(e.key.text), what)
			continue
		}
		out[e.key.text] = e
	}
	return out
}

func unknownHint(key string, known []string) string {
	if key == "growth" && slices.Equal(known, updateKeys) {
		return "update already is what the baseline lacks; limit it with max"
	}
	if key == "since-release" && slices.Equal(known, boundKeys) {
		return "write growth: {since-release: …}"
	}
	if s, ok := nearest.Word(key, known); ok {
		return didYouMean(s)
	}
	return "the keys are " + strings.Join(known, ", ")
}

// textOf returns a text of one line that is not empty, without blanks around
// it.
func (d *decoder) textOf(n *node, what string) (string, bool) {
	s, ok := d.exactTextOf(n, what)
	s = strings.TrimSpace(s)
	if ok && !printable(s) {
		d.fail(n, "", "%s holds a line break or a control character", what)
		return "", false
	}
	return s, ok
}

// exactTextOf returns a text as it is; it is not blank and holds no NUL.
func (d *decoder) exactTextOf(n *node, what string) (string, bool) {
	switch {
	case n.kind == intNode || n.kind == otherScalar:
		d.fail(n, fmt.Sprintf("write %q, in quotes", n.text), "%s must be text", what)
	case n.kind == nullNode || n.kind == stringNode && strings.TrimSpace(n.text) == "":
		d.fail(n, "", "%s is empty", what)
	case n.kind != stringNode:
		d.fail(n, "", "%s must be text, not %s", what, n.kind)
	case len(n.text) > maxText:
		d.fail(n, "", "%s has more than %d bytes", what, maxText)
	case strings.Contains(n.text, "\x00"):
		d.fail(n, "", "%s holds a NUL character", what)
	default:
		return n.text, true
	}
	return "", false
}

// maxText bounds every text of a budget file.
const maxText = 2_000

func (d *decoder) decodeFile(root *node, file *File) {
	fields := d.fieldsOf(root, "the budget file", fileKeys)
	if root.kind != mapNode {
		return
	}
	if v, ok := fields["version"]; !ok {
		d.fail(root, "begin it with the line `version: 1`", "version is missing")
	} else if v.value.kind != intNode || v.value.text != "1" {
		d.wrongVersion(v.value)
	}
	file.Version = 1
	if b, ok := fields["baseline"]; ok {
		file.Baseline = d.decodeBaseline(b.value)
	}
	var cost Cost
	if v, ok := fields["cost"]; ok {
		cost = d.decodeCost(v.value)
	}
	verify := ""
	if v, ok := fields["verify"]; ok {
		verify = d.decodeVerify(v.value)
	}
	images, ok := fields["images"]
	if !ok {
		d.fail(root, "add `images:` with at least one image", "images is missing")
		return
	}
	ids := map[string]string{}
	for _, e := range d.entriesOf(images.value, "images") {
		if len(file.Images) >= maxImages {
			d.fail(e.key, "", "there are more than %d images", maxImages)
			return
		}
		d.checkID(e.key, ids)
		img := d.decodeImage(e)
		img.Cost = img.Cost.or(cost)
		if img.Verify == "" {
			img.Verify = verify
		}
		if (img.Cost.Hosts > 0) != (img.Cost.Deploys > 0) && len(d.errs) == 0 {
			d.fail(e.key, "what a month moves is hosts × deploys-per-day: set both or neither", "the cost of %s has one of hosts and deploys-per-day alone", quote(img.ID))
		}
		file.Images = append(file.Images, img)
	}
}

func (d *decoder) wrongVersion(n *node) {
	if n.kind == intNode && n.text != "0" {
		d.fail(n, "update image-budget, or write `version: 1`", "version %s was made for a newer image-budget", n.text)
		return
	}
	d.fail(n, "write `version: 1`", "version must be the number 1")
}

var baselineSchemes = []string{"file", "branch", "registry", "image", "build", "none"}

func (d *decoder) decodeBaseline(n *node) string {
	s, ok := d.textOf(n, "baseline")
	if !ok {
		return ""
	}
	scheme, rest, argument := strings.Cut(s, ":")
	switch {
	case !slices.Contains(baselineSchemes, scheme):
		hint := "write file:PATH, branch:NAME, registry:REF, image:REF, build or none"
		if near, ok := nearest.Word(scheme, baselineSchemes); ok {
			hint = didYouMean(strings.Replace(s, scheme, near, 1))
		}
		d.fail(n, hint, "baseline %s is of no kind I know", quote(s))
	case scheme == "none" && argument:
		d.fail(n, didYouMean(scheme), "baseline %s takes nothing after it", scheme)
	case scheme != "none" && (scheme != "build" || argument) && strings.TrimSpace(rest) == "":
		d.fail(n, "", "baseline %s needs a name after the colon", quote(s))
	}
	return s
}

// checkID keeps ids usable as file names, markers and names of outputs, where
// - . and _ are all the same.
func (d *decoder) checkID(key *node, ids map[string]string) {
	id := key.text
	if !ValidID(id) {
		hint := "use lower-case letters, digits, dots, dashes and underscores, a letter or digit first, at most 64"
		if s := ID(id); s != id && id != "" {
			hint = didYouMean(s)
		}
		d.fail(key, hint, "%s cannot be the id of an image", quote(id))
		return
	}
	folded := strings.NewReplacer("-", "_", ".", "_").Replace(id)
	if other, ok := ids[folded]; ok {
		d.fail(key, "give one of them another name", "the ids %s and %s differ only in - . _ and would share their outputs", quote(other), quote(id))
		return
	}
	ids[folded] = id
}

func (d *decoder) decodeImage(e entry) Image {
	img := Image{ID: e.key.text, Pos: d.pos(e.key)}
	fields := d.fieldsOf(e.value, "images."+e.key.text, imageKeys)
	if e.value.kind != mapNode {
		return img
	}
	ref, hasRef := fields["image"]
	build, hasBuild := fields["build"]
	switch {
	case hasRef && hasBuild:
		d.fail(build.key, "keep one of them", "image and build contradict each other")
	case !hasRef && !hasBuild && len(e.value.entries) > 0:
		d.fail(e.key, "add `image: REFERENCE` or `build: {context: .}`", "images.%s says neither image nor build", e.key.text)
	}
	if hasRef {
		img.Ref, _ = d.textOf(ref.value, "image")
	}
	if hasBuild {
		img.Build = d.decodeBuild(build.value)
	}
	if base, ok := fields["base"]; ok {
		img.Base, _ = d.textOf(base.value, "base")
	}
	if v, ok := fields["limits"]; ok {
		img.Limits = d.decodeLimits(v.value, "limits")
	}
	if v, ok := fields["own"]; ok {
		img.Own = d.decodeLimits(v.value, "own")
	}
	if v, ok := fields["paths"]; ok {
		img.Paths = d.decodePaths(v.value)
	}
	if v, ok := fields["packages"]; ok {
		img.Packages = d.decodePackages(v.value)
	}
	if v, ok := fields["forbid"]; ok {
		img.Forbid = d.decodeForbid(v.value)
	}
	if n := len(img.Paths) + len(img.Forbid); n > maxPatterns {
		d.fail(e.key, "", "images.%s has %d path patterns; %d is the most", e.key.text, n, maxPatterns)
	}
	if v, ok := fields["smoke"]; ok {
		img.Smoke = d.decodeSmoke(v.value)
	}
	if v, ok := fields["verify"]; ok {
		img.Verify = d.decodeVerify(v.value)
	}
	if v, ok := fields["cost"]; ok {
		img.Cost = d.decodeCost(v.value)
	}
	if len(img.limitNames()) == 0 {
		img.Limits, img.Implied = defaultLimits(), true
	}
	if v, ok := fields["waivers"]; ok {
		img.Waivers = d.decodeWaivers(v.value, img)
	}
	return img
}

func (d *decoder) commandOf(n *node) []string {
	if n.kind != listNode || len(n.items) == 0 {
		d.fail(n, `write a list: [program, argument]`, "command must be a list of texts")
		return nil
	}
	out := make([]string, len(n.items))
	for i, item := range n.items {
		out[i], _ = d.exactTextOf(item, "command")
	}
	return out
}

// textsOf returns a list of texts, each once. A broken one is "" in it, so
// that indexes are those of the list.
func (d *decoder) textsOf(n *node, what string) []string {
	if n.kind != listNode || len(n.items) == 0 {
		d.fail(n, "write a list: [one, two]", "%s must be a list of texts", what)
		return nil
	}
	out := make([]string, len(n.items))
	first := map[string]int{}
	for i, item := range n.items {
		s, ok := d.textOf(item, what)
		if line, dup := first[s]; ok && dup {
			d.fail(item, "", "%s is already listed in line %d", quote(s), line)
		}
		first[s] = item.line
		out[i] = s
	}
	return out
}

func (d *decoder) decodePackages(n *node) []PackageLimit {
	var out []PackageLimit
	for _, e := range d.entriesOf(n, "packages") {
		ecosystem, name, ok := strings.Cut(e.key.text, ":")
		switch {
		case !ok || ecosystem == "" || name == "" || !printable(e.key.text) || len(e.key.text) > maxText:
			d.fail(e.key, "write ECOSYSTEM:NAME, such as \"npm:typescript\"", "%s names no package", quote(e.key.text))
		case strings.ContainsAny(e.key.text, `[]{}\`) || strings.TrimSpace(e.key.text) != e.key.text:
			d.fail(e.key, "only * and ? stand for other characters", "%s names no package", quote(e.key.text))
		case !strings.ContainsAny(ecosystem, "*?") && !slices.Contains(footprint.Ecosystems(), ecosystemOf(ecosystem)):
			// A limit on packages that nobody looks for would always pass.
			d.fail(e.key, ecosystemHint(ecosystem, name), "%s names no ecosystem I know", quote(e.key.text))
		}
		if e.value.kind != stringNode || e.value.text != "forbid" {
			hint := "write `forbid`"
			if e.value.kind == mapNode {
				hint = "limit the bytes of a package with a pattern under paths"
			}
			d.fail(e.value, hint, "a package can only be forbidden")
		}
		d.countLimit(e.key)
		out = append(out, PackageLimit{Pattern: e.key.text, Pos: d.pos(e.key)})
	}
	return out
}

// aliases are what reports call an ecosystem, and other names that nobody
// mistakes; the messages keep what was written.
var aliases = []struct{ is, means string }{
	{"apt", "dpkg"}, {"deb", "dpkg"}, {"pip", "python"}, {"pypi", "python"}, {"go", "golang"}, {"crate", "cargo"}, {"maven", "java"},
}

func ecosystemOf(name string) string {
	for _, a := range aliases {
		if a.is == name {
			return a.means
		}
	}
	return name
}

// canonical names the ecosystem of a pattern as packages have it.
func canonical(pattern string) string {
	ecosystem, name, _ := strings.Cut(pattern, ":")
	return ecosystemOf(ecosystem) + ":" + name
}

// ecosystemHint knows what else an ecosystem is called.
func ecosystemHint(ecosystem, name string) string {
	others := []struct{ is, means string }{
		{"deb", "dpkg"}, {"apt", "dpkg"}, {"debian", "dpkg"}, {"alpine", "apk"}, {"yum", "rpm"}, {"dnf", "rpm"}, {"yarn", "npm"}, {"pnpm", "npm"},
		{"node", "npm"}, {"pypi", "python"}, {"pip", "python"}, {"rubygems", "gem"}, {"ruby", "gem"}, {"packagist", "composer"}, {"php", "composer"},
		{"dotnet", "nuget"}, {"maven", "java"}, {"jar", "java"}, {"go", "golang"}, {"crates", "cargo"}, {"rust", "cargo"},
	}
	for _, other := range others {
		if strings.EqualFold(ecosystem, other.is) {
			return didYouMean(other.means + ":" + name)
		}
	}
	if near, ok := nearest.Word(ecosystem, footprint.Ecosystems()); ok {
		return didYouMean(near + ":" + name)
	}
	return "the ecosystems are " + strings.Join(footprint.Ecosystems(), ", ")
}

func (d *decoder) decodeForbid(n *node) []Pattern {
	var out []Pattern
	for i, s := range d.textsOf(n, "forbid") {
		d.checkPattern(n.items[i], s)
		d.countLimit(n.items[i])
		out = append(out, Pattern{Text: s, Pos: d.pos(n.items[i])})
	}
	return out
}

func (d *decoder) checkPattern(n *node, pattern string) {
	if pattern == "" {
		return // textsOf has said so
	}
	if msg, hint := patternMistake(pattern); msg != "" {
		d.fail(n, hint, "the pattern %s %s", quote(pattern), msg)
	}
}

func (d *decoder) countLimit(n *node) {
	if d.limits++; d.limits == maxLimits+1 {
		d.fail(n, "", "there are more than %d limits", maxLimits)
	}
}

func (d *decoder) decodeWaivers(n *node, img Image) []Waiver {
	if n.kind != listNode || len(n.items) == 0 {
		d.fail(n, "write a list: [{limit: limits.compressed.max, until: 2026-12-31, reason: …}]", "waivers must be a list")
		return nil
	}
	names := img.limitNames()
	first := map[string]int{}
	var out []Waiver
	for _, item := range n.items {
		fields := d.fieldsOf(item, "a waiver", waiverKeys)
		if item.kind != mapNode || len(item.entries) == 0 {
			continue
		}
		w := Waiver{Pos: d.pos(item)}
		for _, key := range waiverKeys {
			v, ok := fields[key]
			if !ok {
				d.fail(item, "a waiver says limit, until and reason", "the waiver has no %s", key)
				continue
			}
			read := d.textOf
			if key == "reason" {
				read = d.exactTextOf // a reason may be folded over lines
			}
			text, ok := read(v.value, key)
			if !ok {
				continue
			}
			switch key {
			case "limit":
				w.Limit = text
				d.checkWaiverLimit(v.value, text, names, first)
			case "until":
				w.Until = d.decodeDate(v.value, text)
			case "reason":
				w.Reason = strings.Join(strings.Fields(text), " ")
				if !printable(w.Reason) {
					d.fail(v.value, "", "reason holds a control character")
				}
			}
		}
		out = append(out, w)
	}
	return out
}

func (d *decoder) checkWaiverLimit(n *node, name string, names []string, first map[string]int) {
	if !slices.Contains(names, name) {
		hint := "the image has no limits"
		if near, ok := nearest.Word(name, names); ok {
			hint = didYouMean(near)
		} else if len(names) > 0 {
			hint = "its limits are " + strings.Join(names[:min(len(names), 8)], ", ")
			if len(names) > 8 {
				hint += fmt.Sprintf(" and %d more", len(names)-8)
			}
		}
		d.fail(n, hint, "the image has no limit %s", quote(name))
		return
	}
	if line, ok := first[name]; ok {
		d.fail(n, "", "line %d already waives %s", line, quote(name))
	}
	first[name] = n.line
}

func (d *decoder) decodeDate(n *node, text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		d.fail(n, "write the last day as YYYY-MM-DD, such as 2026-12-31", "%s is not a date", quote(text))
	}
	return t
}

// decodeVerify reads when suggestions are proven.
func (d *decoder) decodeVerify(n *node) string {
	text, ok := d.textOf(n, "verify")
	if ok && !slices.Contains(VerifyWords(), text) {
		hint := "the words are " + strings.Join(VerifyWords(), ", ")
		if near, ok := nearest.Word(text, VerifyWords()); ok {
			hint = didYouMean(near)
		}
		d.fail(n, hint, "verify cannot be %s", quote(text))
	}
	return text
}

func (d *decoder) decodeSmoke(n *node) *Smoke {
	s := &Smoke{}
	fields := d.fieldsOf(n, "smoke", smokeKeys)
	if n.kind != mapNode || len(n.entries) == 0 {
		return s
	}
	http, hasHTTP := fields["http"]
	command, hasCommand := fields["command"]
	if hasHTTP == hasCommand {
		d.fail(n, "", "smoke needs either http or command")
	}
	if hasHTTP {
		s.HTTP = d.decodeSmokeHTTP(http.value)
	}
	if hasCommand {
		s.Command = d.commandOf(command.value)
	}
	if v, ok := fields["timeout"]; ok {
		if text, ok := d.textOf(v.value, "timeout"); ok {
			var err error
			s.Timeout, err = time.ParseDuration(text)
			if err != nil || s.Timeout <= 0 || s.Timeout > time.Hour {
				d.fail(v.value, "write a time of at most an hour, such as 30s", "%s is not a timeout", quote(text))
			}
		}
	}
	return s
}

func (d *decoder) decodeSmokeHTTP(n *node) *SmokeHTTP {
	h := &SmokeHTTP{Path: "/"}
	fields := d.fieldsOf(n, "smoke.http", httpKeys)
	if n.kind != mapNode || len(n.entries) == 0 {
		return h
	}
	if v, ok := fields["port"]; !ok {
		d.fail(n, "", "smoke.http has no port")
	} else if port, err := strconv.Atoi(v.value.text); v.value.kind != intNode || err != nil || port < 1 || port > 65535 {
		d.fail(v.value, "", "a port is a number from 1 to 65535")
	} else {
		h.Port = port
	}
	if v, ok := fields["path"]; ok {
		if text, ok := d.textOf(v.value, "path"); ok {
			h.Path = text
			if text[0] != '/' {
				d.fail(v.value, didYouMean("/"+text), "the path %s must begin with a slash", quote(text))
			}
		}
	}
	if v, ok := fields["body"]; ok {
		h.Body, _ = d.exactTextOf(v.value, "body")
	}
	return h
}

// limitNames lists the names of all limits, in the order of the checks.
func (img Image) limitNames() []string {
	var out []string
	bounds := func(name string, b Bounds) {
		if b.Max != nil {
			out = append(out, name+".max")
		}
		if b.Warn != nil {
			out = append(out, name+".warn")
		}
		if b.Growth != nil {
			out = append(out, name+".growth")
		}
		if b.SinceRelease != nil {
			out = append(out, name+"."+sinceRelease)
		}
	}
	for _, l := range img.Limits {
		bounds("limits."+string(l.Metric), l.Bounds)
	}
	for _, l := range img.Own {
		bounds("own."+string(l.Metric), l.Bounds)
	}
	for _, p := range img.Paths {
		bounds("paths."+p.Pattern, p.Bounds)
	}
	for _, p := range img.Packages {
		out = append(out, "packages."+p.Pattern)
	}
	for _, p := range img.Forbid {
		out = append(out, "forbid."+p.Text)
	}
	return out
}

func metricNames() []string {
	all := footprint.AllMetrics()
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = string(m)
	}
	return out
}
