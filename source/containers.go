package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// ContainerLabel is on every container that is started here, with the name of
// its run: docker ps --filter label=image-budget.verify finds what a run left
// that was killed.
const ContainerLabel = "image-budget.verify"

// ContainerOptions say how containers are started. No path of the host is
// mounted, nothing is published, and no privilege is added.
type ContainerOptions struct {
	// Run is the value of [ContainerLabel].
	Run string
	// Memory bounds the memory of each in bytes, swap included.
	Memory int64
	// Network lets them reach the outside, through the engine's own network.
	// Without it they have a network of their own with nothing in it.
	Network bool
	// Prober is a program for Linux, with its first arguments. The libraries it
	// needs, if any, are taken along. With "wait SECONDS" it sleeps, with "ports" it prints the
	// addresses that are listened on, in a line, several times a second, and
	// with "dial PORT" its standard streams become a connection. It is copied into a container of
	// the same image that shares nothing but the network with the one that is
	// looked at. So it does not matter where the engine runs, whether its
	// networks can be reached from here, and what the image holds.
	Prober []string
}

// Containers starts containers in the engine of an [Opener].
type Containers struct {
	api  *client.Client
	host string
	opt  ContainerOptions
	// blind says why nothing can be seen of their networks, nil if it can.
	blind error
	// libs are the loader and the libraries of the prober on this machine, nil
	// if it needs none.
	libs []string
}

const (
	// maxPids bounds processes and threads of a container.
	maxPids = 2048
	// probeLife is how long a prober lives that nobody removes.
	probeLife = time.Hour
	// maxContainerLog bounds what is kept of each of a container's streams, and
	// maxContainerStream what is read of them.
	maxContainerLog, maxContainerStream = 64 << 10, 8 << 20
	// hostname is that of every container: one that is random would be in
	// answers.
	hostname = "image-budget"
)

// Containers reaches the engine. The caller closes it. An error says that the
// engine does not answer.
func (o *Opener) Containers(ctx context.Context, opt ContainerOptions) (*Containers, error) {
	api, host, err := o.reachEngine(ctx)
	if err != nil {
		return nil, err
	}
	c := &Containers{api: api, host: withoutUserinfo(host), opt: opt}
	version, err := api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("asking the engine at %s for its version: %s", c.host, show(err.Error())), api.Close())
	}
	c.libs, c.blind = checkProber(opt.Prober, version.Os, version.Arch)
	return c, nil
}

// checkProber says why the engine cannot run a prober, before an engine says
// it in its own way; or returns what the prober needs, its loader first.
func checkProber(prober []string, system, arch string) (libs []string, err error) {
	if len(prober) == 0 {
		return nil, errors.New("there is no program to look at their ports with")
	}
	if system != "linux" {
		return nil, fmt.Errorf("the engine's containers are for %s, not for linux", show(system))
	}
	f, err := elf.Open(prober[0])
	if err != nil {
		return nil, fmt.Errorf("their ports are seen from a Linux container, and this program is none for Linux")
	}
	defer f.Close()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "riscv64": elf.EM_RISCV}
	if want, known := machines[arch]; known && f.Machine != want {
		return nil, fmt.Errorf("the engine runs on %s, and this program is for another processor", show(arch))
	}
	if libs, err = librariesOf(f); err != nil {
		return nil, fmt.Errorf("this program needs libraries and so cannot be run inside any container (%w); build it with CGO_ENABLED=0", err)
	}
	return libs, nil
}

