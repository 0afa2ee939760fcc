package zframe

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// PageSizeBytes is the size of the pages of a content.
const PageSizeBytes = 4 << 10

type page [PageSizeBytes]byte

// Pages is a content that is held plain, in pages. Bytes are added at the end. A page of zeros, or one that is as the page before it,
// takes no memory of its own: programs have long stretches of nothing.
type Pages struct {
	pages []*page // the last one may be filled in part
	size  int
	limit int
	spare *page
}

var zeros page

// NewPages holds at most so many bytes.
func NewPages(limitBytes int64) *Pages { return &Pages{limit: int(limitBytes)} }

// Write implements io.Writer. It takes all or, beyond the limit, nothing.
func (p *Pages) Write(b []byte) (int, error) {
	if len(b) > p.limit-p.size {
		return 0, corrupt("content has more than %d bytes", p.limit)
	}
	for rest := b; len(rest) > 0; {
		in := p.size % PageSizeBytes
		if in == 0 {
			p.pages = append(p.pages, p.fresh())
		}
		n := copy(p.pages[len(p.pages)-1][in:], rest)
		rest = rest[n:]
		if p.size += n; p.size%PageSizeBytes == 0 {
			p.full()
		}
	}
	return len(b), nil
}

// fresh is a page to write, with whatever in it.
func (p *Pages) fresh() *page {
	if own := p.spare; own != nil {
		p.spare = nil
		return own
	}
	return new(page)
}

// full looks at a page that has become full.
func (p *Pages) full() {
	last := len(p.pages) - 1
	same := &zeros
	if last > 0 && *p.pages[last] != zeros {
		same = p.pages[last-1]
	}
	if *p.pages[last] == *same {
		p.spare, p.pages[last] = p.pages[last], same
	}
}

// ReadAt implements io.ReaderAt.
func (p *Pages) ReadAt(b []byte, offset int64) (int, error) {
	if offset < 0 || offset > int64(p.size) {
		return 0, io.EOF
	}
	at := int(offset)
	end := min(at+len(b), p.size)
	n := len(p.append(b[:0], at, end))
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// SizeBytes is how long the content is.
func (p *Pages) SizeBytes() int64 { return int64(p.size) }

// close ends the adding of bytes, and makes some readable after the end: they are zeros.
func (p *Pages) close() {
	if in := p.size % PageSizeBytes; in > 0 {
		clear(p.pages[len(p.pages)-1][in:])
	}
	for len(p.pages) < p.size/PageSizeBytes+2 {
		p.pages = append(p.pages, &zeros)
	}
}

// word is the eight bytes at a place.
func (p *Pages) word(at int) uint64 {
	in := at & (PageSizeBytes - 1)
	if in <= PageSizeBytes-8 {
		return binary.LittleEndian.Uint64(p.pages[uint(at)/PageSizeBytes][in : in+8])
	}
	var b [8]byte
	n := copy(b[:], p.pages[uint(at)/PageSizeBytes][in:])
	copy(b[n:], p.pages[uint(at)/PageSizeBytes+1][:])
	return binary.LittleEndian.Uint64(b[:])
}

func (p *Pages) byte(at int) byte { return p.pages[uint(at)/PageSizeBytes][uint(at)%PageSizeBytes] }

// append appends the bytes from start to end.
func (p *Pages) append(out []byte, start, end int) []byte {
	for start < end {
		rest := p.pages[start/PageSizeBytes][start%PageSizeBytes:]
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
