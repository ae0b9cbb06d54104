// Bench measures image-budget against its peers and against the physical
// limit, in pairs that alternate within one run, and prints ratios: seconds
// mean nothing on another machine.
//
// It needs the test bench of .ci (engines, registry, the "big" image in every
// form, dive) and is run by hand:
//
//	go run ./testdata/bench > testdata/bench/last.txt
//	go run ./testdata/bench build > testdata/bench/build.txt
//	go run ./testdata/bench scale > testdata/bench/scale.txt
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/klauspost/compress/gzip"
)

const (
	forms    = "/var/lib/ib/forms"
	archive  = forms + "/big-docker-archive.tar"
	purged   = forms + "/purged-docker-archive.tar"
	ociDir   = forms + "/big-oci"
	bin      = "/var/lib/ib/bin"
	engine20 = "unix:///run/ib/engine20.sock"
	engine29 = "unix:///run/ib/engine29.sock"
	registry = "127.0.0.1:5055"
	accesses = "/var/lib/ib/log/registry.log"
	rounds   = 7
)

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = run()
	case len(args) == 2 && args[0] == "gunzip":
		err = gunzip(args[1])
	case args[0] == "build":
		err = builds(args[1:])
	case args[0] == "scale":
		err = scale(args[1:])
	default:
		err = errors.New("usage: bench [build [-rounds N] [-only theirs] | scale [-files N] [-tiny N] [-only NAME]]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	tool, self := filepath.Join(os.TempDir(), "image-budget-bench"), filepath.Join(os.TempDir(), "image-budget-bench-gunzip")
	defer os.Remove(tool)
	defer os.Remove(self)
	for out, pkg := range map[string]string{tool: ".", self: "./testdata/bench"} {
		if text, err := exec.Command("go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %s", pkg, text)
		}
	}
	fmt.Printf("%d processors, %s, medians of %d alternating rounds (3 of the slow pairs)\n\n", runtime.NumCPU(), runtime.Version(), rounds)
	pairs := []struct {
		title, bound string
		ours, theirs []string
	}{
		{"docker-archive of " + size(purged) + " whose last layer deletes packages, against dive --ci", "at least 10 times faster, under 64 MB",
			[]string{tool, "inspect", "docker-archive:" + purged}, []string{filepath.Join(bin, "dive"), "--ci", "docker-archive://" + purged}},
		{"docker-archive of " + size(archive) + " with few deletions, against dive --ci, which checks no digest", "nothing: the limit is SHA-256 of every byte",
			[]string{tool, "inspect", "docker-archive:" + archive}, []string{filepath.Join(bin, "dive"), "--ci", "docker-archive://" + archive}},
		{"the same as gzip layers, against decompressing them in parallel with the same library", "at most 1.2 times the time",
			[]string{tool, "inspect", "oci:" + ociDir + ":1"}, []string{self, "gunzip", ociDir}},
		{"the same from Docker 29 with the containerd store, against docker save > /dev/null", "at most 1.2 times the time",
			[]string{"env", "DOCKER_HOST=" + engine29, tool, "inspect", "docker-daemon:ib/big:1"}, []string{"/usr/bin/docker", "-H", engine29, "save", "ib/big:1"}},
		{"the same from Docker 20.10 with overlay2, against docker save > /dev/null", "at most 1.2 times the time",
			[]string{"env", "DOCKER_HOST=" + engine20, tool, "inspect", "docker-daemon:ib/big:1"}, []string{"/usr/bin/docker", "-H", engine20, "save", "ib/big:1"}},
	}
	for _, p := range pairs {
		n := rounds
		if strings.Contains(p.ours[2], purged) || slices.Contains(p.theirs, engine29) {
			n = 3 // a round takes half a minute
		}
		ours, theirs, err := alternate(n, p.ours, p.theirs)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n  held to: %s\n", p.title, p.bound)
		fmt.Printf("  ours   %8.2f s  %7.1f MB\n  theirs %8.2f s  %7.1f MB\n", ours.seconds, ours.megabytes, theirs.seconds, theirs.megabytes)
		fmt.Printf("  ours takes %.2f times as long: %.1f times faster\n\n", ours.seconds/theirs.seconds, theirs.seconds/ours.seconds)
	}
	if err := temporaryFiles(tool); err != nil {
		return err
	}
	return requests(tool)
}

