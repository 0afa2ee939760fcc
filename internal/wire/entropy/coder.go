// Package entropy is an adaptive binary range coder and the models in front of it: what turns the residue of a delta into few
// bytes. Start with [Coder], which writes or reads one bit of a given probability; [Prob] learns such a probability,
// [Mixer] joins several, and [Number] is a whole number in adaptive bits.
//
// Writer and reader run the same code: a model calls [Coder.Bit] with the bit in hand when it writes and with anything when it
// reads, and goes on with what is returned. So the two cannot drift apart. All arithmetic is on integers, the same on
// every machine. A reader never fails: after the end of its data it reads zeros, and [Coder.Err] tells. Who uses it bounds what it
// makes of the bits. The format is specified in docs/protocol/delta.md.
package entropy

import (
	"bytes"

	"conifer.dev/conifer/internal/fault"
)

// Coder is one stream of bits, being written or being read.
type Coder struct {
	low, high uint32 // the interval that the bits so far have left, both ends in it
	code      uint32 // of a reader: the next four bytes
	reading   bool
	data      []byte // what is written, or what is not yet read
	beyond    int    // bytes read after the end
}

// tail is how many bytes a reader holds that a writer may not have written.
const tail = 4

// NewWriter makes a coder that writes.
func NewWriter() *Coder { return &Coder{high: ^uint32(0)} }

// NewReader makes a coder that reads data.
func NewReader(data []byte) *Coder {
	c := &Coder{high: ^uint32(0), reading: true, data: data}
	for range tail {
		c.code = c.code<<8 | uint32(c.next())
	}
	return c
}

// Reading reports whether the coder reads.
func (c *Coder) Reading() bool { return c.reading }

func (c *Coder) next() byte {
	if len(c.data) == 0 {
		c.beyond++
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

// Bit writes or reads a bit whose probability to be 1 is p / 65536. A writer is given the bit; either returns it.
func (c *Coder) Bit(p uint16, bit int) int {
	middle := c.low + uint32(uint64(c.high-c.low)*uint64(max(p, 1))>>16)
	if c.reading {
		bit = 0
		if c.code <= middle {
			bit = 1
		}
	}
	if bit != 0 {
		c.high = middle
	} else {
		c.low = middle + 1
	}
	for (c.low^c.high)>>24 == 0 {
		if c.reading {
			c.code = c.code<<8 | uint32(c.next())
		} else {
			c.data = append(c.data, byte(c.high>>24))
		}
		c.low, c.high = c.low<<8, c.high<<8|255
	}
	return bit
}

// Bits writes or reads the n lowest bits of v, at most 32, each as likely 0 as 1.
func (c *Coder) Bits(n int, v uint32) uint32 {
	got := uint32(0)
	for i := n - 1; i >= 0; i-- {
		got = got<<1 | uint32(c.Bit(1<<15, int(v>>i&1)))
	}
	return got
}

// Finish ends what is written and returns it.
func (c *Coder) Finish() []byte {
	// One byte between the two ends is enough: a reader goes on with zeros, and low < high + zeros after it.
	for i := 24; i >= 0; i -= 8 {
		cut := c.high >> i << i
		if cut >= c.low {
			for j := 24; j >= i; j -= 8 {
				c.data = append(c.data, byte(cut>>j))
			}
			break
		}
	}
	return c.data
}

// Shed makes a reader hold no more than what it has not read yet, so that the memory of the rest can be used again.
func (c *Coder) Shed() {
	if c.reading {
		c.data = bytes.Clone(c.data)
	}
}

// SizeBytes is how much is written so far.
func (c *Coder) SizeBytes() int { return len(c.data) }

// Err is of kind Corrupt when a reader has gone beyond its data, or has left some of it.
func (c *Coder) Err() error {
	switch {
	case c.beyond > tail:
		return fault.New(fault.Corrupt, "entropy-coded data ends %d bytes early", c.beyond-tail)
	case c.reading && len(c.data) > 0:
		return fault.New(fault.Corrupt, "entropy-coded data has %d bytes too many", len(c.data))
	}
	return nil
}

// Overrun reports whether a reader has gone beyond its data: what it reads from there on is nothing anybody wrote.
func (c *Coder) Overrun() bool { return c.beyond > tail }
