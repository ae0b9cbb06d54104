package budget

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/distribution/reference"

	"github.com/org/image-budget/internal/nearest"
)

// Build says how to build an image. What it names is not looked up here: no
// path is opened, no variable read, no reference resolved.
type Build struct {
	// Context is the folder to build, Dockerfile the path of the Dockerfile,
	// Target the stage to stop at; "" if the file does not say.
	Context, Dockerfile, Target string
	// Args are the build arguments by name.
	Args map[string]string
	// Platforms are os/arch[/variant] in the order of the file.
	Platforms []string
	// Labels are set in the image's configuration, by name.
	Labels map[string]string
	// Contexts are further build contexts by the name that FROM and --from
	// know them by: a path, docker-image://REFERENCE or the https URL of a git
	// repository. See [CheckContext].
	Contexts map[string]string
	// Secrets are what RUN --mount=type=secret may read, each ID once.
	Secrets []Secret
	// SSH are the agents and keys that RUN --mount=type=ssh may use: "default",
	// or ID=PATH[,PATH]. See [ParseSSH].
	SSH []string
	// CacheFrom and CacheTo are where build caches are read and written, in the
	// words of docker buildx: type=TYPE,KEY=VALUE…, or a reference in a
	// registry. See [CheckCacheFrom] and [CheckCacheTo].
	CacheFrom, CacheTo []string
	// Network is that of RUN: default, none or host; "" if the file does not
	// say.
	Network string
	// NoCache builds every step again, Pull asks registries for newer base
	// images.
	NoCache, Pull bool
	// Tags are names that the built image keeps in the engine, without digest.
	Tags []string
}

// Secret is what a build may read and an image does not keep. If Src and Env
// are both "", it is the environment variable called ID or, where there is
// none, the file of that name, as in docker build.
type Secret struct {
	// ID is what RUN --mount=type=secret,id= asks for, never "".
	ID string
	// Src is the path of a file, "" if the value comes from elsewhere.
	Src string
	// Env is an environment variable, "" if the value comes from elsewhere.
	Env string
}

// mistake is what is wrong with a text, and what to do about it.
type mistake struct{ msg, hint string }

// Error is for flags; in the budget file, the hint has a line of its own.
func (m *mistake) Error() string {
	if m.hint == "" {
		return m.msg
	}
	return m.msg + "; " + m.hint
}

func mistaken(hint, format string, args ...any) *mistake {
	return &mistake{fmt.Sprintf(format, args...), hint}
}

const secretHint = "write id=ID,src=PATH or id=ID,env=NAME"

// ParseSecret reads a secret as docker build --secret takes it:
// id=ID,src=PATH or id=ID,env=NAME. The error says what is wrong with the
// text, and never repeats it: whoever mistakes the form may have written the
// secret itself.
func ParseSecret(text string) (Secret, error) {
	s, m := parseSecret(text)
	if m != nil {
		return Secret{}, m
	}
	return s, nil
}

func parseSecret(text string) (Secret, *mistake) {
	fields, ok := attributes(text)
	if !ok {
		return Secret{}, mistaken(secretHint, "the secret is not a list of KEY=VALUE")
	}
	var s Secret
	kind := ""
	seen := map[string]bool{}
	for _, f := range fields {
		key := f.key
		if key == "source" {
			key = "src"
		}
		switch {
		case !f.assigned:
			return Secret{}, mistaken(secretHint, "a part of the secret has no =")
		case seen[key]:
			return Secret{}, mistaken(secretHint, "the secret sets %s twice", key)
		case f.value == "":
			return Secret{}, mistaken(secretHint, "the secret has nothing after one of its =")
		}
		switch key {
		case "id":
			s.ID = f.value
		case "src":
			s.Src = f.value
		case "env":
			s.Env = f.value
		case "type":
			kind = f.value
		default:
			return Secret{}, mistaken(secretHint, "the secret has a key that is none of id, src, env and type")
		}
		seen[key] = true
	}
	if kind == "env" && s.Env == "" { // docker build's way to write id=ID,env=NAME
		s.Env, s.Src = s.Src, ""
	}
	if kind != "" && kind != "env" && kind != "file" {
		return Secret{}, mistaken("type is file or env, and may be left out", "the secret is of no type I know")
	}
	if kind == "file" && s.Env != "" {
		return Secret{}, mistaken(secretHint, "a secret of type file has no env")
	}
	return s, checkSecret(s)
}

func checkSecret(s Secret) *mistake {
	switch {
	case s.ID == "":
		return mistaken(secretHint, "the secret has no id")
	case strings.ContainsFunc(s.ID, unicode.IsSpace):
		return mistaken("", "the id of the secret holds a blank")
	case s.Src != "" && s.Env != "":
		return mistaken("keep one of them", "the secret %s has both src and env", quote(s.ID))
	case strings.ContainsAny(s.Env, "= \t"):
		return mistaken("write the name of the variable, not its value", "the env of the secret %s is not the name of a variable", quote(s.ID))
	}
	return nil
}

