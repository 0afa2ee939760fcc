package bootsim

import (
	"bytes"
	"context"
	"io"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/wire/delta"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// Delta is a payload from one release to another. It is the source of its own bytes.
type Delta struct {
	*release.Delta
	Bytes []byte
}

// groupBytes is what one operation in full writes.
const groupBytes = opBlocks * verity.BlockSize

// NewDelta makes a delta. In its root, operations of kind delta lie between others; its UKI is one operation. It is meant to be
// applied thousands of times, so what costs a decoder time, bytes that nothing old is like, is little.
func NewDelta(from, to *Release) (*Delta, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	root, data, err := rootDelta(z, from.Root, to.Root)
	if err != nil {
		return nil, err
	}
	op, ukiData, err := DeltaOp(ukiPlan(from.UKI, to.UKI), from.UKI, to.UKI)
	if err != nil {
		return nil, err
	}
	m := &payload.Manifest{
		App: to.App, Arch: to.Arch, Version: to.Version, From: from.Version, Features: []string{payload.FeatureDelta},
		Targets: []payload.Target{
			{Name: payload.TargetRoot, SizeBytes: int64(len(to.Root)), Ops: root},
			{Name: payload.TargetUKI, SizeBytes: int64(len(to.UKI)), Ops: []payload.Op{op}},
		},
	}
	d := &Delta{Delta: &release.Delta{From: from.Version, Features: m.Features}}
	return d, d.Seal(m, append(data, ukiData...))
}

// rootDelta makes an operation of each group of blocks. Those of text, and the second of zeros, are deltas.
func rootDelta(z *zstd.Encoder, from, to []byte) (ops []payload.Op, data []byte, err error) {
	for at := 0; at < len(to); at += groupBytes {
		content := to[at:min(len(to), at+groupBytes)]
		op, text := makeOp(z, content)
		if i := at / groupBytes; i%4 == 1 || i%8 == 7 {
			if op, text, err = DeltaOp(rootPlan(from, content, at), from, content); err != nil {
				return nil, nil, err
			}
		}
		ops, data = append(ops, op), append(data, text...)
	}
	return ops, data, nil
}

// rootPlan copies a group that is the same at its place in the old root. Another begins with something new and the beginning of the
// old root, and then resembles its place.
func rootPlan(from, content []byte, at int) *delta.Plan {
	size := int64(len(content))
	r := delta.Region{SizeBytes: size, Pieces: []delta.Piece{{From: int64(at), SizeBytes: size}}}
	if at+len(content) <= len(from) && bytes.Equal(from[at:at+len(content)], content) {
		r.Exact = true
	} else {
		const fresh, first = 100, 400
		place := min(int64(at), int64(len(from))-size)
		r.Pieces = []delta.Piece{
			{From: delta.New, SizeBytes: fresh}, {From: 0, SizeBytes: first}, {From: place + fresh + first, SizeBytes: size - fresh - first},
		}
	}
	return &delta.Plan{OldSizeBytes: int64(len(from)), SizeBytes: size, Regions: []delta.Region{r}}
}

func ukiPlan(from, to []byte) *delta.Plan {
	shared := int64(min(len(from), len(to)))
	r := delta.Region{SizeBytes: int64(len(to)), Pieces: []delta.Piece{{From: 0, SizeBytes: shared}}}
	if rest := int64(len(to)) - shared; rest > 0 {
		r.Pieces = append(r.Pieces, delta.Piece{From: delta.New, SizeBytes: rest})
	}
	return &delta.Plan{OldSizeBytes: int64(len(from)), SizeBytes: int64(len(to)), Regions: []delta.Region{r}}
}

// DeltaOp makes an operation of kind delta that writes the content.
func DeltaOp(plan *delta.Plan, from, content []byte) (payload.Op, []byte, error) {
	data, err := delta.Write(plan, bytes.NewReader(from), bytes.NewReader(content))
	return payload.Op{
		Kind: payload.KindDelta, SizeBytes: int64(len(content)), SHA256: digest(content),
		DataSizeBytes: int64(len(data)), DataSHA256: digest(data),
	}, data, err
}

// Seal makes a payload of a manifest and data, and puts its size and digests into the description.
func (d *Delta) Seal(m *payload.Manifest, data []byte) error {
	var err error
	d.Bytes, d.Delta.Payload, err = seal("from-"+d.From+".payload", m, data)
	return err
}

// Open implements install.Source.
func (d *Delta) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return open(d.Bytes, offset)
}
