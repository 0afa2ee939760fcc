package gzframe

import (
	"encoding/binary"
	"io"
)

// bitWriter puts bits into bytes, the lowest first (RFC 1951, 3.1.1). After an error it takes bits and drops them.
type bitWriter struct {
	w      io.Writer
	buffer []byte
	bits   uint64 // that do not yet fill a byte of the buffer
	n      int    // how many, below 32
	err    error
}

// chunkSizeBytes is how much is written at a time.
const chunkSizeBytes = 16 << 10

// add writes the n lowest bits of v, at most 32; the others are zero.
func (w *bitWriter) add(v uint64, n int) {
	w.bits |= v << w.n
	w.n += n
	if w.n >= 32 {
		w.buffer = binary.LittleEndian.AppendUint32(w.buffer, uint32(w.bits))
		w.bits >>= 32
		w.n -= 32
		if len(w.buffer) >= chunkSizeBytes {
			w.send()
		}
	}
}

// align fills the byte under way with zeros.
func (w *bitWriter) align() {
	for ; w.n > 0; w.n -= 8 {
		w.buffer = append(w.buffer, byte(w.bits))
		w.bits >>= 8
	}
	w.n = 0
}

// bytes writes whole bytes, where a byte begins.
func (w *bitWriter) bytes(p []byte) {
	w.align()
	w.buffer = append(w.buffer, p...)
	w.send()
}

func (w *bitWriter) send() {
	if w.err == nil {
		_, w.err = w.w.Write(w.buffer)
	}
	w.buffer = w.buffer[:0]
}

// flush writes all and tells the error there was.
func (w *bitWriter) flush() error {
	w.align()
	w.send()
	return w.err
}
