package pkgdb

import (
	"encoding/binary"
	"errors"

	"github.com/org/image-budget/footprint"
)

// ErrFacts says that stored facts are not ours, or damaged.
var ErrFacts = errors.New("malformed package facts")

// MaxFacts bounds the facts of one file, in the bytes of [Facts.Size]: what is
// larger says more than any image has packages.
const MaxFacts = 64 << 20

// What a package, a program, and a text in a list of them, take in memory beside
// their bytes.
const (
	packageCost = 256
	programCost = 128
	textCost    = 16
)

// Size is about what the facts take in memory, in bytes.
func (f *Facts) Size() int {
	size := len(f.Skipped) + len(f.Unread)
	for i := range f.Packages {
		p := &f.Packages[i]
		size += packageCost + len(p.Ecosystem) + len(p.Root) + len(p.Name) + len(p.Instance) + len(p.Version)
		for _, list := range [][]string{p.Files, p.Trees, p.Requires, p.Provides} {
			for _, s := range list {
				size += textCost + len(s)
			}
		}
	}
	for _, d := range f.Diverted {
		size += 3*textCost + len(d.From) + len(d.To) + len(d.By)
	}
	if p := f.Program; p != nil {
		size += programCost + len(p.Interpreter) + len(p.Args) + len(p.Soname)
		for _, list := range [][]string{p.Needed, p.Runpath} {
			for _, s := range list {
				size += textCost + len(s)
			}
		}
	}
	return size
}

// Bound drops facts that say more than [MaxFacts], and says so instead.
func (f *Facts) Bound() {
	if f.Size() > MaxFacts {
		if len(f.Packages) > 0 {
			f.Unread = f.Packages[0].Ecosystem
		}
		f.Packages, f.Diverted, f.Skipped = nil, nil, "describes more than 64 MB of names"
	}
}

// Empty tells whether the facts say nothing.
func (f *Facts) Empty() bool {
	return len(f.Packages) == 0 && len(f.Diverted) == 0 && f.Debug == 0 && f.Symbols == 0 && f.Skipped == "" && f.Program == nil
}

// Append writes the facts in a compact form, for [DecodeFacts].
func (f *Facts) Append(b []byte) []byte {
	w := factWriter{b: b}
	w.number(uint64(f.Debug))
	w.number(uint64(f.Symbols))
	w.text(f.Skipped)
	w.text(f.Unread)
	w.number(uint64(len(f.Packages)))
	for i := range f.Packages {
		w.pkg(&f.Packages[i])
	}
	w.number(uint64(len(f.Diverted)))
	for _, d := range f.Diverted {
		w.text(d.From)
		w.text(d.To)
		w.text(d.By)
	}
	w.program(f.Program)
	return w.b
}

type factWriter struct{ b []byte }

func (w *factWriter) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

func (w *factWriter) text(s string) {
	w.number(uint64(len(s)))
	w.b = append(w.b, s...)
}

// texts are front-coded: each stores how many bytes it shares with the one
// before, which for a list of paths is most of them.
func (w *factWriter) texts(list []string) {
	w.number(uint64(len(list)))
	last := ""
	for _, s := range list {
		shared := 0
		for shared < len(s) && shared < len(last) && s[shared] == last[shared] {
			shared++
		}
		w.number(uint64(shared))
		w.text(s[shared:])
		last = s
	}
}

const (
	flagInstalled = 1 << iota
	flagMain
	flagDev
)

func (w *factWriter) pkg(p *Package) {
	var flags uint64
	for _, f := range []struct {
		set bool
		bit uint64
	}{{p.Installed, flagInstalled}, {p.Main, flagMain}, {p.Dev, flagDev}} {
		if f.set {
			flags |= f.bit
		}
	}
	w.number(flags)
	w.number(uint64(p.Asked))
	w.number(uint64(p.Inside))
	w.text(p.Ecosystem)
	w.text(p.Root)
	w.text(p.Name)
	w.text(p.Instance)
	w.text(p.Version)
	w.texts(p.Files)
	w.texts(p.Trees)
	w.texts(p.Requires)
	w.texts(p.Provides)
}

