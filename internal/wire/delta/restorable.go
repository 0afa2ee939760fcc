package delta

import (
	"bytes"
	"io"

	"conifer.dev/conifer/internal/wire/zframe"
)

// Restorable takes the Zstandard frame at the beginning of b apart, and reports whether it comes out again bit for bit when it
// is put together. It gives the frame's size and content.
func Restorable(b []byte) (sizeBytes int64, plain []byte, ok bool) {
	in := bytes.NewReader(b)
	r, err := zframe.NewReader(in, MaxContentBytes)
	if err != nil {
		return 0, nil, false
	}
	again := &comparing{want: b}
	w, err := zframe.NewWriter(again, r.Header)
	if err != nil {
		return 0, nil, false
	}
	pages := zframe.NewPages(MaxContentBytes)
	c := &unpacker{store: pages, distances: zframe.Initial}
	for {
		block, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || w.Write(block) != nil || c.block(block) != nil {
			return 0, nil, false
		}
	}
	if r.Header.Checksum && w.WriteChecksum(r.Checksum) != nil {
		return 0, nil, false
	}
	plain = make([]byte, pages.SizeBytes())
	if _, err := pages.ReadAt(plain, 0); err != nil {
		return 0, nil, false
	}
	return int64(again.n), plain, again.n == len(b)-in.Len() && pages.SizeBytes() <= ContentLimit(int64(again.n))
}

// comparing accepts what is written as long as it is as wanted.
type comparing struct {
	want []byte
	n    int
}

// Write implements io.Writer.
func (c *comparing) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(c.want[c.n:], b) {
		return 0, io.ErrShortWrite
	}
	c.n += len(b)
	return len(b), nil
}
