package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/org/image-budget/scan/pkgdb"
	"github.com/org/image-budget/source"
)

var errNoIndex = errors.New("no such index")

// indexes is a remote in memory. It notes what it is asked for.
type indexes struct {
	stored map[string][]byte
	err    error         // in the place of every answer
	delay  time.Duration // before every answer

	mu    sync.Mutex
	asked []string
}

func (r *indexes) LoadLayer(ctx context.Context, diffID string) ([]byte, error) {
	r.mu.Lock()
	r.asked = append(r.asked, diffID)
	r.mu.Unlock()
	if r.delay > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(r.delay):
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	data, ok := r.stored[diffID]
	if !ok {
		return nil, errNoIndex
	}
	return data, nil
}

func (r *indexes) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// exported measures an image and returns the indexes of its layers, as a run
// elsewhere would leave them, and the diffIDs.
func exported(t testing.TB, layers ...[]byte) (map[string][]byte, []string) {
	t.Helper()
	cache := NewCache()
	res, _ := scanLayout(t, layoutOf(t, layers...), Options{Files: true, Estimate: true, Cache: cache})
	var ids []string
	for _, l := range res.Image.Layers {
		ids = append(ids, l.DiffID)
	}
	return cache.Export(append(ids, ids[0], "sha256:unknown")), ids
}

func TestRemoteSparesAllButTheChangedLayer(t *testing.T) {
	t.Parallel()
	base, old := tarOf(t, "a=1", "b=22", "dir/", "dir/c=>b"), tarOf(t, ".wh.a", "b=333")
	stored, ids := exported(t, base, old)
	if got := slices.Sorted(maps.Keys(stored)); len(got) != 2 {
		t.Fatalf("exported %v", got)
	}
	changed := tarOf(t, ".wh.a", "b=4444", "d=5")
	want, whole := scanLayout(t, layoutOf(t, base, changed), Options{Files: true})
	remote := &indexes{stored: stored}
	dir := t.TempDir()
	cache, err := OpenCache(dir, 1<<20, func() time.Time { return time.Unix(1e9, 0) })
	must(t, err)
	cache.UseRemote(remote, errNoIndex)
	ref := layoutOf(t, base, changed)
	got, read := scanLayout(t, ref, Options{Files: true, Cache: cache})
	if got.LayersRead != 1 || got.LayersKnown != 1 || read >= whole || read == 0 {
		t.Errorf("read %d layers and %d of %d bytes, knew %d", got.LayersRead, read, whole, got.LayersKnown)
	}
	got.Image.Reference, want.Image.Reference = "", ""
	if got.Image.Metrics != want.Image.Metrics || !cmp.Equal(got.Image.Layers, want.Image.Layers) || !cmp.Equal(got.Image.Dead, want.Image.Dead) || got.Image.Metrics.Wasted != 1 {
		t.Errorf("%+v is not %+v", got.Image, want.Image)
	}
	if len(remote.asked) != 2 || remote.asked[0] != ids[0] && remote.asked[1] != ids[0] {
		t.Errorf("asked for %v", remote.asked)
	}
	// What is known already is not asked for again, by this run or the next.
	again, _ := scanLayout(t, ref, Options{Files: true, Cache: cache})
	if again.LayersRead != 0 || remote.requests() != 2 {
		t.Errorf("again: %d layers read, %d requests", again.LayersRead, remote.requests())
	}
	// The directory holds what was read here alone.
	files, err := filepath.Glob(filepath.Join(dir, "layers", "*"))
	must(t, err)
	if len(files) != 1 {
		t.Errorf("the directory holds %v", files)
	}
	if notes := cache.Notes(); notes != nil {
		t.Errorf("notes %q", notes)
	}
	// What came from one baseline goes into the next one.
	if diff := cmp.Diff(stored[ids[0]], cache.Export(ids)[ids[0]]); diff != "" {
		t.Error("the index of the base was not kept as it was")
	}
	// Without figures from layers, nobody is asked.
	cache.UseRemote(remote, errNoIndex)
	_, _ = scanLayout(t, layoutOf(t, old), Options{Cache: cache})
	if remote.requests() != 2 {
		t.Error("asked for indexes that are not needed")
	}
}

// withSum gives a body, from the diffID on, the head of a stored index.
func withSum(body []byte) []byte {
	return append(binary.LittleEndian.AppendUint64([]byte(indexMagic), xxhash.Sum64(body)), body...)
}

// forged is a stored index with any count, estimate and records.
func forged(t testing.TB, diffID string, entries uint64, estimate int64, records []byte) []byte {
	t.Helper()
	return forgedFacts(t, diffID, entries, estimate, records, nil)
}

