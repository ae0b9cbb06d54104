package footprint

import (
	"slices"
	"strings"
)

// known are the directories that everyone knows by a name. A path without a
// leading slash is that of a directory below any other; * is any one name. The
// kind is that of all that is in them.
var known = []struct {
	label, path string
	kind        ContentKind
}{
	{"npm cache", ".npm/_cacache", PackageCaches},
	{"npm logs", ".npm/_logs", ""},
	{"yarn cache", ".cache/yarn", PackageCaches},
	{"yarn cache", ".yarn/cache", PackageCaches},
	{"yarn cache", ".yarn/berry/cache", PackageCaches},
	{"pnpm store", ".pnpm-store", PackageCaches},
	{"pnpm store", ".local/share/pnpm/store", PackageCaches},
	{"pnpm cache", ".cache/pnpm", PackageCaches},
	{"pip cache", ".cache/pip", PackageCaches},
	{"uv cache", ".cache/uv", PackageCaches},
	{"poetry cache", ".cache/pypoetry", PackageCaches},
	{"apt lists", "/var/lib/apt/lists", PackageCaches},
	{"apt cache", "/var/cache/apt", PackageCaches},
	{"apk cache", "/var/cache/apk", PackageCaches},
	{"apk cache", "/etc/apk/cache", PackageCaches},
	{"yum cache", "/var/cache/yum", PackageCaches},
	{"dnf cache", "/var/cache/dnf", PackageCaches},
	{"dnf cache", "/var/cache/libdnf5", PackageCaches},
	{"git history", ".git", VersionControl},
	{"Go build cache", ".cache/go-build", PackageCaches},
	{"Go module cache", "go/pkg/mod", PackageCaches},
	{"Cargo registry", ".cargo/registry", PackageCaches},
	{"Cargo registry", "cargo/registry", PackageCaches},
	{"Cargo git checkouts", ".cargo/git", PackageCaches},
	{"Cargo git checkouts", "cargo/git", PackageCaches},
	{"Maven repository", ".m2/repository", PackageCaches},
	{"Gradle cache", ".gradle/caches", PackageCaches},
	{"Composer cache", ".composer/cache", PackageCaches},
	{"Composer cache", ".cache/composer", PackageCaches},
	{"gem cache", "gems/*/cache", PackageCaches},
	{"gem cache", "bundle/cache", PackageCaches},
	{"gem cache", "bundle/ruby/*/cache", PackageCaches},
	{"Node packages", "node_modules", ""},
	{"Python bytecode", "__pycache__", ""},
	{"translations", "/usr/share/locale", Locales},
	{"documentation", "/usr/share/doc", Documentation},
	{"manual pages", "/usr/share/man", Documentation},
	{"info pages", "/usr/share/info", Documentation},
	{"documentation", "/usr/local/share/doc", Documentation},
	{"manual pages", "/usr/local/share/man", Documentation},
	{"language definitions", "/usr/share/i18n", Locales},
	{"language definitions", "/usr/lib/locale", Locales},
	{"debug symbols", "/usr/lib/debug", DebugInfo},
	{"Mercurial history", ".hg", VersionControl},
	{"Subversion history", ".svn", VersionControl},
	{"package database", "/var/lib/dpkg", ""},
	{"package database", "/lib/apk/db", ""},
	{"package database", "/usr/lib/apk/db", ""},
	{"package database", "/var/lib/rpm", ""},
	{"package database", "/usr/lib/sysimage/rpm", ""},
	{"debconf database", "/var/cache/debconf", ""},
}

// records are where package managers of systems write down what they do.
var records = []string{
	"/var/lib/dpkg", "/var/cache/debconf", "/var/log/apt", "/var/log/dpkg.log", "/var/log/alternatives.log",
	"/lib/apk/db", "/usr/lib/apk/db", "/var/log/apk.log",
	"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/dnf", "/var/lib/yum", "/var/log/dnf.log", "/var/log/yum.log",
	"/var/cache/ldconfig", "/etc/ld.so.cache",
}

// isRecord tells whether a path is one of these, or in one.
func isRecord(path string) bool {
	return slices.ContainsFunc(records, func(r string) bool { return path == r || holds(r, path) })
}

// label names a well-known directory, and is "" for any other path.
func label(path string) string {
	for _, k := range known {
		if endsWith(path, k.path) {
			return k.label
		}
	}
	return ""
}

// kindOf is the kind of all that is in a well-known directory, "" of another.
func kindOf(dir string) ContentKind {
	for i := range known {
		if known[i].kind != "" && endsWith(dir, known[i].path) {
			return known[i].kind
		}
	}
	return ""
}

// endsWith tells whether the last components of path are those of pattern, or
// all of them if the pattern is absolute.
func endsWith(path, pattern string) bool {
	for {
		name, rest := lastName(path)
		want, more := lastName(pattern)
		if name == "" || want != "*" && want != name {
			return false
		}
		switch more {
		case "":
			return true
		case "/":
			return rest == "/"
		}
		path, pattern = rest, more
	}
}

// lastName cuts the last component off; the rest is "/" above an absolute
// name, and "" above a relative one.
func lastName(path string) (name, rest string) {
	slash := strings.LastIndexByte(path, '/')
	switch slash {
	case -1:
		return path, ""
	case 0:
		return path[1:], "/"
	}
	return path[slash+1:], path[:slash]
}
