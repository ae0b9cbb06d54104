// Package footprint holds what is known about the size of a container image,
// and compares two of them.
//
// It is plain data and arithmetic: it reads no image, opens no file and knows
// no output format. Package scan fills an [Image]; [EncodeSnapshot] writes the
// part of it that a baseline stores; [Compare] explains the difference of two.
//
// Sizes are bytes. In every value that leaves this package the sums hold:
// unpacked is final plus wasted, layers add up to their image, base and own
// add up to the whole, and the parts of a [Delta] add up to the change.
// [Image.Verify] and [Delta.Verify] say so or return an error.
package footprint

import (
	"errors"
	"fmt"
	"iter"
)

// Image is the footprint of one image for one platform.
type Image struct {
	// Name is the image's id in the budget file, "" outside one.
	Name string
	// Reference is the image as the user wrote it.
	Reference string
	// Source is the kind of place it was read from: registry, docker-daemon,
	// oci, oci-archive or docker-archive.
	Source string
	// Digest is the manifest digest, ConfigDigest that of the configuration
	// (the image ID of Docker); "" where the source has none.
	Digest, ConfigDigest string
	// Platform is os/arch[/variant].
	Platform string

	// Metrics are those of the whole image.
	Metrics Metrics
	// EstimatedBy names the method behind the compressed sizes that are
	// estimated. Two methods do not compare.
	EstimatedBy string
	// Base is the part that FROM brought, Own the rest. Both are nil when
	// the boundary is not known.
	Base *Base
	// Own holds the metrics of the layers above the base.
	Own *Metrics
	// Layers are the layers with content, base first.
	Layers []Layer
	// Packages are the installed packages found, heaviest first; nil where nobody
	// looked for them.
	Packages []Package
	// Rest is what belongs to no package, nil where Packages is. Packages and
	// Rest add up to Metrics.Final.
	Rest *Rest
	// Contents sums by kind what a container seldom needs, heaviest first. A
	// file counts in one kind at most, and in any package all the same.
	Contents []Content
	// Duplicates are the heaviest of the files and directories that exist more
	// than once, at most [MaxDuplicates]. They may overlap, so each is at most
	// DuplicateBytes, which is what all files hold beyond their first copy, listed
	// or not; DuplicateOwn is the part of it above the base, all of it where the
	// base is not known.
	Duplicates                   []Duplicate
	DuplicateBytes, DuplicateOwn Bytes
	// Surface is what an intruder would find to work with, nil where no layer
	// was read.
	Surface *Surface
	// Skipped are the files that could not be looked into, in path order; what
	// they may describe counts as unowned.
	Skipped []Skipped
	// Dirs is the directory roll-up of the final filesystem, sorted by path:
	// every file is counted in the deepest listed directory above it, so the
	// bytes add up to Metrics.Final. Empty when no file was read.
	Dirs []Dir
	// DirFloor is the resolution of Dirs: a directory that is not listed held
	// fewer bytes than this, everything below it included. 0 means that every
	// directory holding a regular file is listed.
	DirFloor Bytes
	// Paths are the sums of the path patterns that the budget names, in the
	// order of the budget.
	Paths []PathSize
	// Dead are the bytes that no container can see, summed by what hid them.
	Dead []Dead
	// DeadFiles are the heaviest single files among Dead, heaviest first, at
	// most [MaxDeadFiles].
	DeadFiles []DeadFile

	// Files walks the final filesystem in path order, directories included
	// (the root is not). Paths are ordered component by component, so that a
	// directory is directly followed by everything below it. Files is nil when
	// no layer was read, and after a round trip through a snapshot. It may be
	// ranged over any number of times.
	Files iter.Seq[File]
}

// MaxDeadFiles bounds [Image.DeadFiles].
const MaxDeadFiles = 200

