package main

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// scale measures images of very many files: what each command takes in time and
// in memory, and what dive and syft take where they are at hand and finish
// within the bound.
func scale(args []string) error {
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	files := flags.Int("files", 1_000_000, "how many `files` the larger images have")
	tiny := flags.Int("tiny", 3_000_000, "how many `files` of a few bytes the last image has")
	only := flags.String("only", "", "the `NAME` of the one image to measure: one, spread or tiny")
	tool := flags.String("tool", "", "the `BINARY` to measure instead of one that is built here")
	peers := flags.String("peers", bin, "the `DIR` with dive and syft; what is not there is left out")
	bound := flags.Duration("bound", 2*time.Minute, "how long anything may take")
	memory := flags.Int64("memory", 8000, "how many `MB` of address space a peer may have")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "image-budget-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *tool == "" {
		*tool = filepath.Join(dir, "image-budget")
		if text, err := exec.Command("go", "build", "-o", *tool, ".").CombinedOutput(); err != nil {
			return fmt.Errorf("building image-budget: %s", text)
		}
	}
	fmt.Printf("%d processors, %s: images of many files, each an archive as docker save writes it now\n", runtime.NumCPU(), runtime.Version())
	fmt.Printf("held to: inspect of 1,000,000 files takes at most 60 s and 600 MB; 3,000,000 tiny ones finish\n")
	units := *files / unitFiles
	one := [][]part{{{0, units, 1, 1}}}
	images := []struct {
		name, title string
		layers      [][]part
		// after is the next build of the image, for a comparison.
		after [][]part
	}{
		{"one", fmt.Sprintf("%d files of 0 to 4 kB in one layer", *files), one,
			[][]part{{{0, units, 1, 1}, {0, units, 50, 2}}}},
		{"spread", fmt.Sprintf("%d files in three layers, which overwrite a third of the first", *files), [][]part{
			{{0, units * 8 / 10, 1, 1}},
			{{0, units * 2 / 10, 1, 2}, {units * 8 / 10, units * 9 / 10, 1, 1}},
			{{units * 2 / 10, units * 3 / 10, 1, 1}, {units * 9 / 10, units, 1, 1}},
		}, nil},
		{"tiny", fmt.Sprintf("%d files of 1 to 10 bytes in one layer", *tiny), [][]part{{{0, *tiny, 1, 0}}}, nil},
	}
	for _, img := range images {
		if *only != "" && *only != img.name {
			continue
		}
		archive := filepath.Join(dir, img.name+".tar")
		if err := writeImage(archive, img.layers); err != nil {
			return fmt.Errorf("making the image: %w", err)
		}
		fmt.Printf("\n%s, %s\n", img.title, size(archive))
		ref, cache, store := "oci-archive:"+archive, filepath.Join(dir, "cache"), "file:"+filepath.Join(dir, "baseline.json")
		show := func(title string, args ...string) { row(title, bounded(*bound, 0, append([]string{*tool}, args...))) }
		show("inspect", "inspect", ref)
		show("inspect --format json", "inspect", ref, "--format", "json")
		show("inspect --format html", "inspect", ref, "--format", "html")
		show("inspect --cache, layers new to it", "inspect", ref, "--cache", cache)
		show("inspect --cache, layers in it", "inspect", ref, "--cache", cache)
		show("baseline save", "baseline", "save", ref, "--baseline", store)
		next := ref
		if img.after != nil {
			name := filepath.Join(dir, "next.tar")
			if err := writeImage(name, img.after); err != nil {
				return fmt.Errorf("making the image: %w", err)
			}
			next = "oci-archive:" + name
			show("diff with its next build", "diff", ref, next)
		}
		show("check against the baseline", "check", next, "--baseline", store)
		_ = os.RemoveAll(cache)
		_ = os.Remove(filepath.Join(dir, "next.tar"))
		for _, peer := range [][]string{{"dive", "--ci", "docker-archive://" + archive}, {"syft", "scan", "-q", "-o", "json", "docker-archive:" + archive}} {
			peer[0] = filepath.Join(*peers, peer[0])
			if _, err := os.Stat(peer[0]); err == nil {
				row(path.Base(peer[0]), bounded(*bound, *memory<<20, peer))
			}
		}
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	return nil
}

// ended is how a command ended.
type ended struct {
	sample
	// cpu is processor time, which other work on the machine changes less.
	cpu  float64
	note string
}

