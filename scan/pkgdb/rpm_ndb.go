package pkgdb

import (
	"encoding/binary"
	"errors"
)

// ndbBlobs finds the headers in a database of rpm's own kind, as SUSE has it:
// slots of 16 bytes that say in which blocks of 16 bytes a header is.
func ndbBlobs(db []byte, f func(header []byte) error) error {
	const (
		magic     = "RpmP"
		slotMagic = "Slot"
		blobMagic = "BlbS"
		unit      = 16 // of slots and blocks
		page      = 4096
		blobHead  = 16
	)
	if len(db) < 2*unit || string(db[:4]) != magic {
		return errors.New("not a database of the ndb kind")
	}
	malformed := errors.New("a malformed database of the ndb kind")
	le := binary.LittleEndian
	pages := uint64(le.Uint32(db[12:]))
	if pages*page > uint64(len(db)) {
		return malformed
	}
	left := len(db) // what blobs may have that lie over each other
	slots := db[:pages*page]
	for at := 2 * unit; at+unit <= len(slots); at += unit {
		slot := slots[at:][:unit]
		if string(slot[:4]) != slotMagic {
			return malformed
		}
		number := le.Uint32(slot[4:])
		if number == 0 {
			continue // free
		}
		start := uint64(le.Uint32(slot[8:])) * unit
		if start+blobHead > uint64(len(db)) {
			return malformed
		}
		blob := db[start:]
		length := uint64(le.Uint32(blob[12:]))
		if string(blob[:4]) != blobMagic || le.Uint32(blob[4:]) != number || length > uint64(len(blob)-blobHead) || length > uint64(left) {
			return malformed
		}
		left -= int(length)
		if err := f(blob[blobHead:][:length]); err != nil {
			return err
		}
	}
	return nil
}