func forgedFacts(t testing.TB, diffID string, entries uint64, estimate int64, records, facts []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	must(t, err)
	defer enc.Close()
	var body []byte
	for _, s := range []string{diffID, EstimateMethod, pkgdb.Method} {
		body = append(binary.AppendUvarint(body, uint64(len(s))), s...)
	}
	body = binary.AppendVarint(binary.AppendUvarint(body, entries), estimate)
	body = binary.AppendUvarint(body, uint64(len(records)))
	return withSum(enc.EncodeAll(slices.Concat(records, facts), body))
}

// What one layer's facts take is taken from all that a remote may cost, as its
// records are.
func TestRemoteFactsCount(t *testing.T) {
	t.Parallel()
	x := newIndex()
	x.add(entry{kind: addRegular, path: []byte("a"), size: 1, hash: 1})
	x.tell(pkgdb.Facts{Packages: []pkgdb.Package{{Ecosystem: pkgdb.Dpkg, Name: strings.Repeat("x", 1000)}}})
	data, err := x.marshal("sha256:x")
	must(t, err)
	r := &remote{}
	if _, err = r.decode(t.Context(), "sha256:x", data, Limits{}.withDefaults(), &entriesLeft{n: 10}); err != nil || r.total < 1000 {
		t.Errorf("%d bytes are counted: %v", r.total, err)
	}
}

// Another release may read packages in another way.
func TestIndexesOfAnotherMethodAreForeign(t *testing.T) {
	t.Parallel()
	x := newIndex()
	x.add(entry{kind: addDirectory, path: []byte("a")})
	data, err := x.marshal("sha256:x")
	must(t, err)
	if _, err := unmarshalIndex("sha256:x", data, indexBounds{}); err != nil {
		t.Error(err)
	}
	for _, method := range []string{EstimateMethod, pkgdb.Method} {
		body := bytes.Replace(data[len(indexMagic)+8:], []byte(method), []byte(method[:len(method)-1]+"!"), 1)
		if _, err := unmarshalIndex("sha256:x", withSum(body), indexBounds{}); err == nil {
			t.Errorf("an index of another method than %q is used", method)
		}
	}
}

