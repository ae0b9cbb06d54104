// Package githubtest is a GitHub for tests: one repository with its Git objects, refs and commits behind the REST API, as far
// as package github asks for it. It has no comments, no people and no rate of its own.
//
// What always holds: objects are addressed by the ids that Git gives them and never change; a branch moves forward only; what
// GitHub would refuse is refused with its status and its words.
package githubtest

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Reply is a scripted answer to the first request that matches it.
type Reply struct {
	Method, Path string // Path is a substring
	Status       int
	Header       map[string]string
	Body         string
	// Acted lets the request take effect before it is answered, as when an answer is lost.
	Acted bool
}

// Server is a GitHub with one repository. Its fields are set before the first request.
type Server struct {
	Owner, Repo string
	// Prefix is the path before /repos, such as /api/v3.
	Prefix string
	// DefaultBranch is main unless it is set.
	DefaultBranch string
	// Protected has the answers to changes of branches, by name.
	Protected map[string]Reply
	// ReadOnly is a token that may not write, as a pull request from a fork has it.
	ReadOnly bool
	// Truncate is how many entries a listing of a tree holds at most, 0 for any number.
	Truncate int
	// Before is called at the start of every request, without the lock.
	Before func(r *http.Request)
	// Complain reports a request that GitHub would not understand.
	Complain func(format string, args ...any)

	mu       sync.Mutex
	blobs    map[string][]byte
	trees    map[string]map[string]entry
	commits  map[string]commit
	order    int
	refs     map[string]string
	released string
	archives map[string][]byte
	script   []Reply
	requests []string
}

type entry struct{ mode, sha string }

type commit struct {
	tree, message string
	parents       []string
	order         int // stands in for the date
}

// New returns a repository without a commit.
func New(owner, repo string) *Server {
	return &Server{
		Owner: owner, Repo: repo, DefaultBranch: "main", Protected: map[string]Reply{},
		Complain: func(string, ...any) {},
		blobs:    map[string][]byte{}, trees: map[string]map[string]entry{}, commits: map[string]commit{}, refs: map[string]string{},
	}
}

// Commit makes a commit of code with parents and returns its id.
func (s *Server) Commit(parents ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	blob := s.putBlob(fmt.Appendf(nil, "code %d\n", s.order))
	tree := s.putTree(map[string]entry{"code": {"100644", blob}})
	return s.putCommit(commit{tree: tree, message: "code", parents: parents})
}

// Know makes a commit of code known by an id that a test has chosen.
func (s *Server) Know(id string, parents ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order++
	s.commits[id] = commit{tree: s.putTree(map[string]entry{}), message: "code", parents: parents, order: s.order}
}

// SetArchive makes the sources of a commit those of a tar with gzip. As with the
// real one, whoever knows their address gets them without a token.
func (s *Server) SetArchive(commit string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.archives == nil {
		s.archives = map[string][]byte{}
	}
	s.archives[commit] = data
}

// SetBranch makes a branch point to a commit, whatever it pointed to; "" removes it.
func (s *Server) SetBranch(name, sha string) { s.setRef("refs/heads/"+name, sha) }

// SetTag makes a tag of a commit.
func (s *Server) SetTag(name, sha string) { s.setRef("refs/tags/"+name, sha) }

func (s *Server) setRef(name, sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sha == "" {
		delete(s.refs, name)
		return
	}
	s.refs[name] = sha
}

// SetRelease makes a tag the latest release.
func (s *Server) SetRelease(tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = tag
}

// Branch returns the commit that a branch points to, "" if there is none.
func (s *Server) Branch(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refs["refs/heads/"+name]
}

// History is how many commits a branch has, by first parents.
func (s *Server) History(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for at := s.refs["refs/heads/"+name]; at != ""; n++ {
		c := s.commits[at]
		at = ""
		if len(c.parents) > 0 {
			at = c.parents[0]
		}
	}
	return n
}

// Files returns what is on a branch, by path.
func (s *Server) Files(name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	if head := s.refs["refs/heads/"+name]; head != "" {
		for path, e := range s.flat(s.commits[head].tree, "") {
			if e.mode != "040000" {
				out[path] = string(s.blobs[e.sha])
			}
		}
	}
	return out
}

