package pkgdb

import (
	"debug/elf"
	"errors"
	"strings"

	"github.com/org/image-budget/footprint"
)

// maxWholeELF is the largest program that is looked through function by
// function. Of a larger one the sections are known, and what its head tells.
const maxWholeELF = 128_000_000

func elfReaders() []reader {
	return []reader{{
		name: "ELF",
		wants: func(f File, head []byte) bool {
			return len(head) >= 64 && string(head[:4]) == elf.ELFMAG
		},
		max:   maxWholeELF,
		parts: partsOfELF,
		read:  readELF,
	}}
}

// readELF says what a program needs to be run, what strip would remove, and what
// a Go or Rust program is made of.
func readELF(f File, c Content) (Facts, error) {
	facts, err := readSections(f, c)
	facts.Program = readProgram(c)
	return facts, err
}

func readSections(f File, c Content) (Facts, error) {
	e, err := parseELF(c)
	switch {
	case errors.Is(err, errMalformedELF) && c.Whole != nil:
		return Facts{}, nil // no program that runs: no one misses what is in it
	case errors.Is(err, errMalformedELF): // its sections may be where nothing was kept
		return Facts{Unread: Golang}, errors.New("larger than " + footprint.Bytes(maxWholeELF).Short())
	case err != nil:
		return Facts{Unread: Golang}, err
	}
	var facts Facts
	facts.Debug, facts.Symbols = e.strippable()
	for _, made := range []struct {
		section, of string
		read        func(File, *elfFile) (Facts, error)
	}{{goInfoSection, Golang, readGolang}, {rustDepsSection, Cargo, readCargo}} {
		if _, ok := e.section(made.section); ok {
			of, err := made.read(f, e)
			facts.Packages, facts.Skipped = of.Packages, of.Skipped
			if err != nil { // else all is known but how heavy they are
				facts.Unread = made.of
			}
			return facts, err
		}
	}
	return facts, nil
}

// strippable sums the bytes of the file that hold debug data, and symbols that
// are not for the dynamic linker. Hostile sections may overlap or lie outside:
// the sum is never more than the file.
func (e *elfFile) strippable() (debug, symbols footprint.Bytes) {
	for _, s := range e.sections {
		if s.flags&elf.SHF_ALLOC != 0 {
			continue
		}
		n := min(footprint.Bytes(s.size), footprint.Bytes(e.Size)-debug-symbols)
		switch {
		case isDebugSection(string(s.name)):
			debug += n
		case string(s.name) == ".symtab" || string(s.name) == ".strtab":
			// A linker, and the kernel that loads a module, need the symbols of
			// an object file.
			if e.kind != elf.ET_REL {
				symbols += n
			}
		}
	}
	return debug, symbols
}

func isDebugSection(name string) bool {
	for _, prefix := range []string{".debug_", ".zdebug_", ".rela.debug_", ".rel.debug_", ".stab"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == ".gnu_debugdata" || name == ".gdb_index" || name == ".debug"
}
