package dockerfile

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/org/image-budget/footprint"
)

// Apply changes the bytes that edits of one file name, and no others. The edits
// are in order and do not overlap; else that is an error.
func Apply(src []byte, edits []footprint.Edit) ([]byte, error) {
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(src) {
			return nil, fmt.Errorf("applying an edit of bytes %d to %d: it overlaps another one or leaves the file", e.Start, e.End)
		}
		out.Write(src[at:e.Start])
		out.WriteString(e.Text)
		at = e.End
	}
	out.Write(src[at:])
	return out.Bytes(), nil
}

// maxDiffLines bounds the comparison of two texts, whose cost is the product of
// their lines that differ.
const maxDiffLines = 4000

// Diff is a unified diff of two texts, with three lines around each change, ""
// where they are the same. Texts that differ in too many lines come as one
// change of everything. It calls the file by its path where that is below the
// current folder, so that the diff can be applied there, else by its last part.
func Diff(name string, old, changed []byte) string {
	if bytes.Equal(old, changed) {
		return ""
	}
	a, b := splitLines(old), splitLines(changed)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	ops := make([]byte, 0, len(a)+len(b))
	ops = append(ops, bytes.Repeat([]byte{' '}, head)...)
	ops = append(ops, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	ops = append(ops, bytes.Repeat([]byte{' '}, tail)...)
	if name = path.Clean(name); path.IsAbs(name) || strings.HasPrefix(name, "../") || strings.Contains(name, ":") {
		name = path.Base(name)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "--- a/%s\n+++ b/%s\n", name, name)
	writeHunks(&out, ops, a, b)
	return out.String()
}

// splitLines keeps the line breaks.
func splitLines(src []byte) []string {
	var out []string
	for line := range strings.Lines(string(src)) {
		out = append(out, line)
	}
	return out
}

// middle says what to do with each line: keep, remove, add.
func middle(a, b []string) []byte {
	var ops []byte
	if len(a)*len(b) > maxDiffLines*maxDiffLines/4 {
		return append(bytes.Repeat([]byte{'-'}, len(a)), bytes.Repeat([]byte{'+'}, len(b))...)
	}
	// longest[i][j] is the longest common subsequence of a[i:] and b[j:].
	longest := make([][]int32, len(a)+1)
	cells := make([]int32, (len(a)+1)*(len(b)+1))
	for i := range longest {
		longest[i] = cells[i*(len(b)+1) : (i+1)*(len(b)+1)]
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			ops = append(ops, ' ')
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			ops = append(ops, '-')
			i++
		default:
			ops = append(ops, '+')
			j++
		}
	}
	return ops
}

// context is how many lines stand around a change.
const context = 3

func writeHunks(out *strings.Builder, ops []byte, a, b []string) {
	i, j := 0, 0
	for k := 0; k < len(ops); {
		if ops[k] == ' ' {
			i, j, k = i+1, j+1, k+1
			continue
		}
		// A hunk ends where more lines stay than go around two changes.
		begin, end, same := max(k-context, 0), k, 0
		for n := k; n < len(ops) && same <= 2*context; n++ {
			if ops[n] == ' ' {
				same++
				continue
			}
			same, end = 0, n+1
		}
		stop := min(end+context, len(ops))
		fromA, fromB := i-(k-begin), j-(k-begin)
		var body strings.Builder
		i, j = fromA, fromB
		for _, op := range ops[begin:stop] {
			line := ""
			switch op {
			case '+':
				line = b[j]
				j++
			case '-':
				line = a[i]
				i++
			default:
				line = a[i]
				i, j = i+1, j+1
			}
			body.WriteByte(op)
			body.WriteString(line)
			if !strings.HasSuffix(line, "\n") {
				body.WriteString("\n\\ No newline at end of file\n")
			}
		}
		fmt.Fprintf(out, "@@ -%s +%s @@\n", hunkRange(fromA, i-fromA), hunkRange(fromB, j-fromB))
		out.WriteString(body.String())
		k = stop
	}
}

// hunkRange counts from 1, and from the line before where there is none.
func hunkRange(from, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", from)
	}
	if n == 1 {
		return fmt.Sprintf("%d", from+1)
	}
	return fmt.Sprintf("%d,%d", from+1, n)
}
