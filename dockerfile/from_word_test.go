package dockerfile

import "testing"

func TestBaseWord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src   string
		stage int
		want  string
	}{
		{"FROM node:20\n", 0, "node:20"},
		{"FROM --platform=linux/amd64 \\\n  node AS node\n", 0, "node"},
		{"ARG V=1\nFROM a\r\nFROM node:${V}-x AS b\r\n", 1, "node:${V}-x"},
		{"# escape=`\nFROM `\n# from a\n  a as b\n", 0, "a"},
		{"from scratch\n", 0, "scratch"},
		{"FROM a\n", 3, ""},
	} {
		f, err := Parse("Dockerfile", []byte(c.src))
		if err != nil {
			t.Fatal(err)
		}
		start, end, ok := f.BaseWord(c.stage)
		if got := c.src[start:end]; got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q at %d", c.src, got, start)
		}
		if line := c.src[:start]; c.src[0] == '#' && ok && line[len(line)-2:] != "  " {
			t.Errorf("the word in the comment was taken")
		}
	}
}
