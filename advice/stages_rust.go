package advice

import (
	"context"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// planRust plans the runtime of a Rust program.
func planRust(ctx context.Context, p *project) (*proposal, error) {
	owner := p.ecosystemOf(p.program.exec.Owner)
	if !p.builtHere() || owner != footprint.Cargo && (owner != "" || !p.runs("cargo", "rustc", "cross")) {
		return nil, nil
	}
	c, refusal, err := p.compile(ctx)
	if c == nil {
		return refusal, err
	}
	if c.libs.Libc == glibc {
		c.notes = append(c.notes, "The program loads glibc. A build for a musl target could run on scratch, if all that it links is there for musl.")
	}
	trust, err := c.trust(ctx, false)
	if err != nil {
		return nil, err
	}
	return c.proposal(ctx, trust, c.zones(), "gcr.io/distroless/static-debian12"), nil
}

// zones are the time zones of the system, where somebody asked for one: by TZ,
// or by installing them.
func (c *compiled) zones() []copied {
	asked := slices.ContainsFunc(c.Config.Env, func(e string) bool { return strings.HasPrefix(e, "TZ=") })
	if f, _, ok := c.tree.follow(zoneinfo); ok && c.isOwn(f) {
		asked = true
	}
	local := c.localTime()
	if !asked && local == nil {
		return nil
	}
	return append(c.present("Time zones.", zoneinfo), local...)
}