// Write commits files to a branch, as somebody else may do; "" removes a file.
func (s *Server) Write(name string, files map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := commit{message: "files"}
	tree := ""
	if head := s.refs["refs/heads/"+name]; head != "" {
		c.parents, tree = []string{head}, s.commits[head].tree
	}
	changes := map[string]*entry{}
	for path, content := range files {
		changes[path] = nil
		if content != "" {
			changes[path] = &entry{"100644", s.putBlob([]byte(content))}
		}
	}
	c.tree = s.edit(tree, changes)
	s.refs["refs/heads/"+name] = s.putCommit(c)
}

// Answer adds replies to the script.
func (s *Server) Answer(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, replies...)
}

// Requests returns what was asked for, like "GET /git/trees/…", and forgets it.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests
	s.requests = nil
	return r
}

// Transport answers requests in this process, each after a delay.
func (s *Server) Transport(delay func()) http.RoundTripper { return transport{s, delay} }

type transport struct {
	server *Server
	delay  func()
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if t.delay != nil {
		t.delay()
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	t.server.ServeHTTP(w, in)
	if t.delay != nil {
		t.delay()
	}
	return w.Result(), nil
}

// ServeHTTP answers a request of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Before != nil {
		s.Before(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sha, ok := strings.CutPrefix(r.URL.Path, "/archives/"); ok {
		if r.Header.Get("Authorization") != "" || r.FormValue("token") != "archive" {
			s.Complain("%s %s: the token, or none of its own", r.Method, r.URL)
		}
		_, _ = w.Write(s.archives[sha])
		return
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), s.Prefix+"/repos/"+s.Owner+"/"+s.Repo)
	if r.Header.Get("User-Agent") == "" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		s.Complain("%s %s: no User-Agent or no token", r.Method, r.URL)
	}
	s.requests = append(s.requests, r.Method+" "+path)
	if !ok {
		refuse(w, 404, "Not Found")
		return
	}
	if i := slices.IndexFunc(s.script, func(a Reply) bool { return a.Method == r.Method && strings.Contains(path, a.Path) }); i >= 0 {
		a := s.script[i]
		s.script = slices.Delete(s.script, i, i+1)
		if a.Acted {
			s.route(httptest.NewRecorder(), r, path)
		}
		play(w, a)
		return
	}
	s.route(w, r, path)
}

func play(w http.ResponseWriter, a Reply) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for k, v := range a.Header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-RateLimit-Remaining", "998")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)})
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, path string) {
	write := r.Method != http.MethodGet
	rest, git := strings.CutPrefix(path, "/git/")
	kind, name, _ := strings.Cut(rest, "/")
	switch {
	case write && s.ReadOnly:
		w.Header().Set("X-Accepted-GitHub-Permissions", "contents=write; contents=write,workflows=write")
		refuse(w, 403, "Resource not accessible by integration")
	case git && len(s.commits) == 0:
		refuse(w, 409, "Git Repository is empty.")
	case git && write:
		s.write(w, r, kind, name)
	case git:
		s.read(w, r, kind, name)
	case path == "":
		answer(w, 200, map[string]any{"full_name": s.Owner + "/" + s.Repo, "default_branch": s.DefaultBranch})
	case strings.HasPrefix(path, "/tarball/"):
		sha := strings.TrimPrefix(path, "/tarball/")
		if s.archives[sha] == nil {
			refuse(w, 404, "Not Found")
			return
		}
		// It is at another host.
		at := "https://codeload.github.test"
		if _, port, err := net.SplitHostPort(r.Host); err == nil {
			at = "http://localhost:" + port
		}
		http.Redirect(w, r, at+"/archives/"+sha+"?token=archive", http.StatusFound)
	case path == "/commits":
		s.list(w, r)
	case strings.HasPrefix(path, "/commits/"):
		s.resolve(w, r, strings.TrimPrefix(path, "/commits/"))
	case strings.HasPrefix(path, "/compare/"):
		s.compare(w, strings.TrimPrefix(path, "/compare/"))
	case path == "/releases/latest" && s.released != "":
		answer(w, 200, map[string]string{"tag_name": s.released})
	case path == "/tags":
		s.tags(w, r)
	default:
		refuse(w, 404, "Not Found")
	}
}

