package zframe

import (
	"encoding/binary"
	"io"
)

// Writer puts a frame together, block by block.
type Writer struct {
	out     io.Writer
	data    []byte
	streams []byte
	tree    *tree
	tables  tables
}

// NewWriter writes the header.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	_, err := out.Write(append(append([]byte{}, magic...), h.Bytes...))
	return &Writer{out: out}, err
}

// Write writes a block.
func (w *Writer) Write(b *Block) error {
	data := append(w.data[:0], 0, 0, 0)
	var err error
	switch b.Kind {
	case Compressed:
		if data, err = w.appendLiterals(data, b); err == nil {
			data, err = w.appendSequences(data, b)
		}
		if err != nil {
			return err
		}
	default:
		data = append(data, b.Literals...)
	}
	w.data = data
	size := len(data) - 3
	if b.Kind == RLE {
		size = b.Size
	}
	if size > maxBlock {
		return corrupt("block has %d bytes, at most %d are allowed", size, maxBlock)
	}
	head := size<<3 | int(b.Kind)<<1
	if b.Last {
		head |= 1
	}
	data[0], data[1], data[2] = byte(head), byte(head>>8), byte(head>>16)
	_, err = w.out.Write(data)
	return err
}

// WriteChecksum writes what follows the last block of a frame whose header says so.
func (w *Writer) WriteChecksum(sum uint32) error {
	_, err := w.out.Write(binary.LittleEndian.AppendUint32(nil, sum))
	return err
}
