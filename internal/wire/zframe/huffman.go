package zframe

import "math/bits"

// tree is a Huffman code: weights of symbols, from 1 for the longest code word to log for those of one bit.
type tree struct {
	log     int
	weights []uint8 // with the last, which the description leaves out
	reading []leaf  // by the next log bits
	words   [256]word
}

type leaf struct{ symbol, bits uint8 }

type word struct {
	value uint16
	bits  uint8
}

const (
	maxTreeLog    = 11
	maxWeightsLog = 6
	directWeights = 128 // a description that begins with at least this has four bits for each weight
)

// readTree reads a tree description, and returns how many bytes it has.
func readTree(data []byte) (*tree, int, error) {
	if len(data) == 0 {
		return nil, 0, corrupt("tree description is missing")
	}
	head := int(data[0])
	if head >= directWeights {
		n := head - directWeights + 1
		used := 1 + (n+1)/2
		if used > len(data) {
			return nil, 0, corrupt("tree description ends early")
		}
		weights := make([]uint8, n)
		for i := range weights {
			weights[i] = data[1+i/2] >> (4 - i%2*4) & 15
		}
		t, err := newTree(weights)
		return t, used, err
	}
	if 1+head > len(data) {
		return nil, 0, corrupt("tree description ends early")
	}
	weights, err := readWeights(data[1 : 1+head])
	if err != nil {
		return nil, 0, err
	}
	t, err := newTree(weights)
	return t, 1 + head, err
}

// readWeights reads weights that are FSE-coded with two states in turn.
func readWeights(data []byte) ([]uint8, error) {
	c, used, err := readCounts(data, maxWeightsLog, maxTreeLog+2)
	if err != nil {
		return nil, err
	}
	in, ok := newBackward(append(append([]byte{}, data[used:]...), make([]byte, padding)...)[:len(data)-used])
	if !ok {
		return nil, corrupt("weights of the tree have no end mark")
	}
	t := newTable(c)
	states := [2]uint32{in.take(t.log), in.take(t.log)}
	var weights []uint8
	for turn := 0; len(weights) < 255; turn ^= 1 {
		s := t.states[states[turn]]
		weights = append(weights, s.symbol)
		if in.left < int(s.bits) {
			return append(weights, t.states[states[turn^1]].symbol), nil
		}
		states[turn] = uint32(s.base) + in.take(int(s.bits))
	}
	return nil, corrupt("tree has too many weights")
}

// newTree completes the weights with the last one, and makes the code.
func newTree(weights []uint8) (*tree, error) {
	sum := 0
	for _, w := range weights {
		if w > maxTreeLog {
			return nil, corrupt("weight of the tree is %d, at most %d is allowed", w, maxTreeLog)
		}
		sum += 1 << w >> 1
	}
	t := &tree{log: bits.Len(uint(sum))}
	last := 1<<t.log - sum
	if sum == 0 || t.log > maxTreeLog || last&(last-1) != 0 || len(weights) > 255 {
		return nil, corrupt("weights of the tree do not add up")
	}
	t.weights = append(append(t.weights, weights...), uint8(bits.Len(uint(last))))
	t.reading = make([]leaf, 0, 1<<t.log)
	for w := 1; w <= t.log; w++ {
		for s, own := range t.weights {
			if int(own) != w {
				continue
			}
			n := uint8(t.log + 1 - w)
			t.words[s] = word{uint16(len(t.reading) >> (w - 1)), n}
			for range 1 << (w - 1) {
				t.reading = append(t.reading, leaf{uint8(s), n})
			}
		}
	}
	return t, nil
}

// decode appends n symbols read from a stream that must hold just these.
func (t *tree) decode(out, stream []byte, n int) ([]byte, error) {
	in, ok := newBackward(stream)
	if !ok {
		return out, corrupt("stream of literals has no end mark")
	}
	for range n {
		l := t.reading[in.take(t.log)]
		in.left += t.log - int(l.bits)
		out = append(out, l.symbol)
	}
	if in.left != 0 {
		return out, corrupt("stream of literals has another size than its literals")
	}
	return out, nil
}

// encode appends a stream of symbols. It fails when a symbol has no word.
func (t *tree) encode(out, symbols []byte) ([]byte, error) {
	w := bitWriter{out: out}
	for i := len(symbols) - 1; i >= 0; i-- {
		word := t.words[symbols[i]]
		if word.bits == 0 {
			return out, corrupt("literal %#02x is not in the tree", symbols[i])
		}
		w.put(uint32(word.value), int(word.bits))
	}
	return w.finish(), nil
}
