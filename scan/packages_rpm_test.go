package scan

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/internal/bench"
)

// spec is a package of rpm. Files are as those of deb; marks are what stands
// before some of them in the list of files, such as %config.
type spec struct {
	name, version string
	fields        []string
	files, marks  map[string]string
}

// build has rpmbuild make the package, and returns its path.
func (s spec) build(t *testing.T, top string) string {
	t.Helper()
	tree := t.TempDir()
	layOut(t, tree, s.files)
	text := fmt.Sprintf("%%global debug_package %%{nil}\n%%global __os_install_post %%{nil}\nName: %s\nVersion: %s\nRelease: 1\nSummary: made for a test\nLicense: none\nBuildArch: noarch\nAutoReqProv: no\n", s.name, s.version)
	for _, field := range s.fields {
		text += field + "\n"
	}
	text += "%description\nmade for a test\n%install\nmkdir -p %{buildroot}\ncp -a " + tree + "/. %{buildroot}\n%files\n"
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		text += s.marks[path] + fmt.Sprintf(" %q\n", path)
	}
	file := filepath.Join(t.TempDir(), s.name+".spec")
	must(t, os.WriteFile(file, []byte(text), 0o644))
	run(t, "", nil, "rpmbuild", "-bb", "--define", "_topdir "+top, "--define", "_rpmfilename %{NAME}-%{VERSION}.rpm", file)
	return filepath.Join(top, "RPMS", s.name+"-"+s.version+".rpm")
}

// rpmFiles asks rpm what it has on disk: files that it did install and that no
// other package has replaced since. A ghost is whose it is, if no other package
// brings it.
func rpmFiles(t *testing.T, rpm func(args ...string) string) []told {
	t.Helper()
	const version = "%{=NAME}\t%|EPOCH?{%{=EPOCH}:}|%{=VERSION}-%{=RELEASE}"
	paths, ghosts := map[string][]string{}, map[string][]string{}
	brought := map[string]bool{}
	for line := range strings.Lines(rpm("-qa", "--qf", "["+version+"\t%{FILESTATES}\t%{FILEFLAGS:fflags}\t%{FILENAMES}\n]")) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 5)
		key := parts[0] + "\t" + parts[1]
		switch {
		case parts[2] != "0":
		case strings.Contains(parts[3], "g"):
			ghosts[key] = append(ghosts[key], parts[4])
		default:
			paths[key] = append(paths[key], parts[4])
			brought[parts[4]] = true
		}
	}
	var out []told
	for line := range strings.Lines(rpm("-qa", "--qf", strings.ReplaceAll(version, "=", "")+"\n")) {
		key := strings.TrimSuffix(line, "\n")
		p := told{paths: paths[key]}
		p.name, p.version, _ = strings.Cut(key, "\t")
		for _, path := range ghosts[key] {
			if !brought[path] {
				p.paths = append(p.paths, path)
			}
		}
		out = append(out, p)
	}
	return out
}

