package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strings"
)

// random is splitmix64. It is written out because the images must not change
// when the standard library's generators do.
type random uint64

// seeded returns a generator that depends on the name alone, so that a file
// keeps its content when others come or go.
func seeded(name string) *random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	r := random(h.Sum64())
	return &r
}

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

func (r *random) pick(from []string) string { return from[r.below(len(from))] }

// bytes do not compress at all.
func (r *random) bytes(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.next())
	}
	return out
}

func (r *random) hex(n int) string { return hex.EncodeToString(r.bytes(n)) }

func (r *random) integrity() string {
	return "sha512-" + base64.StdEncoding.EncodeToString(r.bytes(64))
}

// binary looks like machine code to a compressor: two bytes of three repeat
// what was there before.
func (r *random) binary(header string, n int) []byte {
	out := append([]byte(header), r.bytes(64)...)
	for len(out) < n {
		if r.below(3) == 0 {
			out = append(out, r.bytes(4+r.below(8))...)
			continue
		}
		length := 4 + r.below(12)
		at := r.below(len(out) - length)
		out = append(out, out[at:at+length]...)
	}
	return out[:n]
}

// script is text in the shape of JavaScript, about n bytes of it.
func (r *random) script(name string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "/*!\n * %s\n * MIT Licensed\n */\n\n'use strict'\n\n", name)
	for b.Len() < n {
		a, c, d := r.identifier(), r.identifier(), r.identifier()
		switch r.below(6) {
		case 0:
			fmt.Fprintf(&b, "var %s = require('%s')\n", a, r.pick(words))
		case 1:
			fmt.Fprintf(&b, "/**\n * %s the %s of a %s, and %s it when %s.\n *\n * @param {%s} %s\n * @private\n */\n\n",
				capital(r.pick(verbs)), r.pick(words), r.pick(words), r.pick(verbs), r.pick(words), r.pick(kinds), a)
		case 2:
			fmt.Fprintf(&b, "function %s (%s, %s) {\n  if (typeof %s !== '%s') {\n    throw new TypeError('argument %s must be a %s')\n  }\n\n  return %s.%s(%s)\n}\n\n",
				a, c, d, c, r.pick(kinds), c, r.pick(words), d, r.pick(verbs), c)
		case 3:
			fmt.Fprintf(&b, "  %s.prototype.%s = function %s (%s) {\n    var %s = this.%s(%s, %d)\n    return %s && %s.length > %d\n  }\n\n",
				a, r.pick(verbs), r.pick(verbs), c, d, r.pick(verbs), c, r.below(4096), d, d, r.below(64))
		case 4:
			fmt.Fprintf(&b, "  /^%s\\/(%s|%s)[^;]*;?%s=%d$/i, // %s\n", r.pick(words), r.hex(2), r.pick(words), r.pick(words), r.below(1000), r.pick(words))
		default:
			fmt.Fprintf(&b, "exports.%s = Object.freeze({ %s: '%s', %s: 0x%s })\n", a, c, r.pick(words), d, r.hex(4))
		}
	}
	return b.String()
}

// identifier is a name that few other places have.
func (r *random) identifier() string {
	return r.pick(words) + capital(r.pick(words))
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

var (
	kinds = []string{"string", "object", "function", "number", "boolean"}
	verbs = []string{
		"parse", "format", "read", "write", "emit", "listen", "close", "reset", "match", "compile", "resolve", "encode",
		"decode", "append", "remove", "replace", "normalize", "validate", "flush", "commit", "merge", "finish", "destroy",
	}
	words = []string{
		"accept", "address", "agent", "alias", "array", "body", "boundary", "buffer", "cache", "callback", "charset", "chunk",
		"cipher", "client", "codec", "config", "connection", "content", "context", "cookie", "count", "cursor", "data", "date",
		"delay", "depth", "digest", "domain", "encoding", "entity", "error", "event", "expires", "extension", "field", "filter",
		"flag", "fragment", "frame", "handler", "hash", "header", "host", "iconv", "index", "input", "iterator", "key", "layer",
		"length", "limit", "listener", "locale", "message", "method", "middleware", "mime", "module", "nonce", "offset",
		"option", "origin", "output", "parameter", "parser", "path", "pattern", "payload", "pipe", "port", "position", "prefix",
		"protocol", "proxy", "query", "queue", "range", "reader", "redirect", "request", "resource", "response", "route", "router",
		"schema", "scope", "secret", "segment", "server", "session", "signature", "socket", "source", "stack", "state", "status",
		"stream", "string", "suffix", "symbol", "table", "target", "template", "text", "token", "trailer", "transform", "trust",
		"type", "value", "variant", "vary", "version", "view", "weak", "window", "worker", "writer", "zone",
	}
)