func row(title string, e ended) {
	fmt.Printf("  %-36s %7.1f s %7.1f s of processors %6.0f MB  %s\n", title, e.seconds, e.cpu, e.megabytes, e.note)
}

// bounded runs a command within bounds; 0 bytes of memory are all there is.
func bounded(bound time.Duration, memory int64, args []string) ended {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if memory > 0 {
		args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$@"`, memory>>10), "sh"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "CI=true", "SYFT_CHECK_FOR_APP_UPDATE=false")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	e := ended{sample: sample{seconds: time.Since(start).Seconds()}}
	if cmd.ProcessState != nil {
		e.megabytes = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) * 1024 / 1e6
		e.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		e.note = "not finished"
	case strings.Contains(stderr.String(), "out of memory"):
		e.note = "out of memory"
	case errors.As(err, &exit) && exit.ExitCode() == 1: // over a budget, or over dive's rules
	case err != nil:
		text, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		e.note = fmt.Sprintf("%v: %s", err, text[:min(len(text), 160)])
	}
	return e
}

// part is a range of units in a layer, every step-th of them. Version 0 is that
// of tiny files, which are a unit each.
type part struct{ from, to, step, version int }

// writeImage writes an archive that is OCI's and Docker's at once. No layer is
// kept anywhere else: its name in the archive is filled in when it is known.
func writeImage(name string, layers [][]part) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	var at int64
	var descriptors, diffIDs, paths []any
	for _, parts := range layers {
		if _, err := w.Write(make([]byte, 512)); err != nil {
			return err
		}
		sum := &summed{w: w, hash: sha256.New()}
		if err := writeLayer(sum, parts); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		hex := fmt.Sprintf("%x", sum.hash.Sum(nil))
		var header strings.Builder
		if err := tar.NewWriter(&header).WriteHeader(&tar.Header{Name: "blobs/sha256/" + hex, Mode: 0o644, Size: sum.size, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte(header.String()), at); err != nil {
			return err
		}
		at += 512 + sum.size // a tar is whole blocks already
		descriptors = append(descriptors, descriptor("layer.v1.tar", hex, sum.size))
		diffIDs = append(diffIDs, "sha256:"+hex)
		paths = append(paths, "blobs/sha256/"+hex)
	}
	tw := tar.NewWriter(w)
	put := func(name string, v any) (string, int64, error) {
		text, err := json.Marshal(v)
		if err != nil {
			return "", 0, err
		}
		hex := fmt.Sprintf("%x", sha256.Sum256(text))
		if name == "" {
			name = "blobs/sha256/" + hex
		}
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			return "", 0, err
		}
		_, err = tw.Write(text)
		return hex, int64(len(text)), err
	}
	type object = map[string]any
	var history []any
	for range layers {
		history = append(history, object{"created_by": "COPY . /"})
	}
	config, configSize, err := put("", object{"architecture": "amd64", "os": "linux", "config": object{},
		"rootfs": object{"type": "layers", "diff_ids": diffIDs}, "history": history})
	if err != nil {
		return err
	}
	manifest, manifestSize, err := put("", object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("config.v1+json", config, configSize), "layers": descriptors})
	if err != nil {
		return err
	}
	for name, v := range map[string]any{
		"oci-layout":    object{"imageLayoutVersion": "1.0.0"},
		"index.json":    object{"schemaVersion": 2, "manifests": []any{descriptor("manifest.v1+json", manifest, manifestSize)}},
		"manifest.json": []any{object{"Config": "blobs/sha256/" + config, "RepoTags": []string{"bench:1"}, "Layers": paths}},
	} {
		if _, _, err := put(name, v); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return w.Flush()
}