// librariesOf finds the loader and the libraries of a program of this machine:
// one that was built with cgo has a few. It is nil for one without a loader.
func librariesOf(f *elf.File) ([]string, error) {
	loader := ""
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
		if err != nil {
			return nil, err
		}
		loader = strings.TrimRight(string(text), "\x00")
	}
	if loader == "" {
		return nil, nil
	}
	dirs := []string{filepath.Dir(loader), "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
	for _, pattern := range []string{"/lib/*-linux-*", "/usr/lib/*-linux-*"} {
		more, _ := filepath.Glob(pattern) // the patterns are right
		dirs = append(dirs, more...)
	}
	out := []string{loader}
	needs, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	have := map[string]bool{filepath.Base(loader): true}
	for len(needs) > 0 {
		name := needs[0]
		if needs = needs[1:]; have[name] {
			continue
		}
		have[name] = true
		path, more := findLibrary(dirs, name, f)
		if path == "" || len(out) == maxLibraries {
			return nil, fmt.Errorf("%s is not found", show(name))
		}
		out, needs = append(out, path), append(needs, more...)
	}
	return out, nil
}

// maxLibraries bounds what a prober takes along.
const maxLibraries = 20

// findLibrary finds a library for the processor of a program, and what it needs.
func findLibrary(dirs []string, name string, of *elf.File) (path string, needs []string) {
	for _, dir := range dirs {
		path := filepath.Join(dir, filepath.Base(name))
		lib, err := elf.Open(path)
		if err != nil {
			continue
		}
		needs, err := lib.ImportedLibraries()
		fits := err == nil && lib.Machine == of.Machine && lib.Class == of.Class
		_ = lib.Close() // it was read
		if fits {
			return path, needs
		}
	}
	return "", nil
}

// probeCommand runs the prober in its container.
func (c *Containers) probeCommand(args ...string) []string {
	out := []string{"/" + proberName}
	if len(c.libs) > 0 {
		out = []string{"/" + proberLibs + "/" + filepath.Base(c.libs[0]), "--library-path", "/" + proberLibs, "/" + proberName}
	}
	return append(append(out, c.opt.Prober[1:]...), args...)
}

// Blind returns an error that says why the ports of containers cannot be seen;
// it is nil if they can.
func (c *Containers) Blind() error { return c.blind }

// Close ends the connection to the engine. Containers are closed one by one. An
// error is one of the connection.
func (c *Containers) Close() error { return c.api.Close() }

// ContainerSpec says what to start.
type ContainerSpec struct {
	// Image is an id or a name in the engine.
	Image string
	// Command is run instead of what the image says, nil for that.
	Command []string
	// HealthInterval asks the image's own health check that often, 0 for never.
	// An image without one wants 0.
	HealthInterval time.Duration
}

// Container is one that was started.
type Container struct {
	of         *Containers
	id, image  string
	stopSignal string

	mu     sync.Mutex
	prober string // its id, "" before it is needed
	unseen error  // why there is none
	ports  *portWatch
}

// portWatch holds the last line of a prober that prints ports. To run a command
// each time somebody asks would cost more than all that is asked.
type portWatch struct {
	conn  net.Conn
	first chan struct{} // closed with the first line, or the end
	mu    sync.Mutex
	last  []string
	err   error
}

func (w *portWatch) read() {
	lines := bufio.NewScanner(w.conn)
	for first := true; ; first = false {
		more := lines.Scan()
		w.mu.Lock()
		if w.last = strings.Fields(lines.Text()); !more {
			w.err = cmp.Or(lines.Err(), io.EOF)
		}
		w.mu.Unlock()
		if first {
			close(w.first)
		}
		if !more {
			return
		}
	}
}

// ContainerState is what an engine says of a container.
type ContainerState struct {
	Running bool
	// ExitCode is that of the main process once it is not running.
	ExitCode int
	// OutOfMemory says that it was killed at its bound.
	OutOfMemory bool
	// Health is "starting", "healthy" or "unhealthy", and "" without a check;
	// HealthOutput is what the last check printed.
	Health, HealthOutput string
}

