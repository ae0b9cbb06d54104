package dockerfile

import "testing"

func TestFromText(t *testing.T) {
	for _, c := range []struct{ src, text, bytes string }{
		{"FROM node:20\nRUN x\n", "node:20", "FROM node:20"},
		{"FROM node:20 AS build\n", "node:20", "FROM node:20 AS build"},
		{"from --platform=linux/amd64 \\\n  node:${V} \\\n# why\n  as build  \n", "--platform=linux/amd64 node:${V}", "from --platform=linux/amd64 \\\n  node:${V} \\\n# why\n  as build  "},
		{"# escape=`\r\nFROM a`\r\n:1\r\nRUN x\r\n", "a:1", "FROM a`\r\n:1"},
	} {
		f, err := Parse("Dockerfile", []byte(c.src))
		if err != nil {
			t.Errorf("%q: %v", c.src, err)
			continue
		}
		if got := f.FromText(f.Stages[0]); got != c.text {
			t.Errorf("%q: %q, want %q", c.src, got, c.text)
		}
		if start, end := f.FromBytes(f.Stages[0]); string(f.Src[start:end]) != c.bytes {
			t.Errorf("%q: %q, want %q", c.src, f.Src[start:end], c.bytes)
		}
	}
}

func TestReadShell(t *testing.T) {
	script, err := ReadShell("#!/bin/sh\nset -e\ncd /app\n[ -f x ] && echo no\nexec $NODE \"$@\"\n", map[string]string{"NODE": "node"})
	if err != nil {
		t.Fatal(err)
	}
	last := script.Calls[len(script.Calls)-1]
	if !last.Last || last.Dir != "/app" || len(last.Words) != 3 || last.Words[1].Text != "node" || last.Words[2].Known {
		t.Errorf("%+v", last)
	}
	if _, err := ReadShell("if true", nil); err == nil {
		t.Error("half a command was read")
	}
}

func FuzzReadShell(f *testing.F) {
	f.Add("exec \"$@\"")
	f.Add("cd x && node . &\nwait")
	f.Fuzz(func(t *testing.T, text string) {
		script, err := ReadShell(text, map[string]string{"A": "b c"})
		if err != nil {
			return
		}
		for _, c := range script.Calls {
			if c.Start < 0 || c.End > len(text) || c.Start > c.End {
				t.Errorf("a call at %d to %d of %d bytes", c.Start, c.End, len(text))
			}
		}
	})
}
