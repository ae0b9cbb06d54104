package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// dialExec runs a command in a container of the engine and takes its standard
// input and output for a connection.
func dialExec(ctx context.Context, api *client.Client, container string, command ...string) (net.Conn, error) {
	created, err := api.ExecCreate(ctx, container, client.ExecCreateOptions{AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: command})
	if errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("the engine has no container %s", show(container))
	}
	if err != nil {
		return nil, err
	}
	attached, err := api.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	c := &execConn{hijacked: attached.HijackedResponse}
	out, in := io.Pipe()
	c.out = out
	go func() {
		said := &tail{most: 500}
		_, err := stdcopy.StdCopy(in, said, attached.Reader)
		if text := said.String(); err == nil && text != "" {
			err = errors.New(show(text))
		}
		if err == nil {
			err = io.EOF
		}
		_ = in.CloseWithError(err) // it never fails
	}()
	return c, nil
}

// execConn is a connection over the streams of a command.
type execConn struct {
	hijacked client.HijackedResponse
	out      *io.PipeReader
}

func (c *execConn) Read(p []byte) (int, error)  { return c.out.Read(p) }
func (c *execConn) Write(p []byte) (int, error) { return c.hijacked.Conn.Write(p) }

func (c *execConn) Close() error {
	return errors.Join(c.hijacked.Conn.Close(), c.out.Close())
}

func (c *execConn) LocalAddr() net.Addr                { return execAddr{} }
func (c *execConn) RemoteAddr() net.Addr               { return execAddr{} }
func (c *execConn) SetDeadline(t time.Time) error      { return c.hijacked.Conn.SetDeadline(t) }
func (c *execConn) SetReadDeadline(t time.Time) error  { return c.hijacked.Conn.SetReadDeadline(t) }
func (c *execConn) SetWriteDeadline(t time.Time) error { return c.hijacked.Conn.SetWriteDeadline(t) }

type execAddr struct{}

func (execAddr) Network() string { return "exec" }
func (execAddr) String() string  { return "exec" }

// tail keeps the last bytes written to it.
type tail struct {
	most int
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - t.most; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.data) }