// ParseSSH reads an agent or keys as docker build --ssh takes them: an ID such
// as default, for the agent of whoever builds, or ID=PATH[,PATH] for the
// socket of another one, or for keys. The error says what is wrong with the
// text.
func ParseSSH(text string) (id string, paths []string, err error) {
	id, paths, m := parseSSH(text)
	if m != nil {
		return "", nil, m
	}
	return id, paths, nil
}

func parseSSH(text string) (id string, paths []string, m *mistake) {
	const hint = "write default or ID=PATH"
	id, rest, assigned := strings.Cut(text, "=")
	if id == "" || strings.ContainsFunc(id, unicode.IsSpace) || strings.ContainsAny(id, ",/") || !printable(text) {
		return "", nil, mistaken(hint, "%s names no ssh agent or key", quote(text))
	}
	if !assigned {
		return id, nil, nil
	}
	paths = strings.Split(rest, ",")
	if slices.Contains(paths, "") {
		return "", nil, mistaken(hint, "%s has an empty path", quote(text))
	}
	return id, paths, nil
}

var (
	cacheFromTypes = []string{"registry", "gha", "local", "s3", "azblob"}
	cacheToTypes   = []string{"registry", "gha", "local", "inline", "s3", "azblob"}
)

// CheckCacheFrom returns an error that says what is wrong with a --cache-from
// of docker buildx. The values of its attributes are left to whoever builds.
func CheckCacheFrom(text string) error {
	if m := checkCache(text, cacheFromTypes); m != nil {
		return m
	}
	return nil
}

// CheckCacheTo returns an error that says what is wrong with a --cache-to of
// docker buildx. The values of its attributes are left to whoever builds.
func CheckCacheTo(text string) error {
	if m := checkCache(text, cacheToTypes); m != nil {
		return m
	}
	return nil
}

// checkCache repeats no attribute: some of them are tokens.
func checkCache(text string, types []string) *mistake {
	hint := "write type=TYPE,KEY=VALUE, where TYPE is one of " + strings.Join(types, ", ")
	fields, ok := attributes(text)
	if !ok {
		return mistaken(hint, "the cache is not a list of KEY=VALUE")
	}
	if len(fields) == 1 && !fields[0].assigned {
		if slices.Contains(types, text) { // of the words, only these are no image
			return mistaken(didYouMean("type="+text), "the cache names no type")
		}
		m := checkReference(text, true)
		if m != nil && m.hint == referenceHint {
			m.hint = hint // what was meant may be no reference at all
		}
		return m
	}
	kind, seen := "", map[string]bool{}
	for _, f := range fields {
		switch key := f.key; {
		case !f.assigned || key == "" || !plainWord(key):
			return mistaken(hint, "a part of the cache is not KEY=VALUE")
		case seen[key]:
			return mistaken("", "the cache sets %s twice", quote(key))
		case key == "type":
			kind = f.value
			fallthrough
		default:
			seen[key] = true
		}
	}
	switch {
	case !seen["type"]:
		return mistaken(hint, "the cache names no type")
	case kind == "inline" && !slices.Contains(types, kind):
		return mistaken("write type=registry,ref=REFERENCE: an inline cache is part of that image", "a cache is not read as type=inline")
	case !slices.Contains(types, kind):
		if near, ok := nearest.Word(kind, types); ok {
			hint = didYouMean("type=" + near)
		}
		return mistaken(hint, "the cache type %s is none I know", quote(kind))
	}
	return nil
}

// CheckContext returns an error that says what is wrong with a named build
// context: with its name, or with what it stands for.
func CheckContext(name, value string) error {
	if m := checkContextName(name); m != nil {
		return m
	}
	if m := checkContext(value); m != nil {
		return m
	}
	return nil
}

func checkContextName(name string) *mistake {
	if name == "" || strings.Contains(name, "=") || strings.ContainsFunc(name, unicode.IsSpace) || !printable(name) || len(name) > maxText {
		return mistaken("write NAME: VALUE", "%s cannot be the name of a build context", quote(name))
	}
	return nil
}

var contextSchemes = []string{"docker-image", "https"}

