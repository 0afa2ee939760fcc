package entropy

import "math/bits"

// Prob is the probability that a bit is 1, in 65536ths, and how often it was seen: it learns fast first, and then slowly. The zero
// Prob knows nothing yet and takes both bits for as likely, so that large tables of them cost nothing until they are used.
type Prob struct {
	p uint16 // with its highest bit turned over
	n uint16
}

const half = 1 << 15

// P is the probability in 65536ths.
func (p *Prob) P() uint16 { return p.p ^ half }

// Seen is how often it has learned, to its limit.
func (p *Prob) Seen() int { return int(p.n) }

// Learn moves the probability towards the bit, by 1/(n+1.5), never less than 1/limit.
func (p *Prob) Learn(bit int, limit uint16) {
	rate := reciprocals[p.n]
	if p.n < limit {
		p.n++
	}
	now := p.p ^ half
	if bit != 0 {
		now += uint16((uint32(^now) * rate) >> 16)
	} else {
		now -= uint16((uint32(now) * rate) >> 16)
	}
	p.p = now ^ half
}

// MaxLimit is the largest limit for Learn.
const MaxLimit = 1023

// reciprocals are 65536 / (n + 1.5).
var reciprocals = func() (r [MaxLimit + 1]uint32) {
	for n := range r {
		r[n] = uint32(2 * 65536 / (2*n + 3))
	}
	return
}()

// Code writes or reads a bit with the probability, and learns it.
func (p *Prob) Code(c *Coder, bit int, limit uint16) int {
	bit = c.Bit(p.P(), bit)
	p.Learn(bit, limit)
	return bit
}

// Stretch is ln(p/(1-p)) of a probability in 65536ths, in 256ths, from -2047 to 2047; Squash is its inverse.
func Stretch(p uint16) int32 { return int32(stretches[p>>4]) }

// Squash gives 1 to 65535 for x in 256ths.
func Squash(x int32) uint16 {
	x = min(max(x, -2047), 2047)
	return squashes[x+2048]
}

// squashes is 65536/(1+e^-x), by whole numbers: e^(1/256) as a fixed-point number, multiplied up.
var squashes = func() (t [4096]uint16) {
	const one = uint64(1) << 32
	const step = uint64(4311777082) // e^(1/256) * 2^32
	e := one                        // e^(x/256) * 2^32 for x >= 0, at most e^8 = 2981
	for x := 0; x < 2048; x++ {
		high := min(65536*e/(e+one), 65535)
		t[2048+x] = uint16(high)
		t[2048-x] = uint16(max(65536-high, 1))
		upper, lower := bits.Mul64(e, step)
		e = upper<<32 | lower>>32
	}
	t[0] = t[1]
	return
}()

// stretches is the inverse of squashes for the 4096 probabilities (i + 1/2) / 4096.
var stretches = func() (t [4096]int16) {
	x := -2047
	for i := range t {
		for x < 2047 && int(squashes[x+2048]) < i<<4+8 {
			x++
		}
		t[i] = int16(x)
	}
	return
}()

// Mixer joins the opinions of several probabilities into one, and learns whom to trust in which situation.
type Mixer struct {
	n       int
	weights []int32 // n for each situation, in 65536ths
	inputs  []int32
	rate    int32
	at      int
	p       uint16
}

// NewMixer joins n opinions in so many situations. The rate is how fast it learns, such as 6.
func NewMixer(n, situations, rate int) *Mixer {
	m := &Mixer{n: n, weights: make([]int32, n*situations), inputs: make([]int32, 0, n), rate: int32(rate)}
	for i := range m.weights {
		m.weights[i] = int32((1 << 16) / n)
		if n > 2 {
			m.weights[i] = int32(3 * (1 << 16) / (2 * n)) // opinions that agree are more than each of them
		}
	}
	return m
}

// Add gives an opinion, n in all before each bit.
func (m *Mixer) Add(p *Prob) { m.inputs = append(m.inputs, Stretch(p.P())) }

// AddStretched gives an opinion in the domain of [Stretch].
func (m *Mixer) AddStretched(x int32) { m.inputs = append(m.inputs, x) }

// P is the joint probability in a situation.
func (m *Mixer) P(situation int) uint16 {
	m.at = situation * m.n
	w := m.weights[m.at : m.at+m.n]
	sum := int64(0)
	for i, x := range m.inputs {
		sum += int64(x) * int64(w[i])
	}
	m.p = Squash(int32(min(max(sum>>16, -2047), 2047)))
	return m.p
}

// Learn moves the weights towards those who were right, and forgets the opinions.
func (m *Mixer) Learn(bit int) {
	err := (int32(bit)<<16 - int32(m.p)) * m.rate
	w := m.weights[m.at : m.at+m.n]
	for i, x := range m.inputs {
		w[i] += int32((int64(x)*int64(err) + 1<<17) >> 18)
	}
	m.inputs = m.inputs[:0]
}

// Code writes or reads a bit with the joint probability of the opinions given before, and learns whom to trust.
func (m *Mixer) Code(c *Coder, situation, bit int) int {
	bit = c.Bit(m.P(situation), bit)
	m.Learn(bit)
	return bit
}

// Number codes whole numbers of up to 63 bits: how many bits it has, adaptively, then the first few of them adaptively and
// the rest as they are.
type Number struct {
	sizes []Prob // a binary tree over the bit count, 64 leaves
	first []Prob // the bits after the leading one, up to three, for each count
}

// NewNumber knows nothing yet.
func NewNumber() *Number { return &Number{sizes: make([]Prob, 64), first: make([]Prob, 64*8)} }

const numberLimit = 255

// Code writes or reads v, which is below 2^63.
func (n *Number) Code(c *Coder, v uint64) uint64 {
	size := tree(c, n.sizes, 6, uint32(bits.Len64(v)), numberLimit)
	if size == 0 {
		return 0
	}
	got, node := uint64(1), uint32(1)
	for i := int(size) - 2; i >= 0; i-- {
		var bit int
		if node < 8 {
			bit = n.first[size*8+node].Code(c, int(v>>i&1), numberLimit)
			node = node<<1 | uint32(bit)
		} else {
			bit = c.Bit(half, int(v>>i&1))
		}
		got = got<<1 | uint64(bit)
	}
	return got &^ (1 << 63)
}

// tree codes the n lowest bits of v, the highest first, each in the context of those before; probs are 1<<n.
func tree(c *Coder, probs []Prob, n int, v uint32, limit uint16) uint32 {
	node := uint32(1)
	for i := n - 1; i >= 0; i-- {
		node = node<<1 | uint32(probs[node].Code(c, int(v>>i&1), limit))
	}
	return node - 1<<n
}

// Tree writes or reads the n lowest bits of v, the highest first, each in the context of those before. The probabilities are 1<<n.
func Tree(c *Coder, probs []Prob, n int, v uint32, limit uint16) uint32 {
	return tree(c, probs, n, v, limit)
}
