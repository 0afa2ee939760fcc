package pack

import (
	"context"
	"fmt"
	"io"
	"os"

	"conifer.dev/conifer/internal/factory/diff"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// DeltaOptions steer the making of deltas.
type DeltaOptions struct {
	Options
	From string // the version of the old sources

	find finder // nil: diff.Find
}

// finder finds how a target is made of the old one, as diff.Find does.
type finder func(ctx context.Context, old, new diff.Image, o diff.Options) ([]diff.Op, error)

// MakeDelta writes to the file out the payload that makes the new sources of the old ones, and returns what deltas.json says of
// it. A source without an old one of its target is packed as in a full payload, and so is a part whose delta saves little or nothing.
// The payload appears when it was applied to the old sources and gave the new ones, bit for bit.
func MakeDelta(ctx context.Context, old, new []Source, out string, o DeltaOptions) (*release.Delta, error) {
	o.Options = o.Options.withDefaults()
	if o.find == nil {
		o.find = diff.Find
	}
	w, err := newWriter(out, o.Options)
	if err != nil {
		return nil, fmt.Errorf("make delta: %w", err)
	}
	defer w.close()
	m := &payload.Manifest{
		Format: payload.Format, App: o.App, Arch: o.Arch, Version: o.Version,
		From: o.From, Features: []string{payload.FeatureDelta},
	}
	for _, s := range new {
		target, err := w.difference(ctx, s, pathOf(old, s.Target), o.find)
		if err != nil {
			return nil, fmt.Errorf("make delta of %s: %w", s.Target, err)
		}
		m.Targets = append(m.Targets, *target)
	}
	made, err := w.finish(ctx, m, old, new)
	if err != nil {
		return nil, err
	}
	return &release.Delta{From: o.From, Features: m.Features, Payload: *made}, nil
}

func pathOf(sources []Source, target string) string {
	for _, s := range sources {
		if s.Target == target {
			return s.Path
		}
	}
	return ""
}

// difference appends the data of one target that is made from an old one, where there is one.
func (w *writer) difference(ctx context.Context, s Source, oldPath string, find finder) (*payload.Target, error) {
	if oldPath == "" {
		return w.compress(ctx, s)
	}
	old, err := openSection(oldPath)
	if err != nil {
		return nil, err
	}
	defer old.Close()
	now, err := openSection(s.Path)
	if err != nil {
		return nil, err
	}
	defer now.Close()
	found, err := find(ctx, old.image(), now.image(), diff.Options{Workers: w.o.Workers, Progress: w.o.Count})
	if err != nil {
		return nil, err
	}
	if err := checkPlans(found, old.Size(), now.Size()); err != nil {
		return nil, err
	}
	parts, err := encodeAllParts(ctx, found, old, now, w.o)
	if err != nil {
		return nil, err
	}
	w.costs = append(w.costs, costs{Source: s, old: oldNames(found)})
	t := &payload.Target{Name: s.Target, SizeBytes: now.Size()}
	for _, p := range parts {
		ops, err := w.part(ctx, p, now)
		if err != nil {
			return nil, err
		}
		t.Ops = append(t.Ops, ops...)
	}
	return t, nil
}

// oldNames says which file each changed one is made from.
func oldNames(found []diff.Op) map[string]string {
	names := map[string]string{}
	for _, op := range found {
		for _, f := range op.Files {
			names[f.Path] = f.Old
		}
	}
	return names
}

// section is an open file as a finder reads it.
type section struct {
	*io.SectionReader
	io.Closer
}

func (s *section) image() diff.Image {
	return diff.Image{ReaderAt: s.SectionReader, SizeBytes: s.Size()}
}

func openSection(path string) (*section, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if info.Size() == 0 {
		f.Close()
		return nil, fault.New(fault.Invalid, "%s is empty", path)
	}
	return &section{io.NewSectionReader(f, 0, info.Size()), f}, nil
}

// checkPlans holds a finder to what it promises.
func checkPlans(found []diff.Op, oldSizeBytes, sizeBytes int64) error {
	var sum int64
	for _, op := range found {
		p := op.Plan
		if op.Offset != sum || p.OldSizeBytes != oldSizeBytes || p.SizeBytes < 1 || p.SizeBytes > payload.MaxDeltaSizeBytes {
			return fault.New(fault.Internal, "a plan makes %d bytes at %d of an old target of %d, which has %d", p.SizeBytes, op.Offset, p.OldSizeBytes, oldSizeBytes)
		}
		sum += p.SizeBytes
	}
	if sum != sizeBytes {
		return fault.New(fault.Internal, "the plans make %d bytes, want %d", sum, sizeBytes)
	}
	return nil
}

// worthComparing is how much smaller than its output a delta must be to need no comparison with a compressed one: compressing
// costs time, and hardly anything but zeros compresses so well.
const worthComparing = 10

// overheadSizeBytes is about what an operation takes in the manifest.
const overheadSizeBytes = 200

// part appends the data of one part of a target, as a delta or, when that is smaller, in chunks.
func (w *writer) part(ctx context.Context, p *part, now io.ReaderAt) ([]payload.Op, error) {
	if int64(len(p.data))*worthComparing > p.plan.SizeBytes {
		start, err := w.data.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		ops, sizeBytes, err := w.chunks(ctx, io.NewSectionReader(now, p.offset, p.plan.SizeBytes))
		if err != nil {
			return nil, err
		}
		if sizeBytes < int64(len(p.data))+overheadSizeBytes {
			w.cost(costsOf(ops, p.offset))
			return ops, nil
		}
		if err := w.cut(start); err != nil {
			return nil, err
		}
	}
	w.cost(p.costs())
	_, err := w.data.Write(p.data)
	return []payload.Op{{
		Kind: payload.KindDelta, SizeBytes: p.plan.SizeBytes, SHA256: p.sha256,
		DataSizeBytes: int64(len(p.data)), DataSHA256: digest(p.data),
	}}, err
}

// costsOf are those of operations that begin at an offset of their target.
func costsOf(ops []payload.Op, offset int64) []cost {
	var parts []cost
	for _, op := range ops {
		parts = append(parts, cost{offset, op.SizeBytes, op.DataSizeBytes})
		offset += op.SizeBytes
	}
	return parts
}

// chunks appends a part as a full payload has it, and says what that takes.
func (w *writer) chunks(ctx context.Context, r io.Reader) (ops []payload.Op, sizeBytes int64, err error) {
	o := w.o
	o.Count = func(int64) {} // the part is counted already
	err = eachChunk(ctx, r, o, func(op payload.Op, data []byte) error {
		ops = append(ops, op)
		sizeBytes += op.DataSizeBytes + overheadSizeBytes
		_, err := w.data.Write(data)
		return err
	})
	return ops, sizeBytes, err
}
