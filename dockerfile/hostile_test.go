package dockerfile

import (
	"strings"
	"testing"
)

func TestErrorsOfHostileFiles(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"NUL", "FROM debian\nRUN \x00\x00\n", "Dockerfile:2: the line has a NUL character, which no Dockerfile has"},
		{"long line", "FROM debian\nRUN a\nRUN " + strings.Repeat("a", 70_000) + "\n", "Dockerfile:3: the line is longer than the 65535 bytes that builders read"},
		{"frontend", "# syntax=example.com/weird/frontend:7\nFROM debian\nINCLUDE ./x\n", "Dockerfile:3: unknown instruction: INCLUDE; the file is for the frontend example.com/weird/frontend:7, which this tool does not read"},
		{"Docker's frontend", "# syntax=docker.io/docker/dockerfile:1\nFROM debian\nINCLUDE ./x\n", "Dockerfile:3: unknown instruction: INCLUDE"},
	} {
		if _, err := Parse("Dockerfile", []byte(c.src)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	// As long as a builder reads it.
	for _, n := range []int{60_000, maxLine - len("RUN ")} {
		src := "FROM debian\nRUN " + strings.Repeat("a", n) + "\n"
		if _, err := Parse("Dockerfile", []byte(src)); err != nil {
			t.Errorf("a line of %d bytes: %.100v", n, err)
		}
	}
	if _, err := Parse("Dockerfile", []byte("FROM b AS a\nFROM a AS b\nCOPY --from=b x y\n")); err != nil {
		t.Error(err)
	}
}
