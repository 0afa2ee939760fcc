package install

import (
	"context"
	"errors"
	"io"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
)

// Source gives the bytes of a payload from an offset to its end. An error of kind Unavailable, or of no kind, is
// worth another attempt.
type Source interface {
	Open(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// stream reads a payload at one place after the other, and opens the source again where it was cut.
type stream struct {
	ctx       context.Context
	src       Source
	retry     func(ctx context.Context, attempt int) error
	sizeBytes int64 // of the whole payload

	offset  int64
	body    io.ReadCloser
	cancel  context.CancelFunc // of the body
	fresh   bool               // nothing was read since the source was opened
	attempt int
	eager   bool // what comes next will be wanted, and is read ahead
}

// seek makes the next read start at offset. Going on where the last read ended costs no new request.
func (s *stream) seek(offset int64) {
	if offset != s.offset {
		s.close()
		s.offset = offset
	}
}

func (s *stream) close() {
	if s.body != nil {
		s.body.Close()
		s.cancel()
		s.body = nil
	}
}

// read fills buf, whatever happens to the connection on the way.
func (s *stream) read(buf []byte) error {
	for len(buf) > 0 {
		n, err := s.readSome(buf)
		buf = buf[n:]
		if err != nil && len(buf) > 0 {
			if err := s.recover(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// readSome reads once, opening the source if need be. After an error the source is closed.
func (s *stream) readSome(buf []byte) (int, error) {
	if err := s.open(); err != nil {
		return 0, err
	}
	n, err := s.body.Read(buf)
	if n > 0 {
		s.offset += int64(n)
		s.fresh, s.attempt = false, 0
	}
	if err != nil {
		s.close()
	}
	return n, err
}

// open opens the source if need be.
func (s *stream) open() error {
	if s.body == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		body, err := s.src.Open(ctx, s.offset)
		if err != nil {
			cancel()
			return err
		}
		s.body, s.cancel, s.fresh = body, cancel, true
	}
	if _, is := s.body.(*ahead); s.eager && !is {
		s.body = readAhead(s.body, s.cancel)
	}
	return nil
}

// recover decides whether a failed read is worth another attempt, and waits for it.
func (s *stream) recover(cause error) error {
	if s.ctx.Err() != nil {
		return fault.New(fault.Canceled, "read payload at byte %d: %w", s.offset, context.Cause(s.ctx))
	}
	if cause == io.EOF && s.fresh {
		return fault.New(fault.Corrupt, "payload ends at byte %d, want %d", s.offset, s.sizeBytes)
	}
	if kind := fault.KindOf(cause); kind != fault.Internal && kind != fault.Unavailable && kind != fault.Busy {
		return fault.New(kind, "read payload at byte %d: %w", s.offset, cause)
	}
	if cause == io.EOF {
		cause = io.ErrUnexpectedEOF
	}
	s.attempt++
	if s.retry == nil {
		return s.unavailable(cause)
	}
	if err := s.retry(s.ctx, s.attempt); err != nil {
		return s.unavailable(errors.Join(cause, err))
	}
	return nil
}

func (s *stream) unavailable(cause error) error {
	return fault.New(fault.Unavailable, "read payload at byte %d: %w", s.offset, cause).
		WithHint("The next attempt goes on from here.")
}

// finish is called after the last byte of a target was read. At the end of the payload nothing may follow.
func (s *stream) finish() error {
	if s.offset != s.sizeBytes || s.body == nil {
		return nil
	}
	var more [1]byte
	if n, _ := io.ReadFull(s.body, more[:]); n > 0 {
		return fault.New(fault.Corrupt, "payload goes on after byte %d, where it should end", s.sizeBytes)
	}
	s.close()
	return nil
}

// targetWriter writes what the operations of a target write, as a stream.
type targetWriter struct {
	stream   *stream
	decoder  *payload.Decoder
	ops      []payload.Op
	dataFrom int64
	meter    *meter
	old      payload.Old // for a delta

	data, out []byte
}

func (t *targetWriter) writeTo(w io.Writer) error {
	for _, op := range t.ops {
		t.data = sized(t.data, op.DataSizeBytes)
		t.stream.seek(t.dataFrom + op.DataOffset)
		if err := t.stream.read(t.data); err != nil {
			return err
		}
		if err := t.write(w, op); err != nil {
			return err
		}
		t.meter.add(op.SizeBytes)
	}
	return t.stream.finish()
}

// write writes what one operation makes of its data.
func (t *targetWriter) write(w io.Writer, op payload.Op) error {
	if op.Kind == payload.KindDelta {
		return t.decoder.Patch(w, op, t.data, t.old)
	}
	var err error
	if t.out, err = t.decoder.Decode(op, t.data, t.out); err != nil {
		return err
	}
	_, err = w.Write(t.out)
	return err
}

// sized gives a buffer of n bytes, b when it is large enough.
func sized(b []byte, n int64) []byte {
	if int64(cap(b)) < n {
		return make([]byte, n)
	}
	return b[:n]
}
