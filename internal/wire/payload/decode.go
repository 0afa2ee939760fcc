package payload

import (
	"github.com/klauspost/compress/zstd"
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
	if int64(len(data)) != op.DataSizeBytes {
		return nil, op.corrupt("has %d bytes of data, want %d", len(data), op.DataSizeBytes)
	}
	if int64(cap(dst)) < op.SizeBytes {
		dst = make([]byte, op.SizeBytes)
	}
	dst = dst[:op.SizeBytes:op.SizeBytes]
	if op.Kind == KindZero {
		clear(dst)
		return dst, nil
	}
	if got := digest(data); got != op.DataSHA256 {
		return nil, op.corrupt("has data with digest %s, want %s", got, op.DataSHA256)
	}
	if op.Kind == KindRaw {
		copy(dst, data)
		return dst, nil
	}
	return d.decompress(&op, data, dst)
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
