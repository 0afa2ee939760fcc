package gzframe

// The alphabet of code lengths (RFC 1951, 3.2.7): the lengths themselves, and three ways to repeat.
const (
	repeatLength    = 16 // the one before, 3 to 6 times
	repeatZero      = 17 // 3 to 10 times
	repeatZeroLong  = 18 // 11 to 138 times
	lengthSymbols   = 19
	minLengthCodes  = 4
	lengthCodeWidth = 3 // bits of the length of a length's code
)

var (
	lengthOrder      = [lengthSymbols]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	lengthRepeatBits = [...]uint8{2, 3, 7}
)

// lengthCode is what a dynamic block says of its two trees before its symbols.
type lengthCode struct {
	tree                tree
	runs                []run
	literals, distances int // how many lengths of each are told
	told                int // how many lengths of the code itself are told
}

// run is a symbol of the alphabet and the value of its extra bits.
type run struct{ symbol, extra uint8 }

// newLengthCode takes the lengths of the two trees apart into runs, which do not go from one tree into the other.
func newLengthCode(literals, distances *tree) *lengthCode {
	c := &lengthCode{
		tree:     newTree(lengthSymbols, maxLengthCodeBits, lengthRepeatBits[:], repeatLength),
		literals: literals.last + 1, distances: distances.last + 1,
		told: lengthSymbols,
	}
	c.cut(literals.lengths[:c.literals])
	c.cut(distances.lengths[:c.distances])
	c.tree.build()
	for c.told > minLengthCodes && c.tree.lengths[lengthOrder[c.told-1]] == 0 {
		c.told--
	}
	return c
}

func (c *lengthCode) add(symbol, extra int) {
	c.runs = append(c.runs, run{uint8(symbol), uint8(extra)})
	c.tree.counts[symbol]++
}

func (c *lengthCode) cut(lengths []uint8) {
	before := -1
	for len(lengths) > 0 {
		value := int(lengths[0])
		// A new length is told once and may then be repeated; zeros are repeated at once.
		least, most := 4, 7
		switch value {
		case 0:
			least, most = 3, 138
		case before:
			least, most = 3, 6
		}
		n := 1
		for n < most && n < len(lengths) && lengths[n] == lengths[0] {
			n++
		}
		c.repeat(value, n, least, value == before)
		before, lengths = value, lengths[n:]
	}
}

func (c *lengthCode) repeat(value, n, least int, known bool) {
	switch {
	case n < least:
		for range n {
			c.add(value, 0)
		}
	case value == 0 && n <= 10:
		c.add(repeatZero, n-3)
	case value == 0:
		c.add(repeatZeroLong, n-11)
	case known:
		c.add(repeatLength, n-3)
	default:
		c.add(value, 0)
		c.add(repeatLength, n-1-3)
	}
}

func (c *lengthCode) sizeBits() int {
	return 5 + 5 + 4 + lengthCodeWidth*c.told + c.tree.sizeBits(c.tree.lengths)
}

func (c *lengthCode) write(w *bitWriter) {
	w.add(uint64(c.literals-firstLength), 5)
	w.add(uint64(c.distances-1), 5)
	w.add(uint64(c.told-minLengthCodes), 4)
	for _, symbol := range lengthOrder[:c.told] {
		w.add(uint64(c.tree.lengths[symbol]), lengthCodeWidth)
	}
	for _, r := range c.runs {
		c.tree.write(w, int(r.symbol))
		if r.symbol >= repeatLength {
			w.add(uint64(r.extra), int(lengthRepeatBits[r.symbol-repeatLength]))
		}
	}
}
