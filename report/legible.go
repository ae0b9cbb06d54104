package report

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxName bounds one string of a report, in bytes. It is far above any path or
// Dockerfile line that means something; a longer one loses its middle.
const maxName = 64 << 10

// legible returns s as every format shows it and as a stored report holds it:
// bytes that are not UTF-8 are spelled \xNN, and nothing is longer than maxName.
// It is done before anything else is done to a name, so that a report reads the
// same before and after it was stored.
func legible(s string) string {
	s = spellInvalid(s)
	if len(s) <= maxName {
		return s
	}
	half := maxName/2 - len("…")
	tail := len(s) - half
	for !utf8.RuneStart(s[tail]) {
		tail++
	}
	return cutRune(s, half) + "…" + s[tail:]
}

// spellInvalid spells the bytes that are not UTF-8, since JSON cannot hold them.
func spellInvalid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// makeLegible makes every string in a JSON document legible; v is addressable.
// What pointers and slices lead to is copied first: parts of it belong to whoever
// measured the image.
func makeLegible(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(legible(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			fresh := reflect.New(v.Type().Elem())
			fresh.Elem().Set(v.Elem())
			makeLegible(fresh.Elem())
			v.Set(fresh)
		}
	case reflect.Slice:
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		for i := range fresh.Len() {
			makeLegible(fresh.Index(i))
		}
		if !v.IsNil() {
			v.Set(fresh)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			makeLegible(v.Field(i))
		}
	}
}
