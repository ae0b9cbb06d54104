package budget

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a budget file. A file that people write is a few kilobytes;
// these keep a hostile one from costing more than a moment.
const (
	maxSource  = 1 << 20
	maxImages  = 1_000
	maxLimits  = 10_000
	maxNesting = 20
	maxTokens  = 150_000
	// maxKeys counts keys and list entries. It is low because the YAML library
	// copies all the keys it has of a mapping for every further one.
	maxKeys = 20_000
	// maxBlank is low because the library reads the blank lines of a block of
	// text again for every further one.
	maxBlank = 200
)

type nodeKind int

const (
	nullNode nodeKind = iota
	stringNode
	intNode
	otherScalar // floats, booleans, hexadecimal numbers
	mapNode
	listNode
)

func (k nodeKind) String() string {
	return [...]string{"nothing", "text", "a number", "a value of another type", "a mapping", "a list"}[k]
}

// node is a YAML value with its place. It knows nothing of the YAML library.
type node struct {
	kind      nodeKind
	text      string // of a scalar, as written
	line, col int
	entries   []entry
	items     []*node
}

type entry struct{ key, value *node }

// readYAML turns source into nodes. It takes the plain part of YAML only:
// one document, no anchors, aliases, tags or directives. All the mistakes of
// the text come back as errors at their place.
func (d *decoder) readYAML(src string) *node {
	tokens, ok := d.scan(src)
	if !ok || !d.plain(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntaxError(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch {
	case len(bodies) == 0:
		d.add(1, 1, "it needs at least a version and one image; `image-budget init` writes one", "the budget file is empty")
		return nil
	case len(bodies) > 1 || len(file.Docs) > 1:
		if last := d.convert(bodies[len(bodies)-1], 0); last != nil {
			d.fail(last, "keep one document in the file", "there is more than one YAML document")
		}
		return nil
	}
	return d.convert(bodies[0], 0)
}

func (d *decoder) scan(src string) (token.Tokens, bool) {
	var s scanner.Scanner
	s.Init(src)
	var tokens token.Tokens
	for {
		more, err := s.Scan()
		tokens.Add(more...)
		switch {
		case errors.Is(err, io.EOF):
			return tokens, true
		case err != nil && len(more) > 0:
			d.notYAML(more[len(more)-1].Position, err.Error())
			return nil, false
		case err != nil:
			d.notYAML(nil, err.Error())
			return nil, false
		}
		if len(tokens) > maxTokens {
			d.add(1, 1, "", "the budget file has more than %d words and signs", maxTokens)
			return nil, false
		}
	}
}

// plain refuses, before the parser sees them, the parts of YAML that make
// parsers recurse, copy or guess.
func (d *decoder) plain(tokens token.Tokens) bool {
	flow, onLine, line, keys := 0, 0, 0, 0
	for _, tk := range tokens {
		if tk.Position == nil {
			continue
		}
		if tk.Position.Line != line {
			line, onLine = tk.Position.Line, 0
		}
		msg, hint := "", ""
		switch tk.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			msg, hint = "anchors, aliases and merge keys are not supported", "write the value out; text that begins with & or * needs quotes"
		case token.TagType:
			msg, hint = "YAML tags are not supported", "text that begins with ! needs quotes"
		case token.DirectiveType:
			msg, hint = "YAML directives are not supported", "text that begins with % needs quotes"
		case token.InvalidType:
			d.notYAML(tk.Position, tk.Error)
			return false
		case token.MappingKeyType:
			msg, hint = "a key with a question mark is not supported", "write `key: value`; text that begins with ? needs quotes"
		case token.SequenceEntryType, token.MappingValueType:
			if tk.Type == token.SequenceEntryType {
				onLine++
			}
			keys++
			switch {
			case onLine > maxNesting:
				msg = fmt.Sprintf("more than %d levels of nesting", maxNesting)
			case keys > maxKeys:
				msg = fmt.Sprintf("more than %d keys and list entries", maxKeys)
			}
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow > maxNesting {
				msg = fmt.Sprintf("more than %d levels of nesting", maxNesting)
			}
		case token.SequenceEndType, token.MappingEndType:
			flow--
		}
		if msg != "" {
			d.add(tk.Position.Line, tk.Position.Column, hint, "%s", msg)
			return false
		}
	}
	return true
}

func (d *decoder) syntaxError(err error) {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		d.notYAML(at.GetToken().Position, at.GetMessage())
		return
	}
	d.notYAML(nil, err.Error())
}