// Start creates a container and starts it. Standard input is closed, and there
// is no terminal. The caller closes it. An error says why it cannot be started;
// nothing is left then.
func (c *Containers) Start(ctx context.Context, spec ContainerSpec) (*Container, error) {
	cfg := &container.Config{Hostname: hostname, Image: spec.Image}
	if spec.Command != nil {
		cfg.Entrypoint, cfg.Cmd = spec.Command[:1], spec.Command[1:]
	}
	cfg.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	if spec.HealthInterval > 0 {
		// The test itself and what is 0 here are the image's.
		cfg.Healthcheck = &container.HealthConfig{Interval: spec.HealthInterval}
		if c.apiAtLeast(44) {
			cfg.Healthcheck.StartInterval = spec.HealthInterval
		}
	}
	host := c.hostConfig()
	host.NetworkMode = "none"
	if c.opt.Network {
		host.NetworkMode = "bridge"
	} else {
		// Programs ask for their own name, and nothing else answers here.
		host.ExtraHosts = []string{hostname + ":127.0.0.1"}
	}
	host.Resources.Memory, host.Resources.MemorySwap = c.opt.Memory, c.opt.Memory
	id, err := c.create(ctx, cfg, host)
	if err != nil {
		return nil, err
	}
	out := &Container{of: c, id: id, image: spec.Image}
	if _, err := c.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		err = c.explain(ctx, "starting", err)
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

func (c *Containers) hostConfig() *container.HostConfig {
	pids := int64(maxPids)
	return &container.HostConfig{
		SecurityOpt: []string{"no-new-privileges"},
		Resources:   container.Resources{PidsLimit: &pids},
		// The engine's own kind of log may be one that cannot be read.
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "16m", "max-file": "1"}},
	}
}

func (c *Containers) create(ctx context.Context, cfg *container.Config, host *container.HostConfig) (string, error) {
	cfg.Labels = map[string]string{ContainerLabel: c.opt.Run}
	// The name is ours, so that one can be removed whose creation was cut off.
	name := "image-budget-" + strings.ToLower(rand.Text())
	created, err := c.api.ContainerCreate(ctx, client.ContainerCreateOptions{Config: cfg, HostConfig: host, Name: name})
	if err != nil {
		err = c.explain(ctx, "creating a container", err)
		return "", errors.Join(err, c.remove(ctx, name))
	}
	return created.ID, nil
}

func (c *Containers) apiAtLeast(minor int) bool {
	return (&engine{api: c.api}).atLeast(minor)
}

// explain says in one line what an engine answered.
func (c *Containers) explain(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	text := err.Error()
	// An engine says through how many hands an error went; the last one counts.
	if i := strings.LastIndex(text, "exec: "); i >= 0 {
		text = text[i:]
	} else {
		text = strings.TrimPrefix(text, "Error response from daemon: ")
	}
	text = strings.TrimSuffix(strings.TrimSpace(text), ": unknown")
	return fmt.Errorf("%s: %s", doing, showLong(text))
}

