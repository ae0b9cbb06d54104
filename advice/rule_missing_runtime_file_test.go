package advice

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/org/image-budget/footprint"
)

// imageOf is an image of one layer with these files.
func imageOf(files ...footprint.File) *footprint.Image {
	return &footprint.Image{Platform: "linux/amd64", Layers: []footprint.Layer{{}}, Files: slices.Values(files)}
}

func TestACarriageReturnInTheFirstLineIsFound(t *testing.T) {
	t.Parallel()
	for _, p := range []footprint.Program{{Interpreter: "/bin/sh\r"}, {Interpreter: "/usr/bin/env", Args: "bash\r"}} {
		s := &Subject{Config: &footprint.Config{Entrypoint: []string{"/start.sh"}}, Image: imageOf(
			footprint.File{Path: "/bin", Kind: footprint.Directory},
			footprint.File{Path: "/bin/sh", Kind: footprint.Regular, Size: 1, Mode: 0o755},
			footprint.File{Path: "/start.sh", Kind: footprint.Regular, Size: 9, Mode: 0o755, Program: &p},
		)}
		got, err := Suggest(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 || !strings.Contains(got[0].Message, "carriage return") {
			t.Errorf("%+v: got %+v", p, got)
		}
	}
}

func TestWhatDoesNotStartComesFirst(t *testing.T) {
	t.Parallel()
	img := imageOf(footprint.File{Path: "/app/.git/x", Kind: footprint.Regular, Size: 5_000_000})
	got, err := Suggest(context.Background(), &Subject{Image: img, Config: &footprint.Config{Cmd: []string{"app"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 2 || got[0].Rule != "missing-runtime-file" || got[1].Bytes < got[len(got)-1].Bytes {
		t.Errorf("got %+v", got)
	}
}
