package footprint

import "testing"

func TestLabel(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/root/.npm/_cacache": "npm cache", "/home/node/.npm/_cacache": "npm cache", "/.npm/_cacache": "npm cache",
		"/root/.npm": "", "/root/.npm/_cacache/index-v5": "", "/root/x.npm/_cacache": "",
		"/usr/local/share/.cache/yarn": "yarn cache", "/app/.yarn/cache": "yarn cache", "/root/.local/share/pnpm/store": "pnpm store",
		"/root/.cache/pip": "pip cache", "/root/.cache": "",
		"/var/lib/apt/lists": "apt lists", "/srv/var/lib/apt/lists": "", "/var/lib/apt": "", "/var/cache/apt": "apt cache",
		"/var/cache/apk": "apk cache", "/var/cache/yum": "yum cache", "/var/cache/dnf": "dnf cache",
		"/app/.git": "git history", "/.git": "git history", "/app/.github": "", "/app/x.git": "",
		"/go/pkg/mod": "Go module cache", "/root/go/pkg/mod": "Go module cache", "/root/.cache/go-build": "Go build cache",
		"/usr/local/cargo/registry": "Cargo registry", "/root/.cargo/registry": "Cargo registry",
		"/root/.m2/repository": "Maven repository", "/root/.gradle/caches": "Gradle cache", "/root/.composer/cache": "Composer cache",
		"/usr/lib/ruby/gems/3.1.0/cache": "gem cache", "/usr/local/bundle/cache": "gem cache", "/app/vendor/bundle/ruby/3.3.0/cache": "gem cache",
		"/app/node_modules": "Node packages", "/node_modules": "Node packages", "/app/node_modules/express": "",
		"/usr/lib/python3/dist-packages/__pycache__": "Python bytecode",
		"/usr/share/locale":                          "translations", "/app/usr/share/locale": "", "/usr/share/doc": "documentation", "/usr/share/man": "manual pages",
		"/": "", "": "", "*": "",
	} {
		if got := label(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
