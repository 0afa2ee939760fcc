package delta

import (
	"io"
	"runtime"

	"github.com/klauspost/compress/s2"

	"conifer.dev/conifer/internal/fault"
)

// content is bytes that are held for reading at random, in less memory than they have: in pages that are compressed each for
// itself. Bytes are added at the end.
type content struct {
	pages [][]byte // compressed; nil is a page of zeros
	tail  []byte   // what does not fill a page yet
	limit int64
	cache []cached // by page, modulo how many
	spare []byte
}

const (
	pageSizeBytes = 16 << 10
	pagesGrowing  = 512 // pages held plain while a content grows, which reads it at random,
	pagesPassing  = 16  // and while it is read in order
)

type cached struct {
	page  int // plus 1, so that zero is none
	bytes []byte
}

func newContent(limitBytes int64) *content {
	return &content{limit: limitBytes, cache: make([]cached, pagesGrowing), tail: make([]byte, 0, pageSizeBytes), spare: make([]byte, 0, s2.MaxEncodedLen(pageSizeBytes))}
}

// SizeBytes is how many bytes were added.
func (c *content) SizeBytes() int64 { return int64(len(c.pages))*pageSizeBytes + int64(len(c.tail)) }

// Write adds bytes, at most to the limit.
func (c *content) Write(b []byte) (int, error) {
	if c.SizeBytes()+int64(len(b)) > c.limit {
		return 0, fault.New(fault.Corrupt, "delta holds content of more than %d bytes", c.limit)
	}
	for rest := b; len(rest) > 0; {
		n := min(pageSizeBytes-len(c.tail), len(rest))
		c.tail = append(c.tail, rest[:n]...)
		rest = rest[n:]
		if len(c.tail) == pageSizeBytes {
			c.close()
		}
	}
	return len(b), nil
}

// close compresses the page that has become full.
func (c *content) close() {
	var page []byte
	if !isZero(c.tail) {
		page = append(page, s2.EncodeBetter(c.spare[:cap(c.spare)], c.tail)...)
	}
	c.pages = append(c.pages, page)
	c.tail = c.tail[:0]
}

func isZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// page gives the bytes of a page from offset on, until its end; they are good until the next call.
func (c *content) page(offset int64) []byte {
	n, at := int(offset/pageSizeBytes), int(offset%pageSizeBytes)
	if n == len(c.pages) {
		return c.tail[at:]
	}
	slot := &c.cache[n%len(c.cache)]
	if slot.page != n+1 {
		slot.page = n + 1
		if slot.bytes == nil {
			slot.bytes = make([]byte, pageSizeBytes)
		}
		slot.bytes = slot.bytes[:pageSizeBytes]
		if c.pages[n] == nil {
			clear(slot.bytes)
		} else if _, err := s2.Decode(slot.bytes, c.pages[n]); err != nil {
			panic("delta: a page that was compressed here does not decompress") // memory is broken
		}
	}
	return slot.bytes[at:]
}

// movedPages is after how many pages that were moved their memory is looked for.
const movedPages = 4 << 20 / pageSizeBytes

// moveTo writes the content somewhere else, and forgets each page when that has it: there is no room for both.
func (c *content) moveTo(w io.Writer) error {
	c.cache = make([]cached, 1)
	for n := range c.pages {
		if n%movedPages == movedPages-1 {
			runtime.GC()
		}
		if _, err := w.Write(c.page(int64(n) * pageSizeBytes)); err != nil {
			return err
		}
		c.pages[n] = nil
	}
	_, err := w.Write(c.tail)
	return err
}

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(b []byte, offset int64) (int, error) {
	done := 0
	for done < len(b) {
		if offset < 0 || offset+int64(done) >= c.SizeBytes() {
			return done, io.EOF
		}
		done += copy(b[done:], c.page(offset+int64(done)))
	}
	return done, nil
}

// passing is an old content that is read as often as the pieces of a region say. What will not be read any more is forgotten, so that the
// new content can grow in its stead.
type passing struct {
	*content
	left []uint32 // by page: how many of its bytes will yet be read
}

func newPassing(c *content, pieces []Piece) *passing {
	p := &passing{c, make([]uint32, len(c.pages))}
	for _, piece := range pieces {
		if piece.From != New {
			p.count(piece.From, piece.SizeBytes, func(n int, bytes uint32) { p.left[n] += bytes })
		}
	}
	c.cache = make([]cached, pagesPassing)
	for n, left := range p.left {
		if left == 0 {
			p.pages[n] = nil
		}
	}
	return p
}

// count calls f for each whole page that bytes are in.
func (p *passing) count(at, sizeBytes int64, f func(page int, bytes uint32)) {
	for end := at + sizeBytes; at < end && at/pageSizeBytes < int64(len(p.left)); {
		next := min(end, (at/pageSizeBytes+1)*pageSizeBytes)
		f(int(at/pageSizeBytes), uint32(next-at))
		at = next
	}
}

// ReadAt implements io.ReaderAt. Nobody knew how long the content would be when the pieces were told, so its end is an error of theirs.
func (p *passing) ReadAt(b []byte, offset int64) (int, error) {
	n, err := p.content.ReadAt(b, offset)
	if err == io.EOF {
		return n, fault.New(fault.Corrupt, "delta reads byte %d of a content of %d", offset+int64(len(b)), p.SizeBytes())
	}
	p.count(offset, int64(n), func(page int, bytes uint32) {
		if p.left[page] -= bytes; p.left[page] == 0 {
			p.pages[page] = nil
		}
	})
	return n, err
}
