package footprint

import "strings"

// known are the directories that everyone knows by a name. A path without a
// leading slash is that of a directory below any other; * is any one name.
var known = []struct{ label, path string }{
	{"npm cache", ".npm/_cacache"},
	{"yarn cache", ".cache/yarn"},
	{"yarn cache", ".yarn/cache"},
	{"yarn cache", ".yarn/berry/cache"},
	{"pnpm store", ".pnpm-store"},
	{"pnpm store", ".local/share/pnpm/store"},
	{"pnpm cache", ".cache/pnpm"},
	{"pip cache", ".cache/pip"},
	{"uv cache", ".cache/uv"},
	{"poetry cache", ".cache/pypoetry"},
	{"apt lists", "/var/lib/apt/lists"},
	{"apt cache", "/var/cache/apt"},
	{"apk cache", "/var/cache/apk"},
	{"apk cache", "/etc/apk/cache"},
	{"yum cache", "/var/cache/yum"},
	{"dnf cache", "/var/cache/dnf"},
	{"dnf cache", "/var/cache/libdnf5"},
	{"git history", ".git"},
	{"Go build cache", ".cache/go-build"},
	{"Go module cache", "go/pkg/mod"},
	{"Cargo registry", ".cargo/registry"},
	{"Cargo registry", "cargo/registry"},
	{"Cargo git checkouts", ".cargo/git"},
	{"Cargo git checkouts", "cargo/git"},
	{"Maven repository", ".m2/repository"},
	{"Gradle cache", ".gradle/caches"},
	{"Composer cache", ".composer/cache"},
	{"Composer cache", ".cache/composer"},
	{"gem cache", "gems/*/cache"},
	{"gem cache", "bundle/cache"},
	{"gem cache", "bundle/ruby/*/cache"},
	{"Node packages", "node_modules"},
	{"Python bytecode", "__pycache__"},
	{"translations", "/usr/share/locale"},
	{"documentation", "/usr/share/doc"},
	{"manual pages", "/usr/share/man"},
	{"info pages", "/usr/share/info"},
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
