package pkgdb

import (
	"encoding/binary"
	"errors"
)

var errBerkeley = errors.New("a malformed Berkeley DB")

// berkeley is a hash table of Berkeley DB, in the byte order of the machine
// that wrote it.
type berkeley struct {
	data  []byte
	page  int
	order binary.ByteOrder
	// used has the pages of values that have been read. Each has one value, so
	// that all values together are no longer than the database.
	used []bool
}

// The numbers are from dbinc/db_page.h of Berkeley DB 5.3.
const (
	berkeleyHead     = 26 // of a page
	berkeleyUnsorted = 2
	berkeleyHash     = 13
	berkeleyOverflow = 7
	berkeleyInPage   = 1
	berkeleyOffPage  = 3
)

// berkeleyBlobs finds the headers in a database of rpm in Berkeley DB, which
// was the only kind until 2019. Keys do not matter, so the pages are read one
// after the other and not by their buckets.
func berkeleyBlobs(data []byte, f func(header []byte) error) error {
	db, err := openBerkeley(data)
	if err != nil {
		return err
	}
	for number := 1; number < len(db.used); number++ {
		page := db.at(number)
		if kind := page[25]; kind != berkeleyHash && kind != berkeleyUnsorted {
			continue
		}
		if err := db.values(page, f); err != nil {
			return err
		}
	}
	return nil
}

func openBerkeley(data []byte) (*berkeley, error) {
	const magic, hashMeta = 0x061561, 8
	if len(data) < 512 {
		return nil, errors.New("not a hash of Berkeley DB")
	}
	db := &berkeley{data: data, order: binary.LittleEndian}
	if db.order.Uint32(data[12:]) != magic {
		db.order = binary.BigEndian
	}
	if db.order.Uint32(data[12:]) != magic || data[25] != hashMeta {
		return nil, errors.New("not a hash of Berkeley DB")
	}
	if data[24] != 0 {
		return nil, errors.New("encrypted")
	}
	size := db.order.Uint32(data[20:])
	if size < 512 || size > 65536 || size&(size-1) != 0 {
		return nil, errBerkeley
	}
	db.page = int(size)
	db.used = make([]bool, len(data)/db.page)
	return db, nil
}

// at returns a page, the first of which is 0.
func (db *berkeley) at(number int) []byte {
	return db.data[number*db.page:][:db.page]
}

// values reads the pairs of a page of the table: a key, then its value.
func (db *berkeley) values(page []byte, f func(value []byte) error) error {
	entries := int(db.order.Uint16(page[20:]))
	if berkeleyHead+2*entries > len(page) {
		return errBerkeley
	}
	// An item ends where the one before it begins.
	item := func(i int) ([]byte, error) {
		start, end := int(db.order.Uint16(page[berkeleyHead+2*i:])), len(page)
		if i > 0 {
			end = int(db.order.Uint16(page[berkeleyHead+2*(i-1):]))
		}
		if start < berkeleyHead+2*entries || start >= end || end > len(page) {
			return nil, errBerkeley
		}
		return page[start:end], nil
	}
	for i := 1; i < entries; i += 2 {
		key, err := item(i - 1)
		if err != nil {
			return err
		}
		// The key 0 has what the next key will be.
		if len(key) == 5 && key[0] == berkeleyInPage && db.order.Uint32(key[1:]) == 0 {
			continue
		}
		value, err := item(i)
		if err != nil {
			return err
		}
		switch value[0] {
		case berkeleyInPage:
			value = value[1:]
		case berkeleyOffPage:
			if value, err = db.overflow(value); err != nil {
				return err
			}
		default:
			return errBerkeley // a key with several values
		}
		if err := f(value); err != nil {
			return err
		}
	}
	return nil
}

// overflow reads a value that is in pages of its own.
func (db *berkeley) overflow(item []byte) ([]byte, error) {
	if len(item) < 12 {
		return nil, errBerkeley
	}
	next, length := db.order.Uint32(item[4:]), db.order.Uint32(item[8:])
	if uint64(length) > uint64(len(db.data)) {
		return nil, errBerkeley
	}
	value := make([]byte, 0, length)
	for next != 0 {
		if uint64(next) >= uint64(len(db.used)) || db.used[next] {
			return nil, errBerkeley
		}
		db.used[next] = true
		page := db.at(int(next))
		size := int(db.order.Uint16(page[22:]))
		if page[25] != berkeleyOverflow || size > len(page)-berkeleyHead || len(value)+size > int(length) {
			return nil, errBerkeley
		}
		value = append(value, page[berkeleyHead:][:size]...)
		next = db.order.Uint32(page[16:])
	}
	if len(value) != int(length) {
		return nil, errBerkeley
	}
	return value, nil
}