func checkContext(value string) *mistake {
	const hint = "write a path, docker-image://REFERENCE, or the https URL of a git repository"
	if strings.HasPrefix(value, "git@") {
		return mistaken(hint, "the build context is fetched over ssh, which is not supported")
	}
	scheme, rest, ok := strings.Cut(value, "://")
	switch {
	case strings.TrimSpace(value) == "":
		return mistaken(hint, "the build context is empty")
	case !ok:
		return nil // a path
	case !slices.Contains(contextSchemes, scheme):
		if near, ok := nearest.Word(scheme, contextSchemes); ok {
			return mistaken(didYouMean(near+"://"), "a build context cannot begin with %s", quote(scheme+"://"))
		}
		return mistaken(hint, "a build context cannot begin with %s", quote(scheme+"://"))
	case scheme == "docker-image":
		if m := checkReference(rest, true); m != nil {
			return mistaken("write docker-image://REFERENCE, such as docker-image://alpine:3.20", "%s", m.msg)
		}
	default:
		host, _, _ := strings.Cut(rest, "/")
		switch {
		case host == "":
			return mistaken(hint, "the build context has no host after https://")
		case strings.Contains(host, "@"): // it would be in every log
			return mistaken("leave it out, and give the token as the secret GIT_AUTH_TOKEN", "the URL of the build context holds a login")
		}
	}
	return nil
}

const referenceHint = "write NAME[:TAG], such as ghcr.io/acme/web:edge"

// checkReference looks at a reference as docker writes them, with a digest or
// without.
func checkReference(text string, digest bool) *mistake {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		if lower := strings.ToLower(text); lower != text {
			if _, err := reference.ParseNormalizedNamed(lower); err == nil {
				return mistaken(didYouMean(lower), "%s is not the name of an image: it must be in lower case", quote(text))
			}
		}
		return mistaken(referenceHint, "%s is not the name of an image", quote(text))
	}
	if _, digested := named.(reference.Digested); digested && !digest {
		return mistaken("leave out the @ and what follows", "%s has a digest, which only the finished image can have", quote(text))
	}
	return nil
}

var networks = []string{"default", "none", "host"}

// CheckNetwork returns an error that says what is wrong with the network of a
// build.
func CheckNetwork(name string) error {
	if m := checkNetwork(name); m != nil {
		return m
	}
	return nil
}

func checkNetwork(name string) *mistake {
	if slices.Contains(networks, name) {
		return nil
	}
	hint := "write default, none or host"
	if near, ok := nearest.Word(name, networks); ok {
		hint = didYouMean(near)
	}
	return mistaken(hint, "%s is no network of a build", quote(name))
}

// attribute is a KEY=VALUE, its key in lower case, or a word alone in key.
type attribute struct {
	key, value string
	assigned   bool
}

// attributes cuts a list at its commas, as docker buildx does: a field with a
// comma in it stands in quotes.
func attributes(text string) ([]attribute, bool) {
	if !printable(text) || strings.TrimSpace(text) == "" {
		return nil, false
	}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return nil, false
	}
	out := make([]attribute, len(fields))
	for i, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		if ok {
			key = strings.ToLower(key)
		}
		out[i] = attribute{key, value, ok}
	}
	return out, true
}

func plainWord(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) < 0
}

func (d *decoder) decodeBuild(n *node) *Build {
	b := &Build{}
	if n.kind == stringNode {
		d.fail(n, fmt.Sprintf("write build: {context: %s}", n.text), "build must be a mapping, not text")
		return b
	}
	fields := d.fieldsOf(n, "build", buildKeys)
	for _, f := range []struct {
		key string
		to  *string
	}{{"context", &b.Context}, {"dockerfile", &b.Dockerfile}, {"target", &b.Target}, {"network", &b.Network}} {
		if v, ok := fields[f.key]; ok {
			*f.to, _ = d.textOf(v.value, f.key)
		}
	}
	if v, ok := fields["network"]; ok && b.Network != "" {
		d.mistake(v.value, checkNetwork(b.Network))
	}
	for _, f := range []struct {
		key string
		to  *bool
	}{{"no-cache", &b.NoCache}, {"pull", &b.Pull}} {
		if v, ok := fields[f.key]; ok {
			*f.to = d.boolOf(v.value, f.key)
		}
	}
	if v, ok := fields["args"]; ok {
		b.Args = d.valuesOf(v.value, "args", "build argument")
	}
	if v, ok := fields["labels"]; ok {
		b.Labels = d.valuesOf(v.value, "labels", "label")
	}
	if v, ok := fields["platforms"]; ok {
		b.Platforms = d.textsOf(v.value, "platforms")
		for i, p := range b.Platforms {
			parts := strings.Split(p, "/")
			if p != "" && (len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "")) {
				d.fail(v.value.items[i], "write OS/ARCHITECTURE, such as linux/amd64", "%s is not a platform", quote(p))
			}
		}
	}
	if v, ok := fields["contexts"]; ok {
		b.Contexts = map[string]string{}
		for _, e := range d.entriesOf(v.value, "contexts") {
			d.mistake(e.key, checkContextName(e.key.text))
			if text, ok := d.textOf(e.value, "the build context "+quote(e.key.text)); ok {
				d.mistake(e.value, checkContext(text))
				b.Contexts[e.key.text] = text
			}
		}
	}
	if v, ok := fields["secrets"]; ok {
		b.Secrets = d.decodeSecrets(v.value)
	}
	for _, f := range []struct {
		key   string
		to    *[]string
		check func(string) *mistake
	}{
		{"ssh", &b.SSH, func(s string) *mistake { _, _, m := parseSSH(s); return m }},
		{"cache-from", &b.CacheFrom, func(s string) *mistake { return checkCache(s, cacheFromTypes) }},
		{"cache-to", &b.CacheTo, func(s string) *mistake { return checkCache(s, cacheToTypes) }},
		{"tags", &b.Tags, func(s string) *mistake { return checkReference(s, false) }},
	} {
		v, ok := fields[f.key]
		if !ok {
			continue
		}
		*f.to = d.textsOf(v.value, f.key)
		for i, text := range *f.to {
			if text != "" { // textsOf has said so
				d.mistake(v.value.items[i], f.check(text))
			}
		}
	}
	d.onceByID(fields["ssh"].value, b.SSH)
	return b
}

