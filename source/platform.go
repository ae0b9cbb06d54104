package source

import (
	"cmp"
	"fmt"
	"runtime"
	"sort"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// platform is what an image runs on, with variants that mean "plain" dropped.
type platform struct{ os, arch, variant string }

// unknownPlatform is how a platform prints of which nothing is known.
const unknownPlatform = "unknown/unknown"

// CheckPlatform returns an error that wraps ErrUsage if s is neither empty nor
// OS/ARCH or OS/ARCH/VARIANT, in lower case.
func CheckPlatform(s string) error {
	_, err := parsePlatform(s)
	return err
}

func parsePlatform(s string) (platform, error) {
	if s == "" {
		return platform{}, nil
	}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return platform{}, usageError("parsing platform %.60q: write it as OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64", s)
	}
	for _, p := range parts {
		if p == "" || !plainWord(p) {
			return platform{}, usageError("parsing platform %.60q: write it as OS/ARCH or OS/ARCH/VARIANT in lower case, such as linux/amd64", s)
		}
	}
	return newPlatform(parts[0], parts[1], strings.Join(parts[2:], "")), nil
}

// plainWord reports whether s is empty or a word as the names of systems and
// architectures are. Platforms go into reports and runner logs as they are.
func plainWord(s string) bool {
	const longest = 64
	return len(s) <= longest && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// checkPlatform refuses names of an image or index that are no plain words.
func checkPlatform(os, arch, variant string) error {
	for _, s := range []string{os, arch, variant} {
		if !plainWord(s) {
			return fmt.Errorf("its platform holds %.60q, which is not a word of a-z, 0-9, '.', '_' and '-'; build the image again for a platform such as linux/amd64", s)
		}
	}
	return nil
}

// newPlatform drops the variant that every machine of the architecture has.
func newPlatform(os, arch, variant string) platform {
	switch {
	case arch == "arm64" && variant == "v8", arch == "amd64" && variant == "v1":
		variant = ""
	case arch == "arm" && variant == "":
		variant = "v7"
	}
	return platform{os, arch, variant}
}

func (p platform) zero() bool { return p == platform{} }

func (p platform) String() string {
	s := cmp.Or(p.os, "unknown") + "/" + cmp.Or(p.arch, "unknown")
	if p.variant != "" {
		s += "/" + p.variant
	}
	return s
}

// matches reports whether an image of platform have is what p asks for. Where
// the image says nothing, nothing contradicts.
func (p platform) matches(have platform) bool {
	return (have.os == "" || p.os == have.os) &&
		(have.arch == "" || p.arch == have.arch) &&
		(have.arch == "" || p.variant == have.variant)
}

func descriptorPlatform(d v1.Descriptor) platform {
	if d.Platform == nil {
		return platform{}
	}
	return newPlatform(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)
}

func configPlatform(c *v1.ConfigFile) platform {
	return newPlatform(c.OS, c.Architecture, c.Variant)
}

// attests reports whether a descriptor in an index is not an image but says
// something about one, as BuildKit's provenance does.
func attests(d v1.Descriptor) bool {
	if d.Annotations["vnd.docker.reference.type"] != "" {
		return true
	}
	return d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// choose orders the descriptors that may be the image asked for, best first.
// One without a platform is a candidate until its config is read. An error
// lists the platforms there are.
func choose(all []v1.Descriptor, want platform) ([]v1.Descriptor, error) {
	if want.zero() && len(all) == 1 {
		return all, nil
	}
	asked := "asked for"
	if want.zero() {
		want = newPlatform("linux", runtime.GOARCH, "")
		asked = "looked for by default"
	}
	var exact, silent []v1.Descriptor
	for _, d := range all {
		switch p := descriptorPlatform(d); {
		case p.zero() || p.os == "":
			silent = append(silent, d)
		case want.matches(p):
			exact = append(exact, d)
		}
	}
	if len(exact)+len(silent) == 0 {
		return nil, fmt.Errorf("choosing a platform: %s was %s, but there is only %s; choose one with --platform", want, asked, platformList(all))
	}
	return append(exact, silent...), nil
}

func platformList(all []v1.Descriptor) string {
	seen := map[string]bool{}
	var names []string
	for _, d := range all {
		s := show(descriptorPlatform(d).String())
		if !seen[s] && !descriptorPlatform(d).zero() {
			seen[s] = true
			names = append(names, s)
		}
	}
	sort.Strings(names)
	if len(names) == 0 {
		return "no image"
	}
	if len(names) > 20 {
		names = append(names[:20], fmt.Sprintf("%d more", len(names)-20))
	}
	return strings.Join(names, ", ")
}
