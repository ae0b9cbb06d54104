package advice

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

const (
	certificates = "/etc/ssl/certs/ca-certificates.crt"
	zoneinfo     = "/usr/share/zoneinfo"
	forTLS       = "CA certificates, for TLS."
)

// planGo plans the runtime of a Go program.
func planGo(ctx context.Context, p *project) (*proposal, error) {
	if !p.builtHere() || p.ecosystemOf(p.program.exec.Owner) != footprint.Golang && (p.ecosystemOf(p.program.exec.Owner) != "" || !p.runs("go")) {
		return nil, nil
	}
	c, refusal, err := p.compile(ctx)
	if c == nil {
		return refusal, err
	}
	trust, err := c.trust(ctx, true)
	if err != nil {
		return nil, err
	}
	mime := c.present("Types of files by their names.", "/etc/mime.types", "/usr/share/mime/globs2")
	zones := c.goZones()
	if !c.static && !c.shell {
		c.notes = append(c.notes, "The program loads the C library. A build with CGO_ENABLED=0 could run on scratch, if it calls no C code.")
	}
	return c.proposal(ctx, trust, slices.Concat(mime, zones), "gcr.io/distroless/static-debian12"), nil
}

// trust copies the certificates of those who sign others. One file has all of
// them. Go and OpenSSL read the directory that it was made of as well: where
// somebody changed one of the two, it comes along for programs that both tells
// of, that load OpenSSL or that may hold it.
func (c *compiled) trust(ctx context.Context, both bool) ([]copied, error) {
	one := c.present(forTLS, certificates)
	for i := range one {
		one[i].to = path.Dir(certificates) + "/"
	}
	if !both && !c.static && !slices.ContainsFunc(c.libs.Libraries, func(l library) bool { return strings.HasPrefix(l.Name, "libssl.") }) {
		return one, nil
	}
	text, err := c.contents(ctx, c.tree, certificates)
	if err != nil {
		return nil, err
	}
	single := 0
	for _, f := range c.tree.children(path.Dir(certificates)) {
		if strings.HasSuffix(f.Path, ".pem") {
			single++
		}
	}
	if text == nil || single == 0 || bytes.Count(text, []byte("BEGIN CERTIFICATE")) == single {
		return one, nil
	}
	return c.present(forTLS, path.Dir(certificates), "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"), nil
}

// goZones are the time zones where a Go program looks for them: in the system,
// or in the Go that built it, unless -trimpath made it forget where that was.
// Those of Go are one small file.
func (c *compiled) goZones() []copied {
	const why = "Time zones."
	forgets := false
	for i := range c.steps {
		flags, _ := c.steps[i].Env("GOFLAGS")
		forgets = forgets || strings.Contains(c.steps[i].Text, "-trimpath") || strings.Contains(flags, "-trimpath")
	}
	for _, e := range c.Config.Env {
		if name, ok := strings.CutPrefix(e, "ZONEINFO="); ok {
			return c.present(why, name)
		}
	}
	zones, zip := c.present(why, zoneinfo), c.present(why, "/usr/local/go/lib/time/zoneinfo.zip")
	// A script or a Makefile may say -trimpath too: what it builds looks in the
	// system first.
	if len(zip) > 0 && !forgets && (c.runs("go") || len(zones) == 0) {
		zones = zip
	}
	return append(zones, c.localTime()...)
}

// localTime is the zone of the container, if somebody chose another than UTC.
func (c *compiled) localTime() []copied {
	f, links, ok := c.tree.follow("/etc/localtime")
	if !ok || strings.HasSuffix(f.Path, "/UTC") || strings.HasSuffix(f.Path, "/UCT") || len(links) == 0 && !c.isOwn(f) {
		return nil
	}
	return []copied{{from: []string{"/etc/localtime"}, to: "/etc/localtime"}}
}

// proposal are the plans for a compiled program: on scratch, on an image made
// for static programs if there is one, and on one of the same libc.
func (c *compiled) proposal(ctx context.Context, trust, zones []copied, static string) *proposal {
	out := &proposal{}
	add := func(p *plan) {
		if p != nil {
			p.notes = append(p.notes, c.notes...)
			out.plans = append(out.plans, *p)
		}
	}
	scratch := c.onEmpty("scratch", slices.Concat(trust, zones))
	add(scratch)
	if scratch != nil && static != "" && c.exists(ctx, static) {
		// It has certificates and the time zones of a system.
		others := slices.DeleteFunc(slices.Clone(zones), func(z copied) bool { return within(z.from[0], zoneinfo) })
		on := c.onEmpty(static, others)
		on.name, on.why = "on distroless", "The program needs certificates and time zones, and nothing else of a distribution."
		add(on)
	}
	r := c.runtimeBase()
	brought := slices.Clone(trust)
	for _, z := range zones {
		if z.from[0] != zoneinfo || c.distro.ID != "debian" { // whose slim image has them
			brought = append(brought, z)
		}
	}
	copying := c.onRuntime(r, true, brought)
	installing := c.onRuntime(r, false, brought)
	if copying != nil && installing != nil && slices.Equal(copying.packages, installing.packages) {
		copying = nil
	}
	add(copying)
	add(installing)
	if len(out.plans) == 0 {
		return unsure("No image is known that has what the program needs to run: " + c.needs() + ".")
	}
	return out
}

// needs names what a runtime stage has to have, for a sentence.
func (c *compiled) needs() string {
	var what []string
	if c.shell {
		what = append(what, "a shell")
	}
	if c.libs.Libc != "" {
		what = append(what, c.libs.Libc)
	}
	for _, f := range c.tools {
		what = append(what, f.Path)
	}
	return strings.Join(what[:min(len(what), 8)], ", ")
}
