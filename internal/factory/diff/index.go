package diff

import (
	"context"
	"math/bits"

	"conifer.dev/conifer/internal/factory/diff/erofs"
)

// index finds where equal bytes are in a whole image. It knows one window of bytes at every step, so that it
// finds what is equal for a step and a window.
type index struct {
	step  int64
	table []uint64 // of windows by their hash: the upper half of the hash, and the number of the window from 1 on
	shift uint
}

const (
	windowBytes  = 32
	maxIndexBits = 25 // of the number of places in the table, of eight bytes each
	multiplier   = 0x9e3779b97f4a7c15
)

// outgoing is what the first byte of a window has added to its hash, for each value.
var outgoing = func() (t [256]uint64) {
	power := uint64(1)
	for range windowBytes {
		power *= multiplier
	}
	for i := range t {
		t[i] = power * uint64(i+1)
	}
	return
}()

// hashWindow is the hash of the first windowBytes of b; roll moves it on by a byte.
func hashWindow(b []byte) uint64 {
	h := uint64(0)
	for _, c := range b[:windowBytes] {
		h = h*multiplier + uint64(c) + 1
	}
	return h
}

func roll(h uint64, out, in byte) uint64 { return h*multiplier + uint64(in) + 1 - outgoing[out] }

// newIndex reads a whole image.
func newIndex(ctx context.Context, l *layout) (*index, error) {
	x := &index{step: windowBytes}
	for l.SizeBytes/x.step >= 3<<(maxIndexBits-2) {
		x.step *= 2
	}
	size := max(bits.Len64(uint64(l.SizeBytes/x.step)*4/3), 4)
	x.table, x.shift = make([]uint64, 1<<size), uint(64-size)
	for at := int64(0); at+windowBytes <= l.SizeBytes; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(l.SizeBytes-at, 1<<20)
		b, err := l.read(erofs.Extent{Offset: at, SizeBytes: n})
		if err != nil {
			return nil, err
		}
		for i := int64(0); i+windowBytes <= n; i += x.step {
			x.put(b[i:i+windowBytes], at+i)
		}
		at += n
	}
	return x, nil
}

// put remembers a window, the first of equal ones. One that repeats itself, such as zeros, is everywhere and tells nothing.
func (x *index) put(window []byte, at int64) {
	if commonStart(window, window[8:]) == windowBytes-8 {
		return
	}
	h := mix(hashWindow(window))
	for i := h >> x.shift; ; i = (i + 1) & uint64(len(x.table)-1) {
		switch e := x.table[i]; {
		case e == 0:
			x.table[i] = h>>32<<32 | uint64(at/x.step+1)
			return
		case e>>32 == h>>32:
			return
		}
	}
}

// mix spreads a hash over all bits.
func mix(h uint64) uint64 {
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// lookUp is where a window with the hash may be in the image, or none.
func (x *index) lookUp(hash uint64) int64 {
	h := mix(hash)
	for i := h >> x.shift; ; i = (i + 1) & uint64(len(x.table)-1) {
		switch e := x.table[i]; {
		case e == 0:
			return none
		case e>>32 == h>>32:
			return int64(uint32(e)-1) * x.step
		}
	}
}
