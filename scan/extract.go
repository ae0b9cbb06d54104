package scan

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/source"
)

// ExtractLimits bound what [Extract] returns. Zero means the default.
type ExtractLimits struct {
	// MaxFile bounds one file, 1 MiB, and MaxTotal all together, 16 MiB.
	MaxFile, MaxTotal footprint.Bytes
}

func (l ExtractLimits) withDefaults() ExtractLimits {
	if l.MaxFile <= 0 {
		l.MaxFile = 1 << 20
	}
	if l.MaxTotal <= 0 {
		l.MaxTotal = 16 << 20
	}
	return l
}

// Extract returns the contents of files of img by path: files as measuring that
// same image told them, of which the layers that hold their bytes are read, once
// more. Nothing but regular files has contents. What is too large, and what is
// too much after the files before it, is left out.
//
// A file is found by the hash of its content, whatever name the layer has it
// under: that of a hard link may be any. An error is one of [source.Read].
func Extract(ctx context.Context, img *source.Image, files []footprint.File, limits ExtractLimits) (map[string][]byte, error) {
	limits = limits.withDefaults()
	planned, wanted := planExtract(files, len(img.Layers), limits)
	out := map[string][]byte{}
	left := int(limits.MaxTotal)
	planned, wanted, err := copied(ctx, img, planned, wanted, out, &left)
	if err != nil {
		return nil, err
	}
	if len(planned) == 0 {
		return out, nil
	}
	layers, hashes := map[string]bool{}, map[uint64]bool{}
	for _, f := range wanted {
		layers[img.Layers[f.Layer].DiffID] = true
		hashes[f.Hash] = true
	}
	var read []map[uint64][]byte
	if len(layers) > 0 {
		read, err = source.Read(ctx, img, source.ReadOptions{Want: func(diffID string) bool { return layers[diffID] }},
			func(_ context.Context, r io.Reader) (map[uint64][]byte, error) {
				return contentsOf(r, hashes, limits)
			})
	}
	if err != nil {
		return nil, fmt.Errorf("reading files of %s: %w", img.Reference, err)
	}
	for _, f := range planned {
		content, found := []byte{}, f.Hash == 0
		if !found {
			content, found = read[f.Layer][f.Hash]
		}
		if found && len(content) <= left {
			left -= len(content)
			out[f.Path] = content
		}
	}
	return out, nil
}

// maxCopied is up to how many files an engine is asked for them one by one: more
// cost more than its stream of everything.
const maxCopied = 300

// copied puts into out the files that an engine hands out one by one, and
// returns those that are left. Only what has the hash that was measured is
// taken: a container may have another file there.
func copied(ctx context.Context, img *source.Image, planned, wanted []footprint.File, out map[string][]byte, left *int) ([]footprint.File, []footprint.File, error) {
	if len(wanted) == 0 || len(wanted) > maxCopied {
		return planned, wanted, nil
	}
	var paths []string
	var most footprint.Bytes
	for _, f := range wanted {
		paths = append(paths, f.Path)
		most = max(most, f.Size)
	}
	got, ok, err := img.CopyFiles(ctx, paths, int64(most))
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if !ok || err != nil {
		return planned, wanted, nil // the layers say it all, or why not
	}
	have := func(f footprint.File) bool {
		content, found := got[f.Path]
		return found && f.Hash != 0 && xxhash.Sum64(content) == f.Hash
	}
	for _, f := range wanted {
		if content := got[f.Path]; have(f) && len(content) <= *left {
			*left -= len(content)
			out[f.Path] = content
		}
	}
	return slices.DeleteFunc(planned, have), slices.DeleteFunc(wanted, have), nil
}

// planExtract chooses the files to return, as far as their sizes are known: only
// one name of a file tells. Those wanted are the ones to read for that.
func planExtract(files []footprint.File, layers int, limits ExtractLimits) (planned, wanted []footprint.File) {
	left := limits.MaxTotal
	for _, f := range files {
		if f.Kind != footprint.Regular || f.Layer < 0 || f.Layer >= layers || f.Size > min(limits.MaxFile, left) {
			continue
		}
		left -= f.Size
		planned = append(planned, f)
		if f.Hash != 0 { // nothing has to be read to know an empty file
			wanted = append(wanted, f)
		}
	}
	return planned, wanted
}

// contentsOf keeps the contents of a layer that have those hashes.
func contentsOf(r io.Reader, hashes map[uint64]bool, limits ExtractLimits) (map[uint64][]byte, error) {
	found := map[uint64][]byte{}
	left := int(limits.MaxTotal)
	var buf []byte
	tr := tar.NewReader(r)
	for len(found) < len(hashes) {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the tar: %w", err)
		}
		e, ok, err := classify(h)
		if err != nil {
			return nil, err
		}
		if !ok || e.kind != addRegular && e.kind != addHidden || e.size == 0 || e.size > int64(min(limits.MaxFile, limits.MaxTotal)) {
			continue
		}
		if int64(cap(buf)) < e.size {
			buf = make([]byte, e.size)
		}
		buf = buf[:e.size]
		if _, err := io.ReadFull(tr, buf); err != nil {
			return nil, fmt.Errorf("reading the content of %q: %w", clipPath(e.path), unexpected(err))
		}
		if sum := xxhash.Sum64(buf); hashes[sum] && found[sum] == nil && len(buf) <= left {
			left -= len(buf)
			found[sum] = append([]byte(nil), buf...)
		}
	}
	return found, nil
}