func showLong(s string) string {
	const most = 300
	s = printable(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// remove removes a container with its volumes, also when the run was cancelled.
func (c *Containers) remove(ctx context.Context, name string) error {
	return removeContainer(ctx, c.api, name)
}

// Close removes the container, whatever it does, and what was started to look
// at it. An error says what is left.
func (c *Container) Close() error {
	c.mu.Lock()
	prober, ports := c.prober, c.ports
	c.ports = nil
	c.prober, c.unseen = "", errors.New("the container was removed")
	c.mu.Unlock()
	if ports != nil {
		_ = ports.conn.Close() // the container goes with it
	}
	var err error
	if prober != "" {
		err = c.of.remove(context.Background(), prober)
	}
	return errors.Join(err, c.of.remove(context.Background(), c.id))
}

// State asks what becomes of it. An error is the engine's.
func (c *Container) State(ctx context.Context) (ContainerState, error) {
	got, err := c.of.api.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
	if err != nil {
		return ContainerState{}, c.of.explain(ctx, "asking after the container", err)
	}
	if got.Container.Config != nil {
		c.mu.Lock()
		c.stopSignal = got.Container.Config.StopSignal
		c.mu.Unlock()
	}
	s := got.Container.State
	if s == nil {
		return ContainerState{}, errors.New("asking after the container: the engine did not say")
	}
	out := ContainerState{Running: s.Running, ExitCode: s.ExitCode, OutOfMemory: s.OOMKilled}
	if s.Health != nil && s.Health.Status != container.NoHealthcheck {
		out.Health = string(s.Health.Status)
		if n := len(s.Health.Log); n > 0 && s.Health.Log[n-1] != nil {
			out.HealthOutput = showLong(strings.TrimSpace(s.Health.Log[n-1].Output))
		}
	}
	return out, nil
}

// Stop sends the signal with which an engine asks the image's containers to
// end, and does not wait. An error is the engine's.
func (c *Container) Stop(ctx context.Context) error {
	c.mu.Lock()
	signal := cmp.Or(c.stopSignal, "SIGTERM")
	c.mu.Unlock()
	if _, err := c.of.api.ContainerKill(ctx, c.id, client.ContainerKillOptions{Signal: signal}); err != nil && !errdefs.IsConflict(err) {
		return c.of.explain(ctx, "stopping the container", err)
	}
	return nil
}

// Logs returns what it printed so far, the beginning and the end of it where it
// is more than 64 KiB. An error is the engine's.
func (c *Container) Logs(ctx context.Context) (stdout, stderr []byte, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := c.of.api.ContainerLogs(ctx, c.id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return nil, nil, c.of.explain(ctx, "reading the container's log", err)
	}
	defer body.Close()
	out, errs := &ends{most: maxContainerLog / 2}, &ends{most: maxContainerLog / 2}
	if _, err := stdcopy.StdCopy(out, errs, io.LimitReader(body, maxContainerStream)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, c.of.explain(ctx, "reading the container's log", err)
	}
	return out.text(), errs.text(), nil
}

// ends keeps the beginning and the end of what is written to it.
type ends struct {
	most int
	head []byte
	tail tail
}

func (e *ends) Write(p []byte) (int, error) {
	n := min(len(p), e.most-len(e.head))
	e.head = append(e.head, p[:n]...)
	e.tail.most = e.most
	if _, err := e.tail.Write(p[n:]); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (e *ends) text() []byte {
	return append(bytes.Clone(e.head), e.tail.data...)
}

// Exec runs a command in the container, as its user and in its folder, and
// returns its exit status and up to 64 KiB of what it printed. An error says
// that it could not be run.
func (c *Container) Exec(ctx context.Context, command []string) (code int, output []byte, err error) {
	return c.of.exec(ctx, c.id, command)
}

func (c *Containers) exec(ctx context.Context, id string, command []string) (code int, output []byte, err error) {
	created, err := c.api.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, Cmd: command})
	if err != nil {
		return 0, nil, c.explain(ctx, "running a command in the container", err)
	}
	attached, err := c.api.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, nil, c.explain(ctx, "running a command in the container", err)
	}
	defer attached.Close()
	// Reading from it knows no context.
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	out := &ends{most: maxContainerLog / 2}
	if _, err := stdcopy.StdCopy(out, out, io.LimitReader(attached.Reader, maxContainerStream)); err != nil {
		return 0, out.text(), c.explain(ctx, "running a command in the container", err)
	}
	for {
		got, err := c.api.ExecInspect(ctx, created.ID, client.ExecInspectOptions{})
		if err != nil {
			return 0, out.text(), c.explain(ctx, "running a command in the container", err)
		}
		if !got.Running {
			return got.ExitCode, out.text(), nil
		}
		if err := waitOnTimer(ctx, 50*time.Millisecond); err != nil {
			return 0, out.text(), err
		}
	}
}

// Changes lists what was changed in the image's files: "A /path" was added,
// "C /path" changed, "D /path" deleted. Volumes are not in it. An error is the
// engine's.
func (c *Container) Changes(ctx context.Context) ([]string, error) {
	got, err := c.of.api.ContainerDiff(ctx, c.id, client.ContainerDiffOptions{})
	if err != nil {
		return nil, c.of.explain(ctx, "listing the files that were written", err)
	}
	out := make([]string, 0, len(got.Changes))
	for _, change := range got.Changes {
		out = append(out, change.Kind.String()+" "+change.Path)
	}
	return out, nil
}

