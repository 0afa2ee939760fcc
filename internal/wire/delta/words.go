package delta

import (
	"encoding/binary"
	"math/bits"

	"conifer.dev/conifer/internal/wire/entropy"
)

// The candidates for a word, by what they come from.
const (
	asOld      = iota // the old word
	byDistance        // it is the distance to an address from here
	near              // the same, off by as much as last time
	again             // it changes as the word last did that changed
	again2            // and the one before that did
	seenBefore        // it became this when it was the same word before
	seenPair          // and the word before it was the same, too
	stride1           // it changes by as much as the word 4 bytes before
	stride2
	stride3
	stride4
	stride6
	fromBase // it is the distance from a base to an address, for each base
	kinds    = fromBase + MaxBases
)

var strides = [...]int{1, 2, 3, 4, 6}

const (
	seenBits    = 16
	wordLimit   = 250
	flagInputs  = 6
	historyBits = 5
	beforeBits  = 8
	sureTrust   = 700 // in the domain of entropy.Stretch: 15 in 16
)

type seen struct{ key, value uint32 }

// wordModel guesses words.
type wordModel struct {
	value  [kinds]uint32
	valid  uint32 // the candidates that there are
	order  [kinds]uint8
	n      int // distinct values in order
	share  [kinds]int32
	top    uint32
	topIs  int
	own    [kinds]uint8 // each kind's history here
	score  [kinds][1 << historyBits]entropy.Prob
	after  [kinds][1 << beforeBits]entropy.Prob // by the old word before
	before int
	target uint32 // of the field, for learned targets
	isCode bool

	masks  [8]uint32 // which kinds were right, for the last words
	deltas [8]uint32
	at     int
	last   [2]uint32          // deltas that were not zero
	off    [placeKinds]uint32 // how far the last moved address was off, by what told of it
	prev   uint32             // the old word before

	table, pairs []seen

	hits  uint32
	flags [flagInputs][]entropy.Prob
	ctx   [flagInputs]int
	mix   *entropy.Mixer
	stay  *entropy.Mixer
	next  []entropy.Prob
}

func (m *wordModel) init() {
	m.table, m.pairs = make([]seen, 1<<seenBits), make([]seen, 1<<seenBits)
	for i := range m.flags {
		m.flags[i] = make([]entropy.Prob, 1<<16)
	}
	m.mix = entropy.NewMixer(flagInputs+2, kinds*4, 5)
	m.stay = entropy.NewMixer(2, 1<<historyBits, 5)
	m.next = make([]entropy.Prob, kinds*4096)
}

// begin forgets what was right nearby, where a piece begins.
func (m *wordModel) begin() {
	m.deltas = [8]uint32{}
	m.masks = [8]uint32{}
	m.prev = 0
}

func hash(a, b uint32) uint32 { return (a*0x9E3779B1 ^ b*0x85EBCA6B) * 0xC2B2AE35 }

func (m *wordModel) add(k int, v uint32) {
	m.value[k] = v
	m.valid |= 1 << k
}

// worth reports whether a kind that is dear to find has been right lately, where words like this were.
func (m *wordModel) worth(k int) bool {
	return m.score[k][m.history(k)].P() > 900 || m.after[k][m.before].P() > 3000
}

// history is whether a kind was right for the words that are a stride before, a bit for each.
func (m *wordModel) history(k int) uint8 {
	return uint8(m.masks[(m.at-1)&7]>>k&1 | m.masks[(m.at-2)&7]>>k&1<<1 | m.masks[(m.at-3)&7]>>k&1<<2 |
		m.masks[(m.at-4)&7]>>k&1<<3 | m.masks[(m.at-6)&7]>>k&1<<4)
}

// passed takes note of words of a block that stays as it is.
func (m *wordModel) passed(block []byte) {
	m.deltas = [8]uint32{}
	m.prev = binary.LittleEndian.Uint32(block[len(block)-4:])
}

// sure reports whether a word of data is so likely to stay as it is that this is asked before other candidates are looked for.
func (m *wordModel) sure() bool {
	m.before = int(hash(m.prev, 0) >> (32 - beforeBits))
	m.own[asOld] = m.history(asOld)
	return m.hits&3 == 3 && m.trust(asOld) > sureTrust
}

