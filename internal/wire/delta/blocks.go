package delta

import (
	"encoding/binary"
	"math/bits"

	"conifer.dev/conifer/internal/wire/entropy"
)

const (
	blockSizeBytes = 64
	blockLimit     = 250
	blockBits      = 14
)

// blockModel tells which blocks of a copy stay as they are. Most do, and for these a reader does nothing else.
type blockModel struct {
	recent  [2]uint32 // of the last blocks of data and of code, whether they stayed
	quiet   int       // blocks since the last that did not
	history []entropy.Prob
	content []entropy.Prob
	mix     *entropy.Mixer
}

func (m *blockModel) init() {
	m.history, m.content = make([]entropy.Prob, 1<<(blockBits-1)), make([]entropy.Prob, 1<<blockBits)
	m.mix = entropy.NewMixer(2, 32, 5)
}

// same writes or reads whether a block stays. Where isCode is 1 it is code.
func (m *blockModel) same(c *entropy.Coder, block []byte, isCode, same int) int {
	recent := &m.recent[isCode]
	history := &m.history[int(*recent&0xfff)<<1|isCode]
	content := &m.content[hash(binary.LittleEndian.Uint32(block), binary.LittleEndian.Uint32(block[8:]))>>(32-blockBits)]
	m.mix.Add(history)
	m.mix.Add(content)
	same = m.mix.Code(c, min(bits.Len(uint(m.quiet)), 15)<<1|isCode, same)
	history.Learn(same, blockLimit)
	content.Learn(same, blockLimit)
	*recent = *recent<<1 | uint32(same)
	m.quiet = (m.quiet + 1) * same
	return same
}