// Base is what FROM brought into an image.
type Base struct {
	// FoundBy says how the boundary was found: "budget file" or "--base", where
	// somebody named the base; "provenance" or "build", where BuildKit recorded
	// it, for others or for us; "annotation", where the image names it; "FROM",
	// where the reference in the Dockerfile was resolved; "history", where
	// nothing but the history lines told. "" if unknown.
	FoundBy string
	// Reference names the base image, "" if unknown.
	Reference string
	// Digest is the manifest digest of the base image, "" where it is not
	// known. A name stays when the image behind it changes.
	Digest string
	// Origin is the FROM that names it, nil if unknown. It is not kept in a
	// baseline.
	Origin *Origin
	// Metrics are those of the base layers inside this image: its wasted
	// bytes include base files that own layers replaced or deleted, because
	// they are shipped in base layers all the same.
	Metrics Metrics
}

// Layer is one layer with content.
type Layer struct {
	// Index counts from 0 at the base.
	Index int
	// Digest is the blob's, "" where the source stores no compressed blob.
	// DiffID is the digest of the unpacked layer.
	Digest, DiffID string
	// CreatedBy is the history line, as recorded by whoever built the image.
	CreatedBy string
	// Compressed is the size of the blob in bytes; see Has.
	Compressed Bytes
	// CompressedEstimated says that no blob was found and Compressed is what
	// [Image.EstimatedBy] gives.
	CompressedEstimated bool
	// Unpacked is the payload of its regular files in bytes, Wasted the part
	// of it that no container can see.
	Unpacked, Wasted Bytes
	// Files counts the names of regular files in it, hard links included.
	Files int
	// Has says which of the sizes were measured.
	Has Has
	// InBase tells whether FROM brought it.
	InBase bool
	// Origin is the place in a Dockerfile that made it, nil if unknown.
	Origin *Origin
}

// Origin is a place in a Dockerfile; lines count from 1 and End is included.
type Origin struct {
	// File is the path of the Dockerfile, Stage the name or number of the
	// stage in it.
	File  string `json:"file"`
	Stage string `json:"stage"`
	// Start and End are the first and the last line of the instruction.
	Start int `json:"start"`
	End   int `json:"end"`
	// Exact is false where the place was found by matching history.
	Exact bool `json:"exact"`
}

// Kind is the type of a file.
type Kind uint8

// The kinds of files. The zero Kind is no file at all.
const (
	Regular Kind = iota + 1
	Directory
	Symlink
	Other // devices, FIFOs, sockets
)

// File is one name in the final filesystem.
type File struct {
	// Path is absolute and clean, and may hold any bytes.
	Path string
	// Kind is what the name stands for.
	Kind Kind
	// Link is where a symbolic link leads, as it is stored.
	Link string
	// Size is the payload of a regular file in bytes. Only the first name, in path
	// order, of several hard links carries it; the others have 0.
	Size Bytes
	// Hash is a 64-bit hash of the content, to tell whether two files of the
	// same size are the same. It is no proof against an attacker.
	Hash uint64
	// Layer is the index of the layer that holds the bytes, Made that of the one
	// that brought them: another one where a layer above only wrote them again,
	// as chown does.
	Layer, Made int
	// Mode are the permission bits, setuid, setgid and sticky included.
	Mode uint16
	// UID and GID are the user and the group that it is stored with.
	UID, GID uint32
	// Owner is whom the file belongs to; all names of one file have one owner.
	Owner Owner
	// Debug and Symbols are the bytes of debug sections and of symbol tables in
	// it that nothing needs at run time. Like Size, one name carries them.
	Debug, Symbols Bytes
	// Program is what the file needs to be run or loaded, nil if it cannot be or
	// nobody looked. All names of one file have the same.
	Program *Program
}

// Dir is one directory of a roll-up.
type Dir struct {
	// Path is absolute and clean, "/" for the root, and may hold any bytes.
	Path string `json:"path"`
	// Bytes and Files are those of the regular files that are counted in it.
	Bytes Bytes `json:"bytes"`
	Files int   `json:"files"`
	// Owned is the part of Bytes that belongs to packages.
	Owned Bytes `json:"owned,omitempty"`
}

// PathSize is the sum over all files whose path matches a pattern.
type PathSize struct {
	// Pattern is as the budget has it.
	Pattern string `json:"pattern"`
	// Bytes and Files are those of the regular files that match, every hard
	// link being a file and one of them carrying the bytes.
	Bytes Bytes `json:"bytes"`
	Files int   `json:"files"`
	// Examples are a few of the matching paths, in path order.
	Examples []string `json:"examples,omitempty"`
}

