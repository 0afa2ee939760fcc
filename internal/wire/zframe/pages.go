package zframe

import (
	"encoding/binary"
	"math/bits"
)

// PageSizeBytes is the size of the pages of a content.
const PageSizeBytes = 16 << 10

// overlap is how many bytes of the next page follow a page, so that eight bytes can be read at any place.
const overlap = 8

type page [PageSizeBytes + overlap]byte

// Pages is a content in pages. Those that are all zeros are one and the same, and take no memory.
type Pages struct {
	pages []*page
	size  int
}

var zeros page

// Add adds a page, or what is left at the end; nil is a page of zeros. The pages are copied.
func (p *Pages) Add(bytes []byte, sizeBytes int) {
	own := &zeros
	if bytes != nil {
		own = new(page)
		copy(own[:], bytes)
	}
	if n := len(p.pages); n > 0 && bytes != nil && binary.LittleEndian.Uint64(own[:]) != 0 {
		if p.pages[n-1] == &zeros {
			p.pages[n-1] = new(page)
		}
		copy(p.pages[n-1][PageSizeBytes:], own[:overlap])
	}
	p.pages = append(p.pages, own)
	p.size += sizeBytes
}

// SizeBytes is how long the content is.
func (p *Pages) SizeBytes() int { return p.size }

// close makes bytes readable up to a page after the end: they are zeros.
func (p *Pages) close() {
	if len(p.pages)*PageSizeBytes <= p.size {
		p.pages = append(p.pages, &zeros)
	}
}

// word is the eight bytes at a place.
func (p *Pages) word(at int) uint64 {
	in := at & (PageSizeBytes - 1)
	return binary.LittleEndian.Uint64(p.pages[uint(at)/PageSizeBytes][in : in+8])
}

func (p *Pages) byte(at int) byte { return p.pages[uint(at)/PageSizeBytes][uint(at)%PageSizeBytes] }

// append appends the bytes from start to end.
func (p *Pages) append(out []byte, start, end int) []byte {
	for start < end {
		rest := p.pages[start/PageSizeBytes][start%PageSizeBytes : PageSizeBytes]
		n := min(len(rest), end-start)
		out = append(out, rest[:n]...)
		start += n
	}
	return out
}

// common is how many bytes are the same from a and from b on, at most limit.
func (p *Pages) common(a, b, limit int) int {
	for n := 0; n < limit; n += 8 {
		if x := p.word(a+n) ^ p.word(b+n); x != 0 {
			return min(n+bits.TrailingZeros64(x)>>3, limit)
		}
	}
	return max(limit, 0)
}

// running reports whether a place is in a run of equal bytes.
func (p *Pages) running(place int) bool { return p.word(place) == p.word(place-1) }
