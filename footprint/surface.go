package footprint

import (
	"path"
	"regexp"
	"slices"
)

// Surface is what an intruder would find to work with in the final filesystem.
// How many files are executable is in [Metrics].
type Surface struct {
	// Setuid are the files with the setuid or setgid bit, in path order, at most
	// [MaxSurface].
	Setuid []string `json:"setuid"`
	// Shells, PackageManagers and Compilers are paths of programs known by their
	// names, in path order, links to them included, at most [MaxSurface] each.
	Shells          []string `json:"shells"`
	PackageManagers []string `json:"package_managers"`
	Compilers       []string `json:"compilers"`
}

// MaxSurface bounds each list of a [Surface].
const MaxSurface = 100

// add lists a file if it is of use to an intruder.
func (s *Surface) add(f File) {
	if f.Kind == Regular && f.Mode&0o6000 != 0 {
		keepSurface(&s.Setuid, f.Path)
	}
	if f.Kind != Symlink && (f.Kind != Regular || f.Mode&0o111 == 0) {
		return
	}
	dir, name := path.Split(f.Path)
	if dir = path.Base(dir); dir != "bin" && dir != "sbin" {
		return
	}
	name = crossPrefix.ReplaceAllString(name, "")
	if at := versionSuffix.FindStringIndex(name); at != nil && at[0] > 0 {
		name = name[:at[0]]
	}
	// An applet of busybox is a shell, but its rpm and dpkg install nothing.
	applet := f.Kind == Symlink && slices.Contains(boxes, path.Base(f.Link))
	switch {
	case slices.Contains(shells, name):
		keepSurface(&s.Shells, f.Path)
	case applet:
	case slices.Contains(packageManagers, name):
		keepSurface(&s.PackageManagers, f.Path)
	case slices.Contains(compilers, name):
		keepSurface(&s.Compilers, f.Path)
	}
}

func keepSurface(list *[]string, p string) {
	if len(*list) < MaxSurface {
		*list = append(*list, p)
	}
}

var (
	// crossPrefix and versionSuffix stand around a compiler's name, as in
	// x86_64-linux-gnu-gcc-12 and pip3.11.
	crossPrefix   = regexp.MustCompile(`^[a-z0-9_]+-(?:[a-z0-9]+-)?linux-(?:gnu|musl)[a-z]*-`)
	versionSuffix = regexp.MustCompile(`-?[0-9][0-9.]*$`)

	// boxes are programs that are many.
	boxes           = []string{"busybox", "toybox"}
	shells          = []string{"ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh"}
	packageManagers = []string{"apk", "apt", "apt-get", "bundle", "bundler", "cargo", "composer", "conda", "corepack", "dnf", "dpkg", "gem", "mamba", "microdnf", "npm", "npx", "opkg", "pacman", "pip", "pipx", "pnpm", "poetry", "rpm", "uv", "yarn", "yum", "zypper"}
	compilers       = []string{"c++", "cc", "clang", "clang++", "g++", "gcc", "gfortran", "ghc", "go", "javac", "rustc", "tcc"}
)