func (s *Server) read(w http.ResponseWriter, r *http.Request, kind, name string) {
	switch kind {
	case "ref":
		ref, err := url.PathUnescape(name)
		if sha, ok := s.refs["refs/"+ref]; ok && err == nil {
			answer(w, 200, refDoc("refs/"+ref, sha))
			return
		}
	case "commits":
		if c, ok := s.commits[name]; ok {
			answer(w, 200, s.commitDoc(name, c))
			return
		}
	case "trees":
		if c, ok := s.commits[name]; ok {
			name = c.tree
		}
		if _, ok := s.trees[name]; ok {
			s.tree(w, name, r.FormValue("recursive") != "")
			return
		}
	case "blobs":
		if data, ok := s.blobs[name]; ok {
			if strings.Contains(r.Header.Get("Accept"), "raw") {
				w.Header().Set("Content-Type", "application/vnd.github.raw; charset=utf-8")
				_, _ = w.Write(data)
				return
			}
			answer(w, 200, map[string]any{"sha": name, "size": len(data), "encoding": "base64", "content": base64.StdEncoding.EncodeToString(data)})
			return
		}
	}
	refuse(w, 404, "Not Found")
}

func refDoc(name, sha string) map[string]any {
	return map[string]any{"ref": name, "object": map[string]string{"sha": sha, "type": "commit"}}
}

func (s *Server) commitDoc(sha string, c commit) map[string]any {
	parents := []map[string]string{}
	for _, p := range c.parents {
		parents = append(parents, map[string]string{"sha": p})
	}
	return map[string]any{"sha": sha, "tree": map[string]string{"sha": c.tree}, "message": c.message, "parents": parents}
}

func (s *Server) tree(w http.ResponseWriter, sha string, recursive bool) {
	entries := map[string]entry{}
	for name, e := range s.trees[sha] {
		entries[name] = e
	}
	if recursive {
		entries = s.flat(sha, "")
	}
	list := []map[string]any{}
	truncated := false
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		if s.Truncate > 0 && len(list) == s.Truncate && recursive {
			truncated = true
			break
		}
		e := entries[path]
		doc := map[string]any{"path": path, "mode": e.mode, "type": "tree", "sha": e.sha}
		if e.mode != "040000" {
			doc["type"], doc["size"] = "blob", len(s.blobs[e.sha])
		}
		list = append(list, doc)
	}
	answer(w, 200, map[string]any{"sha": sha, "tree": list, "truncated": truncated})
}

// flat lists everything below a tree, directories too.
func (s *Server) flat(sha, prefix string) map[string]entry {
	out := map[string]entry{}
	for name, e := range s.trees[sha] {
		out[prefix+name] = e
		if e.mode == "040000" {
			maps.Copy(out, s.flat(e.sha, prefix+name+"/"))
		}
	}
	return out
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, kind, name string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, 400, "Problems parsing JSON")
		return
	}
	var in struct {
		Content, Encoding string
		BaseTree          string `json:"base_tree"`
		Tree              json.RawMessage
		Message           string
		Parents           []string
		Ref, SHA          string
		Force             bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.Complain("%s %s: %v", r.Method, r.URL, err)
		refuse(w, 400, "Problems parsing JSON")
		return
	}
	switch r.Method + " " + kind {
	case "POST blobs":
		data, err := base64.StdEncoding.DecodeString(in.Content)
		if in.Encoding != "base64" || err != nil {
			refuse(w, 422, "content is not valid Base64")
			return
		}
		answer(w, 201, map[string]string{"sha": s.putBlob(data)})
	case "POST trees":
		s.makeTree(w, in.BaseTree, in.Tree)
	case "POST commits":
		var tree string
		_ = json.Unmarshal(in.Tree, &tree)
		if _, ok := s.trees[tree]; !ok {
			refuse(w, 422, "Tree SHA does not exist")
			return
		}
		for _, p := range in.Parents {
			if _, ok := s.commits[p]; !ok {
				refuse(w, 422, "Parent SHA does not exist or is not a commit object")
				return
			}
		}
		sha := s.putCommit(commit{tree: tree, message: in.Message, parents: in.Parents})
		answer(w, 201, s.commitDoc(sha, s.commits[sha]))
	case "POST refs":
		s.move(w, in.Ref, in.SHA, true, false)
	case "PATCH refs":
		ref, err := url.PathUnescape(name)
		if err != nil {
			refuse(w, 404, "Not Found")
			return
		}
		s.move(w, "refs/"+ref, in.SHA, false, in.Force)
	default:
		refuse(w, 404, "Not Found")
	}
}

