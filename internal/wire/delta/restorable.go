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
	c, distances := newContent(MaxContentBytes), zframe.Initial
	for {
		block, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || w.Write(block) != nil || c.block(block, &distances) != nil {
			return 0, nil, false
		}
	}
	if r.Header.Checksum && w.WriteChecksum(r.Checksum) != nil {
		return 0, nil, false
	}
	return int64(again.n), c.bytes(), again.n == len(b)-in.Len() && c.sizeBytes() <= ContentLimit(int64(again.n))
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
