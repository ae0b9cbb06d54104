package dockerfile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/footprint"
)

// attribute returns the first line of each layer's origin, "-" for none.
func attribute(t *testing.T, src string, base int, args map[string]string, history ...string) string {
	t.Helper()
	f, err := Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	layers := make([]footprint.Layer, len(history))
	for i, h := range history {
		layers[i].CreatedBy = h
	}
	var out []string
	for _, o := range f.Attribute("", layers, base, args) {
		at := "-"
		if o != nil {
			at = fmt.Sprint(o.Start)
		}
		out = append(out, at)
	}
	return strings.Join(out, " ")
}

func TestAttributeByHand(t *testing.T) {
	t.Parallel()
	const three = "FROM a\nRUN one\nCOPY b /c\nRUN two\n"
	const same = "FROM a\nRUN x\nRUN x\nCOPY b /c\nRUN y\n"
	for _, c := range []struct {
		name, src string
		base      int
		args      map[string]string
		history   []string
		want      string
	}{
		{"kaniko writes the instruction as it is", three, 0, nil, []string{"RUN one", "COPY b /c", "RUN two"}, "2 3 4"},
		{"kaniko keeps flags", "FROM a\nRUN --mount=type=cache,target=/x  one\nCOPY --from=z b /c\n", 0, nil,
			[]string{"RUN --mount=type=cache,target=/x one", "COPY --from=z b /c"}, "2 3"},
		{"buildah", three, 0, nil, []string{"/bin/sh -c one", "/bin/sh -c #(nop) COPY file:0123456789abcdef0123 in /c ", "/bin/sh -c two"}, "2 3 4"},
		{"the base brings another shell", three, 0, nil, []string{"RUN /bin/bash -o pipefail -c one # buildkit", "COPY b /c # buildkit", "RUN /bin/bash -o pipefail -c two # buildkit"}, "2 3 4"},
		{"with arguments that have spaces", three, 0, nil, []string{"RUN |1 V=a b /bin/bash -c one # buildkit", "COPY b /c # buildkit", "RUN |1 V=a b /bin/bash -c two # buildkit"}, "2 3 4"},
		{"on Windows", three, 0, nil, []string{"cmd /S /C one", "cmd /S /C #(nop) COPY file:0123456789abcdef0123 in /c ", "cmd /S /C two"}, "2 3 4"},

		{"a layer without history is found by order", three, 0, nil, []string{"RUN one", "", "RUN two"}, "2 3 4"},
		{"at the end too", three, 0, nil, []string{"RUN one", "COPY b /c", ""}, "2 3 4"},
		{"two for one are not", three + "RUN three\n", 0, nil, []string{"RUN one", "", "", "RUN two", "RUN three"}, "2 - - 4 5"},
		{"one for two is not", "FROM a\nRUN one\nRUN two\nRUN three\nRUN four\nRUN five", 0, nil, []string{"RUN one", "", "RUN four", "RUN five"}, "2 - 5 6"},
		{"another command is not", three, 0, nil, []string{"RUN one", "COPY b /c", "RUN three"}, "2 3 -"},
		{"without any history nothing is", three, 0, nil, []string{"", "", ""}, "- - -"},

		{"one of two equal commands left no layer", same, 0, nil, []string{"RUN x", "COPY b /c", "RUN y"}, "- 4 5"},
		{"both are there", same, 0, nil, []string{"RUN x", "RUN x", "COPY b /c", "RUN y"}, "2 3 4 5"},
		{"one too many", same, 0, nil, []string{"RUN x", "RUN x", "RUN x", "COPY b /c", "RUN y"}, "- - - 4 5"},
		{"in another order", three, 0, nil, []string{"COPY b /c", "RUN one", "RUN two"}, "- - 4"},
		{"two destinations alike", "FROM a\nRUN x\nCOPY a ./\nCOPY b ./\nRUN y\nRUN z\n", 0, nil,
			[]string{"/bin/sh -c x", "/bin/sh -c #(nop) COPY file:0123456789abcdef0123 in ./ ", "/bin/sh -c y", "/bin/sh -c z"}, "2 - 5 6"},
		{"one source or several", "FROM a\nRUN x\nCOPY a b ./\nCOPY c ./\nRUN y\nRUN z\n", 0, nil,
			[]string{"/bin/sh -c x", "/bin/sh -c #(nop) COPY multi:0123456789abcdef0123 in ./ ", "/bin/sh -c y", "/bin/sh -c z"}, "2 3 5 6"},
		{"a single source", "FROM a\nRUN x\nCOPY a b ./\nCOPY c ./\nRUN y\nRUN z\n", 0, nil,
			[]string{"/bin/sh -c x", "/bin/sh -c #(nop) COPY file:0123456789abcdef0123 in ./ ", "/bin/sh -c y", "/bin/sh -c z"}, "2 4 5 6"},
		{"most commands left no layer", "FROM a\nRUN one\nRUN 2\nRUN 3\nRUN 4\nRUN five\n", 0, nil, []string{"RUN one", "RUN five"}, "2 6"},
		{"a copy always leaves one", "FROM a\nRUN one\nRUN 2\nRUN 3\nCOPY x y\nRUN five\n", 0, nil, []string{"RUN one", "RUN five"}, "- -"},

		{"squashed", three, 1, nil, []string{"", ""}, "- -"},
		{"squashed under the last name", three, 1, nil, []string{"", "RUN two"}, "- -"},
		{"a single instruction", "FROM a\nRUN one\n", 1, nil, []string{"", "RUN one"}, "- 2"},
		{"a foreign image with a line that all have", three, 1, nil, []string{"x", "COPY b /c", "RUN make"}, "- - -"},
		{"layers on top", three, 0, nil, []string{"RUN one", "COPY b /c", "RUN two", "RUN more"}, "2 3 4 -"},

		{"triggers of the base", "# x\nFROM a\nRUN one\n", 1, nil, []string{"x", "COPY . .", "RUN npm ci", "RUN one"}, "- 2 2 3"},
		{"where the base ends nobody knows", "# x\nFROM a\nRUN one\n", 0, nil, []string{"x", "COPY . .", "RUN npm ci", "RUN one"}, "- - - 3"},
		{"scratch has no triggers", "FROM scratch\nRUN one\n", 1, nil, []string{"x", "COPY . .", "RUN one"}, "- - 2"},
		{"a trigger like an instruction", "FROM a\nCOPY . .\nRUN one\n", 1, nil, []string{"x", "COPY . .", "COPY . .", "RUN one"}, "- - - 3"},

		{"a trigger fires once", "FROM a AS s\nONBUILD RUN x\nFROM s AS t\nRUN y\nFROM t\nRUN z\n", 0, nil, []string{"RUN x", "RUN y", "RUN x", "RUN z"}, "3 4 - 6"},
		{"arguments of the command line", "FROM a\nARG V=1\nCOPY x$V /y\nRUN one\n", 0, map[string]string{"V": "2"}, []string{"COPY x2 /y", "RUN |1 V=2 /bin/sh -c one"}, "3 4"},
		{"a global argument", "ARG V=1\nFROM a\nARG V\nCOPY x$V /$V\nCOPY yyy /$W\n", 0, nil, []string{"COPY x1 /1", "COPY yyy /of the base"}, "4 5"},
		{"arguments end with their stage", "FROM a AS b\nARG V=1\nENV W=2\nFROM b\nCOPY a /${V:-none}\nCOPY a /$W\n", 0, nil, []string{"COPY a /none", "COPY a /2"}, "5 6"},
		{"values that look like a shell", "FROM a\nARG V\nRUN one\nRUN two\n", 0, nil, []string{"RUN |1 V=/bin/sh -c x /bin/sh -c one", "RUN |1 V=/bin/sh -c x /bin/sh -c two"}, "3 4"},
		{"the end of another command", "FROM a\nARG V\nRUN [\"two\"]\nRUN one\nRUN 3\n", 0, nil, []string{"RUN |1 V=1 /bin/sh -c one && two", "RUN |1 V=1 /bin/sh -c one", "RUN |1 V=1 /bin/sh -c 3"}, "- 4 5"},
		{"ARG after ENV", "FROM a\nENV V=1\nARG V=22\nCOPY a $V\n", 0, nil, []string{"COPY a 22"}, "4"},
		{"ENV after ARG", "FROM a\nARG V=1\nENV V=22\nCOPY a $V\n", 0, nil, []string{"COPY a 22"}, "4"},
		{"ENV of the stage before", "FROM a AS b\nARG V=1\nENV V=22\nFROM b\nCOPY a $V\n", 0, nil, []string{"COPY a 22"}, "5"},
		{"nothing but variables", "FROM a\nCOPY $V $W\n", 0, nil, []string{"COPY some thing"}, "-"},

		{"a relative directory on the base's", "FROM a\nWORKDIR b\nWORKDIR ../c\nRUN one\n", 0, nil, []string{"WORKDIR /x/b", "WORKDIR /x/c", "RUN one"}, "2 3 4"},
		{"a directory from a variable", "FROM a\nWORKDIR $HOME_OF_BASE\nWORKDIR app\nRUN one\n", 0, nil, []string{"WORKDIR /x", "WORKDIR /x/app", "RUN one"}, "- 3 4"},
		{"the same directory twice", "FROM a\nWORKDIR /app\nWORKDIR /app\nRUN one\n", 0, nil, []string{"WORKDIR /app", "RUN one"}, "2 4"},
		{"the directory that was there", "FROM a\nWORKDIR /app\nRUN one\nWORKDIR /app\nRUN two\n", 0, nil, []string{"WORKDIR /app", "RUN one", "RUN two"}, "2 3 5"},
	} {
		if got := attribute(t, c.src, c.base, c.args, c.history...); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

func TestAttributeTakesAnyBase(t *testing.T) {
	t.Parallel()
	for base, want := range map[int]string{-5: "2 3", 0: "2 3", 1: "- -", 2: "- -", 9: "- -"} {
		if got := attribute(t, "FROM a\nRUN one\nRUN two\n", base, nil, "RUN one", "RUN two"); got != want {
			t.Errorf("a base of %d layers: %s, not %s", base, got, want)
		}
	}
}

// TestAttributeSharesNothing keeps callers apart that change what they got.
func TestAttributeSharesNothing(t *testing.T) {
	t.Parallel()
	f, err := Parse("Dockerfile", []byte("FROM a\nRUN one\n"))
	if err != nil {
		t.Fatal(err)
	}
	layers := []footprint.Layer{{CreatedBy: "x"}, {CreatedBy: "COPY y"}, {CreatedBy: "COPY z"}, {CreatedBy: "RUN one"}}
	got := f.Attribute("", layers, 1, nil)
	*got[1] = footprint.Origin{}
	want := []*footprint.Origin{nil, {}, {File: "Dockerfile", Stage: "0", Start: 1, End: 1}, {File: "Dockerfile", Stage: "0", Start: 2, End: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