func (s *Server) move(w http.ResponseWriter, ref, to string, create, force bool) {
	now, there := s.refs[ref]
	_, known := s.commits[to]
	branch := strings.TrimPrefix(ref, "refs/heads/")
	refused, protected := s.Protected[branch]
	switch {
	case create && there:
		refuse(w, 422, "Reference already exists")
	case !create && !there:
		refuse(w, 422, "Reference does not exist")
	case !known:
		refuse(w, 422, "Object does not exist")
	case protected:
		play(w, refused)
	case !create && !force && !s.ancestors(to)[now]:
		refuse(w, 422, "Update is not a fast forward")
	default:
		s.refs[ref] = to
		status := 200
		if create {
			status = 201
		}
		answer(w, status, refDoc(ref, to))
	}
}

func (s *Server) makeTree(w http.ResponseWriter, base string, raw json.RawMessage) {
	var list []struct {
		Path, Mode, Type string
		SHA              *string
		Content          *string
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		refuse(w, 422, "Invalid tree info")
		return
	}
	if _, ok := s.trees[base]; base != "" && !ok {
		refuse(w, 422, "base_tree is not a valid tree oid")
		return
	}
	old := s.flat(base, "")
	changes := map[string]*entry{}
	for _, e := range list {
		for part := range strings.SplitSeq(e.Path, "/") {
			if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || strings.ContainsRune(part, 0) {
				refuse(w, 422, "tree.path contains a malformed path component")
				return
			}
		}
		_, twice := changes[e.Path]
		switch {
		case twice:
			refuse(w, 422, "tree.path contains a duplicate path")
			return
		case e.Mode != "100644" || e.Type != "blob":
			refuse(w, 422, "tree.mode or tree.type is not valid")
			return
		case e.SHA != nil && e.Content != nil:
			refuse(w, 422, "Must supply either tree.sha or tree.content, not both.")
			return
		case e.Content != nil:
			changes[e.Path] = &entry{e.Mode, s.putBlob([]byte(*e.Content))}
		case e.SHA != nil:
			if _, ok := s.blobs[*e.SHA]; !ok {
				refuse(w, 422, "tree.sha "+*e.SHA+" is not a valid blob")
				return
			}
			changes[e.Path] = &entry{e.Mode, *e.SHA}
		default:
			if _, ok := old[e.Path]; !ok {
				refuse(w, 422, "GitRPC::BadObjectState")
				return
			}
			changes[e.Path] = nil
		}
	}
	answer(w, 201, map[string]string{"sha": s.edit(base, changes)})
}

// edit makes a tree from another; a nil entry removes a file.
func (s *Server) edit(base string, changes map[string]*entry) string {
	files := map[string]entry{}
	for path, e := range s.flat(base, "") {
		if e.mode != "040000" {
			files[path] = e
		}
	}
	for path, e := range changes {
		if e == nil {
			delete(files, path)
		} else {
			files[path] = *e
		}
	}
	return s.nest(files)
}

func (s *Server) nest(files map[string]entry) string {
	here, below := map[string]entry{}, map[string]map[string]entry{}
	for path, e := range files {
		dir, rest, nested := strings.Cut(path, "/")
		if !nested {
			here[path] = e
			continue
		}
		if below[dir] == nil {
			below[dir] = map[string]entry{}
		}
		below[dir][rest] = e
	}
	for dir, sub := range below {
		here[dir] = entry{"040000", s.nest(sub)}
	}
	return s.putTree(here)
}

func objectID(kind string, data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", kind, len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

func (s *Server) putBlob(data []byte) string {
	sha := objectID("blob", data)
	s.blobs[sha] = data
	return sha
}

func (s *Server) putTree(entries map[string]entry) string {
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		// Git sorts a directory as if its name ended in a slash.
		key := func(n string) string {
			if entries[n].mode == "040000" {
				return n + "/"
			}
			return n
		}
		return cmp.Compare(key(a), key(b))
	})
	var data bytes.Buffer
	for _, name := range names {
		raw, _ := hex.DecodeString(entries[name].sha)
		fmt.Fprintf(&data, "%s %s\x00%s", strings.TrimLeft(entries[name].mode, "0"), name, raw)
	}
	sha := objectID("tree", data.Bytes())
	s.trees[sha] = entries
	return sha
}