func TestRemoteIndexesThatAreRefused(t *testing.T) {
	t.Parallel()
	base, top := tarOf(t, "a=1", "b=22"), tarOf(t, ".wh.a", "b=333")
	stored, ids := exported(t, base, top)
	good := stored[ids[0]]
	directory := func(path string) []byte {
		b := append([]byte{byte(addDirectory), 0}, binary.AppendUvarint(nil, uint64(len(path)))...)
		return append(append(b, path...), 0, 0, 0)
	}
	// Each record stands for the same long path, which costs work to check.
	long := directory(strings.Repeat("x/", 2047) + "x")
	same := append([]byte{byte(addDirectory)}, binary.AppendUvarint(nil, 4095)...)
	many := append(slices.Clone(long), bytes.Repeat(append(same, 0, 0, 0, 0), 6_000_000)...)
	for name, data := range map[string][]byte{
		"empty":                  nil,
		"garbage":                []byte("<html>"),
		"cut":                    good[:len(good)-3],
		"damaged":                append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"another layer's":        stored[ids[1]],
		"another version's":      bytes.Replace(good, []byte("index 4\n"), []byte("index 3\n"), 1),
		"too few entries":        forged(t, ids[0], 2, -1, directory("a")),
		"more than it says":      forged(t, ids[0], 0, -1, directory("a")),
		"an estimate too large":  forged(t, ids[0], 1, 1<<60, directory("a")),
		"a path that leads out":  forged(t, ids[0], 1, -1, directory("../a")),
		"a file of an exabyte":   forged(t, ids[0], 1, -1, append([]byte{byte(addRegular), 0, 1, 'a', 0, 0, 0}, append(binary.AppendUvarint(nil, 1<<60), make([]byte, 8)...)...)),
		"a bomb":                 forged(t, ids[0], 1, -1, make([]byte, maxRemoteIndex+1)),
		"a bomb that is a claim": withSum(append(forged(t, ids[0], 1, -1, nil)[len(indexMagic)+8:], 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0)),
		"too many entries":       forged(t, ids[0], 6_000_001, -1, many),
		"more entries than said": forged(t, ids[0], 3, -1, many),
		"facts of no file":       forgedFacts(t, ids[0], 1, -1, directory("a"), []byte{7, 1, 0}),
		"facts that are none":    forgedFacts(t, ids[0], 1, -1, directory("a"), []byte{0, 3, 0, 0, 9}),
		"facts cut off":          forgedFacts(t, ids[0], 1, -1, directory("a"), []byte{0, 200}),
		"too long":               make([]byte, maxRemoteStored+1),
	} {
		t.Run(name, func(t *testing.T) {
			cache := NewCache()
			cache.UseRemote(&indexes{stored: map[string][]byte{ids[0]: data, ids[1]: stored[ids[1]]}}, errNoIndex)
			res, _ := scanLayout(t, layoutOf(t, base, top), Options{Files: true, Cache: cache})
			if res.LayersKnown != 1 || res.LayersRead != 1 || res.Image.Metrics.Unpacked != 6 || res.Image.Metrics.Wasted != 3 {
				t.Errorf("knew %d, %+v", res.LayersKnown, res.Image.Metrics)
			}
			if notes := cache.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "1 layer indexes") {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

func TestRemoteThatFailsIsANote(t *testing.T) {
	t.Parallel()
	var layers [][]byte
	for i := range 40 {
		layers = append(layers, tarOf(t, string(rune('a'+i))+"=x"))
	}
	for name, remote := range map[string]*indexes{
		"an error":    {err: errors.New("the registry answered 500")},
		"no indexes":  {err: errNoIndex},
		"useless all": {stored: map[string][]byte{}},
	} {
		if name == "useless all" {
			stored, ids := exported(t, layers...)
			for i, id := range ids {
				remote.stored[id] = stored[ids[(i+1)%len(ids)]]
			}
		}
		cache := NewCache()
		cache.UseRemote(remote, errNoIndex)
		res, _ := scanLayout(t, layoutOf(t, layers...), Options{Files: true, Cache: cache})
		if res.LayersRead != 40 || res.Image.Metrics.Final != 40 {
			t.Errorf("%s: read %d layers, %+v", name, res.LayersRead, res.Image.Metrics)
		}
		notes := strings.Join(cache.Notes(), "\n")
		switch n := remote.requests(); name {
		case "an error":
			// Those that were on their way may still fail.
			if n >= maxRemoteFailed+remoteWorkers || !strings.Contains(notes, "answered 500") {
				t.Errorf("%s: asked %d times, noted %q", name, n, notes)
			}
		case "no indexes":
			if n != 40 || notes != "" {
				t.Errorf("%s: asked %d times, noted %q", name, n, notes)
			}
		case "useless all":
			if n >= maxRemoteUseless+remoteWorkers || !strings.Contains(notes, "damaged") {
				t.Errorf("%s: asked %d times, noted %q", name, n, notes)
			}
		}
	}
}

func TestRemoteHasATimeToAnswerIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		remote := &indexes{delay: 25 * time.Second}
		cache := NewCache()
		cache.UseRemote(remote, errNoIndex)
		var ids []string
		for i := range 100 {
			ids = append(ids, string(rune('a'+i)))
		}
		began := time.Now()
		cache.loadRemote(t.Context(), ids, Limits{}.withDefaults())
		if took := time.Since(began); took != remoteTime {
			t.Errorf("took %s", took)
		}
		if n := remote.requests(); n != 3*remoteWorkers {
			t.Errorf("asked %d times", n)
		}
		if notes := strings.Join(cache.Notes(), "\n"); !strings.Contains(notes, "more than 1m0s") {
			t.Errorf("notes %q", notes)
		}
		// It is not waited for again.
		cache.loadRemote(t.Context(), []string{"more"}, Limits{}.withDefaults())
		if n := remote.requests(); n != 3*remoteWorkers {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestInterruptedRemote(t *testing.T) {
	t.Parallel()
	stored, _ := exported(t, tarOf(t, "a=1"))
	cache := NewCache()
	cache.UseRemote(&indexes{stored: stored, delay: time.Hour}, errNoIndex)
	img, err := source.New(source.Config{}).Open(t.Context(), layoutOf(t, tarOf(t, "a=1")))
	must(t, err)
	defer img.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, context.Canceled)
	defer cancel()
	if _, err := Image(ctx, img, Options{Files: true, Cache: cache}); err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestExportFromTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := func() time.Time { return time.Unix(1e9, 0) }
	cache, err := OpenCache(dir, 1<<20, clock)
	must(t, err)
	res, _ := scanLayout(t, layoutOf(t, tarOf(t, "a=1")), Options{Files: true, Cache: cache})
	if cache, err = OpenCache(dir, 1<<20, clock); err != nil {
		t.Fatal(err)
	}
	id := res.Image.Layers[0].DiffID
	file, err := os.ReadFile(filepath.Join(dir, "layers", strings.TrimPrefix(id, "sha256:")))
	must(t, err)
	if diff := cmp.Diff(map[string][]byte{id: file}, cache.Export([]string{id})); diff != "" {
		t.Error(diff)
	}
}
