package footprint

import "time"

// Program is what a file that can be run or loaded needs besides itself. Its
// texts are as foreign as the image is.
type Program struct {
	// ELF tells an ELF file from a script that begins with #!.
	ELF bool
	// Interpreter is the loader that an ELF file names, or the interpreter of a
	// script as Linux reads it, with its Args; "" is a static program or a
	// library.
	Interpreter string
	Args        string
	// Needed are the libraries that are loaded with it, by name, and Soname is
	// the name that it is needed by. Runpath are the folders that it has looked
	// through first, $ORIGIN and all; RPATH counts as one.
	Needed  []string
	Soname  string
	Runpath []string
	// Library is set on what can only be loaded, Dlopen on what loads others
	// by a name that only running it tells.
	Library, Dlopen bool
	// Machine is e_machine of ELF, and Class its bytes EI_CLASS and EI_DATA, the
	// first of them high: 0x0201 is 64-bit and little-endian. Both are 0 of a
	// script.
	Machine uint16
	Class   uint16
}

// Config is what a container of an image is started with.
type Config struct {
	Entrypoint, Cmd []string
	// Env are NAME=VALUE, in order.
	Env              []string
	User, WorkingDir string
	// Ports are as EXPOSE has them: "3000/tcp", in order. Volumes are paths, in
	// order.
	Ports, Volumes []string
	Labels         map[string]string
	StopSignal     string
	// Shell is that of the shell form, nil if it is the usual one.
	Shell   []string
	OnBuild []string
	// Healthcheck is nil without one.
	Healthcheck *Healthcheck
}

// Healthcheck is how an engine sees whether a container works.
type Healthcheck struct {
	// Test is NONE; or CMD and a command; or CMD-SHELL and a line.
	Test []string
	// These are 0 where the engine's default holds.
	Interval, Timeout, StartPeriod, StartInterval time.Duration
	Retries                                       int
}
