package pkgdb

import (
	"archive/zip"
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLangWants(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"node_modules/a/package.json":                                        "npm package",
		"app/node_modules/@s/a/package.json":                                 "npm package",
		"app/node_modules/a/node_modules/@s/b/package.json":                  "npm package",
		"app/node_modules/.pnpm/a@1/node_modules/a/package.json":             "npm package",
		"app/node_modules/.store/a-npm-1/package/package.json":               "npm package",
		"app/.yarn/unplugged/a-npm-1-0123456789/node_modules/a/package.json": "npm package",
		"app/node_modules/package.json":                                      "",
		"app/node_modules/@s/package.json":                                   "",
		"app/node_modules/a/lib/package.json":                                "",
		"app/node_modules/a/dist/b/package.json":                             "",
		"app/node_modules/a/test/node_modules/b/package.json":                "",
		"app/node_modules/.bin/package.json":                                 "",
		"app/node_modules/.cache/a/package.json":                             "",
		"app/node_modules/.cache/package/package.json":                       "",
		"package.json":                                                             "npm project",
		"app/my_node_modules/package.json":                                         "npm project",
		"a/b/c/d/e/f/g/h/i/package.json":                                           "",
		"app/node_modules/.package-lock.json":                                      "npm lockfile",
		"app/.package-lock.json":                                                   "",
		"app/node_modules/.pnpm/lock.yaml":                                         "pnpm lockfile",
		"app/node_modules/.yarn-integrity":                                         "yarn state",
		"app/.yarn/cache/a-npm-1.0.0-0123456789-0123456789.zip":                    "yarn archive",
		"root/.yarn/berry/cache/a-npm-1.0.0-0123456789-10c0.zip":                   "yarn archive",
		"app/.yarn/cache/a-npm-1.0.0.zip":                                          "",
		"app/.pnp.cjs":                                                             "yarn map",
		"v/lib/python3.11/site-packages/a-1.dist-info/METADATA":                    "Python metadata",
		"v/lib/python3.11/site-packages/a-1.dist-info/RECORD":                      "Python record",
		"v/lib/python3.11/site-packages/a-1.dist-info/REQUESTED":                   "Python request",
		"v/lib/python3.11/site-packages/a-1.dist-info/INSTALLER":                   "",
		"v/lib/python3.11/site-packages/setuptools/_vendor/a-1.dist-info/METADATA": "",
		"var/task/a-1.dist-info/METADATA":                                          "Python metadata",
		"src/a.egg-info/PKG-INFO":                                                  "",
		"usr/lib/python3/dist-packages/a-1.egg-info":                               "Python metadata",
		"usr/lib/python3/dist-packages/a-1-py3.11.egg-info/installed-files.txt":    "Python file list",
		"opt/conda/conda-meta/zlib-1.3-h1.json":                                    "conda package",
		"b/specifications/a-1.gemspec":                                             "gem specification",
		"b/specifications/default/a-1.gemspec":                                     "gem specification",
		"b/gems/a-1/a.gemspec":                                                     "",
		"b/bundler/gems/a-0123456789ab/a.gemspec":                                  "gem from git",
		"b/extensions/x86_64-linux/3.1.0/a-1/gem.build_complete":                   "gem extension",
		"srv/vendor/composer/installed.json":                                       "Composer packages",
		"srv/vendor/a/b/composer.json":                                             "",
		"srv/composer.json":                                                        "Composer project",
		"app/App.deps.json":                                                        ".NET dependencies",
		"app/App.runtimeconfig.json":                                               "",
	} {
		got, _, _ := langRead(t, langFile{at, []byte("# stub: a 1 ruby lib\n")})
		if got != want {
			t.Errorf("%s is read as %q, want %q", at, got, want)
		}
	}
}

