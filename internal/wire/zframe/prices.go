package zframe

import "math/bits"

// prices is what libzstd's optimal parser believes that a literal, a literal count, a match length and a distance cost, in 256ths of a
// bit: it counts what it has chosen so far, and forgets by and by. The figures are those of zstd_opt.c for the level "ultra".
type prices struct {
	literals, counts, matches, offsets tally
	started                            bool
}

// tally counts the uses of codes. Of each code it keeps what it costs apart from the logarithm of the sum.
type tally struct {
	uses  [256]uint32
	costs [256]int32
	extra [256]int32
	codes int
	sum   uint32
	base  int32 // the logarithm of the sum, as it was after the last series
}

const (
	bitPrice     = 256
	matchPenalty = bitPrice / 5 // the parser prefers fewer sequences
	literalStep  = 2
)

// weight is the logarithm of n + 1, roughly.
func weight(n uint32) int32 {
	high := bits.Len32(n+1) - 1
	return int32(high)*bitPrice + int32((n+1)*bitPrice>>high)
}

func (t *tally) add(code uint8, n uint32) {
	t.uses[code] += n
	t.sum += n
	t.costs[code] = t.extra[code] - weight(t.uses[code])
}

// refresh takes changed uses in.
func (t *tally) refresh() {
	t.sum = 0
	for i, n := range t.uses[:t.codes] {
		t.sum += n
		t.costs[i] = t.extra[i] - weight(n)
	}
	t.base = weight(t.sum)
}

// fade scales the uses down when their sum has more than so many bits.
func (t *tally) fade(log int) {
	if factor := t.sum >> log; factor > 1 {
		shift := bits.Len32(factor) - 1
		for i, n := range t.uses[:t.codes] {
			t.uses[i] = 1 + n>>shift
		}
	}
	t.refresh()
}

// fade begins another chunk.
func (p *prices) fade() {
	p.literals.fade(12)
	p.counts.fade(11)
	p.matches.fade(11)
	p.offsets.fade(11)
}

// begin starts with the first chunk.
func (p *prices) begin(chunk []byte) {
	p.started = true
	p.literals.codes, p.counts.codes, p.matches.codes, p.offsets.codes = 256, literalCodes, matchCodes, offsetCodes
	for _, b := range chunk {
		p.literals.uses[b]++
	}
	for i, n := range p.literals.uses {
		p.literals.uses[i] = n>>8 + min(n, 1)
	}
	for i, s := range literalSpans {
		p.counts.uses[i], p.counts.extra[i] = 1, int32(s.bits)*bitPrice
	}
	p.counts.uses[0], p.counts.uses[1] = 4, 2
	for i, s := range matchSpans {
		p.matches.uses[i], p.matches.extra[i] = 1, int32(s.bits)*bitPrice+matchPenalty
	}
	for i := range offsetCodes {
		p.offsets.uses[i], p.offsets.extra[i] = 1, int32(i)*bitPrice
	}
	copy(p.offsets.uses[:], []uint32{6, 2, 1, 1, 2, 3, 4, 4, 4, 3, 2})
	for _, t := range [...]*tally{&p.literals, &p.counts, &p.matches, &p.offsets} {
		t.refresh()
	}
}

// settle makes prices of what was counted. The parser does so after each series only.
func (p *prices) settle() {
	for _, t := range [...]*tally{&p.literals, &p.counts, &p.matches, &p.offsets} {
		t.base = weight(t.sum)
	}
}

// count remembers a sequence that was chosen, but for its literals.
func (p *prices) count(s Sequence) {
	codes := s.codes()
	p.counts.add(codes[literalCode], 1)
	p.offsets.add(codes[offsetCode], 1)
	p.matches.add(codes[matchCode], 1)
}

// ofLiteral is the price of a literal, at least one bit.
func (p *prices) ofLiteral(b byte) int32 { return max(p.literals.base+p.literals.costs[b], bitPrice) }

// ofCount is the price of a literal count.
func (p *prices) ofCount(n uint32) int32 {
	if n >= maxBlock {
		return bitPrice + p.counts.base + p.counts.costs[literalCodeOf(maxBlock-1)]
	}
	return p.counts.base + p.counts.costs[literalCodeOf(n)]
}

// ofOffset is the price of an offset value.
func (p *prices) ofOffset(value uint32) int32 {
	return p.offsets.base + p.offsets.costs[bits.Len32(value)-1]
}

// ofMatch is the price of a match length.
func (p *prices) ofMatch(n uint32) int32 { return p.matches.base + p.matches.costs[matchCodeOf(n)] }
