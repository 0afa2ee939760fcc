package zframe

import "math/bits"

// counts is how the states of a table are divided among symbols: each at least one state, -1 for a symbol rarer than that.
type counts struct {
	log  int
	each []int16
}

// readCounts reads a table description, and returns how many bytes it has.
func readCounts(data []byte, maxLog, symbols int) (counts, int, error) {
	in := forward{data: data}
	c := counts{log: int(in.take(4)) + 5}
	if c.log > maxLog {
		return c, 0, corrupt("table has 2^%d states, at most 2^%d are allowed", c.log, maxLog)
	}
	left := 1<<c.log + 1
	for left > 1 {
		if len(c.each) >= symbols || in.at > 8*len(data) {
			return c, 0, corrupt("table description does not end")
		}
		n := bits.Len(uint(left)) // the value is 0 to left, and the lowest of them take one bit less
		short := 1<<n - 1 - left
		value := int(in.peek(n))
		if low := value & (1<<(n-1) - 1); low < short {
			value = low
			in.at += n - 1
		} else {
			in.at += n
			if value >= 1<<(n-1) {
				value -= short
			}
		}
		c.each = append(c.each, int16(value-1))
		left -= max(value-1, 1-value)
		for more := uint32(3); value == 1 && more == 3; {
			more = in.take(2)
			c.each = append(c.each, make([]int16, more)...)
			if len(c.each) > symbols {
				return c, 0, corrupt("table description has more than %d symbols", symbols)
			}
		}
	}
	used := (in.at + 7) / 8
	if left != 1 || used > len(data) {
		return c, 0, corrupt("table description is not complete")
	}
	return c, used, nil
}

// table is a division as the states themselves: which symbol each has, and which state follows it.
type table struct {
	log    int
	states []state
	first  []uint16 // where the states of each symbol begin in order
	order  []uint16 // the states by symbol
	each   []int16
}

type state struct {
	symbol uint8
	bits   uint8
	base   uint16
}

func newTable(c counts) *table {
	t := &table{}
	t.divide(c)
	return t
}

// divide spreads the states as the format demands. The memory of what the table was before is used again.
func (t *table) divide(c counts) {
	size := 1 << c.log
	t.log, t.each = c.log, c.each
	t.states, t.first, t.order = cleared(t.states, size), cleared(t.first, len(c.each)+1), cleared(t.order, size)
	high := size
	next := make([]int, len(c.each))
	for s, n := range c.each {
		next[s] = int(n)
		if n == -1 {
			high--
			t.states[high].symbol = uint8(s)
			next[s] = 1
		}
		t.first[s+1] = t.first[s] + uint16(next[s])
	}
	at := 0
	for s, n := range c.each {
		for range n {
			t.states[at].symbol = uint8(s)
			for again := true; again; again = at >= high {
				at = (at + size>>1 + size>>3 + 3) & (size - 1)
			}
		}
	}
	for i := range t.states {
		st := &t.states[i]
		x := next[st.symbol]
		next[st.symbol]++
		st.bits = uint8(c.log + 1 - bits.Len(uint(x)))
		st.base = uint16(x<<st.bits - size)
		count := t.count(st.symbol)
		t.order[int(t.first[st.symbol])+x-count] = uint16(i)
	}
}

// cleared is a slice of n zeros, in the memory of another when that has room.
func cleared[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// oneSymbol is the division for a code that is always the same.
func oneSymbol(s uint8) counts {
	c := counts{each: make([]int16, int(s)+1)}
	c.each[s] = 1
	return c
}

// count is how many states a symbol has.
func (t *table) count(s uint8) int {
	if int(s)+1 >= len(t.first) {
		return 0
	}
	return int(t.first[s+1] - t.first[s])
}

// begin is the state an encoder begins in, for what is read last: libzstd takes the first of the symbol.
func (t *table) begin(s uint8) uint16 { return t.order[t.first[s]] }

// step is the state for the symbol s from which a reader comes to the state after, and the bits that say so.
func (t *table) step(s uint8, after uint16) (before uint16, value uint32, n int) {
	count := t.count(s)
	x := int(after) + 1<<t.log
	n = t.log + 1 - bits.Len(uint(count))
	if x>>n < count {
		n--
	}
	return t.order[int(t.first[s])+x>>n-count], uint32(x), n
}
