package zframe

// longCount is the number of sequences from which on three bytes say it; below 128 one does.
const longCount = 0x7F00

// readSequences reads the sequences of a block, which are all of data, and adds up its content.
func (r *Reader) readSequences(b *Block, data []byte, literals int) error {
	n, data, err := readCount(data)
	if err != nil {
		return err
	}
	b.Size = literals
	if n == 0 {
		if len(data) > 0 {
			return corrupt("block has %d bytes too many", len(data))
		}
		return nil
	}
	if n > maxSequences {
		return corrupt("block has %d sequences, at most %d fit", n, maxSequences)
	}
	if data, err = r.readTables(b, data); err != nil {
		return err
	}
	in, ok := newBackward(data)
	if !ok {
		return corrupt("sequences have no end mark")
	}
	return r.decodeSequences(b, &in, n, literals)
}

// readCount reads how many sequences there are.
func readCount(data []byte) (int, []byte, error) {
	size := 1
	switch {
	case len(data) > 0 && data[0] == 255:
		size = 3
	case len(data) > 0 && data[0] >= 128:
		size = 2
	}
	if len(data) < size {
		return 0, nil, corrupt("block ends before its sequences")
	}
	n := int(data[0])
	switch size {
	case 2:
		n = (n-128)<<8 | int(data[1])
	case 3:
		n = longCount + int(data[1]) + int(data[2])<<8
	}
	return n, data[size:], nil
}

// readTables reads where the three tables come from, and what of them is in the block.
func (r *Reader) readTables(b *Block, data []byte) ([]byte, error) {
	if len(data) == 0 || data[0]&3 != 0 {
		return nil, corrupt("block does not say which tables its sequences have")
	}
	modes, data := data[0], data[1:]
	for i := range b.Modes {
		b.Modes[i] = Mode(modes >> (6 - 2*i) & 3)
		used, err := r.tables.take(i, b.Modes[i], data)
		if err != nil {
			return nil, err
		}
		b.Tables[i], data = data[:used], data[used:]
	}
	return data, nil
}

// tables are those of the three codes.
type tables struct {
	valid [3]*table
	own   [3]table // memory for those that a frame describes
}

// take makes the table of a code the one that a mode and the data say, and gives how many bytes describe it.
func (t *tables) take(code int, mode Mode, data []byte) (used int, err error) {
	var c counts
	switch mode {
	case Predefined:
		t.valid[code] = predefined[code]
		return 0, nil
	case OneSymbol:
		if len(data) == 0 || int(data[0]) >= symbolsMax[code] {
			return 0, corrupt("table of one symbol has none that is known")
		}
		c, used = oneSymbol(data[0]), 1
	case Described:
		if c, used, err = readCounts(data, maxLogs[code], symbolsMax[code]); err != nil {
			return 0, err
		}
	default:
		if t.valid[code] == nil {
			return 0, corrupt("first sequences are without a table")
		}
		return 0, nil
	}
	t.valid[code] = &t.own[code]
	t.own[code].divide(c)
	return used, nil
}

// decodeSequences reads n sequences, which must be all that is in the stream.
func (r *Reader) decodeSequences(b *Block, in *backward, n, literals int) error {
	lt, ot, mt := r.tables.valid[literalCode], r.tables.valid[offsetCode], r.tables.valid[matchCode]
	ls, os, ms := in.take(lt.log), in.take(ot.log), in.take(mt.log)
	for i := range n {
		l, o, m := lt.states[ls], ot.states[os], mt.states[ms]
		var s Sequence
		s.Value = 1<<o.symbol + in.take(int(o.symbol))
		s.Match = matchSpans[m.symbol].base + in.take(int(matchSpans[m.symbol].bits))
		s.Literals = literalSpans[l.symbol].base + in.take(int(literalSpans[l.symbol].bits))
		literals -= int(s.Literals)
		b.Size += int(s.Match)
		if literals < 0 || b.Size > maxBlock || in.left < 0 {
			return corrupt("sequences do not fit into their block")
		}
		b.Sequences = append(b.Sequences, s)
		if i < n-1 {
			ls = uint32(l.base) + in.take(int(l.bits))
			ms = uint32(m.base) + in.take(int(m.bits))
			os = uint32(o.base) + in.take(int(o.bits))
		}
	}
	if in.left != 0 {
		return corrupt("sequences have another size than their stream")
	}
	return nil
}

// appendSequences writes the sequences of a block.
func (w *Writer) appendSequences(out []byte, b *Block) ([]byte, error) {
	n := len(b.Sequences)
	switch {
	case n < 128:
		out = append(out, byte(n))
	case n < longCount:
		out = append(out, byte(n>>8+128), byte(n))
	default:
		out = append(out, 255, byte(n-longCount), byte((n-longCount)>>8))
	}
	if n == 0 {
		return out, nil
	}
	out = append(out, byte(b.Modes[0]<<6|b.Modes[1]<<4|b.Modes[2]<<2))
	for i, mode := range b.Modes {
		used, err := w.tables.take(i, mode, b.Tables[i])
		if err != nil {
			return out, err
		}
		if used != len(b.Tables[i]) {
			return out, corrupt("table description has %d bytes, %d of them used", len(b.Tables[i]), used)
		}
		out = append(out, b.Tables[i]...)
	}
	return w.encodeSequences(out, b.Sequences)
}

// encodeSequences writes what decodeSequences reads, from the last sequence to the first.
func (w *Writer) encodeSequences(out []byte, sequences []Sequence) ([]byte, error) {
	bits, tables := bitWriter{out: out}, w.tables.valid
	var states [3]uint16
	for i := len(sequences) - 1; i >= 0; i-- {
		s := sequences[i]
		codes := s.codes()
		for c, code := range codes {
			if tables[c].count(code) == 0 {
				return out, corrupt("code %d of a sequence is not in its table", code)
			}
		}
		if i == len(sequences)-1 {
			for c, code := range codes {
				states[c] = tables[c].begin(code)
			}
		} else {
			for _, c := range [...]int{offsetCode, matchCode, literalCode} {
				before, value, n := tables[c].step(codes[c], states[c])
				bits.put(value, n)
				states[c] = before
			}
		}
		l, m := literalSpans[codes[literalCode]], matchSpans[codes[matchCode]]
		bits.put(s.Literals-l.base, int(l.bits))
		bits.put(s.Match-m.base, int(m.bits))
		bits.put(s.Value, int(codes[offsetCode]))
	}
	for _, c := range [...]int{matchCode, offsetCode, literalCode} {
		bits.put(uint32(states[c]), tables[c].log)
	}
	return bits.finish(), nil
}
