// Package escape is the one place where text that came from an image, a
// Dockerfile, a registry or a branch becomes harmless in an output format:
// markdown on GitHub, a link target, a terminal or a log.
//
// It does not decide what is shown or how long a report is, knows nothing of
// images, and does not write HTML.
//
// What always holds: every function takes any bytes and never fails; the result
// is valid UTF-8 on one line, without control, bidirectional or invisible
// characters (Text adds zero-width spaces of its own to break references); the
// same input gives the same output. What cannot be shown is spelled the way Go
// spells it in a string (\n, \x1b, \u202e), and bytes that are not UTF-8 as \xNN.
// Letters, accents, CJK and symbols are left alone.
package escape
