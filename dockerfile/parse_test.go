package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/org/image-budget/footprint"
)

const everything = "\xef\xbb\xbf# syntax=docker/dockerfile:1\r\n" +
	"# escape=`\r\n" +
	"ARG BASE=alpine\r\n" +
	"ARG TAG\r\n" +
	"# the tools\r\n" +
	"FROM --platform=$BUILDPLATFORM ${BASE}:${TAG:-3.22} AS Tools\r\n" +
	"RUN apk add `\r\n" +
	"    # why not\r\n" +
	"\r\n" +
	"    curl   `\r\n" +
	"    git\r\n" +
	"ENV PATH=C:\\tools\r\n" +
	"\r\n" +
	"from tools\r\n" +
	"WORKDIR /app\r\n" +
	"run <<EOT\r\n" +
	"#!/bin/sh\r\n" +
	"\r\n" +
	"echo   one\r\n" +
	"echo two\r\n" +
	"EOT\r\n" +
	"ONBUILD RUN true\r\n" +
	"\r\n" +
	"FROM scratch AS last\r\n" +
	"COPY --from=tools a b\r\n" +
	"COPY --from=1 a b\r\n" +
	"COPY --from=9 a b\r\n" +
	"COPY --from=busybox:$TAG a b\r\n" +
	"COPY --from=last a b\r\n" +
	"# the end"

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := Parse("build/Dockerfile", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "build/Dockerfile" || string(f.Src) != everything {
		t.Errorf("name %q, source %q", f.Name, f.Src)
	}
	want := []Stage{
		{Name: "tools", Index: 0, Base: "alpine:3.22", Platform: "$BUILDPLATFORM", Parent: -1, Start: 6, End: 12, Instructions: []Instruction{
			{Keyword: "RUN", Start: 7, End: 11, Text: "RUN apk add curl git", From: -1, MakesLayer: true},
			{Keyword: "ENV", Start: 12, End: 12, Text: `ENV PATH=C:\tools`, From: -1},
		}},
		{Name: "", Index: 1, Base: "tools", Parent: 0, Start: 14, End: 22, Instructions: []Instruction{
			{Keyword: "WORKDIR", Start: 15, End: 15, Text: "WORKDIR /app", From: -1, MakesLayer: true},
			{Keyword: "RUN", Start: 16, End: 21, Text: "run <<EOT (echo one …)", From: -1, MakesLayer: true},
			{Keyword: "ONBUILD", Start: 22, End: 22, Text: "ONBUILD RUN true", From: -1},
		}},
		{Name: "last", Index: 2, Base: "scratch", Parent: -1, Start: 24, End: 29, Instructions: []Instruction{
			{Keyword: "COPY", Start: 25, End: 25, Text: "COPY --from=tools a b", From: 0, MakesLayer: true},
			{Keyword: "COPY", Start: 26, End: 26, Text: "COPY --from=1 a b", From: 1, MakesLayer: true},
			{Keyword: "COPY", Start: 27, End: 27, Text: "COPY --from=9 a b", From: -1, FromImage: "9", MakesLayer: true},
			{Keyword: "COPY", Start: 28, End: 28, Text: "COPY --from=busybox:$TAG a b", From: -1, FromImage: "busybox:$TAG", MakesLayer: true},
			{Keyword: "COPY", Start: 29, End: 29, Text: "COPY --from=last a b", From: -1, FromImage: "last", MakesLayer: true},
		}},
	}
	unexported := cmpopts.IgnoreUnexported(Stage{}, Instruction{})
	if diff := cmp.Diff(want, f.Stages, unexported); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	given := f.Resolve(map[string]string{"BASE": "tools", "TAG": "1", "OTHER": "x"})
	if s := given.Stages[0]; s.Base != "tools:1" || s.Parent != -1 {
		t.Errorf("with arguments the base is %q of parent %d", s.Base, s.Parent)
	}
	if in := given.Stages[2].Instructions[3]; in.FromImage != "busybox:1" {
		t.Errorf("with arguments, --from is %q", in.FromImage)
	}
	if diff := cmp.Diff(want, f.Stages, unexported); diff != "" {
		t.Errorf("Resolve changed the file:\n%s", diff)
	}
}

