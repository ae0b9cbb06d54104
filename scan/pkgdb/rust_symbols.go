package pkgdb

import (
	"cmp"
	"debug/elf"
	"slices"
	"strconv"
	"strings"

	"github.com/org/image-budget/footprint"
)

// rustBytes sums the symbols of the program by the crate they come from. None
// is counted twice, even where several stand for the same bytes.
func (e *elfFile) rustBytes() map[string]footprint.Bytes {
	sums := map[string]footprint.Bytes{}
	table, _ := e.section(".symtab")
	if table.kind != elf.SHT_SYMTAB || uint64(table.link) >= uint64(len(e.sections)) || e.Whole == nil {
		return sums
	}
	all, _ := e.bytes(table)
	names, _ := e.bytes(e.sections[table.link])
	type symbol struct {
		addr, size uint64
		name       uint32
	}
	var symbols []symbol
	w, entry := e.words, e.words.pick(16, 24)
	for ; len(all) >= entry && len(symbols) < maxRustSymbols; all = all[entry:] {
		kind := elf.ST_TYPE(all[w.pick(12, 4)])
		section := uint64(w.Uint16(all[w.pick(14, 6):]))
		s := symbol{
			name: w.Uint32(all),
			addr: w.word(all[w.pick(4, 8):]),
			size: w.word(all[w.pick(8, 16):]),
		}
		if kind != elf.STT_FUNC && kind != elf.STT_OBJECT || section >= uint64(len(e.sections)) ||
			uint64(s.name) >= uint64(len(names)) || s.size == 0 {
			continue
		}
		// Zeroed memory is not in the file.
		if in := e.sections[section]; s.addr < in.addr || s.size > uint64(in.size) || s.addr-in.addr > uint64(in.size)-s.size {
			continue
		}
		symbols = append(symbols, s)
	}
	slices.SortFunc(symbols, func(a, b symbol) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
	var end uint64
	for _, s := range symbols {
		if s.addr < end {
			continue
		}
		end = s.addr + s.size
		if crate := rustCrate(string(cString(names[s.name:], 4096))); crate != "" {
			sums[crate] += footprint.Bytes(s.size)
		}
	}
	return sums
}

// rustCrate returns the crate that a mangled name comes from, "" if it does not
// tell.
func rustCrate(symbol string) string {
	// The hash tells it from C++.
	if rest, ok := strings.CutPrefix(symbol, "_ZN"); ok && strings.Contains(rest, "17h") {
		return legacyCrate(rest)
	}
	if rest, ok := strings.CutPrefix(symbol, "_R"); ok {
		return v0Crate(rest)
	}
	return ""
}

// legacyCrate reads "4core3fmt5write17h…E". An implementation of a trait is
// "_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..fmt..Debug$GT$": it counts
// for the crate of the type, and where that comes with the language, or is a
// parameter, for that of the trait: nobody else may implement it.
func legacyCrate(s string) string {
	first := identifier(s)
	of, isImpl := strings.CutPrefix(first, "_$LT$")
	if !isImpl {
		return first
	}
	subject, trait, _ := strings.Cut(of, "$u20$as$u20$")
	crate := crateOfType(subject)
	switch crate {
	case "", "core", "alloc", "std":
		return firstOf(crateOfType(trait), crate)
	}
	return crate
}

// crateOfType returns the crate of a type such as "$RF$alloc..vec..Vec$LT$T$GT$".
func crateOfType(t string) string {
	for again := true; again; {
		again = false
		for _, prefix := range []string{"$RF$", "$BP$", "$LP$", "$u5b$", "mut$u20$", "const$u20$", "dyn$u20$"} {
			if rest, ok := strings.CutPrefix(t, prefix); ok {
				t, again = rest, true
			}
		}
	}
	crate, _, ok := strings.Cut(t, "..")
	if !ok || strings.ContainsAny(crate, "$.") {
		return ""
	}
	return crate
}

// v0Crate reads the beginning of a name such as "NvNtCs1234_4core3fmt5write",
// down to the root of its crate.
func v0Crate(s string) string {
	for s != "" {
		tag := s[0]
		s = s[1:]
		switch tag {
		case 'C': // a crate
			s = skipBase62(s, 's')
			return identifier(s)
		case 'N': // a name in a path, after its kind
			if s != "" {
				s = s[1:]
			}
		case 'M', 'X': // an implementation; a path says where it stands
			s = skipBase62(s, 's')
		case 'I', 'Y': // with arguments; of a trait by a type
		case 'R', 'Q': // a reference as the type, and its lifetime
			s = skipBase62(s, 'L')
		case 'P', 'O', 'A', 'S': // pointers and arrays as the type
		default:
			return ""
		}
	}
	return ""
}

// skipBase62 skips a number after its tag, if it is there.
func skipBase62(s string, tag byte) string {
	if s == "" || s[0] != tag {
		return s
	}
	if i := strings.IndexByte(s, '_'); i >= 0 {
		return s[i+1:]
	}
	return ""
}

// identifier reads one that follows its length.
func identifier(s string) string {
	digits := 0
	for digits < len(s) && digits < 4 && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	n, err := strconv.Atoi(s[:digits])
	s = s[digits:]
	if err != nil || n > len(s) {
		return ""
	}
	return s[:n]
}