type sample struct{ seconds, megabytes float64 }

func alternate(rounds int, ours, theirs []string) (a, b sample, err error) {
	var as, bs []sample
	for i := range rounds + 1 {
		one, err := once(ours)
		if err != nil {
			return a, b, err
		}
		other, err := once(theirs)
		if err != nil {
			return a, b, err
		}
		if i > 0 { // the first round warms caches up
			as, bs = append(as, one), append(bs, other)
		}
	}
	return median(as), median(bs), nil
}

func median(s []sample) sample {
	slices.SortFunc(s, func(a, b sample) int { return cmp.Compare(a.seconds, b.seconds) })
	out := s[len(s)/2]
	for _, x := range s {
		out.megabytes = max(out.megabytes, x.megabytes)
	}
	return out
}

func once(args []string) (sample, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout = nil // the null device
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start).Seconds()
	var exit *exec.ExitError
	// dive ends with 1 when its own rules fail.
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(args[0], "dive")) {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	rss := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	return sample{took, float64(rss) * 1024 / 1e6}, nil
}

// gunzip is the limit: every layer of a layout decompressed, as many at a time
// as there are processors, and thrown away.
func gunzip(dir string) error {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	layers, err := img.Manifest()
	if err != nil {
		return err
	}
	slices.SortFunc(layers.Layers, func(a, b v1.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	work := make(chan string, len(layers.Layers))
	for _, l := range layers.Layers {
		work <- filepath.Join(dir, "blobs", l.Digest.Algorithm, l.Digest.Hex)
	}
	close(work)
	var wg sync.WaitGroup
	errs := make(chan error, len(layers.Layers))
	for range runtime.NumCPU() {
		wg.Go(func() {
			for name := range work {
				errs <- gunzipFile(name)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func gunzipFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, zr, make([]byte, 1<<20))
	return err
}

// temporaryFiles traces the system calls that create files.
func temporaryFiles(tool string) error {
	fmt.Println("temporary files")
	for _, ref := range []string{"docker-archive:" + archive, "oci:" + ociDir + ":1", "docker-daemon:ib/big:1"} {
		log := filepath.Join(os.TempDir(), "image-budget-bench-trace")
		cmd := exec.Command("strace", "-f", "-o", log, "-e", "trace=creat,open,openat,mkdir,mkdirat,memfd_create", tool, "inspect", ref)
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+engine20)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("tracing: %w: %s", err, text)
		}
		trace, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		os.Remove(log)
		created := 0
		for line := range strings.Lines(string(trace)) {
			if strings.Contains(line, "O_CREAT") || strings.Contains(line, "creat(") || strings.Contains(line, "mkdir") {
				created++
			}
		}
		fmt.Printf("  %-50s %d files created\n", ref, created)
	}
	fmt.Println()
	return nil
}

// requests counts what an unchanged image costs, in the registry's own log.
func requests(tool string) error {
	dir, err := os.MkdirTemp("", "image-budget-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ref, store := registry+"/ib/mixed:oci", "file:"+filepath.Join(dir, "baseline.json")
	save := exec.Command(tool, "baseline", "save", ref, "--baseline", store)
	if text, err := save.CombinedOutput(); err != nil {
		return fmt.Errorf("saving a baseline: %w: %s", err, text)
	}
	before := size64(accesses)
	check := exec.Command(tool, "check", ref, "--baseline", store)
	text, err := check.CombinedOutput()
	if err != nil {
		return fmt.Errorf("checking: %w: %s", err, text)
	}
	time.Sleep(500 * time.Millisecond) // the registry logs after it has answered
	log, err := os.ReadFile(accesses)
	if err != nil {
		return err
	}
	fmt.Println("registry, unchanged image, against a stored baseline\n  held to: at most 5 requests (token included), 0 bytes of layers")
	n := 0
	for line := range strings.Lines(string(log[before:])) {
		if i := strings.Index(line, `"GET /v2`); i >= 0 {
			n++
			fmt.Println("  ", strings.SplitN(line[i+1:], `"`, 2)[0])
		} else if strings.Contains(line, `"HEAD /v2`) {
			n++
		}
	}
	fmt.Printf("  %d requests; %s\n", n, lastLine(string(text)))
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func size64(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

func size(name string) string { return fmt.Sprintf("%d MB", size64(name)/1_000_000) }