func TestResolveFindsTheParentByArgument(t *testing.T) {
	t.Parallel()
	f, err := Parse("Dockerfile", []byte("ARG FLAVOUR=small\nARG FROM=with-$FLAVOUR\nFROM a AS with-small\nRUN s\nFROM b AS with-large\nRUN l\nFROM $FROM\nRUN own\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Stages[2].Parent; got != 0 {
		t.Errorf("by default the parent is %d", got)
	}
	args := map[string]string{"FLAVOUR": "large"}
	if got := f.Resolve(args).Stages[2].Parent; got != 1 {
		t.Errorf("with the argument the parent is %d", got)
	}
	layers := []footprint.Layer{{CreatedBy: "RUN /bin/sh -c l # buildkit"}, {CreatedBy: "RUN /bin/sh -c own # buildkit"}}
	want := []*footprint.Origin{
		{File: "Dockerfile", Stage: "with-large", Start: 6, End: 6},
		{File: "Dockerfile", Stage: "2", Start: 8, End: 8},
	}
	if diff := cmp.Diff(want, f.Attribute("", layers, 0, args)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestKnownArguments(t *testing.T) {
	t.Parallel()
	f, err := Parse("Dockerfile", []byte("ARG SET=1\nARG UNSET\nARG TWICE=$SET$SET\nARG LONG="+strings.Repeat("x", 1000)+"\nFROM a\n"))
	if err != nil {
		t.Fatal(err)
	}
	global := f.globals(nil)
	for word, want := range map[string]string{
		"a:$SET":                     "a:1",
		"a:${SET}-${TWICE}":          "a:1-11",
		"a:$UNSET":                   "a:$UNSET",
		"a:${UNSET}":                 "a:${UNSET}",
		"a:${UNSET:-2}":              "a:2",
		"a:${UNSET-2}/$UNSET":        "a:2/$UNSET",
		"a:${SET:+3}":                "a:3",
		"a:${UNSET:-${OTHER:-4}}":    "a:4",
		"${TARGETARCH:-amd64}/a":     "${TARGETARCH:-amd64}/a",
		"${TARGETARCHES:-all}/a":     "all/a",
		`"quoted"`:                   "quoted",
		"a:$LONG":                    "a:$LONG",
		"a:${SET":                    "a:${SET",
		strings.Repeat("$SET", 4096): strings.Repeat("$SET", 4096),
	} {
		if got := global.known(word); got != want {
			t.Errorf("%.50q is %.50q, not %.50q", word, got, want)
		}
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	f, err := Parse("Dockerfile", []byte("FROM a AS one\nFROM b AS two\nFROM c AS one\nFROM d\n"))
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{"": 3, "one": 2, "ONE": 2, "two": 1, "0": 0, "3": 3} {
		if s, err := f.Target(target); err != nil || s.Index != want {
			t.Errorf("target %q is %d (%v), not %d", target, s.Index, err, want)
		}
	}
	for target, want := range map[string]string{
		"4":     `Dockerfile has no stage "4"; it has one, two, one`,
		"-1":    `Dockerfile has no stage "-1"; it has one, two, one`,
		"three": `Dockerfile has no stage "three"; it has one, two, one`,
	} {
		if _, err := f.Target(target); err == nil || err.Error() != want {
			t.Errorf("target %q: %v", target, err)
		}
		if got := f.Attribute(target, []footprint.Layer{{}}, 0, nil); len(got) != 1 || got[0] != nil {
			t.Errorf("target %q is attributed: %v", target, got)
		}
	}
}

func TestParseSaysWhereItIsWrong(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"":                            "d/Dockerfile:1: file with no instructions",
		"# nothing\n":                 "d/Dockerfile:1: file with no instructions",
		"ARG A\n":                     "d/Dockerfile:1: no FROM: nothing is built",
		"FROM a\n\nRUNN b\n":          "d/Dockerfile:3: unknown instruction: RUNN (did you mean RUN?)",
		"RUN a\nFROM b\n":             "d/Dockerfile:1: RUN stands before the first FROM, where only ARG may stand",
		"FROM a\nRUN <<E\nb\n":        "d/Dockerfile:2: unterminated heredoc",
		"FROM a\nCOPY b\n":            "d/Dockerfile:2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
		"FROM a b\n":                  "d/Dockerfile:1: FROM requires either one or three arguments",
		"FROM a AS 1\n":               `d/Dockerfile:1: invalid name for build stage: "1", name can't start with a number or contain symbols`,
		"# escape=x\nFROM a\n":        "d/Dockerfile:1: invalid escape token 'x' does not match ` or \\",
		"FROM a\nCOPY --form=b c d\n": "d/Dockerfile:2: unknown flag: --form (did you mean from?)",
		"FROM a\nONBUILD FROM b\n":    "d/Dockerfile:2: FROM isn't allowed as an ONBUILD trigger",
	} {
		_, err := Parse("d/Dockerfile", []byte(src))
		if err == nil || err.Error() != want {
			t.Errorf("%q: got %v\nwant %s", src, err, want)
		}
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	for name, src := range hostile() {
		_, err := Parse("Dockerfile", []byte(src))
		if err == nil {
			t.Errorf("%s is read", name)
			continue
		}
		if text := err.Error(); len(text) > 400 || !strings.HasPrefix(text, "Dockerfile:") || strings.ContainsAny(text, "\r\n") {
			t.Errorf("%s: %.500q", name, text)
		}
	}
}

func hostile() map[string]string {
	return map[string]string{
		"a big file":           "FROM a\n" + strings.Repeat("#", MaxSize),
		"a long line":          "FROM a\nRUN " + strings.Repeat("a", 70_000) + "\n",
		"a long unknown word":  "FROM a\n" + strings.Repeat("A", 60_000) + "\n",
		"deep variables":       "FROM a\nRUN <<" + strings.Repeat("${a:-", 10_000) + "\n",
		"deep, line by line":   "FROM a\nRUN <<" + strings.Repeat("${a:-\\\n # no\n\n", 60_000) + "\n",
		"deep with backticks":  "# escape=`\nFROM a\nCOPY a <<" + strings.Repeat("${a:-`\r\n", 60_000) + "\n",
		"a long bad directive": "# escape=" + strings.Repeat("b", 60_000) + "\n",
	}
}

func TestParseTakesThousandsOfStages(t *testing.T) {
	t.Parallel()
	var src bytes.Buffer
	src.WriteString("FROM a AS s0\n")
	for i := range 4999 {
		fmt.Fprintf(&src, "FROM s%d AS s%d\nENV A%d=$A%d$A%d\nRUN run %d\nCOPY --from=s%d a b$A%d\n", i, i+1, i+1, i, i, i, i, i)
	}
	f, err := Parse("Dockerfile", src.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Stages) != 5000 || f.Stages[4999].Parent != 4998 {
		t.Fatalf("%d stages", len(f.Stages))
	}
	layers := make([]footprint.Layer, 127)
	for j := range layers {
		layers[j].CreatedBy = fmt.Sprintf("RUN /bin/sh -c run %d # buildkit", 4872+j)
	}
	if got := f.Attribute("", layers, 0, nil); len(got) != 127 {
		t.Errorf("%d origins", len(got))
	}
}

// TestParseSurvivesAPanic stands in for a defect of the parser.
func TestParseSurvivesAPanic(t *testing.T) {
	t.Parallel()
	err := guard(func() error {
		var node *File
		return errors.New(node.Name)
	})
	if err == nil || !strings.HasPrefix(place("Dockerfile", err).Error(), "Dockerfile:1: the parser gave up: runtime error: ") {
		t.Errorf("got %v", err)
	}
}

// TestParentInAnyCase: BuildKit refuses such a file, the classic builder takes
// the stage.
func TestParentInAnyCase(t *testing.T) {
	t.Parallel()
	f, err := Parse("Dockerfile", []byte("FROM a AS Base\nFROM Base\n"))
	if err != nil || f.Stages[1].Parent != 0 || f.Stages[0].Name != "base" {
		t.Errorf("%+v (%v)", f, err)
	}
}
