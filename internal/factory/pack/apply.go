package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
)

// Olds are the targets of the release that a delta is made from, by name.
type Olds map[string]payload.Old

// OpenOlds opens the files of old targets; close ends their use.
func OpenOlds(sources []Source) (olds Olds, close func(), err error) {
	var files []*os.File
	close = func() {
		for _, f := range files {
			f.Close()
		}
	}
	olds = Olds{}
	for _, s := range sources {
		f, err := os.Open(s.Path)
		if err != nil {
			close()
			return nil, nil, err
		}
		files = append(files, f)
		info, err := f.Stat()
		if err != nil {
			close()
			return nil, nil, err
		}
		olds[s.Target] = payload.Old{ReaderAt: f, SizeBytes: info.Size()}
	}
	return olds, close, nil
}

// application is one walk through a payload.
type application struct {
	ctx     context.Context
	data    io.Reader // the data area
	olds    Olds      // nil to check the data of deltas and not what they write
	decoder *payload.Decoder
	count   func(bytes int64) // what was written

	dataBuffer, plain []byte
}

// Apply decodes a whole payload as a machine does: what it writes goes to the writers that open gives for its targets. A
// delta reads olds at random. Apply returns the manifest and the SHA-256 of each target; it holds the data of one operation in
// memory at a time. Of what was written nothing counts when there is an error. It refuses data after the end.
func Apply(ctx context.Context, path string, olds Olds, open func(payload.Target) (io.Writer, error), count func(int64)) (*payload.Manifest, map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	m, err := ReadManifest(f)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	decoder, err := payload.NewDecoder()
	if err != nil {
		return nil, nil, err
	}
	a := &application{ctx: ctx, data: f, olds: olds, decoder: decoder, count: count}
	sums := map[string]string{}
	for _, t := range m.Targets {
		w, err := open(t)
		if err != nil {
			return nil, nil, err
		}
		if sums[t.Name], err = a.target(t, w); err != nil {
			return nil, nil, fmt.Errorf("apply %s: %w", path, err)
		}
	}
	if n, _ := f.Read(make([]byte, 1)); n != 0 {
		return nil, nil, fault.New(fault.Corrupt, "apply %s: bytes after the last operation's data", path)
	}
	return m, sums, nil
}

// Verify decodes the whole payload at path, and writes it nowhere. Without olds the data of a delta are compared with their
// digests, and the targets that it would make have no digest among those returned.
func Verify(ctx context.Context, path string, olds Olds, count func(bytes int64)) (*payload.Manifest, map[string]string, error) {
	return Apply(ctx, path, olds, func(payload.Target) (io.Writer, error) { return io.Discard, nil }, count)
}

// target writes one target and returns its SHA-256, or "" when a part of it was not made.
func (a *application) target(t payload.Target, w io.Writer) (string, error) {
	sum, whole := sha256.New(), true
	for _, op := range t.Ops {
		if err := a.ctx.Err(); err != nil {
			return "", err
		}
		data, err := a.dataOf(op)
		if err != nil {
			return "", err
		}
		made, err := a.operation(op, data, io.MultiWriter(w, sum))
		if err != nil {
			return "", err
		}
		whole = whole && made
	}
	if !whole {
		return "", nil
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// dataOf reads the data of the next operation.
func (a *application) dataOf(op payload.Op) ([]byte, error) {
	if int64(cap(a.dataBuffer)) < op.DataSizeBytes {
		a.dataBuffer = make([]byte, op.DataSizeBytes)
	}
	data := a.dataBuffer[:op.DataSizeBytes]
	if _, err := io.ReadFull(a.data, data); err != nil {
		return nil, fault.New(fault.Corrupt, "payload target %s ends in the data of the operation at offset %d: %w", op.Target, op.Offset, err)
	}
	return data, nil
}

// operation writes what one operation makes, and reports whether it could.
func (a *application) operation(op payload.Op, data []byte, w io.Writer) (bool, error) {
	if op.Kind == payload.KindDelta {
		return a.patch(op, data, w)
	}
	if a.plain == nil {
		a.plain = make([]byte, payload.MaxOpSizeBytes)
	}
	out, err := a.decoder.Decode(op, data, a.plain)
	if err != nil {
		return false, err
	}
	a.count(op.SizeBytes)
	_, err = w.Write(out)
	return true, err
}

func (a *application) patch(op payload.Op, data []byte, w io.Writer) (bool, error) {
	if a.olds == nil {
		if got := digest(data); got != op.DataSHA256 {
			return false, fault.New(fault.Corrupt, "payload target %s: operation at offset %d has data with digest %s, want %s", op.Target, op.Offset, got, op.DataSHA256)
		}
		a.count(op.SizeBytes)
		return false, nil
	}
	old, ok := a.olds[op.Target]
	if !ok {
		return false, fault.New(fault.NotFound, "payload target %s is a delta, and there is no old %s to apply it to", op.Target, op.Target)
	}
	a.dataBuffer = nil // a delta lets go of what it has read when it needs room
	return true, a.decoder.Patch(&counted{a.ctx, w, a.count}, op, data, old)
}

// counted tells how far the writing of a long operation is, and ends it when nobody waits for it any more.
type counted struct {
	ctx   context.Context
	w     io.Writer
	count func(int64)
}

func (c *counted) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(b)
	c.count(int64(n))
	return n, err
}
