// Package pkgdb knows how package managers and compilers write down what they
// put into a filesystem: which package owns which files, and who asked for it.
//
// A reader turns the content of one file, such as /var/lib/dpkg/status, into
// [Facts] while its layer streams past; no reader sees a second file or the
// disk. Facts are small, and are stored with the layer they came from.
// [Combine] turns the facts of all files that a container sees into packages.
// Which file a claim ends up with, and what that weighs, is decided by package
// scan, which has the tree.
//
// All content is hostile. A reader is given at most its bound of bytes, answers
// with at most so many facts, and an error is a sentence in the report and not
// the end of the measurement.
package pkgdb

import (
	"io"

	"github.com/org/image-budget/footprint"
)

// Method names what the readers make of the files that they want. Facts are
// stored with their layer under this name: raise the number whenever a reader
// tells something else of the same bytes, and layers are read anew.
const Method = "packages 2"

// The ecosystems, as packages have them.
const (
	Dpkg     = footprint.Dpkg
	Apk      = footprint.Apk
	Rpm      = footprint.Rpm
	Npm      = footprint.Npm
	Python   = footprint.Python
	Conda    = footprint.Conda
	Gem      = footprint.Gem
	Composer = footprint.Composer
	Dotnet   = footprint.Dotnet
	Java     = footprint.Java
	Golang   = footprint.Golang
	Cargo    = footprint.Cargo
)

// File is one regular file of a layer.
type File struct {
	// Path is relative to the root of the image, without a leading slash, clean.
	// It may hold any bytes.
	Path string
	// Mode are the permission bits.
	Mode uint16
	// Size is in bytes.
	Size int64
}

// Facts is what the content of one file tells.
type Facts struct {
	// Packages are those that the file describes, in its order.
	Packages []Package
	// Diverted are files that were renamed for the sake of another package.
	Diverted []Diversion
	// Debug and Symbols are the bytes of this file that are debug sections, and
	// symbol tables that nothing needs at run time: what strip would remove.
	Debug, Symbols footprint.Bytes
	// Program is what the file needs to be run or loaded, nil if it cannot be.
	Program *footprint.Program
	// Skipped says in a few words why the file, or a part of it, was not
	// understood: "larger than 64 MB", "malformed". Whatever was understood is
	// in the other fields.
	Skipped string
	// Unread is the ecosystem whose packages may be missing because of that, "*"
	// where it may be any, and "" where all are known, though not their bytes.
	Unread string
}

// Package is what one file says of one package. Several files may describe the
// same package, by Ecosystem, Root, Name and Instance: each adds what it knows.
type Package struct {
	Ecosystem string
	// Root is the absolute directory or file that holds this copy of the
	// package; "" in the ecosystems of a system, where a name is installed once.
	Root string
	Name string
	// Instance tells packages of one name apart that a system has beside each
	// other, as rpm has two kernels: "" for the first, the version for the
	// others. It is for no one to see.
	Instance string
	// Version is "" where this file does not tell.
	Version string
	// Installed is set by the file that makes the package exist; a list of files
	// without one, as a removed package may leave it, is no package.
	Installed bool
	// Files are absolute paths of files that the package owns, each as its
	// database has it: symbolic links in it are for the tree to follow, and it
	// may name directories and files that are not there.
	Files []string
	// Trees are absolute directories of which the package owns all that no
	// deeper tree, and no file claimed by name, takes away.
	Trees []string
	// Inside is how many bytes of the file itself are this package, as a library
	// that is linked into a program. What is left over belongs to the package
	// that has Main set.
	Inside footprint.Bytes
	// Main is set on the one package of these facts that the file itself is, as
	// a program is to the libraries in it.
	Main bool
	// Requires names packages of the same ecosystem that this one needs;
	// alternatives are all named. Provides names what else it is known as.
	Requires, Provides []string
	// Asked says whether somebody asked for it by name.
	Asked Asked
	// Dev is set on what is needed for development only.
	Dev bool
}

// Asked says how a package came to be installed.
type Asked uint8

const (
	// Unknown is where no database tells.
	Unknown Asked = iota
	// ByName is a package that somebody asked for.
	ByName
	// AsDependency is one that others needed.
	AsDependency
)

// Diversion is a file of dpkg that stands elsewhere than its package says.
type Diversion struct {
	// From and To are absolute. By is the package whose own file stays at From,
	// "" where it is the administrator's.
	From, To, By string
}

// Content is what a reader sees of a file. ReadAt beyond what was kept fails.
type Content struct {
	io.ReaderAt
	// Size is that of the whole file.
	Size int64
	// Whole is the content if all of it was kept, else nil. It is valid until
	// the reader returns.
	Whole []byte
}

// reader reads one kind of file.
type reader struct {
	// name is for messages: "dpkg status".
	name string
	// of is the ecosystem that it reads; "" where it says so itself.
	of string
	// adds is set where it makes no package exist, and only tells more of those
	// that there are.
	adds bool
	// wants tells whether it reads that file, by its path and its first bytes:
	// all of a short file, at least 512 of a longer one. It is asked for every
	// file of an image, so it must be cheap.
	wants func(f File, head []byte) bool
	// max is the largest file in bytes that is kept as a whole. Of a larger one
	// the reader is given nothing, and the facts say so, unless parts is set.
	max int64
	// parts tells what else to keep of a larger file, of which the first 64 KiB
	// are kept, and given to it. It is at most 10 MiB together; what goes beyond
	// is not kept.
	parts func(size int64, head []byte) []span
	// read is never given more than it was promised, and may keep nothing of
	// the content. With an error, what it returns is still used.
	read func(f File, c Content) (Facts, error)
}

// readers are asked in this order; the first that wants a file reads it.
func readers() []reader {
	var all []reader
	for _, those := range []struct {
		of      string
		readers []reader
	}{
		{Dpkg, dpkgReaders()}, {Apk, apkReaders()}, {Rpm, rpmReaders()},
		{Npm, npmReaders()}, {Python, pythonReaders()}, {Gem, gemReaders()}, {Composer, composerReaders()}, {Dotnet, dotnetReaders()},
		{Java, javaReaders()}, {"", elfReaders()},
	} {
		for _, r := range those.readers {
			if r.of == "" && !r.adds {
				r.of = those.of
			}
			all = append(all, r)
		}
	}
	return all
}

// headOnly are the parts of a reader that needs no more than how a file begins,
// or only its name.
func headOnly(int64, []byte) []span { return nil }