// Exists tells whether there is a file in the container. An error is the
// engine's.
func (c *Container) Exists(ctx context.Context, path string) (bool, error) {
	_, err := c.of.api.ContainerStatPath(ctx, c.id, client.ContainerStatPathOptions{Path: path})
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, c.of.explain(ctx, "looking for a file", err)
	}
	return true, nil
}

// Listening lists the addresses that are listened on in the container's
// network, as the prober prints them. An error says that it cannot be seen.
func (c *Container) Listening(ctx context.Context) ([]string, error) {
	id, err := c.probe(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	w := c.ports
	if w == nil {
		conn, err := dialExec(ctx, c.of.api, id, c.of.probeCommand("ports")...)
		if err != nil {
			c.mu.Unlock()
			return nil, c.of.explain(ctx, "looking at the ports", err)
		}
		w = &portWatch{conn: conn, first: make(chan struct{})}
		c.ports = w
		go w.read()
	}
	c.mu.Unlock()
	select {
	case <-w.first:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, fmt.Errorf("looking at the ports: %s", showLong(w.err.Error()))
	}
	return w.last, nil
}

// Dial connects to a port as from inside the container. An error of a port
// that nobody listens on comes with the first Read.
func (c *Container) Dial(ctx context.Context, port int) (net.Conn, error) {
	id, err := c.probe(ctx)
	if err != nil {
		return nil, err
	}
	return dialExec(ctx, c.of.api, id, c.of.probeCommand("dial", strconv.Itoa(port))...)
}

// proberName and proberLibs are hidden: they are in the prober's container alone.
const (
	proberName = ".image-budget-probe"
	proberLibs = ".image-budget-libs"
)

// probe starts the prober, once.
func (c *Container) probe(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.prober != "" || c.unseen != nil {
		return c.prober, c.unseen
	}
	if c.of.blind != nil {
		return "", c.of.blind
	}
	host := c.of.hostConfig()
	host.NetworkMode = container.NetworkMode("container:" + c.id)
	host.Resources.Memory, host.Resources.MemorySwap = 256<<20, 256<<20
	command := c.of.probeCommand("wait", strconv.Itoa(int(probeLife.Seconds())))
	cfg := &container.Config{
		Image: c.image, User: "0:0", WorkingDir: "/", Entrypoint: command[:1], Cmd: command[1:],
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
	id, err := c.of.create(ctx, cfg, host)
	if err != nil {
		return "", err
	}
	err = c.of.copyProgram(ctx, id)
	if err == nil {
		_, err = c.of.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
	}
	if err != nil {
		err = c.of.explain(ctx, "looking into the container's network", err)
		return "", errors.Join(err, c.of.remove(ctx, id))
	}
	c.prober = id
	return id, nil
}

// copyProgram puts the prober into a container, with what it needs.
func (c *Containers) copyProgram(ctx context.Context, id string) error {
	out, in := io.Pipe()
	go func() {
		w := tar.NewWriter(in)
		err := putFile(w, proberName, c.opt.Prober[0])
		for _, lib := range c.libs {
			if err == nil {
				err = putFile(w, proberLibs+"/"+filepath.Base(lib), lib)
			}
		}
		_ = in.CloseWithError(errors.Join(err, w.Close())) // it never fails
	}()
	_, err := c.api.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: out})
	return errors.Join(err, out.Close())
}

// putFile adds a file of this machine to a tar, as a program. Folders come of
// themselves.
func putFile(w *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// EngineID is what the engine calls an image that was opened in it or built by
// it, "" for one from elsewhere.
func (img *Image) EngineID() string { return img.engineID }

// Left lists the containers of a run that are there, by name. An error is the
// engine's.
func (c *Containers) Left(ctx context.Context, run string) ([]string, error) {
	got, err := c.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", ContainerLabel+"="+run)})
	if err != nil {
		return nil, c.explain(ctx, "listing containers", err)
	}
	var out []string
	for _, one := range got.Items {
		out = append(out, strings.Join(one.Names, ", "))
	}
	return out, nil
}
