package pack

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
func MakeDelta(ctx context.Context, old, new []Source, out string, o DeltaOptions) (_ *release.Delta, err error) {
	o.Options = o.Options.withDefaults()
	if o.find == nil {
		o.find = diff.Find
	}
	aside, err := os.MkdirTemp(filepath.Dir(out), ".delta-*")
	if err != nil {
		return nil, fmt.Errorf("make delta: %w", err)
	}
	defer os.RemoveAll(aside)
	w, err := newDeltaWriter(aside, o)
	if err != nil {
		return nil, err
	}
	defer w.close()
	m := &payload.Manifest{
		Format: payload.Format, App: o.App, Arch: o.Arch, Version: o.Version,
		From: o.From, Features: []string{payload.FeatureDelta},
	}
	for _, s := range new {
		target, err := w.target(ctx, s, pathOf(old, s.Target))
		if err != nil {
			return nil, fmt.Errorf("make delta of %s: %w", s.Target, err)
		}
		m.Targets = append(m.Targets, *target)
	}
	head, err := m.Encode()
	if err != nil {
		return nil, fmt.Errorf("make delta: %w", err)
	}
	unproven := filepath.Join(aside, filepath.Base(out))
	made, err := assemble(unproven, head, w.data)
	if err != nil {
		return nil, err
	}
	if err := proveDelta(ctx, unproven, old, new, o.Count); err != nil {
		return nil, err
	}
	if err := os.Rename(unproven, out); err != nil {
		return nil, err
	}
	if o.Report {
		if err := writeReport(out, made, o.Options, o.From, w.costs); err != nil {
			return nil, err
		}
	}
	return &release.Delta{From: o.From, Features: m.Features, Payload: *made}, SyncFolder(filepath.Dir(out))
}

func pathOf(sources []Source, target string) string {
	for _, s := range sources {
		if s.Target == target {
			return s.Path
		}
	}
	return ""
}

// deltaWriter collects the data of a delta payload.
type deltaWriter struct {
	o     DeltaOptions
	data  *os.File
	costs []costs // by target
}

func newDeltaWriter(dir string, o DeltaOptions) (*deltaWriter, error) {
	data, err := os.Create(filepath.Join(dir, "data"))
	return &deltaWriter{o: o, data: data}, err
}

func (w *deltaWriter) close() { w.data.Close() }

// target appends the data of one target.
func (w *deltaWriter) target(ctx context.Context, s Source, oldPath string) (*payload.Target, error) {
	if oldPath == "" {
		t, err := compress(ctx, s, w.data, w.o.Options)
		if err == nil {
			w.costs = append(w.costs, costs{Source: s, parts: costsOf(t.Ops, 0)})
		}
		return t, err
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
	found, err := w.o.find(ctx, old.image(), now.image(), diff.Options{Workers: w.o.Workers, Progress: w.o.Count})
	if err != nil {
		return nil, err
	}
	if err := checkPlans(found, old.Size(), now.Size()); err != nil {
		return nil, err
	}
	parts, err := encodeAllParts(ctx, found, old, now, w.o.Options)
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
func (w *deltaWriter) part(ctx context.Context, p *part, now io.ReaderAt) ([]payload.Op, error) {
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

// cost notes what a part of the target at work took.
func (w *deltaWriter) cost(parts []cost) {
	last := &w.costs[len(w.costs)-1]
	last.parts = append(last.parts, parts...)
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

// cut forgets the data after start.
func (w *deltaWriter) cut(start int64) error {
	if err := w.data.Truncate(start); err != nil {
		return err
	}
	_, err := w.data.Seek(start, io.SeekStart)
	return err
}

// chunks appends a part as a full payload has it, and says what that takes.
func (w *deltaWriter) chunks(ctx context.Context, r io.Reader) (ops []payload.Op, sizeBytes int64, err error) {
	o := w.o.Options
	o.Count = func(int64) {} // the part is counted already
	err = eachChunk(ctx, r, o, func(op payload.Op, data []byte) error {
		ops = append(ops, op)
		sizeBytes += op.DataSizeBytes + overheadSizeBytes
		_, err := w.data.Write(data)
		return err
	})
	return ops, sizeBytes, err
}

// proveDelta applies the delta to the old sources and compares every byte with the new ones.
func proveDelta(ctx context.Context, path string, old, new []Source, count func(int64)) error {
	olds, closeOlds, err := OpenOlds(old)
	if err != nil {
		return err
	}
	defer closeOlds()
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	_, _, err = Apply(ctx, path, olds, func(t payload.Target) (io.Writer, error) {
		f, err := os.Open(pathOf(new, t.Name))
		files = append(files, f)
		return &comparer{t.Name, f, 0, nil}, err
	}, count)
	if err != nil {
		return fmt.Errorf("prove delta: %w", err)
	}
	return nil
}

// comparer takes what should be the content of a file.
type comparer struct {
	target string
	want   io.Reader
	offset int64
	buffer []byte
}

func (c *comparer) Write(b []byte) (int, error) {
	if len(c.buffer) < len(b) {
		c.buffer = make([]byte, len(b))
	}
	want := c.buffer[:len(b)]
	if _, err := io.ReadFull(c.want, want); err != nil {
		return 0, fmt.Errorf("read what %s should be: %w", c.target, err)
	}
	for i := range b {
		if b[i] != want[i] {
			return 0, fault.New(fault.Internal, "target %s differs from the new one at byte %d", c.target, c.offset+int64(i))
		}
	}
	c.offset += int64(len(b))
	return len(b), nil
}
