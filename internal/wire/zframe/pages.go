package zframe

import "encoding/binary"

// PageSizeBytes is the size of the pages of a content.
const PageSizeBytes = 16 << 10

// overlap is how many bytes of the next page follow a page, so that eight bytes can be read at any place.
const overlap = 8

// Pages is a content in pages. Those that are all zeros are one and the same, and take no memory.
type Pages struct {
	pages [][]byte
	size  int
}

var zeros = make([]byte, PageSizeBytes+overlap)

// Add adds a page, or what is left at the end; nil is a page of zeros. The pages are copied.
func (p *Pages) Add(page []byte, sizeBytes int) {
	own := zeros
	if page != nil {
		own = make([]byte, PageSizeBytes+overlap)
		copy(own, page)
	}
	if n := len(p.pages); n > 0 && page != nil && binary.LittleEndian.Uint64(own) != 0 {
		if &p.pages[n-1][0] == &zeros[0] {
			p.pages[n-1] = make([]byte, PageSizeBytes+overlap)
		}
		copy(p.pages[n-1][PageSizeBytes:], own[:overlap])
	}
	p.pages = append(p.pages, own)
	p.size += sizeBytes
}

// SizeBytes is how long the content is.
func (p *Pages) SizeBytes() int { return p.size }

// word is the eight bytes at a place, zeros after the end.
func (p *Pages) word(at int) uint64 {
	if at >= p.size {
		return 0
	}
	return binary.LittleEndian.Uint64(p.pages[at/PageSizeBytes][at%PageSizeBytes:])
}

func (p *Pages) byte(at int) byte { return p.pages[at/PageSizeBytes][at%PageSizeBytes] }

// append appends the bytes from start to end.
func (p *Pages) append(out []byte, start, end int) []byte {
	for start < end {
		page := p.pages[start/PageSizeBytes][start%PageSizeBytes : PageSizeBytes]
		n := min(len(page), end-start)
		out = append(out, page[:n]...)
		start += n
	}
	return out
}
