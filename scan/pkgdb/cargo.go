package pkgdb

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/org/image-budget/footprint"
)

const (
	// rustDepsSection is where cargo-auditable leaves the crates of a program:
	// JSON, compressed by zlib.
	rustDepsSection = ".dep-v0"
	maxRustDeps     = 8 << 20
	maxRustCrates   = 20_000
	// maxRustSymbols bounds what is sorted; a browser has half of it.
	maxRustSymbols = 1_000_000
)

// readCargo says which crates a program is made of, and how many bytes of
// machine code and data each of them is if the program still has its symbols.
// Crates that only helped to build it are not in it.
func readCargo(f File, e *elfFile) (Facts, error) {
	s, _ := e.section(rustDepsSection)
	b, ok := e.at(s.off, min(s.size, maxRustDeps))
	if !ok {
		return Facts{}, errors.New("larger than " + footprint.Bytes(maxWholeELF).Short())
	}
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return Facts{}, errors.New("malformed list of crates")
	}
	text, err := io.ReadAll(io.LimitReader(z, maxRustDeps+1))
	if err != nil {
		return Facts{}, errors.New("malformed list of crates")
	}
	if len(text) > maxRustDeps {
		return Facts{}, errors.New("a list of crates larger than " + footprint.Bytes(maxRustDeps).Short())
	}
	var list struct {
		Packages []struct {
			Name, Version string
			Kind          string // "build"; else it is in the program
			Root          bool
			Dependencies  []int
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return Facts{}, errors.New("malformed list of crates")
	}
	if len(list.Packages) > maxRustCrates {
		return Facts{}, fmt.Errorf("more than %d crates", maxRustCrates)
	}
	var pkgs []Package
	main := -1
	requires := 0
	for _, p := range list.Packages {
		if p.Kind == "build" || p.Kind == "dev" || p.Name == "" {
			continue
		}
		crate := Package{
			Ecosystem: Cargo, Root: "/" + f.Path, Installed: true, Asked: AsDependency, Name: p.Name, Version: p.Version,
		}
		for _, d := range p.Dependencies {
			if requires++; requires > 20*maxRustCrates {
				break
			}
			if d >= 0 && d < len(list.Packages) && list.Packages[d].Kind != "build" {
				crate.Requires = append(crate.Requires, list.Packages[d].Name)
			}
		}
		if p.Root && main < 0 {
			main = len(pkgs)
		}
		pkgs = append(pkgs, crate)
	}
	if main < 0 {
		main = len(pkgs)
		pkgs = append(pkgs, Package{Ecosystem: Cargo, Root: "/" + f.Path, Installed: true, Name: path.Base(f.Path)})
	}
	pkgs[main].Main, pkgs[main].Asked = true, ByName

	// Two versions of a crate have the same name in symbols: what cannot be told
	// apart stays with the program.
	index := map[string]int{}
	for i, p := range pkgs {
		crate := strings.ReplaceAll(p.Name, "-", "_")
		if _, twice := index[crate]; twice {
			i = main
		}
		index[crate] = i
	}
	facts := Facts{Packages: pkgs}
	for crate, n := range e.rustBytes() {
		if i, ok := index[crate]; ok && i != main {
			pkgs[i].Inside += n
		}
	}
	return facts, nil
}
