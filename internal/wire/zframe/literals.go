package zframe

import "encoding/binary"

// literalSizes are the bits of each of the two sizes in the header of literals with a tree, by the format.
var literalSizes = [4]int{10, 10, 14, 18}

// readLiterals reads the literals of a block and returns how many there are, and what follows them.
func (r *Reader) readLiterals(b *Block, data []byte) (int, []byte, error) {
	if len(data) == 0 {
		return 0, nil, corrupt("block has no literals")
	}
	b.LiteralKind, b.LiteralFormat = LiteralKind(data[0]&3), data[0]>>2&3
	if b.LiteralKind == RawLiterals || b.LiteralKind == RLELiterals {
		return r.readPlainLiterals(b, data)
	}
	n := literalSizes[b.LiteralFormat]
	in := forward{data: data, at: 4}
	size, stored := int(in.take(n)), int(in.take(n))
	head := (in.at + 7) / 8
	if size > maxBlock || head+stored > len(data) {
		return 0, nil, corrupt("literals are larger than their block")
	}
	streams, rest := data[head:head+stored], data[head+stored:]
	if r.sequencesOnly {
		return size, rest, nil
	}
	if b.LiteralKind == TreeLiterals {
		t, used, err := readTree(streams)
		if err != nil {
			return 0, nil, err
		}
		r.tree, b.Tree, streams = t, streams[:used], streams[used:]
	}
	if r.tree == nil {
		return 0, nil, corrupt("first literals are without a tree")
	}
	var err error
	r.literals, err = r.tree.decodeStreams(r.literals[:0], streams, size, b.LiteralFormat != 0)
	b.Literals = r.literals
	return size, rest, err
}

// readPlainLiterals reads literals without a tree, as readLiterals does.
func (r *Reader) readPlainLiterals(b *Block, data []byte) (int, []byte, error) {
	in := forward{data: data, at: 3}
	n := 5
	if b.LiteralFormat&1 != 0 {
		in.at, n = 4, 12+int(b.LiteralFormat&2)*4
	}
	size := int(in.take(n))
	head, stored := in.at/8, size
	if b.LiteralKind == RLELiterals {
		stored = 1
	}
	if size > maxBlock || head+stored > len(data) {
		return 0, nil, corrupt("literals are larger than their block")
	}
	b.Literals = data[head : head+stored]
	if b.LiteralKind == RLELiterals {
		r.literals = r.literals[:0]
		for range size {
			r.literals = append(r.literals, data[head])
		}
		b.Literals = r.literals
	}
	return size, data[head+stored:], nil
}

// fourStreams is the size of the jump table before four streams.
const fourStreams = 6

// decodeStreams appends n literals from one stream or four.
func (t *tree) decodeStreams(out, data []byte, n int, four bool) ([]byte, error) {
	if !four {
		return t.decode(out, data, n)
	}
	each := (n + 3) / 4
	if len(data) < fourStreams || 3*each > n {
		return out, corrupt("four streams have no room for %d literals", n)
	}
	sizes, data := data[:fourStreams], data[fourStreams:]
	var err error
	for i := range 4 {
		size := len(data)
		if i < 3 {
			size = int(binary.LittleEndian.Uint16(sizes[2*i:]))
		}
		if size > len(data) {
			return out, corrupt("stream of literals ends early")
		}
		if out, err = t.decode(out, data[:size], min(each, n-i*each)); err != nil {
			return out, err
		}
		data = data[size:]
	}
	return out, nil
}

// appendLiterals writes the literals of a block.
func (w *Writer) appendLiterals(out []byte, b *Block) ([]byte, error) {
	kind := uint32(b.LiteralKind) | uint32(b.LiteralFormat)<<2
	size := len(b.Literals)
	if b.LiteralKind == RawLiterals || b.LiteralKind == RLELiterals {
		head := bitWriter{out: out}
		if b.LiteralFormat&1 != 0 {
			head.put(kind|uint32(size)<<4, 16+int(b.LiteralFormat&2)*4)
		} else {
			head.put(kind&7|uint32(size)<<3, 8)
		}
		if b.LiteralKind == RLELiterals && size > 0 {
			return append(head.out, b.Literals[0]), nil
		}
		return append(head.out, b.Literals...), nil
	}
	streams := append(w.streams[:0], b.Tree...)
	if b.LiteralKind == TreeLiterals {
		t, _, err := readTree(b.Tree)
		if err != nil {
			return out, err
		}
		w.tree = t
	}
	if w.tree == nil {
		return out, corrupt("first literals are without a tree")
	}
	streams, err := w.tree.encodeStreams(streams, b.Literals, b.LiteralFormat != 0)
	if err != nil {
		return out, err
	}
	w.streams = streams
	n := literalSizes[b.LiteralFormat]
	head := bitWriter{out: out}
	head.put(kind, 4)
	head.put(uint32(size), n)
	head.put(uint32(len(streams)), n)
	return append(head.out, streams...), nil
}

// encodeStreams appends literals as one stream or four.
func (t *tree) encodeStreams(out, literals []byte, four bool) ([]byte, error) {
	if !four {
		return t.encode(out, literals)
	}
	table := len(out)
	out = append(out, make([]byte, fourStreams)...)
	each := (len(literals) + 3) / 4
	for i := range 4 {
		start := len(out)
		from := min(i*each, len(literals))
		upTo := min(from+each, len(literals))
		if i == 3 {
			upTo = len(literals)
		}
		var err error
		if out, err = t.encode(out, literals[from:upTo]); err != nil {
			return out, err
		}
		if i < 3 {
			binary.LittleEndian.PutUint16(out[table+2*i:], uint16(len(out)-start))
		}
	}
	return out, nil
}
