package scan

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

// hostileFile is a file, or a symbolic link where content begins with "->", or a
// hard link where it begins with "=>".
type hostileFile struct{ name, content string }

func hostileTar(t testing.TB, files []hostileFile) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(f.content))}
		if target, ok := strings.CutPrefix(f.content, "->"); ok {
			h.Typeflag, h.Linkname, h.Size, f.content = tar.TypeSymlink, target, 0, ""
		}
		if target, ok := strings.CutPrefix(f.content, "=>"); ok {
			h.Typeflag, h.Linkname, h.Size, f.content = tar.TypeLink, target, 0, ""
		}
		must(t, tw.WriteHeader(h))
		_, err := tw.Write([]byte(f.content))
		must(t, err)
	}
	must(t, tw.Close())
	return buf.Bytes()
}

// lines repeats a format with the numbers below n.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestHostileDatabases measures images whose databases of packages are made to
// hurt. What they claim may be nonsense; the figures add up all the same (scan
// checks itself), every file has one owner, and it ends, in little memory.
func TestHostileDatabases(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const info, dpkg = "var/lib/dpkg/info/", "var/lib/dpkg/status"
	installed := func(name string) string {
		return "Package: " + name + "\nStatus: install ok installed\nVersion: 1\n\n"
	}
	maze := strings.Repeat("a/../", 700)
	tests := []struct {
		name string
		make func(t *testing.T) []hostileFile
	}{
		{"100,000 packages that need each other in circles", func(*testing.T) []hostileFile {
			var b strings.Builder
			for i := range 100_000 {
				fmt.Fprintf(&b, "Package: p%d\nStatus: install ok installed\nVersion: 1\nDepends: p%d, p%d, p%d\n\n", i, (i+1)%100_000, (i*7919)%100_000, i)
			}
			return []hostileFile{{dpkg, b.String()}, {"var/lib/apt/extended_states", lines(100_000, "Package: p%d\nAuto-Installed: 1\n\n")}}
		}},
		{"100,000 packages that provide what all need", func(*testing.T) []hostileFile {
			return []hostileFile{
				{dpkg, lines(100_000, "Package: p%d\nStatus: install ok installed\nVersion: 1\nProvides: a, b, c, d\nDepends: a, b, c, d\n\n")},
				{"var/lib/apt/extended_states", lines(99_999, "Package: p%d\nAuto-Installed: 1\n\n")},
			}
		}},
		{"a list that names one file a million times", func(*testing.T) []hostileFile {
			return []hostileFile{{dpkg, installed("x")}, {"bin/sh", "sh"}, {info + "x.list", strings.Repeat("/bin/sh\n", 1_000_000)}}
		}},
		{"a list of files that are outside", func(*testing.T) []hostileFile {
			return []hostileFile{{dpkg, installed("x")}, {"etc/passwd", "root"}, {info + "x.list", lines(200_000, "/../../../%d/../../etc/passwd\n")}}
		}},
		{"links that lead in circles and through thousands of directories", func(*testing.T) []hostileFile {
			files := []hostileFile{{dpkg, installed("x")}, {"a/f", "1"}, {"l0", "->" + maze + "a"}, {"loop", "->loop/loop"}, {"one", "->two"}, {"two", "->one"}, {"up", "->../../.."}}
			for i := range 38 {
				files = append(files, hostileFile{fmt.Sprintf("l%d", i+1), fmt.Sprintf("->%sl%d", maze[:3000], i)})
			}
			return append(files, hostileFile{info + "x.list", lines(150_000, "/l38/f%d\n") + "/loop/f\n/one\n/one/f\n/up/a/f\n/l38/f\n"})
		}},
		{"JSON as deep as it goes", func(*testing.T) []hostileFile {
			deep := strings.Repeat(`{"dependencies":`, 10_000) + "1" + strings.Repeat("}", 10_000)
			return []hostileFile{
				{"app/node_modules/x/package.json", `{"name": "x", "version": "1", "more": ` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}"},
				{"app/node_modules/y/package.json", deep}, {"app/package-lock.json", deep}, {"app/vendor/composer/installed.json", deep},
				{"app/app.deps.json", deep}, {"opt/conda/conda-meta/x.json", deep}, {"app/node_modules/y/index.js", "1"},
			}
		}},
		{"a RECORD that claims the whole image, and two packages that claim the same", func(*testing.T) []hostileFile {
			var claims strings.Builder
			files := []hostileFile{}
			for i := range 20_000 {
				files = append(files, hostileFile{fmt.Sprintf("data/f%d", i), "12345"})
				fmt.Fprintf(&claims, "../../../../data/f%d,sha256=x,99999999999999999999\n/data/f%d,,\n", i, i)
			}
			for _, name := range []string{"a", "b"} {
				at := "usr/lib/python3/site-packages/" + name + "-1.dist-info/"
				files = append(files, hostileFile{at + "METADATA", "Name: " + name + "\nVersion: 1\n\n"}, hostileFile{at + "RECORD", claims.String()})
			}
			return files
		}},
		{"packages that own the root and what all share", func(*testing.T) []hostileFile {
			var b strings.Builder
			for i, at := range []string{"", ".", "..", "../..", "../../..", "/", "../../usr", "../../usr/bin", "../../../../../../..", strings.Repeat("../", 5000)} {
				fmt.Fprintf(&b, `, {"name": "v/p%d", "version": "1", "install-path": %q}`, i, at)
			}
			return []hostileFile{{"vendor/composer/installed.json", `{"packages": [` + b.String()[2:] + "]}"}, {"usr/bin/x", "1"}, {"etc/y", "2"}, {"node_modules/package.json", `{"name": "n", "version": "1"}`}}
		}},
		{"9,000 dependencies in each of 300 packages", func(*testing.T) []hostileFile {
			needs := `"dependencies": {"a": "1"` + lines(9_000, `, "dependency-%d": "1"`) + "}"
			var files []hostileFile
			for i := range 300 {
				files = append(files, hostileFile{fmt.Sprintf("node_modules/p%d/package.json", i), fmt.Sprintf(`{"name": "p%d", "version": "1", %s}`, i, needs)})
			}
			return files
		}},
		{"facts that unfold to gigabytes", func(*testing.T) []hostileFile {
			long := strings.Repeat("d/", 1900)
			var files []hostileFile
			status := ""
			for i := range 40 {
				status += installed(fmt.Sprintf("x%d", i))
				files = append(files, hostileFile{fmt.Sprintf("%sx%d.list", info, i), lines(4_000, "/"+long+"%d\n")})
			}
			return append(files, hostileFile{dpkg, status})
		}},
		{"a jar with 10,000 jars", func(t *testing.T) []hostileFile {
			inner := zipped(t, 1, func(int) (string, []byte) {
				return "META-INF/maven/g/a/pom.properties", []byte("groupId=g\nartifactId=a\nversion=1\n")
			})
			return []hostileFile{
				{"app/many.jar", string(zipped(t, 10_000, func(i int) (string, []byte) { return fmt.Sprintf("BOOT-INF/lib/a-%d.jar", i), inner }))},
				{"app/deep.jar", string(nestedJar(t, 200))},
			}
		}},
		{"ELF that lies about its sections", func(*testing.T) []hostileFile {
			var files []hostileFile
			for i, lie := range []uint64{1 << 63, 1<<64 - 1, 1 << 40, 1} {
				files = append(files, hostileFile{fmt.Sprintf("bin/lie%d", i), string(lyingELF(lie))})
			}
			return files
		}},
		{"very many hard links to what is there twice", func(*testing.T) []hostileFile {
			// The name that each was given last is taken by something else.
			var files, links, over []hostileFile
			for i := range 30_000 {
				files = append(files, hostileFile{fmt.Sprintf("d/%d", i), fmt.Sprintf("%d", i/2)})
				links = append(links, hostileFile{fmt.Sprintf("e/%d", i), fmt.Sprintf("=>d/%d", i)})
				over = append(over, hostileFile{fmt.Sprintf("e/%d", i), "x"})
			}
			return append(append(files, links...), over...)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := layoutOf(t, hostileTar(t, tt.make(t)))
			runtime.GC()
			peak := watchHeap()
			start := time.Now()
			res, _ := scanLayout(t, ref, Options{Files: true})
			took, grown := time.Since(start), peak()
			checkOwners(t, res.Image)
			t.Logf("%v, %d MB, %d packages, skipped %v", took.Round(time.Millisecond), grown>>20, len(res.Image.Packages), res.Image.Skipped[:min(len(res.Image.Skipped), 2)])
			if grown > 800<<20 {
				t.Errorf("took %d MB", grown>>20)
			}
		})
	}
}