func (d *decoder) mistake(n *node, m *mistake) {
	if m != nil {
		d.fail(n, m.hint, "%s", m.msg)
	}
}

// onceByID refuses two entries of ssh with one id, of which BuildKit would
// take the last.
func (d *decoder) onceByID(list *node, texts []string) {
	first := map[string]string{}
	for i, text := range texts {
		id, _, m := parseSSH(text)
		if m != nil {
			continue
		}
		if before, ok := first[id]; ok && before != text { // textsOf has said the other
			d.fail(list.items[i], "", "the ssh id %s is already listed", quote(id))
		}
		first[id] = text
	}
}

// boolOf reads true or false. YAML 1.1's yes and on are texts today.
func (d *decoder) boolOf(n *node, what string) bool {
	switch {
	case n.kind == otherScalar && strings.EqualFold(n.text, "true"):
		return true
	case n.kind == otherScalar && strings.EqualFold(n.text, "false"):
		return false
	}
	hint := ""
	switch strings.ToLower(n.text) {
	case "yes", "on", "y", "1":
		hint = didYouMean("true")
	case "no", "off", "n", "0":
		hint = didYouMean("false")
	}
	d.fail(n, hint, "%s must be true or false", what)
	return false
}

// valuesOf reads a mapping from names to texts; numbers are kept as they were
// written.
func (d *decoder) valuesOf(n *node, key, what string) map[string]string {
	out := map[string]string{}
	for _, e := range d.entriesOf(n, key) {
		name := quote(e.key.text)
		switch {
		case e.key.text == "" || strings.Contains(e.key.text, "=") || strings.ContainsFunc(e.key.text, unicode.IsSpace) || !printable(e.key.text) || len(e.key.text) > maxText:
			d.fail(e.key, "write NAME: VALUE", "%s cannot be the name of a %s", name, what)
		case len(e.value.text) > maxText:
			d.fail(e.value, "", "the %s %s has more than %d bytes", what, name, maxText)
		case e.value.kind == mapNode || e.value.kind == listNode:
			d.fail(e.value, "", "the %s %s must be text, not %s", what, name, e.value.kind)
		case strings.Contains(e.value.text, "\x00"):
			d.fail(e.value, "", "the %s %s holds a NUL character", what, name)
		default:
			out[e.key.text] = e.value.text
		}
	}
	return out
}

// decodeSecrets reads texts as of docker build --secret, and mappings.
func (d *decoder) decodeSecrets(n *node) []Secret {
	if n.kind != listNode || len(n.items) == 0 {
		d.fail(n, `write a list: ["id=ID,src=PATH"]`, "secrets must be a list")
		return nil
	}
	var out []Secret
	first := map[string]int{}
	for _, item := range n.items {
		var s Secret
		var m *mistake
		if item.kind == mapNode {
			fields := d.fieldsOf(item, "a secret", secretKeys)
			if len(item.entries) == 0 {
				continue
			}
			complete := true
			for _, f := range []struct {
				key string
				to  *string
			}{{"id", &s.ID}, {"src", &s.Src}, {"env", &s.Env}} {
				if v, ok := fields[f.key]; ok {
					*f.to, ok = d.textOf(v.value, f.key)
					complete = complete && ok
				}
			}
			if !complete {
				continue // textOf has said so
			}
			m = checkSecret(s)
		} else {
			text, ok := d.textOf(item, "a secret")
			if !ok {
				continue
			}
			s, m = parseSecret(text)
		}
		if m != nil {
			d.mistake(item, m)
			continue
		}
		if line, ok := first[s.ID]; ok {
			d.fail(item, "", "the secret %s is already listed in line %d", quote(s.ID), line)
		}
		first[s.ID] = item.line
		out = append(out, s)
	}
	return out
}