const (
	programKnown = 1 << iota
	programELF
	programLibrary
	programDlopen
)

func (w *factWriter) program(p *footprint.Program) {
	if p == nil {
		w.number(0)
		return
	}
	flags := uint64(programKnown)
	for _, f := range []struct {
		set bool
		bit uint64
	}{{p.ELF, programELF}, {p.Library, programLibrary}, {p.Dlopen, programDlopen}} {
		if f.set {
			flags |= f.bit
		}
	}
	w.number(flags)
	w.number(uint64(p.Machine))
	w.number(uint64(p.Class))
	w.text(p.Interpreter)
	w.text(p.Args)
	w.text(p.Soname)
	w.texts(p.Needed)
	w.texts(p.Runpath)
}

// DecodeFacts reads what [Facts.Append] wrote of bounded facts. Anything else is
// an error: ErrFacts.
func DecodeFacts(b []byte) (Facts, error) {
	r := factReader{b: b, room: MaxFacts + 1<<10}
	f := Facts{Debug: r.bytes(), Symbols: r.bytes(), Skipped: r.text(), Unread: r.text()}
	for n := r.count(); n > 0 && !r.bad; n-- {
		f.Packages = append(f.Packages, r.pkg())
	}
	for n := r.count(); n > 0 && !r.bad; n-- {
		r.pay(3 * textCost)
		f.Diverted = append(f.Diverted, Diversion{From: r.text(), To: r.text(), By: r.text()})
	}
	f.Program = r.program()
	if r.bad || len(r.b) > 0 {
		return Facts{}, ErrFacts
	}
	return f, nil
}

type factReader struct {
	b []byte
	// room bounds what front-coding may unfold to.
	room int
	bad  bool
}

func (r *factReader) fail() { r.bad, r.b = true, nil }

func (r *factReader) number(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count is that of things of at least one byte each.
func (r *factReader) count() int { return int(r.number(uint64(len(r.b)))) }

// maxSize is a petabyte, whose sums are far from an overflow.
const maxSize = 1 << 50

func (r *factReader) bytes() footprint.Bytes { return footprint.Bytes(r.number(maxSize)) }

func (r *factReader) text() string {
	n := r.count()
	if r.room -= n; r.bad || n > len(r.b) || r.room < 0 {
		r.fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// pay takes what is not text off the room.
func (r *factReader) pay(cost int) {
	if r.room -= cost; r.room < 0 {
		r.fail()
	}
}

func (r *factReader) texts() []string {
	var list []string
	last := ""
	for n := r.count(); n > 0 && !r.bad; n-- {
		shared := int(r.number(uint64(len(last))))
		r.pay(textCost + shared)
		if r.bad {
			return nil
		}
		last = last[:shared] + r.text()
		list = append(list, last)
	}
	return list
}

func (r *factReader) pkg() Package {
	r.pay(packageCost)
	flags := r.number(flagInstalled | flagMain | flagDev)
	return Package{
		Installed: flags&flagInstalled != 0, Main: flags&flagMain != 0, Dev: flags&flagDev != 0,
		Asked: Asked(r.number(uint64(AsDependency))), Inside: r.bytes(),
		Ecosystem: r.text(), Root: r.text(), Name: r.text(), Instance: r.text(), Version: r.text(),
		Files: r.texts(), Trees: r.texts(), Requires: r.texts(), Provides: r.texts(),
	}
}

func (r *factReader) program() *footprint.Program {
	flags := r.number(programKnown | programELF | programLibrary | programDlopen)
	if flags&programKnown == 0 {
		if flags != 0 {
			r.fail()
		}
		return nil
	}
	r.pay(programCost)
	return &footprint.Program{
		ELF: flags&programELF != 0, Library: flags&programLibrary != 0, Dlopen: flags&programDlopen != 0,
		Machine: uint16(r.number(1<<16 - 1)), Class: uint16(r.number(1<<16 - 1)),
		Interpreter: r.text(), Args: r.text(), Soname: r.text(), Needed: r.texts(), Runpath: r.texts(),
	}
}
