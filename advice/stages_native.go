package advice

import "context"

// planNative plans the runtime of a program in C, C++ or another language whose
// compiler makes a file that runs by itself.
func planNative(ctx context.Context, p *project) (*proposal, error) {
	if !p.builtHere() || p.ecosystemOf(p.program.exec.Owner) != "" ||
		!p.runs("make", "gmake", "cmake", "ninja", "meson", "gcc", "g++", "cc", "c++", "clang", "clang++", "ld", "zig", "nim", "ghc", "stack", "cabal", "crystal", "ldc2", "dmd", "gfortran", "fpc", "swift", "swiftc", "v", "odin") {
		return nil, nil
	}
	c, refusal, err := p.compile(ctx)
	if c == nil {
		return refusal, err
	}
	trust, err := c.trust(ctx, false)
	if err != nil {
		return nil, err
	}
	return c.proposal(ctx, trust, c.zones(), ""), nil
}