// Fate says what made bytes invisible.
type Fate string

// The fates of bytes.
const (
	// Deleted by a whiteout or an opaque directory.
	Deleted Fate = "deleted"
	// Replaced by other content, or by something that is no file.
	Replaced Fate = "replaced"
	// Rewritten with the same content: chown, chmod, touch or a second copy.
	Rewritten Fate = "rewritten"
)

// Dead sums the bytes that layer In holds and layer By made invisible.
type Dead struct {
	// In and By are indexes of layers.
	In int `json:"in"`
	By int `json:"by"`
	// Fate is what By did to them.
	Fate Fate `json:"fate"`
	// Bytes and Files are those of the regular files.
	Bytes Bytes `json:"bytes"`
	Files int   `json:"files"`
	// Under is the deepest directory that holds all of them.
	Under string `json:"under"`
}

// DeadFile is one file of [Dead].
type DeadFile struct {
	// Path is absolute and clean, and may hold any bytes.
	Path string `json:"path"`
	// Bytes is the payload.
	Bytes Bytes `json:"bytes"`
	// In, By and Fate are as in [Dead].
	In   int  `json:"in"`
	By   int  `json:"by"`
	Fate Fate `json:"fate"`
}

// Verify checks that everything adds up. An error is a defect of this program
// (or of a stored snapshot), never of the image.
func (img *Image) Verify() error {
	m := img.Metrics
	if m.Layers != len(img.Layers) {
		return fmt.Errorf("internal error: %d layers counted, %d listed", m.Layers, len(img.Layers))
	}
	var compressed, unpacked, wasted Bytes
	var has = HasCompressed | HasFiles
	for _, l := range img.Layers {
		compressed += l.Compressed
		unpacked += l.Unpacked
		wasted += l.Wasted
		has &= l.Has
	}
	if m.Has&HasCompressed != 0 && has&HasCompressed != 0 && compressed != m.Compressed {
		return fmt.Errorf("internal error: layers add up to %d compressed bytes, the image says %d", compressed, m.Compressed)
	}
	if m.Has&HasFiles != 0 {
		if m.Unpacked != m.Final+m.Wasted {
			return fmt.Errorf("internal error: unpacked %d is not final %d + wasted %d", m.Unpacked, m.Final, m.Wasted)
		}
		if unpacked != m.Unpacked || wasted != m.Wasted {
			return fmt.Errorf("internal error: layers add up to %d unpacked and %d wasted, the image says %d and %d", unpacked, wasted, m.Unpacked, m.Wasted)
		}
		if err := img.verifyDetail(); err != nil {
			return err
		}
	}
	if img.Base != nil && img.Own != nil {
		if sum := img.Base.Metrics.add(*img.Own); !sum.sameSizes(m) {
			return fmt.Errorf("internal error: base and own add up to %+v, the image is %+v", sum, m)
		}
	}
	return nil
}

func (img *Image) verifyDetail() error {
	var dirs, dead, owned Bytes
	for _, d := range img.Dirs {
		dirs += d.Bytes
	}
	for _, d := range img.Dead {
		dead += d.Bytes
	}
	if img.Packages != nil || img.Rest != nil {
		if img.Packages == nil || img.Rest == nil {
			return errors.New("internal error: packages and the rest of the files are known only together")
		}
		for _, p := range img.Packages {
			owned += p.Bytes
		}
		if owned+img.Rest.Sum() != img.Metrics.Final {
			return fmt.Errorf("internal error: packages add up to %d bytes and the rest to %d, final is %d", owned, img.Rest.Sum(), img.Metrics.Final)
		}
	}
	if len(img.Dirs) > 0 && dirs != img.Metrics.Final {
		return fmt.Errorf("internal error: directories add up to %d bytes, final is %d", dirs, img.Metrics.Final)
	}
	if dead != img.Metrics.Wasted {
		return fmt.Errorf("internal error: hidden bytes add up to %d, wasted is %d", dead, img.Metrics.Wasted)
	}
	return nil
}
