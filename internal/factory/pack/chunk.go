package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/wire/payload"
)

// chunk is one piece of a target on its way through a worker.
type chunk struct {
	plain []byte
	op    payload.Op
	data  []byte
	done  chan struct{} // closed when op and data are set
}

// eachChunk cuts r into chunks, encodes them on o.Workers goroutines and emits them in the order of r. It
// returns after its goroutines have ended.
func eachChunk(ctx context.Context, r io.Reader, o Options, emit func(payload.Op, []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	work := make(chan *chunk)
	order := make(chan *chunk, o.Workers) // bounds how many chunks are in memory
	workers := make(chan error, o.Workers)
	for range o.Workers {
		go func() { workers <- encodeAll(work, o.Level) }()
	}
	read := make(chan error, 1)
	go func() {
		read <- readChunks(ctx, r, work, order)
		close(work)
		close(order)
	}()
	err := emitAll(ctx, order, o, emit)
	cancel()
	for range order { // lets the reader end when emitting stopped early
	}
	readErr := <-read
	for range o.Workers {
		err = errors.Join(err, <-workers)
	}
	if err != nil {
		return err
	}
	return readErr
}

// readChunks hands every chunk to a worker and to the queue that keeps the order. A chunk enters the queue
// only after a worker has it, so that whoever waits for a chunk of the queue waits for a running worker.
func readChunks(ctx context.Context, r io.Reader, work, order chan<- *chunk) error {
	for {
		c := &chunk{plain: make([]byte, ChunkSizeBytes), done: make(chan struct{})}
		n, err := io.ReadFull(r, c.plain)
		if n == 0 && err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		c.plain = c.plain[:n]
		select {
		case work <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
		order <- c
	}
}

func emitAll(ctx context.Context, order <-chan *chunk, o Options, emit func(payload.Op, []byte) error) error {
	for c := range order {
		<-c.done
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := emit(c.op, c.data); err != nil {
			return err
		}
		o.Count(c.op.SizeBytes)
	}
	return nil
}

// encodeAll is one worker. Its compressor is its own, and what comes out depends on the chunk alone.
func encodeAll(work <-chan *chunk, level zstd.EncoderLevel) error {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(ChunkSizeBytes),
		zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(false)) // the manifest has a better digest
	for c := range work {
		if err == nil {
			c.op, c.data = encode(enc, c.plain)
		}
		close(c.done)
	}
	return err
}

var zeros [ChunkSizeBytes]byte

// encode chooses the kind of operation that needs the least data.
func encode(enc *zstd.Encoder, plain []byte) (payload.Op, []byte) {
	op := payload.Op{Kind: payload.KindZero, SizeBytes: int64(len(plain))}
	if bytes.Equal(plain, zeros[:len(plain)]) {
		return op, nil
	}
	data := enc.EncodeAll(plain, make([]byte, 0, len(plain)))
	op.Kind = payload.KindZstd
	if len(data) >= len(plain) {
		op.Kind, data = payload.KindRaw, plain
	}
	op.SHA256, op.DataSHA256, op.DataSizeBytes = digest(plain), digest(data), int64(len(data))
	return op, data
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
