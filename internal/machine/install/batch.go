package install

import (
	"context"
	"sync"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/wire/payload"
)

// job is one operation with its data.
type job struct {
	op   payload.Op
	data []byte
}

// batch writes operations: this goroutine reads their data in order, the workers decompress, write and hash. It
// gives the number of operations from the first on that are written; with an error it may be fewer than all.
func (w *slotWriter) batch(ops []payload.Op) (int, error) {
	ctx, fail := context.WithCancelCause(w.stream.ctx)
	defer fail(nil)
	jobs := make(chan job)
	var workers sync.WaitGroup
	for _, decoder := range w.decoders {
		workers.Go(func() {
			if err := w.work(decoder, jobs); err != nil {
				fail(err)
			}
		})
	}
	fed, err := w.feed(ctx, jobs, ops)
	close(jobs)
	workers.Wait()
	if ctx.Err() != nil && w.stream.ctx.Err() == nil {
		return 0, context.Cause(ctx) // which operations the other workers finished is not known
	}
	return fed, err
}

// feed reads the data of the operations and hands them to the workers, until one of them fails.
func (w *slotWriter) feed(ctx context.Context, jobs chan<- job, ops []payload.Op) (int, error) {
	for i, op := range ops {
		var buf []byte
		select {
		case buf = <-w.buffers:
		case <-ctx.Done():
			return i, canceled(ctx)
		}
		buf = sized(buf, op.DataSizeBytes)
		w.stream.seek(w.plan.dataFrom() + op.DataOffset)
		if err := w.stream.read(buf); err != nil {
			w.buffers <- buf
			return i, err
		}
		select {
		case jobs <- job{op, buf}:
		case <-ctx.Done():
			w.buffers <- buf
			return i, canceled(ctx)
		}
	}
	return len(ops), nil
}

func canceled(ctx context.Context) error {
	return fault.New(fault.Canceled, "write slot: %w", context.Cause(ctx))
}

// work does jobs until there are none or one fails.
func (w *slotWriter) work(decoder *payload.Decoder, jobs <-chan job) error {
	var out []byte
	for j := range jobs {
		var err error
		out, err = w.do(decoder, j, out)
		w.buffers <- j.data
		if err != nil {
			return err
		}
	}
	return nil
}

// do writes one operation; it gives back the buffer it was lent.
func (w *slotWriter) do(decoder *payload.Decoder, j job, out []byte) ([]byte, error) {
	out, err := decoder.Decode(j.op, j.data, out)
	if err != nil {
		return out, err
	}
	if _, err := w.root.WriteAt(out, j.op.Offset); err != nil {
		return out, folder.Classify("write slot "+w.slot, err)
	}
	return out, w.hash(j.op, out)
}
