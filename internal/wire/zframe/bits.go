package zframe

import "encoding/binary"

// padding is how many readable bytes follow the data of every block, so that eight bytes can be read at any place in them.
const padding = 8

// forward reads bits from the lowest of the first byte on; after the end come zeros.
type forward struct {
	data []byte
	at   int // in bits
}

func (f *forward) peek(n int) uint32 {
	var v uint64
	first := f.at >> 3
	for i := 0; i < 8 && first+i < len(f.data); i++ {
		v |= uint64(f.data[first+i]) << (8 * i)
	}
	return uint32(v>>(f.at&7)) & (1<<n - 1)
}

func (f *forward) take(n int) uint32 {
	v := f.peek(n)
	f.at += n
	return v
}

// backward reads bits from the end of its data, where the highest bit that is set marks the end; before the start come zeros.
type backward struct {
	data []byte // with padding
	left int    // in bits, below zero when more is read than there is
}

// newBackward fails for data without a mark. The data must have padding in their capacity.
func newBackward(data []byte) (backward, bool) {
	if len(data) == 0 || data[len(data)-1] == 0 {
		return backward{}, false
	}
	left := len(data)*8 - 1
	for m := data[len(data)-1]; m < 128; m <<= 1 {
		left--
	}
	return backward{data[:len(data)+padding], left}, true
}

// take reads at most 32 bits.
func (b *backward) take(n int) uint32 {
	b.left -= n
	return b.peek(n)
}

// peek is what take has just read.
func (b *backward) peek(n int) uint32 {
	if b.left < 0 {
		if b.left+n <= 0 {
			return 0
		}
		missing := -b.left
		return uint32(binary.LittleEndian.Uint64(b.data)&(1<<(n-missing)-1)) << missing
	}
	return uint32(binary.LittleEndian.Uint64(b.data[b.left>>3:])>>(b.left&7)) & uint32(1<<n-1)
}

// bitWriter is the other side of backward: what it writes last is read first.
type bitWriter struct {
	out []byte
	acc uint64
	n   int // bits in acc, below 8 between calls
}

// put writes the n lowest bits of v, at most 32.
func (w *bitWriter) put(v uint32, n int) {
	w.acc |= (uint64(v) & (1<<n - 1)) << w.n
	w.n += n
	for w.n >= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.n -= 8
	}
}

// finish writes the mark and returns all.
func (w *bitWriter) finish() []byte {
	w.put(1, 1)
	if w.n > 0 {
		w.out = append(w.out, byte(w.acc))
	}
	return w.out
}