func descriptor(kind, hex string, size int64) any {
	return map[string]any{"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + hex, "size": size}
}

type summed struct {
	w    io.Writer
	hash hash.Hash
	size int64
}

func (s *summed) Write(p []byte) (int, error) {
	_, _ = s.hash.Write(p) // never fails
	s.size += int64(len(p))
	return s.w.Write(p)
}

func writeLayer(w io.Writer, parts []part) error {
	l := &layerWriter{tw: tar.NewWriter(w), dirs: map[string]bool{}, text: make([]byte, 1<<16)}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range l.text {
		l.text[i] = "abcdefghijklmnopqrstuvwxyz ();\n"[r.IntN(31)]
	}
	for _, p := range parts {
		for k := p.from; k < p.to && l.err == nil; k += p.step {
			if p.version == 0 {
				l.tiny(k)
			} else {
				l.unit(k, p.version)
			}
		}
	}
	if len(l.status) > 0 {
		l.file("var/lib/dpkg/status", l.status)
	}
	if l.err != nil {
		return l.err
	}
	return l.tw.Close()
}

type layerWriter struct {
	tw     *tar.Writer
	dirs   map[string]bool
	text   []byte
	status []byte
	err    error
}

func (l *layerWriter) file(name string, content []byte) {
	l.above(name)
	if l.err == nil {
		l.err = l.tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
	}
	if l.err == nil {
		_, l.err = l.tw.Write(content)
	}
}

// above writes the directories that hold a file, each once.
func (l *layerWriter) above(name string) {
	dir := path.Dir(name)
	if dir == "." || l.dirs[dir] || l.err != nil {
		return
	}
	l.above(dir)
	l.dirs[dir] = true
	l.err = l.tw.WriteHeader(&tar.Header{Name: dir + "/", Mode: 0o755, Typeflag: tar.TypeDir})
}

func (l *layerWriter) tiny(k int) {
	text := fmt.Appendf(nil, "%010d", uint32(k)*2654435761)
	l.file(fmt.Sprintf("data/%02x/%02x/record-%07d", k/1000/256, k/1000%256, k), text[:1+k%10])
}

// unitFiles are how many files a unit has: an npm package for most, else one of
// Python or of Debian.
const unitFiles = 20

func (l *layerWriter) unit(k, version int) {
	r := rand.New(rand.NewPCG(uint64(k), uint64(version)))
	name := fmt.Sprintf("%s-%s-%d", words[k%len(words)], words[k/len(words)%len(words)], k)
	some := func() []byte {
		n := r.IntN(4096)
		if r.IntN(10) == 0 { // a licence that many have
			return l.text[:n&^1023]
		}
		from := r.IntN(len(l.text) - n)
		return l.text[from : from+n]
	}
	switch {
	case k%100 == 0:
		var list []byte
		for i := range unitFiles - 1 {
			file := fmt.Sprintf("/usr/share/%s/part-%d.dat", name, i)
			list = fmt.Appendf(list, "%s\n", file)
			l.file(file[1:], some())
		}
		l.file("var/lib/dpkg/info/"+name+".list", list)
		l.status = fmt.Appendf(l.status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %d.0-1\nDepends: libc6 (>= 2.36)\nDescription: x\n\n", name, version)
	case k%50 == 1:
		site := "usr/lib/python3.11/site-packages/"
		module, info := strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "_")+fmt.Sprintf("-%d.0.dist-info", version)
		var record []byte
		for i := range unitFiles - 2 {
			file := fmt.Sprintf("%s/part_%d.py", module, i)
			record = fmt.Appendf(record, "%s,sha256=x,1\n", file)
			l.file(site+file, some())
		}
		record = fmt.Appendf(record, "%s/METADATA,,\n%s/RECORD,,\n", info, info)
		l.file(site+info+"/METADATA", fmt.Appendf(nil, "Metadata-Version: 2.1\nName: %s\nVersion: %d.0\n\n", name, version))
		l.file(site+info+"/RECORD", record)
	default:
		dir := "app/node_modules/" + name
		if k%8 == 7 { // a version of its own, inside the package that needs it
			parent := k - 4
			dir = fmt.Sprintf("app/node_modules/%s-%s-%d/node_modules/%s", words[parent%len(words)], words[parent/len(words)%len(words)], parent, name)
		}
		needs := fmt.Sprintf("%s-%s-%d", words[(k+8)%len(words)], words[(k+8)/len(words)%len(words)], k+8)
		l.file(dir+"/package.json", fmt.Appendf(nil, `{"name": %q, "version": "%d.0.%d", "license": "MIT", "main": "index.js", "dependencies": {%q: "^1.0.0"}}`, name, version, k%10, needs))
		for i := range unitFiles - 5 {
			l.file(fmt.Sprintf("%s/lib/%s%d.js", dir, words[i%len(words)], i), some())
		}
		for _, file := range []string{"/README.md", "/LICENSE", "/index.js", "/types/index.d.ts"} {
			l.file(dir+file, some())
		}
	}
}

var words = []string{"stream", "parse", "core", "util", "react", "path", "json", "async", "color", "glob", "merge", "index", "source", "plugin", "loader", "string"}
