package footprint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// encodeLines writes a value's fields one per line, indented by two spaces,
// and lists with one entry per line, so that a diff shows entries and not the
// pieces of one.
func encodeLines(s *snapshot) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("{")
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("json")
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "\n  %q: ", name)
		if err := writeField(&out, v.Field(i)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	out.WriteString("\n}\n")
	return out.Bytes(), nil
}

func writeField(out *bytes.Buffer, v reflect.Value) error {
	if v.Kind() != reflect.Slice {
		return writeLine(out, v.Interface())
	}
	if v.IsNil() && v.Type().Elem() == reflect.TypeFor[snapshotPkg]() {
		out.WriteString("null") // nobody looked
		return nil
	}
	if v.Len() == 0 {
		out.WriteString("[]")
		return nil
	}
	out.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n    ")
		if err := writeLine(out, v.Index(i).Interface()); err != nil {
			return err
		}
	}
	out.WriteString("\n  ]")
	return nil
}

// writeLine writes a value on one line, with a space after colons and commas.
func writeLine(out *bytes.Buffer, v any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	quoted := false
	b := bytes.TrimSuffix(line.Bytes(), []byte("\n"))
	for i := 0; i < len(b); i++ {
		out.WriteByte(b[i])
		switch {
		case quoted && b[i] == '\\':
			i++
			out.WriteByte(b[i])
		case b[i] == '"':
			quoted = !quoted
		case !quoted && (b[i] == ':' || b[i] == ','):
			out.WriteByte(' ')
		}
	}
	return nil
}

// text is a string that may hold any bytes. In JSON it is a string; what does
// not print is escaped, so that it cannot turn a diff around. Bytes that are
// no UTF-8 have no place in JSON: then it is {"quoted": "/caf\\xe9"}, in the
// syntax of Go.
type text string

func texts(list []string) []text {
	out := make([]text, len(list))
	for i, s := range list {
		out[i] = text(s)
	}
	return out
}

func plain(list []text) []string {
	var out []string
	for _, t := range list {
		out = append(out, string(t))
	}
	return out
}

type quotedText struct {
	Quoted string `json:"quoted"`
}

// MarshalJSON writes the string or the quoted form.
func (t text) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(string(t)) {
		quoted := strconv.QuoteToASCII(string(t))
		return json.Marshal(quotedText{quoted[1 : len(quoted)-1]})
	}
	out := []byte{'"'}
	for _, r := range string(t) {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return append(out, '"'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	var q quotedText
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return err
	}
	s, err := strconv.Unquote(`"` + q.Quoted + `"`)
	if err != nil {
		return fmt.Errorf("%q is not a quoted string", clip(q.Quoted))
	}
	*t = text(s)
	return nil
}
