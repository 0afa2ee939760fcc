package zframe

import "io"

// Reader takes a frame apart, block by block. It needs no content and checks none: distances may be wrong.
type Reader struct {
	Header   Header
	Checksum uint32 // after the last block, if the header says so
	in       io.Reader
	limit    int64 // bytes of content left
	block    Block
	data     []byte // the block as it is in the frame, with padding
	literals []byte
	tree     *tree
	tables   tables
	done     bool
	offset   int64 // in the frame
	// sequencesOnly leaves the literals out of the blocks.
	sequencesOnly bool
}

// NewReader reads a frame's header. A frame with more content than the limit is refused.
func NewReader(in io.Reader, limitBytes int64) (*Reader, error) {
	h, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	if h.ContentSize > uint64(limitBytes) {
		return nil, corrupt("frame says that it has %d bytes of content, at most %d are allowed", h.ContentSize, limitBytes)
	}
	return &Reader{Header: h, in: in, limit: limitBytes, data: make([]byte, maxBlock+padding), offset: int64(len(magic) + len(h.Bytes))}, nil
}

// Next is the next block, and io.EOF after the last. It is good until Next is called again.
func (r *Reader) Next() (*Block, error) {
	if r.done {
		return nil, io.EOF
	}
	var head [3]byte
	if err := fill(r.in, head[:]); err != nil {
		return nil, err
	}
	b := &r.block
	*b = Block{Kind: Kind(head[0] >> 1 & 3), Last: head[0]&1 != 0, Sequences: b.Sequences[:0]}
	size := int(head[0])>>3 | int(head[1])<<5 | int(head[2])<<13
	if size > maxBlock {
		return nil, corrupt("block has %d bytes, at most %d are allowed", size, maxBlock)
	}
	if err := r.readBlock(b, size); err != nil {
		return nil, err
	}
	if b.Size > maxBlock || int64(b.Size) > r.limit {
		return nil, corrupt("frame has too much content")
	}
	r.limit -= int64(b.Size)
	r.offset += int64(len(head)) + int64(r.stored(b, size))
	if r.done = b.Last; r.done && r.Header.Checksum {
		var sum [4]byte
		if err := fill(r.in, sum[:]); err != nil {
			return nil, err
		}
		r.Checksum = uint32(sum[0]) | uint32(sum[1])<<8 | uint32(sum[2])<<16 | uint32(sum[3])<<24
	}
	return b, nil
}

// stored is how many bytes a block has in the frame that says it has so many.
func (r *Reader) stored(b *Block, size int) int {
	if b.Kind == RLE {
		return 1
	}
	return size
}

func (r *Reader) readBlock(b *Block, size int) error {
	stored := r.stored(b, size)
	data := r.data[:stored]
	if err := fill(r.in, data); err != nil {
		return err
	}
	clear(r.data[stored : stored+padding])
	switch b.Kind {
	case Raw, RLE:
		b.Size, b.Literals = size, data
		return nil
	case Compressed:
		literals, rest, err := r.readLiterals(b, data)
		if err != nil {
			return err
		}
		return r.readSequences(b, rest, literals)
	}
	return corrupt("block is of the reserved kind")
}
