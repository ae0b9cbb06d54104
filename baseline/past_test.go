package baseline_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/image-budget/baseline"
	"github.com/org/image-budget/baseline/baselinetest"
	"github.com/org/image-budget/footprint"
)

func finals(all []footprint.Past) []footprint.Bytes {
	var out []footprint.Bytes
	for _, p := range all {
		out = append(out, p.Final)
	}
	return out
}

// The commits that a branch has baselines of cost no request each: their names
// tell, and the commits before one come in pages.
func TestBranchHistory(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 70)
	for _, i := range []int{1, 30, 31, 40, 50, 60} {
		r.save(t, webAt(r.commits[i]), footprint.Bytes(i))
	}
	side := r.Commit(r.commits[40])
	r.save(t, webAt(side), 1000)
	r.save(t, webAt(""), 2000)
	s := r.open(t).(baseline.Historian)
	if _, err := s.Load(t.Context(), webAt(r.commits[60])); err != nil {
		t.Fatal(err)
	}
	r.Requests()
	got, err := s.History(t.Context(), webAt(r.commits[60]), 30)
	if diff := cmp.Diff([]footprint.Bytes{30, 31, 40, 50, 60}, finals(got)); diff != "" || err != nil {
		t.Errorf("%s%v", diff, err)
	}
	if requests := r.Requests(); len(requests) != 1 || !strings.Contains(requests[0], "/commits") {
		t.Errorf("it took %q", requests)
	}
	if want := (footprint.Past{Commit: r.commits[30], Compressed: 15, Unpacked: 37, Final: 30, Has: footprint.HasCompressed | footprint.HasFiles}); len(got) == 0 || got[0] != want {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct {
		key  baseline.Key
		most int
		want []footprint.Bytes
	}{
		{webAt(r.commits[60]), 2, []footprint.Bytes{50, 60}},
		{webAt(side), 30, []footprint.Bytes{1, 30, 31, 40, 1000}}, // c1 is 40 before it
		{webAt(""), 30, nil},
		{baseline.Key{Image: "api", Platform: "linux/amd64", Commit: r.commits[60]}, 30, nil},
	} {
		got, err := s.History(t.Context(), c.key, c.most)
		if diff := cmp.Diff(c.want, finals(got)); diff != "" || err != nil {
			t.Errorf("%+v, at most %d: %s%v", c.key, c.most, diff, err)
		}
	}
}

func TestBranchFileThatLiesAboutItsFigures(t *testing.T) {
	t.Parallel()
	r := newRepository(t, 1)
	r.save(t, webAt(r.commits[0]), 1000)
	for name, text := range r.Files("image-budget") {
		if strings.Contains(name, "-c500-") {
			r.Write("image-budget", map[string]string{name: "", strings.Replace(name, "-c500-", "-c400-", 1): text})
		}
	}
	_, err := r.open(t).Load(t.Context(), webAt(r.commits[0]))
	if err == nil || errors.Is(err, baseline.ErrNotFound) || !strings.Contains(err.Error(), "it holds other figures (c500-u1007-f1000) than its name says: delete it there") {
		t.Error(err)
	}
}

// before is a history in which Commit(i) comes after Commit(i-1).
func before(o *baseline.Options) {
	o.Ancestors = func(_ context.Context, from string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			i := 199
			for ; i >= 0 && baselinetest.Commit(i) != from; i-- {
			}
			for i--; i >= 0 && yield(baselinetest.Commit(i), nil); i-- {
			}
		}
	}
}

// A registry is asked for one small manifest a commit, and for no snapshot.
func TestRegistryHistory(t *testing.T) {
	t.Parallel()
	shelf := newShelf(t)
	store := in(t, shelf.host, "a", before)
	var entries []baseline.Entry
	for i := 20; i < 120; i++ {
		entries = append(entries, baselinetest.Entry("web", baselinetest.Commit(i), footprint.Bytes(i)))
	}
	entries = append(entries, baselinetest.Entry("api", baselinetest.Commit(5), 5))
	if err := store.Save(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	s := in(t, shelf.host, "a", before).(baseline.Historian)
	key := baselinetest.Entry("web", baselinetest.Commit(119), 1).Key
	if _, err := s.Load(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	shelf.answers(nil)
	got, err := s.History(t.Context(), key, 30)
	if err != nil || len(got) != 30 || got[0].Final != 90 || got[29].Final != 119 || got[29].Commit != baselinetest.Commit(119) || got[0].Unpacked != 97 {
		t.Errorf("%+v, %v", got, err)
	}
	requests := shelf.requests()
	for _, r := range requests {
		if !strings.HasPrefix(r, "GET /v2/a/manifests/web.linux-amd64.") {
			t.Errorf("it asked %s", r)
		}
	}
	if len(requests) != 30 {
		t.Errorf("it took %d requests", len(requests))
	}
	for name, key := range map[string]baseline.Key{
		"another platform": {Image: "web", Platform: "linux/arm64", Commit: baselinetest.Commit(119)},
		"another image":    {Image: "worker", Platform: "linux/amd64", Commit: baselinetest.Commit(119)},
		"too long ago":     {Image: "web", Platform: "linux/amd64", Commit: baselinetest.Commit(199)},
	} {
		if got, err := s.History(t.Context(), key, 30); len(got) != 0 || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	shelf.answers(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	if got, err := s.History(t.Context(), key, 30); err == nil || got != nil {
		t.Errorf("%+v of a registry that refuses", got)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	const both = footprint.HasCompressed | footprint.HasFiles
	r := newRepository(t, 1)
	for _, m := range []footprint.Metrics{
		{}, {Compressed: 5, Has: footprint.HasCompressed}, {Compressed: 5, CompressedEstimated: true, Has: both},
		{Has: footprint.HasFiles}, {Compressed: 1 << 40, Has: footprint.HasCompressed},
	} {
		m.Layers = 1
		e := entry(webAt(r.commits[0]), 1)
		e.Image = &footprint.Image{Name: "web", Platform: "linux/amd64", Metrics: m, Layers: []footprint.Layer{{
			Compressed: m.Compressed, CompressedEstimated: m.CompressedEstimated, Unpacked: m.Unpacked, Wasted: m.Wasted, Has: m.Has,
		}}}
		if m.CompressedEstimated {
			e.Image.EstimatedBy = "gzip"
		}
		s := r.open(t)
		if err := s.Save(t.Context(), []baseline.Entry{e}); err != nil {
			t.Fatal(err)
		}
		got, err := s.(baseline.Historian).History(t.Context(), e.Key, 5)
		want := []footprint.Past{footprint.PastOf(e.Key.Commit, e.Image)}
		if m.Has == 0 {
			want = nil
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%+v: %s%v", m, diff, err)
		}
	}
}
