package pkgdb

import "errors"

// What one database of a system may hold. Debian has 65,000 packages in all,
// and a full installation of any distribution less than two million files.
const (
	maxPackages  = 200_000
	maxFiles     = 5_000_000
	maxPathBytes = 256 << 20
	// maxPath is the longest path that Linux takes: no package manager has put a
	// file at a longer one.
	maxPath = 4096
)

var (
	errManyPackages = errors.New("more than 200,000 packages")
	errManyFiles    = errors.New("more than 5,000,000 files, or 256 MB of paths")
)

// pathRoom counts the paths that a reader may still return. Where paths are put
// together of parts, a short database can tell very many long ones.
type pathRoom struct{ files, bytes int }

// take makes room for a path of that length, if there is some.
func (r *pathRoom) take(length int) bool {
	r.files++
	r.bytes += length
	return r.files <= maxFiles && r.bytes <= maxPathBytes
}
