package footprint

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// layersOf reads "diffID command @line, …"; a layer without a line has no
// origin.
func layersOf(t *testing.T, text string) []Layer {
	t.Helper()
	var out []Layer
	for part := range strings.SplitSeq(text, ",") {
		part, line, hasLine := strings.Cut(strings.TrimSpace(part), " @")
		id, command, _ := strings.Cut(part, " ")
		l := Layer{Index: len(out), DiffID: id, CreatedBy: command}
		if id == "-" {
			l.DiffID = ""
		}
		if hasLine {
			l.Origin = &Origin{File: "Dockerfile", Stage: "final"}
			if _, err := fmt.Sscan(line, &l.Origin.Start); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, l)
	}
	return out
}

// pairsText writes pairs as "old=new", "old~new", "-old" and "+new".
func pairsText(pairs []LayerChange) string {
	var out []string
	for _, p := range pairs {
		switch p.Change {
		case Same:
			out = append(out, fmt.Sprintf("%d=%d", p.Old.Index, p.New.Index))
		case Changed:
			out = append(out, fmt.Sprintf("%d~%d", p.Old.Index, p.New.Index))
		case Removed:
			out = append(out, fmt.Sprintf("-%d", p.Old.Index))
		case Added:
			out = append(out, fmt.Sprintf("+%d", p.New.Index))
		}
	}
	return strings.Join(out, " ")
}

func TestPairLayers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"equal":                      {"a A, b B, c C", "a A, b B, c C", "0=0 1=1 2=2"},
		"one rebuilt":                {"a A, b B, c C", "a A, x B, c C", "0=0 1~1 2=2"},
		"a line above":               {"a A, b B, c C", "a A, x X, y B, z C", "0=0 +1 1~2 2~3"},
		"a line removed":             {"a A, b B, c C", "a A, z C", "0=0 -1 2~1"},
		"a command edited":           {"a A, b B, c C", "a A, x B2, c C", "0=0 -1 +1 2=2"},
		"edited where it was":        {"a A @1, b B @2, c C @3", "a A @1, x B2 @2, c C @3", "0=0 1~1 2=2"},
		"moved lines, same commands": {"a A @1, b B @2, c C @3", "x X @1, y A @2, z B @3, w C @4", "+0 0~1 1~2 2~3"},
		"another stage's line":       {"a RUN @2", "x RUN2", "-0 +0"},
		"swapped and equal":          {"a A, b B, c C", "a A, c C, b B", "0=0 2=1 1=2"},
		"moved up, one removed":      {"a A, b B, r R, c C", "c C, a A, b B", "3=0 0=1 1=2 -2"},
		"moved up":                   {"a A, b B, c C, d D", "a A, d D, b B, c C", "0=0 3=1 1=2 2=3"},
		"all new":                    {"a A, b B", "x X, y Y", "-0 -1 +0 +1"},
		"same command twice":         {"a A, b B, c B", "a A, x B, y B", "0=0 1~1 2~2"},
		"one of two gone":            {"a A, b B, c B", "a A, c B", "0=0 -1 2=1"},
		"empty layer many times":     {"e A, e B, e C, b D", "e A, e B, e X, e C, x D", "0=0 1=1 2=2 +3 3~4"},
		"no diffID is no equality":   {"- A, - B", "- B, - C", "-0 1~0 +1"},
		"nothing known":              {"a , b ", "x , y ", "-0 -1 +0 +1"},
		"hashes of the classic builder": {
			"a /bin/sh -c #(nop) COPY dir:0123456789abcdef0123 in /app ", "x /bin/sh -c #(nop) COPY dir:fedcba9876543210fedc in /app ", "0~0",
		},
		"from one builder to the other": {"a /bin/sh -c npm ci", "x RUN /bin/sh -c npm ci # buildkit", "0~0"},
		"build arguments":               {"a |1 V=1 /bin/sh -c make", "x |1 V=2 /bin/sh -c make", "0~0"},
	} {
		if got := pairsText(pairLayers(layersOf(t, c.old), layersOf(t, c.new))); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	other := layersOf(t, "x RUN make @2")
	other[0].Origin.Stage = "build"
	if got := pairsText(pairLayers(layersOf(t, "a RUN make @2"), other)); got != "-0 +0" {
		t.Errorf("layers of two stages: %s", got)
	}
	if got := pairLayers(nil, nil); len(got) != 0 {
		t.Errorf("no layers: %v", got)
	}
}

// Thousands of layers do not cost the square of them.
func TestPairThousandsOfLayers(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var old, new []Layer
	for i := range n {
		old = append(old, Layer{Index: i, DiffID: fmt.Sprint("a", i), CreatedBy: fmt.Sprint("RUN ", i)})
		new = append(new, Layer{Index: i, DiffID: fmt.Sprint("b", i), CreatedBy: fmt.Sprint("RUN ", i+1)})
	}
	want := map[Change]int{Removed: 1, Changed: n - 1, Added: 1}
	got := map[Change]int{}
	for _, p := range pairLayers(old, new) {
		got[p.Change]++
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("RUN |1 A=b /bin/sh -c npm ci # buildkit")
	f.Add("/bin/sh -c #(nop) COPY dir:0123456789abcdef in /")
	f.Add("|9 ")
	f.Fuzz(func(t *testing.T, s string) {
		got := Layer{CreatedBy: s}.Command()
		if strings.ContainsAny(got, "\n\r") {
			t.Errorf("%q gave %q", s, got)
		}
	})
}
