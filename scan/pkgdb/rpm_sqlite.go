package pkgdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// sqliteBlobs finds the headers in a database of rpm in SQLite.
func sqliteBlobs(data []byte, f func(header []byte) error) error {
	db, err := openSqlite(data)
	if err != nil {
		return err
	}
	return db.rows("Packages", func(row sqliteRow) error {
		return f(row.blob(1))
	})
}

// sqlite walks the tables of an SQLite database, as sqlite.org/fileformat2.html
// describes it. It knows no index, and no write-ahead log. A page that is
// visited twice is an error, so a walk ends, whatever the pages say.
type sqlite struct {
	data []byte
	// page is the size of a page, usable what of it is not reserved.
	page, usable int
	visited      []bool
	// left is how many bytes rows may still have. Those that lie over each other
	// in a page can have more in all than the database has.
	left int
}

var errSqlite = errors.New("a malformed SQLite database")

func openSqlite(data []byte) (*sqlite, error) {
	if len(data) < 512 || !bytes.HasPrefix(data, []byte("SQLite format 3\x00")) {
		return nil, errors.New("not an SQLite database")
	}
	page := int(binary.BigEndian.Uint16(data[16:]))
	if page == 1 {
		page = 65536
	}
	usable := page - int(data[20])
	if page < 512 || page&(page-1) != 0 || usable < 480 {
		return nil, errSqlite
	}
	return &sqlite{data: data, page: page, usable: usable}, nil
}

// rows calls f for each row of a table in the order of its keys. The values are
// valid until f returns.
func (db *sqlite) rows(table string, f func(sqliteRow) error) error {
	root := 0
	err := db.walk(1, func(row sqliteRow) error {
		if string(row.blob(0)) == "table" && string(row.blob(1)) == table {
			root = int(row.number(3))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	if root == 0 {
		return fmt.Errorf("no table %s", table)
	}
	return db.walk(root, f)
}

// walk visits the table whose root is that page.
func (db *sqlite) walk(root int, f func(sqliteRow) error) error {
	db.visited = make([]bool, len(db.data)/db.page+1)
	db.left = len(db.data)
	return db.subtree(root, 0, f)
}

// visit returns a page, the first of which is 1.
func (db *sqlite) visit(number int) ([]byte, error) {
	if number < 1 || number > len(db.data)/db.page || db.visited[number] {
		return nil, errSqlite
	}
	db.visited[number] = true
	return db.data[(number-1)*db.page:][:db.page][:db.usable], nil
}

func (db *sqlite) subtree(number, depth int, f func(sqliteRow) error) error {
	// SQLite itself goes no deeper.
	if depth > 20 {
		return errSqlite
	}
	page, err := db.visit(number)
	if err != nil {
		return err
	}
	head := page
	if number == 1 {
		head = page[100:] // after the header of the file
	}
	const interior, leaf = 0x05, 0x0d
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	size := 8
	if kind == interior {
		size = 12
	}
	if kind != interior && kind != leaf || size+2*cells > len(head) {
		return errSqlite
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(head[size+2*i:]))
		if at+4 > len(page) {
			return errSqlite
		}
		if kind == interior {
			err = db.subtree(int(bigEndian(page[at:])), depth+1, f)
		} else {
			err = db.cell(page[at:], f)
		}
		if err != nil {
			return err
		}
	}
	if kind == interior {
		return db.subtree(int(bigEndian(head[8:])), depth+1, f)
	}
	return nil
}

// cell reads a row from where it begins in its page.
func (db *sqlite) cell(cell []byte, f func(sqliteRow) error) error {
	length, n := sqliteVarint(cell)
	key, k := sqliteVarint(cell[n:])
	if n == 0 || k == 0 || length > uint64(db.left) {
		return errSqlite
	}
	db.left -= int(length)
	cell = cell[n+k:]
	payload, err := db.payload(cell, int(length))
	if err != nil {
		return err
	}
	row, err := parseSqliteRow(int64(key), payload)
	if err != nil {
		return err
	}
	return f(row)
}

// payload returns so many bytes, of which the first are in the cell and the
// others in pages of their own.
func (db *sqlite) payload(cell []byte, length int) ([]byte, error) {
	local := length
	if most := db.usable - 35; length > most {
		least := (db.usable-12)*32/255 - 23
		if local = least + (length-least)%(db.usable-4); local > most {
			local = least
		}
	}
	if local == length {
		if length > len(cell) {
			return nil, errSqlite
		}
		return cell[:length], nil
	}
	if local+4 > len(cell) {
		return nil, errSqlite
	}
	payload := append(make([]byte, 0, length), cell[:local]...)
	next := int(bigEndian(cell[local:]))
	for len(payload) < length {
		page, err := db.visit(next)
		if err != nil {
			return nil, err
		}
		next = int(bigEndian(page))
		payload = append(payload, page[4:][:min(len(page)-4, length-len(payload))]...)
	}
	return payload, nil
}

// sqliteRow is one row: its key, and of each column the type and the bytes.
type sqliteRow struct {
	key     int64
	columns []sqliteValue
}

type sqliteValue struct {
	kind  uint64
	bytes []byte
}

// maxColumns is more than any table has that is read here.
const maxColumns = 64

func parseSqliteRow(key int64, payload []byte) (sqliteRow, error) {
	size, n := sqliteVarint(payload)
	if n == 0 || size < uint64(n) || size > uint64(len(payload)) {
		return sqliteRow{}, errSqlite
	}
	kinds, body := payload[n:size], payload[size:]
	row := sqliteRow{key: key}
	for len(kinds) > 0 && len(row.columns) < maxColumns {
		kind, n := sqliteVarint(kinds)
		if n == 0 {
			return sqliteRow{}, errSqlite
		}
		kinds = kinds[n:]
		var length uint64
		switch {
		case kind <= 4:
			length = kind
		case kind == 5:
			length = 6
		case kind <= 7:
			length = 8
		case kind >= 12:
			length = (kind - 12) / 2
		}
		if length > uint64(len(body)) {
			return sqliteRow{}, errSqlite
		}
		row.columns = append(row.columns, sqliteValue{kind: kind, bytes: body[:length]})
		body = body[length:]
	}
	return row, nil
}

// blob returns the bytes or the text of a column, nil if it is neither.
func (r sqliteRow) blob(column int) []byte {
	if column >= len(r.columns) || r.columns[column].kind < 12 {
		return nil
	}
	return r.columns[column].bytes
}

// number returns the whole number of a column, and 0 if it is none.
func (r sqliteRow) number(column int) int64 {
	if column >= len(r.columns) {
		return 0
	}
	v := r.columns[column]
	switch {
	case v.kind == 9:
		return 1
	case v.kind == 0 || v.kind > 6:
		return 0
	}
	n := int64(int8(v.bytes[0]))
	for _, b := range v.bytes[1:] {
		n = n<<8 | int64(b)
	}
	return n
}

// sqliteVarint reads a number of one to nine bytes, and returns how many they
// were: 0 if the number does not end.
func sqliteVarint(b []byte) (value uint64, n int) {
	for n < min(len(b), 8) {
		value = value<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return value, n
		}
	}
	if len(b) < 9 {
		return 0, 0
	}
	return value<<8 | uint64(b[8]), 9
}

func bigEndian(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