// notYAML passes on what the library says, which may quote the source.
func (d *decoder) notYAML(pos *token.Position, msg string) {
	if pos == nil {
		pos = &token.Position{Line: 1, Column: 1}
	}
	hint := ""
	if strings.Contains(msg, "\t") {
		msg, hint = strings.ReplaceAll(msg, "character '\t'", "a tab"), "indent with spaces: YAML takes no tabs"
	}
	msg = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, msg)
	d.add(pos.Line, pos.Column, hint, "this is not YAML: %s", msg)
}

func (d *decoder) convert(n ast.Node, depth int) *node {
	out := &node{line: 1, col: 1}
	tk := n.GetToken()
	if tk != nil && tk.Position != nil {
		out.line, out.col = tk.Position.Line, tk.Position.Column
	}
	if depth > maxNesting {
		d.add(out.line, out.col, "", "more than %d levels of nesting", maxNesting)
		return nil
	}
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = nullNode
	case *ast.StringNode:
		out.kind, out.text = stringNode, n.Value
	case *ast.LiteralNode:
		out.kind = stringNode
		if n.Value != nil {
			out.text = n.Value.Value
		}
	case *ast.IntegerNode:
		out.kind, out.text = otherScalar, tk.Value
		if isDecimal(tk.Value) {
			out.kind = intNode
		}
	case *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = otherScalar, tk.Value
	case *ast.MappingValueNode:
		return d.convertMap(out, []*ast.MappingValueNode{n}, depth)
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return d.convertMap(out, n.Values, depth)
		}
		place := *out
		if out = d.convertMap(out, n.Values, depth); out != nil {
			out.line, out.col = place.line, place.col
		}
		return out
	case *ast.SequenceNode:
		out.kind = listNode
		for _, v := range n.Values {
			item := d.convert(v, depth+1)
			if item == nil {
				return nil
			}
			out.items = append(out.items, item)
		}
	default:
		d.add(out.line, out.col, "", "%s is not supported in a budget file", strings.ToLower(n.Type().String()))
		return nil
	}
	return out
}

func (d *decoder) convertMap(out *node, values []*ast.MappingValueNode, depth int) *node {
	out.kind = mapNode
	for _, v := range values {
		key := d.convert(v.Key, depth+1)
		if key == nil {
			return nil
		}
		if key.kind == mapNode || key.kind == listNode {
			d.add(key.line, key.col, "", "a key must be text")
			return nil
		}
		value := d.convert(v.Value, depth+1)
		if value == nil {
			return nil
		}
		out.entries = append(out.entries, entry{key, value})
	}
	if len(out.entries) > 0 {
		// The library places a block mapping at its first colon.
		out.line, out.col = out.entries[0].key.line, out.entries[0].key.col
	}
	return out
}

func isDecimal(s string) bool {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// clean brings source into the shape the reader expects: UTF-8 without a byte
// order mark, lines ended by \n, no control characters.
func (d *decoder) clean(src []byte) (string, bool) {
	if len(src) > maxSource {
		d.add(1, 1, "", "the budget file has %d bytes; %d is the most I read", len(src), maxSource)
		return "", false
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	d.lines = strings.Split(text, "\n")
	blank := 0
	for i, line := range d.lines {
		if blank++; strings.TrimSpace(line) != "" {
			blank = 0
		}
		if blank > maxBlank && i < len(d.lines)-1 {
			d.add(i+1, 1, "", "more than %d blank lines in a row", maxBlank)
			return "", false
		}
		col := 0
		for rest := line; rest != ""; {
			r, size := utf8.DecodeRuneInString(rest)
			rest = rest[size:]
			col++
			switch {
			case r == utf8.RuneError && size == 1:
				d.add(i+1, col, "save it as UTF-8", "the budget file is not UTF-8 text")
				return "", false
			case r < ' ' && r != '\t', r == 0x7f, r == '\ufeff':
				d.add(i+1, col, "", "the character U+%04X does not belong in a budget file", r)
				return "", false
			}
		}
	}
	return text, true
}
