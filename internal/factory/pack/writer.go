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

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// writer makes one payload in a folder of its own, beside where it will be.
type writer struct {
	o     Options
	out   string
	aside string
	data  *os.File // the data area
	costs []costs  // by target
}

func newWriter(out string, o Options) (*writer, error) {
	aside, err := os.MkdirTemp(filepath.Dir(out), ".payload-*")
	if err != nil {
		return nil, err
	}
	data, err := os.Create(filepath.Join(aside, "data"))
	if err != nil {
		os.RemoveAll(aside)
		return nil, err
	}
	return &writer{o: o, out: out, aside: aside, data: data}, nil
}

// close takes away what is not the payload.
func (w *writer) close() {
	w.data.Close()
	os.RemoveAll(w.aside)
}

// compress appends the data of one source as a full payload has it, and returns its target.
func (w *writer) compress(ctx context.Context, s Source) (*payload.Target, error) {
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &payload.Target{Name: s.Target}
	err = eachChunk(ctx, f, w.o, func(op payload.Op, data []byte) error {
		t.Ops = append(t.Ops, op)
		t.SizeBytes += op.SizeBytes
		_, err := w.data.Write(data)
		return err
	})
	if err == nil && t.SizeBytes == 0 {
		err = fault.New(fault.Invalid, "%s is empty", s.Path)
	}
	w.costs = append(w.costs, costs{Source: s, parts: costsOf(t.Ops, 0)})
	return t, err
}

// cost notes what a part of the target at work took.
func (w *writer) cost(parts []cost) {
	last := &w.costs[len(w.costs)-1]
	last.parts = append(last.parts, parts...)
}

// cut forgets the data after start.
func (w *writer) cut(start int64) error {
	if err := w.data.Truncate(start); err != nil {
		return err
	}
	_, err := w.data.Seek(start, io.SeekStart)
	return err
}

// finish puts the payload together, proves that it makes the new sources, and gives it its name.
func (w *writer) finish(ctx context.Context, m *payload.Manifest, old, new []Source) (*release.Payload, error) {
	head, err := m.Encode()
	if err != nil {
		return nil, fmt.Errorf("make payload: %w", err)
	}
	unproven := filepath.Join(w.aside, filepath.Base(w.out))
	made, err := assemble(unproven, head, w.data)
	if err != nil {
		return nil, err
	}
	if err := prove(ctx, unproven, old, new, w.o.Count); err != nil {
		return nil, fmt.Errorf("prove payload: %w", err)
	}
	if err := os.Rename(unproven, w.out); err != nil {
		return nil, err
	}
	if w.o.Report {
		if err := writeReport(w.out, made, w.o, m.From, w.costs); err != nil {
			return nil, err
		}
	}
	return made, SyncFolder(filepath.Dir(w.out))
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

// prove applies the payload to the old sources and compares every byte with the new ones.
func prove(ctx context.Context, path string, old, new []Source, count func(int64)) error {
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
		return &comparer{target: t.Name, want: f}, err
	}, count)
	return err
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
			return 0, fault.New(fault.Internal, "target %s differs from what it should be at byte %d", c.target, c.offset+int64(i))
		}
	}
	c.offset += int64(len(b))
	return len(b), nil
}
