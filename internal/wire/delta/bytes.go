package delta

import (
	"math/bits"

	"conifer.dev/conifer/internal/wire/entropy"
)

const (
	runLimit  = 250
	byteLimit = 120
	orderBits = 18
)

// runModel tells whether old bytes stay as they are.
type runModel struct {
	recent uint32 // of the last runs, whether all bytes stayed
	single uint32 // of the last bytes in runs that did not
	flags  [4][]entropy.Prob
	ones   [3][]entropy.Prob
	mix    *entropy.Mixer
	oneMix *entropy.Mixer
	quiet  int // runs since the last that did not
	ctx    [4]int
}

func (m *runModel) init() {
	for i := range m.flags {
		m.flags[i] = make([]entropy.Prob, 1<<16)
	}
	for i := range m.ones {
		m.ones[i] = make([]entropy.Prob, 1<<16)
	}
	m.mix = entropy.NewMixer(4, 16, 5)
	m.oneMix = entropy.NewMixer(3, 8, 5)
}

func at(b []byte, i int) uint32 {
	if i < 0 || i >= len(b) {
		return 0
	}
	return uint32(b[i])
}

func (m *runModel) all(c *entropy.Coder, old []byte, i, n, same int) int {
	quiet := min(bits.Len(uint(m.quiet)), 15)
	m.ctx[0] = int(m.recent&0xfff)<<3 | (n - 1)
	m.ctx[1] = int(hash(at(old, i)|at(old, i+1)<<8|at(old, i+2)<<16, uint32(n)) >> 16)
	m.ctx[2] = quiet<<8 | (n-1)<<4 | bits.OnesCount32(m.recent&0xffff)&15
	m.ctx[3] = int(hash(at(old, i-1)|at(old, i-2)<<8|at(old, i)<<16, uint32(quiet/4)) >> 16)
	for k := range m.flags {
		m.mix.Add(&m.flags[k][m.ctx[k]&0xffff])
	}
	same = m.mix.Code(c, quiet, same)
	for k := range m.flags {
		m.flags[k][m.ctx[k]&0xffff].Learn(same, runLimit)
	}
	m.recent = m.recent<<1 | uint32(same)
	m.quiet++
	if same == 0 {
		m.quiet = 0
	}
	return same
}

func (m *runModel) one(c *entropy.Coder, old []byte, i, same int) int {
	var x [3]*entropy.Prob
	x[0] = &m.ones[0][m.single&0xfff]
	x[1] = &m.ones[1][hash(at(old, i)|at(old, i-1)<<8, m.single&3)>>16]
	x[2] = &m.ones[2][at(old, i)<<4|m.single&15]
	for _, p := range x {
		m.oneMix.Add(p)
	}
	same = m.oneMix.Code(c, int(m.single&7), same)
	for _, p := range x {
		p.Learn(same, runLimit)
	}
	m.single = m.single<<1 | uint32(same)
	return same
}

// byteModel codes single bytes.
type byteModel struct {
	history uint64 // the last eight bytes of the output
	orders  [5][]entropy.Prob
	mix     *entropy.Mixer
}

const byteInputs = 5

func (m *byteModel) init() {
	for i := range m.orders {
		m.orders[i] = make([]entropy.Prob, 1<<orderBits)
	}
	m.mix = entropy.NewMixer(byteInputs, 4096, 8)
}

// saw takes note of bytes that were told otherwise.
func (m *byteModel) saw(all ...byte) {
	for _, b := range all {
		m.history = m.history<<8 | uint64(b)
	}
}

// code writes or reads a byte in up to five contexts: what was before it, and what it resembles.
func (m *byteModel) code(c *entropy.Coder, b byte, like uint32, kind uint32) byte {
	h := uint32(m.history)
	base := [byteInputs]uint32{
		hash(h&0xff, kind), hash(h&0xffff, kind+1000), hash(h&0xffffff, kind+2000), hash(h, uint32(m.history>>32)&0xff+kind*256+3000), hash(like, kind+4000),
	}
	node := uint32(1)
	for half := range 2 {
		// The probabilities of half a byte in one context lie together.
		var group [byteInputs][]entropy.Prob
		for k := range base {
			at := (base[k] + node*0x9E3779B1) >> (32 - orderBits) &^ 15
			group[k] = m.orders[k][at : at+16 : at+16]
		}
		in := uint32(1)
		for i := 7 - 4*half; i >= 4-4*half; i-- {
			for k := range group {
				m.mix.Add(&group[k][in])
			}
			bit := m.mix.Code(c, int(kind&15)<<8|int(node), int(b>>i&1))
			for k := range group {
				group[k][in].Learn(bit, byteLimit)
			}
			node, in = node<<1|uint32(bit), in<<1|uint32(bit)
		}
	}
	m.saw(byte(node))
	return byte(node)
}

// changed codes a byte that is not the old one.
func (m *byteModel) changed(c *entropy.Coder, b, old, before byte) byte {
	return m.code(c, b, uint32(old)|uint32(before)<<8, 1)
}

// near codes a byte of a number that is near another; whole tells whether the higher bytes were equal.
func (m *byteModel) near(c *entropy.Coder, b, like byte, place uint8, whole *byte) byte {
	kind := 2 + uint32(place)*2 + uint32(*whole)
	node := m.history
	b = m.code(c, b, uint32(like), kind)
	m.history = node
	if b != like {
		*whole = 0
	}
	return b
}
