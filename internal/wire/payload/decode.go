package payload

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/delta"
)

// Decoder turns the data of operations into what they write. It holds no state between operations, but its
// buffers make it usable by one goroutine at a time.
type Decoder struct {
	zstd *zstd.Decoder
}

// NewDecoder makes a decoder that needs a few megabytes.
func NewDecoder() (*Decoder, error) {
	// A frame can ask for no more than an operation may write, and the output stops at the capacity of the
	// destination, so that a small frame cannot become endless zeros.
	z, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(2*MaxOpSizeBytes),
		zstd.WithDecoderMaxMemory(MaxOpSizeBytes),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	return &Decoder{zstd: z}, nil
}

// Decode returns the op.SizeBytes bytes that op writes, in dst when its capacity is enough. The data is
// compared with its digest before the decompressor sees it, and the result with its own afterwards. Errors are of
// kind Corrupt and name the target and the offset.
func (d *Decoder) Decode(op Op, data []byte, dst []byte) ([]byte, error) {
	if err := op.validate(); err != nil {
		return nil, err
	}
	if op.Kind == KindDelta {
		return nil, fault.New(fault.Internal, "payload target %s: operation at offset %d is delta, which is for Patch", op.Target, op.Offset)
	}
	if err := op.checkData(data); err != nil {
		return nil, err
	}
	if int64(cap(dst)) < op.SizeBytes {
		dst = make([]byte, op.SizeBytes)
	}
	dst = dst[:op.SizeBytes:op.SizeBytes]
	if op.Kind == KindZero {
		clear(dst)
		return dst, nil
	}
	if op.Kind == KindRaw {
		copy(dst, data)
		return dst, nil
	}
	return d.decompress(&op, data, dst)
}

// checkData compares the data of an operation with what the manifest says of them.
func (op *Op) checkData(data []byte) error {
	if int64(len(data)) != op.DataSizeBytes {
		return op.corrupt("has %d bytes of data, want %d", len(data), op.DataSizeBytes)
	}
	if op.Kind == KindZero {
		return nil
	}
	if got := digest(data); got != op.DataSHA256 {
		return op.corrupt("has data with digest %s, want %s", got, op.DataSHA256)
	}
	return nil
}

// Old is the target of the same name of the release that a delta is made from.
type Old struct {
	io.ReaderAt
	SizeBytes int64
}

// Patch writes to w the op.SizeBytes bytes that an operation of kind delta makes of the old target. The data is compared with its
// digest before anything is made of it; what is written streams, so that its own digest is known only at the end: when
// Patch gives an error, what w got is nothing. Errors of kind Corrupt name the target and the offset: the data, or the old target, are
// not what the delta was made with. Errors of old and w are given back as they are.
func (d *Decoder) Patch(w io.Writer, op Op, data []byte, old Old) error {
	if err := op.validate(); err != nil {
		return err
	}
	if op.Kind != KindDelta {
		return fault.New(fault.Internal, "payload target %s: operation at offset %d is %s, which is for Decode", op.Target, op.Offset, op.Kind)
	}
	if err := op.checkData(data); err != nil {
		return err
	}
	sum := sha256.New()
	if err := delta.Apply(io.MultiWriter(w, sum), old, old.SizeBytes, data, op.SizeBytes); err != nil {
		if fault.Is(err, fault.Corrupt) {
			return op.corrupt("does not apply: %w", err)
		}
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != op.SHA256 {
		return op.corrupt("writes bytes with digest %s, want %s: the old target or the delta is not what it should be", got, op.SHA256)
	}
	return nil
}

func (d *Decoder) decompress(op *Op, data, dst []byte) ([]byte, error) {
	out, err := d.zstd.DecodeAll(data, dst[:0])
	if err != nil {
		return nil, op.corrupt("does not decompress: %w", err)
	}
	if int64(len(out)) != op.SizeBytes {
		return nil, op.corrupt("decompresses to %d bytes, want %d", len(out), op.SizeBytes)
	}
	if got := digest(out); got != op.SHA256 {
		return nil, op.corrupt("writes bytes with digest %s, want %s", got, op.SHA256)
	}
	return out, nil
}
