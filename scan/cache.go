package scan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cache keeps the indexes of layers, so that a layer is read once: in memory
// for images that are measured in one run, and in a directory, one file per
// diffID, for the runs after it. It may be used by several goroutines, and the
// directory by several processes: files appear by rename and are checked when
// read. Behind both may stand a [Remote]. It never fails a run: what cannot be
// read is read again from the image, and what cannot be written is told by Close.
type Cache struct {
	dir      string // "" keeps nothing beyond the run
	maxBytes int64
	now      func() time.Time

	mu      sync.Mutex
	indexes map[string]*Index
	history map[string][]string
	failed  error
	busy    map[string]chan struct{} // layers that are being read; closed after
	remote  *remote                  // nil is none
}

// NewCache keeps indexes in memory only.
func NewCache() *Cache {
	return &Cache{indexes: map[string]*Index{}, history: map[string][]string{}}
}

// OpenCache uses dir, which is created, and keeps at most maxBytes in it; the
// indexes that were not used for longest go first. It is an error if the
// directory cannot be made.
func OpenCache(dir string, maxBytes int64, now func() time.Time) (*Cache, error) {
	if err := os.MkdirAll(filepath.Join(dir, "layers"), 0o755); err != nil {
		return nil, fmt.Errorf("creating the cache: %w", err)
	}
	c := NewCache()
	c.dir, c.maxBytes, c.now = filepath.Join(dir, "layers"), maxBytes, now
	return c, nil
}

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (c *Cache) file(diffID string) (string, bool) {
	if c.dir == "" || !sha256Digest.MatchString(diffID) {
		return "", false
	}
	return filepath.Join(c.dir, strings.TrimPrefix(diffID, "sha256:")), true
}

// load returns nil for a layer that is not there, or not readable, or not ours.
func (c *Cache) load(diffID string) *Index {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.indexes[diffID]
	if x == nil {
		if x = c.loadFile(diffID); x != nil {
			c.indexes[diffID] = x
		}
	}
	return x
}

func (c *Cache) loadFile(diffID string) *Index {
	name, ok := c.file(diffID)
	if !ok {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return nil
	}
	x, err := unmarshalIndex(diffID, data, indexBounds{})
	if err != nil {
		return nil
	}
	now := c.now()
	_ = os.Chtimes(name, now, now) // only the order of pruning suffers
	return x
}

// store writes an index. Its layer must have been checked against diffID, or
// one image could plant figures for another.
func (c *Cache) store(diffID string, x *Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.indexes[diffID] = x
	name, ok := c.file(diffID)
	if !ok {
		return
	}
	data, err := x.marshal(diffID)
	if err == nil {
		err = c.write(name, data)
	}
	if err != nil {
		c.failed = errors.Join(c.failed, err)
	}
}

// An engine tells what made its layers only in the stream that carries them
// all. Lines kept here, by the digest of the config, spare that stream.

func (c *Cache) loadHistory(config string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lines, ok := c.history[config]; ok {
		return lines
	}
	name, ok := c.file(config)
	if !ok {
		return nil
	}
	data, err := os.ReadFile(name + ".history")
	var lines []string
	if err != nil || json.Unmarshal(data, &lines) != nil {
		return nil
	}
	return lines
}

func (c *Cache) storeHistory(config string, lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history[config] = lines
	name, ok := c.file(config)
	if !ok {
		return
	}
	data, err := json.Marshal(lines)
	if err == nil {
		err = c.write(name+".history", data)
	}
	if err != nil {
		c.failed = errors.Join(c.failed, err)
	}
}

func (c *Cache) write(name string, data []byte) error {
	f, err := os.CreateTemp(c.dir, "new-*")
	if err != nil {
		return fmt.Errorf("writing to the cache: %w", err)
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(data)
	// Readable for the runner's user, who carries the directory from job to
	// job while an action runs as root.
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("writing to the cache: %w", err)
	}
	now := c.now()
	_ = os.Chtimes(f.Name(), now, now)
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("writing to the cache: %w", err)
	}
	return nil
}

// Close prunes the directory. Its error is what could not be written or removed
// since OpenCache: reason for a warning, since every figure is right all the
// same.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dir == "" {
		return nil
	}
	return errors.Join(c.failed, c.prune())
}

func (c *Cache) prune() error {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("pruning the cache: %w", err)
	}
	var infos []fs.FileInfo
	var total int64
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			infos = append(infos, info)
			total += info.Size()
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, info := range infos {
		if total <= c.maxBytes {
			break
		}
		if err := os.Remove(filepath.Join(c.dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("pruning the cache: %w", err)
		}
		total -= info.Size()
	}
	return nil
}