// stays writes or reads whether the old word v stays, and takes note of it.
func (m *wordModel) stays(c *entropy.Coder, v uint32, same bool) bool {
	own, after := &m.score[asOld][m.own[asOld]], &m.after[asOld][m.before]
	m.stay.Add(own)
	m.stay.Add(after)
	hit := m.stay.Code(c, int(m.own[asOld]), truth(same))
	own.Learn(hit, wordLimit)
	after.Learn(hit, wordLimit)
	m.hits = m.hits<<1 | uint32(hit)
	if hit == 0 {
		return false
	}
	m.masks[m.at&7], m.deltas[m.at&7] = 1<<asOld, 0
	m.at++
	m.prev = v
	return true
}

// trust is how likely a kind is right by what it was before, in the domain of entropy.Stretch.
func (m *wordModel) trust(k int) int32 {
	return (entropy.Stretch(m.score[k][m.own[k]].P()) + entropy.Stretch(m.after[k][m.before].P())) / 2
}

// guess lists the candidates, best first.
func (m *wordModel) guess(s *scene, v uint32, oldAt, nowAt int64) {
	m.valid = 0
	m.isCode = s.inCode
	m.before = int(hash(m.prev, truth32(s.inCode)) >> (32 - beforeBits))
	if s.place.kind != 0 {
		m.before = int(hash(uint32(s.place.kind), v>>22) >> (32 - beforeBits))
	}
	m.add(asOld, v)
	if s.inCode {
		if s.wide {
			if t, ok := s.based(0, v); ok {
				m.add(fromBase, t)
				m.add(near, t+m.off[0])
			}
		} else {
			m.distance(s, v, oldAt, nowAt)
		}
	} else {
		for k := range s.bases {
			if s.bases[k].has(v) && m.worth(fromBase+k) {
				if t, ok := s.based(k, v); ok {
					m.add(fromBase+k, t)
				}
			}
		}
		if m.worth(byDistance) {
			m.distance(s, v, oldAt, nowAt)
		}
		for i, d := range strides {
			if delta := m.deltas[(m.at-d)&7]; delta != 0 {
				m.add(stride1+i, v+delta)
			}
		}
		m.add(again, v+m.last[0])
		m.add(again2, v+m.last[1])
	}
	key := v
	if s.inCode && !s.wide {
		key = s.target(v, oldAt) + uint32(s.place.kind)<<28 // by target, wherever it is called from
	}
	m.target = key
	if e := &m.table[hash(key, truth32(s.inCode))>>(32-seenBits)]; e.key == key && e.value != 0 {
		w := e.value
		if s.inCode && !s.wide {
			w = s.word(v, w, nowAt)
		}
		m.add(seenBefore, w)
	}
	if !s.inCode {
		if e := &m.pairs[hash(v, m.prev)>>(32-seenBits)]; e.key == v+m.prev*7 && e.value != 0 {
			m.add(seenPair, e.value)
		}
	}
	m.rank()
}