// TestRpmAgreesOnWholeFileSystems installs packages with rpm, changes them, and
// measures what is there in one layer, and in two.
func TestRpmAgreesOnWholeFileSystems(t *testing.T) {
	t.Parallel()
	bench.Command(t, "rpmbuild")
	bench.Command(t, "rpm")
	if os.Geteuid() != 0 {
		bench.Setting(t, "IMAGE_BUDGET_TEST_ROOT") // only root can install packages below another root
	}
	top := t.TempDir()
	x := func(n int) string { return strings.Repeat("x", n) }
	packages := map[string]string{}
	for _, s := range []spec{
		{name: "filesystem", version: "1", files: map[string]string{"/lib": "->usr/lib", "/usr/lib/keep": "", "/usr/share/data": "->/srv/data", "/srv/data/keep": ""}},
		{name: "a", version: "1.0", files: map[string]string{
			"/usr/bin/a": x(1001), "/usr/bin/a2": "=>/usr/bin/a", "/usr/bin/a-link": "->a", "/usr/share/shared": x(1009), "/etc/a.conf": x(1013), "/etc/a-kept.conf": x(7),
			"/usr/share/gone": x(1019), "/usr/share/doc/a/README": x(1021), "/usr/share/by-a": x(1031), "/usr/share/with space and \u00fc": x(1033),
		}, marks: map[string]string{"/etc/a.conf": "%config(noreplace)", "/etc/a-kept.conf": "%config", "/usr/share/doc/a/README": "%doc"}},
		{name: "a", version: "2.0", files: map[string]string{
			"/usr/bin/a": x(2003), "/usr/bin/a2": "=>/usr/bin/a", "/usr/share/shared": x(1009), "/etc/a.conf": x(2011), "/etc/a-kept.conf": x(8),
			"/usr/share/doc/a/README": x(2017), "/usr/share/by-a": x(1031), "/usr/share/with space and \u00fc": x(1033), "/usr/share/new": x(2027),
		}, marks: map[string]string{"/etc/a.conf": "%config(noreplace)", "/etc/a-kept.conf": "%config", "/usr/share/doc/a/README": "%doc"}},
		{name: "b", version: "1.0", fields: []string{"Epoch: 3"}, files: map[string]string{
			"/lib/b.so": x(3001), "/usr/share/data/b": x(3011), "/usr/share/shared": x(1009), "/var/log/b.log": x(1), "/usr/share/by-a": x(1), "/usr/share/replaced": x(3019), "/var/cache/b": x(1),
		}, marks: map[string]string{"/var/log/b.log": "%ghost", "/usr/share/by-a": "%ghost", "/var/cache/b": "%ghost"}},
		{name: "c", version: "1.0", files: map[string]string{"/usr/share/replaced": x(4001)}},
		{name: "documented", version: "1.0", files: map[string]string{"/usr/share/doc/d/README": x(5003), "/usr/share/d": x(5009)}, marks: map[string]string{"/usr/share/doc/d/README": "%doc"}},
		{name: "erased", version: "1.0", files: map[string]string{"/usr/share/erased/e": x(6007)}},
		{name: "kernel", version: "1.0", files: map[string]string{"/usr/lib/modules/1.0/kernel": x(7001)}},
		{name: "kernel", version: "2.0", files: map[string]string{"/usr/lib/modules/2.0/kernel": x(7013)}},
		{name: "nothing", version: "1.0"},
	} {
		packages[s.name+"-"+s.version] = s.build(t, top)
	}
	// Of the databases that are read, rpm of Debian writes this one only.
	for _, db := range []string{"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"} {
		t.Run(db, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			rpm := func(args ...string) string {
				for i, arg := range args {
					if file, ok := packages[arg]; ok {
						args[i] = file
					}
				}
				return run(t, "", nil, append([]string{"rpm", "--root", root, "--define", "_db_backend sqlite", "--define", "_dbpath " + db}, args...)...)
			}
			rpm("-i", "filesystem-1")
			rpm("-i", "a-1.0", "b-1.0", "erased-1.0", "kernel-1.0", "nothing-1.0")
			layOut(t, root, map[string]string{"/var/log/b.log": x(8009), "/opt/by-hand": x(8011), "/etc/a.conf": x(8017)})
			first, before := layerOf(t, root, nil)
			img := measureReference(t, layoutOf(t, first), "")
			want := onDisk(t, root, rpmFiles(t, rpm))
			agree(t, img, "rpm", want)
			if want["a 1.0-1"].Bytes != 1001+1009+8017+7+1019+1021+1031+1033 || want["b 3:1.0-1"].Bytes != 3001+3011+8009+3019 {
				t.Errorf("on disk is not what was meant to be there: %v", want)
			}

			rpm("-U", "a-2.0")
			rpm("-i", "--excludedocs", "documented-1.0")
			rpm("-i", "kernel-2.0")
			rpm("-i", "--replacefiles", "c-1.0")
			rpm("-e", "erased")
			second, _ := layerOf(t, root, before)
			whole, _ := layerOf(t, root, nil)
			want = onDisk(t, root, rpmFiles(t, rpm))
			owners := agree(t, measureReference(t, layoutOf(t, first, second), ""), "rpm", want)
			agree(t, measureReference(t, layoutOf(t, whole), ""), "rpm", want)
			for key, bytes := range map[string]footprint.Bytes{
				"a 2.0-1": 2003 + 1009 + 8017 + 8 + 2017 + 1031 + 1033 + 2027, "b 3:1.0-1": 3001 + 3011 + 8009, "c 1.0-1": 4001, "documented 1.0-1": 5009,
				"kernel 1.0-1": 7001, "kernel 2.0-1": 7013, "nothing 1.0-1": 0,
			} {
				if want[key].Bytes != bytes {
					t.Errorf("%s has %d bytes on disk, not %d", key, want[key].Bytes, bytes)
				}
			}
			for path, owner := range map[string]string{
				"/etc/a.conf.rpmnew": "unowned", "/opt/by-hand": "unowned", "/usr/share/replaced": "rpm:c", "/srv/data/b": "rpm:b", "/usr/share/erased/e": "", "/usr/share/gone": "",
			} {
				if owners[path] != owner {
					t.Errorf("%s: %q, want %q", path, owners[path], owner)
				}
			}
		})
	}
}
