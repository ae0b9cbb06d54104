package baseline

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"strings"
)

// A tag has at most 128 characters: those of a prefix, of the three parts of a
// key, and a dot after each but the last.
const (
	maxImagePart    = 36
	maxPlatformPart = 28
	maxCommitPart   = 40 // a commit of SHA-1
)

var (
	prefixForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,19}$`)
	imageForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,35}$`)
	platformForm = regexp.MustCompile(`^[a-z]+(/[a-z0-9]+)+$`)
	commitForm   = regexp.MustCompile(`^[0-9a-z]{1,40}$`)
	layerForm    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// An encoded part ends in a hash, which nothing that fits has in it.
	imagePart    = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]{0,35}|[a-z0-9_-]{0,18}__[a-z2-7]{16})$`)
	platformPart = regexp.MustCompile(`^([a-z]+(-[a-z0-9]+)+|[a-z0-9_-]{0,10}__[a-z2-7]{16})$`)
	commitPart   = regexp.MustCompile(`^([0-9a-z]{1,40}|[a-z0-9_-]{0,22}__[a-z2-7]{16})$`)
)

// tagNames makes the tags of keys, and keys of tags. Two keys never have one
// tag: what fits stands in it as it is, anything else as the letters of it that
// fit, two underscores and a hash. Case is not told apart by every registry, so
// upper case does not fit.
type tagNames struct{ prefix string }

func (n tagNames) image(image string) string {
	if imageForm.MatchString(image) && !strings.Contains(image, "__") {
		return image
	}
	return hashed(image, maxImagePart)
}

func (n tagNames) platform(platform string) string {
	if platformForm.MatchString(platform) && len(platform) <= maxPlatformPart {
		return strings.ReplaceAll(platform, "/", "-")
	}
	return hashed(platform, maxPlatformPart)
}

// commit is "" for none.
func (n tagNames) commit(commit string) string {
	if commit == "" || commitForm.MatchString(commit) {
		return commit
	}
	return hashed(commit, maxCommitPart)
}

func hashed(s string, most int) string {
	sum := sha256.Sum256([]byte(s))
	hash := "__" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
	legible := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '-'
	}, strings.ToLower(s))
	legible = strings.TrimLeft(legible[:min(len(legible), most-len(hash))], "-")
	return legible + hash
}

// baseline is the tag of a key: web.linux-amd64.COMMIT.
func (n tagNames) baseline(key Key) string {
	parts := []string{n.image(key.Image), n.platform(key.Platform)}
	if commit := n.commit(key.Commit); commit != "" {
		parts = append(parts, commit)
	}
	return n.with(strings.Join(parts, "."))
}

// layer is the tag of a layer's index: layer.HEX. No image and platform have
// it, for a platform is never as long. It is "" for what is no diffID.
func (n tagNames) layer(diffID string) string {
	digest, ok := strings.CutPrefix(diffID, "sha256:")
	if !ok || !layerForm.MatchString(digest) {
		return ""
	}
	return n.with("layer." + digest)
}

func (n tagNames) isLayer(tag string) bool {
	tag, ours := n.without(tag)
	digest, layer := strings.CutPrefix(tag, "layer.")
	return ours && layer && layerForm.MatchString(digest)
}

func (n tagNames) with(tag string) string {
	if n.prefix == "" {
		return tag
	}
	return n.prefix + "." + tag
}

func (n tagNames) without(tag string) (string, bool) {
	if n.prefix == "" {
		return tag, true
	}
	return strings.CutPrefix(tag, n.prefix+".")
}

// tagged is the tag of a baseline, and its parts.
type tagged struct{ tag, image, platform, commit string }

// parse takes a tag apart. It is false for one that is no baseline's; that one
// which looks like it is a baseline's, only its manifest says.
func (n tagNames) parse(tag string) (tagged, bool) {
	rest, ours := n.without(tag)
	parts := strings.Split(rest, ".")
	if !ours || len(parts) < 2 || len(parts) > 3 {
		return tagged{}, false
	}
	t := tagged{tag: tag, image: parts[0], platform: parts[1]}
	if len(parts) == 3 {
		t.commit = parts[2]
	}
	ok := imagePart.MatchString(t.image) && platformPart.MatchString(t.platform) && len(t.platform) <= maxPlatformPart &&
		(len(parts) == 2 || commitPart.MatchString(t.commit))
	return t, ok
}

// showPlatform is the platform as it is written, if the tag tells it.
func (t tagged) showPlatform() string {
	if strings.Contains(t.platform, "__") {
		return t.platform
	}
	return strings.ReplaceAll(t.platform, "-", "/")
}
