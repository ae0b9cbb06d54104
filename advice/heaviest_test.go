package advice

import (
	"strings"
	"testing"
	"time"

	"github.com/org/image-budget/dockerfile"
)

func TestManySteps(t *testing.T) {
	src := "FROM debian\n" + strings.Repeat("COPY a.txt /tmp/\nRUN apt-get update && apt-get install -y gcc\n", 5000)
	f, err := dockerfile.Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	got, err := Suggest(t.Context(), &Subject{File: f})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, s := range got {
		count[s.Rule]++
		if n := count[s.Rule]; n > maxPerRule || n == maxPerRule && !strings.Contains(strings.Join(s.Unknown, " "), "more places are like this one") {
			t.Errorf("%s: number %d, %q", s.Rule, n, s.Unknown)
		}
	}
	if took := time.Since(begin); count["package-cache-left"] != maxPerRule || took > 20*time.Second {
		t.Errorf("%v in %v", count, took)
	}
}
