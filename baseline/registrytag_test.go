package baseline

import (
	"regexp"
	"strings"
	"testing"
)

var ociTag = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

func TestTags(t *testing.T) {
	t.Parallel()
	sha1, sha256 := strings.Repeat("a1", 20), strings.Repeat("b2", 32)
	for _, c := range []struct {
		prefix string
		key    Key
		want   string // with a hash where there is an *
	}{
		{"", Key{Image: "web", Platform: "linux/amd64", Commit: sha1}, "web.linux-amd64." + sha1},
		{"size", Key{Image: "web", Platform: "linux/arm64/v8", Commit: sha1}, "size.web.linux-arm64-v8." + sha1},
		{"", Key{Image: "web", Platform: "linux/amd64", Commit: ""}, "web.linux-amd64"},
		{"", Key{Image: "web_1-a", Platform: "windows/amd64", Commit: "v1"}, "web_1-a.windows-amd64.v1"},
		{"", Key{Image: "web", Platform: "linux/amd64", Commit: sha256}, "web.linux-amd64." + sha256[:22] + "__*"},
		{"", Key{Image: "Web", Platform: "linux/amd64", Commit: sha1}, "web__*.linux-amd64." + sha1},
		{"", Key{Image: "a.b/c", Platform: "linux/amd64", Commit: sha1}, "a-b-c__*.linux-amd64." + sha1},
		{"", Key{Image: "a__b", Platform: "linux/amd64", Commit: sha1}, "a__b__*.linux-amd64." + sha1},
		{"", Key{Image: "-", Platform: "linux/amd64", Commit: ""}, "__*.linux-amd64"},
		{"", Key{Image: "ünïcode", Platform: "unknown", Commit: "HEAD~1"}, "-n-code__*.unknown__*.head-1__*"},
		{"a-prefix-of-20-chars", Key{Image: strings.Repeat("x", 900), Platform: "linux/" + strings.Repeat("y", 100), Commit: sha256}, "a-prefix-of-20-chars.xxxxxxxxxxxxxxxxxx__*.linux-yyyy__*." + sha256[:22] + "__*"},
	} {
		got := tagNames{c.prefix}.baseline(c.key)
		form := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimPrefix(c.want, "-")), `\*`, "[a-z2-7]{16}")
		if !regexp.MustCompile("^"+form+"$").MatchString(got) || !ociTag.MatchString(got) {
			t.Errorf("%+v: %s, want %s", c.key, got, c.want)
		}
	}
	for tag, ours := range map[string]bool{
		"latest": false, "1.2.3": false, "1.27-alpine": false, "v1.2": false, "web.linux-amd64.x.y": false, "web.linux-amd64.": false,
		"web.linux": false, "web.linux-amd64.HEAD": false, "layer." + strings.Repeat("a", 64): false, "layer.linux-amd64": true, "web.linux-amd64.edge": true,
	} {
		if _, ok := (tagNames{}).parse(tag); ok != ours {
			t.Errorf("%s is a baseline's: %v", tag, ok)
		}
	}
}

// FuzzTags: whatever a key holds, its tag is one, is taken apart again into its
// parts, is no layer's, and is no other key's.
func FuzzTags(f *testing.F) {
	f.Add("", "web", "linux/amd64", "abc", "web", "linux/amd64", "")
	f.Add("size", "a.b", "linux/amd64", "abc", "a", "b.linux/amd64", "abc")
	f.Add("", "a__aaaaaaaaaaaaaaaa", "linux/amd64", "", "A", "linux/amd64", "")
	f.Add("size", strings.Repeat("0a", 32), "linux/amd64", "", "web", "linux/amd64", "")
	f.Add("", "layer", "x/"+strings.Repeat("a", 64), "", "layer", strings.Repeat("a", 64), "")
	f.Fuzz(func(t *testing.T, prefix, image, platform, commit, image2, platform2, commit2 string) {
		if prefix != "" && !prefixForm.MatchString(prefix) {
			t.Skip()
		}
		n := tagNames{prefix}
		a, b := Key{Image: image, Platform: platform, Commit: commit}, Key{Image: image2, Platform: platform2, Commit: commit2}
		tag := n.baseline(a)
		if !ociTag.MatchString(tag) || n.isLayer(tag) {
			t.Fatalf("%q", tag)
		}
		parts, ok := n.parse(tag)
		if !ok || parts.image != n.image(image) || parts.platform != n.platform(platform) || parts.commit != n.commit(commit) {
			t.Fatalf("%q: %+v, %v", tag, parts, ok)
		}
		if (a == b) != (tag == n.baseline(b)) {
			t.Fatalf("%+v and %+v: %s", a, b, tag)
		}
		if layer := n.layer("sha256:" + image); layer != "" && (!ociTag.MatchString(layer) || !n.isLayer(layer)) {
			t.Fatalf("%q", layer)
		}
	})
}
