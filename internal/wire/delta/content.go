package delta

import (
	"io"

	"github.com/klauspost/compress/s2"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/zframe"
)

// content is bytes that are held for reading at random, in less memory than they have: in pages that are compressed each for
// itself. Bytes are added at the end.
type content struct {
	pages [][]byte // compressed; nil is a page of zeros
	tail  []byte   // what does not fill a page yet
	limit int64
	cache [cachedPages]cached
	spare []byte

	copying [4096]byte
}

const (
	pageSizeBytes = zframe.PageSizeBytes
	cachedPages   = 64
)

type cached struct {
	page  int // plus 1, so that zero is none
	bytes []byte
}

func newContent(limitBytes int64) *content {
	return &content{limit: limitBytes, tail: make([]byte, 0, pageSizeBytes), spare: make([]byte, 0, s2.MaxEncodedLen(pageSizeBytes))}
}

func (c *content) sizeBytes() int64 { return int64(len(c.pages))*pageSizeBytes + int64(len(c.tail)) }

// Write adds bytes, at most to the limit.
func (c *content) Write(b []byte) (int, error) {
	if c.sizeBytes()+int64(len(b)) > c.limit {
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
	slot := &c.cache[n%cachedPages]
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

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(b []byte, offset int64) (int, error) {
	done := 0
	for done < len(b) {
		if offset < 0 || offset+int64(done) >= c.sizeBytes() {
			return done, io.EOF
		}
		done += copy(b[done:], c.page(offset+int64(done)))
	}
	return done, nil
}

// expand gives all bytes as they are and forgets them, page by page.
func (c *content) expand() *zframe.Pages {
	all, page := &zframe.Pages{}, make([]byte, pageSizeBytes)
	for n := range c.pages {
		if c.pages[n] == nil {
			all.Add(nil, pageSizeBytes)
			continue
		}
		if _, err := s2.Decode(page, c.pages[n]); err != nil {
			panic("delta: a page that was compressed here does not decompress") // memory is broken
		}
		c.pages[n] = nil
		all.Add(page, pageSizeBytes)
	}
	if len(c.tail) > 0 {
		all.Add(c.tail, len(c.tail))
	}
	*c = content{}
	return all
}

// bytes gives all bytes in one piece.
func (c *content) bytes() []byte {
	b := make([]byte, c.sizeBytes())
	if _, err := c.ReadAt(b, 0); err != nil && err != io.EOF {
		panic("delta: a content does not have the bytes it has")
	}
	return b
}