// watchHeap looks at the heap again and again until the function it returns is
// called, which tells by how many bytes it had grown at most, about.
func watchHeap() func() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(stop)
		return int64(<-peak - before)
	}
}

func zipped(t testing.TB, n int, file func(i int) (string, []byte)) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for i := range n {
		name, content := file(i)
		w, err := zw.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		must(t, err)
		_, err = w.Write(content)
		must(t, err)
	}
	must(t, zw.Close())
	return buf.Bytes()
}

// nestedJar is a jar in a jar in a jar.
func nestedJar(t testing.TB, depth int) []byte {
	t.Helper()
	jar := zipped(t, 1, func(int) (string, []byte) { return "A.class", []byte("class") })
	for range depth {
		inner := jar
		jar = zipped(t, 1, func(int) (string, []byte) { return "lib/inner-1.0.jar", inner })
	}
	return jar
}

// lyingELF is a program whose section headers all say the same size and place.
func lyingELF(size uint64) []byte {
	b := make([]byte, 64+64*200)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 62)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[40:], 64) // where the section headers are
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], 200)
	le.PutUint16(b[62:], 1)
	for i := range 200 {
		at := b[64+64*i:]
		le.PutUint32(at[4:], uint32(1+i%3))
		le.PutUint64(at[24:], size/2)
		le.PutUint64(at[32:], size)
	}
	return b
}