func (s *Server) putCommit(c commit) string {
	s.order++
	c.order = s.order
	var data bytes.Buffer
	fmt.Fprintf(&data, "tree %s\n", c.tree)
	for _, p := range c.parents {
		fmt.Fprintf(&data, "parent %s\n", p)
	}
	at := time.Unix(1_700_000_000+int64(c.order), 0).Unix()
	fmt.Fprintf(&data, "author bot <bot@example.com> %d +0000\ncommitter bot <bot@example.com> %d +0000\n\n%s", at, at, c.message)
	sha := objectID("commit", data.Bytes())
	s.commits[sha] = c
	return sha
}

// ancestors has a commit and all that it descends from.
func (s *Server) ancestors(sha string) map[string]bool {
	seen, todo := map[string]bool{}, []string{sha}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if c, ok := s.commits[at]; ok && !seen[at] {
			seen[at] = true
			todo = append(todo, c.parents...)
		}
	}
	return seen
}

// list answers with the commits that a commit descends from, the newest first, as git log does without --first-parent.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	from := r.FormValue("sha")
	if _, ok := s.commits[from]; !ok {
		refuse(w, 404, "Not Found")
		return
	}
	per, _ := strconv.Atoi(r.FormValue("per_page"))
	ids := slices.SortedFunc(maps.Keys(s.ancestors(from)), func(a, b string) int { return cmp.Compare(s.commits[b].order, s.commits[a].order) })
	list := []any{}
	for _, sha := range ids[:min(len(ids), max(per, 1))] {
		list = append(list, s.commitDoc(sha, s.commits[sha]))
	}
	answer(w, 200, list)
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, name string) {
	name, err := url.PathUnescape(name)
	sha := name
	if ref, ok := s.refs["refs/"+name]; ok {
		sha = ref
	}
	if _, ok := s.commits[sha]; !ok || err != nil {
		refuse(w, 422, "No commit found for SHA: "+name)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "sha") {
		_, _ = io.WriteString(w, sha)
		return
	}
	answer(w, 200, s.commitDoc(sha, s.commits[sha]))
}

func (s *Server) compare(w http.ResponseWriter, pair string) {
	base, head, _ := strings.Cut(pair, "...")
	_, ok1 := s.commits[base]
	_, ok2 := s.commits[head]
	if !ok1 || !ok2 {
		refuse(w, 404, "Not Found")
		return
	}
	ofBase, ofHead := s.ancestors(base), s.ancestors(head)
	ahead, behind, mergeBase := 0, 0, ""
	for sha := range ofHead {
		switch {
		case !ofBase[sha]:
			ahead++
		case mergeBase == "" || s.commits[sha].order > s.commits[mergeBase].order:
			mergeBase = sha
		}
	}
	for sha := range ofBase {
		if !ofHead[sha] {
			behind++
		}
	}
	if mergeBase == "" {
		refuse(w, 404, fmt.Sprintf("No common ancestor between %s and %s.", base, head))
		return
	}
	status := "diverged"
	switch {
	case ahead == 0 && behind == 0:
		status = "identical"
	case ahead == 0:
		status = "behind"
	case behind == 0:
		status = "ahead"
	}
	answer(w, 200, map[string]any{
		"status": status, "ahead_by": ahead, "behind_by": behind,
		"merge_base_commit": map[string]string{"sha": mergeBase}, "commits": []any{}, "files": []any{},
	})
}

func (s *Server) tags(w http.ResponseWriter, r *http.Request) {
	list := []any{}
	for _, ref := range slices.Backward(slices.Sorted(maps.Keys(s.refs))) {
		if name, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
			list = append(list, map[string]any{"name": name, "commit": map[string]string{"sha": s.refs[ref]}})
		}
	}
	per, page := 30, 1
	if n, err := strconv.Atoi(r.FormValue("per_page")); err == nil {
		per = n
	}
	if n, err := strconv.Atoi(r.FormValue("page")); err == nil {
		page = n
	}
	from := min((page-1)*per, len(list))
	to := min(from+per, len(list))
	if to < len(list) {
		w.Header().Set("Link", fmt.Sprintf(`<https://%s%s?per_page=%d&page=%d>; rel="next"`, r.Host, r.URL.Path, per, page+1))
	}
	answer(w, 200, list[from:to])
}