func TestLangFacts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, path, content string
		want                []Package
	}{
		{
			"fields of other types", "app/node_modules/a/package.json",
			"\xef\xbb\xbf" + `{"dependencies": [], "name": "a", "version": "1.0", "peerDependencies": {"b": 1, "c": {}}, "optionalDependencies": null}`,
			[]Package{{Root: "/app/node_modules/a", Name: "a", Version: "1.0", Installed: true, Trees: []string{"/app/node_modules/a"}, Requires: []string{"b", "c"}}},
		},
		{
			"a name that is none", "usr/lib/node_modules/@s/a/package.json", `{"name": "../../etc", "version": 1, "dependencies": {"../x": "*", "@y": "*", "a/b": "*", "": "*", "k": "npm:../x@1", "m": "npm:@s/real@1"}}`,
			[]Package{{Root: "/usr/lib/node_modules/@s/a", Name: "@s/a", Installed: true, Trees: []string{"/usr/lib/node_modules/@s/a"}, Requires: []string{"@s/real", "k"}, Asked: ByName}},
		},
		{
			"a project", "package.json", `{"dependencies": {"a": "1", "../../etc": "1", "@s/b": "npm:c@1"}, "devDependencies": {"a": "1", "d": "1"}}`,
			[]Package{
				{Root: "/node_modules/@s/b", Name: "c", Asked: ByName},
				{Root: "/node_modules/a", Name: "a", Asked: ByName},
				{Root: "/node_modules/d", Name: "d", Asked: ByName, Dev: true},
			},
		},
		{"a template", "src/package.json", `{"name": {{ name }}}`, nil},
		{
			"a lockfile that reaches out", "app/node_modules/.package-lock.json",
			`{"packages": {"node_modules/../../../etc": {}, "../x/node_modules/y": {}, "x/../../node_modules/y": {}, "/node_modules/z": {}, "node_modules/a": {"version": "1", "dev": true}, "node_modules/l": {"link": true}}}`,
			[]Package{{Root: "/app/node_modules/a", Name: "a", Version: "1", Dev: true}},
		},
		{
			"pnpm of old", "app/node_modules/.pnpm/lock.yaml",
			"lockfileVersion: 5.4\nspecifiers:\n  a: ^1\ndependencies:\n  a: 1.0.0_b@2.0.0\n  c: link:../c\n  e: /@s/f/2.0.0\ndevDependencies:\n  '@s/d':\n    specifier: ^1\n    version: 1.0.0(b@2.0.0)(c@3.0.0)\npackages:\n  dependencies:\n    x: 1.0.0\n",
			[]Package{
				{Root: "/app/node_modules/.pnpm/a@1.0.0_b@2.0.0/node_modules/a", Name: "a", Asked: ByName},
				{Root: "/app/node_modules/.pnpm/@s+f@2.0.0/node_modules/@s/f", Name: "@s/f", Asked: ByName},
				{Root: "/app/node_modules/.pnpm/@s+d@1.0.0_b@2.0.0_c@3.0.0/node_modules/@s/d", Name: "@s/d", Asked: ByName, Dev: true},
			},
		},
		{
			"a workspace of yarn", "app/node_modules/.yarn-integrity",
			`{"modulesFolders": ["node_modules", "node_modules", "packages/a/node_modules"], "topLevelPatterns": ["@s/a@^1", "b@npm:@s/c@2", "", "../x@1", 1], "lockfileEntries": {}}`,
			[]Package{{Root: "/app/node_modules/@s/a", Name: "@s/a", Asked: ByName}, {Root: "/app/node_modules/b", Name: "@s/c", Asked: ByName}},
		},
		{"a single project of yarn", "app/node_modules/.yarn-integrity", `{"modulesFolders": ["node_modules"], "topLevelPatterns": ["a@^1"]}`, nil},
		{
			"an archive of a scope with a hyphen", "a/.yarn/cache/@my-scope-x-npm-1.0.0-beta.1-0123456789-10c0.zip", langZip(t, "node_modules/", "node_modules/@my-scope/", "node_modules/@my-scope/x/"),
			[]Package{{Root: "/a/.yarn/cache/@my-scope-x-npm-1.0.0-beta.1-0123456789-10c0.zip", Name: "@my-scope/x", Version: "1.0.0-beta.1", Installed: true, Files: []string{"/a/.yarn/cache/@my-scope-x-npm-1.0.0-beta.1-0123456789-10c0.zip"}}},
		},
		{
			"an archive that is none", "a/.yarn/cache/@my-x-npm-1.0.0-0123456789-10c0.zip", "PK",
			[]Package{{Root: "/a/.yarn/cache/@my-x-npm-1.0.0-0123456789-10c0.zip", Name: "@my/x", Version: "1.0.0", Installed: true, Files: []string{"/a/.yarn/cache/@my-x-npm-1.0.0-0123456789-10c0.zip"}}},
		},
		{
			"a record that reaches out", "v/lib/python3.11/site-packages/A_b-1.dist-info/RECORD",
			"../../../../../../etc/passwd,,\n/abs/./x,sha256=1,2\na.py,,\nb\"e,,\n\"b/c\"\"d.py\",,\nb/\x00,,\n../../../bin/t.py,,\n\n",
			[]Package{{
				Root: "/v/lib/python3.11/site-packages/A_b-1.dist-info", Name: "a-b", Version: "1",
				Files: []string{
					"/etc/passwd", "/abs/x", "/v/lib/python3.11/site-packages/a.py", `/v/lib/python3.11/site-packages/b"e`, `/v/lib/python3.11/site-packages/b/c"d.py`, "/v/bin/t.py",
					"/v/lib/python3.11/site-packages/__pycache__/a.cpython-311.pyc",
					"/v/lib/python3.11/site-packages/__pycache__/a.cpython-311.opt-1.pyc",
					"/v/lib/python3.11/site-packages/__pycache__/a.cpython-311.opt-2.pyc",
				},
				Trees: []string{"/v/lib/python3.11/site-packages/b/__pycache__"},
			}},
		},
		{
			"metadata", "v/site-packages/my.pkg-1.dist-info/METADATA",
			"Metadata-Version: 2.1\r\nName: My.Pkg\r\nVersion: 1.0+l\r\nRequires-Dist: A.b [x] (>=1) ; python_version < '3'\r\nRequires-Dist: c ; extra=='t'\r\n  Version: 3\r\nProvides-Dist: Old_name\r\n\r\nVersion: 2\r\n",
			[]Package{{Root: "/v/site-packages/my.pkg-1.dist-info", Name: "my-pkg", Version: "1.0+l", Installed: true, Trees: []string{"/v/site-packages/my.pkg-1.dist-info"}, Requires: []string{"a-b"}, Provides: []string{"old-name"}}},
		},
		{
			"requested", "v/site-packages/a-1.dist-info/REQUESTED", "",
			[]Package{{Root: "/v/site-packages/a-1.dist-info", Name: "a", Version: "1", Asked: ByName}},
		},
		{
			"an egg-info file", "v/site-packages/My_Pkg-1.2-py3.11.egg-info", "Name: x\nVersion: 1.2\n",
			[]Package{{Root: "/v/site-packages/My_Pkg-1.2-py3.11.egg-info", Name: "my-pkg", Version: "1.2", Installed: true, Files: []string{"/v/site-packages/My_Pkg-1.2-py3.11.egg-info"}}},
		},
		{
			"an egg", "v/site-packages/a-1-py3.11-linux-x86_64.egg/EGG-INFO/PKG-INFO", "Version: 1\n",
			[]Package{{Root: "/v/site-packages/a-1-py3.11-linux-x86_64.egg", Name: "a", Version: "1", Installed: true, Trees: []string{"/v/site-packages/a-1-py3.11-linux-x86_64.egg"}}},
		},
		{
			"requirements in sections", "v/site-packages/a-1-py3.11.egg-info/requires.txt", "b>=1\n\n[:python_version < \"3\"]\nc\n\n[test]\nd\n",
			[]Package{{Root: "/v/site-packages/a-1-py3.11.egg-info", Name: "a", Version: "1", Requires: []string{"b", "c"}}},
		},
		{
			"conda", "opt/conda/conda-meta/zlib-1.3-h1.json",
			`{"name": "zlib", "version": "1.3", "build": "h1", "depends": ["libgcc-ng >=12", "libzlib 1.3 h1"], "files": ["lib/libz.so", "../../etc/x", "."], "requested_spec": "None", "size": 1}`,
			[]Package{{Ecosystem: Conda, Root: "/opt/conda", Name: "zlib", Version: "1.3", Installed: true, Files: []string{"/opt/conda/conda-meta/zlib-1.3-h1.json", "/opt/conda/lib/libz.so"}, Requires: []string{"libgcc-ng", "libzlib"}}},
		},
		{
			"conda, asked for", "conda-meta/a-1-0.json", `{"name": "a", "version": "1", "requested_spec": "a>=1", "files": ["..", "."]}`,
			[]Package{{Ecosystem: Conda, Root: "/", Name: "a", Version: "1", Installed: true, Files: []string{"/conda-meta/a-1-0.json"}, Asked: ByName}},
		},
		{
			"a gem of one platform", "b/specifications/a-b-1.2-x86_64-linux.gemspec",
			"# -*- encoding: utf-8 -*-\n# stub: a-b 1.2 x86_64-linux lib\n\n  s.executables = [\"x\".freeze, \"../../../etc/y\".freeze]\n  s.add_dependency(%q<c>.freeze, [\">= 1\"])\n",
			[]Package{{
				Ecosystem: Gem, Root: "/b/gems/a-b-1.2-x86_64-linux", Name: "a-b", Version: "1.2", Installed: true,
				Files: []string{"/b/specifications/a-b-1.2-x86_64-linux.gemspec", "/b/build_info/a-b-1.2-x86_64-linux.info", "/b/bin/x"},
				Trees: []string{"/b/gems/a-b-1.2-x86_64-linux", "/b/doc/a-b-1.2-x86_64-linux"}, Requires: []string{"c"},
			}},
		},
		{
			"a gem that lies in its stub", "b/specifications/a-1.gemspec", "# stub: ../../etc 2 ruby lib\n",
			[]Package{{
				Ecosystem: Gem, Root: "/b/gems/a-1", Name: "a", Version: "1", Installed: true,
				Files: []string{"/b/specifications/a-1.gemspec", "/b/build_info/a-1.info"}, Trees: []string{"/b/gems/a-1", "/b/doc/a-1"},
			}},
		},
		{
			"a gem from git", "b/bundler/gems/my-gem-0123456789ab/my_gem.gemspec", "",
			[]Package{{Ecosystem: Gem, Root: "/b/bundler/gems/my-gem-0123456789ab", Name: "my_gem", Version: "0123456789ab", Installed: true, Trees: []string{"/b/bundler/gems/my-gem-0123456789ab"}, Asked: ByName}},
		},
		{
			"Composer 1", "srv/vendor/composer/installed.json", `[{"name": "a/b", "version": "v1", "require": [], "replace": {"c/d": "*"}}, {"name": "x"}, {"name": "../y"}, {"name": "y/.."}]`,
			[]Package{{Ecosystem: Composer, Root: "/srv/vendor/a/b", Name: "a/b", Version: "v1", Installed: true, Trees: []string{"/srv/vendor/a/b"}, Provides: []string{"c/d"}}},
		},
		{
			"Composer, elsewhere", "srv/vendor/composer/installed.json",
			`{"packages": [{"name": "a/b", "install-path": "../../web/b"}, {"name": "a/c", "install-path": "../../../../etc"}, {"name": "a/d", "install-path": "../.."}, {"name": "a/e", "install-path": ".."}], "dev-package-names": ["a/b"]}`,
			[]Package{
				{Ecosystem: Composer, Root: "/srv/web/b", Name: "a/b", Installed: true, Trees: []string{"/srv/web/b"}, Dev: true},
				{Ecosystem: Composer, Root: "/srv/vendor/a/c", Name: "a/c", Installed: true, Trees: []string{"/srv/vendor/a/c"}},
				{Ecosystem: Composer, Root: "/srv/vendor/a/d", Name: "a/d", Installed: true, Trees: []string{"/srv/vendor/a/d"}},
				{Ecosystem: Composer, Root: "/srv/vendor/a/e", Name: "a/e", Installed: true, Trees: []string{"/srv/vendor/a/e"}},
			},
		},
		{
			"a Composer project", "srv/composer.json", `{"require": {"php": "8", "a/b": "1"}, "require-dev": {"c/d": "1"}, "config": {"vendor-dir": "lib"}}`,
			[]Package{
				{Ecosystem: Composer, Root: "/srv/lib/a/b", Name: "a/b", Asked: ByName},
				{Ecosystem: Composer, Root: "/srv/lib/c/d", Name: "c/d", Asked: ByName, Dev: true},
			},
		},
		{
			".NET, for one platform", "app/App.deps.json", `{
				"runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64", "signature": ""},
				"targets": {".NETCoreApp,Version=v8.0": {"Compiler/1.0": {}}, ".NETCoreApp,Version=v8.0/linux-x64": {
					"App/1.0.0": {"dependencies": {"dapper": "2.1.0", "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64": "8.0.1"}, "runtime": {"App.dll": {}}},
					"runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"runtime": {"System.Private.CoreLib.dll": {"assemblyVersion": "8.0.0.0"}}, "native": {"libcoreclr.so": {"fileVersion": "0.0.0.0"}}},
					"Dapper/2.1.0": {"dependencies": {"System.Memory": "4.5.5"}, "runtime": {"lib/net7.0/Dapper.dll": {}}, "resources": {"lib/net7.0/de/Dapper.resources.dll": {"locale": "de"}}},
					"System.Memory/4.5.5": {}}},
				"libraries": {"App/1.0.0": {"type": "project", "serviceable": false, "sha512": ""}, "Dapper/2.1.0": {"type": "package", "serviceable": true}, "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"type": "runtimepack"}}}`,
			[]Package{
				{Root: "/app", Name: "Dapper", Asked: ByName},
				{Root: "/app", Name: "Microsoft.NETCore.App.Runtime.linux-x64", Asked: ByName},
				{Root: "/app", Name: "Dapper", Version: "2.1.0", Installed: true, Requires: []string{"System.Memory"}, Files: []string{"/app/Dapper.dll", "/app/de/Dapper.resources.dll", "/app/lib/net7.0/Dapper.dll"}},
				{Root: "/app", Name: "System.Memory", Version: "4.5.5", Installed: true},
				{Root: "/app", Name: "Microsoft.NETCore.App.Runtime.linux-x64", Version: "8.0.1", Installed: true, Files: []string{"/app/System.Private.CoreLib.dll", "/app/libcoreclr.so"}},
			},
		},
		{
			".NET, for any platform", "app/App.deps.json", `{
				"runtimeTarget": ".NETCoreApp,Version=v8.0",
				"targets": {".NETCoreApp,Version=v8.0": {"Lite/2.0": {"runtimeTargets": {"runtimes/linux-x64/native/libe.so": {"rid": "linux-x64", "assetType": "native"}, "../../../etc/passwd": {}}, "runtime": {"lib/_._": {}}, "resources": {"x/y.dll": {"locale": "../.."}}}}},
				"libraries": {"Lite/2.0": {"type": "package"}}}`,
			[]Package{{Root: "/app", Name: "Lite", Version: "2.0", Installed: true, Files: []string{"/app/libe.so", "/app/passwd", "/app/runtimes/linux-x64/native/libe.so"}}},
		},
		{
			"a shared framework", "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json", "{}",
			[]Package{{Root: "/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1", Name: "Microsoft.NETCore.App", Version: "8.0.1", Installed: true, Trees: []string{"/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1"}}},
		},
	} {
		name, facts, err := langRead(t, langFile{tc.path, []byte(tc.content)})
		if err != nil || facts.Skipped != "" {
			t.Errorf("%s: %v %s", tc.name, err, facts.Skipped)
		}
		for i := range tc.want {
			if tc.want[i].Ecosystem == "" {
				tc.want[i].Ecosystem = map[bool]string{true: Python, false: Npm}[strings.HasPrefix(name, "Python")]
				if strings.HasPrefix(name, ".NET") {
					tc.want[i].Ecosystem = Dotnet
				}
			}
		}
		if diff := cmp.Diff(tc.want, facts.Packages, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// langZip is an archive with empty entries.
func langZip(t testing.TB, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestLangMalformed: what cannot be read is an error, and the package is there
// all the same where its place tells.
func TestLangMalformed(t *testing.T) {
	t.Parallel()
	_, facts, err := langRead(t, langFile{"node_modules/a/package.json", []byte(`{"name": "a", "version"`)})
	if err == nil || len(facts.Packages) != 1 || facts.Packages[0].Name != "a" {
		t.Errorf("a broken package.json gives %v, %v", facts, err)
	}
	deep := `{"packages": {"node_modules/a": {"dependencies": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}}}`
	for _, at := range []string{"node_modules/.package-lock.json", "vendor/composer/installed.json", "a.deps.json", "conda-meta/a.json", ".pnp.data.json"} {
		if _, _, err := langRead(t, langFile{at, []byte(deep)}); err == nil {
			t.Errorf("%s, too deep, gives no error", at)
		}
	}
}

func TestLangBounds(t *testing.T) {
	t.Parallel()
	var lock, record, needs strings.Builder
	lock.WriteString(`{"packages": {"node_modules/a": {}`)
	for i := range langPackages + 10 {
		fmt.Fprintf(&lock, `,"node_modules/p%d":{}`, i)
	}
	lock.WriteString("}}")
	for i := range 1_000_000 {
		fmt.Fprintf(&record, "a/%d.py,,\n", i)
	}
	needs.WriteString(`{"dependencies": {"a": ""`)
	for i := range langNames + 10 {
		fmt.Fprintf(&needs, `,"p%d":""`, i)
	}
	needs.WriteString("}}")
	many := `{"files": [` + strings.Repeat(`"",`, langValues) + `""]}`
	if _, _, err := langRead(t, langFile{"conda-meta/a.json", []byte(many)}); err == nil {
		t.Error("a million values give no error")
	}
	for _, tc := range []struct {
		path, content, skipped    string
		packages, files, requires int
	}{
		{"node_modules/.package-lock.json", lock.String(), "more than 100000 packages", langPackages, 0, 0},
		{"site-packages/a-1.dist-info/RECORD", record.String(), "more than 250000 files", 1, langFiles, 0},
		{"node_modules/a/package.json", needs.String(), "", 1, 0, langNames},
	} {
		_, facts, err := langRead(t, langFile{tc.path, []byte(tc.content)})
		if err != nil || facts.Skipped != tc.skipped || len(facts.Packages) != tc.packages {
			t.Errorf("%s: %d packages, skipped %q, %v", tc.path, len(facts.Packages), facts.Skipped, err)
			continue
		}
		if p := facts.Packages[0]; len(p.Files) != tc.files || len(p.Requires) != tc.requires {
			t.Errorf("%s: %d files, %d requirements", tc.path, len(p.Files), len(p.Requires))
		}
	}
}

// FuzzLang gives every reader every content: none panics, leaves the root, goes
// over a bound, or answers twice in different ways.
func FuzzLang(f *testing.F) {
	places := []string{
		"app/node_modules/a/package.json", "app/package.json", "app/node_modules/.package-lock.json", "app/node_modules/.yarn-integrity",
		"app/node_modules/.pnpm/lock.yaml", "app/.pnp.cjs", "app/.pnp.data.json", "app/.yarn/cache/a-npm-1.0.0-0123456789-10c0.zip",
		"v/lib/python3.11/site-packages/a-1.dist-info/METADATA", "v/lib/python3.11/site-packages/a-1.dist-info/RECORD",
		"v/site-packages/a-1.dist-info/REQUESTED", "v/site-packages/a-1.egg-info/PKG-INFO", "v/site-packages/a-1.egg-info/installed-files.txt",
		"v/site-packages/a-1.egg-info/top_level.txt", "v/site-packages/a-1.egg-info/requires.txt", "v/site-packages/a-1.egg-info",
		"v/site-packages/a-1.egg/EGG-INFO/PKG-INFO", "opt/conda-meta/a-1-0.json",
		"b/specifications/a-1.gemspec", "lib/ruby/gems/3.1.0/specifications/default/a-1.gemspec", "b/bundler/gems/a-0123456789ab/a.gemspec",
		"b/extensions/x/3/a-1/gem.build_complete", "srv/vendor/composer/installed.json", "srv/composer.json", "app/App.deps.json",
	}
	for i, place := range places {
		f.Add(uint8(i), "", []byte("{}"))
		f.Add(uint8(i), place, []byte("# stub: a 1 ruby lib\n"))
	}
	for _, name := range langFixtures {
		files := langFixture(f, name+".txtar")
		for _, file := range files[:len(files)-1] {
			if len(file.data) > 0 && len(file.data) < 1<<12 {
				for i, place := range places {
					if path.Base(place) == path.Base(file.path) || filepath.Ext(place) == filepath.Ext(file.path) && path.Ext(place) == ".gemspec" {
						f.Add(uint8(i), file.path, file.data)
					}
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, place uint8, at string, data []byte) {
		for _, file := range []string{places[int(place)%len(places)], strings.TrimPrefix(path.Clean("/"+at), "/")} {
			name, facts, err := langRead(t, langFile{file, data})
			again, twice, _ := langRead(t, langFile{file, data})
			if name != again || !cmp.Equal(facts, twice) {
				t.Fatalf("%s is read in two ways", file)
			}
			for _, p := range facts.Packages {
				if p.Name == "" || p.Ecosystem == "" {
					t.Errorf("%s: a package without a name: %v", file, p)
				}
				for _, own := range append(append([]string{p.Root}, p.Files...), p.Trees...) {
					if !strings.HasPrefix(own, "/") || path.Clean(own) != own || strings.Contains(own, "\x00") && !strings.Contains(file, "\x00") {
						t.Errorf("%s: %q is no clean path", file, own)
					}
				}
				for _, tree := range p.Trees {
					if strings.Count(tree, "/") < strings.Count(path.Dir(path.Dir(p.Root)), "/") && tree != p.Root {
						t.Errorf("%s: the tree %q is not near %q", file, tree, p.Root)
					}
				}
			}
			_ = err
		}
	})
}
