// Package pack turns an image folder into a release folder: it makes the payload that machines download, proves
// it by decoding it again, and writes release.json and SHA256SUMS.
//
// Start with [CreateRelease]; [Make] writes a payload alone and [Verify] reads one. Equal inputs give equal bytes,
// whatever the number of workers. The package signs nothing and publishes nothing. Formats:
// docs/protocol/payload.md and docs/protocol/release.md.
package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/fault"
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
// compressed into a file beside it first, because the manifest stands before them.
func Make(ctx context.Context, sources []Source, out string, o Options) (_ *release.Payload, err error) {
	o = o.withDefaults()
	staged, err := os.CreateTemp(filepath.Dir(out), ".data-*")
	if err != nil {
		return nil, fmt.Errorf("make payload: %w", err)
	}
	defer os.Remove(staged.Name())
	defer staged.Close()
	m := &payload.Manifest{Format: payload.Format, App: o.App, Arch: o.Arch, Version: o.Version, Features: []string{}}
	var took []costs
	for _, s := range sources {
		target, err := compress(ctx, s, staged, o)
		if err != nil {
			return nil, fmt.Errorf("make payload target %s: %w", s.Target, err)
		}
		m.Targets = append(m.Targets, *target)
		took = append(took, costs{Source: s, parts: costsOf(target.Ops, 0)})
	}
	head, err := m.Encode()
	if err != nil {
		return nil, fmt.Errorf("make payload: %w", err)
	}
	made, err := assemble(out, head, staged)
	if err != nil || !o.Report {
		return made, err
	}
	return made, writeReport(out, made, o, "", took)
}

// assemble writes manifest and data to out, which appears only when it is whole.
func assemble(out string, head []byte, data io.ReadSeeker) (*release.Payload, error) {
	if _, err := data.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	sum := sha256.New()
	sizeBytes, err := WriteFile(out, io.TeeReader(io.MultiReader(bytes.NewReader(head), data), sum))
	if err != nil {
		return nil, fmt.Errorf("write payload: %w", err)
	}
	headSum := sha256.Sum256(head)
	return &release.Payload{
		Name: filepath.Base(out), SizeBytes: sizeBytes, SHA256: hex.EncodeToString(sum.Sum(nil)),
		ManifestSizeBytes: int64(len(head)), ManifestSHA256: hex.EncodeToString(headSum[:]),
	}, nil
}

// compress appends the data of one source to staged, and returns its target.
func compress(ctx context.Context, s Source, staged io.Writer, o Options) (*payload.Target, error) {
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &payload.Target{Name: s.Target}
	err = eachChunk(ctx, f, o, func(op payload.Op, data []byte) error {
		t.Ops = append(t.Ops, op)
		t.SizeBytes += op.SizeBytes
		_, err := staged.Write(data)
		return err
	})
	if err == nil && t.SizeBytes == 0 {
		err = fault.New(fault.Invalid, "%s is empty", s.Path)
	}
	return t, err
}
