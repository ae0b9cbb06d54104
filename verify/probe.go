package verify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Probe is the program that looks at a network from inside it; its words are
// those of source.ContainerOptions. An error says what it could not do.
func Probe(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "wait":
		seconds, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		timer := time.NewTimer(time.Duration(seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		return nil
	case len(args) == 1 && args[0] == "ports":
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			if _, err := fmt.Fprintln(stdout, strings.Join(localPorts(), " ")); err != nil {
				return err
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return nil
			}
		}
	case len(args) == 2 && args[0] == "dial":
		conn, err := dialLocal(ctx, args[1])
		if err != nil {
			return err
		}
		defer conn.Close()
		go func() {
			_, _ = io.Copy(conn, stdin) // the answer tells
			if half, ok := conn.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		}()
		_, err = io.Copy(stdout, conn)
		return err
	}
	return fmt.Errorf("probe: want wait SECONDS, ports or dial PORT")
}

// localPorts are the addresses that are listened on.
func localPorts() []string {
	var out []string
	for _, table := range []struct{ file, proto, state string }{
		{"/proc/net/tcp", "tcp", "0A"}, {"/proc/net/tcp6", "tcp", "0A"},
		{"/proc/net/udp", "udp", "07"}, {"/proc/net/udp6", "udp", "07"},
	} {
		text, err := os.ReadFile(table.file)
		if err != nil {
			continue // without IPv6 there is no such file
		}
		for _, address := range sockets(text, table.state) {
			if out = append(out, table.proto+"/"+address); len(out) == maxSockets {
				return out
			}
		}
	}
	return out
}

// maxSockets bounds what is told of them.
const maxSockets = 1000

// dialLocal connects to a port on whichever address it is listened on.
func dialLocal(ctx context.Context, port string) (net.Conn, error) {
	hosts := []string{"127.0.0.1", "::1"}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, address := range sockets(text, "0A") {
			host, p, err := net.SplitHostPort(address)
			if ip := net.ParseIP(host); err == nil && p == port && !ip.IsUnspecified() && !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	var first error
	for _, host := range hosts {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// sockets reads the local addresses of one state from a table of the kernel.
func sockets(table []byte, state string) []string {
	var out []string
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != state {
			continue
		}
		host, port, ok := strings.Cut(fields[1], ":")
		raw, err := hex.DecodeString(host)
		n, err2 := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
			continue
		}
		// Each word of it is in the order of the processor, which is little
		// endian on all that Docker's images are commonly made for.
		for i := 0; i < len(raw); i += 4 {
			slices.Reverse(raw[i : i+4])
		}
		if address := net.JoinHostPort(net.IP(raw).String(), strconv.FormatUint(n, 10)); !slices.Contains(out, address) {
			out = append(out, address)
		}
	}
	return out
}
