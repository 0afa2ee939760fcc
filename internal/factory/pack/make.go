// Package pack turns an image folder into a release folder: it makes the payloads that machines download, full ones and deltas,
// proves each by decoding it again, and writes release.json, deltas.json and SHA256SUMS.
//
// Start with [CreateRelease]; [Make] and [MakeDelta] write a payload alone, [Apply] and [Verify] read one, and [Report] says what its
// bytes are for. Equal inputs give equal bytes, whatever the number of workers. The package signs nothing and publishes nothing.
// Formats: docs/protocol/payload.md and docs/protocol/release.md.
package pack

import (
	"context"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// ChunkSizeBytes is what one operation writes. It is small enough for a machine to hold two of them, and large
// enough that the compression gains little from more.
const ChunkSizeBytes = 1 << 20

// Options steer the making of a payload.
type Options struct {
	App, Arch, Version string
	Level              zstd.EncoderLevel // zero: SpeedBestCompression
	Workers            int               // zero: one for each processor
	Count              func(bytes int64) // called with what was read, from several goroutines; may be nil
	Report             bool              // write a Report beside the payload
}

func (o Options) withDefaults() Options {
	if o.Level == 0 {
		o.Level = zstd.SpeedBestCompression
	}
	if o.Workers < 1 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Count == nil {
		o.Count = func(int64) {}
	}
	return o
}

// Source is one target of a payload, and the file that holds what it shall be.
type Source struct {
	Target string
	Path   string
}

// Make writes the full payload of the sources to the file out, and returns what release.json says of it. The data are
// compressed into a file beside it first, because the manifest stands before them. The payload appears when it was applied, and
// gave the sources bit for bit. o.Count hears of every byte twice.
func Make(ctx context.Context, sources []Source, out string, o Options) (*release.Payload, error) {
	o = o.withDefaults()
	w, err := newWriter(out, o)
	if err != nil {
		return nil, fmt.Errorf("make payload: %w", err)
	}
	defer w.close()
	m := &payload.Manifest{Format: payload.Format, App: o.App, Arch: o.Arch, Version: o.Version, Features: []string{}}
	for _, s := range sources {
		target, err := w.compress(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("make payload target %s: %w", s.Target, err)
		}
		m.Targets = append(m.Targets, *target)
	}
	return w.finish(ctx, m, nil, sources)
}
