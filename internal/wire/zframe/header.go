package zframe

import (
	"bytes"
	"encoding/binary"
	"io"
)

var magic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// Header is the start of a frame.
type Header struct {
	Bytes       []byte // as they are in the frame, the magic number left out
	WindowBytes uint64 // how far back a match may reach
	ContentSize uint64 // of the whole frame, if it says so
	SizeKnown   bool
	Checksum    bool // whether four bytes of checksum follow the last block
}

const (
	flagSingle   = 0x20
	flagReserved = 0x08
	flagChecksum = 0x04
)

// headerSize is how many bytes a header has that begins with the byte b, the magic number left out.
func headerSize(b byte) int {
	n := 1 + []int{0, 1, 2, 4}[b&3] + []int{0, 2, 4, 8}[b>>6]
	if b&flagSingle == 0 || b>>6 == 0 {
		n++ // the window, or the content size in one byte
	}
	return n
}

// parseHeader gives bytes their meaning.
func parseHeader(b []byte) (Header, error) {
	h := Header{Bytes: b, Checksum: b[0]&flagChecksum != 0}
	switch {
	case len(b) != headerSize(b[0]):
		return h, corrupt("frame header has %d bytes, want %d", len(b), headerSize(b[0]))
	case b[0]&flagReserved != 0:
		return h, corrupt("frame header has a reserved bit set")
	case b[0]&3 != 0:
		return h, corrupt("frame needs a dictionary")
	}
	single := b[0]&flagSingle != 0
	size := b[1:]
	if !single {
		h.WindowBytes = 1 << (10 + b[1]>>3)
		h.WindowBytes += h.WindowBytes >> 3 * uint64(b[1]&7)
		size = b[2:]
	}
	switch h.SizeKnown = true; len(size) {
	case 0:
		h.SizeKnown = false
	case 1:
		h.ContentSize = uint64(size[0])
	case 2:
		h.ContentSize = uint64(binary.LittleEndian.Uint16(size)) + 256
	case 4:
		h.ContentSize = uint64(binary.LittleEndian.Uint32(size))
	case 8:
		h.ContentSize = binary.LittleEndian.Uint64(size)
	}
	if single {
		h.WindowBytes = h.ContentSize
	}
	return h, nil
}

// readHeader reads the magic number and the header.
func readHeader(r io.Reader) (Header, error) {
	start := make([]byte, len(magic)+maxHeader)
	if err := fill(r, start[:len(magic)+1]); err != nil {
		return Header{}, err
	}
	if !bytes.Equal(start[:len(magic)], magic) {
		return Header{}, corrupt("frame does not begin with the magic number")
	}
	b := start[len(magic):][:headerSize(start[len(magic)])]
	if err := fill(r, b[1:]); err != nil {
		return Header{}, err
	}
	return parseHeader(b)
}

// fill reads all of b.
func fill(r io.Reader, b []byte) error {
	switch _, err := io.ReadFull(r, b); err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		return corrupt("frame ends early")
	default:
		return err
	}
}
