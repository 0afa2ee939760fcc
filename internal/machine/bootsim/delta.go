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

// NewDelta makes a delta. In its root an operation of kind delta is followed by one in full, again and again; its UKI is one
// operation.
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

func rootDelta(z *zstd.Encoder, from, to []byte) (ops []payload.Op, data []byte, err error) {
	for at := 0; at < len(to); {
		var op payload.Op
		var text []byte
		if len(ops)%2 == 0 {
			end := min(len(to), at+2*groupBytes)
			op, text, err = DeltaOp(rootPlan(from, to, at, end), from, to[at:end])
		} else {
			op, text = makeOp(z, to[at:min(len(to), at+groupBytes)])
		}
		if err != nil {
			return nil, nil, err
		}
		ops, data, at = append(ops, op), append(data, text...), at+int(op.SizeBytes)
	}
	return ops, data, nil
}

// rootPlan makes one region of each group: a copy of the same place where both are equal, what resembles it, or half of each
// of something new and of another place.
func rootPlan(from, to []byte, begin, end int) *delta.Plan {
	plan := &delta.Plan{OldSizeBytes: int64(len(from)), SizeBytes: int64(end - begin)}
	for at := begin; at < end; at += groupBytes {
		size := min(end-at, groupBytes)
		r := delta.Region{SizeBytes: int64(size), Pieces: []delta.Piece{{From: int64(at), SizeBytes: int64(size)}}}
		switch same := at+size <= len(from); {
		case same && bytes.Equal(from[at:at+size], to[at:at+size]):
			r.Exact = true
		case !same || at/groupBytes%2 == 0:
			half := int64(size / 2)
			r.Pieces = []delta.Piece{{From: delta.New, SizeBytes: half}, {From: 0, SizeBytes: half}}
		}
		plan.Regions = append(plan.Regions, r)
	}
	return plan
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