func truth32(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func (m *wordModel) distance(s *scene, v uint32, oldAt, nowAt int64) {
	if t, ok := s.moveWord(v, oldAt); ok {
		m.add(byDistance, s.word(v, t, nowAt))
		m.add(near, s.word(v, t+m.off[s.place.kind], nowAt))
	}
}

// rank puts the distinct values in order of trust.
func (m *wordModel) rank() {
	m.n = 0
	var trust [kinds]int32
	for rest := m.valid; rest != 0; rest &= rest - 1 {
		k := bits.TrailingZeros32(rest)
		m.own[k] = m.history(k)
		p := m.trust(k)
		found := false
		for j := range m.n {
			if m.value[m.order[j]] == m.value[k] {
				if p > trust[j] {
					trust[j] = p
					m.order[j] = uint8(k)
				}
				m.share[j]++
				found = true
				break
			}
		}
		if !found {
			m.order[m.n], trust[m.n], m.share[m.n] = uint8(k), p, 1
			m.n++
		}
	}
	for i := 1; i < m.n; i++ {
		for j := i; j > 0 && trust[j] > trust[j-1]; j-- {
			trust[j], trust[j-1] = trust[j-1], trust[j]
			m.order[j], m.order[j-1] = m.order[j-1], m.order[j]
			m.share[j], m.share[j-1] = m.share[j-1], m.share[j]
		}
	}
	m.topIs = int(m.order[0])
	m.top = m.value[m.topIs]
}

// choose writes or reads which candidate is right, if any.
func (m *wordModel) choose(c *entropy.Coder, actual uint32) (uint32, bool) {
	k, v := m.topIs, m.value[asOld]
	code := int(truth32(m.isCode))
	agree := int(min(m.share[0], 3))
	isOld := int(truth32(m.top == v))
	rivals := min(m.n-1, 3)
	m.ctx[0] = ((k<<historyBits|int(m.own[k]))<<2|agree)<<2 | rivals // below 1<<14
	m.ctx[1] = int(m.hits&0xfff)<<2 | isOld<<1 | code
	m.ctx[2] = int(hash(v>>16, uint32(k))>>17)<<1 | code
	m.ctx[3] = int(hash(v, uint32(k*2+code)) >> 16)
	second := 31
	if m.n > 1 {
		second = int(m.order[1])
	}
	m.ctx[4] = ((int(m.own[k])<<5|k)<<4|second&15)<<2 | isOld<<1 | code
	m.ctx[5] = int(hash(m.prev, v)>>16) ^ k<<8
	for i := range m.flags {
		m.ctx[i] &= 1<<16 - 1
		m.mix.Add(&m.flags[i][m.ctx[i]])
	}
	m.mix.Add(&m.score[k][m.own[k]])
	m.mix.Add(&m.after[k][m.before])
	hit := m.mix.Code(c, k*4+isOld*2+code, truth(actual == m.top))
	for i := range m.flags {
		m.flags[i][m.ctx[i]].Learn(hit, wordLimit)
	}
	m.hits = m.hits<<1 | uint32(hit)
	if hit == 1 {
		return m.top, true
	}
	for j := 1; j < m.n; j++ {
		k := int(m.order[j])
		p := &m.next[(k<<12 | int(m.own[k])<<7 | m.topIs<<2 | min(j, 3))]
		if p.Code(c, truth(actual == m.value[k]), wordLimit) == 1 {
			return m.value[k], true
		}
	}
	return 0, false
}

// learn takes note of what the word became.
func (m *wordModel) learn(s *scene, v, got uint32, oldAt, nowAt int64) {
	mask := uint32(0)
	for rest := m.valid; rest != 0; rest &= rest - 1 {
		k := bits.TrailingZeros32(rest)
		right := 0
		if m.value[k] == got {
			right = 1
			mask |= 1 << k
		}
		m.score[k][m.own[k]].Learn(right, wordLimit)
		m.after[k][m.before].Learn(right, wordLimit)
	}
	if !m.isCode && got != v && mask == 0 {
		mask = m.late(s, v, got, oldAt, nowAt)
	}
	target, leads := uint32(0), true
	if m.isCode && !s.wide {
		target, leads = s.leads(v, got, nowAt)
	}
	if m.valid>>byDistance&1 == 1 {
		if d := got - m.value[byDistance]; d != 0 && leads {
			if s.place.kind != 0 {
				guess, _ := s.leads(v, m.value[byDistance], nowAt)
				d = target - guess
			}
			m.off[s.place.kind] = d
		}
	} else if m.isCode && m.valid>>fromBase&1 == 1 {
		if d := got - m.value[fromBase]; d != 0 {
			m.off[0] = d
		}
	}
	key, value := m.target, got
	if m.isCode && !s.wide {
		value = target
	}
	if e := &m.table[hash(key, truth32(m.isCode))>>(32-seenBits)]; leads && (got != v || e.key == key || m.isCode) {
		*e = seen{key, value}
	}
	if !m.isCode {
		if e := &m.pairs[hash(v, m.prev)>>(32-seenBits)]; got != v || e.key == v+m.prev*7 {
			*e = seen{v + m.prev*7, got}
		}
		if d := got - v; d != 0 && d != m.last[0] {
			m.last[1], m.last[0] = m.last[0], d
		}
		m.masks[m.at&7], m.deltas[m.at&7] = mask, got-v
		m.at++
		m.prev = v
	} else {
		m.masks[m.at&7], m.deltas[m.at&7] = mask, 0
		m.at++
	}
}

// late tries what was too dear to try, where nothing else was right, so that it is known for the next.
func (m *wordModel) late(s *scene, v, got uint32, oldAt, nowAt int64) (mask uint32) {
	test := func(k int, guess uint32, ok bool) {
		right := 0
		if ok && guess == got {
			right = 1
			mask |= 1 << k
		}
		m.score[k][m.history(k)].Learn(right, wordLimit)
		m.after[k][m.before].Learn(right, wordLimit)
	}
	if m.valid>>byDistance&1 == 0 {
		t, ok := s.move(s.oldAddress(oldAt) + v)
		test(byDistance, t-s.newAddress(nowAt), ok)
	}
	for k := range s.bases {
		if m.valid>>(fromBase+k)&1 == 0 && s.bases[k].has(v) {
			t, ok := s.based(k, v)
			test(fromBase+k, t, ok)
		}
	}
	return mask
}
