package dockerfile

import (
	"slices"
	"strings"
)

// wrapper is a command that runs another one.
type wrapper struct {
	// valued are the options that take the next word.
	valued []string
	// operands is how many words stand between the options and the command.
	operands int
	// assigns tells that NAME=VALUE may stand before the command.
	assigns bool
	// other are options with which it runs no command that stands there.
	other []string
}

// wrapperOf knows the commands that run what stands behind them.
func wrapperOf(name string) (wrapper, bool) {
	switch name {
	case "sudo":
		return wrapper{valued: []string{"-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "-U", "--user", "--group"}, assigns: true, other: []string{"-l", "-v", "-V", "-k", "-K", "-e", "-i", "-s"}}, true
	case "env":
		return wrapper{valued: []string{"-u", "--unset"}, assigns: true, other: []string{"-C", "--chdir", "-S", "--split-string"}}, true
	case "nice":
		return wrapper{valued: []string{"-n", "--adjustment"}}, true
	case "ionice":
		return wrapper{valued: []string{"-c", "-n"}, other: []string{"-p", "-P", "-u"}}, true
	case "time":
		return wrapper{valued: []string{"-f", "-o"}}, true
	case "exec":
		return wrapper{valued: []string{"-a"}}, true
	case "command":
		return wrapper{other: []string{"-v", "-V"}}, true
	case "builtin", "nohup", "setsid", "eatmydata":
		return wrapper{}, true
	case "timeout":
		return wrapper{valued: []string{"-k", "-s", "--kill-after", "--signal"}, operands: 1}, true
	case "gosu", "su-exec":
		return wrapper{operands: 1, other: []string{"--help", "--version"}}, true
	case "tini", "dumb-init", "catatonit":
		return wrapper{valued: []string{"-p", "-e", "-r"}, other: []string{"-h", "-l", "--version"}}, true
	}
	return wrapper{}, false
}

// Unwrapped is the call without what only runs it, as sudo, env NAME=VALUE,
// exec, time, nice, timeout and gosu do: Words begins with the command itself.
// All else stays, and with it Start and End. A call whose wrapper has options that
// are not known is returned as it is.
func (c Call) Unwrapped() Call {
	for {
		w, ok := wrapperOf(c.Name())
		if !ok {
			return c
		}
		rest := c.Words[1:]
		for len(rest) > 0 && rest[0].Known && strings.HasPrefix(rest[0].Text, "-") && rest[0].Text != "-" {
			option, _, joined := strings.Cut(rest[0].Text, "=")
			if rest = rest[1:]; option == "--" {
				break
			}
			if slices.Contains(w.other, option) {
				return c
			}
			if slices.Contains(w.valued, option) && !joined && len(rest) > 0 {
				rest = rest[1:]
			}
		}
		for w.assigns && len(rest) > 0 && strings.Contains(rest[0].Text, "=") {
			rest = rest[1:]
		}
		if len(rest) <= w.operands || !rest[w.operands].Known {
			return c
		}
		c.Words = rest[w.operands:]
	}
}
